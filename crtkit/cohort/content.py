"""What cells hold, wherever it lies: digests of arrays, rows, files and values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import is_path
from crtkit.cohort.cells import identity, split_part
from crtkit.cohort.rows import Rows, is_row_cell

# Signal files of a WFDB header; the header's digest alone would not tell two recordings apart.
_WFDB_DATA = (".dat", ".mat")
_VALUES = (Number, str, os.PathLike, bytes, date, timedelta, np.generic, type(None))


def column_content(cells: Sequence[Any] | np.ndarray) -> Iterator[Any]:
    """Cells of one column for :func:`update_digest`; rows of files as arrays.

    The header of each file is read and checked once for the column, not for every cell.

    Parameters
    ----------
    cells : sequence or ndarray of object
        Of a column.

    Yields
    ------
    object
        One for each cell, in order.
    """
    rows = None
    if all(map(is_row_cell, cells)):
        # Files whose rows differ in shape make no Rows together, but have content all the same.
        with suppress(ValueError):
            rows = Rows.from_cells(cells)
    for i, cell in enumerate(cells):
        yield cell if rows is None else np.asarray(rows[i])


def update_digest(digest: Any, cell: Any, where: str = "a cell") -> None:
    """Add the content of one cell to a digest.

    Parameters
    ----------
    digest : hashlib object
    cell : array-like, path, ``file.npy#row`` or value
        An array, tensor, Series or list counts by shape, dtype and values; a file by its bytes.
    where : str
        For the message.

    Raises
    ------
    ValueError
        The cell is an object without content that could be compared, such as a generator.

    Examples
    --------
    >>> import hashlib
    >>> import pandas as pd
    >>> from crtkit.cohort.content import update_digest
    >>> a, b = hashlib.sha256(), hashlib.sha256()
    >>> update_digest(a, pd.Series([0.0, 1.0])); update_digest(b, [0.0, 1.0])
    >>> a.hexdigest() == b.hexdigest()
    True
    """
    if is_row_cell(cell):
        _update_array(digest, Rows.from_cells([cell])[0])
    elif is_path(cell):
        files, part = _files(os.fspath(cell))
        if part:  # a page of a file is that page, wherever the file lies
            digest.update(f"\0{part}".encode())
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        if not files:
            digest.update(f"\0{cell}".encode())
    elif cell is None or cell is pd.NA or cell is pd.NaT:
        digest.update(b"\0nan")  # one missing cell is as another
    elif isinstance(cell, _VALUES):
        digest.update(f"\0{cell!s}".encode())
    elif isinstance(cell, Mapping):
        for key in sorted(cell, key=repr):
            digest.update(f"\0{key!r}\0".encode())
            update_digest(digest, cell[key], where)
    else:
        array = as_content(cell)
        if array is not None:
            _update_array(digest, array)
            return
        text = repr(cell)
        # An address differs from run to run, and an abridged text hides what it leaves out.
        if " at 0x" in text or "..." in text:
            raise ValueError(
                f"{where} holds {type(cell).__name__} objects, whose content cannot be compared. "
                "Store arrays, paths or values."
            )
        digest.update(f"\0{text}".encode())


def as_content(cell: Any) -> np.ndarray | None:
    """Array of a cell that is array-like; None where it is neither numbers nor text."""
    if hasattr(cell, "detach"):  # a tensor, which may be on a device or need a gradient
        cell = cell.detach().cpu()
        cell = cell.float() if str(cell.dtype) == "torch.bfloat16" else cell
    like = hasattr(cell, "__array__") or hasattr(cell, "__array_interface__")
    if not (like or isinstance(cell, (Sequence, set, frozenset))):
        return None
    try:
        array = np.asarray(sorted(cell) if isinstance(cell, (set, frozenset)) else cell)
    except (TypeError, ValueError):
        return None
    if array.dtype != object:
        return array
    # Mixed values: by their text, where all of them have one.
    flat = array.ravel().tolist()
    return np.array([repr(v) for v in flat]) if all(isinstance(v, _VALUES) for v in flat) else None


def _update_array(digest: Any, array: np.ndarray) -> None:
    digest.update(f"{array.shape}{array.dtype}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def _signal_files(header: str) -> list[str]:
    """Files that the lines of a WFDB header name, which need not be called as the header is."""
    stem, folder = header.removesuffix(".hea"), os.path.dirname(header)
    named = [stem + suffix for suffix in _WFDB_DATA]
    with open(header, encoding="utf-8", errors="replace") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    # File names stand first; some converters leave their suffix out.
    for name in dict.fromkeys(words[0] for words in lines[1:] if words):
        named += [os.path.join(folder, name + suffix) for suffix in ("", *_WFDB_DATA)]
    return [name for name in dict.fromkeys(named) if os.path.isfile(name)]


def _files(cell: str) -> tuple[list[str], str]:
    """Files behind a path (of a WFDB record, header and signals), and the part that it names."""
    record = identity(cell)
    if record.endswith(".hea") and os.path.isfile(record):
        return [record, *_signal_files(record)], ""
    if os.path.isfile(cell):
        return [cell], ""
    file, part = split_part(cell)
    return ([file], part) if part and os.path.isfile(file) else ([], "")
