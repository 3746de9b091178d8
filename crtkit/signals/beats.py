"""One record cut into beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crtkit.signals.filters import design_filter, filter_leads
from crtkit.signals.r_peaks import MIN_SECONDS, detect_r_peaks
from crtkit.signals.shannon import RR_NEIGHBOURS, running_median

FILTER_PADDING_S = 3.0
FLAT_MV = 1e-9


class NoBeatsError(ValueError):
    """A record cannot be cut into beats; the message is the reason, in a few words."""


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of one record.

    Parameters
    ----------
    signals : ndarray of shape (n_inside, n_leads, n_samples), float32
        Windows that lie wholly inside the record, in the order of their R peaks.
    peaks : ndarray of int, shape (n_beats,)
        R peaks of all beats, in samples of the record.
    inside : ndarray of bool, shape (n_beats,)
        Which beats ``signals`` holds: False where a window crosses an end of the record.
    interval : ndarray of shape (n_beats,)
        Median RR interval around each beat, in samples: what its window is measured in.
    """

    signals: np.ndarray
    peaks: np.ndarray
    inside: np.ndarray
    interval: np.ndarray


def cut_beats(
    signal,
    fs: float,
    *,
    peaks=None,
    rr: float = 1.2,
    before: float = 0.5,
    n_samples: int = 512,
    lead: int | None = None,
    method: str = "shannon",
    highpass: float | None = 0.5,
) -> Beats:
    """Cut one record into beats of ``rr`` RR intervals.

    The interval is the median of the nine around a beat, so that a premature beat keeps the
    window of its rhythm. Every beat has ``n_samples``: its R peak lies at
    ``round(before * n_samples)``, shorter windows are padded with zeros on both sides, longer
    ones are cropped.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_samples_in) or (n_samples_in,)
        Millivolt.
    fs : float
        Sampling rate in Hz.
    peaks : array-like of int, optional
        R peaks, increasing; by default they are detected.
    rr : float
        Length of a window in RR intervals, above 0.
    before : float
        Share of the window that lies before the R peak, between 0 and 1.
    n_samples : int
        Samples of a beat, 2 or more.
    lead : int or None
        Lead in which R peaks are detected; None takes II of twelve leads, else the first.
    method : str
        As in :func:`detect_r_peaks`.
    highpass : float or None
        Hz; removes the baseline from the record before it is cut (zero phase).

    Returns
    -------
    Beats

    Raises
    ------
    NoBeatsError
        Missing samples, a flat lead, a record too short, or fewer than two beats.
    ValueError
        Parameters out of range, a lead that the record lacks, peaks out of order or outside it.

    See Also
    --------
    segment_beats : The same for a cohort.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import cut_beats
    >>> t = np.arange(3600) / 360
    >>> ecg = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2)
    >>> beats = cut_beats(ecg, 360)
    >>> beats.signals.shape, int(beats.signals[0, 0].argmax())
    ((11, 1, 512), 256)
    """
    if not 0 < before < 1 or rr <= 0 or n_samples < 2:
        raise ValueError(
            "cut_beats expects 0 < before < 1, rr > 0 and n_samples >= 2, got "
            f"before={before}, rr={rr}, n_samples={n_samples}."
        )
    signal = np.atleast_2d(np.asarray(signal))
    if not np.isfinite(signal).all():
        raise NoBeatsError("missing samples")
    if highpass:
        stages = design_filter(fs, highpass=highpass)
        # The odd extension must be longer than the filter's memory, or both ends would ring.
        signal = filter_leads(signal, stages, pad_samples=round(FILTER_PADDING_S * fs))
    peaks = _detect(signal, fs, lead, method) if peaks is None else _checked(peaks, signal)
    if len(peaks) < 2:
        raise NoBeatsError("fewer than two beats")
    usual = running_median(np.diff(peaks).astype(float), RR_NEIGHBOURS)
    # A beat takes the interval that ends at it; the first one takes its only one.
    interval = np.concatenate([usual[:1], usual])
    middle = round(before * n_samples)
    ahead = np.round(before * rr * interval).astype(np.int64)
    behind = np.round((1 - before) * rr * interval).astype(np.int64)
    # Where the window of the rhythm is longer than the beat, it is cropped on its own side: the R
    # peak keeps its place.
    start = peaks - np.minimum(ahead, middle)
    stop = peaks + np.minimum(np.maximum(behind, 1), n_samples - middle)
    inside = (start >= 0) & (stop <= signal.shape[-1])
    whole = np.flatnonzero(inside).tolist()
    out = np.zeros((len(whole), len(signal), n_samples), dtype=np.float32)
    for beat, i in zip(out, whole):
        first = middle - (peaks[i] - start[i])
        beat[:, first : first + stop[i] - start[i]] = signal[:, start[i] : stop[i]]
    return Beats(out, peaks, inside, interval)


def _detect(signal, fs, lead, method) -> np.ndarray:
    if lead is None:
        # Lead II, along the axis of most hearts; of fewer leads the first, as MIT-BIH stores MLII.
        lead = 1 if len(signal) == 12 else 0
    if not 0 <= lead < len(signal):
        raise ValueError(f"lead={lead} is asked for, the record has {len(signal)} lead(s).")
    if signal.shape[-1] < MIN_SECONDS * fs:
        raise NoBeatsError("too short")
    if np.ptp(signal[lead]) <= FLAT_MV:
        raise NoBeatsError("flat lead")
    return detect_r_peaks(signal[lead], fs, method)


def _checked(peaks, signal) -> np.ndarray:
    peaks = np.asarray(peaks, dtype=np.int64)
    if (np.diff(peaks) <= 0).any():
        raise ValueError("The annotated beats do not increase: sort them.")
    if len(peaks) and not 0 <= peaks[0] <= peaks[-1] < signal.shape[-1]:
        raise ValueError(f"A beat is annotated beyond the record's {signal.shape[-1]} samples.")
    if np.ptp(signal, axis=-1).max() <= FLAT_MV:
        raise NoBeatsError("flat lead")
    return peaks
