"""Philips Sierra XML (``restingecgdata``), also XLI-compressed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_rate, check_step
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import decode, number, text

# Where versions of the format keep what was printed for the whole record; the first that is there
# wins, value by value. Groups of like beats and single leads measure other things.
_PRINTED = {
    "heart_rate_bpm": ("heartrate", "meanventrate"),
    "pr_ms": ("print", "meanprint"),
    "qrs_duration_ms": ("qrsdur", "meanqrsdur"),
    "qt_ms": ("qtint", "meanqtint"),
    "qrs_axis_deg": ("qrsfrontaxis",),
}
_GLOBAL = (
    ".//interpretation/globalmeasurements",
    ".//interpretationmeasurements",
    ".//globalmeasurements",
    ".//crossleadmeasurements",
    ".//groupmeasurement",
)
_PERSON = {
    "patient_id": ".//generalpatientdata/patientid",
    "last_name": ".//generalpatientdata/name/lastname",
    "first_name": ".//generalpatientdata/name/firstname",
    "birth_date": ".//generalpatientdata/age/dateofbirth",
}
_STANDARD = "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6"
_CODE_BITS = 10
# A lead; half an hour at 500 Hz. A kilobyte of codes can unpack to half a megabyte.
_LONGEST = 1_000_000
_MOST_SAMPLES = 20_000_000


def read_sierra(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the parsed waveforms of a Sierra file; ``header["printed"]`` has what was printed.

    These are the global measurements, as edited by a reader where the file says so, not those of
    the first group of beats.

    Parameters
    ----------
    root : Element
        Of the parsed file, without namespaces.
    path : Path
        Only named in messages.
    identifiers : bool
        Keep name, record number, dates and the text of the interpretation.

    Returns
    -------
    ECG

    Raises
    ------
    ValueError
        There are no waveforms, they are compressed or laid out in a way that is not known, or
        damaged.
    """
    wave = root.find(".//parsedwaveforms")
    if wave is None:
        raise ValueError(
            f"{path.name} has no parsedwaveforms, where Philips Sierra keeps its samples. "
            "Export it again."
        )
    signal = root.find(".//signalcharacteristics")
    names = wave.get("leadlabels", _STANDARD).split()
    fs = _number(wave.get("samplespersecond"), number(signal, "samplingrate"))
    resolution = number(signal, "signalresolution")
    resolution = _number(wave.get("resolution"), resolution)
    if not np.isfinite(resolution):
        resolution = number(signal, "resolution")
    duration = _number(wave.get("durationperchannel"), float("nan"))
    if not (np.isfinite(resolution) and np.isfinite(fs) and 0 < duration < np.inf):
        raise ValueError(f"{path.name} lacks its sampling rate, resolution or duration.")
    if not names:
        raise ValueError(
            f"{path.name} names no leads (parsedwaveforms/@leadlabels). Export it again."
        )
    check_rate(fs, path)
    check_step(resolution / 1000.0, path.name)
    n_samples = round(min(duration * fs / 1000.0, _LONGEST + 1))
    if n_samples > _LONGEST:
        raise ValueError(
            f"{path.name} announces {duration / 1000:g} s at {fs:g} Hz; a resting ECG has under "
            f"{_LONGEST} samples."
        )
    raw = decode(wave.text, f"{path.name}: parsedwaveforms")
    method = wave.get("compression") or wave.get("compressmethod") or ""
    if method.upper() == "XLI":
        samples = decompress(raw, n_samples, path)
        samples = _limb_leads_of(samples, names)
    elif method.lower() in ("", "uncompressed", "none"):
        samples = _plain(raw, len(names), n_samples, path)
    else:
        raise ValueError(f"{path.name}: waveforms compressed by {method!r} are not supported.")
    if len(samples) < len(names):
        raise ValueError(f"{path.name} names {len(names)} leads, {len(samples)} are there.")
    samples = samples[: len(names)]
    end = _end_of_heart(np.stack(samples), fs)
    leads: dict[str, np.ndarray] = {}
    for name, values in zip(names, samples):
        add_lead(leads, name, values[:end] * resolution / 1000.0, path)
    header: dict[str, Any] = {
        **describe_patient(
            number(root, ".//generalpatientdata/age/years"),
            text(root, ".//generalpatientdata/sex"),
        ),
        "printed": _printed(root),
    }
    if identifiers:
        header.update({name: text(root, where) for name, where in _PERSON.items()})
        acquired = root.find(".//dataacquisition")
        header.update({} if acquired is None else {k: acquired.get(k) for k in ("date", "time")})
        statements = (text(s, "leftstatement") for s in root.iter("statement"))
        header["statements"] = [s for s in statements if s]
    return assemble_ecg(leads, fs, header, "sierra", path)


def _printed(root: Element) -> dict[str, float]:
    printed: dict[str, float] = {}
    for where in _GLOBAL:
        measured = root.find(where)
        for ours, names in _PRINTED.items():
            for theirs in names:
                value = number(measured, theirs)
                # 0 ms and 0 bpm are what is written where nothing could be measured.
                if np.isfinite(value) and (value > 0 or ours == "qrs_axis_deg"):
                    printed.setdefault(ours, value)
    return printed


