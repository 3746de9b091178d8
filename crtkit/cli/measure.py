"""``crtkit measure``: ECG files to a table of measurements."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crtkit.cli.common import CommandError, check_out, cpu_jobs, emit, say
from crtkit.cli.forking import forked_workers


def add_commands(commands: Any) -> None:
    """Add ``measure``."""
    parser = commands.add_parser(
        "measure",
        help="measure ECG files: QRS duration, LBBB, axis, intervals",
        description="Measure every ECG file of a folder (WFDB, XML of the makers, DICOM, SCP, EDF "
        "...). Files that cannot be read are listed and stand in the table with their error.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="a folder, or ECG files")
    parser.add_argument("-o", "--out", type=Path, help="table to write (CSV) [standard output]")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("-j", "--jobs", type=cpu_jobs, default=-1, help="processes [all cores]")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, write, and say how many files failed; 1 where none could be read."""
    from crtkit.signals import ecg_files, measure_files

    check_out(options.out)
    files: list[Path] = []
    for path in options.files:
        files += ecg_files(path) if path.is_dir() else [path]
    # A handful of files is sooner done in this process.
    jobs = 1 if len(files) < 64 else options.jobs
    say(f"measuring {len(files)} file(s)")
    with forked_workers():
        table = measure_files(files, on_error="nan", n_jobs=jobs, verbose=True)
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
