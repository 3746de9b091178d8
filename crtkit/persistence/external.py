"""A bundle judged where its patients are: figures leave the hospital, rows do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from crtkit._labels import class_pair
from crtkit.persistence.contract import describe_training
from crtkit.persistence.held_out import judge_sets
from crtkit.persistence.prediction import open_bundle, predict
from crtkit.persistence.ranges import SMALL

METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity", "ppv", "npv")


def evaluate_bundle(
    bundle: Any,
    cohort: Any,
    *,
    pos_label: Any = None,
    smallest: int = SMALL,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: Any = 0,
) -> dict[str, Any]:
    """Judge a frozen model on another hospital's patients, in figures that can be sent back.

    Parameters
    ----------
    bundle : path-like, Bundle or fitted classifier
        Of :func:`crtkit.save`, or a model in memory, fitted on the whole of another cohort. Model
        and threshold stay as they are.
    cohort : Cohort
        With labels. Patients, not records, are drawn for the intervals.
    pos_label : label, optional
        The outcome that the model's positive class stands for. By default the later class in the
        cohort's order, or, where the cohort states none, the bundle's own positive class if the
        labels are the same, and else the larger label.
    smallest : int, default=5
        Smallest number of patients that any count, step of the ROC curve or bin tells of.
    confidence : float, default=0.95
    n_bootstrap : int, default=2000
    random_state : int or RandomState, default=0

    Returns
    -------
    dict
        Plain JSON: ``counts``, ``metrics`` (each with its interval), ``calibration``, ``roc``
        (steps of at least ``smallest`` patients), ``conformal`` (share of each class whose set
        holds it, and of answers withheld; None where the bundle has no sets), ``case_mix`` beside
        the training cohort's, ``refused`` (why records were not answered, counted), ``versions``
        and the bundle's digest. No row, no identifier, and no score of a single patient. A share
        and its denominator tell how many were answered wrongly, as in any paper; not who.

    Raises
    ------
    BundleError, ValueError
        The bundle cannot be read; no record can be answered; not two classes; fewer than twice
        ``smallest`` patients; the cohort's order of the same labels contradicts the bundle's.

    Examples
    --------
    >>> import os, tempfile
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> here = ck.datasets.make_cohort("mori2025", n_patients=80, random_state=0)
    >>> there = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=1)
    >>> model = make_pipeline(ck.Select(["qrs_duration_ms", "lvef"]), LogisticRegression())
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> _ = ck.save(model.fit(here.X, here.y), path, cohort=here)
    >>> answer = ck.persistence.evaluate_bundle(path, there, n_bootstrap=200)
    >>> answer["counts"]["patients"] > 50, sorted(answer["metrics"])[:2]
    (True, ['accuracy', 'npv'])
    """
    from crtkit._io import package_versions

    bundle = open_bundle(bundle)
    label = bundle.manifest["label"]
    if label["positive"] is None:
        raise ValueError("evaluate_bundle judges models of two classes; this one has another task.")
    positive = _positive(cohort, label, pos_label)
    # Sets are judged beside the threshold, so no answer is withheld for them here.
    table = predict(bundle, cohort, conformal=False)
    y_true = np.asarray(cohort.y == positive, dtype=bool)
    kept = ~table["abstained"].to_numpy()
    groups = np.asarray(cohort.groups)[kept]
    n_patients = len(np.unique(groups))
    _check_enough(kept, y_true, n_patients, smallest)
    y_true, answered = y_true[kept], table[kept]
    called = np.asarray([value == label["positive"] for value in answered["answer"]])
    risk = answered["risk"].to_numpy(float)
    options = {"confidence": confidence, "n_bootstrap": n_bootstrap, "random_state": random_state}
    return {
        "format": "crtkit-answer",
        "format_version": 1,
        "bundle": {key: bundle.manifest.get(key) for key in ("name", "digest")},
        "label": {**label, "outcome": str(cohort.info.get("label", ""))},
        "counts": _counts(len(cohort), y_true, called, n_patients, smallest),
        "confidence": confidence,
        "refused": _refusals(table["reasons"][~kept], smallest),
        "metrics": _metrics(y_true, called, risk, groups, options),
        "calibration": _calibration(y_true, risk, groups, options),
        "conformal": judge_sets(bundle.manifest.get("conformal"), y_true, risk, smallest),
        "roc": _roc_steps(y_true, risk, groups, smallest),
        "case_mix": {
            "here": (describe_training(cohort) or {}).get("columns"),
            "training": (bundle.manifest.get("training") or {}).get("columns"),
        },
        "versions": package_versions(),
    }


def _positive(cohort: Any, label: dict[str, Any], pos_label: Any) -> Any:
    """The cohort's positive class; of labels that the bundle has too, it must be the bundle's."""
    order = cohort.info.get("classes")
    pair = class_pair("evaluate_bundle", cohort.y, pos_label, order=order)
    if pos_label is not None or set(pair) != set(label["classes"]):
        return pair[1]
    if order is not None and pair[1] != label["positive"]:
        raise ValueError(
            f"The cohort's order makes {pair[1]!r} the positive class, but the bundle's risk is "
            f"that of {label['positive']!r}. Pass pos_label={label['positive']!r} if the labels "
            f"mean the same in both, pos_label={pair[1]!r} if they are coded the other way round."
        )
    return label["positive"]


def _check_enough(kept: np.ndarray, y_true: np.ndarray, n_patients: int, smallest: int) -> None:
    if not kept.any():
        raise ValueError("The model answered for no record; see the reasons that predict gives.")
    if len(np.unique(y_true[kept])) < 2:
        raise ValueError("All records that were answered are of one class: nothing can be judged.")
    # With fewer, one side of any cut is smaller than what may be told.
    if n_patients < 2 * smallest:
        raise ValueError(
            f"{n_patients} patients were answered; below {2 * smallest} an answer could tell of "
            "single patients."
        )


def _metrics(y_true, called, risk, groups, options) -> dict[str, Any]:
    """Each metric with its interval, patients drawn with all their records."""
    from crtkit import metrics
    from crtkit.evaluation import bootstrap_interval

    figures = {}
    for name in METRICS:
        answer = risk if name == "roc_auc" else called
        # A rule gives answers and no risks: it has no curve.
        if name == "roc_auc" and not np.isfinite(risk).all():
            continue
        interval = bootstrap_interval(y_true, answer, groups, getattr(metrics, name), **options)
        figures[name] = _figure(interval.estimate, interval.low, interval.high)
    return figures


def _calibration(y_true, risk, groups, options) -> dict[str, Any] | None:
    """Slope, intercept, O:E and Brier score; None where the model gives no risks."""
    if not np.isfinite(risk).all() or risk.min() < 0 or risk.max() > 1:
        return None
    from crtkit import metrics
    from crtkit.evaluation import bootstrap_interval, calibration_figures

    figures = calibration_figures(
        y_true, risk, pos_label=True, confidence=options["confidence"]
    )._asdict()
    calibrated = {
        name: _figure(figures[name], figures[f"{name}_low"], figures[f"{name}_high"])
        for name in ("slope", "intercept", "o_e")
    }
    interval = bootstrap_interval(y_true, risk, groups, metrics.brier, **options)
    calibrated["brier"] = _figure(interval.estimate, interval.low, interval.high)
    return calibrated


def _figure(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": _number(value), "ci_low": _number(low), "ci_high": _number(high)}


def _roc_steps(y_true, risk, groups, smallest: int) -> dict[str, Any] | None:
    """Sensitivity and 1 - specificity at cuts with at least ``smallest`` patients between."""
    if not np.isfinite(risk).all():
        return None
    # From the highest risk down; between two cuts stand whole runs of equal scores.
    order = np.argsort(-risk, kind="stable")
    positives = np.cumsum(y_true[order])
    negatives = np.cumsum(~y_true[order])
    last = np.append(np.diff(risk[order]) != 0, True)  # ends of runs of equal scores
    who = np.asarray(groups)[order]
    kept, start = [], 0
    for end in np.flatnonzero(last):
        if len(np.unique(who[start : end + 1])) >= smallest:
            kept.append(end)
            start = end + 1
    # What is left behind the last cut must be as many, or that cut would tell of them.
    if start < len(who) and len(np.unique(who[start:])) < smallest and kept:
        kept.pop()
    sensitivity = [0.0, *(positives[kept] / positives[-1]).tolist(), 1.0]
    fpr = [0.0, *(negatives[kept] / negatives[-1]).tolist(), 1.0]
    rounded = {"sensitivity": sensitivity, "false_positive_rate": fpr}
    return {key: [round(value, 4) for value in values] for key, values in rounded.items()}


def _counts(n_records, y_true, called, n_patients, smallest: int) -> dict[str, Any]:
    """Counts, none of which follows from the others where it is small.

    A class or a cell that is small is withheld with its complement: their sum is told.
    """
    from crtkit import metrics

    cells = metrics.confusion_counts(y_true, called, pos_label=True)
    n_positive = int(y_true.sum())
    pairs = {
        ("positive", "negative"): (n_positive, len(y_true) - n_positive),
        ("true_positive", "false_negative"): (int(cells.tp), int(cells.fn)),
        ("true_negative", "false_positive"): (int(cells.tn), int(cells.fp)),
    }
    told: dict[str, Any] = {"records": n_records, "answered": len(y_true), "patients": n_patients}
    for names, values in pairs.items():
        small = any(0 < value < smallest for value in values)
        for name, value in zip(names, values):
            told[name] = "withheld" if small else value
    return told


def _refusals(reasons: pd.Series, smallest: int) -> dict[str, Any]:
    """Reasons without their numbers: a value of a patient is none of the answer's business."""
    # Grouped by wording, or each patient would be a kind of its own.
    kinds = reasons.str.replace(r"\bis [-+.\deE]+( mV)?, ", "", regex=True)
    kinds = kinds.str.replace(r"^.*cannot be read.*$", "a file cannot be read", regex=True)
    return {str(key): _told(int(n), smallest) for key, n in kinds.value_counts().items()}


def _told(count: int, smallest: int) -> int | str:
    return count if count >= smallest or count == 0 else f"fewer than {smallest}"


def _number(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
