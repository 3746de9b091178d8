"""The position convolution by Fourier transform is torch's own convolution."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional as F

from crtkit.neural.ecgfm import SIZES
from crtkit.neural.ecgfm.network import _PositionEncoding
from crtkit.neural.ecgfm.position import grouped_conv


def _inputs(n, channels, groups, taps, tokens, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = (n, channels, tokens), (channels, channels // groups, taps), (channels,)
    return [torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3),
    width=st.integers(1, 4),
    groups=st.integers(1, 3),
    taps=st.integers(1, 17),
    tokens=st.integers(1, 40),
    short=st.integers(0, 3),
)
def test_any_sizes(n, width, groups, taps, tokens, short):
    x, weight, bias = _inputs(n, width * groups, groups, taps, tokens)
    padding = max(taps // 2 - short, 0)
    if tokens + 2 * padding < taps:
        padding = taps
    want = F.conv1d(x, weight, bias, padding=padding, groups=groups)
    got = grouped_conv(x, weight, bias, groups, padding, "fft")
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def test_the_published_size_in_float32():
    x, weight, bias = _inputs(2, 768, 16, 128, 312, torch.float32)
    with torch.no_grad():
        weight *= (4 / (128 * 768)) ** 0.5  # as the network starts
    outs, grads = [], []
    for method in ("direct", "fft"):
        out = grouped_conv(x, weight, bias, 16, 64, method)
        outs.append(out)
        grads.append(torch.autograd.grad(out.square().mean(), (x, weight, bias)))
    torch.testing.assert_close(outs[1], outs[0], rtol=1e-5, atol=1e-5)
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5 * a.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_mixed_precision_keeps_the_spectra_whole(dtype):
    x, weight, bias = _inputs(2, 8, 2, 32, 50, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        got = grouped_conv(x.to(dtype), weight, bias, 2, 16, "fft")
    assert got.dtype == dtype
    want = F.conv1d(x, weight, bias, padding=16, groups=2)
    tolerance = 1e-4 if dtype == torch.float32 else 0.03 * want.abs().max().item()
    torch.testing.assert_close(got.float(), want, rtol=0, atol=tolerance)


def test_the_network_gives_the_same_tokens_either_way(monkeypatch):
    from crtkit.neural.ecgfm import network

    encoding = _PositionEncoding(SIZES["tiny"]).eval()
    tokens = torch.randn(2, 60, 48, generator=torch.Generator().manual_seed(0))
    want = encoding(tokens)
    monkeypatch.setattr(network, "grouped_conv", lambda *a: grouped_conv(*a, method="fft"))
    torch.testing.assert_close(encoding(tokens), want, rtol=1e-5, atol=1e-5)
