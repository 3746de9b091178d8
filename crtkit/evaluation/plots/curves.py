"""ROC, calibration and decision curves on one axes."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from crtkit._plots import axes, legend, styled
from crtkit.evaluation.plots.common import best_rule, chosen_models, finish, mean_sd, style_of
from crtkit.evaluation.scoring import by_model, nanmean, patients_of, pooled
from crtkit.evaluation.uncertainty.intervals import difference_interval, patient_weights
from crtkit.evaluation.uncertainty.variance import fits_share, patient_variance, with_fits

#: Risks at which somebody would act on a prediction of response; name your own.
CLINICAL_THRESHOLDS = (0.1, 0.6)
_BAND_POINTS = 41


@styled
def draw_roc(
    result: Any,
    ax: Any = None,
    which: str = "mean",
    on: str = "test",
    *,
    models: Any = None,
    band: bool = True,
    rule: bool = False,
    confidence: float = 0.95,
    n_bootstrap: int = 200,
) -> Any:
    """Draw ROC curves; see ``Evaluation.plot_roc``."""
    if which not in ("mean", "best"):
        raise ValueError(f"which must be 'mean' or 'best', got {which!r}.")
    chosen = chosen_models(result, models, "plot_roc")
    known = best_rule(result, on) if rule else None
    side = 3.2 if len(chosen) <= 3 else 5.2  # inches; a long legend needs room
    ax = axes(ax, "plot_roc", (side, side + 0.3))
    table = result.roc(on=on, which=which)
    seeds = result.per_seed(on)["roc_auc"] if "roc_auc" in result.scoring else None
    shown = [*chosen, *([known] if known and known not in chosen else [])]
    for model in shown:
        curve = table[table["model"] == model]
        if not len(curve):
            continue
        style = style_of(result, model) if model in chosen else {"color": "0.45", "ls": ":"}
        if which == "best":
            _draw_best(ax, model, curve, seeds, style)
            continue
        label = model
        if seeds is not None:
            label += f": {mean_sd(seeds.loc[model])}"
        ax.plot(curve["fpr"], curve["tpr"], label=label, **style)
        if band and model in chosen and len(chosen) <= 2:
            limits = roc_band(result, model, on, confidence=confidence, n_bootstrap=n_bootstrap)
            ax.fill_between(*limits.T, color=style["color"], alpha=0.15, linewidth=0)
    n_seeds = len(result.info["seeds"])
    title = f"best of {n_seeds} seeds" if which == "best" else f"mean over {n_seeds} seeds"
    ax.plot([0, 1], [0, 1], color="0.7", linestyle="-", linewidth=0.6, zorder=0)
    ax.set(
        xlabel=f"1 - specificity\n{fill(result.note, 60)}",
        ylabel="Sensitivity",
        title=f"ROC, {title}",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    ax.xaxis.label.set_size("small")
    legend(ax, "lower right", "AUC" if seeds is not None else None)
    return finish(result, ax)


def _draw_best(ax: Any, model: str, curve: pd.DataFrame, seeds: Any, style: Any) -> None:
    seed = int(curve["seed"].iloc[0])
    label = model
    if seeds is not None:
        label += f", seed {seed}: {seeds.loc[(model, seed)]:.3f}"
    for _, fold in curve.groupby("fold"):
        ax.plot(fold["fpr"], fold["tpr"], label=label, **style)
        label = "_"  # one entry per model in the legend


def roc_band(
    result: Any, model: str, on: str = "test", *, confidence: float = 0.95, n_bootstrap: int = 200
) -> np.ndarray:
    """Pointwise interval of the mean ROC curve that counts patients and fits, as the headline does.

    Returns
    -------
    ndarray of shape (n_points, 3)
        False positive rate, low and high; no band where every split agrees.
    """
    parts = [p for p in by_model(result.units(on))[model] if len(np.unique(p.y_true)) == 2]
    grid = np.linspace(0, 1, _BAND_POINTS)
    if not parts:
        return np.column_stack([grid, np.full((len(grid), 2), np.nan)])
    patients = patients_of(parts)
    heights = np.array([_tpr_at(part, np.ones((1, len(part.y_true))), grid)[0] for part in parts])
    drawn = []
    for weights in patient_weights(len(patients), n_bootstrap, 0):
        of_part = [
            _tpr_at(part, weights[:, np.searchsorted(patients, part.group.astype(str))], grid)
            for part in parts
        ]
        drawn.append(nanmean(np.array(of_part)))
    replicates = np.concatenate(drawn)
    ratio = result.test_train_ratio if on == "test" else None
    share = fits_share(parts, result._split_of, ratio)
    rows = []
    for k, fpr in enumerate(grid):
        fixed = patient_variance(replicates[:, k], "sensitivity", parts)
        variance = with_fits(fixed, heights[:, k], parts, result._split_of, share)
        mean = float(heights[:, k].mean())
        low, high = difference_interval(mean, variance.value, variance.df, confidence)
        # Where no replicate differs, as in the corners, the curve is where every curve is.
        rows.append((fpr, low, high) if np.isfinite(low) else (fpr, mean, mean))
    limits = np.array(rows)
    # A curve rises, and so do its limits; on the logit scale they would dive near sensitivity 1.
    limits[:, 1:] = np.maximum.accumulate(np.clip(limits[:, 1:], 0, 1), axis=0)
    return limits


def _tpr_at(part: Any, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Sensitivity at false positive rates under many weightings, (n_replicates, n_points)."""
    order = np.argsort(-part.y_score, kind="stable")
    score, y, weights = part.y_score[order], part.y_true[order], weights[:, order]
    last = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    tp = np.cumsum(weights * y, axis=1)[:, last]
    fp = np.cumsum(weights * ~y, axis=1)[:, last]
    out = np.full((len(weights), len(grid)), np.nan)
    for row, (t, f) in enumerate(zip(tp, fp)):
        if t[-1] > 0 and f[-1] > 0:
            out[row] = np.interp(grid, np.r_[0, f / f[-1]], np.r_[0, t / t[-1]])
    return out


