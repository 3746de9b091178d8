"""Pages as signals for the studies: one folder of pages, or one manifest, feeds every model.

Nothing is learned from the cohort, so pages are digitised once, before any split. What a page does
not print stays unknown to measurements and statistics; models that want whole leads get each lead's
own beat laid at every QRS complex of the page.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import crtkit.images
from crtkit._io import atomic_path
from crtkit.cohort import Cohort
from crtkit.guidelines.reference import measure_missing
from crtkit.images import ECGDigitizer
from crtkit.signals import LEADS_12, locate_qrs

FS = 500
_BEFORE, _AFTER = 0.4, 0.6  # of the median RR interval, around a QRS complex
_LEAST_SHARE = 0.6  # of a beat that a lead must print, for its own beat to be known
_FORMAT = 2  # of the cache: what an earlier crtkit wrote in another one is not read


def whole_leads(signal, fs=FS):
    """Fill what a page does not print of each lead with that lead's own median beat.

    Parameters
    ----------
    signal : array-like of shape (12, n_samples)
        mV; NaN where nothing was printed.
    fs : float
        Hz.

    Returns
    -------
    ndarray of float32, shape (12, n_samples)
        Printed samples are what they were. A lead of which no beat is printed stays NaN.

    Raises
    ------
    ValueError
        Fewer than three beats are seen.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.studies.digitised import whole_leads
    >>> t = np.arange(5000) / 500
    >>> lead = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.02) ** 2)
    >>> page = np.full((12, 5000), np.nan)
    >>> for i in range(12):
    ...     part = slice(1250 * (i // 3), 1250 * (i // 3 + 1))
    ...     page[i, part] = lead[part]
    >>> bool(np.abs(whole_leads(page) - lead).max() < 0.05)
    True
    """
    signal = np.array(signal, dtype=np.float32)
    n_samples = signal.shape[1]
    beats = _beats(signal, fs)
    if len(beats) < 3:
        raise ValueError(f"{len(beats)} beats were seen in {n_samples / fs:g} s, 3 are needed.")
    rr = float(np.median(np.diff(beats)))
    before, after = int(_BEFORE * rr), int(_AFTER * rr)
    for lead in signal:
        printed = np.isfinite(lead)
        if printed.all() or not printed.any():
            continue
        beat = _own_beat(lead, beats, before, after)
        if beat is None:
            lead[:] = np.nan
            continue
        known = np.full(n_samples, np.nan)
        for at in beats:
            first, stop = max(at - before, 0), min(at + after, n_samples)
            known[first:stop] = beat[first - at + before : stop - at + before]
        there = np.flatnonzero(np.isfinite(known))
        # Between beats that are farther apart than usual, the level goes straight on.
        filled = np.interp(np.arange(n_samples), there, known[there])
        lead[~printed] = filled[~printed]
    return signal


def _beats(signal, fs):
    """QRS complexes of a page, on three rows made of whatever leads each second prints."""
    order = np.argsort(~np.isfinite(signal), axis=0, kind="stable")[:3]
    rows = np.take_along_axis(signal, order, axis=0).astype(float)
    seen = np.isfinite(rows)
    if not seen.any(axis=1).all():
        rows, seen = rows[seen.any(axis=1)], seen[seen.any(axis=1)]
    if not len(rows):
        return np.empty(0, dtype=int)
    t = np.arange(signal.shape[1])
    rows = [np.interp(t, t[here], row[here]) for row, here in zip(rows, seen)]
    return np.asarray(locate_qrs(np.array(rows), fs), dtype=int)


def _own_beat(lead, beats, before, after):
    """Median of a lead's printed beats, gaps at its ends bridged; None without one."""
    cut = np.full((len(beats), before + after), np.nan)
    for row, at in zip(cut, beats):
        first, stop = max(at - before, 0), min(at + after, len(lead))
        row[first - at + before : stop - at + before] = lead[first:stop]
    enough = np.isfinite(cut).mean(axis=1) >= _LEAST_SHARE
    if not enough.any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # samples that no beat prints
        beat = np.nanmedian(cut[enough], axis=0)
    there = np.flatnonzero(np.isfinite(beat))
    return np.interp(np.arange(len(beat)), there, beat[there])


class NoPageReadError(ValueError):
    """Not one page of a cohort could be digitised."""


def digitised_cohort(cohort, *, n_jobs=None, cache=None, digitizer=None):
    """Cohort of pages with a column ``signal``, digitised and filled, and what rules read.

    Parameters
    ----------
    cohort : Cohort
        With paths of pages in the column ``image``, and no ``signal``.
    n_jobs : int, optional
        Processes.
    cache : path-like, optional
        Folder in which the signals are kept; they are read again for the same files and code.
    digitizer : ECGDigitizer, optional
        Unfitted; by default at 500 Hz with the default limit of confidence.

    Returns
    -------
    Cohort
        Pages that were read. ``info["flow"]`` counts the others, ``info["digitised"]`` is the
        report of the digitizer.

    Raises
    ------
    NoPageReadError
        A ValueError: no page could be read.
    """
    digitizer = ECGDigitizer(fs=FS, n_jobs=n_jobs) if digitizer is None else digitizer
    paths = cohort.X["image"].to_numpy()
    signals, report = _read(paths, digitizer, cache)
    filled, reasons = [], report["reason"].to_numpy(dtype=object)
    for i, signal in enumerate(signals):
        out = signal
        if reasons[i] is None or pd.isna(reasons[i]):
            try:
                out = whole_leads(signal, digitizer.fs)
            except ValueError as error:
                reasons[i] = str(error)
            else:
                if not np.isfinite(out).all():
                    missing = [n for n, lead in zip(LEADS_12, out) if not np.isfinite(lead).all()]
                    reasons[i] = f"no whole beat of {', '.join(missing)} is printed"
        filled.append(out)
    report["reason"] = reasons
    good = np.array([reason is None or bool(pd.isna(reason)) for reason in reasons])
    if not good.any():
        first = next(iter(reasons))
        raise NoPageReadError(f"None of {len(cohort)} pages can be digitised; the first: {first}.")
    flow = dict(cohort.info.get("flow") or {"pages": len(cohort)})
    if not good.all():
        flow["pages that the digitizer refused"] = -int((~good).sum())
    info = {
        **cohort.info,
        "flow": flow,
        "sampling_rate": float(digitizer.fs),
        "lead_names": list(LEADS_12),
        "digitised": report,
        "assumed": [
            *cohort.info.get("assumed", ()),
            "what a page does not print of a lead is filled with that lead's own median beat",
        ],
    }
    kept = cohort.take(good)
    # Rules read what is printed; only models that want whole leads see filled ones.
    printed = _with_signals(kept, signals[good], info)
    measured, _ = measure_missing(printed)
    return _with_signals(measured, np.stack(filled)[good], measured.info)


def _with_signals(cohort, signals, info):
    cells = pd.Series(list(signals), index=cohort.X.index, dtype=object)
    return Cohort(cohort.X.assign(signal=cells), cohort.y, cohort.groups, info)


def _read(paths, digitizer, cache):
    """Signals and report of pages, from the cache where it holds them."""
    key = _key(paths, digitizer)
    store = None if cache is None else Path(cache) / f"digitised_{key}.npz"
    if store is not None and store.is_file():
        with np.load(store, allow_pickle=False) as held:
            # Not by pandas' reader: it guesses types, and from pandas 3 on takes texts for paths.
            report = json.loads(str(held["report"]))
            table = pd.DataFrame(report["rows"], columns=list(report["dtypes"]))
            return held["signals"], table.astype(report["dtypes"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # refused pages are counted in the flow
        signals = digitizer.fit_transform(list(paths))
    report = digitizer.report_.drop(columns=["boxes", "scale_from"])
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        rows = json.loads(report.to_json(orient="records", double_precision=15))
        text = json.dumps({"rows": rows, "dtypes": report.dtypes.astype(str).to_dict()})
        with atomic_path(store) as part, open(part, "wb") as file:
            np.savez(file, signals=signals, report=text)
    return signals, report


def _key(paths, digitizer):
    """Digest of the files, the digitizer's parameters and its code."""
    files = [(str(path), *_stamp(str(path))) for path in paths]
    how = {k: v for k, v in digitizer.get_params().items() if k != "n_jobs"}
    digest = hashlib.sha256(json.dumps([files, how, _FORMAT], default=str).encode())
    for path in sorted((Path(crtkit.images.__file__).parent / "digitize").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _stamp(path):
    try:
        status = os.stat(path.partition("#")[0])
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns
