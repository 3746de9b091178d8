"""What comes before ECG-FM: its sampling rate and its normalisation, with a gradient."""

import numpy as np
import torch
from scipy.signal import firwin
from torch import nn

from crtkit._resample import rational_rate

# Outputs a block: a block's window of input is shared by all of them, which is six times less to
# copy than a window for each, and the multiplication with the zeros of the band costs less.
_BLOCK = 32
# A block holds whole cycles of the ratio, and 100 Hz of 333.333 has 100,000 outputs in one: a
# matrix of 266 GB. Above so many numbers only those that are not zero are kept.
_LARGEST = 4_000_000


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
        ratio = rational_rate(fs_out) / rational_rate(fs_in)
        self.up, self.down = ratio.numerator, ratio.denominator
        if self.up == self.down:
            return
        taps = _low_pass(self.up, self.down)
        n_block = self.up * max(1, _BLOCK // self.up)  # whole cycles of the phases: one filter
        self.in_blocks = n_block**2 * self.down // self.up < _LARGEST
        if self.in_blocks:
            taps, self.left = _band(taps, self.up, self.down, n_block)
        self.register_buffer("weight", torch.from_numpy(taps), persistent=False)

    def forward(self, x):
        """(..., n_samples) -> (..., ceil(n_samples * fs_out / fs_in))."""
        if self.up == self.down:
            return x
        n = x.shape[-1]
        n_out = -(-n * self.up // self.down)
        # The low-pass works about the straight line from first to last sample: no step at the ends.
        line = (x[..., -1:] - x[..., :1]) / max(n - 1, 1)
        first = x[..., :1]
        time = torch.arange(n, device=x.device, dtype=x.dtype)
        rest = x - (first + line * time)
        out = self._blocks(rest, n_out) if self.in_blocks else self._one_by_one(rest, n_out)
        time = torch.arange(n_out, device=x.device, dtype=x.dtype) * (self.down / self.up)
        return out + first + line * time

    def _blocks(self, x, n_out):
        n_inputs, n_block = self.weight.shape
        n_blocks = -(-n_out // n_block)
        hop = n_block * self.down // self.up
        needed = (n_blocks - 1) * hop + n_inputs
        x = nn.functional.pad(x, (self.left, max(0, needed - self.left - x.shape[-1])))
        windows = x[..., :needed].unfold(-1, n_inputs, hop)
        return (windows @ self.weight.to(x.dtype)).flatten(-2)[..., :n_out]

    def _one_by_one(self, x, n_out):
        """The same by a sparse matrix: every output has a phase of its own."""
        n, half = x.shape[-1], len(self.weight) // 2
        place = torch.arange(n_out, device=x.device)[:, None] * self.down
        near = torch.arange(2 * half // self.up + 1, device=x.device)
        inputs = -((half - place) // self.up) + near
        tap = place - inputs * self.up + half
        there = (inputs >= 0) & (inputs < n) & (tap >= 0) & (tap <= 2 * half)
        index = torch.stack([there.nonzero()[:, 0], inputs[there]])
        weight = self.weight[tap[there]].to(x.dtype)
        # Whether to check is said, or torch warns once a process that it does not.
        matrix = torch.sparse_coo_tensor(index, weight, (n_out, n), check_invariants=False)
        return torch.sparse.mm(matrix, x.reshape(-1, n).T).T.reshape(*x.shape[:-1], n_out)


def _low_pass(up, down):
    """scipy's resample_poly's: ten zero crossings on either side of the middle."""
    widest = max(up, down)
    return firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0)) * up


def _band(taps, up, down, n_block):
    """Filter of a block, (n_inputs, n_block), and how many inputs before its start it needs."""
    half = len(taps) // 2
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
    # A mean is rounded: what that leaves of a constant lead would be scaled up to ones.
    flat = (x == x[..., :1]).all(-1, keepdim=True)
    x = (x - x.mean(-1, keepdim=True)).masked_fill(flat, 0.0)
    axes = (-1,) if how == "lead" else (-1, -2)
    sd = x.square().mean(axes, keepdim=True).sqrt()
    return x / torch.where(sd > 0, sd, torch.ones_like(sd))
