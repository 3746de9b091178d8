"""Workers that are copies of this process, for commands that last seconds.

joblib's own start from nothing and spend a second on imports, as much as they then save. A fork is
safe in a command's process, which has run nothing on several threads; a notebook's may have.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase


class ForkingBackend(ParallelBackendBase):  # type: ignore[misc]
    """joblib's interface to a pool of forked processes; a worker that dies is an error, no hang."""

    supports_return_generator = True
    supports_retrieve_callback = True
    # A file that takes long is measured to its end: joblib could not stop it without losing others.
    supports_timeout = False
    uses_threads = False
    default_n_jobs = 1

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Number of processes for joblib's ``n_jobs``."""
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(1, joblib.cpu_count() + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Start the pool."""
        self.parallel = parallel
        n_jobs = self.effective_n_jobs(n_jobs)
        context = multiprocessing.get_context("fork")
        self.pool = ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_quiet)
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[..., Any]) -> Future[Any]:
        """Hand a batch to a worker."""
        future = self.pool.submit(func)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Result of a batch, or its error."""
        return out.result()

    def terminate(self) -> None:
        """Let the workers go."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop what is waiting; each running batch is short."""
        self.terminate()
        if ensure_ready:
            self.configure(self.parallel.n_jobs, self.parallel)


def forked_workers() -> AbstractContextManager[Any]:
    """Let joblib fork inside a block, where the system can (Linux)."""
    if sys.platform != "linux":
        return nullcontext()
    return joblib.parallel_config(backend=ForkingBackend())


def _quiet() -> None:
    # Ctrl-C goes to all processes of a terminal: the parent speaks for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
