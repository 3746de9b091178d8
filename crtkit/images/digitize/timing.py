"""Time along the rows: where second 0 is printed, and how wide a second is in pixels.

In order of trust: a row that begins and ends in the open and is ten (or five) seconds long;
separators between the leads; the grid.
"""

from dataclasses import dataclass

import numpy as np

from crtkit.images.digitize.ink import UnreadablePageError

_ROW_SECONDS = (10.0, 5.0)
_LAST_SAMPLE = 0.002  # s: the last sample of a row is drawn so long before its end
_ROW_SLACK = 0.035  # share by which grid and length of the row may disagree
_STRAIGHT_SLACK = 0.012  # the same where the grid has straightened the page
_SAME_SCALE = 0.002  # share below which rows and grid are one scale, but for how ends are seen
_ENDS_PX = 4.0  # ends of rows are seen to two pixels each, which on coarse pages is more than that
FAST_PULSE_MM = 7.5  # a pulse of 0.2 s is 5 mm wide at 25 mm/s, 10 mm at 50


@dataclass(frozen=True)
class TimeAxis:
    """Seconds along the rows.

    Parameters
    ----------
    x_start : float
        x of second 0 in pixels.
    px_per_second : float
    seconds : float
        Duration of a full row.
    speed : float
        mm/s.
    source : {"row", "separators", "grid", "stated"}
        What the scale was taken from.
    disagreement : float
        By which share the scale of the row departs from the grid's.
    """

    x_start: float
    px_per_second: float
    seconds: float
    speed: float
    source: str
    disagreement: float

    def x(self, seconds):
        """Pixels at a time."""
        return self.x_start + np.asarray(seconds) * self.px_per_second


def pulse_speed(pulses, px, stated=None):
    """Speed in mm/s that the width of the calibration pulse speaks for."""
    if stated is not None:
        return float(stated)
    if pulses is not None and (pulses.stop - pulses.start) / px > FAST_PULSE_MM:
        return 50.0
    return 25.0


def time_axis(span, separators, px, speed, pulses=None, n_columns=(4, 2), *, unbent=False):
    """Put seconds along the rows.

    Parameters
    ----------
    span : ndarray of shape (n_rows, 2)
        First and last x of each row's trace, NaN where not seen.
    separators : ndarray of shape (n_separators,)
    px : float
        Pixels per mm of the grid.
    speed : float
        mm/s.
    pulses : Pulses, optional
        A row that runs into its pulse does not end in the open.
    n_columns : tuple of int
        Numbers of columns that are tried on the separators.
    unbent : bool
        Whether the page was straightened by its grid, which then is the better ruler.

    Returns
    -------
    TimeAxis

    Raises
    ------
    UnreadablePageError
        No row begins or ends anywhere.
    """
    first, last = _common_ends(span, px, speed, pulses)
    if first is None or last is None:
        raise UnreadablePageError("the traces have no common beginning and end")
    per_second = px * speed
    joined = pulses is not None and pulses.joined
    open_first = not (joined and pulses.side == "left")
    open_last = not (joined and pulses.side == "right")
    if first < 0.4 * px:  # the edge of the page hides where the trace begins
        open_first = False
    for seconds in _row_seconds(speed, pulses):
        length = (last - first) / (seconds - _LAST_SAMPLE) / per_second - 1
        # Straightened by its grid a page has no scale of its own: a row 3 mm too long begins in
        # what is left of a pulse, or ends in the next sheet, and does not tell where time starts.
        if open_first and open_last and abs(length) < (_STRAIGHT_SLACK if unbent else _ROW_SLACK):
            scale = (last - first) / (seconds - _LAST_SAMPLE)
            start = first
            same = abs(length) < max(_SAME_SCALE, _ENDS_PX / (last - first))
            if unbent or same:
                # Then the grid, of hundreds of lines, is the better ruler than two ends.
                scale = per_second
                starts = np.r_[span[:, 0], span[:, 1] - (seconds - _LAST_SAMPLE) * scale]
                start = np.nanmedian(starts) if same else first
            return TimeAxis(float(start), float(scale), seconds, speed, "row", float(length))
    marked = _from_separators(separators, first, last, per_second, n_columns, px)
    if marked is not None:
        start, scale, seconds = marked
        return TimeAxis(start, scale, seconds, speed, "separators", float(scale / per_second - 1))
    length = (last - first) / per_second
    seconds = min(_row_seconds(speed, pulses), key=lambda s: abs(np.log(length / s)))
    if abs(length / seconds - 1) > _ROW_SLACK:
        seconds = float(length)
    start = last - seconds * per_second if open_last and not open_first else first
    return TimeAxis(float(start), per_second, seconds, speed, "grid", 0.0)


