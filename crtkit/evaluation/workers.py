"""Processes that fit: what each is fitting, and that none outlives the run that started it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib

_watched: set[int] = set()


def on_this_machine() -> bool:
    """Whether fits run in processes or threads of this machine, which see temporary files."""
    backend = joblib.parallel.get_active_backend()[0]
    return type(backend).__name__ in ("LokyBackend", "MultiprocessingBackend", "ThreadingBackend")


@contextmanager
def at_work(folder: Path | None, parent: int, what: str) -> Iterator[None]:
    """Leave a note of what this process is fitting; it stays if the process is killed.

    Parameters
    ----------
    folder : Path or None
        For notes, one per process; None where nobody on this machine would read them.
    parent : int
        Process of the run. When it ends, this process ends too: a fit of hours whose result nobody
        takes would hold memory and cores.
    what : str
        Model, seed and fold, in words.
    """
    if folder is None or os.getpid() == parent:
        yield
        return
    _end_with(parent)
    note = folder / f"{os.getpid()}.at_work"
    note.write_text(what, encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def left_at_work(folder: Path | None) -> list[str]:
    """What was being fitted by processes that have not come back."""
    notes = sorted(folder.glob("*.at_work")) if folder is not None else []
    return [note.read_text(encoding="utf-8") for note in notes]


def _end_with(parent: int) -> None:
    """Watch the run's process from a thread of its own, once per process."""
    if parent in _watched or os.name == "nt" or os.getppid() != parent:
        return
    _watched.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="crtkit-parent", daemon=True).start()
