"""Tests over an evaluation, searches shown, splits by centre and by time."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select, evaluate
from crtkit.evaluation import RepeatedStratifiedPatientSplit
from crtkit.resampling import HeldOutThreshold
from crtkit.statistics import mcnemar_test, permutation_test


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(80), 2)
    y = (np.arange(80) % 2)[patient]
    X = pd.DataFrame({"a": rng.normal(size=160) + y, "b": rng.normal(size=160) + 0.3 * y})
    X["hospital"] = np.array(["north", "south", "west"])[patient % 3]
    X["year"] = 2000 + patient // 8
    return Cohort(X, y, patient, {"source": "simulated", "name": "toy"})


def model(*columns):
    return make_pipeline(Select(list(columns)), LogisticRegression())


@pytest.fixture(scope="module")
def result(cohort):
    models = {"a": model("a"), "b": model("b"), "both": model("a", "b")}
    return evaluate(models, cohort, seeds=6, reference_rows=False, threads_per_fit=1)


def test_ranks_are_friedmans_and_demsars(result):
    table = result.ranks()
    blocks = result.per_seed()["roc_auc"].unstack("model")[["a", "b", "both"]]
    friedman = stats.friedmanchisquare(*blocks.to_numpy().T)
    assert table.attrs["friedman"]["p_value"] == pytest.approx(friedman.pvalue)
    assert table.attrs["friedman"]["p_smallest"] < table.attrs["friedman"]["p_value"]
    ranks = stats.rankdata(-blocks.to_numpy(), axis=1).mean(axis=0)
    np.testing.assert_allclose(table.loc[["a", "b", "both"], "mean_rank"], ranks)
    # Demsar's table 5: q is 2.343 for three models.
    assert table.attrs["critical_difference"] == pytest.approx(2.343 * np.sqrt(12 / 36), abs=1e-3)
    assert "not" in table.attrs["caveat"]
    pairs = result.wilcoxon()
    assert (pairs["p_smallest"] <= pairs["p_value"]).all()


def test_the_rank_plot_names_every_model(result):
    pytest.importorskip("matplotlib")
    ax = result.plot_ranks()
    text = " ".join(item.get_text() for item in ax.texts)
    assert all(f" {name} (" in text for name in ("a", "b", "both"))
    assert "Friedman p" in ax.get_title()


def test_the_plot_of_risk_over_coverage_is_its_table(result):
    pytest.importorskip("matplotlib")
    ax = result.plot_risk_coverage(models=["a", "both"])
    table = result.risk_coverage()
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    for model in ("a", "both"):
        curve = table.loc[table["model"] == model, ["coverage", "error"]].to_numpy()
        kept = curve[curve[:, 0] >= 5 / result.predictions["group"].nunique()]
        assert 0 < len(kept) <= len(curve)
        np.testing.assert_allclose(drawn[model], kept)
        assert drawn[model][-1, 0] == 1
    with pytest.raises(ValueError, match="no model"):
        result.plot_risk_coverage(models="c")


def test_first_answers_of_patients_are_tested(result):
    table = result.predictions
    table = table[table["set"] == "test"].groupby(["model", "seed", "group"], observed=True)
    mean = table.agg(score=("score", "mean"), y=("y_true", "first")).reset_index()
    first = mean.sort_values("seed").groupby(["model", "group"], observed=True).first()
    a, b = first.loc["a"], first.loc["b"]
    ours = result.mcnemar("a", "b").iloc[0]
    theirs = mcnemar_test(a["y"], a["score"] > 0.5, b["score"] > 0.5).iloc[0]
    assert ours["p_value"] == theirs["p_value"]
    assert ours["n"] == len(a)
    ours = result.permutation("a", n_permutations=99).iloc[0]
    theirs = permutation_test(a["y"], a["score"], n_permutations=99, random_state=0).iloc[0]
    assert ours["auc_a"] == pytest.approx(theirs["auc_a"])
    assert ours["p_value"] == ours["p_smallest"] == 0.01
    assert ours["p_value"] <= ours["p"] < 0.2
    assert result.permutation("a", "b", n_permutations=99)["p_value"].iloc[0] < 0.2
    two = result.permutation("a", "b", n_permutations=99).iloc[0]
    wide = result.compare("a", "b", n_bootstrap=500).loc["roc_auc"]
    widening = (wide["high"] - wide["low"]) / (wide["ci_high"] - wide["ci_low"])
    assert widening >= 1
    z = stats.norm.isf(two["p_value"] / 2) / widening
    assert two["p"] == pytest.approx(2 * stats.norm.sf(z))
    with pytest.raises(ValueError, match="no model 'c'"):
        result.permutation("c")


def test_seeds_and_splits_are_told_apart_where_they_can_be(cohort, result):
    alone = result.spread()
    assert alone["sd_seeds"].isna().all()
    assert alone["note"].str.contains("cannot be told apart").all()
    fixed = list(RepeatedStratifiedPatientSplit(4, random_state=1).split(
        cohort.X, cohort.y, cohort.groups
    ))  # fmt: skip
    noisy = make_pipeline(
        Select(["a", "b"]), HeldOutThreshold(LogisticRegression(), size=0.4)
    )  # its part held out is the seed's
    crossed = evaluate(
        {"m": model("a"), "noisy": noisy}, cohort, seeds=3, cv=fixed, reference_rows=False,
        threads_per_fit=1,
    )  # fmt: skip
    table = crossed.spread()
    assert table.loc["m", "sd_seeds"] == 0  # nothing in it is drawn
    assert table.loc["noisy", "sd_seeds"] > 0
    assert (table["n_splits"] == 4).all()
    assert (table["n_fits"] == 12).all()
    values = crossed.per_seed()
    assert len(values) == 6


def test_searches_are_shown_with_their_optimism(cohort, tmp_path):
    grid = {"logisticregression__C": [1e-3, 1.0, np.inf]}
    grid["logisticregression__C"] = [1e-3, 1.0]
    cv = GroupKFold(3)
    models = {
        "grid": GridSearchCV(model("a", "b"), grid, cv=cv, scoring="roc_auc"),
        "halving": HalvingGridSearchCV(
            model("a", "b"), grid, cv=cv, scoring="roc_auc", min_resources=60, random_state=0
        ),
        "calibrated": CalibratedClassifierCV(model("a"), cv=cv),
        "plain": model("a"),
    }
    options = {"seeds": 2, "reference_rows": False, "threads_per_fit": 1}
    result = evaluate(models, cohort, journal=tmp_path / "j.jsonl", **options)
    table = result.searches()
    assert set(table.index.get_level_values("model")) == {"grid", "halving"}
    assert table["logisticregression__C"].isin([1e-3, 1.0]).all()
    seeds = result.per_seed()["roc_auc"]
    row = table.loc[("grid", 1, 0)]
    assert row["outer"] == pytest.approx(seeds.loc[("grid", 1)])
    assert row["optimism"] == pytest.approx(row["inner"] - row["outer"])
    again = evaluate(models, cohort, journal=tmp_path / "j.jsonl", **options).searches()
    pd.testing.assert_frame_equal(table, again)
    assert evaluate({"m": model("a")}, cohort, **options).searches().empty


def test_centres_are_left_out_one_by_one(cohort):
    result = evaluate({"m": model("a")}, cohort, seeds=1, cv="centre", reference_rows=False)
    tested = result.predictions.groupby("fold")["row"].apply(
        lambda rows: set(cohort.X["hospital"].iloc[rows])
    )
    assert tested.tolist() == [{"north"}, {"south"}, {"west"}]
    named = evaluate(
        {"m": model("a")}, cohort, seeds=1, cv=("centre", "hospital"), reference_rows=False
    )
    pd.testing.assert_frame_equal(named.predictions, result.predictions)
    with pytest.raises(ValueError, match="needs a column"):
        evaluate({"m": model("a")}, cohort, cv=("centre", "clinic"))
    mixed = Cohort(cohort.X.assign(centre=np.arange(160) % 2), cohort.y, cohort.groups)
    with pytest.raises(ValueError, match="on both sides"):
        evaluate({"m": model("a")}, mixed, cv="centre")


def test_time_goes_forward(cohort):
    result = evaluate({"m": model("a")}, cohort, seeds=1, cv="time", reference_rows=False)
    year = cohort.X["year"].to_numpy()
    for _, rows in result.predictions.groupby("fold"):
        tested = year[rows["row"]]
        size = result.splits.set_index("fold").loc[rows["fold"].iloc[0], "n_train"]
        assert size == (year < tested.min()).sum()
    assert result.predictions["row"].nunique() >= 80  # the later half


def test_sets_and_risk_coverage_of_an_evaluation(result):
    table = result.conformal(alpha=0.2)
    assert table.index.tolist() == ["a", "b", "both"]
    assert (table[["coverage_negative", "coverage_positive"]] > 0.65).all(axis=None)
    np.testing.assert_allclose(table["answered"] + table["both"] + table["none"], 1)
    assert table.loc["both", "answered"] > table.loc["b", "answered"]
    curve = result.risk_coverage()
    last = curve.groupby("model", observed=True).last()
    assert (last["coverage"] == 1).all()


def test_a_cohort_too_small_is_told(result):
    assert "Riley's criteria" in result.info["chance"]
    assert "80 patients (40 positive)" in result.info["chance"]
