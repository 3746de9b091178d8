"""What is scored (patients or records of each fit), its metrics, and replicates of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crtkit import metrics
from crtkit.evaluation.uncertainty.intervals import (
    ANSWERS,
    deciding_patients,
    patient_weights,
    replicate_answers,
    replicate_scores,
)

#: Fold of a part that holds all folds of its seed.
POOLED = -1

_CUT = {"probability": 0.5, "decision": 0.0, "label": 0.5}


class Part(NamedTuple):
    """Units (patients or records) that one fit answered for."""

    model: str
    seed: int
    fold: int
    kind: str
    group: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    y_score: np.ndarray

    def take(self, mask: np.ndarray) -> Part:
        """The units of a subgroup."""
        return self._replace(
            group=self.group[mask],
            y_true=self.y_true[mask],
            y_pred=self.y_pred[mask],
            y_score=self.y_score[mask],
        )


def iter_parts(predictions: pd.DataFrame, by: str) -> Iterator[Part]:
    """Walk predictions of one set, model by model and split by split, as units."""
    keys = ["model", "seed", "fold"]
    key: Any
    for key, rows in predictions.groupby(keys, sort=False, observed=True):
        part = Part(
            str(key[0]),
            int(key[1]),
            int(key[2]),
            str(rows["kind"].iloc[0]),
            rows["group"].to_numpy(dtype=object),
            rows["y_true"].to_numpy(dtype=bool),
            rows["y_pred"].to_numpy(dtype=bool),
            rows["score"].to_numpy(dtype=np.float64),
        )
        yield vote(part) if by == "patient" else part


def vote(part: Part) -> Part:
    """One answer per patient: the mean score, and the call that goes with it.

    Where the model's calls are those of the usual cut (0.5, or 0 for decision values), the mean
    score is called by that cut; a model with another cut is voted by the majority of its calls,
    ties positive.
    """
    patients, first, patient_of, n_records = np.unique(
        part.group.astype(str), return_index=True, return_inverse=True, return_counts=True
    )
    if len(patients) == len(part.group):
        return part
    # Every record at its usual cut: the vote may use the mean score. A tuned threshold is unknown
    # here, so that the calls themselves are counted.
    cut = _CUT[part.kind]
    score = np.bincount(patient_of, part.y_score) / n_records
    share = np.bincount(patient_of, part.y_pred) / n_records
    off_cut = part.y_score != cut
    # A model with a threshold of its own is followed by votes, others by their mean score.
    usual = np.array_equal(part.y_pred[off_cut], part.y_score[off_cut] > cut)
    y_pred = np.where(score == cut, share >= 0.5, score > cut) if usual else share >= 0.5
    # One record needs no vote: the model's own answer stands, ties included.
    y_pred[n_records == 1] = part.y_pred[first[n_records == 1]]
    return Part(*part[:4], part.group[first], part.y_true[first], y_pred, score)


def pool_folds(parts: list[Part]) -> list[Part]:
    """Parts to score: folds of a seed joined where none of them has both classes.

    Leaving one patient out tests one class at a time, so that no fold has an AUC. The scores of
    such a seed are pooled over its folds, which compares scores of different fits: the joined part
    has fold :data:`POOLED`, and tables say so.
    """
    by_seed: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        by_seed.setdefault((part.model, part.seed), []).append(part)
    joined = []
    for own in by_seed.values():
        if len(own) > 1 and all(len(np.unique(part.y_true)) < 2 for part in own):
            arrays = [np.concatenate([part[i] for part in own]) for i in range(4, 8)]
            joined.append(Part(own[0].model, own[0].seed, POOLED, own[0].kind, *arrays))
        else:
            joined += own
    return joined


def by_model(parts: list[Part]) -> dict[str, list[Part]]:
    """Parts of each model, in the order of the models."""
    grouped: dict[str, list[Part]] = {}
    for part in parts:
        grouped.setdefault(part.model, []).append(part)
    return grouped


def patients_of(parts: list[Part]) -> np.ndarray:
    """Every patient of the parts, sorted, as text."""
    everyone = [part.group.astype(str) for part in parts]
    return np.unique(np.concatenate(everyone)) if everyone else np.array([], dtype=str)


def pooled(parts: list[Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patient, truth and score of every answer of a model, split after split."""
    return (
        np.concatenate([part.group.astype(str) for part in parts]),
        np.concatenate([part.y_true for part in parts]),
        np.concatenate([part.y_score for part in parts]),
    )


def resolve_scoring(scoring: Any) -> dict[str, Callable[..., float] | None]:
    """Metrics by name; None stands for one of our own.

    Raises
    ------
    ValueError
        An unknown name, or a scikit-learn scorer, which needs an estimator that is gone by then.
    """
    if scoring is None:
        scoring = list(metrics.SCORERS)
    if isinstance(scoring, str):
        scoring = [scoring]
    if not isinstance(scoring, dict):
        scoring = dict.fromkeys(scoring)
    resolved: dict[str, Callable[..., float] | None] = {}
    for name, metric in scoring.items():
        ours = metrics.SCORERS.get(name)
        if ours is not None and (metric is None or metric is ours):
            resolved[name] = None
        elif metric is None:
            raise ValueError(f"Unknown metric {name!r}; known are {list(metrics.SCORERS)}.")
        elif hasattr(metric, "_score_func") or not callable(metric):
            raise ValueError(
                f"scoring[{name!r}] must be a function metric(y_true, y_score) of 0/1 truth and "
                f"the score for the positive class, got {metric!r}: figures are computed from "
                "predictions, when the estimator is gone."
            )
        else:
            resolved[name] = metric
    return resolved


