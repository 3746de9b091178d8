"""Attribution of signal networks: exact where it must be, honest where it cannot be."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

import crtkit as ck
from crtkit.explain import attribute, layers_without_rule, signal_lead_share, wave_share
from crtkit.explain.attribution import METHODS
from crtkit.neural import (
    ECGFMClassifier,
    FCNClassifier,
    InceptionTimeClassifier,
    LSTMFCNClassifier,
    ResNet1dClassifier,
    wrap_module,
)
from crtkit.resampling import HeldOutThreshold, ResampledClassifier

FS = 100
V2 = 7


class Linear(FCNClassifier):
    """A network that is one linear layer."""

    def _make_module(self, n_outputs, shape_in):
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape_in)), n_outputs))

    def _to_input(self, batch):
        return batch


def make_planted(n, rng, n_samples=400):
    """Beats in twelve leads; the label is the sign of the QRS in V2, and nothing else.

    Returns
    -------
    X, y, qrs
        With QRS onsets and offsets in seconds.
    """
    t = np.arange(n_samples) / FS
    X = 0.1 * rng.standard_normal((n, 12, n_samples)).astype("f4")
    y = np.tile([0, 1], n // 2)
    qrs = []
    for i in range(n):
        starts = np.arange(0.3 + 0.3 * rng.random(), t[-1] - 0.5, 0.9)
        for start in starts:
            spike = np.exp(-(((t - start - 0.06) / 0.02) ** 2))
            wave = np.exp(-(((t - start - 0.35) / 0.05) ** 2))
            X[i] += np.outer(rng.normal(0, 0.6, 12), spike) + np.outer(rng.normal(0, 0.3, 12), wave)
            X[i, V2] += (2 * y[i] - 1) * 1.2 * spike
        qrs.append((starts, starts + 0.12))
    return X, y, qrs


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 10)
    X = rng.normal(size=(20, 3, 96))
    X[y == 1, 1] += np.sin(np.arange(96) / 5)
    return X, y


def fit(model, toy):
    """In float64: whether maps add up is a matter of the method, not of rounding."""
    return model.set_params(max_epochs=4, random_state=0, lr=1e-2, precision="float64").fit(*toy)


SMALL = {
    "fcn": FCNClassifier(n_filters=(6, 6, 6)),
    "resnet": ResNet1dClassifier(n_filters=(6, 6)),
    "lstm": LSTMFCNClassifier(n_filters=(6, 6, 6)),
    "inception": InceptionTimeClassifier(n_filters=4, bottleneck_size=4, depth=3, kernel_size=8),
    "ecgfm": ECGFMClassifier(size="tiny", fs=96),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_model_is_explained_exactly(toy, method):
    model = fit(Linear(), toy)
    weight = model.module_[1].weight.detach().numpy()
    expected = (weight[1] - weight[0]).reshape(3, 96) * toy[0]
    result = attribute(model, toy[0], method=method, window=1, random_state=0)
    np.testing.assert_allclose(result.maps, expected, atol=1e-10)
    # Captum keeps the weights of integrated gradients in single precision.
    assert np.abs(result.completeness_error).max() < 1e-6
    other = attribute(model, toy[0], method=method, window=1, target=0)
    np.testing.assert_allclose(other.maps, -expected, atol=1e-10)


def test_the_difference_is_that_of_the_log_odds(toy):
    model = fit(SMALL["fcn"], toy)
    p = model.predict_proba(toy[0])
    p0 = model.predict_proba(np.zeros_like(toy[0][:1]))
    log_odds = np.log(p[:, 1] / p[:, 0]) - np.log(p0[:, 1] / p0[:, 0])
    np.testing.assert_allclose(attribute(model, toy[0]).difference, log_odds, atol=1e-9)


@pytest.mark.parametrize("name", ["fcn", "resnet"])
@pytest.mark.parametrize("baseline", ["zero", "mean", "records"])
def test_deeplift_adds_up_although_the_networks_reuse_one_relu(toy, name, baseline):
    model = fit(SMALL[name], toy)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        result = attribute(model, toy[0], baseline=baseline, n_draws=3, random_state=0)
    assert np.abs(result.completeness_error).max() < 1e-9 * max(1, np.abs(result.difference).max())
    assert result.note == ""


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("fcn", []),
        ("lstm", ["LSTM"]),
        ("inception", ["MaxPool1d"]),
        ("ecgfm", ["GELU", "GroupNorm", "LayerNorm"]),
    ],
)
def test_deeplift_warns_of_layers_that_it_has_no_rule_for(toy, name, layers):
    model = fit(SMALL[name], toy)
    assert layers_without_rule(model.module_) == layers
    if layers:
        with pytest.warns(UserWarning, match=f"no rule for {', '.join(layers)}"):
            assert attribute(model, toy[0][:4]).note


def test_deeplift_of_ecgfm_is_gradient_times_input_and_sums_to_nothing(toy):
    model = fit(SMALL["ecgfm"], toy)
    x = torch.tensor(toy[0][:5], requires_grad=True)
    logits = model.module_.eval()(x)
    (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
    with pytest.warns(UserWarning, match="does not see a record's gain"):
        result = attribute(model, toy[0][:5])
    expected = (gradient * x).detach().numpy()
    np.testing.assert_allclose(result.maps, expected, atol=1e-9 * np.abs(expected).max())
    assert np.abs(result.maps.sum((1, 2))).max() < 1e-3 * np.abs(result.maps).sum((1, 2)).min()


class Functional(nn.Module):
    """One hidden layer whose activation is a function, or a module."""

    def __init__(self, n_leads, n_samples, n_outputs, as_module):
        super().__init__()
        self.first = nn.Linear(n_leads * n_samples, 16)
        nn.init.constant_(self.first.bias, -0.5)  # off at the baseline, on at some records
        self.last = nn.Linear(16, n_outputs)
        self.act = nn.ReLU() if as_module else None

    def forward(self, x):
        h = self.first(x.flatten(1))
        return self.last(h.relu() if self.act is None else self.act(h))


@pytest.mark.parametrize("as_module", [True, False])
def test_activations_that_are_functions_are_told_by_the_completeness_error(toy, as_module):
    model = fit(wrap_module(Functional, module_params={"as_module": as_module}), toy)
    assert layers_without_rule(model.module_) == []
    if as_module:
        assert attribute(model, toy[0]).relative_error.max() < 1e-9
        return
    with pytest.warns(UserWarning, match=r"calls as functions .* nn.ReLU\(\) of its own"):
        result = attribute(model, toy[0])
    exact = attribute(model, toy[0], method="integrated_gradients", n_steps=256)
    assert np.median(exact.relative_error) < 0.1 * np.median(result.relative_error)


def test_deeplift_is_captums_on_the_module_form_and_a_gradient_on_the_other(toy):
    """Written out with captum: a rule for nn.ReLU, the plain gradient for a function."""
    from captum.attr import DeepLift

    model = fit(wrap_module(Functional, module_params={"as_module": True}), toy)
    module = model.module_.eval()
    as_function = Functional(*toy[0].shape[1:], len(model.classes_), as_module=False)
    as_function.load_state_dict(module.state_dict())
    as_function = as_function.to(next(module.parameters()).dtype).eval()
    x = torch.as_tensor(toy[0][:6], dtype=next(module.parameters()).dtype)

    class LogOdds(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, batch):
            logits = self.network(batch)
            return logits[:, 1] - logits[:, 0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ruled = DeepLift(LogOdds(module)).attribute(x, torch.zeros_like(x)).detach().numpy()
        plain = DeepLift(LogOdds(as_function)).attribute(x, torch.zeros_like(x)).detach().numpy()
    scale = np.abs(ruled).max()
    np.testing.assert_allclose(attribute(model, toy[0][:6]).maps, ruled, atol=1e-9 * scale)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(LogOdds(as_function)(x).sum(), x)
    np.testing.assert_allclose(plain, (gradient * x).detach().numpy(), atol=1e-9 * scale)
    # The functions are one and the same; only what DeepLIFT can see of them differs.
    assert np.abs(ruled - plain).max() > 1e-3 * scale


@pytest.mark.parametrize("name", ["lstm", "inception", "ecgfm"])
def test_integrated_gradients_between_records_add_up(toy, name):
    model = fit(SMALL[name], toy)
    result = attribute(
        model,
        toy[0][:6],
        method="integrated_gradients",
        baseline=toy[0][10:12],
        n_steps=100,
    )
    assert np.median(result.relative_error) < 0.02


def test_a_pipeline_and_what_is_around_it_are_taken_off(toy):
    X = np.repeat(toy[0], 4, axis=1)
    chain = make_pipeline(
        ck.LeadFilter(fs=500, highpass=0.5, mains=None), FCNClassifier(n_filters=(4, 4, 4))
    )
    chain.set_params(fcnclassifier__max_epochs=2, fcnclassifier__random_state=0)
    model = HeldOutThreshold(ResampledClassifier(chain, random_state=0), random_state=0)
    model.fit(X, toy[1])
    inner = model.estimator_.estimator_
    result = attribute(model, X[:3])
    np.testing.assert_allclose(result.inputs, inner[0].transform(X[:3]))
    np.testing.assert_allclose(result.maps, attribute(inner[-1], result.inputs).maps)
    assert np.asarray(result).shape == X[:3].shape


def test_random_methods_repeat_and_leave_global_generators_alone(toy):
    model = fit(SMALL["fcn"], toy)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b, c = (
            attribute(model, toy[0], method="gradient_shap", random_state=seed).maps
            for seed in (0, 0, 1)
        )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_attribution_leaves_the_model_as_it_is(toy):
    model = fit(SMALL["resnet"], toy)
    before = model.predict_proba(toy[0])
    names = [name for name, _ in model.module_.named_modules()]
    attribute(model, toy[0])
    assert [name for name, _ in model.module_.named_modules()] == names
    assert all(p.requires_grad for p in model.module_.parameters())
    np.testing.assert_array_equal(model.predict_proba(toy[0]), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lime"}, "method must be one of"),
        ({"baseline": "records", "n_draws": 0}, "n_draws must be 1 or more, got 0"),
        ({"method": "occlusion", "window": 0}, "window must be 1 or more"),
        ({"target": 7}, "no class 7"),
        ({"baseline": "noise"}, "baseline must be one of"),
        ({"baseline": np.zeros((3, 5))}, "a baseline must be finite and of shape"),
    ],
)
def test_bad_options_are_named(toy, options, message):
    with pytest.raises(ValueError, match=message):
        attribute(fit(SMALL["fcn"], toy), toy[0], **options)


def test_other_models_are_refused(toy):
    flat = toy[0].reshape(20, -1)
    with pytest.raises(TypeError, match="LogisticRegression"):
        attribute(LogisticRegression().fit(flat, toy[1]), flat)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fcn", "resnet"])
def test_a_planted_qrs_in_v2_is_found_and_randomising_the_network_loses_it(kind):
    leads, windows, first, alike = [], [], [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, y, qrs = make_planted(240, rng)
        model = {
            "fcn": FCNClassifier(n_filters=(16, 16, 16), lr=5e-3, weight_decay=1e-2, max_epochs=15),
            "resnet": ResNet1dClassifier(
                n_filters=(8, 16), lr=5e-3, weight_decay=1e-2, max_epochs=10
            ),
        }[kind].set_params(random_state=seed)
        model.fit(X[:220], y[:220])
        result = attribute(model, X[220:], method="integrated_gradients", n_steps=24)
        share = signal_lead_share(result.maps)["share"]
        first.append(share.idxmax())
        leads.append(share["V2"])
        windows.append(wave_share(result.maps, X[220:], FS, qrs=qrs[220:]).loc["QRS", "share"])
        for layer in model.module_.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d)):
                nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = attribute(model, X[220:], method="integrated_gradients", n_steps=24)
        alike.append(np.corrcoef(result.maps.ravel(), other.maps.ravel())[0, 1])
    print(kind, first, np.round(leads, 2), np.round(windows, 2), np.round(alike, 2))
    assert set(first) == {"V2"}
    assert np.median(leads) >= 0.5
    assert np.median(windows) >= 0.5
    assert np.median(np.abs(alike)) < 0.2
