"""One cell of an evaluation: a model fitted on one training part and its answers elsewhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.metadata_routing import get_routing_for_object

from crtkit.cohort.rows import spill
from crtkit.evaluation._models import prepare, reseeds
from crtkit.evaluation._threads import pinned_threads
from crtkit.evaluation.splits import RepeatedStratifiedPatientSplit

# Array cells are pickled whole to every worker; above this size (bytes) they go to a file.
SPILL_ABOVE = 32 * 2**20


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
        A part is no list of positions, a patient is on both sides, a record is tested twice, or a
        training part has one class.
    """
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


def _pairs(cv: Any, cohort: Any, seed: int, root: int) -> Iterable[tuple[Any, Any]]:
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
    found = []
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
        found.append(rows.astype(np.intp))
    return found


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


def fit_cell(
    name: str,
    model: Any,
    split: Split,
    tables: dict[str, Any],
    y: np.ndarray,
    groups: np.ndarray,
    *,
    positive: Any,
    root: int,
    n_threads: int,
) -> dict[str, Any]:
    """Fit one model on one split and answer for the test part and every external cohort.

    Parameters
    ----------
    tables : dict of DataFrame
        ``"test"`` is the cohort's whole table, of which the split's rows are taken; the others
        are external cohorts, answered whole.
    positive : label
        Scores and calls are for this class.

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
    entropy = np.random.SeedSequence(root, spawn_key=(split.seed, split.fold))
    # scikit-learn's decision values are for the larger label, whichever is positive here.
    sign = 1.0 if positive == np.unique(y)[1] else -1.0
    try:
        with pinned_threads(n_threads), sklearn.config_context(enable_metadata_routing=True):
            fitted = prepare(model, entropy, n_threads)
            router = get_routing_for_object(fitted)
            asked = router.consumes(method="fit", params=["groups"])
            params = {"groups": groups[split.train]} if asked else {}
            X = tables["test"]
            fitted.fit(X.iloc[split.train], y[split.train], **params)
            sets = {
                "test": {
                    "rows": split.test.tolist(),
                    **_answer(fitted, X.iloc[split.test], positive, sign),
                }
            }
            for other, table in tables.items():
                if other != "test":
                    rows = list(range(len(table)))
                    sets[other] = {"rows": rows, **_answer(fitted, table, positive, sign)}
    except Exception as error:
        raise RuntimeError(
            f"Model {name!r} failed at seed {split.seed}, fold {split.fold}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return {
        "model": name,
        "seed": split.seed,
        "fold": split.fold,
        "sets": sets,
        "seconds": round(time.perf_counter() - start, 3),
    }


def _answer(model: Any, X: Any, positive: Any, sign: float) -> dict[str, Any]:
    """Calls (0, 1) and scores for the positive class, and what kind of score it is."""
    called = np.asarray(model.predict(X)) == positive
    if hasattr(model, "predict_proba"):
        kind, score = "probability", np.asarray(model.predict_proba(X))
        score = score[:, list(model.classes_).index(positive)]
    elif hasattr(model, "decision_function"):
        kind, score = "decision", sign * np.asarray(model.decision_function(X))
    else:
        kind, score = "label", called
    score = np.asarray(score, dtype=np.float64)
    if np.isnan(score).any():
        raise ValueError(f"{int(np.isnan(score).sum())} of {len(score)} scores are NaN.")
    return {"kind": kind, "called": called.astype(int).tolist(), "score": score.tolist()}
