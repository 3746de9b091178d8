"""Command line of the digitizer's benchmark; see the package's docstring."""

import argparse
import multiprocessing
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
MOST = {**dict.fromkeys(rendered.RENDERED, 40), "degraded": 240, "QRS": 200}
VERDICTS = Path(__file__).with_name("photographs.csv")


def main(arguments=None):
    """Go on with the sets that are not finished, and write tables of all that are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digitizer")
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), type=Path)
    parser.add_argument("--out", default="results/digitizer", type=Path)
    parser.add_argument(
        "--sets",
        nargs="+",
        default=list(SETS),
        choices=[*SETS, "rendered"],
        metavar="NAME",
        help='names of sets; "rendered" stands for all that need records only',
    )
    parser.add_argument("--n", type=int, default=24, help="most pages per set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, help="stop after so long; call again to go on")
    parser.add_argument("--n-jobs", type=int, default=1, help="processes that read pages")
    how = parser.parse_args(arguments)
    if how.data is None:
        parser.error("pass --data, or set CRTKIT_DATA")
    if "rendered" in how.sets:
        how.sets = list(dict.fromkeys([*rendered.RENDERED, "degraded", "QRS", *how.sets]))
        how.sets.remove("rendered")
    stop = time.monotonic() + 60 * how.minutes if how.minutes else float("inf")
    journals = {name: _journal(how, name) for name in how.sets}
    # Page by page through all sets: what a limit of time cuts off is the end of each.
    todo = [
        (k, name, page, read)
        for name, journal in journals.items()
        for k, (page, read) in enumerate(SETS[name](how.data, name, journal.stamp["n"], how.seed))
        if page not in journal.rows
    ]
    todo = sorted(todo, key=lambda task: task[0])
    left = {name: sum(name == task[1] for task in todo) for name in journals}
    for name, page, rows in _read(todo, how.n_jobs, stop):
        journals[name].add(page, rows)
        left[name] -= 1
    for name, journal in journals.items():
        _table_of_set(how.out, name, journal, finished=not left[name])
        if left[name]:
            print(f"{name} is not finished ({left[name]} pages left): call again", file=sys.stderr)
    write_tables(how.out)
    return 0


def _journal(how, name):
    n = min(how.n, MOST.get(name, how.n))
    return PageJournal(how.out / "journal" / f"{_stem(name)}.jsonl", set=name, n=n, seed=how.seed)


def _stem(name):
    return name.replace(",", "").replace(" ", "_").replace("%", "pct").replace("/", "_per_")


_TODO = []
_LONG = 3600.0  # s: no page takes an hour


def _read(todo, n_jobs, stop):
    """Set, page and rows of each task, as they are finished, until time is up."""
    if n_jobs == 1:
        for _, name, page, read in todo:
            if time.monotonic() > stop:
                return
            yield name, page, read()
        return
    # Tasks are closures over records: processes that were forked have them, none is sent.
    _TODO[:] = todo
    with multiprocessing.get_context("fork").Pool(n_jobs) as pool:
        finished = pool.imap_unordered(_read_one, range(len(todo)))
        for _ in todo:
            try:
                yield finished.next(timeout=min(max(stop - time.monotonic(), 0.0), _LONG))
            except multiprocessing.TimeoutError:
                return  # leaving the pool ends its processes; what is in the journals stays


def _read_one(i):
    _, name, page, read = _TODO[i]
    return name, page, read()


def _table_of_set(out, name, journal, finished):
    # What there is so far is a table too, and says how many pages it has.
    rows = [{"page": page, **row} for page in sorted(journal.rows) for row in journal.rows[page]]
    if rows:
        target = out / f"{_stem(name)}.csv"
        write_text(target, pd.DataFrame(rows).assign(set=name).round(4).to_csv(index=False))
        stamp = {**environment(), **journal.stamp, "pages": len(journal.rows)}
        write_json(target.with_suffix(".json"), {**stamp, "finished": finished})


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
