"""Transfer to PTB-XL: draws keep the share of cases, and the page shows the committed answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import ptbxl_transfer as benchmark

ROOT = Path(benchmark.__file__).parents[1]


def test_draws_keep_the_share_of_cases_and_never_test_whom_they_teach():
    y = np.arange(90) % 3 == 0
    splits = benchmark.draws(y.astype(int), 30, 5, 0)
    assert len({tuple(train) for train, _ in splits}) == 5
    for train, test in splits:
        assert len(train) == 30
        assert y[train].sum() == 10
        assert not set(train) & set(test)
        assert len(train) + len(test) == 90


def test_the_answer_is_that_of_the_committed_tables():
    folder = ROOT / "benchmarks" / "results" / "ptbxl_transfer"
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for line, n in zip(results["answer"], ("50", "100")):
        table = pd.DataFrame(results["transfer"][n])
        areas = table[table["metric"] == "AUC"].set_index("model")
        assert f"{areas.loc['ResNet-18', 'pretrained']:.3f} pretrained" in line
        assert f"raises {(areas['transfer'] == 'helps').sum()} and" in line
        assert f"lowers {(areas['transfer'] == 'harms').sum()}." in line
    page = (ROOT / "docs" / "questions.rst").read_text(encoding="utf-8")
    assert ".. include:: generated/answer_ptbxl_transfer.inc" in page
