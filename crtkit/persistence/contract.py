"""What a model expects of its input, what it was fitted on and how it was judged, in plain JSON.

Nothing here tells a patient's row: numbers are counts and means of at least ``SMALL`` patients;
smaller counts are withheld.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import as_json
from crtkit._labels import class_pair
from crtkit.persistence.parts import walk
from crtkit.persistence.ranges import SMALL, describe_signals, edges

MODALITIES = ("signal", "image", "map", "spectrogram")


def describe_model(model: Any, order: Sequence[Any] | None = None) -> dict[str, Any]:
    """Class, input contract, labels and threshold of a fitted model.

    Parameters
    ----------
    model : estimator
        Fitted.
    order : sequence of labels, optional
        The cohort's order of its classes, the positive one last; without it ``classes_[1]`` is
        positive, since scikit-learn sorts.

    Returns
    -------
    dict
        ``estimator``, ``contract`` (``columns`` that its ``Select`` steps read, ``fs`` in Hz,
        ``n_leads, n_samples`` of the first step that saw signals, ``n_features_in``, and
        ``unit``), ``label`` (``classes``, ``positive``, and ``threshold`` on the positive class).
    """
    columns: list[str] = []
    rates: set[float] = set()
    for item in walk(model):
        if type(item).__name__ == "Select" and hasattr(item, "get_params"):
            chosen = item.column
            columns += [chosen] if isinstance(chosen, str) else list(chosen)
        rate = getattr(item, "fs", None)
        if hasattr(item, "get_params") and isinstance(rate, (int, float)) and "fs" in _names(item):
            rates.add(float(rate))
    columns = list(dict.fromkeys(map(str, columns)))
    contract: dict[str, Any] = {
        "columns": columns,
        "modalities": [name for name in columns if name in MODALITIES],
        "fs": sorted(rates),
        "unit": "mV" if "signal" in columns or rates else None,
        "n_features_in": as_json(getattr(model, "n_features_in_", None)),
        "shape": _first_shape(model),
    }
    label = _label(model, order)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return {"estimator": kind, "steps": _steps(model), "contract": contract, "label": label}


def _label(model: Any, order: Sequence[Any] | None) -> dict[str, Any]:
    classes, threshold = getattr(model, "classes_", None), _threshold(model)
    positive = None
    if classes is not None and len(classes) == 2 and np.ndim(classes[0]) == 0:
        positive = class_pair("save", classes, order=order)[1]
        if positive != classes[1] and threshold is not None:
            # The model's own is on classes_[1]: on its probability, or else on its score.
            threshold = 1 - threshold if hasattr(model, "predict_proba") else -threshold
    return {
        "classes": None if classes is None else [as_json(value) for value in classes],
        "positive": as_json(positive),
        "threshold": threshold,
    }


def describe_training(cohort: Any) -> dict[str, Any] | None:
    """Counts, means and edges of the cohort that a model was fitted on, or None without one."""
    if cohort is None:
        return None
    info = cohort.info
    classes = pd.Series(np.asarray(cohort.y).astype(str)).value_counts()
    described: dict[str, Any] = {
        "name": str(info.get("name", "unnamed")),
        "source": info.get("source"),
        "label": info.get("label"),
        # What 0 and 1 were called in the table of the fit.
        "words": info.get("words"),
        "fs": as_json(info.get("sampling_rate")),
        "lead_names": list(map(str, info["lead_names"])) if info.get("lead_names") else None,
        "n_records": len(cohort),
        "n_patients": int(cohort.n_patients),
        "classes": {str(key): _told(count) for key, count in classes.items()},
        "columns": {},
    }
    # One record of each patient: five records of one patient would be a mean of that patient's.
    X = cohort.X[~pd.Series(cohort.groups).duplicated().to_numpy()]
    for name in X.columns:
        summary = _summary(X, name)
        if summary is not None:
            described["columns"][str(name)] = summary
    y = np.asarray(cohort.y)[~pd.Series(cohort.groups).duplicated().to_numpy()].astype(str)
    described["by_class"] = _by_class(X, y, described["columns"])
    if "signal" in described["columns"]:
        described["columns"]["signal"].update(describe_signals(X))
    return described


def _by_class(X: pd.DataFrame, y: np.ndarray, columns: dict[str, Any]) -> dict[str, Any]:
    """Table 1 by outcome: means and shares of each class, column by column.

    A column with a cell that may not be told is left out for every class: what all patients have,
    less the classes that are told, would give the cell away.
    """
    classes = sorted(set(y))
    table: dict[str, Any] = {}
    for name in X.columns:
        whole = columns.get(str(name), {"kind": "file"})
        if whole["kind"] not in ("number", "flag", "levels"):
            continue
        own = {value: _summary(X[y == value], name) for value in classes}
        if all(_is_told(part, whole) for part in own.values()):
            table[str(name)] = own
    return table


def _is_told(part: dict[str, Any] | None, whole: dict[str, Any]) -> bool:
    """Whether a class's summary has no cell of fewer patients than may be told."""
    if part is None or part["kind"] != whole["kind"] or isinstance(part["missing"], str):
        return False
    if part["kind"] == "flag":
        return part["share_of_larger"] is not None
    return part["kind"] == "number" or set(part["levels"]) == set(whole["levels"])


