"""What the commands share: options of a manifest, output, and errors without tracebacks."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import write_text
from crtkit.studies.run import renamed, signal_unit


class CommandError(Exception):
    """Bad input to a command: its text is all that the user sees."""


def add_manifest_options(parser: argparse.ArgumentParser, *, label: bool = True) -> None:
    """Options that say which column of a table is what."""
    group = parser.add_argument_group("the table")
    if label:
        group.add_argument("--label", help="column of the outcome")
        group.add_argument("--pos-label", help="the outcome that is predicted, such as yes")
        group.add_argument("--group", default="patient", help="column of the patient [patient]")
        group.add_argument(
            "--mixed-labels",
            choices=("raise", "keep"),
            help="whether records of one patient may have different outcomes [raise]",
        )
    group.add_argument("--signal", help="column of ECG files")
    group.add_argument("--image", help="column of pages (JPEG, PNG, TIFF)")
    group.add_argument("--map", help="column of polar maps")
    group.add_argument("--root", type=Path, help="folder that file names count from [the table's]")
    group.add_argument("--fs", type=float, help="sampling rate to bring signals to, in Hz")
    group.add_argument("--duration", type=float, help="seconds to keep of each signal")
    group.add_argument(
        *("--signal-unit", "--unit"),  # the first is that of `run`, whose he2023 has another --unit
        dest="unit",
        type=signal_unit,
        help="unit of signals in arrays, such as uV, or what one count is worth in mV; files say "
        "their own",
    )
    group.add_argument(
        "--lead-names", type=_names, metavar="NAME,...", help="leads of signals in arrays, in order"
    )
    group.add_argument(
        "--na-values", type=_names, metavar="TEXT,...", help="codes of missing values, as NA,999"
    )
    group.add_argument(
        "--on-error",
        choices=("raise", "drop"),
        help="what a signal that cannot be read does: stop, or be left out and counted [raise]",
    )
    group.add_argument(
        "--missing-leads",
        choices=("raise", "nan", "drop"),
        help="what a record without one of the twelve leads does: stop, go on with a blank, or be "
        "left out and counted [raise]",
    )
    group.add_argument(
        "--missing",
        choices=("raise", "keep"),
        help="whether signals may have blanks, as pages that show each lead for a part [raise]",
    )
    group.add_argument(
        "--short",
        choices=("raise", "drop", "pad"),
        help="what a record shorter than --duration does: stop, be left out, or end blank [raise]",
    )
    group.add_argument("--sep", help="what separates the cells of a text table [told by itself]")
    group.add_argument("--decimal", help="decimal sign of its numbers, . or , [told by itself]")
    group.add_argument("--encoding", help="its encoding, such as cp1252 [UTF-8]")
    group.add_argument(
        "--columns",
        metavar="THEIRS=OURS,...",
        type=renamed,
        help="names in the table for names that crtkit knows, as QRS=qrs_duration_ms,Sex=male",
    )


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def read_cohort(path: Path, options: argparse.Namespace) -> Any:
    """The cohort of a manifest, as the options name its columns."""
    from crtkit.cohort import read_manifest

    # Asked for here and not by argparse, whose message would name no table.
    if not options.label:
        raise CommandError("name the column of the outcome with --label")
    given = {
        name: getattr(options, name)
        for name in (
            *("label", "group", "signal", "image", "map", "fs", "duration"),
            *("unit", "lead_names", "na_values", "on_error", "sep", "decimal", "encoding"),
            *("columns", "missing_leads", "missing", "short", "root", "mixed_labels"),
        )
        if getattr(options, name, None) is not None
    }
    with warnings.catch_warnings():
        # `positive_label` says it, in the words of the options, where no option answers it.
        warnings.filterwarnings("ignore", message=".*becomes the positive class")
        return read_manifest(path, **given)


def positive_label(cohort: Any, text: str | None) -> Any:
    """The class that ``--pos-label`` names, in the type that the cohort's labels have.

    None without it: the cohort's order, or else the larger label, then decides further on.
    """
    from crtkit._labels import classes_in_order, reads_as_negative

    classes = classes_in_order("The outcome", cohort.y, order=cohort.info.get("classes"))
    if text is None:
        if len(classes) == 2 and reads_as_negative(classes[1], classes[0]):
            say(f"warning: {classes[-1]!r} counts as the positive class; choose with --pos-label")
        return None
    for value in classes:
        if str(value) == text or (isinstance(value, float) and str(int(value)) == text):
            return value
    raise CommandError(f"--pos-label {text!r} is not among the labels {classes}")


def check_out(*paths: Path | None) -> None:
    """Refuse a file that cannot be written before minutes are spent on what goes into it."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise CommandError(f"{path} is a folder: name the file to write")
        if not path.parent.is_dir():
            raise CommandError(f"there is no folder {path.parent} to write {path.name} to")
        if not os.access(path.parent, os.W_OK):
            raise CommandError(f"{path.parent} is not writable")


