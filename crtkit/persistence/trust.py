"""What a bundle may hold: types and functions that compute and do nothing else.

skops never runs code from a file, but it does make objects of the types that a file names, and a
pipeline may call a function that a file names. So every node of the file is looked at before
anything is built: its loader must be one that only sets attributes, its type an estimator, a layer
or a plain value of a package listed here, its function one of those listed here.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from crtkit.persistence.archive import DAMAGED, BundleError

# Packages of estimators and layers. Only classes of the kinds below are taken from them.
PACKAGES = (
    *("crtkit", "sklearn", "imblearn", "lightgbm"),
    *("torch.nn.modules", "torchvision.models"),
    *("sktime.networks", "sktime.transformations.rocket"),
)

# Nodes of skops that set attributes, or make values from plain data.
LOADERS = {
    *("JsonNode", "DictNode", "DefaultDictNode", "ListNode", "SetNode", "TupleNode", "SliceNode"),
    *("BytesNode", "BytearrayNode", "NdArrayNode", "MaskedArrayNode", "RandomStateNode"),
    *("RandomGeneratorNode", "DTypeNode", "ObjectNode", "TypeNode"),
    *("FunctionNode", "TreeNode", "LossNode", "ReduceNode", "CachedNode"),
}

# ReduceNode calls a constructor with arguments from the file: only these compiled types of
# scikit-learn, which hold numbers.
REDUCED = {
    "sklearn.tree._tree.Tree",
    *(f"sklearn._loss._loss.{name}" for name in ("CyHalfBinomialLoss", "CyHalfMultinomialLoss")),
}

VALUES = {
    *(f"builtins.{name}" for name in ("int", "float", "str", "bool", "complex", "NoneType")),
    *(f"builtins.{name}" for name in ("list", "tuple", "dict", "set", "frozenset", "slice")),
    *("builtins.bytes", "builtins.bytearray", "builtins.object", "builtins.type", "builtins.range"),
    *("collections.OrderedDict", "collections.defaultdict", "numpy.ndarray", "numpy.dtype"),
    *("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"),
    *("numpy.random.mtrand.RandomState", "numpy.random._generator.Generator"),
    *("numpy.random._pcg64.PCG64", "numpy.random._mt19937.MT19937"),
    "sklearn.utils._bunch.Bunch",
    "pathlib.PosixPath",
}

# Functions that estimators hold as attributes and call.
FUNCTION_PACKAGES = ("crtkit.metrics", "sklearn.metrics", "torch.nn.functional")
FUNCTIONS = {
    *(f"numpy.{name}" for name in ("log", "log1p", "exp", "expm1", "sqrt", "abs", "absolute")),
    *("numpy.nanmedian", "numpy.nanmean", "numpy.asarray", "scipy.special.expit"),
    *(
        "sklearn.utils.validation.check_array",
        "sklearn.feature_selection._univariate_selection.f_classif",
    ),
    *("sklearn.feature_selection._univariate_selection.chi2",),
    *("torch.relu", "torch.sigmoid", "torch.tanh", "torch.softmax"),
}


def check_types(
    path: str | os.PathLike[str], data: bytes, trusted: Collection[str] = ()
) -> list[str]:
    """Look at every node of a skops part; the names to hand to skops as trusted.

    Parameters
    ----------
    path : path-like
        For messages.
    data : bytes
        The skops part.
    trusted : collection of str
        Further full names of types or functions (``"package.module.Name"``) that the caller vouches
        for.

    Returns
    -------
    list of str

    Raises
    ------
    BundleError
        Names every type, function and loader that is not trusted. Nothing was built.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            schema = json.loads(archive.read("schema.json"))
        nodes = list(_nodes(schema))
    except DAMAGED as error:  # a schema that is nested too deep is a RuntimeError, too
        raise BundleError(f"{path}: its model cannot be read ({error}).") from error
    _check_reduced(path, data, nodes)
    refused, accepted = set(), set()
    for node in nodes:
        loader, name = str(node["__loader__"]), _full_name(node)
        if (name in trusted and loader in LOADERS) or _is_trusted(loader, name):
            accepted.add(name)
        else:
            refused.add(f"{name} ({loader})")
    if refused:
        raise BundleError(
            f"{path} holds what crtkit does not trust, and nothing of it was run: "
            f"{', '.join(sorted(refused)[:8])}{' …' if len(refused) > 8 else ''}. If these are "
            "yours, or you know who made the file and what they are, pass their full names "
            "(package.Name) as trusted=[...]."
        )
    return sorted(accepted)


