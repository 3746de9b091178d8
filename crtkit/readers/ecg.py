"""One ECG record, whatever file it came from, and the function that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12


@dataclass(frozen=True, eq=False, repr=False)
class ECG:
    """An ECG recording.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples), float32
        In millivolt; NaN where the file marks a sample as invalid.
    fs : float
        Sampling rate in Hz.
    lead_names : tuple of str
    header : dict
        What the file says beside the signal, without identifiers unless they were asked for.
    format : str
        Format of the file, such as ``"wfdb"``.
    """

    signal: np.ndarray
    fs: float
    lead_names: tuple[str, ...]
    header: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""

    def standard_leads(self) -> np.ndarray:
        """Signal of the twelve standard leads, in the order of ``LEADS_12``.

        Returns
        -------
        ndarray of shape (12, n_samples), float32

        Raises
        ------
        ValueError
            A lead is missing or occurs twice.
        """
        position: dict[str, int] = {}
        for i, name in enumerate(self.lead_names):
            key = name.strip().upper()
            if key in position:
                raise ValueError(f"lead {name!r} occurs twice among {list(self.lead_names)}")
            position[key] = i
        missing = [name for name in LEADS_12 if name.upper() not in position]
        if missing:
            raise ValueError(f"lead(s) {missing} are missing; the file has {list(self.lead_names)}")
        return self.signal[[position[name.upper()] for name in LEADS_12]]

    def __repr__(self) -> str:
        n_leads, n_samples = self.signal.shape
        seconds = n_samples / self.fs
        return f"ECG({self.format}: {n_leads} leads, {seconds:g} s at {self.fs:g} Hz)"


def read_ecg(path: str | os.PathLike[str], identifiers: bool = False) -> ECG:
    """Read an ECG file.

    Parameters
    ----------
    path : path-like
        A WFDB record: its ``.hea`` or signal file, or its name without a suffix.
    identifiers : bool
        Keep names, record numbers and dates in ``header``. By default they are left out.

    Returns
    -------
    ECG
        Signal in millivolt, float32.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The format is not known, or the file is damaged.

    Examples
    --------
    >>> from crtkit.readers import read_ecg
    >>> ecg = read_ecg("records/A0001")                            # doctest: +SKIP
    >>> ecg.signal.shape, ecg.fs                                   # doctest: +SKIP
    ((12, 7500), 500.0)
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; read_ecg reads one file.")
    header = path.with_suffix(".hea") if path.suffix in (".hea", ".mat", ".dat") else None
    if header is None:
        header = path.with_name(path.name + ".hea")
    if header.is_file():
        from crtkit.readers.wfdb import read_wfdb

        return read_wfdb(header, identifiers=identifiers)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist, nor does a WFDB header {header.name}.")
    if path.suffix in (".mat", ".dat"):
        raise FileNotFoundError(f"{path.name} needs its WFDB header {header.name} beside it.")
    raise ValueError(
        f"{path.name}: the format {path.suffix or 'without a suffix'} is not read. "
        "WFDB records (.hea with .dat or .mat) are."
    )
