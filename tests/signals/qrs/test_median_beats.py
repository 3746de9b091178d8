import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.signal import butter, sosfiltfilt

from crtkit.datasets import simulate_ecg
from crtkit.signals import detect_r_peaks, locate_qrs, match_beats, median_beat
from crtkit.signals.qrs.averages import less_baseline, middle_of_beats
from crtkit.signals.qrs.detect import both_ways

FS = 500


def train(kinds, interval=400, start=200):
    """Two-lead record of beats: "n" narrow, "e" ectopic (wide, inverted), "s" a spike of noise."""
    signal = np.zeros((2, start + interval * len(kinds)))
    t = np.arange(signal.shape[1])
    for k, kind in enumerate(kinds):
        at = start + k * interval
        if kind == "n":
            signal += np.array([[1.0], [0.6]]) * np.exp(-((t - at) ** 2) / (2 * 6.0**2))
        elif kind == "e":
            wide = np.exp(-((t - at) ** 2) / (2 * 22.0**2))
            signal += np.array([[-1.5], [1.5]]) * wide
    return signal


def lag(result, other):
    """Samples by which the fiducial of one median beat lies behind the other's."""
    apart = other.positions[:, None] - result.positions
    return int(np.median(apart[np.arange(len(apart)), np.abs(apart).argmin(axis=1)]))


def test_every_complex_of_the_reference_is_found_once(qrs_cases):
    for case, *signals in qrs_cases:
        onsets = np.array(case["onsets_s"]) * FS
        offsets = np.array(case["offsets_s"]) * FS
        for signal in signals:
            peaks = locate_qrs(signal, FS)
            assert len(peaks) == len(onsets), case["id"]
            assert (peaks > onsets - 20).all(), case["id"]
            assert (peaks < offsets + 20).all(), case["id"]


@pytest.mark.parametrize("morphology", ["narrow", "lbbb", "rbbb", "paced"])
def test_all_leads_find_what_one_lead_finds(morphology):
    signal, truth = simulate_ecg(morphology, 100 if morphology == "narrow" else 160, random_state=3)
    together = median_beat(signal, FS).positions
    alone = detect_r_peaks(signal[1], FS)
    pairs = match_beats(together, truth["r_peaks_s"] * FS, 0.12 * FS)
    # Complexes at the ends of the record, of which less than 0.2 s is there, may be missed.
    assert len(together) == len(pairs) or len(together) == len(pairs) + 1
    assert len(pairs) >= len(truth["r_peaks_s"]) - 2
    assert abs(len(together) - len(alone)) <= 2


def test_positions_and_correlation_of_equal_beats():
    result = median_beat(train("nnnnn"), FS)
    np.testing.assert_array_equal(np.diff(result.positions), 400)
    assert result.n_used == 5
    assert result.correlation.min() > 0.999
    assert result.beat.shape == (2, 500)
    np.testing.assert_allclose(result.beat[:, result.fiducial], [1.0, 0.6], atol=0.01)
    np.testing.assert_allclose(result.residual, 0.0, atol=1e-9)


@pytest.mark.parametrize("kinds", ["nnennen", "ennnnne", "nenenen"])
def test_ectopic_beats_are_counted_and_left_out(kinds):
    result = median_beat(train(kinds), FS)
    assert len(result.positions) == len(kinds)
    np.testing.assert_array_equal(result.used, [kind == "n" for kind in kinds])
    np.testing.assert_allclose(result.beat[:, result.fiducial], [1.0, 0.6], atol=0.02)


def test_alignment_undoes_jitter():
    signal = train("nnnnnn")
    first = median_beat(signal, FS)
    # Peaks given 8 to 16 ms beside the complex are brought to equal phase.
    jitter = np.array([4, -6, 8, -8, 5, -3])
    again = median_beat(signal, FS, peaks=200 + 400 * np.arange(6) + jitter)
    np.testing.assert_array_equal(np.diff(again.positions), 400)
    np.testing.assert_allclose(again.beat, first.beat, atol=1e-9)


def test_residual_has_the_noise_left_in_the_median():
    rng = np.random.default_rng(0)
    sigma = 0.05
    results = [median_beat(train("n" * 8) + rng.normal(0, sigma, (2, 3400)), FS) for _ in range(8)]
    left = np.std([result.beat[:, :100] for result in results])
    residual = np.std([result.residual[:, :100] for result in results])
    # A mean of 8 has sigma / sqrt(8); their median up to 1.25 times that.
    assert residual == pytest.approx(sigma / np.sqrt(8), rel=0.25)
    assert 1.0 < left / residual < 1.6


def test_drift_offset_and_hum_are_taken_out(qrs_cases):
    rng = np.random.default_rng(1)
    case, clean, _ = qrs_cases[4]
    t = np.arange(clean.shape[1]) / FS
    drift = rng.normal(0, 0.3, (12, 1)) * np.sin(2 * np.pi * 0.25 * t) + rng.normal(0, 2, (12, 1))
    hum = 0.05 * np.sin(2 * np.pi * 50.03 * t + rng.uniform(0, 6, (12, 1)))
    plain, dirty = median_beat(clean, FS), median_beat(clean + drift + hum, FS)
    inside = slice(plain.fiducial - 80, plain.fiducial + 80)
    difference = np.roll(dirty.beat, -lag(dirty, plain), axis=1)[:, inside] - plain.beat[:, inside]
    # A polygon through PR segments leaves the bend of the drift: 0.3 mV (2 pi f)^2 RR^2 / 8.
    assert np.abs(difference).max() < 0.1
    assert np.abs(difference).mean() < 0.02


