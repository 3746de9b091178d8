"""Temporary folders of patients' data: removed with the process, or at the next start of another.

A process that is killed removes nothing. Each folder therefore holds a file that its process keeps
locked; a lock that can be had has lost its owner, and the folder goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where only a process that ends by itself cleans up
    fcntl = None  # type: ignore[assignment]

PREFIX = "crtkit-"
_LOCK = ".owner"


class _Owner:
    """An object to attach finalizers to, alive as long as the process."""


_OWNER = _Owner()
_SWEPT: set[int] = set()


def temporary_folder() -> Path:
    """Make a folder, ``crtkit-…`` in the system's temporary folder, removed with this process.

    Folders of this user whose process was killed are removed first, once per process.
    """
    folder, _ = _make()
    return folder


@contextmanager
def temporary_folder_during() -> Iterator[Path]:
    """Folder for the time of a ``with`` block, removed later where the process is killed in it."""
    folder, remove = _make()
    try:
        yield folder
    finally:
        remove()


def _make() -> tuple[Path, weakref.finalize]:
    if os.getpid() not in _SWEPT:
        _SWEPT.add(os.getpid())
        remove_orphans()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = None
    if fcntl is not None:
        # Locked before it has its name, so that nobody else finds it free.
        lock = open(folder / f"{_LOCK}.new", "w")  # noqa: SIM115 - held as long as the folder
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.replace(folder / f"{_LOCK}.new", folder / _LOCK)
    return folder, weakref.finalize(_OWNER, _remove, folder, os.getpid(), lock)


def remove_orphans() -> list[Path]:
    """Remove this user's folders whose process is gone; those that live are left alone.

    Returns
    -------
    list of Path
        What was removed.
    """
    if fcntl is None:
        return []
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Another process may remove the same folder, and other users' files are none of ours.
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with open(folder / _LOCK, "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


def _remove(folder: Path, owner: int, lock: IO[str] | None) -> None:
    # A forked worker inherits the finalizer but not the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()
