"""What is measured once gives the bits of what every fit measures for itself."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from crtkit import (
    Cohort,
    ECGDigitizer,
    LeadFilter,
    LeadSplicer,
    LeadStatistics,
    PhaseAnalysis,
    PhaseStatistics,
    QRSMeasurements,
    Resampler,
    Select,
    evaluate,
)
from crtkit.datasets import make_cohort
from crtkit.evaluation import shared
from crtkit.resampling import HeldOutThreshold, RecalibratedClassifier
from crtkit.signals import GapFiller


@pytest.fixture(scope="module")
def cohort():
    return make_cohort("mori2025", n_patients=30, random_state=0)


@pytest.fixture(scope="module")
def other():
    made = make_cohort("mori2025", n_patients=12, random_state=1)
    return Cohort(made.X, made.y, "B-" + made.groups.astype(object), made.info)


def logistic(*steps):
    tail = [SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=500)]
    return make_pipeline(Select("signal"), *steps, *tail)


def some_models():
    measured = logistic(LeadFilter(fs=500, lowpass=40.0), QRSMeasurements(fs=500))
    statistics = logistic(LeadStatistics())
    grid = {"logisticregression__C": [0.1, 1.0]}
    both = make_union(make_pipeline(Select("signal"), LeadStatistics()), Select(["lvef"]))
    return {
        "search": GridSearchCV(measured, grid, cv=StratifiedGroupKFold(2)),
        "threshold": HeldOutThreshold(measured, size=0.3),
        "statistics": statistics,
        "recalibrated": RecalibratedClassifier(statistics),
        "union": make_pipeline(both, StandardScaler(), SelectKBest(k=5), LogisticRegression()),
    }


def run(models, cohort, **kwargs):
    return evaluate(
        models, cohort, seeds=2, reference_rows=False, progress=False, threads_per_fit=1, **kwargs
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_bits_are_those_of_every_fit_for_itself(cohort, other, n_jobs):
    models, external = some_models(), {"other": other}
    once = run(models, cohort, external=external, n_jobs=n_jobs)
    each = run(models, cohort, external=external, share=False)
    pd.testing.assert_frame_equal(once.predictions, each.predictions, check_exact=True)
    said = once.info["shared"]
    assert list(said) == ["signal > LeadFilter > QRSMeasurements", "signal > LeadStatistics"]
    users = [one["models"] for one in said.values()]
    assert users == [["search", "threshold"], ["statistics", "recalibrated", "union"]]
    assert each.info["shared"] == {}
    # A model that is fitted again is whole, and answers as it did.
    fitted = once.refit("statistics", seed=0)
    assert isinstance(fitted.steps[1][1], LeadStatistics)


def test_every_record_is_measured_once(cohort, monkeypatch):
    seen = []
    measure = LeadStatistics.transform
    monkeypatch.setattr(
        LeadStatistics, "transform", lambda self, X: (seen.append(len(X)), measure(self, X))[1]
    )
    search = GridSearchCV(
        logistic(LeadStatistics()), {"logisticregression__C": [0.1, 1]},
        cv=StratifiedGroupKFold(2),
    )  # fmt: skip
    run({"a": logistic(LeadStatistics()), "b": search}, cohort)
    assert sum(seen) == len(cohort)


def test_a_step_that_a_grid_changes_is_left_alone(cohort):
    chain = logistic(LeadFilter(fs=500), LeadStatistics())
    for key, values in (
        ("leadfilter__lowpass", [40.0, 100.0]),
        ("leadstatistics", [LeadStatistics(), LeadStatistics(statistics=("mean", "std"))]),
        ("select__column", ["signal"]),
    ):
        search = GridSearchCV(chain, {key: values}, cv=StratifiedGroupKFold(2))
        assert list(shared._prefixes(search, frozenset())) == []
        outer = HeldOutThreshold(search, size=0.3)
        assert list(shared._prefixes(outer, frozenset())) == []
    search = GridSearchCV(
        HeldOutThreshold(chain, size=0.3), {"estimator__leadfilter__lowpass": [40.0, 100.0]}
    )
    assert list(shared._prefixes(search, frozenset())) == []


def test_what_learns_or_is_not_ours_is_no_prefix():
    class LeadStatistics2(LeadStatistics):
        """A user's own, which may look at all records."""

    for steps in ([StandardScaler()], [LeadStatistics2()], [LeadFilter(fs=500)]):
        assert list(shared._prefixes(logistic(*steps), frozenset())) == []
    pandas = logistic(QRSMeasurements(fs=500).set_output(transform="pandas"))
    assert list(shared._prefixes(pandas, frozenset())) == []


def test_a_record_that_fails_is_told_by_the_model(cohort):
    X = cohort.X.copy()
    X["signal"] = [np.asarray(s).copy() for s in X["signal"]]
    X["signal"].iloc[3][:, :5] = np.nan
    broken = Cohort(X, cohort.y, cohort.groups, cohort.info)
    with pytest.raises(RuntimeError, match=r"Model 'a' failed at seed 0.*NaN"):
        run({"a": logistic(LeadStatistics())}, broken)


SIGNAL_STEPS = [
    GapFiller(),
    LeadFilter(fs=500, lowpass=40.0),
    LeadFilter(fs=500),
    LeadSplicer(fs=500),
    LeadStatistics(),
    LeadStatistics(missing="omit"),
    QRSMeasurements(fs=500),
    Resampler(fs_in=500, fs_out=250),
]


@pytest.mark.parametrize("step", SIGNAL_STEPS, ids=lambda step: type(step).__name__)
def test_a_signal_has_the_same_bits_in_any_company(cohort, step):
    signals = Select("signal").fit_transform(cohort.X)
    same_in_any_company(step, signals)


def test_a_map_and_a_page_have_the_same_bits_in_any_company():
    counts = make_cohort("he2021", n_patients=12, modality="counts", random_state=0)
    gated = Select("counts").fit_transform(counts.X)
    same_in_any_company(PhaseAnalysis(), gated)
    same_in_any_company(PhaseStatistics(), PhaseAnalysis().fit_transform(gated))
    pages = make_cohort("mori2025", n_patients=4, modality="image", random_state=0)
    same_in_any_company(ECGDigitizer(), Select("image").fit_transform(pages.X), sizes=(1,))


def same_in_any_company(step, X, sizes=(1, 7)):
    whole = step.fit_transform(X)
    assert shared._as_a_fit_sees_it(whole)
    assert type(step).__name__ in shared._ROW_WISE | shared._MEASURING
    turned = step.transform(X[::-1])
    np.testing.assert_array_equal(turned[::-1], whole)
    for size in sizes:
        parts = [step.fit_transform(X[i : i + size]) for i in range(0, len(X), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        assert np.concatenate(parts).dtype == whole.dtype


def test_every_step_of_the_lists_is_tested():
    tested = {type(step).__name__ for step in SIGNAL_STEPS}
    tested |= {"PhaseAnalysis", "PhaseStatistics", "ECGDigitizer"}
    assert tested == shared._ROW_WISE | shared._MEASURING
