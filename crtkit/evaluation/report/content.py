"""Everything that a report holds, as JSON values; pictures and pages are made from these."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crtkit._io import as_json
from crtkit.evaluation.baseline import baseline_of
from crtkit.evaluation.compare import compare_table
from crtkit.evaluation.plots.common import main_models, new_models
from crtkit.evaluation.plots.flow import flow_steps
from crtkit.evaluation.report.checklists import checklists
from crtkit.evaluation.report.methods import left_out, methods_text, warnings_of
from crtkit.evaluation.report.tables import (
    ALSO,
    MAIN,
    Table,
    baseline,
    headline_table,
    interval_table,
    plain_table,
)

_SENSITIVITIES = (0.8, 0.9)
_INTERVAL = "Mean ± SD over seeds; below it the 95 % interval that counts patients and fits."
_CALIBRATION = {
    "slope": "Slope", "intercept": "Intercept", "o_e": "O:E", "brier": "Brier", "ici": "ICI"
}  # fmt: skip


def report_dict(
    result: Any,
    *,
    n_bootstrap: int = 1000,
    answers: dict[str, str] | None = None,
    robustness: dict[str, pd.DataFrame] | None = None,
    names: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Notes, settings, tables, methods and checklists of an evaluation as JSON values.

    Parameters
    ----------
    result : Evaluation
    n_bootstrap : int, default=1000
    answers : dict of str to str, optional
        The author's, by item of TRIPOD+AI.
    robustness : dict of str to DataFrame, optional
        Robustness cards by the name of the model, each printed in a section of its own.
    names : dict of str to str, optional
        How columns are printed in Table 1, beside those that crtkit knows.

    Returns
    -------
    dict
        ``title, note, simulated, warnings, info, flow, tables, methods, left_out, checklists``. A
        table has
        ``title, text, section, folded, columns, rows`` (numbers) and ``head, shown`` (printed).
    """
    tables = _patients(result, names)
    for on in result.sets:
        where = "" if on == "test" else f", external cohort {on}"
        tables += _tables_of(result, on, where, n_bootstrap)
    tables += _subgroups(result, n_bootstrap)
    tables += [_robustness(name, card) for name, card in (robustness or {}).items()]
    searches = result.searches()
    if len(searches):
        text = "What searches inside the models chose, and the inner score less the outer one."
        tables.append(plain_table("Searches", text, searches, section="detail"))
    tables.append(
        plain_table(
            "Splits", "Records and patients of each split.", result.splits, section="detail",
            index=False,
        )
    )  # fmt: skip
    return {
        "title": f"Evaluation of {result.info.get('cohort', 'a cohort')}",
        "note": result.note,
        "simulated": result.info.get("source") == "simulated",
        "info": as_json(result.info),
        "flow": [list(step) for step in flow_steps(result)],
        "tables": as_json(tables),
        "warnings": warnings_of(result),
        "methods": methods_text(result, n_bootstrap),
        "left_out": left_out(result),
        "checklists": checklists(result, answers),
    }


def _patients(result: Any, names: dict[str, str] | None) -> list[Table]:
    """Table 1, and who the external patients are beside it."""
    if not result._cohorts:  # unpickled: patients are not stored with a result
        return []
    tables = []
    table = baseline_of(result._cohorts["test"], result.classes, names)
    if table is not None:
        tables.append(baseline("Table 1. Baseline characteristics", table, section="patients"))
    mix = result.case_mix(names)
    if mix is not None:
        tables.append(baseline("Case mix: development and external", mix, section="external"))
    return tables


