"""Pages show leads in turns: beats that share no lead, columns of low voltage, hidden strips."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit.datasets import simulate_ecg
from crtkit.signals import LEADS_12, median_beat
from crtkit.signals.qrs.incomplete import bridge_beat, fill_limb_leads, in_turns
from crtkit.signals.qrs.measure import measure_qrs

FS = 500


def printed(signal, rhythm=()):
    """What a 3x4 page shows of a record."""
    page = np.full_like(signal, np.nan)
    for column in range(4):
        part = slice(1250 * column, 1250 * (column + 1))
        page[3 * column : 3 * column + 3, part] = signal[3 * column : 3 * column + 3, part]
    for lead in rhythm:
        page[lead] = signal[lead]
    return page


@pytest.mark.parametrize(("kind", "duration"), [("lbbb", 160), ("narrow", 90)])
def test_pages_without_a_strip_are_measured_as_the_record_is(kind, duration):
    apart = []
    for seed in range(4):
        signal, _ = simulate_ecg(kind, duration, noise=0.01, random_state=seed)
        whole, page = measure_qrs(signal, FS), measure_qrs(printed(signal), FS)
        apart.append(abs(page["qrs_duration_ms"] - whole["qrs_duration_ms"]))
        assert page["n_beats_used"] >= whole["n_beats_used"] - 3  # cut where columns end
        assert page["lbbb_conventional"] == whole["lbbb_conventional"]
    # Columns that share no lead are aligned by the speed of theirs, to some 10 ms.
    assert np.median(apart) <= 12


def test_columns_of_low_voltage_keep_their_beats():
    signal, _ = simulate_ecg("narrow", 90, noise=0.002, random_state=3)
    signal[:6] *= 0.15
    beat = median_beat(printed(signal, [1]), FS)
    whole = median_beat(signal, FS)
    assert beat.n_used >= whole.n_used - 1
    assert np.isfinite(beat.beat).all()


def test_beats_whose_strip_is_hidden_are_aligned_by_the_leads_beside_it():
    signal, _ = simulate_ecg("lbbb", 150, noise=0.005, random_state=1)
    page = printed(signal, [1])
    whole = median_beat(signal, FS)
    # Deep S waves of the third column lie over the complexes of the strip.
    for at in whole.positions[(whole.positions > 2500) & (whole.positions < 3750)]:
        page[1, at - 30 : at - 15] = page[1, at + 10 : at + 30] = np.nan
    beat = median_beat(page, FS)
    assert beat.n_used >= whole.n_used - 1
    assert np.isfinite(beat.beat[6:9]).all()


@given(
    st.lists(st.integers(0, 63), min_size=4, max_size=4),
    st.integers(0, 2**31),
)
@settings(max_examples=50, deadline=None)
def test_limb_leads_follow_from_two_that_are_known(patterns, seed):
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(2, 40))
    limb = np.array([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    page = np.array(limb)
    for k, pattern in enumerate(patterns):
        for i in range(6):
            if not pattern >> i & 1:
                page[i, 10 * k : 10 * k + 10] = np.nan
    filled = fill_limb_leads(page, LEADS_12[:6])
    known = np.isfinite(page)
    np.testing.assert_array_equal(filled[known], page[known])
    np.testing.assert_allclose(filled[np.isfinite(filled)], limb[np.isfinite(filled)], atol=1e-9)
    there = known.any(axis=1)
    # A lead that was never recorded stays unknown; the others are known where two are.
    assert np.isnan(filled[~there]).all()
    if there.sum() >= 3:
        np.testing.assert_array_equal(
            np.isfinite(filled[there]).all(axis=0), known[there].sum(axis=0) >= 2
        )


def test_complete_records_and_lost_leads_are_not_touched():
    signal, _ = simulate_ecg("lbbb", 150, random_state=0)
    assert fill_limb_leads(signal, LEADS_12) is signal
    gap = signal.copy()
    gap[7] = np.nan
    assert fill_limb_leads(gap, LEADS_12) is gap
    assert not in_turns(None)
    assert not in_turns(np.isnan(gap))
    assert in_turns(np.isnan(printed(signal)))
    gap[:, 1000:1100] = np.nan
    assert not in_turns(np.isnan(gap))


def test_only_short_gaps_of_a_beat_are_bridged():
    beat = np.linspace(0, 1, 500) * np.ones((2, 1))
    line = beat.copy()
    beat[0, 100:115] = beat[1, 100:200] = np.nan
    out = bridge_beat(beat, FS)
    np.testing.assert_allclose(out[0], line[0])
    assert np.isnan(out[1, 100:200]).all()
