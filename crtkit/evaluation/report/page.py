"""The report as one HTML file that needs nothing else, and its JSON beside it."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

from crtkit._io import import_optional, is_path, write_json, write_text
from crtkit.evaluation.plots.curves import CLINICAL_THRESHOLDS
from crtkit.evaluation.report.content import report_dict
from crtkit.evaluation.report.figures import pictures, rendered
from crtkit.evaluation.report.template import TEMPLATE

#: Sections of the page, from the top; an empty one is not printed.
SECTIONS = (
    ("patients", "Patients"),
    ("performance", "Performance"),
    ("calibration", "Calibration"),
    ("use", "Clinical use"),
    ("subgroups", "Subgroups"),
    ("external", "External validation"),
    ("robustness", "Robustness: other input"),
    ("attribution", "What the models look at"),
)
_MIME = {".png": "png", ".svg": "svg+xml", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif"}


def write_html(
    result: Any,
    path: Any,
    *,
    n_bootstrap: int = 1000,
    attributions: dict[str, Any] | None = None,
    answers: dict[str, str] | None = None,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    robustness: dict[str, Any] | None = None,
    names: dict[str, str] | None = None,
) -> None:
    """Write the report of an evaluation and its JSON; see ``Evaluation.to_html``."""
    jinja2 = import_optional("jinja2", extra="report", purpose="to_html")
    path = Path(path)
    content = report_dict(
        result, n_bootstrap=n_bootstrap, answers=answers, robustness=robustness, names=names
    )
    figures = drawn(result, content, thresholds) + given(attributions, content["simulated"])
    # Names of models and columns come from users: nothing of theirs is markup.
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = page.from_string(TEMPLATE).render(
        **content,
        sections=[
            {
                "id": key,
                "heading": heading,
                "figures": [f for f in figures if f["section"] == key],
                "open": _tables(content, key, folded=False),
                "folded": _tables(content, key, folded=True),
            }
            for key, heading in SECTIONS
        ],
        detail=_tables(content, "detail"),
        facts=facts(content["info"]),
        json_name=path.with_suffix(".json").name,
    )
    # The page last: where it stands, its numbers stand beside it.
    write_json(path.with_suffix(".json"), content)
    write_text(path, text)


def _tables(content: dict[str, Any], section: str, folded: bool | None = None) -> list[Any]:
    own = [t for t in content["tables"] if t["section"] == section]
    own = own if folded is None else [t for t in own if t["folded"] == folded]
    return [{**table, "words": _columns_of_words(table)} for table in own]


def _columns_of_words(table: dict[str, Any]) -> list[bool]:
    """Columns that are read from the left: words, where others have figures."""
    columns = zip(*table["shown"]) if table["shown"] else [() for _ in table["head"]]
    return [any(re.match(r"[^\W\d_]", cell[0]) for cell in column) for column in columns]


def drawn(
    result: Any, content: dict[str, Any], thresholds: tuple[float, float] = CLINICAL_THRESHOLDS
) -> list[dict[str, Any]]:
    """Figures as data addresses; none without matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return []
    return [
        {
            "section": picture.section,
            "title": picture.title,
            "alt": picture.alt + (" SIMULATED patients." if content["simulated"] else ""),
            "src": _address(rendered(picture), "svg+xml"),
            "wide": picture.wide,
        }
        for picture in pictures(result, content, thresholds=thresholds)
    ]


def given(attributions: dict[str, Any] | None, simulated: bool) -> list[dict[str, Any]]:
    """The author's own pictures: figures of matplotlib, or files.

    Raises
    ------
    ValueError
        A file that is no picture.
    """
    figures = []
    for title, what in (attributions or {}).items():
        if is_path(what):
            suffix = Path(what).suffix.lower()
            if suffix not in _MIME:
                raise ValueError(
                    f"attributions[{title!r}] must be a figure or a file that ends in "
                    f"{', '.join(_MIME)}; got {str(what)!r}."
                )
            source = _address(Path(what).read_bytes(), _MIME[suffix])
        else:
            buffer = io.BytesIO()
            # A page under a heat map is an image: as SVG it would only be larger.
            what.savefig(buffer, format="png", dpi=200, bbox_inches="tight")
            source = _address(buffer.getvalue(), "png")
        alt = f"{title}." + (" SIMULATED patients." if simulated else "")
        figures.append(
            {"section": "attribution", "title": title, "alt": alt, "src": source, "wide": True}
        )
    return figures


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def facts(info: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as rows, nested ones with dotted names."""
    rows = []
    for name, value in info.items():
        if isinstance(value, dict):
            rows += facts(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{name}", ", ".join(map(str, value))))
        elif value is not None:
            rows.append((f"{prefix}{name}", str(value)))
    return rows
