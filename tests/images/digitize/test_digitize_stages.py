"""Each stage of the digitizer by itself, against pages whose geometry is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.images import render_page
from crtkit.images.digitize.calibrate import find_pulses, gain_of
from crtkit.images.digitize.grid import find_lines
from crtkit.images.digitize.ink import (
    UnreadablePageError,
    components,
    darkness,
    even_light,
    find_runs,
    widen,
)
from crtkit.images.digitize.leads import (
    Arrangement,
    agreement,
    candidates,
    limb_agreement,
    name_rhythm,
    row_shifts,
    strip_shift,
)
from crtkit.images.digitize.pen import fit_pen
from crtkit.images.digitize.rectify import rectify
from crtkit.images.digitize.rows import find_rows, pen_width, row_edges, trace_rows
from crtkit.images.digitize.separators import bars, find_separators
from crtkit.images.digitize.timing import time_axis
from crtkit.images.render.artefacts import curl, jpeg, perspective, shadow, tilt


@pytest.fixture(scope="module")
def signal():
    rng = np.random.default_rng(3)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    wave = 0.25 * np.exp(-0.5 * ((t % 0.8 - 0.65) / 0.05) ** 2)
    limb = rng.uniform(0.3, 1.2, (2, 1)) * beat + rng.uniform(0.5, 1, (2, 1)) * wave
    one, two = limb
    rest = rng.uniform(-1.2, 1.2, (6, 1)) * beat + wave
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *rest])


@pytest.fixture(scope="module")
def page(signal):
    return render_page(signal, 500, px_per_mm=7.874, header="Name: Jane Doe")


@pytest.fixture(scope="module")
def flat(page):
    return rectify(darkness(page[0])[0], find_lines(*darkness(page[0])))


@pytest.mark.parametrize(("px_per_mm", "degrees"), [(4.0, 3.0), (5.0, -7.0), (7.874, 0)])
def test_pitch_and_angle_of_the_grid(signal, px_per_mm, degrees):
    shown = jpeg(tilt(render_page(signal, 500, px_per_mm=px_per_mm)[0], degrees), 60)
    grid = find_lines(*darkness(shown))
    assert grid.px == pytest.approx(px_per_mm, rel=4e-4)
    assert grid.py == pytest.approx(px_per_mm, rel=4e-4)
    np.testing.assert_allclose(grid.angle, -degrees, atol=0.02)


def test_a_page_without_a_grid_scores_low(signal):
    bare, _ = render_page(signal, 500, px_per_mm=7.874, grid=False)
    try:
        score = find_lines(*darkness(bare)).score
    except UnreadablePageError:
        return
    with_grid, _ = render_page(signal, 500, px_per_mm=7.874)
    assert score < 0.5 * find_lines(*darkness(with_grid)).score


@pytest.mark.parametrize(
    "bend",
    [
        lambda page: tilt(page, 4.0),
        lambda page: perspective(page, 0.05, random_state=1),
        lambda page: curl(page, 0.01, random_state=1),
    ],
)
def test_a_rectified_page_has_an_upright_grid(signal, bend):
    shown = bend(render_page(signal, 500, px_per_mm=6.0)[0])
    ink, lines = darkness(shown)
    grid = find_lines(ink, lines)
    upright = rectify(lines, grid)
    again = find_lines(rectify(ink, grid).ink, upright.ink)
    np.testing.assert_allclose(again.angle, 0, atol=0.02)
    assert again.px == pytest.approx(upright.px, rel=1e-3)
    assert again.py == pytest.approx(upright.py, rel=1e-3)


def test_an_upright_page_points_back_to_the_page_as_it_came(signal):
    page, truth = render_page(signal, 500, px_per_mm=6.0)
    shown = tilt(page, 5.0)
    ink, lines = darkness(shown)
    upright = rectify(ink, find_lines(ink, lines))
    y, x = np.nonzero(upright.ink > 200)
    back_x, back_y = upright.to_page(x, y)
    dark = ink[np.round(back_y).astype(int), np.round(back_x).astype(int)]
    assert (dark > 100).mean() > 0.99


def test_shadow_is_taken_from_the_paper(page):
    dim = shadow(page[0], 0.5, random_state=0)
    ink, _ = darkness(dim)
    even = even_light(ink)
    clear, _ = darkness(page[0])
    assert even_light(clear) is clear
    paper = clear < 40
    assert np.percentile(ink[paper], 95) > 80
    assert np.percentile(even[paper], 95) < 40


@given(st.integers(0, 2**31 - 1), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_widening_equals_a_square_dilation(seed, by):
    from scipy import ndimage

    mask = np.random.default_rng(seed).random((12, 15)) > 0.9
    square = np.ones((2 * by + 1, 2 * by + 1))
    np.testing.assert_array_equal(widen(mask, by), ndimage.binary_dilation(mask, square))


@given(st.integers(0, 2**31 - 1), st.floats(0.1, 0.6))
@settings(max_examples=30, deadline=None)
def test_components_of_runs_are_those_of_the_pixels(seed, density):
    from scipy import ndimage

    mask = np.random.default_rng(seed).random((14, 17)) < density
    if not mask.any():
        return
    runs = find_runs(np.where(mask, np.uint8(255), np.uint8(0)), 8.0, 0.5, level=255.0)
    label, n_parts = components(runs.column, runs.top, runs.bottom)
    whole, n_whole = ndimage.label(mask, np.ones((3, 3)))
    assert n_parts == n_whole
    middle = whole[runs.top, runs.column]
    assert len(set(zip(label.tolist(), middle.tolist()))) == n_whole


def test_rows_pulses_pen_and_separators(page, flat):
    _, truth = page
    runs = find_runs(flat.ink, flat.px, flat.py)
    pen = pen_width(runs, flat.py)
    assert pen == pytest.approx(0.4 * truth.px_per_mm, rel=0.06)
    rows, _ = find_rows(runs, flat.px, flat.py)
    base = np.unique([trace.baseline for trace in truth.traces])
    _, top = flat.to_page([0, 0], [0, 1])
    np.testing.assert_allclose(rows + top[0], base, atol=0.8 * truth.px_per_mm)
    pulses = find_pulses(runs, flat.px, flat.py, pen)
    np.testing.assert_allclose(pulses.foot + top[0], base, atol=0.3)
    px_per_mv, gain, measured = gain_of(pulses, flat.py)
    assert measured
    assert gain == 10
    assert px_per_mv == pytest.approx(truth.px_per_mv, rel=0.003)
    with pytest.raises(UnreadablePageError, match="10.0 mm tall, but gain=20"):
        gain_of(pulses, flat.py, 20.0)
    left, _ = flat.to_page([0, 1], [0, 0])
    borders = [t.x[0] for t in truth.traces if t.row == 0 and t.column]
    marks = find_separators(runs, rows, flat.px, flat.py) + left[0]
    assert np.abs(marks[:, None] - borders).min(axis=0).max() < 1.0


def test_a_path_stays_with_its_row(page, flat):
    _, truth = page
    runs = find_runs(flat.ink, flat.px, flat.py)
    rows, _ = find_rows(runs, flat.px, flat.py)
    path = trace_rows(runs, rows, flat.px, flat.py)
    upper, lower, _ = row_edges(runs, path, pen_width(runs, flat.py))
    left, top = flat.to_page(0, 0)
    for trace in truth.traces:
        x = np.round(trace.x - left).astype(int)
        middle = ((upper + lower) / 2)[trace.row, x] + top
        calm = np.abs(np.gradient(trace.y)) < 0.5
        assert np.nanmedian(np.abs(middle - trace.y)[calm]) < 0.3


@pytest.mark.parametrize("pen", [1.3, 2.0, 3.15, 4.7])
def test_the_pen_is_fitted_to_what_it_drew(pen):
    """Waves that a round pen drew are found again far better than by the middle of the ink."""
    fitted, straight = [], []
    fine, columns = np.arange(-10, 90, 0.02), np.arange(80)
    for height, width, shift in itertools.product((3, 10, 30), (8, 16, 30), (0.0, 0.3, 0.7)):
        wave = height * np.exp(-0.5 * ((fine - 40 - shift) / (width / 4)) ** 2)
        upper, lower = np.empty(80), np.empty(80)
        for column in columns:
            beside = np.abs(fine - column)
            near = beside < pen / 2
            chord = np.sqrt((pen / 2) ** 2 - beside[near] ** 2)
            upper[column] = (50 - wave[near] - chord).min()
            lower[column] = (50 - wave[near] + chord).max()
        x, y = fit_pen(upper, lower, pen)
        true = np.interp(x, fine, 50 - wave)
        middle = np.interp(x, columns, (upper + lower) / 2)
        inner = (x > 5) & (x < 75)
        fitted.append(np.sqrt(np.mean((y - true)[inner] ** 2)))
        straight.append(np.sqrt(np.mean((middle - true)[inner] ** 2)))
    # A pen of one pixel hides hardly anything that could be won back.
    assert np.mean(fitted) < (0.95 if pen < 2 else 0.75) * np.mean(straight)


def test_time_from_rows_separators_or_the_grid():
    ends = np.array([[100.0, 2068.1]] * 4)
    axis = time_axis(ends, np.empty(0), 7.874, 25.0)
    assert axis.source == "row"
    assert axis.seconds == 10
    assert axis.px_per_second == pytest.approx(196.85, rel=1e-3)
    # One per cent between grid and rows: the rows are right.
    axis = time_axis(ends, np.empty(0), 7.96, 25.0)
    assert axis.px_per_second == pytest.approx(196.85, rel=1e-3)
    # Of a blurred, coarse page each end seems to lie a pixel and a half beyond: the grid is right.
    wide = np.array([[98.5, 100 + 9.998 * 80 + 1.5]] * 4)
    axis = time_axis(wide, np.empty(0), 3.2, 25.0)
    assert axis.px_per_second == pytest.approx(80.0)
    assert axis.x_start == pytest.approx(100.0)
    # A page that its grid has straightened: rows 4 mm too long begin in the rest of a pulse.
    long = np.array([[100.0, 100 + 9.998 * 80 * 1.016]] * 4)
    assert time_axis(long, np.empty(0), 3.2, 25.0).source == "row"
    assert time_axis(long, np.empty(0), 3.2, 25.0, unbent=True).source == "grid"
    hidden = np.array([[0.0, 1950.0]] * 4)
    marks = 2.0 + 492.0 * np.arange(1, 4)
    axis = time_axis(hidden, marks, 7.874, 25.0)
    assert axis.source == "separators"
    assert axis.x_start == pytest.approx(2.0)
    assert axis.px_per_second == pytest.approx(196.8)
    axis = time_axis(hidden, np.empty(0), 7.874, 25.0)
    assert axis.source == "grid"
    with pytest.raises(UnreadablePageError, match="beginning and end"):
        time_axis(np.full((4, 2), np.nan), np.empty(0), 7.874, 25.0)


def test_layouts_by_the_number_of_rows():
    assert [a.name([]) for a in candidates(3)] == ["3x4"]
    assert {(a.rows, a.columns, a.n_rhythm) for a in candidates(6)} == {(3, 4, 3), (6, 2, 0)}
    assert Arrangement.from_name("3x4+II+V1").n_rows == 5
    with pytest.raises(UnreadablePageError, match="9 rows were found"):
        candidates(9)
    with pytest.raises(UnreadablePageError, match="has 7"):
        candidates(4, "6x2+II")
    places = Arrangement.from_name("3x4+1").strips(10.0)
    assert places[5] == (1, 1, "aVL", 2.5, 5.0)
    assert places[-1] == (3, 0, "", 0.0, 10.0)


def test_limb_leads_and_rhythm_strips_are_recognised(signal):
    noise = 1e-3 * np.random.default_rng(0).standard_normal(signal.shape)
    checks = limb_agreement(signal + noise)
    assert min(checks.values()) > 30
    swapped = signal[[1, 0, *range(2, 12)]]
    assert limb_agreement(swapped)["einthoven"] < 10
    shown = np.full_like(signal, np.nan)
    for i in range(12):
        part = slice(1250 * (i // 3), 1250 * (i // 3 + 1))
        shown[i, part] = signal[i, part]
    ((name, fit),) = name_rhythm(signal[7:8] + noise[:1], shown)
    assert name == "V2"
    assert fit > 30
    assert name_rhythm(np.random.default_rng(0).standard_normal((1, 5000)), shown)[0][0] == ""
    assert np.isnan(agreement(shown[0], shown[5]))


def test_a_pulse_that_the_edge_cuts_is_still_a_pulse(page, signal):
    image, truth = page
    left = truth.calibration_boxes[0][0]
    cut = image[:, left + 35 :]  # two millimetres of its top are left
    flat = rectify(darkness(cut)[0], find_lines(*darkness(cut)))
    runs = find_runs(flat.ink, flat.px, flat.py)
    pulses = find_pulses(runs, flat.px, flat.py, pen_width(runs, flat.py))
    assert len(pulses.foot) == 4
    assert pulses.height == pytest.approx(truth.px_per_mv, rel=0.02)
    assert gain_of(pulses, flat.py)[1] == 10.0


def test_bars_between_leads_are_no_trace(page, flat):
    image = page[0].copy()
    truth = page[1]
    x = int(truth.traces[1].x[0])
    for trace in truth.traces[::4][:3]:
        y = int(trace.baseline)
        image[y - 25 : y + 25, x - 5 : x + 5] = 0
    flat = rectify(darkness(image)[0], find_lines(*darkness(image)))
    runs = find_runs(flat.ink, flat.px, flat.py)
    rows, _ = find_rows(runs, flat.px, flat.py)
    at = x - (image.shape[1] - flat.ink.shape[1]) / 2
    dropped = bars(runs, find_separators(runs, rows, flat.px, flat.py), rows, flat.px, flat.py)
    assert dropped.sum() >= 10
    assert np.ptp(runs.column[dropped]) <= 14
    assert abs(np.median(runs.column[dropped]) - at) < 40
    none = bars(runs, np.array([]), rows, flat.px, flat.py)
    assert not none.any()


@pytest.mark.parametrize(("first", "third"), [(0, 0), (6, -5), (-9, 3)])
def test_rows_that_lean_are_found_by_einthoven(signal, first, third):
    leads = np.full((12, 5000), np.nan)
    for i, late in ((0, first), (1, 0), (2, third)):
        leads[i, :1250] = np.roll(signal[i], late)[:1250]
    assert row_shifts(leads) == (first, third)
    assert row_shifts(np.full((12, 5000), np.nan)) == (0, 0)
    unlike = leads.copy()
    unlike[1] = np.random.default_rng(0).standard_normal(5000)
    assert row_shifts(unlike) == (0, 0)


@pytest.mark.parametrize("late", [0, 12, -20])
def test_a_strip_that_is_late_is_found(signal, late):
    leads = np.full((12, 5000), np.nan)
    leads[1, :1250] = signal[1, :1250]
    assert strip_shift(np.roll(signal[1], late), leads) == late
