"""From the leads that a file holds to one ECG: names, order, and limb leads that were left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from crtkit._leads import LEADS_12, lead_name, limb_weights
from crtkit.readers.calibration import check_millivolt, check_rate
from crtkit.readers.ecg import ECG


def assemble_ecg(
    leads: dict[str, np.ndarray], fs: float, header: dict[str, Any], kind: str, path: Any
) -> ECG:
    """ECG of leads in millivolt, with all limb leads where two of them are there.

    Parameters
    ----------
    leads : dict of str to ndarray of shape (n_samples,)
    fs : float
    header : dict
    kind : str
        Name of the format.
    path : Path
        Only named in messages.

    Returns
    -------
    ECG
        Standard leads first, in their usual order. ``header["derived_leads"]`` names those that
        were computed from two others.

    Raises
    ------
    ValueError
        No leads, leads of several lengths, or samples or a sampling rate that no ECG has.
    """
    if not leads:
        raise ValueError(
            f"{path.name} holds no leads, and an ECG has one at least. Export it again."
        )
    check_rate(fs, path)
    lengths = {name: len(lead) for name, lead in leads.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise ValueError(f"{path.name} has leads of unequal length, or empty ones: {lengths}.")
    derived = complete_limb_leads(leads)
    names = [name for name in LEADS_12 if name in leads]
    names += [name for name in leads if name not in names]
    signal = check_millivolt(np.stack([leads[name] for name in names]), path, names)
    header = {**header, "derived_leads": derived} if derived else header
    return ECG(signal, float(fs), tuple(names), header, kind)


def complete_limb_leads(leads: dict[str, np.ndarray]) -> list[str]:
    """Add the limb leads that any two of them determine; their names."""
    present = [name for name in LEADS_12[:6] if name in leads]
    absent = [name for name in LEADS_12[:6] if name not in leads]
    if len(present) < 2 or not absent:
        return []
    # I and II as they are, where they are there: their own formula keeps every digit.
    pair = ["I", "II"] if {"I", "II"} <= set(present) else present[:2]
    first, second = leads[pair[0]], leads[pair[1]]
    with np.errstate(invalid="ignore", over="ignore"):  # infinite samples are refused later
        # Plain floats: numpy's would make float64 of leads that came in float32.
        for name, (one, two) in zip(absent, limb_weights(absent, pair).tolist()):
            leads[name] = one * first + two * second
    return absent


def add_lead(leads: dict[str, np.ndarray], name: str, values: np.ndarray, path: Any) -> None:
    """Add a lead under its usual name; one that is there already is refused."""
    name = lead_name(name)
    if not name or name in leads:
        raise ValueError(f"{path.name} has a lead without a name, or twice: {name!r}.")
    leads[name] = values


def describe_patient(age: float, sex: str) -> dict[str, Any]:
    """Age (years) and sex where they are known; an age that nobody reaches is left out."""
    known: dict[str, Any] = {}
    if 0 <= age <= 130:
        known["age"] = age
    full = {"m": "Male", "male": "Male", "f": "Female", "female": "Female"}.get(sex.strip().lower())
    if full:
        known["sex"] = full
    return known
