"""Splits by patient, usable wherever scikit-learn takes ``cv``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import BaseShuffleSplit
from sklearn.utils import check_random_state, indexable

from crtkit._splits import draw_patients, group_holdout, patient_labels

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
