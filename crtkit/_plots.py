"""What every picture shares: matplotlib at the point of use, colours, widths, and whose data."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from crtkit._io import import_optional

#: One column of a journal, in inches: 8 cm.
COLUMN_WIDTH = 8 / 2.54
#: Two columns and the gap between them: 17 cm.
PAGE_WIDTH = 17 / 2.54
#: Okabe and Ito's colours, told apart by every kind of colour vision; yellow is left out, for it
#: is not seen on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: A second sign beside the colour, for a print in grey.
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
#: First word of a sentence on simulated patients, and the mark across their pictures.
SIMULATED = "SIMULATED"

#: 7 points at a width of 8 cm is the smallest type that journals print.
STYLE = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "lines.linewidth": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Text stays text: it can be edited, searched and read aloud. Type 42 is what journals take.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # The same figure has the same bytes.
    "svg.hashsalt": "crtkit",
}


def pyplot(who: str) -> Any:
    """``matplotlib.pyplot``, or the message that says how to install it."""
    return import_optional("matplotlib.pyplot", extra="plots", purpose=who)


def axes(ax: Any, who: str, size: tuple[float, float] = (COLUMN_WIDTH, COLUMN_WIDTH)) -> Any:
    """Axes to draw on: the one given, or a new figure's at the width of a column."""
    if ax is None:
        _, ax = pyplot(who).subplots(figsize=size, layout="constrained")
    return ax


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Draw in the style of a journal's column where no axes is given; else in the caller's own.

    The function's second argument is the axes.
    """

    @wraps(draw)
    def drawn(what: Any, ax: Any = None, *args: Any, **options: Any) -> Any:
        plt = pyplot(draw.__name__.replace("draw_", "plot_"))
        with plt.rc_context(STYLE if ax is None else {}):
            return draw(what, ax, *args, **options)

    return drawn


def legend(ax: Any, loc: str = "best", title: str | None = None) -> None:
    """A legend inside the axes, or below where it would cover the curves."""
    handles, _ = ax.get_legend_handles_labels()
    if not handles:
        return
    wide = ax.get_position().width * ax.figure.get_figwidth() > 3.5
    if len(handles) <= 3:
        ax.legend(loc=loc, title=title, frameon=False)
        return
    if wide:
        # A long legend lies over curves: on white its names can still be read.
        ax.legend(loc=loc, title=title, fontsize="small", framealpha=0.85, edgecolor="none")
        return
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.28), title=title, frameon=False,
        ncols=1 if len(handles) < 5 else 2, borderaxespad=0,
    )  # fmt: skip


def line_style(number: int) -> dict[str, Any]:
    """Colour and dash of the n-th line."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": LINES[number % len(LINES)]}


def mark_simulated(ax: Any) -> None:
    """Write SIMULATED across an axes, faintly, where nobody can crop it unseen."""
    figure = ax.figure
    box = ax.get_position()
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    if width < 0.5 or not (ax.axison or ax.get_children()):
        return  # a colour bar
    if any(text.get_text() == SIMULATED for text in ax.texts):
        return  # drawn by a function that marks, in a figure that marks too
    # Out of the layout: a mark across a low axes would push everything else out of the figure.
    mark = ax.text(
        0.5, 0.5, SIMULATED, transform=ax.transAxes, ha="center", va="center", rotation=25,
        fontsize=min(30.0, 8.0 * width, 22.0 * height), fontweight="bold", color="0.5", alpha=0.25,
        zorder=10,
    )  # fmt: skip
    mark.set_in_layout(False)
