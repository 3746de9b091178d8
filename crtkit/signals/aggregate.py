"""From predictions for beats or records to one per patient."""

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from crtkit._columns import as_column, check_same_index
from crtkit._labels import check_groups

METHODS = ("mean", "median", "vote")


def aggregate_by_group(
    scores, groups, *, y_true=None, method="mean", threshold=0.5
) -> pd.DataFrame:
    """Bring scores of beats (or records) back to patients.

    ``evaluate(by="patient")`` does this for its own predictions; this is for predictions made
    elsewhere.

    Parameters
    ----------
    scores : array-like of shape (n_records,) or (n_records, n_classes)
        Scores of the positive class, or probabilities of every class.
    groups : array-like of shape (n_records,)
        Patient of each record.
    y_true : array-like of shape (n_records,), optional
        Truth; the same for all records of a patient.
    method : {"mean", "median", "vote"}
        ``"vote"`` is the share of a patient's records with a score above ``threshold``, or, with a
        column a class, the share whose highest column it is.
    threshold : float, default=0.5
        Of ``"vote"`` with one column.

    Returns
    -------
    DataFrame
        One row per patient, in order of first appearance, index ``group``. Column ``score``, or
        ``score_0``, ``score_1``, ... for several classes; ``n_records``; ``y_true`` where given.

    Raises
    ------
    ValueError
        Lengths differ, scores are missing, a patient carries two labels, an unknown method.

    Examples
    --------
    >>> from crtkit.signals import aggregate_by_group
    >>> table = aggregate_by_group([0.9, 0.5, 0.1], ["a", "a", "b"], y_true=[1, 1, 0])
    >>> table  # doctest: +NORMALIZE_WHITESPACE
           score  n_records  y_true
    group
    a        0.7          2       1
    b        0.1          1       0
    """
    if method not in METHODS:
        raise ValueError(f"aggregate_by_group knows the methods {METHODS}, got {method!r}.")
    given, scores = scores, np.asarray(scores, dtype=float)
    if scores.ndim not in (1, 2) or not scores.size:
        raise ValueError(
            "aggregate_by_group expects scores of shape (n_records,) or (n_records, n_classes), "
            f"got {scores.shape}."
        )
    check_same_index("aggregate_by_group", scores=given, groups=groups, y_true=y_true)
    groups = check_groups("aggregate_by_group", groups, len(scores))
    check_consistent_length(scores, y_true)
    if np.isnan(scores).any():
        raise ValueError(
            f"aggregate_by_group got {int(np.isnan(scores).any(axis=-1).sum())} record(s) without "
            "a score: leave them out, with their groups."
        )
    names = ["score"] if scores.ndim == 1 else [f"score_{k}" for k in range(scores.shape[1])]
    if method == "vote" and scores.ndim == 1:
        scores = (scores > threshold).astype(float)
    elif method == "vote":
        # A vote per record; the mean of votes is the share of each class.
        scores = np.eye(len(names))[scores.argmax(axis=1)]
    patients = pd.Series(groups, name="group")
    # In order of first appearance, so that a table of patients reads like the cohort.
    by = pd.DataFrame(scores.reshape(len(scores), -1), columns=names).groupby(patients, sort=False)
    out = by.median() if method == "median" else by.mean()
    out["n_records"] = by.size()
    if y_true is not None:
        truth = pd.Series(np.asarray(as_column("y_true", y_true))).groupby(patients)
        mixed = truth.nunique()
        if (mixed > 1).any():
            raise ValueError(
                f"{int((mixed > 1).sum())} patient(s) carry two labels, for example "
                f"{mixed.index[mixed > 1].tolist()[:5]}: they have no single label."
            )
        out["y_true"] = truth.first()
    return out
