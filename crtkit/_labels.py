"""Labels, patients and weights: read and checked once, for every function that takes them.

Which class is positive is decided here: the one that is named, or else the later of two in their
order, and an ordered categorical states its own order.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crtkit._columns import (
    as_column,
    as_numpy,
    as_scalar,
    check_same_index,
    is_missing,
    like_levels,
)

# Words for "no" as tables write them (English, German, French); "normal" against "abnormal" counts.
_NEGATIVE = re.compile(
    r"(no|non|not|none|nein|nicht|kein\w*|neg|negative?|false|absent|without|control|controls|"
    r"healthy|normal|unchanged|surviv\w*|alive)(?![^\W_])|-$"
)


def check_labels(name: str, values: Any) -> np.ndarray:
    """Labels as a 1-D array, text as objects; none missing.

    Parameters
    ----------
    name : str
        For messages: ``"y_true"``.
    values : array-like of shape (n_records,)
        Also a table of one column.

    Raises
    ------
    ValueError
        Not one label per record, or labels are missing.
    """
    values = as_column(name, values)
    missing = is_missing(values)
    if missing.any():
        rows = np.flatnonzero(missing)
        raise ValueError(
            f"{name} has {len(rows)} missing label(s), first at row {rows[0]} (counted from 0): "
            "leave those records out, or fill the labels in."
        )
    values = np.asarray(values)
    # Texts as objects: <U3 beside <U5 would cut a label on assignment.
    return values.astype(object) if values.dtype.kind in "UST" else values


def classes_in_order(name: str, *labels: Any, order: Sequence[Any] | None = None) -> list[Any]:
    """Classes that occur, lowest first: an ordered categorical's own order, else sorted.

    Parameters
    ----------
    name : str
        For messages.
    *labels : array-like of shape (n_records,)
    order : sequence of labels, optional
        The order, where labels are arrays that lost it (``cohort.info["classes"]``).

    Raises
    ------
    ValueError
        Labels are missing, of mixed types, or ordered categoricals disagree in their order.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit._labels import classes_in_order
    >>> y = pd.Categorical(["good", "poor"], categories=["poor", "good"], ordered=True)
    >>> classes_in_order("y", y), classes_in_order("y", list(y))
    (['poor', 'good'], ['good', 'poor'])
    """
    distinct: set[Any] = set()
    for values in labels:
        values = check_labels(name, values)
        distinct.update(values.tolist() if values.dtype.kind == "O" else np.unique(values).tolist())
    if len({isinstance(label, str) for label in distinct}) > 1:
        raise ValueError(f"Labels are of mixed types: {sorted(map(repr, distinct))[:5]}.")
    order = stated_order(name, labels) if order is None else list(order)
    # An order that lacks a label present is not an order of these labels.
    if order is None or not distinct <= set(order):
        return sorted(distinct)
    return [label for label in order if label in distinct]


def resolve_pos_label(pos_label: Any, *labels: Any) -> Any:
    """Positive class: the one given, or the later of two classes in their order.

    The one place where it is decided. With one class left, an ordered categorical of two levels,
    and the codes 0, 1 and -1, still say which side it is; other labels need ``pos_label``.

    Parameters
    ----------
    pos_label : label or None
    *labels : array-like of shape (n_records,)
        As the caller got them: an array made of an ordered categorical has lost its order.

    Raises
    ------
    ValueError
        More than two classes, ``pos_label`` among them, mixed types, missing labels, or one class
        that says nothing of its side.

    Examples
    --------
    >>> from crtkit._labels import resolve_pos_label
    >>> resolve_pos_label(None, ["yes", "no"]), resolve_pos_label("no", ["yes", "no"])
    ('yes', 'no')
    """
    known = classes_in_order("The labels", *labels)
    expected = known if pos_label is None or pos_label in known else [*known, as_scalar(pos_label)]
    if len(expected) > 2:
        raise ValueError(
            f"Only two classes have a PPV, a sensitivity and so on; got the labels "
            f"{sorted(expected, key=repr)[:5]}"
            + (f" with pos_label={pos_label!r}" if pos_label is not None else "")
            + ". Turn the question into one class against the rest first."
        )
    if pos_label is not None:
        return pos_label
    order = stated_order("The labels", labels)
    if len(known) == 2:
        if order is None:
            warn_of_positive("The labels", known[0], known[1])
        return known[1]
    if order is not None and len(order) == 2:
        return order[1]
    # A fold may hold one class only; 0 and 1 still say which it is, text does not.
    if set(known) <= {0, 1, -1}:
        return 1
    raise ValueError(
        f"All labels are {known[0]!r}, so the positive class is unknown: pass pos_label."
    )


def class_pair(
    name: str, y: Any, pos_label: Any = None, *, order: Sequence[Any] | None = None
) -> tuple[Any, Any]:
    """Negative and positive class of an outcome that must have two.

    Parameters
    ----------
    name : str
        Of the caller, for messages.
    y : array-like of shape (n_records,)
        As the caller got it, for the order of an ordered categorical.
    pos_label : label, optional
    order : sequence of labels, optional
        As in :func:`classes_in_order`.

    Raises
    ------
    ValueError
        Labels are missing or of mixed types, classes are not two, or ``pos_label`` is neither.

    Examples
    --------
    >>> from crtkit._labels import class_pair
    >>> class_pair("evaluate", ["yes", "no", "no"])
    ('no', 'yes')
    """
    classes = classes_in_order(f"{name}: y", y, order=order)
    if len(classes) != 2:
        alike = like_levels(classes)
        raise ValueError(
            f"{name} needs two classes in y, got {len(classes)}: {classes[:5]}. "
            + (f"{alike[0]} differ only by blanks or case. " if alike else "")
            + "Turn the question into one class against the rest first."
        )
    if pos_label is not None and pos_label not in classes:
        raise ValueError(
            f"{name}: pos_label must be one of the labels {classes}, got pos_label={pos_label!r}."
        )
    positive = classes[1] if pos_label is None else classes[classes.index(pos_label)]
    negative = classes[1 - classes.index(positive)]
    if pos_label is None and order is None and stated_order(name, [y]) is None:
        warn_of_positive(name, negative, positive)
    return negative, positive


def warn_of_positive(name: str, negative: Any, positive: Any) -> None:
    """Warn where the class that the alphabet puts last reads as the negative one.

    Parameters
    ----------
    name : str
        Of the caller, for the message.
    negative, positive : label
        As they were resolved, without anybody having stated an order.

    Examples
    --------
    >>> from crtkit._labels import reads_as_negative
    >>> [reads_as_negative(p, n) for n, p in (("ja", "nein"), ("CRT+", "CRT-"), ("no", "yes"))]
    [True, True, False]
    """
    if reads_as_negative(positive, negative):
        warnings.warn(
            f"{name}: of {negative!r} and {positive!r} the later, {positive!r}, becomes the "
            f"positive class, though it reads as the negative one. State it: "
            f"pos_label={negative!r}, or classes=[{positive!r}, {negative!r}] in read_manifest.",
            UserWarning,
            stacklevel=4,
        )


def reads_as_negative(label: Any, other: Any) -> bool:
    """Whether a text label is the plain "no" of two, and the other one is not."""
    if not (isinstance(label, str) and isinstance(other, str)):
        return False
    a, b = label.strip().casefold(), other.strip().casefold()
    if (a.endswith("-") and b == f"{a[:-1]}+") or a in (f"non{b}", f"un{b}", f"in{b}"):
        return True
    return bool(_NEGATIVE.match(a)) and not _NEGATIVE.match(b)


def is_positive(name: str, y: Any, pos_label: Any = None) -> np.ndarray:
    """Mask of the records of the positive class; parameters and errors as :func:`class_pair`."""
    _, positive = class_pair(name, y, pos_label)
    return np.asarray(check_labels(f"{name}: y", y) == positive, dtype=bool)


def check_groups(
    name: str, groups: Any, n_records: int | None = None, *, warn: bool = True
) -> np.ndarray:
    """Patient of each record, as numbers or as normalised text; a missing patient is refused.

    Patients compare as text: of numbers and text beside each other, 1, 1.0 and "1" are one patient.
    "01" and "1" stay two, and warn: one of them is often a number that lost its zeros.

    Parameters
    ----------
    name : str
        Of the caller, for messages.
    groups : array-like of shape (n_records,)
    n_records : int, optional
        How many are expected.
    warn : bool, default=True
        Of identifiers that look alike.

    Returns
    -------
    ndarray of shape (n_records,)
        Numbers keep their dtype, whole floats become integers; text is an object array in
        Unicode's composed form.

    Raises
    ------
    ValueError
        A patient is missing (None, NaN, "" or the text "nan"), or there is not one per record.

    Examples
    --------
    >>> from crtkit._labels import check_groups
    >>> check_groups("evaluate", [1, 1.0, "1"])
    array(['1', '1', '1'], dtype=object)
    """
    values = as_column(f"{name}: groups", groups)
    if n_records is not None and len(values) != n_records:
        raise ValueError(
            f"{name} expects one patient per record in groups: got {len(values)} patients for "
            f"{n_records} records."
        )
    missing = np.flatnonzero(is_missing(values))
    if len(missing):
        raise ValueError(
            f"{name}: {len(missing)} record(s) have no patient identifier in groups, first at row "
            f"{missing[0]} (counted from 0). Give every record its patient, or leave those records "
            "out."
        )
    values = values if isinstance(values, np.ndarray) else as_numpy(values)
    if values.dtype.kind in "biu":
        return values
    if values.dtype.kind == "f":
        # One empty cell made the column float; beyond 2**53 two patients would share a number.
        whole = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)
        return values.astype(np.int64) if whole.all() else values
    if values.dtype.kind not in "OUST":
        return values
    patients = values.tolist()
    if all(_is_whole(patient) for patient in patients):
        return np.array([int(patient) for patient in patients], dtype=np.int64)
    return _as_text(name, patients, warn)


def patient_text(patient: Any) -> str:
    """Identifier of a patient as text, for comparing cohorts: 1, 1.0 and "1" are ``"1"``."""
    if isinstance(patient, (float, np.floating)) and float(patient).is_integer():
        patient = int(patient)
    # A name typed on a Mac has its accents as separate characters, and would be another patient.
    text = unicodedata.normalize("NFC", str(patient))
    # What is left of an integer column that once had an empty cell.
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def shared_patients(groups: Any, others: Any) -> list[str]:
    """Patients who are in both of two cohorts, sorted.

    Examples
    --------
    >>> from crtkit._labels import shared_patients
    >>> shared_patients([1, 2.0, 3], ["2", "03"])
    ['2']
    """
    # As text: two tables may have read the same identifiers as numbers and as words.
    known, asked = (set(map(patient_text, np.asarray(g).tolist())) for g in (groups, others))
    return sorted(known & asked)


def visible(text: str) -> str:
    """Text without what nobody sees: zero-width blanks, marks of direction, soft hyphens."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))


