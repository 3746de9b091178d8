"""ECGRenderer: pages per second of one core, and against matplotlib drawing the same page.

Goals
-----
At least 10 pages per second of 1188 x 840 pixels, grid and all. A rate depends on the machine, so
the ratio to matplotlib's Agg canvas, the renderer of the Python stack, stands beside it, without
a goal.

Non-goals
---------
Equal pixels: the two draw their own fonts and line joins. Writing files.
"""

from importlib.metadata import version

import numpy as np
from threadpoolctl import threadpool_limits

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.images import page_geometry

GOAL = 10.0
PX_PER_MM = (4.0, 5.0, 7.874)


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Four pages and three rounds.

    Returns
    -------
    dict
        ``goals`` (pages per second); ``data``: seconds per page, by resolution and way.
    """
    n_pages, repeats = (4, 3) if quick else (12, 7)
    cohort = ck.datasets.make_cohort("mori2025", n_patients=n_pages, random_state=0)
    signals = np.asarray(ck.Select("signal").fit_transform(cohort.X))
    goals, data = {}, {}
    with threadpool_limits(1):
        for scale in PX_PER_MM:
            renderer = ck.ECGRenderer(fs=500, px_per_mm=scale).fit(signals)
            height, width = renderer.transform(signals[:1]).shape[1:3]
            draw = _matplotlib_page(width, height, scale)
            ways = {
                "ECGRenderer": lambda renderer=renderer: renderer.transform(signals),
                "matplotlib": lambda draw=draw: [draw(signal) for signal in signals],
            }
            seconds, _, rounds = interleaved(ways, repeats)
            per_page = {name: value / n_pages for name, value in seconds.items()}
            name = f"pages a second at {width} x {height}"
            goals[name] = against_goal(1 / per_page["ECGRenderer"], GOAL)
            data[f"{width} x {height}"] = {
                "seconds_a_page": per_page,
                "times_as_fast_as_matplotlib": per_page["matplotlib"] / per_page["ECGRenderer"],
                "rounds": rounds,
            }
    versions = {name: version(name) for name in ("Pillow", "matplotlib")}
    return {"goals": goals, "data": data, "n_pages": n_pages, "seed": 0, "versions": versions}


def _matplotlib_page(width, height, scale):
    """A function that draws a record as matplotlib does: the empty page is kept, traces change."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = page_geometry()
    figure = Figure(figsize=(page.width / 25.4, page.height / 25.4), dpi=scale * 25.4)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, page.width), ylim=(page.height, 0))
    axes.axis("off")
    left, top, right, bottom = page.grid
    for step, colour in ((1, "#fcd6d6"), (5, "#f09e9e")):
        axes.vlines(np.arange(left, right + 0.1, step), top, bottom, colors=colour, lw=0.5)
        axes.hlines(np.arange(top, bottom + 0.1, step), left, right, colors=colour, lw=0.5)
    lines = []
    for strip in page.layout.strips:
        x = page.x_start + strip.start * page.speed
        axes.text(x + 1, page.baselines[strip.row] - 5, strip.lead, size=9)
        lines += axes.plot([], [], color="black", lw=0.4 / 25.4 * 72)
    canvas.draw()

    def draw(signal):
        for line, strip in zip(lines, page.layout.strips):
            samples = np.arange(int(strip.start * 500), int(strip.stop * 500))
            lead = signal[ck.signals.LEADS_12.index(strip.lead), samples]
            mm = page.x_start + samples / 500 * page.speed
            line.set_data(mm, page.baselines[strip.row] - page.gain * lead)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[:, :, :3]

    return draw
