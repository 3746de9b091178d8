"""Table 1 of a clinical paper: groups of patients compared, one row per variable."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from crtkit._columns import as_frame, holds_dates, levels_of, like_levels
from crtkit._labels import reads_as_negative, stated_order
from crtkit.statistics.group_tests import (
    TestResult,
    compare_counts,
    compare_means,
    levene_p,
    shapiro_p,
)
from crtkit.statistics.p_values import benjamini_hochberg, format_p, holm
from crtkit.statistics.standardised import largest_difference
from crtkit.statistics.table_files import MEANING, table_note
from crtkit.statistics.variable_names import before_count, printed_names

KINDS = ("mean_sd", "median_iqr", "auto", "binary", "categorical")
MEAN_TESTS = ("student", "welch", "levene", "mannwhitney")
COUNT_TESTS = ("chi2", "chi2_yates", "fisher", "t")
MAX_LEVELS = 10
# A number with as few whole values as these, close together and often repeated, is a code.
CODE_LEVELS, CODE_RANGE = 5, 9
RESERVED = {"overall", "p", "SMD", "missing", "variable", *MEANING}


def baseline_table(
    table,
    by,
    *,
    variables=None,
    kinds=None,
    continuous="auto",
    test="auto",
    categorical="chi2",
    order=None,
    labels=None,
    levels="joined",
    adjust=None,
    decimals=1,
    numbers=True,
    smd=False,
    names=None,
) -> pd.DataFrame:
    """Compare the baseline characteristics of groups of patients, one row per variable.

    Parameters
    ----------
    table : DataFrame of shape (n_patients, n_variables)
        One row per patient. Missing values are left out variable by variable, and counted.
    by : str or array-like of shape (n_patients,)
        The groups: a column of `table`, or labels. No label may be missing.
    variables : list of str, optional
        Which columns, in which order. By default every column but `by` that holds numbers,
        flags, or text of at most ten levels, but no dates; what was left out is in
        ``result.attrs``.
    kinds : dict, optional
        ``{variable: kind}`` with kind one of ``"mean_sd"``, ``"median_iqr"``, ``"auto"``,
        ``"binary"``, ``"categorical"``; others are told from the values: flags, text and codes of
        two levels are binary (counted, and named unless it is a flag, is the greater level, or
        the affirmative one of a pair such as "ja" and "nein"), other text and codes are
        categorical, other numbers are continuous. A code is a column of at most five whole
        numbers, close together and often repeated: NYHA 2, 3, 4 is one.
    continuous : {"auto", "mean_sd", "median_iqr"}, default="auto"
        Kind of the continuous variables. ``"auto"`` is the mean where Shapiro-Wilk finds no
        departure from normality in any group (p >= 0.05), else the median.
    test : {"auto", "student", "welch", "levene", "mannwhitney"}, default="auto"
        Test of continuous variables. ``"auto"`` is Student's t for means and Mann-Whitney U for
        medians; ``"levene"`` takes Welch where the variances differ (Levene p < 0.05). Of more
        than two groups: one-way ANOVA, Kruskal-Wallis, Welch's ANOVA.
    categorical : {"chi2", "chi2_yates", "fisher", "t"}, default="chi2"
        Test of counts: Pearson's chi-square, with Yates' correction (one degree of freedom
        only), Fisher's exact test, or Student's t on values 0 and 1. All four are in print.
    order : list, optional
        Group labels from left to right; sorted by default.
    labels : dict, optional
        ``{group label: column name}``.
    levels : {"joined", "rows"}, default="joined"
        Levels of a categorical variable in one cell, or one row per level below its variable
        (index ``"NYHA: II"``).
    adjust : {None, "holm", "bh"}, default=None
        Adds ``p_adjusted`` over the variables of this table.
    decimals : int, default=1
        Of the printed means, medians and percentages.
    numbers : bool, default=True
        False leaves only what is printed: groups, ``p``, ``SMD`` where asked for, and ``missing``.
    smd : bool, default=False
        Print the standardised mean difference (:func:`standardised_difference`), of more than two
        groups the largest between any two; its number is in ``smd`` either way.

    Returns
    -------
    DataFrame
        Index ``variable``. Printed columns: ``overall``, one per group, ``p`` (never rounded to
        zero: "<0.001") and ``missing``. Then ``p_value`` (float), ``statistic``, ``test``,
        ``kind``, ``note`` (why a p-value is missing or doubtful), ``smd``, ``shapiro_p`` and
        ``levene_p`` of continuous variables, and for overall and each group ``n``, ``missing``,
        ``mean``, ``sd``, ``median``, ``q1``, ``q3``, ``count`` and ``percent``, as
        ``"mean (group)"``. ``attrs``: ``left_out``, columns that hold no category, ``counts`` of
        patients by group, and ``names`` of the rows, which :func:`write_table` prints.

    Raises
    ------
    TypeError
        If `table` is not a DataFrame.
    ValueError
        A variable that is not in the table, a kind or name for an unknown one, one group, missing
        labels, infinite values.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import baseline_table
    >>> patients = pd.DataFrame({
    ...     "qrs": [150, 160, 170, 165, 140, 135, 150, None],
    ...     "lbbb": [1, 1, 1, 0, 0, 1, 0, 0],
    ...     "responder": [1, 1, 1, 1, 0, 0, 0, 0],
    ... })
    >>> names = {0: "no response", 1: "response"}
    >>> table = baseline_table(patients, "responder", labels=names, numbers=False)
    >>> table.iloc[:, 1:]  # doctest: +NORMALIZE_WHITESPACE
              no response     response      p  missing
    variable
    qrs       141.7 ± 7.6  161.2 ± 8.5  0.026        1
    lbbb         1 (25.0)     3 (75.0)  0.157        0
    """
    table = as_frame(table)
    _check_options(table, continuous, test, categorical, levels, adjust)
    stated = None
    if order is None:
        grouped = table[by] if types.is_scalar(by) and by in table else by
        stated = stated_order("baseline_table", [grouped])
    groups, table = _groups(table, by)
    if stated is not None:
        order = [level for level in stated if level in set(groups)]
    order = _group_order(groups, order)
    heads = [str((labels or {}).get(label, label)) for label in order]
    if len(set(heads)) < len(heads) or RESERVED & set(heads):
        raise ValueError(
            "baseline_table needs distinct column names of groups, none of "
            f"{sorted(RESERVED)}; got {heads}. Rename them by labels={{label: name}}."
        )
    members = [np.ones(len(table), dtype=bool)] + [groups == label for label in order]
    chosen, left_out = _choose(table, variables)
    for what, given in (("kinds", kinds), ("names", names)):
        strangers = [name for name in given or {} if name not in chosen]
        if strangers:
            raise ValueError(
                f"baseline_table: {what} names {strangers}, which are not rows: {chosen}."
            )

    rows = []
    for variable in chosen:
        kind = _kind(table[variable], (kinds or {}).get(variable), continuous)
        if kind in ("binary", "categorical"):
            rows += _count_rows(
                table[variable], members, ["overall", *heads], kind, categorical, levels, decimals
            )
        else:
            rows.append(
                _number_row(table[variable], members, ["overall", *heads], kind, test, decimals)
            )
    out = pd.DataFrame(rows).set_index("variable")
    if adjust:
        out["p_adjusted"] = (holm if adjust == "holm" else benjamini_hochberg)(out["p_value"])
    if smd:
        out["SMD"] = [_print_smd(value) for value in out["smd"]]
    printed = ["overall", *heads, "p", *(["SMD"] if smd else []), "missing"]
    first = [c for c in [*printed, *MEANING] if c in out]
    out = out[first + [c for c in out if c not in first]]
    out.attrs["left_out"] = left_out
    out.attrs["names"] = printed_names(out.index, names)
    out.attrs["counts"] = {n: int(m.sum()) for n, m in zip(["overall", *heads], members)}
    if not numbers:
        # What a reader of the file asks is kept when the columns that answer it are not.
        out.attrs["printed_note"] = table_note(out)
        out = out[printed]
    return out


def _check_options(table, continuous, test, categorical, levels, adjust) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"baseline_table expects a DataFrame, got {type(table).__name__}.")
    for name, value, allowed in (
        ("continuous", continuous, ("auto", "mean_sd", "median_iqr")),
        ("test", test, ("auto", *MEAN_TESTS)),
        ("categorical", categorical, COUNT_TESTS),
        ("levels", levels, ("joined", "rows")),
        ("adjust", adjust, (None, "holm", "bh")),
    ):
        if value not in allowed:
            raise ValueError(f"baseline_table: {name} must be one of {allowed}, got {value!r}.")


def _groups(table, by) -> tuple[np.ndarray, pd.DataFrame]:
    """Labels as an object array, and the table without the label column."""
    if types.is_scalar(by):
        if by not in table:
            raise ValueError(f"baseline_table: by={by!r} is not a column of the table.")
        labels, rest = table[by], table.drop(columns=by)
    else:
        if isinstance(by, pd.Series) and not by.index.equals(table.index):
            raise ValueError("baseline_table: by is a Series whose index differs from the table's.")
        if np.ndim(by) != 1:
            raise ValueError(
                "baseline_table needs by as a column or as labels of shape (n_patients,), got "
                f"shape {np.shape(by)}."
            )
        labels, rest = pd.Series(np.asarray(by, dtype=object)), table
    if len(labels) != len(table):
        raise ValueError(f"baseline_table: {len(table)} rows, but {len(labels)} labels in by.")
    if labels.isna().any():
        raise ValueError(
            f"baseline_table: {int(labels.isna().sum())} rows have no label in by. Drop them first."
        )
    for name, column in rest.items():
        texts = {cell for cell in column.tolist() if isinstance(cell, str)}
        # A free text is not a category: it has about as many levels as rows.
        alike = like_levels(sorted(texts)) if len(texts) <= 2 * MAX_LEVELS else []
        if alike:
            warnings.warn(
                f"baseline_table: levels of {name!r} differ only by blanks or case and are counted "
                f"apart: {alike[:3]}. Write each level in one way.",
                UserWarning,
                stacklevel=3,
            )
    # Numbers read beside None (from a database, a spreadsheet) are numbers.
    return labels.to_numpy(dtype=object), rest.infer_objects()


def _group_order(groups, order) -> list[Any]:
    present = list(pd.unique(groups))
    if len(present) < 2:
        raise ValueError(f"baseline_table needs two groups or more, got one class: {present}.")
    if order is None:
        try:
            return sorted(present)
        except TypeError:
            return sorted(present, key=str)
    if set(order) != set(present):
        raise ValueError(f"baseline_table: order {list(order)} is not the groups {present}.")
    return list(order)


def _choose(table, variables) -> tuple[list[Any], list[Any]]:
    if not table.columns.is_unique:
        raise ValueError("baseline_table: the table has columns of the same name.")
    if variables is not None:
        variables = [variables] if isinstance(variables, str) else list(variables)
        missing = [v for v in variables if v not in table]
        if missing or not len(variables):
            raise ValueError(f"baseline_table: no such columns: {missing or 'none were named'}.")
        return variables, []
    chosen = [c for c in table if types.is_numeric_dtype(table[c]) or _few_levels(table[c])]
    if not chosen:
        raise ValueError("baseline_table: no column of numbers, flags or few levels in the table.")
    return chosen, [c for c in table if c not in chosen]


def _few_levels(column) -> bool:
    values = column.dropna()
    try:
        n_levels = values.nunique()
    except TypeError:  # arrays or other cells that have no hash
        return False
    few = types.is_scalar(values.iloc[0] if len(values) else "") and n_levels <= MAX_LEVELS
    return few and not holds_dates(column)


def _kind(column, asked, continuous) -> str:
    """One of mean_sd, median_iqr, auto, binary, categorical."""
    if asked is not None and asked not in KINDS:
        raise ValueError(
            f"baseline_table: kind of {column.name!r} must be one of {KINDS}, got {asked!r}."
        )
    numeric = types.is_numeric_dtype(column)
    if numeric and np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
        raise ValueError(f"baseline_table: {column.name!r} has infinite values.")
    n_levels = column.nunique()
    if asked in ("mean_sd", "median_iqr", "auto") and not numeric:
        raise ValueError(
            f"baseline_table: {column.name!r} holds no numbers, it cannot be {asked!r}."
        )
    if asked == "binary" and n_levels > 2:
        raise ValueError(f"baseline_table: {column.name!r} has {n_levels} levels, binary has two.")
    if asked:
        return asked
    code = not numeric or _code(column)
    if types.is_bool_dtype(column) or _flags(column) or (n_levels == 2 and code):
        return "binary"
    return "categorical" if code else continuous


def _flags(column) -> bool:
    """Whether numbers are only 0 and 1 (a column of zeros, or empty, is not continuous)."""
    return set(column.dropna().unique()) <= {0, 1} and column.notna().any()


def _code(column) -> bool:
    """Whether numbers are the codes of a category, such as NYHA classes."""
    values = column.dropna().to_numpy(dtype=float)
    levels = np.unique(values)
    return (
        2 <= len(levels) <= CODE_LEVELS
        and bool(np.all(levels == np.round(levels)))
        and np.ptp(levels) <= CODE_RANGE
        # Of few patients five ages may lie close together; they do not repeat so often.
        and len(values) >= 3 * len(levels)
    )


def _print_smd(value) -> str:
    return "" if np.isnan(value) else "∞" if np.isinf(value) else f"{value:.2f}"


def _number_row(column, members, names, kind, test, decimals) -> dict[str, Any]:
    values = column.to_numpy(dtype=float, na_value=np.nan)
    parts = [values[where & ~np.isnan(values)] for where in members]
    row = {"variable": column.name, "missing": int(np.isnan(values).sum())}
    row["shapiro_p"], row["levene_p"] = shapiro_p(parts[1:]), levene_p(parts[1:])
    if kind == "auto":
        kind = "median_iqr" if row["shapiro_p"] < 0.05 else "mean_sd"
    if test == "auto":
        test = "student" if kind == "mean_sd" else "mannwhitney"
    for name, part, where in zip(names, parts, members):
        numbers = _describe(part)
        row[name] = _print(numbers, kind, decimals)
        row[f"n ({name})"] = len(part)
        row[f"missing ({name})"] = int(where.sum()) - len(part)
        row.update({f"{stat} ({name})": value for stat, value in numbers.items()})
    row["smd"] = largest_difference(parts[1:], categorical=False)
    return {**row, "kind": kind, **_tested(compare_means(parts[1:], test))}


def _describe(values) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("mean", "sd", "median", "q1", "q3"), np.nan)
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    sd = values.std(ddof=1) if len(values) > 1 else np.nan
    return {"mean": values.mean(), "sd": sd, "median": median, "q1": q1, "q3": q3}


def _print(numbers, kind, decimals) -> str:
    if np.isnan(numbers["mean"]):
        return "–"
    text = {k: "–" if np.isnan(v) else f"{v:.{decimals}f}" for k, v in numbers.items()}
    if kind == "mean_sd":
        return f"{text['mean']} ± {text['sd']}"
    return f"{text['median']} [{text['q1']}–{text['q3']}]"


def _count_rows(column, members, names, kind, method, levels, decimals) -> list[dict[str, Any]]:
    there = column.notna().to_numpy()
    level_names = levels_of(column)
    if kind == "binary" and set(level_names) <= {0, 1}:  # a flag that nobody, or everybody, has
        level_names = [0, 1]
    values = column.to_numpy(dtype=object)
    if kind == "binary" and len(level_names) > 2:
        # Levels that a filter emptied: the one that is counted must be one of the two.
        level_names = [x for x in level_names if (values[there] == x).any()]
    if kind == "binary" and len(level_names) == 2 and reads_as_negative(*level_names[::-1]):
        level_names.reverse()
    counts = np.array([[int((values[m & there] == x).sum()) for m in members] for x in level_names])
    counts = counts.reshape(len(level_names), len(members))
    totals = [int((m & there).sum()) for m in members]
    result = (
        compare_counts(counts[:, 1:], method) if level_names else TestResult("", note="no values")
    )
    row = {"variable": column.name, "missing": int((~there).sum()), "kind": kind}
    for name, m, total in zip(names, members, totals):
        row[f"n ({name})"], row[f"missing ({name})"] = total, int(m.sum()) - total
    row.update(_tested(result))
    row["smd"] = largest_difference([values[m & there] for m in members[1:]], categorical=True)
    percent = 100 * counts / np.where(np.array(totals) > 0, totals, np.nan)
    cells = [
        [f"{c} ({p:.{decimals}f})" if t else "–" for c, p, t in zip(line, share, totals)]
        for line, share in zip(counts, percent)
    ]
    if kind == "binary" and level_names:
        named = "" if set(level_names) <= {0, 1} else before_count(level_names[-1])
        row.update(_counted(names, [named + c for c in cells[-1]], counts[-1], percent[-1]))
        return [row]
    if levels == "joined":
        joined = [
            ", ".join(before_count(x) + c for x, c in zip(level_names, column))
            for column in zip(*cells)
        ]
        row.update(zip(names, joined or ["–"] * len(names)))
        return [row]
    row.update(dict.fromkeys(names, ""))
    below = [
        {"variable": f"{column.name}: {x}", "kind": "level", "p": "", "test": "", "note": "",
         "missing": 0, "smd": np.nan, **_counted(names, *line)}
        for x, line in zip(level_names, zip(cells, counts, percent))
    ]  # fmt: skip
    return [row, *below]


def _counted(names, cells, counts, percent) -> dict[str, Any]:
    row = dict(zip(names, cells))
    row.update({f"count ({name})": int(c) for name, c in zip(names, counts)})
    row.update({f"percent ({name})": float(p) for name, p in zip(names, percent)})
    return row


def _tested(result) -> dict[str, Any]:
    return {
        "p": format_p(result.p_value),
        "p_value": result.p_value,
        "statistic": result.statistic,
        "test": result.test,
        "note": result.note,
    }
