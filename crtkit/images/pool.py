"""Pools of images: streamed from files, and remembered by what is in them. No torch here."""

import hashlib
import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from crtkit.cohort.rows import Rows
from crtkit.images.files import UnreadableImageError, load_images

THUMBNAIL = 64  # pixels of a side: enough to tell two records on the same form apart
_BLOCK = 64


class PagePaths:
    """Pages that are decoded when they are asked for: ``pages[index]`` is an array of them.

    Parameters
    ----------
    paths : sequence of path-like
    size : tuple of (height, width)
    cache_dir : path-like or None
        As in :func:`~crtkit.images.load_images`.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths, size, cache_dir=None):
        self.paths = np.asarray([os.fspath(path) for path in paths], dtype=object)
        self.size = tuple(size)
        self.cache_dir = cache_dir

    @property
    def shape(self):
        """(n_records, height, width, 3)."""
        return (len(self.paths), *self.size, 3)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        paths = self.paths[index]
        return load_images(paths.tolist(), self.size, cache_dir=self.cache_dir)

    def take(self, index):
        """Some of them, still not decoded."""
        return PagePaths(self.paths[index], self.size, self.cache_dir)


def as_paths(X):
    """Paths in a 1-D array or list as a list, or None where X holds something else."""
    if isinstance(X, (Rows, PagePaths)) or hasattr(X, "toarray") or isinstance(X, (str, bytes)):
        return None
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, (list, tuple)) and any(not isinstance(x, (str, os.PathLike)) for x in X):
        return None
    cells = np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) else X
    if getattr(cells, "ndim", 0) != 1 or not len(cells) or cells.dtype.kind not in "OU":
        return None
    return list(cells) if all(isinstance(x, (str, os.PathLike)) for x in cells) else None


@dataclass(frozen=True)
class Fingerprints:
    """What a set of images is recognised by.

    Attributes
    ----------
    exact : ndarray of str, shape (n_records,)
        sha256 of shape, dtype and pixels.
    perceptual : ndarray of uint8, shape (n_records, 4096), or None
        A grey thumbnail of each image; None for records that are no images.
    names : ndarray of str, shape (n_records,), or None
        Files, where they came from files.
    kind : str
        What a message calls one of them.
    """

    exact: np.ndarray
    perceptual: np.ndarray | None
    names: np.ndarray | None = None
    kind: str = "image"

    def __len__(self):
        return len(self.exact)

    def name(self, i):
        """How a message names image ``i``."""
        return f"{self.kind} {i}" if self.names is None else f"{self.names[i]}"


def fingerprints(X, on_error="raise"):
    """Fingerprints of every record, read in blocks.

    Parameters
    ----------
    X : ndarray, Rows or PagePaths of shape (n_records, ...)
    on_error : {"raise", "skip"}
        Of files that cannot be read.

    Returns
    -------
    Fingerprints
        Of the readable ones.
    errors : dict
        Path -> reason.
    kept : ndarray of int
        Which records were read.
    """
    exact, thumbnails, kept, errors = [], [], [], {}
    for start in range(0, len(X), _BLOCK):
        index = np.arange(start, min(start + _BLOCK, len(X)))
        pages, readable = _read(X, index, errors)
        kept.extend(readable)
        exact.extend(_digest(page) for page in pages)
        if X.ndim == 4:
            thumbnails.extend(_thumbnail(page) for page in pages)
    if errors and (on_error == "raise" or not kept):
        listed = "\n".join(f"  {path}: {reason}" for path, reason in list(errors.items())[:10])
        more = f"\n  ... and {len(errors) - 10} more" if len(errors) > 10 else ""
        raise UnreadableImageError(
            f"{len(errors)} of {len(X)} files of the pool cannot be read:\n{listed}{more}\nRepair "
            "them, leave them out, or set on_error='skip'.",
            errors,
        )
    names = X.paths[kept].astype(str) if isinstance(X, PagePaths) else None
    perceptual = np.stack(thumbnails) if thumbnails else None
    return Fingerprints(np.array(exact), perceptual, names), errors, np.array(kept)


def _read(X, index, errors):
    """Records X[index], and which of them could be read."""
    if not isinstance(X, PagePaths):
        return np.asarray(X[index]), index
    try:
        return X[index], index
    except UnreadableImageError as error:
        errors.update(error.errors)
        index = np.array([i for i in index if X.paths[i] not in error.errors], dtype=int)
        return (X[index] if len(index) else []), index


def _digest(record):
    digest = hashlib.sha256(f"{record.shape}{record.dtype}".encode())
    digest.update(np.ascontiguousarray(record).data)
    return digest.hexdigest()


def _thumbnail(page):
    """Grey page at THUMBNAIL x THUMBNAIL pixels, its own range stretched to 0-255."""
    grey = page.astype(np.float32).mean(axis=2)
    small = Image.fromarray(grey, mode="F").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    small = np.asarray(small)
    low, high = small.min(), small.max()
    return np.uint8(255 * (small - low) / max(high - low, 1e-6)).ravel()
