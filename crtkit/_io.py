"""Files written whole or not at all, and packages that only some users need."""

from __future__ import annotations

import importlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Part of Python from 3.13; the type checker brings its own copy.
    from typing_extensions import TypeIs


def is_path(value: Any) -> TypeIs[str | os.PathLike[str]]:
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
    """Write indented JSON whole or not at all; NaN is refused, because JSON has none."""
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


def as_json(value: Any, default: Callable[[Any], Any] = str) -> Any:
    """Value in the types of JSON: arrays and tuples as lists, tables as lists of rows.

    Parameters
    ----------
    value : object
        NaN and infinity become None, because strict JSON has neither.
    default : callable, default=str
        What becomes of any other type, as in :func:`json.dumps`.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit._io import as_json
    >>> as_json({"auc": np.array([0.5, np.nan]), 7: (True, None)})
    {'auc': [0.5, None], '7': [True, None]}
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        value = value.reset_index().to_dict(orient="records")
    if isinstance(value, (np.ndarray, np.generic, pd.Series, pd.Index)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): as_json(inner, default) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner, default) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    # A missing cell of a nullable or date column is an object of pandas, not a float.
    return None if value is pd.NA or value is pd.NaT else default(value)


def package_versions(packages: Iterable[str] | None = None) -> dict[str, str]:
    """Versions of Python and of packages, those that are installed.

    Parameters
    ----------
    packages : iterable of str, optional
        Distribution names; by default those that the numbers of a saved model depend on.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    installed = {"python": platform.python_version()}
    for package in _NUMERICAL if packages is None else packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:  # run from a checkout, or an extra that was left out
            continue
    return installed


_NUMERICAL = ("crtkit", "scikit-learn", "numpy", "torch", "lightgbm", "skops", "safetensors")