def emit(table: Any, options: argparse.Namespace) -> None:
    """Print a table, or write it where ``--out`` says; ``--json`` makes it machine-readable."""
    out = getattr(options, "out", None)
    if getattr(options, "json", False):
        text = json.dumps(plain(table), indent=2, ensure_ascii=False) + "\n"
    elif out is not None:
        # Eight digits: more than any measurement has, and what a spreadsheet shows.
        text = table.to_csv(float_format="%.8g")
    else:
        text = printable(table.to_string()) + "\n"
    _write(text, out)


def _write(text: str, out: Path | None) -> None:
    """Text to a file or to standard output."""
    # A file name that is not UTF-8 (an old archive's) must not cost an hour's results.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        say(f"wrote {out}")


def emit_json(value: Any, options: argparse.Namespace) -> None:
    """JSON to ``--out`` or to standard output."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"
    _write(text, getattr(options, "out", None))


def emit_lines(lines: Iterable[str]) -> None:
    """One line for each on standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


# Parameters of the library that are options here, so that its messages can be followed.
_PARAMETERS = (
    *("label", "pos_label", "group", "signal", "image", "map", "fs", "duration", "unit"),
    *("lead_names", "na_values", "on_error", "columns", "sep", "decimal", "encoding"),
    *("allow_outside", "held_out", "alpha", "missing_leads", "missing", "short", "root"),
    *("mixed_labels", "by"),
)
_AS_PARAMETER = re.compile(rf"(?<![\w.-])({'|'.join(_PARAMETERS)})=(?!=)")


def as_options(message: str) -> str:
    """A message of the library in the words of the command line: ``fs=`` becomes ``--fs``.

    Examples
    --------
    >>> from crtkit.cli.common import as_options
    >>> as_options("pass fs= to resample (on_error='drop' leaves them out)")
    "pass --fs to resample (--on-error 'drop' leaves them out)"
    """

    def option(match: re.Match[str]) -> str:
        value = match.string[match.end() : match.end() + 1].strip(" ):;,.")
        name = "signal-unit" if match[1] == "unit" else match[1].replace("_", "-")
        return f"--{name}{' ' if value else ''}"

    return _AS_PARAMETER.sub(
        option, message.replace("digitizer=crtkit.ECGDigitizer()", "--digitize")
    )


def say(text: str) -> None:
    """A line for people, on stderr: standard output is for results."""
    text = printable(text)
    print(f"crtkit: {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


def printable(text: str) -> str:
    """Text without what a terminal would obey: a file's words may come from anybody.

    Examples
    --------
    >>> from crtkit.cli.common import printable
    >>> printable("risk" + chr(27) + "[2J 0.9")
    'risk?[2J 0.9'
    """
    return "".join(c if c in "\n\t" or c.isprintable() else "?" for c in text)


def plain(value: Any) -> Any:
    """JSON's types; NaN becomes null."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        rows = value.reset_index().to_dict(orient="records")
        return [plain(row) for row in rows]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    # JSON has no NaN; other readers than Python's refuse the file.
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def cpu_jobs(text: str) -> int:
    """Number of processes: a positive number, or -1 for all cores."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1 and value != -1:
        raise argparse.ArgumentTypeError(f"expects a number of processes or -1, got {text!r}")
    return value
