"""EDF, EDF+ and BDF (European Data Format, 16 and 24 bits)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.assemble import describe_patient
from crtkit.readers.calibration import check_baseline, check_step, scale_of
from crtkit.readers.channels import Channel, ecg_of_channels, is_ecg_channel
from crtkit.readers.ecg import ECG

_MOST_SIGNALS = 1_000
_MOST_SAMPLES = 200_000_000
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
# An annotation list begins with the onset of its data record: "+12.5\x14\x14".
_ONSET = re.compile(rb"([+-]\d+(?:\.\d+)?)(?:\x15[\d.]*)?\x14\x14")


@dataclass(frozen=True)
class _Signal:
    name: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    n_samples: int  # of a data record


def read_edf(path: Path, *, identifiers: bool = False) -> ECG:
    """Read the ECG channels of an EDF, EDF+ or BDF file.

    Parameters
    ----------
    path : Path
    identifiers : bool
        Keep the fields of patient and recording, and the date.

    Returns
    -------
    ECG
        The channels in volts that are not another signal's (EEG, pressures); where several rates
        occur, those of the commonest. ``header["left_out"]`` names the others. Interruptions of a
        discontinuous file (EDF+D) are NaN.

    Raises
    ------
    ValueError
        The header is damaged, the file is shorter than announced, no channel is an ECG, or a
        calibration is none that a recorder has.
    """
    with path.open("rb") as file:
        fixed = file.read(256)
        version, n_bytes = ("BDF", 3) if fixed[:1] == b"\xff" else ("EDF", 2)
        n_signals = _whole(fixed[252:256], "number of signals", path)
        if not 0 < n_signals <= _MOST_SIGNALS:
            raise ValueError(f"{path.name} announces {n_signals} signals; 1 to 1000 are expected.")
        signals = _signals(file.read(256 * n_signals), n_signals, path)
        length = _number(fixed[244:252], "duration of a data record", path)
        size = sum(signal.n_samples for signal in signals) * n_bytes
        there = (path.stat().st_size - 256 * (1 + n_signals)) // max(size, 1)
        n_records = _whole(fixed[236:244], "number of data records", path)
        if n_records == -1:  # a recording that was not closed
            n_records = there
        if n_records > there or n_records < 1 or not size:
            raise ValueError(f"{path.name} announces {n_records} data records and has {there}.")
        if n_records * size // n_bytes > _MOST_SAMPLES:
            raise ValueError(f"{path.name} has over {_MOST_SAMPLES} samples; it is not read.")
        raw = np.frombuffer(file.read(n_records * size), dtype=np.uint8).reshape(n_records, size)
    kind = fixed[192:197].decode("latin-1")
    bounds = np.cumsum([0, *(signal.n_samples * n_bytes for signal in signals)])
    starts = np.arange(n_records) * length
    if kind.endswith("+D"):
        starts = _onsets(raw, signals, bounds, path)
    channels, left_out = [], []
    # Of each channel, so that the interruptions of all of them fit into memory.
    most = _MOST_SAMPLES // max(sum(is_ecg_channel(s.name, s.unit) for s in signals), 1)
    for signal, first, last in zip(signals, bounds, bounds[1:]):
        if is_ecg_channel(signal.name, signal.unit):
            stored = _integers(raw[:, first:last], n_bytes)
            values = _millivolt(stored, signal, path)
            channels.append(_placed(values, signal, starts, length, most, path))
        elif signal.name not in _ANNOTATIONS:
            left_out.append(f"{signal.name} ({signal.unit})")
    if not channels:
        raise ValueError(f"{path.name} has the channels {left_out}; an ECG is in mV, uV or V.")
    header = _header(fixed, kind, identifiers)
    return ecg_of_channels(channels, left_out, header, version.lower(), path)


def _signals(raw: bytes, n: int, path: Path) -> list[_Signal]:
    if len(raw) < 256 * n:
        raise ValueError(f"{path.name} ends within its header: it was cut short. Copy it again.")
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    fields, at = [], 0
    for width in widths:
        fields.append([raw[at + i * width : at + (i + 1) * width] for i in range(n)])
        at += width * n
    out = []
    for i in range(n):
        name = fields[0][i].decode("latin-1").strip(" \0")
        where = f"signal {name or i + 1}"
        values = [_number(fields[k][i], f"range of {where}", path) for k in (3, 4, 5, 6)]
        n_samples = _whole(fields[8][i], f"number of samples of {where}", path)
        if not 0 <= n_samples <= _MOST_SAMPLES:
            raise ValueError(f"{path.name}: {where} has {n_samples} samples in a data record.")
        unit = fields[2][i].decode("latin-1").strip(" \0")
        out.append(_Signal(name, unit, (values[0], values[1]), (values[2], values[3]), n_samples))
    return out


def _integers(raw: np.ndarray, n_bytes: int) -> np.ndarray:
    if n_bytes == 2:
        return np.ascontiguousarray(raw).view("<i2").astype(np.float64)
    low, middle, high = (raw[:, k::3].astype(np.int32) for k in range(3))
    value = low | middle << 8 | high << 16
    return ((value ^ 0x800000) - 0x800000).astype(np.float64)


def _millivolt(stored: np.ndarray, signal: _Signal, path: Path) -> np.ndarray:
    where = f"{path.name}, lead {signal.name}"
    (low, high), (first, last) = signal.physical, signal.digital
    if first >= last or low == high:
        raise ValueError(
            f"{where}: the range {first:g} to {last:g} stands for {low:g} to {high:g}."
        )
    step = (high - low) / (last - first)
    scale = scale_of(signal.unit, path)
    check_step(abs(step) * scale, where)  # negative where the amplifier inverts
    check_baseline(low / step - first, where)
    return ((stored - first) * step + low) * scale


def _placed(values, signal: _Signal, starts, length: float, most: int, path: Path) -> Channel:
    """Samples of all data records, each at its time; ``most`` with their interruptions."""
    fs = signal.n_samples / length if length > 0 else float("nan")
    flat = values.reshape(-1)
    if not math.isfinite(fs):
        return Channel(signal.name, fs, flat)
    at = np.round((starts - starts[0]) * fs).astype(np.int64)
    if (np.diff(at) == signal.n_samples).all():
        return Channel(signal.name, fs, flat)
    if (np.diff(at) < signal.n_samples).any() or at[-1] > most:
        raise ValueError(f"{path.name} has data records that overlap, or lie too far apart.")
    out = np.full(at[-1] + signal.n_samples, np.nan, dtype=np.float32)
    for place, record in zip(at.tolist(), values):
        out[place : place + signal.n_samples] = record
    return Channel(signal.name, fs, out)


def _onsets(raw, signals, bounds, path: Path) -> np.ndarray:
    lists = [i for i, signal in enumerate(signals) if signal.name in _ANNOTATIONS]
    if not lists:
        raise ValueError(f"{path.name} is discontinuous (EDF+D) and does not say where.")
    onsets = []
    for record in raw[:, bounds[lists[0]] : bounds[lists[0] + 1]]:
        match = _ONSET.match(record.tobytes())
        if match is None:
            raise ValueError(f"{path.name} has a data record that does not say its time.")
        onsets.append(float(match[1]))
    return np.array(onsets)


def _header(fixed: bytes, kind: str, identifiers: bool) -> dict[str, Any]:
    patient = fixed[8:88].decode("latin-1").strip()
    parts = patient.split() if kind[3:4] == "+" else []
    header = describe_patient(float("nan"), parts[1] if len(parts) > 1 else "")
    if identifiers:
        header["patient"] = patient
        header["recording"] = fixed[88:168].decode("latin-1").strip()
        header["date"] = fixed[168:176].decode("latin-1").strip()
        header["time"] = fixed[176:184].decode("latin-1").strip()
    return header


def _number(field: bytes, what: str, path: Path) -> float:
    try:
        # Some writers put a decimal comma.
        value = float(field.decode("latin-1").strip(" \0").replace(",", "."))
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise ValueError(f"{path.name} has {field!r} as {what}; a number is expected.")
    return value


def _whole(field: bytes, what: str, path: Path) -> int:
    value = _number(field, what, path)
    if value != int(value):
        raise ValueError(f"{path.name} has {field!r} as {what}; a whole number is expected.")
    return int(value)
