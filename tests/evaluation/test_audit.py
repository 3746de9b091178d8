"""Six planted leaks are named, and nothing on clean cohorts."""

import lzma

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._real_ecgs import decode_leads
from crtkit import Cohort, LeadStatistics, Select, evaluate
from crtkit.datasets import make_cohort
from crtkit.evaluation import RepeatedStratifiedPatientSplit, audit_leaks
from crtkit.evaluation.leaks.beats import same_beats


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
    # Dates as text are dates, whatever pandas calls a column of text: April comes after January.
    for dtype in (object, "string"):
        text = change(cohort, day=pd.array(["Jan 2020"] * 40 + ["Apr 2020"] * 40, dtype=dtype))
        assert kinds(text, cv=[(early, late)], time="day") == []
    with pytest.raises(ValueError, match="'day' is no column"):
        audit_leaks(dated, cv=[(early, late)], time="day")


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


def another_cut(signal, start=1300, seed=0):
    """The same recording from another moment on, with noise at 20 dB."""
    cut = signal[:, start:]
    noise = np.random.default_rng(seed).normal(size=cut.shape)
    return (cut + 0.1 * cut.std(axis=1, keepdims=True) * noise).astype(np.float32)


@pytest.mark.parametrize("rate", [500.0, 250.0])
def test_another_stretch_of_a_recording_under_another_name(rate):
    cohort = make_cohort("mori2025", n_patients=24, modality="signal", random_state=2)
    step = round(500 / rate)
    whole = [cell[:, ::step] for cell in cohort.X["signal"]]
    n = 3500 // step
    cells = [signal[:, :n] for signal in whole]
    info = {"sampling_rate": rate}
    assert audit_leaks(Cohort(pd.DataFrame({"signal": cells}), cohort.y, cohort.groups, info)).empty
    # Under two other names: neither copy hides the other.
    for row, start in ((5, 1300), (9, 700)):
        cells[row] = another_cut(whole[3], start // step, row)[:, :n]
    planted = Cohort(pd.DataFrame({"signal": cells}), cohort.y, cohort.groups, info)
    found = audit_leaks(planted)
    assert found["kind"].tolist() == ["near-equal records"]
    assert found["records"].iloc[0] == [(3, 5), (3, 9), (5, 9)]
    assert "Look at both" in found["reason"].iloc[0]
    assert audit_leaks(planted, beats=False).empty
    # Of one patient they are no leak.
    groups = cohort.groups.astype(object).copy()
    groups[[5, 9]] = groups[3]
    y = cohort.y.copy()
    y[[5, 9]] = y[3]
    assert audit_leaks(Cohort(planted.X, y, groups, info)).empty


@pytest.mark.parametrize(
    "cells",
    [
        np.zeros((6, 12, 1000)),
        np.full((6, 12, 1000), np.nan),
        np.random.default_rng(0).normal(size=(6, 12, 90)),
        np.random.default_rng(0).normal(size=(6, 2, 1000)),
    ],
)
def test_what_has_no_beats_is_no_pair(cells):
    assert same_beats(cells, np.arange(6), 100.0) == []
    assert same_beats(list(cells[:1]), np.arange(1), 500.0) == []


def test_real_records_cut_in_two(data_dir):
    """Of 120 patients of PTB-XL most second cuts are found, and no stranger is."""
    folder = data_dir / "ptbxl_500hz"
    if not (folder / "labels.csv").exists():
        pytest.skip("PTB-XL is not here")
    with lzma.open(folder / "shard_00.npy.xz") as file:
        records = decode_leads(np.load(file, allow_pickle=False)) / 1000.0
    labels = pd.read_csv(folder / "labels.csv")
    labels = labels[labels["shard"] == "shard_00.npy.xz"].drop_duplicates("patient_id")[:120]
    records = records[labels["row"].to_numpy()].astype(np.float32)
    n = len(records)
    cells = [
        *records[:, :, :2500],
        *(another_cut(record, 2500, k) for k, record in enumerate(records)),
    ]
    found = same_beats(cells, np.arange(2 * n), 500.0)
    assert all(j == i + n for i, j in found)
    assert len(found) > 0.7 * n


@pytest.mark.slow
@pytest.mark.parametrize("study", ["mori2025", "he2021", "he2023", "lvsd2026"])
def test_nothing_is_found_in_simulated_cohorts(study):
    by = "record" if study == "lvsd2026" else "patient"
    for k in range(10):
        cohort = make_cohort(study, n_patients=24, random_state=k)
        splitter = RepeatedStratifiedPatientSplit(2, random_state=k)
        found = audit_leaks(cohort, cv=splitter, by=by)
        assert found.empty, found
