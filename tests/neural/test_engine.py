"""The torch base, through a network small enough to be followed by hand."""

import copy
import pickle
import random
import re
import warnings
from numbers import Integral

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.utils._param_validation import Interval
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import neural
from crtkit._splits import group_holdout
from crtkit.cohort.rows import Rows
from crtkit.neural.base import TorchClassifier, TorchEstimator
from crtkit.neural.batches import Batches, RecordDataset
from crtkit.neural.devices import forked_rng, resolve_device
from crtkit.neural.engine import (
    TrainingOptions,
    make_optimizer,
    make_schedule,
    train_network,
    warmup_factor,
)


class Flat(torch.nn.Module):
    """A linear model, or one hidden layer, on flattened records."""

    def __init__(self, n_in, n_hidden, n_out, dropout):
        super().__init__()
        last = n_hidden or n_in
        hidden = [torch.nn.Linear(n_in, n_hidden), torch.nn.Tanh()] if n_hidden else []
        self.layers = torch.nn.Sequential(
            *hidden, torch.nn.Dropout(dropout), torch.nn.Linear(last, n_out)
        )

    def forward(self, x):
        return self.layers(x.flatten(1))


class FlatClassifier(TorchClassifier):
    """The example of _base.py's docstring."""

    _kind, _ndim = "signals", (2, 3)
    _parameter_constraints = {
        **TorchClassifier._parameter_constraints,
        "n_hidden": [Interval(Integral, 0, None, closed="left")],
        "dropout": "no_validation",
    }

    def __init__(
        self,
        *,
        n_hidden=0,
        dropout=0.0,
        lr=1e-2,
        weight_decay=0.0,
        schedule=None,
        max_epochs=5,
        batch_size=16,
        accumulate=1,
        class_weight=None,
        early_stopping=False,
        patience=3,
        validation_fraction=0.2,
        device="cpu",
        precision="float64",
        random_state=None,
        verbose=0,
    ):
        self.n_hidden = n_hidden
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _make_module(self, n_outputs, shape_in):
        return Flat(int(np.prod(shape_in)), self.n_hidden, n_outputs, self.dropout)


class InterruptedClassifier(FlatClassifier):
    def _train_batch_augment(self, batch):
        raise KeyboardInterrupt


class MeanEncoder(TorchEstimator):
    """No classes and no criterion of cross-entropy: the other kind of estimator."""

    _kind, _ndim = "signals", (2, 3)

    def __init__(self, *, max_epochs=200, precision="float64", device="cpu", random_state=None):
        self.max_epochs = max_epochs
        self.precision = precision
        self.device = device
        self.random_state = random_state

    batch_size = 64
    lr = 0.1

    def _make_module(self, n_outputs, shape_in):
        return Flat(int(np.prod(shape_in)), 0, n_outputs, 0.0)

    def _make_criterion(self):
        return MeanSquares()

    def fit(self, X, y):
        X = self._start_fit(X)
        self._fit_net(RecordDataset(X, y), None, n_outputs=y.shape[1], seed=0)
        return self


class MeanSquares(torch.nn.Module):
    def forward(self, output, target):
        return ((output - target) ** 2).mean(1)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def blobs():
    X, y = make_blobs(60, centers=3, n_features=4, random_state=0)
    return X, np.array(["c", "a", "b"])[y]


@parametrize_with_checks(
    [FlatClassifier(n_hidden=8, lr=0.05, max_epochs=60, batch_size=256, random_state=0)]
)
def test_sklearn(estimator, check):
    # Without BatchNorm and with one batch an epoch, all of them pass, weights included.
    check(estimator)


def _bits(model):
    return [value.numpy().tobytes() for value in model.module_.state_dict().values()]


# -- the loss and the loop, against a loop written out


