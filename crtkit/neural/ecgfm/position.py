"""The grouped convolution of the position encoding, directly or by Fourier transform.

With the published 128 taps and 48 channels per group it takes over half of a GPU's training step,
where the deterministic kernels of the direct form use no tensor cores. By Fourier transform it is
44 times fewer multiplications (10 s, base size), as deterministic, and the same to 1e-5. A whole
training step in bf16 is then 1.37 times as fast on an H200 (benchmarks/results/speed), and one CPU
core computes it 1.3 times as fast; the CPU keeps the direct form, whose numbers are published.
"""

import torch
from scipy.fft import next_fast_len
from torch.nn import functional as F


def grouped_conv(x, weight, bias, groups, padding, method="auto"):
    """``conv1d`` of stride 1 with groups.

    Parameters
    ----------
    x : Tensor of shape (n_records, n_channels, n_tokens)
    weight : Tensor of shape (n_channels, n_channels / groups, n_taps)
    bias : Tensor of shape (n_channels,)
    groups, padding : int
    method : {"auto", "direct", "fft"}
        "auto" takes the transform on a GPU, for kernels that are long enough to gain by it.

    Returns
    -------
    Tensor of shape (n_records, n_channels, n_tokens + 2 padding - n_taps + 1)

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.position import grouped_conv
    >>> x, weight, bias = torch.randn(2, 4, 9), torch.randn(4, 2, 5), torch.randn(4)
    >>> a, b = (grouped_conv(x, weight, bias, 2, 2, method) for method in ("direct", "fft"))
    >>> torch.allclose(a, b, atol=1e-5)
    True
    """
    if method == "auto":
        method = "fft" if x.is_cuda and weight.shape[-1] >= 32 else "direct"
    if method == "direct":
        return F.conv1d(x, weight, bias, padding=padding, groups=groups)
    # Padded on both sides, the outputs that are wanted never meet the end of the circle.
    x = F.pad(x, (padding, padding))
    n_out = x.shape[-1] - weight.shape[-1] + 1
    size = next_fast_len(x.shape[-1], real=True)
    dtype = x.dtype
    # Half precision has no transform, and mixed precision would round the spectra.
    with torch.autocast(x.device.type, enabled=False):
        wide = torch.promote_types(dtype, torch.float32)
        signal = torch.fft.rfft(x.to(wide), n=size).unflatten(1, (groups, -1))
        taps = torch.fft.rfft(weight.to(wide), n=size).unflatten(0, (groups, -1))
        # conv1d correlates: the spectrum of the taps is conjugated. One product of matrices for
        # each group and frequency.
        left = signal.permute(1, 3, 0, 2)
        right = taps.conj().permute(0, 3, 2, 1)
        out = (left @ right).permute(2, 0, 3, 1).flatten(1, 2)
        out = torch.fft.irfft(out, n=size)[..., :n_out]
        return (out + bias.to(wide)[:, None]).to(dtype)
