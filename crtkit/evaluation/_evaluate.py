"""``evaluate``: every model on the same splits by patient, seed after seed."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from numbers import Integral
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from crtkit.cohort import Cohort, Select
from crtkit.evaluation._aggregate import resolve_scoring
from crtkit.evaluation._cells import Split, fit_cell, make_splits, spill_arrays
from crtkit.evaluation._identity import device, fingerprint, versions
from crtkit.evaluation._journal import Journal
from crtkit.evaluation._models import check_sampling_rate, name_models
from crtkit.evaluation._result import Evaluation
from crtkit.evaluation._subgroups import subgroup_masks
from crtkit.evaluation._threads import resolve_threads


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
    reference_rows: bool = True,
    scoring: Any = None,
    n_jobs: int | None = None,
    threads_per_fit: int | None = None,
    journal: Any = None,
    random_state: int = 0,
    progress: bool = True,
) -> Evaluation:
    """Fit and score models on repeated splits by patient.

    Seed k gives split k and, by ``SeedSequence(random_state, spawn_key=(k, fold))``, every
    ``random_state`` inside the model: more seeds later keep the earlier ones as they were.

    Parameters
    ----------
    models : dict of str to classifier, classifier, or list of classifiers
        Unfitted; pipelines that read ``cohort.X`` (their first step is ``Select``). They are
        cloned, never fitted themselves. A model whose column a cohort lacks is left out, with a
        warning and the reason in ``info["left_out"]``.
    cohort : Cohort
        Two classes; the larger label is the positive one.
    seeds : int or iterable of int, default=10
        How many, or which.
    test_size : float, default=0.2
        Share of patients tested where ``cv`` is None.
    cv : None, int, splitter or iterable of (train, test), default=None
        None: one stratified split by patient a seed. An int: that many stratified folds by patient
        a seed. A splitter that draws is drawn anew for each seed. Whatever it is, patients on both
        sides are refused.
    by : {"patient", "record"}, default="patient"
        What is scored: patients, their records voted to one answer by mean score, or records.
        Intervals are by patient either way.
    external : dict of str to Cohort, optional
        Other hospitals: every fitted model answers for them too.
    subgroups : dict of str to column, callable or mask, optional
        A column's name makes one subgroup a value; a callable gets ``X`` and returns a mask.
    reference_rows : bool, default=True
        Add the rows every table needs: majority class, QRS duration, LBBB, guideline class I and
        a clinical model, where the cohort has their columns.
    scoring : None, str, list of str or dict, default=None
        Names from :data:`crtkit.metrics.SCORERS` (None: all), or functions
        ``metric(y_true, y_score)`` of 0/1 truth and score by name.
    n_jobs : int, optional
        Fits at a time; under ``joblib.parallel_config(backend="dask")`` they spread over machines,
        which must then all see the files that the cells of ``X`` name.
    threads_per_fit : int, optional
        Threads of one fit (OpenMP, BLAS, torch, LightGBM): by default all cores for one fit at a
        time and 1 otherwise. The bits of a result may depend on it, never on ``n_jobs``.
    journal : path-like, optional
        Every finished fit is appended; the same call goes on where a killed run stopped, to the
        same bits. A journal of another cohort, device, thread setting or version is refused.
    random_state : int, default=0
        Root of all splits and seeds.
    progress : bool, default=True
        A bar with the time left on stderr, where that is a terminal.

    Returns
    -------
    Evaluation
        ``summary() per_seed() predictions roc() compare(a, b) calibration() decision_curve()
        to_html(path)``.

    Raises
    ------
    ValueError
        A parameter is out of range, the cohort has not two classes, a patient carries two labels
        where patients are scored, a model's ``fs`` is not the cohort's, or a journal is refused.
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
    seeds = _seed_list(seeds)
    external = dict(external or {})
    classes = _check_cohorts(cohort, external, by)
    metrics = resolve_scoring(scoring)
    named, references, left_out = _all_models(models, cohort, external, reference_rows)
    n_threads = resolve_threads(threads_per_fit, n_jobs)
    if not (cv is None or isinstance(cv, Integral) or hasattr(cv, "split")):
        cv = list(cv)  # a generator would be spent after the first seed
    splits = make_splits(cohort, seeds, test_size, cv, random_state)
    masks = subgroup_masks(subgroups or {}, {"test": cohort, **external})
    protocol = {
        "random_state": random_state,
        "splits": fingerprint(["default", test_size] if cv is None else cv),
    }
    identity: dict[str, Any] = {
        "cohort": cohort.fingerprint(),
        "external": {name: other.fingerprint() for name, other in external.items()},
        "threads_per_fit": n_threads,
        "device": device(named),
        "versions": versions(),
        "protocol": protocol,
    }
    records = _run(
        named,
        splits,
        {"test": cohort, **external},
        identity,
        root=random_state,
        n_jobs=n_jobs,
        n_threads=n_threads,
        journal=journal,
        progress=progress,
    )
    info = {
        "source": cohort.info.get("source", "unstated"),
        "best_auc": cohort.info.get("best_auc"),
        "n_records": len(cohort),
        "n_patients": cohort.n_patients,
        "seeds": seeds,
        "cv": _cv_in_words(cv),
        "test_size": test_size if cv is None else None,
        "by": by,
        "n_jobs": n_jobs,
        "reference_rows": references,
        "left_out": left_out,
        "seconds": dict.fromkeys(named, 0.0),
        **identity,
        "cohort": cohort.info.get("name", "cohort"),
        "cohort_hash": identity["cohort"],
    }
    for record in records:
        info["seconds"][record["model"]] += record["seconds"]
    return Evaluation(
        _predictions(records, {"test": cohort, **external}, list(named), classes),
        classes=classes,
        by=by,
        scoring=metrics,
        splits=_split_table(splits, cohort),
        subgroups=masks,
        info=info,
    )


