"""Reading a cohort from a table of files: ``read_manifest``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import import_optional
from crtkit.cohort.cells import as_objects, exists, identity, listed
from crtkit.cohort.cohort import Cohort
from crtkit.cohort.map_cells import read_maps
from crtkit.cohort.signal_cells import read_signals
from crtkit.cohort.signal_options import SignalOptions


def read_manifest(
    manifest: str | os.PathLike[str] | pd.DataFrame,
    *,
    label: str,
    group: str,
    image: str | None = None,
    signal: str | None = None,
    map: str | None = None,
    covariates: Sequence[str] | None = None,
    classes: Iterable[Any] | None = None,
    mixed_labels: str = "raise",
    fs: float | None = None,
    duration: float | None = None,
    short: str = "raise",
    unit: str | float | None = None,
    lead_names: Sequence[str] | None = None,
    missing: str = "raise",
    on_error: str = "raise",
    root: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    name: str | None = None,
    licence: str | None = None,
) -> Cohort:
    """Read a cohort from a table with one row a record.

    Parameters
    ----------
    manifest : path or DataFrame
        CSV or Parquet (by its suffix), or the table itself.
    label, group : str
        Columns that hold the class and the patient of each record. Where every record is of
        another patient, name a column that says so (its own identifier). Patients are read as
        text from a CSV: 001 and 1 are two.
    image, signal, map : str, optional
        Columns that hold files, relative to the manifest's folder (or to ``root``). Images stay
        paths. Signals are read here, by :func:`crtkit.readers.read_ecg`, to millivolt in the order
        I, II, III, aVR, aVL, aVF, V1–V6, and so are polar maps, one ``.npy`` file each. Cells
        ``file.npy#row`` stay as they are; of signals they need ``fs``.
    covariates : sequence of str, optional
        Columns to keep beside them; by default all that are not named above. Leave out what is
        only known after the prediction (post-implantation values are the label itself).
    classes : iterable, optional
        The classes that must occur.
    mixed_labels : {"raise", "keep"}
        What to do with a patient who carries several labels.
    fs : float, optional
        Sampling rate in Hz to bring signals to (polyphase). Without it all must agree.
    duration : float, optional
        Seconds to keep of each signal, from its start. Without it all lengths must agree.
    short : {"raise", "drop"}
        What to do with a signal shorter than ``duration``; dropped ones are counted in
        ``info["flow"]``.
    unit : str or float, optional
        Of signals in arrays and CSV files: "mV" (the default), "uV", "V", or what one count of the
        converter is worth in millivolt. They are converted.
    lead_names : sequence of str, optional
        Leads of signals in arrays and CSV files, in their order. Twelve leads, or those that give
        twelve, are brought to the standard order; arrays (n_samples, n_leads) are transposed.
    missing : {"raise", "keep"}
        What to do with signals that hold NaN after the crop: pages show each lead for a part of
        the time only. Models that take NaN say so.
    on_error : {"raise", "drop"}
        What to do with signals that cannot be read or are no ECG. All are listed, in the error or
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
        ``fs`` or ``duration`` is not above 0; a column is missing; a label or patient is empty; a
        record occurs twice; a patient has two labels; a class has no rows; signals differ in rate
        or length, lack a lead, hold NaN, or are not in the unit and order that is said.

    Warns
    -----
    UserWarning
        Records were dropped (``on_error="drop"``).

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
    _choice("short", short, ("raise", "drop"))
    _choice("missing", missing, ("raise", "keep"))
    _choice("on_error", on_error, ("raise", "drop"))
    _positive("fs", fs, "hertz")
    _positive("duration", duration, "seconds")
    files = {k: v for k, v in {"image": image, "signal": signal, "map": map}.items() if v}
    table, folder, default_name = _read_table(manifest, root, [group, *files.values()])
    _check_columns(table, {"label": label, "group": group, **files}, covariates)
    _check_labels(table, label, group, classes, mixed_labels)
    used = {label, group, *files.values()}
    if covariates is None:
        covariates = [column for column in table.columns if column not in used]
    columns: dict[str, Any] = {column: table[column].to_numpy() for column in covariates}
    clash = set(columns) & set(files)
    if clash:
        raise ValueError(f"The covariate(s) {sorted(clash)} carry a modality's name; rename them.")
    paths = {modality: _locate(table[column], folder) for modality, column in files.items()}
    _check_files(paths)
    for modality, cells in paths.items():
        if modality == "map":
            cells = read_maps(cells, cache_dir, default_name)
        columns[modality] = as_objects(cells)

    frame = pd.DataFrame(columns, index=range(len(table)))
    y, groups = table[label].to_numpy(), table[group].to_numpy(dtype=object)
    flow = {"in the manifest": len(table)}
    info: dict[str, Any] = {
        "name": name or default_name,
        "label": label,
        "source": "real",
        "licence": licence,
        "flow": flow,
        "assumed": [],
    }
    if "signal" in paths:
        options = SignalOptions(fs, duration, short, on_error, missing, unit, lead_names)
        signals = read_signals(paths["signal"], options, cache_dir, default_name)
        info.update(signals.info)
        flow.update(signals.flow)
        frame = frame.iloc[signals.kept].reset_index(drop=True)
        frame["signal"] = as_objects(signals.cells)
        y, groups = y[signals.kept], groups[signals.kept]
    flow["read"] = len(y)
    return Cohort(frame, y, groups, info)


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"read_manifest expects {name} to be one of {allowed}, got {value!r}.")


