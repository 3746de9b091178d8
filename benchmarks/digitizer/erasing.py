"""What erasing leaves readable: ``python -m benchmarks.digitizer.erasing``.

Rule
----
Every page is erased by ``IdentityEraser``; everything outside the tracing must then be of one
colour, which no OCR engine could read. On some of the pages (reading takes seconds) an engine must
read nothing on the whole page, tracing included, but names of leads. The engine
(rapidocr-onnxruntime, Apache-2.0, models inside the wheel) is no dependency of crtkit; without it
only the first is checked. Rendered pages know their text and traces to the pixel: the share of
text pixels that went, and of trace pixels that were lost.

Goals
-----
Nothing legible outside the tracing on any page; rendered: at least 99 % of the text pixels gone, at
most 0.5 % of the trace pixels lost.

Non-goals
---------
Text that touches a trace.
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._results import environment, markdown_table, write_json, write_text
from benchmarks.digitizer.compare import FS
from benchmarks.digitizer.journal import PageJournal
from benchmarks.digitizer.rendered import HEADER, records
from crtkit.datasets import load_ecg_images
from crtkit.images import erase_identity, find_grid, load_image, render_page
from crtkit.images.pdf import render_pdf
from crtkit.signals import LEADS_12

_SURE, _LEAST_LETTERS = 0.8, 3
STYLES = (
    {"px_per_mm": 5.0},
    {"px_per_mm": 7.874},
    {"px_per_mm": 7.874, "layout": "6x2+II", "colour": "blue"},
    {"px_per_mm": 7.874, "layout": "12x1", "colour": "green"},
)


def reader():
    """Function that reads the text of a page, or None where no engine is installed."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        return None
    engine = RapidOCR()

    def read(page):
        found, _ = engine(page)
        texts = [(text, float(sure)) for _, text, sure in found or []]
        return [text for text, sure in texts if sure >= _SURE and legible(text)]

    return read


def legible(text):
    """Whether a string that was read says anything: letters or digits beyond names of leads.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool

    Examples
    --------
    >>> from benchmarks.digitizer.erasing import legible
    >>> legible("aVR"), legible("ID:168594"), legible("mm"), legible("一人")
    (False, True, False, False)
    """
    plain = re.sub(r"[^A-Za-z0-9]", "", text)
    for lead in sorted(LEADS_12, key=len, reverse=True):
        plain = re.sub(lead, "", plain, flags=re.IGNORECASE)
    # An engine reads QRS complexes as rows of l, i, m, 1 and the like.
    plain = re.sub(r"[lLiI1mMnNwWvVuUrRjJtT]", "", plain)
    return len(plain) >= _LEAST_LETTERS


def edan(folder, n):
    """EDAN report pages, by name."""
    unpacked = Path(tempfile.gettempdir()) / "crtkit_report_pages"
    pages = load_ecg_images(folder / "ecg_images_mendeley", cache_dir=unpacked).X["image"]
    for name, path in pages.iloc[:n].items():
        yield str(name), lambda path=path: load_image(path, size=None)


def ludb(folder, n):
    """LUDB pages, by name."""
    for path in sorted((folder / "ludb" / "images").glob("*.png"))[:n]:
        yield path.name, lambda path=path: load_image(path, size=None)


def pdfs(folder, n):
    """Pages of PTB-XL PDFs at 200 dpi, by name."""
    for path in sorted((folder / "ptbxl_pdf_pairs").glob("*.pdf"))[:n]:
        yield path.name, lambda path=path: np.asarray(render_pdf(path, dpi=200))


#: Pages, labels as IdentityEraser takes them, and every how many pages the OCR engine reads one.
SETS = {
    "EDAN": (edan, "keep", 24),
    "LUDB": (ludb, "erase", 8),
    "PTB-XL PDF": (pdfs, "keep", 4),
    "PTB-XL PDF, labels too": (pdfs, "erase", 4),
}


