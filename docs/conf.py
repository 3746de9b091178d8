"""Sphinx configuration: numpydoc for the reference, sphinx-gallery for the examples."""

import inspect
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, os.path.abspath(".."))

import crtkit

project = "crtkit"
author = "The crtkit developers"
copyright = "2026, the crtkit developers"
release = version = crtkit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples/README.rst"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_title = "crtkit"

autosummary_generate = True
numpydoc_show_class_members = False
default_role = "py:obj"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/\d\d_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 5,
    "plot_gallery": "True",
    "show_memory": False,
}


def _without_inherited(app, what, name, obj, skip, options):
    # scikit-learn's own methods are documented by scikit-learn.
    module = getattr(inspect.unwrap(obj), "__module__", None) if callable(obj) else None
    return True if module and not module.startswith("crtkit") else skip


def setup(app):
    app.connect("autodoc-skip-member", _without_inherited)


def _write_remarks():
    """The remarks of each study, as the benchmark prints them, for its page."""
    folder = Path(__file__).parent / "generated"
    folder.mkdir(exist_ok=True)
    for name in crtkit.studies.__all__:
        remarks = getattr(crtkit.studies, name).REMARKS
        text = "\n".join(f"- {remark}" for remark in remarks) + "\n"
        (folder / f"remarks_{name}.inc").write_text(text, encoding="utf-8")


def _write_answers():
    """Sentences that a benchmark answers with: pages include them, nobody types their figures."""
    root = Path(__file__).parents[1] / "benchmarks" / "results"
    for path in sorted(root.glob("*/results.json")):
        answer = json.loads(path.read_text(encoding="utf-8")).get("answer")
        if answer:
            text = "\n".join(f"- {line}" for line in answer) + "\n"
            target = Path(__file__).parent / "generated" / f"answer_{path.parent.name}.inc"
            target.write_text(text, encoding="utf-8")


_write_remarks()
_write_answers()
