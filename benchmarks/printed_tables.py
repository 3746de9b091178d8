"""Printed tables recomputed from themselves: ``python -m benchmarks.printed_tables``.

No patients are needed: a p-value of counts follows from the counts, and percentages, sums, means
and SDs of all patients follow from those of the groups.

Goals
-----
For Table 1 of the three papers on CRT, which test of counts gives all their printed p-values; of
all four papers, every entry of Table 1 that cannot be right as printed, and he2021's univariate
odds ratios against its own Table 1.

Non-goals
---------
Why an entry is wrong. Confusion matrices: `crtkit.statistics.audit_scores`.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from benchmarks._results import Output, environment, write_json
from crtkit.statistics import audit_table, format_p, rebuild_p_values
from crtkit.statistics.printed.p_values import COUNT_TESTS
from crtkit.studies import he2021, he2023, lvsd2026, mori2025

TABLES = {
    "mori2025": mori2025.PUBLISHED_TABLE1,
    "he2023": he2023.PUBLISHED_TABLE1,
    "he2021": he2021.PUBLISHED_TABLE1,
    "lvsd2026": lvsd2026.PUBLISHED_TABLE1,
}
ON_CRT = ("mori2025", "he2023", "he2021")
TEST_NAMES = {
    "chi2": "chi-square",
    "chi2_yates": "chi-square, Yates",
    "fisher": "Fisher exact",
    "t": "Student t on 0/1",
}
STATED = "Printed figures only: no patients, none simulated."


def p_values():
    """Printed p-values of counts and those of every test, one row per variable of a paper."""
    parts = {paper: rebuild_p_values(TABLES[paper]) for paper in ON_CRT}
    return pd.concat(parts, names=["paper"]).reset_index()


def tests_in_use(rebuilt):
    """How many of a paper's printed p-values each test gives."""
    rows = {}
    for paper, part in rebuilt.groupby("paper", sort=False):
        fits = part["fits"].str.split(", ")
        counts = {t: int(fits.map(lambda names, t=t: t in names).sum()) for t in COUNT_TESTS}
        rows[paper] = {
            "printed p-values": len(part),
            **{f"{TEST_NAMES[t]}: fits": n for t, n in counts.items()},
            "only a bound": int(part["bound"].sum()),
        }
    return pd.DataFrame(rows).T.rename_axis("paper")


def flags():
    """Entries that cannot be right as printed, and how many were checked."""
    audits = {}
    for paper, table in TABLES.items():
        # Only he2021 prints odds ratios of single variables, which its own table must bear out.
        ratios = {}
        if paper == "he2021":
            ratios = {"odds_ratios": he2021.PUBLISHED_UNIVARIATE, "event": "responder"}
        audits[paper] = audit_table(table, **ratios)
    every = pd.concat(audits, names=["paper"]).reset_index()
    checked = every.groupby("paper", sort=False)["ok"].agg(
        checked="size", flagged=lambda x: (~x).sum()
    )
    return every[~every["ok"]].drop(columns="ok"), checked


def add_arguments(parser):
    """Give a parser the options of this benchmark."""
    parser.add_argument("--out", type=Path, default=Path("results") / "printed_tables")


def run(options):
    """Write the tables.

    Returns
    -------
    str
        Which test each paper used.
    """
    output = Output(options.out, "Printed tables, recomputed", STATED)
    rebuilt = p_values()
    shown = rebuilt.drop(columns=["bound"]).set_index("paper")
    for test in COUNT_TESTS:
        shown[test] = [format_p(p, 4) for p in shown[test]]
    text = output.table("tests", "Which test of counts the papers used", tests_in_use(rebuilt))
    output.table("p_values", "Printed p-values of counts, from the printed counts", shown)
    wrong, checked = flags()
    output.table("checked", "Entries checked", checked)
    columns = ["variable", "check", "where", "printed", "low", "high", "note"]
    output.table(
        "flags",
        "Entries that cannot be right as printed",
        wrong.set_index("paper")[columns],
        "Low and high are what rounding of the other printed figures allows.",
    )
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "printed_tables",
            "environment": environment(),
            "tables": {"p_values": rebuilt, "checked": checked.reset_index(), "flags": wrong},
        },
    )
    return text


def main(arguments=None):
    """Run as a module of its own, into the folder of the committed results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.printed_tables", description="Printed tables, recomputed."
    )
    add_arguments(parser)
    parser.set_defaults(out=Path(__file__).parent / "results" / "printed_tables")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    print(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
