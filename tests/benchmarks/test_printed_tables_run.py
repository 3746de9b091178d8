"""The command that recomputes printed tables, and the answers it gives."""

import json

import pandas as pd
import pytest

from benchmarks import printed_tables as benchmark


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("printed") / "out"
    assert benchmark.main(["--out", str(out)]) == 0
    return out


def test_every_file_is_there(run):
    names = ("tests", "p_values", "checked", "flags")
    wanted = {f"{name}.{suffix}" for name in names for suffix in ("csv", "md")}
    assert {path.name for path in run.iterdir()} == wanted | {"report.md", "results.json"}
    results = json.loads((run / "results.json").read_text())
    assert len(results["tables"]["p_values"]) == 24


@pytest.mark.parametrize(
    ("paper", "test", "n"),
    [
        ("mori2025", "chi-square", 6),
        ("he2021", "chi-square, Yates", 7),
        ("he2023", "Student t on 0/1", 11),
    ],
)
def test_one_test_gives_all_printed_p_values_of_a_paper(run, paper, test, n):
    row = pd.read_csv(run / "tests.csv", index_col="paper").loc[paper]
    assert row["printed p-values"] == row[f"{test}: fits"] == n
    others = row.filter(like="fits").drop(f"{test}: fits")
    assert (others < n).all()


def test_the_flags_are_those_that_are_known(run):
    flags = pd.read_csv(run / "flags.csv", index_col="paper")
    tables = flags[flags["check"] != "odds ratio"]
    assert set(zip(tables.index, tables["variable"], tables["printed"])) == {
        ("mori2025", "Upgrade", 16.4),
        ("mori2025", "CRT-D", 80.1),
        ("he2023", "Scar", 2.1),
        ("he2023", "LBBB", 80.2),
        ("he2023", "Diuretic", 86.0),
    }
    ratios = flags[flags["check"] == "odds ratio"]
    assert set(ratios.index) == {"he2021"}
    assert {"QRS duration", "LVEF", "ACEI/ARB", "PSD"} <= set(ratios["variable"])
