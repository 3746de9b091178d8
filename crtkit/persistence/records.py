"""One file, one ECG, a folder or a table, as the rows that a saved model reads."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._columns import as_frame
from crtkit._io import is_path
from crtkit._leads import LEADS_12
from crtkit.persistence.suffixes import PAGES, TABLES


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
    confidence : dict of int to float
        Of digitised pages, by record: how well they could be read, 0 to 1.
    bare : bool
        The model takes the array of signals itself, without a table around it.
    """

    X: pd.DataFrame
    names: list[str]
    reasons: list[list[str]] = field(default_factory=list)
    confidence: dict[int, float] = field(default_factory=dict)
    bare: bool = False

    def answerable(self) -> np.ndarray:
        """Numbers of the records that nothing speaks against."""
        return np.flatnonzero([not reasons for reasons in self.reasons])

    def rows(self, kept: np.ndarray) -> Any:
        """What the model takes, for some of the records."""
        if not self.bare:
            return self.X.iloc[kept]
        from crtkit.cohort import Select

        return np.asarray(Select("signal").fit_transform(self.X.iloc[kept]))


def gather(
    data: Any,
    contract: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    columns: Mapping[str, str] | None = None,
    digitizer: Any = None,
) -> Records:
    """Read data into the columns that a model's contract names.

    Parameters
    ----------
    data : path-like, ECG, ndarray, Cohort, DataFrame, or a sequence of paths, ECGs and arrays
        A path is an ECG file, a page, or a table with one row for each record.
    contract, training : dict
        Of the bundle's manifest.
    columns : dict, optional
        ``{name in the table: name that the model knows}``.
    digitizer : ECGDigitizer, optional
        Reads pages for a model of signals; without it they are refused.

    Returns
    -------
    Records

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        The data cannot be read at all. A single bad record among several is a reason, no error.
    """
    needed = list(contract["columns"])
    # A model without Select that was fitted on signals takes files of signals all the same.
    bare = not needed and contract.get("unit") == "mV" and len(contract["shape"] or ()) == 2
    reader = SignalReader(contract, training, digitizer)
    if hasattr(data, "X") and hasattr(data, "groups"):  # a Cohort: its patients are not needed
        data = data.X
    data = as_frame(data)
    if is_path(data) and _is_table(Path(data)):
        data = _table(Path(data), columns)
    if isinstance(data, pd.DataFrame):
        return _from_table(data, ["signal"] if bare else needed, columns, reader, bare)
    items = [data] if _is_one(data, contract["shape"]) else list(data)
    if not items:
        raise ValueError("predict got no record.")
    return _from_items(items, ["signal"] if bare else needed, reader, bare)


def expected_signal(
    contract: Mapping[str, Any], training: Mapping[str, Any] | None
) -> tuple[float | None, Sequence[str], int | None]:
    """Rate in Hz, leads, and samples of a record that a model was fitted on, where known."""
    training = training or {}
    # What the cohort says comes first: a model may hold two rates, before and after a resampler.
    rates = contract["fs"]
    fs = training.get("fs") or (rates[0] if len(rates) == 1 else None)
    shape = contract["shape"]
    signals = "signal" in contract["columns"] or contract["unit"] == "mV"
    n_samples = shape[1] if shape and len(shape) == 2 and signals else None
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
    # Resampled before it is cut, or the last samples would be made from nothing.
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


def _is_one(data: Any, shape: Sequence[int] | None) -> bool:
    """A path, an ECG, or one array of a record's shape."""
    if isinstance(data, np.ndarray):
        return shape is not None and data.ndim == len(shape)
    return is_path(data) or hasattr(data, "lead_names")


def _is_table(path: Path) -> bool:
    """By its ending; but an ECG as CSV says its rate in a comment before anything else."""
    if path.suffix.lower() not in TABLES:
        return False
    try:
        with open(path, "rb") as file:
            return file.read(1) != b"#"
    except OSError:
        return True  # what is wrong with it is told where it is read


