"""Does a predicted risk mean what it says: slope, intercept, O:E and a smooth curve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from crtkit._labels import check_ranked
from crtkit.evaluation.scoring import Part, by_model, patients_of, pooled
from crtkit.evaluation.uncertainty.intervals import patient_weights, percentile_interval
from crtkit.evaluation.uncertainty.proportions import check_confidence

__all__ = ["Calibration", "calibration_figures", "loess"]

# Risks of exactly 0 or 1 have no logit; a forest gives them.
_CLIP = 1e-6
_EXACT_UP_TO = 2500
# Replicates held at a time: moments of a window for each of them.
_REPLICATES = 256
# A fit whose risks span less than this says one number; a curve of such would be a spike.
_NARROW = 0.01
# Figures whose intervals come from drawing patients.
DRAWN = ("slope", "intercept", "o_e", "brier", "ici")


class Calibration(NamedTuple):
    """Calibration figures of predicted risks; nan where one is undefined."""

    n: int
    observed: float
    expected: float
    o_e: float
    o_e_low: float
    o_e_high: float
    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float
    brier: float
    scaled_brier: float
    ici: float
    e50: float
    e90: float
    emax: float
    ece: float


def calibration_figures(
    y_true: ArrayLike, y_prob: ArrayLike, *, pos_label: Any = None, confidence: float = 0.95
) -> Calibration:
    """Calibration of predicted risks.

    Parameters
    ----------
    y_true : array-like of shape (n_records,)
        Two labels of any type.
    y_prob : array-like of shape (n_records,)
        Risk of the positive class, in [0, 1]. For logits, clipped to [1e-6, 1 - 1e-6].
    pos_label : label, optional
        By default the larger label.
    confidence : float, default=0.95

    Returns
    -------
    Calibration
        ``slope`` of y on logit(p), below 1 for risks that are too extreme; ``intercept``, in the
        large: of y with offset logit(p), 0 where risks are right on average; ``o_e``, observed
        over expected; ``brier`` and ``scaled_brier`` (1 - Brier / that of the prevalence);
        ``ici, e50, e90, emax``: mean, median, 0.9 quantile and maximum of ``|p - loess(y ~ p)|``
        (:func:`loess`); ``ece`` over ten bins of equal width. Intervals are Wald's, for
        independent records; :meth:`Evaluation.calibration` draws patients.

    Raises
    ------
    ValueError
        Risks or a confidence out of range, lengths that differ, more than two labels.

    References
    ----------
    Van Calster et al., Calibration: the Achilles heel of predictive analytics, BMC Medicine 17
    (2019) 230. Austin and Steyerberg, The Integrated Calibration Index, Statistics in Medicine 38
    (2019) 4051-4065.

    Examples
    --------
    >>> from crtkit.evaluation import calibration_figures
    >>> figures = calibration_figures([0, 1, 0, 1, 1, 0], [0.2, 0.7, 0.4, 0.6, 0.3, 0.5])
    >>> round(figures.o_e, 3), round(figures.brier, 3)
    (1.111, 0.198)
    """
    check_confidence(confidence)
    positive, prob, weight = check_ranked("calibration_figures", y_true, y_prob, pos_label, None)
    if len(prob) and (prob.min() < 0 or prob.max() > 1):
        raise ValueError(
            f"calibration_figures expects risks in [0, 1], got {prob.min():g} to {prob.max():g}."
        )
    y, nan = positive.astype(float), float("nan")
    if not len(y):
        return Calibration(0, *[nan] * 18)
    z = stats.norm.ppf((1 + confidence) / 2)
    observed, expected = float(y.mean()), float(prob.mean())
    o_e = observed / expected if expected > 0 else nan
    # Of one class alone log(O:E) has no variance; an interval without width would look sure.
    both = 0 < observed < 1
    spread = np.exp(z * np.sqrt((1 - observed) / (len(y) * observed))) if both else nan
    (slope, slope_se), (intercept, intercept_se) = slope_and_intercept(y, prob, weight)
    scaled = observed * (1 - observed)
    brier = float(np.mean((prob - y) ** 2))
    error = np.abs(prob - loess(prob, y, prob))
    return Calibration(
        len(y),
        observed,
        expected,
        o_e,
        o_e / spread,
        o_e * spread,
        slope,
        slope - z * slope_se,
        slope + z * slope_se,
        intercept,
        intercept - z * intercept_se,
        intercept + z * intercept_se,
        brier,
        1 - brier / scaled if scaled > 0 else nan,
        float(error.mean()),
        float(np.median(error)),
        float(np.quantile(error, 0.9)),
        float(error.max()),
        _ece(y, prob),
    )


def slope_and_intercept(
    y: np.ndarray, prob: np.ndarray, weight: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Calibration slope and intercept in the large, each with its standard error."""
    logit = _logit(prob)
    ones = np.ones_like(logit)
    joint, joint_se = fit_logistic(np.stack([ones, logit], axis=1), y, weight, np.zeros_like(y))
    large, large_se = fit_logistic(ones[:, None], y, weight, logit)
    return (joint[1], joint_se[1]), (large[0], large_se[0])


