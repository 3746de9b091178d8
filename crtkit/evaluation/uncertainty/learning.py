"""What more patients would bring, and how much a model flatters the patients it was fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from crtkit._splits import patient_labels
from crtkit.cohort import Cohort
from crtkit.evaluation.checks import class_labels
from crtkit.evaluation.fit import fit_model, fitting, predict, score_sign
from crtkit.evaluation.models import name_models
from crtkit.evaluation.run import evaluate
from crtkit.evaluation.scoring import Part, figures, resolve_scoring, vote
from crtkit.evaluation.splits import RepeatedStratifiedPatientSplit, Split
from crtkit.evaluation.uncertainty.intervals import percentile_interval

__all__ = ["learning_curve", "optimism_bootstrap"]


def learning_curve(
    models: Any,
    cohort: Cohort,
    *,
    shares: Iterable[float] = (0.25, 0.5, 0.75, 1.0),
    n_splits: int = 10,
    test_size: float = 0.2,
    metric: str = "roc_auc",
    random_state: int = 0,
    n_bootstrap: int = 500,
    **options: Any,
) -> pd.DataFrame:
    """Evaluate models trained on ever more patients, tested on the same ones.

    The patients of a smaller share are among those of a larger one, stratified by class.

    Parameters
    ----------
    models, cohort
        As :func:`crtkit.evaluate` takes them.
    shares : iterable of float, default=(0.25, 0.5, 0.75, 1.0)
        Of the training patients, in (0, 1].
    n_splits : int, default=10
    test_size : float, default=0.2
        Share of the patients tested in every split.
    metric : str, default="roc_auc"
    random_state : int, default=0
    n_bootstrap : int, default=500
    **options
        For :func:`crtkit.evaluate`: ``n_jobs``, ``reference_rows``, ``pos_label`` and the like.

    Returns
    -------
    DataFrame
        One row per share and model: ``n_train_patients`` (mean over splits), ``mean, sd`` and
        ``low, high``, the interval of ``Evaluation.summary``.

    Raises
    ------
    ValueError
        A share out of range, or so small that a class is left without a patient.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> import crtkit as ck
    >>> from crtkit.evaluation import learning_curve
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(80) % 2
    >>> cohort = ck.Cohort(pd.DataFrame({"x": rng.normal(size=80) + y}), y, np.arange(80))
    >>> model = make_pipeline(ck.Select(["x"]), LogisticRegression())
    >>> curve = learning_curve(
    ...     {"x": model}, cohort, shares=(0.5, 1), n_splits=3, reference_rows=False
    ... )
    >>> curve["n_train_patients"].tolist()
    [32.0, 64.0]
    """
    shares = sorted(float(share) for share in shares)
    if not shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise ValueError(f"learning_curve expects shares in (0, 1], got {shares}.")
    splitter = RepeatedStratifiedPatientSplit(
        n_splits, test_size=test_size, random_state=random_state
    )
    pairs = list(splitter.split(cohort.X, cohort.y, cohort.groups))
    rows = []
    for share in shares:
        rng = np.random.default_rng(random_state)  # the same order for every share: nested
        smaller = [(_some_patients(cohort, train, share, rng), test) for train, test in pairs]
        # Folds of one seed, so that all shares meet the same test patients.
        result = evaluate(
            models, cohort, seeds=1, cv=smaller, scoring=metric, random_state=random_state,
            **{"progress": False, **options},
        )  # fmt: skip
        table = result.summary(n_bootstrap=n_bootstrap)
        for model in table.index:
            row = {name: float(table.loc[model, (metric, name)]) for name in _SHOWN}
            n_patients = float(result.splits["n_train_patients"].mean())
            rows.append({"share": share, "model": model, "n_train_patients": n_patients, **row})
    return pd.DataFrame(rows).set_index(["share", "model"])


_SHOWN = ("mean", "sd", "low", "high")


def _some_patients(cohort: Cohort, train: np.ndarray, share: float, rng: Any) -> np.ndarray:
    """Records of a share of the training patients of each class."""
    patients, patient_of, labels = patient_labels(
        "learning_curve", cohort.y[train], cohort.groups[train]
    )
    order = rng.permutation(len(patients))
    kept = np.zeros(len(patients), dtype=bool)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        kept[own[: round(share * len(own))]] = True
    if len(np.unique(labels[kept])) < 2:
        raise ValueError(
            f"learning_curve: a share of {share:g} leaves a class without a training patient."
        )
    return train[kept[patient_of]]


def optimism_bootstrap(
    model: Any,
    cohort: Cohort,
    *,
    metric: str = "roc_auc",
    n_bootstrap: int = 100,
    by: str = "patient",
    pos_label: Any = None,
    confidence: float = 0.95,
    random_state: int = 0,
    n_threads: int = 1,
) -> pd.DataFrame:
    """Correct the apparent figure of a model for optimism, by a bootstrap of patients.

    The model is fitted on as many patients drawn with replacement; what it scores on those less
    what it scores on the cohort is its optimism, whose mean is taken off the apparent figure.

    Parameters
    ----------
    model : classifier
        Unfitted; a pipeline that reads ``cohort.X``. Fitted ``n_bootstrap + 1`` times, so a model
        that is fitted in seconds.
    cohort : Cohort
    metric : str, default="roc_auc"
        From :data:`crtkit.metrics.SCORERS`.
    n_bootstrap : int, default=100
    by : {"patient", "record"}, default="patient"
        What is scored.
    pos_label : label, optional
    confidence : float, default=0.95
    random_state : int, default=0
    n_threads : int, default=1

    Returns
    -------
    DataFrame of one row
        ``apparent``, ``optimism``, ``corrected``; ``optimism_low, optimism_high``, percentiles over
        the replicates (their spread, no interval of the corrected figure); ``n_valid`` replicates
        with both classes.

    Raises
    ------
    ValueError
        More than one model, or ``by`` is neither "patient" nor "record".

    References
    ----------
    Harrell, Lee, Mark, Multivariable prognostic models, Statistics in Medicine 15 (1996) 361-387.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> import crtkit as ck
    >>> from crtkit.evaluation import optimism_bootstrap
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(60, 8)), columns=list("abcdefgh"))
    >>> cohort = ck.Cohort(X, np.arange(60) % 2, np.arange(60))
    >>> model = make_pipeline(ck.Select(list("abcdefgh")), LogisticRegression())
    >>> row = optimism_bootstrap(model, cohort, n_bootstrap=20).iloc[0]
    >>> bool(row["apparent"] > row["corrected"] and row["optimism"] > 0.05)
    True
    """
    named = name_models(model)
    if len(named) != 1:
        raise ValueError(f"optimism_bootstrap takes one model, got {list(named)}.")
    if by not in ("patient", "record"):
        raise ValueError(f"by must be 'patient' or 'record', got {by!r}.")
    (estimator,) = named.values()
    scoring = resolve_scoring([metric])
    positive = class_labels(cohort, pos_label)[1]
    sign = score_sign(positive, cohort.y)
    everyone = np.arange(len(cohort))
    patients, patient_of = np.unique(cohort.groups.astype(str), return_inverse=True)
    records = [np.flatnonzero(patient_of == i) for i in range(len(patients))]

    def figure(rows: np.ndarray, test: list[np.ndarray], seed: int) -> list[float]:
        split = Split(seed, 0, rows, everyone)
        with fitting(n_threads):
            fitted = fit_model(
                estimator, split, cohort.X, cohort.y, cohort.groups,
                random_state=random_state, n_threads=n_threads,
            )  # fmt: skip
            answer = predict(fitted, cohort.X, positive, sign)
        return [_score(answer, cohort, t, positive, scoring, by, metric) for t in test]

    apparent = figure(everyone, [everyone], 0)[0]
    rng = np.random.default_rng(random_state)
    optimism = []
    for k in range(1, n_bootstrap + 1):
        rows = np.concatenate([records[i] for i in rng.integers(0, len(records), len(records))])
        # A draw of one class has no fit; it is left out and counted.
        if len(np.unique(cohort.y[rows])) == 2:
            inside, outside = figure(rows, [rows, everyone], k)
            optimism.append(inside - outside)
    values = np.array(optimism)
    mean = float(np.nanmean(values)) if len(values) else float("nan")
    low, high = percentile_interval(values, confidence)
    row = {"apparent": apparent, "optimism": mean, "corrected": apparent - mean}
    row.update(optimism_low=low, optimism_high=high, n_valid=int((~np.isnan(values)).sum()))
    return pd.DataFrame([row])


def _score(
    answer: dict[str, Any],
    cohort: Cohort,
    rows: np.ndarray,
    positive: Any,
    scoring: dict[str, Any],
    by: str,
    metric: str,
) -> float:
    """The metric over some records; a patient who was drawn twice counts twice."""
    group = cohort.groups[rows].astype(str).astype(object)
    # Copies of a record get numbers, so that a vote joins the records of one copy only.
    first = pd.Series(rows).groupby(rows).cumcount().to_numpy()
    group = np.array([f"{g} {k}" for g, k in zip(group, first)], dtype=object)
    part = Part(
        "model",
        0,
        0,
        answer["kind"],
        group,
        (cohort.y[rows] == positive),
        np.asarray(answer["y_pred"], dtype=bool)[rows],
        np.asarray(answer["score"], dtype=float)[rows],
    )
    return figures(vote(part) if by == "patient" else part, scoring)[metric]
