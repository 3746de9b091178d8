"""From the edges of each row's ink to leads in mV: the pen's centre, time, zero."""

import numpy as np
from scipy import ndimage

from crtkit._leads import LEADS_12
from crtkit.images.digitize.ink import UnreadablePageError
from crtkit.images.digitize.pen import fit_pen

SECONDS = 10.0
"""Duration of the records that come out."""
BORDER_MM = 0.7
"""So far beside a border between leads the ink may still be the other lead's."""
_HOLE_MM = 1.0  # a gap in the ink longer than twice this is not bridged
_COMPLEX_MM = 10.0


def sample_leads(traces, arrangement, fs, quick=False):
    """Leads, rhythm strips and the curve of each strip.

    Parameters
    ----------
    traces : Traces
    arrangement : Arrangement
    fs : float
        Hz of what comes out.
    quick : bool
        Take the middle of the ink instead of the pen's centre.

    Returns
    -------
    signals : ndarray of shape (12, n_samples)
        mV, NaN where nothing is printed or read.
    rhythm : ndarray of shape (n_rhythm, n_samples)
    curves : list of (ndarray, ndarray)
        x and y of each strip, in pixels of the upright page.
    """
    n = int(round(SECONDS * fs))
    signals = np.full((12, n), np.nan)
    rhythm = np.full((arrangement.n_rhythm, n), np.nan)
    axis, curves = traces.axis, []
    time = np.arange(n) / fs
    for row, column, lead, start, stop in arrangement.strips(axis.seconds):
        # The first and last sample may lie a rounding beyond the ink.
        late = traces.shift[row] if traces.shift else 0.0
        left = axis.x(start) + late - (1.0 if column == 0 else 0.0)
        right = (
            axis.x(stop) + late + (1.0 if column == arrangement.columns - 1 or not lead else 0.0)
        )
        a, b = max(int(np.ceil(left)), 0), min(int(np.ceil(right)), traces.upper.shape[1])
        if b - a < 10:
            raise UnreadablePageError("the rows are shorter than their leads")
        upper, lower = traces.upper[row, a:b], traces.lower[row, a:b]
        reach = int(round(BORDER_MM * traces.flat.px)) + 1
        inner = column > 0, bool(lead) and column < arrangement.columns - 1
        upper, lower = _without_neighbours(upper, lower, reach, *inner)
        if quick:
            curve = np.flatnonzero(np.isfinite(upper)).astype(float), _present(upper + lower) / 2
        else:
            # Ink of two rows that run into each other is nobody's: a gap, not a wrong wave.
            tangled = traces.tangled[row, a:b]
            upper, lower = np.where(tangled, np.nan, upper), np.where(tangled, np.nan, lower)
            curve = fit_pen(upper, lower, traces.pen)
        inside = (time >= start - 1e-9) & (time < stop - 1e-9)
        at = axis.x(time[inside]) + late - a
        y = _resample(*curve, upper, at, _HOLE_MM * traces.flat.px)
        if not quick:
            y[tangled[np.clip(np.round(at).astype(int), 0, b - a - 1)]] = np.nan
        # The foot of the pulse is 0 mV; without one the level on which the trace stays longest is.
        zero = traces.zero[row]
        if not np.isfinite(zero):
            whole = (traces.upper[row] + traces.lower[row]) / 2
            zero = np.nanmedian(whole) if np.isfinite(whole).any() else np.nan
        out = signals[LEADS_12.index(lead)] if lead else rhythm[row - arrangement.rows]
        out[inside] = (zero - y) / traces.px_per_mv
        curves.append((curve[0] + a, curve[1]))
    return signals, rhythm, curves


def _without_neighbours(upper, lower, reach, before, after):
    """Edges without the columns beyond a leap near either end: they show the lead before or after.

    A steep wave joins its columns; only another lead begins where no ink leads to.
    """
    apart = (upper[1:] > lower[:-1] + 1) | (lower[1:] < upper[:-1] - 1)
    first, last = np.flatnonzero(apart[:reach]), np.flatnonzero(apart[::-1][:reach])
    keep = np.ones(len(upper), dtype=bool)
    if before and len(first):
        keep[: first[-1] + 1] = False
    if after and len(last):
        keep[len(keep) - 1 - last[-1] :] = False
    return np.where(keep, upper, np.nan), np.where(keep, lower, np.nan)


def _present(values):
    return values[np.isfinite(values)]


def _resample(x, y, seen, at, hole):
    """Values of a curve at other x; NaN farther than ``hole`` pixels from any ink."""
    if len(x) < 5:
        return np.full(len(at), np.nan)
    out = np.interp(at, x, y)
    away = ndimage.distance_transform_edt(~np.isfinite(seen))
    out[away[np.clip(np.round(at).astype(int), 0, len(seen) - 1)] > hole] = np.nan
    out[(at < x[0] - hole) | (at > x[-1] + hole)] = np.nan
    return out


def tangled_share(traces, part):
    """Share of a strip's waves, by the ink of them, that cannot be told from another row's.

    Parameters
    ----------
    traces : Traces
    part : tuple of int and slice
        Row and columns of the strip.

    Returns
    -------
    float
    """
    tall = traces.lower[part] - traces.upper[part] - 2 * traces.pen
    # Behind a wall of ink nothing is seen, but what makes one is a complex.
    behind = _COMPLEX_MM * traces.flat.py * traces.tangled[part]
    tall = np.where(np.isfinite(tall), tall, behind)
    # Level trace says nothing: a tenth of the columns may hold all QRS complexes.
    tall = np.maximum(tall, 0)
    return float(tall[traces.tangled[part]].sum() / max(tall.sum(), 1e-9))
