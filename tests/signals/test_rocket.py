"""MiniRocket features against a definition in plain numpy, and in a Pipeline by patient."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.signals import MiniRocketFeatures
from crtkit.testing import parametrize_with_nd_checks

needs_numba = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import numba"], capture_output=True).returncode != 0,
    reason="numba is not installed (pip install 'crtkit[rocket]')",
)
SMALL = MiniRocketFeatures(n_kernels=84, random_state=0)


@needs_numba
@parametrize_with_checks([SMALL])
def test_common_checks(estimator, check):
    check(estimator)


@needs_numba
@parametrize_with_nd_checks([(SMALL, "signals")])
def test_nd_checks(estimator, check):
    check(estimator)


def shares(x, parameters):
    """Features of one record (n_leads, n_samples), by the definition in the paper."""
    n_leads_of, leads, dilations, n_features_of, biases = parameters
    weights = np.full((84, 9), -1.0)
    for row, places in zip(weights, itertools.combinations(range(9), 3)):
        row[list(places)] = 2.0
    out, feature, combination, first = [], 0, 0, 0
    for d, (dilation, n_features) in enumerate(zip(dilations, n_features_of)):
        edge = 4 * dilation
        for k, kernel in enumerate(weights):
            n = n_leads_of[combination]
            chosen = x[leads[first : first + n]].astype(float).sum(0)
            first, combination = first + n, combination + 1
            padded = np.pad(chosen, edge)
            taps = [padded[i * dilation : i * dilation + len(chosen)] for i in range(9)]
            response = kernel @ np.array(taps)
            if (d + k) % 2:  # every other one without the ends, where padding shows
                response = response[edge:-edge]
            for _ in range(n_features):
                out.append((response > biases[feature]).mean())
                feature += 1
    return np.array(out)


@needs_numba
@pytest.mark.parametrize("shape", [(6, 4, 100), (6, 1, 30), (6, 12, 9)])
def test_features_are_those_of_the_definition(shape):
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = MiniRocketFeatures(n_kernels=400, random_state=1).fit(X)
    out = model.transform(X)
    assert out.shape == (6, 336)
    expected = [shares(x, model.rocket_.parameters) for x in X]
    # A response that rounds to its bias counts one sample more or less.
    assert (np.abs(out - expected) > 1e-6).mean() < 0.01


@needs_numba
def test_the_global_generator_is_left_alone_and_a_gain_changes_nothing():
    X = np.random.default_rng(0).normal(size=(8, 3, 64))
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the generator in question
    out = MiniRocketFeatures(n_kernels=168, random_state=0).fit_transform(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    again = MiniRocketFeatures(n_kernels=168, random_state=0).fit_transform(1024 * X)
    np.testing.assert_array_equal(out, again)
    other = MiniRocketFeatures(n_kernels=168, random_state=1).fit_transform(X)
    assert np.abs(out - other).max() > 0.05


@needs_numba
def test_threads_of_others_are_left_alone():
    # In a process of its own: numba starts its threads once.
    code = (
        "import numpy as np, torch\n"
        "from crtkit.signals import MiniRocketFeatures\n"
        "torch.set_num_threads(1)\n"
        "X = np.random.default_rng(0).normal(size=(8, 3, 64))\n"
        "MiniRocketFeatures(n_kernels=84, random_state=0).fit(X).transform(X)\n"
        "print(torch.get_num_threads())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "1"


@needs_numba
def test_ridge_behind_it_tells_rhythms_apart_by_patient():
    rng = np.random.default_rng(0)
    y, groups = np.tile([0, 0, 1, 1], 10), np.arange(40) // 2
    time = np.arange(200) / 100
    X = rng.normal(size=(40, 2, 200)) + np.sin(2 * np.pi * (3 + 2 * y)[:, None, None] * time)
    model = make_pipeline(
        MiniRocketFeatures(n_kernels=840, random_state=0),
        StandardScaler(with_mean=False),
        RidgeClassifier(100),
    )
    assert cross_val_score(model, X, y, groups=groups, cv=GroupKFold(4)).mean() > 0.9


def test_without_numba_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"MiniRocketFeatures needs.*crtkit\[rocket\]"):
        SMALL.fit(np.zeros((4, 2, 30)))
