"""What an evaluation is given, checked before anything is fitted."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object

from crtkit._columns import check_same_index, like_levels
from crtkit._labels import class_pair, shared_patients
from crtkit.cohort import Cohort, refuse_shared_records, shared_records
from crtkit.evaluation.models import is_estimator
from crtkit.evaluation.splits import is_column_cv

# A column of more values than this is a measurement, which needs a cut to make subgroups.
_MOST_VALUES = 10


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """Seeds as a list of distinct numbers."""
    given = list(range(int(seeds))) if isinstance(seeds, Integral) else list(seeds)  # type: ignore[arg-type]
    if not given or any(not isinstance(s, Integral) or s < 0 for s in given):
        raise ValueError(f"seeds must be a number >= 1 or seeds >= 0, got {seeds!r}.")
    if len(set(given)) < len(given):
        raise ValueError(f"A seed occurs twice in {given}: the repeat would add nothing.")
    return [int(seed) for seed in given]


def check_random_state(random_state: Any) -> int:
    """The number that splits and fits follow from: without one no journal or refit could."""
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if not whole or random_state < 0:
        raise ValueError(
            f"evaluate expects random_state as an integer >= 0, got {random_state!r}: splits and "
            "fits, a journal and refit follow from it."
        )
    return int(random_state)


def check_cv(cv: Any) -> Any:
    """None, a number or a splitter as it is; splits that were given as a list of pairs."""
    if cv is None or isinstance(cv, Integral) or hasattr(cv, "split") or is_column_cv(cv):
        return cv
    try:
        pairs = [tuple(pair) for pair in cv]  # a generator would be spent after the first seed
    except TypeError:
        pairs = []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            "cv must be None, a number of folds, 'centre', 'time', a splitter or pairs of (train, "
            f"test), got {type(cv).__name__}."
        )
    return pairs


def cv_in_words(cv: Any) -> str:
    """How the splits were made, for the report."""
    if cv is None:
        return "stratified by patient"
    if isinstance(cv, Integral):
        return f"{cv} stratified folds by patient"
    if is_column_cv(cv):
        kind, *column = [cv] if isinstance(cv, str) else cv
        by = f" (column {column[0]})" if column else ""
        whole = {"centre": "one centre left out", "time": "later patients by earlier ones"}
        return f"{whole[kind]}{by}"
    return repr(cv) if hasattr(cv, "split") else f"{len(cv)} given splits"


def class_labels(cohort: Cohort, pos_label: Any) -> tuple[Any, Any]:
    """Negative and positive label.

    Raises
    ------
    ValueError
        A label is missing, labels are not two, ``pos_label`` is neither, or it is needed, since
        labels are 1 and 2: either may mean yes.
    """
    stated = pos_label is not None or cohort.info.get("classes") is not None
    if not stated and set(cohort.y.tolist()) in ({1, 2}, {"1", "2"}):
        one, two = sorted(set(cohort.y.tolist()))
        raise ValueError(
            f"evaluate: labels are {one!r} and {two!r}, and either may mean yes. State which is "
            f"positive: pos_label={one!r} or pos_label={two!r}."
        )
    return class_pair("evaluate", cohort.y, pos_label, order=cohort.info.get("classes"))


def check_cohorts(
    cohort: Cohort, external: dict[str, Cohort], by: str, classes: tuple[Any, Any]
) -> None:
    """Labels of every cohort are the two classes, and patients have one where they are scored."""
    if by not in ("patient", "record"):
        raise ValueError(f"by must be 'patient' or 'record', got {by!r}.")
    for name, other in external.items():
        if not isinstance(other, Cohort):
            raise TypeError(
                f"evaluate expects external={{name: Cohort}}; {name!r} is {type(other).__name__}: "
                "wrap its data in crtkit.Cohort(X, y, groups)."
            )
    if "test" in external:
        raise ValueError("An external cohort cannot be called 'test': give it another name.")
    for name, other in {"test": cohort, **external}.items():
        unknown = set(other.y.tolist()) - set(classes)
        if unknown:
            raise ValueError(
                f"External cohort {name!r} has labels {sorted(unknown, key=str)} absent from "
                f"the cohort ({list(classes)})."
            )
        labels = pd.Series(other.y).groupby(pd.Series(other.groups, dtype=object)).nunique()
        mixed = labels.index[labels > 1].tolist()
        if by == "patient" and mixed:
            raise ValueError(
                f"{len(mixed)} patient(s) of {name!r} carry two labels, for example {mixed[:5]}: "
                'they have no one answer. Score records with by="record", or settle their label.'
            )
    for name, other in external.items():
        shared = shared_patients(cohort.groups, other.groups)
        if shared:
            raise ValueError(
                f"{len(shared)} patient identifier(s) of external cohort {name!r} also occur in "
                f"the cohort, for example {shared[:3]}: models would be fitted on "
                "them. Leave these patients out of one cohort; if they are other people, prefix "
                "the identifiers of each hospital (groups = 'B-' + groups)."
            )
    check_records(cohort, external)


def check_records(cohort: Cohort, external: dict[str, Cohort]) -> None:
    """Refuse a record under two patients, within a cohort or across cohorts, by its content."""
    refuse_shared_records(cohort)
    for name, other in external.items():
        shared = shared_records(other, cohort)
        if len(shared):
            first = shared.iloc[0]
            raise ValueError(
                f"{len(shared)} record(s) of external cohort {name!r} are in the cohort too, under "
                f"other patients: the {first['column']} of row {first['row']} (patient "
                f"{first['patient']!r}) equals that of row {first['other_row']} (patient "
                f"{first['other_patient']!r}). Leave them out of one: "
                "crtkit.cohort.shared_records(external, cohort) lists them all."
            )


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
                masks[on][name] = _mask(name, what(cohort.X), cohort, on)
            elif isinstance(what, str):
                masks[on].update(_by_value(name, what, cohort.X, on))
            elif on == "test":  # a mask knows one cohort's records only
                masks[on][name] = _mask(name, what, cohort, on)
    return masks


def _by_value(name: str, column: str, X: pd.DataFrame, on: str) -> dict[str, np.ndarray]:
    if column not in X.columns:
        raise ValueError(
            f"Subgroup {name!r}: cohort {on!r} has no column {column!r}, only {list(X.columns)}."
        )
    values = X[column]
    levels = sorted(values.dropna().unique().tolist(), key=str)
    if not levels:
        raise ValueError(f"Subgroup {name!r} is empty: {on!r} has no value in {column!r}.")
    alike = like_levels(levels)
    if alike:
        raise ValueError(
            f"Subgroup {name!r}: levels of column {column!r} differ only by blanks or case, "
            f"{alike[:3]}. Write each level in one way."
        )
    if len(levels) > _MOST_VALUES:
        raise ValueError(
            f"Subgroup {name!r}: column {column!r} has {len(levels)} values. Give a function that "
            f"makes a mask, such as lambda X: X[{column!r}] > 60."
        )
    return {f"{name}={value}": (values == value).fillna(False).to_numpy(bool) for value in levels}


def _mask(name: str, values: Any, cohort: Cohort, on: str) -> np.ndarray:
    check_same_index(f"Subgroup {name!r}", X=cohort.X, mask=values)
    mask, n_records = np.asarray(values), len(cohort)
    if mask.shape != (n_records,) or mask.dtype != bool:
        raise ValueError(
            f"Subgroup {name!r} must be a mask of {n_records} True or False, one per record, got "
            f"shape {mask.shape} of {mask.dtype}."
        )
    if not mask.any():
        raise ValueError(f"Subgroup {name!r} is empty: no record of {on!r} is in it.")
    return mask


def check_inner_splits(named: dict[str, Any], cohort: Any) -> None:
    """Refuse models whose own ``cv`` would put records of one patient on both sides.

    Only parameters called ``cv`` are looked at, however deep they lie, also those that a grid
    sets. A cohort with one record per patient has nothing to share.

    Raises
    ------
    ValueError
        A ``cv`` is None, a number, a list or a splitter that does not ask for groups, or sits in
        an estimator that passes it no groups.
    """
    for name, problem in inner_split_problems(named, cohort):
        raise ValueError(f"Model {name!r}: {problem}")


def inner_split_problems(named: dict[str, Any], cohort: Any) -> Iterator[tuple[str, str]]:
    """Model and sentence for every inner splitter that would not keep patients together."""
    if cohort.n_patients == len(cohort):
        return
    for name, model in named.items():
        for path, owner, cv in _inner_cvs(model, ""):
            problem = _problem(owner, cv) or _shares(cv, cohort)
            if problem:
                yield (
                    name,
                    f"{path}={cv!r} {problem} The cohort has {len(cohort)} records of "
                    f"{cohort.n_patients} patients. Set {path} to GroupKFold, StratifiedGroupKFold "
                    "or crtkit.evaluation.RepeatedStratifiedPatientSplit, in an estimator that "
                    "routes groups to it, or keep one record per patient.",
                )


def _problem(owner: Any, cv: Any) -> str:
    if not _asks_for_groups(cv):
        return "splits by record: patients would stand on both sides of its inner splits."
    if owner is not None and not _routes_groups(owner):
        return f"gets no groups: {type(owner).__name__} does not pass them to its splitter."
    return ""


def _shares(cv: Any, cohort: Any) -> str:
    """What a splitter that asks for groups does with them: some take and ignore them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pairs = list(
                copy.deepcopy(cv).split(np.zeros((len(cohort), 1)), cohort.y, cohort.groups)
            )
        except ValueError:  # too few patients of a class here is the search's own error to raise
            return ""
    for train, test in pairs:
        if set(cohort.groups[test].tolist()) & set(cohort.groups[train].tolist()):
            return "takes groups and ignores them: patients stand on both sides of its splits."
    return ""


