"""Five numbers per lead: the features of the LightGBM model of mori2025."""

import warnings
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, assert_all_finite, check_array
from sklearn.utils.validation import check_is_fitted

from crtkit._leads import default_names, refuse_exchanged_axes
from crtkit._validation import FLOAT_DTYPES, as_leads, check_records, iter_blocks
from crtkit.cohort.rows import Rows

STATISTICS = ("mean", "std", "min", "max", "median")
"""Names that ``statistics`` may hold."""

_BLOCK_BYTES = 2**20


def lead_statistics(signals, statistics=STATISTICS, *, missing="raise") -> np.ndarray:
    """Statistics of every lead over its samples.

    The same bits as ``numpy.mean``, ``std``, ``min``, ``max`` and ``median`` over the last axis of
    a C-ordered array, several times faster: records are taken a few at a time, so that they stay
    in the cache, and the median needs one pivot instead of numpy's two. (A median of zero may
    differ in its sign.)

    Parameters
    ----------
    signals : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
        Any unit, mV elsewhere in crtkit. A 2-D array is one lead. float32 stays float32, anything
        else becomes float64.
    statistics : sequence of {"mean", "std", "min", "max", "median"}
        Which, and in which order. ``std`` divides by n_samples.
    missing : {"raise", "omit"}
        ``"omit"`` takes the statistics of the samples that are there, as of a page that shows each
        lead for 2.5 s; those of a lead without any are NaN.

    Returns
    -------
    ndarray of shape (n_records, n_leads * n_statistics)
        All statistics of the first lead, then of the second, and so on.

    Raises
    ------
    ValueError
        Infinity, NaN with ``missing="raise"``, more than three axes, an unknown statistic or
        ``missing``.

    Notes
    -----
    Sums are taken in the dtype of the signals, as numpy does. For float32 and up to 100,000
    samples, ``min``, ``max`` and the median of an odd number of samples are exact; against
    float64, with ``m = max(abs(x))`` of the lead and ``1e-15 < m < 1e18``, an even median is
    within ``1e-7 * m``, a mean within ``2e-6 * m`` and a standard deviation within ``4e-6 * m``
    (worst cases; some 1e-7 is usual). So an offset costs digits: 1 mV on an offset of 1000 mV
    keeps its standard deviation to 0.004 mV. Give float64 where that matters.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import lead_statistics
    >>> lead_statistics(np.array([[0.0, 1.0, 5.0, 2.0]]))
    array([[2.        , 1.87082869, 0.        , 5.        , 1.5       ]])
    >>> lead_statistics(np.ones((3, 12, 500), dtype=np.float32), ["min", "max"]).shape
    (3, 24)
    """
    _check_statistics(statistics, "lead_statistics")
    _check_missing(missing, "lead_statistics")
    if not isinstance(signals, Rows):
        signals = check_array(
            signals, allow_nd=True, dtype=list(FLOAT_DTYPES), ensure_all_finite=False
        )
    if signals.ndim not in (2, 3) or 0 in signals.shape:
        raise ValueError(
            "lead_statistics expects signals of shape (n_records, n_leads, n_samples) or "
            f"(n_records, n_samples), none of them 0, got {tuple(signals.shape)}."
        )
    refuse_exchanged_axes("lead_statistics", signals.shape)
    return _statistics_of_records(signals, statistics, "lead_statistics", missing)


