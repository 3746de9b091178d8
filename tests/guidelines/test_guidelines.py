import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone, is_classifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import GuidelineClassifier
from crtkit.guidelines import reference_rows, rules

CANDIDATE = {"lvef": 28, "qrs_duration_ms": 160, "lbbb": 1, "af": 0, "nyha": 3, "male": 1}


def patients(*changes):
    """One patient a change of a patient who meets every rule for CRT."""
    return pd.DataFrame([{**CANDIDATE, **change} for change in changes])


def answers(rule, X, **parameters):
    """0 or 1 for each row of X."""
    y = np.arange(len(X)) % 2
    return GuidelineClassifier(rule=rule, **parameters).fit(X, y).predict(X).tolist()


def make_cohort(n=60, seed=0, **columns):
    """What reference_rows and evaluate see, object cells included."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, size=n)
    X = pd.DataFrame(
        {
            "signal": [np.zeros((2, 5), dtype=np.float32) for _ in range(n)],
            "image": [f"page{i}.jpg" for i in range(n)],
            "qrs_duration_ms": rng.normal(150, 20, size=n) + 12 * y,
            "lbbb": (rng.random(n) < 0.4 + 0.4 * y).astype(int),
            "male": rng.integers(0, 2, size=n).astype(bool),
            "ischaemic": rng.integers(0, 2, size=n),
            "lvef": rng.uniform(15, 45, size=n),
            "af": rng.integers(0, 2, size=n),
            "nyha": rng.integers(1, 5, size=n),
            "qrs_area_uVs": rng.normal(110, 40, size=n) + 20 * y,
        }
    ).assign(**columns)
    return SimpleNamespace(X=X, y=y, groups=np.repeat(np.arange(n // 2), 2), info={})


@pytest.mark.filterwarnings("ignore:.*Give a DataFrame with named columns:UserWarning")
@parametrize_with_checks([GuidelineClassifier(rule=name) for name in rules()["rule"].unique()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_table_holds_every_rule_once_with_its_source():
    table = rules()
    assert set(table["rule"]) == {
        *("he2023", "ESC2021-I", "HRS2023-I", "PSD43", "PBW135", "QRS150", "QRSarea98", "LBBB")
    }
    assert not table.duplicated(["rule", "alternative", "column", "operator"]).any()
    assert table.notna().all().all()
    assert (table["source"].str.len() > 10).all()


def test_each_condition_of_class_i_decides():
    X = patients(
        {},
        {"lvef": 35, "qrs_duration_ms": 150, "nyha": 2},
        {"lvef": 35.1},
        {"qrs_duration_ms": 149.9},
        {"lbbb": 0},
        {"af": 1},
        {"nyha": 1},
    )
    assert answers("ESC2021-I", X) == [1, 1, 0, 0, 0, 0, 0]
    assert answers("HRS2023-I", X) == [1, 1, 0, 0, 0, 0, 0]
    assert answers("he2023", X) == [1, 1, 0, 0, 0, 1, 1]
    assert answers("QRS150", X) == [1, 1, 1, 0, 1, 1, 1]
    assert answers("LBBB", X) == [1, 1, 1, 1, 0, 1, 1]


def test_women_with_lbbb_and_120_ms_are_class_1_of_hrs_only():
    woman = {"male": 0, "qrs_duration_ms": 130}
    X = patients(
        woman,
        {**woman, "qrs_duration_ms": 120},
        {**woman, "qrs_duration_ms": 119},
        {**woman, "lbbb": 0},
        {**woman, "nyha": 1},
        {**woman, "male": 1},
        {**woman, "male": np.nan},
        {"male": np.nan},
    )
    assert answers("HRS2023-I", X) == [1, 1, 0, 0, 0, 0, 0, 1]
    assert answers("ESC2021-I", X) == [0, 0, 0, 0, 0, 0, 0, 1]


def test_spect_thresholds():
    X = pd.DataFrame({"psd_deg": [42.9, 43, 60], "pbw_deg": [135, 134, 200]})
    assert answers("PSD43", X) == [0, 1, 1]
    assert answers("PBW135", X) == [1, 0, 1]


def test_lbbb_on_the_counts_of_he2023():
    # Table 1 of he2023: LBBB in 44 of 46 responders and 13 of 25 non-responders.
    y = np.repeat(["response", "none"], [46, 25])
    lbbb = np.concatenate([np.arange(46) < 44, np.arange(25) < 13]).astype(int)
    X = pd.DataFrame({"lbbb": lbbb, "lvef": 27.0, "qrs_duration_ms": 172.0})
    right = GuidelineClassifier(rule="LBBB").fit(X, y).predict(X) == y
    assert right[:46].mean() == pytest.approx(0.957, abs=5e-4)
    assert right[46:].mean() == 0.48
    assert right.mean() == pytest.approx(0.789, abs=5e-4)
    # The rule demands LBBB, so the 12 without it are always right: 0.038 cannot be.
    assert (GuidelineClassifier(rule="he2023").fit(X, y).predict(X) == y)[46:].mean() >= 0.48


@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes"), (False, True), (-1.0, 1.0), (3, 7)])
def test_larger_label_is_met_for_labels_of_any_type(labels):
    X = patients({}, {"lbbb": 0})
    model = GuidelineClassifier().fit(X, np.array([labels[1], labels[0]]))
    assert model.predict(X).tolist() == [labels[1], labels[0]]
    assert model.classes_.tolist() == list(labels)
    assert not hasattr(model, "predict_proba")
    np.testing.assert_array_equal(model.decision_function(X), [1, -1])


@given(
    st.lists(
        st.one_of(st.floats(100, 220), st.just(150.0), st.just(np.nan)), min_size=3, max_size=30
    )
)
@settings(max_examples=60, deadline=None)
def test_decision_of_one_numeric_condition_ranks_as_its_column(durations):
    X = pd.DataFrame({"qrs_duration_ms": [160.0, 140.0, *durations]})
    model = GuidelineClassifier(rule="QRS150").fit(X, np.arange(len(X)) % 2)
    decision = model.decision_function(X)
    assert np.isfinite(decision).all()
    np.testing.assert_array_equal(decision > 0, model.predict(X) == 1)
    known = X["qrs_duration_ms"].notna().to_numpy()
    np.testing.assert_allclose(decision[known], X["qrs_duration_ms"][known] - 150, atol=1e-300)
    assert (decision[~known] < 0).all()


def test_auc_is_that_of_the_duration():
    cohort = make_cohort()
    model = GuidelineClassifier(rule="QRS150").fit(cohort.X, cohort.y)
    auc = roc_auc_score(cohort.y, model.decision_function(cohort.X))
    assert auc == roc_auc_score(cohort.y, cohort.X["qrs_duration_ms"])


def test_rule_of_ones_own():
    X = patients({}, {"qrs_duration_ms": 130}, {"qrs_duration_ms": 129})
    model = GuidelineClassifier(rule=[("qrs_duration_ms", ">=", 130), ("lbbb", "==", 1)])
    assert model.fit(X, [0, 1, 1]).predict(X).tolist() == [1, 1, 0]
    low = GuidelineClassifier(rule=[("lvef", "<", 30)]).fit(X, [0, 1, 1])
    np.testing.assert_array_equal(low.decision_function(X), [2, 2, 2])


def test_missing_values_are_not_met_and_counted():
    X = patients({}, {"nyha": np.nan}, {"lvef": None}, {"nyha": np.nan, "lbbb": 0})
    model = GuidelineClassifier().fit(X, [1, 0, 1, 0])
    assert model.predict(X).tolist() == [1, 0, 0, 0]
    assert model.n_missing_ == {"lvef": 1, "af": 0, "lbbb": 0, "qrs_duration_ms": 0, "nyha": 2}
    table = model.conditions(X)
    assert list(table.columns) == [
        *("lvef <= 35 %", "af == 0 flag", "lbbb == 1 flag", "qrs_duration_ms >= 150 ms"),
        "nyha >= 2 class",
    ]
    np.testing.assert_array_equal(table["nyha >= 2 class"], [1, np.nan, 1, np.nan])
    np.testing.assert_array_equal(table["lbbb == 1 flag"], [1, 1, 1, 0])


def test_nullable_and_boolean_columns():
    X = patients({}, {}, {})
    X["lbbb"] = pd.array([True, None, False], dtype="boolean")
    X["nyha"] = pd.array([3, 3, 3], dtype="Int64")
    X["af"] = [False, False, None]
    assert answers("ESC2021-I", X) == [1, 0, 0]


def test_missing_column_is_named():
    X = patients({}, {"lbbb": 0}).drop(columns=["nyha", "af"])
    with pytest.raises(ValueError, match=r"X has no \['af', 'nyha'\]"):
        GuidelineClassifier().fit(X, [0, 1])
    model = GuidelineClassifier(columns={"nyha": None, "af": None}).fit(X, [0, 1])
    assert model.predict(X).tolist() == [1, 0]
    with pytest.raises(ValueError, match="X has no"):
        model.predict(X.drop(columns="lvef"))


def test_columns_under_other_names():
    X = patients({}, {"lvef": 50}).rename(columns={"lvef": "EF"})
    assert answers("he2023", X, columns={"lvef": "EF"}) == [1, 0]
    with pytest.raises(ValueError, match="which no rule reads"):
        GuidelineClassifier(columns={"lvfe": "EF"}).fit(X, [0, 1])
    with pytest.raises(ValueError, match="true of every patient"):
        GuidelineClassifier(rule="LBBB", columns={"lbbb": None}).fit(X, [0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lvef": 0.28}, "looks like a fraction"),
        ({"qrs_duration_ms": 0.16}, "looks like seconds"),
        ({"lbbb": 2}, "must be 0, 1 or missing"),
        ({"nyha": "III"}, "must hold numbers"),
        ({"nyha": 5}, "must be 1, 2, 3, 4 or missing"),
        ({"lvef": np.inf}, "contains infinity"),
    ],
)
def test_values_in_another_unit_or_code(change, message):
    with pytest.raises(ValueError, match=message):
        GuidelineClassifier().fit(patients(change, change), [0, 1])


def test_one_low_value_at_predict_is_no_other_unit():
    X = patients({}, {"lbbb": 0})
    model = GuidelineClassifier().fit(X, [0, 1])
    assert model.predict(patients({"lvef": 5.0})).tolist() == [1]


@pytest.mark.parametrize("rule", ["ESC2050", [], [("lvef", "~", 3)]])
def test_rules_that_do_not_exist(rule):
    with pytest.raises(ValueError, match="rule"):
        GuidelineClassifier(rule=rule).fit(patients({}, {}), [0, 1])


def test_labels_that_are_not_two():
    X = patients({}, {}, {})
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        GuidelineClassifier().fit(X, [0, 1, 2])
    with pytest.raises(ValueError, match="one class"):
        GuidelineClassifier().fit(X, [1, 1, 1])


def test_arrays_are_read_by_position_with_a_warning_about_their_width():
    X = patients({}, {"lbbb": 0})
    columns = GuidelineClassifier().fit(X, [0, 1]).columns_
    model = GuidelineClassifier().fit(X[columns].to_numpy(float), [0, 1])
    assert model.predict(X[columns].to_numpy(float)).tolist() == [1, 0]
    with pytest.warns(UserWarning, match=r"reads 5 column\(s\)"):
        GuidelineClassifier().fit(np.ones((2, 3)), [0, 1])


def test_reference_rows_of_a_full_cohort():
    cohort = make_cohort()
    rows, left_out = reference_rows(cohort)
    assert list(rows) == [
        "Majority class",
        "QRS >= 150 ms",
        "LBBB",
        "QRS area >= 98 uVs",
        "Guideline class I",
        "Clinical logistic model",
    ]
    assert left_out == {}
    for model in rows.values():
        assert is_classifier(model)
        assert not hasattr(model, "classes_")
        fitted = pickle.loads(pickle.dumps(clone(model).fit(cohort.X, cohort.y)))
        assert set(fitted.predict(cohort.X)) <= {0, 1}
        scores = cross_validate(
            model,
            cohort.X,
            cohort.y,
            groups=cohort.groups,
            cv=GroupKFold(3),
            scoring=["roc_auc", "accuracy"],
            error_score="raise",
        )
        assert np.isfinite(scores["test_roc_auc"]).all()


def test_reference_rows_do_not_look_at_other_columns():
    cohort = make_cohort()
    rows, _ = reference_rows(cohort)
    columns = ["nyha", "lvef", "male", "ischaemic", "af", "lbbb", "qrs_duration_ms", "qrs_area_uVs"]
    for model in rows.values():
        fitted = clone(model).fit(cohort.X, cohort.y)
        bare = clone(model).fit(cohort.X[columns], cohort.y)
        method = "predict_proba" if hasattr(fitted, "predict_proba") else "decision_function"
        np.testing.assert_array_equal(
            getattr(fitted, method)(cohort.X), getattr(bare, method)(cohort.X[columns])
        )


def test_clinical_model_learns_inside_the_fold_and_is_searchable():
    cohort = make_cohort(n=120, seed=3)
    cohort.X.loc[::7, "lvef"] = np.nan
    model = reference_rows(cohort)[0]["Clinical logistic model"]
    search = GridSearchCV(
        model, {"logisticregression__C": [0.01, 1.0]}, cv=GroupKFold(3), scoring="roc_auc"
    )
    search.fit(cohort.X, cohort.y, groups=cohort.groups)
    assert search.best_score_ > 0.6
    coefficients = dict(
        zip(
            ["qrs_duration_ms", "lbbb", "male", "ischaemic", "lvef"],
            model.fit(cohort.X, cohort.y)[-1].coef_[0],
        )
    )
    assert coefficients["qrs_duration_ms"] > 0
    assert coefficients["lbbb"] > 0
    # A fold in which nobody has an LVEF.
    head = cohort.X[:20].assign(lvef=np.nan)
    assert np.isfinite(clone(model).fit(head, cohort.y[:20]).predict_proba(head)).all()


def test_rows_that_a_cohort_cannot_have():
    cohort = make_cohort(lbbb=1)
    cohort.X = cohort.X.drop(columns=["nyha", "ischaemic"])
    rows, left_out = reference_rows(cohort)
    assert list(rows) == [
        *("Majority class", "QRS >= 150 ms", "QRS area >= 98 uVs", "Clinical logistic model")
    ]
    assert left_out == {
        "LBBB": "the rule gives the same answer for all 60 records",
        "Guideline class I": "the cohort has no column nyha",
        "Clinical logistic model: lbbb": "it has the same value in every record",
        "Clinical logistic model: ischaemic": "the cohort has no such column",
    }
    rows, left_out = reference_rows(cohort, guideline="he2023")
    assert "Guideline class I" in rows
    rows, left_out = reference_rows(cohort, columns={"nyha": None, "lbbb": None})
    assert "Guideline class I" in rows
    assert left_out["LBBB"] == "every patient meets the rule"


def test_columns_that_are_the_label_are_kept_out():
    cohort = make_cohort()
    by_hand = reference_rows(cohort, exclude=["lvef"])
    cohort.info = {"label_columns": ["lvef"]}
    rows, left_out = reference_rows(cohort)
    assert list(rows) == list(by_hand[0])
    assert (
        left_out
        == by_hand[1]
        == {
            "Guideline class I": "lvef is the label in another form",
            "Clinical logistic model: lvef": "it is the label in another form",
        }
    )
    model = rows["Clinical logistic model"].fit(cohort.X, cohort.y)
    shuffled = cohort.X.assign(lvef=cohort.X["lvef"].to_numpy()[::-1])
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(cohort.X))


def test_cohort_without_clinical_columns_keeps_the_majority_class():
    cohort = make_cohort()
    cohort.X = cohort.X[["signal", "image"]]
    rows, left_out = reference_rows(cohort)
    assert list(rows) == ["Majority class"]
    assert set(left_out) == {
        "QRS >= 150 ms",
        "LBBB",
        "QRS area >= 98 uVs",
        "Guideline class I",
        "Clinical logistic model",
    }
    assert left_out["LBBB"] == (
        "the cohort has no column lbbb; not measured: the cohort does not say its sampling_rate"
    )
    model = rows["Majority class"].fit(cohort.X, cohort.y)
    assert len(np.unique(model.predict(cohort.X))) == 1


def test_spect_rows_where_the_columns_are_there():
    rng = np.random.default_rng(0)
    cohort = make_cohort(psd_deg=rng.uniform(20, 70, 60), pbw_deg=rng.uniform(50, 300, 60))
    rows, _ = reference_rows(cohort)
    assert rows["PSD >= 43 deg"].rule == "PSD43"
    assert rows["PBW >= 135 deg"].rule == "PBW135"


def test_three_labels_leave_the_rules_out():
    cohort = make_cohort()
    cohort.y = np.arange(60) % 3
    rows, left_out = reference_rows(cohort)
    assert "Clinical logistic model" in rows
    assert left_out["LBBB"] == "a rule gives two answers, the cohort has 3 label(s)"


def test_met_can_be_the_smaller_label():
    X = pd.DataFrame({"qrs_duration_ms": [172.0, 138.0, 150.0]})
    rule = GuidelineClassifier(rule="QRS150", pos_label="Yes").fit(X, ["Yes", "no", "Yes"])
    assert rule.predict(X).tolist() == ["Yes", "no", "Yes"]
    decision = rule.decision_function(X)
    np.testing.assert_array_equal(rule.classes_[(decision > 0).astype(int)], rule.predict(X))
    np.testing.assert_allclose(decision, [-22, 12, 0], atol=1e-9)
    with pytest.raises(ValueError, match="pos_label must be one of the labels"):
        rule.set_params(pos_label="maybe").fit(X, ["Yes", "no", "Yes"])


@pytest.mark.parametrize(
    ("column", "code"),
    [
        *(("qrs_duration_ms", code) for code in (29999, 999, 0, -1, 0.15)),
        *(("lvef", code) for code in (0, -1, -9, 999, 0.3)),
        ("nyha", 9),
        ("lbbb", 9),
    ],
)
def test_codes_for_not_measured_are_refused_by_row_and_value(column, code):
    X = patients({}, {"lbbb": 0}, {}, {"lvef": 40.0}).astype(float)
    model = GuidelineClassifier().fit(X, [0, 1, 0, 1])
    coded, missing = X.copy(), X.copy()
    coded.loc[2, column], missing.loc[2, column] = code, np.nan
    for call in (model.predict, lambda Z: GuidelineClassifier().fit(Z, [0, 1, 0, 1])):
        with pytest.raises(ValueError, match=rf"{column}.*{code:g} at row 2.*(missing|NaN)"):
            call(coded)
    assert model.predict(missing)[2] == 0


def test_flags_as_1_and_2_are_asked_for():
    X = patients({}, {}).assign(lbbb=[1, 2])
    with pytest.raises(ValueError, match="Coded 1 and 2, either may mean yes"):
        GuidelineClassifier().fit(X, [0, 1])


@pytest.mark.parametrize("kind", [object, "boolean"])
def test_a_flag_with_missing_values_is_read(kind):
    X = patients({}, {}, {}).assign(lbbb=pd.Series([True, None, False], dtype=kind))
    assert GuidelineClassifier().fit(X, [0, 1, 0]).predict(X).tolist() == [1, 0, 0]


def test_an_ordered_outcome_keeps_its_order():
    X = patients({}, {"lbbb": 0})
    y = pd.Series(pd.Categorical(["good", "poor"], categories=["poor", "good"], ordered=True))
    model = GuidelineClassifier().fit(X, y)
    assert model.pos_label_ == "good"
    assert model.predict(X).tolist() == ["good", "poor"]


def test_polars_is_read_by_name():
    pl = pytest.importorskip("polars")
    X = patients({}, {"lbbb": 0})
    table = pl.DataFrame({name: X[name].to_list() for name in reversed(list(X))})
    assert GuidelineClassifier().fit(table, [1, 0]).predict(table).tolist() == [1, 0]
