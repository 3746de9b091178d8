"""Oversampling of records, patients following their rows."""

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.utils._param_validation import HasMethods

from crtkit.resampling.base import OneClassifier


class ResampledClassifier(OneClassifier):
    """Fit a classifier on resampled records, patients following their rows.

    Parameters
    ----------
    estimator : classifier
        Cloned, never fitted itself.
    sampler : RandomOverSampler, RandomUnderSampler or None, default=None
        Of imbalanced-learn; None oversamples every class to the size of the largest. Samplers that
        make new rows (SMOTE, a smoothed bootstrap) or choose by distance are refused: a made-up
        ECG has no patient, and rows are drawn here by number.
    random_state : int, RandomState or None, default=None
        Of the sampler where ``sampler`` is None.

    Attributes
    ----------
    estimator_ : classifier
    sampler_ : sampler
    sample_indices_ : ndarray of int
        Rows that were trained on, in order.
    classes_ : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from crtkit.resampling import ResampledClassifier
    >>> X, y = np.arange(12.0)[:, None], np.array([0] * 9 + [1] * 3)
    >>> model = ResampledClassifier(LogisticRegression(), random_state=0).fit(X, y)
    >>> np.bincount(y[model.sample_indices_]).tolist()
    [9, 9]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "sampler": [HasMethods(["fit_resample"]), None],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, *, sampler=None, random_state=None):
        self.estimator = estimator
        self.sampler = sampler
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None):
        """Resample rows, and fit the classifier on them.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows
        y : array-like of shape (n_records,)
        groups : array-like of shape (n_records,), optional
            Patients, resampled with their rows and passed on where the classifier asks for them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A sampler that makes new rows, or lengths that differ.
        """
        from imblearn.over_sampling import RandomOverSampler
        from imblearn.under_sampling import RandomUnderSampler

        X, y, groups = self._check(X, y, groups)
        sampler = self.sampler
        if sampler is None:
            sampler = RandomOverSampler(random_state=self.random_state)
        # Inside fit: before a split it would put copies of a patient on both sides.
        draws_rows = isinstance(sampler, (RandomOverSampler, RandomUnderSampler))
        if not draws_rows or getattr(sampler, "shrinkage", None) is not None:
            raise ValueError(
                "ResampledClassifier expects a sampler that draws rows, RandomOverSampler (without "
                f"shrinkage) or RandomUnderSampler, got {sampler!r}: rows that it makes would have "
                "no patient."
            )
        rows = np.arange(len(y))
        if len(np.unique(y)) > 1:  # the classifier says in its own words what one class means
            self.sampler_ = clone(sampler)
            # The sampler sees row numbers: X may be n-dimensional, and groups follow.
            self.sampler_.fit_resample(rows[:, None], y)
            rows = self.sampler_.sample_indices_
        self.sample_indices_ = rows
        self._fit_inner(X, y, groups, rows)
        return self
