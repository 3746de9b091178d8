"""Cohorts whose truth is known, and what intervals and tests say of them."""

import numpy as np
from scipy import stats
from scipy.special import expit

from crtkit.evaluation import RepeatedStratifiedPatientSplit, wilson_interval
from crtkit.evaluation.compare import compare_table
from crtkit.evaluation.scoring import Part, vote
from crtkit.evaluation.summary import summary_table
from crtkit.evaluation.uncertainty.intervals import (
    ANSWERS,
    bca_interval,
    deciding_patients,
    mean_interval,
    patient_weights,
    percentile_interval,
    replicate_answers,
    replicate_scores,
    without_each_patient,
)
from crtkit.statistics import delong_interval, delong_test, mcnemar_test, permutation_test

METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity", "ppv", "npv")
CUT = 0.75
SEEDS, TEST_SIZE, REPLICATES = 10, 0.2, 300
SPLIT_OF = {(k, 0): k for k in range(SEEDS)}
# Shift of each column where the patient responds; None: labels that are noise.
SHIFTS = {"six columns": np.array([0.8, 0.4, 0.2, 0, 0, 0]), "noise": np.zeros(6)}
LIMITS = {
    "headline": ("low", "high"),
    "fits held fixed": ("ci_low", "ci_high"),
    "Nadeau-Bengio": ("nb_low", "nb_high"),
}


def draw_scores(n_patients, n_records, rng, columns=1):
    """Truth, scores and patient of every record; scores of one patient go together.

    Parameters
    ----------
    n_patients : int
    n_records : float
        Mean number of records of a patient, one at least.
    rng : Generator
    columns : int, default=1
        Scores of as many models, of which none is better.
    """
    y = rng.random(n_patients) < 0.5
    count = 1 + rng.poisson(n_records - 1, n_patients)
    patient = np.repeat(np.arange(n_patients), count)
    own = 1.5 * y[:, None] + rng.normal(0, 0.8, (n_patients, columns))
    return y[patient], own[patient] + rng.normal(0, 0.6, (len(patient), columns)), patient


def true_figures(n_records, voted):
    """What :func:`draw_scores` reaches over all patients; PPV and NPV at half of them positive."""
    # A patient of k records votes by their mean, whose noise is smaller.
    k = np.arange(1, 40)
    share = stats.poisson.pmf(k - 1, n_records - 1)
    sd = np.sqrt(0.64 + 0.36 / k) if voted else np.ones(len(k))
    if not voted:
        share = np.where(k == 1, 1.0, 0.0)
    spread = np.sqrt(sd[:, None] ** 2 + sd[None, :] ** 2)
    sensitivity = float(share @ stats.norm.cdf((1.5 - CUT) / sd))
    specificity = float(share @ stats.norm.cdf(CUT / sd))
    return {
        "roc_auc": float(share @ stats.norm.cdf(1.5 / spread) @ share),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "accuracy": (sensitivity + specificity) / 2,
        "ppv": sensitivity / (sensitivity + 1 - specificity),
        "npv": specificity / (specificity + 1 - sensitivity),
    }


def intervals_of(y, score, patient, n_bootstrap, seed):
    """Every interval of one cohort's fixed scores, as ``bootstrap_interval`` gives them.

    The replicates of all metrics and methods come from one set of draws; a test holds that they are
    those of the public function.
    """
    n = int(patient.max()) + 1
    drawn = [_replicates(y, score, w[:, patient]) for w in patient_weights(n, n_bootstrap, seed)]
    left = [_replicates(y, score, w[:, patient]) for w in without_each_patient(n)]
    now = _replicates(y, score, np.ones((1, len(y))))
    out = {}
    for name in METRICS:
        values, jackknife = (np.concatenate([d[name] for d in block]) for block in (drawn, left))
        called = score > CUT if name in ANSWERS else np.ones(len(y), dtype=bool)
        deciding = deciding_patients(name, y, called, patient)
        m, variance = max(deciding, 2), np.nanvar(values, ddof=1)
        estimate = float(now[name][0])
        limits = {
            "logit": mean_interval(estimate, variance * m / (m - 1), deciding, 0.95),
            "bca": bca_interval(values, estimate, jackknife, 0.95),
            "percentile": percentile_interval(values, 0.95),
        }
        for method, (low, high) in limits.items():
            if not low < high:
                low, high = mean_interval(estimate, 0.0, deciding, 0.95)
            out[name, method] = (low, high)
    return out


