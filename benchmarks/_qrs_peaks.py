"""R peaks of lead II: LUDB against hand marks, PTB-XL against what other detectors agree on."""

import warnings

import numpy as np
import pandas as pd

from benchmarks._real_ecgs import read_ludb, read_shards
from crtkit.signals import LEADS_12, detect_r_peaks, locate_qrs, match_beats

FS = 500
LEAD_II = LEADS_12.index("II")
TOLERANCE = 0.15 * FS
# Readers leave beats at the two ends of a record unmarked.
_END_S = 0.15
EVERY = 4


def detectors():
    """Detector of one record by name; peers only where they are installed."""
    found = {
        "crtkit shannon, lead II": lambda leads: detect_r_peaks(leads[LEAD_II], FS),
        "crtkit locate_qrs, 12 leads": lambda leads: locate_qrs(leads, FS),
    }
    try:
        import sleepecg

        found["sleepecg, lead II"] = lambda leads: sleepecg.detect_heartbeats(leads[LEAD_II], FS)
    except ImportError:
        pass
    try:
        from neurokit2 import ecg_clean, ecg_peaks
    except ImportError:
        return found

    def neurokit(leads):
        clean = ecg_clean(leads[LEAD_II], sampling_rate=FS)
        return ecg_peaks(clean, sampling_rate=FS)[1]["ECG_R_Peaks"]

    return {**found, "NeuroKit2, lead II": neurokit}


def peaks_on_ludb(folder):
    """Sensitivity and PPV against the R peaks that readers marked, ends of the records left out.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DataFrame
        A row for each detector.
    """
    signals, marks, _ = read_ludb(folder)
    margin = _END_S * FS
    truth = [(m.r, m.r[0] - margin, m.r[-1] + margin) for m in marks if len(m.r)]
    signals = [signal for signal, m in zip(signals, marks) if len(m.r)]
    rows = {name: _score(peaks, truth) for name, peaks in _run(signals).items()}
    return pd.DataFrame(rows).T.rename_axis("LUDB, against hand marks")


def peaks_on_ptbxl(folder, every=EVERY):
    """Sensitivity and PPV against the beats on which two of the other detectors agree.

    PTB-XL has no beat marks. A detector is judged by beats that two at least of the others have
    within 150 ms, so that none is judged by itself; what all miss is not seen.

    Parameters
    ----------
    folder : path-like
    every : int, default=4
        Only every so manyth record.

    Returns
    -------
    DataFrame
    """
    signals, labels = read_shards(folder, 1000)
    keep = ~labels["sha256_dat"].duplicated().to_numpy()
    signals = signals[keep][::every].astype(float)
    found = _run(signals)
    rows = {}
    for name in found:
        others = [found[other] for other in found if other != name]
        truth = []
        for i in range(len(signals)):
            beats = _agreed([other[i] for other in others])
            truth.append((beats, 0.3 * FS, signals.shape[2] - 0.3 * FS))
        rows[name] = _score(found[name], truth)
    return pd.DataFrame(rows).T.rename_axis("PTB-XL, against two of the others")


def _run(signals):
    found: dict[str, list] = {name: [] for name in detectors()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, detect in detectors().items():
            for leads in signals:
                try:
                    peaks = np.asarray(detect(leads))
                except (ValueError, IndexError, ZeroDivisionError):
                    peaks = np.empty(0, dtype=int)
                found[name].append(peaks)
    return found


def _score(found, truth):
    """Summed counts; a beat or detection outside (first, last) does not count."""
    tp = n_beats = n_found = 0
    for peaks, (beats, first, last) in zip(found, truth):
        pairs = match_beats(peaks, beats, TOLERANCE)
        paired = np.zeros(len(peaks), dtype=bool)
        paired[pairs[:, 0]] = True
        inside = (beats > first) & (beats < last)
        tp += int(inside[pairs[:, 1]].sum())
        n_beats += int(inside.sum())
        # A detection at the edge may belong to a beat that is outside: it is neither.
        n_found += int(((peaks > first) & (peaks < last) & ~paired).sum())
    return {
        "n_beats": n_beats,
        "tp": tp,
        "fp": n_found,
        "sensitivity": tp / n_beats,
        "ppv": tp / (tp + n_found),
    }


def _agreed(others):
    """Beats that two at least of several detectors have, at the first one's place."""
    beats: list[float] = []
    for i, peaks in enumerate(others):
        for j in range(i + 1, len(others)):
            for a, _ in match_beats(peaks, others[j], TOLERANCE):
                if all(abs(peaks[a] - beat) > TOLERANCE for beat in beats):
                    beats.append(float(peaks[a]))
    return np.sort(np.array(beats))
