"""An empty page, drawn once, on which any number of records are drawn; and the truth about both."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crtkit._leads import LEADS_12
from crtkit.images.render.layout import PageGeometry, page_geometry
from crtkit.images.render.raster import Ink

INK = (15, 15, 15)
GRIDS = {
    "red": ((252, 214, 214), (240, 158, 158)),
    "orange": ((253, 226, 200), (244, 178, 120)),
    "green": ((208, 238, 212), (140, 205, 150)),
    "blue": ((212, 224, 252), (150, 178, 240)),
    "grey": ((222, 222, 222), (176, 176, 176)),
}
"""Colours of the lines every 1 mm and every 5 mm."""
PAPERS = {
    "white": (255, 255, 255),
    "cream": (252, 246, 228),
    "pink": (255, 240, 240),
    "grey": (232, 232, 232),
}
"""Colours of paper."""
TRACE_MM, LABEL_MM, TEXT_MM, LINE_MM, MARGIN_MM = 0.4, 3.6, 3.6, 5.2, 3.0


@dataclass(frozen=True)
class LeadTrace:
    """Where one strip of one lead was drawn.

    Parameters
    ----------
    lead : str
        Name of the lead; empty on a page of one lead.
    row, column : int
        Place in the layout.
    rhythm : bool
        Whether it is a rhythm strip.
    start, stop : float
        Printed seconds of the record.
    x, y : ndarray of shape (n_points,)
        Path of the pen's centre, a point a sample, in pixels: ``(0, 0)`` is the *centre* of the
        upper left pixel, so ``image[round(y), round(x)]`` is ink. NaN where the signal is NaN;
        y is not cut at the edge of the grid.
    baseline : float
        y of 0 mV.
    box : tuple of int
        Left, top, right, bottom of the strip: ``image[top:bottom, left:right]``.
    clipped : float
        Share of the samples that lie beyond the grid and are not seen.
    """

    lead: str
    row: int
    column: int
    rhythm: bool
    start: float
    stop: float
    x: np.ndarray
    y: np.ndarray
    baseline: float
    box: tuple
    clipped: float


@dataclass(frozen=True)
class PageTruth:
    """What was drawn on a page, and where.

    Boxes are left, top, right, bottom, with ``image[top:bottom, left:right]``.

    Parameters
    ----------
    geometry : PageGeometry
        The page in millimetres.
    px_per_mm, px_per_second, px_per_mv : float
        Scale.
    traces : tuple of LeadTrace
        One a strip, in the order of ``geometry.layout.strips``.
    grid_box : tuple of int
        Where the grid lies; no trace leaves it.
    label_boxes : tuple of (str, tuple of int)
        Names of the leads.
    text_boxes : tuple of (str, tuple of int)
        Lines of the header and of the footer, all outside the grid.
    calibration_boxes : tuple of tuple of int
        Pulses of 1 mV and 0.2 s, as far as they lie on the grid.
    """

    geometry: PageGeometry
    px_per_mm: float
    px_per_second: float
    px_per_mv: float
    traces: tuple
    grid_box: tuple
    label_boxes: tuple
    text_boxes: tuple
    calibration_boxes: tuple


class Sheet:
    """An empty page: all that is the same for every record.

    Parameters are those of :func:`crtkit.images.render_page`, and the number of leads.
    """

    def __init__(
        self, n_leads, layout, px_per_mm, speed, gain, grid, calibration, labels, colour, paper
    ):
        self.page = page = _geometry(n_leads, layout, speed, gain)
        # Colours differ by maker and country; a digitizer that knows one red has learnt a device.
        self.lines, self.tint = GRIDS[colour], PAPERS[paper]
        self.scale = float(px_per_mm)
        self.width, self.height = round(page.width * self.scale), round(page.height * self.scale)
        # The grid starts in the middle of a pixel: with whole pixels a millimetre, each of its
        # lines is then one row or column of pixels.
        self.origin = tuple(np.floor(mm * self.scale) + 0.5 for mm in page.grid[:2])
        self.grid_box = _whole(self.pixels(*page.grid[:2]), self.pixels(*page.grid[2:]))
        self.label_boxes, self.calibration_boxes = [], []
        sheet = self._grid() if grid else np.full((self.height, self.width, 3), 255, np.uint8)
        if paper != "white":
            # Grid and paper both take their share of the light, as two inks on one sheet do.
            sheet = (sheet * (np.array(self.tint, dtype=np.float32) / 255)).round().astype(np.uint8)
        image = Image.fromarray(sheet)
        self.footer = self._footer(ImageDraw.Draw(image))
        if labels:
            self._labels(ImageDraw.Draw(image))
        self.paper = np.array(image)
        ink = self._ink()
        if labels:
            self._separators(ink)
        if calibration:
            self._pulses(ink)
        _blend(self.paper, ink.coverage())

    def pixels(self, x, y):
        """Millimetres of the page to pixels from its upper left corner."""
        left, top = self.page.grid[:2]
        return self.origin[0] + (x - left) * self.scale, self.origin[1] + (y - top) * self.scale

    def traces(self, signal, fs):
        """Paths of all strips of a record (n_leads, n_samples)."""
        page, n_samples = self.page, signal.shape[-1]
        traces = []
        for strip in page.layout.strips:
            first = int(np.ceil(strip.start * fs - 1e-9))
            last = min(int(np.ceil(strip.stop * fs - 1e-9)), n_samples)
            if last <= first:
                raise ValueError(
                    f"Layout {page.layout.name!r} prints lead {strip.lead} from second "
                    f"{strip.start:g}, but the record ends after {n_samples / fs:g} s "
                    f"({n_samples} samples at fs={fs:g} Hz). Use longer records, or a layout with "
                    "fewer columns such as '12x1'."
                )
            lead = signal[LEADS_12.index(strip.lead) if strip.lead else 0, first:last]
            lead = np.asarray(lead, dtype=np.float64)
            mm = page.x_start + np.arange(first, last) * (page.speed / fs)
            x, baseline = self.pixels(mm, page.baselines[strip.row])
            y = baseline - lead * (page.gain * self.scale)
            # The box is what a person would mark; the path is what the pen drew.
            box = page.strip_box(strip)
            unseen = (y < self.grid_box[1]) | (y > self.grid_box[3])
            trace = LeadTrace(
                lead=strip.lead,
                row=strip.row,
                column=strip.column,
                rhythm=strip.rhythm,
                start=strip.start,
                stop=strip.stop,
                # Pixels count from corners here, from centres for whoever indexes the image.
                x=x - 0.5,
                y=y - 0.5,
                baseline=float(baseline - 0.5),
                box=_whole(self.pixels(*box[:2]), self.pixels(*box[2:])),
                clipped=float(unseen.mean()),
            )
            traces.append(trace)
        return traces

    def draw(self, traces, header=None):
        """Page (height, width, 3) with traces and a header on it, and the truth about both."""
        ink = self._ink()
        for trace in traces:
            ink.draw(trace.x + 0.5, trace.y + 0.5)
        page = self.paper.copy()
        _blend(page, ink.coverage())
        text_boxes = self.header(page, header)
        truth = PageTruth(
            geometry=self.page,
            px_per_mm=self.scale,
            px_per_second=self.scale * self.page.speed,
            px_per_mv=self.scale * self.page.gain,
            traces=tuple(traces),
            grid_box=self.grid_box,
            label_boxes=tuple(self.label_boxes),
            text_boxes=(*text_boxes, self.footer),
            calibration_boxes=tuple(self.calibration_boxes),
        )
        return page, truth

    def header(self, page, text):
        """Write lines above the grid, in place; their boxes."""
        above = Image.fromarray(page[: self.grid_box[1]])
        boxes = []
        for i, line in enumerate((text or "").split("\n")):
            if not line.strip():
                continue
            place = (self.page.grid[0], MARGIN_MM + LINE_MM * (i + 1))
            box = self._text(ImageDraw.Draw(above), line, *place, TEXT_MM)
            if box[2] > self.width or box[3] > self.grid_box[1]:
                room = int((self.page.grid[1] - MARGIN_MM - 1) // LINE_MM)
                raise ValueError(
                    f"The header must fit above the grid: at most {room} lines of at most "
                    f"{self.page.width - self.page.grid[0]:.0f} mm, but line {line!r} does not."
                )
            boxes.append((line, box))
        if boxes:
            page[: self.grid_box[1]] = np.asarray(above)
        return boxes

    def _ink(self):
        return Ink(self.height, self.width, self.grid_box, TRACE_MM * self.scale)

    def _grid(self):
        paper = np.full((self.height, self.width, 3), 255, dtype=np.float32)
        left, top, right, bottom = self.grid_box
        inside = paper[top:bottom, left:right]
        spans = self.page.grid[2] - self.page.grid[0], self.page.grid[3] - self.page.grid[1]
        # Heavy lines last: they lie over the light ones where both meet.
        for (step, width), colour in zip(((1, 0.1), (5, 0.2)), self.lines):
            across, down = (
                _lines(self.origin[i] - corner, span, step, self.scale, width, size)
                for i, (corner, span, size) in enumerate(
                    zip((left, top), spans, (right - left, bottom - top))
                )
            )
            cover = np.maximum(across[None, :], down[:, None])[:, :, None]
            inside += (np.array(colour, dtype=np.float32) - inside) * cover
        return np.round(paper).astype(np.uint8)

    def _footer(self, draw):
        text = f"{self.page.speed:g} mm/s    {self.page.gain:g} mm/mV"
        return text, self._text(
            draw, text, self.page.grid[0], self.page.grid[3] + LINE_MM + 1, TEXT_MM
        )

    def _labels(self, draw):
        page = self.page
        for strip in page.layout.strips:
            if strip.lead:
                x = page.x_start + strip.start * page.speed + 1.2
                box = self._text(draw, strip.lead, x, page.baselines[strip.row] - 5, LABEL_MM)
                self.label_boxes.append((strip.lead, box))

    def _text(self, draw, text, x, y, size):
        """Write text with its baseline's left end at (x, y) mm; the box of its pixels."""
        # The font that comes with Pillow: the same pixels on every machine.
        font = ImageFont.load_default(max(size * self.scale, 1))
        place = tuple(round(v) for v in self.pixels(x, y))
        draw.text(place, text, fill=INK, font=font, anchor="ls")
        left, top, right, bottom = draw.textbbox(place, text, font=font, anchor="ls")
        return _whole((left, top), (right, bottom), grow=1)

    def _separators(self, ink):
        """Short marks where a row goes from one lead to the next."""
        for strip in self.page.layout.strips:
            if strip.column:
                x = self.page.x_start + strip.start * self.page.speed
                for offset in (-8.5, 5.0):
                    ends = [
                        self.pixels(x, self.page.baselines[strip.row] + offset + mm)
                        for mm in (0, 3.5)
                    ]
                    ink.draw(*np.array(ends).T)

    def _pulses(self, ink):
        """1 mV for 0.2 s before each row."""
        page = self.page
        half = page.speed * 0.1
        centre = page.grid[0] + 7.5
        for baseline in page.baselines:
            x = centre + np.array([-half - 2, -half, -half, half, half, half + 2])
            y = baseline - page.gain * np.array([0, 0, 1, 1, 0, 0])
            x, y = self.pixels(x, y)
            ink.draw(x, y)
            # At 20 mm/mV the pulse of the first row would leave the grid.
            low = (x[0] - ink.pen / 2, max(y.min() - ink.pen / 2, self.grid_box[1]))
            high = (x[-1] + ink.pen / 2, y.max() + ink.pen / 2)
            self.calibration_boxes.append(_whole(low, high))


