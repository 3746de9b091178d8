"""Files written whole or not at all, and packages that only some users need."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any


def is_path(value: Any) -> bool:
    """Whether a cell holds a path: text or an ``os.PathLike``, not bytes, not an array."""
    return isinstance(value, (str, os.PathLike))


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path of a temporary file beside ``path``, moved onto it when the block ends without error.

    A reader, or a run that was killed half-way, sees the old file or the new one, never a part.

    Parameters
    ----------
    path : path-like
        Its folder must exist: the temporary file has to be on the same file system.

    Yields
    ------
    Path
        Where to write; it keeps the suffix of ``path``, for writers that go by it.

    Examples
    --------
    >>> import tempfile
    >>> from crtkit._io import atomic_path
    >>> target = Path(tempfile.mkdtemp()) / "table.csv"
    >>> with atomic_path(target) as part:
    ...     _ = part.write_text("auc\\n0.7\\n")
    >>> target.read_text()
    'auc\\n0.7\\n'
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp makes private files; results are meant to be read by colleagues.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes whole or not at all."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON whole or not at all; NaN is refused, for JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def import_optional(name: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that is an extra; when absent, the message says how to install it.

    Parameters
    ----------
    name : str
        Module to import, such as ``"wfdb"``.
    extra : str
        Extra of crtkit that installs it.
    purpose : str
        What needs it, as the subject of the message: ``"Reading WFDB records"``.

    Raises
    ------
    ImportError
        The module, or one that it imports, is absent.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs the package {name.partition('.')[0]!r}, which could not be imported "
            f"({error}). Install it with: pip install 'crtkit[{extra}]'"
        ) from error


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a model's numbers depend on, where present."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in _NUMERICAL:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout, or an extra that is not there
            continue
    return found


_NUMERICAL = ("crtkit", "scikit-learn", "numpy", "torch", "lightgbm", "skops", "safetensors")
