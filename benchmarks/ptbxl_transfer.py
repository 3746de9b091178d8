"""Does transfer from MIT-BIH help on conduction labels? ``python -m benchmarks ptbxl_transfer``

The question of he2023 on other people, another task and another device (PTB-XL): networks that
learned to tell arrhythmic beats apart start models that find block (complete left or right, or
IVCD) in twelve leads, from the labels of 50 and 100 patients. Each pretrained model stands beside
its general twin on the same draws of labelled patients, and the rule, QRS duration measured from
the same records, beside them.

Goals
-----
The difference of AUC with an interval over tested patients, and its spread over draws.

Non-goals
---------
An answer about response to CRT, and the prevalence of block: cases are all there are, controls a
sample, so accuracy means nothing here.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import crtkit as ck
from benchmarks._open_ecgs import one_record_each, ptbxl, ptbxl_cohort
from benchmarks._results import MITBIH_WEIGHTS, Output, environment, journal_path, write_json
from benchmarks._twins import printed, twins
from crtkit.guidelines.reference import measure_missing
from crtkit.metrics import roc_auc
from crtkit.neural import read_card
from crtkit.studies import he2023
from crtkit.studies.run.he2023 import prepare, pretrained

BLOCKS = ("clbbb", "crbbb", "ivcd")


def add_arguments(parser):
    """Give a parser the options of this benchmark."""
    parser.add_argument("--data", type=Path, help="folder of PTB-XL shards' parent (CRTKIT_DATA)")
    parser.add_argument("--weights", type=Path, default=MITBIH_WEIGHTS, help="of MIT-BIH")
    parser.add_argument("--controls", type=int, default=300, help="records without block")
    parser.add_argument("--labelled", type=int, nargs="+", default=[50, 100], help="patients")
    parser.add_argument("--draws", type=int, default=4, help="of the labelled patients")
    parser.add_argument("--epochs", type=int, default=20, help="of fine-tuning")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--n-jobs", type=int, default=None, help="worker processes")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "ptbxl_transfer")


def load(data, n_controls, random_state):
    """One record per patient: everyone with block, and a sample of the others.

    Parameters
    ----------
    data : Path
    n_controls : int
    random_state : int

    Returns
    -------
    Cohort
        Signals at 360 Hz, label 1 for block.
    """
    ecgs = ptbxl(data, he2023.FS)
    table = ecgs.table
    y = table[list(BLOCKS)].max(axis=1).to_numpy() > 0
    rng = np.random.default_rng(random_state)
    first = one_record_each(ecgs, y, np.ones(len(table), dtype=bool))
    cases, others = first[y[first]], first[~y[first]]
    rows = np.sort(np.concatenate([cases, rng.permutation(others)[:n_controls]]))
    return ptbxl_cohort(ecgs, rows, y, "block")


def draws(y, n_labelled, n_draws, random_state):
    """Draws of labelled patients with the cohort's share of cases; the others are tested."""
    out = []
    for k in range(n_draws):
        rng = np.random.default_rng([random_state, n_labelled, k])
        n_cases = round(n_labelled * y.mean())
        train = np.concatenate(
            [
                rng.permutation(np.flatnonzero(y == 1))[:n_cases],
                rng.permutation(np.flatnonzero(y == 0))[: n_labelled - n_cases],
            ]
        )
        out.append((np.sort(train), np.setdiff1d(np.arange(len(y)), train)))
    return out


def answer(tables, rule):
    """What the intervals say, in a sentence for each number of labelled patients."""
    lines = []
    for n, table in tables.items():
        net = table[table["metric"] == "AUC"].loc["ResNet-18"]
        areas = table[table["metric"] == "AUC"]
        helped = int((areas["transfer"] == "helps").sum())
        harmed = int((areas["transfer"] == "harms").sum())
        lines.append(
            f"{n} labelled patients: AUC of ResNet-18 {net['general']:.3f} from scratch and "
            f"{net['pretrained']:.3f} pretrained on MIT-BIH ({net['difference']:+.3f}, "
            f"{net['ci_low']:+.3f} to {net['ci_high']:+.3f}: {net['transfer']}). Of the AUCs of "
            f"{len(areas)} models transfer raises {helped} and lowers {harmed}."
        )
    lines.append(f"QRS duration, measured from the same records, has an AUC of {rule:.3f}.")
    return lines


def run(options):
    """Fit every model on every draw, and write tables and the answer.

    Returns
    -------
    str
        The answer.
    """
    start = time.perf_counter()
    data = options.data or Path(os.environ.get("CRTKIT_DATA", "."))
    cohort, _ = measure_missing(load(data, options.controls, options.random_state))
    options.weights, options.depths = [options.weights], None
    weights, settings = pretrained(options)
    settings["network"] = {
        "max_epochs": options.epochs, "class_weight": "balanced", "device": options.device,
    }  # fmt: skip
    models = he2023.pipelines(fs=he2023.FS, unit="beat", weights=weights, **settings)
    del models["Guideline"]
    prepared = prepare(cohort, "record")
    card = read_card(options.weights[0])
    stated = (
        f"Real data, {cohort.info['name']}: one record of each of {len(cohort)} patients, "
        f"{int(cohort.y.sum())} with complete LBBB, complete RBBB or IVCD, paced ones left out; "
        f"{options.draws} draws of labelled patients; ResNet-{card['depth']} of width "
        f"{card['width']} pretrained on {len(card['training_records'])} records of MIT-BIH."
    )
    output = Output(options.out, "Transfer from MIT-BIH to conduction labels of PTB-XL", stated)
    tables, scores = {}, {}
    for n in options.labelled:
        result = ck.evaluate(
            models,
            prepared,
            cv=draws(cohort.y, n, options.draws, options.random_state),
            seeds=1,
            by="record",
            reference_rows=False,
            scoring=["roc_auc", "average_precision", "balanced_accuracy"],
            n_jobs=options.n_jobs,
            threads_per_fit=1,
            random_state=options.random_state,
            journal=journal_path(options, f"journal_{n}.jsonl"),
        )
        tables[n] = twins(result)
        scores[n] = result.per_fold().groupby(level="model", sort=False)["roc_auc"].mean()
        note = "Intervals draw tested patients again, fits held fixed; SD and share are over draws."
        output.table(f"transfer_{n}", f"{n} labelled patients", printed(tables[n]), note)
        print(f"[{time.perf_counter() - start:.0f} s] {n} labelled", file=sys.stderr)
    rule = roc_auc(cohort.y, cohort.X["qrs_duration_ms"].fillna(0))
    lines = answer(tables, rule)
    output.text("The answer", lines)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "ptbxl_transfer",
            "stated": stated,
            "answer": lines,
            "transfer": {str(n): table for n, table in tables.items()},
            "auc": pd.DataFrame(scores).rename_axis("model"),
            "qrs_duration_auc": rule,
            "card": card,
            "environment": environment(options.device),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    return "\n".join([stated, "", *lines])
