"""Power-line hum taken out by subtraction: a notch filter would ring in the QRS complex."""

from functools import lru_cache

import numpy as np

# How far the mains, and the clock of a recorder, may be off.
_GRID_HZ = np.arange(-0.2, 0.21, 0.05)
_AROUND_S = 0.12


def subtract_mains(signals, fs, peaks, *, frequencies=(50.0, 60.0), min_share=0.03) -> np.ndarray:
    """Fit a sinusoid to the signal between QRS complexes and subtract it everywhere.

    Within 0.2 Hz of each mains frequency the one is sought that explains most of the first
    difference of all leads outside the complexes; amplitude and phase are fitted lead by lead.

    Parameters
    ----------
    signals : ndarray of shape (n_leads, n_samples)
        Millivolt, finite.
    fs : float
        Sampling rate in hertz.
    peaks : ndarray of int, shape (n_beats,)
        A sample inside each QRS complex.
    frequencies : tuple of float, default=(50.0, 60.0)
        In hertz; those above 0.45 ``fs`` are left alone.
    min_share : float, default=0.03
        Smallest share of the energy of the first difference for hum to be there.

    Returns
    -------
    ndarray of shape (n_leads, n_samples)
        The input itself where there is no hum.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.mains import subtract_mains
    >>> hum = np.sin(2 * np.pi * 50.1 * np.arange(2000) / 500)
    >>> float(np.abs(subtract_mains(hum[None], 500, np.array([1000]))).max().round(2))
    0.0
    """
    n = signals.shape[1]
    between = np.ones(n - 1, dtype=bool)
    around = round(_AROUND_S * fs)
    for peak in peaks:
        between[max(peak - around, 0) : peak + around] = False
    count = between.sum()
    if count < 0.5 * fs:
        return signals
    # The difference flattens baseline and T waves, which would otherwise outweigh the hum.
    steps = np.where(between, np.diff(signals, axis=1), 0.0)
    energy = np.einsum("lt,lt->", steps, steps)
    for frequency in frequencies:
        if frequency > 0.45 * fs or not energy > 0:
            continue
        waves = _waves(n - 1, float(fs), float(frequency))
        part = waves @ steps.T
        share = 2.0 * np.square(part).sum(axis=(0, 2)) / (count * energy)
        best = int(np.argmax(share))
        if share[best] < min_share:
            continue
        omega = 2.0 * np.pi * (frequency + _vertex(share, best)) / fs
        wave = np.stack([np.cos(omega * np.arange(n)), np.sin(omega * np.arange(n))])
        basis = np.where(between, wave[:, :-1], 0.0)
        # Normal equations of two nearly orthogonal columns lose nothing, and need no SVD.
        fitted = np.linalg.solve(basis @ basis.T, basis @ steps.T)
        # The difference of a sinusoid is a sinusoid, higher by 2 sin(w/2) and turned by its phase.
        amplitude = (fitted[0] - 1j * fitted[1]) / (np.exp(1j * omega) - 1.0)
        signals = signals - np.stack([amplitude.real, -amplitude.imag], axis=1) @ wave
    return signals


def _vertex(share, best) -> float:
    """Frequency off the mains at the vertex of the parabola through the best three of the grid."""
    if 0 < best < len(share) - 1:
        left, middle, right = share[best - 1 : best + 2]
        bend = left - 2.0 * middle + right
        if bend < 0:
            return _GRID_HZ[best] + 0.5 * (left - right) / bend * (_GRID_HZ[1] - _GRID_HZ[0])
    return _GRID_HZ[best]


@lru_cache(maxsize=8)
def _waves(n, fs, frequency) -> np.ndarray:
    """Cosines and sines of the grid: (2, n_frequencies, n)."""
    phase = 2.0 * np.pi / fs * (frequency + _GRID_HZ)[:, None] * np.arange(n)
    return np.stack([np.cos(phase), np.sin(phase)])
