import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline

from crtkit import Select, evaluate
from crtkit.evaluation import RepeatedStratifiedPatientSplit

COLUMNS = ["qrs_duration_ms", "lvef", "male"]
LR = LogisticRegression(max_iter=2000)


def after_select(last):
    return make_pipeline(Select(COLUMNS), last)


def quick(model, cohort):
    return evaluate({"m": model}, cohort, seeds=1, reference_rows=False, threads_per_fit=1)


@pytest.mark.parametrize(
    ("model", "parameter"),
    [
        (GridSearchCV(after_select(LR), {}, cv=StratifiedKFold(3)), "cv="),
        (GridSearchCV(after_select(LR), {}), "cv=None"),
        (after_select(CalibratedClassifierCV(LR, cv=3)), "calibratedclassifiercv__cv=3"),
        (
            GridSearchCV(after_select(TunedThresholdClassifierCV(LR)), {}, cv=GroupKFold(3)),
            "estimator__tunedthresholdclassifiercv__cv=None",
        ),
        (after_select(LogisticRegressionCV(Cs=2)), "logisticregressioncv__cv=None"),
        (after_select(StackingClassifier([("a", LR)], LR, cv=GroupKFold(3))), "gets no groups"),
        (
            GridSearchCV(
                after_select(CalibratedClassifierCV(LR, cv=GroupKFold(3))),
                {"calibratedclassifiercv__cv": [GroupKFold(2), 4]},
                cv=GroupKFold(3),
            ),
            "param_grid__calibratedclassifiercv__cv=4",
        ),
    ],
)
def test_inner_splits_by_record_are_refused(make_table_cohort, model, parameter):
    with pytest.raises(ValueError, match=r"Model 'm'.*StratifiedGroupKFold") as caught:
        quick(model, make_table_cohort(records=3))
    assert parameter in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(after_select(LR), {}, cv=GroupKFold(3), error_score="raise"),
        after_select(CalibratedClassifierCV(LR, cv=StratifiedGroupKFold(3))),
        after_select(TunedThresholdClassifierCV(LR, cv=RepeatedStratifiedPatientSplit(3))),
        after_select(LogisticRegressionCV(Cs=2, cv=GroupKFold(3), max_iter=2000)),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_inner_splits_by_patient_are_fitted(make_table_cohort, model):
    assert len(quick(model, make_table_cohort(records=3)).per_seed()) == 1


def test_one_record_a_patient_and_frozen_models_may_split_anyhow(make_table_cohort):
    calibrated = after_select(CalibratedClassifierCV(LR, cv=3))
    assert len(quick(calibrated, make_table_cohort(records=1)).per_seed()) == 1
    cohort = make_table_cohort(records=3)
    fitted = LogisticRegression(max_iter=2000).fit(cohort.X[COLUMNS].to_numpy(), cohort.y)
    frozen = after_select(CalibratedClassifierCV(FrozenEstimator(fitted)))
    assert len(quick(frozen, cohort).per_seed()) == 1
