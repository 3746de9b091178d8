"""The study's command: every file it promises, on simulated patients and on a manifest."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import he2021
from benchmarks.__main__ import main
from crtkit.datasets import make_cohort
from crtkit.studies import he2021 as study

TABLES = ("table1", "table2", "table3", "figure2", "figure3")
FILES = {
    *(f"{name}.md" for name in (*TABLES, "report")),
    *(f"{name}.csv" for name in TABLES),
    *("figure2.png", "figure3.png", "results.json", "journal.jsonl"),
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


def test_table_2_has_both_models_each_with_qrs_beside_the_printed_ones(run):
    table = pd.read_csv(run / "table2.csv", index_col="variable")
    for title in ("one feature", "two features"):
        assert f"Multivariable, {title}" in table
        with_qrs = table[f"Multivariable, {title} + QRS"]
        assert with_qrs["QRS duration"] != "–"
        assert table.loc["QRS duration", f"Multivariable, {title}"] == "–"
    assert table.iloc[0]["Univariate, published"] == "1.24 [1.07–1.44], 0.006"
    assert table.loc["LVEF", "Multivariable, one feature, published"].startswith("0.99 [0.98")


def test_areas_stand_beside_the_reference_rows(run):
    table = pd.read_csv(run / "table3.csv", index_col="model")
    assert list(table.index[:5]) == list(study.pipelines())
    assert {"PSD >= 43 deg", "PBW >= 135 deg", "QRS >= 150 ms"} <= set(table.index)
    assert (table["AUC out of fold"] != "–").all()
    assert (table["AUC in-sample"][:5] != "–").all()


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
    assert set(study.PUBLISHED_P) == set(study.VARIABLES)
