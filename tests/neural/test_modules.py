"""A module or skorch net of one's own as an estimator, against the checks that ours pass."""

import pickle

import numpy as np
import pytest
import skorch
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetClassifier
from torch import nn

from crtkit.neural import ModuleClassifier, wrap_module
from crtkit.testing import parametrize_with_nd_checks


class Small(nn.Module):
    """One hidden layer on flattened records of any shape."""

    def __init__(self, n_outputs, n_leads=1, n_samples=1, n_hidden=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_leads * n_samples, n_hidden),
            nn.Tanh(),
            nn.Linear(n_hidden, n_outputs),
        )

    def forward(self, x):
        return self.layers(x)


class Picture(nn.Module):
    def __init__(self, n_outputs, n_channels=4):
        super().__init__()
        self.convolution = nn.Conv2d(3, n_channels, 3, padding=1)
        self.head = nn.Linear(n_channels, n_outputs)

    def forward(self, x):
        return self.head(self.convolution(x).relu().mean((2, 3)))


class Soft(nn.Module):
    """As skorch's own examples: sizes fixed, probabilities out."""

    def __init__(self, n_in=60, n_out=2):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)

    def forward(self, x):
        return torch.softmax(self.linear(x.flatten(1)), dim=-1)


def _no_module(n_outputs):
    return n_outputs


class SmallSoft(Small):
    """As skorch wants it: probabilities."""

    def forward(self, x):
        return torch.softmax(super().forward(x), dim=-1)


FAST = {"lr": 0.05, "max_epochs": 60, "batch_size": 256, "precision": "float64", "random_state": 0}


@parametrize_with_checks([wrap_module(Small, **FAST)])
def test_sklearn(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [
        (wrap_module(Small, **{**FAST, "max_epochs": 3}), "signals"),
        # A skorch net, by one call.
        (
            wrap_module(NeuralNetClassifier(SmallSoft, lr=0.05, max_epochs=3), random_state=0),
            "signals",
        ),
        (wrap_module(Picture, kind="images", **{**FAST, "max_epochs": 3}), "images"),
    ]
)
def test_nd(estimator, check):
    check(estimator)


@pytest.fixture
def records():
    y = np.tile(["no", "yes"], 16)
    X = np.random.default_rng(0).normal(size=(32, 2, 30)) + (y == "yes")[:, None, None]
    return X, y


def test_a_skorch_net_trains_as_skorch_does(records):
    """The same start, full batches, plain SGD: the same probabilities."""
    X, y = records
    codes, flat = (y == "yes").astype(int), X.astype(np.float32)
    net = NeuralNetClassifier(Soft, module__n_in=60, lr=0.1, max_epochs=7, batch_size=32)
    model = wrap_module(net, random_state=0)
    assert (model.outputs, model.optimizer, model.lr) == ("probabilities", "sgd", 0.1)
    start = Soft()
    model.set_params(module=start, module_params=None).fit(flat, codes)
    # skorch trains the module that it is given.
    net = NeuralNetClassifier(start, lr=0.1, max_epochs=7, train_split=None, verbose=0)
    net.fit(flat, codes)
    np.testing.assert_allclose(model.predict_proba(flat), net.predict_proba(flat), rtol=1e-4)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_skorch_net_keeps_the_decay_that_its_optimizer_has(optimizer):
    net = NeuralNetClassifier(Soft, module__n_in=60, optimizer=optimizer)
    [group] = net.initialize().optimizer_.param_groups
    assert wrap_module(net).weight_decay == group["weight_decay"]
    net = NeuralNetClassifier(Soft, optimizer=optimizer, optimizer__weight_decay=0.3)
    assert wrap_module(net).weight_decay == 0.3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"callbacks": [skorch.callbacks.EarlyStopping()]}, "callbacks"),
        ({"criterion": nn.MSELoss}, "criterion"),
        ({"optimizer": torch.optim.RMSprop}, "optimizer"),
        ({"optimizer__momentum": 0.9}, "optimizer__momentum=0.9"),
    ],
)
def test_what_cannot_be_carried_over_is_named(params, message):
    with pytest.raises(ValueError, match=f"NeuralNetClassifier: .*{message}"):
        wrap_module(NeuralNetClassifier(Soft, **params))


def test_a_module_goes_on_from_its_weights_and_is_left_alone(records):
    X, y = records
    module = Small(2, 2, 30)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    model = wrap_module(module, lr=1e-9, max_epochs=1, random_state=0).fit(X, y)
    for name, value in model.module_.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)
    wrap_module(module, lr=0.1, max_epochs=3, random_state=0).fit(X, y)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_it_is_searched_over_and_pickled(records):
    X, y = records
    model = wrap_module(Small, module_params={"n_hidden": 4}, max_epochs=3, random_state=0)
    grid = {"module_params": [{"n_hidden": 2}, {"n_hidden": 6}], "lr": [1e-3, 1e-1]}
    search = GridSearchCV(model, grid, cv=GroupKFold(2)).fit(X, y, groups=np.arange(32) // 2)
    hidden = search.best_params_["module_params"]["n_hidden"]
    assert search.best_estimator_.module_.layers[1].out_features == hidden
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))


@pytest.mark.parametrize(
    ("module", "params", "message"),
    [
        (Small(3, 2, 30), {}, r"return \(n_records, 2\).* it returned \(2, 3\)"),
        (Small(2, 2, 30), {"module_params": {"n_hidden": 2}}, "pass its class"),
        (_no_module, {}, "expects module to make a torch.nn.Module, got a int"),
        (nn.LSTM, {"module_params": {"input_size": 30, "hidden_size": 2}}, "it returned tuple"),
    ],
)
def test_modules_that_do_not_fit_are_named(records, module, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ModuleClassifier(module=module, **params).fit(*records)
