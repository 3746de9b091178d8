"""An upright page: cut out where the grid lies, turned, and where needed unbent.

Tilt is a matrix. Perspective and curl are what the phase of the grid says, tile by tile: a plane
seen from the side, a smooth surface on it, and what both leave.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from crtkit.images.digitize.lattice import follow_grid, plane_of, through
from crtkit.images.digitize.surface import page_of, straightened

FLAT_PX = 0.8  # a page whose grid leaves its straight lines by less (in pixels) is only turned
FLAT_MM = 0.1  # or by less than this, on a coarse page: 4 ms
_MARGIN_MM = 3.0
_BEYOND_MM = 60.0  # traces run on where lines are too pale to follow, so far at most


@dataclass(frozen=True)
class FlatPage:
    """The part of a page with the grid, upright.

    Parameters
    ----------
    ink : ndarray of uint8, shape (height, width)
        Darkness.
    px, py : float
        Pixels per mm of the grid, along and down.
    angle : float
        Degrees that the page was turned by.
    bend : float
        Pixels (95th percentile) by which the grid leaves a plane lattice.
    method : {"cut", "turned", "unbent"}
    """

    ink: np.ndarray
    px: float
    py: float
    angle: float
    bend: float
    method: str
    _matrix: np.ndarray = field(repr=False, default=None)
    _mesh: tuple = field(repr=False, default=None)

    def to_page(self, x, y):
        """Pixels of the upright page to pixels of the page as it came.

        Parameters
        ----------
        x, y : array-like

        Returns
        -------
        x, y : ndarray
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if self._mesh is None:
            (a, b, c), (d, e, f) = self._matrix
            return a * x + b * y + c, d * x + e * y + f
        return page_of(self._mesh, x, y)


def rectify(ink, grid, unbend="auto"):
    """Cut out, turn, and where needed unbend the part of a page with the grid.

    Parameters
    ----------
    ink : ndarray of uint8, shape (height, width)
    grid : Grid
    unbend : {"auto", True, False}
        Whether perspective and curl are taken out; "auto" does where the grid leaves straight
        lines by more than 0.8 pixels or 0.1 mm, along a smooth surface.

    Returns
    -------
    FlatPage
    """
    bend, bent = 0.0, None
    if unbend is not False:
        bent = follow_grid(grid)
        bend = bent.bend if bent is not None else 0.0
    if bent is not None and (
        unbend is True or (bent.smooth and bend > min(FLAT_PX, FLAT_MM * grid.px))
    ):
        return _unbend(ink, grid, bent)
    angle = grid.angle
    left, top, right, bottom = grid.box
    if np.deg2rad(max(map(abs, angle))) * (right - left) < 0.7:
        matrix = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
        return FlatPage(
            ink[top:bottom, left:right], grid.px, grid.py, angle[0], bend, "cut", matrix
        )
    return _turn(ink, grid, bend)


def _turn(ink, grid, bend):
    scale = np.array([grid.px, grid.py])
    lattice = np.array([grid.along, grid.down]) * scale[:, None]
    left, top, right, bottom = grid.box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ lattice.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = tuple(np.ceil(high - low).astype(int).tolist())
    back = np.linalg.inv(lattice)
    shift = back @ low
    # Pillow samples the centre of a target pixel, (x + 0.5, y + 0.5), in corner coordinates.
    matrix = np.column_stack([back, shift])
    flat = Image.fromarray(ink).transform(
        size, Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BICUBIC
    )
    centre = matrix.copy()
    centre[:, 2] += back @ [0.5, 0.5] - 0.5
    return FlatPage(np.asarray(flat), *scale.tolist(), grid.angle[0], bend, "turned", centre)


def _unbend(ink, grid, bent):
    """Resample so that lines of the grid are straight, with square millimetres."""
    scale = grid.px
    low, high = _extent(ink.shape, bent)
    size = tuple(int(np.ceil((b - a) * scale)) for a, b in zip(low, high))
    flat, mesh = straightened(ink, bent, low, size, scale)
    return FlatPage(flat, scale, scale, grid.angle[0], bent.bend, "unbent", _mesh=mesh)


def _extent(shape, bent):
    """Least and largest mm along and down the page, of its corners, not far beyond the tiles."""
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    seen = np.stack([bent.u, bent.w], axis=-1)
    page = through(plane_of(np.stack([bent.x, bent.y], axis=-1), seen), corners)
    low = np.maximum(page.min(axis=0), seen.min(axis=0) - _BEYOND_MM) - _MARGIN_MM
    high = np.minimum(page.max(axis=0), seen.max(axis=0) + _BEYOND_MM) + _MARGIN_MM
    return low, high
