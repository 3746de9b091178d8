"""Tables and goals of the records with readers' labels and marks; pictures of the worst."""

from pathlib import Path

import numpy as np

from benchmarks._qrs_blocks import (
    agreement_with_labels,
    measure_ptbxl,
    missed_and_false,
    nested_broad_r,
    nested_outermost,
)
from benchmarks._qrs_delineation import (
    FS,
    PUBLISHED,
    bias_table,
    measure_ludb,
    peers,
    quality_table,
    worst,
)
from benchmarks._qrs_peaks import peaks_on_ludb, peaks_on_ptbxl
from benchmarks._qrs_quality import quality_against_readers
from benchmarks._real_ecgs import read_ludb, read_shards
from benchmarks._results import save_figure
from crtkit.signals import LEADS_12, median_beat, plot_median_beat
from crtkit.signals.qrs.record import delineate_record

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
            "ptbxl_nested_ivcd": nested_outermost(measured),
            "ptbxl_peaks": peaks_on_ptbxl(data / "ptbxl_500hz"),
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
            "ludb_peaks": peaks_on_ludb(data / "ludb"),
            "peers": methods,
            "published": PUBLISHED,
        }
        shift, spread = float(bias.loc[LIKE, "bias"]), float(bias.loc[LIKE, "sd"])
        speed = float(methods.loc["crtkit, two leads", "records_per_s"])
        for end in ("onset", "offset"):
            row = bias.loc[f"{end}, two leads, less median of marks"]
            goals[f"ludb_{end}_bias_ms"] = goal_row(row["bias"], 6.0, abs(row["bias"]) <= 6.0)
            goals[f"ludb_{end}_sd_ms"] = goal_row(row["sd"], 8.0, row["sd"] <= 8.0)
        wide = float(bias.loc[LIKE, "wide_sd"])
        goals["ludb_wide_sd_ms"] = goal_row(wide, SD_MS, wide <= SD_MS)
        goals["ludb_bias_ms"] = goal_row(shift, BIAS_MS, abs(shift) <= BIAS_MS)
        goals["ludb_sd_ms"] = goal_row(spread, SD_MS, spread <= SD_MS)
        goals["records_per_s"] = goal_row(speed, PER_SECOND, speed >= PER_SECOND)
    if (data / "cinc2011_seta").is_dir():
        tables["quality"] = quality_against_readers(data / "cinc2011_seta")
        auc = tables["quality"]["auc"]
        goals["quality_auc"] = goal_row(auc, QUALITY_AUC, auc >= QUALITY_AUC)
    return tables, goals


def plot_worst(data, tables, path):
    """Ten records of LUDB that agree worst: size of the vector, our bounds, the readers' marks.

    Not the patients' leads: the root of the sum of their squares, of the median beat.

    Parameters
    ----------
    data : Path
    tables : dict
        From :func:`labelled_tables`.
    path : Path
        Of the PNG.
    """
    import matplotlib.pyplot as plt

    signals, marks, labels = read_ludb(data / "ludb")
    rows = {record: i for i, record in enumerate(labels["record"])}
    figure, axes = plt.subplots(2, 5, figsize=(13, 4.6), sharey=False, layout="constrained")
    worst_ten = tables["ludb_worst"]
    for axis, (_, line) in zip(axes.flat, worst_ten.iterrows()):
        signal, mark = signals[rows[line["record"]]], marks[rows[line["record"]]]
        known = delineate_record(signal, FS, LEADS_12)
        beat = known.beat
        time = (np.arange(beat.beat.shape[1]) - beat.fiducial) * 1000.0 / FS
        axis.plot(time, np.sqrt(np.square(np.nan_to_num(beat.beat)).sum(axis=0)), "k", lw=0.9)
        at = beat.positions[beat.used]
        for r, first, last in zip(mark.r, mark.qrs_onset, mark.qrs_offset):
            nearest = at[np.argmin(np.abs(at - r))]
            if abs(nearest - r) <= 60:
                ends = np.concatenate([first, last])
                axis.plot((ends - nearest) * 1000.0 / FS, np.zeros(len(ends)), "|", c="C0", ms=9)
        for end in (known.onset, known.bounds.offset):
            axis.axvline((end - beat.fiducial) * 1000.0 / FS, color="C3", lw=1.2)
        axis.set(xlim=(-220, 220), yticks=[])
        axis.set_title(f"{line['record']:.0f}: {line['apart_ms']:+.0f} ms", fontsize=9)
        axis.set_xlabel("ms", fontsize=8)
    save_figure(figure, path)
    plt.close(figure)


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
