import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as skm
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.svm import SVC

from crtkit import metrics
from crtkit.metrics import SCORERS, at_sensitivity, brier, confusion_counts, roc_auc

ANSWERS = ["accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1"]


@st.composite
def answers(draw, weighted=False):
    n = draw(st.integers(1, 25))
    labels = draw(st.sampled_from([(0, 1), (-1, 1), (False, True), ("no", "yes"), (2.0, 5.0)]))
    column = st.lists(st.sampled_from(labels), min_size=n, max_size=n)
    weight = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    return (
        np.array(draw(column)),
        np.array(draw(column)),
        labels[1],
        np.array(draw(weight), dtype=float) if weighted else None,
    )


def expected(name, y_true, y_pred, positive, weight):
    """Straight from the definitions, with Fractions' honesty: nan when nothing is counted."""
    w = np.ones(len(y_true)) if weight is None else weight
    tp = sum(w[i] for i in range(len(w)) if y_true[i] == positive == y_pred[i])
    fn = sum(w[i] for i in range(len(w)) if y_true[i] == positive != y_pred[i])
    fp = sum(w[i] for i in range(len(w)) if y_pred[i] == positive != y_true[i])
    tn = sum(w) - tp - fn - fp
    ratio = lambda a, b: a / b if b else np.nan  # noqa: E731
    return {
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
        "balanced_accuracy": (ratio(tp, tp + fn) + ratio(tn, tn + fp)) / 2,
        "sensitivity": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
    }[name]


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.one_of(answers(), answers(weighted=True)))
@settings(max_examples=60, deadline=None)
def test_answers_equal_counts_and_are_nan_where_nothing_was_counted(name, data):
    y_true, y_pred, positive, weight = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = getattr(metrics, name)(y_true, y_pred, pos_label=positive, sample_weight=weight)
    np.testing.assert_allclose(got, expected(name, *data), rtol=1e-12)
    assert isinstance(got, float)


@given(data=answers())
@settings(max_examples=60, deadline=None)
def test_answers_equal_scikit_learn_where_it_defines_them(data):
    y_true, y_pred, positive, _ = data
    if len(set(y_true.tolist())) < 2:
        return
    kwargs = {"pos_label": positive, "zero_division": np.nan}
    pairs = {
        "accuracy": skm.accuracy_score(y_true, y_pred),
        "balanced_accuracy": skm.balanced_accuracy_score(y_true, y_pred),
        "sensitivity": skm.recall_score(y_true, y_pred, **kwargs),
        "ppv": skm.precision_score(y_true, y_pred, **kwargs),
        "f1": skm.f1_score(y_true, y_pred, **kwargs),
    }
    for name, value in pairs.items():
        np.testing.assert_allclose(getattr(metrics, name)(y_true, y_pred), value, rtol=1e-12)


@given(
    truth=st.lists(st.booleans(), min_size=2, max_size=30),
    data=st.data(),
    weighted=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_scores_equal_scikit_learn(truth, data, weighted):
    if len(set(truth)) < 2:
        return
    n = len(truth)
    # Few distinct values, so that ties are common.
    score = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6
    weight = None
    if weighted:
        weight = np.array(data.draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), float)
    y = np.where(truth, "responder", "no")
    kwargs = {"sample_weight": weight}
    np.testing.assert_allclose(
        roc_auc(y, score, **kwargs), skm.roc_auc_score(truth, score, **kwargs), atol=1e-12
    )
    np.testing.assert_allclose(
        metrics.average_precision(y, score, **kwargs),
        skm.average_precision_score(truth, score, **kwargs),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        brier(y, score, **kwargs), skm.brier_score_loss(truth, score, **kwargs), atol=1e-12
    )


def test_auc_counts_pairs():
    y, score = [1, 1, 1, 0, 0], [0.9, 0.5, 0.2, 0.5, np.inf]
    pairs = [(p > n) + (p == n) / 2 for p in score[:3] for n in score[3:]]
    assert roc_auc(y, score) == np.mean(pairs)


