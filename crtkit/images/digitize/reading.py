"""What was read from a page: the signals, where each lead lies, the scale, and how sure it is."""

from dataclasses import dataclass, field, replace

import numpy as np

from crtkit._leads import LEADS_12


@dataclass(frozen=True)
class LeadStrip:
    """One printed piece of one lead, as it was read.

    Parameters
    ----------
    lead : str
        Name of the lead; empty for a rhythm strip that repeats none.
    row, column : int
        Place on the page.
    rhythm : bool
        Whether it is a rhythm strip.
    start, stop : float
        Seconds of the record that it shows.
    box : tuple of float
        Left, top, right, bottom in pixels of the page as it came.
    x, y : ndarray of shape (n_points,)
        The trace in pixels of the page as it came.
    shared : float
        Share of its waves, by their ink, that cannot be told from those of another row.
    """

    lead: str
    row: int
    column: int
    rhythm: bool
    start: float
    stop: float
    box: tuple
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    shared: float = 0.0


@dataclass(frozen=True)
class PageReading:
    """A digitised page, or the reason why it was not.

    Parameters
    ----------
    signal : ndarray of float32, shape (12, n_samples)
        mV in the order of ``LEADS_12``, NaN where nothing was printed or read. A rhythm strip
        fills the row of its lead. All NaN if there is a reason.
    fs : float
        Hz.
    reason : str or None
        Why the page was refused; None for a page that was read.
    strips : tuple of LeadStrip
        Row by row.
    layout : str
        Such as ``"3x4+II"``; empty if not found.
    rhythm_leads : tuple of str
    px_per_mm : tuple of float
        Grid along and down the page; NaN without one.
    px_per_second, px_per_mv : float
        Scale that was used.
    speed, gain : float
        mm/s and mm/mV.
    scale_from : dict of str to str
        What time and gain were taken from: "row", "separators", "grid", "pulse", "stated", "paths".
    rotation : float
        Degrees by which the page was turned.
    bend : float
        Pixels by which its grid was bent.
    pen_mm : float
        Thickness of the pen.
    checks : dict of str to float
        Agreement in dB: ``"einthoven"``, ``"goldberger"``, ``"augmented"``, ``"repeat"``.
    evidence : dict of str to float
        How well the ink was followed; see :func:`~crtkit.images.digitize.evidence.page_evidence`.
    confidence : dict of str to float
        A lead's share of trust, 0 to 1.
    """

    signal: np.ndarray = field(repr=False)
    fs: float
    reason: str | None = None
    strips: tuple = field(default=(), repr=False)
    layout: str = ""
    rhythm_leads: tuple = ()
    px_per_mm: tuple = (np.nan, np.nan)
    px_per_second: float = np.nan
    px_per_mv: float = np.nan
    speed: float = np.nan
    gain: float = np.nan
    scale_from: dict = field(default_factory=dict)
    rotation: float = np.nan
    bend: float = np.nan
    pen_mm: float = np.nan
    checks: dict = field(default_factory=dict)
    evidence: dict = field(default_factory=dict)
    confidence: dict = field(default_factory=dict)

    @property
    def accepted(self):
        """Whether the page was read."""
        return self.reason is None

    @property
    def coverage(self):
        """Share of the printed seconds that were read."""
        printed = np.zeros(self.signal.shape, dtype=bool)
        time = np.arange(self.signal.shape[1]) / self.fs
        # A strip that repeats no lead has no place among the twelve.
        for strip in self.strips:
            if strip.lead:
                row = LEADS_12.index(strip.lead)
                printed[row] |= (time >= strip.start) & (time < strip.stop)
        # A refused page has no strips; 0 of nothing counts as nothing read.
        if not printed.any():
            return 0.0
        return float(np.isfinite(self.signal[printed]).mean())

    def replace(self, lead, trace):
        """Put a corrected trace in place of a lead's.

        Parameters
        ----------
        lead : str
            One of ``LEADS_12``.
        trace : array-like of shape (n_samples,)
            mV at ``fs``; NaN where nothing is known.

        Returns
        -------
        PageReading
            With full confidence in that lead. A page that was refused stays refused for its other
            leads, but is no longer without a signal.

        Raises
        ------
        ValueError
            An unknown lead, or a trace of another length.

        Examples
        --------
        >>> import numpy as np
        >>> from crtkit.images import PageReading
        >>> reading = PageReading(np.full((12, 5000), np.nan, np.float32), 500, reason="no grid")
        >>> corrected = reading.replace("II", np.zeros(5000))
        >>> corrected.accepted, int(np.isfinite(corrected.signal).sum())
        (True, 5000)
        """
        if lead not in LEADS_12:
            raise ValueError(f"lead must be one of {', '.join(LEADS_12)}, got {lead!r}.")
        trace = np.asarray(trace, dtype=np.float32)
        if trace.shape != self.signal.shape[1:]:
            raise ValueError(
                f"trace must have shape {self.signal.shape[1:]}, {self.signal.shape[1]} samples "
                f"at {self.fs:g} Hz, got {trace.shape}."
            )
        # A reading is frozen: what was read by itself stays beside what a person corrected.
        signal = self.signal.copy()
        signal[LEADS_12.index(lead)] = trace
        # A person has drawn it: the reading no longer doubts it.
        confidence = {**self.confidence, lead: 1.0}
        return replace(self, signal=signal, confidence=confidence, reason=None)
