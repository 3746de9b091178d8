"""Twelve leads spliced into the rows of a printed page."""

from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._leads import LEADS_12
from crtkit._validation import check_records, iter_blocks

#: Rows of a page: the leads of each row, left to right, share its ten seconds equally.
SPLICE_LAYOUTS = {
    "3x4+II": (
        ("I", "aVR", "V1", "V4"),
        ("II", "aVL", "V2", "V5"),
        ("III", "aVF", "V3", "V6"),
        ("II",),
    ),
    "3x4": (
        ("I", "aVR", "V1", "V4"),
        ("II", "aVL", "V2", "V5"),
        ("III", "aVF", "V3", "V6"),
    ),
}

PAGE_SECONDS = 10
BLOCK = 64


def splice_leads(signals, layout="3x4+II") -> np.ndarray:
    """Put the leads of each page row one behind the other, each at its own time.

    Parameters
    ----------
    signals : ndarray of shape (..., 12, n_samples)
        The standard leads in the order of ``LEADS_12``.
    layout : str
        A key of :data:`SPLICE_LAYOUTS`.

    Returns
    -------
    ndarray of shape (..., n_rows, n_samples)
        The columns are aligned in time: of four leads in a row, the second shows the second
        quarter of the record.

    Raises
    ------
    ValueError
        Signals that are not of twelve leads, or an unknown layout.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import splice_leads
    >>> signals = np.repeat(np.arange(12.0)[:, None], 5000, axis=1)
    >>> splice_leads(signals)[:, ::1250]
    array([[ 0.,  3.,  6.,  9.],
           [ 1.,  4.,  7., 10.],
           [ 2.,  5.,  8., 11.],
           [ 1.,  1.,  1.,  1.]])
    """
    if layout not in SPLICE_LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(SPLICE_LAYOUTS)}, got {layout!r}.")
    rows = SPLICE_LAYOUTS[layout]
    signals = np.asarray(signals)
    if signals.ndim < 2 or signals.shape[-2] != len(LEADS_12):
        raise ValueError(
            "splice_leads expects signals of shape (..., 12, n_samples), leads in the order "
            f"{', '.join(LEADS_12)}, got {signals.shape}."
        )
    n_samples = signals.shape[-1]
    out = np.empty((*signals.shape[:-2], len(rows), n_samples), dtype=signals.dtype)
    for i, row in enumerate(rows):
        # Every row shares the time of the record: a seam is a change of lead, never of time.
        edges = np.arange(len(row) + 1) * n_samples // len(row)
        for lead, start, stop in zip(row, edges[:-1], edges[1:]):
            out[..., i, start:stop] = signals[..., LEADS_12.index(lead), start:stop]
    return out


class LeadSplicer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Splice twelve leads of ten seconds into the channels of the printed 3 x 4 page.

    Three rows of four leads, 2.5 s each, and the lead II rhythm strip: (n, 12, 5000) at 500 Hz
    becomes (n, 4, 5000), so that digital records and scanned pages feed one network (lvsd2026).

    Parameters
    ----------
    fs : float, default=500
        Sampling rate in Hz; a record must hold ten seconds of it.
    layout : {"3x4+II", "3x4"}, default="3x4+II"
        With the rhythm strip, or without (three channels).
    on_unknown : {"raise", "nan"}, default="raise"
        What to do where the page would show NaN, such as a lead that the digitizer could not
        read. NaN outside the windows that the page shows is never looked at.

    Attributes
    ----------
    n_features_in_ : int
    shape_in_ : tuple of int

    Raises
    ------
    ValueError
        Not twelve leads, not ten seconds at ``fs``, or NaN in what the page shows.

    Notes
    -----
    A 2-D array (n_records, n_samples) is one lead, the rhythm strip, and passes through.
    Filter the whole ten seconds before splicing: a filter would smear the seams.

    References
    ----------
    Study ``lvsd2026``, Figure 1: the layout of the printed page.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import LeadSplicer
    >>> LeadSplicer(fs=500).fit_transform(np.zeros((2, 12, 5000))).shape
    (2, 4, 5000)
    """

    _parameter_constraints = {
        "fs": [Interval(Real, 0, None, closed="neither")],
        "layout": [StrOptions(set(SPLICE_LAYOUTS))],
        "on_unknown": [StrOptions({"raise", "nan"})],
    }

    def __init__(self, *, fs=500, layout="3x4+II", on_unknown="raise") -> None:
        self.fs = fs
        self.layout = layout
        self.on_unknown = on_unknown

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Check leads and duration.

        Parameters
        ----------
        X : array-like of shape (n_records, 12, n_samples) or (n_records, n_samples)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        X = check_records(self, X, kind="signals", reset=True, finite=self._finite(X))
        if X.ndim == 3:
            n_leads, n_samples = X.shape[1:]
            if n_leads != len(LEADS_12):
                raise ValueError(
                    f"LeadSplicer expects 12 leads in the order {', '.join(LEADS_12)}, got "
                    f"{n_leads}. Records of other leads have no 3 x 4 page."
                )
            if n_samples != round(PAGE_SECONDS * self.fs):
                raise ValueError(
                    f"LeadSplicer expects ten seconds, {round(PAGE_SECONDS * self.fs)} samples at "
                    f"fs={self.fs:g}, got {n_samples}. Crop the records, or give the true fs."
                )
        return self

    def transform(self, X) -> np.ndarray:
        """Splice every record.

        Parameters
        ----------
        X : array-like of shape (n_records, 12, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape (n_records, n_rows, n_samples), or X for one lead
        """
        check_is_fitted(self)
        finite = self._finite(X)
        X = check_records(self, X, kind="signals", reset=False, finite=finite)
        is_page = len(X.shape) == 3
        n_rows = (len(SPLICE_LAYOUTS[self.layout]),) if is_page else ()
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        out = np.empty((len(X), *n_rows, X.shape[-1]), dtype=dtype)
        for where, block in iter_blocks(X, BLOCK, finite=finite):
            spliced = splice_leads(block, self.layout) if is_page else block
            if self.on_unknown == "raise" and np.isnan(spliced).any():
                bad = np.flatnonzero(np.isnan(spliced).any((-2, -1))) + where.start
                raise ValueError(
                    f"LeadSplicer got NaN in what the page shows, in {len(bad)} record(s), first "
                    f"{bad[:5].tolist()}. Leave them out, or pass on_unknown='nan'."
                )
            out[where] = spliced
        return out

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output has more than two axes in general, and stays an array."""
        return self

    def _finite(self, X) -> bool | str:
        # One lead is shown whole; of twelve leads only the shown windows must hold numbers.
        n_axes = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        return True if self.on_unknown == "raise" and n_axes == 2 else "allow-nan"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.on_unknown == "nan"
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
