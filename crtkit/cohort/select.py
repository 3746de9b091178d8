"""The first step of every study pipeline: one column of a cohort, as the next step takes it."""

from __future__ import annotations

import os
from numbers import Number

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from crtkit._columns import as_floats, as_frame, clean_column
from crtkit._io import is_path
from crtkit.cohort.cohort import Cohort
from crtkit.cohort.rows import Rows, is_row_cell


class Select(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Take one modality, or covariates, out of the columns of a cohort: a pipeline's first step.

    Parameters
    ----------
    column : str or list of str
        One name gives that modality; a list gives numeric covariates, by name, whatever other
        columns a table has and in whatever order. Arrays that have no columns
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
    ``file.npy#row``                :class:`~crtkit.cohort.rows.Rows`, read block by block
    other text or paths             object ndarray of str, shape (n_records,)
    numbers (one name, or a list)   float64 ndarray of shape (n_records, n_columns)
    ==============================  ===============================================

    ``fit`` takes ``groups`` and ignores them: with metadata routing on, a Pipeline then always
    accepts groups and passes them to whichever later step asks for them.

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

    def fit_transform(self, X, y=None, groups=None):
        """Fit and transform, stacking the column once.

        Parameters
        ----------
        X : DataFrame of shape (n_records, n_columns) or array-like
        y : ignored
        groups : ignored

        Returns
        -------
        ndarray or Rows
        """
        return self._columns(X, reset=True)

    def get_feature_names_out(self, input_features=None):
        """Name(s) of the selected column(s)."""
        check_is_fitted(self)
        return np.asarray(self._names(), dtype=object)

    def _names(self):
        return [self.column] if isinstance(self.column, str) else list(self.column)

    def _columns(self, X, reset):
        if isinstance(X, Cohort):
            raise ValueError("Select expects the cohort's table: pass cohort.X, not the Cohort.")
        X = as_frame(X)
        if not hasattr(X, "columns"):
            return validate_data(self, X, reset=reset, allow_nd=True)
        names = self._names()
        missing = [name for name in names if name not in X.columns]
        if missing:
            raise ValueError(
                f"Select({self.column!r}) expects the column(s) {missing}, "
                f"but the table has {list(X.columns)}."
            )
        repeated = [name for name in dict.fromkeys(names) if (X.columns == name).sum() > 1]
        if repeated:
            raise ValueError(f"Select({self.column!r}): the table has {repeated} more than once.")
        if reset:
            # Names and number of columns only: cells may be arrays, which no check could take.
            validate_data(self, X, reset=True, skip_check_array=True)
        if not len(X):
            raise ValueError("Found array with 0 sample(s): the table has no rows.")
        if isinstance(self.column, str):
            column = clean_column(X[self.column])
            cells = column.astype(object).where(column.notna(), None).to_numpy()
            # A single name may be a covariate or a modality; its cells decide.
            # Dates and complex numbers go on to as_floats, which says what is wrong with them.
            numeric = getattr(column.dtype, "kind", "O") in "biufmMc"
            if not numeric and not all(c is None or isinstance(c, Number) for c in cells):
                return _stack(cells, self.column)
        try:
            return np.column_stack([as_floats(name, X[name]) for name in names])
        except ValueError as error:
            raise ValueError(
                f"Select({self.column!r}) expects numeric covariates: {error} "
                "Select a modality by its single name."
            ) from error

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


def _stack(cells, name):
    """One array, lazy rows or paths from the cells of a column."""
    # The first cell does not speak for the others: one path among arrays is an error.
    kinds = [_kind(cell) for cell in cells]
    if None in kinds:
        rows = [i for i, kind in enumerate(kinds) if kind is None]
        raise ValueError(
            f"Column {name!r} has {len(rows)} empty cell(s), first at row {rows[0]}. "
            "Leave those records out, or fill the cells in."
        )
    # Stacking arrays beside paths would make an array of objects that no estimator takes.
    if len(set(kinds)) != 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        raise ValueError(
            f"Column {name!r} mixes cells: row 0 is {kinds[0]}, row {other} is {kinds[other]}. "
            "A column holds arrays, 'file.npy#row' or paths, one of them."
        )
    if hasattr(cells[0], "signal") and hasattr(cells[0], "lead_names"):
        raise ValueError(
            f"Column {name!r} holds ECG objects; a cohort keeps their arrays, and their rate once: "
            "cells of ecg.standard_leads(), and info={'sampling_rate': ..., 'lead_names': ...}. "
            "read_manifest does that for files."
        )
    if kinds[0].startswith("a value"):
        raise ValueError(
            f"Column {name!r} holds {kinds[0]} in row 0; a modality is arrays, 'file.npy#row' or "
            "paths, and a covariate is numbers."
        )
    # Unread: the next step walks the file block by block.
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
    if is_path(cell):
        return "a row of a .npy file" if is_row_cell(cell) else "a path"
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA:
        return None
    if isinstance(cell, Number) or not (hasattr(cell, "__array__") or hasattr(cell, "__len__")):
        return f"a value ({type(cell).__name__})"
    return "an array"
