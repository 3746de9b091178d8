"""The grid of a bent page, followed tile by tile: where each place of the picture lies in mm.

A page seen from the side has a coarser grid at one end than at the other, so one frequency follows
it only so far. What was followed gives a plane; the picture is straightened by it, and followed
again, until no more of the grid comes in.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from crtkit._io import import_optional
from crtkit.images.digitize.grid import demodulate
from crtkit.images.digitize.plane import plane_of, through
from crtkit.images.digitize.surface import page_of, straightened

_TILE_MM, _COARSE_TILE_MM = 4.0, 10.0
_SMOOTH = 0.35  # share of the deviation that a cubic surface leaves, at most
_LEAST_TILES, _LEAST_SEEN = 40, 0.4  # tiles, and share of the page, in which the grid is followed
_PALEST, _COHERENT = 0.15, 0.6
_PASSES = 3
_UNEVEN = 0.01  # change of scale over the page, above which it is worth another pass
_CURLED = 1.0  # pixels that the lines leave any plane by, above which the surface is followed
_GROWN = 1.03  # tiles that come in, below which what was known is not replaced
_ROUND_MM = 25.0  # beyond the tiles that are known, others are looked for so far
_MOST_GROWTH = 2.5  # a plane that makes the picture so much larger is no photograph of a page


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
    seen : float
        Share of the tiles of the picture that they are.
    """

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    w: np.ndarray
    bend: float
    smooth: bool
    seen: float


def follow_grid(grid):
    """Millimetres of the page from the phase of its grid, over as much of it as can be followed.

    Parameters
    ----------
    grid : Grid

    Returns
    -------
    GridMap or None
        None where too little of the grid is seen.
    """
    first = _tiles(grid.image, grid.carriers, (grid.along, grid.down), grid.box, first=True)
    if first is None:
        return None
    best, off = first, first.bend
    for _ in range(_PASSES):
        if not first.smooth or _unevenness(best) < _UNEVEN:
            break
        more = _straightened(grid, best)
        off = off if more is None else more.bend
        if more is None or len(more.x) <= len(best.x):
            break
        grown = len(more.x) / len(best.x)
        best = replace(more, bend=max(more.bend, first.bend), smooth=True)
        if grown < 1.05:
            break
    # A curled page has closer lines than any plane: straightened along its surface the last of
    # them are followed too, and those are at its edges, where rows begin.
    for _ in range(_PASSES if best.smooth and off > _CURLED else 0):
        more = _unrolled(grid, best)
        if more is None or len(more.x) < _GROWN * len(best.x):
            break
        best = replace(more, bend=best.bend, smooth=True)
    return best if best.seen >= _LEAST_SEEN else None


