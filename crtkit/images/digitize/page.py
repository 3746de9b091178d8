"""A page to twelve leads: the stages in their order."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from crtkit._leads import LEADS_12
from crtkit.images.digitize.boxes import check_boxes, read_boxes
from crtkit.images.digitize.calibrate import check_scale, find_pulses, gain_of, trace_span
from crtkit.images.digitize.confidence import LEAST_CONFIDENCE, judge
from crtkit.images.digitize.evidence import page_evidence
from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import (
    UnreadablePageError,
    darkness,
    even_light,
    find_runs,
    ink_level,
)
from crtkit.images.digitize.leads import (
    LAYOUTS,
    candidates,
    check_layout,
    choose,
    limb_agreement,
    name_rhythm,
    row_shifts,
    strip_shift,
)
from crtkit.images.digitize.reading import LeadStrip, PageReading
from crtkit.images.digitize.rectify import rectify
from crtkit.images.digitize.rows import find_rows, frame_lines, pen_width, row_edges, trace_rows
from crtkit.images.digitize.sample import BORDER_MM, SECONDS, sample_leads, tangled_share
from crtkit.images.digitize.separators import bars, find_separators
from crtkit.images.digitize.timing import pulse_speed, time_axis

_LEAST_GRID = 6.0
_UNNAMED_DB = 3.0


@dataclass(frozen=True)
class Traces:
    """Rows of an upright page, with all that is needed to read them.

    Parameters
    ----------
    flat : FlatPage
    rows : ndarray of shape (n_rows,)
        y of the baselines.
    zero : ndarray of shape (n_rows,)
        y of 0 mV where the calibration pulse told it, else NaN.
    upper, lower : ndarray of shape (n_rows, width)
        Edges of each row's ink, NaN where there is none.
    tangled : ndarray of bool, shape (n_rows, width)
        Where rows share ink that cannot be divided.
    pen : float
        Pixels.
    axis : TimeAxis
    px_per_mv, gain : float
    gain_measured : bool
    shift : tuple of float
        Pixels by which each row begins later than the axis says.
    evidence : dict of str to float
        From :func:`~crtkit.images.digitize.evidence.page_evidence`.
    """

    flat: object
    rows: np.ndarray
    zero: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    tangled: np.ndarray
    pen: float
    axis: object
    px_per_mv: float
    gain: float
    gain_measured: bool
    shift: tuple = ()
    evidence: dict = field(default_factory=dict)


def digitize_page(
    page,
    fs=500,
    *,
    layout=None,
    speed=None,
    gain=None,
    px_per_mm=None,
    boxes=None,
    least_confidence=LEAST_CONFIDENCE,
):
    """Read the leads of one page.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    fs : float
        Sampling rate in Hz of what comes out.
    layout : str, optional
        Such as ``"3x4+II"``, or ``"3x4+1"`` where the rhythm lead is to be found; by default what
        fits the rows.
    speed : float, optional
        mm/s; by default 25, or 50 if the calibration pulse is as wide.
    gain : float, optional
        mm/mV; by default what the calibration pulse says, or 10.
    px_per_mm : float, optional
        Scale, where the grid does not tell.
    boxes : dict of str to tuple of float, optional
        Where a person says that leads are, for an upright page whose layout is not found: lead ->
        left, top, right, bottom in pixels, each lead beginning at the left edge of its box, time
        running from the leftmost box. ``layout`` is then not used.
    least_confidence : float
        Pages whose median confidence over the leads is lower are refused.

    Returns
    -------
    PageReading
        With a ``reason`` if the page could not be read.

    Raises
    ------
    ValueError
        Not one page of uint8, (height, width, 3); a layout that is not understood; boxes of other
        than leads on the page.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import digitize_page, render_page
    >>> t = np.arange(5000) / 500
    >>> beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    >>> leads = np.outer([1, 1.5, 0.5, -1.25, 0.25, 1, -1, -0.5, 0.5, 1, 1.2, 0.8], beats)
    >>> reading = digitize_page(render_page(leads, 500, px_per_mm=7.874)[0])
    >>> reading.layout, reading.speed, reading.gain
    ('3x4+II', 25.0, 10.0)
    >>> error = reading.signal[1] - leads[1]
    >>> bool(np.nanstd(error) < 0.05)
    True
    """
    page = check_page(page)
    check_layout(layout)
    if boxes is not None:
        check_boxes(boxes, page.shape)
    try:
        if boxes is not None:
            scale = {"speed": speed, "gain": gain, "px_per_mm": px_per_mm}
            return judge(read_boxes(page, boxes, fs, SECONDS, **scale), least_confidence)
        traces, arrangement = follow_traces(
            page, layout=layout, speed=speed, gain=gain, px_per_mm=px_per_mm
        )
        return judge(_read(traces, arrangement, fs), least_confidence)
    except UnreadablePageError as error:
        nothing = np.full((12, int(round(SECONDS * fs))), np.nan, dtype=np.float32)
        return PageReading(nothing, fs, reason=str(error))


def check_page(page):
    """Raise ValueError unless this is one page of uint8."""
    page = np.asarray(page)
    if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
        raise ValueError(
            "digitize_page expects one page of uint8, shape (height, width, 3), got "
            f"{page.dtype} {page.shape}."
        )
    return page


def follow_traces(page, *, layout=None, speed=None, gain=None, px_per_mm=None):
    """Stages from the page to the edges of each row's ink; parameters as in `digitize_page`.

    Returns
    -------
    traces : Traces
    arrangement : Arrangement

    Raises
    ------
    UnreadablePageError
        With the reason.
    """
    ink, lines = darkness(page)
    # Shadows go first: a threshold of ink that holds on one side would hold nowhere else.
    even = even_light(ink)
    if even is not ink:
        ink, lines = even, even_light(lines)
    grid = find_lines(ink, lines, px_per_mm)
    if grid.score < _LEAST_GRID:
        raise UnreadablePageError(f"no grid of millimetres was found (score {grid.score:.1f})")
    flat = rectify(ink, grid)
    px, py = flat.px, flat.py
    runs = find_runs(flat.ink, px, py)
    # A frame is the longest level line of a page, and would be taken for a calm row.
    runs = runs.take(~frame_lines(runs, px, py))
    pen = pen_width(runs, py)
    pulses = find_pulses(runs, px, py, pen)
    rows = _rows(runs, pulses, px, py)
    arrangements = candidates(len(rows), layout)
    separators = find_separators(runs, rows, px, py)
    runs = runs.take(~bars(runs, separators, rows, px, py))
    # First without knowing where leads end: the ends of the rows tell where they must.
    path = trace_rows(runs, rows, px, py)
    begin, end = _beside(pulses, flat)
    span = trace_span(flat.ink, runs, path, pen, ink_level(flat.ink), begin, end)
    # Gain before time: a pulse of known height is what makes its width worth believing.
    px_per_mv, gain, measured = gain_of(pulses, py, gain)
    check_scale(grid, measured)
    speed = pulse_speed(pulses, px, speed)
    unbent = flat.method == "unbent"
    axis = time_axis(span, separators, px, speed, pulses, unbent=unbent)
    check_scale(grid, measured, axis.source != "grid")
    zero = _zero_levels(rows, pulses, py)
    edges = row_edges(runs, path, pen)
    traces = Traces(flat, rows, zero, *edges, pen, axis, px_per_mv, gain, measured)
    # Middles of the ink are enough to tell layouts apart, at a tenth of the time of the pen.
    arrangement = choose(
        arrangements, lambda which: sample_leads(traces, which, 500, quick=True)[:2]
    )
    if arrangement.columns > 1:
        # Where a lead ends the next may begin at any height: trace again with those columns free.
        borders = axis.x(np.arange(1, arrangement.columns) * axis.seconds / arrangement.columns)
        free = (np.ceil(borders)[:, None] + np.arange(-1, 1 + round(BORDER_MM * px))).ravel()
        tied = range(arrangement.rows, arrangement.n_rows)
        path = trace_rows(runs, rows, px, py, free, tied)
        edges = row_edges(runs, path, pen)
    traces = replace(traces, **dict(zip(("upper", "lower", "tangled"), edges)))
    evidence = page_evidence(runs, path, *edges[:2], span, axis, px, py, unbent=unbent)
    tangled = traces.tangled | _walled(runs, traces, arrangement)
    return replace(traces, tangled=tangled, evidence=evidence), arrangement


def _walled(runs, traces, arrangement):
    """Columns of each row that a wall hides where no separator belongs: complexes of many rows."""
    x = np.arange(runs.shape[1])
    axis, px = traces.axis, traces.flat.px
    borders = axis.x(np.arange(arrangement.columns + 1) * axis.seconds / arrangement.columns)
    inner = (np.abs(x[:, None] - borders).min(axis=1) > 2 * px) & (x > borders[0])
    inner &= x < borders[-1]
    hidden = (runs.above < traces.rows[:, None]) & (runs.below > traces.rows[:, None])
    return (hidden | _into_walls(runs, traces)) & inner


def _into_walls(runs, traces):
    """Columns in which a row's wave rises, or falls, into a wall that spares its baseline."""
    out = np.zeros(traces.upper.shape, dtype=bool)
    wall = runs.above <= runs.below
    for row, (upper, lower) in enumerate(zip(traces.upper, traces.lower)):
        marks, _ = ndimage.label(wall & np.isnan(upper))
        for (place,) in ndimage.find_objects(marks):
            high, low = runs.above[place].min() - 1, runs.below[place].max() + 1
            beside = [x for x in (place.start - 1, place.stop) if 0 <= x < len(upper)]
            # NaN compares false: a row without ink beside the wall does not run into it.
            out[row, place] = any(upper[x] < low and lower[x] > high for x in beside)
    return out


