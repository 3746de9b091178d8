"""Wilson's interval of a share of patients."""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["wilson_interval"]


def wilson_interval(
    n_successes: float, n: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's interval of a proportion of patients; never of zero width.

    Parameters
    ----------
    n_successes, n : int
    confidence : float, default=0.95

    Returns
    -------
    low, high : float
        nan where ``n`` is 0.

    Raises
    ------
    ValueError
        More successes than patients, a negative count, or a confidence outside (0, 1).

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat.
    Assoc. 22 (1927) 209-212.

    Examples
    --------
    >>> from crtkit.evaluation import wilson_interval
    >>> [round(limit, 3) for limit in wilson_interval(4, 4)]
    [0.51, 1.0]
    """
    check_confidence(confidence)
    if not 0 <= n_successes <= n:
        raise ValueError(f"wilson_interval expects 0 <= {n_successes!r} <= {n!r}.")
    if n == 0:
        return float("nan"), float("nan")
    z2 = stats.norm.ppf((1 + confidence) / 2) ** 2
    share = n_successes / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no share, such as 95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
