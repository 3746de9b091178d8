"""Pooling over centres, against R's metafor (figures in tests/data/meta_analysis)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import crtkit as ck
from crtkit.statistics import meta_analyse, pool_effects

DATA = Path(__file__).parents[1] / "data" / "meta_analysis"
EXPECTED = json.loads((DATA / "expected.json").read_text())
CENTRES = pd.read_csv(DATA / "centres.csv")


@pytest.mark.parametrize("test", ["z", "knha"])
@pytest.mark.parametrize(("method", "rtol"), [("REML", 1e-4), ("DL", 1e-8)])
def test_agrees_with_metafor(method, rtol, test):
    table = meta_analyse(CENTRES, method=method, test=test)
    assert set(table.index) == set(EXPECTED)
    for quantity, figures in EXPECTED.items():
        for name, value in figures[f"{method}_{test}"].items():
            assert table.loc[quantity, name] == pytest.approx(value, rel=rtol), (quantity, name)


def test_reml_maximises_the_restricted_likelihood():
    """Against the likelihood itself, on a grid: what scoring finds is its maximum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        v = rng.uniform(0.02, 0.3, 6)
        y = rng.normal(1, 0.5, 6)

        def loss(tau2, y=y, v=v):
            w = 1 / (v + tau2)
            mu = w @ y / w.sum()
            return np.log(v + tau2).sum() + np.log(w.sum()) + w @ (y - mu) ** 2

        found = pool_effects(y, v).tau2
        grid = np.linspace(0, 3, 3001)
        assert loss(found) <= min(map(loss, grid)) + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1)), min_size=2, max_size=12),
    st.floats(-3, 3),
)
def test_a_shift_of_all_centres_shifts_the_estimate_and_nothing_else(centres, shift):
    y, v = np.array(centres).T
    a, b = pool_effects(y, v), pool_effects(y + shift, v)
    assert b.estimate - a.estimate == pytest.approx(shift, abs=1e-6)
    assert b.tau2 == pytest.approx(a.tau2, abs=1e-6)
    assert a.pi_high - a.pi_low >= a.ci_high - a.ci_low - 1e-9
    order = np.argsort(v)
    assert pool_effects(y[order], v[order]).estimate == pytest.approx(a.estimate, abs=1e-6)


def test_centres_that_agree_by_luck_are_warned_of_and_kept_from_a_short_interval():
    """Three centres of one sensitivity: 0.986 to 0.987 says nothing about the fourth."""
    table = pd.DataFrame({"tp": [36, 38, 40], "fn": [0, 0, 0]})
    with pytest.warns(UserWarning, match="agree better than their own errors"):
        short = meta_analyse(table).loc["logit_sensitivity"]
    floor = meta_analyse(table, test="adhoc").loc["logit_sensitivity"]
    wald = meta_analyse(table, test="z").loc["logit_sensitivity"]
    assert floor["se"] == pytest.approx(wald["se"])
    assert floor["ci_low"] < wald["ci_low"] < short["ci_low"]
    # Where centres differ it is Hartung and Knapp's own interval.
    y, v = [0.2, 1.4, 2.9], [0.05, 0.04, 0.06]
    assert pool_effects(y, v, test="adhoc") == pool_effects(y, v)


def test_natural_scales():
    table = meta_analyse(CENTRES)
    auc = table.loc["logit_auc"]
    assert auc["value"] == pytest.approx(1 / (1 + np.exp(-auc["estimate"])))
    assert table.loc["log_oe", "value"] == pytest.approx(np.exp(table.loc["log_oe", "estimate"]))
    assert table.loc["calibration_slope", "value"] == table.loc["calibration_slope", "estimate"]


def test_a_zero_count_is_given_a_half():
    table = pd.DataFrame({"tp": [10, 12, 9], "fn": [0, 3, 4]})
    assert np.isfinite(meta_analyse(table).loc["logit_sensitivity", "estimate"])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"auc": [0.7], "auc_se": [0.1]}), "at least 2 centres"),
        (pd.DataFrame({"x": [1, 2]}), "auc and auc_se"),
        (pd.DataFrame({"auc": [0.7, 1.0], "auc_se": [0.1, 0.0]}), "infinite"),
        (pd.DataFrame({"auc": [0.7, 0.8], "auc_se": [0.1, 0.0]}), "above 0"),
    ],
)
def test_bad_tables_are_named(table, words):
    with pytest.raises(ValueError, match=words):
        meta_analyse(table)


def test_bad_options_are_named():
    for option, value in (("method", "ML"), ("test", "t"), ("confidence", 95)):
        with pytest.raises(ValueError, match=option):
            pool_effects([1, 2], [1, 1], **{option: value})
    with pytest.raises(ValueError, match="not an answer of 'crtkit evaluate'"):
        meta_analyse([{"a": 1}, {"b": 2}])


def test_answers_of_three_hospitals_are_pooled(tmp_path):
    """A bundle goes out, three answers come back, one row for each figure."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def cohort(seed, n=150):
        return ck.datasets.make_cohort("mori2025", n_patients=n, random_state=seed)

    here = cohort(0, 200)
    steps = (ck.Select(["qrs_duration_ms", "lvef", "age"]), StandardScaler(), LogisticRegression())
    path = tmp_path / "m.crtkit"
    ck.save(make_pipeline(*steps).fit(here.X, here.y), path, cohort=here)
    answers = [ck.persistence.evaluate_bundle(path, cohort(i), n_bootstrap=300) for i in (1, 2, 3)]
    table = meta_analyse(answers)
    assert {"logit_auc", "calibration_slope", "log_oe"} <= set(table.index)
    values = [answer["metrics"]["roc_auc"]["value"] for answer in answers]
    assert min(values) <= table.loc["logit_auc", "value"] <= max(values)
    for i, answer in enumerate(answers):
        (tmp_path / f"{i}.json").write_text(json.dumps(answer))
    again = meta_analyse([tmp_path / f"{i}.json" for i in range(3)])
    pd.testing.assert_frame_equal(again, table)
    answers[0]["bundle"]["digest"] = "another"
    with pytest.raises(ValueError, match="different bundles"):
        meta_analyse(answers)


def test_a_centre_without_positives_has_no_sensitivity():
    """Halves added to two zeros would pull the pooled sensitivity towards 0.5."""
    table = pd.DataFrame({"tp": [40, 30, 25], "fn": [10, 6, 9]})
    with_empty = pd.concat([table, pd.DataFrame({"tp": [0], "fn": [0]})], ignore_index=True)
    pd.testing.assert_frame_equal(meta_analyse(with_empty), meta_analyse(table))


def test_text_in_a_table_is_named():
    table = pd.DataFrame({"auc": ["0,7", "0.8"], "auc_se": [0.1, 0.1]})
    with pytest.raises(ValueError, match=r"Column 'auc'.*row 0 holds '0,7'.*as a point"):
        meta_analyse(table)
