"""The models of an evaluation: names, reference rows, seeds, and who cannot read the cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone

from crtkit._labels import class_pair
from crtkit.cohort import Cohort
from crtkit.evaluation.workers import is_lightgbm, pin_lightgbm


class EvaluatedModels(NamedTuple):
    """Models of an evaluation, and what is said about them."""

    named: dict[str, Any]
    references: list[str]
    left_out: dict[str, str]
    tables: dict[str, Any]
    measured: dict[str, list[str]]


def name_models(models: Any) -> dict[str, BaseEstimator]:
    """A dict as it is; one estimator or a list under the name of the last step's class."""
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
        if len(named) < len(models):
            raise ValueError(
                f"Names of models must differ as text, got {list(models)}: one would be lost."
            )
    else:
        single = hasattr(models, "fit")
        named = {}
        for model in [models] if single else models:
            stem = name = type(getattr(model, "steps", [(None, model)])[-1][1]).__name__
            number = 2
            while name in named:
                name, number = f"{stem}-{number}", number + 1
            named[name] = model
    if not named:
        raise ValueError("evaluate expects at least one model, got none.")
    for name, model in named.items():
        if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
            raise TypeError(
                f"Model {name!r} must be an unfitted classifier, an instance with fit and "
                f"predict, got {model!r}."
            )
    return named


def all_models(
    named: dict[str, Any],
    left_out: dict[str, str],
    cohort: Cohort,
    external: dict[str, Cohort],
    with_references: bool | dict[str, Any],
    positive: Any,
    n_jobs: int | None = None,
) -> EvaluatedModels:
    """Models and reference rows, why some are left out, and the tables that reference rows read.

    What a row reads and the cohort's table lacks is measured on its signals, once, in every cohort
    alike; ``measured`` has by row the columns that were, here or by ``measure_cohort`` before.
    """
    if not isinstance(with_references, (bool, dict)):
        raise TypeError(
            "reference_rows must be True, False or a dict of arguments of "
            f"crtkit.guidelines.reference_rows, got {with_references!r}."
        )
    cohorts = {"test": cohort, **external}
    named, left_out = dict(named), dict(left_out)
    _check_rules(named, cohort, positive)
    rows: dict[str, Any] = {}
    measured: dict[str, list[str]] = {}
    if with_references is not False:
        from crtkit.guidelines.reference import measure_missing, reads, reference_rows

        wanted = with_references if isinstance(with_references, dict) else {}
        home, _ = measure_missing(cohort, wanted.get("columns"), n_jobs=n_jobs)
        # Also what was measured before this call: another hospital's table measured differently.
        known = [column for column in home.info.get("measured", {}) if column in home.X]
        rows, reasons = reference_rows(home, **{"pos_label": positive, **wanted})
        left_out.update({name: why for name, why in reasons.items() if name not in named})
        cohorts["test"] = home
        for on, other in external.items():
            cohorts[on], why = _measured_alike(other, known, n_jobs)
            for name, row in list(rows.items()):
                problem = _unanswered(row, home, cohorts[on])
                if problem:
                    del rows[name]
                    left_out[name] = f"external cohort {on!r}: {problem}{why}"
        used = {name: [c for c in reads(row) if c in known] for name, row in rows.items()}
        measured = {name: columns for name, columns in used.items() if columns}
    _refuse_taken(named, rows)
    named = {**named, **rows}
    # The rows read numbers only: without the signals a table is small enough for any worker.
    tables = {
        on: part.X.drop(columns="signal", errors="ignore") if measured else part.X
        for on, part in cohorts.items()
    }
    return EvaluatedModels(named, list(rows), left_out, tables, measured)


def _measured_alike(other: Cohort, columns: list[str], n_jobs: int | None) -> tuple[Cohort, str]:
    """An external cohort with the columns that were measured in the cohort, and why not."""
    from crtkit.guidelines import measure_cohort

    columns = [name for name in columns if name not in other.info.get("measured", {})]
    try:
        return measure_cohort(other, columns, replace=True, n_jobs=n_jobs), ""
    except ValueError as error:
        # Its table may have them, but measured another way.
        kept = other.X.drop(columns=[c for c in columns if c in other.X])
        return Cohort(kept, other.y, other.groups, other.info), f" ({error})"


def _refuse_taken(named: dict[str, Any], rows: dict[str, Any]) -> None:
    taken = [name for name in rows if name in named]
    if taken:
        raise ValueError(
            f"{taken} are names of reference rows: rename these models, or leave the reference "
            "rows out with reference_rows=False."
        )


def _check_rules(named: dict[str, Any], cohort: Cohort, positive: Any) -> None:
    """A rule that is met answers its own positive label, which must be the evaluation's."""
    from crtkit.guidelines import GuidelineClassifier

    for name, model in named.items():
        last = getattr(model, "steps", [(None, model)])[-1][1]
        if isinstance(last, GuidelineClassifier):
            # Without the cohort's order of classes: a model is given the bare labels.
            _, met = class_pair(f"Model {name!r}", cohort.y, last.pos_label)
            if met != positive:
                raise ValueError(
                    f"Model {name!r}: {type(last).__name__} answers {met!r} where its rule is met, "
                    f"but {positive!r} is the positive label here. Give it pos_label={positive!r}."
                )


def _unanswered(row: Any, cohort: Cohort, other: Cohort) -> str:
    """Why a reference row cannot answer for another hospital; empty where it can."""
    try:
        clone(row).fit(cohort.X, cohort.y).predict(other.X)
    except ValueError as error:
        return str(error)
    return ""


def prepare(model: BaseEstimator, entropy: np.random.SeedSequence, n_threads: int) -> Any:
    """Unfitted copy with every ``random_state`` drawn from ``entropy`` and LightGBM pinned."""
    model = clone(model)
    _seed(model, np.random.default_rng(entropy), n_threads)
    return model


def _seed(value: Any, rng: np.random.Generator, n_threads: int) -> None:
    """Walk estimators, containers of them (steps, grids) and splitters, in a fixed order."""
    if is_estimator(value):
        params = value.get_params(deep=False)
        for name in sorted(params):
            if name == "random_state":
                value.set_params(random_state=int(rng.integers(2**31 - 1)))
            else:
                _seed(params[name], rng, n_threads)
        if is_lightgbm(value):
            pin_lightgbm(value, n_threads)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            _seed(value[key], rng, n_threads)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _seed(item, rng, n_threads)
    elif reseeds(value):
        value.random_state = int(rng.integers(2**31 - 1))


def grids_of(search: Any) -> list[dict[str, Any]]:
    """Grids of parameters that a search tries; none where a value is no search."""
    grid = getattr(search, "param_grid", None) or getattr(search, "param_distributions", None)
    grids = [grid] if isinstance(grid, dict) else list(grid or ())
    return [own for own in grids if isinstance(own, dict)]


def reseeds(splitter: Any) -> bool:
    """Whether a splitter draws at random: it has a ``random_state`` and, if asked, shuffles."""
    draws = hasattr(splitter, "split") and hasattr(splitter, "random_state")
    return draws and not isinstance(splitter, type) and getattr(splitter, "shuffle", True)


def is_estimator(value: Any) -> bool:
    """Whether a value has parameters to set."""
    # A frozen estimator is fitted: its seeds have done their work and may not be set.
    return (
        hasattr(value, "get_params")
        and not isinstance(value, type)
        and type(value).__name__ != "FrozenEstimator"
    )