def _is_whole(patient: Any) -> bool:
    number = isinstance(patient, (int, float, np.number)) and not isinstance(patient, bool)
    return bool(number and float(patient).is_integer() and abs(patient) < 2**53)


def _as_text(name: str, patients: list[Any], warn: bool) -> np.ndarray:
    """Patients that are not all numbers, as text; look-alikes are named."""
    out = np.empty(len(patients), dtype=object)
    out[:] = [patient_text(patient) for patient in patients]
    seen: dict[str, str] = {}
    for text in dict.fromkeys(out.tolist()) if warn else ():
        # Looser than identity, for a warning only: guessing that two are one would be worse.
        bare = visible(unicodedata.normalize("NFKC", text)).strip().casefold()
        bare = bare.removesuffix(".0").lstrip("0") if bare[:1].isdigit() else bare
        other = seen.setdefault(bare, text)
        if other != text:
            warnings.warn(
                f"{name}: patients {other!r} and {text!r} count as two. If they are one person, "
                "write the identifier in one way; read identifiers as text, so that no zeros are "
                "lost.",
                UserWarning,
                stacklevel=4,
            )
            break
    return out


def check_weights(sample_weight, y_true, **others):
    """Weights as floats; lengths of everything compared."""
    for name, other in others.items():
        if len(other) != len(y_true):
            raise ValueError(
                f"y_true and {name} need one length, got {len(y_true)} and {len(other)}."
            )
    if sample_weight is None:
        return np.ones(len(y_true))
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != y_true.shape:
        raise ValueError(
            f"sample_weight needs shape {y_true.shape} as y_true has, got {weight.shape}."
        )
    # NaN fails the first comparison.
    if not np.all(weight >= 0) or np.isinf(weight).any():
        raise ValueError(
            "sample_weight must be finite and not negative: leave records out with a weight of 0."
        )
    return weight


