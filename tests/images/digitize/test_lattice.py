"""The grid of a bent page is followed to its edges, and gives the plane it was seen in."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.images import render_page
from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import darkness
from crtkit.images.digitize.lattice import follow_grid, plane_of, through
from crtkit.images.render.artefacts import perspective


@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.0, 0.01]))
@settings(max_examples=30, deadline=None)
def test_a_plane_is_found_in_spite_of_bad_points(seed, noise):
    rng = np.random.default_rng(seed)
    plane = np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))
    plane[2, :2] = rng.uniform(-2e-4, 2e-4, 2)
    plane[:2, 2] *= 100
    plane /= plane[2, 2]
    points = rng.uniform(0, 1000, (60, 2))
    seen = through(plane, points) + noise * rng.standard_normal((60, 2))
    seen[:4] += rng.uniform(-200, 200, (4, 2))
    left = through(plane_of(points, seen), points[4:]) - through(plane, points[4:])
    assert np.abs(left).max() < (1e-6 if noise == 0 else 0.1) * np.abs(plane[:2, :2]).max() * 10


def test_a_slanting_page_is_followed_nearly_everywhere():
    page, truth = render_page(np.zeros((12, 5000)), 500, px_per_mm=5.0)
    left, top, right, bottom = truth.grid_box
    seen = perspective(np.ascontiguousarray(page[top:bottom, left:right]), 0.08, random_state=1)
    found = follow_grid(find_lines(*darkness(seen)))
    assert found.seen > 0.75
    assert found.smooth
    # Distances between tiles in mm are those that the plane gives.
    tiles, mm = np.stack([found.x, found.y], axis=-1), np.stack([found.u, found.w], axis=-1)
    off = through(plane_of(tiles, mm), tiles) - mm
    assert np.abs(off).mean() < 0.05
    assert np.ptp(found.u) == pytest.approx(275, abs=15)


def test_a_page_without_lines_is_not_followed():
    rng = np.random.default_rng(0)
    page, _ = render_page(np.zeros((12, 5000)), 500, px_per_mm=3.0)
    grid = find_lines(*darkness(page))
    blank = grid.__class__(
        grid.along, grid.down, grid.box, grid.score, grid.carriers,
        rng.uniform(0, 50, grid.image.shape).astype(np.float32),
    )  # fmt: skip
    found = follow_grid(blank)
    assert found is None or not found.smooth
