"""Tests over one evaluation, what its searches chose, and sets that may hold both classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit.evaluation.risks.abstain import conformal_table
from crtkit.evaluation.scoring import Part, by_model, figures, nanmean, over_distinct
from crtkit.evaluation.uncertainty.variance import score_matrix

OVERLAP = (
    "Splits share their training patients and often their test patients, so that blocks are not "
    "independent and p is too small: no verdict rests on it."
)


class Inference:
    """Tests and tables of :class:`Evaluation` that look at several models or splits at once."""

    def ranks(self: Any, metric: str = "roc_auc", on: str = "test") -> pd.DataFrame:
        """Friedman's test over distinct splits, and the mean rank of every model.

        Parameters
        ----------
        metric : str, default="roc_auc"
        on : str, default="test"

        Returns
        -------
        DataFrame
            One row per model, best first: ``mean_rank`` (1 is best), ``mean``, ``n_blocks``.
            ``attrs`` has ``friedman`` (statistic, p_value and p_smallest, what it would be if every
            split ranked alike), ``critical_difference`` (Nemenyi, 5 %) and ``caveat``: splits that
            share patients are no independent blocks.

        Raises
        ------
        ValueError
            Fewer than three models or two splits where every model has the metric.
        """
        from crtkit.statistics import critical_difference, friedman_test

        blocks = self._blocks(metric, on)
        # Rank 1 is the best, which for the Brier score is the smallest.
        sign = -1 if metric == "brier" else 1
        table = critical_difference(sign * blocks)
        table["mean"] = blocks.mean()[table.index]
        table.attrs["friedman"] = friedman_test(blocks).iloc[0].to_dict()
        table.attrs["caveat"] = OVERLAP
        return self._noted(table, on)

    def plot_ranks(self: Any, ax: Any = None, metric: str = "roc_auc", on: str = "test") -> Any:
        """Draw the critical-difference plot of :meth:`ranks`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        metric : str, default="roc_auc"
        on : str, default="test"

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        from crtkit.evaluation.plots.ranks import draw_ranks

        return draw_ranks(self, metric, on, ax)

    def wilcoxon(self: Any, metric: str = "roc_auc", on: str = "test") -> pd.DataFrame:
        """Wilcoxon's test of every pair of models over distinct splits, with Holm's correction.

        Parameters
        ----------
        metric : str, default="roc_auc"
        on : str, default="test"

        Returns
        -------
        DataFrame
            As :func:`crtkit.statistics.wilcoxon_holm`, with ``p_smallest`` beside each p; ``attrs``
            has the ``caveat`` that splits share patients.
        """
        from crtkit.statistics import wilcoxon_holm

        table = wilcoxon_holm(self._blocks(metric, on))
        table.attrs["caveat"] = OVERLAP
        return self._noted(table, on)

    def mcnemar(self: Any, a: str, b: str, on: str = "test") -> pd.DataFrame:
        """McNemar's exact test of the calls of two models, one call per patient.

        A patient is called by the first split that tested them, which both models share.

        Parameters
        ----------
        a, b : str
            Names of models.
        on : str, default="test"

        Returns
        -------
        DataFrame of one row
            As :func:`crtkit.statistics.mcnemar_test`. It answers for these fits; calls move less
            than scores when another cohort trains, and it kept its level there too
            (``benchmarks.coverage``).
        """
        from crtkit.statistics import mcnemar_test

        first = [_first(self._parts_of_model(name, on), "y_pred") for name in (a, b)]
        y = first[0].y_true
        table = mcnemar_test(y, *(own.scores > 0.5 for own in first))
        return self._noted(table, on)

    def permutation(
        self: Any,
        a: str,
        b: str | None = None,
        on: str = "test",
        *,
        n_permutations: int = 2000,
        random_state: int = 0,
    ) -> pd.DataFrame:
        """Permutation test by patient: is an AUC better than chance, or than another's?

        A patient has the score of the first split that tested them.

        Parameters
        ----------
        a : str
            Name of a model.
        b : str, optional
            Another model, or a reference row; None: chance.
        on : str, default="test"
        n_permutations : int, default=2000
        random_state : int, default=0

        Returns
        -------
        DataFrame of one row
            As :func:`crtkit.statistics.permutation_test`, with the smallest p that it can reach;
            ``p_value`` answers for these fits and is too small for models that another cohort would
            train. ``p``, the one to print, counts fits: its normal score is that of ``p_value``
            over how much wider the headline interval is than the one with fits held fixed.
        """
        from crtkit.statistics import permutation_test

        first = [_first(self._parts_of_model(n, on), "y_score") for n in (a, b) if n is not None]
        table = permutation_test(
            first[0].y_true,
            *(own.scores for own in first),
            groups=first[0].patient_of,
            n_permutations=n_permutations,
            random_state=random_state,
        )
        # One-sided against chance, two-sided between two models.
        sides = 1 if b is None else 2
        z = stats.norm.isf(table["p_value"] / sides) / self._widening(a, b, on)
        at = list(table.columns).index("p_value")
        table.insert(at, "p", sides * stats.norm.sf(z))
        return self._noted(table, on)

    def _widening(self: Any, a: str, b: str | None, on: str) -> float:
        """How much wider the headline interval of an AUC is than that with fits held fixed."""
        from crtkit.evaluation.compare import compare_table
        from crtkit.evaluation.summary import summary_table

        options = {
            "ratio": self.test_train_ratio if on == "test" else None, "split_of": self._split_of,
            "confidence": 0.95, "n_bootstrap": 500, "n_patients": self.info.get("n_patients"),
        }  # fmt: skip
        names, area = [n for n in (a, b) if n is not None], {"roc_auc": None}
        parts = [part for part in self.units(on) if part.model in names]
        if b is None:
            row = summary_table(parts, area, **options).droplevel(0, axis=1).to_dict("records")[0]
        else:
            row = compare_table(parts, a, b, area, **options).to_dict("records")[0]
        wide, fixed = row["high"] - row["low"], row["ci_high"] - row["ci_low"]
        return float(max(wide / fixed, 1.0)) if fixed > 0 and wide > 0 else 1.0

    def spread(self: Any, metric: str = "roc_auc", on: str = "test") -> pd.DataFrame:
        """Spread of a metric over splits, and of seeds within a split, apart.

        Parameters
        ----------
        metric : str, default="roc_auc"
        on : str, default="test"

        Returns
        -------
        DataFrame
            One row per model: ``sd`` over all fits, ``sd_splits`` (of the means of splits, less
            what seeds add to them), ``sd_seeds`` (within a split), ``n_splits``, ``n_fits``,
            ``note``. Where every seed has its own split the two cannot be told apart: give splits
            that all seeds meet, such as ``cv=`` a list.
        """
        rows = {}
        for model, own in by_model(self.units(on)).items():
            column = np.array([self._figure(part, metric) for part in own])
            # Equal splits have one number, whichever seed met them.
            numbers = np.array([self._split_of[part.seed, part.fold] for part in own])
            rows[model] = _components(column, numbers)
        table = pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="model"))
        return self._noted(table, on)

    def searches(self: Any) -> pd.DataFrame:
        """What searches inside models chose, split by split, and how optimistic they were.

        Returns
        -------
        DataFrame
            One row per model that searches, seed and fold: a column per parameter, ``metric``,
            ``inner`` (the search's best score, of inner splits), ``outer`` (the same metric on the
            test part) and ``optimism``, inner less outer; nan where the metric is not one of ours.
        """
        rows = []
        for found in self.info.get("searches", ()):
            own = self._parts_of_model(found["model"], "test")
            key = (found["seed"], found["fold"])
            part = [p for p in own if (p.seed, p.fold) == key]
            # Folds that were pooled have no outer score of their own to set beside the inner one.
            known = bool(part) and found["metric"] in self.scoring
            outer = self._figure(part[0], found["metric"]) if known else np.nan
            inner = np.nan if found["inner"] is None else found["inner"]
            rows.append(
                {
                    "model": found["model"],
                    "seed": found["seed"],
                    "fold": found["fold"],
                    **found["params"],
                    "metric": found["metric"],
                    "inner": inner,
                    "outer": outer,
                    "optimism": inner - outer,
                }
            )
        columns = ["model", "seed", "fold", "metric", "inner", "outer", "optimism"]
        table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
        return self._noted(table.set_index(["model", "seed", "fold"]), "test")

    def conformal(
        self: Any, alpha: float = 0.1, on: str = "test", *, class_conditional: bool = True
    ) -> pd.DataFrame:
        """Sets of classes for every tested patient, with thresholds from the other patients.

        The thresholds of a split come from the answers of all splits about patients that it did not
        test (cross-conformal); :class:`ConformalClassifier` sets them inside the training part.

        Parameters
        ----------
        alpha : float, default=0.1
        on : str, default="test"
        class_conditional : bool, default=True

        Returns
        -------
        DataFrame
            One row per model with risks: ``coverage_negative, coverage_positive``, share of each
            class whose set holds it; ``answered``, share with one class in the set, and ``error``
            among them; ``both`` and ``none``, shares without an answer.
        """
        return self._noted(conformal_table(self.units(on), alpha, class_conditional), on)

    def risk_coverage(self: Any, on: str = "test") -> pd.DataFrame:
        """Error among the patients that are answered, the most certain first.

        Parameters
        ----------
        on : str, default="test"

        Returns
        -------
        DataFrame
            Columns ``model, coverage, error, certainty`` of models with risks; a patient has the
            mean risk over the splits that tested them. See
            :func:`crtkit.evaluation.risk_coverage`.
        """
        from crtkit.evaluation.risks.conformal import risk_coverage

        frames = []
        for model, own in by_model(self.units(on)).items():
            if own[0].kind == "probability":
                scores = score_matrix(own, np.arange(len(own)))
                curve = risk_coverage(
                    scores.y_true, nanmean(scores.scores), groups=scores.patient_of, pos_label=True
                )
                curve.insert(0, "model", model)
                frames.append(curve)
        names = ["model", "coverage", "error", "certainty"]
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
        return self._noted(table, on)

    def plot_risk_coverage(
        self: Any, ax: Any = None, on: str = "test", *, models: Any = None
    ) -> Any:
        """Draw :meth:`risk_coverage`: how much surer answers are where some are withheld.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        on : str, default="test"
        models : str or list of str, optional
            Those without risks are left out.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            No model has risks.
        ImportError
            matplotlib is not installed.
        """
        from crtkit.evaluation.plots.coverage import draw_risk_coverage

        return draw_risk_coverage(self, ax, on, models=models)

    def _parts_of_model(self: Any, name: str, on: str) -> list[Part]:
        models = by_model(self.units(on))
        if name not in models:
            raise ValueError(f"There is no model {name!r}; this evaluation has {list(models)}.")
        return models[name]

    def _figure(self: Any, part: Part, metric: str) -> float:
        if metric not in self.scoring:
            raise ValueError(f"There is no metric {metric!r}; there are {list(self.scoring)}.")
        return figures(part, {metric: self.scoring[metric]})[metric]

    def _blocks(self: Any, metric: str, on: str) -> pd.DataFrame:
        """The metric by distinct split and model, splits that lack one left out."""
        columns = {}
        for model, own in by_model(self.units(on)).items():
            column = np.array([self._figure(part, metric) for part in own])
            columns[model] = over_distinct(column, own, self._split_of)
        blocks = pd.DataFrame(columns)
        # A metric that a model never has, as the Brier score of a rule, costs the model, not all.
        return blocks.loc[:, blocks.notna().any()].dropna()


