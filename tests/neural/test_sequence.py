"""The sequence networks, against scikit-learn's checks, ours, and sktime's own modules."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.neural import (
    FCNClassifier,
    InceptionTimeClassifier,
    LSTMFCNClassifier,
    ResNet1dClassifier,
)
from crtkit.testing import parametrize_with_nd_checks

FAST = {"lr": 1e-2, "max_epochs": 30, "random_state": 0}
SMALL = {"n_filters": (8, 8, 8)}
INCEPTION = {"n_filters": 4, "bottleneck_size": 4, "depth": 3}
MODELS = [
    FCNClassifier(**SMALL, **FAST),
    LSTMFCNClassifier(**SMALL, **FAST),
    ResNet1dClassifier(**SMALL, **FAST),
    InceptionTimeClassifier(**INCEPTION, **FAST),
]
BATCH_NORM = {
    "check_sample_weight_equivalence_on_dense_data": (
        "BatchNorm's statistics count records, whatever their weight"
    ),
}


# Subset and weight invariance hold to 1e-7, which only float64 can show.
@parametrize_with_checks(
    [clone(model).set_params(precision="float64") for model in MODELS],
    expected_failed_checks=lambda estimator: BATCH_NORM,
)
def test_common_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [(clone(model).set_params(max_epochs=3, precision="float64"), "signals") for model in MODELS]
)
def test_nd_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_the_network_is_not_linear(model, make_signals):
    X = make_signals(8, 3, 40)
    module = clone(model).fit(X, np.arange(8) % 2).module_.eval().double()
    x = torch.from_numpy(X).double().transpose(1, 2)
    with torch.no_grad():
        at = [module(scale * x) for scale in (0.0, 1.0, 2.0)]
    # The middle of a straight line is the mean of its ends.
    assert (at[1] - (at[0] + at[2]) / 2).abs().max() > 1e-3
    assert any(isinstance(part, torch.nn.ReLU) for part in module.modules()) or any(
        isinstance(getattr(module, name, None), torch.nn.ReLU) for name in dir(module)
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_logits_are_not_clipped(model, make_signals):
    X = make_signals(16, 3, 40)
    module = clone(model).fit(X, np.arange(16) % 2).module_.eval()
    with torch.no_grad():
        logits = module(torch.from_numpy(X).transpose(1, 2))
    assert logits.min() < 0 < logits.max()


@pytest.mark.parametrize(
    ("model", "n_parameters"),
    [
        # One lead, two classes: sums of kernel x in x out + out, 2 x out for each batch norm.
        (FCNClassifier(), 1_152 + 256 + 164_096 + 512 + 98_432 + 256 + 258),
        (LSTMFCNClassifier(), 1_152 + 256 + 164_096 + 512 + 98_432 + 256 + 352 + 274),
    ],
)
def test_the_papers_sizes_are_the_defaults(model, n_parameters):
    module = model._make_module(2, (100,))
    assert sum(p.numel() for p in module.parameters()) == n_parameters
    assert (model.lr, model.max_epochs, model.optimizer) == (5e-6, 100, "adam")


def test_kernels_of_inception_time():
    module = InceptionTimeClassifier()._make_module(2, (12, 100))
    kernels = {m.kernel_size[0] for m in module.modules() if isinstance(m, torch.nn.Conv1d)}
    assert {10, 20, 40} <= kernels
    assert len(module.shortcut_layers) == 2


def test_search_by_patient_and_pickle(make_signals):
    X, y = make_signals(24, 2, 32), np.tile(["no", "yes"], 12)
    groups = np.repeat(np.arange(12), 2)
    X[y == "yes"] += 1
    model = FCNClassifier(n_filters=(4, 4, 4), lr=1e-2, max_epochs=5, random_state=0)
    search = GridSearchCV(model, {"kernel_sizes": [(8, 5, 3), (3, 3, 3)]}, cv=GroupKFold(3))
    search.fit(X, y, groups=groups)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert set(search.predict(X)) <= {"no", "yes"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_filters": (8, 8)}, "of one length"),
        ({"n_filters": (8, 0, 8)}, "positive integers"),
        ({"kernel_sizes": ()}, "of one length"),
        ({"n_filters": 8}, "n_filters"),
    ],
)
def test_bad_sizes(parameters, message, make_signals):
    model = FCNClassifier(**{**SMALL, **parameters}, max_epochs=1)
    with pytest.raises(ValueError, match=message):
        model.fit(make_signals(4, 1, 20), [0, 1, 0, 1])
