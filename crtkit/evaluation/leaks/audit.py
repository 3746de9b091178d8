"""Leaks of a cohort, its models and its splits, listed before anybody believes a figure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from crtkit import metrics
from crtkit._labels import class_pair
from crtkit.cohort import Cohort, Select, shared_records
from crtkit.evaluation.checks import check_cv, inner_split_problems
from crtkit.evaluation.leaks.beats import same_beats
from crtkit.evaluation.leaks.pool import PoolLeakError, check_pool
from crtkit.evaluation.models import name_models
from crtkit.evaluation.requirements import columns_of, frozen_parts
from crtkit.evaluation.splits import as_times
from crtkit.images import UnreadableImageError

__all__ = ["audit_leaks"]

MODALITIES = ("signal", "image", "map")
# A column that tells the classes apart this well by itself is the label in another form.
LABEL_AUC = 0.99
# Two patients' ECGs stay below; the same record filtered, scaled or with noise stays above.
NEAR = 0.99
COARSE = 0.97
# Pages are decoded once more to be compared: seconds for this many, minutes beyond.
MOST_PAGES = 500
# Candidates that are compared in full: where more are alike, the cohort is one record many times.
MOST_PAIRS = 1000
COLUMNS = ["kind", "where", "records", "reason"]


def audit_leaks(
    cohort: Cohort,
    models: Any = None,
    *,
    cv: Any = None,
    pool: Any = None,
    time: str | None = None,
    by: str = "patient",
    beats: bool = True,
) -> pd.DataFrame:
    """Look for what makes a model look better on its test records than on new patients.

    Parameters
    ----------
    cohort : Cohort
    models : dict, classifier or list of classifiers, optional
        As in :func:`crtkit.evaluate`; unfitted.
    cv : splitter or iterable of (train, test), optional
        Splits to check, as positions.
    pool : SimCLR, FrozenEstimator of one, array or paths, optional
        What an encoder was pretrained on; see :func:`check_pool`.
    time : str, optional
        Column of dates or years: training records later than test records are told.
    by : {"patient", "record"}, default="patient"
        "record": labels belong to records, as an ejection fraction measured beside each ECG does,
        and a patient may have both.
    beats : bool, default=True
        Compare the median beats of signals too (20 ms a record).

    Returns
    -------
    DataFrame
        One row per leak, none where there is no leak: ``kind``, ``where`` (column, model or
        split), ``records`` (positions or pairs of them, at most ten) and ``reason``. Kinds:
        "patient on both sides", "two labels", "equal records", "near-equal records", "label
        column", "frozen transform", "inner split", "pool", "later training".

    Raises
    ------
    ValueError
        ``by`` is neither "patient" nor "record", or there is no column ``time``.

    Notes
    -----
    Signals are near-equal where their samples correlate above 0.99, pages where their thumbnails do
    once the form is taken off (:func:`check_pool`): a record that was scaled, filtered or saved
    again under another patient. Signals of eight leads or more are near-equal too where their
    median beats are the same within the noise left in them: another stretch of the same recording.
    Look at such a pair before you leave one out. Another recording of a patient, with electrodes
    placed anew, is as different as a stranger's and is not found (``python -m benchmarks.leaks``).

    A column is the label where its AUC alone is above 0.99, where
    ``info["label_columns"]`` declares it, or where it is one of a simulation's ``true_`` columns
    and a model reads it.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit import Cohort
    >>> from crtkit.evaluation import audit_leaks
    >>> y = np.arange(40) % 2
    >>> X = pd.DataFrame({"age": np.arange(40) * 7 % 31, "lvesv_after": 90.0 - 30 * y})
    >>> audit_leaks(Cohort(X, y, np.arange(40)))[["kind", "where"]].values.tolist()
    [['label column', 'lvesv_after']]
    """
    if by not in ("patient", "record"):
        raise ValueError(f"by must be 'patient' or 'record', got {by!r}.")
    if time is not None and time not in cohort.X:
        raise ValueError(f"time={time!r} is no column of the cohort, only {list(cohort.X)} are.")
    named = {} if models is None else name_models(models)
    rows = [
        *(_two_labels(cohort) if by == "patient" else []),
        *_same_records(cohort, beats=beats),
        *_label_columns(cohort, named),
        *_frozen(cohort, named),
        *(_row("inner split", name, [], why) for name, why in inner_split_problems(named, cohort)),
        *_splits(cohort, cv, time),
    ]
    if pool is not None:
        rows += _pool(pool, cohort)
    return pd.DataFrame(rows, columns=COLUMNS)


def quick_audit(cohort: Cohort, named: dict[str, Any]) -> pd.DataFrame:
    """What :func:`audit_leaks` finds in seconds, for every evaluation.

    Pages are compared by their look up to 500 records, signals by samples and not by beats; splits
    are checked where they are made, and a pool is looked at where a model holds a frozen encoder.

    Parameters
    ----------
    cohort : Cohort
    named : dict of str to classifier

    Returns
    -------
    DataFrame
        As :func:`audit_leaks`; what it names is warned of.
    """
    try:
        same = _same_records(cohort, images=len(cohort) <= MOST_PAGES)
    except UnreadableImageError:  # the loader of the model says what becomes of such files
        same = _same_records(cohort, images=False)
    rows = [  # two labels are refused where patients are scored, and allowed where records are
        *same,
        *_label_columns(cohort, named),
        *_frozen(cohort, named),
    ]
    if rows:
        lines = "".join(f"\n  {row['kind']}, {row['where']}: {row['reason']}" for row in rows)
        warnings.warn(
            f"{len(rows)} leak(s) in this cohort or its models, all in result.leaks_:{lines}",
            UserWarning,
            stacklevel=3,
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(kind: str, where: str, records: Iterable[Any], reason: str) -> dict[str, Any]:
    return {"kind": kind, "where": where, "records": list(records)[:10], "reason": reason}


def _two_labels(cohort: Cohort) -> list[dict[str, Any]]:
    labels = pd.Series(cohort.y).groupby(pd.Series(cohort.groups, dtype=object)).nunique()
    mixed = labels.index[labels > 1].tolist()
    if not mixed:
        return []
    where = np.flatnonzero(np.isin(cohort.groups.astype(str), [str(p) for p in mixed]))
    reason = f"{len(mixed)} patient(s) carry two labels, for example {mixed[:3]}"
    return [_row("two labels", "y", where.tolist(), reason)]


def _same_records(cohort: Cohort, images: bool = True, beats: bool = False) -> list[dict[str, Any]]:
    """Records under several patients, equal by content or nearly."""
    rows, shared = [], shared_records(cohort)
    for column in [name for name in MODALITIES if name in cohort.X]:
        equal = shared[shared["column"] == column]
        pairs = list(zip(equal["other_row"].tolist(), equal["row"].tolist()))
        if pairs:
            reason = f"{len(pairs)} record(s) occur under two patients"
            rows.append(_row("equal records", column, pairs, reason))
        if column == "image" and not images:
            continue
        cells = Select(column).fit_transform(cohort.X)
        known = {i for pair in pairs for i in pair}
        near = [p for p in _near_pairs(column, cells, cohort.groups) if not set(p) <= known]
        if near:
            more = " or more" if len(near) >= MOST_PAIRS else ""
            reason = f"{len(near)}{more} pair(s) of records of different patients are nearly equal"
            rows.append(_row("near-equal records", column, near, reason))
        rate = cohort.info.get("sampling_rate")
        if column == "signal" and beats and rate:
            found = same_beats(cells, cohort.groups, float(rate))
            found = [p for p in found if not set(p) <= known and p not in near]
            if found:
                reason = (
                    f"{len(found)} pair(s) of records of different patients have one median beat, "
                    "within their noise: the same heart under two names? Look at both"
                )
                rows.append(_row("near-equal records", column, found, reason))
    return rows


def _near_pairs(column: str, cells: Any, groups: np.ndarray) -> list[tuple[int, int]]:
    if column == "signal":
        vectors = [_coarse(_float32(cells[i])) for i in range(len(groups))]
        if len({len(v) for v in vectors}) > 1:
            return []
        # Coarse vectors fit into memory where signals do not; the signals decide.
        alike = _alike(np.stack(vectors), groups, COARSE)
        return [
            (i, j)
            for i, j in alike[:MOST_PAIRS]
            if float(_standardised(_float32(cells[i])) @ _standardised(_float32(cells[j]))) > NEAR
        ]
    if column == "image" and len(groups) > 2:
        from crtkit.evaluation.leaks.pool import page_residuals

        return _alike(page_residuals(cells), groups, 0.9)
    return []


def _alike(unit: np.ndarray, groups: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs of rows of different patients whose product is above ``least``."""
    pairs = []
    for start in range(0, len(unit), 256):
        alike = unit[start : start + 256] @ unit.T
        for i, j in zip(*np.nonzero(alike > least)):
            first, second = start + int(i), int(j)
            if first < second and groups[first] != groups[second]:
                pairs.append((first, second))
    return pairs


