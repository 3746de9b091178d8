"""Views of pages: what they keep, what they change, and that a seed settles them."""

import numpy as np
import pytest
import torch

from crtkit.neural import ImageAugment, PageAugment

OFF = {
    "crop": (1.0, 1.0),
    **dict.fromkeys(("rotation", "shear", "perspective", "brightness", "contrast"), 0.0),
    **dict.fromkeys(("grid_colour", "hue", "blur", "noise", "cutout", "mirror"), 0.0),
}


@pytest.fixture
def batch():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3, 20, 28))).float()


def only(**params):
    return PageAugment(**{**OFF, **params})


@pytest.mark.parametrize("augment", [ImageAugment(), PageAugment()])
def test_a_seed_settles_the_views(augment, batch):
    views = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            views.append(augment(batch))
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert views[0].shape == batch.shape
    assert views[0].dtype == batch.dtype


@pytest.mark.parametrize("augment", [ImageAugment(), PageAugment()])
def test_mixed_precision_moves_no_pixel(augment):
    # As inside a training step of precision="bf16".
    page = torch.linspace(-1, 1, 224).expand(2, 3, 224, 224).contiguous()
    views = []
    for enabled in (False, True):
        with (
            torch.random.fork_rng(devices=[]),
            torch.autocast("cpu", torch.bfloat16, enabled=enabled),
        ):
            torch.manual_seed(0)
            views.append(augment(page))
    torch.testing.assert_close(*views)


def test_with_everything_off_nothing_changes(batch):
    torch.testing.assert_close(only()(batch), batch, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "params",
    [
        {"crop": (0.5, 0.9)},
        {"rotation": 5.0},
        {"shear": 5.0},
        {"perspective": 0.2},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"grid_colour": 0.5},
        {"hue": 20.0},
        {"blur": 1.0},
        {"blur": 1.0, "blur_window": 9},
        {"noise": 0.2},
        {"cutout": 0.9},
        {"mirror": 0.5},
    ],
    ids=str,
)
def test_each_part_changes_the_images_and_differently(params, batch):
    same = batch[:1].expand(8, -1, -1, -1)
    views = only(**params)(same)
    assert len({view.numpy().tobytes() for view in views}) > 1
    assert torch.isfinite(views).all()


def test_black_and_white_keep_their_colour_when_the_grid_changes():
    page = torch.ones(5, 3, 4, 4)
    page[:, :, 1] = -1.0
    page[:, 0, 3] = 2.0  # a red line
    view = only(grid_colour=0.9, hue=30.0)(page)
    torch.testing.assert_close(view[:, :, :3], page[:, :, :3])
    assert (view[:, :, 3] - page[:, :, 3]).abs().amax() > 0.1


def test_mirroring_reverses_time(batch):
    torch.testing.assert_close(only(mirror=1.0)(batch), batch.flip(3), atol=1e-5, rtol=0)


def test_by_default_no_page_is_mirrored():
    ramp = torch.linspace(-1, 1, 40).expand(200, 3, 30, 40)
    views = PageAugment(noise=0, cutout=0)(ramp)
    assert (views[..., 30:].mean((1, 2, 3)) > views[..., :10].mean((1, 2, 3))).all()


def test_a_rotation_keeps_proportions():
    """A square stays as tall as it is wide on a page that is twice as wide as tall."""
    page = torch.zeros(1, 3, 60, 120)
    page[:, :, 20:40, 50:70] = 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        view = only(rotation=180.0)(page)[0, 0]
    assert abs(float(view.sum()) - 400) < 15
    rows, columns = np.nonzero(view.numpy() > 0.5)
    assert abs(np.var(rows) - np.var(columns)) < 3


def test_cutout_is_one_rectangle_of_zeros(batch):
    views = only(cutout=1.0)(batch.abs() + 1)
    for zero in (views[:, 0] == 0).numpy():
        rows, columns = zero.any(1), zero.any(0)
        assert zero.sum() == rows.sum() * columns.sum()
    assert (views == 0).any()
    assert (views != 0).any()


def test_inside_autocast_coordinates_stay_exact(batch):
    views = []
    for enabled in (False, True):
        with torch.random.fork_rng(devices=[]), torch.autocast("cpu", torch.bfloat16, enabled):
            torch.manual_seed(0)
            views.append(PageAugment()(batch))
    assert torch.equal(*views)


def test_one_row_of_pixels_and_float64_are_images_too():
    row = torch.rand(4, 3, 1, 9, dtype=torch.float64)
    assert PageAugment()(row).shape == row.shape
    assert PageAugment()(row).dtype == torch.float64


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"crop": (0.0, 1.0)}, "crop"),
        ({"crop": (0.9, 0.5)}, "crop"),
        ({"crop": 0.5}, "crop"),
        ({"blur_window": 4}, "odd"),
        ({"blur_window": 2.5}, "odd"),
        ({"perspective": 0.5}, "perspective from 0 to 0.45"),
        ({"cutout": 3.0}, "cutout from 0 to 1"),
        ({"noise": -0.1}, "noise"),
        ({"rotation": "much"}, "rotation .*'much'"),
        ({"hue": float("nan")}, "hue"),
    ],
)
def test_bad_parameters(params, message, batch):
    with pytest.raises(ValueError, match=message):
        PageAugment(**params)(batch)


def test_bad_parameters_of_the_light_augmentation(batch):
    with pytest.raises(ValueError, match=r"ImageAugment expects zoom from 0 to 0\.9, got 1\.5"):
        ImageAugment(zoom=1.5)(batch)
