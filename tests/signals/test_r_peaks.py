import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.signal import resample_poly

from crtkit.datasets import load_mitbih
from crtkit.signals import detect_r_peaks, match_beats, score_r_peaks
from crtkit.signals.shannon import SETTINGS, at_every_sample, select_beats, shannon_envelope

DATA = Path(__file__).parents[1] / "data" / "ecg_clean"


def make_ecg(peaks, fs, n_samples, amplitude=1.0, noise=0.01, seed=0):
    """P, QRS and T waves around given samples, and white noise."""
    time = np.arange(n_samples)
    x = np.random.default_rng(seed).normal(0, noise, n_samples)
    for peak, height in zip(peaks, np.broadcast_to(amplitude, len(peaks))):
        for shift, width, size in ((-0.16, 0.02, 0.12), (0, 0.011, 1.0), (0.28, 0.05, 0.3)):
            x += height * size * np.exp(-0.5 * ((time - peak - shift * fs) / (width * fs)) ** 2)
    return x


def irregular_peaks(rng, fs, n_beats, low=0.55, high=1.1):
    return np.cumsum(np.round(rng.uniform(low, high, n_beats) * fs).astype(int))


@pytest.mark.parametrize("fs", [100, 250, 360, 500, 1000])
@pytest.mark.parametrize("amplitude", [1.0, -1.0, 0.05])
def test_finds_every_beat_at_any_rate_polarity_and_gain(fs, amplitude):
    peaks = irregular_peaks(np.random.default_rng(1), fs, 30)
    x = make_ecg(peaks, fs, peaks[-1] + fs, amplitude, noise=0.01 * abs(amplitude))
    found = detect_r_peaks(x, fs)
    assert len(found) == 30
    assert np.abs(found - peaks).max() <= max(1, 0.01 * fs)


