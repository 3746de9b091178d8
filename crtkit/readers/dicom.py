"""DICOM waveforms (12-lead and general ECG), through pydicom."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import import_optional
from crtkit._leads import LEADS_12, lead_name
from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_baseline, check_step, scale_of
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
# The same by code (PS3.16, CID 3687), for devices whose meanings are in another language.
_PRINTED_CODES = {"2:15872": "pr_ms", "2:16156": "qrs_duration_ms", "2:16160": "qt_ms"}
_PERSON = {
    **{"patient_id": "PatientID", "name": "PatientName", "birth_date": "PatientBirthDate"},
    **{"date": "AcquisitionDateTime"},
}
_LARGEST = 200_000_000
# A DICOM ECG has some thousand elements, read in three or four pieces each. A file of zeros is one
# element every eight bytes: pydicom would take a minute for 30 MB of them.
_MOST_READS = 200_000
_DEFLATED = b"1.2.840.10008.1.2.1.99"


class CountedFile(io.BytesIO):
    """A file in memory that refuses to be read in endless small pieces."""

    n_reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.n_reads += 1
        if self.n_reads > _MOST_READS:
            raise ValueError("it has far more elements than an ECG, or is filled with zeros")
        return super().read(size)


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
        Of the multiplex group called RHYTHM, or of the longest original one, with the leads of
        other groups that were recorded at the same time and rate; ``header["left_out"]`` names the
        leads of those that were not. Samples of the padding value are NaN, unless it is 0, which
        is a sample like any other.

    Raises
    ------
    ImportError
        pydicom is not installed.
    ValueError
        No DICOM file, no waveform in it, or one that is damaged, deflated, without a unit, or with
        a calibration that no recorder has.
    """
    pydicom = import_optional("pydicom", extra="readers", purpose="Reading DICOM ECGs")
    size = path.stat().st_size
    if size > _LARGEST:
        raise ValueError(f"{path.name} has {size / 1e6:.0f} MB; a DICOM ECG has under 200.")
    data = path.read_bytes()
    try:
        # A megabyte of these can unpack to a gigabyte before anything is known of it.
        if _DEFLATED in data[:2048]:
            raise ValueError("it is deflated; write it uncompressed first.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            # Without a preamble pydicom must be told to try.
            file = pydicom.dcmread(CountedFile(data), force=data[128:132] != b"DICM")
            return _read(file, path, identifiers)
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        why = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path.name} cannot be read as a DICOM ECG: {why}") from error


def _read(file: Any, path: Path, identifiers: bool) -> ECG:
    groups = list(file.get("WaveformSequence", ()))
    main = _rhythm(groups)
    if main is None:
        raise ValueError("it holds no waveform; an ECG is expected, not a picture or a report.")
    leads = _leads(file, groups, main, path)
    left_out: list[str] = []
    for number, group in enumerate(groups):
        if number == main or not _is_recorded(group):
            continue
        where = f"(group {number + 1})"
        if _when(group) != _when(groups[main]):
            channels = group.get("ChannelDefinitionSequence", ())
            left_out += [f"{_name(channel)} {where}" for channel in channels]
            continue
        for name, values in _leads(file, groups, number, path).items():
            if name in leads:
                left_out.append(f"{name} {where}")
            else:
                leads[name] = values
    age, sex = _years(str(file.get("PatientAge") or "")), str(file.get("PatientSex") or "")
    header: dict[str, Any] = {**describe_patient(age, sex), "printed": _printed(file)}
    if left_out:
        header["left_out"] = left_out
    if identifiers:
        header.update({name: str(file.get(tag) or "") for name, tag in _PERSON.items()})
    fs = float(groups[main].get("SamplingFrequency", "nan"))
    return assemble_ecg(leads, fs, header, "dicom", path)


def _rhythm(groups: list[Any]) -> int | None:
    """Number of the group that holds what was recorded; median beats are groups too."""
    labels = [_label(group) for group in groups]
    if "RHYTHM" in labels:
        return labels.index("RHYTHM")
    candidates = [i for i, group in enumerate(groups) if _is_recorded(group)]
    candidates = candidates or list(range(len(groups)))
    lengths = [int(groups[i].get("NumberOfWaveformSamples") or 0) for i in candidates]
    return candidates[int(np.argmax(lengths))] if candidates else None


def _label(group: Any) -> str:
    return str(group.get("MultiplexGroupLabel") or "").strip().upper()


