import numpy as np
import pytest

from crtkit.datasets import simulate_ecg
from crtkit.signals import (
    find_pacing_spikes,
    median_beat,
    p_onset,
    qrs_bounds,
    remove_spikes,
    subtract_mains,
    t_end,
)
from crtkit.signals.qrs.pacing import after_potential_end, paced_beats

FS = 500


def errors(case, signal, **options):
    """Onset and offset error in ms, mean over the beats of a reference record."""
    result = median_beat(signal, FS)
    bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual, **options)
    positions = result.positions[result.used] - result.fiducial
    wrong = []
    for edge, truth in ((bounds.onset, "onsets_s"), (bounds.offset, "offsets_s")):
        apart = positions[:, None] + edge - np.array(case[truth]) * FS
        nearest = apart[np.arange(len(apart)), np.abs(apart).argmin(axis=1)]
        wrong.append(nearest.mean() * 1000 / FS)
    return np.array(wrong)


@pytest.mark.parametrize(
    ("which", "edge_ms", "duration_ms", "bias_ms", "spread_ms"),
    [(1, 6, 10, 2, 8), (2, 12, 15, 4, 15)],
    ids=["clean", "20 dB"],
)
def test_reference_onsets_and_offsets(qrs_cases, which, edge_ms, duration_ms, bias_ms, spread_ms):
    # Tolerances: README of the reference. Nothing was tuned on the cases of odd number.
    wrong = np.array([errors(case[0], case[which]) for case in qrs_cases])
    duration = wrong[:, 1] - wrong[:, 0]
    assert np.abs(wrong).max() < edge_ms
    assert np.abs(duration).max() < duration_ms
    assert abs(duration.mean()) < bias_ms
    assert duration.std(ddof=1) < spread_ms


def test_absolute_threshold_is_the_definition_of_the_reference(qrs_cases):
    wrong = np.array([errors(case, clean, threshold_mv=0.02) for case, clean, _ in qrs_cases])
    assert np.abs(wrong).max() < 4
    looser = np.array([errors(case, clean, threshold_mv=0.05) for case, clean, _ in qrs_cases])
    assert (np.diff(looser) < np.diff(wrong) + 0.5).all()


def test_edges_of_single_leads(qrs_cases):
    case, clean, _ = qrs_cases[0]
    result = median_beat(clean, FS)
    bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual, threshold_mv=0.02)
    for number, name in ((0, "I"), (6, "V1"), (10, "V5")):
        first, last, *_ = case["per_lead_first_last_ms_above_20uV_max_min_mV"][name]
        measured = (bounds.lead_onset[number] - bounds.onset) * 2
        assert measured == pytest.approx(first, abs=5), name
        measured = (bounds.lead_offset[number] - bounds.onset) * 2
        assert measured == pytest.approx(last, abs=5), name
    assert bounds.agreement > 0.8


@pytest.mark.parametrize("morphology", ["narrow", "lbbb", "rbbb", "ivcd", "paced"])
def test_simulated_durations(morphology):
    rng = np.random.default_rng(0)
    wrong = []
    for seed in range(12):
        duration = rng.uniform(75, 110) if morphology == "narrow" else rng.uniform(122, 210)
        signal, _ = simulate_ecg(morphology, duration, random_state=500 + seed)
        result = median_beat(signal, FS)
        bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual)
        wrong.append((bounds.offset - bounds.onset) * 2 - duration)
    assert abs(np.mean(wrong)) < 5
    assert np.median(np.abs(wrong)) < 6
    assert np.std(wrong) < 10


@pytest.mark.parametrize("af", [False, True])
def test_a_steep_st_segment_is_not_the_complex(af):
    wrong = []
    for seed in range(8):
        signal, _ = simulate_ecg("lbbb", 160, repolarisation=2, af=af, random_state=seed)
        result = median_beat(signal, FS)
        bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual)
        wrong.append((bounds.offset - bounds.onset) * 2 - 160)
    assert np.median(np.abs(wrong)) < 6
    assert np.abs(wrong).max() < 25


