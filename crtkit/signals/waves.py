"""P onset and T end of a beat, for PR and QT."""

import numpy as np
from scipy.ndimage import uniform_filter1d

_SMOOTH_S = 0.02


def p_onset(beat, fs, qrs_onset, *, noise=0.0, rr=np.inf):
    """Onset of the P wave, by the tangent of its rise.

    The size of the vector over all leads is smoothed; the P wave is its greatest summit 60 to 300
    ms before the complex, if it stands apart on both sides; its steepest rise is carried down to the
    level before it.

    Parameters
    ----------
    beat : ndarray of shape (n_leads, n_window)
        Millivolt, zero in the PR segment; NaN leads are left out.
    fs : float
        Sampling rate in hertz.
    qrs_onset : float
        In samples of the beat.
    noise : float, default=0.0
        Standard deviation of noise in a lead of the beat, in millivolt.
    rr : float, default=inf
        Time from beat to beat in seconds.

    Returns
    -------
    onset : float
        In samples; NaN where no P wave stands apart (atrial fibrillation, a P wave in the T wave).
    reason : str
        Empty where there is one.
    """
    size = _size(beat, fs)
    last = int(qrs_onset - 0.04 * fs)
    first = max(int(qrs_onset - min(0.32, 0.6 * rr) * fs), 0)
    if last - first < 0.06 * fs:
        return np.nan, "the beat begins too late to show a P wave"
    part = size[first:last]
    peak = _summit(part)
    if peak is None:
        return np.nan, "no P wave"
    low_left, low_right = part[: peak + 1].min(), part[peak:].min()
    n_leads = np.isfinite(beat).all(axis=1).sum()
    height = part[peak] - max(low_left, low_right)
    if height < max(0.02, 0.35 * noise) * np.sqrt(n_leads) or height < 0.4 * part[peak]:
        return np.nan, "no P wave stands apart from the T wave and the noise"
    left = peak - round(0.1 * fs)
    rise = part[max(left, 0) : peak + 1]
    return first + max(left, 0) + _foot(rise[::-1], reverse=True), ""


def t_end(beat, fs, qrs_onset, qrs_offset, *, rr=np.inf):
    """End of the T wave, by the tangent of its fall.

    Parameters
    ----------
    beat, fs, rr
        As in :func:`p_onset`.
    qrs_onset, qrs_offset : float
        In samples of the beat.

    Returns
    -------
    end : float
        In samples; NaN where the T wave is flat or does not end before the next beat.
    reason : str
        Empty where there is one.
    """
    size = _size(beat, fs)
    first = int(qrs_offset + 0.05 * fs)
    last = min(len(size), int(qrs_onset + max(rr - 0.14, 0.24) * fs)) if np.isfinite(rr) else len(size)
    if last - first < 0.1 * fs:
        return np.nan, "the window ends before the T wave"
    part = size[first:last]
    peak = _summit(part)
    if peak is None:
        return np.nan, "no T wave"
    n_leads = np.isfinite(beat).all(axis=1).sum()
    if part[peak] - part[peak:].min() < 0.03 * np.sqrt(n_leads):
        return np.nan, "the T wave is flat"
    fall = part[peak : peak + round(0.2 * fs)]
    end = peak + _foot(fall)
    if not end < len(part):
        return np.nan, "the T wave does not end before the next beat"
    return first + end, ""


def _size(beat, fs):
    live = beat[np.isfinite(beat).all(axis=1)]
    size = np.sqrt(np.square(live).sum(axis=0))
    n = max(3, round(_SMOOTH_S * fs))
    return uniform_filter1d(uniform_filter1d(size, n), n)


def _summit(part):
    """Highest local maximum; None where there is none."""
    peaks = 1 + np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:]))
    return int(peaks[np.argmax(part[peaks])]) if len(peaks) else None


def _foot(fall, reverse=False):
    """Where the steepest tangent of a fall meets the lowest level after it."""
    slope = np.diff(fall)
    steepest = int(np.argmin(slope))
    if not slope[steepest] < 0:
        return float(len(fall) - 1)
    middle = 0.5 * (fall[steepest] + fall[steepest + 1])
    foot = steepest + 0.5 + (middle - fall[steepest:].min()) / -slope[steepest]
    return len(fall) - 1 - foot if reverse else foot
