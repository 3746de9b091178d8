"""Signals against their pages: who is in it, that both readings are of one record, what is said."""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import _ludb_pages as ludb, real_pages


def options(folder, *more):
    parser = argparse.ArgumentParser()
    real_pages.add_arguments(parser)
    return parser.parse_args(["--out", str(folder), *more])


def test_every_model_reads_its_own_column():
    models = real_pages.models()
    columns = {name: model[0].column for name, model in models.items()}
    signal = [name for name in columns if name.endswith(", signal")]
    assert len(signal) >= 6
    for name in signal:
        twin = columns[name.replace(", signal", ", digitised")]
        theirs = [twin] if isinstance(twin, str) else twin
        ours = [columns[name]] if isinstance(columns[name], str) else columns[name]
        assert [f"digitised_{column}" for column in ours] == theirs
    pages = {c for name, c in columns.items() if name.endswith(", page")}
    assert pages == {"image"}


def test_a_small_run_reads_pages_as_signals(tmp_path, data_dir):
    few = ("--cases", "6", "--controls", "6", "--seeds", "2", "--no-networks", "--ludb", "20")
    said = real_pages.run(options(tmp_path, "--data", str(data_dir), *few))
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["stated"].startswith("Real data, PTB-XL")
    assert all(line in said for line in result["answer"])
    losses = pd.read_csv(tmp_path / "losses.csv", index_col="model")
    assert set(losses.index) >= {"QRS duration", "LightGBM"}
    change = pd.read_csv(tmp_path / "qrs_duration.csv", index_col="diagnosis")
    assert change.loc["all", "records"] >= 10
    # The same record's duration, through paper: off by a few samples, not by another patient's.
    assert abs(change.loc["all", "bias"]) < 10
    assert change.loc["all", "sd"] < 25
    # LUDB: another program's pages, and readers who are neither reading.
    assert result["ludb"]["n"] >= 15
    assert 10 <= result["ludb"]["cases"] < result["ludb"]["n"]
    readers = pd.read_csv(tmp_path / "ludb_readers.csv", index_col=0)
    assert abs(readers.loc["signal, all", "bias"]) < 15
    assert (readers["measured"] >= 5).all()
    assert len(result["answer"]) == 5


def test_one_record_a_patient_and_no_pacing(data_dir):
    cohort = real_pages.load(data_dir, 20, 0)
    assert pd.Series(cohort.groups).is_unique
    assert set(cohort.X["diagnosis"]) == {"LBBB", "IVCD", "normal"}
    assert np.array_equal(cohort.y == 0, cohort.X["diagnosis"] == "normal")
    assert len(cohort) - int(cohort.y.sum()) == 20


@pytest.mark.parametrize("refused", [0, 3])
def test_the_answer_names_what_is_worse(refused):
    table = pd.DataFrame(
        {
            "signal": [0.9, 0.9],
            "digitised": [0.88, 0.8],
            "difference": [-0.02, -0.1],
            "low": [-0.05, -0.15],
            "high": [0.01, -0.05],
        },
        index=["QRS duration", "LightGBM"],
    )
    change = pd.DataFrame({"bias": [0.5], "sd": [6.0]}, index=["all"])

    class Result:
        def summary(self):
            return {"roc_auc": pd.DataFrame({"mean": [0.7]}, index=["LightGBM, signal"])}

    lines = real_pages.answers(table, change, Result(), refused)
    assert "worse from the page: LightGBM" in lines[1]
    assert lines[-1].startswith(f"{refused} pages")


def test_ludb_is_one_record_a_patient_with_its_page(data_dir):
    cohort, images = ludb.load(data_dir / "ludb")
    assert pd.Series(cohort.groups).is_unique
    assert all(Path(image).is_file() for image in images)
    assert [int(Path(image).stem) for image in images] == list(cohort.groups)
    cases = cohort.X["diagnosis"] == "block or paced"
    assert np.array_equal(cases, cohort.y == 1)
    # Wide complexes are what these diagnoses are about, by marks that no program of ours made.
    assert cohort.X["marked_ms"][cases].median() > cohort.X["marked_ms"][~cases].median() + 30
