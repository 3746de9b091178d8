"""Pages to signals, as an estimator."""

import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from crtkit._leads import LEADS_12
from crtkit.images.decode import MAX_PIXELS, check_pages, read_page
from crtkit.images.digitize.confidence import LEAST_CONFIDENCE
from crtkit.images.digitize.leads import check_layout
from crtkit.images.digitize.page import SECONDS, digitize_page
from crtkit.images.digitize.reading import PageReading
from crtkit.images.digitize.vector import read_pdf
from crtkit.images.loader import paths_in
from crtkit.images.pdf import is_pdf


class ECGDigitizer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Signals of printed ECGs: pages in, twelve leads in millivolt out.

    Classical image analysis, nothing is learned. The grid gives the upright page, calibration
    pulse and length of the rows give the scale, a path of least cost through the ink gives each
    trace, and a fit of the pen its centre; the limb leads and the rhythm strip check each other.
    A page that cannot be read well comes out as NaN with a reason, never as something that looks
    like a signal.

    Parameters
    ----------
    fs : float, default=500
        Sampling rate in Hz of what comes out.
    layout : str or None, default=None
        Such as ``"3x4+II"``, or ``"3x4+1"`` with the rhythm lead left open. None finds 3x4 and 6x2
        with up to three rhythm strips, and 12x1.
    speed : float or None, default=None
        mm/s. None takes 25, or 50 where the calibration pulse is 10 mm wide.
    gain : float or None, default=None
        mm/mV. None measures the calibration pulse, and takes 10 where there is none.
    px_per_mm : float or None, default=None
        Scale to within 5 %, for pages whose grid alone does not tell it.
    least_confidence : float, default=0.5
        Pages whose median confidence over the leads is lower are refused; 0 refuses only what
        cannot be read at all. A confidence of 0.5 stands for some 10 dB.
    on_unknown : {"nan", "raise"}, default="nan"
        What becomes of refused pages: NaN and one warning, or one error; either lists them.
    n_jobs : int or None, default=None
        Processes.

    Attributes
    ----------
    report_ : DataFrame
        Of the last ``transform``, one row per page: ``reason`` (None for pages that were read),
        ``layout``, ``rhythm_leads``, scale (``px_per_mm_x``, ``px_per_mm_y``, ``px_per_second``,
        ``px_per_mv``, ``speed``, ``gain``, and what they were taken from), ``rotation`` in
        degrees, ``bend`` in pixels, ``pen_mm``, ``coverage``, the checks in dB, ``confidence`` and
        ``confidence_I`` ... ``confidence_V6``, and ``boxes``, a dict of lead to left, top, right,
        bottom in pixels.
    shape_in_ : tuple of int
        Shape of one record, for pages and 2-D input.
    n_features_in_ : int
        Axis 1 of pages and 2-D input.

    See Also
    --------
    digitize_page : one page, with the traces in pixels and corrections by hand.
    LeadStatistics, QRSMeasurements : features of the signals.

    Notes
    -----
    2-D input is rows of numbers, one lead each, and passes through.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import ECGDigitizer, ECGRenderer
    >>> t = np.arange(5000) / 500
    >>> beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    >>> leads = np.outer([1, 1.5, 0.5, -1.25, 0.25, 1, -1, -0.5, 0.5, 1, 1.2, 0.8], beats)
    >>> pages = ECGRenderer(fs=500, px_per_mm=7.874).fit_transform(leads[None])
    >>> digitizer = ECGDigitizer(fs=500)
    >>> digitizer.fit_transform(pages).shape
    (1, 12, 5000)
    >>> digitizer.report_[["layout", "speed", "gain"]].values.tolist()
    [['3x4+II', 25.0, 10.0]]
    """

    _parameter_constraints = {
        "fs": [Interval(Real, 50, 10_000, closed="both")],
        "layout": [str, None],
        "speed": [Interval(Real, 1, 200, closed="both"), None],
        "gain": [Interval(Real, 1, 100, closed="both"), None],
        "px_per_mm": [Interval(Real, 1, 50, closed="both"), None],
        "least_confidence": [Interval(Real, 0, 1, closed="both")],
        "on_unknown": [StrOptions({"nan", "raise"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        fs=500,
        layout=None,
        speed=None,
        gain=None,
        px_per_mm=None,
        least_confidence=LEAST_CONFIDENCE,
        on_unknown="nan",
        n_jobs=None,
    ):
        self.fs = fs
        self.layout = layout
        self.speed = speed
        self.gain = gain
        self.px_per_mm = px_per_mm
        self.least_confidence = least_confidence
        self.on_unknown = on_unknown
        self.n_jobs = n_jobs

    def set_output(self, *, transform=None):
        """Do nothing: signals are not a table."""
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and what kind of input comes; no page is read.

        Parameters
        ----------
        X : array-like of path-like, shape (n_records,), or pages, or rows of numbers
            Pages are uint8 of shape (n_records, height, width, 3); a list of pages of different
            sizes will do.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Wrong parameters, or neither paths nor pages.
        """
        check_layout(self.layout)
        # Nothing of an earlier fit may be left: paths have no shape, pages do.
        for name in ("shape_in_", "n_features_in_", "feature_names_in_", "report_"):
            self.__dict__.pop(name, None)
        if _pages(X) is None and paths_in(X, type(self).__name__) is None:
            check_pages(self, X, reset=True)
        self.fitted_ = True
        return self

    def transform(self, X):
        """Read every page.

        Parameters
        ----------
        X : array-like of path-like, shape (n_records,), or pages, or rows of numbers

        Returns
        -------
        ndarray of float32, shape (n_records, 12, 10 * fs)
            mV, NaN where nothing was printed. Rows of numbers come back as they are.

        Raises
        ------
        ValueError
            Refused pages, with ``on_unknown="raise"``.

        Warns
        -----
        UserWarning
            Refused pages, with ``on_unknown="nan"``.
        """
        check_is_fitted(self)
        if _pages(X) is None and paths_in(X, type(self).__name__) is None:
            X = check_pages(self, X, reset=False)
            if X.ndim == 2:
                return X
        # The report belongs to the last pages seen, as a search over folds would expect.
        readings = self.read(X)
        self.report_ = summarise(readings)
        refused = {i: r.reason for i, r in enumerate(readings) if r.reason}
        if refused:
            self._report(refused, len(readings))
        return np.stack([reading.signal for reading in readings])

    def read(self, X):
        """Read every page, with all that is known about it.

        Parameters
        ----------
        X : array-like of path-like, shape (n_records,), or pages

        Returns
        -------
        list of PageReading

        Raises
        ------
        ValueError
            No path or page was given.
        """
        paths = paths_in(X, type(self).__name__) if _pages(X) is None else None
        how = {
            name: getattr(self, name)
            for name in ("fs", "layout", "speed", "gain", "px_per_mm", "least_confidence")
        }
        # Processes, not threads: numpy holds the lock in most of the stages.
        items = X if paths is None else paths
        read = _read_array if paths is None else _read_file
        return list(Parallel(n_jobs=self.n_jobs)(delayed(read)(item, how) for item in items))

    def _report(self, refused, n_pages):
        lines = [f"  row {i}: {reason}" for i, reason in list(refused.items())[:10]]
        if len(refused) > 10:
            lines.append(f"  ... and {len(refused) - 10} more")
        listed = "\n".join(lines)
        if self.on_unknown == "raise":
            raise ValueError(
                f"ECGDigitizer cannot read {len(refused)} of {n_pages} pages:\n{listed}\nLeave "
                "them out, or set on_unknown='nan'."
            )
        warnings.warn(
            f"ECGDigitizer cannot read {len(refused)} of {n_pages} pages; their signals are "
            f"NaN:\n{listed}",
            stacklevel=3,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def summarise(readings):
    """Table of readings, one row per page, as ``report_`` of :class:`ECGDigitizer`."""
    rows = []
    for reading in readings:
        row = {
            "reason": reading.reason,
            "layout": reading.layout,
            "rhythm_leads": ", ".join(name or "?" for name in reading.rhythm_leads),
            "px_per_mm_x": reading.px_per_mm[0],
            "px_per_mm_y": reading.px_per_mm[1],
            "px_per_second": reading.px_per_second,
            "px_per_mv": reading.px_per_mv,
            "speed": reading.speed,
            "gain": reading.gain,
            "scale_from": dict(reading.scale_from),
            "rotation": reading.rotation,
            "bend": reading.bend,
            "pen_mm": reading.pen_mm,
            "coverage": reading.coverage,
        }
        for name in ("einthoven", "goldberger", "augmented", "repeat"):
            row[f"{name}_db"] = reading.checks.get(name, np.nan)
        lead = [reading.confidence.get(name, 0.0) for name in LEADS_12]
        row["confidence"] = float(np.median(lead))
        row.update({f"confidence_{name}": value for name, value in zip(LEADS_12, lead)})
        # Rhythm strips come last, and a lead's own column is its box.
        boxes = {strip.lead: strip.box for strip in reversed(reading.strips) if strip.lead}
        row["boxes"] = boxes
        rows.append(row)
    return pd.DataFrame(rows)


def _pages(X):
    """X if it is a list of page arrays, else None."""
    if isinstance(X, (list, tuple)) and X and all(np.ndim(page) == 3 for page in X):
        return X
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X):
        return X if all(np.ndim(page) == 3 for page in X) else None
    return None


def _read_array(page, how):
    return digitize_page(np.asarray(page), **how)


def _read_file(path, how):
    # A file that is no image is a page without a signal, like any other that cannot be read.
    try:
        if is_pdf(path):
            return read_pdf(path, **how)
        page, *_ = read_page(path, None, reduced=False, max_pixels=MAX_PIXELS)
    except ValueError as error:
        n = int(round(SECONDS * how["fs"]))
        nothing = np.full((12, n), np.nan, dtype=np.float32)
        return PageReading(nothing, how["fs"], reason=f"cannot be read as an image: {error}")
    return digitize_page(page, **how)
