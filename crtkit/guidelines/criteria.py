"""The table of thresholds behind :mod:`crtkit.guidelines`, and how a condition is tested."""

import operator
from typing import NamedTuple

import numpy as np

from crtkit._columns import as_floats
from crtkit.cohort.columns import PLAUSIBLE, why_implausible


class Condition(NamedTuple):
    """One line of a rule: ``column operator threshold``.

    Conditions of one ``alternative`` must all be met; a rule is met when any alternative is.
    """

    column: str
    operator: str
    threshold: float
    unit: str = ""
    alternative: int = 1

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {self.threshold:g} {self.unit}".rstrip()


_LVEF = Condition("lvef", "<=", 35, "%")
_WIDE = Condition("qrs_duration_ms", ">=", 150, "ms")
_LBBB = Condition("lbbb", "==", 1, "flag")
_SINUS = Condition("af", "==", 0, "flag")
_SYMPTOMS = Condition("nyha", ">=", 2, "class")
_WOMEN_120 = (
    Condition("male", "==", 0, "flag"),
    Condition("qrs_duration_ms", ">=", 120, "ms"),
    Condition("qrs_duration_ms", "<", 150, "ms"),
)
_CLASS_I = (_LVEF, _SINUS, _LBBB, _WIDE, _SYMPTOMS)

RULES = {
    "he2023": (
        (_LVEF, _WIDE, _LBBB),
        "he2023, the guideline row of Table 2",
    ),
    "ESC2021-I": (
        _CLASS_I,
        "ESC 2021, pacing and CRT, class I for sinus rhythm (doi 10.1093/eurheartj/ehab364)",
    ),
    "HRS2023-I": (
        _CLASS_I
        + tuple(c._replace(alternative=2) for c in (_LVEF, _SINUS, _LBBB, *_WOMEN_120, _SYMPTOMS)),
        "HRS/APHRS/LAHRS 2023, class 1 for sinus rhythm (doi 10.1016/j.hrthm.2023.03.1538); "
        "alternative 2: women",
    ),
    "PSD43": (
        (Condition("psd_deg", ">=", 43, "deg"),),
        "Henneman 2007, phase SD on gated SPECT (J Nucl Med 48:1104)",
    ),
    "PBW135": (
        (Condition("pbw_deg", ">=", 135, "deg"),),
        "Henneman 2007, phase histogram bandwidth on gated SPECT (J Nucl Med 48:1104)",
    ),
    "QRS150": ((_WIDE,), "QRS duration alone"),
    "QRSarea98": (
        (Condition("qrs_area_uVs", ">=", 98, "uVs"),),
        "van Deursen 2015, cut-off of the QRS area (J Electrocardiol 48:45); AUC for response by "
        "LVESV 0.78, of QRS duration 0.62, in 81 patients",
    ),
    "LBBB": ((_LBBB,), "left bundle-branch block alone"),
}

CLINICAL_COLUMNS = ("qrs_duration_ms", "lbbb", "male", "ischaemic", "lvef")
"""Columns of the clinical logistic model."""

KNOWN_COLUMNS = {*CLINICAL_COLUMNS, *(c.column for table, _ in RULES.values() for c in table)}

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
OPERATORS["=="] = operator.eq

_UNITS = {c.column: c.unit for table, _ in RULES.values() for c in table} | {"ischaemic": "flag"}

# A whole cohort at or below these was given in another unit.
_OTHER_UNIT = {"%": (1.0, "a fraction"), "ms": (10.0, "seconds"), "deg": (6.3, "radians")}
_OTHER_UNIT["uVs"] = (1.0, "millivolt-seconds")