def _cv_in_words(cv: Any) -> str:
    if cv is None:
        return "stratified by patient"
    if isinstance(cv, Integral):
        return f"{cv} stratified folds by patient"
    return repr(cv) if hasattr(cv, "split") else f"{len(cv)} given splits"


def _seed_list(seeds: int | Iterable[int]) -> list[int]:
    given = list(range(int(seeds))) if isinstance(seeds, Integral) else list(seeds)  # type: ignore[arg-type]
    if not given or any(not isinstance(s, Integral) or s < 0 for s in given):
        raise ValueError(f"seeds must be a number >= 1 or seeds >= 0, got {seeds!r}.")
    if len(set(given)) < len(given):
        raise ValueError(f"A seed occurs twice in {given}: the repeat would add nothing.")
    return [int(seed) for seed in given]


def _check_cohorts(cohort: Cohort, external: dict[str, Cohort], by: str) -> tuple[Any, Any]:
    if by not in ("patient", "record"):
        raise ValueError(f"by must be 'patient' or 'record', got {by!r}.")
    classes = np.unique(cohort.y).tolist()
    if len(classes) != 2:
        raise ValueError(
            f"evaluate compares two classes, but y has {len(classes)}: {classes[:5]}. "
            "Turn the question into one class against the rest."
        )
    if "test" in external:
        raise ValueError("An external cohort cannot be called 'test': give it another name.")
    for name, other in {"test": cohort, **external}.items():
        unknown = set(other.y.tolist()) - set(classes)
        if unknown:
            raise ValueError(
                f"External cohort {name!r} has labels {sorted(unknown)} that the cohort has not "
                f"({classes})."
            )
        labels = pd.Series(other.y).groupby(pd.Series(other.groups, dtype=object)).nunique()
        mixed = labels.index[labels > 1].tolist()
        if by == "patient" and mixed:
            raise ValueError(
                f"{len(mixed)} patient(s) of {name!r} carry two labels, for example {mixed[:5]}: "
                'they have no one answer. Score records with by="record", or settle their label.'
            )
    for name, other in external.items():
        shared = set(cohort.groups.tolist()) & set(other.groups.tolist())
        if shared:
            warnings.warn(
                f"{len(shared)} patient identifier(s) of external cohort {name!r} also occur in "
                f"the cohort, for example {sorted(shared, key=str)[:3]}. If they are the same "
                "people, models were fitted on them: leave them out, or rename them if not.",
                UserWarning,
                stacklevel=3,
            )
    return classes[0], classes[1]


def _all_models(
    models: Any, cohort: Cohort, external: dict[str, Cohort], with_references: bool
) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    """Models and reference rows, names of the latter, and why rows are left out."""
    named, left_out = _readable(name_models(models), {"the cohort": cohort, **external})
    rows: dict[str, Any] = {}
    if with_references:
        from crtkit.guidelines import reference_rows

        rows, reasons = reference_rows(cohort)
        left_out.update(reasons)
        for on, other in external.items():
            for name, row in list(rows.items()):
                problem = _unanswered(row, cohort, other)
                if problem:
                    del rows[name]
                    left_out[name] = f"external cohort {on!r}: {problem}"
        rows = {name: row for name, row in rows.items() if name not in named}
    named = {**named, **rows}
    for name, model in named.items():
        check_sampling_rate(name, model, cohort.info.get("sampling_rate"))
    return named, list(rows), left_out


