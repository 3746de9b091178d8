"""What a manifest must hold before anything is read: columns, labels, patients and files."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._columns import is_missing, like_levels
from crtkit._io import is_path
from crtkit._labels import check_groups, visible, warn_of_positive
from crtkit.cohort.cells import exists, identity, listed
from crtkit.cohort.columns import PLAUSIBLE, as_flags, why_implausible

# A column of more texts than this is a remark, not a category.
MAX_LEVELS = 20
# Records of each class from which on a perfect agreement is no longer chance.
_ENOUGH = 6
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def check_columns(table: pd.DataFrame, roles: Mapping[str, str], covariates) -> None:
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
    if not len(table):
        raise ValueError(
            "The manifest has no rows below its header; one row per record is expected."
        )


def check_label_column(table, label, classes) -> list[Any] | None:
    """Refuse labels that are missing or ambiguous; their order, where it was stated."""
    column = table[label]
    _refuse_missing("label", column)
    alike = like_levels(column)
    if alike:
        raise ValueError(
            f"Labels in column {label!r} differ only by blanks or case: {alike[:3]}. Write each "
            "class in one way."
        )
    labels = set(column.unique().tolist())
    stated = classes
    if isinstance(column.dtype, pd.CategoricalDtype) and classes is None:
        classes = column.cat.categories
        stated = classes.tolist() if column.cat.ordered else None
    if classes is None and labels in ({1, 2}, {"1", "2"}):
        one, two = sorted(labels)
        raise ValueError(
            f"Labels in column {label!r} are 1 and 2, and either may mean yes. State which comes "
            f"last, as the positive class: classes=[{one!r}, {two!r}] or "
            f"classes=[{two!r}, {one!r}]."
        )
    absent = [c for c in (classes if classes is not None else ()) if c not in labels]
    if absent:
        raise ValueError(
            f"The class(es) {absent} have no rows; column {label!r} has {sorted(labels, key=str)}."
        )
    if len(labels) < 2:
        raise ValueError(
            f"At least two classes are needed; column {label!r} holds one class, {labels}."
        )
    if stated is None and len(labels) == 2 and all(isinstance(name, str) for name in labels):
        warn_of_positive("read_manifest", *sorted(labels))
    return list(stated) if isinstance(stated, (list, tuple)) else None


def check_patients(table, label, group, mixed_labels) -> None:
    patients = table[group]
    _refuse_missing("patient", patients)
    spaced = [p for p in patients.unique() if isinstance(p, str) and p != p.strip()]
    if spaced:
        raise ValueError(
            f"{len(spaced)} patient identifier(s) in column {group!r} begin or end with a space, "
            f"for example {spaced[:5]}: one patient could have two names. Strip them."
        )
    hidden = [p for p in patients.unique() if isinstance(p, str) and p != visible(p)]
    if hidden:
        raise ValueError(
            f"{len(hidden)} patient identifier(s) in column {group!r} hold characters that nobody "
            f"sees (zero-width blanks, marks of direction), for example {ascii(hidden[0])}: "
            "one patient could have two names. Remove them."
        )
    rounded = [p for p in patients.unique() if isinstance(p, str) and _ROUNDED.fullmatch(p)]
    if rounded:
        raise ValueError(
            f"{len(rounded)} patient identifier(s) in column {group!r} are rounded numbers, for "
            f"example {rounded[:3]}: "
            "a spreadsheet wrote long identifiers so, and several patients may have become one. "
            "Format the column as text, and export it again."
        )
    if label is None:
        return
    # As evaluate will see them: 1 and 1.0 are one patient here too.
    by = check_groups("read_manifest", patients, warn=False)
    per_patient = table.groupby(by)[label].nunique()
    mixed = per_patient.index[per_patient > 1].tolist()
    if mixed and mixed_labels == "raise":
        raise ValueError(
            f"{len(mixed)} patient(s) carry several labels in column {label!r}, for example "
            f"{mixed[:10]}. Correct them, or pass mixed_labels='keep' and score by record."
        )


def _refuse_missing(role: str, column: pd.Series) -> None:
    empty = np.flatnonzero(is_missing(column))
    if len(empty):
        cell = column.iloc[empty[0]]
        shown = f" ({cell!r})" if isinstance(cell, str) else ""
        raise ValueError(
            f"{len(empty)} row(s) have no {role} in column {column.name!r}, first at row "
            f"{empty[0]}{shown} (counted from 0). Fill them in, or leave those records out."
        )


def named_covariates(
    table: pd.DataFrame, covariates, renamed: Mapping[str, str], used: set[Any]
) -> dict[str, Any]:
    """Covariates under crtkit's names, flags as 1 and 0.

    Raises
    ------
    ValueError
        ``columns=`` names a column that is absent or has another role, two columns would share a
        name, or a flag holds another word than yes and no.
    """
    absent = [name for name in renamed if name not in table.columns]
    taken = [name for name in renamed if name in used]
    if absent or taken:
        raise ValueError(
            f"columns= names {absent or taken}, "
            + (
                f"absent from the manifest; it has {list(table.columns)}."
                if absent
                else "which is the label, the patient or a file; it renames covariates."
            )
        )
    out: dict[str, Any] = {}
    for column in [*covariates, *(name for name in renamed if name not in covariates)]:
        name = renamed.get(column, column)
        if name in out:
            raise ValueError(f"Two columns of the manifest would be called {name!r}: rename one.")
        out[name] = as_flags(name, table[column]).to_numpy()
    return out


def warn_of_covariates(columns: Mapping[str, np.ndarray], labels: pd.Series | None) -> None:
    """Name what is odd about covariates: levels written twice, codes, copies of the label."""
    _warn_of_like_levels(columns)
    _warn_of_codes(columns)
    if labels is not None:
        _warn_of_copies(columns, labels)


def _warn_of_copies(columns: Mapping[str, np.ndarray], labels: pd.Series) -> None:
    """Name covariates that give the label away: one level of theirs for each of its."""
    codes = pd.factorize(labels)[0]
    for name, values in columns.items():
        column = pd.Series(values)
        try:
            n_levels = column.nunique()
        except TypeError:  # cells that are no values
            continue
        # Two records of either class could agree by chance; a dozen do not.
        if n_levels != codes.max() + 1 or column.isna().any() or len(codes) < 2 * _ENOUGH:
            continue
        # One-to-one with the label, whatever its words are.
        if len(set(zip(pd.factorize(column)[0], codes))) == n_levels:
            warnings.warn(
                f"read_manifest: covariate {name!r} tells the label {labels.name!r} in all "
                f"{len(codes)} records, as a copy of it would. Leave it out (covariates=[...]) "
                "unless it is known before the prediction.",
                UserWarning,
                stacklevel=4,
            )


def _warn_of_like_levels(columns: Mapping[str, np.ndarray]) -> None:
    """Name levels of covariates that a blank or a capital letter splits in two."""
    for name, values in columns.items():
        texts = {v for v in values.tolist() if isinstance(v, str)} if values.dtype == object else ()
        alike = like_levels(sorted(texts)) if len(texts) <= MAX_LEVELS else []
        if alike:
            warnings.warn(
                f"Levels of column {name!r} differ only by blanks or case and count as different: "
                f"{alike[:3]}. Write each level in one way.",
                UserWarning,
                stacklevel=4,
            )


def _warn_of_codes(columns: Mapping[str, np.ndarray]) -> None:
    """Name values of clinical columns that no patient has; rules refuse them."""
    for name, values in columns.items():
        if name in PLAUSIBLE and values.dtype.kind in "iuf":
            problem = why_implausible(name, values.astype(np.float64), PLAUSIBLE[name])
            if problem:
                warnings.warn(f"read_manifest: {problem}", UserWarning, stacklevel=4)


def locate(column: pd.Series, folder: Path | None) -> list[str]:
    """Absolute paths: a cohort outlives a change of the working folder."""
    empty = np.flatnonzero(is_missing(column))
    if len(empty):
        raise ValueError(
            f"{len(empty)} row(s) name no file in column {column.name!r}, first at row {empty[0]}."
        )
    out = []
    for row, cell in enumerate(column.tolist()):
        if not is_path(cell):
            raise ValueError(
                f"Column {column.name!r} holds {type(cell).__name__} at row {row}, where the name "
                "of a file is expected. Arrays in memory make a cohort without a manifest: "
                "crtkit.Cohort(X, y, groups, info)."
            )
        text = os.fspath(cell)
        if os.name != "nt" and _WINDOWS.match(text):
            raise ValueError(
                f"Column {column.name!r} names files of Windows, for example {text!r}, which this "
                "system has no folder for. Write paths relative to the manifest, or to root=."
            )
        path = Path(text)
        if not path.is_absolute():
            if folder is None:
                raise ValueError(f"The file {text!r} is relative; pass root= with the table.")
            path = folder / path
            if "\\" in text and not exists(str(path)):
                path = folder / text.replace("\\", "/")
        out.append(os.path.abspath(path))
    return out


def check_files(paths: Mapping[str, list[str]], folder: Path | None) -> None:
    """Refuse files that are missing or occur twice; say where they were looked for."""
    missing: list[str] = []
    for cells in paths.values():
        missing += [cell for cell in cells if not exists(cell)]
    if missing:
        n_files = sum(map(len, paths.values()))
        where = "" if folder is None else f" Relative names were looked for in {folder}"
        raise FileNotFoundError(
            f"{len(missing)} of {n_files} file(s) of the manifest are missing.{where}"
            f"{'; name another folder with root=.' if where else ''}{listed(missing)}"
        )
    for modality, cells in paths.items():
        seen = pd.Series([identity(cell) for cell in cells])
        twice = seen[seen.duplicated()].unique().tolist()
        if twice:
            raise ValueError(
                f"{len(twice)} {modality} record(s) occur more than once, for example "
                f"{twice[:10]}. Every row needs its own record."
            )
