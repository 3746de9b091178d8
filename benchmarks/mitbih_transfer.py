"""Does transfer from MIT-BIH help, on MIT-BIH's own held-out subjects at a tenth of the labels?

``python -m benchmarks.mitbih_transfer [--data FOLDER] [--weights FILE] [--resume]``

Rule
----
A network is pretrained on DS1 (N, S, V, F). Of the 21 subjects of DS2 who are not in DS1 (202 is
201's man), two, a tenth, lend their labels: one draw after another of two subjects who hold both
classes. Every model learns from their beats and answers for those of the other 19. Two questions:
is a beat a ventricular extrasystole (V), is it supraventricular (S)? Each pretrained model stands
beside its twin without pretraining: a ResNet from scratch, and classifiers on principal components
of the log-spectrograms.

Intervals draw the tested subjects again, the same for both models. Which two subjects lend their
labels matters too: the SD over draws and the share of draws that went one way stand beside.

Non-goals
---------
An answer about response to CRT. The pretraining task holds the questions asked here, which is the
most that transfer can hope for; that other tasks gain as much does not follow.
"""

import argparse
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

import crtkit as ck
from benchmarks._results import (
    Output,
    command,
    environment,
    journal_path,
    markdown_table,
    write_json,
)
from benchmarks._twins import METRICS, printed, twins
from crtkit.datasets.mitbih import DS2
from crtkit.neural import read_card
from crtkit.signals import segment_beats
from crtkit.studies import he2023
from crtkit.studies.mitbih import choose
from crtkit.studies.pretraining import CLASSES, WINDOWS, load_beats, save_network
from crtkit.studies.run.he2023 import pretrained

QUESTIONS = {"V": "ventricular extrasystole", "S": "supraventricular extrasystole"}
N_LABELLED = 2
#: Fewer beats of a class than this among the labels teach nothing.
FEWEST = 10


def few_labels(y, groups, n_splits, rng, n_labelled=N_LABELLED):
    """Draws of a few subjects whose labels are known.

    Parameters
    ----------
    y : ndarray of bool, shape (n_beats,)
    groups : ndarray of shape (n_beats,)
    n_splits : int
    rng : Generator
    n_labelled : int

    Returns
    -------
    list of (train, test)
        Positions; the subjects of ``train`` hold at least ``FEWEST`` beats of both classes, those
        of ``test`` both classes, and no two draws are the same.

    Raises
    ------
    ValueError
        There are fewer such draws than asked for.
    """
    subjects = np.unique(groups)
    positive = {s: int(y[groups == s].sum()) for s in subjects}
    negative = {s: int((~y[groups == s]).sum()) for s in subjects}
    fit = [
        pair
        for pair in combinations(subjects, n_labelled)
        # Enough beats of either class to learn from, and some left to be tested on.
        if FEWEST <= sum(positive[s] for s in pair) < sum(positive.values())
        and FEWEST <= sum(negative[s] for s in pair) < sum(negative.values())
    ]
    if len(fit) < n_splits:
        raise ValueError(
            f"{n_splits} draws of {n_labelled} subjects with {FEWEST} beats of both classes are "
            f"asked for, there are {len(fit)}: lower --splits."
        )
    chosen = [np.isin(groups, fit[k]) for k in rng.permutation(len(fit))[:n_splits]]
    return [(np.flatnonzero(train), np.flatnonzero(~train)) for train in chosen]


def pretrain(options):
    """Path of a network pretrained on DS1; made where there is none."""
    path = options.weights or options.out / "resnet18.safetensors"
    if options.weights or (options.resume and path.is_file()):
        card = read_card(path)
        seen = set(card.get("training_records", DS2))
        # Weights that saw tested subjects would make transfer look better than it is.
        if seen & (set(DS2) - {"202"}):
            raise ValueError(
                f"{path.name} was trained on {sorted(seen & set(DS2))} of DS2, or does not say: "
                "give weights of benchmarks.mitbih_pretraining --setup aami."
            )
        if not options.weights:
            refuse_other_settings(card, options)
        return path
    beats = load_beats(options, options.data, options.cache, subset="DS1")
    everything = np.arange(len(beats.y))
    train = choose(
        beats.y, beats.records, everything, options.cap, np.random.default_rng(options.seed)
    )
    net = beats.network(train, beats.pictures(train))
    what = "DS1 alone, 22 records, for benchmarks.mitbih_transfer"
    save_network(
        net, path, settings=options, beats=beats, train=train, test=[], what=what, figures={}
    )
    return path


def refuse_other_settings(card, options):
    """An interrupted run goes on only with the pretraining that its options ask for."""
    names = ("depth", "width", "size", "epochs", "cap", "seed")
    kept = {name: card.get(name) for name in names}
    kept["window"] = card.get("stft", {}).get("window_length")
    other = [
        f"{k} {v}, not {getattr(options, k)}" for k, v in kept.items() if v != getattr(options, k)
    ]
    if other:
        raise ValueError(
            f"the network in {options.out} was pretrained with {'; '.join(other)}: give --resume "
            "the options that the run began with, or leave it out to pretrain from the start."
        )


