"""simulate_ecg: the truth it states, measured again from what it draws."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit._leads import LEADS_12
from crtkit.datasets import simulate_ecg

MORPHOLOGIES = ("narrow", "lbbb", "rbbb", "ivcd", "paced")
LEAD = {name: i for i, name in enumerate(LEADS_12)}


def qrs_only(morphology, duration, *, fs=10_000, seed=0, **kwargs):
    return simulate_ecg(
        morphology,
        duration,
        sampling_rate=fs,
        noise=0,
        waves=("QRS",),
        random_state=seed,
        **kwargs,
    )


def one_beat(signal, truth, fs, beat=2, before=0.0, after=0.0):
    start = int((truth["qrs_onsets_s"][beat] - before) * fs)
    stop = int((truth["qrs_offsets_s"][beat] + after) * fs)
    return {name: signal[i, start:stop] for name, i in LEAD.items()}


@pytest.mark.parametrize("morphology", MORPHOLOGIES)
@pytest.mark.parametrize(("duration", "scar"), [(92.0, 0.0), (164.0, 35.0)])
def test_onset_and_offset_are_where_any_lead_exceeds_20_microvolt(morphology, duration, scar):
    fs = 10_000
    signal, truth = qrs_only(morphology, duration, scar=scar, ischaemic=True, seed=3)
    above = (np.abs(signal.astype(float)) > 0.020).any(axis=0)
    for onset, offset in zip(truth["qrs_onsets_s"], truth["qrs_offsets_s"]):
        near = slice(int((onset - 0.08) * fs) if onset > 0.08 else 0, int((offset + 0.08) * fs))
        seen = np.flatnonzero(above[near]) + near.start
        # A sample period on either side, and the error of a linear step at 20 µV.
        assert seen[0] / fs == pytest.approx(onset, abs=1.5e-4)
        assert seen[-1] / fs == pytest.approx(offset, abs=1.5e-4)
        assert offset - onset == pytest.approx(duration / 1000, abs=1e-9)


def test_r_peaks_are_the_largest_of_the_independent_leads():
    fs = 2000
    signal, truth = qrs_only("narrow", 96, fs=fs, seed=1)
    independent = signal[[0, 1, 6, 7, 8, 9, 10, 11]].astype(float)
    size = np.square(independent).sum(axis=0)
    for onset, offset, peak in zip(
        truth["qrs_onsets_s"], truth["qrs_offsets_s"], truth["r_peaks_s"]
    ):
        start, stop = int(onset * fs), int(offset * fs)
        assert (start + size[start:stop].argmax()) / fs == pytest.approx(peak, abs=2e-3)


@pytest.mark.parametrize("kwargs", [{}, {"af": True}, {"morphology": "paced"}])
def test_an_independent_detector_finds_the_beats_under_noise(kwargs):
    sleepecg = pytest.importorskip("sleepecg")
    signal, truth = simulate_ecg(**kwargs, noise=1.0, random_state=5)
    found = sleepecg.detect_heartbeats(signal[LEAD["V2"]].astype(float), 500) / 500
    inner = truth["r_peaks_s"][1:-1]
    gaps = np.abs(found[:, None] - inner).min(axis=0)
    assert (gaps < 0.09).all()
    assert len(found) <= len(truth["r_peaks_s"]) + 2


@given(
    morphology=st.sampled_from(MORPHOLOGIES),
    duration=st.floats(60, 280),
    af=st.booleans(),
    scar=st.floats(0, 100),
    ischaemic=st.booleans(),
    voltage=st.floats(-3, 3),
    repolarisation=st.floats(-3, 3),
    rate=st.floats(30, 180),
    fs=st.sampled_from([250, 360, 500, 1000]),
    noise=st.sampled_from([0.0, 1.0, 3.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_any_parameters_give_a_finite_consistent_ecg(
    morphology, duration, af, scar, ischaemic, voltage, repolarisation, rate, fs, noise, seed
):
    signal, truth = simulate_ecg(
        morphology,
        duration,
        af=af,
        scar=scar,
        ischaemic=ischaemic,
        voltage=voltage,
        repolarisation=repolarisation,
        heart_rate_bpm=rate,
        sampling_rate=fs,
        duration_s=5,
        noise=noise,
        random_state=seed,
    )
    assert signal.shape == (12, 5 * fs)
    assert signal.dtype == np.float32
    assert np.isfinite(signal).all()
    assert 0.1 < np.abs(signal).max() < 15
    s = dict(zip(LEADS_12, signal.astype(float)))
    tolerance = 2e-6
    np.testing.assert_allclose(s["III"], s["II"] - s["I"], atol=tolerance)
    np.testing.assert_allclose(s["aVR"], -(s["I"] + s["II"]) / 2, atol=tolerance)
    np.testing.assert_allclose(s["aVL"], s["I"] - s["II"] / 2, atol=tolerance)
    np.testing.assert_allclose(s["aVF"], s["II"] - s["I"] / 2, atol=tolerance)
    onsets, offsets, peaks = (truth[k] for k in ("qrs_onsets_s", "qrs_offsets_s", "r_peaks_s"))
    assert len(onsets) == len(offsets) == len(peaks) >= 1
    np.testing.assert_allclose(offsets - onsets, duration / 1000, atol=1e-9)
    assert (onsets >= 0).all()
    assert (offsets <= 5).all()
    assert ((onsets < peaks) & (peaks < offsets)).all()
    assert (np.diff(onsets) > 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_lbbb_looks_like_lbbb(seed):
    fs = 1000
    signal, truth = simulate_ecg("lbbb", 160, sampling_rate=fs, noise=0, random_state=seed)
    qrs = one_beat(signal, truth, fs)
    assert qrs["V1"].min() < -0.4  # QS or rS
    assert qrs["V1"].max() < 0.5 * -qrs["V1"].min()
    assert qrs["V6"].max() > 0.4
    assert qrs["V6"].min() > -0.2 * qrs["V6"].max()
    # No septal q: the first tenth of the QRS goes up in V6.
    assert qrs["V6"][:16].min() > -0.05
    # The lateral R is broad: half its height lasts more than a third of the QRS.
    assert (qrs["V6"] > 0.5 * qrs["V6"].max()).mean() > 0.33
    whole = one_beat(signal, truth, fs, after=0.30)
    after_qrs = {name: lead[160:] for name, lead in whole.items()}
    assert after_qrs["V6"].min() < -0.1
    assert after_qrs["V6"].max() < 0.1
    assert after_qrs["V1"].max() > 0.1


def test_lateral_notches_occur_in_lbbb():
    notched = 0
    for seed in range(30):
        signal, truth = qrs_only("lbbb", 160, fs=1000, seed=seed)
        lead = one_beat(signal, truth, 1000)["V6"].astype(float)
        peaks = np.flatnonzero((lead[1:-1] > lead[:-2]) & (lead[1:-1] >= lead[2:])) + 1
        if len(peaks) >= 2:
            valley = lead[peaks[0] : peaks[-1]].min()
            notched += min(lead[peaks[0]], lead[peaks[-1]]) - valley > 0.03
    assert 10 <= notched <= 30


@pytest.mark.parametrize("seed", range(8))
def test_rbbb_looks_like_rbbb(seed):
    signal, truth = qrs_only("rbbb", 150, fs=1000, seed=seed)
    qrs = one_beat(signal, truth, 1000)
    first, second = qrs["V1"][:45], qrs["V1"][60:]
    assert first.max() > 0.05
    assert second.max() > max(first.max(), 0.3)  # rSR'
    assert qrs["V1"][20:90].min() < 0.6 * second.max()
    assert qrs["V6"][75:].min() < -0.15  # broad terminal S
    assert qrs["I"][75:].min() < -0.05


@pytest.mark.parametrize("seed", range(8))
def test_pacing_from_the_apex_is_superior_with_spikes_before_the_qrs(seed):
    fs = 1000
    signal, truth = simulate_ecg("paced", 176, sampling_rate=fs, noise=0, random_state=seed)
    qrs = one_beat(signal, truth, fs)
    for name in ("II", "III", "aVF"):
        assert qrs[name].min() < -0.2
        assert -qrs[name].min() > 2 * qrs[name].max()
    np.testing.assert_allclose(truth["qrs_onsets_s"] - truth["spikes_s"], 0.006, atol=1e-9)
    bare, _ = simulate_ecg(
        "paced", 176, sampling_rate=fs, noise=0, random_state=seed, waves=("P", "QRS", "T")
    )
    spikes = np.flatnonzero(np.abs(signal - bare).max(axis=0) > 0.3)
    expected = np.round(truth["spikes_s"] * fs).astype(int)
    assert set(expected) <= set(spikes)


def test_fibrillation_has_no_p_wave_and_irregular_intervals():
    def spread(**kwargs):
        _, truth = simulate_ecg(duration_s=60, random_state=2, heart_rate_bpm=80, **kwargs)
        rr = np.diff(truth["qrs_onsets_s"])
        return rr.std() / rr.mean()

    assert spread(af=True) > 0.12
    assert spread() < 0.05
    assert spread(af=True, morphology="paced") < 0.01
    atria, truth = simulate_ecg(af=True, waves=("P",), noise=0, random_state=2)
    assert np.isnan(truth["pr_ms"])
    spectrum = np.abs(np.fft.rfft(atria[LEAD["V1"]]))
    freqs = np.fft.rfftfreq(atria.shape[1], 1 / 500)
    assert 4 < freqs[spectrum[1:].argmax() + 1] < 9


def test_p_wave_precedes_the_qrs_by_the_pr_interval():
    signal, truth = simulate_ecg(waves=("P",), noise=0, pr_ms=200, random_state=0)
    lead = np.abs(signal[LEAD["II"]])
    for onset in truth["qrs_onsets_s"][1:]:
        window = lead[int((onset - 0.26) * 500) : int(onset * 500)]
        middle = window.argmax() / 500 - 0.26 + 0.20  # seconds after P onset
        assert 0.02 < middle < 0.11


def test_scar_lowers_and_fractionates():
    clean, truth = qrs_only("narrow", 100, fs=1000, seed=4)
    scarred, _ = qrs_only("narrow", 100, fs=1000, seed=4, scar=50)
    a, b = (one_beat(s, truth, 1000) for s in (clean, scarred))
    size = [np.sqrt(sum(np.ptp(lead) ** 2 for lead in beat.values())) for beat in (a, b)]
    assert size[1] < 0.85 * size[0]

    def turns(beat):
        return sum((np.diff(np.sign(np.diff(lead))) != 0).sum() for lead in beat.values())

    assert turns(b) > turns(a)


def test_noise_is_scaled_and_has_the_mains_line():
    kwargs = {"random_state": 7, "waves": ()}
    one, _ = simulate_ecg(noise=1.0, mains_hz=60, **kwargs)
    two, _ = simulate_ecg(noise=2.0, mains_hz=60, **kwargs)
    np.testing.assert_allclose(two, 2 * one, atol=1e-5)
    silent, _ = simulate_ecg(noise=0.0, **kwargs)
    assert not silent.any()
    power = np.abs(np.fft.rfft(one.astype(float), axis=1)) ** 2
    freqs = np.fft.rfftfreq(one.shape[1], 1 / 500)
    line = power[:, np.abs(freqs - 60) < 0.06].max(axis=1)
    beside = np.median(power[:, (np.abs(freqs - 60) > 1) & (np.abs(freqs - 60) < 6)], axis=1)
    assert (line > 5 * beside).mean() > 0.5


def test_seeds_give_the_same_bits_and_anatomy_stays_with_a_patient():
    first, _ = simulate_ecg(random_state=1)
    again, _ = simulate_ecg(random_state=1)
    np.testing.assert_array_equal(first, again)
    other, _ = simulate_ecg(random_state=2)
    assert np.abs(first - other).max() > 0.1

    # The same heart at another visit has nearly the same QRS, another heart has not.
    def mean_qrs(anatomy, seed):
        signal, truth = qrs_only("lbbb", 150, fs=1000, seed=seed, anatomy=anatomy)
        beats = [one_beat(signal, truth, 1000, beat=b) for b in (1, 2, 3, 4)]
        return np.mean([[b[name][:145] for name in LEADS_12] for b in beats], axis=0)

    home = mean_qrs(11, 1)
    assert np.abs(mean_qrs(11, 2) - home).max() < 0.15
    assert np.abs(mean_qrs(12, 1) - home).max() > 0.25


def test_random_state_kinds_and_global_state():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for make in (np.random.default_rng, np.random.RandomState, np.random.SeedSequence):
        a, _ = simulate_ecg(random_state=make(3), duration_s=2)
        b, _ = simulate_ecg(random_state=make(3), duration_s=2)
        np.testing.assert_array_equal(a, b)
    simulate_ecg(random_state=None, duration_s=2)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"morphology": "wpw"}, "morphology in"),
        ({"qrs_duration_ms": 30}, "qrs_duration_ms as a number from 60 to 280"),
        ({"qrs_duration_ms": float("nan")}, "qrs_duration_ms"),
        ({"scar": -1}, "scar"),
        ({"voltage": 20}, "voltage"),
        ({"heart_rate_bpm": 400}, "heart_rate_bpm"),
        ({"pr_ms": 0}, "pr_ms"),
        ({"sampling_rate": 100}, "sampling_rate"),
        ({"duration_s": 0}, "duration_s"),
        ({"noise": -1}, "noise"),
        ({"waves": "QRS"}, "waves as a sequence"),
        ({"waves": ("U",)}, "waves as a sequence"),
        ({"random_state": "seed"}, "random_state expects"),
        ({"random_state": -1}, "random_state expects"),
    ],
)
def test_bad_parameters_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        simulate_ecg(**kwargs)
