"""A classifier that may answer with both classes: split conformal sets as an estimator."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from crtkit._splits import group_holdout
from crtkit.evaluation.risks.conformal import conformal_sets, conformal_thresholds
from crtkit.evaluation.scoring import Part, by_model
from crtkit.resampling.base import OneClassifier

__all__ = ["ConformalClassifier"]


class ConformalClassifier(OneClassifier):
    """Fit a classifier on part of the patients, and thresholds of its sets on the rest.

    A set holds every class that cannot be ruled out: of new patients of a class, at most a share
    ``alpha`` have sets without it. Where both classes stay, the model abstains.

    Parameters
    ----------
    estimator : classifier
        Of two classes, with ``predict_proba``. Cloned, never fitted itself.
    alpha : float, default=0.1
        Share of patients of each class whose set may miss it.
    size : float, default=0.25
        Share of the patients held out for the thresholds; a class needs 1 / alpha - 1 of them at
        least, or it is in every set.
    class_conditional : bool, default=True
        Hold the share in each class; False: over both.
    random_state : int, RandomState or None, default=None
        Of the patients held out.

    Attributes
    ----------
    estimator_ : classifier
    thresholds_ : ndarray of shape (2,)
        From :func:`conformal_thresholds`.
    n_calibration_ : ndarray of int, shape (2,)
        Patients of each class behind them.
    classes_ : ndarray of shape (2,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from crtkit.evaluation import ConformalClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> X = rng.normal(size=(200, 1)) + 2 * y[:, None]
    >>> model = ConformalClassifier(LogisticRegression(), random_state=0).fit(X, y)
    >>> model.predict_set([[-2.0], [1.0], [4.0]]).tolist()
    [[True, False], [True, True], [False, True]]
    >>> model.abstains([[-2.0], [1.0], [4.0]]).tolist()
    [False, True, False]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "size": [Interval(Real, 0, 1, closed="neither")],
        "class_conditional": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 0.1,
        size: float = 0.25,
        class_conditional: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.size = size
        self.class_conditional = class_conditional
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, groups: Any = None) -> ConformalClassifier:
        """Fit on some patients, and take the thresholds from the others.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows
        y : array-like of shape (n_records,)
        groups : array-like of shape (n_records,), optional
            Patients; nobody is in both parts, and the risks of a patient's records are averaged.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Not two classes, a class with one patient, or a patient with two labels.
        """
        X, y, groups = self._check(X, y, groups)
        classes = self._two_classes(y)
        train, held = group_holdout(y, groups, size=self.size, random_state=self.random_state)
        self._fit_inner(X, y, groups, train)
        # Without patients every record is its own: thresholds then count records.
        own = np.arange(len(y)) if groups is None else groups
        self.thresholds_ = conformal_thresholds(
            y[held],
            self.estimator_.predict_proba(_safe_indexing(X, held))[:, 1],
            self.alpha,
            class_conditional=self.class_conditional,
            groups=own[held],
            pos_label=classes[1],
        )
        self.n_calibration_ = np.array(
            [len(set(own[held][y[held] == label].tolist())) for label in classes]
        )
        return self

    def predict_set(self, X: Any) -> np.ndarray:
        """Classes that cannot be ruled out for each record.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of bool, shape (n_records, 2)
            In the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        """
        check_is_fitted(self)
        return conformal_sets(self.estimator_.predict_proba(X)[:, 1], self.thresholds_)

    def abstains(self, X: Any) -> np.ndarray:
        """Whether the set of each record is no single class: both, or none.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of bool, shape (n_records,)
        """
        return self.predict_set(X).sum(axis=1) != 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def conformal_table(parts: list[Part], alpha: float, class_conditional: bool) -> pd.DataFrame:
    """Sets of every tested unit, from the patients of the other splits.

    See ``Evaluation.conformal``.
    """
    rows = {}
    for model, own in by_model(parts).items():
        if own[0].kind != "probability":
            continue
        sets, truth = [], []
        for part in own:
            # A patient whom this split tests was perhaps scored by others too: those scores would
            # make the threshold and be judged by it.
            tested = set(part.group.astype(str).tolist())
            others = [p.take(~np.isin(p.group.astype(str), list(tested))) for p in own]
            y = np.concatenate([p.y_true for p in others])
            if len(np.unique(y)) < 2 or not len(part.y_true):
                continue
            limits = conformal_thresholds(
                y,
                np.concatenate([p.y_score for p in others]),
                alpha,
                class_conditional=class_conditional,
                groups=np.concatenate([p.group.astype(str) for p in others]),
                pos_label=True,
            )
            sets.append(conformal_sets(part.y_score, limits))
            truth.append(part.y_true)
        rows[model] = _set_figures(sets, truth)
    columns = ["coverage_negative", "coverage_positive", "answered", "both", "none", "error"]
    return pd.DataFrame(rows, index=columns).T.rename_axis("model")


def _set_figures(sets: list[np.ndarray], truth: list[np.ndarray]) -> list[float]:
    if not sets:
        return [float("nan")] * 6
    held, y = np.concatenate(sets), np.concatenate(truth)
    hit = held[np.arange(len(y)), y.astype(int)]
    size = held.sum(axis=1)
    # An empty set is no answer either: the patient is unlike any in the calibration part.
    single = size == 1
    return [
        float(hit[~y].mean()) if (~y).any() else float("nan"),
        float(hit[y].mean()) if y.any() else float("nan"),
        float(single.mean()),
        float((size == 2).mean()),
        float((size == 0).mean()),
        float((~hit[single]).mean()) if single.any() else float("nan"),
    ]
