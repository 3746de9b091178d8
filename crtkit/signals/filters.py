"""Zero-phase filters, along the last axis of signals of any shape."""

from numbers import Integral, Real
from typing import Self

import numpy as np
from scipy.signal import (
    butter,
    iirnotch,
    sosfilt,
    sosfilt_zi,
    tf2sos,
    zpk2sos,
)
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._columns import native
from crtkit._leads import refuse_exchanged_axes
from crtkit._validation import check_records, iter_blocks
from crtkit.cohort.rows import Rows

BLOCK = 64
CHUNK_SAMPLES = 100_000


def design_filter(
    fs, *, highpass=0.5, lowpass=None, order=5, mains=None, mains_method="notch", notch_q=30.0
) -> list[np.ndarray]:
    """Second-order sections of the stages of a lead filter.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    highpass, lowpass : float or None
        Cut-offs in Hz of the Butterworth stage. Both together make one Butterworth band-pass.
    order : int
        Order of the Butterworth prototype. Zero-phase filtering squares its gain, so a cut-off is
        the -6 dB point.
    mains : float or None
        Power-line frequency to remove, in Hz.
    mains_method : {"notch", "moving_average"}
        A second-order notch, or the mean over one mains period (NeuroKit's ``ecg_clean``), which
        also takes out the harmonics and half of what lies at 22 Hz (for 50 Hz at 500 Hz).
    notch_q : float
        Quality factor of the notch: its -3 dB width is ``mains / notch_q``.

    Returns
    -------
    list of ndarray, each of shape (n_sections, 6)
        One array per stage, in the order of application; stacked, they are one filter.

    Raises
    ------
    ValueError
        A frequency does not lie below half the sampling rate, or the band is empty.

    References
    ----------
    Makowski et al., "NeuroKit2", Behavior Research Methods 53, 2021 (``ecg_clean``).

    Examples
    --------
    >>> from crtkit.signals import design_filter
    >>> [stage.shape for stage in design_filter(500, highpass=0.5, order=5, mains=50)]
    [(3, 6), (1, 6)]
    """
    for name, value in (("highpass", highpass), ("lowpass", lowpass), ("mains", mains)):
        if value is not None and not 0 < value < fs / 2:
            raise ValueError(
                f"{name}={value} Hz must lie between 0 and half the sampling rate ({fs / 2:g} Hz "
                f"at fs={fs:g}). Lower it, set it to None, or give the true fs."
            )
    stages = []
    if highpass is not None and lowpass is not None:
        if highpass >= lowpass:
            raise ValueError(f"highpass={highpass} Hz must lie below lowpass={lowpass} Hz.")
        stages.append(butter(order, (highpass, lowpass), "bandpass", fs=fs, output="sos"))
    elif highpass is not None:
        stages.append(butter(order, highpass, "highpass", fs=fs, output="sos"))
    elif lowpass is not None:
        stages.append(butter(order, lowpass, "lowpass", fs=fs, output="sos"))
    if mains is not None:
        if mains_method == "notch":
            stages.append(tf2sos(*iirnotch(mains, notch_q, fs=fs)))
        elif mains_method == "moving_average":
            # Whole samples, and two below 100 Hz: NeuroKit's own choice, which lvsd2026 inherits.
            stages.append(_moving_average_sos(int(fs / mains) if fs >= 100 else 2))
        else:
            raise ValueError(
                f"mains_method must be 'notch' or 'moving_average', got {mains_method!r}."
            )
    return stages


