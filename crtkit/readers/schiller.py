"""Schiller XML of the SEMA and AT devices (``SchillerEDI``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from crtkit.readers.assemble import add_lead, assemble_ecg, describe_patient
from crtkit.readers.calibration import check_step, scale_of
from crtkit.readers.ecg import ECG
from crtkit.readers.safe_xml import listed_numbers, number, text

_PRINTED = {"HR": "heart_rate_bpm", "PQ": "pr_ms", "QRS": "qrs_duration_ms", "QT": "qt_ms"}
_PRINTED["AXIS_QRS"] = "qrs_axis_deg"
_PERSON = {
    "patient_id": "patdata/id",
    "last_name": "patdata/lastname",
    "first_name": "patdata/firstname",
    "birth_date": "patdata/birthdate",
    "date": "examdescript/startdatetime/date",
}


def read_schiller(root: Element, path: Path, *, identifiers: bool = False) -> ECG:
    """Read the rhythm of a Schiller file; ``header["printed"]`` has what the device printed.

    Parameters
    ----------
    root : Element
        Of the parsed file, without namespaces.
    path : Path
        Only named in messages.
    identifiers : bool
        Keep name, record number and dates.

    Returns
    -------
    ECG
        Of the first ``ECG_RHYTHMS``; the averaged beats beside it are left out.

    Raises
    ------
    ValueError
        There is no rhythm, its samples are not comma-separated numbers, or fewer than announced.
    """
    # The file has averaged beats as wavedata, too.
    rhythms = [w for w in root.iter("wavedata") if text(w, "type").upper() == "ECG_RHYTHMS"]
    if not rhythms:
        raise ValueError(f"{path.name} has no ECG_RHYTHMS: there is no rhythm in it.")
    wave = rhythms[0]
    scale = scale_of(text(wave, "resolution/yres/units"), path)
    step = check_step(number(wave, "resolution/yres/unitperbit") * scale, path.name)
    leads: dict[str, np.ndarray] = {}
    for channel in wave.iter("channel"):
        name = text(channel, "name")
        where = f"{path.name}, lead {name}"
        kind = text(channel, "datastype").upper()
        if kind not in ("", "COMMASEPARATE"):
            raise ValueError(f"{where}: samples stored as {kind!r} are not supported.")
        samples = listed_numbers(channel.findtext("data"), where)
        announced = number(channel, "samplecount")
        if np.isfinite(announced) and len(samples) != announced:
            raise ValueError(f"{where}: {announced:g} samples are announced, {len(samples)} there.")
        add_lead(leads, name, samples * step, path)
    # The exponent beside it is 1 where the rate is 500 Hz and the value 500: no power of ten.
    fs = number(wave, "resolution/samplerate/value")
    header: dict[str, Any] = {
        **describe_patient(float("nan"), text(root, "patdata/gender")),
        "printed": _printed(root),
    }
    if identifiers:
        header.update({name: text(root, where) for name, where in _PERSON.items()})
    return assemble_ecg(leads, fs, header, "schiller", path)


def _printed(root: Element) -> dict[str, float]:
    printed: dict[str, float] = {}
    for note in root.iter("annotation_global"):
        name, value = _PRINTED.get(text(note, "name").upper()), number(note, "value")
        # 0 stands where nothing could be measured, but 0 degrees is an axis.
        if name and np.isfinite(value) and (value > 0 or name == "qrs_axis_deg"):
            printed.setdefault(name, value)
    return printed
