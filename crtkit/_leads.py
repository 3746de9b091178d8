"""The twelve standard leads: their one order, their names, and how the limb leads hang together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEADS_12 = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

#: Each limb lead as multiples of I and II (Einthoven, Goldberger).
LIMB_FROM_I_II = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}

#: What one heart makes of three limb leads: the first follows from the other two.
LIMB_LAWS = {
    "einthoven": ("II", ("I", "III")),
    "goldberger": ("aVR", ("aVL", "aVF")),
}

_BY_UPPER_CASE = {name.upper(): name for name in LEADS_12}
# Spanish, Portuguese and French devices write D (derivación, dérivation) before I, II and III.
_BY_UPPER_CASE.update({"DI": "I", "DII": "II", "DIII": "III"})


# What devices and converters write around the name itself.
_PREFIXES = ("LEAD", "ECG", "EKG", "MDC_ECG_LEAD_")


def lead_name(name: str) -> str:
    """The usual spelling of a lead's name; other names as they are.

    Examples
    --------
    >>> from crtkit._leads import lead_name
    >>> [lead_name(name) for name in ("Lead II", "AVR", " v1 ", "DIII", "EKG V6", "V3R")]
    ['II', 'aVR', 'V1', 'III', 'V6', 'V3R']
    """
    name = name.strip()
    bare = name.upper()
    for _ in range(2):  # "ECG lead II" has two
        for prefix in _PREFIXES:
            if bare.startswith(prefix):  # a minus stays: -aVR is another lead
                bare = bare[len(prefix) :].lstrip(" _:")
    return _BY_UPPER_CASE.get(bare, name)


def check_lead_names(lead_names: Sequence[str], n_leads: int | None = None) -> list[str]:
    """Names of leads in their usual spelling.

    Parameters
    ----------
    lead_names : sequence of str
    n_leads : int, optional
        How many leads the signals have.

    Raises
    ------
    ValueError
        No names, a text instead of a sequence, a name twice, or another number than ``n_leads``.
    """
    if isinstance(lead_names, str):
        raise ValueError(f"lead_names is a sequence of names, got the text {lead_names!r}.")
    names = [lead_name(str(name)) for name in lead_names]
    if not names:
        raise ValueError("lead_names is empty; name each lead of the arrays, in their order.")
    if n_leads is not None and len(names) != n_leads:
        raise ValueError(
            f"lead_names has {len(names)} names, but the signals have {n_leads} lead(s). "
            "Give a name for each lead, in the order of the signals."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"lead_names names {', '.join(twice)} twice: {list(lead_names)}.")
    return names


def default_names(n_leads: int) -> list[str]:
    """Names of leads that nobody named: the standard ones of twelve, numbers otherwise."""
    return list(LEADS_12) if n_leads == 12 else [f"lead{i}" for i in range(n_leads)]


def limb_weights(wanted: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Limb leads as sums of others (Einthoven, Goldberger): ``wanted = weights @ known``.

    Parameters
    ----------
    wanted : sequence of str
    known : sequence of str
        Two limb leads or more; of more than two, the sum with the least squared error.

    Returns
    -------
    ndarray of shape (len(wanted), len(known))

    Examples
    --------
    >>> from crtkit._leads import limb_weights
    >>> limb_weights(["III", "aVR"], ["I", "II"])
    array([[-1. ,  1. ],
           [-0.5, -0.5]])
    """
    if len(known) < 2:
        raise ValueError(f"Limb leads follow from two others at least, got {list(known)}.")
    from_known = np.array([LIMB_FROM_I_II[name] for name in known])
    # The inverse of two is exact where the pseudo-inverse rounds: I and II keep every digit.
    inverse = np.linalg.inv(from_known) if len(known) == 2 else np.linalg.pinv(from_known)
    return np.array([LIMB_FROM_I_II[name] for name in wanted]) @ inverse


def missing_leads(signals) -> np.ndarray:
    """Which leads hold no recording: no valid sample, or one constant.

    An electrode that was off is stored as NaN, as zeros or as the converter's limit; a flat line
    in all samples is never a heart.

    Parameters
    ----------
    signals : array-like of shape (..., n_leads, n_samples)
        NaN is a missing sample.

    Returns
    -------
    ndarray of bool, shape (..., n_leads)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import missing_leads
    >>> missing_leads([[0.0, 0.0, 0.0], [0.1, np.nan, 0.2], [np.nan, np.nan, np.nan]])
    array([ True, False,  True])
    """
    signals = np.asarray(signals)
    low = np.fmin.reduce(signals, axis=-1)
    high = np.fmax.reduce(signals, axis=-1)
    return ~(high > low)


def refuse_exchanged_axes(name: str, shape: tuple[int, ...]) -> None:
    """Raise where signals have their leads on the last axis, as many published arrays have.

    Parameters
    ----------
    name : str
        Who asks, for the message.
    shape : tuple of int
        Of the signals; only three axes can be told.
    """
    # No recorder has a hundred leads of two dozen samples.
    if len(shape) == 3 and shape[1] >= 100 and shape[2] <= 24:
        raise ValueError(
            f"{name} expects signals as (n_records, n_leads, n_samples), got shape {tuple(shape)}: "
            "the leads seem to lie on the last axis. Pass np.moveaxis(X, -1, 1)."
        )
