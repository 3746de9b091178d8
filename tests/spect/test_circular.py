"""Phases and figures of dyssynchrony against the reference, and what must hold on the circle."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from crtkit.spect import (
    aha_segments,
    circular_mean,
    circular_sd,
    histogram_bandwidth,
    phase_and_amplitude,
    phase_bandwidth,
    phase_entropy,
    phase_histogram,
    phase_moments,
    phase_statistics,
    wrap_degrees,
)

DATA = Path(__file__).parents[1] / "data" / "phase"
CASES = json.loads((DATA / "expected.json").read_text())["cases"]


@pytest.fixture(scope="module")
def arrays():
    with np.load(DATA / "curves.npz") as file:
        return {name: file[name] for name in file.files}


def same(found, expected, tolerance=1e-6):
    if expected is None:
        assert np.isnan(found)
    else:
        assert float(found) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["key"])
def test_phase_and_amplitude_agree_with_the_reference(arrays, case):
    counts = arrays[case["key"] + "_counts"]
    peak, amplitude = phase_and_amplitude(counts, measure="peak")
    expected = arrays[case["key"] + "_peak_phase_deg"]
    np.testing.assert_allclose(wrap_degrees(peak - expected), 0, atol=1e-7)
    np.testing.assert_allclose(amplitude, arrays[case["key"] + "_amplitude"], rtol=1e-10)
    if case["noise_percent"] == 0:
        onset, _ = phase_and_amplitude(counts)
        truth = arrays[case["key"].split("_f")[0] + "_true_onset_deg"]
        np.testing.assert_allclose(wrap_degrees(onset - truth), 0, atol=1e-7)


@pytest.mark.parametrize("measure", ["onset", "peak"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["key"])
def test_figures_agree_with_the_reference(arrays, case, measure):
    expected = case[measure]
    shift = 90.0 if measure == "onset" else 0.0
    phase = np.mod(arrays[case["key"] + "_peak_phase_deg"] - shift, 360.0)
    mean, length = circular_mean(phase)
    if expected["mean_circular"] is None:
        assert np.isnan(mean)
    else:
        same(wrap_degrees(mean - expected["mean_circular"]), 0.0)
    same(length, expected["resultant_length"])
    same(circular_sd(phase), expected["circular_sd"], 2e-6)
    for ddof in (0, 1):
        _, sd, skewness, kurtosis = phase_moments(phase, ddof)
        same(sd, expected[f"sd_about_circular_mean_ddof{ddof}"])
    same(skewness, expected["skewness"])
    same(kurtosis, expected["kurtosis_pearson"])
    width, start = phase_bandwidth(phase)
    same(width, expected["bandwidth95_shortest_arc"])
    inside = (phase - start) % 360.0 <= width + 1e-9
    assert inside.sum() >= expected["bandwidth95_n_inside"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["key"])
def test_histogram_figures_agree_with_the_reference(arrays, case):
    if case["key"].startswith(("uniform", "constant")) and case["noise_percent"] == 0:
        pytest.skip("its phases stand on the edges of bins, where the last bit decides")
    phase = np.mod(arrays[case["key"] + "_peak_phase_deg"] - 90.0, 360.0)
    for width in (1, 6, 10):
        expected = case["onset"][f"bins_{width}deg"]
        same(phase_entropy(phase, width), expected["entropy_percent"])
        assert histogram_bandwidth(phase, width) == expected["bandwidth95_bins"]


def test_a_linear_sd_would_be_wrong_across_zero_and_ours_is_not(arrays):
    case = next(c for c in CASES if c["key"] == "wrap_f16_n0")
    phase = np.mod(arrays["wrap_f16_n0_peak_phase_deg"] - 90.0, 360.0)
    assert case["onset"]["sd_linear_0_360_ddof0"] > 5 * phase_moments(phase)[1]


angles = st.lists(st.floats(0, 359.999), min_size=3, max_size=60).map(np.array)


@settings(max_examples=60, deadline=None)
@given(angles, st.floats(-720, 720))
def test_a_rotation_changes_only_the_mean(phase, turn):
    turned = np.mod(phase + turn, 360.0)
    if circular_mean(phase)[1] < 1e-3:
        return
    mean, sd, skewness, _ = phase_moments(phase)
    mean2, sd2, skewness2, _ = phase_moments(turned)
    gap = wrap_degrees(phase - mean)
    # A cell opposite the mean may fall on either side of the cut.
    if np.abs(np.abs(gap) - 180).min() > 1e-6:
        assert sd2 == pytest.approx(sd, abs=1e-6)
        assert wrap_degrees(mean2 - mean - turn) == pytest.approx(0, abs=1e-6)
        if sd > 1e-3:
            assert skewness2 == pytest.approx(skewness, abs=1e-4)
    assert phase_bandwidth(turned)[0] == pytest.approx(phase_bandwidth(phase)[0], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 59), st.integers(0, 10_000))
def test_entropy_and_histogram_bandwidth_keep_under_whole_bins(bins, seed):
    phase = np.random.default_rng(seed).integers(0, 3600, 50) / 10 + 0.05
    turned = (phase + 6 * bins) % 360
    assert phase_entropy(turned) == pytest.approx(float(phase_entropy(phase)))
    assert histogram_bandwidth(turned) == histogram_bandwidth(phase)


@settings(max_examples=60, deadline=None)
@given(angles)
def test_ranges(phase):
    width, start = phase_bandwidth(phase)
    assert 0 <= width < 360
    assert 0 <= start < 360
    assert width <= histogram_bandwidth(phase) <= 360
    assert 0 <= phase_entropy(phase) <= 100 + 1e-9
    assert phase_histogram(phase).sum() == len(phase)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e4), st.floats(0, 1e4))
def test_scale_and_offset_keep_the_phase(seed, scale, offset):
    curve = 100 + 20 * np.random.default_rng(seed).random(8)
    phase, amplitude = phase_and_amplitude(curve)
    other, larger = phase_and_amplitude(offset + scale * curve)
    if amplitude > 1:
        assert wrap_degrees(other - phase) == pytest.approx(0, abs=1e-4)
        assert larger == pytest.approx(scale * amplitude, rel=1e-6)


def test_bandwidth_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(20):
        phase = rng.uniform(0, 360, 23)
        need = int(np.ceil(0.8 * 23))
        arcs = [np.sort((phase - start) % 360)[need - 1] for start in phase]
        assert phase_bandwidth(phase, 0.8)[0] == pytest.approx(min(arcs))


def test_nan_is_left_out_row_by_row():
    rng = np.random.default_rng(1)
    phase = rng.normal(100, 20, (4, 60)) % 360
    phase[1, :10] = phase[2, 50:] = np.nan
    phase[3] = np.nan
    all_rows = phase_statistics(phase)
    for row in range(3):
        alone = phase_statistics(phase[row][~np.isnan(phase[row])])
        np.testing.assert_allclose(all_rows[row], alone, atol=1e-9)
    assert np.isnan(all_rows[3]).all()


def test_moments_of_angles_that_do_not_wrap_are_the_linear_ones():
    phase = np.random.default_rng(2).normal(150, 15, 500)
    _, sd, skewness, kurtosis = phase_moments(phase, ddof=1)
    assert sd == pytest.approx(phase.std(ddof=1))
    assert skewness == pytest.approx(stats.skew(phase))
    assert kurtosis == pytest.approx(stats.kurtosis(phase, fisher=False))


@pytest.mark.parametrize("measure", ["onset", "peak", "relaxation"])
def test_more_harmonics_find_the_crossing_of_the_fitted_curve(measure):
    theta = 2 * np.pi * np.arange(16) / 16
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 5, 3)) * [1, 0.3, 0.15]
    fine = np.deg2rad(np.arange(0, 360, 0.01))

    def curve(t):
        h = np.arange(1, 4)[:, None] * t
        return 50 + a @ np.cos(h) + b @ np.sin(h)

    phase, _ = phase_and_amplitude(curve(theta), measure=measure, n_harmonics=3)
    values = curve(fine)
    for i in range(5):
        if measure == "peak":
            assert wrap_degrees(phase[i] - np.rad2deg(fine[values[i].argmax()])) == pytest.approx(
                0, abs=0.02
            )
        else:
            at = curve(np.deg2rad(phase[i : i + 1]))[i, 0]
            after = curve(np.deg2rad(phase[i : i + 1] + 0.01))[i, 0]
            assert at == pytest.approx(50, abs=1e-6)
            assert (after > at) == (measure == "onset")


def test_flat_curves_have_no_phase():
    phase, amplitude = phase_and_amplitude(np.full((2, 8), 70.0))
    assert np.isnan(phase).all()
    np.testing.assert_allclose(amplitude, 0, atol=1e-12)


@pytest.mark.parametrize(("n_frames", "n_harmonics"), [(1, 1), (2, 1), (6, 3)])
def test_too_few_frames(n_frames, n_harmonics):
    with pytest.raises(ValueError, match="frames are needed"):
        phase_and_amplitude(np.ones((3, n_frames)), n_harmonics=n_harmonics)


@pytest.mark.parametrize("coverage", [0, -0.5, 95, float("nan")])
def test_a_coverage_in_per_cent_is_named(coverage):
    for bandwidth in (phase_bandwidth, lambda x, c: histogram_bandwidth(x, 6.0, c)):
        with pytest.raises(ValueError, match=r"a part of the cells, in \(0, 1\]"):
            bandwidth(np.arange(100.0), coverage)


def test_infinity_is_no_phase():
    for function in (circular_mean, phase_moments, phase_bandwidth, phase_entropy):
        with pytest.raises(ValueError, match="infinity"):
            function([1.0, 2.0, np.inf])


def test_names_of_statistics_are_checked():
    for wrong in ("psd", ("psd", "sd"), ("psd", "psd"), ()):
        with pytest.raises(ValueError, match="distinct names among psd, pbw"):
            phase_statistics([1.0, 2.0], wrong)


def test_unknown_measure_and_bins():
    with pytest.raises(ValueError, match="measure must be"):
        phase_and_amplitude(np.ones(8), measure="middle")
    with pytest.raises(ValueError, match="divides 360"):
        phase_entropy([1.0, 2.0], bin_width=7)


def test_segments():
    segments = aha_segments(12, 24)
    assert set(segments.ravel()) == set(range(1, 18))
    middle = (np.arange(24) + 0.5) * 15

    def centre(number):
        cells = middle[(segments == number).any(axis=0)]
        return circular_mean(cells)[0]

    # Anterior up, septum left, inferior down, lateral right: basal, mid, apical.
    for numbers, angle in (((1, 7, 13), 90), ((4, 10, 15), 270), ((14,), 180), ((16,), 0)):
        for number in numbers:
            assert wrap_degrees(centre(number) - angle) == pytest.approx(0, abs=1e-9)
    np.testing.assert_array_equal(
        aha_segments(12, 24, first_angle=30), np.roll(segments, -2, axis=1)
    )
    with pytest.raises(ValueError, match="at least 4 rings"):
        aha_segments(2, 24)


def test_sets_without_angles_are_undefined():
    width, start = phase_bandwidth(np.empty((2, 0)))
    assert np.isnan([*width, *start]).all()
    assert phase_histogram(np.empty((2, 0)), bin_width=90).tolist() == [[0] * 4] * 2