def _logit(prob: np.ndarray) -> np.ndarray:
    inside = np.clip(prob, _CLIP, 1 - _CLIP)
    return np.log(inside) - np.log1p(-inside)


def _logistic_many(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """:func:`fit_logistic` under many weightings at once, (n_replicates, n_columns)."""
    beta = np.zeros((len(weights), X.shape[1]))
    out = np.full(beta.shape, np.nan)
    shares = weights @ y / weights.sum(axis=1)
    active = np.flatnonzero((shares > 0) & (shares < 1))
    squares = X[:, :, None] * X[:, None, :]
    for _ in range(50):
        if not len(active):
            break
        w = weights[active]
        p = 1 / (1 + np.exp(-np.clip(offset + beta[active] @ X.T, -700, 700)))
        information = np.tensordot(w * p * (1 - p), squares, axes=(1, 0))
        # Risks that are all one value, or classes apart, have no slope.
        known = np.linalg.cond(information) < 1e14
        active, w, p, information = active[known], w[known], p[known], information[known]
        step = np.linalg.solve(information, ((w * (y - p)) @ X)[..., None])[..., 0]
        size = np.abs(step).max(axis=1)
        beta[active] += step / np.maximum(1.0, size / 5)[:, None]
        done = size < 1e-10
        out[active[done]] = beta[active[done]]
        active = active[~done]
    return out


def fit_logistic(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood by Newton's method; nan where it does not exist."""
    beta = np.zeros(X.shape[1])
    undefined = np.full(X.shape[1], np.nan)
    used = weight > 0
    if len(np.unique(y[used])) < 2 or np.linalg.matrix_rank(X[used]) < X.shape[1]:
        return undefined, undefined
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(offset + X @ beta, -700, 700)))
        information = (X * (weight * p * (1 - p))[:, None]).T @ X
        try:
            step = np.linalg.solve(information, X.T @ (weight * (y - p)))
        except np.linalg.LinAlgError:
            return undefined, undefined
        # A long first step overshoots where classes are nearly apart.
        beta = beta + step / max(1.0, float(np.abs(step).max()) / 5)
        if np.abs(step).max() < 1e-10:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return undefined, undefined