def held_out(options):
    """Beats of DS2's subjects who are not in DS1, at most ``--beats`` of a class and record."""
    # 202 is of the subject of 201, whom the pretraining on DS1 has seen.
    names = [name for name in DS2 if name != "202"]
    records = ck.datasets.load_mitbih(options.data, subset=names)
    cohort = segment_beats(records, classes=CLASSES["aami"], cache_dir=options.cache)
    rng = np.random.default_rng(options.seed)
    table = pd.DataFrame({"y": cohort.y.astype(str), "record": cohort.X["record"].to_numpy()})
    rows = [
        rng.choice(part.index, min(len(part), options.beats), replace=False)
        for _, part in table.groupby(["record", "y"])
    ]
    return cohort.take(np.sort(np.concatenate(rows)))


def ask(question, cohort, models, options):
    """Fit every model on every draw.

    Returns
    -------
    Evaluation
    """
    y = cohort.y.astype(str) == question
    # A stream for each question: asking one of them must not change the draws of the other.
    rng = np.random.default_rng([options.seed, ord(question)])
    splits = few_labels(y, cohort.groups, options.splits, rng)
    info = {**cohort.info, "label": QUESTIONS[question]}
    asked = ck.Cohort(cohort.X, y.astype(int), cohort.groups, info)
    return ck.evaluate(
        models,
        asked,
        cv=splits,
        seeds=1,
        by="record",
        reference_rows=False,
        scoring=list(METRICS),
        n_jobs=options.n_jobs,
        threads_per_fit=1,
        random_state=options.seed,
        journal=options.journal[question],
    )


def run(options):
    """Pretrain, ask both questions, and write tables and JSON."""
    start = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    options.journal = {q: journal_path(options, f"journal_{q}.jsonl") for q in QUESTIONS}
    options.weights = [pretrain(options)]
    say(start, "network pretrained")
    weights, settings = pretrained(options)
    card = read_card(options.weights[0])
    cohort = held_out(options)
    network = {"max_epochs": options.finetune_epochs, "class_weight": "balanced"}
    models = he2023.pipelines(
        fs=he2023.FS, unit="beat", n_leads=1, weights=weights, network=network, **settings
    )
    del models["Guideline"]
    stated = (
        f"Real data, MIT-BIH Arrhythmia Database 1.0.0: {len(cohort)} beats (at most "
        f"{options.beats} of a class) of {cohort.n_patients} subjects of DS2, {N_LABELLED} of them "
        f"with labels, {options.splits} draws; ResNet-{card['depth']}, width {card['width']}, "
        f"{card['size']} px, pretrained on {len(card['training_records'])} records of DS1."
    )
    output = Output(options.out, "Transfer within MIT-BIH", stated)
    tables, scores, seconds = {}, {}, {}
    for question, words in QUESTIONS.items():
        result = ask(question, cohort, models, options)
        say(start, f"asked for {question}")
        tables[question] = twins(result)
        means = result.per_fold().groupby(level="model", sort=False)
        scores[question] = means.mean().rename(columns=METRICS)
        seconds[question] = result.info["seconds"]
        output.table(
            f"scores_{question}", f"{question}, {words}: mean over draws", scores[question]
        )
        output.table(
            f"transfer_{question}",
            f"{question}, {words}: does transfer help?",
            printed(tables[question]),
            "Intervals draw tested subjects again, fits are held fixed; SD and share are over "
            "draws of the labelled subjects. "
            f"{len(tables[question])} intervals, not corrected for their number.",
        )
    output.report()
    write_json(
        options.out / "results.json",
        {
            "stated": stated,
            "options": {k: getattr(options, k) for k in OPTIONS},
            "data_sha256": cohort.fingerprint(),
            "flow": cohort.info["flow"],
            "card": card,
            "transfer": tables,
            "scores": scores,
            "seconds_of_fits": seconds,
            "environment": environment(options.device),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    for question in QUESTIONS:
        print(f"{QUESTIONS[question]}\n{markdown_table(printed(tables[question]))}")


def say(start, what):
    """Progress on stderr."""
    print(f"[{time.perf_counter() - start:6.0f} s] {what}", file=sys.stderr)


OPTIONS = ("width", "size", "window", "epochs", "cap", "finetune_epochs", "beats", "splits", "seed")


def parser():
    """Command line."""
    out = argparse.ArgumentParser(prog="python -m benchmarks.mitbih_transfer")
    out.add_argument("--data", type=Path, help="folder of MIT-BIH (default: CRTKIT_DATA/mitdb)")
    out.add_argument("--weights", type=Path, help="pretrained on DS1 (default: pretrain now)")
    out.add_argument("--width", type=int, default=8, help="of the network to pretrain")
    out.add_argument("--size", type=int, default=48, help="pixels of a picture's side")
    out.add_argument("--window", type=int, default=WINDOWS["aami"], help="samples")
    out.add_argument("--epochs", type=int, default=5, help="of pretraining")
    out.add_argument("--cap", type=int, default=150, help="beats of a class and DS1 record")
    out.add_argument("--finetune-epochs", type=int, default=20)
    out.add_argument("--beats", type=int, default=60, help="beats of a class and DS2 record")
    out.add_argument("--splits", type=int, default=12, help="draws of labelled subjects")
    out.add_argument("--seed", type=int, default=0)
    out.add_argument("--device", default="cpu", help="of pretraining")
    out.add_argument("--n-jobs", type=int, default=None, help="worker processes")
    out.add_argument("--cache", type=Path, help="folder for the beats (default: a temporary one)")
    out.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    out.add_argument("--out", type=Path, default=Path("results") / "mitbih_transfer")
    out.set_defaults(setup="aami", depth=18, depths=None)
    return out


def main(arguments=None):
    """Run; bad input ends with its message, not with a traceback."""
    return command(run, parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
