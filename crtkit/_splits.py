"""Drawing patients, class by class: the arithmetic under every split of the package."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from crtkit._labels import check_groups


def group_holdout(
    y: Any, groups: Any = None, *, size: float = 0.2, random_state: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hold some patients out of a training part, for early stopping or a threshold.

    Parameters
    ----------
    y : array-like of shape (n_records,)
        Class labels of any type.
    groups : array-like of shape (n_records,), optional
        Patient of each record; without it, every record counts as its own patient.
    size : float or int, default=0.2
        Share of patients (0 to 1), or their number.
    random_state : int, RandomState or None

    Returns
    -------
    train, holdout : ndarray of int
        Positions of records, sorted; no patient is in both, every class is in both.

    Raises
    ------
    ValueError
        One class, one patient, a class with one patient, lengths that differ, missing patients,
        or a ``size`` out of range.

    Examples
    --------
    >>> from crtkit.evaluation import group_holdout
    >>> train, holdout = group_holdout([0, 0, 1, 1] * 5, [1, 2, 3, 4] * 5, random_state=0)
    >>> len(train), len(holdout)
    (10, 10)
    """
    y = column_or_1d(y)
    groups = np.arange(len(y)) if groups is None else groups
    patients, patient_of, labels = patient_labels("group_holdout", y, groups)
    held = draw_patients("group_holdout", labels, size, check_random_state(random_state))
    inside = held[patient_of]
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def patient_labels(who: str, y: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients in sorted order, the patient of each record, and one label per patient.

    A patient whose records carry several labels counts under the most frequent one, ties under the
    larger label; the class it falls in only matters for stratifying.
    """
    if groups is None:
        raise ValueError(
            f"The 'groups' parameter should not be None: {who} splits by patient and needs the "
            "patient of each record (cohort.groups)."
        )
    if y is None:
        raise ValueError(f"{who} is stratified and needs y, got None.")
    y = column_or_1d(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(
            f"{who} is stratified by class, but y is {type_of_target(y)}: give class labels."
        )
    groups = check_groups(who, groups, len(y))
    patients, patient_of = np.unique(groups, return_inverse=True)
    classes, label_of = np.unique(y, return_inverse=True)
    counts = np.zeros((len(patients), len(classes)), dtype=np.intp)
    np.add.at(counts, (patient_of, label_of), 1)
    # argmax takes the first of equals: turn the classes round so that it is the larger label.
    labels = classes[len(classes) - 1 - counts[:, ::-1].argmax(axis=1)]
    return patients, patient_of, labels


def draw_patients(who: str, labels: np.ndarray, size: float, rng: Any) -> np.ndarray:
    """Mask of the patients drawn: as near to ``size`` of each class as whole patients allow."""
    n_patients = len(labels)
    if n_patients < 2:
        raise ValueError(f"{who} needs at least 2 patients, got {n_patients}.")
    classes, label_of, n_class = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        only = classes.tolist()[0]
        raise ValueError(f"{who} is stratified, but all patients are of one class: {only!r}.")
    if n_class.min() < 2:
        rare = classes.tolist()[n_class.argmin()]
        raise ValueError(
            f"Class {rare!r} has one patient: {who} needs two of each class, one for each side."
        )
    total = _n_drawn(who, size, n_patients)
    share = n_class * total / n_patients
    drawn = np.floor(share).astype(np.intp)
    for i in np.argsort(drawn - share, kind="stable")[: total - drawn.sum()]:
        drawn[i] += 1
    drawn = np.clip(drawn, 1, n_class - 1)
    held = np.zeros(n_patients, dtype=bool)
    for i, n in enumerate(drawn):
        held[rng.permutation(np.flatnonzero(label_of == i))[:n]] = True
    return held


def _n_drawn(who: str, size: float, n_patients: int) -> int:
    if isinstance(size, Integral) and not isinstance(size, bool) and 0 < size < n_patients:
        return int(size)
    if isinstance(size, Real) and not isinstance(size, Integral) and 0 < size < 1:
        # 0.2 * 285 is 57.000000000000007 in floating point; that must not be 58 patients.
        return min(math.ceil(size * n_patients * (1 - 1e-12)), n_patients - 1)
    raise ValueError(
        f"{who} expects a size in (0, 1) or a number of patients below {n_patients}, got {size!r}."
    )
