"""Forest plots: a figure with its interval, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crtkit._plots import COLOURS, PAGE_WIDTH, axes, styled
from crtkit.evaluation.plots.common import best_rule, chosen_models, finish, new_models

_TITLES = {"roc_auc": "AUC", "ppv": "PPV", "npv": "NPV", "brier": "Brier score", "f1": "F1"}


def metric_title(name: str) -> str:
    """A metric as papers write it."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def forest_rows(
    result: Any, of: str, model: str | None, metric: str, on: str, n_bootstrap: int
) -> tuple[pd.DataFrame, float | None, str]:
    """Estimates and intervals of a forest, the rule's figure and its name.

    Returns
    -------
    table : DataFrame
        Index: what the row is; columns ``mean, low, high, n_patients``.
    reference : float or None
    name : str
        Of the reference.
    """
    if of not in ("models", "sets", "subgroups"):
        raise ValueError(f"of must be 'models', 'sets' or 'subgroups', got {of!r}.")
    if metric not in result.scoring:
        raise ValueError(f"metric {metric!r} was not scored: {list(result.scoring)}.")
    if of != "models":
        model = model or new_models(result)[0]
        chosen_models(result, model, "plot_forest")
    wanted: list[tuple[str, str, str | None, Any]]
    if of == "models":
        wanted = [(name, on, None, name) for name in result.models]
    elif of == "sets":
        wanted = [(name, name, None, model) for name in result.sets]
    else:
        tested = _tested_subgroups(result, on)
        wanted = [("all", on, None, model), *((name, on, name, model) for name in tested)]
    rows: dict[str, dict[str, float]] = {}
    summaries: dict[tuple[str, str | None], Any] = {}
    for label, place, subgroup, name in wanted:
        if (place, subgroup) not in summaries:
            summaries[place, subgroup] = result.summary(place, subgroup, n_bootstrap=n_bootstrap)
        figures = summaries[place, subgroup][metric].loc[name].to_dict()
        n = len({g for part in result.parts(place, subgroup) for g in part.group.astype(str)})
        rows[label] = {key: float(str(figures[key])) for key in ("mean", "low", "high")} | {
            "n_patients": n
        }
    # The rule's line belongs to AUC: other figures of a rule depend on its one threshold.
    rule = best_rule(result, on) if metric == "roc_auc" and of == "models" else None
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table, (rows[rule]["mean"] if rule else None), rule or ""


def _tested_subgroups(result: Any, on: str) -> list[str]:
    """Subgroups of which anybody was tested."""
    tested = result.predictions.loc[result.predictions["set"] == on, "row"].to_numpy()
    return [name for name, mask in result.subgroups.get(on, {}).items() if mask[tested].any()]


@styled
def draw_forest(
    result: Any,
    ax: Any = None,
    of: str = "models",
    *,
    model: str | None = None,
    metric: str = "roc_auc",
    on: str = "test",
    n_bootstrap: int = 1000,
) -> Any:
    """Draw a forest plot; see ``Evaluation.plot_forest``."""
    table, reference, rule = forest_rows(result, of, model, metric, on, n_bootstrap)
    size = (PAGE_WIDTH * 0.75, max(1.4, 0.24 * len(table) + 0.8))
    ax = axes(ax, "plot_forest", size)
    references = set(result.info.get("reference_rows") or ())
    draw_rows(
        ax,
        table,
        hollow=[of == "models" and name in references for name in table.index],
        reference=reference,
        reference_name=f"best rule: {rule}" if rule else "",
    )
    if metric == "roc_auc":
        ax.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    what = "" if of == "models" else f", {model or new_models(result)[0]}"
    ax.set_xlabel(f"{metric_title(metric)}{what} (95 % interval of patients and fits)")
    return finish(result, ax)


def draw_rows(
    ax: Any,
    table: pd.DataFrame,
    *,
    hollow: Any = None,
    reference: float | None = None,
    reference_name: str = "",
    digits: int = 2,
) -> None:
    """Squares with whiskers from the top, and the figures in print at the right."""
    hollow = list(hollow) if hollow is not None else [False] * len(table)
    # From the top, as tables are read.
    at = -np.arange(len(table), dtype=float)
    for y, (_, row), is_hollow in zip(at, table.iterrows(), hollow):
        colour = "0.35" if is_hollow else COLOURS[0]
        ax.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.1)
        ax.plot(
            row["mean"], y, "s", color=colour, markersize=4, markerfacecolor="white" if is_hollow
            else colour,
        )  # fmt: skip
        text = _printed(row, digits)
        ax.annotate(
            text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize="small",
            annotation_clip=False,
        )  # fmt: skip
    # Behind the squares: the line is what they are judged by, not one of them.
    if reference is not None and np.isfinite(reference):
        ax.axvline(reference, color=COLOURS[1], linestyle="--", linewidth=0.9, zorder=0)
        ax.set_title(
            f"dashed: {reference_name} ({reference:.{digits}f})", loc="left", fontsize="small"
        )
    labels = [str(name) for name in table.index]
    if "n_patients" in table and table["n_patients"].nunique() > 1:
        labels = [f"{a} (n = {n:.0f})" for a, n in zip(labels, table["n_patients"])]
    ax.set_yticks(at, labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(at[-1] - 0.6 if len(at) else -1, 0.6)
    ax.spines["left"].set_visible(False)


def _printed(row: pd.Series, digits: int) -> str:
    if not np.isfinite(row["mean"]):
        return "undefined"
    if not np.isfinite([row["low"], row["high"]]).all():
        return f"{row['mean']:.{digits}f} (no interval)"
    return f"{row['mean']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"
