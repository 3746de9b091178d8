"""Pictures of maps: what stands on them, and that their colours mean what they say."""

import numpy as np
import pytest

from crtkit._leads import LEADS_12
from crtkit.datasets import make_cohort
from crtkit.explain import Attribution, lead_masks, plot_attribution, plot_grad_cam, read_boxes
from crtkit.images import EDAN_SE3, page_geometry, render_page

pytest.importorskip("matplotlib").use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def _attribution():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 4, 1000)) / 1000
    return Attribution(
        maps,
        rng.normal(0, 0.2, (2, 4, 1000)),
        maps.sum((1, 2)),
        np.zeros(2),
        "deeplift",
        "zero",
        "responder",
    )


def test_the_page_shows_every_lead_and_what_was_explained():
    ax = _attribution().plot(1, fs=100, layout="3x4+II", name="p07")
    assert {text.get_text() for text in ax.texts} == {*LEADS_12, "rhythm strip"}
    title = ax.get_title()
    for part in ("DeepLIFT", "responder", "zero", "p07", "0% missed", "red speaks for the class"):
        assert part in title
    assert ax.figure.axes[-1].get_ylabel() == "Change of log odds of 'responder' in 40 ms"


def test_sign_is_colour_and_no_colour_is_lost_on_white():
    values = np.zeros((1, 300))
    values[0, 50:60], values[0, 200:210] = 1, -1
    ax = plot_attribution(
        np.zeros((1, 300)), values, 100, layout=["I"], method="occlusion", target=1
    )
    lines = ax.collections[0]
    lines.update_scalarmappable()
    colours = lines.get_colors()
    red, blue, none = colours[54], colours[204], colours[130]
    assert red[0] > red[2] + 0.3
    assert blue[2] > blue[0] + 0.3
    luminance = colours[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert luminance.max() < 0.65  # white is 1
    assert abs(none[0] - none[2]) < 0.02
    assert ax.get_title().startswith("Occlusion, class 1")


def test_a_map_lies_on_the_whole_page_at_the_page_s_resolution():
    page = np.full((157, 221, 3), 250, dtype=np.uint8)
    heat = np.zeros((14, 14))
    heat[3, 10] = 0.02
    ax = plot_grad_cam(page, heat, layout=EDAN_SE3, record="p07", target="yes", simulated=True)
    shown, map_ = ax.images
    assert shown.get_array().shape[:2] == (157, 221)
    assert list(map_.get_extent()) == [0, 221, 157, 0]
    alpha = np.asarray(map_.get_alpha())
    assert alpha[3, 10] == pytest.approx(0.7)
    assert (np.delete(alpha.ravel(), 3 * 14 + 10) == 0).all()
    names = [text.get_text() for text in ax.texts]
    assert {*LEADS_12, "SIMULATED"} == set(names)
    assert ax.get_title() == "Record p07"
    assert ax.figure.axes[-1].get_ylabel() == "Grad-CAM, class yes (logit: activation x gradient)"
    boxes = EDAN_SE3.lead_boxes()
    assert len(ax.patches) == len(boxes)
    assert ax.patches[0].get_xy() == pytest.approx((boxes[0][1][0] * 221, boxes[0][1][1] * 157))


def test_boxes_alone_show_whether_the_layout_fits():
    ax = plot_grad_cam(np.zeros((20, 30), dtype=np.uint8), layout="3x4+II")
    assert len(ax.images) == 1
    assert len(ax.patches) == 13


@pytest.mark.parametrize(
    ("page", "heat", "message"),
    [
        (np.zeros((2, 5, 5, 3)), np.zeros((5, 5)), "one page"),
        (np.zeros((5, 5, 3)), np.zeros((1, 5, 5)), "one map"),
        (np.zeros((5, 5, 3)), -np.ones((5, 5)), "negative"),
    ],
)
def test_bad_input_is_named(page, heat, message):
    with pytest.raises(ValueError, match=message):
        plot_grad_cam(page, heat)


def test_boxes_are_read_from_a_page_that_no_layout_fits():
    cohort = make_cohort("mori2025", n_patients=4, random_state=0)
    page, _ = render_page(np.asarray(cohort.X["signal"].iloc[0]), fs=500)
    # Margins cut off: the geometry of the whole page misplaces every lead.
    left, top = 40, 150
    cut = page[top:, left:]
    found = dict(read_boxes(cut).lead_boxes(rhythm=False))
    known = dict(page_geometry("3x4+II").lead_boxes(rhythm=False))
    height, width = page.shape[:2]
    for lead in LEADS_12:
        box, whole = np.array(found[lead]), np.array(known[lead])
        x = box[[0, 2]] * cut.shape[1] + left
        np.testing.assert_allclose(x, whole[[0, 2]] * width, atol=0.02 * width)
        middle = box[[1, 3]].mean() * cut.shape[0] + top
        assert whole[1] * height < middle < whole[3] * height
    ax = plot_grad_cam(cut, layout=read_boxes(cut))
    assert len(ax.patches) == 13
    masks = lead_masks(read_boxes(cut), (60, 80))
    assert masks["V2"].sum() > 0
    with pytest.raises(ValueError, match="could not read the page"):
        read_boxes(np.full((300, 400, 3), 255, dtype=np.uint8))


def test_the_report_pages_we_know_have_a_name():
    by_name = lead_masks("edan-se3", (50, 70))
    np.testing.assert_array_equal(by_name["V3"], lead_masks(EDAN_SE3, (50, 70))["V3"])
