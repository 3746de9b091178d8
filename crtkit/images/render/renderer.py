"""Signals to ECG pages."""

from numbers import Real

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from crtkit._validation import as_leads, check_records, iter_blocks
from crtkit.images.decode import check_size, resize_page
from crtkit.images.render.artefacts import spoil
from crtkit.images.render.layout import PAPER_GAIN, PAPER_SPEED, page_layout
from crtkit.images.render.sheet import GRIDS, PAPERS, LeadTrace, PageTruth, sheet_for

__all__ = ["ECGRenderer", "LeadTrace", "PageTruth", "render_page"]

_BLOCK = 16
_PARAMETERS = {
    "fs": [Interval(Real, 0, None, closed="neither")],
    "layout": [str],
    "px_per_mm": [Interval(Real, 1, 50, closed="both")],
    "speed": [Interval(Real, 0, None, closed="neither")],
    "gain": [Interval(Real, 0, None, closed="neither")],
    "header": [str, None],
    "grid": ["boolean"],
    "calibration": ["boolean"],
    "labels": ["boolean"],
    "colour": [StrOptions(set(GRIDS))],
    "paper": [StrOptions(set(PAPERS))],
}


@validate_params(_PARAMETERS, prefer_skip_nested_validation=True)
def render_page(
    signal,
    fs=500,
    *,
    layout="3x4+II",
    px_per_mm=5.0,
    speed=PAPER_SPEED,
    gain=PAPER_GAIN,
    header=None,
    grid=True,
    calibration=True,
    labels=True,
    colour="red",
    paper="white",
):
    """Print one record on a page.

    Parameters
    ----------
    signal : array-like of shape (12, n_samples), (1, n_samples) or (n_samples,)
        mV; twelve leads in the order of ``LEADS_12``. The pen is lifted at NaN. One lead gives a
        page of one strip, whatever the layout.
    fs : float
        Sampling rate in Hz.
    layout : str
        As in :func:`page_layout`.
    px_per_mm : float
        Resolution, from 1 to 50: 5 is 127 dpi and gives 1485 x 1050 pixels, 7.874 is 200 dpi.
    speed : float
        Paper speed in mm/s. A full row is 250 mm: ten seconds at 25 mm/s.
    gain : float
        mm/mV.
    header : str or None
        Lines of text above the grid.
    grid, calibration, labels : bool
        Whether to draw the millimetre grid; the 1 mV pulses; names and separators of the leads.
    colour : {"red", "orange", "green", "blue", "grey"}
        Of the grid.
    paper : {"white", "cream", "pink", "grey"}

    Returns
    -------
    image : ndarray of uint8, shape (height, width, 3)
    truth : PageTruth

    Raises
    ------
    ValueError
        Wrong parameters; neither one lead nor twelve; a record that ends before the last column
        begins; an unknown layout; a header that does not fit.

    Notes
    -----
    Samples after the printed seconds are left out; a record that ends within a strip leaves its
    rest blank. What reaches beyond the grid is cut there, and counted in the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import render_page
    >>> image, truth = render_page(np.zeros((12, 5000)), fs=500)
    >>> image.shape, len(truth.traces), truth.px_per_mv
    ((1050, 1485, 3), 13, 50.0)
    """
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim not in (1, 2) or not signal.size:
        raise ValueError(
            f"render_page expects one record (n_leads, n_samples) in mV, got shape {signal.shape}."
        )
    signal = np.atleast_2d(signal)
    style = (layout, float(px_per_mm), float(speed), float(gain), grid, calibration, labels)
    # The empty sheet is kept: drawing its grid takes longer than all traces.
    sheet = sheet_for(len(signal), *style, colour, paper)
    return sheet.draw(sheet.traces(signal, fs), header)


