"""Sphinx configuration: numpydoc for the reference, sphinx-gallery for the examples."""

import csv
import inspect
import io
import json
import os
import re
import sys
from pathlib import Path

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, os.path.abspath(".."))

from sphinx.directives.patches import CSVTable

import crtkit
from benchmarks import prose

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
html_static_path = ["_static"]
html_css_files = ["crtkit.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_nav_level": 2,
}
# Three hundred names beside one of them help nobody; the page of the reference has them in groups.
html_sidebars = {"index": [], "api": [], "changes": [], "generated/*": []}
html_title = "crtkit"

autosummary_generate = True
numpydoc_show_class_members = False
default_role = "py:obj"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/examples_of",
    "doc_module": ("crtkit",),
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib|.*Axes",
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


#: How the columns of result files are called on a page.
HEADINGS = {"n_patients": "patients", "sd": "SD", "auc": "AUC", "ci_low": "low", "ci_high": "high"}


class ResultTable(CSVTable):
    """A table whose figures have three decimals: the files behind it hold every digit.

    ``:only:`` names the columns to show, " | " between them, where all are too many for a page.
    """

    option_spec = {**CSVTable.option_spec, "only": directives.unchanged_required}

    def get_csv_data(self):
        rows, source = super().get_csv_data()
        if "only" in self.options:
            rows = _columns(rows, self.options["only"].split(" | "))
        header = [HEADINGS.get(name, name.replace("_", " ")) for name in rows[0].split(",")]
        long = re.compile(r"(?<![\w.])-?\d+\.\d{4,}(?:e[-+]?\d+)?(?![\w.])")
        rows = [",".join(header), *(long.sub(_rounded, row) for row in rows[1:])]
        return rows, source


def _columns(rows, names):
    cells = list(csv.DictReader(rows))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    return out.getvalue().splitlines()


def _role(read):
    """A role whose text is a place in the results: a figure stands there, or the build fails."""

    def role(name, rawtext, text, lineno, inliner, options=None, content=()):
        try:
            return [nodes.Text(read(" ".join(text.split())))], []
        except (OSError, ValueError, KeyError) as error:
            message = inliner.reporter.error(f"{name}: {error}", line=lineno)
            return [inliner.problematic(rawtext, rawtext, message)], [message]

    return role


def _rounded(match):
    value = float(match[0])
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.1e}"


def setup(app):
    app.connect("autodoc-skip-member", _without_inherited)
    app.add_directive("csv-table", ResultTable, override=True)
    for name, read in prose.ROLES.items():
        app.add_role(name, _role(read))


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


def _write_front():
    """The picture of the landing page, and the page of answers, from the committed results."""
    from benchmarks import answers

    folder = Path(__file__).parent / "generated"
    (folder / "answers.inc").write_text(answers.as_rst(), encoding="utf-8")
    picture = answers.RESULTS / "one_patient" / "forest.png"
    text = (
        ".. figure:: ../benchmarks/results/one_patient/forest.png\n"
        "   :alt: AUC of every model of four studies and of the clinical rules on the same "
        "simulated patients, by window, beside the best that each window allows.\n\n"
        "   Simulated patients: one heart drives table, ECG, page and SPECT of each "
        "(``python -m benchmarks one_patient``).\n"
    )
    (folder / "front.inc").write_text(text if picture.is_file() else "", encoding="utf-8")
    table = ".. csv-table:: Every model on the same simulated patients\n"
    table += "   :file: virtual.csv\n   :header-rows: 1\n"
    if picture.is_file():
        every = pd.read_csv(answers.RESULTS / "one_patient" / "table.csv")
        every.drop(columns="model").to_csv(folder / "virtual.csv", index=False)
    virtual = f"{text}\n{table}" if picture.is_file() else "Not run yet.\n"
    (folder / "virtual.inc").write_text(virtual, encoding="utf-8")


#: Study -> folder of the run whose tables and figures its page shows.
DRAWN = {
    "mori2025": "physionet2021_conduction_disturbance",
    "he2023": "he2023_simulated",
    "he2021": "he2021_simulated",
    "lvsd2026": "lvsd2026_simulated",
}


