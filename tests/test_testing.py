"""The checks pass what keeps the contract, and each catches an estimator that breaks it."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from crtkit import LeadStatistics
from crtkit._nd_checks import CHECKS
from crtkit._validation import as_leads, check_records
from crtkit.cohort.rows import Rows
from crtkit.testing import SHAPES, make_records, nd_checks, parametrize_with_nd_checks


class Centre(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Subtract each row's mean: n-d in, n-d out."""

    kind = "signals"

    def fit(self, X, y=None):
        check_records(self, X, kind=self.kind, reset=True, ndim=(2, 3, 4))
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = self._checked(X)
        return X - X.mean(axis=-1, keepdims=True)

    def _checked(self, X):
        X = check_records(self, X, kind=self.kind, reset=False, ndim=(2, 3, 4))
        return np.ascontiguousarray(X[:] if not isinstance(X, Rows) else X.__array__())

    def set_output(self, *, transform=None):
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class Widest(ClassifierMixin, BaseEstimator):
    """Nearest class by standard deviation, with a little noise of its own."""

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        X = self._read(X, reset=True)
        self.classes_, code = np.unique(y, return_inverse=True)
        noise = 1e-6 * check_random_state(self.random_state).normal()
        self.centres_ = [self._width(X[code == k]).mean() + noise for k in range(2)]
        return self

    def _read(self, X, reset):
        X = check_records(self, X, kind="signals", reset=reset)
        X = np.ascontiguousarray(X if not isinstance(X, Rows) else X.__array__())
        return as_leads(X)

    def _width(self, X):
        return X.reshape(len(X), -1).std(axis=1).astype(np.float64)

    def predict_proba(self, X):
        check_is_fitted(self)
        width = self._width(self._read(X, reset=False))
        far = np.abs(width[:, None] - np.array(self.centres_))
        return far[:, ::-1] / far.sum(axis=1, keepdims=True)

    def predict(self, X):
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Averages(Centre):
    """Centre with a three-axis limit, for signals only."""

    def fit(self, X, y=None):
        check_records(self, X, kind=self.kind, reset=True)
        return self


class CentreImages(Centre):
    kind = "images"

    def fit(self, X, y=None):
        check_records(self, X, kind=self.kind, reset=True, ndim=(2, 4))
        return self


class CentreMaps(Averages):
    kind = "maps"


class CentreSpectrograms(CentreImages):
    kind = "spectrograms"


@parametrize_with_nd_checks(
    [
        (Averages(), "signals"),
        (CentreImages(), "images"),
        (CentreMaps(), "maps"),
        (CentreSpectrograms(), "spectrograms"),
        (Widest(), "signals"),
        (LeadStatistics(), "signals", {"free_axes": (2,)}),
        (LeadStatistics(statistics=["median"]), "signals", {"free_axes": (2,), "shape": (12, 50)}),
    ]
)
def test_what_keeps_the_contract_passes(estimator, check):
    check(estimator)


class DropsARecord(Averages):
    def transform(self, X):
        return super().transform(X)[1:]


class ForgetsShape(Averages):
    def fit(self, X, y=None):
        super().fit(X)
        self.shape_in_ = (0,)
        return self


class ReturnsNothing(Averages):
    def fit(self, X, y=None):
        super().fit(X)


class FittedFromTheStart(Averages):
    def transform(self, X):
        return np.asarray(X)


class TakesAnyLength(Averages):
    def _checked(self, X):
        X = check_records(self, X, kind="signals", reset=False, free_axes=(2,))
        return X.__array__() if isinstance(X, Rows) else X


class SaysLittle(Averages):
    def _checked(self, X):
        try:
            return super()._checked(X)
        except ValueError as error:
            raise ValueError("wrong shape") from error


class TakesAnyAxes(Averages):
    def fit(self, X, y=None):
        check_records(self, X, kind="signals", reset=True, ndim=(2, 3, 4))
        return self


class TakesNaNLater(Averages):
    def _checked(self, X):
        X = check_records(self, X, kind="signals", reset=False, finite=False)
        return X.__array__() if isinstance(X, Rows) else X


class MakesFloat64(Averages):
    def transform(self, X):
        return super().transform(X).astype(np.float64)


