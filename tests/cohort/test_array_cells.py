"""Arrays that cannot say their unit or leads: what is not an ECG in millivolt is refused."""

import numpy as np
import pandas as pd
import pytest

from crtkit import Select, read_manifest
from crtkit._leads import LEADS_12
from crtkit.datasets import simulate_ecg
from crtkit.signals import measure_qrs

N = 8
PUBLISHED = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF"]


@pytest.fixture(scope="module")
def signals():
    """Eight simulated records, (8, 12, 5000) in mV at 500 Hz: narrow and LBBB in turn."""
    kinds = [("lbbb", 165) if i % 2 else ("narrow", 95) for i in range(N)]
    return np.stack(
        [simulate_ecg(kind, ms, random_state=i)[0] for i, (kind, ms) in enumerate(kinds)]
    ).astype(np.float32)


@pytest.fixture
def read(tmp_path):
    def one(array, **options):
        np.save(tmp_path / "all.npy", array)
        table = pd.DataFrame({"patient": [f"p{i}" for i in range(len(array))]})
        table["y"] = table.index % 2
        table["ecg"] = [f"all.npy#{i}" for i in range(len(array))]
        options = {"fs": 500, "root": tmp_path, **options}
        return read_manifest(table, label="y", group="patient", signal="ecg", **options)

    return one


def values(cohort):
    return np.asarray(Select("signal").fit_transform(cohort.X))


def test_millivolt_in_order_stays_where_it_is(read, signals):
    cohort = read(signals)
    assert cohort.X["signal"][3].endswith("all.npy#3")
    assert cohort.info["lead_names"] == list(LEADS_12)
    assert "missing_leads" not in cohort.info


@pytest.mark.parametrize(
    ("factor", "unit", "words"),
    [
        (1e3, "uV", "unit='uV' would fit"),
        (1e-3, "V", "unit='V' would fit"),
        (1 / 0.00488, 0.00488, "for counts of a converter give what one is worth"),
    ],
)
def test_another_unit_is_refused_or_said(read, signals, factor, unit, words):
    array = (signals * factor).astype(np.float32)
    with pytest.raises(ValueError, match=words):
        read(array)
    np.testing.assert_allclose(values(read(array, unit=unit)), signals, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="from peak to peak"):
        read(signals, unit=unit)


def test_counts_need_a_unit(read, signals):
    counts = np.round(signals * 200).astype(np.int16)
    with pytest.raises(ValueError, match="State the unit: unit='uV'"):
        read(counts)
    np.testing.assert_allclose(values(read(counts, unit=1 / 200)), signals, atol=0.0026)
    for unit in ("furlong", 0, -1.0, float("nan"), True):
        with pytest.raises(ValueError, match="unit="):
            read(counts, unit=unit)


def test_another_order_of_leads_is_refused_or_said(read, signals):
    order = [LEADS_12.index(name) for name in PUBLISHED]
    other = signals[:, order]
    with pytest.raises(ValueError, match=r"8 of 8 .*order I, II, V1-V6, III, aVR, aVL, aVF would"):
        read(other)
    cohort = read(other, lead_names=PUBLISHED)
    np.testing.assert_array_equal(values(cohort), signals)
    assert cohort.info["lead_names"] == list(LEADS_12)
    spelled = read(other, lead_names=["DI", "Lead II", *PUBLISHED[2:]])
    np.testing.assert_array_equal(values(spelled), signals)
    with pytest.raises(ValueError, match="would fit: pass it as lead_names="):
        read(signals[:, [0, 1, 2, 4, 3, 5, *range(6, 12)]])


def test_a_wrong_order_that_is_said_is_refused_too(read, signals):
    with pytest.raises(ValueError, match="limb leads do not add up in 8 of 8"):
        read(signals, lead_names=PUBLISHED)


def test_leads_on_the_last_axis(read, signals):
    turned = np.moveaxis(signals, 1, -1)
    with pytest.raises(ValueError, match=r"shape \(5000, 12\): the leads seem to lie on the last"):
        read(turned)
    np.testing.assert_array_equal(values(read(turned, lead_names=LEADS_12)), signals)


def test_eight_leads_become_twelve(read, signals):
    eight = [0, 1, *range(6, 12)]
    cohort = read(signals[:, eight], lead_names=[LEADS_12[i] for i in eight])
    np.testing.assert_allclose(values(cohort), signals, atol=2e-6)
    assert cohort.info["lead_names"] == list(LEADS_12)


