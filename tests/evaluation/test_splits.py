import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.tree import DecisionTreeClassifier

from crtkit.evaluation import RepeatedStratifiedPatientSplit, group_holdout
from crtkit.metrics import SCORERS


@st.composite
def cohorts(draw, mixed=True):
    """Labels and patients of any kind, in any order, at least two patients a class."""
    n_classes = draw(st.integers(2, 3))
    names = draw(st.sampled_from([[0, 1, 2], ["a", "b", "c"]]))
    labels, groups = [], []
    n_patients = draw(st.integers(2 * n_classes, 14))
    as_text = draw(st.booleans())
    for patient in range(n_patients):
        n_records = draw(st.integers(1, 4))
        label = names[patient % n_classes]
        own = [label] * n_records
        if mixed and n_records > 2:
            own[0] = names[(patient + 1) % n_classes]
        labels += own
        groups += [f"p{patient}" if as_text else patient] * n_records
    order = draw(st.permutations(range(len(labels))))
    return np.array(labels)[order], np.array(groups)[order]


@given(cohorts(), st.floats(0.05, 0.9), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_no_patient_on_both_sides_and_every_class_on_each(data, size, seed):
    y, groups = data
    splitter = RepeatedStratifiedPatientSplit(3, test_size=size, random_state=seed)
    pairs = list(splitter.split(np.zeros((len(y), 1)), y, groups))
    pairs.append(group_holdout(y, groups, size=size, random_state=seed))
    for train, test in pairs:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(y)))
        majority = pd.Series(y).groupby(groups).agg(lambda v: v.mode().max())
        for part in (train, test):
            assert set(majority[np.unique(groups[part])]) == set(majority)


