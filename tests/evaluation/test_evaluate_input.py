import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from crtkit import Cohort, GuidelineClassifier, LeadStatistics, Select, evaluate
from crtkit.datasets.simulation.lvsd2026 import ASSUMED
from crtkit.evaluation import RepeatedStratifiedPatientSplit, nadeau_bengio_interval
from crtkit.statistics import corrected_resampled_ttest

COLUMNS = ["qrs_duration_ms", "lvef", "male"]


def quick(models, cohort, **kwargs):
    kwargs = {"seeds": 2, "reference_rows": False, "threads_per_fit": 1, **kwargs}
    return evaluate(models, cohort, **kwargs)


def test_the_positive_label_is_shown_and_can_be_chosen(make_table_cohort, models):
    cohort = make_table_cohort(labels=("no", "Yes"))
    models = {**models, "svc": make_pipeline(Select(COLUMNS), SVC())}
    larger = quick(models, cohort, reference_rows=True)
    chosen = quick(models, cohort, reference_rows=True, pos_label="Yes")
    for result, positive in ((larger, "no"), (chosen, "Yes")):
        assert result.classes[1] == result.info["positive"] == positive
        summary = result.summary(n_bootstrap=2)
        for text in (repr(result), result._repr_html_(), summary.attrs["note"]):
            assert f"positive: {positive}" in text
        assert summary.attrs["positive"] == positive
        assert f"positive: {positive}" in result.to_dict(n_bootstrap=2)["note"]
    a, b = larger.per_seed(), chosen.per_seed()
    for model in models:  # the same fits, read from the other side
        np.testing.assert_allclose(a.loc[model, "roc_auc"], b.loc[model, "roc_auc"])
        np.testing.assert_allclose(a.loc[model, "ppv"], b.loc[model, "npv"])
    # A wide QRS speaks for Yes: named so, the rule answers rightly.
    assert (b.loc["QRS >= 150 ms", "roc_auc"] > 0.6).all()
    assert (a.loc["QRS >= 150 ms", "roc_auc"] < 0.4).all()
    with pytest.raises(ValueError, match=r"pos_label must be one of the labels \['Yes', 'no'\]"):
        quick(models, cohort, pos_label="YES")
    rule = GuidelineClassifier(rule="QRS150")
    with pytest.raises(ValueError, match="Give it pos_label='Yes'"):
        quick({"rule": rule}, cohort, pos_label="Yes")
    quick({"rule": rule.set_params(pos_label="Yes")}, cohort, pos_label="Yes")


def test_splits_that_come_again_do_not_narrow_intervals(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=90)
    models = {"a": models["logistic"], "b": make_pipeline(Select(["male"]), LogisticRegression())}
    one, many = (quick(models, cohort, seeds=n, cv=GroupKFold(5)) for n in (1, 6))
    assert many.splits["split"].nunique() == 5
    assert "6 seed(s) on the same 5 splits" in many.note
    for result in (one, many):  # models without randomness: more seeds say nothing new
        row = result.summary(n_bootstrap=5).loc["a", "roc_auc"]
        folds = one.per_fold()["roc_auc"].loc["a"].to_numpy()
        low, high = nadeau_bengio_interval(folds, one.test_train_ratio)
        assert (row["nb_low"], row["nb_high"]) == pytest.approx((low, min(high, 1.0)))
        wide = one.per_fold()["roc_auc"].unstack(level="model")[["a", "b"]]
        ratio = one.test_train_ratio
        expected = corrected_resampled_ttest(wide, test_size=ratio / (1 + ratio))["p_value"]
        got = result.compare("a", "b", n_bootstrap=5).loc["roc_auc", "p_value"]
        assert got == pytest.approx(expected.iloc[0])
    drawn = quick(models, cohort, seeds=3)
    assert drawn.splits["split"].nunique() == 3


