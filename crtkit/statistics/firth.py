"""Firth's penalised logistic regression: finite estimates under separation and few events."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from scipy.special import expit, log_expit

from crtkit.statistics.outcome import check_confidence, renamed
from crtkit.statistics.p_values import not_zero


@dataclass(frozen=True)
class FirthResult:
    """Estimates, one entry per column of the design.

    Attributes
    ----------
    coef, se : ndarray of shape (n_columns,)
        Log odds ratios, and standard errors from the Fisher information at the estimate.
    ci_low, ci_high : ndarray of shape (n_columns,)
        Limits of the profile penalised likelihood.
    chi2, p_value : ndarray of shape (n_columns,)
        Penalised likelihood ratio test of each coefficient, one degree of freedom.
    loglik : float
        Penalised log likelihood at the maximum.
    """

    coef: np.ndarray
    se: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    chi2: np.ndarray
    p_value: np.ndarray
    loglik: float


@renamed("level", "confidence")
def fit_firth(design, y, *, confidence=0.95, columns=None) -> FirthResult:
    """Fit a logistic model by Firth's penalised likelihood.

    The log likelihood is raised by half the log determinant of the Fisher information (Jeffreys'
    prior), which takes the first-order bias away and keeps estimates finite.

    Parameters
    ----------
    design : array-like of shape (n_records, n_columns)
        With its column of ones, if the model has an intercept (it should).
    y : array-like of shape (n_records,)
        0 and 1, or bool.
    confidence : float, default=0.95
        Of the intervals.
    columns : list of int, optional
        Those whose interval and test are wanted, as each takes tens of fits; of the others they
        are nan. By default all.

    Returns
    -------
    FirthResult

    Raises
    ------
    ValueError
        A design of deficient rank, y that is not 0/1, missing values.
    RuntimeError
        The likelihood has no maximum.

    References
    ----------
    Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993;80:27-38.
    Heinze G, Schemper M. A solution to the problem of separation in logistic regression.
    Stat Med 2002;21:2409-2419.

    Examples
    --------
    Every patient with LBBB responds, so maximum likelihood has no estimate:

    >>> import numpy as np
    >>> from crtkit.statistics import fit_firth
    >>> lbbb = np.repeat([0, 0, 1], [7, 5, 10])
    >>> response = np.repeat([0, 1, 1], [7, 5, 10])
    >>> result = fit_firth(np.column_stack([np.ones(22), lbbb]), response)
    >>> np.exp(result.coef[1]).round(2), result.p_value[1].round(4)
    (np.float64(28.64), np.float64(0.0031))
    """
    design, y = _check(design, y, confidence)
    # Scaling changes the penalty by a constant only, so estimates scale back exactly.
    scale = np.sqrt((design**2).mean(axis=0))
    x = design / scale
    k = x.shape[1]
    best, coef = _polish(x, y, maximise(x, y, tol=1e-20)[1])
    information = _information(x, coef)
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    # Profile, not Wald: with few events, for which Firth is used, the likelihood is skewed.
    drop = stats.chi2.isf(1 - confidence, 1) / 2
    limits, chi2 = np.full((2, k), np.nan), np.full(k, np.nan)
    for j in range(k) if columns is None else columns:
        held = np.zeros(k, dtype=bool)
        held[j] = True
        chi2[j] = max(0.0, 2 * (best - _profile(x, y, held, 0.0, coef)))
        for side, sign in enumerate((-1, 1)):
            limits[side, j] = _limit(x, y, held, coef, se[j], sign, best - drop)
    p = np.array([not_zero(stats.chi2.sf(c, 1)) for c in chi2])
    return FirthResult(
        coef / scale,
        se / scale,
        limits[0] / scale,
        limits[1] / scale,
        chi2,
        p,
        float(best + np.log(scale).sum()),
    )


def maximise(x, y, held=None, start=None, tol=1e-13, max_iter=30) -> tuple[float, np.ndarray]:
    """Maximum of the penalised likelihood, with the coefficients `held` kept at their start.

    Parameters
    ----------
    x : ndarray of shape (n_records, n_columns)
    y : ndarray of shape (n_records,)
    held : ndarray of bool, shape (n_columns,), optional
    start : ndarray of shape (n_columns,), optional
    tol : float, default=1e-13
        Rise of the likelihood that another step could bring.

    Returns
    -------
    loglik : float
    coef : ndarray of shape (n_columns,)
    """
    k = x.shape[1]
    free = np.ones(k, dtype=bool) if held is None else ~held
    coef = np.zeros(k) if start is None else start.copy()
    value = penalised(x, y, coef)
    if not free.any():
        return value, coef
    for _ in range(max_iter):
        score, information = _score(x, y, coef)
        step = np.zeros(k)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        gain = step @ score
        if gain < tol or np.abs(step).max() < 1e-11:
            return value, coef
        # At most 5 on the logit scale at a time, as logistf has it.
        step *= min(1.0, 5 / np.abs(step).max())
        for _ in range(40):
            ahead = penalised(x, y, coef + step)
            if ahead >= value - 1e-13 * abs(value):
                break
            step /= 2
        else:  # no step raises the likelihood: the maximum, to machine precision
            return value, coef
        coef, value = coef + step, ahead
    return _climb(x, y, free, coef)


def _polish(x, y, coef) -> tuple[float, np.ndarray]:
    """Newton's method to the last digits, with the true Hessian in place of the information.

    Under complete separation the information is far from the Hessian: Fisher scoring creeps, and a
    likelihood that has stopped rising leaves the coefficients wrong in the fourth digit.
    """
    value = penalised(x, y, coef)
    for _ in range(25):
        score, information = _score(x, y, coef)
        # Central differences: an error in the Hessian slows the steps, it does not move the end.
        h = 1e-5 / np.sqrt(np.diag(information).clip(1e-12)).clip(1e-6)
        h = np.minimum(h, 1e-3)
        columns = [
            (_score(x, y, coef + e)[0] - _score(x, y, coef - e)[0]) / (2 * h[j])
            for j, e in enumerate(np.diag(h))
        ]
        try:
            step = np.linalg.solve(-np.array(columns).T, score)
        except np.linalg.LinAlgError:
            break
        ahead = penalised(x, y, coef + step)
        if not np.isfinite(ahead) or ahead < value - 1e-9 * max(1.0, abs(value)):
            break  # not near enough for Newton's method: keep the result of scoring
        coef, value = coef + step, ahead
        if np.abs(step).max() <= 1e-10 * max(1.0, np.abs(coef).max()):
            break
    return value, coef


def _climb(x, y, free, coef) -> tuple[float, np.ndarray]:
    """Quasi-Newton ascent for hills where Fisher scoring circles, far from the estimate."""

    def downhill(part) -> tuple[float, np.ndarray]:
        full = coef.copy()
        full[free] = part
        value = -penalised(x, y, full)
        if not np.isfinite(value):
            return 1e300, np.zeros(len(part))
        return value, -_score(x, y, full)[0][free]

    result = optimize.minimize(downhill, coef[free], jac=True, method="BFGS")
    if not np.isfinite(result.fun) or np.abs(result.jac).max() > 1e-2:
        raise RuntimeError(
            "fit_firth: the likelihood has no maximum: columns are nearly collinear."
        )
    out = coef.copy()
    out[free] = result.x
    return -float(result.fun), out


def _score(x, y, coef) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the penalised likelihood, and the Fisher information."""
    p = expit(x @ coef)
    root = np.sqrt(p * (1 - p))[:, None] * x
    information = root.T @ root
    # The diagonal of the hat matrix alone: n x n would be 3 GB for 20,000 records.
    leverage = np.einsum("ij,ij->i", root, np.linalg.solve(information, root.T).T)
    return x.T @ (y - p + leverage * (0.5 - p)), information


