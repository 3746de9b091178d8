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
# Degrees and factors that are tried, then around the best of them.
_TURNS, _SCALES = np.arange(-1.5, 1.51, 0.25), np.arange(0.97, 1.031, 0.0075)
_FINE_TURNS, _FINE_SCALES = np.arange(-0.15, 0.16, 0.075), np.arange(-0.004, 0.0041, 0.002)
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
    inks = [[_ink(page, small, side) for page in (a, b)] for side in (_COARSE, _FINE)]
    _, turn, scale = _best(*inks[0], _TURNS, _SCALES)
    return _best(*inks[1], turn + _FINE_TURNS, scale + _FINE_SCALES)[0]


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
