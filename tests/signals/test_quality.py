import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import (
    LEADS_12,
    quality_counts,
    quality_score,
    signal_quality,
    usable_records,
)

DATA = Path(__file__).parents[1] / "data" / "ecg_clean"
FS = 500


@pytest.fixture
def ecg():
    with np.load(DATA / "signals.npz") as file:
        return file["raw_uV"][None] / 1000.0


def flags(table, record=0):
    row = table.loc[record]
    return {lead: {f for f in table.columns[5:10] if row.loc[lead, f]} for lead in row.index}


def test_a_good_record_has_no_flag(ecg):
    table = signal_quality(ecg, FS)
    assert list(table.loc[0].index) == list(LEADS_12)
    assert table["usable"].all()
    assert not any(flags(table).values())


def test_each_fault_is_found_in_its_lead_only(ecg):
    rng = np.random.default_rng(0)
    time = np.arange(ecg.shape[-1]) / FS
    bad = ecg.copy()
    bad[0, 0] = 0.3
    bad[0, 2, 1000:1300] = np.nan
    bad[0, 4] += 1.2 * np.sin(2 * np.pi * 0.15 * time)
    bad[0, 6] += rng.normal(0, 0.12, len(time))
    bad[0, 8] = np.clip(bad[0, 8], np.quantile(bad[0, 8], 0.04), None)
    expected = dict.fromkeys(LEADS_12, set())
    expected |= {
        "I": {"missing", "flat"},
        "III": {"missing"},
        "aVL": {"drift"},
        "V1": {"noise"},
        "V3": {"clipped"},
    }
    assert flags(signal_quality(bad, FS)) == expected


def test_noise_is_measured_in_millivolt():
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 20000))
    share_above_30_hz = np.sqrt(1 - 30 / 250)
    measured = signal_quality(noise, FS)["noise_mv"].item()
    assert measured == pytest.approx(0.1 * share_above_30_hz, rel=0.05)


def test_drift_and_fractions_have_the_stated_meaning():
    x = np.zeros((1, 5000))
    x[0] = np.repeat([0.0, 0.2, 0.4, 0.1, -0.1], 1000) + 1e-6 * np.arange(5000)
    x[0, :500] = np.nan
    row = signal_quality(x, FS).iloc[0]
    assert row["missing_fraction"] == pytest.approx(0.1)
    assert row["drift_mv"] == pytest.approx(0.5, abs=0.01)
    assert row["flat_fraction"] == 1.0


def test_counts_add_up(ecg):
    x = np.concatenate([ecg, ecg, ecg])
    x[1, 3:5] = 0
    x[1, 7] = np.nan
    x[2, 0] = 0
    table = signal_quality(x, FS)
    assert usable_records(table).tolist() == [True, False, False]
    assert usable_records(table, max_bad_leads=1).tolist() == [True, False, True]
    counts = quality_counts(table)
    assert counts[["records", "excluded", "usable"]].tolist() == [3, 2, 1]
    assert counts[["missing", "flat", "noise"]].tolist() == [2, 2, 0]
    assert quality_counts(table, max_bad_leads=1)["flat"] == 1


def test_limits_can_be_moved(ecg):
    table = signal_quality(ecg, FS, limits={"drift_mv": 0.01})
    assert table["drift"].all()
    with pytest.raises(ValueError, match="knows the limits"):
        signal_quality(ecg, FS, limits={"drift": 0.01})


def test_rows_two_dimensions_and_a_lost_record(tmp_path, ecg):
    x = np.concatenate([ecg] * 66).astype(np.float32)
    x[65] = np.nan
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    table = signal_quality(rows, FS)
    pd.testing.assert_frame_equal(table, signal_quality(x, FS))
    assert usable_records(table).tolist() == [True] * 65 + [False]
    assert signal_quality(x[:, 1], FS).index.names == ["record", "lead"]


