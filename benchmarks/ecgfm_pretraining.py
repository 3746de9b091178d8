"""Own weights of a small ECG-FM from open ECGs, and whether pretraining helps when labels are few.

``python -m benchmarks.ecgfm_pretraining choose|pretrain|labels|questions [--data FOLDER]``

``choose`` compares pretrainings (:mod:`benchmarks._ecgfm_choice`). ``pretrain`` trains on the pool
of :mod:`benchmarks._open_ecgs`, ``labels`` fine-tunes a copy on diagnoses of pool patients outside
PTB-XL's fold 10; both write a file with its card. ``questions`` tests on fold 10: patients with an
even number give the few labels (their records are in the pool, without a label), and every choice
(form, size, embedding, penalty) was made among them; those with an odd number are tested, and
nothing else has seen them. Every stage goes on where it stopped.

Goals: NORM from 100 labels, frozen embeddings and logistic regression, AUC >= 0.87 and 0.05 above
the same network untrained. Not a goal: the published ECG-FM, which saw 1.5 million records.
"""

import argparse
import os
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _ecgfm_choice as choice
from benchmarks._ecgfm_journal import LABELLED, SELF_SUPERVISED, Journal
from benchmarks._ecgfm_report import few_labels, markdown, report
from benchmarks._open_ecgs import LICENCES, pool, ptbxl
from benchmarks._results import environment, write_json, write_text
from crtkit.evaluation import check_pool
from crtkit.evaluation.uncertainty.intervals import replicate_scores
from crtkit.metrics import roc_auc
from crtkit.neural import ECGFMClassifier, ECGFMPretraining
from crtkit.neural.ecgfm import ECGFM, SIZES, checkpoint_hash, load_checkpoint
from crtkit.neural.ecgfm.checkpoint import save_safetensors
from crtkit.neural.ecgfm.classifier_network import ECGFMNetwork
from crtkit.signals import splice_leads

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "crtkit" / "neural" / "ecgfm" / "weights"
OUT = HERE / "results" / "ecgfm_pretraining"
SEED = 0
FS = 100  # the network's rate
#: Without a quantizer, which costs more and was not tried at this length. In one trial CMSC alone,
#: batches of 64, had NORM 0.882 after 35 epochs and 0.862 after 80 (among the patients that choices
#: were made with): hence the contrast of tokens, and a projector.
SETTINGS = {
    "size": "small",
    "quantizer": False,
    "projector": 128,
    "n_negatives": None,
    "mask_span": 4,
    "augment": "light",
    "fs": FS,
    "lr": 1.5e-3,
    "batch_size": 128,
    "max_epochs": 200,  # as `choose` has it: 50 are too few with the contrast of tokens
}
FINE_TUNING = {"lr": 5e-4, "max_epochs": 30, "batch_size": 32, "augment": "light"}

LABELS = {"NORM": "norm", "complete LBBB": "clbbb", "IVCD": "ivcd", "paced": "pace"}
CONDUCTION = ["clbbb", "ilbbb", "crbbb", "irbbb", "ivcd", "lafb", "lpfb", "pace", "wpw"]
N_LABELS = (50, 100, 400)
DRAWS = 30
MIN_POSITIVE = 5  # of rare labels, among however many
PENALTY = 0.003  # C of the logistic regression on standardised embeddings
EMBEDDINGS = ("last", "layers")
BOOTSTRAP = 500
N_UNTRAINED = 3
RANDOM_HEAD = "full, random head"
#: How the network is trained in the comparison of ways, on NORM. With four channels the projection
#: in front trains in each of them: the linear probe is then lvsd2026's additive tuning.
WAYS = {
    "scratch, full": {"checkpoint": None, "size": SIZES["small"]},
    "linear probe": {"trainable_layers": 0},
    "partial, 2 of 3 layers": {"trainable_layers": 2},
    "full": {},
    RANDOM_HEAD: {"head_start": "random"},
}
TUNING = {"lr": 3e-4, "batch_size": 16, "class_weight": "balanced"}
TUNING_EPOCHS = {50: 20, 100: 15, 400: 10}  # the fewer the records, the fewer the steps per epoch
TUNING_DRAWS = 2


# -- weights


