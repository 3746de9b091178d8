"""Pretraining: in a fold as the start of a classifier, and interruptible by checkpoints."""

import os
from pathlib import Path

import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter
from skorch.callbacks import Callback

from crtkit._io import atomic_path
from crtkit.images.pool import PagePaths
from crtkit.neural.base import draw_seed
from crtkit.neural.engine import HISTORY, Net, Progress


def fit_backbone(backbone, X, train, rng, groups=None):
    """Encoder to start from: a frozen one as it is, another as a clone fitted without labels.

    Parameters
    ----------
    backbone : estimator
    X : ndarray or Rows
        Records.
    train : ndarray of int
        Those that the encoder may see.
    rng : RandomState
        Seeds a backbone that has no seed of its own.
    groups : ndarray of shape (n_records,), optional
        Patients, for a backbone whose ``fit`` takes them.

    Returns
    -------
    estimator
        Fitted, with ``module_``.
    """
    if isinstance(backbone, FrozenEstimator):
        return backbone
    # Without a seed of its own it takes one from the classifier's, so that the whole fit repeats.
    encoder = clone(backbone)
    for name, value in sorted(encoder.get_params().items()):
        if name.rpartition("__")[2] == "random_state" and value is None:
            encoder.set_params(**{name: draw_seed(rng)})
    takes = groups is not None and has_fit_parameter(encoder, "groups")
    given = {"groups": groups[train]} if takes else {}
    return encoder.fit(X if len(train) == len(X) else X[train], None, **given)


class PretrainNet(Net):
    """A net that goes on where its checkpoint ends.

    Parameters
    ----------
    checkpoint : Path or None
        Written after every epoch; read at the start where it exists.
    """

    def __init__(self, *args, checkpoint=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.checkpoint = checkpoint

    def get_iterator(self, dataset, training=False):
        """Batches; the state of optimizer, schedule and generators is put back behind them."""
        batches = super().get_iterator(dataset, training)
        batches.prefetch |= isinstance(dataset.X, PagePaths)
        state = self.restored_
        if state is not None:
            self.module_.load_state_dict(state["module"])
            # Building a schedule changes the optimizer's learning rate, so the optimizer is last.
            if self.schedule_ is not None:
                self.schedule_.load_state_dict(state["schedule"])
            self.optimizer_.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["rng"])
            if state["rng_device"] is not None:
                torch.cuda.set_rng_state(state["rng_device"], self.device)
        return batches

    def train_on(self, dataset):
        """Train for the epochs that are left."""
        self.initialize()
        self.restored_ = read_checkpoint(self.checkpoint)
        for row in self.restored_["history"] if self.restored_ else []:
            self.history.new_epoch()
            for key, value in row.items():
                self.history.record(key, value)
        self.notify("on_train_begin", X=dataset, y=None)
        self.fit_loop(dataset, None, epochs=self.max_epochs - len(self.history))
        self.notify("on_train_end", X=dataset, y=None)
        self.restored_ = None
        return self


class Checkpoint(Callback):
    """Write everything that the next epoch depends on."""

    def on_epoch_end(self, net, **kwargs):
        cuda = torch.device(net.device).type == "cuda"
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": None if net.schedule_ is None else net.schedule_.state_dict(),
            "rng": torch.get_rng_state(),
            "rng_device": torch.cuda.get_rng_state(net.device) if cuda else None,
            "history": [
                {"epoch": row["epoch"], **{k: float(row[k]) for k in HISTORY if k in row}}
                for row in net.history
            ],
        }
        with atomic_path(net.checkpoint) as part:
            torch.save(state, part)


def read_checkpoint(path):
    """State in a checkpoint, or None where there is no checkpoint."""
    if path is None or not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, none of which names the file
        raise ValueError(
            f"The checkpoint {path} cannot be read: {error}. Delete it to start again."
        ) from error


def pretrain(module, criterion, train, options, *, folder, key, **kwargs):
    """As :func:`~crtkit.neural.engine.train_network`, with checkpoints.

    Parameters
    ----------
    module : torch.nn.Module
    criterion : torch.nn.Module
    train : RecordDataset
    options : TrainingOptions
    folder : path-like or None
        Of checkpoints; made where it does not exist.
    key : str
        Names the checkpoint: the same key, the same pretraining.
    **kwargs
        ``prepare``, ``groups``, ``device`` and ``name`` of the net.

    Returns
    -------
    Net
    """
    checkpoint, callbacks = None, []
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
        checkpoint = Path(folder) / f"{kwargs['name'].lower()}-{key[:16]}.pt"
        callbacks.append(("checkpoint", Checkpoint()))
    progress = Progress(kwargs["name"])
    if options.verbose:
        callbacks.append(("progress", progress))
    net = PretrainNet(
        module, criterion, options=options, checkpoint=checkpoint, callbacks=callbacks, **kwargs
    )
    try:
        net.train_on(train)
    finally:
        progress.close()
    net.checkpoint = None
    return net.finish()
