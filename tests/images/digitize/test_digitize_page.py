"""Whole pages: rendered ones against their own signals, real ones against what they must obey."""

import lzma

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from crtkit._leads import LEADS_12
from crtkit.datasets import simulate_ecg
from crtkit.images import PageReading, digitize_page, load_image, render_page
from crtkit.images.render.artefacts import curl, jpeg, perspective, speckle, tilt


def make_record(rate=75.0, seed=0, amplitude=1.0):
    """Twelve leads that obey Einthoven, ten seconds at 500 Hz, mV."""
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    phase = (t - 0.3) % (60 / rate)
    waves = [
        (0.12, 0.18, 0.025),
        (1.0, 0.30, 0.012),
        (-0.25, 0.335, 0.012),
        (0.3, 0.30 + 16 / rate, 0.045),
    ]
    shapes = np.stack([a * np.exp(-0.5 * ((phase - m) / s) ** 2) for a, m, s in waves])
    one, two, *chest = (
        amplitude * rng.uniform(0.4, 1.1, (8, 4)) * rng.choice([1, 1, 1, -1], (8, 4))
    ) @ shapes
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


def printed(signal, truth):
    """What a page shows of a record, NaN elsewhere and where it was cut at the grid's edge."""
    out = np.full(signal.shape, np.nan)
    for trace in truth.traces:
        lead, first = LEADS_12.index(trace.lead), int(np.ceil(trace.start * 500 - 1e-9))
        part = slice(first, first + len(trace.y))
        inside = (trace.y >= truth.grid_box[1]) & (trace.y <= truth.grid_box[3])
        out[lead, part] = np.where(inside, signal[lead, part], np.nan)
    return out


def ratio(true, read):
    """Signal-to-noise ratio in dB of each lead, neither aligned nor freed of an offset."""
    both = np.isfinite(true) & np.isfinite(read)
    power = np.where(both, true, 0) ** 2
    rest = np.where(both, np.nan_to_num(true) - np.nan_to_num(read), 0) ** 2
    return 10 * np.log10(power.sum(axis=1) / rest.sum(axis=1))


def coverage(true, read):
    return np.isfinite(read[np.isfinite(true)]).mean()


@pytest.mark.parametrize("layout", ["3x4", "6x2", "12x1", "3x4+V1+II+V5"])
def test_layouts_are_found(layout):
    # Rows of twelve leads are 13 mm apart: waves of a millivolt would run into each other.
    signal = make_record(seed=1, amplitude=0.4 if layout == "12x1" else 1.0)
    page, truth = render_page(signal, 500, px_per_mm=7.874, layout=layout)
    reading = digitize_page(page)
    assert reading.reason is None
    assert reading.layout == layout
    true = printed(signal, truth)
    assert coverage(true, reading.signal) > 0.995
    assert np.median(ratio(true, reading.signal)) > 22
    assert np.isfinite(reading.signal[np.isnan(true)]).sum() < 10


@pytest.mark.parametrize(
    ("speed", "gain"), [(25.0, 5.0), (25.0, 10.0), (25.0, 20.0), (50.0, 10.0), (50.0, 5.0)]
)
def test_speed_and_gain_are_found(speed, gain):
    signal = make_record(seed=2, amplitude=10 / gain if gain > 10 else 1.0)
    page, truth = render_page(signal, 500, px_per_mm=7.874, speed=speed, gain=gain)
    reading = digitize_page(page)
    assert (reading.speed, reading.gain, reading.reason) == (speed, gain, None)
    true = printed(signal, truth)
    assert np.median(ratio(true, reading.signal)) > 19
    assert reading.px_per_second == pytest.approx(truth.px_per_second, rel=2e-3)
    assert reading.px_per_mv == pytest.approx(truth.px_per_mv, rel=6e-3)


@pytest.mark.parametrize(
    "artefact",
    [
        lambda page: jpeg(tilt(page, 3.0), 60),
        lambda page: jpeg(speckle(tilt(page, -5.0), 0.08, random_state=0), 60),
        lambda page: jpeg(perspective(page, 0.05, random_state=2), 60),
        lambda page: jpeg(curl(page, 0.01, random_state=1), 60),
    ],
)
def test_artefacts_are_survived(artefact):
    signal = make_record(seed=3)
    page, truth = render_page(signal, 500, px_per_mm=7.874, header="ID 1")
    reading = digitize_page(artefact(page))
    assert reading.reason is None
    assert np.median(ratio(printed(signal, truth), reading.signal)) > 15


STYLES = {
    "rate": st.floats(45, 140),
    "seed": st.integers(0, 10_000),
    "px_per_mm": st.floats(4.0, 8.0),
    "layout": st.sampled_from(["3x4+II", "6x2", "12x1", "3x4", "3x4+V1+II+V5"]),
    "scale": st.sampled_from([(25.0, 10.0), (25.0, 5.0), (50.0, 10.0)]),
    "colour": st.sampled_from(["red", "orange", "green", "blue"]),
    "paper": st.sampled_from(["white", "cream", "pink"]),
}


