"""The training loop beneath every network: a private skorch net and what it lacks.

skorch gives the loop, the callbacks, the history and pickling that survives a change of device.
Added here: weights of records, gradient accumulation, schedules, precision, a stop at the first
loss that is not finite.
"""

import contextlib
import functools
import math
import sys
import time
from dataclasses import dataclass, fields

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from tqdm import tqdm

from crtkit.cohort.rows import Rows
from crtkit.neural.batches import Batches
from crtkit.neural.devices import DTYPES, autocast

# Share of the steps over which "warmup" raises the learning rate. Ours: a transformer whose norms
# come after the residual sum stays at chance without one.
WARMUP = 0.1
HISTORY = ("train_loss", "valid_loss", "dur")


@dataclass(frozen=True)
class TrainingOptions:
    """Parameters of the loop, under the names that estimators give them."""

    lr: float = 1e-3
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    schedule: str | None = None
    max_epochs: int = 10
    batch_size: int = 32
    accumulate: int = 1
    precision: str = "float32"
    patience: int | None = None
    clip_norm: float | None = None
    verbose: int = 0

    @classmethod
    def of(cls, estimator):
        """Read from an estimator's parameters; those it does not have keep their defaults."""
        names = [f.name for f in fields(cls) if hasattr(estimator, f.name)]
        return cls(**{name: getattr(estimator, name) for name in names})