def _row_seconds(speed, pulses):
    """Durations of a row: 250 mm, and half of it where a pulse confirms the millimetre."""
    return _ROW_SECONDS if pulses is not None or speed >= 50 else _ROW_SECONDS[:1]


def _common_ends(span, px, speed, pulses):
    """First and last x that rows agree on, and that are ten (or five) seconds apart if they can.

    A wave that reaches into the row above hides the end of two rows as well as of one.
    """
    best = None
    for least in (2, 1):
        ends = [_agreed(span[:, k], px, least) for k in (0, 1)]
        for first, many in ends[0]:
            for last, much in ends[1]:
                if last - first < 20 * px:
                    continue
                seconds = (last - first) / px / speed
                off = min(abs(seconds / s - 1) for s in _row_seconds(speed, pulses))
                cost = 100 * min(off, 2 * _ROW_SLACK) + 2 * (2 - many - much)
                if best is None or cost < best[0]:
                    best = (cost, first, last, off, min(many, much))
        # One row that has its full length may tell more than two that break off.
        if best is not None and best[3] < (_ROW_SLACK / 2 if best[4] >= 0.5 else _SAME_SCALE):
            break
    return (None, None) if best is None else best[1:3]


def _agreed(x, px, least):
    """Values on which so many rows agree, and the share of the rows that does."""
    x = np.sort(x[np.isfinite(x)])
    if not len(x):
        return []
    groups = np.split(x, np.flatnonzero(np.diff(x) > px) + 1)
    agreed = [(float(np.median(g)), len(g) / len(x)) for g in groups if len(g) >= least]
    return agreed or [(float(np.median(x)), 1.0)]


def _from_separators(separators, first, last, per_second, n_columns, px):
    """x of second 0, pixels per second and seconds per row, from equally spaced separators."""
    best = None
    for seconds in _ROW_SECONDS:
        for n in n_columns:
            width = seconds / n * per_second
            for start in (first, last - seconds * per_second):
                k = np.round((separators - start) / width)
                off = separators - start - k * width
                good = (k > 0) & (k <= n) & (np.abs(off) < 0.02 * width + 1.5 * px)
                if len(np.unique(k[good])) < 2:
                    continue
                scale, zero = np.polyfit(k[good], separators[good], 1)
                rest = np.abs(separators[good] - zero - scale * k[good]).max()
                beside = zero < first - 4 * px or zero + n * scale > last + 4 * px
                # Three at one distance name four leads, also of a page that is cut within one.
                if n >= 4 and np.isin(np.arange(1, n), k[good]).all():
                    beside = zero < first - scale / 2 or zero + (n - 0.5) * scale > last
                # Leads go on behind the last one: the row is longer than this.
                beside |= bool(((k > n) & (np.abs(off) < 0.02 * width + 1.5 * px)).any())
                if rest > 0.6 * px or abs(scale / width - 1) > _ROW_SLACK or beside:
                    continue
                score = good.sum() - abs(zero - first) / px
                if best is None or score > best[0]:
                    best = (score, (float(zero), float(scale * n / seconds), seconds))
    return None if best is None else best[1]