def _first(parts: list[Part], answer: str) -> Any:
    """Each unit's answer from the first split that tested it."""
    # The matrix holds scores; a call is one of 0 or 1.
    if answer == "y_pred":
        parts = [part._replace(y_score=part.y_pred.astype(float)) for part in parts]
    table = score_matrix(parts, np.arange(len(parts)))
    first = np.argmax(~np.isnan(table.scores), axis=0)
    return table._replace(scores=table.scores[first, np.arange(table.scores.shape[1])])


def _components(column: np.ndarray, numbers: np.ndarray) -> dict[str, Any]:
    """Variance components of fits: between splits and, within them, between seeds."""
    there = ~np.isnan(column)
    column, numbers = column[there], numbers[there]
    groups = [column[numbers == k] for k in np.unique(numbers)]
    row: dict[str, Any] = {
        "sd": float(column.std(ddof=1)) if len(column) > 1 else np.nan,
        "sd_splits": np.nan,
        "sd_seeds": np.nan,
        "n_splits": len(groups),
        "n_fits": len(column),
        "note": "",
    }
    # One-way analysis of variance: what is left within splits is the seed's.
    within = len(column) - len(groups)
    if within < 1:
        row["note"] = "every seed has its own split: seeds and splits cannot be told apart"
        return row
    error = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / within
    row["sd_seeds"] = float(np.sqrt(error))
    if len(groups) > 1:
        per_split = len(column) / len(groups)
        between = float(np.var([g.mean() for g in groups], ddof=1)) - error / per_split
        # An estimate below zero means that seeds explain all of it.
        row["sd_splits"] = float(np.sqrt(max(between, 0.0)))
    return row
