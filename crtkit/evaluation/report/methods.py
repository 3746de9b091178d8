"""The methods paragraph of a paper, from what was run."""

from __future__ import annotations

from typing import Any

import numpy as np

from crtkit.evaluation.compare import MAJORITY
from crtkit.evaluation.plots.common import new_models
from crtkit.evaluation.plots.forest import metric_title

#: Per cent of simulated cohorts in which the headline interval held the truth, over scores that are
#: fixed, models with a signal and models without; a test holds them to ``benchmarks.coverage``.
COVERED = (94, 97)


def methods_text(result: Any, n_bootstrap: int) -> list[str]:
    """Paragraphs in the past tense: data, splits, models, figures, software.

    Only what the run knows is said; what an author must add (consent, dates, how the outcome was
    read) is in the checklists.
    """
    paragraphs = [
        _data(result),
        _splits(result),
        _models(result),
        _figures(result, n_bootstrap),
        _software(result),
    ]
    return [p for p in paragraphs if p]


def _data(result: Any) -> str:
    info = result.info
    rows = result.predictions[result.predictions["set"] == "test"]
    tested = rows.drop_duplicates("row")
    label = info.get("label") or f"label {result.classes[1]!r}"
    n, patients = info["n_records"], info["n_patients"]
    text = f"We analysed {_count(n, 'record')} of {_count(patients, 'patient')} ({info['cohort']})."
    if info.get("source") == "simulated":
        text = (
            f"All patients were SIMULATED. We analysed {_count(n, 'record')} of "
            f"{_count(patients, 'simulated patient')} ({info['cohort']})."
        )
    # The share among tested records: those never tested play no part in any figure.
    share = float(np.mean(tested["y_true"] == result.classes[1]))
    text += f" The outcome was {label}, present in {share:.0%} of the records tested."
    excluded = {k: -int(v) for k, v in (info.get("flow") or {}).items() if int(v) < 0}
    if excluded:
        listed = ", ".join(f"{step} ({count})" for step, count in excluded.items())
        text += f" Records were excluded for these reasons: {listed}."
    # Reviewers ask for the size of the sample where the sample is described.
    return f"{text} {info['chance']}" if info.get("chance") else text


def _splits(result: Any) -> str:
    info, splits = result.info, result.splits
    seeds = len(info["seeds"])
    sizes = f"{splits['n_train_patients'].mean():.0f} and {splits['n_test_patients'].mean():.0f}"
    # With a splitter there is no share: its own words say what was done.
    if info.get("test_size") is not None:
        how = (
            f"repeated random splits, {1 - info['test_size']:.0%} for development and "
            f"{info['test_size']:.0%} for testing, stratified by outcome"
        )
        times = f"{_count(seeds, 'time')} (seeds {_seeds(info['seeds'])})"
        text = f"Models were developed and tested on {how}, {times}."
    else:
        text = (
            f"Models were developed and tested by cross-validation ({info['cv']}), repeated "
            f"{_count(seeds, 'time')} (seeds {_seeds(info['seeds'])})."
        )
    text += (
        " Splits were by patient at every level, so that no patient was on both sides of a split, "
        "including those inside a model (searches, early stopping, thresholds); on average "
        f"{sizes} patients were used for development and testing."
    )
    if info["n_records"] > info["n_patients"]:
        text += (
            " The records of a patient were combined into one answer by their mean score."
            if result.by == "patient"
            else " Records were scored one by one; intervals draw patients with all their records."
        )
    others = [name for name in result.sets if name != "test"]
    if others:
        text += (
            f" Every fitted model was applied, frozen and with its frozen threshold, to "
            f"{_listed(others)}, none of whose patients took part in development."
        )
    return text


def _models(result: Any) -> str:
    new = new_models(result)
    references = [name for name in result.info.get("reference_rows") or () if name in result.models]
    text = f"We compared {_count(len(new), 'model')}: {_listed(new)}."
    rules = [name for name in references if name != MAJORITY]
    if rules:
        text += (
            f" On the same splits, they were set against what is known already: {_listed(rules)}"
            + (", and against a constant answer" if MAJORITY in references else "")
            + "."
        )
    measured = result.info.get("measured") or {}
    if measured:
        text += f" Measured from the ECG itself: {_listed(list(measured))}."
    return text


