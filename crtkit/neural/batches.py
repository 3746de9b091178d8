"""Batches of records: read when they are needed, never a fold at once."""

import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from sklearn.utils import check_array

from crtkit.cohort.rows import Rows

AHEAD = 2  # batches that are read, and pinned, while another is at work


class RecordDataset(torch.utils.data.Dataset):
    """Records with a target and a weight each; ``Rows`` are read batch by batch.

    Parameters
    ----------
    X : ndarray or Rows of shape (n_records, ...)
    target : ndarray of shape (n_records, ...), optional
        Whatever the criterion takes; zeros when a network has no target of its own.
    weight : ndarray of shape (n_records,), optional
        Positive; ones by default.
    index : ndarray of int, optional
        Take only these records (of X, target and weight alike), without copying them.
    """

    def __init__(self, X, target=None, weight=None, index=None):
        self.X = X
        self.target = np.zeros(len(X)) if target is None else target
        self.weight = np.ones(len(X)) if weight is None else weight
        self.index = np.arange(len(X)) if index is None else np.asarray(index)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        x, (target, weight) = self.batch(np.array([i]))
        return x[0], (target[0], weight[0])

    def batch(self, positions, pin=False):
        """``(x, (target, weight))`` as tensors on the CPU, in the dtypes they are stored in.

        ``pin`` puts records into memory that a GPU reads without waiting for the host.
        """
        rows = self.index[positions]
        # Pinning copies; without it a copy is made here, since augmentations may write into it.
        x = self.X[_as_slice(rows) if pin and isinstance(self.X, np.ndarray) else rows]
        if isinstance(x, Rows):
            x = x.__array__()
            if x.dtype.kind == "f":
                x = check_array(x, allow_nd=True, dtype=None)
        target, weight = self.target[rows], self.weight[rows]
        x = np.ascontiguousarray(x)
        x = torch.from_numpy(x if x.flags.writeable else x.copy())
        x = x.pin_memory() if pin else x
        return x, (torch.from_numpy(target), torch.from_numpy(weight))


def _as_slice(rows):
    """Rows that follow one another as a slice, which copies nothing; others as they are."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


class Batches:
    """Iterate over a dataset in batches, never with a last batch of one record.

    Parameters
    ----------
    dataset : RecordDataset
    size : int
        Records per batch. BatchNorm cannot train on one record, so a last batch of one joins the
        batch before it.
    shuffle : bool
        Draw a new order, from torch's current generator, each time the iteration starts.
    prefetch : bool
        Read the next batches in a thread while this one is at work.
    pin : bool
        Pin them there too, for a GPU.
    """

    def __init__(self, dataset, size, shuffle=False, prefetch=False, pin=False):
        self.dataset = dataset
        self.shuffle = shuffle
        self.prefetch = prefetch
        self.pin = pin
        n = len(dataset)
        starts = list(range(0, n, size))
        if len(starts) > 1 and n - starts[-1] == 1:
            del starts[-1]
        self.bounds = list(zip(starts, [*starts[1:], n]))

    def __len__(self):
        return len(self.bounds)

    def __iter__(self):
        parts = self._parts(self._order())
        read = functools.partial(self.dataset.batch, pin=True) if self.pin else self.dataset.batch
        if not self.prefetch:
            yield from map(read, parts)
            return
        with ThreadPoolExecutor(1) as reader:
            waiting = deque(reader.submit(read, part) for part in parts[:AHEAD])
            for part in parts[AHEAD:]:
                batch = waiting.popleft().result()
                waiting.append(reader.submit(read, part))
                yield batch
            while waiting:
                yield waiting.popleft().result()

    def _order(self):
        n = len(self.dataset)
        return torch.randperm(n).numpy() if self.shuffle else np.arange(n)

    def _parts(self, order):
        return [order[start:stop] for start, stop in self.bounds]
