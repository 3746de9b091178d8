"""Clinical rules as classifiers."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from crtkit._columns import as_floats, as_frame, check_same_index
from crtkit._labels import class_pair
from crtkit.guidelines.criteria import (
    RULES,
    check_unit,
    meets,
    resolve,
)
from crtkit.signals.qrs.measure import MEASUREMENTS


def rules() -> pd.DataFrame:
    """Thresholds of every named rule.

    Returns
    -------
    DataFrame
        A row for each condition; columns ``rule, alternative, column, operator, threshold, unit,
        source``. Conditions of one alternative must all be met, and one alternative is enough.

    Examples
    --------
    >>> from crtkit.guidelines import rules
    >>> table = rules()
    >>> table.loc[table["rule"] == "he2023", ["column", "operator", "threshold", "unit"]]
                column operator  threshold  unit
    0             lvef       <=         35     %
    1  qrs_duration_ms       >=        150    ms
    2             lbbb       ==          1  flag
    """
    table = [
        {"rule": name, **condition._asdict(), "source": source}
        for name, (conditions, source) in RULES.items()
        for condition in conditions
    ]
    order = ["rule", "alternative", "column", "operator", "threshold", "unit", "source"]
    return pd.DataFrame(table)[order]


class GuidelineClassifier(ClassifierMixin, BaseEstimator):
    """A clinical rule that answers as a binary classifier.

    Nothing is learned from X: ``fit`` takes the two labels from y, the larger one (or
    ``pos_label``) being "the rule is met" (responder). Give it the cohort's whole DataFrame: it
    takes its own columns.

    Parameters
    ----------
    rule : str or sequence of (column, operator, threshold), default="ESC2021-I"
        A name in :func:`rules` ("he2023", "ESC2021-I", "HRS2023-I", "PSD43", "PBW135", "QRS150",
        "QRSarea98", "LBBB"), or conditions that must all be met, operators being >=, <=, >, < and
        ==.
    columns : dict, default=None
        Columns of the rule that have another name here: ``{"lvef": "ef_percent"}``. None as
        a value says that every patient meets the conditions on this column (an inclusion
        criterion, say), so that it is not asked for: ``{"nyha": None}``.
    pos_label : label, default=None
        The answer where the rule is met; None: the larger label.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels, sorted.
    pos_label_ : label
        Answer where the rule is met: ``pos_label``, or the later label in their order (an ordered
        categorical states its own).
    conditions_ : tuple of Condition
        What is tested.
    columns_ : list of str
        Columns read, in order.
    n_missing_ : dict
        Missing values in each column during ``fit``. A missing value does not meet its condition.
    n_features_in_, feature_names_in_
        Of the columns read, for a DataFrame; of all columns, for an array.

    See Also
    --------
    rules : all thresholds, with sources.
    reference_rows : the rules a cohort can be judged by.

    Notes
    -----
    Columns: ``qrs_duration_ms`` (ms), ``lvef`` (%), ``nyha`` (1 to 4), ``psd_deg``, ``pbw_deg``
    (degrees) and the flags ``lbbb``, ``af``, ``male`` (0 or 1). Sinus rhythm is ``af == 0``; the
    rules are of intrinsic conduction, so ``lbbb`` must be 0 where the QRS is paced. "Symptomatic"
    is NYHA II to IV; that class IV be ambulatory, and that medical therapy be optimal, no column
    says. The classes I for patients who need pacing anyway are not here.

    On a signal alone: ``make_pipeline(QRSMeasurements(fs=500), GuidelineClassifier(...))``. An
    array of all of :data:`crtkit.signals.MEASUREMENTS` is read by their names. What no ECG tells
    (LVEF, NYHA) must be declared met (``columns={"lvef": None}``) or the rule is refused; what
    could not be measured is missing, and so does not meet its condition.

    ``decision_function`` of a rule with one numeric condition is the distance to its threshold
    (so that an AUC is that of the QRS duration itself; a missing value stands just below the
    threshold); of any other rule it is 1 or -1. As everywhere in scikit-learn, positive values
    speak for ``classes_[1]``: where ``pos_label`` is the smaller label, the sign is turned. There
    is no ``predict_proba``: a rule states no risk.

    Other arrays have no names: their columns are read in the order of ``columns_``.

    References
    ----------
    .. [1] Glikson et al. (2021), Eur Heart J 42:3427-3520: CRT in sinus rhythm, class I. Given as
       commonly quoted; not compared with the original text.
    .. [2] Chung et al. (2023), Heart Rhythm 20:e17-e91: class 1. The clause for QRS >= 150 ms was
       compared with a public summary; the one for women with LBBB and 120 to 149 ms could not
       be compared with the text and is given as commonly quoted.
    .. [3] Henneman et al. (2007), J Nucl Med 48:1104-1111: 43 and 135 degrees, as commonly quoted;
       not compared with the original text.
    .. [4] van Deursen et al. (2015), J Electrocardiol 48:45-52: a QRS area of 98 uVs (of a Frank
       vectorcardiogram; here Kors' regression). Compared with the abstract.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit import GuidelineClassifier
    >>> X = pd.DataFrame({"qrs_duration_ms": [172, 138, 155], "lbbb": [1, 1, 0], "lvef": 26})
    >>> rule = GuidelineClassifier(rule="he2023").fit(X, ["responder", "not", "responder"])
    >>> rule.predict(X)
    array(['responder', 'not', 'not'], dtype='<U9')
    >>> GuidelineClassifier(rule="QRS150").fit(X, [1, 0, 1]).decision_function(X)
    array([ 22., -12.,   5.])
    """

    def __init__(self, *, rule="ESC2021-I", columns=None, pos_label=None):
        self.rule = rule
        self.columns = columns
        self.pos_label = pos_label

    def fit(self, X, y) -> "GuidelineClassifier":
        """Take the labels, and check that the rule can be read.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_records, n_columns)
            A DataFrame may have any other columns.
        y : array-like of shape (n_records,)
            Two labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Unknown rule or column, a missing column, a flag that is not 0 or 1, a unit that cannot
            be (LVEF as a fraction, QRS in seconds), not exactly two labels, a ``pos_label`` that
            is neither.
        """
        check_same_index("GuidelineClassifier", X=X, y=y)
        # As given too: an ordered categorical loses its order in scikit-learn's checks.
        given, y = y, validate_data(self, y=y)
        self.conditions_ = resolve(self.rule, self.columns)
        self.columns_ = list(dict.fromkeys(c.column for c in self.conditions_))
        values = self._read(X, reset=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}."
            )
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                "GuidelineClassifier needs two labels to name its answers, y has one class: "
                f"{self.classes_[0]!r}."
            )
        _, self.pos_label_ = class_pair("GuidelineClassifier", given, self.pos_label)
        self.n_missing_ = {c: int(np.isnan(v).sum()) for c, v in values.items()}
        return self

    def predict(self, X) -> np.ndarray:
        """Labels: ``pos_label_`` where the rule is met.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_records, n_columns)

        Returns
        -------
        ndarray of shape (n_records,)
        """
        check_is_fitted(self)
        met = self._met(self._read(X))
        return self.classes_[(met == (self._sign() > 0)).astype(int)]

    def decision_function(self, X) -> np.ndarray:
        """Distance beyond the threshold, in its unit, or 1 and -1; positive for ``classes_[1]``.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_records, n_columns)

        Returns
        -------
        ndarray of shape (n_records,)
        """
        check_is_fitted(self)
        values = self._read(X)
        met = self._met(values)
        first = self.conditions_[0]
        if len(self.conditions_) > 1 or first.operator == "==":
            # Several conditions have no common unit to measure a distance in.
            return self._sign() * np.where(met, 1.0, -1.0)
        sign = 1.0 if first.operator in (">", ">=") else -1.0
        # A missing value meets no condition: the guideline asks for evidence, not for its absence.
        margin = sign * np.nan_to_num(values[first.column] - first.threshold, nan=0.0)
        # On the threshold the sign is the answer's, so that predict is decision > 0 exactly.
        tiny = np.finfo(np.float64).tiny
        return self._sign() * np.where(met, np.maximum(margin, tiny), np.minimum(margin, -tiny))

    def conditions(self, X) -> pd.DataFrame:
        """Which condition each record meets.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_records, n_columns)

        Returns
        -------
        DataFrame of shape (n_records, n_conditions)
            1 met, 0 not met, NaN where the value is missing. A condition that two alternatives
            share is one column.
        """
        check_is_fitted(self)
        values = self._read(X)
        table = {
            str(c): np.where(np.isnan(values[c.column]), np.nan, meets(c, values))
            for c in self.conditions_
        }
        return pd.DataFrame(table, index=getattr(X, "index", None))

    def _sign(self) -> float:
        """1 where "met" is ``classes_[1]``, -1 where it is ``classes_[0]``."""
        return 1.0 if self.pos_label_ == self.classes_[1] else -1.0

    def _met(self, values) -> np.ndarray:
        """True where one alternative is met in full."""
        alternatives = dict.fromkeys(c.alternative for c in self.conditions_)
        return np.any(
            [
                np.all([meets(c, values) for c in self.conditions_ if c.alternative == a], axis=0)
                for a in alternatives
            ],
            axis=0,
        )

    def _read(self, X, reset=False) -> dict[str, np.ndarray]:
        """Columns of the rule as float arrays."""
        X = as_frame(X)
        # What QRSMeasurements gave reaches us through a Pipeline without its names.
        if isinstance(X, np.ndarray) and X.shape[1:] == (len(MEASUREMENTS),):
            X = pd.DataFrame(X, columns=list(MEASUREMENTS))
        if not _has_names(X):
            X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
            return self._by_position(X, warn=reset)
        names = {c: (self.columns or {}).get(c, c) for c in self.columns_}
        missing = [name for name in names.values() if name not in X.columns]
        if missing:
            raise ValueError(
                f"GuidelineClassifier(rule={self.rule!r}) reads the columns "
                f"{list(names.values())}, X has no {missing}. Map them with "
                "columns={...}; None as a value declares the condition met by every patient."
            )
        frame = validate_data(self, X[list(names.values())], reset=reset, skip_check_array=True)
        if not len(frame):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        values = {c: as_floats(name, frame[name]) for c, name in names.items()}
        for condition in self.conditions_:
            column = condition.column
            check_unit(values[column], names[column], condition.unit, reset, column)
        return values

    def _by_position(self, X, warn) -> dict[str, np.ndarray]:
        """Columns of an array in the rule's order; those that it lacks are missing values."""
        n = len(self.columns_)
        if warn and X.shape[1] != n:
            warnings.warn(
                f"GuidelineClassifier(rule={self.rule!r}) reads {n} column(s), {self.columns_}, "
                f"got an array of {X.shape[1]}. Give a DataFrame with named columns.",
                stacklevel=4,
            )
        # scikit-learn's checks send arrays of any width; a rule must not fail on them, only warn.
        absent = np.full(len(X), np.nan)
        return {c: X[:, i] if i < X.shape[1] else absent for i, c in enumerate(self.columns_)}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        # A fixed rule learns nothing of the blobs that the checks classify.
        tags.classifier_tags.poor_score = True
        tags.input_tags.allow_nan = True
        return tags


def _has_names(X) -> bool:
    return isinstance(X, pd.DataFrame) and all(isinstance(c, str) for c in X.columns)