def _beside(pulses, flat):
    """First and last column in which traces may begin and end."""
    if pulses is None:
        return 0, flat.ink.shape[1]
    # Feet are not all of one length to a pixel: the end of a longer one is no trace.
    gap = 0.0 if pulses.joined else 0.25 * flat.px
    if pulses.side == "left":
        return pulses.end + gap, flat.ink.shape[1]
    return 0, pulses.begin - gap


def _rows(runs, pulses, px, py):
    """Baselines: the feet of the pulses where there is one per row, else level ink."""
    try:
        rows, _ = find_rows(runs, px, py)
    except UnreadablePageError:
        rows = np.empty(0, dtype=int)
    feet = np.empty(0) if pulses is None else np.round(pulses.foot).astype(int)
    # One pulse per row is surer than level ink, of which rhythms without rest have none.
    if len(feet) in LAYOUTS and len(feet) >= len(rows) - 1 and not _cut_pulse(rows, feet, py):
        return feet
    if len(rows) in LAYOUTS or not len(feet):
        if not len(rows):
            raise UnreadablePageError("no row of traces was found")
        return rows
    # Level ink that no pulse stands on is a rule or text; a pulse without level ink is a row.
    far = np.abs(rows[:, None] - feet[None]).min(axis=0) > 5 * py if len(rows) else feet > -1
    return np.sort(np.concatenate([rows, feet[far]]))


