"""Separators: upright marks, lines and bars that stand where one lead ends and the next begins."""

import numpy as np
from scipy import ndimage

from crtkit.images.digitize.ink import MARK

_BAR_MM = 2.5  # upright strokes across a trace that are taller may be separators
_BESIDE_MM = 0.8  # a bar stands out of the trace by so much on both sides
_STRAIGHT_MM = 0.3  # the ends of a bar are level; those of a steep wave are not
_ALIKE_MM = 0.7  # baselines are known to half a millimetre


def find_separators(runs, rows, px, py):
    """Find upright marks and lines that stand at one place in most rows.

    Parameters
    ----------
    runs : Runs
    rows : array-like of shape (n_rows,)
        y of the baselines.
    px, py : float
        Pixels per mm.

    Returns
    -------
    ndarray of float
        x in pixels, from left to right.
    """
    width = runs.shape[1]
    rows = np.asarray(rows)
    votes = np.zeros((len(rows), width), dtype=bool)
    tall = (runs.kind == MARK) & (runs.height > 1.2 * py)
    for i, y in enumerate(rows):
        near = tall & (np.abs((runs.top + runs.bottom) / 2 - y) < 14 * py)
        votes[i, runs.column[near]] = True
        # A bar that the trace runs into is no component of its own.
        votes[i, runs.column[_straight(runs, y, py)]] = True
        votes[i] |= (runs.above < y) & (runs.below > y)
    # Marks of one separator stand within half a millimetre of each other.
    votes = ndimage.binary_dilation(votes, np.ones((1, 2 * int(round(0.25 * px)) + 1)))
    count = votes.sum(axis=0)
    labels, n_marks = ndimage.label(count >= max(2, 0.6 * len(rows)))
    out = []
    for (place,) in ndimage.find_objects(labels):
        if place.stop - place.start < 2.5 * px:
            out.append((place.start + place.stop - 1) / 2)
    return np.array(out)


def bars(runs, separators, rows, px, py):
    """Runs that belong to separators drawn across the traces, alike in most rows.

    Parameters
    ----------
    runs : Runs
    separators : ndarray of shape (n_separators,)
        x in pixels.
    rows : array-like of shape (n_rows,)
        y of the baselines.
    px, py : float
        Pixels per mm.

    Returns
    -------
    ndarray of bool, shape (n_runs,)
    """
    out = np.zeros(len(runs.column), dtype=bool)
    straight = [_straight(runs, y, py) for y in np.asarray(rows)]
    for x in separators:
        ends, found = [], []
        for y, at in zip(np.asarray(rows), straight):
            at = at[np.abs(runs.column[at] - x) < 1.5 * px]
            if len(at):
                ends.append((np.median(runs.top[at]) - y, np.median(runs.bottom[at]) - y))
                found.append(at)
        if len(ends) < max(2, 0.6 * len(rows)):
            continue
        # QRS complexes stand in one place too, but no two leads have them of one height.
        alike = np.abs(np.array(ends) - np.median(ends, axis=0)).max(axis=1) < _ALIKE_MM * py
        if alike.sum() >= max(2, 0.6 * len(rows)):
            out[np.concatenate([at for at, good in zip(found, alike) if good])] = True
    return out


def _straight(runs, y, py):
    """Runs of upright bars across a row's baseline: tall, and as their neighbours are."""
    reach = _BESIDE_MM * py
    tall = (runs.height > _BAR_MM * py) & (runs.top < y - reach) & (runs.bottom > y + reach)
    at = np.flatnonzero(tall)
    beside = np.diff(runs.column[at]) == 1
    for ends in (runs.top, runs.bottom):
        beside &= np.abs(np.diff(ends[at])) <= max(_STRAIGHT_MM * py, 1.0)
    # A QRS complex is as tall in one column, but not in the next: its ends move with the wave.
    return at[(np.r_[False, beside] | np.r_[beside, False])[: len(at)]]