@given(cohorts(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_inner_splits_of_a_training_part_are_by_patient_too(data, seed):
    y, groups = data
    splitter = RepeatedStratifiedPatientSplit(2, test_size=0.5, random_state=seed)
    for train, test in splitter.split(y, y, groups):
        try:
            inner, held = group_holdout(y[train], groups[train], size=0.3, random_state=seed)
        except ValueError as error:
            assert "one patient" in str(error) or "one class" in str(error)  # noqa: PT017
            continue
        sides = [set(groups[train][inner]), set(groups[train][held]), set(groups[test])]
        assert sum(map(len, sides)) == len(set(groups))


def test_eighty_twenty_of_the_study():
    y = np.repeat([1, 0], [182, 103])
    groups = np.arange(285)
    for train, test in RepeatedStratifiedPatientSplit(random_state=0).split(y, y, groups):
        assert (len(train), len(test)) == (228, 57)
        assert y[test].sum() == 36  # 182 / 5 = 36.4 of 57


def test_split_k_does_not_depend_on_the_number_of_repeats_nor_on_row_order():
    y, groups = np.tile([0, 1], 30), np.repeat(np.arange(20), 3)
    y = np.array([y[g * 3] for g in groups])
    few = list(RepeatedStratifiedPatientSplit(3, random_state=7).split(y, y, groups))
    many = list(RepeatedStratifiedPatientSplit(9, random_state=7).split(y, y, groups))
    order = np.random.default_rng(0).permutation(60)
    shuffled = list(
        RepeatedStratifiedPatientSplit(3, random_state=7).split(y, y[order], groups[order])
    )
    for a, b, c in zip(few, many, shuffled):
        np.testing.assert_array_equal(a[1], b[1])
        assert set(groups[a[1]]) == set(groups[order][c[1]])
    assert len({tuple(test) for _, test in many}) == 9


def test_random_states():
    y, groups = np.repeat([0, 1], 20), np.arange(40)

    def tests(state):
        splitter = RepeatedStratifiedPatientSplit(2, random_state=state)
        return [tuple(test) for _, test in splitter.split(y, y, groups)]

    assert tests(3) == tests(3) == tests(np.int64(3)) != tests(4)
    assert tests(np.random.RandomState(1)) == tests(np.random.RandomState(1))


def test_the_global_generator_is_left_alone():
    y, groups = np.repeat([0, 1], 20), np.arange(40)
    draws = []
    for split in (False, True):
        np.random.seed(0)  # noqa: NPY002
        if split:
            list(RepeatedStratifiedPatientSplit(2, random_state=5).split(y, y, groups))
        draws.append(np.random.random())  # noqa: NPY002
    assert draws[0] == draws[1]


def test_mixed_patient_is_stratified_by_majority_then_the_larger_label():
    y = np.array([0, 0, 1, 0, 1, 0, 1])
    groups = np.array(["a", "a", "a", "b", "b", "c", "d"])
    for _, test in RepeatedStratifiedPatientSplit(20, test_size=2).split(y, y, groups):
        held = set(groups[test])
        assert len(held & {"a", "c"}) == len(held & {"b", "d"}) == 1


def test_in_scikit_learn():
    rng = np.random.default_rng(0)
    y, groups = np.repeat(["no", "yes"], 30), np.repeat(np.arange(30), 2)
    X = rng.normal(size=(60, 3)) + (y == "yes")[:, None]
    splitter = RepeatedStratifiedPatientSplit(4, random_state=0)
    out = cross_validate(LogisticRegression(), X, y, groups=groups, cv=splitter, scoring=SCORERS)
    assert len(out["test_roc_auc"]) == 4
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=splitter
    )
    assert clone(search).fit(X, y, groups=groups).n_splits_ == 4
    assert repr(splitter) == (
        "RepeatedStratifiedPatientSplit(n_repeats=4, random_state=0, test_size=0.2)"
    )
    with sklearn.config_context(enable_metadata_routing=True):
        nested = cross_validate(search, X, y, params={"groups": groups}, cv=splitter)
        assert not np.isnan(nested["test_score"]).any()


@pytest.mark.parametrize(
    ("y", "groups", "message"),
    [
        ([0, 1], None, "'groups' parameter should not be None"),
        (None, [1, 2, 3, 4], "needs y"),
        ([0, 0, 1, 1], [1, 1, 1, 1], "at least 2 patients, got 1"),
        ([0, 0, 0, 0], [1, 2, 3, 4], "one class: 0"),
        ([0, 0, 1, 1], [1, 2, 3, 3], "Class 1 has one patient"),
        (["a", "a", "b", "b"], [1, 2, 3, 3], "Class 'b' has one patient"),
        ([0, 0, 1, 1], [1.0, 2.0, np.nan, 4.0], "1 record.s. have no patient"),
        ([0, 0, 1, 1], np.array(["a", None, None, "b"], object), "2 record.s. .* first at row 1"),
        ([0, 0, 1, 1], ["a", "", "c", "nan"], "2 record.s. .* first at row 1"),
        ([0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], "continuous"),
        ([0, 0, 1], [1, 2, 3, 4], "inconsistent|one patient per record"),
    ],
)
def test_bad_input_is_named(y, groups, message):
    n = 4 if y is None else len(y)
    with pytest.raises(ValueError, match=message):
        next(RepeatedStratifiedPatientSplit().split(np.zeros((n, 1)), y, groups))
    if y is not None and groups is not None:
        with pytest.raises(ValueError, match=message):
            group_holdout(y, groups)


@pytest.mark.parametrize("size", [0, 1.0, -0.2, 4, "half", None, True])
def test_bad_sizes(size):
    y, groups = [0, 0, 1, 1], [1, 2, 3, 4]
    splitter = RepeatedStratifiedPatientSplit(test_size=size)
    with pytest.raises(ValueError, match=r"size in \(0, 1\) or a number of patients below 4"):
        next(splitter.split(y, y, groups))


def test_bad_parameters():
    y, groups = [0, 0, 1, 1], [1, 2, 3, 4]
    with pytest.raises(ValueError, match="n_repeats >= 1"):
        next(RepeatedStratifiedPatientSplit(0).split(y, y, groups))
    with pytest.raises(ValueError, match="must not be negative"):
        next(RepeatedStratifiedPatientSplit(random_state=-1).split(y, y, groups))


def test_holdout_without_groups_takes_records():
    train, held = group_holdout([0, 1] * 10, size=0.25, random_state=0)
    assert len(train) == 15
    assert len(held) == 5
