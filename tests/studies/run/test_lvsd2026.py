"""The study's command: every file it promises, the printed F, and sets kept apart."""

import importlib.util
import json
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import crtkit as ck
from benchmarks.__main__ import main
from benchmarks.prose import page_text
from crtkit.evaluation.checks import check_inner_splits
from crtkit.resampling import ResampledClassifier
from crtkit.statistics import rm_anova
from crtkit.studies import lvsd2026 as study, simple
from crtkit.studies.run import lvsd2026, lvsd2026_figures, lvsd2026_tables as parts
from crtkit.studies.run.output import Output

TABLES = (
    *(
        "table1",
        "table2",
        "table2_averages",
        "table2_sets",
        "table3",
        "tableS1",
        "tableS2",
        "ablations",
        "bands",
    ),
    *("tests", "figure3", "attribution", "lead_share", "wave_share"),
)
PUBLISHED = tuple(
    f"{name}_published" for name in ("table1", "table2", "table3", "tests", "figure3")
)
FILES = {
    *(f"{name}.md" for name in (*TABLES, *PUBLISHED, "report")),
    *(f"{name}.csv" for name in (*TABLES, *PUBLISHED)),
    *("figure1.png", "figure1_published.png", "figure3.png", "figure3_published.png"),
    *("figure4.png", "forest.png", "calibration.png"),
    *("results.json", "journal.jsonl"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("lvsd2026") / "out"
    assert main(["lvsd2026", "--quick", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_every_file_is_there(run):
    assert {path.name for path in run.iterdir()} == FILES
    for path in run.glob("*.png"):
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 5  # not an empty page


@pytest.mark.slow
def test_tables_say_whose_patients_they_are(run):
    for name in (*TABLES, *PUBLISHED):
        text = (run / f"{name}.md").read_text(encoding="utf-8")
        printed = name in PUBLISHED
        assert ("SIMULATED" in text) != printed, name
        assert ("real, of three hospitals" in text) == printed, name
    assert "SIMULATED" in (run / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_table2_has_the_corrected_row_and_says_what_did_not_run(run):
    table = pd.read_csv(run / "table2_published.csv", dtype=str)
    row = table[table["model"] == study.EXCHANGED].set_index(["reading", "set"])
    assert row.loc[("printed", "average"), "Specificity"] == "0.851"
    assert row.loc[("corrected", "average"), "Specificity"] == "0.745"
    ours = pd.read_csv(run / "table2.csv", index_col="model")
    assert (ours.loc[study.EXCHANGED] == "no checkpoint given").all()
    assert ours.loc["FCN", "AUROC, external 1"].count(" to ") == 1
    assert set(simple.ROWS) <= set(ours.index)
    sets = pd.read_csv(run / "table2_sets.csv")
    assert sets.loc[sets["model"] == "FCN", "set"].tolist() == [
        *("internal", "external 1", "external 2")
    ]
    s1 = pd.read_csv(run / "tableS1.csv")
    assert (s1["F1"] == "no checkpoint given").all()
    assert s1["model"].tolist() == [study.tuning_name("SS", k) for k in study.TRAINABLE_LAYERS]


@pytest.mark.slow
def test_the_json_holds_scores_and_names_no_machine(run):
    text = (run / "results.json").read_text()
    assert str(run.parent) not in text
    results = json.loads(text)
    scores = pd.DataFrame(results["scores"]).set_index(["model", "set"])
    own = scores.loc["ResNet", "accuracy"].astype(float)
    assert own["average"] == pytest.approx(own.drop("average").mean())


@pytest.mark.parametrize(("table", "f"), [("printed", 16.67), ("repaired", 29.6)])
def test_the_printed_f_comes_out_of_the_printed_table(table, f):
    scores = study.blocks(study.PUBLISHED if table == "printed" else study.repaired())
    assert scores.shape == (24, 6)
    assert rm_anova(scores)["statistic"].iloc[0] == pytest.approx(f, abs=0.05)


def test_the_corrected_row_is_what_its_counts_give():
    counts = study.SS_FF_MATRICES
    table = study.repaired().loc[study.EXCHANGED].drop("average")
    rates = {
        "accuracy": (counts["tp"] + counts["tn"]) / counts.sum(axis=1),
        "sensitivity": counts["tp"] / (counts["tp"] + counts["fn"]),
        "specificity": counts["tn"] / (counts["tn"] + counts["fp"]),
        "ppv": counts["tp"] / (counts["tp"] + counts["fp"]),
        "npv": counts["tn"] / (counts["tn"] + counts["fn"]),
    }
    expected = pd.DataFrame(rates)
    assert np.abs(table[list(rates)] - expected).to_numpy().max() < 0.00051
    wrong = study.PUBLISHED.loc[study.EXCHANGED].drop("average")
    assert np.abs(wrong["specificity"] - expected["specificity"]).max() > 0.01


def test_only_one_printed_average_is_off():
    sets = study.PUBLISHED.drop(index="average", level="set")
    ours = sets.groupby(level="model", sort=False).mean()
    printed = study.PUBLISHED.xs("average", level="set")
    off = (ours - printed).abs().stack()
    assert off[off > 0.0011].index.tolist() == [("LSTM-FCN", "average_precision")]


def test_sets_are_kept_apart():
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=60, random_state=0)
    inside, (train, test), external = lvsd2026.divide(cohort)
    assert set(inside.X["set"].iloc[train]) == {"train", "tuning"}
    assert set(inside.X["set"].iloc[test]) == {"internal"}
    assert list(external) == ["external1", "external2"]
    assert not set(inside.groups[train]) & set(inside.groups[test])


def test_the_figure_that_decides_the_label_is_no_column():
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
    lvef = cohort.info["outcome"]["lvef"]
    table = ck.Cohort(cohort.X.assign(lvef=lvef), cohort.y, cohort.groups, {"name": "own"})
    apart = lvsd2026.outcome_apart(table)
    assert "lvef" not in apart.X
    inside = lvsd2026.divide(apart)[0]
    found = inside.info["outcome"].loc[inside.X.index, "lvef"]
    assert ((found < 40) == (inside.y == 1)).all()
    assert lvsd2026.outcome_apart(apart) is apart


def test_the_explained_network_is_that_of_the_table(tmp_path, monkeypatch):
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
    inside, split, _ = lvsd2026.divide(cohort)
    name = "ECG-FM (scratch)"
    small = {"max_epochs": 1, "batch_size": 32}
    models = {name: study.pipelines(minirocket=False, ecgfm=small)[name]}
    result = ck.evaluate(
        models, inside, seeds=1, cv=[split], by="record", random_state=3, reference_rows=False
    )
    seen = {}

    class Stop(Exception):
        pass

    def attribute(model, X, **options):
        seen["score"] = model.predict_proba(inside.take(split[1]).X)[:, 1]
        raise Stop

    monkeypatch.setattr(ck.explain, "attribute", attribute)
    with pytest.raises(Stop):
        lvsd2026_figures.explain(Output(tmp_path, "t", "s"), result, inside, split)
    answers = result.predictions.sort_values("row")
    np.testing.assert_allclose(seen["score"], answers["score"], atol=1e-5)


def test_an_explained_network_must_repeat_on_a_processor_but_not_on_a_gpu(tmp_path, monkeypatch):
    # No GPU is needed: what a GPU does is to answer a little otherwise than the table has it.
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
    inside, split, _ = lvsd2026.divide(cohort)
    models = study.pipelines(minirocket=False, ecgfm={"max_epochs": 1, "batch_size": 32})
    name = "ECG-FM (scratch)"
    result = ck.evaluate(
        {name: models[name]}, inside, seeds=1, cv=[split], by="record", reference_rows=False
    )
    result.predictions["score"] += 1e-3
    monkeypatch.setattr(ck.explain, "plot_attribution", lambda *args, **options: None)
    output = Output(tmp_path, "t", "s")
    explain = partial(lvsd2026_figures.explain, output, result, inside, split, quick=True)
    with pytest.raises(RuntimeError, match="predicts otherwise"):
        explain(device="cpu")
    explained = explain(device="cuda")
    assert explained["model"] == name
    assert "does not repeat to the same bits" in (tmp_path / "attribution.md").read_text()
    assert len(pd.read_csv(tmp_path / "lead_share.csv")) >= 12


def test_a_cohort_without_sets_is_refused():
    cohort = ck.Cohort(pd.DataFrame({"a": [1, 2]}), [0, 1], [0, 1])
    with pytest.raises(ValueError, match="needs a column 'set'"):
        lvsd2026.divide(cohort)
    with pytest.raises(ValueError, match="'tuning' or 'internal'"):
        lvsd2026.divide(ck.Cohort(pd.DataFrame({"set": ["train"] * 2}), [0, 1], [0, 1]))


def test_the_cheap_row_is_there_where_numba_is(monkeypatch):
    found = study.CHEAP in study.pipelines()
    assert found == (importlib.util.find_spec("numba") is not None)
    monkeypatch.setattr(study, "find_spec", lambda name: None)
    assert study.CHEAP not in study.pipelines()
    with pytest.raises(ImportError, match=r"pip install 'crtkit\[rocket\]'"):
        study.pipelines(minirocket=True)
    monkeypatch.setattr(study, "find_spec", lambda name: name)
    names = list(study.pipelines())
    assert names == [*study.BASELINES, study.CHEAP, "ECG-FM (scratch)"]
    assert study.CHEAP not in study.pipelines(minirocket=False)


def test_without_numba_its_row_names_the_command(tmp_path):
    sets = ["internal", "external 1", "external 2", "average"]
    index = pd.MultiIndex.from_product([["FCN"], sets], names=["model", "set"])
    scores = pd.DataFrame(0.5, index, list(study.METRICS))
    assert parts.not_run(scores)[study.CHEAP] == "needs numba: pip install 'crtkit[rocket]'"


def test_the_penalty_of_the_cheap_row_is_chosen_by_patient():
    pytest.importorskip("numba", reason="pip install 'crtkit[rocket]'")
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
    inside, (train, test), _ = lvsd2026.divide(cohort)
    model = study.pipelines(minirocket=True)[study.CHEAP]
    check_inner_splits({study.CHEAP: model}, inside)  # what evaluate asks before it starts
    part, other = inside.take(train), inside.take(test)
    assert isinstance(model.estimator[-1].cv, StratifiedGroupKFold)
    with pytest.raises(ValueError, match="groups"):  # by record it is never chosen
        model.fit(part.X, part.y)
    model.fit(part.X, part.y, groups=part.groups)
    assert np.isfinite(model.decision_function(other.X)).all()
    assert np.isfinite(model.estimator_[-1].cv_results_["mean_test_score"]).all()


def test_ablations_change_one_thing_each():
    plain = study.pipelines(minirocket=False)
    drawn = study.pipelines(minirocket=False, oversample=True)
    changed = study.pipelines(augment="light")
    assert list(drawn) == [f"{name} + oversampling" for name in plain]
    assert list(changed) == [f"{name} + augmentation" for name in plain]
    for name, model in plain.items():
        inner = drawn[f"{name} + oversampling"].estimator
        assert isinstance(inner, ResampledClassifier)
        network, other = model.estimator[-1], changed[f"{name} + augmentation"].estimator[-1]
        assert str(inner.estimator[-1].get_params()) == str(network.get_params())
        differing = {k for k, v in network.get_params().items() if v != other.get_params()[k]}
        assert differing == {"augment"}


def test_oversampled_training_rows_keep_their_patients_inside_a_model():
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=60, random_state=0)
    inside, (train, _), _ = lvsd2026.divide(cohort)
    part = inside.take(train)
    name = "FCN + oversampling"
    model = study.pipelines(oversample=True, minirocket=False, baseline={"max_epochs": 1})[name]
    rows = model.fit(part.X, part.y, groups=part.groups).estimator_.sample_indices_
    fitted_on = np.flatnonzero((part.X["set"] == "train").to_numpy())
    tuning = set(part.groups[(part.X["set"] == "tuning").to_numpy()])
    drawn = part.y[fitted_on][rows]
    assert np.ptp(np.bincount(drawn)) == 0
    assert len(drawn) > len(fitted_on)
    assert not set(part.groups[fitted_on][rows]) & tuning


def test_fourteen_ways_to_fine_tune(tmp_path):
    models = study.pipelines(checkpoint="a.pt", finetuned_checkpoint="b.pt")
    tuned = {n: m.estimator[-1] for n, m in models.items() if "(S" in n}
    assert len(tuned) == 14
    assert tuned["ECG-FM (SS-FF)"].lr == 5e-7
    assert tuned["ECG-FM (Sq-PF 8)"].trainable_layers == 8
    assert {m.fs for m in tuned.values()} == {500}
    assert tuned["ECG-FM (SS-AF)"].checkpoint == "a.pt"


def test_a_checkpoint_gives_the_rows_of_its_starting_point(request):
    path = request.path.parents[2] / "data" / "ecg_fm" / "pretrained.pt"
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
    inside, (train, test), _ = lvsd2026.divide(cohort)
    models = study.pipelines(
        checkpoint=path,
        trainable_layers=(0, 2),
        ecgfm={"max_epochs": 1, "lr": 1e-3, "batch_size": 8, "random_state": 0},
    )
    model = models["ECG-FM (SS-AF)"]
    part = inside.take(train)
    model.fit(part.X, part.y, groups=part.groups)
    assert model.estimator_[-1].weights_loaded_["kind"] == "pretrained"
    assert set(model.predict(inside.X.iloc[test])) <= {0, 1}


RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "lvsd2026_simulated"
PAGE = Path(__file__).parents[3] / "docs" / "studies" / "lvsd2026.rst"


def test_the_page_says_what_the_committed_run_gave():
    """What its sentences say without a figure; the figures themselves are read from the run."""
    page = page_text(PAGE)
    results = json.loads((RESULTS / "results.json").read_text())
    assert not results["environment"]["git_commit"].endswith("-dirty")
    pairs = sum(n for name, n in results["settings"]["flow"].items() if name.startswith("pairs at"))
    assert f"``python -m benchmarks lvsd2026 --pairs {pairs} --n-jobs" in page
    assert set(results["epochs"].values()) == {12}
    assert "twelve epochs, one seed" in page
    assert results["seeds"] == 1
    average = pd.DataFrame(results["scores"]).set_index(["model", "set"]).xs("average", level="set")
    auc = average["roc_auc"].astype(float)
    networks = auc[[*study.BASELINES, study.CHEAP, "ECG-FM (scratch)"]]
    alone = auc[["QRS >= 150 ms", "QRS area >= 98 uVs", "Clinical logistic model"]]
    assert alone.max() < networks.min()  # "does anything beat QRS duration ...? In figures, yes"
    assert auc["Logistic on 60 statistics"] > networks.drop("LSTM-FCN").max()  # "none is needed"
    for name, value in networks.items():
        title = {"ECG-FM (scratch)": "ECG-FM from scratch", study.CHEAP: "MiniRocket with a ridge"}
        assert re.search(rf"{title.get(name, name)}[a-z ]* {value:.3f}", page), name


def test_a_table_without_measurements_has_no_tests_of_normality(tmp_path):
    cohort = ck.datasets.make_cohort("lvsd2026", n_patients=24, modality="table", random_state=0)
    bare = cohort.X[["male", "set"]]
    parts.table1(
        Output(tmp_path, "lvsd2026", "simulated"), ck.Cohort(bare, cohort.y, cohort.groups, {})
    )
    table = pd.read_csv(tmp_path / "table1.csv", index_col=0)
    assert list(table.index) == ["female", "LVEF < 40 %"]


def test_table_2_is_read_at_once_and_has_an_interval_in_every_cell(tmp_path):
    rng = np.random.default_rng(0)

    def hospital(name, n):
        y = np.arange(n) % 2
        X = pd.DataFrame({"qrs": 140 + 8 * y + rng.normal(0, 10, n)})
        groups = np.array([f"{name}{k}" for k in range(n)], dtype=object)
        info = {"name": "lvsd2026", "source": "simulated"}
        return ck.Cohort(X, y, groups, info)

    home = hospital("a", 120)
    sets = {"internal": "test", "external 1": "B", "external 2": "C"}
    models = {
        "Logistic": make_pipeline(ck.Select(["qrs"]), StandardScaler(), LogisticRegression()),
        "Tree": make_pipeline(ck.Select(["qrs"]), DecisionTreeClassifier(max_depth=2)),
    }
    result = ck.evaluate(
        models,
        home,
        seeds=1,
        cv=[(np.arange(80), np.arange(80, 120))],
        external={"B": hospital("b", 60), "C": hospital("c", 50)},
        reference_rows=False,
    )
    output = Output(tmp_path, "t", "SIMULATED patients")
    parts.table2(output, parts.score_table(result, sets), result, sets)
    table = pd.read_csv(tmp_path / "table2.csv", index_col="model").loc[list(models)]
    assert len(table.columns) == 5
    assert table.map(lambda cell: " to " in cell).all(axis=None)
    means = pd.read_csv(tmp_path / "table2_averages.csv", index_col=0)
    assert means.map(lambda cell: " to " in cell).all(axis=None)
    # The average of three sets of patients is surer than any of them.
    ends = {c: [float(x) for x in table.loc["Logistic", c][7:-1].split(" to ")] for c in table}
    width = {name: high - low for name, (low, high) in ends.items()}
    single = [w for name, w in width.items() if "average" not in name]
    assert width["AUROC, average"] < min(single)
    report = (tmp_path / output.report().name).read_text()
    assert report.count("<details>") == 2
    assert report.index("## Table 2. Performance") < report.index("<details>")


@pytest.mark.parametrize(("minutes", "n_stages"), [(None, 1), (1e9, 3), (-1.0, 1)])
def test_a_run_of_few_minutes_evaluates_in_stages(minutes, n_stages):
    models = {f"model {k}": k for k in range(2 * lvsd2026.STAGE + 1)}
    asked = []

    def evaluate(chosen):
        asked.append(list(chosen))
        return len(chosen)

    result, late = lvsd2026.in_time(evaluate, models, time.perf_counter(), minutes)
    assert len(asked) == n_stages
    assert result == len(asked[-1])
    assert [*asked[-1], *late] == list(models)
