"""The checks of :mod:`crtkit.testing`, one function each.

Every check takes the estimator and a ``Records`` (data of one kind and what is known of it), and
raises AssertionError, or what the estimator raised, when the contract is broken.
"""

import pickle
import random
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from crtkit.cohort.rows import Rows

METHODS = ("transform", "predict", "predict_proba", "decision_function")


def check_nd_keeps_records(estimator, data):
    """One answer per record, on axis 0, for any number of records."""
    fitted = fresh(estimator).fit(data.X, data.y)
    # One record too: squeezing it away is the commonest slip.
    for n in (len(data.X), 5, 1):
        for method, out in outputs(fitted, data.X[:n]).items():
            assert len(out) == n, f"{method} gave {len(out)} answers for {n} records"


def check_nd_shape_in(estimator, data):
    """``shape_in_`` is the shape of one record, ``n_features_in_`` its first axis."""
    fitted = fresh(estimator)
    assert fitted.fit(data.X, data.y) is fitted, "fit must return self"
    assert tuple(fitted.shape_in_) == data.X.shape[1:], f"shape_in_ is {fitted.shape_in_}"
    assert fitted.n_features_in_ == data.X.shape[1], f"n_features_in_ is {fitted.n_features_in_}"


def check_nd_unfitted(estimator, data):
    """Every method of an unfitted estimator says that it is not fitted."""
    for method in methods(estimator):
        raises(NotFittedError, getattr(fresh(estimator), method), data.X)


def check_nd_refuses_other_shapes(estimator, data):
    """Each axis that is not free raises a ValueError that names both shapes."""
    fitted = fresh(estimator).fit(data.X, data.y)
    for axis in range(1, data.X.ndim):
        longer = np.concatenate([data.X, data.X.take([0], axis=axis)], axis=axis)
        for method in methods(fitted):
            call = getattr(fitted, method)
            if axis in data.free_axes:
                assert len(call(longer)) == len(longer)
                continue
            message = str(raises(ValueError, call, longer))
            for size in (data.X.shape[axis], longer.shape[axis]):
                assert re.search(rf"\b{size}\b", message), (
                    f"{method} got axis {axis} of {longer.shape[axis]} instead of "
                    f"{data.X.shape[axis]}; the message must name both: {message}"
                )


def check_nd_refuses_other_axes(estimator, data):
    """One axis too many, a single record without its axis, or no record at all is a ValueError."""
    raises(ValueError, fresh(estimator).fit, data.X[..., None], data.y)
    raises(ValueError, fresh(estimator).fit, data.X[:0], data.y[:0])
    fitted = fresh(estimator).fit(data.X, data.y)
    for method in methods(fitted):
        for wrong in (data.X[..., None], data.X[0], data.X[:0]):
            raises(ValueError, getattr(fitted, method), wrong)


def check_nd_refuses_nan(estimator, data):
    """NaN or infinity in one sample of the last record is a ValueError, in every method."""
    if data.X.dtype.kind != "f" or get_tags(estimator).input_tags.allow_nan:
        return
    fitted = fresh(estimator).fit(data.X, data.y)
    # In the last cell of the last record, so that a look at the first block is not enough.
    for bad, word in ((np.nan, "NaN"), (np.inf, "infinity")):
        X = data.X.copy()
        X[(-1, *(-1 for _ in X.shape[1:]))] = bad
        messages = [raises(ValueError, fresh(estimator).fit, X, data.y)]
        messages += [raises(ValueError, getattr(fitted, method), X) for method in methods(fitted)]
        for message in messages:
            assert word.lower() in str(message).lower(), f"the message must say {word}: {message}"


def check_nd_keeps_float32(estimator, data):
    """Transformers whose ``preserves_dtype`` tag has float32 give float32 for float32."""
    tag = get_tags(estimator).transformer_tags
    if tag is None or data.X.dtype.kind != "f":
        return
    for dtype in ("float32", "float64"):
        if dtype in tag.preserves_dtype:
            X = data.X.astype(dtype)
            out = fresh(estimator).fit(X, data.y).transform(X)
            assert out.dtype == dtype, f"transform made {out.dtype} of {dtype}"


