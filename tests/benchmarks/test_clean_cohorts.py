import json

from benchmarks import clean_cohorts


def test_findings_and_areas_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clean_cohorts, "N_PATIENTS", 12)
    monkeypatch.setattr(clean_cohorts, "STUDIES", ("mori2025", "lvsd2026", "crt", "he2021", "x"))
    work = ["--work", str(tmp_path / "pieces")]
    clean_cohorts.main(["--cohorts", "3", "--noise", "1", "--out", str(tmp_path / "out"), *work])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["settings"]["whole"]
    assert [row["cohorts"] for row in results["audit"]] == [1, 1, 1, 0, 0]
    assert {row["model"] for row in results["noise"]} == {"search", "screen", "threshold"}
    assert len(results["found"]) >= sum(r["cohorts with a finding"] for r in results["audit"])
    planted = tmp_path / "pieces" / "clean_mori2025_0.json"
    planted.write_text('["label column: lvesv: planted"]')
    clean_cohorts.main(["--cohorts", "3", "--noise", "1", "--out", str(tmp_path)])
    assert "clean_mori2025_0: label column: lvesv: planted" in capsys.readouterr().out
