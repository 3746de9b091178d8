"""Each dial at zero changes nothing, a seed repeats, and more is more."""

import numpy as np
import pytest

from crtkit.images.render import artefacts


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    page = np.full((90, 120, 3), 255, np.uint8)
    page[20:70:5, 10:110] = rng.integers(0, 200, (10, 100, 3))
    return page


DIALS = [
    (artefacts.perspective, "amount", 0.05),
    (artefacts.curl, "amount", 0.03),
    (artefacts.speckle, "amount", 0.1),
    (artefacts.shadow, "depth", 0.5),
    (artefacts.crease, "amount", 0.8),
    (artefacts.stain, "amount", 0.8),
    (artefacts.handwriting, "amount", 0.8),
]


@pytest.mark.parametrize(("artefact", "dial", "value"), DIALS)
def test_seeds_and_dials(page, artefact, dial, value):
    before = page.copy()
    none = artefact(page, **{dial: 0}, random_state=0)
    one, again = (artefact(page, **{dial: value}, random_state=1) for _ in range(2))
    other = artefact(page, **{dial: value}, random_state=2)
    np.testing.assert_array_equal(page, before)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert np.abs(none.astype(int) - page).mean() < 1
    half = artefact(page, **{dial: value / 4}, random_state=1)
    assert np.abs(half.astype(int) - page).mean() < np.abs(one.astype(int) - page).mean()
    for out in (none, one, other, half):
        assert out.dtype == np.uint8
        assert out.shape == page.shape


def test_what_is_not_drawn_by_chance(page):
    np.testing.assert_array_equal(artefacts.tilt(page, 0), page)
    assert artefacts.tilt(page, 45).shape[0] > page.shape[0]
    np.testing.assert_array_equal(artefacts.blur(page, 0), page)
    assert artefacts.blur(page, 3).std() < page.std()
    error = [
        np.abs(artefacts.jpeg(page, quality).astype(int) - page).mean() for quality in (95, 10)
    ]
    assert error[0] < error[1]


@pytest.mark.parametrize(
    ("artefact", "how"),
    [
        (artefacts.tilt, {"degrees": 60}),
        (artefacts.jpeg, {"quality": 0}),
        (artefacts.perspective, {"amount": -0.1}),
        (artefacts.shadow, {"depth": 2}),
        (artefacts.blur, {"pixels": "much"}),
    ],
)
def test_dials_have_ends(page, artefact, how):
    with pytest.raises(ValueError, match=next(iter(how))):
        artefact(page, **how)


def test_a_global_seed_is_left_alone(page):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    artefacts.speckle(page, 0.1, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_several_dials_draw_apart(page):
    dials = {"shadow": 0.5, "speckle": 0.1}
    both = artefacts.spoil(page, dials, random_state=0)
    np.testing.assert_array_equal(both, artefacts.spoil(page, dials, random_state=0))
    assert (both != artefacts.spoil(page, dials, random_state=1)).any()
    # Turning one dial leaves alone what another draws: the shadow lies where it lay.
    shadow = artefacts.spoil(page, {"shadow": 0.5}, random_state=0)
    with_zero = artefacts.spoil(page, {"shadow": 0.5, "crease": 0, "tilt": 0}, random_state=0)
    np.testing.assert_array_equal(shadow, with_zero)
    rest = both.astype(float)[page > 200] / np.maximum(shadow.astype(float)[page > 200], 1)
    assert rest.mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(artefacts.spoil(page, {}, random_state=0), page)


def test_every_artefact_has_its_dial(page):
    middle = {"tilt": 3, "jpeg": 40, "blur": 1.0}
    for name in artefacts.ARTEFACTS:
        amount = middle.get(name, 0.1)
        out = artefacts.spoil(page, {name: amount}, random_state=0)
        assert out.dtype == np.uint8, name
        assert out.ndim == 3, name
        assert out.shape != page.shape or (out != page).any(), name
    with pytest.raises(ValueError, match="spoil knows the artefacts .*, got mud"):
        artefacts.spoil(page, {"mud": 1})


def test_low_resolution_keeps_the_proportions(page):
    assert artefacts.low_resolution(page, 0.5).shape == (45, 60, 3)
    np.testing.assert_array_equal(artefacts.low_resolution(page, 0), page)


def test_a_fax_is_black_and_white_and_loses_lines():
    page = np.random.default_rng(0).integers(0, 256, (400, 30, 3), dtype=np.uint8)
    out = artefacts.fax(page, 1.0, random_state=0)
    assert np.unique(out).tolist() == [0, 255]
    repeated = (out[1:] == out[:-1]).all(axis=(1, 2))
    assert 1 <= repeated.sum() < 30
    np.testing.assert_array_equal(artefacts.fax(page, 0, random_state=0), page)