def loess(
    x: ArrayLike, y: ArrayLike, at: ArrayLike, *, span: float = 0.75, degree: int = 2
) -> np.ndarray:
    """Local regression with tricube weights, fitted exactly at every point.

    R's ``loess(y ~ x, surface = "direct")``, not its default, which blends a few fits.

    Parameters
    ----------
    x, y : array-like of shape (n_records,)
    at : array-like of shape (n_points,)
        Where the curve is wanted; beyond 2,500 distinct points a grid of 512 is fitted and
        joined by lines.
    span : float, default=0.75
        Share of records in each fit.
    degree : int, default=2

    Returns
    -------
    ndarray of shape (n_points,)

    Raises
    ------
    ValueError
        x and y of different lengths, no record, or values that are not finite.

    References
    ----------
    Cleveland and Devlin, Locally weighted regression, J. Am. Stat. Assoc. 83 (1988) 596-610.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.evaluation import loess
    >>> x = np.linspace(0, 1, 20)
    >>> np.allclose(loess(x, x**2, [0.3, 0.5]), [0.09, 0.25])
    True
    """
    x, y, at = (np.asarray(values, dtype=float) for values in (x, y, at))
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"loess expects x and y of one length, got {x.shape} and {y.shape}.")
    if not all(np.isfinite(values).all() for values in (x, y, at)):
        raise ValueError("loess expects finite x, y and points: leave records without a value out.")
    points, where = np.unique(at, return_inverse=True)
    if len(points) > _EXACT_UP_TO:
        grid = np.quantile(points, np.linspace(0, 1, 512))
        return np.interp(points, grid, loess(x, y, grid, span=span, degree=degree))[where]
    n_near = min(len(x), max(int(span * len(x) + 1e-5), 1))
    return np.array([_local(x, y, point, n_near, degree) for point in points])[where]


def _local(x: np.ndarray, y: np.ndarray, point: float, n_near: int, degree: int) -> float:
    distance = np.abs(x - point)
    width = np.partition(distance, n_near - 1)[n_near - 1]
    if width == 0:
        return float(y[distance == 0].mean())
    weight = np.sqrt(np.clip(1 - (distance / width) ** 3, 0, None) ** 3)
    near = weight > 0
    # Scaled to the window, so that lstsq's rank cut-off means ties and not small numbers.
    basis = np.vander((x[near] - point) / width, degree + 1, increasing=True)
    fit = np.linalg.lstsq(basis * weight[near, None], y[near] * weight[near], rcond=None)[0]
    return float(fit[0])


def _ece(y: np.ndarray, prob: np.ndarray) -> float:
    bins = np.clip(np.ceil(prob * 10).astype(int) - 1, 0, 9)
    gap = np.bincount(bins, y - prob, minlength=10)
    return float(np.abs(gap).sum() / len(y))


class _Smoother:
    """The loess of a calibration curve under many weightings, on a grid of its risks.

    The width of each window stays that of the risks themselves, so that a replicate is a few sums:
    intervals take hundreds of them.
    """

    def __init__(self, score: np.ndarray, y: np.ndarray, n_points: int = 60) -> None:
        self.score, self.y = score, y
        self.grid = np.unique(np.quantile(score, np.linspace(0, 1, n_points)))
        near = min(len(score), max(int(0.75 * len(score)), 1))
        distance = np.abs(score[None, :] - self.grid[:, None])
        width = np.maximum(np.partition(distance, near - 1, axis=1)[:, near - 1], 1e-9)
        self.kernel = np.clip(1 - (distance / width[:, None]) ** 3, 0, None) ** 3
        self.offset = (score[None, :] - self.grid[:, None]) / width[:, None]

        powers = self.offset[None] ** np.arange(5)[:, None, None] * self.kernel
        # Sums over records as one product, for hundreds of weightings at once.
        self.moments = powers.reshape(-1, len(score)).T
        self.right = (powers[:3] * y).reshape(-1, len(score)).T

    def ici(self, weights: np.ndarray) -> np.ndarray:
        """Mean distance of the smooth from the risks, one per row of weights."""
        shape = (len(weights), -1, len(self.grid))
        moments = (weights @ self.moments).reshape(shape).transpose(0, 2, 1)
        right = (weights @ self.right).reshape(shape).transpose(0, 2, 1)
        system = moments[:, :, np.arange(3)[:, None] + np.arange(3)[None, :]]
        fits = np.empty(right.shape)
        trace = np.maximum(np.trace(system, axis1=2, axis2=3), 1e-300)
        # The determinant of a window with fewer than three risks is zero: least squares there.
        solid = np.linalg.det(system / trace[..., None, None]) > 1e-10
        fits[solid] = np.linalg.solve(system[solid], right[solid][..., None])[..., 0]
        loose = np.linalg.pinv(system[~solid], hermitian=True)
        fits[~solid] = (loose @ right[~solid][..., None])[..., 0]
        smooth = np.stack([np.interp(self.score, self.grid, row) for row in fits[:, :, 0]])
        return (weights * np.abs(self.score - smooth)).sum(axis=1) / weights.sum(axis=1)