def check_round_trip(rate, seed, px_per_mm, layout, scale, colour, paper):
    """Whatever the rate, scale, layout, colours: a signal like the printed one, or a refusal."""
    speed, gain = scale
    signal = make_record(rate, seed, amplitude=0.6 if gain > 10 else 1.0)
    style = {"layout": layout, "speed": speed, "gain": gain, "colour": colour, "paper": paper}
    page, truth = render_page(signal, 500, px_per_mm=px_per_mm, **style)
    reading = digitize_page(page)
    if reading.accepted:
        # Leads of one shape cannot be told apart, so the name of a rhythm lead may be another.
        assert reading.layout.startswith(layout.partition("+")[0])
        assert (reading.speed, reading.gain) == (speed, gain)
        true = printed(signal, truth)
        # Of crowded rows a few leads may be lost, and say so.
        kept = np.isfinite(reading.signal).any(axis=1)
        assert kept.sum() >= 8
        assert coverage(true[kept], reading.signal[kept]) > 0.9
        assert np.median(ratio(true, reading.signal)[kept]) > 7
    else:
        assert len(reading.reason) > 10


@given(**STYLES)
@settings(max_examples=4, deadline=None, derandomize=True)
def test_round_trip(**style):
    check_round_trip(**style)


@pytest.mark.slow
@given(**STYLES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_many_round_trips(**style):
    check_round_trip(**style)


@pytest.mark.parametrize(("layout", "seed"), [("3x4+V1+II+V5", 53), ("6x2", 13), ("12x1", 0)])
def test_crowded_rows_at_double_gain(layout, seed):
    px_per_mm = 5.0 if layout == "12x1" else 4.0
    check_round_trip(45.0, seed, px_per_mm, layout, (25.0, 20.0), "red", "white")


def test_pulses_taller_than_the_rows_are_apart_tell_the_gain():
    """Their upright strokes make two walls down the page; tops and feet are told singly."""
    signal = make_record(70.0, 14, amplitude=0.3)
    page, truth = render_page(signal, 500, px_per_mm=5.0, layout="12x1", gain=20.0)
    reading = digitize_page(page)
    assert (reading.gain, reading.layout, reading.reason) == (20.0, "12x1", None)
    assert reading.px_per_mv == pytest.approx(truth.px_per_mv, rel=0.01)
    assert np.median(ratio(printed(signal, truth), reading.signal)) > 20


def test_complexes_that_run_into_each_other_are_no_signal():
    """Where two rows share ink that cannot be divided there is a gap, and a lost page is told."""
    signal = make_record(75.0, 1)
    page, truth = render_page(signal, 500, px_per_mm=7.874, layout="12x1")
    reading = digitize_page(page)
    lost = np.isnan(reading.signal).all(axis=1)
    assert reading.accepted
    assert 0 < lost.sum() <= 4
    assert ratio(printed(signal, truth), reading.signal)[~lost].min() > 25
    page, _ = render_page(signal, 500, px_per_mm=7.874, layout="12x1", gain=20.0)
    assert "run into each other" in digitize_page(page).reason


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (np.full((600, 800, 3), 255, np.uint8), "grid"),
        (np.zeros((600, 800, 3), np.uint8), "grid"),
        (np.full((10, 10, 3), 200, np.uint8), "too small"),
        (render_page(np.full((12, 5000), np.nan), 500, labels=False, calibration=False)[0], ""),
        (render_page(make_record()[:1], 500)[0], "row"),
    ],
)
def test_what_is_no_page_is_refused(page, reason):
    reading = digitize_page(page)
    assert reading.reason is not None
    assert reason in reading.reason
    assert np.isnan(reading.signal).all()


def test_noise_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    assert not digitize_page(noise).accepted


def test_leads_in_the_wrong_order_are_refused():
    """A page that says 3x4 but prints other leads contradicts itself."""
    shuffled = make_record(seed=5)[[6, 3, 8, 1, 10, 0, 2, 9, 4, 11, 7, 5]]
    reading = digitize_page(render_page(shuffled, 500, px_per_mm=7.874)[0])
    assert "contradict" in reading.reason
    assert digitize_page(
        render_page(shuffled, 500, px_per_mm=7.874)[0], least_confidence=0
    ).accepted


