"""Measured once for all models, splits and candidates: steps that look at one record alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.utils.parallel import Parallel, delayed

from crtkit._progress import Progress
from crtkit.cohort import Select
from crtkit.evaluation.models import grids_of, is_estimator
from crtkit.evaluation.resume.fingerprint import fingerprint
from crtkit.evaluation.workers import pinned_threads

# A test holds that each gives a record the same bits whatever records stand beside it.
_ROW_WISE = {"GapFiller", "LeadFilter", "LeadSplicer", "Resampler"}
# Of these the output is kept; what the ones above give is as large as the records themselves.
_MEASURING = {
    "ECGDigitizer", "LeadStatistics", "PhaseAnalysis", "PhaseStatistics", "QRSMeasurements"
}  # fmt: skip
# Their ``estimator`` is given records as they are.
_PASS_ON = {"ConformalClassifier", "HeldOutThreshold", "RecalibratedClassifier"}
_BLOCK = 64


class Shared(NamedTuple):
    """Tables with a column for every prefix that was computed, and what to say of it."""

    tables: dict[str, Any]
    columns: dict[str, str]
    said: dict[str, dict[str, Any]]


def share_prefixes(
    models: dict[str, Any],
    tables: dict[str, Any],
    *,
    n_jobs: int | None,
    n_threads: int,
    show: bool,
) -> Shared:
    """Compute every leading chain of measuring steps once for all records of all tables.

    Parameters
    ----------
    models : dict of str to estimator
        Unfitted, all reading ``tables``.
    tables : dict of str to DataFrame
    n_jobs : int or None
        Blocks of records at a time.
    n_threads : int
        Of each block, as of a fit.
    show : bool
        Progress.

    Returns
    -------
    Shared
        ``tables``, each with the outputs as columns of arrays; ``columns``, their names by
        :func:`fingerprint` of the chain; ``said``, by the chain in words the models and seconds.

    Notes
    -----
    A chain is ``Select`` of one column and steps of ours that look at one record at a time and
    learn nothing, up to the last that measures. It is looked for at the start of a model, of what a
    search, a threshold, a calibration or a union holds, and left alone where a grid changes any of
    its steps. A chain that fails on any record is left to the models, whose error says which.
    """
    chains: dict[str, list[Any]] = {}
    users: dict[str, list[str]] = {}
    for name, model in models.items():
        for pipeline, length in _prefixes(model, frozenset()):
            chain = _steps(pipeline, length)
            key = fingerprint(chain)
            chains.setdefault(key, chain)
            users.setdefault(key, [])
            if name not in users[key]:
                users[key].append(name)
    columns: dict[str, str] = {}
    said: dict[str, dict[str, Any]] = {}
    out = dict(tables)
    for key, chain in chains.items():
        start, words = time.perf_counter(), " > ".join(_word(step) for step in chain)
        try:
            made = {
                on: _transformed(chain, table, n_jobs=n_jobs, n_threads=n_threads, show=show)
                for on, table in tables.items()
            }
        except Exception:  # noqa: BLE001, S112 - the models' own fits raise it, with their names
            continue
        if not all(_as_a_fit_sees_it(rows) for rows in made.values()):
            continue
        column = f"crtkit shared {key}"
        for on, rows in made.items():
            cells = pd.Series(list(rows), index=out[on].index, dtype=object)
            out[on] = out[on].assign(**{column: cells})
        columns[key] = column
        seconds = round(time.perf_counter() - start, 3)
        said[words] = {"models": users[key], "seconds": seconds}
    return Shared(out, columns, said)


def with_shared(model: Any, columns: dict[str, str]) -> Any:
    """Make a model of one's own (a clone) read the columns instead of measuring again."""
    if columns:
        for pipeline, length in list(_prefixes(model, frozenset())):
            column = columns.get(fingerprint(_steps(pipeline, length)))
            if column is not None:
                names = [name for name, _ in pipeline.steps]
                passed = [(name, "passthrough") for name in names[1:length]]
                pipeline.steps = [(names[0], Select(column)), *passed, *pipeline.steps[length:]]
    return model


def _prefixes(value: Any, barred: frozenset[str]) -> Iterator[tuple[Pipeline, int]]:
    """Pipelines that are given the cohort's records, and how many first steps are a chain.

    ``barred`` holds the names in grids above: a step of such a name may change.
    """
    if isinstance(value, Pipeline):
        first = value.steps[0][1]
        if type(first) is Select and isinstance(first.column, str):
            length = _length(value, barred)
            if length > 1:
                yield value, length
        elif is_estimator(first):
            yield from _prefixes(first, barred)
    elif isinstance(value, FeatureUnion):
        for _, part in value.transformer_list:
            yield from _prefixes(part, barred)
    elif is_estimator(value) and _passes_on(value):
        names = {name for grid in grids_of(value) for key in grid for name in key.split("__")}
        yield from _prefixes(value.estimator, barred | names)


def _length(pipeline: Pipeline, barred: frozenset[str]) -> int:
    """Number of first steps up to the last that measures, or 0."""
    length = 0
    for number, (name, step) in enumerate(pipeline.steps):
        if name in barred or hasattr(step, "_sklearn_output_config"):
            break
        if number and not (step is None or step == "passthrough"):
            kind = type(step).__name__
            if (
                not type(step).__module__.startswith("crtkit.")
                or kind not in _ROW_WISE | _MEASURING
            ):
                break
            if kind in _MEASURING:
                length = number + 1
    return length


def _passes_on(value: Any) -> bool:
    """Whether an estimator gives the records that it is given to its ``estimator``."""
    module = type(value).__module__
    ours = module.startswith("crtkit.") and type(value).__name__ in _PASS_ON
    known = module.startswith(("sklearn.model_selection.", "sklearn.calibration"))
    return (ours or known) and is_estimator(getattr(value, "estimator", None))


def _steps(pipeline: Pipeline, length: int) -> list[Any]:
    steps = [step for _, step in pipeline.steps[:length]]
    return [step for step in steps if not (step is None or step == "passthrough")]


def _word(step: Any) -> str:
    return step.column if isinstance(step, Select) else type(step).__name__


def _transformed(
    chain: list[Any], table: Any, *, n_jobs: int | None, n_threads: int, show: bool
) -> np.ndarray:
    """Output of a chain for every record, block by block."""
    column = chain[0].column
    X = table[[column]]
    # A step's own processes would wait for those of the blocks.
    many = joblib.effective_n_jobs(n_jobs) > 1
    chain = [clone(step) for step in chain]
    for step in chain:
        if many and "n_jobs" in step.get_params(deep=False):
            step.set_params(n_jobs=1)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(X), _BLOCK)]
    jobs = (delayed(_one_block)(chain, X.iloc[block], n_threads) for block in blocks)
    out = []
    with Progress(len(X), f"measuring {column}", "record", show=show) as progress:
        for rows in Parallel(n_jobs=n_jobs, return_as="generator")(jobs):
            out.append(rows)
            progress.update(len(rows))
    return np.concatenate(out)


def _one_block(chain: list[Any], X: Any, n_threads: int) -> Any:
    with pinned_threads(n_threads):
        return make_pipeline(*chain).fit_transform(X)


def _as_a_fit_sees_it(rows: Any) -> bool:
    """Whether stacking rows again gives what the chain gave: another layout rounds otherwise."""
    return isinstance(rows, np.ndarray) and rows.dtype != object and rows.flags.c_contiguous
