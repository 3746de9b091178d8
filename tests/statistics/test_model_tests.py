"""Tests between models on the scores of repeats."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crtkit.statistics import corrected_resampled_ttest


def test_corrected_t_by_hand():
    d = np.array([0.04, 0.01, 0.04, 0.01, -0.02])
    scores = pd.DataFrame({"a": 0.7 + d, "b": 0.7})
    out = corrected_resampled_ttest(scores, test_size=0.2).iloc[0]
    t = d.mean() / np.sqrt((1 / 5 + 0.25) * d.var(ddof=1))
    assert out["statistic"] == pytest.approx(t)
    assert out["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert out["df"] == 4
    assert out["ci_low"] < out["difference"] < out["ci_high"]
    assert (out["ci_low"] > 0) == (out["p_value"] < 0.05)


def test_corrected_t_without_overlap_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.normal(size=(30, 3)), columns=list("abc"))
    out = corrected_resampled_ttest(scores, test_size=1e-12)
    for (a, b), row in out.iterrows():
        want = stats.ttest_rel(scores[a], scores[b])
        assert row["p_value"] == pytest.approx(want.pvalue, rel=1e-6)
    assert (out["p_holm"] >= out["p_value"]).all()


def test_corrected_t_keeps_its_size_where_the_plain_one_does_not():
    """Two models that are equal, scored on ten overlapping test sets of one small cohort."""
    rng = np.random.default_rng(5)
    plain = corrected = 0
    for _ in range(300):
        gain = rng.normal(size=100)  # what model a wins over b on each patient: nothing on average
        folds = [rng.permutation(100)[:20] for _ in range(10)]
        d = np.array([gain[f].mean() for f in folds])
        p = corrected_resampled_ttest(pd.DataFrame({"a": d, "b": 0 * d}))["p_value"].iloc[0]
        corrected += p < 0.05
        plain += stats.ttest_1samp(d, 0).pvalue < 0.05
    assert plain / 300 > 0.2
    assert corrected / 300 < 0.09


def test_missing_scores_are_left_out_pair_by_pair_and_counted():
    scores = pd.DataFrame({"a": [0.7, 0.8, np.nan, 0.6], "b": [0.6, 0.6, 0.5, 0.5]})
    scores["c"] = [np.nan, np.nan, np.nan, 0.4]
    out = corrected_resampled_ttest(scores)
    assert list(out["n"]) == [3, 1, 1]
    assert np.isnan(out.loc[("a", "c"), "p_value"])
    assert "fewer than 2 repeats" in out.loc[("a", "c"), "note"]
    assert out.loc[("a", "b"), "p_holm"] == out.loc[("a", "b"), "p_value"]


def test_equal_differences_are_said():
    scores = pd.DataFrame({"a": [0.7, 0.8, 0.9], "b": [0.6, 0.7, 0.8]})
    out = corrected_resampled_ttest(scores).iloc[0]
    assert np.isnan(out["p_value"])
    assert "same in every repeat" in out["note"]


@pytest.mark.parametrize(
    ("scores", "options", "error", "message"),
    [
        (np.ones((3, 2)), {}, TypeError, "DataFrame"),
        (pd.DataFrame({"a": [1.0, 2]}), {}, ValueError, "2 models"),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), {}, ValueError, "2 blocks"),
        (pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), {}, ValueError, "needs numbers"),
        (pd.DataFrame({"a": [1, np.inf], "b": [1, 2]}), {}, ValueError, "finite"),
        (pd.DataFrame([[1, 2], [2, 3]], columns=["a", "a"]), {}, ValueError, "distinct"),
        (pd.DataFrame({"a": [1.0, 2], "b": [1, 3.0]}), {"test_size": 57}, ValueError, "fraction"),
    ],
)
def test_bad_scores_are_named(scores, options, error, message):
    with pytest.raises(error, match=message):
        corrected_resampled_ttest(scores, **options)
