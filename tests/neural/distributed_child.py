"""What test_distributed.py starts with torchrun: fits together, then alone, and differences."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator

from crtkit.neural import ECGFMPretraining, SimCLR, several_devices
from crtkit.neural.ecgfm import pretraining_network
from crtkit.neural.ecgfm.network import SIZES
from crtkit.neural.pretraining import Checkpoint

RNG = np.random.default_rng(0)
PAGES = RNG.integers(0, 256, (12, 24, 32, 3), dtype=np.uint8)
ECGS = RNG.normal(size=(8, 12, 200))
PATIENTS = np.array([0, 0, 1, 2, 3, 3, 4, 5])


class Shade(BaseEstimator):
    """A view that draws nothing: the same for a record whatever batch it is in."""

    def __init__(self, factor=0.9):
        self.factor = factor

    def __call__(self, batch):
        return batch * self.factor + 0.05 * batch.flip(-1)


def pages(**params):
    defaults = {"width": 8, "projection_dim": 16, "batch_size": 12, "max_epochs": 1}
    defaults |= {"precision": "float64", "random_state": 0, "augment": Shade(), "lr": 1e-3}
    return SimCLR(**{**defaults, **params})


def signals(**params):
    size = replace(SIZES["tiny"], activation_dropout=0.0, dropout=0.0, input_dropout=0.0)
    defaults = {"size": size, "fs": 100, "segment": 1.0, "batch_size": 8, "max_epochs": 1}
    defaults |= {"lead_masking": 0.0, "n_negatives": None, "precision": "float64"}
    return ECGFMPretraining(**{**defaults, "random_state": 0, **params})


def gradients(fitted):
    """Of the one step: they stay until the next one would clear them."""
    parts = [p.grad.ravel() for p in fitted.module_.parameters() if p.grad is not None]
    return torch.cat(parts).double()


def fits():
    """Name -> gradients of one step over a whole pool."""
    fixed = torch.zeros(40, dtype=torch.bool)
    fixed[2:9:2] = True
    # Masks, codes and places that are drawn differ between shards; what is compared must not.
    pretraining_network.span_mask = lambda n, m, **options: fixed[:m].expand(n, m).clone()
    pretraining_network.gumbel_temperature = lambda *args: None
    found = {"simclr": gradients(pages().fit(PAGES))}
    for name, params in {
        "cmsc": {"contrastive": False},
        # One segment of the whole record: a shorter one would begin at a drawn place.
        "contrastive": {"cmsc": False, "quantizer": False, "segment": 2.0},
        "quantizer": {"quantizer": (2, 8, 8)},
        "recompute": {"quantizer": (2, 8, 8), "recompute": True},
    }.items():
        found[name] = gradients(signals(**params).fit(ECGS, groups=PATIENTS))
    return found


def resumed(folder):
    """Weights of four epochs, at once and with an interruption after two."""
    options = {"max_epochs": 4, "batch_size": 4, "augment": None, "precision": "float32"}
    whole = pages(**options).fit(PAGES)
    after = Checkpoint.on_epoch_end

    def stop(self, net, **kwargs):
        after(self, net, **kwargs)
        if len(net.history) == 2:
            raise KeyboardInterrupt

    Checkpoint.on_epoch_end = stop
    try:
        pages(**options, checkpoint_dir=folder).fit(PAGES)
    except KeyboardInterrupt:
        Checkpoint.on_epoch_end = after
    again = pages(**options, checkpoint_dir=folder).fit(PAGES)
    return whole, again


def main(out):
    result = {}
    with several_devices() as number:
        together = fits()
        whole, again = resumed(out / "checkpoints")
        states = [
            torch.cat([v.ravel().double() for v in m.module_.state_dict().values()])
            for m in (whole, again)
        ]
        result["resumed"] = bool(torch.equal(*states))
        mine, shards = states[0], [torch.empty_like(states[0]) for _ in range(2)]
        torch.distributed.all_gather(shards, mine)
        result["same_in_all"] = bool(torch.equal(*shards))
        result["classes"] = sorted({type(m).__module__ for m in whole.module_.modules()})
        try:
            pages(batch_size=3).fit(PAGES)
        except ValueError as error:
            result["refused"] = str(error)
    if number == 0:
        alone = fits()
        for name, gradient in alone.items():
            other = together[name]
            result[name] = float((gradient - other).abs().max() / gradient.abs().max())
        result["files"] = sorted(p.name for p in (out / "checkpoints").iterdir())
        (out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
