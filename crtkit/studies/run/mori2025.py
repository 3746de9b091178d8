"""Response to CRT from the 12-lead ECG (Mori et al. 2025): Tables 1, 2, S1-S4, Figures 1, 3, 4.

Goals: the paper's tables in the paper's form, its printed figures and the clinical rules beside
ours, from the user's cohort, open data or simulated patients. Not a goal: the paper's own figures,
whose patients are private.
"""

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import crtkit as ck
from crtkit.evaluation.baseline import clinical_table, tabulated
from crtkit.explain.gradcam import STAGES
from crtkit.studies import mori2025 as study, simple
from crtkit.studies.digitised import NoPageReadError
from crtkit.studies.run.cohorts import (
    asks_response,
    leave_out_unusable,
    load_cohort,
    stated,
    with_signals,
)
from crtkit.studies.run.figures import evaluation_figures, flow_diagram
from crtkit.studies.run.mori2025_maps import explain_positives
from crtkit.studies.run.mori2025_parameters import (
    described,
    pixels,
    resnet_parameters,
    simclr_parameters,
    table_s1,
    table_s2,
    table_s3,
)
from crtkit.studies.run.output import (
    MISSING,
    NOT_RUN,
    Output,
    finish,
    interval,
    journal_path,
    left_out,
    markdown_table,
    mean_sd,
    measured_rows,
    number,
)

SEEDS = 10
SIZE = "small"
EQUAL_SENSITIVITY = 0.8
METRICS = {"accuracy": "Accuracy (%)", "ppv": "PPV (%)", "npv": "NPV (%)", "roc_auc": "AUC"}
ALSO = {"sensitivity": "Sensitivity (%)", "specificity": "Specificity (%)"}


def run(options):
    """Run the study as the command line asks.

    Parameters
    ----------
    options : Namespace
        From :func:`crtkit.studies.run.add_arguments`.

    Returns
    -------
    str
        Table 2 and where the files are.
    """
    start = time.perf_counter()
    cohort = load_cohort(options, "mori2025")
    if options.digitise:
        try:
            cohort = with_signals(cohort, options)
        except NoPageReadError as error:  # the study's networks read pages as they are
            warnings.warn(f"{error} Models of the signal are left out.", UserWarning, stacklevel=2)
    cohort, flow = leave_out_unusable(cohort)
    models, not_run = runnable(options, cohort)
    featured = simple.with_features(cohort, options.n_jobs)
    if featured is not cohort:
        models |= simple.pipelines()
    # Open pages share IDs between classes: such a "patient" has no one answer to vote for.
    by = "record" if _mixed(cohort) else "patient"
    seeds = options.seeds
    if seeds is None:
        seeds = 2 if options.quick else SEEDS
    result = ck.evaluate(
        models,
        featured,
        by=by,
        seeds=seeds,
        n_jobs=options.n_jobs,
        random_state=options.random_state,
        journal=journal_path(options),
    )
    output = Output(options.out, "mori2025", stated(cohort))
    published = asks_response(cohort, options)
    figure1(output, flow, published)
    table1(output, cohort, published)
    size = described(options) if "image" in cohort.X else ""
    text = table2(output, result, not_run, published, size)
    against_rules(output, result)
    try:
        maps = explain_positives(output, featured, result, options, published)
    except RuntimeError as error:  # hours of fits are not lost to the last picture
        maps = {"failed": str(error)}
        output.text("Figure 3 could not be drawn", [str(error)])
    parameters(output, options, pages=maps is not None, boosting="LightGBM" in models)
    output.table("tableS4", "Table S4. Every seed", table_s4(result))
    figures4(output, result)
    if published:
        output.text("What to know about the printed figures", study.REMARKS)
    where = finish(
        output,
        cohort,
        options,
        start,
        study="mori2025",
        seeds=seeds,
        settings=result.info,
        flow=flow,
        published=published,
        grad_cam=maps,
        summary=_flat(result.summary()),
        per_seed=result.per_seed().reset_index(),
    )
    return f"\n{stated(cohort)}\n\nTable 2, mean ± SD over {seeds} seeds\n\n{text}\n\n{where}"


