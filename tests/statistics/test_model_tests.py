"""Tests between models on the scores of repeats."""

import json
from importlib.resources import files
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from crtkit.statistics import (
    corrected_resampled_ttest,
    friedman_test,
    rm_anova,
    wilcoxon_holm,
)

DATA = Path(__file__).parents[1] / "data" / "statistics"
EXPECTED = json.loads((DATA / "expected.json").read_text())["model_comparison"]


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


@pytest.fixture(scope="module")
def models():
    return pd.read_csv(DATA / "models.csv", index_col="block")


def test_several_models_agree_with_r(models):
    anova, friedman = rm_anova(models).iloc[0], friedman_test(models).iloc[0]
    want = EXPECTED["rm_anova"]
    assert anova["statistic"] == pytest.approx(want["F"], rel=1e-9)
    assert (anova["df1"], anova["df2"]) == (want["df1"], want["df2"])
    assert anova["p_value"] == pytest.approx(want["p"], rel=1e-6)
    assert friedman["statistic"] == pytest.approx(EXPECTED["friedman"]["chi2"], rel=1e-9)
    assert friedman["p_value"] == pytest.approx(EXPECTED["friedman"]["p"], rel=1e-6)
    pairs = wilcoxon_holm(models)
    assert len(pairs) == len(EXPECTED["wilcoxon"]) == 15
    for want in EXPECTED["wilcoxon"]:
        row = pairs.loc[(want["a"], want["b"])]
        assert row["p_value"] == pytest.approx(want["p"], rel=1e-6)
        assert row["p_holm"] == pytest.approx(want["p_holm"], rel=1e-6)


def test_rm_anova_agrees_with_statsmodels(models):
    from statsmodels.stats.anova import AnovaRM

    long = models.rename_axis(columns="model").stack().rename("score").reset_index()
    theirs = AnovaRM(long, "score", "block", within=["model"]).fit().anova_table.iloc[0]
    ours = rm_anova(models).iloc[0]
    assert ours["statistic"] == pytest.approx(theirs["F Value"])
    # Greenhouse-Geisser from the eigenvalues of the double-centred covariance.
    k = models.shape[1]
    centre = np.eye(k) - 1 / k
    eigenvalues = np.linalg.eigvalsh(centre @ np.cov(models.T) @ centre)
    want = eigenvalues.sum() ** 2 / ((k - 1) * (eigenvalues**2).sum())
    assert ours["epsilon"] == pytest.approx(want)
    assert ours["p_corrected"] > ours["p_value"]


def test_two_models_are_a_paired_t_test(models):
    two = models[["fcn", "ss_ff"]]
    t = stats.ttest_rel(two["fcn"], two["ss_ff"])
    out = rm_anova(two).iloc[0]
    assert out["statistic"] == pytest.approx(t.statistic**2)
    assert out["p_value"] == pytest.approx(t.pvalue)
    assert out["epsilon"] == pytest.approx(1)


def test_published_f_is_that_of_the_exchanged_columns():
    """lvsd2026 prints F = 16.67: with specificity and NPV of one model exchanged it is so."""
    table = pd.read_csv(files("crtkit.studies") / "published" / "lvsd2026_table2.csv")
    table = table[table["set"] != "average"]
    scores = table.set_index(["model", "set"])
    printed = scores.stack().unstack("model")
    assert printed.shape == (24, 6)
    assert rm_anova(printed)["statistic"].iloc[0] == pytest.approx(16.668, abs=0.0006)
    mended = scores.copy()
    mended.loc["ECG-FM (SS-FF)", ["specificity", "npv"]] = scores.loc[
        "ECG-FM (SS-FF)", ["npv", "specificity"]
    ].to_numpy()
    assert rm_anova(mended.stack().unstack("model"))["statistic"].iloc[0] == pytest.approx(
        29.6, abs=0.06
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_exact_wilcoxon_is_the_count_over_all_signs(differences):
    scores = pd.DataFrame({"a": 0.3 + np.array(differences) / 10, "b": 0.3})
    out = wilcoxon_holm(scores, method="exact").iloc[0]
    d = np.array([x for x in differences if x])
    assert out["n"] == len(d)
    assert out["n_equal"] == len(differences) - len(d)
    if not len(d):
        assert (out["p_value"], out["note"] != "") == (1, True)
        return
    ranks = stats.rankdata(np.abs(d))
    observed = min(ranks[d > 0].sum(), ranks[d < 0].sum())
    sums = np.array([np.dot(s, ranks) for s in product([0, 1], repeat=len(d))])
    assert out["p_value"] == pytest.approx(min(1, 2 * (sums <= observed + 1e-9).mean()))
    assert out["statistic"] == observed
    assert out["p_value"] >= out["p_smallest"] - 1e-15


def test_wilcoxon_beyond_fifty_blocks_agrees_with_scipy():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.normal(size=(70, 2)) + [0.3, 0], columns=["a", "b"])
    want = stats.wilcoxon(scores["a"], scores["b"], correction=True)
    out = wilcoxon_holm(scores).iloc[0]
    assert out["p_value"] == pytest.approx(want.pvalue, rel=1e-9)
    assert wilcoxon_holm(scores, method="exact").iloc[0]["p_value"] == pytest.approx(
        want.pvalue, rel=0.05
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 5))
def test_exchanging_models_and_blocks_changes_nothing(seed, n_blocks, n_models):
    rng = np.random.default_rng(seed)
    scores = pd.DataFrame(rng.integers(0, 5, (n_blocks, n_models)) / 4).rename(columns=str)
    shuffled = scores.sample(frac=1, random_state=seed)[scores.columns[::-1]]
    one, other = rm_anova(scores), rm_anova(shuffled)
    assert one["p_value"][0] == pytest.approx(other["p_value"][0], nan_ok=True)
    assert np.isnan(one["p_value"][0]) == bool(one["note"][0])
    if n_models > 2:
        one, other = friedman_test(scores), friedman_test(shuffled)
        assert one["p_value"][0] == pytest.approx(other["p_value"][0], nan_ok=True)
        assert not (np.isnan(one["p_value"][0]) and not one["note"][0])
    pairs, turned = wilcoxon_holm(scores), wilcoxon_holm(shuffled)
    for (a, b), row in pairs.iterrows():
        assert row["p_value"] == pytest.approx(turned.loc[(b, a), "p_value"])
        assert row["p_holm"] == pytest.approx(turned.loc[(b, a), "p_holm"])
        assert row["median_difference"] == -turned.loc[(b, a), "median_difference"]