class ReadsTheFileInOrder(Averages):
    """Takes the whole file for the rows of it that were asked for."""

    def _checked(self, X):
        return np.load(X.paths[0]) if isinstance(X, Rows) else super()._checked(X)


class AddsAsItLies(Averages):
    """Sums in memory order, so that the layout reaches the bits."""

    def _checked(self, X):
        X = check_records(self, X, kind="signals", reset=False)
        return X.__array__() if isinstance(X, Rows) else X

    def transform(self, X):
        X = self._checked(X)
        return X - np.sum(X, axis=-1, keepdims=True) / X.shape[-1]


class WritesIntoX(Averages):
    def transform(self, X):
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False)
        X -= X.mean(axis=-1, keepdims=True)
        return X


class ReseedsNumpy(Widest):
    def fit(self, X, y):
        np.random.seed(0)  # noqa: NPY002
        return super().fit(X, y)


class ReseedsTorch(Widest):
    def fit(self, X, y):
        import torch

        torch.manual_seed(0)
        torch.rand(3)
        return super().fit(X, y)


class UsesTheGlobalGenerator(Widest):
    def fit(self, X, y):
        super().fit(X, y)
        self.centres_[0] += 1e-3 * np.random.random()  # noqa: NPY002
        return self


class WarmStarts(Widest):
    def fit(self, X, y):
        before = getattr(self, "centres_", None)
        super().fit(X, y)
        if before is not None:
            self.centres_ = [(a + b) / 2 for a, b in zip(before, self.centres_)]
        return self


class HoldsALambda(Averages):
    def fit(self, X, y=None):
        self.call_ = lambda: None
        return super().fit(X)


class LosesStateWhenPickled(Widest):
    def __getstate__(self):
        return {**super().__getstate__(), "centres_": [0.0, 1.0]}


class KeepsFitWhenCloned(Averages):
    def __sklearn_clone__(self):
        copy = type(self)()
        vars(copy).update(vars(self))
        return copy


class FrameOfThreeAxes(TransformerMixin, BaseEstimator):
    """Names n-d output, so that scikit-learn tries to make a DataFrame of it."""

    def fit(self, X, y=None):
        check_records(self, X, kind="signals", reset=True)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return np.asarray(X)

    def get_feature_names_out(self, input_features=None):
        return np.array(["a", "b", "c"], dtype=object)


class NamelessTable(TransformerMixin, BaseEstimator):
    """2-D output without names."""

    def fit(self, X, y=None):
        check_records(self, X, kind="signals", reset=True)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return np.asarray(X).mean(axis=-1)


class CentresOnTheBatch(Averages):
    def transform(self, X):
        X = super().transform(X)
        return X - X.mean(axis=0)


class SwapsOneLead(Averages):
    def transform(self, X):
        X = super().transform(X)
        return -X if X.ndim == 2 else X


class PredictsIndices(Widest):
    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


class ProbabilitiesInFloat32(Widest):
    def predict_proba(self, X):
        return super().predict_proba(X).astype(np.float32)


class ColumnsTurned(Widest):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


BROKEN = [
    (DropsARecord, "check_nd_keeps_records", "23 answers for 24 records"),
    (ForgetsShape, "check_nd_shape_in", "shape_in_ is"),
    (ReturnsNothing, "check_nd_shape_in", "fit must return self"),
    (FittedFromTheStart, "check_nd_unfitted", "must raise NotFittedError"),
    (TakesAnyLength, "check_nd_refuses_other_shapes", "must raise ValueError"),
    (SaysLittle, "check_nd_refuses_other_shapes", "must name both"),
    (TakesAnyAxes, "check_nd_refuses_other_axes", "must raise ValueError"),
    (TakesNaNLater, "check_nd_refuses_nan", "must raise ValueError"),
    (MakesFloat64, "check_nd_keeps_float32", "made float64 of float32"),
    (ReadsTheFileInOrder, "check_nd_rows", "Rows after fit on an array"),
    (AddsAsItLies, "check_nd_memory_layout", "Fortran-ordered input"),
    (WritesIntoX, "check_nd_input_unchanged", "X was changed"),
    (WritesIntoX, "check_nd_memory_layout", "read-only"),
    (ReseedsNumpy, "check_nd_global_random_state", "generator of numpy was touched"),
    (ReseedsTorch, "check_nd_global_random_state", "generator of torch was touched"),
    (UsesTheGlobalGenerator, "check_nd_global_random_state", "generator of numpy was touched"),
    (UsesTheGlobalGenerator, "check_nd_same_seed_same_bits", "another fit of the same seed"),
    (WarmStarts, "check_nd_same_seed_same_bits", "a second fit"),
    (HoldsALambda, "check_nd_pickle", "pickle local object"),
    (LosesStateWhenPickled, "check_nd_pickle", "a pickled estimator"),
    (KeepsFitWhenCloned, "check_nd_clone", "a clone has the fitted attributes"),
    (FrameOfThreeAxes, "check_nd_pandas_output", "2-d"),
    (NamelessTable, "check_nd_pandas_output", "Unable to configure output"),
    (CentresOnTheBatch, "check_nd_order_and_subsets", "Not equal to tolerance"),
    (SwapsOneLead, "check_nd_one_lead", "Arrays are not equal"),
    (PredictsIndices, "check_nd_classifier_labels", r"predict gave \{0\}"),
    (ProbabilitiesInFloat32, "check_nd_classifier_labels", "probabilities in float32"),
    (ColumnsTurned, "check_nd_classifier_labels", "not the likelier class"),
]