def add_arguments(sub):
    """Command line of the image half."""
    sub.add_argument(
        "--modality",
        choices=("signal", "image"),
        default="signal",
        help="of the simulated cohort; pages take the image models and minutes",
    )
    sub.add_argument("--image", help="page file column of the manifest")
    sub.add_argument(
        "--no-digitise",
        dest="digitise",
        action="store_false",
        help="leave out LightGBM and measurements on digitised pages: image models alone",
    )
    sub.add_argument("--weights", help="ImageNet weights file (torchvision's IMAGENET1K_V1)")
    sub.add_argument("--pixels", type=int, help="that pages are resized to (default: of --size)")
    sub.add_argument("--width", type=int, help="width of ResNet-18 (default: of --size)")
    sub.add_argument("--epochs", type=int, help="epochs of ResNet-18 (default: of --size)")
    sub.add_argument("--pretrain-epochs", type=int, help="epochs of SimCLR (default: of --size)")
    sub.add_argument(
        "--layout", help="of the pages for Grad-CAM by lead: 3x4+II and the like, edan-se3, or read"
    )
    sub.add_argument(
        "--stage",
        choices=STAGES,
        default="layer3",
        help="whose activations Grad-CAM weighs; layer4 is the last, and coarsest",
    )
    sub.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    sub.add_argument("--precision", default="float32", help="float32 or bf16")
    sub.add_argument("--cache", type=Path, help="folder that keeps unpacked and decoded pages")


def runnable(options, cohort):
    """The study's pipelines that the cohort has columns for, and why the others are not run.

    Returns
    -------
    models : dict of str to Pipeline
    not_run : dict of str to str
        Model of the paper -> reason.
    """
    models = study.pipelines(
        weights=options.weights,
        size=(pixels(options),) * 2,
        resnet=resnet_parameters(options),
        simclr=simclr_parameters(options),
        cache_dir=options.cache,
    )
    # The first step of each pipeline selects its column, and so says what the model needs.
    absent = {name: model[0].column for name, model in models.items()}
    absent = {name: column for name, column in absent.items() if column not in cohort.X}
    not_run = {
        name: f"the cohort has no {column}"
        for name, column in absent.items()
        if name in study.MODELS
    }
    if "image" not in cohort.X:
        not_run = {"ResNet-18": "the cohort has no image", **not_run}
    models = {name: model for name, model in models.items() if name not in absent}
    if not models:
        raise ValueError(f"No model of the study can run: {not_run}.")
    return models, not_run


def _mixed(cohort):
    """Whether a patient carries several labels, and so has no one answer."""
    return bool((pd.Series(cohort.y).groupby(cohort.groups).nunique() > 1).any())


def figure1(output, flow, published):
    """Figure 1: our flow and, where the question is the paper's, the published one apart."""
    output.figure("figure1", "Figure 1. Flow", flow_diagram({"Here (records)": flow}))
    if published:
        theirs = list(study.PUBLISHED_FLOW.itertuples(index=False, name=None))
        figure = flow_diagram({"Published (patients)": theirs})
        title = "Figure 1 as published. Flow"
        output.figure("figure1_published", title, figure, patients=study.PATIENTS)


def table1(output, cohort, published):
    """Table 1: baseline characteristics of the patients by class."""
    table, y = clinical_table(cohort)
    if "outcome" in cohort.info:  # simulated patients have the paper's rows after implantation
        # A baseline table counts patients, and a patient may have several records.
        first = ~pd.Series(cohort.groups).duplicated().to_numpy()
        outcome = cohort.info["outcome"].loc[cohort.X.index[first]]
        table = table.join(outcome.reset_index(drop=True))
    name = cohort.info.get("label", "the positive class")
    other = name.removeprefix("not ") if name.startswith("not ") else f"not {name}"
    titles = {c: {0: other, 1: name}.get(c, str(c)) for c in np.unique(y).tolist()}
    classes = {label: f"{title} (n = {(y == label).sum()})" for label, title in titles.items()}
    ours = tabulated(
        table,
        y,
        continuous="median_iqr",
        labels=classes,
        levels="rows",
        numbers=False,
        smd=True,
    )
    if ours is None:
        output.text("Table 1. Baseline characteristics", ["The cohort has no clinical columns."])
        return
    note = "Median [interquartile range] or n (%). Mann-Whitney U, chi-square without correction. "
    note += "SMD: standardised mean difference."
    output.table("table1", "Table 1. Baseline characteristics", ours, note)
    if published:
        printed = study.PUBLISHED_TABLE1.drop(columns="kind").fillna(MISSING)
        title = "Table 1 as published. Baseline characteristics"
        output.table("table1_published", title, printed, patients=study.PATIENTS)


