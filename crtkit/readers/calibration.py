"""From stored steps to millivolt: units, gains and sampling rates that an ECG can have."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Millivolt in a unit, by its name in lower case.
MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
MILLIVOLT.update({"microvolts": 1e-3, "microvolt": 1e-3, "millivolts": 1.0, "millivolt": 1.0})


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


def check_gain(gain: float, where: str) -> float:
    """What one step of the converter is worth; zero, negative and infinite ones are refused."""
    if not (np.isfinite(gain) and gain > 0):
        raise ValueError(f"{where}: a step of the samples is worth {gain:g}; above 0 is expected.")
    return gain


def check_rate(fs: float, path: Any) -> None:
    """Refuse a sampling rate that no ECG has."""
    if not (np.isfinite(fs) and 10 <= fs <= 100_000):
        raise ValueError(f"{path.name} gives no sampling rate that could be one: {fs:g} Hz.")


def whole_rate(rate: float) -> float:
    """A sampling rate that a rounded interval gave, as the whole number that was meant."""
    near = float(np.round(rate))
    return near if abs(rate - near) < 2e-3 * rate else rate


def in_single(signal: np.ndarray, path: Any) -> np.ndarray:
    """Samples as float32; infinite ones are refused, NaN is a missing sample."""
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(signal, dtype=np.float32)
    if np.isinf(single).any():
        raise ValueError(f"{path.name} holds samples that are infinite, or too large for float32.")
    return single
