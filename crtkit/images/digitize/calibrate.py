"""Scale of a page: calibration pulses, where the rows begin and end, what 1 mV and 1 s measure.

The grid is not the scale: on report pages of EDAN devices the grid has 7.96 pixels per mm, the
traces 7.874. Gain comes from the calibration pulse, time from the length of the rows, and the grid
says whether both are plausible.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from crtkit.images.digitize.ink import WALL_MM, UnreadablePageError, components

GAINS = (5.0, 10.0, 20.0)
"""mm per mV that devices print."""
_GAIN_SLACK = 0.06  # a pulse this far from 5, 10 or 20 mm is none
_PULSE_WIDTH_MM = (1.2, 14.0)
_PULSE_MM = 5.0  # usual width, for a pulse of which only one side is seen


@dataclass(frozen=True)
class Pulses:
    """Calibration pulses of a page, from top to bottom.

    Parameters
    ----------
    start, stop : float
        x of the upright edges, in pixels.
    begin, end : float
        x between which the pulse and its feet lie: the trace is before or after.
    side : {"left", "right"}
        Of the traces.
    joined : bool
        Whether the foot runs on into the trace without a gap.
    top, foot : ndarray of float, shape (n_pulses,)
        y of the top and of the foot, that is of 1 mV and 0 mV.
    """

    start: float
    stop: float
    begin: float
    end: float
    side: str
    joined: bool
    top: np.ndarray
    foot: np.ndarray

    @property
    def height(self):
        """Median height in pixels."""
        return float(np.median(self.foot - self.top))


def find_pulses(runs, px, py, pen):
    """Find calibration pulses: pairs of upright strokes of one height, with a level top.

    They are looked for at both ends of the page, without knowing the rows: a row of ventricular
    tachycardia has no level ink, but it has its pulse.

    Parameters
    ----------
    runs : Runs
    px, py : float
        Pixels per mm.
    pen : float
        Thickness of the pen in pixels.

    Returns
    -------
    Pulses or None
        Those of the place along the page that most rows share.
    """
    width = runs.shape[1]
    best = None
    for side in ("left", "right"):
        near = runs.column < 0.2 * width if side == "left" else runs.column > 0.8 * width
        part = runs.take(near)
        strokes = _strokes(part, px, py)
        pairs = _pairs(part, strokes, px, py, pen)
        if not len(pairs):
            # Scans are cut close to the trace, through the pulse.
            pairs = _halves(part, strokes, side, px, py, pen)
        if not len(pairs):
            continue
        like = np.abs(pairs[:, None, :2] - pairs[None, :, :2]).max(axis=2) < 0.8 * px
        most = int(np.argmax(like.sum(axis=1)))
        if like[most].sum() >= 2 and (best is None or like[most].sum() > len(best[0])):
            best = (_one_a_row(pairs[like[most]], py), side)
    if best is None:
        best = _crowded(runs, px, py, pen)
    return None if best is None else _measure(runs, *best, px, py, pen)


def _crowded(runs, px, py, pen):
    """Pulses that are taller than the rows are apart, whose upright strokes make two walls.

    Only their tops and feet are seen singly: every top lies one gain above a foot.
    """
    width = runs.shape[1]
    marks, _ = ndimage.label(runs.below - runs.above > WALL_MM * py)
    walls = [(place.start + place.stop - 1) / 2 for (place,) in ndimage.find_objects(marks)]
    for left, right in zip(walls, walls[1:]):
        wide = (right - left) / px
        if not _PULSE_WIDTH_MM[0] < wide < _PULSE_WIDTH_MM[1] or 0.2 < left / width < 0.8:
            continue
        tops = _levels(runs, left + pen, right - pen, py, pen)
        feet = _levels(runs, right + pen, right + pen + px, py, pen)
        if len(feet) < 2 or not len(tops):
            feet = _levels(runs, left - pen - px, left - pen, py, pen)
        best = None
        for gain in GAINS:
            apart = np.abs(feet[:, None] - gain * py - tops[None]) < 0.04 * gain * py
            good = apart.any(axis=1)
            # Those of the first rows may leave the paper, but no top stands without a foot.
            told = apart.any(axis=0).mean() if len(tops) else 0.0
            if good.sum() >= 2 and told > 0.8 and (best is None or told > best[0]):
                high = tops[apart[good].argmax(axis=1)]
                best = told, np.column_stack([high - pen / 2, feet[good] + pen / 2])
        if best is not None:
            ends = np.tile([left, right], (len(best[1]), 1))
            return np.column_stack([ends, best[1]]), "left" if left < width / 2 else "right"
    return None


def _levels(runs, left, right, py, pen):
    """y of level ink that fills most columns between two x."""
    inside = (runs.column > left) & (runs.column < right)
    inside &= runs.lower - runs.upper < pen + max(0.3 * py, 2.0)
    middle = np.sort((runs.upper + runs.lower)[inside] / 2)
    if not len(middle):
        return np.empty(0)
    groups = np.split(middle, np.flatnonzero(np.diff(middle) > 0.3 * py) + 1)
    least = 0.6 * (right - left - 1)
    return np.array([np.median(group) for group in groups if len(group) >= least])


def _strokes(runs, px, py):
    """Table of x, top, bottom of upright strokes."""
    # A plotter draws the edge from one sample to the next: a few columns, each with a part of it.
    tall = np.flatnonzero((runs.height > 0.9 * py) & (runs.height < 24 * py))
    if len(tall) < 2:
        return np.empty((0, 3))
    x, top, bottom = runs.column[tall], runs.upper[tall], runs.lower[tall]
    label, n_strokes = components(x, runs.top[tall], runs.bottom[tall])
    ids = np.arange(n_strokes)
    left, right = ndimage.minimum(x, label, ids), ndimage.maximum(x, label, ids)
    high, low = ndimage.minimum(top, label, ids), ndimage.maximum(bottom, label, ids)
    middle = ndimage.sum(x * (bottom - top), label, ids) / ndimage.sum(bottom - top, label, ids)
    good = (right - left + 1 <= 1.3 * px + 1) & (low - high > 3.8 * py) & (low - high < 24 * py)
    return np.column_stack([middle, high, low])[good]


def _pairs(runs, strokes, px, py, pen):
    """Table of left x, right x, top, bottom: two strokes under one level top."""
    pairs = []
    low = runs.height < pen + max(0.3 * py, 2.0)
    for a in strokes:
        wide = (strokes[:, 0] - a[0]) / px
        level = np.abs(strokes[:, 1] - a[1]) < max(0.35 * py, 2.0)
        fits = (wide > _PULSE_WIDTH_MM[0]) & (wide < _PULSE_WIDTH_MM[1]) & level
        for b in strokes[fits]:
            top, bottom = min(a[1], b[1]), max(a[2], b[2])
            if not _gain((bottom - top - pen) / py):
                continue
            inside = low & (np.abs(runs.upper - top) < max(0.35 * py, 2.0))
            inside &= (runs.column > a[0] + pen / 2) & (runs.column < b[0] - pen / 2)
            if inside.sum() >= 0.6 * (b[0] - a[0] - pen - 1):
                pairs.append((a[0], b[0], top, bottom))
    return np.array(pairs).reshape(-1, 4)


def _halves(runs, strokes, side, px, py, pen):
    """Pulses that the edge of the page cuts: one stroke, and a level top from it to the edge."""
    width, halves = runs.shape[1], []
    middle = (runs.upper + runs.lower) / 2
    low = runs.height < pen + max(0.3 * py, 2.0)
    for x, top, bottom in strokes:
        out = x if side == "left" else width - 1 - x
        if not pen < out < 6 * px or not _gain((bottom - top - pen) / py):
            continue
        beyond = (runs.column < x) if side == "left" else (runs.column > x)
        level = low & beyond & (np.abs(middle - top - pen / 2) < max(0.35 * py, 1.5))
        if len(np.unique(runs.column[level])) >= 0.7 * (out - pen / 2):
            left = x - _PULSE_MM * px if side == "left" else x
            halves.append((left, left + _PULSE_MM * px, top, bottom))
    return np.array(halves).reshape(-1, 4)


def _one_a_row(pairs, py):
    """Of pairs with nearly one foot the narrowest, from top to bottom."""
    pairs = pairs[np.argsort(pairs[:, 3], kind="stable")]
    groups = np.split(pairs, np.flatnonzero(np.diff(pairs[:, 3]) > 4 * py) + 1)
    return np.array([group[np.argmin(group[:, 1] - group[:, 0])] for group in groups])


def _gain(tall_mm):
    return any(abs(tall_mm / gain - 1) < _GAIN_SLACK + 0.04 for gain in GAINS)


def _measure(runs, pairs, side, px, py, pen):
    """Level of the top and of the feet of each pulse, from level ink, to a fraction of a pixel."""
    start, stop = np.median(pairs[:, :2], axis=0)
    top, foot = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    middle = (runs.upper + runs.lower) / 2
    flat = runs.height < pen + max(0.25 * py, 1.5)
    column = runs.column
    for i, (left, right, high, low) in enumerate(pairs):
        inside = flat & (column > left + 0.6 * pen) & (column < right - 0.6 * pen)
        inside &= np.abs(runs.upper - high) < 0.5 * py
        top[i] = np.median(middle[inside]) if inside.any() else high + pen / 2
        level = low - pen / 2
        feet = flat & (np.abs(middle - level) < 0.6 * py)
        before = feet & (column < left - 0.6 * pen) & (column > left - 1.2 * px)
        after = feet & (column > right + 0.6 * pen) & (column < right + 1.2 * px)
        # The inner foot may already be the beginning of the trace.
        first, second = (before, after) if side == "left" else (after, before)
        part = first if first.sum() >= 2 else second
        foot[i] = np.median(middle[part]) if part.sum() >= 2 else level
    begin, end, before, after = _feet(runs, foot, px, py, pen, start, stop)
    joined = after if side == "left" else before
    return Pulses(float(start), float(stop), begin, end, side, joined, top, foot)


def _feet(runs, foot, px, py, pen, start, stop):
    """How far the feet reach on either side before the ink breaks off, median over rows."""
    reach = []
    for level in foot:
        # The foot, or the lower end of the upright edge that it starts from.
        near = (runs.upper < level + 0.6 * py) & (runs.lower > level - 0.6 * py)
        columns = np.unique(runs.column[near])
        left = right = None
        for at, step in ((start - pen, -1), (stop + pen, 1)):
            x = int(round(at))
            # Beside an upright stroke that is a wall the foot's first columns are hidden.
            seen = np.isin(np.arange(x, x + step * int(px), step), columns)
            x += step * int(np.argmax(seen))
            inside = np.isin(np.arange(x, x + step * int(4 * px), step), columns)
            n = int(np.argmin(inside)) if not inside.all() else len(inside)
            if step < 0:
                left = x - n
            else:
                right = x + n
        reach.append((left, right))
    reach = np.array(reach, dtype=float).reshape(-1, 2)
    left, right = np.median(reach, axis=0) if len(reach) else (start, stop)
    # Ink that goes on is the trace, not the foot: only the upright edge is sure then.
    joined_left, joined_right = start - left >= 3.5 * px, right - stop >= 3.5 * px
    left = start - 0.5 * pen if joined_left else left
    right = stop + 0.5 * pen if joined_right else right
    return float(left), float(right), bool(joined_left), bool(joined_right)


def trace_span(ink, runs, path, pen, level, begin, end):
    """First and last x of each row's trace, to a fraction of a pixel.

    Parameters
    ----------
    ink : ndarray of uint8, shape (height, width)
    runs : Runs
    path : ndarray of int, shape (n_rows, width)
    pen, level : float
        Thickness of the pen in pixels, darkness of full ink.
    begin, end : float
        Columns between which traces may lie (beside the calibration pulse).

    Returns
    -------
    ndarray of float, shape (n_rows, 2)
        x of the pen's centre at the row's first and last ink; NaN for rows without.
    """
    out = np.full((len(path), 2), np.nan)
    begin, end = max(int(np.ceil(begin)), 0), min(int(np.floor(end)), path.shape[1] - 1)
    for row in range(len(path)):
        # Dots of a grid, labels and marks lie in line with the trace.
        solid = (path[row] >= 0) & (runs.kind[path[row]] == 0)
        columns = np.flatnonzero(solid[begin : end + 1]) + begin
        if len(columns) < 20:
            continue
        for k, (column, step) in enumerate(((columns[0], -1), (columns[-1], 1))):
            out[row, k] = _end_of_stroke(ink, runs, path[row], column, step, pen, level)
    return out


def _end_of_stroke(ink, runs, path, column, step, pen, level):
    """Where the pen's centre stopped: its round end is half as thick 0.87 radii beyond it."""
    inner = column - step * np.arange(0, 3)
    inner = inner[(inner >= 0) & (inner < len(path))]
    taken = path[inner][path[inner] >= 0]
    high, low = runs.top[taken].min(), runs.bottom[taken].max()
    rows = slice(max(high - 1, 0), low + 2)
    at = column + step * np.arange(4, -4, -1)
    at = at[(at >= 0) & (at < ink.shape[1])]
    # Dots of a grid beside the trace count for little.
    thick = np.clip((ink[rows, at] / level - 0.15) / 0.7, 0, 1).sum(axis=0) / pen
    i = int(np.argmax(thick >= 0.5))
    if i == 0:
        return float(column)
    edge = at[i] + step * (thick[i] - 0.5) / max(thick[i] - thick[i - 1], 1e-3)
    return float(edge - step * np.sqrt(0.75) * pen / 2)


