"""Transfer within MIT-BIH: draws of labelled subjects, a small run, and the page's figures."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import mitbih_transfer as benchmark
from benchmarks._twins import verdict
from benchmarks.mitbih_pretraining import GOALS, JOINT, SHAPE
from benchmarks.prose import page_text
from crtkit.datasets.mitbih import DS1, DS2
from crtkit.neural import read_card

ROOT = Path(benchmark.__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mitbih_transfer"
ACROSS = "across the training subjects"
PAGE = ROOT / "docs" / "studies" / "he2023.rst"


def test_labelled_subjects_hold_both_classes_and_are_never_tested():
    rng = np.random.default_rng(0)
    groups = np.repeat(list("abcdefgh"), 30)
    share = dict(zip("abcdefgh", (0, 0, 0, 0.1, 0.5, 0.9, 1, 0)))
    y = np.array([rng.random() < share[g] for g in groups])
    draws = benchmark.few_labels(y, groups, 8, rng)
    assert len({tuple(np.unique(groups[train])) for train, _ in draws}) == 8
    for train, test in draws:
        assert len(np.unique(groups[train])) == benchmark.N_LABELLED
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(y)
        assert min(y[train].sum(), (~y[train]).sum()) >= benchmark.FEWEST
        assert set(y[test]) == {True, False}


def test_too_many_draws_are_refused():
    groups = np.repeat(list("abc"), 20)
    with pytest.raises(ValueError, match="lower --splits"):
        benchmark.few_labels(groups == "a", groups, 5, np.random.default_rng(0))


def test_a_verdict_needs_an_interval_on_one_side():
    assert verdict(0.01, 0.2) == "helps"
    assert verdict(-0.2, -0.01) == "harms"
    assert verdict(-0.1, 0.2) == "not shown"


def test_weights_that_saw_the_tested_subjects_are_refused(tmp_path, capsys):
    # The kept weights of the paper's set-up learned from records of DS2.
    weights = ROOT / "benchmarks" / "results" / "mitbih_paper" / "resnet18.safetensors"
    assert set(read_card(weights)["training_records"]) & set(DS2)
    out = tmp_path / "out"
    assert benchmark.main(["--weights", str(weights), "--out", str(out)]) == 2
    assert "of DS2" in capsys.readouterr().err


def test_a_run_is_not_resumed_with_another_pretraining():
    options = benchmark.parser().parse_args(["--cap", "5", "--epochs", "1"])
    names = ("depth", "width", "size", "epochs", "cap", "seed")
    card = {name: getattr(options, name) for name in names}
    card["stft"] = {"window_length": options.window}
    benchmark.refuse_other_settings(card, options)
    for wrong in ({"epochs": 5}, {"cap": 150}, {"seed": 1}, {"stft": {"window_length": 512}}):
        with pytest.raises(ValueError, match="--resume"):
            benchmark.refuse_other_settings({**card, **wrong}, options)


@pytest.mark.slow
def test_a_small_run_is_resumed_to_the_same_figures(tmp_path):
    if not os.environ.get("CRTKIT_DATA"):
        pytest.skip("CRTKIT_DATA is not set: no MIT-BIH records")
    small = ["--cap", "5", "--epochs", "1", "--finetune-epochs", "1", "--beats", "12"]
    small += ["--splits", "2", "--size", "32", "--out", str(tmp_path)]
    assert benchmark.main(small) == 0
    first = json.loads((tmp_path / "results.json").read_text())
    card = read_card(tmp_path / "resnet18.safetensors")
    assert set(card["training_records"]) <= set(DS1)
    assert benchmark.main([*small, "--resume"]) == 0
    again = json.loads((tmp_path / "results.json").read_text())
    assert again["transfer"] == first["transfer"]
    assert again["scores"] == first["scores"]


def test_committed_tables_agree_with_each_other():
    results = json.loads((RESULTS / "results.json").read_text())
    assert not results["environment"]["git_commit"].endswith("-dirty")
    for question in benchmark.QUESTIONS:
        table = pd.DataFrame(results["transfer"][question])
        scores = pd.DataFrame(results["scores"][question]).set_index("model")
        for row in table.itertuples():
            assert row.difference == pytest.approx(row.pretrained - row.general)
            assert row.pretrained == pytest.approx(
                scores.loc[f"{row.model}, pretrained", row.metric]
            )
            assert row.transfer == verdict(row.ci_low, row.ci_high)


def test_the_page_says_what_the_results_say():
    results = json.loads((RESULTS / "results.json").read_text())
    text = page_text(PAGE)
    for question, word in (("S", "supraventricular"), ("V", "ventricular")):
        table = pd.DataFrame(results["transfer"][question]).set_index(["model", "metric"])
        row = table.loc[("ResNet-18", "AUC")]
        said = (
            f"{word} beats: {row.general:.3f} from scratch, {row.pretrained:.3f} pretrained, "
            f"{row.difference:+.3f} ({row.ci_low:+.3f} to {row.ci_high:+.3f})"
        )
        assert said in text, said
        helped = (pd.DataFrame(results["transfer"][question])["transfer"] == "helps").sum()
        assert f"{helped} of 12 comparisons on {word} beats" in text
        assert "harms" not in set(table["transfer"])


def test_the_page_gives_the_committed_scores_on_ds2():
    results = json.loads((RESULTS.parent / "mitbih_aami" / "results.json").read_text())
    text = page_text(PAGE)
    scores = pd.DataFrame(results["scores"]).set_index("model").round(3)
    name, picture = results["judged"], "Picture, between subjects"
    judged = scores.loc[f"{name}, between subjects"]
    for what in ("accuracy", "macro sensitivity"):
        assert f"{what} of {judged[what]:.3f}" in text
    assert "results/mitbih_aami/scores.csv" in text
    # The head that is held against the goals is the one that DS1 preferred.
    margins = {
        head: min(scores.loc[f"{head}, {ACROSS}"][goal] - wanted for goal, wanted in GOALS.items())
        for head in (SHAPE, JOINT)
    }
    assert margins[name] >= max(margins.values()) - 0.0011
    assert f"is S: its sensitivity is {judged['S sensitivity']:.3f}" in text
    split, unseen = scores.iloc[-1], scores.loc[picture]
    assert split.name.startswith("RANDOM SPLIT")
    assert f"{split['accuracy']:.3f} on such a split has {unseen['accuracy']:.3f}" in text
    for name, goal in results["goals"].items():
        answer = "reaches the goal of" if judged[name] >= goal else "does **not** reach"
        assert f"{judged[name]:.3f} {answer} {goal:.2f}" in text, name
