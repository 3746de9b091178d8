"""How often intervals hold the truth, and tests reject one: cohorts whose truth is known.

``python -m benchmarks.coverage --n-jobs 8`` writes three tables:
intervals of fixed scores and answers (another model's, on other patients), by
``bootstrap_interval``, Wilson and DeLong; the headline interval of ``Evaluation.summary`` over ten
splits, for fixed scores and for logistic models that every split trains, where the truth is what
such models reach on average; and how often tests reject two models of which neither is better. A
run that was stopped goes on with the same command; its tables so far are written.
"""

import argparse
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import _slices
from benchmarks._coverage_cohorts import (
    REPLICATES,
    SHIFTS,
    fixed_scores,
    headline_of_fixed,
    headline_of_trained,
    holds,
    rejections,
)
from benchmarks._results import environment, markdown_table, write_json, write_text

SLICE = 100


def cells(patients):
    """Every simulated setting: its name and a function of a generator that makes one cohort."""
    jobs = {}
    for n in patients:
        for records in (1, 2.3):
            jobs["fixed", n, f"{records:g} records"] = lambda rng, n=n, r=records: fixed_scores(
                n, r, 500, rng
            )
            label = f"fixed scores, {records:g} records"
            jobs["headline", n, label] = lambda rng, n=n, r=records: headline_of_fixed(n, r, rng)
        for name, held in (("six columns", False), ("six columns", True), ("noise", False)):
            label = f"trained, {name}, share of responders {'held' if held else 'drawn'}"
            jobs["headline", n, label] = lambda rng, n=n, s=SHIFTS[name], h=held: (
                headline_of_trained(n, s, h, rng)
            )
        for kind in ("fixed", "trained", "noise"):
            jobs["tests", n, kind] = lambda rng, n=n, k=kind: rejections(n, k, rng)
    return jobs


def cohorts_of(key, seed, start, stop):
    """What the cohorts ``start`` to ``stop`` of a cell give; each has a generator of its own."""
    job = cells([key[1]])[key]
    # Seeded by name: a cell's cohorts are the same whichever other cells a run has.
    cell = zlib.crc32(repr(key).encode())
    return [job(np.random.default_rng([seed, cell, k])) for k in range(start, stop)]


def run(wanted, seed, work, *, n_jobs=1, minutes=np.inf):
    """Fill ``work`` with slices of cohorts; True where all are there.

    ``wanted`` has the number of cohorts by cell.
    """
    # Every cell is filled in proportion to what it needs, so that a run cut short is even too.
    slices = sorted(
        ((start + SLICE) / n, number, start, key)
        for number, (key, n) in enumerate(wanted.items())
        for start in range(0, n, SLICE)
    )
    pieces = {
        _name(key, start): (key, seed, start, min(start + SLICE, wanted[key]))
        for _, _, start, key in slices
    }
    return _slices.fill(work, cohorts_of, pieces, n_jobs=n_jobs, minutes=minutes)


def _name(key, start):
    return f"{'_'.join(map(str, key))}_{start}".replace(" ", "-")


def tables(wanted, work):
    """Coverage of fixed scores, of the headline, and errors of tests, from the slices there are."""
    rows = {"fixed": [], "headline": [], "tests": []}
    for key, n_cohorts in wanted.items():
        kind, n, label = key
        found = []
        for start in range(0, n_cohorts, SLICE):
            found += _slices.read(work, _name(key, start)) or []
        if not found:
            continue
        if "limits" in found[0]:
            truth = {
                m: float(np.mean([f["reached"][m] for f in found])) for m in found[0]["reached"]
            }
            found = [
                {k: holds(truth[k.split("|")[0]], v) for k, v in f["limits"].items()} for f in found
            ]
        share = {k: v / len(found) for k, v in sum(map(Counter, found), Counter()).items()}
        for what in found[0]:
            metric, _, method = what.rpartition("|")
            rows[kind].append(
                {
                    "n_patients": n,
                    "setting": label,
                    **({"metric": metric} if metric else {}),
                    "method": method,
                    "share": share.get(what, 0.0),
                    "cohorts": len(found),
                }
            )
    return {kind: pd.DataFrame(own) for kind, own in rows.items()}


def _wanted(key, options):
    """How many cohorts a cell gets."""
    if key[0] == "tests":
        return options.tests
    return options.trained if "trained" in key[2] else options.cohorts


def main(arguments=None):
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=2000, help=f"a multiple of {SLICE}")
    parser.add_argument("--trained", type=int, default=2000, help="cohorts of trained models")
    parser.add_argument("--tests", type=int, default=1000, help="cohorts of two models")
    parser.add_argument("--patients", type=int, nargs="+", default=[71, 102, 285])
    parser.add_argument("--seed", type=int, default=0)
    _slices.add_arguments(parser, "slices")
    parser.add_argument("--out", type=Path, default=Path("results") / "coverage")
    options = parser.parse_args(arguments)
    work = options.work or options.out / "slices"
    wanted = {key: _wanted(key, options) for key in cells(options.patients)}
    whole = run(wanted, options.seed, work, n_jobs=options.n_jobs, minutes=options.minutes)
    if not whole:
        print("tables of what is there; the same command goes on")
    options.out.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, table in tables(wanted, work).items():
        written[name] = table.to_dict("records")
        if table.empty:
            continue
        index = [c for c in table if c not in ("method", "share")]
        wide = table.pivot_table(index=index, columns="method", values="share", sort=False)
        wide.round(3).to_csv(options.out / f"{name}.csv")
        shown = wide.round(3).reset_index()
        write_text(
            options.out / f"{name}.md", markdown_table(shown.set_index(shown.columns[0])) + "\n"
        )
        print(shown.to_string(index=False))
    settings = {
        "whole": whole,
        "cohorts": options.cohorts,
        "trained": options.trained,
        "tests": options.tests,
        "seed": options.seed,
        "replicates": REPLICATES,
    }
    write_json(
        options.out / "results.json",
        {"settings": settings, "environment": environment(), "tables": written},
    )


if __name__ == "__main__":
    main()
