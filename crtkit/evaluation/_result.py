"""What an evaluation gives back: predictions, and every table made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation._aggregate import Part, figures, iter_parts
from crtkit.evaluation._compare import compare_table
from crtkit.evaluation._risk import calibration_curve_table, calibration_table, decision_table
from crtkit.evaluation._summary import sensitivity_table, summary_table
from crtkit.evaluation.decision import DEFAULT_THRESHOLDS
from crtkit.evaluation.intervals import SCORES
from crtkit.evaluation.roc import plot_roc, roc_table


class Evaluation:
    """Answers of models to records they were not fitted on, and tables made from them.

    Made by :func:`crtkit.evaluate`.

    Parameters
    ----------
    predictions : DataFrame
        One row a model, seed, fold and record: columns ``set`` ("test" or the name of an external
        cohort), ``model, seed, fold, row`` (position in that cohort), ``group, y_true, y_pred``
        (labels), ``score`` (for the positive class) and ``kind`` of the score.
    classes : tuple
        Negative and positive label.
    by : {"patient", "record"}
        What is scored.
    scoring : dict
        Metrics by name.
    splits : DataFrame
        One row a seed and fold: ``n_train, n_test`` records and ``n_train_patients,
        n_test_patients``.
    subgroups : dict of dict of ndarray
        Masks over the records of each set, by set and subgroup.
    info : dict
        Versions, device, threads, seeds, hash and source of the cohort, rows left out.

    Notes
    -----
    The mean over seeds is the headline. :meth:`per_seed` shows every seed; the best one is never
    summarised.
    """

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
    ) -> None:
        self.predictions = predictions
        self.classes = classes
        self.by = by
        self.scoring = scoring
        self.splits = splits
        self.subgroups = subgroups
        self.info = info
        self._parts_of: dict[tuple[str, str | None], list[Part]] = {}

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
        """What must stand beside every figure: units, seeds, and where the cohort comes from."""
        source = self.info.get("source", "unstated")
        parts = [
            f"{self.info.get('cohort', 'cohort')}: {source}",
            f"scored by {self.by}",
            f"{len(self.info['seeds'])} seed(s)",
        ]
        if source == "simulated":
            best = self.info.get("best_auc")
            parts[0] += " patients, not a hospital's"
            parts.append(f"best reachable AUC {_plain(best)}" if best else "best AUC not stated")
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
            Named tuples ``model, seed, fold, kind, group, truth, called, score``.

        Raises
        ------
        ValueError
            There is no such set or subgroup.
        """
        if (on, subgroup) not in self._parts_of:
            if on not in self.sets:
                raise ValueError(f"There is no set {on!r}; this evaluation has {self.sets}.")
            rows = self.predictions[self.predictions["set"] == on]
            if subgroup is not None:
                known = self.subgroups.get(on, {})
                if subgroup not in known:
                    raise ValueError(f"There is no subgroup {subgroup!r} on {on!r}: {list(known)}.")
                rows = rows[known[subgroup][rows["row"].to_numpy()]]
            rows = rows.assign(y_true=rows["y_true"] == self.classes[1])
            rows = rows.assign(y_pred=rows["y_pred"] == self.classes[1])
            self._parts_of[on, subgroup] = list(iter_parts(rows, self.by))
        return self._parts_of[on, subgroup]

    def per_fold(self, on: str = "test", subgroup: str | None = None) -> pd.DataFrame:
        """Every metric of every split.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        DataFrame
            Indexed by model, seed and fold; one column a metric, nan where it is undefined.
        """
        parts = self.parts(on, subgroup)
        index = pd.MultiIndex.from_tuples(
            [part[:3] for part in parts], names=["model", "seed", "fold"]
        )
        return self._noted(pd.DataFrame([figures(p, self.scoring) for p in parts], index=index))

    def per_seed(self, on: str = "test", subgroup: str | None = None) -> pd.DataFrame:
        """Every metric of every seed, folds of a seed averaged.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        DataFrame
            Indexed by model and seed; one column a metric. A fold where a metric is undefined is
            left out of that seed's mean.
        """
        table = self.per_fold(on, subgroup)
        seeds = table.groupby(level=["model", "seed"], sort=False).mean()
        return self._noted(seeds)

    def summary(
        self,
        on: str = "test",
        subgroup: str | None = None,
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
    ) -> pd.DataFrame:
        """Mean and SD over seeds with intervals: one row a model.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional
        confidence : float, default=0.95
        n_bootstrap : int, default=1000
            Replicates of the interval by patient; always the same draws.

        Returns
        -------
        DataFrame
            Two column levels, metric and: ``mean``; ``sd`` (over seeds; over folds where there is
            one seed); ``ci_low, ci_high``, percentiles of the mean over seeds when *patients* are
            drawn again, fits held fixed; ``nb_low, nb_high``, the Nadeau-Bengio interval over
            splits, clipped to [0, 1] for our metrics, nan for external sets, where every seed
            answers for the same patients; ``n_valid``, splits where the metric was defined. Last,
            ``(cohort, source)``: simulated, real or unstated.
        """
        table = summary_table(
            self.parts(on, subgroup),
            self.scoring,
            ratio=self.test_train_ratio if on == "test" else None,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
        )
        table["cohort", "source"] = self.info.get("source", "unstated")
        return self._noted(table)

    def roc(
        self,
        on: str = "test",
        subgroup: str | None = None,
        *,
        which: str = "mean",
        n_points: int = 101,
    ) -> pd.DataFrame:
        """ROC curves of every model.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional
        which : {"mean", "seeds", "best"}, default="mean"
            The vertical average over splits, every split, or the seed with the highest AUC, which
            is a figure to draw beside a printed one and never a result.
        n_points : int, default=101
            Grid of the average.

        Returns
        -------
        DataFrame
            Columns ``model, fpr, tpr, tpr_sd``, or ``model, seed, fold, fpr, tpr, threshold``.
        """
        return self._noted(roc_table(self.parts(on, subgroup), which, n_points))

    def plot_roc(self, ax: Any = None, which: str = "mean", on: str = "test") -> Any:
        """Draw ROC curves, saying over how many seeds and of what cohort.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        which : {"mean", "best"}, default="mean"
        on : str, default="test"

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        return plot_roc(self, ax, which, on)

    def at_sensitivity(
        self, sensitivity: float, on: str = "test", subgroup: str | None = None
    ) -> pd.DataFrame:
        """Specificity, PPV and NPV of every model at one sensitivity, where they compare.

        Parameters
        ----------
        sensitivity : float
            In (0, 1]; reached exactly, between two cuts of a score if need be.
        on : str, default="test"
        subgroup : str, optional

        Returns
        -------
        DataFrame
            One row a model; ``specificity, ppv, npv`` with ``_sd`` over seeds and ``n_valid``.
        """
        table = sensitivity_table(self.parts(on, subgroup), sensitivity)
        table.attrs["sensitivity"] = sensitivity
        return self._noted(table)

    def compare(
        self,
        a: str,
        b: str,
        on: str = "test",
        subgroup: str | None = None,
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
    ) -> pd.DataFrame:
        """Difference of two models on the same patients, paired.

        Parameters
        ----------
        a, b : str
            Names of models; differences are a - b.
        on : str, default="test"
        subgroup : str, optional
        confidence : float, default=0.95
        n_bootstrap : int, default=1000

        Returns
        -------
        DataFrame
            One row a metric: ``mean_a, mean_b`` and ``difference, sd`` over splits where both are
            defined; ``ci_low, ci_high``, patients drawn again, the same for both; ``nb_low,
            nb_high, t, p_value`` of the corrected resampled t-test, nan for external sets;
            ``delong_p`` (AUC), DeLong's test on the mean of the scores a patient got over the
            splits that tested him; ``n_valid`` splits.

        Raises
        ------
        ValueError
            There is no such model, or it is the same one twice.
        """
        table = compare_table(
            self.parts(on, subgroup),
            a,
            b,
            self.scoring,
            ratio=self.test_train_ratio if on == "test" else None,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
        )
        return self._noted(table)

    def against_references(
        self,
        metric: str = "roc_auc",
        on: str = "test",
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
    ) -> pd.DataFrame:
        """Each model against the best reference row: what it adds to what is known already.

        Parameters
        ----------
        metric : str, default="roc_auc"
        on : str, default="test"
        confidence : float, default=0.95
        n_bootstrap : int, default=1000

        Returns
        -------
        DataFrame
            One row a model: ``reference`` (the one with the highest mean; the lowest for Brier),
            ``difference`` with ``ci_low, ci_high`` by patient, and ``beats``: the whole interval
            is on the better side. Empty where there are no reference rows.
        """
        known = [name for name in self.info.get("reference_rows", ()) if name in self.models]
        sign = -1 if metric == "brier" else 1
        means = (sign * self.per_seed(on)[metric]).groupby(level="model", sort=False).mean()
        means = means[known].dropna()
        rows = {}
        for model in [name for name in self.models if name not in known] if len(means) else []:
            best = str(means.idxmax())
            row = self.compare(model, best, on, confidence=confidence, n_bootstrap=n_bootstrap)
            figure = row.loc[metric, ["difference", "ci_low", "ci_high"]].to_dict()
            nearest = figure["ci_low"] if sign > 0 else -figure["ci_high"]
            rows[model] = {"reference": best, **figure, "beats": bool(nearest > 0)}
        columns = ["reference", "difference", "ci_low", "ci_high", "beats"]
        index = pd.Index(list(rows), name="model")
        return self._noted(pd.DataFrame(list(rows.values()), index=index, columns=columns))

    def calibration(
        self,
        on: str = "test",
        subgroup: str | None = None,
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 200,
    ) -> pd.DataFrame:
        """Calibration of every model that gives risks, answers of all splits pooled.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional
        confidence : float, default=0.95
        n_bootstrap : int, default=200
            Replicates of the intervals of slope, intercept and O:E, by patient.

        Returns
        -------
        DataFrame
            One row a model, columns of :class:`Calibration`; nan for models without risks.
        """
        parts = self.parts(on, subgroup)
        table = calibration_table(parts, confidence=confidence, n_bootstrap=n_bootstrap)
        return self._noted(table)

    def calibration_curve(
        self, on: str = "test", subgroup: str | None = None, *, n_points: int = 101
    ) -> pd.DataFrame:
        """Observed share of positives along predicted risk, smoothed by :func:`loess`.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional
        n_points : int, default=101

        Returns
        -------
        DataFrame
            Columns ``model, predicted, observed``; models with risks only.
        """
        return self._noted(calibration_curve_table(self.parts(on, subgroup), n_points))

    def decision_curve(
        self,
        on: str = "test",
        subgroup: str | None = None,
        *,
        thresholds: Any = DEFAULT_THRESHOLDS,
        confidence: float = 0.95,
        n_bootstrap: int = 500,
    ) -> pd.DataFrame:
        """Net benefit of every model, of treating all and of treating none, splits pooled.

        Parameters
        ----------
        on : str, default="test"
        subgroup : str, optional
        thresholds : array-like, default=0.05 to 0.95
        confidence : float, default=0.95
        n_bootstrap : int, default=500

        Returns
        -------
        DataFrame
            Columns ``model, threshold, net_benefit, ci_low, ci_high, standardized`` (net benefit
            over prevalence). A rule treats whom it calls, at every threshold; models with decision
            values have no risk and are left out.
        """
        parts = self.parts(on, subgroup)
        table = decision_table(parts, thresholds, confidence=confidence, n_bootstrap=n_bootstrap)
        return self._noted(table)

    @property
    def test_train_ratio(self) -> float:
        """Mean over splits of tested patients over training patients."""
        ratio = self.splits["n_test_patients"] / self.splits["n_train_patients"]
        return float(ratio.mean())

    def _noted(self, table: pd.DataFrame) -> pd.DataFrame:
        table.attrs["note"] = self.note
        return table

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.models)} model(s); {self.note}>"

    def _repr_html_(self) -> str:
        from html import escape

        shown = [name for name in ("accuracy", "ppv", "npv", *SCORES) if name in self.scoring]
        shown = shown or list(self.scoring)
        seeds = self.per_seed()
        mean, sd = (getattr(seeds.groupby(level="model", sort=False), f)() for f in ("mean", "std"))
        cells = {
            name: [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[name], sd[name])] for name in shown
        }
        table = pd.DataFrame(cells, index=mean.index).to_html()
        return f"<div><p>{escape(self.note)}</p>{table}<p>mean ± SD over seeds</p></div>"


def _plain(value: Any) -> str:
    """A best AUC in words: a number, one with its error, or one a modality."""
    if isinstance(value, dict) and "auc" in value:
        error = value.get("se")
        return f"{value['auc']:.3f}" + (f" ± {error:.3f}" if error else "")
    if isinstance(value, dict):
        return ", ".join(f"{_plain(v)} ({name})" for name, v in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)
