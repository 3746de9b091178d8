"""The Shannon energy detector of R peaks, step by step."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import cheby1, find_peaks, sosfiltfilt


@dataclass(frozen=True)
class ShannonSettings:
    """Settings of the detector (times in seconds).

    Chosen on DS1 of MIT-BIH, but for ``threshold``, ``gap_threshold``, ``extra`` and the settings
    that begin with ``lone``, for which all of its records were looked at: the bigeminy of record
    228, of DS2, has no like in DS1.

    Parameters
    ----------
    band : tuple of float
        Pass band in Hz.
    order, ripple_db : int, float
        Of the Chebyshev type I band-pass.
    gain : float
        Local slope maximum, times this, is amplitude one.
    smooth : tuple of float
        Widths of the two moving averages that make the envelope.
    block, n_blocks : float, int
        The local level is the median over ``n_blocks`` of the maxima of blocks.
    threshold : float
        Share of the local level that makes a beat.
    refractory : float
        No two beats are closer.
    late : float
        A peak this soon after a beat, with less than ``flat`` of its slope, is its T wave.
    early : float
        A peak this soon before a beat, with less than ``flat`` of its slope, is its P wave.
    flat : float
    gap, gap_threshold : float
        An interval of more than ``gap`` times the local median is searched again with this
        threshold.
    lone_gap, lone_flat, lone_apart : float
        In an interval of more than ``lone_gap`` seconds, a peak with ``lone_flat`` of the slope of
        the beats around it, and ``lone_apart`` times the slope of any other peak there, is a beat
        however low it is: the narrow beats of ventricular bigeminy are a twentieth of the others.
    extra : tuple of (float, float)
        Pairs of fit and slope. A beat with less than that share of the slope of both its neighbours
        is an artefact if the rhythm is regular without it, to within that share of the usual
        interval: the better the rest fits, the steeper an artefact may be.
    rate : float
        Lowest rate in hertz at which beats are looked for; faster signals are thinned out to it.
    passes : int
        Rounds of dropping waves and searching back.
    reach : float
        How far from the envelope's peak the R peak may lie.
    level : float
        The local level is the median of this much on either side.
    refine_smooth : float
        Width of the moving average under which summits are looked for.
    share : float
        The first summit of this share of the largest deflection is the R peak.
    """

    band: tuple = (5.0, 20.0)
    order: int = 4
    ripple_db: float = 0.5
    gain: float = 2.8
    smooth: tuple = (0.14, 0.08)
    block: float = 1.5
    n_blocks: int = 7
    threshold: float = 0.28
    refractory: float = 0.24
    late: float = 0.34
    early: float = 0.3
    flat: float = 0.45
    gap: float = 1.3
    gap_threshold: float = 0.16
    lone_gap: float = 1.2
    lone_flat: float = 0.2
    lone_apart: float = 2.5
    extra: tuple = ((0.15, 0.6), (0.08, 0.7))
    rate: float = 150.0
    passes: int = 3
    reach: float = 0.1
    level: float = 0.4
    refine_smooth: float = 0.008
    share: float = 0.8


SETTINGS = ShannonSettings()
RR_NEIGHBOURS = 9
# Among nine intervals of a noisy episode, half may be false: what is usual is asked of more.
RR_REGULAR = 61


def detect_shannon(x, fs, settings=SETTINGS) -> np.ndarray:
    """Samples of the R peaks of one finite lead that is not flat; see ``detect_r_peaks``."""
    # The band ends at 20 Hz: half of the samples of 360 Hz say the same in half of the time.
    step = max(1, int(fs // settings.rate))
    n = len(x) // step
    # Sums of strided slices: a mean over an axis of two is several times slower.
    slow = x if step == 1 else sum(x[i : n * step : step] for i in range(step)) / step
    rate = fs / step
    band = band_pass(slow, rate, settings)
    slope = np.abs(np.diff(band, prepend=band[0]))
    envelope = shannon_envelope(slope, rate, settings)
    peaks, _ = find_peaks(envelope)
    if not len(peaks):
        return peaks
    level = _at(peaks, *local_level(envelope, rate, settings))
    height = envelope[peaks] / np.maximum(level, np.finfo(float).tiny)
    steepest = _largest_near(slope, peaks, _samples(0.75 * settings.smooth[0], rate))
    beats = select_beats(peaks / rate, height, steepest, settings)
    return refine_peaks(x, peaks[beats] * step + step // 2, fs, settings)


def band_pass(x, fs, settings=SETTINGS) -> np.ndarray:
    """Band of the QRS complex, without a shift in time."""
    low, high = settings.band
    # At 50 Hz, the lowest rate taken, 20 Hz would lie too near Nyquist.
    band = (low, min(high, 0.45 * fs))
    sos = cheby1(settings.order, settings.ripple_db, band, "bandpass", fs=fs, output="sos")
    padlen = min(_samples(1.0, fs), len(x) - 1)
    # sosfiltfilt hands back a reversed view; the next steps run faster on a plain array.
    return np.ascontiguousarray(sosfiltfilt(sos, x, padlen=padlen))


def shannon_envelope(slope, fs, settings=SETTINGS) -> np.ndarray:
    """Smoothed Shannon energy of the slope, relative to what is usual around it.

    ``-a^2 ln a^2`` grows up to ``a = exp(-1/2)`` and falls beyond; slopes above are held there,
    so that a giant extrasystole stays a peak.
    """
    centres, levels = local_level(slope, fs, settings)
    unit = np.maximum(settings.gain * levels, np.finfo(float).tiny)
    # In place, and the logarithm in float32: memory traffic is what this step costs.
    amplitude = at_every_sample(len(slope), centres, unit)
    np.divide(slope, amplitude, out=amplitude)
    # Energy rises up to exp(-1/2) and falls beyond: cut there, tall beats and artefacts count
    # alike.
    square = np.minimum(amplitude, np.exp(-0.5), out=amplitude).astype(np.float32)
    np.square(square, out=square)
    energy = np.log(square + np.float32(1e-12))
    np.multiply(energy, -square, out=energy)
    for width in settings.smooth:
        energy = uniform_filter1d(energy, _samples(width, fs) | 1)
    return energy


def local_level(values, fs, settings=SETTINGS) -> tuple[np.ndarray, np.ndarray]:
    """Block centres and the running median of the blocks' maxima: one artefact moves nothing."""
    size = min(_samples(settings.block, fs), len(values))
    n_blocks = len(values) // size
    # The median of maxima follows a change of gain, and one artefact in seven blocks does not move
    # it.
    maxima = values[: n_blocks * size].reshape(n_blocks, size).max(axis=1)
    return (np.arange(n_blocks) + 0.5) * size, running_median(maxima, settings.n_blocks)