@pytest.mark.parametrize(
    ("x", "fs", "words"),
    [
        (np.zeros(10), 500, "got \\(10,\\)"),
        (np.zeros((1, 12, 0)), 500, "n_samples"),
        (np.zeros((1, 100)), 50, "fs >= 80"),
        (np.zeros((1, 100)), float("nan"), "fs >= 80"),
        (np.full((1, 100), np.inf), 500, "infinite"),
    ],
)
def test_bad_input_is_named(x, fs, words):
    with pytest.raises(ValueError, match=words):
        signal_quality(x, fs)


@pytest.mark.parametrize("n_samples", [1, 2, 40, 1000])
def test_short_records_are_measured(n_samples):
    table = signal_quality(np.zeros((1, 3, n_samples)), FS)
    assert table["flat"].all()


def test_real_records_are_mostly_usable():
    folder = os.environ.get("CRTKIT_DATA")
    if not folder:
        pytest.skip("CRTKIT_DATA is not set")
    wfdb = pytest.importorskip("wfdb")
    headers = sorted(Path(folder, "ecg12_physionet2021").rglob("*.hea"))[:20]
    for header in headers:
        record = wfdb.rdrecord(str(header.with_suffix("")))
        table = signal_quality(record.p_signal.T[None], record.fs, lead_names=record.sig_name)
        assert (~table["usable"]).sum() <= 6
        assert not table["missing"].any()


def test_the_score_is_the_worst_lead_against_its_limit():
    table = signal_quality(np.zeros((1, 2, 5000)), 500)
    for name in ("missing_fraction", "flat_fraction", "clipped_fraction", "drift_mv"):
        table[name] = 0.0
    table["noise_mv"] = [0.05, 0.15]
    assert quality_score(table).tolist() == pytest.approx([0.25])
    assert usable_records(table, min_score=0.2).tolist() == [True]
    assert usable_records(table, min_score=0.3).tolist() == [False]
    table["missing_fraction"] = [0.0, 0.5]
    assert quality_score(table).tolist() == pytest.approx([1 / 7])
    assert quality_score(table, limits={"missing_fraction": 1.0}).tolist() == pytest.approx([0.25])


@settings(max_examples=20, deadline=None)
@given(noise=st.floats(0, 0.5), more=st.floats(0.01, 1))
def test_more_noise_never_raises_the_score(noise, more):
    x = np.random.default_rng(0).normal(size=(1, 3, 2000))
    beat = np.tile(np.exp(-(((np.arange(2000) % 400) - 200) ** 2) / 50.0), (1, 3, 1))
    first, second = (
        quality_score(signal_quality(beat + level * x, 500)).item()
        for level in (noise, noise + more)
    )
    assert second <= first + 1e-9


def test_functions_refuse_leads_on_the_last_axis(make_signals):
    """Estimators did; functions measured 1,000 leads of twelve samples."""
    from crtkit import signals as functions

    exchanged = np.moveaxis(make_signals(n_leads=12, n_samples=1000), 1, 2)
    for call in (
        lambda x: functions.signal_quality(x, 500),
        functions.lead_statistics,
        lambda x: functions.filter_leads(x, functions.design_filter(500)),
        lambda x: functions.measure_qrs(x[0], 500),
    ):
        with pytest.raises(ValueError, match="leads seem to lie on the last axis"):
            call(exchanged)
    with pytest.raises(ValueError, match=r"expects signals of shape \(..., 12, n_samples\)"):
        functions.splice_leads(exchanged)


def test_a_lead_without_recording_is_missing():
    rng = np.random.default_rng(0)
    signals = rng.normal(0, 0.3, (1, 3, 5000))
    signals[0, 1], signals[0, 2] = 0.0, -3.2
    table = signal_quality(signals, 500)
    assert table["missing"].tolist() == [False, True, True]
    assert table["flat"].tolist() == [False, True, True]
    assert table["missing_fraction"].tolist() == [0.0, 1.0, 1.0]
