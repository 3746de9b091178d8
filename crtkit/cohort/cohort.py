"""Cohorts: records, labels and patients, kept together."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import is_path
from crtkit._labels import as_column, check_groups
from crtkit.cohort.rows import Rows, is_row_cell


@dataclass(frozen=True, eq=False, repr=False)
class Cohort:
    """Records of patients: one row of ``X`` a record, one column a modality or covariate.

    Parameters
    ----------
    X : DataFrame of shape (n_records, n_columns)
        ``image``, ``signal`` and ``map`` cells hold a path, ``file.npy#row`` or an array; other
        columns hold values.
    y : ndarray of shape (n_records,)
        Labels.
    groups : ndarray of shape (n_records,)
        Patient of each record; never a column of ``X``.
    info : dict
        What is known of the cohort: ``name``, ``source`` ("simulated" or "real"), ``label`` (what
        class 1 is), ``sampling_rate`` (Hz), ``lead_names``, ``licence``, ``assumed``, ``flow``
        (numbers by step, negative where records were left out), ``classes`` (their order, where an
        ordered categorical gave it), and for simulated cohorts ``best_auc``.

    Raises
    ------
    ValueError
        Lengths differ, there are no records, or a patient identifier is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit import Cohort
    >>> X = pd.DataFrame({"qrs_duration_ms": [160.0, 128.0, 150.0]})
    >>> cohort = Cohort(X, y=[1, 0, 1], groups=["a", "b", "b"], info={"name": "three records"})
    >>> len(cohort), cohort.n_patients
    (3, 2)
    >>> X, y, groups = cohort.take([0, 2])
    >>> groups
    array(['a', 'b'], dtype=object)
    """

    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.X, pd.DataFrame):
            raise ValueError(
                f"Cohort expects X as a DataFrame, one row a record, got {type(self.X).__name__}."
            )
        info = dict(self.info)
        y = as_column("Cohort: y", self.y)
        if getattr(y, "dtype", None) == "category" and y.dtype.ordered:
            # As an array the labels lose their order, which says the positive class.
            info.setdefault("classes", y.dtype.categories.tolist())
        y, groups = np.asarray(y), as_column("Cohort: groups", self.groups)
        lengths = {"X": len(self.X), "y": len(y), "groups": len(groups)}
        if len(set(lengths.values())) != 1:
            found = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise ValueError(f"Cohort expects X, y and groups of one length, got {found}.")
        if not len(y):
            raise ValueError("Cohort expects at least one record, got none.")
        groups = check_groups("Cohort", groups)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "info", info)

    def __len__(self) -> int:
        return len(self.y)

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``X, y, groups``."""
        return iter((self.X, self.y, self.groups))

    @property
    def n_patients(self) -> int:
        """Number of distinct patients."""
        return len(pd.unique(self.groups))

    def take(self, indices) -> Cohort:
        """Cohort of the given records, in the order asked.

        Parameters
        ----------
        indices : array-like of int or bool
            Positions, or a mask of length ``n_records``.

        Returns
        -------
        Cohort
        """
        indices = np.asarray(indices)
        if indices.dtype == bool:
            if len(indices) != len(self):
                raise ValueError(f"A mask of {len(self)} records is expected, got {len(indices)}.")
            indices = np.flatnonzero(indices)
        indices = indices.astype(np.intp) if not len(indices) else indices
        return Cohort(self.X.iloc[indices], self.y[indices], self.groups[indices], self.info)

    def fingerprint(self) -> str:
        """SHA-256 of what the cohort holds: cells, the files they name, labels and patients.

        Returns
        -------
        str
            Hexadecimal digest; equal for equal content, wherever the files lie.
        """
        digest = hashlib.sha256()
        for name in self.X.columns:
            digest.update(f"\0{name}\0".encode())
            for cell in self.X[name].to_numpy(dtype=object):
                _update(digest, cell)
        for values in (self.y, self.groups):
            digest.update("\0".join(map(str, values.tolist())).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        name, source = self.info.get("name", "cohort"), self.info.get("source", "unstated source")
        return (
            f"Cohort({name!r}, {source}: {len(self)} records of {self.n_patients} patients, "
            f"classes {_counts(self.y)}, columns {list(self.X.columns)})"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("source", self.info.get("source", "unstated")),
            ("records", len(self)),
            ("patients", self.n_patients),
            ("classes", _counts(self.y)),
            ("columns", ", ".join(map(str, self.X.columns))),
        ]
        best = self.info.get("best_auc") or {}
        rows += [
            (f"best reachable AUC, {modality}", f"{value['auc']:.3f} ± {value['se']:.3f}")
            for modality, value in best.items()
        ]
        cells = "".join(
            f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>"
            for k, v in rows
        )
        title = html.escape(str(self.info.get("name", "Cohort")))
        return f"<table><caption>{title}</caption>{cells}</table>"


def _counts(y: np.ndarray) -> dict[Any, int]:
    values, counts = np.unique(y.astype(str) if y.dtype == object else y, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist()))


def _update(digest, cell) -> None:
    """Add the content of one cell to a digest."""
    if isinstance(cell, np.ndarray):
        digest.update(f"{cell.shape}{cell.dtype}".encode())
        digest.update(np.ascontiguousarray(cell).tobytes())
    elif is_row_cell(cell):
        _update(digest, Rows.from_cells([cell])[0])
    elif is_path(cell) and os.path.isfile(cell):
        with open(cell, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    else:
        digest.update(f"\0{cell}".encode())
