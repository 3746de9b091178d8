"""The centre of the pen, from both edges of its ink.

A pen that is three pixels wide covers in each column the range of the curve over its width, grown
by half its thickness: a QRS complex comes out wider, and its middle line lower than it was. So the
curve is fitted whose round pen would leave the two edges that were seen, which gives 4 dB over the
middle of the ink, and the 5 % of height that the middle loses.
"""

import numpy as np
from scipy import ndimage
from scipy.signal import find_peaks

SUBCOLUMNS = 3
"""Points of the curve per pixel: a thin pen leaves a peak inside one column."""
_STEPS, _RATE = 40, 0.5
_SMOOTH, _FOLLOW = 0.03, 0.6  # pull towards the neighbours: points with an edge, hidden points
_WITHIN = 0.15  # pixels: a point so far beside a column's centre still counts as in it


def first_guess(upper, lower, pen):
    """Curve between the edges of the ink.

    On the upper edge, less half the pen, at peaks; on the lower one in valleys; half way between
    them where the trace runs steadily.

    Parameters
    ----------
    upper, lower : ndarray of float, shape (n_columns,)
        Finite.
    pen : float
        Thickness in pixels.

    Returns
    -------
    ndarray of float, shape (n_columns,)
    """
    high, low = upper + pen / 2, lower - pen / 2
    if pen >= 2.5:
        high = ndimage.maximum_filter1d(high, 3, mode="nearest")
        low = ndimage.minimum_filter1d(low, 3, mode="nearest")
    middle = (high + low) / 2
    crossed = high > low
    high, low = np.where(crossed, middle, high), np.where(crossed, middle, low)
    curve = middle.copy()
    tall = low - high > 1.0
    for edge, sign in ((high, -1), (low, 1)):
        ends = find_peaks(sign * edge, prominence=1.0)[0]
        ends = ends[tall[ends]]
        curve[ends] = edge[ends]
    return curve


def fit_pen(upper, lower, pen):
    """Centre of a round pen, such that it leaves the edges of the ink that were seen.

    Parameters
    ----------
    upper, lower : ndarray of float, shape (n_columns,)
        Edges of the ink in pixels, y downwards; NaN where there is none.
    pen : float
        Thickness in pixels.

    Returns
    -------
    x, y : ndarray of float, shape (n_points,)
        The curve, ``SUBCOLUMNS`` points per column (0 is the centre of the first column), from the
        first column with ink to the last; empty if fewer than five columns have ink.

    Notes
    -----
    Each step finds the point of the curve that makes each edge, and moves it by half of what the
    edge is off. Both edges of all columns vote, so a peak that is narrower than the pen is found
    from the outline that it leaves.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.digitize.pen import fit_pen
    >>> x, y = fit_pen(np.full(9, 3.0), np.full(9, 6.0), 3.0)
    >>> y[::6].round(2).tolist()
    [4.5, 4.5, 4.5, 4.5, 4.5]
    """
    seen = np.flatnonzero(np.isfinite(upper))
    if len(seen) < 5:
        return np.empty(0), np.empty(0)
    part = slice(seen[0], seen[-1] + 1)
    upper, lower = upper[part], lower[part]
    inked = np.isfinite(upper)
    columns = np.arange(len(upper))
    upper, lower = (np.interp(columns, columns[inked], edge[inked]) for edge in (upper, lower))
    n_points = len(columns) * SUBCOLUMNS
    x = (np.arange(n_points) - (SUBCOLUMNS - 1) / 2) / SUBCOLUMNS
    curve = np.interp(x, columns, first_guess(upper, lower, pen))
    radius = pen / 2
    reach = int((radius + _WITHIN) * SUBCOLUMNS)
    near = np.arange(-reach, reach + 1)
    beside = np.maximum(np.abs(near) / SUBCOLUMNS - _WITHIN, 0)
    chord = np.sqrt(np.maximum(radius**2 - beside**2, 0))
    centre = columns * SUBCOLUMNS + SUBCOLUMNS // 2
    index = np.clip(centre[:, None] + near, 0, n_points - 1)
    ballot = np.concatenate([inked, inked]).astype(float)
    # Forty steps of half the way: the last ten move no point by a hundredth of a pixel.
    for _ in range(_STEPS):
        around = curve[index]
        i = np.argmin(around - chord, axis=1)
        j = np.argmax(around + chord, axis=1)
        high = np.where(inked, upper - (around[columns, i] - chord[i]), 0)
        low = np.where(inked, lower - (around[columns, j] + chord[j]), 0)
        who = np.concatenate([index[columns, i], index[columns, j]])
        pull = np.bincount(who, np.concatenate([high, low]), n_points)
        votes = np.bincount(who, ballot, n_points)
        curve = curve + _RATE * pull / np.maximum(votes, 1)
        padded = np.pad(curve, 1, mode="edge")
        smooth = 0.25 * padded[:-2] + 0.5 * curve + 0.25 * padded[2:]
        # Points that make no edge are hidden by their neighbours' ink, and follow them.
        curve = curve + np.where(votes > 0, _SMOOTH, _FOLLOW) * (smooth - curve)
    return x + part.start, curve
