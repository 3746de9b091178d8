import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select, evaluate, metrics
from crtkit.evaluation import bootstrap_interval, nadeau_bengio_interval, wilson_interval
from crtkit.evaluation.scoring import Part, nanmean, replicate, vote
from crtkit.evaluation.uncertainty.intervals import (
    ANSWERS,
    SCORES,
    patient_weights,
    replicate_answers,
    replicate_scores,
)


def test_nadeau_bengio_is_the_closed_form():
    values = np.array([0.61, 0.72, 0.55, 0.68, 0.70])
    variance = np.sum((values - values.mean()) ** 2) / 4
    half = 2.7764451051977987 * np.sqrt((1 / 5 + 1 / 4) * variance)  # t(4), 0.975
    low, high = nadeau_bengio_interval(values, 0.25)
    assert low == pytest.approx(values.mean() - half, rel=1e-12)
    assert high == pytest.approx(values.mean() + half, rel=1e-12)
    assert nadeau_bengio_interval([*values, np.nan], 0.25) == (low, high)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0.05, 2))
@settings(deadline=None, max_examples=50)
def test_nadeau_bengio_contains_the_naive_interval(values, ratio):
    low, high = nadeau_bengio_interval(values, ratio, confidence=0.9)
    sem = np.std(values, ddof=1) / np.sqrt(len(values))
    naive = stats.t.interval(0.9, len(values) - 1, np.mean(values), sem) if sem else (low, high)
    assert low <= naive[0] + 1e-12
    assert high >= naive[1] - 1e-12


def test_nadeau_bengio_needs_two_values():
    assert np.isnan(nadeau_bengio_interval([0.5, np.nan], 0.25)).all()
    with pytest.raises(ValueError, match="must be positive"):
        nadeau_bengio_interval([0.5, 0.6], 0)
    with pytest.raises(ValueError, match="confidence"):
        nadeau_bengio_interval([0.5, 0.6], 0.25, confidence=95)


@given(st.integers(1, 15), st.data())
@settings(deadline=None, max_examples=60)
def test_replicates_equal_the_weighted_metrics(n, data):
    def column(elements):
        return np.array(data.draw(st.lists(elements, min_size=n, max_size=n)))

    truth, called = column(st.booleans()), column(st.booleans())
    score = column(st.integers(0, 4)) / 4
    weights = np.array([column(st.integers(0, 3)) for _ in range(4)], dtype=float)
    values = {
        **replicate_answers(truth, called, weights),
        **replicate_scores(truth, score, weights),
    }
    assert set(values) == set(metrics.SCORERS) == {*ANSWERS, *SCORES}
    for name, got in values.items():
        answer = called if name in ANSWERS else score
        expected = [
            getattr(metrics, name)(truth, answer, pos_label=True, sample_weight=w) for w in weights
        ]
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_weights_draw_patients_with_replacement():
    weights = np.concatenate(list(patient_weights(7, 5000, 0)))
    assert weights.shape == (5000, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(6 / 7, rel=0.05)  # binomial(7, 1/7)
    np.testing.assert_array_equal(weights[:10], next(patient_weights(7, 10, 0)))


def test_patients_are_drawn_with_all_their_records():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40)
    score = truth * 0.7 + rng.normal(size=40)
    groups = np.repeat(np.arange(40), 25)
    copies = [np.repeat(v, 25) for v in (truth, score)]
    by_patient = bootstrap_interval(*copies, groups, n_bootstrap=400, random_state=1)
    one_each = bootstrap_interval(truth, score, np.arange(40), n_bootstrap=400, random_state=1)
    # Copies of a record carry no information: the interval is that of one record per patient.
    assert by_patient.low == pytest.approx(one_each.low)
    assert by_patient.high == pytest.approx(one_each.high)
    by_record = bootstrap_interval(*copies, np.arange(1000), n_bootstrap=400, random_state=1)
    assert by_record.high - by_record.low < 0.4 * (by_patient.high - by_patient.low)