@pytest.mark.parametrize(
    ("broken", "name", "message"), BROKEN, ids=[f"{c.__name__}-{name}" for c, name, _ in BROKEN]
)
def test_what_breaks_the_contract_is_caught(broken, name, message):
    check = next(c for _, c in nd_checks(broken(), "signals") if c.func.__name__ == name)
    with pytest.raises(Exception, match=message):
        check(broken())


def test_every_check_catches_something():
    assert {check.__name__ for check in CHECKS} == {name for _, name, _ in BROKEN}


def test_free_axes_must_be_free():
    checks = {
        check.func.__name__: check for _, check in nd_checks(Averages(), "signals", free_axes=(2,))
    }
    with pytest.raises(ValueError, match="65 samples"):
        checks["check_nd_refuses_other_shapes"](Averages())


@pytest.mark.parametrize("kind", SHAPES)
def test_records_of_each_kind(kind):
    X, y = make_records(kind)
    assert X.shape == (24, *SHAPES[kind])
    assert X.dtype == (np.uint8 if kind == "images" else np.float32)
    assert np.bincount(y).tolist() == [12, 12]
    assert X[y == 1].mean() > X[y == 0].mean()
    np.testing.assert_array_equal(make_records(kind)[0], X)
    assert make_records(kind, shape=(2, 5), n_records=3)[0].shape == (3, 2, 5)
    if kind == "maps":
        assert X.min() >= 0
        assert X.max() < 360


def test_unknown_kind():
    with pytest.raises(ValueError, match="kind among signals, images"):
        make_records("sounds")


def test_records_of_ones_own_are_used():
    X = np.zeros((6, 2, 10), dtype=np.float32)
    seen = [
        check.keywords["data"].X
        for _, check in nd_checks(Averages(), "signals", records=lambda: (X, [0, 1] * 3))
    ]
    assert all(data.shape == X.shape for data in seen)


def test_expected_failures_are_marked_with_their_reason():
    mark = parametrize_with_nd_checks(
        [(MakesFloat64(), "signals")],
        expected_failed_checks=lambda estimator: {"check_nd_keeps_float32": "float64 is wanted"},
    )
    marked = [case for case in mark.args[1] if case.marks]
    assert [case.id for case in marked] == ["MakesFloat64-signals-check_nd_keeps_float32"]
    assert marked[0].marks[0].kwargs["reason"] == "float64 is wanted"


def test_a_column_of_arrays_is_stacked_by_position():
    """What a table's column holds: labels of a filtered table do not begin at 0."""
    pd = pytest.importorskip("pandas")
    X, _ = make_records("signals", n_records=4)
    column = pd.Series(list(X), index=[7, 8, 9, 12])
    expected = LeadStatistics().fit_transform(X)
    np.testing.assert_array_equal(LeadStatistics().fit_transform(column), expected)
    with pytest.raises(ValueError, match="got paths such as 'a.jpg'"):
        LeadStatistics().fit(pd.Series(["a.jpg", "b.jpg"], index=[3, 4]))
