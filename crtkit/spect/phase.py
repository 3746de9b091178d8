"""PhaseAnalysis: gated counts of the left-ventricular wall -> maps of contraction phase."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._validation import check_records, iter_blocks
from crtkit.spect.circular import circle_degrees, circular_mean
from crtkit.spect.dicom import lost_gates
from crtkit.spect.harmonics import MEASURES, phase_and_amplitude

BLOCK = 256


class PhaseAnalysis(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Phase of contraction of every sample of the left-ventricular wall, from gated counts.

    The counts of each sample over the cardiac cycle are fitted by their first harmonic (or first
    few); its phase is the systolic phase of the polar map [1]_. Nothing is learned: ``fit``
    remembers shapes.

    Parameters
    ----------
    measure : {"onset", "peak", "relaxation"}, default="onset"
        Which moment of the fitted curve; see `phase_and_amplitude`.
    n_harmonics : int, default=1
        1 for systole; 3, with ``measure="relaxation"``, for diastole [2]_.
    threshold : float in [0, 1), default=0.0
        Samples whose mean count is below this part of the record's largest mean count have no
        phase: scar and tissue outside the wall have too few counts for one. Samples without counts
        never have one.
    low_counts : {"nan", "mean"}, default="nan"
        What a sample without a phase gets: NaN, which `PhaseStatistics` leaves out, or the circular
        mean of the record, for what takes no NaN.
    output : {"phase", "amplitude"}, default="phase"
        Degrees in [0, 360), or counts of the first harmonic.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one record.
    n_features_in_ : int
        Number of frames.

    See Also
    --------
    PhaseStatistics : PSD, bandwidth, entropy of the maps.
    sample_polar_maps : gated short-axis stacks -> counts of the wall.

    Notes
    -----
    2-D input is one count curve per record.

    References
    ----------
    .. [1] Chen J et al. Onset of left ventricular mechanical contraction as determined by phase
       analysis of ECG-gated myocardial perfusion SPECT imaging. J Nucl Cardiol 2005;12:687-695.
    .. [2] Chen J et al. Left-ventricular systolic and diastolic dyssynchrony as assessed by
       multi-harmonic phase analysis. J Nucl Cardiol 2011;18:299-308.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import PhaseAnalysis
    >>> theta = np.deg2rad(45 * np.arange(8))[:, None, None]
    >>> peak = np.deg2rad(np.linspace(150, 240, 24))
    >>> counts = 100 + 30 * np.cos(theta - np.broadcast_to(peak, (12, 24)))
    >>> PhaseAnalysis().fit_transform(counts[None]).round(1)[0, 0, [0, 23]]
    array([ 60., 150.])
    """

    _parameter_constraints = {
        "measure": [StrOptions(set(MEASURES))],
        "n_harmonics": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="left")],
        "low_counts": [StrOptions({"nan", "mean"})],
        "output": [StrOptions({"phase", "amplitude"})],
    }

    def __init__(
        self,
        *,
        measure="onset",
        n_harmonics=1,
        threshold=0.0,
        low_counts="nan",
        output="phase",
    ):
        self.measure = measure
        self.n_harmonics = n_harmonics
        self.threshold = threshold
        self.low_counts = low_counts
        self.output = output

    def set_output(self, *, transform=None):
        """Do nothing: the output may have more than two axes."""
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the counts and remember their shape.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_frames, n_rings, n_sectors), \
(n_records, n_frames, n_cells) or (n_records, n_frames)
            Counts, not negative.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Too few frames, negative counts, a record without any count, NaN.
        """
        X = check_records(self, X, kind="counts", reset=True, ndim=(2, 3, 4))
        n_frames = self.shape_in_[0]
        # Eight frames, the usual gating, carry three harmonics and no fourth.
        if self.n_harmonics >= n_frames / 2:
            raise ValueError(
                f"PhaseAnalysis(n_harmonics={self.n_harmonics}) needs at least "
                f"{2 * self.n_harmonics + 1} frames on axis 1 of X, got n_features={n_frames} in "
                f"shape {tuple(X.shape)}. Give counts of shape (n_records, n_frames, ...)."
            )
        for where, block in iter_blocks(X, BLOCK):
            _check_counts(block, where.start)
        return self

    def transform(self, X):
        """Phase (or amplitude) of every sample.

        Parameters
        ----------
        X : array-like or Rows
            Of the shape that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n_records, n_rings, n_sectors), (n_records, n_cells) or (n_records, 1)
            float32 for float32 counts, else float64.

        Raises
        ------
        ValueError
            Another shape than in ``fit``, negative counts, a record without any count, NaN.

        Warns
        -----
        UserWarning
            Records whose counts do not change over the cycle, so that their map is NaN, and
            records of which a frame lost counts.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="counts", reset=False, ndim=(2, 3, 4))
        out, lost = [], []
        for where, block in iter_blocks(X, BLOCK):
            _check_counts(block, where.start)
            out.append(self._maps(block, where.start))
            if block.ndim == 4:  # whole studies: a single curve may well fall to half
                lost += [i for i, counts in enumerate(block, where.start) if lost_gates(counts)]
        maps = np.concatenate(out)
        if lost:
            warnings.warn(
                f"PhaseAnalysis: in {len(lost)} record(s), first record {lost[0]}, a frame has "
                "lost counts against the two beside it, as after an irregular rhythm: their "
                "phases are not reliable. crtkit.spect.dicom.lost_gates says which frame; scale "
                "it to its neighbours, or leave the study out.",
                UserWarning,
                stacklevel=2,
            )
        self._warn_of_flat(maps)
        return maps

    def _warn_of_flat(self, maps):
        """A map without any phase is not an error (a test phantom), but never silent."""
        empty = np.flatnonzero(np.isnan(maps).reshape(len(maps), -1).all(axis=1))
        if len(empty):
            warnings.warn(
                f"PhaseAnalysis: {len(empty)} record(s), first record {empty[0]}, have no phase at "
                "all and are NaN: their counts do not change over the cycle, or lie below the "
                "threshold.",
                UserWarning,
                stacklevel=3,
            )

    def _maps(self, counts, first):
        curves = counts if counts.ndim > 2 else counts[..., None]
        phase, amplitude = phase_and_amplitude(
            curves, measure=self.measure, n_harmonics=self.n_harmonics, axis=1
        )
        if self.output == "amplitude":
            return amplitude.astype(counts.dtype, copy=False)
        mean = curves.mean(axis=1, dtype=np.float64)
        # Within the record: counts depend on dose and time, an absolute threshold would too.
        largest = mean.max(axis=tuple(range(1, mean.ndim)), keepdims=True)
        phase = np.where((mean < self.threshold * largest) | (mean == 0), np.nan, phase)
        if self.low_counts == "mean":
            phase = _fill(phase, first)
        # Again after the cast: 359.99999999 is 360 in float32, and 360 is refused downstream.
        return circle_degrees(phase.astype(counts.dtype, copy=False))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "shape_in_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikit-learn's checks send negative numbers unless this tag is set.
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_counts(counts, first):
    """Refuse records that cannot be counts, naming them."""
    flat = counts.reshape(len(counts), -1)
    negative = np.flatnonzero((flat < 0).any(axis=1))
    if len(negative):
        raise ValueError(
            "Negative values in data passed to PhaseAnalysis: counts cannot be negative, but those "
            f"of record {first + negative[0]} are, {len(negative)} record(s) in all. Were they "
            "filtered or normalised? Clip them, or add a constant, which keeps the phase."
        )
    empty = np.flatnonzero(~flat.any(axis=1))
    if len(empty):
        raise ValueError(
            f"PhaseAnalysis: record {first + empty[0]} has no counts at all, {len(empty)} "
            "record(s) like it. Leave them out."
        )


def _fill(phase, first):
    """Samples without a phase get their record's circular mean."""
    flat = phase.reshape(len(phase), -1)
    # The arithmetic mean of 350 and 10 degrees is 180: the opposite of the record.
    mean, _ = circular_mean(flat)
    lost = np.isnan(mean)
    if lost.any():
        raise ValueError(
            f"PhaseAnalysis(low_counts='mean'): record {first + np.flatnonzero(lost)[0]} has no "
            "mean phase (no sample with counts that change, or phases that cancel). Leave it out."
        )
    return np.where(np.isnan(flat), mean[:, None], flat).reshape(phase.shape)