class LeadStatistics(TransformerMixin, BaseEstimator):
    """Mean, standard deviation, minimum, maximum and median of every lead.

    Sixty features for twelve leads: what mori2025 gives to LightGBM. Nothing is learned; ``fit``
    remembers the number of leads and names the features.

    Parameters
    ----------
    statistics : sequence of str, default=("mean", "std", "min", "max", "median")
        Which statistics, in which order, of these five.
    lead_names : sequence of str, default=None
        Names of the leads, for feature names. None takes I, II, … V6 for twelve leads, and
        lead0, lead1, … for any other number. Not used for 2-D input, which is one nameless lead.
    missing : {"raise", "omit"}, default="raise"
        ``"omit"`` takes the statistics of the samples that are there, as of a page that shows each
        lead for 2.5 s; those of a lead without any are NaN.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one record: (n_leads, n_samples) or (n_samples,).
    n_features_in_ : int
        Number of leads; of samples for 2-D input.
    feature_names_in_ : ndarray of str
        Columns, when X was a DataFrame with string column names.

    See Also
    --------
    lead_statistics : the function behind it, with its numerical tolerance.

    Notes
    -----
    The length of a record may change between ``fit`` and ``transform`` (3-D input), the number of
    leads may not. float32 stays float32, within a few ``1e-6 * max(abs(x))`` of float64 numpy: see
    :func:`lead_statistics`.

    References
    ----------
    .. [1] mori2025 (``crtkit.studies.mori2025``), Methods: twelve leads x (mean, SD, minimum,
       maximum, median) as the features of LightGBM.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import LeadStatistics
    >>> signals = np.random.default_rng(0).normal(size=(5, 12, 1000)).astype(np.float32)
    >>> statistics = LeadStatistics().fit(signals)
    >>> features = statistics.transform(signals)
    >>> features.shape, features.dtype
    ((5, 60), dtype('float32'))
    >>> list(statistics.get_feature_names_out()[[0, 1, 59]])
    ['I_mean', 'I_std', 'V6_median']
    """

    def __init__(self, *, statistics=STATISTICS, lead_names=None, missing="raise") -> None:
        self.statistics = statistics
        self.lead_names = lead_names
        self.missing = missing

    def fit(self, X, y=None) -> Self:
        """Remember the number of leads.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Signals. Of ``Rows`` only the first record is read here; ``transform`` checks all.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            An unknown statistic, lead names that do not fit, NaN, infinity, wrong axes.
        """
        _check_statistics(self.statistics, type(self).__name__)
        _check_missing(self.missing, type(self).__name__)
        finite = True if self.missing == "raise" else "allow-nan"
        check_records(self, X, kind="signals", reset=True, finite=finite)
        names = self.lead_names
        if names is None or len(self.shape_in_) == 1:
            return self
        n_leads = self.shape_in_[0]
        if isinstance(names, str) or len(names) != n_leads or len(set(names)) != n_leads:
            raise ValueError(
                f"LeadStatistics expects lead_names to be {n_leads} distinct names, one for each "
                f"lead of X, got {names!r}. None gives default names."
            )
        return self

    def transform(self, X) -> np.ndarray | pd.DataFrame:
        """Statistics of every lead.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Signals with the fitted number of leads.

        Returns
        -------
        ndarray of shape (n_records, n_leads * n_statistics), or DataFrame
            As ``set_output`` asks.

        Raises
        ------
        ValueError
            Another number of leads than in ``fit``, NaN or infinity.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False, free_axes=(2,), finite=False)
        return _statistics_of_records(X, self.statistics, type(self).__name__, self.missing)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names such as ``I_mean``; plain ``mean`` for 2-D input.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked: must equal ``feature_names_in_`` where that exists.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        _check_input_features(self, input_features)
        if len(self.shape_in_) == 1:
            return np.asarray(self.statistics, dtype=object)
        n_leads = self.shape_in_[0]
        leads = self.lead_names
        if leads is None:
            leads = default_names(n_leads)
        return np.asarray([f"{lead}_{name}" for lead in leads for name in self.statistics], object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "omit"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_statistics(statistics, name) -> None:
    """Raise unless ``statistics`` is a sequence of distinct known names."""
    known = not isinstance(statistics, str) and all(s in STATISTICS for s in statistics)
    if not known or not len(statistics) or len(set(statistics)) != len(statistics):
        raise ValueError(
            f"{name} expects statistics to be a sequence of distinct names among "
            f"{', '.join(STATISTICS)}, got {statistics!r}."
        )


def _check_missing(missing, name) -> None:
    if missing not in ("raise", "omit"):
        raise ValueError(f"{name} expects missing='raise' or 'omit', got {missing!r}.")


def _check_input_features(estimator, names) -> None:
    """Refuse names that cannot be those of the fitted columns, in scikit-learn's words."""
    if names is None:
        return
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is not None and not np.array_equal(fitted, np.asarray(names, dtype=object)):
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            "input_features should have length equal to number of features "
            f"({estimator.n_features_in_}), got {len(names)}"
        )


