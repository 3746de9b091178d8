"""Fits in several processes and threads: named when killed, ended with their run, same bits."""

import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info

from crtkit import Select, evaluate
from crtkit.evaluation.workers import pinned_threads


class Killed(LogisticRegression):
    """Its process dies as one that ran out of memory does."""

    def fit(self, X, y, sample_weight=None):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_killed_worker_is_named(make_table_cohort, tmp_path):
    models = {"fatal": make_pipeline(Select(["lvef"]), Killed())}
    with pytest.raises(
        RuntimeError, match=r"killed while fitting 'fatal', seed [01], fold 0.*journal"
    ):
        evaluate(
            models,
            make_table_cohort(),
            seeds=2,
            n_jobs=2,
            reference_rows=False,
            journal=tmp_path / "journal",
        )


ORPHAN = """
import os, sys, time
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from crtkit import Cohort, Select, evaluate

class Long(LogisticRegression):
    def fit(self, X, y):
        open(os.path.join(sys.path[0], f"pid-{os.getpid()}"), "w").close()
        time.sleep(120)

def main():
    y = np.repeat([0, 1], 20)
    X = pd.DataFrame({"a": np.arange(40.0)})
    evaluate({"long": make_pipeline(Select(["a"]), Long())}, Cohort(X, y, np.arange(40)), seeds=2,
             n_jobs=2, reference_rows=False)
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks processes up in /proc")
def test_workers_end_with_their_run(tmp_path):
    (tmp_path / "orphan_study.py").write_text(ORPHAN)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import orphan_study as study"
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    env["TMPDIR"] = str(tmp_path)
    run = subprocess.Popen(
        [sys.executable, "-c", f"{code}; study.main()"], env=env, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 90
    while not list(tmp_path.glob("pid-*")) and time.time() < deadline and run.poll() is None:
        time.sleep(0.1)
    workers = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert workers
    run.kill()
    run.wait()
    deadline = time.time() + 60
    while any(running(pid) for pid in workers) and time.time() < deadline:
        time.sleep(0.2)
    assert not any(running(pid) for pid in workers)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_bits_do_not_depend_on_the_backend(make_table_cohort, models, backend):
    cohort = make_table_cohort()
    kwargs = {"seeds": 3, "threads_per_fit": 1}
    alone = evaluate(models, cohort, n_jobs=1, **kwargs).predictions
    with joblib.parallel_config(backend=backend):
        pooled = evaluate(models, cohort, n_jobs=2, **kwargs).predictions
    pd.testing.assert_frame_equal(alone, pooled, check_exact=True)


def test_threads_that_hold_the_pins_together_put_them_back_once():
    def settings():
        blas = {
            i["filepath"]: i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"
        }
        return blas, torch.get_num_threads(), os.environ.get("OPENBLAS_NUM_THREADS")

    def hold(delay):
        time.sleep(delay)
        with pinned_threads(1):
            time.sleep(0.2)
            np.dot(np.ones((50, 50)), np.ones((50, 50)))
            return os.environ["OPENBLAS_NUM_THREADS"], settings()[0]

    before = settings()
    jobs = (joblib.delayed(hold)(0.03 * i) for i in range(4))
    held = joblib.Parallel(n_jobs=2, backend="threading")(jobs)
    assert all(name == "1" and set(blas.values()) <= {1} for name, blas in held)
    assert settings() == before
