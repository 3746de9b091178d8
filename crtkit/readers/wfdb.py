"""WFDB records (PhysioNet): single records, records of segments, records with other channels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.assemble import describe_patient
from crtkit.readers.calibration import (
    MILLIVOLT,
    check_baseline,
    check_rate,
    check_step,
)
from crtkit.readers.channels import Channel, ecg_of_channels, is_ecg_channel
from crtkit.readers.ecg import ECG
from crtkit.readers.wfdb_header import Header, SignalLine, read_header
from crtkit.readers.wfdb_samples import INVALID, read_samples

# The PhysioNet Challenge's comment lines; whatever else a comment holds may identify somebody.
_COMMENTS = {"age": "age", "sex": "sex", "dx": "diagnoses"}
_MOST_SEGMENTS = 100_000
_MOST_SAMPLES = 200_000_000


def read_wfdb(header: Path, *, identifiers: bool = False) -> ECG:
    """Read the WFDB record of a header file.

    Parameters
    ----------
    header : Path
        The ``.hea`` file.
    identifiers : bool
        Keep the record's name, the line with its date and time, and every comment.

    Returns
    -------
    ECG
        The channels in volts that are not another signal's, at the rate that most of them have;
        ``header["left_out"]`` names the others. Leads come in the order of the file, or in the
        usual one, with all limb leads, where two of these are there. ``header`` has age, sex and
        codes of diagnoses from the comments. Segments of a record are put together, with NaN
        where a segment lacks a lead or the recorder was off.

    Raises
    ------
    FileNotFoundError
        The header names a signal file that is not there.
    ImportError
        The record is compressed by FLAC and the wfdb package is not installed.
    ValueError
        The record is damaged: its samples do not add up to its checksums, its files are shorter
        than announced; it is not calibrated (a gain of 0, or none); no channel is in volts; a lead
        has no name; or samples or rate are none that an ECG has.
    """
    parsed = read_header(header)
    check_rate(parsed.fs, header)
    if parsed.segments:
        channels, left_out = _join_segments(parsed, header)
    else:
        channels, left_out = _channels(parsed, header)
    fields = _fields(parsed, identifiers)
    of_rate = [Channel(name, parsed.fs * frame, values) for name, frame, values in channels]
    return ecg_of_channels(of_rate, left_out, fields, "wfdb", header)


def _channels(parsed: Header, path: Path) -> tuple[list[tuple[str, int, np.ndarray]], list[str]]:
    """Name, samples per frame and millivolt of each ECG channel, and the others' names."""
    if not parsed.signals:
        raise ValueError(f"{path} holds no signals: its header announces none.")
    wanted = [_is_ecg(line) for line in parsed.signals]
    left_out = [f"{s.name} ({s.unit})" for s, ecg in zip(parsed.signals, wanted) if not ecg]
    if not any(wanted):
        raise ValueError(f"{path} has the channels {left_out}; an ECG is in mV, uV or V.")
    stored = read_samples(parsed, path)
    channels = [
        (line.name, line.frame, _millivolt(line, samples, path))
        for line, samples, ecg in zip(parsed.signals, stored, wanted)
        if ecg
    ]
    if not len(channels[0][2]):
        raise ValueError(f"{path} holds no samples; the download may have stopped.")
    return channels, left_out


def _is_ecg(line: SignalLine) -> bool:
    return is_ecg_channel(line.name, line.unit)


def _millivolt(line: SignalLine, samples: np.ndarray, path: Path) -> np.ndarray:
    where = f"{path}, lead {line.name}"
    if not line.gain:  # header(5) calls 0, and no gain at all, "not calibrated"
        raise ValueError(
            f"{where} is not calibrated: its gain is {'0' if line.gain == 0 else 'not given'}. "
            "Write the steps per millivolt into the header (field 3 of the lead's line)."
        )
    scale = MILLIVOLT[line.unit.strip().lower()]
    if not np.isfinite(line.gain) or line.gain < 0:
        raise ValueError(f"{where}: {line.gain:g} steps per {line.unit}; above 0 is expected.")
    check_step(scale / line.gain, where)
    check_baseline(line.baseline, where)
    values = (samples.astype(np.float64) - line.baseline) / line.gain
    invalid = samples == INVALID.get(line.format, np.nan)
    if invalid.any():
        values[invalid] = np.nan
    return values if scale == 1.0 else values * scale


