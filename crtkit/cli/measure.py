"""``crtkit measure``: ECG files to a table of measurements."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crtkit._progress import Progress
from crtkit.cli.common import CommandError, check_out, cpu_jobs, emit, say
from crtkit.cli.forking import forked_workers
from crtkit.persistence.suffixes import PAGES

if TYPE_CHECKING:
    import pandas as pd


def add_commands(commands: Any) -> None:
    """Add ``measure``."""
    parser = commands.add_parser(
        "measure",
        help="measure ECG files: QRS duration, LBBB, axis, intervals",
        description="Measure every ECG file of a folder (WFDB, XML of the makers, DICOM, SCP, EDF "
        "...), or, where it holds none, every page (JPEG, PNG, TIFF, PDF), which is digitised "
        "first. What cannot be read is listed and stands in the table with its error.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="a folder, ECG files or pages")
    parser.add_argument("-o", "--out", type=Path, help="table to write (CSV) [standard output]")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("-j", "--jobs", type=cpu_jobs, default=-1, help="processes [all cores]")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, write, and say how many files failed; 1 where none could be read."""
    from crtkit.signals import measure_files

    check_out(options.out)
    files: list[Path] = []
    for path in options.files:
        files += _files_of(path) if path.is_dir() else [path]
    # Told by the name alone: a page that is opened as an ECG file gives a message nobody expects.
    pages = [path for path in files if path.suffix.lower() in PAGES]
    files = [path for path in files if path.suffix.lower() not in PAGES]
    # A handful of files is sooner done in this process; a page takes seconds.
    jobs = 1 if len(files) < 64 and len(pages) < 3 else options.jobs
    said = [f"{len(files)} file(s)"] * bool(files) + [f"{len(pages)} page(s)"] * bool(pages)
    say(f"measuring {' and '.join(said)}")
    tables = []
    with forked_workers():
        if files:
            tables.append(measure_files(files, on_error="nan", n_jobs=jobs, verbose=True))
        if pages:
            tables.append(measure_pages(pages, jobs))
    # Here and not at the top: it was imported while the workers measured.
    import pandas as pd

    table = pd.concat(tables)
    bad = table["error"][table["error"] != ""]
    for error in bad.iloc[:20]:
        say(f"not measured: {error}")
    if len(bad) > 20:
        say(f"... and {len(bad) - 20} more; see the column error")
    if len(bad) == len(table):
        raise CommandError(f"none of {len(table)} file(s) could be measured")
    emit(table, options)
    say(f"measured {len(table) - len(bad)} of {len(table)} file(s)")
    return 0


def _files_of(folder: Path) -> list[Path]:
    """ECG files of a folder, or its pages where it holds no ECG file."""
    from crtkit.signals import ecg_files

    pages = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PAGES and p.is_file())
    try:
        return ecg_files(folder)
    except FileNotFoundError as error:
        if not pages:
            raise CommandError(f"{error} No page was found either.") from error
        return pages


def measure_pages(paths: list[Path], jobs: int) -> pd.DataFrame:
    """Digitise pages and measure them.

    Parameters
    ----------
    paths : list of Path
    jobs : int
        Processes.

    Returns
    -------
    DataFrame of shape (n_pages, n_measurements + 4)
        As :func:`crtkit.signals.measure_files`, with the ``confidence`` of the reading.
    """
    import pandas as pd
    from joblib import Parallel, delayed

    rows: list[dict[str, Any]] = []
    work = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure_page)(p) for p in paths)
    with Progress(len(paths), "measuring", "page") as progress:
        for row in work:
            rows.append(row)
            progress.update()
    return pd.DataFrame(rows, index=pd.Index([str(path) for path in paths], name="file"))


def measure_page(path: Path) -> dict[str, Any]:
    """Measurements of one page; NaN with an ``error`` where it cannot be read."""
    from crtkit.images import ECGDigitizer
    from crtkit.signals import LEADS_12, MEASUREMENTS, measure_qrs

    row: dict[str, Any] = {**dict.fromkeys(MEASUREMENTS, np.nan), "fs": np.nan, "format": "page"}
    digitizer = ECGDigitizer()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # why a page was refused stands in its row
            signal = digitizer.fit_transform([str(path)])[0]
        report = digitizer.report_.iloc[0]
        row["confidence"] = float(report["confidence"])
        if isinstance(report["reason"], str) and report["reason"]:
            return {**row, "error": f"{path}: {report['reason']}"}
        values = measure_qrs(signal, digitizer.fs, lead_names=LEADS_12)
    except (ValueError, OSError) as error:
        return {**row, "error": f"{path}: {(str(error) or repr(error)).splitlines()[0]}"}
    return {**row, **{name: values[name] for name in MEASUREMENTS}, "fs": digitizer.fs, "error": ""}
