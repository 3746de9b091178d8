"""What compiled code would follow out of bounds, checked before anything calls it.

Trees, boosted trees, support vectors and random kernels are arrays of indices and counts that
compiled code does not look at again, so a crafted file could crash the process, or worse, at its
first prediction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from crtkit.persistence.archive import BundleError


def check_compiled(items: Iterable[Any]) -> None:
    """Refuse a model any of whose compiled parts points outside itself.

    Parameters
    ----------
    items : iterable
        Every object of the model.

    Raises
    ------
    BundleError
    """
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree._tree import Tree

    for item in items:
        if isinstance(item, Tree):
            check_tree(item)
        elif isinstance(getattr(item, "tree_", None), Tree):
            _check_width(item, [item], item.n_features_in_)
        elif isinstance(item, (BaseForest, BaseGradientBoosting)) and hasattr(item, "estimators_"):
            # A forest checks X once and hands it to its trees unseen.
            trees = list(np.ravel(np.asarray(item.estimators_, dtype=object)))
            _check_width(item, trees, item.n_features_in_)
            if isinstance(item, BaseGradientBoosting):
                _check_stages(item)
        elif hasattr(item, "estimators_features_") and hasattr(item, "estimators_"):
            for tree, columns in zip(item.estimators_, item.estimators_features_):
                if hasattr(tree, "tree_"):
                    _check_width(item, [tree], len(columns))
        elif hasattr(item, "_predictors") and hasattr(item, "n_features_in_"):
            for predictor in (p for row in item._predictors for p in row):
                if isinstance(predictor, TreePredictor):
                    check_predictor(predictor, item.n_features_in_)
        elif isinstance(item, BaseLibSVM) and hasattr(item, "support_vectors_"):
            _check_support(item)
        elif type(item).__name__ == "MiniRocketMultivariate" and hasattr(item, "parameters"):
            _check_kernels(item.parameters)


def _check_width(owner: Any, trees: list[Any], n_features: int) -> None:
    if any(tree.tree_.n_features != n_features for tree in trees):
        raise BundleError(
            f"A decision tree of {type(owner).__name__} reads more features than its records have."
        )


def _check_stages(model: Any) -> None:
    n_outputs = model.n_trees_per_iteration_
    shape = np.shape(np.asarray(model.estimators_, dtype=object))
    classes = len(getattr(model, "classes_", ()))
    if len(shape) != 2 or shape[1] != n_outputs or n_outputs != (classes if classes > 2 else 1):
        raise BundleError("Gradient boosting of the file has other stages than it has classes.")


def _check_support(model: Any) -> None:
    counts, n_vectors = model._n_support, len(model.support_vectors_)
    classes = len(getattr(model, "classes_", (0, 1)))
    pairs = classes * (classes - 1) // 2
    # One-class machines and regressors have one row of coefficients and one intercept.
    rows, cuts = (classes - 1, pairs) if hasattr(model, "classes_") else (1, 1)
    whole = (
        (np.asarray(counts) >= 0).all()
        and int(np.sum(counts, dtype=np.int64)) in (n_vectors, 2 * n_vectors)
        and np.shape(model._dual_coef_) == (rows, n_vectors)
        and np.size(model._intercept_) == cuts
        and np.size(model._probA) in (0, cuts)
        and np.size(model._probB) == np.size(model._probA)
        and len(model.support_) == n_vectors
    )
    if not whole:
        raise BundleError("A support vector machine of the file has other vectors than it says.")


def _check_kernels(parameters: Any) -> None:
    channels, indices, dilations, per_dilation, biases = map(np.asarray, parameters)
    whole = (
        all(array.ndim == 1 for array in (channels, indices, dilations, per_dilation, biases))
        and len(channels) == 84 * len(dilations)
        and len(per_dilation) == len(dilations)
        and (channels >= 0).all()
        and channels.sum(dtype=np.int64) == len(indices)
        and (indices >= 0).all()
        and (dilations > 0).all()
        and (per_dilation >= 0).all()
        and 84 * per_dilation.sum(dtype=np.int64) == len(biases)
    )
    if not whole:
        raise BundleError("Random kernels of the file have other counts than they say.")


def check_tree(tree: Any) -> None:
    """Refuse a ``sklearn.tree._tree.Tree`` whose nodes point outside it."""
    n = tree.node_count
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaf = left == -1
    inner = ~leaf
    here = np.arange(n)
    # Children come after their parent in every tree that was grown, so no walk can go in circles.
    ahead = (left > here) & (right > here) & (left < n) & (right < n)
    known = (feature >= 0) & (feature < tree.n_features)
    if n < 1 or (right[leaf] != -1).any() or not (ahead & known)[inner].all():
        raise BundleError("A decision tree of the file points outside its nodes or features.")


def check_predictor(predictor: Any, n_features: int) -> None:
    """Refuse a histogram boosting tree whose nodes point outside nodes, features or categories."""
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    here = np.arange(len(nodes))
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    ahead = (left > here) & (right > here) & (left < len(nodes)) & (right < len(nodes))
    feature = nodes["feature_idx"].astype(np.int64)
    known = (feature >= 0) & (feature < n_features)
    if len(nodes) < 1 or not (ahead & known)[inner].all():
        raise BundleError("A boosted tree of the file points outside its nodes or features.")
    sets = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    n_sets = min(len(predictor.raw_left_cat_bitsets), len(predictor.binned_left_cat_bitsets))
    if (sets.astype(np.int64) >= n_sets).any():
        raise BundleError("A boosted tree of the file names categories that it does not have.")
