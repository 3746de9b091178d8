"""Calibration and net benefit of every model, from answers pooled over splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation._aggregate import Part
from crtkit.evaluation._summary import by_model, patients_of
from crtkit.evaluation.calibration import (
    Calibration,
    calibration_figures,
    loess,
    slope_and_intercept,
)
from crtkit.evaluation.decision import check_thresholds, replicate_benefit
from crtkit.evaluation.intervals import patient_weights, percentile_interval


def _pooled(parts: list[Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patient, truth and score of every answer of a model, split after split."""
    return (
        np.concatenate([part.group.astype(str) for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.score for part in parts]),
    )


def calibration_table(parts: list[Part], *, confidence: float, n_bootstrap: int) -> pd.DataFrame:
    """One row a model; see ``Evaluation.calibration``."""
    patients, rows = patients_of(parts), {}
    for model, own in by_model(parts).items():
        group, truth, score = _pooled(own)
        row: dict[str, Any] = dict.fromkeys(Calibration._fields, np.nan)
        row["n"] = len(truth)
        if own[0].kind == "probability":
            figures = calibration_figures(truth, score, pos_label=True, confidence=confidence)
            row.update(figures._asdict())
            row.update(_drawn(group, truth, score, patients, confidence, n_bootstrap))
        rows[model] = row
    return pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="model"))


def _drawn(
    group: np.ndarray,
    truth: np.ndarray,
    score: np.ndarray,
    patients: np.ndarray,
    confidence: float,
    n_bootstrap: int,
) -> dict[str, float]:
    where, y = np.searchsorted(patients, group), truth.astype(float)
    values: dict[str, list[float]] = {"slope": [], "intercept": [], "o_e": []}
    for weights in patient_weights(len(patients), n_bootstrap, 0):
        for row in weights:
            weight = row[where]
            (slope, _), (intercept, _) = slope_and_intercept(y, score, weight)
            expected = float(weight @ score)
            values["slope"].append(slope)
            values["intercept"].append(intercept)
            values["o_e"].append(float(weight @ y) / expected if expected > 0 else np.nan)
    limits = {}
    for name, drawn in values.items():
        low, high = percentile_interval(np.array(drawn), confidence)
        limits[f"{name}_low"], limits[f"{name}_high"] = low, high
    return limits


def calibration_curve_table(parts: list[Part], n_points: int) -> pd.DataFrame:
    """Smooth curve of each model with risks; see ``Evaluation.calibration_curve``."""
    frames = []
    for model, own in by_model(parts).items():
        if own[0].kind == "probability":
            _, truth, score = _pooled(own)
            # The outermost risks are too few to smooth over.
            low, high = np.quantile(score, [0.01, 0.99])
            grid = np.linspace(low, high, n_points)
            columns = {"model": model, "predicted": grid, "observed": loess(score, truth, grid)}
            frames.append(pd.DataFrame(columns))
    names = ["model", "predicted", "observed"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def decision_table(
    parts: list[Part], thresholds: Any, *, confidence: float, n_bootstrap: int
) -> pd.DataFrame:
    """One row a model and threshold; see ``Evaluation.decision_curve``."""
    cuts, patients, frames = check_thresholds(thresholds), patients_of(parts), []
    models = by_model(parts)
    curves = {}
    for model, own in models.items():
        curves[model] = _pooled(own)
        if own[0].kind != "probability":  # without a risk, whom it calls is whom it treats
            called = np.concatenate([part.called for part in own]).astype(float)
            curves[model] = (*curves[model][:2], called)
    group, truth, _ = _pooled(next(iter(models.values())))
    curves["treat all"] = (group, truth, np.ones(len(truth)))
    curves["treat none"] = (group, truth, np.zeros(len(truth)))
    for model, (group, truth, score) in curves.items():
        where = np.searchsorted(patients, group)
        value = replicate_benefit(truth, score, cuts, np.ones((1, len(truth))))[0]
        drawn = np.concatenate(
            [
                replicate_benefit(truth, score, cuts, weights[:, where])
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
                    "standardized": value / truth.mean() if truth.any() else np.nan,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
