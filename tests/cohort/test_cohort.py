import hashlib
import importlib
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import Cohort, Select
from crtkit.cohort.content import column_content, update_digest
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


def test_rows_of_another_order_are_refused(cohort):
    X = pd.DataFrame({"a": np.arange(12.0)})
    y, groups = pd.Series(cohort.y), pd.Series(cohort.groups)
    shuffled = X.sample(frac=1, random_state=0)
    for parts in ((shuffled, y, groups), (X, y, groups.iloc[::-1]), (X, y.iloc[::-1], groups)):
        with pytest.raises(ValueError, match="pandas indices differ, first at row"):
            Cohort(*parts)
    part = Cohort(shuffled, y.loc[shuffled.index], groups.loc[shuffled.index])
    np.testing.assert_array_equal(part.y, cohort.y[shuffled.index])
    with pytest.raises(ValueError, match="pandas indices differ"):
        part.take(X["a"] > 5)
    assert part[shuffled["a"] > 5].X["a"].min() == 6


def test_columns_of_one_column_are_taken_and_repeated_ones_refused(cohort):
    X = pd.DataFrame({"a": np.arange(12.0)})
    y, groups = pd.DataFrame({"y": cohort.y}), pd.DataFrame({"patient": cohort.groups})
    np.testing.assert_array_equal(Cohort(X, y, groups).y, cohort.y)
    assert Cohort(X, y, groups).n_patients == 6
    with pytest.raises(ValueError, match=r"y must hold one value per record.*\(12, 2\)"):
        Cohort(X, np.eye(2)[[0, 1] * 6], cohort.groups)
    with pytest.raises(ValueError, match=r"\['a'\] more than once"):
        Cohort(pd.concat([X, X], axis=1), cohort.y, cohort.groups)


@pytest.mark.parametrize("key", [slice(2, 5), [2, 3, 4], np.isin(np.arange(12), [2, 3, 4])])
def test_a_part_by_slice_positions_or_mask(cohort, key):
    np.testing.assert_array_equal(cohort[key].X["age"], cohort.X["age"].iloc[2:5])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("signal", "Columns are in cohort.X"),
        ([0.0, 1.0], "positions .integers. or a mask"),
        (pd.array([True, None] * 6, dtype="boolean"), "mask with missing values"),
        (np.zeros(12, dtype=bool), "at least one record"),
    ],
)
def test_other_keys_are_refused(cohort, key, message):
    with pytest.raises(ValueError, match=message):
        cohort[key]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: a,
        pd.Series,
        lambda a: pytest.importorskip("torch").tensor(a),
        lambda a: pytest.importorskip("torch").tensor(a, requires_grad=True),
        lambda a: a.tolist(),
        lambda a: tuple(a.tolist()),
    ],
    ids=["array", "Series", "tensor", "tensor with gradient", "list", "tuple"],
)
def test_fingerprint_sees_every_sample_of_anything_like_an_array(wrap):
    base = np.zeros(5000)
    marks = {}
    for at in (None, 0, 2500, 4999):
        values = base.copy()
        if at is not None:
            values[at] = 1e-9
        cells = np.empty(2, dtype=object)
        cells[0], cells[1] = wrap(values), wrap(base)
        marks[at] = Cohort(pd.DataFrame({"signal": cells}), [0, 1], [0, 1]).fingerprint()
    assert len(set(marks.values())) == 4
    plain = np.empty(2, dtype=object)
    plain[:] = [base, base]
    assert marks[None] == Cohort(pd.DataFrame({"signal": plain}), [0, 1], [0, 1]).fingerprint()


def test_fingerprint_tells_labels_and_columns_apart():
    X = pd.DataFrame({"a": [1, 2]})
    same = Cohort(X, [0, 1], [1, 2]).fingerprint()
    assert Cohort(X, ["0", "1"], [1, 2]).fingerprint() != same
    assert Cohort(X, [1, 0], [1, 2]).fingerprint() != same
    assert Cohort(X.rename(columns={"a": "b"}), [0, 1], [1, 2]).fingerprint() != same
    assert Cohort(X, [0, 1], ["1", "2"]).fingerprint() == same


def test_fingerprint_of_pages_and_mappings():
    image = pytest.importorskip("PIL.Image")
    marks = set()
    for value in (0, 1):
        page = image.fromarray(np.full((4, 4, 3), value, dtype=np.uint8))
        for cell in (page, {"page": np.full(3, value), "name": "a"}, (1, "a", value)):
            column = np.empty(2, dtype=object)
            column[0] = column[1] = cell
            marks.add(Cohort(pd.DataFrame({"a": column}), [0, 1], [0, 1]).fingerprint())
    assert len(marks) == 6


