"""What cells of a table name, and the file that many arrays are stored in."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.cohort.rows import is_row_cell, spill, split_cell
from crtkit.cohort.temporary import temporary_folder

# "exams.h5#7" is record 7 of a file of many, "report.pdf#page=2" its second page.
_PART = re.compile(
    r"(?:(?:(?<=\.h5)|(?<=\.hdf)|(?<=\.hdf5))#|(?<=\.pdf)#page=)([0-9]+)$", re.IGNORECASE
)

# Above this a column of arrays goes to a file: joblib would pickle it whole to every worker.
SPILL_BYTES = 100_000_000


def listed(items: list[str]) -> str:
    """The first ten, a line each, and how many more there are."""
    more = [f"… and {len(items) - 10} more"] if len(items) > 10 else []
    return "".join(f"\n  {item}" for item in [*items[:10], *more])


def as_objects(cells: Sequence[Any]) -> np.ndarray:
    """Column of cells, each kept whole: numpy would stack arrays of one shape."""
    column = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        column[i] = cell
    return column


def exists(cell: str) -> bool:
    """Whether the file behind a cell is there."""
    # A row that is no number is told where rows are read.
    path = cell.rpartition("#")[0] if is_row_cell(cell) else split_part(cell)[0]
    # WFDB records are named without a suffix, by their header.
    return os.path.isfile(path) or os.path.isfile(f"{path}.hea")


def split_part(cell: str) -> tuple[str, str]:
    """File of a cell, and the part of it that the cell names (``"#7"``, ``"#page=2"``), if any.

    Examples
    --------
    >>> from crtkit.cohort.cells import split_part
    >>> split_part("exams.h5#07"), split_part("a#1.jpg")
    (('exams.h5', '#7'), ('a#1.jpg', ''))
    """
    if is_row_cell(cell):
        path, row = split_cell(cell)
        return path, f"#{row}"
    part = _PART.search(cell)
    if part is None:
        return cell, ""
    mark, number = part[0][: -len(part[1])], int(part[1])
    return cell[: part.start()], f"{mark}{number}"


def identity(cell: str) -> str:
    """The record behind a cell: links followed, a WFDB record's header for any of its files."""
    path, part = split_part(cell)
    path = os.path.realpath(path)
    if part:
        return f"{path}{part}"
    stem, suffix = os.path.splitext(path)
    for header in (path, f"{path}.hea", f"{stem}.hea" if suffix in (".dat", ".mat") else ""):
        if header.endswith(".hea") and os.path.isfile(header):
            return header
    return path


def file_name(cells: Sequence[str], name: str, options: Any = None) -> str:
    """A name for each reading of cells: a file behind a living cohort must not be replaced.

    Parameters
    ----------
    cells : sequence of str
    name : str
        That it begins with.
    options : object, optional
        How the cells are read, told apart by its ``repr``.
    """
    stamps = [(cell, _stamp(cell)) for cell in cells]
    key = hashlib.sha256(repr((stamps, options)).encode()).hexdigest()[:12]
    return f"{name}-{key}"


def _stamp(cell: str) -> tuple[int, int]:
    try:
        status = os.stat(split_part(identity(cell))[0])
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def store_arrays(
    arrays: Iterable[np.ndarray], cache_dir: str | os.PathLike[str] | None, name: str
) -> list[Any]:
    """Cells for arrays of one shape: the arrays themselves, or rows of a file where they are many.

    Parameters
    ----------
    arrays : iterable of ndarray
        Of one shape and dtype; taken one by one.
    cache_dir : path or None
        Folder for the file; None makes a temporary one, removed when the process ends, or at the
        next start where it was killed.
    name : str
        Stem of the file.

    Returns
    -------
    list of ndarray or of str
    """
    arrays, held, n_bytes = iter(arrays), [], 0
    for array in arrays:
        held.append(array)
        n_bytes += array.nbytes
        if n_bytes > SPILL_BYTES:
            break
    else:
        return held
    folder = Path(cache_dir) if cache_dir is not None else temporary_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return list(spill(itertools.chain(held, arrays), folder / f"{name}.npy"))