def _replicates(y, score, weights):
    called = replicate_answers(y, score > CUT, weights)
    return {**called, **replicate_scores(y, score, weights)}


def fixed_scores(n_patients, n_records, n_bootstrap, rng):
    """Which intervals of one cohort hold the truth, by metric and method."""
    truth = true_figures(n_records, voted=False)
    y, score, patient = draw_scores(n_patients, n_records, rng)
    score = score[:, 0]
    limits = intervals_of(y, score, patient, n_bootstrap, int(rng.integers(2**31)))
    row = delong_interval(y, score, groups=patient).iloc[0]
    limits["roc_auc", "delong"] = (row["ci_low"], row["ci_high"])
    if n_records == 1:
        right = (score > CUT) == y
        for name, who in (("sensitivity", y), ("specificity", ~y), ("accuracy", y | ~y)):
            limits[name, "wilson"] = wilson_interval(int(right[who].sum()), int(who.sum()))
    return {f"{name}|{method}": holds(truth[name], pair) for (name, method), pair in limits.items()}


def headline_of_fixed(n_patients, n_records, rng):
    """Whether the summary's intervals hold the truth where the scores are not trained at all."""
    truth = true_figures(n_records, voted=True)
    y, score, patient = draw_scores(n_patients, n_records, rng)
    parts = []
    for seed, (_, test) in enumerate(_splits(y, patient)):
        part = _part("fixed", seed, patient[test], y[test], score[test, 0] - CUT)
        parts.append(vote(part))
    return _summaryholds(parts, truth)


def headline_of_trained(n_patients, shift, held, rng):
    """The same for a logistic model trained in every split, and the true figures of its fits."""
    y = np.arange(n_patients) % 2 == 0 if held else rng.random(n_patients) < 0.5
    X = rng.normal(size=(n_patients, len(shift))) + shift * y[:, None]
    splits = _splits(y, np.arange(n_patients))
    coefficients = fit_logistic(X, y, splits)
    parts = [
        _part("m", k, test, y[test], expit(b[0] + X[test] @ b[1:]), cut=0.5)
        for k, ((_, test), b) in enumerate(zip(splits, coefficients))
    ]
    length = np.linalg.norm(coefficients[:, 1:], axis=1)
    towards = coefficients[:, 1:] @ shift
    yes, no = (coefficients[:, 0] + towards) / length, -coefficients[:, 0] / length
    reached = {
        "roc_auc": stats.norm.cdf(towards / length / np.sqrt(2)),
        "sensitivity": stats.norm.cdf(yes),
        "specificity": stats.norm.cdf(no),
        "accuracy": (stats.norm.cdf(yes) + stats.norm.cdf(no)) / 2,
    }
    limits = _summary_limits(parts, tuple(reached))
    return {
        "reached": {name: float(np.mean(values)) for name, values in reached.items()},
        "limits": limits,
    }


