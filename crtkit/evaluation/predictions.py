"""Predictions of every fit as tables, and the metrics of every split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crtkit.cohort import Cohort
from crtkit.evaluation.fit import Refitter
from crtkit.evaluation.scoring import POOLED, Part, figures, iter_parts, pool_folds
from crtkit.evaluation.splits import Split

_KINDS = ("probability", "decision", "label")


class Predictions:
    """What :class:`Evaluation` is built on: predictions, and metrics split by split."""

    def __init__(
        self,
        predictions: pd.DataFrame,
        *,
        classes: tuple[Any, Any],
        by: str,
        scoring: dict[str, Callable[..., float] | None],
        splits: pd.DataFrame,
        subgroups: dict[str, dict[str, np.ndarray]],
        info: dict[str, Any],
        refitter: Refitter | None = None,
        cohorts: dict[str, Cohort] | None = None,
        leaks: pd.DataFrame | None = None,
    ) -> None:
        self.predictions = predictions
        self.classes = classes
        self.by = by
        self.scoring = scoring
        self.splits = splits
        self.subgroups = subgroups
        self.info = info
        self.leaks_ = pd.DataFrame() if leaks is None else leaks
        self._refitter = refitter
        self._cohorts = dict(cohorts or {})
        self._parts_of: dict[tuple[str, str | None], list[Part]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # The cohort and its patients stay behind when a result is sent or stored.
        return {**self.__dict__, "_refitter": None, "_cohorts": {}}

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of every table."""
        return list(self.predictions["model"].cat.categories)

    @property
    def sets(self) -> list[str]:
        """``"test"`` and the names of external cohorts."""
        return list(self.predictions["set"].cat.categories)

    @property
    def note(self) -> str:
        """What must stand beside every figure: positive label, units, seeds, and whose data."""
        return self._note("test")

    def _note(self, on: str) -> str:
        source = self.info.get("source", "unstated")
        parts = [
            f"{self.info.get('cohort', 'cohort')}: {source}",
            f"positive: {self.classes[1]}",
            f"scored by {self.by}",
            f"{len(self.info['seeds'])} seed(s)",
        ]
        if self.splits["split"].nunique() < len(self.splits):
            parts[-1] += f" on the same {self.splits['split'].nunique()} splits"
        if any(part.fold == POOLED for part in self.units(on)):
            parts.append("folds pooled, because none has both classes")
        if source == "simulated":
            best = self.info.get("best_auc")
            parts[0] += " patients, not a hospital's"
            parts.append(
                f"best reachable AUC {_auc_in_words(best)}" if best else "best AUC not stated"
            )
        return "; ".join(parts)

    def parts(self, on: str = "test", subgroup: str | None = None) -> list[Part]:
        """Units of every model and split, as plain arrays (a building block for own tables).

        Parameters
        ----------
        on : str, default="test"
            ``"test"`` or the name of an external cohort.
        subgroup : str, optional

        Returns
        -------
        list of Part
            Named tuples ``model, seed, fold, kind, group, y_true, y_pred, y_score``.

        Raises
        ------
        ValueError
            There is no such set or subgroup, or no split tested anyone of the subgroup.
        """
        # Every table starts here: voting ten thousand records once is enough.
        if (on, subgroup) not in self._parts_of:
            if on not in self.sets:
                raise ValueError(f"There is no set {on!r}; this evaluation has {self.sets}.")
            rows = self.predictions[self.predictions["set"] == on]
            if subgroup is not None:
                known = self.subgroups.get(on, {})
                if subgroup not in known:
                    raise ValueError(f"There is no subgroup {subgroup!r} on {on!r}: {list(known)}.")
                rows = rows[known[subgroup][rows["row"].to_numpy()]]
                if rows.empty:
                    raise ValueError(
                        f"No record of subgroup {subgroup!r} was tested on {on!r}: use more seeds."
                    )
            rows = rows.assign(y_true=rows["y_true"] == self.classes[1])
            rows = rows.assign(y_pred=rows["y_pred"] == self.classes[1])
            self._parts_of[on, subgroup] = list(iter_parts(rows, self.by))
        return self._parts_of[on, subgroup]

    def units(self, on: str = "test", subgroup: str | None = None) -> list[Part]:
        """:meth:`parts` as they are scored: folds pooled where none of a seed has both classes.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        list of Part
            ``fold`` is -1 where the folds of a seed were pooled.
        """
        # Folds of one class each, as in leaving one patient out, have no AUC of their own.
        return pool_folds(self.parts(on, subgroup))

    def per_fold(self, on: str = "test", subgroup: str | None = None) -> pd.DataFrame:
        """Every metric of every split.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        DataFrame
            Indexed by model, seed and fold; one column per metric, nan where it is undefined.
        """
        return self._noted(self._per_part(self.parts(on, subgroup)), on)

    def _per_part(self, parts: list[Part]) -> pd.DataFrame:
        keys = [part[:3] for part in parts]
        index = pd.MultiIndex.from_tuples(keys, names=["model", "seed", "fold"])
        return pd.DataFrame([figures(part, self.scoring) for part in parts], index=index)

    def per_seed(self, on: str = "test", subgroup: str | None = None) -> pd.DataFrame:
        """Every metric of every seed, folds of a seed averaged.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        DataFrame
            Indexed by model and seed; one column per metric. A fold where a metric is undefined is
            left out of that seed's mean; where no fold of a seed has both classes (one patient left
            out at a time), scores are pooled over its folds, and the note says so.
        """
        table = self._per_part(self.units(on, subgroup))
        seeds = table.groupby(level=["model", "seed"], sort=False).mean()
        return self._noted(seeds, on)

    @property
    def test_train_ratio(self) -> float:
        """Mean over splits of tested patients over training patients."""
        # Patients, not records: their sharing is what makes splits alike.
        ratio = self.splits["n_test_patients"] / self.splits["n_train_patients"]
        return float(ratio.mean())

    @property
    def _split_of(self) -> dict[tuple[int, int], int]:
        """Number of the split behind each (seed, fold)."""
        columns = (self.splits[name].tolist() for name in ("seed", "fold", "split"))
        numbers = {(seed, fold): split for seed, fold, split in zip(*columns)}
        # Seeds whose folds are the same, pooled, met the same split.
        folds = self.splits.groupby("seed")["split"].agg(tuple)
        known: dict[tuple[int, ...], int] = {}
        for seed, own in folds.items():
            numbers[seed, POOLED] = known.setdefault(own, len(numbers))
        return numbers

    def _noted(self, table: pd.DataFrame, on: str) -> pd.DataFrame:
        table.attrs["note"] = self._note(on)
        table.attrs["positive"] = self.classes[1]
        return table


