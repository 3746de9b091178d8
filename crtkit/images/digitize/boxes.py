"""Leads whose place on the page a person states, for layouts that are not found by themselves."""

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.images.digitize.calibrate import check_scale, find_pulses, gain_of
from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import (
    UnreadablePageError,
    darkness,
    even_light,
    find_runs,
    ink_level,
)
from crtkit.images.digitize.leads import limb_agreement
from crtkit.images.digitize.pen import fit_pen
from crtkit.images.digitize.reading import LeadStrip, PageReading
from crtkit.images.digitize.rows import pen_width, row_edges, trace_rows

_WHOLE_ROW = 0.75  # share of the record that a strip shows at least: it fills its lead's row


def check_boxes(boxes, shape):
    """Raise ValueError unless these are boxes of leads on a page.

    Parameters
    ----------
    boxes : dict of str to tuple of float
        Lead -> left, top, right, bottom in pixels.
    shape : tuple of int
        Of the page.
    """
    height, width = shape[:2]
    unknown = [name for name in boxes if name not in LEADS_12]
    if unknown or not boxes:
        raise ValueError(
            f"boxes must name leads of {', '.join(LEADS_12)}, got {', '.join(map(str, unknown))}."
        )
    for name, box in boxes.items():
        values = np.asarray(box, dtype=float)
        good = values.shape == (4,) and np.isfinite(values).all()
        if not good or not (0 <= values[0] < values[2] <= width + 1):
            good = False
        if not good or not (0 <= values[1] < values[3] <= height + 1):
            raise ValueError(
                f"boxes[{name!r}] must be (left, top, right, bottom) in pixels of a page of "
                f"{width} x {height}, got {box!r}."
            )


def read_boxes(page, boxes, fs, seconds, *, speed=None, gain=None, px_per_mm=None):
    """Read the leads of an upright page from where a person says that they are.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    boxes : dict of str to tuple of float
        Lead -> left, top, right, bottom in pixels. The left edge is where the lead begins; time
        runs from the leftmost box.
    fs, seconds : float
        Hz, and duration of the record.
    speed, gain, px_per_mm : float, optional
        By default 25 mm/s, what a calibration pulse says or 10 mm/mV, and the grid's pitch.

    Returns
    -------
    PageReading

    Raises
    ------
    UnreadablePageError
        No ink in a box; no grid, and no ``px_per_mm``.
    """
    ink, lines = darkness(page)
    even = even_light(ink)
    if even is not ink:
        ink, lines = even, even_light(lines)
    grid = None if px_per_mm else find_lines(ink, lines)
    px, py = (px_per_mm, px_per_mm) if grid is None else (grid.px, grid.py)
    whole = find_runs(ink, px, py)
    pen = pen_width(whole, py)
    px_per_mv, gain, measured = gain_of(find_pulses(whole, px, py, pen), py, gain)
    if grid is not None:
        check_scale(grid, measured, False)
    speed = 25.0 if speed is None else float(speed)
    # Leads of one column begin together: a person marks them where the page does.
    begin = min(box[0] for box in boxes.values())
    n_samples = int(round(seconds * fs))
    signals = np.full((len(LEADS_12), n_samples), np.nan)
    strips = []
    for lead, box in boxes.items():
        x, y = _follow(ink, box, px, py, pen, lead)
        # Without a row's pulse the level where the trace stays longest stands for 0 mV.
        zero = float(np.median(y))
        start = (box[0] - begin) / (px * speed)
        stop = min((box[2] - begin) / (px * speed), seconds)
        time = np.arange(n_samples) / fs
        inside = (time >= start - 1e-9) & (time < stop - 1e-9)
        at = begin + time[inside] * px * speed
        # Where a box is wider than its trace nothing is printed.
        near = (at >= x[0] - px) & (at <= x[-1] + px)
        values = np.where(near, (zero - np.interp(at, x, y)) / px_per_mv, np.nan)
        signals[LEADS_12.index(lead), inside] = values
        rhythm = stop - start > _WHOLE_ROW * seconds
        strips.append(LeadStrip(lead, 0, 0, rhythm, start, stop, tuple(map(float, box)), x, y))
    return PageReading(
        signal=signals.astype(np.float32),
        fs=fs,
        strips=tuple(strips),
        layout="stated",
        rhythm_leads=tuple(strip.lead for strip in strips if strip.rhythm),
        px_per_mm=(float(px), float(py)),
        px_per_second=float(px * speed),
        px_per_mv=float(px_per_mv),
        speed=speed,
        gain=gain,
        scale_from={
            "time": "stated",
            "gain": "pulse" if measured else "stated" if px_per_mm else "grid",
            "zero": "median",
        },
        rotation=0.0,
        bend=0.0,
        pen_mm=float(pen / py),
        checks=limb_agreement(signals),
    )


def _follow(ink, box, px, py, pen, lead):
    """Curve of the one trace in a box, in pixels of the page."""
    left, top = (int(np.floor(value)) for value in box[:2])
    right, bottom = (int(np.ceil(value)) for value in box[2:])
    part = np.ascontiguousarray(ink[top:bottom, left:right])
    try:
        runs = find_runs(part, px, py, level=ink_level(ink))
    except UnreadablePageError as error:
        raise UnreadablePageError(f"lead {lead}: {error} in its box") from error
    # The level on which the trace stays longest is the row that its path is drawn to.
    middle = (runs.top + runs.bottom) // 2
    level = np.bincount(middle[runs.kind == 0], minlength=part.shape[0]).astype(float)
    level = np.convolve(level, np.ones(max(int(py), 1)), "same")
    path = trace_rows(runs, [int(np.argmax(level))], px, py)
    upper, lower, _ = row_edges(runs, path, pen)
    x, y = fit_pen(upper[0], lower[0], pen)
    if len(x) < 20:
        raise UnreadablePageError(f"lead {lead}: no trace was followed in its box")
    return x + left, y + top
