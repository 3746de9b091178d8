"""The manifest of a bundle, held to its form: what is read from it may come from anybody."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from crtkit.persistence.archive import BundleError


def check_manifest(path: Any, manifest: dict[str, Any]) -> None:
    """Refuse a manifest whose entries are of another kind than `save` writes.

    Parameters
    ----------
    path : path-like
        For the message.
    manifest : dict

    Raises
    ------
    BundleError
        Names the entry, and what it should be.
    """
    for name, (kind, is_one) in _FORM.items():
        *outer, key = name.split(".")
        holder: Any = manifest
        for step in outer:
            holder = holder.get(step) if isinstance(holder, dict) else None
        # An entry of a part that is not there (no training cohort) is not asked for.
        if outer and holder is None and outer != ["label"] and outer != ["contract"]:
            continue
        value = holder.get(key) if isinstance(holder, dict) else None
        if not is_one(value):
            raise BundleError(
                f"{path}: {name} of its manifest should be {kind}, got {str(value)[:60]!r}."
            )
    label = manifest["label"]
    classes = label["classes"] or []
    if label["positive"] is not None and label["positive"] not in classes:
        raise BundleError(f"{path}: label.positive of its manifest is not among label.classes.")
    if manifest.get("conformal") is not None and (label["positive"] is None or len(classes) != 2):
        raise BundleError(f"{path}: its manifest has conformal sets of other than two classes.")


def _number(low: float, high: float) -> Callable[[Any], bool]:
    def is_one(value: Any) -> bool:
        real = isinstance(value, (int, float)) and not isinstance(value, bool)
        # Compared, not converted: JSON's whole numbers may be too long for a float.
        return real and value == value and low <= value <= high and abs(value) != math.inf

    return is_one


def _maybe(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_one(value)


def _list_of(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_one, value))


def _dict_of(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    # JSON has no keys but text.
    return lambda value: isinstance(value, dict) and all(map(is_one, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _is_range(value: Any) -> bool:
    keys = ("low", "high", "mean", "sd")
    number = _maybe(_number(-math.inf, math.inf))
    if not isinstance(value, dict) or not _is_text(value.get("kind")):
        return False
    amplitude = value.get("amplitude_mv")
    inner = [amplitude] if isinstance(amplitude, dict) else []
    return all(number(part.get(key)) for part in (value, *inner) for key in keys)


def _is_share(value: Any) -> bool:
    if not isinstance(value, dict) or not _number(0, 1)(value.get("above")):
        return False
    positive, patients = value.get("positive"), value.get("patients")
    return _COUNT(patients) and _number(0, patients)(positive) and patients > 0


_RATE, _COUNT = _number(1e-3, 1e6), _number(0, 1e12)
#: Entry -> what it should be, and whether a value is one.
_FORM: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("text", _is_text),
    "created": ("text", _is_text),
    "steps": ("a list of texts", _list_of(_is_text)),
    "versions": ("texts by name", _dict_of(_is_text)),
    "licence": ("text or null", _maybe(_is_text)),
    "intended_use": ("text or null", _maybe(_is_text)),
    "notes": ("text or null", _maybe(_is_text)),
    "label": ("an object", lambda value: isinstance(value, dict)),
    "label.classes": ("a list of labels or null", _maybe(_list_of(_is_scalar))),
    "label.positive": ("a label or null", _maybe(_is_scalar)),
    "label.threshold": ("a finite number or null", _maybe(_number(-1e300, 1e300))),
    "contract": ("an object", lambda value: isinstance(value, dict)),
    "contract.columns": ("a list of texts", _list_of(_is_text)),
    "contract.fs": ("a list of rates in Hz", _list_of(_RATE)),
    "contract.unit": ("text or null", _maybe(_is_text)),
    "contract.shape": ("a list of sizes or null", _maybe(_list_of(_number(1, 1e9)))),
    "training": ("an object or null", _maybe(lambda value: isinstance(value, dict))),
    "training.name": ("text", _is_text),
    "training.fs": ("a rate in Hz or null", _maybe(_RATE)),
    "training.lead_names": ("a list of texts or null", _maybe(_list_of(_is_text))),
    "training.n_records": ("a count", _COUNT),
    "training.n_patients": ("a count", _COUNT),
    "training.classes": ("an object", lambda value: isinstance(value, dict)),
    "training.columns": ("ranges by column", _dict_of(_is_range)),
    "training.by_class": ("summaries by column", _maybe(_dict_of(_dict_of(_is_range)))),
    "training.words": ("texts by class or null", _maybe(_dict_of(_is_text))),
    "conformal": ("an object or null", _maybe(lambda value: isinstance(value, dict))),
    "conformal.alpha": ("a share", _number(0, 1)),
    "conformal.thresholds": (
        "a list of two numbers or nulls",
        lambda value: _list_of(_maybe(_number(-1e300, 1e300)))(value) and len(value) == 2,
    ),
    "conformal.shares": (
        "shares of positives by risk",
        lambda value: bool(value) and _list_of(_is_share)(value),
    ),
}
