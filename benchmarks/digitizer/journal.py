"""Rows of a set as they come, page by page, so that a run of minutes can be cut into slices."""

import hashlib
import json
from pathlib import Path

import crtkit.images


class PageJournal:
    """Finished pages of a set, a line of JSON each, appended to one file.

    Parameters
    ----------
    path : path-like
        A journal of other code, seed or number of pages is begun anew.
    **stamp
        What the rows depend on beside the code.
    """

    def __init__(self, path, **stamp):
        self.path = Path(path)
        self.stamp = json.loads(json.dumps({"code": code_hash(), **stamp}))
        self.rows = {}
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines and _parsed(lines[0]) == self.stamp:
            # A line that an interrupt cut short is no finished page.
            pages = [page for page in map(_parsed, lines[1:]) if page is not None]
            self.rows = {page["page"]: page["rows"] for page in pages}
        text = [self.stamp, *({"page": k, "rows": v} for k, v in self.rows.items())]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in text))

    def add(self, page, rows):
        """Keep the rows of a finished page."""
        plain = json.loads(json.dumps(rows, default=_plain))
        self.rows[page] = plain
        with self.path.open("a") as file:
            file.write(json.dumps({"page": page, "rows": plain}) + "\n")


def _plain(value):
    return value.item() if hasattr(value, "item") else str(value)


def _parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


def code_hash():
    """Digest of the code that reads pages and draws them."""
    digest = hashlib.sha256()
    for path in sorted(Path(crtkit.images.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
