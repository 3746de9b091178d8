"""The study's command: every file it promises, on simulated patients and on a manifest."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.metrics import roc_auc_score

from benchmarks.__main__ import main, parser
from crtkit.cohort import Select
from crtkit.datasets import make_cohort
from crtkit.evaluation import evaluate
from crtkit.neural import AutoencoderFeatures
from crtkit.studies import he2021 as study
from crtkit.studies.run import he2021
from crtkit.studies.run.cohorts import load_cohort
from crtkit.studies.run.output import Output

TABLES = ("table1", "table2", "table3", "figure2", "figure3")
PUBLISHED = ("table1_published", "table2_published", "figure3_published")
FILES = {
    *(f"{name}.md" for name in (*TABLES, *PUBLISHED, "report")),
    *(f"{name}.csv" for name in (*TABLES, *PUBLISHED)),
    *("figure2.png", "figure3.png", "forest.png", "calibration.png"),
    *("results.json", "journal.jsonl"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("matplotlib").use("Agg")
    out = tmp_path_factory.mktemp("he2021") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(he2021, "QUICK", {"max_iter": 5, "layer_sizes": (32,)})
        patch.setattr(he2021, "FOLDS", 2)
        assert main(["he2021", "--quick", "--out", str(out)]) == 0
    return out


def test_every_file_is_there(run):
    assert {path.name for path in run.iterdir()} == FILES
    for name in (*TABLES, "report"):
        assert "SIMULATED" in (run / f"{name}.md").read_text()


def test_published_patients_have_tables_of_their_own(run):
    for name in PUBLISHED:
        text = (run / f"{name}.md").read_text()
        assert "The paper's patients: 102" in text
        assert "SIMULATED" not in text
    for name in TABLES:
        assert not pd.read_csv(run / f"{name}.csv").columns.str.contains("published").any()
    table = pd.read_csv(run / "table2_published.csv", index_col="variable")
    assert table.loc["AE #30", "Univariate"] == "1.24 [1.07–1.44], 0.006"
    assert table.loc["LVEF", "Multivariable, AE #30"].startswith("0.99 [0.98")
    assert pd.read_csv(run / "figure3_published.csv")["chi-square added"].max() == 9.6


def test_table_2_has_both_models_each_with_qrs(run):
    table = pd.read_csv(run / "table2.csv", index_col="variable")
    for title in ("one feature", "two features"):
        assert f"Multivariable, {title}" in table
        with_qrs = table[f"Multivariable, {title} + QRS"]
        assert with_qrs["QRS duration"] != "–"
        assert table.loc["QRS duration", f"Multivariable, {title}"] == "–"


def test_table_1_has_the_variables_of_the_printed_one(run):
    table = pd.read_csv(run / "table1.csv", index_col="variable", dtype=str)
    assert list(table.index) == list(study.VARIABLES)
    printed = pd.read_csv(run / "table1_published.csv", index_col="variable", dtype=str)
    assert set(study.VARIABLES) <= set(printed.index)
    assert printed.loc["QRS duration", "responder"] == "165.4 ± 16.2"
    assert printed.loc["Gender (male)", "p"] == "0.085"
    assert printed.loc["NYHA", "nonresponder"] == "II 15 (26.3), III 35 (61.4), IV 7 (12.3)"
    own = printed.loc[list(study.VARIABLES), ["responder", "nonresponder", "p"]]
    assert (own != "–").all(axis=None)


def test_areas_stand_beside_the_reference_rows(run):
    table = pd.read_csv(run / "table3.csv", index_col="model")
    assert list(table.index[:6]) == list(study.pipelines())
    assert {"PSD >= 43 deg", "PBW >= 135 deg", "QRS >= 150 ms"} <= set(table.index)
    assert (table["AUC out of fold"] != "–").all()
    assert (table["AUC in-sample"][:6] != "–").all()


def test_no_p_value_is_printed_as_zero(run):
    for name in TABLES:
        table = pd.read_csv(run / f"{name}.csv", dtype=str)
        for column in table.columns[table.columns.str.contains(r"\bp\b|added_p")]:
            assert not table[column].isin(["0", "0.0", "0.000"]).any()
        assert ", 0.000" not in (run / f"{name}.md").read_text()


def test_in_sample_areas_are_those_of_the_pipelines_own_models():
    """Screened features are judged by all of them, not by the best one."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = pd.DataFrame(rng.normal(size=(60, 20)), columns=[f"AE{i}" for i in range(1, 21)])
    X[["AE1", "AE2", "AE3"]] += y[:, None] * 0.8
    clinical = ("lvef", "male", "psd_deg", "pbw_deg", "qrs_duration_ms")
    X = X.assign(**{c: rng.normal(size=60) for c in clinical})
    areas = he2021.in_sample_areas(X, y, "AE1")
    assert list(areas) == list(study.pipelines())
    one = roc_auc_score(
        y, sm.Logit(y, sm.add_constant(X[["AE1", "lvef", "male"]])).fit(disp=0).fittedvalues
    )
    assert areas["one AE feature + LVEF + gender"] == pytest.approx(one, abs=2e-3)
    assert areas["AE + LVEF + gender"] > one + 0.05
    without = he2021.in_sample_areas(X.drop(columns="qrs_duration_ms"), y, "AE1")
    assert not any("QRS" in name for name in without)


