"""What makes a run the same run: hashes of models, versions of libraries, the device."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation.models import is_estimator

_LIBRARIES = (
    "crtkit",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "imbalanced-learn",
    "torch",
    "torchvision",
    "skorch",
    "sktime",
    "numba",
)


def versions() -> dict[str, str]:
    """Versions of Python and of every installed library that results may depend on."""
    installed = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    installed["crtkit source"] = _source_hash()
    return installed


@functools.cache
def _source_hash() -> str:
    """Short hash of crtkit's own code: between releases the version stands still, models do not."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def device(models: dict[str, Any]) -> dict[str, str]:
    """Processor, and the accelerator where any model has a ``device``."""
    hardware = {"cpu": _processor()}
    if any(_has_device(model) for model in models.values()):
        import torch

        if torch.cuda.is_available():
            hardware["gpu"] = torch.cuda.get_device_name()
    return hardware


def _has_device(model: Any) -> bool:
    return any(
        name == "device" or name.endswith("__device") for name in model.get_params(deep=True)
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def fingerprint(value: Any) -> str:
    """Short hash of parameters, nested estimators, arrays and weights; equal in every process."""
    text = json.dumps(_Describer().describe(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


# Overwritten by evaluate, or without effect on what is fitted.
_NEUTRAL = ("random_state", "n_jobs", "verbose")


class _Describer:
    """Turns a value into JSON that says what it is: no address, no order of a set."""

    def __init__(self) -> None:
        self._above: list[int] = []  # objects being described, against cycles
        self._fitted = False  # inside a frozen estimator its state counts, not its parameters

    def describe(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, (float, complex, bytes)):
            return repr(value)
        if id(value) in self._above:
            return "<cycle>"
        self._above.append(id(value))
        try:
            return self._describe(value)
        finally:
            self._above.pop()

    def _describe(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            return self.describe(value.item())
        if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
            labels = list(map(str, getattr(value, "columns", [])))
            return [type(value).__name__, labels, self.describe(value.to_numpy(dtype=object))]
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                return ["array", value.shape, [self.describe(v) for v in value.ravel()]]
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return ["array", value.shape, value.dtype.str, digest]
        if isinstance(value, dict):
            items = [[self.describe(k), self.describe(v)] for k, v in value.items()]
            return ["dict", sorted(items, key=lambda item: json.dumps(item[0], default=str))]
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, [self.describe(v) for v in value]]
        if isinstance(value, (set, frozenset)):
            return ["set", sorted(json.dumps(self.describe(v), default=str) for v in value)]
        if isinstance(value, type) or inspect.isroutine(value):
            code = getattr(getattr(value, "__code__", None), "co_code", b"")
            name = getattr(value, "__qualname__", repr(value))
            return [getattr(value, "__module__", None), name, hashlib.sha256(code).hexdigest()]
        if isinstance(value, functools.partial):
            return ["partial", self.describe([value.func, value.args, value.keywords])]
        return [f"{type(value).__module__}.{type(value).__qualname__}", self._state(value)]

    def _state(self, value: Any) -> Any:
        if is_estimator(value) and not self._fitted:
            params = value.get_params(deep=False)
            return self.describe({k: v for k, v in params.items() if k not in _NEUTRAL})
        if type(value).__name__ == "FrozenEstimator":
            before, self._fitted = self._fitted, True
            try:
                return self.describe(vars(value))
            finally:
                self._fitted = before
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            return self.describe(dict(value.state_dict()))
        if torch is not None and isinstance(value, torch.Tensor):
            plain = value.detach().cpu()
            # numpy has no bfloat16; float64 holds every floating type exactly.
            return self.describe((plain.double() if plain.is_floating_point() else plain).numpy())
        if hasattr(value, "model_to_string"):  # a LightGBM booster
            return hashlib.sha256(value.model_to_string().encode()).hexdigest()
        if hasattr(value, "__dict__"):
            return self.describe(vars(value))
        try:
            return self.describe(list(value.__reduce_ex__(4)[1:3]))
        except TypeError:
            return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
