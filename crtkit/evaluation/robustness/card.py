"""The robustness card: what becomes of a fitted model's answers when its input changes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from crtkit import metrics
from crtkit._labels import class_pair
from crtkit._plots import PAGE_WIDTH, axes, mark_simulated, styled
from crtkit.cohort import Cohort, Select
from crtkit.cohort.cells import as_objects
from crtkit.evaluation.fit import predict, score_sign
from crtkit.evaluation.plots.forest import draw_rows
from crtkit.evaluation.requirements import columns_of
from crtkit.evaluation.risks.calibration import _logistic_many, _logit, slope_and_intercept
from crtkit.evaluation.robustness.disturbances import (
    Change,
    Reprint,
    page_changes,
    reprints,
    signal_changes,
)
from crtkit.evaluation.scoring import Part, nanvar, patients_of, vote
from crtkit.evaluation.uncertainty.intervals import (
    difference_interval,
    patient_weights,
    replicate_scores,
)
from crtkit.evaluation.uncertainty.proportions import wilson_interval

__all__ = ["plot_robustness", "robustness_card"]

#: Row of the untouched input, that every other row is compared with.
AS_IT_IS = "as it is"
# Records changed at a time: 64 twelve-lead records of ten seconds are 15 MB.
_BLOCK = 64


def robustness_card(
    model: Any,
    cohort: Cohort,
    *,
    changes: dict[str, Change] | None = None,
    pos_label: Any = None,
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Change a fitted model's input in ways that happen, and see what becomes of its answers.

    Parameters
    ----------
    model : fitted classifier
        A pipeline that reads ``cohort.X``; its ``Select`` says whether signals or pages.
    cohort : Cohort
        Patients that it was not fitted on.
    changes : dict of str to callable, optional
        ``change(signals, fs, rng)`` of (n_records, n_leads, n_samples) in mV, or, of a model of
        pages, ``change(page, rng)`` of uint8 (height, width, 3). By default
        sampling rates, mains, noise, drift, four channels, a flat lead, swapped arms, wrong paper
        speed and gain; of pages size, JPEG quality, tilt, grey, erased text, and, where the cohort
        has the signals that they were printed from, other paper speed, gain and layout.
    pos_label : label, optional
        By default the larger one.
    confidence : float, default=0.95
    n_bootstrap : int, default=1000
        Draws of patients, the same for every row.
    random_state : int, default=0
        Of the changes that are random; each row starts anew, so that rows do not depend on which
        others there are.

    Returns
    -------
    DataFrame
        One row per change, ``"as it is"`` first: ``auc``; ``auc_change`` with ``auc_low,
        auc_high``; ``intercept_change`` with limits, of the calibration in the large (log odds: by
        how much risks are shifted; nan without risks); ``changed``, the share of patients whose
        answer is another, with Wilson's ``changed_low, changed_high``; ``n_patients``; ``note``,
        why a row has no figures: a model that refuses such input says so, which is no fault.
        Intervals are paired and by patient. The model is held fixed.

    Raises
    ------
    ValueError
        The model reads neither signals nor pages, or both; a class is absent.

    Notes
    -----
    No change of AUC is no proof that a model may be used on such input; a large one shows that it
    may not.

    Examples
    --------
    >>> import numpy as np
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from crtkit.evaluation import robustness_card
    >>> cohort = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=0)
    >>> half = np.arange(60) < 30
    >>> train, test = cohort.take(half), cohort.take(~half)
    >>> model = make_pipeline(ck.Select("signal"), ck.LeadStatistics(), LogisticRegression())
    >>> model = model.fit(train.X, train.y)
    >>> card = robustness_card(model, test, n_bootstrap=50)
    >>> card.index[0], float(card.loc["as it is", "changed"])
    ('as it is', 0.0)
    """
    column = _modality(model, cohort)
    classes = class_pair("robustness_card", cohort.y, pos_label, order=cohort.info.get("classes"))
    if changes is None:
        changes = _defaults(column, cohort)
    if AS_IT_IS in changes:
        raise ValueError(f"A change cannot be called {AS_IT_IS!r}: that is the first row.")
    sign = score_sign(classes[1], cohort.y)
    base = _part(predict(model, cohort.X, classes[1], sign), cohort, classes)
    # One set of draws for every row, so that rows differ by their change and not by chance.
    drawn = list(patient_weights(len(patients_of([base])), n_bootstrap, random_state))
    rows = {AS_IT_IS: _row(base, base, drawn, confidence)}
    for name, change in changes.items():
        try:
            answers = _answers(model, cohort, column, change, classes[1], sign, random_state)
        except Exception as error:  # noqa: BLE001 - whatever a model says to such input is the row
            rows[name] = {"n_patients": len(patients_of([base])), "note": _short(error)}
            continue
        rows[name] = _row(base, _part(answers, cohort, classes), drawn, confidence)
    columns = list(rows[AS_IT_IS])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("change")
    source = cohort.info.get("source", "unstated")
    whose = "SIMULATED patients" if source == "simulated" else f"{source} data"
    table.attrs["source"] = source
    table.attrs["note"] = f"{cohort.info.get('name', 'cohort')}: {whose}; positive: {classes[1]}"
    return table


