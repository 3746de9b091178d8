"""``crtkit.predict``: a saved model on one new patient or on another hospital's table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import is_path
from crtkit.persistence.contract import describe_model
from crtkit.persistence.held_out import possible_classes, risk_intervals, withheld
from crtkit.persistence.ranges import outside, outside_signals
from crtkit.persistence.records import Records, expected_signal, gather
from crtkit.persistence.saving import Bundle, read_bundle

COLUMNS = (
    *("risk", "low", "high", "threshold", "answer", "possible"),
    *("abstained", "quality", "reasons"),
)


def predict(
    bundle: Any,
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    max_bad_leads: int | None = 0,
    allow_outside: bool = False,
    conformal: bool = True,
    digitizer: Any = None,
    pictures: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Answer for new records with a saved model, or say why not.

    Parameters
    ----------
    bundle : path-like, Bundle or fitted estimator
        File of :func:`crtkit.save`; a fitted estimator is taken as it is, without knowledge of its
        training cohort.
    data : path-like, ECG, ndarray, Cohort, DataFrame, or a sequence of paths, ECGs and arrays
        An ECG file of any format that :func:`crtkit.readers.read_ecg` reads, a page, a table
        (CSV, TSV, Excel, Parquet; no labels needed), or what is in memory already. Signals of other
        rates, lengths and orders of leads are brought to those of the training cohort; an array
        states neither and must have the training cohort's shape, rate and unit (millivolt).
    columns : dict, optional
        ``{name in the table: name that the model knows}``, as ``{"QRS": "qrs_duration_ms"}``.
    max_bad_leads : int or None, default=0
        Leads that may fail :func:`crtkit.signals.signal_quality` before a record is refused; None
        does not measure the quality.
    allow_outside : bool, default=False
        Answer also where a variable lies beyond the training cohort's lowest or highest hundredth
        (their means) by more than a quarter of their distance, or the leads' height, the median
        over leads of the 1st to 99th percentile in time, above twice or below half of that range;
        the reason is told either way.
    conformal : bool, default=True
        Withhold the answer where either class is possible, or none, if the bundle was saved with
        ``held_out=``.
    digitizer : ECGDigitizer, optional
        Reads pages for a model of signals, at the model's rate; a page prints 2.5 s of most leads,
        so the model must take NaN. Without it pages are refused.
    pictures : path-like, optional
        Folder that gets one PNG for each answered record: attribution over the trace for networks
        of signals, Grad-CAM for networks of pages, contributions of the features for LightGBM and
        linear models. Adds the column ``picture``.

    Returns
    -------
    DataFrame of shape (n_records, 9)
        Indexed by record. ``risk`` of the bundle's positive class (0 to 1; NaN where the model has
        no probabilities, or the record is refused), ``low`` and ``high`` (95 % interval of the
        share of positives among held-out patients of similar risk; NaN where there were none),
        ``threshold``, ``answer`` (a class, or None),
        ``possible`` (tuple of the classes that cannot be ruled out; None where no sets were
        calibrated), ``abstained`` (an answer was withheld, or the record was refused), ``quality``
        (share of usable leads; of a digitised page, the confidence of its reading; NaN without
        signals) and ``reasons``.

    Raises
    ------
    BundleError, FileNotFoundError, ValueError, TypeError
        The bundle or all of the data cannot be read; columns that the model reads are absent;
        ``pictures`` of a model that none can be drawn for.

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
    >>> list(table.columns)[:5]
    ['risk', 'low', 'high', 'threshold', 'answer']
    """
    bundle = open_bundle(bundle)
    contract, training = bundle.manifest["contract"], bundle.manifest.get("training")
    if _takes_arrays(contract) and isinstance(data, np.ndarray):
        records = Records(pd.DataFrame(index=range(len(data))), list(map(str, range(len(data)))))
        records.reasons = [[] for _ in range(len(data))]
        return _answer(bundle, records, lambda kept: data[kept], None, conformal, pictures)
    records = gather(data, contract, training, columns, digitizer)
    quality, remarks = _look_at_signals(records, contract, training, max_bad_leads)
    for own, more in zip(remarks, outside(records.X, training)):
        own.extend(more)
    # What is outside of the training range is a reason to abstain unless the caller says otherwise.
    if not allow_outside:
        for own, more in zip(records.reasons, remarks):
            own.extend(more)
    table = _answer(bundle, records, records.rows, quality, conformal, pictures)
    if allow_outside:
        table["reasons"] = [
            "; ".join(filter(None, [own, *more])) for own, more in zip(table["reasons"], remarks)
        ]
    return table


def open_bundle(bundle: Any) -> Bundle:
    """A bundle from its path, from itself, or around a fitted classifier.

    Parameters
    ----------
    bundle : path-like, Bundle or fitted classifier

    Returns
    -------
    Bundle
    """
    if isinstance(bundle, Bundle):
        return bundle
    if is_path(bundle):
        return read_bundle(bundle)
    if hasattr(bundle, "predict"):
        name = type(bundle).__name__
        return Bundle(bundle, {"name": name, **describe_model(bundle), "training": None}, "")
    raise TypeError(
        "predict and evaluate_bundle expect the path of a bundle, a Bundle or a fitted classifier, "
        f"got {bundle!r}."
    )


