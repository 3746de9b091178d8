"""Risks put right inside the training part: Platt, intercept, temperature, isotonic."""

from numbers import Integral

import numpy as np
from scipy import optimize
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit.resampling.base import OneClassifier

METHODS = ("platt", "intercept", "temperature", "isotonic")
# Risks of exactly 0 or 1 have no logit; a forest gives them.
_CLIP = 1e-6


class RecalibratedClassifier(OneClassifier):
    """Fit a classifier, and a map from its scores to risks, on the training part alone.

    The map is learned from scores of patients that a fit of the classifier had not seen: the
    training part is cut into folds by patient, each fold is scored by a model of the others, and
    the classifier is then fitted again on all of them. In :func:`crtkit.evaluate` it is a model
    like any other, so that no test patient takes part.

    Parameters
    ----------
    estimator : classifier
        Of two classes. Cloned, never fitted itself.
    method : {"platt", "intercept", "temperature", "isotonic"}, default="platt"
        On x, the logit of the classifier's risk, or its decision function where it has no risks:
        ``"platt"``: slope and intercept; ``"intercept"``: an intercept only, recalibration in the
        large; ``"temperature"``: a slope only, which leaves every call as it was; ``"isotonic"``:
        any increasing map, for some hundreds of patients or more.
    n_folds : int, default=5
        Fewer where a class has fewer patients.
    random_state : int, RandomState or None, default=None
        Of the folds.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all of the training part.
    slope_ : float
        Of the map, ``risk = 1 / (1 + exp(-(intercept_ + slope_ * x)))``; nan for ``"isotonic"``.
    intercept_ : float
        Of the same map.
    knots_ : ndarray of shape (2, n_knots)
        x and risk between which ``"isotonic"`` draws lines; empty for the others.
    classes_ : ndarray of shape (2,)

    Notes
    -----
    Classes are aimed at as Platt did, (n + 1) / (n + 2) for n positives and 1 / (n + 2) for n
    negatives, so that a slope exists where the classes are apart.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers,
    1999. Guo et al., On calibration of modern neural networks, ICML 2017 (temperature). Zadrozny
    and Elkan, KDD 2002 (isotonic).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> from crtkit.resampling import RecalibratedClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(80) % 2
    >>> X = rng.normal(size=(80, 2)) + y[:, None]
    >>> model = RecalibratedClassifier(SVC(), random_state=0).fit(X, y, groups=np.arange(80) // 2)
    >>> model.predict_proba(X).shape
    (80, 2)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions(set(METHODS))],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, *, method="platt", n_folds=5, random_state=None):
        self.estimator = estimator
        self.method = method
        self.n_folds = n_folds
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None):
        """Score every training record out of its fold, learn the map, and fit on all of them.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows
        y : array-like of shape (n_records,)
        groups : array-like of shape (n_records,), optional
            Patients; no patient is in two folds. Without them, every record is its own patient.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Not two classes, or a class with one patient.
        """
        X, y, groups = self._check(X, y, groups)
        positive = y == self._two_classes(y)[1]
        score = np.empty(len(y))
        for train, test in self._folds(y, groups):
            self._fit_inner(X, y, groups, train)
            score[test] = self._score(_safe_indexing(X, test))
        # The map was learned on models of four fifths of the patients and serves one of all.
        self._fit_inner(X, y, groups, np.arange(len(y)))
        self.slope_ = self.intercept_ = float("nan")
        self.knots_ = np.empty((2, 0))
        if self.method == "isotonic":
            iso = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, positive)
            self.knots_ = np.array([iso.X_thresholds_, iso.y_thresholds_])
        else:
            self.intercept_, self.slope_ = fit_map(score, positive, self.method)
        return self

    def predict_proba(self, X):
        """Recalibrated probability of each class.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records, 2)
        """
        check_is_fitted(self)
        score = self._score(X)
        if self.method == "isotonic":
            # Beyond the outermost knots the risk stays as it is there.
            risk = np.interp(score, *self.knots_)
        else:
            risk = expit(self.intercept_ + self.slope_ * score)
        return np.column_stack([1 - risk, risk])

    def decision_function(self, X):
        """Log odds of the recalibrated risk; positive where the second class is more probable.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,)
        """
        risk = np.clip(self.predict_proba(X)[:, 1], _CLIP, 1 - _CLIP)
        return np.log(risk) - np.log1p(-risk)

    def predict(self, X):
        """The more probable class of each record, after the map.

        Parameters
        ----------
        X : array-like or DataFrame of n_records rows

        Returns
        -------
        ndarray of shape (n_records,)
        """
        risk = self.predict_proba(X)[:, 1]
        return self.classes_[(risk > 0.5).astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _score(self, X):
        if hasattr(self.estimator_, "predict_proba"):
            risk = np.asarray(self.estimator_.predict_proba(X)[:, 1], dtype=float)
            risk = np.clip(risk, _CLIP, 1 - _CLIP)
            return np.log(risk) - np.log1p(-risk)
        return np.asarray(self.estimator_.decision_function(X), dtype=float)

    def _folds(self, y, groups):
        patients = np.arange(len(y)) if groups is None else groups
        fewest = min(len(np.unique(patients[y == label])) for label in np.unique(y))
        if fewest < 2:
            raise ValueError(
                f"{type(self).__name__} needs two patients of each class, one for each side of a "
                "fold, got one."
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        # A fold without a class would teach the map nothing about it.
        n_folds = min(self.n_folds, fewest)
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        return splitter.split(np.zeros(len(y)), y, patients)


def fit_map(score, positive, method):
    """Intercept and slope of the risks of a score.

    Parameters
    ----------
    score : array-like of shape (n_records,)
        Logits, or values of a decision function.
    positive : array-like of bool, shape (n_records,)
    method : {"platt", "intercept", "temperature"}

    Returns
    -------
    intercept, slope : float

    Examples
    --------
    >>> from crtkit.resampling.recalibrated import fit_map
    >>> intercept, slope = fit_map([-1, 1, -1, 1], [False, True, False, True], "intercept")
    >>> abs(intercept) < 1e-6, slope
    (True, 1.0)
    """
    score, positive = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    n_positive, n_negative = positive.sum(), (~positive).sum()
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    # One scale for decision functions of any size: Newton's steps are then of order one.
    scale = float(score.std()) or 1.0
    X = np.stack([np.ones(len(score)), score / scale], axis=1)

    def loss(parameters):
        eta = X @ parameters
        return float(np.mean(np.logaddexp(0, eta) - target * eta))

    def gradient(parameters):
        return X.T @ (expit(X @ parameters) - target) / len(score)

    if method == "platt":
        found = optimize.minimize(loss, [0.0, 1.0], jac=gradient, tol=1e-10)
        return float(found.x[0]), float(found.x[1] / scale)
    if method == "intercept":
        # Far enough out every risk is 0 or 1, so that a root lies between.
        top = float(np.abs(score).max()) + 50.0
        root = optimize.brentq(lambda a: gradient([a, scale])[0], -top, top)
        return float(root), 1.0
    # A slope of zero or below would turn the ranks round: from 1/1000 to 1000 times the scale.
    found = optimize.minimize_scalar(
        lambda log: loss([0.0, np.exp(log)]), bounds=(-7, 7), method="bounded"
    )
    return 0.0, float(np.exp(found.x) / scale)
