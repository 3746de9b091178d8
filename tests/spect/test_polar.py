"""Sampling of the wall, its geometry, and pictures, on ventricles whose truth is known."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from crtkit import PhaseAnalysis
from crtkit.datasets import simulate_gated_spect
from crtkit.spect import (
    Ventricle,
    find_ventricle,
    phase_statistics,
    plot_phase_histogram,
    plot_polar_map,
    plot_segments,
    sample_polar_maps,
    wrap_degrees,
)
from crtkit.spect.polar import wall_rays


@pytest.fixture(scope="module")
def clean():
    return simulate_gated_spect(psd_deg=30, scar=0, noise=0, n_frames=16, random_state=1)


@pytest.mark.parametrize("found", [True, False])
def test_phases_come_back_from_a_stack_without_noise(clean, found):
    stack, truth = clean
    counts = sample_polar_maps(stack, None if found else truth["ventricle"])
    phase = PhaseAnalysis().fit_transform(counts[None])[0]
    gap = wrap_degrees(phase - truth["onset_deg"])
    # The camera's blur mixes neighbours; without it the gap would be nothing.
    assert np.abs(gap).mean() < 9
    assert np.corrcoef(phase.ravel(), truth["onset_deg"].ravel())[0, 1] > 0.85


def test_scar_has_fewer_counts():
    stack, truth = simulate_gated_spect(scar=30, noise=0, random_state=3)
    counts = sample_polar_maps(stack, truth["ventricle"]).mean(axis=0)
    assert counts[truth["scar"] > 0.8].mean() < 0.75 * counts[truth["scar"] < 0.2].mean()


@pytest.mark.parametrize("lvedv", [180, 290, 450])
@pytest.mark.parametrize("flip", [False, True])
def test_the_ventricle_is_found_whichever_way_the_slices_run(lvedv, flip):
    stack, truth = simulate_gated_spect(lvedv=lvedv, random_state=lvedv)
    shifted = np.roll(stack, (2, -3), axis=(2, 3))
    expected = truth["ventricle"]
    found = find_ventricle(shifted[:, ::-1] if flip else shifted)
    np.testing.assert_allclose(found.center, np.add(expected.center, (2, -3)), atol=0.4)
    assert abs(found.radius - expected.radius) < 1
    place = (lambda z: stack.shape[1] - 1 - z) if flip else (lambda z: z)
    assert abs(found.apex - place(expected.apex)) <= 1
    assert abs(found.base - place(expected.base)) <= 1


def test_maps_do_not_depend_on_the_direction_of_the_slices():
    stack, _ = simulate_gated_spect(random_state=0)
    np.testing.assert_allclose(
        sample_polar_maps(stack), sample_polar_maps(stack[:, ::-1]), rtol=1e-4
    )


def test_a_ray_finds_the_one_hot_voxel_of_its_sector():
    stack = np.full((3, 12, 20, 20), 1.0)
    ventricle = Ventricle((10.0, 10.0), 5.0, 1.0, 11.0)
    start, direction = wall_rays(ventricle, 12, 8)
    where = np.rint(start[:, 9, 3] + 5.0 * direction[:, 9, 3]).astype(int)
    stack[1][tuple(where)] = 50.0
    maps = sample_polar_maps(stack, ventricle, n_sectors=8)
    assert np.unravel_index(maps.argmax(), maps.shape) == (1, 9, 3)
    assert maps[0].max() == maps[2].max() == 1


def test_anisotropic_voxels():
    ventricle = Ventricle((10.0, 10.0), 5.0, 2.0, 22.0)
    start, direction = wall_rays(ventricle, 30, 12, spacing=(2.0, 4.0, 4.0))
    tip = (start + 5.0 * direction) * np.array([2.0, 4.0, 4.0]).reshape(3, 1, 1)
    axis = np.array([4.0 + 20.0, 40.0, 40.0]).reshape(3, 1, 1)
    apical = tip[0] < axis[0] - 0.1
    distance = np.sqrt(np.square(tip - axis).sum(axis=0))
    np.testing.assert_allclose(distance[apical], 20.0, atol=1e-9)
    across = np.hypot(tip[1] - 40.0, tip[2] - 40.0)
    np.testing.assert_allclose(across[~apical], 20.0, atol=0.2)


def test_pixels_that_are_not_square(clean):
    """The same heart on half the row spacing is found, and sampled, as before."""
    stack, _ = clean
    fine = zoom(stack, (1, 1, 2, 1), order=1, grid_mode=True, mode="nearest")
    expected, found = find_ventricle(stack), find_ventricle(fine, spacing=(6.4, 3.2, 6.4))
    assert found.radius == pytest.approx(expected.radius, abs=0.2)
    assert found.center[0] == pytest.approx(2 * expected.center[0] + 0.5, abs=0.4)
    assert found.center[1] == pytest.approx(expected.center[1], abs=0.2)
    one, other = sample_polar_maps(stack), sample_polar_maps(fine, spacing=(6.4, 3.2, 6.4))
    assert np.abs(one - other).mean() < 0.02 * one.mean()


@pytest.mark.parametrize("spacing", [(6.4, -6.4, 6.4), (6.4, 6.4), (0, 1, 1), (np.nan, 1, 1)])
def test_spacing_that_cannot_be(clean, spacing):
    stack, truth = clean
    for call in (find_ventricle, lambda s, **k: sample_polar_maps(s, truth["ventricle"], **k)):
        with pytest.raises(ValueError, match="three positive numbers in mm"):
            call(stack, spacing=spacing)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.ones((8, 10, 20)), "shape"),
        (-np.ones((8, 10, 20, 20)), "must not be negative, got -1.*numpy.clip"),
        (np.zeros((8, 10, 20, 20)), "no counts"),
        (np.full((8, 10, 20, 20), np.nan), "finite"),
    ],
)
def test_stacks_that_cannot_be(stack, message):
    with pytest.raises(ValueError, match=message):
        sample_polar_maps(stack)


def test_geometry_that_cannot_be(clean):
    stack, _ = clean
    with pytest.raises(ValueError, match="outside slices"):
        sample_polar_maps(stack, Ventricle((99.0, 5.0), 5.0, 1.0, 9.0))
    with pytest.raises(ValueError, match="radius > 0"):
        Ventricle((9.0, 5.0), -5.0, 1.0, 9.0)
    with pytest.raises(ValueError, match="apex and base to differ"):
        Ventricle((9.0, 5.0), 5.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="n_sectors >= 3"):
        sample_polar_maps(stack, n_sectors=1)
    with pytest.raises(ValueError, match="integers"):
        sample_polar_maps(stack, n_rings=12.5)


def test_pictures_draw_what_they_are_given():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    phase = np.random.default_rng(0).normal(350, 25, (12, 24)) % 360
    phase[3, 4] = np.nan
    ax = plot_polar_map(phase, title="phase")
    drawn = ax.collections[0].get_array()
    assert drawn.shape == (12, 192)
    assert drawn.mask.sum() == 8
    ax = plot_phase_histogram(phase)
    assert sum(bar.get_height() for bar in ax.patches[:60]) == pytest.approx(100)
    psd = phase_statistics(phase.ravel(), ("psd",))[0]
    assert f"PSD {psd:.1f}" in ax.get_title()
    ax = plot_segments(phase)
    assert len([t for t in ax.texts if t.get_text().endswith("°")]) == 17
    plt.close("all")
    with pytest.raises(ValueError, match="n_rings, n_sectors"):
        plot_polar_map(phase.ravel())
