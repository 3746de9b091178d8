"""Every public estimator is checked, with more than two axes too, or is exempt with its reason."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from benchmarks.contract import EXEMPT, KINDS, WITHOUT, public_estimators, run, table
from crtkit import evaluation, resampling, signals
from crtkit.testing import parametrize_with_nd_checks

TABLE = Path(__file__).parents[1] / "benchmarks" / "results" / "contract" / "contract.csv"


def _around(cls):
    """A meta-estimator around a pipeline that takes signals."""
    inner = make_pipeline(ck.LeadStatistics(), LogisticRegression())
    return cls(inner, random_state=0), "signals", {"free_axes": (2,)}


INNER = "what X is, and its shape, is the wrapped estimator's to say and to check"
PRECISION = "probabilities are the wrapped estimator's, here scikit-learn's in float32"
AROUND = {"check_nd_shape_in": INNER, "check_nd_rows": INNER, "check_nd_one_lead": INNER}
EXPECTED = {
    "LeadSplicer": {
        "check_nd_refuses_nan": "blanks of a page stay blank: missing leads are passed on",
        "check_nd_one_lead": "a page has twelve leads; another number has no layout",
    },
    "RecalibratedClassifier": AROUND,  # answers in double precision
    **dict.fromkeys(
        ("ResampledClassifier", "HeldOutThreshold", "ConformalClassifier"),
        {**AROUND, "check_nd_classifier_labels": PRECISION},
    ),
}


@parametrize_with_nd_checks(
    [
        (ck.LeadFilter(padding=0.05), "signals", {"shape": (3, 200)}),
        (ck.Resampler(), "signals"),
        (ck.LeadSplicer(fs=16), "signals", {"shape": (12, 160)}),
        (ck.STFTTransformer(window_length=16), "signals"),
        (signals.GapFiller(), "signals"),
        (ck.SpectrogramImager(size=(8, 8)), "spectrograms", {"shape": (12, 9, 7)}),
        (ck.ECGDigitizer(), "images", {"free_axes": (1, 2)}),
        _around(resampling.ResampledClassifier),
        _around(resampling.HeldOutThreshold),
        _around(resampling.RecalibratedClassifier),
        _around(evaluation.ConformalClassifier),
    ],
    expected_failed_checks=lambda estimator: EXPECTED.get(type(estimator).__name__, {}),
)
def test_nd_checks(estimator, check):
    check(estimator)


def test_the_printed_table_has_every_public_estimator():
    """Written by ``python -m benchmarks.contract``; a new estimator asks for it again."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {row["estimator"]: row for row in csv.DictReader(file)}
    assert set(rows) == public_estimators()
    for name, row in rows.items():
        for kind in KINDS:
            exempt = name in WITHOUT or (name, kind) in EXEMPT
            assert row[kind].isdigit() or exempt, (name, kind)
            assert row["exceptions"] or row[kind].isdigit(), (name, kind)


def test_a_failure_without_a_reason_or_a_check_that_is_not_run_makes_no_table():
    columns = ["estimator", "kind", "check", "expected", "reason"]
    unsaid = pd.DataFrame([["LeadFilter", "n-d", "check_nd_rows", "fail", ""]], columns=columns)
    with pytest.raises(ValueError, match="check_nd_rows"):
        table(unsaid)
    with pytest.raises(ValueError, match="has no scikit-learn check"):
        table(unsaid[:0])


@pytest.mark.slow
def test_the_printed_table_is_that_of_the_suite():
    """Collects the whole suite once more."""
    found = table(run()).reset_index()
    pd.testing.assert_frame_equal(pd.read_csv(TABLE, keep_default_na=False, dtype=str), found)
