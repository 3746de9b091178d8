"""The signal column of a manifest: ECG files, or rows of arrays, as cells of a cohort."""

from __future__ import annotations

import hashlib
import os
from fractions import Fraction
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.cohort.cells import identity, listed, store_arrays
from crtkit.cohort.rows import Rows, is_row_cell
from crtkit.readers import read_ecg


def read_signals(cells, fs, duration, short, cache_dir, name):
    """Cells, kept positions and info of a column of ECG files."""
    lazy = sum(is_row_cell(cell) for cell in cells)
    if lazy == len(cells):
        return cells, np.arange(len(cells)), _info_of_rows(cells, fs, duration)
    if lazy:
        raise ValueError(
            f"The signal column mixes {lazy} 'file.npy#row' cell(s) with {len(cells) - lazy} ECG "
            "file(s); give one kind."
        )
    rate = float(fs or read_ecg(cells[0]).fs)
    kept: list[int] = []

    def signals():
        problems, shapes = [], set()
        for i, cell in enumerate(cells):
            try:
                signal = _to_shape(read_ecg(cell), rate, fs is not None, duration)
            except _TooShortError as error:
                if short == "raise":
                    problems.append(f"{cell}: {error}")
                continue
            except ValueError as error:
                problems.append(f"{cell}: {error}")
                continue
            shapes.add(signal.shape)
            if len(shapes) == 1 and not problems:
                kept.append(i)
                yield signal
        if len(shapes) > 1:
            lengths = sorted(shape[1] for shape in shapes)
            problems.append(
                f"the signals have {len(shapes)} lengths, {lengths[0]} to {lengths[-1]} samples: "
                "pass duration= (seconds) to crop them"
            )
        if problems:
            raise ValueError(f"{len(problems)} problem(s) with the signals:{listed(problems)}")
        if not kept:
            raise ValueError(f"None of {len(cells)} signals is {duration:g} s long.")

    # Another reading of the same manifest must not replace the file behind a living cohort.
    stamps = [(cell, _stamp(cell)) for cell in cells]
    key = hashlib.sha256(repr((stamps, rate, duration, short)).encode()).hexdigest()[:12]
    stored = store_arrays(signals(), cache_dir, f"{name}-{key}-signals")
    return stored, np.array(kept), {"sampling_rate": rate, "lead_names": list(LEADS_12)}


def _stamp(cell: str) -> tuple[int, int]:
    status = os.stat(identity(cell))
    return status.st_mtime_ns, status.st_size


def _info_of_rows(cells, fs, duration) -> dict[str, Any]:
    """What is known of signals given as rows of ``.npy`` files, which are taken as they are."""
    rows = Rows.from_cells(cells)
    if rows.ndim not in (2, 3) or rows.dtype.kind != "f":
        raise ValueError(
            "Signals in .npy files are (n_records, n_leads, n_samples), floating, in millivolt; "
            f"got rows of shape {rows.row_shape}, {rows.dtype}."
        )
    if fs is None or duration is not None:
        raise ValueError(
            "Cells 'file.npy#row' carry no sampling rate and are not cropped: pass fs= (their own "
            "rate, in Hz; --fs on the command line), and no duration."
        )
    twelve = rows.ndim == 3 and rows.shape[1] == len(LEADS_12)
    return {"sampling_rate": float(fs), "lead_names": list(LEADS_12) if twelve else None}


class _TooShortError(ValueError):
    """A signal is shorter than the duration asked for."""


def _to_shape(ecg, rate: float, resample: bool, duration: float | None) -> np.ndarray:
    """One ECG as (12, n_samples) float32 at ``rate``, cropped to ``duration``."""
    signal = ecg.standard_leads()
    if not np.isfinite(signal).all():
        raise ValueError("the signal holds NaN; repair or leave out the record")
    if ecg.fs != rate:
        if not resample:
            raise ValueError(
                f"sampled at {ecg.fs:g} Hz, the first record at {rate:g} Hz: pass fs= to resample"
            )
        from scipy.signal import resample_poly

        ratio = Fraction(rate / ecg.fs).limit_denominator(1000)
        signal = resample_poly(signal, ratio.numerator, ratio.denominator, axis=1)
    if duration is not None:
        n_samples = max(round(duration * rate), 1)
        if signal.shape[1] < n_samples:
            raise _TooShortError(
                f"{signal.shape[1] / rate:g} s long, {duration:g} s are needed "
                "(short='drop' leaves such records out)"
            )
        signal = signal[:, :n_samples]
    return np.ascontiguousarray(signal, dtype=np.float32)