def make_self_supervised(options):
    """Pretrain and write the file; or take the one candidate named, as ``choose`` kept it."""
    WEIGHTS.mkdir(exist_ok=True)
    target = WEIGHTS / f"{SELF_SUPERVISED}.safetensors"
    if options.candidates:
        (name,) = options.candidates
        shutil.copyfile(choice.kept(options, name, ".safetensors"), target)
        return
    pretrain(options, {**SETTINGS, "checkpoint_dir": options.cache}, SEED, target)


def pretrain(options, settings, seed, target):
    """Pretrain on the pool and write a file with its card.

    Returns
    -------
    ECGFMPretraining
    """
    signals, patients, table = pooled(options)
    model = ECGFMPretraining(**settings, device=options.device, random_state=seed, verbose=1)
    model.fit(signals, groups=patients)
    tested = tested_of(options)
    odd = ~tested["even"]
    # Refuses to write weights that have seen a patient whom the tables test.
    check_pool(model, tested["signals"][odd], groups=tested["patients"][odd])
    counts = table.groupby("source").agg(
        records=("record", "size"), patients=("patient", "nunique")
    )
    card = {
        "name": SELF_SUPERVISED,
        "data": [
            {"source": source, **counts.loc[source].to_dict(), "licence": LICENCES[source]}
            for source in counts.index
        ],
        "kept out": "patients of PTB-XL fold 10 with an odd number, PhysioNet Challenge 2021 "
        "folder and its patients, LUDB",
        "licence": "CC BY 4.0 and ODC-BY 1.0 of the data, with the credit above",
        "hours": round(sum(row["dur"] for row in model.history_) / 3600, 2),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "environment": environment(options.device),
        "use": "12 leads in mV at any rate (fs=); research only, not a medical device",
    }
    if options.note:
        card["note"] = options.note
    model.save(target, card=card, half=True)
    return model


def make_labelled(options):
    """Fine-tune the pretrained file on three classes of the pool's PTB-XL records."""
    signals, _, table = pooled(options)
    card = load_checkpoint(SELF_SUPERVISED)[1]
    labels = _ptbxl(options)[1].set_index("ecg_id")
    # Those of fold 10 give the few labels of the questions: theirs must be unknown until then.
    known = labels.index[~labels["fold10"]]
    rows = np.flatnonzero((table["source"] == "PTB-XL") & table["record"].isin(known))
    known = labels.loc[table["record"].iloc[rows]]
    y = np.where(known[CONDUCTION].sum(axis=1) > 0, "conduction", "other")
    y = np.where((y == "other") & (known["norm"] == 1), "normal", y)
    start = time.perf_counter()
    model = ECGFMClassifier(
        checkpoint=SELF_SUPERVISED, fs=FS, device=options.device, random_state=SEED, **FINE_TUNING
    )
    model.fit(signals[rows], y)
    backbone = model.module_.backbone
    made = {
        "kind": "fine-tuned on labels",
        "name": LABELLED,
        "start": {"file": SELF_SUPERVISED, "sha256": checkpoint_hash(SELF_SUPERVISED)},
        "labels": {str(k): int(n) for k, n in zip(*np.unique(y, return_counts=True), strict=True)},
        "training": FINE_TUNING,
        "hours": round(card["hours"] + (time.perf_counter() - start) / 3600, 2),
        "environment": environment(options.device),
        "loss": [model.history_[0]["train_loss"], model.history_[-1]["train_loss"]],
    }
    target = WEIGHTS / f"{LABELLED}.safetensors"
    save_safetensors(backbone, target, {**card, **made}, dtype=torch.float16)


def pooled(options):
    """The pool at the network's rate, kept in a file: it takes most of a minute to decompress."""
    path = options.cache / f"pool-{FS}.npz"
    names = options.cache / "pool.csv"
    if not (path.exists() and names.exists()):
        signals, patients, table = pool(options.data, FS)
        table.to_csv(names, index=False)
        np.savez(path, signals=signals, patients=patients.astype(str))
    with np.load(path) as file:
        return file["signals"], file["patients"], pd.read_csv(names)


def _ptbxl(options):
    """Signals of fold 10 without copies, and the table of all records; kept in files, too."""
    path, names = options.cache / f"tested-{FS}.npz", options.cache / "ptbxl.csv"
    if not (path.exists() and names.exists()):
        ecgs = ptbxl(options.data, FS)
        rows = ecgs.table[ecgs.table["strat_fold"] == 10].drop_duplicates("sha256_dat").index
        ecgs.table.to_csv(names, index=False)
        np.savez(path, signals=ecgs.signals[rows])
    with np.load(path) as file:
        return file["signals"], pd.read_csv(names)


