"""Splits by patient, usable wherever scikit-learn takes ``cv``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseShuffleSplit, StratifiedGroupKFold
from sklearn.utils import check_random_state, indexable

from crtkit._splits import draw_patients, group_holdout, patient_labels
from crtkit.evaluation.models import reseeds

__all__ = ["RepeatedStratifiedPatientSplit", "group_holdout"]


class RepeatedStratifiedPatientSplit(BaseShuffleSplit):
    """Repeated random splits by patient, stratified by class: 80:20 ten times, say.

    All records of a patient stand on one side. Shares are of *patients*, so the share of records
    varies a little where patients have different numbers of them. Split k depends on the data,
    ``random_state`` and k only: not on ``n_repeats``, and not on the order of the records.

    Parameters
    ----------
    n_repeats : int, default=10
        Number of splits.
    test_size : float or int, default=0.2
        Share of the patients of each class that are tested (as near as whole patients allow, at
        least one), or the number of patients.
    random_state : int, RandomState or None, default=None
        With an int, every call of ``split`` gives the same splits.

    Notes
    -----
    A patient whose records carry several labels is stratified under the most frequent one, ties
    under the larger label. With metadata routing on, ``groups`` are requested, as scikit-learn's
    group splitters do.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.evaluation import RepeatedStratifiedPatientSplit
    >>> y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> patients = np.array(["a", "a", "b", "c", "d", "e", "e", "f"])
    >>> splitter = RepeatedStratifiedPatientSplit(2, test_size=2, random_state=1)
    >>> for train, test in splitter.split(np.zeros(8), y, patients):
    ...     print(patients[test])
    ['b' 'd']
    ['a' 'a' 'f']
    """

    __metadata_request__split = {"groups": True}

    def __init__(
        self, n_repeats: int = 10, *, test_size: float = 0.2, random_state: Any = None
    ) -> None:
        self.n_repeats = n_repeats
        self.test_size = test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the record positions of each split.

        Parameters
        ----------
        X : array-like of shape (n_records, ...)
        y : array-like of shape (n_records,)
            Class labels of any type.
        groups : array-like of shape (n_records,)
            Patient of each record.

        Yields
        ------
        train, test : ndarray of int
            Sorted positions.

        Raises
        ------
        ValueError
            ``y`` or ``groups`` is None, lengths differ, a patient is missing, there is one
            patient or one class, a class has one patient, or a parameter is out of range.
        """
        n_repeats = self.get_n_splits()
        X, y, groups = indexable(X, y, groups)
        yield from self.draw(y, groups, range(n_repeats))

    def draw(
        self, y: Any, groups: Any, which: Iterable[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give single splits by their number, without those before them.

        Parameters
        ----------
        y : array-like of shape (n_records,)
        groups : array-like of shape (n_records,)
        which : iterable of int
            Numbers from 0, also beyond ``n_repeats``.

        Yields
        ------
        train, test : ndarray of int
            Sorted positions.

        Raises
        ------
        ValueError
            There are no groups, or too few patients of a class.
        """
        name = type(self).__name__
        _, patient_of, labels = patient_labels(name, y, groups)
        root = self._root()
        for k in which:
            rng = np.random.default_rng(np.random.SeedSequence(root, spawn_key=(k,)))
            tested = draw_patients(name, labels, self.test_size, rng)[patient_of]
            yield np.flatnonzero(~tested), np.flatnonzero(tested)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Give the number of splits; the arguments are ignored."""
        if not isinstance(self.n_repeats, Integral) or self.n_repeats < 1:
            raise ValueError(
                f"{type(self).__name__} expects n_repeats >= 1, got {self.n_repeats!r}."
            )
        return int(self.n_repeats)

    def _root(self):
        if isinstance(self.random_state, Integral):
            if self.random_state < 0:
                raise ValueError(f"random_state must not be negative, got {self.random_state}.")
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


class Split(NamedTuple):
    """Positions of one training and one test part."""

    seed: int
    fold: int
    train: np.ndarray
    test: np.ndarray


def make_splits(cohort: Any, seeds: list[int], test_size: float, cv: Any, root: int) -> list[Split]:
    """All splits of an evaluation, checked: patients apart, classes present.

    Raises
    ------
    ValueError
        A part is not a list of positions, a patient is on both sides, a record is tested twice, or
        a training part has one class.
    """
    cv = column_splits(cohort, cv)
    if cv is None:
        # Split k of the splitter is the split of seed k, however many seeds there are.
        splitter = RepeatedStratifiedPatientSplit(test_size=test_size, random_state=root)
        pairs = splitter.draw(cohort.y, cohort.groups, seeds)
        splits = [Split(seed, 0, *pair) for seed, pair in zip(seeds, pairs)]
    else:
        splits = [
            Split(seed, fold, *_positions(seed, fold, len(cohort), train=train, test=test))
            for seed in seeds
            for fold, (train, test) in enumerate(_pairs(cv, cohort, seed, root))
        ]
    for split in splits:
        _check_split(split, cohort)
    return splits


#: Columns that ``cv="centre"`` and ``cv="time"`` stand for, the first that the cohort has.
NAMED_COLUMNS = {
    "centre": ("centre", "center", "hospital", "site"),
    "time": ("time", "date", "year", "visit_date", "implant_date"),
}
# Test blocks of time-ordered splits: the later half of the patients, block after block.
_BLOCKS = 5


def column_splits(cohort: Any, cv: Any) -> Any:
    """Splits by a column as pairs of (train, test); anything else as it is.

    Parameters
    ----------
    cohort : Cohort
    cv : object
        ``"centre"`` or ``"time"``, or ``("centre", column)`` or ``("time", column)``.

    Raises
    ------
    ValueError
        The cohort has no such column, a value is missing, or there is nothing to split.
    """
    kind, column = cv if is_column_cv(cv) and not isinstance(cv, str) else (cv, None)
    if not is_column_cv(cv):
        return cv
    known = [name for name in NAMED_COLUMNS[kind] if name in cohort.X]
    column = column or (known[0] if known else None)
    if column is None or column not in cohort.X:
        raise ValueError(
            f"cv={cv!r} needs a column of the cohort: one of {NAMED_COLUMNS[kind]}, or "
            f"cv=({kind!r}, 'COLUMN'). The cohort has {list(cohort.X.columns)}."
        )
    values = cohort.X[column]
    if values.isna().any():
        raise ValueError(
            f"cv={cv!r}: column {column!r} is missing in {int(values.isna().sum())} record(s)."
        )
    return _by_centre(values, column) if kind == "centre" else _by_time(values, column, cohort)


def is_column_cv(cv: Any) -> bool:
    """Whether splits are asked for by a column."""
    if isinstance(cv, tuple) and len(cv) == 2 and all(isinstance(item, str) for item in cv):
        cv = cv[0]
    return isinstance(cv, str) and cv in NAMED_COLUMNS


def _by_centre(values: Any, column: str) -> list[tuple[np.ndarray, np.ndarray]]:
    # As text: a column of numbers and words cannot be sorted.
    centre = values.astype(str).to_numpy()
    names = np.unique(centre)
    if len(names) < 2:
        raise ValueError(f"cv='centre': column {column!r} has one value, {names.tolist()}.")
    return [(np.flatnonzero(centre != name), np.flatnonzero(centre == name)) for name in names]


def as_times(values: pd.Series) -> pd.Series:
    """A column of years, numbers or dates as what can be ordered; text is read as dates."""
    return values if values.dtype.kind in "iufM" else pd.to_datetime(values)


def _by_time(values: Any, column: str, cohort: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Later patients tested by models of earlier ones; nobody is trained on after the test began.

    A patient stands where their first record does; patients of one date stay together.
    """
    _, rank = np.unique(as_times(values).to_numpy(), return_inverse=True)
    patients, patient_of = np.unique(cohort.groups.astype(str), return_inverse=True)
    first = np.full(len(patients), np.iinfo(np.intp).max)
    last = np.full(len(patients), -1)
    np.minimum.at(first, patient_of, rank)
    np.maximum.at(last, patient_of, rank)
    edges = np.quantile(first, np.linspace(0.5, 1, _BLOCKS + 1), method="higher")
    # The last block ends after the last patient; earlier edges are dates that begin a block.
    edges[-1] = first.max() + 1
    pairs = []
    for begin, end in zip(edges[:-1], edges[1:]):
        tested = (first >= begin) & (first < end)
        # Also the last record of a training patient lies before the test begins.
        trained = last < begin
        if tested.any() and trained.any():
            pairs.append((np.flatnonzero(trained[patient_of]), np.flatnonzero(tested[patient_of])))
    if not pairs:
        raise ValueError(f"cv='time': column {column!r} does not tell patients apart.")
    return pairs


def _pairs(cv: Any, cohort: Any, seed: int, root: int) -> Iterable[tuple[Any, Any]]:
    # Another root than the models' own seeds, so that folds and fits are not drawn alike.
    state = int(np.random.SeedSequence(root, spawn_key=(seed,)).generate_state(1)[0])
    if isinstance(cv, Integral):
        cv = StratifiedGroupKFold(int(cv), shuffle=True, random_state=state)
    elif hasattr(cv, "split"):
        cv = copy.deepcopy(cv)
        if reseeds(cv):
            cv.random_state = state
    else:
        return list(cv)
    return cv.split(cohort.X, cohort.y, cohort.groups)


def _positions(seed: int, fold: int, n_records: int, **parts: Any) -> list[np.ndarray]:
    """Positions of both parts, given as such or as masks."""
    checked = []
    for name, part in parts.items():
        rows = np.asarray(part)
        if rows.dtype == bool and rows.shape == (n_records,):
            rows = np.flatnonzero(rows)
        whole = rows.ndim == 1 and (rows.dtype.kind in "iu" or not len(rows))
        if not whole or (len(rows) and not (rows.min() >= 0 and rows.max() < n_records)):
            raise ValueError(
                f"Split of seed {seed}, fold {fold}: the {name} part must hold positions from 0 to "
                f"{n_records - 1} or be a mask of {n_records} True or False, got shape "
                f"{rows.shape} of {rows.dtype}."
            )
        checked.append(rows.astype(np.intp))
    return checked


def _check_split(split: Split, cohort: Any) -> None:
    where = f"Split of seed {split.seed}, fold {split.fold}"
    both = set(cohort.groups[split.train].tolist()) & set(cohort.groups[split.test].tolist())
    if both:
        raise ValueError(
            f"{where}: {len(both)} patient(s) are on both sides, for example "
            f"{sorted(both, key=str)[:3]}. Splits are by patient: use GroupKFold, "
            "StratifiedGroupKFold, an int, or the default."
        )
    if not len(split.test):
        raise ValueError(f"{where} tests nobody.")
    if len(np.unique(split.test)) < len(split.test):
        raise ValueError(f"{where} tests a record twice.")
    if len(np.unique(cohort.y[split.train])) < 2:
        raise ValueError(
            f"{where}: the training part has one class. Use fewer folds, or a stratified splitter."
        )
