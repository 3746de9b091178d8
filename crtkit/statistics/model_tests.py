"""Are models different? Tests on a (blocks x models) table of scores."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit.statistics.blocks import check_blocks, pairs
from crtkit.statistics.outcome import check_confidence, renamed
from crtkit.statistics.p_values import holm, not_zero

EXACT_LIMIT = 50  # blocks, as in R


@renamed("level", "confidence")
def corrected_resampled_ttest(scores, *, test_size=0.2, confidence=0.95) -> pd.DataFrame:
    """Nadeau and Bengio's corrected t-test on scores of repeated splits.

    The repeats share patients, so their variance is raised by n_test / n_train.

    Parameters
    ----------
    scores : DataFrame of shape (n_repeats, n_models)
        One row per split. A repeat where either score is nan is left out of that pair.
    test_size : float, default=0.2
        Fraction of the patients in each test set: 0.2 for 80:20, 1 / k for (repeated) k-fold.
    confidence : float, default=0.95
        Of the interval.

    Returns
    -------
    DataFrame
        One row per pair, index ``(a, b)``: ``difference`` (mean of a - b), ``ci_low``, ``ci_high``,
        ``statistic`` (t), ``df``, ``p_value``, ``p_holm``, ``n`` repeats, ``note``.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, one model, one repeat, `test_size` outside (0, 1).

    References
    ----------
    Nadeau C, Bengio Y. Inference for the generalization error. Mach Learn 2003;52:239-281.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import corrected_resampled_ttest
    >>> auc = pd.DataFrame({"net": [0.70, 0.66, 0.73, 0.69], "trees": [0.66, 0.65, 0.69, 0.68]})
    >>> result = corrected_resampled_ttest(auc).round(3)
    >>> result[["difference", "statistic", "p_value"]]  # doctest: +NORMALIZE_WHITESPACE
               difference  statistic  p_value
    a   b
    net trees       0.025      2.041    0.134
    """
    if not 0 < test_size < 1:
        raise ValueError(
            f"corrected_resampled_ttest needs test_size in (0, 1), the fraction tested, "
            f"got {test_size!r}."
        )
    check_confidence("corrected_resampled_ttest", confidence)
    scores = check_blocks("corrected_resampled_ttest", scores, missing=True)
    rows = []
    for a, b, d in pairs(scores):
        n = len(d)
        row = {"a": a, "b": b, "difference": d.mean() if n else np.nan}
        row.update(dict.fromkeys(("ci_low", "ci_high", "statistic", "df", "p_value"), np.nan))
        row.update({"p_holm": np.nan, "n": n, "note": ""})
        if n < 2:
            row["note"] = "fewer than 2 repeats with both scores"
        # Relative: differences of accuracies that print alike differ by some 1e-17.
        elif np.ptp(d) <= 1e-12 * max(1.0, np.abs(d).max()):
            row["note"] = "the difference is the same in every repeat: no variance to test with"
        else:
            # Training parts overlap, so the repeats are not independent: a plain t would be far
            # too sure.
            se = np.sqrt(d.var(ddof=1) * (1 / n + test_size / (1 - test_size)))
            reach = stats.t.isf((1 - confidence) / 2, n - 1) * se
            row.update(
                ci_low=row["difference"] - reach,
                ci_high=row["difference"] + reach,
                statistic=row["difference"] / se,
                df=n - 1,
                p_value=not_zero(2 * stats.t.sf(abs(row["difference"]) / se, n - 1)),
            )
        rows.append(row)
    out = pd.DataFrame(rows).set_index(["a", "b"])
    out["p_holm"] = holm(out["p_value"])
    return out


def rm_anova(scores) -> pd.DataFrame:
    """Repeated-measures analysis of variance: do models differ over the same blocks?

    Blocks must be independent of each other. Metrics of the same predictions are not, nor are
    overlapping test sets; the p-value then means little.

    Parameters
    ----------
    scores : DataFrame of shape (n_blocks, n_models)
        One row per block (data set, seed, fold), one column per model; complete.

    Returns
    -------
    DataFrame of one row
        ``statistic`` (F), ``df1``, ``df2``, ``p_value``, ``epsilon`` (Greenhouse-Geisser),
        ``p_corrected`` (with it, for unequal variances of the differences), ``n_blocks``,
        ``n_models``, ``note``.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, fewer than two blocks or models, missing scores.

    References
    ----------
    Greenhouse SW, Geisser S. On methods in the analysis of profile data. Psychometrika
    1959;24:95-112.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import rm_anova
    >>> auc = pd.DataFrame({"fcn": [0.70, 0.66, 0.74], "resnet": [0.69, 0.68, 0.71]})
    >>> auc["ecg-fm"] = [0.78, 0.75, 0.80]
    >>> rm_anova(auc)[["statistic", "df1", "df2", "p_value"]].round(4)
       statistic  df1  df2  p_value
    0       38.6    2    4   0.0024
    """
    values = check_blocks("rm_anova", scores).to_numpy()
    n, k = values.shape
    row: dict[str, Any] = {
        "statistic": np.nan,
        "df1": k - 1,
        "df2": (k - 1) * (n - 1),
        "p_value": np.nan,
    }
    row.update(epsilon=np.nan, p_corrected=np.nan, n_blocks=n, n_models=k, note="")
    between = values.mean(axis=0) - values.mean()
    residual = values - values.mean(axis=1, keepdims=True) - between
    error = (residual**2).sum()
    effect = n * (between**2).sum()
    if error <= 1e-20 * max((values**2).sum(), 1e-300):
        row["note"] = (
            "the models differ by the same amount in every block: no variance to test with"
        )
        if effect <= 1e-20 * max((values**2).sum(), 1e-300):
            row["note"] = "the models score the same in every block"
        return pd.DataFrame([row])
    f = (effect / row["df1"]) / (error / row["df2"])
    row.update(statistic=float(f), p_value=not_zero(stats.f.sf(f, row["df1"], row["df2"])))
    covariance = residual.T @ residual
    epsilon = np.trace(covariance) ** 2 / ((k - 1) * (covariance**2).sum())
    row["epsilon"] = float(min(1.0, epsilon))
    df1, df2 = row["epsilon"] * row["df1"], row["epsilon"] * row["df2"]
    row["p_corrected"] = not_zero(stats.f.sf(f, df1, df2))
    return pd.DataFrame([row])


def friedman_test(scores) -> pd.DataFrame:
    """Friedman's test: do models rank differently over the same blocks?

    Parameters
    ----------
    scores : DataFrame of shape (n_blocks, n_models)
        Three models or more; complete. Blocks must be independent of each other.

    Returns
    -------
    DataFrame of one row
        ``statistic`` (chi-square, corrected for ties), ``df``, ``p_value``, ``p_smallest`` (what
        the test would give if every block ranked the models alike), ``kendall_w`` (agreement of
        the blocks, 0 to 1), ``n_blocks``, ``n_models``, ``note``.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, fewer than two blocks or three models, missing scores.

    References
    ----------
    Demsar J. Statistical comparisons of classifiers over multiple data sets. J Mach Learn Res
    2006;7:1-30.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import friedman_test
    >>> auc = pd.DataFrame({"fcn": [0.70, 0.66, 0.74], "resnet": [0.69, 0.68, 0.71]})
    >>> auc["ecg-fm"] = [0.78, 0.75, 0.80]
    >>> friedman_test(auc)[["statistic", "p_value", "p_smallest"]].round(4)
       statistic  p_value  p_smallest
    0     4.6667    0.097      0.0498
    """
    values = check_blocks("friedman_test", scores, min_models=3).to_numpy()
    n, k = values.shape
    row: dict[str, Any] = {"statistic": np.nan, "df": k - 1, "p_value": np.nan}
    # Three blocks of three models cannot reach 0.05, whatever the models do; the table says so.
    smallest = not_zero(stats.chi2.sf(n * (k - 1), k - 1))
    row.update(p_smallest=smallest, kendall_w=np.nan, n_blocks=n, n_models=k, note="")
    if (np.ptp(values, axis=1) == 0).all():
        return pd.DataFrame([{**row, "note": "the models score the same in every block"}])
    result = stats.friedmanchisquare(*values.T)
    row.update(
        statistic=float(result.statistic),
        p_value=not_zero(result.pvalue),
        kendall_w=float(result.statistic) / (n * (k - 1)),
    )
    if smallest > 0.05:
        row["note"] = f"{n} blocks cannot reach p < 0.05: the smallest p is {smallest:.3f}"
    return pd.DataFrame([row])


def critical_difference(scores, *, confidence=0.95) -> pd.DataFrame:
    """Mean ranks of models over blocks, and how far two must lie apart (Nemenyi).

    Parameters
    ----------
    scores : DataFrame of shape (n_blocks, n_models)
        Two models or more; complete; greater is better. Blocks must be independent of each other.
    confidence : float, default=0.95

    Returns
    -------
    DataFrame
        One row per model, best first: ``mean_rank`` (1 is best, ties share ranks) and ``n_blocks``.
        ``attrs["critical_difference"]``: two models whose mean ranks differ by less are not told
        apart.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, fewer than two blocks or models, missing scores.

    References
    ----------
    Demsar J. Statistical comparisons of classifiers over multiple data sets. J Mach Learn Res
    2006;7:1-30, section 3.2.2.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import critical_difference
    >>> auc = pd.DataFrame({"fcn": [0.70, 0.66, 0.74], "resnet": [0.69, 0.68, 0.71]})
    >>> auc["ecg-fm"] = [0.78, 0.75, 0.80]
    >>> ranks = critical_difference(auc)
    >>> ranks["mean_rank"].round(2).to_dict(), round(ranks.attrs["critical_difference"], 2)
    ({'ecg-fm': 1.0, 'fcn': 2.33, 'resnet': 2.67}, 1.91)
    """
    scores = check_blocks("critical_difference", scores)
    check_confidence("critical_difference", confidence)
    n, k = scores.shape
    ranks = stats.rankdata(-scores.to_numpy(), axis=1).mean(axis=0)
    table = pd.DataFrame({"mean_rank": ranks, "n_blocks": n}, index=scores.columns)
    quantile = stats.studentized_range.ppf(confidence, k, np.inf) / np.sqrt(2)
    table = table.sort_values("mean_rank", kind="stable").rename_axis("model")
    table.attrs["critical_difference"] = float(quantile * np.sqrt(k * (k + 1) / (6 * n)))
    return table


def wilcoxon_holm(scores, *, method="auto") -> pd.DataFrame:
    """Wilcoxon signed-rank test of every pair of models, with Holm's step-down correction.

    Blocks where two models score the same are left out of that pair, and counted.

    Parameters
    ----------
    scores : DataFrame of shape (n_blocks, n_models)
        Complete. Blocks must be independent of each other.
    method : {"auto", "exact"}, default="auto"
        ``"auto"`` is R's choice: exact below 50 blocks without ties and without equal scores,
        otherwise the normal approximation with continuity correction. ``"exact"`` counts all signs
        of the ranks at hand, ties included.

    Returns
    -------
    DataFrame
        One row per pair, index ``(a, b)``: ``median_difference`` (a - b), ``statistic`` (the
        smaller sum of signed ranks), ``p_value``, ``p_holm``, ``p_smallest`` and
        ``p_holm_smallest`` (what the pair would give if one model won every block), ``n`` blocks
        that differ, ``n_equal``, ``note`` where the smallest corrected p is above 0.05.

    Raises
    ------
    TypeError, ValueError
        No DataFrame, fewer than two blocks or models, missing scores.

    References
    ----------
    Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bull 1945;1:80-83.
    Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.

    Examples
    --------
    Eight blocks and six models have 15 pairs, so nothing can be significant:

    >>> import numpy as np, pandas as pd
    >>> from crtkit.statistics import wilcoxon_holm
    >>> scores = pd.DataFrame(np.arange(48.).reshape(8, 6) ** 1.5, columns=list("abcdef"))
    >>> out = wilcoxon_holm(scores)
    >>> float(out["p_value"].min()), round(float(out["p_holm"].min()), 3)
    (0.0078125, 0.117)
    """
    scores = check_blocks("wilcoxon_holm", scores)
    if method not in ("auto", "exact"):
        raise ValueError(f"wilcoxon_holm: method must be 'auto' or 'exact', got {method!r}.")
    n_pairs = scores.shape[1] * (scores.shape[1] - 1) // 2
    rows = []
    for a, b, d in pairs(scores):
        differ = d[np.abs(d) > 1e-12 * max(1.0, np.abs(scores[[a, b]].to_numpy()).max())]
        n, how = len(differ), method
        if method == "exact":
            differ = np.round(differ, 12)  # what prints alike differs in the last bits: ties
        if method == "auto":  # R takes the floats as they are, ties of the last bits included
            how = "exact" if _is_exact(differ) and n == len(d) else "normal"
        statistic, p = _signed_rank(differ, how)
        # What this pair would give if one model had won every block.
        smallest = _signed_rank(np.abs(differ), how)[1]
        rows.append(
            {
                "a": a,
                "b": b,
                "median_difference": float(np.median(d)),
                "statistic": statistic,
                "p_value": p,
                "p_smallest": smallest,
                "p_holm_smallest": min(1.0, n_pairs * smallest),
                "n": n,
                "n_equal": len(d) - n,
                "note": _why(n, n_pairs, smallest),
            }
        )
    out = pd.DataFrame(rows).set_index(["a", "b"])
    out.insert(3, "p_holm", holm(out["p_value"]))
    return out


def _why(n, n_pairs, smallest) -> str:
    if not n:
        return "the two models score the same in every block"
    if n_pairs * smallest > 0.05:
        return f"{n} blocks and {n_pairs} pairs cannot reach p < 0.05 as the smallest of the pairs"
    return ""


def _is_exact(d) -> bool:
    """R's choice for differences of which none is zero: few, and no two of one size."""
    return len(d) < EXACT_LIMIT and len(np.unique(np.abs(d))) == len(d)


