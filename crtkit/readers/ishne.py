"""ISHNE Holter files (Badilini, Annals of Noninvasive Electrocardiology 3, 1998)."""

from __future__ import annotations

import binascii
import struct
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.assemble import describe_patient
from crtkit.readers.calibration import check_step
from crtkit.readers.channels import Channel, ecg_of_channels
from crtkit.readers.ecg import ECG

_LEADS = {
    **{1: "bipolar", 2: "X", 3: "Y", 4: "Z", 5: "I", 6: "II", 7: "III", 8: "aVR", 9: "aVL"},
    **{10: "aVF", 11: "V1", 12: "V2", 13: "V3", 14: "V4", 15: "V5", 16: "V6", 17: "ES"},
    **{18: "AS", 19: "AI"},
}
_AT = 10  # magic and checksum before
_HEADER = 522
_MOST_SAMPLES = 200_000_000


def read_ishne(path: Path, *, identifiers: bool = False) -> ECG:
    """Read an ISHNE Holter file.

    Parameters
    ----------
    path : Path
    identifiers : bool
        Keep name, number, birth date and date.

    Returns
    -------
    ECG
        Leads that are not specified are called ``lead1``, ``lead2``, ...; equal codes get a number.

    Raises
    ------
    ValueError
        The header does not fit its checksum, announces what cannot be, or more samples than there
        are; or a resolution is none that a recorder has.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER:
            raise ValueError(
                f"{path.name} ends within its header: it was cut short. Copy it again."
            )
        checksum, variable, n_samples, at, at_ecg = _sizes(head)
        if not _HEADER <= at <= at_ecg <= size or variable != at_ecg - at:
            raise ValueError(f"{path.name} has an ISHNE header that points outside of the file.")
        file.seek(_AT)
        # Some writers leave 0 where they did not compute it.
        if checksum and binascii.crc_hqx(file.read(at_ecg - _AT), 0xFFFF) != checksum:
            raise ValueError(f"{path.name}: the checksum of its header does not fit.")
        (n_leads,) = struct.unpack_from("<h", head, 156)
        if not 1 <= n_leads <= 12:
            raise ValueError(f"{path.name} announces {n_leads} leads; 1 to 12 are expected.")
        there = (size - at_ecg) // (2 * n_leads)
        # The field is the number of samples of a lead; some writers count all leads together.
        if n_samples == there * n_leads:
            n_samples = there
        if not 0 < n_samples <= there or n_samples * n_leads > _MOST_SAMPLES:
            raise ValueError(f"{path.name} announces {n_samples} samples and has {there}.")
        file.seek(at_ecg)
        raw = file.read(2 * n_leads * n_samples)
    codes = struct.unpack_from("<12h", head, 158)[:n_leads]
    resolution = struct.unpack_from("<12h", head, 206)[:n_leads]
    (fs,) = struct.unpack_from("<h", head, 272)
    stored = np.frombuffer(raw, dtype="<i2").reshape(n_samples, n_leads)
    channels = []
    for name, nanovolt, samples in zip(_names(codes), resolution, stored.T):
        step = check_step(nanovolt * 1e-6, f"{path.name}, lead {name}")
        # A day of three leads is 50 million samples: float32 from the start.
        channels.append(Channel(name, float(fs), samples * np.float32(step)))
    return ecg_of_channels(channels, (), _patient(head, identifiers), "ishne", path)


def _sizes(head: bytes) -> tuple[int, int, int, int, int]:
    (checksum,) = struct.unpack_from("<H", head, 8)
    variable, n_samples, at, at_ecg = struct.unpack_from("<4i", head, _AT)
    return checksum, variable, n_samples, at, at_ecg


def _names(codes) -> list[str]:
    names: list[str] = []
    for number, code in enumerate(codes, 1):
        name = _LEADS.get(code, f"lead{number}")
        names.append(name if name not in names else f"{name}_{number}")
    return names


def _patient(head: bytes, identifiers: bool) -> dict[str, Any]:
    (sex,) = struct.unpack_from("<h", head, 128)
    header = describe_patient(float("nan"), {1: "male", 2: "female"}.get(sex, ""))
    if identifiers:
        for name, at, width in (
            ("first_name", 28, 40),
            ("last_name", 68, 40),
            ("patient_id", 108, 20),
        ):
            header[name] = head[at : at + width].split(b"\0")[0].decode("latin-1").strip()
        for name, at in (("birth_date", 132), ("date", 138)):
            day, month, year = struct.unpack_from("<3h", head, at)
            header[name] = f"{year:04d}-{month:02d}-{day:02d}"
    return header
