"""Pages show the signal where the truth says, and to scale."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageDraw
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import ECGRenderer
from crtkit.cohort.rows import Rows
from crtkit.images import page_layout, render_page
from crtkit.images.render.raster import Ink
from crtkit.testing import parametrize_with_nd_checks

PLAIN = {"grid": False, "calibration": False, "labels": False}


def smooth(n_leads=12, n_samples=5000, fs=500.0, seed=0, amplitude=1.0, top=8.0):
    """Sums of sines up to ``top`` Hz, in mV, of a given largest amplitude."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / fs
    waves = np.sin(
        2 * np.pi * rng.uniform(0.3, top, (n_leads, 6, 1)) * t + rng.uniform(0, 6, (n_leads, 6, 1))
    ).sum(axis=1)
    return amplitude * waves / np.abs(waves).max()


def ink_of(page):
    """Share of ink in each pixel of a page without a grid."""
    return (255.0 - page[:, :, 0]) / 240.0


@pytest.mark.parametrize("px_per_mm", [4.0, 5.0, 7.874])
def test_ink_follows_the_signal_within_a_pixel(px_per_mm):
    # Sharper peaks would not do: there any pen fills the inside of the bend.
    signal = smooth(amplitude=1.2, top=3.0)
    page, truth = render_page(signal, 500, px_per_mm=px_per_mm, **PLAIN)
    ink = ink_of(page)
    checked = 0
    for trace, leads in zip(truth.traces, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 1]):
        # The truth stands where the paper's own units put it: A4, second 0 at 26 mm, rows 40 mm
        # apart; but for the grid, whose corner is moved to the middle of a pixel.
        assert trace.baseline == pytest.approx((54 + 40 * trace.row) * px_per_mm - 0.5, abs=0.51)
        place = (26 + 25 * trace.start) * px_per_mm - 0.5
        assert trace.x[0] == pytest.approx(place, abs=0.51)
        columns = np.arange(np.ceil(trace.x[0]) + 3, trace.x[-1] - 3).astype(int)
        band = slice(trace.box[1], trace.box[3])
        rows = np.arange(band.start, band.stop)[:, None]
        drawn = ink[band, columns]
        centroid = (drawn * rows).sum(axis=0) / drawn.sum(axis=0)
        # One column shows the mean over its width.
        inside = np.linspace(-0.5, 0.5, 41)
        at = trace.start + (columns[:, None] + inside - trace.x[0]) / (25 * px_per_mm)
        level = np.interp(at, np.arange(5000) / 500, signal[leads]).mean(axis=1)
        error = centroid - (trace.baseline - 10 * px_per_mm * level)
        assert np.abs(error).max() < 1.0
        assert np.sqrt(np.mean(error**2)) < 0.25
        checked += len(columns)
    assert checked > 900 * px_per_mm
    assert truth.px_per_mv == pytest.approx(10 * px_per_mm)
    assert truth.px_per_second == pytest.approx(25 * px_per_mm)


def test_truth_gives_the_pixels_of_the_path():
    signal = smooth(amplitude=1.5)
    page, truth = render_page(signal, 500, **PLAIN)
    ink = ink_of(page)
    assert [t.lead for t in truth.traces[:5]] == ["I", "aVR", "V1", "V4", "II"]
    assert truth.traces[-1].rhythm
    for trace in truth.traces:
        on_path = ink[np.round(trace.y).astype(int), np.round(trace.x).astype(int)]
        assert on_path.min() > 0.5
        left, top, right, bottom = trace.box
        assert left - 0.5 <= trace.x.min()
        assert trace.x.max() < right
        assert top <= trace.y.min()
        assert trace.y.max() < bottom
        assert trace.clipped == 0
        assert len(trace.x) == round((trace.stop - trace.start) * 500)


@pytest.mark.parametrize("fs", [100, 257.5, 360, 1000])
def test_columns_of_ink_give_the_millivolts_back(fs):
    """What a digitizer would do: the centre of the ink in each column, at any sampling rate."""
    n_samples = round(10 * fs)
    signal = smooth(n_samples=n_samples, fs=fs, amplitude=1.2, top=3.0)
    page, truth = render_page(signal, fs, **PLAIN)
    ink = ink_of(page)
    for trace, lead in zip(truth.traces, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 1]):
        columns = np.arange(np.ceil(trace.x[0]) + 3, trace.x[-1] - 3).astype(int)
        rows = np.arange(trace.box[1], trace.box[3])[:, None]
        drawn = ink[trace.box[1] : trace.box[3], columns]
        centre = (drawn * rows).sum(axis=0) / drawn.sum(axis=0)
        first = np.ceil(trace.start * fs) / fs
        seconds = first + (columns - trace.x[0]) / truth.px_per_second
        expected = np.interp(seconds, np.arange(n_samples) / fs, signal[lead])
        found = (trace.baseline - centre) / truth.px_per_mv
        assert np.abs(found - expected).max() < 0.02  # one pixel


