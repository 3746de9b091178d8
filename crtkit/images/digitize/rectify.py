"""An upright page: cut out where the grid lies, turned, and where needed unbent.

Tilt is a matrix. Perspective and curl are what the phase of the grid says, tile by tile: each
tile's distance along and down the page in mm, smoothed by a polynomial and by what it leaves.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import ndimage

from crtkit._io import import_optional
from crtkit.images.digitize.grid import demodulate

FLAT_PX = 0.8  # a page whose grid leaves its straight lines by less (in pixels) is only turned
_TILE_MM, _COARSE_TILE_MM = 4.0, 10.0
_SMOOTH = 0.35  # share of the deviation that a cubic surface leaves, at most
_LEAST_SEEN = 0.4  # share of the page in which the grid must be followed, to trust its bend
_CELL_MM = 5.0  # cells of the mesh that unbends a page
_MARGIN_MM = 3.0


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
        edges_x, edges_y, source = self._mesh
        at = np.stack([np.interp(y, edges_y, np.arange(len(edges_y))),
                       np.interp(x, edges_x, np.arange(len(edges_x)))])  # fmt: skip
        return tuple(
            ndimage.map_coordinates(source[..., i], at, order=1, mode="nearest") for i in (0, 1)
        )


def rectify(ink, grid, unbend="auto"):
    """Cut out, turn, and where needed unbend the part of a page with the grid.

    Parameters
    ----------
    ink : ndarray of uint8, shape (height, width)
    grid : Grid
    unbend : {"auto", True, False}
        Whether perspective and curl are taken out; "auto" does where the grid leaves straight
        lines by more than 0.8 pixels, along a smooth surface.

    Returns
    -------
    FlatPage
    """
    bend, bent = 0.0, None
    if unbend is not False:
        bent = grid_map(grid)
        bend = bent.bend if bent is not None else 0.0
    if bent is not None and (unbend is True or (bent.smooth and bend > FLAT_PX)):
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


@dataclass(frozen=True)
class GridMap:
    """Where the lines of a grid lie, tile by tile.

    Parameters
    ----------
    x, y : ndarray of shape (n_tiles,)
        Centres of the tiles that show the grid, in pixels.
    u, w : ndarray of shape (n_tiles,)
        Their mm along and down the page.
    bend : float
        Pixels (95th percentile) by which they leave the best plane lattice.
    smooth : bool
        Whether they do so along a smooth surface, as paper does.
    """

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    w: np.ndarray
    bend: float
    smooth: bool


def grid_map(grid, tile=None):
    """Millimetres of the page from the phase of its grid.

    Parameters
    ----------
    grid : Grid
    tile : int, optional
        Pixels; by default 4 mm, or 10 where only 5 mm lines are clear.

    Returns
    -------
    GridMap or None
        None where too little of the grid is seen.
    """
    # A tile must hold a period of the lines that are followed, 5 mm where 1 mm lines are blurred.
    size = _TILE_MM if min(k for _, k in grid.carriers) > 2 else _COARSE_TILE_MM
    tile = tile or max(int(round(size * grid.px)), 12)
    left, top, right, bottom = (edge // tile for edge in grid.box)
    inside = np.zeros((grid.image.shape[0] // tile, grid.image.shape[1] // tile), dtype=bool)
    inside[top:bottom, left:right] = True
    if not inside.any():
        return None
    waves, good = [], inside
    for vector, _ in grid.carriers:
        wave = demodulate(grid.image, vector, tile)
        wave = ndimage.gaussian_filter(wave.real, 1) + 1j * ndimage.gaussian_filter(wave.imag, 1)
        size = np.abs(wave)
        # Coherent neighbours keep their amplitude when they are averaged, noise does not.
        good = good & (size > 0.35 * np.percentile(size[inside], 75))
        waves.append(wave)
    good = ndimage.binary_opening(good, np.ones((3, 3)))
    labels, n_areas = ndimage.label(good)
    if not n_areas:
        return None
    sizes = ndimage.sum_labels(good, labels, range(1, n_areas + 1))
    good = labels == np.argmax(sizes) + 1
    if good.sum() < max(40, _LEAST_SEEN * inside.sum()):
        return None
    y, x = (np.mgrid[0 : good.shape[0], 0 : good.shape[1]] + 0.5) * tile - 0.5
    phases = [
        _unwrapped(wave, good) / (2 * np.pi) * 5 / k for wave, (_, k) in zip(waves, grid.carriers)
    ]
    x, y = x[good], y[good]
    deviation = np.stack([phase[good] for phase in phases], axis=-1)
    bend, smooth = _bend(x, y, deviation * [grid.px, grid.py])
    u = grid.along[0] * x + grid.along[1] * y + deviation[:, 0]
    w = grid.down[0] * x + grid.down[1] * y + deviation[:, 1]
    return GridMap(x, y, u, w, bend, smooth)


def _bend(x, y, deviation):
    """How far the tiles leave a plane lattice, and whether along a smooth surface."""
    left = []
    for degree in (1, 3):
        terms = _polynomial(x / 1000, y / 1000, degree)
        surface = terms @ np.linalg.lstsq(terms, deviation, rcond=None)[0]
        left.append(np.hypot(*(deviation - surface).T))
    # A dotted grid has phases that jump; paper bends smoothly, and a cubic surface follows it.
    smooth = np.median(left[1]) < _SMOOTH * np.median(left[0])
    return float(np.percentile(left[0], 95)), bool(smooth)


def _unwrapped(wave, good):
    angle = np.angle(wave)
    inside = angle[good]
    # Nearly flat pages, the common case, stay within half a turn of their mean.
    turn = np.angle(np.exp(1j * inside).sum())
    centred = np.angle(np.exp(1j * (angle - turn)))
    inner = np.where(good, centred, np.nan)
    steps = max(np.nanmax(np.abs(np.diff(inner, axis=axis)), initial=0.0) for axis in (0, 1))
    if steps < np.pi:
        return centred
    restoration = import_optional(
        "skimage.restoration", extra="pages", purpose="Unbending photographed pages"
    )
    return np.asarray(restoration.unwrap_phase(np.ma.masked_array(angle, ~good)).filled(0.0))


def _unbend(ink, grid, bent):
    """Resample so that lines of the grid are straight, with square millimetres."""
    scale = grid.px
    low = bent.u.min() - _MARGIN_MM, bent.w.min() - _MARGIN_MM
    high = bent.u.max() + _MARGIN_MM, bent.w.max() + _MARGIN_MM
    size = tuple(int(np.ceil((b - a) * scale)) for a, b in zip(low, high))
    edges = [
        np.linspace(0, n, max(int(np.ceil(n / scale / _CELL_MM)), 1) + 1).round().astype(int)
        for n in size
    ]
    uu, ww = np.meshgrid(edges[0] / scale + low[0], edges[1] / scale + low[1])
    source = _inverse_map(bent, uu, ww)
    mesh = []
    for j in range(len(edges[1]) - 1):
        for i in range(len(edges[0]) - 1):
            box = (edges[0][i], edges[1][j], edges[0][i + 1], edges[1][j + 1])
            quad = [source[j, i], source[j + 1, i], source[j + 1, i + 1], source[j, i + 1]]
            mesh.append((tuple(map(int, box)), tuple((np.concatenate(quad) + 0.5).tolist())))
    flat = Image.fromarray(ink).transform(
        size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC
    )
    edges = [e.astype(np.float64) - 0.5 for e in edges]
    return FlatPage(
        np.asarray(flat), scale, scale, grid.angle[0], bent.bend, "unbent",
        _mesh=(edges[0], edges[1], source - 0.0),
    )  # fmt: skip


def _polynomial(u, w, degree):
    return np.stack(
        [u**i * w**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=-1
    )


def _inverse_map(bent, uu, ww):
    """Page pixels at positions in mm: a polynomial, and the smoothed rest of the tiles."""
    mu, mw = np.median(bent.u), np.median(bent.w)
    target = np.stack([bent.x, bent.y], axis=-1)

    terms = _polynomial((bent.u - mu) / 150, (bent.w - mw) / 100, 3)
    keep = np.ones(len(terms), dtype=bool)
    for _ in range(3):
        weights, *_ = np.linalg.lstsq(terms[keep], target[keep], rcond=None)
        rest = target - terms @ weights
        far = np.hypot(*rest.T)
        keep = far < max(4 * np.median(far), 1.5)
    smooth = _polynomial((uu - mu) / 150, (ww - mw) / 100, 3) @ weights
    # Nearby tiles share their deviation: a mean with Gaussian weights over some 8 mm.
    cells = np.stack([bent.u[keep], bent.w[keep]], axis=-1)
    spread = 7.0
    here = np.stack([uu.ravel(), ww.ravel()], axis=-1)
    out = np.zeros_like(here)
    for start in range(0, len(here), 512):
        part = here[start : start + 512]
        square = ((part[:, None] - cells[None]) ** 2).sum(axis=-1)
        weight = np.exp(-0.5 * square / spread**2)
        total = weight.sum(axis=1, keepdims=True)
        out[start : start + 512] = weight @ rest[keep] / (total + 0.3)
    return smooth + out.reshape(smooth.shape)