def _takes_arrays(contract: Mapping[str, Any]) -> bool:
    """Whether a model takes an array that nothing is known about but its width."""
    return not contract["columns"] and not (
        contract["unit"] == "mV" and len(contract["shape"] or ()) == 2
    )


def _answer(bundle, records: Records, rows, quality, conformal: bool, pictures) -> pd.DataFrame:
    """Table of answers; ``rows(kept)`` gives what the model takes for some of the records."""
    model, label = bundle.model, bundle.manifest["label"]
    n = len(records.names)
    answer, risk = np.full(n, None, dtype=object), np.full(n, np.nan)
    for row, (value, p) in _ask(model, label, records, rows).items():
        answer[row], risk[row] = value, p
    sets = bundle.manifest.get("conformal")
    possible = possible_classes(sets, label, risk)
    # After the model's own answer, which is replaced: the risk stays for whoever wants it.
    if conformal:
        for row, classes in enumerate(possible):
            if classes is not None and (reason := withheld(classes, sets["alpha"])):
                answer[row] = None
                records.reasons[row].append(reason)
    share = risk_intervals(sets, risk)
    threshold = np.nan if label["threshold"] is None else label["threshold"]
    table = pd.DataFrame(
        {
            "risk": risk,
            "low": share[:, 0],
            "high": share[:, 1],
            "threshold": np.full(n, threshold),
            "answer": pd.Series(answer, dtype=object),
            "possible": pd.Series(possible, dtype=object),
            "abstained": pd.isna(answer),
            "quality": np.full(n, np.nan) if quality is None else quality,
            "reasons": ["; ".join(reasons) for reasons in records.reasons],
        }
    )[list(COLUMNS)]
    table.index = pd.Index(records.names, name="record")
    if pictures is not None:
        table["picture"] = _pictures(bundle, records, rows, np.isfinite(risk), pictures)
    return table


def _ask(model, label, records: Records, rows) -> dict[int, tuple[Any, float]]:
    """Answer and risk by record; what the model itself refuses becomes a reason."""
    kept = records.answerable()
    if not len(kept):
        return {}
    try:
        return dict(zip(kept, _ask_together(model, label, rows(kept))))
    except (ValueError, OSError):
        # A page that cannot be read or a value that is missing must not cost the others theirs.
        answered = {}
        for row in kept:
            try:
                answered[row] = _ask_together(model, label, rows(np.array([row])))[0]
            except (ValueError, OSError) as error:
                why = (str(error) or repr(error)).splitlines()[0]
                records.reasons[row].append(f"the model refused it: {why}")
        return answered


def _ask_together(model, label, X) -> list[tuple[Any, float]]:
    # Objects keep labels of any type, and the None of a model that abstains.
    answers = np.asarray(model.predict(X), dtype=object)
    risk = np.full(len(answers), np.nan)
    if hasattr(model, "predict_proba") and label["positive"] is not None:
        risk = model.predict_proba(X)[:, label["classes"].index(label["positive"])]
    return list(zip(answers, risk))


def _pictures(bundle, records: Records, rows, answered, folder) -> list[str]:
    from crtkit.persistence.pictures import draw

    manifest = bundle.manifest
    fs = expected_signal(manifest["contract"], manifest.get("training"))[0]
    kept = np.flatnonzero(answered)
    names = [records.names[row] for row in kept]
    # Where sets withhold the answer a picture is drawn all the same: it shows what pulls both ways.
    paths = [""] * len(records.names)
    if len(kept):
        positive = manifest["label"]["positive"]
        drawn = draw(bundle.model, rows(kept), names, Path(folder), positive=positive, fs=fs)
        for row, path in zip(kept, drawn):
            paths[row] = path
    return paths


def _look_at_signals(
    records: Records, contract, training, max_bad_leads: int | None
) -> tuple[np.ndarray, list[list[str]]]:
    """Share of usable leads and remarks on range; records with too few leads get a reason."""
    from crtkit.cohort import Select
    from crtkit.signals import signal_quality

    n = len(records.names)
    quality, remarks = np.full(n, np.nan), [[] for _ in range(n)]
    for row, confidence in records.confidence.items():
        quality[row] = confidence
    fs, leads, _ = expected_signal(contract, training)
    # Refused records hold None, which no stack of arrays takes.
    kept = records.answerable()
    if "signal" not in records.X or not len(kept):
        return quality, remarks
    signals = np.asarray(Select("signal").fit_transform(records.X.iloc[kept]))
    for row, more in zip(kept, outside_signals(signals, training)):
        remarks[row] = more
    # Most leads of a page are blank most of the time: its reading has a confidence instead.
    printed = np.isin(kept, list(records.confidence))
    kept, signals = kept[~printed], signals[~printed]
    if max_bad_leads is None or fs is None or not len(kept):
        return quality, remarks
    measured = signal_quality(signals, fs, lead_names=list(leads))
    usable = measured["usable"].groupby(level="record", sort=False)
    quality[kept] = usable.mean().to_numpy()
    for row, bad in zip(kept, (usable.size() - usable.sum()).to_numpy()):
        if bad > max_bad_leads:
            records.reasons[row].append(f"{bad} lead(s) are unusable")
    return quality, remarks
