"""How many patients would it have taken? ``python -m benchmarks learning``

Every model of every study learns from 100, 300, 1,000, ... simulated patients of its study and is
judged on others of the same population, beside the rule, the best reachable AUC and what the signal
can give. A picture and a table; a journal, so that a run goes on where its minutes ended.

Goals
-----
Whether the estimators learn, how fast, and how far from what can be had they stay.

Non-goals
---------
The AUC of any model on patients: the patients are simulated, and all answers are true of the
simulation.
"""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object

import crtkit as ck
from benchmarks._learning_patients import (
    LARGE,
    LARGE_BATCH,
    MEASURED,
    after_front,
    population,
    with_batches,
)
from benchmarks._learning_report import RULE, lines_of, picture, reasons, summary
from benchmarks._results import Output, environment, write_json
from crtkit.evaluation.models import prepare
from crtkit.evaluation.resume.fingerprint import versions
from crtkit.evaluation.resume.journal import Journal
from crtkit.metrics import roc_auc
from crtkit.studies import simple
from crtkit.studies.ceiling import signal_ceilings

SIZES = (100, 300, 1000, 3000, 10_000)
#: Modalities of each study, and the ceiling that stands beside its models.
MODALITIES = {"mori2025": "signal", "he2023": "signal", "lvsd2026": "signal", "he2021": "map"}
#: Models that fit in seconds come first; a run that is cut short has them.
CHEAP = (*simple.ROWS, "LightGBM", "Guideline", "MiniRocket + ridge")


@dataclass(frozen=True)
class Cell:
    """One fit."""

    study: str
    name: str
    n: int
    repeat: int

    @property
    def model(self):
        """Name in the journal."""
        return f"{self.study}: {self.name}, n = {self.n}"


def add_arguments(parser):
    """Give a parser the options of this benchmark.

    Parameters
    ----------
    parser : ArgumentParser
    """
    parser.add_argument("--studies", nargs="+", choices=list(MODALITIES), default=list(MODALITIES))
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="patients")
    parser.add_argument("--repeats", type=int, default=3, help="draws of the training patients")
    parser.add_argument("--n-test", type=int, default=2000, help="patients that judge")
    parser.add_argument("--models", nargs="+", help="only these (default: all)")
    parser.add_argument("--pages", action="store_true", help="mori2025's networks, on pages")
    parser.add_argument("--size", choices=("small", "paper"), default="small", help="of the models")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--n-jobs", type=int, default=1, help="processes that simulate patients")
    parser.add_argument("--collect", type=Path, nargs="+", help="join the results of these folders")
    parser.add_argument("--minutes", type=float, help="stop before a fit that would end later")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps the patients and their features for next time"
    )
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "learning")


def models_of(study, options):
    """Every model of a study and the two simple ones, unfitted, cheap ones first.

    Parameters
    ----------
    study : str
    options : Namespace
        ``size, device, pages, models``.

    Returns
    -------
    dict of str to estimator
    """
    module = getattr(ck.studies, study)
    given = {}
    if study == "lvsd2026":
        given = {"size": options.size, "device": options.device}
        given.update(zip(("checkpoint", "finetuned_checkpoint"), module.OWN_WEIGHTS))
    elif study != "he2021":
        given = {"size": options.size}
    if study == "he2023":
        given.update(fs=module.FS, unit="beat", network={"device": options.device})
    if study == "mori2025" and options.pages:
        given["resnet"] = {"device": options.device}
    models = module.pipelines(**given)
    if study == "mori2025" and not options.pages:
        models = {"LightGBM": models["LightGBM"]}
    models = {name: after_front(study, model, options.size) for name, model in models.items()}
    if study != "he2021":
        models = {**simple.pipelines(), **models}
    if options.models:
        models = {name: model for name, model in models.items() if name in options.models}
    # A run that stops early has then compared the cheap models on all studies.
    return dict(sorted(models.items(), key=lambda item: item[0] not in CHEAP))


def cohorts_of(study, options):
    """Patients to learn from, and others to judge by.

    Returns
    -------
    pool, test : Cohort
    """
    modality = "image" if study == "mori2025" and options.pages else MODALITIES[study]
    return [
        population(
            study, n, modality, (options.random_state, k), options.size, options.n_jobs,
            options.cache,
        )
        for k, n in enumerate((max(options.sizes), options.n_test))
    ]  # fmt: skip


def grid_of(studies, sizes, repeats, models):
    """Cells in the order that a short run should have them: few patients and cheap models first."""
    cells = [
        Cell(study, name, n, repeat)
        for study in studies
        for n in sorted(sizes)
        for name in models[study]
        # Measuring takes the longest, and this model is done learning by then.
        if not (name == "Logistic on measurements" and n > MEASURED)
        for repeat in range(repeats)
    ]
    return sorted(cells, key=lambda c: (c.name not in CHEAP, c.n))