def _join_segments(parsed: Header, path: Path):
    """Channels of a record of segments, of fixed or variable layout."""
    if len(parsed.segments) > _MOST_SEGMENTS:
        raise ValueError(f"{path} has {len(parsed.segments)} segments; it is too long to be read.")
    total = sum(n for _, n in parsed.segments)
    pieces: list[tuple[int, dict[tuple[str, int], np.ndarray]]] = []
    names: list[tuple[str, int]] = []
    left_out: list[str] = []
    # A segment that is named again is read once.
    read: dict[tuple[str, int], tuple[list, list[str]]] = {}
    at = 0
    for number, (name, n_samples) in enumerate(parsed.segments):
        if name != "~" and n_samples:  # "~" is a gap; length 0 is the layout of a variable record
            if (name, n_samples) not in read:
                read[name, n_samples] = _segment(name, n_samples, parsed, path)
            channels, others = read[name, n_samples]
            piece = {(lead, frame): values for lead, frame, values in channels}
            pieces.append((at, piece))
            names += [key for key in piece if key not in names]
            left_out += [other for other in others if other not in left_out]
        elif name == "~" and number == 0:
            raise ValueError(f"{path} begins with a gap; its first segment is expected.")
        at += n_samples
    if not names:
        raise ValueError(f"{path} holds no samples: every segment is a gap.")
    size = sum(total * frame for _, frame in names)
    if size > _MOST_SAMPLES:
        raise ValueError(f"{path} announces {size} samples; under {_MOST_SAMPLES} are read.")
    joined = []
    for lead, frame in names:
        values = np.full(total * frame, np.nan, dtype=np.float32)
        for start, piece in pieces:
            part = piece.get((lead, frame))
            if part is not None:
                values[start * frame : start * frame + len(part)] = part
        joined.append((lead, frame, values))
    return joined, left_out


def _segment(name: str, n_samples: int, parsed: Header, path: Path):
    if "/" in name or "\\" in name:
        raise ValueError(f"{path} names the segment {name!r}; it must lie beside the header.")
    file = path.parent / f"{name}.hea"
    if not file.is_file():
        raise FileNotFoundError(f"{path} names a segment that is missing: {name}.hea.")
    segment = read_header(file)
    if segment.segments:
        raise ValueError(f"{path} names the segment {name}, itself a record of segments.")
    if abs(segment.fs - parsed.fs) > 1e-6 * parsed.fs or segment.n_samples not in (0, n_samples):
        raise ValueError(
            f"{path} announces {n_samples} samples at {parsed.fs:g} Hz for the segment {name}, "
            f"whose header says {segment.n_samples} at {segment.fs:g} Hz."
        )
    try:
        channels, left_out = _channels(segment, file)
    except ValueError:
        if not any(_is_ecg(line) for line in segment.signals):
            return [], [f"{line.name} ({line.unit})" for line in segment.signals]
        raise
    # A header without a length takes what its file holds, which may reach into the next segment.
    for lead, frame, values in channels:
        if len(values) != n_samples * frame:
            raise ValueError(
                f"{path} announces {n_samples} samples for the segment {name}, whose lead {lead} "
                f"has {len(values) // frame}."
            )
    return channels, left_out


def parse_comments(comments: Iterable[str]) -> dict[str, Any]:
    """Age (years, NaN where it is not a number), sex and SNOMED CT codes of a header's comments."""
    fields: dict[str, Any] = {}
    for comment in comments:
        key, _, value = str(comment).partition(":")
        name = _COMMENTS.get(key.strip().lower())
        if name is not None:
            fields[name] = value.strip()
    if "diagnoses" in fields:
        fields["diagnoses"] = [code.strip() for code in fields["diagnoses"].split(",")]
    if "age" in fields:
        try:
            fields["age"] = float(fields["age"])
        except ValueError:
            fields["age"] = float("nan")
    return fields


def _fields(parsed: Header, identifiers: bool) -> dict[str, Any]:
    fields = parse_comments(parsed.comments)
    if not identifiers:
        # Free text behind these keys may name somebody: only what is a number or a sex is kept.
        codes = [code for code in fields.get("diagnoses", ()) if code.isdecimal()]
        fields = describe_patient(fields.get("age", np.nan), fields.get("sex", ""))
        return {**fields, "diagnoses": codes} if codes else fields
    fields["record_name"] = parsed.name
    fields["comments"] = list(parsed.comments)
    fields["record_line"] = parsed.record_line  # date and time, in whatever order they came
    return fields
