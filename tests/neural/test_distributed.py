"""Pretraining in two processes over gloo, started by torchrun: what one process gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import crtkit
from crtkit.neural import several_devices
from crtkit.neural.batches import RecordDataset
from crtkit.neural.distributed import ShardedBatches, mean_over_devices

CHILD = Path(__file__).with_name("distributed_child.py")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(crtkit.__file__).parents[1]),
    }
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*launch, str(CHILD), str(folder)], env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simclr", "cmsc", "contrastive", "quantizer", "recompute"])
def test_gradients_are_those_of_one_process(result, name):
    """Each record is contrasted with the whole batch, and statistics are those of the batch."""
    assert result[name] < 1e-6


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bits(result):
    assert result["resumed"]
    assert result["same_in_all"]
    (file,) = result["files"]
    assert file.endswith("-of2.pt")


@pytest.mark.slow
def test_the_network_is_an_ordinary_one_afterwards(result):
    assert not any("distributed" in module for module in result["classes"])


@pytest.mark.slow
def test_a_batch_that_does_not_divide_is_refused(result):
    assert "batch_size=3" in result["refused"]
    assert "multiple" in result["refused"]


def test_without_torchrun_it_says_how_to_start(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RuntimeError, match="torchrun --nproc-per-node"), several_devices():
        pass


def test_alone_nothing_is_shared():
    x = torch.ones(3)
    assert mean_over_devices(x) is x
    order = ShardedBatches(RecordDataset(np.arange(7)), 2, seed=0, epoch=0, shuffle=True)
    first, second = ([x.tolist() for x, _ in order] for _ in range(2))
    # The last of seven would be a batch of one, and joins the batch before it.
    assert [len(batch) for batch in first] == [2, 2, 3]
    assert sorted(sum(first, [])) == list(range(7))
    assert first != second
    again = ShardedBatches(RecordDataset(np.arange(7)), 2, seed=0, epoch=1, shuffle=True)
    assert [x.tolist() for x, _ in again] == second


def test_recomputed_layers_give_the_same_gradient():
    """In one process: memory is what differs."""
    from crtkit.neural import ECGFMPretraining

    pool = np.random.default_rng(0).normal(size=(4, 12, 500))
    weights = []
    for recompute in (False, True):
        model = ECGFMPretraining(
            size="tiny", fs=100, max_epochs=2, batch_size=4, random_state=0, recompute=recompute
        ).fit(pool)
        weights.append(torch.cat([p.detach().ravel() for p in model.module_.parameters()]))
    # Dropout is drawn again from the same state of the generator.
    torch.testing.assert_close(*weights, rtol=0, atol=1e-6)