def test_fingerprint_refuses_what_has_no_content():
    X = pd.DataFrame({"signal": [object(), object()]})
    with pytest.raises(ValueError, match="column 'signal' holds object objects"):
        Cohort(X, [0, 1], [0, 1]).fingerprint()


def test_relative_files_outlive_a_change_of_folder(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"page")
    np.save(tmp_path / "s.npy", np.arange(6.0).reshape(2, 3))
    monkeypatch.chdir(tmp_path)
    X = pd.DataFrame({"image": ["a.jpg"] * 2, "signal": ["s.npy#1", "s.npy#0"]})
    cohort = Cohort(X, [0, 1], [0, 1])
    rows = Select("signal").fit_transform(X)
    mark = cohort.fingerprint()
    monkeypatch.chdir("/")
    assert cohort.fingerprint() == mark
    np.testing.assert_array_equal(rows[0], [3, 4, 5])
    np.testing.assert_array_equal(Select("signal").fit_transform(cohort.X)[1], [0, 1, 2])


def test_an_ordered_outcome_keeps_its_order():
    y = pd.Categorical(["poor", "good", "poor"], categories=["poor", "good"], ordered=True)
    cohort = Cohort(pd.DataFrame({"a": [1, 2, 3]}), y, [1, 2, 3])
    assert cohort.info["classes"] == cohort.take([0, 1]).info["classes"] == ["poor", "good"]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "category", "float64"])
def test_labels_of_any_column_type(dtype):
    values = {"boolean": [True, False], "string": ["b", "a"], "category": ["b", "a"]}
    y = pd.Series(values.get(dtype, [1, 0]), dtype=dtype)
    cohort = Cohort(pd.DataFrame({"a": [1, 2]}), y, [1, 2])
    assert cohort.y.tolist() == y.tolist()
    assert cohort.y.dtype.kind in "ibOf"


def test_select_reads_its_own_columns_by_name():
    X = pd.DataFrame({"lvef": [20.0, 30, 40], "age": [60, 70, 80], "id": ["a", "b", "c"]})
    other = X[["id", "age", "lvef"]].assign(new=1).iloc[::-1]
    select = Select(["lvef", "age"]).fit(X)
    np.testing.assert_array_equal(select.transform(other), select.transform(X)[::-1])
    np.testing.assert_array_equal(select.transform(other[["age", "lvef"]]), select.transform(other))
    with pytest.raises(ValueError, match=r"expects the column\(s\) \['age'\]"):
        select.transform(other[["lvef"]])
    with pytest.raises(ValueError, match=r"\['age'\] more than once"):
        select.transform(pd.concat([X, X[["age"]]], axis=1))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([True, None, False], [1, np.nan, 0]),
        (np.array([np.True_, None, np.False_], dtype=object), [1, np.nan, 0]),
        (pd.Categorical([1, 0, 2]), [1, 0, 2]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        (pd.arrays.SparseArray([0.0, 1.0, 0.0]), [0, 1, 0]),
    ],
)
def test_select_gives_numbers_of_any_numeric_column(column, expected):
    X = pd.DataFrame({"a": column})
    for names in ("a", ["a"]):
        np.testing.assert_array_equal(Select(names).fit_transform(X)[:, 0], expected)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1", "x", "2"], "row 1 holds 'x'"),
        (["1,5", "2,5", "1"], "row 0 holds '1,5': write the decimal sign as a point"),
        ([1.0, np.inf, 2.0], "contains infinity, first at row 1"),
    ],
)
def test_select_names_what_is_no_number(column, message):
    with pytest.raises(ValueError, match=message):
        Select(["a"]).fit_transform(pd.DataFrame({"a": column}))


def test_polars_is_read_by_name():
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"age": [60, None, 80], "sex": ["m", "f", None], "lvef": [20.5, 30, 40]})
    cohort = Cohort(table, pl.Series([0, 1, 0]), pl.Series(["a", "b", "c"]))
    np.testing.assert_array_equal(cohort.X["age"], [60, np.nan, 80])
    assert cohort.groups.tolist() == ["a", "b", "c"]
    select = Select(["lvef", "age"]).fit(cohort.X)
    np.testing.assert_array_equal(select.transform(table), select.transform(cohort.X))


@pytest.mark.parametrize("names", ["a", ["a"]])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.date_range("2020-01-01", periods=3), "datetime64.*compute what is meant"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "timedelta64.*compute what is meant"),
        (np.array([1j, 2, 3]), "complex128"),
    ],
)
def test_select_refuses_dates_and_complex_numbers(names, column, message):
    with pytest.raises(ValueError, match=message):
        Select(names).fit_transform(pd.DataFrame({"a": column}))