def _plain_loop(model, X, codes, weight, n_steps, seed):
    """The same training in plain torch: full batches, weighted mean of the cross-entropy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = model._make_module(len(np.unique(codes)), X.shape[1:]).double()
    adam = torch.optim.AdamW(module.parameters(), lr=model.lr, weight_decay=model.weight_decay)
    x, t, w = torch.tensor(X), torch.tensor(codes), torch.tensor(weight)
    for _ in range(n_steps):
        log_p = torch.log_softmax(module(x), 1)[torch.arange(len(t)), t]
        loss = -(w * log_p).sum() / w.sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return torch.softmax(module(x), 1).detach().numpy()


@pytest.mark.parametrize("weighted", [False, True])
def test_training_equals_a_plain_loop(blobs, weighted):
    X, y = blobs
    codes = np.unique(y, return_inverse=True)[1]
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else np.ones(len(y))
    model = FlatClassifier(n_hidden=5, batch_size=100, weight_decay=0.1, random_state=3)
    model.fit(X, y, sample_weight=weight if weighted else None)
    seed = int(np.random.RandomState(3).randint(np.iinfo(np.int32).max))
    expected = _plain_loop(model, X, codes, weight, model.max_epochs, seed)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


def test_accumulated_batches_step_like_one_large_batch(blobs):
    X, y = blobs
    weight = np.random.default_rng(1).uniform(0.1, 3, len(y))
    large = FlatClassifier(batch_size=60, max_epochs=4, random_state=0).fit(X, y, weight)
    small = clone(large).set_params(batch_size=7, accumulate=20).fit(X, y, weight)
    np.testing.assert_allclose(small.predict_proba(X), large.predict_proba(X), rtol=1e-9)
    stepping = clone(small).set_params(accumulate=1).fit(X, y, weight)
    assert np.abs(stepping.predict_proba(X) - large.predict_proba(X)).max() > 1e-3


def test_records_of_weight_zero_are_left_out(blobs):
    X, y = blobs
    weight = np.ones(len(y))
    weight[::3] = 0
    X_bad = X.copy()
    X_bad[::3] = 1e6
    with_them = FlatClassifier(random_state=0).fit(X_bad, y, sample_weight=weight)
    without = FlatClassifier(random_state=0).fit(X[weight > 0], y[weight > 0])
    assert _bits(with_them) == _bits(without)


def test_class_weight_is_a_sample_weight(blobs):
    X, y = blobs
    by_class = {"a": 0.2, "b": 5.0, "c": 1.0}
    one = FlatClassifier(class_weight=by_class, random_state=0).fit(X, y)
    other = FlatClassifier(random_state=0).fit(X, y, sample_weight=[by_class[c] for c in y])
    assert _bits(one) == _bits(other)
    for odd in (0, -1.0, np.nan, np.inf, "x", None):
        with pytest.raises(ValueError, match="class_weight above 0 and finite"):
            FlatClassifier(class_weight={"a": odd, "b": 1, "c": 1}).fit(X, y)


@pytest.mark.parametrize("scale", [1e-300, 7.0, 1e300])
def test_only_the_ratios_of_weights_count(blobs, scale):
    X, y = blobs
    weight = np.random.default_rng(0).uniform(0.5, 1, len(y))
    weight[0] = 1
    one = FlatClassifier(random_state=0, precision="float32").fit(X, y, sample_weight=weight)
    other = clone(one).fit(X, y, sample_weight=scale * weight)
    np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-5)


def test_an_estimator_without_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = X @ rng.normal(size=(3, 2)) + 1
    model = MeanEncoder().fit(X, y)
    np.testing.assert_allclose(model._apply(X), y, atol=1e-3)
    assert model.history_[-1]["train_loss"] < 1e-6 < model.history_[0]["train_loss"]


def test_schedules():
    parameter = torch.nn.Parameter(torch.zeros(1))
    for schedule in ("cosine", "onecycle"):
        options = TrainingOptions(lr=0.5, schedule=schedule)
        optimizer = make_optimizer([{"params": [parameter]}], options, "cpu")
        course = make_schedule(optimizer, options, 20)
        rates = []
        for _ in range(20):
            rates.append(optimizer.param_groups[0]["lr"])
            parameter.grad = torch.ones(1)
            optimizer.step()
            course.step() if len(rates) < 20 else None
        if schedule == "cosine":
            expected = 0.25 * (1 + np.cos(np.pi * np.arange(20) / 20))
            np.testing.assert_allclose(rates, expected, rtol=1e-6)
        else:
            assert max(rates) == pytest.approx(0.5)
            assert 0 < np.argmax(rates) < 10
            assert rates[-1] < 1e-4
    assert make_schedule(optimizer, TrainingOptions(), 20) is None


def test_a_schedule_runs_to_its_end_and_changes_the_fit(blobs):
    X, y = blobs
    fits = [
        FlatClassifier(schedule=s, accumulate=3, batch_size=8, random_state=0).fit(X, y)
        for s in (None, "cosine", "onecycle")
    ]
    assert len({tuple(_bits(model)) for model in fits}) == 3


# -- batches


@given(n=st.integers(1, 70), size=st.integers(2, 20), shuffle=st.booleans(), ahead=st.booleans())
def test_batches_hold_each_record_once_and_never_one_alone(n, size, shuffle, ahead):
    dataset = RecordDataset(np.arange(n)[:, None], target=np.arange(n))
    with torch.random.fork_rng(devices=[]):
        batches = list(Batches(dataset, size, shuffle=shuffle, prefetch=ahead))
    seen = np.concatenate([x.numpy()[:, 0] for x, _ in batches])
    targets = np.concatenate([t.numpy() for _, (t, _) in batches])
    assert len(batches) == len(Batches(dataset, size))
    assert sorted(seen) == list(range(n))
    np.testing.assert_array_equal(seen, targets)
    assert n == 1 or min(len(x) for x, _ in batches) >= 2
    assert max(len(x) for x, _ in batches) <= size + 1


@pytest.mark.parametrize("order", ["whole", "part", "turned"])
def test_pinned_batches_hold_the_same_records(monkeypatch, order):
    """What a GPU would get, with the pinning itself, which needs one, left out."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(len(x)) or x.clone())
    index = {"whole": None, "part": np.arange(3, 20), "turned": np.arange(20)[::-1]}[order]
    X = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    X.flags.writeable = False
    dataset = RecordDataset(X, target=np.arange(20), index=index)
    plain = list(Batches(dataset, 6))
    for prefetch in (False, True):
        for (x, y), (x_pinned, y_pinned) in zip(
            plain, Batches(dataset, 6, prefetch=prefetch, pin=True), strict=True
        ):
            assert torch.equal(x, x_pinned)
            assert torch.equal(y[0], y_pinned[0])
    assert sum(pinned) == 2 * len(dataset)