def make_optimizer(groups, options, device):
    """Optimizer over parameter groups, fused where torch has it (1.6 to 1.8 times faster)."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    kind = kinds[options.optimizer]
    # One kernel for all parameters instead of several for each.
    fused = torch.device(device).type in ("cpu", "cuda")
    return kind(groups, lr=options.lr, weight_decay=options.weight_decay, fused=fused)


def make_schedule(optimizer, options, n_steps):
    """Learning rate schedule over ``n_steps`` optimizer steps, or None."""
    if options.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=n_steps)
    if options.schedule == "onecycle":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=n_steps)
    if options.schedule == "warmup":
        # A partial of a module's function, because a lambda would not pickle.
        course = functools.partial(warmup_factor, n_steps=n_steps)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, course)
    return None


def warmup_factor(step, n_steps):
    """Share of the peak learning rate at a step: up over the first tenth, then straight to 0."""
    n_up = max(1, round(WARMUP * n_steps))
    return (step + 1) / n_up if step < n_up else max(0.0, (n_steps - step) / (n_steps - n_up + 1))


class StopTraining(Exception):
    """Raised at the end of an epoch when waiting longer is of no use."""


class KeepBest(Callback):
    """Stop after ``patience`` epochs without a lower validation loss; go back to the best."""

    def __init__(self, patience):
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        self.loss_, self.epoch_, self.state_ = float("inf"), 0, None

    def on_epoch_end(self, net, **kwargs):
        epoch, loss = len(net.history), net.history[-1]["valid_loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The validation loss of {net.name} became {loss} at epoch {epoch}. Lower lr, or "
                "look for records of extreme scale among those held out."
            )
        if loss < self.loss_:
            state = net.module_.state_dict()
            # A copy: state_dict gives views that the next step changes.
            self.state_ = {name: value.detach().clone() for name, value in state.items()}
            self.loss_, self.epoch_ = loss, epoch
        # Equal losses count as no progress, or a saturated network would train for ever.
        elif epoch - self.epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net, **kwargs):
        if self.state_ is not None:
            net.module_.load_state_dict(self.state_)
        self.state_ = None


class Progress(Callback):
    """One bar for the whole fit on stderr, with the time left."""

    def __init__(self, name):
        self.name = name

    def on_epoch_begin(self, net, **kwargs):
        if getattr(self, "bar_", None) is None:
            total = net.max_epochs * net.n_batches_
            done = (len(net.history) - 1) * net.n_batches_  # of a run that is resumed
            self.bar_ = tqdm(
                total=total, initial=done, desc=self.name, unit="batch", file=sys.stderr
            )

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.bar_.update()

    def on_epoch_end(self, net, **kwargs):
        row = net.history[-1]
        text = f"epoch {row['epoch']}/{net.max_epochs}, loss {row['train_loss']:.4g}"
        if "valid_loss" in row:
            text += f", validation {row['valid_loss']:.4g}"
        self.bar_.set_postfix_str(text)

    def close(self):
        """Leave the terminal in order, however the fit ended."""
        if getattr(self, "bar_", None) is not None:
            self.bar_.close()
        self.bar_ = None


class Net(NeuralNet):
    """The private net of an estimator; see :func:`train_network`.

    Parameters
    ----------
    module : torch.nn.Module
        A new instance, already in its dtype.
    criterion : torch.nn.Module
        ``criterion(output, target)`` -> one loss per record, (n_records,).
    options : TrainingOptions
    prepare : callable or None
        ``prepare(x, training)``: batch as read -> input of the module on the device.
    groups : list of dict or None
        Parameter groups of the optimizer.
    name : str
        The estimator, for messages.
    """

    def __init__(self, module, criterion, *, options, prepare=None, groups=None, name="", **kwargs):
        self.options = options
        self.name = name
        self.prepare = prepare
        self.groups = groups
        kwargs = {
            "max_epochs": options.max_epochs,
            "batch_size": options.batch_size,
            "lr": options.lr,
            "train_split": None,
            "verbose": 0,
            **kwargs,
        }
        super().__init__(module, criterion, **kwargs)

    @property
    def _default_callbacks(self):
        # skorch's keep a record of every batch and search it after every epoch: a sixth of the time
        # of a network of four small layers. The loop below knows loss and seconds itself.
        return []

    def initialize_optimizer(self, triggered_directly=None):
        """Build the optimizer from the parameter groups; a net to predict with needs none."""
        if self.groups is not None:
            self.optimizer_ = make_optimizer(self.groups, self.options, self.device)
        return self

    def get_iterator(self, dataset, training=False):
        """Batches, prefetched where the batch comes from a disk or goes to another device."""
        gpu = torch.device(self.device).type == "cuda"
        prefetch = isinstance(dataset.X, Rows) or gpu
        batches = self.make_batches(dataset, shuffle=training, prefetch=prefetch, pin=gpu)
        if training:
            self.n_batches_ = len(batches)
            # A schedule counts optimizer steps; the last group of an epoch may be a short one.
            n_steps = -(-len(batches) // self.options.accumulate) * self.max_epochs
            self.schedule_ = make_schedule(self.optimizer_, self.options, n_steps)
        return batches

    def make_batches(self, dataset, **options):
        """Batches of a dataset, with the options of :class:`Batches`."""
        return Batches(dataset, self.batch_size, **options)

    def infer(self, x, **fit_params):
        """Output of the module for a batch as it was read, in float32 at least."""
        with autocast(self.device, self.options.precision):
            y = self.module_(self.prepare(x, self.module_.training))
        return y.to(DTYPES[self.options.precision])

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """sum(w l) / sum(w) over the records of the batch."""
        target, weight = (t.to(y_pred.device, non_blocking=True) for t in y_true)
        if target.is_floating_point():
            target = target.to(y_pred.dtype)
        weight = weight.to(y_pred.dtype)
        # By the weights in the batch, so that their scale is no learning rate.
        return (weight * self.criterion_(y_pred, target)).sum() / weight.sum()

    def on_epoch_begin(self, net, **kwargs):
        """Start counting the batches and the seconds of the epoch."""
        super().on_epoch_begin(net, **kwargs)
        self.n_seen_, self.weight_seen_ = 0, 0.0
        self.begun_ = time.time()

    def on_epoch_end(self, net, **kwargs):
        """Keep the seconds, before any callback may stop the training."""
        # Not kept: a network that is trained again is the same, whenever that was.
        self.history.record("dur", time.time() - vars(self).pop("begun_"))

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass over the batches, each of which counts by its weights in the epoch's loss."""
        if iterator is None:
            return
        losses, weights = [], []
        for batch in iterator:
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].item())
            weights.append(float(batch[1][1].sum()))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        weights = np.array(weights)
        self.history.record(f"{prefix}_loss", (weights * losses).sum() / weights.sum())

    def train_step(self, batch, **fit_params):
        """One batch; the optimizer steps after every ``accumulate`` of them and at the end."""
        if not self.module_.training:  # walking the module's parts takes as long as a small layer
            self._set_training(True)
        x, y = batch
        accumulate = self.options.accumulate
        if self.n_seen_ % accumulate == 0:
            self.optimizer_.zero_grad(set_to_none=True)
            self.weight_seen_ = 0.0
        y_pred = self.infer(x)
        loss = self.get_loss(y_pred, y, X=x, training=True)
        self._check_finite(loss.item())
        # Sums, not means, are accumulated: the step then equals that of one large batch.
        weight = 1.0 if accumulate == 1 else float(y[1].sum())
        (loss * weight).backward()
        self.weight_seen_ += weight
        self.n_seen_ += 1
        if self.n_seen_ % accumulate == 0 or self.n_seen_ == self.n_batches_:
            self._step()
        return {"loss": loss, "y_pred": y_pred}

    def _step(self):
        if self.options.accumulate > 1:
            for group in self.optimizer_.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad /= self.weight_seen_
        if self.options.clip_norm is not None:
            groups = self.optimizer_.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.options.clip_norm)
        self.optimizer_.step()
        if self.schedule_ is not None:
            self.schedule_.step()

    def _check_finite(self, loss):
        if not math.isfinite(loss):
            lr = max(group["lr"] for group in self.optimizer_.param_groups)
            raise FloatingPointError(
                f"The training loss of {self.name} became {loss} at epoch "
                f"{len(self.history)}, step {self.n_seen_ + 1} of {self.n_batches_}, with learning "
                f"rate {lr:.3g}. Lower lr, or look for records of extreme scale."
            )

    def train_on(self, dataset):
        """Initialize and run the loop; Ctrl-C is the caller's, not swallowed as skorch would."""
        self.initialize()
        self.notify("on_train_begin", X=dataset, y=None)
        with contextlib.suppress(StopTraining):
            self.fit_loop(dataset, None)
        self.notify("on_train_end", X=dataset, y=None)
        return self

    def finish(self):
        """Keep what prediction needs: no optimizer, no data, no reference to the estimator."""
        self.history_rows_ = [
            {"epoch": row["epoch"], **{key: float(row[key]) for key in HISTORY if key in row}}
            for row in self.history
        ]
        self.trim_for_prediction()
        # The template is module_ itself, and would be pickled again beside it.
        self.module = self.prepare = self.groups = self.schedule_ = None
        return self


