"""What each model needs of each cohort, checked before the first fit: columns, rates and leads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone

from crtkit._leads import LEADS_12, lead_name
from crtkit.cohort import Cohort, Select
from crtkit.cohort.signal_checks import why_no_ecg
from crtkit.evaluation.models import grids_of, is_estimator

# Steps without a parameter for names: they take leads by their place.
_STANDARD_ONLY = ("LeadSplicer", "ECGRenderer")
# Enough to tell the unit of a cohort: nobody waits for it, whatever the cohort's size.
_LOOKED_AT = 20


def readable_models(
    named: dict[str, Any], cohorts: dict[str, Cohort]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Models whose columns every cohort has; one cohort need not feed every model of a study.

    Parameters
    ----------
    named : dict of estimator
    cohorts : dict of Cohort
        ``"the cohort"`` first, then external ones by name.

    Returns
    -------
    readable : dict of estimator
    left_out : dict of str
        Why the others are not evaluated.

    Raises
    ------
    ValueError
        No model is left.
    """
    left_out: dict[str, str] = {}
    home = next(iter(cohorts.values()))
    for name, model in named.items():
        tuning = [(step.column, step.tuning) for step in _walk(model) if _has_tuning_column(step)]
        for on, cohort in cohorts.items():
            wanted = dict.fromkeys(columns_of(model))
            if cohort is home:  # the others are predicted only
                wanted.update(dict.fromkeys(column for column, _ in tuning))
            lacking = [str(column) for column in wanted if column not in cohort.X]
            if lacking:
                left_out.setdefault(name, f"{on} has no column {', '.join(lacking)}")
        for column, value in tuning:
            if name not in left_out and not 0 < (home.X[column] == value).sum() < len(home):
                left_out[name] = (
                    f"column {column!r} must be {value!r} in some records, its tuning part, and "
                    "another value in others"
                )
    if len(left_out) == len(named):
        raise ValueError(f"No model can read the data: {left_out}.")
    for name, reason in left_out.items():
        warnings.warn(f"Model {name!r} is left out: {reason}.", UserWarning, stacklevel=5)
    return {name: model for name, model in named.items() if name not in left_out}, left_out


def columns_of(model: Any) -> list[str]:
    """Columns that a model's ``Select`` steps read, however deep they lie, grids included."""
    from crtkit.guidelines import GuidelineClassifier
    from crtkit.guidelines.reference import reads

    if isinstance(model, GuidelineClassifier):
        return [column for column in reads(model) if column is not None]
    wanted: dict[str, None] = {}
    for columns in _selected(model):
        wanted.update(dict.fromkeys([columns] if isinstance(columns, str) else columns))
    return list(wanted)


def _selected(value: Any) -> Iterator[Any]:
    if isinstance(value, Select):
        yield value.column
        return
    for _, _, columns in getattr(value, "transformers", ()):
        named = [columns] if isinstance(columns, str) else columns
        yield from (c for c in named if isinstance(c, str)) if isinstance(named, list) else ()
    grids = grids_of(value)
    searched = [grid[key] for grid in grids for key in grid if key.split("__")[-1] == "column"]
    for candidates in searched:
        yield from (c for c in candidates if isinstance(c, (str, list, tuple)))
    for inner in _inner(value):
        # What a grid puts in its place is read instead of the step's own column.
        if not (searched and inner is getattr(value, "estimator", None)):
            yield from _selected(inner)


def frozen_parts(model: Any) -> list[Any]:
    """Every ``FrozenEstimator`` in a model, however deep."""
    return [part for part in _walk(model) if _is_frozen(part)]


def check_signals(named: dict[str, Any], cohorts: dict[str, Cohort]) -> None:
    """Refuse cohorts whose signals differ in rate or leads, and steps that expect another rate.

    Only models that read the column ``signal`` are looked at. What a cohort does not state
    (``info["sampling_rate"]``, ``info["lead_names"]``) cannot be compared.

    Raises
    ------
    ValueError
        Says which model, step and cohort, and what to do.
    """
    home, *others = cohorts
    for name, model in named.items():
        for on, cohort in cohorts.items():
            # An array cohort or a frozen model may hide what it reads: its rate is checked too.
            _follow(model, cohort.info.get("sampling_rate"), f"Model {name!r}", _place(on, home))
            _check_leads(model, cohort, f"Model {name!r}", _place(on, home))
        if "signal" not in columns_of(model):
            continue
        for on in others:
            _compare(name, cohorts[home], cohorts[on], on)
    if any("signal" in columns_of(model) for model in named.values()):
        for on, cohort in cohorts.items():
            _check_arrays(cohort, "The cohort" if on == home else f"External cohort {on!r}")


def _check_leads(model: Any, cohort: Cohort, who: str, where: str) -> None:
    """Refuse steps that take twelve leads for the standard ones where the cohort has others."""
    leads = cohort.info.get("lead_names")
    if leads is None or "signal" not in columns_of(model):
        return
    given = [lead_name(str(name)) for name in leads]
    for step in _walk(model):
        step_name = type(step).__name__
        if step_name in _STANDARD_ONLY and given != list(LEADS_12):
            raise ValueError(
                f"{who}: {step_name} expects the leads {', '.join(LEADS_12)}, in this order; "
                f"those{where or ' of the cohort'} are {', '.join(given)}."
            )
        if step_name != "QRSMeasurements" or len(given) != len(LEADS_12):
            continue
        names = step.get_params(deep=False).get("lead_names")
        expected = [lead_name(str(name)) for name in (LEADS_12 if names is None else names)]
        if expected != given:
            raise ValueError(
                f"{who}: {step_name}(lead_names={names}) takes the leads for "
                f"{', '.join(expected)}; those{where or ' of the cohort'} are "
                f"{', '.join(given)}. Set lead_names={given}."
            )


