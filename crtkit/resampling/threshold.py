"""A classifier whose threshold is chosen on records that it was not fitted on."""

from numbers import Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import roc_curve
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._splits import group_holdout
from crtkit.resampling.base import OneClassifier

TARGETED = ("sensitivity", "specificity", "cost", "net_benefit")
OBJECTIVES = {"balanced_accuracy", "youden", "accuracy", "f1", *TARGETED}


class HeldOutThreshold(OneClassifier):
    """Fit a classifier on part of the records, and choose its threshold on the rest.

    The classifier never sees the tuning part, and is not fitted again on all records: model and
    threshold are frozen together, and both go unchanged to other hospitals (lvsd2026).

    Parameters
    ----------
    estimator : classifier
        Of two classes. Cloned, never fitted itself.
    column : str or None, default=None
        Column of X that says which rows are the tuning part. None holds out patients.
    tuning : object, default="tuning"
        Value of ``column`` in the tuning part.
    size : float, default=0.2
        Share of the patients held out where ``column`` is None.
    objective : str, default="balanced_accuracy"
        What the threshold is chosen for, on the tuning part only: "balanced_accuracy" or "youden"
        (the same), "accuracy", "f1"; "sensitivity" or "specificity" of at least ``target``, with as
        much of the other as that leaves; "cost", where a missed positive costs ``target`` times a
        false alarm; "net_benefit" at the risk threshold ``target``.
    target : float, optional
        For the last four objectives.
    random_state : int, RandomState or None, default=None
        Of the patients held out.

    Attributes
    ----------
    estimator_ : classifier
    threshold_ : float
        On the probability of ``classes_[1]``, or on the decision function where there is none.
    n_tuning_ : int
        Records of the tuning part.
    classes_ : ndarray of shape (2,)

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> import crtkit as ck
    >>> from crtkit.resampling import HeldOutThreshold
    >>> X = pd.DataFrame({"qrs": range(100, 220), "set": ["train", "train", "tuning"] * 40})
    >>> y = (X["qrs"] > 185).astype(int)
    >>> model = make_pipeline(ck.Select(["qrs"]), LogisticRegression())
    >>> HeldOutThreshold(model, column="set").fit(X, y).n_tuning_
    40
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "column": [str, None],
        "tuning": "no_validation",
        "size": [Interval(Real, 0, 1, closed="neither")],
        "objective": [StrOptions(OBJECTIVES)],
        "target": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        column=None,
        tuning="tuning",
        size=0.2,
        objective="balanced_accuracy",
        target=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.column = column
        self.tuning = tuning
        self.size = size
        self.objective = objective
        self.target = target
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None):
        """Fit on the training part, and choose the threshold on the tuning part.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows
        y : array-like of shape (n_records,)
        groups : array-like of shape (n_records,), optional
            Patients; nobody may be in both parts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Not two classes in both parts, no tuning rows, or a patient in both parts.
        """
        X, y, groups = self._check(X, y, groups)
        self._two_classes(y)
        train, tuning = self._parts(X, y, groups)
        for name, rows in (("training", train), ("tuning", tuning)):
            if len(np.unique(y[rows])) < 2:
                raise ValueError(
                    f"HeldOutThreshold needs both classes in the {name} part, which has "
                    f"{len(rows)} records of {np.unique(y[rows]).tolist()}."
                )
        # Not fitted again on all records: the threshold belongs to the scores of this model.
        self._fit_inner(X, y, groups, train)
        score = self._score(_safe_indexing(X, tuning))
        positive = y[tuning] == self.classes_[1]
        self.threshold_ = best_threshold(positive, score, self.objective, target=self.target)
        self.n_tuning_ = len(tuning)
        return self

    def predict(self, X):
        """Class of each record by the chosen threshold.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,)
        """
        check_is_fitted(self)
        # By the sign of decision_function, so that the two can never disagree in the last bit.
        return self.classes_[(self.decision_function(X) >= 0).astype(int)]

    def decision_function(self, X):
        """Score less the threshold: records at zero or above are called ``classes_[1]``.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,)
        """
        check_is_fitted(self)
        return self._score(X) - self.threshold_

    def _score(self, X):
        if hasattr(self.estimator_, "predict_proba"):
            score = self.estimator_.predict_proba(X)[:, 1]
        else:
            score = self.estimator_.decision_function(X)
        # In float32 a threshold between two neighbouring scores would round onto one of them.
        return np.asarray(score, dtype=np.float64)

    def _parts(self, X, y, groups):
        if self.column is None:
            return group_holdout(y, groups, size=self.size, random_state=self.random_state)
        if self.column not in getattr(X, "columns", ()):
            raise ValueError(
                f"HeldOutThreshold(column={self.column!r}) expects a table with that column."
            )
        held = np.asarray(X[self.column] == self.tuning)
        if not held.any() or held.all():
            raise ValueError(
                f"HeldOutThreshold: {held.sum()} of {len(held)} rows have {self.column!r} equal "
                f"to {self.tuning!r}; both a training and a tuning part are needed."
            )
        if groups is not None:
            # A threshold tuned on patients of the training part sees scores that are too far apart.
            shared = np.intersect1d(groups[held], groups[~held])
            if len(shared):
                raise ValueError(
                    f"{len(shared)} patient(s) are in the training and the tuning part, for "
                    f"example {shared[:3].tolist()}."
                )
        return np.flatnonzero(~held), np.flatnonzero(held)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def best_threshold(positive, score, objective="balanced_accuracy", *, target=None):
    """Threshold chosen for an objective: records at or above it are called positive.

    Parameters
    ----------
    positive : array-like of bool, shape (n_records,)
        Both values occur.
    score : array-like of shape (n_records,)
    objective : str, default="balanced_accuracy"
    target : float, optional
        As in :class:`HeldOutThreshold`.

    Returns
    -------
    float
        Half-way between the two scores that it separates; the highest of equally good ones.

    Raises
    ------
    ValueError
        One class, an unknown objective, a target that is absent, unwanted or out of range.

    Examples
    --------
    >>> from crtkit.resampling import best_threshold
    >>> best_threshold([False, False, True, True], [0.1, 0.3, 0.4, 0.9])
    0.35
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=float)
    _check_target(objective, target)
    n_positive, n_negative = positive.sum(), (~positive).sum()
    if not n_positive or not n_negative:
        raise ValueError("best_threshold needs records of both classes.")
    # All cuts: those that the curve drops as collinear may be the best for a cost.
    fpr, tpr, cuts = roc_curve(positive, score, drop_intermediate=False)
    tp, fp = tpr * n_positive, fpr * n_negative
    if objective in ("balanced_accuracy", "youden"):
        value = tpr - fpr
    elif objective == "accuracy":
        value = tp - fp
    elif objective == "f1":
        value = 2 * tp / (n_positive + tp + fp)
    elif objective == "cost":
        value = target * tp - fp
    elif objective == "net_benefit":
        value = tp - fp * target / (1 - target)
    else:
        reached, other = (tpr, 1 - fpr) if objective == "sensitivity" else (1 - fpr, tpr)
        # Rounding must not push 0.9 * 10 beyond the ninth positive.
        value = np.where(reached >= target - 1e-12, other, -np.inf)
    # Rounded, so that of equally good cuts any processor takes the first, the highest.
    best = int(np.argmax(np.round(value, 12)))
    # roc_curve begins at infinity, where nobody is called positive.
    if best == 0:
        return float(np.nextafter(score.max(), np.inf))
    below = score[score < cuts[best]]
    # Half-way, so that a score that differs in its last bit on another machine stays on its side.
    return float((cuts[best] + below.max()) / 2) if len(below) else float(cuts[best])


def _check_target(objective, target):
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {sorted(OBJECTIVES)}, got {objective!r}.")
    if (objective in TARGETED) != (target is not None):
        needs = "needs a" if objective in TARGETED else "takes no"
        raise ValueError(f"The objective {objective!r} {needs} target, got {target!r}.")
    if target is not None and not (target > 0 if objective == "cost" else 0 < target < 1):
        raise ValueError(
            f"target must be in (0, 1), or above 0 for a cost, got {target!r} for {objective!r}."
        )
