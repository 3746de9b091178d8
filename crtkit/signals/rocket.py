"""MiniRocket features of signals, from sktime's compiled kernels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from numbers import Integral
from typing import Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from crtkit._io import import_optional
from crtkit._validation import as_leads, check_records, iter_blocks

#: Samples of a kernel; shorter records are filled up to it.
KERNEL_LENGTH = 9
BLOCK = 256


class MiniRocketFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Shares of each record in which a few thousand fixed convolutions are positive.

    The method is that of [1]_.

    With a ridge classifier behind it, one of the cheapest classifiers of time series that competes
    with networks. The kernels, dilations and channels are sktime's ``MiniRocketMultivariate``; as a
    step of a scikit-learn Pipeline sktime's own class fails (scikit-learn 1.9 asks it for an
    attribute that it does not have), it reseeds numpy's global generator, and the compiler behind
    it changes the number of threads that torch uses afterwards.

    Parameters
    ----------
    n_kernels : int, default=10_000
        Features, rounded down to a multiple of 84; at least 84.
    max_dilations : int, default=32
        Largest number of dilations of each of the 84 kernels.
    n_jobs : int or None, default=None
        Threads of ``transform``; None is one, -1 all cores.
    random_state : int, RandomState or None, default=None
        Of the leads that each kernel sees, and of the records that biases are taken from.

    Attributes
    ----------
    n_kernels_ : int
        Features that come out.
    rocket_ : sktime.transformations.rocket.MiniRocketMultivariate
        Fitted.
    n_features_in_ : int
    shape_in_ : tuple of int

    Raises
    ------
    ImportError
        numba is not installed.

    Notes
    -----
    Records shorter than nine samples are filled with zeros at their end. Features do not change
    when all of ``X`` is multiplied by one number; put a :class:`crtkit.Resampler` in front of
    records of 500 Hz where time matters, since the cost grows with the number of samples.

    References
    ----------
    .. [1] Dempster A, Schmidt DF, Webb GI. MiniRocket: a very fast (almost) deterministic transform
       for time series classification. KDD 2021, 248-257.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from crtkit.signals import MiniRocketFeatures
    >>> model = make_pipeline(
    ...     MiniRocketFeatures(n_kernels=168, random_state=0),
    ...     StandardScaler(with_mean=False),
    ...     RidgeClassifier(),
    ... )
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64)) + 2 * y[:, None, None] * np.sin(np.arange(64))
    >>> float(model.fit(X, y).score(X, y))                 # needs numba  # doctest: +SKIP
    1.0
    """

    _parameter_constraints = {
        "n_kernels": [Interval(Integral, 84, None, closed="left")],
        "max_dilations": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, *, n_kernels=10_000, max_dilations=32, n_jobs=None, random_state=None
    ) -> None:
        self.n_kernels = n_kernels
        self.max_dilations = max_dilations
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Draw leads and dilations of the kernels, and take their biases from records.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        _need_numba()
        X = check_records(self, X, kind="signals", reset=True)
        blocks = [_prepared(block) for _, block in iter_blocks(X, BLOCK)]
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        state = np.random.get_state()  # noqa: NPY002 - sktime seeds the global generator
        try:
            with self._own_threads() as n_threads:
                from sktime.transformations.rocket import MiniRocketMultivariate

                self.rocket_ = MiniRocketMultivariate(
                    num_kernels=int(self.n_kernels),
                    max_dilations_per_kernel=int(self.max_dilations),
                    n_jobs=n_threads,
                    random_state=seed,
                ).fit(np.concatenate(blocks))
        finally:
            np.random.set_state(state)  # noqa: NPY002
        self.n_kernels_ = int(self.rocket_.num_kernels_)
        return self

    def transform(self, X) -> np.ndarray:
        """Share of positive values of each convolution.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape (n_records, ``n_kernels_``)
            float32, in [0, 1].
        """
        check_is_fitted(self)
        _need_numba()
        X = check_records(self, X, kind="signals", reset=False)
        rocket = copy(self.rocket_)
        # Memory-mapped by joblib they are read-only, which the compiled kernels do not take.
        rocket.parameters = tuple(np.array(values) for values in rocket.parameters)
        out = np.empty((len(X), self.n_kernels_), dtype=np.float32)
        with self._own_threads() as n_threads:
            rocket.n_jobs = n_threads
            for where, block in iter_blocks(X, BLOCK):
                out[where] = rocket.transform(_prepared(block)).to_numpy()
        return out

    @contextmanager
    def _own_threads(self) -> Iterator[int]:
        """Give the number of threads; numba sets OpenMP's, torch's with it, and leaves it so."""
        n_threads = 1 if self.n_jobs is None else int(self.n_jobs)
        n_threads = n_threads if n_threads > 0 else os.cpu_count() or 1
        with threadpool_limits(n_threads, user_api="openmp"):
            yield n_threads

    @property
    def _n_features_out(self) -> int:
        return self.n_kernels_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _prepared(block) -> np.ndarray:
    """Records as sktime's kernels take them: float32, three axes, nine samples or more."""
    block = as_leads(np.asarray(block, dtype=np.float32))
    missing = max(0, KERNEL_LENGTH - block.shape[-1])
    return np.pad(block, ((0, 0), (0, 0), (0, missing)))


def _need_numba() -> None:
    import_optional("numba", extra="rocket", purpose="MiniRocketFeatures")
