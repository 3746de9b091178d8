"""Recomputing a printed baseline table from itself: entries that cannot be right are flagged."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit.statistics.group_tests import compare_counts
from crtkit.statistics.logistic import univariate_logistic
from crtkit.statistics.printed.p_values import (
    COUNT_TESTS,
    SLACK,
    counts_of,
    levels_of,
    read_figure,
    read_printed,
)

Z_TOLERANCE = 0.5
COLUMNS = ["variable", "check", "where", "printed", "recomputed", "low", "high", "ok", "note"]


def audit_table(
    table, *, sizes=None, overall="overall", odds_ratios=None, event=None
) -> pd.DataFrame:
    """Recompute what a printed baseline table implies, and flag what does not fit.

    Every figure stands for the interval that rounds to it, so a flag means that no unrounded
    data print this way under the assumption named; it says nothing about why.

    Parameters
    ----------
    table : DataFrame
        As printed; see :func:`crtkit.statistics.rebuild_p_values`.
    sizes : dict, optional
        Group sizes, in place of a row ``n``.
    overall : str, default="overall"
        Column of all patients, if there is one.
    odds_ratios : DataFrame, optional
        Univariate logistic regressions printed for the same patients: index (or column)
        ``variable``, columns ``odds_ratio``, ``ci_low``, ``ci_high``, ``p``.
    event : str, optional
        Column of the group whose odds they are; needed with `odds_ratios`.

    Returns
    -------
    DataFrame
        One row per check, index ``variable``; ``check`` is one of

        - ``percentage``: count over group size, or over the sum of levels;
        - ``sum``: the groups' counts, or the levels, add up;
        - ``mean``, ``sd``: of all patients, as the mixture of the groups' (SDs over n - 1 or n);
        - ``p``: by chi-square, Yates, Fisher and t on 0/1, or by Student, Welch and ANOVA;
        - ``odds ratio``: exact for counts; for means through the ratio of normal densities,
          flagged where the z-values differ by more than 0.5.

        ``where`` is the column, ``printed`` its text, ``recomputed`` the nearest value, ``low``
        and ``high`` what rounding allows, ``ok`` False where they do not meet, ``note`` says how.
        ``result[~result["ok"]]`` are the flags.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, no group sizes, a cell that cannot be read, `odds_ratios` without `event`.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import audit_table
    >>> table = pd.DataFrame(
    ...     {"no": ["103", "25 (24.3)"], "yes": ["182", "30 (16.4)"], "p": ["", "0.11"]},
    ...     index=["n", "Upgrade"],
    ... )
    >>> result = audit_table(table)
    >>> result[~result["ok"]][["check", "where", "printed", "note"]].values.tolist()
    [['percentage', 'yes', '16.4', '30 of 182 is 16.5 (cut, not rounded)']]
    """
    printed = read_printed("audit_table", table, sizes, overall)
    checks = []
    for row in printed.rows:
        if row.kind in ("count", "level"):
            checks += _percentages(printed, row)
        if row.kind == "categorical":
            checks += _level_sums(printed, row)
        if row.kind == "mean_sd":
            checks += _mixture(printed, row)
        checks += _p_values(printed, row)
    if odds_ratios is not None:
        checks += _odds_ratios(printed, odds_ratios, event)
    return pd.DataFrame(checks, columns=COLUMNS).set_index("variable")


def _check(row, check, where, figure, low, high, note="", ok=None) -> dict[str, Any]:
    """One line of the result: does the printed figure meet the interval [low, high]?"""
    nearest = min(max(figure.value, low), high)
    return {
        "variable": row.variable,
        "check": check,
        "where": where,
        "printed": figure.text,
        "recomputed": float(nearest),
        "low": float(low),
        "high": float(high),
        "ok": bool(figure.fits(low, high) if ok is None else ok),
        "note": note,
    }


def _percentages(printed, row) -> list[dict[str, Any]]:
    checks, total = [], sum(printed.sizes.values())
    for group, cell in row.cells.items():
        if len(cell) != 2:
            continue
        count, percent = cell
        n = total if group == printed.overall else printed.sizes[group]
        share = 100 * count.value / n
        decimals = len(percent.text.partition(".")[2])
        # Spreadsheets that cut digits are a habit, not an error of counting: said, still flagged.
        cut = np.floor(share * 10**decimals) / 10**decimals
        note = f"{count.value:.0f} of {n} is {share:.{decimals}f}"
        if not percent.fits(share) and abs(cut - percent.value) < SLACK:
            note += " (cut, not rounded)"
        checks.append(_check(row, "percentage", group, percent, share, share, note))
    overall = row.cells.get(printed.overall, ())
    parts = [row.cells[g] for g in printed.sizes]
    if len(overall) == 2 and all(len(p) == 2 for p in parts):
        added = sum(p[0].value for p in parts)
        checks.append(
            _check(row, "sum", printed.overall, overall[0], added, added, "sum of groups")
        )
    return checks


def _level_sums(printed, row) -> list[dict[str, Any]]:
    lines, checks = levels_of(printed, row), []
    for group, n in printed.sizes.items():
        if len(lines) > 1 and all(len(r.cells[group]) == 2 for r in lines):
            added = sum(r.cells[group][0].value for r in lines)
            figure = read_figure(f"{added:.0f}")
            checks.append(_check(row, "sum", group, figure, n, n, f"levels of {n} patients"))
    return checks


def _mixture(printed, row) -> list[dict[str, Any]]:
    """Mean and SD of all patients from those of the groups."""
    overall = row.cells.get(printed.overall, ())
    cells = [row.cells[g] for g in printed.sizes]
    if len(overall) != 2 or any(len(c) != 2 for c in cells):
        return []
    n = np.array(list(printed.sizes.values()))
    weight = n / n.sum()
    low = np.array([c[0].low for c in cells]) @ weight
    high = np.array([c[0].high for c in cells]) @ weight
    note = f"the groups' means give {(low + high) / 2:.1f}"
    checks = [_check(row, "mean", printed.overall, overall[0], low, high, note)]
    # Means are printed rounded: every corner of the rounding is possible, and the middle.
    between = [_between(n, means) for means in product(*((c[0].low, c[0].high) for c in cells))]
    middle = np.clip((low + high) / 2, [c[0].low for c in cells], [c[0].high for c in cells])
    between.append(_between(n, middle))
    sd_checks = []
    # Papers divide by n - 1 or by n and seldom say which: either is accepted.
    for ddof in (1, 0):
        within = [
            ((n - ddof) * np.square([getattr(c[1], side) for c in cells])).sum()
            for side in ("low", "high")
        ]
        ends = zip(within, (min(between), max(between)))
        sd_low, sd_high = (np.sqrt((w + b) / (n.sum() - ddof)) for w, b in ends)
        note = f"the groups' means and SDs give {(sd_low + sd_high) / 2:.1f}"
        note += "" if ddof else " (SDs over n)"
        sd_checks.append(_check(row, "sd", printed.overall, overall[1], sd_low, sd_high, note))
    return [*checks, next((f for f in sd_checks if f["ok"]), sd_checks[0])]


def _between(n, means) -> float:
    means = np.asarray(means)
    return (n * (means - (n @ means) / n.sum()) ** 2).sum()


def _p_values(printed, row) -> list[dict[str, Any]]:
    if row.p is None:
        return []
    counts = counts_of(printed, row)
    if counts is not None:
        ranges = {t: (compare_counts(counts, t).p_value,) * 2 for t in COUNT_TESTS}
    elif row.kind == "mean_sd":
        ranges = _p_of_moments(printed, row)
    else:
        return []
    ranges = {t: p for t, p in ranges.items() if not np.isnan(p[0])}
    if not ranges:
        return []
    # A table rarely says which test a row had: one that gives the printed p is enough.
    fits = [t for t, (low, high) in ranges.items() if row.p.fits(low, high)]
    shown = {t: ranges[t] for t in fits} or ranges
    nearest = min(shown, key=lambda t: _distance(row.p.value, shown[t]))
    note = f"fits {', '.join(fits)}" if fits else f"no test gives it; nearest is {nearest}"
    if row.p.value == 0:
        note += "; printed as zero"
    return [_check(row, "p", "p", row.p, *shown[nearest], note, ok=bool(fits))]


def _distance(p, interval) -> float:
    low, high = interval
    return max(low - p, p - high, 0.0)


def _p_of_moments(printed, row) -> dict[str, tuple[float, float]]:
    """Range of p over the corners of rounding: Student and Welch, or one-way ANOVA."""
    cells = [row.cells[g] for g in printed.sizes]
    if any(len(c) != 2 for c in cells):
        return {}
    n = np.array(list(printed.sizes.values()))
    names = ("student", "welch") if len(n) == 2 else ("anova",)
    corners = list(product(*((c[0].low, c[0].high) for c in cells)))
    equal = len(n) == 2 and cells[0][0].fits(cells[1][0].low, cells[1][0].high)
    ranges = {}
    for suffix, widen in (("", 1.0), (" (SDs over n)", np.sqrt(n / (n - 1)))):
        for name in names:
            p = [1.0] if equal else []  # the means may be equal before rounding
            for side in ("low", "high"):
                sds = np.maximum([getattr(c[1], side) for c in cells], 1e-12) * widen
                p += [_moment_p(name, np.array(means), sds, n) for means in corners]
            ranges[name + suffix] = (min(p), max(p))
    return ranges


def _moment_p(name, means, sds, n) -> float:
    if name == "anova":
        within = ((n - 1) * sds**2).sum() / (n.sum() - len(n))
        f = _between(n, means) / (len(n) - 1) / within
        return float(stats.f.sf(f, len(n) - 1, n.sum() - len(n)))
    return float(
        stats.ttest_ind_from_stats(
            means[0], sds[0], n[0], means[1], sds[1], n[1], equal_var=name == "student"
        ).pvalue
    )


def _odds_ratios(printed, odds_ratios, event) -> list[dict[str, Any]]:
    if not isinstance(odds_ratios, pd.DataFrame):
        raise TypeError("audit_table expects odds_ratios as a DataFrame.")
    if event not in printed.sizes or len(printed.sizes) != 2:
        raise ValueError(
            f"audit_table needs event=, one of the two groups {list(printed.sizes)}, to compare "
            f"odds ratios; got {event!r}."
        )
    if "variable" in odds_ratios:
        odds_ratios = odds_ratios.set_index("variable")
    missing = [c for c in ("odds_ratio", "p") if c not in odds_ratios]
    if missing:
        raise ValueError(f"audit_table: odds_ratios has no columns {missing}.")
    if not odds_ratios.index.is_unique:
        twice = sorted(set(odds_ratios.index[odds_ratios.index.duplicated()]))
        raise ValueError(f"audit_table: odds_ratios has {twice} more than once.")
    other = next(g for g in printed.sizes if g != event)
    checks = []
    for row in printed.rows:
        if row.variable not in odds_ratios.index:
            continue
        line = odds_ratios.loc[row.variable]
        ratio, p = (read_figure(str(line[c]).strip()) for c in ("odds_ratio", "p"))
        if row.kind == "mean_sd" and all(len(row.cells[g]) == 2 for g in (event, other)):
            checks.append(_ratio_of_means(printed, row, event, other, ratio, p))
        elif (counts := counts_of(printed, row)) is not None:
            checks.append(_ratio_of_counts(printed, row, event, counts, ratio, p))
    return checks


def _ratio_of_counts(printed, row, event, counts, ratio, p) -> dict[str, Any]:
    """The logistic model of a flag, or of levels scored 0, 1, 2, ..., follows from the counts."""
    column = list(printed.sizes).index(event)
    score = np.concatenate([np.repeat(np.arange(len(counts)), c) for c in counts.T])
    y = np.concatenate([np.full(c.sum(), i == column) for i, c in enumerate(counts.T)])
    got = univariate_logistic(pd.DataFrame({"x": score}), y).iloc[0]
    note = f"the counts give {got['odds_ratio']:.3g} (p {got['p']}), printed p {p.text}"
    ok = ratio.fits(got["odds_ratio"]) and p.fits(got["p_value"])
    odds = got["odds_ratio"]
    return _check(row, "odds ratio", "odds ratio", ratio, odds, odds, note, ok=ok)


def _ratio_of_means(printed, row, event, other, ratio, p) -> dict[str, Any]:
    """Two normal densities of one variance have a logistic ratio with slope (m1 - m0) / s^2."""
    n = np.array([printed.sizes[event], printed.sizes[other]])
    cells = row.cells[event], row.cells[other]
    means, sds = np.array([[f.value for f in cell] for cell in cells]).T
    variance = ((n - 1) * sds**2).sum() / (n.sum() - 2)
    slope = (means[0] - means[1]) / variance
    # Both means are rounded, each by up to half a unit of its last digit.
    reach = max(c[0].high - c[0].low for c in cells) / variance
    z = np.sign(slope) * stats.norm.isf(_moment_p("student", means, sds, n) / 2)
    # "<0.001" and "0.000" bound z from below and say no more: a strong predictor is not flagged.
    bound = p.low <= 0
    z_printed = stats.norm.isf(max(p.high if bound else p.value, 1e-12) / 2)
    side = -1.0 if ratio.high < 1 or (ratio.low < 1 and z < 0) else 1.0
    z_printed *= side  # a printed 1.0 may stand on either side
    note = (
        f"means and SDs give about {np.exp(slope):.3g} (z {z:.2f}, p "
        f"{2 * stats.norm.sf(abs(z)):.3f}), printed p {p.text} "
        f"(z {'beyond ' if bound else ''}{z_printed:.2f})"
    )
    low, high = np.exp([slope - reach, slope + reach])
    short = side * (z_printed - z)  # how far z falls short of what is printed
    ok = short <= Z_TOLERANCE if bound else abs(short) <= Z_TOLERANCE
    return _check(row, "odds ratio", "odds ratio", ratio, low, high, note, ok=ok)
