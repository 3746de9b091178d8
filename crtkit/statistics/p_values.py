"""p-values as numbers and as print: never zero, adjusted for several tests."""

import numpy as np
from scipy import stats

SMALLEST = float(np.finfo(float).smallest_subnormal)


def not_zero(p) -> float:
    """The p-value, or the smallest float where it underflowed: no test has p = 0."""
    return p if np.isnan(p) else max(float(p), SMALLEST)


def format_p(p, decimals=3) -> str:
    """Print a p-value: three decimals, "<0.001" below, "" where there is none.

    Parameters
    ----------
    p : float
    decimals : int, default=3

    Returns
    -------
    str

    Examples
    --------
    >>> format_p(0.0412), format_p(0.00002), format_p(0.99996), format_p(float("nan"))
    ('0.041', '<0.001', '>0.999', '')
    """
    if p is None or np.isnan(p):
        return ""
    step = 10.0**-decimals
    if p < step:
        return f"<{step:.{decimals}f}"
    if round(p, decimals) >= 1 and p < 1:
        return f">{1 - step:.{decimals}f}"
    return f"{p:.{decimals}f}"


def holm(p) -> np.ndarray:
    """Holm's step-down adjusted p-values; nan stays nan and counts as no test.

    Parameters
    ----------
    p : array-like of shape (n_tests,)

    Returns
    -------
    ndarray of shape (n_tests,)

    References
    ----------
    Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.
    """
    p = np.asarray(p, dtype=float)
    out = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    # Not statsmodels' multipletests: it calls gc.collect() each time, 0.1 s in a small process and
    # 0.7 s beside torch, where this takes 10 µs.
    scaled = p[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(scaled), 1) if len(order) else scaled
    return out


def benjamini_hochberg(p) -> np.ndarray:
    """Benjamini-Hochberg adjusted p-values (false discovery rate); nan stays nan.

    Parameters
    ----------
    p : array-like of shape (n_tests,)

    Returns
    -------
    ndarray of shape (n_tests,)

    References
    ----------
    Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57:289-300.
    """
    p = np.asarray(p, dtype=float)
    out = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        out[tested] = stats.false_discovery_control(p[tested], method="bh")
    return out
