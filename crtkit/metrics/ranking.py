"""Metrics of scores and probabilities: ranks, calibration, and one cut at a given sensitivity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crtkit._labels import check_ranked, weight_at_cuts
from crtkit.metrics.counts import ratio


class OperatingPoint(NamedTuple):
    """What a score achieves at one cut; ``threshold`` is nan for a point between two cuts."""

    threshold: float
    sensitivity: float
    specificity: float
    ppv: float
    npv: float


def roc_auc(y_true, y_score, *, pos_label=None, sample_weight=None) -> float:
    """Chance that a positive scores above a negative, ties counted half.

    Parameters
    ----------
    y_true : array-like of shape (n_records,)
        Labels of any type, two of them at most.
    y_score : array-like of shape (n_records,)
        Higher means more likely positive; infinite scores are legal, NaN is not.
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


def _auc(truth, score, weight) -> float:
    positive, negative = weight_at_cuts(truth, score, weight)
    total = positive.sum() * negative.sum()
    # Weights stand at descending cuts: a positive beats every negative at a later cut.
    below = negative.sum() - np.cumsum(negative)
    return ratio(float(np.sum(positive * (below + negative / 2))), float(total))


def average_precision(y_true, y_score, *, pos_label=None, sample_weight=None) -> float:
    """Sum over descending cuts of (recall gained) x (precision there); nan without a positive.

    Parameters as in :func:`roc_auc`. No interpolation, as in scikit-learn; with positives only it
    is 1 by definition.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Not one number per record.

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
    return ratio(float(np.sum(positive[called > 0] * precision)), float(positive.sum()))


def brier(y_true, y_prob, *, pos_label=None, sample_weight=None) -> float:
    """Mean squared distance of the predicted probability from 0 or 1; lower is better.

    Parameters as in :func:`roc_auc`, but ``y_prob`` must lie in [0, 1].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Probabilities outside [0, 1].

    Examples
    --------
    >>> from crtkit.metrics import brier
    >>> round(brier([1, 0], [0.9, 0.2]), 3)
    0.025
    """
    truth, prob, weight = check_ranked("brier", y_true, y_prob, pos_label, sample_weight)
    # A decision value would give a number that looks like a Brier score and is not one.
    if len(prob) and (prob.min() < 0 or prob.max() > 1):
        raise ValueError(
            f"brier expects probabilities in [0, 1], got {prob.min():g} to {prob.max():g}. "
            "Decision values and labels have no Brier score: calibrate the model first."
        )
    return ratio(float(np.sum(weight * (prob - truth) ** 2)), float(weight.sum()))


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

    Raises
    ------
    ValueError
        A sensitivity outside (0, 1], or arrays that do not belong together.

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
        # Between two cuts, as if a part of the tied records were called positive at random.
        share = (target - before[0]) / (hits - before[0])
        hits, alarms = target, before[1] + share * (alarms - before[1])
        threshold = float("nan")
    return OperatingPoint(
        threshold,
        hits / n_pos,
        1 - alarms / n_neg,
        ratio(hits, hits + alarms),
        ratio(n_neg - alarms, n_neg - alarms + n_pos - hits),
    )
