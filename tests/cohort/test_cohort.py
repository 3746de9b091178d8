import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import Cohort, Select
from crtkit.cohort.rows import Rows, spill


def _array_column(arrays):
    column = np.empty(len(arrays), dtype=object)
    column[:] = list(arrays)
    return column


@pytest.fixture
def cohort(make_table, make_signals):
    table = make_table()
    X = pd.DataFrame({"age": table["age"], "signal": _array_column(make_signals(len(table)))})
    return Cohort(X, table["response"], table["patient"], {"name": "six", "source": "simulated"})


# "col_0" is the name that the checks give the first column of their frames.
@parametrize_with_checks([Select("col_0"), Select(["col_0"])])
def test_select_passes_the_common_checks(estimator, check):
    check(estimator)


def test_unpacks_and_counts(cohort):
    X, y, groups = cohort
    assert X is cohort.X
    assert len(cohort) == len(y) == len(groups) == 12
    assert cohort.n_patients == 6
    assert "12 records of 6 patients" in repr(cohort)
    assert "'no': 6, 'yes': 6" in repr(cohort)


def test_html_is_escaped(cohort):
    assert "<b>" not in Cohort(*cohort, {"name": "<b>"})._repr_html_()
    assert "&lt;b&gt;" in Cohort(*cohort, {"name": "<b>"})._repr_html_()


@pytest.mark.parametrize("mask", [False, True])
def test_take_keeps_rows_together(cohort, mask):
    chosen = np.array([7, 2]) if not mask else np.isin(np.arange(12), [2, 7])
    part = cohort.take(chosen)
    want = [7, 2] if not mask else [2, 7]
    np.testing.assert_array_equal(part.X["age"], cohort.X["age"].to_numpy()[want])
    np.testing.assert_array_equal(part.groups, cohort.groups[want])
    np.testing.assert_array_equal(part.X["signal"].iloc[0], cohort.X["signal"].iloc[want[0]])
    assert part.info == cohort.info


def test_is_frozen(cohort):
    with pytest.raises(AttributeError):
        cohort.y = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1]}, "one length, got X: 12, y: 2, groups: 12"),
        ({"groups": ["a"] * 11 + [None]}, "no patient identifier in groups, first at row 11"),
        ({"X": np.zeros((12, 2))}, "X as a DataFrame"),
    ],
)
def test_refuses(cohort, change, message):
    parts = {"X": cohort.X, "y": cohort.y, "groups": cohort.groups} | change
    with pytest.raises(ValueError, match=message):
        Cohort(**parts)


def test_refuses_no_records(cohort):
    with pytest.raises(ValueError, match="at least one record"):
        cohort.take([])


def test_fingerprint_follows_content_not_place(cohort, tmp_path):
    arrays = list(cohort.X["signal"])
    fingerprints = set()
    for name in ("a", "b"):
        cells = spill(arrays, tmp_path / f"{name}.npy")
        moved = Cohort(cohort.X.assign(signal=cells), cohort.y, cohort.groups)
        fingerprints.add(moved.fingerprint())
    assert fingerprints == {cohort.fingerprint()}
    assert cohort.take(np.arange(12)[::-1]).fingerprint() != cohort.fingerprint()


def test_a_pipeline_takes_arrays_rows_and_array_cells_alike(cohort, tmp_path):
    arrays = np.stack(cohort.X["signal"])
    as_rows = cohort.X.assign(signal=spill(list(arrays), tmp_path / "signals.npy"))
    flat = FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1))
    model = make_pipeline(Select("signal"), flat, LogisticRegression())
    scores = [
        cross_validate(model, X, cohort.y, groups=cohort.groups, cv=GroupKFold(3))["test_score"]
        for X in (cohort.X, as_rows, arrays)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    names = clone(model).fit(cohort.X, cohort.y).feature_names_in_
    np.testing.assert_array_equal(names, ["age", "signal"])


def test_rows_pass_through_a_search_lazily(cohort, tmp_path):
    as_rows = cohort.X.assign(signal=spill(list(cohort.X["signal"]), tmp_path / "signals.npy"))
    out = Select("signal").fit_transform(as_rows)
    assert isinstance(out, Rows)
    flat = FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1))
    search = GridSearchCV(
        make_pipeline(Select("signal"), flat, LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=GroupKFold(3),
    )
    search.fit(as_rows, cohort.y, groups=cohort.groups)
    assert len(search.cv_results_["mean_test_score"]) == 2


def test_set_output_works_on_the_whole_pipeline(cohort):
    model = make_pipeline(Select(["age"]), FunctionTransformer(feature_names_out="one-to-one"))
    model.set_output(transform="pandas")
    assert model.fit_transform(cohort.X).shape == (12, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a.jpg", None], r"1 empty cell\(s\), first at row 1"),
        (["a.jpg", np.zeros(3)], "row 0 is a path, row 1 is an array"),
        ([np.zeros(3), np.zeros(4)], r"\(3,\) at row 0, \(4,\) at row 1"),
        (["missing.npy#0", "missing.npy#1"], "missing.npy cannot be read"),
    ],
)
def test_select_refuses_cells(cells, message):
    with pytest.raises(ValueError, match=message):
        Select("cell").fit_transform(pd.DataFrame({"cell": _array_column(cells)}))


def test_select_names_the_missing_column(cohort):
    with pytest.raises(ValueError, match=r"expects the column\(s\) \['image'\]"):
        Select("image").fit(cohort.X)
    with pytest.raises(ValueError, match=r"pass cohort\.X"):
        Select("image").fit(cohort)
    with pytest.raises(ValueError, match="numeric covariates"):
        Select(["age", "signal"]).fit(cohort.X)


def test_numbers_in_an_object_column_are_numbers():
    X = pd.DataFrame({"age": pd.array([61, None, 70], dtype=object)})
    np.testing.assert_array_equal(Select("age").fit_transform(X), [[61.0], [np.nan], [70.0]])


def test_paths_come_out_as_plain_strings():
    X = pd.DataFrame({"image": pd.array(["a.jpg", "b.jpg"], dtype="string")})
    out = Select("image").fit_transform(X)
    assert out.dtype == object
    assert [type(path) for path in out] == [str, str]


def test_select_is_small_to_send_to_a_worker(cohort, tmp_path):
    cells = spill([np.zeros((12, 5000), np.float32)] * 20, tmp_path / "signals.npy")
    rows = Select("signal").fit_transform(pd.DataFrame({"signal": cells}))
    assert len(pickle.dumps(rows)) < 5_000 < rows.nbytes


def test_a_fitted_select_reads_its_own_columns_by_name_whatever_else_a_table_has():
    X = pd.DataFrame({"age": [60.0, 70.0], "lvef": [30.0, 25.0], "site": ["a", "b"]})
    select = Select(["lvef"]).fit(X)
    other = pd.DataFrame({"more": [0, 1], "lvef": [31.0, 26.0]})
    np.testing.assert_array_equal(select.transform(other), [[31.0], [26.0]])
    np.testing.assert_array_equal(select.transform(X[["site", "lvef", "age"]]), [[30.0], [25.0]])
    with pytest.raises(ValueError, match="lvef"):
        select.transform(other[["more"]])