def tested_of(options):
    """The records of fold 10 at the network's rate, their patients and labels."""
    signals, table = _ptbxl(options)
    # PTB-XL holds copies of records; two on different sides of the split would be a leak.
    table = table[table["strat_fold"] == 10].drop_duplicates("sha256_dat")
    patients = table["patient_id"].astype(int)
    return {
        "signals": signals,
        "patients": ("PTB-XL " + patients.astype(str)).to_numpy(),
        "even": (patients % 2 == 0).to_numpy(),
        "table": table.reset_index(drop=True),
    }


def choose(options):
    """Compare pretrainings among patients that no table tests."""

    def train(changes, target):
        return pretrain(options, {**SETTINGS, **changes}, options.seed, target)

    on = partial(embed, device=options.device)
    table = choice.choose(options, train, tested_of(options), on, draw, PENALTY)
    OUT.mkdir(parents=True, exist_ok=True)
    choice.write(OUT, table)
    print(table.to_string())


# -- questions


def ask(options):
    """Answer all questions; each finished part is kept in the cache."""
    tested = tested_of(options)
    journal = Journal(options.cache / "questions.jsonl", _key(), options.minutes)
    probes(journal, tested, options.n_labels, options.device)
    ways(journal, tested, options.n_labels, options.device)
    OUT.mkdir(parents=True, exist_ok=True)
    settings = {
        "labels": LABELS,
        "n_labels": N_LABELS,
        "draws": DRAWS,
        "C": PENALTY,
        "bootstrap": BOOTSTRAP,
        "tuning": {**TUNING, "max_epochs": TUNING_EPOCHS},
        "tuning_draws": TUNING_DRAWS,
        "seed": SEED,
        "weights": _key(),
        "patients": {
            "labelled": len(set(tested["patients"][tested["even"]])),
            "tested": len(set(tested["patients"][~tested["even"]])),
        },
    }
    tables = report(journal.rows)
    cards = {name: load_checkpoint(name)[1] for name in (SELF_SUPERVISED, LABELLED)}
    payload = {
        "environment": environment(options.device),
        "settings": settings,
        "cards": cards,
        **tables,
    }
    write_json(OUT / "results.json", payload)
    write_text(OUT / "results.md", markdown(tables, payload))
    write_text(OUT / "few_labels.csv", few_labels(tables).to_csv())
    for name in ("ways", "ways_gain", "channels"):
        write_text(OUT / f"{name}.csv", tables[name].round(3).to_csv(index=False))


def _key():
    return {name: checkpoint_hash(name) for name in (SELF_SUPERVISED, LABELLED)}


def networks():
    """Backbones by name: untrained ones, and the shipped files."""
    made = {}
    for seed in range(N_UNTRAINED):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            made[f"untrained {seed}"] = ECGFM(SIZES["small"]).eval()
    return {**made, **{n: load_checkpoint(n)[0].eval() for n in (SELF_SUPERVISED, LABELLED)}}


def embed(backbone, signals, embedding, device="cpu"):
    """Embeddings as ``ECGFMClassifier.transform`` gives them, without a fit."""
    network = ECGFMNetwork(
        backbone, 12, project=False, normalize=True, window=5.0, pooling="mean", fs=FS
    ).to(device)
    network.eval()
    with torch.inference_mode():
        parts = torch.from_numpy(signals).split(64)
        return torch.cat([network.embed(p.to(device), embedding).cpu() for p in parts]).numpy()


def draw(y, candidates, n, seed):
    """``n`` records among the candidates, at the label's frequency but with a few positives."""
    rng = np.random.default_rng(seed)
    positive, negative = candidates[y[candidates] == 1], candidates[y[candidates] == 0]
    # In proportion, but five at least: of 50 records none or one may be an LBBB.
    k = min(len(positive), max(MIN_POSITIVE, round(n * len(positive) / len(candidates))))
    chosen = [rng.choice(positive, k, replace=False), rng.choice(negative, n - k, replace=False)]
    return np.concatenate(chosen)


