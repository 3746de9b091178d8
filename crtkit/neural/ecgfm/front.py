"""What comes before ECG-FM: its sampling rate and its normalisation, with a gradient."""

from fractions import Fraction

import numpy as np
import torch
from scipy.signal import firwin
from torch import nn

# Outputs a block: a block's window of input is shared by all of them, which is six times less to
# copy than a window for each, and the multiplication with the zeros of the band costs less.
_BLOCK = 32


class LeadResampler(nn.Module):
    """:func:`crtkit.signals.resample_leads` (polyphase) as a layer.

    Parameters
    ----------
    fs_in, fs_out : float
        Hz.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.front import LeadResampler
    >>> LeadResampler(500, 100)(torch.zeros(2, 12, 5000)).shape
    torch.Size([2, 12, 1000])
    """

    def __init__(self, fs_in, fs_out):
        super().__init__()
        ratio = Fraction(float(fs_out)).limit_denominator(1000)
        ratio /= Fraction(float(fs_in)).limit_denominator(1000)
        self.up, self.down = ratio.numerator, ratio.denominator
        if self.up == self.down:
            return
        n_block = self.up * max(1, _BLOCK // self.up)  # whole cycles of the phases: one filter
        weight, self.left = _band(self.up, self.down, n_block)
        self.register_buffer("weight", torch.from_numpy(weight), persistent=False)

    def forward(self, x):
        """(..., n_samples) -> (..., ceil(n_samples * fs_out / fs_in))."""
        if self.up == self.down:
            return x
        n = x.shape[-1]
        n_out = -(-n * self.up // self.down)
        n_block = self.weight.shape[1]
        # The low-pass works about the straight line from first to last sample: no step at the ends.
        line = (x[..., -1:] - x[..., :1]) / max(n - 1, 1)
        first = x[..., :1]
        time = torch.arange(n, device=x.device, dtype=x.dtype)
        rest = x - (first + line * time)
        n_blocks = -(-n_out // n_block)
        hop = n_block * self.down // self.up
        needed = (n_blocks - 1) * hop + self.weight.shape[0]
        rest = nn.functional.pad(rest, (self.left, max(0, needed - self.left - n)))
        windows = rest[..., :needed].unfold(-1, self.weight.shape[0], hop)
        out = (windows @ self.weight.to(x.dtype)).flatten(-2)[..., :n_out]
        time = torch.arange(n_out, device=x.device, dtype=x.dtype) * (self.down / self.up)
        return out + first + line * time


def _band(up, down, n_block):
    """Filter of a block, (n_inputs, n_block), and how many inputs before its start it needs."""
    widest = max(up, down)
    taps = firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0)) * up
    half = 10 * widest
    left = half // up + 1
    n_inputs = left + (n_block - 1) * down // up + half // up + 2
    # Output j lies at j * down, input i at (i - left) * up of the common rate.
    at = np.arange(n_block)[None] * down - (np.arange(n_inputs)[:, None] - left) * up + half
    inside = (at >= 0) & (at < len(taps))
    return np.where(inside, taps[np.clip(at, 0, len(taps) - 1)], 0.0), left


def normalize_leads(x, how="lead"):
    """Zero mean for each lead, and unit size for each lead or for the record.

    Parameters
    ----------
    x : Tensor of shape (n_records, n_leads, n_samples)
    how : {"lead", "record"}
        Standard deviation of each lead (ECG-FM), or of all leads together, which keeps how large
        one lead is beside another.

    Returns
    -------
    Tensor of shape (n_records, n_leads, n_samples)
        A constant lead becomes zeros, which is how the network was shown missing leads.
    """
    x = x - x.mean(-1, keepdim=True)
    axes = (-1,) if how == "lead" else (-1, -2)
    sd = x.square().mean(axes, keepdim=True).sqrt()
    return x / torch.where(sd > 0, sd, torch.ones_like(sd))
