import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks import coverage
from crtkit import metrics
from crtkit.evaluation import bootstrap_interval


def test_shared_draws_give_the_public_intervals():
    y, score, patient = coverage.draw_scores(40, 2.3, np.random.default_rng(0))
    score = score[:, 0]
    ours = coverage.intervals_of(y, score, patient, 200, 5)
    for (name, method), limits in ours.items():
        answer = score if name == "roc_auc" else score > coverage.CUT
        public = bootstrap_interval(
            y, answer, patient, getattr(metrics, name), method=method, n_bootstrap=200,
            random_state=5,
        )  # fmt: skip
        np.testing.assert_allclose(limits, public[1:3], rtol=1e-12)


def test_the_truth_is_what_many_patients_give():
    rng = np.random.default_rng(1)
    y, score, patient = coverage.draw_scores(60_000, 2.3, rng)
    score = score[:, 0]
    truth = coverage.true_figures(2.3, voted=False)
    assert metrics.roc_auc(y, score) == pytest.approx(truth["roc_auc"], abs=0.005)
    assert metrics.ppv(y, score > coverage.CUT) == pytest.approx(truth["ppv"], abs=0.01)
    mean = np.bincount(patient, score) / np.bincount(patient)
    first = np.unique(patient, return_index=True)[1]
    truth = coverage.true_figures(2.3, voted=True)
    assert metrics.roc_auc(y[first], mean) == pytest.approx(truth["roc_auc"], abs=0.005)
    called = metrics.sensitivity(y[first], mean > coverage.CUT)
    assert called == pytest.approx(truth["sensitivity"], abs=0.01)


def test_the_fast_models_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = rng.random(60) < 0.5
    X = rng.normal(size=(60, 3)) + 0.5 * y[:, None]
    splits = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    for (train, _), b in zip(splits, coverage.fit_logistic(X, y, splits)):
        model = LogisticRegression(tol=1e-10).fit(X[train], y[train])
        np.testing.assert_allclose(b, [*model.intercept_, *model.coef_[0]], atol=1e-5)


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(coverage, "SLICE", 2)
    arguments = [
        "--cohorts",
        "2",
        "--tests",
        "2",
        "--trained",
        "2",
        "--patients",
        "30",
        "--out",
        str(tmp_path),
    ]
    coverage.main([*arguments, "--minutes", "0"])
    assert "goes on" in capsys.readouterr().out
    coverage.main(arguments)
    assert (tmp_path / "results.json").exists()
    assert "headline" in (tmp_path / "headline.md").read_text()