def _statistics_of_records(signals, statistics, name, missing) -> np.ndarray:
    """Walk checked records in blocks that fit the cache."""
    n_leads = signals.shape[1] if signals.ndim == 3 else 1
    n_samples = signals.shape[-1]
    dtype = signals.dtype if signals.dtype in FLOAT_DTYPES else np.dtype(np.float64)
    size = min(max(1, _BLOCK_BYTES // (n_leads * n_samples * dtype.itemsize)), len(signals))
    out = np.empty((len(signals), n_leads, len(statistics)), dtype=dtype)
    # One buffer for all blocks: fresh arrays of this size are mapped, page by page, every time.
    buffer = np.empty((size, n_leads, n_samples), dtype=dtype)
    for where, block in iter_blocks(signals, size, finite=False):
        # numpy adds a strided axis in another order; a copy makes the bits those of C order.
        block = np.ascontiguousarray(as_leads(block))
        _block_statistics(block, statistics, name, missing, out[where], buffer[: len(block)])
    return out.reshape(len(signals), -1)


def _block_statistics(v, statistics, name, missing, out, buffer) -> None:
    """Fill ``out`` (n_records, n_leads, n_statistics) from C-ordered ``v``."""
    mean = v.mean(axis=-1)
    # Any NaN or infinity reaches the mean, so the samples are searched only if a mean is not
    # finite; what remains then is an overflowing sum, which numpy has as well.
    if not np.isfinite(mean).all():
        allow_nan = missing == "omit"
        assert_all_finite(v, estimator_name=name, input_name="X", allow_nan=allow_nan)
        if allow_nan and np.isnan(v).any():
            _omitting_statistics(v, statistics, out)
            return
    for i, statistic in enumerate(statistics):
        if statistic == "mean":
            out[..., i] = mean
        elif statistic == "std":
            np.subtract(v, mean[..., None], out=buffer)
            np.multiply(buffer, buffer, out=buffer)
            out[..., i] = np.sqrt(buffer.mean(axis=-1))
        elif statistic == "median":
            out[..., i] = _median(v, buffer)
        else:
            out[..., i] = getattr(v, statistic)(axis=-1)


def _omitting_statistics(v, statistics, out) -> None:
    """Fill ``out`` from the samples that are there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # leads without any sample become NaN
        for i, statistic in enumerate(statistics):
            out[..., i] = getattr(np, f"nan{statistic}")(v, axis=-1)


def _median(v, buffer) -> np.ndarray:
    """Median of finite numbers, through one partition of integers that sort as the numbers do.

    numpy's partition of integers has no NaN to care for and takes half the time; and one pivot is
    enough, because the number before it is the largest of the lower half.
    """
    half, odd = divmod(v.shape[-1], 2)
    integer = np.dtype(f"i{v.dtype.itemsize}").type
    bits, keys = v.view(integer), buffer.view(integer)
    largest = np.iinfo(integer).max
    # Bits of negative floats sort backwards: flip all but their sign. Doing so twice undoes it.
    np.right_shift(bits, 8 * v.dtype.itemsize - 1, out=keys)
    np.bitwise_and(keys, largest, out=keys)
    np.bitwise_xor(keys, bits, out=keys)
    keys.partition(half, axis=-1)

    def number(key) -> np.ndarray:
        return (key ^ ((key >> (8 * v.dtype.itemsize - 1)) & largest)).view(v.dtype)

    upper = number(keys[..., half])
    if odd:
        return upper
    return (number(keys[..., :half].max(axis=-1)) + upper) / v.dtype.type(2)
