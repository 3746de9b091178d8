"""Predictions of one fit: the bits of the model's own methods, with every record read once."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit import LeadStatistics, Select
from crtkit.cohort.rows import spill
from crtkit.evaluation.fit import fitting, predict


class Counted(TransformerMixin, BaseEstimator):
    """Counts its calls; a transformer without any fitted attribute."""

    calls = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        type(self).calls += 1
        return X


class Own(Pipeline):
    """A pipeline that predicts in a way of its own."""

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(30, 3, 64)).astype(np.float32)
    y = np.where(signals[:, 0].mean(axis=1) > 0, "yes", "no")
    return pd.DataFrame({"signal": spill(signals, tmp_path / "signals.npy")}), y


@pytest.mark.parametrize("last", [LogisticRegression(), RidgeClassifier()])
@pytest.mark.parametrize("nested", [False, True])
def test_every_record_is_transformed_once(data, last, nested):
    X, y = data
    end = make_pipeline(StandardScaler(), last) if nested else last
    counted = Counted()
    model = make_pipeline(Select("signal"), counted, "passthrough", None, LeadStatistics(), end)
    with fitting(1):
        model.fit(X, y)
        Counted.calls = 0
        found = predict(model, X, "yes", 1.0)
        assert Counted.calls == 1
        probability = hasattr(model, "predict_proba")
        score = model.predict_proba(X)[:, 1] if probability else model.decision_function(X)
        np.testing.assert_array_equal(found["score"], score)
        np.testing.assert_array_equal(found["y_pred"], model.predict(X) == "yes")
    assert found["kind"] == ("probability" if probability else "decision")


def test_a_pipeline_of_one_step_and_a_model_alone(data):
    X, y = data
    features = LeadStatistics().fit_transform(Select("signal").fit_transform(X))
    alone = LogisticRegression().fit(features, y)
    expected = predict(alone, features, "yes", 1.0)
    assert predict(make_pipeline(LogisticRegression()).fit(features, y), features, "yes", 1.0) == (
        expected
    )
    np.testing.assert_array_equal(expected["score"], alone.predict_proba(features)[:, 1])


def test_a_pipeline_with_methods_of_its_own_is_asked_for_them(data):
    X, y = data
    model = Own(make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression()).steps)
    assert not any(predict(model.fit(X, y), X, "yes", 1.0)["y_pred"])
