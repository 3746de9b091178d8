"""One picture for each answered record: what spoke for the class, drawn by what the model is."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from crtkit._io import atomic_path, import_optional

SHOWN = 12  # features in a bar chart: more are not read


def draw(
    model: Any, rows: Any, names: list[str], folder: Path, *, positive: Any, fs: float | None
) -> list[str]:
    """Write a picture for each row and return their paths.

    Networks of signals get an attribution over the trace, residual networks of pages a Grad-CAM,
    LightGBM's trees and linear models the contributions of their features to the log odds (or to
    the decision function where there are no odds).

    Parameters
    ----------
    model : fitted classifier
    rows : DataFrame or ndarray of n_records rows
        What ``model.predict`` takes.
    names : list of str
        Of the records, for titles and files.
    folder : Path
        Made where it does not exist.
    positive : label
        The class that is explained.
    fs : float or None
        Of the signals, in Hz.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        The model is of none of these kinds.
    """
    import_optional("matplotlib", extra="plots", purpose="Drawing an attribution")
    from matplotlib.figure import Figure

    plotter = _plotter(model, positive, fs)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, name in enumerate(names):
        row = rows.iloc[[i]] if hasattr(rows, "iloc") else rows[[i]]
        figure = Figure(figsize=(11, 7), layout="constrained")
        plotter(figure.add_subplot(), row, Path(name).name)
        path = folder / f"{i:04d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', Path(name).name)[:60]}.png"
        with atomic_path(path) as part:
            figure.savefig(part, dpi=110)
        paths.append(str(path))
    return paths


def _plotter(model: Any, positive: Any, fs: float | None) -> Any:
    """``plotter(ax, row, name)`` for a model."""
    steps, last = _split(model)
    if hasattr(last, "net_"):
        kind = _of_signals if getattr(last, "_kind", "") == "signals" else _of_pages
        return lambda ax, row, name: kind(ax, model, row, name, positive, fs)
    if hasattr(last, "booster_") or np.ndim(getattr(last, "coef_", None)) == 2:
        return lambda ax, row, name: _of_features(ax, steps, last, row, name, positive)
    raise ValueError(
        f"There is no attribution for {type(last).__name__}: pictures are drawn for networks, "
        "LightGBM and linear models."
    )


def _split(model: Any) -> tuple[list[Any], Any]:
    """Transformers before the classifier, and the classifier, below searches and thresholds."""
    steps: list[Any] = []
    while True:
        inner = getattr(model, "best_estimator_", None)
        if inner is None and not hasattr(model, "net_"):
            inner = getattr(model, "estimator_", None)
        if hasattr(model, "steps"):
            steps += [step for _, step in model.steps[:-1]]
            inner = model.steps[-1][1]
        if inner is None:
            return steps, model
        model = inner


def _of_signals(ax, model, row, name, positive, fs) -> None:
    from crtkit.explain import attribute

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        attribution = attribute(model, row, method="deeplift", target=positive)
        if attribution.note:
            # No rule for a layer, or gradients that cancel: what covering 0.2 s changes needs none.
            window = round(0.2 * (fs or 500))
            attribution = attribute(model, row, method="occlusion", target=positive, window=window)
    attribution.plot(0, fs=fs or 500, ax=ax, name=name)


def _of_pages(ax, model, row, name, positive, fs) -> None:
    from crtkit.explain import grad_cam, plot_grad_cam

    steps, last = _split(model)
    page = row
    for step in steps:
        page = step.transform(page)
    # The third stage: the last has 7 x 7 cells, too few to point at one lead.
    heat = grad_cam(last, page, stage="layer3", target=positive)[0]
    image = np.asarray(page[0]).reshape(*last.shape_in_)
    plot_grad_cam(image, heat, layout=None, record=name, target=positive, ax=ax)


def _of_features(ax, steps, last, row, name, positive) -> None:
    for step in steps:
        row = step.transform(row)
    values = np.asarray(row, dtype=float)
    labels = _feature_names(steps, values.shape[1])
    if hasattr(last, "booster_"):
        parts = last.predict(row, pred_contrib=True)[0]  # exact TreeSHAP; the last is the mean
        parts, start = parts[:-1], f"{parts[-1]:+.2f} on average"
    else:
        parts, start = last.coef_[0] * values[0], f"{float(np.ravel(last.intercept_)[0]):+.2f}"
    if positive != last.classes_[1]:
        parts = -parts
    # Largest first by size, whatever the sign: both directions are what a reader asks for.
    order = np.argsort(-np.abs(parts))[:SHOWN][::-1]
    colours = np.where(parts[order] > 0, "#d6412b", "#2f7ebc")
    ax.barh(np.arange(len(order)), parts[order], color=colours)
    ax.set_yticks(np.arange(len(order)), [f"{labels[i]} = {values[0, i]:.4g}" for i in order])
    ax.axvline(0, color="0.3", lw=0.8)
    unit = "log odds" if hasattr(last, "predict_proba") else "decision function"
    ax.set_xlabel(f"Contribution to the {unit} of {positive} (start: {start})")
    ax.set_title(f"{name}: red speaks for the class, blue against it", fontsize=10)


def _feature_names(steps: list[Any], n: int) -> list[str]:
    """Names after the last step that changes them; numbers where nobody names them."""
    names: Any = None
    for step in steps:
        try:
            names = step.get_feature_names_out(names)
        except (AttributeError, ValueError, TypeError):
            names = None
    if names is None and steps and hasattr(steps[-1], "feature_names_in_"):
        names = steps[-1].feature_names_in_
    if names is None and steps and not isinstance(getattr(steps[0], "column", ""), str):
        names = list(steps[0].column)
    return (
        list(map(str, names))
        if names is not None and len(names) == n
        else [f"feature {i}" for i in range(n)]
    )
