"""The open twelve-lead ECGs that weights are trained on, and who is kept out.

Kept out of the pool, because a table tests on them: the patients with an odd number of PTB-XL's
fold 10, the records of the PhysioNet Challenge 2021 folder (its HRnnnnn are records of PTB-XL) with
their patients, and LUDB. What is left: the other patients of PTB-XL, of whom those with a record in
fold 10 give no labels, Challenge 2011, CODE-15 %.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._real_ecgs import read_shard
from crtkit import Cohort
from crtkit.signals import LEADS_12, resample_leads

TEST_FOLD = 10
SECONDS = 10
LICENCES = {
    "PTB-XL": "CC BY 4.0; Wagner 2020, doi:10.1038/s41597-020-0495-6",
    "Challenge 2011": "ODC-BY 1.0; Silva 2011, PhysioNet/CinC Challenge 2011 set-a",
    "CODE-15 %": "CC BY 4.0; Ribeiro 2020, doi:10.5281/zenodo.4916206",
}


@dataclass(frozen=True)
class Ecgs:
    """Records of one source: signals in mV, (n, 12, n_samples) float32, and a row for each."""

    signals: np.ndarray
    table: pd.DataFrame
    fs: float


def load(folder, fs_in, gain, fs, table=None):
    """Read the records of a folder of shards, in the order of its table.

    Parameters
    ----------
    folder : Path
        With ``labels.csv`` (columns shard, row).
    fs_in, fs : float
        Hz, of the files and of the result.
    gain : float
        Units a millivolt.
    table : DataFrame, optional
        The rows to read; all by default.

    Returns
    -------
    Ecgs
        Shorter records are filled with zeros to ten seconds, longer ones cut.
    """
    table = pd.read_csv(folder / "labels.csv") if table is None else table
    table = table.reset_index(drop=True)
    signals = np.zeros((len(table), 12, round(SECONDS * fs)), dtype=np.float32)
    for name, rows in table.groupby("shard"):
        x = read_shard(folder / name)[rows["row"].to_numpy()].astype(np.float32) / gain
        x = resample_leads(x, fs_in, fs)[..., : signals.shape[2]]
        signals[rows.index, :, : x.shape[2]] = x
    return Ecgs(signals, table, fs)


def ptbxl(data, fs):
    """PTB-XL as it lies in ``data``, with three columns more.

    ``fold10`` marks the patients of fold 10, ``test`` those of them with an odd number, and
    ``pool`` whom weights may be trained on.
    """
    ecgs = load(Path(data) / "ptbxl_500hz", 500, 1000, fs)
    table = ecgs.table
    last = table["patient_id"].isin(table.loc[table["strat_fold"] == TEST_FOLD, "patient_id"])
    elsewhere = set(_challenge_2021(data))
    table["fold10"] = last
    table["test"] = tested = last & (table["patient_id"] % 2 == 1)
    # A record of the Challenge folder is tested there, and so is its patient.
    shared = table.loc[table["ecg_id"].isin(elsewhere), "patient_id"]
    # Some signals are there twice, under two patients.
    copies = table["sha256_dat"].isin(table.loc[tested, "sha256_dat"])
    table["pool"] = ~tested & ~copies & ~table["patient_id"].isin(shared)
    return ecgs


def one_record_each(ecgs, case, wanted):
    """One unpaced record of each patient of PTB-XL: the first, of one who is a case the first case.

    Parameters
    ----------
    ecgs : Ecgs
    case, wanted : bool ndarray of shape (n_records,)
        ``wanted`` are the records to choose from.

    Returns
    -------
    ndarray of int
        Rows, by patient.
    """
    table = ecgs.table
    usable = wanted & (table["pace"] == 0).to_numpy()
    usable &= ecgs.signals.std(axis=2).min(axis=1) > 0  # a lead that was off
    if "duplicate_of" in table:
        usable &= table["duplicate_of"].isna().to_numpy()
    patient = table["patient_id"].to_numpy()
    order = np.lexsort((~case, patient))
    order = order[usable[order]]
    return order[~pd.Series(patient[order]).duplicated().to_numpy()]


def ptbxl_cohort(ecgs, rows, case, label):
    """Cohort of some records of PTB-XL, label 1 for cases."""
    X = pd.DataFrame({"signal": pd.Series(list(ecgs.signals[rows]), dtype=object)})
    info = {
        "name": "PTB-XL 1.0.3 (CC BY 4.0)",
        "source": "real",
        "sampling_rate": ecgs.fs,
        "lead_names": list(LEADS_12),
        "label": label,
    }
    return Cohort(X, case[rows].astype(int), ecgs.table["patient_id"].to_numpy()[rows], info)


def _challenge_2021(data):
    """Numbers in PTB-XL of the records of the Challenge 2021 folder."""
    names = pd.read_csv(Path(data) / "ecg12_physionet2021" / "labels.csv")["record"].astype(str)
    return [int(name[2:]) for name in names if name.startswith("HR")]


def pool(data, fs):
    """Signals of all that may be pretrained on, their patients, and a table of where they are from.

    Returns
    -------
    signals : ndarray of shape (n_records, 12, 10 fs)
    patients : ndarray of str
    table : DataFrame
        ``source, record, patient``.
    """
    data = Path(data)
    first = ptbxl(data, fs)
    keep = first.table["pool"].to_numpy()
    parts = [(first.signals[keep], _named("PTB-XL", first.table[keep], "ecg_id", "patient_id"))]
    ecgs = load(data / "cinc2011_seta", 500, 200, fs)
    parts.append((ecgs.signals, _named("Challenge 2011", ecgs.table, "record", "record")))
    table = pd.read_csv(data / "code15_chagas" / "labels.csv")
    table = table[table["n_samples"] >= 7 * 400]  # two segments of 3.5 s
    ecgs = load(data / "code15_chagas", 400, 1000, fs, table)
    parts.append((ecgs.signals, _named("CODE-15 %", ecgs.table, "exam_id", "patient_id")))
    signals = np.concatenate([part[0] for part in parts])
    table = pd.concat([part[1] for part in parts], ignore_index=True)
    flat = signals.std(axis=(1, 2)) == 0
    # Copies of a record under two names would be each other's negatives.
    _, first_of = np.unique(signals.reshape(len(signals), -1), axis=0, return_index=True)
    kept = np.sort(np.setdiff1d(first_of, np.flatnonzero(flat)))
    table = table.iloc[kept].reset_index(drop=True)
    return signals[kept], table["patient"].to_numpy(), table


def _named(source, table, record, patient):
    patients = [f"{source} {value:.0f}" for value in table[patient]]
    return pd.DataFrame({"source": source, "record": table[record].to_numpy(), "patient": patients})
