"""``evaluate``: every model on the same splits by patient, seed after seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from crtkit._progress import Progress
from crtkit.cohort import Cohort
from crtkit.cohort.temporary import temporary_folder_during
from crtkit.evaluation.checks import (
    check_cohorts,
    check_cv,
    check_inner_splits,
    check_random_state,
    class_labels,
    cv_in_words,
    seed_list,
    subgroup_masks,
)
from crtkit.evaluation.fit import Refitter, fit_cell, spill_arrays
from crtkit.evaluation.leaks.audit import quick_audit
from crtkit.evaluation.models import EvaluatedModels, all_models, name_models
from crtkit.evaluation.predictions import prediction_table, split_table
from crtkit.evaluation.requirements import check_signals, readable_models
from crtkit.evaluation.result import Evaluation
from crtkit.evaluation.resume.fingerprint import device, fingerprint, versions
from crtkit.evaluation.resume.journal import Journal
from crtkit.evaluation.scoring import resolve_scoring
from crtkit.evaluation.shared import Shared, share_prefixes
from crtkit.evaluation.splits import make_splits
from crtkit.evaluation.uncertainty.planning import chance_sentence
from crtkit.evaluation.workers import left_at_work, on_this_machine, resolve_threads


def evaluate(
    models: Any,
    cohort: Cohort,
    *,
    seeds: int | Iterable[int] = 10,
    test_size: float = 0.2,
    cv: Any = None,
    by: str = "patient",
    external: dict[str, Cohort] | None = None,
    subgroups: dict[str, Any] | None = None,
    reference_rows: bool | dict[str, Any] = True,
    scoring: Any = None,
    n_jobs: int | None = None,
    threads_per_fit: int | None = None,
    share: bool = True,
    journal: Any = None,
    random_state: int = 0,
    progress: bool = True,
    pos_label: Any = None,
) -> Evaluation:
    """Fit and score models on repeated splits by patient.

    Seed k gives split k and, by ``SeedSequence(random_state, spawn_key=(k, fold))``, every
    ``random_state`` inside the model: more seeds later keep the earlier ones as they were.

    Parameters
    ----------
    models : dict of str to classifier, classifier, or list of classifiers
        Unfitted; pipelines that read ``cohort.X`` (their first step is ``Select``). They are
        cloned, never fitted themselves. Where patients have several records, every ``cv`` inside a
        model must split by groups. A model whose column a cohort lacks is left out, with a
        warning and the reason in ``info["left_out"]``.
    cohort : Cohort
        Two classes.
    seeds : int or iterable of int, default=10
        How many, or which.
    test_size : float, default=0.2
        Share of patients tested where ``cv`` is None.
    cv : None, int, str, splitter or iterable of (train, test), default=None
        None: one stratified split by patient per seed. An int: that many stratified folds by
        patient per seed. A splitter with a ``random_state`` is drawn again for each seed; splits
        that are the same for every seed count once in intervals and tests over splits, averaged
        over seeds. Parts are positions or masks. Patients on both sides are refused always.
        ``"centre"``: each centre is tested by models of the others (column ``centre``,
        ``hospital`` or ``site``); ``"time"``: later patients by models of earlier ones (column
        ``time``, ``date`` or ``year``: five blocks of the later half); ``("centre", "COLUMN")``
        and ``("time", "COLUMN")`` name another column.
    by : {"patient", "record"}, default="patient"
        What is scored: patients, their records voted to one answer by mean score, or records.
        Intervals are by patient either way.
    external : dict of str to Cohort, optional
        Other hospitals: every fitted model answers for them too.
    subgroups : dict of str to column, callable or mask, optional
        A column's name makes one subgroup per value; a callable gets ``X`` and returns a mask.
    reference_rows : bool or dict, default=True
        Add the rows every table needs: majority class, QRS duration, LBBB, QRS area, guideline
        class I and a clinical model. What the table lacks is measured on the column ``signal``,
        once and unfiltered (``info["measured"]`` says for which rows); a column of the table is
        always preferred. A dict holds arguments of :func:`crtkit.guidelines.reference_rows`:
        ``{"guideline": "he2023"}``. A model of the same name is refused.
    scoring : None, str, list of str or dict, default=None
        Names from :data:`crtkit.metrics.SCORERS` (None: all), or functions
        ``metric(y_true, y_score)`` of 0/1 truth and score by name.
    n_jobs : int, optional
        Fits at a time; under ``joblib.parallel_config(backend="dask")`` they spread over machines,
        which must then all see the files that the cells of ``X`` name.
    threads_per_fit : int, optional
        Threads of one fit (OpenMP, BLAS, torch, LightGBM): by default all cores for one fit at a
        time and 1 otherwise. The bits of a result may depend on it, never on ``n_jobs``.
    share : bool, default=True
        Measure each record once for all models, splits and candidates of a search: leading steps
        that learn nothing (``Select``, filters, then ``QRSMeasurements``, ``LeadStatistics``,
        ``ECGDigitizer``, ``PhaseAnalysis`` or ``PhaseStatistics``) are computed before the first
        fit; ``info["shared"]`` says which. The bits of a result do not depend on it.
    journal : path-like, optional
        Every finished fit is appended; the same call goes on where a killed run stopped, to the
        same bits. A journal of another cohort, device, thread setting or version is refused.
    random_state : int, default=0
        Seed of the split and model generators.
    progress : bool, default=True
        A bar with the time left on stderr; where that is not a terminal, a line every quarter of a
        minute.
    pos_label : label, default=None
        The positive class; None: the larger label, which for text is the later one in the order
        of code points, capitals first ("no" after "Yes"). Every table says which one it is.

    Returns
    -------
    Evaluation
        ``summary() per_seed() predictions roc() compare(a, b) calibration() decision_curve()
        to_html(path)``; ``leaks_``, what :func:`crtkit.evaluation.audit_leaks` found in seconds,
        which is also warned of: near-equal records of two patients, columns that are the label,
        transforms fitted before on all rows, a pool that holds test records.

    Raises
    ------
    TypeError
        ``cohort``, or an external one, is no Cohort.
    ValueError
        A parameter is out of range, the cohort does not have two classes, a patient carries two
        labels where patients are scored, a model's inner splits share patients, two models have
        one name, a subgroup is empty, a model's ``fs`` differs from the cohort's sampling rate, or
        a journal is refused.
    RuntimeError
        A model failed; the message names model, seed and fold. With a journal, what was finished
        is kept.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import crtkit as ck
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> X = pd.DataFrame({"qrs_duration_ms": 140 + 20 * y + rng.normal(0, 15, 60)})
    >>> cohort = ck.Cohort(X, y, groups=np.arange(60))
    >>> model = make_pipeline(ck.Select(["qrs_duration_ms"]), LogisticRegression())
    >>> result = ck.evaluate({"QRS": model}, cohort, seeds=3, reference_rows=False)
    >>> int(result.summary().loc["QRS", ("roc_auc", "n_valid")])
    3
    """
    if not isinstance(cohort, Cohort):
        raise TypeError(
            f"evaluate expects a Cohort, got {type(cohort).__name__}: wrap your data in "
            "crtkit.Cohort(X, y, groups)."
        )
    seeds, random_state = seed_list(seeds), check_random_state(random_state)
    external = dict(external or {})
    cohorts = {"test": cohort, **external}
    classes = class_labels(cohort, pos_label)
    check_cohorts(cohort, external, by, classes)
    metrics = resolve_scoring(scoring)
    named, left_out = readable_models(name_models(models), {"the cohort": cohort, **external})
    check_signals(named, cohorts)
    check_inner_splits(named, cohort)
    # Before anything is fitted: hours of training on a leak help nobody.
    leaks = quick_audit(cohort, named)
    models = all_models(named, left_out, cohort, external, reference_rows, classes[1], n_jobs)
    cv = check_cv(cv)
    splits = make_splits(cohort, seeds, test_size, cv, random_state)
    masks = subgroup_masks(subgroups or {}, cohorts)
    tables = {name: part.X for name, part in cohorts.items()}
    refitter = Refitter(
        models.named,
        {name: models.tables if name in models.references else tables for name in models.named},
        cohort.y,
        cohort.groups,
        splits,
        classes[1],
        random_state,
        resolve_threads(threads_per_fit, n_jobs),
    )
    identity = _identity(cohort, external, refitter, ["default", test_size] if cv is None else cv)
    records, shared = _fit_all(
        refitter, tables, identity, n_jobs=n_jobs, share=share, journal=journal, progress=progress
    )
    settings = {
        "seeds": seeds,
        "cv": cv_in_words(cv),
        "test_size": test_size if cv is None else None,
        "by": by,
        "positive": classes[1],
        "n_jobs": n_jobs,
    }
    return Evaluation(
        prediction_table(records, cohorts, list(models.named), classes),
        classes=classes,
        by=by,
        scoring=metrics,
        splits=split_table(splits, cohort),
        subgroups=masks,
        info={**_info(cohort, models, settings, identity, records), "shared": shared},
        refitter=refitter,
        cohorts=cohorts,
        leaks=leaks,
    )


def _identity(
    cohort: Cohort, external: dict[str, Cohort], refitter: Refitter, cv: Any
) -> dict[str, Any]:
    """What must be equal for two runs to have the same bits, models apart."""
    return {
        "cohort": cohort.fingerprint(),
        "external": {name: other.fingerprint() for name, other in external.items()},
        "threads_per_fit": refitter.n_threads,
        "device": device(refitter.models),
        "versions": versions(),
        "protocol": {
            "random_state": refitter.random_state,
            "positive": str(refitter.positive),
            "splits": fingerprint(cv),
        },
    }


def _info(
    cohort: Cohort,
    models: EvaluatedModels,
    settings: dict[str, Any],
    identity: dict[str, Any],
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    """What was evaluated, how, and with which versions, for tables and the report."""
    info = {
        "source": cohort.info.get("source", "unstated"),
        "best_auc": cohort.info.get("best_auc"),
        "label": cohort.info.get("label"),
        "flow": cohort.info.get("flow"),
        "n_records": len(cohort),
        "n_patients": cohort.n_patients,
        **settings,
        "reference_rows": models.references,
        "measured": models.measured,
        "left_out": models.left_out,
        "seconds": dict.fromkeys(models.named, 0.0),
        **identity,
        "cohort": cohort.info.get("name", "cohort"),
        "cohort_hash": identity["cohort"],
    }
    for record in records:
        info["seconds"][record["model"]] += record["seconds"]
    info["searches"] = [
        {"model": r["model"], "seed": r["seed"], "fold": r["fold"], **r["search"]}
        for r in records
        if "search" in r
    ]
    # Patients, not records, are what the criteria count.
    _, first = np.unique(cohort.groups.astype(str), return_index=True)
    n_positive = int((cohort.y[first] == settings["positive"]).sum())
    info["chance"] = chance_sentence(cohort.n_patients, n_positive)
    return info


def _fit_all(
    refitter: Refitter,
    tables: dict[str, Any],
    identity: dict[str, Any],
    *,
    n_jobs: int | None,
    share: bool,
    journal: Any,
    progress: bool,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Records of every (model, split), in that order whatever order they finish in.

    Also what was measured once for several of them.
    """
    keys = [(name, split) for split in refitter.splits for name in refitter.models]
    finished: dict[tuple[str, int, int], dict[str, Any]] = {}
    keep: Callable[[dict[str, Any]], None] = lambda record: None  # noqa: E731
    with ExitStack() as stack:
        if journal is not None:
            ids = {name: fingerprint(model) for name, model in refitter.models.items()}
            book = Journal(journal, identity, ids)
            stack.callback(book.close)
            for name, s in keys:
                if (name, s.seed, s.fold) in book.cells:
                    book.check_cell((name, s.seed, s.fold), _rows_predicted(s.test, tables))
            finished, keep = dict(book.cells), book.append
        # Only what the journal lacks is fitted, in the order of the table.
        todo = [(name, s) for name, s in keys if (name, s.seed, s.fold) not in finished]
        folder, shared = None, Shared(tables, {}, {})
        if share:
            names = {name for name, _ in todo}
            shared = _measured_once(refitter, names, tables, n_jobs=n_jobs, show=progress)
        given = shared.tables
        # Workers on other machines do not see this folder; they get the arrays themselves.
        if joblib.effective_n_jobs(n_jobs) > 1 and on_this_machine():
            folder = stack.enter_context(temporary_folder_during())
            given = _spill_tables(given, folder)
        read = {name: given if own is tables else own for name, own in refitter.tables.items()}
        done = len(keys) - len(todo)
        bar = stack.enter_context(Progress(len(keys), "fitting", "fit", done=done, show=progress))
        jobs = (
            delayed(fit_cell)(
                name,
                refitter.models[name],
                split,
                read[name],
                refitter.y,
                refitter.groups,
                positive=refitter.positive,
                random_state=refitter.random_state,
                n_threads=refitter.n_threads,
                shared=shared.columns if refitter.tables[name] is tables else None,
                notes=folder,
                parent=os.getpid(),
            )
            for name, split in todo
        )
        try:
            for record in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
                keep(record)
                finished[record["model"], record["seed"], record["fold"]] = record
                bar.update()
        except BrokenProcessPool as error:
            raise _killed(left_at_work(folder), journal is not None, error) from error
    return [finished[name, split.seed, split.fold] for name, split in keys], shared.said


