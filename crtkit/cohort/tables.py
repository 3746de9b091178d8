"""Tables of records from CSV, Excel and Parquet files: read with certainty, or refused by line.

A spreadsheet's idea of a table is guessed nowhere. What can be told apart for certain (separator,
byte order mark, decimal comma) is read; what cannot is refused, with its cause and the option that
says it.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from crtkit._io import import_optional
from crtkit._labels import patient_text
from crtkit.cohort.columns import refuse_repeated, settle

SEPARATORS = (",", ";", "\t", "|")
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
#: Attributes of a workbook's cell with a formula and no value, or an empty one.
_BARE_FORMULA = re.compile(
    rb"<c\b([^>]*)>\s*<f\b[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>"
)


def read_table(
    path: str | os.PathLike[str],
    *,
    as_text: Sequence[str] = (),
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na_values: Mapping[str, Iterable[Any]] | Iterable[Any] | None = None,
) -> pd.DataFrame:
    """Read a table with a header; only empty cells are missing.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.tsv`` or ``.txt`` (text), ``.xlsx`` (its only sheet) or ``.parquet``.
    as_text : sequence of str
        Columns that are read as text: 001 is not 1.
    sep : str, optional
        Separator; told from the header and the number of fields in each row by default.
    decimal : {".", ","}, optional
        Decimal sign; told from the cells by default.
    encoding : str, optional
        UTF-8, or UTF-16 by its mark, by default.
    na_values : mapping of column to values, or values, optional
        Texts and codes that mean "not measured", such as ``{"lvef": [-1, 999]}`` or ``["NA"]``.

    Returns
    -------
    DataFrame

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file cannot be told apart for certain; the message names line, cause and remedy.
    ImportError
        The package that reads this format is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"The manifest {path} is not a file: it does not exist.")
    # Opening a pipe would wait for somebody to write to it.
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileNotFoundError(f"The manifest {path} is not a file.")
    suffix = path.suffix.lower()
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', got {decimal!r}.")
    if suffix in TEXT_SUFFIXES:
        table = _read_text(path, as_text, sep, encoding)
    elif suffix == ".xlsx":
        table = _read_excel(path, as_text)
    elif suffix == ".parquet":
        table = _read_parquet(path)
    else:
        raise ValueError(
            f"A manifest is .csv, .tsv, .xlsx or .parquet, got {path.name!r}. Save it as one."
        )
    refuse_repeated(table.columns, f"The manifest {path}")
    return settle(
        table, as_text=as_text, decimal=decimal, na_values=na_values, where=f"{path.name}: "
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    import_optional("pyarrow", extra="parquet", purpose="Reading Parquet")
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow and pandas raise whatever damaged metadata lead to
        raise ValueError(f"The manifest {path} cannot be read: {error}") from error


def _read_excel(path: Path, as_text: Sequence[str]) -> pd.DataFrame:
    """The only sheet of a workbook that holds anything, with its header in the first row."""
    openpyxl = import_optional("openpyxl", extra="excel", purpose="Reading .xlsx")
    try:
        # Opened here: openpyxl leaves a file open that it reads sheet by sheet.
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: _cells(sheet) for sheet in book}
    except Exception as error:  # openpyxl raises whatever its XML and ZIP readers stumble over
        raise ValueError(f"The manifest {path} cannot be read as a workbook: {error}") from error
    full = {title: rows for title, rows in sheets.items() if any(map(_any_cell, rows))}
    if len(full) != 1:
        raise ValueError(
            f"The manifest {path} has {len(full)} sheets with cells, {list(full)[:5]}; one is "
            "expected. Save the one sheet as a workbook of its own, or as .csv."
        )
    _check_computed(path)
    rows = [(i, row) for i, row in enumerate(next(iter(full.values())), start=1) if _any_cell(row)]
    width = max(max(i for i, cell in enumerate(row) if cell not in (None, "")) for _, row in rows)
    (_, header), body = rows[0], [(i, row[: width + 1]) for i, row in rows[1:]]
    names = ["" if name is None else str(name).strip() for name in header[: width + 1]]
    names += [""] * (width + 1 - len(names))
    frame = _frame(path, names, body)
    for name in set(as_text) & set(frame):
        dates = [cell for cell in frame[name] if isinstance(cell, date)]
        if dates:
            raise ValueError(
                f"The manifest {path}: column {name!r} holds {len(dates)} date(s), such as "
                f"{dates[0]:%Y-%m-%d}: a spreadsheet turns identifiers like 3-4 into dates. Format "
                "the column as text, and enter them again."
            )
        # Spreadsheets keep identifiers of digits as numbers.
        frame[name] = [None if pd.isna(cell) else patient_text(cell) for cell in frame[name]]
    return frame


