"""Own weights of ECG-FM: who is in the pool, what the tables say, what was committed."""

import json
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import ecgfm_pretraining as study
from benchmarks._ecgfm_report import few_labels, report
from benchmarks._open_ecgs import pool
from benchmarks._real_ecgs import read_shard
from benchmarks.prose import page_text
from crtkit.neural.ecgfm import checkpoint_hash

RESULTS = Path(study.__file__).parent / "results" / "ecgfm_pretraining" / "results.json"


def test_a_shard_gives_back_what_was_stored(tmp_path):
    x = np.random.default_rng(0).integers(-3000, 3000, size=(2, 12, 50)).astype(np.int32)
    stored = x.copy()
    one, two = x[:, 0], x[:, 1]
    for lead, law in (
        (2, two - one),
        (3, -((one + two) // 2)),
        (4, (2 * one - two) // 2),
        (5, (2 * two - one) // 2),
    ):
        stored[:, lead] = x[:, lead] - law
    for lead in (0, 1, 6, 7, 8, 9, 10, 11):
        stored[:, lead, 1:] = np.diff(x[:, lead], axis=1)
    with lzma.open(tmp_path / "shard.npy.xz", "wb") as file:
        np.save(file, stored.astype(np.int16))
    np.testing.assert_array_equal(read_shard(tmp_path / "shard.npy.xz"), x)


@pytest.mark.slow
def test_no_test_patient_is_in_the_pool(data_dir):
    signals, patients, table = pool(data_dir, 100)
    assert signals.shape == (len(table), 12, 1000)
    labels = pd.read_csv(data_dir / "ptbxl_500hz" / "labels.csv")
    tested = labels.loc[labels["strat_fold"] == 10, "patient_id"]
    tested = tested[tested % 2 == 1]
    copies = labels.loc[labels["patient_id"].isin(tested), "sha256_dat"]
    copies = labels.loc[labels["sha256_dat"].isin(copies), "ecg_id"]
    challenge = pd.read_csv(data_dir / "ecg12_physionet2021" / "labels.csv")["record"]
    ids = [int(name[2:]) for name in challenge if name.startswith("HR")]
    tested = {*tested, *labels.loc[labels["ecg_id"].isin(ids), "patient_id"]}
    assert not {f"PTB-XL {patient:.0f}" for patient in tested} & set(patients)
    assert not set(copies) & set(table.loc[table["source"] == "PTB-XL", "record"])
    assert len(np.unique(signals.reshape(len(signals), -1), axis=0)) == len(signals)
    assert (table["patient"].to_numpy() == patients).all()


def _row(part, auc, resampled, **asked):
    return {
        "part": part,
        **asked,
        "auc": auc,
        "resampled": resampled,
        "n_positive": 3,
        "n_tested": 9,
    }


def test_gains_are_paired_and_the_untrained_are_averaged():
    asked = {"label": "NORM", "n": 100, "embedding": "last"}
    rows = [
        _row("probe", [0.8, 0.82], [0.79, 0.80, 0.84], **asked, network="untrained 0"),
        _row("probe", [0.84, 0.86], [0.83, 0.84, 0.88], **asked, network="untrained 1"),
        _row("probe", [0.9, 0.92], [0.89, 0.90, 0.94], **asked, network="crtkit-small"),
        _row("way", [0.7, 0.8], [0.7, 0.8, 0.75], leads="12 leads", n=50, way="scratch, full"),
        _row("way", [0.8, 0.8], [0.8, 0.9, 0.85], leads="12 leads", n=50, way="full"),
        _row("way", [0.7, 0.8], [0.7, 0.8, 0.75], leads="4 channels", n=50, way="full"),
    ]
    tables = report(rows)
    gain = tables["gain"].iloc[0]
    assert gain["difference"] == pytest.approx(0.91 - 0.83)
    assert gain["ci_low"] == pytest.approx(0.08)
    assert gain["ci_high"] == pytest.approx(0.08)
    untrained = tables["probe"].set_index("network").loc["untrained"]
    assert untrained["auc"] == pytest.approx(0.83)
    asked = {"label": "NORM", "n": 50, "embedding": "layers"}
    more = [{**row, **asked} for row in rows if row["part"] == "probe"]
    wide = few_labels(report([*rows, *more]))
    assert wide.index.tolist() == [("NORM", 50)]
    assert wide["gain of crtkit-small"].tolist() == ["+0.080 (0.080 to 0.080)"]
    assert wide["untrained"].tolist() == ["0.830"]
    assert len(tables["ways"]) == 3
    channels = tables["channels"].iloc[0]
    assert (channels["way"], channels["leads"], channels["n"]) == ("full", "4 channels", 50)
    assert channels["difference"] == pytest.approx(-0.05)
    assert channels["ci_low"] == pytest.approx(-0.1)
    assert tables["ways_gain"]["difference"].tolist() == pytest.approx([0.05])


def test_draws_hold_positives_and_only_candidates():
    y = np.zeros(500, dtype=int)
    y[:20] = 1
    candidates = np.arange(0, 500, 2)
    rows = study.draw(y, candidates, 50, seed=0)
    assert len(set(rows)) == 50
    assert set(rows) <= set(candidates)
    assert y[rows].sum() == study.MIN_POSITIVE
    assert set(rows) != set(study.draw(y, candidates, 50, seed=1))


def test_resamples_are_of_patients():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 2).astype(str)
    tested = {"even": np.arange(40) < 10, "patients": patients}
    y, scores = np.tile([0, 0, 1, 1], 10), rng.normal(size=(2, 30))
    out = study.aucs(scores, y, tested)
    assert out["auc"] == pytest.approx([roc_auc_score(y[10:], score) for score in scores])
    assert out["n_tested"] == 30
    assert out["n_positive"] == y[10:].sum()
    assert len(out["resampled"]) == study.BOOTSTRAP
    # A patient's records go together: of two that always share a class and score, nothing changes
    # when one is left out.
    again = study.aucs(scores, y, tested)
    assert again["resampled"] == out["resampled"]


def test_a_journal_goes_on_where_it_stopped(tmp_path):
    calls = []

    def double(part, n):
        calls.append(n)
        return {"auc": 2 * n}

    tasks = [{"part": "a", "n": n} for n in range(3)]
    journal = study.Journal(tmp_path / "j.jsonl", {study.SELF_SUPERVISED: "a"})
    journal.run(tasks[:2], double)
    journal = study.Journal(tmp_path / "j.jsonl", {study.SELF_SUPERVISED: "a"})
    journal.run(tasks, double)
    assert calls == [0, 1, 2]
    assert [row["auc"] for row in journal.rows] == [0, 2, 4]
    # Other weights: what started from them is asked again, what started from none is kept.
    journal.run([{"part": "way", "way": "scratch, full"}], lambda part, way: {"auc": 1})
    kept = study.Journal(tmp_path / "j.jsonl", {study.SELF_SUPERVISED: "b"}).rows
    assert [row["part"] for row in kept] == ["way"]


def test_a_journal_of_other_options_is_refused(tmp_path):
    path, task = tmp_path / "j.jsonl", [{"network": "FCN"}]
    study.Journal(path, {}).run(task, lambda network: {"auc": 0.5})
    journal = study.Journal(path, {}, made_with={"n": 500})  # one of before says nothing
    assert len(journal.rows) == 1
    with pytest.raises(ValueError, match="made with {'n': 500}, asked for are {'n': 1000}"):
        study.Journal(path, {}, made_with={"n": 1000})
    assert len(study.Journal(path, {}, made_with={"n": 500}).rows) == 1


def test_the_committed_figures_are_of_the_shipped_weights():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, digest in results["settings"]["weights"].items():
        assert checkpoint_hash(name) == digest
    assert results["environment"]["versions"]["torch"]
    probe = pd.DataFrame(results["probe"])
    assert set(probe["network"]) == {"untrained", "crtkit-small", "crtkit-small-labels"}
    assert set(probe["label"]) == set(study.LABELS)
    assert ((probe["ci_low"] < probe["auc"]) & (probe["auc"] < probe["ci_high"])).all()
    # The page in the docs quotes these.
    page = page_text(study.HERE.parent / "docs" / "ecgfm.rst")
    norm = probe[(probe["label"] == "NORM") & (probe["n"] == 100)]
    assert all(f"{value:.3f}" in page for value in norm["auc"])
