"""The waves, notches and slurs of one lead's QRS complex."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_NAN = float("nan")


@dataclass(frozen=True)
class LeadWaves:
    """The waves of one lead's QRS complex; amplitudes in millivolt, times in ms from QRS onset.

    Attributes
    ----------
    shape : str
        The waves in order, a capital where a wave has at least half of the complex's height:
        ``"qR"``, ``"rS"``, ``"QS"``, ``"rsR'"``. Empty where nothing exceeds the smallest wave.
    q, r, s : float
        Depth of the negative wave before the first positive one, height of the tallest positive
        wave, depth of the deepest negative wave after the first positive one (of the only wave,
        if there is no positive one); 0 where there is no such wave.
    r_time : float
        Time of the summit at which the tallest positive wave begins its final fall; NaN without.
    r_fall : float
        Time of the last instant at which the lead is at least half as high as ``r``: where the
        final downstroke is half done, whatever notches come before it; NaN without.
    r_width, s_width : float
        Duration of the waves that ``r`` and ``s`` are the height of; 0 without.
    last : float
        Height of the last wave, signed.
    last_time : float
        Time of its summit.
    notch : float
        Time of the valley of the deepest notch; NaN without one.
    notch_depth : float
        0 without one.
    notches, slurs : tuple of float
        Times of all notches and slurs.
    """

    shape: str = ""
    q: float = 0.0
    r: float = 0.0
    s: float = 0.0
    r_time: float = _NAN
    r_fall: float = _NAN
    r_width: float = 0.0
    s_width: float = 0.0
    last: float = 0.0
    last_time: float = _NAN
    notch: float = _NAN
    notch_depth: float = 0.0
    notches: tuple = ()
    slurs: tuple = ()


def lead_waves(lead, fs, onset, offset, *, noise=0.0, smallest=0.03, notch_depth=0.02) -> LeadWaves:
    """Decompose the complex of one lead into waves, notches and slurs.

    A wave is a stretch of one sign whose summit exceeds ``smallest`` (the last one also exceeds
    by that the level on which the ST segment begins). A notch is a valley between two summits of
    one wave that is deeper than ``notch_depth``. A slur is a place on the flank of a wave at which
    the slope falls under a third of what it is on either side, without turning.

    Parameters
    ----------
    lead : ndarray of shape (n_window,)
        Beat of one lead in millivolt, zero before the complex.
    fs : float
        Sampling rate in hertz.
    onset, offset : float
        In samples.
    noise : float, default=0.0
        Standard deviation of white noise; raises both limits to four times what smoothing leaves.
    smallest, notch_depth : float, default=0.03, 0.02
        Millivolt.

    Returns
    -------
    LeadWaves

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.shapes import lead_waves
    >>> t = np.arange(-100, 100) * 2.0
    >>> lead = np.exp(-((t + 20) ** 2) / 300) + np.exp(-((t - 20) ** 2) / 300)
    >>> waves = lead_waves(lead, 500, onset=70, offset=130)
    >>> waves.shape, round(waves.notch), round(waves.notch_depth, 1)
    ('R', 60, 0.5)
    """
    first, last = int(np.ceil(onset)), int(np.floor(offset))
    if last - first < 4 or not np.isfinite(lead[first : last + 1]).all():
        return LeadWaves()
    ms = 1000.0 / fs
    zero = onset - first
    smallest = max(smallest, 4.0 * noise)
    part = lead[first : last + 1]
    runs = _runs(part, smallest)
    if not runs:
        return LeadWaves()
    ends = part[-1]
    # An ST segment that starts off the baseline looks like a last wave of the same sign.
    if len(runs) > 1 and abs(part[runs[-1][2]]) - max(0.0, ends * runs[-1][3]) < smallest:
        runs = runs[:-1]
    # Letters are capitals against the tallest wave of either sign, as readers write them.
    height = max(abs(part[peak]) for *_, peak, _ in runs)
    signs = [sign for *_, sign in runs]
    start, stop, peak, sign = runs[-1]
    fields: dict = {
        "shape": _name(part, runs, height),
        "last": float(part[peak]),
        "last_time": (peak - zero) * ms,
    }
    positive = [run for run in runs if run[3] > 0]
    if positive:
        start, stop, peak, _ = max(positive, key=lambda run: part[run[2]])
        fields["r"] = float(part[peak])
        fields["r_width"] = (stop - start) * ms
        fields["r_time"] = (_final_fall(part, start, stop, peak) - zero) * ms
        fields["r_fall"] = (_half_fall(part, peak) - zero) * ms
        after = [run for run in runs[signs.index(1) :] if run[3] < 0]
        if signs[0] < 0:
            fields["q"] = float(-part[runs[0][2]])
    else:
        after = runs
    if after:
        start, stop, peak, _ = min(after, key=lambda run: part[run[2]])
        fields["s"] = float(-part[peak])
        fields["s_width"] = (stop - start) * ms
    fields.update(_notches_and_slurs(lead, first, last, runs, fs, noise, notch_depth, zero))
    return LeadWaves(**fields)


def _runs(part, smallest) -> list[tuple]:
    """Stretches of one sign: (start, stop, sample of the summit, sign)."""
    edges = np.flatnonzero(np.diff(np.signbit(part))) + 1
    bounds = [0, *edges.tolist(), len(part)]
    runs: list[tuple] = []
    for start, stop in zip(bounds[:-1], bounds[1:]):
        peak = start + int(np.argmax(np.abs(part[start:stop])))
        if abs(part[peak]) >= smallest:
            sign = 1 if part[peak] > 0 else -1
            if runs and runs[-1][3] == sign:  # a crossing that was only noise
                before = runs.pop()
                start = before[0]
                peak = max(before[2], peak, key=lambda i: abs(part[i]))
            runs.append((start, stop, peak, sign))
    return runs


def _name(part, runs, height) -> str:
    if len(runs) == 1 and runs[0][3] < 0:
        return "QS"
    name, seen = "", 0
    for i, (_, _, peak, sign) in enumerate(runs):
        letter = "r" if sign > 0 else ("q" if i == 0 else "s")
        if sign > 0:
            seen += 1
        prime = "'" * (seen - 1) if letter != "q" else ""
        name += (letter.upper() if abs(part[peak]) >= 0.5 * height else letter) + prime
    return name


def _final_fall(part, start, stop, peak) -> int:
    """Last summit of a wave that reaches two thirds of its height: where it falls for good."""
    wave = part[start:stop]
    # Two thirds: a notch hardly ever cuts deeper, and a smaller summit is the foot of the wave.
    padded = np.concatenate([[-np.inf], wave, [-np.inf]])
    summits = np.flatnonzero((wave > padded[:-2]) & (wave >= padded[2:]))
    tall = summits[wave[summits] >= 0.67 * part[peak]]
    return start + int(tall[-1])


def _half_fall(part, peak) -> float:
    """Last crossing of half of the height of a summit, between samples."""
    half = 0.5 * part[peak]
    last = int(np.flatnonzero(part >= half)[-1])
    if last + 1 >= len(part):
        return float(last)
    return last + (part[last] - half) / (part[last] - part[last + 1])


@lru_cache(maxsize=32)
def smoothing_kernels(fs) -> tuple[np.ndarray, np.ndarray]:
    """Savitzky-Golay parabolas over 14 ms: value and slope a sample, to be convolved with."""
    half = max(2, round(0.006 * fs))
    times = np.arange(-half, half + 1)
    value, slope, _ = np.linalg.pinv(np.vander(times, 3, increasing=True))
    return value[::-1], slope[::-1]


def _notches_and_slurs(lead, first, last, runs, fs, noise, depth, zero) -> dict:
    level, derivative = smoothing_kernels(fs)
    low, high = max(first - len(level), 0), min(last + 1 + len(level), len(lead))
    rough = lead[low:high]
    # Smoothing over 14 ms flattens a clean notch; only noise justifies it.
    smooth = np.convolve(rough, level, "same") if noise > 0.003 else rough
    slope = np.convolve(rough, derivative, "same")
    limit = max(depth, 2.5 * noise)
    ms = 1000.0 / fs
    notches, slurs = [], []
    for start, stop, _, sign in runs:
        wave = sign * smooth[first - low + start : first - low + stop]
        rate = sign * slope[first - low + start : first - low + stop]
        notches += [(start + i - zero, d) for i, d in _valleys(wave, limit)]
        summit = int(np.argmax(wave))
        for limb in (slice(0, summit), slice(summit, len(wave))):
            slurs += [start + i - zero for i in _slurs(wave[limb], rate[limb], limb.start, noise)]
    valleys = [(i * ms, d) for i, d in sorted(notches)]
    flat = [i * ms for i in sorted(slurs)]
    # The flank of a notch is slow as well: it is one finding, not two.
    flat = [at for at in flat if all(abs(at - valley) > 12.0 for valley, _ in valleys)]
    if not valleys:
        return {"slurs": tuple(flat)}
    at, deepest = max(valleys, key=lambda valley: valley[1])
    return {
        "notch": at,
        "notch_depth": deepest,
        "notches": tuple(at for at, _ in valleys),
        "slurs": tuple(flat),
    }


# Limbs have some thirty samples: plain numbers are several times faster than arrays here.
def _valleys(wave, limit) -> list[tuple[int, float]]:
    """Valleys between two summits, both higher by more than ``limit``: (sample, depth)."""
    wave = wave.tolist()
    notches: list[tuple[int, float]] = []
    for i in range(1, len(wave) - 1):
        here = wave[i]
        if here > wave[i - 1] or here >= wave[i + 1]:
            continue
        depth = min(max(wave[: i + 1]), max(wave[i:])) - here
        if depth <= limit:
            continue
        # Ripples of one valley count once: between valleys must rise a summit of its own.
        if notches:
            j, deepest = notches[-1]
            if max(wave[j : i + 1]) - max(wave[j], here) <= limit:
                if depth > deepest:
                    notches[-1] = (i, depth)
                continue
        notches.append((i, depth))
    return notches


def _slurs(limb, rate, offset, noise) -> list[int]:
    """Samples of a limb at which it all but stops without turning, steep before and after."""
    speed = (rate if offset == 0 else -rate).tolist()
    if len(speed) < 5:
        return []
    level, top = limb.tolist(), max(speed)
    height = max(level)
    slurs: list[int] = []
    for i in range(1, len(speed) - 1):
        at = speed[i]
        # Hardly any sample passes this: only then is it asked what lies beside it.
        if not -0.1 * top < at < 0.35 * top or not 0.15 * height < level[i] < 0.95 * height:
            continue
        if at > speed[i - 1] or at >= speed[i + 1]:
            continue
        # The fastest on either side, of which the slower one counts.
        beside = min(max(speed[:i]), max(speed[i + 1 :]))
        steep = beside > max(0.2 * top, 0.6 * noise)
        apart = not slurs or i - slurs[-1] >= len(speed) // 8 + 2
        if steep and -0.1 * beside < at < 0.35 * beside and apart:
            slurs.append(i)
    return [offset + i for i in slurs]
