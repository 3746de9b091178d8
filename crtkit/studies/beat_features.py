"""Rhythm and shape of annotated beats, each against what is usual in its record.

Subjects differ more than beats do, so nearly everything here is a ratio to what is usual in the
record. Usual is not most frequent: where premature beats outnumber the others, the median beat is
one of them. So the usual beat is the median of those that come late, one interval is also held
against the long ones of the record, and of the intervals the seconds stay, too.
"""

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from crtkit.signals.filters import design_filter, filter_leads

#: Band in Hz: P waves and QRS stay, baseline and muscle go.
BAND = (0.5, 35.0)
#: Seconds around the R peak that hold the P wave and the QRS complex.
WAVES = {"P": (-0.25, -0.06), "QRS": (-0.10, 0.125)}
#: R peaks are marked by hand: a beat is moved by up to so many seconds to fit the usual one.
JITTER = 0.022
#: Seconds of the past that a usual interval is taken over, and beats of the neighbourhood.
SHORT, LONG, NEIGHBOURS = 10.0, 40.0, 51
#: Premature beats shorten a median of intervals, hardly this quantile of them.
SLOW = 0.95
#: Beats after intervals between these quantiles show what is usual; longer ones end pauses, after
#: which an escape beat may come.
LATE = (0.8, 0.98)


