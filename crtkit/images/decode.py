"""One file to one upright RGB page, or one reason why not."""

import os
import stat
import threading
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from sklearn import config_context
from sklearn.base import clone

from crtkit._io import is_path
from crtkit._validation import check_records
from crtkit.images.pdf import is_pdf, render_pdf, split_page

# A closed list: Pillow would otherwise try every plugin it has, some of which start programs.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
MAX_PIXELS = 80_000_000
"""Pages with more pixels are refused: A4 at 600 dpi has 35 million."""

# White paper is far above this even in a poor scan; 12-bit values (4095) are far below.
_DARKEST_PAPER = 16_384
_MAX_WEBP_PIXELS = 40_000_000
_STRIP = 512  # rows that are converted at once

_GAP = 2  # decode at least so many times larger than asked: less loses the trace
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def check_size(size, name):
    """Raise unless ``size`` is None or two positive whole numbers."""
    if size is None:
        return
    good = isinstance(size, (tuple, list, np.ndarray)) and len(size) == 2
    if not good or not all(isinstance(n, (int, np.integer)) and n > 0 for n in size):
        raise ValueError(
            f"{name} expects size as (height, width) in pixels, or None to keep the pages' own, "
            f"got {size!r}."
        )


def resize_page(image, size, aspect="stretch", box=None):
    """Resize an RGB image with antialiasing.

    Parameters
    ----------
    image : PIL.Image.Image
    size : tuple of int
        (height, width).
    aspect : {"stretch", "pad"}
        "pad" keeps proportions and fills up with white.
    box : tuple of float, optional
        Part of the image that is the page.

    Returns
    -------
    PIL.Image.Image
    """
    height, width = (int(n) for n in size)
    left, top, right, bottom = box or (0, 0, *image.size)
    if aspect == "pad":
        scale = min(width / (right - left), height / (bottom - top))
        inner = (
            max(1, round(scale * (right - left))),
            max(1, round(scale * (bottom - top))),
        )
    else:
        inner = (width, height)
    # A triangle filter over all pixels beneath: sampling single pixels would lose thin traces.
    small = image.resize(inner, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if inner == (width, height):
        return small
    page = Image.new("RGB", (width, height), "white")
    page.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return page


def check_pages(estimator, X, *, reset, grey=False):
    """Validate pages, whose height and width may change, or rows of pixels, whose number may not.

    Parameters
    ----------
    estimator : estimator
        Gets ``shape_in_`` and ``n_features_in_`` on reset.
    X : array-like or Rows
    reset : bool
    grey : bool
        Whether (n_records, height, width) is understood too.

    Returns
    -------
    ndarray or Rows
        uint8 if it has more than two axes.
    """
    name, ndim = type(estimator).__name__, (2, 3, 4) if grey else (2, 4)
    if not hasattr(X, "ndim"):
        X = np.asarray(X)
    if reset or X.ndim != 1 + len(estimator.shape_in_) or X.ndim == 2 or not len(X):
        X = check_records(
            estimator, X, kind="images", reset=reset, ndim=ndim, dtype="numeric", free_axes=(1,)
        )
    colours = X.shape[3] if X.ndim == 4 else 3
    if X.ndim > 2 and (X.ndim not in ndim or X.dtype != np.uint8 or colours != 3):
        also = ", or (n_records, height, width) if grey" if grey else ""
        raise ValueError(
            f"{name} expects pages as uint8 of shape (n_records, height, width, 3){also}; got "
            f"{X.dtype} {X.shape}."
        )
    return X


def read_page(path, size, *, erase=None, aspect="stretch", reduced=True, max_pixels=MAX_PIXELS):
    """Decode a file; the parameters are those of :func:`crtkit.images.load_image`.

    Returns
    -------
    page : ndarray of uint8, shape (height, width, 3)
    enlarged : bool
        Whether the file has fewer pixels than asked, along either side.
    blanked : str or None
        Why the eraser erased all of it, where it did.

    Raises
    ------
    ValueError
        With the reason only: who calls knows the path.
    """
    if is_path(path) and is_pdf(path):
        return _read_pdf(path, size, erase, aspect, max_pixels)
    _check_file(path)
    try:
        with _whole_files_only(), Image.open(path, formats=FORMATS) as image:
            _check_image(image, max_pixels)
            page, box, turn, stored = _open_upright(image, size, reduced and erase is None)
    except _Refused as error:
        raise ValueError(str(error)) from error
    except UnidentifiedImageError as error:
        raise ValueError("not a JPEG, PNG, TIFF, BMP or WebP image") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"more pixels than Pillow's own limit: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        # Decoders raise whatever damaged bytes lead them to (OSError, SyntaxError, struct.error,
        # zlib.error, ...); each is a bad file, and must not hide the other bad files.
        raise ValueError(f"damaged, cannot be decoded: {error}") from error
    page, blanked = _erased(page, erase, path)
    if size is None:
        return np.array(page), False, blanked
    height, width = _turned(size, turn)
    small = resize_page(page, (height, width), aspect, box)
    if turn in _TURN:
        small = small.transpose(_TURN[turn])
    return np.array(small), stored[0] < width or stored[1] < height, blanked


def _read_pdf(path, size, erase, aspect, max_pixels):
    _check_file(split_page(path)[0])
    page, blanked = _erased(render_pdf(path, max_pixels=max_pixels), erase, path)
    if size is not None:
        page = resize_page(page, size, aspect)
    return np.array(page), False, blanked


def _erased(page, erase, path):
    if erase is None:
        return page, None
    try:
        return erase_image(page, erase)
    except Exception as error:
        error.add_note(f"while erasing {os.fspath(path)}")
        raise


_decoding = threading.Lock()
_n_decoding, _flag_of_others = 0, False


@contextmanager
def _whole_files_only():
    """Decode under Pillow's strict setting, whatever another library has set.

    ``LOAD_TRUNCATED_IMAGES`` belongs to the process, and fills the missing half of a page with
    grey without a word. Pages are decoded in threads: the first one in sets the flag, the last one
    out gives it back.
    """
    global _n_decoding, _flag_of_others
    with _decoding:
        if not _n_decoding:
            _flag_of_others = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _n_decoding += 1
    try:
        yield
    finally:
        with _decoding:
            _n_decoding -= 1
            if not _n_decoding:
                ImageFile.LOAD_TRUNCATED_IMAGES = _flag_of_others


class _Refused(Exception):
    """A reason of ours, among those of the decoders."""


def _check_file(path):
    if not is_path(path):
        raise ValueError(f"not a path but {type(path).__name__}")
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be opened: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("a directory, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size == 0:
        raise ValueError("an empty file (0 bytes)")


def _check_image(image, max_pixels):
    width, height = image.size
    if width * height > max_pixels:
        raise _Refused(f"{width} x {height} pixels, more than max_pixels={max_pixels}")
    # Pillow's WebP decoder holds a page three times over: 80 megapixels would need 1.4 GB.
    if image.format == "WEBP" and width * height > min(max_pixels, _MAX_WEBP_PIXELS):
        raise _Refused(
            f"{width} x {height} pixels, more than {_MAX_WEBP_PIXELS}, the most for WebP; "
            "save it as PNG or JPEG"
        )
    # A phone's MPO carries its preview as a second picture; other formats carry other pages.
    frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    if frames > 1:
        raise _Refused(f"holds {frames} pictures; save the page as a file of its own")


def _open_upright(image, size, reduced):
    """RGB image, the box in it that is the page, the turn it still needs, its size undecimated."""
    if not reduced or size is None or image.format not in ("JPEG", "MPO"):
        # In place: of a large page every copy is a third of a gigabyte.
        ImageOps.exif_transpose(image, in_place=True)
        upright = _rgb(image)
        return upright, None, 1, upright.size
    stored = image.size
    turn = image.getexif().get(_ORIENTATION, 1)
    height, width = _turned(size, turn)
    drafted = image.draft(None, (_GAP * width, _GAP * height))
    # 2213 pixels at half scale are 1106.5, stored as 1107: the box keeps the half in its place.
    return _rgb(image), drafted[1] if drafted else None, turn, stored


def _turned(size, turn):
    return tuple(size)[::-1] if turn in (5, 6, 7, 8) else tuple(size)


def _rgb(image):
    """Any mode to 8-bit RGB, transparent pixels on white."""
    if image.mode == "F":
        raise _Refused("32-bit float pixels have no known range; save it with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;"):
        return _from_16_bits(np.asarray(image)).convert("RGB")
    if image.has_transparency_data:
        return _on_paper(image)
    if image.mode == "RGB":
        image.load()  # its file is closed behind it
        return image
    return image.convert("RGB")


def _from_16_bits(grey):
    """8-bit image of 16-bit grey; where white lies must be certain."""
    low, high = int(grey.min()), int(grey.max())
    if low < 0 or high > 65535:
        raise _Refused("32-bit pixels have no known range; save it with 8 or 16 bits")
    if 0 < high < _DARKEST_PAPER:
        # 8 or 12 bits in a wider file: divided by 257 the page would become black.
        raise _Refused(
            f"its brightest pixel is {high} of 65535, and a page is white paper: it seems to hold "
            "fewer bits than the file has; save it with 8 bits"
        )
    out = np.empty(grey.shape, dtype=np.uint8)
    for top in range(0, len(grey), _STRIP):
        strip = grey[top : top + _STRIP].astype(np.uint32)
        out[top : top + _STRIP] = (strip + 128) // 257
    return Image.fromarray(out)


def _on_paper(image):
    """RGB image with transparent pixels on white; by strips, or 80 megapixels would need 1.5 GB."""
    page = Image.new("RGB", image.size, "white")
    for top in range(0, image.height, _STRIP):
        box = (0, top, image.width, min(top + _STRIP, image.height))
        strip = image.crop(box)
        strip.info = dict(image.info)  # a palette keeps its transparent colour there
        strip = strip.convert("RGBA")
        page.paste(strip, box, mask=strip.getchannel("A"))
    return page


def check_eraser(erase):
    """Raise unless the parameters of an eraser that works on images are right.

    Of other transformers a clone is fitted to every page, which looks at their parameters too.

    Raises
    ------
    ValueError
        The eraser's own, of its ``fit``.
    """
    if not (hasattr(erase, "erase_image") and hasattr(erase, "fit")):
        return
    # Called inside of a validated fit, where scikit-learn skips the checks of nested estimators.
    with config_context(skip_parameter_validation=False):
        try:
            clone(erase).fit(np.full((1, 8, 8, 3), 255, dtype=np.uint8))
        except ValueError as error:
            raise ValueError(f"erase={erase!r} cannot be used: {error}") from error


def erase_image(image, erase):
    """Apply an eraser (transformer of pages, or function of one page) to one RGB image.

    Parameters
    ----------
    image : PIL.Image.Image
        May be changed in place.
    erase : object
        An eraser with a method ``erase_image``, as :class:`~crtkit.images.IdentityEraser` has,
        works on the image itself. Of any other transformer a clone is fitted, since pages may
        have different sizes.

    Returns
    -------
    image : PIL.Image.Image
    blanked : str or None
        Why the eraser erased all of it, where it says so.
    """
    if hasattr(erase, "erase_image"):
        return image, erase.erase_image(image)
    page = np.asarray(image)
    if hasattr(erase, "fit_transform"):
        out = np.asarray(clone(erase).fit_transform(page[None]))[0]
    else:
        out = np.asarray(erase(page))
    if out.dtype != np.uint8 or out.ndim != 3 or out.shape[2] != 3:
        raise ValueError(
            f"erase must give a uint8 page (height, width, 3), gave {out.dtype} {out.shape}"
        )
    return Image.fromarray(out), None