def test_weights_are_repeats():
    rng = np.random.default_rng(0)
    y, pred, score = rng.integers(0, 2, 30), rng.integers(0, 2, 30), rng.integers(0, 5, 30) / 5
    weight = rng.integers(0, 4, 30)
    rows = np.repeat(np.arange(30), weight)
    for name in SCORERS:
        answer = pred if name in ANSWERS else score
        metric = getattr(metrics, name)
        np.testing.assert_allclose(
            metric(y, answer, sample_weight=weight), metric(y[rows], answer[rows]), rtol=1e-12
        )


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_undefined_is_nan_without_a_warning(name):
    metric = getattr(metrics, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric(np.array([], int), np.array([])))
        assert np.isnan(metric([0, 1], [0, 1], sample_weight=[0, 0]))


def test_one_class():
    assert np.isnan(roc_auc([1, 1], [0.1, 0.2]))
    assert np.isnan(roc_auc(["no", "no"], [0.1, 0.2], pos_label="yes"))
    assert np.isnan(metrics.sensitivity([0, 0], [0, 1]))
    assert np.isnan(metrics.balanced_accuracy([0, 0], [0, 0]))
    assert np.isnan(metrics.average_precision([0, 0], [0.2, 0.1]))
    assert metrics.average_precision([1, 1], [0.2, 0.1]) == 1
    assert metrics.specificity([False, False], [False, False]) == 1
    assert metrics.sensitivity([-1, -1], [-1, 1], pos_label=-1) == 0.5


