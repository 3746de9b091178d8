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
    for label in (["59118001"], "59118001"):
        codes = load_physionet(folder, label=label, duration=1.0)
        np.testing.assert_array_equal(codes.y, [0, 0, 1, 1])


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