def patients_drawn(pool, n, repeat, random_state):
    """Rows of n patients of the pool; the same for every model."""
    rng = np.random.default_rng([random_state, n, repeat])
    # Sorted, so that the draw does not depend on the order of the records.
    patients = np.unique(pool.groups)
    if n <= MEASURED:
        patients = patients[:MEASURED]  # those that are measured come first
    # Whole patients: pairs of one are alike, and n counts people.
    chosen = rng.permutation(patients)[: min(n, len(patients))]
    return np.flatnonzero(np.isin(pool.groups, chosen))


def fit_cell(cell, model, pool, test, random_state):
    """Fit one model on n patients and judge it.

    Returns
    -------
    dict
        Row of the journal.
    """
    start = time.perf_counter()
    rows = patients_drawn(pool, cell.n, cell.repeat, random_state)
    part = pool.take(rows)
    model = with_batches(model, cell.n)
    seed = np.random.SeedSequence([random_state, cell.n, cell.repeat])
    fitted = prepare(model, seed, 1)
    # A chosen threshold needs its tuning rows; an AUC needs no threshold.
    fitted = getattr(fitted, "estimator", fitted) if hasattr(fitted, "column") else fitted
    # Inner searches split by patient, as under evaluate.
    with sklearn.config_context(enable_metadata_routing=True):
        asked = get_routing_for_object(fitted).consumes(method="fit", params=["groups"])
        fitted.fit(part.X, part.y, **({"groups": part.groups} if asked else {}))
    score = scores_of(fitted, test.X)
    return {
        "model": cell.model,
        "seed": cell.repeat,
        "fold": 0,
        "study": cell.study,
        "name": cell.name,
        "n": cell.n,
        "n_records": len(rows),
        "roc_auc": roc_auc(test.y, score),
        "seconds": round(time.perf_counter() - start, 2),
    }


def scores_of(model, X):
    """What a fitted classifier ranks by."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)[:, 1]
    if hasattr(model, "decision_function"):
        return model.decision_function(X)
    return model.predict(X)


def run(options):
    """Fit every cell that the journal lacks and the minutes allow; write table and picture.

    Parameters
    ----------
    options : Namespace
        From :func:`add_arguments`.

    Returns
    -------
    str
        The table.
    """
    start = time.perf_counter()
    if options.collect:
        return collect(options, start)
    models = {study: models_of(study, options) for study in options.studies}
    grid = grid_of(options.studies, options.sizes, options.repeats, models)
    path = options.out / "journal.jsonl"
    if path.exists() and not options.resume:
        raise ValueError(f"{path} is there: go on with --resume, or name another --out.")
    identity = {
        "benchmark": "learning", "random_state": options.random_state, "size": options.size,
        "n_test": options.n_test, "pool": max(options.sizes), "pages": options.pages,
        "versions": versions(),
    }  # fmt: skip
    journal = Journal(path, identity, {cell.model: cell.model for cell in grid})
    try:
        left = fill(grid, models, journal, options, start)
    finally:
        journal.close()
    kept = [journal.cells[c.model, c.repeat, 0] for c in grid if c not in left]
    return write(options, pd.DataFrame(kept), left, start)


def fill(grid, models, journal, options, start):
    """Fit what is missing, one study at a time; what the minutes did not allow is returned."""
    left = [cell for cell in grid if (cell.model, cell.repeat, 0) not in journal.cells]
    done, spent = set(), {}
    for study in options.studies:
        own = [cell for cell in left if cell.study == study]
        if not own:
            continue
        pool, test = cohorts_of(study, options)
        write_rule(options, study, pool, test)
        for k, cell in enumerate(own):
            # Fits grow about linearly with patients; an overestimate only leaves a cell for the
            # next run.
            guess = spent.get(cell.name, 0.0) * max(1.0, cell.n / 100.0)
            used = (time.perf_counter() - start) / 60
            if options.minutes and used + guess / 60 > options.minutes:
                continue
            row = fit_cell(cell, models[study][cell.name], pool, test, options.random_state)
            journal.append(row)
            done.add(cell)
            spent[cell.name] = row["seconds"] / max(1.0, cell.n / 100.0)
            print(
                f"[{used:5.1f} min] {k + 1}/{len(own)} {cell.model}, draw {cell.repeat}: AUC "
                f"{row['roc_auc']:.3f}",
                file=sys.stderr,
                flush=True,
            )
    return [cell for cell in left if cell not in done]


def write_rule(options, study, pool, test):
    """Keep the AUC of QRS duration and the ceilings beside the journal."""
    best = pool.info["best_auc"]
    modality = MODALITIES[study]
    ceiling = best.get(modality, best["table"])["auc"]
    rule = {"study": study, "best reachable": ceiling, "n_test": len(test)}
    read = signal_ceilings().get(study) if modality == "signal" else None
    rule["signal can give"] = read["auc"] if read else None
    if "qrs_duration_ms" in test.X:
        area = roc_auc(test.y, test.X["qrs_duration_ms"])
        # Longer QRS foretells response, and in lvsd2026 a low LVEF.
        rule[RULE] = float(max(area, 1 - area))
    write_json(options.out / f"lines_{study}.json", rule)


def collect(options, start):
    """Join finished runs of the same options, wherever each was made; nothing is fitted."""
    import json

    parts = [json.loads((f / "results.json").read_text(encoding="utf-8")) for f in options.collect]
    same = ("n_test", "size", "random_state")
    kinds = {tuple(str(part["options"].get(name)) for name in same) for part in parts}
    if len(kinds) > 1:
        raise ValueError(f"--collect expects runs of the same {', '.join(same)}; got {kinds}.")
    for name in same:
        setattr(options, name, parts[0]["options"][name])
    options.pages = any(part["options"]["pages"] for part in parts)
    options.sizes = sorted({n for part in parts for n in part["options"]["sizes"]})
    options.repeats = max(part["options"]["repeats"] for part in parts)
    studies = [study for part in parts for study in part["options"]["studies"]]
    options.studies = [study for study in MODALITIES if study in studies]
    for part in parts:
        for study, values in part["lines"].items():
            write_json(options.out / f"lines_{study}.json", values)
    rows = pd.concat(map(rows_of, parts), ignore_index=True)
    mixed = rows.groupby(["study", "name"])["pages"].nunique()
    if (mixed > 1).any():
        raise ValueError(
            f"--collect would put two kinds of input into one row: {mixed.index[mixed > 1][0]} "
            "read pages in one folder and signals in another. Rerun one of them without that model."
        )
    # A cell that was run twice counts once, as the folder named last has it.
    rows = rows.drop_duplicates(["study", "name", "n", "seed"], keep="last")
    rows["model"] = rows["study"] + ": " + rows["name"]
    done = set(zip(rows["study"], rows["name"], rows["n"], rows["seed"]))
    left = [Cell(**cell) for part in parts for cell in part["cells"]]
    left = [c for c in left if (c.study, c.name, c.n, c.repeat) not in done]
    options.device = ", ".join(dict.fromkeys(rows["device"]))
    made = {
        "environment": parts[0]["environment"],
        "environments": [
            made for part in parts for made in part.get("environments", [part["environment"]])
        ],
        "seconds": sum(part["seconds"] for part in parts),
    }
    return write(options, rows.drop(columns="index", errors="ignore"), left, start, made)


def rows_of(part):
    """Rows of a finished run, each with its device and with what mori2025's models read."""
    rows = pd.DataFrame(part["rows"])
    # A folder that was itself joined has rows of several devices and kinds.
    if "device" not in rows:
        rows["device"] = part["environment"]["device"]
    if "pages" not in rows:
        rows["pages"] = part["options"]["pages"] & (rows["study"] == "mori2025")
    return rows


