"""Erase what identifies a patient from ECG pages: whatever is printed beside the traces."""

import warnings

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._validation import iter_blocks
from crtkit.images.decode import check_pages
from crtkit.images.lettering import find_lettering, paint_over

COLOURS = {"white": 255, "black": 0}
_BLOCK = 8
_CELLS = 150  # cells across a page in which colour is looked for
_COLOURED = 8  # difference of the largest and smallest channel that counts as coloured
_WIDE, _TALL = 0.8, 0.2  # shares of the page's width and height that a grid takes at least
_MARGIN = 0.04  # share of the page's height beside the grid, at least


def find_grid(page):
    """Find the coloured grid of a page.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)

    Returns
    -------
    tuple of int or None
        Left, top, right, bottom: ``page[top:bottom, left:right]`` is the grid. None where there is
        no coloured area over four fifths of the page's width and a fifth of its height.

    Raises
    ------
    ValueError
        Not one page of uint8, (height, width, 3).

    Notes
    -----
    The largest connected area of cells that hold some colour; a coloured logo that stands apart is
    not part of it. A page that was scanned in grey, or whose paper is coloured all over, has no
    grid for this function.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import find_grid, render_page
    >>> page, truth = render_page(np.zeros((12, 5000)))
    >>> np.abs(np.subtract(find_grid(page), truth.grid_box)).max() <= 2
    np.True_
    """
    page = _one_page(page, "find_grid")
    height, width = page.shape[:2]
    red, green, blue = (page[:, :, i] for i in range(3))
    largest = np.maximum(np.maximum(red, green), blue)
    colour = largest - np.minimum(np.minimum(red, green), blue)
    step = max(1, round(width / _CELLS))
    cells = colour[: height // step * step, : width // step * step] > _COLOURED
    cells = cells.reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    # A dotted grid leaves empty cells between its dots: closing joins them, a logo stays apart.
    filled = ndimage.binary_closing(np.pad(cells > 0.01, 2), np.ones((3, 3)))[2:-2, 2:-2]
    labels, n_areas = ndimage.label(filled)
    if not n_areas:
        return None
    areas = ndimage.find_objects(labels)
    rows, columns = max(areas, key=lambda a: (a[0].stop - a[0].start) * (a[1].stop - a[1].start))
    # Coloured text that touches the grid makes no full row of cells, a grid does.
    rows = _longest_run(filled[:, columns].mean(axis=1) > 0.5)
    columns = _longest_run(filled[rows].mean(axis=0) > 0.5)
    tall, wide = ((found.stop - found.start) / n for found, n in zip((rows, columns), filled.shape))
    # A logo or a coloured note is no grid, however red it is.
    if wide < _WIDE or tall < _TALL:
        return None
    inside = (slice(rows.start * step, rows.stop * step),)
    inside += (slice(columns.start * step, columns.stop * step),)
    top, bottom = _outer_lines(_line_profile(colour[:, inside[1]]), inside[0], step)
    left, right = _outer_lines(_line_profile(colour[inside[0]].T), inside[1], step)
    return left, top, right, bottom


def _longest_run(good):
    """Longest run of True as a slice."""
    edges = np.flatnonzero(np.diff(np.r_[False, good, False]))
    if not len(edges):
        return slice(0, 0)
    starts, stops = edges[::2], edges[1::2]
    longest = np.argmax(stops - starts)
    return slice(int(starts[longest]), int(stops[longest]))


def _line_profile(colour):
    """Colour of each row, by the median of its sections: text beside the grid fills but a few."""
    sections = np.array_split(colour, 20, axis=1)
    return np.median([section.mean(axis=1) for section in sections], axis=0)


def _outer_lines(profile, inside, step):
    """First and last line of the grid, near the ends of the cells that hold it, as an interval."""
    # The halo that JPEG leaves around a line is as strong as a dotted grid, but not as its line.
    ends = []
    for profile_, end in ((profile, inside.start), (profile[::-1], len(profile) - inside.stop)):
        first = max(end - step, 0)
        near = profile_[first : end + 2 * step]
        ends.append(first + int(np.argmax(near > near.max() / 2)))
    return ends[0], len(profile) - ends[1]


def erase_identity(page, regions="margins", fill="white", labels="keep"):
    """Erase parts of one page.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    regions : "margins" or list of (left, top, right, bottom)
        "margins" is everything outside the grid that :func:`find_grid` finds: header, footer and
        sides. Boxes are fractions of the page, in [0, 1].
    fill : {"white", "black"}
    labels : {"keep", "erase"}
        With "erase", what is written among the traces goes too, as far as it touches none: names
        of leads, separators, notes.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        A copy.

    Raises
    ------
    ValueError
        With "margins", no grid was found, or it reaches the upper and lower edge of the page while
        ``labels="keep"``: text may stand on it then. With ``labels="erase"``, no millimetres tell
        letters from traces.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import erase_identity, render_page
    >>> page, truth = render_page(np.zeros((12, 5000)), header="Name: Jane Doe")
    >>> left, top, right, bottom = truth.text_boxes[0][1]
    >>> page[top:bottom, left:right].min() < 100
    np.True_
    >>> erase_identity(page)[top:bottom, left:right].min()
    np.uint8(255)
    """
    out = _one_page(page, "erase_identity").copy()
    _erase(out, regions, fill, labels)
    return out


def _erase(page, regions, fill, labels):
    """Erase in place."""
    boxes = identity_boxes(page, regions, labels)
    # Letters first: the margins may be what tells the grid from the paper.
    if labels == "erase":
        paint_over(page, find_lettering(page))
    for left, top, right, bottom in boxes:
        page[top:bottom, left:right] = COLOURS[fill]


def identity_boxes(page, regions="margins", labels="keep"):
    """Find the parts of a page that :func:`erase_identity` fills.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
    regions : "margins" or list of (left, top, right, bottom)
    labels : {"keep", "erase"}
        With "erase" the grid may fill the page: text on it is erased otherwise.

    Returns
    -------
    list of tuple of int
        Left, top, right, bottom in pixels.

    Raises
    ------
    ValueError
        As :func:`erase_identity`.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.identity import identity_boxes
    >>> identity_boxes(np.zeros((10, 20, 3), np.uint8), [(0, 0, 0.5, 0.2)])
    [(0, 0, 10, 2)]
    """
    height, width = page.shape[:2]
    if isinstance(regions, str):
        left, top, right, bottom = _grid_with_margins(page, labels)
        return [
            (0, 0, width, top),
            (0, bottom, width, height),
            (0, top, left, bottom),
            (right, top, width, bottom),
        ]
    return [
        (
            int(np.floor(left * width)),
            int(np.floor(top * height)),
            int(np.ceil(right * width)),
            int(np.ceil(bottom * height)),
        )
        for left, top, right, bottom in _check_boxes(regions)
    ]


class IdentityEraser(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Erase names, numbers, dates and marks of the institution from pages.

    Nothing is learned. As ``JPEGLoader(erase=IdentityEraser())`` it sees each page in full
    resolution, before it is resized, which is where it works best.

    Parameters
    ----------
    regions : "margins" or list of (left, top, right, bottom), default="margins"
        What to erase: all that lies outside the coloured grid, or boxes in fractions of the page.
    fill : {"white", "black"}, default="white"
        What to put there.
    labels : {"keep", "erase"}, default="keep"
        With "erase", names of leads, separators and notes among the traces go too, as far as they
        touch no trace; pages whose grid fills them from top to bottom are then understood.
    on_unknown : {"raise", "blank"}, default="raise"
        With "margins", what becomes of pages on which no grid with margins is found: one error
        that lists them, or pages that are erased altogether and one warning that lists them. They
        are never passed on as they are.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one record: (height, width, 3) or (n_pixels,).
    n_features_in_ : int
        Height; number of pixels for 2-D input.

    See Also
    --------
    erase_identity : the function behind it.

    Notes
    -----
    Text that touches a trace is part of the trace, whatever ``labels`` says: give its box. Pixels
    are erased here, metadata of a file never reaches them: :class:`JPEGLoader` reads neither EXIF
    (but for the orientation) nor comments. 2-D input, rows of pixels, passes through.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import IdentityEraser
    >>> from crtkit.images import render_page
    >>> page, _ = render_page(np.zeros((12, 5000)), header="Name: Jane Doe")
    >>> pages = IdentityEraser().fit_transform(page[None])
    >>> pages[0, :150].min()
    np.uint8(255)
    """

    _parameter_constraints = {
        "regions": [StrOptions({"margins"}), "array-like"],
        "fill": [StrOptions(set(COLOURS))],
        "labels": [StrOptions({"keep", "erase"})],
        "on_unknown": [StrOptions({"raise", "blank"})],
    }

    def __init__(self, *, regions="margins", fill="white", labels="keep", on_unknown="raise"):
        self.regions = regions
        self.fill = fill
        self.labels = labels
        self.on_unknown = on_unknown

    def set_output(self, *, transform=None):
        """Do nothing: pages are not a table."""
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the shape of the pages.

        Parameters
        ----------
        X : array-like or Rows of uint8, shape (n_records, height, width, 3), or rows of pixels
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Wrong boxes, or not pages.
        """
        if not isinstance(self.regions, str):
            _check_boxes(self.regions)
        check_pages(self, X, reset=True)
        return self

    def transform(self, X):
        """Erase.

        Parameters
        ----------
        X : array-like or Rows of uint8, shape (n_records, height, width, 3), or rows of pixels

        Returns
        -------
        ndarray of uint8, shape (n_records, height, width, 3)
            A copy; rows of pixels come back as they are.

        Raises
        ------
        ValueError
            Pages without a grid, with ``on_unknown="raise"``.
        """
        check_is_fitted(self)
        X = check_pages(self, X, reset=False)
        if X.ndim == 2:
            return X
        out = np.empty(X.shape, dtype=np.uint8)
        unknown = {}
        for where, block in iter_blocks(X, _BLOCK, dtype="numeric"):
            out[where] = block
            for i in range(where.start, where.start + len(block)):
                try:
                    _erase(out[i], self.regions, self.fill, self.labels)
                except ValueError as error:
                    unknown[i] = str(error)
                    out[i] = COLOURS[self.fill]
        if unknown:
            self._report_unknown(unknown, len(X))
        return out

    def erase_image(self, image):
        """Erase on a decoded image in place, which spares :class:`JPEGLoader` two copies per page.

        Parameters
        ----------
        image : PIL.Image.Image
            In mode "RGB".

        Returns
        -------
        str or None
            With ``on_unknown="blank"``, why the page was erased altogether; who calls knows its
            name, and warns once for all pages.

        Raises
        ------
        ValueError
            As :meth:`transform`.
        """
        reason = None
        page = np.asarray(image)
        try:
            boxes = identity_boxes(page, self.regions, self.labels)
            if self.labels == "erase":
                page = page.copy()
                paint_over(page, find_lettering(page))
                image.paste(Image.fromarray(page))
        except ValueError as error:
            if self.on_unknown == "raise":
                raise ValueError(
                    f"IdentityEraser cannot tell identity from traces: {error}, or blank such "
                    "pages with on_unknown='blank'."
                ) from error
            reason = str(error)
            boxes = [(0, 0, *image.size)]
        for box in boxes:
            image.paste((COLOURS[self.fill],) * 3, box)
        return reason

    def _report_unknown(self, unknown, n_pages):
        listed = ", ".join(map(str, list(unknown)[:10])) + (", ..." if len(unknown) > 10 else "")
        message = (
            f"IdentityEraser cannot tell identity from traces on {len(unknown)} of {n_pages} "
            f"pages (rows {listed}): {next(iter(unknown.values()))}"
        )
        if self.on_unknown == "raise":
            raise ValueError(f"{message}, or blank such pages with on_unknown='blank'.")
        warnings.warn(f"{message}. They were erased altogether.", stacklevel=3)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _grid_with_margins(page, labels):
    box = find_grid(page)
    if box is None:
        raise ValueError("no coloured grid was found; give the boxes to erase as regions")
    height = page.shape[0]
    if labels == "keep" and box[1] < _MARGIN * height and box[3] > (1 - _MARGIN) * height:
        raise ValueError(
            "the grid fills the page from top to bottom, so text may stand on it; set "
            "labels='erase', or give the boxes to erase as regions"
        )
    return box


def _check_boxes(regions):
    # Fractions, so that one list of boxes serves scans of any resolution.
    boxes = np.asarray(regions, dtype=np.float64)
    good = boxes.ndim == 2 and boxes.shape[1:] == (4,) and np.isfinite(boxes).all()
    if not good or boxes.min() < 0 or boxes.max() > 1 or (boxes[:, :2] >= boxes[:, 2:]).any():
        raise ValueError(
            "regions must be 'margins' or a list of boxes (left, top, right, bottom) in fractions "
            f"of the page, from 0 to 1, left < right and top < bottom; got {regions!r}."
        )
    return boxes.tolist()


def _one_page(page, name):
    page = np.asarray(page)
    if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
        raise ValueError(
            f"{name} expects one page of uint8, shape (height, width, 3), got {page.dtype} "
            f"{page.shape}."
        )
    return page