def test_what_cannot_be_significant_says_so():
    scores = pd.DataFrame(np.arange(48.0).reshape(8, 6) ** 1.5, columns=list("abcdef"))
    out = wilcoxon_holm(scores)
    assert out["p_holm"].min() == pytest.approx(15 * 2 / 2**8)  # 0.117: every block won
    assert (out["p_holm_smallest"] == out["p_holm"].min()).all()
    assert out["note"].str.contains("8 blocks and 15 pairs cannot reach").all()
    few = friedman_test(scores.iloc[:2, :3]).iloc[0]
    assert few["p_value"] >= few["p_smallest"] > 0.05
    assert "cannot reach p < 0.05" in few["note"]
    assert friedman_test(scores)["kendall_w"].iloc[0] == pytest.approx(1)


def test_models_that_do_not_differ():
    same = pd.DataFrame({m: [0.7, 0.8, 0.6] for m in "abc"})
    assert "same in every block" in rm_anova(same)["note"][0]
    assert "same in every block" in friedman_test(same)["note"][0]
    assert (wilcoxon_holm(same)["p_value"] == 1).all()
    shifted = same + [0, 0.1, 0.2]
    assert "no variance" in rm_anova(shifted)["note"][0]


@pytest.mark.parametrize("test", [rm_anova, friedman_test, wilcoxon_holm])
def test_incomplete_blocks_are_named(models, test):
    holes = models.copy()
    holes.loc[7, "fcn"] = np.nan
    with pytest.raises(ValueError, match=r"complete blocks, 1 of 24 .* example \[7\]"):
        test(holes)
    with pytest.raises(ValueError, match="blocks"):
        test(models.iloc[:1])
    with pytest.raises(TypeError, match="DataFrame"):
        test(models.to_numpy())


def test_friedman_of_two_models_is_refused(models):
    with pytest.raises(ValueError, match="3 models"):
        friedman_test(models[["fcn", "ss_ff"]])
    with pytest.raises(ValueError, match="method"):
        wilcoxon_holm(models, method="asymptotic")


def test_a_zero_difference_is_not_exact_as_in_r():
    """wilcox.test leaves the exact distribution as soon as one difference is zero."""
    scores = pd.DataFrame({"a": [1.1, 2.2, 3.3, -0.4, 5.5, 0.0], "b": 0.0})
    out = wilcoxon_holm(scores).iloc[0]
    reference = stats.wilcoxon(scores["a"][:5], method="approx", correction=True)
    assert out["p_value"] == pytest.approx(reference.pvalue)
    # V = 14 of 15: z = (14 - 7.5 - 0.5) / sqrt(5 * 6 * 11 / 24).
    assert out["p_value"] == pytest.approx(2 * stats.norm.sf(6 / np.sqrt(13.75)))
    assert (out["n"], out["n_equal"]) == (5, 1)
    assert wilcoxon_holm(scores.iloc[:5]).iloc[0]["p_value"] == pytest.approx(0.125)
    assert wilcoxon_holm(scores, method="exact").iloc[0]["p_value"] == pytest.approx(0.125)
    assert out["p_smallest"] <= out["p_value"]