def running_median(values, size) -> np.ndarray:
    """Median of the ``size`` values around each, mirrored at the ends; of all where fewer."""
    if len(values) < size:
        return np.full(len(values), np.median(values))
    return median_filter(values, size, mode="mirror")


def select_beats(time, height, slope, settings=SETTINGS) -> np.ndarray:
    """Positions, among the envelope's peaks, of those that are beats.

    Parameters
    ----------
    time : ndarray of shape (n_peaks,)
        Seconds, increasing.
    height : ndarray of shape (n_peaks,)
        Relative to the local level.
    slope : ndarray of shape (n_peaks,)
        Steepest slope near the peak.
    settings : ShannonSettings

    Returns
    -------
    ndarray of int
    """
    beats = _thin_out(time, height, np.flatnonzero(height > settings.threshold), settings)
    for _ in range(settings.passes):
        if len(beats) < 2:
            break
        more = _search_back(time, height, slope, beats, settings)
        more = np.union1d(more, _lone_beats(time, slope, beats, settings))
        kept = _drop_waves(time, slope, beats, settings)
        revised = _thin_out(time, height, np.union1d(kept, more), settings)
        # Passes end when nothing changes; three are the bound, as beats may come and go in turn.
        if np.array_equal(revised, beats):
            break
        beats = revised
    return _drop_extras(time, slope, beats, settings)


