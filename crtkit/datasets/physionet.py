"""Twelve-lead WFDB records with SNOMED CT labels: the PhysioNet Challenge 2021."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit.cohort import Cohort, read_manifest
from crtkit.readers.wfdb import parse_comments

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


def load_physionet(
    path: str | os.PathLike[str] | None = None,
    *,
    label: str | Iterable[str] = "sinus rhythm",
    duration: float = 10.0,
    fs: float = 500.0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Cohort:
    """Load a folder of PhysioNet Challenge 2021 records as a cohort with one binary label.

    Parameters
    ----------
    path : path-like, optional
        Folder with ``.hea`` files, at any depth. By default ``ecg12_physionet2021`` in the folder
        that the environment variable ``CRTKIT_DATA`` names.
    label : str or iterable of str
        A key of ``LABELS``, or one or several SNOMED CT codes: 1 where a record carries one of
        them, else 0.
    duration : float
        Seconds kept of each record, from its start; shorter records are left out and counted.
    fs : float
        Sampling rate in Hz that records are brought to.
    cache_dir : path-like, optional
        As in :func:`crtkit.read_manifest`.

    Returns
    -------
    Cohort
        ``X`` has ``signal``, ``age`` (years) and ``male`` (1, 0). The Challenge publishes no
        patient identifiers, so each record counts as a patient; ``info["assumed"]`` says so.

    Raises
    ------
    FileNotFoundError
        The folder, or any header in it, is missing.
    ValueError
        The label is unknown, or no record or every record carries it.

    References
    ----------
    M. A. Reyna et al., "Will two do? Varying dimensions in electrocardiography: the
    PhysioNet/Computing in Cardiology Challenge 2021", Computing in Cardiology 48, 2021.

    Examples
    --------
    >>> from crtkit.datasets import load_physionet
    >>> cohort = load_physionet(label="RBBB")                          # doctest: +SKIP
    """
    folder = _folder(path)
    codes = _codes(label)
    headers = sorted(folder.rglob("*.hea"))
    if not headers:
        raise FileNotFoundError(f"{folder} holds no WFDB header (.hea).")
    rows = [_row(header, codes) for header in headers]
    cohort = read_manifest(
        pd.DataFrame(rows),
        label="label",
        group="record",
        signal="file",
        covariates=["age", "male"],
        classes=[0, 1],
        duration=duration,
        short="drop",
        fs=fs,
        cache_dir=cache_dir,
        name=f"PhysioNet Challenge 2021: {label if isinstance(label, str) else sorted(codes)}",
        licence="CC BY 4.0",
    )
    cohort.info["label"] = label if isinstance(label, str) else "diagnosis"
    cohort.info["assumed"] = ["each record is another patient: the Challenge names none"]
    return cohort


def _folder(path) -> Path:
    if path is None:
        root = os.environ.get("CRTKIT_DATA")
        if not root:
            raise FileNotFoundError(
                "load_physionet needs a folder of records: pass path=, or set the environment "
                "variable CRTKIT_DATA to a folder that holds ecg12_physionet2021."
            )
        path = Path(root) / "ecg12_physionet2021"
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder of WFDB records.")
    return folder


def _codes(label) -> set[str]:
    if isinstance(label, str) and label.isdigit():
        return {label}
    if isinstance(label, str):
        if label not in LABELS:
            raise ValueError(
                f"load_physionet expects label to be one of {list(LABELS)} or SNOMED CT codes, "
                f"got {label!r}."
            )
        return set(LABELS[label])
    codes = {str(code) for code in label}
    if not codes:
        raise ValueError("load_physionet expects at least one SNOMED CT code, got none.")
    return codes


def _row(header: Path, codes: set[str]) -> dict[str, object]:
    """One record's row, from the comment lines of its header (the signal is read later)."""
    lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    fields = parse_comments(line.lstrip("# ") for line in lines if line.startswith("#"))
    if "diagnoses" not in fields:
        raise ValueError(f"{header} has no '#Dx:' line with SNOMED CT codes.")
    sex = fields.get("sex", "").lower()[:1]
    return {
        "file": str(header.with_suffix("")),
        "record": header.stem,
        "label": int(bool(codes & set(fields["diagnoses"]))),
        "age": fields.get("age", np.nan),
        "male": {"m": 1.0, "f": 0.0}.get(sex, np.nan),
    }
