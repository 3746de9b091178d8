"""From a raw record to the median beat that is measured: gaps, rate, pacing spikes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crtkit.signals.qrs.median_beats import MedianBeat, bridge_gaps, median_beat
from crtkit.signals.qrs.pacing import find_pacing_spikes, locked_spikes, remove_spikes

#: Records of any other rate are resampled to this one, in hertz: every limit in these modules was
#: chosen on records of 500 Hz, and a duration must not depend on the recorder's clock.
RATE = 500.0

#: A lead that does not change by a digit for so many seconds was not connected: no electrode is
#: that quiet, and simulated records are, between beats, for less.
CONSTANT_S = 2.0

# A shorter loss of all leads is bridged, and the interval across it still counts.
_GAP_S = 0.3
_SMALL_SPIKE_MV = 0.1
_KEPT_BYTES = 1 << 24  # 16 MB: several times an ECG of 12 leads and 30 s; glibc heeds up to 32


@dataclass(frozen=True)
class PreparedBeat:
    """A median beat at :data:`RATE`, and what the record says beside it.

    Attributes
    ----------
    beat : MedianBeat
    rr_s : float
        Mean interval from beat to beat in seconds, intervals across gaps left out; NaN without.
    present : float
        Share of the record in which one lead at least was recorded.
    strong_spikes : ndarray of int, shape (n_spikes, 2)
        Pacing spikes that stand out by themselves, whether they belong to the beats or not.
    """

    beat: MedianBeat
    rr_s: float
    present: float
    strong_spikes: np.ndarray


def prepare_beat(signal, fs) -> PreparedBeat:
    """Median beat of a record with gaps, unconnected leads and any sampling rate.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
        Millivolt; NaN is missing, and so is a lead that stays constant.
    fs : float
        Sampling rate in hertz, at least 100.

    Returns
    -------
    PreparedBeat

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.prepare import prepare_beat
    >>> t = np.arange(3600) / 360
    >>> signal = np.exp(-(((t % 1.0) - 0.5) ** 2) / (2 * 0.01**2)) * np.ones((12, 1))
    >>> prepared = prepare_beat(signal, 360)
    >>> prepared.beat.n_used, prepared.beat.fs, round(prepared.rr_s, 2)
    (10, 500.0, 1.0)
    """
    _keep_freed_memory()
    signal = missing_where_constant(signal, fs)
    filled, missing = bridge_gaps(signal)
    small = find_pacing_spikes(filled, fs, min_amplitude=_SMALL_SPIKE_MV)
    spikes = find_pacing_spikes(filled, fs) if len(small) else small
    beat = _beat(filled, missing, fs, spikes)
    if not beat.reason and len(small) > len(spikes):
        # What is too small to be told from noise by itself counts where it keeps time.
        locked = locked_spikes(small * (RATE / fs), beat.positions[beat.used], RATE)
        if locked.any():
            beat = _beat(filled, missing, fs, _union(spikes, small[locked]))
    lost = np.zeros(signal.shape[1], dtype=bool)
    if missing is not None:
        lost |= missing.all(axis=0)
    present = 1.0 - float(lost.mean()) if len(lost) else 0.0
    strong = (spikes * (RATE / fs)).round().astype(int)
    return PreparedBeat(beat, _interval(beat, lost, fs), present, strong)


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Let the C library keep what arrays of one ECG give back, instead of asking the system again.

    glibc maps arrays of more than 128 kB one by one until a larger block was freed: a thousand
    page faults a record, a fifth of the time. A block that nobody touches costs nothing.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def missing_where_constant(signal, fs) -> np.ndarray:
    """Signal with NaN where a lead keeps one value for :data:`CONSTANT_S` or throughout.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
    fs : float

    Returns
    -------
    ndarray of shape (n_leads, n_samples)
        The input itself where no lead stays constant.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.prepare import missing_where_constant
    >>> signal = np.stack([np.full(900, -3.2), np.arange(900) % 7.0])
    >>> np.isnan(missing_where_constant(signal, 500)).mean(axis=1)
    array([1., 0.])
    """
    n = signal.shape[1]
    length = min(round(CONSTANT_S * fs), n)
    if n < 2:
        return signal
    # A constant stretch holds two neighbours of any grid half as wide: cheap to look for.
    grid = signal[:, :: max(length // 2, 1)]
    suspects = np.flatnonzero((grid[:, 1:] == grid[:, :-1]).any(axis=1))
    out = signal
    for lead in suspects:
        changes = np.flatnonzero(np.diff(signal[lead]) != 0) + 1
        edges = np.concatenate([[0], changes, [n]])
        if np.diff(edges).max() < length:
            continue
        for start, stop in zip(edges[:-1], edges[1:]):
            if stop - start >= length and np.isfinite(signal[lead, start]):
                out = np.array(signal) if out is signal else out
                out[lead, start:stop] = np.nan
    return out


def _beat(filled, missing, fs, spikes) -> MedianBeat:
    """Median beat at :data:`RATE`, spikes taken out at the record's own rate."""
    clean = remove_spikes(filled, spikes)
    if fs != RATE and clean.shape[1] > 1:
        # Not at the top: it brings scikit-learn, which a record at this rate does without.
        from crtkit.signals.resample import resample_leads

        clean = resample_leads(clean, fs, RATE)
        if missing is not None:
            at = np.minimum((np.arange(clean.shape[1]) * fs / RATE).round(), missing.shape[1] - 1)
            missing = missing[:, at.astype(int)]
        spikes = (spikes * (RATE / fs)).round().astype(int)
    if missing is not None:
        clean = np.where(missing, np.nan, clean)
    return median_beat(clean, RATE, spikes=spikes)


def _union(a, b) -> np.ndarray:
    """Spikes of two searches; of two that overlap, the first."""
    own = [spike for spike in b if not ((a[:, 0] < spike[1]) & (a[:, 1] > spike[0])).any()]
    return np.array(sorted([*map(tuple, a), *map(tuple, own)]), dtype=int).reshape(-1, 2)


def _interval(beat, lost, fs) -> float:
    """Mean interval between beats, over those with no gap of all leads in between."""
    if len(beat.positions) < 2:
        return float("nan")
    intervals = np.diff(beat.positions) / RATE
    if lost.any():
        at = np.minimum((beat.positions * fs / RATE).round().astype(int), len(lost))
        before = np.concatenate([[0], np.cumsum(lost)])
        intervals = intervals[np.diff(before[at]) < _GAP_S * fs]
    return float(intervals.mean()) if len(intervals) else float("nan")
