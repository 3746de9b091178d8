"""Net benefit of acting on a predicted risk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from crtkit._labels import check_ranked
from crtkit.evaluation.scoring import Part, by_model, patients_of, pooled
from crtkit.evaluation.uncertainty.intervals import patient_weights, percentile_interval

__all__ = ["DEFAULT_THRESHOLDS", "net_benefit"]

DEFAULT_THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))


def net_benefit(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    thresholds: ArrayLike = DEFAULT_THRESHOLDS,
    *,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> np.ndarray:
    """Net benefit of treating whoever has a risk of at least the threshold.

    TP / n - FP / n * t / (1 - t): true positives per patient, less false positives at the exchange
    rate that the threshold t states.

    Parameters
    ----------
    y_true : array-like of shape (n_records,)
        Two labels of any type.
    y_prob : array-like of shape (n_records,)
        Risk of the positive class; all 1 is "treat all", all 0 "treat none".
    thresholds : array-like of shape (n_thresholds,)
        In (0, 1); by default 0.05 to 0.95. A risk equal to the threshold is treated.
    pos_label : label, optional
        By default the larger label.
    sample_weight : array-like of shape (n_records,), optional

    Returns
    -------
    ndarray of shape (n_thresholds,)

    Raises
    ------
    ValueError
        A threshold outside (0, 1), a risk outside [0, 1], or as :func:`crtkit.metrics.roc_auc`.

    References
    ----------
    Vickers and Elkin, Decision curve analysis, Medical Decision Making 26 (2006) 565-574.

    Examples
    --------
    >>> from crtkit.evaluation import net_benefit
    >>> net_benefit([1, 1, 0, 0], [0.9, 0.6, 0.7, 0.1], [0.5, 0.2]).tolist()
    [0.25, 0.4375]
    """
    positive, prob, weight = check_ranked("net_benefit", y_true, y_prob, pos_label, sample_weight)
    if len(prob) and (prob.min() < 0 or prob.max() > 1):
        raise ValueError(
            f"net_benefit expects risks in [0, 1], got {prob.min():g} to {prob.max():g}: a "
            "threshold is a risk. Divide per cent by 100; calibrate decision values first."
        )
    return replicate_benefit(positive, prob, check_thresholds(thresholds), weight[None])[0]


def replicate_benefit(
    y_true: np.ndarray, prob: np.ndarray, thresholds: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Net benefit under many weightings, (n_replicates, n_thresholds)."""
    # A risk at the threshold is treated, as in the reference implementation (dcurves); also where
    # the threshold is 0.30000000000000004, as np.arange makes it.
    treated = prob[:, None] >= thresholds - 1e-12
    total = weights.sum(axis=1, keepdims=True)
    gain = weights @ (treated & y_true[:, None])
    harm = weights @ (treated & ~y_true[:, None]) * (thresholds / (1 - thresholds))
    out = np.full(gain.shape, np.nan)
    return np.divide(gain - harm, total, out=out, where=total > 0)


def check_thresholds(thresholds: Any) -> np.ndarray:
    """Thresholds as an array, all of them in (0, 1)."""
    cuts = np.asarray(thresholds, dtype=np.float64)
    if cuts.ndim != 1 or not len(cuts) or not np.all((cuts > 0) & (cuts < 1)):
        raise ValueError(f"thresholds must be numbers in (0, 1), got {thresholds!r}.")
    return cuts


def decision_table(
    parts: list[Part], thresholds: Any, *, confidence: float, n_bootstrap: int
) -> pd.DataFrame:
    """One row per model and threshold; see ``Evaluation.decision_curve``."""
    cuts, patients, frames = check_thresholds(thresholds), patients_of(parts), []
    models = by_model(parts)
    curves = {}
    for model, own in models.items():
        curves[model] = pooled(own)
        if own[0].kind != "probability":  # without a risk, those it calls positive are treated
            y_pred = np.concatenate([part.y_pred for part in own]).astype(float)
            curves[model] = (*curves[model][:2], y_pred)
    # Treating all or none needs patients only: those of any model, for all test the same.
    group, y_true, _ = pooled(next(iter(models.values())))
    curves["treat all"] = (group, y_true, np.ones(len(y_true)))
    curves["treat none"] = (group, y_true, np.zeros(len(y_true)))
    for model, (group, y_true, score) in curves.items():
        where = np.searchsorted(patients, group)
        value = replicate_benefit(y_true, score, cuts, np.ones((1, len(y_true))))[0]
        drawn = np.concatenate(
            [
                replicate_benefit(y_true, score, cuts, weights[:, where])
                for weights in patient_weights(len(patients), n_bootstrap, 0)
            ]
        )
        limits = [percentile_interval(column, confidence) for column in drawn.T]
        frames.append(
            pd.DataFrame(
                {
                    "model": model,
                    "threshold": cuts,
                    "net_benefit": value,
                    "ci_low": [low for low, _ in limits],
                    "ci_high": [high for _, high in limits],
                    "standardized": value / y_true.mean() if y_true.any() else np.nan,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