def test_ink_lies_nowhere_else():
    page, truth = render_page(smooth(amplitude=1.5), 500, **PLAIN)
    ink = ink_of(page) > 0
    near = np.zeros_like(ink)
    for trace in truth.traces:
        x = np.linspace(trace.x[0], trace.x[-1], 20 * len(trace.x))
        y = np.interp(x, trace.x, trace.y)
        for dx in (-2, -1, 0, 1, 2):
            for dy in (-2, -1, 0, 1, 2):
                near[np.round(y).astype(int) + dy, np.round(x).astype(int) + dx] = True
    for _, (left, top, right, bottom) in truth.text_boxes:
        near[top:bottom, left:right] = True
    assert not (ink & ~near).any()


def test_strokes_equal_a_supersampled_pen():
    rng = np.random.default_rng(3)
    x = np.linspace(8, 150, 400)
    y = 40 + 25 * np.sin(x / 9) + rng.normal(0, 0.3, 400)
    ink = Ink(80, 160, (0, 0, 160, 80), pen=2.0)
    ink.draw(x, y)
    ours = ink.coverage() / 255.0
    scale = 16
    big = Image.new("L", (160 * scale, 80 * scale))
    points = [tuple(p * scale) for p in np.c_[x, y]]
    draw = ImageDraw.Draw(big)
    draw.line(points, fill=255, width=2 * scale, joint="curve")
    for px, py in points:
        draw.ellipse([px - scale, py - scale, px + scale, py + scale], fill=255)
    theirs = np.asarray(big.reduce(scale)) / 255.0
    assert np.abs(ours - theirs).max() < 0.35
    assert np.abs(ours - theirs)[theirs > 0].mean() < 0.05
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.08)


def test_one_sample_spike_is_not_lost():
    signal = np.zeros((12, 5000))
    signal[1, 700] = 1.5
    page, truth = render_page(signal, 500, px_per_mm=4, **PLAIN)
    strip = truth.traces[4]
    assert strip.lead == "II"
    top = strip.y.min()
    assert ink_of(page)[round(top) + 1, round(strip.x[strip.y.argmin()])] > 0.3


