"""Two-class labels, scores and weights: checked once for every metric."""

from __future__ import annotations

from typing import Any

import numpy as np


def weight_at_cuts(truth, score, weight):
    """Weight of positives and of negatives at each distinct score, highest first."""
    _, cut = np.unique(score, return_inverse=True)
    size = cut.max(initial=-1) + 1
    positive = np.bincount(cut, weight * truth, minlength=size)[::-1]
    negative = np.bincount(cut, weight * ~truth, minlength=size)[::-1]
    return positive, negative


def check_labels(name, values):
    """Labels as a 1-D array, text as objects; none missing."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one label a record, got shape {values.shape}.")
    if values.dtype.kind in "US":
        return values.astype(object)
    if values.dtype.kind == "O":
        missing = sum(v is None or v != v for v in values.tolist())
    else:
        missing = int((values != values).sum())
    if missing:
        raise ValueError(f"{name} has {missing} missing label(s): leave those records out.")
    return values


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
    if not np.all(weight >= 0) or np.isinf(weight).any():
        raise ValueError("sample_weight must be finite and not negative.")
    return weight


def resolve_pos_label(pos_label, *labels):
    """The positive class, given or the larger of two; more than two classes are refused."""
    found: set[Any] = set()
    for values in labels:
        found.update(values.tolist() if values.dtype.kind == "O" else np.unique(values).tolist())
    if len({isinstance(label, str) for label in found}) > 1:
        raise ValueError(f"Labels are of mixed types: {sorted(map(repr, found))[:5]}.")
    expected = found if pos_label is None else found | {_item(pos_label)}
    if len(expected) > 2:
        raise ValueError(
            f"Only two classes have a PPV, a sensitivity and so on; got the labels "
            f"{sorted(expected, key=repr)[:5]}"
            + (f" with pos_label={pos_label!r}" if pos_label is not None else "")
            + ". Turn the question into one class against the rest first."
        )
    if pos_label is not None:
        return pos_label
    if len(found) == 2:
        return max(found)
    # One class, or nothing at all: the usual codes still say which side it is.
    if not found or found <= {0, 1, -1}:
        return 1
    raise ValueError(
        f"All labels are {found.pop()!r}, so the positive class is unknown: pass pos_label."
    )


def _item(value):
    return value.item() if isinstance(value, np.generic) else value


def check_ranked(name, y_true, y_score, pos_label, sample_weight):
    """Boolean truth, float score and weight of equal length."""
    y_true = check_labels("y_true", y_true)
    score = np.asarray(y_score)
    if score.ndim != 1 or score.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} expects one numeric score a record for the positive class, "
            f"got shape {score.shape} and dtype {score.dtype}."
        )
    score = score.astype(np.float64)
    weight = check_weights(sample_weight, y_true, y_score=score)
    if np.isnan(score).any():
        raise ValueError(f"{name} got {int(np.isnan(score).sum())} NaN score(s).")
    truth = np.asarray(y_true == resolve_pos_label(pos_label, y_true), dtype=bool)
    return truth, score, weight