def _tables_of(result: Any, on: str, where: str, n_bootstrap: int) -> list[Table]:
    """Tables of one set of patients."""
    summary = result.summary(on, n_bootstrap=n_bootstrap)
    references = list(result.info.get("reference_rows") or ())
    section = "performance" if on == "test" else "external"
    own = [n for n in result.scoring if n not in (*MAIN, *ALSO)]
    main = [n for n in MAIN if n in result.scoring] or own[:4]
    rest = [n for n in (*ALSO, *own) if n in result.scoring and n not in main]
    tables = [
        headline_table(
            f"Models{where}", _INTERVAL, summary, main, section=section, references=references
        )
    ]
    if rest:
        title = f"Further metrics{where}"
        table = headline_table(
            title, _INTERVAL, summary, rest, section=section, references=references, folded=True
        )
        tables.append(table)
    if references and "roc_auc" in result.scoring:
        tables.append(_against(result, on, where, section, n_bootstrap))
        tables += _pairs(result, on, where, section, n_bootstrap)
    if on != "test":
        tables += _frozen(result, on, n_bootstrap)
    for sensitivity in _SENSITIVITIES:
        text = "PPV and NPV of different models compare only at one sensitivity, mean over splits."
        title = f"At sensitivity {sensitivity:.0%}{where}"
        tables.append(
            plain_table(title, text, result.at_sensitivity(sensitivity, on), section="detail")
        )
    text = "Risks of all splits pooled; intervals by patient. Models without risks have none."
    calibration = result.calibration(on, n_bootstrap=min(n_bootstrap, 200))
    tables.append(
        interval_table(
            f"Calibration{where}", text, calibration, _CALIBRATION,
            section="calibration" if on == "test" else "external",
        )
    )  # fmt: skip
    text = (
        "low, high: patients and fits; ci: fits held fixed; nb: Nadeau-Bengio, over splits; "
        "n_valid: splits where the metric is defined."
    )
    figures = _all_figures(summary, result.scoring)
    tables.append(plain_table(f"Every figure{where}", text, figures, section="detail", index=False))
    per_seed = result.per_seed(on).reset_index()
    tables.append(
        plain_table(
            f"Every seed{where}", "No seed is the result.", per_seed, section="detail", index=False
        )
    )
    return tables


def _against(result: Any, on: str, where: str, section: str, n_bootstrap: int) -> Table:
    text = (
        "AUC of each model less that of the best clinical rule, paired, with the 95 % interval "
        "that counts patients and fits; a model beats the rule where all of it is above zero."
        + measured_rows(result)
    )
    table = result.against_references(on=on, n_bootstrap=n_bootstrap)
    return interval_table(
        f"Against what is known{where}", text, table, {"difference": "Difference of AUC"},
        section=section, words={"reference": "Best rule", "beats": "Beats it"}, folded=on != "test",
    )  # fmt: skip


def _pairs(result: Any, on: str, where: str, section: str, n_bootstrap: int) -> list[Table]:
    """The best new model against each of the others, AUC only."""
    new = new_models(result)
    models = [m for m in main_models(result, on, most=len(new)) if m in new]
    if len(models) < 2:
        return []
    best, rows = models[0], {}
    for other in models[1:]:
        row = compare_table(
            result.units(on), best, other, {"roc_auc": result.scoring["roc_auc"]},
            ratio=result.test_train_ratio if on == "test" else None, split_of=result._split_of,
            confidence=0.95, n_bootstrap=n_bootstrap,
        ).loc["roc_auc"]  # fmt: skip
        rows[other] = {name: row[name] for name in ("difference", "low", "high", "p", "delong_p")}
    text = (
        f"AUC of {best}, the best on average, less that of each other model, paired; interval and "
        "p count patients and fits. Chosen after the fact, so that the differences flatter it."
    )
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    return [
        interval_table(
            f"Model against model{where}", text, table,
            {"difference": "Difference of AUC", "p": "p"},
            section=section, folded=True, heading=f"{best} against",
        )
    ]  # fmt: skip


def _frozen(result: Any, on: str, n_bootstrap: int) -> list[Table]:
    """What case mix explains, and what recalibration in the large would mend."""
    table = result.external_validation(on, n_bootstrap=n_bootstrap)
    heads = {
        "auc_development": "AUC, development", "auc": "AUC here",
        "expected_auc_development": "Expected, development", "expected_auc": "Expected here",
        "o_e": "O:E", "intercept": "Intercept",
    }  # fmt: skip
    text = (
        "Frozen models with frozen thresholds. Expected: the AUC that right risks would give in "
        "these patients, so that its fall from development is case mix."
    )
    title = f"Frozen models in {on}"
    words = {"n_patients": "Patients"}
    shown = {name: head for name, head in heads.items() if name in table}
    frozen = interval_table(title, text, table, shown, section="external", words=words)
    text = (
        "Shifted: the same models after recalibration in the large on these very patients (one "
        "number per model), so that it flatters them."
    )
    shown = {}
    for name, head in (("sensitivity", "Sensitivity"), ("specificity", "Specificity"),
                       ("brier", "Brier")):  # fmt: skip
        shown |= {name: head, f"{name}_shifted": "shifted"}
    title = f"Recalibration in the large, {on}"
    shifted = interval_table(
        title, text, table, shown, section="external", words=words, folded=True
    )
    return [frozen, shifted]


