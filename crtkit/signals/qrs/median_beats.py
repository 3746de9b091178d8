"""The median beat: complexes aligned on all leads, the odd ones left out and counted."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from crtkit.signals.mains import subtract_mains
from crtkit.signals.medians import median
from crtkit.signals.qrs.averages import (
    alternating_mean,
    cut_beats,
    hold_edges,
    less_baseline,
    middle_of_beats,
)
from crtkit.signals.qrs.coarse import coarse_bounds
from crtkit.signals.qrs.detect import locate_qrs
from crtkit.signals.qrs.incomplete import (
    bridge_beat,
    in_turns,
    relative_speed,
    with_common_lead,
)
from crtkit.signals.qrs.pacing import find_pacing_spikes, remove_spikes

_ALIGN_S = 0.2
_COARSE_S = 0.35
_MAX_LAG = 0.35  # of the alignment half window: 70 ms
_MAX_CLUSTERED = 150


@dataclass(frozen=True)
class MedianBeat:
    """A median beat and how it was made.

    Attributes
    ----------
    beat : ndarray of shape (n_leads, n_window)
        Mean of the middle half of the aligned beats at each instant (of up to four beats: their
        median), in millivolt, zero in the PR segment; NaN in a lead without data. Its shape is
        (n_leads, 0) where there is no beat.
    residual : ndarray of shape (n_leads, n_window)
        Mean of the same beats with alternating signs: noise of the strength and spectrum left in
        ``beat``, without the heart in it. NaN in a lead that had fewer than two beats.
    fs : float
        Sampling rate in hertz.
    fiducial : int
        Sample of the window on which beats were aligned; it lies inside the QRS complex.
    positions : ndarray of int, shape (n_beats,)
        Sample of the record at which each beat's fiducial lies; all beats, used or not.
    used : ndarray of bool, shape (n_beats,)
        Beats that went into the median.
    correlation : ndarray of shape (n_beats,)
        Correlation of each beat with the median beat over all leads.
    spikes : ndarray of int, shape (n_spikes, 2)
        Pacing spikes that were taken out: first sample of the record, sample after the last.
    reason : str
        Why there is no beat; empty where there is one.
    """

    beat: np.ndarray
    residual: np.ndarray
    fs: float
    fiducial: int
    positions: np.ndarray
    used: np.ndarray
    correlation: np.ndarray
    spikes: np.ndarray
    reason: str = ""

    @property
    def n_used(self) -> int:
        """Number of beats in the median."""
        return int(self.used.sum())


def median_beat(
    signals, fs, *, peaks=None, spikes=None, before=0.4, after=0.6, min_correlation=0.9
) -> MedianBeat:
    """Average the dominant beat of a record.

    Complexes are found on all leads together (:func:`locate_qrs`); the beat that most others
    resemble becomes the template; the others are shifted to it by the lag of greatest correlation
    over all leads, and those that correlate less than ``min_correlation`` (ectopic beats,
    artefacts) are left out. The baseline, a polygon through the PR segments, is subtracted, and so
    is power-line hum; no filter touches the complex. Pacing spikes are bridged before all this.

    Parameters
    ----------
    signals : array-like of shape (n_leads, n_samples)
        Millivolt, unfiltered. NaN is missing: a beat counts in the leads in which it is whole, so
        that pages on which leads follow one another are averaged too.
    fs : float
        Sampling rate in hertz, at least 100.
    peaks : array-like of int, optional
        A sample inside each complex, for beats that are known, or of one kind.
    spikes : ndarray of int, shape (n_spikes, 2), optional
        Pacing spikes that were already taken out of ``signals``; None looks for them.
    before, after : float, default=0.4, 0.6
        Seconds kept on either side of the fiducial.
    min_correlation : float, default=0.9
        Smallest correlation with the template, relative to the clean part of the signal: it is
        lowered where noise alone keeps even equal beats below it.

    Returns
    -------
    MedianBeat
        With an empty ``beat`` and a ``reason`` where no complex was found.

    Raises
    ------
    ValueError
        Not (n_leads, n_samples), or ``fs`` below 100.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import median_beat
    >>> t = np.arange(5000) / 500
    >>> signals = np.exp(-(((t % 1.0) - 0.5) ** 2) / (2 * 0.01**2)) * np.ones((12, 1))
    >>> result = median_beat(signals, fs=500)
    >>> result.n_used, result.beat.shape, round(float(result.beat[0, result.fiducial]), 2)
    (10, (12, 500), 1.0)
    """
    signals = np.asarray(signals, dtype=float)
    if signals.ndim != 2:
        raise ValueError(f"median_beat expects (n_leads, n_samples), got shape {signals.shape}.")
    if not fs >= 100:
        raise ValueError(f"median_beat needs a sampling rate of at least 100 Hz, got {fs}.")
    filled, missing = bridge_gaps(signals)
    clean = filled
    if spikes is None:
        spikes = find_pacing_spikes(filled, fs)
        clean = remove_spikes(filled, spikes)
    pre, post = round(before * fs), round(after * fs)
    peaks = locate_qrs(clean, fs) if peaks is None else np.sort(np.asarray(peaks, dtype=int))
    # Before the alignment: hum lowers the correlation of beats that are equal but for it.
    clean = subtract_mains(clean, fs, peaks)
    half = round(_ALIGN_S * fs)
    peaks = peaks[(peaks >= half) & (peaks < signals.shape[1] - half)]
    if not len(peaks):
        return _nothing(signals, fs, spikes, "no QRS complex stands out of the signal")

    turns = in_turns(missing)
    known: tuple[np.ndarray, np.ndarray | None]
    if turns:
        known = with_common_lead(clean, missing, peaks, half // 2, fs)
        speed = relative_speed(clean, missing, peaks, half // 2, fs)
    else:
        known, speed = (clean, missing), _top_speed(clean, peaks, half // 2, fs)
    positions, correlation = _align(*known, peaks, half, speed, fs, turns)
    keep = _are_complexes(positions / fs, correlation, speed)
    keep &= ~_are_other_waves(*known, positions, correlation, speed, fs)
    positions, correlation, speed = positions[keep], correlation[keep], speed[keep]
    used = correlation >= min_correlation * _typical(correlation)
    # Wider than for the alignment: a paced complex and its P wave must be seen whole.
    reach = round(_COARSE_S * fs)
    template = middle_of_beats(cut_beats(clean, missing, positions[used], reach, reach))
    onset, fiducial, _ = coarse_bounds(template, fs, reach)
    positions = positions + (fiducial - reach)
    flat = less_baseline(clean, missing, positions[used] + (onset - fiducial), fs)
    segments = cut_beats(flat, missing, positions[used], pre, post)
    beat = hold_edges(middle_of_beats(segments))
    return MedianBeat(
        beat=bridge_beat(beat, fs) if turns else beat,
        residual=alternating_mean(segments),
        fs=float(fs),
        fiducial=pre,
        positions=positions,
        used=used,
        correlation=correlation,
        spikes=spikes,
    )


def _nothing(signals, fs, spikes, reason) -> MedianBeat:
    empty = np.empty((len(signals), 0))
    nothing = np.empty(0, dtype=int)
    return MedianBeat(
        empty, empty, float(fs), 0, nothing, nothing.astype(bool), np.empty(0), spikes, reason
    )


def bridge_gaps(signals) -> tuple[np.ndarray, np.ndarray | None]:
    """Signals with gaps bridged by straight lines, and where the gaps were; None without gaps."""
    missing = ~np.isfinite(signals)
    if not missing.any():
        return signals, None
    filled = np.array(signals)
    for lead, gap in zip(filled, missing):
        here = np.flatnonzero(~gap)
        lead[gap] = np.interp(np.flatnonzero(gap), here, lead[here]) if len(here) else 0.0
    return filled, missing


def _align(clean, missing, peaks, half, speed, fs, turns=False) -> tuple[np.ndarray, np.ndarray]:
    """Positions of equal phase in every beat, and the correlation of each with the template.

    Where leads are seen in ``turns``, the last one is the common one.
    """
    few = np.unique(np.linspace(0, len(peaks) - 1, min(len(peaks), _MAX_CLUSTERED)).astype(int))
    segments = cut_beats(clean, missing, peaks, half, half)
    spectra, energy = _spectra(segments)
    correlation = _correlate_all(spectra[few], energy[few], half)
    likeness = np.where(correlation > 0.85, correlation, 0.0).sum(axis=1)
    # Of two kinds equally frequent (bigeminy), the one that comes late is the rhythm.
    interval = np.diff(peaks, prepend=2 * peaks[0] - peaks[min(1, len(peaks) - 1)])[few]
    score = np.round(likeness) + 0.9 * interval / max(interval.max(), 1)
    # Of complexes and P or T waves, found as often, the complexes are faster.
    fast = np.minimum(speed[few] / max(_upper_quartile(speed), 1e-12), 1.0)
    score += 0.5 * fast - 10.0 * (fast < 0.4)
    # Large T waves may be found as often as complexes, but they follow one and are slow.
    follows = np.diff(peaks, prepend=-np.inf) < 0.65 * fs
    score[(follows & (speed < 0.6 * np.roll(speed, 1)))[few]] = -1.0
    seed = few[np.argmax(score)]

    correlation, lags = _correlate(spectra[[seed]], energy[[seed]], spectra, energy, half)
    positions = np.clip(peaks + lags[0], half, clean.shape[1] - half)
    # A second pass against an average: the first template is a single beat, with its noise.
    alike = correlation[0] >= 0.9 * _typical(correlation[0])
    if turns:
        alike |= _like_their_kind(energy[:, :-1] > 0, correlation[0])
    average = middle_of_beats(cut_beats(clean, missing, positions[alike], half, half))
    template, template_energy = _spectra(average[None])
    correlation, lags = _correlate(template, template_energy, spectra, energy, half)
    return np.clip(peaks + lags[0], half, clean.shape[1] - half), correlation[0]


def _like_their_kind(known, correlation) -> np.ndarray:
    """Whether each beat correlates with the first as well as others do of which the same is seen.

    Of other leads it shares hardly more than the speed with it: judged beside beats that share all,
    none of them would be left, and their leads would have no template.
    """
    out = np.zeros(len(known), dtype=bool)
    for pattern in np.unique(known, axis=0):
        same = (known == pattern).all(axis=1)
        out |= same & (correlation >= 0.9 * _typical(correlation[same]))
    return out


def _top_speed(clean, peaks, reach, fs) -> np.ndarray:
    """Greatest speed of the vector in each beat."""
    step = max(1, round(0.008 * fs))
    segments = np.nan_to_num(cut_beats(clean, None, peaks, reach, reach))
    moved = segments[..., step:] - segments[..., :-step]
    return np.sqrt(np.square(moved).sum(axis=1).max(axis=1))


def _are_complexes(times, correlation, speed) -> np.ndarray:
    """Whether each beat is a complex: T waves follow one, are unlike it, and slow."""
    alike = correlation >= 0.9 * _typical(correlation)
    before = np.searchsorted(times[alike], times - 0.1) - 1
    since = times - times[alike][np.maximum(before, 0)]
    follows = (before >= 0) & (since < 0.65)
    slow = speed < 0.55 * median(speed[alike])
    return ~(follows & slow & (correlation <= 0.5))


def _are_other_waves(clean, missing, positions, correlation, speed, fs) -> np.ndarray:
    """Whether each beat is too slow for a complex, or looks like what follows the other beats.

    T waves of a paced rhythm may be as wide as its complexes, nearly as fast, and, shifted,
    correlate with them.
    """
    alike = correlation >= 0.9 * _typical(correlation)
    usual = median(speed[alike])
    others = speed < 0.4 * usual
    doubtful = np.flatnonzero(~others & (speed < 0.85 * usual) & (correlation <= 0.7))
    if not len(doubtful) or alike.sum() < 3:
        return others
    first, last, half = round(0.15 * fs), round(0.65 * fs), round(0.1 * fs)
    tail = np.nan_to_num(middle_of_beats(cut_beats(clean, missing, positions[alike], -first, last)))
    windows = np.lib.stride_tricks.sliding_window_view(tail, 2 * half, axis=1)
    windows = windows - windows.mean(axis=-1, keepdims=True)
    energy = np.einsum("lwt,lwt->w", windows, windows)
    for i in doubtful:
        beat = np.nan_to_num(cut_beats(clean, missing, positions[[i]], half, half)[0])
        beat = beat - beat.mean(axis=-1, keepdims=True)
        own = np.sum(beat * beat)
        product = np.einsum("lwt,lt->w", windows, beat)
        likeness = product / np.sqrt(np.maximum(energy * own, 1e-300))
        at = int(np.argmax(likeness))
        others[i] = likeness[at] > 0.95 and 0.4 < own / max(energy[at], 1e-300) < 2.5
    return others


def _typical(values) -> float:
    """Value of a beat of the dominant kind: the median of the better half."""
    return float(median(np.sort(values)[len(values) // 2 :]))


def _upper_quartile(values) -> float:
    ordered = np.sort(values)
    return float(np.interp(0.75 * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def _spectra(segments) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of tapered beats, frequency last, and energy by lead; 0 where one is missing."""
    n = segments.shape[-1]
    edge = max(1, n // 16)
    ramp = np.linspace(0.0, 1.0, n)
    start = segments[..., :edge].mean(axis=-1, keepdims=True)
    stop = segments[..., -edge:].mean(axis=-1, keepdims=True)
    level = segments - (start * (1.0 - ramp) + stop * ramp)
    # The taper keeps a neighbour's T wave at the edge of the window from steering the lag.
    level *= _taper(n)
    if np.isnan(level.sum()):
        level[np.isnan(level).any(axis=-1)] = 0.0
    return rfft(level, _fft_size(n)), np.einsum("blt,blt->bl", level, level)


@lru_cache(maxsize=32)
def _taper(n) -> np.ndarray:
    return np.hanning(n)


@lru_cache(maxsize=32)
def _fft_size(n) -> int:
    return next_fast_len(n + n // 4, real=True)


def _correlate_all(spectra, energy, half) -> np.ndarray:
    """Greatest correlation of every beat with every other, each pair looked at once."""
    product = np.ascontiguousarray(spectra.transpose(2, 0, 1)).conj() @ spectra.transpose(2, 1, 0)
    one, other = np.triu_indices(len(spectra))
    cross = irfft(product[:, one, other], _fft_size(2 * half), axis=0)
    furthest = int(_MAX_LAG * half)
    top = np.maximum(cross[-furthest:].max(axis=0), cross[: furthest + 1].max(axis=0))
    out = np.empty((len(spectra), len(spectra)))
    out[one, other] = out[other, one] = top
    shared = energy @ (energy > 0).T.astype(float)
    norm = np.sqrt(shared * shared.T)
    return np.where(norm > 0, out / np.where(norm > 0, norm, 1.0), 0.0)


def _correlate(a, energy_a, b, energy_b, half) -> tuple[np.ndarray, np.ndarray]:
    """Greatest correlation of each beat of a with each of b over leads both have, and its lag."""
    product = np.ascontiguousarray(a.transpose(2, 0, 1)).conj() @ b.transpose(2, 1, 0)
    cross = irfft(np.moveaxis(product, 0, -1), _fft_size(2 * half))
    furthest = int(_MAX_LAG * half)
    cross = np.concatenate([cross[..., -furthest:], cross[..., : furthest + 1]], axis=-1)
    best = cross.argmax(axis=-1)
    shared_a = energy_a @ (energy_b > 0).T.astype(float)
    shared_b = (energy_a > 0).astype(float) @ energy_b.T
    norm = np.sqrt(shared_a * shared_b)
    top = np.take_along_axis(cross, best[..., None], axis=-1)[..., 0]
    return np.where(norm > 0, top / np.where(norm > 0, norm, 1.0), 0.0), best - furthest