def _spilled(X, tmp_path):
    np.save(tmp_path / "x.npy", X)
    return Rows.from_cells([f"{tmp_path / 'x.npy'}#{i}" for i in range(len(X))])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_file_train_to_the_same_bits(tmp_path, dtype):
    X = np.random.default_rng(0).normal(size=(20, 3, 7)).astype(dtype)
    y = np.arange(20) % 2
    array = FlatClassifier(random_state=0, precision="float32").fit(X, y)
    rows = clone(array).fit(_spilled(X, tmp_path), y)
    assert _bits(array) == _bits(rows)
    np.testing.assert_array_equal(
        array.predict_proba(X), rows.predict_proba(_spilled(X, tmp_path)[:])
    )


def test_nan_in_a_later_row_of_a_file_is_found(tmp_path):
    X = np.ones((20, 3, 7))
    X[17, 1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        FlatClassifier().fit(_spilled(X, tmp_path), np.arange(20) % 2)


def test_shapes_are_compared(tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 3, 7))
    model = FlatClassifier().fit(X, np.arange(12) % 2)
    with pytest.raises(ValueError, match="3 leads, 7 samples per record"):
        model.predict(X[:, :, :6])
    with pytest.raises(ValueError, match="uint8"):
        model.predict(X.astype(np.uint8))


# -- labels, groups, early stopping


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 17], [0.5, 2.5], ["ü", "ß"]])
def test_any_type_of_label(labels):
    X, codes = make_blobs(40, centers=2, n_features=3, random_state=0)
    if labels == [0.5, 2.5]:
        with pytest.raises(ValueError, match="continuous"):
            FlatClassifier().fit(X, np.array(labels)[codes])
        return
    y = np.array(labels)[codes]
    model = FlatClassifier(lr=0.1, max_epochs=30, random_state=0).fit(X, y)
    assert model.predict(X).dtype == y.dtype
    assert list(model.classes_) == sorted(labels)
    assert model.score(X, y) > 0.9


def test_one_class_left_by_the_weights():
    X, y = np.ones((4, 2)), [0, 0, 1, 1]
    with pytest.raises(ValueError, match="one class: \\[1\\]"):
        FlatClassifier().fit(X, y, sample_weight=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="no record|zero"):
        FlatClassifier().fit(X, y, sample_weight=[0, 0, 0, 0])


class Watched(FlatClassifier):
    """Keeps the two sides of the inner split."""

    def _fit_net(self, train, valid, n_outputs, seed):
        self.sides_ = train.index, valid.index
        super()._fit_net(train, valid, n_outputs, seed)


