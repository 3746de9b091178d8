"""Signal files of WFDB records: the stored integers, signal by signal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crtkit._io import import_optional
from crtkit.readers.wfdb_header import Header, SignalLine

# 24 hours of twelve leads at 250 Hz are a quarter of a billion; what is beyond does not fit.
_MOST_SAMPLES = 300_000_000
# Of samples to bytes of compressed files; FLAC may shrink a flat line a hundredfold.
_MOST_A_BYTE = 1000
_FLAC = ("508", "516", "524")

#: Stored value that marks a missing sample, by format.
INVALID = {
    **{"16": -(2**15), "61": -(2**15), "212": -(2**11), "80": -(2**7), "160": -(2**15)},
    **{"24": -(2**23), "32": -(2**31), "310": -(2**9), "311": -(2**9)},
    **{"508": -(2**7), "516": -(2**15), "524": -(2**23)},
}


def read_samples(header: Header, path: Path) -> list[np.ndarray]:
    """Stored samples of every signal of a single-segment record.

    Parameters
    ----------
    header : Header
    path : Path
        The header file; signal files lie beside it.

    Returns
    -------
    list of ndarray of int, shape (n_samples * frame,)
        Skew taken out.

    Raises
    ------
    FileNotFoundError
        A signal file is missing.
    ValueError
        A file is shorter than the header announces, its format is not known, or the samples do not
        add up to the checksum of the header.
    """
    n_samples = header.n_samples
    out: list[np.ndarray] = []
    at = 0
    while at < len(header.signals):
        first = header.signals[at]
        group = [first]
        # Signals of one file stand together, and are interleaved frame by frame.
        while at + len(group) < len(header.signals):
            line = header.signals[at + len(group)]
            if line.file != first.file:
                break
            group.append(line)
        file = _locate(first.file, path)
        if first.format in _FLAC:
            parts = _by_package(header, path, file, at, len(group))
        else:
            parts = _interleaved(group, file, n_samples, path)
        n_samples = n_samples or len(parts[0]) // first.frame
        out += parts
        at += len(group)
    for line, samples in zip(header.signals, out):
        _check_sum(line, samples, path)
    return [_unskewed(line, samples) for line, samples in zip(header.signals, out)]


def _locate(name: str, path: Path) -> Path:
    """A signal file of the header's folder; a header must not reach for files elsewhere."""
    if name in ("~", "-") or "/" in name or "\\" in name or name == "..":
        raise ValueError(f"{path} names the signal file {name!r}; it must lie beside the header.")
    file = path.parent / name
    for candidate in (file, file.with_name(name + ".dat"), file.with_name(name + ".mat")):
        if candidate.is_file():
            return candidate
    if file.exists():
        raise ValueError(f"{path} names the signal file {name!r}, which is not a regular file.")
    raise FileNotFoundError(f"{path} names a signal file that is missing: {name}.")


