"""Where the QRS complex of a beat begins and ends, over all leads; P onset and T end."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import correlate1d

from crtkit.signals.medians import median
from crtkit.signals.qrs.coarse import coarse_bounds, first_quiet

#: The complex is what leaves its surroundings, in two leads, by more than this share of the median
#: over leads of its height: 20 µV of 0.9 mV.
THRESHOLD = 0.022

#: Leads that must agree on an end of the complex; of fewer than four leads, one is enough.
AGREEMENT = 2
_AGREE = 4
# Readers mark single leads tighter than machines mark all of them: with this share of the height,
# the median over leads lies closest to the median of LUDB's hand marks.
LEAD_THRESHOLD = 0.009
#: They see a lead leave its baseline so long before it differs by that much, in seconds.
READER_S = 0.004
_GAP_S, _LEVEL_S, _LINE_S = 0.012, 0.02, 0.036
_QUIET_S = 0.010
# How far outside its coarse edge a complex may begin or end: a terminal R may come late.
_REACH_S = 0.09
_LIMB_S = 0.04
# How far outside the common edge a single lead may be seen to end.
_OUTSIDE_S = 0.0
_BRIEF_S = 0.02
# A crossing in noise is carried outwards by no more than this: on LUDB, where noise is not white as
# on the reference beats, more of it makes complexes too long.
_BEYOND_S = 0.004
# Noise of one electrode is in at least so many limb leads.
_ONE_ELECTRODE = 3
# What lasts longer is noise that never falls below its own limit.
_LONGEST_S = 0.4
_NOISE_FACTOR = 3.3
# What rises again, in multiples of the limit, and is still not the complex: P waves are steeper
# than the start of T waves.
_LITTLE_BEFORE, _LITTLE_AFTER = 13.0, 6.0
_LOW_BEFORE, _LOW_AFTER = 5.0, 1.5
# The middle half of many beats has 1.1 times, the median of four 1.1 times the noise of a mean.
_MIDDLE_NOISE = 1.1


@dataclass(frozen=True)
class QRSBounds:
    """Global onset and offset of a QRS complex.

    Attributes
    ----------
    onset, offset : float
        In samples of the beat, between samples; NaN where not found.
    earliest, latest : float
        Onset and offset of the lead that begins first and of the one that ends last, in samples.
    lead_onset, lead_offset : ndarray of shape (n_leads,)
        Of each lead alone, to the sample, with a smaller threshold (:data:`LEAD_THRESHOLD`), as
        readers mark single leads; NaN where a lead never left its surroundings.
    noise : ndarray of shape (n_leads,)
        Standard deviation, in millivolt, of what was compared with the threshold.
    agreement : float
        Between 0 and 1: how well leads agree, see :func:`qrs_bounds`.
    reason : str
        Why there are no bounds; empty where there are.
    """

    onset: float
    offset: float
    earliest: float
    latest: float
    lead_onset: np.ndarray
    lead_offset: np.ndarray
    noise: np.ndarray
    agreement: float
    reason: str = ""


def qrs_bounds(
    beat, fs, fiducial, residual=None, *, threshold_mv=None, agreement=AGREEMENT, limb=None
) -> QRSBounds:
    """Global QRS onset and offset of a beat.

    Each lead is compared, at every instant, with its own surroundings *outside* the complex,
    carried on to that instant as a level and as a line (the smaller difference counts, so that an
    ST segment or the end of a P wave does not). The complex ends where fewer than two leads (one,
    of fewer than four) differ by more than the threshold for 10 ms, or where it touches a wave that
    is not as steep. Where noise allows no such threshold, a higher one is used and the crossing is
    carried outwards by the steepness with which the complex falls there.

    Parameters
    ----------
    beat : ndarray of shape (n_leads, n_window)
        Millivolt; NaN leads are left out.
    fs : float
        Sampling rate in hertz.
    fiducial : int
        A sample inside the complex.
    residual : ndarray of shape (n_leads, n_window), optional
        Noise in ``beat``, as :func:`median_beat` returns it. Without it, noise is taken from the
        beat's own second differences.
    threshold_mv : float, optional
        In millivolt. Default: :data:`THRESHOLD` of the median over leads of the height of the
        complex, so that a duration does not depend on gain.
    agreement : int, default=2
        Leads that must differ from their surroundings at the onset and at the offset. 2 agrees
        with what machines print; 1 is the earliest onset and the latest offset of any lead, to the
        letter of the definition, and follows noise and artefact of that lead.
    limb : array-like of bool, shape (n_leads,), optional
        Which are limb leads. They share three electrodes, so that noise of one is in at least three
        of them: where it is above the threshold, they count as one lead unless two thirds of them
        agree. Default: leads are taken to be independent.

    Returns
    -------
    QRSBounds
        ``agreement`` is the share of leads that begin within 20 ms after the global onset, times
        the share that end within 30 ms before the global offset, to the power one half.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import qrs_bounds
    >>> t = np.arange(-200, 300) / 500
    >>> beat = np.exp(-(t**2) / (2 * 0.015**2)) * np.ones((12, 1))
    >>> bounds = qrs_bounds(beat, fs=500, fiducial=200)
    >>> round((bounds.offset - bounds.onset) * 2)  # 2.2 %: 2.8 standard deviations a side
    83
    """
    beat = np.asarray(beat, dtype=float)
    n_leads = len(beat)
    nowhere = np.full(n_leads, np.nan)
    live = np.isfinite(beat).all(axis=1) & (np.ptp(np.nan_to_num(beat), axis=1) > 0)
    if not live.any():
        return _no_bounds(nowhere, nowhere, nowhere, "no lead has a beat")
    used = beat[live]
    limb = None if limb is None else np.asarray(limb, dtype=bool)[live]
    start, _, stop = coarse_bounds(used, fs, fiducial)
    height = median(np.abs(used[:, start : stop + 1]).max(axis=1))
    threshold = threshold_mv or THRESHOLD * height
    steepest = np.abs(np.diff(used[:, start : stop + 2], axis=1)).max(axis=1)
    sigma = _noise(used, None if residual is None else np.asarray(residual)[live], fs)
    edges, widest, leads = [], [], []
    for side, coarse in ((-1, start), (1, stop)):
        # Both edges are found walking to the right: the onset on the beat turned around.
        at = coarse if side > 0 else beat.shape[1] - 1 - coarse
        low = max(at - round(2.2 * _REACH_S * fs), 0)
        turned = used[:, ::side][:, low : at + round(2.2 * _REACH_S * fs)]
        differences = _difference(turned, fs, steepest)
        after = side > 0
        together = min(agreement, len(used)) if len(used) >= _AGREE else 1
        walk = (sigma, at - low, fs, threshold, after, limb)
        edge, inside = _edge(differences, together, *walk)
        any_lead = edge if together == 1 else max(_edge(differences, 1, *walk)[0], edge)
        by_lead = _lead_edges(differences[0], inside, sigma, fs, LEAD_THRESHOLD * height)
        last = beat.shape[1] - 1
        edges.append(low + edge if after else last - low - edge)
        widest.append(low + any_lead if after else last - low - any_lead)
        leads.append(low + by_lead if after else last - low - by_lead)
    onset, offset = edges
    first, last = nowhere.copy(), nowhere.copy()
    first[live], last[live] = leads
    noise = nowhere.copy()
    noise[live] = sigma
    reason = ""
    if not offset - onset > 0.03 * fs:
        reason = "no complex of more than 30 ms above the noise"
    elif onset < 1.0 or offset > beat.shape[1] - 2.0 or offset - onset > _LONGEST_S * fs:
        reason = "the complex does not begin and end within the beat"
    if reason:
        return _no_bounds(first, last, noise, reason)
    early = np.mean(first[live] < onset + 0.02 * fs)
    late = np.mean(last[live] > offset - 0.03 * fs)
    agreed = float(np.sqrt(early * late))
    return QRSBounds(onset, offset, widest[0], widest[1], first, last, noise, agreed)


@lru_cache(maxsize=32)
def _kernels(fs) -> list[np.ndarray]:
    """Kernels of x(t) less what lies to its right, as level and as line; of the line's slope."""
    gap = max(1, round(_GAP_S * fs))
    kernels = []
    for length, degree in ((_LEVEL_S, 0), (_LINE_S, 1)):
        n = max(3, round(length * fs))
        times = gap + np.arange(n)
        # Rows: weights of the least squares value, and slope, at time 0.
        weights = np.linalg.pinv(np.vander(times, degree + 1, increasing=True))
        # From one sample to the left to the last of the surroundings.
        kernel = np.zeros((degree + 1, gap + n + 1))
        kernel[:, 1 + times] = weights
        kernel[0] *= -1.0
        kernel[0, :3] += (0.25, 0.5, 0.25)
        kernels += list(kernel)
    return kernels