def _measured_once(
    refitter: Refitter,
    names: set[str],
    tables: dict[str, Any],
    *,
    n_jobs: int | None,
    show: bool,
) -> Shared:
    """What the models that are still to be fitted would measure again and again."""
    # A reference row reads a table of its own, whose measurements are there already.
    readers = {
        name: model
        for name, model in refitter.models.items()
        if name in names and refitter.tables[name] is tables
    }
    return share_prefixes(readers, tables, n_jobs=n_jobs, n_threads=refitter.n_threads, show=show)


def _rows_predicted(test: Any, tables: dict[str, Any]) -> dict[str, list[int]]:
    """Positions that a fit predicts, by set: those tested, and all of every external cohort."""
    rows = {on: list(range(len(table))) for on, table in tables.items() if on != "test"}
    return {"test": test.tolist(), **rows}


def _killed(at_work: list[str], has_journal: bool, error: BaseException) -> RuntimeError:
    """What to say when a worker died without a word."""
    kept = "what was finished is in the journal" if has_journal else "give a journal= to keep fits"
    return RuntimeError(
        f"A worker process was killed while fitting {'; or '.join(at_work) or 'nothing'}. It most "
        f"likely ran out of memory: use fewer n_jobs or smaller batches ({kept}). {error}"
    )


def _spill_tables(tables: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Tables whose large columns of arrays lie in files that every worker reads."""
    spilled = {}
    for number, (name, table) in enumerate(tables.items()):
        (folder / str(number)).mkdir()
        spilled[name] = spill_arrays(table, folder / str(number))
    return spilled
