"""Medians of small arrays: those of NumPy spend most of their time before they begin."""

import numpy as np


def median(values) -> np.ndarray:
    """``np.median`` over the last axis, three to ten times as fast on up to some hundred values.

    Parameters
    ----------
    values : ndarray of shape (..., n)

    Returns
    -------
    ndarray of shape (...)
        NaN where a value is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.medians import median
    >>> median(np.array([[4.0, 1.0, 2.0], [3.0, np.nan, 5.0]]))
    array([ 2., nan])
    """
    ordered = np.sort(values, axis=-1)  # NaN goes last
    n = ordered.shape[-1]
    if not n:
        return np.full(ordered.shape[:-1], np.nan)
    middle = 0.5 * (ordered[..., (n - 1) // 2] + ordered[..., n // 2])
    return middle + 0.0 * ordered[..., -1]


def median_of_known(values) -> float:
    """Median of a few values, NaN left out; NaN where nothing is left.

    Parameters
    ----------
    values : ndarray of shape (n,)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.medians import median_of_known
    >>> median_of_known(np.array([1.0, np.nan, 4.0]))
    2.5
    """
    known = values[~np.isnan(values)]
    return float(median(known)) if len(known) else float("nan")
