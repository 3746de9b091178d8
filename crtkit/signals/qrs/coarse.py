"""Roughly where the complex of a beat lies, by the speed of its vector over all leads."""

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from crtkit.signals.medians import median

# A P wave that runs into the complex lasts at least so long, is at most so fast (against the top
# speed), and falls back to such a share of its height before the complex.
_P_WAVE_S, _P_SPEED, _FALLEN = 0.06, 0.5, 0.4


def coarse_bounds(beat, fs, centre) -> tuple[int, int, int]:
    """Complex by the speed of the vector: first sample, sample of greatest magnitude, last sample.

    Parameters
    ----------
    beat : ndarray of shape (n_leads, n_window)
    fs : float
    centre : int
        A sample within 80 ms of the fastest part of the complex.

    Returns
    -------
    tuple of int
        Onset, fiducial, offset: outside them the vector does not move faster, by a tenth of its top
        speed, than further out.
    """
    beat = np.nan_to_num(beat)
    n = beat.shape[1]
    d = max(1, round(0.004 * fs))
    velocity = np.zeros_like(beat)
    velocity[:, d:-d] = beat[:, 2 * d :] - beat[:, : -2 * d]
    velocity = uniform_filter1d(velocity, max(3, round(0.012 * fs)), axis=1)
    speed = np.sqrt(np.square(velocity).sum(axis=0))
    low, high = max(centre - round(0.08 * fs), 0), min(centre + round(0.08 * fs), n)
    top = low + int(np.argmax(speed[low:high]))
    around = beat[:, max(top - round(0.3 * fs), 0) : top + round(0.3 * fs)]
    size = np.sqrt(np.square(beat - median(around)[:, None]).sum(axis=0))
    large = size > 0.4 * size[low:high].max()
    outside = uniform_filter1d(velocity, _outside_length(fs), axis=1, mode="nearest")
    ends = []
    for side in (-1, 1):
        change = _change(velocity, outside, side, fs)
        limit = max(0.1 * speed[top], 2.0 * np.partition(change, n // 5)[n // 5])
        limit = min(limit, 0.35 * speed[top])
        fast = speed > max(0.3 * speed[top], limit)
        # A straight limb moves fast without change: up to 50 ms of it belong to the complex.
        size = round(0.05 * fs) | 1
        held = maximum_filter1d(change >= limit, size, origin=side * (size // 2))
        steep = speed > max(0.17 * speed[top], limit)
        slow = ((change < limit) & ~(held & steep))[::side]
        end = _walk(slow, fast[::side], large[::side], top if side > 0 else n - 1 - top, fs)
        ends.append(end if side > 0 else n - 1 - end)
    onset, offset = ends
    onset = _behind_p_wave(beat, speed, onset, top, fs)
    quiet = max(2, round(0.016 * fs))
    level = beat[:, max(onset - quiet, 0) : onset + 1].mean(axis=1, keepdims=True)
    size = np.square(beat[:, onset : offset + 1] - level).sum(axis=0)
    return onset, onset + int(np.argmax(size)), offset


def _behind_p_wave(beat, speed, onset, top, fs) -> int:
    """The low behind a P wave that runs into the complex without a pause; else ``onset``.

    What comes before the low lasts as long as a P wave, is low and slow against the complex, and
    has fallen back: delta waves do not fall, and q waves and the first r of a block are short.
    """
    level = beat[:, max(onset - round(0.008 * fs), 0) : onset + 1].mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(beat[:, onset : top + round(0.08 * fs)] - level).sum(axis=0))
    size = uniform_filter1d(size, max(3, round(0.012 * fs)))
    rise = int(np.argmax(size > 0.5 * size.max()))
    hump = np.maximum.accumulate(size[: rise + 1])
    fallen = np.flatnonzero(size[: rise + 1] < _FALLEN * hump)
    fallen = fallen[fallen >= _P_WAVE_S * fs]
    if not len(fallen):
        return onset
    low = int(fallen[np.argmin(size[fallen])])
    slow = speed[onset : onset + low].max() < _P_SPEED * speed[top]
    return onset + low if slow else onset


def _change(velocity, outside, side, fs) -> np.ndarray:
    """How much faster the vector is than in the 40 ms that lie 8 ms further out.

    Speed alone would take the steep ST segment of a wide complex for the complex. ``outside`` is
    the velocity averaged over 40 ms.
    """
    shift = round(0.008 * fs) + _outside_length(fs) // 2
    change = np.array(velocity)
    if side > 0:
        change[:, :-shift] -= outside[:, shift:]
        change[:, -shift:] -= outside[:, -1:]
    else:
        change[:, shift:] -= outside[:, :-shift]
        change[:, :shift] -= outside[:, :1]
    return np.sqrt(np.einsum("lt,lt->t", change, change))


def _outside_length(fs) -> int:
    return max(3, round(0.04 * fs)) | 1


def _walk(slow, fast, large, at, fs) -> int:
    """First sample from ``at`` on after which the complex is over.

    A wide complex may have a summit on which nothing moves for 60 ms: slowness does not end it
    while it is large and moves fast again soon.
    """
    quiet, bridge = max(2, round(0.016 * fs)), round(0.08 * fs)
    at = first_quiet(slow, at, quiet)
    while True:
        again = np.flatnonzero(fast[at : at + bridge])
        if not len(again) or not large[at : at + again[0] + 1].all():
            return at
        later = first_quiet(slow, at + int(again[0]), quiet)
        if later <= at:
            return at
        at = later


def first_quiet(quiet, start, length) -> int:
    """First sample from start on that opens a run of ``length`` quiet samples; else the last."""
    runs = np.convolve(quiet[start:], np.ones(length), "valid") > length - 0.5
    first = np.flatnonzero(runs)
    return start + int(first[0]) if len(first) else len(quiet) - 1
