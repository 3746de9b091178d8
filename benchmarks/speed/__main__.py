"""``python -m benchmarks.speed [NAME ...] [--out FOLDER]``: ratios against named peers.

Every module beside this one that has ``run(quick) -> dict`` is a benchmark. The dict has ``goals``
(name -> ``goal, ratio, met``, see ``_timing.against_goal``) and anything else worth keeping. A
goal that is missed is reported, and is not an error: ratios are measured, never asserted.
"""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

import pandas as pd

import benchmarks.speed
from benchmarks._results import environment, markdown_table, write_json


def names():
    """Benchmarks that are here."""
    found = [module.name for module in pkgutil.iter_modules(benchmarks.speed.__path__)]
    return [name for name in found if not name.startswith("_")]


def main(arguments=None):
    """Run the named benchmarks, print their goals, and write one JSON file each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description="Ratios against named peers in one run."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(names())}")
    parser.add_argument("--out", type=Path, help="folder for NAME.json; without it only printed")
    parser.add_argument("--quick", action="store_true", help="smaller data, fewer rounds")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(names())
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    for name in options.names or names():
        result = importlib.import_module(f"benchmarks.speed.{name}").run(quick=options.quick)
        goals = pd.DataFrame(result["goals"]).T.rename_axis(name)
        goals["met"] = goals["met"].map({True: "met", False: "missed"})
        print(markdown_table(goals, digits=2))
        if options.out:
            head = {"benchmark": name, "quick": options.quick, "environment": environment()}
            write_json(options.out / f"{name}.json", {**head, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