def test_a_large_seed_draws_one_split(make_table_cohort, models):
    cohort = make_table_cohort()
    splitter = RepeatedStratifiedPatientSplit(8, random_state=0)
    by_hand = list(splitter.split(cohort.X, cohort.y, cohort.groups))[7][1]
    rows = quick(models["logistic"], cohort, seeds=[7]).predictions["row"]
    assert rows.tolist() == by_hand.tolist()
    tracemalloc.start()
    quick(models["logistic"], cohort, seeds=[10**9])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_empty_subgroups_are_named(make_table_cohort, models):
    cohort = make_table_cohort()
    for what in (lambda X: X["lvef"] > 99, np.zeros(len(cohort), bool)):
        with pytest.raises(ValueError, match="Subgroup 'none' is empty: no record of 'test'"):
            quick(models, cohort, subgroups={"none": what})
    X = cohort.X.assign(site=np.nan)
    with pytest.raises(ValueError, match="'site' is empty: 'test' has no value in 'site'"):
        quick(models, Cohort(X, cohort.y, cohort.groups), subgroups={"site": "site"})


def test_a_subgroup_that_was_never_tested_is_named(make_table_cohort, models):
    cohort = make_table_cohort()
    train, test = next(GroupKFold(3).split(cohort.X, cohort.y, cohort.groups))
    mask = np.isin(np.arange(len(cohort)), train)
    result = quick(models, cohort, cv=[(train, test)], subgroups={"fitted": mask})
    with pytest.raises(ValueError, match="No record of subgroup 'fitted' was tested"):
        result.calibration(subgroup="fitted")
    titles = [table["title"] for table in result.to_dict(n_bootstrap=2)["tables"]]
    assert not any("fitted" in title for title in titles)


def test_parts_of_one_class_give_empty_curves(make_table_cohort, models):
    pytest.importorskip("matplotlib").use("Agg")
    cohort = make_table_cohort(n_patients=8)
    model = {name: make_pipeline(Select([name]), LogisticRegression()) for name in COLUMNS[:2]}
    tested = np.isin(cohort.groups, cohort.groups[cohort.y == "no"][:1])
    result = quick(model, cohort, seeds=1, cv=[(~tested, tested)])
    for which in ("seeds", "best"):
        table = result.roc(which=which)
        assert table.empty
        assert table.dtypes[["fpr", "seed"]].tolist() == [float, int]
        assert "fpr" in table
    assert result.roc()["tpr"].isna().all()
    for which in ("mean", "best"):
        result.plot_roc(which=which)
    compared = result.compare(*COLUMNS[:2], n_bootstrap=5)
    assert np.isnan(compared.loc["roc_auc", "difference"])
    assert (result.calibration(n_bootstrap=2)["n"] == 1).all()


def test_splits_as_masks_and_bad_splits(make_table_cohort, models):
    cohort = make_table_cohort()
    n, one = len(cohort), models["logistic"]
    train, test = next(GroupKFold(3).split(cohort.X, cohort.y, cohort.groups))
    mask = np.isin(np.arange(n), test)
    by_mask = quick(one, cohort, cv=[(~mask, mask)]).predictions
    pd.testing.assert_frame_equal(by_mask, quick(one, cohort, cv=[(train, test)]).predictions)
    for cv, message in [
        ([(train, [*test, test[0]])], "fold 0 tests a record twice"),
        ([(train, mask[1:])], f"test part must hold positions from 0 to {n - 1}"),
        ([(train, [n])], "test part must hold positions"),
        ([([-1, 0], test)], "train part must hold positions"),
        ([(train, test, test)], "pairs of"),
        (0.2, "cv must be None, a number of folds"),
    ]:
        with pytest.raises(ValueError, match=message):
            quick(one, cohort, cv=cv)


@pytest.mark.parametrize(("first", "message"), [(None, "1 missing label"), (1, "mixed types")])
def test_labels_that_are_missing_or_mixed(make_table_cohort, models, first, message):
    cohort = make_table_cohort()
    y = cohort.y.copy()
    y[0] = first
    with pytest.raises(ValueError, match=message):
        quick(models, Cohort(cohort.X, y, cohort.groups))


