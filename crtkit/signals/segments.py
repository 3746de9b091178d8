"""A cohort of beats from a cohort of records."""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import is_path
from crtkit.cohort import Cohort
from crtkit.cohort.cells import store_arrays
from crtkit.cohort.rows import Rows
from crtkit.signals.beats import Beats, NoBeatsError, cut_beats

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

    Windows are those of :func:`cut_beats`. Beats whose window would cross the end of a record are
    left out and counted.

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
        Lead in which R peaks are detected; None takes II of twelve leads, else the first.
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
        One row per beat, groups kept. ``X`` has ``signal`` (float32, (n_leads, n_samples)), the
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
    # What decides the content of a beat; kept in info, and part of the name of a stored file.
    window: dict[str, Any] = {
        "rr": rr,
        "before": before,
        "n_samples": n_samples,
        "highpass": highpass,
    }
    rows: list[dict[str, Any]] = []
    y: list[Any] = []
    lost: dict[str, list[int]] = {}
    flow = dict.fromkeys(("beats found", "beats of other classes", "beats across an end"), 0)

    # A generator: the beats of a database are taken, and written, record by record.
    def windows() -> Iterator[np.ndarray]:
        for row in range(len(cohort)):
            peaks = _annotated_peaks(cohort, row) if annotated else None
            try:
                signal = _signal(cohort.X[column].iloc[row])
                cut = cut_beats(signal, rate, peaks=peaks, lead=lead, method=method, **window)
            # A record without beats is counted and left out; anything else is the caller's mistake.
            except NoBeatsError as reason:
                lost.setdefault(str(reason), []).append(row)
                continue
            except ValueError as error:
                raise ValueError(f"segment_beats, record {row}: {error}") from error
            labels = _labels(cohort, row, annotated, len(cut.peaks))
            wanted = np.ones(len(labels), bool) if classes is None else np.isin(labels, classes)
            flow["beats found"] += len(labels)
            flow["beats of other classes"] -= int((~wanted).sum())
            flow["beats across an end"] -= int((wanted & ~cut.inside).sum())
            keep = np.flatnonzero(wanted & cut.inside)
            if not len(keep):
                lost.setdefault("no beat inside", []).append(row)
                continue
            y.extend(labels[keep])
            rows.extend(_describe(cohort, row, column, cut, keep, rate, annotated))
            yield from cut.signals[wanted[cut.inside]]

    choices = (rr, before, n_samples, column, annotated, lead, method, highpass, classes, rate)
    cells = store_arrays(windows(), cache_dir, _file_name(cohort, choices, cache_dir))
    _warn_of(lost)
    if not cells:
        raise ValueError(
            f"segment_beats detected no beat in {len(cohort)} record(s): "
            + ("; ".join(f"{why}: {len(r)}" for why, r in lost.items()) or "all classes left out")
        )
    X = pd.DataFrame(rows)
    X.insert(0, "signal", pd.Series(cells, dtype=object))
    info = {**cohort.info, "sampling_rate": rate, "beats": window}
    info["name"] = f"beats of {cohort.info.get('name', 'cohort')}"
    info["flow"] = {
        "records": len(cohort),
        **{f"records left out: {why}": -len(r) for why, r in lost.items()},
        **flow,
        "beats": len(cells),
    }
    return Cohort(X, np.array(y), cohort.groups[X["record_row"]], info)


def _file_name(cohort, choices, cache_dir) -> str:
    """A name for each cohort and choice: a file that cells point to is never replaced."""
    if cache_dir is None:
        return "beats"
    # Content and choices name the file: an older cut of other beats is never read for this one.
    text = f"{cohort.fingerprint()}{choices}"
    return f"beats-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _sampling_rate(cohort, fs) -> float:
    rate = cohort.info.get("sampling_rate")
    if rate is None and fs is None:
        raise ValueError("segment_beats needs cohort.info['sampling_rate'] (Hz), or fs=.")
    if rate is not None and fs is not None and float(rate) != float(fs):
        raise ValueError(f"segment_beats was told fs={fs:g}, but the cohort says {rate:g} Hz.")
    return float(rate if rate is not None else fs)


def _is_annotated(cohort, column, beats) -> bool:
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


def _signal(cell) -> np.ndarray:
    if is_path(cell):
        cell = Rows.from_cells([cell])[0]
    return np.asarray(cell)


def _annotated_peaks(cohort, row) -> np.ndarray:
    peaks = np.asarray(cohort.X["beats"].iloc[row], dtype=np.int64)
    n_symbols = len(cohort.X["symbols"].iloc[row])
    if len(peaks) != n_symbols:
        raise ValueError(
            f"Record {row} has {len(peaks)} annotated beats but {n_symbols} symbols: give each "
            "beat one."
        )
    return peaks


def _labels(cohort, row, annotated, n_beats) -> np.ndarray:
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


def _describe(cohort, row, column, cut: Beats, keep, fs, annotated) -> Iterator[dict[str, Any]]:
    modalities = {column, "signal", "beats", "symbols"}
    record = {
        name: value
        for name, value in cohort.X.iloc[row].items()
        if name not in modalities and not isinstance(value, (np.ndarray, list, tuple))
    }
    # The first and the last beat have one neighbour only: the usual interval stands in.
    intervals = np.diff(cut.peaks) / fs
    ahead = np.concatenate([cut.interval[:1] / fs, intervals])
    behind = np.concatenate([intervals, cut.interval[-1:] / fs])
    for i in keep.tolist():
        beat = {
            "record_row": row,
            **record,
            "sample": int(cut.peaks[i]),
            "rr_before_s": ahead[i],
            "rr_after_s": behind[i],
            "rr_ratio": ahead[i] * fs / cut.interval[i],
        }
        if annotated:
            beat["symbol"] = str(cohort.X["symbols"].iloc[row][i])
        yield beat


def _warn_of(lost) -> None:
    if lost:
        reasons = "; ".join(
            f"{why}: {len(rows)} (rows {', '.join(map(str, itertools.islice(rows, 10)))})"
            for why, rows in lost.items()
        )
        warnings.warn(f"segment_beats left out whole records. {reasons}.", stacklevel=3)
