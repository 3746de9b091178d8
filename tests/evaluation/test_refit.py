"""``Evaluation.refit``: the model behind a row, or an error that says it is another one."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from crtkit import FCNClassifier, Select, evaluate


class Undecided(ClassifierMixin, BaseEstimator):
    """Scores drawn anew at every fit, from no ``random_state``."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.noise_ = np.random.default_rng().normal(size=1000)
        return self

    def decision_function(self, X):
        return self.noise_[: len(X)]

    def predict(self, X):
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort()
    models["undecided"] = make_pipeline(Select(["lvef"]), Undecided())
    return evaluate(models, cohort, seeds=[1, 4], cv=2, threads_per_fit=1), cohort


@pytest.mark.parametrize("name", ["logistic", "LightGBM"])
@pytest.mark.parametrize(("seed", "fold"), [(1, 0), (4, 1)])
def test_a_model_is_the_one_of_its_row(result, name, seed, fold):
    result, cohort = result
    fitted = result.refit(name, seed, fold)
    rows = result.predictions.query(
        "model == @name and seed == @seed and fold == @fold and set == 'test'"
    )
    score = fitted.predict_proba(cohort.X.iloc[rows["row"]])[:, 1]
    np.testing.assert_array_equal(score, rows["score"])


def test_reference_rows_and_a_resumed_run_are_refitted_too(make_table_cohort, models, tmp_path):
    cohort = make_table_cohort()
    for _ in range(2):
        result = evaluate(models, cohort, seeds=2, threads_per_fit=1, journal=tmp_path / "j")
    assert result.info["reference_rows"]
    for name in result.models:
        assert result.refit(name, seed=1).classes_.tolist() == ["no", "yes"]


def test_a_network_is_refitted_to_the_same_scores(make_table_cohort):
    cohort = make_table_cohort(n_patients=20)
    signals = np.random.default_rng(0).normal(size=(len(cohort), 2, 64)).astype(np.float32)
    cohort.X["signal"] = list(signals)
    model = make_pipeline(Select("signal"), FCNClassifier(max_epochs=2, batch_size=8))
    result = evaluate(
        {"FCN": model}, cohort, seeds=1, test_size=0.4, reference_rows=False, threads_per_fit=1
    )
    assert result.refit("FCN", seed=0)[-1].net_ is not None


def test_another_model_is_refused(result):
    with pytest.raises(RuntimeError, match="'undecided' of seed 1, fold 0 predicts otherwise"):
        result[0].refit("undecided", 1)


def test_unknown_rows_are_named(result):
    result, _ = result
    with pytest.raises(ValueError, match="no model 'forest'; this evaluation has"):
        result.refit("forest", 1)
    with pytest.raises(ValueError, match=r"no split of seed 2, fold 0; there are \[\(1, 0\)"):
        result.refit("logistic", 2)


def test_patients_are_not_pickled_with_a_result(result):
    result, _ = result
    restored = pickle.loads(pickle.dumps(result))
    assert restored.predictions.equals(result.predictions)
    with pytest.raises(ValueError, match="cohort, which are not stored"):
        restored.refit("logistic", 1)
