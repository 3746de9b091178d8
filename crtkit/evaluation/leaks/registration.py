"""Whether two pages are one and the same, moved a little: their ink, laid one over the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from scipy import fft, ndimage

#: Pages above are the same. Copies made brighter by 1.2, turned by 1 degree, moved by 0.4 %,
#: cropped by 1 % or saved at JPEG quality 30 reach 0.91 and more, resized to a third of their side
#: 0.83; of 431 real pages on one form the two that are most alike reach 0.72, of 90 simulated 0.50.
SAME = 0.78
#: Pages of fewer pixels a side hold too little of the trace to tell.
LEAST_SIDE = 200
_FINE, _COARSE = 512, 256  # pixels of the longer side
_STRANGERS = 0.6  # at the coarse size, where copies reach 0.87
# Degrees and factors that are tried, then around the best of them.
_TURNS, _SCALES = np.arange(-1.5, 1.51, 0.25), np.arange(0.97, 1.031, 0.0075)
_FINE_TURNS, _FINE_SCALES = np.arange(-0.15, 0.16, 0.075), np.arange(-0.004, 0.0041, 0.002)
# Of thumbnails, which are as wide as they are high: a page is about so much wider.
_WIDER = 1.4
_ROUGH = [(turn, scale) for turn in (-1.0, -0.5, 0.0, 0.5, 1.0)
          for scale in (0.98, 0.99, 1.0, 1.01, 1.02)]  # fmt: skip
# Of 215 real pages all copies were above, half of the strangers below.
_LIKELY = (0.2, 0.07)
_BLOCK = 256
_REACH = 0.045  # of the longer side, by which a page may be moved


def page_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the ink of two pages where one lies on the other best.

    Turned by up to 1.5 degrees, scaled by up to 3 % and moved by up to 4 % of the side. What is
    dark counts, whatever its surroundings: a form's light grid and the paper's brightness do not.

    Parameters
    ----------
    a, b : ndarray of uint8, shape (height, width, 3)
        Of any size; the smaller decides at which they are compared.

    Returns
    -------
    float
        At most 1; :data:`SAME` is where copies begin.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.evaluation.leaks.registration import page_agreement
    >>> page = np.full((300, 400, 3), 255, dtype=np.uint8)
    >>> page[150 + (40 * np.sin(np.arange(400) / 9)).astype(int), np.arange(400)] = 0
    >>> page_agreement(page, np.roll(page, 3, axis=1)) > 0.9
    True
    """
    small = min(a.shape[:2], b.shape[:2], key=lambda shape: shape[0] * shape[1])
    coarse_a, coarse_b = (_ink(page, small, _COARSE) for page in (a, b))
    rough, turn, scale = _best(coarse_a, coarse_b, _TURNS, _SCALES)
    if rough < _STRANGERS:
        return rough
    fine_a, fine_b = (_ink(page, small, _FINE) for page in (a, b))
    return _best(fine_a, fine_b, turn + _FINE_TURNS, scale + _FINE_SCALES)[0]


def _ink(page: np.ndarray, shape: tuple[int, int], side: int) -> np.ndarray:
    """How much darker than its surroundings each pixel is, of colours the lightest part."""
    factor = min(1.0, side / max(shape))
    height, width = (max(8, round(n * factor)) for n in shape)
    image = Image.fromarray(page).resize((width, height), Image.Resampling.BOX)
    dark = 255 - np.asarray(image, dtype=np.float32).max(axis=2)
    dark = np.clip(dark - ndimage.uniform_filter(dark, 31), 0, None)
    return _unit(dark)


def _unit(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _best(a: np.ndarray, b: np.ndarray, turns: Any, scales: Any) -> tuple[float, float, float]:
    """Highest correlation over turns, scales and shifts, and where it is."""
    reach = round(_REACH * max(a.shape))
    shape = [fft.next_fast_len(n + 2 * reach, real=True) for n in a.shape]
    spectrum = fft.rfft2(a, shape)
    best = (-1.0, 0.0, 1.0)
    for turn in turns:
        for scale in scales:
            moved = _unit(_turned(b, float(turn), float(scale)))
            shifts = fft.irfft2(spectrum * np.conj(fft.rfft2(moved, shape)), shape)
            near = np.roll(shifts, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
            best = max(best, (float(near.max()), float(turn), float(scale)))
    return best


def _turned(ink: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    """About the middle of the page."""
    middle = (np.array(ink.shape) - 1) / 2
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    return ndimage.affine_transform(ink, matrix, offset=middle - matrix @ middle, order=1)


def residual(thumbnails, mean):
    """How a page differs from the average page, scaled to length 1.

    The average page is taken off by regression, so that another brightness or contrast, which has
    more or less of it, leaves the same rest.
    """
    form = mean - mean.mean()
    rest = thumbnails.astype(np.float32)
    rest -= rest.mean(axis=1, keepdims=True)
    rest -= (rest @ form / max(float(form @ form), 1e-6))[:, None] * form
    return rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-6)


def likely_copies(tested: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a page and the page of a pool that it may be a copy of, the likeliest first.

    Parameters
    ----------
    tested, seen : ndarray of shape (n_pages, 4096)
        Thumbnails of 64 x 64 pixels.
    mean : ndarray of shape (4096,)
        The average page.

    Returns
    -------
    list of (int, int)
        Of each tested page at most its best match, where that is clearly better than the next
        for some small turn and scale.
    """
    pool, found = residual(seen, mean), []
    for start in range(0, len(tested), _BLOCK):
        block = tested[start : start + _BLOCK]
        alike = residual(block, mean) @ pool.T
        for by in _ROUGH:
            np.maximum(alike, residual(_moved(block, *by), mean) @ pool.T, out=alike)
        best = alike.argmax(axis=1)
        height = alike[np.arange(len(alike)), best]
        margin = height - (np.partition(alike, -2, axis=1)[:, -2] if len(pool) > 1 else 0.0)
        maybe = np.flatnonzero((height > _LIKELY[0]) & (margin > _LIKELY[1]))
        found += [(-float(margin[j]), start + int(j), int(best[j])) for j in maybe]
    return [(j, i) for _, j, i in sorted(found)]


def _moved(thumbnails: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    """Thumbnails of pages that were turned and scaled."""
    side = round(np.sqrt(thumbnails.shape[1]))
    middle = np.full(2, (side - 1) / 2)
    angle = np.deg2rad(degrees)
    matrix = np.array([
        [np.cos(angle), -np.sin(angle) * _WIDER], [np.sin(angle) / _WIDER, np.cos(angle)]
    ]) / scale  # fmt: skip
    pages = thumbnails.reshape(-1, side, side).astype(np.float32)
    return np.stack([
        ndimage.affine_transform(
            page, matrix, offset=middle - matrix @ middle, order=1, mode="nearest"
        ).ravel()
        for page in pages
    ])  # fmt: skip
