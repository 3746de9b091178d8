"""DICOM waveforms (12-lead and general ECG), through pydicom."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import import_optional
from crtkit._leads import LEADS_12, lead_name
from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step, scale_of
from crtkit.readers.ecg import ECG
from crtkit.readers.lead_codes import lead_of_number

_PRINTED = {
    "qrs duration": "qrs_duration_ms",
    "pr interval": "pr_ms",
    "qt interval": "qt_ms",
    "qrs axis": "qrs_axis_deg",
    "rr interval": "rr_ms",
    "ventricular heart rate": "heart_rate_bpm",
    "heart rate": "heart_rate_bpm",
}
_PERSON = {
    **{"patient_id": "PatientID", "name": "PatientName", "birth_date": "PatientBirthDate"},
    **{"date": "AcquisitionDateTime"},
}


def read_dicom(path: Path, *, identifiers: bool = False) -> ECG:
    """Read the recorded rhythm of a DICOM ECG; ``header["printed"]`` has its measurements.

    Parameters
    ----------
    path : Path
    identifiers : bool
        Keep name, record number and dates.

    Returns
    -------
    ECG
        Of the multiplex group called RHYTHM, or of the longest original one.

    Raises
    ------
    ImportError
        pydicom is not installed.
    ValueError
        No DICOM file, no waveform in it, or one that is damaged, deflated, or has no unit.
    """
    pydicom = import_optional("pydicom", extra="readers", purpose="Reading DICOM ECGs")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            meta = pydicom.filereader.read_file_meta_info(path)
            # A megabyte of these can unpack to a gigabyte before anything is known of it.
            if meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian:
                raise ValueError("it is deflated; write it uncompressed first.")
            return _read(pydicom.dcmread(path), path, identifiers)
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        why = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path.name} cannot be read as a DICOM ECG: {why}") from error


def _read(file: Any, path: Path, identifiers: bool) -> ECG:
    groups = list(file.get("WaveformSequence", ()))
    number = _rhythm(groups)
    if number is None:
        raise ValueError("there is no waveform in it.")
    group = groups[number]
    padding = _padding(group)
    arrays = np.asarray(file.waveform_array(number), dtype=float).T
    leads: dict[str, np.ndarray] = {}
    for channel, values, stored in zip(
        group.ChannelDefinitionSequence, arrays, _raw(file, number), strict=True
    ):
        name = _name(channel)
        units = channel.get("ChannelSensitivityUnitsSequence")
        if not units:
            raise ValueError(f"lead {name} has no unit.")
        check_step(float(channel.get("ChannelSensitivity", "nan")), f"lead {name}")
        values = values * scale_of(str(units[0].get("CodeValue", "")), path)
        if padding is not None:
            values[stored == padding] = np.nan
        add_lead(leads, name, values, path)
    header: dict[str, Any] = {
        **describe_patient(
            _years(str(file.get("PatientAge") or "")), str(file.get("PatientSex") or "")
        ),
        "printed": _printed(file),
    }
    if identifiers:
        header.update({name: str(file.get(tag) or "") for name, tag in _PERSON.items()})
    return assemble_ecg(leads, float(group.get("SamplingFrequency", "nan")), header, "dicom", path)


def _rhythm(groups: list[Any]) -> int | None:
    """Number of the group that holds what was recorded; median beats are groups too."""
    labels = [str(group.get("MultiplexGroupLabel") or "").upper() for group in groups]
    if "RHYTHM" in labels:
        return labels.index("RHYTHM")
    original = [
        i for i, group in enumerate(groups) if group.get("WaveformOriginality") != "DERIVED"
    ]
    candidates = original or list(range(len(groups)))
    lengths = [int(groups[i].get("NumberOfWaveformSamples") or 0) for i in candidates]
    return candidates[int(np.argmax(lengths))] if candidates else None


def _raw(file: Any, number: int) -> np.ndarray:
    from pydicom.waveforms import multiplex_array

    return multiplex_array(file, number, as_raw=True).T


def _padding(group: Any) -> int | None:
    """Stored value that stands for no sample; None where there is none."""
    value = group.get("WaveformPaddingValue")
    if not isinstance(value, bytes):
        return value if isinstance(value, int) else None
    signed = str(group.WaveformSampleInterpretation).startswith("S")
    return int.from_bytes(value[: group.WaveformBitsAllocated // 8], "little", signed=signed)


def _name(channel: Any) -> str:
    """Lead of a channel, by its code or by what the code means."""
    source = channel.get("ChannelSourceSequence")
    code = str(source[0].get("CodeValue") or "") if source else ""
    last = code.replace(":", "-").rpartition("-")[2]
    if (code.startswith("5.6.3-9-") or code.startswith("2:")) and last.isdigit():
        return lead_of_number(int(last))
    meaning = str(source[0].get("CodeMeaning") or "") if source else ""
    words = [lead_name(word) for word in meaning.replace("(", " ").split()]
    known = [word for word in words if word in LEADS_12]
    return known[0] if known else str(channel.get("ChannelLabel") or meaning)


def _years(age: str) -> float:
    """Years of a DICOM age string such as 042Y."""
    per_unit = {"Y": 1.0, "M": 1.0 / 12.0, "W": 7.0 / 365.25, "D": 1.0 / 365.25}
    digits, unit = age[:-1], age[-1:]
    return float(digits) * per_unit[unit] if digits.isdigit() and unit in per_unit else float("nan")


def _printed(file: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for note in file.get("WaveformAnnotationSequence", ()):
        concept, value = note.get("ConceptNameCodeSequence"), note.get("NumericValue")
        if not concept or value is None:
            continue
        name = _PRINTED.get(str(concept[0].get("CodeMeaning") or "").strip().lower())
        if name:
            found.setdefault(name, float(value))
    rr = found.pop("rr_ms", 0.0)
    if rr > 0:
        found.setdefault("heart_rate_bpm", 60_000.0 / rr)
    return found
