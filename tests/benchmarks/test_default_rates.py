"""Default learning rates: the table that says on what they were chosen, and the defaults."""

import json

import pandas as pd

from benchmarks import default_rates


def test_every_network_gets_every_rate_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(default_rates, "NETWORKS", ("FCN",))
    monkeypatch.setattr(default_rates, "RATES", (1e-4, 1e-3))
    arguments = ["--n", "16", "--n-test", "12", "--draws", "1", "--out", str(tmp_path)]
    assert default_rates.main(arguments) == 0
    table = pd.read_csv(tmp_path / "rates.csv")
    assert list(table.columns) == ["network", "lr 0.0001", "lr 0.001", "best"]
    assert "SIMULATED" in (tmp_path / "rates.md").read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["best"]["FCN"] in (1e-4, 1e-3)
    # The second time nothing is fitted.
    monkeypatch.setattr(default_rates.learning, "fit_cell", None)
    assert default_rates.main(arguments) == 0
