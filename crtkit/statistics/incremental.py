"""What a new predictor adds to a clinical model: the bars of an incremental-value figure."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import stats

from crtkit._columns import as_frame
from crtkit.statistics.delong import delong_interval
from crtkit.statistics.firth import maximise
from crtkit.statistics.logistic import check_model, complete_records, fit_model
from crtkit.statistics.outcome import renamed, standardised
from crtkit.statistics.p_values import format_p, not_zero


@renamed("level", "confidence")
def incremental_value(
    X, y, base, added, *, method="ml", pos_label=None, confidence=0.95
) -> pd.DataFrame:
    """Compare nested logistic models by the likelihood ratio, step by step.

    All models are fitted to the same records: those without a missing value in any of them.
    Everything is measured on the records the models were fitted to, as such figures are in
    print, so the areas are optimistic; :func:`crtkit.evaluate` measures them out of fold.

    Parameters
    ----------
    X : DataFrame of shape (n_records, n_variables)
    y : array-like of shape (n_records,)
        Two classes; the greater label is the event.
    base : str or list of str
        Variables of the first model.
    added : str, list of str, or list of lists of str
        Variables of the next model, added together; a list of lists adds one step after the
        other.
    method : {"ml", "firth"}, default="ml"
        Maximum likelihood, or Firth's penalised likelihood (then the smaller model is the larger
        one with the added coefficients held at 0, as penalised likelihoods of different designs
        do not compare).
    pos_label : label, optional
    confidence : float, default=0.95
        Of the intervals of the areas (DeLong).

    Returns
    -------
    DataFrame
        One row per model, index ``model``. ``chi2``, ``df``, ``p_value`` of the whole model against
        none; ``added_chi2``, ``added_df``, ``added_p`` against the row above; ``auc``,
        ``auc_low``, ``auc_high``, ``auc_gain``; ``loglik``; ``n``, ``n_events``;
        ``note``; printed ``p`` (of what was added, in the first row of the model).

    Raises
    ------
    ValueError
        Variables that are not there or named twice, constant or redundant columns, one class.

    References
    ----------
    Pepe MS, Kerr KF, Longton G, Wang Z. Testing for improvement in prediction model performance.
    Stat Med 2013;32:1467-1482: test the coefficient, not the difference of two nested areas.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit.statistics import incremental_value
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(102, 3)), columns=["lvef", "psd", "ae30"])
    >>> y = X["ae30"] + rng.logistic(size=102) > 0
    >>> result = incremental_value(X, y, ["lvef"], [["psd"], ["ae30"]])
    >>> list(result.index)
    ['lvef', 'lvef + psd', 'lvef + psd + ae30']
    >>> bool(result["added_p"].iloc[2] < result["added_p"].iloc[1])
    True
    """
    name = "incremental_value"
    if method not in ("ml", "firth"):
        raise ValueError(f"{name}: method must be 'ml' or 'firth', got {method!r}.")
    X = as_frame(X)
    steps = _steps(name, X, base, added)
    frame, event = check_model(
        name, X[[v for step in steps for v in step]], y, method, pos_label, confidence
    )
    # The same records for every step: likelihoods of different records do not compare.
    frame, event = complete_records(name, frame, event)
    names, start, rows, last_loglik, last_auc = [], 0, [], _null(event), 0.5
    for step in steps:
        names += step
        model = frame[names]
        if method == "ml":
            fit = fit_model(model, event, "ml", confidence)
            whole, gain = 2 * (fit.loglik - _null(event)), 2 * (fit.loglik - last_loglik)
            loglik, linear, note = fit.loglik, fit.linear, "; ".join(fit.notes)
        else:
            loglik, linear, whole, gain = _firth(model, event, start)
            note = ""
        row: dict[str, Any] = {
            "model": " + ".join(map(str, names)),
            "chi2": whole,
            "df": len(names),
            "p_value": _p(whole, len(names)),
            "added_chi2": gain,
            "added_df": len(step),
            "added_p": _p(gain, len(step)),
            **_area(event, linear, confidence, bool(note)),
            "loglik": loglik,
            "n": len(event),
            "n_events": int(event.sum()),
            "note": note,
        }
        row["auc_gain"] = row["auc"] - last_auc
        rows.append(row)
        start, last_loglik, last_auc = len(names), loglik, row["auc"]
    # Once for each reason: separation by a variable of the base recurs in every later model.
    for note in {r["note"] for r in rows if r["note"]}:
        warnings.warn(f"{name}: {note}.", UserWarning, stacklevel=3)
    out = pd.DataFrame(rows).set_index("model")
    out["p"] = [format_p(p) for p in out["added_p"]]
    first = ["chi2", "df", "p_value", "added_chi2", "added_df", "added_p", "auc", "auc_low"]
    return out[[*first, "auc_high", "auc_gain", "loglik", "n", "n_events", "note", "p"]]


def _firth(model, event, start) -> tuple[float, np.ndarray, float, float]:
    """Penalised likelihood, predictor, chi-square of all slopes and of those from `start` on."""
    z = np.column_stack([np.ones(len(model)), standardised(model)[0]])
    best, coef = maximise(z, event)
    # Column 0 is the intercept, which every model keeps.
    columns = np.arange(z.shape[1])
    whole = best - maximise(z, event, columns > 0)[0]
    gain = best - maximise(z, event, columns > start)[0]
    return best, z @ coef, 2 * whole, 2 * gain


def _null(event) -> float:
    share = event.mean()
    return len(event) * (share * np.log(share) + (1 - share) * np.log(1 - share))


def _area(event, linear, confidence, no_estimate) -> dict[str, float]:
    if no_estimate:
        return dict.fromkeys(("auc", "auc_low", "auc_high"), np.nan)
    roc = delong_interval(event, linear, confidence=confidence).iloc[0]
    return {"auc": roc["auc"], "auc_low": roc["ci_low"], "auc_high": roc["ci_high"]}


def _p(chi2, df) -> float:
    # A useless variable's likelihood may be 1e-15 below the smaller model's, by rounding.
    return np.nan if np.isnan(chi2) else not_zero(stats.chi2.sf(max(chi2, 0.0), df))


def _steps(name, X, base, added) -> list[list[str]]:
    """Lists of variables, the base model first; each variable is there, and once."""
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"{name} expects a DataFrame, got {type(X).__name__}.")
    base = [base] if types.is_scalar(base) else list(base)
    added = [added] if types.is_scalar(added) else list(added)
    if not base or not added:
        raise ValueError(f"{name} needs variables in base and in added, got {base} and {added}.")
    # ["psd", "ae30"] is one step of two variables, [["psd"], ["ae30"]] is two steps.
    if all(not isinstance(a, list | tuple) for a in added):
        added = [added]
    steps = [base, *([a] if types.is_scalar(a) else list(a) for a in added)]
    names = [v for step in steps for v in step]
    missing = [v for v in names if v not in X]
    twice = sorted({str(v) for v in names if names.count(v) > 1})
    if missing or twice or not all(steps):
        raise ValueError(
            f"{name}: no such columns: {missing}; named twice: {twice}; "
            f"the table has {list(X.columns)}."
        )
    return steps
