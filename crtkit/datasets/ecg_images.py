"""ECG report pages of the Mendeley "ECG Images dataset of Cardiac Patients"."""

from __future__ import annotations

import csv
import hashlib
import os
import tarfile
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from crtkit._io import write_bytes
from crtkit._leads import LEADS_12
from crtkit.cohort import Cohort
from crtkit.cohort.temporary import temporary_folder
from crtkit.datasets.folders import data_folder

CLASSES = ("normal", "abnormal_heartbeat", "myocardial_infarction", "history_of_mi")
N_DISTINCT = 491  # of the 928 files that were published, the others being copies

_ARCHIVE, _TABLE = "images.tar.xz", "labels.csv"
_COLUMNS = ("file", "label", "sha256", "bytes", "printed_id_ocr")


def load_ecg_images(
    path: str | os.PathLike[str] | None = None,
    *,
    label: str = "class",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Cohort:
    """Load 12-lead report pages of real patients, grouped by the ID that is printed on them.

    Parameters
    ----------
    path : path-like, optional
        Folder with ``labels.csv`` and either ``images.tar.xz`` or the unpacked pages. By default
        ``ecg_images_mendeley`` in the folder that the environment variable ``CRTKIT_DATA`` names.
    label : {"class", "binary"}
        ``"class"``: normal, abnormal_heartbeat, myocardial_infarction, history_of_mi.
        ``"binary"``: 0 normal, 1 not normal.
    cache_dir : path-like, optional
        Where pages are unpacked to, if they are not yet (some 300 MB); by default a temporary
        folder, removed when the process ends. With a folder of your own the paths, and all that is
        cached under them, stay valid.

    Returns
    -------
    Cohort
        ``X`` has ``image`` (paths of JPEG files of 2213 x 1572 pixels), ``printed_heart_rate``
        (bpm, as the cardiograph printed it; NaN where it could not be read) and ``lead_off`` (1
        where the page says that an electrode was off). ``groups`` are the printed IDs. Some IDs
        carry pages of several classes; they are kept, and counted in ``info["flow"]``.

    Raises
    ------
    FileNotFoundError
        The folder, the table, or pages of the table are missing.
    ValueError
        An unknown label, a table without the needed columns, or a page whose SHA-256 is not that
        of the table.

    Notes
    -----
    Pages come 25 mm/s, 10 mm/mV, three rows of four leads and a rhythm strip of lead II or III:
    :data:`crtkit.images.EDAN_SE3` has the geometry. The sex on the pages is mostly the device's
    default, and is not loaded. IDs and heart rates were read by OCR.

    References
    ----------
    A. H. Khan and M. Hussain, "ECG Images dataset of Cardiac Patients", Mendeley Data, V2, 2021,
    doi:10.17632/gwbz3fsgp8.2 (CC BY 4.0).

    Examples
    --------
    >>> from crtkit.datasets import load_ecg_images
    >>> cohort = load_ecg_images(label="binary", cache_dir="pages")     # doctest: +SKIP
    """
    if label not in ("class", "binary"):
        raise ValueError(f"load_ecg_images expects label 'class' or 'binary', got {label!r}.")
    folder = data_folder("load_ecg_images", path, "ecg_images_mendeley", "ECG images")
    if not (folder / _TABLE).is_file():
        raise FileNotFoundError(f"{folder} has no {_TABLE}: it is not a folder of ECG images.")
    rows = _read_table(folder / _TABLE)
    pages = _pages(folder, rows, None if cache_dir is None else Path(cache_dir))
    X = pd.DataFrame(
        {
            "image": [str(pages / row["file"]) for row in rows],
            "printed_heart_rate": [_number(row.get("printed_heart_rate_ocr")) for row in rows],
            "lead_off": [_number(row.get("lead_off_ocr")) for row in rows],
        },
        index=pd.Index([row["file"] for row in rows], name="record"),
    )
    names = np.array([row["label"] for row in rows], dtype=object)
    groups = np.array([row["printed_id_ocr"] for row in rows], dtype=object)
    mixed = pd.Series(names).groupby(groups).nunique() > 1
    info = {
        "name": "ECG Images dataset of Cardiac Patients (Mendeley)",
        "source": "real",
        "sampling_rate": None,
        "lead_names": list(LEADS_12),
        "licence": "CC BY 4.0",
        "doi": "10.17632/gwbz3fsgp8.2",
        "label": "class" if label == "class" else "not normal",
        "flow": {
            "distinct pages of the data set": N_DISTINCT,
            "not in this folder": len(rows) - N_DISTINCT,
            "pages": len(rows),
            "printed IDs": len(mixed),
            "printed IDs with several classes": int(mixed.sum()),
        },
        "assumed": ["the printed ID, read by OCR, stands for the patient"],
    }
    y = names if label == "class" else (names != "normal").astype(np.int64)
    return Cohort(X, y, groups, info)


def _read_table(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in _COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{path} has no rows, or lacks the column(s) {missing}.")
    for row in rows:
        parts = PurePosixPath(row["file"]).parts
        if not parts or row["file"].startswith("/") or ".." in parts or "\\" in row["file"]:
            raise ValueError(f"{path} names a file outside its folder: {row['file']!r}.")
    unknown = sorted({row["label"] for row in rows} - set(CLASSES))
    if unknown:
        raise ValueError(f"{path} has label(s) {unknown}; the classes are {list(CLASSES)}.")
    return rows


def _pages(folder, rows, cache_dir) -> Path:
    """Folder that holds all pages, unpacked into ``cache_dir`` where they are not there yet."""
    if not _absent(folder, rows):
        return folder
    if cache_dir is None:
        status = os.stat(folder / _TABLE)
        cache_dir = _temporary(str(folder), status.st_mtime_ns)
    cache_dir = cache_dir.absolute()
    wanted = _absent(cache_dir, rows)
    if wanted:
        _unpack(folder / _ARCHIVE, cache_dir, wanted)
    return cache_dir


@lru_cache(maxsize=4)
def _temporary(folder, mtime) -> Path:
    """One temporary folder a process and data set: a second call need not unpack again."""
    return temporary_folder()


def _absent(folder, rows) -> dict[str, str]:
    """SHA-256 of files that are not in a folder in full length, by name."""

    def there(row):
        path = folder / row["file"]
        return path.is_file() and path.stat().st_size == int(row["bytes"])

    return {row["file"]: row["sha256"] for row in rows if not there(row)}


def _unpack(archive, folder, wanted) -> None:
    """Write the wanted files, each whole and with its checksum or not at all."""
    if not archive.is_file():
        raise FileNotFoundError(
            f"{len(wanted)} page(s) of the table are missing beside it, and so is {_ARCHIVE}."
        )
    left = dict(wanted)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                # Only plain files that the table names are read, and written under its names:
                # links, devices and paths that lead elsewhere never reach the disk.
                if not member.isreg() or member.name not in left:
                    continue
                data = tar.extractfile(member).read()
                _write(folder / member.name, data, left.pop(member.name))
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f"{archive} cannot be unpacked: {error}") from error
    if left:
        shown = ", ".join(sorted(left)[:10]) + (", ..." if len(left) > 10 else "")
        raise FileNotFoundError(f"{archive} lacks {len(left)} page(s) of the table: {shown}.")


def _write(path, data, sha256) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path.name}: its SHA-256 is not that of {_TABLE}; the copy is damaged.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def _number(text) -> float:
    return float(text) if text else np.nan
