"""Intervals by patient, and intervals over repeated splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.utils import check_random_state

from crtkit import metrics
from crtkit._labels import (
    as_column,
    check_groups,
    check_labels,
    check_same_index,
    resolve_pos_label,
)

__all__ = ["BootstrapInterval", "bootstrap_interval", "nadeau_bengio_interval"]

ANSWERS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
SCORES = ("roc_auc", "average_precision", "brier")

# A block of bootstrap weights holds about this many numbers.
_BLOCK = 4_000_000


class BootstrapInterval(NamedTuple):
    """An estimate and its percentile interval; ``n_valid`` replicates were defined."""

    estimate: float
    low: float
    high: float
    n_valid: int


def nadeau_bengio_interval(
    values: ArrayLike, test_train_ratio: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean over repeated splits, wider because training parts overlap.

    mean +- t(J - 1) sqrt((1 / J + n_test / n_train) s^2) for J splits with variance s^2.

    Parameters
    ----------
    values : array-like of shape (n_splits,)
        One figure per split; nan ones are left out.
    test_train_ratio : float
        Test over training size, 0.25 for 80:20.
    confidence : float, default=0.95

    Returns
    -------
    low, high : float
        nan where fewer than two splits are defined. Not clipped to the range of a metric.

    Raises
    ------
    ValueError
        The ratio is not positive, or the confidence not in (0, 1).

    References
    ----------
    Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003) 239-281,
    section 3, the corrected resampled variance.

    Examples
    --------
    >>> from crtkit.evaluation import nadeau_bengio_interval
    >>> low, high = nadeau_bengio_interval([0.60, 0.70, 0.65, 0.75], 0.25)
    >>> round(low, 3), round(high, 3)
    (0.53, 0.82)
    """
    if not test_train_ratio > 0:
        raise ValueError(f"test_train_ratio must be positive, got {test_train_ratio!r}.")
    _check_confidence(confidence)
    defined = np.asarray(values, dtype=np.float64)
    defined = defined[~np.isnan(defined)]
    if len(defined) < 2:
        return float("nan"), float("nan")
    scale = np.sqrt((1 / len(defined) + test_train_ratio) * defined.var(ddof=1))
    half = stats.t.ppf((1 + confidence) / 2, len(defined) - 1) * scale
    return float(defined.mean() - half), float(defined.mean() + half)


def bootstrap_interval(
    y_true: ArrayLike,
    answer: ArrayLike,
    groups: ArrayLike,
    metric: Callable[..., float] = metrics.roc_auc,
    *,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: Any = None,
) -> BootstrapInterval:
    """Percentile interval of a metric, drawing patients with all their records.

    Parameters
    ----------
    y_true, answer : array-like of shape (n_records,)
        Truth, and labels or scores as the metric takes them.
    groups : array-like of shape (n_records,)
        Patient of each record.
    metric : callable, default=crtkit.metrics.roc_auc
        ``metric(y_true, answer, sample_weight=...) -> float``.
    confidence : float, default=0.95
    n_bootstrap : int, default=2000
    random_state : int, RandomState or None

    Returns
    -------
    BootstrapInterval
        ``estimate, low, high, n_valid``: replicates without a positive, say, are nan and counted.

    Examples
    --------
    >>> from crtkit.evaluation import bootstrap_interval
    >>> y, score = [0, 0, 1, 1] * 20, [0.1, 0.6, 0.4, 0.9] * 20
    >>> result = bootstrap_interval(y, score, groups=range(80), random_state=0)
    >>> result.estimate, result.n_valid
    (0.75, 2000)
    """
    _check_confidence(confidence)
    check_same_index("bootstrap_interval", y_true=y_true, answer=answer, groups=groups)
    y_true, answer = as_column("y_true", y_true), np.asarray(as_column("answer", answer))
    estimate = float(metric(y_true, answer, sample_weight=None))
    groups = check_groups("bootstrap_interval", groups, len(np.asarray(y_true)))
    _, patient_of = np.unique(groups, return_inverse=True)
    replicates = _replicates_of(metric, y_true, answer)
    n_patients = int(patient_of.max()) + 1
    values = np.concatenate(
        [
            replicates(weights[:, patient_of])
            for weights in patient_weights(n_patients, n_bootstrap, random_state)
        ]
    )
    low, high = percentile_interval(values, confidence)
    return BootstrapInterval(estimate, low, high, int(np.sum(~np.isnan(values))))


def _replicates_of(metric: Callable[..., float], y_true: Any, answer: Any) -> Callable[[Any], Any]:
    """Function of weights: our own metrics all at once, others row by row."""
    names = [name for name in metrics.SCORERS if getattr(metrics, name) is metric]
    if not names:
        return lambda weights: np.array([metric(y_true, answer, sample_weight=w) for w in weights])
    name = names[0]
    given, y_true, y_pred = y_true, check_labels("y_true", y_true), answer
    if name in ANSWERS:
        y_pred = check_labels("answer", answer)
        positive = resolve_pos_label(None, given, answer)
        return lambda w: replicate_answers(y_true == positive, y_pred == positive, w)[name]
    # As given: an array made of an ordered categorical has lost its order.
    positive = resolve_pos_label(None, given)
    score = np.asarray(answer, dtype=np.float64)
    return lambda w: replicate_scores(y_true == positive, score, w)[name]


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Equal-tailed percentiles of the defined replicates; nan where there are none."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
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


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
