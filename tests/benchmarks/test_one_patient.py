"""All studies on the same patients: what runs, and what its table and sentence say."""

import argparse
import json

import pandas as pd
import pytest

from benchmarks import one_patient
from crtkit.datasets import make_cohort

CHEAP = ["Logistic on measurements", "he2021: PSD + LVEF + gender", "Logistic on everything"]


def options(folder, *more):
    parser = argparse.ArgumentParser()
    one_patient.add_arguments(parser)
    return parser.parse_args(["--out", str(folder), *more])


def test_every_study_is_there_and_has_its_window():
    names = list(one_patient.models())
    studies = {name.split(":")[0] for name in names if ":" in name}
    assert studies == {"mori2025", "he2023", "he2021", "lvsd2026"}
    windows = {name: one_patient.window(name) for name in names}
    assert set(windows.values()) == {"table", "signal", "page", "map", "all"}
    # A logistic model of LVEF, sex and QRS duration never sees a map, nor a rule an ECG.
    assert windows["he2021: LVEF + gender + QRS duration"] == "table"
    assert windows["he2023: Guideline"] == "table"
    assert any(", pretrained" in name for name in names)
    assert sum("own pretraining" in name for name in names) == 4
    assert windows["mori2025: LightGBM"] == "signal"
    assert windows["mori2025: SSL + ResNet-18"] == "page"


def test_names_are_for_readers():
    shown = [one_patient.shown(name) for name in one_patient.models()]
    assert len(set(shown)) == len(shown)
    assert not [name for name in shown if "lvsd2026" in name or "AE " in name or "own pre" in name]


def test_ceilings_grow_with_what_is_seen():
    cohort = make_cohort("crt", n_patients=4, random_state=0)
    best = one_patient.ceilings(cohort.info["best_auc"])
    assert set(best) == set(one_patient.HEADINGS)
    alone, three = cohort.info["best_auc"]["map"], best["map"]
    assert alone["auc"] - alone["se"] < three["auc"] < best["all"]["auc"] + best["all"]["se"]


def test_a_small_run_writes_the_table_and_the_picture(tmp_path):
    few = ("--patients", "30", "--seeds", "2", "--models", *CHEAP)
    said = one_patient.run(options(tmp_path, *few))
    table = pd.read_csv(tmp_path / "table.csv", index_col=0)
    assert set(CHEAP) <= set(table.index)
    assert {"LBBB", "QRS >= 150 ms", "PSD >= 43 deg"} <= set(table.index)
    assert "Majority class" not in table.index  # it ranks nobody
    assert (table["low"] <= table["AUC"]).all()
    assert (table["AUC"] <= table["high"]).all()
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["patients"].startswith("SIMULATED")
    assert all(line in said for line in result["answer"])
    assert f"{result['best_auc']['all']['auc']:.3f}" in result["answer"][0]
    assert (tmp_path / "forest.png").stat().st_size > 10_000
    everything = table.loc["Logistic on everything", "ceiling"]
    assert everything == pytest.approx(result["best_auc"]["all"]["auc"], abs=1e-3)


def test_unknown_models_are_named(tmp_path):
    with pytest.raises(ValueError, match="--models expects some of"):
        one_patient.run(options(tmp_path, "--patients", "8", "--models", "CRT-Net"))
