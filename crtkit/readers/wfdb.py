"""WFDB records (PhysioNet), through the wfdb package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.readers.ecg import ECG

_TO_MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3}
# The PhysioNet Challenge's comment lines; whatever else a comment holds may identify somebody.
_COMMENTS = {"age": "age", "sex": "sex", "dx": "diagnoses"}


def read_wfdb(header: Path, *, identifiers: bool = False) -> ECG:
    """Read the WFDB record of a header file.

    Parameters
    ----------
    header : Path
        The ``.hea`` file.
    identifiers : bool
        Keep the record's name, date, time and every comment.

    Returns
    -------
    ECG

    Raises
    ------
    ImportError
        The wfdb package is not installed.
    ValueError
        The record is damaged, its units are not volts, or a lead has no name.
    """
    try:
        import wfdb
    except ImportError as error:
        raise ImportError("WFDB records need wfdb: pip install 'crtkit[readers]'.") from error
    name = header.with_suffix("")
    try:
        record = wfdb.rdrecord(str(name), return_res=64)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing: {error}") from error
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        raise ValueError(f"{header} cannot be read as a WFDB record: {error!r}") from error
    if record.p_signal is None or not record.sig_len:
        raise ValueError(f"{header} holds no samples.")
    units = [str(unit).strip().lower() for unit in record.units]
    unknown = sorted({unit for unit in units if unit not in _TO_MILLIVOLT})
    if unknown:
        raise ValueError(f"{header} is in {unknown}; mV, uV or V is expected.")
    if any(not lead for lead in record.sig_name):
        raise ValueError(f"{header} has a lead without a name: {record.sig_name}.")
    gains = np.array([_TO_MILLIVOLT[unit] for unit in units])
    signal = np.ascontiguousarray((record.p_signal * gains).T, dtype=np.float32)
    fields = _fields(record, identifiers)
    return ECG(signal, float(record.fs), tuple(record.sig_name), fields, "wfdb")


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
    if identifiers:
        fields["record_name"] = record.record_name
        fields["comments"] = list(record.comments or ())
        fields["date"], fields["time"] = record.base_date, record.base_time
    return fields
