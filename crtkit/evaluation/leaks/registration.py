"""Whether two pages are one and the same, moved a little: their ink, laid one over the other."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import fft, ndimage

#: Pages above are the same. Copies made brighter by 1.2, turned by 1 degree, moved by 0.4 %,
#: cropped by 1 % or saved at JPEG quality 30 reach 0.91 and more, on a sheet at 90 % of their size
#: 0.90, resized to a third of their side 0.83, cropped by up to 3 % a side 0.79; of 431 real pages
#: on one form the two that are most alike reach 0.72, of 90 simulated 0.50.
SAME = 0.78
#: Pages of fewer pixels a side hold too little of the trace to tell.
LEAST_SIDE = 200
_FINE, _COARSE = 512, 256  # pixels of the longer side
_STRANGERS = 0.6  # at the coarse size, where copies reach 0.87
# Degrees and factors that are tried, around those at which thumbnails were most alike if these are
# known, then around the best of them.
_TURNS, _SCALES = np.arange(-1.5, 1.51, 0.25), np.arange(0.97, 1.031, 0.0075)
_NEAR_TURNS = np.arange(-0.75, 0.76, 0.25)
_FINE_TURNS, _FINE_SCALES = np.arange(-0.15, 0.16, 0.075), np.arange(-0.004, 0.0041, 0.002)
# Height and width apart: whoever crops a page takes more off one side.
_SIDES = np.arange(0.97, 1.031, 0.0075)
# Of thumbnails, which are as wide as they are high: a page is about so much wider.
_WIDER = 1.4
# Degrees, factors of height and width, and thumbnail pixels down and right: pages that were turned,
# that were copied larger or smaller, and that were cropped, more on one side than on the other.
_ROUGH = [
    (turn, scale, scale, 0.0, 0.0)
    for turn in (-1.0, -0.5, 0.0, 0.5, 1.0)
    for scale in (0.98, 0.99, 1.0, 1.01, 1.02)
]
_ROUGH += [
    (0.0, scale, scale, 0.0, 0.0)
    for scale in (0.88, 0.9, 0.92, 1.03, 1.04, 1.05, 1.06, 1.08, 1.1, 1.12)
]
_ROUGH += [(0.0, *place) for place in product((0.94, 0.96, 0.98), (0.94, 0.96, 0.98),
                                              (-0.6, 0.0, 0.6), (-0.6, 0.0, 0.6))]  # fmt: skip
# Of 215 real pages all copies were above, half of the strangers below.
_LIKELY = (0.2, 0.07)
_STILL = (0.0, 1.0, 1.0, 0.0, 0.0)
_BLOCK = 256
_REACH = 0.045  # of the longer side, by which a page may be moved


def page_agreement(
    a: np.ndarray, b: np.ndarray, around: tuple[float, float, float] | None = None
) -> float:
    """Correlation of the ink of two pages where one lies on the other best.

    Turned by up to 1.5 degrees, scaled by up to 3 %, height and width also apart by as much, and
    moved by up to 4 % of the side. What is dark counts, whatever its surroundings: a form's light
    grid and the paper's brightness do not.

    Parameters
    ----------
    a, b : ndarray of uint8, shape (height, width, 3)
        Of any size; the smaller decides at which they are compared.
    around : (float, float, float), optional
        Degrees by which to turn ``b`` and factors of its height and width, to look around; by
        default 0, 1, 1, and further turns.

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
    turn, high, wide = around or (0.0, 1.0, 1.0)
    turns = _TURNS if around is None else turn + _NEAR_TURNS
    found = _best(coarse_a, coarse_b, turns, high * _SCALES, wide / high)
    found = _sides(coarse_a, coarse_b, found, _SIDES)
    if found[0] < _STRANGERS:
        return found[0]
    fine_a, fine_b = (_ink(page, small, _FINE) for page in (a, b))
    _, turn, high, wide = found
    found = _best(fine_a, fine_b, turn + _FINE_TURNS, high + _FINE_SCALES, wide / high)
    return _sides(fine_a, fine_b, found, 1 + _FINE_SCALES)[0]


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


#: Correlation, degrees, and the factors of height and width.
Found = tuple[float, float, float, float]


