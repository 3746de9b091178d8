"""P onset and T end of a beat, for PR and QT."""

import numpy as np
from scipy.ndimage import uniform_filter1d

_SMOOTH_S = 0.02
# A wave is at least this share of the QRS complex, both as lengths of the vector over all leads.
_SMALLEST = 0.015


def p_onset(beat, fs, qrs_onset, *, residual=None, after=-np.inf) -> tuple[float, str]:
    """Onset of the P wave, by the tangent of its rise.

    The size of the vector over all leads is smoothed; the P wave is its greatest summit 40 to 320
    ms before the complex, if it stands apart on both sides and above what differs from beat to
    beat. The tangent of its steepest rise is carried down to the level before it.

    Parameters
    ----------
    beat : ndarray of shape (n_leads, n_window)
        Millivolt, zero in the PR segment; NaN leads are left out.
    fs : float
        Sampling rate in hertz.
    qrs_onset : float
        In samples of the beat.
    residual : ndarray of shape (n_leads, n_window), optional
        Noise in ``beat``, as :func:`median_beat` returns it: fibrillation waves are in it.
    after : float, default=-inf
        Where the T wave of the beat before ends, in samples: the search begins there.

    Returns
    -------
    onset : float
        In samples; NaN where no P wave stands apart (atrial fibrillation, a P wave in the T wave).
    reason : str
        Empty where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import p_onset
    >>> p_onset(np.zeros((12, 500)), 500, qrs_onset=20)
    (nan, 'no room for a P wave before the complex')
    """
    # A PR interval of more than 320 ms puts the P wave into the T wave before; then it is not told.
    first = int(max(qrs_onset - 0.32 * fs, after, 0))
    last = int(qrs_onset - 0.02 * fs)
    if last - first < 0.08 * fs:
        return np.nan, "no room for a P wave before the complex"
    window = np.asarray(beat)[:, first : last + 1]
    height_of_beat = _size(beat, fs).max()
    part, inner = _size(window, fs), last - first - round(0.02 * fs)
    peak = _summit(part[:inner])
    if peak is None:
        return np.nan, "no P wave"
    # The PR segment may lie on the end of the P wave, so that zero is not the level before it:
    # measured from a line through the low before the wave.
    low = int(np.argmin(part[: peak + 1]))
    part = _size(_from_line(window, low), fs)
    peak = _summit(part[:inner])
    if peak is None or peak <= low:
        return np.nan, "no P wave"
    low_left, low_right = part[low], part[peak:].min()
    height = part[peak] - max(low_left, low_right)
    least = _SMALLEST * height_of_beat
    if residual is not None:
        least = max(least, _unrest(_from_line(np.asarray(residual)[:, first : last + 1], low), fs))
    if height < max(least, 0.5 * part[peak]):
        return np.nan, "no P wave stands apart from the T wave and the noise"
    # 100 ms are the length of a P wave; further back lies the end of the T wave.
    start = max(peak - round(0.1 * fs), low)
    _, foot = _tangent(part[start : peak + 1][::-1])
    return first + peak - foot, ""


def t_end(beat, fs, qrs_onset, qrs_offset, *, residual=None, rr=np.inf) -> tuple[float, str]:
    """End of the T wave, by the tangent of its fall.

    The tangent of a Gaussian flank meets the baseline two standard deviations from the summit,
    where the wave still has a seventh of its height. Readers and recorders mark the end later, so
    the flank is followed to 2.6 standard deviations (3 % of its height).

    Parameters
    ----------
    beat, fs, residual
        As in :func:`p_onset`.
    qrs_onset, qrs_offset : float
        In samples of the beat.
    rr : float, default=inf
        Time from beat to beat in seconds.

    Returns
    -------
    end : float
        In samples; NaN where the T wave is flat or does not end before the next beat.
    reason : str
        Empty where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import t_end
    >>> t_end(np.zeros((12, 100)), 500, qrs_onset=20, qrs_offset=60)
    (nan, 'the window ends before the T wave')
    """
    size = _size(beat, fs)
    # Behind the J point by 50 ms: an elevated ST segment is no T wave.
    first = int(qrs_offset + 0.05 * fs)
    last = (
        min(len(size), int(qrs_onset + max(rr - 0.14, 0.24) * fs)) if np.isfinite(rr) else len(size)
    )
    if last - first < 0.1 * fs:
        return np.nan, "the window ends before the T wave"
    part = size[first:last]
    peak = _summit(part)
    if peak is None:
        return np.nan, "no T wave"
    drop = part[peak] - part[peak:].min()
    noise = 0.0 if residual is None else _unrest(np.asarray(residual)[:, first:last], fs)
    if drop < max(_SMALLEST * size.max(), noise):
        return np.nan, "the T wave is flat"
    steepest, foot = _tangent(part[peak : peak + round(0.2 * fs)])
    end = peak + foot + 0.6 * (foot - steepest)
    if not end < len(part):
        return np.nan, "the T wave does not end before the next beat"
    return first + end, ""


def _size(beat, fs) -> np.ndarray:
    live = beat[np.isfinite(beat).all(axis=1)]
    size = np.sqrt(np.square(live).sum(axis=0))
    n = max(3, round(_SMOOTH_S * fs))
    return uniform_filter1d(uniform_filter1d(size, n), n)


def _from_line(window, low) -> np.ndarray:
    """Leads less the line from sample ``low`` to the last one."""
    near = slice(max(low - 2, 0), low + 3)
    start = window[:, near].mean(axis=1, keepdims=True)
    stop = window[:, -5:].mean(axis=1, keepdims=True)
    n = window.shape[1]
    return window - start - (stop - start) * (np.arange(n) - low) / max(n - 1 - low, 1)


def _unrest(residual, fs) -> float:
    """Two and a half times the length of the noise vector in a window."""
    if not np.isfinite(residual).all(axis=1).any():
        return 0.0
    return 2.5 * float(np.sqrt(np.square(_size(residual, fs)).mean()))


def _summit(part) -> int | None:
    """Highest local maximum; None where there is none."""
    peaks = 1 + np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:]))
    return int(peaks[np.argmax(part[peaks])]) if len(peaks) else None


def _tangent(fall) -> tuple[float, float]:
    """Steepest instant of a fall, and where its tangent meets the lowest level after it."""
    slope = np.diff(fall)
    steepest = int(np.argmin(slope))
    if not slope[steepest] < 0:
        return 0.0, float(len(fall) - 1)
    middle = 0.5 * (fall[steepest] + fall[steepest + 1])
    return steepest + 0.5, steepest + 0.5 + (middle - fall[steepest:].min()) / -slope[steepest]
