"""One patient left out at a time: scores are pooled over folds, and every table says so."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline

from crtkit import Select, evaluate
from crtkit.evaluation.scoring import POOLED


@pytest.fixture
def left_out(make_table_cohort):
    cohort = make_table_cohort(n_patients=24, records=1)
    columns = ["qrs_duration_ms", "lvef"]
    models = {
        "logistic": make_pipeline(Select(columns), LogisticRegression(max_iter=2000)),
        "lvef": make_pipeline(Select(["lvef"]), LogisticRegression()),
    }
    return evaluate(models, cohort, cv=LeaveOneGroupOut(), seeds=2, reference_rows=False)


def test_the_auc_is_that_of_the_pooled_scores(left_out):
    assert left_out.per_fold()["roc_auc"].isna().all()
    rows = left_out.predictions.query("model == 'logistic' and seed == 0")
    expected = roc_auc_score(rows["y_true"] == "yes", rows["score"])
    seeds = left_out.per_seed()["roc_auc"]
    assert seeds["logistic"].tolist() == pytest.approx([expected] * 2)
    summary = left_out.summary(n_bootstrap=200)
    assert summary.loc["logistic", ("roc_auc", "mean")] == pytest.approx(expected)
    low, high = summary.loc["logistic", [("roc_auc", "ci_low"), ("roc_auc", "ci_high")]]
    assert low < expected < high
    # The same splits come with every seed: one split, and no interval over splits.
    assert np.isnan(summary.loc["logistic", ("roc_auc", "nb_low")])


def test_it_says_so_everywhere(left_out):
    tables = [
        left_out.summary(n_bootstrap=5),
        left_out.per_seed(),
        left_out.compare("logistic", "lvef", n_bootstrap=5),
        left_out.roc(),
        left_out.at_sensitivity(0.8),
    ]
    for table in tables:
        assert "folds pooled, because none has both classes" in table.attrs["note"]
    assert {part.fold for part in left_out.units()} == {POOLED}
    assert left_out.compare("logistic", "lvef", n_bootstrap=50).loc["roc_auc", "n_valid"] == 2
    assert not left_out.at_sensitivity(0.8)["specificity"].isna().any()
    assert len(left_out.roc().query("model == 'lvef'")) == 101


def test_folds_with_both_classes_are_not_pooled(make_table_cohort, models):
    result = evaluate(models, make_table_cohort(), cv=GroupKFold(3), seeds=1, reference_rows=False)
    assert {part.fold for part in result.units()} == {0, 1, 2}
    assert "pooled" not in result.note
