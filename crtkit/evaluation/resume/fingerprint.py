"""What makes a run the same run: hashes of models, versions of libraries, the device."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import platform
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import crtkit
from crtkit._io import is_path, package_versions
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
    return {**package_versions(_LIBRARIES), "crtkit source": _source_hash()}


@functools.cache
def _source_hash() -> str:
    """Short hash of crtkit's own code and weights: between releases the version stands still."""
    digest = hashlib.sha256()
    for name, path in source_files().items():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def source_files() -> dict[str, Path]:
    """Code and weights of the whole package, by name: what a fit may depend on."""
    # The package's folder, not so many parents of this file: it may move to another room.
    root = Path(crtkit.__file__).parent
    found = sorted([*root.rglob("*.py"), *root.rglob("*.safetensors")])
    return {path.relative_to(root).as_posix(): path for path in found}


def device(models: dict[str, Any]) -> dict[str, str]:
    """Processor, and the accelerator where any model has a ``device``."""
    hardware = {"cpu": _processor()}
    if any(_has_device(model) for model in models.values()):
        import torch

        if torch.cuda.is_available():  # cuda only
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
    """Short hash of what a model is, equal in every process.

    Parameters, nested estimators, arrays and weights; files that parameters name, by content; and
    code of our user's own: instructions, constants, names, defaults, closures, the functions and
    classes it uses. Libraries are known by their versions.
    """
    text = json.dumps(_Describer().describe(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


# Overwritten by evaluate, or without effect on what is fitted.
_NEUTRAL = ("random_state", "n_jobs", "verbose", "memory")
# What a fit remembers of the clock: an encoder trained again by the same script is the same.
_WALL_TIMES = frozenset(
    {"dur", "refit_time_", "mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time"}
)
# Attributes of a class that say nothing of what it does.
_IDLE = ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__annotations__")
_CONSTANTS = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset, np.ndarray)
# Import names of _LIBRARIES and of what they stand on: told apart by version, not by code.
_VERSIONED = {
    *("crtkit", "numpy", "scipy", "pandas", "sklearn", "lightgbm", "imblearn", "torch"),
    *("torchvision", "skorch", "sktime", "numba", "joblib", "threadpoolctl", "builtins"),
    *sys.stdlib_module_names,
} - {"__main__"}


class _Describer:
    """Turns a value into JSON that says what it is: no address, no order of a set."""

    def __init__(self) -> None:
        self._above: list[int] = []  # objects being described, against cycles
        self._fitted = False  # inside a frozen estimator its state counts, not its parameters
        self._code: dict[int, int] = {}  # functions and classes described before, by order
        self._kept: list[Any] = []  # alive while described, so that no id is given out twice

    def describe(self, value: Any) -> Any:
        if isinstance(value, str):  # in a list or dict of parameters, too
            return _file(value) or value
        if value is None or isinstance(value, (bool, int)):
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
            counted = [(k, v) for k, v in value.items() if k not in _WALL_TIMES]
            items = [[self.describe(k), self.describe(v)] for k, v in counted]
            return ["dict", sorted(items, key=lambda item: json.dumps(item[0], default=str))]
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, [self.describe(v) for v in value]]
        if isinstance(value, (set, frozenset)):
            return ["set", sorted(json.dumps(self.describe(v), default=str) for v in value)]
        if isinstance(value, os.PathLike):
            return _file(value) or str(value)
        if isinstance(value, functools.partial):
            return ["partial", self.describe([value.func, value.args, value.keywords])]
        if isinstance(value, type) or (inspect.isroutine(value) and hasattr(value, "__qualname__")):
            return self._routine(value)
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        code = None if _is_versioned(type(value)) else self.describe(type(value))
        return [kind, code, self._state(value)]

    def _routine(self, value: Any) -> Any:
        """A function, method or class: by name where a version tells it, else by its code."""
        name = [getattr(value, "__module__", None), getattr(value, "__qualname__", repr(value))]
        owner = getattr(value, "__self__", None)
        if inspect.ismethod(value):
            return [*name, self.describe(value.__func__), self.describe(owner)]
        if _is_versioned(value):
            # Bound methods of built-in objects are told apart by the object.
            bound = owner is not None and not inspect.ismodule(owner)
            return [*name, self.describe(owner)] if bound else name
        if id(value) in self._code:
            return [*name, self._code[id(value)]]
        self._code[id(value)] = len(self._code)
        self._kept.append(value)
        if isinstance(value, type):
            bases = [self.describe(base) for base in value.__bases__]
            body = {k: v for k, v in vars(value).items() if k not in _IDLE}
            return [*name, bases, self.describe({k: _plain(v) for k, v in body.items()})]
        # A wrapper's own code counts, and holds what it wraps; only caches of C have none.
        function = value if hasattr(value, "__code__") else inspect.unwrap(value)
        if not hasattr(function, "__code__"):
            return [*name, re.sub(r" at 0x[0-9a-f]+", "", repr(value))]
        around = [self._code_object(function.__code__), function.__defaults__]
        around += [function.__kwdefaults__, [_content(c) for c in function.__closure__ or ()]]
        return [*name, self.describe(around), self.describe(_globals(function))]

    def _code_object(self, code: types.CodeType) -> Any:
        constants = [
            self._code_object(c) if isinstance(c, types.CodeType) else c for c in code.co_consts
        ]
        return [hashlib.sha256(code.co_code).hexdigest(), constants, list(code.co_names)]

    def _state(self, value: Any) -> Any:
        if is_estimator(value) and not self._fitted:
            params = value.get_params(deep=False)
            mine = {k: v for k, v in params.items() if k not in _NEUTRAL}
            return self.describe({k: _file(v) or v for k, v in mine.items()})
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