def _best(a: np.ndarray, b: np.ndarray, turns: Any, scales: Any, wider: float = 1.0) -> Found:
    """Highest correlation over turns, scales and shifts, and where it is."""
    places = [(float(turn), float(s), float(s) * wider) for turn in turns for s in scales]
    return _highest(a, b, places)


def _sides(a: np.ndarray, b: np.ndarray, found: Found, factors: Any) -> Found:
    """The same where height and width are scaled apart, one after the other, twice."""
    for _ in range(2):
        _, turn, high, wide = found
        found = max(found, _highest(a, b, [(turn, high * f, wide) for f in factors]))
        _, turn, high, wide = found
        found = max(found, _highest(a, b, [(turn, high, wide * f) for f in factors]))
    return found


def _highest(a: np.ndarray, b: np.ndarray, places: list[tuple[float, float, float]]) -> Found:
    reach = round(_REACH * max(a.shape))
    shape = [fft.next_fast_len(n + 2 * reach, real=True) for n in a.shape]
    spectrum = fft.rfft2(a, shape)
    best = (-1.0, 0.0, 1.0, 1.0)
    for turn, high, wide in places:
        moved = _unit(_turned(b, turn, high, wide))
        shifts = fft.irfft2(spectrum * np.conj(fft.rfft2(moved, shape)), shape)
        near = np.roll(shifts, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
        best = max(best, (float(near.max()), turn, high, wide))
    return best


def _turned(ink: np.ndarray, degrees: float, high: float, wide: float) -> np.ndarray:
    """About the middle of the page."""
    middle = (np.array(ink.shape) - 1) / 2
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn / np.array([[high], [wide]])
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


class Candidate(NamedTuple):
    """A page that may be a copy of one of a pool, and how it would have been moved."""

    page: int
    of: int
    around: tuple[float, float, float]


def likely_copies(tested: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> list[Candidate]:
    """Pages that may be copies of one of a pool, the likeliest first.

    Parameters
    ----------
    tested, seen : ndarray of shape (n_pages, 4096)
        Thumbnails of 64 x 64 pixels.
    mean : ndarray of shape (4096,)
        The average page.

    Returns
    -------
    list of Candidate
        Of each tested page at most its best match, where that is clearly better than the next
        for some turn and scale.
    """
    pool, found = residual(seen, mean), []
    for start in range(0, len(tested), _BLOCK):
        block = tested[start : start + _BLOCK]
        alike = residual(block, mean) @ pool.T
        by = np.zeros(alike.shape, dtype=np.int16)
        for number, move in enumerate(_ROUGH):
            here = residual(_moved(block, *move), mean) @ pool.T
            by[here > alike] = number + 1
            np.maximum(alike, here, out=alike)
        best = alike.argmax(axis=1)
        height = alike[np.arange(len(alike)), best]
        margin = height - (np.partition(alike, -2, axis=1)[:, -2] if len(pool) > 1 else 0.0)
        for j in np.flatnonzero((height > _LIKELY[0]) & (margin > _LIKELY[1])):
            move = (_STILL, *_ROUGH)[by[j, best[j]]]
            found.append((-float(margin[j]), Candidate(start + int(j), int(best[j]), move[:3])))
    return [candidate for _, candidate in sorted(found)]


def _moved(
    thumbnails: np.ndarray, degrees: float, high: float, wide: float, down: float, right: float
) -> np.ndarray:
    """Thumbnails of pages that were turned, scaled and moved."""
    side = round(np.sqrt(thumbnails.shape[1]))
    middle = np.full(2, (side - 1) / 2)
    angle = np.deg2rad(degrees)
    turn = np.array([
        [np.cos(angle), -np.sin(angle) * _WIDER], [np.sin(angle) / _WIDER, np.cos(angle)]
    ])  # fmt: skip
    matrix = turn / np.array([[high], [wide]])
    offset = middle - matrix @ middle + (down, right)
    pages = thumbnails.reshape(-1, side, side).astype(np.float32)
    return np.stack([
        ndimage.affine_transform(page, matrix, offset=offset, order=1, mode="nearest").ravel()
        for page in pages
    ])  # fmt: skip
