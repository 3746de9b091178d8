"""Tables with one row per model: means, spread over seeds and intervals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from crtkit.evaluation.scoring import (
    Part,
    by_model,
    deciding,
    figures,
    over_distinct,
    patients_of,
    replicate,
    spread,
)
from crtkit.evaluation.uncertainty.cut import reach_of_cut, steps_of_cut, with_moved_cut
from crtkit.evaluation.uncertainty.intervals import mean_interval, nadeau_bengio_interval
from crtkit.evaluation.uncertainty.variance import (
    Variance,
    fits_share,
    larger,
    patient_variance,
    with_fits,
)
from crtkit.metrics import at_sensitivity


def summary_table(
    parts: list[Part],
    scoring: dict[str, Any],
    *,
    ratio: float | None,
    split_of: dict[tuple[int, int], int],
    confidence: float,
    n_bootstrap: int,
    n_patients: int | None = None,
) -> pd.DataFrame:
    """Mean, SD, intervals and number of defined splits; see ``Evaluation.summary``.

    Parameters
    ----------
    ratio : float or None
        Tested over training patients; None where all splits test the same patients.
    split_of : dict
        Number of the split behind each (seed, fold).
    n_patients : int, optional
        Of the cohort, where ``parts`` are a subgroup's.
    """
    patients = patients_of(parts)
    rows = {}
    for model, own in by_model(parts).items():
        # One seed for all models and calls: a table printed twice has the same digits.
        drawn = replicate(own, scoring, patients, n_bootstrap, 0)
        values = [figures(part, scoring) for part in own]
        seeds = np.array([part.seed for part in own])
        # How much a model's answers depend on the training part is the same for every metric.
        share = fits_share(own, split_of, ratio)
        steps = steps_of_cut(own, patients, ratio, share, 0, n_bootstrap, n_patients)
        moved, ends = with_moved_cut(drawn, own, steps), reach_of_cut(scoring, own, steps)
        row: dict[tuple[str, str], Any] = {}
        for name, metric in scoring.items():
            column = np.array([value[name] for value in values])
            figure = spread(column, seeds)
            # A figure of 0 or 1 has no variance: its other limit is made from who could change it.
            units = deciding(name, own)
            fixed, cut = (patient_variance(d[name], name, own) for d in (drawn, moved))
            refitted = with_fits(fixed, column, own, split_of, share)
            bounded = metric is None
            interval = partial(_interval, units=units, confidence=confidence, bounded=bounded)
            reach = ends.get(name) if bounded else None
            limits = _headline(interval, figure["mean"], (fixed, refitted, cut), reach)
            figure["low"], figure["high"] = limits
            figure["ci_low"], figure["ci_high"] = interval(figure["mean"], fixed)
            limits = (np.nan, np.nan)
            if ratio is not None:
                distinct = over_distinct(column, own, split_of)
                limits = nadeau_bengio_interval(distinct, ratio, confidence=confidence)
                # Splits that all agree say nothing of their spread.
                limits = limits if limits[0] < limits[1] else (np.nan, np.nan)
            # Only our own metrics are known to lie in [0, 1]; a user's may be anything.
            if metric is None:
                limits = (np.maximum(limits[0], 0.0), np.minimum(limits[1], 1.0))
            figure["nb_low"], figure["nb_high"] = map(float, limits)
            figure["n_valid"] = int(np.sum(~np.isnan(column)))
            row.update({(name, key): value for key, value in figure.items()})
        rows[model] = row
    columns = pd.MultiIndex.from_tuples(
        list(next(iter(rows.values()), {})), names=["metric", "figure"]
    )
    data = {column: [row[column] for row in rows.values()] for column in columns}
    return pd.DataFrame(data, index=pd.Index(list(rows), name="model"), columns=columns)


def _interval(
    mean: float, variance: Variance, *, units: int, confidence: float, bounded: bool
) -> tuple[float, float]:
    return mean_interval(mean, variance.value, units, confidence, bounded=bounded, df=variance.df)


def _headline(
    interval: Callable[[float, Variance], tuple[float, float]],
    mean: float,
    variances: tuple[Variance, Variance, Variance],
    reach: tuple[float, float] | None,
) -> tuple[float, float]:
    """Interval by the larger of the variances, fits held fixed, counted, and with a moving cut.

    Where the cut's is the larger, no limit lies beyond what fits held fixed allow around the
    figures ``reach`` that moving the cut can give: near 0 or 1 the logit scale stretches a
    variance that was taken from a slope without end.
    """
    fixed, refitted, cut = variances
    leads = larger(refitted, cut)
    low, high = interval(mean, leads)
    if leads is refitted or reach is None:
        return low, high
    odds = mean * (1 - mean)
    around = [
        interval(end, fixed._replace(value=fixed.value * max(1.0, end * (1 - end) / odds)))
        if odds > 0
        else interval(end, fixed)
        for end in reach
    ]
    inner = interval(mean, refitted)
    # fmin and fmax: a figure that does not vary with fits held has no interval of its own.
    return (
        float(np.fmax(low, np.fmin(inner[0], around[0][0]))),
        float(np.fmin(high, np.fmax(inner[1], around[1][1]))),
    )


def sensitivity_table(parts: list[Part], sensitivity: float) -> pd.DataFrame:
    """Specificity, PPV and NPV at one sensitivity; see ``Evaluation.at_sensitivity``."""
    rows: dict[str, dict[str, float]] = {}
    for model, own in by_model(parts).items():
        points = [
            # Interpolated, because twenty patients have no cut at exactly 80 %.
            at_sensitivity(p.y_true, p.y_score, sensitivity, pos_label=True, interpolate=True)
            for p in own
        ]
        seeds, row = np.array([part.seed for part in own]), {}
        for name in ("specificity", "ppv", "npv"):
            column = np.array([getattr(point, name) for point in points])
            row[name], row[f"{name}_sd"] = spread(column, seeds).values()
        row["n_valid"] = int(np.sum([not np.isnan(point.specificity) for point in points]))
        rows[model] = row
    return pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="model"))
