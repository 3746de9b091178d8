"""``read_ecg``: which reader a file belongs to, told by its content."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from crtkit.readers.ecg import ECG
from crtkit.readers.stated import Stated

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")


def read_ecg(
    path: str | os.PathLike[str],
    identifiers: bool = False,
    *,
    fs: float | None = None,
    unit: str | float | None = None,
    lead_names: Sequence[str] | None = None,
) -> ECG:
    """Read an ECG file. Its format is told by what is in it, not by its suffix.

    Parameters
    ----------
    path : path-like
        A WFDB record (its ``.hea`` or signal file, or its name without a suffix); DICOM, SCP-ECG,
        HL7 annotated ECG; XML of GE MUSE, GE CardioSoft, Philips Sierra, Mortara ELI and Schiller;
        EDF, EDF+ and BDF; ISHNE; a CSV table or an HDF5 file (``file.h5#7`` is record 7 of many).
    identifiers : bool
        Keep names, record numbers, dates and the text of interpretations in ``header``. By default
        they are left out.
    fs : float, optional
        Sampling rate in Hz, of a CSV or HDF5 file that does not say it.
    unit : str or float, optional
        Unit of such a file: "mV", "uV", "V", or what one count is worth in millivolt.
    lead_names : sequence of str, optional
        Leads of such a file, in its order.

    Returns
    -------
    ECG
        Signal in millivolt, float32. Limb leads are computed from two others where the file leaves
        them out, and named in ``header["derived_leads"]``; channels of other kinds are named in
        ``header["left_out"]``; a calibration pulse behind the signal is cut off.
        ``header["printed"]`` has what the device measured, under the names of
        :data:`crtkit.signals.MEASUREMENTS`.

    Raises
    ------
    FileNotFoundError
        There is no such file, or a WFDB record lacks its header or its signals.
    ImportError
        The package that reads the format is not installed.
    ValueError
        The format is not known, or the file is damaged.

    Examples
    --------
    >>> from crtkit.readers import read_ecg
    >>> ecg = read_ecg("records/A0001")                            # doctest: +SKIP
    >>> ecg.signal.shape, ecg.fs                                   # doctest: +SKIP
    ((12, 7500), 500.0)
    """
    return read_stated(path, Stated(fs, unit, lead_names), identifiers)


def read_stated(path: str | os.PathLike[str], stated: Stated, identifiers: bool = False) -> ECG:
    """Read an ECG file with rate, unit or leads stated by the caller; see :func:`read_ecg`."""
    stated.check()
    path, row = _split_row(path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; read_ecg reads one file.")
    # First: a record is named without a suffix, and its .dat or .mat has no signature.
    header = _wfdb_header(path)
    if header is not None:
        from crtkit.readers.wfdb import read_wfdb

        stated.refuse(path, "a WFDB record")
        return read_wfdb(header, identifiers=identifiers)
    if not path.exists():
        header = "" if path.suffix == ".hea" else f", nor does a WFDB header {path.name}.hea"
        raise FileNotFoundError(f"{path} does not exist{header}.")
    if not path.is_file():  # opening a FIFO would wait for a writer, a device might never end
        raise ValueError(f"{path} is not a regular file; read_ecg reads files.")
    with path.open("rb") as file:
        # The longest signature lies at byte 128 (DICOM); XML may follow blank lines.
        head = file.read(512)
    kind = _kind(head, path)
    if kind == "hdf5":
        from crtkit.readers.hdf5 import read_hdf5

        return read_hdf5(path, stated, row=row)
    if kind == "csv":
        from crtkit.readers.csv_table import read_csv_table

        return read_csv_table(path, stated)
    stated.refuse(path, f"a file in {kind}")
    return _READERS[kind](path, identifiers)


def _split_row(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """An HDF5 file and the record of it that ``file.h5#7`` names; other paths as they are."""
    stem, mark, row = os.fspath(path).rpartition("#")
    if mark and row.isdecimal() and stem.lower().endswith(HDF5_SUFFIXES):
        return Path(stem), int(row)
    return Path(path), None


def _wfdb_header(path: Path) -> Path | None:
    """The header that a path stands for: itself, beside a signal file, or behind a bare name."""
    suffix = path.suffix.lower()
    if suffix == ".hea":
        return path if path.is_file() else None
    beside = path.with_suffix(".hea") if suffix in (".mat", ".dat") else None
    for candidate in (beside, path.with_name(path.name + ".hea")):
        if candidate is not None and candidate.is_file():
            return candidate
    return None


def _kind(head: bytes, path: Path) -> str:
    """Format of a file, by its first bytes."""
    if is_dicom(head):
        return "DICOM"
    if head[16:22] == b"SCPECG":
        return "SCP-ECG"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "hdf5"
    if head[:8] == b"ISHNE1.0":
        return "ISHNE"
    if head[:8] in (b"0       ", b"\xffBIOSEMI"):
        return "EDF"
    # In any encoding, a byte order mark or a blank line before it.
    if head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<"):
        return "XML"
    # Text tables have no signature: the suffix alone tells them.
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        return "csv"
    if suffix in (".mat", ".dat"):
        header = path.with_suffix(".hea")
        raise FileNotFoundError(f"{path.name} needs its WFDB header {header.name} beside it.")
    if suffix == ".hea":
        raise FileNotFoundError(f"{path} does not exist.")
    raise ValueError(
        f"{path.name}: the format {path.suffix or 'without a suffix'} is not supported. {_READ}"
    )


def is_dicom(head: bytes) -> bool:
    """Whether a file begins as DICOM does, with its preamble or, as some viewers write, without."""
    # Without one the first element is of group 0002 or 0008, its tag in little endian.
    return head[128:132] == b"DICM" or head[:4] in (
        b"\x02\0\0\0",
        b"\x02\0\x01\0",
        b"\x02\0\x02\0",
        b"\x08\0\0\0",
        b"\x08\0\x05\0",
        b"\x08\0\x08\0",
        b"\x08\0\x12\0",
        b"\x08\0\x16\0",
    )


_READ = (
    "WFDB records (.hea with .dat or .mat), DICOM waveforms, SCP-ECG, HL7 annotated ECGs, XML of "
    "GE MUSE, GE CardioSoft, Philips Sierra, Mortara and Schiller, EDF, ISHNE, HDF5 and CSV are."
)


def _read_dicom(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers.dicom import read_dicom

    return read_dicom(path, identifiers=identifiers)


def _read_scp(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers.scp import read_scp

    return read_scp(path, identifiers=identifiers)


def _read_edf(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers.edf import read_edf

    return read_edf(path, identifiers=identifiers)


def _read_ishne(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers.ishne import read_ishne

    return read_ishne(path, identifiers=identifiers)


def _read_xml(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers import aecg, cardiosoft, mortara, muse, schiller, sierra
    from crtkit.readers.safe_xml import parse

    root = parse(path)
    kinds = {
        "restingecg": muse.read_muse,
        "restingecgdata": sierra.read_sierra,
        "annotatedecg": aecg.read_aecg,
        "cardiologyxml": cardiosoft.read_cardiosoft,
        "ecg": mortara.read_mortara,
        "schilleredi": schiller.read_schiller,
    }
    # Schiller's tag is the name of a class: com.xiriuz.sema.xml.schillerEDI.SchillerEDI.
    read = kinds.get(root.tag.lower().rpartition(".")[2])
    if read is None:
        raise ValueError(
            f"{path.name}: XML that begins with <{root.tag[:60]}> is not supported. {_READ}"
        )
    return read(root, path, identifiers=identifiers)


# Behind functions, so that importing this module loads no format's package.
_READERS: dict[str, Callable[[Path, bool], ECG]] = {
    "DICOM": _read_dicom,
    "SCP-ECG": _read_scp,
    "EDF": _read_edf,
    "ISHNE": _read_ishne,
    "XML": _read_xml,
}