def test_the_rows_of_a_fold_share_one_autoencoder(tmp_path, monkeypatch):
    fit, fits = AutoencoderFeatures.fit, []
    monkeypatch.setattr(
        AutoencoderFeatures, "fit", lambda self, X, y=None: fits.append(len(X)) or fit(self, X, y)
    )
    cohort = make_cohort("he2021", n_patients=24, random_state=0)
    models = study.pipelines(autoencoder={"max_iter": 2}, memory=str(tmp_path))
    models = {name: model for name, model in models.items() if "AE" in name}
    assert len(models) == 3
    evaluate(models, cohort, seeds=1, cv=2, n_jobs=1, reference_rows=False, progress=False)
    assert fits == [12, 12]  # one a fold


def test_a_label_of_another_question_stands_without_the_paper_s_figures(tmp_path):
    cohort = make_cohort("he2021", 12, modality="table", random_state=0)
    output = Output(tmp_path, "he2021", "test")
    he2021.table1(output, cohort)
    assert not output.tables["table1"].columns.str.contains("published").any()


def test_the_json_holds_everything(run):
    results = json.loads((run / "results.json").read_text())
    assert results["quick"] is True
    assert len(results["data_sha256"]) == 64
    errors = results["reconstruction"]
    assert errors["pca_deg2"] <= errors["autoencoder_deg2"]
    assert errors["n_maps"] == 62
    assert str(run.parent) not in (run / "results.json").read_text()


def test_a_cohort_without_figures_gets_those_of_its_maps():
    cohort = make_cohort("he2021", 6, random_state=0)
    bare = type(cohort)(
        cohort.X.drop(columns=["psd_deg", "pbw_deg"]), cohort.y, cohort.groups, cohort.info
    )
    X = he2021.with_figures(bare).X
    np.testing.assert_allclose(X["psd_deg"], cohort.X["psd_deg"], atol=0.06)
    np.testing.assert_allclose(X["pbw_deg"], cohort.X["pbw_deg"], atol=0.06)
    assert he2021.with_figures(cohort) is cohort


