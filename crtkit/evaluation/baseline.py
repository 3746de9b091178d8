"""Who the patients are: clinical columns of a cohort, one row per patient, for Table 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crtkit.cohort.cohort import MODALITIES, Cohort

# What only a simulation knows of its patients is not a baseline characteristic.
TRUTH = "true_"


def clinical_table(cohort: Cohort) -> tuple[pd.DataFrame, np.ndarray]:
    """Covariates of the first record of each patient, and its label.

    Records of one patient would count him twice. Left out: the columns of signals, pages and maps,
    those that ``info["label_columns"]`` declares to be the label, and the truths of a simulation.

    Returns
    -------
    table : DataFrame of shape (n_patients, n_columns)
    y : ndarray of shape (n_patients,)
    """
    hidden = {*MODALITIES, *cohort.info.get("label_columns", ())}
    names = [c for c in cohort.X if c not in hidden and not str(c).startswith(TRUTH)]
    # The first record: the earliest, where a cohort is in the order of time.
    first = ~pd.Series(cohort.groups).duplicated().to_numpy()
    return cohort.X.loc[first, names].reset_index(drop=True), np.asarray(cohort.y)[first]


def tabulated(
    table: pd.DataFrame, y: np.ndarray, names: dict[str, str] | None = None, **options: Any
) -> pd.DataFrame | None:
    """Table 1, or None where no column holds numbers, flags or few levels."""
    from crtkit.statistics import baseline_table

    if not len(table.columns):
        return None
    # One set of names serves several tables: a column that one of them lacks is no mistake there.
    own = {column: name for column, name in (names or {}).items() if column in table}
    try:
        return baseline_table(table, y, names=own, **options)
    except ValueError as error:
        if "no column of numbers" in str(error):
            return None
        raise


def baseline_of(
    cohort: Cohort, classes: tuple[Any, Any], names: dict[str, str] | None = None
) -> pd.DataFrame | None:
    """Table 1 by class with standardised differences; None where nothing can be tabulated."""
    table, y = clinical_table(cohort)
    if len(pd.unique(y)) < 2:
        return None
    name = cohort.info.get("label")
    labels = {classes[1]: str(name), classes[0]: f"not {name}"} if name else None
    return tabulated(table, y, names, order=list(classes), labels=labels, levels="rows", smd=True)
