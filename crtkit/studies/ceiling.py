"""What the signal can give: the best AUC when latents are read from the ECG with their errors.

``info["best_auc"]["signal"]`` of a simulated cohort takes every latent that shapes the ECG (QRS
morphology and duration, scar, voltage, ...) as known without error. No model can know them so:
scar hardly shows. Here each latent is read from simulated ECGs by models that were taught its true
value (on other patients), the errors of those readings are laid over fresh draws of the population,
and the best AUC that the readings allow is measured. It is an estimate for measurements and
statistics of the signal; a network that reads a latent better may exceed it, but never the first
ceiling.
"""

import json
from importlib.resources import files

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit.datasets import make_cohort
from crtkit.datasets.simulation import lvsd2026, response
from crtkit.metrics import roc_auc
from crtkit.statistics.delong import hanley_mcneil_error
from crtkit.studies.simple import with_features

#: Column of a simulated cohort that has the true value of a latent.
COLUMNS = {
    "morphology": "true_morphology",
    "scar": "true_scar",
    "voltage": "true_voltage",
    "repolarisation": "true_repolarisation",
}
DISCRETE = ("af", "ischaemic")
FOLDS = 5


def signal_ceilings():
    """Ceilings that were measured with this version of the simulation.

    Returns
    -------
    dict of str to dict
        By study: ``auc``, its Monte Carlo error ``se``, ``n_ecg`` (records read), ``r2`` of each
        continuous latent, ``auc_known`` (the same method given the true latents, which must be the
        first ceiling again).

    Examples
    --------
    >>> from crtkit.studies.ceiling import signal_ceilings
    >>> sorted(signal_ceilings())
    ['he2023', 'lvsd2026', 'mori2025']
    """
    path = files("crtkit") / "studies" / "ceilings.json"
    return json.loads(path.read_text(encoding="utf-8"))["studies"]


def measure_ceiling(study, *, n_ecg=2000, n_draws=200_000, random_state=0):
    """Measure what the signal of a study can give.

    Parameters
    ----------
    study : {"mori2025", "he2023", "lvsd2026"}
    n_ecg : int
        Simulated records whose latents are read.
    n_draws : int
        Draws of the population, half to learn the posterior and half to rank.
    random_state : int

    Returns
    -------
    dict
        As :func:`signal_ceilings` has it for one study.
    """
    truth, read = read_latents(study, n_ecg, random_state)
    continuous = [c for c in truth if c in read.columns and c not in DISCRETE]
    r2 = {c: float(np.corrcoef(truth[c].astype(float), read[c])[0, 1] ** 2) for c in continuous}
    out = {"n_ecg": len(truth), "n_draws": n_draws, "r2": r2}
    if study == "lvsd2026":
        known, best = (lvsd2026.best_auc(reliability=r)["signal"] for r in (None, r2))
        return {"auc": best["auc"], "se": best["se"], "auc_known": known["auc"], **out}
    rng = np.random.default_rng([random_state, 1])
    model = response.MODELS[study]
    half = n_draws // 2
    drawn = model.draw((half, half), rng, exact=False)
    label = drawn["response"].to_numpy()
    noisy = with_errors(truth, read, latents(drawn, study), rng)
    auc, se = posterior_auc(noisy, label, rng)
    known, _ = posterior_auc(_encoded(latents(drawn, study)), label, rng)
    return {"auc": auc, "se": se, "auc_known": known, **out}


def latents(table, study):
    """Latents that reach the signal, from a cohort's or the population's table."""
    if study == "lvsd2026":
        names = lvsd2026.SEEN["signal"]
    else:
        names = response.MODELS[study].seen["signal"]
    columns = {name: COLUMNS.get(name, name) for name in names}
    return pd.DataFrame({n: table[c if c in table else n].to_numpy() for n, c in columns.items()})


