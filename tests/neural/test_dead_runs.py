"""Runs that go nowhere are ended and said to be dead; slow ones go on."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from torch import nn

from crtkit._splits import group_holdout
from crtkit.neural import wrap_module
from crtkit.neural.dead_runs import is_dead, is_stuck

CHANCE = 0.6906
# Training losses as they were measured on 300 simulated pairs of lvsd2026, 174 of one class.
STUCK = [
    *(0.9989, 0.7077, 0.7070, 0.6941, 0.6932, 0.6917, 0.6928, 0.6926, 0.6952, 0.7001),
    *(0.7047, 0.6938, 0.6925, 0.6932, 0.6955, 0.6972, 0.7010, 0.7000, 0.6957, 0.6980),
]  # ECG-FM from scratch at a rate far too high: AUC 0.51
SLOW = [
    *(0.8854, 0.8130, 0.7604, 0.7275, 0.7091, 0.7003, 0.6958, 0.6919, 0.6895, 0.6878),
    *(0.6863, 0.6848, 0.6834, 0.6821, 0.6808, 0.6793, 0.6781, 0.6771, 0.6759, 0.6751),
]  # at one far too low: AUC 0.71
SLOWER = [
    *(
        0.7121,
        0.7094,
        0.7081,
        0.7056,
        0.7044,
        0.7023,
        0.7013,
        0.6995,
        0.6984,
        0.6969,
        0.6957,
        0.6945,
    )
]  # FCN: above chance to the end, AUC 0.60


def first_stop(losses, max_epochs):
    ends = range(1, len(losses) + 1)
    return next((k for k in ends if is_stuck(losses[:k], CHANCE, max_epochs)), None)


def test_a_run_is_stuck_where_its_loss_stands_at_chance():
    assert first_stop(STUCK, 30) == 13  # three epochs of warm-up, and twice five to look at
    assert first_stop(STUCK[:12], 30) is None
    assert first_stop(STUCK, 200) is None  # the warm-up is not over


@pytest.mark.parametrize(("losses", "max_epochs"), [(SLOW, 30), (SLOW, 20), (SLOWER, 12)])
def test_a_loss_that_falls_is_no_standstill(losses, max_epochs):
    assert first_stop(losses, max_epochs) is None


def test_nearness_to_chance_alone_ends_nothing():
    assert is_dead(SLOWER, CHANCE, 12)
    assert not is_stuck(SLOWER, CHANCE, 12)


@pytest.fixture
def blobs():
    X, y = make_blobs(60, 2, centers=[[0, 0], [3, 3]], random_state=0)
    X = X.astype(np.float32)[:, None, :]
    return X, y


def test_training_ends_early_and_says_so(blobs):
    X, y = blobs
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    network = wrap_module(module, lr=1e-12, max_epochs=40, random_state=0)
    with pytest.warns(UserWarning, match=r"after 14 epochs .* stood still, so not all 40 epochs"):
        network.fit(0 * X, y)
    assert len(network.history_) == 14
    assert network.predict_proba(X).shape == (60, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.set_params(lr=0.05).fit(X, y)
    assert len(network.history_) == 40


def test_the_best_epoch_is_kept_where_a_stuck_run_ends(blobs):
    """Its loss falls to the end, by too little: the last epoch is the best one, and is kept."""
    X, y = blobs
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    network = wrap_module(
        module, lr=1e-6, max_epochs=40, early_stopping=True, patience=40, random_state=0,
        precision="float64",
    )  # fmt: skip
    groups = np.arange(len(y))
    X = 0 * X.astype(np.float64)  # the bias alone learns
    with pytest.warns(UserWarning, match="stood still"):
        network.fit(X, y, groups=groups)
    losses = [row["valid_loss"] for row in network.history_]
    assert len(losses) == 14
    assert network.best_epoch_ == 1 + int(np.argmin(losses))
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    _, valid = group_holdout(y, groups, size=network.validation_fraction, random_state=seed)
    proba = network.predict_proba(X[valid])[np.arange(len(valid)), y[valid]]
    assert -np.log(proba).mean() == pytest.approx(min(losses), rel=1e-12)