def rhythm_features(peaks, fs):
    """Intervals of each beat in seconds and as ratios to usual ones, on the log scale.

    Parameters
    ----------
    peaks : array-like of int, shape (n_beats,)
        R peaks of the whole record, increasing; at least two.
    fs : float
        Hz.

    Returns
    -------
    ndarray of shape (n_beats, 31)
        Logarithms of three intervals in seconds (before, after, usual in the last ten seconds), of
        fourteen ratios, and the absolute values of those fourteen.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.studies.beat_features import rhythm_features
    >>> regular = rhythm_features(np.arange(50) * 360, 360)
    >>> regular.shape, float(np.abs(regular).max())
    ((50, 31), 0.0)
    """
    peaks = np.asarray(peaks)
    times, intervals = peaks / fs, np.diff(peaks) / fs
    # The first beat has no interval before it, the last none after: the usual one.
    before = np.r_[np.median(intervals[:5]), intervals]
    after = np.r_[intervals, np.median(intervals[-5:])]
    earlier, later = np.r_[before[:1], before[:-1]], np.r_[after[1:], after[-1:]]
    short, long = usual_of_the_past(before, times, SHORT), usual_of_the_past(before, times, LONG)
    typical, slow = np.median(before), np.quantile(before, SLOW)
    around = sliding_window_view(np.pad(before, NEIGHBOURS // 2, mode="edge"), NEIGHBOURS)
    slow_here = np.quantile(around, SLOW, axis=1)
    ratios = [
        before / short, after / short, before / long, after / long, before / typical,
        after / typical, before / slow, before / after, before / earlier, after / later,
        earlier / typical, short / typical, before / slow_here, short / slow,
    ]  # fmt: skip
    # A pause of ten seconds must not dominate.
    logs = np.log(np.clip(np.column_stack([before, after, short, *ratios]), 0.1, 10))
    return np.hstack([logs, np.abs(logs[:, 3:])])


def usual_of_the_past(intervals, times, seconds):
    """Median of the intervals in the last seconds, of five at least where there are as many."""
    first = np.searchsorted(times, times - seconds)
    at = np.arange(len(times))
    first = np.minimum(first, np.maximum(at - 4, 0))
    return np.array([np.median(intervals[a : b + 1]) for a, b in zip(first, at)])


def shape_features(signal, peaks, fs):
    """P wave and QRS of each beat against the usual beat of the record.

    Parameters
    ----------
    signal : array-like of shape (n_samples,)
        One lead in mV, the whole record.
    peaks : array-like of int, shape (n_beats,)
        R peaks.
    fs : float
        Hz.

    Returns
    -------
    ndarray of shape (n_beats, 10)
        For QRS and P: Fisher's z of the largest correlation with the usual beat (the median of
        those that come late), log of the RMS difference from it in units of its QRS, log of the
        ratio of both RMS. For QRS: largest and smallest value in units of the usual one's largest,
        ratio of the areas, and how far the complex points up (1) or down (-1).
    """
    # Gentle slopes: steep ones would ring into the P wave.
    stages = design_filter(fs, highpass=BAND[0], lowpass=BAND[1], order=2)
    signal = filter_leads(np.asarray(signal, dtype=float), stages, pad_samples=round(3 * fs))
    jitter, out, late = round(JITTER * fs), [], come_late(peaks)
    qrs, usual = cut(signal, peaks, fs, "QRS", jitter, late)
    unit = spread(usual)
    for wave in ("QRS", "P"):
        beats, usual = cut(signal, peaks, fs, wave, jitter, late)
        middle = beats[:, jitter : beats.shape[1] - jitter]
        fit = np.max([correlation(part, usual) for part in moved(beats, len(usual))], axis=0)
        out += [
            np.arctanh(np.clip(fit, -0.999, 0.999)),
            np.log(spread(middle - usual) / unit + 0.01),
            # A microvolt: flat is flat, whatever its noise.
            np.log((spread(middle) + 1e-3) / (spread(usual) + 1e-3)),
        ]
    qrs = qrs[:, jitter : qrs.shape[1] - jitter]
    usual = np.median(qrs[late], axis=0)
    height = np.abs(usual).max() + 1e-3
    out += [
        qrs.max(axis=1) / height,
        qrs.min(axis=1) / height,
        np.abs(qrs).mean(axis=1) / (np.abs(usual).mean() + 1e-3),
        correlation(qrs, np.abs(qrs)),
    ]
    return np.column_stack(out)


def come_late(peaks):
    """Which beats show what is usual: those after long intervals, but for the longest."""
    intervals = np.diff(peaks)
    before = np.r_[np.median(intervals[:5]), intervals]
    low, high = np.quantile(before, LATE)
    return (before >= low) & (before <= high)


def cut(signal, peaks, fs, wave, jitter, late):
    """Windows (n_beats, n_samples) of a wave, wider by the jitter on both sides, and the usual."""
    start, stop = (round(edge * fs) for edge in WAVES[wave])
    at = np.asarray(peaks)[:, None] + np.arange(start - jitter, stop + jitter)
    # Beats at an end of the record repeat its last sample.
    beats = signal[np.clip(at, 0, len(signal) - 1)]
    return beats, np.median(beats[late, jitter : beats.shape[1] - jitter], axis=0)


def moved(beats, width):
    """Windows of a width at every second shift."""
    return [beats[:, k : k + width] for k in range(0, beats.shape[1] - width + 1, 2)]


def spread(x):
    """Standard deviation along the last axis: RMS about the level."""
    return np.std(x, axis=-1)


def correlation(a, b):
    """Pearson's r along the last axis; 0 where either is flat."""
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (a, b))
    return (a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1) + 1e-9)


def beat_features(records, table):
    """Rhythm and shape of the beats of some records.

    Parameters
    ----------
    records : Cohort
        From :func:`crtkit.datasets.load_mitbih`, one lead.
    table : DataFrame
        Beats: ``record`` and ``sample`` of the R peak, as :func:`crtkit.signals.segment_beats`
        gives them.

    Returns
    -------
    ndarray of shape (n_beats, 41)
        In the order of the table. No label is read.
    """
    fs, parts = records.info["sampling_rate"], []
    for row in records.X.itertuples():
        values = np.hstack(
            [rhythm_features(row.beats, fs), shape_features(row.signal[0], row.beats, fs)]
        )
        index = pd.MultiIndex.from_product([[str(row.record)], row.beats])
        parts.append(pd.DataFrame(values, index=index))
    asked = pd.MultiIndex.from_arrays([table["record"].astype(str), table["sample"]])
    return pd.concat(parts).loc[asked].to_numpy()
