import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from crtkit import evaluate
from crtkit.evaluation import calibration_figures, loess
from crtkit.evaluation.risks.calibration import _logistic_many, _Smoother, fit_logistic

DATA = Path(__file__).parent.parent / "data" / "calibration"
TABLES = {n: pd.read_csv(DATA / f"n{n}.csv") for n in (285, 2000)}
FIGURES = {n: json.loads((DATA / f"n{n}_expected.json").read_text())["results"] for n in TABLES}
TABLE, EXPECTED = TABLES[285], FIGURES[285]


@pytest.mark.parametrize("n", list(TABLES))
@pytest.mark.parametrize("column", list(EXPECTED))
def test_figures_are_those_of_r(column, n):
    got = calibration_figures(TABLES[n]["y"], TABLES[n][column])
    want = FIGURES[n][column]
    exact = {"observed": "observed", "expected": "expected", "o_e": "O_E", "brier": "brier"}
    for ours, theirs in {**exact, "scaled_brier": "scaled_brier"}.items():
        assert getattr(got, ours) == pytest.approx(want[theirs], abs=1e-9), ours
    assert (got.o_e_low, got.o_e_high) == pytest.approx(tuple(want["O_E_ci"]), abs=1e-5)
    assert got.slope == pytest.approx(want["slope"], abs=1e-6)
    assert got.intercept == pytest.approx(want["citl"], abs=1e-6)
    slope, intercept = (got.slope_low, got.slope_high), (got.intercept_low, got.intercept_high)
    assert slope == pytest.approx(tuple(want["slope_ci_wald"]), abs=1e-5)
    assert intercept == pytest.approx(tuple(want["citl_ci_wald"]), abs=1e-5)
    for ours, theirs in {"ici": "ICI", "e50": "E50", "e90": "E90", "emax": "Emax"}.items():
        assert getattr(got, ours) == pytest.approx(want["loess_direct"][theirs], abs=1e-6), ours
    assert got.ece == pytest.approx(want["ece_equal_width_10"]["ECE"], abs=1e-9)


def test_ties_and_few_values_do_not_break_the_curve():
    x = np.repeat([0.1, 0.5, 0.9], 20)
    y = np.tile([0, 1, 1, 0, 1], 12)
    smooth = loess(x, y, [0.1, 0.5, 0.9])
    assert np.isfinite(smooth).all()
    np.testing.assert_allclose(loess(np.full(9, 0.3), np.arange(9), [0.3]), 4)
    fine = loess(np.linspace(0, 1, 3000), np.linspace(0, 1, 3000) ** 2, np.linspace(0, 1, 3000))
    np.testing.assert_allclose(fine, np.linspace(0, 1, 3000) ** 2, atol=1e-5)


