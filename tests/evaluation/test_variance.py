import numpy as np
import pytest
from scipy import stats

from crtkit.evaluation import RepeatedStratifiedPatientSplit
from crtkit.evaluation.scoring import Part
from crtkit.evaluation.uncertainty.variance import Variance, fits_share, score_matrix, with_fits


def part(seed, group, truth, score, fold=0):
    score = np.asarray(score, dtype=float)
    return Part(
        "m", seed, fold, "decision", np.asarray(group, object), np.asarray(truth, bool),
        score > 0, score,
    )  # fmt: skip


def ten_splits(n, score_of):
    y = np.arange(n) % 2 == 0
    splitter = RepeatedStratifiedPatientSplit(10, random_state=0)
    pairs = list(splitter.split(np.zeros(n), y, np.arange(n)))
    parts = [part(k, test, y[test], score_of(train)[test]) for k, (train, test) in enumerate(pairs)]
    return parts, {(k, 0): k for k in range(10)}


def test_scores_stand_side_by_side_record_by_record():
    parts = [
        part(0, ["b", "a", "b"], [1, 0, 1], [1, 2, 3]),
        part(1, ["a", "c", "b", "b"], [0, 1, 1, 1], [4, 5, 6, 7]),
        part(2, ["c"], [1], [8]),
    ]
    table = score_matrix(parts, np.array([0, 1, 1]))
    np.testing.assert_array_equal(table.scores, [[2, 1, 3, np.nan], [4, 6, 7, 6.5]])
    assert table.patient_of.tolist() == [0, 1, 1, 2]
    assert table.y_true.tolist() == [False, True, True, True]


def test_a_rule_has_no_variance_of_fits():
    score = np.random.default_rng(0).normal(size=100)
    parts, split_of = ten_splits(100, lambda train: score)
    assert fits_share(parts, split_of, 0.25) == 0
    constant, _ = ten_splits(100, lambda train: np.zeros(100))
    assert fits_share(constant, split_of, 0.25) == 0


def test_labels_that_are_noise_need_all_of_it():
    """Scores that follow nothing but the training part: the share of the theory, 0.21."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(400, 6)), rng.choice([-1, 1], 400)
    parts, split_of = ten_splits(400, lambda train: X @ (X[train].T @ y[train]))
    # 0.9 x 0.16 missing, over 1 - (0.8 x 0.2 + 0.16): shared patients of random 80:20 splits.
    assert fits_share(parts, split_of, 0.25) == pytest.approx(0.144 / 0.68, rel=0.25)


def test_a_strong_signal_needs_little_of_it():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 2)) + (np.arange(400) % 2 == 0)[:, None]
    y = np.where(np.arange(400) % 2 == 0, 1, -1)
    parts, split_of = ten_splits(400, lambda train: X @ (X[train].T @ y[train]))
    assert 0 < fits_share(parts, split_of, 0.25) < 0.05


def test_folds_test_nobody_twice_and_one_split_says_nothing():
    y = np.arange(50) % 2 == 0
    folds = [part(0, np.arange(k, 50, 5), y[k::5], np.arange(10.0), k) for k in range(5)]
    split_of = {(0, k): k for k in range(5)}
    # c(u, d) = 0.2 / sqrt(0.8 x 0.2) = 0.5 for every pair of folds, so 0.25 x 0.8 / 0.75.
    assert fits_share(folds, split_of, 0.25) == pytest.approx(0.2 / 0.75)
    assert fits_share(folds[:1], split_of, 0.25) == 0
    assert fits_share(folds, split_of, None) == 0.2  # another hospital: everybody every time


def test_degrees_of_freedom_are_satterthwaites():
    parts = [part(k, [0], [1], [1]) for k in range(4)]
    split_of = {(k, 0): k for k in range(4)}
    column = np.array([0.6, 0.7, 0.8, 0.7])
    alone = Variance(0.01, 40)
    assert with_fits(alone, column, parts, split_of, 0.0) == alone
    both = with_fits(alone, column, parts, split_of, 0.5)
    fits = 0.5 * column.var(ddof=1)
    assert both.value == pytest.approx(0.01 + fits)
    assert both.df == pytest.approx((0.01 + fits) ** 2 / (0.01**2 / 40 + fits**2 / 3))
    assert stats.t.ppf(0.975, both.df) > stats.norm.ppf(0.975)


def test_splits_that_test_nobody_of_a_subgroup_are_left_out():
    score = np.random.default_rng(0).normal(size=100)
    rng = np.random.default_rng(5)
    parts, split_of = ten_splits(100, lambda train: score + rng.normal(size=100))
    some = [part.take(part.group.astype(int) < 50) for part in parts]
    whole = fits_share(some[1:], split_of, 0.25)
    with np.errstate(all="raise"):
        share = fits_share([parts[0].take(np.zeros(20, dtype=bool)), *some[1:]], split_of, 0.25)
    assert share == whole > 0