def resolve(rule, columns) -> tuple[Condition, ...]:
    """Conditions of a rule, without those that ``columns`` declares met."""
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(
                f"GuidelineClassifier knows the rules {', '.join(RULES)}, got rule={rule!r}. "
                "A rule of your own is a list of (column, operator, threshold)."
            )
        conditions = RULES[rule][0]
    else:
        conditions = tuple(Condition(*condition) for condition in rule)
        unknown = [c.operator for c in conditions if c.operator not in OPERATORS]
        if unknown or not conditions:
            raise ValueError(
                "A rule is one or more (column, operator, threshold) with an operator of "
                f"{', '.join(OPERATORS)}, got {rule!r}."
            )
    known = {c.column for c in conditions}
    unknown = set(columns or {}) - known - KNOWN_COLUMNS
    if unknown:
        raise ValueError(
            f"columns={columns!r} renames {sorted(unknown)}, which no rule reads. Its keys are "
            f"the names used here ({', '.join(sorted(known | KNOWN_COLUMNS))}), its values yours."
        )
    met = {c for c, name in (columns or {}).items() if name is None}
    left = tuple(c for c in conditions if c.column not in met)
    # An alternative without conditions is met by all, and with it the rule.
    if {c.alternative for c in left} != {c.alternative for c in conditions}:
        raise ValueError(f"columns={columns!r} makes the rule {rule!r} true of every patient.")
    return left


def meets(condition, values) -> np.ndarray:
    """Whether each value meets the condition; NaN does not."""
    compare = OPERATORS[condition.operator]
    return compare(values[condition.column], condition.threshold)


def check_unit(values, name, unit, whole_cohort, column=None) -> None:
    """Refuse values that cannot be in the rule's unit, or that no patient has.

    Parameters
    ----------
    values : ndarray of float, shape (n_records,)
    name : str
        Of the column in the table.
    unit : str
        Of the condition.
    whole_cohort : bool
        In ``fit``: a whole cohort of low values was given in another unit.
    column : str, optional
        Name of the column here, whose plausible values are known.
    """
    known = values[~np.isnan(values)]
    # Never guessed: SPSS codes 1 and 2 have both meanings, by country and by clinic.
    if unit == "flag" and not np.isin(known, (0, 1)).all():
        row = int(np.flatnonzero(~np.isnan(values) & ~np.isin(values, (0, 1)))[0])
        asked = (
            " Coded 1 and 2, either may mean yes: recode it as 0 (no) and 1 (yes)."
            if set(known.tolist()) == {1.0, 2.0}
            else " Recode it; make codes for 'not known' missing (NaN)."
        )
        raise ValueError(
            f"Column {name!r} must be 0, 1 or missing, got {values[row]:g} at row {row}.{asked}"
        )
    if unit == "class" and not np.isin(known, (1, 2, 3, 4)).all():
        row = int(np.flatnonzero(~np.isnan(values) & ~np.isin(values, (1, 2, 3, 4)))[0])
        raise ValueError(
            f"Column {name!r} must be 1, 2, 3, 4 or missing, got {values[row]:g} at row {row}. "
            "Make codes for 'not known' missing (NaN)."
        )
    # One record may lie low; a whole cohort does so only in another unit.
    if whole_cohort and unit in _OTHER_UNIT and known.size:
        limit, other = _OTHER_UNIT[unit]
        if known.max() <= limit:
            raise ValueError(
                f"Column {name!r} is expected in {unit}; its maximum is {known.max():g}, which "
                f"looks like {other}. Convert it first."
            )
    problem = why_implausible(name, values, PLAUSIBLE.get(column))
    if problem:
        raise ValueError(problem)


def usable_columns(X, columns, exclude) -> tuple[list[str], dict[str, str]]:
    """Columns of the clinical model that vary, and what speaks against the others."""
    usable, reasons = [], {}
    for column in CLINICAL_COLUMNS:
        name = columns.get(column, column)
        if name is None or name not in X:
            reasons[column] = "the cohort has no such column"
        elif name in exclude:
            reasons[column] = "it is the label in another form"
        elif why := _says_nothing(X[name], column):
            reasons[column] = why
        else:
            usable.append(name)
    return usable, reasons


def _says_nothing(column, canonical) -> str:
    """Why no model can learn from a column; empty where it varies."""
    try:
        values = as_floats(column.name, column)
        check_unit(values, column.name, _UNITS.get(canonical, ""), True, canonical)
    except ValueError as error:
        return str(error)
    # NaN is one value to numpy.unique.
    return "it has the same value in every record" if len(np.unique(values)) < 2 else ""
