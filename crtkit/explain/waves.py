"""How much of an attribution lies in each lead and in each wave."""

import numpy as np
import pandas as pd

from crtkit._labels import check_groups
from crtkit.signals import LEADS_12, SPLICE_LAYOUTS
from crtkit.signals.qrs.delineate import qrs_bounds
from crtkit.signals.qrs.median_beats import median_beat

#: Seconds that count as P wave before the QRS onset, and as T wave behind its end.
# Wide enough for a long PR interval and for the T wave of a wide complex.
P_SECONDS, T_SECONDS = 0.24, 0.36
WAVES = ("P", "QRS", "T", "rest")
RHYTHM = "rhythm strip"


def signal_lead_share(
    maps, layout=None, *, groups=None, confidence=0.95, n_bootstrap=1000, random_state=0
):
    """Share of each lead in the size of attribution maps.

    Parameters
    ----------
    maps : array-like of shape (n_records, n_leads, n_samples)
        Maps of :func:`attribute`; their size ``|map|`` is summed.
    layout : {"3x4+II", "3x4"} or list of str, optional
        How rows of the maps stand for leads: a layout of :class:`crtkit.LeadSplicer`, or a name a
        row. None is the twelve standard leads.
    groups : array-like of shape (n_records,), optional
        Patients; without it every record counts as one.
    confidence : float, default=0.95
        Of the interval.
    n_bootstrap : int, default=1000
        Draws of patients for the interval.
    random_state : int, default=0
        Of the draws.

    Returns
    -------
    DataFrame
        Index ``lead``; ``share`` (mean over records, 0 to 1), ``ci_low``, ``ci_high``,
        ``n_records``, and ``reason``, why an interval is NaN: one patient, or patients who are
        all alike, have none. A spliced page has its leads and ``"rhythm strip"``. A map of zeros
        has no shares, and is left out.

    Raises
    ------
    ValueError
        Rows that do not fit the layout.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.explain import signal_lead_share
    >>> maps = np.zeros((3, 12, 100))
    >>> maps[:, 7] = 1.0
    >>> float(signal_lead_share(maps).loc["V2", "share"])
    1.0
    """
    maps = np.abs(_maps("signal_lead_share", maps))
    names, masks = [], []
    for name, row, start, stop in lead_windows(layout, *maps.shape[1:]):
        mask = np.zeros(maps.shape[1:], dtype=bool)
        mask[row, start:stop] = True
        names.append(name)
        masks.append(mask)
    mass = np.stack([maps[:, mask].sum(axis=1) for mask in masks], axis=1)
    return _shares(mass, names, "lead", groups, confidence, n_bootstrap, random_state)


def lead_windows(layout, n_rows, n_samples):
    """Where each lead stands in an array of rows.

    Parameters
    ----------
    layout : {"3x4+II", "3x4"}, list of str or None
    n_rows, n_samples : int

    Returns
    -------
    list of (name, row, start, stop)
    """
    if isinstance(layout, str):
        if layout not in SPLICE_LAYOUTS:
            raise ValueError(f"layout must be one of {sorted(SPLICE_LAYOUTS)}, got {layout!r}.")
        rows = SPLICE_LAYOUTS[layout]
    else:
        rows = [(name,) for name in (LEADS_12 if layout is None else layout)]
    if len(rows) != n_rows:
        raise ValueError(f"A layout of {len(rows)} rows does not fit maps of {n_rows}.")
    out = []
    for i, row in enumerate(rows):
        edges = np.arange(len(row) + 1) * n_samples // len(row)
        strip = isinstance(layout, str) and len(row) == 1
        out += [
            (RHYTHM if strip else name, i, int(start), int(stop))
            for name, start, stop in zip(row, edges[:-1], edges[1:])
        ]
    return out


