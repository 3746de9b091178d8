"""How an evaluation is shown: pictures on a given axes, and the report in four forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from crtkit.evaluation.external import case_mix_table, external_table, interaction_table
from crtkit.evaluation.plots.curves import (
    CLINICAL_THRESHOLDS,
    draw_calibration,
    draw_decision,
    draw_roc,
)
from crtkit.evaluation.plots.flow import draw_flow
from crtkit.evaluation.plots.forest import draw_forest


class Views:
    """Pictures and reports of :class:`Evaluation`; the drawing itself is in ``plots``."""

    # Of the class that this one is mixed into.
    sets: Any
    classes: tuple[Any, Any]
    scoring: dict[str, Any]
    _cohorts: dict[str, Any]
    _noted: Callable[..., Any]

    def plot_roc(
        self,
        ax: Any = None,
        which: str = "mean",
        on: str = "test",
        *,
        models: Any = None,
        band: bool = True,
        rule: bool = False,
        n_bootstrap: int = 200,
    ) -> Any:
        """Draw ROC curves, saying over how many seeds and of what cohort.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        which : {"mean", "best"}, default="mean"
        on : str, default="test"
        models : str or list of str, optional
            Which; all by default.
        band : bool, default=True
            Around the mean curve of one or two models, the pointwise 95 % interval that counts
            patients and fits. More bands than two hide each other and are not drawn.
        rule : bool, default=False
            Add the best clinical rule, dotted.
        n_bootstrap : int, default=200
            Replicates of the band.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        return draw_roc(
            self, ax, which, on, models=models, band=band, rule=rule, n_bootstrap=n_bootstrap
        )

    def plot_calibration(
        self, ax: Any = None, on: str = "test", *, models: Any = None, histogram: bool = True
    ) -> Any:
        """Draw smooth calibration curves, with a histogram of the risks below them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        on : str, default="test"
        models : str or list of str, optional
            All that give risks by default.
        histogram : bool, default=True
            Of the risks of the models drawn: patients with the outcome up, the others down.

        Returns
        -------
        matplotlib Axes
        """
        return draw_calibration(self, ax, on, models=models, histogram=histogram)

    def plot_decision(
        self,
        ax: Any = None,
        on: str = "test",
        *,
        models: Any = None,
        thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    ) -> Any:
        """Draw net benefit over the thresholds at which somebody would decide.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        on : str, default="test"
        models : str or list of str, optional
        thresholds : (float, float), default=(0.1, 0.6)
            Lowest and highest risk above which one would treat; name those of your clinic.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            ``thresholds`` are not two risks, the lower one first.
        """
        return draw_decision(self, ax, on, models=models, thresholds=thresholds)

    def plot_forest(
        self,
        ax: Any = None,
        of: str = "models",
        *,
        model: str | None = None,
        metric: str = "roc_auc",
        on: str = "test",
        n_bootstrap: int = 1000,
    ) -> Any:
        """Draw a metric with its interval, row by row.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        of : {"models", "sets", "subgroups"}, default="models"
            Every model, with a line at the best clinical rule; one model over the centres (the test
            part and every external cohort); or one model over the subgroups.
        model : str, optional
            For sets and subgroups; the first that is not a reference row by default.
        metric : str, default="roc_auc"
        on : str, default="test"
        n_bootstrap : int, default=1000

        Returns
        -------
        matplotlib Axes
        """
        return draw_forest(self, ax, of, model=model, metric=metric, on=on, n_bootstrap=n_bootstrap)

    def plot_flow(self, ax: Any = None) -> Any:
        """Draw the flow of records and patients into the analysis.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes
        """
        return draw_flow(self, ax)

    def case_mix(self, names: dict[str, str] | None = None) -> pd.DataFrame | None:
        """Development patients beside those of every external cohort, one row per patient.

        Parameters
        ----------
        names : dict of str to str, optional
            As in :func:`crtkit.statistics.baseline_table`.

        Returns
        -------
        DataFrame or None
            As :func:`crtkit.statistics.baseline_table` makes it, of the columns that all cohorts
            share, the outcome first; ``smd`` is the largest standardised difference between two.
            None where there is no external cohort, or no column to tabulate.

        Raises
        ------
        ValueError
            The evaluation was unpickled: cohorts are not stored with it.
        """
        if len(self.sets) == 1:
            return None
        cohorts = self._at_hand("case_mix")
        others = {name: cohorts[name] for name in self.sets if name != "test"}
        return case_mix_table(cohorts["test"], others, self.classes[1], names)

    def external_validation(self, on: str, *, n_bootstrap: int = 1000) -> pd.DataFrame:
        """How the frozen models do in an external cohort, and what case mix explains of it.

        Parameters
        ----------
        on : str
            Name of an external cohort.
        n_bootstrap : int, default=1000

        Returns
        -------
        DataFrame
            One row per model: ``n_patients, n_positive``; ``auc`` with ``auc_low, auc_high``;
            ``auc_development``, of the tested patients of the development cohort;
            ``expected_auc_development`` and ``expected_auc``: what risks that are right, after the
            slope and intercept of the development cohort, would give in the patients here and there
            (:func:`expected_auc`): a fall of both is case mix; ``o_e, intercept, slope`` with
            limits; ``sensitivity, specificity, brier`` of the frozen model at its frozen threshold,
            and the same ``_shifted``, after recalibration in the large on these very patients; nan
            where a threshold of a model's own cannot be told from its answers.

        Raises
        ------
        ValueError
            ``on`` is no external cohort of this evaluation.
        """
        if on == "test" or on not in self.sets:
            raise ValueError(
                f"external_validation expects an external cohort, got {on!r}: this evaluation has "
                f"{[name for name in self.sets if name != 'test']}."
            )
        return self._noted(external_table(self, on, n_bootstrap=n_bootstrap), on)

    def interactions(
        self,
        metric: str = "roc_auc",
        on: str = "test",
        *,
        confidence: float = 0.95,
        n_bootstrap: int = 1000,
    ) -> pd.DataFrame:
        """Whether a model does better in a subgroup than in everybody else.

        Two intervals that overlap say nothing; that of the difference does.

        Parameters
        ----------
        metric : str, default="roc_auc"
        on : str, default="test"
        confidence : float, default=0.95
        n_bootstrap : int, default=1000

        Returns
        -------
        DataFrame
            One row per subgroup and model: ``n_patients, n_others``; the metric ``inside`` and of
            ``others``; ``difference`` with ``low, high``, patients drawn again and fits counted.
            Left out: subgroups that everybody or nobody tested belongs to, and the second of two
            that complete each other.

        Raises
        ------
        ValueError
            The metric was not scored.
        """
        if metric not in self.scoring:
            raise ValueError(f"metric {metric!r} was not scored: {list(self.scoring)}.")
        table = interaction_table(self, metric, on, confidence=confidence, n_bootstrap=n_bootstrap)
        return self._noted(table, on)

    def _at_hand(self, who: str) -> dict[str, Any]:
        """The cohorts, which are not stored with an evaluation."""
        if not self._cohorts:
            raise ValueError(
                f"{who} needs the cohorts, which are not stored with an Evaluation: run evaluate "
                "again (with its journal nothing is fitted twice)."
            )
        return self._cohorts

    def to_dict(
        self,
        *,
        n_bootstrap: int = 1000,
        answers: dict[str, str] | None = None,
        robustness: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Everything but the predictions as plain values, ready for JSON.

        Parameters
        ----------
        n_bootstrap : int, default=1000
        answers : dict of str to str, optional
            What the author answers, by item of TRIPOD+AI: ``{"17": "Approved by ..."}``.
        robustness : dict of str to DataFrame, optional
            Tables of :func:`crtkit.evaluation.robustness_card` by the model's name.
        names : dict of str to str, optional
            How columns of the cohort are printed in Table 1, with their unit; those that crtkit
            knows have such names.

        Returns
        -------
        dict
            ``title, note, simulated, warnings, info, flow, tables, methods, left_out,
            checklists``: a table has ``title, text, section, folded``, its numbers as ``columns,
            rows`` and its printed cells as ``head, shown``; undefined figures are None. No patient
            is named.
        """
        from crtkit.evaluation.report import report_dict

        return report_dict(
            self, n_bootstrap=n_bootstrap, answers=answers, robustness=robustness, names=names
        )

    def to_html(
        self,
        path: Any,
        *,
        n_bootstrap: int = 1000,
        attributions: dict[str, Any] | None = None,
        answers: dict[str, str] | None = None,
        thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
        robustness: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> None:
        """Write the report as one HTML file that needs nothing else, and its numbers as JSON.

        The JSON lies beside it, under the same name: every number of the page is in it.

        Parameters
        ----------
        path : path-like
        n_bootstrap : int, default=1000
        attributions : dict of str to Figure or path, optional
            Pictures of what models look at, by caption (:func:`crtkit.explain.plot_grad_cam`).
        answers : dict of str to str, optional
            As in :meth:`to_dict`.
        thresholds : (float, float), default=(0.1, 0.6)
            Of the decision curve, as in :meth:`plot_decision`.
        robustness : dict of str to DataFrame, optional
            As in :meth:`to_dict`: a section with table and picture of each.
        names : dict of str to str, optional
            As in :meth:`to_dict`.

        Raises
        ------
        ImportError
            jinja2 is not installed. Without matplotlib the pictures are left out.
        """
        from crtkit.evaluation.report import write_html

        write_html(
            self, path, n_bootstrap=n_bootstrap, attributions=attributions, answers=answers,
            thresholds=thresholds, robustness=robustness, names=names,
        )  # fmt: skip

    def to_markdown(self, path: Any, **options: Any) -> None:
        """Write the report as Markdown, with its figures in a folder and its JSON beside it.

        Parameters
        ----------
        path : path-like
        **options
            ``n_bootstrap, answers, thresholds, robustness, names`` of :meth:`to_html`.
        """
        from crtkit.evaluation.report import write_markdown

        write_markdown(self, path, **options)

    def to_docx(self, path: Any, **options: Any) -> None:
        """Write the report as a Word document for co-authors, and its JSON beside it.

        Parameters
        ----------
        path : path-like
        **options
            ``n_bootstrap, answers, thresholds, robustness, names`` of :meth:`to_html`.

        Raises
        ------
        ImportError
            python-docx is not installed.
        """
        from crtkit.evaluation.report import write_word

        write_word(self, path, **options)

    def save_figures(
        self,
        folder: Any,
        *,
        formats: Any = ("svg", "pdf"),
        width: float = 8.0,
        thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
        n_bootstrap: int = 1000,
        robustness: dict[str, Any] | None = None,
    ) -> list[Any]:
        """Write every figure of the report for a journal.

        Parameters
        ----------
        folder : path-like
            Made where it is absent.
        formats : str or list of {"svg", "pdf", "png", "eps", "tif"}, default=("svg", "pdf")
        width : float, default=8.0
            Centimetres: 8 is a column, 17 a page. Type is 7 points at either.
        thresholds : (float, float), default=(0.1, 0.6)
        n_bootstrap : int, default=1000
        robustness : dict of str to DataFrame, optional
            As in :meth:`to_dict`.

        Returns
        -------
        list of Path
        """
        from crtkit.evaluation.report import save_figures

        return save_figures(
            self, folder, formats=formats, width=width, thresholds=thresholds,
            n_bootstrap=n_bootstrap, robustness=robustness,
        )  # fmt: skip