def test_the_inner_split_tears_no_patient():
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(60, 2)), np.arange(60) % 20 // 10, np.arange(60) % 20
    weight = np.where(groups == 3, 0, 1)
    model = Watched(early_stopping=True, max_epochs=1).fit(X, y, weight, groups=groups)
    train, valid = model.sides_
    assert sorted([*train, *valid]) == list(np.flatnonzero(groups != 3))
    assert not set(groups[train]) & set(groups[valid])
    assert set(y[train]) == set(y[valid]) == {0, 1}


def test_the_inner_split_says_when_there_is_none():
    with pytest.raises(ValueError, match="early_stopping=True cannot hold out 20% .*one patient"):
        FlatClassifier(early_stopping=True).fit(
            np.ones((4, 2)), ["a", "a", "b", "b"], groups=[0, 0, 1, 1]
        )


def test_early_stopping_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(60, 30)), rng.integers(0, 2, 60), np.arange(60) // 2
    settings = {"n_hidden": 20, "lr": 0.05, "patience": 4, "random_state": 0}
    model = FlatClassifier(early_stopping=True, max_epochs=200, **settings).fit(X, y, groups=groups)
    losses = [row["valid_loss"] for row in model.history_]
    assert len(losses) == model.best_epoch_ + 4 < 200
    assert model.best_epoch_ == 1 + np.argmin(losses)
    # The state that was kept gives the loss that was printed for that epoch.
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    _, valid = group_holdout(y, groups, size=0.2, random_state=seed)
    proba = model.predict_proba(X[valid])[np.arange(len(valid)), y[valid]]
    assert -np.log(proba).mean() == pytest.approx(min(losses), rel=1e-9)


def test_the_validation_loss_counts_weights_across_batches():
    # Sorted by class: each validation batch holds one class, so that its own weights cancel in it.
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(60, 3)), np.repeat([0, 1], [45, 15]), np.arange(60)
    model = FlatClassifier(
        early_stopping=True,
        class_weight={0: 1.0, 1: 10.0},
        lr=1e-300,
        max_epochs=2,
        batch_size=3,
        validation_fraction=0.4,
        random_state=0,
    )
    model.fit(X, y, groups=groups)
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    _, valid = group_holdout(y, groups, size=0.4, random_state=seed)
    loss = -np.log(model.predict_proba(X[valid])[np.arange(len(valid)), y[valid]])
    expected = np.average(loss, weights=np.where(y[valid] == 1, 10.0, 1.0))
    assert model.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-9)


def test_early_stopping_asks_for_groups_of_the_right_length(blobs):
    X, y = blobs
    with pytest.warns(UserWarning, match="no groups") as record:
        FlatClassifier(early_stopping=True, random_state=0).fit(X, y)
    assert record[0].filename == __file__
    with pytest.raises(ValueError, match="one patient per record in groups: got 7"):
        FlatClassifier().fit(X, y, groups=np.arange(7))


