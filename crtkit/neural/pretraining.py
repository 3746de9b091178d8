"""Pretraining: in a fold as the start of a classifier, and interruptible by checkpoints."""

import os
import pickle
from pathlib import Path

import joblib
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter
from skorch.callbacks import Callback

from crtkit._io import atomic_path, package_versions
from crtkit.images.pool import PagePaths
from crtkit.neural.base import draw_seed
from crtkit.neural.devices import DTYPES, autocast
from crtkit.neural.distributed import (
    ShardedBatches,
    gather_records,
    normalized_together,
    place_in_world,
)
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


def pretraining_key(estimator, seed, ignored, *more):
    """Name a pretraining by all that decides about its bits.

    Parameters
    ----------
    estimator : estimator
        With its parameters, ``device_`` and the ``pool_hashes_`` of what it is fitted on.
    seed : int
    ignored : tuple of str
        Parameters that change how the work is done and not what comes out.
    *more
        What else decides, as far as ``joblib.hash`` reads it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        A parameter that cannot be pickled.
    """
    name = type(estimator).__name__
    params = estimator.get_params(deep=False)
    params = sorted((k, v) for k, v in params.items() if k not in ignored)
    # Other threads or another torch add in another order, and another crtkit may draw otherwise.
    device = torch.device(estimator.device_).type
    where = (device, torch.get_num_threads(), torch.__version__, package_versions(("crtkit",)))
    try:
        return joblib.hash((name, params, estimator.pool_hashes_.exact.tolist(), seed, where, more))
    except pickle.PicklingError as error:
        raise ValueError(
            f"{name} with a cache or checkpoint_dir recognises a pretraining by its parameters, "
            f"and augment={estimator.augment!r} cannot be pickled. Define it at the top level of a "
            "module."
        ) from error


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
            own = state["generators"][place_in_world()[0]]
            torch.set_rng_state(own["rng"])
            if own["rng_device"] is not None:  # cuda only
                torch.cuda.set_rng_state(own["rng_device"], self.device)
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
        # fit_loop counts from here, the schedule from the first epoch ever.
        self.fit_loop(dataset, None, epochs=self.max_epochs - len(self.history))
        self.notify("on_train_end", X=dataset, y=None)
        self.restored_ = None
        return self


class SharedNet(PretrainNet):
    """A net of one of several processes: its shard of each batch, the loss of the whole of it.

    Every process computes the loss of the whole batch from embeddings that it gathered. Gathering
    sums gradients over the processes, and torch's DDP takes their mean over them: what is left is
    the gradient of that one loss.
    """

    def initialize(self):
        """Build the net, wrap its module, and part the processes' generators."""
        super().initialize()
        gpu = torch.device(self.device).type == "cuda"
        parallel = torch.nn.parallel.DistributedDataParallel(
            self.module_,
            device_ids=[torch.cuda.current_device()] if gpu else None,
            static_graph=True,  # parts that a loss leaves out are the same in every step
        )
        # Its call alone: skorch would take a module as one more to train, move and pickle.
        self.run_ = parallel.__call__
        # Orders are drawn alike, so the seed is the first process's; views are not.
        seed = torch.randint(2**31, (1,)).to(self.device)
        torch.distributed.broadcast(seed, 0)
        self.seed_ = int(seed)
        own = self.seed_ + 1 + place_in_world()[0]
        torch.default_generator.manual_seed(own)
        if gpu:  # cuda only
            torch.cuda.manual_seed(own)
        return self

    def make_batches(self, dataset, **options):
        """This process's shards."""
        order = {"seed": self.seed_, "epoch": len(self.history)}
        return ShardedBatches(dataset, self.batch_size, **order, **options)

    def infer(self, x, **fit_params):
        """Output for this process's shard."""
        with autocast(self.device, self.options.precision):
            y = self.run_(self.prepare(x, self.module_.training))
        return y.to(DTYPES[self.options.precision])

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of the whole batch."""
        n_blocks = len(y_pred) // len(y_true[0])  # two views of a record are two blocks
        y_true = [gather_records(part.to(y_pred.device)) for part in y_true]
        return super().get_loss(gather_records(y_pred, n_blocks), y_true, X, training)

    def train_on(self, dataset):
        """Train for the epochs that are left."""
        with normalized_together(self.module):
            return super().train_on(dataset)

    def finish(self):
        """Keep what prediction needs."""
        self.run_ = None
        return super().finish()


class Checkpoint(Callback):
    """Write everything that the next epoch depends on; of several processes, the first writes."""

    def on_epoch_end(self, net, **kwargs):
        cuda = torch.device(net.device).type == "cuda"
        own = {
            "rng": torch.get_rng_state(),
            "rng_device": torch.cuda.get_rng_state(net.device) if cuda else None,
        }
        rank, size = place_in_world()
        all_own = [own]
        if size > 1:
            all_own = [None] * size
            torch.distributed.all_gather_object(all_own, own)
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": None if net.schedule_ is None else net.schedule_.state_dict(),
            "generators": all_own,
            "history": [
                {"epoch": row["epoch"], **{k: float(row[k]) for k in HISTORY if k in row}}
                for row in net.history
            ],
        }
        if rank == 0:
            with atomic_path(net.checkpoint) as part:
                torch.save(state, part)
        if size > 1:  # nobody looks for the file before it is there
            torch.distributed.barrier()


def read_checkpoint(path):
    """State in a checkpoint, or None where there is no checkpoint."""
    if path is None or not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, none of which names the file
        raise ValueError(
            f"The checkpoint {path} cannot be read: {error}. Delete it to start again."
        ) from error
    missing = sorted({"module", "optimizer", "schedule", "generators", "history"} - set(state))
    if missing:
        raise ValueError(
            f"The checkpoint {path} lacks {', '.join(missing)}: another version of crtkit wrote "
            "it. Go on with that version, or delete the file to start again."
        )
    n_processes, (rank, size) = len(state["generators"]), place_in_world()
    if n_processes != size:
        raise ValueError(
            f"The checkpoint {path} is of {n_processes} processes and there are {size} now "
            f"(this is number {rank}): go on with as many, or delete the file to start again."
        )
    return state


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
    rank, n_processes = place_in_world()
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
        # Named by its key, so that other parameters find no checkpoint rather than a wrong one.
        # Shards draw other numbers: a run goes on with as many processes as it began with.
        parts = f"-of{n_processes}" if n_processes > 1 else ""
        checkpoint = Path(folder) / f"{kwargs['name'].lower()}-{key[:16]}{parts}.pt"
        callbacks.append(("checkpoint", Checkpoint()))
    progress = Progress(kwargs["name"])
    if options.verbose and rank == 0:
        callbacks.append(("progress", progress))
    kind = PretrainNet if n_processes == 1 else SharedNet
    net = kind(
        module, criterion, options=options, checkpoint=checkpoint, callbacks=callbacks, **kwargs
    )
    try:
        net.train_on(train)
    finally:
        progress.close()
    net.checkpoint = None
    return net.finish()
