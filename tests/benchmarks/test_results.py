import json
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks._results import environment, markdown_table, write_json
from benchmarks.speed import __main__ as speed
from benchmarks.speed._timing import against_goal, interleaved


def test_plain_values_round_trip(tmp_path):
    path = tmp_path / "deep" / "result.json"
    table = pd.DataFrame({"auc": [0.5, np.nan]}, index=pd.Index(["a", "b"], name="model"))
    payload = {
        "float": 0.1 + 0.2,
        "nan": np.nan,
        "infinite": [np.inf, -np.inf],
        "numpy": np.arange(3),
        "scalar": np.float32(0.5),
        "yes": np.bool_(True),
        "table": table,
        "missing": pd.NA,
        1: None,
    }
    write_json(path, payload)
    assert json.loads(path.read_text()) == {
        "float": 0.1 + 0.2,
        "nan": None,
        "infinite": [None, None],
        "numpy": [0, 1, 2],
        "scalar": 0.5,
        "yes": True,
        "table": [{"model": "a", "auc": 0.5}, {"model": "b", "auc": None}],
        "missing": None,
        "1": None,
    }
    assert os.listdir(path.parent) == ["result.json"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"old": 1})
    with pytest.raises(
        TypeError, match="plain values, got PosixPath|plain values, got WindowsPath"
    ):
        write_json(path, {"data": tmp_path})
    assert json.loads(path.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["result.json"]


def test_environment_says_what_matters_and_nothing_private():
    found = environment()
    assert found["versions"]["numpy"] == np.__version__
    assert found["device"] == "cpu"
    assert found["n_cores"] >= 1
    text = json.dumps(found)
    for private in (platform.node(), str(Path.home()), str(Path.cwd())):
        assert len(private) < 4 or private not in text


def test_markdown_table():
    table = pd.DataFrame(
        {"auc": [0.66666, None], "note": ["a|b", "c"]}, index=pd.Index(["x", "y"], name="model")
    )
    assert markdown_table(table) == (
        "| model | auc | note |\n| --- | --- | --- |\n| x | 0.667 | a\\|b |\n| y | – | c |\n"
    )


@pytest.mark.parametrize("dtype", [object, "string"])
def test_names_of_rows_are_printed_whatever_pandas_calls_text(dtype):
    table = pd.DataFrame({"auc": [0.5]}, index=pd.Index(["x"], dtype=dtype))
    assert markdown_table(table).endswith("| x | 0.500 |\n")
    numbered = table.reset_index(drop=True)
    assert markdown_table(numbered) == "| auc |\n| --- |\n| 0.500 |\n"


def test_rounds_are_interleaved_and_the_first_is_not_counted():
    calls = []
    seconds, ratios, rounds = interleaved(
        {"peer": lambda: calls.append("peer"), "ours": lambda: calls.append("ours")}, repeats=3
    )
    assert calls == ["peer", "ours"] * 4
    assert [len(times) for times in rounds.values()] == [3, 3]
    assert list(ratios) == ["ours"]
    assert set(seconds) == {"peer", "ours"}
    assert against_goal(2.5, 3.0) == {"goal": 3.0, "ratio": 2.5, "met": False}


def test_speed_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    from benchmarks.speed import lead_statistics

    monkeypatch.setattr(lead_statistics, "SHAPE", (4, 12, 500))
    monkeypatch.setattr(lead_statistics, "_ecg", lead_statistics._noise)
    assert speed.main(["lead_statistics", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "lead_statistics.json").read_text())
    assert set(result["goals"]) == {"noise", "ecg"}
    assert result["data"]["noise"]["bit_equal"] is True
    assert result["quick"] is False
    assert "| noise | 5.00 |" in capsys.readouterr().out


def test_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit):
        speed.main(["nothing"])
    assert "no benchmark nothing" in capsys.readouterr().err
