"""Augmentation of training batches of signals, on the device they are on."""

import math

import torch
from sklearn.base import BaseEstimator

from crtkit.neural.augment import check_ranges, uniform

# Above these nothing of a record would be left, or its polarity would change.
_RANGES = {"shift": 1, "gain": 1, "wander": math.inf, "noise": math.inf, "drop": 1}


class SignalAugment(BaseEstimator):
    """Small changes that leave an ECG's diagnosis, drawn afresh for each record of a batch.

    All leads of a record are shifted together, so that they stay aligned in time, and no lead is
    turned over or exchanged for another: polarity and place mean something.

    Parameters
    ----------
    shift : float, default=0.02
        Largest shift in time, as a fraction of the record; the end that runs empty repeats its
        last value.
    gain : float, default=0.1
        Largest change of amplitude of the whole record: 0.1 draws a factor from [0.9, 1.1].
    wander : float, default=0.05
        Largest amplitude of a slow sine added to each lead, in millivolt.
    noise : float, default=0.02
        Largest standard deviation of white noise, in millivolt.
    drop : float, default=0.05
        Probability that a lead becomes zeros, as a lead that fell off.

    Notes
    -----
    Random numbers come from torch's current generator on the device of the batch: the same seed
    gives the same batches on the same device. The paper (lvsd2026) names no augmentation that it
    tried; these are usual ones.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural import SignalAugment
    >>> SignalAugment()(torch.zeros(2, 12, 500)).shape
    torch.Size([2, 12, 500])
    """

    def __init__(self, *, shift=0.02, gain=0.1, wander=0.05, noise=0.02, drop=0.05):
        self.shift = shift
        self.gain = gain
        self.wander = wander
        self.noise = noise
        self.drop = drop

    def __call__(self, batch):
        """Augment a floating batch of shape (n_records, n_leads, n_samples).

        Raises
        ------
        ValueError
            A parameter out of its range, or a batch of another shape or type.
        """
        check_ranges(self, _RANGES)
        if batch.ndim != 3 or not batch.is_floating_point():
            raise ValueError(
                "SignalAugment expects a floating batch (n_records, n_leads, n_samples), got "
                f"{batch.dtype} of shape {tuple(batch.shape)}."
            )
        n, n_leads, n_samples = batch.shape
        time = torch.arange(n_samples, device=batch.device)
        shift = (self.shift * n_samples * uniform(batch, (n, 1))).round().long()
        index = (time - shift).clamp(0, n_samples - 1)
        batch = batch.gather(2, index[:, None].expand(n, n_leads, n_samples))
        batch = batch * (1 + self.gain * uniform(batch, (n, 1, 1)))
        # One to three turns a record, each lead with a size and a phase of its own.
        turns = 2 + uniform(batch, (n, 1, 1))
        phase = math.pi * uniform(batch, (n, n_leads, 1))
        wave = torch.sin(2 * math.pi * turns * time / n_samples + phase)
        batch = batch + self.wander * uniform(batch, (n, n_leads, 1)) * wave
        sd = self.noise * uniform(batch, (n, 1, 1)).abs()
        batch = batch + sd * torch.randn_like(batch)
        return batch * (torch.rand_like(batch[..., :1]) >= self.drop)
