"""How many patients a prediction model needs, and how many parameters a cohort can carry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, stats
from scipy.special import log_expit

__all__ = ["max_parameters", "r2_from_auc", "sample_size", "validation_sample_size"]

# Defaults of Riley et al.: overfitting of 10 %, optimism in R2 of 0.05, prevalence to +- 0.05.
SHRINKAGE, OPTIMISM, MARGIN, Z = 0.9, 0.05, 0.05, 1.96


def sample_size(
    n_parameters: int,
    prevalence: float,
    *,
    auc: float | None = None,
    r2: float | None = None,
    nagelkerke: float | None = None,
    shrinkage: float = SHRINKAGE,
) -> pd.DataFrame:
    """Smallest cohort for a new model of a two-class outcome, by the criteria of Riley et al.

    Parameters
    ----------
    n_parameters : int
        Candidate parameters, before any selection: a network's penultimate features, say.
    prevalence : float
        Share of positives, in (0, 1).
    auc : float, optional
        AUC that the model is expected to reach, in (0.5, 1); :func:`r2_from_auc` turns it into R2.
    r2 : float, optional
        Expected Cox-Snell R2, in place of ``auc``.
    nagelkerke : float, optional
        Expected share of the largest R2, in place of ``auc``; the R2 is rounded to three decimals,
        as pmsampsize does.
    shrinkage : float, default=0.9
        Least uniform shrinkage: 0.9 is 10 % overfitting.

    Returns
    -------
    DataFrame of one row
        ``criterion1`` (shrinkage), ``criterion2`` (optimism in R2 of at most 0.05 of the largest),
        ``criterion3`` (prevalence to within 0.05), ``n`` (the largest of them), ``events``,
        ``events_per_parameter``, ``r2``, ``max_r2``, ``nagelkerke``, ``shrinkage`` (at this n).

    Raises
    ------
    ValueError
        Not exactly one of ``auc``, ``r2`` and ``nagelkerke``, or a value out of range.

    References
    ----------
    Riley et al., Calculating the sample size required for developing a clinical prediction model,
    BMJ 368 (2020) m441; and Statistics in Medicine 38 (2019) 1276-1296.

    Examples
    --------
    Twelve parameters, 35 % responders, an expected AUC of 0.8:

    >>> from crtkit.evaluation import sample_size
    >>> int(sample_size(12, 0.35, auc=0.8)["n"].iloc[0]) > 350
    True
    """
    if not isinstance(n_parameters, (int, np.integer)) or n_parameters < 1:
        raise ValueError(f"sample_size expects n_parameters >= 1, got {n_parameters!r}.")
    r2, largest = _expected_r2(prevalence, auc, r2, nagelkerke)
    _check_shrinkage(shrinkage, r2)
    limits = [_ceil(limit) for limit in _criteria(n_parameters, prevalence, r2, largest, shrinkage)]
    n = max(limits)
    row: dict[str, Any] = {f"criterion{i}": value for i, value in enumerate(limits, start=1)}
    row.update(
        n=n,
        events=n * prevalence,
        events_per_parameter=n * prevalence / n_parameters,
        r2=r2,
        max_r2=largest,
        nagelkerke=r2 / largest,
        shrinkage=max(shrinkage, r2 / (r2 + OPTIMISM * largest)),
    )
    return pd.DataFrame([row])


def max_parameters(
    n: int,
    prevalence: float,
    *,
    auc: float | None = None,
    r2: float | None = None,
    nagelkerke: float | None = None,
    shrinkage: float = SHRINKAGE,
    criterion3: bool = True,
) -> int:
    """Most candidate parameters that a cohort of ``n`` patients can carry.

    Parameters
    ----------
    n : int
        Patients.
    prevalence, auc, r2, nagelkerke, shrinkage
        As in :func:`sample_size`.
    criterion3 : bool, default=True
        Also ask for the prevalence to within 0.05, which no number of parameters mends: a cohort
        that is too small for it carries none.

    Returns
    -------
    int
        0: not even one.

    Raises
    ------
    ValueError
        Not one of ``auc``, ``r2`` and ``nagelkerke``, or a value outside its range.

    Examples
    --------
    >>> from crtkit.evaluation import max_parameters
    >>> max_parameters(71, 0.5, auc=0.7), max_parameters(1000, 0.5, auc=0.7)
    (0, 14)
    """
    r2, largest = _expected_r2(prevalence, auc, r2, nagelkerke)
    _check_shrinkage(shrinkage, r2)
    first, second, third = _criteria(1, prevalence, r2, largest, shrinkage)
    if criterion3 and _ceil(third) > n:
        return 0
    # The first two limits rise in proportion to the parameters; rounding up is left to the check.
    most = int(n / max(first, second)) + 1
    while most and _ceil(most * max(first, second)) > n:
        most -= 1
    return most


def validation_sample_size(
    prevalence: float, auc: float, *, oe_width: float = 0.4, auc_width: float = 0.1
) -> pd.DataFrame:
    """Patients needed to validate a model at another hospital.

    Parameters
    ----------
    prevalence : float
        In (0, 1).
    auc : float
        Expected, in (0.5, 1).
    oe_width : float, default=0.4
        Width of the 95 % interval of observed over expected, around 1.
    auc_width : float, default=0.1
        Width of the 95 % interval of the AUC.

    Returns
    -------
    DataFrame of one row
        ``n_oe`` (O:E), ``n_auc`` (Newcombe's standard error), ``n`` and ``events``.

    Raises
    ------
    ValueError
        Widths that are not positive, or figures out of range.

    References
    ----------
    Riley et al., Minimum sample size for external validation of a clinical prediction model with a
    binary outcome, Statistics in Medicine 40 (2021) 4230-4251, criteria 1 and 3.

    Examples
    --------
    >>> from crtkit.evaluation import validation_sample_size
    >>> validation_sample_size(0.5, 0.75)[["n_oe", "n_auc"]].iloc[0].tolist()
    [98, 364]
    """
    _check_share("prevalence", prevalence, 0.0)
    _check_share("auc", auc, 0.5)
    if not (oe_width > 0 and 0 < auc_width < 1):
        raise ValueError(f"widths must be positive, got {oe_width!r} and {auc_width!r}.")
    # The interval is exp(+- 1.96 se): its width says the standard error of log(O:E).
    se_oe = math.asinh(oe_width / 2) / Z
    n_oe = _ceil((1 - prevalence) / (prevalence * se_oe**2))

    def too_wide(n: int) -> bool:
        return 2 * Z * _newcombe_se(auc, prevalence, n) > auc_width

    low, high = 4, 8
    while too_wide(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if too_wide(middle) else (low, middle)
    n = max(n_oe, high)
    return pd.DataFrame([{"n_oe": n_oe, "n_auc": high, "n": n, "events": n * prevalence}])


def r2_from_auc(auc: float, prevalence: float) -> float:
    """Cox-Snell R2 of a model whose linear predictor is normal in both classes.

    The expected likelihood ratio is integrated; pmsampsize draws a million patients for it.

    Parameters
    ----------
    auc : float
        In (0.5, 1).
    prevalence : float
        In (0, 1).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        ``auc`` is not in (0.5, 1), or ``prevalence`` not in (0, 1).

    References
    ----------
    Riley, Van Calster, Collins, A note on estimating the Cox-Snell R2 from a reported C statistic,
    Statistics in Medicine 40 (2021) 859-864.

    Examples
    --------
    >>> from crtkit.evaluation import r2_from_auc
    >>> round(r2_from_auc(0.7, 0.55), 4)
    0.1198
    """
    _check_share("auc", auc, 0.5)
    _check_share("prevalence", prevalence, 0.0)
    apart = math.sqrt(2) * float(stats.norm.ppf(auc))
    start = math.log(prevalence / (1 - prevalence)) - apart**2 / 2

    def gain(x: float, mean: float, sign: float) -> float:
        return float(stats.norm.pdf(x - mean) * log_expit(sign * (start + apart * x)))

    fitted = 0.0
    for mean, share, sign in ((apart, prevalence, 1.0), (0.0, 1 - prevalence, -1.0)):
        # Twelve standard deviations: what lies outside is below the rounding of a double.
        edges = (mean - 12, mean + 12)
        area = integrate.quad(gain, *edges, args=(mean, sign), epsabs=1e-12, limit=200)[0]
        fitted += share * area
    return 1 - math.exp(2 * (_null(prevalence) - fitted))


def _criteria(
    n_parameters: int, prevalence: float, r2: float, largest: float, shrinkage: float
) -> tuple[float, float, float]:
    """Patients by each criterion, not rounded."""
    second = r2 / (r2 + OPTIMISM * largest)
    limits = [n_parameters / ((s - 1) * math.log(1 - r2 / s)) for s in (shrinkage, second)]
    return limits[0], limits[1], (Z / MARGIN) ** 2 * prevalence * (1 - prevalence)


def _expected_r2(
    prevalence: float, auc: float | None, r2: float | None, nagelkerke: float | None
) -> tuple[float, float]:
    _check_share("prevalence", prevalence, 0.0)
    given = [value for value in (auc, r2, nagelkerke) if value is not None]
    if len(given) != 1:
        raise ValueError(
            "Give one of auc, r2 and nagelkerke: each says how good the model will be."
        )
    largest = 1 - math.exp(2 * _null(prevalence))
    if auc is not None:
        r2 = r2_from_auc(auc, prevalence)
    elif nagelkerke is not None:
        _check_share("nagelkerke", nagelkerke, 0.0)
        r2 = round(nagelkerke * largest, 3)
    if r2 is None or not 0 < r2 < largest:
        raise ValueError(f"r2 must be in (0, {largest:.4g}), the largest here, got {r2!r}.")
    return r2, largest


def _null(prevalence: float) -> float:
    """Log likelihood per patient of the prevalence alone."""
    return prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)


def _newcombe_se(auc: float, prevalence: float, n: int) -> float:
    half = n / 2 - 1
    inner = 1 + half * (1 - auc) / (2 - auc) + half * auc / (1 + auc)
    return math.sqrt(auc * (1 - auc) * inner / (n**2 * prevalence * (1 - prevalence)))


def _ceil(value: float) -> int:
    # 822.0000000000001 patients are 822.
    return math.ceil(value * (1 - 1e-12))


def _check_shrinkage(shrinkage: float, r2: float) -> None:
    if not r2 < shrinkage < 1:
        raise ValueError(f"shrinkage must be in (r2, 1), here ({r2:.4g}, 1), got {shrinkage!r}.")


def _check_share(name: str, value: float, low: float) -> None:
    if not low < value < 1:
        raise ValueError(f"{name} must be in ({low:g}, 1), got {value!r}.")


def chance_sentence(n: int, n_positive: int, auc: float = 0.75) -> str:
    """What the criteria say of a cohort of this size, in one sentence; empty where it is enough.

    Parameters
    ----------
    n, n_positive : int
        Patients, and those of the positive class.
    auc : float, default=0.75
        Expected, of a good model of the response to CRT.
    """
    if not 0 < n_positive < n:
        return ""
    prevalence = n_positive / n
    # The third criterion fails for every small cohort and says nothing of parameters.
    most = max_parameters(n, prevalence, auc=auc, criterion3=False)
    needed = int(sample_size(10, prevalence, auc=auc)["n"].iloc[0])
    if n >= needed:
        return ""
    return (
        f"With {n} patients ({n_positive} positive) and an AUC of {auc:g}, Riley's criteria allow "
        f"{most} candidate parameter{'s' if most != 1 else ''}; ten would need {needed} patients: "
        "expect models with more to be overfitted, and intervals to be wide."
    )
