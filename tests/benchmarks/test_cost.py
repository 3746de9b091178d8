"""The table of costs says of each cell whether it was timed."""

import numpy as np
import pytest

from benchmarks import cost
from crtkit.datasets import simulate_ecg
from crtkit.readers import read_ecg


def test_lines_reach_what_was_not_timed_and_say_so(monkeypatch):
    """Work of 2 s and 1 ms a record, by a clock of our own."""
    clock = [0.0]

    def work(n):
        clock[0] += 2 + 1e-3 * n

    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(cost, "stages", lambda folder: {"work": ((1_000, 2_000, 200_000), work)})
    result = cost.run()
    stage = result["stages"]["work"]
    assert stage["rate"] == pytest.approx(1e-3)
    assert stage["start"] == pytest.approx(2)
    assert {n: cell["how"] for n, cell in stage["minutes"].items()} == {
        "1000": "timed",
        "100000": "interpolated",
        "10000000": "from the line",
    }
    shown = cost.table(result).loc["work"]
    assert shown["1,000 records"] == "0.05"
    assert shown["100,000 records"] == "1.7*"
    assert shown["10,000,000 records"] == "167*"
    assert shown["largest timed"] == "200,000"


def test_the_record_that_is_read_is_the_simulated_one(tmp_path):
    heart = simulate_ecg("lbbb", 160, random_state=0)[0]
    cost._write_wfdb(tmp_path / "r0", heart)
    np.testing.assert_allclose(read_ecg(tmp_path / "r0.hea").signal, heart, atol=6e-4)