def _readable(
    named: dict[str, Any], cohorts: dict[str, Cohort]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Models whose modality every cohort has; one cohort need not feed every model of a study."""
    left_out: dict[str, str] = {}
    for name, model in named.items():
        first = getattr(model, "steps", [(None, model)])[0][1]
        wanted = first.column if isinstance(first, Select) else []
        for on, cohort in cohorts.items():
            columns = [wanted] if isinstance(wanted, str) else list(wanted)
            lacking = [column for column in columns if column not in cohort.X]
            if lacking:
                left_out.setdefault(name, f"{on} has no column {', '.join(lacking)}")
    if len(left_out) == len(named):
        raise ValueError(f"No model can read the data: {left_out}.")
    for name, reason in left_out.items():
        warnings.warn(f"Model {name!r} is left out: {reason}.", UserWarning, stacklevel=4)
    return {name: model for name, model in named.items() if name not in left_out}, left_out


def _unanswered(row: Any, cohort: Cohort, other: Cohort) -> str:
    """Why a reference row cannot answer for another hospital; empty where it can."""
    try:
        clone(row).fit(cohort.X, cohort.y).predict(other.X)
    except ValueError as error:
        return str(error)
    return ""


def _run(
    named: dict[str, Any],
    splits: list[Split],
    cohorts: dict[str, Cohort],
    identity: dict[str, Any],
    *,
    root: int,
    n_jobs: int | None,
    n_threads: int,
    journal: Any,
    progress: bool,
) -> list[dict[str, Any]]:
    """Records of all cells, in order, whatever order they finished in."""
    keys = [(name, split) for split in splits for name in named]
    done: dict[tuple[str, int, int], dict[str, Any]] = {}
    keep: Callable[[dict[str, Any]], None] = lambda record: None  # noqa: E731
    with ExitStack() as stack:
        if journal is not None:
            ids = {name: fingerprint(model) for name, model in named.items()}
            book = Journal(journal, identity, ids)
            stack.callback(book.close)
            done, keep = book.cells, book.append
        todo = [(n, s) for n, s in keys if (n, s.seed, s.fold) not in done]
        found = dict(done)
        tables = {name: cohort.X for name, cohort in cohorts.items()}
        if joblib.effective_n_jobs(n_jobs) > 1 and not _on_a_cluster():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crtkit-")))
            for i, name in enumerate(tables):
                (folder / str(i)).mkdir()
                tables[name] = spill_arrays(tables[name], folder / str(i))
        bar = tqdm(
            total=len(keys),
            initial=len(keys) - len(todo),
            desc="fits",
            disable=None if progress else True,
        )
        stack.callback(bar.close)
        y, groups = cohorts["test"].y, cohorts["test"].groups
        jobs = (
            delayed(fit_cell)(
                name, named[name], split, tables, y, groups, root=root, n_threads=n_threads
            )
            for name, split in todo
        )
        for record in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
            keep(record)
            found[record["model"], record["seed"], record["fold"]] = record
            bar.update()
    return [found[name, split.seed, split.fold] for name, split in keys]


def _on_a_cluster() -> bool:
    """Say whether fits may run on machines that do not see our temporary files."""
    backend = joblib.parallel.get_active_backend()[0]
    return type(backend).__name__ not in (
        "LokyBackend",
        "MultiprocessingBackend",
        "ThreadingBackend",
    )


def _predictions(
    records: list[dict[str, Any]],
    cohorts: dict[str, Cohort],
    names: list[str],
    classes: tuple[Any, Any],
) -> pd.DataFrame:
    """One row a model, seed, fold and record, sorted by set, model, seed and fold."""
    labels = np.array(classes, dtype=object) if isinstance(classes[0], str) else np.array(classes)
    frames = []
    for on, cohort in cohorts.items():
        for name in names:
            for record in records:
                if record["model"] != name:
                    continue
                answer = record["sets"][on]
                rows = np.asarray(answer["rows"], dtype=np.intp)
                frame = pd.DataFrame(
                    {
                        "set": pd.Categorical([on] * len(rows), list(cohorts)),
                        "model": pd.Categorical([name] * len(rows), names),
                        "seed": record["seed"],
                        "fold": record["fold"],
                        "row": rows,
                        "group": cohort.groups[rows],
                        "y_true": cohort.y[rows],
                        "y_pred": labels[np.asarray(answer["called"], dtype=np.intp)],
                        "score": np.asarray(answer["score"], dtype=np.float64),
                        "kind": pd.Categorical([answer["kind"]] * len(rows), list(_KINDS)),
                    }
                )
                frames.append(frame)
    return pd.concat(frames, ignore_index=True)


_KINDS = ("probability", "decision", "label")


def _split_table(splits: list[Split], cohort: Cohort) -> pd.DataFrame:
    def n_patients(rows: np.ndarray) -> int:
        return len(pd.unique(cohort.groups[rows]))

    rows = [
        (s.seed, s.fold, len(s.train), len(s.test), n_patients(s.train), n_patients(s.test))
        for s in splits
    ]
    columns = ["seed", "fold", "n_train", "n_test", "n_train_patients", "n_test_patients"]
    return pd.DataFrame(rows, columns=columns)
