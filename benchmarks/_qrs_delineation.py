"""QRS, P and T bounds against LUDB's hand marks, by definition; peers and speed in the same run."""

import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks._real_ecgs import read_ludb
from crtkit.signals import LEADS_12, measure_qrs
from crtkit.signals.qrs.record import delineate_record

FS = 500
WIDE = ["clbbb", "crbbb", "nsivcd", "paced"]
LEAD_II = LEADS_12.index("II")


def measure_ludb(folder):
    """What is measured on every record beside what was marked; ms from the record's start.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DataFrame
        Columns come in pairs ``name`` and ``name_marked``; differences of the two are medians over
        the beats that were used.
    """
    signals, marks, labels = read_ludb(folder)
    rows = [_record(signal, mark) for signal, mark in zip(signals, marks)]
    table = pd.DataFrame(rows, index=labels["record"])
    return table.assign(wide=(labels[WIDE].sum(axis=1) > 0).to_numpy())


def _record(signal, marks):
    values = measure_qrs(signal, FS)
    found = delineate_record(signal, FS, LEADS_12)
    beat, bounds = found.beat, found.bounds
    ms = 1000.0 / FS
    onset = found.onset - beat.fiducial
    lead_offset = np.nanmedian(bounds.lead_offset) + 1 - beat.fiducial
    own = {
        "onset": onset,
        "offset": bounds.offset - beat.fiducial,
        "lead_onset": lead_offset - values["qrs_duration_median_ms"] / ms,
        "lead_offset": lead_offset,
        "earliest": bounds.earliest - beat.fiducial,
        "latest": bounds.latest - beat.fiducial,
        "p_onset": onset - values["pr_ms"] / ms,
        "t_end": onset + values["qt_ms"] / ms,
    }
    at = beat.positions[beat.used]
    marked: dict[str, list[float]] = {
        name: []
        for name in ("onset", "offset", "onset_2", "offset_2", "earliest", "latest", "p", "t")
    }
    for r, first, last, p, t in zip(
        marks.r, marks.qrs_onset, marks.qrs_offset, marks.p_onset, marks.t_end
    ):
        nearest = at[np.argmin(np.abs(at - r))] if len(at) else np.inf
        # 120 ms from the nearest used beat, or marked in a few leads only: not the same complex.
        if abs(nearest - r) > 60 or np.isfinite(first).sum() < 8:
            continue
        begin, end = np.sort(first[np.isfinite(first)]), np.sort(last[np.isfinite(last)])
        marked["onset"].append(np.median(begin) - nearest)
        marked["offset"].append(np.median(end) - nearest)
        # The second of the leads, because the rule asks two leads to agree.
        marked["onset_2"].append(begin[1] - nearest)
        marked["offset_2"].append(end[-2] - nearest)
        marked["earliest"].append(begin[0] - nearest)
        marked["latest"].append(end[-1] - nearest)
        for name, wave in (("p", p), ("t", t)):
            if np.isfinite(wave).sum() >= 6:
                marked[name].append(np.nanmedian(wave) - nearest)
    truth = {f"{name}_marked": np.median(v) if v else np.nan for name, v in marked.items()}
    times = {name: value * ms for name, value in (own | truth).items()}
    return times | {"quality": values["quality"], "paced": values["paced"]}


def bias_table(table):
    """Bias and SD by definition, for all records and for wide and paced ones.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ludb`.

    Returns
    -------
    DataFrame
        ms; a row for each quantity and what it is compared with.
    """
    t = table
    marked = t["offset_marked"] - t["onset_marked"]
    own = t["offset"] - t["onset"]
    apart = {
        "onset, two leads, less median of marks": t["onset"] - t["onset_marked"],
        "offset, two leads, less median of marks": t["offset"] - t["offset_marked"],
        "QRS, two leads, less between medians of marks": own - marked,
        "QRS, two leads, less second earliest to second latest mark": own
        - (t["offset_2_marked"] - t["onset_2_marked"]),
        "QRS, any lead, less earliest to latest mark": (t["latest"] - t["earliest"])
        - (t["latest_marked"] - t["earliest_marked"]),
        "onset, median of leads, less median of marks": t["lead_onset"] - t["onset_marked"],
        "offset, median of leads, less median of marks": t["lead_offset"] - t["offset_marked"],
        "QRS, median of leads, less between medians of marks": (t["lead_offset"] - t["lead_onset"])
        - marked,
        "P onset": t["p_onset"] - t["p_marked"],
        "PR": (t["onset"] - t["p_onset"]) - (t["onset_marked"] - t["p_marked"]),
        "T end": t["t_end"] - t["t_marked"],
        "QT": (t["t_end"] - t["onset"]) - (t["t_marked"] - t["onset_marked"]),
    }
    rows = {}
    for name, values in apart.items():
        wide = values[t["wide"]]
        rows[name] = {
            "n": int(values.notna().sum()),
            "bias": values.mean(),
            "sd": values.std(),
            "median": values.median(),
            "wide_n": int(wide.notna().sum()),
            "wide_bias": wide.mean(),
            "wide_sd": wide.std(),
        }
    return pd.DataFrame(rows).T.rename_axis("measured less marked (ms)")


