"""QRS measurements on real ECGs: ``python -m benchmarks.qrs_real [--data FOLDER] [--out FILE]``.

Rule
----
MIT-BIH (two leads, 360 Hz): in every third 10 s window, the median beat of the beats annotated as
one kind (N, L, R or paced; four at least) and its QRS duration; AUC of duration against N, with
intervals that draw subjects. Vendor files (GE, Philips, and one or two of HL7, SCP-ECG, DICOM):
what the device printed beside what is measured on the same signal. PhysioNet/CinC 2021: duration,
and the criteria, of records with a code for RBBB, LBBB or unspecified intraventricular block
against records with sinus rhythm and no such code; one record per patient. PTB-XL (the shared
patients): flags of block and pacing against the cardiologists' labels; the one threshold that was
tuned there is also chosen in folds by patient, to show the optimism. LUDB: QRS, P and T bounds
against hand marks, by definition; ``quality`` against the error; NeuroKit on the same marks, with
records per second. Challenge 2011, set A: signal quality against readers. ``--pictures`` draws the
records that agree worst; they are of patients and are not part of the project.

Goals
-----
AUC of duration for L against N >= 0.97; QRS duration within 10 ms of what is printed; sensitivity
for complete LBBB >= 0.90 at a specificity >= 0.97 against other blocks and >= 0.995 against NORM,
for complete RBBB >= 0.95, IVCD >= 0.6, pacing >= 0.92; QRS duration within 5 +- 10 ms of LUDB's
marks by the like definition, wide and paced beats too, onset and offset within 6 +- 8 ms; AUC of
signal quality >= 0.90; 100 records per second.

Non-goals
---------
Agreement with the CinC labels of intraventricular block: most stand in records whose QRS is of
normal width, and are called by criteria that are not published. No cohort here has response to CRT.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._qrs_labels import draw_worst, goal_row, labelled_tables, plot_worst
from benchmarks._results import environment, markdown_table, write_json, write_text
from crtkit.datasets import load_mitbih
from crtkit.evaluation import bootstrap_interval
from crtkit.readers import read_ecg
from crtkit.signals import measure_qrs, median_beat, qrs_bounds

GOALS = {"auc_l_against_n": 0.97, "printed_ms": 10.0}
# Prints the longest QRS of a lead, 135 ms, between an onset and an offset 96 ms apart.
UNLIKE = ["129DYPRG_v1.03"]
PRINTED = ("heart_rate_bpm", "pr_ms", "qrs_duration_ms", "qt_ms", "qrs_axis_deg")
KINDS = {"N": "normal", "L": "LBBB", "R": "RBBB", "/": "paced"}
WINDOW_S, EVERY, LEAST_BEATS = 10, 3, 4
SHOWN = {
    "ludb": {
        "bias": "bias",
        "sd": "SD",
        "wide_n": "wide or paced, n",
        "wide_bias": "bias, wide or paced",
        "wide_sd": "SD, wide or paced",
    },
    "peers": {"bias_ms": "bias (ms)", "sd_ms": "SD (ms)", "median_ms": "median (ms)"},
    "ptbxl": {},
    "ludb_peaks": {},
    "ptbxl_peaks": {},
}
SINUS = {"426783006", "426177001", "427084000"}
BLOCKS = {
    "RBBB": {"59118001", "713427006"},
    "LBBB": {"164909002", "733534002"},
    "IVCD": {"698252002"},
}


def mitbih_windows(folder=None, every=EVERY):
    """QRS duration by window and kind of beat.

    Parameters
    ----------
    folder : path-like, default=None
        As in ``load_mitbih``.
    every : int, default=3
        Only every third window is measured.

    Returns
    -------
    DataFrame
        ``record, subject, kind, duration_ms``; a row for each window and kind.
    """
    cohort = load_mitbih(folder, lead="both")
    fs = cohort.info["sampling_rate"]
    n, edge = round(WINDOW_S * fs), round(0.55 * fs)
    rows = []
    for (_, record), subject in zip(cohort.X.iterrows(), cohort.groups):
        signal, beats, symbols = record["signal"], record["beats"], np.asarray(record["symbols"])
        for start in range(0, signal.shape[1] - n + 1, every * n):
            inside = (beats >= start + edge) & (beats < start + n - edge)
            for symbol, kind in KINDS.items():
                peaks = beats[inside & (symbols == symbol)] - start
                if len(peaks) < LEAST_BEATS:
                    continue
                beat = median_beat(signal[:, start : start + n], fs, peaks=peaks)
                duration = np.nan
                if not beat.reason:
                    bounds = qrs_bounds(beat.beat, fs, beat.fiducial, beat.residual)
                    duration = (bounds.offset - bounds.onset) / fs * 1000.0
                rows.append((record["record"], subject, kind, duration))
    return pd.DataFrame(rows, columns=["record", "subject", "kind", "duration_ms"])


def mitbih_aucs(windows, n_bootstrap=2000):
    """AUC of duration for each kind against normal beats, by window and by subject's median."""
    rows = {}
    for kind in ("LBBB", "RBBB", "paced"):
        part = windows[windows["kind"].isin(["normal", kind])].dropna(subset="duration_ms")
        positive = (part["kind"] == kind).astype(int)
        interval = bootstrap_interval(
            positive,
            part["duration_ms"],
            part["subject"],
            n_bootstrap=n_bootstrap,
            random_state=0,
        )
        medians = part.groupby(["kind", "subject"])["duration_ms"].median().reset_index()
        by_subject = bootstrap_interval(
            (medians["kind"] == kind).astype(int),
            medians["duration_ms"],
            medians["subject"],
            n_bootstrap=n_bootstrap,
            random_state=0,
        )
        rows[kind] = {
            "n_windows": int(positive.sum()),
            "n_subjects": int(part.loc[positive == 1, "subject"].nunique()),
            "median_ms": float(part.loc[positive == 1, "duration_ms"].median()),
            "auc": interval.estimate,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "auc_of_subjects": by_subject.estimate,
        }
    return pd.DataFrame(rows).T.rename_axis("against normal")


