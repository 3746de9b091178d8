"""Resampled rows keep their patients; a threshold comes from the tuning part alone."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import NearMiss, RandomUnderSampler
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import crtkit as ck
from crtkit.evaluation import ConformalClassifier, calibration_figures
from crtkit.resampling import (
    HeldOutThreshold,
    RecalibratedClassifier,
    ResampledClassifier,
    best_threshold,
)
from crtkit.resampling.recalibrated import fit_map


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was fitted on."""

    __metadata_request__fit = {"groups": True}
    seen = []

    def fit(self, X, y, groups=None):
        Recorder.seen.append((np.asarray(X), np.asarray(y), groups))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.clip(np.asarray(X, dtype=float).reshape(len(X), -1)[:, 0] / 200, 0, 1)
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


@pytest.fixture(autouse=True)
def forget():
    Recorder.seen.clear()


def expected_failures(estimator):
    if isinstance(estimator, HeldOutThreshold):
        why = "predict follows the chosen threshold, not the more probable class"
        return {"check_classifiers_train": why}
    return {}


@parametrize_with_checks(
    [
        ResampledClassifier(LogisticRegression(), random_state=0),
        HeldOutThreshold(LogisticRegression(), random_state=0),
        RecalibratedClassifier(LogisticRegression(), random_state=0),
        RecalibratedClassifier(LogisticRegression(), method="temperature", random_state=0),
        ConformalClassifier(LogisticRegression(), random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("sampler", [None, RandomOverSampler(), RandomUnderSampler()])
def test_patients_follow_their_rows(sampler):
    X = np.arange(40.0).reshape(20, 1, 2)
    y, groups = np.array([0] * 14 + [1] * 6), np.arange(20) // 2
    model = ResampledClassifier(Recorder(), sampler=sampler, random_state=0).fit(X, y, groups)
    seen_X, seen_y, seen_groups = Recorder.seen[-1]
    rows = (seen_X[:, 0, 0] / 2).astype(int)
    np.testing.assert_array_equal(rows, model.sample_indices_)
    np.testing.assert_array_equal(seen_y, y[rows])
    np.testing.assert_array_equal(seen_groups, groups[rows])
    assert np.ptp(np.bincount(seen_y)) == 0


@pytest.mark.parametrize("sampler", [SMOTE(), NearMiss(), RandomOverSampler(shrinkage=0.1)])
def test_samplers_that_make_rows_are_refused(sampler):
    with pytest.raises(ValueError, match="would have no patient"):
        ResampledClassifier(Recorder(), sampler=sampler).fit(np.eye(8), [0] * 5 + [1] * 3)


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match="one patient per record"):
        ResampledClassifier(Recorder()).fit(np.eye(8), [0, 1] * 4, groups=np.arange(7))


def test_groups_reach_the_classifier_through_a_nested_search():
    import sklearn

    rng = np.random.default_rng(0)
    X, y, groups = rng.uniform(size=(60, 1)), np.tile([0, 0, 1], 20), np.arange(60) // 3
    model = ResampledClassifier(Recorder(), random_state=0)
    search = GridSearchCV(model, {"random_state": [0, 1]}, cv=GroupKFold(2))
    with sklearn.config_context(enable_metadata_routing=True):
        cross_validate(search, X, y, params={"groups": groups}, cv=GroupKFold(2))
    assert len(Recorder.seen) == 2 * (2 * 2 + 1)
    table = dict(zip(X[:, 0].tolist(), groups.tolist()))
    for seen_X, _, seen_groups in Recorder.seen:
        assert [table[x] for x in seen_X[:, 0].tolist()] == seen_groups.tolist()


def make_table():
    qrs = np.tile(np.arange(100.0, 200.0, 2), 3)
    sets = np.repeat(["train", "train", "tuning"], 50)
    return pd.DataFrame({"qrs": qrs, "set": sets}), (qrs > 160).astype(int)


def test_the_threshold_comes_from_the_tuning_part_alone():
    X, y = make_table()
    model = make_pipeline(ck.Select(["qrs"]), Recorder())
    tuned = HeldOutThreshold(model, column="set").fit(X, y)
    assert len(Recorder.seen) == 1
    assert len(Recorder.seen[0][0]) == 100
    assert 160 / 200 < tuned.threshold_ < 162 / 200
    np.testing.assert_array_equal(tuned.predict(X), y)
    # Another tuning truth moves the threshold and leaves the model as it is.
    moved = np.where(X["set"] == "tuning", X["qrs"] > 140, y).astype(int)
    assert 140 / 200 < HeldOutThreshold(model, column="set").fit(X, moved).threshold_ < 142 / 200


def test_a_patient_in_both_parts_is_refused():
    X, y = make_table()
    groups = np.arange(150)
    groups[120] = 3
    model = HeldOutThreshold(make_pipeline(ck.Select(["qrs"]), Recorder()), column="set")
    with pytest.raises(ValueError, match="1 patient.*training and the tuning part"):
        model.fit(X, y, groups)
    groups[120] = 120
    model.fit(X, y, groups)  # groups pass a pipeline with metadata routing off
    np.testing.assert_array_equal(Recorder.seen[-1][2], np.arange(100))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("sets", "tuning", "expects a table"), ("set", "none", "0 of 150 rows")],
)
def test_missing_tuning_parts_are_refused(column, value, message):
    X, y = make_table()
    with pytest.raises(ValueError, match=message):
        HeldOutThreshold(Recorder(), column=column, tuning=value).fit(X, y)