def test_calibration_pulse_is_one_millivolt_for_a_fifth_of_a_second():
    page, truth = render_page(np.zeros((12, 5000)), 500, grid=False, labels=False, px_per_mm=5)
    left, top, right, bottom = truth.calibration_boxes[0]
    ink = ink_of(page)[top:bottom, left:right]
    across = np.flatnonzero(ink[len(ink) // 2] > 0.5)
    assert across.max() - across.min() == pytest.approx(25, abs=2)
    down = np.flatnonzero(ink[:, ink.shape[1] // 2] > 0.5)
    foot = np.flatnonzero(ink[:, 2] > 0.5)
    assert foot.mean() - down.mean() == pytest.approx(50, abs=1)


def test_grid_lines_are_a_millimetre_and_five_apart():
    page, truth = render_page(np.zeros((12, 5000)), 500, px_per_mm=4, labels=False)
    left, top, right, bottom = truth.grid_box
    line = page[bottom - 10, left:right, 1].astype(int)  # a minor row between two lines
    line = np.where(line < 250)[0]
    assert set(np.diff(line)) == {4}
    assert len(line) == 276
    strong = np.flatnonzero(page[bottom - 10, left:right, 1] < 180)
    assert set(np.diff(strong)) == {20}


@pytest.mark.parametrize(
    ("layout", "speed", "n_traces", "seconds"),
    [
        ("12x1", 25, 12, 10),
        ("6x2+II", 25, 13, 5),
        ("3x4", 50, 12, 1.25),
        ("3x4+II+V1", 12.5, 14, 5),
    ],
)
def test_layouts_and_speeds(layout, speed, n_traces, seconds):
    _, truth = render_page(smooth(n_samples=10000), 500, layout=layout, speed=speed, px_per_mm=2)
    assert len(truth.traces) == n_traces
    first = truth.traces[0]
    assert first.stop - first.start == pytest.approx(seconds)
    assert np.diff(first.x).mean() * 500 == pytest.approx(speed * 2)
    assert {t.lead for t in truth.traces} == {s.lead for s in page_layout("12x1").strips}


def test_header_and_labels_have_true_boxes():
    bare, _ = render_page(np.zeros((12, 5000)), 500, grid=False, calibration=False, labels=False)
    page, truth = render_page(
        np.zeros((12, 5000)), 500, grid=False, calibration=False, header="Jane Doe\nID 17"
    )
    assert [text for text, _ in truth.text_boxes[:2]] == ["Jane Doe", "ID 17"]
    assert len(truth.label_boxes) == 13
    differ = (page != bare).any(axis=2)
    for _, (left, top, right, bottom) in truth.text_boxes[:2]:
        assert differ[top:bottom, left:right].any()
        differ[top:bottom, left:right] = False
    assert not differ[: truth.grid_box[1]].any()
    _, (left, top, right, bottom) = truth.label_boxes[0]
    assert differ[top:bottom, left:right].mean() > 0.05


def test_pen_is_lifted_at_gaps_and_traces_end_at_the_grid():
    signal = np.zeros((1, 5000))
    signal[0, 1000:2000] = np.nan
    signal[0, 3000:3500] = 40.0
    page, truth = render_page(signal, 500, **PLAIN)
    ink = ink_of(page)
    trace = truth.traces[0]
    x = np.round(trace.x).astype(int)
    row = round(trace.baseline)
    assert ink[row, x[1010:1990]].max() == 0
    assert ink[row, x[10:990]].min() > 0.9
    assert trace.clipped == pytest.approx(0.1)
    outside = np.ones(ink.shape, bool)
    left, top, right, bottom = truth.grid_box
    outside[top:bottom, left:right] = False
    for _, (a, b, c, d) in truth.text_boxes:
        outside[b:d, a:c] = False
    assert ink[outside].max() == 0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    amplitude=st.floats(0, 30),
    px_per_mm=st.floats(1, 6),
    n_samples=st.integers(3800, 5200),
)
def test_any_signal_gives_a_page(seed, amplitude, px_per_mm, n_samples):
    signal = np.random.default_rng(seed).normal(0, amplitude, (12, n_samples))
    page, truth = render_page(signal, 500, px_per_mm=px_per_mm)
    again, _ = render_page(signal, 500, px_per_mm=px_per_mm)
    assert page.dtype == np.uint8
    assert page.shape == (round(210 * px_per_mm), round(297 * px_per_mm), 3)
    np.testing.assert_array_equal(page, again)
    for trace in truth.traces:
        assert np.isfinite(trace.y).all()
        assert 0 <= trace.clipped <= 1


@pytest.mark.parametrize(
    ("signal", "how", "message"),
    [
        (np.zeros((2, 5000)), {}, "got 2 leads"),
        (np.zeros((12, 5000)), {"layout": "strip"}, "12 leads"),
        (np.zeros((12, 1000)), {}, "ends after 2 s"),
        (np.zeros((12, 5000)), {"layout": "5x2"}, "R x C = 12"),
        (np.zeros((12, 5000)), {"layout": "3x4+V9"}, "V9"),
        (np.zeros((12, 5000)), {"header": "x" * 400}, "does not"),
        (np.zeros((12, 5000)), {"header": "x\n" * 30 + "x"}, "at most 5 lines"),
        (np.zeros((12, 5000)), {"fs": 0}, "fs"),
        (np.zeros((12, 5000)), {"px_per_mm": 0.1}, "px_per_mm"),
        (np.zeros((12, 5000)), {"px_per_mm": np.inf}, "px_per_mm"),
        (np.zeros((12, 5000)), {"px_per_mm": 500}, "px_per_mm"),
        (np.zeros((12, 5000)), {"fs": np.nan}, "fs"),
        (np.zeros((12, 5000)), {"fs": "500"}, "fs"),
        (np.zeros((12, 5000)), {"gain": np.inf}, "gain"),
        (np.zeros((12, 5000)), {"speed": -1}, "speed"),
        (np.zeros((12, 5000)), {"header": 17}, "header"),
        (np.zeros((12, 5000)), {"grid": "no"}, "grid"),
        (np.zeros((2, 12, 5000)), {}, "one record"),
        (np.zeros((12, 0)), {}, "one record"),
    ],
)
def test_what_cannot_be_drawn_is_named(signal, how, message):
    with pytest.raises(ValueError, match=message):
        render_page(signal, **{"fs": 500, **how})


def test_renderer_gives_the_pages_of_render_page(tmp_path):
    signals = np.stack([smooth(seed=i) for i in range(3)]).astype(np.float32)
    renderer = ECGRenderer(px_per_mm=2, header="h")
    pages = renderer.fit_transform(signals)
    for page, signal in zip(pages, signals):
        np.testing.assert_array_equal(page, render_page(signal, px_per_mm=2, header="h")[0])
    np.save(tmp_path / "x.npy", signals)
    rows = Rows.from_cells([f"{tmp_path / 'x.npy'}#{i}" for i in range(3)])
    np.testing.assert_array_equal(renderer.transform(rows), pages)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(renderer)).transform(signals), pages)
    small = clone(renderer).set_params(size=(64, 96)).fit_transform(signals)
    assert small.shape == (3, 64, 96, 3)
    assert abs(small.mean() - pages.mean()) < 1


def test_two_axes_are_one_lead():
    signals = np.stack([smooth(1, seed=i)[0] for i in range(2)])
    pages = ECGRenderer(px_per_mm=2).fit_transform(signals)
    np.testing.assert_array_equal(pages, ECGRenderer(px_per_mm=2).fit_transform(signals[:, None]))
    assert pages.shape == (2, 130, 594, 3)


def test_renderer_refuses():
    signals = np.zeros((2, 12, 5000))
    with pytest.raises(ValueError, match="3 leads"):
        ECGRenderer().fit(np.zeros((2, 3, 5000)))
    with pytest.raises(ValueError, match="px_per_mm"):
        ECGRenderer(px_per_mm=0).fit(signals)
    with pytest.raises(ValueError, match=r"\(height, width\)"):
        ECGRenderer(size=(10, -1)).fit(signals)
    with pytest.raises(ValueError, match="NaN"):
        ECGRenderer().fit(np.full((2, 12, 5000), np.nan))
    with pytest.raises(ValueError, match="ends after"):
        ECGRenderer().fit(signals).transform(signals[:, :, :1000])
    with pytest.raises(ValueError, match="header must fit"):
        ECGRenderer(header="x" * 999).fit(signals)


def test_set_output_of_a_pipeline_does_not_break():
    pipe = make_pipeline(ECGRenderer(px_per_mm=1)).set_output(transform="pandas")
    assert pipe.fit_transform(np.zeros((2, 12, 5000))).ndim == 4


@parametrize_with_checks([ECGRenderer(px_per_mm=1)])
def test_sklearn_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [(ECGRenderer(px_per_mm=1, fs=50), "signals", {"shape": (12, 500), "free_axes": (2,)})]
)
def test_nd(estimator, check):
    check(estimator)


