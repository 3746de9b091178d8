"""What every run writes: tables as Markdown and CSV, figures as PNG, a report, the journal."""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit._io import atomic_path, write_text
from crtkit._plots import SIMULATED, mark_simulated
from crtkit.studies.run.cohorts import stated
from crtkit.studies.run.provenance import environment, write_json

#: In a cell: the figure is undefined, or the paper does not print it.
MISSING = "–"
#: In a cell: the model was not fitted; a note below the table says why.
NOT_RUN = "not run"


def journal_path(options, name="journal.jsonl"):
    """Where finished fits are kept; those of an earlier run are set aside, not lost."""
    path = options.out / name
    if path.exists() and not options.resume:
        number = 1
        while (kept := path.with_suffix(f".jsonl.{number}")).exists():
            number += 1
        # Never overwritten: hours of fits must survive a command typed without --resume.
        path.replace(kept)
        sys.stderr.write(f"starting over; the earlier run's fits are kept in {kept.name}\n")
    return path


def save_figure(figure, path, **options):
    """Write a picture whole or not at all; options as of ``Figure.savefig``."""
    with atomic_path(path) as part:
        figure.savefig(part, **options)


class Output:
    """Folder of a run: tables as Markdown and CSV, figures as PNG, and one report of them all.

    Parameters
    ----------
    folder : Path
    title : str
        Heading of the report.
    stated : str
        What the patients are; printed above every table and in every figure.
    """

    def __init__(self, folder, title, stated):
        self.folder = Path(folder)
        self.stated = stated
        self.parts = [f"# {title}\n\n{stated}\n"]
        self.tables = {}

    def table(self, name, title, table, note="", patients=None, folded=False):
        """Write one table, and add it to the report.

        `patients` says whose figures they are where they are not this run's: published patients and
        others never share a table. A `folded` table opens on a click: what nobody reads at first.
        """
        write_text(self.folder / f"{name}.csv", table.to_csv())
        text = markdown_table(table)
        body = f"{patients or self.stated}\n\n{text}\n" + (f"\n{note}\n" if note else "")
        write_text(self.folder / f"{name}.md", f"**{title}.** {body}")
        whose = f"{patients}\n\n" if patients else ""
        below = f"{whose}{text}\n" + (f"\n{note}\n" if note else "")
        if folded:
            # A blank line after the summary: Markdown inside is only read as such after one.
            below = f"<details><summary>{title}</summary>\n\n{below}\n</details>\n"
        self.parts.append(f"## {title}\n\n{below}")
        self.tables[name] = table
        return text

    def figure(self, name, title, figure, patients=None):
        """Save one figure, with `patients`, or whose they are, below it; simulated ones are marked.

        The mark lies across every axes, where nobody can crop it unseen.
        """
        import matplotlib.pyplot as plt

        stated = patients or self.stated
        if stated.startswith(SIMULATED):
            for ax in figure.axes:
                mark_simulated(ax)
        figure.text(0.5, 0.005, stated, ha="center", va="bottom", fontsize=7, color="0.35")
        save_figure(figure, self.folder / f"{name}.png", dpi=150, bbox_inches="tight")
        plt.close(figure)
        self.parts.append(f"## {title}\n\n![{title}]({name}.png)\n")

    def text(self, title, lines):
        """Add a list to the report."""
        self.parts.append(f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n")

    def report(self):
        """Write the report, and return its path."""
        path = self.folder / "report.md"
        write_text(path, "\n".join(self.parts))
        return path


def finish(output, cohort, options, started, **payload):
    """Write the report and ``results.json``.

    Parameters
    ----------
    output : Output
    cohort : Cohort
    options : Namespace
        ``random_state`` and, where the study has one, ``device``.
    started : float
        ``time.perf_counter()`` when the run began.
    **payload
        What else the JSON holds.

    Returns
    -------
    str
        Where the files are, in a sentence.
    """
    output.text("What is assumed", cohort.info.get("assumed") or ["nothing"])
    report = output.report()
    write_json(
        output.folder / "results.json",
        {
            "patients": stated(cohort),
            "data_sha256": cohort.fingerprint(),
            "random_state": options.random_state,
            "environment": environment(getattr(options, "device", "cpu")),
            "seconds": round(time.perf_counter() - started, 1),
            "tables": output.tables,
            **payload,
        },
    )
    return f"Report, tables, figures and results.json are in {report.parent}"


def refitted(result, name, seed, device):
    """Model of one row to explain, and a sentence where it is not to the bits that of the table.

    Parameters
    ----------
    result : Evaluation
    name : str
    seed : int
    device : str

    Returns
    -------
    model : classifier
    note : str
        Empty where the refit predicts as the table's network did.
    """
    if device == "cpu":
        return result.refit(name, seed), ""
    # Attention and other kernels of a GPU add in any order, so that no check to 1e-5 would pass.
    model = result.refit(name, seed, max_difference=np.inf)
    return model, " Fitted again on a GPU, which does not repeat to the same bits."


def mean_sd(values, factor=1, digits=3, unit="seeds"):
    """Mean ± SD as papers print it; says how many values are defined where not all are.

    Parameters
    ----------
    values : array-like
        One value per seed or fold; NaN where undefined.
    factor : float
        100 for per cent.
    digits : int
    unit : str
        What is counted.

    Returns
    -------
    str

    Examples
    --------
    >>> from crtkit.studies.run.output import mean_sd
    >>> mean_sd([0.5, 0.7]), mean_sd([0.5, float("nan")], factor=100, digits=1)
    ('0.600 ± 0.141', '50.0 ± – (1 of 2 seeds)')
    """
    values = pd.Series(values, dtype=float)
    valid = values.dropna()
    if not len(valid):
        return MISSING
    sd = f"{valid.std(ddof=1) * factor:.{digits}f}" if len(valid) > 1 else MISSING
    text = f"{valid.mean() * factor:.{digits}f} ± {sd}"
    return text if len(valid) == len(values) else f"{text} ({len(valid)} of {len(values)} {unit})"


def interval(low, high, sign=""):
    """An interval in print, a dash where an end is undefined.

    Examples
    --------
    >>> from crtkit.studies.run.output import interval
    >>> interval(0.51, 0.7), interval(-0.02, 0.1, sign="+"), interval(float("nan"), 1)
    ('0.510 to 0.700', '-0.020 to +0.100', '–')
    """
    if np.isnan(low) or np.isnan(high):
        return MISSING
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


def number(value, digits=3):
    """A figure in print, a dash where it is undefined."""
    return MISSING if pd.isna(value) else f"{value:.{digits}f}"


def left_out(result):
    """Sentences on the reference rows that the cohort has no columns for."""
    return [f"Left out, {k}: {v}." for k, v in (result.info.get("left_out") or {}).items()]


def measured_rows(result):
    """Sentence on the reference rows that read the ECG because the table has no such column."""
    rows = result.info.get("measured") or {}
    parts = "; ".join(f"{name} ({', '.join(columns)})" for name, columns in rows.items())
    return [f"Measured from the ECG: {parts}."] if parts else []


def markdown_table(table, digits=3):
    """A DataFrame as a Markdown table, its index first; missing values are an en dash.

    Parameters
    ----------
    table : DataFrame
    digits : int, default=3
        Decimals of floats.

    Returns
    -------
    str
    """
    # Rows without names are numbered; names are text, which pandas 3 gives a type of its own.
    if table.index.name or not pd.api.types.is_numeric_dtype(table.index):
        table = table.reset_index()

    def cell(value):
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return "–"
        text = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    rows = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
