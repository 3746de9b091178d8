"""Another sampling rate, along the last axis of signals of any shape."""

from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._resample import rational_rate, resample_leads
from crtkit._validation import check_records, iter_blocks

__all__ = ["Resampler", "resample_leads"]

BLOCK = 64


class Resampler(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Change the sampling rate of every lead.

    Parameters
    ----------
    fs_in : float, default=500
        Sampling rate of the input in Hz.
    fs_out : float, default=360
        Sampling rate of the output in Hz.
    method : {"polyphase", "linear"}, default="polyphase"
        ``"linear"`` interpolates between neighbours, as lvsd2026 did from 99-221 Hz to 500 Hz.

    Attributes
    ----------
    n_samples_out_ : int
        Samples of an output record: ceil(n_samples * fs_out / fs_in).
    n_features_in_ : int
    shape_in_ : tuple of int

    Notes
    -----
    Input is (n_records, n_leads, n_samples); a 2-D array is one lead and stays 2-D.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import Resampler
    >>> Resampler(fs_in=500, fs_out=360).fit_transform(np.ones((2, 12, 5000))).shape
    (2, 12, 3600)
    """

    _parameter_constraints = {
        "fs_in": [Interval(Real, 0, None, closed="neither")],
        "fs_out": [Interval(Real, 0, None, closed="neither")],
        "method": [StrOptions({"polyphase", "linear"})],
    }

    def __init__(self, *, fs_in=500, fs_out=360, method="polyphase") -> None:
        self.fs_in = fs_in
        self.fs_out = fs_out
        self.method = method

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
        X = check_records(self, X, kind="signals", reset=True)
        ratio = rational_rate(self.fs_out) / rational_rate(self.fs_in)
        self.n_samples_out_ = -(-X.shape[-1] * ratio.numerator // ratio.denominator)
        return self

    def transform(self, X) -> np.ndarray:
        """Resample every lead.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape ``(n_records, n_leads, n_samples_out_)``, or without leads
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False)
        # Written block by block into one array: the cohort may be larger than memory as it comes.
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        out = np.empty((*X.shape[:-1], self.n_samples_out_), dtype=dtype)
        for where, block in iter_blocks(X, BLOCK):
            out[where] = resample_leads(block, self.fs_in, self.fs_out, method=self.method)
        return out

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output has more than two axes in general, and stays an array."""
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
