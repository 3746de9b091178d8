"""Readers of the labelled real ECGs: shards of twelve leads, and LUDB with its hand marks."""

import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit.signals import LEADS_12

# Leads whose samples a shard holds as differences in time.
_DIFFERENCED = [0, 1, 6, 7, 8, 9, 10, 11]


@dataclass(frozen=True)
class HandMarks:
    """What readers marked on one LUDB record; samples, a row per beat and a column per lead."""

    r: np.ndarray
    qrs_onset: np.ndarray
    qrs_offset: np.ndarray
    p_onset: np.ndarray
    t_end: np.ndarray


def read_shards(folder, units_per_mv):
    """Records of a folder of shards in millivolt, with their labels.

    Parameters
    ----------
    folder : path-like
        With ``labels.csv``, whose columns ``shard`` and ``row`` say where each record is.
    units_per_mv : float

    Returns
    -------
    signals : ndarray of shape (n_records, 12, n_samples), float32
    labels : DataFrame
        In the same order.
    """
    folder = Path(folder)
    labels = pd.read_csv(folder / "labels.csv")
    parts = {name: read_shard(folder / name) for name in labels["shard"].unique()}
    rows = [parts[shard][row] for shard, row in zip(labels["shard"], labels["row"])]
    return np.stack(rows).astype(np.float32) / np.float32(units_per_mv), labels


def read_shard(path):
    """Twelve leads of a compressed shard, (n, 12, n_samples) int16; see :func:`decode_leads`."""
    with lzma.open(path) as file:
        return decode_leads(np.load(file, allow_pickle=False))


def decode_leads(stored):
    """Samples of twelve leads from time differences and from what the limb leads' laws leave.

    Parameters
    ----------
    stored : ndarray of shape (n_records, 12, n_samples)
        Leads I, II and V1 to V6 as differences in time, the others as what they differ by from
        their sums of I and II; all modulo 2**16.

    Returns
    -------
    ndarray of int16, same shape
    """
    y = stored.astype(np.int32)
    x = y.copy()
    x[:, _DIFFERENCED] = np.cumsum(y[:, _DIFFERENCED], axis=2)
    x = x.astype("<i2").astype(np.int32)
    one, two = x[:, 0], x[:, 1]
    x[:, 2] += two - one
    x[:, 3] -= (one + two) // 2
    x[:, 4] += (2 * one - two) // 2
    x[:, 5] += (2 * two - one) // 2
    return x.astype("<i2")


def read_ludb(folder):
    """Records of LUDB with their hand marks.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    signals : list of ndarray of shape (12, n_samples)
        Millivolt, 500 Hz.
    marks : list of HandMarks
    labels : DataFrame
        ``labels_qrs.csv``, in the same order.
    """
    import wfdb

    folder = Path(folder)
    labels = pd.read_csv(folder / "labels_qrs.csv")
    signals, marks = [], []
    for record in labels["record"]:
        stem = str(folder / "data" / str(record))
        signals.append(wfdb.rdrecord(stem).p_signal.T.astype(float))
        marks.append(_beats([_waves(wfdb.rdann(stem, lead.lower())) for lead in LEADS_12]))
    return signals, marks, labels


def _waves(annotation):
    """(symbol, onset, peak, end) of every wave of one lead."""
    samples, symbols = annotation.sample, annotation.symbol
    waves = []
    for k, symbol in enumerate(symbols):
        if symbol in "pNt":
            opened = k > 0 and symbols[k - 1] == "("
            closed = k + 1 < len(symbols) and symbols[k + 1] == ")"
            onset = float(samples[k - 1]) if opened else np.nan
            end = float(samples[k + 1]) if closed else np.nan
            waves.append((symbol, onset, float(samples[k]), end))
    return waves


def _beats(leads):
    """Marks of all leads, beat by beat; beats marked in fewer than ten leads are left out."""
    peaks = np.sort([peak for waves in leads for symbol, _, peak, _ in waves if symbol == "N"])
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > 60) + 1)
    centres = np.array([np.median(group) for group in groups if len(group) >= 10])
    arrays = np.full((4, len(centres), 12), np.nan)
    for lead, waves in enumerate(leads):
        for symbol, onset, peak, end in waves:
            since = peak - centres
            if symbol == "N" and (near := np.abs(since) < 80).any():
                arrays[:2, near, lead] = np.array([[onset], [end]])
            elif symbol == "p" and (near := (since < 0) & (since > -200)).any():
                arrays[2, np.flatnonzero(near)[0], lead] = onset
            elif symbol == "t" and (near := (since > 20) & (since < 300)).any():
                arrays[3, np.flatnonzero(near)[-1], lead] = end
    return HandMarks(centres, *arrays)
