"""GE CardioSoft XML (``CardiologyXML``), as in the UK Biobank."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import listed_numbers, number, text

_PRINTED = {
    "heart_rate_bpm": "VentricularRate",
    "pr_ms": "PQInterval",
    "qrs_duration_ms": "QRSDuration",
    "qt_ms": "QTInterval",
    "qrs_axis_deg": "RAxis",
}
_PERSON = {
    "patient_id": "PatientInfo/PID",
    "last_name": "PatientInfo/Name/FamilyName",
    "first_name": "PatientInfo/Name/GivenName",
}


def read_cardiosoft(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the strip of a CardioSoft file; ``header["printed"]`` has what the device printed.

    Parameters
    ----------
    root : Element
        Of the parsed file, without namespaces.
    path : Path
        Only named in messages.
    identifiers : bool
        Keep name, record number, date and the text of the interpretation.

    Returns
    -------
    ECG
        Of ``StripData``: the ten seconds of a resting ECG, or of the strip of an exercise test.

    Raises
    ------
    ValueError
        There is no strip, its unit is another, or samples are missing or no numbers.
    """
    # Exercise tests have the whole recording beside it (FullDisclosure); the strip is the 12 leads.
    strip = root.find(".//StripData")
    if strip is None:
        raise ValueError(f"{path.name} has no StripData: there is no rhythm in it.")
    unit = strip.find("Resolution")
    if unit is None or unit.get("units", "").lower() != "uvperlsb":
        raise ValueError(
            f"{path.name} gives no resolution in uVperLsb, so its samples have no unit. "
            "Export it again."
        )
    step = check_step(number(strip, "Resolution") / 1000.0, path.name)
    announced = number(strip, "ChannelSampleCountTotal")
    leads: dict[str, np.ndarray] = {}
    for wave in strip.iter("WaveformData"):
        name = wave.get("lead", "")
        where = f"{path.name}, lead {name}"
        samples = listed_numbers(wave.text, where)
        if np.isfinite(announced) and len(samples) != announced:
            raise ValueError(f"{where}: {announced:g} samples are announced, {len(samples)} there.")
        add_lead(leads, name, samples * step, path)
    header = _header(root, identifiers)
    return assemble_ecg(leads, number(strip, "SampleRate"), header, "cardiosoft", path)


def _header(root: Element, identifiers: bool) -> dict[str, Any]:
    age = root.find("PatientInfo/Age")
    # A child's age may be in months or days: left out rather than read as years.
    years = age is None or age.get("units", "years").lower() == "years"
    measured = root.find(".//RestingECGMeasurements")
    printed = {ours: number(measured, theirs) for ours, theirs in _PRINTED.items()}
    header: dict[str, Any] = {
        **describe_patient(
            number(root, "PatientInfo/Age") if years else float("nan"),
            text(root, "PatientInfo/Gender"),
        ),
        # 0 stands where nothing could be measured.
        "printed": {k: v for k, v in printed.items() if v > 0 or k == "qrs_axis_deg" and v == v},
    }
    if identifiers:
        header.update({name: text(root, where) for name, where in _PERSON.items()})
        when = root.find("ObservationDateTime")
        parts = [text(when, part) for part in ("Year", "Month", "Day")]
        header["date"] = "-".join(part.zfill(2) for part in parts if part)
        statements = ((e.text or "").strip() for e in root.iter("DiagnosisText"))
        header["statements"] = [statement for statement in statements if statement]
    return header
