"""What each part of ECG-FM's pretraining is worth: ``python -m benchmarks.ecgfm_forms``.

The published recipe tells masked tokens apart by entries of a codebook, pulls adjacent segments of
a patient together, and lets leads vanish. Each form here changes one part of what ``crtkit-small``
was trained with (no codebook), on the same pool, for 20 epochs in place of 200, which one core does
in minutes. Judged as ``ecgfm_pretraining choose`` judges: frozen embeddings and logistic regression
among patients of PTB-XL's fold 10 whom no table tests. A run that was stopped goes on with the same
command.

Goals
-----
The gain of each part with a paired interval over patients, and the seconds that it costs.

Non-goals
---------
Which form is best after 200 epochs, or of a million records.
"""

import argparse
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _slices, ecgfm_pretraining as study
from benchmarks._ecgfm_choice import LABELS
from benchmarks._ecgfm_report import gains, over_seeds, table_of
from benchmarks._results import command, environment, markdown_table, write_json, write_text
from crtkit.neural import ECGFMPretraining
from crtkit.neural.ecgfm import ECGFM, SIZES
from crtkit.studies.run.output import interval

EPOCHS = 20
REFERENCE, UNTRAINED = "as crtkit-small", "not trained"
#: What each form changes.
FORMS = {
    REFERENCE: {},
    "with the quantizer (2 x 320)": {"quantizer": True},
    "no contrast of segments (CMSC)": {"cmsc": False},
    "no contrast of tokens": {"contrastive": False},
    "no lead masking": {"lead_masking": 0.0},
    UNTRAINED: None,
}
N_LABELS = (100, 342)  # 342: all records of those who give labels


def judge(backbone, tested, device="cpu"):
    """AUC of half of the patients with an even number, of labels from the other half.

    Returns
    -------
    list of dict
        ``label, n, auc`` (of each draw), ``resampled`` (patients drawn again), ``n_positive,
        n_tested``.
    """
    number = tested["table"]["patient_id"].astype(int).to_numpy()
    rows = np.flatnonzero(number % 2 == 0)
    # Of these, the half that gives labels is what `aucs` calls even.
    part = {"patients": tested["patients"][rows], "even": number[rows] % 4 == 0}
    E = study.embed(backbone, tested["signals"][rows], "layers", device)
    giving, found = np.flatnonzero(part["even"]), []
    for label, column in LABELS.items():
        y = tested["table"][column].to_numpy().astype(int)[rows]
        for n in sorted({min(n, len(giving)) for n in N_LABELS}):
            scores = []
            for seed in range(study.DRAWS if n < len(giving) else 1):
                train = study.draw(y, giving, n, seed)
                model = LogisticRegression(C=study.PENALTY, class_weight="balanced", max_iter=1000)
                model = make_pipeline(StandardScaler(), model).fit(E[train], y[train])
                scores.append(model.decision_function(E[~part["even"]]))
            found.append({"label": label, "n": n, **study.aucs(np.array(scores), y, part)})
    return found


def piece(form, seed, epochs, data, cache, device):
    """Pretrain one form and judge it.

    Returns
    -------
    dict
    """
    options = Namespace(data=Path(data), cache=Path(cache))
    start = time.process_time()
    if FORMS[form] is None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            backbone, loss = ECGFM(SIZES["small"]).eval(), None
    else:
        signals, patients, _ = study.pooled(options)
        start = time.process_time()
        settings = {**study.SETTINGS, "max_epochs": epochs, **FORMS[form]}
        model = ECGFMPretraining(**settings, device=device, random_state=seed)
        model.fit(signals, groups=patients)
        backbone, loss = model.module_.backbone, model.loss_curve_[-1]
    seconds = time.process_time() - start
    rows = judge(backbone, study.tested_of(options), device)
    made = {"form": form, "seed": seed, "seconds": seconds, "loss": loss}
    return {**made, "rows": rows, "environment": environment(device)}


