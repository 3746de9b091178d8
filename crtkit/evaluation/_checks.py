"""What an evaluation is given, checked before anything is fitted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import pandas as pd

from crtkit._labels import class_pair
from crtkit.cohort import Cohort


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """Seeds as a list of distinct numbers."""
    given = list(range(int(seeds))) if isinstance(seeds, Integral) else list(seeds)  # type: ignore[arg-type]
    if not given or any(not isinstance(s, Integral) or s < 0 for s in given):
        raise ValueError(f"seeds must be a number >= 1 or seeds >= 0, got {seeds!r}.")
    if len(set(given)) < len(given):
        raise ValueError(f"A seed occurs twice in {given}: the repeat would add nothing.")
    return [int(seed) for seed in given]


def check_cv(cv: Any) -> Any:
    """None, a number or a splitter as it is; splits that were given as a list of pairs."""
    if cv is None or isinstance(cv, Integral) or hasattr(cv, "split"):
        return cv
    try:
        pairs = [tuple(pair) for pair in cv]  # a generator would be spent after the first seed
    except TypeError:
        pairs = []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            "cv must be None, a number of folds, a splitter or pairs of (train, test), got "
            f"{type(cv).__name__}."
        )
    return pairs


def cv_in_words(cv: Any) -> str:
    """How the splits were made, for the report."""
    if cv is None:
        return "stratified by patient"
    if isinstance(cv, Integral):
        return f"{cv} stratified folds by patient"
    return repr(cv) if hasattr(cv, "split") else f"{len(cv)} given splits"


def class_labels(cohort: Cohort, pos_label: Any) -> tuple[Any, Any]:
    """Negative and positive label.

    Raises
    ------
    ValueError
        A label is missing, labels are not two, or ``pos_label`` is none of them.
    """
    return class_pair("evaluate", cohort.y, pos_label, order=cohort.info.get("classes"))


def check_cohorts(
    cohort: Cohort, external: dict[str, Cohort], by: str, classes: tuple[Any, Any]
) -> None:
    """Labels of every cohort are the two classes, and patients have one where they are scored."""
    if by not in ("patient", "record"):
        raise ValueError(f"by must be 'patient' or 'record', got {by!r}.")
    if "test" in external:
        raise ValueError("An external cohort cannot be called 'test': give it another name.")
    for name, other in {"test": cohort, **external}.items():
        unknown = set(other.y.tolist()) - set(classes)
        if unknown:
            raise ValueError(
                f"External cohort {name!r} has labels {sorted(unknown, key=str)} that the cohort "
                f"has not ({list(classes)})."
            )
        labels = pd.Series(other.y).groupby(pd.Series(other.groups, dtype=object)).nunique()
        mixed = labels.index[labels > 1].tolist()
        if by == "patient" and mixed:
            raise ValueError(
                f"{len(mixed)} patient(s) of {name!r} carry two labels, for example {mixed[:5]}: "
                'they have no one answer. Score records with by="record", or settle their label.'
            )
    for name, other in external.items():
        shared = set(cohort.groups.tolist()) & set(other.groups.tolist())
        if shared:
            warnings.warn(
                f"{len(shared)} patient identifier(s) of external cohort {name!r} also occur in "
                f"the cohort, for example {sorted(shared, key=str)[:3]}. If they are the same "
                "people, models were fitted on them: leave them out, or rename them if not.",
                UserWarning,
                stacklevel=3,
            )
