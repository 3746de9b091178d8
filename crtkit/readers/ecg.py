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

    def standard_leads(self, *, missing: str = "raise") -> np.ndarray:
        """Signal of the twelve standard leads, in the order of ``LEADS_12``.

        Parameters
        ----------
        missing : {"raise", "nan"}
            What becomes of a lead that the file lacks: an error, or NaN.

        Returns
        -------
        ndarray of shape (12, n_samples), float32

        Raises
        ------
        ValueError
            A lead occurs twice, or is missing.
        """
        if missing not in ("raise", "nan"):
            raise ValueError(f"standard_leads expects missing='raise' or 'nan', got {missing!r}.")
        # V1 and "Lead v1" in one file: nobody can tell which of the two is right.
        names = [lead_name(name) for name in self.lead_names]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"lead {twice[0]!r} occurs twice among {list(self.lead_names)}")
        absent = [name for name in LEADS_12 if name not in names]
        if absent and (missing == "raise" or len(absent) == len(LEADS_12)):
            raise ValueError(f"lead(s) {absent} are missing; the file has {list(self.lead_names)}")
        if not absent:
            return self.signal[[names.index(name) for name in LEADS_12]]
        # Not zeros: a missing lead must not look like a flat one.
        out = np.full((len(LEADS_12), self.signal.shape[1]), np.nan, dtype=self.signal.dtype)
        for i, name in enumerate(LEADS_12):
            if name in names:
                out[i] = self.signal[names.index(name)]
        return out

    def __repr__(self) -> str:
        n_leads, n_samples = self.signal.shape
        seconds = n_samples / self.fs
        return f"ECG({self.format}: {n_leads} leads, {seconds:g} s at {self.fs:g} Hz)"