def _float32(cell: Any) -> np.ndarray:
    return np.asarray(cell, dtype=np.float32)


def _coarse(signal: np.ndarray) -> np.ndarray:
    """A signal in some 4,000 values: means over blocks of samples."""
    n_samples = signal.shape[-1]
    block = max(1, int(np.ceil(signal.size / 4096)))
    whole = n_samples // block * block
    blocks = signal[..., :whole].reshape(*signal.shape[:-1], -1, block)
    return _standardised(blocks.mean(axis=-1))


def _standardised(signal: np.ndarray) -> np.ndarray:
    """Samples of all leads as one vector of length 1, each lead less its mean."""
    there = np.isfinite(signal)
    n = np.maximum(there.sum(axis=-1, keepdims=True), 1)
    mean = np.where(there, signal, 0).sum(axis=-1, keepdims=True) / n
    values = np.where(there, signal - mean, 0).ravel()
    return values / max(float(np.linalg.norm(values)), 1e-12)


def _label_columns(cohort: Cohort, named: dict[str, Any]) -> list[dict[str, Any]]:
    read = {column for model in named.values() for column in columns_of(model)}
    declared = set(cohort.info.get("label_columns", ()))
    _, positive = class_pair("audit_leaks", cohort.y, order=cohort.info.get("classes"))
    truth, rows = cohort.y == positive, []
    for column in cohort.X.columns:
        if column in MODALITIES:
            continue
        reason = ""
        area = _area(cohort.X[column], truth)
        if column in declared and column in read:
            reason = "a model reads it, and info['label_columns'] says it is the label"
        elif str(column).startswith("true_") and column in read:
            reason = "a model reads it, and it is the simulation's truth"
        elif area >= LABEL_AUC and column not in declared:
            reason = f"by itself it has an AUC of {area:.3f}: measured after implantation?"
        if reason:
            rows.append(_row("label column", str(column), [], reason))
    return rows