def wave_share(
    maps,
    X,
    fs,
    *,
    lead=None,
    qrs=None,
    groups=None,
    confidence=0.95,
    n_bootstrap=1000,
    random_state=0,
):
    """Share of P, QRS and T windows in the size of attribution maps.

    Parameters
    ----------
    maps : array-like of shape (n_records, n_leads, n_samples)
        Maps of :func:`attribute`; their size ``|map|`` is summed over leads.
    X : array-like of shape (n_records, n_leads, n_samples)
        The signals in millivolt, of the same sampling, in which complexes are located.
    fs : float
        Sampling rate in Hz.
    lead : int, optional
        Row in which complexes are located; None takes all rows together. A spliced page needs its
        rhythm strip, -1: where leads meet, the other rows jump.
    qrs : list of (onsets, offsets), optional
        Seconds, a pair of arrays per record, where complexes are known; X is then not looked at.
    groups, confidence, n_bootstrap, random_state
        As in :func:`signal_lead_share`.

    Returns
    -------
    DataFrame
        Index ``wave`` ("P", "QRS", "T", "rest"); ``share``, ``ci_low``, ``ci_high``,
        ``reason`` (of an interval that is NaN), ``n_records`` (records in which complexes were
        found), and ``time``, the share of the record's time: an attribution that is blind to waves
        has ``share`` equal to it.

    Raises
    ------
    ValueError
        Signals that do not fit the maps in number or length.

    Notes
    -----
    QRS is measured; P is the 240 ms in front of it and T the 360 ms behind it, less what the next
    beat's P and QRS take.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.explain import wave_share
    >>> maps = np.zeros((2, 1, 1000))
    >>> maps[:, 0, 450:550] = 1.0
    >>> table = wave_share(maps, maps, 500, qrs=[([0.9], [1.1])] * 2)
    >>> table["share"].tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    # Size, because attributions for and against the class would cancel in a sum.
    maps = np.abs(_maps("wave_share", maps)).sum(axis=1)
    X = np.asarray(X)
    if len(X) != len(maps) or X.shape[-1] != maps.shape[-1]:
        raise ValueError(f"wave_share: X of shape {X.shape} does not fit the maps.")
    mass = np.full((len(maps), len(WAVES)), np.nan)
    time = np.full_like(mass, np.nan)
    for i, size in enumerate(maps):
        onsets, offsets = _complexes(X[i], fs, lead) if qrs is None else qrs[i]
        # NaN, not zero: a record without complexes says nothing of its waves.
        if not len(onsets):
            continue
        wave = wave_labels(onsets, offsets, fs, maps.shape[1])
        mass[i] = np.bincount(wave, weights=size, minlength=len(WAVES))
        time[i] = np.bincount(wave, minlength=len(WAVES))
    table = _shares(mass, WAVES, "wave", groups, confidence, n_bootstrap, random_state)
    known = np.isfinite(time).all(axis=1)
    if not known.any():
        table["reason"] = "no complexes were found"
    table["time"] = (time[known] / maps.shape[1]).mean(axis=0) if known.any() else np.nan
    return table


def wave_labels(onsets, offsets, fs, n_samples):
    """Wave of each sample, as a position in ``WAVES``.

    Parameters
    ----------
    onsets, offsets : array-like of shape (n_beats,)
        Of the QRS, in seconds.
    fs : float
    n_samples : int

    Returns
    -------
    ndarray of int, shape (n_samples,)

    Examples
    --------
    >>> from crtkit.explain import wave_labels
    >>> labels = wave_labels([0.4], [0.5], fs=10, n_samples=10)
    >>> int((labels == labels[4]).sum())
    1
    """
    out = np.full(n_samples, WAVES.index("rest"))

    def fill(starts, stops, wave):
        for start, stop in zip(starts, stops):
            a, b = np.clip([round(start * fs), round(stop * fs)], 0, n_samples)
            out[a:b] = WAVES.index(wave)

    onsets, offsets = np.asarray(onsets, dtype=float), np.asarray(offsets, dtype=float)
    # Later ones win: a P wave ends the T wave before it, a complex ends both.
    fill(offsets, offsets + T_SECONDS, "T")
    fill(onsets - P_SECONDS, onsets, "P")
    fill(onsets, offsets, "QRS")
    return out


def _maps(who, maps):
    maps = np.asarray(maps, dtype=float)
    if maps.ndim == 2:
        maps = maps[:, None]
    if maps.ndim != 3 or not len(maps):
        raise ValueError(
            f"{who} expects maps of shape (n_records, n_leads, n_samples), got {maps.shape}."
        )
    return maps


def _complexes(record, fs, lead):
    """QRS onsets and offsets of a record in seconds; none where they cannot be measured."""
    record = record if record.ndim == 2 else record[None]
    rows = record if lead is None else record[[lead]]
    beat = median_beat(rows, fs)
    if not beat.beat.size:
        return [], []
    # Bounds of the median beat, laid over every beat: a single beat is too noisy to delineate.
    bounds = qrs_bounds(beat.beat, fs, beat.fiducial, beat.residual)
    if not np.isfinite([bounds.onset, bounds.offset]).all():
        return [], []
    shift = (beat.positions - beat.fiducial) / fs
    return shift + bounds.onset / fs, shift + bounds.offset / fs


def _shares(mass, names, index, groups, confidence, n_bootstrap, random_state):
    """Mean share of each column with an interval by patient."""
    if groups is None:
        groups = np.arange(len(mass))
    groups = check_groups("The share of maps", groups, len(mass))
    total = mass.sum(axis=1)
    kept = np.isfinite(total) & (total > 0)
    out = pd.DataFrame(index=pd.Index(names, name=index))
    if not kept.any():
        return out.assign(
            share=np.nan, ci_low=np.nan, ci_high=np.nan, n_records=0, reason="no map of any size"
        )
    share = mass[kept] / total[kept, None]
    _, patient = np.unique(groups[kept], return_inverse=True)
    # Sums per patient, drawn whole: records of one patient are not independent.
    sums = np.stack([np.bincount(patient, weights=column) for column in share.T])
    counts = np.bincount(patient)
    rng = np.random.default_rng(random_state)
    drawn = rng.integers(len(counts), size=(n_bootstrap, len(counts)))
    means = sums[:, drawn].sum(axis=2) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    # Rounding may leave a few ulps between draws of one and the same share.
    flat = high - low <= 1e-12
    low[flat] = high[flat] = np.nan
    why = "one patient" if len(counts) == 1 else "all patients have the same share"
    return out.assign(
        share=share.mean(axis=0),
        ci_low=low,
        ci_high=high,
        n_records=int(kept.sum()),
        reason=np.where(flat, why, ""),
    )
