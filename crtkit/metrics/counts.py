"""Metrics of two-class answers, from counts."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from crtkit._columns import check_same_index
from crtkit._labels import check_labels, check_weights, resolve_pos_label


class ConfusionCounts(NamedTuple):
    """Counts (or sums of weights) of a two-class answer."""

    tp: float
    fn: float
    fp: float
    tn: float


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
        More than two labels, lengths or pandas indices that differ, missing labels, labels of mixed
        types, negative weights, or one text label and no ``pos_label``.

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


#: Numerator and denominator of every share of counts, numbers or arrays. Balanced accuracy is none:
#: it is the mean of sensitivity and specificity.
SHARES = {
    "accuracy": lambda tp, fn, fp, tn: (tp + tn, tp + fn + fp + tn),
    "sensitivity": lambda tp, fn, fp, tn: (tp, tp + fn),
    "specificity": lambda tp, fn, fp, tn: (tn, tn + fp),
    "ppv": lambda tp, fn, fp, tn: (tp, tp + fp),
    "npv": lambda tp, fn, fp, tn: (tn, tn + fn),
    "f1": lambda tp, fn, fp, tn: (2 * tp, 2 * tp + fp + fn),
}


def ratio(numerator: float, denominator: float) -> float:
    """Quotient, nan where nothing was counted."""
    return numerator / denominator if denominator > 0 else float("nan")


def accuracy(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Share of right answers, (TP + TN) / n.

    Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import accuracy
    >>> accuracy([1, 1, 0, 0], [1, 0, 0, 0])
    0.75
    """
    return _share("accuracy", y_true, y_pred, pos_label, sample_weight)


def balanced_accuracy(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Mean of sensitivity and specificity; nan where either class is absent.

    Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import balanced_accuracy
    >>> balanced_accuracy([1, 1, 0, 0], [1, 0, 0, 0])
    0.75
    """
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    halves = (SHARES[name](*counts) for name in ("sensitivity", "specificity"))
    return sum(ratio(*half) for half in halves) / 2


def sensitivity(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """TP / (TP + FN); nan without a positive. Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import sensitivity
    >>> sensitivity([1, 1, 0, 0], [1, 0, 0, 0])
    0.5
    """
    return _share("sensitivity", y_true, y_pred, pos_label, sample_weight)


def specificity(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """TN / (TN + FP); nan without a negative. Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import specificity
    >>> specificity([1, 1, 0, 0], [1, 0, 0, 0])
    1.0
    """
    return _share("specificity", y_true, y_pred, pos_label, sample_weight)


def ppv(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Positive predictive value TP / (TP + FP); nan where nobody is called positive.

    Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import ppv
    >>> ppv([1, 1, 0, 0], [1, 0, 0, 0])
    1.0
    """
    return _share("ppv", y_true, y_pred, pos_label, sample_weight)


def npv(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """Negative predictive value TN / (TN + FN); nan where nobody is called negative.

    Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import npv
    >>> round(npv([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.667
    """
    return _share("npv", y_true, y_pred, pos_label, sample_weight)


def f1(y_true, y_pred, *, pos_label=None, sample_weight=None) -> float:
    """2 TP / (2 TP + FP + FN); nan without a positive among truth and answers.

    Parameters as in :func:`confusion_counts`.

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.metrics import f1
    >>> round(f1([1, 1, 0, 0], [1, 0, 0, 0]), 3)
    0.667
    """
    return _share("f1", y_true, y_pred, pos_label, sample_weight)


def _share(name: str, y_true, y_pred, pos_label: Any, sample_weight: Any) -> float:
    counts = confusion_counts(y_true, y_pred, pos_label=pos_label, sample_weight=sample_weight)
    return ratio(*SHARES[name](*counts))
