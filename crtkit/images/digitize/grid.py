"""The grid of a page: pitch and direction of its millimetre lines, and where on the page it is.

The lines are periodic, so a Fourier transform of the middle of the page finds them through noise,
JPEG and dots; the phase between tiles of the page then refines pitch and angle to 0.01 %.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from crtkit.images.digitize.ink import UnreadablePageError, ink_level, quantile, widen

PAGE_MM = 285.0  # expected width of a page; pages from 190 to 430 mm are found
_WIDTH_SPREAD = 0.18  # standard deviation of the logarithm of that width
_SIZE = 1024  # pixels of the square that is transformed
_STEEPEST = np.tan(np.deg2rad(12))  # steepest tilt
_PITCHES = np.exp(np.arange(np.log(1.9), np.log(30), 0.004))  # px per mm that are tried
_UNEQUAL = 15  # steps of 0.4 % by which the pitches along and down the page may differ
_SKEW = 0.16  # 9 degrees by which a page seen from a corner leaves the square, where it curls too
_LEAST_SIDE = 150  # pixels
# Lines at another pitch that explain an axis so clearly, and its own by less than such a share of
# it, belong to a stretched page: an A4 page made square has 15 and a fifth of that, photographs of
# paper and spoiled pages nine tenths and more, or half of something weak.
_OTHER_LINES, _OWN_SHARE = 8.0, 0.35
_MULTIPLES = np.array([1 / 5, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 1, 2, 5 / 2, 3, 4, 5])
TILE = 48


@dataclass(frozen=True)
class Grid:
    """Millimetre lines of a page.

    Parameters
    ----------
    along, down : ndarray of shape (2,)
        Lines per pixel in x and y, of the upright and of the level lines: ``along @ (x, y)`` is
        the distance along the page in mm, up to a constant.
    box : tuple of int
        Left, top, right, bottom of the area in which both families of lines are seen.
    score : float
        How well lines explain the page: below 6 there is hardly a grid.
    stretched : tuple of bool
        Of the upright and of the level lines, whether the page shows them at another pitch than
        along its other side: what is measured by them alone is not to be believed.
    carriers : tuple of (ndarray of shape (2,), int)
        The strongest harmonic of each family, in cycles per pixel, and its number in 5 mm.
    image : ndarray of float32, shape (height, width)
        The page with its ink masked, from which all this was found.
    """

    along: np.ndarray
    down: np.ndarray
    box: tuple
    score: float
    stretched: tuple
    carriers: tuple
    image: np.ndarray

    @property
    def px(self):
        """Pixels per mm along the page."""
        return 1 / np.hypot(*self.along)

    @property
    def py(self):
        """Pixels per mm down the page."""
        return 1 / np.hypot(*self.down)

    @property
    def angle(self):
        """Rotation in degrees, of the upright and of the level lines."""
        return (
            float(np.degrees(np.arctan2(self.along[1], self.along[0]))),
            float(np.degrees(np.arctan2(-self.down[0], self.down[1]))),
        )


def find_lines(ink, lines, px_per_mm=None):
    """Find the grid of a page.

    Parameters
    ----------
    ink, lines : ndarray of uint8, shape (height, width)
        From :func:`~crtkit.images.digitize.ink.darkness`.
    px_per_mm : float, optional
        Scale, where it is known to within some 5 %.

    Returns
    -------
    Grid

    Raises
    ------
    UnreadablePageError
        No grid.
    """
    if min(ink.shape) < _LEAST_SIDE:
        raise UnreadablePageError(
            f"the page has {ink.shape[1]} x {ink.shape[0]} pixels: too small for a grid"
        )
    image = _grid_image(ink, lines)
    spectrum = _spectrum(image)
    pitches, score, stretched = _pitches(spectrum, ink.shape[1], px_per_mm)
    carriers = tuple(_refine(image, spectrum, axis, pitch) for axis, pitch in enumerate(pitches))
    along, down = (vector * 5 / k for vector, k in carriers)
    amplitudes = [np.abs(demodulate(image, vector, TILE)) for vector, _ in carriers]
    box = _area(amplitudes, ink.shape)
    ratio = np.hypot(*down) / np.hypot(*along)
    if abs(along @ down) > _SKEW * np.hypot(*along) * np.hypot(*down) or not 0.85 < ratio < 1.18:
        raise UnreadablePageError("the lines of the grid are not square to each other")
    return Grid(along, down, box, score, stretched, carriers, image)


def _grid_image(ink, lines):
    """Grid strong, traces masked by the page's middle grey."""
    trace = widen(ink > 0.45 * ink_level(ink), 2)
    image = np.where(trace, np.uint8(quantile(lines, 0.5)), lines).astype(np.float32)
    return np.minimum(image, 200, out=image)


