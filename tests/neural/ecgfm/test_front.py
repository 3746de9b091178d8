"""The layer in front of the network: the package's resampling, with a gradient; and z-scores."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.signal import resample_poly

from crtkit.neural.ecgfm.front import LeadResampler, normalize_leads
from crtkit.signals import resample_leads


@pytest.mark.parametrize(
    ("fs_in", "fs_out", "n"),
    [
        (500, 100, 5000),
        (400, 100, 2934),
        (360, 250, 3601),
        (100, 250, 333),
        (257, 100, 1234),
        (500, 100, 7),
        (250, 250, 50),
        # Long cycles: 10,000 outputs for 25,641 inputs, and for 33,333.
        (256.41, 100, 1234),
        (333.33, 100, 2000),
        (100, 256.41, 400),
    ],
)
def test_it_is_the_packages_resampling(fs_in, fs_out, n):
    x = np.random.default_rng(0).normal(size=(2, 3, n)).cumsum(-1)
    layer = LeadResampler(fs_in, fs_out)
    got = layer(torch.from_numpy(x)).numpy()
    want = resample_leads(x, fs_in, fs_out)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-10 * np.abs(x).max())
    assert not layer.state_dict()  # a checkpoint of another rate can be loaded


def test_scipy_without_the_line():
    x = np.random.default_rng(0).normal(size=1000)
    x[[0, -1]] = 0.0  # the straight line from first to last sample is then zero
    got = LeadResampler(500, 100)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, resample_poly(x, 1, 5), atol=1e-12)


@pytest.mark.parametrize("fs", [500, 256.41])
def test_the_gradient_passes(fs):
    x = torch.randn(1, 2, 60, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LeadResampler(fs, 100), x)


@pytest.mark.parametrize(("how", "axes"), [("lead", (-1,)), ("record", (-2, -1))])
def test_z_scores(how, axes):
    x = np.random.default_rng(0).normal(3, 2, size=(3, 4, 100))
    x[1, 2] = 5.0
    got = normalize_leads(torch.from_numpy(x), how).numpy()
    centred = x - x.mean(-1, keepdims=True)
    sd = np.sqrt((centred**2).mean(axes, keepdims=True))
    np.testing.assert_allclose(got, centred / np.where(sd > 0, sd, 1), atol=1e-12)
    assert (got[1, 2] == 0).all()
    assert (normalize_leads(torch.ones(1, 2, 5), how) == 0).all()


@given(st.floats(-10, 10, width=32), st.integers(1, 3000))
def test_a_constant_lead_is_zeros_whatever_its_mean_is_rounded_to(value, n):
    assert (normalize_leads(torch.full((1, 2, n), value)) == 0).all()
