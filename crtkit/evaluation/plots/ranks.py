"""Critical-difference plot: mean ranks of models, and which are not told apart."""

from __future__ import annotations

from typing import Any

from crtkit._plots import axes, styled
from crtkit.evaluation.plots.common import finish


@styled
def draw_ranks(result: Any, metric: str = "roc_auc", on: str = "test", ax: Any = None) -> Any:
    """Draw mean ranks on a line, and a bar over models within the critical difference.

    Parameters
    ----------
    result : Evaluation
    metric : str, default="roc_auc"
    on : str, default="test"
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    table = result.ranks(metric, on)
    ax = axes(ax, "plot_ranks", (6.0, 1.2 + 0.25 * len(table)))
    ranks = table["mean_rank"].to_numpy()
    difference = table.attrs["critical_difference"]
    for place, (model, rank) in enumerate(table["mean_rank"].items()):
        ax.plot([rank, rank], [0, -1 - place], color="0.6", linewidth=0.8)
        ax.plot(rank, 0, "o", color="black", markersize=4)
        ax.annotate(f" {model} ({rank:.2f})", (rank, -1 - place), va="center", fontsize="small")
    height, last = 0.35, -1
    for start, rank in enumerate(ranks):
        end = int((ranks <= rank + difference).sum()) - 1
        # A bar inside a longer one tells nothing new.
        if end > start and end > last:
            ax.plot([rank, ranks[end]], [height, height], color="black", linewidth=2.5)
            height, last = height + 0.3, end
    friedman = table.attrs["friedman"]
    ax.set(
        xlim=(0.8, len(ranks) + 1.2),
        ylim=(-1.5 - len(ranks), height + 0.3),
        yticks=[],
        xlabel=f"Mean rank of {metric} over {int(table['n_blocks'].iloc[0])} splits (1 is best)",
        title=(
            f"Critical difference {difference:.2f}; Friedman p = {friedman['p_value']:.3f} "
            f"(smallest possible {friedman['p_smallest']:.1g}); splits share patients"
        ),
    )
    ax.title.set_size("small")
    return finish(result, ax)
