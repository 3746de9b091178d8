"""Files to pages of one size, every bad file named once."""

import os
import warnings
from functools import partial
from numbers import Integral
from pathlib import Path

import joblib
import numpy as np
import PIL
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed

from crtkit._io import atomic_path, is_path, package_versions
from crtkit.images.decode import MAX_PIXELS, check_eraser, check_size, read_page
from crtkit.images.pdf import split_page

_NAMED = 10  # bad files that a message names; its ``errors`` has them all
PARAMETERS = {
    "size": ["array-like", None],
    "erase": [HasMethods(["fit", "transform"]), callable, None],
    "aspect": [StrOptions({"stretch", "pad"})],
    "reduced": ["boolean"],
    "max_pixels": [Interval(Integral, 1, None, closed="left")],
    "on_error": [StrOptions({"raise", "white"})],
    "n_jobs": [Integral, None],
    "cache_dir": [str, os.PathLike, None],
}


class UnreadableImageError(ValueError):
    """Some files cannot be read as pages.

    Parameters
    ----------
    message : str
    errors : dict
        Path -> reason, each bad path once.
    """

    def __init__(self, message, errors=None):
        super().__init__(message, errors or {})
        self.errors = errors or {}

    def __str__(self):
        return self.args[0]


class UnreadableImageWarning(UserWarning):
    """Some files could not be read and became white pages.

    Parameters
    ----------
    message : str
    errors : dict
        Path -> reason, each bad path once.
    """

    def __init__(self, message, errors=None):
        super().__init__(message)
        self.errors = errors or {}


@validate_params(PARAMETERS, prefer_skip_nested_validation=True)
def load_image(
    path,
    size=(224, 224),
    *,
    erase=None,
    aspect="stretch",
    reduced=True,
    max_pixels=MAX_PIXELS,
):
    """Read one file as an upright RGB page.

    Parameters
    ----------
    path : path-like
        JPEG, PNG, TIFF, BMP or WebP, or PDF (``report.pdf#page=2``), rendered at 200 dpi. EXIF
        orientation is applied; grey, palette, 16-bit grey (divided by 257) and CMYK become 8-bit
        RGB; transparent parts become white.
    size : tuple of (height, width) or None
        Resized with antialiasing; None keeps the file's own size.
    erase : transformer of pages or callable, optional
        Applied to the whole page in full resolution, before it is resized: an
        :class:`~crtkit.images.IdentityEraser`, or a function of one page (height, width, 3).
    aspect : {"stretch", "pad"}
        Whether the page is stretched to ``size``, as in mori2025, or keeps its proportions on a
        white ground.
    reduced : bool
        Let the JPEG decoder skip resolution that is not needed, down to twice the target: 1.7 to
        2 times as fast. The mean difference from a full decoding is 0.7 of 255 on rendered
        pages and 1.9 on real ones; the full one cuts the compression's overshoot at white, and is
        the farther of the two from a page as it was before compression
        (``benchmarks/speed/loader.py`` measures all this).
    max_pixels : int
        Larger files are refused before they are decoded.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    UnreadableImageError
        A ValueError that says why: no such file, a directory, an empty file, not an image,
        damaged or truncated, several pictures in one file, too many pixels, float pixels, or an
        eraser that does not know the page.
    ValueError
        Wrong parameters.

    Notes
    -----
    Damage inside a JPEG's data that its decoder can step over goes unnoticed: JPEG has no checksum.

    Examples
    --------
    >>> import os, tempfile
    >>> from PIL import Image
    >>> from crtkit.images import load_image
    >>> path = os.path.join(tempfile.mkdtemp(), "page.jpg")
    >>> Image.new("L", (2200, 1700), "white").save(path)
    >>> load_image(path, size=(224, 224)).shape
    (224, 224, 3)
    """
    how = _how(size, erase, aspect, reduced, max_pixels)
    return load_many([path], how, "raise", None, None, "load_image", stacklevel=4)[0]


