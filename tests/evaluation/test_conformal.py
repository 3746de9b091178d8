"""Conformal sets against figures worked out by hand and by MAPIE."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.evaluation import (
    conformal_p_values,
    conformal_sets,
    conformal_thresholds,
    risk_coverage,
)

DATA = Path(__file__).parents[1] / "data" / "conformal"
EXPECTED = json.loads((DATA / "expected.json").read_text())
CALIBRATION, TEST = (pd.read_csv(DATA / f"{name}.csv") for name in ("calibration", "test"))


@pytest.mark.parametrize("alpha", list(EXPECTED["alphas"]))
@pytest.mark.parametrize("kind", ["marginal", "mondrian"])
def test_sets_are_those_of_the_reference(alpha, kind):
    want = EXPECTED["alphas"][alpha][kind]
    cut = conformal_thresholds(
        CALIBRATION["y"], CALIBRATION["p1"], float(alpha), class_conditional=kind == "mondrian"
    )
    expected = want["thresholds"] if kind == "mondrian" else [want["threshold"]] * 2
    np.testing.assert_allclose(cut, expected, atol=1e-9)
    sets = conformal_sets(TEST["p1"], cut)
    assert sets.astype(int).tolist() == want["sets"]
    y = TEST["y"].to_numpy()
    covered = sets[np.arange(len(y)), y]
    assert covered.mean() == pytest.approx(want["coverage"])
    assert [covered[y == k].mean() for k in (0, 1)] == pytest.approx(want["coverage_by_class"])


def test_p_values_and_sets_agree():
    p = conformal_p_values(CALIBRATION["y"], CALIBRATION["p1"], TEST["p1"])
    np.testing.assert_allclose(p, EXPECTED["p_values"])
    for alpha in (0.05, 0.1, 0.2, 0.32):
        cut = conformal_thresholds(CALIBRATION["y"], CALIBRATION["p1"], alpha)
        np.testing.assert_array_equal(p > alpha, conformal_sets(TEST["p1"], cut))


@pytest.mark.parametrize("case", EXPECTED["small_classes"].values())
def test_small_classes(case):
    scores = np.array(case["scores"])
    y = np.ones(len(scores), dtype=int)
    cut = conformal_thresholds([*y, 0], [*(1 - scores), 0.5], case["alpha"])
    assert cut[1] == pytest.approx(float(case["threshold"]), abs=1e-9)


def test_a_class_with_too_few_patients_is_in_every_set():
    cut = conformal_thresholds([0, 1, 1], [0.2, 0.6, 0.7], alpha=0.1)
    assert np.isinf(cut).all()
    assert conformal_sets([0.0, 1.0], cut).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.2, 0.25]))
def test_exchangeable_patients_are_covered_in_each_class(seed, alpha):
    rng = np.random.default_rng(seed)
    covered = []
    for _ in range(60):
        y = np.arange(60) % 2
        p = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 60), 0, 1)
        half = rng.permutation(60) < 30
        sets = conformal_sets(p[~half], conformal_thresholds(y[half], p[half], alpha))
        covered.append(sets[np.arange((~half).sum()), y[~half]].mean())
    assert np.mean(covered) > 1 - alpha - 0.05


def test_records_of_a_patient_count_once():
    y, p = np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.3, 0.4, 0.6, 0.2, 0.7])
    groups = ["a", "a", "b", "b", "c", "d"]
    alone = conformal_thresholds([0, 1, 0, 1], [0.2, 0.5, 0.2, 0.7], 0.4)
    np.testing.assert_allclose(conformal_thresholds(y, p, 0.4, groups=groups), alone)
    with pytest.raises(ValueError, match="carry two labels"):
        conformal_thresholds(y, p, groups=["a"] * 6)


def test_risk_falls_as_uncertain_patients_are_left_out():
    rng = np.random.default_rng(0)
    p = rng.random(4000)
    y = rng.random(4000) < p
    table = risk_coverage(y, p)
    assert table["coverage"].is_monotonic_increasing
    assert table["coverage"].iloc[-1] == 1
    at = [table["error"].iloc[(table["coverage"] - c).abs().argmin()] for c in (0.2, 0.5, 1.0)]
    assert at[0] < at[1] < at[2]
    assert at[2] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_levels_out_of_range(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\)"):
        conformal_thresholds([0, 1], [0.1, 0.9], alpha)
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        conformal_thresholds([0, 1], [0.1, 1.9])


@pytest.mark.parametrize("thirds", [1, 2])
def test_a_level_that_no_float_holds_is_the_fraction_that_was_meant(thirds):
    y = np.repeat([0, 1], 20)
    prob = np.r_[np.linspace(0.1, 0.9, 20), np.linspace(0.9, 0.1, 20)]
    # (20 + 1) patients and 2 / 3 or 1 / 3 of them: the 14th or 7th smallest score, exactly.
    k = 21 - 7 * thirds
    expected = np.sort(1 - prob[20:])[k - 1]
    for alpha in (thirds / 3, np.float64(thirds) / 3):
        cut = conformal_thresholds(y, prob, alpha)
        assert cut[1] == pytest.approx(expected)
