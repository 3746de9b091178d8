"""Write ``api.rst`` from the package's own lists of public names: ``python docs/api.py``."""

import importlib
import inspect
from pathlib import Path

MODULES = {
    "crtkit": "Top level",
    "crtkit.datasets": "Cohorts: simulated, open",
    "crtkit.readers": "ECG files",
    "crtkit.signals": "Signals",
    "crtkit.images": "Images",
    "crtkit.spect": "SPECT",
    "crtkit.neural": "Networks",
    "crtkit.neural.ecgfm": "ECG-FM",
    "crtkit.guidelines": "Clinical rules",
    "crtkit.resampling": "Resampling and thresholds",
    "crtkit.metrics": "Metrics",
    "crtkit.evaluation": "Evaluation",
    "crtkit.statistics": "Statistics",
    "crtkit.explain": "Explanation",
    "crtkit.persistence": "Saving and loading",
    "crtkit.studies.he2023": "Study he2023",
    "crtkit.studies.lvsd2026": "Study lvsd2026",
    "crtkit.studies.mori2025": "Study mori2025",
    "crtkit.studies.he2021": "Study he2021",
    "crtkit.testing": "Checks for estimators",
}


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
    parts = ["Reference\n=========\n"]
    # A name that the top level offers too is described where it is defined.
    elsewhere = {
        id(getattr(module, name))
        for module in map(importlib.import_module, list(MODULES)[1:])
        for name in public_names(module)
    }
    for path, title in MODULES.items():
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
            continue
        listed = "\n".join(f"   {name}" for name in names)
        parts.append(
            f"{title}\n{'-' * len(title)}\n\n.. currentmodule:: {path}\n\n"
            f".. autosummary::\n   :toctree: generated/\n\n{listed}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("api.rst").write_text(api(), encoding="utf-8")
