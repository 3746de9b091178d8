"""Six planted leaks are named, and nothing on clean cohorts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit import Cohort, LeadStatistics, Select, evaluate
from crtkit.datasets import make_cohort
from crtkit.evaluation import RepeatedStratifiedPatientSplit, audit_leaks


def clean(seed=0, n=40, records=2):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), records)
    y = rng.permutation(np.arange(n) % 2)[patient]
    X = pd.DataFrame(
        {"lvef": rng.normal(28, 6, len(y)) - y, "sex": rng.choice(["F", "M"], n)[patient]}
    )
    X["signal"] = list(rng.normal(size=(len(y), 2, 200)).cumsum(axis=-1).astype(np.float32))
    return Cohort(X, y, [f"p{i}" for i in patient])


MODEL = make_pipeline(Select(["lvef"]), StandardScaler(), LogisticRegression())


def change(cohort, **columns):
    return Cohort(cohort.X.assign(**columns), cohort.y, cohort.groups, cohort.info)


def kinds(cohort, models=None, **kwargs):
    return audit_leaks(cohort, models or {"m": MODEL}, **kwargs)["kind"].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_on_clean_data(seed):
    assert audit_leaks(clean(seed), {"m": MODEL}, cv=GroupKFold(4)).empty


def signals_with(cohort, change_of):
    cells = cohort.X["signal"].tolist()
    cells[-1] = change_of(cells[0])
    return change(cohort, signal=cells)


def test_the_six_planted_leaks():
    cohort = clean()
    rng = np.random.default_rng(1)
    assert kinds(cohort, cv=KFold(4, shuffle=True, random_state=0)) == ["patient on both sides"] * 4
    assert kinds(signals_with(cohort, lambda s: s.copy())) == ["equal records"]
    noisy = signals_with(cohort, lambda s: 1.2 * s + rng.normal(0, 0.02, s.shape).astype("f4"))
    found = audit_leaks(noisy, {"m": MODEL})
    assert found["kind"].tolist() == ["near-equal records"]
    assert found["records"].iloc[0] == [(0, len(cohort) - 1)]
    scaled = StandardScaler().fit(cohort.X[["lvef"]].to_numpy())
    frozen = make_pipeline(Select(["lvef"]), FrozenEstimator(scaled), LogisticRegression())
    found = audit_leaks(cohort, {"m": frozen})
    assert found["kind"].tolist() == ["frozen transform"]
    assert "all rows of this cohort" in found["reason"].iloc[0]
    after = change(cohort, lvesv_after=80 - 30.0 * cohort.y + rng.normal(0, 2, len(cohort)))
    assert kinds(after) == ["label column"]
    search = GridSearchCV(MODEL, {"logisticregression__C": [1, 2]}, cv=KFold(3))
    assert kinds(cohort, {"m": search}) == ["inner split"]


def test_what_is_declared_or_true_is_named_where_a_model_reads_it():
    cohort = clean()
    rng = np.random.default_rng(0)
    for column, info in (("volume", {"label_columns": ["volume"]}), ("true_volume", {})):
        X = cohort.X.assign(**{column: rng.normal(size=len(cohort))})
        told = Cohort(X, cohort.y, cohort.groups, info)
        assert kinds(told) == []
        assert kinds(told, {"m": make_pipeline(Select([column]), LogisticRegression())}) == [
            "label column"
        ]
    words = change(cohort, answer=np.where(cohort.y == 1, "better", "same"))
    assert kinds(words) == ["label column"]


def test_two_labels_and_time():
    cohort = clean()
    y = cohort.y.copy()
    y[0] = 1 - y[0]
    found = audit_leaks(Cohort(cohort.X, y, cohort.groups))
    assert found["kind"].tolist() == ["two labels"]
    assert found["records"].iloc[0] == [0, 1]
    assert audit_leaks(Cohort(cohort.X, y, cohort.groups), by="record").empty
    dated = change(cohort, year=2000 + np.arange(len(cohort)) // 8)
    assert set(kinds(dated, cv=GroupKFold(3), time="year")) == {"later training"}
    early, late = np.arange(40), np.arange(40, 80)
    assert kinds(dated, cv=[(early, late)], time="year") == []


def test_equal_and_resaved_pages_are_found():
    rng = np.random.default_rng(0)
    pages = rng.integers(0, 256, (8, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    pages[5] = np.clip(pages[1] * 1.05, 0, 255)
    pages[7] = pages[2]
    cohort = Cohort(pd.DataFrame({"image": list(pages)}), np.arange(8) % 2, np.arange(8))
    found = audit_leaks(cohort).set_index("kind")
    assert found.loc["equal records", "records"] == [(2, 7)]
    assert found.loc["near-equal records", "records"] == [(1, 5)]


def test_a_model_without_leaks_in_a_signal_pipeline():
    model = make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression())
    assert kinds(clean(), {"m": model}) == []


class IgnoresGroups(KFold):
    """Takes the patients as a group splitter does, and splits by record all the same."""

    __metadata_request__split = {"groups": True}

    def split(self, X, y=None, groups=None):
        return super().split(X, y)


def test_a_splitter_that_ignores_its_groups_is_refused():
    search = GridSearchCV(MODEL, {"logisticregression__C": [1, 2]}, cv=IgnoresGroups(3))
    found = audit_leaks(clean(), {"m": search})
    assert found["kind"].tolist() == ["inner split"]
    assert "ignores them" in found["reason"].iloc[0]
    with pytest.raises(ValueError, match="ignores them"):
        evaluate({"m": search}, clean(), seeds=1)


def test_every_evaluation_looks_for_leaks():
    cohort = clean()
    quiet = evaluate({"m": MODEL}, cohort, seeds=2, threads_per_fit=1)
    assert quiet.leaks_.empty
    noise = np.random.default_rng(1).normal(0, 0.02, (2, 200)).astype("f4")
    planted = signals_with(cohort, lambda s: 1.2 * s + noise)
    planted = change(planted, volume=80 - 30.0 * cohort.y)
    scaled = StandardScaler().fit(cohort.X[["lvef"]].to_numpy())
    frozen = make_pipeline(Select(["lvef"]), FrozenEstimator(scaled), LogisticRegression())
    with pytest.warns(
        UserWarning, match="(?s)3 leak.*near-equal records, signal.*label column, volume"
    ):
        result = evaluate({"m": frozen}, planted, seeds=2, threads_per_fit=1)
    assert result.leaks_["kind"].tolist() == [
        "near-equal records", "label column", "frozen transform",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("study", ["mori2025", "he2021", "he2023", "lvsd2026"])
def test_nothing_is_found_in_simulated_cohorts(study):
    by = "record" if study == "lvsd2026" else "patient"
    for k in range(10):
        cohort = make_cohort(study, n_patients=24, random_state=k)
        splitter = RepeatedStratifiedPatientSplit(2, random_state=k)
        found = audit_leaks(cohort, cv=splitter, by=by)
        assert found.empty, found