def _area(column: pd.Series, truth: np.ndarray) -> float:
    """AUC of a column by itself, in its better direction; 0 where it has too few values."""
    try:
        values = pd.to_numeric(column).to_numpy(dtype=float)
    except (ValueError, TypeError):
        try:
            codes = pd.Series(pd.factorize(column)[0])
        except TypeError:  # cells without a hash, such as arrays
            return 0.0
        # A level stands for its share of positives.
        values = pd.Series(truth.astype(float)).groupby(codes).transform("mean").to_numpy()
        if codes.nunique() > max(10, len(codes) // 10):
            return 0.0
    there = ~np.isnan(values)
    n = min((truth & there).sum(), (~truth & there).sum())
    if n < 5:
        return 0.0
    area = metrics.roc_auc(truth[there], values[there], pos_label=True)
    return max(area, 1 - area)


def _frozen(cohort: Cohort, named: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, model in named.items():
        for part in frozen_parts(model):
            inner = part.estimator
            kind = type(inner).__name__
            if hasattr(inner, "pool_hashes_"):
                rows += [{**row, "where": name} for row in _pool(part, cohort)]
                continue
            seen = getattr(inner, "n_samples_seen_", getattr(inner, "n_samples_", None))
            which = "all rows of this cohort" if seen == len(cohort) else "rows that it cannot name"
            reason = f"{kind} is frozen and was fitted on {which}: put it in the pipeline unfitted"
            rows.append(_row("frozen transform", name, [], reason))
    return rows


def _pool(pool: Any, cohort: Cohort) -> list[dict[str, Any]]:
    try:
        check_pool(pool, cohort)
    except PoolLeakError as error:
        records = [record for record, _, _ in error.leaks]
        reasons = sorted({reason for _, _, reason in error.leaks})
        reason = f"{len(records)} record(s) were in the pool ({', '.join(reasons)})"
        return [_row("pool", "pool", records, reason)]
    return []


def _splits(cohort: Cohort, cv: Any, time: str | None) -> list[dict[str, Any]]:
    if cv is None:
        return []
    cv = check_cv(cv)
    if not hasattr(cv, "split") and not isinstance(cv, list):
        raise ValueError("audit_leaks expects cv as a splitter or pairs of (train, test).")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = cv.split(cohort.X, cohort.y, cohort.groups) if hasattr(cv, "split") else cv
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in pairs]
    rows = []
    for number, (train, test) in enumerate(pairs):
        both = np.isin(cohort.groups[test], cohort.groups[train])
        if both.any():
            reason = f"{len(set(cohort.groups[test][both].tolist()))} patient(s) are in both parts"
            records = np.arange(len(cohort))[test][both].tolist()
            rows.append(_row("patient on both sides", f"split {number}", records, reason))
        if time is not None:
            when = as_times(cohort.X[time])
            later = int((when.iloc[train] > when.iloc[test].min()).sum())
            if later:
                reason = f"{later} training record(s) are later than the first test record"
                rows.append(_row("later training", f"split {number}", [], reason))
    return rows