def _check_arrays(cohort: Cohort, who: str) -> None:
    """Refuse signals of another unit or with exchanged axes; warn of leads in another order."""
    rows = np.unique(np.linspace(0, len(cohort) - 1, min(_LOOKED_AT, len(cohort))).astype(int))
    try:
        signals = Select("signal").fit_transform(cohort.X.iloc[rows])
    except (KeyError, ValueError):
        return  # its steps say why, or it is not read as signals
    names = cohort.info.get("lead_names")
    if cohort.info.get("unit", "mV") == "mV":  # whoever scales signals on purpose can say so
        why = why_no_ecg(signals, names, order=False)
        if why:
            raise ValueError(
                f"{who}: {why} Signals that were scaled on purpose are told by "
                "info['unit'] = 'scaled'."
            )
    why = why_no_ecg(signals, names) if "unit" not in cohort.info else ""
    if why:
        warnings.warn(f"{who}: {why}", UserWarning, stacklevel=5)


def _place(on: str, home: str) -> str:
    return "" if on == home else f" of external cohort {on!r}"


def _compare(name: str, home: Cohort, other: Cohort, on: str) -> None:
    rates: list[Any] = [cohort.info.get("sampling_rate") for cohort in (home, other)]
    if None in rates and rates[0] != rates[1]:
        silent = "the cohort" if rates[0] is None else f"external cohort {on!r}"
        warnings.warn(
            f"Model {name!r} reads signals, and {silent} does not say its sampling rate: it cannot "
            "be compared with that of the other. Give it as info['sampling_rate'].",
            UserWarning,
            stacklevel=6,
        )
    if None not in rates and rates[0] != rates[1]:
        raise ValueError(
            f"Model {name!r} reads signals: those of the cohort have {rates[0]:g} Hz, those of "
            f"external cohort {on!r} {rates[1]:g} Hz. Read both at one rate: "
            f"read_manifest(..., fs={rates[0]:g}), or crtkit.Resampler before evaluate."
        )
    leads: list[Any] = [cohort.info.get("lead_names") for cohort in (home, other)]
    if None not in leads and list(leads[0]) != list(leads[1]):
        raise ValueError(
            f"Model {name!r} reads signals: the leads of the cohort are {', '.join(leads[0])}, "
            f"those of external cohort {on!r} {', '.join(leads[1])}. Bring the external leads "
            "into the same order, or leave that cohort out."
        )


def _follow(value: Any, rate: float | None, who: str, where: str) -> float | None:
    """Rate behind an estimator that signals of ``rate`` Hz pass; every ``fs`` on the way agrees."""
    if _is_frozen(value):
        return _follow(value.estimator, rate, who, where)
    if not is_estimator(value):
        return rate
    params = value.get_params(deep=False)
    if "steps" in params:
        for _, step in params["steps"]:
            rate = _follow(step, rate, who, where)
        return rate
    if "transformer_list" in params or "transformers" in params:
        branches = params.get("transformer_list") or params["transformers"]
        rates = {_follow(branch[1], rate, who, where) for branch in branches}
        return rates.pop() if len(rates) == 1 else None
    step = type(value).__name__
    if step == "ECGDigitizer":
        return params.get("fs")
    key = "fs_in" if "fs_in" in params else "fs"
    expected = params.get(key)
    if rate and isinstance(expected, (int, float)) and expected != rate:
        raise ValueError(
            f"{who}: {step}({key}={expected:g}) meets signals of {rate:g} Hz{where}. "
            f"Set {key}={rate:g}, or put a Resampler in front of it."
        )
    for candidate in list(_candidates(value)) or [value]:
        for inner in _inner(candidate):
            _follow(inner, rate, who, where)
    return params.get("fs_out", rate)


def _candidates(search: Any) -> Iterator[Any]:
    """Copies of a search whose estimator has each rate that the grid would give it."""
    for grid in grids_of(search):
        for key, values in grid.items():
            if key.split("__")[-1] in ("fs", "fs_in") and isinstance(values, (list, tuple)):
                for value in values:
                    yield clone(search).set_params(**{f"estimator__{key}": value})


def _walk(value: Any) -> Iterator[Any]:
    """An estimator and every estimator inside it."""
    if is_estimator(value) or _is_frozen(value):
        yield value
    for inner in _inner(value):
        yield from _walk(inner)


def _inner(value: Any) -> Iterator[Any]:
    """Estimators that are parameters of an estimator, or in a list of (name, estimator, ...)."""
    if _is_frozen(value):
        yield value.estimator
    elif is_estimator(value):
        for param in value.get_params(deep=False).values():
            items = param if isinstance(param, (list, tuple)) else [param]
            for item in items:
                parts = item if isinstance(item, tuple) else (item,)
                yield from (part for part in parts if is_estimator(part) or _is_frozen(part))


def _is_frozen(value: Any) -> bool:
    return type(value).__name__ == "FrozenEstimator"


def _has_tuning_column(step: Any) -> bool:
    return type(step).__name__ == "HeldOutThreshold" and step.column is not None
