"""Subgroups of records, asked for by column, by function or by mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_MOST_VALUES = 10


def subgroup_masks(
    subgroups: dict[str, Any], cohorts: dict[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """Masks over the records of each cohort, by cohort and subgroup.

    Records with a missing value are in no subgroup of that column.

    Raises
    ------
    ValueError
        No such column, a column with many values, a mask of another length or kind, or a subgroup
        that nobody is in.
    """
    masks: dict[str, dict[str, np.ndarray]] = {name: {} for name in cohorts}
    for name, what in subgroups.items():
        for on, cohort in cohorts.items():
            if callable(what):
                masks[on][name] = _mask(name, what(cohort.X), len(cohort), on)
            elif isinstance(what, str):
                masks[on].update(_by_value(name, what, cohort.X, on))
            elif on == "test":  # a mask knows one cohort's records only
                masks[on][name] = _mask(name, what, len(cohort), on)
    return masks


def _by_value(name: str, column: str, X: pd.DataFrame, on: str) -> dict[str, np.ndarray]:
    if column not in X.columns:
        raise ValueError(
            f"Subgroup {name!r}: cohort {on!r} has no column {column!r}, only {list(X.columns)}."
        )
    values = X[column]
    found = sorted(values.dropna().unique().tolist(), key=str)
    if not found:
        raise ValueError(f"Subgroup {name!r} is empty: {on!r} has no value in {column!r}.")
    if len(found) > _MOST_VALUES:
        raise ValueError(
            f"Subgroup {name!r}: column {column!r} has {len(found)} values. Give a function that "
            f"makes a mask, such as lambda X: X[{column!r}] > 60."
        )
    return {f"{name}={value}": (values == value).fillna(False).to_numpy(bool) for value in found}


def _mask(name: str, values: Any, n_records: int, on: str) -> np.ndarray:
    mask = np.asarray(values)
    if mask.shape != (n_records,) or mask.dtype != bool:
        raise ValueError(
            f"Subgroup {name!r} must be a mask of {n_records} True or False, one a record, got "
            f"shape {mask.shape} of {mask.dtype}."
        )
    if not mask.any():
        raise ValueError(f"Subgroup {name!r} is empty: no record of {on!r} is in it.")
    return mask
