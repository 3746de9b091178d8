"""One variable between groups: the tests a Table 1 prints, as plain functions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from crtkit.statistics.p_values import not_zero

FISHER_LIMIT = 2_000_000


@dataclass(frozen=True)
class TestResult:
    """What a test gives; ``note`` says why where ``p_value`` is nan."""

    __test__ = False  # pytest must not collect a class of this name

    test: str
    statistic: float = np.nan
    p_value: float = np.nan
    note: str = ""


def compare_means(groups, method) -> TestResult:
    """Compare the means, or the ranks, of two or more groups.

    Parameters
    ----------
    groups : list of ndarray
        One array of finite values per group.
    method : {"student", "welch", "levene", "mannwhitney"}
        Of more than two groups: one-way ANOVA, Welch's ANOVA, either by Levene's test (below
        0.05 Welch), Kruskal-Wallis.

    Returns
    -------
    TestResult
    """
    two = len(groups) == 2
    names = {
        "student": "Student t" if two else "one-way ANOVA",
        "welch": "Welch t" if two else "Welch ANOVA",
        "mannwhitney": "Mann-Whitney U" if two else "Kruskal-Wallis",
    }
    if method == "levene":
        method = "welch" if levene_p(groups) < 0.05 else "student"
    name = names[method]
    least = 1 if method == "mannwhitney" else 2
    if min(len(g) for g in groups) < least:
        return TestResult(name, note=f"a group has fewer than {least} values")
    if method != "mannwhitney" and all(np.ptp(g) == 0 for g in groups):
        return TestResult(name, note="constant within every group")
    if np.ptp(np.concatenate(groups)) == 0:
        return TestResult(name, note="constant")
    if method == "welch" and not two:
        return _welch_anova(groups)
    if method == "mannwhitney":
        statistic, p = stats.mannwhitneyu(*groups) if two else stats.kruskal(*groups)
    elif two:
        (m1, s1, n1), (m2, s2, n2) = ((g.mean(), g.std(ddof=1), len(g)) for g in groups)
        statistic, p = stats.ttest_ind_from_stats(
            m1, s1, n1, m2, s2, n2, equal_var=method == "student"
        )
    else:
        statistic, p = stats.f_oneway(*groups)
    return TestResult(name, float(statistic), not_zero(p))


def levene_p(groups) -> float:
    """Levene's test about the medians, as scipy's; nan where nothing can be tested."""
    if min(len(g) for g in groups) < 2 or all(np.ptp(g) == 0 for g in groups):
        return np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return not_zero(stats.levene(*groups, center="median").pvalue)


def shapiro_p(groups) -> float:
    """Smallest Shapiro-Wilk p-value of the groups; nan where none can be tested.

    The test is defined to 5,000 values: of a larger group an evenly spaced 5,000 of its sorted
    values are tested.
    """
    values = []
    for group in groups:
        if len(group) < 3 or np.ptp(group) == 0:
            continue
        if len(group) > 5000:
            group = np.sort(group)[np.linspace(0, len(group) - 1, 5000).astype(int)]
        values.append(not_zero(stats.shapiro(group).pvalue))
    return min(values, default=np.nan)


def compare_counts(counts, method) -> TestResult:
    """Compare the distribution over levels between groups.

    Parameters
    ----------
    counts : array-like of shape (n_levels, n_groups)
        Patients.
    method : {"chi2", "chi2_yates", "fisher", "t"}
        ``"chi2_yates"`` corrects tables of one degree of freedom only, as is usual; ``"t"`` is a
        Student t-test (one-way ANOVA of more groups) on values 0 and 1.

    Returns
    -------
    TestResult
    """
    counts = np.asarray(counts)
    counts = counts[counts.sum(1) > 0]
    two_by_two = counts.shape == (2, 2)
    names = {
        "chi2": "chi-square",
        "chi2_yates": "chi-square, Yates" if two_by_two else "chi-square",
        "fisher": "Fisher exact",
        "t": "Student t on 0/1" if counts.shape[1] == 2 else "one-way ANOVA on 0/1",
    }
    name = names[method]
    if (counts.sum(0) == 0).any():
        return TestResult(name, note="a group has no values")
    if len(counts) < 2:
        return TestResult(name, note="constant")
    if method == "fisher":
        return _fisher(counts)
    if method == "t":
        if len(counts) != 2:
            return TestResult(name, note="a t-test on 0/1 is for two levels")
        groups = [np.repeat([0.0, 1.0], column) for column in counts.T]
        result = compare_means(groups, "student")
        return TestResult(name, result.statistic, result.p_value, result.note)
    table = stats.chi2_contingency(counts, correction=method == "chi2_yates")
    low = int((table.expected_freq < 5).sum())
    note = f"expected count below 5 in {low} of {counts.size} cells" if low else ""
    return TestResult(name, float(table.statistic), not_zero(table.pvalue), note)


def _welch_anova(groups) -> TestResult:
    """Welch's one-way analysis of variance (Biometrika 1951;38:330-336)."""
    k = len(groups)
    n = np.array([len(g) for g in groups])
    variance = np.array([g.var(ddof=1) for g in groups])
    if (variance == 0).any():
        return TestResult("Welch ANOVA", note="a group is constant")
    weight = n / variance
    mean = np.array([g.mean() for g in groups])
    grand = (weight * mean).sum() / weight.sum()
    between = (weight * (mean - grand) ** 2).sum() / (k - 1)
    spread = ((1 - weight / weight.sum()) ** 2 / (n - 1)).sum()
    f = between / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    return TestResult(
        "Welch ANOVA", float(f), not_zero(stats.f.sf(f, k - 1, (k**2 - 1) / (3 * spread)))
    )


def _fisher(counts) -> TestResult:
    """Fisher's exact test (Freeman-Halton) of a table with two rows or two columns."""
    name = "Fisher exact"
    if counts.shape[0] == 2 and counts.shape[1] != 2:
        counts = counts.T
    if counts.shape[1] != 2:
        return TestResult(name, note="Fisher's exact test needs two groups or two levels")
    rows, first = counts.sum(1), int(counts[:, 0].sum())
    sums, logp = np.zeros(1, dtype=int), np.zeros(1)
    for total in rows[:-1]:  # all ways to hand out group 1, one level after the other
        if len(sums) * (total + 1) > FISHER_LIMIT:
            return TestResult(name, note="too many tables for Fisher's exact test: use chi2")
        inside = np.arange(total + 1)
        ways = _log_binomial(total, inside)
        sums = (sums[:, None] + inside).ravel()
        logp = (logp[:, None] + ways).ravel()
        keep = sums <= first
        sums, logp = sums[keep], logp[keep]
    rest = first - sums  # the last level takes what is left
    possible = rest <= rows[-1]
    logp = logp[possible] + _log_binomial(rows[-1], rest[possible])
    logp -= _log_binomial(rows.sum(), first)
    observed = _log_binomial(rows, counts[:, 0]).sum() - _log_binomial(rows.sum(), first)
    # Relative slack as in R: tables as likely as the observed one must be counted.
    p = np.exp(logp[logp <= observed + 1e-7]).sum()
    return TestResult(name, p_value=not_zero(min(1.0, p)))


def _log_binomial(n, k) -> Any:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
