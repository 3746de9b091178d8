"""HL7 annotated ECG (``AnnotatedECG``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step, scale_of, whole_rate
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import listed_numbers

_PREFIX = "MDC_ECG_LEAD_"
_PRINTED = {
    "MDC_ECG_HEART_RATE": "heart_rate_bpm",
    "MDC_ECG_TIME_PD_PR": "pr_ms",
    "MDC_ECG_TIME_PD_QRS": "qrs_duration_ms",
    "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_ANGLE_QRS_FRONT": "qrs_axis_deg",
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def read_aecg(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the first rhythm series of an annotated ECG.

    ``header["printed"]`` has the annotated intervals, the median where every beat has its own.

    Parameters
    ----------
    root : Element
        Of the parsed file, without namespaces.
    path : Path
        Only named in messages.
    identifiers : bool
        Keep the subject's name, number and birth date, and the date.

    Returns
    -------
    ECG
        Of the first sequence set: what a device recorded at one time.

    Raises
    ------
    ValueError
        There is no rhythm series, no sampling interval, or samples that are no numbers.
    """
    # Representative beats are series, too (REPRESENTATIVE_BEAT); an empty code is rhythm.
    series = [s for s in root.iter("series") if _code(s) in ("RHYTHM", "")]
    sets = [one for s in series if (one := s.find(".//sequenceSet")) is not None]
    if not sets:
        raise ValueError(f"{path.name} has no rhythm series with samples.")
    fs = float("nan")
    leads: dict[str, np.ndarray] = {}
    for sequence in sets[0].iter("sequence"):
        code = _code(sequence)
        if code.startswith("TIME_"):
            fs = _rate(sequence, path)
        elif code.startswith(_PREFIX):
            name = code.removeprefix(_PREFIX)
            add_lead(leads, name, _samples(sequence, f"{path.name}, lead {name}", path), path)
    person = root.find(".//subjectDemographicPerson")
    sex = "" if person is None else _value(person.find("administrativeGenderCode"), "code")
    header: dict[str, Any] = {**describe_patient(float("nan"), sex), "printed": _printed(root)}
    if identifiers:
        header["patient_id"] = _value(root.find(".//trialSubject/id"), "extension")
        header["birth_date"] = _value(root.find(".//birthTime"), "value")
        header["date"] = _value(root.find("effectiveTime/center"), "value") or _value(
            root.find("effectiveTime/low"), "value"
        )
        header["name"] = "" if person is None else (person.findtext("name") or "").strip()
    return assemble_ecg(leads, fs, header, "aecg", path)


def _code(element: Element) -> str:
    return _value(element.find("code"), "code")


def _value(element: Element | None, key: str) -> str:
    return element.get(key, "") if element is not None else ""


def _rate(sequence: Element, path: Path) -> float:
    step = sequence.find("value/increment")
    unit = _value(step, "unit")
    try:
        seconds = float(_value(step, "value")) * _SECONDS[unit]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path.name} gives no sampling interval: {error!r}.") from error
    # Intervals are written with few digits: 0.001667 s is 600 Hz.
    return whole_rate(1.0 / seconds) if 0 < seconds < 1 else float("nan")


def _samples(sequence: Element, where: str, path: Path) -> np.ndarray:
    value = sequence.find("value")
    origin, scale = (None if value is None else value.find(name) for name in ("origin", "scale"))
    if value is None or origin is None or scale is None:
        raise ValueError(f"{where} lacks its digits, origin or scale. Export the record again.")
    samples = listed_numbers(value.findtext("digits"), where)
    numbers = []
    for name, element in (("origin", origin), ("scale", scale)):
        try:
            numbers.append(float(_value(element, "value")))
        except ValueError:
            numbers.append(float("nan"))
        if not np.isfinite(numbers[-1]):
            raise ValueError(f"{where} has no {name} that is a number; export the record again.")
    # The two may be in different units: the origin in mV, the scale in uV.
    per_unit = scale_of(_value(scale, "unit"), path)
    step = check_step(numbers[1] * per_unit, where)
    return numbers[0] * scale_of(_value(origin, "unit"), path) + samples * step


def _printed(root: Element) -> dict[str, float]:
    printed: dict[str, list[float]] = {}
    for annotation in root.iter("annotation"):
        name, value = _PRINTED.get(_code(annotation)), annotation.find("value")
        if name is None or value is None:
            continue
        try:
            number = float(value.get("value", ""))
        except ValueError:
            continue
        in_ms = _SECONDS.get(value.get("unit", ""), 1e-3) * 1e3 if name.endswith("_ms") else 1.0
        printed.setdefault(name, []).append(number * in_ms)
    # A measurement may be annotated once a lead: the median is that of the record.
    return {name: float(np.median(values)) for name, values in printed.items()}
