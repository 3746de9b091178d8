import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from crtkit import LeadStatistics
from crtkit.cohort.rows import Rows
from crtkit.signals import LEADS_12, lead_statistics
from crtkit.testing import parametrize_with_nd_checks

CALLS = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "median": np.median,
}


def five_numpy_calls(X):
    """What the fast path must equal, in the same order of columns."""
    X = np.ascontiguousarray(X)
    return np.stack([call(X, axis=-1) for call in CALLS.values()], axis=-1).reshape(len(X), -1)


@parametrize_with_checks([LeadStatistics(), LeadStatistics(statistics=["median", "std"])])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks([(LeadStatistics(), "signals", {"free_axes": (2,)})])
def test_nd_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_global_output_transform_pandas,
        check_set_output_transform_polars,
        check_global_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_get_feature_names_out_error,
    ],
    ids=lambda check: check.__name__,
)
def test_output_checks_that_check_estimator_leaves_out(check):
    check("LeadStatistics", LeadStatistics())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 999, 5000])
def test_bits_of_numpy(n_samples, dtype):
    X = np.random.default_rng(n_samples).normal(size=(5, 12, n_samples)).astype(dtype)
    out = lead_statistics(X)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, five_numpy_calls(X))


def test_bits_of_numpy_with_ties_offsets_and_overflow():
    rng = np.random.default_rng(0)
    quantised = np.round(rng.normal(size=(3, 2, 1000)), 1).astype(np.float32)
    huge = np.full((1, 2, 6), 3e38, dtype=np.float32)
    for X in (quantised, quantised + 1000, np.zeros((2, 2, 7)), np.cumsum(quantised, axis=-1)):
        np.testing.assert_array_equal(lead_statistics(X), five_numpy_calls(X))
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(lead_statistics(huge), five_numpy_calls(huge))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize(("dtype", "integer"), [(np.float32, np.int32), (np.float64, np.int64)])
def test_median_of_any_bit_pattern(dtype, integer):
    rng = np.random.default_rng(0)
    limits = np.iinfo(integer)
    edge = np.array([-0.0, 0.0, 1, -1, 1e-40, -1e-40], dtype=dtype)
    for n_samples in (1, 2, 3, 4, 9, 50):
        bits = rng.integers(limits.min, limits.max, size=(200, n_samples), dtype=integer)
        numbers = bits.view(dtype)
        numbers[~np.isfinite(numbers)] = 0
        for X in (numbers, rng.choice(edge, size=(200, n_samples))):
            out = lead_statistics(X, ["median", "min", "max"])
            np.testing.assert_array_equal(out[:, 0], np.median(X, axis=-1))
            np.testing.assert_array_equal(out[:, 1:].T, [X.min(axis=-1), X.max(axis=-1)])


def test_bits_depend_neither_on_layout_nor_on_neighbours():
    X = np.random.default_rng(1).normal(size=(7, 3, 700)).astype(np.float32)
    expected = lead_statistics(X)
    np.testing.assert_array_equal(lead_statistics(np.asfortranarray(X)), expected)
    strided = np.repeat(X, 2, axis=-1)[..., ::2]
    np.testing.assert_array_equal(lead_statistics(strided), expected)
    np.testing.assert_array_equal(lead_statistics(X[[4]]), expected[[4]])


@given(
    signals=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 200)),
        elements=st.floats(-(2.0**20), 2.0**20, width=32),
    )
)
@settings(max_examples=80, deadline=None)
def test_float32_within_the_stated_tolerance_of_float64(signals):
    exact = five_numpy_calls(signals.astype(np.float64)).reshape(*signals.shape[:2], 5)
    out = lead_statistics(signals).reshape(exact.shape)
    magnitude = np.maximum(np.abs(signals).max(axis=-1).astype(np.float64), 1e-15)
    error = np.abs(out - exact) / magnitude[..., None]
    for i, (name, limit) in enumerate(
        {"mean": 2e-6, "std": 4e-6, "min": 0, "max": 0, "median": 1e-7}.items()
    ):
        assert error[..., i].max() <= limit, name


