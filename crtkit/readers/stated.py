"""What the caller says of files that cannot say it themselves: rate, unit and leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from crtkit._leads import lead_name
from crtkit.readers.assemble import add_lead, assemble_ecg
from crtkit.readers.calibration import check_step, millivolt_per_unit
from crtkit.readers.ecg import ECG


@dataclass(frozen=True)
class Stated:
    """Rate in Hz, unit and lead names, each None where it was not given.

    ``fs_if_unknown`` is not a statement but a last resort: a manifest brings records to one rate,
    which is then that of files that do not say theirs.
    """

    fs: float | None = None
    unit: str | float | None = None
    lead_names: Sequence[str] | None = None
    fs_if_unknown: float | None = None

    def check(self) -> None:
        """Raise if a caller's rate is no rate, or the leads are a text."""
        number = isinstance(self.fs, Real) and not isinstance(self.fs, bool)
        if self.fs is not None and not (number and 0 < self.fs < np.inf):
            raise ValueError(f"fs is a sampling rate in Hz, above 0, got {self.fs!r}.")
        if isinstance(self.lead_names, str):  # "II" would be two leads called I
            raise ValueError(
                f"lead_names is a sequence of names, got the text {self.lead_names!r}."
            )

    def refuse(self, path: Path, kind: str) -> None:
        """Raise if anything was said of a file that says it itself."""
        given = [name for name in ("fs", "unit", "lead_names") if getattr(self, name) is not None]
        if given:
            raise ValueError(
                f"{path.name} is {kind}, which states its own rate, unit and leads: leave out "
                f"{', '.join(given)}. (They are for CSV, HDF5 and arrays.)"
            )

    def or_file(self, fs, unit, lead_names, path: Path) -> Stated:
        """With what the file says filled in; a contradiction is refused."""
        if self.fs is not None and fs is not None and abs(self.fs - fs) > 1e-3 * fs:
            raise ValueError(f"{path.name} says {fs:g} Hz; fs={self.fs:g} was given.")
        both = self.unit is not None and unit is not None
        if both and millivolt_per_unit(self.unit) != millivolt_per_unit(unit):
            raise ValueError(f"{path.name} is in {unit!r}; unit={self.unit!r} was given.")
        if self.lead_names is not None and lead_names is not None:
            ours, theirs = ([lead_name(str(n)) for n in x] for x in (self.lead_names, lead_names))
            if ours != theirs:
                raise ValueError(f"{path.name} has the leads {theirs}; {ours} were given.")
        rates = [rate for rate in (self.fs, fs, self.fs_if_unknown) if rate is not None]
        return Stated(
            rates[0] if rates else None,
            self.unit if self.unit is not None else unit,
            self.lead_names if self.lead_names is not None else lead_names,
        )


def ecg_of_array(array: np.ndarray, stated: Stated, kind: str, path: Path) -> ECG:
    """ECG of an array whose rate, unit and leads are known by now.

    Parameters
    ----------
    array : ndarray of shape (n_leads, n_samples), or (n_samples, n_leads)
        Which of the two is told by the number of lead names.
    stated : Stated
    kind : str
        Name of the format.
    path : Path
        Only named in messages.

    Raises
    ------
    ValueError
        The rate, the unit or the leads are not known, or the names fit no axis.
    """
    unknown = [name for name in ("fs", "unit", "lead_names") if getattr(stated, name) is None]
    if unknown or stated.fs is None or stated.lead_names is None:
        raise ValueError(
            f"{path.name} does not say its {', '.join(unknown)}: give read_ecg "
            f"{', '.join(name + '=' for name in unknown)} (Hz; 'mV', 'uV', 'V' or mV per count; "
            "names in the order of the array)."
        )
    names = [str(name) for name in stated.lead_names]
    array = np.atleast_2d(array)
    # Where both axes have as many entries as there are names, leads come first, as everywhere.
    if len(names) != len(array) and array.ndim == 2 and len(names) == array.shape[1]:
        array = array.T
    if array.ndim != 2 or len(names) != len(array):
        raise ValueError(
            f"{path.name} has shape {array.shape}; {len(names)} lead names fit none of its axes."
        )
    # A unit that was said beats none, and one in the file must agree (or_file).
    step = millivolt_per_unit(stated.unit)
    if array.dtype.kind in "iu":  # of numbers that are volts already, one is not a step
        check_step(step, path.name)
    leads: dict[str, np.ndarray] = {}
    for name, samples in zip(names, np.asarray(array, dtype=np.float64)):
        add_lead(leads, name, samples * step, path)
    return assemble_ecg(leads, float(stated.fs), {}, kind, path)
