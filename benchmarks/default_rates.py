"""Which learning rate a network should have by default: ``python -m benchmarks.default_rates``.

The rates that papers print belong to their sizes, epochs and batches; at lvsd2026's 5e-6 the small
networks of two cores learn little in twelve epochs. Every network of lvsd2026 (size small, 100 Hz)
learns at each rate from simulated pairs of the study and is judged on other simulated patients,
whom no table of the study holds.

Goals
-----
A default for each network that was tried, and is named as ours.

Non-goals
---------
The best rate for anybody's cohort: search it (``GridSearchCV`` over ``lr``).
"""

import argparse
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from benchmarks import learning
from benchmarks._ecgfm_journal import Journal
from benchmarks._results import Output, command, environment, write_json

STUDY = "lvsd2026"
#: The paper's rate of its baselines first.
RATES = (5e-6, 1e-4, 3e-4, 1e-3, 3e-3)
NETWORKS = ("FCN", "LSTM-FCN", "ResNet", "InceptionTime", "ECG-FM (scratch)")


def run(options):
    """Fit what the journal lacks and the minutes allow; write the table.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    str
    """
    start = time.perf_counter()
    given = Namespace(
        size="small", device=options.device, models=list(NETWORKS), pages=False,
        sizes=[options.n], n_test=options.n_test, random_state=options.random_state, n_jobs=1,
        cache=options.cache,
    )  # fmt: skip
    models = learning.models_of(STUDY, given)
    pool, test = learning.cohorts_of(STUDY, given)

    def rate(network, lr, draw):
        model = clone(models[network])
        model[-1].set_params(lr=lr)
        cell = learning.Cell(STUDY, network, options.n, draw)
        row = learning.fit_cell(cell, model, pool, test, options.random_state)
        return {"roc_auc": row["roc_auc"], "seconds": row["seconds"]}

    tasks = [
        {"network": network, "lr": lr, "draw": draw}
        for draw in range(options.draws)
        for network in NETWORKS
        for lr in RATES
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    made_with = {name: getattr(options, name) for name in ("n", "n_test", "random_state")}
    journal = Journal(options.out / "journal.jsonl", {}, options.minutes, made_with)
    journal.run(tasks, rate)
    return write(options, pd.DataFrame(journal.rows), pool, test, start)


def write(options, rows, pool, test, start):
    """Table of AUCs, and the rate that each network learned best at."""
    stated = (
        f"SIMULATED pairs of {STUDY}: {options.n} patients to learn from, {len(test)} pairs of "
        "others to judge by; networks of size small (100 Hz, twelve epochs, batches of 16)."
    )
    table = rows.pivot_table(index="network", columns="lr", values="roc_auc", aggfunc="mean")
    table = table.loc[[name for name in NETWORKS if name in table.index]]
    best = table.idxmax(axis=1)
    shown = table.map(lambda v: "–" if np.isnan(v) else f"{v:.3f}")
    shown.columns = [f"lr {lr:g}" for lr in table.columns]
    shown["best"] = [f"{lr:g}" for lr in best]
    draws = rows.groupby(["network", "lr"]).size()
    note = f"AUC, mean of {draws.min()} to {draws.max()} draws of the patients learned from."
    output = Output(options.out, "Default learning rates", stated)
    text = output.table("rates", "AUC by learning rate", shown, note)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "default_rates",
            "stated": stated,
            "rows": rows.drop(columns="task").to_dict("records"),
            "best": best.to_dict(),
            "best_auc": pool.info["best_auc"],
            "options": {k: v for k, v in vars(options).items() if isinstance(v, (int, str))},
            "environment": environment(options.device),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    return text


def main(arguments=None):
    """Run from the command line."""
    out = argparse.ArgumentParser(
        prog="python -m benchmarks.default_rates", description=__doc__.splitlines()[0]
    )
    out.add_argument("--n", type=int, default=500, help="patients to learn from")
    out.add_argument("--n-test", type=int, default=750, help="patients that judge")
    out.add_argument("--draws", type=int, default=2)
    out.add_argument("--minutes", type=float, help="begin no further fit after this time")
    out.add_argument("--cache", type=Path, help="folder that keeps the simulated patients")
    out.add_argument("--device", default="cpu")
    out.add_argument("--random-state", type=int, default=0)
    out.add_argument("--out", type=Path, default=Path("results") / "default_rates")
    return command(run, out.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