def test_no_lead_and_no_complex():
    bounds = qrs_bounds(np.full((3, 500), np.nan), FS, 200)
    assert "no lead" in bounds.reason
    assert np.isnan(bounds.onset)
    rng = np.random.default_rng(0)
    bounds = qrs_bounds(rng.normal(0, 0.1, (12, 500)), FS, 200)
    assert "the complex" in bounds.reason or "no complex" in bounds.reason
    assert np.isnan(bounds.offset)


def bump(at, width, height, n=500):
    return height * np.exp(-((np.arange(n) - at) ** 2) / (2 * width**2))


def test_p_and_t_of_gaussians():
    beat = np.ones((12, 1)) * (bump(90, 8, 0.12) + bump(200, 9, 1.2) + bump(340, 22, 0.3))
    at, reason = p_onset(beat, FS, 172.0)
    assert reason == ""
    # The tangent of a Gaussian starts two standard deviations before its summit.
    assert at == pytest.approx(90 - 2 * 8, abs=6)
    at, reason = t_end(beat, FS, 172.0, 228.0)
    assert reason == ""
    assert at == pytest.approx(340 + 2.6 * 22, abs=8)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (bump(90, 8, 0.0), 0, "no P wave"),
        (bump(90, 8, 0.005), 0, "no P wave"),
        (bump(60, 40, 0.3), 110, "no P wave"),
        (bump(90, 8, 0.12), 150, "no room"),
    ],
    ids=["nothing", "too small", "end of a T wave", "T wave up to the complex"],
)
def test_no_p_wave(before, after, words):
    beat = (before + bump(200, 9, 1.2)) * np.ones((12, 1))
    at, reason = p_onset(beat, FS, 172.0, after=after)
    assert np.isnan(at)
    assert words in reason


def test_no_t_wave():
    beat = bump(200, 9, 1.2) * np.ones((12, 1))
    at, reason = t_end(beat, FS, 172.0, 228.0)
    assert np.isnan(at)
    assert "T wave" in reason
    at, reason = t_end(beat[:, :260], FS, 172.0, 228.0)
    assert "window ends" in reason


def test_pr_follows_the_simulation():
    for seed, pr in enumerate((150, 170, 200, 240)):
        signal, _ = simulate_ecg("lbbb", 150, pr_ms=pr, random_state=seed)
        result = median_beat(signal, FS)
        bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual)
        at, reason = p_onset(result.beat, FS, bounds.onset)
        assert reason == ""
        assert (bounds.onset - at) * 2 == pytest.approx(pr, abs=15)


def test_fibrillation_has_no_p_wave():
    seen = []
    for seed in range(10):
        signal, _ = simulate_ecg("lbbb", 150, af=True, random_state=seed)
        result = median_beat(signal, FS)
        bounds = qrs_bounds(result.beat, FS, result.fiducial, result.residual)
        rr = np.diff(result.positions).mean() / FS
        before = bounds.onset - 0.5 * rr * FS
        at, _ = p_onset(result.beat, FS, bounds.onset, residual=result.residual, after=before)
        seen.append(np.isfinite(at))
    assert np.mean(seen) <= 0.3


@pytest.mark.parametrize("fs", [250, 360, 500, 1000])
def test_spikes_at_any_rate(fs):
    signal, truth = simulate_ecg("paced", 170, sampling_rate=fs, random_state=2)
    spikes = find_pacing_spikes(signal, fs)
    middle = spikes.mean(axis=1) / fs
    assert len(spikes) >= len(truth["spikes_s"])
    for at in truth["spikes_s"]:
        assert np.abs(middle - at).min() < 0.012


