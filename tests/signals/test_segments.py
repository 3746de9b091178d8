import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from crtkit import Cohort, Select
from crtkit.cohort.rows import spill
from crtkit.datasets import load_mitbih
from crtkit.signals import segment_beats

FS = 360


def make_cohort(n_records=3, n_leads=1, n_samples=20 * FS, every=300, annotated=True, fs=FS):
    """Each record counts its samples, so that a cut piece says where it came from."""
    rows = []
    for i in range(n_records):
        beats = np.arange(150 + 10 * i, n_samples, every)
        ramp = np.arange(n_samples) + 1.0
        row = {"signal": np.stack([ramp * (lead + 1) for lead in range(n_leads)]), "age": 50 + i}
        if annotated:
            row |= {"beats": beats, "symbols": np.resize(list("NLVAF/"), len(beats))}
        rows.append(row)
    y = np.resize([0, 1], n_records)
    groups = [f"p{i}" for i in range(n_records)]
    return Cohort(pd.DataFrame(rows), y, groups, {"sampling_rate": fs, "name": "ramps"})


def make_ecg_cohort(n_leads=1, n_records=2):
    time = np.arange(10 * 500) / 500
    wave = np.exp(-0.5 * ((time % 0.8 - 0.4) / 0.012) ** 2)
    signal = np.zeros((n_leads, len(time)))
    signal[1 if n_leads == 12 else 0] = wave
    X = pd.DataFrame({"signal": [signal] * n_records, "qrs": [120.0, 150.0][:n_records]})
    return Cohort(X, np.arange(n_records) % 2, ["a", "b"][:n_records], {"sampling_rate": 500})


def test_a_beat_is_the_stated_piece_of_its_record():
    cohort = make_cohort(n_leads=2)
    beats = segment_beats(cohort, rr=1.2, highpass=None)
    signals = Select("signal").fit_transform(beats.X)
    assert signals.shape == (len(beats), 2, 512)
    assert signals.dtype == np.float32
    for signal, sample in zip(signals, beats.X["sample"]):
        expected = np.zeros(512)
        expected[256 - 180 : 256 + 180] = np.arange(sample - 180, sample + 180) + 1
        np.testing.assert_array_equal(signal[0], expected)
        np.testing.assert_array_equal(signal[1], 2 * expected)


def test_long_windows_are_cut_and_the_peak_keeps_its_place():
    cohort = make_cohort()
    beats = segment_beats(cohort, rr=3.0, before=0.25, n_samples=400, highpass=None)
    signals = Select("signal").fit_transform(beats.X)
    np.testing.assert_array_equal(signals[:, 0, 100], beats.X["sample"] + 1)
    assert (signals[:, 0, 0] > 0).all()
    assert (signals[:, 0, -1] > 0).all()


