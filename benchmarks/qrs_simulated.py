"""QRS measurements on simulated cohorts: ``python -m benchmarks.qrs_simulated [--out FOLDER]``.

Rule
----
The cohort of mori2025 as ``make_cohort`` simulates it, signals only. Measured against true QRS
duration and PR interval (Bland and Altman: bias, SD, limits of agreement), by morphology; LBBB,
RBBB and pacing against the morphology that was simulated. Then 300 patients of each study with an
ECG: the AUC of QRS duration, LBBB, QRS area and a guideline's ECG part **as measured from the
signal**, beside the true values and the best AUC that can be reached from the signal. Tables,
pictures and ``results.json`` go to the folder; the guide on QRS measurements shows them.

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

from benchmarks._results import environment, markdown_table, save_figure, write_json, write_text
from crtkit import QRSMeasurements, Select
from crtkit.datasets import make_cohort
from crtkit.signals import median_beat, plot_median_beat, plot_vector_loop
from crtkit.statistics import delong_interval

GOALS = {"bias_ms": 2.0, "sd_ms": 8.0}
STUDIES = {"mori2025": "response", "he2023": "response", "lvsd2026": "LVEF < 40 %"}
RULES = {
    "QRS duration": "qrs_duration_ms",
    "LBBB, conventional": "lbbb_conventional",
    "LBBB, strict": "lbbb_strict",
    "QRS area": "qrs_area_uVs",
}
STATED = "Simulated patients."


def measure_cohort(n_patients=None, seed=0, study="mori2025"):
    """Measurements of a simulated cohort beside its truth.

    Parameters
    ----------
    n_patients : int, default=None
        None takes the paper's number, 285 for mori2025.
    seed : int, default=0
    study : str, default="mori2025"

    Returns
    -------
    table : DataFrame
        Measurements, and ``true_…`` columns of the cohort.
    cohort : Cohort
    """
    cohort = make_cohort(study, n_patients, random_state=seed)
    signals = Select("signal").fit_transform(cohort.X)
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
        # Missing ones are counted beside: dropping hard records silently would flatter the rule.
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
    """AUC of each measured rule for the label, and its part of the best reachable AUC.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_cohort`.
    cohort : Cohort

    Returns
    -------
    DataFrame
        One row a rule: ``n`` measured, ``auc, ci_low, ci_high`` (DeLong), ``auc_truth`` of the true
        duration or of the table's LBBB, ``attained``: (AUC - 0.5) / (best - 0.5).
    """
    y = (np.asarray(cohort.y) == np.unique(cohort.y)[1]).astype(int)
    best = cohort.info["best_auc"]["signal"]["auc"]
    scores = {name: table[column].astype(float) for name, column in RULES.items()}
    wide = table["qrs_duration_ms"] >= 150
    scores["LBBB and QRS >= 150 ms"] = (wide & (table["lbbb_conventional"] == 1)).astype(float)
    lbbb = cohort.X["lbbb"].astype(float)
    truths = {
        "QRS duration": table["true_qrs_duration_ms"],
        "LBBB, conventional": lbbb,
        "LBBB and QRS >= 150 ms": (lbbb * (table["true_qrs_duration_ms"] >= 150)).astype(float),
    }
    rows = {}
    for name, score in scores.items():
        there = score.notna().to_numpy()
        found = delong_interval(y[there], score.to_numpy()[there]).iloc[0]
        rows[name] = {
            "n": int(there.sum()),
            **{key: float(found[key]) for key in ("auc", "ci_low", "ci_high")},
            "auc_truth": _auc(y, truths[name]) if name in truths else np.nan,
            # Share of what any model could gain over chance, since cohorts differ in their ceiling.
            "attained": (found["auc"] - 0.5) / (best - 0.5),
        }
    rows["best reachable"] = {"n": len(y), "auc": best, "attained": 1.0}
    return pd.DataFrame(rows).T.rename_axis("rule")


def _auc(y, score):
    return float(delong_interval(y, score.to_numpy(dtype=float)).iloc[0]["auc"])


def all_rules(n_patients, seed=0):
    """:func:`rules` of every study with an ECG, one below the other."""
    parts = {}
    for study, label in STUDIES.items():
        parts[f"{study}, {label}"] = rules(*measure_cohort(n_patients, seed, study))
    return pd.concat(parts, names=["cohort"])


def run(n_patients=None, n_each=300, seed=0):
    """Every table of this benchmark, and the measurements behind them.

    Parameters
    ----------
    n_patients : int, default=None
    n_each : int, default=300
        Patients of each study in the table of rules.
    seed : int, default=0

    Returns
    -------
    result : dict
    table : DataFrame
    """
    table, _ = measure_cohort(n_patients, seed)
    duration = bland_altman(table, "qrs_duration_ms")
    bias, sd = duration.loc["all", ["bias", "sd"]]
    result = {
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
        "rules": all_rules(n_each, seed).reset_index().set_index("cohort"),
    }
    return result, table


def _goal(value, goal):
    return {"goal": goal, "value": round(float(value), 3), "met": bool(value <= goal)}


def plot_bland_altman(table):
    """Measured less true QRS duration over their mean, one colour a morphology.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_cohort`.

    Returns
    -------
    Figure
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    found, truth = table["qrs_duration_ms"], table["true_qrs_duration_ms"]
    for kind, part in table.groupby("true_morphology"):
        here = part.index
        apart = found[here] - truth[here]
        axes.plot((found[here] + truth[here]) / 2, apart, ".", ms=5, label=f"{kind} ({len(part)})")
    all_of_them = bland_altman(table, "qrs_duration_ms").loc["all"]
    for key, style in (("bias", "-"), ("low", "--"), ("high", "--")):
        value = all_of_them[key]
        axes.axhline(value, color="0.25", lw=1, ls=style)
        axes.annotate(
            f"{'bias' if key == 'bias' else '95 % limit'} {value:+.1f} ms".replace("-", "−"),
            (1.0, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    axes.set(
        xlabel="mean of measured and true QRS duration (ms)",
        ylabel="measured less true (ms)",
        title=f"{STATED} {int(all_of_them['n'])} records of mori2025",
    )
    axes.legend(fontsize=8, title="simulated morphology", title_fontsize=8, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def pictures():
    """Median beat and vector loop of one simulated record with LBBB, by name."""
    from crtkit.datasets import simulate_ecg

    signal, _ = simulate_ecg("lbbb", 164, random_state=0)
    beat = median_beat(signal, 500)
    return {
        "median_beat": plot_median_beat(beat, simulated=True),
        "vector_loop": plot_vector_loop(beat, simulated=True),
    }


def write(folder, result, table):
    """Tables as CSV, pictures and ``results.json``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shown = result["rules"].reset_index()
    for name in ("auc", "ci_low", "ci_high", "auc_truth", "attained"):
        shown[name] = shown[name].map(lambda value: "–" if pd.isna(value) else f"{value:.3f}")
    shown["n"] = shown["n"].astype(int)
    write_text(folder / "rules.csv", shown.to_csv(index=False))
    agreement = result["qrs_duration_ms"].round(1).reset_index(names="morphology")
    agreement[["n", "missing"]] = agreement[["n", "missing"]].astype(int)
    write_text(folder / "agreement.csv", agreement.to_csv(index=False))
    for name, figure in {"bland_altman": plot_bland_altman(table), **pictures()}.items():
        save_figure(figure, folder / f"{name}.png", dpi=110)
    head = {"benchmark": "qrs_simulated", "environment": environment()}
    write_json(folder / "results.json", head | result)


def main(arguments=None):
    """Run, print and, where asked, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.qrs_simulated",
        description="QRS measurements on simulated cohorts.",
    )
    parser.add_argument("--patients", type=int, help="by default the paper's 285")
    parser.add_argument("--each", type=int, default=300, help="patients per study for the rules")
    parser.add_argument("--out", type=Path, help="folder; without it only printed")
    options = parser.parse_args(arguments)
    result, table = run(options.patients, options.each)
    print(f"{STATED}\n")
    for value in result.values():
        if isinstance(value, pd.DataFrame):
            print(markdown_table(value, digits=2))
    if options.out:
        import matplotlib

        matplotlib.use("Agg")
        write(options.out, result, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
