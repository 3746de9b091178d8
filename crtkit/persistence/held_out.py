"""Conformal sets of a saved model: calibrated on patients that it was not fitted on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from crtkit._labels import class_pair, shared_patients
from crtkit.persistence.ranges import SMALL


def check_apart(cohort: Any, held_out: Any) -> None:
    """Refuse sets that would be calibrated on patients of the fit.

    Parameters
    ----------
    cohort, held_out : Cohort

    Raises
    ------
    ValueError
        They have identifiers of patients in common.
    """
    shared = shared_patients(cohort.groups, held_out.groups)
    if shared:
        raise ValueError(
            f"{len(shared)} patient identifier(s) of held_out= also occur in cohort=, for example "
            f"{shared[:3]}: sets calibrated on patients of the fit would promise too much. Leave "
            "them out of one cohort; if they are other people, prefix the identifiers of each "
            "hospital (groups = 'B-' + groups)."
        )


def calibrate(model: Any, label: dict[str, Any], held_out: Any, alpha: float) -> dict[str, Any]:
    """Thresholds of conformal sets, with what they were taken from.

    Parameters
    ----------
    model : fitted classifier
        With ``predict_proba``, of two classes.
    label : dict
        Of the manifest.
    held_out : Cohort
        Patients that the model was not fitted on.
    alpha : float
        Share of the patients of each class whose own class may be missing from their set.

    Returns
    -------
    dict
        ``alpha, thresholds`` (for the negative and the positive class; None where a class has too
        few patients to be ruled out), ``patients``, and ``shares`` of :func:`observed_shares`.

    Raises
    ------
    ValueError
        No probabilities, labels that differ from the model's, a class with fewer patients than
        may be told of.
    """
    from crtkit.evaluation import conformal_thresholds

    positive = label["positive"]
    if positive is None or not hasattr(model, "predict_proba"):
        raise ValueError("held_out= needs a model of two classes with predict_proba.")
    pair = class_pair("save", held_out.y, order=held_out.info.get("classes"))
    if set(pair) != set(label["classes"]):
        raise ValueError(
            f"held_out= has the classes {list(pair)}, the model {label['classes']}: code both alike"
            " (Cohort.y of one, or the labels of the fit)."
        )
    y_true = np.asarray(held_out.y == positive)
    # Patients, not records: a threshold from five records of one patient is that patient's.
    per_class = [len(np.unique(held_out.groups[y_true == k])) for k in (False, True)]
    if min(per_class) < SMALL:
        raise ValueError(
            f"held_out= has {per_class} patients of the two classes; below {SMALL} a threshold "
            "would tell of single patients."
        )
    risk = model.predict_proba(held_out.X)[:, label["classes"].index(positive)]
    limits = conformal_thresholds(y_true, risk, alpha, groups=held_out.groups, pos_label=True)
    # A threshold is one patient's score. Rounded up it is nobody's, and the sets only grow.
    told = [min(math.ceil(x * 100) / 100, 1.0) if np.isfinite(x) else None for x in limits]
    shares = observed_shares(y_true, risk, held_out.groups)
    return {
        "alpha": alpha,
        "thresholds": told,
        "patients": sum(per_class),
        "shares": shares,
    }


def observed_shares(y_true: np.ndarray, risk: np.ndarray, groups: Any) -> list[dict[str, Any]]:
    """How many of the patients of similar risk were positive, in up to five groups by risk.

    Neighbouring groups are joined until each has five patients of either class.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n_records,)
    risk : ndarray of shape (n_records,)
    groups : array-like of shape (n_records,)

    Returns
    -------
    list of dict
        ``above`` (lower edge of risk, to two digits), ``patients``, ``positive``.
    """
    table = pd.DataFrame({"y": y_true, "risk": risk}).groupby(np.asarray(groups)).mean()
    table = table.sort_values("risk", kind="stable")
    joined: list[pd.DataFrame] = []
    waiting = table.iloc[:0]
    # Five at most: with a hundred held-out patients each interval then has twenty behind it.
    for part in np.array_split(np.arange(len(table)), 5):
        waiting = pd.concat([waiting, table.iloc[part]])
        n_positive = int(waiting["y"].sum())
        if min(n_positive, len(waiting) - n_positive) >= SMALL:
            joined.append(waiting)
            waiting = table.iloc[:0]
    if len(waiting):  # the highest risks lacked one class
        joined = [*joined[:-1], pd.concat([*joined[-1:], waiting])]
    return [
        {
            "above": 0.0 if i == 0 else round(float(part["risk"].iloc[0]), 2),
            "patients": len(part),
            "positive": int(part["y"].sum()),
        }
        for i, part in enumerate(joined)
    ]


def risk_intervals(conformal: dict[str, Any] | None, risk: np.ndarray) -> np.ndarray:
    """95 % interval of the share of positives among held-out patients of similar risk.

    Parameters
    ----------
    conformal : dict or None
        Of :func:`calibrate`.
    risk : ndarray of shape (n_records,)

    Returns
    -------
    ndarray of shape (n_records, 2)
        Wilson's interval; NaN without held-out patients or risk.
    """
    limits = np.full((len(risk), 2), np.nan)
    if conformal is None:
        return limits
    from crtkit.evaluation import wilson_interval

    edges = np.array([part["above"] for part in conformal["shares"]])
    for i in np.flatnonzero(np.isfinite(risk)):
        part = conformal["shares"][max(0, int(np.searchsorted(edges, risk[i], "right")) - 1)]
        limits[i] = wilson_interval(part["positive"], part["patients"])
    return limits


def possible_classes(
    conformal: dict[str, Any] | None, label: dict[str, Any], risk: np.ndarray
) -> list[tuple[Any, ...] | None]:
    """Classes that cannot be ruled out for each risk; None without calibration or risk."""
    if conformal is None:
        return [None] * len(risk)
    from crtkit.evaluation import conformal_sets

    limits = [math.inf if x is None else x for x in conformal["thresholds"]]
    negative = next(value for value in label["classes"] if value != label["positive"])
    names = (negative, label["positive"])
    return [
        tuple(name for name, inside in zip(names, row) if inside) if math.isfinite(p) else None
        for p, row in zip(risk, conformal_sets(risk, limits))
    ]


def withheld(possible: tuple[Any, ...], alpha: float) -> str:
    """Why a set gives no answer; empty where it holds one class."""
    if len(possible) == 1:
        return ""
    if possible:
        return f"both classes are possible at {1 - alpha:.0%}"
    return f"unlike the patients of either class at {1 - alpha:.0%}"


def judge_sets(
    conformal: dict[str, Any] | None, y_true: np.ndarray, risk: np.ndarray, smallest: int
) -> dict[str, Any] | None:
    """How often the sets held the truth elsewhere, by class, and how often they gave no answer.

    Parameters
    ----------
    conformal : dict or None
        Of :func:`calibrate`.
    y_true : ndarray of bool, shape (n_records,)
    risk : ndarray of shape (n_records,)
    smallest : int
        Shares of fewer records than this are not told.

    Returns
    -------
    dict or None
    """
    if conformal is None or not np.isfinite(risk).all():
        return None
    label = {"classes": [False, True], "positive": True}
    sets = possible_classes(conformal, label, risk)
    figures: dict[str, Any] = {"alpha": conformal["alpha"]}
    for name, of_class in (("negative", ~y_true), ("positive", y_true)):
        inside = [bool(truth in own) for own, truth in zip(sets, y_true)]
        figures[f"coverage_{name}"] = _share(np.asarray(inside)[of_class], smallest)
    figures["withheld"] = _share(np.asarray([len(own) != 1 for own in sets]), smallest)
    return figures


def _share(flags: np.ndarray, smallest: int) -> float | None:
    """Share of True, unless it would tell of a few patients."""
    count = int(flags.sum())
    # A share of all or of none tells of a class, one short of it of a patient.
    few = (0 < count < smallest) or (0 < len(flags) - count < smallest)
    return None if few or not len(flags) else round(float(flags.mean()), 4)
