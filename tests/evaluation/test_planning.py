"""Sample sizes against pmsampsize, its figures computed exactly where it draws lots."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from crtkit.evaluation import max_parameters, r2_from_auc, sample_size, validation_sample_size
from crtkit.evaluation.uncertainty.planning import chance_sentence

EXPECTED = json.loads(
    (Path(__file__).parents[1] / "data" / "sample_size" / "expected.json").read_text()
)
CRITERIA = ["criterion1", "criterion2", "criterion3", "n"]


def check(got, want):
    row = got.iloc[0]
    assert row[CRITERIA].astype(int).tolist() == [want[name] for name in CRITERIA]
    assert row["events"] == pytest.approx(want["events"])
    assert row["events_per_parameter"] == pytest.approx(want["epp"], abs=0.0051)
    for name in ("max_r2", "nagelkerke", "shrinkage", "r2"):
        assert row[name] == pytest.approx(want[name], abs=1e-6), name


@pytest.mark.parametrize("case", EXPECTED["from_cstatistic"])
def test_from_an_auc(case):
    r2 = r2_from_auc(case["cstatistic"], case["prevalence"])
    assert r2 == pytest.approx(case["rsquared_exact_integral"], abs=1e-6)
    assert r2 == pytest.approx(case["pmsampsize"]["r2"], abs=6e-4)
    got = sample_size(case["parameters"], case["prevalence"], auc=case["cstatistic"])
    check(got, case["with_exact_rsquared"])
    assert int(got["n"].iloc[0]) == pytest.approx(case["pmsampsize"]["n"], rel=0.01)


@pytest.mark.parametrize("case", EXPECTED["from_rsquared"])
def test_from_r2(case):
    got = sample_size(
        case["parameters"], case["prevalence"], r2=case["rsquared"], shrinkage=case["shrinkage"]
    )
    check(got, case["pmsampsize"])


@pytest.mark.parametrize("case", EXPECTED["from_nagelkerke"])
def test_from_nagelkerke(case):
    got = sample_size(case["parameters"], case["prevalence"], nagelkerke=case["nagelkerke"])
    check(got, case["pmsampsize"])


@pytest.mark.parametrize("case", EXPECTED["max_parameters"])
def test_most_parameters(case):
    known = {"r2": case["rsquared"], "shrinkage": case["shrinkage"]}
    n, prevalence = case["n"], case["prevalence"]
    assert max_parameters(n, prevalence, **known) == case["max_parameters"]
    without = max_parameters(n, prevalence, criterion3=False, **known)
    assert without == case["max_parameters_criteria_1_and_2"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.floats(0.05, 0.95), st.floats(0.02, 0.2), st.floats(0.5, 0.98))
def test_the_largest_model_fits_its_own_cohort(n_parameters, prevalence, share, shrinkage):
    n = int(
        sample_size(n_parameters, prevalence, nagelkerke=share, shrinkage=shrinkage)["n"].iloc[0]
    )
    assert max_parameters(n, prevalence, nagelkerke=share, shrinkage=shrinkage) >= n_parameters
    assert max_parameters(n // 2, prevalence, nagelkerke=share, shrinkage=shrinkage) <= max(
        n_parameters, max_parameters(n, prevalence, nagelkerke=share, shrinkage=shrinkage)
    )


def test_validation_needs_more_for_narrower_intervals():
    wide, narrow = (validation_sample_size(0.3, 0.75, auc_width=w).iloc[0] for w in (0.2, 0.05))
    assert wide["n_auc"] < narrow["n_auc"]
    assert narrow["n"] == max(narrow["n_auc"], narrow["n_oe"])


def test_a_small_cohort_is_told_in_a_sentence():
    sentence = chance_sentence(71, 46)
    assert "71 patients (46 positive)" in sentence
    assert "ten would need" in sentence
    assert not chance_sentence(5000, 2500)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"auc": 0.7, "r2": 0.1}, "Give one of"),
        ({}, "Give one of"),
        ({"auc": 0.5}, r"auc must be in \(0.5, 1\)"),
        ({"r2": 0.9}, "the largest here"),
        ({"r2": 0.1, "shrinkage": 0.05}, "shrinkage must be in"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_size(5, 0.4, **arguments)
