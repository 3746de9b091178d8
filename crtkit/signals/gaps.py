"""Samples that were not recorded, filled in for models that take numbers only."""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from crtkit._validation import check_records, iter_blocks

BLOCK = 64


class GapFiller(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Replace missing samples (NaN) by one value, so that networks can take digitized pages.

    A page shows each lead for 2.5 s, an electrode may have been off. What was not printed is the
    baseline, 0 mV, once the leads are filtered: put ``LeadFilter(missing="runs")`` in front, or the
    filter would meet the steps.

    Parameters
    ----------
    value : float, default=0.0
        Millivolt.

    Attributes
    ----------
    n_features_in_ : int
    shape_in_ : tuple of int

    Notes
    -----
    Input is (n_records, n_leads, n_samples), output has the same shape; a 2-D array is one lead.
    Infinite samples are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import GapFiller
    >>> GapFiller().fit_transform(np.array([[[0.1, np.nan, 0.3]]]))
    array([[[0.1, 0. , 0.3]]])
    """

    _parameter_constraints = {"value": [Interval(Real, None, None, closed="neither")]}

    def __init__(self, *, value=0.0) -> None:
        self.value = value

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Remember the shape of a record.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        check_records(self, X, kind="signals", reset=True, finite="allow-nan")
        return self

    def transform(self, X) -> np.ndarray:
        """Fill in what is missing.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of the shape of X
            float32 stays float32.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False, finite="allow-nan")
        # The caller's array is never written to, even where it has no gap.
        out = np.empty(X.shape, dtype=np.float32 if X.dtype == np.float32 else np.float64)
        for where, block in iter_blocks(X, BLOCK, finite="allow-nan"):
            out[where] = np.where(np.isnan(block), self.value, block)
        return out

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output has more than two axes in general, and stays an array."""
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
