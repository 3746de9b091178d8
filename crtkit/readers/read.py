"""``read_ecg``: which reader a file belongs to, told by its content."""

from __future__ import annotations

import os
from pathlib import Path

from crtkit.readers.ecg import ECG


def read_ecg(path: str | os.PathLike[str], identifiers: bool = False) -> ECG:
    """Read an ECG file. Its format is told by what is in it, not by its suffix.

    Parameters
    ----------
    path : path-like
        A WFDB record (its ``.hea`` or signal file, or its name without a suffix), a DICOM waveform,
        GE MUSE XML, Philips Sierra XML, an HL7 annotated ECG, or SCP-ECG.
    identifiers : bool
        Keep names, record numbers, dates and the text of interpretations in ``header``. By default
        they are left out.

    Returns
    -------
    ECG
        Signal in millivolt, float32. Leads III, aVR, aVL and aVF are computed from I and II where
        the file leaves them out, and named in ``header["derived_leads"]``; a calibration pulse
        behind the signal is cut off. ``header["printed"]`` has what the device measured, under the
        names of :data:`crtkit.signals.MEASUREMENTS`; WFDB records have none.

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
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; read_ecg reads one file.")
    header = _wfdb_header(path)
    if header is not None:
        from crtkit.readers.wfdb import read_wfdb

        return read_wfdb(header, identifiers=identifiers)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist, nor does a WFDB header {path.name}.hea.")
    if not path.is_file():  # opening a FIFO would wait for a writer, a device might never end
        raise ValueError(f"{path} is no regular file; read_ecg reads files.")
    return _read_by_content(path, identifiers)


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


def _read_by_content(path: Path, identifiers: bool) -> ECG:
    with path.open("rb") as file:
        head = file.read(512)
    if is_dicom(head):
        from crtkit.readers.dicom import read_dicom

        return read_dicom(path, identifiers=identifiers)
    if head[16:22] == b"SCPECG":
        from crtkit.readers.scp import read_scp

        return read_scp(path, identifiers=identifiers)
    # In any encoding, a byte order mark or a blank line before it.
    if head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<"):
        return _read_xml(path, identifiers)
    if path.suffix.lower() in (".mat", ".dat"):
        header = path.with_suffix(".hea")
        raise FileNotFoundError(f"{path.name} needs its WFDB header {header.name} beside it.")
    raise ValueError(
        f"{path.name}: the format {path.suffix or 'without a suffix'} is not read. {_READ}"
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
    "WFDB records (.hea with .dat or .mat), DICOM waveforms, GE MUSE XML, Philips Sierra XML, HL7 "
    "annotated ECGs and SCP-ECG are."
)


def _read_xml(path: Path, identifiers: bool) -> ECG:
    from crtkit.readers import aecg, muse, sierra
    from crtkit.readers.safe_xml import parse

    root = parse(path)
    kinds = {
        "restingecg": muse.read_muse,
        "restingecgdata": sierra.read_sierra,
        "annotatedecg": aecg.read_aecg,
    }
    read = kinds.get(root.tag.lower())
    if read is None:
        raise ValueError(
            f"{path.name}: XML that begins with <{root.tag[:60]}> is not read. {_READ}"
        )
    return read(root, path, identifiers=identifiers)