def _is_versioned(value: Any) -> bool:
    """Whether code belongs to a library whose version stands beside the fingerprint."""
    module = getattr(value, "__module__", None)
    if module is None:  # a built-in, or a method of one
        return not hasattr(value, "__code__")
    return _top_level(module) in _VERSIONED


def _top_level(module: str) -> str:
    return module.partition(".")[0]


def _plain(attribute: Any) -> Any:
    """What a descriptor of a class wraps."""
    if isinstance(attribute, (staticmethod, classmethod)):
        return attribute.__func__
    if isinstance(attribute, property):
        return [attribute.fget, attribute.fset]
    if inspect.ismemberdescriptor(attribute) or inspect.isgetsetdescriptor(attribute):
        return None
    return attribute


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _globals(function: Any) -> dict[str, Any]:
    """What a function of our user's finds in its module: modules by name, code and constants."""
    names: set[str] = set()
    codes = [function.__code__]
    for code in codes:
        names.update(code.co_names)
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    used = {}
    for name in sorted(names & set(function.__globals__)):
        value = function.__globals__[name]
        if inspect.ismodule(value):
            used[name] = _used_of_module(value, names)
        elif _counts(value):
            used[name] = value
    return used


def _used_of_module(module: types.ModuleType, names: set[str]) -> Any:
    """A library's name; of our user's own module what the function takes from it."""
    if _top_level(module.__name__) in _VERSIONED or not _is_own(module):
        return module.__name__
    taken = {name: vars(module)[name] for name in sorted(names & set(vars(module)))}
    return [module.__name__, {name: value for name, value in taken.items() if _counts(value)}]


def _is_own(module: types.ModuleType) -> bool:
    """Whether a module is a file beside our user's, and not an installed package."""
    path = getattr(module, "__file__", None)
    return path is not None and "site-packages" not in path and "dist-packages" not in path


def _counts(value: Any) -> bool:
    """Whether a global says what a function does: code, constants, tables, models, settings."""
    if callable(value) or isinstance(value, _CONSTANTS) or is_estimator(value):
        return True
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)) or hasattr(value, "detach"):
        return True
    return hasattr(value, "__dict__") and not _is_versioned(type(value))


def _file(value: Any) -> Any:
    """Content of the file that a parameter names (weights, a checkpoint); None where it does not.

    By content and not by path: weights that were trained again under the same name are others.
    """
    if not is_path(value):
        return None
    path = os.fspath(value)
    if isinstance(path, bytes) or len(path) > 4096 or "\n" in path or "\0" in path:
        return None
    # A file in the working folder may have no suffix: "weights". A parameter's plain word that
    # happens to be one as well only makes the identity stricter.
    if not path or not os.path.isfile(path):
        return None
    state = os.stat(path)
    return ["file", _file_hash(os.path.abspath(path), state.st_mtime_ns, state.st_size)]


@functools.lru_cache(maxsize=256)
def _file_hash(path: str, mtime: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
