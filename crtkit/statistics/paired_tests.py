"""Tests of answers and scores on the same patients: McNemar, and permutation by patient."""

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit._columns import check_same_index
from crtkit._labels import check_groups, check_labels, classes_in_order
from crtkit.statistics.outcome import binary_outcome


def mcnemar_test(y, pred_a, pred_b) -> pd.DataFrame:
    """Exact McNemar test: is one model right on more of the patients on whom they disagree?

    Parameters
    ----------
    y : array-like of shape (n_patients,)
        True labels; one record per patient.
    pred_a, pred_b : array-like of shape (n_patients,)
        Predicted labels.

    Returns
    -------
    DataFrame of one row
        ``only_a, only_b`` (patients on whom only that model is right), ``difference`` of the
        accuracies, ``p_value`` (two-sided, binomial), ``p_smallest`` (what it would be if one model
        won every disagreement) and ``n``.

    Raises
    ------
    ValueError
        Arrays of different length or index, or labels that are missing or of mixed types.

    References
    ----------
    McNemar Q. Note on the sampling error of the difference between correlated proportions or
    percentages. Psychometrika 1947;12:153-157.

    Examples
    --------
    >>> from crtkit.statistics import mcnemar_test
    >>> y = [1, 1, 1, 1, 0, 0, 0, 0]
    >>> mcnemar_test(y, y, [0, 0, 0, 1, 0, 0, 1, 1])[["only_a", "only_b", "p_value"]]
       only_a  only_b  p_value
    0       5       0   0.0625
    """
    check_same_index("mcnemar_test", y=y, pred_a=pred_a, pred_b=pred_b)
    # Of 1 and "1" none equals the other: both models would be wrong on everybody.
    classes_in_order("mcnemar_test", y, pred_a, pred_b)
    labels = [check_labels(name, v) for name, v in (("y", y), ("a", pred_a), ("b", pred_b))]
    if len({len(values) for values in labels}) > 1:
        raise ValueError(f"mcnemar_test needs one length, got {[len(v) for v in labels]}.")
    truth, a, b = labels
    right_a, right_b = a == truth, b == truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    apart = only_a + only_b
    # Exact rather than chi-square: with fewer than 25 disagreements, the usual case here, that one
    # is too bold.
    p = float(stats.binomtest(only_a, apart).pvalue) if apart else 1.0
    row = {
        "only_a": only_a,
        "only_b": only_b,
        "difference": (only_a - only_b) / len(truth) if len(truth) else np.nan,
        "p_value": p,
        "p_smallest": min(1.0, 2.0 ** (1 - apart)),
        "n": len(truth),
    }
    return pd.DataFrame([row])