def _cut_pulse(rows, feet, py):
    """Whether the one row without a pulse continues the others evenly: its pulse was cut."""
    if len(rows) != len(feet) + 1 or len(feet) < 2:
        return False
    near = np.abs(rows[:, None] - feet[None]).min(axis=1) < 3 * py
    pitch = np.diff(rows)
    # The first pulse of a page at 20 mm/mV is taller than the paper above it.
    return near[1:].all() and not near[0] and abs(pitch[0] - np.median(pitch)) < 2 * py


def _zero_levels(rows, pulses, py):
    zero = np.full(len(rows), np.nan)
    if pulses is None:
        return zero
    for i, y in enumerate(rows):
        near = np.abs(pulses.foot - y)
        if near.min() < 4 * py:
            zero[i] = pulses.foot[np.argmin(near)]
    return zero


def _read(traces, arrangement, fs):
    """Signals, names of the rhythm strips, and where all lies on the page as it came."""
    if traces.flat.method == "unbent" and arrangement.rows == 3:
        traces = _level_in_time(traces, arrangement)
    signals, rhythm, curves = sample_leads(traces, arrangement, fs)
    checks = limb_agreement(signals)
    # Named by what they repeat, not by their text: no engine is needed, and no language.
    names = name_rhythm(rhythm, signals)
    # A strip that repeats no lead may be of another time, or misread: it speaks a little against.
    fits = [fit if name else _UNNAMED_DB for name, fit in names]
    checks["repeat"] = float(min(fits)) if fits else np.nan
    strips = _strips(traces, arrangement, [name for name, _ in names], curves)
    for (name, _), strip in zip(names, rhythm):
        if name:
            lead = signals[LEADS_12.index(name)]
            lead[:] = np.where(np.isfinite(strip), strip, lead)
    flat, axis = traces.flat, traces.axis
    return PageReading(
        signal=signals.astype(np.float32),
        fs=fs,
        strips=strips,
        layout=arrangement.name([name or "?" for name, _ in names]),
        rhythm_leads=tuple(name for name, _ in names),
        px_per_mm=(float(flat.px), float(flat.py)),
        px_per_second=float(axis.px_per_second),
        px_per_mv=float(traces.px_per_mv),
        speed=axis.speed,
        gain=traces.gain,
        scale_from={
            "time": axis.source,
            "gain": "pulse" if traces.gain_measured else "grid",
            "zero": "pulse" if np.isfinite(traces.zero).all() else "median",
        },
        rotation=flat.angle,
        bend=flat.bend,
        pen_mm=float(traces.pen / flat.py),
        checks=checks,
        evidence=traces.evidence,
    )


