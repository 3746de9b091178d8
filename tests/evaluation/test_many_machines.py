"""evaluate, and pretraining in its folds, on a real dask cluster: the numbers of one process."""

import os
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck

distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster(monkeypatch):
    """Two worker processes of one thread, as two machines would be."""
    root = str(Path(ck.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        distributed.LocalCluster(**options, dashboard_address=None) as local,
        distributed.Client(local) as client,
    ):
        yield local, client


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Pages in one file that all workers see, and a column beside them."""
    rng = np.random.default_rng(0)
    n = 48
    y = np.arange(n) % 2
    pages = rng.integers(150, 256, (n, 24, 32, 3), dtype=np.uint8)
    pages[y == 1, 5:9] = 20
    path = tmp_path_factory.mktemp("pages") / "pages.npy"
    np.save(path, pages)
    X = pd.DataFrame(
        {
            "image": [f"{path}#{i}" for i in range(n)],
            "qrs_duration_ms": 140 + 15 * y + rng.normal(0, 15, n),
        }
    )
    return ck.Cohort(X, y, np.array([f"p{i}" for i in range(n)]))


def models():
    encoder = ck.SimCLR(width=8, projection_dim=16, batch_size=16, max_epochs=1)
    network = ck.ResNetClassifier(width=8, backbone=encoder, max_epochs=1, batch_size=16)
    return {
        "pretrained": make_pipeline(ck.Select("image"), network),
        "logistic": make_pipeline(ck.Select(["qrs_duration_ms"]), LogisticRegression()),
    }


@pytest.mark.slow
def test_the_numbers_are_those_of_one_process(cluster, cohort):
    options = {"seeds": 1, "reference_rows": False, "threads_per_fit": 1, "progress": False}
    alone = ck.evaluate(models(), cohort, **options)
    with joblib.parallel_config(backend="dask"):
        spread = ck.evaluate(models(), cohort, n_jobs=-1, **options)
    pd.testing.assert_frame_equal(alone.predictions, spread.predictions)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_fit(cluster, cohort, tmp_path):
    """Its fits are done again by the others, to the same numbers; the journal has each once."""
    local, client = cluster
    options = {"seeds": 8, "reference_rows": False, "threads_per_fit": 1, "progress": False}
    only = {"pretrained": models()["pretrained"]}
    journal = tmp_path / "journal.jsonl"

    def kill_one():
        while not journal.exists() or journal.read_text().count("\n") < 3:
            time.sleep(0.05)
        victim = client.run(os.getpid)
        os.kill(next(iter(victim.values())), 9)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with joblib.parallel_config(backend="dask"):
        spread = ck.evaluate(only, cohort, n_jobs=-1, journal=journal, **options)
    killer.join()
    alone = ck.evaluate(only, cohort, **options)
    pd.testing.assert_frame_equal(alone.predictions, spread.predictions)


@pytest.mark.slow
def test_a_file_that_workers_do_not_see_is_named(cluster, cohort):
    """The message says what has to be where, not only that a fit failed."""
    X = cohort.X.assign(image=[cell.replace("pages.npy", "away.npy") for cell in cohort.X["image"]])
    moved = ck.Cohort(X, cohort.y, cohort.groups)
    here = cohort.X["image"].iloc[0].partition("#")[0]
    away = here.replace("pages.npy", "away.npy")
    os.link(here, away)
    hidden = {"pretrained": models()["pretrained"]}

    def hide(path):
        import crtkit.cohort.rows as rows

        real = open

        def refuse(name, *args, **kwargs):
            if str(name) == path:
                raise FileNotFoundError(2, "No such file or directory", path)
            return real(name, *args, **kwargs)

        rows.open = refuse  # as on a machine without that folder

    cluster[1].run(hide, away)
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(RuntimeError, match=r"(?s)away\.npy.*every worker"),
    ):
        ck.evaluate(hidden, moved, seeds=1, reference_rows=False, n_jobs=-1, progress=False)
