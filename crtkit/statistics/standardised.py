"""Standardised differences: how far groups are apart, whatever their size."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from crtkit._columns import as_column, as_floats

__all__ = ["standardised_difference"]


def standardised_difference(a: ArrayLike, b: ArrayLike, *, categorical: bool = False) -> float:
    """Difference of two groups in units of their common spread; never negative.

    Parameters
    ----------
    a, b : array-like of shape (n_records,)
        Values of one variable in each group. Missing ones are left out.
    categorical : bool, default=False
        Whether values are levels. Of two levels it is the difference of shares over the spread of
        shares; of more, Mahalanobis' distance of the vectors of shares. 1, 1.0 and True are one
        level.

    Returns
    -------
    float
        Above 0.1 groups are usually called unequal. nan where a group is empty; infinity where
        groups differ and neither varies.

    Raises
    ------
    ValueError
        Text or infinite values where numbers are meant, or more than one column.

    References
    ----------
    Austin, Balance diagnostics for comparing the distribution of baseline covariates, Statistics in
    Medicine 28 (2009) 3083-3107. Yang and Dalton, A unified approach to measuring the effect size
    between two groups using SAS, SAS Global Forum 2012, paper 335 (more than two levels).

    Examples
    --------
    >>> from crtkit.statistics import standardised_difference
    >>> round(standardised_difference([1, 2, 3], [2, 3, 4]), 3)
    1.0
    >>> round(standardised_difference(["F", "F", "M", "M"], ["F", "M", "M", "M"], categorical=True), 3)
    0.535
    """  # noqa: E501
    a, b = (_present(values, categorical) for values in (a, b))
    if not len(a) or not len(b):
        return float("nan")
    if not categorical:
        apart = abs(a.mean() - b.mean())
        spread = [values.var(ddof=1) if len(values) > 1 else np.nan for values in (a, b)]
        # The mean of the variances, not pooled by n: the same in a trial of 1:1 and of 1:3.
        return _over(apart, np.sqrt(np.mean(spread)))
    names = [_level(value) for value in np.concatenate([a, b])]
    levels, where = np.unique(names, return_inverse=True)
    counts = [
        np.bincount(part, minlength=len(levels)) for part in (where[: len(a)], where[len(a) :])
    ]
    return shares_apart(np.array(counts))


def shares_apart(counts: np.ndarray) -> float:
    """Standardised difference of two groups from their counts, (2, n_levels)."""
    if not counts.sum(axis=1).all():
        return float("nan")
    p, q = counts / counts.sum(axis=1, keepdims=True)
    # The last share follows from the others, so that it would make the covariance singular.
    p, q = p[:-1], q[:-1]
    if not len(p):
        return 0.0
    covariance = np.mean([np.diag(x) - np.outer(x, x) for x in (p, q)], axis=0)
    apart = p - q
    if len(p) == 1:
        return _over(abs(apart[0]), np.sqrt(covariance[0, 0]))
    if np.linalg.matrix_rank(np.vstack([covariance, apart])) > np.linalg.matrix_rank(covariance):
        return float("inf")
    return float(np.sqrt(max(0.0, apart @ np.linalg.pinv(covariance) @ apart)))


def largest_difference(parts: list[Any], *, categorical: bool) -> float:
    """The largest standardised difference between any two of several groups."""
    values = [
        standardised_difference(a, b, categorical=categorical) for a, b in combinations(parts, 2)
    ]
    defined = [value for value in values if not np.isnan(value)]
    return max(defined) if defined else float("nan")


def _present(values: ArrayLike, categorical: bool) -> np.ndarray:
    column = as_column("standardised_difference", values)
    if not categorical:
        numbers = as_floats("of a group", pd.Series(column))
        return numbers[~np.isnan(numbers)]
    cells = np.asarray(column, dtype=object)
    return cells[~np.asarray(pd.isna(cells), dtype=bool)]


def _level(value: Any) -> str:
    """Name of a level: an empty cell makes floats of one hospital's codes, not of another's."""
    number = isinstance(value, (int, float, np.number, np.bool_))
    return format(float(value), ".15g") if number else str(value)


def _over(apart: float, spread: float) -> float:
    if spread > 0:
        return float(apart / spread)
    return float("nan") if np.isnan(spread) else 0.0 if apart == 0 else float("inf")