def calibration_table(parts: list[Part], *, confidence: float, n_bootstrap: int) -> pd.DataFrame:
    """One row per model; see ``Evaluation.calibration``."""
    patients, rows = patients_of(parts), {}
    for model, own in by_model(parts).items():
        group, y_true, score = pooled(own)
        limits = [f"{name}_{end}" for name in DRAWN for end in ("low", "high")]
        row: dict[str, Any] = dict.fromkeys([*Calibration._fields, *limits], np.nan)
        row["n"] = len(y_true)
        if own[0].kind == "probability":
            figures = calibration_figures(y_true, score, pos_label=True, confidence=confidence)
            row.update(figures._asdict())
            row.update(_drawn(group, y_true, score, patients, confidence, n_bootstrap))
        rows[model] = row
    return pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="model"))


def _drawn(
    group: np.ndarray,
    y_true: np.ndarray,
    score: np.ndarray,
    patients: np.ndarray,
    confidence: float,
    n_bootstrap: int,
) -> dict[str, float]:
    where, y = np.searchsorted(patients, group), y_true.astype(float)
    values: dict[str, list[np.ndarray]] = {name: [] for name in DRAWN}
    smooth = _Smoother(score, y)
    logit = _logit(score)
    ones = np.ones_like(logit)
    joint = np.stack([ones, logit], axis=1)
    for draws in patient_weights(len(patients), n_bootstrap, 0):
        for start in range(0, len(draws), _REPLICATES):
            weights = draws[start : start + _REPLICATES][:, where]
            n, expected = weights.sum(axis=1), weights @ score
            with np.errstate(divide="ignore", invalid="ignore"):
                blocks = {
                    "slope": _logistic_many(joint, y, weights, 0 * logit)[:, 1],
                    "intercept": _logistic_many(ones[:, None], y, weights, logit)[:, 0],
                    "o_e": np.where(expected > 0, weights @ y / expected, np.nan),
                    "brier": weights @ (score - y) ** 2 / n,
                    "ici": smooth.ici(weights),
                }
            for name, block in blocks.items():
                values[name].append(block)
    limits = {}
    for name, drawn in values.items():
        low, high = percentile_interval(np.concatenate(drawn), confidence)
        limits[f"{name}_low"], limits[f"{name}_high"] = low, high
    return limits


def calibration_curve_table(parts: list[Part], n_points: int) -> pd.DataFrame:
    """Smooth curve of each model with risks; see ``Evaluation.calibration_curve``."""
    frames = []
    for model, own in by_model(parts).items():
        if own[0].kind == "probability":
            _, y_true, score = pooled(own)
            # The outermost risks are too few to smooth over.
            low, high = np.quantile(score, [0.01, 0.99])
            if all(np.ptp(part.y_score) < _NARROW for part in own):
                continue
            grid = np.linspace(low, high, n_points)
            # Local regression overshoots at the ends; a share of positives cannot.
            observed = np.clip(loess(score, y_true, grid), 0, 1)
            columns = {"model": model, "predicted": grid, "observed": observed}
            frames.append(pd.DataFrame(columns))
    names = ["model", "predicted", "observed"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
