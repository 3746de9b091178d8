"""ResNets pretrained on MIT-BIH beats, judged between subjects.

``python -m benchmarks.mitbih_pretraining [--data FOLDER] [--setup aami|paper]``

Set-ups
-------
``aami``: the 44 records that are not paced, trained on DS1, tested on every beat of DS2; N, S, V, F
scored, with and without record 202, whose subject is also in DS1 (201).
``paper``: all 48 records and five classes; a fifth of the 47 subjects is held out.
Beside each, once, a random split of beats with as many of them to train on: beats of one subject
lie on both sides, which flatters, as do the natural mix of classes and the records of both parts
that such a network learns from.

Models
------
Picture: a ResNet on the spectrogram of one beat. The paper's window of 512 samples (1.42 s) is
longer than the beat and blurs its course; ``aami`` takes 96 (0.27 s), which did better within DS1.
Its weights are kept.
Difference: the same on the spectrogram less the median one of 64 beats of the record. Subjects
differ more than beats do; this shows what is unusual for the subject. It reads the whole record,
but none of its labels. Three networks, each trained without a third of the training subjects,
answer together.
Rhythm + shape: a picture of one beat holds no rhythm. A logistic regression reads the beat's
intervals and ratios of them to usual ones, and how its P wave and QRS differ from the record's
median beat (:mod:`crtkit.studies.beat_features`).
Difference + rhythm + shape: the same regression, which reads what a network that has not seen the
subject says of the beat, too.
Every choice (window, difference, features, penalty, weights) was made on DS1 alone, over five
partitions of its subjects; rows "across the training subjects" say what was seen there.

Goals
-----
DS2: accuracy >= 0.90 and macro sensitivity >= 0.70. For comparison: always N 0.89; a published
ensemble of SVMs 0.945 and 0.703.

Non-goals
---------
A new best figure for MIT-BIH. The weights are a start for he2023.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._results import Output, command, environment, markdown_table, write_json
from crtkit.datasets import load_mitbih
from crtkit.studies.beat_features import beat_features
from crtkit.studies.mitbih import answers_across, fit_head, stand_for
from crtkit.studies.pretraining import (
    CLASSES,
    WHAT,
    WINDOWS,
    draw_beats,
    load_beats,
    save_network,
    scores,
)

GOALS = {"accuracy": 0.90, "macro sensitivity": 0.70}
#: The two heads; the one that does better across the training subjects is held against the goals.
SHAPE, JOINT = "Rhythm + shape", "Difference + rhythm + shape"
#: Partitions of the training subjects into five parts, by which choices were made.
PARTITIONS, PARTS = 5, 5


def run(options):
    """Train, test, and write the tables and the weights."""
    start = time.perf_counter()
    classes = CLASSES[options.setup]
    beats = load_beats(options, options.data, options.cache)
    train, candidates, test = draw_beats(beats, options, options.max_test)
    weight = stand_for(beats.y, beats.records, candidates, train)
    pictures = beats.pictures(train)
    net = beats.network(train, pictures)
    say(options, start, f"network trained on {len(train)} beats")
    answers = {"Picture": net.predict(beats.pictures(test))}
    inputs, asked = inputs_of(beats, train, test, options)
    say(options, start, "networks of differences trained")
    labels = np.unique(beats.y[train])
    answers["Difference"] = labels[asked["Difference"].argmax(axis=1)]
    for name in (SHAPE, JOINT):
        head = fit_head(inputs[name], beats.y[train], weight)
        answers[name] = head.predict(asked[name])
    say(options, start, f"tested on {len(test)} beats")
    rows, matrices = {}, {}
    for name, predicted in answers.items():
        figures, matrix = scores(beats.y[test], predicted, classes)
        rows[f"{name}, between subjects"], matrices[name] = figures, matrix
        if options.setup == "aami":
            # One person gave 201, of DS1, and 202, of DS2.
            kept = beats.records[test] != "202"
            rows[f"{name}, without 202"], _ = scores(beats.y[test][kept], predicted[kept], classes)
    # Nine beats of ten are N: no accuracy can be read without this row.
    majority = np.full(len(test), "N")
    rows["Always N"], _ = scores(beats.y[test], majority, classes)
    found = {}
    for name in (SHAPE, JOINT):
        # What the choices were made by: no tested subject is in it.
        found[name] = across(inputs[name], beats, train, weight, classes)
        rows[f"{name}, across the training subjects"] = found[name]
    judged = preferred(found)
    rows["RANDOM SPLIT OF BEATS, Picture (a warning)"] = warning(beats, train, options, classes)
    say(options, start, "random split done")
    write(options, beats, train, test, rows, matrices, net, judged, start)


def inputs_of(beats, train, test, options):
    """What the heads read of the training beats and of the tested ones.

    Returns
    -------
    known, asked : dict of str to ndarray
        By model. ``asked`` has the networks' mean log probabilities under "Difference", too.
    """
    rows = np.concatenate([train, test])
    records = load_mitbih(options.data, subset=np.unique(beats.records).tolist())
    features = beat_features(records, beats.table.iloc[rows])
    networks, said = beats.apart(train, beats.differences(train))
    pictures = beats.differences(test)
    labels = np.unique(beats.y[train])
    told = np.mean([beats.likelihoods(net, pictures, labels) for net in networks], axis=0)
    known, asked = features[: len(train)], features[len(train) :]
    return (
        {SHAPE: known, JOINT: np.hstack([said, known])},
        {SHAPE: asked, JOINT: np.hstack([told, asked]), "Difference": told},
    )


def across(X, beats, train, weight, classes):
    """Mean figures of heads that have not seen the subject, over partitions of the subjects."""
    figures = []
    for seed in range(PARTITIONS):
        found = answers_across(X, beats.y[train], beats.groups[train], weight, PARTS, seed)
        figures.append(scores(beats.y[train], found, classes, weight)[0])
    return pd.DataFrame(figures).mean().to_dict()


def preferred(found):
    """The head whose figures across the training subjects are furthest above the goals."""
    return max(found, key=lambda name: min(found[name][goal] - GOALS[goal] for goal in GOALS))


def warning(beats, train, options, classes):
    """All beats split at random: what a split that ignores subjects would have claimed."""
    order = np.random.default_rng(options.seed).permutation(len(beats.y))
    # As many beats to learn from as between subjects: only the split differs.
    size = min(len(train), len(order) // 2)
    chosen, left = order[:size], order[size : 2 * size]
    net = beats.network(chosen, beats.pictures(chosen))
    figures, _ = scores(beats.y[left], net.predict(beats.pictures(left)), classes)
    return figures


def write(options, beats, train, test, rows, matrices, net, judged, start):
    """Tables, JSON, and the weights with their card."""
    stated = (
        f"Real data, MIT-BIH Arrhythmia Database 1.0.0: {WHAT[options.setup]}; trained on "
        f"{len(train)} beats of {len(np.unique(beats.groups[train]))} subjects (at most "
        f"{options.cap} of a class and record), tested on {len(test)} beats of "
        f"{len(np.unique(beats.groups[test]))} subjects; ResNet-{options.depth}, width "
        f"{options.width}, {options.size} px, window {options.window}, {options.epochs} epochs, "
        f"seed {options.seed}."
    )
    options.out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    output = Output(options.out, f"MIT-BIH, {WHAT[options.setup]}", stated)
    output.table(
        "scores",
        "Scores",
        table,
        "Sensitivity and PPV by class. Across the training subjects: a fifth of them at a time by "
        f"the regression of the others, mean of {PARTITIONS} partitions, weighted to all beats of "
        "their class and record; choices were made by that (what the networks say of a beat there "
        "never comes from one that has seen its subject, but may from one that has seen the "
        "tested fifth). The row of the random split is no result: beats of one subject lie on "
        "both sides.",
    )
    for name, matrix in matrices.items():
        stem = "confusion_" + name.lower().replace(" + ", "_")
        output.table(stem, f"Confusion matrix, {name} (truth down, answer across)", matrix)
    if options.setup == "aami":
        best = table.loc[f"{judged}, between subjects"]
        output.text(f"Goals on DS2 ({judged}, chosen on DS1)", verdict(best))
    output.report()
    weights = options.out / f"resnet{options.depth}.safetensors"
    card = save_network(
        net,
        weights,
        settings=options,
        beats=beats,
        train=train,
        test=test,
        what=WHAT[options.setup],
        figures=rows["Picture, between subjects"],
    )
    write_json(
        options.out / "results.json",
        {
            "stated": stated,
            "options": {k: getattr(options, k) for k in OPTIONS},
            "data_sha256": beats.cohort.fingerprint(),
            "flow": beats.cohort.info["flow"],
            "goals": GOALS,
            "judged": judged,
            "scores": table,
            "confusion": matrices,
            "card": card,
            "weights": {"file": weights.name, "bytes": weights.stat().st_size},
            "environment": environment(net.device_),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    print(f"{stated}\n\n{markdown_table(table)}")


def verdict(best):
    """A line for each goal: reached or not."""
    return [
        f"{name}: {best[name]:.3f}, goal {goal:.2f}: "
        + ("reached." if best[name] >= goal else "NOT reached.")
        for name, goal in GOALS.items()
    ]


def say(options, start, what):
    """Progress on stderr."""
    print(f"[{time.perf_counter() - start:6.0f} s] {options.setup}: {what}", file=sys.stderr)


OPTIONS = (
    "setup",
    "depth",
    "width",
    "size",
    "window",
    "epochs",
    "cap",
    "max_test",
    "seed",
    "device",
)


def parser():
    """Command line."""
    out = argparse.ArgumentParser(prog="python -m benchmarks.mitbih_pretraining")
    out.add_argument("--data", type=Path, help="folder of MIT-BIH (default: CRTKIT_DATA/mitdb)")
    out.add_argument("--setup", choices=list(CLASSES), default="aami")
    out.add_argument("--depth", type=int, choices=(18, 34, 50, 101), default=18)
    out.add_argument("--width", type=int, default=64, help="8 is for two cores")
    out.add_argument("--size", type=int, default=64, help="pixels of a picture's side")
    out.add_argument("--window", type=int, help="samples (default: paper 512, aami 96)")
    out.add_argument("--epochs", type=int, default=12)
    out.add_argument("--cap", type=int, default=1000, help="beats of a class and record")
    out.add_argument("--max-test", type=int, help="test on so many beats only (default: all)")
    out.add_argument("--seed", type=int, default=0)
    out.add_argument("--device", default="cpu")
    out.add_argument("--cache", type=Path, help="folder for the beats (default: a temporary one)")
    out.add_argument("--out", type=Path, help="default: results/mitbih_SETUP")
    return out


def main(arguments=None):
    """Run one set-up; bad input ends with its message, not with a traceback."""
    options = parser().parse_args(arguments)
    options.window = options.window or WINDOWS[options.setup]
    options.out = options.out or Path("results") / f"mitbih_{options.setup}"
    return command(run, options)


if __name__ == "__main__":
    sys.exit(main())
