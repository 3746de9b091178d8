import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import LeadFilter, Resampler, design_filter, filter_leads

DATA = Path(__file__).parents[1] / "data" / "ecg_clean"
FS = 500

REFERENCES = {
    "highpass_sosfiltfilt": {"mains": None},
    "bandpass_0p5_40_sosfiltfilt": {"lowpass": 40, "order": 3, "mains": None},
    "notch50_q30_sosfiltfilt": {"highpass": None},
    "neurokit_clean": {"mains_method": "moving_average"},
}


@pytest.fixture(scope="module")
def reference():
    with np.load(DATA / "signals.npz") as file:
        return {name: file[name] for name in file.files}


@parametrize_with_checks(
    [
        LeadFilter(),
        LeadFilter(missing="runs", padding=None),
        LeadFilter(lowpass=40, mains_method="moving_average"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_scipy_and_neurokit(reference, name):
    raw = reference["raw_uV"][None] / 1000.0
    clean = LeadFilter(fs=FS, padding=None, **REFERENCES[name]).fit_transform(raw)
    np.testing.assert_allclose(clean[0], reference[name], atol=1e-5)


@pytest.mark.parametrize("name", REFERENCES)
def test_padding_in_seconds_changes_edges_only(reference, name):
    raw = reference["raw_uV"][None] / 1000.0
    clean = LeadFilter(fs=FS, padding=3.0, **REFERENCES[name]).fit_transform(raw)
    middle = slice(2 * FS, -2 * FS)
    np.testing.assert_allclose(clean[0, :, middle], reference[name][:, middle], atol=0.02)


def test_reference_holds_what_the_readme_says(reference):
    expected = json.loads((DATA / "expected.json").read_text())
    assert expected["fs"] == FS
    assert len(expected["leads"]) == len(reference["raw_uV"])


def test_long_padding_leaves_no_transient_of_a_drift():
    time = np.arange(10 * FS) / FS
    drift = 1.5 + 0.3 * time
    stages = design_filter(FS)
    padded = np.abs(filter_leads(drift, stages, pad_samples=3 * FS))
    short = np.abs(filter_leads(drift, stages, pad_samples=None))
    assert padded[FS:-FS].max() < 0.02
    assert padded.max() < 0.5 * short.max()


@pytest.mark.parametrize("mains", [50, 60])
@pytest.mark.parametrize("method", ["notch", "moving_average"])
def test_mains_goes_and_ecg_band_stays(mains, method):
    time = np.arange(10 * FS) / FS
    wave = np.sin(2 * np.pi * 5 * time)
    hum = 0.2 * np.sin(2 * np.pi * mains * time)
    model = LeadFilter(fs=FS, highpass=None, mains=mains, mains_method=method)
    clean = model.fit_transform((wave + hum)[None])[0]
    # int(500 / 60) samples are not quite one period of 60 Hz: NeuroKit's average leaves a little.
    left = 0.02 if method == "moving_average" and mains == 60 else 0.005
    gain = np.dot(clean, wave) / np.dot(wave, wave)
    assert np.abs(clean - gain * wave)[FS:-FS].max() < left
    assert gain > 0.94


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.sampled_from([0, 250, 1500]))
@settings(max_examples=25, deadline=None)
def test_linear(seed, factor, pad):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 2000))
    stages = design_filter(FS, lowpass=40, mains=50)
    together = filter_leads(a + factor * b, stages, pad_samples=pad)
    apart = [filter_leads(x, stages, pad_samples=pad) for x in (a, b)]
    np.testing.assert_allclose(together, apart[0] + factor * apart[1], atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_symmetric_in_time(seed, average):
    rng = np.random.default_rng(seed)
    method = "moving_average" if average else "notch"
    x = np.convolve(rng.normal(size=8000), np.hanning(9), mode="same")
    x[:3000] = x[-3000:] = 0  # forwards-backwards equals backwards-forwards away from the edges
    stages = design_filter(FS, lowpass=100, mains=50, mains_method=method)
    ahead = filter_leads(x, stages, pad_samples=1500)
    back = filter_leads(x[::-1], stages, pad_samples=1500)[::-1]
    np.testing.assert_allclose(ahead, back, atol=1e-3)
    np.testing.assert_allclose(ahead[3000:5000], back[3000:5000], atol=1e-5)


def test_a_symmetric_wave_keeps_its_peak():
    x = np.exp(-0.5 * ((np.arange(5000) - 2500) / 10) ** 2)
    clean = LeadFilter(fs=FS, lowpass=40).fit_transform(x[None])[0]
    assert clean.argmax() == 2500


def test_each_finite_run_is_filtered_alone():
    rng = np.random.default_rng(0)
    x = np.full((1, 2, 5000), np.nan)
    x[0, 0, :1250] = rng.normal(size=1250)
    x[0, 1, 1250:2500] = rng.normal(size=1250)
    x[0, 1, 4000:] = rng.normal(size=1000)
    clean = LeadFilter(fs=FS, missing="runs").fit_transform(x)
    assert np.array_equal(np.isnan(clean), np.isnan(x))
    alone = LeadFilter(fs=FS).fit_transform(x[:, 1:, 4000:])
    np.testing.assert_array_equal(clean[:, 1:, 4000:], alone)


def test_nan_is_refused_by_name():
    x = np.zeros((1, 2, 500))
    x[0, 0, 100:120] = np.nan
    with pytest.raises(ValueError, match="LeadFilter does not accept missing values"):
        LeadFilter().fit(x)
    with pytest.raises(ValueError, match="missing='runs'"):
        filter_leads(x, design_filter(FS))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fs": 80}, "mains=50 Hz must lie between 0 and half the sampling rate"),
        ({"fs": 100, "mains": None, "lowpass": 60}, "lowpass=60 Hz"),
        ({"highpass": 50, "lowpass": 40}, "highpass=50 Hz must lie below lowpass=40"),
        ({"order": 2.5}, "order"),
        ({"mains_method": "fft"}, "mains_method"),
        ({"padding": -1}, "padding"),
    ],
)
def test_bad_parameters_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        LeadFilter(**params).fit(np.zeros((1, 1000)))


