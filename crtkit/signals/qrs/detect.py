"""Where the QRS complexes of a record are, all leads asked together."""

from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from crtkit.signals.medians import median

_REFRACTORY_S = 0.24


def locate_qrs(signals, fs) -> np.ndarray:
    """Find QRS complexes on all leads together.

    The slope of the signal between 5 and 25 Hz is squared, weighted by how far complexes stand
    out of each lead, and summed over leads; its maxima are the complexes. Leads that are flat,
    missing or noisy therefore count little. For one lead and R peaks proper, see
    :func:`crtkit.signals.detect_r_peaks`.

    Parameters
    ----------
    signals : ndarray of shape (n_leads, n_samples)
        Millivolt, finite.
    fs : float
        Sampling rate in hertz, at least 100.

    Returns
    -------
    ndarray of int, shape (n_beats,)
        A sample inside each complex, in order; empty where nothing stands out.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import locate_qrs
    >>> t = np.arange(5000) / 500
    >>> signals = np.exp(-(((t % 1.0) - 0.5) ** 2) / (2 * 0.01**2))[None]
    >>> len(locate_qrs(signals, fs=500))
    10
    """
    signals = np.atleast_2d(signals)
    step = max(1, round(fs / 125))
    rate = fs / step
    n = signals.shape[1] // step
    if n < rate * 0.5:
        return np.empty(0, dtype=int)
    # Sums of strided slices: a mean over an axis of four is several times slower.
    slow = sum(signals[:, i : n * step : step] for i in range(step)) / step
    slope = np.diff(both_ways(slow, rate), axis=1)
    energy = slope**2
    # One complex in ten seconds is still above this quantile.
    high = int(0.99 * n) - 1
    ordered = np.partition(energy, (n // 2, high), axis=1)
    top, middle = ordered[:, high], ordered[:, n // 2]
    # A lead's say grows with how far its complexes rise above the rest of it.
    weight = np.where(top > 1e-10, 1.0 - np.minimum(12.0 * middle / np.maximum(top, 1e-300), 1), 0)
    if not weight.any():
        return np.empty(0, dtype=int)
    energy = weight @ (energy / np.maximum(top, 1e-300)[:, None])
    strength = uniform_filter1d(energy, max(3, round(0.1 * rate)), mode="nearest")
    strength = np.sqrt(np.maximum(strength, 0.0))
    peaks = _peaks(strength, rate)
    return np.minimum(np.round((peaks + 1) * step).astype(int), signals.shape[1] - 1)


@lru_cache(maxsize=32)
def _gain(rate, n) -> np.ndarray:
    """Gain of a Butterworth band-pass of second order, forwards and backwards, by frequency."""
    low, high = np.tan(np.pi / rate * np.array([5.0, min(25.0, 0.4 * rate)]))
    at = np.tan(np.pi / rate * np.fft.rfftfreq(n, 1.0 / rate)[1:])
    off = (at**2 - low * high) / (at * (high - low))
    return np.concatenate([[0.0], 1.0 / (1.0 + off**4)])


def both_ways(leads, rate) -> np.ndarray:
    """Leads band-passed without a shift in time, extended at both ends as by ``sosfiltfilt``.

    By their spectra: the filter forgets in 50 ms, so that the seam of the extended signal is not
    seen inside it, and SciPy's filters take half a second to be imported.
    """
    n = min(leads.shape[1] - 1, round(rate))
    left = 2.0 * leads[:, :1] - leads[:, n:0:-1]
    right = 2.0 * leads[:, -1:] - leads[:, -2 : -n - 2 : -1]
    y = np.concatenate([left, leads, right], axis=1)
    size = next_fast_len(y.shape[1], real=True)
    y = irfft(rfft(y, size) * _gain(float(rate), size), size)
    return y[:, n : n + leads.shape[1]]


def _peaks(strength, rate) -> np.ndarray:
    """Maxima of the smoothed slope that are complexes, T waves left out."""
    window = round(2.0 * rate)
    padded = np.pad(strength, (0, -len(strength) % window), mode="reflect")
    maxima = padded.reshape(-1, window).max(axis=1)
    # The upper quartile of windows bears long pauses; its median half bears single artefacts.
    level = median(np.sort(maxima)[len(maxima) // 2 :]) if len(maxima) > 2 else maxima.max()
    if level < 2.2 * median(strength):
        return np.empty(0, dtype=int)
    half = max(1, round(_REFRACTORY_S * rate))
    inner = strength[1:-1]
    peaks = 1 + np.flatnonzero(
        (inner >= strength[:-2]) & (inner > strength[2:]) & (inner > 0.35 * level)
    )
    kept: list[int] = []
    last, last_height = -np.inf, 0.0
    # Plain numbers: item by item, those of an array are several times slower.
    for peak, height in zip(peaks.tolist(), strength[peaks].tolist()):
        apart = peak - last
        if apart < half:
            if height <= last_height:
                continue
            kept[-1] = peak
        elif apart < 1.5 * half and height < 0.6 * last_height:
            continue
        else:
            kept.append(peak)
        last, last_height = peak, height
    return np.array(kept, dtype=int)
