"""The report as Markdown, and as a Word document that co-authors edit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from crtkit._io import atomic_path, import_optional, write_bytes, write_json, write_text
from crtkit.evaluation.plots.curves import CLINICAL_THRESHOLDS
from crtkit.evaluation.report.content import report_dict
from crtkit.evaluation.report.figures import pictures, rendered
from crtkit.evaluation.report.page import SECTIONS
from crtkit.statistics.table_files import add_word_table, markdown_text

_BANNER = "SIMULATED PATIENTS. No figure here is one of a hospital."


def _cells(table: dict[str, Any]) -> list[list[str]]:
    """Printed cells in one line: the figure, its interval in brackets."""
    return [[f"{a} ({b})" if b else a for a, b in row] for row in table["shown"]]


def _tables(content: dict[str, Any], section: str) -> list[dict[str, Any]]:
    # What is folded on the page is detail that a paper does not print; the JSON has it.
    return [t for t in content["tables"] if t["section"] == section and not t["folded"]]


def _has_matplotlib() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def write_markdown(
    result: Any,
    path: Any,
    *,
    n_bootstrap: int = 1000,
    answers: dict[str, str] | None = None,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    robustness: dict[str, Any] | None = None,
    names: dict[str, str] | None = None,
) -> None:
    """Write the report as Markdown, its figures in a folder beside it."""
    path = Path(path)
    content = report_dict(
        result, n_bootstrap=n_bootstrap, answers=answers, robustness=robustness, names=names
    )
    mark = " (SIMULATED)" if content["simulated"] else ""
    parts = [f"# {content['title']}{mark}", content["note"]]
    if content["simulated"]:
        parts.insert(1, f"**{_BANNER}**")
    parts += [f"> {line}" for line in content["warnings"]]
    drawn = pictures(result, content, thresholds=thresholds) if _has_matplotlib() else []
    folder = path.with_name(f"{path.stem}_figures")
    if drawn:
        folder.mkdir(exist_ok=True)
    for key, heading in SECTIONS:
        body = []
        for table in _tables(content, key):
            note = f"{table['text']} {content['note']}"
            body.append(markdown_text(table["head"], _cells(table), table["title"] + mark, note))
        for picture in (p for p in drawn if p.section == key):
            write_bytes(folder / f"{picture.name}.svg", rendered(picture))
            alt = picture.alt.replace("[", "(").replace("]", ")")
            body.append(f"![{alt}]({folder.name}/{picture.name}.svg)")
            body.append(f"*{picture.title}.*")
        if body:
            parts += [f"## {heading}", *body]
    parts += ["## What was left out, and why", "\n".join(f"- {x}" for x in content["left_out"])]
    parts += ["## Methods", *content["methods"]]
    for name, rows in content["checklists"].items():
        # Who answers is a colour on the page; here the words say it.
        cells = [row[:3] for row in rows]
        parts += [f"## {name}", markdown_text(["Item", "What is asked", "Answer"], cells)]
    write_json(path.with_suffix(".json"), content)
    write_text(path, "\n\n".join(part.strip("\n") for part in parts) + "\n")


def write_word(
    result: Any,
    path: Any,
    *,
    n_bootstrap: int = 1000,
    answers: dict[str, str] | None = None,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    robustness: dict[str, Any] | None = None,
    names: dict[str, str] | None = None,
) -> None:
    """Write the report as a Word document; see ``Evaluation.to_docx``."""
    docx = import_optional("docx", extra="report", purpose="to_docx")
    path = Path(path)
    content = report_dict(
        result, n_bootstrap=n_bootstrap, answers=answers, robustness=robustness, names=names
    )
    # In every caption and on every page: tables are copied one by one.
    mark = " (SIMULATED)" if content["simulated"] else ""
    document = docx.Document()
    _page(document, mark, docx)
    document.core_properties.title = content["title"] + mark
    document.add_heading(content["title"] + mark, 0)
    if content["simulated"]:
        document.add_paragraph().add_run(_BANNER).bold = True
    document.add_paragraph(content["note"])
    for line in content["warnings"]:
        document.add_paragraph(line, style="Intense Quote")
    drawn = pictures(result, content, thresholds=thresholds) if _has_matplotlib() else []
    for key, heading in SECTIONS:
        tables, own = _tables(content, key), [p for p in drawn if p.section == key]
        if not tables and not own:
            continue
        document.add_heading(heading, 1)
        for table in tables:
            add_word_table(
                document, table["head"], _cells(table), title=table["title"] + mark,
                note=f"{table['text']} {content['note']}",
            )  # fmt: skip
        for picture in own:
            _add_picture(document, picture, docx)
    document.add_heading("What was left out, and why", 1)
    for line in content["left_out"]:
        document.add_paragraph(line, style="List Bullet")
    document.add_heading("Methods", 1)
    for paragraph in content["methods"]:
        document.add_paragraph(paragraph)
    for name, rows in content["checklists"].items():
        document.add_heading(name, 1)
        add_word_table(document, ["Item", "What is asked", "Answer"], [r[:3] for r in rows])
    write_json(path.with_suffix(".json"), content)
    with atomic_path(path) as part:
        document.save(part)


def _page(document: Any, mark: str, docx: Any) -> None:
    """A4 with margins for comments; on every page whether patients are simulated."""
    section = document.sections[0]
    section.page_width, section.page_height = docx.shared.Mm(210), docx.shared.Mm(297)
    section.left_margin = section.right_margin = docx.shared.Mm(20)
    if mark:
        section.header.paragraphs[0].text = _BANNER


def _add_picture(document: Any, picture: Any, docx: Any) -> None:
    # Word reads no SVG from python-docx; 300 dots an inch is what journals ask of a bitmap.
    shape = document.add_picture(
        io.BytesIO(rendered(picture, "png")), width=docx.shared.Mm(165 if picture.wide else 110)
    )
    shape._inline.docPr.set("descr", picture.alt)
    document.add_paragraph(f"{picture.title}.", style="Caption")