def _signed_rank(d, how) -> tuple[float, float]:
    """Smaller rank sum and two-sided p-value of differences that are not zero."""
    if not len(d):
        return 0.0, 1.0
    ranks = stats.rankdata(np.abs(d))
    statistic = float(min(ranks[d > 0].sum(), ranks[d < 0].sum()))
    if how == "exact":
        return statistic, _exact_tail(ranks, statistic)
    # With R's continuity and tie corrections, so that the tables of papers come out again.
    n, sizes = len(d), np.unique(ranks, return_counts=True)[1]
    variance = n * (n + 1) * (2 * n + 1) / 24 - (sizes**3 - sizes).sum() / 48
    z = max(0.0, abs(statistic - n * (n + 1) / 4) - 0.5) / np.sqrt(variance)
    return statistic, not_zero(2 * stats.norm.sf(z))


def _exact_tail(ranks, statistic) -> float:
    """Share of all 2^n signs whose smaller rank sum is at most the observed one."""
    doubled = np.rint(2 * ranks).astype(int)  # midranks are halves
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1.0
    for r in doubled:
        shifted = np.concatenate([np.zeros(r), ways[: len(ways) - r]])
        # Halved at every step: counts of 2^n would overflow at n = 1024, shares do not.
        ways = (ways + shifted) / 2
    return float(min(1.0, 2 * ways[: round(2 * statistic) + 1].sum()))
