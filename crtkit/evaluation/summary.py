"""Tables with one row per model: means, spread over seeds and intervals."""

from __future__ import annotations

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
from crtkit.evaluation.uncertainty.cut import with_moved_cut
from crtkit.evaluation.uncertainty.intervals import mean_interval, nadeau_bengio_interval
from crtkit.evaluation.uncertainty.variance import (
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
        moved = with_moved_cut(drawn, own, patients, ratio, share, 0, n_patients)
        row: dict[tuple[str, str], Any] = {}
        for name, metric in scoring.items():
            column = np.array([value[name] for value in values])
            figure = spread(column, seeds)
            # A figure of 0 or 1 has no variance: its other limit is made from who could change it.
            units = deciding(name, own)
            fixed, cut = (patient_variance(d[name], name, own) for d in (drawn, moved))
            refitted = with_fits(fixed, column, own, split_of, share)
            for keys, variance in (
                (("low", "high"), larger(refitted, cut)),
                (("ci_low", "ci_high"), fixed),
            ):
                limits = mean_interval(
                    figure["mean"],
                    variance.value,
                    units,
                    confidence,
                    bounded=metric is None,
                    df=variance.df,
                )
                figure.update(zip(keys, limits))
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