def vendor_table(folder):
    """Printed and measured values of vendors' files; why, where a file is not read.

    Philips' printed values are those of the record: the QRS duration of 129DYPRG (135 ms) is the
    longest of a lead, and its own onset and offset are 96 ms apart.
    """
    rows = {}
    for path in sorted(Path(folder).glob("*/*")):
        try:
            ecg = read_ecg(path)
        except (ValueError, ImportError) as error:
            rows[path.stem] = {"problem": str(error)}
            continue
        found = measure_qrs(ecg.signal, ecg.fs, lead_names=ecg.lead_names)
        row = {"format": ecg.format, "problem": ""}
        for name in PRINTED:
            row[f"{name}_printed"] = ecg.header["printed"].get(name, np.nan)
            row[name] = found[name]
        rows[path.stem] = row
    return pd.DataFrame(rows).T.rename_axis("file")


def physionet_measurements(folder):
    """Measurements of every record beside its codes."""
    folder = Path(folder)
    labels = pd.read_csv(folder / "labels.csv", dtype=str).set_index("record")
    rows = {}
    for record, label in labels.iterrows():
        header = folder / "records" / f"{record}.hea"
        if not header.is_file():
            continue
        ecg = read_ecg(header)
        signal = ecg.signal[:, : round(WINDOW_S * ecg.fs)]
        male = {"Male": True, "Female": False}.get(label["sex"])
        found = measure_qrs(signal, ecg.fs, lead_names=ecg.lead_names, male=male)
        found.pop("reasons")
        rows[record] = found | {"codes": label["snomed_ct"]}
    return pd.DataFrame(rows).T.rename_axis("record")


def physionet_aucs(table, n_bootstrap=2000):
    """AUC, with intervals, of duration and of the criteria for each block against sinus rhythm."""
    codes = table["codes"].str.split(";").map(set)
    blocked = codes.map(lambda found: bool(found & set.union(*BLOCKS.values())))
    control = codes.map(lambda found: bool(found & SINUS)) & ~blocked
    criteria = {"RBBB": "rbbb", "LBBB": "lbbb_conventional", "IVCD": "ivcd"}
    wanted = {name: codes.map(lambda found, c=c: bool(found & c)) for name, c in BLOCKS.items()}
    wanted["any block"] = blocked
    rows = {}
    for name, positive in wanted.items():
        part = table[positive | control]
        y = positive[part.index].astype(int)
        flags = part[list(criteria.values())].max(axis=1)
        scores = {
            "duration": part["qrs_duration_ms"],
            "criteria": part[criteria[name]] if name in criteria else flags,
            "QRS area": part["qrs_area_uVs"],
        }
        for score, values in scores.items():
            there = values.notna()
            interval = bootstrap_interval(
                y[there],
                values[there].astype(float),
                part.index[there],
                n_bootstrap=n_bootstrap,
                random_state=0,
            )
            rows[name, score] = {
                "n_positive": int(y[there].sum()),
                "n_sinus": int((1 - y[there]).sum()),
                "auc": interval.estimate,
                "ci_low": interval.low,
                "ci_high": interval.high,
            }
    out = pd.DataFrame(rows).T
    out.index = [f"{name}, {score}" for name, score in out.index]
    return out.rename_axis("against sinus rhythm")


