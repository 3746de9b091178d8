"""DeLong: areas under ROC curves of the same patients, their intervals and their difference."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit._columns import as_column, check_same_index
from crtkit._labels import check_groups
from crtkit.statistics.outcome import binary_outcome, check_confidence, renamed
from crtkit.statistics.p_values import not_zero


@renamed("level", "confidence")
def delong_test(
    y, score_a, score_b, *, groups=None, pos_label=None, confidence=0.95
) -> pd.DataFrame:
    """DeLong's test of two areas under the ROC curve of the same patients.

    Parameters
    ----------
    y : array-like of shape (n_records,)
        Two classes; the greater label is the positive one.
    score_a, score_b : array-like of shape (n_records,)
        Greater means more likely positive.
    groups : array-like of shape (n_records,), optional
        Patients. Records of one patient are then one cluster (Obuchowski); with one record per
        patient this is DeLong's test.
    pos_label : label, optional
        The positive class.
    confidence : float, default=0.95
        Of the interval.

    Returns
    -------
    DataFrame of one row
        ``auc_a``, ``auc_b``, ``difference`` (a - b), ``ci_low``, ``ci_high``, ``z``, ``p_value``,
        ``se``, ``n_positive``, ``n_negative``, ``n_groups`` and ``note``, which says why where
        the variance is zero.

    Raises
    ------
    ValueError
        One class or more than two, missing scores, arrays of different length.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated
    receiver operating characteristic curves. Biometrics 1988;44:837-845.
    Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
    Sun X, Xu W. Fast implementation of DeLong's algorithm. IEEE Signal Process Lett 2014;21:1389.

    Examples
    --------
    >>> from crtkit.statistics import delong_test
    >>> y = [0, 0, 0, 0, 1, 1, 1, 1]
    >>> good, poor = [1, 2, 3, 5, 4, 6, 7, 8], [3, 1, 4, 2, 2, 5, 1, 4]
    >>> delong_test(y, good, poor)[["auc_a", "auc_b", "difference", "p_value"]].round(3)
       auc_a  auc_b  difference  p_value
    0  0.938  0.594       0.344    0.139
    """
    scores = [np.asarray(score_a), np.asarray(score_b)]
    auc, cov, counts = _auc_covariance("delong_test", y, scores, groups, pos_label)
    check_confidence("delong_test", confidence)
    difference = auc[0] - auc[1]
    variance = cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    # Rounding leaves some 1e-18 where the two scores order the records alike.
    se = np.sqrt(variance) if variance > 1e-14 * max(cov[0, 0] + cov[1, 1], 1e-300) else 0.0
    note, z, p = "", difference / se if se else 0.0, 1.0
    if se:
        p = not_zero(2 * stats.norm.sf(abs(z)))
    elif abs(difference) < 1e-12:
        note = "the scores do not differ: both rank the records alike"
    else:
        z = p = np.nan
        # Both scores separate their classes cleanly, in different places.
        note = "variance 0 although the areas differ: no test; use a bootstrap or permutation"
    reach = stats.norm.isf((1 - confidence) / 2) * se
    row = {
        "auc_a": auc[0],
        "auc_b": auc[1],
        "difference": difference,
        "ci_low": difference - reach,
        "ci_high": difference + reach,
        "z": z,
        "p_value": p,
        "se": se,
        **counts,
        "note": note,
    }
    return pd.DataFrame([row])


@renamed("level", "confidence")
def delong_interval(y, score, *, groups=None, pos_label=None, confidence=0.95) -> pd.DataFrame:
    """Area under the ROC curve with DeLong's interval.

    Parameters
    ----------
    y, score : array-like of shape (n_records,)
        Two classes, and a score that is greater for the positive one.
    groups : array-like of shape (n_records,), optional
        Patients, each one cluster.
    pos_label : label, optional
        The positive class; by default the greater label.
    confidence : float, default=0.95

    Returns
    -------
    DataFrame of one row
        ``auc``, ``ci_low``, ``ci_high`` (cut at 0 and 1), ``se``, ``n_positive``, ``n_negative``,
        ``n_groups``, ``note``.

    Raises
    ------
    ValueError
        As :func:`delong_test`.

    Examples
    --------
    >>> from crtkit.statistics import delong_interval
    >>> delong_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6])[["auc", "ci_low"]].round(3)
         auc  ci_low
    0  0.889   0.581
    """
    auc, cov, counts = _auc_covariance("delong_interval", y, [score], groups, pos_label)
    check_confidence("delong_interval", confidence)
    se = float(np.sqrt(max(cov[0, 0], 0.0)))
    reach = stats.norm.isf((1 - confidence) / 2) * se
    row = {
        "auc": auc[0],
        # Cut, not transformed: the logit's interval is another method, and papers print DeLong's.
        "ci_low": max(0.0, auc[0] - reach),
        "ci_high": min(1.0, auc[0] + reach),
        "se": se,
        **counts,
        "note": "" if se else f"variance 0 ({_why(auc[0])}): the interval has no width",
    }
    return pd.DataFrame([row])


def _auc_covariance(
    name, y, scores, groups, pos_label
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Areas (n_scores,), their covariance (n_scores, n_scores), and counts for the table."""
    named = {f"score_{letter}": score for letter, score in zip("ab", scores)}
    check_same_index(name, y=y, **named, groups=groups)
    given, y = y, np.asarray(as_column(f"{name}: y", y))
    scores = np.array([np.asarray(s, dtype=float) for s in _same_length(name, y, scores)])
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} needs finite scores, got NaN or infinity. Drop those records.")
    positive = binary_outcome(name, given, pos_label)
    m, n = int(positive.sum()), int((~positive).sum())
    groups = np.arange(len(y)) if groups is None else check_groups(name, groups, len(y))
    clusters = np.unique(groups, return_inverse=True)[1]
    n_groups = int(clusters.max()) + 1
    # Obuchowski's variances count clusters, not records: ten ECGs of one patient are one witness.
    with_pos = len(np.unique(clusters[positive]))
    with_neg = len(np.unique(clusters[~positive]))
    if min(with_pos, with_neg) < 2:
        raise ValueError(
            f"{name} needs at least 2 patients of each class for a variance, got "
            f"{with_pos} positive and {with_neg} negative."
        )
    auc, v10, v01 = _components(scores, positive)
    x = np.array([np.bincount(clusters[positive], v, n_groups) for v in v10 - auc[:, None]])
    z = np.array([np.bincount(clusters[~positive], v, n_groups) for v in v01 - auc[:, None]])
    s10 = x @ x.T * with_pos / ((with_pos - 1) * m)
    s01 = z @ z.T * with_neg / ((with_neg - 1) * n)
    # A patient with records of both classes couples the two parts; zero for one record per patient.
    s11 = x @ z.T * n_groups / (n_groups - 1)
    cov = s10 / m + s01 / n + (s11 + s11.T) / (m * n)
    return auc, cov, {"n_positive": m, "n_negative": n, "n_groups": n_groups}


