"""Fingerprints of pools: the same as one page at a time, and as Pillow makes thumbnails."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from crtkit.images.pool import THUMBNAIL, fingerprints, thumbnail


def by_pillow(page):
    grey = page.astype(np.float32).mean(axis=2)
    small = Image.fromarray(grey, mode="F")
    small = np.asarray(small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    low, high = small.min(), small.max()
    return np.uint8(255 * (small - low) / max(high - low, 1e-6)).ravel()


@given(
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_thumbnails_are_pillow_s_to_one_step_of_grey(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    page = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    difference = thumbnail(page).astype(int) - by_pillow(page)
    assert np.abs(difference).max() <= 1
    # One step is a rounding: 65 pixels on 64 give weights whose sums lie near a half most often.
    assert (difference != 0).mean() < 0.1


def test_a_constant_page_has_a_thumbnail_of_zeros():
    assert not thumbnail(np.full((224, 224, 3), 255, dtype=np.uint8)).any()


@pytest.mark.parametrize("threads", ["1", "4"])
def test_threads_do_not_change_the_order(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    X = np.random.default_rng(0).integers(0, 256, (150, 70, 66, 3), dtype=np.uint8)
    prints, errors, kept = fingerprints(X)
    assert errors == {}
    assert kept.tolist() == list(range(150))
    for i in (0, 63, 64, 149):
        header = f"{X[i].shape}{X.dtype}".encode()
        assert prints.exact[i] == hashlib.sha256(header + X[i].tobytes()).hexdigest()
        np.testing.assert_array_equal(prints.perceptual[i], thumbnail(X[i]))


def test_records_that_are_no_images_have_no_thumbnail():
    prints, _, _ = fingerprints(np.eye(5, dtype=np.uint8))
    assert prints.perceptual is None
    assert len(set(prints.exact)) == 5