def test_steep_complexes_of_a_child_are_no_spikes():
    t = np.arange(5000) / 500
    phase = (t % 0.5) - 0.25
    complexes = 3.0 * np.exp(-(phase**2) / (2 * 0.006**2)) - 1.5 * np.exp(
        -((phase - 0.014) ** 2) / (2 * 0.006**2)
    )
    assert len(find_pacing_spikes(complexes * np.ones((12, 1)), 500)) == 0


def test_no_spikes_below_250_hz_or_in_nothing():
    assert find_pacing_spikes(np.zeros((2, 5000)), 200).shape == (0, 2)
    assert find_pacing_spikes(np.zeros((2, 5)), 500).shape == (0, 2)


def test_removed_spikes_leave_the_rest_untouched():
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 0.01, (3, 400))
    dirty = signal.copy()
    dirty[:, 200:203] += 5.0
    clean = remove_spikes(dirty, np.array([[199, 204]]))
    np.testing.assert_array_equal(clean[:, :198], signal[:, :198])
    np.testing.assert_array_equal(clean[:, 205:], signal[:, 205:])
    assert np.abs(clean).max() < 0.06
    assert dirty[0, 201] > 4  # the input is not changed


def test_paced_beats_and_after_potentials():
    spikes = np.array([[100, 104], [480, 484], [900, 904]])
    # An atrial spike 150 ms before the third onset does not pace the ventricle.
    np.testing.assert_array_equal(paced_beats(spikes, [110.0, 492.0, 975.0], FS), [0, 1, -1])
    np.testing.assert_array_equal(paced_beats(spikes[:0], [1.0, 2.0], FS), [-1, -1])
    rising = bump(100, 15, 1.0)[None]
    assert np.isnan(after_potential_end(rising, FS, spike_end=60, qrs_offset=140))


def test_hum_is_subtracted_and_the_complex_is_not():
    t = np.arange(5000) / 500
    heart = np.exp(-(((t % 0.8) - 0.4) ** 2) / (2 * 0.012**2)) * np.ones((12, 1))
    peaks = np.arange(200, 5000, 400)
    assert subtract_mains(heart, 500, peaks) is heart
    rng = np.random.default_rng(0)
    for frequency in (49.9, 50.07, 60.1):
        hum = 0.1 * np.sin(2 * np.pi * frequency * t + rng.uniform(0, 6, (12, 1)))
        left = subtract_mains(heart + hum, 500, peaks) - heart
        assert np.abs(left).max() < 0.025


def test_a_steep_st_segment_is_not_part_of_a_wide_complex():
    # The limb rule used to follow it to the T wave: 60 ms too long.
    signal, _ = simulate_ecg("paced", 212, heart_rate_bpm=88, random_state=72)
    beat = median_beat(signal, 500)
    bounds = qrs_bounds(beat.beat, 500, beat.fiducial, beat.residual)
    assert (bounds.offset - bounds.onset) * 2 == pytest.approx(212, abs=15)


def test_noise_of_one_electrode_does_not_lengthen_the_complex():
    # Tremor of the left arm is in I, III and aVL: three leads, one electrode. It is stronger beside
    # the complex than the residual says.
    rng = np.random.default_rng(0)
    left_arm = np.array([1.0, 0.0, -1.0, -0.5, 1.0, -0.5] + [0.0] * 6)[:, None]
    beat = np.ones((12, 1)) * bump(200, 9, 2.0)
    residual = left_arm * rng.normal(0, 0.05, 500) + rng.normal(0, 0.001, (12, 500))
    tremor = 0.1 * np.sin(2 * np.pi * 30 * np.arange(500) / FS) * bump(232, 8, 1.0)
    clean = qrs_bounds(beat, FS, 200, residual)
    blind = qrs_bounds(beat + left_arm * tremor, FS, 200, residual)
    told = qrs_bounds(beat + left_arm * tremor, FS, 200, residual, limb=[True] * 6 + [False] * 6)
    assert blind.offset - clean.offset > 5
    assert abs(told.offset - clean.offset) < 2
