"""Two models of one evaluation, paired."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit.evaluation.scoring import (
    Part,
    by_model,
    figures,
    nanmean,
    over_distinct,
    patients_of,
    replicate,
    spread,
)
from crtkit.evaluation.uncertainty.cut import steps_of_cut, with_moved_cut
from crtkit.evaluation.uncertainty.intervals import difference_interval, percentile_interval
from crtkit.evaluation.uncertainty.variance import (
    fits_share,
    larger,
    patient_variance,
    score_matrix,
    with_fits,
)

#: The reference row that is a share of one class, and no rule.
MAJORITY = "Majority class"
SHOWN = ("difference", "low", "high", "ci_low", "ci_high")


def compare_table(
    parts: list[Part],
    a: str,
    b: str,
    scoring: dict[str, Any],
    *,
    ratio: float | None,
    split_of: dict[tuple[int, int], int],
    confidence: float,
    n_bootstrap: int,
    n_patients: int | None = None,
) -> pd.DataFrame:
    """Differences of two models, metric by metric; see ``Evaluation.compare``."""
    models = by_model(parts)
    for name in (a, b):
        if name not in models:
            raise ValueError(f"There is no model {name!r}; this evaluation has {list(models)}.")
    if a == b:
        raise ValueError(f"compare needs two models, got {a!r} twice.")
    patients = patients_of(parts)
    drawn = [replicate(models[name], scoring, patients, n_bootstrap, 0) for name in (a, b)]
    values = [[figures(part, scoring) for part in models[name]] for name in (a, b)]
    seeds = np.array([part.seed for part in models[a]])
    delong = _delong(models[a], models[b])
    # Of a model against a rule, the model's half: a rule is not fitted, and adds nothing.
    shares = [fits_share(models[name], split_of, ratio) for name in (a, b)]
    share = sum(shares) / 2
    moved = [
        with_moved_cut(
            draw, own, steps_of_cut(own, patients, ratio, part, 0, n_bootstrap, n_patients)
        )
        for draw, own, part in zip(drawn, (models[a], models[b]), shares)
    ]
    rows = []
    for name in scoring:
        columns = [np.array([value[name] for value in own]) for own in values]
        difference = columns[0] - columns[1]
        # Means of two models over different splits would not be a paired comparison.
        both = ~np.isnan(difference)
        row: dict[str, Any] = {
            label: spread(np.where(both, column, np.nan), seeds)["mean"]
            for label, column in zip(("mean_a", "mean_b"), columns)
        }
        figure = spread(difference, seeds)
        row["difference"], row["sd"] = figure["mean"], figure["sd"]
        # Replicate i is the same draw of patients for both models.
        replicates = drawn[0][name] - drawn[1][name]
        cut = patient_variance(moved[0][name] - moved[1][name], name, models[a])
        fixed = patient_variance(replicates, name, models[a])
        variance = with_fits(fixed, difference, models[a], split_of, share)
        variance = larger(variance, cut)
        limits = difference_interval(row["difference"], variance.value, variance.df, confidence)
        row["low"], row["high"] = limits
        row["p"] = _p_value(row["difference"], *variance)
        row["ci_low"], row["ci_high"] = percentile_interval(replicates, confidence)
        distinct = [
            over_distinct(np.where(both, column, np.nan), models[a], split_of) for column in columns
        ]
        row.update(_corrected_t(distinct, ratio, confidence))
        row["delong_p"] = delong if name == "roc_auc" else np.nan
        row["n_valid"] = int(both.sum())
        rows.append(row)
    table = Comparison(rows, index=pd.Index(list(scoring), name="metric"))
    table.attrs["pair"] = (a, b)
    return table


def _p_value(difference: float, variance: float, df: float) -> float:
    """Two-sided p of no difference, of the test whose interval is the headline's."""
    if not variance > 0:
        return float("nan")
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(variance), df))


_FIXED = "these fits only: too sure of models that another cohort would train"
#: What a row of :func:`by_estimand` speaks of, its limits, its p-value, how it is found, and what
#: it leaves out; how often each rejects models of which none is better: ``benchmarks.coverage``.
ESTIMANDS = (
    ("the models as recipes, other patients", "low", "high", "p", "patients and fits", ""),
    (
        "the models as recipes, other splits", "nb_low", "nb_high", "p_value", "corrected t",
        "knows of no other patients: p is too small",
    ),
    ("these fits, other patients", "ci_low", "ci_high", None, "bootstrap by patient", _FIXED),
    ("these fits, mean scores", None, None, "delong_p", "DeLong", _FIXED),
)  # fmt: skip