class ECGRenderer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Print records as a cardiograph does: signals in, pages out.

    Three rows of four leads and a rhythm strip on A4, 25 mm/s, 10 mm/mV, millimetre grid,
    calibration pulses, lead names. The same signals give the same pixels, and so do artefacts with
    the same seed.

    Parameters
    ----------
    fs : float, default=500
        Sampling rate in Hz.
    layout : str, default="3x4+II"
        As in :func:`page_layout`: also "3x4+V1", "6x2+II", "12x1", ...
    px_per_mm : float, default=5.0
        Resolution, from 1 to 50; 5 gives 1485 x 1050 pixels.
    speed : float, default=25.0
        Paper speed in mm/s.
    gain : float, default=10.0
        mm/mV.
    header : str, default=None
        Lines of text above the grid, the same on every page.
    grid : bool, default=True
        Draw the millimetre grid.
    calibration : bool, default=True
        Draw the pulses of 1 mV before each row.
    labels : bool, default=True
        Write the names of the leads, and mark where one follows another.
    colour : {"red", "orange", "green", "blue", "grey"}, default="red"
        Of the grid.
    paper : {"white", "cream", "pink", "grey"}, default="white"
        Colour of the paper.
    artefacts : dict of str to float, default=None
        Dials of what happens to the printed page: ``{"tilt": 3, "crease": 0.5, "jpeg": 60}``; names
        and ranges as in :func:`~crtkit.images.render.artefacts.spoil`. Pages that come out larger
        or smaller are brought back to the size of the sheet.
    size : tuple of (height, width), default=None
        Resize pages, with antialiasing; None keeps their resolution (4.7 MB per page).
    random_state : int, RandomState instance or None, default=None
        Of the artefacts: each page draws its own.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one record: (n_leads, n_samples) or (n_samples,).
    n_features_in_ : int
        Number of leads; of samples for 2-D input.

    See Also
    --------
    render_page : one page, with the true path of every trace.
    crtkit.datasets.render_cohort : pages of a cohort as JPEG files.

    Notes
    -----
    2-D input is one lead, and gives pages of a single strip. Records may be longer than a page
    shows: the rest is not printed.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import ECGRenderer
    >>> signals = np.random.default_rng(0).normal(scale=0.1, size=(2, 12, 5000))
    >>> pages = ECGRenderer(fs=500).fit_transform(signals)
    >>> pages.shape, pages.dtype
    ((2, 1050, 1485, 3), dtype('uint8'))
    >>> ECGRenderer(fs=500, size=(224, 224)).fit_transform(signals).shape
    (2, 224, 224, 3)
    """

    _parameter_constraints = {
        **_PARAMETERS,
        "artefacts": [dict, None],
        "size": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        fs=500,
        layout="3x4+II",
        px_per_mm=5.0,
        speed=PAPER_SPEED,
        gain=PAPER_GAIN,
        header=None,
        grid=True,
        calibration=True,
        labels=True,
        colour="red",
        paper="white",
        artefacts=None,
        size=None,
        random_state=None,
    ):
        self.fs = fs
        self.layout = layout
        self.px_per_mm = px_per_mm
        self.speed = speed
        self.gain = gain
        self.header = header
        self.grid = grid
        self.calibration = calibration
        self.labels = labels
        self.colour = colour
        self.paper = paper
        self.artefacts = artefacts
        self.size = size
        self.random_state = random_state

    def set_output(self, *, transform=None):
        """Do nothing: pages are not a table."""
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check parameters and the shape of the records.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Signals in mV, of 12 leads or 1.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Wrong parameters, or records that the layout cannot print.
        """
        check_size(self.size, type(self).__name__)
        page_layout(self.layout)
        check_records(self, X, kind="signals", reset=True)
        n_leads = self.shape_in_[0] if len(self.shape_in_) == 2 else 1
        sheet = self._sheet(n_leads)
        # What cannot be drawn is refused here, not after half of the pages.
        sheet.header(sheet.paper.copy(), self.header)
        # A trial without a signal: parameters that do not go together fail in fit, not on page 200.
        sheet.traces(np.zeros((n_leads, self.shape_in_[-1])), self.fs)
        # Names and ranges of dials too, on a page that costs nothing.
        spoil(np.full((8, 8, 3), 255, np.uint8), self.artefacts or {}, random_state=0)
        return self

    def transform(self, X):
        """Print every record.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Signals in mV; 3-D records may be longer or shorter than in ``fit``.

        Returns
        -------
        ndarray of uint8, shape (n_records, height, width, 3)

        Raises
        ------
        ValueError
            NaN, another number of leads than in ``fit``, or records too short for the layout.
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False, free_axes=(2,))
        sheet = self._sheet(X.shape[1] if X.ndim == 3 else 1)
        height, width = self.size or (sheet.height, sheet.width)
        pages = np.empty((len(X), height, width, 3), dtype=np.uint8)
        # One per page, drawn first: a page is spoilt alike whatever the size of the blocks.
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(X))
        for where, block in iter_blocks(X, _BLOCK):
            for i, signal in enumerate(as_leads(block), start=where.start):
                page, _ = sheet.draw(sheet.traces(signal, self.fs), self.header)
                if self.artefacts:
                    page = spoil(page, self.artefacts, random_state=int(seeds[i]))
                # A tilted sheet needs more room; an array has but one size.
                if page.shape[:2] != (height, width):
                    page = np.asarray(resize_page(Image.fromarray(page), (height, width)))
                pages[i] = page
        return pages

    def _sheet(self, n_leads):
        scale = (float(self.px_per_mm), float(self.speed), float(self.gain))
        drawn = (self.grid, self.calibration, self.labels, self.colour, self.paper)
        return sheet_for(n_leads, self.layout, *scale, *drawn)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
