"""What is degenerate gives defined results, with a count of what was undefined, or a refusal."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select, evaluate
from crtkit.evaluation import bootstrap_interval, calibration_figures, net_benefit
from crtkit.statistics import delong_interval, delong_test, mcnemar_test, permutation_test

MAKE = {"reference_rows": False, "progress": False, "threads_per_fit": 1}
DRAWN = {"n_bootstrap": 40}


class Fixed(ClassifierMixin, BaseEstimator):
    """Risks that no patient changes, or that two values share."""

    def __init__(self, risk=0.3, cut=None, lost=0):
        self.risk, self.cut, self.lost = risk, cut, lost

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        risk = np.full(len(X), float(self.risk))
        if self.cut is not None:
            risk = np.where(np.asarray(X)[:, 0] > self.cut, 0.75, 0.25)
        risk[: self.lost] = np.nan
        return np.c_[1 - risk, risk]

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


def cohort(n, y=None, **columns):
    X = pd.DataFrame({"lvef": np.random.default_rng(0).normal(28, 6, n), **columns})
    return Cohort(X, np.arange(n) % 2 if y is None else y, np.arange(n))


def logistic():
    return make_pipeline(Select(["lvef"]), LogisticRegression())


def fixed(**params):
    return make_pipeline(Select(["lvef"]), Fixed(**params))


TABLES = {
    "summary": lambda r: r.summary(**DRAWN),
    "per_seed": lambda r: r.per_seed(),
    "compare": lambda r: r.compare("a", "b", **DRAWN),
    "roc": lambda r: r.roc(),
    "calibration": lambda r: r.calibration(**DRAWN),
    "calibration_curve": lambda r: r.calibration_curve(),
    "decision_curve": lambda r: r.decision_curve(**DRAWN),
    "against_references": lambda r: r.against_references(**DRAWN),
    "at_sensitivity": lambda r: r.at_sensitivity(0.9),
    "mcnemar": lambda r: r.mcnemar("a", "b"),
    "permutation": lambda r: r.permutation("a", "b"),
    "permutation, chance": lambda r: r.permutation("a"),
    "spread": lambda r: r.spread(),
    "conformal": lambda r: r.conformal(),
    "risk_coverage": lambda r: r.risk_coverage(),
    "plot_roc": lambda r: r.plot_roc(),
    "plot_calibration": lambda r: r.plot_calibration(),
    "plot_decision": lambda r: r.plot_decision(),
    "plot_forest": lambda r: r.plot_forest(**DRAWN),
    "plot_flow": lambda r: r.plot_flow(),
}


@pytest.fixture(scope="module")
def degenerate():
    """An evaluation of each kind, by name."""
    centre = np.repeat(["N", "S", "E"], 10)
    one_class = np.where(centre == "E", 1, np.arange(30) % 2)
    folds = [
        (np.arange(10, 30), np.arange(0, 10, 2)),  # this test part has one class
        (np.arange(20), np.arange(20, 30)),
    ]
    pair = {"a": logistic(), "b": fixed()}
    return {
        "one class in a fold": evaluate(pair, cohort(30), seeds=1, cv=folds, **MAKE),
        "a centre with one class": evaluate(
            pair, cohort(30, one_class, centre=centre), seeds=2, cv="centre",
            subgroups={"centre": "centre"}, **MAKE,
        ),
        "ties": evaluate({"a": logistic(), "b": fixed(cut=28)}, cohort(30), seeds=3, **MAKE),
        "constant": evaluate({"a": fixed(), "b": fixed(risk=0.5)}, cohort(30), seeds=3, **MAKE),
        "certain": evaluate(
            {"a": fixed(risk=0.0), "b": fixed(risk=1.0)}, cohort(30), seeds=3, **MAKE
        ),
        "four patients": evaluate(pair, cohort(4), seeds=2, test_size=0.5, **MAKE),
    }  # fmt: skip


KINDS = (
    "one class in a fold", "a centre with one class", "ties", "constant", "certain",
    "four patients",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_and_picture_is_defined(degenerate, kind):
    result = degenerate[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, make in TABLES.items():
            try:
                made = make(result)
            except Exception as error:  # a name is worth more than a traceback here
                raise AssertionError(f"{name}: {error!r}") from error
            if isinstance(made, pd.DataFrame):
                numbers = made.select_dtypes("number").to_numpy(dtype=float)
                assert not np.isinf(numbers).any() or name in ("roc", "calibration")
    plt.close("all")


@pytest.mark.parametrize("kind", KINDS)
def test_no_interval_has_zero_width_or_leaves_the_scale(degenerate, kind):
    table = degenerate[kind].summary(**DRAWN)
    for metric in ("roc_auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "brier"):
        for low, high in (("low", "high"), ("ci_low", "ci_high"), ("nb_low", "nb_high")):
            limits = table[metric][[low, high]].dropna()
            assert (limits[low] < limits[high]).all(), (metric, limits)
            assert limits.to_numpy().min(initial=0) >= 0
            assert limits.to_numpy().max(initial=1) <= 1


def test_what_was_undefined_is_counted(degenerate):
    splits = {kind: result.summary(**DRAWN) for kind, result in degenerate.items()}
    valid = {kind: table["roc_auc"]["n_valid"].to_dict() for kind, table in splits.items()}
    assert valid["one class in a fold"] == {"a": 1, "b": 1}  # of two folds
    assert valid["a centre with one class"] == {"a": 4, "b": 4}  # of three centres, two seeds
    assert valid["ties"] == {"a": 3, "b": 3}
    # Nobody is called positive at 0.3: PPV is undefined everywhere, and counted.
    constant = splits["constant"]["ppv"]
    assert constant.loc["a", "n_valid"] == 0
    assert np.isnan(constant.loc["a", "mean"])
    assert (splits["constant"]["roc_auc"]["mean"] == 0.5).all()
    by_centre = degenerate["a centre with one class"].summary(subgroup="centre=E", **DRAWN)
    assert (by_centre["roc_auc"]["n_valid"] == 0).all()
    assert by_centre["sensitivity"]["n_valid"].gt(0).all()


@pytest.mark.parametrize("kind", ["one class in a fold", "constant", "certain", "four patients"])
def test_the_report_is_written(degenerate, kind, tmp_path):
    path = tmp_path / "report.html"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        degenerate[kind].to_html(path, **DRAWN)
    assert path.stat().st_size > 10_000
    assert (tmp_path / "report.json").exists()
    plt.close("all")


def test_scores_that_are_missing_are_refused_with_their_number():
    with pytest.raises(RuntimeError, match=r"Model 'b' failed at seed 0.*2 of 6 scores are NaN"):
        evaluate({"a": logistic(), "b": fixed(lost=2)}, cohort(30), seeds=2, **MAKE)
    y, score = np.arange(20) % 2, np.linspace(0.1, 0.9, 20)
    score[3] = np.nan
    for ask in (
        lambda: bootstrap_interval(y, score, np.arange(20), **DRAWN),
        lambda: calibration_figures(y, score),
        lambda: net_benefit(y, score, [0.3]),
        lambda: delong_interval(y, score),
        lambda: delong_test(y, score, score),
        lambda: permutation_test(y, score, score),
    ):
        with pytest.raises(ValueError, match=r"(?i)nan|missing|finite"):
            ask()


def test_two_patients_and_one_class_are_refused_by_name():
    with pytest.raises(ValueError, match="Class 0 has one patient"):
        evaluate({"a": logistic()}, cohort(2), seeds=2, **MAKE)
    with pytest.raises(ValueError, match="one class"):
        evaluate(
            {"a": logistic()}, cohort(30), seeds=1,
            cv=[(np.arange(0, 30, 2), np.arange(1, 30, 2))], **MAKE,
        )  # fmt: skip
    with pytest.raises(ValueError, match="two classes|one class|classes"):
        evaluate({"a": logistic()}, cohort(10, np.ones(10, dtype=int)), seeds=2, **MAKE)


def test_functions_of_two_patients():
    y, score = [0, 1], [0.2, 0.8]
    assert bootstrap_interval(y, score, [0, 1], **DRAWN)[0] == 1.0
    assert np.isfinite(net_benefit(y, score, [0.3])).all()
    assert 0 < mcnemar_test(y, [True, True], [False, True])["p_value"].iloc[0] <= 1
    assert 0 < permutation_test(y, score, [0.8, 0.2])["p_value"].iloc[0] <= 1