class Comparison(pd.DataFrame):
    """Two models compared: a row per metric for programs, printed with one estimand a row."""

    def _printed(self) -> pd.DataFrame:
        wide = pd.DataFrame(self)
        # Columns may have been taken out; what is left is printed as it is.
        needed = {name for row in ESTIMANDS for name in row[1:4] if name} | {"difference"}
        return by_estimand(wide) if needed <= set(wide.columns) else wide

    def __repr__(self) -> str:
        return repr(self._printed())

    def _repr_html_(self) -> str | None:
        return self._printed()._repr_html_()  # type: ignore[operator]


def by_estimand(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`compare_table` taken apart, one per metric and estimand."""
    rows = {}
    for metric, row in table.iterrows():
        for what, low, high, p, method, note in ESTIMANDS:
            if p is not None and low is None and np.isnan(row[p]):
                continue  # DeLong's is of AUC alone
            rows[metric, what] = {
                "difference": row["difference"],
                "low": row[low] if low else np.nan,
                "high": row[high] if high else np.nan,
                "p_value": row[p] if p else np.nan,
                "method": method,
                "note": note,
            }
    index = pd.MultiIndex.from_tuples(list(rows), names=["metric", "estimand"])
    out = pd.DataFrame(list(rows.values()), index=index)
    out.attrs.update(table.attrs)
    return out


def reference_table(
    parts: list[Part],
    per_seed: pd.Series,
    references: list[str],
    scoring: dict[str, Any],
    *,
    ratio: float | None,
    split_of: dict[tuple[int, int], int],
    confidence: float,
    n_bootstrap: int,
    n_patients: int | None = None,
) -> pd.DataFrame:
    """Each model against the best reference row; see ``Evaluation.against_references``.

    Parameters
    ----------
    per_seed : Series
        The metric of every model and seed; its name says which.
    """
    metric = str(per_seed.name)
    sign = -1 if metric == "brier" else 1
    models = list(by_model(parts))
    of_model = per_seed.index.get_level_values("model")
    values = per_seed.to_numpy()
    means = {name: sign * float(nanmean(values[of_model == name])) for name in models}
    # A share of one class is not a rule: whatever says yes to everybody would "beat" it.
    rules = [name for name in references if name != MAJORITY]
    known = [name for name in rules if not np.isnan(means.get(name, np.nan))]
    rows = {}
    for model in [name for name in models if name not in references] if references else []:
        rows[model] = _verdict(model, known, means)
        if not known:
            continue
        table = compare_table(
            parts,
            model,
            rows[model]["reference"],
            {metric: scoring[metric]},
            ratio=ratio,
            split_of=split_of,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
            n_patients=n_patients,
        )
        shown = {name: float(table[name].iloc[0]) for name in SHOWN}
        # The limit on the side of no difference has to leave zero: a mean above it is no verdict.
        nearest = shown["low"] if sign > 0 else -shown["high"]
        rows[model].update(shown, beats=bool(nearest > 0))
    columns = ["reference", *SHOWN, "beats", "note"]
    table = pd.DataFrame(
        list(rows.values()), index=pd.Index(list(rows), name="model"), columns=columns
    )
    return table.astype({"beats": object})


def _verdict(model: str, known: list[str], means: dict[str, float]) -> dict[str, Any]:
    """Row of a model before it is compared: against the best rule, or against none."""
    if not known:
        note = "no clinical rule to compare with: the cohort has no column or signal for one"
        return {"reference": None, "beats": None, "note": note}
    best = max(known, key=lambda name: means[name])
    return {"reference": best, "beats": None, "note": ""}


def _corrected_t(
    columns: list[np.ndarray], ratio: float | None, confidence: float
) -> dict[str, float]:
    from crtkit.statistics import corrected_resampled_ttest

    keys = {"nb_low": "ci_low", "nb_high": "ci_high", "t": "statistic", "p_value": "p_value"}
    if ratio is None or len(columns[0]) < 2:
        return dict.fromkeys(keys, float("nan"))
    test = corrected_resampled_ttest(
        pd.DataFrame({"a": columns[0], "b": columns[1]}),
        test_size=ratio / (1 + ratio),
        confidence=confidence,
    ).iloc[0]
    return {ours: float(test[theirs]) for ours, theirs in keys.items()}


def _delong(a: list[Part], b: list[Part]) -> float:
    """P-value of DeLong's test on the mean score each unit got where it was tested."""
    from crtkit.statistics import delong_test

    tables = [score_matrix(parts, np.arange(len(parts))) for parts in (a, b)]
    scores = [nanmean(table.scores) for table in tables]
    y_true, groups = tables[0].y_true, tables[0].patient_of
    classes = [len(set(groups[y_true])), len(set(groups[~y_true]))]
    if min(classes) < 2 or not np.isfinite(scores).all():
        return float("nan")
    return float(delong_test(y_true, *scores, groups=groups)["p_value"].iloc[0])
