"""MIT-BIH Arrhythmia Database: 48 half-hour records of 47 subjects, beat by beat."""

from __future__ import annotations

import csv
import lzma
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit._io import import_optional
from crtkit.cohort import Cohort
from crtkit.datasets.folders import data_folder
from crtkit.signals.segments import AAMI_CLASSES

BASE_URL = "https://physionet.org/files/mitdb/1.0.0/"

# Rhythm and quality changes, comments, artefacts, blocked P waves, flutter waves and its limits.
OTHER_SYMBOLS = frozenset('+~"|x![]')

PACED = ("102", "104", "107", "217")
DS1 = (
    *("101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122"),
    *("124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230"),
)
DS2 = (
    *("100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210"),
    *("212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234"),
)
RECORDS = tuple(sorted(DS1 + DS2 + PACED))
SUBSETS = {"all": RECORDS, "aami": tuple(sorted(DS1 + DS2)), "DS1": DS1, "DS2": DS2}

FS = 360.0


def load_mitbih(
    path: str | os.PathLike[str] | None = None,
    *,
    subset: str | Iterable[str] = "all",
    lead: str = "MLII",
) -> Cohort:
    """Load records and beat annotations of the MIT-BIH Arrhythmia Database.

    Parameters
    ----------
    path : path-like, optional
        Folder with ``.hea``, ``.atr`` and ``.dat`` or ``.dat.xz`` files (xz is read in memory).
        By default ``mitdb`` in the folder that the environment variable ``CRTKIT_DATA`` names.
    subset : {"all", "aami", "DS1", "DS2"} or iterable of str
        ``"aami"`` leaves out the four paced records (102, 104, 107, 217), as ANSI/AAMI EC57 says;
        ``"DS1"`` and ``"DS2"`` are de Chazal's halves of the rest; or record names.
    lead : {"MLII", "first", "both"}
        ``"MLII"``: the modified limb lead II wherever it lies (in 114 it is the second signal);
        102 and 104 have none, and give their first signal, V5. ``"first"``: the first signal of
        the file. ``"both"``: both, in the file's order.

    Returns
    -------
    Cohort
        One row per record. ``X`` has

        - ``signal``: float32 array (1 or 2 leads, n_samples), mV;
        - ``record``, ``leads`` (names, joined by "+"), ``age`` (years), ``male`` (1, 0);
        - ``beats``: int64 sample of each annotated beat; ``symbols``: its symbol;
        - ``flutter``: int64 array (n, 2), first and last sample of ventricular flutter (207).

        ``y`` is the part of the database: "DS1", "DS2" or "paced"; the classes of beats come from
        :func:`crtkit.signals.segment_beats`. ``groups`` are the 47 subjects: 201 and 202 are one
        man, and both carry "201" although 201 lies in DS1 and 202 in DS2.

    Raises
    ------
    FileNotFoundError
        The folder, or a file of a record, is missing: all missing files are named.
    ImportError
        The wfdb package, which reads headers and annotations, is not installed.
    ValueError
        An unknown subset, lead, record or annotation symbol; a damaged file.

    References
    ----------
    Moody and Mark, IEEE Eng Med Biol 20(3), 2001, doi:10.13026/C2F305. de Chazal, O'Dwyer and
    Reilly, IEEE Trans Biomed Eng 51(7), 2004 (DS1 and DS2). ANSI/AAMI EC57.

    Examples
    --------
    >>> from crtkit.datasets import load_mitbih
    >>> cohort = load_mitbih(subset="DS1")                             # doctest: +SKIP
    >>> len(cohort), cohort.info["sampling_rate"]                      # doctest: +SKIP
    (22, 360.0)
    """
    if lead not in ("MLII", "first", "both"):
        raise ValueError(f"load_mitbih expects lead 'MLII', 'first' or 'both', got {lead!r}.")
    names = _record_names(subset)
    advice = ", or download with fetch_mitbih(path)"
    folder = data_folder("load_mitbih", path, "mitdb", "records of MIT-BIH", advice)
    _check_files(folder, names)
    rows = [_read_record(folder, name, lead) for name in names]
    # Records with paced beats (102, 104, 107, 217) are in neither part (AAMI EC57).
    part = {**dict.fromkeys(DS1, "DS1"), **dict.fromkeys(DS2, "DS2")}
    info = {
        "name": "MIT-BIH Arrhythmia Database 1.0.0",
        "source": "real",
        "sampling_rate": FS,
        "lead_names": ["signal 1", "signal 2"] if lead == "both" else [lead],
        "licence": "ODC-BY 1.0",
        "doi": "10.13026/C2F305",
        "flow": {
            "records of the database": len(RECORDS),
            "not asked for": len(names) - len(RECORDS),
            "records": len(names),
        },
        "assumed": ["102 and 104 have no MLII: their first signal, V5, is used"]
        if lead == "MLII" and {"102", "104"} & set(names)
        else [],
    }
    # 201 and 202 are one man, and DS1 and DS2 have one each: AAMI's split leaks him.
    groups = np.array(["201" if name == "202" else name for name in names], dtype=object)
    y = np.array([part.get(name, "paced") for name in names], dtype=object)
    return Cohort(pd.DataFrame(rows), y, groups, info)


