"""Leads of a PDF page from the curves that it is drawn from, without any rendering.

A vector page holds the samples themselves: 0.2 mm apart is 125 Hz at 25 mm/s. What is told apart
here is the same as on pictures: pulses, rows, columns and rhythm strips.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from crtkit._leads import LEADS_12
from crtkit.images.digitize.calibrate import GAINS
from crtkit.images.digitize.confidence import judge
from crtkit.images.digitize.ink import UnreadablePageError
from crtkit.images.digitize.leads import Arrangement, limb_agreement, name_rhythm
from crtkit.images.digitize.page import SECONDS, digitize_page
from crtkit.images.digitize.reading import LeadStrip, PageReading
from crtkit.images.digitize.timing import FAST_PULSE_MM
from crtkit.images.pdf import pdf_curves, render_pdf

DPI = 200
_LEAST_MM = 20.0  # a shorter curve is not a lead
_SHARE = 0.05  # by which the duration of a strip may miss its part of ten (or five) seconds


class _Pulse(NamedTuple):
    """A calibration pulse in mm: y of its foot, height, and how long it stays up."""

    foot: float
    height: float
    width: float


def read_curves(curves, fs=500, *, layout=None, speed=None, gain=None, least_confidence=0.5):
    """Read the leads of a vector page.

    Parameters
    ----------
    curves : Curves
        From :func:`crtkit.images.pdf.pdf_curves`.
    fs, layout, speed, gain, least_confidence
        As in :func:`crtkit.images.digitize_page`.

    Returns
    -------
    PageReading
        ``px_per_second`` and boxes are in pixels of the page at 200 dpi.

    Raises
    ------
    UnreadablePageError
        The curves are not those of a page of twelve leads; a picture of it may still be read.
    """
    traces, pulses = _sort_curves(curves.curves)
    if not traces:
        raise UnreadablePageError("the page holds no curves of leads")
    zeros, mm_per_mv = _calibration(traces, pulses, gain)
    rows = _rows(traces, zeros)
    arrangement = _arrangement(rows, layout)
    # A vector page has no grid to measure: its unit is the millimetre of the paper.
    if speed is None:
        fast = pulses and np.median([pulse.width for pulse in pulses]) > FAST_PULSE_MM
        speed = 50.0 if fast else 25.0
    speed = float(speed)
    n = int(round(SECONDS * fs))
    signals = np.full((12, n), np.nan)
    rhythm = np.full((arrangement.n_rhythm, n), np.nan)
    widest = max(row[-1][-1, 0] - row[0][0, 0] for row in rows if row) / speed
    seconds = min((SECONDS, SECONDS / 2), key=lambda s: abs(widest - s))
    if abs(widest / seconds - 1) > _SHARE:
        raise UnreadablePageError(f"rows of {widest:.1f} s at {speed:g} mm/s")
    strips = []
    for row, column, lead, start, stop in arrangement.strips(seconds):
        trace = rows[row][column]
        target = signals[LEADS_12.index(lead)] if lead else rhythm[row - arrangement.rows]
        _fill(target, trace, start, stop, speed, fs, zeros[row], mm_per_mv)
        strips.append((row, column, lead, start, stop, trace))
    names = name_rhythm(rhythm, signals)
    checks = limb_agreement(signals)
    checks["repeat"] = min((fit for name, fit in names if name), default=np.nan)
    for (name, _), strip in zip(names, rhythm):
        if name:
            lead = signals[LEADS_12.index(name)]
            lead[:] = np.where(np.isfinite(strip), strip, lead)
    # Places are told in pixels of the page as it would be rendered, so that it can be drawn over.
    px = DPI / 25.4
    reading = PageReading(
        signal=signals.astype(np.float32),
        fs=fs,
        strips=_strips(strips, arrangement, [name for name, _ in names], px),
        layout=arrangement.name([name or "?" for name, _ in names]),
        rhythm_leads=tuple(name for name, _ in names),
        px_per_mm=(px, px),
        px_per_second=px * speed,
        px_per_mv=px * mm_per_mv,
        speed=speed,
        gain=min(GAINS, key=lambda g: abs(np.log(mm_per_mv / g))),
        scale_from={"time": "paths", "gain": "paths", "zero": "pulse" if pulses else "median"},
        rotation=0.0,
        bend=0.0,
        pen_mm=np.nan,
        checks=checks,
    )
    return judge(reading, least_confidence)


def read_pdf(path, fs=500, *, px_per_mm=None, **how):
    """Read the leads of one page of a PDF file: its curves, or else a picture of it.

    Parameters
    ----------
    path : path-like
        With ``#page=2`` for another page than the first.
    fs : float
        Hz.
    px_per_mm : float, optional
        Of a picture at 200 dpi.
    **how
        ``layout``, ``speed``, ``gain``, ``least_confidence`` as in
        :func:`crtkit.images.digitize_page`.

    Returns
    -------
    PageReading

    Raises
    ------
    ValueError
        The file or the page cannot be opened.
    """
    try:
        return read_curves(pdf_curves(path), fs, **how)
    # Scans inside a PDF, and programs that draw each sample as a stroke of its own.
    except UnreadablePageError:
        page = np.asarray(render_pdf(path, dpi=DPI))
        return digitize_page(page, fs, px_per_mm=px_per_mm, **how)


def _sort_curves(curves):
    """Traces (long, from left to right) and pulses (short, on two levels, so many mm apart)."""
    traces, pulses = [], []
    for curve in curves:
        x, y = curve.T
        # A trace never runs backwards; frames, letters and arrows do.
        if (np.diff(x) < -1e-3).any():
            continue
        if np.ptp(x) >= _LEAST_MM and np.ptp(y) > 0.01:
            traces.append(curve)
        elif any(abs(np.ptp(y) / gain - 1) < 0.02 for gain in GAINS):
            high, low, middle = y.min(), y.max(), (y.min() + y.max()) / 2
            on_level = (y - high < 0.02 * (low - high)) | (low - y < 0.02 * (low - high))
            if on_level.mean() > 0.8:
                pulses.append(_Pulse(float(low), float(low - high), float(np.ptp(x[y < middle]))))
    return traces, pulses


def _calibration(traces, pulses, stated):
    """y of 0 mV per row from top to bottom, and mm per mV."""
    if pulses:
        feet = np.unique(np.round([pulse.foot for pulse in pulses], 2))
        height = float(np.median([pulse.height for pulse in pulses]))
        if stated is not None and abs(height / stated - 1) > 0.1:
            raise UnreadablePageError(
                f"the calibration pulse is {height:.1f} mm tall, but gain={stated:g} mm/mV"
            )
        return feet, height
    # Without pulses: traces whose middle levels lie together are one row.
    levels = np.sort([np.median(trace[:, 1]) for trace in traces])
    groups = np.split(levels, np.flatnonzero(np.diff(levels) > 6.0) + 1)
    return np.array([np.median(group) for group in groups]), float(stated or 10.0)


def _rows(traces, zeros):
    rows = [[] for _ in zeros]
    for trace in traces:
        rows[int(np.argmin(np.abs(zeros - np.median(trace[:, 1]))))].append(trace)
    return [sorted(row, key=lambda trace: trace[0, 0]) for row in rows]


def _arrangement(rows, layout):
    counts = [len(row) for row in rows]
    arrangements = [Arrangement(r, 12 // r, len(rows) - r) for r in (3, 6, 12) if len(rows) >= r]
    if layout is not None:
        arrangements = [Arrangement.from_name(layout)]
    for arrangement in arrangements:
        leads = [arrangement.columns] * arrangement.rows + [1] * arrangement.n_rhythm
        if counts == leads:
            return arrangement
    raise UnreadablePageError(f"rows of {counts} curves are not a layout of twelve leads")


def _fill(target, trace, start, stop, speed, fs, zero, mm_per_mv):
    """Put a curve into its part of the record, in place."""
    x, first = np.unique(trace[:, 0], return_index=True)
    y = trace[first, 1]
    # Programs let columns overlap on paper; the layout says which second they begin at.
    seconds = start + (x - x[0]) / speed
    if len(x) < 50 or seconds[-1] - start < 0.5 * (stop - start):
        raise UnreadablePageError("a curve is shorter than half of its lead")
    time = np.arange(len(target)) / fs
    step = np.median(np.diff(seconds))
    inside = (time >= start - 1e-9) & (time < stop - 1e-9) & (time <= seconds[-1] + step)
    values = CubicSpline(seconds, (zero - y) / mm_per_mv)(np.minimum(time[inside], seconds[-1]))
    target[inside] = values


def _strips(strips, arrangement, names, px):
    out = []
    for row, column, lead, start, stop, trace in strips:
        x, y = trace.T * px
        out.append(
            LeadStrip(
                lead=lead or names[row - arrangement.rows],
                row=row,
                column=column,
                rhythm=not lead,
                start=float(start),
                stop=float(stop),
                box=(float(x.min()), float(y.min()), float(x.max()), float(y.max())),
                x=x,
                y=y,
            )
        )
    return tuple(out)
