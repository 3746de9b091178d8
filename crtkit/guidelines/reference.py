"""The reference rows that every table of models carries."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit._labels import class_pair
from crtkit.cohort import Cohort, Select
from crtkit.guidelines.classifier import GuidelineClassifier
from crtkit.guidelines.criteria import resolve, usable_columns
from crtkit.guidelines.measured import MEASURABLE, measure_cohort, measuring, why_not_measured

CLINICAL_MODEL = "Clinical logistic model"
# Columns of guidelines that are not measured on an ECG here.
_NOT_IN_ECG = ("lvef", "nyha", "af", "male")


def reference_rows(
    cohort, *, guideline="ESC2021-I", columns=None, exclude=(), pos_label=None
) -> tuple[dict, dict[str, str]]:
    """Models that any new one has to beat, as far as the cohort has columns or ECGs for them.

    QRS duration, LBBB and QRS area are taken from the table where it has them and otherwise
    measured on the column ``signal`` (:func:`measure_cohort`), if there is one.

    Parameters
    ----------
    cohort : Cohort
        Only ``X``, ``y`` and ``info`` are looked at. ``info["label_columns"]``, where it is there,
        adds to ``exclude``.
    guideline : str, default="ESC2021-I"
        Rule of the row "Guideline class I".
    columns : dict, default=None
        Other names of columns, as in :class:`GuidelineClassifier`. A column named here is never
        measured.
    exclude : sequence of str
        Columns that are the label in another form (LVEF, where the label is a low LVEF): a row
        that needs one of them is left out.
    pos_label : label, default=None
        What the rules answer where they are met; None: the larger label.

    Returns
    -------
    rows : dict
        Name -> unfitted estimator that reads ``cohort.X`` as it is, whatever else is in it:
        "Majority class", "QRS >= 150 ms", "LBBB", "QRS area >= 98 uVs", "Guideline class I",
        "Clinical logistic model" (QRS duration, LBBB, sex, ischaemia, LVEF: medians for missing
        values, standardised, L2 penalty with C = 1, a fixed choice; all of it fitted inside the
        fold) and, where a cohort has ``psd_deg`` or ``pbw_deg``, "PSD >= 43 deg" and
        "PBW >= 135 deg". Where the guideline asks for what the table lacks (LVEF, NYHA), a cohort
        with signals has "Guideline class I, ECG part": the conditions on QRS and LBBB, and on
        those columns that are there. A row that measures is a pipeline whose first step does so,
        on the column ``signal``.
    left_out : dict
        Name -> why it is not in ``rows``: a column that is absent and cannot be measured, excluded
        or unreadable (text, or another unit), measured in fewer than half of the records, or the
        same answer for every record. "Clinical logistic model: <column>" says why the model,
        although there, does without one of its five columns.

    Raises
    ------
    ValueError
        ``columns`` renames what no rule reads, or ``pos_label`` is none of two labels.

    Notes
    -----
    QRS area: in 81 patients it predicted response, by the LVESV criterion of mori2025, with an AUC
    of 0.78, QRS duration with 0.62 (van Deursen et al., J Electrocardiol 48, 2015; Frank leads).
    AUCs are of the area and the duration themselves, whatever their thresholds.

    A measurement that is NaN does not meet its condition, and stands just below the threshold of a
    rule with one; in the clinical model it is the median of the training fold.

    To measure once rather than in every fit, give ``measure_cohort(cohort)``;
    :func:`crtkit.evaluate` does so.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit import Cohort
    >>> from crtkit.guidelines import reference_rows
    >>> X = pd.DataFrame({"qrs_duration_ms": [172, 138, 155, 120], "lbbb": 1, "male": [1, 0, 1, 1]})
    >>> rows, left_out = reference_rows(Cohort(X, y=[1, 0, 1, 0], groups=[1, 2, 3, 4]))
    >>> list(rows)
    ['Majority class', 'QRS >= 150 ms', 'Clinical logistic model']
    >>> left_out["LBBB"]
    'the rule gives the same answer for all 4 records'
    """
    columns = columns or {}
    if pos_label is None and "classes" in cohort.info:
        _, pos_label = class_pair("reference_rows", cohort.y, order=cohort.info["classes"])
    # LVEF would predict "LVEF < 40 %" to perfection.
    exclude = {*exclude, *cohort.info.get("label_columns", ())}
    # Prior rather than most_frequent, so that it has a probability and a Brier score to beat.
    rows = {"Majority class": DummyClassifier(strategy="prior")}
    left_out = {}
    full, problem = measure_missing(cohort, columns)
    mine = {"cohort": full, "columns": columns, "pos_label": pos_label}
    on_signal = [name for name in full.X if name not in cohort.X]
    for name, rule in _named_rules(guideline, columns, full).items():
        reason = _why_not(rule, exclude, problem, **mine)
        if reason:
            left_out[name] = reason
        else:
            row = GuidelineClassifier(rule=rule, columns=columns or None, pos_label=pos_label)
            rows[name] = _measured_first(row, reads(row), on_signal, cohort)
    usable, reasons = usable_columns(full.X, columns, exclude)
    if problem:
        lacking = [
            name for name in MEASURABLE if name in reasons and columns.get(name, name) == name
        ]
        reasons.update(
            {n: f"{reasons[n]}; not measured: {problem}" for n in lacking if n not in full.X}
        )
    for name in [name for name in usable if (why := _mostly_missing(name, full))]:
        usable.remove(name)
        reasons[name] = why
    # On one column it would be that column's own rule over again.
    if len(usable) < 2:
        left_out[CLINICAL_MODEL] = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        return rows, left_out
    left_out.update({f"{CLINICAL_MODEL}: {column}": why for column, why in reasons.items()})
    model = make_pipeline(
        ColumnTransformer(
            [("impute", SimpleImputer(strategy="median", keep_empty_features=True), usable)]
        ),
        StandardScaler(),
        LogisticRegression(C=1.0, max_iter=1000),
    )
    rows[CLINICAL_MODEL] = _measured_first(model, usable, on_signal, cohort)
    return rows, left_out


def measure_missing(cohort, columns=None, n_jobs=None) -> tuple[Cohort, str]:
    """Cohort with what rules read and the table lacks, measured; why not, where it cannot be."""
    columns = columns or {}
    # A column that the user named otherwise is theirs to give, not ours to measure.
    names = [n for n in MEASURABLE if columns.get(n, n) == n and n not in cohort.X]
    problem = why_not_measured(cohort) if names else ""
    if problem or not names:
        return cohort, problem
    try:
        return measure_cohort(cohort, names, n_jobs=n_jobs), ""
    except ValueError as error:
        return cohort, str(error)


def reads(row) -> list[str]:
    """Columns of the table, measured or not, that a reference row reads."""
    for step in reversed([step for _, step in getattr(row, "steps", [("", row)])]):
        if isinstance(step, GuidelineClassifier):
            names = {c.column: None for c in resolve(step.rule, step.columns)}
            return [(step.columns or {}).get(name, name) for name in names]
        if isinstance(step, ColumnTransformer):
            return list(step.transformers[0][2])
    return []


def _named_rules(guideline, columns, cohort) -> dict:
    """Rules by the name of their row, in the order of the table."""
    named = {
        "QRS >= 150 ms": "QRS150",
        "LBBB": "LBBB",
        "QRS area >= 98 uVs": "QRSarea98",
        "Guideline class I": guideline,
    }
    if cohort.info.get("measured"):
        part = _ecg_part(guideline, columns, cohort.X)
        if part:
            named["Guideline class I, ECG part"] = part
    if columns.get("psd_deg", "psd_deg") in cohort.X:
        named["PSD >= 43 deg"] = "PSD43"
    if columns.get("pbw_deg", "pbw_deg") in cohort.X:
        named["PBW >= 135 deg"] = "PBW135"
    return named


def _ecg_part(guideline, columns, X) -> tuple | None:
    """A guideline's conditions without those that an ECG cannot tell; None where none is missing.

    An alternative for patients of one sex is left out where the table has no sex.
    """
    conditions = resolve(guideline, columns)
    absent = {
        c.column for c in conditions if c.column in _NOT_IN_ECG and _name(c, columns) not in X
    }
    if not absent:
        return None
    # An alternative for women cannot stand where sex is unknown; it would be applied to men.
    without = {c.alternative for c in conditions if c.column == "male" and "male" in absent}
    part = [c for c in conditions if c.column not in absent and c.alternative not in without]
    return tuple(part) or None


def _name(condition, columns) -> str | None:
    return columns.get(condition.column, condition.column)


def _measured_first(row, needs, on_signal, cohort):
    """A row behind a step that measures what the table lacks; the row itself if nothing is."""
    measured = [name for name in needs if name in on_signal]
    if not measured:
        return row
    steps = [
        ("measured", make_pipeline(Select("signal"), measuring(cohort, measured)), ["signal"]),
        ("table", "passthrough", [name for name in needs if name not in measured]),
    ]
    first = ColumnTransformer(steps, verbose_feature_names_out=False)
    return make_pipeline(first.set_output(transform="pandas"), row)


def _mostly_missing(name, cohort) -> str:
    """Why a measured column is not a basis of a row; empty where it is, or is the table's."""
    notes = cohort.info.get("measured", {}).get(name)
    # Half: below that a row mostly says where the signal was readable.
    if not notes or 2 * notes["n_missing"] <= len(cohort.y):
        return ""
    return (
        f"{name} could not be measured in {notes['n_missing']} of {len(cohort.y)} records "
        f"({notes['reason']})"
    )