def filter_leads(signals, stages, *, pad_samples=None, missing="raise") -> np.ndarray:
    """Filter forwards and backwards along the last axis, extended oddly at both ends.

    Parameters
    ----------
    signals : ndarray of shape (..., n_samples)
    stages : list of ndarray
        From :func:`design_filter`.
    pad_samples : int or None
        Length of the odd extension. With a number, all stages run as one stack of sections in a
        single pass. None runs stage after stage, each with scipy's own short extension: what a
        chain of scipy calls, and NeuroKit, would give.
        Never longer than the record allows (``n_samples - 1``).
    missing : {"raise", "runs"}
        ``"runs"`` filters each run of finite samples by itself and leaves NaN where it was.

    Returns
    -------
    ndarray
        Same shape; float32 stays float32, anything else becomes float64. The recursion itself
        runs in float64, since a 0.5 Hz section at 500 Hz loses most of float32's digits.

    Raises
    ------
    ValueError
        NaN with ``missing="raise"``, no samples, or an unknown ``missing``.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import design_filter, filter_leads
    >>> wander = np.sin(2 * np.pi * 0.1 * np.arange(5000) / 500)
    >>> bool(np.abs(filter_leads(wander, design_filter(500), pad_samples=1500)).max() < 0.01)
    True
    """
    if missing not in ("raise", "runs"):
        raise ValueError(f"filter_leads expects missing='raise' or 'runs', got {missing!r}.")
    signals = native(np.asarray(signals))
    refuse_exchanged_axes("filter_leads", signals.shape)
    if signals.shape[-1] == 0:
        raise ValueError(f"filter_leads needs samples, got shape {signals.shape}.")
    # The whole array at once where nothing is missing, which is the usual case and the fast one.
    finite = np.isfinite(signals)
    if finite.all():
        return _run_stages(signals, stages, pad_samples)
    if missing == "raise":
        raise ValueError(
            f"filter_leads got NaN or infinity in {int((~finite).any(-1).sum())} lead(s). "
            "Filter the finite runs with missing='runs', or fill the gaps."
        )
    out = np.full(signals.shape, np.nan, np.float32 if signals.dtype == np.float32 else np.float64)
    for lead in np.ndindex(signals.shape[:-1]):
        # Starts and stops of the finite runs, in turn.
        edges = np.flatnonzero(np.diff(finite[lead], prepend=False, append=False))
        for start, stop in edges.reshape(-1, 2):
            out[lead][start:stop] = _run_stages(signals[lead][start:stop], stages, pad_samples)
    return out


