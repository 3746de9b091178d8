"""Rhythm and shape of beats against what is usual in their record."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import crtkit as ck
from crtkit.studies.beat_features import beat_features, rhythm_features, shape_features

FS = 360
BEFORE, AFTER = 0, 1  # log seconds
BEFORE_TO_TYPICAL, BEFORE_TO_SLOW, BEFORE_TO_AFTER = 7, 9, 10
FIT, DIFFERENCE, SIZE, P_FIT = 0, 1, 2, 3


def record(kinds, wide=0.012, seed=0):
    """A lead with a P wave and a QRS a beat; "V" is wide and upside down, "s" lacks its P."""
    peaks = 400 + 300 * np.arange(len(kinds))
    t = np.arange(peaks[-1] + 400) / FS
    x = np.random.default_rng(seed).normal(0, 0.004, len(t))
    for peak, kind in zip(peaks / FS, kinds):
        if kind in "NV":
            x += 0.15 * np.exp(-0.5 * ((t - peak + 0.16) / 0.02) ** 2)
        width, height = (0.04, -1.5) if kind == "V" else (wide, 1.0)
        x += height * np.exp(-0.5 * ((t - peak) / width) ** 2)
    return x, peaks


def test_a_premature_beat_is_early_against_every_usual_interval():
    peaks = np.arange(60) * 300
    peaks[30] -= 120
    X = rhythm_features(peaks, FS)
    assert X[30, BEFORE] == pytest.approx(np.log(180 / FS))
    assert X[30, AFTER] == pytest.approx(np.log(420 / FS))
    assert X[30, BEFORE_TO_TYPICAL] == pytest.approx(np.log(0.6))
    assert X[30, BEFORE_TO_AFTER] == pytest.approx(np.log(180 / 420))
    assert np.abs(X[10, 3:]).max() == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(100, 600), min_size=8, max_size=80),
    st.floats(0.5, 2),
)
def test_ratios_do_not_change_with_the_heart_rate(intervals, factor):
    peaks = np.cumsum(intervals)
    slow = np.round(peaks * factor * 1000) / 1000
    a, b = rhythm_features(peaks, FS), rhythm_features(slow, FS)
    assert np.isfinite(a).all()
    # Seconds of the past hold fewer beats where the heart is slow: those usual ones may differ.
    fixed = [7, 8, 9, 10, 11, 12, 13, 15]
    np.testing.assert_allclose(a[:, fixed], b[:, fixed], atol=0.01)


def test_shapes_are_told_against_the_records_own_beat():
    kinds = ["N"] * 40
    kinds[10], kinds[20] = "V", "s"
    X = shape_features(*record(kinds), FS)
    usual = np.delete(X, [0, 10, 20, 39], axis=0)
    assert usual[:, FIT].min() > 2
    assert X[10, FIT] < 1
    assert X[10, DIFFERENCE] > usual[:, DIFFERENCE].max() + 1
    # Without its P wave the QRS is as ever.
    assert X[20, FIT] > 2
    assert X[20, P_FIT] < usual[:, P_FIT].min() - 0.5


def test_premature_beats_are_unusual_even_where_they_are_the_most_frequent():
    # Two of three beats come early and lack their P wave.
    kinds = (["N"] + ["s"] * 2) * 20
    peaks = 400 + np.cumsum([360 if kind == "N" else 200 for kind in kinds])
    t = np.arange(peaks[-1] + 400) / FS
    x = np.random.default_rng(0).normal(0, 0.004, len(t))
    for peak, kind in zip(peaks / FS, kinds):
        x += np.exp(-0.5 * ((t - peak) / 0.012) ** 2)
        x += 0.15 * np.exp(-0.5 * ((t - peak + 0.16) / 0.02) ** 2) * (kind == "N")
    late, fit = np.array(kinds) == "N", shape_features(x, peaks, FS)[:, P_FIT]
    assert fit[late][1:].min() > fit[~late].max()
    early = rhythm_features(peaks, FS)[:, BEFORE_TO_SLOW]
    assert early[~late].max() < np.log(0.6)
    assert early[late][1:].min() > -0.01


def test_gain_is_of_no_account():
    signal, peaks = record(["N"] * 10 + ["V"] * 3 + ["N"] * 10)
    np.testing.assert_allclose(
        shape_features(signal, peaks, FS), shape_features(3 * signal, peaks, FS), atol=0.1
    )


def test_beats_come_in_the_order_that_is_asked_for():
    kinds = ["N"] * 20
    cells = [record(kinds, seed=k) for k in range(2)]
    X = pd.DataFrame({"record": ["a", "b"]})
    X["signal"] = [signal[None] for signal, _ in cells]
    X["beats"] = [peaks for _, peaks in cells]
    records = ck.Cohort(X, ["x", "y"], [0, 1], {"sampling_rate": FS})
    table = pd.DataFrame({"record": list("bab"), "sample": [cells[1][1][5], cells[0][1][3], 400]})
    found = beat_features(records, table)
    np.testing.assert_array_equal(found[0, 31:], shape_features(*cells[1], FS)[5])
    np.testing.assert_array_equal(found[1, :31], rhythm_features(cells[0][1], FS)[3])
    with pytest.raises(KeyError):
        beat_features(records, pd.DataFrame({"record": ["a"], "sample": [1]}))