def rejections(n_patients, kind, rng):
    """Which tests call one of two models better, of which neither is.

    ``kind`` is "fixed" (two given scores), "trained" (two logistic models on other columns, equally
    good) or "noise" (both on columns without a signal).
    """
    splits_of = np.arange(n_patients)
    if kind == "fixed":
        y, scores, _ = draw_scores(n_patients, 1, rng, columns=2)
        splits = _splits(y, splits_of)
        both = [np.tile(scores[:, k] - CUT, (SEEDS, 1)) for k in (0, 1)]
    else:
        y = rng.random(n_patients) < 0.5
        X = rng.normal(size=(n_patients, 4)) + (0.5 * y[:, None] if kind == "trained" else 0)
        splits, both = _splits(y, splits_of), []
        for columns in ([0, 1], [2, 3]):
            b = fit_logistic(X[:, columns], y, splits)
            both.append(b[:, :1] + b[:, 1:] @ X[:, columns].T)
    parts = [
        _part(name, k, test, y[test], score[k, test])
        for name, score in zip("ab", both)
        for k, (_, test) in enumerate(splits)
    ]
    table = compare_table(parts, "a", "b", {"roc_auc": None}, **_options()).loc["roc_auc"]
    # One answer per patient, from the first split that tested each: what McNemar's test takes.
    first = np.full(n_patients, -1)
    for k, (_, test) in reversed(list(enumerate(splits))):
        first[test] = k
    seen = np.flatnonzero(first >= 0)
    a, b = (score[first[seen], seen] for score in both)
    seed = int(rng.integers(2**31))
    swap = permutation_test(y[seen], a, b, n_permutations=199, random_state=seed)
    p_swap = swap["p_value"].iloc[0]
    # What Evaluation.permutation makes of it.
    wider = (table["high"] - table["low"]) / (table["ci_high"] - table["ci_low"])
    p_fits = 2 * stats.norm.sf(stats.norm.isf(p_swap / 2) / max(wider, 1.0))
    return {
        "headline interval": not table["low"] <= 0 <= table["high"],
        "fits held fixed": not table["ci_low"] <= 0 <= table["ci_high"],
        "corrected t": table["p_value"] < 0.05,
        "DeLong, mean scores over splits": table["delong_p"] < 0.05,
        "DeLong, first score": delong_test(y[seen], a, b)["p_value"].iloc[0] < 0.05,
        "permutation, first score": p_swap <= 0.05,
        "permutation, fits counted": p_fits <= 0.05,
        "McNemar, first call": mcnemar_test(y[seen], a > 0, b > 0)["p_value"].iloc[0] < 0.05,
    }


def fit_logistic(X, y, splits):
    """Coefficients (n_splits, 1 + n_columns) of ridge logistic models with C = 1, by Newton.

    The model of scikit-learn's defaults, all splits at once: a test holds that they agree.
    """
    n, p = X.shape
    Z, inside = np.c_[np.ones(n), X], np.zeros((len(splits), n))
    for k, (train, _) in enumerate(splits):
        inside[k, train] = 1
    ridge = np.diag([0.0, *np.ones(p)])
    b = np.zeros((len(splits), p + 1))
    for _ in range(10):
        risk = expit(b @ Z.T)
        gradient = ((y - risk) * inside) @ Z - b @ ridge
        weight = risk * (1 - risk) * inside
        hessian = (Z.T[None] * weight[:, None]) @ Z + ridge
        b = b + np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return b


def _splits(y, patient):
    splitter = RepeatedStratifiedPatientSplit(SEEDS, test_size=TEST_SIZE, random_state=0)
    return list(splitter.split(np.zeros(len(y)), y, patient))


def _options():
    ratio = TEST_SIZE / (1 - TEST_SIZE)
    return {
        "ratio": ratio, "split_of": SPLIT_OF, "confidence": 0.95, "n_bootstrap": REPLICATES
    }  # fmt: skip


def _summary_limits(parts, names):
    row = summary_table(parts, dict.fromkeys(names), **_options()).iloc[0]
    return {
        f"{name}|{kind}": (float(row[name, low]), float(row[name, high]))
        for name in names
        for kind, (low, high) in LIMITS.items()
    }


def _summaryholds(parts, truth):
    limits = _summary_limits(parts, METRICS)
    return {key: holds(truth[key.split("|")[0]], pair) for key, pair in limits.items()}


def holds(truth, limits):
    low, high = limits
    return low is not None and high is not None and bool(low <= truth <= high)


def _part(model, seed, group, y, score, cut=0.0):
    kind = "probability" if cut else "decision"
    return Part(model, seed, 0, kind, group.astype(object), y, score > cut, score)
