"""Views by the renderer's artefacts: repeatable by torch's seed, of the batch's own form."""

import numpy as np
import pytest
import torch

from crtkit.images import render_page
from crtkit.neural import ArtefactAugment
from crtkit.neural.resnet_network import PIXEL_MEAN, PIXEL_STD


@pytest.fixture(scope="module")
def batch():
    page, _ = render_page(np.zeros((12, 5000)), 500, px_per_mm=1.0)
    page = torch.as_tensor(page[:96, :128].copy()).permute(2, 0, 1)[None].repeat(3, 1, 1, 1) / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD))
    return (page - mean) / std


def test_views_repeat_by_seed_and_differ_by_page(batch):
    augment = ArtefactAugment(share=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one = augment(batch)
        torch.manual_seed(0)
        again = augment(batch)
        other = augment(batch)
    assert one.shape == batch.shape
    assert one.dtype == batch.dtype
    torch.testing.assert_close(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_nothing_happens_at_share_zero(batch):
    out = ArtefactAugment(share=0.0)(batch)
    assert (out - batch).abs().max() < 0.02  # half a grey level


def test_wrong_dials_are_named(batch):
    with pytest.raises(ValueError, match="got dials .*mud"):
        ArtefactAugment(dials={"mud": 1})(batch)
    with pytest.raises(ValueError, match="share"):
        ArtefactAugment(share=2)(batch)
