"""SCP-ECG (EN 1064): Huffman tables, differences and subtracted reference beats."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step, whole_rate
from crtkit.readers.ecg import ECG
from crtkit.readers.lead_codes import lead_of_number
from crtkit.readers.scp_codes import add_reference_beats, integrate, read_tables, unpack_values

_NOT_COMPUTED = (29999, 29998, 19999)
_HEAD = 16
_LARGEST = 30_000_000
_NEEDED = (1, 2, 3, 4, 5, 6, 7)


def read_scp(path: Path, *, identifiers: bool = False) -> ECG:
    """Read the rhythm data of an SCP-ECG file; ``header["printed"]`` has its global measurements.

    Parameters
    ----------
    path : Path
    identifiers : bool
        Keep name, record number and dates.

    Returns
    -------
    ECG

    Raises
    ------
    ValueError
        The file is damaged (its checksum does not fit), or uses bimodal compression, which is
        not read.
    """
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path.name} is larger than {_LARGEST / 1e6:g} MB; no SCP-ECG file is.")
    data = path.read_bytes()
    try:
        return _read(data, path, identifiers)
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError(f"{path.name} is a damaged SCP-ECG file: {error!r}.") from error


def _read(data: bytes, path: Path, identifiers: bool) -> ECG:
    checksum, length = struct.unpack_from("<HI", data, 0)
    if length != len(data):
        raise ValueError(f"{path.name} announces {length} bytes and has {len(data)}.")
    if binascii.crc_hqx(data[2:], 0xFFFF) != checksum:
        raise ValueError(f"{path.name}: the checksum does not fit, the file is damaged.")
    sections = _sections(data, path)
    for needed in (3, 6):
        if needed not in sections:
            raise ValueError(f"{path.name} has no section {needed}: there is no rhythm in it.")
    names, subtracted = _leads(sections[3], path)
    rhythm = _Block.of(sections[6], path)
    if sections[6][5]:
        raise ValueError(
            f"{path.name} is compressed in two modes (bimodal), which is not supported."
        )
    stored = rhythm.values(sections, names, path)
    if subtracted:
        stored = _with_reference_beats(stored, sections, names, rhythm, path)
    leads: dict[str, np.ndarray] = {}
    for (name, *_), values in zip(names, stored):
        add_lead(leads, name, values * rhythm.unit * 1e-6, path)
    interval = rhythm.interval
    # Intervals are whole microseconds: 1667 is 600 Hz.
    rate = whole_rate(1e6 / interval)
    tags = _tags(sections.get(1, b""))
    # A field of no length is one that was not filled in.
    sex = {b"\1": "male", b"\2": "female"}.get(tags.get(8, b"")[:1], "")
    header: dict[str, Any] = {
        **describe_patient(_age(tags), sex),
        "printed": _printed(sections.get(7, b"")),
    }
    if identifiers:
        for name, tag in (("last_name", 0), ("first_name", 1), ("patient_id", 2)):
            header[name] = tags.get(tag, b"").split(b"\0")[0].decode("latin-1")
        for name, tag in (("birth_date", 5), ("date", 25)):
            if len(tags.get(tag, b"")) == 4:
                header[name] = "{:04d}-{:02d}-{:02d}".format(*struct.unpack("<HBB", tags[tag]))
    return assemble_ecg(leads, rate, header, "scp", path)


def _sections(data: bytes, path: Path) -> dict[int, bytes]:
    """Content of each section, by the pointers in section 0."""
    size = struct.unpack_from("<I", data, 10)[0]
    out = {}
    for at in range(6 + _HEAD, 6 + size - 9, 10):
        number, length, index = struct.unpack_from("<HII", data, at)
        # Sections of manufacturers, and texts, are neither checked nor read.
        if not length or number not in _NEEDED:
            continue
        if number in out:
            raise ValueError(f"{path.name} points to section {number} twice.")
        start = index - 1
        section = data[start : start + length]
        if len(section) < length or length < _HEAD:
            raise ValueError(f"{path.name}: section {number} lies outside the file.")
        if binascii.crc_hqx(section[2:], 0xFFFF) != struct.unpack_from("<H", section)[0]:
            raise ValueError(f"{path.name}: the checksum of section {number} does not fit.")
        out[number] = section[_HEAD:]
    return out


@dataclass(frozen=True)
class _Block:
    """Section 5 or 6: samples of every lead, in steps of ``unit`` nanovolt."""

    unit: int
    interval: int
    order: int
    content: bytes

    @classmethod
    def of(cls, section: bytes, path: Path) -> _Block:
        unit, interval, order = struct.unpack_from("<HHB", section)
        if order > 2 or not interval or not unit:
            raise ValueError(f"{path.name} is compressed in a way that is not supported.")
        check_step(unit * 1e-6, path.name)
        return cls(unit, interval, order, section[6:])

    def values(self, sections, names, path, n_samples: int | None = None) -> list[np.ndarray]:
        """Stored samples of each lead; ``n_samples`` overrides the length that is announced."""
        table = sections.get(2)
        try:
            tables = None if table is None else read_tables(table)
        except ValueError as error:
            raise ValueError(
                f"{path.name} brings {error}, which is not a Huffman table."
            ) from error
        sizes = struct.unpack_from(f"<{len(names)}H", self.content)
        at = 2 * len(names)
        out = []
        for (name, announced, least), size in zip(names, sizes):
            block = self.content[at : at + size]
            wanted = announced if n_samples is None else n_samples
            if table is None:
                whole = block[: len(block) // 2 * 2]
                values = np.frombuffer(whole, dtype="<i2")[:wanted].astype(np.int64)
            else:
                values = unpack_values(block, wanted, tables)
            if n_samples is None and len(values) < least:
                raise ValueError(f"{path.name}, lead {name}: {announced} samples are not there.")
            out.append(integrate(values, self.order))
            at += size
        # Where samples are numbered from 0, the last of them may not be there (see _leads).
        shortest = min(map(len, out)) if out else 0
        return [values[:shortest] for values in out] if n_samples is None else out


def _with_reference_beats(stored, sections, names, rhythm: _Block, path) -> list[np.ndarray]:
    """Add what sections 4 and 5 say was subtracted from the rhythm."""
    if 4 not in sections or 5 not in sections:
        raise ValueError(f"{path.name} has a reference beat subtracted that is not in it.")
    beat = _Block.of(sections[5], path)
    if beat.interval != rhythm.interval:
        raise ValueError(
            f"{path.name} has a reference beat at another rate, which is not supported."
        )
    length_ms, fiducial, n_complexes = struct.unpack_from("<HHH", sections[4])
    n_beat = round(length_ms * 1000 / beat.interval)
    places = []
    for i in range(n_complexes):
        kind, first, middle, last = struct.unpack_from("<HIII", sections[4], 6 + 14 * i)
        if places and first <= places[-1][2]:
            raise ValueError(f"{path.name} has complexes that overlap, or are out of order.")
        if kind == 0:  # only complexes of the reference beat's own kind had it subtracted
            places.append((first, middle, last))
    beats = beat.values(sections, names, path, n_beat)
    return [
        add_reference_beats(values, one * (beat.unit / rhythm.unit), fiducial, places)
        for values, one in zip(stored, beats)
    ]


def _leads(section: bytes, path: Path) -> tuple[list[tuple[str, int, int]], bool]:
    """Name, announced and least number of samples of each lead; whether a beat was subtracted.

    Samples count from 1. Writers that count from 0 mean the last sample, or the one behind it.
    """
    leads = []
    for i in range(section[0]):
        first, last, code = struct.unpack_from("<IIB", section, 2 + 9 * i)
        if last < first or (last == 0 and first == 0):
            raise ValueError(f"{path.name}: a lead ends at sample {last}, before it begins.")
        n_samples = last - first + 1
        leads.append((lead_of_number(code), n_samples, n_samples - (first == 0)))
    return leads, bool(section[1] & 1)


def _tags(section: bytes) -> dict[int, bytes]:
    """Fields of section 1, the first of each number."""
    # Fields may come in any order and more than once (comments do); the first one counts.
    tags: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(section):
        tag, length = struct.unpack_from("<BH", section, at)
        if tag == 255:
            break
        tags.setdefault(tag, section[at + 3 : at + 3 + length])
        at += 3 + length
    return tags


def _age(tags: dict[int, bytes]) -> float:
    value = tags.get(4, b"")
    if len(value) != 3:
        return float("nan")
    number, unit = struct.unpack("<HB", value)
    years = {1: 1.0, 2: 1.0 / 12.0, 3: 7.0 / 365.25, 4: 1.0 / 365.25}.get(unit)
    return number * years if years and number else float("nan")


def _printed(section: bytes) -> dict[str, float]:
    """Rate, intervals and axis of the first reference beat."""
    # Too short for the measurements of one reference beat.
    if len(section) < 22:
        return {}
    rr = struct.unpack_from("<H", section, 2)[0]
    p, _, onset, offset, t_end = struct.unpack_from("<5H", section, 6)
    axis = struct.unpack_from("<h", section, 18)[0]
    printed: dict[str, float] = {}
    if rr and rr not in _NOT_COMPUTED:
        printed["heart_rate_bpm"] = 60_000.0 / rr
    spans = {"pr_ms": (p, onset), "qrs_duration_ms": (onset, offset), "qt_ms": (onset, t_end)}
    for name, (start, stop) in spans.items():
        if start not in _NOT_COMPUTED and stop not in _NOT_COMPUTED and stop > start:
            printed[name] = float(stop - start)
    if abs(axis) <= 360:
        printed["qrs_axis_deg"] = float(axis)
    return printed
