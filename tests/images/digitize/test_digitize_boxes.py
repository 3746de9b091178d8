"""Leads read from where a person says that they are."""

import numpy as np
import pytest

from crtkit.images import digitize_page, render_page
from crtkit.signals import LEADS_12


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2) - 0.2 * np.exp(
        -0.5 * ((t % 0.8 - 0.46) / 0.02) ** 2
    )
    one, two, *chest = rng.uniform(0.4, 0.9, (8, 1)) * beat
    signal = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])
    return signal, *render_page(signal, 500, px_per_mm=6.0, labels=False)


def boxes_of(truth, leads=LEADS_12):
    out = {}
    for trace in truth.traces:
        if trace.lead in leads and not trace.rhythm:
            left, top, right, bottom = trace.box
            out[trace.lead] = (trace.x[0], top, right, bottom)
    return out


def ratio(true, read):
    seen = np.isfinite(read)
    true, read = true[seen] - true[seen].mean(), read[seen] - read[seen].mean()
    return 10 * np.log10((true**2).sum() / ((true - read) ** 2).sum())


def test_stated_boxes_give_the_leads(page):
    signal, image, truth = page
    reading = digitize_page(image, boxes=boxes_of(truth))
    assert reading.reason is None
    assert reading.layout == "stated"
    assert reading.gain == 10.0
    for i, lead in enumerate(LEADS_12):
        part = reading.signal[i].astype(float)
        assert 1150 < np.isfinite(part).sum() <= 1260, lead
        assert ratio(signal[i], part) > 15, lead


def test_one_lead_is_enough_and_the_others_stay_unknown(page):
    signal, image, truth = page
    reading = digitize_page(
        image, boxes=boxes_of(truth, ("V2",)), px_per_mm=6.0, gain=10, least_confidence=0
    )
    assert reading.accepted
    assert np.isfinite(reading.signal[LEADS_12.index("V2")]).any()
    assert np.isnan(np.delete(reading.signal, LEADS_12.index("V2"), axis=0)).all()
    # Time runs from the leftmost box, which here is its own.
    first = np.flatnonzero(np.isfinite(reading.signal[LEADS_12.index("V2")]))[0]
    assert first < 10


def test_boxes_are_checked(page):
    _, image, truth = page
    with pytest.raises(ValueError, match="boxes must name leads"):
        digitize_page(image, boxes={"X1": (0, 0, 10, 10)})
    with pytest.raises(ValueError, match=r"boxes\['II'\] must be"):
        digitize_page(image, boxes={"II": (10, 0, 5, 10)})
    with pytest.raises(ValueError, match=r"boxes\['II'\] must be"):
        digitize_page(image, boxes={"II": (0, 0, 50, 1e6)})
    empty = digitize_page(image, boxes={"II": (0, 0, 60, 60)}, px_per_mm=6.0)
    assert "lead II" in empty.reason