def read_latents(study, n_ecg, random_state):
    """True latents of simulated records, and what models read of them for patients unseen.

    Returns
    -------
    truth : DataFrame of shape (n_records, n_latents)
    read : DataFrame
        Continuous latents under their names; probabilities of discrete ones as ``name=level``.
    """
    from lightgbm import LGBMClassifier, LGBMRegressor

    cohort = with_features(make_cohort(study, n_patients=n_ecg, random_state=random_state))
    X = np.hstack([np.stack(cohort.X[c]) for c in ("measurements", "statistics")])
    filled = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    filled = np.nan_to_num(filled)  # a column that nobody has
    truth = latents(cohort.X, study)
    parameters = {
        "n_estimators": 150, "learning_rate": 0.05, "num_leaves": 15, "n_jobs": 1,
        "verbosity": -1, "deterministic": True, "force_row_wise": True, "random_state": 0,
    }  # fmt: skip
    read = {}
    # Out of fold by patient, or the errors would be those of a reader who has seen the answer.
    cv = list(GroupKFold(FOLDS).split(X, groups=cohort.groups))
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    for name in truth:
        y = truth[name].to_numpy()
        levels = np.unique(y)
        if name == "morphology" or name in DISCRETE:
            if len(levels) < 2:
                continue
            model = LGBMClassifier(**parameters)
            p = cross_val_predict(model, X, y.astype(str), cv=cv, method="predict_proba")
            for level, column in zip(np.unique(y.astype(str)), p.T):
                read[f"{name}={level}"] = column
            continue
        y = y.astype(float)
        tries = [
            cross_val_predict(model, inputs, y, cv=cv)
            for model, inputs in ((ridge, filled), (LGBMRegressor(**parameters), X))
        ]
        # The better of a linear and a boosted reading: a poor reader makes no ceiling.
        read[name] = max(tries, key=lambda guess: np.corrcoef(guess, y)[0, 1])
    return truth, pd.DataFrame(read)


def with_errors(truth, read, population, rng):
    """Readings of a population: each draw takes the errors of a record of its own kind.

    Parameters
    ----------
    truth, read : DataFrame
        From :func:`read_latents`.
    population : DataFrame
        Latents of the draws.
    rng : Generator

    Returns
    -------
    ndarray of shape (n_draws, n_readings)
    """
    kinds = [c for c in ("morphology", *DISCRETE) if c in truth]
    key = truth[kinds].astype(str).agg("|".join, axis=1).to_numpy()
    own = population[kinds].astype(str).agg("|".join, axis=1).to_numpy()
    # A kind that no read record has takes its errors from its morphology.
    alone = {k: np.flatnonzero(key == k) for k in np.unique(key)}
    by_shape = truth.groupby(kinds[0]).indices if kinds else {}
    donor = np.empty(len(population), dtype=int)
    for kind in np.unique(own):
        rows = np.flatnonzero(own == kind)
        pool = alone.get(kind, by_shape.get(kind.split("|")[0], np.arange(len(truth))))
        donor[rows] = rng.choice(pool, len(rows))
    columns = []
    for name in read:
        if name not in truth:
            columns.append(read[name].to_numpy()[donor])
            continue
        x = truth[name].to_numpy(dtype=float)
        slope, start = np.polyfit(x, read[name], 1)
        error = read[name].to_numpy() - (start + slope * x)
        columns.append(start + slope * population[name].to_numpy(dtype=float) + error[donor])
    return np.column_stack(columns)


def _encoded(table):
    """Latents as numbers: morphology by its levels."""
    return pd.get_dummies(table, columns=[c for c in ("morphology",) if c in table]).to_numpy(float)


def posterior_auc(values, label, rng):
    """AUC of the best ranking by some values, learned on one half of many draws.

    Returns
    -------
    auc, se : float
        With the standard error of the AUC (Hanley and McNeil's).
    """
    from lightgbm import LGBMClassifier

    order = rng.permutation(len(label))
    # Learned on one half, judged on the other: in-sample boosting reaches an AUC of 1.
    learn, judge = np.array_split(order, 2)
    model = LGBMClassifier(
        n_estimators=300, learning_rate=0.03, num_leaves=15, min_child_samples=100, n_jobs=1,
        subsample=0.5, subsample_freq=1, verbosity=-1, random_state=0,
    )  # fmt: skip
    model.fit(values[learn], label[learn])
    auc = roc_auc(label[judge], model.predict_proba(values[judge])[:, 1])
    positive = int(label[judge].sum())
    return auc, hanley_mcneil_error(auc, positive, len(judge) - positive)
