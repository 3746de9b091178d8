"""A study's run on a table of somebody else."""

import argparse
import warnings

import numpy as np
import pytest

import crtkit as ck
from crtkit.studies.run import add_arguments
from crtkit.studies.run.cohorts import load_cohort


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A German table of ECGs in an array of microvolt."""
    folder = tmp_path_factory.mktemp("theirs")
    cohort = ck.datasets.make_cohort("mori2025", n_patients=12, random_state=0)
    signals = np.stack([np.asarray(signal)[:, :5000] for signal in cohort.X["signal"]])
    np.save(folder / "ekg.npy", 1000 * signals)
    table = cohort.X[["lvef"]].assign(
        Fall=[f"{k:03d}" for k in range(12)],
        Ansprechen=np.where(cohort.y == 1, "ja", "nein"),
        EKG=[f"ekg.npy#{k}" for k in range(12)],
    )
    table.to_csv(folder / "kohorte.csv", sep=";", decimal=",", index=False)
    return folder / "kohorte.csv", cohort.y


def chosen(path, study, *more):
    parser = argparse.ArgumentParser()
    add_arguments(parser, study)
    asked = ["--data", str(path), "--label", "Ansprechen", "--group", "Fall", "--signal", "EKG"]
    return parser.parse_args([*asked, "--fs", "500", *more])


@pytest.mark.parametrize("study", ["mori2025", "he2023"])  # he2023 has a --unit of its own
def test_a_unit_is_said_and_a_stated_outcome_warns_of_nothing(theirs, study):
    path, truth = theirs
    with pytest.raises(ValueError, match="unit='uV' would fit"):
        load_cohort(chosen(path, study, "--pos-label", "ja"), study)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = load_cohort(chosen(path, study, "--pos-label", "ja", "--signal-unit", "uV"), study)
    np.testing.assert_array_equal(cohort.y, truth)
    assert 0.5 < np.ptp(np.asarray(cohort.X["signal"].iloc[0])) < 10  # millivolt
    with pytest.warns(UserWarning, match="becomes the positive class"):
        load_cohort(chosen(path, study, "--signal-unit", "uV"), study)
