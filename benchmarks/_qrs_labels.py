"""Tables and goals of the records with readers' labels and marks; pictures of the worst."""

from pathlib import Path

import numpy as np

from benchmarks._qrs_blocks import (
    agreement_with_labels,
    measure_ptbxl,
    missed_and_false,
    nested_broad_r,
)
from benchmarks._qrs_delineation import (
    FS,
    bias_table,
    measure_ludb,
    peers,
    quality_table,
    worst,
)
from benchmarks._qrs_quality import quality_against_readers
from benchmarks._real_ecgs import read_ludb, read_shards
from benchmarks._results import save_figure
from crtkit.signals import median_beat, plot_median_beat

#: Flag, figure and its goal.
BLOCK_GOALS = (
    ("lbbb_conventional", "sensitivity", 0.90),
    ("lbbb_conventional", "specificity_other", 0.97),
    ("lbbb_conventional", "specificity_norm", 0.995),
    ("rbbb", "sensitivity", 0.95),
    ("ivcd", "sensitivity", 0.60),
    ("paced", "sensitivity", 0.92),
)
LIKE = "QRS, two leads, less between medians of marks"
BIAS_MS, SD_MS, QUALITY_AUC, PER_SECOND = 5.0, 10.0, 0.90, 100.0


def labelled_tables(data, n_jobs=None):
    """Tables of the sets that are there, and the goals.

    Parameters
    ----------
    data : Path
    n_jobs : int, optional

    Returns
    -------
    tables, goals : dict
    """
    tables: dict = {}
    goals: dict = {}
    if (data / "ptbxl_500hz").is_dir():
        measured = measure_ptbxl(data / "ptbxl_500hz", n_jobs)
        flags = agreement_with_labels(measured)
        tables |= {
            "ptbxl": flags,
            "ptbxl_nested": nested_broad_r(measured),
            "ptbxl_disagreements": missed_and_false(measured).reset_index(),
        }
        for flag, figure, goal in BLOCK_GOALS:
            value = float(flags.loc[flag, figure])
            goals[f"{flag}_{figure}"] = goal_row(value, goal, value >= goal)
    if (data / "ludb").is_dir():
        marked = measure_ludb(data / "ludb")
        bias = bias_table(marked)
        methods = peers(data / "ludb")
        tables |= {
            "ludb": bias,
            "ludb_quality": quality_table(marked),
            "ludb_worst": worst(marked).reset_index(),
            "peers": methods,
        }
        shift, spread = float(bias.loc[LIKE, "bias"]), float(bias.loc[LIKE, "sd"])
        speed = float(methods.loc["crtkit, two leads", "records_per_s"])
        goals["ludb_bias_ms"] = goal_row(shift, BIAS_MS, abs(shift) <= BIAS_MS)
        goals["ludb_sd_ms"] = goal_row(spread, SD_MS, spread <= SD_MS)
        goals["records_per_s"] = goal_row(speed, PER_SECOND, speed >= PER_SECOND)
    if (data / "cinc2011_seta").is_dir():
        tables["quality"] = quality_against_readers(data / "cinc2011_seta")
        auc = tables["quality"]["auc"]
        goals["quality_auc"] = goal_row(auc, QUALITY_AUC, auc >= QUALITY_AUC)
    return tables, goals


def draw_worst(data, tables, folder):
    """Median beats of the records that agree worst, as PNG files.

    Parameters
    ----------
    data : Path
    tables : dict
        From :func:`labelled_tables`.
    folder : path-like
        Of results; the pictures show patients' data, whose licences ask for attribution.
    """
    import matplotlib.pyplot as plt

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def save(signal, name):
        beat = median_beat(signal, FS)
        if beat.reason:
            return
        figure = plot_median_beat(beat)
        save_figure(figure, folder / f"{name}.png", dpi=80)
        plt.close(figure)

    if "ludb_worst" in tables:
        signals, _, labels = read_ludb(data / "ludb")
        rows = {record: i for i, record in enumerate(labels["record"])}
        for record in tables["ludb_worst"]["record"]:
            save(signals[rows[record]], f"ludb_{record}")
    if "ptbxl_disagreements" in tables:
        signals, labels = read_shards(data / "ptbxl_500hz", 1000)
        table = tables["ptbxl_disagreements"]
        shown = table[table["flag"].isin(["lbbb_conventional", "rbbb"])].head(10)
        for ecg_id, flag in zip(shown["ecg_id"], shown["flag"]):
            row = int(np.flatnonzero(labels["ecg_id"] == ecg_id)[0])
            save(signals[row].astype(float), f"ptbxl_{ecg_id}_{flag}")


def goal_row(value, goal, met):
    """A measured value beside its goal."""
    return {"goal": goal, "value": round(value, 4), "met": bool(met)}
