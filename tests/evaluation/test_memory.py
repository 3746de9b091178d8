"""Two workers on a 500 MB cohort: what each keeps for itself."""

import subprocess
import sys

import pytest

# In a process of its own, so that workers are new and nothing else of the suite is in them.
SCRIPT = """
import os, threading, time
import numpy as np, pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from crtkit import Cohort, LeadStatistics, Select, evaluate
from crtkit.cohort.rows import spill


def private():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))


def note(value):
    with open(f"{os.environ['WATCH']}/{os.getpid()}.txt", "a") as file:
        file.write(f"{value}\\n")


def warm(k):
    rng = np.random.default_rng(k)
    records = rng.normal(size=(8, 12, 500)).astype(np.float32)
    frame = pd.DataFrame({"signal": pd.Series(list(records), dtype=object)})
    model = make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression())
    model.fit(frame, np.arange(8) % 2).predict(frame)
    time.sleep(1.0)
    return os.getpid(), private()


class Watch(ClassifierMixin, BaseEstimator):
    '''Writes down the memory of its worker when it is fitted and asked.'''

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        note(private())
        return self

    def predict(self, X):
        note(private())
        return np.full(len(X), self.classes_[0])


class Statistics(LeadStatistics):
    '''LeadStatistics that also looks at the memory in the middle of its work.'''

    def transform(self, X):
        top, stop = [private()], threading.Event()

        def look():
            while not stop.wait(0.01):
                top.append(private())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            return super().transform(X)
        finally:
            stop.set()
            thread.join()
            note(max(top))


def main(folder, as_arrays):
    os.environ["WATCH"] = folder
    n = 1040  # x 12 x 10000 float32 = 500 MB
    rng = np.random.default_rng(0)
    block = rng.normal(size=(12, 10000)).astype(np.float32)
    idle = {}
    with Parallel(n_jobs=2) as pool:
        for found in pool(delayed(warm)(k) for k in range(4)):
            idle[found[0]] = max(found[1], idle.get(found[0], 0))
    assert len(idle) == 2, idle
    records = (block + np.float32(i) for i in range(n))
    if as_arrays:
        cells = pd.Series(list(records), dtype=object)
    else:
        cells = spill(records, f"{folder}/signals.npy")
    cohort = Cohort(
        pd.DataFrame({"signal": cells}), np.arange(n) % 2, np.arange(n)
    )
    model = make_pipeline(Select("signal"), Statistics(), Watch())
    evaluate(model, cohort, seeds=2, n_jobs=2, reference_rows=False)
    growth = {}
    for pid, before in idle.items():
        path = f"{folder}/{pid}.txt"
        if os.path.exists(path):
            growth[pid] = max(map(float, open(path).read().split())) - before
    print("GROWTH", *growth.values())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("as_arrays", [False, True], ids=["rows", "arrays"])
def test_private_memory_of_a_worker_hardly_grows(tmp_path, as_arrays):
    (tmp_path / "watched.py").write_text(SCRIPT)
    out = subprocess.run(
        [sys.executable, "-c", f"import watched; watched.main({str(tmp_path)!r}, {as_arrays})"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert out.returncode == 0, out.stderr
    growth = [float(v) for v in out.stdout.split("GROWTH")[1].split()]
    assert growth, "no worker of the idle ones was used again"
    assert max(growth) < 64
    print(f"private memory of each worker grew by {growth} MB")
