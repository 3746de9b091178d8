"""AutoencoderFeatures against a bare torch loop with fused Adam on 104 maps.

Goals
-----
1,000 iterations of ``AutoencoderFeatures.fit`` (linear layers 4096-512-64-512-4096, all maps at
once) in at most 1.2 times the time of the bare loop: as a ratio of the peer's time to ours, at
least 1 / 1.2.

Non-goals
---------
Iterations per second on any machine; other batch sizes.
"""

import numpy as np
import torch

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved

GOAL = round(1 / 1.2, 3)
SHAPE = (104, 64, 64)


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        100 iterations and one round, in place of 1,000 and three.

    Returns
    -------
    dict
        ``goals``, ``seconds``, ``ratios``, ``rounds``, final losses of both.
    """
    n_iter = 100 if quick else 1000
    X = np.random.default_rng(0).normal(180, 50, SHAPE).astype(np.float32)
    model = ck.AutoencoderFeatures(max_iter=n_iter, random_state=0)
    losses = {}

    def ours():
        losses["fit"] = model.fit(X).history_[-1]["train_loss"]

    def bare():
        losses["bare loop"] = bare_loop(X, n_iter)

    seconds, ratios, rounds = interleaved(
        {"bare loop": bare, "fit": ours}, repeats=1 if quick else 3
    )
    return {
        "goals": {"fit": against_goal(ratios["fit"], GOAL)},
        "seconds": seconds,
        "ratios": ratios,
        "rounds": rounds,
        "losses": losses,
        "iterations": n_iter,
        "shape": SHAPE,
        "seed": 0,
    }


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