def _level_in_time(traces, arrangement):
    """Rows of a straightened page, each moved by what Einthoven's law says that it leans."""
    quick = 500
    scale = traces.axis.px_per_second / quick
    lean = np.zeros(arrangement.n_rows)
    signals, *_ = sample_leads(traces, arrangement, quick, quick=True)
    # Limb leads first, for a strip is compared with the lead that they have put right.
    lean[0], lean[2] = row_shifts(signals)
    moved = replace(traces, shift=tuple(lean * scale))
    signals, rhythm, _ = sample_leads(moved, arrangement, quick, quick=True)
    lean[arrangement.rows :] = [strip_shift(strip, signals) for strip in rhythm]
    return replace(traces, shift=tuple(lean * scale)) if lean.any() else traces


def _strips(traces, arrangement, names, curves):
    rows, flat, axis = traces.rows, traces.flat, traces.axis
    pitch = np.median(np.diff(rows)) if len(rows) > 1 else 40 * flat.py
    out = []
    places = arrangement.strips(axis.seconds)
    for (row, column, lead, start, stop), (x, y) in zip(places, curves):
        corners_x = axis.x([start, stop, stop, start])
        corners_y = rows[row] + pitch / 2 * np.array([-1, -1, 1, 1])
        box_x, box_y = flat.to_page(corners_x, corners_y)
        page_x, page_y = flat.to_page(x, y)
        part = row, slice(max(int(axis.x(start)), 0), max(int(axis.x(stop)), 1))
        out.append(
            LeadStrip(
                lead=lead or names[row - arrangement.rows],
                row=row,
                column=column,
                rhythm=not lead,
                start=float(start),
                stop=float(stop),
                box=tuple(float(v) for v in (box_x.min(), box_y.min(), box_x.max(), box_y.max())),
                x=page_x,
                y=page_y,
                shared=tangled_share(traces, part),
            )
        )
    return tuple(out)