def test_interval_by_patient_covers_the_truth():
    """AUC of patients with several correlated records: 90 % intervals, 120 cohorts of 60."""
    rng = np.random.default_rng(0)
    true_auc = stats.norm.cdf(1 / np.sqrt(2 * 1.25))
    covered = {"patient": 0, "record": 0}
    for k in range(120):
        truth = np.repeat(rng.permutation(np.arange(60) % 2), 8)
        own = np.repeat(rng.normal(size=60), 8)
        score = truth + own + 0.5 * rng.normal(size=480)
        for unit, groups in (("patient", np.repeat(np.arange(60), 8)), ("record", np.arange(480))):
            interval = bootstrap_interval(
                truth, score, groups, confidence=0.9, n_bootstrap=200, random_state=k
            )
            covered[unit] += interval.low <= true_auc <= interval.high
    assert covered["patient"] / 120 > 0.82
    assert covered["record"] / 120 < 0.6


def test_own_metrics_and_ours_give_the_same_interval():
    rng = np.random.default_rng(2)
    y, score = rng.permutation(np.repeat(["no", "yes"], 30)), rng.random(60)
    groups = rng.integers(0, 25, 60)
    for ours, answer in ((metrics.ppv, np.where(score > 0.5, "yes", "no")), (metrics.brier, score)):

        def own(y, a, sample_weight, metric=ours):
            return metric(y, a, sample_weight=sample_weight)

        results = [
            bootstrap_interval(
                y, answer, groups, metric, method="percentile", n_bootstrap=50, random_state=0
            )
            for metric in (ours, own)
        ]
        np.testing.assert_allclose(*results)
    with pytest.raises(ValueError, match="one patient per record"):
        bootstrap_interval(y, score, groups[1:])


def test_nobody_to_draw_is_named():
    with pytest.raises(ValueError, match="needs records to draw"):
        bootstrap_interval([], [], [])


def test_undefined_replicates_are_counted():
    interval = bootstrap_interval([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], range(4), random_state=0)
    assert interval.estimate == 1
    assert 0 < interval.n_valid < 2000
    nothing = bootstrap_interval([0, 0], [0.1, 0.2], range(2), metrics.roc_auc, n_bootstrap=9)
    assert np.isnan(nothing.low)
    assert nothing.n_valid == 0


def part(seed, group, truth, score, fold=0):
    score = np.array(score, dtype=float)
    return Part(
        "m", seed, fold, "probability", np.array(group, object), np.array(truth, bool),
        score > 0.5, score,
    )  # fmt: skip


def test_replicates_average_folds_then_seeds_over_one_draw():
    rng = np.random.default_rng(0)
    patients = np.array([f"p{i}" for i in range(12)], dtype=object)
    truth = np.arange(12) % 2 == 0
    halves = (patients[:6], patients[6:])
    parts = [
        part(seed, half, truth[:6], rng.random(6), fold)
        for seed in (0, 1)
        for fold, half in enumerate(halves)
    ]
    scoring = {"roc_auc": None, "gini": lambda y, s: 2 * metrics.roc_auc(y, s) - 1}
    drawn = replicate(parts, scoring, np.sort(patients.astype(str)), 30, 3)
    weights = next(patient_weights(12, 30, 3))
    column = {p: i for i, p in enumerate(np.sort(patients.astype(str)))}
    for i, w in enumerate(weights):
        aucs = [
            metrics.roc_auc(
                p.y_true, p.y_score, pos_label=True, sample_weight=[w[column[g]] for g in p.group]
            )
            for p in parts
        ]
        seeds = [nanmean(np.array(aucs[:2])), nanmean(np.array(aucs[2:]))]
        np.testing.assert_allclose(drawn["roc_auc"][i], nanmean(np.array(seeds)))
        np.testing.assert_allclose(drawn["gini"][i], 2 * nanmean(np.array(seeds)) - 1, atol=1e-12)


def test_vote():
    one = part(0, ["a", "a", "b", "c", "c"], [1, 1, 0, 1, 1], [0.9, 0.3, 0.2, 0.5, 0.5])
    voted = vote(one)
    assert voted.group.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(voted.y_score, [0.6, 0.2, 0.5])
    assert voted.y_pred.tolist() == [True, False, False]
    assert voted.y_true.tolist() == [True, False, True]
    strict = one._replace(y_pred=one.y_score > 0.8)
    assert vote(strict).y_pred.tolist() == [True, False, False]  # one of two: a tie is positive
    assert vote(part(0, ["a", "b"], [1, 0], [0.9, 0.2])).y_pred.tolist() == [True, False]