def auc_with_error(scores, y) -> tuple[float, float]:
    """Area under the ROC curve and its standard error, one record per patient.

    Parameters
    ----------
    scores : ndarray of shape (n_records,)
    y : ndarray of shape (n_records,)
        1 or True is positive.
    """
    positive = np.asarray(y) == 1
    (auc,), (v10,), (v01,) = _components(np.asarray(scores)[None], positive)
    variance = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)
    return float(auc), float(np.sqrt(variance))


def hanley_mcneil_error(auc, n_positive, n_negative) -> float:
    """Standard error of an AUC of which only the numbers of patients are known.

    References
    ----------
    Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating characteristic
    (ROC) curve. Radiology 1982;143:29-36, equations 1 and 2.

    Examples
    --------
    >>> from crtkit.statistics.delong import hanley_mcneil_error
    >>> round(hanley_mcneil_error(0.893, 51, 58), 4)
    0.0325
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n_positive - 1) * (q1 - auc**2) + (n_negative - 1) * (q2 - auc**2)
    return float(np.sqrt(variance / (n_positive * n_negative)))


def _components(scores, positive) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Structural components by midranks: O(n log n) instead of every pair."""
    m, n = positive.sum(), (~positive).sum()
    # Midranks count a tie as half, which is what an area under the curve does with it.
    ranks = stats.rankdata(scores, axis=1)
    within_pos = stats.rankdata(scores[:, positive], axis=1)
    within_neg = stats.rankdata(scores[:, ~positive], axis=1)
    v10 = (ranks[:, positive] - within_pos) / n
    v01 = 1 - (ranks[:, ~positive] - within_neg) / m
    return v10.mean(1), v10, v01


def _same_length(name, y, scores) -> list[Any]:
    shapes = [np.shape(s) for s in scores]
    if y.ndim != 1 or any(s != y.shape for s in shapes):
        raise ValueError(
            f"{name} needs y and scores of one shape (n_records,), got y {y.shape} and "
            f"scores {', '.join(map(str, shapes))}. Take one column of predict_proba."
        )
    return scores


def _why(auc: float) -> str:
    """Why nothing varies: no pair is uncertain, or every pair is tied."""
    return "classes fully apart" if auc in (0.0, 1.0) else "every score is equal"
