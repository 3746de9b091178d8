"""What happens to a page between the printer and the file, each artefact on its own dial.

Every function takes a page (height, width, 3) of uint8 and returns a new one; those that draw take
``random_state``. A dial at zero returns the page as it was. :func:`spoil` turns several dials, in
the order in which they happen: paper, light, camera, file.
"""

import io
from numbers import Real

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from sklearn import config_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from crtkit.images.render.marks import crease, handwriting, stain

_PAGE = {"page": [np.ndarray], "random_state": ["random_state"]}
WHITE = (255, 255, 255)


def _dial(low, high, kind=Real):
    return [Interval(kind, low, high, closed="both")]


@validate_params({**_PAGE, "degrees": _dial(-45, 45)}, prefer_skip_nested_validation=True)
def tilt(page, degrees):
    """Turn a page about its centre, the sheet enlarged with white.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    degrees : float
        Counter-clockwise.

    Returns
    -------
    ndarray of uint8, shape (height', width', 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.artefacts import tilt
    >>> height, width, _ = tilt(np.zeros((100, 200, 3), np.uint8), 3).shape
    >>> 110 < height < 114, 204 < width < 208  # to the pixel it is Pillow's choice
    (True, True)
    """
    if not degrees:
        return page.copy()
    image = Image.fromarray(page)
    return np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE))


@validate_params({**_PAGE, "amount": _dial(0, 0.3)}, prefer_skip_nested_validation=True)
def perspective(page, amount, random_state=None):
    """Look at a page from the side: move each corner by up to a share of the page inwards.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        Share of the page's width and height.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    # Inwards only: what is moved out of the picture cannot be read by anybody.
    height, width = page.shape[:2]
    draw = check_random_state(random_state).uniform(0, amount, (4, 2)) * [width, height]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    seen = corners + draw * inwards
    # Pillow wants the map from where a pixel goes to where it comes from.
    rows = []
    for (x, y), (u, v) in zip(seen, corners):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    weights = np.linalg.solve(np.array(rows), corners.ravel())
    image = Image.fromarray(page).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        weights.tolist(),
        Image.Resampling.BICUBIC,
        fillcolor=WHITE,
    )
    return np.asarray(image)


@validate_params({**_PAGE, "amount": _dial(0, 0.1)}, prefer_skip_nested_validation=True)
def curl(page, amount, random_state=None):
    """Bend a page that does not lie flat: a slow wave along each side.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        Height of the wave as a share of the page's height.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    if not amount:
        return page.copy()
    height, width = page.shape[:2]
    random = check_random_state(random_state)
    cells = 24
    x, y = np.meshgrid(np.linspace(0, width, cells + 1), np.linspace(0, height, cells + 1))
    phase, slope = random.uniform(0, 2 * np.pi, 2), random.uniform(-0.5, 0.5, 2)
    wave_x = np.cos(np.pi * (y / height + slope[0] * x / width) + phase[0])
    wave_y = np.cos(np.pi * (x / width + slope[1] * y / height) + phase[1])
    source = np.stack([x + amount * height * wave_x, y + amount * height * wave_y], axis=-1)
    edges_x, edges_y = x[0].round().astype(int), y[:, 0].round().astype(int)
    mesh = []
    for j in range(cells):
        for i in range(cells):
            quad = (source[j, i], source[j + 1, i], source[j + 1, i + 1], source[j, i + 1])
            box = (edges_x[i], edges_y[j], edges_x[i + 1], edges_y[j + 1])
            mesh.append((tuple(map(int, box)), tuple(np.concatenate(quad).tolist())))
    # Room for the wave, or the mesh would take its edge pixels from nowhere.
    margin = int(np.ceil(amount * height)) + 2
    wide = np.pad(page, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    mesh = [(box, tuple(v + margin for v in quad)) for box, quad in mesh]
    return np.asarray(
        Image.fromarray(wide).transform(
            (width, height), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC
        )
    )


@validate_params({**_PAGE, "quality": _dial(1, 100)}, prefer_skip_nested_validation=True)
def jpeg(page, quality):
    """Save and open a page as JPEG.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    quality : int
        1 to 100, as Pillow counts.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    file = io.BytesIO()
    Image.fromarray(page).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file).convert("RGB"))


@validate_params({**_PAGE, "pixels": _dial(0, 50)}, prefer_skip_nested_validation=True)
def blur(page, pixels):
    """Put a page out of focus.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    pixels : float
        Standard deviation of a Gaussian.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    if not pixels:
        return page.copy()
    return np.asarray(Image.fromarray(page).filter(ImageFilter.GaussianBlur(pixels)))


@validate_params({**_PAGE, "amount": _dial(0, 1)}, prefer_skip_nested_validation=True)
def speckle(page, amount, random_state=None):
    """Multiply each pixel by 1 plus noise, as a camera's sensor does.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        Standard deviation of the factor.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    if not amount:
        return page.copy()
    # One factor for all channels: sensors of a scanner see light before colour.
    noise = check_random_state(random_state).standard_normal(page.shape[:2]).astype(np.float32)
    return np.clip(page * (1 + amount * noise[:, :, None]), 0, 255).astype(np.uint8)


@validate_params({**_PAGE, "depth": _dial(0, 0.95)}, prefer_skip_nested_validation=True)
def shadow(page, depth, random_state=None):
    """Let light fall unevenly.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    depth : float
        Share of the light that is missing where it is darkest.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    if not depth:
        return page.copy()
    # Six by eight cells: shadows are as large as hands and lamps, not as letters.
    coarse = check_random_state(random_state).uniform(0, 1, (6, 8))
    coarse = ndimage.gaussian_filter(coarse, 1.0, mode="nearest")
    coarse = (coarse - coarse.min()) / max(np.ptp(coarse), 1e-9)
    light = Image.fromarray((1 - depth * coarse).astype(np.float32))
    light = np.asarray(light.resize(page.shape[1::-1], Image.Resampling.BICUBIC))
    return np.clip(page * light[:, :, None], 0, 255).astype(np.uint8)


@validate_params({**_PAGE, "amount": _dial(0, 0.9)}, prefer_skip_nested_validation=True)
def low_resolution(page, amount):
    """Keep fewer pixels: the page comes back smaller.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        Share of the pixels of each side that are lost: 0.5 makes 100 dpi of 200.

    Returns
    -------
    ndarray of uint8, shape (height', width', 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.artefacts import low_resolution
    >>> low_resolution(np.zeros((100, 200, 3), np.uint8), 0.25).shape
    (75, 150, 3)
    """
    if not amount:
        return page.copy()
    # Lanczos, as scanners and viewers reduce: nearest pixels would break thin traces.
    size = tuple(max(1, round(n * (1 - amount))) for n in page.shape[1::-1])
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.LANCZOS))