def probes(journal, tested, n_labels, device):
    """Frozen embeddings and logistic regression, for every label, number and network."""
    even = np.flatnonzero(tested["even"])
    backbones = networks()
    embeddings = {}

    def probe(part, label, n, network, embedding):
        key = network, embedding
        if key not in embeddings:
            embeddings[key] = embed(backbones[network], tested["signals"], embedding, device)
        E, y = embeddings[key], tested["table"][LABELS[label]].to_numpy().astype(int)
        scores = []
        for seed in range(DRAWS):
            train = draw(y, even, n, seed)
            model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
            model = make_pipeline(StandardScaler(), model).fit(E[train], y[train])
            scores.append(model.decision_function(E[~tested["even"]]))
        return aucs(np.array(scores), y, tested)

    tasks = [
        {"part": "probe", "label": label, "n": n, "network": network, "embedding": embedding}
        for label in LABELS
        for n in n_labels
        for network in backbones
        for embedding in EMBEDDINGS
    ]
    journal.run(tasks, probe)


def ways(journal, tested, n_labels, device):
    """Ways to train on NORM, with twelve leads and with the four channels of lvsd2026's layout."""
    even, odd = np.flatnonzero(tested["even"]), np.flatnonzero(~tested["even"])
    y = tested["table"]["norm"].to_numpy().astype(int)
    inputs = {"12 leads": tested["signals"], "4 channels": splice_leads(tested["signals"])}

    def way(part, way, leads, n):
        X, scores = inputs[leads], []
        for seed in range(TUNING_DRAWS):
            train = draw(y, even, n, seed)
            model = ECGFMClassifier(
                **{"checkpoint": SELF_SUPERVISED, **TUNING, **WAYS[way]},
                fs=FS,
                max_epochs=TUNING_EPOCHS[n],
                device=device,
                random_state=seed,
            )
            scores.append(model.fit(X[train], y[train]).predict_proba(X[odd])[:, 1])
        return aucs(np.array(scores), y, tested)

    tasks = [
        {"part": "way", "way": name, "leads": leads, "n": n}
        for n in sorted(n_labels, reverse=True)  # a run that is cut short has the larger numbers
        for leads in inputs
        for name in (WAYS if leads == "12 leads" else [w for w in WAYS if w != RANDOM_HEAD])
    ]
    journal.run(tasks, way)


def aucs(scores, y, tested):
    """AUC of each draw, and its mean over draws in resamples of the tested patients.

    The resamples are the same for every network, so that differences are paired.
    """
    odd = np.flatnonzero(~tested["even"])
    truth, patients = y[odd], np.unique(tested["patients"][odd], return_inverse=True)[1]
    n_patients = patients.max() + 1
    rng = np.random.default_rng(SEED)
    # One seed for every network: the same patients are drawn, and differences are paired.
    times = rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=BOOTSTRAP)
    weights = np.vstack([np.ones(len(odd)), times[:, patients]])
    drawn = [replicate_scores(truth == 1, score, weights)["roc_auc"] for score in scores]
    values = np.mean(drawn, axis=0)
    return {
        "auc": [roc_auc(truth, score) for score in scores],
        "resampled": [round(float(v), 6) if np.isfinite(v) else None for v in values[1:]],
        "n_positive": int(truth.sum()),
        "n_tested": len(truth),
    }


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = {
        "choose": choose,
        "pretrain": make_self_supervised,
        "labels": make_labelled,
        "questions": ask,
    }
    parser.add_argument("stage", choices=list(stages))
    parser.add_argument("--data", type=Path, default=os.environ.get("CRTKIT_DATA"))
    parser.add_argument("--cache", type=Path, default=Path("build/ecgfm_pretraining"))
    parser.add_argument("--device", default="cpu", help="that trains: cpu or cuda")
    parser.add_argument(
        "--n-labels", type=int, nargs="+", choices=N_LABELS, default=N_LABELS, help="only these"
    )
    parser.add_argument(
        "--candidates", nargs="+", choices=list(choice.CANDIDATES), help="to choose"
    )
    parser.add_argument("--precision", default="float32", help="of the candidates")
    parser.add_argument("--seed", type=int, default=SEED, help="of the candidates")
    parser.add_argument("--note", help="for the card: what the trained records went through")
    parser.add_argument("--minutes", type=float, help="begin no further part after this time")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error("give --data, or set CRTKIT_DATA, to the folder of the open ECGs")
    options.cache.mkdir(parents=True, exist_ok=True)
    stages[options.stage](options)


if __name__ == "__main__":
    main()
