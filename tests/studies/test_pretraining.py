"""Pretraining on MIT-BIH: scores, and weights that start a network of he2023."""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

import crtkit as ck
from benchmarks import mitbih_pretraining
from crtkit.neural import read_card
from crtkit.studies import he2023, pretraining


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.choice(list("NSVF"), 400, p=[0.7, 0.1, 0.15, 0.05])
    called = np.where(rng.random(400) < 0.7, truth, rng.choice(list("NSVF"), 400))
    figures, matrix = pretraining.scores(truth, called, list("NSVF"))
    assert figures["kappa"] == pytest.approx(cohen_kappa_score(truth, called))
    assert figures["macro sensitivity"] == pytest.approx(
        recall_score(truth, called, average="macro")
    )
    j = sum(figures[f"{c} {what}"] for c in "SV" for what in ("sensitivity", "PPV"))
    assert figures["j_kappa"] == pytest.approx(figures["kappa"] / 2 + j / 8)
    assert matrix.to_numpy().sum() == 400
    perfect, _ = pretraining.scores(truth, truth, list("NSVF"))
    assert perfect["j_kappa"] == pytest.approx(1.0)


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


@pytest.mark.slow
def test_the_packages_function_trains_the_network_of_the_benchmark(tmp_path):
    if not os.environ.get("CRTKIT_DATA"):
        pytest.skip("CRTKIT_DATA is not set: no MIT-BIH records")
    small = {"width": 8, "size": 16, "max_epochs": 1, "beats_per_class": 3, "max_test": 200}
    card = he2023.pretrain(tmp_path / "a.safetensors", setup="aami", **small)
    assert card == read_card(tmp_path / "a.safetensors")
    assert card["stft"]["window_length"] == 96
    assert set(card["test_records"]) <= set(ck.datasets.mitbih.DS2)
    arguments = [
        "--setup",
        "aami",
        "--width",
        "8",
        "--size",
        "16",
        "--epochs",
        "1",
        "--cap",
        "3",
        "--max-test",
        "200",
        "--out",
        str(tmp_path),
    ]
    assert mitbih_pretraining.main(arguments) == 0
    theirs = (tmp_path / "resnet18.safetensors").read_bytes()
    assert theirs == (tmp_path / "a.safetensors").read_bytes()