class LeadFilter(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Remove baseline wander, muscle noise and mains from every lead, without shifting a wave.

    High-pass, low-pass and mains removal are stacked second-order sections that run once
    forwards and once backwards, so the phase is zero and the order of the Butterworth stage
    counts twice.

    Parameters
    ----------
    fs : float, default=500
        Sampling rate in Hz.
    highpass : float or None, default=0.5
        Hz.
    lowpass : float or None, default=None
        Hz. With ``highpass`` it makes one Butterworth band-pass.
    order : int, default=5
        Order of the Butterworth stage.
    mains : float or None, default=50
        Power-line frequency in Hz: 50 or 60; None leaves it in.
    mains_method : {"notch", "moving_average"}, default="notch"
        ``"moving_average"`` is NeuroKit's, and what lvsd2026 used.
    notch_q : float, default=30
        Quality factor of the notch.
    padding : float or None, default=3.0
        Seconds of odd extension at each end, at most the record's own length. None: stage after
        stage with scipy's short extensions, as NeuroKit does; the edges of a record with an
        offset or drift are then some seconds long.
    missing : {"raise", "runs"}, default="raise"
        ``"runs"`` filters each run of finite samples by itself, for digitized pages that hold
        2.5 s of each lead.

    Attributes
    ----------
    sos_ : ndarray of shape (n_sections, 6)
        The whole filter.
    n_features_in_ : int
        Axis 1 of X.
    shape_in_ : tuple of int
        Shape of one record.

    Raises
    ------
    ValueError
        In ``fit``: a frequency at or above half of ``fs``; NaN (unless ``missing="runs"``).

    Notes
    -----
    Input is (n_records, n_leads, n_samples) in millivolt, output has the same shape; a 2-D array
    is one lead.

    References
    ----------
    Makowski et al., "NeuroKit2", Behavior Research Methods 53, 2021 (``ecg_clean``).

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import LeadFilter
    >>> time = np.arange(5000) / 500
    >>> wave = np.sin(2 * np.pi * 8 * time)
    >>> X = (wave + 2.0 + 0.1 * np.sin(2 * np.pi * 50 * time))[None, None]
    >>> clean = LeadFilter(fs=500).fit_transform(X)
    >>> bool(np.abs(clean[0, 0] - wave)[500:-500].max() < 0.02)
    True
    """

    _parameter_constraints = {
        "fs": [Interval(Real, 0, None, closed="neither")],
        "highpass": [Interval(Real, 0, None, closed="neither"), None],
        "lowpass": [Interval(Real, 0, None, closed="neither"), None],
        "order": [Interval(Integral, 1, 20, closed="both")],
        "mains": [Interval(Real, 0, None, closed="neither"), None],
        "mains_method": [StrOptions({"notch", "moving_average"})],
        "notch_q": [Interval(Real, 0, None, closed="neither")],
        "padding": [Interval(Real, 0, None, closed="left"), None],
        "missing": [StrOptions({"raise", "runs"})],
    }

    def __init__(
        self,
        *,
        fs=500,
        highpass=0.5,
        lowpass=None,
        order=5,
        mains=50,
        mains_method="notch",
        notch_q=30.0,
        padding=3.0,
        missing="raise",
    ) -> None:
        self.fs = fs
        self.highpass = highpass
        self.lowpass = lowpass
        self.order = order
        self.mains = mains
        self.mains_method = mains_method
        self.notch_q = notch_q
        self.padding = padding
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Design the filter and remember the shape of a record.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        # Designed here, not in transform: a frequency above Nyquist is an error of fit.
        check_records(self, X, kind="signals", reset=True, finite=self._finite())
        self._stages = self._design()
        self.sos_ = np.vstack(self._stages) if self._stages else np.empty((0, 6))
        return self

    def transform(self, X) -> np.ndarray:
        """Filter every lead.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of the shape of X
            float32 stays float32.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False, finite=self._finite())
        pad = None if self.padding is None else round(self.padding * self.fs)
        options = {"pad_samples": pad, "missing": self.missing}
        if not isinstance(X, Rows):
            return filter_leads(X, self._stages, **options)
        out = np.empty(X.shape, dtype=np.float32 if X.dtype == np.float32 else np.float64)
        for where, block in iter_blocks(X, BLOCK, finite=self._finite()):
            out[where] = filter_leads(block, self._stages, **options)
        return out

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output has more than two axes in general, and stays an array."""
        return self

    def _design(self) -> list[np.ndarray]:
        return design_filter(
            self.fs,
            highpass=self.highpass,
            lowpass=self.lowpass,
            order=self.order,
            mains=self.mains,
            mains_method=self.mains_method,
            notch_q=self.notch_q,
        )

    def _finite(self) -> bool | str:
        return True if self.missing == "raise" else "allow-nan"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "runs"
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _run_stages(signals, stages, pad_samples) -> np.ndarray:
    # The recursion runs in float64 whatever comes in; only what goes out is float32 again.
    dtype = np.float32 if signals.dtype == np.float32 else np.float64
    if not stages:
        return signals.astype(dtype)
    # np.array: scipy's loop wants writable coefficients, and a pickle opened as a map has none.
    passes = [np.array(sos) for sos in stages] if pad_samples is None else [np.vstack(stages)]
    n_samples = signals.shape[-1]
    leads = signals.reshape(-1, n_samples)
    out = np.empty(leads.shape, dtype=dtype)
    pads = [
        min(_scipy_padlen(sos) if pad_samples is None else pad_samples, n_samples - 1)
        for sos in passes
    ]
    starts = [sosfilt_zi(sos)[:, None, :] for sos in passes]
    # A few leads at a time: the padded copies then stay in the cache.
    size = max(1, CHUNK_SAMPLES // (n_samples + 2 * max(pads)))
    for i in range(0, len(leads), size):
        chunk = leads[i : i + size].astype(np.float64)
        for sos, start, pad in zip(passes, starts, pads):
            chunk = _forward_backward(sos, start, chunk, pad)
        out[i : i + size] = chunk
    return out.reshape(signals.shape)


def _forward_backward(sos, start, leads, pad) -> np.ndarray:
    """What scipy's sosfiltfilt does, with the steady state worked out once for all leads."""
    if pad:
        leads = np.concatenate(
            [
                2 * leads[:, :1] - leads[:, pad:0:-1],
                leads,
                2 * leads[:, -1:] - leads[:, -2 : -2 - pad : -1],
            ],
            axis=1,
        )
    leads, _ = sosfilt(sos, leads, zi=start * leads[None, :, :1])
    # The way back ends where the record begins: what lies before would be cut off.
    leads = leads[:, : pad - 1 if pad else None : -1]
    leads, _ = sosfilt(sos, leads, zi=start * leads[None, :, :1])
    return leads[:, pad:][:, ::-1]


def _scipy_padlen(sos) -> int:
    # sosfiltfilt refuses records shorter than its own default, so the default is worked out here.
    n_taps = 2 * len(sos) + 1 - min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum())
    return 3 * int(n_taps)


def _moving_average_sos(width) -> np.ndarray:
    # The mean over a period as zeros on the unit circle, so that it stacks with the other stages.
    zeros = np.exp(2j * np.pi * np.arange(1, width) / width)
    return zpk2sos(zeros, np.zeros(width - 1), 1 / width)