@validate_params(PARAMETERS, prefer_skip_nested_validation=True)
def load_images(
    paths,
    size=(224, 224),
    *,
    erase=None,
    aspect="stretch",
    reduced=True,
    max_pixels=MAX_PIXELS,
    on_error="raise",
    n_jobs=None,
    cache_dir=None,
):
    """Read files as pages of one size.

    Parameters
    ----------
    paths : sequence of path-like
        A path that comes several times is decoded once.
    size, erase, aspect, reduced, max_pixels
        As in :func:`load_image`. With ``size=None`` all pages must have one size.
    on_error : {"raise", "white"}
        What becomes of files that cannot be read: one error that lists them all, or white pages
        and one warning that lists them all.
    n_jobs : int, optional
        Threads (decoding releases the interpreter's lock); the pages do not depend on it.
    cache_dir : path-like, optional
        Folder that keeps decoded pages as ``.npy`` files, for the next call with the same file
        (path, size in bytes, time of change), the same parameters and the same crtkit and Pillow.
        Not with a function as ``erase``: its code may change behind its name.

    Returns
    -------
    ndarray of uint8, shape (n_records, height, width, 3)

    Raises
    ------
    UnreadableImageError
        A ValueError: the first ten bad paths with the reason each, and how many there are;
        ``errors`` has all. Also raised when no file at all can be read.
    ValueError
        Wrong parameters, no path, or one path in place of a list.

    Warns
    -----
    UnreadableImageWarning
        With ``on_error="white"``; its ``errors`` has all paths and reasons.
    UserWarning
        Files that are smaller than ``size``, and were enlarged; files that the eraser erased
        altogether. One warning each.

    Examples
    --------
    >>> import os, tempfile
    >>> from PIL import Image
    >>> from crtkit.images import load_images
    >>> path = os.path.join(tempfile.mkdtemp(), "page.png")
    >>> Image.new("RGB", (300, 200), "white").save(path)
    >>> load_images([path, path], size=(112, 112)).shape
    (2, 112, 112, 3)
    """
    how = _how(size, erase, aspect, reduced, max_pixels)
    return load_many(paths, how, on_error, n_jobs, cache_dir, "load_images", stacklevel=4)


@validate_params(PARAMETERS, prefer_skip_nested_validation=True)
def check_images(paths, *, erase=None, max_pixels=MAX_PIXELS, n_jobs=None):
    """Find files that cannot be read, before a study starts.

    Parameters
    ----------
    paths : sequence of path-like
    erase, max_pixels, n_jobs
        As in :func:`load_images`.

    Returns
    -------
    dict
        Path -> reason, for every bad path once; empty where all is well.

    Raises
    ------
    ValueError
        Wrong parameters, or one path in place of a list.

    Warns
    -----
    UserWarning
        Files that the eraser would erase altogether.

    Examples
    --------
    >>> from crtkit.images import check_images
    >>> check_images(["nowhere.jpg"])
    {'nowhere.jpg': 'no such file'}
    """
    check_eraser(erase)
    read = partial(read_page, size=(1, 1), erase=erase, max_pixels=max_pixels)
    # A manifest may name a page many times; it is read once.
    unique = {_key(path): path for path in _listed(paths, "check_images")}
    results = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_try)(read, path) for path in unique.values()
    )
    blanked = {key: blank for key, (*_, blank) in zip(unique, results) if blank}
    warn_blanked(blanked, len(unique), "check_images", stacklevel=4)
    return {key: reason for key, (_, reason, *_) in zip(unique, results) if reason}


def load_many(paths, how, on_error, n_jobs, cache_dir, name, stacklevel=3):
    """Behind :func:`load_images` and :class:`JPEGLoader`, with ``name`` in its messages."""
    check_size(how["size"], name)
    check_cache(cache_dir, how["erase"], name)
    check_eraser(how["erase"])
    paths = _listed(paths, name)
    keys = [_key(path) for path in paths]
    if not keys:
        raise ValueError(f"Found array with 0 sample(s): {name} needs at least one path.")
    originals = dict(zip(keys, paths))
    if cache_dir is not None:
        os.makedirs(cache_dir, exist_ok=True)
        # "whole": pages that were kept while files cut short could pass are decoded again.
        made_by = (package_versions(["crtkit"]).get("crtkit"), PIL.__version__, "whole")
        read = partial(_read_cached, folder=Path(cache_dir), made_by=made_by, **how)
    else:
        read = partial(read_page, **how)
    # Pages are taken one by one, in order: a list of all decoded ones would double the memory.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results = parallel(delayed(_try)(read, path) for path in originals.values())
    places = {key: [] for key in originals}
    for i, key in enumerate(keys):
        places[key].append(i)
    pages, errors, small, blanked = None, {}, [], {}
    for key, (page, reason, enlarged, blank) in zip(originals, results):
        if pages is None and page is not None:
            pages = np.full((len(keys), *page.shape), 255, dtype=np.uint8)
        if page is not None and page.shape != pages.shape[1:]:
            reason = (
                f"{page.shape[0]} x {page.shape[1]} pixels, the first page {pages.shape[1]} x "
                f"{pages.shape[2]} (height x width): give a size"
            )
        if reason:
            errors[key] = reason
            continue
        # A path that occurs several times was decoded once.
        pages[places[key]] = page
        if enlarged:
            small.append(key)
        if blank:
            blanked[key] = blank
    if errors:
        fatal = on_error == "raise" or pages is None
        _report(errors, len(originals), fatal, name, stacklevel + 1)
    if small:
        warnings.warn(
            f"{name}: {len(small)} of {len(originals)} files are smaller than "
            f"{how['size'][0]} x {how['size'][1]} pixels and were enlarged, such as {small[0]}.",
            stacklevel=stacklevel,
        )
    warn_blanked(blanked, len(originals), name, stacklevel + 1)
    return pages