@given(
    st.lists(st.integers(0, 1999), min_size=2, max_size=25, unique=True),
    st.floats(0.3, 2.5),
    st.floats(0.05, 0.95),
)
@settings(max_examples=60, deadline=None)
def test_beats_never_cross_a_records_end(samples, rr, before):
    samples = np.sort(samples)
    ramp = np.arange(2000.0) + 1
    X = pd.DataFrame({"signal": [ramp], "beats": [samples], "symbols": [["N"] * len(samples)]})
    cohort = Cohort(X, [0], ["p"], {"sampling_rate": 100})
    longest = rr * np.diff(samples).max() + 1
    inside = (samples >= before * longest) & (samples + (1 - before) * longest < 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            beats = segment_beats(cohort, rr, before=before, n_samples=300, highpass=None)
        except ValueError:
            assert not inside.any()  # a beat that far from the ends is always kept
            return
    assert set(samples[inside]) <= set(beats.X["sample"])
    flow = beats.info["flow"]
    assert flow["beats"] == len(beats) == flow["beats found"] + flow["beats across an end"]
    for signal, sample in zip(beats.X["signal"], beats.X["sample"]):
        shown = signal[0][signal[0] != 0]
        assert (np.diff(shown) == 1).all()  # one unbroken piece of the record
        assert signal[0][round(before * 300)] == sample + 1


def test_labels_groups_and_counts():
    cohort = make_cohort()
    beats = segment_beats(cohort)
    expected = {"N": "N", "L": "N", "V": "V", "A": "S", "F": "F", "/": "Q"}
    assert [expected[symbol] for symbol in beats.X["symbol"]] == beats.y.tolist()
    np.testing.assert_array_equal(beats.groups, cohort.groups[beats.X["record_row"]])
    np.testing.assert_array_equal(beats.X["age"], 50 + beats.X["record_row"])
    flow = beats.info["flow"]
    assert flow["records"] == 3
    assert flow["beats found"] + flow["beats across an end"] == flow["beats"] == len(beats)
    some = segment_beats(cohort, classes=("N", "V"))
    assert set(some.y) == {"N", "V"}
    flow = some.info["flow"]
    left_out = flow["beats across an end"] + flow["beats of other classes"]
    assert flow["beats found"] + left_out == flow["beats"]
    assert flow["beats of other classes"] < 0


def test_rr_intervals_tell_a_premature_beat():
    peaks = np.arange(300, 7000, 300)
    peaks[10] -= 120
    ramp = np.arange(7200) + 1.0
    X = pd.DataFrame({"signal": [ramp], "beats": [peaks], "symbols": [["N"] * len(peaks)]})
    beats = segment_beats(Cohort(X, [0], ["p"], {"sampling_rate": 300}), highpass=None)
    early = beats.X[beats.X["sample"] == peaks[10]].iloc[0]
    assert early["rr_before_s"] == pytest.approx(0.6)
    assert early["rr_after_s"] == pytest.approx(1.4)
    assert early["rr_ratio"] == pytest.approx(0.6)
    assert not beats.X[["rr_before_s", "rr_after_s", "rr_ratio"]].isna().any(axis=None)
    lengths = {int((signal != 0).sum()) for signal in beats.X["signal"]}
    assert len(lengths) <= 2  # the window is the rhythm's, not the premature interval's


@pytest.mark.parametrize("n_leads", [1, 12])
def test_detected_beats_keep_their_records_label(n_leads):
    beats = segment_beats(make_ecg_cohort(n_leads))
    assert beats.X["signal"].iloc[0].shape == (n_leads, 512)
    np.testing.assert_array_equal(beats.y, beats.X["record_row"] % 2)
    np.testing.assert_array_equal(np.diff(beats.X["sample"][beats.y == 0]), 400)
    assert beats.X["qrs"].tolist() == np.where(beats.y == 0, 120.0, 150.0).tolist()
    assert "symbol" not in beats.X


def test_high_pass_comes_before_the_cut():
    cohort = make_ecg_cohort()
    cohort.X["signal"] = [cell + 5.0 for cell in cohort.X["signal"]]
    raw = np.stack(list(segment_beats(cohort, highpass=None).X["signal"]))
    clean = np.stack(list(segment_beats(cohort).X["signal"]))
    assert np.median(raw) == pytest.approx(5.0, abs=0.1)
    assert np.abs(np.median(clean)) < 0.2


def test_records_without_beats_are_named_and_counted():
    cohort = make_ecg_cohort()
    flat, gap = cohort.X["signal"].iloc[0] * 0, cohort.X["signal"].iloc[0].copy()
    gap[0, 100:120] = np.nan
    short = cohort.X["signal"].iloc[0][:, :600]
    cells = [cohort.X["signal"].iloc[0], flat, gap, short[:, :100], short[:, :300]]
    X = pd.DataFrame({"signal": pd.Series(cells, dtype=object)})
    with pytest.warns(UserWarning, match=r"flat lead: 1 \(rows 1\)"):
        beats = segment_beats(Cohort(X, [0] * 5, list("abcde"), {"sampling_rate": 500}))
    flow = beats.info["flow"]
    assert flow["records left out: flat lead"] == -1
    assert flow["records left out: missing samples"] == -1
    assert flow["records left out: too short"] == -1
    assert flow["records left out: fewer than two beats"] == -1
    assert set(beats.groups) == {"a"}
    with (
        pytest.warns(UserWarning, match="missing samples"),
        pytest.raises(ValueError, match="no beat in 1 record"),
    ):
        segment_beats(Cohort(X.iloc[[2]], [0], ["c"], {"sampling_rate": 500}))


def test_annotated_beats_of_a_flat_record_are_counted():
    cohort = make_cohort(n_leads=2)
    X = cohort.X.copy()
    X.at[1, "signal"] = np.full_like(X.at[1, "signal"], 3.0)
    half = X.at[2, "signal"].copy()
    half[1] = 0.0  # one lead is left
    X.at[2, "signal"] = half
    with pytest.warns(UserWarning, match=r"flat lead: 1 \(rows 1\)"):
        beats = segment_beats(Cohort(X, cohort.y, cohort.groups, cohort.info))
    assert beats.info["flow"]["records left out: flat lead"] == -1
    assert set(beats.groups) == {"p0", "p2"}


def test_cells_in_files_and_large_cohorts_spill(tmp_path, monkeypatch):
    cohort = make_cohort(n_leads=2)
    expected = Select("signal").fit_transform(segment_beats(cohort).X)
    cells = spill(list(cohort.X["signal"]), tmp_path / "records.npy")
    stored = Cohort(cohort.X.assign(signal=cells), cohort.y, cohort.groups, cohort.info)
    monkeypatch.setattr("crtkit.cohort.cells.SPILL_BYTES", 10_000)
    beats = segment_beats(stored, cache_dir=tmp_path / "cache")
    rows = Select("signal").fit_transform(beats.X)
    np.testing.assert_array_equal(np.asarray(rows), expected)
    segment_beats(stored, rr=0.8, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(np.asarray(rows), expected)  # another choice, another file
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_bad_input_is_named():
    cohort = make_cohort()
    with pytest.raises(ValueError, match="fs=500, but the cohort says 360 Hz"):
        segment_beats(cohort, fs=500)
    with pytest.raises(ValueError, match="sampling_rate"):
        segment_beats(Cohort(cohort.X, cohort.y, cohort.groups))
    with pytest.raises(ValueError, match=r"column\(s\) \['ecg'\]"):
        segment_beats(cohort, column="ecg")
    with pytest.raises(ValueError, match=r"\['beats', 'symbols'\]"):
        segment_beats(make_cohort(annotated=False), beats="annotated")
    with pytest.raises(ValueError, match="0 < before < 1"):
        segment_beats(cohort, before=1.5)
    with pytest.raises(ValueError, match="lead=3"):
        segment_beats(make_ecg_cohort(), lead=3)
    with pytest.raises(ValueError, match="'annotated', 'detected'"):
        segment_beats(cohort, beats="all")
    odd = cohort.X.copy()
    odd.at[1, "symbols"] = np.array(["B"] * len(odd.at[1, "beats"]))
    with pytest.raises(ValueError, match=r"Record 1 has annotation symbol\(s\) \['B'\]"):
        segment_beats(Cohort(odd, cohort.y, cohort.groups, cohort.info))
    few = cohort.X.copy()
    few.at[1, "symbols"] = few.at[1, "symbols"][:-1]
    n_beats = len(few.at[1, "beats"])
    with pytest.raises(ValueError, match=f"Record 1 has {n_beats} annotated beats but"):
        segment_beats(Cohort(few, cohort.y, cohort.groups, cohort.info))
    for order in (slice(None, None, -1), [0, 0, *range(2, n_beats)]):
        turned = cohort.X.copy()
        turned.at[1, "beats"] = turned.at[1, "beats"][order]
        with pytest.raises(ValueError, match="record 1: The annotated beats do not increase"):
            segment_beats(Cohort(turned, cohort.y, cohort.groups, cohort.info))
    late = cohort.X.copy()
    late.at[2, "beats"] = late.at[2, "beats"] + 7200
    with pytest.raises(ValueError, match="record 2: A beat is annotated beyond"):
        segment_beats(Cohort(late, cohort.y, cohort.groups, cohort.info))


@pytest.mark.slow
def test_the_whole_database(data_dir):
    beats = segment_beats(load_mitbih(data_dir / "mitdb"))
    flow = beats.info["flow"]
    assert flow["beats found"] == 109_494
    assert 109_300 < len(beats) == flow["beats"]
    assert beats.n_patients == 47
    rows = Select("signal").fit_transform(beats.X)
    assert rows.shape == (len(beats), 1, 512)
