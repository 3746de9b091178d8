"""A folder of ECG files, measured in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crtkit._io import is_path
from crtkit._progress import Progress
from crtkit.signals.qrs.measure import MEASUREMENTS, measure_qrs

if TYPE_CHECKING:
    import pandas as pd

# Suffixes of the formats that read_ecg reads; a WFDB record is its header.
SUFFIXES = (".hea", ".xml", ".scp", ".dcm", ".edf", ".bdf", ".ecg", ".h5", ".hdf", ".hdf5")
_BATCH = 16  # files for one task: reading is short beside sending a task to a process


def ecg_files(folder: str | os.PathLike[str]) -> list[Path]:
    """ECG files below a folder, sorted, by their suffix.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        No such folder, or no file in it with one of the suffixes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from crtkit.signals import ecg_files
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "a.hea").touch(), (folder / "notes.txt").touch()
    (None, None)
    >>> [path.name for path in ecg_files(folder)]
    ['a.hea']
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise FileNotFoundError(
            f"No ECG file was found below {root}; looked for {', '.join(SUFFIXES)}."
        )
    return paths


def measure_files(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Measure ECG files of any format that :func:`crtkit.readers.read_ecg` reads.

    Parameters
    ----------
    files : path-like or iterable of path-like
        A folder (see :func:`ecg_files`), one file, or several.
    on_error : {"raise", "nan"}, default="raise"
        What a file that cannot be read does: stop everything, after all files were tried, with a
        list of the bad ones; or stand as a row of NaN whose ``error`` says why.
    n_jobs : int, optional
        Processes, as in joblib.
    verbose : bool, default=False
        Show progress with the time left on stderr.

    Returns
    -------
    DataFrame of shape (n_files, n_measurements + 3)
        Indexed by file. The columns of :class:`crtkit.QRSMeasurements` (milliseconds, degrees,
        microvolt seconds as their names say; NaN where not measurable), then ``fs`` in Hz,
        ``format`` and ``error`` (empty where the file was read).

    Raises
    ------
    FileNotFoundError, ValueError
        No files; bad files, with ``on_error="raise"``, all of them named.

    Examples
    --------
    >>> from crtkit.signals import measure_files
    >>> table = measure_files(["absent.xml"], on_error="nan")
    >>> table["error"].str.contains("absent.xml").all()
    np.True_
    """
    if on_error not in ("raise", "nan"):
        raise ValueError(f"measure_files: on_error must be 'raise' or 'nan', got {on_error!r}.")
    if is_path(files):
        paths = ecg_files(files) if os.path.isdir(files) else [Path(files)]
    else:
        paths = [Path(file) for file in files]
    if not paths:
        raise ValueError("measure_files got no file.")
    rows = _in_batches(paths, n_jobs, verbose)
    import pandas as pd

    table = pd.DataFrame(rows, index=pd.Index([str(path) for path in paths], name="file"))
    # Only now, with all files tried: one message names every bad file of a folder.
    bad = table["error"][table["error"] != ""]
    if on_error == "raise" and len(bad):
        shown = "".join(f"\n  {error}" for error in bad.iloc[:20])
        more = f"\n  and {len(bad) - 20} more" if len(bad) > 20 else ""
        raise ValueError(
            f"{len(bad)} of {len(table)} file(s) cannot be measured:{shown}{more}\n"
            "on_error='nan' keeps the others."
        )
    return table


def _in_batches(paths: list[Path], n_jobs: int | None, verbose: bool) -> list[dict[str, Any]]:
    from joblib import Parallel, delayed

    batches = [paths[i : i + _BATCH] for i in range(0, len(paths), _BATCH)]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_measure_batch)(batch) for batch in batches
    )
    # Workers are at it by now: what only the table needs is imported beside them.
    import pandas  # noqa: F401

    rows: list[dict[str, Any]] = []
    with Progress(len(paths), "measuring", "file", show=verbose) as progress:
        for part in done:
            rows += part
            progress.update(len(part))
    return rows


def _measure_batch(paths: list[Path]) -> list[dict[str, Any]]:
    from crtkit.readers import read_ecg

    # The matrices of one ECG are small: threads of BLAS wait for one another, and for those of
    # the other processes, longer than they compute.
    with _thread_pools().limit(limits=1):
        return [_measure_file(path, read_ecg) for path in paths]


@lru_cache(maxsize=1)
def _thread_pools() -> Any:
    """The process's thread pools, looked for once: it takes as long as half a record."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _measure_file(path: Path, read_ecg: Callable[..., Any]) -> dict[str, Any]:
    empty = dict.fromkeys(MEASUREMENTS, np.nan)
    try:
        ecg = read_ecg(path)
        values = measure_qrs(ecg.signal, ecg.fs, lead_names=ecg.lead_names)
    except (ValueError, OSError) as error:
        text = str(error)
        # Readers of some formats name the file in their message, others do not.
        told = text if path.name in text else f"{path}: {text}"
        return {**empty, "fs": np.nan, "format": "", "error": told}
    return {
        **{name: values[name] for name in MEASUREMENTS},
        "fs": ecg.fs,
        "format": ecg.format,
        "error": "",
    }
