"""Tables of lvsd2026, each from scores or a cohort."""

import warnings

import numpy as np
import pandas as pd

from crtkit.evaluation.scoring import by_model, deciding, patients_of, replicate
from crtkit.evaluation.uncertainty.intervals import mean_interval
from crtkit.evaluation.uncertainty.variance import patient_variance
from crtkit.statistics import baseline_table
from crtkit.studies import lvsd2026 as study
from crtkit.studies.run.output import MISSING, interval, markdown_table, number

NO_CHECKPOINT = "no checkpoint given"
ABLATED = ("FCN", "ECG-FM (scratch)")
VARIANTS = (" + oversampling", " + augmentation", ", 12 leads")
METRICS = dict(
    zip(
        study.METRICS,
        ("Accuracy", "Sensitivity", "Specificity", "PPV", "NPV", "F1", "AUROC", "AUPRC"),
    )
)
BANDS = ((0, 30), (30, 40), (40, 50), (50, 101))


def score_table(result, sets):
    """Eight metrics of every model on every set, and their average: means over seeds.

    Parameters
    ----------
    result : Evaluation
    sets : dict of str to str
        Name of a set here, and in the evaluation.

    Returns
    -------
    DataFrame
        Index (model, set), columns metrics.
    """
    rows = {}
    for name, on in sets.items():
        seeds = result.per_seed(on=on)[list(study.METRICS)]
        for model, row in seeds.groupby(level="model", observed=True).mean().iterrows():
            rows[model, study.SETS.get(name, name)] = row
    for model in result.models:
        own = [row for (m, _), row in rows.items() if m == model]
        rows[model, "average"] = pd.DataFrame(own).mean(skipna=False)
    table = pd.DataFrame(rows).T.rename_axis(["model", "set"])
    return table.loc[result.models].reindex(
        [(m, s) for m in result.models for s in (*table.loc[result.models[0]].index,)]
    )


def table1(output, cohort):
    """Table 1: pairs of each set compared."""
    table = cohort.X[[c for c in ("age", "qrs_duration_ms") if c in cohort.X]].copy()
    if "male" in cohort.X:
        table.insert(0, "female", 1 - cohort.X["male"])
    if "outcome" in cohort.info:
        table["lvef"] = cohort.info["outcome"].loc[cohort.X.index, "lvef"]
    table["LVEF < 40 %"] = np.asarray(cohort.y == np.unique(cohort.y)[-1]).astype(int)
    of = cohort.X["set"].replace({"train": "training and tuning", "tuning": "training and tuning"})
    of = of.replace(study.SETS).to_numpy()
    order = [n for n in ("training and tuning", *study.SETS.values()) if n in of]
    with warnings.catch_warnings():
        # Small sets warn of expected counts below five; the table's note column says it.
        warnings.simplefilter("ignore")
        ours = baseline_table(
            table.reset_index(drop=True), of, continuous="mean_sd", test="levene", order=order
        )
    # A table of counts alone has no tests of normality.
    shown = ours.reindex(columns=[*order, "p", "test", "shapiro_p", "levene_p"])
    note = (
        "One row per pair, as printed: pairs of one patient count as independent, which makes "
        "every p too small. Mean ± SD or n (%); one-way ANOVA, Welch's where Levene's p is below "
        "0.05; chi-square."
    )
    output.table("table1", "Table 1. Sets", shown, note)


def table2(output, scores, result, sets):
    """Table 2: areas on every set with intervals and averages; every metric and set beside it.

    Returns
    -------
    str
        Averages as Markdown.
    """
    cells = interval_cells(scores, result, sets)
    means = average_cells(scores, result, sets)
    area, accuracy = METRICS["roc_auc"], METRICS["accuracy"]
    rows = {}
    for model in scores.index.get_level_values("model").unique():
        areas = cells.loc[model, area]
        rows[model] = {
            **{f"AUROC, {on}": areas[on] for on in areas.index},
            "AUROC, average": means.loc[model, area],
            "Accuracy, average": means.loc[model, accuracy],
        }
    for model, why in not_run(scores).items():
        rows[model] = dict.fromkeys(next(iter(rows.values())), why)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    note = (
        "In brackets 95 % intervals over patients, fits held fixed; averages are over the sets, "
        "whose patients are others. The threshold comes from the tuning set alone; the unit is the "
        "pair."
    )
    output.table("table2", "Table 2. Performance", table, note)
    title = "Table 2. Every metric, averages over the sets"
    output.table("table2_averages", title, means, note, folded=True)
    output.table("table2_sets", "Table 2. Every metric on every set", cells, note, folded=True)
    shown = scores.xs("average", level="set")[["accuracy", "roc_auc"]].rename(columns=METRICS)
    return markdown_table(shown.add_suffix(", average"))