@styled
def plot_robustness(card: pd.DataFrame, ax: Any = None) -> Any:
    """Draw the change of AUC of a robustness card, row by row.

    Parameters
    ----------
    card : DataFrame
        Of :func:`robustness_card`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from crtkit.evaluation import plot_robustness
    >>> ax = plot_robustness(card)                                       # doctest: +SKIP
    """
    rows = card.drop(index=AS_IT_IS)[["auc_change", "auc_low", "auc_high"]].astype(float)
    ax = axes(ax, "plot_robustness", (0.75 * PAGE_WIDTH, 0.8 + 0.2 * len(rows)))
    rows.columns = ["mean", "low", "high"]
    name = f"{AS_IT_IS}, AUC {float(card['auc'].loc[AS_IT_IS]):.2f}"
    draw_rows(ax, rows, reference=0.0, reference_name=name)
    ax.set_xlabel("Change of AUC (95 % interval by patient)")
    if card.attrs.get("source") == "simulated":
        mark_simulated(ax)
    return ax


def _defaults(column: str, cohort: Cohort) -> dict[str, Any]:
    if column == "signal":
        return dict(signal_changes())
    # Other paper can only be tried where the signals behind the pages are at hand.
    printed = "pages" in cohort.info and "signal" in cohort.X
    return {**page_changes(), **(reprints() if printed else {})}


def _modality(model: Any, cohort: Cohort) -> str:
    read = [name for name in columns_of(model) if name in ("signal", "image")]
    if len(set(read)) != 1:
        raise ValueError(
            f"robustness_card changes signals or pages, and the model reads {columns_of(model)}: "
            'its Select must name "signal" or "image".'
        )
    if read[0] not in cohort.X:
        raise ValueError(f"robustness_card: the cohort has no column {read[0]!r}.")
    return read[0]


def _part(answers: dict[str, Any], cohort: Cohort, classes: tuple[Any, Any]) -> Part:
    """Answers of the cohort as patients, or as records where a patient carries two labels."""
    part = Part(
        "model", 0, 0, answers["kind"], cohort.groups.astype(object), cohort.y == classes[1],
        np.asarray(answers["y_pred"]) == 1, np.asarray(answers["score"], dtype=np.float64),
    )  # fmt: skip
    # Patients with two labels have no one answer; their records stay records.
    labels = pd.Series(part.y_true).groupby(part.group.astype(str)).nunique()
    return vote(part) if (labels == 1).all() else part


def _answers(
    model: Any, cohort: Cohort, column: str, change: Change, positive: Any, sign: float, seed: int
) -> dict[str, Any]:
    """Predictions of the changed records, block after block."""
    # Seeded anew for each change: what a row shows does not depend on the rows above it.
    rng = np.random.default_rng(seed)
    out: dict[str, Any] = {"y_pred": [], "score": [], "kind": ""}
    with tempfile.TemporaryDirectory() as folder:
        changed = _changed_signals if column == "signal" else _changed_pages
        for X in changed(cohort, change, rng, Path(folder)):
            answers = predict(model, X, positive, sign)
            out["y_pred"].extend(answers["y_pred"])
            out["score"].extend(answers["score"])
            out["kind"] = answers["kind"]
    return out


