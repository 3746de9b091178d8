import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from crtkit import Select, evaluate
from crtkit.evaluation import net_benefit

DATA = Path(__file__).parent.parent / "data" / "decision_curve"
TABLE = pd.read_csv(DATA / "data.csv")
EXPECTED = json.loads((DATA / "expected.json").read_text())


@pytest.mark.parametrize("model", ["all", "none", "model_a", "model_b"])
def test_net_benefit_is_that_of_dcurves(model):
    n = len(TABLE)
    risk = {"all": np.ones(n), "none": np.zeros(n)}.get(model, TABLE.get(model))
    got = net_benefit(TABLE["response"], risk, EXPECTED["thresholds"])
    np.testing.assert_allclose(got, EXPECTED["net_benefit"][model], atol=1e-10)
    np.testing.assert_allclose(net_benefit(TABLE["response"], risk), got)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_identities(truth, threshold):
    prevalence = np.mean(truth)
    everyone = net_benefit(truth, np.ones(len(truth)), [threshold], pos_label=True)[0]
    assert everyone == pytest.approx(
        prevalence - (1 - prevalence) * threshold / (1 - threshold), abs=1e-9
    )
    assert net_benefit(truth, np.zeros(len(truth)), [threshold], pos_label=True)[0] == 0
    assert net_benefit(truth, np.array(truth, float), [threshold], pos_label=True)[
        0
    ] == pytest.approx(prevalence)


def test_bad_thresholds():
    for thresholds in ([0.0], [1.0], [], [[0.5]]):
        with pytest.raises(ValueError, match=r"numbers in \(0, 1\)"):
            net_benefit([0, 1], [0.1, 0.2], thresholds)


def test_an_evaluation_pools_answers(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=90, records=2)
    result = evaluate(models, cohort, seeds=4, threads_per_fit=1, reference_rows=False)
    table = result.decision_curve(thresholds=[0.2, 0.4], n_bootstrap=60)
    assert table["model"].unique().tolist() == ["logistic", "LightGBM", "treat all", "treat none"]
    parts = [p for p in result.parts() if p.model == "logistic"]
    truth = np.concatenate([p.y_true for p in parts])
    score = np.concatenate([p.y_score for p in parts])
    own = table[table["model"] == "logistic"]
    np.testing.assert_allclose(own["net_benefit"], net_benefit(truth, score, [0.2, 0.4]))
    assert (own["ci_low"] <= own["net_benefit"]).all()
    assert (own["ci_high"] >= own["net_benefit"]).all()
    np.testing.assert_allclose(own["standardized"], own["net_benefit"] / truth.mean())
    svc = make_pipeline(Select(["qrs_duration_ms"]), SVC())
    rule = evaluate(svc, cohort, seeds=2, threads_per_fit=1, reference_rows=False)
    parts = rule.parts()
    truth, called = (np.concatenate([getattr(p, f) for p in parts]) for f in ("y_true", "y_pred"))
    got = rule.decision_curve(thresholds=[0.3, 0.6], n_bootstrap=1).query("model == 'SVC'")
    weights = np.array([0.3 / 0.7, 0.6 / 0.4])
    expected = (truth & called).mean() - (~truth & called).mean() * weights
    np.testing.assert_allclose(got["net_benefit"], expected)
    none = table[table["model"] == "treat none"]
    assert (none[["net_benefit", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert "simulated" in table.attrs["note"]


@pytest.mark.parametrize("scale", [100, -1, 1.001])
def test_logits_and_per_cent_are_refused(scale):
    with pytest.raises(ValueError, match=r"net_benefit expects risks in \[0, 1\], got"):
        net_benefit([0, 1, 1], np.array([0.2, 0.5, 1.0]) * scale, [0.5])


def test_thresholds_of_arange_tie_as_decimals_do():
    rng = np.random.default_rng(0)
    prob = np.round(rng.random(300), 2)
    y = rng.random(300) < prob
    grid = np.arange(0.05, 1, 0.05)
    assert (grid != grid.round(2)).any()
    np.testing.assert_allclose(net_benefit(y, prob, grid), net_benefit(y, prob, grid.round(2)))
