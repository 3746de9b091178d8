"""PhaseAnalysis and PhaseStatistics as estimators."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import PhaseAnalysis, PhaseStatistics
from crtkit.spect import aha_segments, phase_and_amplitude, phase_statistics
from crtkit.testing import parametrize_with_nd_checks


def make_counts(n_records=24, n_frames=8, shape=(6, 8), seed=0):
    rng = np.random.default_rng(seed)
    peak = np.deg2rad(rng.normal(200, 30, (n_records, 1, *shape)))
    theta = (2 * np.pi * np.arange(n_frames) / n_frames).reshape(1, -1, *(1 for _ in shape))
    return rng.poisson(80 + 25 * np.cos(theta - peak)).astype(np.float32)


def count_records():
    return make_counts(), np.arange(24) % 2


def failing(estimator):
    if isinstance(estimator, PhaseStatistics):
        return {}
    two = "sends curves of two frames, which have no phase"
    names = ("overwrite_params", "fit_returns_self")
    return {
        "check_estimators_dtypes": "sends a record without counts, which is refused",
        "check_readonly_memmap_input": two,
        "check_fit_idempotent": two,
        "check_fit_check_is_fitted": two,
        "check_n_features_in": two,
        **{f"check_estimators_{name}": two for name in names},
    }


@parametrize_with_checks(
    [
        PhaseAnalysis(),
        PhaseAnalysis(output="amplitude"),
        PhaseStatistics(statistics=("psd", "pbw", "entropy")),
    ],
    expected_failed_checks=failing,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [
        (PhaseAnalysis(), "counts", {"records": count_records}),
        (PhaseStatistics(), "maps"),
        (PhaseStatistics(segments=True), "maps"),
    ]
)
def test_nd_checks(estimator, check):
    check(estimator)


def test_maps_are_the_function_s_phases():
    counts = make_counts()
    maps = PhaseAnalysis().fit_transform(counts)
    assert maps.shape == (24, 6, 8)
    assert maps.dtype == np.float32
    assert (maps >= 0).all()
    assert (maps < 360).all()
    expected = phase_and_amplitude(counts, axis=1)[0]
    np.testing.assert_allclose(maps, expected, atol=1e-4)
    flat = PhaseAnalysis().fit_transform(counts.reshape(24, 8, 48))
    np.testing.assert_array_equal(flat, maps.reshape(24, 48))
    amplitude = PhaseAnalysis(output="amplitude").fit_transform(counts)
    np.testing.assert_allclose(amplitude, phase_and_amplitude(counts, axis=1)[1], rtol=1e-5)


def test_low_counts_have_no_phase():
    counts = make_counts(4)
    counts[:, :, 0, 0] = 0
    counts[:, :, 1, 1] *= 0.2
    maps = PhaseAnalysis().fit_transform(counts)
    assert np.isnan(maps[:, 0, 0]).all()
    assert np.isnan(maps).sum() == 4
    maps = PhaseAnalysis(threshold=0.4).fit_transform(counts)
    assert np.isnan(maps[:, 1, 1]).all()
    assert np.isnan(maps).sum() == 8
    filled = PhaseAnalysis(threshold=0.4, low_counts="mean").fit_transform(counts)
    assert not np.isnan(filled).any()
    there = ~np.isnan(maps)
    np.testing.assert_array_equal(filled[there], maps[there])
    mean = phase_statistics(maps.reshape(4, -1), ("mean",))[:, 0]
    np.testing.assert_allclose(filled[:, 0, 0], mean, atol=1e-3)


def test_statistics_globally_and_by_segment():
    maps = PhaseAnalysis().fit_transform(make_counts(3, shape=(12, 24)))
    model = PhaseStatistics(statistics=["psd", "pbw"], segments=True).fit(maps)
    out = model.set_output(transform="pandas").transform(maps)
    assert list(out.columns[:4]) == ["psd", "pbw", "psd_segment01", "pbw_segment01"]
    assert out.shape == (3, 36)
    segments = aha_segments(12, 24)
    cells = maps[:, segments == 9]
    expected = phase_statistics(cells, ("psd", "pbw"))
    np.testing.assert_allclose(out[["psd_segment09", "pbw_segment09"]], expected, rtol=1e-5)
    flat = PhaseStatistics(statistics=["psd", "pbw"], segments=True, input_shape=(12, 24))
    np.testing.assert_array_equal(flat.fit_transform(maps.reshape(3, -1)), out)


def test_a_pipeline_from_counts_to_figures():
    names = make_pipeline(PhaseAnalysis(threshold=0.3), PhaseStatistics())
    out = names.set_output(transform="pandas").fit_transform(make_counts())
    assert out.shape == (24, 7)
    assert 10 < out["psd"].mean() < 60


def test_constant_maps_are_flagged_not_silent():
    model = PhaseStatistics().fit(np.full((2, 4, 6), 30.0))
    assert model.n_undefined_ == 4
    with pytest.warns(UserWarning, match="equal phases have no skewness"):
        out = model.transform(np.full((2, 4, 6), 30.0))
    names = list(model.get_feature_names_out())
    assert out[0, names.index("psd")] == 0
    assert out[0, names.index("pbw")] == 0
    assert out[0, names.index("mean")] == pytest.approx(30)


def test_a_record_without_any_phase_is_said():
    counts = make_counts(3)
    counts[1] = 70
    with pytest.warns(UserWarning, match=r"1 record\(s\), first record 1, have no phase at all"):
        maps = PhaseAnalysis().fit_transform(counts)
    assert np.isnan(maps[1]).all()
    assert not np.isnan(maps[[0, 2]]).any()


def test_a_record_without_a_mean_phase_is_named_behind_the_first_block():
    counts = make_counts(300, shape=(2, 2))
    counts[280] = 70
    with pytest.raises(ValueError, match="record 280 has no mean phase"):
        PhaseAnalysis(low_counts="mean").fit_transform(counts)


@pytest.mark.parametrize("n_axes", [3, 4])
def test_maps_of_two_sizes_are_named(n_axes):
    records = [np.ones((8, 12, 24)[4 - n_axes :]), np.ones((8, 10, 24)[4 - n_axes :])]
    model = PhaseAnalysis() if n_axes == 4 else PhaseStatistics()
    with pytest.raises(ValueError, match="of one shape, got 2 shapes, for example"):
        model.fit(records)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((3, 1, 6, 8)), "at least 3 frames"),
        (-np.ones((3, 8, 6, 8)), "record 0 are, 3 record"),
        (np.stack([np.ones((8, 4)), np.zeros((8, 4))]), "record 1 has no counts"),
        (np.full((2, 8, 4), np.nan), "NaN"),
    ],
)
def test_counts_that_cannot_be(counts, message):
    with pytest.raises(ValueError, match=message):
        PhaseAnalysis().fit(counts)


def test_phases_that_cannot_be():
    with pytest.raises(ValueError, match=r"degrees in \[0, 360\), record 1 has 0 to 400"):
        PhaseStatistics().fit([[1.0, 2.0, 3.0], [0.0, 400.0, 10.0]])
    with pytest.raises(ValueError, match="360 and more"):
        PhaseStatistics().fit([[-1.0, 2.0], [0.0, 10.0]])


def test_parameters_that_cannot_be():
    maps = np.ones((3, 24))
    with pytest.raises(ValueError, match="distinct names"):
        PhaseStatistics(statistics=["psd", "psd"]).fit(maps)
    with pytest.raises(ValueError, match="needs rings and sectors"):
        PhaseStatistics(segments=True).fit(maps)
    with pytest.raises(ValueError, match="does not unflatten"):
        PhaseStatistics(segments=True, input_shape=(5, 5)).fit(maps)
    with pytest.raises(ValueError, match="first_angle"):
        PhaseStatistics(first_angle=np.nan).fit(maps)
    with pytest.raises(ValueError, match="measure"):
        PhaseAnalysis(measure="middle").fit(np.ones((3, 8)))


def test_studies_that_lost_a_frame_are_named():
    rng = np.random.default_rng(0)
    counts = rng.normal(50, 3, (3, 8, 6, 12))
    counts[1, -1] *= 0.3
    with pytest.warns(UserWarning, match=r"in 1 record\(s\), first record 1, a frame has lost"):
        PhaseAnalysis().fit_transform(counts)
