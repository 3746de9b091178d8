"""Rows of ``.npy`` files, read one by one: how a cohort stays larger than memory.

A memory map would not do: the rows of a fold are never contiguous, so indexing a map copies the
fold, and pages that a worker touched count as its memory. Rows are therefore *read*.
"""

import math
import os
import re
import stat
import tokenize
import warnings
from pathlib import Path

import numpy as np

from crtkit._io import atomic_path, is_path

_ROW_CELL = re.compile(r"(?P<path>.+\.npy)#(?P<row>[^#/]*)", re.IGNORECASE | re.DOTALL)
# numpy's own headers have 128 bytes; a structured dtype of many fields is none of ours.
_LONGEST_HEADER = 10_000


def is_row_cell(cell):
    """Whether a cell names one row of a file, ``file.npy#row``."""
    return is_path(cell) and _ROW_CELL.fullmatch(os.fspath(cell)) is not None


def split_cell(cell):
    """Path and row of a cell ``file.npy#row``.

    Raises
    ------
    ValueError
        The cell is anything else, or its row is not a number.

    Examples
    --------
    >>> split_cell("/data/signals.npy#17")
    ('/data/signals.npy', 17)
    """
    match = _ROW_CELL.fullmatch(os.fspath(cell)) if is_path(cell) else None
    if match is None or not (match["row"].isascii() and match["row"].isdigit()):
        raise ValueError(f"Expected a cell 'file.npy#row' with a row counted from 0, got {cell!r}.")
    return match["path"], int(match["row"])


