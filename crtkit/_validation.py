"""What every estimator requires of records with more than two axes, on top of scikit-learn.

scikit-learn's ``validate_data(allow_nd=True)`` records axis 1 and compares nothing behind it, so
the shape of a record is kept as ``shape_in_`` and compared here.
"""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from crtkit._columns import native
from crtkit._leads import lead_name, refuse_exchanged_axes
from crtkit.cohort.rows import Rows

FLOAT_DTYPES = (np.float64, np.float32)

AXES = {
    "signals": ("n_leads", "n_samples"),
    "images": ("height", "width", "n_channels"),
    "spectrograms": ("n_leads", "n_freqs", "n_frames"),
    "maps": ("height", "width"),
    "counts": ("n_frames", "n_rings", "n_sectors"),
}


def check_records(
    estimator, X, *, kind, reset, ndim=(2, 3), dtype=FLOAT_DTYPES, free_axes=(), finite=True
):
    """Validate records and remember, or compare, their shape.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (axis 1, scikit-learn's meaning) and ``shape_in_`` on reset.
    X : array-like or Rows
        Records on axis 0; a column of arrays, as tables hold them, is stacked.
    kind : {"signals", "images", "spectrograms", "maps", "counts"}
        Words for messages.
    reset : bool
        True in ``fit``.
    ndim : tuple of int
        Numbers of axes that are understood; 2 stays 2-D.
    dtype : dtype, tuple of dtype or None
        As in ``check_array``; the default keeps float32 and makes anything else float64.
    free_axes : tuple of int
        Axes of X (1, 2, ...) that may differ between fit and transform.
    finite : bool
        Refuse NaN and infinity.

    Returns
    -------
    ndarray or Rows
        ``Rows`` come back unread, with only their first row checked: walk them with
        :func:`iter_blocks`, which checks each block.

    Raises
    ------
    ValueError
        Wrong number of axes, wrong shape against ``fit``, text, NaN, sparse.
    """
    name = type(estimator).__name__
    if hasattr(X, "to_numpy") and getattr(X, "ndim", 0) == 1:
        X = X.to_numpy()  # by position: the labels of a filtered table do not begin at 0
    X = _signals_of(estimator, X, reset) if kind == "signals" else X
    X = _stacked(name, X, kind)
    if isinstance(X, np.ndarray):
        X = native(X)  # >f4 would become float64, twice the memory and other last digits
    # One row is enough for dtype and shape; the blocks are checked as they are read.
    sample = X[:1].__array__() if isinstance(X, Rows) else X
    if not hasattr(sample, "ndim"):  # lists, and array-likes that have only __array__
        sample = _as_array(name, sample, kind)
    n_axes = sample.ndim
    compare = not reset and n_axes > 2
    # Before validate_data, whose message would name the wrong axis of an n-d array.
    if compare:
        _compare_shapes(name, np.shape(sample), estimator.shape_in_, kind, free_axes)
    out = validate_data(
        estimator,
        sample,
        reset=reset,
        allow_nd=True,
        dtype=list(dtype) if isinstance(dtype, tuple) else dtype,
        ensure_all_finite=finite,
        skip_check_array=False,
    )
    if out.ndim not in ndim:
        axes = " or ".join(f"{n}-D" for n in ndim)
        raise ValueError(
            f"{name} expects {kind} as a {axes} array (n_records, {', '.join(AXES[kind])}), "
            f"got shape {out.shape}."
        )
    if 0 in out.shape[1:]:
        raise ValueError(f"Found array with 0 feature(s) (shape={out.shape}), {name} needs {kind}.")
    if kind == "signals":
        refuse_exchanged_axes(name, out.shape)
    if reset:
        estimator.shape_in_ = out.shape[1:]
    elif not compare:
        _compare_shapes(name, out.shape, estimator.shape_in_, kind, free_axes)
    return X if isinstance(X, Rows) else out


