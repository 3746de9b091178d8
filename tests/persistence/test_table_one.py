"""Table 1 of the training cohort in a bundle: what it says, and what it may not give away."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.persistence.contract import describe_training


@pytest.fixture
def cohort():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 20])
    table = pd.DataFrame(
        {
            "age": rng.normal(70, 8, 60).round(1),
            "male": np.r_[np.arange(40) % 2, np.arange(20) % 2],
            # Three of the responders: neither they nor the others may be told by class.
            "paced": np.r_[np.arange(40) % 2, np.arange(20) < 3].astype(int),
            "sex": np.where(np.r_[np.arange(40) % 2, np.arange(20) % 2] == 1, "M", "F"),
            # Ischaemic in all but two of the responders.
            "cause": np.r_[np.tile(["I", "N"], 20), np.where(np.arange(20) < 2, "N", "I")],
            "lvef": np.r_[rng.normal(25, 5, 40), np.full(17, np.nan), [20.0, 21.0, 22.0]],
        }
    )
    return ck.Cohort(table, y, np.arange(60))


def test_means_and_shares_are_those_of_each_class(cohort):
    by_class = describe_training(cohort)["by_class"]
    for value in (0, 1):
        own = cohort.X[cohort.y == value]
        told = by_class["age"][str(value)]
        assert told["mean"] == pytest.approx(own["age"].mean(), rel=1e-3)
        assert told["sd"] == pytest.approx(own["age"].std(), rel=1e-3)
        assert by_class["male"][str(value)]["share_of_larger"] == 0.5
        assert by_class["sex"][str(value)]["levels"] == {"F": len(own) // 2, "M": len(own) // 2}


def test_a_small_cell_hides_its_column_in_every_class(cohort):
    described = describe_training(cohort)
    assert set(described["by_class"]) == {"age", "male", "sex"}
    assert described["columns"]["paced"]["share_of_larger"] == pytest.approx(23 / 60, rel=1e-3)


def test_a_patient_counts_once(cohort):
    twice = cohort.take(np.repeat(np.arange(60), 2))
    assert describe_training(twice)["by_class"] == describe_training(cohort)["by_class"]


def test_the_card_prints_it(cohort, tmp_path):
    model = make_pipeline(ck.Select(["age"]), LogisticRegression()).fit(cohort.X, cohort.y)
    ck.save(model, tmp_path / "m.crtkit", cohort=cohort)
    text = ck.card(tmp_path / "m.crtkit")
    assert "| variable | all | 0 | 1 | lowest to highest hundredth |" in text
    assert "| male | 50% | 50% | 50% | – |" in text
    assert "| paced | 38% | – | – | – |" in text
    assert "| sex | F: 30, M: 30 | F: 20, M: 20 | F: 10, M: 10 | – |" in text
    ck.load(tmp_path / "m.crtkit")