def test_a_manifest_of_one_map_file_a_patient_without_qrs(tmp_path):
    """What a reader of the guide would bring: files, LVEF, gender, the answer."""
    cohort = make_cohort("he2021", 12, random_state=0)
    maps = np.stack(cohort.X["map"])
    for i, one in enumerate(maps):
        np.save(tmp_path / f"{i}.npy", one)
    table = cohort.X[["lvef", "male"]].assign(
        map=[f"{i}.npy" for i in range(12)], responder=cohort.y, patient=np.arange(12)
    )
    table.to_csv(tmp_path / "cohort.csv", index=False)
    options = parser().parse_args(["he2021", "--data", str(tmp_path / "cohort.csv")])
    read = he2021.with_figures(load_cohort(options, "he2021"))
    np.testing.assert_array_equal(Select("map").fit_transform(read.X), maps)
    np.testing.assert_allclose(read.X["psd_deg"], cohort.X["psd_deg"], atol=0.06)
    models = he2021.runnable(study.pipelines(), read)
    assert len(models) == 4
    assert not any("QRS" in name for name in models)
    for model in models.values():
        model.set_params(
            **{p: 2 for p in model.get_params() if p.endswith("__max_iter") and "auto" in p}
        )
        assert model.fit(read.X, read.y).predict(read.X).shape == (12,)


def test_missing_clinical_columns_are_named():
    cohort = make_cohort("he2021", 6, random_state=0)
    bare = type(cohort)(cohort.X.drop(columns="lvef"), cohort.y, cohort.groups, cohort.info)
    with pytest.raises(ValueError, match="lvef"):
        he2021.clinical(bare)


def test_published_figures_are_those_of_the_tables():
    row = study.PUBLISHED.loc[("univariate", "AE #30")]
    assert tuple(row) == (1.24, 1.07, 1.44, 0.006)
    assert len(study.PUBLISHED) == 16 + 3 + 4
    assert study.PUBLISHED_INCREMENTAL.loc[("PSD", "AE #30"), "added_chi2"] == 8.06
    assert set(study.VARIABLES) <= set(study.PUBLISHED_TABLE1.index)


def test_the_guide_s_tables_are_in_the_repository():
    """docs/studies/he2021.rst reads them, so its figures are those of the last run."""
    folder = Path(__file__).parents[3]
    page = folder / "docs" / "studies" / "he2021.rst"
    named = re.findall(r":file: (\S+)", page.read_text(encoding="utf-8"))
    assert len(named) == 2
    areas, tests = (pd.read_csv(page.parent / path, index_col=0) for path in named)
    assert set(study.pipelines()) <= set(areas.index)
    results = json.loads((folder / "benchmarks/results/he2021_simulated/results.json").read_text())
    assert not results["quick"]
    assert results["seeds"] > 1
    assert {row["model"] for row in results["tables"]["table3"]} == set(areas.index)
    optimism = areas["AUC in-sample"].str.strip().replace("–", np.nan).astype(float) - areas[
        "AUC out of fold"
    ].str.split().str[0].astype(float)
    # "The more features a screen lets through, the further the two columns are apart."
    assert optimism["AE + LVEF + gender"] > optimism["one AE feature + LVEF + gender"]
    assert optimism["AE + LVEF + gender"] > optimism["LVEF + gender + QRS duration"]
    assert set(tests.index) == {"mori2025", "he2023", "he2021"}


def test_models_share_the_autoencoder_of_a_fold(tmp_path, monkeypatch):
    cohort = make_cohort("he2021", n_patients=30, random_state=0)
    cohort = he2021.with_figures(cohort)
    fits, fit = [], AutoencoderFeatures.fit

    def count(self, X, y=None):
        fits.append(self.random_state)
        return fit(self, X, y)

    monkeypatch.setattr(AutoencoderFeatures, "fit", count)
    tables = {}
    for memory in (None, str(tmp_path)):
        models = study.pipelines(autoencoder={"max_iter": 3, "layer_sizes": (8,)}, memory=memory)
        result = evaluate(models, cohort, seeds=1, cv=2, reference_rows=False, random_state=0)
        tables[memory] = result.per_seed()
        if memory is None:
            assert len(fits) == 3 * 2
            fits.clear()
    assert len(fits) == 2
    pd.testing.assert_frame_equal(*tables.values())
