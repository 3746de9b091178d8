"""Figures in the sentences of the documentation, read from the committed results.

Nobody types a result into a page. A page names the file under ``benchmarks/results``, what picks
the row, and the column; Sphinx puts the figure there, and the build fails where it is not found::

    The network has an AUC of :result:`he2023_simulated/table2.csv | ResNet-18 | AUC`, and
    :count:`mitbih_transfer/transfer_S.csv | transfer = helps` comparisons lie above zero.
    Fine-tunings reach :range:`lvsd2026_simulated/table2.csv | ECG-FM, own* | AUROC, average`.

Rows are picked by the text of any of their cells (``*`` at the end: by its beginning), entries of
JSON by their keys. Of "0.786 ± 0.091" and "0.592 (0.407 to 0.754)" the first figure is taken. A
format may stand behind ``@``: ``@ .2f``, ``@ .0%``, ``@ whole`` for the cell as it is.
"""

import csv
import json
import operator
import re
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FIGURE = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
COMPARE = {"<": operator.lt, ">": operator.gt, "=": operator.eq}


def result(text, root=RESULTS):
    """One figure: ``file | row | ... | column``, perhaps with ``@ format``.

    Examples
    --------
    >>> from benchmarks.prose import result
    >>> result("qrs_real_ptbxl.csv | paced | n_label")
    '26'
    """
    place, _, form = (part.strip() for part in text.partition(" @ "))
    where = _parts(place)
    rows = _found(where[:-1], root)
    if isinstance(rows, list):
        if len(rows) != 1:
            raise ValueError(f"{text!r} names {len(rows)} rows, not one.")
        rows = rows[0]
    return _shown(_cell(rows, where[-1], text), form)


def count(text, root=RESULTS):
    """How many rows meet a condition, "9 of 12": ``file | row | ... | column > value``.

    Examples
    --------
    >>> from benchmarks.prose import count
    >>> count("qrs_real_ptbxl.csv | sensitivity > 0.9")
    '2 of 5'
    """
    *where, condition = _parts(text)
    found = re.fullmatch(r"(.+?) ([<>=]) (.+)", condition)
    if not found:
        raise ValueError(f"{text!r} does not end in a condition such as 'column > 0'.")
    column, sign, value = found.groups()
    rows = _found(where, root)
    cells = [_cell(row, column, text) for row in rows]
    if sign == "=":
        met = [str(cell) == value for cell in cells]
    else:
        met = [COMPARE[sign](_number(cell), float(value)) for cell in cells]
    return f"{sum(met)} of {len(met)}"


def span(text, root=RESULTS):
    """Least and largest figure of some rows, "0.439 to 0.565".

    Examples
    --------
    >>> from benchmarks.prose import span
    >>> span("qrs_real_ptbxl.csv | n_label")
    '26 to 58'
    """
    place, _, form = (part.strip() for part in text.partition(" @ "))
    *where, column = _parts(place)
    cells = [_cell(row, column, text) for row in _found(where, root)]
    least, largest = min(cells, key=_number), max(cells, key=_number)
    return f"{_shown(least, form)} to {_shown(largest, form)}"


ROLES = {"result": result, "count": count, "range": span}
ROLE = re.compile(f":({'|'.join(ROLES)}):`([^`]+)`")


def page_text(path, root=RESULTS):
    """Words of a page on one line, every figure in its place.

    Examples
    --------
    >>> from pathlib import Path
    >>> from benchmarks.prose import page_text
    >>> "accuracy of 0.974 on such a split" in page_text(Path("docs/studies/he2023.rst"))
    True
    """
    text = " ".join(Path(path).read_text(encoding="utf-8").split())
    return ROLE.sub(lambda found: ROLES[found[1]](found[2], root), text)


def _parts(text):
    return [part.strip() for part in text.split(" | ")]


def _found(where, root):
    """What the parts of a place lead to: a row, or a list of rows."""
    name, *keys = where
    path = Path(root) / name
    with path.open(encoding="utf-8", newline="") as file:
        found = json.load(file) if path.suffix == ".json" else list(csv.DictReader(file))
    for key in keys:
        if isinstance(found, dict):
            found = found[key]
        else:
            found = [row for row in found if any(_is(cell, key) for cell in row.values())]
        if found == []:
            raise ValueError(f"{name} has no row with a cell {key!r}.")
    return found


def _is(cell, key):
    return str(cell).startswith(key[:-1]) if key.endswith("*") else str(cell) == key


def _cell(row, column, text):
    if column not in row:
        raise ValueError(f"{text!r}: there is no column {column!r} but {', '.join(row)}.")
    return row[column]


def _number(cell):
    found = FIGURE.search(str(cell))
    if not found:
        raise ValueError(f"{cell!r} holds no figure.")
    return float(found[0].replace(",", ""))


def _shown(cell, form):
    if form == "whole":
        return str(cell)
    if form:
        return format(_number(cell), form).replace("%", "\u00a0%")
    text = FIGURE.search(str(cell))
    if not text:
        raise ValueError(f"{cell!r} holds no figure.")
    # Three decimals, as the tables of the pages have them; shorter figures as they stand.
    long = len(text[0].partition(".")[2]) > 3
    return f"{_number(cell):.3f}" if long else text[0].removesuffix(".0")
