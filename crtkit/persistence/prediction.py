"""``crtkit.predict``: a saved model on one new patient or on another hospital's table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crtkit.persistence.contract import describe_model, outside
from crtkit.persistence.records import Records, expected_signal, gather
from crtkit.persistence.saving import Bundle, read_bundle

COLUMNS = ("risk", "threshold", "answer", "abstained", "quality", "reasons")


def predict(
    bundle: Any,
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    max_bad_leads: int | None = 0,
    allow_outside: bool = False,
) -> pd.DataFrame:
    """Answer for new records with a saved model, or say why not.

    Parameters
    ----------
    bundle : path-like, Bundle or fitted estimator
        File of :func:`crtkit.save`; a fitted estimator is taken as it is, without knowledge of its
        training cohort.
    data : path-like, ECG, Cohort, DataFrame, or a sequence of paths and ECGs
        An ECG file of any format that :func:`crtkit.readers.read_ecg` reads, a page, a table
        (CSV, TSV, Excel, Parquet; no labels needed), or what is in memory already. Signals of other
        rates, lengths and orders of leads are brought to those of the training cohort.
    columns : dict, optional
        ``{name in the table: name that the model knows}``, as ``{"QRS": "qrs_duration_ms"}``.
    max_bad_leads : int or None, default=0
        Leads that may fail :func:`crtkit.signals.signal_quality` before a record is refused; None
        does not measure the quality.
    allow_outside : bool, default=False
        Answer also where a variable lies outside the training cohort's 1st to 99th percentile by
        more than a tenth of their distance; the reason is told either way.

    Returns
    -------
    DataFrame of shape (n_records, 6)
        Indexed by record. ``risk`` of the bundle's positive class (0 to 1; NaN where the model has
        no probabilities, or the record is refused), ``threshold``, ``answer`` (a class, or None),
        ``abstained`` (the model itself withheld an answer, or the record was refused), ``quality``
        (share of usable leads, NaN without signals) and ``reasons``.

    Raises
    ------
    BundleError, FileNotFoundError, ValueError, TypeError
        The bundle or all of the data cannot be read; columns that the model reads are absent.

    Examples
    --------
    >>> import os, tempfile
    >>> import crtkit as ck
    >>> from lightgbm import LGBMClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> cohort = ck.datasets.make_cohort("mori2025", n_patients=40, random_state=0)
    >>> booster = LGBMClassifier(verbosity=-1)
    >>> model = make_pipeline(ck.Select("signal"), ck.LeadStatistics(), booster)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> _ = ck.save(model.fit(cohort.X, cohort.y), path, cohort=cohort)
    >>> table = ck.predict(path, cohort.X.iloc[:3])
    >>> list(table.columns)
    ['risk', 'threshold', 'answer', 'abstained', 'quality', 'reasons']
    """
    bundle = _opened(bundle)
    contract, training = bundle.manifest["contract"], bundle.manifest.get("training")
    if isinstance(data, np.ndarray) and not contract["columns"]:
        records = Records(pd.DataFrame(index=range(len(data))), list(map(str, range(len(data)))))
        records.reasons = [[] for _ in range(len(data))]
        return _answer(bundle, records, data, np.full(len(data), np.nan))
    records = gather(data, contract, training, columns)
    quality = _quality(records, contract, training, max_bad_leads)
    remarks = outside(records.X, training)
    if not allow_outside:
        for own, more in zip(records.reasons, remarks):
            own.extend(more)
    table = _answer(bundle, records, records.X, quality)
    if allow_outside:
        table["reasons"] = [
            "; ".join(filter(None, [own, *more])) for own, more in zip(table["reasons"], remarks)
        ]
    return table


def _opened(bundle: Any) -> Bundle:
    if isinstance(bundle, Bundle):
        return bundle
    if isinstance(bundle, (str, os.PathLike)):
        return read_bundle(bundle)
    if hasattr(bundle, "predict"):
        return Bundle(bundle, {**describe_model(bundle), "training": None}, "")
    raise TypeError(
        f"predict expects the path of a bundle, a Bundle or a fitted classifier, got {bundle!r}."
    )


def _answer(bundle: Bundle, records: Records, X: Any, quality: np.ndarray) -> pd.DataFrame:
    model, label = bundle.model, bundle.manifest["label"]
    n = len(records.names)
    table = pd.DataFrame(
        {
            "risk": np.full(n, np.nan),
            "threshold": np.full(n, np.nan if label["threshold"] is None else label["threshold"]),
            "answer": pd.Series([None] * n, dtype=object),
            "abstained": np.ones(n, dtype=bool),
            "quality": quality,
            "reasons": ["; ".join(reasons) for reasons in records.reasons],
        }
    )
    kept = np.flatnonzero([not reasons for reasons in records.reasons])
    if len(kept):
        rows = X.iloc[kept] if isinstance(X, pd.DataFrame) else X[kept]
        answers = np.asarray(model.predict(rows), dtype=object)
        table.loc[kept, "abstained"] = pd.isna(answers)
        table["answer"] = table["answer"].astype(object)
        for row, value in zip(kept, answers):
            table.at[row, "answer"] = value
        if hasattr(model, "predict_proba") and label["positive"] is not None:
            column = label["classes"].index(label["positive"])
            table.loc[kept, "risk"] = model.predict_proba(rows)[:, column]
    table.index = pd.Index(records.names, name="record")
    return table[list(COLUMNS)]


def _quality(records: Records, contract, training, max_bad_leads: int | None) -> np.ndarray:
    """Share of usable leads; records with too few of them get a reason."""
    from crtkit.cohort import Select
    from crtkit.signals import signal_quality

    quality = np.full(len(records.names), np.nan)
    fs, leads, _ = expected_signal(contract, training)
    if max_bad_leads is None or "signal" not in records.X or fs is None:
        return quality
    kept = np.flatnonzero([not reasons for reasons in records.reasons])
    if not len(kept):
        return quality
    signals = np.asarray(Select("signal").fit_transform(records.X.iloc[kept]))
    measured = signal_quality(signals, fs, lead_names=list(leads))
    usable = measured["usable"].groupby(level="record", sort=False)
    quality[kept] = usable.mean().to_numpy()
    for row, bad in zip(kept, (usable.size() - usable.sum()).to_numpy()):
        if bad > max_bad_leads:
            records.reasons[row].append(f"{bad} lead(s) are unusable")
    return quality
