"""Trees of a file, checked before anything walks them.

Compiled code follows the child and feature indices of a tree without looking at bounds, so a
crafted file could crash the process at its first prediction.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from crtkit.persistence.archive import BundleError

MAX_LINE = 50_000_000


def check_tree(tree: Any) -> None:
    """Refuse a ``sklearn.tree._tree.Tree`` whose nodes point outside it."""
    n = tree.node_count
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaf = left == -1
    inner = ~leaf
    here = np.arange(n)
    # Children behind their parent: a tree that points back would be walked without end.
    # Children come after their parent in every tree that was grown, so no walk can go in circles.
    ahead = (left > here) & (right > here) & (left < n) & (right < n)
    known = (feature >= 0) & (feature < tree.n_features)
    if n < 1 or (right[leaf] != -1).any() or not (ahead & known)[inner].all():
        raise BundleError("A decision tree of the file points outside its nodes or features.")


def check_predictor(nodes: np.ndarray, n_features: int) -> None:
    """Refuse the nodes of a histogram boosting tree that point outside them."""
    inner = nodes["is_leaf"] == 0
    here = np.arange(len(nodes))
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    ahead = (left > here) & (right > here) & (left < len(nodes)) & (right < len(nodes))
    feature = nodes["feature_idx"].astype(np.int64)
    known = (feature >= 0) & (feature < n_features)
    if len(nodes) < 1 or not (ahead & known)[inner].all():
        raise BundleError("A boosted tree of the file points outside its nodes or features.")


def check_booster_text(name: str, data: bytes) -> None:
    """Refuse LightGBM text whose trees point outside their nodes, leaves or features."""
    try:
        text = data.decode("ascii")
        if not text.startswith("tree\n"):
            raise ValueError("it does not begin with 'tree'")
        head, *trees = re.split(r"^Tree=", text.split("\nend of trees")[0], flags=re.MULTILINE)
        n_features = 1 + int(_field(head, "max_feature_idx"))
        for tree in trees:
            _check_block(tree, n_features)
    except (UnicodeDecodeError, ValueError) as error:
        raise BundleError(
            f"The LightGBM model {name!r} of the file is damaged ({error})."
        ) from error


def _check_block(tree: str, n_features: int) -> None:
    n_leaves = int(_field(tree, "num_leaves"))
    if n_leaves < 1 or len(_numbers(tree, "leaf_value")) != n_leaves:
        raise ValueError("num_leaves differs from the number of leaf values")
    if n_leaves == 1:
        return
    left, right = (_integers(tree, f"{side}_child") for side in ("left", "right"))
    feature = _integers(tree, "split_feature")
    if not len(left) == len(right) == len(feature) == n_leaves - 1:
        raise ValueError("a tree has another number of nodes than it says")
    here = np.arange(n_leaves - 1)
    for child in (left, right):
        ahead = np.where(child >= 0, (child > here) & (child < n_leaves - 1), child >= -n_leaves)
        if not ahead.all():
            raise ValueError("a tree points outside its nodes or leaves")
    if feature.min() < 0 or feature.max() >= n_features:
        raise ValueError("a tree asks for a feature that the model does not have")


def _field(text: str, key: str) -> str:
    match = re.search(rf"^{key}=(.*)$", text, flags=re.MULTILINE)
    if match is None or len(match[1]) > MAX_LINE:
        raise ValueError(f"{key} is absent")
    return match[1]


def _numbers(text: str, key: str) -> list[float]:
    return [float(value) for value in _field(text, key).split()]


def _integers(text: str, key: str) -> np.ndarray:
    return np.array([int(value) for value in _field(text, key).split()], dtype=np.int64)
