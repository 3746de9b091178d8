"""The study's command: every file it promises, from simulated patients and from a manifest."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import crtkit as ck
from benchmarks.__main__ import main
from crtkit.images import ECGRenderer
from crtkit.studies import mori2025 as study, simple
from crtkit.studies.run import mori2025_maps
from crtkit.studies.run.cohorts import asks_response, leave_out_unusable
from crtkit.studies.run.output import Output

TABLES = ("table1", "table2", "against_rules", "tableS3", "tableS4")
PUBLISHED = ("table1_published", "table2_published")
OF_PAGES = ("gradcam", "gradcam_leads", "tableS1", "tableS2")
FILES = {
    *(f"{name}.md" for name in (*TABLES, *PUBLISHED, "report")),
    *(f"{name}.csv" for name in (*TABLES, *PUBLISHED)),
    *("figure1.png", "figure1_published.png", "figure4a.png", "figure4b.png"),
    *("forest.png", "calibration.png"),
    *("results.json", "journal.jsonl"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("mori2025") / "out"
    assert main(["mori2025", "--quick", "--out", str(out)]) == 0
    return out


def test_every_file_is_there(run):
    assert {path.name for path in run.iterdir()} == FILES
    for path in run.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 400
            assert np.asarray(image.convert("L")).std() > 5  # not an empty page


def test_tables_say_that_patients_are_simulated(run):
    for name in (*TABLES, "report"):
        assert "SIMULATED" in (run / f"{name}.md").read_text()


def test_published_patients_have_a_table_of_their_own(run):
    for name in PUBLISHED:
        text = (run / f"{name}.md").read_text()
        assert "The paper's patients: 285" in text
        assert "SIMULATED" not in text
    table = pd.read_csv(run / "table2_published.csv", index_col="model")
    assert table.index.tolist() == ["ResNet-18", "SSL + ResNet-18", "LightGBM"]
    assert table.loc["LightGBM", "Accuracy (%)"] == "64.7 ± 5.6"
    assert table.loc["SSL + ResNet-18", "AUC"] == "0.669 ± 0.048"
    ours = pd.read_csv(run / "table2.csv", index_col="model")
    assert not ours.columns.str.contains("published").any()
    assert "0.669" not in (run / "table2.md").read_text()
    rules = {"Majority class", "LBBB", "Guideline class I"}
    assert {"LightGBM", *simple.ROWS, *rules} <= set(ours.index)
    assert ours.loc["ResNet-18", "AUC"] == "not run"
    assert "±" in ours.loc["LightGBM", "AUC"]


def test_the_json_holds_everything(run):
    results = json.loads((run / "results.json").read_text())
    assert results["seeds"] == 2
    assert len(results["data_sha256"]) == 64
    assert {"versions", "date", "device", "cpu"} <= set(results["environment"])
    seeds = pd.DataFrame(results["per_seed"])
    shown = pd.read_csv(run / "table2.csv", index_col="model").loc["LightGBM", "Accuracy (%)"]
    mine = seeds.loc[seeds["model"] == "LightGBM", "accuracy"] * 100
    assert shown == f"{mine.mean():.1f} ± {mine.std(ddof=1):.1f}"


def test_no_path_of_a_machine_is_in_any_file(run):
    for path in run.iterdir():
        if path.suffix in (".md", ".csv", ".json"):
            assert str(run.parent) not in path.read_text()


def test_resuming_a_finished_run_fits_nothing_and_changes_nothing(run, monkeypatch):
    before = {name: (run / name).read_bytes() for name in FILES if name.endswith((".md", ".csv"))}
    monkeypatch.setattr(
        "sklearn.pipeline.Pipeline.fit", lambda *a, **k: pytest.fail("a finished fit was repeated")
    )
    assert main(["mori2025", "--quick", "--resume", "--out", str(run)]) == 0
    assert {name: (run / name).read_bytes() for name in before} == before


def test_runs_on_a_manifest(tmp_path, capsys):
    wfdb = pytest.importorskip("wfdb")
    simulated = ck.datasets.make_cohort("mori2025", n_patients=24, random_state=0)
    for i, signal in enumerate(simulated.X["signal"]):
        wfdb.wrsamp(
            f"r{i}",
            fs=500,
            units=["mV"] * 12,
            sig_name=simulated.info["lead_names"],
            p_signal=signal.T.astype(float),
            fmt=["16"] * 12,
            write_dir=str(tmp_path),
        )
    table = simulated.X[["qrs_duration_ms", "lbbb"]].assign(
        patient=simulated.groups, signal=[f"r{i}" for i in range(24)], responder=simulated.y
    )
    table.to_csv(tmp_path / "cohort.csv", index=False)
    arguments = ["mori2025", "--data", str(tmp_path / "cohort.csv"), "--seeds", "2"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "Real data, cohort: 24 records of 24 patients" in capsys.readouterr().out
    report = (tmp_path / "out" / "report.md").read_text()
    assert "SIMULATED" not in report
    assert "Left out, Guideline class I" in report


def test_a_cohort_without_a_usable_signal_is_refused(make_signals):
    X = pd.DataFrame({"signal": list(make_signals(4, 12, 1000))})
    with pytest.raises(ValueError, match="None of 4 records passes the signal-quality check"):
        leave_out_unusable(ck.Cohort(X, [0, 1] * 2, range(4), {"sampling_rate": 500}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent.csv"], "is not a file"),
        (["--data", "{folder}"], "no WFDB header"),
        (["--seeds", "0"], "seeds must be"),
    ],
)
def test_bad_input_ends_with_its_message(tmp_path, capsys, arguments, message):
    arguments = [a.format(folder=tmp_path) for a in arguments]
    out = tmp_path / "out"
    assert main(["mori2025", "--quick", *arguments, "--out", str(out)]) == 2
    assert message in capsys.readouterr().err


def test_signals_without_quality_are_left_out_and_counted(make_signals):
    signals = list(make_signals(6, 12, 2000))
    t = np.arange(2000) / 500
    good = [0.02 * s + np.sin(2 * np.pi * 1.5 * t).astype("f4") for s in signals]
    good[2] = np.zeros((12, 2000), "f4")
    X = pd.DataFrame({"signal": good})
    info = {
        "sampling_rate": 500,
        "name": "six",
        "flow": {"in the manifest": 7, "short": -1, "read": 6},
    }
    cohort, flow = leave_out_unusable(ck.Cohort(X, [0, 1] * 3, range(6), info))
    assert len(cohort) == 5
    assert [count for _, count in flow] == [7, -1, -1, 5]


def test_a_cohort_without_clinical_columns_still_has_its_tables(tmp_path, capsys):
    simulated = ck.datasets.make_cohort("mori2025", n_patients=24, random_state=0)
    np.save(tmp_path / "signals.npy", np.stack(simulated.X["signal"]))
    table = pd.DataFrame(
        {
            "patient": simulated.groups,
            "ecg": [f"signals.npy#{i}" for i in range(24)],
            "responder": simulated.y,
        }
    )
    table.to_csv(tmp_path / "bare.csv", index=False)
    arguments = ["mori2025", "--data", str(tmp_path / "bare.csv"), "--signal", "ecg"]
    out = ["--seeds", "1", "--out", str(tmp_path / "out")]
    assert main([*arguments, *out]) == 2
    assert "--fs" in capsys.readouterr().err
    assert main([*arguments, "--fs", "500", *out]) == 0
    report = (tmp_path / "out" / "report.md").read_text()
    assert "no clinical columns" in report
    row = pd.read_csv(tmp_path / "out" / "table2.csv", index_col="model").loc["LightGBM"]
    assert row["AUC"].endswith("± –")  # one seed has no SD


def test_the_output_folder_is_checked_before_anything_is_fitted(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["mori2025", "--quick", "--out", str(tmp_path / "file" / "x")]) == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("info", "option", "asks"),
    [
        ({}, None, True),
        ({}, "CRT response", True),
        ({}, "nonresponder", False),
        ({}, "not responding", False),
        ({}, "sinus rhythm", False),
        ({"label": "responder"}, None, True),
        ({"label": "not normal"}, None, False),
    ],
)
def test_published_figures_belong_beside_response_only(info, option, asks):
    cohort, options = SimpleNamespace(info=info), SimpleNamespace(label=option)
    assert asks_response(cohort, options) is asks


# -- pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A manifest of 24 small pages; those of responders have inverted beats in V1 to V6."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    responder = np.arange(24) % 2
    time = np.arange(1000) / 100
    signals = np.exp(-0.5 * ((time % 0.8 - 0.4) / 0.03) ** 2) * rng.uniform(0.3, 1, (24, 12, 1))
    signals[responder == 1, 6:] *= -1
    for i, page in enumerate(ECGRenderer(fs=100, size=(120, 160)).fit_transform(signals)):
        Image.fromarray(page).save(folder / f"{i}.png")
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(24)], "patient": range(24)})
    table.assign(responder=responder, normal=responder).to_csv(folder / "c.csv", index=False)
    return folder / "c.csv"


def on_pages(manifest, out, *more):
    small = {"pixels": 32, "width": 8, "epochs": 2, "pretrain-epochs": 1, "seeds": 1}
    small = [text for name, value in small.items() for text in (f"--{name}", str(value))]
    return main(
        ["mori2025", "--data", str(manifest), "--image", "image", "--out", str(out), *small, *more]
    )


@pytest.fixture(scope="module")
def pages_run(pages, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages_run") / "out"
    assert on_pages(pages, out) == 0
    return out


def test_pages_give_the_image_models_and_where_they_look(pages_run):
    tables = {*TABLES, *OF_PAGES, "gradcam_published"} - {"tableS3", "table1"}
    expected = {f"{name}.{kind}" for name in tables for kind in ("md", "csv")} | {"figure3.png"}
    assert expected <= {path.name for path in pages_run.iterdir()}
    assert not (pages_run / "tableS3.md").exists()  # LightGBM had no signal
    table = pd.read_csv(pages_run / "table2.csv", index_col="model")
    assert "±" in table.loc["SSL + ResNet-18", "AUC"]
    assert "±" in table.loc["ResNet-18 from scratch", "AUC"]
    # From scratch it stands for the paper's ResNet-18; LightGBM has no signal here.
    assert table.index[table["AUC"] == "not run"].tolist() == ["LightGBM"]
    assert "Size small: pages of 32 x 32" in (pages_run / "table2.md").read_text()
    regions = pd.read_csv(pages_run / "gradcam_published.csv", index_col="region")
    assert regions["count"].tolist() == ["13 of 36", "16 of 36", "7 of 36"]
    kept = json.loads((pages_run / "results.json").read_text())["grad_cam"]
    assert kept["model"] == "SSL + ResNet-18"
    assert "mean_share_on_no_lead" in kept
    assert sum(row["count"] for row in kept["regions"]) <= kept["n_records"] == 2
    assert "at least 0.667" in (pages_run / "gradcam.md").read_text()
    assert len(pd.read_csv(pages_run / "gradcam_leads.csv")) == 12
    with Image.open(pages_run / "figure3.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_table_s1_has_the_parameters_that_were_used(pages_run):
    table = pd.read_csv(pages_run / "tableS1.csv", index_col="parameter", dtype=str)["ours"]
    assert table["max_epochs"] == "1"
    assert table["width"] == "8"
    assert table["temperature"] == "0.1"
    assert table["augment: mirror"] == "0.0"
    assert "928 files, 491" in (pages_run / "tableS1.md").read_text()


def test_another_label_leaves_the_papers_figures_out(pages, tmp_path):
    out = tmp_path / "out"
    assert on_pages(pages, out, "--label", "normal") == 0
    report = (out / "report.md").read_text()
    for figure in ("0.669", "78.5", "13 of 36", "346", "Printed"):
        assert figure not in report
    assert "answer another question" in report
    assert "nan" not in (out / "table2.md").read_text()
    table = pd.read_csv(out / "table2.csv", index_col="model")
    assert not [name for name in table.columns if "published" in name]
    assert {"ResNet-18", "LightGBM"}.isdisjoint(table.index)
    results = json.loads((out / "results.json").read_text())
    assert not results["published"]
    assert "published_count" not in results["grad_cam"]["regions"][0]


def test_grad_cam_is_of_the_network_that_was_evaluated(pages, tmp_path, monkeypatch):
    cohort = ck.read_manifest(pages, image="image", label="responder", group="patient")
    network = {"width": 8, "max_epochs": 2}
    models = study.pipelines(size=(32, 32), resnet=network, simclr={"max_epochs": 1})
    models = {"SSL + ResNet-18": models["SSL + ResNet-18"]}
    result = ck.evaluate(models, cohort, seeds=1, reference_rows=False, random_state=3)
    seen = {}

    class Stop(Exception):
        pass

    def grad_cam(network, pages, **options):
        seen["proba"] = network.predict_proba(pages)[:, 1]
        raise Stop

    monkeypatch.setattr(mori2025_maps, "grad_cam", grad_cam)
    options = SimpleNamespace(layout=None, stage="layer3", device="cpu")
    with pytest.raises(Stop):
        mori2025_maps.explain_positives(Output(tmp_path, "t", "s"), cohort, result, options, True)
    positive = result.predictions[cohort.y[result.predictions["row"]] == 1]
    np.testing.assert_allclose(seen["proba"], positive["score"], atol=1e-5)
