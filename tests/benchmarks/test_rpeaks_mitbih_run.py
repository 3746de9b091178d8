"""The R peak benchmark: sums over sets, goals, files, and that the committed counts come again."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crtkit as ck
from benchmarks import rpeaks_mitbih as benchmark
from crtkit.datasets.mitbih import DS1, DS2, FS, PACED, RECORDS

RESULTS = Path(benchmark.__file__).parent / "results"
NONE = np.empty((0, 2), dtype=np.int64)


def synthetic(names):
    """Half a minute a record: a beat every 0.8 s, in 207 with flutter in the middle."""
    n_samples = int(30 * FS)
    t = np.arange(n_samples) / FS
    x = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2).astype(np.float32)
    beats = np.round((np.arange(37) * 0.8 + 0.4) * FS).astype(np.int64)
    rows = []
    for name in names:
        flutter = np.array([[10 * int(FS), 20 * int(FS)]]) if name == "207" else NONE
        inside = (beats >= 3600) & (beats <= 7200) if name == "207" else np.zeros(37, bool)
        rows.append(
            {"record": name, "signal": x[None], "beats": beats[~inside], "flutter": flutter}
        )
    info = {"sampling_rate": FS, "name": "synthetic", "doi": "-", "licence": "-"}
    return ck.Cohort(pd.DataFrame(rows), np.zeros(len(names)), np.array(names), info)


@pytest.fixture
def run(tmp_path, monkeypatch):
    def load(path, lead):
        assert lead == "first"
        return synthetic(RECORDS)

    monkeypatch.setattr(benchmark, "load_mitbih", load)
    only = {
        "shannon": lambda x: benchmark.detect_r_peaks(x, FS),
        # A peer that misses every third beat and invents two early in the record.
        "peer": lambda x: np.r_[20, 40, np.delete(benchmark.detect_r_peaks(x, FS), np.s_[2::3])],
    }
    monkeypatch.setattr(benchmark, "detectors", lambda: only)
    assert benchmark.main(["--out", str(tmp_path)]) == 0
    return tmp_path


def test_it_writes_every_record_and_says_what_was_met(run):
    assert {p.name for p in run.iterdir()} == {f"rpeaks_mitbih.{s}" for s in ("json", "csv", "md")}
    results = json.loads((run / "rpeaks_mitbih.json").read_text())
    assert results["tolerance_s"] == 0.15
    assert all(goal["met"] for goal in results["goals"].values())
    table = pd.read_csv(run / "rpeaks_mitbih.csv", dtype={"record": str})
    assert set(table["record"]) == set(RECORDS)
    assert len(table) == 96
    text = (run / "rpeaks_mitbih.md").read_text()
    assert "flutter" in text
    assert "sensitivity >= 99.7 % met" in text
    assert str(run) not in json.dumps(results)


def test_sets_are_sums_of_their_records(run):
    results = json.loads((run / "rpeaks_mitbih.json").read_text())
    for name in ("shannon", "peer"):
        records = pd.DataFrame(results["records"][name]).set_index("record")
        summary = pd.DataFrame(results["summary"][name]).set_index("records")
        for part, members in (("DS1", DS1), ("DS2", DS2), ("paced", PACED), ("all 48", RECORDS)):
            for count in ("n_beats", "tp", "fp", "fn"):
                assert summary.loc[part, count] == records.loc[list(members), count].sum()
        everything = summary.loc["all 48"]
        assert everything["sensitivity"] == everything["tp"] / everything["n_beats"]
        assert everything["ppv"] == everything["tp"] / (everything["tp"] + everything["fp"])
    # 37 beats a record, 12 of which the peer leaves out; two false ones in each.
    assert records.loc["100", ["tp", "fn", "fp"]].tolist() == [25, 12, 2]


def test_beats_in_flutter_count_on_neither_side(run):
    results = json.loads((run / "rpeaks_mitbih.json").read_text())
    records = pd.DataFrame(results["records"]["shannon"]).set_index("record")
    assert records.loc["207", "n_beats"] == records.loc["100", "n_beats"] - 13  # 10.0 to 19.6 s
    assert records.loc["207", ["fp", "fn"]].tolist() == [0, 0]


def test_a_missed_goal_is_called_missed():
    summary = pd.DataFrame(
        {"sensitivity": [0.9969], "ppv": [0.9995], "error_ms": [10.5]}, index=["all 48"]
    )
    goals = benchmark.against_goals(summary)
    assert [goals[k]["met"] for k in ("sensitivity", "ppv", "error_ms")] == [False, True, False]
    assert (goals["sensitivity"]["aim_met"], goals["ppv"]["aim_met"]) == (False, True)


def test_the_committed_counts_come_again_on_real_records():
    if not os.environ.get("CRTKIT_DATA"):
        pytest.skip("CRTKIT_DATA is not set: no MIT-BIH records")
    names = ("114", "207", "222", "228")
    cohort = ck.datasets.load_mitbih(subset=names, lead="first")
    ours = benchmark.per_record(cohort, lambda x: benchmark.detect_r_peaks(x, FS))
    kept = pd.read_csv(RESULTS / "rpeaks_mitbih.csv", dtype={"record": str})
    kept = kept[kept["detector"] == "shannon"].set_index("record").loc[list(names)]
    pd.testing.assert_frame_equal(
        ours[["n_beats", "tp", "fp", "fn"]],
        kept[["n_beats", "tp", "fp", "fn"]],
        check_dtype=False,
    )


def test_the_committed_run_meets_the_goals_it_states():
    results = json.loads((RESULTS / "rpeaks_mitbih.json").read_text())
    for name, goal in results["goals"].items():
        reached = (
            goal["value"] <= goal["goal"] if name == "error_ms" else goal["value"] >= goal["goal"]
        )
        assert goal["met"] is reached, name