def _check_computed(path: Path) -> None:
    """Refuse formulas whose values the file lacks: they would be read as missing."""
    with zipfile.ZipFile(path) as file:
        parts = [name for name in file.namelist() if name.startswith("xl/worksheets/")]
        cells = [cell for name in parts for cell in _BARE_FORMULA.findall(file.read(name))]
    # A formula whose value is an empty text, such as IF(A1="","",A1), has been computed.
    lacking = [cell for cell in cells if b't="str"' not in cell]
    if lacking:
        at = re.search(rb'\br="([A-Z]+[0-9]+)"', lacking[0])
        first = f", the first in {at[1].decode()}" if at else ""
        raise ValueError(
            f"The manifest {path} holds {len(lacking)} formula(s) without values{first}: the "
            "program that wrote it has not computed them. Open it in a spreadsheet and save it, or "
            "save it as .csv."
        )


def _cells(sheet: Any) -> list[list[Any]]:
    """Rows of a sheet, as far as each of them holds something."""
    # What a sheet says of its own size may be wrong: rows beyond it would be left out silently.
    sheet.reset_dimensions()
    rows = []
    for row in sheet.iter_rows(values_only=True):
        width = max((i for i, cell in enumerate(row, 1) if cell is not None), default=0)
        rows.append(list(row[:width]))
    return rows


def _any_cell(row: Sequence[Any]) -> bool:
    return any(cell is not None and str(cell).strip() for cell in row)


def _read_text(
    path: Path, as_text: Sequence[str], sep: str | None, encoding: str | None
) -> pd.DataFrame:
    text = _decode(path, encoding)
    if not text.strip():
        raise ValueError(f"The manifest {path} cannot be read: it is empty.")
    first, _, rest = text.partition("\n")
    hint = re.fullmatch(r'"?sep=(.)"?\s*', first)
    if hint is not None:  # a first line by which spreadsheets tell each other
        text, sep = f"\n{rest}", sep or hint[1]
    if sep is not None and len(sep) != 1:
        raise ValueError(f"sep must be one character, got {sep!r}.")
    parsed = {s: _records(path, text, s) for s in ([sep] if sep else SEPARATORS)}
    if not all(parsed.values()):
        raise ValueError(f"The manifest {path} cannot be read: no line holds anything.")
    sep = sep or _separator(path, parsed)
    (_, header), *rows = parsed[sep]
    names = [name.strip() for name in header]
    if len(names) > 1 and not names[-1] and all(len(row) == len(names) - 1 for _, row in rows):
        names.pop()  # the header alone ends with a separator
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(_why_uneven(path, line, row, names, sep))
    frame = _frame(path, names, rows)
    # Written out again for pandas, whose parser of numbers other tables were read with.
    written = io.StringIO()
    frame.to_csv(written, index=False)
    written.seek(0)
    text_columns = {name: str for name in as_text if name in frame}
    # The whole at once: by parts, pandas would give one column numbers and text beside each other.
    return pd.read_csv(
        written, dtype=text_columns, keep_default_na=False, na_values=[""], low_memory=False
    )


