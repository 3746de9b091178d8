"""``SCORERS``: the metrics as scikit-learn's ``scoring=`` takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, make_scorer

from crtkit.metrics.counts import (
    accuracy,
    balanced_accuracy,
    f1,
    npv,
    ppv,
    sensitivity,
    specificity,
)
from crtkit.metrics.ranking import average_precision, brier, roc_auc

# make_scorer's own class, subclassed so that searches still cache one prediction for ten metrics.
_MadeScorer: Any = type(make_scorer(accuracy_score))


class _PositiveClassScorer(_MadeScorer):
    """Scorer whose positive class is ``estimator.classes_[1]``, whatever the fold holds."""

    def _score(self, method_caller, estimator, X, y_true, **kwargs) -> float:
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
