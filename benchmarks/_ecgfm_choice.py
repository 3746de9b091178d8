"""Which pretraining to ship: candidates judged among patients that no table tests.

The patients with an even number of PTB-XL's fold 10 are in the pool without a label. Half of them
(the number halved is even) give the labels here, the others are judged; those with an odd number,
whom the tables test, are not touched.
"""

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._results import environment, markdown_table, write_json, write_text
from crtkit.metrics import roc_auc
from crtkit.neural.ecgfm import SIZES

#: As many weights as fit into 12 MB in half precision, with tokens of 40 ms.
WIDE = replace(
    SIZES["medium"],
    conv_layers=((96, 7, 2), (192, 4, 2)),
    pos_kernel=32,
    activation_dropout=0.0,
    dropout=0.1,
    fs=100,
    normalize="record",
)
#: The network of "small" with tokens of 80 ms.
FINE = replace(SIZES["small"], conv_layers=((48, 7, 4), (160, 4, 2)), pos_kernel=16)
#: What each candidate changes in the settings that the weights are made with.
CANDIDATES = {
    "small, 50 epochs": {"max_epochs": 50},
    "small, 200 epochs": {"max_epochs": 200},
    "small, 200 epochs, quantizer": {"max_epochs": 200, "quantizer": True, "n_negatives": 100},
    "fine tokens, 200 epochs": {"size": FINE, "mask_span": 6, "max_epochs": 200},
    "wide, 100 epochs": {"size": WIDE, "mask_span": 10, "max_epochs": 100, "lr": 7e-4},
    "wide, 300 epochs": {"size": WIDE, "mask_span": 10, "max_epochs": 300, "lr": 7e-4},
    "wide, 300 epochs, quantizer": {
        **{"size": WIDE, "mask_span": 10, "max_epochs": 300, "lr": 7e-4},
        **{"quantizer": True, "n_negatives": 100},
    },
}
LABELS = {"NORM": "norm", "complete LBBB": "clbbb"}
N_LABELS = (100, 400)


def choose(options, train, tested, embed, draw, penalty):
    """Pretrain candidates, judge them, and write the table of all that were.

    Parameters
    ----------
    options : Namespace
        ``candidates`` (None: all), ``cache, device``.
    train : callable
        ``train(changes, target)``: a fitted `ECGFMPretraining`, and a file of its weights.
    tested : dict
        ``signals, table`` of PTB-XL's fold 10.
    embed, draw : callable
        Embeddings of a network, and labelled rows.
    penalty : float
        C of the logistic regression.

    Returns
    -------
    DataFrame
        One row per candidate, label and number of labels.
    """
    for name in options.candidates or CANDIDATES:
        path = kept(options, name)
        if path.exists():
            continue
        start = time.perf_counter()
        changes = {**CANDIDATES[name], "precision": options.precision}
        model = train(changes, kept(options, name, ".safetensors"))
        seconds = time.perf_counter() - start
        rows = judge(model.module_.backbone, tested, embed, draw, penalty)
        row = {"candidate": name, "seed": options.seed, "seconds": round(seconds, 1), "rows": rows}
        row["loss"] = model.loss_curve_[-1]
        write_json(path, {**row, "environment": environment(options.device)})
    found = sorted(options.cache.glob("choice-*.json"))
    made = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    return pd.DataFrame(
        [
            {"candidate": one["candidate"], "seed": one["seed"], "device": _device(one), **row}
            | {"seconds": one["seconds"]}
            for one in made
            for row in one["rows"]
        ]
    )


def judge(backbone, tested, embed, draw, penalty, n_draws=30):
    """AUC on half of the patients with an even number, of labels from the other half.

    Returns
    -------
    list of dict
    """
    number = tested["table"]["patient_id"].astype(int).to_numpy()
    giving = np.flatnonzero(number % 4 == 0)
    judged = np.flatnonzero(number % 4 == 2)
    rows = []
    for embedding in ("last", "layers"):
        E = embed(backbone, tested["signals"], embedding)
        for label, column in LABELS.items():
            y = tested["table"][column].to_numpy().astype(int)
            # The smaller half has fewer than 400 records: then all of them, once.
            for n in sorted({min(n, len(giving)) for n in N_LABELS}):
                areas = []
                for seed in range(n_draws if n < len(giving) else 1):
                    train = draw(y, giving, n, seed)
                    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
                    model = make_pipeline(StandardScaler(), model).fit(E[train], y[train])
                    areas.append(roc_auc(y[judged], model.decision_function(E[judged])))
                rows.append(
                    {"label": label, "n": n, "embedding": embedding, "auc": float(np.mean(areas))}
                )
    return rows


def write(folder, table):
    """The table of candidates, as CSV and Markdown."""
    wide = table.pivot_table(
        index=["candidate", "seed", "seconds"], columns=["label", "n", "embedding"], values="auc"
    )
    wide.columns = [f"{label}, n = {n}, {how}" for label, n, how in wide.columns]
    wide = wide.reset_index().set_index("candidate")
    note = (
        "AUC of frozen embeddings and logistic regression on half of the patients with an even "
        "number of PTB-XL's fold 10, labels from the other half; nobody here is tested elsewhere. "
        f"Trained on {', '.join(sorted(set(table['device'])))}."
    )
    write_text(folder / "choice.csv", wide.to_csv())
    write_text(
        folder / "choice.md", f"**Which pretraining to ship.** {note}\n\n{markdown_table(wide)}"
    )


def _device(one):
    return one["environment"]["device"]


def kept(options, name, suffix=".json"):
    """File of a candidate's figures, or of its weights."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    return options.cache / f"choice-{plain}-{options.seed}{suffix}"
