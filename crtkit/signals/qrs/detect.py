"""Where the QRS complexes of a record are, all leads asked together."""

from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt, sosfilt_zi

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
    slow = signals[:, : n * step].reshape(len(signals), n, step).mean(axis=2)
    slope = np.diff(_both_ways(slow, rate), axis=1)
    energy = slope**2
    # One complex in ten seconds is still above this quantile.
    high = int(0.99 * n) - 1
    ordered = np.partition(energy, high, axis=1)
    top, middle = ordered[:, high], np.partition(ordered[:, :high], n // 2, axis=1)[:, n // 2]
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
def _band(rate) -> tuple[np.ndarray, np.ndarray]:
    """Band-pass and its steady state; ``sosfiltfilt`` solves for the second at every call."""
    sos = butter(2, [5.0, min(25.0, 0.4 * rate)], "bandpass", fs=rate, output="sos")
    return sos, sosfilt_zi(sos)[:, None, :]


def _both_ways(leads, rate) -> np.ndarray:
    """Leads band-passed forwards and backwards, extended at both ends as by ``sosfiltfilt``."""
    sos, steady = _band(rate)
    n = min(leads.shape[1] - 1, round(rate))
    left = 2.0 * leads[:, :1] - leads[:, n:0:-1]
    right = 2.0 * leads[:, -1:] - leads[:, -2 : -n - 2 : -1]
    y = np.concatenate([left, leads, right], axis=1)
    for _ in range(2):
        y, _ = sosfilt(sos, y, axis=1, zi=steady * y[:, :1])
        y = y[:, ::-1]
    return y[:, n : y.shape[1] - n]


def _peaks(strength, rate) -> np.ndarray:
    """Maxima of the smoothed slope that are complexes, T waves left out."""
    window = round(2.0 * rate)
    padded = np.pad(strength, (0, -len(strength) % window), mode="reflect")
    maxima = padded.reshape(-1, window).max(axis=1)
    # The upper quartile of windows bears long pauses; its median half bears single artefacts.
    level = np.median(np.sort(maxima)[len(maxima) // 2 :]) if len(maxima) > 2 else maxima.max()
    if level < 2.2 * np.median(strength):
        return np.empty(0, dtype=int)
    half = max(1, round(_REFRACTORY_S * rate))
    inner = strength[1:-1]
    peaks = 1 + np.flatnonzero(
        (inner >= strength[:-2]) & (inner > strength[2:]) & (inner > 0.35 * level)
    )
    kept: list[int] = []
    for peak in peaks:
        if kept and peak - kept[-1] < 1.5 * half and len(kept):
            ratio = strength[peak] / strength[kept[-1]]
            if peak - kept[-1] < half:
                if ratio > 1.0:
                    kept[-1] = int(peak)
                continue
            if ratio < 0.6:
                continue
        kept.append(int(peak))
    return np.array(kept, dtype=int)