def test_a_run_that_learned_nothing_says_so(blobs):
    X, y = blobs
    with pytest.warns(UserWarning, match=r"learned nothing: after 8 epochs .* 1.0986 is that") as w:
        FlatClassifier(lr=1e-12, max_epochs=8, random_state=0).fit(0 * X, y)
    assert w[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FlatClassifier(lr=0.05, max_epochs=8, random_state=0).fit(X, y)


def test_a_search_without_routing_is_told_the_two_lines(blobs):
    X, y = blobs
    search = GridSearchCV(FlatClassifier(early_stopping=True, max_epochs=1), {"lr": [0.1]}, cv=2)
    groups = np.arange(len(y)) // 2
    lines = r"enable_metadata_routing=True\)\n +search.fit\(X, y, gr"
    with pytest.raises(ValueError, match=lines):
        search.set_params(error_score="raise").fit(X, y, groups=groups)
    with pytest.raises(ValueError, match=lines):
        cross_validate(search.estimator, X, y, groups=groups, error_score="raise")
    with pytest.warns(UserWarning, match=lines):  # nobody spoke of patients
        search.fit(X, y)
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*no groups")
        search.set_params(cv=GroupKFold(2)).fit(X, y, groups=np.arange(len(y)) // 2)


class Spy(FlatClassifier):
    seen = []

    def _check_targets(self, X, y, sample_weight, groups):
        Spy.seen.append((len(X), None if groups is None else len(groups)))
        return super()._check_targets(X, y, sample_weight, groups)


def test_groups_reach_the_fits_of_a_search(blobs):
    from sklearn import config_context

    X, y = blobs
    groups = np.arange(60) // 3
    Spy.seen.clear()
    model = GridSearchCV(Spy(max_epochs=1), {"lr": [0.1, 0.01]}, cv=GroupKFold(2))
    with config_context(enable_metadata_routing=True):
        cross_validate(
            model, X, y, params={"groups": groups}, cv=GroupKFold(2), error_score="raise"
        )
    assert len(Spy.seen) == 2 * (2 * 2 + 1)
    assert all(n == n_groups for n, n_groups in Spy.seen)


# -- seeds and global state


def _global_state():
    return (
        np.random.mtrand._rand.get_state()[1].tobytes(),
        random.getstate(),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_global_generators_are_left_alone(blobs, early_stopping):
    X, y = blobs
    model = FlatClassifier(n_hidden=4, dropout=0.5, early_stopping=early_stopping, random_state=0)
    before = _global_state()
    model.fit(X, y, groups=np.arange(60))
    model.predict(X)
    assert _global_state() == before
    with forked_rng(0, torch.device("cpu")):
        torch.rand(3)
        np.testing.assert_array_equal(torch.initial_seed(), 0)
    assert _global_state() == before


def test_the_seed_decides_and_nothing_else(blobs):
    X, y = blobs
    model = FlatClassifier(n_hidden=4, dropout=0.5, random_state=0)
    first = _bits(model.fit(X, y))
    torch.manual_seed(99)
    assert _bits(clone(model).fit(X, y)) == first
    assert _bits(model.fit(X, y)) == first
    assert _bits(clone(model).set_params(random_state=1).fit(X, y)) != first
    rng = np.random.RandomState(0)
    assert _bits(clone(model).set_params(random_state=rng).fit(X, y)) == first
    assert _bits(clone(model).set_params(random_state=rng).fit(X, y)) != first


# -- failures


def test_a_loss_that_is_not_finite_stops_with_step_and_rate():
    X = 1e10 * np.random.default_rng(0).normal(size=(40, 3))
    model = FlatClassifier(lr=1e300, batch_size=10, max_epochs=3)
    with pytest.raises(
        FloatingPointError, match=r"FlatClassifier .* at epoch 1, step [2-4] of 4, .*rate 1e\+300"
    ):
        model.fit(X, np.arange(40) % 2)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_answers_that_are_no_numbers_are_refused(blobs):
    X, y = blobs
    model = FlatClassifier(precision="float32", random_state=0).fit(X, y)
    X = X.copy()
    X[[3, 7]] = [[1e39, -1e39, 1e39, -1e39]]  # finite in X, infinite in float32
    with pytest.raises(ValueError, match="FlatClassifier .* 2 of 60 records, .* record 3"):
        model.predict(X)


def test_a_validation_loss_that_is_not_finite_stops():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = Watched(early_stopping=True, max_epochs=1, random_state=0)
    held_out = model.fit(X, np.arange(40) % 2, groups=np.arange(40)).sides_[1]
    X[held_out] *= 1e300  # infinite in float32
    model.set_params(precision="float32")
    with pytest.raises(FloatingPointError, match="validation loss of Watched .* epoch 1"):
        model.fit(X, np.arange(40) % 2, groups=np.arange(40))


def test_ctrl_c_is_not_swallowed(blobs):
    with pytest.raises(KeyboardInterrupt):
        InterruptedClassifier().fit(*blobs)


def test_a_second_fit_starts_anew(blobs):
    X, y = blobs
    model = FlatClassifier(early_stopping=True, random_state=0).fit(X, y, groups=np.arange(60))
    model.set_params(early_stopping=False).fit(X[:, :2], y == "a")
    assert model.module_(torch.zeros(1, 2).double()).shape == (1, 2)
    assert not hasattr(model, "best_epoch_")
    with pytest.raises(ValueError):
        model.fit(X * np.nan, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"device": "cuda:99"}, "torch sees .* CUDA"),
        ({"device": "toaster"}, "'cpu', 'cuda'"),
        ({"device": "meta"}, "'cpu', 'cuda'"),
        ({"device": "mps"}, "'cpu', 'cuda'"),
        ({"precision": "float16"}, "precision"),
        ({"batch_size": 1}, "batch_size"),
        ({"validation_fraction": 0.8}, "validation_fraction"),
        ({"schedule": "linear"}, "schedule"),
    ],
)
def test_bad_parameters(blobs, params, message):
    with pytest.raises(ValueError, match=message):
        FlatClassifier(**params).fit(*blobs)


# -- devices, precision, progress, pickles


