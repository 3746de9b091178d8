import numpy as np
import pandas as pd
import pytest

from crtkit import Select
from crtkit.datasets import load_physionet


@pytest.fixture
def folder(make_wfdb):
    make_wfdb(2, comments=["Age: 60", "Sex: Male", "Dx: 426783006,1"], prefix="a")
    return make_wfdb(2, comments=["Age: Unknown", "Sex: Female", "Dx: 59118001"], prefix="b")


def test_labels_come_from_the_headers(folder):
    cohort = load_physionet(folder, duration=1.0)
    np.testing.assert_array_equal(cohort.y, [1, 1, 0, 0])
    np.testing.assert_array_equal(cohort.groups, ["a0", "a1", "b0", "b1"])
    np.testing.assert_array_equal(cohort.X["male"], [1, 1, 0, 0])
    np.testing.assert_array_equal(cohort.X["age"].isna(), [False, False, True, True])
    assert "names none" in cohort.info["assumed"][0]
    for label in (["59118001"], "59118001", 59118001):
        codes = load_physionet(folder, label=label, duration=1.0)
        np.testing.assert_array_equal(codes.y, [0, 0, 1, 1])


def test_unknown_is_not_no(folder, make_wfdb):
    make_wfdb(2, comments=["Age: 50", "Dx: Unknown"], prefix="c")
    make_wfdb(1, comments=["Age: 50"], prefix="d")
    cohort = load_physionet(folder, duration=1.0)
    assert cohort.groups.tolist() == ["a0", "a1", "b0", "b1"]
    flow = {"in the folder": 7, "label unknown": -3, "in the manifest": 4, "read": 4}
    assert cohort.info["flow"] == flow


def test_the_challenge_of_2025(make_wfdb):
    make_wfdb(2, comments=["Age: 60", "Chagas label: True", "Source: x"], prefix="a")
    make_wfdb(2, comments=["Age: 61", "Chagas label: False"], prefix="b")
    folder = make_wfdb(1, comments=["Age: 62"], prefix="c")
    cohort = load_physionet(folder, label="Chagas", duration=1.0)
    np.testing.assert_array_equal(cohort.y, [1, 1, 0, 0])
    assert cohort.info["flow"]["label unknown"] == -1
    with pytest.raises(ValueError, match="None of 5 headers.*pass label='Chagas'"):
        load_physionet(folder)


def test_stems_that_repeat_are_kept_apart(folder):
    for name in ("one", "two"):
        (folder / name).mkdir()
        for stem in ("a0", "b0"):
            for suffix in (".hea", ".dat"):
                content = (folder / f"{stem}{suffix}").read_bytes()
                (folder / name / f"{stem}{suffix}").write_bytes(content)
    for stem in ("a0", "b0"):
        for suffix in (".hea", ".dat"):
            (folder / f"{stem}{suffix}").unlink()
    cohort = load_physionet(folder, duration=1.0)
    assert sorted(cohort.groups) == ["a1", "b1", "one/a0", "one/b0", "two/a0", "two/b0"]


def test_bad_records_can_be_dropped(folder):
    (folder / "a1.dat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 problem.*\n.*a1"):
        load_physionet(folder, duration=1.0)
    with pytest.warns(UserWarning, match="left out 1 record"):
        assert len(load_physionet(folder, duration=1.0, on_error="drop")) == 3


def test_refuses(folder, monkeypatch, tmp_path_factory):
    monkeypatch.delenv("CRTKIT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="CRTKIT_DATA"):
        load_physionet()
    with pytest.raises(ValueError, match="label to be one of"):
        load_physionet(folder, label="hiccups")
    with pytest.raises(ValueError, match="at least one SNOMED"):
        load_physionet(folder, label=[])
    with pytest.raises(ValueError, match="have no rows"):
        load_physionet(folder, label=["999"])
    with pytest.raises(FileNotFoundError, match="no WFDB header"):
        load_physionet(tmp_path_factory.mktemp("empty"))


def test_the_real_records(data_dir):
    cohort = load_physionet(data_dir / "ecg12_physionet2021")
    table = pd.read_csv(data_dir / "ecg12_physionet2021" / "labels.csv").set_index("record")
    want = table.loc[cohort.groups, "snomed_ct"].astype(str).str.contains("426783006")
    np.testing.assert_array_equal(cohort.y, want.astype(int))
    signals = Select("signal").fit_transform(cohort.X)
    assert signals.shape == (len(cohort), 12, 5000)
    # Einthoven: II = I + III, whatever the device, within a few quantization steps.
    error = np.median(np.abs(signals[:, 1] - signals[:, 0] - signals[:, 2]), axis=1)
    assert np.median(error) < 0.01
