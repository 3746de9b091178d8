"""What is seen on wards: a right answer, a low quality, or a refusal with its reason."""

import warnings

import numpy as np
import pytest

from crtkit.datasets import simulate_ecg
from crtkit.signals import LEADS_12, measure_qrs

FS = 500
N = 5000
TIME = np.arange(N) / FS


@pytest.fixture(scope="module")
def lbbb():
    signal, truth = simulate_ecg("lbbb", 160, random_state=3)
    return signal.astype(float), (truth["qrs_onsets_s"] * FS).astype(int)


@pytest.fixture(scope="module")
def narrow():
    signal, truth = simulate_ecg("narrow", 92, random_state=4)
    return signal.astype(float), (truth["qrs_onsets_s"] * FS).astype(int)


def one_beat(record, number=3):
    """A beat of a record from 40 ms before its onset, faded out over half a second."""
    signal, onsets = record
    beat = signal[:, onsets[number] - 20 : onsets[number] + 230]
    return (beat - beat[:, :1]) * np.minimum(1.0, np.linspace(8.0, 0.0, 250))


def rhythm(beats, at, seed=0):
    """Beats, in turn, at the given seconds, on 4 µV of noise."""
    signal = 0.004 * np.random.default_rng(seed).standard_normal((12, N))
    for i, second in enumerate(at):
        start = int(second * FS)
        signal[:, start : start + 250] += beats[i % len(beats)]
    return signal


def test_fibrillation_has_a_duration_and_no_pr(lbbb):
    rng = np.random.default_rng(1)
    signal = rhythm([one_beat(lbbb)], np.cumsum(rng.uniform(0.45, 1.1, 11)))
    phase = 2 * np.pi * 6.3 * TIME + 0.05 * np.cumsum(rng.standard_normal(N))
    signal += 0.05 * np.sin(phase) * np.linspace(0.3, 1.0, 12)[:, None]
    found = measure_qrs(signal, FS)
    assert found["qrs_duration_ms"] == pytest.approx(160, abs=12)
    assert np.isnan(found["pr_ms"])
    assert found["lbbb"] == 1


def test_of_ventricular_bigeminy_the_narrow_beats_are_measured(narrow, lbbb):
    at = np.arange(0.4, 9.4, 0.62)
    at[1::2] -= 0.12
    found = measure_qrs(rhythm([one_beat(narrow), -1.6 * one_beat(lbbb)], at), FS)
    assert found["qrs_duration_ms"] == pytest.approx(92, abs=12)
    assert found["n_beats"] == len(at)
    assert found["n_beats_used"] == (len(at) + 1) // 2
    assert found["quality"] < 0.6


def test_spikes_of_one_lead_are_no_pacing_and_do_no_harm(lbbb):
    # Two leads must show a stimulus: one electrode that is touched looks the same.
    signal, onsets = lbbb
    for leads, paced in ((["II"], 0), (list(LEADS_12[:6]), 1)):
        marked = signal.copy()
        for onset in onsets:
            marked[[LEADS_12.index(name) for name in leads], onset - 10] += 1.0
        found = measure_qrs(marked, FS)
        assert found["paced"] == paced
        assert found["qrs_duration_ms"] == pytest.approx(160, abs=8)


@pytest.mark.parametrize("limit", [0.5, 0.2, 0.1])
def test_a_saturated_record_is_measured_or_refused(lbbb, limit):
    signal, _ = lbbb
    found = measure_qrs(np.clip(signal, -limit, limit), FS)
    right = abs(found["qrs_duration_ms"] - 160) < 12
    assert right or found["quality"] < 0.2 or np.isnan(found["qrs_duration_ms"])
    assert right == (limit == 0.5)


def test_low_voltage_at_the_noise_of_a_good_recorder(lbbb):
    signal, _ = lbbb
    noise = 0.005 * np.random.default_rng(0).standard_normal(signal.shape)
    found = measure_qrs(0.05 * signal + noise, FS)
    assert found["qrs_duration_ms"] == pytest.approx(160, abs=15)
    assert found["quality"] < 0.8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert measure_qrs(0.01 * signal + noise, FS)["quality"] < 0.1


def test_a_jump_of_the_baseline_costs_its_beat(lbbb):
    signal, _ = lbbb
    jumped = signal.copy()
    jumped[:, 1700:] += np.linspace(-2, 2, 12)[:, None]
    found = measure_qrs(jumped, FS)
    assert found["qrs_duration_ms"] == pytest.approx(160, abs=8)
    assert found["lbbb"] == 1
    assert found["n_beats_used"] < found["n_beats"]


@pytest.mark.parametrize("seed", range(6))
def test_many_jumps_are_survived_or_told_by_quality(lbbb, seed):
    signal, _ = lbbb
    rng = np.random.default_rng(seed)
    jumped = signal.copy()
    for _ in range(8):
        jumped[6:, rng.integers(0, N) :] += 2 * rng.normal()
    found = measure_qrs(jumped, FS)
    assert abs(found["qrs_duration_ms"] - 160) < 8 or found["quality"] < 0.1


def test_jumps_that_drown_the_complexes_are_refused(lbbb):
    signal, _ = lbbb
    drowned = signal.copy()
    drowned[:, 1700:] += 2.0
    drowned[:, 3000:] -= 3.0
    found = measure_qrs(drowned, FS)
    assert found["quality"] == 0
    assert found["reasons"]["qrs_duration_ms"]


def test_drift_hum_and_muscle(lbbb):
    signal, _ = lbbb
    drift = np.linspace(0, 6, N) + 1.5 * np.sin(2 * np.pi * 0.4 * TIME)
    hum = 0.5 * np.sin(2 * np.pi * 50.03 * TIME)
    for added, within in ((drift, 6), (hum, 6)):
        found = measure_qrs(signal + added, FS)
        assert found["qrs_duration_ms"] == pytest.approx(160, abs=within)
        assert found["lbbb"] == 1
    muscle = np.random.default_rng(0).standard_normal(signal.shape)
    found = measure_qrs(signal + 0.1 * muscle, FS)
    assert found["qrs_duration_ms"] == pytest.approx(160, abs=12)
    assert found["quality"] < 0.8
    assert np.isnan(measure_qrs(signal + 0.4 * muscle, FS)["qrs_duration_ms"])


@pytest.mark.parametrize("seconds", [1.0, 1.5, 2.5])
def test_a_column_of_a_page_is_long_enough(lbbb, seconds):
    signal, onsets = lbbb
    start = onsets[2] - 150
    found = measure_qrs(signal[:, start : start + int(seconds * FS)], FS)
    assert found["qrs_duration_ms"] == pytest.approx(160, abs=12)
    assert found["lbbb"] == 1
    assert np.isfinite(found["heart_rate_bpm"]) == (found["n_beats"] > 1)


def test_nothing_but_noise_is_refused_with_a_reason():
    noise = 0.1 * np.random.default_rng(0).standard_normal((12, N))
    found = measure_qrs(noise, FS)
    assert found["quality"] == 0
    assert found["reasons"]["qrs_duration_ms"] == "no QRS complex stands out of the signal"