def test_labels_of_an_index_are_no_positions():
    X = pd.DataFrame({"age": np.arange(60.0)})
    part = Cohort(X, [0, 1] * 30, np.arange(60))[X["age"] >= 20]
    labels = part.X.index[part.X["age"] < 30]
    with pytest.raises(ValueError, match="expects positions, counted from 0, and got an index"):
        part.take(labels)
    assert part.take(part.X.index.get_indexer(labels)).X["age"].max() == 29
    with pytest.raises(ValueError, match="positions from 0 to 39, got 40"):
        part.take([0, 40])


def _count_calls(monkeypatch, target):
    """Let what ``target`` names count its calls; the list of them."""
    module, name = target.rsplit(".", 1)
    function, calls = getattr(importlib.import_module(module), name), []
    monkeypatch.setattr(target, lambda *a, **kw: (calls.append(a), function(*a, **kw))[1])
    return calls


@pytest.mark.parametrize("metadata_routing", [False, True])
def test_select_stacks_once_in_fit_transform(cohort, monkeypatch, metadata_routing):
    expected = Select("signal").fit(cohort.X).transform(cohort.X)
    calls = _count_calls(monkeypatch, "crtkit.cohort.select._stack")
    with config_context(enable_metadata_routing=metadata_routing):
        select = Select("signal").set_output(transform="pandas")
        found = select.fit_transform(cohort.X, cohort.y, groups=cohort.groups)
        assert len(calls) == 1
        np.testing.assert_array_equal(found, expected)
        assert select.feature_names_in_.tolist() == ["age", "signal"]
        make_pipeline(Select("signal"), FunctionTransformer()).fit(cohort.X, cohort.y)
    assert len(calls) == 2
    with pytest.raises(ValueError, match="no rows"):
        Select("signal").fit_transform(cohort.X.iloc[:0])


def test_fingerprint_reads_the_header_of_a_file_once(tmp_path, monkeypatch):
    """The digest is that of the cells one by one, also where files have rows of other shapes."""
    table = pd.DataFrame({"long": spill(np.arange(12.0).reshape(4, 3), tmp_path / "long.npy")})
    table["numbers"] = spill(np.arange(4.0), tmp_path / "numbers.npy")
    short = spill(np.arange(4.0).reshape(2, 2), tmp_path / "short.npy")
    table["mixed"] = [*table["long"][:2], *short]
    for name in table:
        one_by_one, together = hashlib.sha256(), hashlib.sha256()
        for cell in table[name]:
            update_digest(one_by_one, cell)
        for cell in column_content(table[name].to_numpy(dtype=object)):
            update_digest(together, cell)
        assert together.hexdigest() == one_by_one.hexdigest()
    long = Cohort(table[["long"]], [0, 1, 0, 1], [0, 1, 2, 3])
    calls = _count_calls(monkeypatch, "crtkit.cohort.rows.read_npy_header")
    long.fingerprint()
    assert len(calls) == 1


def test_tables_of_another_byte_order_are_taken():
    """pandas sorts and groups no other than the machine's."""
    y, groups = np.array([0, 1] * 10, dtype=">i8"), np.arange(20).astype(">i4")
    X = pd.DataFrame({"lvef": np.linspace(20, 40, 20).astype(">f8"), "male": y})
    swapped = Cohort(X, y, groups)
    native = Cohort(X.astype({"lvef": "f8", "male": "i8"}), y.astype("i8"), groups.astype("i4"))
    assert swapped.fingerprint() == native.fingerprint()
    for array in (swapped.X["lvef"].to_numpy(), swapped.y, swapped.groups):
        assert array.dtype.isnative
    assert swapped.X.groupby("male")["lvef"].mean().equals(native.X.groupby("male")["lvef"].mean())
    np.testing.assert_array_equal(Select(["lvef"]).fit_transform(X).ravel(), native.X["lvef"])


def test_fingerprint_sees_the_pages_of_a_file(tmp_path):
    def mark(folder, content, pages=("1", "2")):
        folder.mkdir(exist_ok=True)
        (folder / "scan.pdf").write_bytes(content)
        X = pd.DataFrame({"image": [str(folder / f"scan.pdf#page={page}") for page in pages]})
        return Cohort(X, [0, 1], ["a", "b"]).fingerprint()

    here = mark(tmp_path / "here", b"one")
    assert mark(tmp_path / "there", b"one") == here
    assert mark(tmp_path / "here", b"one", ("1", "02")) == here
    assert len({here, mark(tmp_path / "here", b"two"), mark(tmp_path / "here", b"one", "21")}) == 3