def fetch_mitbih(
    path: str | os.PathLike[str],
    *,
    subset: str | Iterable[str] = "all",
    base_url: str = BASE_URL,
    progressbar: bool = False,
) -> Path:
    """Download records of the MIT-BIH Arrhythmia Database, each file checked by its SHA-256.

    The sums are those of PhysioNet's own ``SHA256SUMS.txt`` of version 1.0.0. Files that are
    there and intact are not downloaded again.

    Parameters
    ----------
    path : path-like
        Folder to write to; made where it does not exist.
    subset : {"all", "aami", "DS1", "DS2"} or iterable of str
        As in :func:`load_mitbih`. All records are some 100 MB.
    base_url : str
        Where the files lie: PhysioNet, or a mirror.
    progressbar : bool
        Show one per file (needs tqdm).

    Returns
    -------
    Path
        The folder, for :func:`load_mitbih`.

    Raises
    ------
    ImportError
        pooch is not installed.
    ValueError
        A file's checksum is wrong (it is not kept), or a record is unknown.

    Examples
    --------
    >>> from crtkit.datasets import fetch_mitbih, load_mitbih
    >>> cohort = load_mitbih(fetch_mitbih("mitdb"))                    # doctest: +SKIP
    """
    pooch = import_optional("pooch", extra="downloads", purpose="fetch_mitbih")
    names = _record_names(subset)
    registry = {name: f"sha256:{digest}" for name, digest in known_sums().items()}
    store = pooch.create(path=Path(path), base_url=base_url, registry=registry, retry_if_failed=2)
    for name in names:
        for suffix in (".hea", ".atr", ".dat"):
            store.fetch(name + suffix, progressbar=progressbar)
    return Path(path)


def known_sums() -> dict[str, str]:
    """SHA-256 of the 144 files of version 1.0.0, as PhysioNet publishes them.

    Returns
    -------
    dict of str
        File name to hexadecimal digest.

    Examples
    --------
    >>> from crtkit.datasets.mitbih import known_sums
    >>> len(known_sums())
    144
    """
    table = files("crtkit.datasets").joinpath("mitbih_sha256.csv").read_text(encoding="utf-8")
    return {row["file"]: row["sha256"] for row in csv.DictReader(table.splitlines())}


def _record_names(subset) -> tuple[str, ...]:
    if isinstance(subset, str):
        if subset not in SUBSETS:
            raise ValueError(
                f"load_mitbih expects subset to be one of {list(SUBSETS)} or record names, "
                f"got {subset!r}."
            )
        return SUBSETS[subset]
    names = tuple(str(name) for name in subset)
    unknown = [name for name in names if name not in RECORDS]
    if unknown or not names or len(set(names)) != len(names):
        raise ValueError(
            f"load_mitbih expects distinct names among the 48 records, got {list(names)}"
            + (f"; unknown: {unknown}." if unknown else ".")
        )
    return names


