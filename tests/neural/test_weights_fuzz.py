"""Mutated weights files: read as the tensors they hold, or refused by name; nothing is run."""

import resource
import time

import numpy as np
import pytest
import torch

from crtkit.neural import read_weights, save_weights
from crtkit.neural.ecgfm import load_checkpoint

KINDS = ("pth", "old pth", "safetensors")
SECONDS, MEGABYTES = 10, 1000


def weights(kind, folder):
    state = {f"layer{i}.weight": torch.arange(12.0).reshape(3, 4) + i for i in range(5)}
    path = folder / f"w.{'pth' if kind == 'old pth' else kind}"
    if kind == "old pth":
        torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    else:
        module = torch.nn.ModuleDict({f"layer{i}": torch.nn.Linear(4, 3) for i in range(5)})
        save_weights(module, path)
    return path


def fuzz(kind, folder, mutate, seeds):
    path = weights(kind, folder)
    content = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        path.write_bytes(mutate(content, np.random.default_rng(seed)))
        for read in (read_weights, load_checkpoint):
            start, said = time.process_time(), path.name
            try:
                state = read(path)
                if read is read_weights:
                    assert all(isinstance(value, torch.Tensor) for value in state.values()), seed
                    assert sum(v.numel() for v in state.values()) < 10_000, seed
            except ValueError as error:
                said = str(error)
            assert path.name in said, (seed, said)
            assert time.process_time() - start < SECONDS, seed
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEGABYTES * 1000, f"{kind}: {grown / 1000:.0f} MB"


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_weights(kind, tmp_path, mutate):
    fuzz(kind, tmp_path, mutate, range(15))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_weights(kind, tmp_path, mutate):
    fuzz(kind, tmp_path, mutate, range(1000, 1300))