def train_network(
    module, criterion, train, valid, options, *, prepare, groups, device, name, callbacks=()
):
    """Train a module on a dataset.

    Call it, and build the module, inside :func:`forked_rng`.

    Parameters
    ----------
    module : torch.nn.Module
        A new instance; it is trained in place.
    criterion : torch.nn.Module
        Returns one loss per record.
    train, valid : RecordDataset or None
        With a validation set, the epoch of its lowest loss is kept (``options.patience``).
    options : TrainingOptions
    prepare : callable
        ``prepare(x, training)``: a batch as read -> what the module takes.
    groups : list of dict
        Parameter groups for the optimizer.
    device : torch.device
    name : str
        For the progress bar.
    callbacks : iterable of (str, skorch callback)
        Further ones; they come after the validation set's.

    Returns
    -------
    Net
        Ready to predict and to pickle; ``history_rows_`` has one dict per epoch.
    """
    # First, so that it has seen the epoch at which another one ends the training.
    keep_best = [] if valid is None else [("keep_best", KeepBest(options.patience))]
    callbacks = [*keep_best, *callbacks]
    progress = Progress(name)
    if options.verbose:
        callbacks.append(("progress", progress))
    net = Net(
        module,
        criterion,
        options=options,
        prepare=prepare,
        groups=groups,
        name=name,
        device=str(device),
        callbacks=callbacks,
        train_split=None if valid is None else predefined_split(valid),
    )
    try:
        net.train_on(train)
    finally:
        progress.close()
    return net.finish()


def trained_net(module, options, device):
    """A net around a module that is trained already, or not to be."""
    criterion = torch.nn.Identity()
    net = Net(module, criterion, options=options, device=str(device), callbacks="disable")
    return net.initialize().finish()
