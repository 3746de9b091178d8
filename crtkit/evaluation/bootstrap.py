"""Bootstrap by patient, for every metric and many weightings at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state

ANSWERS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
SCORES = ("roc_auc", "average_precision", "brier")

# A block of bootstrap weights holds about this many numbers.
_BLOCK = 4_000_000


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Equal-tailed percentiles of the defined replicates; nan where there are none."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bca_interval(
    values: np.ndarray, estimate: float, jackknife: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval; nan where it is undefined.

    Parameters
    ----------
    values : ndarray of shape (n_replicates,)
        Undefined ones are left out.
    estimate : float
    jackknife : ndarray of shape (n_patients,)
        The metric without each patient in turn.
    confidence : float

    References
    ----------
    Efron, Better bootstrap confidence intervals, J. Am. Stat. Assoc. 82 (1987) 171-185.
    """
    values, jackknife = values[~np.isnan(values)], jackknife[~np.isnan(jackknife)]
    if not len(values) or np.isnan(estimate) or len(jackknife) < 2:
        return float("nan"), float("nan")
    # Ties with the estimate count half: accuracies of 20 patients have 21 values.
    below = np.mean(values < estimate) + np.mean(values == estimate) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values)))
    apart = jackknife.mean() - jackknife
    spread = (apart**2).sum()
    skew = (apart**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    z = stats.norm.ppf((1 - confidence) / 2)
    shifted = [bias + (bias + tail) / (1 - skew * (bias + tail)) for tail in (z, -z)]
    low, high = np.quantile(values, stats.norm.cdf(shifted))
    return float(low), float(high)


def patient_weights(n_patients: int, n_bootstrap: int, random_state: Any) -> Iterator[np.ndarray]:
    """How often each patient is drawn, (n_replicates, n_patients), block after block."""
    rng = check_random_state(random_state)
    size = max(1, _BLOCK // max(n_patients, 1))
    for start in range(0, n_bootstrap, size):
        n = min(size, n_bootstrap - start)
        drawn = rng.randint(n_patients, size=(n, n_patients))
        drawn += np.arange(n)[:, None] * n_patients
        counts = np.bincount(drawn.ravel(), minlength=n * n_patients)
        yield counts.reshape(n, n_patients).astype(np.float64)


def without_each_patient(n_patients: int) -> Iterator[np.ndarray]:
    """Weights of the jackknife, (n_patients, n_patients) in blocks of rows."""
    size = max(1, _BLOCK // max(n_patients, 1))
    for start in range(0, n_patients, size):
        rows = np.arange(start, min(start + size, n_patients))
        weights = np.ones((len(rows), n_patients))
        weights[np.arange(len(rows)), rows] = 0
        yield weights


def replicate_answers(
    y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray
) -> dict[str, Any]:
    """Every metric of labels under many weightings at once, (n_replicates,) each.

    Parameters
    ----------
    y_true, y_pred : ndarray of bool, shape (n_units,)
    weights : ndarray of shape (n_replicates, n_units)
    """
    tp, fn = weights @ (y_true & y_pred), weights @ (y_true & ~y_pred)
    fp, tn = weights @ (~y_true & y_pred), weights @ (~y_true & ~y_pred)
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    return {
        "accuracy": _ratio(tp + tn, tp + fn + fp + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }


def replicate_scores(y_true: np.ndarray, score: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """``roc_auc``, ``average_precision`` and ``brier`` under many weightings at once."""
    order = np.argsort(-score, kind="stable")
    y_true, score, weights = y_true[order], score[order], weights[:, order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    positive = np.add.reduceat(weights * y_true, first, axis=1)
    negative = np.add.reduceat(weights * ~y_true, first, axis=1)
    n_pos, n_neg = positive.sum(axis=1), negative.sum(axis=1)
    above = np.cumsum(negative, axis=1)
    wins = np.sum(positive * (n_neg[:, None] - above + negative / 2), axis=1)
    hits = np.cumsum(positive, axis=1)
    gained = np.sum(positive * np.nan_to_num(_ratio(hits, hits + above)), axis=1)
    return {
        "roc_auc": _ratio(wins, n_pos * n_neg),
        "average_precision": _ratio(gained, n_pos),
        "brier": _ratio(weights @ (score - y_true) ** 2, weights.sum(axis=1)),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    out = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)
