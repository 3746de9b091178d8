"""Spectrograms as pictures."""

from numbers import Integral

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from crtkit._io import import_optional
from crtkit._validation import check_records, iter_blocks

BLOCK = 64


def colour_table(name="viridis"):
    """The 256 colours of a colour map.

    Parameters
    ----------
    name : str
        ``"gray"`` (black to white), or any of matplotlib's colour maps.

    Returns
    -------
    ndarray of shape (256, 3), uint8

    Raises
    ------
    ImportError
        matplotlib is not installed and another map than ``"gray"`` was asked for.
    ValueError
        matplotlib has no such map.

    Examples
    --------
    >>> from crtkit.images.spectrogram import colour_table
    >>> colour_table("gray")[[0, 255]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    if name == "gray":
        return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    purpose = f"A colour map other than 'gray', {name!r},"
    matplotlib = import_optional("matplotlib", extra="plots", purpose=purpose)
    if name not in matplotlib.colormaps:
        raise ValueError(f"matplotlib has no colour map {name!r}; for example 'viridis', 'jet'.")
    # A table of 256 colours, looked up per pixel: matplotlib itself is not needed in workers.
    return matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3].copy()


def tile_edges(n_leads, height, width):
    """Where each lead's tile lies in a picture.

    Parameters
    ----------
    n_leads : int
        Twelve leads are laid out as on a printed page, three rows of four (I, II, III in the
        first column); any other number one below the other.
    height, width : int
        Pixels.

    Returns
    -------
    list of tuple (top, bottom, left, right), one per lead

    Examples
    --------
    >>> from crtkit.images.spectrogram import tile_edges
    >>> tile_edges(12, 224, 224)[4]
    (75, 149, 56, 112)
    """
    n_rows, n_columns = (3, 4) if n_leads == 12 else (n_leads, 1)
    if height < n_rows or width < n_columns:
        raise ValueError(
            f"{n_leads} leads need a picture of at least {n_rows} x {n_columns} pixels, "
            f"got {height} x {width}."
        )
    # Edges are rounded, not sizes, so that tiles fill the picture without a gap.
    rows = np.round(np.linspace(0, height, n_rows + 1)).astype(int).tolist()
    columns = np.round(np.linspace(0, width, n_columns + 1)).astype(int).tolist()
    return [
        (rows[i % n_rows], rows[i % n_rows + 1], columns[i // n_rows], columns[i // n_rows + 1])
        for i in range(n_leads)
    ]


class SpectrogramImager(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Paint spectrograms as RGB pictures, low frequencies at the bottom.

    Values are cut to ``db_range``, resized (bilinear, averaging where the picture is smaller
    than the spectrogram), and looked up in a colour map of 256 steps.

    Parameters
    ----------
    size : tuple of int, default=(224, 224)
        Height and width in pixels.
    db_range : tuple of float, default=(-80.0, 0.0)
        Values of the first and the last colour: decibel relative to 1 mV for
        ``STFTTransformer(scaling="dB")``.
    colour_map : str, default="viridis"
        ``"gray"``, or one of matplotlib's names.
    leads : sequence of int or None, default=None
        Which leads to paint, by position; None paints all: twelve as three rows of four, any
        other number one below the other.

    Attributes
    ----------
    colours_ : ndarray of shape (256, 3), uint8
    n_features_in_ : int
    shape_in_ : tuple of int

    Raises
    ------
    ValueError
        In ``fit``: an empty range, an unknown colour map, a lead that is not there, NaN.

    Notes
    -----
    Input is (n_records, n_leads, n_freqs, n_frames); a 3-D array is one lead, a 2-D array one
    lead and one row of it. Output is (n_records, height, width, 3), uint8.

    References
    ----------
    He et al. 2023 (study ``he2023``): spectrograms as images; neither colour map nor range is
    published.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import SpectrogramImager
    >>> spectrograms = np.full((2, 1, 257, 113), -80.0)
    >>> images = SpectrogramImager(size=(64, 64)).fit_transform(spectrograms)
    >>> images.shape, images[0, 0, 0].tolist()
    ((2, 64, 64, 3), [68, 1, 84])
    """

    _parameter_constraints = {
        "size": [tuple, list],
        "db_range": [tuple, list],
        "colour_map": [str],
        "leads": ["array-like", None],
    }

    def __init__(self, *, size=(224, 224), db_range=(-80.0, 0.0), colour_map="viridis", leads=None):
        self.size = size
        self.db_range = db_range
        self.colour_map = colour_map
        self.leads = leads

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters against the spectrograms, and load the colours.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_freqs, n_frames)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        X = check_records(self, X, kind="spectrograms", reset=True, ndim=(2, 3, 4))
        if len(self.size) != 2 or not all(isinstance(s, Integral) and s > 0 for s in self.size):
            raise ValueError(f"size must be (height, width) in pixels, got {self.size!r}.")
        if len(self.db_range) != 2 or not self.db_range[0] < self.db_range[1]:
            raise ValueError(f"db_range must be (lowest, highest), got {self.db_range!r}.")
        n_leads = X.shape[1] if X.ndim == 4 else 1
        leads = range(n_leads) if self.leads is None else self.leads
        missing = [lead for lead in leads if not 0 <= lead < n_leads]
        if missing or not len(leads):
            raise ValueError(
                f"leads={list(leads)} are asked for, the spectrograms have {n_leads} lead(s), "
                f"0 to {n_leads - 1}."
            )
        # Refuses a picture smaller than its tiles before any record is painted.
        tile_edges(len(leads), *self.size)
        self.colours_ = colour_table(self.colour_map)
        return self

    def transform(self, X):
        """Paint every record.

        Parameters
        ----------
        X : array-like of shape (n_records, n_leads, n_freqs, n_frames)

        Returns
        -------
        ndarray of shape (n_records, height, width, 3), uint8
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="spectrograms", reset=False, ndim=(2, 3, 4))
        out = np.empty((len(X), *self.size, 3), dtype=np.uint8)
        for where, block in iter_blocks(X, BLOCK):
            if block.ndim < 4:
                block = block.reshape(len(block), 1, -1, block.shape[-1])
            leads = range(block.shape[1]) if self.leads is None else self.leads
            tiles = tile_edges(len(leads), *self.size)
            for record, picture in zip(block, out[where]):
                for lead, (top, bottom, left, right) in zip(leads, tiles):
                    picture[top:bottom, left:right] = self._paint(
                        record[lead], bottom - top, right - left
                    )
        return out

    def set_output(self, *, transform=None):
        """Do nothing: the output has four axes, and stays an array."""
        return self

    def _paint(self, values, height, width):
        low, high = self.db_range
        # Frequencies upward, as spectrograms are printed.
        level = ((values[::-1] - low) * (255 / (high - low))).clip(0, 255).astype(np.float32)
        # Resized as numbers, then coloured: colours of a map do not mix to colours of the map.
        tile = Image.fromarray(level).resize((width, height), Image.Resampling.BILINEAR)
        return self.colours_[np.rint(np.asarray(tile)).astype(np.uint8)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
