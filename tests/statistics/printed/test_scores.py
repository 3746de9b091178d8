"""Printed scores against every matrix, against mlscorecheck, and in the four papers."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold

from crtkit.statistics import audit_scores
from crtkit.statistics.printed.scores import SCORES, score_of_counts

EXPECTED = json.loads(
    (Path(__file__).parents[2] / "data" / "score_audit" / "expected.json").read_text()
)
DECIMALS = {5e-3: 2, 5e-4: 3, 5e-5: 4}
PUBLISHED = files("crtkit.studies") / "published"
NAMES = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")


def audit(case, **options):
    texts = {k: f"{v:.{DECIMALS[case['eps']]}f}" for k, v in case["scores"].items()}
    numbers = case["scores"] if case["eps"] == 5e-3 else texts
    return audit_scores(case["n_pos"], case["n_neg"], DECIMALS[case["eps"]], **numbers, **options)


@pytest.mark.filterwarnings("ignore:audit_scores.*more digits")
@pytest.mark.parametrize("case", EXPECTED["single_matrix"], ids=lambda c: c["name"])
def test_one_matrix_agrees_with_reference(case):
    got = audit(case)
    assert got.consistent == (not case["inconsistent"])
    assert len(got.matrices) == case["n_matching"]
    assert got.matrices[["tp", "tn"]].head(50).to_numpy().tolist() == case["matching_tp_tn"]
    if got.consistent:
        assert got.repairs.empty
    changes = set(got.repairs["change"])
    if case["kind"] == "specificity and NPV exchanged":
        assert "specificity and npv exchanged" in changes
    if "moved by 3" in case["kind"]:
        assert 3 in set(got.repairs["steps"].abs())
    if case["kind"] == "n_pos and n_neg exchanged":
        assert f"{case['n_neg']} positive and {case['n_pos']} negative" in changes


@pytest.mark.filterwarnings("ignore:audit_scores.*more digits")
@pytest.mark.parametrize("case", EXPECTED["mean_of_folds"], ids=lambda c: c["name"])
def test_means_of_folds_agree_with_reference(case):
    assert audit(case, folds=case["folds"]).consistent == (not case["inconsistent"])


def test_lvsd2026_rows_fit_once_two_columns_change_places():
    table = pd.read_csv(PUBLISHED / "lvsd2026_table2.csv", dtype=str)
    counts = {"internal": (68, 126), "external 1": (46, 69), "external 2": (80, 142)}
    matrices = {}
    for _, row in table[table["set"] != "average"].iterrows():
        got = audit_scores(*counts[row["set"]], **{k: row[k] for k in NAMES})
        assert got.consistent == (row["model"] != "ECG-FM (SS-FF)")
        if not got.consistent:
            assert got.repairs["change"].tolist() == ["specificity and npv exchanged"]
            found = got.repairs[["tp", "fn", "fp", "tn"]].iloc[0]
            matrices[row["set"]] = found.astype(int).tolist()
    assert matrices == {
        "internal": [47, 21, 23, 103],
        "external 1": [39, 7, 26, 43],
        "external 2": [62, 18, 29, 113],
    }


def test_lvsd2026_prints_45_positives_where_every_row_needs_46():
    table = pd.read_csv(PUBLISHED / "lvsd2026_table2.csv", dtype=str)
    rows = table[(table["set"] == "external 1") & (table["model"] != "ECG-FM (SS-FF)")]
    for _, row in rows.iterrows():
        got = audit_scores(45, 70, **{k: row[k] for k in NAMES})
        assert not got.consistent
        assert "46 positive and 69 negative" in got.repairs["change"].tolist()


def test_he2023_rows_fit_neither_pooled_nor_over_folds():
    table = pd.read_csv(PUBLISHED / "he2023_table2.csv", dtype=str)
    assert len(table) == 9
    for _, row in table.iterrows():
        scores = {k: row[k] for k in ("accuracy", "sensitivity", "specificity")}
        # "0.6" may be 0.60 or a 0.600 whose zeros were dropped: one decimal is the generous reading
        assert not audit_scores(46, 25, **scores).consistent
        assert not audit_scores(46, 25, **scores, folds=5).consistent


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 4), st.data())
def test_true_scores_always_fit_and_the_true_matrix_is_found(p, n, decimals, data):
    tp, tn = data.draw(st.integers(0, p)), data.draw(st.integers(0, n))
    names = data.draw(st.lists(st.sampled_from(sorted(SCORES)), min_size=1, unique=True))
    scores = {}
    for name in names:
        with np.errstate(invalid="ignore"):
            value = score_of_counts(name, *np.float64([tp, p - tp, n - tn, tn]))
        if np.isfinite(value):
            scores[name] = f"{value:.{decimals}f}"
    assume(scores)
    got = audit_scores(p, n, **scores)
    assert got.consistent
    assert [tp, tn] in got.matrices[["tp", "tn"]].to_numpy().tolist()
    assert (got.matrices[["tp", "fn"]].sum(axis=1) == p).all()


def test_formulas_are_those_of_scikit_learn():
    y = np.repeat([1, 0], [30, 50])
    prediction = np.r_[np.repeat([1, 0], [22, 8]), np.repeat([1, 0], [9, 41])]
    cells = (22, 8, 9, 41)
    expected = {
        "f1": f1_score(y, prediction),
        "ppv": precision_score(y, prediction),
        "npv": precision_score(1 - y, 1 - prediction),
        "specificity": recall_score(1 - y, 1 - prediction),
        "balanced_accuracy": balanced_accuracy_score(y, prediction),
    }
    assert {name: score_of_counts(name, *cells) for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_mlscorecheck(seed):
    binary = pytest.importorskip("mlscorecheck.check.binary")
    rng = np.random.default_rng(seed)
    p, n = rng.integers(10, 60, 2)
    tp, tn = rng.integers(0, p + 1), rng.integers(0, n + 1)
    cells = (tp, p - tp, n - tn, tn)
    short = {"accuracy": "acc", "sensitivity": "sens", "specificity": "spec"}
    for nudge in (0, 0.003):
        scores = {k: round(float(score_of_counts(k, *cells)), 3) for k in short}
        scores["accuracy"] = round(min(1, scores["accuracy"] + nudge), 3)
        theirs = binary.check_1_testset_no_kfold(
            testset={"p": int(p), "n": int(n)},
            scores={short[k]: v for k, v in scores.items()},
            eps=5e-4,
        )
        ours = audit_scores(int(p), int(n), **scores)
        assert ours.consistent == (not theirs["inconsistency"])


def test_folds_are_those_of_scikit_learn():
    y = np.repeat([0, 1], [25, 46])
    sizes = [(int(y[t].sum()), int((1 - y[t]).sum())) for _, t in StratifiedKFold(5).split(y, y)]
    rng = np.random.default_rng(0)
    hits = [(rng.integers(0, p + 1), rng.integers(0, n + 1)) for p, n in sizes]
    means = {
        "accuracy": np.mean([(a + b) / (p + n) for (a, b), (p, n) in zip(hits, sizes)]),
        "sensitivity": np.mean([a / p for (a, _), (p, _) in zip(hits, sizes)]),
        "specificity": np.mean([b / n for (_, b), (_, n) in zip(hits, sizes)]),
    }
    texts = {k: f"{v:.3f}" for k, v in means.items()}
    assert audit_scores(46, 25, folds=5, **texts).consistent
    got = audit_scores(46, 25, folds=sizes, **texts)
    assert got.consistent
    assert sum(a for a, _ in hits) in got.matrices["tp"].tolist()


def test_words():
    good = audit_scores(10, 10, accuracy="0.75", sens="0.80")
    assert str(good).startswith("consistent (10 positive, 10 negative): 1 matrices")
    bad = audit_scores(46, 69, acc=0.713, sens=0.848, spec=0.86, ppv=0.6, npv=0.623, f1=0.703)
    assert "Single repairs: specificity and npv exchanged" in str(bad)
    none = audit_scores(46, 25, accuracy=0.721, sensitivity=0.783, specificity=0.792)
    assert "nor after any single repair" in str(none)
    assert list(none.repairs.columns) == list(bad.repairs.columns)


def test_bad_input_is_named():
    for options, message in (
        ({}, "at least one score"),
        ({"roc_auc": 0.7}, "area under a curve"),
        ({"accuracy": 56.5}, "give 56.5 % as 0.565"),
        ({"accuracy": float("nan")}, "fractions between 0 and 1"),
        ({"accuracy": 0.5, "acc": 0.5}, "given twice"),
        ({"ppv": 0.5, "folds": 5}, "over folds cannot be checked"),
        ({"accuracy": 0.5, "decimals": 1.5}, "decimals as an integer"),
        ({"accuracy": 0.5, "folds": 1}, "folds"),
        ({"accuracy": 0.5, "folds": [(3, 4), (3, 5)]}, "add up"),
        ({"accuracy": 0.5, "folds": 11}, "folds"),
    ):
        with pytest.raises(ValueError, match=message):
            audit_scores(10, 10, **options)
    with pytest.raises(ValueError, match="n_positive"):
        audit_scores(0, 10, accuracy=0.5)
    with pytest.raises(ValueError, match="too many to try"):
        audit_scores(20_000, 20_000, accuracy=0.5)
    with pytest.warns(UserWarning, match="more digits"):
        audit_scores(10, 10, accuracy=0.12345)
