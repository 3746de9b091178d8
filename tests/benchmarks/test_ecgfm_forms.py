"""Forms of the pretraining: who judges them, and the table of their differences."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import ecgfm_forms as forms
from crtkit.neural.ecgfm import ECGFM, SIZES


def test_patients_that_a_table_tests_are_not_asked(monkeypatch):
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(1, 121), 2)
    table = pd.DataFrame({"patient_id": number, "norm": rng.integers(0, 2, 240), "clbbb": 0})
    table.loc[::3, "clbbb"] = 1
    tested = {
        "signals": rng.normal(size=(240, 12, 500)).astype(np.float32),
        "patients": number.astype(str),
        "table": table,
    }
    seen = []
    monkeypatch.setattr(forms.study, "embed", lambda _, x, *how: seen.append(x) or x.mean(2))
    with torch.random.fork_rng(devices=[]):
        rows = forms.judge(ECGFM(SIZES["tiny"]), tested)
    np.testing.assert_array_equal(seen[0], tested["signals"][number % 2 == 0])
    assert [(row["label"], row["n"], len(row["auc"])) for row in rows] == [
        ("NORM", 60, 1),
        ("complete LBBB", 60, 1),
    ]
    assert {row["n_tested"] for row in rows} == {60}


def _made(form, seed, shift, seconds):
    truth = np.arange(40) % 2
    rng = np.random.default_rng(seed)
    score = truth + rng.normal(0, 1, 40) + shift * truth
    part = {"patients": np.arange(80).astype(str), "even": np.arange(80) < 40}
    row = {"label": "NORM", "n": 100, **forms.study.aucs([score], np.tile(truth, 2), part)}
    assert row["auc"] == pytest.approx([roc_auc_score(truth, score)])
    return {"form": form, "seed": seed, "seconds": seconds, "rows": [row]}


def test_differences_are_paired_and_over_seeds():
    found = [
        _made(form, seed, shift, 100.0 + seed)
        for form, shift in ((forms.UNTRAINED, -0.5), (forms.REFERENCE, 0.0))
        for seed in (0, 1)
    ]
    alone = forms.table(found[2:])  # a run cut short after its first form
    assert alone.index.tolist() == [forms.REFERENCE]
    shown = forms.table(found)
    assert shown.index.tolist() == [forms.REFERENCE, forms.UNTRAINED]
    assert shown["seeds"].tolist() == [2, 2]
    assert shown.loc[forms.REFERENCE, "NORM, 100 labels, difference"] == "–"
    means = [np.mean([one["rows"][0]["auc"] for one in found[k : k + 2]]) for k in (2, 0)]
    assert shown["NORM, 100 labels"].tolist() == [f"{mean:.3f}" for mean in means]
    gain = shown.loc[forms.UNTRAINED, "NORM, 100 labels, difference"]
    assert float(gain.split()[0]) == pytest.approx(means[1] - means[0], abs=6e-4)
