"""Logistic regression as clinical papers print it: odds ratios, intervals, added value."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crtkit.metrics import roc_auc
from crtkit.statistics.firth import fit_firth
from crtkit.statistics.outcome import (
    binary_outcome,
    check_confidence,
    constant_columns,
    covariates,
    renamed,
    separating_direction,
    standardised,
    variance_inflation,
)
from crtkit.statistics.p_values import format_p, not_zero

METHODS = ("ml", "firth", "auto")
COLUMNS = ("odds_ratio", "ci_low", "ci_high", "p_value", "coef", "se", "statistic")


@dataclass
class _Fit:
    """One fitted model: a row of estimates per variable, in the units of the data."""

    rows: list
    method: str
    loglik: float = np.nan
    linear: np.ndarray | None = None
    intercept: float = np.nan
    notes: list = field(default_factory=list)


@renamed("level", "confidence")
def univariate_logistic(X, y, *, method="ml", pos_label=None, confidence=0.95) -> pd.DataFrame:
    """One logistic regression per variable, each with an intercept.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_records, n_variables)
        Numbers or flags. Records where a variable is missing are left out of its model only.
    y : array-like of shape (n_records,)
        Two classes; the greater label is the event.
    method : {"ml", "firth", "auto"}, default="ml"
        Maximum likelihood (statsmodels, binomial family) with Wald intervals, or Firth's
        penalised likelihood with profile intervals. ``"auto"`` takes Firth where the classes are
        separated, so that maximum likelihood has no estimate.
    pos_label : label, optional
        The class whose odds are modelled.
    confidence : float, default=0.95
        Of the intervals.

    Returns
    -------
    DataFrame
        Index ``variable``; columns ``odds_ratio``, ``ci_low``, ``ci_high``, ``p_value``,
        ``coef``, ``se``, ``statistic`` (z; likelihood-ratio chi-square for Firth), ``auc`` (of
        this model on these records), ``n``, ``n_events``, ``separated``, ``method``, ``note``
        (why there is no estimate), and printed ``or_ci`` and ``p``. An infinite estimate is
        given as odds ratio 0 or inf with its reason, without interval or p-value.

    Raises
    ------
    ValueError
        Text columns, infinite values, one class, X and y of different length.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit.statistics import univariate_logistic
    >>> y = np.repeat([0, 1], [12, 17])
    >>> X = pd.DataFrame({"lbbb": np.repeat([0, 1, 0, 1], [9, 3, 5, 12])})
    >>> univariate_logistic(X, y)[["or_ci", "p", "n"]]  # doctest: +NORMALIZE_WHITESPACE
                         or_ci      p   n
    variable
    lbbb      7.20 [1.35–38.3]  0.021  29
    """
    name = "univariate_logistic"
    frame, event = check_model(name, X, y, method, pos_label, confidence)
    rows = []
    for variable in frame:
        there = frame[variable].notna().to_numpy()
        row = _univariate_row(frame.loc[there, [variable]], event[there], method, confidence)
        left_out = int((~there).sum())
        if left_out:
            row["note"] = _join(f"{left_out} missing values left out", row["note"])
        rows.append({"variable": variable, **row})
    return _finish(rows, ("auc", "n", "n_events", "separated", "method", "note"))


@renamed("level", "confidence")
def multivariable_logistic(X, y, *, method="ml", pos_label=None, confidence=0.95) -> pd.DataFrame:
    """One logistic regression on all variables, with an intercept.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_records, n_variables)
        Numbers or flags. Records with a missing value are left out, with a warning.
    y : array-like of shape (n_records,)
        Two classes; the greater label is the event.
    method : {"ml", "firth", "auto"}, default="ml"
        As in :func:`univariate_logistic`.
    pos_label : label, optional
    confidence : float, default=0.95

    Returns
    -------
    DataFrame
        Index ``variable``; columns as of :func:`univariate_logistic`, with ``vif`` (variance
        inflation factor) in place of ``auc``. ``result.attrs`` holds ``intercept``, ``loglik``,
        ``auc`` (on these records), ``n``, ``n_events``, ``events_per_parameter`` and ``method``.

    Raises
    ------
    ValueError
        As :func:`univariate_logistic`; also constant or redundant columns, which are named.

    Warns
    -----
    UserWarning
        Fewer than ten events (of the rarer class) per parameter, a variance inflation factor above
        ten, separated classes, records left out.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit.statistics import multivariable_logistic
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(80, 2)), columns=["ae30", "lvef"])
    >>> y = X["ae30"] + rng.logistic(size=80) > 0
    >>> result = multivariable_logistic(X, y)
    >>> list(result.index), bool(result.loc["ae30", "p_value"] < 0.05)
    (['ae30', 'lvef'], True)
    """
    name = "multivariable_logistic"
    frame, event = check_model(name, X, y, method, pos_label, confidence)
    frame, event = complete_records(name, frame, event)
    k = frame.shape[1]
    # Of the rarer class: a model of 90 % responders is as poor in information as one of 10 %.
    per_parameter = min(event.sum(), (~event).sum()) / k
    if per_parameter < 10:
        _warn(
            f"{name}: {per_parameter:.1f} events per parameter (rarer class "
            f"{min(event.sum(), (~event).sum())}, {k} variables); below 10 odds ratios are "
            "biased away from 1. Use fewer variables or method='firth'."
        )
    vif = variance_inflation(standardised(frame)[0])
    high = [f"{c} ({v:.0f})" for c, v in zip(frame, vif) if v > 10]
    if high:
        _warn(f"{name}: collinear variables, variance inflation above 10: {', '.join(high)}.")
    fit = fit_model(frame, event, method, confidence)
    for note in fit.notes:
        _warn(f"{name}: {note}.")
    rows = [
        {
            "variable": c,
            **row,
            "vif": v,
            "n": len(frame),
            "n_events": int(event.sum()),
            "method": fit.method,
        }
        for c, row, v in zip(frame, fit.rows, vif)
    ]
    out = _finish(rows, ("vif", "n", "n_events", "separated", "method", "note"))
    out.attrs.update(
        intercept=fit.intercept,
        loglik=fit.loglik,
        auc=roc_auc(event, fit.linear, pos_label=True),
        n=len(frame),
        n_events=int(event.sum()),
        events_per_parameter=float(per_parameter),
        method=fit.method,
    )
    return out


def _univariate_row(frame, event, method, confidence) -> dict[str, Any]:
    row = dict.fromkeys((*COLUMNS, "auc"), np.nan)
    row.update(n=len(frame), n_events=int(event.sum()), separated=False, method=method)
    if event.all() or not event.any():
        return {**row, "note": "one class among the records that have a value"}
    if constant_columns(frame):
        return {**row, "note": "constant"}
    fit = fit_model(frame, event, method, confidence)
    return {
        **row,
        **fit.rows[0],
        "auc": roc_auc(event, fit.linear, pos_label=True),
        "method": fit.method,
    }


def fit_model(frame, event, method, confidence) -> _Fit:
    """One model, estimated on standardised columns and given back in the units of the data."""
    # Standardised, because LVEDV in ml and a flag side by side make the design ill-conditioned.
    z, scale = standardised(frame)
    direction = separating_direction(z, event)
    # Decided before fitting, by linear programming: an optimiser would stop at some odds ratio.
    separated = bool(np.any(direction))
    if method == "auto":
        method = "firth" if separated else "ml"
    if separated and method == "ml":
        return _no_estimate(frame, z, direction)
    design = np.column_stack([np.ones(len(z)), z])
    if method == "firth":
        got = fit_firth(design, event, confidence=confidence, columns=range(1, design.shape[1]))
        coef, se, low, high = got.coef, got.se, got.ci_low[1:], got.ci_high[1:]
        statistic, p, loglik = got.chi2[1:], got.p_value[1:], got.loglik
    else:
        coef, se, loglik = _maximum_likelihood(design, event)
        reach = stats.norm.isf((1 - confidence) / 2) * se[1:]
        low, high = coef[1:] - reach, coef[1:] + reach
        statistic = coef[1:] / se[1:]
        p = np.array([not_zero(2 * stats.norm.sf(abs(s))) for s in statistic])
    beta = coef[1:] / scale
    rows = []
    # An odds ratio per unit may overflow where the unit is far below the spread; the note says so.
    with np.errstate(over="ignore"):
        odds, ci_low, ci_high = np.exp(beta), np.exp(low / scale), np.exp(high / scale)
    for values in zip(odds, ci_low, ci_high, p, beta, se[1:] / scale, statistic):
        beyond = np.isinf(values[0]) or values[0] == 0
        note = "odds ratio of one unit is beyond print: give the variable in larger units"
        row = {**dict(zip(COLUMNS, map(float, values))), "note": note if beyond else ""}
        rows.append({**row, "separated": separated})
    intercept = coef[0] - (frame.to_numpy().mean(axis=0) * beta).sum()
    return _Fit(rows, method, float(loglik), design @ coef, float(intercept))


def _maximum_likelihood(design, event) -> tuple[np.ndarray, np.ndarray, float]:
    import statsmodels.api as sm

    result = sm.GLM(event.astype(float), design, family=sm.families.Binomial()).fit(
        # Tighter than the default, so that printed odds ratios equal those of other packages.
        maxiter=200,
        tol=1e-12,
    )
    if not result.converged:
        raise RuntimeError(
            "the logistic model did not converge although the classes overlap: "
            "use method='firth', or look for outliers."
        )
    return np.asarray(result.params), np.asarray(result.bse), result.llf


def _no_estimate(frame, z, direction) -> _Fit:
    """Rows of a separated model: the odds ratios that run off, and why the rest is missing."""
    names = [str(c) for c, d in zip(frame, direction) if d]
    note = (
        f"classes separated by {', '.join(names)}: no finite maximum likelihood estimate, "
        "use method='firth'"
    )
    rows = []
    for d in direction:
        row = dict.fromkeys(COLUMNS, np.nan)
        if d:
            row["odds_ratio"] = np.inf if d > 0 else 0.0
            row["coef"] = np.inf * d
        rows.append({**row, "separated": True, "note": note})
    return _Fit(rows, "ml", linear=z @ direction, notes=[note])


def check_model(name, X, y, method, pos_label, confidence) -> tuple[pd.DataFrame, np.ndarray]:
    """Covariates as a float frame and the event as bool, with options checked."""
    if method not in METHODS:
        raise ValueError(f"{name}: method must be one of {METHODS}, got {method!r}.")
    check_confidence(name, confidence)
    frame = covariates(name, X, y)
    return frame, binary_outcome(name, y, pos_label)


def complete_records(name, frame, event) -> tuple[pd.DataFrame, np.ndarray]:
    """Records without missing values; varying, independent columns."""
    # Complete records, as clinical tables do it; imputing is the user's choice and comes before.
    there = frame.notna().all(axis=1).to_numpy()
    if not there.all():
        _warn(
            f"{name}: {int((~there).sum())} of {len(frame)} records have missing values, left out."
        )
        frame, event = frame[there].reset_index(drop=True), event[there]
    if event.all() or not event.any():
        raise ValueError(f"{name} needs two classes, complete records are of one class.")
    constant = constant_columns(frame)
    if constant:
        raise ValueError(f"{name}: constant columns {constant}: leave them out.")
    z = standardised(frame)[0]
    redundant = [c for c, v in zip(frame, variance_inflation(z)) if np.isinf(v)]
    if redundant:
        raise ValueError(
            f"{name}: columns {redundant} are linearly dependent: leave one of them out."
        )
    if len(frame) <= frame.shape[1] + 1:
        raise ValueError(
            f"{name}: {len(frame)} records for {frame.shape[1]} variables and an intercept."
        )
    return frame, event


def _finish(rows, columns) -> pd.DataFrame:
    out = pd.DataFrame(rows).set_index("variable")
    out["or_ci"] = [
        "" if np.isnan(low) else f"{_odds(odds)} [{_odds(low)}–{_odds(high)}]"
        for odds, low, high in out[["odds_ratio", "ci_low", "ci_high"]].to_numpy(dtype=float)
    ]
    out["p"] = [format_p(p) for p in out["p_value"]]
    return out[[*COLUMNS, *columns, "or_ci", "p"]]


def _odds(value) -> str:
    if value >= 1e5:
        return f"{value:.1e}"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _join(*notes) -> str:
    return "; ".join(n for n in notes if n)


def _warn(message) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)
