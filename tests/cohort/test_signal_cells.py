"""ECG files of a manifest: rates, gaps, and records that cannot be read."""

import numpy as np
import pandas as pd
import pytest

from crtkit import Select, read_manifest
from crtkit._leads import LEADS_12
from crtkit.readers import read_ecg
from crtkit.signals import resample_leads


def write(folder, name, signal, *, fs=500, gain=1000):
    """A WFDB record without any package; NaN becomes the value for a missing sample."""
    stored = np.round(np.nan_to_num(signal) * gain)
    stored = np.where(np.isnan(signal), -(2**15), stored).astype("<i2")
    stored.T.tofile(folder / f"{name}.dat")
    lines = [f"{name} {len(signal)} {fs} {signal.shape[1]}"]
    lines += [f"{name}.dat 16 {gain}/mV 16 0 0 0 0 {lead}" for lead in LEADS_12]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    return name


def record(seed, n_samples=2500):
    """Twelve leads whose limb leads belong together."""
    rng = np.random.default_rng(seed)
    eight = np.cumsum(rng.normal(0, 0.02, (8, n_samples)), axis=1)
    eight -= eight.mean(axis=1, keepdims=True)
    one, two = eight[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.clip(np.stack([*limb, *eight[2:]]), -20, 20)


def manifest(folder, names, **options):
    table = pd.DataFrame({"patient": [f"p{i}" for i in range(len(names))], "ecg": names})
    table["y"] = table.index % 2
    return read_manifest(table, label="y", group="patient", signal="ecg", root=folder, **options)


def values(cohort):
    return np.asarray(Select("signal").fit_transform(cohort.X))


@pytest.mark.parametrize("offset", [0.0, 3.0, -5.0])
def test_resampling_keeps_the_edges_of_an_offset(tmp_path, offset):
    names = [write(tmp_path, f"r{i}", record(i) + offset, fs=250) for i in range(2)]
    got = values(manifest(tmp_path, names, fs=500))
    raw = np.stack([read_ecg(tmp_path / name).standard_leads() for name in names])
    np.testing.assert_allclose(got, resample_leads(raw, 250, 500), atol=1e-6)
    np.testing.assert_allclose(got[:, :, 0], raw[:, :, 0], atol=0.05)
    np.testing.assert_allclose(got[:, :, -2], raw[:, :, -1], atol=0.05)


def test_rates_that_differ_by_rounding_are_one(tmp_path):
    names = [write(tmp_path, "a", record(0)), write(tmp_path, "b", record(1), fs=499.99996)]
    for options in ({}, {"fs": 500}):
        cohort = manifest(tmp_path, names, **options)
        assert values(cohort).shape == (2, 12, 2500)
        assert cohort.info["sampling_rate"] == 500
    names.append(write(tmp_path, "c", record(2), fs=400))
    with pytest.raises(ValueError, match="sampled at 400 Hz, the first record at 500 Hz"):
        manifest(tmp_path, names)


def page(seed=0):
    """Each lead for its quarter of the record, II throughout, as digitized pages are."""
    signal = record(seed)
    shown = np.full_like(signal, np.nan)
    for quarter, leads in enumerate(np.arange(12).reshape(4, 3)):
        place = slice(quarter * 625, (quarter + 1) * 625)
        shown[leads, place] = signal[leads, place]
    shown[1] = signal[1]
    return shown


def test_gaps_are_refused_or_kept(tmp_path):
    names = [write(tmp_path, f"r{i}", page(i)) for i in range(2)]
    with pytest.raises(ValueError, match=r"11 lead\(s\) have missing samples.*missing='keep'"):
        manifest(tmp_path, names)
    kept = values(manifest(tmp_path, names, missing="keep"))
    np.testing.assert_allclose(kept[0], page(0), atol=6e-4)
    double = values(manifest(tmp_path, names, missing="keep", fs=1000))
    np.testing.assert_array_equal(np.isnan(double[:, :, ::2]), np.isnan(kept))
    # No more than one sample is lost beside each gap, and none is made up.
    assert 0 <= (np.isfinite(kept).sum() * 2 - np.isfinite(double).sum()) <= 2 * 12 * 2


def test_gaps_behind_the_crop_do_not_matter(tmp_path):
    signal = record(0)
    signal[3, 2490:] = np.nan
    names = [write(tmp_path, "a", signal), write(tmp_path, "b", record(1))]
    with pytest.raises(ValueError, match="(?s)1 problem.*1 lead"):
        manifest(tmp_path, names)
    assert np.isfinite(values(manifest(tmp_path, names, duration=4.0))).all()


def test_bad_records_are_listed_or_dropped(tmp_path):
    names = [write(tmp_path, f"r{i}", record(i)) for i in range(6)]
    (tmp_path / "r0.dat").write_bytes(b"")
    (tmp_path / "r2.dat").write_bytes((tmp_path / "r2.dat").read_bytes()[:32768])
    (tmp_path / "r4.dat").unlink()
    with pytest.raises(ValueError, match="(?s)^3 problem.*r0.*r2.*r4.*missing") as error:
        manifest(tmp_path, names)
    assert "on_error='drop'" in str(error.value)
    with pytest.warns(UserWarning, match="left out 3 record"):
        cohort = manifest(tmp_path, names, on_error="drop")
    assert cohort.groups.tolist() == ["p1", "p3", "p5"]
    assert cohort.info["flow"] == {"in the manifest": 6, "signal could not be read": -3, "read": 3}
    assert all(name in text for name, text in zip(names[::2], cohort.info["dropped"]))
    assert len(cohort.info["dropped"]) == 3
    np.testing.assert_allclose(values(cohort)[1], record(3), atol=6e-4)
    with pytest.raises(ValueError, match="on_error to be one of"):
        manifest(tmp_path, names, on_error="ignore")


def test_short_and_bad_records_are_counted_apart(tmp_path):
    names = [write(tmp_path, f"r{i}", record(i, 2500 if i else 1000)) for i in range(4)]
    (tmp_path / "r3.dat").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out 1 record"):
        cohort = manifest(tmp_path, names, duration=4, short="drop", on_error="drop")
    want = {"in the manifest": 4, "signal shorter than 4 s": -1, "signal could not be read": -1}
    assert cohort.info["flow"] == {**want, "read": 2}


def test_none_left_says_why(tmp_path):
    names = [write(tmp_path, f"r{i}", record(i)) for i in range(2)]
    for name in names:
        (tmp_path / f"{name}.dat").write_bytes(b"")
    with pytest.raises(ValueError, match="(?s)None of 2 signals is readable.*r0.hea .*r1.hea "):
        manifest(tmp_path, names, on_error="drop")


def test_missing_leads_are_counted(tmp_path):
    signal = record(1)
    signal[[6, 7]] = 0
    signal[8] = -3.2
    names = [write(tmp_path, "a", record(0)), write(tmp_path, "b", signal)]
    assert manifest(tmp_path, names).info["missing_leads"] == {"V1": 1, "V2": 1, "V3": 1}


def test_units_and_leads_are_for_files_that_do_not_say_them(tmp_path):
    names = [write(tmp_path, f"r{i}", record(i)) for i in range(2)]
    with pytest.raises(ValueError, match=r"(?s)2 problem.*states its own rate, unit and leads"):
        manifest(tmp_path, names, unit="uV")


def test_records_of_one_hdf5_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    signals = np.stack([record(i) for i in range(4)])
    with h5py.File(tmp_path / "exams.hdf5", "w") as file:
        file["tracings"] = np.moveaxis(signals, 1, -1) * 1000  # (n, samples, leads), microvolt
    names = [f"exams.hdf5#{i}" for i in range(4)]
    options = {"unit": "uV", "lead_names": LEADS_12}
    cohort = manifest(tmp_path, names, fs=400, **options)
    assert cohort.info["sampling_rate"] == 400
    np.testing.assert_allclose(values(cohort), signals, atol=1e-5)
    with pytest.raises(ValueError, match="(?s)4 problem.*does not say its fs"):
        manifest(tmp_path, names, **options)
    with pytest.raises(FileNotFoundError, match=r"1 of \d+ file\(s\) of the manifest are missing"):
        manifest(tmp_path, [*names, "other.hdf5#0"], fs=400, **options)
