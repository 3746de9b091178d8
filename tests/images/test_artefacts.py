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
