"""Write ``api.rst`` from the package's own lists of public names: ``python docs/api.py``."""

import importlib
import inspect
from pathlib import Path

#: Part of the page -> rooms of the package -> (title, what somebody finds there).
PARTS = {
    "Data": {
        "crtkit": ("Tables", "One row per record, one column per modality or covariate."),
        "crtkit.datasets": ("Cohorts", "Simulated patients, and loaders of open data."),
        "crtkit.readers": ("ECG files", "Files of every format as millivolt in one lead order."),
    },
    "From files to features": {
        "crtkit.signals": (
            "Signals",
            "Filters, beats, QRS measurements, statistics, spectrograms.",
        ),
        "crtkit.images": ("Pages", "Loading, erasing, printing and digitising ECG pages."),
        "crtkit.spect": ("SPECT", "Polar maps, phase and its statistics; angles are circular."),
    },
    "Models": {
        "crtkit.guidelines": ("Clinical rules", "What every model has to beat."),
        "crtkit.neural": ("Networks", "Torch behind scikit-learn's interface, and SimCLR."),
        "crtkit.neural.ecgfm": ("ECG-FM", "The foundation model, its pretraining and its files."),
        "crtkit.resampling": ("Thresholds", "Resampling, thresholds and recalibration by patient."),
    },
    "Judging": {
        "crtkit.metrics": ("Metrics", "One policy for undefined values."),
        "crtkit.evaluation": ("Evaluation", "Splits, intervals, comparisons, calibration, leaks."),
        "crtkit.statistics": ("Statistics", "Tables and tests of a paper; audits of printed ones."),
        "crtkit.explain": ("Explanation", "Maps over pages and signals, and shares of leads."),
    },
    "Beyond the notebook": {
        "crtkit.persistence": ("Saving and loading", "One file, without pickle; other centres."),
        "crtkit.testing": ("Checks for estimators", "Ours for n-dimensional input, for yours."),
    },
    "Studies": {
        "crtkit.studies.mori2025": ("mori2025", "Pages and signals; SimCLR, ResNet, LightGBM."),
        "crtkit.studies.he2023": ("he2023", "Spectrograms, transfer from MIT-BIH."),
        "crtkit.studies.he2021": ("he2021", "Phase polar maps, autoencoder features."),
        "crtkit.studies.lvsd2026": ("lvsd2026", "Low LVEF in LBBB; ECG-FM and its rivals."),
    },
}
MODULES = {path: words for rooms in PARTS.values() for path, words in rooms.items()}


def public_names(module):
    """Public functions and classes of a module that are documented under it."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
        ]
    return [
        name
        for name in sorted(names)
        if inspect.isclass(getattr(module, name)) or inspect.isroutine(getattr(module, name))
    ]


def api():
    """Text of the reference page."""
    parts = [
        "Reference\n=========\n\nEvery public name, by what it is for. The pages behind them have "
        "shapes, units, errors and an\nexample each.\n"
    ]
    # A name that the top level offers too is described where it is defined.
    elsewhere = {
        id(getattr(module, name))
        for module in map(importlib.import_module, list(MODULES)[1:])
        for name in public_names(module)
    }
    for part, rooms in PARTS.items():
        parts.append(f"{part}\n{'-' * len(part)}\n")
        parts += [text for path in rooms if (text := _room(path, elsewhere))]
    return "\n".join(parts)


def _room(path, elsewhere):
    """Heading, a sentence and the names of one room; nothing where it has none of its own."""
    module = importlib.import_module(path)
    names = public_names(module)
    if path == "crtkit":
        names = [name for name in names if id(getattr(module, name)) not in elsewhere]
    # A room's inner package is described once: under the room where it offers the name too.
    room = path.rpartition(".")[0]
    if room in MODULES and room != "crtkit":
        offered = importlib.import_module(room).__all__
        names = [name for name in names if name not in offered]
    if not names:
        return ""
    title, sentence = MODULES[path]
    listed = "\n".join(f"   {name}" for name in names)
    return (
        f"{title}\n{'~' * len(title)}\n\n{sentence}\n\n.. currentmodule:: {path}\n\n"
        f".. autosummary::\n   :toctree: generated/\n   :nosignatures:\n\n{listed}\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("api.rst").write_text(api(), encoding="utf-8")
