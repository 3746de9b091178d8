import json
from pathlib import Path

import numpy as np
import pytest

from crtkit._leads import LEADS_12
from crtkit.signals import (
    complete_limb_leads,
    frontal_axis,
    kors_vcg,
    qrs_area,
    vector_angle,
    wave_area,
)
from crtkit.signals.qrs.vcg import INDEPENDENT_LEADS, KORS

FS = 500
EXPECTED = json.loads((Path(__file__).parents[2] / "data" / "qrs" / "expected.json").read_text())


def test_matrix_is_that_of_the_reference():
    assert EXPECTED["lead_order_8"] == list(INDEPENDENT_LEADS)
    np.testing.assert_array_equal(KORS, EXPECTED["kors_3x8"])


@pytest.mark.parametrize(("which", "tolerance"), [(1, 0.1), (2, 2.0)], ids=["clean", "20 dB"])
def test_area_in_the_true_window(qrs_cases, which, tolerance):
    for case in qrs_cases:
        truth, vcg = case[0], kors_vcg(case[which])
        for onset, offset in zip(truth["onsets_s"], truth["offsets_s"]):
            area = qrs_area(vcg, FS, onset * FS, offset * FS)
            assert area == pytest.approx(truth["qrs_area_kors_uVs"], abs=tolerance), truth["id"]


def test_direction_of_the_area(qrs_cases):
    for truth, clean, _ in qrs_cases:
        x, y, z = wave_area(
            kors_vcg(clean), FS, truth["onsets_s"][0] * FS, truth["offsets_s"][0] * FS
        )
        np.testing.assert_allclose([x, y, z], truth["area_xyz_kors_uVs"], atol=0.1)


def test_area_between_samples_is_the_integral_of_the_polygon():
    signal = np.array([0.0, 1.0, 3.0, 2.0])
    # Trapezoids of 0.5 to 1, 1 to 2 and 2 to 2.5 samples, at 1 Hz.
    by_hand = 0.5 * (0.5 + 1) / 2 + (1 + 3) / 2 + 0.5 * (3 + 2.5) / 2
    assert wave_area(signal, 1.0, 0.5, 2.5) == pytest.approx(by_hand * 1000)
    assert wave_area(signal, 1.0, 1.2, 1.7) == pytest.approx(0.5 * (1.4 + 2.4) / 2 * 1000)


def test_lead_order_and_missing_leads():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(12, 7))
    names = list(LEADS_12)[::-1]
    np.testing.assert_allclose(kors_vcg(signal[::-1], names), kors_vcg(signal))
    batch = kors_vcg(np.stack([signal, 2 * signal]))
    np.testing.assert_allclose(batch[1], 2 * batch[0])
    with pytest.raises(ValueError, match="V6 is missing"):
        kors_vcg(signal[:11], LEADS_12[:11])


@pytest.mark.parametrize("pair", [("I", "II"), ("II", "III"), ("aVR", "aVF"), ("III", "aVL")])
def test_two_limb_leads_give_six(pair):
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(2, 9))
    six = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    given = [six[LEADS_12.index(name)] for name in pair]
    full = complete_limb_leads(np.stack(given), pair)
    np.testing.assert_allclose(full[:6], six, atol=1e-12)
    assert np.isnan(full[6:]).all()


def test_one_limb_lead_gives_no_other_and_measured_leads_are_kept():
    full = complete_limb_leads(np.ones((2, 3)), ["V2", "aVL"])
    there = np.isfinite(full).all(axis=1)
    assert [name for name, here in zip(LEADS_12, there) if here] == ["aVL", "V2"]
    # All six there, and inconsistent: nothing is computed.
    noisy = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_array_equal(complete_limb_leads(noisy, LEADS_12[:6])[:6], noisy)


def test_angles():
    assert vector_angle([1, 0, 0], [-1, 0, 0]) == pytest.approx(180)
    assert np.isnan(vector_angle([0, 0, 0], [1, 0, 0]))
    # A vector at 60 degrees has II = aVF = its length in the Einthoven triangle's scale.
    for degrees in (-120, -60, 0, 30, 60, 90, 150):
        x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one, two = x, 0.5 * x + np.sqrt(3) / 2 * y
        assert frontal_axis(one, two - one / 2) == pytest.approx(degrees, abs=1e-9)
    assert np.isnan(frontal_axis(np.nan, 1.0))
    assert np.isnan(frontal_axis(0.0, 0.0))
