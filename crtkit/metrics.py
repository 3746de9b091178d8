"""Metrics of a two-class answer, from counts, with one policy for what is undefined: nan.

A ratio whose denominator is zero (the PPV of a model that calls nobody positive, the AUC of a fold
with one class) is ``nan``: never 0, never 1, never a warning. Average with ``numpy.nanmean`` and
say how many values were defined, as :func:`crtkit.evaluate` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, make_scorer

from crtkit._labels import (
    check_labels,
    check_ranked,
    check_same_index,
    check_weights,
    resolve_pos_label,
    weight_at_cuts,
)

__all__ = [
    "SCORERS",
    "ConfusionCounts",
    "OperatingPoint",
    "accuracy",
    "at_sensitivity",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "confusion_counts",
    "f1",
    "npv",
    "ppv",
    "roc_auc",
    "sensitivity",
    "specificity",
]


class ConfusionCounts(NamedTuple):
    """Counts (or sums of weights) of a two-class answer."""

    tp: float
    fn: float
    fp: float
    tn: float


class OperatingPoint(NamedTuple):
    """What a score gives at one cut; ``threshold`` is nan for a point between two cuts."""

    threshold: float
    sensitivity: float
    specificity: float
    ppv: float
    npv: float


def confusion_counts(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> ConfusionCounts:
    """True positives, false negatives, false positives and true negatives.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_records,)
        Labels of any type, two of them at most.
    pos_label : label, optional
        The positive class; by default the later of the two in their order, which an ordered
        categorical states and other labels have when sorted. With one label left, 0, -1 and False
        are negative and 1 and True positive; text needs ``pos_label``.
    sample_weight : array-like of shape (n_records,), optional
        Weights >= 0; one each by default.

    Returns
    -------
    ConfusionCounts
        ``(tp, fn, fp, tn)`` as floats.

    Raises
    ------
    ValueError
        More than two labels, lengths that differ, missing labels, labels of mixed types, negative
        weights, or one text label and no ``pos_label``.

    Examples
    --------
    >>> from crtkit.metrics import confusion_counts
    >>> confusion_counts(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"])
    ConfusionCounts(tp=1.0, fn=1.0, fp=0.0, tn=2.0)
    """
    check_same_index("confusion_counts", y_true=y_true, y_pred=y_pred)
    # From what the caller gave: an array made of an ordered categorical has lost its order.
    pos_label = resolve_pos_label(pos_label, y_true, y_pred)
    y_true, y_pred = check_labels("y_true", y_true), check_labels("y_pred", y_pred)
    weight = check_weights(sample_weight, y_true, y_pred=y_pred)
    truth, called = y_true == pos_label, y_pred == pos_label
    cells = (truth & called, truth & ~called, ~truth & called, ~truth & ~called)
    return ConfusionCounts(*(float(weight[cell].sum()) for cell in cells))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else float("nan")


def accuracy(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Share of right answers, (TP + TN) / n.

    Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import accuracy
    >>> accuracy([1, 1, 0, 0], [1, 0, 0, 0])
    0.75
    """
    tp, fn, fp, tn = confusion_counts(
        y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight
    )
    return _ratio(tp + tn, tp + fn + fp + tn)


def balanced_accuracy(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Mean of sensitivity and specificity; nan where either class is absent.

    Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import balanced_accuracy
    >>> balanced_accuracy([1, 1, 0, 0], [1, 0, 0, 0])
    0.75
    """
    tp, fn, fp, tn = confusion_counts(
        y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight
    )
    return (_ratio(tp, tp + fn) + _ratio(tn, tn + fp)) / 2


def sensitivity(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """TP / (TP + FN); nan without a positive. Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import sensitivity
    >>> sensitivity([1, 1, 0, 0], [1, 0, 0, 0])
    0.5
    """
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    return _ratio(counts.tp, counts.tp + counts.fn)


def specificity(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """TN / (TN + FP); nan without a negative. Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import specificity
    >>> specificity([1, 1, 0, 0], [1, 0, 0, 0])
    1.0
    """
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    return _ratio(counts.tn, counts.tn + counts.fp)


def ppv(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Positive predictive value TP / (TP + FP); nan where nobody is called positive.

    Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import ppv
    >>> ppv([1, 1, 0, 0], [1, 0, 0, 0])
    1.0
    """
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    return _ratio(counts.tp, counts.tp + counts.fp)


def npv(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Negative predictive value TN / (TN + FN); nan where nobody is called negative.

    Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import npv
    >>> round(npv([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.667
    """
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    return _ratio(counts.tn, counts.tn + counts.fn)


def f1(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """2 TP / (2 TP + FP + FN); nan without a positive among truth and answers.

    Parameters as in :func:`confusion_counts`.

    Examples
    --------
    >>> from crtkit.metrics import f1
    >>> round(f1([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.667
    """
    tp, fn, fp, _ = confusion_counts(
        y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight
    )
    return _ratio(2 * tp, 2 * tp + fp + fn)


def roc_auc(y_true, y_score, *, pos_label=None, sample_weight=None) -> float:
    """Chance that a positive scores above a negative, ties counted half.

    Parameters
    ----------
    y_true : array-like of shape (n_records,)
        Labels of any type, two of them at most.
    y_score : array-like of shape (n_records,)
        Higher speaks for the positive class; infinite scores are legal, NaN is not.
    pos_label : label, optional
        As in :func:`confusion_counts`.
    sample_weight : array-like of shape (n_records,), optional

    Returns
    -------
    float
        nan where ``y_true`` has one class.

    Raises
    ------
    ValueError
        As :func:`confusion_counts`, or a score is NaN or not a number.

    Examples
    --------
    >>> from crtkit.metrics import roc_auc
    >>> roc_auc([1, 1, 0, 0], [0.9, 0.4, 0.4, 0.1])
    0.875
    >>> roc_auc([1, 1], [0.9, 0.4])
    nan
    """
    truth, score, weight = check_ranked("roc_auc", y_true, y_score, pos_label, sample_weight)
    return _auc(truth, score, weight)


def _auc(truth, score, weight):
    positive, negative = weight_at_cuts(truth, score, weight)
    total = positive.sum() * negative.sum()
    # Weights stand at descending cuts: a positive beats every negative at a later cut.
    below = negative.sum() - np.cumsum(negative)
    return _ratio(float(np.sum(positive * (below + negative / 2))), float(total))


def average_precision(y_true, y_score, *, pos_label=None, sample_weight=None) -> float:
    """Sum over descending cuts of (recall gained) x (precision there); nan without a positive.

    Parameters as in :func:`roc_auc`. No interpolation, as in scikit-learn; with positives only it
    is 1 by definition.

    Examples
    --------
    >>> from crtkit.metrics import average_precision
    >>> round(average_precision([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]), 3)
    0.833
    """
    truth, score, weight = check_ranked(
        "average_precision", y_true, y_score, pos_label, sample_weight
    )
    positive, negative = weight_at_cuts(truth, score, weight)
    called = np.cumsum(positive) + np.cumsum(negative)
    precision = np.cumsum(positive)[called > 0] / called[called > 0]
    return _ratio(float(np.sum(positive[called > 0] * precision)), float(positive.sum()))


def brier(y_true, y_prob, *, pos_label=None, sample_weight=None) -> float:
    """Mean squared distance of the predicted probability from 0 or 1; lower is better.

    Parameters as in :func:`roc_auc`, but ``y_prob`` must lie in [0, 1].

    Examples
    --------
    >>> from crtkit.metrics import brier
    >>> round(brier([1, 0], [0.9, 0.2]), 3)
    0.025
    """
    truth, prob, weight = check_ranked("brier", y_true, y_prob, pos_label, sample_weight)
    if len(prob) and (prob.min() < 0 or prob.max() > 1):
        raise ValueError(
            f"brier expects probabilities in [0, 1], got {prob.min():g} to {prob.max():g}. "
            "Decision values and labels have no Brier score: calibrate the model first."
        )
    return _ratio(float(np.sum(weight * (prob - truth) ** 2)), float(weight.sum()))


def at_sensitivity(
    y_true, y_score, sensitivity, *, pos_label=None, sample_weight=None, interpolate=False
) -> OperatingPoint:
    """PPV, NPV and specificity at a given sensitivity, so that models can be set side by side.

    PPV and NPV of two models compare only where both find the same share of the positives.

    Parameters
    ----------
    y_true, y_score, pos_label, sample_weight
        As in :func:`roc_auc`.
    sensitivity : float
        In (0, 1].
    interpolate : bool, default=False
        False: the highest cut (positive means ``score >= cut``) that reaches the sensitivity.
        True: exactly that sensitivity, on the line between the two cuts around it, which is what
        drawing lots among the tied gives on average; a rule with few cuts needs it.

    Returns
    -------
    OperatingPoint
        Fields ``threshold, sensitivity, specificity, ppv, npv``; nan where a class is absent.

    Examples
    --------
    >>> from crtkit.metrics import at_sensitivity
    >>> at_sensitivity([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], 0.9)  # doctest: +ELLIPSIS
    OperatingPoint(threshold=0.4, sensitivity=1.0, specificity=0.5, ppv=0.666..., npv=1.0)
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"at_sensitivity expects a sensitivity in (0, 1], got {sensitivity!r}.")
    truth, score, weight = check_ranked("at_sensitivity", y_true, y_score, pos_label, sample_weight)
    positive, negative = weight_at_cuts(truth, score, weight)
    n_pos, n_neg = float(positive.sum()), float(negative.sum())
    if n_pos == 0 or n_neg == 0:
        return OperatingPoint(*[float("nan")] * 5)
    tp, fp = np.cumsum(positive), np.cumsum(negative)
    target = sensitivity * n_pos
    # Rounding must not push 0.9 * 10 beyond the ninth positive.
    cut = int(np.searchsorted(tp, target * (1 - 1e-12)))
    threshold = float(np.unique(score)[::-1][cut])
    hits, alarms = float(tp[cut]), float(fp[cut])
    if interpolate and tp[cut] > target:
        before = (float(tp[cut - 1]), float(fp[cut - 1])) if cut else (0.0, 0.0)
        share = (target - before[0]) / (hits - before[0])
        hits, alarms = target, before[1] + share * (alarms - before[1])
        threshold = float("nan")
    return OperatingPoint(
        threshold,
        hits / n_pos,
        1 - alarms / n_neg,
        _ratio(hits, hits + alarms),
        _ratio(n_neg - alarms, n_neg - alarms + n_pos - hits),
    )


# make_scorer's own class, subclassed so that searches still cache one prediction for ten metrics.
_MadeScorer: Any = type(make_scorer(accuracy_score))


class _PositiveClassScorer(_MadeScorer):
    """Scorer whose positive class is ``estimator.classes_[1]``, whatever the fold holds."""

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        classes = np.asarray(getattr(estimator, "classes_", ()))
        if len(classes) > 2:
            raise ValueError(
                f"crtkit.metrics.SCORERS are for two classes, got {len(classes)}: "
                f"{classes.tolist()[:5]}. Use scikit-learn's multi-class scorers."
            )
        if len(classes) < 2:  # fitted on one class, or no classifier: nothing told classes apart
            return float("nan")
        kwargs = {**self._kwargs, **kwargs, "pos_label": classes[1]}
        if self._response_method == "predict":
            answer = method_caller(estimator, "predict", X, pos_label=None)
            return self._sign * self._score_func(y_true, answer, **kwargs)
        method = next(m for m in self._response_method if hasattr(estimator, m))
        if self._score_func is brier and method != "predict_proba":
            return float("nan")
        answer = method_caller(estimator, method, X, pos_label=None)
        if method == "predict":  # the AUC of a rule without a score is still defined
            answer = (np.asarray(answer) == classes[1]).astype(np.float64)
        return self._sign * self._score_func(y_true, answer, **kwargs)


_ANSWERS: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "ppv": ppv,
    "npv": npv,
    "f1": f1,
}
_SCORES: dict[str, Callable[..., float]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "brier": brier,
}
_SCORE_METHODS = ("predict_proba", "decision_function", "predict")

SCORERS: dict[str, Any] = {
    **{n: _PositiveClassScorer(f, 1, {}, "predict") for n, f in _ANSWERS.items()},
    **{
        n: _PositiveClassScorer(f, -1 if f is brier else 1, {}, _SCORE_METHODS)
        for n, f in _SCORES.items()
    },
}
"""Scorers for ``scoring=`` of scikit-learn: ten metrics, undefined ones nan, labels of any type.

The positive class is ``estimator.classes_[1]``. ``"brier"`` is negated, as scikit-learn's
``neg_brier_score`` is, because searches maximise; a model without ``predict_proba`` has none (nan).
"""