def _changed_signals(
    cohort: Cohort, change: Change, rng: Any, folder: Path
) -> Iterator[pd.DataFrame]:
    rate = cohort.info.get("sampling_rate")
    if rate is None:
        raise ValueError("the cohort does not say its sampling rate (info['sampling_rate'])")
    select = Select("signal").fit(cohort.X)
    for start in range(0, len(cohort), _BLOCK):
        X = cohort.X.iloc[start : start + _BLOCK]
        cells = list(change(np.asarray(select.transform(X)), float(rate), rng))
        yield X.assign(signal=as_objects(cells))


def _changed_pages(
    cohort: Cohort, change: Change, rng: Any, folder: Path
) -> Iterator[pd.DataFrame]:
    from crtkit.images import load_image

    if isinstance(change, Reprint):
        yield from _reprinted(cohort, change, folder)
        return
    for start in range(0, len(cohort), _BLOCK):
        X = cohort.X.iloc[start : start + _BLOCK]
        paths = []
        for number, cell in enumerate(X["image"]):
            page = cell if isinstance(cell, np.ndarray) else load_image(cell, size=None)
            path = folder / f"{number}.png"  # lossless: the change is the only one
            Image.fromarray(np.ascontiguousarray(change(page, rng))).save(path, compress_level=1)
            paths.append(str(path))
        yield X.assign(image=as_objects(paths))


def _reprinted(cohort: Cohort, change: Reprint, folder: Path) -> Iterator[pd.DataFrame]:
    from crtkit.datasets import render_cohort

    made = cohort.info["pages"]
    for start in range(0, len(cohort), _BLOCK):
        block = cohort.take(np.arange(start, min(start + _BLOCK, len(cohort))))
        pages = render_cohort(
            block, folder, layout=change.layout or made["layout"], px_per_mm=made["px_per_mm"],
            quality=made["quality"], speed=change.speed, gain=change.gain,
        )  # fmt: skip
        yield pages.X


def _row(base: Part, part: Part, drawn: list[np.ndarray], confidence: float) -> dict[str, Any]:
    """Figures of one change, against the answers to the input as it is."""
    patients = patients_of([base])
    where = np.searchsorted(patients, base.group.astype(str))
    df = max(len(patients) - 1, 1)
    weights = [w[:, where] for w in drawn]

    def both(figure: Callable[[Part, np.ndarray], np.ndarray]) -> tuple[float, float]:
        """Variance of a paired difference when patients are drawn again."""
        values = np.concatenate([figure(part, w) - figure(base, w) for w in weights])
        return nanvar(values), df

    auc = [metrics.roc_auc(p.y_true, p.y_score, pos_label=True) for p in (base, part)]
    limits = difference_interval(
        auc[1] - auc[0],
        *both(lambda p, w: replicate_scores(p.y_true, p.y_score, w)["roc_auc"]),
        confidence,
    )
    row: dict[str, Any] = {"auc": auc[1], "auc_change": auc[1] - auc[0]}
    # The first row differs from itself by nothing: an interval there would be noise of its own.
    row["auc_low"], row["auc_high"] = limits if part is not base else (np.nan, np.nan)
    shift = low = high = np.nan
    if part.kind == "probability":
        shift = _intercept(part) - _intercept(base)
        low, high = difference_interval(shift, *both(_intercepts), confidence)
    row.update(intercept_change=shift, intercept_low=low, intercept_high=high)
    n_changed = int(np.sum(part.y_pred != base.y_pred))
    row["changed"] = n_changed / len(base.y_pred)
    row["changed_low"], row["changed_high"] = wilson_interval(
        n_changed, len(base.y_pred), confidence=confidence
    )
    return {**row, "n_patients": len(patients), "note": ""}


def _intercept(part: Part) -> float:
    ones = np.ones(len(part.y_true))
    return slope_and_intercept(part.y_true.astype(float), part.y_score, ones)[1][0]


def _intercepts(part: Part, weights: np.ndarray) -> np.ndarray:
    ones = np.ones((len(part.y_true), 1))
    return _logistic_many(ones, part.y_true.astype(float), weights, _logit(part.y_score))[:, 0]


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"refused: {text[:200]}"