def test_without_a_column_patients_are_held_out():
    X, groups = np.arange(200.0)[:, None], np.arange(200) // 4
    model = HeldOutThreshold(Recorder(), random_state=0).fit(X, groups % 2, groups)
    assert set(np.unique(Recorder.seen[0][2], return_counts=True)[1]) == {4}  # whole patients
    assert model.n_tuning_ == 40


def test_classifiers_without_probabilities_are_thresholded_by_their_score():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    X = rng.normal(size=(200, 3)) + y[:, None]
    model = HeldOutThreshold(RidgeClassifier(), random_state=0).fit(X, y)
    assert not hasattr(model, "predict_proba")
    expected = model.estimator_.decision_function(X) >= model.threshold_
    np.testing.assert_array_equal(model.predict(X), expected.astype(int))


@pytest.mark.parametrize(
    ("objective", "metric"),
    [("balanced_accuracy", balanced_accuracy_score), ("f1", f1_score)],
)
def test_the_best_threshold_is_the_best_of_all(objective, metric):
    rng = np.random.default_rng(3)
    y = rng.random(60) < 0.3
    score = np.round(y + rng.normal(size=60), 1)
    ours = metric(y, score >= best_threshold(y, score, objective))
    every = [metric(y, score >= cut) for cut in np.append(np.unique(score), np.inf)]
    assert ours == pytest.approx(max(every))


@pytest.mark.parametrize("seed", range(3))
def test_a_threshold_keeps_what_its_name_promises(seed):
    """Against trying every cut, on scores with ties."""
    rng = np.random.default_rng(seed)
    positive = rng.random(80) < 0.4
    score = np.round(positive + rng.normal(size=80), 1)
    cuts = [*np.unique(score), np.inf]

    def figures(cut):
        called = score >= cut
        tp, fp = (called & positive).sum(), (called & ~positive).sum()
        return tp, fp, tp / positive.sum(), 1 - fp / (~positive).sum()

    def best(value):
        return max(value(*figures(cut)) for cut in cuts)

    wanted = {
        ("sensitivity", 0.9): lambda tp, fp, se, sp: sp if se >= 0.9 - 1e-12 else -1,
        ("specificity", 0.8): lambda tp, fp, se, sp: se if sp >= 0.8 - 1e-12 else -1,
        ("cost", 3.0): lambda tp, fp, se, sp: 3 * tp - fp,
        ("net_benefit", 0.3): lambda tp, fp, se, sp: tp - fp * 0.3 / 0.7,
        ("youden", None): lambda tp, fp, se, sp: se + sp,
    }
    for (objective, target), value in wanted.items():
        cut = best_threshold(positive, score, objective, target=target)
        assert value(*figures(cut)) == pytest.approx(best(value)), objective


@pytest.mark.parametrize(
    ("objective", "target", "message"),
    [
        ("sensitivity", None, "needs a target"),
        ("f1", 0.5, "takes no target"),
        ("specificity", 1.2, "target must be in"),
        ("profit", None, "objective must be one of"),
    ],
)
def test_targets_that_make_no_sense(objective, target, message):
    with pytest.raises(ValueError, match=message):
        best_threshold([False, True], [0.1, 0.9], objective, target=target)


def test_a_held_out_threshold_reaches_a_sensitivity_on_its_tuning_part():
    rng = np.random.default_rng(0)
    y = rng.random(300) < 0.5
    X = (y + rng.normal(size=300))[:, None]
    model = HeldOutThreshold(
        LogisticRegression(), objective="sensitivity", target=0.9, size=0.5, random_state=0
    ).fit(X, y)
    called = model.predict(X)
    assert called[y].mean() > 0.8
    assert (
        model.threshold_
        < HeldOutThreshold(LogisticRegression(), size=0.5, random_state=0).fit(X, y).threshold_
    )


def test_maps_are_the_models_of_statsmodels_and_scikit_learn():
    import statsmodels.api as sm
    from scipy.special import logit

    rng = np.random.default_rng(0)
    score = rng.normal(0, 2, 300)
    y = rng.random(300) < 1 / (1 + np.exp(-(0.4 + 0.5 * score)))
    # Platt's targets as weighted records: each counts as both classes, in part.
    up, down = (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2)
    target = np.where(y, up, down)
    twice = np.r_[np.ones(300), np.zeros(300)]
    weight = np.r_[target, 1 - target]
    X = np.tile(score, 2)
    glm = sm.GLM(twice, sm.add_constant(X), sm.families.Binomial(), freq_weights=weight).fit()
    np.testing.assert_allclose(fit_map(score, y, "platt"), glm.params, atol=1e-5)
    offset = sm.GLM(
        twice, np.ones(600), sm.families.Binomial(), freq_weights=weight, offset=X
    ).fit()
    np.testing.assert_allclose(fit_map(score, y, "intercept"), [offset.params[0], 1], atol=1e-6)
    slope = sm.GLM(twice, X[:, None], sm.families.Binomial(), freq_weights=weight).fit()
    np.testing.assert_allclose(fit_map(score, y, "temperature"), [0, slope.params[0]], atol=1e-4)
    separated = fit_map(logit([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1], bool), "platt")
    assert np.isfinite(separated).all()


