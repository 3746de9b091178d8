"""What torch keeps once a process: generators, threads, forks; and sound memory formats."""

import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from crtkit.neural import FCNClassifier, ResNetClassifier
from crtkit.neural.devices import memory_format

TRAIN = """
import sys, numpy as np, torch
from crtkit.neural import ResNetClassifier
torch.set_num_threads(2)
rng = np.random.default_rng(0)
for width in (8, 12, 16, 24):
    for n, batch_size in ((7, 32), (9, 4)):
        X = rng.integers(0, 256, (n, 112, 112, 3), dtype=np.uint8)
        model = ResNetClassifier(width=width, max_epochs=1, batch_size=batch_size, random_state=0)
        assert np.isfinite(model.fit(X, np.arange(n) % 2).predict_proba(X)).all()
    print(width)
"""


def _run(code, timeout=400):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
    )


@pytest.mark.slow
def test_odd_batches_at_any_width_leave_the_process_alive():
    """In a child: where oneDNN writes past its memory, the process dies."""
    done = _run(TRAIN)
    assert (done.returncode, done.stdout.split()) == (0, ["8", "12", "16", "24"]), done.stderr


def test_channels_are_last_where_that_is_sound():
    def strided(channels, **params):
        return torch.nn.Sequential(torch.nn.Conv2d(channels, 2 * channels, 1, stride=2, **params))

    last, plain = torch.channels_last, torch.contiguous_format
    for channels, precision, expected in (
        (8, "float32", plain),
        (12, "bf16", plain),
        (16, "float32", last),
        (24, "float32", last),
        (8, "float64", last),
    ):
        assert memory_format(strided(channels), "cpu", precision) == expected
    assert memory_format(strided(8), "cuda", "float32") == last
    assert memory_format(strided(16, groups=2), "cpu", "float32") == plain
    assert memory_format(torch.nn.Conv2d(3, 8, 3, stride=2), "cpu", "float32") == last


def test_the_format_does_not_change_what_is_learned():
    X = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    model = ResNetClassifier(width=8, max_epochs=2, batch_size=4, random_state=0)
    plain = model.fit(X, np.arange(8) % 2)
    assert plain.module_.layer2[0].conv1.weight.is_contiguous()
    exact = clone(model).set_params(precision="float64").fit(X, np.arange(8) % 2)
    np.testing.assert_allclose(
        [row["train_loss"] for row in plain.history_],
        [row["train_loss"] for row in exact.history_],
        rtol=1e-3,
    )


# -- threads


def _fit(model, X, y):
    state = model.fit(X, y).module_.state_dict()
    return [value.numpy().tobytes() for value in state.values()]


def test_fits_in_threads_have_the_bits_of_fits_one_after_another(make_signals):
    X, y = make_signals(16, 2, 48), np.arange(16) % 2
    models = [
        FCNClassifier(n_filters=(4, 4, 4), lr=1e-2, max_epochs=3, batch_size=4, random_state=seed)
        for seed in range(8)
    ]
    alone = [_fit(clone(model), X, y) for model in models]
    before = torch.get_rng_state()
    with joblib.parallel_config(backend="threading", n_jobs=4):
        together = joblib.Parallel()(joblib.delayed(_fit)(clone(model), X, y) for model in models)
    assert together == alone
    assert torch.equal(torch.get_rng_state(), before)


# -- forks

FORKED = """
import multiprocessing, sys, numpy as np, torch
from crtkit.neural import FCNClassifier

def fit():
    X = np.random.default_rng(0).normal(size=(64, 4, 500))
    model = FCNClassifier(n_filters=(8, 8, 8), max_epochs=1, random_state=0)
    return model.fit(X, np.arange(64) % 2)

def child(threads):
    if threads:
        torch.set_num_threads(threads)
    try:
        fit()
    except RuntimeError as error:
        print("refused" if "forked" in str(error) else error, flush=True)
    else:
        print("fitted", flush=True)

torch.set_num_threads(2)
fit()
context = multiprocessing.get_context("fork")
for threads in (0, 1):
    worker = context.Process(target=child, args=(threads,))
    worker.start()
    worker.join(60)
    if worker.is_alive():
        worker.kill()
        print("hangs", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_after_a_fit_is_refused_and_not_waited_for():
    done = _run(FORKED)
    assert done.stdout.split() == ["refused", "fitted"], done.stdout + done.stderr[-2000:]
