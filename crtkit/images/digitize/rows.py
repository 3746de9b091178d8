"""Rows of a page, and the path of each row's trace over the runs of ink.

Dynamic programming over all columns, all rows at once: a path pays for every gap it leaps, for
leaving its row, for ink that looks like text, and for columns that it skips. Thresholds column by
column lose the trace at crossings, at labels and in steep QRS complexes; a path does not.
"""

import numpy as np
from scipy import ndimage
from scipy.signal import find_peaks

from crtkit.images.digitize.ink import UnreadablePageError

FLAT_MM = 1.6  # a run lower than this is level trace, not a wave
LEAST_PITCH_MM = 9.0  # rows are farther apart than this
_AWAY, _LEAP, _SKIP, _TEXT, _TALL = 0.02, 4.0, 1.0, 0.4, 0.03  # costs, per column of 1/8 mm
_FREE = 0.4  # cost of a leap where one lead ends and the next begins
_COLUMN = 1 / 7.87  # mm: the costs were tuned at 200 dpi
_FRAME_MM = 1.0


def find_rows(runs, px, py):
    """Find the baselines.

    Parameters
    ----------
    runs : Runs
    px, py : float
        Pixels per mm.

    Returns
    -------
    rows : ndarray of int
        y of each row, from top to bottom.
    profile : ndarray of float, shape (height,)
        Level ink at each y, smoothed.

    Raises
    ------
    UnreadablePageError
        Nothing level was found.
    """
    flat = (runs.height < FLAT_MM * py) & (runs.kind == 0)
    middle = ((runs.top + runs.bottom) // 2)[flat]
    profile = np.bincount(middle, minlength=runs.shape[0]).astype(float)
    profile = ndimage.gaussian_filter1d(profile, 1.5 * py, mode="constant")
    if not profile.any():
        raise UnreadablePageError("no level ink was found, so no row")
    peaks, _ = find_peaks(
        profile,
        distance=max(int(LEAST_PITCH_MM * py), 1),
        height=0.2 * profile.max(),
        prominence=0.15 * profile.max(),
    )
    if not len(peaks):
        raise UnreadablePageError("no row of traces was found")
    return peaks, profile


def frame_lines(runs, px, py):
    """Runs that belong to a level line across the page: a frame, or a rule under the header.

    Parameters
    ----------
    runs : Runs
    px, py : float

    Returns
    -------
    ndarray of bool, shape (n_runs,)
    """
    thin = runs.height < FLAT_MM * py
    middle = (runs.top + runs.bottom) // 2
    count = np.bincount(middle[thin], minlength=runs.shape[0])
    near = np.convolve(count, np.ones(3), mode="same")
    # No trace keeps to three rows of pixels over four fifths of the page.
    rows = np.flatnonzero(near > 0.8 * runs.shape[1])
    edge = _FRAME_MM * py
    at_edge = (rows < edge) | (rows > runs.shape[0] - 1 - edge)
    straight = near > 0.95 * runs.shape[1]
    rows = rows[at_edge | straight[rows]]
    marked = np.zeros(runs.shape[0], dtype=bool)
    for row in rows:
        marked[max(row - 1, 0) : row + 2] = True
    return thin & marked[middle]


def trace_rows(runs, rows, px, py, free=(), tied=()):
    """Follow each row's trace through the runs.

    Parameters
    ----------
    runs : Runs
    rows : array-like of shape (n_rows,)
        y of the baselines.
    px, py : float
        Pixels per mm.
    free : iterable of int
        Columns at which a lead ends, so that the next ink may be at any height.
    tied : iterable of int
        Rows that do not change their lead there: rhythm strips.

    Returns
    -------
    ndarray of int, shape (n_rows, width)
        The run that each row takes in each column; -1 where it takes none.
    """
    width, n_rows = runs.shape[1], len(rows)
    column = runs.column
    starts = np.searchsorted(column, np.arange(width + 1)).tolist()
    top, bottom = runs.top / py, runs.bottom / py
    node = _node_costs(runs, np.asarray(rows), px, py, top, bottom)
    leap = np.full((n_rows, 1, 1), _LEAP)
    loose = np.where(np.isin(np.arange(n_rows), list(tied)), _LEAP, _FREE)[:, None, None]
    # Behind a wall, or two complexes that meet, a trace may come out at any height too.
    hidden = runs.above <= runs.below
    free = {int(x) for x in free} | set(np.flatnonzero(hidden[:-1] & ~hidden[1:]) + 1)
    skip, slack = _SKIP / px / _COLUMN, 1.5 / py
    state = None  # tops, bottoms, numbers and costs of the runs at which paths may stand
    back = np.full((n_rows, len(column)), -1, dtype=np.int64)
    offset = 0.0
    for x in range(width):
        a, b = starts[x], starts[x + 1]
        if a == b:
            offset += skip
            if state is not None:
                state = (*state[:3], state[3] + skip)
            continue
        t, u = top[a:b], bottom[a:b]
        costs = offset + node[:, a:b]
        ids = np.arange(a, b)
        offset += skip
        if state is None:
            state = (t, u, ids, costs)
            continue
        s_top, s_bottom, s_id, s_cost = state
        gap = np.maximum(s_top[:, None] - u, t - s_bottom[:, None])
        gap = np.maximum(gap - slack, 0)
        total = s_cost[:, :, None] + (loose if x in free else leap) * gap
        source = total.argmin(axis=1)
        come = np.take_along_axis(total, source[:, None], axis=1)[:, 0] + node[:, a:b]
        better = come <= costs
        back[:, a:b] = np.where(better, s_id[source], -1)
        # Of the older runs only each row's cheapest may still win by skipping a column.
        keep = np.unique(s_cost.argmin(axis=1))
        state = (
            np.concatenate([t, s_top[keep]]),
            np.concatenate([u, s_bottom[keep]]),
            np.concatenate([ids, s_id[keep]]),
            np.concatenate([np.where(better, come, costs), s_cost[:, keep] + skip], axis=1),
        )
    return _paths(state, back, column, n_rows, width)


def _node_costs(runs, rows, px, py, top, bottom):
    scale = 1 / px / _COLUMN
    rows_mm = rows[:, None] / py
    away = np.maximum(np.maximum(top - rows_mm, rows_mm - bottom), 0)
    node = _AWAY * np.minimum(away, 60) + _TEXT * (runs.kind > 0)
    node = (node - _TALL * np.minimum(bottom - top, 10)) * scale
    # Behind a wall there is no trace to be seen.
    hidden = (runs.above[runs.column] < rows[:, None]) & (runs.below[runs.column] > rows[:, None])
    return node + 1e3 * hidden


def _paths(state, back, column, n_rows, width):
    path = np.full((n_rows, width), -1, dtype=np.int64)
    _, _, ids, costs = state
    for row in range(n_rows):
        run = ids[int(np.argmin(costs[row]))]
        while run >= 0:
            path[row, column[run]] = run
            run = back[row, run]
    return path


def row_edges(runs, path, pen):
    """Upper and lower edge of each row's ink, in pixels.

    Where the traces of two neighbouring rows run through one run of ink, a row that is calm on
    both sides of it goes straight through.

    Parameters
    ----------
    runs : Runs
    path : ndarray of int, shape (n_rows, width)
        From :func:`trace_rows`.
    pen : float
        Thickness of a level trace in pixels.

    Returns
    -------
    upper, lower : ndarray of float, shape (n_rows, width)
        NaN where the row takes no ink.
    tangled : ndarray of bool, shape (n_rows, width)
        Where a row shares its ink with another and neither goes straight through: what belongs to
        which cannot be told.
    """
    seen = path >= 0
    upper = np.where(seen, runs.upper[path], np.nan)
    lower = np.where(seen, runs.lower[path], np.nan)
    straight = np.zeros(path.shape, dtype=bool)
    for row in range(len(path) - 1):
        same = (path[row] == path[row + 1]) & seen[row]
        if not same.any():
            continue
        marks, _ = ndimage.label(same)
        for (place,) in ndimage.find_objects(marks):
            _divide(upper, lower, straight, row, place, pen)
    tangled = np.zeros(path.shape, dtype=bool)
    own = seen & ~straight
    # A tall wave may reach two rows farther, past one that goes straight through.
    for row in range(len(path)):
        for other in range(row + 1, len(path)):
            same = (path[row] == path[other]) & own[row] & own[other]
            tangled[[row, other]] |= same
    return upper, lower, tangled


def _divide(upper, lower, straight, row, place, pen):
    """Let one of two rows that share their ink pass straight through it, if it was calm before."""
    ends = []
    for k in (row, row + 1):
        levels, tall = [], 0.0
        for inside, last in (
            (slice(max(place.start - 6, 0), place.start), -1),
            (slice(place.stop, place.stop + 6), 0),
        ):
            seen = np.flatnonzero(np.isfinite(upper[k, inside]))
            if len(seen):
                at = seen[last]
                levels.append((upper[k, inside][at] + lower[k, inside][at]) / 2)
                tall = max(tall, np.nanmax(lower[k, inside] - upper[k, inside]))
        ends.append((levels, tall))
    calm = [
        len(levels) == 2 and abs(levels[0] - levels[1]) < 4 * pen and tall < 3 * pen
        for levels, tall in ends
    ]
    for mine, other in ((0, 1), (1, 0)):
        if calm[mine] and not (calm[other] and ends[other][1] < ends[mine][1]):
            x = np.arange(place.start, place.stop)
            y = np.interp(x, [place.start - 1, place.stop], ends[mine][0])
            upper[row + mine, place], lower[row + mine, place] = y - pen / 2, y + pen / 2
            straight[row + mine, place] = True


def pen_width(runs, py):
    """Thickness in pixels of the pen that drew level traces."""
    flat = (runs.height < FLAT_MM * py) & (runs.kind == 0)
    if not flat.any():
        return 2.0
    return float(np.percentile((runs.lower - runs.upper)[flat], 15))