@given(st.integers(0, 2**31), st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_shifting_the_signal_shifts_the_peaks(seed, shift):
    fs = 360
    peaks = irregular_peaks(np.random.default_rng(seed), fs, 25) + 400
    x = make_ecg(peaks, fs, peaks[-1] + 2 * fs, seed=seed)
    before, after = detect_r_peaks(x, fs), detect_r_peaks(x[shift:], fs)
    np.testing.assert_array_equal(before - shift, after)


@given(st.integers(0, 2**31), st.floats(1e-3, 1e3), st.floats(-10, 10))
@settings(max_examples=15, deadline=None)
def test_gain_and_offset_change_nothing(seed, gain, offset):
    fs = 250
    peaks = irregular_peaks(np.random.default_rng(seed), fs, 20)
    x = make_ecg(peaks, fs, peaks[-1] + fs, seed=seed)
    np.testing.assert_array_equal(detect_r_peaks(x, fs), detect_r_peaks(gain * (x + offset), fs))


@pytest.mark.parametrize("method", ["shannon", "sleepecg"])
@pytest.mark.parametrize("lead", ["II", "V5"])
def test_agrees_with_three_programs(method, lead):
    if method == "sleepecg":
        pytest.importorskip("sleepecg")
    expected = json.loads((DATA / "expected.json").read_text())
    with np.load(DATA / "signals.npz") as file:
        x = file["raw_uV"][expected["leads"].index(lead)] / 1000
    found = detect_r_peaks(x, expected["fs"], method)
    for peaks in expected["r_peaks"][lead].values():
        assert len(found) == len(peaks)
        assert np.abs(found - peaks).max() <= 5  # 10 ms
    onset, offset = (
        np.array(expected[f"true_qrs_{end}_s"]) * expected["fs"] for end in ("onset", "offset")
    )
    assert ((onset <= found) & (found <= offset)).all()


def test_wide_and_notched_complexes_have_their_peak_on_a_summit(qrs_cases):
    # Two other programs choose the first summit of a notched R wave, one the taller.
    for case, clean, _ in qrs_cases[:16]:
        for lead in (1, 10):  # II and V5
            x = np.concatenate([clean[lead]] * 2)
            found = detect_r_peaks(x, 500)
            first = round(case["onsets_s"][0] * 500)
            complex_ = clean[lead, first : round(case["offsets_s"][0] * 500)]
            complex_ = complex_ - np.median(clean[lead])
            complex_ = complex_ * np.sign(complex_[np.abs(complex_).argmax()])
            inner = (complex_[1:-1] >= complex_[:-2]) & (complex_[1:-1] > complex_[2:])
            summits = 1 + np.flatnonzero(inner & (complex_[1:-1] >= 0.8 * complex_.max()))
            nearest = found[np.abs(found - first).argmin()] - first
            assert abs(nearest - summits[0]) <= 6, (case["morphology"], lead)


def test_small_beats_and_tall_t_waves():
    fs = 360
    peaks = np.arange(300, 40 * fs, 320)
    heights = np.where(np.arange(len(peaks)) % 7 == 3, 0.3, 1.0)
    x = make_ecg(peaks, fs, 41 * fs, heights)
    time = np.arange(len(x))
    for peak in peaks:  # T waves half as tall as R, but slow
        x += 0.25 * np.exp(-0.5 * ((time - peak - 0.28 * fs) / (0.05 * fs)) ** 2)
    score = score_r_peaks(detect_r_peaks(x, fs), peaks, fs)
    assert (score["fp"], score["fn"]) == (0, 0)


def test_one_artefact_hides_no_beats():
    fs = 360
    peaks = np.arange(300, 60 * fs, 300)
    x = make_ecg(peaks, fs, 61 * fs)
    x[30 * fs : 30 * fs + 20] += 40.0
    score = score_r_peaks(detect_r_peaks(x, fs), peaks, fs)
    assert score["fn"] <= 1
    assert score["fp"] <= 2


def test_narrow_beats_between_tall_ones_are_found():
    """Bigeminy as in MIT-BIH 228: the narrow beats are a fifth as high as the wide ones."""
    fs, n = 360, 20 * 360
    time = np.arange(n) / fs
    wide = np.arange(1.0, 19.5, 1.7)
    x = sum(2.2 * np.exp(-0.5 * ((time - at) / 0.035) ** 2) for at in wide)
    x = x - sum(0.5 * np.exp(-0.5 * ((time - at - 0.25) / 0.08) ** 2) for at in wide)
    narrow = wide[1:] - 0.72
    x = x + sum(0.45 * np.exp(-0.5 * ((time - at) / 0.010) ** 2) for at in narrow)
    found = detect_r_peaks(x, fs)
    score = score_r_peaks(found, np.sort(np.r_[wide, narrow] * fs).round(), fs)
    assert (score["fp"], score["fn"]) == (0, 0)


def test_a_pause_is_not_filled():
    fs = 360
    peaks = np.delete(np.arange(300, 40 * fs, 300), [20, 21, 22])
    x = make_ecg(peaks, fs, 41 * fs)
    score = score_r_peaks(detect_r_peaks(x, fs), peaks, fs)
    assert (score["fp"], score["fn"]) == (0, 0)


def test_two_seconds_are_enough():
    fs = 500
    peaks = np.array([250, 650])
    np.testing.assert_allclose(detect_r_peaks(make_ecg(peaks, fs, 1000), fs), peaks, atol=3)


@pytest.mark.parametrize(
    ("x", "fs", "words"),
    [
        (np.zeros((2, 1000)), 500, r"one lead \(n_samples,\), got shape \(2, 1000\)"),
        (np.zeros(1000), 500, "flat lead"),
        (np.full(1000, 0.3), 500, "flat lead"),
        (np.r_[np.ones(400), np.nan, np.zeros(400)], 500, "1 missing or infinite"),
        (np.arange(100.0), 500, "at least 0.5 s"),
        (np.arange(100.0), 40, "fs >= 50"),
        (np.arange(1000.0), np.nan, "fs >= 50"),
    ],
)
def test_bad_input_is_named(x, fs, words):
    with pytest.raises(ValueError, match=words):
        detect_r_peaks(x, fs)


def test_methods_are_named(monkeypatch):
    x = np.random.default_rng(0).normal(size=2000)
    with pytest.raises(ValueError, match="'shannon' or 'sleepecg'"):
        detect_r_peaks(x, 500, "pantompkins")
    monkeypatch.setitem(sys.modules, "sleepecg", None)
    with pytest.raises(ImportError, match=r"crtkit\[rpeaks\]"):
        detect_r_peaks(x, 500, "sleepecg")


def test_envelope_is_shannon_energy_of_the_slope():
    fs = 360
    slope = np.full(20 * fs, 1e-9)
    slope[::fs] = 1.0
    envelope = shannon_envelope(slope, fs)
    square = 1 / SETTINGS.gain**2
    first, second = (round(width * fs) | 1 for width in SETTINGS.smooth)
    middle = envelope[10 * fs]
    # Two moving averages of one impulse: a trapezium with its plateau at the impulse.
    assert middle == pytest.approx(-square * np.log(square) / max(first, second), rel=1e-3)


def test_refractory_period_keeps_the_higher_peak():
    time = np.array([1.0, 1.1, 2.0, 3.0, 3.2])
    height = np.array([0.6, 0.9, 1.0, 0.9, 0.5])
    beats = select_beats(time, height, np.ones(5))
    np.testing.assert_array_equal(beats, [1, 2, 3])


@given(
    st.lists(st.integers(0, 400), min_size=0, max_size=12, unique=True),
    st.lists(st.integers(0, 400), min_size=0, max_size=12, unique=True),
    st.integers(1, 60),
)
@settings(max_examples=150, deadline=None)
def test_matching_finds_as_many_pairs_as_there_are(detected, reference, tolerance):
    detected, reference = np.sort(detected), np.sort(reference)
    pairs = match_beats(detected, reference, tolerance)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    if not len(detected) or not len(reference):
        assert len(pairs) == 0
        return
    apart = np.abs(np.subtract.outer(detected, reference))
    assert (apart[pairs[:, 0], pairs[:, 1]] <= tolerance).all()
    rows, columns = linear_sum_assignment(apart > tolerance)
    assert len(pairs) == (apart[rows, columns] <= tolerance).sum()


def test_score_counts_and_leaves_out_flutter():
    score = score_r_peaks([100, 300, 520, 900], [100, 310, 700, 905], fs=100, tolerance=0.15)
    assert (score["tp"], score["fp"], score["fn"]) == (3, 1, 1)
    assert score["sensitivity"] == score["ppv"] == 0.75
    assert score["error_ms"] == 50
    out = score_r_peaks([100, 300, 520, 900], [100, 310, 700, 905], 100, exclude=[[500, 800]])
    assert (out["n_beats"], out["tp"], out["fp"], out["fn"]) == (3, 3, 0, 0)
    assert np.isnan(score_r_peaks([], [], 100)["sensitivity"])


def test_one_real_record(data_dir):
    cohort = load_mitbih(data_dir / "mitdb", subset=["101"], lead="first")
    x, beats = cohort.X["signal"].iloc[0][0], cohort.X["beats"].iloc[0]
    score = score_r_peaks(detect_r_peaks(x, 360), beats, 360)
    assert score["sensitivity"] > 0.995
    assert score["ppv"] > 0.995
    assert score["error_ms"] <= 10
    upsampled = resample_poly(x[: 360 * 300], 25, 18)  # five minutes at 500 Hz
    early = beats[beats < 360 * 300] * 500 / 360
    again = score_r_peaks(detect_r_peaks(upsampled, 500), early, 500)
    assert again["sensitivity"] > 0.99
    assert again["ppv"] > 0.99


@pytest.mark.slow
def test_all_of_mitbih(data_dir):
    cohort = load_mitbih(data_dir / "mitdb", lead="first")
    counts = np.zeros(3, dtype=int)
    errors = []
    for _, row in cohort.X.iterrows():
        found = detect_r_peaks(row["signal"][0], 360)
        score = score_r_peaks(found, row["beats"], 360, exclude=row["flutter"])
        counts += [score["tp"], score["fp"], score["fn"]]
        errors.append(score["error_ms"])
    tp, fp, fn = counts
    assert tp / (tp + fn) >= 0.999
    assert tp / (tp + fp) >= 0.9985
    assert np.median(errors) <= 10


@pytest.mark.parametrize("size", [1, 2, 7, 270])
@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_levelsat_every_sample_are_those_of_interp(size, blocks):
    centres = (np.arange(blocks) + 0.5) * size
    levels = np.random.default_rng(blocks).uniform(1, 2, blocks)
    n = blocks * size + size // 2
    expected = np.interp(np.arange(n), centres, levels)
    np.testing.assert_allclose(at_every_sample(n, centres, levels), expected, rtol=1e-12)
