"""Rows of ``.npy`` files as signals: checked to be ECGs, converted only where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12, LIMB_FROM_I_II, check_lead_names
from crtkit.cohort.rows import Rows
from crtkit.cohort.signal_checks import (
    check_lead_order,
    check_unit,
    find_problems,
    leads_on_last_axis,
    limb_misfit,
    peak_to_peak,
)
from crtkit.cohort.signal_options import SignalOptions
from crtkit.readers.assemble import complete_limb_leads
from crtkit.readers.calibration import millivolt_per_unit

_BLOCK_SAMPLES = 4_000_000
_SAMPLE = 50


def read_rows(
    cells: Sequence[str], options: SignalOptions, problem: Callable[[int, str], None]
) -> tuple[Iterator[tuple[int, np.ndarray]] | None, dict[str, Any]]:
    """Check rows of arrays, and convert those that are in another unit or order.

    Parameters
    ----------
    cells : sequence of str
        ``file.npy#row``.
    options : SignalOptions
    problem : callable
        Takes the position of a record that is not an ECG, and why.

    Returns
    -------
    records : iterator of (position, array of shape (n_leads, n_samples)), or None
        None where the rows are millivolt in the standard order as they lie.
    info : dict

    Raises
    ------
    ValueError
        No sampling rate; integers without ``unit``; leads on the last axis without their names;
        amplitudes of another unit; limb leads that are not those of one heart.
    """
    rows = Rows.from_cells(cells)
    shape = rows.row_shape
    integers = rows.dtype.kind in "iu"
    if len(shape) not in (1, 2) or 0 in shape or not (rows.dtype.kind == "f" or integers):
        raise ValueError(
            "Signals in .npy files are (n_records, n_leads, n_samples) of numbers; got rows of "
            f"shape {shape}, {rows.dtype}."
        )
    if integers and options.unit is None:
        raise ValueError(
            f"Signals in .npy files are floating, in millivolt; got {rows.dtype}: counts of a "
            "converter, or microvolt. State the unit: unit='uV', or what one count is worth in mV."
        )
    if options.fs is None or options.duration is not None:
        raise ValueError(
            "Cells 'file.npy#row' carry no sampling rate and are not cropped: pass fs= (their own "
            "rate, in Hz; --fs on the command line), and no duration."
        )
    # Everything that can be said is checked before the first row is read.
    scale = millivolt_per_unit(options.unit)
    given = None if options.lead_names is None else check_lead_names(options.lead_names)
    turned = leads_on_last_axis(shape, len(given) if given else None)
    if turned and given is None:
        raise ValueError(
            f"Rows have shape {shape}: the leads seem to lie on the last axis, where the samples "
            "are expected. Pass lead_names= (the rows are then transposed), or save "
            "np.moveaxis(signals, -1, 1)."
        )
    n_leads = shape[0] if len(shape) == 2 and not turned else shape[-1] if turned else 1
    if given is not None and len(given) != n_leads:
        raise ValueError(f"lead_names has {len(given)} names; the rows have {n_leads} lead(s).")
    names = given or (list(LEADS_12) if n_leads == len(LEADS_12) else None)
    convert = _Conversion(scale, turned, names)
    bad = _check_all(rows, convert, options)
    for position, why in sorted(bad.items()):
        problem(position, why)
    info = {"sampling_rate": float(options.fs), "lead_names": convert.names_out}
    if convert.is_identity and rows.dtype.kind == "f":
        return None, info
    return _converted(rows, convert, bad), info


class _Conversion:
    """From a row as stored to leads in millivolt: axes, unit, then the standard order."""

    def __init__(self, scale: float, turned: bool, names: list[str] | None) -> None:
        self.scale, self.turned, self.names = scale, turned, names
        present = set(names or ())
        chest = set(LEADS_12) - LIMB_FROM_I_II.keys()
        # Two limb leads give all six; what is not twelve leads keeps its own order.
        self.standard = chest <= present and len(present & LIMB_FROM_I_II.keys()) >= 2
        self.names_out = list(LEADS_12) if self.standard else names
        self.is_identity = scale == 1.0 and not turned and self.names_out == names

    def millivolt(self, block: np.ndarray) -> np.ndarray:
        """A block of rows with leads before samples, in millivolt."""
        block = np.swapaxes(block, -1, -2) if self.turned else block
        # No copy of what is millivolt already: most arrays are, and they may be large.
        if block.dtype.kind == "f" and self.scale == 1.0:
            return block
        return block.astype(np.float64) * self.scale

    def ordered(self, record: np.ndarray) -> np.ndarray:
        """One record in the standard order, limb leads completed."""
        if not self.standard or self.names == self.names_out:
            return record
        leads = dict(zip(self.names or (), record))
        complete_limb_leads(leads)
        return np.stack([leads[name] for name in LEADS_12])


def _blocks(rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
    size = max(1, _BLOCK_SAMPLES // int(np.prod(rows.row_shape)))
    for start in range(0, len(rows), size):
        yield start, np.asarray(rows[start : start + size])


def _check_all(rows: Rows, convert: _Conversion, options) -> dict[int, str]:
    """Look at every row once; rows that are not ECGs, and why."""
    spreads: list[np.ndarray] = []
    misfits: list[np.ndarray] = []
    sample: list[np.ndarray] = []
    n_sample = 0
    bad: dict[int, str] = {}
    for start, block in _blocks(rows):
        block = convert.millivolt(block)
        if not np.isfinite(block).all():
            whole = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            for i in np.flatnonzero(~whole).tolist():
                why = "it holds infinite samples" if np.isinf(block[i]).any() else ""
                if not why and options.missing == "raise":
                    why = "it has missing samples (NaN); missing='keep' takes them"
                if why:
                    bad[start + i] = why
        spreads.append(peak_to_peak(block))
        misfit = None
        if convert.names is not None and block.ndim == 3:
            misfit = limb_misfit(block, convert.names)
            misfits.append(misfit)
            if n_sample < _SAMPLE:
                sample.append(block[:_SAMPLE].copy())
                n_sample += len(sample[-1])
        for i, why in find_problems(block, misfit, spreads[-1]).items():
            bad.setdefault(start + i, why)
    # What is wrong with all records is said once, not for each of them.
    check_unit(np.concatenate(spreads), options.unit)
    if misfits and convert.names is not None:
        check_lead_order(np.concatenate(misfits), np.concatenate(sample), convert.names)
    return bad


def _converted(rows, convert, bad: dict[int, str]) -> Iterator[tuple[int, np.ndarray]]:
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    for start, block in _blocks(rows):
        for i, record in enumerate(convert.millivolt(block), start):
            if i not in bad:
                yield i, np.ascontiguousarray(convert.ordered(record), dtype=dtype)