def test_other_leads_keep_their_order(read, signals):
    cohort = read(signals[:, [6, 7, 8]], lead_names=["V3R", "V7", "V8"])
    assert cohort.info["lead_names"] == ["V3R", "V7", "V8"]
    np.testing.assert_array_equal(values(cohort), signals[:, [6, 7, 8]])
    assert read(signals[:, 1]).info["lead_names"] is None
    with pytest.raises(ValueError, match="has 2 names; the rows have 3"):
        read(signals[:, :3], lead_names=["I", "II"])
    with pytest.raises(ValueError, match="twice"):
        read(signals[:, :3], lead_names=["I", "II", "lead II"])


def test_single_foreign_records_are_found(read, signals):
    array = signals.copy()
    array[2] *= 1000
    array[4] = array[4][[0, 1, 7, 6, 8, 5, 4, 3, 2, 9, 10, 11]]
    array[5, 3, 100] = np.nan
    array[6, 0, 0] = np.inf
    with pytest.raises(ValueError, match="(?s)4 problem.*#2: it reaches.*#4: its limb leads"):
        read(array)
    with pytest.warns(UserWarning, match="left out 4 record"):
        cohort = read(array, on_error="drop")
    assert cohort.groups.tolist() == ["p0", "p1", "p3", "p7"]
    assert cohort.info["flow"] == {"in the manifest": 8, "signal could not be read": -4, "read": 4}
    assert len(cohort.info["dropped"]) == 4
    with pytest.warns(UserWarning, match="left out 3 record"):
        kept = read(array, on_error="drop", missing="keep")
    assert "p5" in kept.groups


def test_what_is_dropped_is_dropped_from_converted_arrays(read, signals):
    array = signals * 1000
    array[1] *= 1000
    with pytest.warns(UserWarning, match="left out 1 record"):
        cohort = read(array.astype(np.float64), unit="uV", on_error="drop")
    assert cohort.groups.tolist() == [f"p{i}" for i in range(N) if i != 1]
    np.testing.assert_allclose(values(cohort), np.delete(signals, 1, axis=0), atol=1e-5)


def test_measurements_of_a_reordered_cohort_are_those_of_the_records(read, signals):
    order = [LEADS_12.index(name) for name in PUBLISHED]
    cohort = read(signals[:, order] * 1000, lead_names=PUBLISHED, unit="uV")
    for got, want in zip(values(cohort)[:2], signals[:2]):
        a, b = measure_qrs(got, 500), measure_qrs(want, 500)
        assert a["qrs_duration_ms"] == pytest.approx(b["qrs_duration_ms"], abs=0.5)
        assert a["lbbb_conventional"] == b["lbbb_conventional"]


def test_real_records_pass(data_dir, read):
    import sys

    sys.path.insert(0, str(data_dir))
    try:
        from read_shards import read as read_shard
    finally:
        sys.path.remove(str(data_dir))
    shard = next((data_dir / "ptbxl_500hz").glob("*.npy.xz"))
    shard = read_shard(shard)
    counts = (shard[0] if isinstance(shard, tuple) else shard)[:60]
    cohort = read(counts, unit="uV")
    assert len(cohort) == 60
    assert 0.5 < np.ptp(values(cohort), axis=-1).mean() < 5


def test_names_of_leads_must_be_there_and_differ(read, signals):
    with pytest.raises(ValueError, match="lead_names is empty; name each lead"):
        read(signals, lead_names=[])
    with pytest.raises(ValueError, match=r"lead_names names V1, V2 twice"):
        read(signals, lead_names=[*LEADS_12[:8], "V1", "V2", "V1", "V2"])


def test_no_unit_is_suggested_for_counts(read, signals):
    """Counts of 4.88 microvolt read as microvolt would be a fifth of an ECG."""
    with pytest.raises(ValueError, match=r"2\d\d mV .* neither mV, uV nor V would fit; for counts"):
        read(signals / 0.00488)
    with pytest.raises(ValueError, match="unit='uV' would fit"):
        read(signals * 1000)


def test_one_record_in_another_unit_is_named(read, signals):
    array = signals.copy()
    array[2] /= 1000
    with pytest.raises(ValueError, match=r"#2: its leads are 0\.00\d+ mV .* \(volts\?\)"):
        read(array)