def check_nd_rows(estimator, data):
    """``Rows`` of a file give the bits that the array gives, in ``fit`` and afterwards."""
    fitted = fresh(estimator).fit(data.X, data.y)
    expected = outputs(fitted, data.X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.npy"
        # Backwards in the file: an estimator that ignores the order of the rows is caught.
        np.save(path, data.X[::-1])
        rows = Rows.from_cells([f"{path}#{i}" for i in reversed(range(len(data.X)))])
        same_bits(outputs(fitted, rows), expected, "Rows after fit on an array")
        again = fresh(estimator).fit(rows, data.y)
        assert tuple(again.shape_in_) == data.X.shape[1:]
        same_bits(outputs(again, rows), expected, "fit on Rows")


def check_nd_memory_layout(estimator, data):
    """Read-only, Fortran-ordered and strided arrays give the bits of a plain one."""
    fitted = fresh(estimator).fit(data.X, data.y)
    expected = outputs(fitted, data.X)
    locked = data.X.copy()
    locked.flags.writeable = False
    layouts = {
        "read-only": locked,
        "Fortran-ordered": np.asfortranarray(data.X),
        "strided": np.repeat(data.X, 2, axis=-1)[..., ::2],
        "reversed": data.X[::-1].copy()[::-1],
    }
    for name, X in layouts.items():
        same_bits(outputs(fitted, X), expected, f"{name} input")
        same_bits(outputs(fresh(estimator).fit(X, data.y), X), expected, f"fit on {name} input")


def check_nd_input_unchanged(estimator, data):
    """Neither X, y nor the parameters are written to."""
    X, y = data.X.copy(), data.y.copy()
    fitted = fresh(estimator)
    before = repr(fitted.get_params())
    outputs(fitted.fit(X, y), X)
    np.testing.assert_array_equal(X, data.X, err_msg="X was changed")
    np.testing.assert_array_equal(y, data.y, err_msg="y was changed")
    assert repr(fitted.get_params()) == before, "fit changed a parameter"


def check_nd_global_random_state(estimator, data):
    """The global generators of numpy, random and torch are where they were."""
    with _generators_put_back():
        outputs(fresh(estimator).fit(data.X, data.y), data.X)  # imports what will be imported
        _move_generators()
        before = _generator_states()
        outputs(fresh(estimator).fit(data.X, data.y), data.X)
        for name, state in _generator_states().items():
            assert state == before[name], f"the global generator of {name} was touched"


def check_nd_same_seed_same_bits(estimator, data):
    """Two fits of one seed, and a second fit after one on other records, give the same bits."""
    with _generators_put_back():
        expected = outputs(fresh(estimator).fit(data.X, data.y), data.X)
        _move_generators()
        again = outputs(fresh(estimator).fit(data.X, data.y), data.X)
        same_bits(again, expected, "another fit of the same seed")
        # Fitted before on other data: what is left of a first fit must not reach the second.
        used = fresh(estimator).fit(data.X[:-4], data.y[:-4])
        same_bits(outputs(used.fit(data.X, data.y), data.X), expected, "a second fit")


def check_nd_pickle(estimator, data):
    """A fitted estimator gives the same bits after pickling."""
    fitted = fresh(estimator).fit(data.X, data.y)
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - our own bytes
    same_bits(outputs(again, data.X), outputs(fitted, data.X), "a pickled estimator")


def check_nd_clone(estimator, data):
    """A clone of a fitted estimator has its parameters and nothing that was fitted."""
    fitted = fresh(estimator).fit(data.X, data.y)
    copy = clone(fitted)
    assert repr(copy) == repr(fitted), f"{fitted} was cloned to {copy}"
    kept = [name for name in vars(copy) if name.endswith("_") and not name.startswith("_")]
    assert not kept, f"a clone has the fitted attributes {kept}"
    same_bits(outputs(copy.fit(data.X, data.y), data.X), outputs(fitted, data.X), "a clone")


def check_nd_pandas_output(estimator, data):
    """In a pipeline set to pandas, 2-D output is a named DataFrame and n-d output stays itself."""
    if not hasattr(estimator, "transform"):
        return
    plain = np.asarray(fresh(estimator).fit(data.X, data.y).transform(data.X))
    local = make_pipeline(fresh(estimator)).set_output(transform="pandas")
    tables = {"set_output": local.fit(data.X, data.y).transform(data.X)}
    with config_context(transform_output="pandas"):
        tables["transform_output"] = fresh(estimator).fit(data.X, data.y).transform(data.X)
    for how, out in tables.items():
        if plain.ndim == 2:
            assert hasattr(out, "columns"), f"{how}: {type(out).__name__} is not a DataFrame"
            assert list(out.columns) == list(local[-1].get_feature_names_out())
        else:
            assert type(out) is np.ndarray, f"{how}: n-d output became {type(out).__name__}"
        np.testing.assert_array_equal(np.asarray(out), plain, err_msg=how)


def check_nd_order_and_subsets(estimator, data):
    """A record's answer depends neither on its place nor on the records beside it."""
    fitted = fresh(estimator).fit(data.X, data.y)
    expected = outputs(fitted, data.X)
    order = np.random.default_rng(0).permutation(len(data.X))
    for index in (order, order[:5], order[:1]):
        for method, out in outputs(fitted, data.X[index]).items():
            want = expected[method][index]
            if want.dtype.kind != "f":
                np.testing.assert_array_equal(out, want, err_msg=method)
                continue
            # float32 networks add in an order that depends on the batch.
            scale = max(1e-30, float(np.nanmax(np.abs(want))))
            np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-5 * scale, err_msg=method)