def table2(output, result, not_run, published, size=""):
    """Table 2: mean ± SD over seeds, the clinical rules below; the published table apart."""
    per_seed = result.per_seed()
    # PPV and NPV of two models compare only where both find as many of the responders.
    equal = result.at_sensitivity(EQUAL_SENSITIVITY)
    areas = result.summary()["roc_auc"]
    rows = {}
    # Models that were not run keep their row, so that nobody takes a short table for the paper's.
    for model in dict.fromkeys([*(not_run if published else ()), *result.models]):
        ran = model in result.models
        mine = per_seed.loc[model] if ran else per_seed.iloc[:0]
        row = {
            title: _mean_sd(mine[metric], metric) if ran else NOT_RUN
            for metric, title in METRICS.items()
        }
        row["AUC, 95 % interval"] = _interval(areas, model)
        for metric, title in ALSO.items():
            row[title] = _mean_sd(mine[metric], metric)
        for metric in ("ppv", "npv"):
            at = f"{metric.upper()} at sensitivity {EQUAL_SENSITIVITY:.0%} (%)"
            row[at] = _at(equal, model, metric)
        rows[model] = row
    notes = [
        *([] if published else ["The paper's figures answer another question and are left out."]),
        size,
        *(f"Not run, {name}: {reason}." for name, reason in not_run.items()),
        *left_out(result),
        *measured_rows(result),
        "Intervals count patients and fits.",
    ]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    note = " ".join(filter(None, notes))
    output.table("table2", "Table 2. Predictive performance", table, note)
    if published:
        printed = pd.DataFrame(
            {
                title: [_published(m, metric) for m in study.MODELS]
                for metric, title in METRICS.items()
            },
            index=study.PUBLISHED.index,
        )
        title = "Table 2 as published. Predictive performance"
        note = "Mean ± SD over ten seeds. ResNet-18 starts from ImageNet weights."
        output.table("table2_published", title, printed, note, patients=study.PATIENTS)
    return markdown_table(table[[*METRICS.values(), "AUC, 95 % interval"]])


def parameters(output, options, pages, boosting):
    """Tables S1 to S3: training parameters of what was run."""
    if pages:
        output.table("tableS1", "Table S1. Parameters of SimCLR (ours)", table_s1(options))
        output.table("tableS2", "Table S2. Parameters of ResNet-18 (ours)", table_s2(options))
    if boosting:
        output.table("tableS3", "Table S3. Parameters of LightGBM (ours)", table_s3())


def against_rules(output, result):
    """Each model's AUC less that of the best clinical rule, where there is one."""
    table = result.against_references("roc_auc")
    if not len(table):
        return
    shown = pd.DataFrame(
        {
            "best rule": table["reference"],
            "AUC, model less rule": [f"{d:+.3f}" for d in table["difference"]],
            "95 % interval": [
                interval(low, high, sign="+") for low, high in zip(table["low"], table["high"])
            ],
            "beats it": [MISSING if b is None else "yes" if b else "no" for b in table["beats"]],
        },
        index=table.index,
    )
    note = "The interval counts patients and fits; a model beats the rule where it lies above zero."
    output.table("against_rules", "Models against the best clinical rule", shown, note)


def _at(equal, model, metric):
    if model not in equal.index or pd.isna(equal.loc[model, metric]):
        return MISSING
    row = equal.loc[model]
    sd = row[metric + "_sd"]
    return f"{row[metric] * 100:.1f} ± {MISSING if pd.isna(sd) else f'{sd * 100:.1f}'}"


def _interval(areas, model):
    return interval(*areas.loc[model, ["low", "high"]]) if model in areas.index else MISSING


def _published(model, metric):
    row = study.PUBLISHED.loc[model]
    factor, digits = (1, 3) if metric == "roc_auc" else (100, 1)
    mean, sd = row[[metric, f"{metric}_sd"]] * factor
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def _mean_sd(values, metric):
    return mean_sd(values) if metric == "roc_auc" else mean_sd(values, factor=100, digits=1)


def table_s4(result):
    """Every seed's PPV and NPV (the paper's table), accuracy and AUC with them."""
    table = result.per_seed()[[*METRICS]].copy()
    for metric in METRICS:
        if metric != "roc_auc":
            table[metric] = table[metric] * 100
        digits = 3 if metric == "roc_auc" else 1
        table[metric] = [number(v, digits) for v in table[metric]]
    return table.rename(columns=METRICS).reset_index().set_index("model")


def figures4(output, result):
    """Figures 4A and 4B: ROC averaged over seeds, and of each model's best seed."""
    import matplotlib.pyplot as plt

    # The best of ten seeds flatters, so 4B never stands without 4A.
    for letter, which, what in (("a", "mean", "mean over seeds"), ("b", "best", "best seed")):
        title = f"Figure 4{letter.upper()}. ROC, {what}"
        figure, ax = plt.subplots(figsize=(5.6, 6.0))
        result.plot_roc(ax=ax, which=which)
        ax.set_title(title, fontsize=11)
        ax.set_xlabel("1 − specificity")
        ax.set_ylabel("Sensitivity")
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        output.figure(f"figure4{letter}", title, figure)
    evaluation_figures(output, result)


def _flat(summary):
    """Column levels joined, for JSON."""
    out = summary.copy()
    out.columns = [f"{metric} {figure}" for metric, figure in summary.columns]
    return out
