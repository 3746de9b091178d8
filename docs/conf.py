"""Sphinx configuration: numpydoc for the reference, sphinx-gallery for the examples."""

import csv
import inspect
import io
import json
import os
import re
import sys
import warnings
from pathlib import Path

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, os.path.abspath(".."))

from sphinx.directives.patches import CSVTable

import crtkit
from benchmarks import prose
from crtkit.statistics.variable_names import PRINTED_NAMES

project = "crtkit"
author = "The crtkit developers"
copyright = "2026, the crtkit developers"
release = version = crtkit.__version__

# Of a warning in an example its sentence matters, not the folder that the page was built in.
warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"

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
    # What a call for drawing returns is no output, nor is a list of it.
    "ignore_repr_types": r"matplotlib|.*Axes|.*list",
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
    """A table as a page prints it: the files behind it hold every digit and columns' own names.

    ``:only:`` names the columns to show, " | " between them, where all are too many for a page.
    """

    option_spec = {**CSVTable.option_spec, "only": directives.unchanged_required}

    def get_csv_data(self):
        lines, source = super().get_csv_data()
        header, *rows = list(csv.reader(lines))
        if "only" in self.options:
            keep = [header.index(name) for name in self.options["only"].split(" | ")]
            header, *rows = [[row[k] for k in keep] for row in (header, *rows)]
        long = re.compile(r"(?<![\w.])-?\d+\.\d{4,}(?:e[-+]?\d+)?(?![\w.])")
        if header[0] == "variable":
            rows = [[PRINTED_NAMES.get(row[0], row[0]), *row[1:]] for row in rows]
        # Spaces that do not break: a mean and its SD stay on one line.
        shown = [
            [long.sub(_rounded, cell).replace(" ± ", "\u00a0±\u00a0") for cell in row]
            for row in rows
        ]
        columns = [_even(column) for column in zip(*shown)]
        header = [HEADINGS.get(name, name.replace("_", " ")) for name in header]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([header, *zip(*columns)])
        return out.getvalue().splitlines(), source


def _even(column):
    """Cells of a column of plain figures, with as many decimals as the longest."""
    figures = [cell for cell in column if cell not in ("", "–")]
    if not all(re.fullmatch(r"[+-]?\d+(\.\d{1,3})?", cell) for cell in figures):
        return column
    places = max((len(cell.partition(".")[2]) for cell in figures), default=0)
    signed = any(cell.startswith("+") for cell in figures)
    form = f"{'+' if signed else ''}.{places}f"
    return [format(float(cell), form) if cell in figures else cell for cell in column]


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
    table = _folded(
        "Every figure of the picture",
        ".. csv-table:: Every model on the same simulated patients\n"
        "   :file: virtual.csv\n   :header-rows: 1\n",
    )
    if picture.is_file():
        every = pd.read_csv(answers.RESULTS / "one_patient" / "table.csv")
        every.drop(columns="model").to_csv(folder / "virtual.csv", index=False)
    virtual = f"{text}\n{table}" if picture.is_file() else "Not run yet.\n"
    (folder / "virtual.inc").write_text(virtual, encoding="utf-8")


def _folded(summary, text):
    """A long table that opens at a click."""
    opened = f'.. raw:: html\n\n   <details class="folded"><summary>{summary}</summary>\n\n'
    return f"{opened}{text}\n.. raw:: html\n\n   </details>\n"


#: Study -> folder of the run whose tables and figures its page shows.
DRAWN = {
    "mori2025": "physionet2021_conduction_disturbance",
    "he2023": "he2023_simulated",
    "he2021": "he2021_simulated",
    "lvsd2026": "lvsd2026_simulated",
}


#: Columns of a table that has more of them than a page is wide.
ONLY = {
    ("mori2025", "2"): "model | AUC | AUC, 95 % interval | Accuracy (%) | Sensitivity (%) | "
    "Specificity (%) | PPV (%) | NPV (%)",
    ("lvsd2026", "1"): "variable | training and tuning | internal | external 1 | external 2 | p | "
    "test",
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
                text = f".. csv-table:: {title}\n   :file: {file}\n   :header-rows: 1"
                only = ONLY.get((study, table[1]))
                parts.append(f"{text}\n   :only: {only}" if only else text)
        target = Path(__file__).parent / "generated" / f"drawn_{study}.inc"
        target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _write_coverage():
    """Coverage of the intervals, numbers of patients side by side in each cell."""
    root = Path(__file__).parents[1] / "benchmarks" / "results" / "coverage"
    folder = Path(__file__).parent / "generated"
    names = {"roc_auc": "AUC", "ppv": "PPV", "npv": "NPV", "bca": "BCa", "delong": "DeLong"}
    names["wilson"] = "Wilson"
    for name in ("headline", "fixed"):
        table = pd.read_csv(root / f"{name}.csv").drop(columns="cohorts")
        table = table.sort_values("n_patients", kind="stable").replace({"metric": names})
        sizes = " / ".join(str(n) for n in table["n_patients"].unique())
        rows = table.groupby(["setting", "metric"], sort=False).agg(
            # Spaces that do not break: a line for each cell.
            lambda held: "\u00a0/\u00a0".join(f"{100 * x:.1f}" for x in held.dropna())
        )
        rows = rows.drop(columns="n_patients").rename(columns=names).reset_index()
        each = rows["setting"].str.replace(r"\b1 records", "1 record", regex=True)
        rows["setting"] = each.str.replace(r"(records?)$", r"\1 each", regex=True)
        rows.to_csv(folder / f"coverage_{name}.csv", index=False)
        text = (
            f".. csv-table:: How often a 95 % interval holds the truth (%): {sizes} patients\n"
            f"   :file: coverage_{name}.csv\n   :header-rows: 1\n"
        )
        (folder / f"coverage_{name}.inc").write_text(text, encoding="utf-8")


def _write_digitizer():
    """The digitizer's goals, of the Markdown that its benchmark writes."""
    root = Path(__file__).parents[1] / "benchmarks" / "results" / "digitizer"
    folder = Path(__file__).parent / "generated"
    text = (root / "README.md").read_text(encoding="utf-8").split("## Goals")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:1] == "|"]
    rows = [[cell.strip(" |*") for cell in row] for row in rows if not row[0].startswith("---")]
    table = pd.DataFrame(rows[1:], columns=rows[0])
    table["goal"] = table["goal"].str.replace(">= ", "≥\u00a0").str.replace("<= ", "≤\u00a0")
    table.to_csv(folder / "digitizer.csv", index=False)
    missed = table[table["met"] == "no"]
    text = f"Of {table['met'].isin(['yes', 'no']).sum()} goals {(table['met'] == 'yes').sum()} are "
    text += "met. Missed are:\n\n"
    for _, row in missed.iterrows():
        text += f"- {row['set']}: {row['what']}, {row['figure']} (goal {row['goal']})\n"
    every = ".. csv-table:: Goals, and what was reached\n   :file: digitizer.csv\n"
    text += "\n" + _folded("Every goal", f"{every}   :header-rows: 1\n")
    (folder / "digitizer.inc").write_text(text, encoding="utf-8")


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
