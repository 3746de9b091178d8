"""Another hospital's patients: what case mix explains, recalibration, and subgroups that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from crtkit.cohort import Cohort
from crtkit.evaluation.baseline import clinical_table, tabulated
from crtkit.evaluation.risks.calibration import fit_logistic, slope_and_intercept
from crtkit.evaluation.scoring import (
    Part,
    by_model,
    figures,
    iter_parts,
    nanmean,
    patients_of,
    pool_folds,
    pooled,
    replicate,
    spread,
)
from crtkit.evaluation.uncertainty.cut import at_one_half
from crtkit.evaluation.uncertainty.intervals import difference_interval
from crtkit.evaluation.uncertainty.variance import fits_share, patient_variance, with_fits

__all__ = ["expected_auc"]

# Risks of exactly 0 or 1 have no logit; a forest gives them.
_CLIP = 1e-6


def expected_auc(y_prob: ArrayLike) -> float:
    """AUC that a model would have in these patients if its risks were right.

    The model-based concordance: it needs no outcome, and falls where patients are more alike. An
    AUC that is lower elsewhere because of case mix is lower by this figure too; what is lost beyond
    it, the model loses.

    Parameters
    ----------
    y_prob : array-like of shape (n_records,)
        Risks in [0, 1].

    Returns
    -------
    float
        nan for fewer than two records, or where all risks are 0 or all are 1.

    Raises
    ------
    ValueError
        Risks outside [0, 1] or missing.

    References
    ----------
    van Klaveren et al., A new concordance measure for risk prediction models in external validation
    settings, Statistics in Medicine 35 (2016) 4136-4152.

    Examples
    --------
    >>> from crtkit.evaluation import expected_auc
    >>> round(expected_auc([0.1, 0.4, 0.6, 0.9]), 3), expected_auc([0.5] * 10)
    (0.889, 0.5)
    """
    prob = np.asarray(y_prob, dtype=np.float64)
    if prob.ndim != 1 or not np.all((prob >= 0) & (prob <= 1)):
        raise ValueError("expected_auc expects risks in [0, 1], of shape (n_records,).")
    if len(prob) < 2:
        return float("nan")
    # A pair (i with the outcome, j without) has weight p_i (1 - p_j); i cannot be both.
    _, level = np.unique(prob, return_inverse=True)
    no = np.bincount(level, 1 - prob)
    below = np.cumsum(no) - no
    tied = no[level] - (1 - prob)
    right = prob @ (below[level] + tied / 2)
    total = prob.sum() * (1 - prob).sum() - prob @ (1 - prob)
    return float(right / total) if total > 0 else float("nan")


def case_mix_table(
    cohort: Cohort,
    others: dict[str, Cohort],
    label: str,
    names: dict[str, str] | None = None,
) -> pd.DataFrame | None:
    """Development and external patients side by side; see ``Evaluation.case_mix``."""
    parts = {"development": clinical_table(cohort)}
    parts.update({name: clinical_table(other) for name, other in others.items()})
    shared = [c for c in parts["development"][0] if all(c in table for table, _ in parts.values())]
    frames = []
    for table, y in parts.values():
        # A column that one hospital lacks cannot be compared, and is left out of both.
        frame = table[shared].copy()
        # Prevalence is part of the case mix, and the first thing that differs.
        frame.insert(0, f"outcome: {label}", (np.asarray(y) == label).astype(int))
        frames.append(frame)
    by = np.repeat(list(parts), [len(frame) for frame in frames])
    together = pd.concat(frames, ignore_index=True)
    return tabulated(together, by, names, order=list(parts), levels="rows", smd=True)


def external_table(result: Any, on: str, *, n_bootstrap: int) -> pd.DataFrame:
    """One row per model; see ``Evaluation.external_validation``."""
    summary = result.summary(on, n_bootstrap=n_bootstrap)
    calibration = result.calibration(on, n_bootstrap=min(n_bootstrap, 200))
    at_home = result.per_seed("test")
    inside, outside = by_model(result.parts("test")), by_model(result.parts(on))
    rows = {}
    for model in result.models:
        parts = outside[model]
        row: dict[str, Any] = {
            "n_patients": len(patients_of(parts)),
            "n_positive": int(parts[0].y_true.sum()),
        }
        if "roc_auc" in result.scoring:
            auc = summary["roc_auc"].loc[model]
            row["auc_development"] = float(at_home.loc[model, "roc_auc"].mean())
            row.update(auc=auc["mean"], auc_low=auc["low"], auc_high=auc["high"])
        row.update(_expected(inside[model], parts))
        for name in ("o_e", "intercept", "slope"):
            for end in ("", "_low", "_high"):
                row[name + end] = calibration.loc[model, name + end]
        row.update(_recalibrated(parts))
        rows[model] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _expected(inside: list[Part], outside: list[Part]) -> dict[str, float]:
    """Model-based concordance here and there, risks corrected by what was learnt here.

    A model that is overfitted gives risks that are too extreme, and would expect too much of itself
    everywhere: slope and intercept of the tested patients of the development cohort mend that.
    """
    names = ("expected_auc_development", "expected_auc")
    if inside[0].kind != "probability":
        return dict.fromkeys(names, float("nan"))
    _, y, prob = pooled(inside)
    x = logit(np.clip(prob, _CLIP, 1 - _CLIP))
    design = np.column_stack([np.ones_like(x), x])
    coefficients, _ = fit_logistic(design, y.astype(float), np.ones(len(y)), np.zeros(len(y)))
    if np.isnan(coefficients).any():
        return dict.fromkeys(names, float("nan"))

    def corrected(part: Part) -> np.ndarray:
        z = logit(np.clip(part.y_score, _CLIP, 1 - _CLIP))
        return expit(coefficients[0] + coefficients[1] * z)

    values = [
        float(np.mean([expected_auc(corrected(p)) for p in parts if len(p.y_true) > 1] or [np.nan]))
        for parts in (inside, outside)
    ]
    return dict(zip(names, values))


def _recalibrated(parts: list[Part]) -> dict[str, float]:
    """Frozen model and threshold, and the same with its risks shifted by one number.

    Recalibration in the large: the intercept that makes the mean risk that of these patients, found
    with their outcomes, so that it flatters the model by one parameter.
    """
    names = ("sensitivity", "specificity", "brier")
    rows: dict[str, list[float]] = {
        f"{name}{end}": [] for end in ("", "_shifted") for name in names
    }
    for part in parts:
        frozen = figures(part, dict.fromkeys(names))
        for name in names:
            rows[name].append(frozen[name])
        if part.kind != "probability":
            continue
        _, (shift, _) = slope_and_intercept(
            part.y_true.astype(float), part.y_score, np.ones(len(part.y_true))
        )
        if np.isnan(shift):
            continue
        risk = expit(logit(np.clip(part.y_score, _CLIP, 1 - _CLIP)) + shift)
        called = _called(part, risk)
        shifted = part._replace(y_score=risk, y_pred=part.y_pred if called is None else called)
        values = figures(shifted, dict.fromkeys(names))
        for name in names:
            known = name == "brier" or called is not None
            rows[f"{name}_shifted"].append(values[name] if known else float("nan"))
    return {name: float(nanmean(np.array(v))) if v else float("nan") for name, v in rows.items()}


def _called(part: Part, risk: np.ndarray) -> np.ndarray | None:
    """Who is called positive at the frozen threshold once risks have moved.

    A threshold of a model's own (:class:`crtkit.resampling.HeldOutThreshold`) is told from its
    answers: it lies between the highest risk called negative and the lowest called positive. None
    where the answers do not tell it.
    """
    if at_one_half([part]):
        return risk > 0.5
    below, above = part.y_score[~part.y_pred], part.y_score[part.y_pred]
    if not len(below) or not len(above) or below.max() >= above.min():
        return None
    return risk >= (below.max() + above.min()) / 2


def interaction_table(
    result: Any, metric: str, on: str, *, confidence: float, n_bootstrap: int
) -> pd.DataFrame:
    """Each subgroup against everybody else; see ``Evaluation.interactions``."""
    scoring = {metric: result.scoring[metric]}
    rows: list[tuple[Any, ...]] = []
    seen: list[np.ndarray] = []
    ratio = result.test_train_ratio if on == "test" else None
    whole = result.predictions[result.predictions["set"] == on]
    for name, mask in result.subgroups.get(on, {}).items():
        of_row = mask[whole["row"].to_numpy()]
        if not of_row.any() or of_row.all():
            continue  # nobody was tested, or nobody else
        if any(np.array_equal(~of_row, before) for before in seen):
            continue  # women against men says the same as men against women
        seen.append(of_row)
        halves = [by_model(pool_folds(_parts_where(result, whole[m]))) for m in (of_row, ~of_row)]
        patients = patients_of([part for half in halves for own in half.values() for part in own])
        for model in result.models:
            if not all(model in half for half in halves):
                continue
            means, variances, fixed, draws = [], [], [], []
            for half in halves:
                own = half[model]
                values = np.array([figures(part, scoring)[metric] for part in own])
                means.append(spread(values, np.array([part.seed for part in own]))["mean"])
                drawn = replicate(own, scoring, patients, n_bootstrap, 0)[metric]
                draws.append(drawn)
                share = fits_share(own, result._split_of, ratio)
                fixed.append(patient_variance(drawn, metric, own))
                variances.append(with_fits(fixed[-1], values, own, result._split_of, share))
            # Variances add, with Satterthwaite's degrees of freedom.
            total = sum(v.value for v in variances)
            terms = sum(v.value**2 / v.df for v in variances)
            df = total**2 / terms if terms > 0 else 1.0
            # Whoever has records on both sides moves both figures alike.
            if _share_patients(halves, model):
                alike = _correlation(*draws) * np.sqrt(fixed[0].value * fixed[1].value)
                total = max(total - 2 * alike, 0.0)
            difference = means[0] - means[1]
            low, high = difference_interval(difference, total, df, confidence)
            n = [len(patients_of(half[model])) for half in halves]
            rows.append((name, model, *n, *means, difference, low, high))
    names = ["subgroup", "model", "n_patients", "n_others", "inside", "others", "difference"]
    table = pd.DataFrame(rows, columns=[*names, "low", "high"])
    table.attrs["metric"] = metric
    return table


def _share_patients(halves: list[dict[str, list[Part]]], model: str) -> bool:
    """Whether anybody has records in a subgroup and others outside it."""
    inside, others = (patients_of(half[model]) for half in halves)
    return bool(np.isin(inside, others).any())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two figures over the same draws, where both are defined; 0 where either never varies."""
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    varies = len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    return float(np.corrcoef(a, b)[0, 1]) if varies else 0.0


def _parts_where(result: Any, rows: pd.DataFrame) -> list[Part]:
    rows = rows.assign(
        y_true=rows["y_true"] == result.classes[1], y_pred=rows["y_pred"] == result.classes[1]
    )
    return list(iter_parts(rows, result.by))
