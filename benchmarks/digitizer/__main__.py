"""Command line of the digitizer's benchmark; see the package's docstring."""

import argparse
import os
import sys
import time
from pathlib import Path

import pandas as pd

from benchmarks._results import environment, markdown_table, write_json, write_text
from benchmarks.digitizer import real, rendered, tables
from benchmarks.digitizer.journal import PageJournal

SETS = {
    **dict.fromkeys(rendered.RENDERED, rendered.rendered_pages),
    "degraded": rendered.degraded_pages,
    "QRS": rendered.qrs_pages,
    "LUDB": real.ludb_pages,
    "LUDB, ECG-Miner": real.ludb_pages,
    "PTB-XL PDF": real.pdf_pages,
    "EDAN": real.edan_pages,
    "photographs": real.photograph_pages,
}
#: Rendered sets need no more records to tell a decibel; everything else is run whole.
MOST = {**dict.fromkeys(rendered.RENDERED, 30), "degraded": 200, "QRS": 80}
VERDICTS = Path(__file__).with_name("photographs.csv")


def main(arguments=None):
    """Go on with the sets that are not finished, and write tables of all that are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digitizer")
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), type=Path)
    parser.add_argument("--out", default="results/digitizer", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="NAME")
    parser.add_argument("--n", type=int, default=24, help="most pages per set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, help="stop after so long; call again to go on")
    how = parser.parse_args(arguments)
    if how.data is None:
        parser.error("pass --data, or set CRTKIT_DATA")
    stop = time.monotonic() + 60 * how.minutes if how.minutes else float("inf")
    for name in how.sets:
        if not run_set(how, name, stop):
            print(f"{name} is not finished: call again", file=sys.stderr)
            break
    write_tables(how.out)
    return 0


def run_set(how, name, stop):
    """Read the pages of a set that are not in its journal; whether all are."""
    n = min(how.n, MOST.get(name, how.n))
    stem = name.replace(",", "").replace(" ", "_").replace("%", "pct").replace("/", "_per_")
    journal = PageJournal(how.out / "journal" / f"{stem}.jsonl", set=name, n=n, seed=how.seed)
    finished = True
    for page, read in SETS[name](how.data, name, n, how.seed):
        if page in journal.rows:
            continue
        if time.monotonic() > stop:
            finished = False
            break
        journal.add(page, read())
    # What there is so far is a table too, and says how many pages it has.
    rows = [{"page": page, **row} for page, rows in journal.rows.items() for row in rows]
    if rows:
        target = how.out / f"{stem}.csv"
        write_text(target, pd.DataFrame(rows).assign(set=name).round(4).to_csv(index=False))
        stamp = {**environment(), **journal.stamp, "finished": finished}
        write_json(target.with_suffix(".json"), stamp)
    return finished


def write_tables(out):
    """``README.md`` with the goals and the figures of every set whose table is there."""
    parts = {path.stem: pd.read_csv(path) for path in sorted(out.glob("*.csv"))}
    by_set = {part["set"].iloc[0]: part for part in parts.values() if "set" in part}
    if "photographs" in by_set:
        verdicts = pd.read_csv(VERDICTS)[["page", "verdict", "what"]]
        by_set["photographs"] = by_set["photographs"].merge(verdicts, on="page", how="left")
    # Tables of earlier slices count too, whatever sets were asked for now.
    known = [by_set[name] for name in SETS if name in by_set]
    if not known:
        return
    table = pd.concat(known, ignore_index=True)
    reached, figures = tables.goals(table), tables.summarise(table)
    text = "# Pages to signals\n\nWritten by `python -m benchmarks.digitizer`.\n\n## Goals\n\n"
    text += markdown_table(reached) + "\n\n## Every set\n\nMedians (5th percentile). Strict: as it"
    text += " comes; aligned: after the best shift of at most 20 ms, offsets removed.\n\n"
    text += markdown_table(figures) + "\n"
    if "photographs" in by_set:
        text += "\n## Photographs, each looked at\n\n" + _photographs(by_set["photographs"])
    write_text(out / "README.md", text)
    print(reached.to_string(index=False))
    print(figures.to_string(index=False))


def _photographs(part):
    columns = ["page", "layout", "leads", "confidence", "reason", "verdict", "what"]
    part = part[[name for name in columns if name in part]]
    return markdown_table(part.fillna("")) + "\n"


if __name__ == "__main__":
    sys.exit(main())
