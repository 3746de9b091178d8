"""Choosing features by their univariate p-value, inside the fold."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit, log_expit
from sklearn.base import BaseEstimator, _fit_context
from sklearn.feature_selection import SelectorMixin, f_classif
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from crtkit._columns import check_same_index
from crtkit.statistics.p_values import SMALLEST, benjamini_hochberg, holm


class UnivariateScreen(SelectorMixin, BaseEstimator):
    """Keep the features whose univariate test against the outcome is significant.

    The screen of he2021 ("variables with p < 0.1 enter the multivariable model") as a step of a
    Pipeline. There it is refitted inside every training fold, so that its choice is paid for:
    on all patients at once, 64 features of pure noise yield about three hits at 0.05, and a
    model on those three looks better than chance on the same patients.

    Parameters
    ----------
    alpha : float, default=0.05
        Features with p < `alpha` are kept. 1 keeps every feature that varies.
    test : {"wald", "likelihood", "anova"}, default="wald"
        Of two classes, the Wald test of a univariate logistic regression (as statsmodels prints
        it), its likelihood-ratio test, or the F-test of the means. Of more classes always the
        last. Where a feature separates the classes the Wald test has no value, and the
        likelihood-ratio test stands in.
    adjust : {None, "holm", "bh"}, default=None
        Correction of the p-values for the number of features.
    min_features : int, default=1
        If fewer features pass, those with the smallest p-values are kept, with a warning, so
        that the next step has something to fit; 0 lets the screen keep nothing.

    Attributes
    ----------
    p_values_ : ndarray of shape ``(n_features_in_,)``
        Of each feature, adjusted where asked; 1 where the feature is constant.
    support_ : ndarray of bool, shape ``(n_features_in_,)``
        Features kept.
    n_passed_ : int
        Features with p < `alpha`, before `min_features`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape ``(n_features_in_,)``
        If X has text column names.

    See Also
    --------
    crtkit.statistics.univariate_logistic : The same test as a table, with odds ratios.

    References
    ----------
    he2021: a method using deep learning to discover new predictors of CRT response from
    mechanical dyssynchrony on gated SPECT MPI, "Comparison of clinical and deep learning
    variables by statistical analysis".
    Ambroise C, McLachlan GJ. Selection bias in gene extraction on the basis of microarray
    gene-expression data. PNAS 2002;99:6562-6566.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from crtkit import UnivariateScreen
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(102, 64))
    >>> y = X[:, 30] + rng.logistic(size=102) > 0
    >>> model = make_pipeline(UnivariateScreen(alpha=0.01), LogisticRegression()).fit(X, y)
    >>> bool(model[0].support_[30])
    True
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, 1, closed="right")],
        "test": [StrOptions({"wald", "likelihood", "anova"})],
        "adjust": [StrOptions({"holm", "bh"}), None],
        "min_features": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, *, alpha=0.05, test="wald", adjust=None, min_features=1) -> None:
        self.alpha = alpha
        self.test = test
        self.adjust = adjust
        self.min_features = min_features

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y) -> UnivariateScreen:
        """Test every feature.

        Parameters
        ----------
        X : array-like of shape (n_records, n_features)
            Finite numbers.
        y : array-like of shape (n_records,)
            Classes, of any label type.

        Returns
        -------
        self : UnivariateScreen

        Raises
        ------
        ValueError
            One class, NaN, a continuous y, X and y of different length.

        Warns
        -----
        UserWarning
            Fewer than `min_features` features pass.
        """
        check_same_index("UnivariateScreen", X=X, y=y)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"UnivariateScreen needs two classes or more, got one class: {classes[0]!r}."
            )
        if len(classes) > 2 or self.test == "anova":
            p = _anova_p(X, codes)
        else:
            p = univariate_p(X, codes == 1, likelihood=self.test == "likelihood")
        varies = ~np.isnan(p)
        if self.adjust is not None:
            p = holm(p) if self.adjust == "holm" else benjamini_hochberg(p)
        # Below alpha, as papers write it; alpha=1 keeps everything, p = 1 included.
        passed = varies & (p <= self.alpha if self.alpha == 1 else p < self.alpha)
        self.p_values_ = np.where(varies, p, 1.0)
        self.n_passed_ = int(passed.sum())
        self.support_ = passed
        wanted = min(self.min_features, X.shape[1])
        if self.n_passed_ < wanted:
            # Constant columns have p = 1 here; at equal p a column that varies comes first.
            order = np.lexsort((~varies, self.p_values_))
            self.support_ = np.isin(np.arange(X.shape[1]), order[:wanted])
            warnings.warn(
                f"UnivariateScreen: {self.n_passed_} of {X.shape[1]} features have p < "
                f"{self.alpha:g}; the {wanted} with the smallest p-values (min_features) are kept "
                f"nevertheless, smallest p {self.p_values_.min():.3g}.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def univariate_p(X, event, *, likelihood=False, max_iter=50) -> np.ndarray:
    """p-value of every column in a logistic model of its own, all fitted at once.

    Parameters
    ----------
    X : ndarray of shape (n_records, n_features)
    event : ndarray of bool, shape (n_records,)
    likelihood : bool, default=False
        Likelihood-ratio instead of Wald test.
    max_iter : int, default=50

    Returns
    -------
    ndarray of shape (n_features,)
        nan where the column is constant.
    """
    # Standardised, all columns take Newton steps of one size and one stopping rule fits them.
    mean, sd = X.mean(axis=0), X.std(axis=0)
    varies = sd > 1e-12 * np.abs(X).max(axis=0)
    z = (X - mean) / np.where(varies, sd, 1.0)
    z[:, ~varies] = 0.0
    low, high = z[~event], z[event]
    # One variable separates the classes exactly where their ranges do not overlap.
    separated = (low.max(0) <= high.min(0)) | (high.max(0) <= low.min(0))
    share = event.mean()
    a, b = np.full(z.shape[1], np.log(share / (1 - share))), np.zeros(z.shape[1])
    target = event[:, None].astype(float)
    for _ in range(max_iter):
        prob = expit(a + b * z)
        w = prob * (1 - prob)
        s0, s1, s2 = w.sum(0), (w * z).sum(0), (w * z * z).sum(0)
        g0, g1 = (target - prob).sum(0), ((target - prob) * z).sum(0)
        det = np.maximum(s0 * s2 - s1**2, 1e-300)
        step_a, step_b = (s2 * g0 - s1 * g1) / det, (s0 * g1 - s1 * g0) / det
        # A full Newton step from 0 may overshoot to where all weights vanish, and never come back.
        shrink = np.minimum(1.0, 2 / np.maximum(np.hypot(step_a, step_b), 1e-300))
        a, b = a + shrink * step_a * varies, b + shrink * step_b * varies
        # A separating slope grows by about one per step without end: its likelihood converges.
        if np.abs(shrink * step_b)[varies].max(initial=0) < 1e-12:
            break
    eta = a + b * z
    loglik = log_expit(np.where(event[:, None], eta, -eta)).sum(0)
    null = len(event) * (share * np.log(share) + (1 - share) * np.log(1 - share))
    p = stats.chi2.sf(np.maximum(2 * (loglik - null), 0), 1)
    if not likelihood:
        with np.errstate(divide="ignore", invalid="ignore"):
            wald = 2 * stats.norm.sf(np.abs(b) / np.sqrt(s0 / det))
        # Wald's standard error explodes under separation and calls the best variable useless.
        p = np.where(separated, p, wald)
    return np.where(varies, np.maximum(p, SMALLEST), np.nan)


def _anova_p(X, codes) -> np.ndarray:
    """F-test of the class means; nan where a column is constant."""
    varies = np.ptp(X, axis=0) > 1e-12 * np.abs(X).max(axis=0)
    if len(codes) == codes.max() + 1:
        # One record a class: nothing to judge the means by, which is no evidence of a difference.
        return np.where(varies, 1.0, np.nan)
    p = np.full(X.shape[1], np.nan)
    if varies.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            p[varies] = f_classif(X[:, varies], codes)[1]
    # No spread within the classes: F is infinite, or nan where the means agree too.
    return np.where(varies, np.maximum(np.nan_to_num(p, nan=0.0), SMALLEST), np.nan)
