"""The CRT trial table: volumes, correlations, and what so few patients can show."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks import crt_trial as benchmark
from benchmarks.__main__ import main

ROOT = Path(benchmark.__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "crt_trial"


def test_correlations_are_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (2, 30)).astype(float)
    assert benchmark.spearman(x[None], y[None])[0] == pytest.approx(spearmanr(x, y)[0])


def test_what_can_be_detected_falls_with_the_patients():
    assert benchmark.detectable_rho(19) == pytest.approx(0.60, abs=0.01)
    assert benchmark.detectable_rho(300) < 0.17
    assert benchmark.detectable_auc(8, 11) > benchmark.detectable_auc(80, 110) > 0.6


def test_the_shared_table_has_the_patients_of_its_description(data_dir, tmp_path):
    table = benchmark.load(data_dir / "crt_elsync")
    assert len(table) == 19
    assert table["responder"].sum() == 8
    assert table["fall_pct"].between(-100, 100).all()


def test_the_page_shows_the_committed_result():
    results = json.loads((RESULTS / "results.json").read_text(encoding="utf-8"))
    assert len(results["associations"]) == len(benchmark.BEFORE) + len(benchmark.CHANGED)
    page = (ROOT / "docs" / "questions.rst").read_text(encoding="utf-8")
    assert ".. include:: generated/answer_crt_trial.inc" in page
    assert "results/crt_trial/associations.csv" in page


def test_a_missing_table_is_named(tmp_path, capsys):
    assert main(["crt_trial", "--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "elsync.csv is not in" in capsys.readouterr().err
