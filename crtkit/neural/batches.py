"""Batches of records: read when they are needed, never a fold at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from sklearn.utils import check_array

from crtkit.cohort.rows import Rows


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

    def batch(self, positions):
        """``(x, (target, weight))`` as tensors on the CPU, in the dtypes they are stored in."""
        rows = self.index[positions]
        x = self.X[rows]
        if isinstance(x, Rows):
            x = x.__array__()
            if x.dtype.kind == "f":
                x = check_array(x, allow_nd=True, dtype=None)
        target, weight = self.target[rows], self.weight[rows]
        x = torch.from_numpy(np.ascontiguousarray(x))
        return x, (torch.from_numpy(target), torch.from_numpy(weight))


class Batches:
    """Iterate over a dataset in batches, never with a last batch of one record.

    Parameters
    ----------
    dataset : RecordDataset
    size : int
        Records a batch. BatchNorm cannot train on one record, so a last batch of one joins the
        batch before it.
    shuffle : bool
        Draw a new order, from torch's current generator, each time the iteration starts.
    prefetch : bool
        Read the next batch in a thread while this one is at work.
    """

    def __init__(self, dataset, size, shuffle=False, prefetch=False):
        self.dataset = dataset
        self.shuffle = shuffle
        self.prefetch = prefetch
        n = len(dataset)
        starts = list(range(0, n, size))
        if len(starts) > 1 and n - starts[-1] == 1:
            del starts[-1]
        self.bounds = list(zip(starts, [*starts[1:], n]))

    def __len__(self):
        return len(self.bounds)

    def __iter__(self):
        n = len(self.dataset)
        order = torch.randperm(n).numpy() if self.shuffle else np.arange(n)
        parts = [order[start:stop] for start, stop in self.bounds]
        if not self.prefetch:
            yield from map(self.dataset.batch, parts)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.dataset.batch, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), reader.submit(self.dataset.batch, part)
                yield batch
            yield ahead.result()
