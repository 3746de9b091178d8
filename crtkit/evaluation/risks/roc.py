"""ROC curves over seeds: averaged at equal false positive rate, or one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from crtkit import metrics

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
    # Interpolation takes the top of a first vertical step; a curve begins at the origin.
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
        # A part of one class has no curve.
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
