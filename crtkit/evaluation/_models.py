"""The models of an evaluation: their names, seeds, pins, and sampling rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from crtkit.evaluation._threads import is_lightgbm, pin_lightgbm


def name_models(models: Any) -> dict[str, BaseEstimator]:
    """A dict as it is; one estimator or a list under the name of the last step's class."""
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
        if len(named) < len(models):
            raise ValueError(
                f"Names of models must differ as text, got {list(models)}: one would be lost."
            )
    else:
        single = hasattr(models, "fit")
        named = {}
        for model in [models] if single else models:
            stem = name = type(getattr(model, "steps", [(None, model)])[-1][1]).__name__
            number = 2
            while name in named:
                name, number = f"{stem}-{number}", number + 1
            named[name] = model
    if not named:
        raise ValueError("evaluate expects at least one model, got none.")
    for name, model in named.items():
        if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
            raise TypeError(
                f"Model {name!r} must be an unfitted classifier, an instance with fit and "
                f"predict, got {model!r}."
            )
    return named


def prepare(model: BaseEstimator, entropy: np.random.SeedSequence, n_threads: int) -> Any:
    """Unfitted copy with every ``random_state`` drawn from ``entropy`` and LightGBM pinned."""
    model = clone(model)
    _seed(model, np.random.default_rng(entropy), n_threads)
    return model


def _seed(value: Any, rng: np.random.Generator, n_threads: int) -> None:
    """Walk estimators, containers of them (steps, grids) and splitters, in a fixed order."""
    if is_estimator(value):
        params = value.get_params(deep=False)
        for name in sorted(params):
            if name == "random_state":
                value.set_params(random_state=int(rng.integers(2**31 - 1)))
            else:
                _seed(params[name], rng, n_threads)
        if is_lightgbm(value):
            pin_lightgbm(value, n_threads)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            _seed(value[key], rng, n_threads)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _seed(item, rng, n_threads)
    elif reseeds(value):
        value.random_state = int(rng.integers(2**31 - 1))


def reseeds(splitter: Any) -> bool:
    """Say whether a splitter draws: it has a ``random_state`` and, if asked, shuffles."""
    draws = hasattr(splitter, "split") and hasattr(splitter, "random_state")
    return draws and not isinstance(splitter, type) and getattr(splitter, "shuffle", True)


def is_estimator(value: Any) -> bool:
    """Say whether a value has parameters to set."""
    # A frozen estimator is fitted: its seeds have done their work and may not be set.
    return (
        hasattr(value, "get_params")
        and not isinstance(value, type)
        and type(value).__name__ != "FrozenEstimator"
    )


def step_parameters(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class name and own parameters of each step, in the order data pass them."""
    model = getattr(model, "estimator", model) if not hasattr(model, "steps") else model
    for _, step in getattr(model, "steps", [(None, model)]):
        if is_estimator(step):
            yield type(step).__name__, step.get_params(deep=False)


def check_sampling_rate(name: str, model: Any, rate: float | None) -> None:
    """Follow the sampling rate through a pipeline and compare every ``fs`` with it.

    Raises
    ------
    ValueError
        A step expects another rate than the signals have there.
    """
    for step, params in step_parameters(model):
        if step == "ECGDigitizer":
            rate = params.get("fs")
            continue
        key = "fs_in" if "fs_in" in params else "fs"
        expected = params.get(key)
        if rate and isinstance(expected, (int, float)) and expected != rate:
            raise ValueError(
                f"Model {name!r}: {step}({key}={expected:g}) meets signals of {rate:g} Hz. "
                f"Set {key}={rate:g}, or put a Resampler in front of it."
            )
        rate = params.get("fs_out", rate)