def test_two_seconds_and_one_sample_are_filtered():
    for n_samples in (1, 2, 1000):
        clean = LeadFilter(fs=FS).fit_transform(np.ones((2, 3, n_samples)))
        assert clean.shape == (2, 3, n_samples)
        np.testing.assert_allclose(clean, 0, atol=1e-3 if n_samples > 2 else 1)


def test_float32_stays_and_agrees():
    x = np.random.default_rng(0).normal(size=(3, 2, 2500)).astype(np.float32)
    for model in (LeadFilter(), LeadFilter(padding=None)):
        low, high = clone(model).fit_transform(x), clone(model).fit_transform(x.astype(float))
        assert low.dtype == np.float32
        np.testing.assert_allclose(low, high, atol=2e-5)


def test_rows_are_read_block_by_block(tmp_path):
    x = np.random.default_rng(0).normal(size=(70, 2, 300)).astype(np.float32)
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    for model in (LeadFilter(), LeadFilter(padding=0.1)):
        np.testing.assert_array_equal(model.fit(rows).transform(rows), model.transform(x))


def test_no_filter_at_all_is_a_copy():
    x = np.random.default_rng(0).normal(size=(2, 100))
    clean = LeadFilter(highpass=None, mains=None).fit_transform(x)
    np.testing.assert_array_equal(clean, x)
    assert not np.shares_memory(clean, x)


def test_pipeline_takes_pandas_output():
    pipe = make_pipeline(LeadFilter(), Resampler()).set_output(transform="pandas")
    assert pipe.fit_transform(np.zeros((2, 3, 1000))).shape == (2, 3, 720)


def test_shape_is_compared():
    model = LeadFilter().fit(np.zeros((2, 12, 1000)))
    with pytest.raises(ValueError, match="12 leads, 1000 samples per record"):
        model.transform(np.zeros((2, 12, 999)))


@pytest.mark.parametrize("missing", ["omit", "run", None])
def test_an_unknown_way_with_gaps_is_named(missing):
    with pytest.raises(ValueError, match="expects missing='raise' or 'runs'"):
        filter_leads(np.full((1, 500), np.nan), design_filter(500), missing=missing)
