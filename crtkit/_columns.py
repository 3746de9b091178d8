"""Columns of a table as functions take them: one value per record, missing ones known as such.

Which cells count as missing is decided here: None, NaN, NA, blank text, and the text "nan" that a
conversion leaves behind. "NA" and "None" are words, for people's initials and for levels.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

# What a conversion to text makes of a missing cell. "NA" and "None" are words that people use
# (initials, a level); these are not.
_MISSING_TEXTS = frozenset({"", "nan", "<na>", "nat"})
# 2024-03-01, with a time behind it or not; 1.3.2024, 3/1/24.
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[./]\d{1,2}[./](\d{4}|\d\d)")


def is_missing(values: Any) -> np.ndarray:
    """Mask of the cells that hold no answer: None, NaN, NA, blank text and the text "nan".

    Parameters
    ----------
    values : array-like of shape (n_records,)

    Returns
    -------
    ndarray of bool, shape (n_records,)

    Examples
    --------
    >>> from crtkit._columns import is_missing
    >>> is_missing(["yes", "NA", "", None, "nan"]).tolist()
    [False, False, True, True, True]
    """
    values = values if hasattr(values, "dtype") else as_array(values)
    # pandas' nullable integers have a kind as well, and missing cells.
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biu":
        return np.zeros(len(values), dtype=bool)
    values = np.asarray(values)
    missing = np.asarray(pd.isna(values), dtype=bool)
    if values.dtype.kind not in "OUST":
        return missing
    texts = [isinstance(v, str) and v.strip().casefold() in _MISSING_TEXTS for v in values.tolist()]
    return missing | np.array(texts, dtype=bool)


def as_column(name: str, values: Any) -> Any:
    """One value per record: a frame or an array of one column as that column, else unchanged.

    Polars columns become pandas ones, and numbers get the machine's byte order.

    Raises
    ------
    ValueError
        Several columns, or no axis at all.
    """
    values = as_frame(values)
    if isinstance(values, pd.DataFrame):
        if values.shape[1] != 1:
            raise ValueError(
                f"{name} must be one column, one value per record; got a table of "
                f"{values.shape[1]} columns, {list(values.columns)[:5]}. Name one of them."
            )
        return native_column(values.iloc[:, 0])
    shape = np.shape(values) if hasattr(values, "shape") else as_array(values).shape
    if len(shape) == 2 and shape[1] == 1:
        return native(np.asarray(values).ravel())
    if len(shape) != 1:
        raise ValueError(
            f"{name} must hold one value per record, shape (n_records,); got shape {shape}."
        )
    return native_column(values)


def native_column(values: Any) -> Any:
    """The same kind of column in the machine's byte order."""
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.isnative:
        return values
    if isinstance(values, pd.Series):
        return pd.Series(native(values.to_numpy()), index=values.index, name=values.name)
    return native(np.asarray(values))


def check_same_index(name: str, **objects: Any) -> None:
    """Refuse pandas objects whose rows are labelled differently.

    Values are combined by position here, so a table that was sorted or filtered would be paired
    with other records' labels, silently.

    Parameters
    ----------
    name : str
        Of the caller, for messages.
    **objects
        Anything; what has no pandas index is by position and passes.

    Raises
    ------
    ValueError
        Two indices differ.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._columns import check_same_index
    >>> check_same_index("roc_auc", y_true=pd.Series([0, 1]), y_score=[0.2, 0.9])
    """
    indexed = [(k, v) for k, v in objects.items() if isinstance(v, (pd.Series, pd.DataFrame))]
    for key, other in indexed[1:]:
        first, one = indexed[0]
        # Differing lengths are named by the caller, who knows what they should be.
        if len(one) != len(other) or one.index.equals(other.index):
            continue
        row = int(np.flatnonzero(one.index != other.index)[0])
        labels = [repr(as_scalar(which.index[row])) for which in (one, other)]
        raise ValueError(
            f"{name} pairs {first} and {key} row by row, but their pandas indices differ, first at "
            f"row {row}: {labels[0]} and {labels[1]}. Bring them into one order "
            f"({key}.loc[{first}.index]), or pass {key}.to_numpy() if the rows do correspond."
        )


