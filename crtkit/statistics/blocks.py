"""A (blocks x models) table of scores: what the tests between models agree on."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types


def check_blocks(name, scores, *, min_models=2, min_blocks=2, missing=False) -> pd.DataFrame:
    """The scores as a float DataFrame, or an error that says which block is at fault.

    Parameters
    ----------
    name : str
        Of the caller, for messages.
    scores : DataFrame of shape (n_blocks, n_models)
    min_models, min_blocks : int
    missing : bool
        Whether nan is allowed.
    """
    if not isinstance(scores, pd.DataFrame):
        raise TypeError(
            f"{name} expects a DataFrame with one row per block (seed, fold) and one column per "
            f"model, got {type(scores).__name__}."
        )
    if not scores.columns.is_unique:
        raise ValueError(f"{name} needs distinct model names, got {list(scores.columns)}.")
    text = [c for c in scores if not types.is_numeric_dtype(scores[c])]
    if text:
        raise ValueError(f"{name} needs numbers, columns {text} hold none: make them the index.")
    n_blocks, n_models = scores.shape
    if n_models < min_models or n_blocks < min_blocks:
        raise ValueError(
            f"{name} needs at least {min_blocks} blocks and {min_models} models, "
            f"got {n_blocks} blocks (rows) and {n_models} models (columns)."
        )
    out = scores.astype(float)
    if np.isinf(out.to_numpy()).any():
        raise ValueError(f"{name} needs finite scores, got infinity.")
    # Dropping blocks silently would let a model that fails on hard folds win.
    bad = out.index[out.isna().any(axis=1)]
    if len(bad) and not missing:
        raise ValueError(
            f"{name} needs complete blocks, {len(bad)} of {n_blocks} have a missing score, for "
            f"example {list(bad[:3])}. Drop those blocks (scores.dropna()) and say so."
        )
    return out


def pairs(scores) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Every pair of columns: names, and the differences of the blocks that have both."""
    for a, b in combinations(scores.columns, 2):
        # Paired before anything else: what blocks share, an easy fold, cancels.
        yield a, b, (scores[a] - scores[b]).dropna().to_numpy()
