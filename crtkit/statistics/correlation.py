"""The table behind a correlation map."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import stats

from crtkit._columns import as_frame
from crtkit.statistics.outcome import check_confidence, renamed
from crtkit.statistics.p_values import not_zero


@renamed("level", "confidence")
def pearson_table(a, b=None, *, confidence=0.95) -> pd.DataFrame:
    """Pearson correlation of every column of one table with every column of another.

    Parameters
    ----------
    a : DataFrame of shape (n_patients, n_a)
    b : DataFrame of shape (n_patients, n_b), optional
        Rows as in `a`; without it the pairs of columns of `a`, each once.
    confidence : float, default=0.95
        Of the interval (Fisher's z).

    Returns
    -------
    DataFrame
        One row per pair, index ``(a, b)``; columns ``r``, ``ci_low``, ``ci_high``, ``p_value``,
        ``n`` (pairs of values that are both there), ``note``. ``result["r"].unstack()`` is the
        matrix of a correlation map.

    Raises
    ------
    ValueError
        Tables of different length or index, text columns, columns of one name, infinite values.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import pearson_table
    >>> table = pd.DataFrame({"psd": [30, 45, 60, 52, 41.], "pbw": [90, 140, 200, 150, 150.]})
    >>> pearson_table(table).round(3)[["r", "p_value", "n"]]  # doctest: +NORMALIZE_WHITESPACE
                 r  p_value  n
    a   b
    psd pbw  0.938    0.018  5
    """
    check_confidence("pearson_table", confidence)
    frame_a = _numbers(a, "a")
    frame_b = frame_a if b is None else _numbers(b, "b")
    if not frame_a.index.equals(frame_b.index):
        raise ValueError(
            "pearson_table needs two tables of the same patients: the indices of a "
            f"({len(frame_a)} rows) and b ({len(frame_b)} rows) differ."
        )
    columns_b = list(frame_b.columns)
    rows = []
    for i, name in enumerate(frame_a.columns):
        for other in columns_b[i + 1 :] if b is None else columns_b:
            rows.append(
                {"a": name, "b": other, **_pearson(frame_a[name], frame_b[other], confidence)}
            )
    if not rows:
        raise ValueError("pearson_table needs at least two columns, or a second table.")
    return pd.DataFrame(rows).set_index(["a", "b"])


def _pearson(x, y, confidence) -> dict[str, Any]:
    # Pair by pair, each with its own n: a correlation map loses no patient to a column elsewhere.
    there = x.notna() & y.notna()
    x, y, n = x[there].to_numpy(), y[there].to_numpy(), int(there.sum())
    empty = dict.fromkeys(("r", "ci_low", "ci_high", "p_value"), np.nan)
    if n < 3:
        return {**empty, "n": n, "note": "fewer than 3 pairs"}
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return {**empty, "n": n, "note": "a column is constant"}
    result = stats.pearsonr(x, y)
    r, low, high, note = float(result.statistic), np.nan, np.nan, ""
    # Fisher's z has variance 1 / (n - 3), and none at |r| = 1.
    if n < 4 or abs(r) >= 1:
        note = "no interval: fewer than 4 pairs or |r| = 1"
    else:
        reach = stats.norm.isf((1 - confidence) / 2) / np.sqrt(n - 3)
        low, high = np.tanh(np.arctanh(r) + np.array([-reach, reach]))
    p = not_zero(result.pvalue)
    return {"r": r, "ci_low": low, "ci_high": high, "p_value": p, "n": n, "note": note}


def _numbers(table, name) -> pd.DataFrame:
    table = as_frame(table)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"pearson_table expects DataFrames, {name} is {type(table).__name__}.")
    if not table.columns.is_unique:
        raise ValueError(f"pearson_table needs each column once, {name} has {list(table.columns)}.")
    table = table.infer_objects()  # numbers read beside None are numbers
    text = [c for c in table if not types.is_numeric_dtype(table[c])]
    if text:
        raise ValueError(f"pearson_table needs numbers, {name} has {text}: choose columns first.")
    out = table.astype(float)
    infinite = [c for c in out if np.isinf(out[c]).any()]
    if infinite:
        raise ValueError(f"pearson_table needs finite values, {name} has infinity in {infinite}.")
    return out
