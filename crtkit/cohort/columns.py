"""Columns of a table of records as what they hold: numbers, flags, text, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crtkit._columns import clean_column

# What tables of numbers write where nothing was measured. Only empty cells are missing here, so
# that a patient "NA" stays one; in a column of numbers these words must be declared.
WORDS_FOR_MISSING = frozenset(
    {"na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "missing", "unknown"}
    | {"nd", "n.d.", "k.a.", ".", "-", "--", "?"}
)
# What a patient of these studies can have, wide on purpose: values beyond are codes for "not
# measured" (-1, 999, 29999) or of another unit.
PLAUSIBLE = {
    "age": (0, 120),
    "lvef": (3, 95),
    "lvedv": (10, 1500),
    "lvesv": (3, 1200),
    "nyha": (1, 4),
    "heart_rate_bpm": (15, 350),
    "pr_ms": (30, 800),
    "qrs_duration_ms": (30, 400),
    "qt_ms": (100, 1000),
    "qtc_ms": (100, 1000),
    "qrs_area_uVs": (0, 1000),
    "psd_deg": (0, 360),
    "pbw_deg": (0, 360),
    "height_cm": (100, 230),
    "weight_kg": (25, 350),
    **dict.fromkeys(("lbbb", "rbbb", "ivcd", "paced", "af", "male", "ischaemic", "crtd"), (0, 1)),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d+)([eE][+-]?\d+)?")
# 1,234 may be a thousand or a little more than one.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_FLAGS = {"true": 1.0, "false": 0.0}
_YES_NO = {
    **_FLAGS,
    **dict.fromkeys(("yes", "y", "ja", "j", "oui", "present", "positive", "+"), 1.0),
    **dict.fromkeys(("no", "n", "nein", "non", "absent", "negative", "none", "-"), 0.0),
}
_SEX = {
    **dict.fromkeys(("m", "male", "man", "männlich", "mann", "homme", "masculin"), 1.0),
    **dict.fromkeys(("f", "w", "female", "woman", "weiblich", "frau", "femme", "féminin"), 0.0),
}


def refuse_repeated(columns: Iterable[Any], who: str) -> None:
    """Refuse a column name that occurs twice; the second could be a copy of the label."""
    names = [str(name).strip() for name in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{who} has the column(s) {twice} more than once. Rename or leave out one of each: a "
            "copy of the label among the covariates would predict itself."
        )


def why_implausible(name: Any, values: np.ndarray, limits: tuple[float, float] | None) -> str:
    """Which values no patient has, by row, and how to declare them missing; empty where none.

    Parameters
    ----------
    name : str
        Of the column, for the message.
    values : ndarray of float, shape (n_records,)
    limits : (low, high) or None
        As in :data:`PLAUSIBLE`; None passes everything.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.cohort.columns import PLAUSIBLE, why_implausible
    >>> why_implausible("lvef", np.array([25.0, 31.0, np.nan]), PLAUSIBLE["lvef"])
    ''
    >>> why_implausible("lvef", np.array([25.0, 999.0]), PLAUSIBLE["lvef"])[:58]
    "Column 'lvef' holds 999 at row 1 (1 such value); plausible"
    """
    if limits is None:
        return ""
    low, high = limits
    rows = np.flatnonzero((values < low) | (values > high))  # NaN is neither
    if not len(rows):
        return ""
    codes = [float(v) for v in pd.unique(values[rows])[:3]]
    shown = ", ".join(f"{code:g}" for code in codes)
    more = f"{len(rows)} such value" + "s" * (len(rows) > 1)
    return (
        f"Column {name!r} holds {shown} at row {rows[0]} ({more}); plausible are {low:g} to "
        f"{high:g}. If they mean 'not measured', make them missing: "
        f"X[{name!r}] = X[{name!r}].replace([{shown}], float('nan')), or "
        f"read_manifest(..., na_values={{{name!r}: [{shown}]}}). Values of another unit must be "
        "converted."
    )


def as_flags(name: Any, column: pd.Series) -> pd.Series:
    """A clinical flag or number that was written in words, as numbers; other columns as they are.

    Parameters
    ----------
    name : str
        Of the column, as crtkit calls it: those of :data:`PLAUSIBLE` are numbers.
    column : Series

    Raises
    ------
    ValueError
        A cell is no number, nor a word for yes or no (M or F of ``male``).

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.cohort.columns import as_flags
    >>> as_flags("male", pd.Series(["M", "F", None])).tolist()
    [1.0, 0.0, nan]
    >>> as_flags("lbbb", pd.Series(["yes", "No"])).tolist()
    [1.0, 0.0]
    """
    if name not in PLAUSIBLE or column.dtype.kind != "O":
        return column
    texts = [str(cell).strip().casefold() for cell in column if isinstance(cell, str)]
    if not texts:
        return column
    words: dict[str, float] = {}
    if PLAUSIBLE[name] == (0, 1):
        words = {**_YES_NO, **(_SEX if name == "male" else {})}
    elif name == "nyha":
        words = {"i": 1.0, "ii": 2.0, "iii": 3.0, "iv": 4.0}
    numbers = []
    for row, cell in enumerate(column.tolist()):
        text = cell.strip().casefold() if isinstance(cell, str) else cell
        if isinstance(text, str):
            if text not in words and not _NUMBER.fullmatch(text):
                low, high = PLAUSIBLE[name]
                known = "yes and no" if high == 1.0 else f"{low:g} to {high:g}"
                raise ValueError(
                    f"Column {name!r} holds {cell!r} at row {row}; numbers are expected "
                    f"({known}). Correct it, or declare it missing: "
                    f"na_values={{{column.name!r}: [{cell!r}]}}."
                )
            text = words[text] if text in words else float(text)
        try:
            numbers.append(np.nan if text is None or pd.isna(text) else float(text))
        except TypeError as error:
            raise ValueError(
                f"Column {name!r} holds {cell!r} at row {row}; numbers are expected. A spreadsheet "
                "may have made a date of a number: format the column as numbers and enter it again."
            ) from error
    return pd.Series(numbers, index=column.index, name=column.name, dtype=np.float64)


def settle(
    table: pd.DataFrame,
    *,
    as_text: Sequence[str] = (),
    decimal: str | None = None,
    na_values: Mapping[str, Iterable[Any]] | Iterable[Any] | None = None,
    convert: bool = True,
    where: str = "",
) -> pd.DataFrame:
    """Columns as what they hold: declared codes missing, numbers and flags as numbers, else text.

    A table that is given (``convert=False``) keeps its text: its owner has chosen the types.

    Raises
    ------
    ValueError
        ``na_values`` names a column that is absent, or a column of numbers holds words for missing
        or several decimal signs.
    """
    columns = {}
    # Listed once: a generator would be used up by the first column.
    shared = [] if na_values is None or isinstance(na_values, Mapping) else _listed(na_values)
    if isinstance(na_values, Mapping):
        unknown = [name for name in na_values if name not in table.columns]
        if unknown:
            raise ValueError(f"na_values= names {unknown}; the columns are {list(table.columns)}.")
    for name in table.columns:
        column = table[name]
        codes = _listed(na_values.get(name, ())) if isinstance(na_values, Mapping) else shared
        if len(codes) and (isinstance(na_values, Mapping) or name not in as_text):
            column = without_codes(column, codes)
        if name not in as_text:
            column = _typed(column, decimal, where) if convert else clean_column(column)
        columns[name] = column
    return pd.DataFrame(columns, index=table.index, columns=table.columns)


def without_codes(column: pd.Series, codes: Sequence[Any]) -> pd.Series:
    """Column whose declared codes are missing, compared as text and as numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.cohort.columns import without_codes
    >>> without_codes(pd.Series([25.0, -1.0, 999.0]), [-1, "999"]).tolist()
    [25.0, nan, nan]
    """
    # -1 in a table of texts is "-1", and "-1" in one of numbers (as a command line says it) is -1.
    texts = {str(code).strip().casefold() for code in codes}
    numbers = [c for c in codes if isinstance(c, (int, float)) and not isinstance(c, bool)]
    numbers += [float(text) for text in texts if _NUMBER.fullmatch(text)]
    if pd.api.types.is_numeric_dtype(column):
        return column.where(~column.isin(numbers))
    as_text = [isinstance(v, str) and v.strip().casefold() in texts for v in column.tolist()]
    hit = np.array(as_text) | column.isin(numbers).to_numpy(dtype=bool, na_value=False)
    return column.astype(object).where(~hit, None)


def _listed(codes: Any) -> list[Any]:
    return [codes] if isinstance(codes, (str, int, float)) else list(codes)


def _typed(column: pd.Series, decimal: str | None, where: str) -> pd.Series:
    """Text that is all numbers as numbers, flags with empty cells as 1, 0 and NaN."""
    column = clean_column(column)
    if column.dtype != object:
        return column
    values = column.dropna()
    texts = [v.strip() for v in values.tolist() if isinstance(v, str)]
    if len(texts) != len(values) or not texts:
        return column
    lowered = {text.casefold() for text in texts}
    if lowered <= set(_FLAGS):
        flags = column.map(lambda v: _FLAGS[v.strip().casefold()] if isinstance(v, str) else np.nan)
        return flags.astype(np.float64)
    words = [text for text in texts if text.casefold() in WORDS_FOR_MISSING]
    rest = [text for text in texts if text.casefold() not in WORDS_FOR_MISSING]
    commas = [text for text in rest if _COMMA_NUMBER.fullmatch(text)]
    points = [text for text in rest if _NUMBER.fullmatch(text)]
    # A single word makes a column of categories, however many numbers it holds.
    if not rest or len(commas) + len(points) < len(rest):
        return column
    name = column.name
    if words:
        raise ValueError(
            f"{where}column {name!r} holds numbers, and the text {words[0]!r} in {len(words)} "
            f"row(s), first at row {_first(column, words[0])}. Only empty cells are missing: if it "
            f"means 'not measured', pass na_values={{{name!r}: [{words[0]!r}]}}."
        )
    if commas:
        fractions = [text for text in points if "." in text]
        thousands = [text for text in commas if _THOUSANDS.fullmatch(text)]
        if fractions or (decimal is None and len(thousands) == len(commas)) or decimal == ".":
            example = f"{commas[0]!r} and {fractions[0]!r}" if fractions else f"{commas[0]!r}"
            raise ValueError(
                f"{where}column {name!r} holds {example}, first at row {_first(column, commas[0])}"
                ": a decimal comma or a mark of thousands? Write one decimal sign, or say which "
                "it is with decimal=','."
            )
    return column.map(
        lambda v: float(v.strip().replace(",", ".")) if isinstance(v, str) else np.nan
    ).astype(np.float64)


def _first(column: pd.Series, text: str) -> int:
    rows = [i for i, v in enumerate(column.tolist()) if isinstance(v, str) and v.strip() == text]
    return rows[0]
