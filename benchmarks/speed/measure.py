"""``crtkit measure`` on a folder of WFDB records, on one core and on two, as real processes.

Goals
-----
Two processes at least 1.8 times as fast as one, and 100 records per second on each core, over 1,000
ten-second records of 12 leads at 500 Hz.

Both are given twice: of the whole command, with the second or so in which Python and its packages
start, and of the measuring alone (the command on 1,000 records less the command on 64, the
smallest number that is spread over processes). The goals are set against the whole command.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.speed._timing import against_goal
from crtkit.datasets import simulate_ecg
from crtkit.signals import LEADS_12

GOALS = {"two_against_one": 1.8, "records_a_second_a_core": 100.0}
FEW = 64
KINDS = (("narrow", 95), ("lbbb", 160), ("rbbb", 140), ("ivcd", 135))


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        200 records and one round instead of 1,000 and three.

    Returns
    -------
    dict
        ``goals``: the goal, the ratio, whether it was met; ``seconds`` of each command and round;
        ``measuring_alone``; ``processor_seconds`` and ``load_average`` before and after, for a busy
        machine hides a core.
    """
    n_records, n_rounds = (200, 1) if quick else (1000, 3)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), n_records)
        few = [str(Path(folder) / f"r{i:04d}.hea") for i in range(FEW)]
        seconds = {"one": [], "two": [], "one_few": [], "two_few": []}
        busy = {"one": [], "two": []}
        for _ in range(n_rounds):
            for name, jobs in (("one", 1), ("two", 2)):
                started = _processor_time()
                seconds[name].append(_time([folder], jobs, Path(folder)))
                busy[name].append(_processor_time() - started)
                seconds[f"{name}_few"].append(_time(few, jobs, Path(folder)))
    # The fastest round is the least disturbed one.
    best = {name: min(times) for name, times in seconds.items()}
    alone = {name: best[name] - best[f"{name}_few"] for name in ("one", "two")}
    ratios = {
        "two_against_one": best["one"] / best["two"],
        "records_a_second_a_core": n_records / best["one"],
    }
    return {
        "n_records": n_records,
        "goals": {name: against_goal(ratios[name], goal) for name, goal in GOALS.items()},
        "measuring_alone": {
            "two_against_one": round(alone["one"] / alone["two"], 2),
            "records_a_second_one_core": round((n_records - FEW) / alone["one"], 1),
        },
        "records_a_processor_second": round(n_records / min(busy["one"]), 1),
        "seconds": {name: [round(t, 2) for t in times] for name, times in seconds.items()},
        "processor_seconds": {name: [round(t, 2) for t in times] for name, times in busy.items()},
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
    }


def _write(folder, n_records):
    """Records of 40 made hearts, each at several small gains, so that no two files are equal."""
    import wfdb

    hearts = []
    for i in range(40):
        kind, qrs = KINDS[i % len(KINDS)]
        hearts.append(np.asarray(simulate_ecg(kind, qrs, random_state=i)[0], dtype=float).T)
    for i in range(n_records):
        wfdb.wrsamp(
            f"r{i:04d}",
            fs=500,
            units=["mV"] * 12,
            sig_name=list(LEADS_12),
            p_signal=hearts[i % 40] * (1 + 0.01 * (i // 40)),
            fmt=["16"] * 12,
            adc_gain=[1000] * 12,
            baseline=[0] * 12,
            write_dir=str(folder),
        )


def _processor_time():
    """Seconds of processor time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _time(files, jobs, folder):
    out = folder / "qrs.csv"
    command = [sys.executable, "-m", "crtkit", "measure", *files, "-j", str(jobs), "-o", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start