def _check_files(folder, names):
    missing = [
        f"{name}{suffix}"
        for name in names
        for suffix in (".hea", ".atr", ".dat")
        if not (folder / f"{name}{suffix}").is_file()
        and not (suffix == ".dat" and (folder / f"{name}.dat.xz").is_file())
    ]
    if missing:
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} file(s) of {len(names)} record(s): {shown} (.dat may "
            "be .dat.xz). Download them with fetch_mitbih, or name the records in subset=."
        )


def _read_record(folder, name, lead):
    wfdb = import_optional("wfdb", extra="readers", purpose="load_mitbih")
    # wfdb reads a truncated annotation file without a word, and beats are silently lost.
    if (folder / f"{name}.atr").read_bytes()[-2:] != b"\0\0":
        raise ValueError(
            f"{folder / name}.atr is truncated: the mark that ends an annotation file is missing, "
            "and beats with it. Download it again with fetch_mitbih."
        )
    try:
        header = wfdb.rdheader(str(folder / name))
        annotation = wfdb.rdann(str(folder / name), "atr")
    except Exception as error:  # wfdb raises whatever its parsers stumble over
        raise ValueError(
            f"{folder / name}: header or annotations are damaged: {error!r}"
        ) from error
    if header.fs != FS or header.n_sig != 2 or set(header.fmt) != {"212"}:
        raise ValueError(
            f"{folder / name}.hea says {header.n_sig} signals at {header.fs} Hz in format "
            f"{header.fmt}; MIT-BIH has 2 at 360 Hz in format 212."
        )
    signal = _unpack_212(_read_bytes(folder, name), header.sig_len, folder / name)
    millivolt = (signal - np.array(header.baseline)[:, None]) / np.array(header.adc_gain)[:, None]
    chosen = _choose_leads(header.sig_name, lead)
    age, _, rest = (header.comments[0] if header.comments else "").partition(" ")
    return {
        "record": name,
        "signal": np.ascontiguousarray(millivolt[chosen], dtype=np.float32),
        "leads": "+".join(header.sig_name[i] for i in chosen),
        "age": float(age) if age.isdigit() else np.nan,
        "male": {"M": 1.0, "F": 0.0}.get(rest[:1], np.nan),
        **_beats(annotation, header.sig_len, name),
    }


def _choose_leads(names, lead):
    if lead == "both":
        return [0, 1]
    return [names.index("MLII") if lead == "MLII" and "MLII" in names else 0]


def _read_bytes(folder, name):
    plain = folder / f"{name}.dat"
    if plain.is_file():
        return plain.read_bytes()
    try:
        with lzma.open(folder / f"{name}.dat.xz") as file:
            return file.read()
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{folder / name}.dat.xz cannot be decompressed: {error}") from error


def _unpack_212(data, n_samples, where):
    """Two 12-bit two's-complement samples, one of each signal, in three bytes."""
    if len(data) != 3 * n_samples:
        raise ValueError(
            f"{where}.dat has {len(data)} bytes, its header promises {n_samples} samples "
            f"({3 * n_samples} bytes): the file is truncated or not this record's."
        )
    octets = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3).astype(np.int16)
    low, middle, high = octets.T
    # Two samples of 12 bits in three bytes; ours reads .xz in memory, which wfdb cannot.
    samples = np.stack([low | (middle & 0x0F) << 8, high | (middle & 0xF0) << 4])
    return np.where(samples > 2047, samples - 4096, samples)


def _beats(annotation, n_samples, name):
    symbols = np.array(annotation.symbol)
    samples = np.asarray(annotation.sample, dtype=np.int64)
    unknown = sorted(set(annotation.symbol) - set(AAMI_CLASSES) - OTHER_SYMBOLS)
    if unknown:
        raise ValueError(
            f"Record {name} has annotation symbol(s) {unknown} that are not of MIT-BIH; the beats "
            f"are {list(AAMI_CLASSES)}."
        )
    is_beat = np.isin(symbols, list(AAMI_CLASSES))
    if len(samples) and (samples.min() < 0 or samples.max() >= n_samples):
        raise ValueError(f"Record {name} has annotations beyond its {n_samples} samples.")
    flutter = np.column_stack([samples[symbols == "["], samples[symbols == "]"]])
    return {"beats": samples[is_beat], "symbols": symbols[is_beat], "flutter": flutter}
