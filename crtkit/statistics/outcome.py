"""What every regression here asks of its outcome and its covariates."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy.optimize import linprog

from crtkit._columns import as_frame, check_same_index, clean_column
from crtkit._labels import is_positive

# Smallest eigenvalue of a correlation matrix that a logistic fit still gets its digits from.
REDUNDANT = 1e-8


def binary_outcome(name, y, pos_label=None) -> np.ndarray:
    """True where y is the positive class; exactly two classes, none missing.

    Parameters
    ----------
    name : str
        Of the caller, for messages.
    y : array-like of shape (n_records,)
    pos_label : label, optional
        By default the later label in their order (an ordered categorical states its own).
    """
    return is_positive(name, y, pos_label)


def renamed(old: str, new: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Take a keyword argument under its former name too, with a warning that gives the new one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def accept(*args: Any, **kwargs: Any) -> Any:
            if old in kwargs:
                warnings.warn(
                    f"{function.__name__}: the argument {old!r} is now called {new!r}.",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return accept

    return decorate


def check_confidence(name, confidence) -> None:
    """Level of an interval, as a fraction."""
    if not 0 < confidence < 1:
        raise ValueError(f"{name} needs 0 < confidence < 1, got {confidence!r}.")


def covariates(name, X, y) -> pd.DataFrame:
    """X as a float DataFrame with text refused, and as long as y."""
    X, y = as_frame(X), as_frame(y)
    check_same_index(name, X=X, y=y)
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if not isinstance(X, pd.DataFrame):
        values = np.asarray(X)
        if values.ndim != 2:
            raise ValueError(
                f"{name} expects a DataFrame or a 2-D array (n_records, n_variables), got shape "
                f"{values.shape}. One variable is X[['name']] or x.reshape(-1, 1)."
            )
        X = pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    if len(X) != len(y):
        raise ValueError(f"{name}: X has {len(X)} rows, y {len(y)}.")
    if not X.columns.is_unique or not X.shape[1]:
        raise ValueError(f"{name} needs at least one column, each name once: {list(X.columns)}.")
    # Numbers read beside None are numbers, and so is a flag with missing values.
    X = pd.DataFrame({c: clean_column(X[c]) for c in X}, columns=X.columns, index=X.index)
    text = [c for c in X if not types.is_numeric_dtype(X[c])]
    if text:
        raise ValueError(
            f"{name} needs numbers, {text} hold text. Code levels as 0/1 columns first, for "
            f"example pd.get_dummies(X, columns={text}, drop_first=True)."
        )
    values = X.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        bad = list(X.columns[np.isinf(values).any(axis=0)])
        raise ValueError(f"{name} needs finite values, {bad} have infinity.")
    return pd.DataFrame(values, columns=X.columns)


def standardised(frame) -> tuple[np.ndarray, np.ndarray]:
    """Columns with mean 0 and SD 1, and the SDs: estimates scale back exactly."""
    values = frame.to_numpy()
    scale = values.std(axis=0)
    return (values - values.mean(axis=0)) / scale, scale


def constant_columns(frame) -> list[Any]:
    """Names of columns that do not vary beyond rounding."""
    values = frame.to_numpy()
    spread = np.ptp(values, axis=0) if len(values) else np.zeros(values.shape[1])
    size = np.abs(values).max(axis=0, initial=0)
    # Relative to the column's size: 1e9 + noise of 1e-7 is constant in float64.
    return [c for c, s, m in zip(frame.columns, spread, size) if s <= 1e-12 * m]


def separating_direction(z, y) -> np.ndarray:
    """Direction along which the likelihood never falls: zeros where there is none.

    A linear programme finds it (Konis K. Linear programming algorithms for detecting separated
    data in binary logistic regression models. DPhil thesis, Oxford 2007). Coefficients that are
    not zero in it have no finite maximum likelihood estimate.

    Parameters
    ----------
    z : ndarray of shape (n_records, n_variables)
        Standardised, without the intercept.
    y : ndarray of bool, shape (n_records,)

    Returns
    -------
    ndarray of shape (n_variables,)
    """
    design = np.column_stack([np.ones(len(z)), z]) * np.where(y, 1.0, -1.0)[:, None]
    result = linprog(
        # Bounded, because any multiple of a separating direction separates too.
        -design.sum(axis=0),
        A_ub=-design,
        b_ub=np.zeros(len(z)),
        bounds=(-1, 1),
        method="highs",
    )
    if result.x is None or result.fun is None or -result.fun < 1e-6:
        return np.zeros(z.shape[1])
    direction = np.asarray(result.x)[1:]
    # The solver's own tolerance: below it a coefficient is zero.
    return np.where(np.abs(direction) > 1e-7, direction, 0.0)


def variance_inflation(z) -> np.ndarray:
    """Variance inflation factor of each standardised column; inf where it is redundant."""
    n, k = z.shape
    if k == 1:
        return np.ones(1)
    correlation = z.T @ z / n
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < REDUNDANT:
        # Columns that take part in a vanishing combination; the others are named for nothing.
        redundant = (np.abs(vectors[:, values < REDUNDANT]) > 1e-3).any(axis=1)
        return np.where(redundant, np.inf, 1.0)
    return np.diag(np.linalg.inv(correlation))