def check_nd_one_lead(estimator, data):
    """Signals of shape (n_records, n_samples) are one lead."""
    if not data.one_lead:
        return
    X = data.X[:, :1]
    expected = outputs(fresh(estimator).fit(X, data.y), X)
    flat = fresh(estimator).fit(X[:, 0], data.y)
    assert tuple(flat.shape_in_) == X.shape[2:]
    for method, out in outputs(flat, X[:, 0]).items():
        np.testing.assert_array_equal(
            out.reshape(len(X), -1), expected[method].reshape(len(X), -1), err_msg=method
        )


def check_nd_classifier_labels(estimator, data):
    """Labels of any type come back, sorted in ``classes_``, with the same probabilities."""
    if not is_classifier(estimator):
        return
    first = None
    for labels in ([0, 1], [-1, 1], ["no", "yes"], [False, True]):
        y = np.asarray(labels)[data.y]
        fitted = fresh(estimator).fit(data.X, y)
        assert fitted.classes_.tolist() == labels, "classes_ must be the sorted labels"
        predicted = fitted.predict(data.X)
        assert predicted.dtype.kind == y.dtype.kind, f"{predicted.dtype} for labels {y.dtype}"
        strange = set(predicted.tolist()) - set(labels)
        assert not strange, f"predict gave {strange} for labels {labels}"
        if not hasattr(fitted, "predict_proba"):
            continue
        proba = fitted.predict_proba(data.X)
        assert proba.shape == (len(y), 2), f"probabilities of shape {proba.shape}"
        assert proba.dtype == np.float64, f"probabilities in {proba.dtype} do not add up to 1"
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
        likely = fitted.classes_[proba.argmax(axis=1)]
        np.testing.assert_array_equal(
            predicted, likely, err_msg="predict is not the likelier class"
        )
        first = proba if first is None else first
        np.testing.assert_array_equal(proba, first, err_msg=f"labels {labels}")


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_nd_")]


def fresh(estimator):
    """An unfitted copy with every random_state fixed."""
    # By name at any depth: a pipeline's steps have seeds of their own.
    copy = clone(estimator)
    seeds = [name for name in copy.get_params() if name.rpartition("__")[2] == "random_state"]
    return copy.set_params(**dict.fromkeys(seeds, 0))


def methods(estimator):
    """Names of the methods that answer for records."""
    return [name for name in METHODS if hasattr(estimator, name)]


def outputs(fitted, X):
    """Answers of every method as arrays."""
    return {name: np.asarray(getattr(fitted, name)(X)) for name in methods(fitted)}


def same_bits(got, expected, what):
    """Raise unless every method gives the same values in the same dtype."""
    for method, want in expected.items():
        out = got[method]
        message = f"{method}: {what} gives other values"
        np.testing.assert_array_equal(out, want, err_msg=message)
        assert out.dtype == want.dtype, f"{method}: {what} gives {out.dtype}, not {want.dtype}"


def raises(kind, call, *args):
    """The exception that ``call`` raises; AssertionError if it raises none of this kind."""
    try:
        call(*args)
    except kind as error:
        return error
    shape = getattr(args[0], "shape", None)
    raise AssertionError(f"{call} must raise {kind.__name__} for input of shape {shape}")


def _generator_states():
    """State of each global generator, in a form that compares with ==."""
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    states = {"numpy": (kind, key.tobytes(), *rest), "random": random.getstate()}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states


def _move_generators():
    """Put each global generator in a state that no seed and no stream reaches by chance."""
    np.random.seed(987654321)  # noqa: NPY002
    random.seed(987654321)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(987654321)


@contextmanager
def _generators_put_back():
    """Leave the caller's global generators as they were."""
    torch = sys.modules.get("torch")
    states = np.random.get_state(), random.getstate(), torch and torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        if torch:
            torch.set_rng_state(states[2])
