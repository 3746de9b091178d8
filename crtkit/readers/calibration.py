"""From stored steps to millivolt: units, gains, rates and amplitudes that an ECG can have.

One set of bounds for every format: a damaged or foreign file is refused by name instead of
becoming a signal that no heart has.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Millivolt in a unit, by its name in lower case.
MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
MILLIVOLT.update({"microvolts": 1e-3, "microvolt": 1e-3, "millivolts": 1.0, "millivolt": 1.0})

#: Largest magnitude of a sample, in millivolt: 16 bits of 1 microvolt reach 33, and the offset of
#: a pair of electrodes rarely 50.
LARGEST_MV = 50.0

#: What one step of a converter may be worth, in millivolt: records stored in 32 bits have steps of
#: 1e-9, those of the first digital recorders of 0.1.
STEP_MV = (1e-12, 10.0)

# A baseline beyond the range of a 32-bit converter belongs to no file that was written on purpose.
_LARGEST_BASELINE = 2.0**32


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


def millivolt_per_unit(unit: str | float | None) -> float:
    """Factor from a unit to millivolt.

    Parameters
    ----------
    unit : str, float or None
        ``"mV"``, ``"uV"``, ``"V"``; or what one count of the converter is worth in millivolt.
        None is millivolt.

    Raises
    ------
    ValueError
        The unit is not one of voltage, or a factor not above 0.
    """
    if unit is None:
        return 1.0
    if isinstance(unit, str):
        try:
            return MILLIVOLT[unit.strip().lower()]
        except KeyError:
            raise ValueError(
                f"unit={unit!r} is not read; give 'mV', 'uV' or 'V', or, for counts of a "
                "converter, what one is worth in mV (a number, 0.00488 for 4.88 microvolt)."
            ) from None
    # True would pass as 1 mV a count.
    if isinstance(unit, bool) or not (np.isfinite(unit) and unit > 0):
        raise ValueError(f"unit={unit!r}: what one count is worth in mV is above 0.")
    return float(unit)


def check_step(step: float, where: str) -> float:
    """Millivolt that one step of the stored samples is worth.

    Raises
    ------
    ValueError
        It is zero, negative, not a number, or outside of ``STEP_MV``.
    """
    low, high = STEP_MV
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"{where}: a step of the samples is worth {step:g}; above 0 is expected.")
    if not low <= step <= high:
        raise ValueError(
            f"{where}: a step of the samples is worth {step:g} mV; {low:g} to {high:g} mV is "
            "expected. The gain or its unit is damaged."
        )
    return step


def check_baseline(baseline: float, where: str) -> float:
    """Stored value, in steps, that stands for 0 mV; refused where no converter could reach it."""
    if not (math.isfinite(baseline) and abs(baseline) <= _LARGEST_BASELINE):
        raise ValueError(
            f"{where}: {baseline:g} is not a plausible baseline; a number of steps is expected."
        )
    return baseline


def check_rate(fs: float, path: Any) -> None:
    """Refuse a sampling rate that no ECG has."""
    if not (np.isfinite(fs) and 10 <= fs <= 100_000):
        raise ValueError(
            f"{path.name} gives a sampling rate of {fs:g} Hz; an ECG has 10 to 100000."
        )


def whole_rate(rate: float) -> float:
    """A sampling rate that a rounded interval gave, as the whole number that was meant."""
    # 0.2 %: 1 / 0.001667 s is 599.88 Hz and 600 was meant; 499 Hz stays what it is.
    near = float(np.round(rate))
    return near if abs(rate - near) < 2e-3 * rate else rate


def check_millivolt(signal: np.ndarray, path: Any, names: Any = None) -> np.ndarray:
    """Leads as float32, if they can be an ECG in millivolt; NaN is a missing sample.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
    path : Path
        Only named in messages.
    names : sequence of str, optional
        Of the leads, for messages.

    Raises
    ------
    ValueError
        Infinite samples, samples above ``LARGEST_MV``, or none that are valid.
    """
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(signal, dtype=np.float32)
    # One pass for the common case: NaN and infinity both reach the sums of min and max.
    low, high = single.min(axis=-1), single.max(axis=-1)
    if not np.isfinite(low + high).all():
        if np.isinf(single).any():
            raise ValueError(
                f"{path.name} holds samples that are infinite, or too large for float32."
            )
        finite = np.isfinite(single)
        if not finite.any():
            raise ValueError(f"{path.name} holds no valid sample: all of them are missing.")
        low = np.where(finite, single, 0.0).min(axis=-1)
        high = np.where(finite, single, 0.0).max(axis=-1)
    # The extremes are at hand: abs() would copy the whole record.
    largest = np.maximum(-low, high)
    if largest.max() > LARGEST_MV:
        lead = int(largest.argmax())
        name = names[lead] if names is not None else f"number {lead + 1}"
        raise ValueError(
            f"{path.name}, lead {name} reaches {largest[lead]:.3g} mV; no ECG exceeds "
            f"{LARGEST_MV:g}. Its unit, gain or baseline is wrong, or the samples are damaged."
        )
    return single
