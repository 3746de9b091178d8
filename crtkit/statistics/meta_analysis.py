"""Random-effects meta-analysis: one frozen model in several hospitals."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from crtkit._columns import as_floats
from crtkit._io import is_path

_MAX_STEPS, _TOLERANCE = 200, 1e-10


class Pooled(NamedTuple):
    """A pooled estimate on the scale of its analysis; metafor's names and definitions."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    pi_low: float
    pi_high: float
    tau2: float
    I2: float
    Q: float
    Q_p: float
    p_value: float
    n_centres: int


def pool_effects(
    effects: Any,
    variances: Any,
    *,
    method: str = "REML",
    test: str = "knha",
    confidence: float = 0.95,
) -> Pooled:
    """Pool one effect of several centres by random effects.

    Parameters
    ----------
    effects : array-like of shape (n_centres,)
        Estimates on a scale where they are about normal: logit of an AUC, log of O:E.
    variances : array-like of shape (n_centres,)
        Their sampling variances, above 0.
    method : {"REML", "DL"}, default="REML"
        Variance between centres: restricted maximum likelihood, or DerSimonian and Laird's moments.
    test : {"knha", "adhoc", "z"}, default="knha"
        Hartung and Knapp's standard error with t quantiles on n_centres - 1 degrees of freedom;
        "adhoc" never lets it fall below Wald's, as it does where centres happen to agree (to zero
        where they are the same); "z" is Wald's with normal quantiles, too short for few centres.
    confidence : float, default=0.95

    Returns
    -------
    Pooled
        ``estimate`` with its interval, the prediction interval of a new centre, ``tau2``, ``I2`` in
        per cent, Cochran's ``Q`` with its p-value, and the p-value of no effect.

    Raises
    ------
    ValueError
        Fewer than two centres, lengths that differ, values that are not finite, variances that are
        not above 0, unknown options.

    Warns
    -----
    UserWarning
        An interval by "knha" is shorter than Wald's: the centres agree better than their own
        errors let expect, which is luck.

    References
    ----------
    Viechtbauer, Conducting meta-analyses in R with the metafor package, Journal of Statistical
    Software 36(3), 2010. IntHout, Ioannidis and Borm, BMC Medical Research Methodology 14, 2014
    (why Hartung and Knapp). Röver, Knapp and Friede, BMC Medical Research Methodology 15, 2015
    (why not below Wald).

    Examples
    --------
    >>> from crtkit.statistics import pool_effects
    >>> pooled = pool_effects([0.8, 1.2, 1.5, 0.6], [0.04, 0.05, 0.09, 0.03])
    >>> round(pooled.estimate, 2), pooled.pi_low < pooled.ci_low
    (0.98, True)
    """
    y, v = _check(effects, variances)
    if method not in ("REML", "DL"):
        raise ValueError(f"pool_effects: method must be 'REML' or 'DL', got {method!r}.")
    if test not in ("knha", "adhoc", "z"):
        raise ValueError(f"pool_effects: test must be 'knha', 'adhoc' or 'z', got {test!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"pool_effects: confidence must lie between 0 and 1, got {confidence!r}.")
    n = len(y)
    fixed = 1 / v
    q = float(fixed @ (y - fixed @ y / fixed.sum()) ** 2)
    tau2 = _reml(y, v) if method == "REML" else _moments(fixed, q)
    weight = 1 / (v + tau2)
    estimate = float(weight @ y / weight.sum())
    se = weight.sum() ** -0.5
    # Hartung and Knapp: with few centres tau2 itself is uncertain, which z intervals forget.
    law = stats.norm() if test == "z" else stats.t(n - 1)
    reach = float(law.ppf(0.5 + confidence / 2))
    if test != "z":
        scale = float(np.sqrt(weight @ (y - estimate) ** 2 / (n - 1)))
        if test == "knha" and reach * scale < stats.norm.ppf(0.5 + confidence / 2):
            warnings.warn(
                f"pool_effects: {n} centres agree better than their own errors let expect, and the "
                "interval of Hartung and Knapp is shorter than Wald's. test='adhoc' keeps it from "
                "that.",
                stacklevel=2,
            )
        se *= max(1.0, scale) if test == "adhoc" else scale
    # A new centre adds its own departure from the mean to the error of the mean.
    half, wide = reach * se, reach * np.sqrt(se**2 + tau2)
    # The "typical" sampling variance of Higgins and Thompson.
    typical = (n - 1) * fixed.sum() / (fixed.sum() ** 2 - fixed @ fixed)
    return Pooled(
        estimate,
        float(se),
        float(estimate - half),
        float(estimate + half),
        float(estimate - wide),
        float(estimate + wide),
        float(tau2),
        float(100 * tau2 / (tau2 + typical)),
        q,
        float(stats.chi2.sf(q, n - 1)),
        float(2 * law.sf(abs(estimate) / se)) if se > 0 else float("nan"),
        n,
    )


def _check(effects: Any, variances: Any) -> tuple[np.ndarray, np.ndarray]:
    y, v = (np.asarray(values, dtype=float) for values in (effects, variances))
    if y.ndim != 1 or y.shape != v.shape:
        raise ValueError(
            f"pool_effects expects one effect and one variance per centre, got shapes {y.shape} "
            f"and {v.shape}."
        )
    if len(y) < 2:
        raise ValueError(f"pool_effects needs at least 2 centres, got {len(y)}.")
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise ValueError("pool_effects expects finite effects and finite variances above 0.")
    return y, v


def _moments(fixed: np.ndarray, q: float) -> float:
    """DerSimonian and Laird 1986, equation 8."""
    scale = fixed.sum() - fixed @ fixed / fixed.sum()
    return float(max(0.0, (q - (len(fixed) - 1)) / scale))


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    """Fisher scoring of the restricted likelihood; a step that does not raise it is halved."""

    def loss(tau2: float) -> float:
        w = 1 / (v + tau2)
        mean = w @ y / w.sum()
        return float(np.log(v + tau2).sum() + np.log(w.sum()) + w @ (y - mean) ** 2)

    tau2 = max(0.0, float(np.var(y, ddof=1) - v.mean()))
    for _ in range(_MAX_STEPS):
        w = 1 / (v + tau2)
        projector = np.diag(w) - np.outer(w, w) / w.sum()
        residual = projector @ y
        step = (residual @ residual - np.trace(projector)) / np.trace(projector @ projector)
        new = max(0.0, tau2 + step)
        # Fisher scoring may overshoot: halve the step until the likelihood rises.
        while loss(new) > loss(tau2) and abs(new - tau2) > _TOLERANCE:
            new = tau2 + (new - tau2) / 2
        if abs(new - tau2) <= _TOLERANCE * max(1.0, tau2):
            return tau2
        tau2 = new
    # Where the likelihood is flat to the last bits scoring wanders there: search the interval.
    best = minimize_scalar(loss, bounds=(0.0, 10 * float(np.var(y)) + 1.0), method="bounded")
    return float(min((0.0, tau2, float(best.x)), key=loss))


# Quantity: (columns it needs, effect and variance from the table, back to its natural scale).
def _logit_auc(t: pd.DataFrame) -> tuple[Any, Any]:
    return logit(t["auc"]), (t["auc_se"] / (t["auc"] * (1 - t["auc"]))) ** 2


def _slope(t: pd.DataFrame) -> tuple[Any, Any]:
    return t["slope"], t["slope_se"] ** 2


def _log_oe(t: pd.DataFrame) -> tuple[Any, Any]:
    return np.log(t["oe"]), t["log_oe_se"] ** 2


def _logit_sensitivity(t: pd.DataFrame) -> tuple[Any, Any]:
    # A half is added where a count is zero, as metafor's escalc(measure="PLO") does.
    add = 0.5 * ((t["tp"] == 0) | (t["fn"] == 0))
    return np.log((t["tp"] + add) / (t["fn"] + add)), 1 / (t["tp"] + add) + 1 / (t["fn"] + add)


QUANTITIES: dict[str, tuple[tuple[str, ...], Callable[..., Any], Callable[..., Any]]] = {
    "logit_auc": (("auc", "auc_se"), _logit_auc, expit),
    "calibration_slope": (("slope", "slope_se"), _slope, lambda x: x),
    "log_oe": (("oe", "log_oe_se"), _log_oe, np.exp),
    "logit_sensitivity": (("tp", "fn"), _logit_sensitivity, expit),
}


def meta_analyse(
    studies: pd.DataFrame | Sequence[Mapping[str, Any] | str | os.PathLike[str]],
    *,
    method: str = "REML",
    test: str = "knha",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Pool a model's figures over centres that never shared a patient.

    Parameters
    ----------
    studies : DataFrame, or sequence of dict or path
        Answers of ``crtkit evaluate`` (:func:`crtkit.persistence.evaluate_bundle`), as dicts or
        JSON files; or a table with one row per centre and any of these pairs of columns: ``auc,
        auc_se``; ``slope, slope_se``; ``oe, log_oe_se`` (observed over expected, standard error of
        its logarithm); ``tp, fn``. A centre without a figure is left out of that figure.
    method, test, confidence
        As :func:`pool_effects`.

    Returns
    -------
    DataFrame
        One row per quantity that at least two centres have (``logit_auc``, ``calibration_slope``,
        ``log_oe``, ``logit_sensitivity``). ``value, value_low, value_high`` and the prediction
        interval ``value_pi_low, value_pi_high`` on the natural scale; then the figures of
        :class:`Pooled` on the scale of the analysis.

    Raises
    ------
    ValueError
        Fewer than two centres, none of the columns, an AUC of 0 or 1 (its logit is infinite),
        answers of different bundles.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import meta_analyse
    >>> table = pd.DataFrame({"auc": [0.70, 0.78, 0.66], "auc_se": [0.04, 0.05, 0.06]})
    >>> meta_analyse(table)["value"].round(2).to_dict()
    {'logit_auc': 0.71}
    """
    table = centre_table(studies)
    rows = {}
    for name, (columns, effect_of, back) in QUANTITIES.items():
        if not set(columns) <= set(table.columns):
            continue
        # A centre that prints no AUC may still have counts: it drops out of one row only.
        given = given_figures(table, columns).dropna()
        if len(given) < 2:
            continue
        if columns[0] == "auc" and not given["auc"].between(0, 1, inclusive="neither").all():
            raise ValueError(
                f"meta_analyse: an AUC of {given['auc'].tolist()} is 0, 1 or outside; its logit is "
                "infinite. Leave that centre out, and say so."
            )
        effect, variance = effect_of(given)
        pooled = pool_effects(effect, variance, method=method, test=test, confidence=confidence)
        rows[name] = {**_natural(pooled, back), **pooled._asdict()}
    if not rows:
        raise ValueError(
            "meta_analyse needs at least 2 centres with one of "
            f"{[' and '.join(columns) for columns, *_ in QUANTITIES.values()]}; the table has "
            f"{list(table.columns)} and {len(table)} row(s)."
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def _natural(pooled: Pooled, back: Callable[..., Any]) -> dict[str, float]:
    names = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
    shown = ("value", "value_low", "value_high", "value_pi_low", "value_pi_high")
    return {new: float(back(getattr(pooled, old))) for new, old in zip(shown, names)}


def given_figures(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Figures of one quantity, a row per centre; NaN where a centre has none."""
    numbers = {name: as_floats(name, table[name]) for name in columns}
    given = pd.DataFrame(numbers, index=table.index)
    if "tp" in columns:
        # Nobody was positive: halves added to zeros would be read as a sensitivity of 0.5.
        given[given.sum(axis=1) == 0] = np.nan
    return given


def centre_table(studies: Any) -> pd.DataFrame:
    """One row per centre, from a table or from answers of hospitals."""
    return studies if isinstance(studies, pd.DataFrame) else _table_of(list(studies))


def _table_of(answers: list[Any]) -> pd.DataFrame:
    """Answers of hospitals as the table that :func:`meta_analyse` pools."""
    read = [
        json.loads(Path(answer).read_text(encoding="utf-8")) if is_path(answer) else answer
        for answer in answers
    ]
    for number, answer in enumerate(read):
        if not isinstance(answer, Mapping) or answer.get("format") != "crtkit-answer":
            raise ValueError(
                f"meta_analyse: item {number} is not an answer of 'crtkit evaluate': it has no "
                f"format 'crtkit-answer'. Got {type(answer).__name__} {str(answer)[:60]!r}."
            )
    digests = {answer["bundle"]["digest"] for answer in read}
    if len(digests) > 1:
        raise ValueError(
            f"meta_analyse: the answers are of {len(digests)} different bundles; pool those of one."
        )
    return pd.DataFrame([_row_of(answer) for answer in read])


def _row_of(answer: Mapping[str, Any]) -> dict[str, float]:
    confidence = answer.get("confidence", 0.95)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    metrics, calibration = answer["metrics"], answer.get("calibration") or {}
    row: dict[str, float] = {}
    auc = metrics.get("roc_auc")
    if auc and None not in auc.values():
        # From the interval's ends on the logit scale, then back by the delta method.
        width = _logit_clipped(auc["ci_high"]) - _logit_clipped(auc["ci_low"])
        row["auc"] = auc["value"]
        row["auc_se"] = width / (2 * z) * auc["value"] * (1 - auc["value"])
    slope, oe = calibration.get("slope"), calibration.get("o_e")
    if slope and None not in slope.values():
        row.update(slope=slope["value"], slope_se=(slope["ci_high"] - slope["ci_low"]) / (2 * z))
    if oe and None not in oe.values():
        spread = np.log(oe["ci_high"]) - np.log(oe["ci_low"])
        row.update(oe=oe["value"], log_oe_se=float(spread) / (2 * z))
    counts = answer["counts"]
    if isinstance(counts.get("true_positive"), int) and isinstance(
        counts.get("false_negative"), int
    ):
        row.update(tp=counts["true_positive"], fn=counts["false_negative"])
    return row


def _logit_clipped(value: float) -> float:
    return float(logit(min(max(value, 1e-4), 1 - 1e-4)))
