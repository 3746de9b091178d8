"""AutoencoderFeatures against a bare torch loop with fused Adam on 104 maps.

Goals
-----
1,000 iterations of ``AutoencoderFeatures.fit`` (linear layers n-512-64-512-n, all 104 maps at
once), on the study's maps of 12 x 24 cells and on maps of 32 x 32, each in at most 1.2 times the
time of the bare loop: as a ratio of the peer's time to ours, at least 1 / 1.2.

Non-goals
---------
Iterations per second on any machine; other batch sizes.
"""

import numpy as np
import torch

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved

GOAL = round(1 / 1.2, 3)
SHAPES = {"12 x 24": (104, 12, 24), "32 x 32": (104, 32, 32)}


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        100 iterations and one round, in place of 1,000 and three.

    Returns
    -------
    dict
        ``goals``, and by size of the maps ``seconds``, ``ratios``, ``rounds``, final ``losses`` of
        both.
    """
    n_iter, repeats = (100, 1) if quick else (1000, 3)
    parts = {name: measure(shape, n_iter, repeats) for name, shape in SHAPES.items()}
    return {
        "goals": {
            f"fit, {name}": against_goal(part["ratios"]["fit"], GOAL)
            for name, part in parts.items()
        },
        "sizes": parts,
        "iterations": n_iter,
        "threads": torch.get_num_threads(),
        "seed": 0,
    }


def measure(shape, n_iter, repeats):
    """Times and final losses of both, in turns."""
    X = np.random.default_rng(0).normal(180, 50, shape).astype(np.float32)
    model = ck.AutoencoderFeatures(max_iter=n_iter, random_state=0)
    losses = {}

    def ours():
        losses["fit"] = model.fit(X).history_[-1]["train_loss"]

    def bare():
        losses["bare loop"] = bare_loop(X, n_iter)

    seconds, ratios, rounds = interleaved({"bare loop": bare, "fit": ours}, repeats)
    return {"seconds": seconds, "ratios": ratios, "rounds": rounds, "losses": losses}


def bare_loop(X, n_iter):
    """The peer: the same layers, loss and optimiser, and nothing else."""
    x = torch.from_numpy(X.reshape(len(X), -1))
    mean = x.mean(dim=0)
    x = (x - mean) / (x - mean).square().mean().sqrt()
    sizes = (x.shape[1], 512, 64, 512, x.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])))
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3, fused=True)
    for _ in range(n_iter):
        optimizer.zero_grad(set_to_none=True)
        loss = (layers(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()