@pytest.mark.parametrize("gain", [10, 40])
@pytest.mark.parametrize("layout", ["3x4+II", "6x2+II", "12x1", "12x1+II+V1"])
def test_pulses_and_labels_stay_on_the_grid(layout, gain):
    _, truth = render_page(np.zeros((12, 5000)), 500, layout=layout, gain=gain)
    boxes = [*truth.calibration_boxes, *(box for _, box in truth.label_boxes)]
    assert min(box[1] for box in boxes) >= truth.grid_box[1]
    assert max(box[3] for box in boxes) <= truth.grid_box[3]


@pytest.mark.parametrize("colour", ["red", "orange", "green", "blue", "grey"])
@pytest.mark.parametrize("paper", ["white", "cream", "pink", "grey"])
def test_colours_of_grid_and_paper(colour, paper):
    page, truth = render_page(np.zeros((12, 5000)), 500, px_per_mm=3, colour=colour, paper=paper)
    plain, _ = render_page(np.zeros((12, 5000)), 500, px_per_mm=3)
    corner = page[2, 2].astype(int)
    assert (corner == 255).all() == (paper == "white")
    left, top, right, bottom = truth.grid_box
    tint = page[top:bottom, left:right].reshape(-1, 3).mean(axis=0) - corner
    strongest = {"red": 0, "orange": 0, "green": 1, "blue": 2}.get(colour)
    assert strongest is None or np.argmax(tint) == strongest
    ink = (page < 60).all(axis=2)
    assert (ink != (plain < 60).all(axis=2)).mean() < 1e-3


def test_renderer_spoils_each_page_by_its_seed():
    signals = np.random.default_rng(0).normal(scale=0.2, size=(2, 12, 5000))
    dials = {"tilt": 3, "shadow": 0.5, "low_resolution": 0.2}
    renderer = ECGRenderer(px_per_mm=2, artefacts=dials, random_state=0)
    pages = renderer.fit_transform(signals)
    assert pages.shape == ECGRenderer(px_per_mm=2).fit_transform(signals).shape
    np.testing.assert_array_equal(pages, renderer.fit_transform(signals))
    same = renderer.fit_transform(signals[[0, 0]])
    assert (same[0] != same[1]).any()
    with pytest.raises(ValueError, match="spoil knows the artefacts"):
        ECGRenderer(artefacts={"mud": 1}).fit(signals)
    with pytest.raises(ValueError, match="amount"):
        ECGRenderer(artefacts={"crease": 3}).fit(signals)