def test_wilson_is_statsmodels_and_never_of_zero_width():
    from statsmodels.stats.proportion import proportion_confint

    for k, n in ((0, 4), (4, 4), (3, 17), (120, 285)):
        assert wilson_interval(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"))
    assert np.isnan(wilson_interval(0, 0)).all()
    with pytest.raises(ValueError, match="wilson_interval expects"):
        wilson_interval(5, 4)


def test_bca_is_scipys():
    rng = np.random.default_rng(3)
    y, score = np.repeat([0, 1], 30), np.r_[rng.normal(size=30), rng.normal(1, 1, 30)]
    ours = bootstrap_interval(
        y, score, np.arange(60), method="bca", n_bootstrap=4000, random_state=0
    )

    def auc(i):
        i = i.astype(int)
        return metrics.roc_auc(y[i], score[i]) if len(set(y[i])) == 2 else np.nan

    theirs = stats.bootstrap(
        (np.arange(60),), auc, vectorized=False, n_resamples=2000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.015)
    assert ours.high == pytest.approx(theirs.high, abs=0.015)


@pytest.mark.parametrize("method", ["logit", "bca", "percentile"])
def test_no_interval_of_ours_has_zero_width(method):
    """Four patients in perfect order: an AUC of 1 says little of the fifth."""
    y, score = [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]
    perfect = bootstrap_interval(y, score, range(4), method=method, random_state=0)
    assert (perfect.estimate, perfect.high) == (1, 1)
    assert perfect.low == pytest.approx(wilson_interval(2, 2)[0])
    called = bootstrap_interval(
        [0, 1, 1, 1], [0, 1, 1, 1], range(4), metrics.sensitivity, method=method, random_state=0
    )
    assert called.low == pytest.approx(wilson_interval(3, 3)[0])
    constant = bootstrap_interval(y, [0.5] * 4, range(4), method=method, random_state=0)
    assert np.isnan([constant.low, constant.high]).all()


def test_the_headline_interval_counts_fits_too(make_table_cohort, models):
    result = evaluate(models, make_table_cohort(), seeds=5, threads_per_fit=1)
    summary = result.summary(n_bootstrap=300)
    for metric in ("roc_auc", "accuracy"):
        table = summary.loc[["logistic", "LightGBM"], metric]
        assert (table["low"] <= table["ci_low"]).all()
        assert (table["high"] >= table["ci_high"]).all()
        assert ((table["low"] < table["mean"]) & (table["mean"] < table["high"])).all()
    everyone = summary.loc["Majority class"]
    assert everyone["specificity", "mean"] == 1
    assert 0 < everyone["specificity", "low"] < everyone["specificity", "high"] == 1
    pair = result.compare("logistic", "LightGBM", n_bootstrap=300).loc["roc_auc"]
    assert pair["low"] < pair["ci_low"] < pair["difference"] < pair["ci_high"] < pair["high"]


class EverybodyYes(ClassifierMixin, BaseEstimator):
    """A network that learned nothing but the prevalence."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile([0.3, 0.7], (len(X), 1))

    def predict(self, X):
        return self.classes_[np.ones(len(X), dtype=int)]


def test_the_majority_class_is_no_rule_to_beat(make_table_cohort):
    cohort = make_table_cohort(effect=60.0)
    models = {"yes": make_pipeline(Select(["lvef"]), EverybodyYes())}
    models["good"] = make_pipeline(Select(["qrs_duration_ms"]), LogisticRegression())
    result = evaluate(models, cohort, seeds=3, threads_per_fit=1)
    table = result.against_references(n_bootstrap=200)
    assert "Majority class" not in set(table["reference"])
    assert table.loc["yes", "beats"] is False
    lone = Cohort(cohort.X[["lvef"]].assign(x=cohort.X["lvef"]), cohort.y, cohort.groups)
    alone = {"yes": models["yes"]}
    row = evaluate(alone, lone, seeds=2).against_references("accuracy").loc["yes"]
    assert row["beats"] is None
    assert "no clinical rule" in row["note"]
