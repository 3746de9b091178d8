"""Put result tables into the README, between its marks: ``python -m benchmarks.readme``.

Nobody types a number into a table. A mark names the Markdown table and, where a table is wide, the
columns to show: ``<!-- begin: path/to/table.md | column | column -->`` … ``<!-- end -->``. A
picture is marked by ``<!-- picture: path | what it shows -->``, and is there once its run is.
"""

import re
from pathlib import Path

from benchmarks import answers

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(<!-- begin: ([^|>]+?)((?: \| [^|>]+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
PICTURE = re.compile(r"(<!-- picture: ([^|>]+?) \| ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text, root=ROOT):
    """README text with every marked table as its result file has it now.

    Parameters
    ----------
    text : str
    root : Path
        Folder that the marks' paths are relative to.

    Returns
    -------
    str
    """
    text = MARK.sub(lambda match: match[1] + _shown(root / match[2], match[3]) + match[4], text)

    def picture(match):
        there = (root / match[2]).is_file()
        return match[1] + (f"![{match[3]}]({match[2]})\n" if there else "") + match[4]

    return PICTURE.sub(picture, text)


def _shown(path, columns):
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [[c.strip() for c in line.strip("| ").split(" | ")] for line in lines if line[:1] == "|"]
    stated = next(line for line in lines if line.startswith("**"))
    wanted = [name.strip() for name in columns.split(" | ") if name.strip()]
    if wanted:
        keep = [0, *(rows[0].index(name) for name in wanted)]
        rows = [[row[i] for i in keep] for row in rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{stated}\n\n{table}\n"


if __name__ == "__main__":
    answers.write()
    readme = ROOT / "README.md"
    readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
