"""What an evaluation gives back: every table and picture made from its answers."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation.compare import by_estimand, compare_table, reference_table
from crtkit.evaluation.plots.common import mean_sd
from crtkit.evaluation.predictions import Predictions
from crtkit.evaluation.risks.calibration import calibration_curve_table, calibration_table
from crtkit.evaluation.risks.decision import DEFAULT_THRESHOLDS, decision_table
from crtkit.evaluation.risks.roc import roc_table
from crtkit.evaluation.summary import sensitivity_table, summary_table
from crtkit.evaluation.uncertainty.inference import Inference
from crtkit.evaluation.uncertainty.intervals import SCORES
from crtkit.evaluation.views import Views


class Evaluation(Views, Inference, Predictions):
    """Answers of models to records they were not fitted on, and tables made from them.

    Made by :func:`crtkit.evaluate`.

    Parameters
    ----------
    predictions : DataFrame
        One row per model, seed, fold and record: columns ``set`` ("test" or the name of an external
        cohort), ``model, seed, fold, row`` (position in that cohort), ``group, y_true, y_pred``
        (labels), ``score`` (for the positive class) and ``kind`` of the score.
    classes : tuple
        Negative and positive label.
    by : {"patient", "record"}
        What is scored.
    scoring : dict
        Metrics by name.
    splits : DataFrame
        One row per seed and fold: ``split``, a number that equal splits share; ``n_train, n_test``
        records and ``n_train_patients, n_test_patients``.
    subgroups : dict of dict of ndarray
        Masks over the records of each set, by set and subgroup.
    info : dict
        Versions, device, threads, seeds, hash and source of the cohort, rows left out.

    Notes
    -----
    The mean over seeds is the headline. :meth:`per_seed` shows every seed; the best one is never
    summarised.
    """

    def summary(
        self,
        on: str = "test",
        subgroup: str | None = None,
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
    ) -> pd.DataFrame:
        """Mean and SD over seeds with intervals: one row per model.

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
            one seed); ``low, high``, the interval to print, which counts patients and fits: the
            variance of the mean when patients are drawn again, plus as much of that between splits
            as the answers depend on who was trained on, by Student's t on the logit scale for our
            metrics (:func:`crtkit.evaluation.uncertainty.variance.fits_share`), or, where that is
            larger, the variance with calls at 0.5 that move as the patients drawn would train them
            (:func:`crtkit.evaluation.uncertainty.cut.with_moved_cut`); ``ci_low, ci_high``, the
            first of these with fits held fixed, for these models on other patients; ``nb_low,
            nb_high``, the Nadeau-Bengio interval over distinct splits (those that come again with
            every seed are averaged first), clipped to [0, 1] for our metrics, nan for external
            sets, where every seed answers for the same patients; ``n_valid``, splits where the
            metric was defined. Last,
            ``(cohort, source)``: simulated, real or unstated.
        """
        table = summary_table(
            self.units(on, subgroup),
            self.scoring,
            ratio=self.test_train_ratio if on == "test" else None,
            split_of=self._split_of,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
            n_patients=self.info.get("n_patients"),
        )
        table["cohort", "source"] = self.info.get("source", "unstated")
        table.attrs["chance"] = self.info.get("chance", "")
        return self._noted(table, on)

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

        Raises
        ------
        ValueError
            ``which`` is none of the three.
        """
        return self._noted(roc_table(self.units(on, subgroup), which, n_points), on)

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
            One row per model; ``specificity, ppv, npv`` with ``_sd`` over seeds and ``n_valid``.
        """
        table = sensitivity_table(self.units(on, subgroup), sensitivity)
        table.attrs["sensitivity"] = sensitivity
        return self._noted(table, on)

    def compare(
        self,
        a: str,
        b: str,
        on: str = "test",
        subgroup: str | None = None,
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
        estimands: bool = False,
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
        estimands : bool, default=False
            True: the rows that are printed as a table of their own, one per metric and estimand
            (the models as recipes, or these fits), each with its interval, p-value and ``note``.

        Returns
        -------
        DataFrame
            Printed with one estimand a row, so that nobody takes one for another. Its columns, one
            row per metric: ``mean_a, mean_b`` and ``difference, sd`` over splits where both are
            defined; ``low, high`` and ``p``, the interval and test to print, which count patients
            and fits, as in :meth:`summary`; ``ci_low, ci_high``, patients drawn again, fits fixed;
            ``nb_low,
            nb_high, t, p_value`` of the corrected resampled t-test over distinct splits, nan for
            external sets; ``delong_p`` (AUC), DeLong's test on the mean of the scores that a
            patient got over the splits that tested them; ``n_valid`` splits.

        Raises
        ------
        ValueError
            There is no such model, or it is the same one twice.
        """
        table = compare_table(
            self.units(on, subgroup),
            a,
            b,
            self.scoring,
            ratio=self.test_train_ratio if on == "test" else None,
            split_of=self._split_of,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
            n_patients=self.info.get("n_patients"),
        )
        return self._noted(by_estimand(table) if estimands else table, on)

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
            One row per model: ``reference``, the rule with the highest mean (the lowest for
            Brier; the majority class is none); ``difference`` with ``low, high``, the interval
            that counts patients and fits, and ``ci_low, ci_high``, fits fixed; ``beats``: all of
            ``low`` to ``high`` is on the better side, or None with the reason in ``note`` where
            there is no rule. Empty where there are no reference rows.
        """
        table = reference_table(
            self.units(on),
            self.per_seed(on)[metric],
            list(self.info.get("reference_rows", ())),
            self.scoring,
            ratio=self.test_train_ratio if on == "test" else None,
            split_of=self._split_of,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
            n_patients=self.info.get("n_patients"),
        )
        return self._noted(table, on)

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
            Replicates of the intervals of slope, intercept, O:E, Brier score and ICI, by patient.

        Returns
        -------
        DataFrame
            One row per model, columns of :class:`Calibration` and the limits of the Brier score and
            of the ICI; nan for models without risks.
        """
        parts = self.parts(on, subgroup)
        table = calibration_table(parts, confidence=confidence, n_bootstrap=n_bootstrap)
        return self._noted(table, on)

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
            Columns ``model, predicted, observed``, from the 1st to the 99th percentile of the
            risks; models with risks only, and not one that gives everybody the same.
        """
        return self._noted(calibration_curve_table(self.units(on, subgroup), n_points), on)

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
            over prevalence). A rule or a model without risks treats those it calls positive,
            at every threshold.
        """
        parts = self.units(on, subgroup)
        table = decision_table(parts, thresholds, confidence=confidence, n_bootstrap=n_bootstrap)
        return self._noted(table, on)

    def refit(self, model: str, seed: int, fold: int = 0, max_difference: float = 1e-5) -> Any:
        """Fit a model again as it was for one row, and check that it predicts the same.

        An evaluation keeps predictions, not models: this gives back the model behind a row, for
        Grad-CAM, attributions or a closer look.

        Parameters
        ----------
        model : str
        seed : int
        fold : int, default=0
        max_difference : float, default=1e-5
            Of a score from the recorded one. On a GPU some kernels add in any order and a fit does
            not repeat to the same bits: infinity takes it as another fit of the same model.

        Returns
        -------
        classifier
            Fitted on the training part of that split, with the seeds and threads of the run.

        Raises
        ------
        ValueError
            There is no such model or split, or the evaluation was unpickled: the cohort is not
            stored with it.
        RuntimeError
            It predicts otherwise than the recorded row (by more than `max_difference` in a score),
            so it is another model: one without a ``random_state``, say, or on another device.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import crtkit as ck
        >>> from sklearn.linear_model import LogisticRegression
        >>> X = pd.DataFrame({"qrs": np.arange(60.0)})
        >>> cohort = ck.Cohort(X, np.repeat([0, 1], 30), groups=np.arange(60))
        >>> models = {"QRS": LogisticRegression()}
        >>> result = ck.evaluate(models, cohort, seeds=2, reference_rows=False)
        >>> result.refit("QRS", seed=1).classes_
        array([0, 1])
        """
        if self._refitter is None:
            raise ValueError(
                "refit needs the models and the cohort, which are not stored with an Evaluation: "
                "run evaluate again (with its journal nothing is fitted twice)."
            )
        fitted, again = self._refitter.fit(model, seed, fold)
        table = self.predictions
        at_split = (table["seed"] == seed) & (table["fold"] == fold)
        rows = table[(table["set"] == "test") & (table["model"] == model) & at_split]
        apart = np.abs(rows["score"].to_numpy() - again["score"])
        differ = int((~(apart <= max_difference)).sum())
        if differ:
            raise RuntimeError(
                f"Model {model!r} of seed {seed}, fold {fold} predicts otherwise when it is fitted "
                f"again: {differ} of {len(rows)} scores differ, by up to "
                f"{apart.max():.3g}. Give every random step a random_state, and refit on the "
                "device of the run."
            )
        return fitted

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.models)} model(s); {self.note}>"

    def _repr_html_(self) -> str:
        shown = [name for name in ("accuracy", "ppv", "npv", *SCORES) if name in self.scoring]
        shown = shown or list(self.scoring)
        seeds = self.per_seed()
        cells = {name: [mean_sd(seeds[name].loc[model]) for model in self.models] for name in shown}
        table = pd.DataFrame(cells, index=pd.Index(self.models, name="model")).to_html()
        chance = escape(self.info.get("chance", ""))
        told = f"<p>{chance}</p>" if chance else ""
        return f"<div><p>{escape(self.note)}</p>{table}<p>mean ± SD over seeds</p>{told}</div>"
