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
        No leads, leads of several lengths, samples that no float32 holds, or a sampling rate that
        is none.
    """
    if not leads:
        raise ValueError(f"{path.name} holds no leads.")
    check_rate(fs, path)
    lengths = {name: len(lead) for name, lead in leads.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise ValueError(f"{path.name} has leads of unequal length, or empty ones: {lengths}.")
    derived = [name for name in _LIMB if name not in leads] if {"I", "II"} <= leads.keys() else []
    with np.errstate(invalid="ignore"):  # infinite samples are refused below
        for name in derived:
            one, two = _LIMB[name]
            leads[name] = one * leads["I"] + two * leads["II"]
    names = [name for name in LEADS_12 if name in leads]
    names += [name for name in leads if name not in names]
    signal = in_single(np.stack([leads[name] for name in names]), path)
    header = {**header, "derived_leads": derived} if derived else header
    return ECG(signal, float(fs), tuple(names), header, kind)


def check_rate(fs: float, path: Any) -> None:
    """Refuse a sampling rate that no ECG has."""
    if not (np.isfinite(fs) and 10 <= fs <= 100_000):
        raise ValueError(f"{path.name} gives no sampling rate that could be one: {fs:g} Hz.")


def in_single(signal: np.ndarray, path: Any) -> np.ndarray:
    """Samples as float32; infinite ones are refused, NaN is a missing sample."""
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(signal, dtype=np.float32)
    if np.isinf(single).any():
        raise ValueError(f"{path.name} holds samples that are infinite, or too large for float32.")
    return single


def check_gain(gain: float, where: str) -> float:
    """What one step of the converter is worth; zero, negative and infinite ones are refused."""
    if not (np.isfinite(gain) and gain > 0):
        raise ValueError(f"{where}: a step of the samples is worth {gain:g}; above 0 is expected.")
    return gain


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
    """Age (years) and sex, where they are known; an age that nobody has is not."""
    found: dict[str, Any] = {}
    if 0 <= age <= 130:
        found["age"] = age
    full = {"m": "Male", "male": "Male", "f": "Female", "female": "Female"}.get(sex.strip().lower())
    if full:
        found["sex"] = full
    return found


def whole_rate(rate: float) -> float:
    """A sampling rate that a rounded interval gave, as the whole number that was meant."""
    near = float(np.round(rate))
    return near if abs(rate - near) < 2e-3 * rate else rate
