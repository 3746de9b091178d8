"""External validation: expected discrimination, case mix, recalibration and interactions."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings, strategies as st
from scipy.special import expit, logit

from crtkit import Cohort, evaluate, metrics
from crtkit.evaluation import expected_auc
from crtkit.resampling import HeldOutThreshold
from crtkit.statistics import standardised_difference


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.5, 0.7, 0.95, 1.0]), min_size=2, max_size=15)
)
def test_expected_auc_is_the_sum_over_pairs(risks):
    p = np.array(risks)
    right = total = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                weight = p[i] * (1 - p[j])
                total += weight
                right += weight * ((p[i] > p[j]) + 0.5 * (p[i] == p[j]))
    want = right / total if total > 1e-12 else np.nan
    assert expected_auc(p) == pytest.approx(want, nan_ok=True, abs=1e-9)


def test_expected_auc_is_the_mean_auc_of_outcomes_drawn_from_the_risks():
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, 400)
    drawn = [metrics.roc_auc(rng.random(400) < p, p) for _ in range(300)]
    assert expected_auc(p) == pytest.approx(np.mean(drawn), abs=0.005)
    with pytest.raises(ValueError, match="risks in"):
        expected_auc([0.5, 1.2])


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=240, records=1, effect=25.0)
    other = make_table_cohort(n_patients=1200, records=1, seed=4, effect=25.0)
    # Patients who are more alike, sicker, and with the outcome more often.
    alike = other.X["qrs_duration_ms"].between(142, 165).to_numpy()
    keep = np.flatnonzero(alike & ((other.y == "yes") | (np.arange(len(other)) % 2 == 0)))
    X = other.X.iloc[keep].assign(lvef=lambda t: t["lvef"] - 6)
    other = Cohort(X, other.y[keep], np.array([f"x{g}" for g in other.groups[keep]]))
    return evaluate(
        models,
        cohort,
        seeds=3,
        threads_per_fit=1,
        external={"B": other},
        subgroups={"male": "male", "wide": lambda X: X["qrs_duration_ms"] > 150},
    )


def test_case_mix_is_set_beside_development_patients(result):
    table = result.case_mix()
    assert table.index[0] == "outcome: yes"
    cohorts = result._cohorts
    a, b = (cohorts[name].X["lvef"] for name in ("test", "B"))
    assert table.loc["lvef", "smd"] == pytest.approx(standardised_difference(a, b))
    assert table.loc["lvef", "smd"] > 0.8
    assert table.loc["outcome: yes", "smd"] > 0.3
    with pytest.raises(ValueError, match="cohorts, which are not stored"):
        pickle.loads(pickle.dumps(result)).case_mix()  # noqa: S301


def test_external_validation_tells_case_mix_from_the_model(result):
    table = result.external_validation("B", n_bootstrap=50)
    row = table.loc["logistic"]
    assert row["expected_auc"] < row["expected_auc_development"] - 0.03
    assert row["auc"] < row["auc_development"]
    # Half of these patients have the outcome, a third at home: risks are too low until shifted.
    assert row["o_e"] > 1
    assert row["intercept_low"] > 0
    assert row["brier_shifted"] < row["brier"]
    assert row["sensitivity_shifted"] > row["sensitivity"]
    assert row["specificity_shifted"] < row["specificity"]
    per_seed = result.per_seed("B")
    assert row["sensitivity"] == pytest.approx(per_seed.loc["logistic", "sensitivity"].mean())
    assert table.loc["Majority class", "expected_auc"] == pytest.approx(0.5) or np.isnan(
        table.loc["Majority class", "expected_auc"]
    )
    with pytest.raises(ValueError, match="expects an external cohort"):
        result.external_validation("test")


def test_a_frozen_threshold_stays_where_it_is_when_risks_move(make_table_cohort, models):
    """It once went to 0.5: recalibration seemed to cost a sensitive model its sensitivity."""
    cohort = make_table_cohort(n_patients=240, records=1, effect=25.0)
    other = make_table_cohort(n_patients=900, records=1, seed=4, effect=25.0)
    other = Cohort(other.X, other.y, [f"x{g}" for g in other.groups])
    model = HeldOutThreshold(models["logistic"], objective="sensitivity", target=0.95)
    result = evaluate(
        {"m": model},
        cohort,
        seeds=1,
        threads_per_fit=1,
        reference_rows=False,
        external={"B": other},
    )
    row = result.external_validation("B", n_bootstrap=10).loc["m"]
    fitted = result.refit("m", 0)
    risk, y = fitted.predict_proba(other.X)[:, 1], other.y == result.classes[1]
    assert fitted.threshold_ < 0.4
    constant = np.ones((len(y), 1))
    family = sm.families.Binomial()
    shift = sm.GLM(y.astype(float), constant, family=family, offset=logit(risk)).fit().params[0]
    called = expit(logit(risk) + shift) >= fitted.threshold_
    assert row["sensitivity_shifted"] == pytest.approx(called[y].mean(), abs=0.01)
    assert row["specificity_shifted"] == pytest.approx(1 - called[~y].mean(), abs=0.01)


def test_interactions_are_differences_of_subgroup_figures(result):
    table = result.interactions(n_bootstrap=60)
    assert set(table["subgroup"]) == {"male=0", "wide"}  # men against women are the same
    for _, row in table[table["model"] == "logistic"].iterrows():
        inside = result.per_seed(subgroup=row["subgroup"]).loc["logistic", "roc_auc"].mean()
        assert row["inside"] == pytest.approx(inside)
        assert row["difference"] == pytest.approx(row["inside"] - row["others"])
        assert row["low"] < row["difference"] < row["high"]


def test_records_of_one_patient_on_both_sides_are_paired(make_table_cohort, models):
    """Two copies of every record, one inside the subgroup: there is nothing to be unsure of."""
    one = make_table_cohort(n_patients=150, records=1)
    X = pd.concat([one.X, one.X], ignore_index=True).assign(copy=np.repeat([0, 1], len(one)))
    twice = Cohort(X, np.tile(one.y, 2), np.tile(one.groups, 2))
    result = evaluate(
        {"logistic": models["logistic"]}, twice, seeds=1, by="record", reference_rows=False,
        threads_per_fit=1, subgroups={"copy": "copy"},
    )  # fmt: skip
    row = result.interactions(n_bootstrap=200).iloc[0]
    assert row["difference"] == 0
    assert not row["high"] - row["low"] > 0.05


def test_an_interaction_that_was_planted_is_seen(make_table_cohort, models):
    rng = np.random.default_rng(0)
    n = 900
    sex, y = rng.integers(0, 2, n), np.tile([0, 1], n // 2)
    # The predictor tells women's outcome and nothing of men's.
    x = rng.normal(0, 1, n) + 2.0 * y * (sex == 0)
    X = pd.DataFrame({"qrs_duration_ms": 140 + 10 * x, "lvef": 28.0, "male": sex})
    cohort = Cohort(X, y, np.arange(n))
    result = evaluate(
        {"logistic": models["logistic"]},
        cohort,
        seeds=2,
        reference_rows=False,
        threads_per_fit=1,
        subgroups={"male": "male"},
    )
    row = result.interactions(n_bootstrap=100).set_index("subgroup").loc["male=0"]
    assert row["low"] > 0.2
