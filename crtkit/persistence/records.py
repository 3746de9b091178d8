"""One file, one ECG, a folder or a table, as the rows that a saved model reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._leads import LEADS_12

TABLES = {".csv", ".tsv", ".txt", ".xlsx", ".parquet"}
PAGES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".pdf", ".heic"}


@dataclass
class Records:
    """Rows for a model, their names, and why some of them cannot be answered.

    Parameters
    ----------
    X : DataFrame of shape (n_records, n_columns)
        Rows that are refused may hold None.
    names : list of str
    reasons : list of list of str
        Empty for the records that can be answered.
    """

    X: pd.DataFrame
    names: list[str]
    reasons: list[list[str]] = field(default_factory=list)


def gather(
    data: Any,
    contract: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    columns: Mapping[str, str] | None = None,
) -> Records:
    """Read data into the columns that a model's contract names.

    Parameters
    ----------
    data : path-like, ECG, Cohort, DataFrame, or a sequence of paths and ECGs
        A path is an ECG file, a page, or a table with one row for each record.
    contract, training : dict
        Of the bundle's manifest.
    columns : dict, optional
        ``{name in the table: name that the model knows}``.

    Returns
    -------
    Records

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        The data cannot be read at all. A single bad record among several is a reason, no error.
    """
    needed = list(contract["columns"])
    if hasattr(data, "X") and hasattr(data, "groups"):  # a Cohort: its patients are not needed
        data = data.X
    if isinstance(data, (str, os.PathLike)) and Path(data).suffix.lower() in TABLES:
        data = _table(Path(data), needed)
    if isinstance(data, pd.DataFrame):
        return _from_table(data, needed, contract, training, columns)
    items = [data] if _is_one(data) else list(data)
    if not items:
        raise ValueError("predict got no record.")
    return _from_items(items, needed, contract, training)


def expected_signal(
    contract: Mapping[str, Any], training: Mapping[str, Any] | None
) -> tuple[float | None, Sequence[str], int | None]:
    """Rate in Hz, leads, and samples of a record that a model was fitted on, where known."""
    training = training or {}
    rates = contract["fs"]
    fs = training.get("fs") or (rates[0] if len(rates) == 1 else None)
    shape = contract["shape"]
    n_samples = shape[1] if shape and len(shape) == 2 and "signal" in contract["columns"] else None
    return fs, training.get("lead_names") or LEADS_12, n_samples


def fit_signal(
    signal: np.ndarray,
    fs: float,
    lead_names: Sequence[str],
    wanted: tuple[float | None, Sequence[str], int | None],
) -> tuple[np.ndarray | None, str | None]:
    """One ECG in the leads, rate and length of the training cohort, or why that cannot be.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
        Millivolt.
    fs : float
        Hz.
    lead_names : sequence of str
    wanted : tuple
        Of :func:`expected_signal`. A longer record is cut after its first samples, as cohorts are.

    Returns
    -------
    signal : ndarray or None
    reason : str or None
    """
    from crtkit._leads import lead_name
    from crtkit.signals import resample_leads

    fs_model, leads, n_samples = wanted
    names = [lead_name(name) for name in lead_names]
    absent = [name for name in leads if name not in names]
    if absent:
        return None, f"lead(s) {', '.join(absent)} are absent"
    signal = np.asarray(signal)[[names.index(name) for name in leads]]
    if fs_model is not None and fs != fs_model:
        signal = resample_leads(signal[None], fs, fs_model)[0]
    if n_samples is not None:
        if signal.shape[1] < n_samples:
            rate = fs_model or fs
            return None, (
                f"{signal.shape[1] / rate:g} s long, the model was fitted on {n_samples / rate:g} s"
            )
        signal = signal[:, :n_samples]
    return np.ascontiguousarray(signal, dtype=np.float32), None


def _is_one(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike)) or hasattr(data, "lead_names")


def _table(path: Path, needed: list[str]) -> pd.DataFrame:
    """A table of records without labels; paths in its cells count from its folder."""
    from crtkit.cohort.tables import read_table

    if not path.is_file():
        raise FileNotFoundError(f"There is no table at {path}.")
    table = read_table(path)
    for name in ("signal", "image", "map"):
        if name in needed and name in table:
            table[name] = [_beside(path.parent, cell) for cell in table[name]]
    return table


def _beside(folder: Path, cell: Any) -> Any:
    if not isinstance(cell, str) or not cell:
        return cell
    return str(folder / cell) if not os.path.isabs(cell) else cell


def _from_table(table, needed, contract, training, columns) -> Records:
    table = table.rename(columns=dict(columns or {}))
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise ValueError(
            f"The model reads the column(s) {needed}; {absent} are absent from the table, which "
            f"has {list(map(str, table.columns))[:20]}. Name them: columns={{'theirs': 'ours'}}."
        )
    X = table[needed].reset_index(drop=True)
    names = [str(index) for index in table.index]
    reasons: list[list[str]] = [[] for _ in range(len(X))]
    if "signal" in needed:
        cells: list[Any] = []
        for i, cell in enumerate(X["signal"]):
            value, reason = _signal(cell, contract, training)
            cells.append(value)
            if reason:
                reasons[i].append(reason)
        X["signal"] = pd.Series(cells, dtype=object)
    return Records(X, names, reasons)


def _from_items(items, needed, contract, training) -> Records:
    if len(needed) > 1 or not needed or needed[0] not in ("signal", "image", "map"):
        raise ValueError(
            f"The model reads {needed or 'an array'}: one file does not hold that. Pass a table (a "
            "DataFrame or the path of a CSV file) with these columns."
        )
    name = needed[0]
    cells: list[Any] = []
    reasons: list[list[str]] = []
    for item in items:
        value, reason = item, None
        if name == "signal":
            value, reason = _signal(item, contract, training)
        elif hasattr(item, "lead_names"):
            raise TypeError(f"The model reads pages ({name}), got an ECG signal. Render it first.")
        elif not os.path.isfile(str(item).split("#")[0]):
            reason = "there is no such file"
        cells.append(str(value) if isinstance(value, os.PathLike) else value)
        reasons.append([reason] if reason else [])
    labels = [str(item) if _is_path(item) else f"record {i}" for i, item in enumerate(items)]
    return Records(pd.DataFrame({name: pd.Series(cells, dtype=object)}), labels, reasons)


def _is_path(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike))


def _signal(cell: Any, contract, training) -> tuple[Any, str | None]:
    """Signal of a cell: an ECG, an ECG file, an array or a row of a ``.npy`` file."""
    from crtkit.readers import read_ecg

    wanted = expected_signal(contract, training)
    if isinstance(cell, (str, os.PathLike)):
        if ".npy#" in str(cell):
            return cell, None
        if Path(cell).suffix.lower() in PAGES:
            return None, "a page, but the model reads signals: digitise it first (ECGDigitizer)"
        try:
            cell = read_ecg(cell)
        except (ValueError, OSError) as error:
            return None, f"cannot be read: {error}"
    if hasattr(cell, "lead_names"):
        return fit_signal(cell.signal, cell.fs, cell.lead_names, wanted)
    array = np.asarray(cell)
    shape = contract["shape"]
    if shape and array.shape != tuple(shape):
        return None, f"has shape {array.shape}, the model was fitted on {tuple(shape)}"
    return array, None
