"""The densities behind simulated cohorts: margins, exact counts, and the best reachable AUC."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.special import expit, ndtr
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from crtkit.datasets import make_cohort
from crtkit.datasets.simulation import lvsd2026
from crtkit.datasets.simulation.latents import apportion
from crtkit.datasets.simulation.margins import (
    Bounded,
    Mixture,
    Moments,
    Quartiles,
    draw_exactly,
    shift_to_total,
)
from crtkit.datasets.simulation.response import MODELS
from crtkit.statistics.delong import auc_with_error

MARGINS = [
    Quartiles(27.0, 21.3, 34.0, 5, 50),
    Quartiles(68, 61, 75, 20, 96),
    Quartiles(50, 40, 60, 0, 100),  # symmetric
    Moments(158.4, 23.7, 120, 240),
    Moments(27.8, 5.1, 8, 35.4),
    Bounded(120, 230, -0.4, 0.55),
]


@pytest.mark.parametrize("margin", MARGINS, ids=lambda m: type(m).__name__)
def test_a_margin_s_density_integrates_to_its_distribution(margin):
    def density(x):
        return norm.pdf(margin.score(x)) * np.exp(margin.log_slope(x))

    low, middle, high = (float(margin.value(np.array(w))) for w in (-2.0, 0.3, 2.0))
    assert low < middle < high
    assert quad(density, low, middle)[0] == pytest.approx(ndtr(0.3) - ndtr(-2.0), abs=2e-5)
    assert quad(density, middle, high)[0] == pytest.approx(ndtr(2.0) - ndtr(0.3), abs=2e-5)
    w = np.linspace(-3, 3, 50)
    np.testing.assert_allclose(margin.score(margin.value(w)), w, atol=1e-6)


def test_quartiles_and_moments_are_the_given_ones():
    w = norm.ppf([0.25, 0.5, 0.75])
    values = Quartiles(124.4, 91.7, 170.4, 15, 600).value(w)
    np.testing.assert_allclose(values, [91.7, 124.4, 170.4], rtol=1e-12)
    u = (np.arange(200_000) + 0.5) / 200_000
    values = Moments(179.4, 19.8, 120, 240).value(norm.ppf(u))
    assert values.mean() == pytest.approx(179.4, abs=1e-3)
    assert values.std() == pytest.approx(19.8, abs=1e-2)


def test_a_flattened_mixture_is_standard_normal():
    mixture = Mixture(np.array([0.2, 0.5, 0.3]), np.array([0.0, 1.5, 0.0]))
    z = np.linspace(-3, 5, 40)
    expected = 0.5 * norm.cdf(z) + 0.5 * norm.cdf(z - 1.5)
    np.testing.assert_allclose(norm.cdf(mixture.flatten(z)), expected, atol=1e-6)
    np.testing.assert_allclose(mixture.unflatten(mixture.flatten(z)), z, atol=1e-9)
    density = 0.5 * norm.pdf(z) + 0.5 * norm.pdf(z - 1.5)
    np.testing.assert_allclose(np.exp(mixture.log_density(z)), density, rtol=1e-10)


@given(n=st.integers(1, 60), share=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_exact_draws_have_their_count(n, share, seed):
    rng = np.random.default_rng(seed)
    count = round(share * n)
    p = shift_to_total(rng.normal(size=n), np.ones(n), count)
    assert p.sum() == pytest.approx(count, abs=1e-6)
    drawn = draw_exactly(p, count, rng)
    assert set(drawn) <= {0, 1}
    assert drawn.sum() == count


def test_exact_draws_keep_their_probabilities():
    p = np.array([0.9, 0.1, 0.5, 0.5, 0.7, 0.3])
    rng = np.random.default_rng(0)
    drawn = np.mean([draw_exactly(p, 3, rng) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(drawn, p, atol=4 * 0.5 / np.sqrt(4000))


@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=6), total=st.integers(0, 500))
def test_apportionment_adds_up_within_one(weights, total):
    parts = apportion(weights, total)
    assert parts.sum() == total
    exact = np.array(weights) / np.sum(weights) * total
    assert (np.abs(parts - exact) < 1 + 1e-9).all()


def test_auc_and_its_error_agree_with_scikit_learn_and_resampling():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    scores = np.round(rng.normal(size=400) + y, 1)  # ties
    auc, error = auc_with_error(scores, y)
    assert auc == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    repeats = []
    for _ in range(400):
        i = rng.integers(0, 400, 400)
        repeats.append(roc_auc_score(y[i], scores[i]))
    assert error == pytest.approx(np.std(repeats), rel=0.15)


@pytest.mark.parametrize("study", MODELS)
def test_strata_have_the_printed_margins(study):
    model = MODELS[study]
    np.testing.assert_allclose(model.weights.sum(axis=1), 1.0)
    for y in (0, 1):
        for binary in model.binaries:
            share = model.weights[y] @ model.strata[binary.name]
            assert share == pytest.approx(binary.counts[y] / model.n[y], abs=1e-9)
    assert np.linalg.eigvalsh(model.correlation).min() > 0.05


@pytest.mark.parametrize("modality", ["table", "signal"])
@pytest.mark.parametrize("study", MODELS)
def test_the_likelihood_ratio_is_calibrated(study, modality):
    """With equal classes, P(responder | ratio) is the logistic function of its log."""
    model = MODELS[study]
    n = 20_000
    table = model.draw((n, n), np.random.default_rng(5), exact=False)
    ratio = model.log_likelihood_ratio(table, model.seen[modality])
    y = table["response"].to_numpy()
    expected = expit(ratio)
    edges = np.quantile(expected, np.linspace(0, 1, 11))
    part = np.clip(np.searchsorted(edges, expected, side="right") - 1, 0, 9)
    for k in range(10):
        rows = part == k
        error = np.sqrt(max(expected[rows].mean() * (1 - expected[rows].mean()), 1e-4) / rows.sum())
        assert abs(y[rows].mean() - expected[rows].mean()) < 4.5 * error
    # E[p1/p0] over non-responders is 1 for densities that integrate to 1.
    ratio0 = np.exp(np.minimum(ratio[y == 0], 6.0))
    error = ratio0.std() / np.sqrt(n)
    assert ratio0.mean() < 1 + 4.5 * error
    if study == "mori2025":
        assert ratio0.mean() == pytest.approx(1.0, abs=4.5 * error + 0.01)


@pytest.mark.parametrize("modality", ["table", "signal"])
@pytest.mark.parametrize("study", MODELS)
def test_no_fitted_model_beats_the_best_auc_and_a_flexible_one_comes_near(study, modality):
    model = MODELS[study]
    best = model.best_auc()[modality]
    assert 0 < best["se"] < 0.004
    names = [name for name in model.seen[modality] if name != "morphology"]
    if modality == "signal":
        names += list(model.morphology)
    train, test = (
        model.draw((12_000, 12_000), np.random.default_rng(seed), exact=False) for seed in (1, 2)
    )
    fitted = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=300),
    ).fit(train[names], train["response"])
    scores = fitted.predict_proba(test[names])[:, 1]
    auc, error = auc_with_error(scores, test["response"].to_numpy())
    combined = np.hypot(error, best["se"])
    assert auc < best["auc"] + 3.5 * combined
    assert auc > best["auc"] - 0.015 - 3.5 * combined


def test_lvsd2026_best_auc_against_a_logistic_model_of_its_latents():
    best = lvsd2026.best_auc()
    cohort = make_cohort("lvsd2026", 30_000, "table", random_state=2)
    latents, _ = lvsd2026.draw_lvsd(30_000, np.random.default_rng(3))
    half = latents["patient"] % 2 == 0
    for modality, names in (
        ("signal", ["qrs_duration_ms", "voltage", "repolarisation", "scar"]),
        ("table", ["qrs_duration_ms", "male", "age"]),
    ):
        fitted = make_pipeline(
            StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=300)
        ).fit(latents.loc[half, names], latents.loc[half, "label"])
        y = latents.loc[~half, "label"].to_numpy()
        auc, error = auc_with_error(fitted.decision_function(latents.loc[~half, names]), y)
        # Pairs of a patient are correlated: the error counts some of them twice.
        combined = np.hypot(2 * error, best[modality]["se"])
        assert abs(auc - best[modality]["auc"]) < 0.006 + 3 * combined
    assert cohort.info["best_auc"]["table"] == best["table"]


def test_posterior_of_the_lvef_score_is_the_regression_on_the_ecg():
    rng = np.random.default_rng(0)
    own = rng.standard_normal(100_000)
    shown = {
        name: r * own + np.sqrt(1 - r**2) * rng.standard_normal(len(own))
        for name, r in lvsd2026.ECG_LATENTS.items()
    }
    mean, sd = lvsd2026.posterior_score(shown)
    design = np.column_stack(list(shown.values()))
    coef, *_ = np.linalg.lstsq(design, own, rcond=None)
    np.testing.assert_allclose(mean, design @ coef, atol=0.06)
    assert (own - mean).std() == pytest.approx(sd, abs=0.005)