def figures(part: Part, scoring: dict[str, Any]) -> dict[str, float]:
    """Every metric of one part; nan where it is undefined."""
    row = {}
    for name, metric in scoring.items():
        if metric is not None:
            both = len(np.unique(part.y_true)) == 2
            row[name] = float(metric(part.y_true.astype(int), part.y_score)) if both else np.nan
        # Decision values and labels have no Brier score.
        elif name == "brier" and part.kind != "probability":
            row[name] = np.nan
        else:
            answer = part.y_pred if name in ANSWERS else part.y_score
            row[name] = getattr(metrics, name)(part.y_true, answer, pos_label=True)
    return row


def replicate(
    parts: list[Part],
    scoring: dict[str, Any],
    patients: np.ndarray,
    n_bootstrap: int,
    random_state: Any,
) -> dict[str, np.ndarray]:
    """Replicates of the mean over seeds of one model, patients drawn once for all seeds.

    Parameters
    ----------
    parts : list of Part
        One model's, all seeds and folds.
    patients : ndarray
        Every patient that may be drawn, sorted; the same for all models, so that replicate i is
        the same draw for each and differences are paired.

    Returns
    -------
    dict of ndarray of shape (n_bootstrap,)
    """
    where = [np.searchsorted(patients, part.group.astype(str)) for part in parts]
    seeds = np.array([part.seed for part in parts])
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in scoring}
    # Blocks of draws bound the memory; all parts of a block share its draws.
    for weights in patient_weights(len(patients), n_bootstrap, random_state):
        drawn = [_replicate_part(p, scoring, weights[:, w]) for p, w in zip(parts, where)]
        for name in scoring:
            blocks[name].append(mean_over_seeds(np.array([d[name] for d in drawn]), seeds))
    return {name: np.concatenate(values) for name, values in blocks.items()}


def _replicate_part(part: Part, scoring: dict[str, Any], weights: np.ndarray) -> dict[str, Any]:
    # A subgroup may have nobody in a split.
    undefined = np.full(len(weights), np.nan)
    if not len(part.y_true):
        return dict.fromkeys(scoring, undefined)
    values = replicate_answers(part.y_true, part.y_pred, weights)
    values.update(replicate_scores(part.y_true, part.y_score, weights))
    if part.kind != "probability":
        values["brier"] = undefined
    for name, metric in scoring.items():
        if metric is not None:
            # A user's metric takes no weights, so drawn patients are repeated instead.
            rows = (np.repeat(np.arange(len(w)), w) for w in weights.astype(int))
            own = {name: metric}
            values[name] = np.array([figures(part.take(r), own)[name] for r in rows])
    return values


def mean_over_seeds(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Mean over folds within a seed, then over seeds; nan ones left out."""
    per_seed = [nanmean(values[seeds == seed]) for seed in np.unique(seeds)]
    return nanmean(np.array(per_seed))


def nanmean(values: np.ndarray) -> np.ndarray:
    """``numpy.nanmean`` over axis 0, without its warning where all are nan."""
    # np.nanmean warns where nothing is defined, which is no news here.
    defined = ~np.isnan(values)
    n = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    return np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0)


def spread(column: np.ndarray, seeds: np.ndarray) -> dict[str, Any]:
    """Mean over seeds of the mean over folds, and its SD; over folds where there is one seed."""
    per_seed = np.array([nanmean(column[seeds == seed]) for seed in np.unique(seeds)])
    # The SD over seeds; with one seed that of its folds is the only spread there is.
    values = per_seed if len(per_seed) > 1 else column
    values = values[~np.isnan(values)]
    sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return {"mean": float(nanmean(per_seed)), "sd": sd}


def over_distinct(
    column: np.ndarray, parts: list[Part], split_of: dict[tuple[int, int], int]
) -> np.ndarray:
    """One figure per distinct split: its mean over the seeds that met it.

    A split that comes again with every seed brings no new patients, so it must not make an interval
    over splits narrower.
    """
    number = np.array([split_of[part.seed, part.fold] for part in parts])
    return np.array([nanmean(column[number == k]) for k in np.unique(number)])


def nanvar(values: np.ndarray) -> float:
    """Variance of the defined values; nan where there are fewer than two."""
    defined = values[~np.isnan(values)]
    return float(defined.var(ddof=1)) if len(defined) > 1 else float("nan")


def deciding(name: str, parts: list[Part]) -> int:
    """Patients on whom a figure of 0 or 1 rests; see :func:`deciding_patients`."""
    y_true, y_pred = (np.concatenate([p[i] for p in parts]) for i in (5, 6))
    groups = np.concatenate([p.group.astype(str) for p in parts])
    return deciding_patients(name, y_true, y_pred, groups)