@validate_params({**_PAGE, "amount": _dial(0, 1)}, prefer_skip_nested_validation=True)
def fax(page, amount, random_state=None):
    """Send a page by fax: black and white dots, and lines that were lost on the way.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    amount : float
        0 to 1; at 1 contrast is tripled, and one line in fifty repeats the one above it.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.render.artefacts import fax
    >>> np.unique(fax(np.full((40, 40, 3), 190, np.uint8), 0.2, random_state=0)).tolist()
    [0, 255]
    """
    if not amount:
        return page.copy()
    grey = np.asarray(Image.fromarray(page).convert("L"), dtype=np.float32)
    grey = np.clip(255 + (grey - 255) * (1 + 0.5 * amount) + 40 * amount * (grey > 200), 0, 255)
    # Shades are sent as dots whose density is the shade: a pale grid comes out as scattered dots.
    dots = np.array(Image.fromarray(grey.astype(np.uint8)).convert("1"))
    lost = check_random_state(random_state).uniform(size=len(dots)) < 0.02 * amount
    source = np.maximum.accumulate(np.where(lost, 0, np.arange(len(dots))))
    return np.repeat(np.where(dots[source], np.uint8(255), np.uint8(0))[:, :, None], 3, axis=2)


ARTEFACTS = {
    **{"handwriting": handwriting, "crease": crease, "stain": stain, "fax": fax, "curl": curl},
    **{"perspective": perspective, "tilt": tilt, "shadow": shadow, "blur": blur},
    **{"low_resolution": low_resolution, "speckle": speckle, "jpeg": jpeg},
}
"""Artefacts by name, in the order in which :func:`spoil` applies them."""


def spoil(page, dials, random_state=None):
    """Turn several dials, in the order in which such things happen to a page.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    dials : dict of str to float
        Names of ``ARTEFACTS`` and their dial; what is absent, or 0, is left out.
    random_state : int, RandomState instance or None
        The same seed gives the same page; each artefact draws from a generator of its own, so
        that turning one dial leaves what the others draw as it was.

    Returns
    -------
    ndarray of uint8, shape (height', width', 3)
        Tilt and resolution change the size.

    Raises
    ------
    ValueError
        An unknown name, or a dial beyond its range.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import render_page
    >>> from crtkit.images.render.artefacts import spoil
    >>> page, _ = render_page(np.zeros((12, 5000)), px_per_mm=3)
    >>> photographed = spoil(page, {"crease": 0.5, "shadow": 0.4, "jpeg": 60}, random_state=0)
    >>> photographed.shape == page.shape
    True
    """
    unknown = set(dials) - set(ARTEFACTS)
    if unknown:
        raise ValueError(
            f"spoil knows the artefacts {', '.join(ARTEFACTS)}, got {', '.join(sorted(unknown))}."
        )
    # A seed for each artefact, drawn whether it is used or not.
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(ARTEFACTS))
    # Inside an estimator's fit scikit-learn would skip the checks of the dials.
    with config_context(skip_parameter_validation=False):
        for (name, artefact), seed in zip(ARTEFACTS.items(), seeds):
            if dials.get(name):
                drawn = {"random_state": int(seed)} if name not in _UNDRAWN else {}
                page = artefact(page, dials[name], **drawn)
    return page


_UNDRAWN = frozenset({"tilt", "blur", "low_resolution", "jpeg"})