def _table(path: Path, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """A table of records without labels; paths in its cells count from its folder."""
    from crtkit.cohort.tables import read_table

    if not path.is_file():
        raise FileNotFoundError(f"There is no table at {path}.")
    table = read_table(path)
    for name in table.columns:
        if (columns or {}).get(name, name) in ("signal", "image", "map"):
            table[name] = [_beside(path.parent, cell) for cell in table[name]]
    return table


def _beside(folder: Path, cell: Any) -> Any:
    if not isinstance(cell, str) or not cell:
        return cell
    return str(folder / cell) if not os.path.isabs(cell) else cell


def _from_table(table, needed, columns, reader: SignalReader, bare: bool) -> Records:
    from crtkit.cohort.columns import as_flags, refuse_repeated

    table = table.rename(columns=dict(columns or {}))
    refuse_repeated([name for name in table.columns if name in needed], "The table to predict for")
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise ValueError(
            f"The model reads the column(s) {needed}; {absent} are absent from the table, which "
            f"has {list(map(str, table.columns))[:20]}. Name them: columns={{'theirs': 'ours'}}."
        )
    X = table[needed].reset_index(drop=True)
    for theirs, ours in (columns or {}).items():
        if ours in X and theirs != ours:  # M and F, yes and no, as a manifest has them read
            X[ours] = as_flags(ours, X[ours])
    names = [str(index) for index in table.index]
    records = Records(X, names, [[] for _ in range(len(X))], bare=bare)
    if "signal" in needed:
        X["signal"] = pd.Series(_signals(X["signal"], records, reader), dtype=object)
    return records


def _from_items(items, needed, reader: SignalReader, bare: bool) -> Records:
    if len(needed) > 1 or not needed or needed[0] not in ("signal", "image", "map"):
        raise ValueError(
            f"The model reads {needed or 'an array'}: one file does not hold that. Pass a table (a "
            "DataFrame or the path of a CSV file) with these columns."
        )
    from crtkit.cohort.cells import exists

    name = needed[0]
    labels = [str(item) if is_path(item) else f"record {i}" for i, item in enumerate(items)]
    records = Records(pd.DataFrame(), labels, [[] for _ in items], bare=bare)
    if name == "signal":
        cells = _signals(items, records, reader)
    else:
        cells = list(items)
        for i, item in enumerate(items):
            if hasattr(item, "lead_names"):
                raise TypeError(
                    f"The model reads pages ({name}), got an ECG signal. Render it first."
                )
            if is_path(item) and not exists(str(item)):
                records.reasons[i].append("there is no such file")
    cells = [str(cell) if isinstance(cell, os.PathLike) else cell for cell in cells]
    records.X = pd.DataFrame({name: pd.Series(cells, dtype=object)})
    return records


def _signals(cells, records: Records, reader: SignalReader) -> list[Any]:
    """The signal of each cell; what cannot be read leaves a reason with the record."""
    read = []
    for i, cell in enumerate(cells):
        value, reason, confidence = reader.read(cell)
        read.append(value)
        if reason:
            records.reasons[i].append(reason)
        if confidence is not None:
            records.confidence[i] = confidence
    return read


class SignalReader:
    """Reads a cell into the leads, rate and length that a model was fitted on.

    Parameters
    ----------
    contract, training : dict
        Of the bundle's manifest.
    digitizer : ECGDigitizer or None
    """

    def __init__(self, contract, training, digitizer=None):
        self.wanted = expected_signal(contract, training)
        self.shape = contract["shape"]
        self.digitizer = digitizer

    def read(self, cell: Any) -> tuple[Any, str | None, float | None]:
        """Signal or None, why not or None, and the confidence of a page that was digitised."""
        from crtkit.cohort.rows import is_row_cell
        from crtkit.readers import read_ecg

        if is_path(cell):
            if is_row_cell(cell):
                return self._row(str(cell))
            if Path(cell).suffix.lower() in PAGES:
                return self._digitise(cell)
            try:
                cell = read_ecg(cell)
            except (ValueError, OSError) as error:
                return None, f"cannot be read: {error}", None
        if hasattr(cell, "lead_names"):
            return *fit_signal(cell.signal, cell.fs, cell.lead_names, self.wanted), None
        if cell is None or np.ndim(cell) == 0:
            return None, "there is no signal", None
        array = np.asarray(cell)
        reason = self._misfit(array.shape)
        return (array, None, None) if reason is None else (None, reason, None)

    def _row(self, cell: str) -> tuple[Any, str | None, float | None]:
        """A row of an array as it is, unread, if it is there and of the fitted shape."""
        from crtkit.cohort.rows import Rows

        try:
            reason = self._misfit(Rows.from_cells([cell]).row_shape)
        except ValueError as error:
            reason = f"cannot be read: {error}"
        return (cell, None, None) if reason is None else (None, reason, None)

    def _misfit(self, shape: tuple[int, ...]) -> str | None:
        if self.shape and shape != tuple(self.shape):
            return f"has shape {shape}, the model was fitted on {tuple(self.shape)}"
        return None

    def _digitise(self, path: Any) -> tuple[Any, str | None, float | None]:
        if self.digitizer is None:
            text = "a page, but the model reads signals: pass digitizer=crtkit.ECGDigitizer()"
            return None, text, None
        from sklearn.base import clone

        if not os.path.isfile(path):
            return None, "there is no such file", None
        # At the model's rate at once: resampling after would smear the ends of printed strips.
        fs = self.wanted[0] or self.digitizer.fs
        reader = clone(self.digitizer).set_params(fs=fs, on_unknown="nan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a refused page is a reason here, no warning
            try:
                signal = reader.fit_transform([str(path)])[0]
            except (ValueError, OSError) as error:
                return None, f"cannot be read: {error}", None
        row = reader.report_.iloc[0]
        if isinstance(row["reason"], str) and row["reason"]:
            return None, f"the page cannot be digitised: {row['reason']}", float(row["confidence"])
        return *fit_signal(signal, fs, LEADS_12, self.wanted), float(row["confidence"])
