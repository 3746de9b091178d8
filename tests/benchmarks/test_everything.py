"""``benchmarks all``: what fits into the minutes, and what goes on the next time."""

import json
import sys
from types import SimpleNamespace

import pytest

from benchmarks import everything
from benchmarks.__main__ import parser

# Ends at once, fails, or waits until it is interrupted, as its first argument says.
SCRIPT = """
import sys, time
if sys.argv[1] == "fails":
    sys.exit(3)
try:
    time.sleep(60 if sys.argv[1] == "waits" else 0)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def three(monkeypatch):
    made = [everything.Job(name, (name,), 1) for name in ("ends", "fails", "waits")]
    monkeypatch.setattr(everything, "jobs", lambda size, device: made)
    monkeypatch.setattr(everything, "PROGRAM", (sys.executable, "-c", SCRIPT))
    monkeypatch.setattr(everything, "GRACE", 1.0)


def options(out, **changed):
    given = {"size": "small", "device": "cpu", "minutes": None, "only": None, "out": out}
    return SimpleNamespace(**{**given, **changed})


def test_jobs_end_fail_or_are_interrupted_and_are_told_apart(three, tmp_path):
    text = everything.run(options(tmp_path, minutes=0.1)).splitlines()
    assert text[0].startswith("ends: finished in")
    assert text[1] == "fails: FAILED with exit code 3"
    assert text[2] == "waits: interrupted, goes on next time"
    assert list(json.loads((tmp_path / "all_small.json").read_text())) == ["ends"]


def test_what_is_finished_is_not_run_again(three, tmp_path):
    everything.run(options(tmp_path, only=["ends"]))
    assert everything.run(options(tmp_path, only=["ends"])) == "ends: finished before"


def test_without_time_nothing_begins(three, tmp_path):
    text = everything.run(options(tmp_path, minutes=0.01))
    assert text.count("not begun, no time left") == 3


WRITES = """
import json, sys, pathlib
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(given["--out"])
out.mkdir(parents=True, exist_ok=True)
left = [] if float(given.get("--minutes", 99)) > 1 else ["a model"]
(out / "results.json").write_text(json.dumps({"not_run": left, "given": given}))
"""


def test_a_job_that_ends_itself_is_told_the_time_and_goes_on_until_nothing_is_left(
    monkeypatch, tmp_path
):
    job = everything.Job("learning", (), 1, resumes=False, ends_itself=True, cached=True)
    monkeypatch.setattr(everything, "jobs", lambda size, device: [job])
    monkeypatch.setattr(everything, "PROGRAM", (sys.executable, "-c", WRITES))
    text = everything.run(options(tmp_path, minutes=1))
    assert text == "learning: its minutes ended, goes on next time"
    given = json.loads((tmp_path / "learning" / "results.json").read_text())["given"]
    # Less than what is left: tables have to be written, too.
    assert 0.2 < float(given["--minutes"]) < 0.7
    assert given["--cache"].startswith(str(tmp_path))
    assert "finished in" in everything.run(options(tmp_path))


def test_an_unknown_job_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mori2025, he2023.*; got mori\.$"):
        everything.run(options(tmp_path, only=["mori"]))


@pytest.mark.parametrize(("size", "device"), [("small", "cpu"), ("paper", "cuda")])
def test_every_job_is_a_command_that_parses(size, device, tmp_path):
    for job in everything.jobs(size, device):
        more = ["--resume"] if job.resumes else []
        more += ["--minutes", "1"] if job.ends_itself else []
        more += ["--cache", str(tmp_path)] if job.cached else []
        parsed = parser().parse_args([*job.arguments, "--out", str(tmp_path), *more])
        assert callable(parsed.run)
