"""What a meta-estimator over one classifier passes through."""

import numpy as np
import sklearn
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from crtkit._columns import check_same_index
from crtkit._labels import check_groups


def _inner_has(name):
    """Say whether the inner classifier, fitted if there is one, has a method."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class OneClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """What a meta-estimator over one classifier passes through."""

    __metadata_request__fit = {"groups": True}

    def _check(self, X, y, groups):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        # len() of a sparse matrix is an error with words of its own; this one says what to do.
        if issparse(X):
            raise TypeError(
                f"Sparse data was passed to {type(self).__name__}, which expects dense records."
            )
        check_same_index(type(self).__name__, X=X, y=y, groups=groups)
        # Rows and DataFrames stay what they are: converting would read a cohort larger than memory.
        X = X if hasattr(X, "__getitem__") else np.asarray(X)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_consistent_length(X, y)
        if groups is not None:
            groups = check_groups(type(self).__name__, groups, len(y))
        return X, y, groups

    def _two_classes(self, y):
        """Both classes, sorted; more or fewer are refused."""
        name, classes = type(self).__name__, np.unique(y)
        if type_of_target(y) == "multiclass" or len(classes) > 2:
            raise ValueError(
                f"Only binary classification is supported. {name} got {len(classes)} classes: "
                f"{classes[:5].tolist()}."
            )
        if len(classes) < 2:
            raise ValueError(f"{name} needs 2 classes, got one class: {classes}.")
        return classes

    def _fit_inner(self, X, y, groups, rows):
        """Fit a clone on ``rows``, with the groups of those rows where it asks for them."""
        self.estimator_ = clone(self.estimator)
        asked = get_routing_for_object(self.estimator_).consumes(method="fit", params=["groups"])
        params = {"groups": groups[rows]} if asked and groups is not None else {}
        # Without routing a Pipeline refuses groups, whatever its steps take.
        routing = True if params else sklearn.get_config()["enable_metadata_routing"]
        with sklearn.config_context(enable_metadata_routing=routing):
            self.estimator_.fit(_safe_indexing(X, rows), y[rows], **params)
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def predict(self, X):
        """Class of each record.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X):
        """Score of each record, as the classifier inside gives it.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,) or (n_records, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Missing values are the inner classifier's business; sparse records are refused above.
        inner = self.estimator.__sklearn_tags__()
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.sparse = False
        return tags