@lru_cache(maxsize=8)
def sheet_for(
    n_leads, layout, px_per_mm, speed, gain, grid, calibration, labels, colour="red", paper="white"
):
    """Drawn once for the same arguments: an empty page takes longer than the traces on it."""
    style = (layout, px_per_mm, speed, gain, grid, calibration, labels, colour, paper)
    return Sheet(n_leads, *style)


def _geometry(n_leads, layout, speed, gain):
    if n_leads == 1:
        return page_geometry("strip", speed, gain)
    if n_leads != len(LEADS_12) or layout == "strip":
        raise ValueError(
            f"A page is drawn from 12 leads, in the order {', '.join(LEADS_12)} and a layout such "
            f"as '3x4+II', or from 1 lead as a strip; got {n_leads} leads, layout {layout!r}."
        )
    return page_geometry(layout, speed, gain)


def _lines(start, span, step, scale, width, size):
    """Coverage of pixels by lines every ``step`` mm, along one axis."""
    centres = start + np.arange(0, span + 1e-6, step) * scale
    half = max(1.0, width * scale) / 2
    edges = np.arange(size)[:, None]
    overlap = np.minimum(edges + 1, centres + half) - np.maximum(edges, centres - half)
    return np.clip(overlap, 0, 1).max(axis=1).astype(np.float32)


def _blend(page, coverage):
    """Put ink on a page, in place."""
    where = np.flatnonzero(coverage != 0)
    share = coverage.reshape(-1)[where].astype(np.uint32)[:, None]
    pixels = page.reshape(-1, 3)
    mixed = pixels[where] * (255 - share) + np.array(INK, dtype=np.uint32) * share
    pixels[where] = (mixed + 127) // 255


def _whole(low, high, grow=0):
    """Smallest box of whole pixels around two corners."""
    return (
        int(np.floor(low[0])) - grow,
        int(np.floor(low[1])) - grow,
        int(np.ceil(high[0])) + grow,
        int(np.ceil(high[1])) + grow,
    )