def _is_recorded(group: Any) -> bool:
    return group.get("WaveformOriginality") != "DERIVED" and "MEDIAN" not in _label(group)


def _when(group: Any) -> tuple[float, int, float]:
    """Rate, number of samples and start: what groups of one recording have in common."""
    return (
        float(group.get("SamplingFrequency", "nan")),
        int(group.get("NumberOfWaveformSamples") or 0),
        float(group.get("MultiplexGroupTimeOffset") or 0.0),
    )


def _leads(file: Any, groups: list[Any], number: int, path: Path) -> dict[str, np.ndarray]:
    """Leads of one group, in millivolt."""
    from pydicom.waveforms import multiplex_array

    group = groups[number]
    padding = _padding(group)
    stored = multiplex_array(file, number, as_raw=True).T
    leads: dict[str, np.ndarray] = {}
    for channel, samples in zip(group.ChannelDefinitionSequence, stored, strict=True):
        name = _name(channel)
        where = f"lead {name}"
        units = channel.get("ChannelSensitivityUnitsSequence")
        if not units:
            raise ValueError(
                f"{where} has no unit of its samples (mV or uV is expected); export the "
                "record again."
            )
        scale = scale_of(str(units[0].get("CodeValue", "")), path)
        # PS3.3, C.10.9.1.4: the baseline is in the unit of the sensitivity, not in steps.
        step = float(channel.get("ChannelSensitivity", "nan"))
        step *= float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
        check_step(step * scale, where)
        baseline = check_baseline(float(channel.get("ChannelBaseline") or 0.0), where)
        values = (samples * step + baseline) * scale
        if padding is not None:
            values[samples == padding] = np.nan
        add_lead(leads, name, values, path)
    return leads


def _padding(group: Any) -> int | None:
    """Stored value that stands for no sample; None where there is none.

    0 is the value that many devices write without meaning it, and the commonest sample.
    """
    value = group.get("WaveformPaddingValue")
    if isinstance(value, bytes):
        signed = str(group.WaveformSampleInterpretation).startswith("S")
        n_bytes = int(group.WaveformBitsAllocated) // 8
        value = int.from_bytes(value[:n_bytes], "little", signed=signed)
    return value if isinstance(value, int) and value != 0 else None


def _name(channel: Any) -> str:
    """Lead of a channel, by its code or by what the code means."""
    source = channel.get("ChannelSourceSequence")
    code = str(source[0].get("CodeValue") or "").strip(" \0") if source else ""
    last = code.replace(":", "-").rpartition("-")[2]
    if (code.startswith("5.6.3-9-") or code.startswith("2:")) and last.isdigit():
        return lead_of_number(int(last))
    meaning = str(source[0].get("CodeMeaning") or "") if source else ""
    words = [lead_name(word) for word in meaning.replace("(", " ").replace(",", " ").split()]
    known = [word for word in words if word in LEADS_12]
    return known[0] if known else str(channel.get("ChannelLabel") or meaning)


def _years(age: str) -> float:
    """Years of a DICOM age string such as 042Y."""
    per_unit = {"Y": 1.0, "M": 1.0 / 12.0, "W": 7.0 / 365.25, "D": 1.0 / 365.25}
    digits, unit = age[:-1], age[-1:]
    return float(digits) * per_unit[unit] if digits.isdigit() and unit in per_unit else float("nan")


def _printed(file: Any) -> dict[str, float]:
    """Measurements; an interval or a rate of 0 is one that was not measured."""
    printed: dict[str, float] = {}
    for note in file.get("WaveformAnnotationSequence", ()):
        concept, value = note.get("ConceptNameCodeSequence"), note.get("NumericValue")
        try:
            value = float(value)
        except (TypeError, ValueError):  # none, or one for each lead, which is no global one
            continue
        if not concept:
            continue
        code = str(concept[0].get("CodeValue") or "").strip(" \0")
        meaning = str(concept[0].get("CodeMeaning") or "").strip().lower()
        name = _PRINTED_CODES.get(code) or _PRINTED.get(meaning)
        if name and np.isfinite(value) and (value > 0 or name == "qrs_axis_deg"):
            printed.setdefault(name, value)
    rr = printed.pop("rr_ms", 0.0)
    if rr > 0:
        printed.setdefault("heart_rate_bpm", 60_000.0 / rr)
    return printed
