"""Letters are told from traces by their size, whatever the page's scale."""

import numpy as np
import pytest

from crtkit.images import render_page
from crtkit.images.lettering import find_lettering, paint_over


def make_signal():
    t = np.arange(5000) / 500
    return np.outer(np.linspace(0.2, 0.5, 12), np.exp(-0.5 * ((t % 0.8 - 0.7) / 0.02) ** 2))


@pytest.mark.parametrize("px_per_mm", [5.0, 7.874])
@pytest.mark.parametrize("layout", ["3x4+II", "12x1"])
def test_labels_are_found_and_traces_are_not(px_per_mm, layout):
    page, truth = render_page(make_signal(), 500, px_per_mm=px_per_mm, layout=layout)
    found = find_lettering(page)
    for name, (left, top, right, bottom) in truth.label_boxes:
        dark = (page[top:bottom, left:right] < 60).all(axis=2)
        assert found[top:bottom, left:right][dark].mean() > 0.9, name
    for trace in truth.traces:
        assert found[np.round(trace.y).astype(int), np.round(trace.x).astype(int)].mean() < 0.005


def test_a_page_without_a_grid_is_refused():
    with pytest.raises(ValueError, match="letters cannot be told from traces"):
        find_lettering(np.full((60, 60, 3), 255, np.uint8))


def test_painting_over_takes_the_paper_beside_it():
    page = np.full((30, 30, 3), 200, np.uint8)
    page[10:14, 10:14] = 0
    mask = np.zeros((30, 30), bool)
    mask[10:14, 10:14] = True
    paint_over(page, mask)
    assert (page == 200).all()
    paint_over(page[:4, :4], np.ones((4, 4), bool))  # nothing beside it: white
    assert (page[:4, :4] == 255).all()


def test_a_letter_a_hair_beside_an_r_wave_is_found_and_the_wave_is_not():
    t = np.arange(5000) / 500
    page, truth = render_page(make_signal(), 500, px_per_mm=7.874)
    left, top, right, bottom = dict(truth.label_boxes)["V4"]
    trace = next(trace for trace in truth.traces if trace.lead == "V4")
    # An R wave that rises beside the name, nearer than pieces of a thin trace are to each other.
    at = trace.start + (right + 4 - trace.x[0]) / (25 * 7.874)
    signal = np.outer(np.ones(12), 1.5 * np.exp(-0.5 * ((t - at) / 0.006) ** 2))
    page, truth = render_page(signal, 500, px_per_mm=7.874)
    inked = (page[:, right : right + 8] < 60).all(axis=2)[top:bottom]
    assert inked.any(axis=0).any()
    found = find_lettering(page)
    dark = (page[top:bottom, left:right] < 60).all(axis=2)
    assert found[top:bottom, left:right][dark].mean() > 0.9
    trace = next(trace for trace in truth.traces if trace.lead == "V4")
    assert not found[np.round(trace.y).astype(int), np.round(trace.x).astype(int)].any()
