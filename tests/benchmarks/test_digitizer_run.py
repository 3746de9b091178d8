"""The digitizer's benchmark: a cut journal goes on, figures are what they say."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.digitizer import __main__ as run, journal, tables
from benchmarks.digitizer.compare import compare, nominal_part, page_db
from benchmarks.digitizer.erasing import legible


def test_a_journal_goes_on_where_it_was_cut(tmp_path):
    path = tmp_path / "set.jsonl"
    first = journal.PageJournal(path, n=3)
    first.add("a", [{"strict": np.float64(2.5), "lead": "I"}])
    first.add("b", [{"strict": 3.0, "lead": "I"}])
    with path.open("a") as file:
        file.write('{"page": "c", "ro')
    again = journal.PageJournal(path, n=3)
    assert list(again.rows) == ["a", "b"]
    assert again.rows["a"] == [{"strict": 2.5, "lead": "I"}]
    again.add("c", [])
    assert list(journal.PageJournal(path, n=3).rows) == ["a", "b", "c"]
    # Other code, another seed or number of pages: nothing of it is worth keeping.
    assert not journal.PageJournal(path, n=4).rows
    assert json.loads(path.read_text().splitlines()[0])["n"] == 4


def test_a_set_is_run_in_slices(tmp_path, monkeypatch, capsys):
    calls = []

    def pages(folder, name, n, seed):
        for k in range(n):
            yield f"page {k}", lambda k=k: calls.append(k) or [{"lead": "I", "strict": float(k)}]

    monkeypatch.setattr(run, "SETS", {"made": pages})
    clock = iter([0.0, *np.arange(1.0, 100)])
    monkeypatch.setattr(run.time, "monotonic", lambda: next(clock))
    options = ["--data", str(tmp_path), "--out", str(tmp_path), "--n", "5", "--sets", "made"]
    run.main([*options, "--minutes", "0.05"])
    assert 0 < len(calls) < 5
    assert "not finished" in capsys.readouterr().err
    run.main(options)
    assert sorted(calls) == list(range(5))
    table = pd.read_csv(tmp_path / "made.csv")
    assert table["strict"].tolist() == [0, 1, 2, 3, 4]
    assert "| made" in (tmp_path / "README.md").read_text()


def test_processes_read_what_one_reads(tmp_path, monkeypatch):
    def pages(folder, name, n, seed):
        for k in range(n):
            yield f"page {k}", lambda k=k: [{"lead": "I", "strict": float(k)}]

    monkeypatch.setattr(run, "SETS", {"made": pages, "other": pages})
    for n_jobs in ("1", "2"):
        run.main(
            ["--data", str(tmp_path), "--out", str(tmp_path / n_jobs), "--n", "5"]
            + ["--sets", "made", "other", "--n-jobs", n_jobs]
        )
    for name in ("made.csv", "other.csv"):
        assert (tmp_path / "1" / name).read_text() == (tmp_path / "2" / name).read_text()
    assert json.loads((tmp_path / "2" / "made.json").read_text())["finished"]


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_ratio_is_strict_and_the_other_is_aligned(late):
    rng = np.random.default_rng(0)
    wave = np.convolve(rng.standard_normal(3000), np.hanning(40), "same")
    out = compare(wave[50:-50], np.roll(wave, late)[50:-50] + 0.5)
    assert out["delay_ms"] == pytest.approx(2.0 * late, abs=0.11)
    assert out["aligned"] > 40
    assert out["strict"] < out["aligned"]
    assert out["coverage"] == 1.0
    nothing = compare(wave, np.full(3000, np.nan))
    assert nothing["coverage"] == 0
    assert np.isnan(nothing["strict"])
    half = np.where(np.arange(3000) < 1500, wave, np.nan)
    # Half of the power that was not read is an error of half the power.
    assert page_db(wave[None], half[None]) == pytest.approx(3.0, abs=0.7)
    assert np.isfinite(nominal_part(np.ones((12, 5000)), ("II",))).sum() == 11 * 1250 + 5000


def test_goals_say_what_is_missed():
    rows = [{"set": "300 dpi", "page": "a", "lead": "I", "strict": 28.0}]
    for k, (db, reason) in enumerate([(5, "bad"), (6, None), (20, None), (25, "bad")]):
        row = {"set": "degraded", "page": str(k), "lead": "all", "strict": db, "reason": reason}
        rows.append(row)
    goals = tables.goals(pd.DataFrame(rows)).set_index(["set", "what"])["met"]
    assert goals[("300 dpi", "strict, dB")] == "**no**"
    part = pd.DataFrame(rows[1:])
    assert tables.caught(part) == 0.5
    assert tables.lost(part) == 0.5


def test_names_of_leads_are_not_legible():
    assert not any(map(legible, ["aVR", "V1 V2", "II", "mmm", "", "I"]))
    assert all(map(legible, ["ID: 168594", "2020-08-06", "Department"]))


def test_a_page_is_measured_beside_what_is_printed_on_it():
    part = pd.DataFrame({"page": ["a", "b"], "set": "QRS", "lead": "all", "reason": None})
    durations = {"record": (100.0, 150.0), "page": (130.0, 151.0), "printed": (131.0, 150.0)}
    for where, values in durations.items():
        part[f"{where}_qrs_duration_ms"] = values
        part[f"{where}_lbbb_conventional"] = part[f"{where}_lbbb_strict"] = [0.0, 1.0]
    table = tables.goals(part).set_index("what")
    assert table.loc["QRS duration within 12 ms, share", ["figure", "met"]].tolist() == [
        *("0.5", "**no**"),
    ]
    beside = table.loc["page against the printed part of the record, within 12 ms"]
    # What the paper leaves out is told, and is no goal.
    assert (beside["figure"], beside["goal"], beside["met"]) == ("1", "", "to compare")
    assert table.loc["all leads of one quarter against the whole, within 12 ms", "figure"] == "nan"
