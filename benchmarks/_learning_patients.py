"""Simulated patients of the learning curve, in blocks, and models that read what blocks keep.

A block is simulated, measured and brought to what the networks read by one process, which then
forgets the signals: ten thousand patients at 500 Hz would fill the memory, and every fit would
filter them again.
"""

from functools import partial

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.evaluation.resume.fingerprint import versions
from crtkit.signals import LeadStatistics, QRSMeasurements
from crtkit.studies import he2023, lvsd2026, simple
from crtkit.studies.run.he2023 import prepare

BLOCK = 250
#: Patients whose QRS is measured: above that the model of measurements learns nothing more.
MEASURED = 3000
#: Above so many patients networks of signals learn in larger batches, or a fit would take minutes.
LARGE, LARGE_BATCH = 1000, 64
#: Column of what the networks of a study read.
READY = "ready"


def population(study, n, modality, seed, size, n_jobs=1, cache=None):
    """Simulate patients of a study with their features, block by block.

    Parameters
    ----------
    study : str
    n : int
        Patients.
    modality : str
    seed : tuple of int
    size : {"small", "paper"}
        Of the models, which decides the rate of what networks read.
    n_jobs : int
        Blocks at a time.
    cache : Path or None
        Keeps the blocks for the next run.

    Returns
    -------
    Cohort
        Without signals: ``measurements`` (of the first patients), ``statistics`` and "ready".
    """
    made = make_block
    if cache is not None:
        made = joblib.Memory(cache, verbose=0).cache(make_block, ignore=["folder"])
    folder = None if cache is None else cache / "pages"
    counts = [min(BLOCK, n - first) for first in range(0, n, BLOCK)]
    if len(counts) > 1 and counts[-1] < 4:  # too few for a cohort of their own
        counts[-2:] = [counts[-2] + counts[-1]]
    # Versions are part of the key: features of older code would be compared with new models.
    make = partial(made, study, modality=modality, size=size, made_with=versions(), folder=folder)
    blocks = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(make)(count, (*seed, k), measured=k * BLOCK < MEASURED)
        for k, count in enumerate(counts)
    )
    # Zero-padded: sorted patients are then in the order of the blocks, measured ones first.
    groups = [np.array([f"{k:04d}-{g}" for g in b.groups], object) for k, b in enumerate(blocks)]
    tables = [b.X.set_axis([f"{k:04d}-{r}" for r in b.X.index]) for k, b in enumerate(blocks)]
    y = np.concatenate([b.y for b in blocks])
    return ck.Cohort(pd.concat(tables), y, np.concatenate(groups), blocks[0].info)


def make_block(study, n, seed, *, modality, measured, size, made_with, folder=None):
    """Simulate some patients and keep what models read of them.

    Returns
    -------
    Cohort
    """
    cohort = ck.datasets.make_cohort(
        study,
        n_patients=n,
        modality=modality,
        random_state=np.random.default_rng(seed),
        cache_dir=folder,
    )
    X = cohort.X
    if "signal" in X:
        signals = np.asarray(ck.Select("signal").fit_transform(X))
        values = {"statistics": LeadStatistics().fit_transform(signals)}
        if measured:
            rate = cohort.info["sampling_rate"]
            values["measurements"] = QRSMeasurements(fs=rate).fit_transform(signals)
        if study == "he2023":
            beats = prepare(cohort, "record").X
            values["signal"] = np.asarray(ck.Select("signal").fit_transform(beats))
        elif study == "lvsd2026":
            front = lvsd2026.front(lvsd2026.SIZES[size]["fs"])
            values[READY] = make_pipeline(*front).fit_transform(X)
        cells = {
            name: pd.Series(list(np.asarray(value, np.float32)), index=X.index, dtype=object)
            for name, value in values.items()
        }
        X = X.drop(columns="signal").assign(**cells)
        X = X[[c for c in X if c != "true_r_peaks_s" and not c.startswith("true_")]]
    info = {k: v for k, v in cohort.info.items() if k not in ("outcome", "truth", "left_out")}
    if study == "he2023":
        info["sampling_rate"] = he2023.FS
    return ck.Cohort(X, cohort.y, cohort.groups, info)


def after_front(study, model, size):
    """A model of the study that reads what blocks keep in place of signals.

    Returns
    -------
    estimator
    """
    model = getattr(model, "estimator", model) if hasattr(model, "column") else model
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else []
    if study == "lvsd2026":
        done = len(lvsd2026.front(lvsd2026.SIZES[size]["fs"]))
        return make_pipeline(ck.Select(READY), *steps[done:])
    if study == "mori2025" and steps and steps[0].column == "signal":
        return make_pipeline(ck.Select(simple.ROWS["Logistic on 60 statistics"]), *steps[2:])
    return model


def with_batches(model, n):
    """The model with larger batches where it learns signals from very many patients."""
    network = getattr(model, "steps", [(None, None)])[-1][1]
    if n <= LARGE or getattr(network, "_kind", None) != "signals":
        return model
    model = clone(model)
    model[-1].set_params(batch_size=LARGE_BATCH)
    return model
