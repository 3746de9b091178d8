"""Nothing to find, nothing found: leak audits of clean cohorts, models of labels that are noise.

``python -m benchmarks.clean_cohorts --n-jobs 8`` writes two tables. The first: simulated cohorts of
the four studies and of all modalities together, without a leak, through
:func:`crtkit.evaluation.audit_leaks` with models, splits and, where there are pages, another
cohort's pages as the pool; it names what it found. The second: 20 records a patient that look
alike, and labels that are noise, through a search, a screen of variables and a tuned threshold;
their AUC by patient must be 0.5 on average. A run that was stopped goes on with the same command.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _slices
from benchmarks._results import environment, write_json, write_tables
from crtkit import Cohort, LeadStatistics, Select, evaluate
from crtkit.datasets import make_cohort
from crtkit.evaluation import RepeatedStratifiedPatientSplit, audit_leaks
from crtkit.resampling import HeldOutThreshold
from crtkit.statistics import UnivariateScreen

STUDIES = ("mori2025", "he2023", "he2021", "lvsd2026", "crt")
N_PATIENTS = 60
COLUMNS = list("abcdefgh")


def audit_clean(study, seed):
    """What the audit says of one clean cohort; an empty list where it says nothing."""
    cohort = make_cohort(study, n_patients=N_PATIENTS, random_state=seed)
    pool = None
    if "image" in cohort.X:
        other = make_cohort(
            study, n_patients=N_PATIENTS, modality="image", random_state=seed + 1_000_000
        )
        pool = other.X["image"].to_numpy()
    read = [c for c in cohort.info["covariates"] if pd.api.types.is_numeric_dtype(cohort.X[c])]
    chain = make_pipeline(
        Select(read), SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    models = {
        "table": chain,
        "search": GridSearchCV(chain, {"logisticregression__C": [0.1, 1]}, cv=GroupKFold(3)),
    }
    if "signal" in cohort.X:
        models["signal"] = make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = audit_leaks(
            cohort,
            models,
            cv=RepeatedStratifiedPatientSplit(3, random_state=seed),
            pool=pool,
            by="record" if study == "lvsd2026" else "patient",
        )
    named = [f"{row.kind}: {row.where}: {row.reason}" for row in found.itertuples()]
    return named + [str(w.message) for w in told if "check_pool" in str(w.message)]


def noise_areas(seed):
    """AUC by patient of each model where labels mean nothing."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(80), 20)
    own = rng.normal(size=(80, len(COLUMNS)))[patient]
    X = pd.DataFrame(own + 0.1 * rng.normal(size=own.shape), columns=COLUMNS)
    cohort = Cohort(X, rng.permutation(np.arange(80) % 2)[patient], patient)
    chain = make_pipeline(Select(COLUMNS), LogisticRegression())
    models = {
        "search": GridSearchCV(
            chain,
            {"logisticregression__C": [0.01, 1.0, 100.0]},
            cv=GroupKFold(3),
            scoring="roc_auc",
        ),
        "screen": make_pipeline(Select(COLUMNS), UnivariateScreen(alpha=0.3), LogisticRegression()),
        "threshold": HeldOutThreshold(chain, size=0.25),
    }
    result = evaluate(
        models,
        cohort,
        seeds=2,
        reference_rows=False,
        scoring="roc_auc",
        threads_per_fit=1,
        random_state=seed,
        progress=False,
    )
    areas = result.per_seed()["roc_auc"].groupby("model", observed=True).mean()
    return {str(name): float(area) for name, area in areas.items()}


def piece(kind, *arguments):
    """One cohort of either kind."""
    return audit_clean(*arguments) if kind == "clean" else noise_areas(*arguments)


def pieces_of(n_cohorts, n_noise):
    """Every cohort by name, both kinds in proportion, so that a run cut short has some of each."""
    names = [
        (k / n_cohorts, f"clean_{STUDIES[k % 5]}_{k // 5}", ("clean", STUDIES[k % 5], k // 5))
        for k in range(n_cohorts)
    ]
    names += [(k / n_noise, f"noise_{k}", ("noise", k)) for k in range(n_noise)]
    return {name: arguments for _, name, arguments in sorted(names, key=lambda job: job[0])}


def tables(work, pieces):
    """Cohorts and findings by study; mean AUC and its standard error by model."""
    clean, areas, found = {study: [0, 0] for study in STUDIES}, [], []
    for name, (kind, *arguments) in pieces.items():
        answer = _slices.read(work, name)
        if answer is None:
            continue
        if kind == "noise":
            areas.append(answer)
            continue
        clean[arguments[0]][0] += 1
        clean[arguments[0]][1] += bool(answer)
        found += [f"{name}: {line}" for line in answer]
    audit = pd.DataFrame(
        [(study, N_PATIENTS, *counts) for study, counts in clean.items()],
        columns=["study", "patients", "cohorts", "cohorts with a finding"],
    ).set_index("study")
    noise = pd.DataFrame(areas)
    columns = {"mean AUC": noise.mean(), "standard error": noise.sem(), "cohorts": noise.count()}
    return audit, pd.DataFrame(columns).round(4).rename_axis("model"), found


def main(arguments=None):
    """Write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clean_cohorts", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cohorts", type=int, default=200, help="clean ones to audit")
    parser.add_argument("--noise", type=int, default=50, help="cohorts whose labels are noise")
    _slices.add_arguments(parser, "pieces")
    parser.add_argument("--out", type=Path, default=Path("results") / "clean_cohorts")
    options = parser.parse_args(arguments)
    work, pieces = options.work or options.out / "pieces", pieces_of(options.cohorts, options.noise)
    whole = _slices.fill(work, piece, pieces, n_jobs=options.n_jobs, minutes=options.minutes)
    if not whole:
        print("tables of what is there; the same command goes on")
    audit, noise, found = tables(work, pieces)
    write_tables(options.out, {"audit": audit, "noise": noise})
    print("\n".join(found))
    settings = {"whole": whole, "cohorts": options.cohorts, "noise": options.noise}
    write_json(
        options.out / "results.json",
        {
            "settings": settings,
            "environment": environment(),
            "audit": audit.reset_index().to_dict("records"),
            "noise": noise.reset_index().to_dict("records"),
            "found": found,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
