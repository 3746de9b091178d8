"""Error among those who are answered, over the share of them."""

from __future__ import annotations

from typing import Any

from crtkit._plots import axes, legend, styled
from crtkit.evaluation.plots.common import chosen_models, finish, style_of

# The error among the first few patients jumps between 0 and 1 and says nothing.
_FEWEST = 5


@styled
def draw_risk_coverage(result: Any, ax: Any = None, on: str = "test", *, models: Any = None) -> Any:
    """Draw risk over coverage; see ``Evaluation.plot_risk_coverage``."""
    table = result.risk_coverage(on)
    risky = [name for name in result.models if (table["model"] == name).any()]
    chosen = [name for name in chosen_models(result, models, "plot_risk_coverage") if name in risky]
    if not chosen:
        raise ValueError(
            "plot_risk_coverage needs a model with risks: others do not say how sure they are."
        )
    ax = axes(ax, "plot_risk_coverage")
    rows = result.predictions[result.predictions["set"] == on]
    n_patients = max(rows["group"].nunique(), 1)
    for model in chosen:
        curve = table[table["model"] == model]
        shown = curve[curve["coverage"] >= min(_FEWEST / n_patients, 1.0)]
        ax.plot(
            shown["coverage"], shown["error"], drawstyle="steps-post", label=model,
            **style_of(result, model),
        )  # fmt: skip
    ax.set(
        xlabel="Share of patients answered, the most certain first",
        ylabel="Share of wrong answers among them",
        xlim=(0, 1),
        ylim=(0, None),
    )
    legend(ax)
    return finish(result, ax)