def as_scalar(value: Any) -> Any:
    """A numpy scalar as Python's own value; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def native(array: np.ndarray) -> np.ndarray:
    """Array in the machine's byte order, which pandas, torch and compiled code require.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit._columns import native
    >>> native(np.array([1.0, 2.0], dtype=">f8")).dtype.isnative
    True
    """
    if array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def as_numpy(values: Any) -> np.ndarray:
    """Nullable, categorical and Arrow columns as numpy; integers stay integers."""
    dtype: Any = getattr(values, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return np.asarray(values)
    if pd.api.types.is_integer_dtype(dtype) and hasattr(values, "to_numpy"):
        return values.to_numpy(dtype=np.int64)
    return as_array(values)


def as_array(values: Any) -> np.ndarray:
    """Array of a sequence; numbers and text beside each other stay what they are."""
    if hasattr(values, "__array__"):
        return native(np.asarray(values))
    values = list(values)
    if len({isinstance(v, str) for v in values}) > 1:
        # numpy would turn [1, "a"] into two texts.
        out = np.empty(len(values), dtype=object)
        out[:] = values
        return out
    return np.asarray(values)


def clean_column(column: pd.Series) -> pd.Series:
    """Column with blank text as missing, and nullable or Boolean columns as plain numbers.

    Parameters
    ----------
    column : Series

    Returns
    -------
    Series
        A Boolean column with empty cells is a flag with missing values: 1, 0 and NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._columns import clean_column
    >>> clean_column(pd.Series([True, None, False])).tolist()
    [1.0, nan, 0.0]
    >>> clean_column(pd.Series(["RV", " "])).tolist()
    ['RV', nan]
    """
    # As it is: its order and its empty levels are the user's.
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        return pd.Series(native(column.to_numpy()), index=column.index, name=column.name)
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column), index=column.index, name=column.name)
    if pd.api.types.is_numeric_dtype(column) and not isinstance(dtype, np.dtype):
        if column.isna().any():
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = column.to_numpy(dtype=dtype.numpy_dtype)
        return pd.Series(values, index=column.index, name=column.name)
    if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
        return column
    cells = [
        np.nan if v is None or v is pd.NA or (isinstance(v, str) and not v.strip()) else v
        for v in column.tolist()
    ]
    out = pd.Series(cells, index=column.index, name=column.name, dtype=object)
    missing = out.isna()
    if not missing.all() and all(isinstance(v, (bool, np.bool_)) for v in out[~missing]):
        return out.astype(np.float64) if missing.any() else out.astype(bool)
    inferred = out.infer_objects()
    # From pandas 3 on, text would become a type of its own, which most code here tests for by name.
    return out if isinstance(inferred.dtype, pd.StringDtype) else inferred


def as_floats(name: Any, column: pd.Series) -> np.ndarray:
    """A column of numbers or flags as float64, missing cells as NaN.

    Raises
    ------
    ValueError
        A cell is text or infinite; row and cell are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._columns import as_floats
    >>> as_floats("lbbb", pd.Series([True, None, False])).tolist()
    [1.0, nan, 0.0]
    """
    column = clean_column(column)
    if getattr(column.dtype, "kind", "O") in "mMc":
        # As numbers they would be nanoseconds, or lose a part.
        raise ValueError(
            f"Column {name!r} must hold numbers, got {column.dtype}: compute what is meant (age in "
            "years, days between two dates) first."
        )
    try:
        numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        wrong = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        row = int(np.flatnonzero(wrong.to_numpy())[0]) if wrong.any() else 0
        cell = column.iloc[row]
        comma = isinstance(cell, str) and cell.replace(",", "", 1).strip("+- ").isdigit()
        raise ValueError(
            f"Column {name!r} must hold numbers (flags as 0 and 1, NYHA as 1 to 4); row {row} "
            f"holds {cell!r}"
            + (": write the decimal sign as a point." if comma and "," in cell else ".")
        ) from error
    # Division by zero in a spreadsheet; no quantity of a patient is infinite.
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(f"Column {name!r} contains infinity, first at row {infinite[0]}.")
    return numbers


def holds_dates(column: pd.Series) -> bool:
    """Whether every cell that is there is a date or a time, as such or written as one.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._columns import holds_dates
    >>> [holds_dates(pd.Series(x)) for x in (["2024-03-01", None], ["3.1.2024"], ["II", "III"])]
    [True, True, False]
    """
    if column.dtype.kind in "mM":
        return True
    cells = column.dropna().tolist()
    return bool(cells) and all(
        isinstance(cell, date) or (isinstance(cell, str) and _DATE.fullmatch(cell.strip()))
        for cell in cells
    )


def levels_of(column: pd.Series) -> list[Any]:
    """Levels of a column in their order, sorted where it states none.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._columns import levels_of
    >>> levels_of(pd.Series([3, 2, None]))
    [2, 3]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    # An empty cell makes 2.0 of a code 2; in print it is a 2.
    levels = [
        int(x) if isinstance(x, (float, np.floating)) and x.is_integer() else x
        for x in column.dropna().unique()
    ]
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def like_levels(values: Any) -> list[tuple[str, str]]:
    """Pairs of text levels that differ only by blanks, case or Unicode form.

    Examples
    --------
    >>> from crtkit._columns import like_levels
    >>> like_levels(["yes", "Yes ", "no"])
    [('yes', 'Yes ')]
    """
    seen: dict[str, str] = {}
    pairs = []
    for level in dict.fromkeys(v for v in np.asarray(values, dtype=object) if isinstance(v, str)):
        bare = " ".join(unicodedata.normalize("NFKC", level).casefold().split())
        other = seen.setdefault(bare, level)
        if other != level:
            pairs.append((other, level))
    return pairs


def as_frame(X: Any) -> Any:
    """A polars table as a pandas one, column by column; other input as it is.

    Numbers of a pandas table get the machine's byte order: pandas sorts and groups no other.
    """
    if isinstance(X, pd.DataFrame):
        swapped = [i for i, dtype in enumerate(X.dtypes) if not getattr(dtype, "isnative", True)]
        if swapped and X.columns.is_unique:
            X = X.assign(**{X.columns[i]: native_column(X.iloc[:, i]) for i in swapped})
        return X
    if type(X).__module__.partition(".")[0] != "polars":
        return X
    X = X.collect() if hasattr(X, "collect") else X
    if not hasattr(X, "columns"):  # a Series
        return pd.Series(X.to_list(), name=X.name).infer_objects()
    columns = {}
    for name in X.columns:
        column = X.get_column(name)
        if column.dtype.is_numeric():
            columns[name] = column.to_numpy()  # integers with nulls become floats with NaN
        else:
            cells = np.empty(len(column), dtype=object)
            for i, cell in enumerate(column):
                # A list of lists would become an array of arrays, one axis short.
                cells[i] = np.asarray(cell.to_list()) if hasattr(cell, "to_list") else cell
            columns[name] = clean_column(pd.Series(cells)).to_numpy()
    return pd.DataFrame(columns, index=range(len(X)))
