import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select
from crtkit.evaluation import learning_curve, optimism_bootstrap

COLUMNS = list("abcdefghij")


def cohort(n=100, records=1, signal=0.8, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), records)
    y = (np.arange(n) % 2)[patient]
    X = pd.DataFrame(rng.normal(size=(len(y), 10)), columns=COLUMNS)
    X["a"] += signal * y
    return Cohort(X, y, patient)


MODEL = make_pipeline(Select(COLUMNS), LogisticRegression())


def test_more_patients_help_and_test_patients_stay():
    curve = learning_curve(
        {"m": MODEL}, cohort(200), shares=(1, 0.15), n_splits=8, reference_rows=False
    )
    assert curve.index.tolist() == [(0.15, "m"), (1.0, "m")]
    assert curve["n_train_patients"].tolist() == [24, 160]
    assert curve.loc[(1.0, "m"), "mean"] > curve.loc[(0.15, "m"), "mean"]
    assert (curve["low"] < curve["mean"]).all()
    for shares in ((0, 0.5), (0.5, 2), ()):
        with pytest.raises(ValueError, match="shares in"):
            learning_curve({"m": MODEL}, cohort(), shares=shares)
    with pytest.raises(ValueError, match="without a training patient"):
        learning_curve({"m": MODEL}, cohort(20), shares=(0.01,))


def test_optimism_is_harrells():
    """Against the bootstrap written out with scikit-learn alone, on the same draws."""
    data = cohort(60)
    ours = optimism_bootstrap(MODEL, data, n_bootstrap=30).iloc[0]
    X, y = data.X[COLUMNS].to_numpy(), data.y
    fitted = LogisticRegression().fit(X, y)
    apparent = roc_auc_score(y, fitted.decision_function(X))
    rng, optimism = np.random.default_rng(0), []
    order = np.argsort(data.groups.astype(str))  # patients by their text
    for _ in range(30):
        rows = order[rng.integers(0, 60, 60)]
        again = LogisticRegression().fit(X[rows], y[rows])
        inside = roc_auc_score(y[rows], again.decision_function(X[rows]))
        optimism.append(inside - roc_auc_score(y, again.decision_function(X)))
    assert ours["apparent"] == pytest.approx(apparent)
    assert ours["optimism"] == pytest.approx(np.mean(optimism), abs=1e-6)
    assert ours["corrected"] == pytest.approx(apparent - np.mean(optimism), abs=1e-6)


def test_noise_is_corrected_to_chance():
    values = [
        optimism_bootstrap(MODEL, cohort(60, signal=0, seed=k), n_bootstrap=20).iloc[0]
        for k in range(4)
    ]
    assert np.mean([v["apparent"] for v in values]) > 0.65
    assert abs(np.mean([v["corrected"] for v in values]) - 0.5) < 0.12
    with pytest.raises(ValueError, match="one model"):
        optimism_bootstrap({"a": MODEL, "b": MODEL}, cohort())


def test_records_of_a_patient_are_voted_draw_by_draw():
    row = optimism_bootstrap(MODEL, cohort(40, records=3), n_bootstrap=5).iloc[0]
    assert row["n_valid"] == 5
    assert 0.5 < row["corrected"] < row["apparent"] <= 1
