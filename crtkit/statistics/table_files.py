"""A table for a paper in the form a journal takes: Markdown, Word, LaTeX, HTML or CSV."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit._io import atomic_path, import_optional, write_text

__all__ = ["write_table"]

#: What baseline_table prints; its other columns are numbers for programs.
MEANING = (
    *("p_value", "p_adjusted", "statistic", "test", "kind", "note", "smd"),
    *("shapiro_p", "levene_p"),
)
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "–": "--",
}  # fmt: skip


def write_table(table: pd.DataFrame, path: Any, *, title: str = "", note: str = "") -> None:
    """Write a table as a paper prints it; the suffix says in which form.

    Parameters
    ----------
    table : DataFrame
        Of :func:`baseline_table`, or any table of text and numbers. Columns that only a program
        reads (`p_value`, `mean (group)`, ...) are left out; its rows bear printed names with units
        (``baseline_table(names=)``).
    path : path-like
        ``.md``, ``.docx`` (needs python-docx), ``.tex``, ``.html`` or ``.csv``.
    title, note : str
        Above and below the table. A table of :func:`baseline_table` writes a note of its own: how
        figures are printed, the tests, and which columns were left out.

    Raises
    ------
    ValueError
        Another suffix.
    ImportError
        python-docx is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from crtkit.statistics import baseline_table, write_table
    >>> patients = pd.DataFrame({"sex": list("MFMFMMFF"), "age": range(60, 68)})
    >>> table = baseline_table(patients, [0, 0, 0, 0, 1, 1, 1, 1], smd=True)
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_table(table, folder / "table1.md", title="Table 1. Baseline characteristics")
    >>> print((folder / "table1.md").read_text().splitlines()[2])
    | Characteristic | overall (n = 8) | 0 (n = 4) | 1 (n = 4) | p | SMD | missing |
    """
    path = Path(path)
    writers = {
        ".md": markdown_text, ".tex": latex_text, ".html": html_text, ".csv": None, ".docx": None
    }  # fmt: skip
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise ValueError(f"write_table writes {', '.join(writers)}, not {path.name!r}.")
    columns, rows = printed(table)
    note = " ".join(part for part in (note, table_note(table)) if part)
    if suffix == ".docx":
        docx = import_optional("docx", extra="report", purpose="write_table to Word")
        document = docx.Document()
        add_word_table(document, columns, rows, title=title, note=note)
        with atomic_path(path) as part:
            document.save(part)
    elif suffix == ".csv":
        write_text(path, pd.DataFrame(rows, columns=columns).to_csv(index=False))
    else:
        write_text(path, writers[suffix](columns, rows, title, note))  # type: ignore[misc]


def printed(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and cells as they are printed, the index first."""
    counts = table.attrs.get("counts", {})
    shown = [name for name in table.columns if name not in MEANING and not _of_group(name)]
    first = str(table.index.name or "")
    # A table of :func:`baseline_table` has named rows: "variable" is a word of the program.
    columns = ["Characteristic" if "names" in table.attrs and first == "variable" else first]
    columns += [f"{name} (n = {counts[name]})" if name in counts else str(name) for name in shown]
    names = table.attrs.get("names", {})
    rows = [
        [str(names.get(index, index)), *map(_cell, row)]
        for index, row in zip(table.index, table[shown].itertuples(index=False))
    ]
    return columns, rows


def table_note(table: pd.DataFrame) -> str:
    """How the figures of a baseline table are printed, its tests, and what was left out."""
    if "kind" not in table:
        return str(table.attrs.get("printed_note", ""))
    kinds = set(table["kind"])
    forms = [
        ("mean_sd", "mean ± SD"), ("median_iqr", "median [first to third quartile]"),
        ("binary", "n (%)"), ("categorical", "n (%)"),
    ]  # fmt: skip
    used = list(dict.fromkeys(form for kind, form in forms if kind in kinds))
    tests = list(dict.fromkeys(t for t in table["test"] if t))
    parts = [f"Figures are {', '.join(used)}." if used else ""]
    parts += [f"Tests: {', '.join(tests)}." if tests else ""]
    if "SMD" in table:
        parts.append("SMD: standardised mean difference, the largest between two groups.")
    left_out = table.attrs.get("left_out") or []
    if left_out:
        parts.append(
            f"Columns left out because they hold no categories: {', '.join(map(str, left_out))}."
        )
    return " ".join(part for part in parts if part)


def _of_group(name: Any) -> bool:
    """Whether a column is a number of one group, such as ``"mean (response)"``."""
    known = ("n", "missing", "mean", "sd", "median", "q1", "q3", "count", "percent")
    return str(name).partition(" (")[0] in known and str(name).endswith(")")


def _cell(value: Any) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, (float, np.floating)) else str(value)


def markdown_text(
    columns: list[str], rows: list[list[str]], title: str = "", note: str = ""
) -> str:
    """A Markdown table with its title above and its note below."""

    def line(cells: Any) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    text = "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])
    return (
        "\n\n".join(part for part in (f"**{title}**" if title else "", text, note) if part) + "\n"
    )


def latex_text(columns: list[str], rows: list[list[str]], title: str = "", note: str = "") -> str:
    """A LaTeX table for booktabs."""

    def line(cells: Any) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"

    caption = [rf"\caption{{{line([title])[:-3]}}}"] if title else []
    below = [r"\par\smallskip\footnotesize " + line([note])[:-3]] if note else []
    return "\n".join(
        [
            r"\begin{table}", r"\centering", *caption,
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", r"\toprule", line(columns),
            r"\midrule", *map(line, rows), r"\bottomrule", r"\end{tabular}", *below, r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


def html_text(columns: list[str], rows: list[list[str]], title: str = "", note: str = "") -> str:
    """An HTML table whose headings are marked as such, for screen readers."""
    head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(c)}</td>" for c in rest)
        + "</tr>\n"
        for first, *rest in rows
    )
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    below = f"<p>{html.escape(note)}</p>\n" if note else ""
    top = f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n"
    return f"{top}<tbody>\n{body}</tbody></table>\n{below}"


def add_word_table(
    document: Any, columns: list[str], rows: list[list[str]], *, title: str = "", note: str = ""
) -> None:
    """Append a table to a Word document: title, three rules, note; co-authors edit it there."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    if title:
        document.add_paragraph(style="Caption").add_run(title)
    grid = document.add_table(rows=1 + len(rows), cols=len(columns))
    # A template of the house may lack Word's own styles.
    grid.style = "Light List" if "Light List" in document.styles else "Table Grid"
    for number, cells in enumerate([columns, *rows]):
        for position, text in enumerate(cells):
            paragraph = grid.rows[number].cells[position].paragraphs[0]
            run = paragraph.add_run(text)
            run.font.size = Pt(8)
            run.bold = number == 0
            if position:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    _repeat_heading(grid.rows[0])
    if note:
        document.add_paragraph().add_run(note).font.size = Pt(8)


def _repeat_heading(row: Any) -> None:
    """Head each page of a long table with its columns."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)
