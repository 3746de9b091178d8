"""Mortara ELI XML (``ECG`` with ``CHANNEL`` elements)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import decode

_PERSON = {"patient_id": "ID", "last_name": "LAST_NAME", "first_name": "FIRST_NAME"}


def read_mortara(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the channels of a Mortara file; ``header["printed"]`` has its ventricular rate.

    Parameters
    ----------
    root : Element
        Of the parsed file, without namespaces.
    path : Path
        Only named in messages.
    identifiers : bool
        Keep name, record number and date.

    Returns
    -------
    ECG

    Raises
    ------
    ValueError
        There are no channels; they differ in rate or start; or samples are stored in another way
        than 16 signed bits in Base64, or fewer than their duration announces.
    """
    channels = root.findall("CHANNEL")
    if not channels:
        raise ValueError(f"{path.name} has no CHANNEL: there is no rhythm in it.")
    # Channels that start at different times cannot be stacked.
    for key in ("SAMPLE_FREQ", "OFFSET"):
        values = {channel.get(key, "") for channel in channels}
        if len(values) > 1:
            raise ValueError(
                f"{path.name} has channels with {key} {sorted(values)}; one is expected."
            )
    fs = _attribute(channels[0], "SAMPLE_FREQ")
    leads: dict[str, np.ndarray] = {}
    for channel in channels:
        name = channel.get("NAME", "")
        add_lead(leads, name, _samples(channel, f"{path.name}, lead {name}"), path)
    # An anonymised file may lack the element; the signal does not depend on it.
    person = root.find("SUBJECT")
    person = Element("SUBJECT") if person is None else person
    years = person.get("AGE_UNITS", "YEARS").upper() in ("", "YEARS")
    rate = _attribute(root, "VENT_RATE")
    header: dict[str, Any] = {
        **describe_patient(
            _attribute(person, "AGE") if years else float("nan"), person.get("GENDER", "")
        ),
        "printed": {"heart_rate_bpm": rate} if rate > 0 else {},
    }
    if identifiers:
        header.update({name: person.get(key, "") for name, key in _PERSON.items()})
        header["date"] = root.get("ACQUISITION_TIME", "")
    return assemble_ecg(leads, fs, header, "mortara", path)


def _samples(channel: Element, where: str) -> np.ndarray:
    stored = tuple(channel.get(key, "").upper() for key in ("BITS", "FORMAT", "ENCODING"))
    if stored != ("16", "SIGNED", "BASE64"):
        raise ValueError(f"{where}: 16 signed bits in Base64 are read, not {', '.join(stored)}.")
    per_millivolt = _attribute(channel, "UNITS_PER_MV")
    if not per_millivolt > 0:
        raise ValueError(f"{where}: {per_millivolt:g} units per millivolt; above 0 is expected.")
    step = check_step(1.0 / per_millivolt, where)
    raw = decode(channel.get("DATA"), where)
    n_samples = len(raw) / 2
    # Devices give DURATION in seconds, milliseconds or samples; one of them must fit.
    duration, fs = _attribute(channel, "DURATION"), _attribute(channel, "SAMPLE_FREQ")
    announced = (duration * fs, duration * fs / 1000.0, duration)
    fits = any(abs(n_samples - n) <= 1 for n in announced) or not np.isfinite(duration)
    if len(raw) % 2 or not fits:
        raise ValueError(f"{where}: a duration of {duration:g} does not fit {n_samples:g} samples.")
    return np.frombuffer(raw, dtype="<i2") * step


def _attribute(element: Element, name: str) -> float:
    try:
        return float(element.get(name, ""))
    except ValueError:
        return float("nan")