def write(options, rows, left, start, made=None):
    """Table, picture, report and JSON."""
    stated = (
        f"SIMULATED patients of {', '.join(options.studies)}; models of size {options.size}, "
        f"judged on {options.n_test} other simulated patients, {options.repeats} draws of the "
        "training patients."
    )
    output = Output(options.out, "How many patients would it have taken?", stated)
    if not len(rows):
        raise ValueError("The minutes allowed no fit: give --minutes more.")
    lines = lines_of(options.out, options.studies)
    table = summary(rows)
    for study, values in lines.items():
        for name in (RULE, "signal can give", "best reachable"):
            if values.get(name) is not None:
                table.loc[(study, name), :] = f"{values[name]:.3f}"
    table = table.loc[[s for s in options.studies if s in table.index.get_level_values(0)]]
    missing = sorted({cell.model for cell in left})
    note = (
        f"Mean ± SD over draws; at n = {MEASURED:,} and at the largest n of a run all draws have "
        f"the same patients. Networks of signals have batches of {LARGE_BATCH} above n = "
        f"{LARGE:,}. A dash: "
        "not run. Fitted on " + " and ".join(options.device.split(", ")) + "."
    )
    if options.pages:
        read = rows.get("pages", rows["study"] == "mori2025").astype(bool)
        names = ", ".join(dict.fromkeys(rows.loc[read, "name"]))
        note += f" On pages, not signals, in mori2025: {names}."
    text = output.table("learning", "AUC by number of patients learned from", table, note)
    output.figure("learning", "AUC by number of patients learned from", picture(rows, lines))
    why = reasons(rows, sorted(set(rows["n"])))
    if why:
        output.text("Not run, and why", why)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "learning",
            "stated": stated,
            "rows": rows.drop(columns=["model", "model_id"], errors="ignore"),
            "lines": lines,
            "not_run": missing,
            "why_not": why,
            "options": {
                k: v
                for k, v in vars(options).items()
                if isinstance(v, (int, str, list)) and k != "collect"
            },
            "cells": [asdict(cell) for cell in left],
            # Joined runs were made elsewhere, maybe on a GPU that is not here.
            **(made or made_here(options, start)),
        },
    )
    return text


def made_here(options, start):
    """Environment and seconds of this run."""
    seconds = round(time.perf_counter() - start, 1)
    return {"environment": environment(options.device), "seconds": seconds}
