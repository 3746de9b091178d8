"""Pretraining on several devices: one process for each, one batch and one contrast over all.

A batch is cut into equal shards. Embeddings are gathered from all devices before the loss, with
their gradient, so that a record is contrasted with all of the batch; statistics of batch
normalisation, and the codebook's use, are those of the whole batch too. A step therefore has the
gradient that one process with the whole batch has.
"""

import contextlib
import datetime
import os

import numpy as np
import torch
from torch import distributed

from crtkit.neural.batches import Batches

# A worker that died leaves the others waiting; torch's half an hour is long for a user.
TIMEOUT = datetime.timedelta(minutes=10)


@contextlib.contextmanager
def several_devices(backend=None):
    """Join the processes that ``torchrun`` started, for the pretrainings of a block.

    Inside, ``SimCLR(...).fit(pool)`` and ``ECGFMPretraining(...).fit(pool)`` share the work, every
    process with the same pool and parameters; all end with the same network. ``batch_size`` is
    that of the whole step and a multiple of the number of processes. With a GPU each, say
    ``device="cuda"``.

    Parameters
    ----------
    backend : {"nccl", "gloo"}, optional
        By default "nccl" where there is a GPU and "gloo" elsewhere.

    Yields
    ------
    int
        Number of this process; process 0 saves.

    Raises
    ------
    RuntimeError
        The process was not started by ``torchrun``.

    Examples
    --------
    A script that ``torchrun --nproc-per-node 4 pretrain.py`` starts, on one machine or several:

    >>> from crtkit.neural import SimCLR, several_devices
    >>> with several_devices() as number:                                    # doctest: +SKIP
    ...     encoder = SimCLR(batch_size=1024, device="cuda", random_state=0).fit(pool)
    ...     if number == 0:
    ...         crtkit.save(encoder, "encoder.crtkit")
    """
    absent = [k for k in ("RANK", "WORLD_SIZE", "MASTER_ADDR") if k not in os.environ]
    if absent:
        raise RuntimeError(
            f"several_devices needs {', '.join(absent)} in the environment, which torchrun sets: "
            "torchrun --nproc-per-node 2 script.py"
        )
    gpu = torch.cuda.is_available()
    if gpu:  # cuda only
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    distributed.init_process_group(backend or ("nccl" if gpu else "gloo"), timeout=TIMEOUT)
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def place_in_world():
    """Number of this process and how many there are; (0, 1) outside of :func:`several_devices`."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class _Sum(torch.autograd.Function):
    """Sum over processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, x):
        x = x.detach().clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


class _Gather(torch.autograd.Function):
    """Shards of all processes after one another; the gradient of the own one comes from all."""

    @staticmethod
    def forward(ctx, x):
        x = x.detach().contiguous()
        shards = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(shards, x)
        return torch.cat(shards)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        n = len(gradient) // distributed.get_world_size()
        return gradient[distributed.get_rank() * n :][:n]


def mean_over_devices(x):
    """Mean of a tensor over the processes' equal shards, with its gradient; alone, ``x``."""
    size = place_in_world()[1]
    return x if size == 1 else _Sum.apply(x) / size


def gather_records(x, n_blocks=1):
    """Records of all processes, block by block: two views stay two halves.

    Parameters
    ----------
    x : Tensor of shape (n_blocks * n_records, ...)
    n_blocks : int

    Returns
    -------
    Tensor of shape (n_blocks * n_records * n_processes, ...)
    """
    return torch.cat([_Gather.apply(part) for part in x.chunk(n_blocks)])


class _GlobalNorm:
    """Batch normalisation by the statistics of the whole batch, for a class beside torch's own.

    torch's SyncBatchNorm does this on GPUs only.
    """

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        n = x.numel() // x.shape[1] * distributed.get_world_size()
        # Mean first, then squares around it: one pass of sums would lose half of the digits.
        mean = _Sum.apply(x.sum(axes)) / n
        centred = x - mean.reshape(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return centred * scale.reshape(shape) + self.bias.reshape(shape)


class _GlobalNorm1d(_GlobalNorm, torch.nn.BatchNorm1d):
    pass


class _GlobalNorm2d(_GlobalNorm, torch.nn.BatchNorm2d):
    pass


_GLOBAL = {torch.nn.BatchNorm1d: _GlobalNorm1d, torch.nn.BatchNorm2d: _GlobalNorm2d}


@contextlib.contextmanager
def normalized_together(module):
    """Let batch normalisation of a module see the whole batch; its own classes come back after."""
    changed = [(part, type(part)) for part in module.modules() if type(part) in _GLOBAL]
    for part, kind in changed:
        part.__class__ = _GLOBAL[kind]  # parameters, buffers and their names stay
    try:
        yield module
    finally:
        for part, kind in changed:
            part.__class__ = kind


class ShardedBatches(Batches):
    """This process's equal share of each batch, in an order that all processes draw alike.

    Parameters
    ----------
    dataset : RecordDataset
    size : int
        Records of a step over all processes.
    seed : int
        Of the orders; the same in every process.
    epoch : int
        Number of the first epoch: a run that is resumed goes on with the order it would have had.
    **options
        As :class:`Batches`.

    Raises
    ------
    ValueError
        The batch does not divide by the processes, or there are fewer records than two each.
    """

    def __init__(self, dataset, size, *, seed, epoch, **options):
        super().__init__(dataset, size, **options)
        self.rank, self.n_processes = place_in_world()
        self.seed, self.epoch = seed, epoch
        n = len(dataset)
        if size % self.n_processes or n < 2 * self.n_processes:
            raise ValueError(
                f"batch_size={size} over {n} records cannot be shared by {self.n_processes} "
                "processes: it must be a multiple of them, with two records or more for each."
            )
        # Shards are equal, so the records of the last batch that are too many wait for the next
        # order, and a rest of less than two for each is left out.
        width = self.n_processes
        bounds = [(start, start + (stop - start) // width * width) for start, stop in self.bounds]
        # Batch normalisation needs two records on each, as in one process.
        self.bounds = [(a, b) for a, b in bounds if b - a >= 2 * width]

    def _order(self):
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        return rng.permutation(len(self.dataset)) if self.shuffle else np.arange(len(self.dataset))

    def _parts(self, order):
        shards = []
        for start, stop in self.bounds:
            n = (stop - start) // self.n_processes
            shards.append(order[start + self.rank * n :][:n])
        return shards