def table(found):
    """One row per form: seconds, and for each label and number the AUC and its difference.

    Parameters
    ----------
    found : list of dict
        Of :func:`piece`.

    Returns
    -------
    DataFrame
    """
    asked = {}
    for one in found:
        for row in one["rows"]:
            key = one["form"], row["label"], row["n"]
            asked.setdefault(key, []).append({**row, "form": one["form"]})
    rows = [over_seeds(own) for own in asked.values()]
    auc = table_of(rows, ["form", "label", "n"]).set_index(["form", "label", "n"])["auc"]
    less = {
        (row.form, row.label, row.n): f"{row.difference:+.3f} "
        f"({interval(row.ci_low, row.ci_high, '+')})"
        for row in gains(rows, ["label", "n"], "form", REFERENCE).itertuples()
    }
    shown = {}
    for form in (name for name in FORMS if name in auc.index.get_level_values(0)):
        own = [one for one in found if one["form"] == form]
        shown[form] = {"seeds": len(own), "seconds": f"{np.mean([o['seconds'] for o in own]):.0f}"}
        for label, n in dict.fromkeys(key[1:] for key in auc.index):
            name = f"{label}, {n} labels"
            shown[form][name] = f"{auc[form, label, n]:.3f}"
            shown[form][f"{name}, difference"] = less.get((form, label, n), "–")
    return pd.DataFrame(shown).T.rename_axis("form")


def run(options):
    """Train and judge what is missing, and write the table.

    Returns
    -------
    str
        The table.
    """
    if options.data is None:
        raise ValueError("give --data, or set CRTKIT_DATA, to the folder of the open ECGs.")
    options.cache.mkdir(parents=True, exist_ok=True)
    given = (options.epochs, str(options.data), str(options.cache), options.device)
    # Seed by seed, so that a run cut short has every form.
    pieces = {
        f"{number}-{options.epochs}-{seed}": (form, seed, *given)
        for seed in range(options.seeds)
        for number, form in enumerate(FORMS)
    }
    whole = _slices.fill(options.cache / "forms", piece, pieces, minutes=options.minutes)
    found = [_slices.read(options.cache / "forms", name) for name in pieces]
    found = [one for one in found if one is not None]
    shown = table(found)
    rows = found[0]["rows"]
    judged = {row["label"]: f"{row['n_positive']} {row['label']}" for row in rows}
    processors = sorted({one["environment"]["cpu"] for one in found})
    card = (
        f"Own pretraining of size small, {options.epochs} epochs, real open ECGs; AUC of frozen "
        "embeddings (all layers) and logistic regression, mean over thirty draws of the labelled "
        "records and over seeds; differences are against the first row, 95 % intervals from "
        f"{study.BOOTSTRAP} resamples of the judged patients ({rows[0]['n_tested']} records, "
        f"{' and '.join(judged.values())}), fits held. Seconds of one processor core, "
        f"{', '.join(processors)}."
    )
    text = f"**What each part of the pretraining is worth.** {card}\n\n{markdown_table(shown)}"
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / "forms.csv", shown.to_csv())
    write_text(options.out / "forms.md", text + "\n")
    write_json(
        options.out / "forms.json",
        {
            "benchmark": "ecgfm_forms",
            "whole": whole,
            "settings": {**study.SETTINGS, "max_epochs": options.epochs},
            "forms": FORMS,
            "found": found,
        },
    )
    return text if whole else f"{text}\n\nnot whole: the same command goes on"


def main(arguments=None):
    """Run from the command line."""
    out = argparse.ArgumentParser(
        prog="python -m benchmarks.ecgfm_forms", description=__doc__.splitlines()[0]
    )
    out.add_argument("--data", type=Path, default=os.environ.get("CRTKIT_DATA"))
    out.add_argument("--cache", type=Path, default=Path("build/ecgfm_pretraining"))
    out.add_argument("--epochs", type=int, default=EPOCHS)
    out.add_argument("--seeds", type=int, default=2)
    out.add_argument("--device", default="cpu")
    out.add_argument("--minutes", type=float, default=np.inf, help="begin no further form after")
    out.add_argument("--out", type=Path, default=study.OUT)
    return command(run, out.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
