"""The one file of a bundle: named parts beside a manifest of their hashes, read without unpacking.

A bundle is a ZIP of uncompressed members. Nothing is ever extracted to disk, so a member's name
cannot lead anywhere; nothing is compressed, so a small file cannot become a large one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import write_bytes

FORMAT = "crtkit-bundle"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MAX_BYTES = 4 * 2**30  # of a whole file: ECG-FM base has 0.4 GB
# Each tensor of a network is in one part, so real bundles have a handful.
MAX_PARTS = 10_000
#: What zipfile raises at a damaged or crafted directory: encrypted members (RuntimeError), versions
#: that it does not know, places outside of the file, names that are no text.
DAMAGED = (
    *(zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, OverflowError),
    *(struct.error, KeyError),
)
MAX_MANIFEST = 64 * 2**20  # columns by the thousand have a tenth of it


class BundleError(ValueError):
    """A file is not a bundle, is damaged, or holds what is not trusted."""


def digest_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own ``digest``."""
    bare = {key: value for key, value in manifest.items() if key != "digest"}
    text = json.dumps(bare, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_archive(
    path: str | os.PathLike[str], manifest: Mapping[str, Any], parts: Mapping[str, bytes]
) -> dict[str, Any]:
    """Write parts and manifest as one file, whole or not at all.

    Parameters
    ----------
    path : path-like
    manifest : dict
        Plain JSON values without NaN; ``format``, ``parts`` and ``digest`` are added.
    parts : dict of bytes
        By name.

    Returns
    -------
    dict
        The manifest as it was written.
    """
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **manifest,
        "parts": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in parts.items()
        },
    }
    manifest["digest"] = digest_of(manifest)
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {MANIFEST: text.encode(), **parts}.items():
            # A fixed time stamp: the same model gives the same file.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    write_bytes(path, buffer.getvalue())
    return manifest


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and parts of a bundle, every hash compared.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    BundleError
        No bundle, a newer format, compressed or surplus or absent members, a part or the manifest
        that is not what was written.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no bundle at {path}.")
    if not path.is_file():
        raise BundleError(f"{path} is not a regular file, so it cannot be a bundle.")
    if path.stat().st_size > MAX_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size} bytes; bundles end at {MAX_BYTES}.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _stored(path, archive)
            manifest = _manifest(path, members)
            parts = {name: data for name, data in members.items() if name != MANIFEST}
    except BundleError:
        raise
    except DAMAGED as error:
        raise BundleError(
            f"{path} is not a crtkit bundle, or is damaged ({error}). Write it with crtkit.save."
        ) from error
    _compare(path, manifest["parts"], parts)
    return manifest, parts


def _stored(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MAX_PARTS or len({info.filename for info in infos}) < len(infos):
        raise BundleError(f"{path} has too many members, or two of one name.")
    # Backslashes lead somewhere on Windows, where the same bundle may be opened.
    for info in infos:
        plain = info.filename.replace("\\", "/")
        if plain != os.path.basename(plain) or plain in ("", ".", ".."):
            raise BundleError(f"{path} has a member named {info.filename!r}: a path, no name.")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BundleError(f"{path}: the member {info.filename!r} is compressed; refused.")
    _refuse_overlap(path, infos, path.stat().st_size)
    return {info.filename: archive.read(info) for info in infos}


def _refuse_overlap(path: Any, infos: list[zipfile.ZipInfo], size: int) -> None:
    """Members that share bytes: ten thousand of them would be a small file that fills a memory."""
    if sum(info.file_size for info in infos) > size:
        raise BundleError(f"{path}: its members announce more bytes than the file has.")


def _manifest(path: Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        if len(members[MANIFEST]) > MAX_MANIFEST:
            raise ValueError(f"it has {len(members[MANIFEST])} bytes")
        manifest = json.loads(members[MANIFEST].decode(), parse_constant=_no_constant)
        if manifest["format"] != FORMAT:
            raise ValueError(f"format is {manifest['format']!r}")
        version, digest, parts = manifest["format_version"], manifest["digest"], manifest["parts"]
        if not isinstance(version, int) or not isinstance(parts, dict):
            raise TypeError("format_version or parts are of another type")
        if not all(isinstance(part, dict) for part in parts.values()):
            raise TypeError("its parts are of another type")
        found = digest_of(manifest)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise BundleError(
            f"{path} is not a crtkit bundle: its {MANIFEST} cannot be read ({error})."
        ) from error
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{path} is a bundle of format {version}; this crtkit reads up to {FORMAT_VERSION}. "
            "Install a newer crtkit."
        )
    # Against damage and careless edits; whoever can write the file can write this too.
    if digest != found:
        raise BundleError(f"{path}: its {MANIFEST} was changed after it was written.")
    return manifest


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _compare(path: Path, expected: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
    surplus, absent = sorted(set(parts) - set(expected)), sorted(set(expected) - set(parts))
    if surplus or absent:
        raise BundleError(f"{path}: parts not in its manifest {surplus}, parts absent {absent}.")
    for name, data in parts.items():
        if hashlib.sha256(data).hexdigest() != expected[name].get("sha256"):
            raise BundleError(
                f"{path}: the part {name!r} is not the one that was saved (its SHA-256 differs). "
                "The file was damaged or changed; get it again from who made it."
            )


def check_inner_archive(path: str | os.PathLike[str], data: bytes) -> None:
    """Refuse a skops part whose members are compressed, or whose arrays outgrow their bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_overlap(path, archive.infolist(), len(data))
            for info in archive.infolist():
                if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                    raise BundleError(f"{path}: {info.filename!r} in its model is compressed.")
                content = archive.read(info)
                # By what it holds: numpy asks no name for its suffix.
                if info.filename.endswith(".npy") or content[:6] == b"\x93NUMPY":
                    _check_array(path, info.filename, content)
    except BundleError:
        raise
    except DAMAGED as error:
        raise BundleError(f"{path}: its model cannot be read ({error}).") from error


def _check_array(path: str | os.PathLike[str], name: str, data: bytes) -> None:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except Exception as error:  # the header is a literal that numpy evaluates: any error may come
        raise BundleError(
            f"{path}: the array {name!r} has no readable header ({error})."
        ) from error
    size = dtype.itemsize * int(np.prod(shape, dtype=object)) if shape else dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or size != len(data) - file.tell():
        raise BundleError(
            f"{path}: the array {name!r} announces {shape} of {dtype} and has other contents."
        )
