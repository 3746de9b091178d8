import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select, evaluate
from crtkit.evaluation import bootstrap_interval
from crtkit.statistics import delong_test


@pytest.fixture
def result(make_table_cohort, models):
    weak = make_pipeline(Select(["male"]), LogisticRegression())
    cohort = make_table_cohort(n_patients=120, records=2)
    other = make_table_cohort(n_patients=40, seed=5)
    other = Cohort(other.X, other.y, np.array([f"x{g}" for g in other.groups]))
    return evaluate(
        {"good": models["logistic"], "weak": weak},
        cohort,
        seeds=6,
        threads_per_fit=1,
        reference_rows=False,
        external={"B": other},
    )


def test_differences_are_paired_by_split(result):
    table = result.compare("good", "weak", n_bootstrap=300)
    seeds = result.per_seed()
    difference = (seeds.loc["good"] - seeds.loc["weak"])["roc_auc"].to_numpy()
    row = table.loc["roc_auc"]
    assert row["difference"] == pytest.approx(difference.mean())
    assert row["sd"] == pytest.approx(difference.std(ddof=1))
    error = np.sqrt((1 / 6 + 0.25) * difference.var(ddof=1))
    assert row["t"] == pytest.approx(difference.mean() / error)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(row["t"]), 5))
    assert row["nb_high"] - row["difference"] == pytest.approx(stats.t.ppf(0.975, 5) * error)
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    assert row["ci_low"] > 0  # 20 ms against a coin
    assert row["delong_p"] < 0.01
    mirrored = result.compare("weak", "good", n_bootstrap=300).loc["roc_auc"]
    assert mirrored["difference"] == pytest.approx(-row["difference"])
    assert mirrored["ci_low"] == pytest.approx(-row["ci_high"])
    assert np.isnan(table.loc["ppv", "delong_p"])


def test_metrics_undefined_in_either_model_are_left_out_in_both(result):
    table = result.compare("good", "weak", n_bootstrap=20)
    seeds = result.per_seed()["ppv"]
    both = (seeds.loc["good"].notna() & seeds.loc["weak"].notna()).to_numpy()
    assert table.loc["ppv", "n_valid"] == both.sum()
    if both.any():
        expected = seeds.loc["good"].to_numpy()[both].mean()
        assert table.loc["ppv", "mean_a"] == pytest.approx(expected)


def test_on_an_external_cohort_every_seed_tests_the_same_patients(result):
    table = result.compare("good", "weak", on="B", n_bootstrap=50)
    assert table[["t", "p_value", "nb_low"]].isna().all(axis=None)
    parts = {name: [p for p in result.parts("B") if p.model == name] for name in ("good", "weak")}
    score = {name: np.mean([p.y_score for p in own], axis=0) for name, own in parts.items()}
    expected = delong_test(parts["good"][0].y_true, score["good"], score["weak"])
    assert table.loc["roc_auc", "delong_p"] == pytest.approx(expected["p_value"].iloc[0])
    assert table.loc["roc_auc", "ci_low"] < table.loc["roc_auc", "ci_high"]


def test_the_interval_of_one_split_is_the_plain_paired_bootstrap(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=80, records=1)
    result = evaluate(models["logistic"], cohort, seeds=1, threads_per_fit=1, reference_rows=False)
    part = result.parts()[0]
    order = np.argsort(part.group.astype(str))
    plain = bootstrap_interval(
        part.y_true[order], part.y_score[order], part.group[order], n_bootstrap=1000, random_state=0
    )
    summary = result.summary().loc["LogisticRegression", "roc_auc"]
    assert (summary["ci_low"], summary["ci_high"]) == pytest.approx((plain.low, plain.high))
    assert np.isnan(summary["nb_low"])


def test_bad_names(result):
    with pytest.raises(ValueError, match="no model 'best'"):
        result.compare("good", "best")
    with pytest.raises(ValueError, match="twice"):
        result.compare("good", "good")


def test_one_estimand_a_row(result):
    wide = result.compare("good", "weak", n_bootstrap=100).loc["roc_auc"]
    long = result.compare("good", "weak", n_bootstrap=100, estimands=True)
    assert not long.index.duplicated().any()
    rows = long.loc["roc_auc"].set_index("method")
    assert (rows["difference"] == wide["difference"]).all()
    assert rows.loc["patients and fits", "low"] == wide["low"]
    assert rows.loc["corrected t", "p_value"] == wide["p_value"]
    assert rows.loc["bootstrap by patient", "high"] == wide["ci_high"]
    assert rows.loc["DeLong", "p_value"] == wide["delong_p"]
    assert "DeLong" not in set(long.loc["accuracy", "method"])
    assert long.attrs["pair"] == ("good", "weak")
    assert rows.loc["patients and fits", "p_value"] == wide["p"]
    assert rows.loc["patients and fits", "note"] == ""
    assert (rows["note"].drop("patients and fits") != "").all()


def test_what_is_printed_has_one_estimand_a_row(result):
    table = result.compare("good", "weak", n_bootstrap=100)
    long = result.compare("good", "weak", n_bootstrap=100, estimands=True)
    assert repr(table) == repr(long)
    assert table._repr_html_() == long._repr_html_()
    assert "these fits, other patients" in str(table)
    assert "mean_a" in repr(table[["mean_a"]])
    assert list(table.index) == list(result.scoring)
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(again, table)


def test_the_p_value_is_that_of_the_headline_interval(result):
    for confidence in (0.8, 0.95, 0.999):
        table = result.compare("good", "weak", n_bootstrap=300, confidence=confidence)
        out = (table["low"] > 0) | (table["high"] < 0)
        assert ((table["p"] < 1 - confidence) == out)[table["low"].notna()].all()
    assert table["p"].isna().equals(table["low"].isna())