def warn_blanked(blanked, n_pages, name, stacklevel=3):
    """Warn once of the pages (path or row -> reason) of which an eraser left nothing, if any."""
    if not blanked:
        return
    lines = [f"  {page}: {reason}" for page, reason in list(blanked.items())[:_NAMED]]
    if len(blanked) > _NAMED:
        lines.append(f"  ... and {len(blanked) - _NAMED} more")
    warnings.warn(
        f"{name}: the eraser cannot tell identity from traces on {len(blanked)} of {n_pages} "
        "pages, which were erased altogether:\n" + "\n".join(lines),
        stacklevel=stacklevel,
    )


def check_cache(cache_dir, erase, name):
    """Refuse to keep pages whose eraser cannot be recognized later."""
    if cache_dir is not None and erase is not None and not hasattr(erase, "transform"):
        raise ValueError(
            f"{name} cannot keep pages in cache_dir that a function erased: after its code is "
            "changed, the old pages would come back. Pass a transformer such as IdentityEraser(), "
            "or leave cache_dir out."
        )


def _listed(paths, name):
    if is_path(paths) or isinstance(paths, bytes):
        raise ValueError(f"{name} expects a list of paths, got one path: [{paths!r}].")
    return list(paths)


def _how(size, erase, aspect, reduced, max_pixels):
    names = ("size", "erase", "aspect", "reduced", "max_pixels")
    return dict(zip(names, (size, erase, aspect, reduced, max_pixels)))


def _key(path):
    return os.fspath(path) if is_path(path) else repr(path)


def _try(read, path):
    """Page, reason why there is none, whether it was enlarged, why it was erased altogether."""
    try:
        # Reasons are collected: a study of 400 pages should not fail 400 times.
        page, enlarged, blanked = read(path)
    except ValueError as error:
        return None, str(error) or "unreadable", False, None
    return page, None, enlarged, blanked


def _report(errors, n_files, fatal, name, stacklevel):
    lines = [f"  {path}: {reason}" for path, reason in list(errors.items())[:_NAMED]]
    if len(errors) > _NAMED:
        lines.append(f"  ... and {len(errors) - _NAMED} more, all in `errors` of this exception")
    listed = "\n".join(lines)
    if fatal:
        raise UnreadableImageError(
            f"{name} cannot read {len(errors)} of {n_files} files:\n{listed}\n"
            "Repair them, leave their records out, or set on_error='white'.",
            errors,
        )
    warnings.warn(
        UnreadableImageWarning(
            f"{name} cannot read {len(errors)} of {n_files} files; their pages are "
            f"white:\n{listed}",
            errors,
        ),
        stacklevel=stacklevel,
    )


def _read_cached(path, folder, made_by, **how):
    """As ``read_page``, through a folder of ``.npy`` files."""
    try:
        status = os.stat(split_page(path)[0])
    except (OSError, TypeError, ValueError):
        return read_page(path, **how)  # which says why
    # Size and time of change stand for the content: hashing would read every file.
    identity = (os.path.abspath(path), status.st_size, status.st_mtime_ns, *made_by)
    file = folder / f"{joblib.hash((identity, sorted(how.items(), key=str)))}.npy"
    try:
        page = np.load(file, allow_pickle=False)
        if page.dtype == np.uint8 and page.ndim == 3 and page.shape[2] == 3:
            return page, False, None
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged: decode
    page, enlarged, blanked = read_page(path, **how)
    if not enlarged and not blanked:  # their warnings would be lost, and they are few
        with atomic_path(file) as part:
            np.save(part, page, allow_pickle=False)
    return page, enlarged, blanked