def erased_row(page, labels, read):
    """What is left of one page."""
    try:
        out = erase_identity(page, labels=labels)
    except ValueError as error:
        return {"refused": str(error)}
    # Found on the page as it came: erasing must not decide what counts as outside.
    left, top, right, bottom = find_grid(page)
    outside = np.ones(page.shape[:2], dtype=bool)
    outside[top:bottom, left:right] = False
    row = {"left_outside": int((out[outside] != 255).any(axis=1).sum())}
    if read is not None:
        row.update(before=len(read(page)), after="; ".join(read(out)))
    return row


def rendered_rows(folder, n):
    """Text that went and traces that were lost, on rendered pages."""
    rows = []
    for record, signal in records(folder, n, 5):
        for style in STYLES:
            for labels in ("keep", "erase"):
                page, _ = render_page(signal, FS, header=HEADER, **style)
                nothing = np.full((12, 5000), np.nan)
                blank, truth = render_page(nothing, FS, header=HEADER, **style)
                bare, _ = render_page(nothing, FS, labels=labels == "keep", **style)
                erased = erase_identity(page, labels=labels)
                text = (blank < 128).all(axis=2) & (bare != blank).any(axis=2)
                trace = (page < 128).all(axis=2) & (blank >= 128).any(axis=2)
                written = np.zeros_like(text)
                for _, (left, top, right, bottom) in (*truth.text_boxes, *truth.label_boxes):
                    box = (slice(max(top - 2, 0), bottom + 2), slice(max(left - 2, 0), right + 2))
                    written[box] = not trace[box].any()  # else it is part of the trace
                text &= written
                gone = (erased[text] > 128).all(axis=1).mean()
                lost = (erased[trace] > 128).all(axis=1).mean()
                rows.append({"page": record, "labels": labels, "gone": gone, "lost": lost})
    return rows


def main(arguments=None):
    """Go on erasing, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digitizer.erasing")
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), type=Path)
    parser.add_argument("--out", default="results/digitizer", type=Path)
    parser.add_argument("--n", type=int, default=431, help="most pages per set")
    parser.add_argument("--minutes", type=float, default=1e9)
    how = parser.parse_args(arguments)
    stop, read = time.monotonic() + 60 * how.minutes, reader()
    lines = []
    for name, (pages, labels, every) in SETS.items():
        stem = name.replace(",", "").replace(" ", "_")
        path = how.out / "journal" / f"erasing_{stem}.jsonl"
        journal = PageJournal(path, n=how.n, ocr=read is not None)
        for count, (page, load) in enumerate(pages(how.data, how.n)):
            if page in journal.rows:
                continue
            if time.monotonic() > stop:
                print("not finished: call again to go on")
                return
            seen = read if count % every == 0 else None
            journal.add(page, [erased_row(load(), labels, seen)])
        table = pd.DataFrame([{"page": k, **rows[0]} for k, rows in journal.rows.items()])
        lines.append({"set": name, "labels": labels, **_line(table)})
    rendered = pd.DataFrame(rendered_rows(how.data, 6))
    parts = rendered.groupby("labels")[["gone", "lost"]].agg(["min", "mean", "max"])
    parts.columns = [f"{name} {what}" for name, what in parts.columns]
    left, known = pd.DataFrame(lines), parts.round(5).reset_index()
    text = "# What erasing leaves readable\n\nWritten by `python -m benchmarks.digitizer.erasing`."
    text += f"\n\n{markdown_table(left)}\n\nRendered pages: share of text pixels gone, of trace "
    text += f"pixels lost\n\n{markdown_table(known)}\n"
    write_text(how.out / "erasing.md", text)
    write_json(how.out / "erasing.json", {**environment(), "sets": left, "rendered": known})
    print(text)


def _line(table):
    refused = table["refused"].notna() if "refused" in table else pd.Series(False, table.index)
    row = {"pages": len(table), "refused": int(refused.sum())}
    if "left_outside" in table:
        row["pages with pixels left outside"] = int((table["left_outside"] > 0).sum())
    if "after" in table:
        read = table[table["after"].notna()]
        row["read by OCR"] = len(read)
        row["strings before"] = int(read["before"].sum())
        row["pages legible after"] = int((read["after"] != "").sum())
        row["what was read"] = "; ".join(read.loc[read["after"] != "", "after"])[:200]
    return row


if __name__ == "__main__":
    main()
