"""Ink of a page: how dark each pixel is, and the upright runs of dark pixels in each column.

A trace is a function of time, so each column of an upright page holds one run of ink a row; what
else is dark (labels, lines, dots) makes runs too. Everything behind this works on runs, some tens
of thousands per page, not on millions of pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageChops
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

INK_QUANTILE = 0.997  # share of a page's pixels that is lighter than full ink
LEAST_INK = 40.0  # darkness (of 255) below which nothing counts as ink
WALL_MM = 50.0  # an upright line longer than this separates columns, no QRS is so tall
TEXT, MARK, SPECK = 1, 2, 3
_PALE, _GRID_QUANTILE = 0.25, 0.985  # share of full ink; of the pixels away from it
_COARSE_PX = 7.0  # px per mm: on finer pages a thin pen still fills its pixels
_THIN_PX = 2  # a quarter of the runs of a thin pen are lower than this


class UnreadablePageError(ValueError):
    """A page cannot be digitised; the message is the reason."""


def darkness(page):
    """Darkness of ink, and of the grid.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)

    Returns
    -------
    ink : ndarray of uint8, shape (height, width)
        255 minus the lightest channel: a coloured grid all but vanishes, black ink stays.
    lines : ndarray of uint8, shape (height, width)
        255 minus the darkest channel, in which the grid is strongest.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.digitize.ink import darkness
    >>> ink, lines = darkness(np.array([[[255, 150, 150], [20, 20, 20]]], np.uint8))
    >>> ink.tolist(), lines.tolist()
    ([[0, 235]], [[105, 235]])
    """
    # Pillow's channel operations take a fifth of the time of numpy's max along the last axis.
    red, green, blue = Image.fromarray(page).split()
    light = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    dark = ImageChops.darker(ImageChops.darker(red, green), blue)
    return np.asarray(ImageChops.invert(light)), np.asarray(ImageChops.invert(dark))


def even_light(image, cell=24, least=14):
    """Subtract uneven paper, shadows and tinted paper from a darkness image.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width)
    cell : int
        Pixels of the cells whose lightest parts tell the paper.
    least : int
        Images whose paper is never darker than this come back unchanged.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    height, width = image.shape
    rows, columns = max(height // cell, 1), max(width // cell, 1)
    part = image[: rows * cell, : columns * cell][:: max(cell // 12, 1), :: max(cell // 12, 1)]
    tall, wide = part.shape[0] // rows, part.shape[1] // columns
    if not tall or not wide:
        return image
    cells = part[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    paper = np.percentile(cells, 30, axis=(1, 3))
    if np.percentile(paper, 90) < least:
        return image
    # A cell may be all ink; its neighbours know the paper better.
    paper = ndimage.median_filter(paper, 3, mode="nearest").astype(np.float32)
    paper = ndimage.gaussian_filter(paper, 1.0, mode="nearest")
    whole = Image.fromarray(paper).resize((width, height), Image.Resampling.BILINEAR)
    paper = np.asarray(whole)
    # What the light takes from the paper it takes from the ink: scale to full contrast.
    out = (image - paper) * (255.0 / np.maximum(255.0 - paper, 60.0))
    return np.clip(out, 0, 255).astype(np.uint8)


def ink_level(ink):
    """Darkness of full ink: a high quantile of all pixels."""
    return max(float(quantile(ink, INK_QUANTILE)), LEAST_INK)


def quantile(image, share):
    """Grey level below which a share of the pixels lies."""
    count = np.cumsum(Image.fromarray(np.ascontiguousarray(image)).histogram())
    return int(np.searchsorted(count, share * count[-1]))


def widen(mask, by):
    """Dilate by a square of side ``2 * by + 1``."""
    # Shifting a boolean image is ten times as fast as a rank filter.
    for axis in (0, 1):
        out = mask.copy()
        target, source = (out, mask) if axis == 0 else (out.T, mask.T)
        for shift in range(1, by + 1):
            target[shift:] |= source[:-shift]
            target[:-shift] |= source[shift:]
        mask = out
    return mask


@dataclass(frozen=True)
class Runs:
    """Upright runs of ink, sorted by column, then from top to bottom.

    Parameters
    ----------
    column, top, bottom : ndarray of int, shape (n_runs,)
        ``ink[top : bottom + 1, column]`` is dark.
    upper, lower : ndarray of float, shape (n_runs,)
        The same edges to a fraction of a pixel, where the darkness is half of the run's own.
    kind : ndarray of int8, shape (n_runs,)
        What the connected ink that holds the run looks like: 0 a trace, else ``TEXT``, ``MARK``
        (an upright stroke) or ``SPECK``.
    above, below : ndarray of int, shape (width,)
        Rows between which a wall (a line taller than any QRS) hides each column.
    shape : tuple of int
        Height and width of the image.
    """

    column: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    kind: np.ndarray
    above: np.ndarray
    below: np.ndarray
    shape: tuple

    @property
    def height(self):
        """Pixels of each run."""
        return self.bottom - self.top + 1

    def take(self, keep):
        """Runs of a selection."""
        names = ("column", "top", "bottom", "upper", "lower", "kind")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})


def find_runs(ink, px, py, level=None, most=250_000):
    """Find the runs of ink of an upright page.

    Parameters
    ----------
    ink : ndarray of uint8, shape (height, width)
    px, py : float
        Pixels per mm along and down the page.
    level : float, optional
        Darkness of full ink; by default :func:`ink_level`.
    most : int
        More runs than this are noise, not a page.

    Returns
    -------
    Runs

    Raises
    ------
    UnreadablePageError
        No ink, or noise all over.
    """
    level = ink_level(ink) if level is None else level
    height, width = ink.shape
    strong = ink > 0.5 * level
    column, top, bottom = _column_runs(strong)
    if len(column) and px < _COARSE_PX and np.percentile(bottom - top + 1, 25) < _THIN_PX:
        # A thin pen that moves fast leaves a QRS complex at a third of the darkness.
        pale = _pale_level(ink, strong, level)
        if pale < 0.45 * level:
            column, top, bottom = _column_runs(ink > pale)
    if not len(column):
        raise UnreadablePageError("no ink was found")
    if len(column) > most:
        raise UnreadablePageError(f"{len(column)} runs of ink: noise covers the page")
    column, top, bottom = _join(ink, column, top, bottom, 0.3 * level, 0.8 * py)
    wall = bottom - top + 1 > WALL_MM * py
    above, below = np.full(width, height), np.full(width, -1)
    np.minimum.at(above, column[wall], top[wall])
    np.maximum.at(below, column[wall], bottom[wall])
    above = ndimage.minimum_filter1d(above, 3)  # what stands beside a wall is its edge
    below = ndimage.maximum_filter1d(below, 3)
    keep = (bottom < above[column]) | (top > below[column])
    column, top, bottom = column[keep], top[keep], bottom[keep]
    if not len(column):
        raise UnreadablePageError("no ink was found but upright lines")
    kind = _kinds(column, top, bottom, px, py)
    upper, lower = _edges(ink, column, top, bottom, level)
    return Runs(column, top, bottom, upper, lower, kind, above, below, ink.shape)


def _column_runs(mask):
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask.T
    step = np.diff(padded, axis=1)
    column, top = np.nonzero(step == 1)
    _, stop = np.nonzero(step == -1)
    return column, top, stop - 1


def _pale_level(ink, strong, level):
    """Darkness from which pale ink is told from the grid: that of a steep, hardly inked stroke."""
    away = ink[::3, ::3][~widen(strong, 2)[::3, ::3]]
    if not away.size:
        return level
    # What is darkest away from all ink is grid, dots or stains, apart from a few strokes.
    count = np.cumsum(np.bincount(away, minlength=256))
    grid = int(np.searchsorted(count, _GRID_QUANTILE * count[-1]))
    return max(_PALE * level, grid + 0.06 * level)


def _join(ink, column, top, bottom, least, gap):
    """Join runs of a column that faint ink connects: a stroke's edge has partly covered pixels."""
    near = (column[1:] == column[:-1]) & (top[1:] - bottom[:-1] - 1 <= gap)
    first = np.flatnonzero(near)
    if len(first):
        size = top[first + 1] - bottom[first] - 1
        faintest = np.full(len(first), 255.0)
        for k in range(1, int(gap) + 1):
            inside = first[size >= k]
            here = ink[bottom[inside] + k, column[inside]]
            faintest[size >= k] = np.minimum(faintest[size >= k], here)
        near[first] = faintest > least
    return column[np.r_[True, ~near]], top[np.r_[True, ~near]], bottom[np.r_[~near, True]]


def _kinds(column, top, bottom, px, py):
    label, n_parts = components(column, top, bottom)
    ids = np.arange(n_parts)
    left, right = ndimage.minimum(column, label, ids), ndimage.maximum(column, label, ids)
    high, low = ndimage.minimum(top, label, ids), ndimage.maximum(bottom, label, ids)
    wide, tall = (right - left + 1) / px, (low - high + 1) / py
    kind = np.zeros(n_parts, dtype=np.int8)
    kind[(wide < 8) & (tall > 1.2) & (tall < 6)] = TEXT
    kind[(wide < 1.6) & (tall > 1.5) & (tall < 16)] = MARK
    kind[(wide < 0.6) & (tall < 0.6)] = SPECK
    return kind[label]


def components(column, top, bottom):
    """Number the connected parts of runs in neighbouring columns.

    Parameters
    ----------
    column, top, bottom : ndarray of int, shape (n_runs,)
        Sorted by column, then top.

    Returns
    -------
    label : ndarray of int, shape (n_runs,)
    n_parts : int
    """
    n_runs = len(column)
    # One key orders all runs, so the neighbours of each lie between two binary searches.
    span = int(bottom.max()) + 4
    key = column.astype(np.int64) * span
    target = key + span
    first = np.searchsorted(key + bottom, target + np.maximum(top - 1, 0))
    last = np.searchsorted(key + top, target + np.minimum(bottom + 1, span - 1), side="right")
    count = np.maximum(last - first, 0)
    i = np.repeat(np.arange(n_runs), count)
    j = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    graph = sparse.coo_matrix((np.ones(len(i), np.int8), (i, j)), shape=(n_runs, n_runs))
    n_parts, label = connected_components(graph, directed=False)
    return label, n_parts


def _edges(ink, column, top, bottom, level):
    height = ink.shape[0]
    middle = np.maximum(ink[top, column], ink[bottom, column])
    middle = np.maximum(middle, ink[(top + bottom) // 2, column])
    out = []
    for end, other, step in ((top, bottom, 1), (bottom, top, -1)):
        deep = end + step * np.minimum(np.abs(other - end), 2)
        near = np.maximum(ink[(end + deep) // 2, column], ink[deep, column])
        near = np.maximum(near, ink[end, column])
        # The tip of a pale stroke is measured against itself, not against full ink.
        half = 0.5 * np.where(near < 0.5 * level, near, np.minimum(middle, level))
        for _ in range(2):  # runs of pale ink begin before the edge
            inner = np.where(end == other, end, end + step)
            end = np.where(
                (ink[end, column] < half) & (ink[inner, column] >= near * 0.5), inner, end
            )
        inside, outside = ink[end, column], ink[np.clip(end - step, 0, height - 1), column]
        out.append(end - step * _part(inside, outside, half))
    return tuple(out)


def _part(inside, outside, half):
    inside, outside = inside.astype(np.float64), outside.astype(np.float64)
    return np.clip((inside - half) / np.maximum(inside - outside, 0.3), 0, 1)
