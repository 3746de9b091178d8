"""Pools of images: streamed from files, and remembered by what is in them. No torch here."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import joblib
import numpy as np
from PIL import Image

from crtkit._io import is_path
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
    if isinstance(X, (list, tuple)) and any(not is_path(x) for x in X):
        return None
    cells = np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) else X
    if getattr(cells, "ndim", 0) != 1 or not len(cells) or cells.dtype.kind not in "OU":
        return None
    return list(cells) if all(is_path(x) for x in cells) else None


@dataclass(frozen=True)
class Fingerprints:
    """What a set of images is recognised by.

    Attributes
    ----------
    exact : ndarray of str, shape (n_records,)
        sha256 of shape, dtype and pixels.
    perceptual : ndarray of uint8, shape (n_records, 4096), or None
        A grey thumbnail of each image; None for records that are not images.
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
    """Fingerprints of every record, read in blocks, a few blocks at a time in threads.

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
    starts = range(0, len(X), _BLOCK)
    blocks = [np.arange(start, min(start + _BLOCK, len(X))) for start in starts]
    # Decoding, hashing and adding up leave Python's lock alone.
    with ThreadPoolExecutor(_n_threads(len(blocks))) as pool:
        done = list(pool.map(lambda index: _block(X, index), blocks))
    exact = [digest for block in done for digest in block[0]]
    thumbnails = [page for block in done for page in block[1]]
    kept = [int(i) for block in done for i in block[2]]
    errors = {path: reason for block in done for path, reason in block[3].items()}
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


def _n_threads(n_blocks):
    """As many as the caller leaves to one fit, in the variable that OpenMP reads."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    n = int(allowed) if allowed.isdigit() and int(allowed) else joblib.cpu_count()
    return max(1, min(n, n_blocks))


def _block(X, index):
    """Digests, thumbnails and numbers of the records X[index] that can be read, and errors."""
    errors = {}
    pages, readable = _read(X, index, errors)
    thumbnails = [thumbnail(page) for page in pages] if X.ndim == 4 else []
    return [_digest(page) for page in pages], thumbnails, readable, errors


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


def thumbnail(page):
    """Grey page at THUMBNAIL x THUMBNAIL pixels, its own range stretched to 0-255.

    Parameters
    ----------
    page : ndarray of shape (height, width, n_channels)

    Returns
    -------
    ndarray of uint8, shape (4096,)
    """
    height, width, n_channels = page.shape
    if page.dtype == np.uint8 and min(height, width) >= THUMBNAIL and height < 256 * THUMBNAIL:
        small = _box_sums(page)
    else:
        grey = page.astype(np.float32).mean(axis=2)
        small = Image.fromarray(grey)
        small = np.asarray(small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    low, high = small.min(), small.max()
    return np.uint8(255 * (small - low) / max(high - low, 1e-6)).ravel()


def _box_sums(page):
    """Means over the boxes of Pillow's BOX filter, from sums of whole numbers: five times as fast.

    Rows are added first, since they lie in memory one after another.
    """
    height, width, n_channels = page.shape
    top, left = _edges(height), _edges(width)
    flat = np.ascontiguousarray(page).reshape(height, width * n_channels)
    rows = np.empty((THUMBNAIL, width * n_channels), dtype=np.uint16)
    for i in range(THUMBNAIL):
        np.add.reduce(flat[top[i] : top[i + 1]], axis=0, dtype=np.uint16, out=rows[i])
    sums = np.add.reduceat(rows, n_channels * left[:-1], axis=1, dtype=np.uint32)
    return sums / (n_channels * np.outer(np.diff(top), np.diff(left)))


def _edges(n):
    """Where the boxes begin and end; Pillow gives a pixel to the box that holds its middle."""
    return np.floor(np.arange(THUMBNAIL + 1) * (n / THUMBNAIL) + 0.5).astype(int)