def _auc_in_words(value: Any) -> str:
    """A best AUC in words: a number, one with its error, or one per modality."""
    if isinstance(value, dict) and "auc" in value:
        error = value.get("se")
        return f"{value['auc']:.3f}" + (f" ± {error:.3f}" if error else "")
    if isinstance(value, dict):
        return ", ".join(f"{_auc_in_words(v)} ({name})" for name, v in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def prediction_table(
    records: list[dict[str, Any]],
    cohorts: dict[str, Cohort],
    names: list[str],
    classes: tuple[Any, Any],
) -> pd.DataFrame:
    """One row per model, seed, fold and record, sorted by set, model, seed and fold."""
    labels = np.array(classes, dtype=object) if isinstance(classes[0], str) else np.array(classes)
    frames = []
    for on, cohort in cohorts.items():
        for name in names:
            for record in records:
                if record["model"] != name:
                    continue
                answer = record["sets"][on]
                rows = np.asarray(answer["rows"], dtype=np.intp)
                frame = pd.DataFrame(
                    {
                        "set": pd.Categorical([on] * len(rows), list(cohorts)),
                        "model": pd.Categorical([name] * len(rows), names),
                        "seed": record["seed"],
                        "fold": record["fold"],
                        "row": rows,
                        "group": cohort.groups[rows],
                        "y_true": cohort.y[rows],
                        "y_pred": labels[np.asarray(answer["y_pred"], dtype=np.intp)],
                        "score": np.asarray(answer["score"], dtype=np.float64),
                        "kind": pd.Categorical([answer["kind"]] * len(rows), list(_KINDS)),
                    }
                )
                frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def split_table(splits: list[Split], cohort: Cohort) -> pd.DataFrame:
    """One row per seed and fold; equal numbers in ``split`` are one split, met again."""

    def n_patients(rows: np.ndarray) -> int:
        return len(pd.unique(cohort.groups[rows]))

    known: dict[tuple[bytes, bytes], int] = {}
    rows = []
    for s in splits:
        same = (np.sort(s.train).tobytes(), np.sort(s.test).tobytes())
        split = known.setdefault(same, len(known))
        counts = (len(s.train), len(s.test), n_patients(s.train), n_patients(s.test))
        rows.append((s.seed, s.fold, split, *counts))
    columns = ["seed", "fold", "split", "n_train", "n_test", "n_train_patients", "n_test_patients"]
    return pd.DataFrame(rows, columns=columns)