def _spectrum(image):
    height, width = image.shape
    top, left = max((height - _SIZE) // 2, 0), max((width - _SIZE) // 2, 0)
    part = image[top : top + _SIZE, left : left + _SIZE]
    part = part - part.mean()
    part *= np.hanning(part.shape[0]).astype(np.float32)[:, None]
    part *= np.hanning(part.shape[1]).astype(np.float32)
    return np.abs(fft.rfft2(part, (_SIZE, _SIZE)))


def _pitches(spectrum, width, px_per_mm):
    """Pitch along and down the page that a comb of 1 mm and 5 mm lines explains best."""
    fy, fx = np.fft.fftfreq(_SIZE)[:, None], np.fft.rfftfreq(_SIZE)[None]
    along = np.where(np.abs(fy) <= _STEEPEST * fx + 1.5 / _SIZE, spectrum, 0).max(axis=0)
    both = np.where(fx <= _STEEPEST * np.abs(fy) + 1.5 / _SIZE, spectrum, 0).max(axis=1)
    half = _SIZE // 2
    down = both[: half + 1].copy()
    down[1:half] = np.maximum(down[1:half], both[:half:-1][: half - 1])
    scores = [_comb(profile, fx[0]) for profile in (along, down)]
    if px_per_mm is None:
        prior = -0.5 * (np.log(width / _PITCHES / PAGE_MM) / _WIDTH_SPREAD) ** 2
    else:
        prior = -0.5 * (np.log(_PITCHES / px_per_mm) / 0.02) ** 2
    joint = prior + sum(ndimage.maximum_filter1d(score, _UNEQUAL) for score in scores)
    best = int(np.argmax(joint))
    near = slice(max(best - _UNEQUAL, 0), best + _UNEQUAL + 1)
    pitches = [_PITCHES[near][int(np.argmax(score[near]))] for score in scores]
    # A scale that the caller states is believed.
    stretched = tuple(
        px_per_mm is None and _is_elsewhere(score, pitch) for score, pitch in zip(scores, pitches)
    )
    return pitches, float(joint[best]), stretched


def _is_elsewhere(score, pitch):
    """Whether lines at a pitch that is no multiple of this one explain an axis far better."""
    ratio = _PITCHES[:, None] / pitch / _MULTIPLES
    apart = (np.abs(np.log(ratio)) > 0.03).all(axis=1)
    other, own = score[apart].max(), score[~apart & (np.abs(np.log(_PITCHES / pitch)) < 0.1)].max()
    return bool(other > _OTHER_LINES and own < _OWN_SHARE * other)


def _comb(profile, frequencies):
    base = ndimage.median_filter(profile, 41) + 1e-6
    level = ndimage.maximum_filter1d(np.log1p(np.maximum(profile / base - 1, 0)), 3)

    def at(frequency):
        return np.interp(frequency, frequencies, level, left=0, right=0)

    score = 1.5 * at(1 / _PITCHES)
    for k in (1, 2, 3, 4):
        # Lines half way between the harmonics would mean a pitch twice as large.
        score += at(k / _PITCHES / 5) - at((k - 0.5) / _PITCHES / 5)
    return score


def _refine(image, spectrum, axis, pitch):
    """Frequency vector of the strongest harmonic of one family of lines, and its number."""
    best = None
    for k in (5, 2, 3, 4, 1, 10):
        main = k / (5 * pitch) * _SIZE
        if main > 0.45 * _SIZE:
            continue
        place, height = _peak(spectrum, axis, main)
        weight = height * (1.0 if k == 5 else 0.6)
        if best is None or weight > best[0]:
            best = (weight, k, place)
    if best is None:
        raise UnreadablePageError("the lines of the grid are too close together")
    _, k, (bx, by) = best
    vector = np.array([_vertex(spectrum, bx, by, 0), _vertex(spectrum, bx, by, 1)]) / _SIZE
    for tile in (TILE, 2 * TILE):
        vector = vector + _phase_slope(image, vector, tile)[0]
    if vector[axis] < 0:
        vector = -vector
    return vector, k


def _peak(spectrum, axis, main):
    """Strongest bin (fx, fy) near a distance from the origin, close to one axis."""
    half = max(2.0, 0.012 * main)
    low, high = int(main - half), int(np.ceil(main + half)) + 1
    side = int(np.ceil(_STEEPEST * main)) + 2
    if axis == 0:
        block = spectrum[np.ix_(np.arange(-side, side + 1) % _SIZE, range(low, high))]
        i, j = np.unravel_index(np.argmax(block), block.shape)
        return (low + j, i - side), block[i, j]
    down, up = spectrum[low:high, : side + 1], spectrum[-np.arange(low, high), : side + 1]
    sign, block = (1, down) if down.max() >= up.max() else (-1, up)
    i, j = np.unravel_index(np.argmax(block), block.shape)
    return (j, sign * (low + i)), block[i, j]


def _vertex(spectrum, bx, by, axis):
    """Peak to a fraction of a bin, by a parabola through the logarithms."""

    def value(step):
        x, y = (bx + step, by) if axis == 0 else (bx, by + step)
        x, y = (-x, -y) if x < 0 else (x, y)
        return np.log(spectrum[y % _SIZE, min(x, _SIZE // 2)] + 1e-9)

    before, here, after = value(-1), value(0), value(1)
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return (bx, by)[axis] + float(np.clip(shift, -0.5, 0.5))


def demodulate(image, vector, tile):
    """Complex amplitude of lines of one frequency vector in each tile.

    Parameters
    ----------
    image : ndarray of float32, shape (height, width)
    vector : ndarray of shape (2,)
        Cycles per pixel in x and y.
    tile : int
        Pixels.

    Returns
    -------
    ndarray of complex, shape (height // tile, width // tile)
        Its phase is how far the lines deviate from a perfect lattice, in turns of 2 pi.
    """
    ny, nx = image.shape[0] // tile, image.shape[1] // tile
    image = image[: ny * tile, : nx * tile]
    wave_x = np.exp(-2j * np.pi * vector[0] * np.arange(nx * tile)).astype(np.complex64)
    wave_y = np.exp(-2j * np.pi * vector[1] * np.arange(ny * tile)).astype(np.complex64)
    image = image - image.mean()
    rows = np.einsum("hxt,xt->hx", image.reshape(ny * tile, nx, tile), wave_x.reshape(nx, tile))
    return np.einsum("ytx,yt->yx", rows.reshape(ny, tile, nx), wave_y.reshape(ny, tile)) / tile**2


def _phase_slope(image, vector, tile):
    """Frequency that is left, by the median phase step between neighbouring tiles."""
    tiles = demodulate(image, vector, tile)
    size = np.abs(tiles)
    good = size > 0.4 * np.percentile(size, 90) if size.size else size > 0
    slope = []
    for axis in (1, 0):
        swap = tiles if axis == 0 else tiles.T
        fine = good if axis == 0 else good.T
        step = (swap[1:] * swap[:-1].conj())[fine[1:] & fine[:-1]]
        if len(step) < 8:
            slope.append(0.0)
            continue
        turn = step.sum()
        turn = turn / max(abs(turn), 1e-12)
        slope.append((np.angle(turn) + np.median(np.angle(step / turn))) / (2 * np.pi * tile))
    return np.array(slope), size


def _area(amplitudes, shape):
    """Box of the largest connected area of tiles in which both families of lines are seen."""
    strength = np.minimum(*(a / max(np.percentile(a, 90), 1e-9) for a in amplitudes))
    good = ndimage.binary_closing(np.pad(strength > 0.3, 2), np.ones((3, 3)))[2:-2, 2:-2]
    labels, n_areas = ndimage.label(good)
    if not n_areas:
        raise UnreadablePageError("no area with a grid was found")
    sizes = ndimage.sum_labels(good, labels, range(1, n_areas + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return (
        max((columns.start - 1) * TILE, 0),
        max((rows.start - 1) * TILE, 0),
        min((columns.stop + 1) * TILE, shape[1]),
        min((rows.stop + 1) * TILE, shape[0]),
    )
