"""Whether arrays are ECGs in millivolt, in the order that is said: units, axes and leads.

An array cannot say its unit or its leads. What an ECG cannot be is refused here, because every
later step would take it: amplitudes of microvolts, limb leads that are not those of one heart.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12, LIMB_FROM_I_II, lead_name, refuse_exchanged_axes
from crtkit.readers.calibration import LARGEST_MV, millivolt_per_unit

# Peak to peak over the leads of a record, in millivolt. Of 1,100 records of PTB-XL, CODE-15 and the
# Challenge of 2011 medians are 1.2 to 2.1; a thousandth or two hundred times as much is not an ECG.
PEAK_TO_PEAK_MV = (0.02, 20.0)

# Within this a unit is suggested: 99 of 100 of those records have 0.5 to 6.
USUAL_MV = (0.5, 8.0)

# Root mean square of what limb leads miss of Einthoven's and Goldberger's sums, over that of the
# leads. Medians on the same records: 0.003 to 0.011, at most 0.34 (a damaged record of CODE-15). In
# another order of leads: above 0.9; with aVL and aVR exchanged, above 0.6 in nine of ten records.
LARGEST_MISFIT = 0.35
LARGEST_MISFIT_OF_ONE = 0.5

# Orders of leads that are met in published arrays.
KNOWN_ORDERS = {
    "I, II, V1-V6, III, aVR, aVL, aVF": ("I", "II", *LEADS_12[6:], "III", "aVR", "aVL", "aVF"),
    "I, II, III, aVL, aVR, aVF, V1-V6": ("I", "II", "III", "aVL", "aVR", "aVF", *LEADS_12[6:]),
    "V1-V6, I, II, III, aVR, aVL, aVF": (*LEADS_12[6:], *LEADS_12[:6]),
    "aVL, I, aVR, II, aVF, III, V1-V6": ("aVL", "I", "aVR", "II", "aVF", "III", *LEADS_12[6:]),
}


def leads_on_last_axis(shape: Sequence[int], n_names: int | None) -> bool:
    """Whether a record (n_samples, n_leads) was stored where (n_leads, n_samples) is expected."""
    if len(shape) != 2 or shape[0] <= shape[1]:
        return False
    return shape[1] == n_names if n_names is not None else shape[1] <= 2 * len(LEADS_12)


def limb_misfit(records: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """How far limb leads are from the sums that one heart gives.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_leads, n_samples)
    names : sequence of str
        Of the leads.

    Returns
    -------
    ndarray of shape (n_records,)
        0 for exact sums, about 1 for leads that have nothing to do with one another. NaN without
        I, II and a third limb lead, or where they hold nothing.
    """
    others = [name for name in LIMB_FROM_I_II if name in names and name not in ("I", "II")]
    if not {"I", "II"} <= set(names) or not others:
        return np.full(len(records), np.nan)
    limb = {name: records[:, list(names).index(name)] for name in ("I", "II", *others)}
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # leads of NaN only
        # Filters and electrodes leave each lead its own offset, which says nothing of the order.
        mean = np.nanmean if any(np.isnan(v).any() for v in limb.values()) else np.mean
        limb = {k: v - mean(v, axis=-1, keepdims=True) for k, v in limb.items()}
        missed = np.zeros(len(records))
        for name in others:
            one, two = LIMB_FROM_I_II[name]
            residual = limb[name] - one * limb["I"] - two * limb["II"]
            missed += mean(residual**2, axis=-1) / len(others)
        energy = np.mean([mean(v**2, axis=-1) for v in limb.values()], axis=0)
        return np.sqrt(missed / energy)


def peak_to_peak(records: np.ndarray) -> np.ndarray:
    """Usual amplitude of each record: one loose electrode must not decide its unit.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

    Returns
    -------
    ndarray of shape (n_records,)
        Median over the leads; NaN where nothing was recorded.
    """
    wide = np.fmax.reduce(records, axis=-1) - np.fmin.reduce(records, axis=-1)
    return np.median(wide, axis=1) if wide.ndim == 2 else wide


def find_problems(
    records: np.ndarray, misfit: np.ndarray | None, spread: np.ndarray
) -> dict[int, str]:
    """Records of a block that cannot be ECGs in millivolt, by their position, and why.

    ``misfit`` is theirs from :func:`limb_misfit`, or None where their leads have no names;
    ``spread`` is from :func:`peak_to_peak`.
    """
    problems: dict[int, str] = {}
    for i in np.flatnonzero((spread > 0) & (spread < PEAK_TO_PEAK_MV[0])):
        problems[int(i)] = (
            f"its leads are {spread[i]:.2g} mV from peak to peak, as in another unit (volts?)"
        )
    flat = np.abs(records.reshape(len(records), -1))
    largest = np.fmax.reduce(flat, axis=1)
    for i in np.flatnonzero(~(largest <= LARGEST_MV)):
        problems[int(i)] = (
            "it holds no valid sample"
            if np.isnan(largest[i])
            else f"it reaches {largest[i]:.3g} mV; no ECG exceeds {LARGEST_MV:g}"
        )
    if misfit is not None:
        for i in np.flatnonzero(misfit > LARGEST_MISFIT_OF_ONE):
            problems.setdefault(
                int(i), "its limb leads do not add up (III = II - I, aVR + aVL + aVF = 0)"
            )
    return problems


def why_no_ecg(
    signals: Any, names: Sequence[str] | None, n_records: int = 50, *, order: bool = True
) -> str:
    """Why arrays cannot be ECGs in millivolt with these leads; empty where they can.

    Parameters
    ----------
    signals : ndarray or Rows of shape (n_records, n_leads, n_samples)
    names : sequence of str or None
        Of the leads; None for twelve in their standard order.
    n_records : int, default=50
        How many are looked at, spread over all.
    order : bool, default=True
        Whether limb leads must add up; leads that were scaled one by one do not.

    Returns
    -------
    str
        For a message: exchanged axes, another unit, or another order of the leads.

    Examples
    --------
    >>> from crtkit.cohort.signal_checks import why_no_ecg
    >>> from crtkit.datasets import simulate_ecg
    >>> signal, _ = simulate_ecg("narrow", 95, random_state=0)
    >>> why_no_ecg(signal[None], None)
    ''
    >>> "(unit='uV' would fit)" in why_no_ecg(1000 * signal[None], None)
    True
    """
    if len(signals.shape) != 3 or 0 in signals.shape:
        return ""
    chosen = np.unique(np.linspace(0, len(signals) - 1, min(n_records, len(signals))).astype(int))
    sample = np.asarray(signals[chosen], dtype=np.float64)
    if names is None and sample.shape[1] == len(LEADS_12):
        names = LEADS_12
    try:
        refuse_exchanged_axes("An ECG model", sample.shape)
        check_unit(peak_to_peak(sample), None, can_be_said=False)
        if order and names is not None and len(names) == sample.shape[1]:
            names = [lead_name(str(name)) for name in names]
            check_lead_order(limb_misfit(sample, names), sample, names)
    except ValueError as error:
        return str(error)
    return ""


def check_unit(spread: np.ndarray, unit: str | float | None, can_be_said: bool = True) -> None:
    """Refuse records whose usual amplitude belongs to another unit.

    Parameters
    ----------
    spread : ndarray of shape (n_records,)
        Median over the leads of each record, in millivolt as they were understood.
    unit : str, float or None
        What the caller said.
    can_be_said : bool, default=True
        Whether the caller takes ``unit=``; arrays of a cohort made by hand must be multiplied.

    Raises
    ------
    ValueError
        The median over records lies outside of ``PEAK_TO_PEAK_MV``; the message says which units
        would fit.
    """
    spread = spread[np.isfinite(spread) & (spread > 0)]
    if not len(spread):
        return
    usual = float(np.median(spread))
    low, high = PEAK_TO_PEAK_MV
    if low <= usual <= high:
        return
    raw = usual / millivolt_per_unit(unit)
    low, high = USUAL_MV
    fitting = [name for name in ("mV", "uV", "V") if low <= raw * millivolt_per_unit(name) <= high]
    # Counts of 5 microvolt read as microvolt would be a small ECG: then no unit is suggested.
    hint = f"unit={fitting[0]!r} would fit" if fitting else "neither mV, uV nor V would fit"
    remedy = (
        f"Say their unit: {hint}; for counts of a converter give what one is worth in mV."
        if can_be_said
        else f"Multiply them by what one is worth in mV ({hint})."
    )
    raise ValueError(
        f"The signals are {usual:.3g} mV from peak to peak (median of {len(spread)} records) "
        f"{'as millivolt' if unit is None else f'with unit={unit!r}'}; an ECG has about 1 to 3. "
        f"{remedy}"
    )


def check_lead_order(misfit: np.ndarray, sample: np.ndarray, names: Sequence[str]) -> None:
    """Refuse records whose leads are not those that their names say.

    Parameters
    ----------
    misfit : ndarray of shape (n_records,)
        From :func:`limb_misfit`.
    sample : ndarray of shape (n_records, n_leads, n_samples)
        Some of the records, to try other orders on.
    names : sequence of str

    Raises
    ------
    ValueError
        In most records the limb leads do not add up; the message names an order that does.
    """
    known = misfit[np.isfinite(misfit)]
    if not len(known) or np.median(known) <= LARGEST_MISFIT:
        return
    fitting = [
        text
        for text, order in KNOWN_ORDERS.items()
        if set(order) == set(names) and np.nanmedian(limb_misfit(sample, order)) <= LARGEST_MISFIT
    ]
    hint = (
        f"The order {fitting[0]} would fit: pass it as lead_names=."
        if fitting
        else "Pass lead_names= in the order of the array. (Leads that were scaled one by one do "
        "not add up either: give the signals in their unit.)"
    )
    raise ValueError(
        f"The limb leads do not add up in {int((known > LARGEST_MISFIT).sum())} of {len(known)} "
        f"records: III = II - I and aVR + aVL + aVF = 0 do not hold for the order "
        f"{', '.join(names)}. {hint}"
    )