def average_cells(scores, result, sets):
    """Averages over sets of every metric, with intervals, in print.

    Sets have no patient in common, so that the variance of an average of k is the sum of theirs
    over k squared.
    """
    parts = {on: by_model(result.units(on)) for on in sets.values()}
    rows = {}
    for model in result.models:
        drawn = [
            replicate(own[model], result.scoring, patients_of(own[model]), 1000, 0)
            for own in parts.values()
        ]
        row = {}
        for metric, title in METRICS.items():
            found = [
                patient_variance(values[metric], metric, own[model])
                for values, own in zip(drawn, parts.values())
            ]
            total = sum(v.value for v in found) / len(found) ** 2
            terms = sum((v.value / len(found) ** 2) ** 2 / v.df for v in found)
            df = total**2 / terms if terms > 0 else 1.0
            mean = float(scores.loc[(model, "average"), metric])
            everyone = [part for own in parts.values() for part in own[model]]
            ends = mean_interval(mean, total, deciding(metric, everyone), 0.95, df=df)
            value, limits = number(mean), interval(*ends)
            row[title] = value if MISSING in (value, limits) else f"{value} ({limits})"
        rows[model] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def interval_cells(scores, result, sets):
    """Every metric of every model and set, with its interval over patients, in print."""
    rows = {}
    for name, on in sets.items():
        summary = result.summary(on=on)
        for model in result.models:
            row = {}
            for metric, title in METRICS.items():
                ends = interval(*summary.loc[model, metric][["ci_low", "ci_high"]])
                value = number(scores.loc[(model, study.SETS.get(name, name)), metric])
                row[title] = value if MISSING in (value, ends) else f"{value} ({ends})"
            rows[model, study.SETS.get(name, name)] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["model", "set"])
    return table.loc[result.models]


def not_run(scores):
    """Printed models without a row here, and why."""
    ours = scores.index.get_level_values("model").unique()
    # Own weights stand for the paper's, of the same start and extent, under their own name.
    started = tuple(name.split("(")[-1][:5] for name in ours if "own pretraining" in name)
    missing = {
        model: NO_CHECKPOINT
        for model in study.PUBLISHED.index.get_level_values("model").unique()
        if model not in ours and model.split("(")[-1][:5] not in started
    }
    return missing if study.CHEAP in ours else {**missing, study.CHEAP: study.NEEDS_NUMBA}


def table3(output, scores):
    """Table 3: what the network gives, and what its weights."""
    ours = scores.xs("average", level="set")
    best = next((name for name in ours.index if name.endswith("(SS-FF)")), study.EXCHANGED)
    rows = {}
    for model in ("InceptionTime", "ECG-FM (scratch)", best):
        rows[model] = {
            METRICS[metric]: number(ours.loc[model, metric])
            if model in ours.index
            else NO_CHECKPOINT
            for metric in ("accuracy", "roc_auc")
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    output.table("table3", "Table 3. From scratch and fine-tuned, averages", table)


def tables_s(output, scores):
    """Tables S1 and S2: the seven models of each starting point."""
    ours = scores.xs("average", level="set")
    for name, start, what in (("S1", "SS", "single-step"), ("S2", "Sq", "sequential")):
        rows = {}
        own = [m for m in ours.index if "own pretraining" in m and f"({start}-" in m]
        printed = [study.tuning_name(start, k) for k in study.TRAINABLE_LAYERS]
        for model in [*own, *printed]:
            cells = dict.fromkeys(METRICS.values(), NO_CHECKPOINT)
            if model in ours.index:
                cells = {title: number(ours.loc[model, m]) for m, title in METRICS.items()}
            rows[model] = cells
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
        note = "Averages over sets. The paper's supplement is not in our text."
        output.table(f"table{name}", f"Table {name}. ECG-FM, {what} fine-tuning", table, note)


def ablations(output, scores, result, sets):
    """What oversampling, augmentation and twelve leads change, with intervals by patient."""
    ours = scores.xs("average", level="set")
    rows = {}
    for name in ABLATED:
        for model in (name, *(f"{name}{what}" for what in VARIANTS)):
            if model not in ours.index:
                continue
            row = {METRICS[m]: number(ours.loc[model, m]) for m in ("accuracy", "f1", "roc_auc")}
            for own, on in sets.items():
                title = f"AUROC, change on {study.SETS.get(own, own)}"
                row[title] = MISSING if model == name else _change(result, model, name, on)
            rows[model] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    note = (
        "Accuracy, F1 and AUROC are averages over sets; changes are against the row without, with "
        "95 % intervals over patients. Oversampling draws training rows of the smaller class again "
        "(imbalanced-learn), and a row keeps its patient; augmentation changes training batches "
        "(crtkit.neural.SignalAugment, whose choices are ours: the paper names none). The paper "
        "found the contribution of both minimal."
    )
    title = "Oversampling, augmentation, and twelve leads instead of four channels"
    output.table("ablations", title, table, note)


def _change(result, model, base, on):
    row = result.compare(model, base, on=on).loc["roc_auc"]
    if pd.isna(row["difference"]):
        return MISSING
    return f"{row['difference']:+.3f} ({row['ci_low']:+.3f} to {row['ci_high']:+.3f})"


def bands(output, result, cohorts, sets):
    """Share predicted as LVSD by band of LVEF: 40 to 50 % is the grey zone."""
    if any("outcome" not in cohort.info for cohort in cohorts.values()):
        return
    rows = []
    for name, on in sets.items():
        cohort = cohorts[name]
        lvef = cohort.info["outcome"].loc[cohort.X.index, "lvef"].to_numpy()
        answers = result.predictions[result.predictions["set"] == on]
        positive = np.unique(cohort.y)[-1]
        for model in result.models:
            own = answers[answers["model"] == model]
            values = lvef[own["row"].to_numpy()]
            predicted = (own["y_pred"] == positive).to_numpy()
            row = {"model": model, "set": study.SETS.get(name, name)}
            for low, high in BANDS:
                inside = (values >= low) & (values < high)
                title = f"LVEF {low} to {min(high, 100)} %"
                n = inside.sum()
                row[title] = f"{100 * predicted[inside].mean():.0f} % (n = {n})" if n else MISSING
            rows.append(row)
    table = pd.DataFrame(rows).set_index("model")
    note = "Share of pairs predicted as LVSD; the right answer is 100 % below 40 and 0 % above."
    output.table("bands", "Answers by LVEF", table, note)
