"""Twelve-lead WFDB records with labels in their headers: the PhysioNet Challenges."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit.cohort import Cohort, read_manifest
from crtkit.datasets.folders import data_folder
from crtkit.readers.wfdb import parse_comments
from crtkit.readers.wfdb_header import read_header

# SNOMED CT codes of the Challenge (Reyna et al. 2021, table of scored and unscored diagnoses).
LABELS = {
    "sinus rhythm": ("426783006",),
    "atrial fibrillation": ("164889003",),
    "RBBB": ("59118001", "713427006", "713426002"),
    "LBBB": ("164909002", "733534002"),
    "conduction disturbance": (
        "59118001",
        "713427006",
        "713426002",
        "164909002",
        "733534002",
        "698252002",
    ),
}


# The Challenge of 2025 labels Chagas disease, and gives no diagnoses.
CHAGAS = "Chagas"


def load_physionet(
    path: str | os.PathLike[str] | None = None,
    *,
    label: str | int | Iterable[str | int] = "sinus rhythm",
    duration: float = 10.0,
    fs: float = 500.0,
    on_error: str = "raise",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Cohort:
    """Load a folder of PhysioNet Challenge records as a cohort with one binary label.

    Parameters
    ----------
    path : path-like, optional
        Folder with ``.hea`` files, at any depth. By default ``ecg12_physionet2021`` in the folder
        that the environment variable ``CRTKIT_DATA`` names.
    label : str, int or iterable of either
        A key of ``LABELS``, or one or several SNOMED CT codes: 1 where a record carries one of
        them, 0 where it carries others. ``"Chagas"`` reads the label of the Challenge of 2025. A
        record whose header says nothing is left out and counted: unknown is not "no".
    duration : float
        Seconds kept of each record, from its start; shorter records are left out and counted.
    fs : float
        Sampling rate in Hz that records are brought to.
    on_error : {"raise", "drop"}
        What to do with records that cannot be read; see :func:`crtkit.read_manifest`.
    cache_dir : path-like, optional
        As in :func:`crtkit.read_manifest`.

    Returns
    -------
    Cohort
        ``X`` has ``signal``, ``age`` (years) and ``male`` (1, 0). The Challenge publishes no
        patient identifiers, so each record counts as a patient; ``info["assumed"]`` says so. A
        record is named by its stem, with its folder where stems repeat.

    Raises
    ------
    FileNotFoundError
        The folder, or any header in it, is missing.
    ValueError
        The label is unknown, no header says anything of it, or no record or every record carries
        it.

    References
    ----------
    M. A. Reyna et al., "Will two do? Varying dimensions in electrocardiography: the
    PhysioNet/Computing in Cardiology Challenge 2021", Computing in Cardiology 48, 2021.

    Examples
    --------
    >>> from crtkit.datasets import load_physionet
    >>> cohort = load_physionet(label="RBBB")                          # doctest: +SKIP
    """
    folder = data_folder("load_physionet", path, "ecg12_physionet2021", "WFDB records")
    codes = _codes(label)
    headers = sorted(folder.rglob("*.hea"))
    if not headers:
        raise FileNotFoundError(
            f"{folder} holds no WFDB header (.hea): give the folder that has the records."
        )
    rows = [_row(header, codes, folder) for header in headers]
    known = [row for row in rows if row["label"] is not None]
    if not known:
        what = "'# Chagas label:'" if codes is None else "'# Dx:' line with SNOMED CT codes"
        raise ValueError(
            f"None of {len(rows)} headers of {folder} has a {what}. The Challenges of 2020 and "
            "2021 give diagnoses; for that of 2025 pass label='Chagas'."
        )
    # Folders of several sources reuse names; a record must not become another's patient.
    stems = Counter(row["record"] for row in known)
    for row in known:
        if stems[row["record"]] > 1:
            row["record"] = row["path"]
    cohort = read_manifest(
        pd.DataFrame(known),
        label="label",
        group="record",
        signal="file",
        covariates=["age", "male"],
        classes=[0, 1],
        duration=duration,
        # Padding would show a network where the recording ends; the flow counts the others.
        short="drop",
        fs=fs,
        on_error=on_error,
        cache_dir=cache_dir,
        name=f"PhysioNet Challenge {2025 if codes is None else 2021}: "
        f"{label if isinstance(label, str) else sorted(codes or ())}",
        licence="CC BY 4.0",
    )
    if len(known) < len(rows):
        flow = {"in the folder": len(rows), "label unknown": len(known) - len(rows)}
        cohort.info["flow"] = {**flow, **cohort.info["flow"]}
    cohort.info["label"] = label if isinstance(label, str) else "diagnosis"
    cohort.info["assumed"] = ["each record is another patient: the Challenge names none"]
    return cohort


def _codes(label) -> set[str] | None:
    """SNOMED CT codes of a label; None for that of the Challenge of 2025."""
    label = str(label) if isinstance(label, Integral) else label
    if isinstance(label, str) and label.lower() == CHAGAS.lower():
        return None
    if isinstance(label, str) and label.isdigit():
        return {label}
    if isinstance(label, str):
        if label not in LABELS:
            raise ValueError(
                f"load_physionet expects label to be one of {[*LABELS, CHAGAS]} or SNOMED CT "
                f"codes, got {label!r}."
            )
        return set(LABELS[label])
    codes = {str(code) for code in label}
    if not codes:
        raise ValueError("load_physionet expects at least one SNOMED CT code, got none.")
    return codes


def _row(header: Path, codes: set[str] | None, folder: Path) -> dict[str, object]:
    """One record's row, from the comment lines of its header (the signal is read later)."""
    comments = read_header(header).comments
    fields = parse_comments(comments)
    sex = fields.get("sex", "").lower()[:1]
    return {
        "file": str(header.with_suffix("")),
        "record": header.stem,
        "path": header.relative_to(folder).with_suffix("").as_posix(),
        "label": _chagas(comments) if codes is None else _carries(codes, fields),
        "age": fields.get("age", np.nan),
        "male": {"m": 1.0, "f": 0.0}.get(sex, np.nan),
    }


def _carries(codes: set[str], fields: dict) -> int | None:
    """Whether a record carries one of the codes; None where its header names no diagnosis."""
    # A header without codes is not a header without the diagnosis.
    given = [code for code in fields.get("diagnoses", ()) if code.isdecimal()]
    return int(bool(codes & set(given))) if given else None


def _chagas(comments: Iterable[str]) -> int | None:
    for comment in comments:
        key, _, value = comment.partition(":")
        if key.strip().lower() == "chagas label":
            return {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.strip().lower())
    return None
