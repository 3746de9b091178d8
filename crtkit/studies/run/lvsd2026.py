"""LVEF < 40 % in LBBB from the ECG (lvsd2026): Tables 1, 2, 3, S1, S2, Figures 1, 3, 4.

Goals: the paper's tables in the paper's form with the printed figures beside ours, its F statistic
recomputed, thresholds from the tuning set alone. Not a goal: the paper's own figures, whose
patients are private. Without a checkpoint of ECG-FM its fine-tuned rows say so.
"""

import time
from functools import partial

import numpy as np
import pandas as pd

import crtkit as ck
from crtkit.evaluation import group_holdout
from crtkit.resampling import HeldOutThreshold
from crtkit.studies import lvsd2026 as study, simple
from crtkit.studies.run import (
    lvsd2026_figures as figures,
    lvsd2026_printed,
    lvsd2026_tables as parts,
)
from crtkit.studies.run.cohorts import load_cohort, stated, with_signals
from crtkit.studies.run.figures import evaluation_figures
from crtkit.studies.run.output import Output, finish, journal_path

PAIRS, QUICK_PAIRS = 300, 80
#: Models that a run of limited minutes evaluates at a time: enough to share a GPU.
STAGE = 8
SIZE = "small"


def add_arguments(parser):
    """Give a parser the options that only this study has."""
    parser.add_argument("--image", help="page file column of the manifest: pages are digitised")
    parser.add_argument("--pairs", type=int, help=f"simulated pairs (default: {PAIRS})")
    own = f"default: {study.OWN_WEIGHTS[0]}, our own; none leaves its rows out"
    parser.add_argument("--checkpoint", help=f"ECG-FM, pretrained (.pt, .safetensors; {own})")
    own = f"default: {study.OWN_WEIGHTS[1]}, our own; none leaves its rows out"
    parser.add_argument("--finetuned-checkpoint", help=f"ECG-FM, fine-tuned on labels ({own})")
    parser.add_argument("--epochs", type=int, help="of every network (default: of its size)")
    parser.add_argument(
        "--without-ablations", action="store_true", help="leave out the rows that are not printed"
    )
    parser.add_argument(
        "--minutes", type=float, help="begin no further models after that (default: all models)"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", help="float32 or bf16")


def run(options):
    """Run the study as the command line asks.

    Parameters
    ----------
    options : Namespace
        From :func:`crtkit.studies.run.add_arguments`.

    Returns
    -------
    str
        The averages of Table 2 and where the files are.
    """
    start = time.perf_counter()
    cohort = _load(options)
    featured = simple.with_features(cohort, options.n_jobs)
    inside, split, external = divide(featured)
    models = _models(options, featured=featured is not cohort)
    seeds = options.seeds or 1
    evaluate = partial(
        ck.evaluate,
        cohort=inside,
        seeds=seeds,
        # One split, as published: the hospital's own validation set is fixed.
        cv=[split],
        by="record",
        external=external,
        n_jobs=options.n_jobs,
        random_state=options.random_state,
        journal=journal_path(options),
    )
    result, late = in_time(evaluate, models, start, options.minutes)
    sets = {"internal": "test", **{name: name for name in external}}
    scores = parts.score_table(result, sets)
    output = Output(options.out, "lvsd2026", stated(cohort))
    figures.figure1(output, cohort)
    parts.table1(output, cohort)
    text = parts.table2(output, scores, result, sets)
    parts.table3(output, scores)
    parts.tables_s(output, scores)
    if not options.without_ablations:
        parts.ablations(output, scores, result, sets)
    parts.bands(output, result, {"internal": inside, **external}, sets)
    tests = figures.tests(output, scores, result.info["reference_rows"])
    evaluation_figures(output, result)
    try:
        explained = figures.explain(output, result, inside, split, options.quick, options.device)
    except RuntimeError as error:  # hours of fits are not lost to the last picture
        explained = {"failed": str(error)}
        output.text("Figure 4 could not be drawn", [str(error)])
    output.text("Sizes of this run", _sizes(options))
    if late:
        output.text("Not run: no time was left", late)
    lvsd2026_printed.write(output)
    output.text("What to know about the printed figures", study.REMARKS)
    where = finish(
        output,
        cohort,
        options,
        start,
        study="lvsd2026",
        seeds=seeds,
        size=options.size,
        epochs=_epochs(options),
        settings=result.info,
        scores=scores.reset_index(),
        tests=tests,
        explained=explained,
        not_run=late,
    )
    return f"\n{stated(cohort)}\n\nTable 2, averages over sets\n\n{text}\n\n{where}"


def in_time(evaluate, models, start, minutes):
    """Evaluate in stages of a few models, as many as the minutes allow.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(models)`` with a journal, so that what is finished is not fitted again.
    models : dict of str to estimator
        In the order in which a short run should have them.
    start : float
        ``time.perf_counter()`` when the run began.
    minutes : float or None
        None: all models at once.

    Returns
    -------
    result : Evaluation
    late : list of str
        Models that no time was left for.
    """
    if minutes is None:
        return evaluate(models), []
    # The two simple models first: a table without them says little of the networks.
    order = sorted(models, key=lambda name: name not in simple.ROWS)
    chosen, longest = set(), 0.0
    for i in range(0, len(order), STAGE):
        begun = time.perf_counter()
        # The first stage is the longest by far; one that ended much after the minutes would leave
        # no time to write the tables.
        if chosen and begun - start + longest / 2 > 60 * minutes:
            break
        chosen |= set(order[i : i + STAGE])
        result = evaluate({name: model for name, model in models.items() if name in chosen})
        longest = max(longest, time.perf_counter() - begun)
    return result, [name for name in models if name not in chosen]


def divide(cohort):
    """Pairs as the paper divides them.

    Parameters
    ----------
    cohort : Cohort
        Column ``set``: train, tuning, internal, and any external sets.

    Returns
    -------
    inside : Cohort
        Training, tuning and internal validation.
    split : tuple of ndarray
        Positions in ``inside``: training with tuning, internal validation.
    external : dict of str to Cohort

    Raises
    ------
    ValueError
        No such column, or a set is missing.
    """
    if "set" not in cohort.X:
        raise ValueError(
            "lvsd2026 needs a column 'set' with train, tuning, internal and external sets, "
            f"got the columns {list(cohort.X.columns)}."
        )
    name = cohort.X["set"].astype(str).to_numpy()
    missing = [n for n in ("train", "tuning", "internal") if n not in name]
    if missing:
        raise ValueError(f"lvsd2026: no row of column 'set' is {' or '.join(map(repr, missing))}.")
    own = np.isin(name, ["train", "tuning", "internal"])
    inside = cohort.take(np.flatnonzero(own))
    internal = name[own] == "internal"
    # The tuning pairs go with training: HeldOutThreshold takes them out again by their column.
    split = (np.flatnonzero(~internal), np.flatnonzero(internal))
    others = [n for n in pd.unique(name) if n not in ("train", "tuning", "internal")]
    return inside, split, {n: cohort.take(np.flatnonzero(name == n)) for n in sorted(others)}


def draw_sets(cohort, random_state=0):
    """Cohort with a column ``set`` drawn by patient, for a folder of data that has none.

    Parameters
    ----------
    cohort : Cohort
    random_state : int

    Returns
    -------
    Cohort
        A fifth of the patients is the internal validation, a fifth of the rest the tuning set.

    Raises
    ------
    ValueError
        Too few patients of a class.
    """
    rest, internal = group_holdout(cohort.y, cohort.groups, size=0.2, random_state=random_state)
    inner = cohort.take(rest)
    _, tuning = group_holdout(inner.y, inner.groups, size=0.2, random_state=random_state)
    name = np.full(len(cohort), "train", dtype=object)
    name[internal], name[rest[tuning]] = "internal", "tuning"
    assumed = [*cohort.info.get("assumed", ()), "sets were drawn by patient: the data have none"]
    info = {**cohort.info, "assumed": assumed}
    return ck.Cohort(cohort.X.assign(set=name), cohort.y, cohort.groups, info)


def outcome_apart(cohort):
    """Cohort whose LVEF, which decides the label, is not a column that a model or rule can read.

    Parameters
    ----------
    cohort : Cohort
        May have a column ``lvef``.

    Returns
    -------
    Cohort
        With that column in ``info["outcome"]``, as simulated cohorts have it.
    """
    if "lvef" not in cohort.X:
        return cohort
    # LVEF < 40 % is the label itself: a model or rule that reads it is perfect and worthless.
    X, outcome = cohort.X.drop(columns="lvef"), cohort.X[["lvef"]]
    return ck.Cohort(X, cohort.y, cohort.groups, {**cohort.info, "outcome": outcome})


def _load(options):
    if options.data is not None:
        cohort = with_signals(outcome_apart(load_cohort(options, "lvsd2026")), options)
        return cohort if "set" in cohort.X else draw_sets(cohort, options.random_state)
    pairs = options.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    return ck.datasets.make_cohort(
        # The cohort counts patients; the paper has 2,031 pairs of 892.
        "lvsd2026",
        n_patients=round(pairs * 892 / 2031),
        random_state=options.random_state,
    )


def _epochs(options):
    """Epochs of the baselines and of ECG-FM."""
    epochs = 1 if options.quick else options.epochs
    chosen = study.SIZES[options.size]
    return {part: epochs or chosen[part]["max_epochs"] for part in ("baseline", "ecgfm")}


def _sizes(options):
    """What was smaller than in the paper, in words."""
    chosen = study.SIZES[options.size]
    epochs = _epochs(options)
    return [
        f"baselines: {epochs['baseline']} epochs at {chosen['fs']} Hz "
        f"(the paper: 100 at 500 Hz), learning rate {chosen['baseline']['lr']:g}",
        f"ECG-FM from scratch: size {chosen['ecgfm']['size']}, "
        f"{epochs['ecgfm']} epochs (the paper: base, 60)",
        *(f"{name}: {settings}" for name, settings in chosen["networks"].items()),
        *([f"networks in {options.precision}"] if options.precision != "float32" else []),
        f"{study.CHEAP}: 9,996 kernels at {chosen['fs']} Hz; no network, and not in the paper",
    ]


def _checkpoints(options):
    """Files of ECG-FM: as asked, or our own weights; a quick run has none unless asked."""
    names = ("checkpoint", "finetuned_checkpoint")
    asked = {name: getattr(options, name) for name in names}
    own = dict.fromkeys(names) if options.quick else dict(zip(names, study.OWN_WEIGHTS))
    chosen = {name: asked[name] or own[name] for name in names}
    return {name: None if path == "none" else path for name, path in chosen.items()}


def _models(options, featured):
    """Models of the paper, MiniRocket, and what the ablations change in two of them."""
    epochs = _epochs(options)
    settings = {
        "size": options.size,
        "device": options.device,
        "precision": options.precision,
        "baseline": {"max_epochs": epochs["baseline"]},
        "ecgfm": {"max_epochs": epochs["ecgfm"]},
        **_checkpoints(options),
    }
    models = study.pipelines(**settings)
    if featured:
        for name, model in simple.pipelines().items():
            # Like the paper's models: the threshold comes from the tuning set and then stays.
            models[name] = HeldOutThreshold(model, column="set")
    if options.without_ablations:
        return models
    # Ablations change two baselines only; building the rest would read checkpoints for nothing.
    settings.update(checkpoint=None, finetuned_checkpoint=None, minirocket=False)
    drawn = study.pipelines(oversample=True, **settings)
    changed = study.pipelines(augment="light", **settings)
    whole = study.pipelines(spliced=False, **settings)
    for name in parts.ABLATED[:1] if options.quick else parts.ABLATED:
        models[f"{name} + oversampling"] = drawn[f"{name} + oversampling"]
        models[f"{name} + augmentation"] = changed[f"{name} + augmentation"]
        models[f"{name}, 12 leads"] = whole[name]
    return models
