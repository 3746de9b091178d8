"""Intervals over repeated splits, and the bootstrap by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import expit, logit
from sklearn.utils import check_random_state

from crtkit import metrics
from crtkit._columns import as_column, check_same_index
from crtkit._labels import check_groups, check_labels, resolve_pos_label
from crtkit.evaluation.uncertainty.proportions import check_confidence, wilson_interval
from crtkit.metrics.counts import SHARES

__all__ = [
    "BootstrapInterval",
    "bootstrap_interval",
    "nadeau_bengio_interval",
]

ANSWERS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
SCORES = ("roc_auc", "average_precision", "brier")

# A block of bootstrap weights holds about this many numbers.
_BLOCK = 4_000_000


class BootstrapInterval(NamedTuple):
    """An estimate and its interval; ``n_valid`` replicates were defined."""

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
    check_confidence(confidence)
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
    method: str = "logit",
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: Any = None,
) -> BootstrapInterval:
    """Interval of a metric from a bootstrap that draws patients with all their records.

    Parameters
    ----------
    y_true, answer : array-like of shape (n_records,)
        Truth, and labels or scores as the metric takes them.
    groups : array-like of shape (n_records,)
        Patient of each record.
    metric : callable, default=crtkit.metrics.roc_auc
        ``metric(y_true, answer, sample_weight=...) -> float``.
    method : {"logit", "bca", "percentile"}, default="logit"
        ``"logit"``: the standard error of the replicates, times m / (m - 1) for the m patients who
        decide the figure (the positives for a sensitivity), and Student's t with m - 1 degrees, on
        the scale of log(p / (1 - p)), so that limits stay in (0, 1); for a metric that is not one
        of ours, on its own scale. ``"bca"``: bias-corrected and accelerated. ``"percentile"`` is
        too short for a hundred patients; the coverage of all three was measured (``python -m
        benchmarks.coverage``).
    confidence : float, default=0.95
    n_bootstrap : int, default=2000
    random_state : int, RandomState or None

    Returns
    -------
    BootstrapInterval
        ``estimate, low, high, n_valid``: replicates without a positive, say, are nan and counted.
        No interval of our metrics has zero width: at 0 and 1 the other limit is Wilson's for as
        many patients as could have made it different.

    Raises
    ------
    ValueError
        Unknown ``method``, a confidence outside (0, 1), no record, or input that the metric
        refuses.

    Examples
    --------
    >>> from crtkit.evaluation import bootstrap_interval
    >>> y, score = [0, 0, 1, 1] * 20, [0.1, 0.6, 0.4, 0.9] * 20
    >>> result = bootstrap_interval(y, score, groups=range(80), random_state=0)
    >>> result.estimate, result.n_valid
    (0.75, 2000)
    """
    if method not in ("logit", "bca", "percentile"):
        raise ValueError(f"method must be 'logit', 'bca' or 'percentile', got {method!r}.")
    check_confidence(confidence)
    check_same_index("bootstrap_interval", y_true=y_true, answer=answer, groups=groups)
    y_true, answer = as_column("y_true", y_true), np.asarray(as_column("answer", answer))
    if not len(answer):
        raise ValueError("bootstrap_interval needs records to draw, got none.")
    estimate = float(metric(y_true, answer, sample_weight=None))
    groups = check_groups("bootstrap_interval", groups, len(np.asarray(y_true)))
    _, patient_of = np.unique(groups, return_inverse=True)
    # Our own metrics have a form for all replicates at once.
    name = next((n for n in metrics.SCORERS if getattr(metrics, n) is metric), None)
    replicates = _replicates_of(metric, name, y_true, answer)
    n_patients = int(patient_of.max()) + 1

    def values_of(blocks: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([replicates(weights[:, patient_of]) for weights in blocks])

    values = values_of(patient_weights(n_patients, n_bootstrap, random_state))
    # A draw without a positive has no sensitivity; leaving it out is said in n_valid.
    n_valid = int(np.sum(~np.isnan(values)))
    deciding = n_patients
    if name:
        deciding = deciding_patients(name, *_as_answers(name, y_true, answer), groups)
    if method == "percentile":
        low, high = percentile_interval(values, confidence)
    elif method == "bca":
        jackknife = values_of(without_each_patient(n_patients))
        low, high = bca_interval(values, estimate, jackknife, confidence)
    else:
        variance = float(np.nanvar(values, ddof=1)) if n_valid > 1 else float("nan")
        # A bootstrap measures spread around the sample's own mean: m / (m - 1) gives that back.
        variance *= max(deciding, 2) / (max(deciding, 2) - 1)
        low, high = mean_interval(estimate, variance, deciding, confidence, bounded=bool(name))
    # All replicates equal: 0 or 1 has a limit by Wilson, anything else none.
    if name and not low < high:
        low, high = mean_interval(estimate, 0.0, deciding, confidence)
    return BootstrapInterval(estimate, low, high, n_valid)


def mean_interval(
    mean: float,
    variance: float,
    n_patients: int,
    confidence: float,
    *,
    bounded: bool = True,
    df: float | None = None,
) -> tuple[float, float]:
    """Interval of a figure in [0, 1] from its variance, on the logit scale, by Student's t.

    Parameters
    ----------
    mean, variance : float
    n_patients : int
        Patients that could have made a figure of 0 or 1 different; for those, the other limit is
        Wilson's.
    confidence : float
    bounded : bool, default=True
        False: on the figure's own scale.
    df : float, optional
        Degrees of freedom of the variance; by default ``n_patients`` less one.

    Returns
    -------
    low, high : float
        nan where the figure is undefined, or does not vary and is not 0 or 1.
    """
    check_confidence(confidence)
    z = stats.t.ppf((1 + confidence) / 2, max(n_patients - 1, 1) if df is None else df)
    nan = float("nan")
    if np.isnan(mean) or np.isnan(variance):
        return nan, nan
    if not bounded:
        half = z * np.sqrt(variance)
        return (float(mean - half), float(mean + half)) if half > 0 else (nan, nan)
    # All right or all wrong: every replicate is the same, and the logit infinite. Wilson's holds.
    if min(mean, 1 - mean) < 1e-12:
        low, high = wilson_interval(round(mean) * n_patients, n_patients, confidence=confidence)
        return low, high
    if not variance > 0:
        return nan, nan
    half = z * np.sqrt(variance) / (mean * (1 - mean))
    low, high = expit(logit(mean) + np.array([-half, half]))
    return float(low), float(high)


def difference_interval(
    difference: float, variance: float, df: float, confidence: float
) -> tuple[float, float]:
    """Interval of a difference from its variance; nan where nothing varies."""
    check_confidence(confidence)
    half = stats.t.ppf((1 + confidence) / 2, df) * np.sqrt(variance)
    return (difference - half, difference + half) if half > 0 else (float("nan"), float("nan"))


def deciding_patients(name: str, y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray) -> int:
    """Patients on whom a metric of ours rests: the positives for a sensitivity, say."""
    everyone = np.ones(len(y_true), dtype=bool)
    masks = {
        "sensitivity": [y_true],
        "specificity": [~y_true],
        "ppv": [y_pred],
        "npv": [~y_pred],
        "accuracy": [everyone],
        "brier": [everyone],
    }.get(name, [y_true, ~y_true])
    return min(len(set(groups[mask].tolist())) for mask in masks)


def _as_answers(name: str, y_true: Any, answer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Truth and predicted labels as masks; of a score nobody is asked."""
    labels = check_labels("y_true", y_true)
    if name in ANSWERS:
        positive = resolve_pos_label(None, y_true, answer)
        return labels == positive, check_labels("answer", answer) == positive
    positive = resolve_pos_label(None, y_true)
    return labels == positive, np.ones(len(labels), dtype=bool)


def _replicates_of(
    metric: Callable[..., float], name: str | None, y_true: Any, answer: Any
) -> Callable[[Any], Any]:
    """Function of weights: our own metrics all at once, others row by row."""
    if name is None:
        return lambda weights: np.array([metric(y_true, answer, sample_weight=w) for w in weights])
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
    check_confidence(confidence)
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
    # The generator runs on across blocks: their size does not change a draw.
    size = max(1, _BLOCK // max(n_patients, 1))
    for start in range(0, n_bootstrap, size):
        n = min(size, n_bootstrap - start)
        drawn = rng.randint(n_patients, size=(n, n_patients))
        # Rows offset, so that one bincount counts all replicates.
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
    values = {name: _ratio(*share(tp, fn, fp, tn)) for name, share in SHARES.items()}
    values["balanced_accuracy"] = (values["sensitivity"] + values["specificity"]) / 2
    return values


def replicate_scores(y_true: np.ndarray, score: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """``roc_auc``, ``average_precision`` and ``brier`` under many weightings at once."""
    # Sorted once for all weightings; equal scores are joined, so that ties count half.
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
