"""ECGs in text tables: a row per sample, a column per lead."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from crtkit.readers.calibration import whole_rate
from crtkit.readers.ecg import ECG
from crtkit.readers.stated import Stated, ecg_of_array
from crtkit.readers.wfdb_header import decode_text

# An hour of twelve leads at 500 Hz; text takes ten times its size while it is parsed.
_LARGEST = 60_000_000
# "I (uV)", "V1 [mV]", "time_ms": a name, and the unit behind it.
_UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(_]\s*(?P<unit>mV|uV|µV|μV|nV|V|ms|us|s)\s*[\])]?$")
_TIME = {"time", "t", "zeit", "seconds", "milliseconds"}
_INDEX = {"", "sample", "samples", "index", "n", "#", "unnamed: 0"}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_COMMENT = re.compile(r"#\s*(fs|sampling_rate|unit)\s*[:=]\s*(\S+)", re.IGNORECASE)


def read_csv_table(path: Path, stated: Stated) -> ECG:
    """Read a text table: a header of lead names, then a row per sample.

    Parameters
    ----------
    path : Path
        Separated by commas, semicolons or tabs (with semicolons and tabs, decimal commas are
        read). Lines before the header may say ``# fs: 500`` and ``# unit: mV``. Column names may
        carry their unit: ``I (uV)``. A column ``time`` (``time_ms``) gives the rate; one called
        ``sample`` or ``index`` is left out. An empty cell is a missing sample.
    stated : Stated
        What the table does not say. Without a header, ``lead_names`` are those of the columns.

    Returns
    -------
    ECG

    Raises
    ------
    ValueError
        Rate, unit or leads are not known; rows of several lengths; cells that are not numbers; a
        time column whose steps differ.
    """
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path.name} is larger than {_LARGEST / 1e6:g} MB.")
    text = decode_text(path.read_bytes())
    said, start = _comments(text)
    first = text[start:].partition("\n")[0].strip("\r")
    separator = max(",;\t", key=first.count)
    columns = [cell.strip().strip('"') for cell in first.split(separator)]
    has_header = any(_is_text(cell) for cell in columns)
    table = _numbers(text, start, separator, len(columns), has_header, path)
    if not has_header:
        return ecg_of_array(
            table, stated.or_file(said["fs"], said["unit"], None, path), "csv", path
        )
    names, units, leads, fs = [], set(), [], said["fs"]
    for column, values in zip(columns, table):
        match = _UNIT.match(column)
        name, unit = (match["name"].strip(), match["unit"]) if match else (column, None)
        if name.lower() in _INDEX:
            continue
        if name.lower() in _TIME and (unit is None or unit in _SECONDS):
            fs = _rate(values * _SECONDS.get(unit or "s", 1.0), path)
            continue
        names.append(name)
        units.add(unit)
        leads.append(values)
    if len(units) > 1:
        raise ValueError(
            f"{path.name} has leads in {sorted(map(str, units))}; one unit is expected."
        )
    if not leads:
        raise ValueError(f"{path.name} has no column of a lead; its columns are {columns}.")
    unit = units.pop() or said["unit"]
    return ecg_of_array(np.stack(leads), stated.or_file(fs, unit, names, path), "csv", path)


def _comments(text: str) -> tuple[dict, int]:
    """Rate and unit of the lines before the table, and where it begins."""
    said: dict = {"fs": None, "unit": None}
    start = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.startswith("#"):
            break
        match = _COMMENT.match(line)
        if match and match[1].lower() == "unit":
            said["unit"] = match[2]
        elif match and not _is_text(match[2]):
            said["fs"] = float(match[2].replace(",", "."))
        start += len(line)
    return said, start


def _is_text(cell: str) -> bool:
    try:
        float(cell.replace(",", ".") or "nan")
    except ValueError:
        return True
    return False


def _numbers(text, start, separator, n_columns, has_header, path: Path) -> np.ndarray:
    """Columns of the table as rows of an array."""
    import io

    import pandas as pd

    body = text[start:]
    if has_header:
        body = body.partition("\n")[2]
    decimal = "," if separator != "," and "," in body[:10_000] else "."
    _check_widths(body, separator, n_columns, path)
    try:
        with warnings.catch_warnings():
            # pandas cuts rows that are too long, and only warns of it.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(body.rstrip()), sep=separator, header=None,
                names=list(range(n_columns)), index_col=False, decimal=decimal,
                dtype=np.float64, skipinitialspace=True, skip_blank_lines=False,
            )  # fmt: skip
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path.name} is not a table of numbers: {error}") from error
    if not len(table):
        raise ValueError(f"{path.name} has no rows of samples below its header.")
    if np.isinf(table.to_numpy()).any():
        raise ValueError(f"{path.name} holds infinite samples; leave missing ones empty.")
    return table.to_numpy().T


def _check_widths(body: str, separator: str, n_columns: int, path: Path) -> None:
    """Refuse a row that is shorter than the header, which pandas would fill up with NaN."""
    # Of one column, an empty line is a missing sample, and keeps its place in time.
    if n_columns == 1:
        return
    for number, row in enumerate(body.rstrip().split("\n"), start=1):
        n_cells = row.count(separator) + 1
        if n_cells < n_columns:
            raise ValueError(
                f"{path.name} is not a table of numbers: row {number} of its samples has {n_cells} "
                f"cell(s), the first line {n_columns}. Leave a missing sample's cell empty, with "
                "its separator."
            )


def _rate(seconds: np.ndarray, path: Path) -> float:
    steps = np.diff(seconds)
    step = float(np.median(steps)) if len(steps) else float("nan")
    if not step > 0 or np.abs(steps - step).max() > 0.5 * step:
        raise ValueError(f"{path.name} has a time column whose steps differ, or do not increase.")
    # From the first to the last sample: single times are rounded.
    return whole_rate(len(steps) / float(seconds[-1] - seconds[0]))
