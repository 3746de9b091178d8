"""SimCLR against lightly's published recipe: ResNet-18, 224 x 224 pages, one epoch.

Goals
-----
Twice as many images per second as lightly's recipe on two processor cores (in bf16 where the
processor has it), eight times on a GPU. Views and everything else around the network take at most
10 % of a step on the processor, and leave at least 70 % of the bare network's training rate on a
GPU.

lightly's recipe: its ``SimCLRTransform`` on PIL images in worker processes, its projection head,
its ``NTXentLoss``, float32, the two views through the network one after the other. The bare network
is this estimator's network, optimizer, loss and precision, on views that are ready.

Non-goals
---------
Accuracy; decoding of files (``loader`` has it); several GPUs.
"""

import os

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from benchmarks.speed.resnet import cpu_has_bf16
from crtkit.neural import ProjectionHead, nt_xent_loss
from crtkit.neural.devices import autocast
from crtkit.neural.engine import TrainingOptions, make_optimizer
from crtkit.neural.resnet_network import ResNet


class Pages(Dataset):
    """PIL pages with lightly's transform, in whichever worker asks."""

    def __init__(self, X, size):
        self.X = X
        self.transform = SimCLRTransform(input_size=size)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.X[i]))


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool
        64 x 64 images, few rounds.

    Returns
    -------
    dict
        ``goals``; ``cpu`` and ``gpu``: seconds of an epoch, images per second, ratios. ``gpu`` is
        null without one.
    """
    size, n, batch, repeats = (64, 32, 16, 2) if quick else (224, 48, 16, 2)
    cpu = _measure("cpu", size, n, batch, repeats, cpu_has_bf16())
    seconds, best = cpu["seconds"], cpu["precision"]
    goals = {
        "against lightly, cpu": against_goal(cpu["ratios"]["crtkit"], 2.0),
        "bare network's share of a step, cpu": against_goal(
            min(1.0, seconds["bare"] / seconds["crtkit"]), 0.9
        ),
    }
    gpu = None
    if torch.cuda.is_available():
        n, batch = (512, 128) if quick else (2048, 256)
        gpu = _measure("cuda", size, n, batch, repeats, bf16=True)
        gpu["name"] = torch.cuda.get_device_name()
        share = min(1.0, gpu["seconds"]["bare"] / gpu["seconds"]["crtkit"])
        goals["against lightly, gpu"] = against_goal(gpu["ratios"]["crtkit"], 8.0)
        goals["bare network's share of a step, gpu"] = against_goal(share, 0.7)
    return {"goals": goals, "cpu_precision": best, "cpu": cpu, "gpu": gpu, "seed": 0}


def _measure(device, size, n, batch, repeats, bf16):
    X = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    precision = "bf16" if bf16 else "float32"

    def model(p):
        return ck.SimCLR(max_epochs=1, batch_size=batch, device=device, precision=p, random_state=0)

    functions = {"lightly": LightlyRecipe(X, batch, device)}
    functions["crtkit"] = lambda: model(precision).fit(X)
    if bf16:
        functions["crtkit float32"] = lambda: model("float32").fit(X)
    functions["bare"] = lambda: bare_epoch(n, size, batch, device, precision)
    seconds, ratios, rounds = interleaved(functions, repeats)
    return {
        **{"size": size, "n_images": n, "batch_size": batch, "precision": precision},
        "workers_of_lightly": os.cpu_count(),
        "seconds": seconds,
        "images_per_second": {name: n / s for name, s in seconds.items()},
        "ratios": ratios,
        "rounds": rounds,
    }


class LightlyRecipe:
    """The peer: calling it trains one epoch of lightly's recipe.

    Workers are started once, so that starting them is in no counted round.
    """

    def __init__(self, X, batch, device):
        network = resnet18()
        network.fc = torch.nn.Identity()
        self.network = torch.nn.Sequential(network, SimCLRProjectionHead(512, 512, 128)).to(device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.06)
        self.device = device
        self.loader = DataLoader(
            Pages(X, X.shape[1]),
            batch,
            shuffle=True,
            drop_last=True,
            num_workers=os.cpu_count(),
            persistent_workers=True,
        )

    def __call__(self):
        criterion = NTXentLoss(temperature=0.1)
        for x0, x1 in self.loader:
            z0, z1 = self.network(x0.to(self.device)), self.network(x1.to(self.device))
            loss = criterion(z0, z1)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        loss.item()  # waits for a GPU


def bare_epoch(n, size, batch, device, precision):
    """Network, loss and optimizer alone, on one batch of ready views again and again."""
    network = ResNet(18)
    network.fc = ProjectionHead(512, 128)
    network.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer([{"params": list(network.parameters())}], TrainingOptions(), device)
    views = torch.randn(2 * batch, 3, size, size, device=device)
    views = views.contiguous(memory_format=torch.channels_last)
    for _ in range(n // batch):
        with autocast(device, precision):
            z = network(views)
        loss = nt_xent_loss(z[:batch], z[batch:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()