def _subgroups(result: Any, n_bootstrap: int) -> list[Table]:
    tables = []
    references = list(result.info.get("reference_rows") or ())
    for on, masks in result.subgroups.items():
        tested = result.predictions.loc[result.predictions["set"] == on, "row"].to_numpy()
        for subgroup, mask in masks.items():
            if not mask[tested].any():
                continue
            counts = [len(part.y_true) for part in result.parts(on, subgroup)]
            summary = result.summary(on, subgroup, n_bootstrap=n_bootstrap)
            text = f"{sum(counts) / max(len(counts), 1):.0f} {result.by}s per split on average. "
            names = [n for n in MAIN if n in result.scoring] or list(result.scoring)[:4]
            tables.append(
                headline_table(
                    f"Subgroup {subgroup}, {on}", text + _INTERVAL, summary, names,
                    section="subgroups", references=references, folded=True,
                )
            )  # fmt: skip
        if masks and "roc_auc" in result.scoring:
            table = result.interactions(on=on, n_bootstrap=min(n_bootstrap, 500))
            shown = table[table["model"].isin(new_models(result))]
            if len(shown):
                tables.append(_interactions(shown, on))
    return tables


def _interactions(table: pd.DataFrame, on: str) -> Table:
    text = (
        "AUC in the subgroup less that in everybody else, with its 95 % interval: two intervals "
        "that overlap say nothing of a difference. Not adjusted for the number of subgroups."
    )
    return interval_table(
        f"Interactions, {on}", text, table.set_index("subgroup"),
        {"inside": "AUC inside", "others": "AUC, others", "difference": "Difference"},
        section="subgroups", heading="Subgroup",
        words={"model": "Model", "n_patients": "Patients", "n_others": "Others"},
    )  # fmt: skip


def _robustness(model: str, card: pd.DataFrame) -> Table:
    """A robustness card: how a fitted model takes other input."""
    if "auc_change" not in getattr(card, "columns", ()):
        raise ValueError(
            f"robustness[{model!r}] must be a table of crtkit.evaluation.robustness_card, got "
            f"{type(card).__name__}."
        )
    ends = {f"{a}_{end}": f"{b}_{end}" for end in ("low", "high")
            for a, b in (("auc", "auc_change"), ("intercept", "intercept_change"))}  # fmt: skip
    text = (
        f"One fitted {model}, the same patients, changed input ({card.attrs.get('note', '')}). "
        "Change of AUC and of the calibration in the large (log odds), paired, with 95 % "
        "intervals by patient; share of patients whose answer changed. A change that is not shown "
        "is not shown to be absent."
    )
    notes = {"note": "Note"} if card["note"].astype(bool).any() else {}
    heads = {
        "auc": "AUC", "auc_change": "Change of AUC", "intercept_change": "Risks shifted by",
        "changed": "Other answers",
    }  # fmt: skip
    return interval_table(
        f"Robustness of {model}", text, card.rename(columns=ends), heads, section="robustness",
        heading="Input", words={"n_patients": "Patients", **notes},
    )  # fmt: skip


def measured_rows(result: Any) -> str:
    """Which reference rows read the ECG itself, for want of a column in the table."""
    rows = result.info.get("measured") or {}
    parts = [f"{name} ({', '.join(columns)})" for name, columns in rows.items()]
    return f" Measured from the ECG: {'; '.join(parts)}." if parts else ""


def _all_figures(summary: pd.DataFrame, scoring: Any) -> pd.DataFrame:
    """One row per model and metric, with every figure."""
    frames = [summary[name].assign(metric=name) for name in scoring]
    table = pd.concat(frames).reset_index()
    order = {model: number for number, model in enumerate(summary.index)}
    table = table.sort_values("model", key=lambda names: names.map(order), kind="stable")
    return table[["model", "metric", *[c for c in table.columns if c not in ("model", "metric")]]]


def shown_models(result: Any) -> list[str]:
    """The two or three models whose curves are drawn, each in a panel of its own."""
    return main_models(result)[:3]
