"""A bent page as a surface: a plane seen from the side, a cubic wave on it, and what both leave."""

import numpy as np
from PIL import Image
from scipy import ndimage

from crtkit.images.digitize.plane import plane_of, through

_CELL_MM = 5.0  # cells of the mesh that unbends a page
_ON_MM = 12.0  # so far beyond its tiles the wave goes on as it went


def straightened(image, bent, low, size, scale, resample=Image.Resampling.BICUBIC):
    """A picture resampled so that lines of the grid are straight, with square millimetres.

    Parameters
    ----------
    image : ndarray of uint8 or float32, shape (height, width)
    bent : GridMap
    low : ndarray of shape (2,)
        mm along and down the page of the left upper corner that comes out.
    size : tuple of int
        Width and height of what comes out.
    scale : float
        Pixels per mm of what comes out.
    resample : PIL.Image.Resampling

    Returns
    -------
    flat : ndarray of shape (height, width)
    mesh : tuple of ndarray
        x and y of the mesh's lines, and their place in the picture; for :func:`page_of`.
    """
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
    # Outside the picture there is no grid, and no ink: its own middle grey makes no edge.
    fill = float(np.median(image[::8, ::8])) if image.dtype != np.uint8 else None
    flat = Image.fromarray(image).transform(
        size, Image.Transform.MESH, mesh, resample, fillcolor=fill
    )
    return np.asarray(flat), (edges[0] - 0.5, edges[1] - 0.5, source)


def page_of(mesh, x, y):
    """Pixels of the straightened picture to pixels of the picture itself.

    Parameters
    ----------
    mesh : tuple of ndarray
        From :func:`straightened`.
    x, y : ndarray

    Returns
    -------
    x, y : ndarray
    """
    edges_x, edges_y, source = mesh
    at = np.stack([np.interp(y, edges_y, np.arange(len(edges_y))),
                   np.interp(x, edges_x, np.arange(len(edges_x)))])  # fmt: skip
    return tuple(
        ndimage.map_coordinates(source[..., i], at, order=1, mode="nearest") for i in (0, 1)
    )


def _inverse_map(bent, uu, ww):
    """Page pixels at positions in mm: a plane, a cubic surface on it, and the smoothed rest."""
    seen = np.stack([bent.u, bent.w], axis=-1)
    target = np.stack([bent.x, bent.y], axis=-1)
    here = np.stack([uu.ravel(), ww.ravel()], axis=-1)
    plane = plane_of(seen, target)
    rest = target - through(plane, seen)
    middle, spread = np.median(seen, axis=0), np.array([150.0, 100.0])
    terms = _polynomial((seen - middle) / spread, 3)
    keep = np.ones(len(terms), dtype=bool)
    for _ in range(3):
        weights, *_ = np.linalg.lstsq(terms[keep], rest[keep], rcond=None)
        left = rest - terms @ weights
        far = np.hypot(*left.T)
        keep = far < max(4 * np.median(far), 1.5)
    out = through(plane, here) + _wave(here, seen, middle, spread, weights)
    # Nearby tiles share their deviation: a mean with Gaussian weights over some 8 mm.
    for start in range(0, len(here), 512):
        part = here[start : start + 512]
        square = ((part[:, None] - seen[keep][None]) ** 2).sum(axis=-1)
        weight = np.exp(-0.5 * square / 7.0**2)
        total = weight.sum(axis=1, keepdims=True)
        out[start : start + 512] += weight @ left[keep] / (total + 0.3)
    return out.reshape(*uu.shape, 2)


def _wave(here, seen, middle, spread, weights):
    """The cubic surface; a little beyond its tiles its tangent, farther out level.

    A cubic surface runs off where no tile holds it. Level at once would leave the outermost
    millimetres, where a curl is steepest, off by as much as they are from the last tile.
    """
    low, high = seen.min(axis=0), seen.max(axis=0)
    held = np.clip(here, low, high)
    on = np.clip(here, low - _ON_MM, high + _ON_MM) - held
    step = 1e-3
    level = _polynomial((held - middle) / spread, 3)
    before = _polynomial((held - step * on - middle) / spread, 3)
    return (level + (level - before) / step) @ weights


def _polynomial(place, degree):
    u, w = place.T
    return np.stack(
        [u**i * w**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=-1
    )