def check_scale(grid, gain_measured, time_measured=True):
    """Refuse a stretched page where its grid alone would say what 1 mV or 1 s measures.

    Parameters
    ----------
    grid : Grid
    gain_measured, time_measured : bool
        Whether a pulse told the gain, and rows or separators the time.

    Raises
    ------
    UnreadablePageError
        The grid is stretched, and nothing else tells.
    """
    upright, level = grid.stretched
    if (level and not gain_measured) or (upright and not time_measured):
        raise UnreadablePageError(
            "the page was stretched: its lines are not as far apart down the page as along it, and "
            f"no {'calibration pulse' if level else 'row'} tells the scale. Give the page in its "
            "own proportions"
        )


def gain_of(pulses, py, stated=None):
    """Pixels per mV, mm per mV, and whether the pulse told.

    Parameters
    ----------
    pulses : Pulses or None
    py : float
        Pixels per mm of the grid, down the page.
    stated : float, optional
        mm/mV that the caller states.

    Returns
    -------
    px_per_mv, gain : float
    measured : bool

    Raises
    ------
    UnreadablePageError
        The pulse contradicts a stated gain.
    """
    if pulses is None:
        gain = 10.0 if stated is None else float(stated)
        return gain * py, gain, False
    height = pulses.height
    nearest = min(GAINS, key=lambda gain: abs(np.log(height / py / gain)))
    if stated is not None and abs(height / py / stated - 1) > 0.15:
        raise UnreadablePageError(
            f"the calibration pulse is {height / py:.1f} mm tall, but gain={stated:g} mm/mV"
        )
    gain = float(stated or nearest)
    if abs(height / py / gain - 1) > _GAIN_SLACK:
        return gain * py, gain, False
    return height, gain, True
