"""What the spectrogram throws away: every form of the same patients, for every classifier."""

import json

import pytest

from benchmarks import spectrogram_losses as losses


@pytest.mark.slow
def test_every_form_is_learned_from_and_a_run_goes_on(tmp_path, monkeypatch):
    network = losses.he2023.NETWORK
    monkeypatch.setattr(losses.he2023, "NETWORK", {**network, "max_epochs": 1})
    arguments = ["--n", "24", "--n-test", "16", "--out", str(tmp_path)]
    assert losses.main(arguments) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    plain = {row["form"] for row in rows if row["classifier"] == "SVM"}
    assert len(plain) == 6
    assert {row["form"] for row in rows if row["classifier"] == "ResNet-18"} < plain
    assert all(0 <= row[name] <= 1 for row in rows for name in ("auc", "auc_learned"))
    assert "SIMULATED" in (tmp_path / "forms.md").read_text()
    monkeypatch.setattr(losses, "form", None)  # the second time nothing is fitted
    assert losses.main(arguments) == 0
