import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from crtkit.evaluation import RepeatedStratifiedPatientSplit
from crtkit.evaluation.scoring import Part, patients_of, replicate
from crtkit.evaluation.summary import summary_table
from crtkit.evaluation.uncertainty.cut import reach_of_cut, steps_of_cut, with_moved_cut

NAMES = dict.fromkeys(["roc_auc", "accuracy", "sensitivity", "specificity"])


def parts_of(y, answers_of):
    splitter = RepeatedStratifiedPatientSplit(10, random_state=0)
    parts = []
    for k, (train, test) in enumerate(splitter.split(np.zeros(len(y)), y, np.arange(len(y)))):
        kind, call, score = answers_of(train, test)
        parts.append(Part("m", k, 0, kind, test.astype(object), y[test], call, score))
    return parts


def cohort(n, rng):
    y = rng.random(n) < 0.5
    return rng.normal(size=(n, 2)) + 0.6 * y[:, None], y


def logistic(X, y):
    def answers(train, test):
        risk = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        return "probability", risk > 0.5, risk

    return parts_of(y, answers)


def moved(parts, share=0.1, ratio=0.25):
    patients = patients_of(parts)
    drawn = replicate(parts, NAMES, patients, 400, 0)
    found = steps_of_cut(parts, patients, ratio, share, 0, 400)
    return drawn, with_moved_cut(drawn, parts, found)


def test_the_spread_is_that_of_cohorts_which_train_again():
    """Of a logistic model: as over cohorts that are drawn, split and trained anew."""
    rng = np.random.default_rng(0)
    cohorts = [cohort(150, rng) for _ in range(60)]
    everyone = [logistic(X, y) for X, y in cohorts]

    def mean(parts):
        return np.mean([part.y_pred[part.y_true].mean() for part in parts])

    truth = np.std([mean(parts) for parts in everyone])
    spreads = [[d["sensitivity"].std() for d in moved(parts)] for parts in everyone[:12]]
    fixed, free = np.mean(spreads, axis=0)
    assert fixed < 0.85 * truth
    assert free == pytest.approx(truth, rel=0.25)


def test_scores_and_what_is_no_risk_at_one_half_stay():
    X, y = cohort(80, np.random.default_rng(1))
    parts = logistic(X, y)
    drawn, free = moved(parts)
    assert free["roc_auc"] is drawn["roc_auc"]
    assert not np.array_equal(free["sensitivity"], drawn["sensitivity"])
    for other in (
        moved(parts, share=0.0),  # a rule
        moved(parts, ratio=None),  # another hospital's patients
        moved([p._replace(kind="decision") for p in parts]),
        moved([p._replace(y_pred=p.y_score > 0.3) for p in parts]),  # a threshold of its own
    ):
        assert other[1] is other[0]


@pytest.mark.parametrize("risk", [[0.0, 1.0], [0.7, 0.7], [0.5, 0.5], [1.0, 1.0]])
def test_risks_without_a_spread_are_defined(risk):
    y = np.arange(40) % 3 == 0

    def answers(train, test):
        score = np.where(test % 2 == 0, *risk).astype(float)
        return "probability", score > 0.5, score

    _, free = moved(parts_of(y, answers))
    assert all(np.isfinite(free[name]).all() for name in NAMES)


def test_a_common_shift_of_risks_is_found_exactly():
    """All calls near the cut: the step is the cohort's mean error over p (1 - p)."""
    rng = np.random.default_rng(3)
    y = rng.random(200) < 0.4
    score = expit(rng.uniform(-2, 2, 200) + np.log(0.4 / 0.6))

    def answers(train, test):
        return "probability", score[test] > 0.5, score[test]

    parts = parts_of(y, answers)
    drawn, free = moved(parts)
    step = (free["specificity"] - drawn["specificity"]).std()
    # A quarter of the logits' range per unit, and a step of 1 / sqrt(sum p (1 - p)).
    assert step == pytest.approx(0.25 / np.sqrt((score * (1 - score)).sum()), rel=0.35)


def test_a_subgroup_moves_with_the_whole_cohort():
    X, y = cohort(200, np.random.default_rng(4))
    parts = [p.take(p.group.astype(int) % 4 == 0) for p in logistic(X, y)]
    patients = patients_of(parts)
    drawn = replicate(parts, NAMES, patients, 400, 0)
    alone, among = (
        with_moved_cut(
            drawn, parts, steps_of_cut(parts, patients, 0.25, 0.1, 0, len(drawn["accuracy"]), n)
        )["accuracy"]
        - drawn["accuracy"]
        for n in (None, 200)
    )
    np.testing.assert_allclose(among, alone * np.sqrt(len(patients) / 200), rtol=0.2, atol=5e-3)


def near_one():
    """A logistic model whose specificity is 0.992: the logit scale stretches what varies there."""
    y = np.arange(96) < 34
    x = 2.5 * y + np.random.default_rng(10).normal(size=96)
    return logistic(x[:, None], y)


def headline(parts, split_of):
    table = summary_table(
        parts, NAMES, ratio=0.25, split_of=split_of, confidence=0.95, n_bootstrap=400
    )
    return table.loc["m"]


def test_no_limit_lies_beyond_what_moving_the_cut_can_reach(monkeypatch):
    parts = near_one()
    split_of = {(part.seed, 0): part.seed for part in parts}
    row = headline(parts, split_of)
    monkeypatch.setattr("crtkit.evaluation.summary.reach_of_cut", lambda *a, **k: {})
    without = headline(parts, split_of)
    shorter = []
    for name in ("accuracy", "sensitivity", "specificity"):
        new, old = row[name], without[name]
        assert new["ci_low"] == old["ci_low"]
        assert new["ci_high"] == old["ci_high"]
        # Never longer than by the slope, never shorter than with fits held fixed.
        assert old["low"] <= new["low"] <= new["ci_low"] + 1e-12
        assert new["ci_high"] - 1e-12 <= new["high"] <= old["high"]
        shorter.append(new["low"] - old["low"])
    # By the slope alone specificity's limit fell to 0.46, where no cut takes it below 0.95.
    assert shorter[-1] > 0.1


def test_reach_of_the_cut_is_the_figures_at_its_ends():
    X, y = cohort(80, np.random.default_rng(3))
    parts = logistic(X, y)
    patients = patients_of(parts)
    ends = reach_of_cut(NAMES, parts, steps_of_cut(parts, patients, 0.25, 0.1, 0, 400), times=50.0)
    # So far, every patient is called one way: the figures are those of "always" and "never".
    assert ends["sensitivity"] == (0.0, 1.0)
    assert ends["specificity"] == (0.0, 1.0)
    assert "roc_auc" not in ends
    assert steps_of_cut(parts, patients, None, 0.1, 0, 400) is None
    assert steps_of_cut(parts, patients, 0.25, 0.0, 0, 400) is None
    assert reach_of_cut(NAMES, parts, None) == {}