def _positive(name: str, value: Any, unit: str) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < np.inf
    if value is not None and not number:
        raise ValueError(f"read_manifest expects {name} in {unit}, above 0, got {value!r}.")


def _read_table(manifest, root, as_text) -> tuple[pd.DataFrame, Path | None, str]:
    if isinstance(manifest, pd.DataFrame):
        folder = Path(root) if root is not None else None
        return manifest.reset_index(drop=True), folder, "manifest"
    path = Path(manifest)
    if not path.is_file():
        raise FileNotFoundError(f"The manifest {path} is not a file.")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"A manifest is .csv or .parquet, got {path.name!r}.")
    if suffix == ".parquet":
        import_optional("pyarrow", extra="parquet", purpose="Reading Parquet")
    try:
        # Patient 001 is not patient 1, and file 001 not file 1: numbers are not guessed from text.
        text = dict.fromkeys(as_text, str)
        table = pd.read_csv(path, dtype=text) if suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parser errors are among these
        raise ValueError(f"The manifest {path} cannot be read: {error}") from error
    return table, Path(root) if root is not None else path.parent, path.stem


def _check_columns(table: pd.DataFrame, roles: Mapping[str, str], covariates) -> None:
    wanted = [*roles.items(), *(("covariates", column) for column in covariates or ())]
    missing = [f"{role}={column!r}" for role, column in wanted if column not in table.columns]
    if missing:
        raise ValueError(
            f"The manifest lacks {', '.join(missing)}; its columns are {list(table.columns)}."
        )
    named = [*roles.values(), *(covariates or ())]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise ValueError(
            f"The column(s) {twice} are named for two things. The label, the patient, a file and a "
            "covariate are different columns; a label among the covariates would predict itself."
        )
    repeated = sorted({column for column in named if list(table.columns).count(column) > 1})
    if repeated:
        raise ValueError(f"The manifest has the column(s) {repeated} more than once.")
    if not len(table):
        raise ValueError("The manifest has no rows.")


def _check_labels(table, label, group, classes, mixed_labels) -> None:
    for role, column in (("label", label), ("patient", group)):
        empty = np.flatnonzero(table[column].isna().to_numpy())
        if len(empty):
            raise ValueError(
                f"{len(empty)} row(s) have no {role} in column {column!r}, first at row "
                f"{empty[0]} (counted from 0). Fill them in, or leave those records out."
            )
    patients = table[group]
    if not pd.api.types.is_numeric_dtype(patients):
        spaced = [p for p in patients.unique() if isinstance(p, str) and p != p.strip()]
        if spaced:
            raise ValueError(
                f"{len(spaced)} patient identifier(s) begin or end with a space, for example "
                f"{spaced[:5]}: one patient could stand under two names. Strip them."
            )
    found = set(table[label].unique().tolist())
    if isinstance(table[label].dtype, pd.CategoricalDtype) and classes is None:
        classes = table[label].cat.categories
    absent = [c for c in (classes if classes is not None else ()) if c not in found]
    if absent:
        raise ValueError(f"The class(es) {absent} have no rows; column {label!r} holds {found}.")
    if len(found) < 2:
        raise ValueError(
            f"At least two classes are needed; column {label!r} holds one class, {found}."
        )
    per_patient = table.groupby(group, observed=True)[label].nunique()
    mixed = per_patient.index[per_patient > 1].tolist()
    if mixed and mixed_labels == "raise":
        raise ValueError(
            f"{len(mixed)} patient(s) carry several labels, for example {mixed[:10]}. Correct "
            "them, or pass mixed_labels='keep' and score by record."
        )


def _locate(column: pd.Series, folder: Path | None) -> list[str]:
    cells = column.astype(object).where(column.notna(), None).to_numpy()
    empty = [i for i, cell in enumerate(cells) if cell is None]
    if empty:
        raise ValueError(
            f"{len(empty)} row(s) name no file in column {column.name!r}, first at row {empty[0]}."
        )
    out = []
    for cell in cells:
        path = Path(os.fspath(cell))
        if not path.is_absolute():
            if folder is None:
                raise ValueError(
                    f"The file {os.fspath(cell)!r} is relative; pass root= with the table."
                )
            path = folder / path
        out.append(str(path))
    return out


def _check_files(paths: Mapping[str, list[str]]) -> None:
    missing: list[str] = []
    for cells in paths.values():
        missing += [cell for cell in cells if not exists(cell)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} file(s) of the manifest are missing:{listed(missing)}"
        )
    for modality, cells in paths.items():
        seen = pd.Series([identity(cell) for cell in cells])
        twice = seen[seen.duplicated()].unique().tolist()
        if twice:
            raise ValueError(
                f"{len(twice)} {modality} record(s) occur more than once, for example "
                f"{twice[:10]}. Every row needs its own record."
            )
