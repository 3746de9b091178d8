"""Text among the traces of a page: names of leads, numbers, notes that stand on the grid."""

import numpy as np
from scipy import ndimage

from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import UnreadablePageError, darkness, even_light, ink_level, widen

_WIDE_MM, _TALL_MM, _LEAST_MM = 9.0, 6.5, 0.7  # a letter, or a short word whose letters touch
_DARK, _FULL = 0.6, 0.85  # shares of full ink; dots of a grid have half of it, letters all
_NEAR_MM = 1.0  # dots and accents of a letter are no farther from it
_GAP_MM = 0.4  # a trace that was drawn thin breaks into pieces no farther apart
_BESIDE_MM = (1.5, 0.8)  # height and width of what is a letter although a trace is as near


def find_lettering(page):
    """Find text that stands on the grid, apart from the traces.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)

    Returns
    -------
    ndarray of bool, shape (height, width)
        Pixels of letters, a pixel wider than their ink. Text that touches a trace is part of the
        trace for this function.

    Raises
    ------
    ValueError
        No grid of millimetres, by which letters are told from traces.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import render_page
    >>> from crtkit.images.lettering import find_lettering
    >>> page, truth = render_page(np.zeros((12, 5000)), px_per_mm=6)
    >>> found = find_lettering(page)
    >>> left, top, right, bottom = truth.label_boxes[0][1]
    >>> bool(found[top:bottom, left:right].any())
    True
    """
    ink, lines = darkness(page)
    even = even_light(ink)
    if even is not ink:
        ink, lines = even, even_light(lines)
    try:
        grid = find_lines(ink, lines)
    except UnreadablePageError as error:
        raise ValueError(f"letters cannot be told from traces: {error}") from error
    px, py = grid.px, grid.py
    level = ink_level(ink)
    dark = ink > _DARK * level
    # Pieces of a broken trace are one for this purpose: a short piece is no letter.
    joined = widen(dark, max(1, int(round(_GAP_MM * px / 2))))
    label, n_parts = ndimage.label(joined, np.ones((3, 3)))
    if not n_parts:
        return np.zeros(dark.shape, dtype=bool)
    boxes = ndimage.find_objects(label)
    size = np.array([[(s.stop - s.start) for s in box] for box in boxes]) / [py, px]
    tall, wide = size.T
    full = ndimage.maximum(ink, label, np.arange(1, n_parts + 1)) > _FULL * level
    letter = full & (wide < _WIDE_MM) & (tall < _TALL_MM) & (tall > _LEAST_MM)
    small = full & (wide < _LEAST_MM + _GAP_MM) & (tall <= _LEAST_MM + _GAP_MM)
    found = np.r_[False, letter][label]
    if small.any():
        beside = widen(found, int(round(_NEAR_MM * px)))
        near = ndimage.maximum(beside, label, np.arange(1, n_parts + 1)) > 0
        found = np.r_[False, letter | (small & near)][label]
    close = _beside_traces(dark & ~found, label, ink > _FULL * level, px, py)
    return widen(found & joined, 1) | (widen(close, 2) & ~(dark & ~close & ~found))


def _beside_traces(dark, group, full, px, py):
    """Letters that stand no farther from a trace than its own pieces from each other.

    A trace is a function of time: a piece of it has its columns for itself, while past a letter
    the trace goes on above or below.
    """
    label, n_parts = ndimage.label(dark, np.ones((3, 3)))
    out = np.zeros(dark.shape, dtype=bool)
    boxes = ndimage.find_objects(label)
    size = np.array([[(s.stop - s.start) for s in box] for box in boxes]).reshape(-1, 2) / [py, px]
    tall, wide = size.T
    like = (tall < _TALL_MM) & (wide < _WIDE_MM) & (tall > _BESIDE_MM[0]) & (wide > _BESIDE_MM[1])
    trace = np.r_[False, wide >= _WIDE_MM][label]
    for i in np.flatnonzero(like):
        rows, columns = boxes[i]
        inside = label[rows, columns] == i + 1
        if not full[rows, columns][inside].any():
            continue
        here = group[rows, columns][inside].max()
        along = (trace[:, columns] & (group[:, columns] == here)).any(axis=0)
        if along.all():
            out[rows, columns] |= inside
    return out


def paint_over(page, mask):
    """Fill pixels with the paper around them, in place.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    mask : ndarray of bool, shape (height, width)
    """
    label, n_parts = ndimage.label(mask, np.ones((3, 3)))
    for i, (rows, columns) in enumerate(ndimage.find_objects(label), start=1):
        around = (
            slice(max(rows.start - 3, 0), rows.stop + 3),
            slice(max(columns.start - 3, 0), columns.stop + 3),
        )
        here, paper = label[around] == i, ~mask[around]
        part = page[around]
        part[here] = np.median(part[paper], axis=0) if paper.any() else 255
