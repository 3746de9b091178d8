"""The learning curve: nested draws, a journal that goes on, and its table."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

import crtkit as ck
from benchmarks import _learning_patients as patients, learning
from benchmarks.__main__ import parser
from crtkit.studies import simple


def given(out, **changed):
    arguments = ["learning", "--out", str(out), "--studies", "mori2025", "--sizes", "40", "60"]
    options = parser().parse_args([*arguments, "--n-test", "60", "--repeats", "1"])
    for name, value in changed.items():
        setattr(options, name, value)
    return options


@pytest.mark.slow
def test_a_run_that_is_cut_short_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "CHEAP", ())
    only = ["Logistic on 60 statistics"]
    options = given(tmp_path, models=only)
    fits = []
    inner = learning.fit_cell

    def fit_cell(cell, *rest):
        if len(fits) == 1:
            raise KeyboardInterrupt
        fits.append(cell)
        return inner(cell, *rest)

    monkeypatch.setattr(learning, "fit_cell", fit_cell)
    with pytest.raises(KeyboardInterrupt):
        learning.run(options)
    monkeypatch.setattr(learning, "fit_cell", inner)
    text = learning.run(given(tmp_path, models=only, resume=True))
    assert "SIMULATED" in (tmp_path / "learning.md").read_text()
    table = pd.read_csv(tmp_path / "learning.csv", index_col="model")
    assert {"n = 40", "n = 60"} <= set(table.columns)
    rows = [*only, "QRS duration", "signal can give", "best reachable"]
    assert table.index.tolist() == rows
    assert "0." in text
    with pytest.raises(ValueError, match="--resume"):
        learning.run(given(tmp_path, models=only))


def test_every_model_learns_from_the_same_patients():
    groups = np.repeat(np.arange(50), 2)
    pool = ck.Cohort(pd.DataFrame({"x": np.arange(100.0)}), np.arange(100) % 2, groups)
    rows = learning.patients_drawn(pool, 10, 0, 0)
    assert len(np.unique(groups[rows])) == 10
    assert len(rows) == 20
    np.testing.assert_array_equal(rows, learning.patients_drawn(pool, 10, 0, 0))
    assert set(rows) != set(learning.patients_drawn(pool, 10, 1, 0))


def test_cached_patients_are_the_same_patients(tmp_path, monkeypatch):
    fresh = learning.cohorts_of("mori2025", given(tmp_path, sizes=[8], n_test=6))
    options = given(tmp_path, sizes=[8], n_test=6, cache=tmp_path / "kept")
    first = learning.cohorts_of("mori2025", options)
    monkeypatch.setattr(ck.datasets, "make_cohort", None)  # the second time nothing is simulated
    second = learning.cohorts_of("mori2025", options)
    for made in zip(fresh, first, second):
        for name in ("measurements", "statistics"):
            for other in made[1:]:
                a, b = (ck.Select(name).fit_transform(c.X) for c in (made[0], other))
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_blocks_hold_what_the_models_read(tmp_path, monkeypatch):
    monkeypatch.setattr(patients, "BLOCK", 6)
    monkeypatch.setattr(patients, "MEASURED", 6)
    pool = patients.population("lvsd2026", 12, "signal", (0, 0), "small")
    assert pool.n_patients == 12
    assert "signal" not in pool.X
    measured = pool.X["measurements"].map(lambda cell: isinstance(cell, np.ndarray)).to_numpy()
    # Measured patients come first, and are those that few patients are drawn from.
    assert set(pool.groups[measured]) == set(np.unique(pool.groups)[:6])
    # The network reads the bits that the whole pipeline would have given it.
    cohort = ck.datasets.make_cohort(
        "lvsd2026", n_patients=6, random_state=np.random.default_rng((0, 0, 0))
    )
    front = make_pipeline(*ck.studies.lvsd2026.front(100))
    expected = np.asarray(front.fit_transform(cohort.X), np.float32)
    ready = np.asarray(ck.Select("ready").fit_transform(pool.X))[: len(expected)]
    np.testing.assert_array_equal(ready, expected)


@pytest.mark.parametrize("study", ["he2023", "mori2025", "lvsd2026"])
def test_models_after_the_front_learn_from_a_block(study, tmp_path):
    options = given(tmp_path, studies=[study], sizes=[16], n_test=8)
    pool, test = learning.cohorts_of(study, options)
    names = {"he2023": "SVM", "mori2025": "LightGBM", "lvsd2026": "FCN"}
    options.models = [names[study], "Logistic on measurements"]
    for name, model in learning.models_of(study, options).items():
        row = learning.fit_cell(learning.Cell(study, name, 16, 0), model, pool, test, 0)
        assert 0 <= row["roc_auc"] <= 1


def test_finished_runs_are_joined(tmp_path):
    only = list(simple.ROWS)
    for study in ("mori2025", "he2023"):
        learning.run(given(tmp_path / study, studies=[study], sizes=[12], n_test=8, models=only))
    joined = given(tmp_path / "both", collect=[tmp_path / "mori2025", tmp_path / "he2023"])
    learning.run(joined)
    table = pd.read_csv(tmp_path / "both" / "learning.csv")
    # Studies come in the papers' order, whichever folder is named first.
    assert list(dict.fromkeys(table["study"])) == ["mori2025", "he2023"]
    # A folder that was made elsewhere, with one model at another size.
    own = tmp_path / "he2023" / "results.json"
    made = json.loads(own.read_text())
    made["environment"]["device"], made["options"]["sizes"] = "a GPU", [12, 20]
    made["rows"] = [{**row, "n": 20} for row in made["rows"]][:1]
    own.write_text(json.dumps(made))
    learning.run(joined)
    joined = json.loads((tmp_path / "both" / "results.json").read_text())
    assert {row["device"] for row in joined["rows"]} == {"cpu", "a GPU"}
    assert len(joined["environments"]) == 2
    report = (tmp_path / "both" / "report.md").read_text()
    assert "Fitted on cpu and a GPU." in report
    assert "he2023, Logistic on measurements, n = 12: patients are measured up to 3,000" in report
    assert "mori2025, Logistic on 60 statistics, n = 20: no minutes were left for it" in report
    assert (tmp_path / "both" / "learning.png").is_file()


def test_a_joined_run_is_joined_with_pages(tmp_path):
    """Devices stay with their rows; a model may not read signals here and pages there."""
    learning.run(given(tmp_path / "a", sizes=[12], n_test=8, models=["Logistic on 60 statistics"]))
    made = json.loads((tmp_path / "a" / "results.json").read_text())
    made["options"]["pages"] = True
    made["rows"] = [{**row, "name": "ResNet-18", "device": "a GPU"} for row in made["rows"]]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "results.json").write_text(json.dumps(made))
    learning.run(given(tmp_path / "ab", collect=[tmp_path / "a", tmp_path / "b"]))
    learning.run(given(tmp_path / "abb", collect=[tmp_path / "ab", tmp_path / "b"]))
    joined = json.loads((tmp_path / "abb" / "results.json").read_text())
    assert {(r["name"], r["device"], r["pages"]) for r in joined["rows"]} == {
        ("Logistic on 60 statistics", "cpu", False),
        ("ResNet-18", "a GPU", True),
    }
    assert len(joined["environments"]) == 3
    assert (
        "On pages, not signals, in mori2025: ResNet-18."
        in (tmp_path / "abb" / "report.md").read_text()
    )
    made["rows"] = [{**row, "name": "Logistic on 60 statistics"} for row in made["rows"]]
    (tmp_path / "b" / "results.json").write_text(json.dumps(made))
    with pytest.raises(ValueError, match="Logistic on 60 statistics.*pages in one folder"):
        learning.run(given(tmp_path / "c", collect=[tmp_path / "a", tmp_path / "b"]))


@pytest.mark.parametrize("study", list(learning.MODALITIES))
def test_models_of_every_study_come_cheap_ones_first(study):
    options = SimpleNamespace(size="small", device="cpu", pages=False, models=None)
    names = list(learning.models_of(study, options))
    cheap = [name in learning.CHEAP for name in names]
    assert cheap == sorted(cheap, reverse=True)
    options.pages = True
    if study == "mori2025":
        assert "SSL + ResNet-18" in learning.models_of(study, options)


def test_inner_searches_get_the_patients():
    pytest.importorskip("numba", reason="pip install 'crtkit[rocket]'")
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=24, random_state=0)
    model = ck.studies.lvsd2026.pipelines()["MiniRocket + ridge"]
    cell = learning.Cell("lvsd2026", "MiniRocket + ridge", 20, 0)
    model.estimator[-1].set_params(cv=StratifiedGroupKFold(2))
    row = learning.fit_cell(cell, model, cohort, cohort, 0)
    assert 0 <= row["roc_auc"] <= 1


def test_cheap_models_and_few_patients_come_first():
    grid = learning.grid_of(["a"], [300, 100], 1, {"a": ["LightGBM", "ResNet-18"]})
    assert [(c.name, c.n) for c in grid] == [
        *(("LightGBM", 100), ("LightGBM", 300)),
        *(("ResNet-18", 100), ("ResNet-18", 300)),
    ]
