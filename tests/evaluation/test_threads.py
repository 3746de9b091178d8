import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info

from crtkit.evaluation.models import prepare
from crtkit.evaluation.workers import pinned_threads, resolve_threads


def counts():
    return {info["filepath"]: info["num_threads"] for info in threadpool_info()}


@pytest.mark.parametrize("n", [1, 2])
def test_every_library_is_pinned_and_put_back(n, monkeypatch):
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = counts(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    with pinned_threads(n):
        assert set(counts().values()) == {n}
        assert torch.get_num_threads() == n
        assert os.environ["MKL_NUM_THREADS"] == str(n)
    assert (counts(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == before
    assert "MKL_NUM_THREADS" not in os.environ


def test_torch_imported_inside_a_fit_is_pinned_too():
    code = """
import sys
from crtkit.evaluation.workers import pinned_threads
assert "torch" not in sys.modules
with pinned_threads(1):
    import torch
    assert torch.get_num_threads() == 1
assert torch.get_num_threads() == 2, torch.get_num_threads()
"""
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


def test_put_back_after_an_error():
    before = counts()
    with pytest.raises(ZeroDivisionError), pinned_threads(1):
        raise ZeroDivisionError
    assert counts() == before


def test_threads_by_default():
    assert resolve_threads(None, 2) == 1
    assert resolve_threads(None, 1) == resolve_threads(None, None) >= 1
    assert resolve_threads(3, 2) == 3
    with pytest.raises(ValueError, match="whole number >= 1"):
        resolve_threads(1.5, 1)


def test_lightgbm_is_pinned_wherever_it_stands():
    inner = LGBMClassifier(force_col_wise=True)
    model = GridSearchCV(
        make_pipeline(LGBMClassifier(), inner),
        {"lgbmclassifier-2": [LGBMClassifier(num_leaves=5), LogisticRegression()]},
    )
    ready = prepare(model, np.random.SeedSequence(1), 3)
    candidate = ready.param_grid["lgbmclassifier-2"][0]
    first, second = ready.estimator[0].get_params(), ready.estimator[1].get_params()
    for params in (first, second, candidate.get_params()):
        assert params["n_jobs"] == 3
        assert params["deterministic"]
        assert isinstance(params["random_state"], int)
    assert first["force_row_wise"]
    assert second["force_col_wise"]
    assert not second.get("force_row_wise")
    assert inner.get_params()["random_state"] is None


def test_seeds_differ_within_a_model_and_between_seeds():
    model = make_pipeline(LogisticRegression(), LogisticRegression(random_state=5))
    draws = [
        [step.random_state for step in prepare(model, np.random.SeedSequence(0, spawn_key=k), 1)]
        for k in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert draws[0] == draws[3]
    assert len({tuple(d) for d in draws}) == 3
    assert len({x for d in draws for x in d}) == 6


def test_frozen_models_are_left_as_they_are():
    fitted = FrozenEstimator(LogisticRegression(random_state=1).fit([[0], [1]], [0, 1]))
    model = make_pipeline(fitted)
    assert prepare(model, np.random.SeedSequence(0), 1)[0] is fitted
    assert clone(model)[0].estimator.random_state == 1
