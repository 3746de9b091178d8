"""Which models a picture shows, in which colour, and the mark of simulated patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from crtkit._plots import line_style, mark_simulated

# More lines than this in one picture cannot be told apart.
MOST_LINES = 5


def chosen_models(result: Any, models: Any, who: str) -> list[str]:
    """The models to draw, in the order of the tables.

    Raises
    ------
    ValueError
        There is no such model.
    """
    if models is None:
        return list(result.models)
    models = [models] if isinstance(models, str) else list(models)
    absent = [name for name in models if name not in result.models]
    if absent or not models:
        raise ValueError(f"{who}: no model {absent}; this evaluation has {result.models}.")
    return models


def main_models(result: Any, on: str = "test", most: int = MOST_LINES) -> list[str]:
    """The models worth a curve, where all would be too many: the new ones, best AUC first."""
    new = new_models(result)
    if "roc_auc" not in result.scoring:
        return new[:most]
    mean = result.per_seed(on)["roc_auc"].groupby(level="model", sort=False).mean()
    # A model whose AUC is nowhere defined comes last, not first.
    return sorted(new, key=lambda name: -float(mean.fillna(-1)[name]))[:most]


def new_models(result: Any) -> list[str]:
    """Models that are no reference row; all where there is nothing else."""
    references = set(result.info.get("reference_rows") or ())
    return [name for name in result.models if name not in references] or list(result.models)


def best_rule(result: Any, on: str = "test") -> str | None:
    """The reference row that has to be beaten: highest mean AUC, the majority class apart."""
    from crtkit.evaluation.compare import MAJORITY

    # A share of one class is no rule: whatever answers yes to everybody would beat it.
    rules = [r for r in result.info.get("reference_rows") or () if r != MAJORITY]
    rules = [name for name in rules if name in result.models]
    if not rules or "roc_auc" not in result.scoring:
        return None
    mean = result.per_seed(on)["roc_auc"].groupby(level="model", sort=False).mean()[rules].dropna()
    return str(mean.idxmax()) if len(mean) else None


def style_of(result: Any, model: str) -> dict[str, Any]:
    """One colour and dash per model, the same in every picture of a result."""
    return line_style(list(result.models).index(model))


def mean_sd(values: Any) -> str:
    """Mean ± SD over seeds in print; one seed has no SD, and an undefined figure is a dash."""
    mean, sd = values.mean(), values.std()
    if not np.isfinite(mean):
        return "–"
    return f"{mean:.3f} ± {sd:.3f}" if np.isfinite(sd) else f"{mean:.3f}"


def finish(result: Any, ax: Any) -> Any:
    """Mark simulated patients; every picture ends with this."""
    if result.info.get("source") == "simulated":
        mark_simulated(ax)
    return ax