def test_positive_class_is_the_larger_label_unless_said():
    assert confusion_counts([1, 2, 2], [2, 2, 2]) == (2, 0, 1, 0)
    assert confusion_counts([1, 2, 2], [2, 2, 2], pos_label=1) == (0, 1, 0, 2)
    assert metrics.sensitivity(pd.Series(["a", "b"]), pd.Series(["a", "a"])) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confusion_counts([0, 1, 2], [0, 1, 2]), "Only two classes"),
        (lambda: confusion_counts(["a", "b"], ["a", "b"], pos_label="B"), "pos_label='B'"),
        (lambda: confusion_counts(["a", "a"], ["a", "a"]), "pass pos_label"),
        (lambda: confusion_counts([0, 1], ["0", "1"]), "mixed types"),
        (lambda: confusion_counts([0, 1], [0]), "one length, got 2 and 1"),
        (lambda: confusion_counts([0, None], [0, 1]), "1 missing label"),
        (lambda: confusion_counts([0.0, np.nan], [0, 1]), "1 missing label"),
        (lambda: confusion_counts([[0, 1]], [0, 1]), "one value per record"),
        (lambda: confusion_counts([0, 1], [0, 1], sample_weight=[1]), "sample_weight needs shape"),
        (lambda: confusion_counts([0, 1], [0, 1], sample_weight=[1, -1]), "not negative"),
        (lambda: roc_auc([0, 1], [0.1, np.nan]), "1 NaN score"),
        (lambda: roc_auc([0, 1], ["a", "b"]), "numeric score"),
        (lambda: roc_auc([0, 1, 2], [0.1, 0.2, 0.3]), "Only two classes"),
        (lambda: brier([0, 1], [-0.5, 2.0]), r"\[0, 1\], got -0.5 to 2"),
        (lambda: at_sensitivity([0, 1], [0.1, 0.2], 0), r"in \(0, 1\]"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(
    truth=st.lists(st.booleans(), min_size=4, max_size=25),
    data=st.data(),
    target=st.floats(0.05, 1),
)
@settings(max_examples=80, deadline=None)
def test_at_sensitivity_is_the_highest_cut_that_reaches_it(truth, data, target):
    if len(set(truth)) < 2:
        return
    truth = np.array(truth)
    n = len(truth)
    score = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6
    point = at_sensitivity(truth, score, target)
    called = score >= point.threshold
    assert point.sensitivity == pytest.approx(metrics.sensitivity(truth, called, pos_label=True))
    assert point.specificity == pytest.approx(metrics.specificity(truth, called, pos_label=True))
    np.testing.assert_allclose(point.ppv, metrics.ppv(truth, called, pos_label=True))
    np.testing.assert_allclose(point.npv, metrics.npv(truth, called, pos_label=True))
    assert point.sensitivity >= target - 1e-9
    higher = score > point.threshold
    assert metrics.sensitivity(truth, higher, pos_label=True) < target
    line = at_sensitivity(truth, score, target, interpolate=True)
    fpr, tpr, _ = skm.roc_curve(truth, score, drop_intermediate=False)
    assert line.sensitivity == pytest.approx(target)
    # Steps of the curve are vertical where no negative is gained: take the leftmost point.
    reached = np.flatnonzero(tpr >= target - 1e-12)[0]
    share = (target - tpr[reached - 1]) / (tpr[reached] - tpr[reached - 1])
    left = fpr[reached - 1] + share * (fpr[reached] - fpr[reached - 1])
    assert 1 - line.specificity == pytest.approx(left)


def test_at_sensitivity_without_both_classes_is_nan():
    assert np.isnan(at_sensitivity([1, 1], [0.2, 0.3], 0.9)).all()


def problem(labels):
    X, y = make_classification(120, 5, flip_y=0.2, random_state=0)
    return X, np.array(labels)[y], np.repeat(np.arange(40), 3)


@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes"), (True, False)])
def test_scorers_in_cross_validate(labels):
    X, y, groups = problem(labels)
    out = cross_validate(
        LogisticRegression(),
        X,
        y,
        groups=groups,
        cv=GroupKFold(4),
        scoring=SCORERS,
        return_estimator=True,
        return_indices=True,
    )
    assert {k for k in out if k.startswith("test_")} == {f"test_{name}" for name in SCORERS}
    for i, model in enumerate(out["estimator"]):
        test = out["indices"]["test"][i]
        positive = model.classes_[1]
        score = model.predict_proba(X[test])[:, 1]
        truth = y[test] == positive
        assert out["test_roc_auc"][i] == pytest.approx(skm.roc_auc_score(truth, score))
        assert out["test_brier"][i] == pytest.approx(-skm.brier_score_loss(truth, score))
        called = model.predict(X[test]) == positive
        assert out["test_npv"][i] == pytest.approx(np.mean(~truth[~called]))


def test_scorers_in_grid_search_and_after_clone():
    X, y, groups = problem(("no", "yes"))
    search = GridSearchCV(
        LogisticRegression(), {"C": [0.1, 1]}, cv=GroupKFold(3), scoring=SCORERS, refit="roc_auc"
    )
    search = clone(search).fit(X, y, groups=groups)
    assert 0.5 < search.best_score_ <= 1
    assert SCORERS["roc_auc"](search, X, y) == pytest.approx(
        roc_auc(y, search.predict_proba(X)[:, 1])
    )


def test_scorers_predict_once_for_ten_metrics():
    class Counting(LogisticRegression):
        calls = 0

        def predict_proba(self, X):
            type(self).calls += 1
            return super().predict_proba(X)

    X, y, groups = problem((0, 1))
    cross_validate(Counting(), X, y, groups=groups, cv=GroupKFold(4), scoring=SCORERS)
    assert Counting.calls == 4


def test_scorer_of_a_fold_with_one_class_is_nan():
    X, y, _ = problem(("no", "yes"))
    model = LogisticRegression().fit(X, y)
    only_no = y == "no"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(SCORERS["roc_auc"](model, X[only_no], y[only_no]))
        assert np.isnan(SCORERS["sensitivity"](model, X[only_no], y[only_no]))
        assert 0 <= SCORERS["specificity"](model, X[only_no], y[only_no]) <= 1
        one = DummyClassifier().fit(X[only_no], y[only_no])
        assert np.isnan(SCORERS["accuracy"](one, X, y))


def test_scorers_of_models_without_probabilities():
    class Rule(DummyClassifier):
        def predict(self, X):
            return self.classes_[(np.asarray(X)[:, 0] > 0).astype(int)]

        predict_proba = property()

    X, y, _ = problem(("no", "yes"))
    svc = SVC().fit(X, y)
    assert SCORERS["roc_auc"](svc, X, y) == roc_auc(y, svc.decision_function(X))
    assert np.isnan(SCORERS["brier"](svc, X, y))
    rule = Rule().fit(X, y)
    assert SCORERS["roc_auc"](rule, X, y) == pytest.approx(
        skm.balanced_accuracy_score(y, rule.predict(X))
    )


def test_scorers_refuse_three_classes():
    X, y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="for two classes, got 3"):
        SCORERS["ppv"](model, X, y)


def test_scorers_take_sample_weight():
    X, y, _ = problem((0, 1))
    model = LogisticRegression().fit(X, y)
    weight = np.arange(120) % 3
    for name, scorer in SCORERS.items():
        rows = np.repeat(np.arange(120), weight)
        assert scorer(model, X, y, sample_weight=weight) == pytest.approx(
            scorer(model, X[rows], y[rows])
        ), name