def penalised(x, y, coef) -> float:
    """Log likelihood plus half the log determinant of the Fisher information."""
    eta = x @ coef
    # The logarithm directly; the determinant itself underflows far out on a profile.
    sign, logdet = np.linalg.slogdet(_information(x, coef))
    if sign <= 0:
        return -np.inf
    return float(log_expit(np.where(y, eta, -eta)).sum() + logdet / 2)


def _information(x, coef) -> np.ndarray:
    p = expit(x @ coef)
    return (x * (p * (1 - p))[:, None]).T @ x


def _profile(x, y, held, value, near) -> float:
    """Maximum with one coefficient held; of three starts, as the profile can have several hills.

    Under separation the other coefficients grow in proportion, so one start is stretched.
    """
    maxima = []
    stretch = value / near[held][0] if near[held][0] else 1.0
    for start in (near.copy(), np.zeros_like(near), near * stretch):
        start[held] = value
        try:
            maxima.append(maximise(x, y, held, start)[0])
        except (np.linalg.LinAlgError, RuntimeError):  # so far out that no information is left
            continue
    return max(maxima, default=-np.inf)


def _limit(x, y, held, coef, se, sign, target) -> float:
    """Where the profile falls to `target`, left (sign -1) or right (+1) of the estimate."""
    centre = float(coef[held][0])

    def above(distance) -> float:
        return _profile(x, y, held, centre + sign * distance, coef) - target

    far = 2 * se
    # Brackets the limit for brentq; a profile that never falls that far has no limit on this side.
    while above(far) > 0:
        far *= 1.7
        if far > 1e4 * se:
            return sign * np.inf
    return centre + sign * optimize.brentq(above, 0.0, far, xtol=1e-8 * max(1.0, far))


def _check(design, y, confidence) -> tuple[np.ndarray, np.ndarray]:
    design, y = np.asarray(design, dtype=float), np.asarray(y)
    if design.ndim != 2 or y.shape != design.shape[:1]:
        raise ValueError(
            "fit_firth needs a design (n_records, n_columns) and y (n_records,), "
            f"got {design.shape} and {y.shape}."
        )
    if not np.isfinite(design).all():
        raise ValueError("fit_firth needs finite values, got NaN or infinity in the design.")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"fit_firth needs y of 0 and 1, got {np.unique(y)[:5]}.")
    check_confidence("fit_firth", confidence)
    spread = np.sqrt((design**2).mean(axis=0))
    if (spread == 0).any() or np.linalg.matrix_rank(design / spread) < design.shape[1]:
        raise ValueError(
            f"fit_firth needs independent columns, got rank below {design.shape[1]}: "
            "drop constant or redundant ones."
        )
    return design, y.astype(bool)