def _interleaved(group: list[SignalLine], file: Path, n_samples: int, path: Path):
    first = group[0]
    unpack = _FORMATS.get(first.format)
    if unpack is None or any(line.format != first.format for line in group):
        raise ValueError(
            f"{path} stores {first.name or first.file} in format {first.format}; formats "
            f"{', '.join((*_FORMATS, *_FLAC))} are read."
        )
    a_frame = sum(line.frame for line in group)
    if not a_frame or any(not line.frame for line in group):
        raise ValueError(f"{path} has a signal without samples in a frame.")
    needed = n_samples * a_frame
    bits = _BITS[first.format]
    size = max(file.stat().st_size - first.offset, 0)
    there = int(size * 8 // bits)
    if not n_samples:
        n_samples = there // a_frame
        needed = n_samples * a_frame
    if not n_samples or there < needed:
        raise ValueError(
            f"{path} cannot be read as a WFDB record: {n_samples} samples are announced for each "
            f"of {len(group)} signals, the signal file {file.name} has {there // a_frame} "
            f"({file.stat().st_size} bytes). The download may have stopped."
        )
    if needed > _MOST_SAMPLES:
        raise ValueError(f"{path} announces {needed} samples; under {_MOST_SAMPLES} are read.")
    # Packed formats hold samples in twos and threes: read to the end of the last pack.
    with file.open("rb") as handle:
        handle.seek(first.offset)
        raw = handle.read(int(needed * bits // 8) + 12)
    frames = unpack(raw, needed).reshape(n_samples, a_frame)
    parts, at = [], 0
    for line in group:
        parts.append(np.ascontiguousarray(frames[:, at : at + line.frame]).reshape(-1))
        at += line.frame
    return parts


def _by_package(header: Header, path: Path, file: Path, at: int, n_signals: int):
    """Compressed signals, through the wfdb package."""
    wfdb = import_optional("wfdb", extra="readers", purpose="Reading FLAC-compressed WFDB records")
    size = file.stat().st_size
    total = header.n_samples * n_signals
    if total > min(_MOST_A_BYTE * size, _MOST_SAMPLES):
        raise ValueError(f"{path}: {total} samples are announced, {file.name} has {size} bytes.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = wfdb.rdrecord(
                str(path.with_suffix("")),
                physical=False,
                smooth_frames=False,
                ignore_skew=True,  # taken out below, of every format alike
                channels=list(range(at, at + n_signals)),
            )
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        raise ValueError(f"{path} cannot be read as a WFDB record: {error!r}") from error
    return [np.asarray(samples) for samples in record.e_d_signal]


def _check_sum(line: SignalLine, samples: np.ndarray, path: Path) -> None:
    # Many writers leave 0 where they did not compute it.
    if line.checksum and (int(samples.sum(dtype=np.int64)) - line.checksum) % 65536:
        raise ValueError(
            f"{path}: the checksum of {line.name or line.file} does not fit its samples. "
            f"{line.file} is damaged, or belongs to another record."
        )


def _unskewed(line: SignalLine, samples: np.ndarray) -> np.ndarray:
    """Shift a signal that was sampled late; what is not recorded at its end is missing."""
    if not line.skew:
        return samples
    shift = min(line.skew * line.frame, len(samples))
    missing = np.full(shift, INVALID.get(line.format, 0), dtype=samples.dtype)
    return np.concatenate([samples[shift:], missing])


def _of_dtype(dtype: str, offset: int = 0) -> Callable[[bytes, int], np.ndarray]:
    def unpack(raw: bytes, n: int) -> np.ndarray:
        stored = np.frombuffer(raw, dtype=dtype, count=n)
        return stored.astype(np.int32) - offset if offset else stored

    return unpack


def _packed_12(raw: bytes, n: int) -> np.ndarray:
    """Format 212: two samples of 12 bits in three bytes."""
    raw = raw[: -(-n * 3 // 2)].ljust(-(-n // 2) * 3, b"\0")
    low, both, high = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3).astype(np.int32).T
    pairs = np.stack([low | (both & 0x0F) << 8, high | (both & 0xF0) << 4], axis=1)
    return _signed(pairs.reshape(-1)[:n], 12)


def _packed_24(raw: bytes, n: int) -> np.ndarray:
    parts = np.frombuffer(raw[: 3 * n], dtype=np.uint8).reshape(-1, 3).astype(np.int32)
    return _signed(parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16, 24)


def _packed_310(raw: bytes, n: int) -> np.ndarray:
    """Format 310: three samples of 10 bits in two words of 16, the third in their low bits."""
    words = _words(raw, n, "<u2", 2)
    third = (words[:, 0] >> 11 & 0x1F) | (words[:, 1] >> 11 & 0x1F) << 5
    three = np.stack([words[:, 0] >> 1 & 0x3FF, words[:, 1] >> 1 & 0x3FF, third], axis=1)
    return _signed(three.reshape(-1)[:n], 10)


def _packed_311(raw: bytes, n: int) -> np.ndarray:
    """Format 311: three samples of 10 bits in one word of 32."""
    words = _words(raw, n, "<u4", 1)
    three = np.stack([words[:, 0] >> shift & 0x3FF for shift in (0, 10, 20)], axis=1)
    return _signed(three.reshape(-1)[:n], 10)


def _words(raw: bytes, n: int, dtype: str, a_pack: int) -> np.ndarray:
    packs = -(-n // 3)
    raw = raw[: 4 * packs].ljust(4 * packs, b"\0")
    return np.frombuffer(raw, dtype=dtype).astype(np.int64).reshape(-1, a_pack)


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    half = 1 << (bits - 1)
    return (values ^ half) - half


_FORMATS: dict[str, Callable[[bytes, int], np.ndarray]] = {
    "16": _of_dtype("<i2"),
    "61": _of_dtype(">i2"),
    "80": _of_dtype("u1", 128),
    "160": _of_dtype("<u2", 32768),
    "32": _of_dtype("<i4"),
    "24": _packed_24,
    "212": _packed_12,
    "310": _packed_310,
    "311": _packed_311,
}
_BITS = {
    **{"16": 16, "61": 16, "80": 8, "160": 16, "32": 32, "24": 24, "212": 12},
    **{"310": 32 / 3, "311": 32 / 3},
}
