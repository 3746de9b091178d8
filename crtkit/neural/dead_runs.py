"""Whether a network came to anything: its loss against chance, its answers against no numbers."""

import math
import warnings

import numpy as np

from crtkit.neural.engine import WARMUP

# Epochs after the warm-up before a run may be called dead.
MIN_EPOCHS = 5


def prior_entropy(target, weight):
    """Loss of a network that answers every record with the weighted class frequencies."""
    # A class of no weight adds nothing, and 0 log 0 is not defined.
    share = np.bincount(target, weights=weight) / weight.sum()
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def is_dead(losses, chance, max_epochs):
    """Whether training has stayed at the loss of chance, once warm-up and a fair try are over.

    Dropout makes the loss of a network that has learned a little larger than chance too, so the
    best epoch counts, and 1 % below chance is learning.
    """
    after = losses[math.ceil(WARMUP * max_epochs) :]
    return len(after) >= MIN_EPOCHS and bool(min(after) > 0.99 * chance)


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
    chance = prior_entropy(train.target[train.index], train.weight[train.index])
    losses = [row["train_loss"] for row in history]
    if is_dead(losses, chance, max_epochs):
        warnings.warn(
            f"{name} learned nothing: after {len(losses)} epochs its training loss is "
            f"{losses[-1]:.4f}, and {chance:.4f} is that of the class frequencies alone. Try "
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
