"""QRS measurements on a simulated cohort: ``python -m benchmarks.qrs_simulated [--out FILE]``.

Rule
----
The cohort of mori2025 as ``make_cohort`` simulates it, signals only. Measured against true QRS
duration and PR interval (Bland and Altman: bias, SD, limits of agreement), by morphology; LBBB,
RBBB and pacing against the morphology that was simulated; and the AUC for response of QRS
duration, LBBB and QRS area **as measured from the signal**, beside the best that can be reached.

Goals
-----
QRS duration: bias within 2 ms, SD within 8 ms.

Non-goals
---------
What the rules would reach in patients: the simulation's outcome depends on QRS duration and
morphology by construction.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._results import environment, markdown_table, write_json
from crtkit import QRSMeasurements, metrics
from crtkit.datasets import make_cohort

GOALS = {"bias_ms": 2.0, "sd_ms": 8.0}
RULES = ("qrs_duration_ms", "lbbb_conventional", "lbbb_strict", "qrs_area_uVs")


def measure_cohort(n_patients=None, seed=0):
    """Measurements of a simulated cohort beside its truth.

    Parameters
    ----------
    n_patients : int, default=None
        None takes the paper's 285.
    seed : int, default=0

    Returns
    -------
    table : DataFrame
        Measurements, and ``true_…`` columns of the cohort.
    cohort : Cohort
    """
    cohort = make_cohort("mori2025", n_patients, random_state=seed)
    signals = np.stack(list(cohort.X["signal"]))
    model = QRSMeasurements(fs=cohort.info["sampling_rate"]).set_output(transform="pandas")
    table = model.fit_transform(signals)
    table.index = cohort.X.index
    truth = cohort.X.filter(regex="^true_(morphology|qrs_duration_ms|pr_ms|heart_rate_bpm)$")
    return pd.concat([table, truth], axis=1), cohort


def bland_altman(table, name):
    """Bias, SD and limits of agreement of a measurement, for all records and by morphology."""
    apart = (table[name] - table[f"true_{name}"]).astype(float)
    parts = {"all": apart, **dict(list(apart.groupby(table["true_morphology"])))}
    rows = {}
    for part, values in parts.items():
        there = values.dropna()
        bias, sd = there.mean(), there.std(ddof=1)
        rows[part] = {
            "n": len(there),
            "missing": len(values) - len(there),
            "bias": bias,
            "sd": sd,
            "low": bias - 1.96 * sd,
            "high": bias + 1.96 * sd,
            "worst": there.abs().max(),
        }
    return pd.DataFrame(rows).T.rename_axis(name)


def classes(table):
    """Share of each simulated morphology that each flag is set in."""
    flags = ["lbbb_conventional", "lbbb_strict", "rbbb", "ivcd", "paced", "arm_leads_swapped"]
    return table.groupby("true_morphology")[flags].mean().rename_axis("simulated morphology")


def rules(table, cohort):
    """AUC of each measured rule for response, and its part of the best reachable AUC."""
    y = np.asarray(cohort.y).astype(int)
    best = cohort.info["best_auc"]["signal"]["auc"]
    rows = {}
    for name in RULES:
        there = table[name].notna().to_numpy()
        auc = metrics.roc_auc(y[there], table[name].to_numpy(dtype=float)[there])
        rows[name] = {"n": int(there.sum()), "auc": auc, "of_best": (auc - 0.5) / (best - 0.5)}
    rows["best reachable from the signal"] = {"n": len(y), "auc": best, "of_best": 1.0}
    return pd.DataFrame(rows).T.rename_axis("measured from the signal")


def run(n_patients=None, seed=0):
    """Every table of this benchmark.

    Parameters
    ----------
    n_patients : int, default=None
    seed : int, default=0

    Returns
    -------
    dict
    """
    table, cohort = measure_cohort(n_patients, seed)
    duration = bland_altman(table, "qrs_duration_ms")
    bias, sd = duration.loc["all", ["bias", "sd"]]
    return {
        "source": "simulated",
        "cohort": "mori2025",
        "seed": seed,
        "goals": {
            "bias_ms": _goal(abs(bias), GOALS["bias_ms"]),
            "sd_ms": _goal(sd, GOALS["sd_ms"]),
        },
        "qrs_duration_ms": duration,
        "pr_ms": bland_altman(table, "pr_ms"),
        "heart_rate_bpm": bland_altman(table, "heart_rate_bpm"),
        "classes": classes(table),
        "rules": rules(table, cohort),
    }


def _goal(value, goal):
    return {"goal": goal, "value": round(float(value), 3), "met": bool(value <= goal)}


def main(arguments=None):
    """Run, print and, where asked, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.qrs_simulated",
        description="QRS measurements on a simulated cohort.",
    )
    parser.add_argument("--patients", type=int, help="by default the paper's 285")
    parser.add_argument("--out", type=Path, help="JSON file; without it only printed")
    options = parser.parse_args(arguments)
    result = run(options.patients)
    print("Simulated patients.\n")
    for value in result.values():
        if isinstance(value, pd.DataFrame):
            print(markdown_table(value, digits=2))
    if options.out:
        head = {"benchmark": "qrs_simulated", "environment": environment()}
        write_json(options.out, head | result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
