"""DeLong against R's pROC, against every pair, and where it has no answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from crtkit.statistics import delong_interval, delong_test

DATA = Path(__file__).parents[1] / "data" / "statistics"
EXPECTED = json.loads((DATA / "expected.json").read_text())


@pytest.fixture(scope="module")
def cohort():
    return pd.read_csv(DATA / "cohort.csv")


def by_every_pair(y, scores):
    """Areas and covariance from the m x n table of wins: no ranks, no shortcut."""
    y = np.asarray(y).astype(bool)
    kernels = [
        (s[y][:, None] > s[~y][None]) + 0.5 * (s[y][:, None] == s[~y][None])
        for s in map(np.asarray, scores)
    ]
    auc = np.array([k.mean() for k in kernels])
    v10 = np.array([k.mean(1) for k in kernels])
    v01 = np.array([k.mean(0) for k in kernels])
    cov = np.cov(v10).reshape(len(auc), -1) / y.sum() + np.cov(v01).reshape(len(auc), -1) / (
        (~y).sum()
    )
    return auc, cov


@pytest.mark.parametrize("case", EXPECTED["delong"], ids=lambda c: f"{c['a']}-{c['b']}")
def test_agrees_with_proc(cohort, case):
    y = cohort["response"]
    out = delong_test(y, cohort[case["a"]], cohort[case["b"]]).iloc[0]
    for ours, theirs in (("auc_a", "auc_a"), ("auc_b", "auc_b"), ("z", "z")):
        assert out[ours] == pytest.approx(case[theirs], rel=1e-9)
    assert out["p_value"] == pytest.approx(case["p"], rel=1e-8)
    assert [out["ci_low"], out["ci_high"]] == pytest.approx(case["diff_ci"], rel=1e-8)
    alone = delong_interval(y, cohort[case["a"]]).iloc[0]
    assert [alone["ci_low"], alone["ci_high"]] == pytest.approx(case["ci_a"], rel=1e-8)
    assert alone["se"] ** 2 == pytest.approx(case["var_a"], rel=1e-8)


labelled = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=30
).filter(lambda rows: 2 <= sum(r[0] for r in rows) <= len(rows) - 2)


@settings(max_examples=150, deadline=None)
@given(labelled)
def test_agrees_with_every_pair_with_ties(rows):
    y, a, b = map(np.array, zip(*rows))
    auc, cov = by_every_pair(y, [a, b])
    out = delong_test(y, a, b).iloc[0]
    assert out["auc_a"] == pytest.approx(roc_auc_score(y, a), abs=1e-12)
    assert [out["auc_a"], out["auc_b"]] == pytest.approx(auc, abs=1e-12)
    want = cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    assert out["se"] ** 2 == pytest.approx(want, abs=1e-12)
    assert delong_interval(y, a).iloc[0]["se"] ** 2 == pytest.approx(cov[0, 0], abs=1e-12)
    assert not (np.isnan(out["p_value"]) and not out["note"])


@settings(max_examples=60, deadline=None)
@given(labelled)
def test_exchanging_the_scores_changes_signs_only(rows):
    y, a, b = map(np.array, zip(*rows))
    one, other = delong_test(y, a, b).iloc[0], delong_test(y, b, a).iloc[0]
    for name in ("difference", "z"):
        assert one[name] == pytest.approx(-other[name], nan_ok=True, abs=1e-12)
    assert one["ci_low"] == pytest.approx(-other["ci_high"], abs=1e-12)
    assert one["p_value"] == pytest.approx(other["p_value"], nan_ok=True, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(labelled)
def test_only_the_order_of_scores_counts(rows):
    y, a, b = map(np.array, zip(*rows))
    one, other = delong_test(y, a, b), delong_test(y, np.exp(a / 3), b**3 + 1)
    pd.testing.assert_frame_equal(one, other)


def test_area_of_one():
    y = np.repeat([0, 1], 10)
    perfect, good = np.arange(20), np.r_[np.arange(9), 12, 8, np.arange(11, 20)]
    out = delong_test(y, perfect, good).iloc[0]
    assert out["auc_a"] == 1
    assert 0 < out["p_value"] < 1
    alone = delong_interval(y, perfect).iloc[0]
    assert (alone["ci_low"], alone["ci_high"]) == (1, 1)
    assert "variance 0" in alone["note"]


def test_no_variance_is_said():
    y = np.repeat([0, 1], 5)
    same = delong_test(y, np.arange(10), 2.0 * np.arange(10)).iloc[0]
    assert (same["z"], same["p_value"]) == (0, 1)
    assert "rank the records alike" in same["note"]
    opposite = delong_test(y, np.arange(10), -np.arange(10)).iloc[0]
    assert np.isnan(opposite["p_value"])
    assert "bootstrap" in opposite["note"]


def test_one_record_a_patient_is_delong_and_repeats_widen():
    rng = np.random.default_rng(0)
    y = rng.random(80) < 0.5
    a, b = y + rng.normal(size=80), y + rng.normal(size=80)
    plain = delong_test(y, a, b)
    pd.testing.assert_frame_equal(plain, delong_test(y, a, b, groups=rng.permutation(80)))
    # Three identical records a patient: the patients, not the records, are what was observed.
    y3, a3, b3, patient = (np.repeat(v, 3) for v in (y, a, b, np.arange(80)))
    clustered = delong_test(y3, a3, b3, groups=patient).iloc[0]
    assert clustered["se"] == pytest.approx(plain["se"].iloc[0], rel=1e-12)
    assert delong_test(y3, a3, b3)["se"].iloc[0] < 0.6 * clustered["se"]
    assert clustered["n_groups"] == 80


def test_patients_with_both_labels():
    """Variance of clustered areas against a bootstrap of patients."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(150), 3)
    shift = np.repeat(rng.normal(size=150), 3)
    y = (shift + rng.normal(size=450)) > 0.3
    score = shift + rng.normal(size=450)
    se = delong_interval(y, score, groups=patient)["se"].iloc[0]
    rows = np.arange(450).reshape(150, 3)
    draws = [rows[rng.integers(0, 150, 150)].ravel() for _ in range(600)]
    boot = np.std([roc_auc_score(y[d], score[d]) for d in draws])
    assert se == pytest.approx(boot, rel=0.12)