def permutation_test(
    y, score_a, score_b=None, *, groups=None, n_permutations=2000, pos_label=None, random_state=None
) -> pd.DataFrame:
    """Permutation test of an area under the ROC curve, patient by patient.

    With one score: is it better than chance? The labels of patients change hands. With two: is
    ``score_a`` better than ``score_b``? The two scores of a patient, as ranks, change places.

    Parameters
    ----------
    y : array-like of shape (n_records,)
        Two classes.
    score_a, score_b : array-like of shape (n_records,)
        Greater means more likely positive.
    groups : array-like of shape (n_records,), optional
        Patients, of one label each; their records move together.
    n_permutations : int, default=2000
    pos_label : label, optional
    random_state : int, optional

    Returns
    -------
    DataFrame of one row
        ``auc_a``, ``auc_b`` and ``difference`` where there are two, ``p_value`` (one score: of an
        area at least as large; two: two-sided), ``p_smallest`` that it could be, ``n_patients`` and
        ``exact``: where all orders are no more than ``n_permutations``, each is counted once;
        otherwise they are drawn, and the observed one counts as one of them.

    Raises
    ------
    ValueError
        As :func:`delong_test`, or a patient with two labels.

    References
    ----------
    Phipson B, Smyth GK. Permutation p-values should never be zero. Stat Appl Genet Mol Biol
    2010;9:39.

    Examples
    --------
    >>> from crtkit.statistics import permutation_test
    >>> result = permutation_test([0] * 10 + [1] * 10, range(20), random_state=0)
    >>> bool(result["p_value"].iloc[0] == result["p_smallest"].iloc[0])
    True
    """
    name = "permutation_test"
    given = {"y": y, "score_a": score_a, "score_b": score_b, "groups": groups}
    check_same_index(name, **{k: v for k, v in given.items() if v is not None})
    truth = binary_outcome(name, y, pos_label)
    scores = [np.asarray(s, dtype=float) for s in (score_a, score_b) if s is not None]
    if any(s.shape != truth.shape or not np.isfinite(s).all() for s in scores):
        raise ValueError(f"{name} needs finite scores of shape {truth.shape}, one per record.")
    known = np.arange(len(truth)) if groups is None else check_groups(name, groups, len(truth))
    patients, first, patient_of = np.unique(known, return_index=True, return_inverse=True)
    label = truth[first]
    if (label[patient_of] != truth).any():
        raise ValueError(f"{name} permutes patients: each must have one label.")
    rng = np.random.default_rng(random_state)
    # Ranks: scores of two models are on different scales and could not change places.
    ranks = [stats.rankdata(score) for score in scores]
    n, n_positive = len(patients), int(label.sum())
    row: dict[str, Any] = {"auc_a": float(_areas(truth[None], ranks[0])[0])}
    if len(ranks) == 1:
        n_orders = comb(n, n_positive)
        exact = n_orders <= n_permutations
        # Labels move by patient: single records of two patients are not exchangeable.
        drawn = _all_labels(n, n_positive) if exact else _permuted(label, n_permutations, rng)
        # Half-integers divided by the number of pairs: equal areas may differ in the last bit.
        extreme = _areas(drawn[:, patient_of], ranks[0]) >= row["auc_a"] - 1e-12
        smallest = 1 / n_orders
    else:
        row["auc_b"] = float(_areas(truth[None], ranks[1])[0])
        row["difference"] = row["auc_a"] - row["auc_b"]
        exact = 2**n <= n_permutations
        swaps = _all_swaps(n) if exact else rng.random((n_permutations, n)) < 0.5
        apart = _exchanged(truth, ranks, swaps[:, patient_of])
        extreme = np.abs(apart) >= abs(row["difference"]) - 1e-12
        # Exchanging everybody gives the same difference with the other sign.
        smallest = min(1.0, 2.0 ** (1 - n))
    if exact:
        row["p_value"], row["p_smallest"] = float(extreme.mean()), smallest
    else:
        # The observed order is one of the permutations, so that p is never 0 (Phipson and Smyth).
        row["p_value"] = (1 + int(extreme.sum())) / (1 + n_permutations)
        row["p_smallest"] = 1 / (1 + n_permutations)
    row["n_patients"], row["exact"] = n, exact
    return pd.DataFrame([row])


def _permuted(label: np.ndarray, n_permutations: int, rng: Any) -> np.ndarray:
    return np.array([rng.permutation(label) for _ in range(n_permutations)])


def _all_labels(n: int, n_positive: int) -> np.ndarray:
    """Every way to hand ``n_positive`` labels to ``n`` patients."""
    chosen = np.array(list(combinations(range(n), n_positive)), dtype=np.intp)
    labels = np.zeros((len(chosen), n), dtype=bool)
    labels[np.arange(len(chosen))[:, None], chosen] = True
    return labels


def _all_swaps(n: int) -> np.ndarray:
    """Every set of patients whose scores change places."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1


def _areas(truth: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """AUC from midranks under many labellings, or of many rows of ranks under one."""
    m = truth.sum(axis=1)
    positive = truth @ ranks if ranks.ndim == 1 else ranks @ truth[0]
    return (positive - m * (m + 1) / 2) / (m * (truth.shape[1] - m))


def _exchanged(truth: np.ndarray, ranks: list[np.ndarray], swaps: np.ndarray) -> np.ndarray:
    """Difference of two AUC under many exchanges, (n_exchanges,)."""
    first, second = np.where(swaps, ranks[1], ranks[0]), np.where(swaps, ranks[0], ranks[1])
    one, other = (_areas(truth[None], stats.rankdata(part, axis=1)) for part in (first, second))
    return one - other