def test_undefined_figures_are_nan():
    one_class = calibration_figures([1, 1], [0.5, 0.6])
    assert np.isnan([one_class.slope, one_class.o_e_low, one_class.o_e_high]).all()
    assert np.isnan(calibration_figures([0, 1, 0], [0.5, 0.5, 0.5]).slope)  # one risk
    apart = calibration_figures([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isnan(apart.slope)  # classes fully apart: no finite slope
    assert np.isfinite(apart.intercept)
    assert calibration_figures([], []).n == 0
    certain = calibration_figures([0, 1, 1, 0], [0.0, 1.0, 0.0, 0.0])
    assert np.isfinite(certain.brier)
    with pytest.raises(ValueError, match=r"risks in \[0, 1\], got -1 to 2"):
        calibration_figures([0, 1], [-1, 2])


def test_a_true_model_is_calibrated():
    rng = np.random.default_rng(0)
    logit = rng.normal(size=10_000)
    p = 1 / (1 + np.exp(-logit))
    y = rng.random(10_000) < p
    figures = calibration_figures(y, p)
    assert figures.slope == pytest.approx(1, abs=0.05)
    assert figures.intercept == pytest.approx(0, abs=0.05)
    assert figures.ici < 0.02
    double = calibration_figures(y, 1 / (1 + np.exp(-2 * logit)))
    assert double.slope == pytest.approx(0.5, abs=0.03)


@pytest.fixture
def result(make_table_cohort, models):
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    from crtkit import Select

    models = {"logistic": models["logistic"], "svc": make_pipeline(Select(["lvef"]), SVC())}
    cohort = make_table_cohort(n_patients=120, records=1)
    return evaluate(models, cohort, seeds=5, threads_per_fit=1, reference_rows=False)


def test_an_evaluation_pools_answers_and_draws_patients(result):
    table = result.calibration(n_bootstrap=100)
    rows = result.predictions.query("model == 'logistic'")
    y, p = (rows["y_true"] == "yes").to_numpy(float), rows["score"].to_numpy()
    logit = np.log(p / (1 - p))
    fit = sm.GLM(y, sm.add_constant(logit), family=sm.families.Binomial()).fit()
    row = table.loc["logistic"]
    assert row["slope"] == pytest.approx(fit.params[1], rel=1e-6)
    assert row["slope_low"] < row["slope"] < row["slope_high"]
    assert row["n"] == len(rows) == 120
    assert table.loc["svc"].drop("n").isna().all()
    assert "simulated" in table.attrs["note"]
    curve = result.calibration_curve(n_points=11)
    assert curve["model"].unique().tolist() == ["logistic"]
    assert curve["predicted"].iloc[[0, -1]].tolist() == pytest.approx(np.quantile(p, [0.01, 0.99]))
    np.testing.assert_allclose(curve["observed"], loess(p, y, curve["predicted"]))


@pytest.mark.parametrize("column", list(EXPECTED))
def test_the_smoother_of_replicates_is_the_loess(column):
    smoother = _Smoother(TABLE[column].to_numpy(), TABLE["y"].to_numpy(dtype=float))
    want = EXPECTED[column]["loess_direct"]["ICI"]
    assert smoother.ici(np.ones((1, len(TABLE)))) == pytest.approx(want, abs=2e-3)


def test_brier_and_ici_have_intervals(make_table_cohort, models):
    table = evaluate(models, make_table_cohort(), seeds=2).calibration(n_bootstrap=100)
    row = table.loc["logistic"]
    assert row["brier_low"] < row["brier"] < row["brier_high"]
    assert 0 < row["ici_low"] < row["ici_high"] < 1
    assert np.isnan(table.loc["QRS >= 150 ms", ["ici_low", "brier_low"]].astype(float)).all()


def test_replicates_at_once_are_those_one_by_one():
    rng = np.random.default_rng(4)
    y, prob = (rng.random(60) < 0.5).astype(float), rng.random(60)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=20).astype(float)
    weights[0] = y  # one class only
    X = np.stack([np.ones(60), np.log(prob / (1 - prob))], axis=1)
    many = _logistic_many(X, y, weights, np.zeros(60))
    each = [fit_logistic(X, y, row, np.zeros(60))[0] for row in weights]
    np.testing.assert_allclose(many, each, atol=1e-9)
    assert np.isnan(many[0]).all()


def test_a_constant_risk_has_no_curve_and_curves_stay_in_bounds(make_table_cohort, models):
    result = evaluate(models, make_table_cohort(), seeds=3, threads_per_fit=1)
    curve = result.calibration_curve()
    assert "Majority class" not in set(curve["model"])
    assert "logistic" in set(curve["model"])
    assert curve["observed"].between(0, 1).all()


def test_a_confidence_in_per_cent_and_points_without_a_value_are_refused():
    y, p = [0, 1, 0, 1, 1, 0], [0.2, 0.7, 0.4, 0.6, 0.3, 0.5]
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\)"):
        calibration_figures(y, p, confidence=95)
    with pytest.raises(ValueError, match="one length"):
        loess([1.0, 2.0], [1.0], [1.5])
    with pytest.raises(ValueError, match="finite"):
        loess([1.0, np.nan], [1.0, 2.0], [1.5])
