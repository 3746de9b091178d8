"""Bars, marks and lines between the leads: found, taken for the scale of time, and left out."""

import numpy as np
import pytest

from crtkit.images import digitize_page, load_image, render_page
from crtkit.images.digitize.timing import time_axis


def make_record():
    """Twelve leads of ten seconds that obey Einthoven, mV at 500 Hz."""
    rng = np.random.default_rng(4)
    phase = (np.arange(5000) / 500 - 0.3) % 0.8
    waves = [(1.0, 0.30, 0.012), (-0.25, 0.335, 0.012), (0.3, 0.52, 0.045)]
    shapes = np.stack([a * np.exp(-0.5 * ((phase - m) / s) ** 2) for a, m, s in waves])
    one, two, *chest = rng.uniform(0.4, 1.1, (8, 3)) @ shapes
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


@pytest.fixture(scope="module")
def barred():
    """A page whose leads begin at thick bars that the traces run into, cut through its pulses."""
    signal = make_record()
    page, truth = render_page(signal, 500, px_per_mm=7.874, labels=False)
    page = page.copy()
    for trace in truth.traces:
        if trace.column and not trace.rhythm:
            x, y = int(trace.x[0]), int(trace.baseline)
            page[y - 32 : y + 36, x - 2 : x + 3] = 15
    first = int(truth.traces[0].x[0])
    # Without its ends a row tells nothing of time: the bars have to.
    return signal, page[:, first - 3 : first + 1950]


def test_bars_that_the_traces_run_into_tell_the_time_and_are_no_trace(barred):
    signal, page = barred
    reading = digitize_page(page)
    assert reading.accepted, reading.reason
    assert reading.scale_from["time"] == "separators"
    assert reading.px_per_second == pytest.approx(25 * 7.874, rel=0.002)
    assert reading.checks["goldberger"] > 15
    for lead, start in ((3, 2.5), (5, 2.5), (7, 5.0), (11, 7.5)):
        at = np.arange(int(start * 500), int((start + 2.2) * 500))
        error = reading.signal[lead, at] - signal[lead, at]
        error = error[np.isfinite(error)]
        assert len(error) > 1000
        assert np.sqrt(np.mean(error**2)) < 0.05


def test_a_complex_beside_a_separator_is_no_bar(data_dir):
    # The third complex of leads II, III and the strip ends a millimetre before the mark.
    reading = digitize_page(load_image(data_dir / "ludb" / "images" / "189.png", size=None))
    assert reading.accepted, reading.reason
    assert reading.rhythm_leads == ("II",)
    assert reading.checks["repeat"] > 20


@pytest.mark.parametrize("shown", [1.0, 0.9, 0.6])
def test_three_separators_name_four_leads_of_a_page_that_is_cut_within_the_last(shown):
    separators = 2.0 + 492.0 * np.arange(1, 4)
    span = np.array([[2.0, 2.0 + 492.0 * (3 + shown)]] * 3)
    axis = time_axis(span, separators, 7.874, 25.0)
    assert axis.seconds == 10
    assert axis.px_per_second == pytest.approx(196.8, rel=2e-3)
    assert axis.x_start == pytest.approx(2.0, abs=1.0)
