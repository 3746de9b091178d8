"""``crtkit.save`` and ``crtkit.load``: a fitted model as one file, without pickle."""

from __future__ import annotations

import copy
import datetime
import os
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crtkit._io import import_optional, package_versions
from crtkit.persistence.archive import (
    BundleError,
    check_inner_archive,
    read_archive,
    write_archive,
)
from crtkit.persistence.boosters import check_booster_text
from crtkit.persistence.card_text import write_card
from crtkit.persistence.contract import describe_evaluation, describe_model, describe_training
from crtkit.persistence.held_out import calibrate, check_apart
from crtkit.persistence.manifest_checks import check_manifest
from crtkit.persistence.parts import TENSORS, put_together, take_apart, walk
from crtkit.persistence.trees import check_compiled
from crtkit.persistence.trust import check_types

if TYPE_CHECKING:
    from crtkit.cohort import Cohort

MODEL, CARD = "model.skops", "card.md"


class BundleVersionWarning(UserWarning):
    """A bundle was written by other versions of the packages that its model is made of."""


@dataclass(frozen=True)
class Bundle:
    """A fitted model with everything that was saved beside it.

    Parameters
    ----------
    model : estimator
        Fitted.
    manifest : dict
        Versions, hashes, input contract, label, training cohort's summary, evaluation, licence.
    card : str
        The model card, Markdown.
    """

    model: Any
    manifest: dict[str, Any]
    card: str


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    cohort: Cohort | None = None,
    evaluation: Any = None,
    held_out: Cohort | None = None,
    alpha: float = 0.1,
    name: str | None = None,
    licence: str | None = None,
    intended_use: str | None = None,
    notes: str | None = None,
    trusted: Collection[str] = (),
) -> dict[str, Any]:
    """Write a fitted model to one file that others can open without trusting it.

    Networks are stored as safetensors, LightGBM's boosters as their text, everything else by
    skops; a manifest states versions, hashes, what the model expects of its input, and how it was
    judged. No row of a patient is stored.

    Parameters
    ----------
    model : estimator
        A fitted estimator, Pipeline or search, of crtkit, scikit-learn, imbalanced-learn or
        LightGBM.
    path : path-like
        File to write, by custom ``*.crtkit``; written whole or not at all.
    cohort : Cohort, optional
        What the model was fitted on: its sampling rate, leads, classes and a summary are kept, and
        the order of its classes says which one is positive (otherwise ``classes_[1]``).
        Ranges are means of the lowest and highest hundredth (of five patients at least), counts
        below 5 are not told.
    evaluation : Evaluation, optional
        Of :func:`crtkit.evaluate`; the figures of ``name``'s model (or the only one) are kept.
    held_out : Cohort, optional
        Patients that the model was **not** fitted on: thresholds of conformal sets are taken from
        them, and :func:`crtkit.predict` then withholds an answer where either class is possible.
        Two thresholds, rounded up, and a count are kept.
    alpha : float, default=0.1
        Share of the patients of each class whose own class may be missing from their set.
    name : str, optional
        Name of the model in the card and in ``evaluation``.
    licence, intended_use, notes : str, optional
        Text for the card.
    trusted : collection of str
        Full names of your own classes that the model holds; who loads the file must trust them too.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    NotFittedError
        The model is not fitted.
    BundleError
        The model holds something that no bundle may hold, such as a function of your own.
    ValueError
        ``held_out`` has other classes, too few patients of one, or patients of ``cohort``.

    Examples
    --------
    >>> import tempfile, os
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> manifest = ck.save(model, path)
    >>> ck.load(path).predict([[2.5]])
    array([1])
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    skops = import_optional("skops.io", extra="persistence", purpose="Saving a model")
    # The caller's model is left as it is: paths and reports are removed from the copy.
    model = copy.copy(model)
    bare, files = take_apart(model)
    _forget_places(bare)
    try:
        data = skops.dumps(bare)
    except Exception as error:  # skops raises what its parts raise
        raise BundleError(
            f"{type(model).__name__} cannot be saved: {error}. A bundle holds estimators, numbers "
            "and text, no functions or classes of your own script."
        ) from error
    check_types("The model", data, trusted)
    described = describe_model(model, None if cohort is None else cohort.info.get("classes"))
    if cohort is not None and held_out is not None:
        check_apart(cohort, held_out)
    sets = None if held_out is None else calibrate(model, described["label"], held_out, alpha)
    manifest = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "name": name or type(model).__name__,
        "versions": package_versions(),
        **described,
        "conformal": sets,
        "training": describe_training(cohort),
        "evaluation": describe_evaluation(evaluation, name),
        "licence": licence,
        "intended_use": intended_use,
        "notes": notes,
    }
    card = write_card(manifest)
    return write_archive(path, manifest, {MODEL: data, CARD: card.encode(), **files})


def load(
    path: str | os.PathLike[str], *, trusted: Collection[str] = (), device: str = "cpu"
) -> Any:
    """Read a fitted model from a bundle; nothing of the file is run.

    Parameters
    ----------
    path : path-like
        File that :func:`crtkit.save` wrote.
    trusted : collection of str
        Full names of further types that the file may hold, when you know who made it.
    device : str, default="cpu"
        Where its networks go, whatever they were trained on.

    Returns
    -------
    estimator
        Fitted; on a CPU its predictions are those of the saved model, bit for bit, under the same
        versions and number of threads.

    Raises
    ------
    FileNotFoundError, BundleError
        No file; no bundle, a damaged or changed one, or one with what is not trusted, by name.

    Warns
    -----
    BundleVersionWarning
        Another release of scikit-learn, torch, LightGBM or crtkit wrote the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> _ = ck.save(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path, name="demo")
    >>> ck.load(path).predict([[0.9]])
    array([1])
    """
    return read_bundle(path, trusted=trusted, device=device).model


def read_bundle(
    path: str | os.PathLike[str], *, trusted: Collection[str] = (), device: str = "cpu"
) -> Bundle:
    """Model, manifest and card of a bundle.

    Parameters
    ----------
    path, trusted, device
        As :func:`crtkit.load`, with its errors and warnings.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        The file is damaged, lacks a part, names a type that is not trusted, or cannot be put
        together.

    Examples
    --------
    >>> import os, tempfile
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> _ = ck.save(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path, name="demo")
    >>> ck.persistence.read_bundle(path).manifest["name"]
    'demo'
    """
    skops = import_optional("skops.io", extra="persistence", purpose="Loading a model")
    manifest, parts = read_archive(path)
    # A model without its card would be used without its limits.
    if MODEL not in parts or CARD not in parts:
        raise BundleError(f"{path} lacks its model or its card.")
    unknown = [name for name in parts if not _is_part(name)]
    if unknown:
        raise BundleError(f"{path} holds parts that no bundle has: {unknown[:8]}.")
    check_manifest(path, manifest)
    check_inner_archive(path, parts[MODEL])
    names = check_types(path, parts[MODEL], trusted)
    # Before anything is built: LightGBM's parser is C++ that trusts its text.
    for name, data in parts.items():
        if name.startswith("booster-"):
            check_booster_text(name, data)
    _warn_of_versions(path, manifest.get("versions", {}))
    try:
        bare = skops.loads(parts[MODEL], trusted=names)
        refuse_places(path, bare)
        check_compiled(walk(bare))
        model = put_together(bare, parts, device)
    except BundleError:
        raise
    except Exception as error:  # whatever a crafted file makes of it, the file is named
        raise BundleError(
            f"{path} cannot be put together ({type(error).__name__}: {error})."
        ) from error
    return Bundle(model, manifest, _card_of(path, parts))


def card(path: str | os.PathLike[str]) -> str:
    """The model card of a bundle, Markdown; its model is not built.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    str

    Raises
    ------
    BundleError
        The file is no bundle, is damaged, or has no card.

    Examples
    --------
    >>> import os, tempfile
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> path = os.path.join(tempfile.mkdtemp(), "model.crtkit")
    >>> _ = ck.save(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path, name="demo")
    >>> ck.card(path).splitlines()[0]
    '# demo'
    """
    _, parts = read_archive(path)
    if CARD not in parts:
        raise BundleError(f"{path} has no card.")
    return _card_of(path, parts)


def _card_of(path: Any, parts: dict[str, bytes]) -> str:
    try:
        return parts[CARD].decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: its card is not text ({error}).") from error


#: Parameters that name a folder to write to.
PLACES = ("memory", "cache_dir", "checkpoint_dir")


def refuse_places(path: Any, bare: Any) -> None:
    """Refuse a model that would write to a folder of the file's choice; `save` keeps none."""
    for item in walk(bare):
        for attribute in PLACES:
            if getattr(item, attribute, None) is not None and hasattr(item, "get_params"):
                raise BundleError(
                    f"{path}: {type(item).__name__}.{attribute} names a folder to write to; "
                    "crtkit.save never keeps one. Nothing of it was run."
                )


