"""ECGs in HDF5: one dataset of samples, its rate, unit and leads as attributes."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import import_optional
from crtkit.readers.ecg import ECG
from crtkit.readers.stated import Stated, ecg_of_array

_NAMES = ("signal", "signals", "ecg", "tracings", "waveform", "data")
_FS = ("fs", "sampling_rate", "sampling_frequency", "sample_rate")
_UNIT = ("unit", "units")
_LEADS = ("lead_names", "leads", "channels")
# Twelve leads at 500 Hz for 80 minutes; as float64 and float32 beside each other, below 1 GB.
_MOST_SAMPLES = 30_000_000
_MOST_OBJECTS = 1_000

# Some damage makes the HDF5 library loop without end, or kill its process (one in some hundred
# mutated files). What would be read is read in a child first, once per file, where neither matters.
_TRIAL = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (5, 6))
except ImportError:  # no such limits on Windows; the parent's patience remains
    pass
import h5py
def tried(step):
    try:
        return step()
    except Exception:  # an error is no harm, and must not end the trial before the next step
        return None
def attributes(holder):
    for name in tried(lambda: list(holder.attrs)) or sys.argv[3:]:
        tried(lambda: holder.attrs[name])
    for name in sys.argv[3:]:
        tried(lambda: name in holder.attrs)
with h5py.File(sys.argv[1], "r") as file:
    attributes(file)
    for name in (tried(lambda: list(file)) or [])[:1000]:
        if isinstance(tried(lambda: file.get(name, getlink=True)), h5py.HardLink):
            item = tried(lambda: file[name])
            if not isinstance(item, h5py.Dataset):
                continue
            attributes(item)
            tried(lambda: (item.is_virtual, item.external))
            shape = tried(lambda: item.shape[1:] if item.ndim > 2 else item.shape) or ()
            if len(shape) == 2 and shape[0] * shape[1] <= int(sys.argv[2]):
                tried(lambda: item[0] if item.ndim > 2 else item[()])
"""
_PATIENCE_S = 60


def read_hdf5(path: Path, stated: Stated, *, row: int | None = None) -> ECG:
    """Read one record of an HDF5 file.

    Parameters
    ----------
    path : Path
        Its dataset is called ``signal``, ``ecg``, ``tracings``, ``waveform`` or ``data``, or is
        the only one; of shape (n_leads, n_samples) or (n_samples, n_leads), with a first axis of
        records where ``row`` is given. Attributes of the dataset or of the file say ``fs`` (Hz),
        ``unit`` and ``lead_names``.
    stated : Stated
        What the file does not say.
    row : int, optional
        Record of a dataset of many, counted from 0.

    Returns
    -------
    ECG

    Raises
    ------
    ImportError
        h5py is not installed.
    ValueError
        The file is damaged, points to other files, holds no such dataset or record; or rate, unit
        or leads are not known.
    """
    h5py = import_optional("h5py", extra="readers", purpose="Reading HDF5 files")
    status = path.stat()
    if not _survives(str(path), status.st_mtime_ns, status.st_size):
        raise ValueError(f"{path.name} cannot be read as HDF5: the library does not survive it.")
    try:
        with h5py.File(path, "r") as file:
            dataset = _dataset(h5py, file, path)
            said = [_attribute(dataset, file, names) for names in (_FS, _UNIT, _LEADS)]
            array = _samples(dataset, row, path)
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path.name} cannot be read as HDF5: {error}") from error
    # Writers store attributes as numbers, arrays of one, bytes or texts.
    fs = None if said[0] is None else _rate(said[0], path)
    unit = None if said[1] is None else _text(np.ravel(said[1])[0])
    names = None if said[2] is None else [_text(name) for name in np.ravel(said[2])]
    return ecg_of_array(array, stated.or_file(fs, unit, names, path), "hdf5", path)


@lru_cache(maxsize=256)
def _survives(path: str, mtime_ns: int, size: int) -> bool:
    """Whether a child process comes back from reading a file, with an error or without."""
    if not sys.executable:
        return True
    try:
        child = subprocess.run(
            # -P: a folder of files from elsewhere may hold an h5py.py, which is not to be run.
            [sys.executable, "-P", "-c", _TRIAL, path, str(_MOST_SAMPLES), *_FS, *_UNIT, *_LEADS],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return child.returncode >= 0


def _dataset(h5py: Any, file: Any, path: Path) -> Any:
    # A link to another file would let a record read what it is not.
    if len(file) > _MOST_OBJECTS:
        raise ValueError(f"{path.name} has {len(file)} objects; an ECG has a few.")
    links = {name: file.get(name, getlink=True) for name in file}
    inside = [name for name, link in links.items() if isinstance(link, h5py.HardLink)]
    datasets = [name for name in inside if isinstance(file[name], h5py.Dataset)]
    numeric = [name for name in datasets if file[name].dtype.kind in "iuf" and file[name].ndim > 1]
    known = [name for name in _NAMES if name in numeric]
    if not known and len(numeric) != 1:
        raise ValueError(
            f"{path.name} has the datasets {datasets}; one called {', '.join(_NAMES)} is expected."
        )
    dataset = file[known[0] if known else numeric[0]]
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{path.name} keeps its samples in other files, which is not supported.")
    return dataset


def _samples(dataset: Any, row: int | None, path: Path) -> np.ndarray:
    shape = dataset.shape if row is None else dataset.shape[1:]
    if len(shape) != 2:
        raise ValueError(
            f"{path.name} holds an array of shape {dataset.shape}; one record has two axes. Name a "
            f"record of many as '{path.name}#0', counted from 0."
        )
    # Before anything is read: compressed zeros unpack a thousandfold.
    if int(np.prod(shape)) > _MOST_SAMPLES:
        raise ValueError(f"{path.name} holds over {_MOST_SAMPLES} samples; it is not read.")
    if row is None:
        return dataset[()]
    if row >= len(dataset):
        raise ValueError(f"{path.name} has {len(dataset)} records; record {row} is asked for.")
    return dataset[row]


def _attribute(dataset: Any, file: Any, names: tuple[str, ...]) -> Any:
    for holder in (dataset, file):
        for name in names:
            value = holder.attrs.get(name)
            # An attribute without a value (h5py.Empty has no shape) says as much as none.
            if getattr(value, "shape", ()) is not None and np.size(value) and value is not None:
                return value
    return None


def _rate(value: Any, path: Path) -> float:
    text = _text(np.ravel(value)[0])
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"{path.name} has {text!r} as its sampling rate; a number of hertz is expected."
        ) from error


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
