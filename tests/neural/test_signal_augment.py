"""Augmentation of signals: what it may change, what it must not, and where it is applied."""

import numpy as np
import pytest
import torch

from crtkit.neural import ECGFMClassifier, FCNClassifier, SignalAugment

OFF = {"shift": 0.0, "gain": 0.0, "wander": 0.0, "noise": 0.0, "drop": 0.0}


@pytest.fixture
def batch():
    return torch.randn(64, 3, 200, generator=torch.Generator().manual_seed(0))


def test_nothing_changes_when_everything_is_off(batch):
    torch.testing.assert_close(SignalAugment(**OFF)(batch), batch)


def test_leads_are_shifted_together_and_no_further_than_asked():
    ramp = torch.arange(200.0).expand(64, 3, 200)
    out = SignalAugment(**{**OFF, "shift": 0.05})(ramp)
    torch.testing.assert_close(out[:, 0], out[:, 2])
    moved = (out[:, 0] - ramp[:, 0])[:, 100]  # of a ramp, a shift in time is a shift of value
    assert len(moved.unique()) > 5
    assert moved.abs().max() <= 10
    torch.testing.assert_close(out[:, 0], (ramp[:, 0] + moved[:, None]).clamp(0, 199))


def test_gain_is_one_number_a_record(batch):
    factor = SignalAugment(**{**OFF, "gain": 0.2})(batch) / batch
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor), rtol=1e-4, atol=1e-4)
    assert factor.min() >= 0.8 - 1e-4
    assert factor.max() <= 1.2 + 1e-4
    assert factor.std() > 0.05


@pytest.mark.parametrize(("name", "size"), [("wander", 0.3), ("noise", 0.1)])
def test_what_is_added_has_the_size_that_was_asked(batch, name, size):
    added = SignalAugment(**{**OFF, name: size})(batch) - batch
    if name == "wander":
        assert size / 2 < added.abs().max() <= size + 1e-5
        assert added.diff(dim=-1).abs().max() < size / 5  # slow
    else:
        assert size / 2 < added.std(-1).max() < 1.3 * size


def test_leads_that_fall_off_become_zeros(batch):
    out = SignalAugment(**{**OFF, "drop": 0.25})(batch)
    gone = (out == 0).all(-1)
    assert 0.15 < gone.float().mean() < 0.35
    torch.testing.assert_close(out[~gone], batch[~gone])


@pytest.mark.parametrize(
    "model",
    [
        FCNClassifier(n_filters=(4, 4, 4), max_epochs=2, random_state=0),
        ECGFMClassifier(size="tiny", fs=10, max_epochs=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_only_training_batches_are_changed(model, make_signals):
    X, y = make_signals(12, 3, 64), np.arange(12) % 2
    state = torch.get_rng_state()
    plain = model.fit(X, y).predict_proba(X)
    model.set_params(augment="light")
    changed = model.fit(X, y).predict_proba(X)
    assert np.abs(plain - changed).max() > 1e-6
    np.testing.assert_array_equal(changed, model.predict_proba(X))
    np.testing.assert_array_equal(changed, model.fit(X, y).predict_proba(X))
    seen = []
    model.set_params(augment=lambda x: seen.append(tuple(x.shape)) or x).fit(X, y)
    assert set(seen) == {(12, 3, 64)}  # leads before samples, whatever the network takes
    np.testing.assert_array_equal(model.predict_proba(X), plain)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_words_are_refused(make_signals):
    with pytest.raises(ValueError, match="'augment' parameter"):
        FCNClassifier(augment="heavy").fit(make_signals(4, 2, 20), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "parameters",
    [{"shift": -0.1}, {"gain": 1.5}, {"wander": float("nan")}, {"noise": None}, {"drop": 2}],
)
def test_parameters_out_of_range_are_named(parameters):
    with pytest.raises(ValueError, match=f"SignalAugment expects {[*parameters][0]} from 0 to"):
        SignalAugment(**parameters)(torch.zeros(2, 12, 100))


def test_batches_of_another_kind_are_refused():
    for batch in (torch.zeros(12, 100), torch.zeros(2, 12, 100, dtype=torch.int16)):
        with pytest.raises(ValueError, match="floating batch"):
            SignalAugment()(batch)
