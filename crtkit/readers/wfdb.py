"""WFDB records (PhysioNet), through the wfdb package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import import_optional
from crtkit._leads import lead_name
from crtkit.readers.assemble import assemble_ecg, describe_patient
from crtkit.readers.calibration import MILLIVOLT, check_rate, in_single
from crtkit.readers.ecg import ECG

# Of samples to bytes of the signal files; FLAC may shrink a flat line a hundredfold.
_MOST_A_BYTE = 1000
# The PhysioNet Challenge's comment lines; whatever else a comment holds may identify somebody.
_COMMENTS = {"age": "age", "sex": "sex", "dx": "diagnoses"}


def read_wfdb(header: Path, *, identifiers: bool = False) -> ECG:
    """Read the WFDB record of a header file.

    Parameters
    ----------
    header : Path
        The ``.hea`` file.
    identifiers : bool
        Keep the record's name, date, time and every comment, as they are.

    Returns
    -------
    ECG
        Leads in the order of the file; in the usual one, and twelve, where I and II are there.
        Of the comments, the age, the sex and the codes of diagnoses.

    Raises
    ------
    FileNotFoundError
        The header names a signal file that is not there.
    ImportError
        The wfdb package is not installed.
    ValueError
        The record is damaged, announces more samples than its files can hold, its units are not
        volts, its sampling rate is none, or a lead has no name.
    """
    wfdb = import_optional("wfdb", extra="readers", purpose="Reading WFDB records")
    name = header.with_suffix("")
    try:
        _check_size(wfdb.rdheader(str(name)), header)
        record = wfdb.rdrecord(str(name), return_res=64)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing: {error}") from error
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        raise ValueError(f"{header} cannot be read as a WFDB record: {error!r}") from error
    if record.p_signal is None or not record.sig_len:
        raise ValueError(f"{header} holds no samples.")
    units = [str(unit).strip().lower() for unit in record.units]
    unknown = sorted({unit for unit in units if unit not in MILLIVOLT})
    if unknown:
        raise ValueError(f"{header} is in {unknown}; mV, uV or V is expected.")
    if any(not lead for lead in record.sig_name):
        raise ValueError(f"{header} has a lead without a name: {record.sig_name}.")
    check_rate(float(record.fs), header)
    gains = np.array([MILLIVOLT[unit] for unit in units])
    signal = in_single((record.p_signal * gains).T, header)
    fields = _fields(record, identifiers)
    leads = {lead_name(lead): samples for lead, samples in zip(record.sig_name, signal)}
    if {"I", "II"} <= leads.keys() and len(leads) == len(signal):
        return assemble_ecg(leads, float(record.fs), fields, "wfdb", header)
    return ECG(signal, float(record.fs), tuple(record.sig_name), fields, "wfdb")


def _check_size(announced, header: Path) -> None:
    """Refuse a header whose samples its files cannot hold, before memory is taken for them."""
    files = [header.parent / name for name in {*(announced.file_name or ())} if name != "~"]
    if not files or not all(file.is_file() for file in files):
        return  # a record of segments, or the package says which file is missing
    size = sum(file.stat().st_size for file in files)
    n_samples = (announced.sig_len or 0) * (announced.n_sig or 0)
    if n_samples > _MOST_A_BYTE * size:
        raise ValueError(f"{n_samples} samples are announced, the signal files have {size} bytes")


def parse_comments(comments: Iterable[str]) -> dict[str, Any]:
    """Age (years, NaN where it is no number), sex and SNOMED CT codes of a header's comments."""
    fields: dict[str, Any] = {}
    for comment in comments:
        key, _, value = str(comment).partition(":")
        name = _COMMENTS.get(key.strip().lower())
        if name is not None:
            fields[name] = value.strip()
    if "diagnoses" in fields:
        fields["diagnoses"] = [code.strip() for code in fields["diagnoses"].split(",")]
    if "age" in fields:
        try:
            fields["age"] = float(fields["age"])
        except ValueError:
            fields["age"] = float("nan")
    return fields


def _fields(record, identifiers: bool) -> dict[str, Any]:
    fields = parse_comments(record.comments or ())
    if not identifiers:
        # Free text behind these keys may name somebody: only what is a number or a sex is kept.
        codes = [code for code in fields.get("diagnoses", ()) if code.isdecimal()]
        fields = describe_patient(fields.get("age", np.nan), fields.get("sex", ""))
        return {**fields, "diagnoses": codes} if codes else fields
    fields["record_name"] = record.record_name
    fields["comments"] = list(record.comments or ())
    fields["date"], fields["time"] = record.base_date, record.base_time
    return fields
