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
from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation._models import is_estimator

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
)


def versions() -> dict[str, str]:
    """Versions of Python and of every installed library that results may depend on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def device(models: dict[str, Any]) -> dict[str, str]:
    """Processor, and the accelerator where any model has a ``device``."""
    found = {"cpu": _processor()}
    if any(_has_device(model) for model in models.values()):
        import torch

        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


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
    text = json.dumps(_describe(value, ()), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _describe(value: Any, above: tuple[int, ...]) -> Any:
    """What ``value`` is, as JSON; never an address, never the order of a set."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, complex, bytes)):
        return repr(value)
    if id(value) in above:
        return "<cycle>"
    above = (*above, id(value))
    if isinstance(value, np.generic):
        return _describe(value.item(), above)
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        labels = list(map(str, getattr(value, "columns", [])))
        return [type(value).__name__, labels, _describe(value.to_numpy(dtype=object), above)]
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return ["array", value.shape, [_describe(v, above) for v in value.ravel()]]
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return ["array", value.shape, value.dtype.str, digest]
    if isinstance(value, dict):
        items = [[_describe(k, above), _describe(v, above)] for k, v in value.items()]
        return ["dict", sorted(items, key=lambda item: json.dumps(item[0], default=str))]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [_describe(v, above) for v in value]]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted(json.dumps(_describe(v, above), default=str) for v in value)]
    if isinstance(value, type) or inspect.isroutine(value):
        code = getattr(getattr(value, "__code__", None), "co_code", b"")
        return [value.__module__, value.__qualname__, hashlib.sha256(code).hexdigest()[:8]]
    if isinstance(value, functools.partial):
        return ["partial", _describe([value.func, value.args, value.keywords], above)]
    return _describe_object(value, above)


_NEUTRAL = ("random_state", "n_jobs", "verbose")  # overwritten here, or without effect on a fit


def _describe_object(value: Any, above: tuple[int, ...]) -> Any:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if is_estimator(value):
        params = value.get_params(deep=False)
        return [kind, _describe({k: v for k, v in params.items() if k not in _NEUTRAL}, above)]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return [kind, _describe(dict(value.state_dict()), above)]
    if torch is not None and isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        return _describe((plain.double() if plain.is_floating_point() else plain).numpy(), above)
    if hasattr(value, "model_to_string"):  # a LightGBM booster
        return [kind, hashlib.sha256(value.model_to_string().encode()).hexdigest()]
    if hasattr(value, "__dict__"):
        return [kind, _describe(vars(value), above)]
    try:
        return [kind, _describe(list(value.__reduce_ex__(4)[1:3]), above)]
    except TypeError:
        return [kind, re.sub(r" at 0x[0-9a-f]+", "", repr(value))]