def test_auto_says_which_device_it_took(blobs):
    model = FlatClassifier(device="auto", precision="float32").fit(*blobs)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert model.device_ == str(resolve_device("auto")) == expected


@pytest.mark.parametrize("precision", ["float32", "bf16", "float64"])
def test_precision(blobs, precision):
    X, y = blobs
    model = FlatClassifier(n_hidden=4, lr=0.05, max_epochs=30, precision=precision, random_state=0)
    proba = model.fit(X, y).predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-15)
    weight = next(model.module_.parameters())
    assert weight.dtype == (torch.float64 if precision == "float64" else torch.float32)
    reference = clone(model).set_params(precision="float64").fit(X, y).predict_proba(X)
    error = np.abs(proba - reference).max()
    assert error <= {"float32": 1e-4, "bf16": 0.05, "float64": 0}[precision]
    if precision == "bf16":
        assert error > 1e-4  # or it was not in bf16


def test_progress_and_time_left(blobs, capsys):
    FlatClassifier(verbose=1, max_epochs=3).fit(*blobs)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "FlatClassifier" in shown.err
    assert "epoch 3/3, loss" in shown.err
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown.err)
    FlatClassifier().fit(*blobs)
    assert capsys.readouterr().err == ""


def test_a_pickle_holds_the_weights_once_and_no_data(blobs):
    X, y = blobs
    X = np.hstack([X, np.zeros((60, 496))])
    model = FlatClassifier(n_hidden=200, early_stopping=True).fit(X, y, groups=np.arange(60))
    n_bytes = sum(p.numel() * 8 for p in model.module_.parameters())
    data = pickle.dumps(model)
    assert len(data) < n_bytes + 20_000
    for copied in (pickle.loads(data), copy.deepcopy(model)):
        np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    clone(pickle.loads(data)).fit(X, y, groups=np.arange(60))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_model_trained_on_a_gpu_loads_on_a_cpu(blobs, monkeypatch):
    X, y = blobs
    model = FlatClassifier(n_hidden=4).fit(X, y)
    expected = model.predict_proba(X)
    # What a pickle of CUDA tensors says about where they were.
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    model.device_ = model.net_.device = "cuda:0"
    data = pickle.dumps(model)
    bare = pickle.dumps(model.module_)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="CUDA"):
        pickle.loads(bare)
    with pytest.warns(UserWarning, match="no.* available"):
        loaded = pickle.loads(data)
    assert loaded.device_ == "cpu"
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_warmup_rises_over_a_tenth_and_falls_to_zero():
    factors = [warmup_factor(step, 100) for step in range(101)]
    np.testing.assert_allclose(factors[:10], np.arange(1, 11) / 10)
    assert np.argmax(factors) == 9
    assert (np.diff(factors[9:]) < 0).all()
    assert factors[100] == 0
    assert warmup_factor(0, 1) == 1


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_gradients_are_clipped(clip, monkeypatch):
    seen, clip_norm = [], torch.nn.utils.clip_grad_norm_

    def watch(parameters, largest):
        before = clip_norm(parameters, largest)
        after = torch.cat([p.grad.flatten() for p in parameters]).norm()
        seen.append((float(before), float(after)))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
    module = torch.nn.Linear(3, 2)
    train_network(
        module,
        torch.nn.CrossEntropyLoss(reduction="none"),
        RecordDataset(np.ones((8, 3), np.float32), np.zeros(8, dtype=np.int64)),
        None,
        TrainingOptions(max_epochs=1, batch_size=8, clip_norm=clip),
        prepare=lambda x, training: x,
        groups=[{"params": list(module.parameters())}],
        device="cpu",
        name="test",
    )
    assert len(seen) == (clip is not None)
    for before, after in seen:
        assert before > 1e-3
        assert after == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(
    "name",
    [
        "FCNClassifier",
        "LSTMFCNClassifier",
        "ResNet1dClassifier",
        "InceptionTimeClassifier",
        "ResNetClassifier",
        "SimCLR",
        "ModuleClassifier",
        "ECGFMClassifier",
        "ECGFMPretraining",
    ],
)
def test_every_network_can_clip(name):
    cls = getattr(neural, name)
    given = {"module": torch.nn.Identity} if name == "ModuleClassifier" else {}
    assert TrainingOptions.of(cls(**given, clip_norm=0.25)).clip_norm == 0.25
    with pytest.raises(ValueError, match="'clip_norm' parameter"):
        cls(**given, clip_norm=0.0).fit(np.ones((4, 64)), [0, 1, 0, 1])