def overconfident(n=400, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), 2)
    y = (rng.random(n) < 0.4)[patient].astype(int)
    return 2.5 * y[:, None] + rng.normal(0, 3, (2 * n, 1)), y, patient


class TooSure(Recorder):
    """Risks far more extreme than they should be."""

    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-2 * (np.asarray(X, dtype=float)[:, 0])))
        return np.column_stack([1 - p, p])


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_recalibration_mends_risks_of_new_patients(method):
    X, y, patient = overconfident()
    new, truth, _ = overconfident(seed=1)
    raw = TooSure().fit(X, y)
    mended = RecalibratedClassifier(TooSure(), method=method, random_state=0).fit(X, y, patient)
    before = calibration_figures(truth, raw.predict_proba(new)[:, 1])
    after = calibration_figures(truth, mended.predict_proba(new)[:, 1])
    assert before.slope < 0.3
    assert 0.6 < after.slope < 1.4
    assert after.ici < 0.1 < before.ici
    for seen_X, _, seen_patient in Recorder.seen[1:6]:  # five folds, then all of them
        assert len(seen_X) < len(X)
        inside = np.isin(patient, seen_patient)
        assert inside.sum() == len(seen_X)  # whole patients
    assert len(Recorder.seen[-1][0]) == len(X)


def test_temperature_leaves_calls_and_intercept_leaves_ranks():
    X, y, patient = overconfident()
    raw = TooSure().fit(X, y)
    cooled = RecalibratedClassifier(TooSure(), method="temperature", random_state=0)
    np.testing.assert_array_equal(cooled.fit(X, y, patient).predict(X), raw.predict(X))
    moved = RecalibratedClassifier(TooSure(), method="intercept", random_state=0)
    moved.fit(X, y, patient)
    assert moved.slope_ == 1
    order = np.argsort(raw.predict_proba(X)[:, 1], kind="stable")
    assert (np.diff(moved.predict_proba(X)[order, 1]) >= 0).all()


def test_conformal_sets_hold_each_class_as_often_as_promised():
    X, y, patient = overconfident(1500)
    new, truth, _ = overconfident(4000, seed=1)
    model = ConformalClassifier(LogisticRegression(), alpha=0.2, size=0.5, random_state=0)
    model.fit(X, y, patient)
    sets = model.predict_set(new)
    for label in (0, 1):  # of records here: a patient's mean is calmer than either record
        assert sets[truth == label, label].mean() > 0.7
    np.testing.assert_array_equal(model.abstains(new), sets.sum(axis=1) != 1)
    assert model.n_calibration_.sum() == 750


def test_recalibrated_and_conformal_models_in_an_evaluation():
    X, y, patient = overconfident(60)
    cohort = ck.Cohort(pd.DataFrame({"x": X[:, 0]}), y, patient)
    inner = make_pipeline(ck.Select(["x"]), LogisticRegression())
    models = {
        "Platt": RecalibratedClassifier(inner),
        "sets": ConformalClassifier(inner, alpha=0.2),
        "chain": make_pipeline(ck.Select(["x"]), RecalibratedClassifier(TooSure(), n_folds=3)),
    }
    result = ck.evaluate(models, cohort, seeds=2, reference_rows=False, threads_per_fit=1)
    assert result.per_seed()["roc_auc"].between(0.5, 1).all()


class SinglePrecision(ClassifierMixin, BaseEstimator):
    """Scores in float32, as scikit-learn's linear models give them for float32 records."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return np.asarray(X, dtype=np.float32)[:, 0]

    def predict(self, X):
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


def test_a_threshold_between_scores_in_single_precision():
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    # The highest score is of a negative: best is to call nobody; then a cut between neighbours.
    for score, y, called in (
        ([high, low, low, low], [0, 1, 0, 0], [0, 0, 0, 0]),
        ([high, low, low, low], [1, 0, 0, 0], [1, 0, 0, 0]),
    ):
        X = np.array(score * 2, dtype=np.float32)[:, None]
        table = pd.DataFrame({"x": X[:, 0], "set": ["train"] * 4 + ["tuning"] * 4})
        model = make_pipeline(ck.Select(["x"]), SinglePrecision())
        fitted = HeldOutThreshold(model, column="set", objective="accuracy").fit(table, y * 2)
        assert fitted.predict(table.iloc[4:]).tolist() == called


def test_recalibrated_risks_add_up_in_double_precision():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = (rng.normal(size=(60, 2)) + y[:, None]).astype(np.float32)
    model = RecalibratedClassifier(LogisticRegression(), random_state=0).fit(X, y)
    risks = model.predict_proba(X)
    assert risks.dtype == np.float64
    np.testing.assert_allclose(risks.sum(axis=1), 1, atol=1e-15)
