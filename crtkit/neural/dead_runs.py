"""Whether a network came to anything: its loss against chance, its answers against no numbers."""

import math
import warnings

import numpy as np
from sklearn.base import is_classifier
from skorch.callbacks import Callback

from crtkit.neural.engine import WARMUP, StopTraining

# Epochs after the warm-up before a run may be called dead.
MIN_EPOCHS = 5
#: A loss that falls by less than this share from the first half of the epochs to the second stands
#: still. A run at a rate far too low for it (FCN, 5e-6, AUC 0.60 on 300 simulated pairs of
#: lvsd2026) was above the loss of chance for twelve epochs, and lost 0.012 of it in five of them.
STANDSTILL = 0.005


def prior_entropy(target, weight):
    """Loss of a network that answers every record with the weighted class frequencies."""
    # A class of no weight adds nothing, and 0 log 0 is not defined.
    share = np.bincount(target, weights=weight) / weight.sum()
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def chance_of(train):
    """:func:`prior_entropy` of what a network is trained on.

    Parameters
    ----------
    train : RecordDataset

    Returns
    -------
    float
    """
    return prior_entropy(train.target[train.index], train.weight[train.index])


def is_dead(losses, chance, max_epochs):
    """Whether training has stayed at the loss of chance, once warm-up and a fair try are over.

    Dropout makes the loss of a network that has learned a little larger than chance too, so the
    best epoch counts, and 1 % below chance is learning.
    """
    after = losses[math.ceil(WARMUP * max_epochs) :]
    return len(after) >= MIN_EPOCHS and bool(min(after) > 0.99 * chance)


def is_stuck(losses, chance, max_epochs):
    """Whether a run is dead and going nowhere: waiting for its last epoch would change nothing.

    A loss near that of chance is not enough. Networks that learn slowly come from above it, rank
    patients well before it is passed, and fall all the while.
    """
    after = losses[math.ceil(WARMUP * max_epochs) :]
    half = len(after) // 2
    if half < MIN_EPOCHS or not is_dead(losses, chance, max_epochs):
        return False
    return min(after[half:]) > (1 - STANDSTILL) * min(after[:half])


class StopIfStuck(Callback):
    """Ends a training that is stuck (:func:`is_stuck`).

    Parameters
    ----------
    chance : float
        Loss of a network that answers the class frequencies.
    """

    def __init__(self, chance):
        self.chance = chance

    def on_epoch_end(self, net, **kwargs):
        """Ask after every epoch."""
        losses = [row["train_loss"] for row in net.history]
        if is_stuck(losses, self.chance, net.max_epochs):
            raise StopTraining


def stop_if_stuck(estimator, train):
    """What ends a classifier's training where it is stuck, as callbacks of the loop.

    Parameters
    ----------
    estimator : estimator
    train : RecordDataset

    Returns
    -------
    list of (str, Callback)
        Nothing for estimators without classes: a loss of chance is not defined there.
    """
    return [("stuck", StopIfStuck(chance_of(train)))] if is_classifier(estimator) else []


def warn_if_dead(name, train, history, max_epochs):
    """Say so where the loss never left that of answering the class frequencies.

    Parameters
    ----------
    name : str
        The estimator.
    train : RecordDataset
    history : list of dict
        One row for each epoch, with ``train_loss``.
    max_epochs : int
    """
    chance = chance_of(train)
    losses = [row["train_loss"] for row in history]
    if is_dead(losses, chance, max_epochs):
        stuck = len(losses) < max_epochs and is_stuck(losses, chance, max_epochs)
        end = f" The loss stood still, so not all {max_epochs} epochs were run." if stuck else ""
        warnings.warn(
            f"{name} learned nothing: after {len(losses)} epochs its training loss is "
            f"{losses[-1]:.4f}, and {chance:.4f} is that of the class frequencies alone.{end} Try "
            "schedule='warmup', another lr, or more epochs.",
            UserWarning,
            stacklevel=4,
        )


def check_numbers(name, out):
    """Answers of a network as they are, if they are numbers.

    1e39 is finite in X and infinite in float32: what comes out would be given a class all the same.

    Parameters
    ----------
    name : str
        The estimator.
    out : ndarray of shape (n_records, ...)

    Returns
    -------
    ndarray
        ``out``.

    Raises
    ------
    ValueError
        NaN or infinity among them; the message says of which record first.
    """
    wrong = np.flatnonzero(~np.isfinite(out).reshape(len(out), -1).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{name} gives no finite numbers for {len(wrong)} of {len(out)} records, the first of "
            f"them record {wrong[0]}: values of X that are beyond {out.dtype} in the network. Look "
            "at their units."
        )
    return out
