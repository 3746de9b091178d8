"""One record under two patients: compared by what the cells hold, not by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import is_path
from crtkit._labels import patient_text
from crtkit.cohort.cohort import MODALITIES, Cohort
from crtkit.cohort.content import as_content, update_digest
from crtkit.cohort.rows import Rows, is_row_cell


def shared_records(cohort: Cohort, other: Cohort | None = None) -> pd.DataFrame:
    """Records that occur under two patients, by the content of signals, pages and maps.

    A split by patient keeps such a record on both sides: the model is tested on what it was fitted
    on. Arrays are equal where their values are, in single precision; files where their bytes are.
    Recordings that were resampled, cropped or scanned again are other content:
    :func:`crtkit.evaluation.check_pool` looks for pages that only look alike.

    Parameters
    ----------
    cohort : Cohort
    other : Cohort, optional
        Compare with the records of this cohort, whoever their patients are, instead of with the
        cohort's own.

    Returns
    -------
    DataFrame
        One row per record that equals an earlier one: ``column``, ``row`` and ``patient`` of the
        record, ``other_row`` and ``other_patient`` of the first one like it. Empty where every
        record is its patient's alone. Cells of one constant value have no content and are left
        out.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from crtkit import Cohort
    >>> from crtkit.cohort import shared_records
    >>> rng = np.random.default_rng(0)
    >>> first, second = rng.normal(size=(2, 12, 500))
    >>> X = pd.DataFrame({"signal": [first, second, first.copy()]})
    >>> shared_records(Cohort(X, [0, 1, 0], ["a", "b", "c"]))
       column  row patient  other_row other_patient
    0  signal    2       c          0             a
    """
    rows: list[dict[str, Any]] = []
    for column in MODALITIES:
        if column not in cohort.X or (other is not None and column not in other.X):
            continue
        seen: dict[bytes, int] = {}
        if other is not None:
            for row, mark in _marks(other.X[column]):
                seen.setdefault(mark, row)
        # In another cohort every equal record counts, under the same identifier as well.
        whose = (cohort if other is None else other).groups
        for row, mark in _marks(cohort.X[column]):
            # The first row with this content stands for it; later ones are reported against it.
            first = seen.setdefault(mark, row) if other is None else seen.get(mark)
            if first is None or (other is None and _same(whose[first], cohort.groups[row])):
                continue
            rows.append(
                {
                    "column": column,
                    "row": row,
                    "patient": cohort.groups[row],
                    "other_row": first,
                    "other_patient": whose[first],
                }
            )
    return pd.DataFrame(rows, columns=["column", "row", "patient", "other_row", "other_patient"])


def refuse_shared_records(cohort: Cohort, name: str = "The cohort") -> None:
    """Refuse a cohort in which one record stands under two patients.

    Raises
    ------
    ValueError
        The first such records are named with their patients.
    """
    table = shared_records(cohort)
    if len(table):
        first = table.iloc[0]
        raise ValueError(
            f"{name} holds {len(table)} record(s) under two patients: the {first['column']} of row "
            f"{first['row']} (patient {first['patient']!r}) equals that of row "
            f"{first['other_row']} (patient {first['other_patient']!r}). A split by patient would "
            "put one on each side. Give both one patient, or leave one out; "
            "crtkit.cohort.shared_records lists them all."
        )


def _same(a: Any, b: Any) -> bool:
    return patient_text(a) == patient_text(b)


def _marks(cells: pd.Series) -> Iterator[tuple[int, bytes]]:
    """Row and digest of every cell that has content."""
    values = cells.to_numpy(dtype=object)
    rows = Rows.from_cells(values) if all(map(is_row_cell, values)) else None
    for row, cell in enumerate(values):
        array = rows[row] if rows is not None else None if is_path(cell) else as_content(cell)
        digest = hashlib.sha256()
        if array is None and not is_path(cell):
            continue
        if array is None:
            update_digest(digest, cell)
        # Constant arrays, a blank page or a lead that was off, equal one another for no reason.
        elif array.dtype.kind in "biuf" and array.size > 1 and not _constant(array):
            # The same recording may be kept in two precisions.
            single = np.ascontiguousarray(array, dtype=np.float32)
            digest.update(f"{array.shape}".encode())
            digest.update(single.tobytes())
        else:
            continue
        yield row, digest.digest()


def _constant(array: np.ndarray) -> bool:
    known = array[~np.isnan(array)] if array.dtype.kind == "f" else array
    return bool(known.size == 0 or (known == known.flat[0]).all())
