"""Forest plot of a meta-analysis: centres, what they give together, what the next may give."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit._plots import COLOURS, axes, styled
from crtkit.statistics.meta_analysis import (
    QUANTITIES,
    centre_table,
    given_figures,
    meta_analyse,
)

_TITLES = {
    "logit_auc": ("AUC", 0.5),
    "calibration_slope": ("calibration slope", 1.0),
    "log_oe": ("observed over expected", 1.0),
    "logit_sensitivity": ("sensitivity", None),
}


@styled
def plot_pooled(
    studies: pd.DataFrame | Sequence[Mapping[str, Any] | str | os.PathLike[str]],
    ax: Any = None,
    *,
    quantity: str = "logit_auc",
    names: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> Any:
    """Draw one quantity of :func:`meta_analyse` as a forest plot.

    Squares are centres, larger where they weigh more, with their intervals; the diamond is the
    pooled figure with its interval, the bar below it the prediction interval of a new centre.

    Parameters
    ----------
    studies : DataFrame, or sequence of dict or path
        As :func:`meta_analyse` takes them.
    ax : matplotlib Axes, optional
    quantity : {"logit_auc", "calibration_slope", "log_oe", "logit_sensitivity"}
        Drawn on its natural scale.
    names : sequence of str, optional
        Of the centres; by default the table's index, or numbers from 1.
    confidence : float, default=0.95

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        An unknown quantity, or one that fewer than two centres have; names of another number.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import plot_pooled
    >>> table = pd.DataFrame({"auc": [0.70, 0.78, 0.66], "auc_se": [0.04, 0.05, 0.06]})
    >>> plot_pooled(table, names=["Athens", "Bergen", "Cork"]).get_xlabel()
    'AUC (95 % interval)'
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"plot_pooled knows {', '.join(QUANTITIES)}, got {quantity!r}.")
    table = centre_table(studies)
    if names is None:
        plain = isinstance(table.index, pd.RangeIndex)
        names = [f"centre {i + 1}" for i in range(len(table))] if plain else list(table.index)
    if len(names) != len(table):
        raise ValueError(f"plot_pooled got {len(names)} names for {len(table)} centres.")
    columns, effect_of, back = QUANTITIES[quantity]
    given = given_figures(table.reindex(columns=list(columns)), columns)
    kept = given.notna().all(axis=1).to_numpy()
    if kept.sum() < 2:
        raise ValueError(f"plot_pooled: fewer than two centres have {' and '.join(columns)}.")
    # This quantity alone: what cannot be pooled of another one is no reason not to draw.
    figures = meta_analyse(given[kept], confidence=confidence).loc[quantity]
    effect, variance = (np.asarray(x, dtype=float) for x in effect_of(given[kept]))
    half = stats.norm.ppf(0.5 + confidence / 2) * np.sqrt(variance)
    # The weight of the analysis, not of the centre's size alone.
    weight = 1 / (variance + figures["tau2"])
    shown = [str(name) for name, has in zip(names, kept) if has]
    ax = axes(ax, "plot_pooled", (5.5, 0.3 * len(shown) + 1.6))
    for row, (y, reach, share) in enumerate(zip(effect, half, weight / weight.max())):
        ax.plot(back(np.array([y - reach, y + reach])), [-row, -row], color="0.3", lw=1)
        ax.plot(back(y), -row, "s", color="0.2", markersize=3 + 5 * np.sqrt(share))
    _draw_pooled(ax, figures, -len(shown))
    ax.set_yticks(
        [*range(0, -len(shown), -1), -len(shown), -len(shown) - 1],
        [*shown, f"together ({len(shown)})", "a new centre"],
    )
    title, nothing = _TITLES[quantity]
    if nothing is not None:
        ax.axvline(nothing, color="0.6", ls=":", lw=0.8, zorder=0)
    ax.set_xlabel(f"{title} ({100 * confidence:.0f} % interval)")
    return ax


def _draw_pooled(ax: Any, figures: Any, y: float) -> None:
    low, middle, high = figures["value_low"], figures["value"], figures["value_high"]
    ax.fill([low, middle, high, middle], [y, y + 0.25, y, y - 0.25], color=COLOURS[0])
    # A bar and no diamond: it is where one more centre may fall, not how well the mean is known.
    bar = [figures["value_pi_low"], figures["value_pi_high"]]
    ax.plot(bar, [y - 1, y - 1], color=COLOURS[0], lw=3, solid_capstyle="butt")
