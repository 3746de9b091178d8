"""Pages of PDF files, rendered, and the curves that they are drawn from.

PDFium is not thread-safe: every call into it goes through one lock, so threads of a loader take
turns, and processes are independent.
"""

import ctypes
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from crtkit._io import import_optional

_LOCK = threading.RLock()
_DPI = 200
_POINTS = 72  # points an inch, PDF's unit
_MOST_POINTS = 2_000_000  # of all curves of a page: a report has some ten thousand
_DEEPEST = 6  # forms within forms


def split_page(cell):
    """Path and page of a cell such as ``"report.pdf#page=2"``.

    Parameters
    ----------
    cell : path-like

    Returns
    -------
    path : str
    page : int
        From 1; 1 where the cell names none.

    Examples
    --------
    >>> from crtkit.images.pdf import split_page
    >>> split_page("reports/a.pdf#page=2"), split_page("b.jpg")
    (('reports/a.pdf', 2), ('b.jpg', 1))
    """
    cell = os.fspath(cell)
    match = re.fullmatch(r"(.*\.pdf)#page=(\d+)", cell, re.IGNORECASE | re.DOTALL)
    return (match[1], int(match[2])) if match else (cell, 1)


def is_pdf(path):
    """Whether a cell names a PDF file, by its suffix."""
    return split_page(path)[0].lower().endswith(".pdf")


def render_pdf(path, *, dpi=_DPI, max_pixels=80_000_000):
    """Render one page.

    Parameters
    ----------
    path : path-like
        With ``#page=2`` for another page than the first.
    dpi : float
        Pixels per inch.
    max_pixels : int
        Larger pages are refused before they are rendered.

    Returns
    -------
    PIL.Image.Image
        In mode "RGB".

    Raises
    ------
    ValueError
        Not a PDF, damaged, encrypted, no such page, or too large.
    ImportError
        pypdfium2 is absent.
    """
    with _opened_page(path) as page:
        width, height = (side * dpi / _POINTS for side in page.get_size())
        # A page of kilometres is a few bytes in a PDF, and gigabytes when it is rendered.
        if not 0 < width * height <= max_pixels:
            raise ValueError(
                f"{width:.0f} x {height:.0f} pixels at {dpi:g} dpi, more than "
                f"max_pixels={max_pixels}"
            )
        return page.render(scale=dpi / _POINTS).to_pil().convert("RGB")


@dataclass(frozen=True)
class Curves:
    """Open curves of a PDF page.

    Parameters
    ----------
    curves : list of ndarray of shape (n_points, 2)
        x and y of the corners in millimetres from the page's upper left corner.
    width, height : float
        Page in millimetres.
    """

    curves: list
    width: float
    height: float


def pdf_curves(path, least=20):
    """Corners of the curves of one page, as they are stored.

    Parameters
    ----------
    path : path-like
        With ``#page=2`` for another page than the first.
    least : int
        Curves of fewer points (lines of the grid, letters) are left out.

    Returns
    -------
    Curves
        Empty for a page that holds only pictures.

    Raises
    ------
    ValueError
        As :func:`render_pdf`, or millions of points.
    """
    raw = import_optional("pypdfium2.raw", extra="pdf", purpose="Reading PDF pages")
    with _opened_page(path) as page:
        left, bottom, right, top = page.get_bbox()
        out, n_points = [], 0
        for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=_DEEPEST):
            n = raw.FPDFPath_CountSegments(item.raw)
            n_points += max(n, 0)
            if n_points > _MOST_POINTS:
                raise ValueError(f"more than {_MOST_POINTS} points on one page")
            # Hundreds of grid lines of two points each are told from leads by this alone.
            if n < least:
                continue
            matrix = _whole_matrix(item)
            for part in _subpaths(raw, item, n):
                if len(part) >= least:
                    x = matrix[0] * part[:, 0] + matrix[2] * part[:, 1] + matrix[4]
                    y = matrix[1] * part[:, 0] + matrix[3] * part[:, 1] + matrix[5]
                    out.append(np.column_stack([x - left, top - y]) * (25.4 / _POINTS))
        size = np.array([right - left, top - bottom]) * (25.4 / _POINTS)
    return Curves(out, *size.tolist())


def _whole_matrix(item):
    """Matrix of an object, through the forms that hold it."""
    matrix = item.get_matrix()
    form = item.container
    while form is not None:
        matrix = matrix.multiply(form.get_matrix())
        form = form.container
    return matrix.get()


def _subpaths(raw, item, n):
    """Corners of each part that begins with a move; parts with Bezier curves are left out."""
    x, y = ctypes.c_float(), ctypes.c_float()
    parts, straight = [], []
    for i in range(n):
        segment = raw.FPDFPath_GetPathSegment(item.raw, i)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == raw.FPDF_SEGMENT_MOVETO or not parts:
            parts.append([])
            straight.append(True)
        straight[-1] &= kind != raw.FPDF_SEGMENT_BEZIERTO
        parts[-1].append((x.value, y.value))
    return [np.array(part) for part, good in zip(parts, straight) if good]


@contextmanager
def _opened_page(path):
    pdfium = import_optional("pypdfium2", extra="pdf", purpose="Reading PDF pages")
    path, number = split_page(path)
    # PDFium keeps global state: two threads inside it crash the process.
    with _LOCK:
        try:
            document = pdfium.PdfDocument(path)
        except FileNotFoundError as error:
            raise ValueError("no such file") from error
        except (pdfium.PdfiumError, OSError) as error:
            raise ValueError(f"not a PDF file that can be opened: {error}") from error
        try:
            if not 1 <= number <= len(document):
                raise ValueError(f"page {number} of a file of {len(document)} page(s)")
            try:
                page = document[number - 1]
            except pdfium.PdfiumError as error:
                raise ValueError(f"page {number} is damaged: {error}") from error
            try:
                yield page
            except pdfium.PdfiumError as error:
                raise ValueError(f"page {number} cannot be rendered: {error}") from error
            finally:
                page.close()
        finally:
            document.close()
