"""One ECG record, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crtkit._leads import LEADS_12, lead_name


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
        names = [lead_name(name) for name in self.lead_names]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"lead {twice[0]!r} occurs twice among {list(self.lead_names)}")
        missing = [name for name in LEADS_12 if name not in names]
        if missing:
            raise ValueError(f"lead(s) {missing} are missing; the file has {list(self.lead_names)}")
        return self.signal[[names.index(name) for name in LEADS_12]]

    def __repr__(self) -> str:
        n_leads, n_samples = self.signal.shape
        seconds = n_samples / self.fs
        return f"ECG({self.format}: {n_leads} leads, {seconds:g} s at {self.fs:g} Hz)"
