"""The map column of a manifest: polar maps in ``.npy`` files, as cells of a cohort."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from crtkit.cohort.cells import file_name, listed, store_arrays
from crtkit.cohort.rows import Rows, is_row_cell, read_npy_header


def read_maps(cells: list[str], cache_dir: str | os.PathLike[str] | None, name: str) -> list[Any]:
    """Cells of a column of polar maps: rows of files stay, files of one map each are read.

    Parameters
    ----------
    cells : list of str
        ``file.npy#row``, or files that hold one map (height, width) or (n_pixels,) each.
    cache_dir : path or None
        As in :func:`crtkit.cohort.cells.store_arrays`, for maps above some 100 MB together.
    name : str
        Stem of that file.

    Returns
    -------
    list of ndarray or of str

    Raises
    ------
    ValueError
        Cells of both kinds, a file that is no ``.npy`` file of one map, or maps of several shapes;
        every bad file is listed.
    """
    rows = sum(is_row_cell(cell) for cell in cells)
    if rows == len(cells):
        Rows.from_cells(cells)  # names what cannot be read by rows
        return cells
    if rows:
        raise ValueError(
            f"The map column mixes {rows} 'file.npy#row' cell(s) with {len(cells) - rows} file(s) "
            "of one map each; give one kind."
        )
    problems: list[str] = []
    shapes: dict[tuple[int, ...], str] = {}
    dtypes: list[np.dtype] = []
    for cell in cells:
        try:
            shape, dtype = _kind_of_map(cell)
        except ValueError as error:
            problems.append(str(error))
        else:
            shapes.setdefault(shape, cell)
            dtypes.append(dtype)
    if len(shapes) > 1:
        examples = "; ".join(f"{shape} in {cell}" for shape, cell in list(shapes.items())[:3])
        problems.append(f"the maps have {len(shapes)} shapes ({examples}): bring them to one")
    if problems:
        raise ValueError(f"{len(problems)} problem(s) with the maps:{listed(problems)}")
    # Headers were checked above, so that nothing is read twice and memory stays bounded.
    dtype = np.result_type(*dtypes)  # what stacking them would make
    maps = (np.load(cell, allow_pickle=False).astype(dtype, copy=False) for cell in cells)
    return store_arrays(maps, cache_dir, f"{file_name(cells, name)}-maps")


def _kind_of_map(cell: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a file of one map."""
    if not cell.lower().endswith(".npy"):
        raise ValueError(
            f"{cell}: polar maps are read from .npy files. Make them from gated DICOM studies with "
            "crtkit.spect (read_gated_spect, sample_polar_maps, PhaseAnalysis) and numpy.save"
        )
    shape, dtype, _ = read_npy_header(cell)
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(
            f"{cell} has shape {shape}; one map (height, width) or (n_pixels,) per file is "
            "expected. Rows of a file of many maps are cells 'file.npy#row'"
        )
    return shape, dtype
