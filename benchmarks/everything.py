"""Everything that fits into the minutes: ``python -m benchmarks all --minutes N``.

The four studies, then the questions, each in a process of its own that is interrupted when the time
is up. A job that was interrupted goes on from its journal the next time; one that is finished is
not run again. Device time comes in slices: call it with the same ``--out`` until nothing is left.
"""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks._results import write_json

#: What runs one job.
PROGRAM = (sys.executable, "-m", "benchmarks")
#: Seconds that a job gets to write its journal after the interrupt.
GRACE = 20.0
#: Share of the time left after which such a job begins nothing: a fit is under way then, and the
#: tables are still to be written.
BEGINS = 0.7


@dataclass(frozen=True)
class Job:
    """One command, and how long it takes on two cores or on a GPU, roughly, in minutes."""

    name: str
    arguments: tuple
    minutes: float
    resumes: bool = True
    ends_itself: bool = False  # takes --minutes, and tells in its results what it left
    cached: bool = False  # takes --cache: its patients would be simulated again in every slice


def jobs(size, device):
    """Commands of a size, in the order in which a short slice should have them.

    Parameters
    ----------
    size : {"small", "paper"}
    device : str

    Returns
    -------
    list of Job

    Examples
    --------
    >>> from benchmarks.everything import jobs
    >>> [job.name for job in jobs("small", "cpu")][:4]
    ['mori2025', 'he2023', 'he2021', 'lvsd2026']
    """
    on = ("--size", size, "--device", device)
    paper = size == "paper"
    seeds = () if paper else ("--seeds", "3")
    pairs = ("--pairs", "2031") if paper else ()
    depths = ("--depths", "18", "50", "101") if paper else ()
    sizes = ("--sizes", "100", "300", "1000", "3000", *(("10000", "--pages") if paper else ()))
    return [
        Job("mori2025", ("mori2025", "--modality", "image", *on, *seeds), 5),
        Job("he2023", ("he2023", *on, *depths), 5),
        Job("he2021", ("he2021", "--size", size), 5),
        Job("lvsd2026", ("lvsd2026", *on, *pairs), 10, ends_itself=True),
        Job("one_patient", ("one_patient", *on), 35),
        Job("learning", ("learning", *on, *sizes), 30, ends_itself=True, cached=True),
        Job("ptbxl_transfer", ("ptbxl_transfer", "--device", device), 8),
        Job("real_pages", ("real_pages", "--device", device), 12),
        Job("crt_trial", ("crt_trial",), 1, resumes=False),
        Job("printed_tables", ("printed_tables",), 1, resumes=False),
    ]


def add_arguments(parser):
    """Give a parser the options of this command.

    Parameters
    ----------
    parser : ArgumentParser
    """
    parser.add_argument(
        "--size", choices=("small", "paper"), help="of all models (default: paper on a GPU)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--minutes", type=float, help="stop after so many (default: run to the end)"
    )
    parser.add_argument("--only", nargs="+", help="only these jobs")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of all results")


def run(options):
    """Run what is left and fits into the minutes.

    Parameters
    ----------
    options : Namespace
        From :func:`add_arguments`.

    Returns
    -------
    str
        What is finished, and what is left.

    Raises
    ------
    ValueError
        ``--only`` names a job that is not there.
    """
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    options.size = options.size or ("paper" if options.device.startswith("cuda") else "small")
    todo = jobs(options.size, options.device)
    unknown = sorted(set(options.only or ()) - {job.name for job in todo})
    if unknown:
        names = ", ".join(job.name for job in todo)
        raise ValueError(f"--only expects some of {names}; got {', '.join(unknown)}.")
    todo = [job for job in todo if not options.only or job.name in options.only]
    state = State(options.out / f"all_{options.size}.json")
    lines = []
    for job in todo:
        left = end - time.monotonic()
        if state.finished(job):
            lines.append(f"{job.name}: finished before")
        elif left < 2 * GRACE:
            lines.append(f"{job.name}: not begun, no time left")
        else:
            lines.append(f"{job.name}: {perform(job, options, state, left)}")
        remaining = sum(j.minutes for j in todo if not state.finished(j))
        print(f"{lines[-1]}; about {remaining:.0f} min of work left", file=sys.stderr, flush=True)
    return "\n".join(lines)


class State:
    """Which jobs are finished, in a file beside their results."""

    def __init__(self, path):
        self.path = path
        text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
        self.jobs = json.loads(text)

    def finished(self, job):
        """Whether this very command has run to its end."""
        # Another size or number of seeds is another job under the same name.
        return self.jobs.get(job.name, {}).get("arguments") == list(job.arguments)

    def keep(self, job, seconds):
        """Note that a job is finished."""
        self.jobs[job.name] = {"arguments": list(job.arguments), "seconds": round(seconds, 1)}
        write_json(self.path, self.jobs)


def perform(job, options, state, left):
    """Run one job in a process; interrupt it when the time is up.

    Returns
    -------
    str
        How it ended.
    """
    folder = options.out / (job.name if options.size == "small" else f"{job.name}_{options.size}")
    command = [*PROGRAM, *job.arguments, "--out", str(folder)]
    if job.resumes:
        # The first time too: without a journal there is nothing to go on from, and it begins.
        command.append("--resume")
    if job.cached:
        command += ["--cache", str(folder / "patients")]
    if job.ends_itself and left < float("inf"):
        command += ["--minutes", f"{BEGINS * (left - GRACE) / 60:.2f}"]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        code = process.wait(None if left == float("inf") else max(1.0, left - GRACE))
    except subprocess.TimeoutExpired:
        # As Ctrl-C does: the journal's last line is then whole.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return "interrupted, goes on next time" if job.resumes else "interrupted"
    except BaseException:
        process.kill()
        process.wait()
        raise
    seconds = time.monotonic() - start
    if code:
        return f"FAILED with exit code {code}"
    if job.ends_itself and unfinished(folder):
        return "its minutes ended, goes on next time"
    state.keep(job, seconds)
    return f"finished in {seconds / 60:.1f} min"


def unfinished(folder):
    """Whether the results of a job that ended say that part of it was not run."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return bool(results["not_run"])
