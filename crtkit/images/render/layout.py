"""Where everything lies on a 12-lead page: which lead, which seconds, which millimetres.

One description serves the renderer, the digitizer, the splicer and the attribution by lead. Boxes
are also given as fractions of the page, so that they hold after a page was stretched to any size.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from crtkit._leads import LEADS_12

PAPER_SPEED = 25.0
"""mm/s of a standard page."""
PAPER_GAIN = 10.0
"""mm/mV of a standard page."""
TRACE_WIDTH = 250.0
"""mm that a full row of traces takes: ten seconds at 25 mm/s."""


@dataclass(frozen=True)
class Strip:
    """One printed piece of one lead.

    Parameters
    ----------
    lead : str
        Name of the lead; empty on a page of one unnamed lead.
    row, column : int
        Place on the page; a rhythm strip has column 0.
    start, stop : float
        Printed seconds of the record.
    rhythm : bool
        Whether it is a rhythm strip, which takes a whole row.
    """

    lead: str
    row: int
    column: int
    start: float
    stop: float
    rhythm: bool = False


@dataclass(frozen=True)
class PageLayout:
    """Which lead is printed in which row and column, and from when to when.

    Made by :func:`page_layout`.

    Parameters
    ----------
    name : str
        Such as ``"3x4+II"``.
    n_rows : int
        Rows of the page, rhythm strips included.
    n_columns : int
    duration : float
        Seconds that a full row shows.
    strips : tuple of Strip
        Row by row, from left to right, rhythm strips last.
    """

    name: str
    n_rows: int
    n_columns: int
    duration: float
    strips: tuple


@lru_cache(maxsize=64)
def page_layout(name="3x4+II", duration=10.0):
    """Describe a page layout by its name.

    Parameters
    ----------
    name : str
        ``"RxC"`` with R x C = 12 puts the twelve leads in the order of ``LEADS_12`` column by
        column (``"3x4"``: I, II, III above each other, then aVR, aVL, aVF, then V1-V3, V4-V6;
        also ``"6x2"``, ``"12x1"``, ...); each ``"+LEAD"`` adds a rhythm strip below. ``"strip"``
        is a page of one unnamed lead.
    duration : float
        Seconds of a full row. Columns share it equally and follow each other in time.

    Returns
    -------
    PageLayout

    Raises
    ------
    ValueError
        The name is not understood.

    Examples
    --------
    >>> from crtkit.images import page_layout
    >>> layout = page_layout("3x4+II")
    >>> [strip.lead for strip in layout.strips[:4]]
    ['I', 'aVR', 'V1', 'V4']
    >>> layout.strips[2].start, layout.strips[2].stop
    (5.0, 7.5)
    >>> layout.strips[-1]
    Strip(lead='II', row=3, column=0, start=0.0, stop=10.0, rhythm=True)
    """
    duration = float(duration)
    if not duration > 0:
        raise ValueError(f"page_layout expects duration > 0 seconds, got {duration}.")
    if name == "strip":
        strips = (Strip("", 0, 0, 0.0, duration, rhythm=True),)
        return PageLayout(name, 1, 1, duration, strips)
    match = re.fullmatch(r"(\d+)x(\d+)((?:\+\w+)*)", str(name))
    rows, columns = (int(match[1]), int(match[2])) if match else (0, 0)
    rhythm = match[3].split("+")[1:] if match else []
    if rows * columns != 12 or not set(rhythm) <= set(LEADS_12):
        raise ValueError(
            f"page_layout expects 'RxC' with R x C = 12 and rhythm leads of {LEADS_12} after '+', "
            f"such as '3x4+II', '6x2' or '12x1', or 'strip' for one lead; got {name!r}."
        )
    # Columns follow each other in time: the second shows the second quarter of the record.
    width = duration / columns
    strips = [
        Strip(LEADS_12[column * rows + row], row, column, column * width, (column + 1) * width)
        for row in range(rows)
        for column in range(columns)
    ]
    strips += [
        Strip(lead, rows + i, 0, 0.0, duration, rhythm=True) for i, lead in enumerate(rhythm)
    ]
    return PageLayout(str(name), rows + len(rhythm), columns, duration, tuple(strips))


@dataclass(frozen=True)
class PageGeometry:
    """Millimetres of a page: where the grid lies, where time begins, where the baselines are.

    Parameters
    ----------
    layout : PageLayout
    width, height : float
        Page in mm.
    grid : tuple of float
        Left, top, right, bottom of the grid in mm.
    x_start : float
        mm from the left at which second 0 is printed.
    baselines : tuple of float
        mm from the top of 0 mV, one per row.
    speed : float
        mm/s.
    gain : float
        mm/mV.

    See Also
    --------
    page_geometry : the pages that :class:`~crtkit.images.ECGRenderer` draws.
    EDAN_SE3 : the report pages that :func:`~crtkit.datasets.load_ecg_images` loads.
    """

    layout: PageLayout
    width: float
    height: float
    grid: tuple
    x_start: float
    baselines: tuple
    speed: float = PAPER_SPEED
    gain: float = PAPER_GAIN

    def strip_box(self, strip):
        """Box of a strip in mm: left, top, right, bottom.

        Sideways it is exactly what is printed; upwards and downwards it reaches half way to the
        neighbouring baselines, at the outside as far again, but never beyond the grid.

        Parameters
        ----------
        strip : Strip

        Returns
        -------
        tuple of float
        """
        # Half way to the neighbouring rows is where one would cut the page with scissors.
        rows, row = self.baselines, strip.row
        last = len(rows) - 1
        above = (rows[row] - rows[row - 1]) / 2 if row else None
        below = (rows[row + 1] - rows[row]) / 2 if row < last else None
        whole = self.grid[3] - self.grid[1]
        above, below = above or below or whole, below or above or whole
        return (
            self.x_start + strip.start * self.speed,
            max(self.grid[1], rows[row] - above),
            self.x_start + strip.stop * self.speed,
            min(self.grid[3], rows[row] + below),
        )

    def lead_boxes(self, rhythm=True):
        """Boxes of the leads as fractions of the page.

        Parameters
        ----------
        rhythm : bool
            Whether rhythm strips are among them.

        Returns
        -------
        list of (str, tuple of float)
            Name of the lead and left, top, right, bottom in [0, 1]; a lead that is printed twice
            comes twice.

        Examples
        --------
        >>> from crtkit.images import page_geometry
        >>> boxes = page_geometry("3x4+II").lead_boxes()
        >>> boxes[0][0], [round(edge, 3) for edge in boxes[0][1]]
        ('I', [0.088, 0.162, 0.298, 0.352])
        """
        size = (self.width, self.height, self.width, self.height)
        return [
            (strip.lead, tuple(mm / full for mm, full in zip(self.strip_box(strip), size)))
            for strip in self.layout.strips
            if rhythm or not strip.rhythm
        ]


def page_geometry(layout="3x4+II", speed=PAPER_SPEED, gain=PAPER_GAIN):
    """Millimetres of the pages that :class:`~crtkit.images.ECGRenderer` draws.

    A4 landscape (297 x 210 mm) for twelve leads: 34 mm for a header, a grid of 275 x 160 mm, 15 mm
    of it for the calibration pulses and 250 mm for the traces, and a footer. One lead gets a page
    of 297 x 65 mm.

    Parameters
    ----------
    layout : str or PageLayout
        A name is described by :func:`page_layout`, with as many seconds as fit.
    speed : float
        mm/s.
    gain : float
        mm/mV.

    Returns
    -------
    PageGeometry

    Raises
    ------
    ValueError
        An unknown layout, or a duration that is not above 0.

    Examples
    --------
    >>> from crtkit.images import page_geometry
    >>> page_geometry("3x4+II").baselines
    (54.0, 94.0, 134.0, 174.0)
    """
    if not isinstance(layout, PageLayout):
        layout = page_layout(layout, TRACE_WIDTH / speed)
    height, top, bottom = (65.0, 15.0, 55.0) if layout.name == "strip" else (210.0, 34.0, 194.0)
    # Rows share the grid equally, as devices do; tall waves may reach into their neighbours.
    half = (bottom - top) / layout.n_rows / 2
    # Where rows are close, the first still has room for its calibration pulse.
    first, last = top + max(half, 12.0), bottom - max(half, 8.0)
    pitch = (last - first) / max(layout.n_rows - 1, 1)
    baselines = tuple(first + pitch * row for row in range(layout.n_rows))
    grid = (11.0, top, 286.0, bottom)
    return PageGeometry(layout, 297.0, height, grid, 26.0, baselines, float(speed), float(gain))


_MM = 25.4 / 200  # the report pages are stored at 200 dpi

EDAN_SE3 = PageGeometry(
    page_layout("3x4+II"),
    width=2213 * _MM,
    height=1572 * _MM,
    grid=(68 * _MM, 283 * _MM, 2177 * _MM, 1518 * _MM),
    x_start=152 * _MM,
    baselines=(464 * _MM, 765 * _MM, 1067 * _MM, 1368 * _MM),
)
"""Geometry of the EDAN SE-3 report pages of the Mendeley data set, measured on its pages (the
rhythm strip of some pages is lead III)."""