def test_pacing_spikes_are_bridged(qrs_cases):
    for case, clean, _ in qrs_cases:
        result = median_beat(clean, FS)
        assert len(result.spikes) == len(case["spike_times_s"])
        for (start, stop), at in zip(result.spikes, case["spike_times_s"]):
            assert start <= round(at * FS) < stop


def test_leads_that_follow_one_another_on_a_page():
    signal, truth = simulate_ecg("lbbb", 150, noise=0, random_state=5)
    page = np.full_like(signal, np.nan)
    for column in range(4):
        part = slice(1250 * column, 1250 * (column + 1))
        page[3 * column : 3 * column + 3, part] = signal[3 * column : 3 * column + 3, part]
    page[1] = signal[1]
    result, whole = median_beat(page, FS), median_beat(signal, FS)
    assert abs(result.n_used - whole.n_used) <= 1  # the last beat is cut in all leads but one
    inside = slice(whole.fiducial - 60, whole.fiducial + 60)
    difference = (
        np.roll(result.beat, -lag(result, whole), axis=1)[:, inside] - whole.beat[:, inside]
    )
    # Respiration turns the vector from beat to beat, so two beats are not ten.
    assert np.abs(difference).max() < 0.2 * np.abs(whole.beat[:, inside]).max()


def test_a_lead_without_data_is_nan_and_the_others_are_not_touched(qrs_cases):
    _, clean, _ = qrs_cases[0]
    gap = clean.copy()
    gap[7] = np.nan
    result, whole = median_beat(gap, FS), median_beat(clean, FS)
    assert np.isnan(result.beat[7]).all()
    others = [i for i in range(12) if i != 7]
    np.testing.assert_allclose(result.beat[others], whole.beat[others], atol=1e-9)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros((12, 5000)),
        np.full((12, 5000), np.nan),
        np.ones((12, 1)),
        np.random.default_rng(0).normal(0, 0.02, (12, 5000)),
    ],
    ids=["flat", "missing", "one sample", "noise"],
)
def test_no_beat_has_a_reason(signal):
    result = median_beat(signal, FS)
    assert "no QRS complex" in result.reason
    assert result.n_used == 0
    assert result.beat.shape == (12, 0)


def test_one_beat():
    result = median_beat(train("n", interval=800, start=400), FS)
    assert result.n_used == 1
    assert np.isnan(result.residual).all()


@pytest.mark.parametrize(
    ("signal", "fs", "words"),
    [(np.zeros(5000), 500, r"\(n_leads, n_samples\)"), (np.zeros((2, 5000)), 50, "at least 100")],
)
def test_bad_input(signal, fs, words):
    with pytest.raises(ValueError, match=words):
        median_beat(signal, fs)


@pytest.mark.parametrize(("seed", "duration", "rate"), [(39, 213, 75), (83, 201, 67)])
def test_t_waves_of_a_paced_rhythm_are_no_beats(seed, duration, rate):
    # They were: wide and steep, and alike to the complexes when shifted.
    signal, truth = simulate_ecg("paced", duration, heart_rate_bpm=rate, af=True, random_state=seed)
    result = median_beat(signal, 500)
    assert len(result.positions) == len(truth["r_peaks_s"])
    apart = np.abs(result.positions[:, None] / 500 - truth["r_peaks_s"]).min(axis=1)
    assert apart.max() < 0.15


@pytest.mark.parametrize("n", [5, 6, 9, 12, 17, 31, 32, 40])
def test_the_middle_half_is_that_of_sorted_beats(n):
    beats = np.random.default_rng(n).standard_normal((n, 2, 50))
    expected = np.sort(beats, axis=0)[n // 4 : n - n // 4].mean(axis=0)
    before = beats.copy()
    np.testing.assert_allclose(middle_of_beats(beats), expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(beats, before)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(10, 800), min_size=1, max_size=8),
    st.sampled_from([250.0, 500.0]),
)
def test_the_baseline_is_a_polygon_through_the_levels(onsets, fs):
    signal = np.random.default_rng(0).standard_normal((3, 900))
    onsets = np.sort(np.array(onsets) + 20)
    level, knots = [], []
    for onset in np.unique(onsets):
        first, last = onset - round(0.036 * fs), onset - round(0.012 * fs)
        level.append(signal[:, first:last].mean(axis=1))
        knots.append(0.5 * (first + last))
    baseline = [np.interp(np.arange(900), knots, y) for y in np.array(level).T]
    flat = less_baseline(signal, None, onsets, fs)
    np.testing.assert_allclose(flat, signal - np.array(baseline), atol=1e-12)


@pytest.mark.parametrize("rate", [100.0, 125.0, 180.0])
def test_the_band_pass_is_that_of_scipy(rate):
    leads = np.cumsum(np.random.default_rng(0).standard_normal((3, 1000)), axis=1)
    sos = butter(2, [5.0, 25.0], "bandpass", fs=rate, output="sos")
    expected = sosfiltfilt(sos, leads, axis=1, padlen=round(rate))
    np.testing.assert_allclose(both_ways(leads, rate), expected, atol=1e-7 * np.ptp(leads))