def describe_evaluation(evaluation: Any, name: str | None) -> dict[str, Any] | None:
    """The summary row of one model, with how it was made, or None without an evaluation."""
    if evaluation is None:
        return None
    table = evaluation.summary()
    if name is None and len(evaluation.predictions["model"].unique()) > 1:
        name = str(evaluation.predictions["model"].iloc[0])
    rows = table if name is None or name not in table.index else table.loc[[name]]
    figures = {
        str(model): {_column(key): as_json(value) for key, value in row.items()}
        for model, row in rows.iterrows()
    }
    kept = ("name", "source", "seeds", "n_seeds", "by", "cohort", "test_size", "cv")
    info = {key: as_json(evaluation.info[key]) for key in kept if key in evaluation.info}
    return {"figures": figures, "info": info, "by": evaluation.by}


def _summary(X: pd.DataFrame, name: Any) -> dict[str, Any] | None:
    column = X[name]
    if any(isinstance(cell, (np.ndarray, list)) for cell in column.tolist()):
        return {"kind": "array"}
    if str(name) in MODALITIES:
        return {"kind": "file"}
    if getattr(column.dtype, "kind", "O") in "mM":  # dates; as numbers they would be nanoseconds
        return None
    numbers = pd.to_numeric(column, errors="coerce")
    # Numbers in text count as numbers only if all of them are.
    missing = int(column.isna().sum())
    if numbers.notna().sum() == column.notna().sum() and numbers.notna().sum() >= SMALL:
        values = numbers.dropna().to_numpy(dtype=float)
        # Of a flag, an edge would be 0 or 1 and say nothing: its share is told instead.
        if len(np.unique(values)) <= 2:
            share = float(np.mean(values == values.max()))
            told = SMALL <= share * len(values) <= len(values) - SMALL
            return {
                **{"kind": "flag", "missing": _told(missing)},
                **{"share_of_larger": _round(share) if told else None},
            }
        low, high = edges(values)
        return {
            "kind": "number",
            "mean": _round(values.mean()),
            "sd": _round(values.std(ddof=1)),
            "low": _round(low),
            "high": _round(high),
            "missing": _told(missing),
        }
    levels = column.dropna().astype(str).value_counts()
    if len(levels) > 12:  # free text, paths, identifiers: nothing of it may leave
        return None
    kept = {str(level): int(count) for level, count in levels.items() if count >= SMALL}
    return {"kind": "levels", "levels": kept, "missing": _told(missing)}


def _names(estimator: Any) -> list[str]:
    return list(type(estimator)._get_param_names()) if isinstance(estimator, object) else []


def _steps(model: Any) -> list[str]:
    steps = getattr(model, "steps", None)
    if steps is None:
        inner = getattr(model, "best_estimator_", getattr(model, "estimator_", None))
        return [type(model).__name__] + (_steps(inner) if inner is not None else [])
    return [name for _, step in steps for name in _steps(step)]


def _first_shape(model: Any) -> list[int] | None:
    # The first that saw records: later steps see what it made of them.
    for item in walk(model):
        shape = getattr(item, "shape_in_", None)
        if shape is not None and len(shape) > 1:
            return [int(size) for size in shape]
    return None


def _threshold(model: Any) -> float | None:
    for item in _inner(model):
        if hasattr(item, "threshold_"):
            return float(item.threshold_)
    return 0.5 if hasattr(model, "predict_proba") else None


def _inner(model: Any) -> Iterator[Any]:
    """The model and what answers inside it: the last step of a pipeline, the best of a search."""
    while model is not None:
        yield model
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        else:
            model = getattr(model, "best_estimator_", None)


def _told(count: int) -> int | str:
    return int(count) if count >= SMALL or count == 0 else f"fewer than {SMALL}"


def _round(value: float) -> float | None:
    value = float(value)
    if not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


def _column(key: Any) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