def _why_not(rule, exclude, problem, *, cohort, columns, pos_label) -> str | None:
    """Why a rule cannot be a row of this cohort; None if it can."""
    names = [_name(c, columns) for c in resolve(rule, {})]
    asked = [name for name in dict.fromkeys(names) if name is not None]
    if not asked:
        return "every patient meets the rule"
    absent = [name for name in asked if name not in cohort.X]
    if absent:
        why = f"the cohort has no column {', '.join(absent)}"
        with_signal = problem and "signal" in cohort.X and any(n in MEASURABLE for n in absent)
        return f"{why}; not measured: {problem}" if with_signal else why
    excluded = [name for name in asked if name in exclude]
    if excluded:
        return f"{', '.join(excluded)} is the label in another form"
    unmeasured = "; ".join(filter(None, (_mostly_missing(name, cohort) for name in asked)))
    if unmeasured:
        return unmeasured
    n_labels = len(np.unique(cohort.y))
    if n_labels != 2:
        return f"a rule gives two answers, the cohort has {n_labels} label(s)"
    trial = GuidelineClassifier(rule=rule, columns=columns, pos_label=pos_label)
    resolve(rule, columns)  # a misspelt name is an error; what a column holds is a reason
    class_pair("reference_rows", cohort.y, pos_label)
    try:
        answers = trial.fit(cohort.X, cohort.y).predict(cohort.X)
    except ValueError as error:
        return str(error)
    if len(np.unique(answers)) == 1:
        # Its AUC would be 0.5 and its PPV the prevalence: a row that only takes up space.
        return f"the rule gives the same answer for all {len(cohort.y)} records"
    return None
