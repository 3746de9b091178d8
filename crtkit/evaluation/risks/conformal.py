"""Conformal prediction sets: answers that hold both classes where a patient is not clear."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from crtkit._labels import check_groups, check_ranked

__all__ = ["conformal_p_values", "conformal_sets", "conformal_thresholds", "risk_coverage"]

# Rounding must not put a score that equals its threshold outside the set.
_SLACK = 1e-12


def conformal_thresholds(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    alpha: float = 0.1,
    *,
    class_conditional: bool = True,
    groups: ArrayLike | None = None,
    pos_label: Any = None,
) -> np.ndarray:
    """Thresholds on 1 - p(class) from patients that the model was not fitted on.

    The k-th smallest score of a class, k = ceil((n + 1)(1 - alpha)); infinite where k > n: a class
    with too few patients is in every set.

    Parameters
    ----------
    y_true : array-like of shape (n_records,)
        Labels of the calibration part, two of any type.
    y_prob : array-like of shape (n_records,)
        Probability of the positive class.
    alpha : float, default=0.1
        Share of patients whose true class may be missing from their set.
    class_conditional : bool, default=True
        Hold the share in each class (Mondrian), not only over both: with one threshold the rarer
        class pays for the other.
    groups : array-like of shape (n_records,), optional
        Patients; the probabilities of a patient's records are averaged first, for records of one
        patient are not exchangeable with those of another.
    pos_label : label, optional

    Returns
    -------
    ndarray of shape (2,)
        For the negative and the positive class.

    Raises
    ------
    ValueError
        Probabilities outside [0, 1], ``alpha`` outside (0, 1), a patient with two labels.

    References
    ----------
    Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, Springer 2005, section 4.5.

    Examples
    --------
    >>> from crtkit.evaluation import conformal_sets, conformal_thresholds
    >>> y, p = [0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.4, 0.7, 0.9]
    >>> cut = conformal_thresholds(y, p, alpha=0.4)
    >>> conformal_sets([0.2, 0.5, 0.8], cut).tolist()
    [[True, False], [True, True], [False, True]]
    """
    level = _check_alpha(alpha)
    positive, prob = _by_patient("conformal_thresholds", y_true, y_prob, groups, pos_label)
    # One minus the probability of the true class: large where the model was wrong.
    scores = np.where(positive, 1 - prob, prob)
    parts = [scores[~positive], scores[positive]] if class_conditional else [scores, scores]
    return np.array([_quantile(part, level) for part in parts])


def conformal_sets(y_prob: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """Classes that cannot be ruled out, record by record.

    Parameters
    ----------
    y_prob : array-like of shape (n_records,)
        Probability of the positive class.
    thresholds : array-like of shape (2,)
        From :func:`conformal_thresholds`.

    Returns
    -------
    ndarray of bool, shape (n_records, 2)
        Negative and positive class. Both: the model abstains. None: a record unlike any in the
        calibration part.

    Raises
    ------
    ValueError
        Other than two thresholds.

    Examples
    --------
    >>> from crtkit.evaluation import conformal_sets
    >>> conformal_sets([0.1, 0.5], [0.6, 0.3]).tolist()
    [[True, False], [True, False]]
    """
    prob = np.asarray(y_prob, dtype=np.float64)
    limits = np.asarray(thresholds, dtype=np.float64)
    if limits.shape != (2,):
        raise ValueError(f"conformal_sets expects two thresholds, got shape {limits.shape}.")
    return np.stack([prob, 1 - prob], axis=1) <= limits + _SLACK


def conformal_p_values(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    new_prob: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    pos_label: Any = None,
) -> np.ndarray:
    """Conformal p-value of each class for new records, within the class.

    (1 + number of the class's scores at least as large) / (n + 1): a class is in the set of level
    ``alpha`` where it is above ``alpha``.

    Parameters
    ----------
    y_true, y_prob, groups, pos_label
        The calibration part, as in :func:`conformal_thresholds`.
    new_prob : array-like of shape (n_new,)
        Probability of the positive class.

    Returns
    -------
    ndarray of shape (n_new, 2)

    Raises
    ------
    ValueError
        Risks outside [0, 1], or a patient with two labels.

    Examples
    --------
    >>> from crtkit.evaluation import conformal_p_values
    >>> conformal_p_values([0, 0, 0, 1], [0.1, 0.3, 0.6, 0.9], [0.2]).tolist()
    [[0.75, 0.5]]
    """
    positive, prob = _by_patient("conformal_p_values", y_true, y_prob, groups, pos_label)
    new = np.asarray(new_prob, dtype=np.float64)
    # Sorted once, counted by bisection: thousands of new records against thousands of old ones.
    columns = []
    for own, score in ((prob[~positive], new), (1 - prob[positive], 1 - new)):
        own = np.sort(own)
        larger = len(own) - np.searchsorted(own, score - _SLACK)
        columns.append((larger + 1) / (len(own) + 1))
    return np.stack(columns, axis=1)


def risk_coverage(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    pos_label: Any = None,
) -> pd.DataFrame:
    """Error among the patients that are answered, the most certain first.

    Parameters
    ----------
    y_true, y_prob, groups, pos_label
        As in :func:`conformal_thresholds`; of test patients.

    Returns
    -------
    DataFrame
        ``coverage`` (share of patients answered), ``error`` (share of wrong answers among them, by
        the cut 0.5) and ``certainty`` (least max(p, 1 - p) answered), one row per distinct
        certainty.

    Raises
    ------
    ValueError
        Risks outside [0, 1], or a patient with two labels.

    Examples
    --------
    >>> from crtkit.evaluation import risk_coverage
    >>> table = risk_coverage([0, 0, 1, 1], [0.1, 0.6, 0.3, 0.95])
    >>> table[["coverage", "error"]].iloc[[0, -1]].values.tolist()
    [[0.25, 0.0], [1.0, 0.5]]
    """
    positive, prob = _by_patient("risk_coverage", y_true, y_prob, groups, pos_label)
    # Equal certainties are answered together, or the curve would depend on the order of rows.
    certainty = np.maximum(prob, 1 - prob)
    order = np.argsort(-certainty, kind="stable")
    wrong = np.cumsum((prob > 0.5)[order] != positive[order])
    answered = np.arange(1, len(prob) + 1)
    certainty = certainty[order]
    last = np.r_[certainty[1:] != certainty[:-1], True] if len(prob) else np.zeros(0, dtype=bool)
    return pd.DataFrame(
        {
            "coverage": (answered / max(len(prob), 1))[last],
            "error": (wrong / answered)[last],
            "certainty": certainty[last],
        }
    )


def _quantile(scores: np.ndarray, level: Fraction) -> float:
    rank = -((len(scores) + 1) * level.numerator // -level.denominator)  # rounded up, exactly
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else float("inf")


def _check_alpha(alpha: float) -> Fraction:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}.")
    # In floating point (180 + 1)(1 - 0.1) is 162.90000000000001, and 0.8 * 5 may be 4.000...01.
    # A third as a float is nearly one: the fraction that was meant is the simplest so near.
    return 1 - Fraction(float(alpha)).limit_denominator(10**9)


def _by_patient(
    name: str, y_true: Any, y_prob: Any, groups: Any, pos_label: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Positive class and probability of each patient."""
    positive, prob, _ = check_ranked(name, y_true, y_prob, pos_label, None)
    if len(prob) and (prob.min() < 0 or prob.max() > 1):
        raise ValueError(
            f"{name} expects probabilities in [0, 1], got {prob.min():g} to {prob.max():g}."
        )
    if groups is None:
        return positive, prob
    # By patient, as records of one are not exchangeable with others'.
    patients, patient_of = np.unique(check_groups(name, groups, len(prob)), return_inverse=True)
    n_records = np.bincount(patient_of)
    # A patient of two labels has no true class that a set could hold.
    share = np.bincount(patient_of, positive) / n_records
    mixed = patients[(share > 0) & (share < 1)]
    if len(mixed):
        raise ValueError(
            f"{name}: {len(mixed)} patient(s) carry two labels, for example {mixed[:3].tolist()}."
        )
    return share == 1, np.bincount(patient_of, prob) / n_records
