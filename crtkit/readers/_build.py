"""From the leads that a file holds to an ECG: names, units, and limb leads that were left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.readers.ecg import ECG

#: Millivolt in a unit, by its name in lower case.
MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
MILLIVOLT.update({"microvolts": 1e-3, "microvolt": 1e-3, "millivolts": 1.0, "millivolt": 1.0})

_CASE = {name.upper(): name for name in LEADS_12}
# In terms of I and II.
_LIMB = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}


def lead_name(name: str) -> str:
    """The usual spelling of a lead's name; other names as they are."""
    name = name.strip()
    return _CASE.get(name.upper().removeprefix("LEAD").strip(), name)


def build(
    leads: dict[str, np.ndarray], fs: float, header: dict[str, Any], kind: str, path: Any
) -> ECG:
    """ECG of leads in millivolt, all twelve of them where I and II are among eight.

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
        were computed from I and II.

    Raises
    ------
    ValueError
        No leads, leads of several lengths, or a sampling rate that is none.
    """
    if not leads:
        raise ValueError(f"{path.name} holds no leads.")
    if not (np.isfinite(fs) and 10 <= fs <= 100_000):
        raise ValueError(f"{path.name} gives no sampling rate that could be one: {fs:g} Hz.")
    lengths = {name: len(lead) for name, lead in leads.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise ValueError(f"{path.name} has leads of unequal length, or empty ones: {lengths}.")
    derived = [name for name in _LIMB if name not in leads] if {"I", "II"} <= leads.keys() else []
    for name in derived:
        one, two = _LIMB[name]
        leads[name] = one * leads["I"] + two * leads["II"]
    names = [name for name in LEADS_12 if name in leads]
    names += [name for name in leads if name not in names]
    signal = np.stack([leads[name] for name in names]).astype(np.float32)
    header = {**header, "derived_leads": derived} if derived else header
    return ECG(signal, float(fs), tuple(names), header, kind)


def add_lead(leads: dict[str, np.ndarray], name: str, values: np.ndarray, path: Any) -> None:
    """Add a lead under its usual name; one that is there already is refused."""
    name = lead_name(name)
    if not name or name in leads:
        raise ValueError(f"{path.name} has a lead without a name, or twice: {name!r}.")
    leads[name] = values


def scale_of(unit: str, path: Any) -> float:
    """Millivolt in a unit.

    Raises
    ------
    ValueError
        The unit is not one of voltage.
    """
    try:
        return MILLIVOLT[unit.strip().lower()]
    except KeyError:
        raise ValueError(f"{path.name} is in {unit!r}; mV, uV or V is expected.") from None


def patient(age: float, sex: str) -> dict[str, Any]:
    """Age (years) and sex, where they are known."""
    found: dict[str, Any] = {}
    if np.isfinite(age):
        found["age"] = age
    full = {"m": "Male", "male": "Male", "f": "Female", "female": "Female"}.get(sex.strip().lower())
    if full:
        found["sex"] = full
    return found


def whole_rate(rate: float) -> float:
    """A sampling rate that a rounded interval gave, as the whole number that was meant."""
    near = float(np.round(rate))
    return near if abs(rate - near) < 2e-3 * rate else rate
