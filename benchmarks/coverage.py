"""How often intervals hold the truth, and tests reject one: simulated cohorts whose truth is known.

``python -m benchmarks.coverage --cohorts 2000 --out results/coverage`` writes two tables: intervals
of fixed scores and answers (another model's, on other patients), and of a logistic model that is
trained in every split, where the truth is its expected AUC at that training size.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from benchmarks._results import markdown_table, write_json
from crtkit import metrics
from crtkit.evaluation import RepeatedStratifiedPatientSplit, bootstrap_interval, wilson_interval
from crtkit.evaluation.compare import compare_table
from crtkit.evaluation.scoring import Part
from crtkit.evaluation.summary import summary_table
from crtkit.statistics import delong_interval

METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity", "ppv", "npv")
METHODS = ("percentile", "bca", "logit")
CUT = 0.75
SLOPES = np.array([0.8, 0.4, 0.2, 0.0, 0.0, 0.0])
SEEDS = 10
TEST_SIZE = 0.2
BIG = 200_000


def draw_scores(n_patients, n_records, rng):
    """Truth, score and patient of every record; scores of one patient go together.

    Parameters
    ----------
    n_patients : int
    n_records : float
        Mean number of records of a patient, one at least.
    rng : Generator
    """
    y = rng.random(n_patients) < 0.5
    count = 1 + rng.poisson(n_records - 1, n_patients)
    patient = np.repeat(np.arange(n_patients), count)
    own = 1.5 * y + rng.normal(0, 0.8, n_patients)
    return y[patient], own[patient] + rng.normal(0, 0.6, len(patient)), patient


def fixed_scores(n_patients, n_records, cohorts, n_bootstrap, seed):
    """Share of cohorts whose interval holds the truth, one row per metric and method."""
    rng = np.random.default_rng([seed, n_patients, round(10 * n_records)])
    y, score, _ = draw_scores(BIG, n_records, rng)
    truth = {name: _figure(name, y, score) for name in METRICS}
    hits, widths = {}, {}

    def note(name, method, low, high):
        hits.setdefault((name, method), []).append(low <= truth[name] <= high)
        widths.setdefault((name, method), []).append(high - low)

    for k in range(cohorts):
        y, score, patient = draw_scores(n_patients, n_records, rng)
        for name in METRICS:
            answer = score if name == "roc_auc" else score > CUT
            for method in METHODS:
                interval = bootstrap_interval(
                    y,
                    answer,
                    patient,
                    getattr(metrics, name),
                    method=method,
                    n_bootstrap=n_bootstrap,
                    random_state=k,
                )
                note(name, method, interval.low, interval.high)
        row = delong_interval(y, score, groups=patient).iloc[0]
        note("roc_auc", "delong", row["ci_low"], row["ci_high"])
        if n_records == 1:
            counts = metrics.confusion_counts(y, score > CUT)
            note("sensitivity", "wilson", *wilson_interval(counts.tp, counts.tp + counts.fn))
            note("specificity", "wilson", *wilson_interval(counts.tn, counts.tn + counts.fp))
            note("accuracy", "wilson", *wilson_interval(counts.tp + counts.tn, n_patients))
    return [
        {
            "n_patients": n_patients,
            "records_per_patient": n_records,
            "metric": name,
            "method": method,
            "coverage": float(np.mean(values)),
            "mean_width": float(np.nanmean(widths[name, method])),
            "cohorts": cohorts,
        }
        for (name, method), values in hits.items()
    ]


def trained_models(n_patients, cohorts, n_bootstrap, seed):
    """Coverage of the expected AUC of trained models, and errors of the test between two of them.

    Two logistic models see different halves of six exchangeable columns, so that neither is better.
    """
    rng = np.random.default_rng([seed, n_patients])
    X_big = rng.normal(size=(20_000, 6))
    y_big = rng.random(len(X_big)) < expit(X_big @ SLOPES)
    splitter = RepeatedStratifiedPatientSplit(SEEDS, test_size=TEST_SIZE, random_state=0)
    split_of = {(k, 0): k for k in range(SEEDS)}
    options = {
        "ratio": TEST_SIZE / (1 - TEST_SIZE),
        "split_of": split_of,
        "confidence": 0.95,
        "n_bootstrap": n_bootstrap,
    }
    scoring = {"roc_auc": None, "accuracy": None}
    reached, limits, errors = [], [], []
    for _ in range(cohorts):
        X = rng.normal(size=(n_patients, 6))
        y = rng.random(n_patients) < expit(X @ SLOPES)
        Z = rng.normal(size=(n_patients, 4)) + 0.5 * y[:, None]
        parts, own = [], []
        for seed_, (train, test) in enumerate(splitter.split(X, y, np.arange(n_patients))):
            model = LogisticRegression().fit(X[train], y[train])
            parts.append(_part("model", seed_, test, y, model.decision_function(X[test])))
            if seed_ < 2:  # two fits a cohort tell the expected AUC well enough
                own.append(metrics.roc_auc(y_big, model.decision_function(X_big)))
            for name, columns in (("a", [0, 1]), ("b", [2, 3])):
                twin = LogisticRegression().fit(Z[train][:, columns], y[train])
                score = twin.decision_function(Z[test][:, columns])
                parts.append(_part(name, seed_, test, y, score))
        reached.append(np.mean(own))
        mine = [part for part in parts if part.model == "model"]
        limits.append(summary_table(mine, scoring, **options).loc["model", "roc_auc"])
        twins = [part for part in parts if part.model != "model"]
        test = compare_table(twins, "a", "b", scoring, **options).loc["roc_auc"]
        errors.append(
            {
                "headline": not test["low"] <= 0 <= test["high"],
                "fits fixed": not test["ci_low"] <= 0 <= test["ci_high"],
                "corrected t": test["p_value"] < 0.05,
                "DeLong on mean scores": test["delong_p"] < 0.05,
            }
        )
    truth, table, errors = np.mean(reached), pd.DataFrame(limits), pd.DataFrame(errors)
    kinds = {
        "headline (patients and fits)": ("low", "high"),
        "fits fixed": ("ci_low", "ci_high"),
        "Nadeau-Bengio": ("nb_low", "nb_high"),
    }
    rows = []
    for name, (low, high) in kinds.items():
        inside = (table[low] <= truth) & (truth <= table[high])
        width = float((table[high] - table[low]).mean())
        rows.append(_row(n_patients, "coverage", name, inside.mean(), cohorts, width))
    rows += [_row(n_patients, "type I error", n, errors[n].mean(), cohorts) for n in errors]
    return rows


def _row(n_patients, what, method, share, cohorts, width=np.nan):
    return {
        "n_patients": n_patients,
        "what": what,
        "method": method,
        "share": float(share),
        "mean_width": width,
        "cohorts": cohorts,
    }


def _part(model, seed, test, y, score):
    return Part(model, seed, 0, "decision", test.astype(object), y[test], score > 0, score)


def _figure(name, y, score):
    return getattr(metrics, name)(y, score if name == "roc_auc" else score > CUT)


def main(arguments=None):
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--trained", type=int, default=400, help="cohorts of trained models")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--patients", type=int, nargs="+", default=[71, 102, 285])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "coverage")
    options = parser.parse_args(arguments)
    fixed, trained = [], []
    for n in options.patients:
        for records in (1, 2.3):
            fixed += fixed_scores(n, records, options.cohorts, options.bootstrap, options.seed)
        trained += trained_models(n, options.trained, options.bootstrap, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    wide = pd.DataFrame(fixed).pivot_table(
        index=["n_patients", "records_per_patient", "metric"], columns="method", values="coverage"
    )
    for name, table in (("fixed", wide), ("trained", pd.DataFrame(trained))):
        table.to_csv(options.out / f"{name}.csv", index=name == "fixed")
        shown = table.reset_index() if name == "fixed" else table
        (options.out / f"{name}.md").write_text(
            markdown_table(shown.set_index(shown.columns[0])) + "\n"
        )
        print(shown.round(3).to_string(index=False))
    write_json(options.out / "results.json", {"fixed": fixed, "trained": trained})


if __name__ == "__main__":
    main()
