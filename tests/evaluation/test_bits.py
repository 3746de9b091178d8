"""The same bits on one worker and two, in processes and threads, uninterrupted and killed."""

import importlib
import os
import signal
import subprocess
import sys
import time

import joblib
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np, pandas as pd
from lightgbm import LGBMClassifier
from sklearn.pipeline import make_pipeline
from crtkit import Cohort, ECGFMClassifier, FCNClassifier, LeadStatistics, ResNetClassifier
from crtkit import Select, SimCLR, evaluate


def main(journal=None, n_jobs=1):
    rng = np.random.default_rng(0)
    n, y = 26, np.arange(26) % 2
    signals = rng.normal(0, 0.3, (n, 2, 400)).astype("f4") + 0.1 * y[:, None, None]
    pages = rng.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8)
    X = pd.DataFrame(index=range(n))
    X["signal"], X["image"] = list(signals), list(pages)
    trees = LGBMClassifier(n_estimators=10, subsample=0.6, subsample_freq=1, verbose=-1)
    fm = ECGFMClassifier(size="small", trainable_layers=1, max_epochs=1, batch_size=8)
    resnet = ResNetClassifier(width=8, max_epochs=2, batch_size=5)
    simclr = ResNetClassifier(width=8, backbone=SimCLR(width=8, max_epochs=1), max_epochs=1)
    models = {
        "trees": make_pipeline(Select("signal"), LeadStatistics(), trees),
        "fcn": make_pipeline(Select("signal"), FCNClassifier(n_filters=(4, 4, 4), max_epochs=2)),
        "ecgfm": make_pipeline(Select("signal"), fm),
        "resnet": make_pipeline(Select("image"), resnet),
        "simclr": make_pipeline(Select("image"), simclr),
    }
    return evaluate(
        models, Cohort(X, y, np.arange(n)), seeds=2, n_jobs=n_jobs, threads_per_fit=1,
        journal=journal, reference_rows=False, progress=False,
    ).predictions
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bits")
    (folder / "bits_study.py").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("bits_study"), folder


@pytest.fixture(scope="module")
def alone(study):
    return study[0].main()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_workers_give_the_bits_of_one(study, alone, backend):
    with joblib.parallel_config(backend=backend):
        pd.testing.assert_frame_equal(study[0].main(n_jobs=2), alone, check_exact=True)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_killed_run_of_networks_goes_on_to_the_same_bits(study, alone, n_jobs):
    module, folder = study
    journal = folder / f"killed{n_jobs}.jsonl"
    code = f"import bits_study; bits_study.main({str(journal)!r}, {n_jobs})"
    killed = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 300
    while time.time() < deadline and killed.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    n_lines = journal.read_bytes().count(b"\n")
    assert 3 <= n_lines < 11, "neither at the start nor at the end"
    pd.testing.assert_frame_equal(module.main(journal, n_jobs), alone, check_exact=True)
