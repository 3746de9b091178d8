"""One fit of an evaluation: a model trained on one part, and its predictions elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from crtkit.cohort.rows import spill
from crtkit.evaluation.models import prepare
from crtkit.evaluation.shared import with_shared
from crtkit.evaluation.splits import Split
from crtkit.evaluation.workers import at_work, pinned_threads

# Array cells are pickled whole to every worker; above this size (bytes) they go to a file.
SPILL_ABOVE = 32 * 2**20


def spill_arrays(X: Any, folder: Path) -> Any:
    """Replace large columns of arrays by rows of a file in ``folder``; the rest as it is."""
    spilled = X
    for number, name in enumerate(X.columns):
        cells = X[name].to_numpy(dtype=object) if X[name].dtype == object else []
        if not len(cells) or not all(isinstance(cell, np.ndarray) for cell in cells):
            continue
        kinds = {(cell.shape, cell.dtype) for cell in cells}
        if len(kinds) > 1 or sum(cell.nbytes for cell in cells) <= SPILL_ABOVE:
            continue
        if kinds.pop()[1].hasobject:
            continue
        rows = spill(cells, folder / f"{number}.npy")
        if spilled is X:
            spilled = X.copy(deep=False)
        spilled[name] = pd.Series(rows, index=X.index, dtype=object)
    return spilled


class Refitter(NamedTuple):
    """Everything the fits of an evaluation are made from, so that any of them can be repeated.

    ``tables`` has for each model the tables that it reads, by set: ``"test"`` is the cohort's whole
    table, of which a split's rows are taken; external cohorts are predicted whole.
    """

    models: dict[str, Any]
    tables: dict[str, dict[str, Any]]
    y: np.ndarray
    groups: np.ndarray
    splits: list[Split]
    positive: Any
    random_state: int
    n_threads: int

    def fit(self, name: str, seed: int, fold: int) -> tuple[Any, dict[str, Any]]:
        """Fit one model again; it and its predictions of the test part, as :func:`fit_cell`.

        Raises
        ------
        ValueError
            There is no such model or split.
        """
        if name not in self.models:
            raise ValueError(f"There is no model {name!r}; this evaluation has {[*self.models]}.")
        split = next((s for s in self.splits if (s.seed, s.fold) == (seed, fold)), None)
        if split is None:
            known = [(s.seed, s.fold) for s in self.splits]
            raise ValueError(f"There is no split of seed {seed}, fold {fold}; there are {known}.")
        X = self.tables[name]["test"]
        with fitting(self.n_threads):
            fitted = fit_model(
                self.models[name],
                split,
                X,
                self.y,
                self.groups,
                random_state=self.random_state,
                n_threads=self.n_threads,
            )
            sign = score_sign(self.positive, self.y)
            return fitted, predict(fitted, X.iloc[split.test], self.positive, sign)


@contextmanager
def fitting(n_threads: int) -> Iterator[None]:
    """Conditions of every fit: threads pinned, and groups routed to splitters inside models."""
    with pinned_threads(n_threads), sklearn.config_context(enable_metadata_routing=True):
        yield


def fit_model(
    model: Any,
    split: Split,
    X: Any,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    random_state: int,
    n_threads: int,
    shared: dict[str, str] | None = None,
) -> Any:
    """Clone of a model, seeded by its split and fitted on the training part."""
    entropy = np.random.SeedSequence(random_state, spawn_key=(split.seed, split.fold))
    # Seeded first: a step that is not there would leave its seed to the next.
    fitted = with_shared(prepare(model, entropy, n_threads), shared or {})
    asked = get_routing_for_object(fitted).consumes(method="fit", params=["groups"])
    params = {"groups": groups[split.train]} if asked else {}
    return fitted.fit(X.iloc[split.train], y[split.train], **params)


def fit_cell(
    name: str,
    model: Any,
    split: Split,
    tables: dict[str, Any],
    y: np.ndarray,
    groups: np.ndarray,
    *,
    positive: Any,
    random_state: int,
    n_threads: int,
    shared: dict[str, str] | None = None,
    notes: Path | None = None,
    parent: int = -1,
) -> dict[str, Any]:
    """Fit one model on one split and predict its test part and every external cohort.

    Parameters
    ----------
    tables : dict of DataFrame
        As in :class:`Refitter`, of this model.
    positive : label
        Scores and predicted labels are for this class.
    shared : dict, optional
        Columns of :func:`~crtkit.evaluation.shared.share_prefixes`, which ``tables`` have.
    notes : Path or None
    parent : int
        As in :func:`~crtkit.evaluation.workers.at_work`.

    Returns
    -------
    dict
        Plain JSON values, so that a journal gives back the same bits.

    Raises
    ------
    RuntimeError
        The model failed; the message names model, seed and fold.
    """
    start = time.perf_counter()
    sign = score_sign(positive, y)
    try:
        what = f"{name!r}, seed {split.seed}, fold {split.fold}"
        with at_work(notes, parent, what), fitting(n_threads):
            fitted = fit_model(
                model,
                split,
                tables["test"],
                y,
                groups,
                random_state=random_state,
                n_threads=n_threads,
                shared=shared,
            )
            sets = {}
            for on, table in tables.items():
                rows = split.test if on == "test" else np.arange(len(table))
                X = table.iloc[rows] if on == "test" else table
                sets[on] = {"rows": rows.tolist(), **predict(fitted, X, positive, sign)}
    except Exception as error:
        raise RuntimeError(
            f"Model {name!r} failed at seed {split.seed}, fold {split.fold}: "
            f"{type(error).__name__}: {error}{_elsewhere(error, notes, parent)}"
        ) from error
    record = {
        "model": name,
        "seed": split.seed,
        "fold": split.fold,
        "sets": sets,
        "seconds": round(time.perf_counter() - start, 3),
    }
    chosen = chosen_by(fitted)
    return {**record, "search": chosen} if chosen else record


def chosen_by(fitted: Any) -> dict[str, Any] | None:
    """Parameters and inner score of the search in a fitted model; None where there is none."""
    while not hasattr(fitted, "best_params_"):
        inner = getattr(fitted, "estimator_", None)  # of a threshold, of recalibration
        if inner is None and type(fitted) is Pipeline:
            inner = fitted.steps[-1][1]
        if inner is None:
            return None
        fitted = inner
    # With several metrics the one that chose is named by refit.
    metric = fitted.refit if isinstance(fitted.refit, str) else fitted.scoring
    score = getattr(fitted, "best_score_", None)  # absent where refit is a function
    return {
        "params": {str(k): _plain(v) for k, v in sorted(fitted.best_params_.items())},
        "inner": None if score is None or not np.isfinite(score) else float(score),
        "metric": "accuracy" if metric is None else metric if isinstance(metric, str) else "own",
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, str, type(None))) else _number_or_text(value)


def _number_or_text(value: Any) -> Any:
    # JSON has no infinity, and an estimator in a grid is told by its name.
    return value if isinstance(value, float) and np.isfinite(value) else repr(value)


def _elsewhere(error: Exception, notes: Path | None, parent: int) -> str:
    """What to do about a file that is not there, on a worker of another machine."""
    here = os.getpid() == parent or notes is not None
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, FileNotFoundError):
        cause = cause.__cause__
    if here or cause is None:
        return ""
    return (
        ". This fit ran in another process, perhaps on another machine: every worker must see the "
        "cohort's files under the same paths, on a shared file system or as copies."
    )


def score_sign(positive: Any, y: np.ndarray) -> float:
    """Sign of decision values: scikit-learn's are for the larger label, whichever is positive."""
    return 1.0 if positive == np.unique(y)[1] else -1.0


def predict(model: Any, X: Any, positive: Any, sign: float) -> dict[str, Any]:
    """Predicted labels (1: positive) and scores for the positive class, and their kind."""
    # Two methods ask for the same records: each is decoded and measured once, not twice. A slice of
    # the pipeline would do, but for transformers without a fitted attribute, which it refuses.
    while type(model) is Pipeline:
        for _, step in model.steps[:-1]:
            X = X if step is None or step == "passthrough" else step.transform(X)
        model = model.steps[-1][1]
    y_pred = np.asarray(model.predict(X)) == positive
    if hasattr(model, "predict_proba"):
        kind, score = "probability", np.asarray(model.predict_proba(X))
        score = score[:, list(model.classes_).index(positive)]
    elif hasattr(model, "decision_function"):
        kind, score = "decision", sign * np.asarray(model.decision_function(X))
    else:
        kind, score = "label", y_pred
    score = np.asarray(score, dtype=np.float64)
    if np.isnan(score).any():
        raise ValueError(f"{int(np.isnan(score).sum())} of {len(score)} scores are NaN.")
    return {"kind": kind, "y_pred": y_pred.astype(int).tolist(), "score": score.tolist()}