def _is_part(name: str) -> bool:
    if name.startswith("booster-") and name.endswith(".txt"):
        return name[len("booster-") : -len(".txt")].isdigit()
    return name in (MODEL, CARD, TENSORS)


def _forget_places(bare: Any) -> None:
    """Drop folders of the machine that trained: a cache there means nothing elsewhere."""
    for item in walk(bare):
        if hasattr(item, "get_params") and hasattr(item, "report_"):
            del item.report_  # of the last pages that were read: patients' files by name
        for attribute in PLACES:
            if getattr(item, attribute, None) is not None and hasattr(item, "get_params"):
                setattr(item, attribute, None)


def _warn_of_versions(path: Any, written: dict[str, str]) -> None:
    here = package_versions()
    other = [
        f"{package} {written[package]} (here {here.get(package, 'absent')})"
        for package in written
        if package != "python" and _release(written[package]) != _release(here.get(package, ""))
    ]
    if other:
        warnings.warn(
            f"{path} was written with {', '.join(other)}: predictions may differ. Install those "
            "versions for the same bits.",
            BundleVersionWarning,
            stacklevel=3,
        )


def _release(text: str) -> tuple[str, ...]:
    # Major and minor: patch releases and local builds give the same bits.
    return tuple(text.split("+")[0].split(".")[:2])