def test_stated_scale_layout_and_corrections():
    signal = make_record(seed=6)
    page, _ = render_page(signal, 500, px_per_mm=7.874, calibration=False, speed=50.0)
    reading = digitize_page(page, speed=50, gain=10, layout="3x4+II")
    assert reading.speed == 50
    assert reading.scale_from["gain"] == "grid"
    wrong = digitize_page(page, layout="12x1")
    assert "4 rows were found, layout '12x1' has 12" in wrong.reason
    corrected = wrong.replace("II", signal[1])
    assert corrected.accepted
    np.testing.assert_array_equal(corrected.signal[1], signal[1].astype(np.float32))
    assert np.isnan(corrected.signal[0]).all()
    assert wrong.reason is not None
    with pytest.raises(ValueError, match="lead must be one of"):
        wrong.replace("X", signal[1])
    with pytest.raises(ValueError, match="5000 samples"):
        wrong.replace("II", signal[1, :10])
    with pytest.raises(ValueError, match="one page of uint8"):
        digitize_page(page[:, :, 0])


def test_boxes_and_traces_lie_on_the_page():
    signal = make_record(seed=7)
    page, truth = render_page(signal, 500, px_per_mm=7.874)
    reading = digitize_page(tilt(page, 0.0))
    assert isinstance(reading, PageReading)
    assert reading.coverage == 1.0
    for strip, trace in zip(reading.strips, truth.traces):
        assert strip.lead == trace.lead
        assert strip.box[0] == pytest.approx(trace.x[0], abs=1.5)
        assert strip.box[2] == pytest.approx(trace.x[-1], abs=2.5)
        y = np.interp(trace.x, strip.x, strip.y)
        assert np.median(np.abs(y - trace.y)) < 0.25


def test_real_report_pages(data_dir):
    """EDAN pages: dotted grids of another scale than the traces, walls, labels on the trace."""
    for path in sorted((data_dir / "ecg_images_mendeley" / "loose").glob("*.jpg")):
        reading = digitize_page(load_image(path, size=None))
        assert reading.reason is None, path.name
        assert reading.layout in ("3x4+II", "3x4+III")
        assert reading.coverage > 0.99
        assert reading.checks["repeat"] > 10
        assert reading.checks["einthoven"] > 10
        # The traces are drawn at 200 dpi, whatever the grid says.
        assert reading.px_per_second == pytest.approx(196.85, rel=5e-3)


def test_pages_of_another_program(data_dir):
    """LUDB pages beside their own signals, and beside what ECG-Miner read from them."""
    wfdb = pytest.importorskip("wfdb")
    folder = data_dir / "ludb"
    names = [line.split(",")[0] for line in (folder / "labels_qrs.csv").read_text().split()[1:]]
    with lzma.open(folder / "ecgminer_digitised.npy.xz") as file:
        miner = np.load(file)
    for name in ("3", "5", "8"):
        if name not in names:
            continue
        true = wfdb.rdrecord(str(folder / "data" / name)).p_signal.T[:, :5000]
        page = np.asarray(Image.open(folder / "images" / f"{int(name):03d}.png").convert("RGB"))
        reading = digitize_page(page)
        assert reading.layout == "3x4+II"
        other = np.where(miner[names.index(name)] == -32768, np.nan, miner[names.index(name)] / 1e3)
        assert coverage(other, reading.signal) > 0.99
        ours, theirs = ratio(true, reading.signal), ratio(true, other)
        assert np.median(ours) > np.median(theirs) - 1.0
        level = [x - np.nanmean(np.where(np.isfinite(reading.signal), x, np.nan), axis=1)[:, None]
                 for x in (true, reading.signal)]  # fmt: skip
        assert np.median(ratio(*level)) > 15


def test_a_wave_that_rises_into_a_wall_of_other_rows_is_not_made_up():
    signal = make_record(seed=4, amplitude=0.6)
    phase = (np.arange(5000) / 500 - 0.3) % 0.8

    def wave(at):
        return np.exp(-0.5 * ((phase - at) / 0.006) ** 2)

    # Complexes of V4 to V6 make one line taller than any QRS; the baseline of V6 lies below it.
    signal[9] += 2.2 * wave(0.3) - 2.2 * wave(0.32)
    signal[10] += 2.0 * wave(0.3) - 2.2 * wave(0.32)
    signal[11] += 2.8 * wave(0.308)
    page, truth = render_page(signal, 500, px_per_mm=7.874, layout="6x2")
    reading = digitize_page(page)
    assert reading.accepted, reading.reason
    error = np.abs(printed(signal, truth) - reading.signal)[11]
    assert not (error > 1.0).any()


@pytest.mark.parametrize("tall", [0.71, 1.2])
def test_a_stretched_page_is_refused_where_nothing_tells_its_gain(tall):
    # An A4 page made square loses three tenths of its height, and of every amplitude with it.
    signal, _ = simulate_ecg("lbbb", 150, random_state=1)
    page, _ = render_page(signal, 500, px_per_mm=7.874)
    height, width = page.shape[:2]
    reading = digitize_page(np.asarray(Image.fromarray(page).resize((width, int(height * tall)))))
    assert not reading.accepted
    assert "the page was stretched" in reading.reason
