"""PhaseStatistics: figures of mechanical dyssynchrony from phase polar maps."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from crtkit._validation import check_records, iter_blocks
from crtkit.spect.circular import (
    histogram_bandwidth,
    phase_bandwidth,
    phase_entropy,
    phase_histogram,
    phase_moments,
)
from crtkit.spect.segments import AHA_SEGMENTS, aha_segments

STATISTICS = ("psd", "pbw", "entropy", "mean", "peak", "skewness", "kurtosis")
# Maps of 12 x 24 in float64 are 2 kB: a block, sorted and doubled, stays in the cache.
BLOCK = 256


def phase_statistics(
    phase, statistics=STATISTICS, *, coverage=0.95, bin_width=6.0, histogram_pbw=False, ddof=0
):
    """Figures of dyssynchrony over the last axis.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    statistics : sequence of str
        Among ``"psd"`` (SD about the circular mean, degrees), ``"pbw"`` (shortest arc, degrees),
        ``"entropy"`` (per cent), ``"mean"`` (circular, degrees), ``"peak"`` (middle of the fullest
        bin, degrees), ``"skewness"`` and ``"kurtosis"`` (about the circular mean).
    coverage, bin_width, histogram_pbw, ddof
        As in `PhaseStatistics`.

    Returns
    -------
    ndarray of shape (..., n_statistics)
        NaN where a statistic is undefined: phases that cancel have no mean, and so no psd, skewness
        and kurtosis; equal phases have no skewness and kurtosis; no phases have nothing.

    Raises
    ------
    ValueError
        Unknown or repeated statistics, a coverage outside (0, 1], bins that do not fill the circle,
        infinite phases.

    Examples
    --------
    >>> from crtkit.spect import phase_statistics
    >>> phase_statistics([350.0, 0.0, 10.0], ("mean", "pbw", "psd")).round(3)
    array([ 0.   , 20.   ,  8.165])
    """
    _check_names("phase_statistics", statistics)
    values = dict(zip(("mean", "psd", "skewness", "kurtosis"), phase_moments(phase, ddof)))
    if "pbw" in statistics:
        values["pbw"] = (
            histogram_bandwidth(phase, bin_width, coverage)
            if histogram_pbw
            else phase_bandwidth(phase, coverage)[0]
        )
    if "entropy" in statistics:
        values["entropy"] = phase_entropy(phase, bin_width)
    if "peak" in statistics:
        counts = phase_histogram(phase, bin_width)
        peak = (counts.argmax(axis=-1) + 0.5) * bin_width
        # argmax of an empty histogram is its first bin: a map of NaN would peak at 3 degrees.
        values["peak"] = np.where(counts.any(axis=-1), peak, np.nan)
    return np.stack([values[name] for name in statistics], axis=-1)


class PhaseStatistics(TransformerMixin, BaseEstimator):
    """Phase SD, bandwidth, entropy and more of phase polar maps, on the circle.

    Parameters
    ----------
    statistics : sequence of str, default=all seven
        ``"psd", "pbw", "entropy", "mean", "peak", "skewness", "kurtosis"``; see
        `phase_statistics`.
    segments : bool, default=False
        The same figures for each of the 17 AHA segments, after the global ones. It needs maps of
        rings and sectors: 3-D input, or ``input_shape``.
    coverage : float in (0, 1], default=0.95
        Part of the cells inside the bandwidth.
    bin_width : float, default=6.0
        Of the histogram in degrees, for entropy and peak; it divides 360.
    histogram_pbw : bool, default=False
        The bandwidth as the shortest run of histogram bins instead of the exact shortest arc.
    ddof : {0, 1}, default=0
        Of the phase SD.
    input_shape : tuple of int, default=None
        (n_rings, n_sectors) of flattened maps.
    first_angle : float, default=0.0
        Where sector 0 begins, in degrees; see `aha_segments`.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one map.
    n_features_in_ : int
        Number of rings; of cells for 2-D input.
    n_undefined_ : int
        Figures of the maps of ``fit`` that are NaN.
    segment_of_cell_ : ndarray of int of shape (n_cells,), or None
        AHA segment of each cell, where ``segments``.

    See Also
    --------
    PhaseAnalysis : counts -> maps.

    Notes
    -----
    A rotation of all phases changes only mean and peak; entropy, peak and a histogram bandwidth are
    read from bins from 0, so for them the rotation must be by whole bins. Workstations define these
    figures their own ways (bins, smoothing, masks, software releases): do not mix them with a
    workstation's, and give a cut-off such as 43 degrees its own software.

    A figure that is undefined is NaN, and a warning says how many and why.

    References
    ----------
    .. [1] Henneman MM et al. Can LV dyssynchrony as assessed with phase analysis on gated
       myocardial perfusion SPECT predict response to CRT? J Nucl Med 2007;48:1104-1111.
    .. [2] Cerqueira MD et al. Standardized myocardial segmentation and nomenclature for
       tomographic imaging of the heart. Circulation 2002;105:539-542.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import PhaseStatistics
    >>> maps = np.random.default_rng(0).normal(0, 20, (3, 12, 24)) % 360
    >>> figures = PhaseStatistics(statistics=("psd", "pbw")).fit(maps)
    >>> figures.transform(maps).round(0)
    array([[20., 77.],
           [20., 71.],
           [19., 72.]])
    >>> list(figures.get_feature_names_out())
    ['psd', 'pbw']
    """

    _parameter_constraints = {
        "statistics": [tuple, list],
        "segments": ["boolean"],
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "bin_width": [Interval(Real, 0, 180, closed="right")],
        "histogram_pbw": ["boolean"],
        "ddof": [Interval(Integral, 0, 1, closed="both")],
        "input_shape": [tuple, list, None],
        "first_angle": [Real],
    }

    def __init__(
        self,
        *,
        statistics=STATISTICS,
        segments=False,
        coverage=0.95,
        bin_width=6.0,
        histogram_pbw=False,
        ddof=0,
        input_shape=None,
        first_angle=0.0,
    ):
        self.statistics = statistics
        self.segments = segments
        self.coverage = coverage
        self.bin_width = bin_width
        self.histogram_pbw = histogram_pbw
        self.ddof = ddof
        self.input_shape = input_shape
        self.first_angle = first_angle

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the maps and remember their shape.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_rings, n_sectors) or (n_records, n_cells)
            Phases in degrees, [0, 360); NaN where there is none.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Unknown statistic, bins that do not fill the circle, phases outside [0, 360), segments
            of maps without rings.
        """
        _check_names("PhaseStatistics", self.statistics)
        if not np.isfinite(self.first_angle):
            raise ValueError(
                f"PhaseStatistics expects first_angle in degrees, got {self.first_angle}."
            )
        # Refuses a width that does not divide the circle now, not at the first map of a search.
        phase_histogram(np.zeros((1, 1)), self.bin_width)
        X = check_records(self, X, kind="maps", reset=True, finite="allow-nan")
        self.segment_of_cell_ = self._segment_of_cell()
        # Nothing is learned; that maps are full of NaN is worth knowing before a search.
        self.n_undefined_ = int(np.isnan(self._figures(X)).sum())
        return self

    def transform(self, X):
        """Figures of every map.

        Parameters
        ----------
        X : array-like or Rows
            Maps of the shape that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n_records, n_features), or DataFrame
            As ``set_output`` asks; float32 for float32 maps.

        Raises
        ------
        ValueError
            Another shape than in ``fit``, phases outside [0, 360).

        Warns
        -----
        UserWarning
            Figures that are undefined, how many and why.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="maps", reset=False, finite="allow-nan")
        out = self._figures(X)
        undefined = int(np.isnan(out).sum())
        if undefined:
            rows = np.flatnonzero(np.isnan(out).any(axis=1))
            warnings.warn(
                f"PhaseStatistics: {undefined} figure(s) of {len(rows)} map(s), first in record "
                f"{rows[0]}, are undefined and NaN: phases that cancel have no mean, psd, skewness "
                "and kurtosis; equal phases have no skewness and kurtosis; a map or segment of NaN "
                "has nothing.",
                UserWarning,
                stacklevel=2,
            )
        return out

    def get_feature_names_out(self, input_features=None):
        """Names such as ``psd``, and ``psd_segment01`` to ``psd_segment17``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        if input_features is not None or hasattr(self, "feature_names_in_"):
            _check_feature_names_in(self, input_features)
        names = list(self.statistics)
        if self.segments:
            names += [
                f"{s}_segment{number:02d}" for number in AHA_SEGMENTS for s in self.statistics
            ]
        return np.asarray(names, dtype=object)

    def _segment_of_cell(self):
        shape = self.shape_in_
        if self.input_shape is not None and len(shape) == 1:
            if len(self.input_shape) != 2 or np.prod(self.input_shape) != shape[0]:
                raise ValueError(
                    f"PhaseStatistics(input_shape={tuple(self.input_shape)}) does not unflatten "
                    f"maps of {shape[0]} cells. Give (n_rings, n_sectors)."
                )
            shape = tuple(self.input_shape)
        if not self.segments:
            return None
        if len(shape) != 2:
            raise ValueError(
                "PhaseStatistics(segments=True) needs rings and sectors: maps of shape (n_records, "
                f"n_rings, n_sectors), or input_shape for flattened ones; got {shape} per map."
            )
        # By cell once, not by map: all maps of an estimator have one geometry.
        return aha_segments(*shape, first_angle=self.first_angle).ravel()

    def _figures(self, X):
        options = {
            "coverage": self.coverage,
            "bin_width": self.bin_width,
            "histogram_pbw": self.histogram_pbw,
            "ddof": self.ddof,
        }
        parts = []
        for where, block in iter_blocks(X, BLOCK, finite="allow-nan"):
            flat = block.reshape(len(block), -1)
            _check_phases(flat, where.start)
            figures = [phase_statistics(flat, self.statistics, **options)]
            if self.segments:
                figures += [
                    phase_statistics(
                        flat[:, self.segment_of_cell_ == number], self.statistics, **options
                    )
                    for number in AHA_SEGMENTS
                ]
            parts.append(np.concatenate(figures, axis=1).astype(block.dtype, copy=False))
        return np.concatenate(parts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_names(who, statistics):
    wrong = isinstance(statistics, str) or [s for s in statistics if s not in STATISTICS]
    if wrong or not len(statistics) or len(set(statistics)) < len(statistics):
        raise ValueError(
            f"{who} expects statistics to be a sequence of distinct names among "
            f"{', '.join(STATISTICS)}, got {statistics!r}."
        )


def _check_phases(flat, first):
    """Refuse what is not a phase in degrees on [0, 360)."""
    # NaN is a cell without counts and compares false with both limits.
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(((flat < 0) | (flat >= 360)).any(axis=1))
    if len(wrong):
        row = flat[wrong[0]]
        raise ValueError(
            "Negative values in data passed to PhaseStatistics, or values of 360 and more: phases "
            f"are degrees in [0, 360), record {first + wrong[0]} has {np.nanmin(row):g} to "
            f"{np.nanmax(row):g}. Use numpy.mod(maps, 360)."
        )
