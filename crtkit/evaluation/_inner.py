"""Inner splits of models: by patient too, where patients have several records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object

from crtkit.evaluation._models import is_estimator


def check_inner_splits(named: dict[str, Any], cohort: Any) -> None:
    """Refuse models whose own ``cv`` would put records of one patient on both sides.

    Only parameters called ``cv`` are looked at, however deep they lie, also those that a grid
    sets. A cohort with one record a patient has nothing to share.

    Raises
    ------
    ValueError
        A ``cv`` is None, a number, a list or a splitter that does not ask for groups, or stands in
        an estimator that hands it none.
    """
    if cohort.n_patients == len(cohort):
        return
    for name, model in named.items():
        for path, owner, cv in _inner_cvs(model, ""):
            problem = _problem(owner, cv)
            if problem:
                raise ValueError(
                    f"Model {name!r}: {path}={cv!r} {problem} The cohort has {len(cohort)} records "
                    f"of {cohort.n_patients} patients. Set {path} to GroupKFold, "
                    "StratifiedGroupKFold or crtkit.evaluation.RepeatedStratifiedPatientSplit, in "
                    "an estimator that routes groups to it, or keep one record a patient."
                )


def _problem(owner: Any, cv: Any) -> str:
    if not _asks_for_groups(cv):
        return "splits by record: patients would stand on both sides of its inner splits."
    if owner is not None and not _routes_groups(owner):
        return f"gets no groups: {type(owner).__name__} does not hand them to its splitter."
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