@given(
    signals=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 50)),
        elements=st.integers(-9000, 9000).map(lambda microvolt: microvolt / 1000),
    ),
    scale=st.sampled_from([0.5, 2.0, 1024.0]),
)
@settings(max_examples=50, deadline=None)
def test_order_of_samples_scale_and_ordering_of_statistics(signals, scale):
    out = lead_statistics(signals)
    mean, std, low, high, median = out.T
    assert (low <= median).all()
    assert (median <= high).all()
    assert (std >= 0).all()
    np.testing.assert_array_equal(lead_statistics(signals * scale), out * scale)
    backwards = lead_statistics(signals[:, ::-1])
    np.testing.assert_array_equal(backwards[:, 2:], out[:, 2:])
    np.testing.assert_allclose(backwards[:, :2], out[:, :2], atol=1e-12)


def test_names_of_sixty_features_and_pandas_output():
    X = np.random.default_rng(0).normal(size=(4, 12, 50)).astype(np.float32)
    frame = LeadStatistics().set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns) == [f"{lead}_{name}" for lead in LEADS_12 for name in CALLS]
    assert (frame.dtypes == np.float32).all()
    np.testing.assert_array_equal(frame["V6_median"], np.median(X[:, 11], axis=-1))
    np.testing.assert_array_equal(frame["aVR_std"], np.std(X[:, 3], axis=-1))


def test_names_of_other_leads():
    X = np.zeros((2, 2, 9))
    few = LeadStatistics(statistics=("max", "mean"))
    assert list(few.fit(X).get_feature_names_out()) == [
        *("lead0_max", "lead0_mean", "lead1_max", "lead1_mean")
    ]
    few.set_params(lead_names=["MLII", "V1"])
    assert list(few.fit(X).get_feature_names_out())[-1] == "V1_mean"
    assert list(few.fit(X[:, 0]).get_feature_names_out()) == ["max", "mean"]


@pytest.mark.parametrize("names", [["a"], ["a", "a"], "ab"])
def test_lead_names_that_do_not_fit(names):
    with pytest.raises(ValueError, match="2 distinct names"):
        LeadStatistics(lead_names=names).fit(np.zeros((3, 2, 5)))


@pytest.mark.parametrize("statistics", ["mean", [], ["mode"], ["mean", "mean"]])
def test_statistics_that_are_not_there(statistics):
    X = np.zeros((3, 2, 5))
    for call in (
        LeadStatistics(statistics=statistics).fit,
        lambda X: lead_statistics(X, statistics),
    ):
        with pytest.raises(ValueError, match="sequence of distinct names among mean, std"):
            call(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_bad_sample_is_refused(bad, dtype):
    X = np.zeros((9, 3, 100), dtype=dtype)
    fitted = LeadStatistics().fit(X)
    X[7, 1, 50] = bad
    word = "NaN" if np.isnan(bad) else "infinity"
    for call in (fitted.transform, LeadStatistics().fit, lead_statistics):
        with pytest.raises(ValueError, match=f"contains {word}"):
            call(X)


def test_shapes_that_are_refused():
    fitted = LeadStatistics().fit(np.zeros((3, 12, 100)))
    with pytest.raises(ValueError, match="12 leads, 100 samples .* 8 leads, 100 samples"):
        fitted.transform(np.zeros((3, 8, 100)))
    for shape in ((3,), (3, 2, 5, 5), (3, 0, 5), (0, 2, 5), (3, 2, 0)):
        with pytest.raises(ValueError):
            lead_statistics(np.zeros(shape))


def test_length_is_free():
    fitted = LeadStatistics().fit(np.zeros((3, 12, 100)))
    X = np.random.default_rng(0).normal(size=(2, 12, 250))
    np.testing.assert_array_equal(fitted.transform(X), lead_statistics(X))


def test_rows_are_read_in_blocks_to_the_same_bits(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 12, 5000)).astype(np.float32)
    np.save(tmp_path / "signals.npy", X)
    order = np.random.default_rng(1).permutation(40)
    rows = Rows.from_cells([f"{tmp_path / 'signals.npy'}#{i}" for i in order])
    model = LeadStatistics()
    np.testing.assert_array_equal(model.fit_transform(rows), lead_statistics(X[order]))
    np.testing.assert_array_equal(lead_statistics(rows), lead_statistics(X[order]))

    X[order[-1], 3, 100] = np.nan
    np.save(tmp_path / "signals.npy", X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.transform(rows)


def test_integer_rows_become_float64(tmp_path):
    X = np.random.default_rng(0).integers(-2000, 2000, size=(6, 2, 90), dtype=np.int16)
    np.save(tmp_path / "counts.npy", X)
    rows = Rows.from_cells([f"{tmp_path / 'counts.npy'}#{i}" for i in range(6)])
    out = LeadStatistics().fit_transform(rows)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, five_numpy_calls(X.astype(np.float64)))


