"""Checks for estimators of records with more than two axes, beside scikit-learn's.

``check_estimator`` sends 2-D arrays only. These checks send signals, images, maps or spectrograms
and ask what crtkit promises of them: axis 0 is kept, ``shape_in_`` is compared, lazy ``Rows`` give
the bits of an array, float32 stays, global random states are left alone, and so on. They need
nothing of crtkit in the estimator, so that yours can be checked too.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from crtkit._io import import_optional
from crtkit._nd_checks import CHECKS

SHAPES = {
    "signals": (3, 64),
    "images": (16, 12, 3),
    "maps": (8, 6),
    "spectrograms": (2, 9, 7),
}
"""Shape of one record of each kind that :func:`make_records` gives by default."""


@dataclass(frozen=True)
class Records:
    """Data for the checks.

    Parameters
    ----------
    X : ndarray of shape (n_records, ...)
        Records.
    y : ndarray of int of shape (n_records,)
        Labels 0 and 1.
    kind : str
        What X is.
    free_axes : tuple of int
        Axes of X that may have another size after ``fit``.
    one_lead : bool
        Whether a 2-D array of samples is taken as one lead.
    """

    X: np.ndarray
    y: np.ndarray
    kind: str
    free_axes: tuple = ()
    one_lead: bool = False


def make_records(kind, *, shape=None, n_records=24, random_state=0):
    """Small records of one kind, of two classes that a model can tell apart.

    Parameters
    ----------
    kind : {"signals", "images", "maps", "spectrograms"}
        Signals are noise in mV, float32; images uint8; maps phases in degrees, [0, 360), float32;
        spectrograms float32.
    shape : tuple of int, default=None
        Shape of one record; None takes ``SHAPES[kind]``.
    n_records : int, default=24
    random_state : int, default=0

    Returns
    -------
    X : ndarray of shape ``(n_records, *shape)``
    y : ndarray of shape (n_records,)
        Labels 0 and 1, alternating.

    Raises
    ------
    ValueError
        An unknown kind.

    Examples
    --------
    >>> from crtkit.testing import make_records
    >>> X, y = make_records("images")
    >>> X.shape, X.dtype
    ((24, 16, 12, 3), dtype('uint8'))
    """
    if kind not in SHAPES:
        raise ValueError(f"Expected a kind among {', '.join(SHAPES)}, got {kind!r}.")
    rng = np.random.default_rng(random_state)
    # Alternating, so that any first few records hold both classes.
    y = np.arange(n_records) % 2
    by_class = y.reshape(-1, *(1 for _ in (SHAPES[kind] if shape is None else shape)))
    X = rng.normal(size=(n_records, *(SHAPES[kind] if shape is None else shape)))
    if kind == "images":
        return np.clip(110 + 20 * X + 60 * by_class, 0, 255).astype(np.uint8), y
    if kind == "maps":
        # A quarter turn apart, away from 0 and 360 where nothing but a circular mean would serve.
        return ((120 + 20 * X + 90 * by_class) % 360).astype(np.float32), y
    # Classes differ in mean and spread: a tiny network of one epoch tells them apart.
    return (X * (1 + by_class) + by_class).astype(np.float32), y


def nd_checks(estimator, kind, *, shape=None, free_axes=(), one_lead=None, records=None):
    """Generate the checks of one estimator.

    Parameters
    ----------
    estimator : estimator
        An instance, fitted or not; every check works on clones.
    kind : {"signals", "images", "maps", "spectrograms"}
        What it takes.
    shape : tuple of int, default=None
        Shape of one record, where the estimator asks for a certain one.
    free_axes : tuple of int, default=()
        Axes of X (1, 2, ...) that the estimator lets differ between ``fit`` and later.
    one_lead : bool, default=None
        Whether 2-D signals are one lead to it; None is yes for signals.
    records : callable, default=None
        ``records() -> (X, y)`` in place of :func:`make_records`, with labels 0 and 1.

    Yields
    ------
    estimator, check
        ``check(estimator)`` raises where the contract is broken; ``check.func.__name__`` is its
        name.

    Examples
    --------
    >>> from crtkit import LeadStatistics
    >>> from crtkit.testing import nd_checks
    >>> names = []
    >>> for estimator, check in nd_checks(LeadStatistics(), "signals", free_axes=(2,)):
    ...     check(estimator)
    ...     names.append(check.func.__name__)
    >>> names[:2]
    ['check_nd_keeps_records', 'check_nd_shape_in']
    """
    X, y = make_records(kind, shape=shape) if records is None else records()
    data = Records(
        np.ascontiguousarray(X),
        np.asarray(y),
        kind,
        tuple(free_axes),
        kind == "signals" if one_lead is None else one_lead,
    )
    for check in CHECKS:
        yield estimator, partial(check, data=data)


def parametrize_with_nd_checks(estimators, *, expected_failed_checks=None):
    """Pytest decorator that runs every check on every estimator.

    Parameters
    ----------
    estimators : list of tuple
        ``(estimator, kind)`` or ``(estimator, kind, options)``, options being the keyword
        arguments of :func:`nd_checks`.
    expected_failed_checks : callable, default=None
        As in scikit-learn: takes an estimator, returns a dict of check name -> reason. Those checks
        are marked as expected failures.

    Returns
    -------
    pytest.mark.parametrize
        For a test function of ``(estimator, check)``.

    Raises
    ------
    ImportError
        pytest is not installed.

    See Also
    --------
    sklearn.utils.estimator_checks.parametrize_with_checks : the same for 2-D arrays.

    Examples
    --------
    >>> from crtkit import LeadStatistics
    >>> from crtkit.testing import parametrize_with_nd_checks
    >>> @parametrize_with_nd_checks([(LeadStatistics(), "signals", {"free_axes": (2,)})])
    ... def test_nd_checks(estimator, check):
    ...     check(estimator)
    """
    pytest = import_optional("pytest", extra="dev", purpose="parametrize_with_nd_checks")
    cases = []
    for estimator, kind, *options in estimators:
        failing = expected_failed_checks(estimator) if expected_failed_checks else {}
        for _, check in nd_checks(estimator, kind, **(options[0] if options else {})):
            name = check.func.__name__
            marks = [pytest.mark.xfail(reason=failing[name])] if name in failing else []
            label = f"{type(estimator).__name__}-{kind}-{name}"
            cases.append(pytest.param(estimator, check, marks=marks, id=label))
    return pytest.mark.parametrize(("estimator", "check"), cases)
