"""Paths to pages, as an estimator."""

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from crtkit._columns import as_frame
from crtkit._io import is_path
from crtkit._validation import iter_blocks
from crtkit.cohort.rows import Rows
from crtkit.images.decode import (
    MAX_PIXELS,
    check_eraser,
    check_pages,
    check_size,
    erase_image,
    resize_page,
)
from crtkit.images.files import PARAMETERS, check_cache, load_many, warn_blanked

# Pages of 2213 x 1572 are 10 MB each; sixteen of them are read and shrunk at a time.
_BLOCK = 16


class JPEGLoader(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Paths in, pages of one size out: the first step of every image pipeline.

    Nothing is learned. A Pipeline calls it once a fit, so each file is decoded once a fit and not
    once an epoch; ``cache_dir`` makes that once altogether, across folds and searches.

    Parameters
    ----------
    size : tuple of (height, width) or None, default=(224, 224)
        Resized with antialiasing; None keeps the files' own size, which must then be one.
    erase : transformer of pages, callable or None, default=None
        Applied to each whole page in full resolution, before it is resized, such as
        :class:`~crtkit.IdentityEraser`, whose parameters ``fit`` checks. Of other transformers a
        clone is fitted to every page.
    aspect : {"stretch", "pad"}, default="stretch"
        Whether pages are stretched to ``size``, or keep their proportions on a white ground.
    reduced : bool, default=True
        Let the JPEG decoder skip resolution that is not needed: see :func:`load_image`.
    max_pixels : int, default=80_000_000
        Files with more are refused before they are decoded. Above 179 million, raise Pillow's
        ``PIL.Image.MAX_IMAGE_PIXELS`` too.
    on_error : {"raise", "white"}, default="raise"
        What becomes of files that cannot be read: one error, or white pages and one warning,
        either of which lists every bad path once.
    n_jobs : int, default=None
        Threads.
    cache_dir : path-like, default=None
        Folder that keeps decoded pages as ``.npy`` files, 150 kB each at 224 x 224. An entry is
        found by path, size in bytes, time of change, all parameters above, and the versions of
        crtkit and Pillow. The code of an eraser of yours is not looked at: delete the folder when
        you change it, and when the study is over: nothing is ever removed. A function as
        ``erase`` is refused.

    Attributes
    ----------
    input_kind_ : {"paths", "pages", "rows of pixels"}
        What ``fit`` saw.
    shape_in_ : tuple of int
        Shape of one record, for pages and rows of pixels.
    n_features_in_ : int
        Axis 1 of pages and rows of pixels.

    See Also
    --------
    load_image : one file.
    check_images : which files are bad, and why.

    Notes
    -----
    Pages that are already arrays (n_records, height, width, 3) or grey (n_records, height, width),
    uint8, are erased and resized as files are; 2-D input, rows of pixels, passes through.

    Examples
    --------
    >>> import os, tempfile
    >>> from PIL import Image
    >>> from crtkit import JPEGLoader
    >>> path = os.path.join(tempfile.mkdtemp(), "page.jpg")
    >>> Image.new("RGB", (2200, 1700), "white").save(path)
    >>> JPEGLoader(size=(112, 112)).fit_transform([path, path]).shape
    (2, 112, 112, 3)
    """

    _parameter_constraints = PARAMETERS

    def __init__(
        self,
        *,
        size=(224, 224),
        erase=None,
        aspect="stretch",
        reduced=True,
        max_pixels=MAX_PIXELS,
        on_error="raise",
        n_jobs=None,
        cache_dir=None,
    ):
        self.size = size
        self.erase = erase
        self.aspect = aspect
        self.reduced = reduced
        self.max_pixels = max_pixels
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir

    def set_output(self, *, transform=None):
        """Do nothing: pages are not a table."""
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and what kind of input comes; no file is opened.

        Parameters
        ----------
        X : array-like of path-like, shape (n_records,), or pages, or rows of pixels
            A DataFrame or array with a single column of paths will do.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Wrong parameters, neither paths nor pages, or ``cache_dir`` beside a function.
        """
        check_size(self.size, type(self).__name__)
        check_cache(self.cache_dir, self.erase, type(self).__name__)
        check_eraser(self.erase)
        # Left from an earlier fit on arrays, they would contradict a fit on paths.
        for name in ("shape_in_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if paths_in(X, type(self).__name__) is not None:
            self.input_kind_ = "paths"
        else:
            X = check_pages(self, X, reset=True, grey=True)
            self.input_kind_ = "pages" if X.ndim > 2 else "rows of pixels"
        return self

    def transform(self, X):
        """Read every page.

        Parameters
        ----------
        X : array-like of path-like, shape (n_records,), or pages, or rows of pixels

        Returns
        -------
        ndarray of uint8, shape (n_records, height, width, 3)
            Rows of pixels, and pages with nothing to do, come back as they are.

        Raises
        ------
        UnreadableImageError
            A ValueError with every bad path once.
        ValueError
            Paths where ``fit`` saw pages, or the other way round.
        """
        check_is_fitted(self)
        name = type(self).__name__
        paths = paths_in(X, name)
        # A pipeline fitted on pages would otherwise take paths for pixels, or fail far from here.
        if (paths is not None) != (self.input_kind_ == "paths"):
            raise ValueError(
                f"{name} was fitted on {self.input_kind_}, but now got "
                f"{'paths' if paths is not None else 'an array of numbers'}. Refit it."
            )
        if paths is None:
            return self._fit_size(check_pages(self, X, reset=False, grey=True))
        names = ("size", "erase", "aspect", "reduced", "max_pixels")
        how = {name: getattr(self, name) for name in names}
        return load_many(paths, how, self.on_error, self.n_jobs, self.cache_dir, name)

    def _fit_size(self, X):
        if X.ndim == 2:
            return X
        own = X.shape[1:3]
        height, width = own if self.size is None else tuple(self.size)
        # Nothing to do, and no copy made: pages of a cohort may be gigabytes.
        if self.erase is None and X.ndim == 4 and (height, width) == own:
            return X
        check_eraser(self.erase)
        pages, blanked = np.empty((len(X), height, width, 3), dtype=np.uint8), {}
        for where, block in iter_blocks(X, _BLOCK, dtype="numeric"):
            for i, page in enumerate(block, start=where.start):
                page = page if page.ndim == 3 else np.repeat(page[:, :, None], 3, axis=2)
                image = Image.fromarray(page)
                if self.erase is not None:
                    image, reason = erase_image(image, self.erase)
                    if reason:
                        blanked[f"row {i}"] = reason
                pages[i] = np.asarray(resize_page(image, (height, width), self.aspect))
        warn_blanked(blanked, len(X), type(self).__name__, stacklevel=4)
        return pages

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def paths_in(X, name):
    """List the paths in X.

    Parameters
    ----------
    X : array-like
    name : str
        Who asks, for messages.

    Returns
    -------
    list of path-like or None
        None where X holds arrays or numbers.

    Raises
    ------
    ValueError
        No cell, text that is not a path, or several columns of paths.
    """
    # Rows and sparse matrices hold numbers; looking at their cells would read them.
    if isinstance(X, Rows) or hasattr(X, "toarray") or getattr(X, "ndim", 1) > 2:
        return None
    if isinstance(X, (list, tuple)) and X and np.ndim(X[0]) > 1:
        return None
    X = as_frame(X)
    if hasattr(X, "to_numpy"):
        X = X.to_numpy(dtype=object)
    cells = np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) else np.asarray(X)
    if cells.ndim == 1 and not cells.size:
        raise ValueError(f"Found array with 0 sample(s): {name} needs at least one path or page.")
    if cells.dtype.kind not in "OU" or not cells.size:
        return None
    if not any(is_path(cell) for cell in cells.flat):
        if cells.ndim == 1 and all(np.ndim(cell) == 0 for cell in cells):
            raise ValueError(
                f"{name} expects paths or pages, got none among {len(cells)} cells such as "
                f"{cells[0]!r}."
            )
        return None
    if cells.ndim > 1 and cells.size != len(cells):
        raise ValueError(
            f"{name} expects one column of paths, got shape {cells.shape}. Put Select('image') in "
            "front of it."
        )
    return cells.ravel().tolist()
