"""What skops does not keep: networks and boosters, taken out of a fitted model and put back.

A fitted model is a graph of objects. Its tensors go to safetensors, LightGBM's boosters to their
text format, and where they stood a small :class:`Part` says which one belongs there. What is left
is numbers, text, containers and estimators.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

TENSORS = "tensors.safetensors"
_LEAVES = (str, bytes, int, float, complex, bool, type(None), np.generic, np.dtype, type, range)


class Part:
    """Place of something that is stored beside the model.

    Parameters
    ----------
    kind : {"tensor", "parameter", "frozen_parameter", "net", "booster"}
    name : str
        Of the tensor or of the file.
    content : object
        For a net: its module (tensors replaced) and history.
    """

    device = "cpu"  # estimators ask their net for it when their state is set

    def __init__(self, kind: str, name: str, content: Any = None):
        self.kind = kind
        self.name = name
        self.content = content


def take_apart(model: Any) -> tuple[Any, dict[str, bytes]]:
    """A copy of a fitted model without tensors and boosters, and these as named bytes.

    Parameters
    ----------
    model : estimator
        Not changed.

    Returns
    -------
    bare : estimator
        A copy whose networks and boosters are :class:`Part` objects.
    files : dict of bytes
        ``tensors.safetensors`` and ``booster-<n>.txt``, those there are.
    """
    # A model without tensors needs none of the two seconds that torch takes to be imported.
    torch = sys.modules.get("torch")
    memo: dict[int, Any] = {}
    keep: list[Any] = []  # objects whose ids are in memo must outlive the copy
    tensors: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    nets = []
    for item in walk(model):
        if torch is not None and isinstance(item, torch.Tensor) and id(item) not in memo:
            name = f"t{len(tensors)}"
            # Cloned, because safetensors refuses tensors that share memory.
            tensors[name] = item.detach().cpu().contiguous().clone()
            memo[id(item)] = Part(_kind(torch, item), name)
        elif _is_net(item):
            nets.append(item)
        elif _is_booster(item):
            name = f"booster-{len(files)}.txt"
            # All trees: the default would drop those after the best iteration, and other bits come
            # back.
            files[name] = item.model_to_string(num_iteration=-1).encode()
            memo[id(item)] = Part("booster", name, {"best_iteration": int(item.best_iteration)})
        else:
            continue
        keep.append(item)
    for net in nets:
        content = {
            "module": copy.deepcopy(net.module_, memo),
            "history": copy.deepcopy(net.history_rows_),
        }
        memo[id(net)] = Part("net", type(net).__name__, content)
    bare = copy.deepcopy(model, memo)
    if tensors:
        from safetensors.torch import save

        files[TENSORS] = save(tensors)
    return bare, files


def put_together(bare: Any, files: dict[str, bytes], device: str = "cpu") -> Any:
    """The fitted model back from :func:`take_apart`'s two halves; ``bare`` is changed.

    Parameters
    ----------
    bare : estimator
    files : dict of bytes
    device : str
        Where networks go, whatever they were trained on.
    """
    tensors: dict[str, Any] = {}
    if TENSORS in files:
        from safetensors.torch import load

        tensors = load(files[TENSORS])

    def restore(value: Any, owner: Any) -> Any:
        if not isinstance(value, Part):
            return value
        if value.kind == "booster":
            return _booster(files[value.name], value.content)
        if value.kind == "net":
            module = _replace(value.content["module"], restore)
            return owner.adopt_network(module, value.content["history"], device)
        tensor = tensors[value.name]
        if value.kind == "tensor":
            return tensor
        import torch

        return torch.nn.Parameter(tensor, requires_grad=value.kind == "parameter")

    return _replace(bare, restore)


def _kind(torch: Any, item: Any) -> str:
    if not isinstance(item, torch.nn.Parameter):
        return "tensor"
    return "parameter" if item.requires_grad else "frozen_parameter"


def _is_net(item: Any) -> bool:
    return hasattr(item, "history_rows_") and hasattr(item, "module_")


def _is_booster(item: Any) -> bool:
    return type(item).__name__ == "Booster" and type(item).__module__ == "lightgbm.basic"


def _booster(text: bytes, content: dict[str, Any]) -> Any:
    from lightgbm import Booster

    booster = Booster(model_str=text.decode())
    booster.best_iteration = content["best_iteration"]
    return booster


def _children(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, (list, tuple, set, frozenset)):
        yield from item
    elif isinstance(item, np.ndarray):
        if item.dtype == object:
            yield from item.ravel()
    elif _is_net(item):
        yield item.module_
    elif hasattr(item, "__dict__") and not isinstance(
        item, (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
    ):
        yield from vars(item).values()


def walk(model: Any) -> Iterator[Any]:
    """Every object of the graph once, in an order that does not depend on addresses."""
    seen: set[int] = set()
    stack = [model]
    while stack:
        item = stack.pop()
        if isinstance(item, _LEAVES) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        # A stack instead of recursion: parts may be nested deeper than Python's limit.
        stack.extend(reversed(list(_children(item))))


def _replace(root: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Put ``function(value, owner)`` wherever a value stands, in place; tuples are rebuilt."""
    done: dict[int, Any] = {}

    def visit(value: Any, owner: Any) -> Any:
        if isinstance(value, _LEAVES):
            return value
        # Parts that are shared (a tied weight) stay shared.
        if id(value) in done:
            return done[id(value)]
        new = function(value, owner)
        done[id(value)] = new
        keep.append(value)
        if new is not value:
            return new
        if isinstance(value, dict):
            for key in list(value):
                value[key] = visit(value[key], owner)
        elif isinstance(value, list):
            value[:] = [visit(entry, owner) for entry in value]
        elif isinstance(value, tuple):
            entries = [visit(entry, owner) for entry in value]
            if any(a is not b for a, b in zip(entries, value)):
                new = type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)
                done[id(value)] = new
            return new
        elif isinstance(value, np.ndarray):
            if value.dtype == object:
                flat = value.reshape(-1)
                for i in range(len(flat)):
                    flat[i] = visit(flat[i], owner)
        elif hasattr(value, "__dict__") and not isinstance(
            value, (types.ModuleType, types.FunctionType)
        ):
            attributes = vars(value)
            for key in list(attributes):
                attributes[key] = visit(attributes[key], value)
        return value

    keep: list[Any] = []
    return visit(root, None)
