"""he2023's command: every file it promises, and the published figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from benchmarks.__main__ import main
from benchmarks.prose import page_text
from crtkit.neural import read_card, save_weights
from crtkit.studies import simple
from crtkit.studies.run import he2023
from crtkit.studies.run.output import Output

TABLES = ("table1", "table2", "transfer")
PUBLISHED = ("table1_published", "table2_published")
FILES = {
    *(f"{name}.md" for name in (*TABLES, *PUBLISHED, "report")),
    *(f"{name}.csv" for name in (*TABLES, *PUBLISHED)),
    *("figure2.png", "forest.png", "calibration.png", "results.json", "journal.jsonl"),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    X = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    net = ck.ResNetClassifier(width=8, max_epochs=1, random_state=0).fit(X, list("NSVFNSVF"))
    card = {
        **{"data": "noise", "set_up": "a test", "training_records": ["100"], "seed": 0},
        **{"depth": 18, "width": 8, "size": 16},
        "stft": {"window_length": 512, "hop_length": 32},
        "scores": {"accuracy": 0.5, "macro sensitivity": 0.25},
    }
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    return save_weights(net, path, card=card)


@pytest.fixture(scope="module")
def run(weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("he2023") / "out"
    assert main(["he2023", "--quick", "--weights", str(weights), "--out", str(out)]) == 0
    return out


def test_every_file_is_there_and_says_simulated(run):
    assert {path.name for path in run.iterdir()} == FILES
    for name in (*TABLES, "report"):
        assert "SIMULATED" in (run / f"{name}.md").read_text()


def test_published_patients_have_a_table_of_their_own(run):
    table = pd.read_csv(run / "table2_published.csv", index_col="model")
    assert table.index[:4].tolist() == ["Guideline", "SVM", "Random Forest", "ResNet-18"]
    assert table.loc["ResNet-50, pretrained", "Accuracy"] == "0.721 ± 0.015"
    assert table.loc["Guideline", "Specificity"] == "0.038"
    ours = pd.read_csv(run / "table2.csv", index_col="model")
    assert ours.loc["ResNet-50, pretrained", "Accuracy"] == "not run"
    rows = {"Majority class", "LBBB", "Logistic regression, pretrained", *simple.ROWS}
    assert rows <= set(ours.index)
    printed = pd.read_csv(run / "table1_published.csv", index_col="variable")
    assert printed.loc["Scar", "overall"] == "26.3 ± 2.1"
    assert len(pd.read_csv(run / "table1.csv")) == len(printed) - 1  # less the row of numbers
    for name in PUBLISHED:
        text = (run / f"{name}.md").read_text()
        assert "The paper's patients: 71" in text
        assert "SIMULATED" not in text


def test_the_papers_figures_stay_away_from_another_question(tmp_path):
    cohort = ck.datasets.make_cohort("he2023", random_state=0)
    rule = make_pipeline(ck.Select(["qrs_duration_ms"]), LogisticRegression())
    result = ck.evaluate({"SVM": rule}, cohort, cv=3, seeds=1, reference_rows=False)
    for published in (True, False):
        folder = tmp_path / str(published)
        folder.mkdir()
        output = Output(folder, "he2023", "simulated")
        he2023.table2(output, result, 1, [], published)
        he2023.table1(output, cohort, published)
        table = pd.read_csv(folder / "table2.csv", index_col="model")
        assert ("ResNet-50, pretrained" in table.index) == published
        written = {path.name for path in folder.glob("*_published.csv")}
        assert written == ({"table1_published.csv", "table2_published.csv"} if published else set())


def test_the_page_says_what_the_committed_runs_gave():
    root = Path(__file__).parents[3]
    page = page_text(root / "docs" / "studies" / "he2023.rst")
    results = root / "benchmarks" / "results"
    simulated = pd.read_csv(results / "he2023_simulated" / "transfer.csv")
    assert set(simulated["transfer"]) == {"not shown"}
    real = pd.read_csv(results / "physionet2021_he2023_conduction" / "transfer.csv")
    real = real.set_index(["model", "metric"])
    net = real.loc[("ResNet-18", "AUC")]
    assert f"{net['pretrained']:.3f} against {net['general']:.3f} from scratch" in page
    assert f"({float(net['difference']):+.3f}, {net['95 % interval']})" in page
    helped = (real.xs("AUC", level="metric")["transfer"] == "helps").sum()
    assert f"{helped} of 4 intervals of an AUC lie above zero, none of an accuracy" in page
    assert "helps" not in set(real.xs("Accuracy", level="metric")["transfer"])
    table = pd.read_csv(results / "physionet2021_he2023_conduction" / "table2.csv", index_col=0)
    area = table["AUC"].str.split().str[0].astype(float)
    assert f"has {area['QRS >= 150 ms']:.3f}, above every network" in page
    assert (area.filter(like="ResNet") < area["QRS >= 150 ms"]).all()
    assert f"of the signal has {area['Logistic on 60 statistics']:.3f}" in page


def test_transfer_is_answered_with_an_interval(run):
    table = pd.read_csv(run / "transfer.csv")
    assert set(table["model"]) == {"SVM", "Random Forest", "Logistic regression", "ResNet-18"}
    for row in table.itertuples():
        assert float(row.difference) == pytest.approx(
            float(row.pretrained) - float(row.general), abs=2e-3
        )
    limits = table["95 % interval"].str.extract(r"([+-][\d.]+) to ([+-][\d.]+)").astype(float)
    assert (limits[0] <= limits[1]).all()
    assert "by construction" in (run / "transfer.md").read_text()


def test_the_json_holds_everything_and_no_path(run):
    text = (run / "results.json").read_text()
    results = json.loads(text)
    assert results["folds"] == 5
    assert results["cards"]["18"]["data"] == "noise"
    assert str(run.parent) not in text
    assert len(results["per_fold"]) % 5 == 0


def test_weights_without_a_card_are_refused(tmp_path, weights, capsys):
    from crtkit.neural import read_weights

    bare = tmp_path / "bare.safetensors"
    import safetensors.torch

    safetensors.torch.save_file(read_weights(weights), bare)
    assert read_card(bare) == {}
    assert main(["he2023", "--quick", "--weights", str(bare), "--out", str(tmp_path / "o")]) == 2
    assert "have no card" in capsys.readouterr().err