def refine_peaks(x, peaks, fs, settings=SETTINGS) -> np.ndarray:
    """Move each peak to the summit of the lead near it that lies furthest from the local level.

    The band of the detector would not do: of a complex of more than 120 ms it keeps the flanks, and
    its largest deflection is then the onset or the end. Of several summits of one sign, which are
    the notches of a block, the first that comes near the largest is taken, so that noise does not
    choose between them.
    """
    reach, wide = _samples(settings.reach, fs), _samples(settings.level, fs)
    smooth = _samples(settings.refine_smooth, fs) | 1
    if not len(peaks):
        return peaks
    # The median of 0.8 s is near the baseline for any complex; every few samples are enough for it.
    level = np.median(_around(x, peaks, wide, max(1, round(fs / 75))), axis=1, keepdims=True)
    # One sample more on either side, so that a summit at the edge of the reach is seen to be one.
    middle = _around(x, peaks, reach + 1 + smooth // 2, 1) - level
    total = np.cumsum(np.pad(middle, ((0, 0), (1, 0))), axis=1)
    lead = (total[:, smooth:] - total[:, :-smooth]) / smooth
    furthest = np.abs(lead[:, 1:-1]).argmax(axis=1)
    rows = np.arange(len(lead))
    lead = lead * np.sign(lead[rows, furthest + 1])[:, None]
    inner = lead[:, 1:-1]
    summit = (inner >= lead[:, :-2]) & (inner > lead[:, 2:])
    summit &= inner >= settings.share * inner[rows, furthest][:, None]
    best = np.where(summit.any(axis=1), summit.argmax(axis=1), furthest)
    start = -(inner.shape[1] // 2)
    return np.unique(np.clip(peaks + start + best, 0, len(x) - 1))


def _thin_out(time, height, candidates, settings) -> np.ndarray:
    """Of candidates closer than the refractory period, the higher one."""
    kept: list[int] = []
    last_time, last_height = -np.inf, 0.0
    for i, now, high in zip(
        candidates.tolist(), time[candidates].tolist(), height[candidates].tolist()
    ):
        if now - last_time >= settings.refractory:
            kept.append(i)
        elif high > last_height:
            kept[-1] = i
        else:
            continue
        last_time, last_height = now, high
    return np.array(kept, dtype=np.intp)


def _drop_waves(time, slope, beats, settings) -> np.ndarray:
    """Leave out beats that are the T wave of the one before or the P wave of the next."""
    kept: list[int] = []
    last_time, last_slope = -np.inf, 0.0
    for i, now, steep in zip(beats.tolist(), time[beats].tolist(), slope[beats].tolist()):
        apart = now - last_time
        if apart < settings.late and steep < settings.flat * last_slope:
            continue
        if apart < settings.early and last_slope < settings.flat * steep:
            kept[-1] = i
        else:
            kept.append(i)
        last_time, last_slope = now, steep
    return np.array(kept, dtype=np.intp)


def _search_back(time, height, slope, beats, settings) -> np.ndarray:
    """The highest peak, above a lower threshold, of each interval that is too long."""
    intervals = np.diff(time[beats])
    # Nine intervals: a pair of ectopic beats stays a minority.
    usual = running_median(intervals, RR_NEIGHBOURS)
    long = np.flatnonzero(intervals > settings.gap * usual)
    inside = np.concatenate(
        [np.arange(beats[g] + 1, beats[g + 1]) for g in long.tolist()] or [np.empty(0, np.intp)]
    )
    first = np.searchsorted(beats, inside) - 1
    before, after = beats[first], beats[first + 1]
    since, until = time[inside] - time[before], time[after] - time[inside]
    wave = (since < settings.late) & (slope[inside] < settings.flat * slope[before])
    wave |= (until < settings.early) & (slope[inside] < settings.flat * slope[after])
    wave |= np.minimum(since, until) < settings.refractory
    rest = ~wave & (height[inside] > settings.gap_threshold)
    # One beat a gap and pass; the next pass sees the shorter gaps.
    order = np.lexsort((-height[inside[rest]], first[rest]))
    _, highest = np.unique(first[rest][order], return_index=True)
    return inside[rest][order][highest]


def _lone_beats(time, slope, beats, settings) -> np.ndarray:
    """Steepest peak of each very long interval, where it is much steeper than the others there."""
    lone = []
    for g in np.flatnonzero(np.diff(time[beats]) > settings.lone_gap).tolist():
        before, after = beats[g], beats[g + 1]
        inside = np.arange(before + 1, after)
        since, until = time[inside] - time[before], time[after] - time[inside]
        # The T wave of a wide beat comes late.
        wave = (since < settings.late + 0.1) & (slope[inside] < settings.flat * slope[before])
        wave |= (until < settings.early) & (slope[inside] < settings.flat * slope[after])
        wave |= np.minimum(since, until) < settings.refractory
        inside = inside[~wave]
        ordered = inside[np.argsort(-slope[inside])][:2].tolist()
        if not ordered or slope[ordered[0]] < settings.lone_flat * max(slope[before], slope[after]):
            continue
        if len(ordered) == 1 or slope[ordered[0]] >= settings.lone_apart * slope[ordered[1]]:
            lone.append(ordered[0])
    return np.array(lone, dtype=np.intp)


def _drop_extras(time, slope, beats, settings) -> np.ndarray:
    """Leave out weak beats without which the rhythm is regular, never two in a row."""
    for _ in range(2):
        if len(beats) < 5:
            break
        at, steep = time[beats], slope[beats]
        usual = running_median(np.diff(at), RR_REGULAR)[:-1]
        apart = np.abs(at[2:] - at[:-2] - usual) / usual
        share = steep[1:-1] / np.minimum(steep[:-2], steep[2:])
        weak = np.any([(apart < fit) & (share < flat) for fit, flat in settings.extra], axis=0)
        extra = np.concatenate([[False], weak, [False]])
        # Of two neighbours only one goes: each made the other look superfluous.
        extra[1:] &= ~extra[:-1]
        if not extra.any():
            break
        beats = beats[~extra]
    return beats


def _largest_near(values, peaks, reach) -> np.ndarray:
    return _around(values, peaks, reach, 1).max(axis=1)


def _around(values, peaks, reach, step) -> np.ndarray:
    """Values within reach of each peak, the ends of the record held."""
    return values[np.clip(peaks[:, None] + np.arange(-reach, reach + 1, step), 0, len(values) - 1)]


def _at(positions, centres, levels) -> np.ndarray:
    return np.interp(positions, centres, levels)


def at_every_sample(n, centres, levels) -> np.ndarray:
    """Levels between centres that lie equally far apart, at samples 0 to n - 1; level outside."""
    out = np.full(n, levels[-1])
    first = int(np.ceil(centres[0]))
    out[:first] = levels[0]
    if len(centres) > 1:
        apart = round(centres[1] - centres[0])
        since = first - centres[0] + np.arange(apart)
        inside = out[first : first + (len(centres) - 1) * apart].reshape(-1, apart)
        np.multiply(np.diff(levels)[:, None] / apart, since, out=inside)
        inside += levels[:-1, None]
    return out


def _samples(seconds, fs) -> int:
    return max(int(round(seconds * fs)), 1)