def _check_reduced(
    path: str | os.PathLike[str], data: bytes, nodes: Collection[dict[str, Any]]
) -> None:
    """Arguments of a tree's constructor, which reads as many classes as it is told there are."""
    for node in nodes:
        if node.get("__loader__") != "TreeNode":
            continue
        try:
            n_features, classes, n_outputs = node["__reduce__"]["args"]["content"]
            numbers = [int(json.loads(part["content"])) for part in (n_features, n_outputs)]
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                found = np.load(io.BytesIO(archive.read(classes["file"])), allow_pickle=False)
            whole = found.shape == (numbers[1],) and found.dtype.kind == "i" and (found > 0).all()
        except (*DAMAGED, TypeError, AttributeError) as error:
            raise BundleError(f"{path}: a decision tree of it cannot be read ({error}).") from error
        if not whole or min(numbers) < 1:
            raise BundleError(f"{path}: a decision tree of it has other outputs than it says.")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every dict of the schema that says how to build something."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _full_name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _is_trusted(loader: Any, name: str) -> bool:
    if loader not in LOADERS:
        return False
    if loader == "FunctionNode":
        return name in FUNCTIONS or _is_function(name)
    if loader in ("ReduceNode", "TreeNode", "LossNode"):
        return name in REDUCED or name.startswith("sklearn._loss._loss.Cy") or _is_old_loss(name)
    return name in VALUES or name.startswith("numpy.dtypes.") or _is_plain(name)


def _is_old_loss(name: str) -> bool:
    """A loss as scikit-learn before 1.8 names it: its module without the package."""
    if not name.startswith("_loss.Cy"):
        return False
    from sklearn._loss import _loss

    # What would be imported under that name is scikit-learn's, and no file of the same name.
    return sys.modules.get("_loss") is _loss


def _is_function(name: str) -> bool:
    package, _, function = name.rpartition(".")
    if function.startswith("_") or not _inside(package, FUNCTION_PACKAGES):
        return False
    return callable(getattr(_module(package), function, None))


def _is_plain(name: str) -> bool:
    """A numpy scalar, or an estimator, layer or record of a listed package."""
    package, _, kind = name.rpartition(".")
    if package == "numpy":
        import numpy as np

        return isinstance(getattr(np, kind, None), type) and issubclass(
            getattr(np, kind), np.generic
        )
    if not _inside(package, PACKAGES):
        return False
    return _is_kind(getattr(_module(package), kind, None))


def _inside(package: str, roots: tuple[str, ...]) -> bool:
    return any(package == root or package.startswith(f"{root}.") for root in roots)


def _module(package: str) -> Any:
    # A package's tests and scripts hold no estimators, and do things when they are imported.
    if {"tests", "conftest", "__main__"} & set(package.split(".")):
        return None
    try:
        return importlib.import_module(package)
    except Exception:  # whatever the modules of other packages lack, the name stays untrusted
        return None


def _is_kind(cls: Any) -> bool:
    """Classes that hold parameters and numbers: what they are built from can start nothing."""
    if not isinstance(cls, type):
        return False
    from dataclasses import is_dataclass

    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit

    if issubclass(cls, (BaseEstimator, BaseCrossValidator, BaseShuffleSplit)):
        return True
    # Only now: torch takes seconds to import, and most bundles hold no network.
    if cls.__module__.startswith(("torch.", "torchvision.", "sktime.", "crtkit.")):
        from torch.nn import Module

        if issubclass(cls, Module):
            return True
    if cls.__module__.startswith("crtkit.metrics"):
        return True  # scorers, which searches hold
    if cls.__module__.startswith("crtkit."):
        return is_dataclass(cls) or cls.__qualname__ == "Part" or issubclass(cls, tuple)
    return f"{cls.__module__}.{cls.__qualname__}" in HELPERS


# What fitted estimators hold and that is not an estimator of scikit-learn itself.
HELPERS = {
    "sktime.transformations.rocket._minirocket_multivariate.MiniRocketMultivariate",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
}
