"""The inner split of early stopping: by patient, with both classes on both sides."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold


def group_holdout(y, groups, fraction, random_state):
    """Split records into a training and a validation part.

    Parameters
    ----------
    y : ndarray of shape (n_records,)
        Classes, as integers.
    groups : ndarray of shape (n_records,) or None
        Patients: no group is on both sides. None splits by record.
    fraction : float
        Part of the records to hold out, in (0, 0.5].
    random_state : int or RandomState

    Returns
    -------
    train, valid : ndarray of int

    Raises
    ------
    ValueError
        No split leaves every class in the training part.
    """
    units = np.arange(len(y)) if groups is None else np.asarray(groups)
    n_units = len(np.unique(units))
    n_splits = min(max(2, round(1 / fraction)), n_units, int(np.bincount(y).max()))
    if n_splits >= 2:
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
        folds = splitter(n_splits, shuffle=True, random_state=random_state)
        kept = []
        for train, valid in folds.split(np.zeros(len(y)), y, groups):
            if len(valid) and len(np.unique(y[train])) == len(np.unique(y)):
                kept.append((-len(np.unique(y[valid])), len(kept), train, valid))
        if kept:
            return min(kept, key=lambda fold: fold[:2])[2:]
    what = "records" if groups is None else "groups"
    raise ValueError(
        f"early_stopping needs to hold out about {fraction:.0%} of the {n_units} {what} and keep "
        "every class in the rest, which is not possible. Fit with early_stopping=False."
    )