def test_size_under_the_null():
    rng = np.random.default_rng(2)
    p = []
    for _ in range(400):
        y = np.repeat([0, 1], 40)
        a, b = y + rng.normal(size=80), y + rng.normal(size=80)
        p.append(delong_test(y, a, b)["p_value"].iloc[0])
    rejected = np.mean(np.array(p) < 0.05)
    assert stats.binomtest(int(rejected * 400), 400, 0.05).pvalue > 0.001


def test_labels_of_any_type_and_pos_label():
    y, a, b = ["no", "yes", "no", "yes", "no"], [1, 5, 2, 3, 4], [2, 1, 3, 4, 0]
    text = delong_test(y, a, b)
    pd.testing.assert_frame_equal(text, delong_test([0, 1, 0, 1, 0], a, b))
    turned = delong_test(y, a, b, pos_label="no").iloc[0]
    assert turned["auc_a"] == pytest.approx(1 - text["auc_a"].iloc[0])


@pytest.mark.parametrize(
    ("y", "a", "options", "message"),
    [
        ([1, 1, 1, 1], [1, 2, 3, 4], {}, "two classes"),
        ([0, 1, 2, 1], [1, 2, 3, 4], {}, "two classes"),
        ([0, 1, 1, 1], [1, 2, 3, 4], {}, "2 patients of each class"),
        ([0, 0, 1, 1], [1, 2, np.nan, 4], {}, "finite scores"),
        ([0, 0, 1, None], [1, 2, 3, 4], {}, "missing label"),
        ([0, 0, 1, 1], [[1, 2]] * 4, {}, "predict_proba"),
        ([0, 0, 1, 1], [1, 2, 3], {}, "one shape"),
        ([0, 0, 1, 1], [1, 2, 3, 4], {"groups": [1, 2]}, "got 2 patients for 4 records"),
        ([0, 0, 1, 1], [1, 2, 3, 4], {"pos_label": 7}, "pos_label=7"),
        ([0, 0, 1, 1], [1, 2, 3, 4], {"confidence": 95}, "confidence"),
        ([0, 0, 1, 1], ["a", "b", "c", "d"], {}, "could not convert"),
    ],
)
def test_bad_input_is_named(y, a, options, message):
    with pytest.raises(ValueError, match=message):
        delong_test(y, a, a, **options)


def test_what_does_not_vary_says_why():
    apart = delong_interval([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])["note"].iloc[0]
    tied = delong_interval([0, 0, 1, 1], [0.5] * 4)["note"].iloc[0]
    assert "classes fully apart" in apart
    assert "every score is equal" in tied