@styled
def draw_calibration(
    result: Any, ax: Any = None, on: str = "test", *, models: Any = None, histogram: bool = True
) -> Any:
    """Draw smooth calibration curves; see ``Evaluation.plot_calibration``."""
    chosen = chosen_models(result, models, "plot_calibration")
    ax = axes(ax, "plot_calibration")
    table, answers = result.calibration_curve(on=on), by_model(result.parts(on))
    drawn = [model for model in chosen if (table["model"] == model).any()]
    for model in drawn:
        curve = table[table["model"] == model]
        observed = curve["observed"].clip(0, 1)  # a smooth may leave the range of a share
        ax.plot(curve["predicted"], observed, label=model, **style_of(result, model))
    ax.plot([0, 1], [0, 1], color="0.7", linewidth=0.6, zorder=0)
    if histogram and drawn:
        _draw_risks(ax, [pooled(answers[model]) for model in drawn])
    ax.set(
        xlabel="Predicted risk",
        ylabel="Observed share",
        xlim=(-0.01, 1.01),
        ylim=(-0.22 if histogram and drawn else -0.01, 1.01),
        title="Calibration, all splits",
    )
    ax.set_yticks(np.linspace(0, 1, 6))
    legend(ax, "upper left")
    if not drawn:
        ax.text(0.5, 0.5, "no model gives risks", transform=ax.transAxes, ha="center")
    return finish(result, ax)


def _draw_risks(ax: Any, answers: list[tuple[Any, Any, Any]]) -> None:
    """Histogram of the risks below the curve: those with the outcome up, the others down."""
    edges = np.linspace(0, 1, 26)
    y_true = np.concatenate([y for _, y, _ in answers])
    score = np.concatenate([s for _, _, s in answers])
    up, down = (np.histogram(score[mask], edges)[0] for mask in (y_true, ~y_true))
    tallest = max(up.max(), down.max(), 1)
    for counts, sign, colour in ((up, 1, "0.25"), (down, -1, "0.65")):
        ax.bar(
            edges[:-1], sign * 0.08 * counts / tallest, np.diff(edges), -0.12, align="edge",
            color=colour, linewidth=0,
        )  # fmt: skip
    ax.axhline(-0.12, color="0.3", linewidth=0.5)
    ax.text(0.0, -0.11, "with outcome", va="bottom", fontsize="small", color="0.25")
    ax.text(0.0, -0.13, "without", va="top", fontsize="small", color="0.45")


@styled
def draw_decision(
    result: Any,
    ax: Any = None,
    on: str = "test",
    *,
    models: Any = None,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
) -> Any:
    """Draw net benefit over clinical thresholds; see ``Evaluation.plot_decision``."""
    low, high = thresholds
    if not 0 < low < high < 1:
        raise ValueError(f"thresholds must be two risks, 0 < low < high < 1, got {thresholds!r}.")
    chosen = chosen_models(result, models, "plot_decision")
    ax = axes(ax, "plot_decision")
    cuts = np.round(np.linspace(low, high, 51), 6)
    table = result.decision_curve(on=on, thresholds=cuts, n_bootstrap=1)
    for name, style in (("treat all", "-"), ("treat none", ":")):
        curve = table[table["model"] == name]
        ax.plot(curve["threshold"], curve["net_benefit"], color="0.6", linestyle=style, label=name)
    for model in chosen:
        curve = table[table["model"] == model]
        ax.plot(curve["threshold"], curve["net_benefit"], label=model, **style_of(result, model))
    top = max(float(table["net_benefit"].max()), 0.01)
    # Below zero a model does harm; how much is of no use to anybody.
    ax.set(
        xlabel="Risk above which one would treat",
        ylabel="Net benefit",
        xlim=(low, high),
        ylim=(-0.15 * top, 1.08 * top),
        title="Net benefit, all splits",
    )
    legend(ax)
    return finish(result, ax)