def test_no_model_is_lost(make_table_cohort, models):
    cohort, model = make_table_cohort(), models["logistic"]
    with pytest.raises(ValueError, match="Names of models must differ as text"):
        quick({1: model, "1": model}, cohort)
    with pytest.raises(ValueError, match="'Majority class'. are names of reference rows"):
        quick({"Majority class": model}, cohort, reference_rows=True)
    assert quick({"Majority class": model}, cohort).models == ["Majority class"]


def test_reference_rows_take_arguments_and_say_what_they_cannot_read(make_table_cohort, models):
    cohort = make_table_cohort()
    flags = np.arange(len(cohort)) % 2
    X = cohort.X.assign(lbbb=flags)
    result = quick(
        models, Cohort(X, cohort.y, cohort.groups), reference_rows={"guideline": "he2023"}
    )
    assert "Guideline class I" in result.info["reference_rows"]
    text = X.assign(lbbb=np.where(flags, "yes", "no"))
    result = quick(models, Cohort(text, cohort.y, cohort.groups), reference_rows=True)
    assert "'lbbb' must hold numbers" in result.info["left_out"]["LBBB"]
    assert "'lbbb' must hold numbers" in result.info["left_out"]["Clinical logistic model: lbbb"]
    assert "QRS >= 150 ms" in result.info["reference_rows"]
    with pytest.raises(ValueError, match="knows the rules"):
        quick(models, cohort, reference_rows={"guideline": "ESC1999"})
    with pytest.raises(TypeError, match="reference_rows must be True, False or a dict"):
        quick(models, cohort, reference_rows="he2023")


def test_the_best_auc_of_lvsd2026_says_what_it_does_not_know():
    assert any("best AUC" in text and "hospital, set, year" in text for text in ASSUMED)


def test_one_record_under_two_patients_is_found_by_content():
    rng = np.random.default_rng(0)
    signals = [rng.normal(size=(2, 200)) for _ in range(40)]
    y = np.arange(40) % 2

    def cohort(cells, prefix):
        column = np.empty(len(cells), dtype=object)
        column[:] = cells
        return Cohort(pd.DataFrame({"signal": column}), y, [f"{prefix}{i}" for i in range(40)])

    model = {"m": make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression())}
    options = {"seeds": 1, "reference_rows": False, "progress": False}
    twice = [*signals[:39], signals[7].astype(np.float32).astype(np.float64)]
    twice[7] = twice[39].copy()
    with pytest.raises(ValueError, match=r"1 record.*row 39 \(patient 'A39'\) equals.* row 7"):
        evaluate(model, cohort(twice, "A"), **options)
    home, other = cohort(signals, "A"), cohort([signals[3], *rng.normal(size=(39, 2, 200))], "B")
    with pytest.raises(ValueError, match=r"1 record.*external cohort 'B'.*\(patient 'B0'\)"):
        evaluate(model, home, external={"B": other}, **options)
    with pytest.raises(TypeError, match=r"external=\{name: Cohort\}; 'B' is tuple"):
        evaluate(model, home, external={"B": (other.X, other.y)}, **options)


def test_subgroups_are_paired_by_index_and_levels_are_whole():
    X = pd.DataFrame({"age": np.arange(40.0), "sex": ["m", "m "] * 20})
    cohort = Cohort(X, np.arange(40) % 2, np.arange(40))
    model = {"m": make_pipeline(Select(["age"]), LogisticRegression())}
    options = {"seeds": 1, "reference_rows": False, "progress": False}
    with pytest.raises(ValueError, match="Subgroup 'old' pairs X and mask row by row"):
        evaluate(model, cohort, subgroups={"old": (X["age"] > 20).sort_values()}, **options)
    with pytest.raises(ValueError, match=r"'sex' differ only by blanks or case, \[\('m', 'm '\)\]"):
        evaluate(model, cohort, subgroups={"sex": "sex"}, **options)
