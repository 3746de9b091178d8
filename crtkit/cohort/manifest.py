"""Reading a cohort from a table of files: ``read_manifest``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._columns import as_frame
from crtkit._labels import check_groups, check_labels
from crtkit.cohort.cells import as_objects
from crtkit.cohort.cohort import Cohort
from crtkit.cohort.columns import refuse_repeated, settle
from crtkit.cohort.manifest_checks import (
    check_columns,
    check_files,
    check_label_column,
    check_patients,
    locate,
    named_covariates,
    warn_of_covariates,
)
from crtkit.cohort.map_cells import read_maps
from crtkit.cohort.signal_cells import read_signals
from crtkit.cohort.signal_options import SignalOptions
from crtkit.cohort.tables import read_table


def read_manifest(
    manifest: str | os.PathLike[str] | pd.DataFrame,
    *,
    label: str | None,
    group: str,
    image: str | None = None,
    signal: str | None = None,
    map: str | None = None,
    covariates: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    classes: Iterable[Any] | None = None,
    mixed_labels: str = "raise",
    na_values: Mapping[str, Iterable[Any]] | Iterable[Any] | None = None,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    fs: float | None = None,
    duration: float | None = None,
    short: str = "raise",
    unit: str | float | None = None,
    lead_names: Sequence[str] | None = None,
    missing: str = "raise",
    missing_leads: str = "raise",
    on_error: str = "raise",
    root: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    name: str | None = None,
    licence: str | None = None,
) -> Cohort:
    """Read a cohort from a table with one row per record.

    Parameters
    ----------
    manifest : path or DataFrame
        CSV, Excel (``.xlsx``) or Parquet, by its suffix, or the table itself (pandas or polars).
    label : str or None
        Column that holds the class of each record. None for records to predict: ``y`` is NaN.
    group : str
        Column that holds the patient of each record. Where every record is of another patient,
        name a column that says so (its own identifier). Patients are read as text from a CSV: 001
        and 1 are two.
    image, signal, map : str, optional
        Columns that hold files, relative to the manifest's folder (or to ``root``). Images stay
        paths. Signals are read here, by :func:`crtkit.readers.read_ecg`, to millivolt in the order
        I, II, III, aVR, aVL, aVF, V1–V6, and so are polar maps, one ``.npy`` file each. Cells
        ``file.npy#row`` stay as they are; of signals they need ``fs``.
    covariates : sequence of str, optional
        Columns to keep beside them; by default all that are not named above. Leave out what is
        only known after the prediction (post-implantation values are the label itself).
    columns : mapping of str to str, optional
        Covariates under crtkit's names: ``{"QRS": "qrs_duration_ms", "Sex": "male"}``. Of a column
        that is then a flag (``male``, ``lbbb``, ...) yes and no, true and false, M and F are
        understood, in English, German and French.
    classes : iterable, optional
        The classes that must occur. A list or tuple also states their order, the positive class
        last (``info["classes"]``).
    mixed_labels : {"raise", "keep"}
        What to do with a patient who carries several labels.
    na_values : mapping of column to values, or values, optional
        Texts and codes that mean "not measured": ``{"lvef": [-1, 999]}``, or ``["NA"]`` for every
        column but patient and files. Only empty cells are missing otherwise.
    sep, decimal, encoding : str, optional
        How a CSV is written, where that cannot be told for certain: separator, decimal sign
        (``","``), encoding (UTF-8 by default).
    fs : float, optional
        Sampling rate in Hz to bring signals to (polyphase). Without it all must agree.
    duration : float, optional
        Seconds to keep of each signal, from its start. Without it all lengths must agree.
    short : {"raise", "drop", "pad"}
        What to do with a signal shorter than ``duration``; dropped ones are counted in
        ``info["flow"]``, padded ones end in NaN.
    unit : str or float, optional
        Of signals in arrays and CSV files: "mV" (the default), "uV", "V", or what one count of the
        converter is worth in millivolt. They are converted.
    lead_names : sequence of str, optional
        Leads of signals in arrays and CSV files, in their order. Twelve leads, or those that give
        twelve, are brought to the standard order; arrays (n_samples, n_leads) are transposed.
    missing : {"raise", "keep"}
        What to do with signals that hold NaN after the crop: pages show each lead for a part of
        the time only. Models that take NaN say so.
    missing_leads : {"raise", "nan", "drop"}
        What to do with a file that lacks one of the twelve leads and two limb leads to compute it
        from: an error, NaN in its place, or leaving the record out (counted in ``info["flow"]``).
        With "nan" and "drop" a lead of one constant value is missing, too: an electrode was off.
    on_error : {"raise", "drop"}
        What to do with signals that cannot be read or are not ECGs. All are listed, in the error or
        in ``info["dropped"]``; dropped ones are counted in ``info["flow"]``.
    root : path, optional
        Folder that files are relative to; needed where ``manifest`` is a DataFrame and its files
        are not absolute.
    cache_dir : path, optional
        Where signals or maps above some 100 MB are written as one ``.npy`` file; by default a
        temporary folder that is removed when the process ends.
    name, licence : str, optional
        Go to ``info``.

    Returns
    -------
    Cohort
        With columns ``image``, ``signal``, ``map`` for the files and the covariates under their
        own names. ``info["flow"]`` counts records at each step.

    Raises
    ------
    FileNotFoundError
        The manifest, or files it names, are missing: all are counted, the first ten named.
    ValueError
        ``fs`` or ``duration`` is not above 0; a row is longer or shorter than the header; a column
        is missing or occurs twice; a label or patient is empty; labels are 1 and 2, or differ only
        by blanks or case; a column of numbers holds words; a record occurs twice; a patient has
        two labels; a class has no rows; signals differ in rate or length, lack a lead, hold NaN,
        or are not in the unit and order that is said.

    Warns
    -----
    UserWarning
        Records were dropped (``on_error="drop"``), levels of a covariate differ only by blanks or
        case, or a clinical value is one that no patient has.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit import read_manifest
    >>> table = pd.DataFrame({"id": ["p1", "p2", "p2"], "crt_response": ["yes", "no", "no"],
    ...                       "qrs_duration_ms": [162, 130, 134]})
    >>> cohort = read_manifest(table, label="crt_response", group="id")
    >>> cohort
    Cohort('manifest', real: 3 records of 2 patients, classes {'no': 2, 'yes': 1}, \
columns ['qrs_duration_ms'])
    """
    _choice("mixed_labels", mixed_labels, ("raise", "keep"))
    _choice("short", short, ("raise", "drop", "pad"))
    _choice("missing_leads", missing_leads, ("raise", "nan", "drop"))
    _choice("missing", missing, ("raise", "keep"))
    _choice("on_error", on_error, ("raise", "drop"))
    _positive("fs", fs, "hertz")
    _positive("duration", duration, "seconds")
    files = {k: v for k, v in {"image": image, "signal": signal, "map": map}.items() if v}
    cells_as = {"as_text": [group, *files.values()], "decimal": decimal, "na_values": na_values}
    table, folder, default_name = _open(manifest, root, sep, encoding, cells_as)
    roles = {"label": label} if label is not None else {}
    check_columns(table, {**roles, "group": group, **files}, covariates)
    order = check_label_column(table, label, classes) if label is not None else None
    # Before any file is opened: a wrong column is found in milliseconds, not after an hour.
    check_patients(table, label, group, mixed_labels)
    used = {label, group, *files.values()}
    if covariates is None:
        covariates = [column for column in table.columns if column not in used]
    cells_of = named_covariates(table, covariates, columns or {}, used)
    warn_of_covariates(cells_of, None if label is None else table[label])
    clash = set(cells_of) & set(files)
    if clash:
        raise ValueError(f"The covariate(s) {sorted(clash)} carry a modality's name; rename them.")
    # Absolute from here on: workers and later sessions may be in another folder.
    paths = {modality: locate(table[column], folder) for modality, column in files.items()}
    # All of them before the first is read: an hour of reading should not end at a missing file.
    check_files(paths, folder)
    for modality, cells in paths.items():
        if modality == "map":
            cells = read_maps(cells, cache_dir, default_name)
        cells_of[modality] = as_objects(cells)
    frame = pd.DataFrame(cells_of, index=range(len(table)))
    # Without labels a cohort can be predicted for, and evaluate refuses it.
    y = np.full(len(table), np.nan) if label is None else check_labels("y", table[label])
    # check_patients has looked at them already, and would warn a second time.
    groups = check_groups("read_manifest", table[group], warn=False)
    flow = {"in the manifest": len(table)}
    info: dict[str, Any] = {
        "name": name or default_name,
        "label": label,
        "source": "real",
        "licence": licence,
        "flow": flow,
        "assumed": [],
    }
    if order is not None:
        info["classes"] = order
    if "signal" in paths:
        options = SignalOptions(
            fs, duration, short, on_error, missing, missing_leads, unit, lead_names
        )
        signals = read_signals(paths["signal"], options, cache_dir, default_name)
        info.update(signals.info)
        flow.update(signals.flow)
        # Records that were dropped take their row, label and patient with them.
        frame = frame.iloc[signals.kept].reset_index(drop=True)
        frame["signal"] = as_objects(signals.cells)
        y, groups = y[signals.kept], groups[signals.kept]
    flow["read"] = len(y)
    return Cohort(frame, y, groups, info)


def _open(
    manifest, root, sep: str | None, encoding: str | None, cells_as: dict[str, Any]
) -> tuple[pd.DataFrame, Path | None, str]:
    """Table, the folder that its files are relative to, and a name for the cohort."""
    manifest = as_frame(manifest)
    if isinstance(manifest, pd.DataFrame):
        refuse_repeated(manifest.columns, "The manifest")
        table = settle(manifest.reset_index(drop=True), convert=False, **cells_as)
        return table, None if root is None else Path(root).absolute(), "manifest"
    table = read_table(manifest, sep=sep, encoding=encoding, **cells_as)
    folder = Path(manifest).parent if root is None else Path(root)
    return table, folder.absolute(), Path(manifest).stem


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"read_manifest expects {name} to be one of {allowed}, got {value!r}.")


def _positive(name: str, value: Any, unit: str) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < np.inf
    if value is not None and not number:
        raise ValueError(f"read_manifest expects {name} in {unit}, above 0, got {value!r}.")