def _difference(leads, fs, steepest) -> tuple[np.ndarray, np.ndarray]:
    """How far each lead is from its surroundings to the right, and from a limb's, at each instant.

    The second is 0 but where the line is steeper than a seventh of the lead's steepest slope: what
    lies to the right is then a limb of the complex rather than an ST segment to be carried on.
    """
    level, line, slope = (_rightwards(leads, k) for k in _kernels(fs))
    least = np.maximum(0.15 * steepest, 0.1 * steepest.max())[:, None]
    level = np.abs(level)
    return np.minimum(level, np.abs(line)), np.where(np.abs(slope) < least, 0.0, level)


def _rightwards(leads, kernel) -> np.ndarray:
    """Kernel, whose second weight is that of the instant itself, applied at each instant."""
    return correlate1d(leads, kernel, axis=1, mode="nearest", origin=1 - len(kernel) // 2)


def _noise(leads, residual, fs) -> np.ndarray:
    """Standard deviation of :func:`_difference` in noise alone."""
    level = _kernels(fs)[0]
    if residual is None or not np.isfinite(residual).any(axis=1).all():
        second = np.abs(leads[:, 2:] - 2.0 * leads[:, 1:-1] + leads[:, :-2])
        white = 1.4826 * median(second) / np.sqrt(6.0) * np.sqrt(np.sum(level**2))
        if residual is None:
            return white
    spread = _rightwards(np.nan_to_num(residual), level)
    measured = _MIDDLE_NOISE * 1.4826 * median(np.abs(spread))
    there = np.isfinite(residual).any(axis=1)
    return measured if there.all() else np.where(there, measured, white)


def _no_bounds(first, last, noise, reason) -> QRSBounds:
    nan = float("nan")
    return QRSBounds(nan, nan, nan, nan, first, last, noise, 0.0, reason)


def _edge(differences, count, noise, coarse, fs, threshold, after, limb) -> tuple[float, int]:
    """Last instant, walking right from a coarse edge, at which ``count`` leads differ."""
    limit = np.maximum(threshold, _NOISE_FACTOR * noise)
    ratio, slope = (difference / limit[:, None] for difference in differences)
    together, straight = (_agreed(a, count, limb, limit > threshold) for a in (ratio, slope))
    quiet, reach = max(2, round(_QUIET_S * fs)), round(_REACH_S * fs)
    # The coarse edge may lie a little outside, behind the low between complex and P wave.
    coarse = max(coarse - round(0.012 * fs), 0)
    if (together[coarse : coarse + quiet] < 1.0).all():
        active = np.flatnonzero(together[max(coarse - reach, 0) : coarse] >= 1.0)
        inside = max(coarse - reach, 0) + int(active[-1]) if len(active) else coarse
    else:
        unrest = float(np.max(noise / limit))
        # A q wave is over in 20 ms; what rises a little before the complex for longer is a P wave.
        # The low between a P wave and a complex that touch is not as deep as that before a T wave.
        before = (_LITTLE_BEFORE, round(_BRIEF_S * fs), _LOW_BEFORE)
        rules = (_LITTLE_AFTER, 0, _LOW_AFTER) if after else before
        near = slice(coarse, coarse + reach)
        height = _nth_largest(ratio[:, near], count)
        inside = coarse + _last_active(height, together[near], quiet, unrest, *rules)
    # A straight limb carries the complex on where it stops bending, but starts none: a T wave may
    # be as steep. What stays straight for longer than a limb is the ST segment of a wide complex.
    limb = inside
    while limb + 1 < len(together) and straight[limb + 1] >= 1.0:
        limb += 1
    inside = limb if limb - inside <= _LIMB_S * fs else inside
    edge = float(inside)
    if inside + 1 < len(together) and together[inside + 1] < 1.0:
        lead = int(np.argsort(ratio[:, inside])[-count])
        edge += _fraction(together, inside) + _beyond(together, inside, threshold / limit[lead], fs)
    return edge, inside


def _agreed(ratio, count, limb, noisy) -> np.ndarray:
    """The ``count``-th largest ratio over leads, noise of one electrode counted once.

    Of noisy limb leads only the largest counts: what an arm's muscle adds is in three of them, and
    at half of its strength in two more. Two thirds of the limb leads that agree count nevertheless.
    """
    together = limb is not None and limb & noisy
    if count == 1 or np.sum(together) < _ONE_ELECTRODE:
        return _nth_largest(ratio, count)
    apart = np.concatenate([ratio[together].max(axis=0, keepdims=True), ratio[~together]])
    several = int(np.ceil(2 * limb.sum() / 3)) + count - AGREEMENT
    agreed = _nth_largest(ratio[limb], min(several, limb.sum()))
    return np.maximum(_nth_largest(apart, min(count, len(apart))), agreed)


def _nth_largest(values, n) -> np.ndarray:
    return np.partition(values, len(values) - n, axis=0)[len(values) - n]


def _lead_edges(difference, inside, noise, fs, threshold) -> np.ndarray:
    """Last instant at which each lead alone differs, within reach of the common edge."""
    limit = np.maximum(threshold, _NOISE_FACTOR * noise)
    first = max(inside - round(_REACH_S * fs), 0)
    window = difference[:, first : inside + round(_OUTSIDE_S * fs) + 2] >= limit[:, None]
    last = window.shape[1] - 1 - np.argmax(window[:, ::-1], axis=1)
    return np.where(window.any(axis=1), first + last, np.nan)


def _last_active(height, together, quiet, unrest, little, brief, low) -> int:
    """Last sample before a run of quiet ones, or before a low from which only little rises again.

    The second is a complex that touches the P wave or the T wave; what rises high after a low, such
    as a terminal R, is part of the complex.
    """
    end = max(min(first_quiet(together < 1.0, 0, quiet), len(together) - 1) - 1, 0)
    height = height[: end + 1]
    start = 0
    while True:
        lowest = np.minimum.accumulate(height[start:])
        rising = height[start:] > lowest + 0.4 + 1.5 * unrest
        again = np.flatnonzero(rising & (lowest < low))
        if not len(again):
            return end
        top = start + int(again[0]) + int(np.argmax(height[start + again[0] :]))
        if height[top] < little and end - start - int(again[0]) > brief:
            return start + int(np.argmin(height[start : start + again[0]]))
        start = top


def _fraction(ratio, inside) -> float:
    """Part of a sample after ``inside`` at which the ratio passes one."""
    here, there = ratio[inside], ratio[min(inside + 1, len(ratio) - 1)]
    return float(np.clip((here - 1.0) / (here - there), 0.0, 1.0)) if here > there else 0.0


def _beyond(ratio, inside, target, fs) -> float:
    """Samples from the crossing to where the ratio would be ``target``, falling exponentially."""
    if target >= 1.0:
        return 0.0
    # Steps back from the crossing to twice the limit: the time in which the edge halves.
    run = 1
    while run < min(inside, round(0.03 * fs)) and ratio[inside - run] < 2.0:
        run += 1
    halving = min(run, 0.012 * fs)
    return float(min(halving * np.log2(1.0 / target), _BEYOND_S * fs))
