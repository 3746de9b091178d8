"""How far a new record lies from the training cohort, by measures that a sentence can state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

SMALL = 5  # smallest count that is told, as statistical offices do
# Of the distance between the edges. A quarter: of normal values 1 in 100 lies outside with 60
# patients, 1 in 10,000 with 10,000.
SLACK = 0.25
# Voltage differs between healthy hearts by less than this beyond a cohort's own range; a wrong
# unit or gain by ten or a thousand.
FACTOR = 2.0
_MOST = 2000  # records that the range of a cohort is taken from: more move a percentile little


def edges(values: np.ndarray) -> tuple[float, float]:
    """Means of the lowest and of the highest hundredth of the values, of five values at least.

    A percentile near the end is one patient's value, and may not leave with a model; these means
    are nobody's.

    Parameters
    ----------
    values : ndarray of shape (n_patients,)
        One of each patient, at least five, finite.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.persistence.ranges import edges
    >>> edges(np.arange(101.0))
    (2.0, 98.0)
    """
    ordered = np.sort(values)
    k = max(SMALL, math.ceil(len(ordered) / 100))
    return float(ordered[:k].mean()), float(ordered[-k:].mean())


def amplitude(signals: np.ndarray) -> np.ndarray:
    """Height of each record: the median over leads of the 1st to 99th percentile in time.

    Parameters
    ----------
    signals : ndarray of shape (n_records, n_leads, n_samples)
        Millivolt; NaN where nothing was recorded.

    Returns
    -------
    ndarray of shape (n_records,)
        Millivolt; NaN for a record of nothing but NaN.
    """
    signals = np.asarray(signals, dtype=np.float32)
    heights = np.full(len(signals), np.nan)
    for i, record in enumerate(signals):
        known = np.isfinite(record)
        # nanpercentile takes a slow way through Python, which most records do not need.
        rows = [lead[ok] for lead, ok in zip(record, known) if ok.any()]
        if rows:
            spans = [np.subtract(*np.percentile(row, (99, 1))) for row in rows]
            heights[i] = np.median(spans)
    return heights


def describe_signals(X: pd.DataFrame) -> dict[str, Any]:
    """Range of the records' heights, for a column of arrays; empty for files that are not read."""
    from crtkit.cohort import Select

    step = max(1, len(X) // _MOST)
    try:
        signals = Select("signal").fit_transform(X.iloc[::step])
    except ValueError:  # records of several lengths: nothing that was read into one cohort
        return {}
    if signals.ndim != 3:
        return {}
    heights = amplitude(np.asarray(signals))
    heights = heights[np.isfinite(heights)]
    if len(heights) < SMALL:
        return {}
    low, high = edges(heights)
    return {"amplitude_mv": {"low": float(f"{low:.3g}"), "high": float(f"{high:.3g}")}}


def outside_signals(signals: np.ndarray, training: dict[str, Any] | None) -> list[list[str]]:
    """For each record, whether its height is beyond twice or half of what the cohort had.

    Parameters
    ----------
    signals : ndarray of shape (n_records, n_leads, n_samples)
        Millivolt.
    training : dict or None
        Of :func:`crtkit.persistence.contract.describe_training`.

    Returns
    -------
    list of list of str
    """
    known = (training or {}).get("columns", {}).get("signal", {}).get("amplitude_mv")
    if known is None:
        return [[] for _ in signals]
    low, high = known["low"], known["high"]
    return [
        [
            f"the leads' height is {height:.3g} mV, outside twice or half of the training cohort "
            f"({low:g} to {high:g})"
        ]
        if height < low / FACTOR or height > high * FACTOR
        else []
        for height in amplitude(signals)
    ]


def outside(values: pd.DataFrame, training: dict[str, Any] | None) -> list[list[str]]:
    """For each row, the columns that lie outside what the training cohort had.

    Outside is beyond one of the cohort's :func:`edges` by more than a quarter of their distance.

    Parameters
    ----------
    values : DataFrame of shape (n_records, n_columns)
    training : dict or None
        Of :func:`describe_training`.

    Returns
    -------
    list of list of str
        Reasons, one list for each record.
    """
    reasons: list[list[str]] = [[] for _ in range(len(values))]
    columns = (training or {}).get("columns", {})
    for name in values.columns:
        known = columns.get(str(name))
        if known is None or "low" not in known:
            continue
        low, high = known["low"], known["high"]
        slack = SLACK * (high - low)
        numbers = pd.to_numeric(values[name], errors="coerce").to_numpy(dtype=float)
        for i in np.flatnonzero((numbers < low - slack) | (numbers > high + slack)):
            reasons[i].append(
                f"{name} is {numbers[i]:g}, outside the training cohort ({low:g} to {high:g})"
            )
    return reasons
