"""What people do to a sheet of paper: fold it, spill on it, write on it.

Each function takes a page (height, width, 3) of uint8 and returns a new one; a dial at zero returns
the page as it was.
"""

from numbers import Real

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

_DRAWN = {
    "page": [np.ndarray],
    "amount": [Interval(Real, 0, 1, closed="both")],
    "random_state": ["random_state"],
}
PENS = ((20, 30, 110), (15, 15, 15), (150, 20, 30))
"""Colours that people write in: blue, black, red."""
_SPILL = np.array([0.25, 0.45, 0.7], dtype=np.float32)  # light that coffee takes, per channel


@validate_params(_DRAWN, prefer_skip_nested_validation=True)
def crease(page, amount, random_state=None):
    """Fold a page once or twice, and unfold it: a worn line, with a shade on one side of it.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        0 to 1; at 1 the ink on the fold is gone.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.marks import crease
    >>> page = np.full((100, 200, 3), 200, np.uint8)
    >>> bool((crease(page, 0.8, random_state=0) != page).any())
    True
    """
    if not amount:
        return page.copy()
    random = check_random_state(random_state)
    height, width = page.shape[:2]
    y, x = np.ogrid[:height, :width]
    out = page.astype(np.float32)
    wide = max(width / 400, 1.0)  # three quarters of a millimetre on A4
    for _ in range(random.randint(1, 3)):
        # Sheets are folded along their sides, hardly ever from corner to corner.
        angle = random.choice([0, np.pi / 2]) + random.uniform(-0.12, 0.12)
        through = random.uniform(0.2, 0.8, 2) * (width, height)
        off = (x - through[0]) * np.sin(angle) - (y - through[1]) * np.cos(angle)
        off = off.astype(np.float32) / wide
        shade = np.where(off > 0, 0.25 * np.exp(-np.abs(off) / 8), 0)
        shade = np.maximum(shade, 0.5 * np.exp(-(off**2)))
        out *= (1 - amount * shade)[:, :, None]
        out += (235 - out) * (amount * np.exp(-((off / 0.5) ** 2)))[:, :, None]
    return np.clip(out, 0, 255).astype(np.uint8)


@validate_params(_DRAWN, prefer_skip_nested_validation=True)
def stain(page, amount, random_state=None):
    """Spill coffee: one to three blots, darker at the rim.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        0 to 1: share of the light that the blots take where they are darkest.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.marks import stain
    >>> page = np.full((100, 200, 3), 255, np.uint8)
    >>> red, green, blue = stain(page, 0.8, random_state=0).reshape(-1, 3).min(axis=0)
    >>> bool(red > green > blue)
    True
    """
    if not amount:
        return page.copy()
    random = check_random_state(random_state)
    height, width = page.shape[:2]
    # Blots have no fine detail: a quarter of the resolution takes a tenth of the time.
    y, x = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    cover = np.zeros(x.shape, dtype=np.float32)
    for _ in range(random.randint(1, 4)):
        centre = random.uniform(0.1, 0.9, 2) * (width, height)
        radius = random.uniform(0.05, 0.14) * width
        angle = np.arctan2(y - centre[1], x - centre[0])
        waves = sum(
            random.uniform(0, 0.12) / k * np.cos(k * angle + random.uniform(0, 2 * np.pi))
            for k in range(1, 6)
        )
        inside = (1 + waves) - np.hypot(x - centre[0], y - centre[1]) / radius
        rim = np.exp(-((inside / 0.06) ** 2))
        cover = np.maximum(cover, np.clip(inside * 20, 0, 1) * 0.55 + 0.45 * rim)
    whole = Image.fromarray(cover).resize((width, height), Image.Resampling.BILINEAR)
    cover = np.asarray(whole)
    return np.clip(page * (1 - amount * cover[:, :, None] * _SPILL), 0, 255).astype(np.uint8)


@validate_params(_DRAWN, prefer_skip_nested_validation=True)
def handwriting(page, amount, random_state=None):
    """Write on a page: words of joined loops in pen, anywhere, rings around things.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        0 to 1: at 1 there are twelve words.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.marks import handwriting
    >>> page = np.full((100, 200, 3), 255, np.uint8)
    >>> bool(handwriting(page, 0.5, random_state=0).min() < 160)
    True
    """
    if not amount:
        return page.copy()
    random = check_random_state(random_state)
    image = Image.fromarray(page)
    draw = ImageDraw.Draw(image)
    mm = page.shape[1] / 297  # as if the page were A4
    for _ in range(max(1, round(12 * amount))):
        x0, y0 = random.uniform(0.02, 0.9, 2) * (page.shape[1], page.shape[0])
        size, letters = random.uniform(2, 5) * mm, random.randint(3, 10)
        t = np.linspace(0, letters, 24 * letters)
        tall = np.repeat(random.uniform(0.4, 1.6, letters), 24)
        if random.uniform() < 0.15:  # a ring around a finding
            t = np.linspace(0, 1.1, 60)
            x = x0 + 3 * size * np.cos(2 * np.pi * t)
            y = y0 + 2 * size * np.sin(2 * np.pi * t)
        else:
            x = x0 + size * (0.7 * t + 0.35 * np.cos(2 * np.pi * t))
            y = y0 + 0.5 * size * ndimage.gaussian_filter1d(tall, 6) * np.sin(2 * np.pi * t)
        pen = PENS[random.choice(3, p=[0.6, 0.3, 0.1])]
        draw.line(list(zip(x.tolist(), y.tolist())), pen, max(1, round(0.5 * mm)), joint="curve")
    return np.asarray(image)