def quality_table(table):
    """How ``quality`` falls with the error of QRS duration.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ludb`.

    Returns
    -------
    dict
        Rank correlation, and the mean absolute error (bias removed) of the worst tenth by quality
        and of the rest.
    """
    error = (table["offset"] - table["onset"]) - (table["offset_marked"] - table["onset_marked"])
    # Without the bias: readers and rule mark different points of one slope.
    error = (error - error.median()).abs().to_numpy()
    order = np.argsort(table["quality"].to_numpy())
    tenth = max(len(order) // 10, 1)
    return {
        "spearman": float(spearmanr(table["quality"], error).statistic),
        "error_worst_tenth_ms": float(error[order[:tenth]].mean()),
        "error_rest_ms": float(error[order[tenth:]].mean()),
    }


def worst(table, n=10):
    """Records whose QRS duration is furthest from the marks."""
    apart = (table["offset"] - table["onset"]) - (table["offset_marked"] - table["onset_marked"])
    order = apart.abs().sort_values(ascending=False).index[:n]
    out = pd.DataFrame({"apart_ms": apart, "quality": table["quality"], "paced": table["paced"]})
    return out.loc[order].rename_axis("record")


def peers(folder, n_records=None):
    """QRS duration by peers on lead II and by crtkit, against the same marks; and the time.

    Parameters
    ----------
    folder : path-like
    n_records : int, optional
        Of the first records only.

    Returns
    -------
    DataFrame
        Peers only where they are installed. ``records_per_s`` is of the processor time of one
        process, for twelve leads by crtkit and for one by the others.
    """
    signals, marks, _ = read_ludb(folder)
    signals, marks = signals[:n_records], marks[:n_records]
    rows = {}
    for name, (measure, lead) in _methods().items():
        start = time.process_time()
        durations = [measure(signal) for signal in signals]
        seconds = time.process_time() - start
        truth = [_marked_duration(mark, lead) for mark in marks]
        apart = np.array(durations) - np.array(truth)
        rows[name] = {
            "n": int(np.isfinite(apart).sum()),
            "bias_ms": np.nanmean(apart),
            "sd_ms": np.nanstd(apart, ddof=1),
            "median_ms": np.nanmedian(apart),
            "records_per_s": len(signals) / seconds,
        }
    return pd.DataFrame(rows).T.rename_axis("method")


def _methods():
    """By name: QRS duration of a record, and the lead whose marks it is compared with."""

    def ours(column):
        return lambda signal: measure_qrs(signal, FS)[column]

    methods = {
        "crtkit, two leads": (ours("qrs_duration_ms"), None),
        "crtkit, median of leads": (ours("qrs_duration_median_ms"), None),
    }
    try:
        import neurokit2
    except ImportError:
        neurokit2 = None
    for method in ("dwt", "peak") if neurokit2 is not None else ():
        methods[f"NeuroKit2 {method}, lead II"] = (
            lambda signal, method=method: _neurokit(neurokit2, signal[LEAD_II], method),
            LEAD_II,
        )
    try:
        import ecgdeli  # a port of the MATLAB toolbox; GPL, so never a dependency
    except ImportError:
        return methods
    methods["ECGdeli, lead II"] = (lambda signal: _ecgdeli(ecgdeli, signal[LEAD_II]), LEAD_II)
    return methods


def _marked_duration(marks, lead):
    """Between medians of marks of all leads, or of one lead; the median over beats."""
    if lead is None:
        begin, end = np.nanmedian(marks.qrs_onset, axis=1), np.nanmedian(marks.qrs_offset, axis=1)
    else:
        begin, end = marks.qrs_onset[:, lead], marks.qrs_offset[:, lead]
    return float(np.nanmedian(end - begin) * 1000.0 / FS)


def _neurokit(neurokit2, lead, method):
    """Median QRS duration by NeuroKit; NaN where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clean = neurokit2.ecg_clean(lead, sampling_rate=FS)
            peaks = neurokit2.ecg_peaks(clean, sampling_rate=FS)[1]["ECG_R_Peaks"]
            waves = neurokit2.ecg_delineate(clean, peaks, sampling_rate=FS, method=method)[1]
        except (ValueError, IndexError, ZeroDivisionError):
            return float("nan")
        begin = waves.get("ECG_R_Onsets", waves.get("ECG_Q_Peaks"))
        end = waves.get("ECG_R_Offsets", waves.get("ECG_S_Peaks"))
        apart = np.array(end, dtype=float) - np.array(begin, dtype=float)
        return float(np.nanmedian(apart) * 1000.0 / FS) if np.isfinite(apart).any() else np.nan


def _ecgdeli(ecgdeli, lead):
    """Median QRS duration by ECGdeli; NaN where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            filtered = ecgdeli.filter_ecg(lead, fs=FS)
            waves = ecgdeli.annotate(filtered, fs=FS).leads[0]
        except (ValueError, IndexError, ZeroDivisionError, RuntimeError):
            return float("nan")
    apart = np.asarray(waves.qrs_off, dtype=float) - np.asarray(waves.qrs_on, dtype=float)
    there = apart[apart > 0]
    return float(np.median(there) * 1000.0 / FS) if len(there) else float("nan")


#: Published, on other records, so that only the size of the errors compares: ms, bias and SD.
PUBLISHED = pd.DataFrame(
    {
        "QRS onset": {"bias": 4.6, "sd": 7.7},
        "T end": {"bias": -1.6, "sd": 18.1},
    }
).T.rename_axis("wavedet of ECG-kit, QT database (Martinez et al., IEEE TBME 51, 2004)")