def _inner_cvs(value: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Parameter, estimator (None in a grid) and value of every ``cv`` that splits."""
    if is_estimator(value):
        params = value.get_params(deep=False)
        for name in sorted(params):
            if name != "cv":
                yield from _inner_cvs(params[name], _join(path, name))
            elif not _fits_nothing(value, params[name]):
                yield _join(path, name), value, params[name]
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            own, candidates = _join(path, str(key)), value[key]
            if str(key).split("__")[-1] != "cv":
                yield from _inner_cvs(candidates, own)
            elif isinstance(candidates, (list, tuple)):
                yield from ((own, None, cv) for cv in candidates if not isinstance(cv, str))
    elif isinstance(value, (list, tuple)):
        # Steps are (name, estimator, ...): their name is the parameter's.
        named = len(value) > 1 and isinstance(value[0], str)
        for item in value:
            yield from _inner_cvs(item, _step(path, value[0]) if named else path)


def _fits_nothing(owner: Any, cv: Any) -> bool:
    """Say whether nothing is fitted inside: cv="prefit", or a frozen estimator."""
    inner = getattr(owner, "estimator", None)
    return isinstance(cv, str) or type(inner).__name__ == "FrozenEstimator"


def _asks_for_groups(cv: Any) -> bool:
    return hasattr(cv, "split") and "groups" in _consumed(cv, "split")


def _routes_groups(estimator: Any) -> bool:
    return "groups" in _consumed(estimator, "fit")


def _consumed(value: Any, method: str) -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        try:
            return get_routing_for_object(value).consumes(method=method, params=["groups"])
        except NotImplementedError:  # how scikit-learn says that an estimator routes nothing
            return ()


def _join(path: str, name: str) -> str:
    return f"{path}__{name}" if path else name


def _step(path: str, name: str) -> str:
    """A step's own path: scikit-learn leaves ``steps`` and the like out of it."""
    return _join(path.rpartition("__")[0], name)