def _signals_of(estimator, X, reset):
    """Signals of a list of ECG objects, which say their rate and leads; other input as it is.

    Raises
    ------
    ValueError
        Records of another rate than the estimator's, or than those it was fitted on, of several
        rates, orders of leads or lengths.
    """
    single_axis = isinstance(X, (list, tuple)) or (
        isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    )
    if reset:
        estimator.__dict__.pop("ecgs_in_", None)  # of an earlier fit
    if not (single_axis and len(X) and all(_is_ecg(record) for record in X)):
        return X
    name = type(estimator).__name__
    rates = sorted({float(ecg.fs) for ecg in X})
    leads = {tuple(lead_name(str(lead)) for lead in ecg.lead_names) for ecg in X}
    lengths = sorted({np.shape(ecg.signal)[-1] for ecg in X})
    if len(rates) > 1 or len(leads) > 1 or len(lengths) > 1:
        raise ValueError(
            f"{name} expects ECGs of one rate, order of leads and length, got {rates} Hz, "
            f"{len(leads)} order(s) of leads and {lengths[:5]} samples. read_manifest brings files "
            "to one of each."
        )
    expected = getattr(estimator, "fs_in", getattr(estimator, "fs", None))
    known = {} if reset else getattr(estimator, "ecgs_in_", {})
    expected = known.get("fs", expected)
    if isinstance(expected, (int, float)) and expected != rates[0]:
        raise ValueError(
            f"{name} expects ECGs of {expected:g} Hz, got {rates[0]:g} Hz. Resample them "
            f"(crtkit.Resampler(fs_in={rates[0]:g}, fs_out={expected:g})), or refit it."
        )
    order = next(iter(leads))
    if known and known["lead_names"] != order:
        raise ValueError(
            f"{name} was fitted on ECGs with the leads {', '.join(known['lead_names'])}, but now "
            f"got {', '.join(order)}. Bring them into one order (ECG.standard_leads)."
        )
    if reset:
        estimator.ecgs_in_ = {"fs": rates[0], "lead_names": order}
    return np.stack([np.asarray(ecg.signal) for ecg in X])


def _is_ecg(record):
    return all(hasattr(record, name) for name in ("signal", "fs", "lead_names"))


def iter_blocks(X, size, dtype=FLOAT_DTYPES, finite=True):
    """Yield ``(slice, array)`` over records, reading and checking ``Rows`` block by block.

    Parameters
    ----------
    X : ndarray or Rows
        What :func:`check_records` returned.
    size : int
        Records per block.
    """
    for start in range(0, len(X), size):
        where = slice(start, min(start + size, len(X)))
        # An array was checked whole before; Rows come from disk unseen, block by block.
        block = X[where]
        if isinstance(X, Rows):
            block = check_array(
                block.__array__(),
                allow_nd=True,
                dtype=list(dtype) if isinstance(dtype, tuple) else dtype,
                ensure_all_finite=finite,
            )
        yield where, block


def as_leads(signals):
    """Signals as (n_records, n_leads, n_samples): a 2-D array is one lead."""
    return signals[:, None, :] if signals.ndim == 2 else signals


def _stacked(name, X, kind):
    """A column of arrays as one array; paths, and arrays of several shapes, are refused."""
    dtype = getattr(X, "dtype", None)
    if dtype is None or getattr(X, "ndim", 0) != 1 or dtype.kind not in "OUS" or not len(X):
        return X
    # The commonest slip: Select("image") without a loader behind it.
    if isinstance(X[0], (str, bytes)):
        raise ValueError(
            f"{name} expects {kind}, got paths such as {X[0]!r}. Put a loader in front of it "
            "(JPEGLoader for pages), or read signals with read_manifest(signal=...)."
        )
    shapes = {np.shape(x) for x in X}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} expects {kind} of one shape, got {len(shapes)} shapes, for example "
            f"{sorted(shapes)[:3]}. Crop or pad the records to one length first."
        )
    return X if shapes == {()} else np.stack(list(X))


def _as_array(name, X, kind):
    """A list of records as an array; numpy's own message does not say which records differ."""
    try:
        return np.asarray(X)
    except ValueError as error:
        shapes = {np.shape(x) for x in X if hasattr(x, "ndim")}
        what = f" {len(shapes)} shapes, for example {sorted(shapes)[:3]}" if len(shapes) > 1 else ""
        raise ValueError(
            f"{name} expects {kind} of one shape, got{what or f' a ragged list ({error})'}. Crop "
            "or pad the records to one shape first."
        ) from error


def _compare_shapes(name, shape, shape_in, kind, free_axes):
    got, want = tuple(shape[1:]), tuple(shape_in)
    if len(got) != len(want):
        raise ValueError(
            f"{name} was fitted on {kind} of shape (n_records, {_describe(want, kind)}), "
            f"but now got shape {tuple(shape)}."
        )
    if len(got) == 1:  # scikit-learn words the 2-D case, and its checks read that message.
        if got != want and 1 not in free_axes:
            raise ValueError(
                f"X has {got[0]} features, but {name} is expecting {want[0]} features as input."
            )
        return
    wrong = [i for i in range(len(got)) if got[i] != want[i] and i + 1 not in free_axes]
    if wrong:
        raise ValueError(
            f"{name} was fitted on {kind} of {_describe(want, kind)} per record, "
            f"but now got {_describe(got, kind)}. Give it records of the fitted shape, or refit."
        )


def _describe(shape, kind):
    names = AXES[kind][-len(shape) :]
    return ", ".join(f"{size} {name.removeprefix('n_')}" for size, name in zip(shape, names))
