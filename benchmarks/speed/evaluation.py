"""Six cheap models on 285 patients, ten seeds, 2,000 bootstraps; and a bootstrap against a loop.

Goals
-----
``evaluate`` with two workers and the tables that a paper prints (summary, comparison with the best
rule, calibration, net benefit), each with 2,000 bootstraps by patient, within 60 seconds on two
cores (``ratio`` is 60 over the seconds). The bootstrap of an AUC at least 20 times as fast as a
loop over ``sklearn.metrics.roc_auc_score`` on the same draws.

Non-goals
---------
Networks, whose training is all the time there is; reading files.
"""

import time

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.evaluation import bootstrap_interval

GOAL_SECONDS, GOAL_BOOTSTRAP = 60.0, 20.0
COLUMNS = [f"c{i}" for i in range(12)]


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Two seeds and 100 bootstraps.

    Returns
    -------
    dict
        ``goals``, ``seconds`` of every part, ``rounds`` of the bootstrap.
    """
    cohort = _cohort()
    n_bootstrap = 100 if quick else 2000
    seconds = {}

    def timed(name, function):
        start = time.perf_counter()
        out = function()
        seconds[name] = time.perf_counter() - start
        return out

    result = timed(
        "evaluate",
        lambda: ck.evaluate(_models(), cohort, seeds=2 if quick else 10, n_jobs=2, progress=False),
    )
    for name in ("summary", "against_references", "calibration", "decision_curve"):
        timed(name, lambda name=name: getattr(result, name)(n_bootstrap=n_bootstrap))
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 285)
    score = rng.normal(size=285) + y
    draws = rng.integers(0, 285, (n_bootstrap, 285))
    times, ratios, rounds = interleaved(
        {
            "loop": lambda: [roc_auc_score(y[d], score[d]) for d in draws],
            "bootstrap": lambda: bootstrap_interval(
                y, score, np.arange(285), n_bootstrap=n_bootstrap, random_state=0
            ),
        },
        repeats=1 if quick else 3,
    )
    whole = sum(seconds.values())
    return {
        "goals": {
            "evaluation": against_goal(GOAL_SECONDS / whole, 1.0),
            "bootstrap": against_goal(ratios["bootstrap"], GOAL_BOOTSTRAP),
        },
        "seconds": {**seconds, "whole": whole, **times},
        "rounds": rounds,
        "n_patients": len(cohort),
        "n_bootstrap": n_bootstrap,
        "seed": 0,
    }


def _cohort():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(285) % 2)
    X = pd.DataFrame(rng.normal(size=(285, 12)) + 0.3 * y[:, None], columns=COLUMNS)
    X["qrs_duration_ms"] = 140 + 15 * y + rng.normal(0, 20, 285)
    X["lbbb"] = rng.integers(0, 2, 285)
    return ck.Cohort(X, y, np.arange(285), {"source": "simulated", "name": "cheap models"})


def _models():
    classifiers = {
        "logistic": LogisticRegression(),
        "SVC": SVC(),
        "forest": RandomForestClassifier(100),
        "neighbours": KNeighborsClassifier(),
        "naive Bayes": GaussianNB(),
        "LightGBM": LGBMClassifier(n_estimators=50, verbose=-1),
    }
    return {
        name: make_pipeline(ck.Select(COLUMNS), StandardScaler(), model)
        for name, model in classifiers.items()
    }
