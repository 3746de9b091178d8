"""SCP-ECG (EN 1064), with the standard's own Huffman table and no subtracted beats."""

from __future__ import annotations

import binascii
import struct
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import whole_rate
from crtkit.readers.ecg import ECG
from crtkit.readers.lead_codes import lead_of_number

_STANDARD_TABLE = 19999
_NOT_COMPUTED = (29999, 29998, 19999)
_HEAD = 16
_LARGEST = 30_000_000
_NEEDED = (1, 2, 3, 6, 7)


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
        The file is damaged (its checksum does not fit), or uses a Huffman table of its own,
        bimodal compression, or the subtraction of a reference beat, which are not read.
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
    table = struct.unpack_from("<H", sections[2])[0] if 2 in sections else None
    if table not in (None, _STANDARD_TABLE):
        raise ValueError(f"{path.name} brings its own Huffman table, which is not read.")
    names = _leads(sections[3], path)
    unit, interval, order, bimodal = struct.unpack_from("<HHBB", sections[6])
    if bimodal or order > 2 or not interval or not unit:
        raise ValueError(f"{path.name} is compressed in a way that is not read.")
    sizes = struct.unpack_from(f"<{len(names)}H", sections[6], 6)
    leads: dict[str, np.ndarray] = {}
    at = 6 + 2 * len(names)
    for (name, n_samples), size in zip(names, sizes):
        block = sections[6][at : at + size]
        if table is None:
            whole = block[: len(block) // 2 * 2]
            values = np.frombuffer(whole, dtype="<i2")[:n_samples].astype(np.int64)
        else:
            values = unpack(block, n_samples)
        if len(values) < n_samples:
            raise ValueError(f"{path.name}, lead {name}: {n_samples} samples are not there.")
        add_lead(leads, name, _integrate(values, order) * unit * 1e-6, path)
        at += size
    # Intervals are whole microseconds: 1667 is 600 Hz.
    rate = whole_rate(1e6 / interval)
    tags = _tags(sections.get(1, b""))
    header: dict[str, Any] = {
        **describe_patient(_age(tags), {1: "male", 2: "female"}.get(tags.get(8, b"\0")[0], "")),
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


def _leads(section: bytes, path: Path) -> list[tuple[str, int]]:
    """Name and number of samples of each lead."""
    if section[1] & 1:
        raise ValueError(f"{path.name} has a reference beat subtracted, which is not read.")
    leads = []
    for i in range(section[0]):
        first, last, code = struct.unpack_from("<IIB", section, 2 + 9 * i)
        if last < first:
            raise ValueError(f"{path.name}: a lead ends at sample {last}, before it begins.")
        leads.append((lead_of_number(code), last - first + 1))
    return leads


def unpack(block: bytes, n_samples: int) -> np.ndarray:
    """Values of the standard's Huffman code.

    A value k from -8 to 8 is |k| ones (at most: one for 0), a zero, and a sign bit; nine ones and
    a one more are followed by 8 bits, or by 16.

    Parameters
    ----------
    block : bytes
    n_samples : int

    Returns
    -------
    ndarray of int64, shape (up to n_samples,)
        Fewer where the block ends before.
    """
    bits = np.unpackbits(np.frombuffer(block, dtype=np.uint8))
    zeros = np.flatnonzero(bits == 0).tolist() + [len(bits)]
    listed = bits.tolist()
    values: list[int] = []
    at = place = 0
    while len(values) < n_samples and at < len(listed):
        while place < len(zeros) - 1 and zeros[place] < at:
            place += 1
        ones = zeros[place] - at
        if ones == 0:
            values.append(0)
            at += 1
        elif ones < 9:
            if at + ones + 1 >= len(listed):
                break
            values.append(-ones if listed[at + ones + 1] else ones)
            at += ones + 2
        else:
            # Nine ones: a zero then means 8 bits, a tenth one 16.
            width = 8 if ones == 9 else 16
            start = at + 10
            if start + width > len(listed):
                break
            number = int("".join(map(str, listed[start : start + width])), 2)
            values.append(number - (1 << width) if listed[start] else number)
            at = start + width
    return np.array(values, dtype=np.int64)


def _integrate(values: np.ndarray, order: int) -> np.ndarray:
    """Samples of first or second differences; the first one or two are stored as they are."""
    if order == 0 or len(values) < 2:
        return values
    if order == 1:
        return np.cumsum(values)
    slope = np.cumsum(np.concatenate([[values[1] - values[0]], values[2:]]))
    return values[0] + np.concatenate([[0], np.cumsum(slope)])


def _tags(section: bytes) -> dict[int, bytes]:
    """Fields of section 1, the first of each number."""
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
    if len(section) < 22:
        return {}
    rr = struct.unpack_from("<H", section, 2)[0]
    p, _, onset, offset, t_end = struct.unpack_from("<5H", section, 6)
    axis = struct.unpack_from("<h", section, 18)[0]
    found: dict[str, float] = {}
    if rr and rr not in _NOT_COMPUTED:
        found["heart_rate_bpm"] = 60_000.0 / rr
    spans = {"pr_ms": (p, onset), "qrs_duration_ms": (onset, offset), "qt_ms": (onset, t_end)}
    for name, (start, stop) in spans.items():
        if start not in _NOT_COMPUTED and stop not in _NOT_COMPUTED and stop > start:
            found[name] = float(stop - start)
    if abs(axis) <= 360:
        found["qrs_axis_deg"] = float(axis)
    return found
