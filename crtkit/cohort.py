"""Cohorts: records, labels and patients, and the first step of every study pipeline."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from crtkit._manifest import read_manifest
from crtkit._rows import Rows

__all__ = ["Cohort", "Select", "read_manifest"]


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
        (numbers by step, negative where records were left out), and for simulated cohorts
        ``best_auc``.

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
        y, groups = np.asarray(self.y), np.asarray(self.groups)
        if groups.dtype.kind in "US":  # fixed-width strings would cut a longer identifier
            groups = groups.astype(object)
        lengths = {"X": len(self.X), "y": len(y), "groups": len(groups)}
        if len(set(lengths.values())) != 1:
            found = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise ValueError(f"Cohort expects X, y and groups of one length, got {found}.")
        if not len(y):
            raise ValueError("Cohort expects at least one record, got none.")
        missing = np.flatnonzero(pd.isna(groups))
        if len(missing):
            raise ValueError(
                f"{len(missing)} record(s) have no patient identifier, first at row {missing[0]}. "
                "Give every record its patient: splits are by patient."
            )
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "info", dict(self.info))

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
    elif isinstance(cell, (str, os.PathLike)) and ".npy#" in str(cell):
        _update(digest, Rows.from_cells([cell])[0])
    elif isinstance(cell, (str, os.PathLike)) and os.path.isfile(cell):
        with open(cell, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    else:
        digest.update(f"\0{cell}".encode())


class Select(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Take one modality, or covariates, out of the columns of a cohort: a pipeline's first step.

    Parameters
    ----------
    column : str or list of str
        One name gives that modality; a list gives numeric covariates. Arrays that have no columns
        pass through unchanged, so that users who have arrays may leave ``Select`` in or out.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where they are all strings.

    Notes
    -----
    What comes out depends on the cells:

    ==============================  ===============================================
    cells                           output
    ==============================  ===============================================
    arrays of one shape             ndarray of shape (n_records, ...)
    ``file.npy#row``                :class:`~crtkit._rows.Rows`, read block by block
    other text or paths             object ndarray of str, shape (n_records,)
    numbers (one name, or a list)   float64 ndarray of shape (n_records, n_columns)
    ==============================  ===============================================

    ``fit`` takes ``groups`` and ignores them: with metadata routing on, a Pipeline then always
    accepts groups and hands them to whichever later step asks for them.

    Raises
    ------
    ValueError
        A column is missing, cells are empty, of mixed kinds, or arrays of several shapes.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit import Select
    >>> X = pd.DataFrame({"signal": [np.zeros((12, 5000), "f4")] * 3, "age": [61, 70, 55]})
    >>> Select("signal").fit_transform(X).shape
    (3, 12, 5000)
    >>> Select(["age"]).fit_transform(X).shape
    (3, 1)
    """

    __metadata_request__fit = {"groups": True}

    def __init__(self, column):
        self.column = column

    def set_output(self, *, transform=None):
        """Do nothing: the output may have more than two axes."""
        return self

    def fit(self, X, y=None, groups=None):
        """Check that the columns are there.

        Parameters
        ----------
        X : DataFrame of shape (n_records, n_columns) or array-like
        y : ignored
        groups : ignored

        Returns
        -------
        Select
        """
        self._columns(X, reset=True)
        return self

    def transform(self, X):
        """Give the column's content in the order of the rows.

        Parameters
        ----------
        X : DataFrame of shape (n_records, n_columns) or array-like

        Returns
        -------
        ndarray or Rows
        """
        check_is_fitted(self)
        return self._columns(X, reset=False)

    def get_feature_names_out(self, input_features=None):
        """Name(s) of the selected column(s)."""
        check_is_fitted(self)
        return np.asarray(self._names(), dtype=object)

    def _names(self):
        return [self.column] if isinstance(self.column, str) else list(self.column)

    def _columns(self, X, reset):
        if isinstance(X, Cohort):
            raise ValueError("Select expects the cohort's table: pass cohort.X, not the Cohort.")
        if not hasattr(X, "columns"):
            return validate_data(self, X, reset=reset, allow_nd=True)
        missing = [name for name in self._names() if name not in X.columns]
        if missing:
            raise ValueError(
                f"Select({self.column!r}) expects the column(s) {missing}, "
                f"but the table has {list(X.columns)}."
            )
        validate_data(self, X, reset=reset, skip_check_array=True)
        if not len(X):
            raise ValueError("Found array with 0 sample(s): the table has no rows.")
        if isinstance(self.column, str) and X[self.column].dtype.kind not in "biuf":
            cells = X[self.column].astype(object).where(X[self.column].notna(), None).to_numpy()
            if not all(cell is None or isinstance(cell, Number) for cell in cells):
                return _stack(cells, self.column)
        try:
            return X[self._names()].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Select({self.column!r}) expects numeric covariates: {error}. "
                "Select a modality by its single name."
            ) from error

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


def _stack(cells, name):
    """One array, lazy rows or paths from the cells of a column."""
    kinds = [_kind(cell) for cell in cells]
    if None in kinds:
        rows = [i for i, kind in enumerate(kinds) if kind is None]
        raise ValueError(
            f"Column {name!r} has {len(rows)} empty cell(s), first at row {rows[0]}. "
            "Leave those records out, or fill the cells in."
        )
    if len(set(kinds)) != 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        raise ValueError(
            f"Column {name!r} mixes cells: row 0 is {kinds[0]}, row {other} is {kinds[other]}. "
            "A column holds arrays, 'file.npy#row' or paths, one of them."
        )
    if kinds[0] == "a row of a .npy file":
        return Rows.from_cells(cells)
    if kinds[0] == "a path":
        return np.array([os.fspath(cell) for cell in cells], dtype=object)
    shapes = [np.shape(cell) for cell in cells]
    if len(set(shapes)) != 1:
        other = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        raise ValueError(
            f"Column {name!r} holds arrays of several shapes: {shapes[0]} at row 0, "
            f"{shapes[other]} at row {other}. Crop or pad the records to one shape."
        )
    return np.stack([np.asarray(cell) for cell in cells])


def _kind(cell):
    if isinstance(cell, (str, os.PathLike)):
        return "a row of a .npy file" if ".npy#" in str(cell) else "a path"
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA:
        return None
    return "an array"