class Rows:
    """Lazy array of rows of ``.npy`` files.

    Behaves as an array where scikit-learn looks (``shape``, ``dtype``, ``ndim``, ``len``, slices,
    ``__array__``), and holds paths and row numbers only: pickling it is cheap, and a worker reads
    what it needs, block by block.

    Parameters
    ----------
    paths : sequence of str
        Distinct files, all with rows of one shape and dtype.
    file_index, row_index : ndarray of int, shape (n_records,)
        Which file and which row of it each record is.
    row_shape : tuple of int
    dtype : numpy dtype
        As stored; what is read has the machine's byte order.
    offsets : sequence of int
        Where the data of each file begins, in bytes.

    See Also
    --------
    Rows.from_cells : build from cells ``file.npy#row``.

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "signals.npy")
    >>> np.save(path, np.arange(12.0).reshape(4, 3))
    >>> rows = Rows.from_cells([f"{path}#3", f"{path}#0"])
    >>> rows.shape, rows[0]
    ((2, 3), array([ 9., 10., 11.]))
    """

    def __init__(self, paths, file_index, row_index, row_shape, dtype, offsets):
        # Workers, and callers after chdir, may be in another folder.
        self.paths = tuple(os.path.abspath(path) for path in paths)
        self.file_index = np.asarray(file_index, dtype=np.intp)
        self.row_index = np.asarray(row_index, dtype=np.intp)
        self.row_shape = tuple(row_shape)
        self._stored = np.dtype(dtype)
        # torch and LightGBM take no other byte order than the machine's.
        self.dtype = self._stored.newbyteorder("=")
        self.offsets = tuple(offsets)

    @classmethod
    def from_cells(cls, cells):
        """Rows from cells such as ``/data/signals.npy#17``.

        Raises
        ------
        ValueError
            A cell is not ``file.npy#row``, a row is out of range, or files disagree in the shape
            or dtype of their rows.
        """
        files: dict[str, tuple] = {}
        file_index: list[int] = []
        row_index: list[int] = []
        for cell in cells:
            path, row = split_cell(cell)
            if path not in files:
                files[path] = (len(files), *read_npy_header(path, by_rows=True))
            number, shape, _, _ = files[path]
            if row >= shape[0]:
                raise ValueError(f"{path} has {shape[0]} rows, but a cell asks for row {row}.")
            file_index.append(number)
            row_index.append(row)
        kinds = {(shape[1:], dtype) for _, shape, dtype, _ in files.values()}
        if len(kinds) != 1:
            listed = "; ".join(
                f"{path}: rows of {shape[1:]} {dtype}"
                for path, (_, shape, dtype, _) in list(files.items())[:5]
            )
            raise ValueError(f"All files of one column need rows of one shape and dtype: {listed}.")
        row_shape, dtype = kinds.pop()
        offsets = [offset for *_, offset in files.values()]
        return cls(files, file_index, row_index, row_shape, dtype, offsets)

    @property
    def shape(self):
        """(n_records, *row_shape)."""
        return (len(self.row_index), *self.row_shape)

    @property
    def ndim(self):
        """Number of axes, records included."""
        return 1 + len(self.row_shape)

    @property
    def nbytes(self):
        """Size of the whole array, if it were read."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self):
        return len(self.row_index)

    def __repr__(self):
        return f"Rows(shape={self.shape}, dtype={self.dtype}, {len(self.paths)} file(s))"

    def __getitem__(self, key):
        # scikit-learn's _safe_indexing asks for ``X[indices, ...]``.
        if isinstance(key, tuple):
            if len(key) == 2 and key[1] is Ellipsis:
                key = key[0]
            else:
                return np.asarray(self[key[0]])[(slice(None), *key[1:])]
        if isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            return self._read(np.array([key]))[0]
        index = np.arange(len(self))[np.asarray(key) if not isinstance(key, slice) else key]
        return Rows(
            self.paths,
            self.file_index[index],
            self.row_index[index],
            self.row_shape,
            self._stored,
            self.offsets,
        )

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Rows live in files; an array of them is always a copy.")
        out = self._read(np.arange(len(self)))
        return out if dtype is None else out.astype(dtype, copy=False)

    def _read(self, index):
        out = np.empty((len(index), *self.row_shape), dtype=self._stored)
        flat = out.reshape(len(index), -1) if out.size else out
        size = int(np.prod(self.row_shape, dtype=np.int64)) * self.dtype.itemsize
        for number in np.unique(self.file_index[index]):
            with open(self.paths[number], "rb", buffering=0) as file:
                for i in np.flatnonzero(self.file_index[index] == number):
                    file.seek(self.offsets[number] + int(self.row_index[index[i]]) * size)
                    _read_exactly(file, flat[i].view(np.uint8).data, self.paths[number])
        return out.astype(self.dtype, copy=False)


def _read_exactly(file, buffer, path):
    done = 0
    while done < len(buffer):
        n = file.readinto(buffer[done:])
        if not n:
            raise OSError(f"{path} ended early: it was truncated or changed since it was opened.")
        done += n


def read_npy_header(path, *, by_rows=False):
    """Shape, dtype and data offset of a ``.npy`` file of numbers, checked against its size.

    Parameters
    ----------
    path : path-like
    by_rows : bool, default=False
        Refuse what cannot be read row by row: Fortran order, or no axis.

    Returns
    -------
    shape : tuple of int
    dtype : numpy dtype
    offset : int
        Bytes before the data.

    Raises
    ------
    ValueError
        No regular file, no ``.npy`` header, Python objects or records of fields, a shape that no
        array has, or fewer bytes than the header announces.
    """
    try:
        # Opening a pipe would wait for somebody to write to it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is not a regular file")
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f"version {version} of the format is for arrays of named fields")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python, on the text of a damaged header
                shape, fortran_order, dtype = read(file, max_header_size=_LONGEST_HEADER)
            offset = file.tell()
    except (
        *(OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, tokenize.TokenError),
        *(OverflowError, RecursionError, MemoryError, AttributeError, IndexError),
    ) as error:  # numpy evaluates the header as Python, which may stumble over anything
        raise ValueError(f"{path} cannot be read as a .npy file: {error}") from error
    if dtype.hasobject:
        raise ValueError(f"{path} holds Python objects; a .npy file of numbers is needed.")
    if dtype.kind not in "biuf" or not dtype.itemsize or dtype.subdtype is not None:
        raise ValueError(f"{path} holds {dtype}; a .npy file of numbers is needed.")
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"{path} announces the shape {shape}, which no array has: it is damaged.")
    if by_rows and (fortran_order or not shape):
        raise ValueError(
            f"{path} is not a C-ordered array with records on its first axis. Save it again with "
            "numpy.save(path, numpy.ascontiguousarray(array))."
        )
    # Python's integers: numpy's product wraps round on a damaged header.
    expected = offset + math.prod(shape) * dtype.itemsize
    if os.path.getsize(path) < expected:
        raise ValueError(
            f"{path} is truncated: its header announces {shape} {dtype}, {expected} bytes, and it "
            f"has {os.path.getsize(path)}."
        )
    return shape, dtype, offset


class RowWriter:
    """Append records to a ``.npy`` file; the file appears under its name only when closed.

    Parameters
    ----------
    path : path-like

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> with RowWriter(os.path.join(tempfile.mkdtemp(), "signals.npy")) as writer:
    ...     cell = writer.append(np.zeros((12, 5000), np.float32))
    >>> Rows.from_cells([cell]).shape
    (1, 12, 5000)
    """

    def __init__(self, path):
        self.path = Path(path)
        self._atomic = atomic_path(self.path)
        self._file = open(self._atomic.__enter__(), "wb")  # noqa: SIM115 - see close(), discard()
        self._shape: tuple[int, ...] | None = None
        self._dtype = np.dtype(float)
        self._n = 0

    def append(self, record):
        """Write one record, and return its cell ``path#row``."""
        record = np.ascontiguousarray(record)
        if self._shape is None:
            self._shape, self._dtype = record.shape, record.dtype
            self._write_header()
        if record.shape != self._shape or record.dtype != self._dtype:
            raise ValueError(
                f"Record {self._n} is {record.shape} {record.dtype}, "
                f"the first one is {self._shape} {self._dtype}."
            )
        self._file.write(record.data)
        self._n += 1
        return f"{self.path}#{self._n - 1}"

    def _write_header(self):
        # numpy pads the header so that the length of axis 0 may grow without moving the data.
        shape = (self._n, *(self._shape or ()))
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)

    def close(self):
        """Finish the file and give it its name."""
        if self._shape is not None:
            self._write_header()
        self._file.close()
        self._atomic.__exit__(None, None, None)

    def discard(self):
        """Remove what was written."""
        self._file.close()
        unfinished = RuntimeError(f"{self.path} was not finished")
        self._atomic.__exit__(RuntimeError, unfinished, None)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.close()
        else:
            self.discard()


def spill(records, path):
    """Write records to a ``.npy`` file and return its cells ``path#row``.

    Parameters
    ----------
    records : iterable of ndarray
        Of one shape and dtype.
    path : path-like

    Returns
    -------
    list of str
    """
    with RowWriter(path) as writer:
        return [writer.append(record) for record in records]
