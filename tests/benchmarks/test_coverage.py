import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks import _coverage_cohorts as cohorts, coverage
from crtkit import metrics
from crtkit.evaluation import bootstrap_interval
from crtkit.evaluation.compare import ESTIMANDS
from crtkit.evaluation.report.methods import COVERED


def test_shared_draws_give_the_public_intervals():
    y, score, patient = cohorts.draw_scores(40, 2.3, np.random.default_rng(0))
    score = score[:, 0]
    ours = cohorts.intervals_of(y, score, patient, 200, 5)
    for (name, method), limits in ours.items():
        answer = score if name == "roc_auc" else score > cohorts.CUT
        public = bootstrap_interval(
            y, answer, patient, getattr(metrics, name), method=method, n_bootstrap=200,
            random_state=5,
        )  # fmt: skip
        np.testing.assert_allclose(limits, public[1:3], rtol=1e-12)


def test_the_truth_is_what_many_patients_give():
    rng = np.random.default_rng(1)
    y, score, patient = cohorts.draw_scores(60_000, 2.3, rng)
    score = score[:, 0]
    truth = cohorts.true_figures(2.3, voted=False)
    assert metrics.roc_auc(y, score) == pytest.approx(truth["roc_auc"], abs=0.005)
    assert metrics.ppv(y, score > cohorts.CUT) == pytest.approx(truth["ppv"], abs=0.01)
    mean = np.bincount(patient, score) / np.bincount(patient)
    first = np.unique(patient, return_index=True)[1]
    truth = cohorts.true_figures(2.3, voted=True)
    assert metrics.roc_auc(y[first], mean) == pytest.approx(truth["roc_auc"], abs=0.005)
    called = metrics.sensitivity(y[first], mean > cohorts.CUT)
    assert called == pytest.approx(truth["sensitivity"], abs=0.01)


def test_the_fast_models_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = rng.random(60) < 0.5
    X = rng.normal(size=(60, 3)) + 0.5 * y[:, None]
    splits = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    for (train, _), b in zip(splits, cohorts.fit_logistic(X, y, splits)):
        model = LogisticRegression(tol=1e-10).fit(X[train], y[train])
        np.testing.assert_allclose(b, [*model.intercept_, *model.coef_[0]], atol=1e-5)


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(coverage, "SLICE", 2)
    arguments = [
        "--cohorts",
        "2",
        "--tests",
        "2",
        "--trained",
        "2",
        "--patients",
        "30",
        "--out",
        str(tmp_path),
    ]
    coverage.main([*arguments, "--minutes", "0"])
    assert "goes on" in capsys.readouterr().out
    # As many cohorts from two processes as from one, whichever cells a run has.
    coverage.main([*arguments, "--n-jobs", "2"])
    wanted = dict.fromkeys(coverage.cells([30]), 2)
    key = ("tests", 30, "fixed")
    again = tmp_path / "again"
    assert coverage.run({key: 2}, 0, again)
    (name,) = [path.name for path in again.iterdir()]
    assert (again / name).read_bytes() == (tmp_path / "slices" / name).read_bytes()
    assert len(wanted) == len(list((tmp_path / "slices").iterdir()))
    assert (tmp_path / "results.json").exists()
    assert "headline" in (tmp_path / "headline.md").read_text()


def test_pieces_are_cut_off_cleanly(tmp_path):
    """An interrupt leaves whole files alone, and the same call goes on."""
    script = (
        "import time, sys\n"
        "from pathlib import Path\n"
        "from benchmarks import _slices\n"
        "from benchmarks.coverage import cohorts_of\n"
        "if __name__ == '__main__':\n"
        "    pieces = {f'p{k}': (('fixed', 71, '1 records'), 0, k, k + 1) for k in range(3)}\n"
        "    pieces |= {f'q{k}': (('fixed', 71, '1 records'), 0, 0, 10**6) for k in range(3)}\n"
        "    whole = _slices.fill(Path(sys.argv[1]), cohorts_of, pieces, n_jobs=2)\n"
        "    print('whole' if whole else 'cut')\n"
    )
    path = tmp_path / "run.py"
    path.write_text(script)
    work = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, str(path), str(work)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    while len(list(work.glob("*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=600)
    assert out.splitlines()[-1] == "cut"
    assert process.returncode == 0
    assert sorted(path.name for path in work.iterdir()) == ["p0.json", "p1.json", "p2.json"]


def test_the_report_states_the_coverage_that_was_measured():
    folder = Path(coverage.__file__).parent / "results" / "coverage"
    table = pd.read_csv(folder / "headline.csv")
    asked = table["n_patients"].isin([102, 285]) & ~table["setting"].str.contains("held")
    asked &= table["metric"].isin(["roc_auc", "accuracy", "sensitivity", "specificity"])
    per_cent = 100 * table.loc[asked, "headline"]
    assert len(per_cent) == 32
    # Rounded outwards, and no further.
    assert COVERED[0] - 0.5 <= per_cent.min() < COVERED[0] + 1.5
    assert COVERED[1] - 1.5 < per_cent.max() <= COVERED[1] + 0.5


def test_tests_that_are_marked_reject_too_often_and_the_headline_does_not():
    folder = Path(coverage.__file__).parent / "results" / "coverage"
    table = pd.read_csv(folder / "tests.csv").set_index("setting")
    noise = table.loc["noise"].mean()
    marked = {"corrected t", "fits held fixed", "DeLong, mean scores over splits"}
    assert (noise[sorted(marked)] > 0.08).all()
    assert table["headline interval"].mean() < 0.06
    notes = {method: note for *_, method, note in ESTIMANDS}
    assert [method for method, note in notes.items() if not note] == ["patients and fits"]
