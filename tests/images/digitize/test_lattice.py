"""The grid of a bent page is followed to its edges, and gives the plane it was seen in."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.images import render_page
from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import darkness
from crtkit.images.digitize.lattice import follow_grid, plane_of, through
from crtkit.images.digitize.rectify import rectify
from crtkit.images.render.artefacts import curl, perspective


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
        grid.along, grid.down, grid.box, grid.score, grid.stretched, grid.carriers,
        rng.uniform(0, 50, grid.image.shape).astype(np.float32),
    )  # fmt: skip
    found = follow_grid(blank)
    assert found is None or not found.smooth


def places(shape, bend):
    """Where each pixel of a bent page comes from: x and y are written in waves of grey."""
    out = []
    for place in np.meshgrid(*(np.arange(n) for n in shape[1::-1])):
        turn = 2 * np.pi * place / 48
        picture = np.stack([127 + 120 * np.cos(turn), 127 + 120 * np.sin(turn), place / 10], -1)
        seen = bend(picture.round().astype(np.uint8)).astype(float)
        fine = np.angle(seen[..., 0] - 127 + 1j * (seen[..., 1] - 127)) / (2 * np.pi) * 48
        out.append(fine + 48 * np.round((10 * seen[..., 2] - fine) / 48))
    return out


@pytest.mark.parametrize("seed", [9])
def test_a_curled_page_is_straight_up_to_its_edges(seed):
    px = 5.0

    def bend(page):
        return perspective(curl(page, 0.02, random_state=seed), 0.06, random_state=seed)

    page, truth = render_page(np.zeros((12, 5000)), 500, px_per_mm=px)
    ink, lines = darkness(bend(page))
    flat = rectify(ink, find_lines(ink, lines))
    u, v = np.meshgrid(*(np.arange(5, n - 5, 15) for n in flat.ink.shape[::-1]))
    x, y = flat.to_page(u, v)
    at = [y.round().astype(int), x.round().astype(int)]
    there = (x > 1) & (y > 1) & (x < page.shape[1] - 2) & (y < page.shape[0] - 2)
    at = [np.where(there, k, 0) for k in at]
    came = [place[tuple(at)] for place in places(page.shape, bend)]
    left, top, right, bottom = truth.grid_box
    there &= (came[0] > left + 5) & (came[0] < right - 5)
    there &= (came[1] > top + 5) & (came[1] < bottom - 5)
    assert there.sum() > 3000
    for place, flat_mm in zip(came, (u / flat.px, v / flat.py)):
        off = (place / px - flat_mm)[there]
        # A pixel is 0.2 mm, and places are looked up to a pixel.
        assert np.quantile(np.abs(off - np.median(off)), 0.98) < 0.35
