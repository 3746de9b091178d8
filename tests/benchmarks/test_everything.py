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


def test_an_unknown_job_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mori2025, he2023.*; got mori\.$"):
        everything.run(options(tmp_path, only=["mori"]))


@pytest.mark.parametrize(("size", "device"), [("small", "cpu"), ("paper", "cuda")])
def test_every_job_is_a_command_that_parses(size, device, tmp_path):
    for job in everything.jobs(size, device):
        more = ["--resume"] if job.resumes else []
        parsed = parser().parse_args([*job.arguments, "--out", str(tmp_path), *more])
        assert callable(parsed.run)