def _number(value: str | None, otherwise: float) -> float:
    try:
        return float(value) if value is not None else otherwise
    except ValueError:
        return otherwise


def _plain(raw: bytes, n_leads: int, n_samples: int, path: Path) -> list[np.ndarray]:
    # Twelve leads of 5500 samples are eleven of 6000 as well: only the duration tells them apart.
    if len(raw) % (2 * n_leads) or abs(len(raw) // (2 * n_leads) - n_samples) > 1:
        raise ValueError(
            f"{path.name}: {len(raw)} bytes are not {n_leads} leads of 16 bits and {n_samples} "
            "samples."
        )
    return list(np.frombuffer(raw, dtype="<i2").reshape(n_leads, -1).astype(np.int64))


def _limb_leads_of(samples: list[np.ndarray], names: list[str]) -> list[np.ndarray]:
    """Leads III to aVF from what they differ by from their value by I and II."""
    if names[:6] != _STANDARD.split()[:6] or len(samples) < 6:
        return samples
    one, two, three, right, left, foot = samples[:6]
    three = _wrapped(two - one - three)
    right = _wrapped(-right - (one + two) // 2)
    left = _wrapped((one - three) // 2 - left)
    foot = _wrapped((two + three) // 2 - foot)
    return [one, two, three, right, left, foot, *samples[6:]]


def _wrapped(samples: np.ndarray) -> np.ndarray:
    """Samples as the 16-bit integers that the recorder computed with."""
    return samples.astype(np.int16).astype(np.int64)


def _end_of_heart(samples: np.ndarray, fs: float) -> int:
    """Where the calibration pulse that some recorders append begins: all leads are then equal."""
    apart = np.flatnonzero(np.ptp(samples, axis=0) > 0)
    end = int(apart[-1]) + 1 if len(apart) and len(samples) > 1 else samples.shape[1]
    return end if samples.shape[1] - end > 0.1 * fs else samples.shape[1]


def decompress(raw: bytes, n_samples: int, path: Path) -> list[np.ndarray]:
    """Leads of an XLI stream: blocks of LZW codes of second differences.

    Parameters
    ----------
    raw : bytes
        Blocks, one per lead: length (4 bytes), flag (2), first difference (2), codes.
    n_samples : int
        Of a lead; what comes out beyond it is filling.
    path : Path
        Only named in messages.

    Returns
    -------
    list of ndarray of int64

    Raises
    ------
    ValueError
        A block is cut short, or fewer samples come out of it.
    """
    leads: list[np.ndarray] = []
    at = 0
    while at < len(raw):
        where = f"{path.name}, block {len(leads) + 1} of the waveforms"
        # Four kilobytes of codes can stand for a million samples: count them as they come out.
        if (len(leads) + 1) * n_samples > _MOST_SAMPLES:
            raise ValueError(f"{where}: a resting ECG has under {_MOST_SAMPLES} samples.")
        if at + 8 > len(raw):
            raise ValueError(f"{where} is cut short. Copy or export the file again.")
        size, _, first = struct.unpack_from("<IHh", raw, at)
        block = raw[at + 8 : at + 8 + size]
        if len(block) < size:
            raise ValueError(f"{where} is cut short. Copy or export the file again.")
        data = _unpack(block, 2 * n_samples)
        if len(data) < 2 * n_samples or n_samples < 3:
            raise ValueError(f"{where}: {n_samples} samples expected, {len(data) // 2} come out.")
        leads.append(_integrate(data, first))
        at += 8 + size
    return leads


def _unpack(block: bytes, n_bytes: int) -> bytes:
    """Bytes of LZW codes of ten bits, most significant bit first; up to the first bad code."""
    table = [bytes([i]) for i in range(256)]
    n_codes = len(block) * 8 // _CODE_BITS
    bits = np.unpackbits(np.frombuffer(block, dtype=np.uint8))[: n_codes * _CODE_BITS]
    weights = 1 << np.arange(_CODE_BITS - 1, -1, -1)
    out, length, before = [], 0, b""
    for code in (bits.reshape(n_codes, _CODE_BITS) @ weights).tolist():
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            break
        out.append(entry)
        length += len(entry)
        if length >= n_bytes:
            break
        if before and len(table) < 1 << _CODE_BITS:
            table.append(before + entry[:1])
        before = entry
    return b"".join(out)[:n_bytes]


def _integrate(data: bytes, first: int) -> np.ndarray:
    """Samples of second differences, whose high bytes all come before their low bytes."""
    n = len(data) // 2
    high = np.frombuffer(data, dtype=np.int8)[:n].astype(np.int64)
    low = np.frombuffer(data, dtype=np.uint8)[n : 2 * n].astype(np.int64)
    delta = (high << 8) | low
    # z - 2 y + x is minus the difference stored one sample before, which is 64 too large; the two
    # first samples are stored as they are.
    second = 64 - np.concatenate([[64 + first], delta[2:-1]])
    slope = np.cumsum(np.concatenate([[delta[1] - delta[0]], second]))
    return _wrapped(delta[0] + np.concatenate([[0], np.cumsum(slope)]))
