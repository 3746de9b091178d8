import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.signal import spectrogram as scipy_spectrogram
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import STFTTransformer, count_frames, spectrogram
from crtkit.signals.stft import stft

DATA = Path(__file__).parents[1] / "data" / "stft"
FS = 360
CASES = json.loads((DATA / "expected.json").read_text())["cases"]


@pytest.fixture(scope="module")
def arrays():
    with np.load(DATA / "arrays.npz") as file:
        return {name: file[name] for name in file.files}


@parametrize_with_checks(
    [STFTTransformer(), STFTTransformer(window_length=2, hop_length=1, scaling="magnitude")]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['signal']}-{c['window']}-{c['hop']}")
def test_agrees_with_the_reference(arrays, case):
    model = STFTTransformer(
        fs=FS, window=case["window"], hop_length=case["hop"], padding=None, scaling="magnitude"
    )
    name = f"{case['signal']}_{case['window']}_hop{case['hop']}_mag"
    x = arrays[case["signal"]][None]
    out = model.fit_transform(x)
    assert model.n_frames_ == case["frames"]
    np.testing.assert_allclose(out[0, 0], arrays[name], atol=1e-9)
    low = model.fit_transform(x.astype(np.float32))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low[0, 0], arrays[name], atol=1e-3)
    weights = arrays[f"window_{case['window']}"]
    density = (arrays[name] ** 2).sum() / (FS * (weights**2).sum())
    assert density == pytest.approx(case["psd_scaled_sum"], rel=1e-9)


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_mirrored_frames_agree_with_torch(arrays, window):
    out = spectrogram(
        arrays["mix"],
        FS,
        window=window,
        hop_length=128,
        padding="reflect",
        scaling="magnitude",
    )
    expected = arrays[f"mix_{window}_hop128_torch_center_reflect_mag"]
    np.testing.assert_allclose(out, expected, atol=1e-9)


def test_density_agrees_with_scipy():
    x = np.random.default_rng(0).normal(size=(3, 2000))
    options = {"nperseg": 256, "noverlap": 192, "detrend": False}
    _, _, expected = scipy_spectrogram(x, FS, window="hann", **options)
    out = spectrogram(x, FS, window_length=256, hop_length=64, padding=None, scaling="psd")
    np.testing.assert_allclose(out, expected, rtol=1e-10)
    odd = {"window_length": 255, "hop_length": 64, "padding": None, "scaling": "psd"}
    _, _, expected = scipy_spectrogram(
        x, FS, window="hann", nperseg=255, noverlap=191, detrend=False
    )
    np.testing.assert_allclose(spectrogram(x, FS, **odd), expected, rtol=1e-10)


@given(st.integers(0, 2**32 - 1), st.floats(-5, 5), st.sampled_from([None, "constant", "reflect"]))
@settings(max_examples=30, deadline=None)
def test_linear(seed, factor, padding):
    a, b = np.random.default_rng(seed).normal(size=(2, 700))
    options = {"window_length": 128, "hop_length": 40, "padding": padding}
    together = stft(a + factor * b, **options)
    np.testing.assert_allclose(
        together, stft(a, **options) + factor * stft(b, **options), atol=1e-9
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(["hann", "hamming", "boxcar"]))
@settings(max_examples=30, deadline=None)
def test_parseval_frame_by_frame(seed, window):
    x = np.random.default_rng(seed).normal(size=900)
    length, hop = 128, 32
    power = np.abs(stft(x, window=window, window_length=length, hop_length=hop, padding=None)) ** 2
    both_sides = power[0] + power[-1] + 2 * power[1:-1].sum(0)
    weights = _weights(window, length)
    frames = np.lib.stride_tricks.sliding_window_view(x, length)[::hop]
    np.testing.assert_allclose(both_sides / length, ((frames * weights) ** 2).sum(1), rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_energy_of_the_record_is_kept(seed):
    # Periodic Hann windows at a hop of a quarter sum to a constant, so no sample counts twice.
    x = np.zeros(1024)
    x[256:-256] = np.random.default_rng(seed).normal(size=512)
    length, hop = 128, 32
    power = np.abs(stft(x, window_length=length, hop_length=hop)) ** 2
    both_sides = (power[0] + power[-1] + 2 * power[1:-1].sum(0)).sum()
    constant = (_weights("hann", length) ** 2).sum() / hop
    assert both_sides / length / constant == pytest.approx((x**2).sum(), rel=1e-9)


def _weights(window, length):
    angle = 2 * np.pi * np.arange(length) / length
    share = {"hann": 0.5, "hamming": 0.54, "boxcar": 1.0}[window]
    return share - (1 - share) * np.cos(angle)


def test_decibel_of_a_sine_is_its_amplitude():
    time = np.arange(3600) / FS
    for amplitude in (1.0, 0.1):
        x = amplitude * np.sin(2 * np.pi * 45 * time)
        out = spectrogram(x, FS)
        assert out[64, 56] == pytest.approx(20 * np.log10(amplitude), abs=1e-6)
    assert spectrogram(np.zeros(3600), FS).max() == pytest.approx(-80)
    assert spectrogram(np.ones(3600), FS)[0, 50] == pytest.approx(0)


@pytest.mark.parametrize("padding", [None, "constant", "reflect"])
@pytest.mark.parametrize("length", [512, 511, 64])
def test_number_of_frames_is_what_is_stated(padding, length):
    for n_samples in (520, 600, 777):
        x = np.ones((2, 1, n_samples))
        options = {"window_length": length, "hop_length": 32, "padding": padding}
        model = STFTTransformer(fs=FS, **options).fit(x)
        shape = (2, 1, length // 2 + 1, count_frames(n_samples, **options))
        assert model.transform(x).shape == shape
        assert len(model.times_) == model.n_frames_ == shape[-1]
        assert len(model.frequencies_) == shape[-2]


def test_beats_shorter_than_the_window_have_frames():
    x = np.random.default_rng(0).normal(size=(4, 1, 250))
    assert STFTTransformer().fit_transform(x).shape == (4, 1, 257, 8)
    with pytest.raises(ValueError, match="250 samples is shorter than the window of 512"):
        STFTTransformer(padding=None).fit(x)
    with pytest.raises(ValueError, match="cannot be mirrored"):
        STFTTransformer(padding="reflect").fit(x)


def test_highest_frequency_is_cut():
    x = np.random.default_rng(0).normal(size=(2, 3, 1000))
    model = STFTTransformer(fs=FS, max_frequency=45).fit(x)
    assert model.frequencies_[-1] == 45
    for scaling in ("dB", "psd", "magnitude"):
        model.set_params(scaling=scaling).fit(x)
        whole = STFTTransformer(fs=FS, scaling=scaling).fit_transform(x)
        np.testing.assert_array_equal(model.transform(x), whole[:, :, :65])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"window": "triangle wave"}, "not one of scipy's windows"),
        ({"hop_length": 0}, "hop_length"),
        ({"padding": "zeros"}, "padding"),
        ({"scaling": "log"}, "scaling"),
    ],
)
def test_bad_parameters_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        STFTTransformer(**params).fit(np.zeros((1, 1, 600)))


def test_rows_and_pipelines(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2, 600)).astype(np.float32)
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    pipe = make_pipeline(STFTTransformer()).set_output(transform="pandas")
    np.testing.assert_array_equal(pipe.fit(rows).transform(rows), pipe.transform(x))
