"""Firth's regression against R's brglm2, firthmodels and closed forms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize

from crtkit.statistics import fit_firth

DATA = Path(__file__).parents[1] / "data" / "firth"
EXPECTED = json.loads((DATA / "expected.json").read_text())
BRGLM2 = json.loads((DATA / "brglm2.json").read_text())["cases"]


def fit(name):
    table = pd.read_csv(DATA / f"{name}.csv")
    x = table[EXPECTED["cases"][name]["names"][1:]].to_numpy(dtype=float)
    return fit_firth(np.column_stack([np.ones(len(x)), x]), table["y"])


@pytest.mark.parametrize("name", list(EXPECTED["cases"]))
def test_agrees_with_reference(name):
    got, case = fit(name), EXPECTED["cases"][name]
    want = case["direct"]
    assert got.coef == pytest.approx(want["coef"], abs=1e-5)
    assert got.coef == pytest.approx(BRGLM2[name]["coef"], abs=1e-5)
    assert got.se == pytest.approx(want["se_information"], rel=1e-4)
    assert got.p_value == pytest.approx(want["p_penalized_lr"], abs=1e-4)
    assert got.chi2 == pytest.approx(want["chi2_penalized_lr"], abs=1e-4)
    assert got.loglik == pytest.approx(want["penalized_loglik"], abs=1e-6)
    ours = np.column_stack([got.ci_low, got.ci_high])
    agree = np.array(case["ci_two_programs_agree"])
    limits = np.array(want["ci_profile"], dtype=float)
    assert agree.sum() > 1
    assert ours[agree] == pytest.approx(
        limits[agree], abs=1e-3, rel=1e-2 if "complete" in name else 1e-4
    )


CELLS = [(1, 1), (1, 0), (0, 1), (0, 0)]
NAMES = ["x1_events", "x1_nonevents", "x0_events", "x0_nonevents"]


def expand(counts):
    x, y = np.array([c for c, n in zip(CELLS, counts) for _ in range(n)]).T
    return np.column_stack([np.ones(len(x)), x]), y


@pytest.mark.parametrize(
    "table", EXPECTED["tables_2x2"], ids=lambda t: "-".join(str(t[n]) for n in NAMES)
)
def test_two_by_two(table):
    got = fit_firth(*expand([table[n] for n in NAMES]))
    closed, want = table["closed_form"], table["direct"]
    assert got.coef == pytest.approx([closed["intercept"], closed["log_or"]], abs=1e-7)
    assert got.p_value == pytest.approx(want["p_penalized_lr"], abs=1e-6)
    limits = np.array(want["ci_profile"]).T
    assert got.ci_low == pytest.approx(limits[0], abs=1e-3)
    assert got.ci_high == pytest.approx(limits[1], abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(0, 12)] * 4))
def test_two_by_two_is_half_a_patient_more_in_each_cell(counts):
    if counts[0] + counts[1] == 0 or counts[2] + counts[3] == 0:
        return  # a constant covariate
    got = fit_firth(*expand(counts))
    a, b, c, d = np.array(counts) + 0.5
    assert got.coef == pytest.approx([np.log(c / d), np.log(a * d / (b * c))], abs=1e-7)
    assert (got.ci_low < got.coef).all()
    assert (got.coef < got.ci_high).all()
    for low, high, p in zip(got.ci_low, got.ci_high, got.p_value):
        assert (low > 0 or high < 0) == (p < 0.05)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1e-4, 1.0, 1e5]))
def test_units_do_not_matter(seed, unit):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(24, 2))
    y = np.r_[np.ones(2), np.zeros(2), rng.random(20) < 0.4]
    design = np.column_stack([np.ones(24), x])
    one = fit_firth(design, y)
    other = fit_firth(design * [1, unit, 1], y)
    assert other.coef * [1, unit, 1] == pytest.approx(one.coef, rel=1e-6, abs=1e-8)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
    turned = fit_firth(design, 1 - y)
    assert turned.coef == pytest.approx(-one.coef, rel=1e-6, abs=1e-8)
    assert turned.ci_low == pytest.approx(-one.ci_high, rel=1e-5)


@pytest.mark.parametrize(
    ("design", "y", "message"),
    [
        (np.ones((4, 2)), [0, 1, 0, 1], "independent columns"),
        (np.column_stack([np.ones(4), np.zeros(4)]), [0, 1, 0, 1], "independent columns"),
        (np.ones(4), [0, 1, 0, 1], "n_records, n_columns"),
        (np.ones((4, 1)), [0, 1, 2, 1], "0 and 1"),
        (np.full((4, 1), np.nan), [0, 1, 0, 1], "finite"),
    ],
)
def test_bad_input_is_named(design, y, message):
    with pytest.raises(ValueError, match=message):
        fit_firth(design, y)
    with pytest.raises(ValueError, match="confidence"):
        fit_firth(np.ones((4, 1)), [0, 1, 0, 1], confidence=95)


@pytest.mark.parametrize("seed", range(8))
def test_complete_separation_is_solved_to_the_last_digits(seed):
    """The gradient of the penalised likelihood is zero at the estimate, to machine precision."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 10.0 ** rng.integers(-1, 2), size=(rng.integers(20, 70), 1 + seed % 3))
    y = x[:, 0] > np.quantile(x[:, 0], 0.3 + 0.05 * seed)
    design = np.column_stack([np.ones(len(x)), x])
    got = fit_firth(design, y, columns=[])

    def loglik(coef):
        eta = design @ coef
        p = 1 / (1 + np.exp(-eta))
        information = (design * (p * (1 - p))[:, None]).T @ design
        return np.sum(np.where(y, -np.logaddexp(0, -eta), -np.logaddexp(0, eta))) + (
            np.linalg.slogdet(information)[1] / 2
        )

    best = minimize(
        lambda c: -loglik(c), got.coef, method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 5000, "maxfev": 20000},
    )  # fmt: skip
    assert got.coef == pytest.approx(best.x, rel=2e-5, abs=1e-5)
