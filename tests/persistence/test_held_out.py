"""Conformal sets that travel with a model, and a frozen model judged elsewhere."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.persistence import evaluate_bundle

NAMES = ["qrs_duration_ms", "age", "lvef"]


def centre(n_patients, seed):
    """Patients whose chance of response is logistic in QRS duration and age."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "qrs_duration_ms": rng.normal(150, 20, n_patients),
            "age": rng.normal(66, 10, n_patients),
            "lvef": rng.normal(27, 6, n_patients),
        }
    )
    logit = 0.07 * (X["qrs_duration_ms"] - 150) - 0.03 * (X["age"] - 66)
    y = (rng.uniform(size=n_patients) < 1 / (1 + np.exp(-logit))).astype(int)
    return ck.Cohort(X, y, np.array([f"{seed}-{i}" for i in range(n_patients)]))


@pytest.fixture(scope="module")
def centres():
    return [centre(150, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def model(centres):
    steps = (ck.Select(NAMES), LogisticRegression(max_iter=2000))
    return make_pipeline(*steps).fit(centres[0].X, centres[0].y)


@pytest.fixture(scope="module")
def bundle(model, centres, tmp_path_factory):
    path = tmp_path_factory.mktemp("b") / "m.crtkit"
    ck.save(model, path, cohort=centres[0], held_out=centres[1], alpha=0.2)
    return path


def test_sets_withhold_where_both_classes_are_possible(bundle, model, centres):
    table = ck.predict(bundle, centres[2], allow_outside=True)
    two = table["possible"].map(len) != 1
    assert 0 < two.sum() < len(table)
    assert (table["abstained"] == two).all()
    assert table["reasons"][two].str.contains("at 80%").all()
    assert np.isfinite(table["risk"]).all()
    one = table[~two]
    # A set of one class is the answer of no threshold: they may differ, and the set is told.
    assert set(one["possible"].map(lambda own: own[0])) <= {0, 1}
    plain = ck.predict(bundle, centres[2], allow_outside=True, conformal=False)
    assert not plain["abstained"].any()
    np.testing.assert_array_equal(list(plain["answer"]), model.predict(centres[2].X))


def test_coverage_holds_in_each_class(centres, model, tmp_path):
    """Split again and again: on average a class is missing in no more than alpha of its patients.

    The bound is on the mean over calibrations; its standard error here is about 0.02.
    """
    rng = np.random.default_rng(0)
    parts = centre(600, 7)
    missed = {0: [], 1: []}
    for _ in range(30):
        order = rng.permutation(len(parts))
        calibration, new = parts.take(order[:300]), parts.take(order[300:])
        ck.save(model, tmp_path / "m.crtkit", held_out=calibration, alpha=0.2)
        table = ck.predict(tmp_path / "m.crtkit", new)
        for k in (0, 1):
            own = table["possible"][np.asarray(new.y == k)]
            missed[k].append(np.mean([k not in possible for possible in own]))
    assert np.mean(missed[0]) < 0.2 + 0.05
    assert np.mean(missed[1]) < 0.2 + 0.05


def test_patients_of_the_fit_calibrate_nothing(centres, model, tmp_path):
    """Identifiers that one table read as numbers and the other as words are the same ones."""
    few = centre(150, 9)
    numbered = ck.Cohort(few.X, few.y, np.arange(150))
    worded = ck.Cohort(few.X, few.y, np.array([str(i) for i in range(100, 250)], dtype=object))
    with pytest.raises(ValueError, match="50 patient identifier.s. of held_out= also occur"):
        ck.save(model, tmp_path / "m.crtkit", cohort=numbered, held_out=worded)


def test_thresholds_are_no_patients_and_no_lower_than_the_exact_ones(bundle, model, centres):
    kept = ck.persistence.read_bundle(bundle).manifest["conformal"]
    risk = model.predict_proba(centres[1].X)[:, 1]
    exact = ck.evaluation.conformal_thresholds(
        centres[1].y, risk, 0.2, groups=centres[1].groups, pos_label=1
    )
    assert (np.asarray(kept["thresholds"]) >= exact).all()
    assert (np.asarray(kept["thresholds"]) <= exact + 0.01).all()
    assert kept["patients"] == centres[1].n_patients
    assert "80% of each class" in ck.card(bundle)


def test_few_patients_and_other_labels_are_refused(model, centres, tmp_path):
    negative, positive = (np.flatnonzero(centres[1].y == k) for k in (0, 1))
    few = centres[1].take(np.r_[negative[:20], positive[:4]])
    with pytest.raises(ValueError, match="would tell of single patients"):
        ck.save(model, tmp_path / "m.crtkit", held_out=few)
    y = np.where(centres[1].y == 1, "yes", "no")
    named = ck.Cohort(centres[1].X, y, centres[1].groups)
    with pytest.raises(ValueError, match="held_out= has the classes"):
        ck.save(model, tmp_path / "m.crtkit", held_out=named)
    assert not (tmp_path / "m.crtkit").exists()


def test_fitted_on_all_of_one_centre_and_judged_on_another(bundle, model, centres):
    """The three lines of the guide, and the same from the model in memory."""
    answer = evaluate_bundle(bundle, centres[2], n_bootstrap=200)
    risk = model.predict_proba(centres[2].X)[:, 1]
    table = ck.predict(bundle, centres[2], conformal=False)
    kept = ~table["abstained"].to_numpy()
    expected = ck.metrics.roc_auc(np.asarray(centres[2].y)[kept], risk[kept])
    assert answer["metrics"]["roc_auc"]["value"] == pytest.approx(expected, abs=1e-4)
    for name in ("coverage_negative", "coverage_positive", "withheld"):
        assert 0 <= answer["conformal"][name] <= 1
    in_memory = evaluate_bundle(model, centres[2], n_bootstrap=200)
    assert in_memory["bundle"] == {"name": "Pipeline", "digest": None}
    assert in_memory["conformal"] is None
    json.dumps(answer, allow_nan=False)


def test_small_cells_take_their_complements_with_them(bundle, centres):
    """With few wrong answers of a class, neither they nor the right ones are told."""
    counts = evaluate_bundle(bundle, centres[2], n_bootstrap=50, smallest=30)["counts"]
    for a, b in (("true_positive", "false_negative"), ("true_negative", "false_positive")):
        assert (counts[a] == "withheld") == (counts[b] == "withheld")
    assert "withheld" in counts.values()
    whole = evaluate_bundle(bundle, centres[2], n_bootstrap=50, smallest=1)["counts"]
    assert whole["positive"] + whole["negative"] == whole["answered"]
    assert whole["true_positive"] + whole["false_negative"] == whole["positive"]


def test_roc_steps_hold_that_many_patients(model, centres):
    """Five records of one patient are one patient."""
    many = centres[2].take(np.repeat(np.arange(len(centres[2])), 3))
    steps = evaluate_bundle(model, many, n_bootstrap=50, smallest=10)["roc"]["sensitivity"]
    assert len(steps) <= centres[2].n_patients / 10 + 2


def test_the_interval_is_that_of_held_out_patients_of_similar_risk(bundle, model, centres):
    """Counted again from the held-out cohort; groups are rounded, so ends may move by one."""
    table = ck.predict(bundle, centres[2], allow_outside=True)
    shares = ck.persistence.read_bundle(bundle).manifest["conformal"]["shares"]
    assert sum(part["patients"] for part in shares) == centres[1].n_patients
    assert all(5 <= part["positive"] <= part["patients"] - 5 for part in shares)
    edges = [part["above"] for part in shares]
    assert edges == sorted(edges)
    assert edges[0] == 0
    held = model.predict_proba(centres[1].X)[:, 1]
    for part, upper in zip(shares, [*edges[1:], 1.01]):
        inside = (held >= part["above"]) & (held < upper)
        assert abs(inside.sum() - part["patients"]) <= 3
        assert abs(np.asarray(centres[1].y)[inside].sum() - part["positive"]) <= 3
    assert (table["low"] < table["high"]).all()
    # Those at higher risk responded more often among the held-out patients, for this model does.
    assert table.sort_values("risk")["low"].iloc[-1] > table.sort_values("risk")["low"].iloc[0]
    plain = ck.predict(model, centres[2])
    assert plain[["low", "high"]].isna().all(axis=None)
