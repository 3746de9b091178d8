"""GE MUSE XML (``RestingECG``)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step, scale_of
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import decode, number, numbers_of, text

_PRINTED = {
    "heart_rate_bpm": "VentricularRate",
    "pr_ms": "PRInterval",
    "qrs_duration_ms": "QRSDuration",
    "qt_ms": "QTInterval",
    "qrs_axis_deg": "RAxis",
}
_PERSON = {
    "patient_id": "PatientDemographics/PatientID",
    "last_name": "PatientDemographics/PatientLastName",
    "first_name": "PatientDemographics/PatientFirstName",
    "birth_date": "PatientDemographics/DateofBirth",
    "date": "TestDemographics/AcquisitionDate",
    "time": "TestDemographics/AcquisitionTime",
}


def read_muse(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the rhythm strip of a MUSE file; ``header["printed"]`` has what the device printed.

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
        There is no rhythm waveform, its data are damaged or not as they are said to be.
    """
    # The median beat is a Waveform too.
    waves = [w for w in root.iter("Waveform") if text(w, "WaveformType").lower() == "rhythm"]
    if len(waves) != 1:
        raise ValueError(f"{path.name} has {len(waves)} rhythm waveforms; one is expected.")
    wave = waves[0]
    fs = number(wave, "SampleBase") * 10.0 ** np.nan_to_num(number(wave, "SampleExponent"))
    leads: dict[str, np.ndarray] = {}
    for lead in wave.iter("LeadData"):
        add_lead(leads, text(lead, "LeadID"), _samples(lead, path), path)
    age = number(root, "PatientDemographics/PatientAge")
    if text(root, "PatientDemographics/AgeUnits").upper() not in ("", "YEARS"):
        age = float("nan")
    filters = {
        # MUSE gives the high pass in hundredths of a hertz.
        "high_pass": number(wave, "HighPassFilter") / 100.0,
        "low_pass": number(wave, "LowPassFilter"),
        "mains": number(wave, "ACFilter"),
    }
    header: dict[str, Any] = {
        **describe_patient(age, text(root, "PatientDemographics/Gender")),
        "printed": numbers_of(root.find("RestingECGMeasurements"), _PRINTED),
        "filters_hz": {name: value for name, value in filters.items() if np.isfinite(value)},
    }
    if identifiers:
        header.update({name: text(root, where) for name, where in _PERSON.items()})
        header["statements"] = [s for e in root.iter("StmtText") if (s := (e.text or "").strip())]
    return assemble_ecg(leads, fs, header, "muse", path)


def _samples(lead: Element, path: Path) -> np.ndarray:
    name = text(lead, "LeadID")
    where = f"{path.name}, lead {name}"
    if number(lead, "LeadSampleSize") != 2:
        raise ValueError(f"{where}: samples of 2 bytes are expected; export the record again.")
    raw = decode(lead.findtext("WaveFormData"), where)
    n = number(lead, "LeadSampleCountTotal")
    if len(raw) != 2 * n:
        raise ValueError(f"{where}: {n:g} samples are announced, {len(raw) / 2:g} are there.")
    # 0 stands where the writer computed none.
    checksum = text(lead, "LeadDataCRC32")
    if checksum.isdecimal() and int(checksum) not in (0, zlib.crc32(raw)):
        raise ValueError(f"{where}: the checksum does not fit, the samples are damaged.")
    unit = scale_of(text(lead, "LeadAmplitudeUnits"), path)
    step = check_step(number(lead, "LeadAmplitudeUnitsPerBit") * unit, where)
    return np.frombuffer(raw, dtype="<i2") * step