def _figures(result: Any, n_bootstrap: int) -> str:
    names = _listed([_lower(metric_title(name)) for name in result.scoring])
    seeds = len(result.info["seeds"])
    text = f"Performance is given as {names}: mean ± SD over "
    text += f"{_count(seeds, 'seed')}. " if seeds > 1 else "folds. "
    text += (
        "The 95 % intervals count patients and fits: the variance of the mean when patients are "
        f"drawn again with all their records ({n_bootstrap:,} bootstrap replicates), plus as much "
        "of the variance between splits as the predictions depend on who was trained on, by "
        "Student's t, on the logit scale for figures between 0 and 1. Where predicted labels are "
        "risks above 0.5, the variance with risks that move as the patients drawn would have "
        "trained them was taken instead if it was larger. In simulated cohorts of 102 and 285 "
        "patients, whose share of responders differed by chance, such intervals of AUC, accuracy, "
        f"sensitivity and specificity held the truth in {COVERED[0]} to {COVERED[1]} %. A model "
        "was said to beat the best clinical rule where the whole interval of the paired difference "
        "was on the better side of zero. Calibration was assessed by slope, intercept in the "
        "large, the ratio "
        "of observed to expected outcomes, the Brier score and the integrated calibration index, "
        "with a loess curve; clinical use by net benefit. Thresholds were those of the fitted "
        "models and were not chosen on test patients."
    )
    if any(result.subgroups.values()):
        text += (
            " Subgroups were compared with all other patients by the difference of their AUC, "
            "without adjustment for their number."
        )
    return text


def _software(result: Any) -> str:
    versions = result.info.get("versions") or {}
    # A paper names what its figures depend on; the whole list is on the page.
    kept = ("crtkit", "python", "scikit-learn", "lightgbm", "torch", "numpy")
    listed = ", ".join(f"{name} {versions[name]}" for name in kept if name in versions)
    return (
        f"Analyses were done with {listed or 'crtkit'}. Random numbers followed from seed "
        f"{(result.info.get('protocol') or {}).get('random_state', 0)}; the cohort's hash is "
        f"{str(result.info.get('cohort_hash', ''))[:12]}."
    )


def warnings_of(result: Any) -> list[str]:
    """What a reader must know first: leaks by kind, and a cohort that is too small.

    No record is named: the table of leaks, ``leaks_``, does that for the author.
    """
    lines = []
    leaks = result.leaks_
    if len(leaks):
        for (kind, where), rows in leaks.groupby(["kind", "where"], sort=False):
            lines.append(f"Possible leak, {kind} ({where}): {_count(len(rows), 'finding')}.")
    if result.info.get("chance"):
        lines.append(str(result.info["chance"]))
    return lines


def left_out(result: Any) -> list[str]:
    """What the run did without, and why: models, columns, rows, undefined figures."""
    info = result.info
    lines = [f"{name}: {why}." for name, why in (info.get("left_out") or {}).items()]
    lines += [
        f"{-int(n)} record(s): {step}."
        for step, n in (info.get("flow") or {}).items()
        if int(n) < 0
    ]
    undefined: dict[tuple[str, str], list[str]] = {}
    for on in result.sets:
        folds = result.per_fold(on)
        for metric in folds:
            gaps = folds[metric].isna().groupby(level="model", sort=False)
            where = "" if on == "test" else f" on {on}"
            for model, n in gaps.sum().items():
                if n:
                    title = f"{metric_title(str(metric))}{where}"
                    key = (title, f"{n} of {len(folds.loc[model])} splits")
                    undefined.setdefault(key, []).append(str(model))
    lines += [f"{t} is undefined in {n}: {_listed(m)}." for (t, n), m in undefined.items()]
    return lines or ["Nothing was left out."]


def _lower(title: str) -> str:
    """Heading within a sentence: abbreviations keep their capitals."""
    named = title.isupper() or title.startswith(("F1", "Brier"))
    return title if named else title[:1].lower() + title[1:]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _listed(names: list[str]) -> str:
    names = [str(name) for name in names]
    if len(names) == 1:
        return names[0]
    # A name such as "Logistic, clinical" would read as two models between commas.
    between = "; " if any("," in name for name in names) else ", "
    return f"{between.join(names[:-1])}{';' if between == '; ' else ''} and {names[-1]}"


def _seeds(seeds: list[int]) -> str:
    consecutive = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    if consecutive and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