def _decode(path: Path, encoding: str | None) -> str:
    data = path.read_bytes()
    if encoding is None:
        encoding = "utf-8-sig"
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ValueError(f"encoding={encoding!r} is unknown: {error}.") from error
    except UnicodeDecodeError as error:
        line, name = data.count(b"\n", 0, error.start) + 1, encoding.removesuffix("-sig").upper()
        raise ValueError(
            f"The manifest {path} is not {name}: line {line} holds the byte "
            f"0x{data[error.start]:02x}. Save it as UTF-8, or name its encoding "
            "(encoding='cp1252' is that of older spreadsheets in Western Europe)."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"The manifest {path} holds NUL characters: it is not text, or UTF-16 without its mark "
            "(encoding='utf-16-le')."
        )
    return text


def _records(path: Path, text: str, sep: str) -> list[tuple[int, list[str]]]:
    """Line number and fields of each row that holds anything."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=False)
    out, line = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                out.append((line, row))
            last, line = line, reader.line_num + 1
        # A quoted cell that is open at the end of the file has swallowed the rows behind it.
        if out and line - last > 1 and _ends_quoted(text, last, sep):
            raise ValueError(
                f"The manifest {path}, line {last}: a quotation mark is opened and not closed, so "
                f"that {line - last - 1} line(s) would become part of one cell. Close it."
            )
    except csv.Error as error:
        raise ValueError(
            f"The manifest {path} cannot be read, line {reader.line_num}: {error}."
        ) from error
    return out


def _ends_quoted(text: str, line: int, sep: str) -> bool:
    """Whether the rows from a line on end inside of a quoted cell."""
    lines = text.splitlines(keepends=True)[line - 1 :]
    try:
        for _ in csv.reader(io.StringIO("".join(lines), newline=""), delimiter=sep, strict=True):
            pass
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def _separator(path: Path, parsed: Mapping[str, list[tuple[int, list[str]]]]) -> str:
    """The one separator that occurs in the header, or that gives rows of one length."""
    several = [s for s, rows in parsed.items() if len(rows[0][1]) > 1]
    if not several:
        return ","  # one column
    even = [s for s in several if len({len(row) for _, row in parsed[s]}) == 1]
    if len(several) == 1 or len(even) == 1:
        return several[0] if len(several) == 1 else even[0]
    raise ValueError(
        f"The manifest {path} can be read with the separators {even or several}: say which with "
        "sep=."
    )


def _why_uneven(path: Path, line: int, row: list[str], names: list[str], sep: str) -> str:
    more = len(row) > len(names)
    cause = "a cell is missing, or a quotation mark is not closed"
    if more and not row[-1].strip():
        cause = "the row ends with a separator that the header lacks"
    elif more:
        cause = "a cell holds the separator and is not quoted"
        if sep == ",":
            cause += "; a decimal comma does that"
    return (
        f"The manifest {path}, line {line}: {len(row)} fields, but the header has {len(names)} "
        f"({cause}). Columns would shift. Correct the file, or say how it is written with sep= "
        "and decimal=."
    )


def _frame(path: Path, names: list[str], rows: list[tuple[int, list[Any]]]) -> pd.DataFrame:
    """Table of named columns; nameless ones that hold nothing, or the row number, are left out."""
    refuse_repeated([name for name in names if name], f"The manifest {path}")
    columns: dict[str, list[Any]] = {}
    for i, name in enumerate(names):
        cells = [_blank_is_missing(row[i]) if i < len(row) else None for _, row in rows]
        if not name:
            if not _any_cell(cells) or _counts_rows(cells):
                continue  # pandas and R write the number of the row in a column without a name
            raise ValueError(
                f"The manifest {path}: column {i + 1} holds cells but has no name in the header. "
                "Name it, or leave it out."
            )
        columns[name] = cells
    return pd.DataFrame(columns, index=range(len(rows)), dtype=object)


def _blank_is_missing(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell


def _counts_rows(cells: list[Any]) -> bool:
    texts = [str(cell).strip() for cell in cells]
    return any(texts == [str(i + first) for i in range(len(texts))] for first in (0, 1))
