"""Short-time Fourier transform of every lead."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Self

import numpy as np
from scipy import fft
from scipy.signal import get_window
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._validation import as_leads, check_records, iter_blocks

PADDINGS = ("constant", "reflect")
SCALINGS = ("dB", "magnitude", "psd")
FLOOR_DB = -80.0
BLOCK = 16


def count_frames(n_samples, *, window_length=512, hop_length=32, padding="constant") -> int:
    """Number of frames of a record.

    Parameters
    ----------
    n_samples : int
    window_length, hop_length : int
        Samples.
    padding : {"constant", "reflect"} or None
        With padding, frames are centred on samples 0, hop, 2 hop, ...:
        ``1 + n_samples // hop_length`` (for an odd window, of ``n_samples - 1``). Without, they
        lie wholly inside the record, the first from sample 0:
        ``1 + (n_samples - window_length) // hop_length``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        The record is shorter than the window (``padding=None``), or too short to be mirrored.

    Examples
    --------
    >>> from crtkit.signals.stft import count_frames
    >>> count_frames(3600), count_frames(3600, padding=None), count_frames(300)
    (113, 97, 10)
    """
    if padding is None:
        if n_samples < window_length:
            raise ValueError(
                f"A record of {n_samples} samples is shorter than the window of {window_length}. "
                "Use padding='constant' (zeros), or a shorter window_length."
            )
        return 1 + (n_samples - window_length) // hop_length
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {PADDINGS} or None, got {padding!r}.")
    if padding == "reflect" and n_samples <= window_length // 2:
        raise ValueError(
            f"A record of {n_samples} samples cannot be mirrored over half a window of "
            f"{window_length}. Use padding='constant' (zeros)."
        )
    # Half a window on either side makes the count independent of the window, but for its odd
    # sample.
    return 1 + (n_samples - window_length % 2) // hop_length


def stft(
    signals, *, window="hann", window_length=512, hop_length=32, padding="constant"
) -> np.ndarray:
    """Complex short-time Fourier transform along the last axis, unscaled.

    ``X[k, m] = sum_n x[n + m * hop_length - offset] w[n] exp(-2j pi k n / window_length)``, with
    an offset of half a window where the record is padded and none where it is not.

    Parameters
    ----------
    signals : ndarray of shape (..., n_samples)
    window : str or tuple
        As ``scipy.signal.get_window`` takes it; periodic.
    window_length, hop_length : int
        Samples.
    padding : {"constant", "reflect"} or None
        Zeros, or the record mirrored, for half a window at both ends; see :func:`count_frames`.

    Returns
    -------
    ndarray of complex, shape (..., window_length // 2 + 1, n_frames)
        complex64 for float32, else complex128.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.stft import stft
    >>> stft(np.zeros((12, 3600))).shape
    (12, 257, 113)
    """
    signals, weights = _prepare(signals, window, window_length)
    n_frames = count_frames(
        signals.shape[-1], window_length=window_length, hop_length=hop_length, padding=padding
    )
    dtype = np.complex64 if signals.dtype == np.float32 else np.complex128
    out = np.empty((*signals.shape[:-1], window_length // 2 + 1, n_frames), dtype=dtype)
    for lead, spectrum in _spectra(signals, weights, hop_length, padding, n_frames):
        out[lead] = spectrum
    return out


def spectrogram(
    signals,
    fs,
    *,
    window="hann",
    window_length=512,
    hop_length=32,
    padding="constant",
    scaling="dB",
    max_frequency=None,
) -> np.ndarray:
    """Spectrogram of every lead.

    Parameters
    ----------
    signals : ndarray of shape (..., n_samples)
        Millivolt.
    fs : float
        Sampling rate in Hz.
    window, window_length, hop_length, padding
        As in :func:`stft`.
    scaling : {"dB", "magnitude", "psd"}
        ``"dB"``: amplitude in decibel relative to 1 mV (a steady sine of 1 mV gives 0 dB), not
        below -80 dB (0.1 microvolt). ``"magnitude"``: ``|X|``. ``"psd"``: one-sided power
        density in mV^2/Hz, as scipy's.
    max_frequency : float or None
        Keep bins up to this many Hz.

    Returns
    -------
    ndarray of shape (..., n_freqs, n_frames)
        float32 for float32, else float64.

    Raises
    ------
    ValueError
        An unknown scaling, window or padding, or a window longer than it may be.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.stft import spectrogram
    >>> x = np.cos(2 * np.pi * 45 * np.arange(3600) / 360)
    >>> float(spectrogram(x, 360)[64, 50].round(6))
    0.0
    """
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {SCALINGS}, got {scaling!r}.")
    signals, weights = _prepare(signals, window, window_length)
    n_frames = count_frames(
        signals.shape[-1], window_length=window_length, hop_length=hop_length, padding=padding
    )
    n_freqs = len(frequencies(fs, window_length, max_frequency))
    factor = np.full((n_freqs, 1), 2.0, dtype=signals.dtype)
    factor[0] = 1.0  # the mean, and for even windows the Nyquist bin, have no mirror image
    if window_length % 2 == 0 and n_freqs == window_length // 2 + 1:
        factor[-1] = 1.0
    out = np.empty((*signals.shape[:-1], n_freqs, n_frames), dtype=signals.dtype)
    for lead, spectrum in _spectra(signals, weights, hop_length, padding, n_frames):
        power = np.abs(spectrum[:n_freqs], out=out[lead])
        if scaling == "dB":
            power *= factor / weights.sum()
            # The floor comes before the logarithm: a flat lead has bins of exactly 0.
            np.maximum(power, 10 ** (FLOOR_DB / 20), out=power)
            np.log(power, out=power)
            power *= 20 / np.log(10)
        elif scaling == "psd":
            np.square(power, out=power)
            power *= factor / (fs * np.square(weights).sum())
    return out


def frequencies(fs, window_length=512, max_frequency=None) -> np.ndarray:
    """Frequency of each bin.

    Parameters
    ----------
    fs : float
        Hz.
    window_length : int
    max_frequency : float or None
        Hz.

    Returns
    -------
    ndarray of shape (n_freqs,)
        Hz.

    Examples
    --------
    >>> from crtkit.signals.stft import frequencies
    >>> len(frequencies(360)), len(frequencies(360, max_frequency=45))
    (257, 65)
    """
    bins = np.fft.rfftfreq(window_length, 1 / fs)
    # A bin that should equal the limit may lie a rounding error above it.
    return bins if max_frequency is None else bins[bins <= max_frequency * (1 + 1e-12)]


class STFTTransformer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Turn every lead into a spectrogram.

    Parameters
    ----------
    fs : float, default=360
        Sampling rate in Hz.
    window : str or tuple, default="hann"
        As ``scipy.signal.get_window`` takes it, periodic. he2023 names Hamming in its text and
        Hanning in its formula.
    window_length : int, default=512
        Samples: 1.42 s at 360 Hz.
    hop_length : int, default=32
        Samples.
    padding : {"constant", "reflect"} or None, default="constant"
        Zeros, or the record mirrored, for half a window at both ends, so that frames are centred
        on samples 0, hop, ... and records shorter than a window (most beats) have frames too.
        None: only frames that lie wholly inside.
    scaling : {"dB", "magnitude", "psd"}, default="dB"
        Decibel relative to an amplitude of 1 mV, not below -80 dB; ``|X|``; or one-sided power
        density in mV^2/Hz.
    max_frequency : float or None, default=None
        Keep bins up to this many Hz.

    Attributes
    ----------
    n_frames_ : int
        Frames of a record: ``1 + n_samples // hop_length`` with padding (and an even window),
        else ``1 + (n_samples - window_length) // hop_length``.
    frequencies_ : ndarray of shape (n_freqs,)
        Hz.
    times_ : ndarray of shape ``(n_frames_,)``
        Centre of each frame in seconds from the record's first sample.
    n_features_in_ : int
    shape_in_ : tuple of int

    Raises
    ------
    ValueError
        In ``fit``: a record shorter than the window without padding, or than half of it when
        mirrored; an unknown window; NaN.

    Notes
    -----
    Input is (n_records, n_leads, n_samples) in millivolt, a 2-D array is one lead; output is
    (n_records, n_leads, n_freqs, n_frames), float32 for float32 input.

    References
    ----------
    He et al. 2023 (study ``he2023``): window of 512 samples at 360 Hz; hop, padding and scaling
    are not published.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import STFTTransformer
    >>> beats = np.random.default_rng(0).normal(size=(5, 12, 300))
    >>> STFTTransformer(fs=360).fit_transform(beats).shape
    (5, 12, 257, 10)
    """

    _parameter_constraints = {
        "fs": [Interval(Real, 0, None, closed="neither")],
        "window": [str, tuple],
        "window_length": [Interval(Integral, 2, None, closed="left")],
        "hop_length": [Interval(Integral, 1, None, closed="left")],
        "padding": [StrOptions(set(PADDINGS)), None],
        "scaling": [StrOptions(set(SCALINGS))],
        "max_frequency": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        fs=360,
        window="hann",
        window_length=512,
        hop_length=32,
        padding="constant",
        scaling="dB",
        max_frequency=None,
    ) -> None:
        self.fs = fs
        self.window = window
        self.window_length = window_length
        self.hop_length = hop_length
        self.padding = padding
        self.scaling = scaling
        self.max_frequency = max_frequency

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Check that a record has frames, and remember its shape.

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
        # Asks scipy whether there is such a window, before a cohort is read.
        _prepare(np.zeros(1), self.window, self.window_length)
        self.n_frames_ = count_frames(
            X.shape[-1],
            window_length=self.window_length,
            hop_length=self.hop_length,
            padding=self.padding,
        )
        self.frequencies_ = frequencies(self.fs, self.window_length, self.max_frequency)
        # Padded frames are centred on their sample; unpadded ones begin there.
        offset = 0 if self.padding is not None else self.window_length / 2
        self.times_ = (np.arange(self.n_frames_) * self.hop_length + offset) / self.fs
        return self

    def transform(self, X) -> np.ndarray:
        """Spectrograms of every lead.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape (n_records, n_leads, n_freqs, n_frames)
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False)
        n_leads = X.shape[1] if len(X.shape) == 3 else 1
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        out = np.empty((len(X), n_leads, len(self.frequencies_), self.n_frames_), dtype=dtype)
        for where, block in iter_blocks(X, BLOCK):
            out[where] = spectrogram(
                as_leads(block),
                self.fs,
                window=self.window,
                window_length=self.window_length,
                hop_length=self.hop_length,
                padding=self.padding,
                scaling=self.scaling,
                max_frequency=self.max_frequency,
            )
        return out

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output has four axes, and stays an array."""
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _prepare(signals, window, window_length) -> tuple[np.ndarray, np.ndarray]:
    # float32 is transformed in float32: half the memory, and -80 dB lies far above its noise.
    signals = np.asarray(signals)
    if signals.dtype != np.float32:
        signals = signals.astype(np.float64, copy=False)
    try:
        # Periodic, not symmetric: only then do shifted windows add up to a constant.
        weights = get_window(window, window_length, fftbins=True)
    except ValueError as error:
        raise ValueError(f"window={window!r} is not one of scipy's windows: {error}") from error
    return signals, weights.astype(signals.dtype)


def _spectra(
    signals, weights, hop_length, padding, n_frames
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield each lead's index and spectrum (n_freqs, n_frames), one lead in the cache at a time."""
    length = len(weights)
    half = 0 if padding is None else length // 2
    # One buffer for all leads: fresh arrays of this size are mapped, page by page, every time.
    buffer = np.empty((n_frames, length), dtype=signals.dtype)
    padded = np.zeros(signals.shape[-1] + 2 * half, dtype=signals.dtype)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop_length][:n_frames]
    for lead in np.ndindex(signals.shape[:-1]):
        padded[half : half + signals.shape[-1]] = signals[lead]
        if padding == "reflect":
            padded[:] = np.pad(signals[lead], half, mode="reflect")
        np.multiply(frames, weights, out=buffer)
        # Transforming the transposed view writes (n_freqs, n_frames) at once: no second pass.
        yield lead, fft.rfft(buffer.T, axis=0)
