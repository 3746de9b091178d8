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

from crtkit._columns import as_column, as_frame, check_same_index, clean_column
from crtkit._io import is_path
from crtkit._labels import check_groups, patient_text
from crtkit.cohort.cells import as_objects
from crtkit.cohort.columns import refuse_repeated
from crtkit.cohort.content import column_content, update_digest

# Columns whose text is the name of a file.
MODALITIES = ("image", "signal", "map")


@dataclass(frozen=True, eq=False, repr=False)
class Cohort:
    """Records of patients: one row of ``X`` per record, one column per modality or covariate.

    Parameters
    ----------
    X : DataFrame of shape (n_records, n_columns)
        ``image``, ``signal`` and ``map`` cells hold a path, ``file.npy#row`` or an array; other
        columns hold values. A polars table is taken by its columns' names.
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
        Lengths or pandas indices differ, there are no records, a column occurs twice, or a patient
        identifier is missing.

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
        X = as_frame(self.X)
        if not isinstance(X, pd.DataFrame):
            raise ValueError(
                "Cohort expects X as a DataFrame with one row per record, "
                f"got {type(self.X).__name__}."
            )
        check_same_index("Cohort", X=X, y=self.y, groups=self.groups)
        info = dict(self.info)
        y = as_column("Cohort: y", as_frame(self.y))
        if isinstance(getattr(y, "dtype", None), pd.CategoricalDtype) and y.dtype.ordered:
            # As an array the labels lose their order, which says the positive class.
            info.setdefault("classes", y.dtype.categories.tolist())
        # Nullable and Arrow columns as plain arrays; a missing label stays one.
        y = np.asarray(clean_column(pd.Series(y)) if hasattr(y, "dtype") else y)
        groups = as_column("Cohort: groups", as_frame(self.groups))
        # By position: indices were compared above, arrays have none.
        lengths = {"X": len(X), "y": len(y), "groups": len(groups)}
        if len(set(lengths.values())) != 1:
            counts = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise ValueError(f"Cohort expects X, y and groups of one length, got {counts}.")
        if not len(y):
            raise ValueError("Cohort expects at least one record, got none.")
        refuse_repeated(X.columns, "Cohort: X")
        object.__setattr__(self, "X", _absolute(X))
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "groups", check_groups("Cohort", groups))
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
        if isinstance(indices, pd.Series) and pd.api.types.is_bool_dtype(indices):
            check_same_index("Cohort.take", X=self.X, mask=indices)
        counted = self.X.index.equals(pd.RangeIndex(len(self)))  # then labels are positions
        if isinstance(indices, pd.Index) and not counted:
            raise ValueError(
                "Cohort.take expects positions, counted from 0, and got an index of labels: pass a "
                "mask, such as cohort.X['age'] > 60, or cohort.X.index.get_indexer(labels)."
            )
        indices = np.asarray(indices)
        if indices.dtype == bool:
            if len(indices) != len(self):
                raise ValueError(f"A mask of {len(self)} records is expected, got {len(indices)}.")
            indices = np.flatnonzero(indices)
        elif len(indices) and indices.dtype.kind not in "iu":
            raise ValueError(
                f"Cohort.take expects positions (integers) or a mask (bool), got {indices.dtype}: "
                "a mask with missing values must say what they mean, mask.fillna(False)."
            )
        indices = indices.astype(np.intp)
        outside = indices[(indices < -len(self)) | (indices >= len(self))]
        if len(outside):
            raise ValueError(
                f"Cohort.take expects positions from 0 to {len(self) - 1}, got {outside[0]}."
            )
        if not len(indices):
            raise ValueError("Cohort expects at least one record, got none.")
        part = object.__new__(Cohort)  # what was checked once need not be checked for every fold
        for name, value in (
            ("X", self.X.iloc[indices]),
            ("y", self.y[indices]),
            ("groups", self.groups[indices]),
            ("info", dict(self.info)),
        ):
            object.__setattr__(part, name, value)
        return part

    def __getitem__(self, key) -> Cohort:
        """Cohort of a slice, a mask or positions, as :meth:`take`.

        Examples
        --------
        >>> import pandas as pd
        >>> from crtkit import Cohort
        >>> X = pd.DataFrame({"lvef": [22.0, 31.0, 28.0]})
        >>> cohort = Cohort(X, y=[1, 0, 1], groups=["a", "b", "c"])
        >>> cohort[X["lvef"] < 30].groups.tolist(), len(cohort[:2])
        (['a', 'c'], 2)
        """
        if isinstance(key, slice):
            key = np.arange(len(self))[key]
        if isinstance(key, str) or np.ndim(key) != 1:
            raise ValueError(
                f"Cohort[...] takes a slice, a mask or positions of records, got {key!r}. "
                "Columns are in cohort.X."
            )
        return self.take(key)

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
            for cell in column_content(self.X[name].to_numpy(dtype=object)):
                update_digest(digest, cell, f"column {name!r}")
        if any(isinstance(label, str) for label in self.y.tolist()):
            digest.update(b"\0text\0")  # "1" is another label than 1
        digest.update("\0".join(map(str, self.y.tolist())).encode())
        digest.update("\0".join(map(patient_text, self.groups.tolist())).encode())
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


def _counts(y: np.ndarray) -> dict[Any, int] | str:
    if pd.isna(y).all():
        return "no labels"
    values, counts = np.unique(y.astype(str) if y.dtype == object else y, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist()))


def _absolute(X: pd.DataFrame) -> pd.DataFrame:
    """Table whose files are named from the root: cells outlive a change of the working folder."""
    relative = {}
    for name in MODALITIES:
        cells = X[name].tolist() if name in X.columns else []
        if any(is_path(cell) and not os.path.isabs(cell) for cell in cells):
            relative[name] = as_objects([_absolute_cell(cell) for cell in cells])
    return X.assign(**relative) if relative else X


def _absolute_cell(cell: Any) -> Any:
    return os.path.abspath(cell) if is_path(cell) and os.fspath(cell).strip() else cell
