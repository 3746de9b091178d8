"""Pacing spikes: found on the unfiltered signal, taken out before beats are averaged."""

import numpy as np

# Fourth difference over 2 ms steps: passes what is above 100 Hz, where a QRS complex has next to
# nothing and a stimulus of under 2 ms has most of its energy.
_KERNEL = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / 16.0

_LONGEST_MS = 40.0
_MARGIN = 2


def find_pacing_spikes(signals, fs, *, min_amplitude=0.2, min_ratio=12.0) -> np.ndarray:
    """Find pacing spikes: bursts above 100 Hz that rise out of a quiet trace.

    A burst counts where at least two leads (one, if there is one) exceed ``min_amplitude``, and
    where the 14 ms before it are flat against its own height. The second condition leaves out
    the steep complexes of children, which have as much energy at these frequencies.

    Parameters
    ----------
    signals : ndarray of shape (n_leads, n_samples)
        Signal in millivolt **before any low-pass filter**. NaN is read as zero.
    fs : float
        Sampling rate in hertz. Below 250 Hz nothing is left of a spike and none is found.
    min_amplitude : float, default=0.2
        Smallest height of a spike in millivolt.
    min_ratio : float, default=12.0
        Smallest ratio of the burst to the lead's median at these frequencies.

    Returns
    -------
    ndarray of int, shape (n_spikes, 2)
        First sample and sample after the last of each spike, in order.

    See Also
    --------
    remove_spikes : take them out.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.pacing import find_pacing_spikes
    >>> signals = np.zeros((2, 1000))
    >>> signals[:, 400] = 1.0
    >>> find_pacing_spikes(signals, fs=500)
    array([[398, 403]])
    """
    signals = np.atleast_2d(np.asarray(signals, dtype=float))
    if not np.isfinite(signals.sum()):
        signals = np.nan_to_num(signals)
    none = np.empty((0, 2), dtype=int)
    if fs < 250 or signals.shape[1] < 16:
        return none
    burst = _fourth_difference(signals, max(1, round(fs / 500)))
    np.abs(burst, out=burst)
    level = np.median(burst[:, ::5], axis=1)
    # A one-sample spike of height a leaves 6/16 a in the kernel's centre.
    threshold = np.maximum(_KERNEL[2] * min_amplitude, min_ratio * level)[:, None]
    agree = min(2, len(signals))
    hits = np.flatnonzero((burst > threshold).sum(axis=0) >= agree)
    if not len(hits):
        return none
    longest = round(_LONGEST_MS * fs / 1000)
    groups = np.split(hits, np.flatnonzero(np.diff(hits) > longest // 2) + 1)
    spikes = []
    for group in groups:
        spike = _extent(burst, level, group, longest)
        if spike is not None and _from_quiet(signals, group, spike, fs, agree, min_amplitude):
            spikes.append(spike)
    return np.array(spikes, dtype=int).reshape(-1, 2)


def remove_spikes(signals, spikes) -> np.ndarray:
    """Bridge spikes.

    The bridge leaves the level before the spike slowly and arrives at the level after it: a
    complex that begins under the spike begins, as far as one can tell, half way.

    Parameters
    ----------
    signals : ndarray of shape (n_leads, n_samples)
    spikes : ndarray of int, shape (n_spikes, 2)
        What :func:`find_pacing_spikes` returned.

    Returns
    -------
    ndarray of shape (n_leads, n_samples)
        A copy where there are spikes; the input itself where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.pacing import remove_spikes
    >>> remove_spikes(np.array([[0.0, 0.0, 9.0, 0.0, 0.0]]), np.array([[2, 3]]))
    array([[0., 0., 0., 0., 0.]])
    """
    if not len(spikes):
        return signals
    signals = np.array(signals, dtype=float)
    n = signals.shape[1]
    for start, stop in spikes:
        before, after = max(start - 1, 0), min(stop, n - 1)
        weight = np.linspace(0.0, 1.0, after - before + 1) ** 3
        signals[:, before : after + 1] = (
            signals[:, [before]] * (1.0 - weight) + signals[:, [after]] * weight
        )
    return signals


def paced_beats(spikes, onsets, fs) -> np.ndarray:
    """Spike of each beat that has one shortly before its QRS onset.

    Parameters
    ----------
    spikes : ndarray of int, shape (n_spikes, 2)
    onsets : ndarray of shape (n_beats,)
        QRS onsets in samples.
    fs : float

    Returns
    -------
    ndarray of int, shape (n_beats,)
        Row of the spike that begins between 80 ms before and 20 ms after the onset (an atrial
        spike comes earlier); -1 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.pacing import paced_beats
    >>> paced_beats(np.array([[195, 200]]), np.array([201.0, 630.0]), fs=500)
    array([ 0, -1])
    """
    onsets = np.asarray(onsets, dtype=float)
    if not len(spikes):
        return np.full(len(onsets), -1)
    lead = (onsets[:, None] - spikes[None, :, 0]) / fs
    near = (lead > -0.02) & (lead < 0.08)
    return np.where(near.any(axis=1), near.argmax(axis=1), -1)


def locked_spikes(spikes, positions, fs, *, share=0.5) -> np.ndarray:
    """Spikes that come at one interval before the beats.

    A small spike may be noise; noise does not keep time with the heart. The interval is sought
    at which most beats have a spike, from 30 ms (the steep start of a complex comes later) to 350
    ms before the fiducial (atrial pacing).

    Parameters
    ----------
    spikes : ndarray of shape (n_spikes, 2)
        First sample and sample after the last.
    positions : ndarray of shape (n_beats,)
        Fiducials of the beats, in samples.
    fs : float
    share : float, default=0.5
        Smallest share of the beats that must have such a spike; two beats at least.

    Returns
    -------
    ndarray of bool, shape (n_spikes,)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.pacing import locked_spikes
    >>> spikes = np.array([[50, 55], [450, 455], [700, 705], [848, 853]])
    >>> locked_spikes(spikes, np.array([100, 500, 900]), fs=500)
    array([ True,  True, False,  True])
    """
    none = np.zeros(len(spikes), dtype=bool)
    if not len(spikes) or not len(positions):
        return none
    lag = (np.asarray(positions)[:, None] - np.asarray(spikes)[None, :, 0]) / fs
    near = (lag > 0.03) & (lag < 0.35)
    best = none
    for value in lag[near]:
        same = near & (np.abs(lag - value) <= 0.006)
        if same.any(axis=1).sum() > best.sum():
            best = same.any(axis=0)
    return best if best.sum() >= max(2, share * len(positions)) else none


def after_potential_end(beat, fs, spike_end, qrs_offset) -> float:
    """Where the after-potential of a stimulus ends and the complex begins.

    A recorder's filter, and the electrode, leave a bump of some 20 ms behind a spike. It is told
    from the complex by falling back before the complex rises.

    Parameters
    ----------
    beat : ndarray of shape (n_leads, n_window)
        Millivolt, the spike bridged, zero before it.
    fs : float
    spike_end : float
        In samples of the beat.
    qrs_offset : float

    Returns
    -------
    float
        Sample of the low point between bump and complex; NaN where there is no bump.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.pacing import after_potential_end
    >>> t = np.arange(200.0)
    >>> beat = 0.1 * np.exp(-((t - 55) ** 2) / 10) + np.exp(-((t - 100) ** 2) / 200)
    >>> bool(60 <= after_potential_end(beat[None], 500, spike_end=50, qrs_offset=140) <= 66)
    True
    """
    size = np.sqrt(np.square(np.nan_to_num(beat)).sum(axis=0))
    start, stop = int(spike_end - 0.008 * fs), int(spike_end + 0.045 * fs)
    part = size[start:stop]
    if start < 0 or len(part) < 5:
        return np.nan
    inner = part[1:-1]
    lows = 1 + np.flatnonzero((inner <= part[:-2]) & (inner < part[2:]))
    # The complex may rise within these 45 ms, so the bump is what is highest before each low.
    bump = np.maximum.accumulate(part)[lows]
    complex_size = size[start : int(qrs_offset)].max()
    lows = lows[(part[lows] < 0.6 * bump) & (bump < 0.2 * complex_size)]
    return float(start + lows[np.argmin(part[lows])]) if len(lows) else np.nan


def _fourth_difference(signals, d) -> np.ndarray:
    out = np.zeros_like(signals)
    step = signals
    for _ in range(4):
        step = step[:, d:] - step[:, :-d]
    np.multiply(step, 1.0 / 16.0, out=out[:, 2 * d : -2 * d])
    return out


def _extent(burst, level, group, longest) -> tuple[int, int] | None:
    """First and last sample in which a burst is not over; None if it lasts too long."""
    if group[-1] - group[0] > longest:
        return None
    n = burst.shape[1]
    low, high = max(group[0] - longest, 0), min(group[-1] + longest, n)
    ratio = (burst[:, low:high] / (level[:, None] + 1e-3)).max(axis=0)
    peak = burst[:, group].max(axis=0).max() / (level.max() + 1e-3)
    loud = ratio > max(8.0, 0.03 * peak)
    # One quiet sample inside the ringing does not end it.
    loud[1:-1] |= loud[:-2] & loud[2:]
    start, stop = group[0] - low, group[-1] - low
    while start > 0 and loud[start - 1]:
        start -= 1
    while stop < len(loud) - 1 and loud[stop + 1]:
        stop += 1
    return max(low + start, 0), min(low + stop + 1, n)


def _from_quiet(signals, group, spike, fs, agree, min_amplitude) -> bool:
    # Measured from the first loud sample, not from the burst's first trace: the steep complex of a
    # child would otherwise pass with the quiet before its QRS onset.
    gap, length = max(_MARGIN, round(0.004 * fs)), round(0.014 * fs)
    first = group[0] - gap
    if first < length or spike[1] - spike[0] > round(_LONGEST_MS * fs / 1000):
        return False
    before = np.ptp(signals[:, first - length : first], axis=1)
    height = np.ptp(signals[:, spike[0] - 1 : spike[1] + 1], axis=1)
    return np.sum((height > min_amplitude) & (before < 0.2 * height)) >= agree
