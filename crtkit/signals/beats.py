"""Records cut into beats: a cohort of beats from a cohort of records."""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crtkit.cohort import Cohort
from crtkit.cohort.cells import store_arrays
from crtkit.cohort.rows import Rows
from crtkit.signals.filters import design_filter, filter_leads
from crtkit.signals.r_peaks import MIN_SECONDS, detect_r_peaks
from crtkit.signals.shannon import RR_NEIGHBOURS, running_median

FILTER_PADDING_S = 3.0
FLAT_MV = 1e-9

#: The beat symbols that occur, and the class ANSI/AAMI EC57 gives each.
AAMI_CLASSES = {
    **dict.fromkeys(("N", "L", "R", "e", "j"), "N"),
    **dict.fromkeys(("A", "a", "J", "S"), "S"),
    **dict.fromkeys(("V", "E"), "V"),
    "F": "F",
    **dict.fromkeys(("/", "f", "Q"), "Q"),
}


def segment_beats(
    cohort: Cohort,
    rr: float = 1.2,
    *,
    before: float = 0.5,
    n_samples: int = 512,
    column: str = "signal",
    beats: str | None = None,
    lead: int | None = None,
    method: str = "shannon",
    highpass: float | None = 0.5,
    classes: tuple[str, ...] | None = None,
    fs: float | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Cohort:
    """Cut the records of a cohort into beats of ``rr`` RR intervals.

    The interval is the median of the nine around a beat, so that a premature beat keeps the
    window of its rhythm. Every beat has ``n_samples``: its R peak lies at
    ``round(before * n_samples)``, shorter windows are padded with zeros on both sides, longer
    ones are cut. Beats whose window would cross the end of the record are left out and counted.

    Parameters
    ----------
    cohort : Cohort
        With ``info["sampling_rate"]`` and a column of signals, (n_leads, n_samples) or
        (n_samples,) a cell, mV.
    rr : float
        Length of a window in RR intervals; he2023 cuts 1.2.
    before : float
        Share of the window that lies before the R peak (not published).
    n_samples : int
        Samples of a beat: 512 are 1.42 s at 360 Hz, the window of he2023's transform.
    column : str
        Column of the signals.
    beats : {"annotated", "detected"} or None
        ``"annotated"`` uses the columns ``beats`` and ``symbols`` (MIT-BIH) and labels each beat
        with its AAMI class; ``"detected"`` finds R peaks and gives each beat its record's label.
        None: annotated where those columns are there.
    lead : int or None
        Lead in which R peaks are found; None takes II of twelve leads, else the first.
    method : str
        As in :func:`detect_r_peaks`.
    highpass : float or None
        Hz; removes the baseline from the record before it is cut (zero phase).
    classes : tuple of str, optional
        AAMI classes to keep, for annotated beats; the others are counted.
    fs : float, optional
        What the sampling rate should be: refused where the cohort's differs.
    cache_dir : path-like, optional
        Folder for the file that beats of more than some 100 MB are written to.

    Returns
    -------
    Cohort
        One row a beat, groups kept. ``X`` has ``signal`` (float32, (n_leads, n_samples)), the
        record's row number ``record_row`` and its scalar columns, ``sample`` (of the R peak),
        ``rr_before_s``, ``rr_after_s``, ``rr_ratio`` (the interval before over the median of the
        nine around), and ``symbol`` for annotated beats. ``info["flow"]`` counts records and
        beats, those left out as negative numbers.

    Raises
    ------
    ValueError
        No sampling rate, or another than ``fs``; a missing column; annotations without a class or
        a symbol, out of order or beyond the record; no beat left.

    Warns
    -----
    UserWarning
        Records without a usable beat (flat, NaN, too short, fewer than two beats), by reason.

    Examples
    --------
    >>> from crtkit.datasets import load_mitbih
    >>> from crtkit.signals import segment_beats
    >>> beats = segment_beats(load_mitbih(subset="DS1"))               # doctest: +SKIP
    """
    rate = _sampling_rate(cohort, fs)
    annotated = _is_annotated(cohort, column, beats)
    if not 0 < before < 1 or rr <= 0 or n_samples < 2:
        raise ValueError(
            "segment_beats expects 0 < before < 1, rr > 0 and n_samples >= 2, got "
            f"before={before}, rr={rr}, n_samples={n_samples}."
        )
    stages = design_filter(rate, highpass=highpass) if highpass else []
    cutter = _Cutter(rr, before, n_samples)
    rows: list[dict[str, Any]] = []
    y: list[Any] = []
    lost: dict[str, list[int]] = {}
    flow = dict.fromkeys(("beats found", "beats of other classes", "beats across an end"), 0)

    def cut() -> Iterator[np.ndarray]:
        for row in range(len(cohort)):
            try:
                signal = _signal(cohort.X[column].iloc[row], stages, rate)
                found = _find(cohort, row, signal, rate, annotated, lead, method)
                windows = cutter.windows(found, signal.shape[-1])
            except _Unusable as reason:
                lost.setdefault(str(reason), []).append(row)
                continue
            labels = _labels(cohort, row, annotated, len(found))
            wanted = np.ones(len(found), bool) if classes is None else np.isin(labels, classes)
            keep = np.flatnonzero(wanted & windows.inside)
            flow["beats found"] += len(found)
            flow["beats of other classes"] -= int((~wanted).sum())
            flow["beats across an end"] -= int((wanted & ~windows.inside).sum())
            if not len(keep):
                lost.setdefault("no beat inside", []).append(row)
                continue
            y.extend(labels[keep])
            rows.extend(_describe(cohort, row, column, found, windows, keep, rate, annotated))
            for i in keep.tolist():
                yield cutter.cut(signal, found[i], windows.start[i], windows.stop[i])

    choices = (rr, before, n_samples, column, annotated, lead, method, highpass, classes, rate)
    cells = store_arrays(cut(), cache_dir, _file_name(cohort, choices, cache_dir))
    _report(lost)
    if not cells:
        raise ValueError(
            f"segment_beats found no beat in {len(cohort)} record(s): "
            + ("; ".join(f"{why}: {len(r)}" for why, r in lost.items()) or "all classes left out")
        )
    X = pd.DataFrame(rows)
    X.insert(0, "signal", pd.Series(cells, dtype=object))
    info = {
        **cohort.info,
        "name": f"beats of {cohort.info.get('name', 'cohort')}",
        "sampling_rate": rate,
        "flow": {
            "records": len(cohort),
            **{f"records left out: {why}": -len(r) for why, r in lost.items()},
            **flow,
            "beats": len(cells),
        },
        "beats": {"rr": rr, "before": before, "n_samples": n_samples, "highpass": highpass},
    }
    return Cohort(X, np.array(y), cohort.groups[X["record_row"]], info)


class _Unusable(Exception):
    """Why a record has no beats."""


@dataclass(frozen=True)
class _Windows:
    """First and last (excluded) samples, whether they lie inside, and the usual RR interval."""

    start: np.ndarray
    stop: np.ndarray
    inside: np.ndarray
    interval: np.ndarray


class _Cutter:
    """Where the beats of a record begin and end, and the beats themselves."""

    def __init__(self, rr, before, n_samples):
        self.rr, self.before, self.n_samples = rr, before, n_samples
        self.peak = round(before * n_samples)

    def windows(self, peaks, n_samples):
        if len(peaks) < 2:
            raise _Unusable("fewer than two beats")
        intervals = np.diff(peaks).astype(float)
        usual = running_median(intervals, RR_NEIGHBOURS)
        # A beat takes the interval that ends at it; the first one takes its only one.
        interval = np.concatenate([usual[:1], usual])
        ahead = np.round(self.before * self.rr * interval).astype(np.int64)
        behind = np.round((1 - self.before) * self.rr * interval).astype(np.int64)
        start = peaks - np.minimum(ahead, self.peak)
        stop = peaks + np.minimum(np.maximum(behind, 1), self.n_samples - self.peak)
        return _Windows(start, stop, (start >= 0) & (stop <= n_samples), interval)

    def cut(self, signal, peak, start, stop):
        out = np.zeros((len(signal), self.n_samples), dtype=np.float32)
        first = self.peak - (peak - start)
        out[:, first : first + stop - start] = signal[:, start:stop]
        return out


def _file_name(cohort, choices, cache_dir):
    """A name for each cohort and choice: a file that cells point to is never replaced."""
    if cache_dir is None:
        return "beats"
    text = f"{cohort.fingerprint()}{choices}"
    return f"beats-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _sampling_rate(cohort, fs):
    rate = cohort.info.get("sampling_rate")
    if rate is None and fs is None:
        raise ValueError("segment_beats needs cohort.info['sampling_rate'] (Hz), or fs=.")
    if rate is not None and fs is not None and float(rate) != float(fs):
        raise ValueError(f"segment_beats was told fs={fs:g}, but the cohort says {rate:g} Hz.")
    return float(rate if rate is not None else fs)


def _is_annotated(cohort, column, beats):
    if beats not in (None, "annotated", "detected"):
        raise ValueError(f"beats must be 'annotated', 'detected' or None, got {beats!r}.")
    there = {"beats", "symbols"} <= set(cohort.X.columns)
    needed = {column} | ({"beats", "symbols"} if beats == "annotated" else set())
    missing = sorted(needed - set(cohort.X.columns))
    if missing:
        raise ValueError(
            f"segment_beats needs the column(s) {missing}; the cohort has {list(cohort.X.columns)}."
        )
    return there if beats is None else beats == "annotated"


def _signal(cell, stages, fs):
    if isinstance(cell, (str, os.PathLike)):
        cell = Rows.from_cells([cell])[0]
    signal = np.atleast_2d(np.asarray(cell))
    if not np.isfinite(signal).all():
        raise _Unusable("missing samples")
    if not stages:
        return signal
    return filter_leads(signal, stages, pad_samples=round(FILTER_PADDING_S * fs))


def _find(cohort, row, signal, fs, annotated, lead, method):
    if annotated:
        return _annotations(cohort, row, signal)
    if lead is None:
        lead = 1 if len(signal) == 12 else 0
    if not 0 <= lead < len(signal):
        raise ValueError(f"lead={lead} is asked for, record {row} has {len(signal)} lead(s).")
    if signal.shape[-1] < MIN_SECONDS * fs:
        raise _Unusable("too short")
    if np.ptp(signal[lead]) <= FLAT_MV:
        raise _Unusable("flat lead")
    return detect_r_peaks(signal[lead], fs, method)


def _annotations(cohort, row, signal):
    found = np.asarray(cohort.X["beats"].iloc[row], dtype=np.int64)
    n_symbols = len(cohort.X["symbols"].iloc[row])
    if len(found) != n_symbols:
        raise ValueError(
            f"Record {row} has {len(found)} annotated beats but {n_symbols} symbols: give each "
            "beat one."
        )
    if (np.diff(found) <= 0).any():
        raise ValueError(f"Record {row} has annotated beats that do not increase: sort them.")
    if len(found) and not 0 <= found[0] <= found[-1] < signal.shape[-1]:
        raise ValueError(f"Record {row} is annotated beyond its {signal.shape[-1]} samples.")
    if np.ptp(signal, axis=-1).max() <= FLAT_MV:
        raise _Unusable("flat lead")
    return found


def _labels(cohort, row, annotated, n_beats):
    if not annotated:
        return np.repeat(cohort.y[row : row + 1], n_beats)
    symbols = list(cohort.X["symbols"].iloc[row])
    unknown = sorted(set(map(str, symbols)) - set(AAMI_CLASSES))
    if unknown:
        raise ValueError(
            f"Record {row} has annotation symbol(s) {unknown} without an AAMI class; known are "
            f"{list(AAMI_CLASSES)}."
        )
    return np.array([AAMI_CLASSES[str(symbol)] for symbol in symbols], dtype=object)


def _describe(cohort, row, column, peaks, windows, keep, fs, annotated):
    truth = {column, "signal", "beats", "symbols"}
    record = {
        name: value
        for name, value in cohort.X.iloc[row].items()
        if name not in truth and not isinstance(value, (np.ndarray, list, tuple))
    }
    intervals = np.diff(peaks) / fs
    ahead = np.concatenate([windows.interval[:1] / fs, intervals])
    behind = np.concatenate([intervals, windows.interval[-1:] / fs])
    for i in keep.tolist():
        beat = {
            "record_row": row,
            **record,
            "sample": int(peaks[i]),
            "rr_before_s": ahead[i],
            "rr_after_s": behind[i],
            "rr_ratio": ahead[i] * fs / windows.interval[i],
        }
        if annotated:
            beat["symbol"] = str(cohort.X["symbols"].iloc[row][i])
        yield beat


def _report(lost):
    if lost:
        reasons = "; ".join(
            f"{why}: {len(rows)} (rows {', '.join(map(str, itertools.islice(rows, 10)))})"
            for why, rows in lost.items()
        )
        warnings.warn(f"segment_beats left out whole records. {reasons}.", stacklevel=3)