def test_clone_and_pickle():
    X = np.random.default_rng(0).normal(size=(4, 3, 30))
    model = LeadStatistics(statistics=["std"], lead_names=["x", "y", "z"])
    assert clone(model).get_params() == model.get_params()
    again = pickle.loads(pickle.dumps(model.fit(X)))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_lightgbm_in_a_grouped_search_without_warnings():
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    y = np.repeat(rng.integers(0, 2, size=30), 2)
    groups = np.repeat(np.arange(30), 2)
    X = rng.normal(size=(60, 12, 200)).astype(np.float32) * (1 + y)[:, None, None]
    forest = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1)
    pipeline = make_pipeline(LeadStatistics(), forest).set_output(transform="pandas")
    grid = {
        "leadstatistics__statistics": [("std",), ("mean", "median")],
        "lgbmclassifier__num_leaves": [4, 8],
    }
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3), scoring="roc_auc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(X, y, groups=groups)
        proba = search.predict_proba(X)
    assert search.best_params_["leadstatistics__statistics"] == ("std",)
    assert search.best_score_ > 0.9
    assert proba.shape == (60, 2)
    names = search.best_estimator_[-1].feature_name_
    assert names == [f"{lead}_std" for lead in LEADS_12]


def test_named_columns_of_a_frame():
    frame = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=list("abcd"))
    model = LeadStatistics().fit(frame)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[list("dcba")])


def test_real_records_against_numpy():
    folder = os.environ.get("CRTKIT_DATA")
    if not folder:
        pytest.skip("CRTKIT_DATA is not set: no real records to read")
    headers = sorted((Path(folder) / "ecg12_physionet2021" / "records").rglob("*.hea"))
    if not headers:
        pytest.skip("no ecg12_physionet2021 records under CRTKIT_DATA")
    from crtkit.readers import read_ecg

    signals = [read_ecg(path).signal for path in headers[:12]]
    n = min(x.shape[1] for x in signals)
    X = np.stack([x[:, :n] for x in signals])
    assert X.dtype == np.float32
    np.testing.assert_array_equal(lead_statistics(X), five_numpy_calls(X))


def test_ecg_objects_are_compared_with_what_was_fitted():
    """A 1000 Hz ECG scored 0.969 instead of 0.027 in a pipeline of 500 Hz."""
    from crtkit import QRSMeasurements
    from crtkit.readers.ecg import ECG

    rng = np.random.default_rng(0)

    def ecgs(fs=500.0, names=LEADS_12, n=1000):
        signals = rng.normal(0, 0.3, (3, 12, n)).astype(np.float32)
        return [ECG(signal, fs, tuple(names)) for signal in signals], signals

    records, signals = ecgs()
    model = LeadStatistics().fit(records)
    np.testing.assert_array_equal(model.transform(records), lead_statistics(signals))
    np.testing.assert_array_equal(model.transform(signals), lead_statistics(signals))
    with pytest.raises(ValueError, match="LeadStatistics expects ECGs of 500 Hz, got 1000 Hz"):
        model.transform(ecgs(1000.0)[0])
    with pytest.raises(ValueError, match="fitted on ECGs with the leads I, II, III.*got V6, V5"):
        model.transform(ecgs(names=LEADS_12[::-1])[0])
    with pytest.raises(ValueError, match=r"one rate, .* got \[500.0, 1000.0\] Hz"):
        model.transform([*records, *ecgs(1000.0)[0]])
    with pytest.raises(ValueError, match="QRSMeasurements expects ECGs of 250 Hz, got 500 Hz"):
        QRSMeasurements(fs=250).fit(records)


@pytest.mark.parametrize("missing", ["runs", "skip", None])
def test_an_unknown_way_with_gaps_is_named(missing):
    with pytest.raises(ValueError, match="lead_statistics expects missing='raise' or 'omit'"):
        lead_statistics(np.zeros((2, 500)), missing=missing)
