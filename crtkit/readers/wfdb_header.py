"""Headers of WFDB records: what the text of a ``.hea`` file says.

Parsed here and not by the wfdb package, which takes minutes for a header of 100,000 lines, stops at
Latin-1 comments, byte order marks and blanks in names, and reads a missing gain as 200.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_LARGEST = 2_000_000
_MOST_SIGNALS = 1_000
# The patterns below try every blank of a line as the end of a name: a megabyte of them would take
# days. header(5) allows 255 characters.
_LONGEST_LINE = 2_000

# header(5): name[/segments] signals [fs[/counter][(base)] [samples [time [date]]]]
_RECORD = re.compile(
    r"(?P<name>\S.*?)(?:/(?P<segments>\d+))?\s+(?P<signals>\d+)"
    r"(?:\s+(?P<fs>[-+.\deE]+)(?:/\S*)?(?:\s+(?P<samples>\d+)(?:\s.*)?)?)?\s*$"
)
# file format[xframe][:skew][+offset] [gain[(baseline)][/unit] [resolution [zero [first [checksum
# [block [description]]]]]]]
_SIGNAL = re.compile(
    r"(?P<file>\S.*?)\s+(?P<format>\d+)(?:x(?P<frame>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?"
    r"(?:\s+(?P<gain>[-+.\deE]+|nan|inf)(?:\((?P<baseline>[-+]?\d+)\))?(?:/(?P<unit>[^\s(]+)(?:\((?P<late>[-+]?\d+)\))?)?"
    r"(?:\s+(?P<resolution>\d+)(?:\s+(?P<zero>[-+]?\d+)(?:\s+(?P<first>[-+]?\d+)"
    r"(?:\s+(?P<checksum>[-+]?\d+)(?:\s+(?P<block>\d+)(?:\s+(?P<name>.*))?)?)?)?)?)?)?\s*$",
    re.IGNORECASE,
)
_SEGMENT = re.compile(r"(?P<name>\S.*?)\s+(?P<samples>\d+)\s*$")


@dataclass(frozen=True)
class SignalLine:
    """One signal of a record; ``gain`` is None where the header gives none."""

    file: str
    format: str
    frame: int
    skew: int
    offset: int
    gain: float | None
    baseline: int
    unit: str
    checksum: int
    name: str


@dataclass(frozen=True)
class Header:
    """A record's header. ``n_samples`` is a number of frames, 0 where it is not given."""

    name: str
    n_signals: int
    fs: float
    n_samples: int
    signals: tuple[SignalLine, ...]
    segments: tuple[tuple[str, int], ...]
    comments: tuple[str, ...]
    record_line: str


def read_header(path: Path) -> Header:
    """Parse a header file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Header

    Raises
    ------
    ValueError
        The file is too large for a header, or a line cannot be understood.
    """
    size = path.stat().st_size
    if size > _LARGEST:
        raise ValueError(f"{path} has {size} bytes; a WFDB header has under {_LARGEST}.")
    lines = decode_text(path.read_bytes()).splitlines()
    comments = tuple(line.strip()[1:].strip() for line in lines if line.strip().startswith("#"))
    rows = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    longest = max(map(len, rows), default=0)
    if longest > _LONGEST_LINE:
        raise ValueError(
            f"{path} has a line of {longest} characters; one of a WFDB header has under "
            f"{_LONGEST_LINE}."
        )
    record = _RECORD.match(rows[0]) if rows else None
    if record is None:
        raise ValueError(f"{path} cannot be read as a WFDB record: its first line is not a record.")
    n_signals, n_segments = int(record["signals"]), int(record["segments"] or 0)
    if n_signals > _MOST_SIGNALS:
        raise ValueError(f"{path} announces {n_signals} signals; an ECG has under {_MOST_SIGNALS}.")
    n_rows = n_segments or n_signals
    if len(rows) - 1 < n_rows:
        kind = "segments" if n_segments else "signals"
        raise ValueError(
            f"{path} cannot be read as a WFDB record: it announces {n_rows} {kind} and has "
            f"{len(rows) - 1} lines for them."
        )
    rows_of_kind = rows[1 : n_rows + 1]
    fs = _number(record["fs"], 250.0)  # the default of header(5)
    return Header(
        name=record["name"],
        n_signals=n_signals,
        fs=fs,
        n_samples=int(record["samples"] or 0),
        signals=() if n_segments else tuple(_signal(row, path) for row in rows_of_kind),
        segments=tuple(_segment(row, path) for row in rows_of_kind) if n_segments else (),
        comments=comments,
        record_line=rows[0],
    )


def decode_text(raw: bytes) -> str:
    """UTF-8, with or without a byte order mark; Latin-1 where it is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _number(text: str | None, otherwise: float) -> float:
    try:
        return otherwise if text is None else float(text)
    except ValueError:
        return float("nan")


def _signal(row: str, path: Path) -> SignalLine:
    match = _SIGNAL.match(row)
    if match is None:
        raise ValueError(f"{path} cannot be read as a WFDB record: the line {row[:80]!r}.")
    zero = int(match["zero"] or 0)
    # Some converters write the baseline behind the unit: 1000/mV(0).
    baseline = match["baseline"] or match["late"]
    gain = None if match["gain"] is None else _number(match["gain"], 0.0)
    return SignalLine(
        file=match["file"],
        format=match["format"],
        frame=int(match["frame"] or 1),
        skew=int(match["skew"] or 0),
        offset=int(match["offset"] or 0),
        gain=gain,
        baseline=zero if baseline is None else int(baseline),
        unit=match["unit"] or "mV",
        checksum=int(match["checksum"] or 0),
        name=(match["name"] or "").strip(),
    )


def _segment(row: str, path: Path) -> tuple[str, int]:
    match = _SEGMENT.match(row)
    if match is None:
        raise ValueError(f"{path} cannot be read as a WFDB record: the segment {row[:80]!r}.")
    return match["name"], int(match["samples"])
