"""Processes and threads that fit: how many threads each has, what it is fitting, when it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import joblib
from threadpoolctl import threadpool_limits

_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Processes whose end this one waits for.
_watched: set[int] = set()


def resolve_threads(threads_per_fit: int | None, n_jobs: int | None) -> int:
    """All cores for one fit at a time, one core per fit otherwise, unless the caller says."""
    if threads_per_fit is None:
        return joblib.cpu_count() if joblib.effective_n_jobs(n_jobs) == 1 else 1
    if threads_per_fit != int(threads_per_fit) or threads_per_fit < 1:
        raise ValueError(f"threads_per_fit must be a whole number >= 1, got {threads_per_fit!r}.")
    return int(threads_per_fit)


@contextmanager
def pinned_threads(n_threads: int) -> Iterator[None]:
    """Hold OpenMP, BLAS and torch at ``n_threads``; the settings before are put back.

    Libraries that are loaded while the context is open (a worker's first torch model) read the
    environment instead, which is why it is set too. Where several threads hold it at once (joblib's
    threading backend), the first one sets what the process shares and the last one puts it back.
    """
    first = _SHARED.enter(n_threads)
    try:
        # OpenMP counts threads for each thread that calls it, so the others set their own.
        with nullcontext() if first else threadpool_limits(n_threads, user_api="openmp"):
            if torch := _torch():
                torch.set_num_threads(n_threads)
            yield
    finally:
        _SHARED.leave()


class _Shared:
    """Thread settings of the whole process, set once however many threads ask for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._stack = ExitStack()

    def enter(self, n_threads: int) -> bool:
        """Set them, unless another thread did; say whether it was this one."""
        with self._lock:
            first = not self._depth
            if first:
                self._stack.enter_context(_environment(n_threads))
                self._stack.enter_context(threadpool_limits(n_threads))
            self._depth += 1
            return first

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._stack.close()


@contextmanager
def _environment(n_threads: int) -> Iterator[None]:
    """Environment and torch's own count, which outlives a fit in a worker that is used again."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(dict.fromkeys(_ENVIRONMENT, str(n_threads)))
    torch = _torch()
    torch_threads = torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if torch := _torch():
            torch.set_num_threads(torch_threads or _default_threads(before["OMP_NUM_THREADS"]))


_SHARED = _Shared()


def pin_lightgbm(estimator: Any, n_threads: int) -> None:
    """Make a LightGBM estimator's bits depend on data and seed only."""
    params = estimator.get_params()
    pins = {"n_jobs": n_threads, "deterministic": True}
    # Left free, LightGBM chooses rows or columns by timing them.
    if not params.get("force_col_wise"):
        pins["force_row_wise"] = True
    estimator.set_params(**pins)


def is_lightgbm(estimator: Any) -> bool:
    """Say whether this is one of LightGBM's scikit-learn estimators, without importing it."""
    return any(
        cls.__name__ == "LGBMModel" and cls.__module__.startswith("lightgbm")
        for cls in type(estimator).__mro__
    )


def _torch() -> Any:
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "set_num_threads") else None


def _default_threads(value: str | None) -> int:
    return int(value) if value and value.isdigit() else joblib.cpu_count()


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
