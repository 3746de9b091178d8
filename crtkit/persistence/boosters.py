"""LightGBM's text of a file, held to its whole grammar before LightGBM reads it.

Its parser is C++ that trusts what the text announces: sizes of trees, classes, categories. Changed
ones read or write memory that is not the model's, so everything that is counted is counted here.
"""

from __future__ import annotations

import re

import numpy as np

from crtkit.persistence.archive import BundleError

MAX_CLASSES = 1_000
MAX_FEATURES = 10_000_000
_INTEGER = re.compile(r"-?\d{1,9}")
#: Arrays of a tree, and how many entries they lack to the number of leaves.
_ARRAYS = {
    **dict.fromkeys(
        ("split_feature", "threshold", "decision_type", "left_child", "right_child"), 1
    ),
    **dict.fromkeys(("split_gain", "internal_value", "internal_weight", "internal_count"), 1),
    **dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count"), 0),
}
_NEEDED = ("split_feature", "threshold", "decision_type", "left_child", "right_child")


def check_booster_text(name: str, data: bytes) -> None:
    """Refuse LightGBM text whose trees or counts point outside what is there.

    Parameters
    ----------
    name : str
        Of the part, for the message.
    data : bytes

    Raises
    ------
    BundleError
    """
    try:
        data.decode()
        # One character a byte: LightGBM counts bytes, and names of columns may have umlauts.
        text = data.decode("latin-1")
        if not text.startswith("tree\n"):
            raise ValueError("it does not begin with 'tree'")
        model, end, _ = text.partition("\nend of trees\n")
        # LightGBM ends a line at a carriage return and a text at a zero byte; we do not.
        if not end or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", model):
            raise ValueError("its trees have no end, or it holds control characters")
        head, *trees = re.split(r"^(?=Tree=)", f"{model}\n", flags=re.MULTILINE)
        n_features = _check_head(head, trees)
        for tree in trees:
            _check_tree(_fields(tree), n_features)
    except (UnicodeDecodeError, ValueError) as error:
        raise BundleError(
            f"The LightGBM model {name!r} of the file is damaged ({error})."
        ) from error


def _check_head(head: str, trees: list[str]) -> int:
    """Number of features; counts of the head are those of what follows."""
    fields = _fields(head)
    n_features = 1 + _integer(fields, "max_feature_idx")
    n_classes = _integer(fields, "num_class")
    if not 1 <= n_features <= MAX_FEATURES or not 1 <= n_classes <= MAX_CLASSES:
        raise ValueError("max_feature_idx or num_class is out of range")
    for key in ("feature_names", "feature_infos"):
        if len(_tokens(fields, key)) != n_features:
            raise ValueError(f"{key} has another number of features than max_feature_idx says")
    if _integer(fields, "num_tree_per_iteration") != n_classes or len(trees) % n_classes:
        raise ValueError("num_tree_per_iteration is not what its classes and trees make it")
    objective = fields.get("objective", "")
    said = re.search(r"num_class:(\d+)", objective)
    multiclass = objective.startswith("multiclass") or said is not None
    if multiclass and (said is None or said[1] != str(n_classes)):
        raise ValueError("its objective has another number of classes than num_class")
    # Offsets into the text: LightGBM jumps to them.
    sizes = [int(value) for value in _integers(fields, "tree_sizes")]
    if sizes != [len(tree) for tree in trees]:
        raise ValueError("tree_sizes are not the sizes of its trees")
    return n_features


def _check_tree(fields: dict[str, str], n_features: int) -> None:
    n_leaves = _integer(fields, "num_leaves")
    if n_leaves < 1:
        raise ValueError("a tree has no leaves")
    for key, less in _ARRAYS.items():
        n_entries = len(_tokens(fields, key))
        # A tree of one leaf leaves some of its arrays empty.
        optional = key not in _NEEDED and key != "leaf_value"
        if n_entries != n_leaves - less and not (n_entries == 0 and (optional or n_leaves == 1)):
            raise ValueError(f"{key} has {n_entries} entries in a tree of {n_leaves} leaves")
    if len(_tokens(fields, "leaf_value")) != n_leaves:
        raise ValueError("num_leaves differs from the number of leaf values")
    if n_leaves > 1:
        _check_nodes(fields, n_leaves, n_features)
    if _integer(fields, "is_linear", absent=0):
        _check_linear(fields, n_leaves, n_features)


def _check_nodes(fields: dict[str, str], n_leaves: int, n_features: int) -> None:
    here = np.arange(n_leaves - 1)
    for side in ("left_child", "right_child"):
        child = _integers(fields, side)
        # Children come after their parent in every tree that was grown: no walk goes in circles.
        ahead = np.where(child >= 0, (child > here) & (child < n_leaves - 1), child >= -n_leaves)
        if not ahead.all():
            raise ValueError("a tree points outside its nodes or leaves")
    feature = _integers(fields, "split_feature")
    if feature.min() < 0 or feature.max() >= n_features:
        raise ValueError("a tree asks for a feature that the model does not have")
    categorical = _integers(fields, "decision_type") % 2 == 1
    n_categorical = _integer(fields, "num_cat")
    if categorical.any() != (n_categorical > 0):
        raise ValueError("num_cat differs from the splits of its tree")
    if not n_categorical:
        return
    bounds = _integers(fields, "cat_boundaries")
    n_words = len(_tokens(fields, "cat_threshold"))
    rising = len(bounds) == n_categorical + 1 and bounds[0] == 0 and (np.diff(bounds) > 0).all()
    if not rising or bounds[-1] != n_words:
        raise ValueError("cat_boundaries differ from cat_threshold")
    cuts = np.array(_tokens(fields, "threshold"))[categorical]
    if not all(_INTEGER.fullmatch(cut) and 0 <= int(cut) < n_categorical for cut in cuts):
        raise ValueError("a split names a category set that the tree does not have")


def _check_linear(fields: dict[str, str], n_leaves: int, n_features: int) -> None:
    counts = _integers(fields, "num_features")
    features = _integers(fields, "leaf_features")
    n_coefficients = len(_tokens(fields, "leaf_coeff"))
    whole = len(counts) == len(_tokens(fields, "leaf_const")) == n_leaves
    if not whole or (counts < 0).any() or not counts.sum() == len(features) == n_coefficients:
        raise ValueError("the linear model of a leaf has other counts than it says")
    if len(features) and (features.min() < 0 or features.max() >= n_features):
        raise ValueError("the linear model of a leaf asks for a feature that is not there")


def _fields(block: str) -> dict[str, str]:
    """``key=value`` lines of a block; a key that comes twice would be read in two ways."""
    found: dict[str, str] = {}
    for line in block.split("\n"):
        key, equal, value = line.partition("=")
        if equal and key in found:
            raise ValueError(f"{key} occurs twice")
        if equal:
            found[key] = value
    return found


def _tokens(fields: dict[str, str], key: str) -> list[str]:
    return [token for token in fields.get(key, "").split(" ") if token]


def _integer(fields: dict[str, str], key: str, absent: int | None = None) -> int:
    text = fields.get(key)
    if text is None and absent is not None:
        return absent
    # As C reads it: Python would take 1_0 for ten.
    if text is None or not _INTEGER.fullmatch(text):
        raise ValueError(f"{key} is absent or no integer")
    return int(text)


def _integers(fields: dict[str, str], key: str) -> np.ndarray:
    tokens = _tokens(fields, key)
    if not all(_INTEGER.fullmatch(token) for token in tokens):
        raise ValueError(f"{key} holds what is no integer")
    return np.array(tokens, dtype=np.int64)
