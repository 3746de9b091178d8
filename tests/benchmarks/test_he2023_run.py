"""he2023's command and the MIT-BIH pretraining: files, published figures, and the scores' sums."""

import json
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, recall_score
from sklearn.pipeline import make_pipeline

import crtkit as ck
from benchmarks import _mitbih, he2023, mitbih_pretraining
from benchmarks.__main__ import main
from benchmarks._study import Output
from crtkit.neural import read_card, save_weights

TABLES = ("table1", "table2", "transfer")
FILES = {
    *(f"{name}.md" for name in (*TABLES, "report")),
    *(f"{name}.csv" for name in TABLES),
    *("figure2.png", "results.json", "journal.jsonl"),
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


def test_every_published_figure_stands_beside_ours(run):
    table = pd.read_csv(run / "table2.csv", index_col="model")
    assert table.index[:4].tolist() == ["Guideline", "SVM", "Random Forest", "ResNet-18"]
    assert table.loc["ResNet-50, pretrained", "Accuracy published"] == "0.721 ± 0.015"
    assert table.loc["ResNet-50, pretrained", "Accuracy"] == "not run"
    assert table.loc["Guideline", "Specificity published"] == "0.038"
    assert {"Majority class", "LBBB", "Logistic regression, pretrained"} <= set(table.index)
    table1 = pd.read_csv(run / "table1.csv", index_col="variable")
    assert table1.loc["scar", "published: overall"] == "26.3 ± 2.1"
    assert len(table1) == len(he2023.study.PUBLISHED_TABLE1) - 1  # less the row of numbers


def test_the_papers_figures_stay_away_from_another_question(tmp_path):
    cohort = ck.datasets.make_cohort("he2023", random_state=0)
    rule = make_pipeline(ck.Select(["qrs_duration_ms"]), LogisticRegression())
    result = ck.evaluate({"SVM": rule}, cohort, cv=3, seeds=1, reference_rows=False)
    for published in (True, False):
        output = Output(tmp_path, "he2023", "simulated")
        he2023.table2(output, result, 1, [], published)
        he2023.table1(output, cohort, published)
        table = pd.read_csv(tmp_path / "table2.csv", index_col="model")
        assert ("ResNet-50, pretrained" in table.index) == published
        names = [*table, *pd.read_csv(tmp_path / "table1.csv")]
        assert any("published" in name for name in names) == published


def test_the_page_says_what_the_committed_runs_gave():
    root = Path(he2023.__file__).parents[1]
    page = " ".join((root / "docs" / "studies" / "he2023.rst").read_text(encoding="utf-8").split())
    results = root / "benchmarks" / "results"
    simulated = pd.read_csv(results / "he2023_simulated" / "transfer.csv")
    assert set(simulated["transfer"]) == {"not shown"}
    real = pd.read_csv(results / "physionet2021_he2023_conduction" / "transfer.csv")
    real = real.set_index(["model", "metric"])
    net = real.loc[("ResNet-18", "AUC")]
    low, high = net["95 % interval"].replace("+", "").split(" to ")
    assert f"{net['pretrained']:.3f} against {net['general']:.3f} from scratch" in page
    assert f"({float(net['difference']):+.3f}, {low} to {high})" in page
    assert set(real.xs("AUC", level="metric")["transfer"]) == {"not shown"}
    assert (real.xs("Accuracy", level="metric")["transfer"] == "harms").sum() == 2
    table = pd.read_csv(results / "physionet2021_he2023_conduction" / "table2.csv", index_col=0)
    area = table["AUC"].str.split().str[0].astype(float)
    assert f"has an AUC of {area['QRS >= 150 ms']:.3f}" in page
    assert (area.filter(like="ResNet") < area["QRS >= 150 ms"]).all()


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


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.choice(list("NSVF"), 400, p=[0.7, 0.1, 0.15, 0.05])
    called = np.where(rng.random(400) < 0.7, truth, rng.choice(list("NSVF"), 400))
    figures, matrix = mitbih_pretraining.scores(truth, called, list("NSVF"))
    assert figures["kappa"] == pytest.approx(cohen_kappa_score(truth, called))
    assert figures["macro sensitivity"] == pytest.approx(
        recall_score(truth, called, average="macro")
    )
    j = sum(figures[f"{c} {what}"] for c in "SV" for what in ("sensitivity", "PPV"))
    assert figures["j_kappa"] == pytest.approx(figures["kappa"] / 2 + j / 8)
    assert matrix.to_numpy().sum() == 400
    perfect, _ = mitbih_pretraining.scores(truth, truth, list("NSVF"))
    assert perfect["j_kappa"] == pytest.approx(1.0)


def test_beats_are_capped_by_class_and_record_and_stand_for_the_rest():
    y = np.array(list("N" * 50 + "SSS" + "N" * 5))
    records = np.array(["a"] * 53 + ["b"] * 5)
    candidates = np.arange(58)
    rows = _mitbih.choose(y, records, candidates, 10, np.random.default_rng(0))
    assert (y[rows] == "S").sum() == 3
    assert ((y[rows] == "N") & (records[rows] == "a")).sum() == 10
    assert ((y[rows] == "N") & (records[rows] == "b")).sum() == 5
    assert len(np.unique(rows)) == len(rows)
    weight = _mitbih.stand_for(y, records, candidates, rows)
    assert weight.sum() == 58
    assert set(weight[(y[rows] == "N") & (records[rows] == "a")]) == {5.0}
    # Weights of classes follow the beats there are, not those that were chosen.
    assert _mitbih.class_weights(y[rows], 0.7, weight) == _mitbih.class_weights(y, 0.7)


def test_a_difference_picture_is_grey_where_a_beat_is_usual():
    rng = np.random.default_rng(0)
    beat = np.exp(-0.5 * ((np.arange(512) - 256) / 5) ** 2)
    wide = np.exp(-0.5 * ((np.arange(512) - 256) / 20) ** 2)
    gains = [1.0] * 20 + [0.2] * 20  # two subjects, one of low voltage
    cells = [gain * (beat + rng.normal(0, 1e-4, 512))[None] for gain in gains]
    cells[5], cells[25] = wide[None], 0.2 * wide[None]
    records = ["100"] * 20 + ["101"] * 20
    X = pd.DataFrame({"signal": pd.Series(cells, dtype=object), "record": records})
    for name in ("rr_before_s", "rr_after_s", "rr_ratio"):
        X[name] = 1.0
    cohort = ck.Cohort(X, np.array(list("N" * 40)), records, {"sampling_rate": 360})
    options = Namespace(window=96, size=24, seed=0)
    pictures = _mitbih.Beats(cohort, options).differences(np.array([0, 5, 20, 25]))
    middle = pictures[:, :, 9:15].astype(int) - 128
    assert np.abs(middle[[0, 2]]).max() <= 3
    assert np.abs(middle[[1, 3]]).max() > 40
    # Gain has gone, but for what lies below the range: wide beats of both subjects look alike.
    assert np.corrcoef(middle[1].ravel(), middle[3].ravel())[0, 1] > 0.8


def test_halves_never_answer_for_their_own_subjects(monkeypatch):
    rng = np.random.default_rng(0)
    records = np.repeat(["100", "101", "102", "103", "104", "105"], 30)
    y = rng.choice(list("NV"), 180, p=[0.7, 0.3])
    X = pd.DataFrame({"signal": list(np.zeros((180, 1, 8))), "record": records})
    X["rr_before_s"], X["rr_after_s"] = rng.uniform(0.6, 1.2, (2, 180))
    X["rr_ratio"] = 1.0
    beats = _mitbih.Beats(ck.Cohort(X, y, records, {}), Namespace(window=96, size=8, seed=0))
    seen_by_network, heads = [], []

    class Network:
        def __init__(self, rows):
            self.classes_ = np.unique(y[rows])
            seen_by_network.append(set(records[rows]))

        def predict_proba(self, pictures):
            return np.full((len(pictures), len(self.classes_)), 1 / len(self.classes_))

    monkeypatch.setattr(beats, "network", lambda rows, pictures: Network(rows))
    train = np.arange(180)
    folds, said = beats.halves(train, np.zeros((180, 8, 8, 3), dtype=np.uint8))
    assert np.allclose(np.exp(said).sum(axis=1), 1, atol=1e-3)
    for (_, left), seen in zip(folds, seen_by_network):
        assert not seen & set(records[left])
    inner = beats.head

    def head(rows, said, weight):
        heads.append(set(records[rows]))
        return inner(rows, said, weight)

    monkeypatch.setattr(beats, "head", head)
    answers = beats.exchanged(train, folds, said, np.ones(180))
    assert set(answers) <= {"N", "V"}
    for (seen, _), learned in zip(folds, heads):
        assert not learned & set(records[seen])


@pytest.mark.slow
def test_pretraining_runs_and_its_weights_start_he2023(tmp_path):
    if not os.environ.get("CRTKIT_DATA"):
        pytest.skip("CRTKIT_DATA is not set: no MIT-BIH records")
    out = tmp_path / "out"
    arguments = ["--cap", "5", "--width", "8", "--size", "32", "--epochs", "1", "--max-test", "500"]
    assert mitbih_pretraining.main([*arguments, "--out", str(out)]) == 0
    table = pd.read_csv(out / "scores.csv", index_col="model")
    assert (table["n"][:1] == 500).all()
    assert any(name.startswith("RANDOM SPLIT") for name in table.index)
    card = read_card(out / "resnet18.safetensors")
    # 201 and 202 are one man, the only subject on both sides.
    assert not set(card["training_records"]) & set(card["test_records"])
    net = ck.ResNetClassifier(width=8, weights=out / "resnet18.safetensors", max_epochs=1)
    X = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    assert net.fit(X, [0, 1, 0, 1]).weights_loaded_["n_loaded"] > 100