def _tiles(image, carriers, lattice, box, first=False, tile=None):
    """Tiles of one picture in which lines of one frequency are followed."""
    along, down = lattice
    px, py = 1 / np.hypot(*along), 1 / np.hypot(*down)
    # A tile must hold a period of the lines that are followed, 5 mm where 1 mm lines are blurred.
    size = _TILE_MM if min(k for _, k in carriers) > 2 else _COARSE_TILE_MM
    tile = tile or max(int(round(size * px)), 12)
    left, top, right, bottom = (edge // tile for edge in box)
    inside = np.zeros((image.shape[0] // tile, image.shape[1] // tile), dtype=bool)
    inside[top:bottom, left:right] = True
    if not inside.any():
        return None
    waves, good = [], inside
    for vector, _ in carriers:
        wave = demodulate(image, vector, tile)
        each = ndimage.gaussian_filter(np.abs(wave), 1)
        wave = ndimage.gaussian_filter(wave.real, 1) + 1j * ndimage.gaussian_filter(wave.imag, 1)
        size = np.abs(wave)
        # Coherent neighbours keep their amplitude when they are averaged, noise does not; light
        # that falls unevenly leaves some of the grid pale.
        least, alike = (0.35, 0.0) if first else (_PALEST, _COHERENT)
        good = good & (size > least * np.percentile(size[inside], 75)) & (size > alike * each)
        waves.append(wave)
    good = ndimage.binary_opening(good, np.ones((3, 3)))
    labels, n_areas = ndimage.label(good)
    if not n_areas:
        return None
    sizes = ndimage.sum_labels(good, labels, range(1, n_areas + 1))
    good = labels == np.argmax(sizes) + 1
    if good.sum() < _LEAST_TILES:
        return None
    y, x = (np.mgrid[0 : good.shape[0], 0 : good.shape[1]] + 0.5) * tile - 0.5
    phases = [_unwrapped(wave, good) / (2 * np.pi) * 5 / k for wave, (_, k) in zip(waves, carriers)]
    x, y = x[good], y[good]
    deviation = np.stack([phase[good] for phase in phases], axis=-1)
    bend, smooth = _bend(x, y, deviation * [px, py])
    u = along[0] * x + along[1] * y + deviation[:, 0]
    w = down[0] * x + down[1] * y + deviation[:, 1]
    return GridMap(x, y, u, w, bend, smooth, float(good.sum() / inside.sum()))


def _straightened(grid, known):
    """Tiles of the picture as its plane straightens it, told in pixels of the picture itself."""
    scale = grid.px
    pixels, mm = np.stack([known.x, known.y], axis=-1), np.stack([known.u, known.w], axis=-1)
    plane = plane_of(pixels, mm)
    height, width = grid.image.shape
    corners = through(plane, np.array([[0, 0], [width, 0], [width, height], [0, height]], float))
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.ceil((high - low) * scale).astype(int)
    if not np.isfinite(corners).all() or size.prod() > _MOST_GROWTH * height * width:
        return None
    move = np.array([[1 / scale, 0, low[0]], [0, 1 / scale, low[1]], [0, 0, 1]])
    back = np.linalg.inv(plane) @ move
    back = back / back[2, 2]
    flat = Image.fromarray(grid.image).transform(
        tuple(size.tolist()),
        Image.Transform.PERSPECTIVE,
        back.ravel()[:8].tolist(),
        Image.Resampling.BILINEAR,
        fillcolor=float(np.median(grid.image)),
    )
    return _nominal_tiles(
        grid, np.asarray(flat), lambda x, y: through(back, np.stack([x, y], axis=-1)).T
    )


def _nominal_tiles(grid, flat, page):
    """Tiles of a picture whose lines are straight but for what is still unknown of them."""
    scale = grid.px
    carriers = [
        (np.array([k / 5 / scale, 0.0]) if axis == 0 else np.array([0.0, k / 5 / scale]), k)
        for axis, (_, k) in enumerate(grid.carriers)
    ]
    lattice = np.array([1 / scale, 0.0]), np.array([0.0, 1 / scale])
    found = _tiles(flat, carriers, lattice, (0, 0, *flat.shape[::-1]))
    if found is None:
        return None
    height, width = grid.image.shape
    x, y = page(found.x, found.y)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    share = min(1.0, found.seen * flat.size / (height * width))
    return replace(
        found, x=x[inside], y=y[inside], u=found.u[inside], w=found.w[inside], seen=share
    )


def _unrolled(grid, known):
    """Tiles of the picture as the surface of those that are known straightens it."""
    scale = grid.px
    seen = np.stack([known.u, known.w], axis=-1)
    low, high = seen.min(axis=0) - _ROUND_MM, seen.max(axis=0) + _ROUND_MM
    size = tuple(np.ceil((high - low) * scale).astype(int).tolist())
    height, width = grid.image.shape
    if size[0] * size[1] > _MOST_GROWTH * height * width:
        return None
    flat, mesh = straightened(grid.image, known, low, size, scale, Image.Resampling.BILINEAR)
    return _nominal_tiles(grid, flat, lambda x, y: page_of(mesh, x, y))


def _unevenness(known):
    """By which share the scale changes over the tiles."""
    plane = plane_of(np.stack([known.x, known.y], axis=-1), np.stack([known.u, known.w], axis=-1))
    depth = plane[2, 0] * known.x + plane[2, 1] * known.y + plane[2, 2]
    return float(np.ptp(depth) / np.abs(depth).max())


def _bend(x, y, deviation):
    """How far the tiles leave a plane lattice, and whether along a smooth surface."""
    left = []
    for degree in (1, 3):
        i, j = np.array([(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]).T
        terms = (x[:, None] / 1000) ** i * (y[:, None] / 1000) ** j
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
