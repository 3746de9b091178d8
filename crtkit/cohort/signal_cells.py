"""The signal column of a manifest: ECG files, or rows of arrays, as cells of a cohort."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12, missing_leads
from crtkit._resample import rational_rate, resample_leads
from crtkit.cohort.array_cells import read_rows
from crtkit.cohort.cells import file_name, listed, store_arrays
from crtkit.cohort.rows import is_row_cell
from crtkit.cohort.signal_options import SignalOptions
from crtkit.readers.read import read_stated
from crtkit.readers.stated import Stated


@dataclass
class SignalColumn:
    """Cells that were read, which rows of the table they are, and what is known of them.

    Parameters
    ----------
    cells : list
        Arrays, or ``file.npy#row``.
    kept : ndarray of int
        Positions in the table.
    info : dict
        For ``Cohort.info``.
    flow : dict of str to int
        Records left out at each step, as negative numbers.
    """

    cells: list[Any]
    kept: np.ndarray
    info: dict[str, Any]
    flow: dict[str, int] = field(default_factory=dict)


def read_signals(
    cells: Sequence[str],
    options: SignalOptions,
    cache_dir: str | os.PathLike[str] | None,
    name: str,
) -> SignalColumn:
    """Read the signals of a manifest, all problems named at once.

    Parameters
    ----------
    cells : sequence of str
        ECG files, or rows ``file.npy#row``.
    options : SignalOptions
    cache_dir : path or None
        Where signals that are many are written.
    name : str
        Stem of that file.

    Returns
    -------
    SignalColumn

    Raises
    ------
    ValueError
        Records that cannot be read, each with its reason (unless they are dropped), none left, or
        a column of files and rows.
    """
    # Rows carry no rate and are not cropped, files are: one column cannot be both.
    rows = sum(is_row_cell(cell) for cell in cells)
    if rows and rows < len(cells):
        raise ValueError(
            f"The signal column mixes {rows} 'file.npy#row' cell(s) with {len(cells) - rows} ECG "
            "file(s); give one kind."
        )
    reading = _Reading(cells, options)
    stem = f"{file_name(cells, name, options)}-signals"
    if rows:
        try:
            records, info = read_rows(cells, options, reading.problem)
        except ValueError as error:
            # What is wrong with all rows is told by checks that know arrays, not files.
            file = str(cells[0]).rpartition("#")[0]
            if os.path.basename(file) in str(error):
                raise
            raise ValueError(f"{file}: {error}") from error
        if records is None:  # they are in millivolt and in order: they stay where they are
            kept = [i for i in range(len(cells)) if i not in reading.bad]
            stored = [cells[i] for i in kept]
        else:
            stored = store_arrays(reading.keep(records), cache_dir, stem)
            kept = reading.kept
    else:
        records = reading.files()
        stored = store_arrays(reading.keep(records), cache_dir, stem)
        kept = reading.kept
        info = {"sampling_rate": reading.rate, "lead_names": list(LEADS_12)}
    reading.finish(len(stored))
    if reading.missing_leads:
        info["missing_leads"] = dict(reading.missing_leads)
    if reading.bad and options.on_error == "drop":
        info["dropped"] = reading.reasons()
    return SignalColumn(stored, np.array(kept, dtype=np.intp), info, reading.flow())


class _Reading:
    """One pass over the cells: what is kept, what is wrong, what is too short."""

    def __init__(self, cells: Sequence[str], options: SignalOptions) -> None:
        self.cells, self.options = cells, options
        self.rate = float(options.fs) if options.fs else float("nan")
        self.kept: list[int] = []
        self.bad: dict[int, str] = {}
        self.n_short = 0
        self.n_incomplete = 0
        self.shapes: set[tuple[int, ...]] = set()
        self.missing_leads: Counter[str] = Counter()

    def problem(self, position: int, why: str) -> None:
        self.bad.setdefault(position, why)

    def files(self) -> Iterator[tuple[int, np.ndarray]]:
        for i, cell in enumerate(self.cells):
            try:
                ecg = self._read(cell)
                signal = self._to_shape(ecg)
            except _TooShortError as error:
                if self.options.short == "drop":
                    self.n_short += 1
                else:
                    self.problem(i, str(error))
                continue
            except _LeadMissingError:
                self.n_incomplete += 1
                continue
            # A missing signal file is one bad record of many, like a damaged one.
            except (ValueError, OSError) as error:
                self.problem(i, str(error))
                continue
            self.missing_leads.update(
                lead for lead, gone in zip(LEADS_12, missing_leads(signal)) if gone
            )
            yield i, signal

    def keep(self, records: Iterator[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
        """Records as they come, positions noted; nothing is kept once reading has failed."""
        for i, signal in records:
            # A second length makes the whole run fail: more arrays would only fill memory.
            self.shapes.add(signal.shape)
            failed = bool(self.bad) and self.options.on_error == "raise"
            if len(self.shapes) == 1 and not failed:
                self.kept.append(i)
                yield signal
        self._refuse_problems()

    def _refuse_problems(self) -> None:
        problems = self.reasons() if self.options.on_error == "raise" else []
        if len(self.shapes) > 1:
            lengths = sorted(shape[-1] for shape in self.shapes)
            problems.append(
                f"the signals have {len(self.shapes)} lengths, {lengths[0]} to {lengths[-1]} "
                "samples: pass duration= (seconds) to crop them"
            )
        if problems:
            raise ValueError(
                f"{len(problems)} problem(s) with the signals (on_error='drop' leaves such records "
                f"out):{listed(problems)}"
            )

    def finish(self, n_stored: int) -> None:
        self._refuse_problems()
        if not n_stored:
            what = f"{self.options.duration:g} s long" if self.n_short else "readable"
            raise ValueError(
                f"None of {len(self.cells)} signals is {what}.{listed(self.reasons())}"
            )
        if self.bad:
            warnings.warn(
                f"read_manifest left out {len(self.bad)} record(s) that could not be read; "
                f"info['dropped'] has all of them:{listed(self.reasons())}",
                stacklevel=4,
            )

    def reasons(self) -> list[str]:
        """A line per bad record; readers name the file themselves, checks of arrays do not."""
        return [
            why if self.cells[i] in why else f"{self.cells[i]}: {why}"
            for i, why in sorted(self.bad.items())
        ]

    def flow(self) -> dict[str, int]:
        flow = {}
        if self.n_short:
            flow[f"signal shorter than {self.options.duration:g} s"] = -self.n_short
        if self.n_incomplete:
            flow["a lead is missing"] = -self.n_incomplete
        if self.bad:
            flow["signal could not be read"] = -len(self.bad)
        return flow

    def _read(self, cell: str):
        options = self.options
        ecg = read_stated(cell, Stated(None, options.unit, options.lead_names, options.fs))
        if np.isnan(self.rate):  # of the first record that can be read
            self.rate = float(ecg.fs)
        return ecg

    def _to_shape(self, ecg) -> np.ndarray:
        """One ECG as (12, n_samples) float32 at the common rate, cropped to ``duration``."""
        signal = self._twelve_leads(ecg)
        rate, duration = self.rate, self.options.duration
        if rational_rate(ecg.fs) != rational_rate(rate):
            if self.options.fs is None:
                raise ValueError(
                    f"sampled at {ecg.fs:g} Hz, the first record at {rate:g} Hz: pass fs= to "
                    "resample"
                )
            signal = resample_leads(signal, ecg.fs, rate)
        if duration is not None:
            n_samples = max(round(duration * rate), 1)
            lacking = n_samples - signal.shape[1]
            if lacking > 0 and self.options.short != "pad":
                raise _TooShortError(
                    f"{signal.shape[1] / rate:g} s long, {duration:g} s are needed "
                    "(short='drop' leaves such records out, 'pad' fills them up with NaN)"
                )
            signal = signal[:, :n_samples]
        # After the crop, and before the fill: what is not used need not be whole, and a lead that
        # may be missing as a whole is not a damaged one.
        incomplete = np.isnan(signal).any(axis=1)
        if self.options.missing_leads == "nan":
            incomplete &= ~missing_leads(signal)
        n_missing = int(incomplete.sum())
        if duration is not None and lacking > 0:
            signal = np.pad(signal, [(0, 0), (0, lacking)], constant_values=np.nan)
        if n_missing and self.options.missing == "raise":
            raise ValueError(
                f"{n_missing} lead(s) have missing samples (NaN); pass missing='keep' for models "
                "that take them, or repair or leave out the record"
            )
        return np.ascontiguousarray(signal, dtype=np.float32)

    def _twelve_leads(self, ecg) -> np.ndarray:
        """The standard leads; those without a recording are NaN, refused or dropped as asked."""
        if self.options.missing_leads == "raise":
            return ecg.standard_leads()
        signal = ecg.standard_leads(missing="nan")
        gone = missing_leads(signal)
        if gone.all():
            raise ValueError("none of the twelve standard leads is recorded")
        if gone.any() and self.options.missing_leads == "drop":
            raise _LeadMissingError
        return np.where(gone[:, None], np.float32(np.nan), signal)


class _LeadMissingError(Exception):
    """A lead is absent or holds no recording, and such records are left out."""


class _TooShortError(ValueError):
    """A signal is shorter than the duration asked for."""
