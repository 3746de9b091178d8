"""One number of threads per fit, in every library that would choose its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
from threadpoolctl import threadpool_limits

_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
    environment instead, which is why it is set too.
    """
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(dict.fromkeys(_ENVIRONMENT, str(n_threads)))
    torch = _torch()
    torch_threads = torch.get_num_threads() if torch else None
    try:
        with threadpool_limits(n_threads):
            if torch:
                torch.set_num_threads(n_threads)
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        torch = _torch()
        if torch:
            # torch's own count outlives the fit in a worker that is used again.
            torch.set_num_threads(torch_threads or _default_threads(before["OMP_NUM_THREADS"]))


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