def check_ranked(name, y_true, y_score, pos_label, sample_weight):
    """Boolean truth, float score and weight of equal length."""
    check_same_index(name, y_true=y_true, y_score=y_score)
    labels = check_labels("y_true", y_true)
    score = np.asarray(as_column("y_score", y_score))
    if score.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} expects one numeric score per record for the positive class, "
            f"got shape {score.shape} and dtype {score.dtype}."
        )
    score = score.astype(np.float64)
    weight = check_weights(sample_weight, labels, y_score=score)
    if np.isnan(score).any():
        raise ValueError(f"{name} got {int(np.isnan(score).sum())} NaN score(s).")
    truth = np.asarray(labels == resolve_pos_label(pos_label, y_true), dtype=bool)
    return truth, score, weight


def weight_at_cuts(truth, score, weight):
    """Weight of positives and of negatives at each distinct score, highest first."""
    # Equal scores are one cut, so that ties count half whatever the order of the records.
    _, cut = np.unique(score, return_inverse=True)
    size = cut.max(initial=-1) + 1
    positive = np.bincount(cut, weight * truth, minlength=size)[::-1]
    negative = np.bincount(cut, weight * ~truth, minlength=size)[::-1]
    return positive, negative


def stated_order(name: str, labels: Sequence[Any]) -> list[Any] | None:
    """Levels of the ordered categoricals among labels; None where none is ordered."""
    orders = []
    for values in labels:
        values = values.iloc[:, 0] if isinstance(values, pd.DataFrame) else values
        dtype = getattr(values, "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
            orders.append(dtype.categories.tolist())
    if any(order != orders[0] for order in orders[1:]):
        raise ValueError(f"{name}: ordered categoricals disagree, {orders[0]} and {orders[1]}.")
    return orders[0] if orders else None
