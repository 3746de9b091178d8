"""ROC curves over seeds: averaged at equal false positive rate, or one by one."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from crtkit import metrics
from crtkit._io import import_optional

if TYPE_CHECKING:
    from crtkit.evaluation.scoring import Part

__all__ = ["mean_roc", "roc_table"]


def mean_roc(curves: list[tuple[Any, Any]], n_points: int = 101) -> pd.DataFrame:
    """Average ROC curves at equal false positive rate (vertically).

    Parameters
    ----------
    curves : list of (fpr, tpr)
        Points of each curve, ``fpr`` rising from 0 to 1.
    n_points : int, default=101
        Points of the common grid from 0 to 1.

    Returns
    -------
    DataFrame
        Columns ``fpr, tpr, tpr_sd``: mean and SD over curves. Every curve starts at (0, 0); its
        height at a vertical step is the top of the step.

    References
    ----------
    Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006) 861-874,
    section 8.1.

    Examples
    --------
    >>> from crtkit.evaluation import mean_roc
    >>> mean_roc([([0, 1], [0, 1]), ([0, 0, 1], [0, 1, 1])], n_points=3)["tpr"].tolist()
    [0.0, 0.75, 1.0]
    """
    grid = np.linspace(0, 1, n_points)
    heights = np.array([np.interp(grid, fpr, tpr) for fpr, tpr in curves]).reshape(-1, n_points)
    heights[:, 0] = 0
    if not len(heights):
        return pd.DataFrame({"fpr": grid, "tpr": np.nan, "tpr_sd": np.nan})
    sd = heights.std(axis=0, ddof=1) if len(heights) > 1 else np.full(n_points, np.nan)
    return pd.DataFrame({"fpr": grid, "tpr": heights.mean(axis=0), "tpr_sd": sd})


def roc_table(parts: list[Part], which: str = "mean", n_points: int = 101) -> pd.DataFrame:
    """Curves of every model; see :meth:`Evaluation.roc`.

    Parameters
    ----------
    parts : list of Part
    which : {"mean", "seeds", "best"}
    n_points : int, default=101

    Returns
    -------
    DataFrame
    """
    if which not in ("mean", "seeds", "best"):
        raise ValueError(f"which must be 'mean', 'seeds' or 'best', got {which!r}.")
    frames = []
    for model in dict.fromkeys(part.model for part in parts):
        own = [p for p in parts if p.model == model and len(np.unique(p.y_true)) == 2]
        if which == "mean":
            frame = mean_roc([_curve(part)[:2] for part in own], n_points)
            frame.insert(0, "model", model)
            frames.append(frame)
            continue
        if which == "best":
            best = best_seed(own)
            own = [part for part in own if part.seed == best]
        for part in own:
            fpr, tpr, threshold = _curve(part)
            columns = {"fpr": fpr, "tpr": tpr, "threshold": threshold}
            where = {"model": model, "seed": part.seed, "fold": part.fold}
            frames.append(pd.DataFrame({**where, **columns}))
    if not frames:  # no part has both classes, as when one patient at a time is left out
        dtypes = {"model": object, "seed": int, "fold": int}
        dtypes.update(dict.fromkeys(("fpr", "tpr", "threshold"), float))
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in dtypes.items()})
    return pd.concat(frames, ignore_index=True)


def best_seed(parts: list[Part]) -> int | None:
    """Seed of the highest AUC, mean over its folds; None where no AUC is defined."""
    auc: dict[int, list[float]] = {}
    for part in parts:
        value = metrics.roc_auc(part.y_true, part.y_score, pos_label=True)
        if not np.isnan(value):
            auc.setdefault(part.seed, []).append(value)
    return max(auc, key=lambda seed: float(np.mean(auc[seed]))) if auc else None


def _curve(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return roc_curve(part.y_true, part.y_score, drop_intermediate=False)


def plot_roc(result: Any, ax: Any = None, which: str = "mean", on: str = "test") -> Any:
    """Draw the curves of an evaluation; see :meth:`Evaluation.plot_roc`."""
    if which not in ("mean", "best"):
        raise ValueError(f"which must be 'mean' or 'best', got {which!r}.")
    plt = import_optional("matplotlib.pyplot", extra="plots", purpose="plot_roc")
    if ax is None:
        _, ax = plt.subplots(figsize=(5.5, 5.5), layout="constrained")
    table = result.roc(on=on, which=which)
    seeds = result.per_seed(on)["roc_auc"] if "roc_auc" in result.scoring else None
    for model, curve in table.groupby("model", sort=False):
        label = str(model)
        if which == "best":
            seed = int(curve["seed"].iloc[0])
            if seeds is not None:
                label += f", seed {seed}: {seeds.loc[(model, seed)]:.3f}"
            color = None
            for _, fold in curve.groupby("fold"):
                (line,) = ax.plot(fold["fpr"], fold["tpr"], label=label, color=color)
                color, label = line.get_color(), "_"  # one entry per model in the legend
            continue
        if seeds is not None:
            own = seeds.loc[model]
            label += f": {own.mean():.3f} ± {own.std():.3f}"
        (line,) = ax.plot(curve["fpr"], curve["tpr"], label=label)
        band = curve["tpr_sd"].fillna(0)
        low, high = (curve["tpr"] - band).clip(0, 1), (curve["tpr"] + band).clip(0, 1)
        ax.fill_between(curve["fpr"], low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    n_seeds = len(result.info["seeds"])
    title = f"best of {n_seeds} seeds" if which == "best" else f"mean ± SD over {n_seeds} seeds"
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    ax.set(
        xlabel=f"1 - specificity\n{fill(result.note, 70)}",
        ylabel="sensitivity",
        title=f"ROC, {title}",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    ax.xaxis.label.set_size("small")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right", fontsize="small", title="AUC" if seeds is not None else None)
    return ax
