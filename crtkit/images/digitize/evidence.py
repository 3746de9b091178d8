"""What a page shows of how well it was followed, beside what the leads say about each other.

Leads that were read alike badly agree. What tells then is that rows end in different places, that
the ink has holes, or that it lies where no row went.
"""

import numpy as np

from crtkit.images.digitize.ink import SPECK

_QUIET_PHASES = 0.25  # dots and lines take three of eight pixels either way
_SEEN_PX = 2.0  # ends are seen no better
_MOST_MM = 2.0  # rows that end farther from where they should do not end there at all


def page_evidence(runs, path, upper, lower, span, axis, px, py, *, unbent=False):
    """Evidence of a page whose rows were followed.

    Parameters
    ----------
    runs : Runs
    path : ndarray of int, shape (n_rows, width)
        From :func:`~crtkit.images.digitize.rows.trace_rows`.
    upper, lower : ndarray of float, shape (n_rows, width)
        Edges of the ink of each row, NaN where there is none.
    span : ndarray of shape (n_rows, 2)
        First and last x of each row's trace, NaN where not seen.
    axis : TimeAxis
    px, py : float
        Pixels per mm along and down the page.
    unbent : bool
        Whether the page was straightened by its grid.

    Returns
    -------
    dict of str to float
        ``"ends_mm"``, by how much the rows end elsewhere than the axis says (mean of both ends of
        all rows, each at most 2 mm), where ends can be seen; ``"holes"``, share of the rows
        without ink; ``"stray"`` and ``"specks"``, runs of ink per column and row that no row goes
        through, long ones and dots.
    """
    left, right = axis.x(0.0), axis.x(axis.seconds)
    off = span - np.array([left, right])
    # What all rows share may be how ends are seen: blur and coarse pixels lengthen every row.
    shared = [np.median(end[np.isfinite(end)]) if np.isfinite(end).any() else 0.0 for end in off.T]
    off = np.abs(off - np.clip(shared, -_SEEN_PX, _SEEN_PX)) / px
    ends = np.minimum(np.where(np.isfinite(off), off, _MOST_MM), _MOST_MM)
    width = path.shape[1]
    inner = slice(max(int(left), 0), min(max(int(right), int(left) + 3), width))
    taken = np.zeros(len(runs.column), dtype=bool)
    taken[path[path >= 0]] = True
    # Between the rows only: a header has ink that no row ever could take.
    high, low = np.nanmin(upper[:, inner]), np.nanmax(lower[:, inner])
    beside = ~taken & (runs.column >= inner.start) & (runs.column < inner.stop)
    beside &= (runs.bottom > high) & (runs.top < low)
    # Rows that run into their pulses or marks have no end to be seen, those of an unbent page lean.
    plain = axis.source == "row" and not unbent

    def rest(which):
        return _between_dots(runs, which, inner, px, py) / len(path)

    return {
        "ends_mm": float(ends.mean()) if plain else 0.0,
        "holes": float(np.isnan(upper[:, inner]).mean()),
        "stray": rest(beside & (runs.kind == 0)),
        # Photographs of paper show the dots of their grids, and are none the worse.
        "specks": 0.0 if unbent else rest(beside & (runs.kind == SPECK)),
    }


def _between_dots(runs, which, inner, px, py):
    """Runs per column away from those that return with each millimetre: a dotted grid is no noise.

    Noise is the same at all phases of the grid, dots and dotted lines are not.
    """
    n = max(int(min(px, py)), 2)
    across = (runs.column[which] / px % 1.0 * n).astype(int)
    along = ((runs.top + runs.bottom)[which] / 2 / py % 1.0 * n).astype(int)
    seen = np.bincount(across * n + along, minlength=n * n)
    # As if all of the page were like its quietest phases.
    return float(np.quantile(seen, _QUIET_PHASES)) * n * n / (inner.stop - inner.start)