def run(data, n_bootstrap=2000, n_jobs=None):
    """Every table of this benchmark.

    Parameters
    ----------
    data : path-like
        The folder that ``CRTKIT_DATA`` names.
    n_bootstrap : int, default=2000
    n_jobs : int, optional
        Processes for PTB-XL.

    Returns
    -------
    dict
    """
    data = Path(data)
    windows = mitbih_windows(data / "mitdb")
    aucs = mitbih_aucs(windows, n_bootstrap)
    vendor = vendor_table(data / "vendor_files")
    physionet = physionet_measurements(data / "ecg12_physionet2021")
    by_record = windows.groupby(["kind", "record"])["duration_ms"]
    auc = float(aucs.loc["LBBB", "auc"])
    goals = {"auc_l_against_n": goal_row(auc, GOALS["auc_l_against_n"], auc >= 0.97)}
    if "qrs_duration_ms" in vendor:
        apart = (vendor["qrs_duration_ms"] - vendor["qrs_duration_ms_printed"]).astype(float).abs()
        apart = apart.drop(UNLIKE, errors="ignore")
        worst, limit = float(apart.max()), GOALS["printed_ms"]
        goals["printed_ms"] = goal_row(worst, limit, worst <= limit)
    numbers = vendor.columns.difference(["format", "problem"])
    vendor[numbers] = vendor[numbers].astype(float).round(1)
    tables, more = labelled_tables(data, n_jobs)
    goals |= more
    return {
        "source": "real",
        "goals": goals,
        "mitbih": aucs,
        "mitbih_unmeasured": int(windows["duration_ms"].isna().sum()),
        "mitbih_records": by_record.agg(["median", "std", "count"]).round(1).reset_index(),
        "vendor": vendor,
        "physionet2021": physionet_aucs(physionet, n_bootstrap),
        **tables,
        "seed": 0,
    }


def write_csv(path):
    """The tables that the guide shows, as CSV files beside the JSON they are read from."""
    tables = json.loads(Path(path).read_text(encoding="utf-8"))
    for name in SHOWN:
        if name in tables:
            table = pd.DataFrame(tables[name])
            table.columns = [SHOWN[name].get(column, column) for column in table.columns]
            text = table.to_csv(index=False, float_format="%.4g")
            write_text(path.with_name(f"{path.stem}_{name}.csv"), text)


def main(arguments=None):
    """Run, print and, where asked, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.qrs_real", description="QRS measurements on real ECGs."
    )
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), help="folder of real data")
    parser.add_argument("--out", type=Path, help="JSON file; without it only printed")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the worst records")
    parser.add_argument("--jobs", type=int, help="processes")
    parser.add_argument("--csv", type=Path, help="only write the CSV files of this JSON file again")
    options = parser.parse_args(arguments)
    if options.csv:
        write_csv(options.csv)
        return 0
    if not options.data:
        parser.error("needs --data, or the environment variable CRTKIT_DATA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        result = run(options.data, n_jobs=options.jobs)
    for table in result.values():
        if isinstance(table, pd.DataFrame):
            print(markdown_table(table))
    if options.pictures:
        draw_worst(Path(options.data), result, options.pictures)
    print(markdown_table(pd.DataFrame(result["goals"]).T.rename_axis("figure")))
    if options.out:
        head = {"benchmark": "qrs_real", "environment": environment()}
        write_json(options.out, head | result)
        write_csv(options.out)
        if "ludb_worst" in result:
            plot_worst(Path(options.data), result, options.out.with_name("qrs_real_worst.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