def _write_drawn():
    """Tables 1 to 3 and figures of a study's run, in the paper's order, as its report has them."""
    results = Path(__file__).parents[1] / "benchmarks" / "results"
    for study, folder in DRAWN.items():
        report = (results / folder / "report.md").read_text(encoding="utf-8")
        where = f"../../benchmarks/results/{folder}"
        whose = report.split("\n\n")[1].strip()
        parts = [whose]
        for title in re.findall(r"^## (.+)$", report, re.M):
            figure = re.search(rf"!\[{re.escape(title)}\]\((.+?)\)", report)
            table = re.match(r"Table ([123])\. (?!Every)", title)
            if "published" in title:
                continue
            if figure:
                # A width makes it a link to the whole picture.
                picture = f".. figure:: {where}/{figure[1]}\n   :alt: {title}\n   :width: 100%"
                picture += f"\n\n   {title}"
                parts += [picture] if picture not in parts else []
            elif table:
                file = f"{where}/table{table[1]}.csv"
                parts.append(f".. csv-table:: {title}\n   :file: {file}\n   :header-rows: 1")
        target = Path(__file__).parent / "generated" / f"drawn_{study}.inc"
        target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _write_coverage():
    """Coverage of the intervals, numbers of patients side by side in each cell."""
    root = Path(__file__).parents[1] / "benchmarks" / "results" / "coverage"
    folder = Path(__file__).parent / "generated"
    names = {"roc_auc": "AUC", "ppv": "PPV", "npv": "NPV", "bca": "BCa", "delong": "DeLong"}
    for name in ("headline", "fixed"):
        table = pd.read_csv(root / f"{name}.csv").drop(columns="cohorts")
        table = table.sort_values("n_patients", kind="stable").replace({"metric": names})
        sizes = " / ".join(str(n) for n in table["n_patients"].unique())
        rows = table.groupby(["setting", "metric"], sort=False).agg(
            # Spaces that do not break: a line for each cell.
            lambda held: "\u00a0/\u00a0".join(f"{100 * x:.1f}" for x in held.dropna())
        )
        rows = rows.drop(columns="n_patients").rename(columns=names)
        rows.reset_index().to_csv(folder / f"coverage_{name}.csv", index=False)
        text = (
            f".. csv-table:: How often a 95 % interval holds the truth (%): {sizes} patients\n"
            f"   :file: coverage_{name}.csv\n   :header-rows: 1\n"
        )
        (folder / f"coverage_{name}.inc").write_text(text, encoding="utf-8")


def _write_digitizer():
    """The digitizer's goals, of the Markdown that its benchmark writes."""
    root = Path(__file__).parents[1] / "benchmarks" / "results" / "digitizer"
    text = (root / "README.md").read_text(encoding="utf-8").split("## Goals")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:1] == "|"]
    rows = [[cell.strip(" |*") for cell in row] for row in rows if not row[0].startswith("---")]
    table = pd.DataFrame(rows[1:], columns=rows[0])
    table.to_csv(Path(__file__).parent / "generated" / "digitizer.csv", index=False)


def _write_changes():
    """The change log, whose Markdown is headings, lists and code, as reStructuredText."""
    text = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    # Code may go over the end of a line.
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
    out, item = [], False
    for line in text.splitlines()[1:]:
        # A line of Markdown that begins an item may follow the last item's without a blank one.
        if line.startswith("- ") and not item and out and out[-1]:
            out.append("")
        item = line.startswith(("- ", "  "))
        out.append(line)
        if line.startswith("## "):
            out[-1:] = [line[3:], "-" * len(line[3:])]
    target = Path(__file__).parent / "generated" / "changes.inc"
    target.write_text("\n".join(out) + "\n", encoding="utf-8")


_write_remarks()
_write_answers()
_write_front()
_write_drawn()
_write_coverage()
_write_digitizer()
_write_changes()
