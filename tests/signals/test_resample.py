import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.signal import resample
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import Resampler, resample_leads


@parametrize_with_checks([Resampler(), Resampler(fs_in=150, fs_out=500, method="linear")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@given(
    st.sampled_from([99, 100, 137, 180, 221, 360, 400, 500, 1000]),
    st.sampled_from([100, 250, 360, 500]),
    st.floats(0.02, 0.38),
    st.floats(0, 6.28),
)
@settings(max_examples=60, deadline=None)
def test_polyphase_keeps_a_sine(fs_in, fs_out, share, phase):
    frequency = share * min(fs_in, fs_out)
    at = lambda fs, n: np.sin(2 * np.pi * frequency * np.arange(n) / fs + phase)  # noqa: E731
    out = resample_leads(at(fs_in, 10 * fs_in), fs_in, fs_out)
    assert len(out) == 10 * fs_out
    error = np.abs(out - at(fs_out, len(out)))
    assert error[fs_out:-fs_out].max() < 5e-3


def test_frequencies_above_the_new_nyquist_are_gone():
    tone = np.sin(2 * np.pi * 215 * np.arange(5000) / 500)
    assert np.abs(resample_leads(tone, 500, 360))[360:-360].max() < 0.02
    assert np.abs(resample_leads(tone, 500, 360, method="linear"))[360:-360].max() > 0.3


def test_polyphase_agrees_with_fourier_resampling():
    rng = np.random.default_rng(0)
    smooth = np.convolve(rng.normal(size=7000), np.hanning(25), mode="valid")[1000:6000]
    out = resample_leads(smooth, 500, 360)
    np.testing.assert_allclose(out[360:-360], resample(smooth, 3600)[360:-360], atol=0.02)


def test_linear_is_numpy_interpolation():
    x = np.random.default_rng(0).normal(size=(4, 552))
    out = resample_leads(x, 221, 500, method="linear")
    time = np.arange(out.shape[1]) / 500
    assert time[-1] < 552 / 221 <= out.shape[1] / 500
    expected = [np.interp(time, np.arange(552) / 221, row) for row in x]
    np.testing.assert_allclose(out, expected, atol=1e-9)


def test_an_offset_makes_no_edge():
    out = Resampler(fs_in=500, fs_out=360).fit_transform(np.full((1, 12, 5000), 2.5))
    np.testing.assert_allclose(out, 2.5, atol=1e-9)


@pytest.mark.parametrize("method", ["polyphase", "linear"])
def test_float32_stays_and_rows_are_read(tmp_path, method):
    x = np.random.default_rng(0).normal(size=(70, 2, 300)).astype(np.float32)
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    model = Resampler(method=method).fit(rows)
    out = model.transform(rows)
    assert out.dtype == np.float32
    assert out.shape[-1] == model.n_samples_out_ == 216
    np.testing.assert_array_equal(out, model.transform(x))
    np.testing.assert_allclose(
        out, resample_leads(x.astype(float), 500, 360, method=method), atol=2e-5
    )


def test_bad_input_is_named():
    x = np.zeros((1, 2, 500))
    x[0, 0, 100:120] = np.nan
    with pytest.raises(ValueError, match="Resampler does not accept missing values"):
        Resampler().fit(x)
    with pytest.raises(ValueError, match="'polyphase' or 'linear'"):
        resample_leads(np.zeros(10), 500, 360, method="cubic")
    for rates in ((0, 500), (500, -1), (float("nan"), 500)):
        with pytest.raises(ValueError, match="rates above 0 Hz"):
            resample_leads(np.zeros(10), *rates)
    with pytest.raises(ValueError, match="fs_out"):
        Resampler(fs_out=0).fit(np.zeros((1, 10)))


@pytest.mark.parametrize("n_samples", [1, 2, 7, 1000])
def test_short_records_are_resampled(n_samples):
    for method in ("polyphase", "linear"):
        out = Resampler(fs_in=500, fs_out=360, method=method).fit_transform(np.ones((1, n_samples)))
        np.testing.assert_allclose(out, np.ones((1, -(-n_samples * 18 // 25))), atol=1e-12)
