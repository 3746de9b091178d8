"""Which class a bundle's risk is of: the later one of an ordered outcome, nowhere inverted."""

from argparse import Namespace
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.cli.bundles import run_evaluate, run_fit
from crtkit.cli.common import positive_label
from crtkit.cohort import Cohort
from crtkit.metrics import roc_auc
from crtkit.persistence import evaluate_bundle, read_bundle
from crtkit.resampling import HeldOutThreshold

ORDER = ["poor", "good"]  # sorted, "poor" would be the positive class


def outcomes(n, seed, levels=ORDER):
    """Patients with the better outcome, the larger x: an AUC well above 0.8."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=n)  # nobody is far outside
    good = x + 0.5 * rng.normal(size=n) > 0
    y = pd.Categorical(np.where(good, "good", "poor"), categories=levels, ordered=True)
    return Cohort(pd.DataFrame({"x": x}), y, np.arange(n))


def unordered(cohort):
    return Cohort(cohort.X, cohort.y, cohort.groups)


@pytest.fixture(scope="module")
def here():
    return outcomes(120, 0)


@pytest.fixture(scope="module")
def there():
    return outcomes(80, 1)


@pytest.fixture(scope="module")
def bundle(here, tmp_path_factory):
    path = tmp_path_factory.mktemp("ordered") / "model.crtkit"
    model = logistic().fit(here.X, here.y)
    ck.save(model, path, cohort=here)
    return path


def logistic():
    return make_pipeline(ck.Select(["x"]), LogisticRegression())


def auc_of(answer):
    return answer["metrics"]["roc_auc"]["value"]


def test_the_risk_is_that_of_the_later_class(bundle, there):
    opened = read_bundle(bundle)
    assert opened.manifest["label"]["positive"] == "good"
    table = ck.predict(bundle, there.X)
    good = list(opened.model.classes_).index("good")
    np.testing.assert_array_equal(table["risk"], opened.model.predict_proba(there.X)[:, good])
    assert roc_auc(there.y == "good", table["risk"]) > 0.8
    assert (table["answer"] == np.where(table["risk"] > table["threshold"], "good", "poor")).all()


def test_another_hospital_is_judged_by_the_same_class(bundle, there):
    expected = ck.metrics.roc_auc(there.y == "good", ck.predict(bundle, there.X)["risk"])
    for cohort in (there, unordered(there)):
        answer = evaluate_bundle(bundle, cohort, n_bootstrap=50)
        assert auc_of(answer) == pytest.approx(expected, abs=1e-4)
        assert answer["counts"]["positive"] == (there.y == "good").sum()
        assert answer["metrics"]["sensitivity"]["value"] > 0.6
        assert answer["calibration"]["slope"]["value"] > 0
    judged = ck.evaluate({"m": LogisticRegression()}, there, seeds=1)
    assert judged.classes == tuple(ORDER)


def test_labels_of_other_names_follow_the_cohorts_order(bundle, there):
    y = pd.Categorical(
        np.where(there.y == "good", "better", "worse"), ["worse", "better"], ordered=True
    )
    answer = evaluate_bundle(bundle, Cohort(there.X, y, there.groups), n_bootstrap=50)
    assert auc_of(answer) > 0.8


def test_an_order_that_contradicts_the_bundle_is_refused(bundle):
    turned = outcomes(80, 1, levels=ORDER[::-1])
    with pytest.raises(ValueError, match="makes 'poor' the positive class.*'good'"):
        evaluate_bundle(bundle, turned, n_bootstrap=50)
    assert auc_of(evaluate_bundle(bundle, turned, pos_label="good", n_bootstrap=50)) > 0.8
    with pytest.raises(ValueError, match="pos_label='great'"):
        evaluate_bundle(bundle, turned, pos_label="great", n_bootstrap=50)


def test_a_chosen_threshold_is_told_for_the_same_class(here, there, tmp_path):
    model = HeldOutThreshold(logistic(), objective="youden")
    model.set_params(random_state=0).fit(here.X, here.y, groups=here.groups)
    ck.save(model, tmp_path / "model.crtkit", cohort=here)
    assert model.threshold_ != pytest.approx(0.5, abs=0.005)
    table = ck.predict(tmp_path / "model.crtkit", there)
    assert table["threshold"].iloc[0] == pytest.approx(1 - model.threshold_)
    called = np.where(table["risk"] > table["threshold"], "good", "poor")
    np.testing.assert_array_equal(called, table["answer"])


def test_without_an_order_the_larger_label_stays_positive(here, tmp_path):
    model = LogisticRegression().fit(here.X, here.y)
    manifest = ck.save(model, tmp_path / "model.crtkit", cohort=unordered(here))
    assert manifest["label"]["positive"] == "poor"
    assert ck.save(model, tmp_path / "model.crtkit")["label"]["positive"] == "poor"


def test_the_command_line_warns_of_the_class_that_is_positive(capsys):
    y = pd.Categorical(["no", "yes"] * 2, categories=["yes", "no"], ordered=True)
    cohort = Cohort(pd.DataFrame({"x": range(4)}), y, np.arange(4))
    assert positive_label(cohort, None) is None
    assert "'no' counts as the positive class" in capsys.readouterr().err
    assert positive_label(replace(cohort, info={}), None) is None
    assert "warning" not in capsys.readouterr().err


def test_fit_and_evaluate_as_commands_name_one_class(monkeypatch, here, there, tmp_path):
    """--pos-label wins over the order of a table, also where both are 0 and 1."""
    monkeypatch.setattr("crtkit.cli.bundles._models", lambda name, size: {name: logistic()})
    monkeypatch.setattr("crtkit.cli.bundles.read_cohort", lambda data, options: data)
    told = []
    monkeypatch.setattr("crtkit.cli.bundles.emit_json", lambda answer, options: told.append(answer))
    shared = {"licence": None, "intended_use": None, "name": None, "random_state": 0, "model": "m"}
    shared |= {"size": "small"}
    shared |= {"held_out": None, "alpha": None}
    shared |= {"smallest": 5, "bootstrap": 50, "bundle": tmp_path / "m.crtkit"}
    for label in (None, "0"):
        codes = [
            Cohort(c.X, pd.Categorical((c.y != "good").astype(int), [1, 0], ordered=True), c.groups)
            for c in (here, there)
        ]
        options = {**shared, "pos_label": label, "out": shared["bundle"]}
        run_fit(Namespace(data=codes[0], **options))
        risk = ck.predict(shared["bundle"], there.X)["risk"]
        assert roc_auc(there.y == "good", risk) > 0.8
        run_evaluate(Namespace(data=codes[1], **options))
        assert auc_of(told[-1]) > 0.8
