"""Shares of leads and waves."""

import numpy as np
import pytest

import crtkit as ck
from crtkit.explain import signal_lead_share, wave_labels, wave_share
from crtkit.explain.waves import WAVES, lead_windows
from crtkit.signals import LEADS_12, splice_leads


def test_every_sample_of_a_spliced_page_belongs_to_one_lead():
    seen = np.zeros((4, 1003), dtype=int)
    for _, row, start, stop in lead_windows("3x4+II", 4, 1003):
        seen[row, start:stop] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("lead", [*LEADS_12, "rhythm strip"])
def test_a_lead_of_the_spliced_page_is_found_by_its_name(lead):
    signals = np.zeros((1, 12, 1000))
    if lead in LEADS_12:
        signals[0, LEADS_12.index(lead)] = 1.0
    spliced = splice_leads(signals)
    spliced[:, 3] = float(lead == "rhythm strip")
    share = signal_lead_share(spliced, "3x4+II")["share"]
    assert share.idxmax() == lead
    assert share.sum() == pytest.approx(1)


def test_intervals_are_over_patients():
    rng = np.random.default_rng(0)
    maps = np.repeat(rng.uniform(size=(10, 2, 8)), 20, axis=0)
    alone = signal_lead_share(maps, ["a", "b"])
    grouped = signal_lead_share(maps, ["a", "b"], groups=np.repeat(np.arange(10), 20))
    width = (grouped["ci_high"] - grouped["ci_low"]) / (alone["ci_high"] - alone["ci_low"])
    assert (width > 3).all()  # twenty copies of a patient tell nothing new: sqrt(20) wider
    assert (grouped["ci_low"] < grouped["share"]).all()


def test_maps_of_zeros_have_no_share():
    maps = np.zeros((3, 12, 10))
    maps[0] = 1
    assert (signal_lead_share(maps)["n_records"] == 1).all()
    assert signal_lead_share(maps[1:])["share"].isna().all()


def test_waves_of_a_beat():
    labels = wave_labels([1.0], [1.2], 100, 300)
    spans = {wave: np.flatnonzero(labels == i)[[0, -1]].tolist() for i, wave in enumerate(WAVES)}
    assert spans == {"P": [76, 99], "QRS": [100, 119], "T": [120, 155], "rest": [0, 299]}


def test_a_complex_ends_the_t_wave_before_it():
    labels = wave_labels([0.5, 0.9], [0.6, 1.0], 100, 200)
    assert (labels[50:60] == WAVES.index("QRS")).all()
    assert labels[65] == WAVES.index("T")
    assert labels[70] == WAVES.index("P")
    assert (labels[90:100] == WAVES.index("QRS")).all()


@pytest.mark.parametrize("spliced", [False, True])
def test_complexes_are_found_where_the_simulation_put_them(spliced):
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=8, random_state=0)
    X = np.stack(cohort.X["signal"].to_list()[:8])
    qrs = [
        (np.asarray(a), np.asarray(b))
        for a, b in zip(cohort.X["true_qrs_onsets_s"][:8], cohort.X["true_qrs_offsets_s"][:8])
    ]
    signals = splice_leads(X) if spliced else X
    maps = np.zeros_like(signals)
    for i, (onsets, offsets) in enumerate(qrs):
        for a, b in zip(onsets, offsets):
            maps[i, :, round(a * 500) : round(b * 500)] = 1.0
    table = wave_share(maps, signals, 500, lead=-1 if spliced else None)
    assert table.loc["QRS", "n_records"] >= 7
    assert table.loc["QRS", "share"] > 0.85
    assert 0.1 < table.loc["QRS", "time"] < 0.3
    truth = wave_share(maps, signals, 500, qrs=qrs)
    assert truth.loc["QRS", "share"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: signal_lead_share(m[:, :5]), "12 rows does not fit maps of 5"),
        (lambda m: signal_lead_share(m, "6x2"), "layout must be one of"),
        (lambda m: signal_lead_share(m, groups=[1]), "got 1 patients for 2 records"),
        (lambda m: wave_share(m, m[:1], 500), "does not fit the maps"),
        (lambda m: signal_lead_share(m[:0]), "expects maps of shape"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 12, 100)))


def test_intervals_of_no_width_are_nan_and_say_why():
    maps = np.random.default_rng(0).normal(size=(6, 12, 50))
    one = signal_lead_share(maps, groups=["a"] * 6)
    assert one[["ci_low", "ci_high"]].isna().all(axis=None)
    assert set(one["reason"]) == {"one patient"}
    alike = signal_lead_share(np.ones((5, 12, 50)))
    np.testing.assert_allclose(alike["share"], 1 / 12)
    assert set(alike["reason"]) == {"all patients have the same share"}
    many = signal_lead_share(maps)
    assert (many["ci_low"] < many["ci_high"]).all()
    assert set(many["reason"]) == {""}


def test_records_without_complexes_have_no_shares():
    table = wave_share(np.ones((2, 1, 1000)), np.zeros((2, 1, 1000)), 500)
    assert table["share"].isna().all()
    assert set(table["reason"]) == {"no complexes were found"}
