"""ssl_pages: the statistics of its crossed design, and the command on a few small pages."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import f_oneway, kstest, levene

from benchmarks import ssl_pages
from benchmarks.__main__ import main
from benchmarks._ssl_spread import ARMS, cells, comparison, components, sd_interval, swap_test
from crtkit.evaluation import PoolLeakError
from crtkit.images import ECGRenderer

FILES = {
    *(f"{name}.{kind}" for name in ("auc", "comparison", "components") for kind in ("md", "csv")),
    *("auc.png", "report.md", "results.json", "journal.jsonl", "encoders"),
}


def crossed(split_sd, seed_sd, n_splits=400, n_repeats=3, seed=0):
    """Fits of both arms with known components; SimCLR's are half as large, and 0.1 higher."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, scale, mean in zip(ARMS, (1, 0.5), (0.7, 0.8)):
        split = split_sd * rng.standard_normal((n_splits, 1))
        values = mean + scale * (split + seed_sd * rng.standard_normal((n_splits, n_repeats)))
        rows += [
            {"arm": arm, "fraction": 0.1, "split": i, "repeat": j, "roc_auc": values[i, j]}
            for i in range(n_splits)
            for j in range(n_repeats)
        ]
    return pd.DataFrame(rows)


def test_components_are_found_again():
    table = components(crossed(0.03, 0.01))
    row = table.loc[(0.1, "From scratch")]
    assert row["split_sd"] == pytest.approx(0.03, rel=0.1)
    assert row["seed_sd"] == pytest.approx(0.01, rel=0.1)
    assert row["split_share"] == pytest.approx(0.9, abs=0.03)
    assert row["share_low"] < 0.9 < row["share_high"]
    assert row["seed_low"] < 0.01 < row["seed_high"]
    assert table.loc[(0.1, "SimCLR"), "split_sd"] == pytest.approx(0.015, rel=0.1)


def test_the_share_reaches_zero_where_the_anova_is_at_its_critical_value():
    """The interval of the share is that of the F test: it leaves 0 just when p < 0.025."""
    for seed in range(30):
        fits = crossed(0.01, 0.02, n_splits=5, n_repeats=2, seed=seed)
        part = fits[fits["arm"] == "SimCLR"].pivot(
            index="split", columns="repeat", values="roc_auc"
        )
        p = f_oneway(*part.to_numpy()).pvalue
        low = components(fits).loc[(0.1, "SimCLR"), "share_low"]
        assert (low > 0) == (p < 0.025)


def test_intervals_of_components_cover_as_they_say():
    found = [
        components(crossed(0.02, 0.02, n_splits=5, n_repeats=2, seed=s)).loc[(0.1, "From scratch")]
        for s in range(150)
    ]
    covered = np.mean([r["share_low"] <= 0.5 <= r["share_high"] for r in found])
    assert 0.9 <= covered <= 0.99
    covered = np.mean([r["seed_low"] <= 0.02 <= r["seed_high"] for r in found])
    assert 0.9 <= covered <= 0.99


def test_comparison_of_mean_and_spread():
    fits = crossed(0.03, 0.01, n_splits=40)
    row = comparison(fits, 0.25).loc[0.1]
    wide = {arm: fits.loc[fits["arm"] == arm, "roc_auc"].to_numpy() for arm in ARMS}
    assert row["difference"] == pytest.approx(wide[ARMS[1]].mean() - wide[ARMS[0]].mean())
    assert row["ci_low"] < 0.1 < row["ci_high"]
    assert row["sd_ratio"] == pytest.approx(wide[ARMS[1]].std() / wide[ARMS[0]].std())
    assert row["sd_low"] < 0.5 < row["sd_high"] < 1
    assert row["brown_forsythe_p"] == pytest.approx(levene(*wide.values()).pvalue)
    assert row["seed_ratio"] == pytest.approx(0.5, rel=0.2)
    assert row["seed_ratio_low"] < 0.5 < row["seed_ratio_high"] < 1
    assert row["seed_p"] == row["seed_p_holm"] < 0.001
    table = cells(fits)
    assert table.loc[(0.1, "SimCLR"), "sd"] == pytest.approx(wide["SimCLR"].std(ddof=1))


def test_the_f_test_of_seeds_has_uniform_p_where_they_are_alike():
    p = []
    for seed in range(80):
        fits = crossed(0.05, 0.02, n_splits=5, n_repeats=2, seed=seed)
        mine = fits["arm"] == "SimCLR"
        fits.loc[mine, "roc_auc"] *= 2  # half as large by design
        p.append(comparison(fits, 0.25).loc[0.1, "seed_p"])
    assert kstest(p, "uniform").pvalue > 0.01


def test_the_exact_test_keeps_its_level_and_says_what_it_can_reach():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        a, b = rng.normal(size=(2, 5, 2))
        value, smallest = swap_test(a, b + 3)  # another mean is not evidence of another spread
        p.append(value)
    assert smallest == 1 / 16
    assert min(p) == smallest
    assert np.mean(np.array(p) <= 1 / 8) < 1 / 8 + 0.06
    scattered = rng.normal(size=(8, 2))
    assert swap_test(scattered, 0.01 * scattered) == (1 / 128, 1 / 128)
    assert np.isnan(swap_test(np.ones((3, 2)), scattered[:3])).all()
    many = rng.normal(size=(40, 2))
    assert swap_test(many, 0.1 * many)[0] < 0.01


def test_the_bootstrap_draws_both_arms_of_a_split_together():
    scratch = np.random.default_rng(0).normal(size=(6, 2))
    np.testing.assert_allclose(sd_interval(scratch, 2 * scratch), (2, 2))


def test_a_smaller_share_of_the_labels_is_part_of_a_larger_one():
    groups = np.repeat(np.arange(100), 2)
    y = (groups % 3 == 0).astype(int)
    train = np.arange(0, 180)
    drawn = [ssl_pages.labelled(y, groups, train, f, [0, 1]) for f in (1.0, 0.25, 0.1)]
    assert [len(np.unique(groups[d])) for d in drawn] == [90, 23, 9]
    assert set(drawn[2]) < set(drawn[1]) < set(drawn[0])
    assert all(len(np.unique(y[d])) == 2 for d in drawn)
    other = ssl_pages.labelled(y, groups, train, 0.1, [0, 2])
    assert set(other) != set(drawn[2])


def test_few_labels_get_epochs_added():
    settings = SimpleNamespace(epochs=20, min_steps=200, batch_size=16)
    assert ssl_pages.n_epochs(344, settings) == 20
    assert ssl_pages.n_epochs(34, settings) == 67


def test_auc_of_several_classes_counts_those_never_seen_as_chance():
    y = np.array(["a", "a", "b", "b", "c", "c"])
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5]])
    found = ssl_pages.auc(y, proba, np.array(["a", "b"]))
    assert found == pytest.approx((1 + 1 + 0.5) / 3)
    assert ssl_pages.auc(y[:4], proba[:4], np.array(["a", "b"])) == 1
    assert np.isnan(ssl_pages.auc(y[:2], proba[:2], np.array(["a", "b"])))


# -- the command


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """24 pages of 20 patients, small."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    signals = rng.normal(scale=0.3, size=(24, 12, 1000))
    pages = ECGRenderer(fs=100, size=(120, 160), labels=False).fit_transform(signals)
    for i, page in enumerate(pages):
        Image.fromarray(page).save(folder / f"{i}.png")
    patient = np.r_[np.arange(20), np.arange(4)]
    table = {"image": [f"{i}.png" for i in range(24)], "patient": patient, "responder": patient % 2}
    pd.DataFrame(table).to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def arguments(manifest, out, *more):
    small = {"size": 32, "width": 8, "epochs": 1, "min-steps": 2, "pretrain-epochs": 1, "seeds": 2}
    small = [text for name, value in small.items() for text in (f"--{name}", str(value))]
    data = ["--data", str(manifest), "--image", "image", "--out", str(out)]
    return ["ssl_pages", *data, *small, *more]


@pytest.fixture(scope="module")
def run(manifest, tmp_path_factory):
    out = tmp_path_factory.mktemp("ssl") / "out"
    assert main(arguments(manifest, out)) == 0
    return out


def test_every_file_is_there(run):
    assert {path.name for path in run.iterdir()} == FILES
    (folder,) = (run / "encoders").iterdir()
    assert len(list(folder.iterdir())) == 4  # 2 splits x 2 seeds, not one a fraction
    report = (run / "report.md").read_text()
    assert "Real data, cohort: 24 records of 20 patients" in report
    assert "exact test" in report


def test_the_design_is_crossed_and_both_arms_have_the_same_labels(run):
    results = json.loads((run / "results.json").read_text())
    fits = pd.DataFrame(results["fits"])
    assert len(fits) == 2 * 2 * 2 * 3
    assert fits.groupby(["fraction", "split"])["n_labelled"].nunique().eq(1).all()
    assert fits.groupby(["fraction", "arm"])["roc_auc"].count().eq(4).all()
    stated = pd.DataFrame(results["auc"]).set_index(["fraction", "arm"])["mean"]
    np.testing.assert_allclose(
        stated, fits.groupby(["fraction", "arm"], sort=False)["roc_auc"].mean()
    )
    assert len(results["answer"]) == 3


def test_a_killed_run_goes_on_to_the_same_results(run, manifest, tmp_path, monkeypatch, capsys):
    """Of one split, whose results do not depend on how many there are."""
    real, calls = ssl_pages.fit_cell, []

    def killed(*args):
        calls.append(args[0])
        if len(calls) > 9:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(ssl_pages, "fit_cell", killed)
    out, one = tmp_path / "out", ("--seeds", "1")
    assert main(arguments(manifest, out, *one)) == 130
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(ssl_pages, "fit_cell", lambda *a: (calls.append(a[0]), real(*a))[1])
    assert main(arguments(manifest, out, *one, "--resume")) == 0
    expected = pd.DataFrame(json.loads((run / "results.json").read_text())["fits"])
    expected = expected[expected["split"] == 0].drop(columns=["index", "seconds"])
    found = pd.DataFrame(json.loads((out / "results.json").read_text())["fits"])
    pd.testing.assert_frame_equal(found.drop(columns=["index", "seconds"]), expected)
    finished = [cell for cell in calls[:9] if cell.fraction is not None]
    assert finished
    assert not set(finished) & set(calls[10:])  # what was journalled is not fitted again
    assert "nan" not in (out / "components.md").read_text()  # one split has no components


def test_encoders_of_other_code_are_not_taken_up(manifest, tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(
        ssl_pages, "fit_all", lambda *args: folders.append(args[-2]) or [{}] * len(args[0])
    )
    monkeypatch.setattr(ssl_pages, "write", lambda *args: None)
    for source in ("one", "one", "another"):
        monkeypatch.setattr(ssl_pages, "versions", lambda source=source: {"source": source})
        assert main(arguments(manifest, tmp_path / "out")) == 0
    assert folders[0] == folders[1] != folders[2]


def test_a_page_on_both_sides_is_refused(manifest, tmp_path, capsys):
    table = pd.read_csv(manifest)
    table["patient"] = np.arange(24)
    for i in range(24):
        shutil.copy(manifest.parent / f"{i % 12}.png", tmp_path / f"{i}.png")
    table.to_csv(tmp_path / "copies.csv", index=False)
    assert main(arguments(tmp_path / "copies.csv", tmp_path / "out")) == 2
    assert "were in the pool" in capsys.readouterr().err
    assert issubclass(PoolLeakError, ValueError)


@pytest.mark.parametrize("name", ["--seeds", "--repeats"])
def test_at_least_one_split_and_one_seed(manifest, tmp_path, capsys, name):
    assert main(arguments(manifest, tmp_path / "out", name, "0")) == 2
    assert "at least 1" in capsys.readouterr().err


def test_four_classes_need_the_folder(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main(["ssl_pages", "--four-classes", *out]) == 2
    assert "--data" in capsys.readouterr().err


def test_pages_are_asked_for(tmp_path, capsys):
    from crtkit.datasets import simulate_ecg

    signals = [simulate_ecg("narrow", 90, random_state=i)[0][:, :500] for i in range(4)]
    np.save(tmp_path / "s.npy", np.stack(signals))
    table = {
        "signal": [f"s.npy#{i}" for i in range(4)],
        "patient": range(4),
        "responder": [0, 1] * 2,
    }
    pd.DataFrame(table).to_csv(tmp_path / "c.csv", index=False)
    data = ["--data", str(tmp_path / "c.csv"), "--fs", "500"]
    assert main(["ssl_pages", *data, "--out", str(tmp_path / "out")]) == 2
    assert "--image" in capsys.readouterr().err


# -- the committed run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def committed():
    path = ROOT / "benchmarks" / "results" / "ecg_images_mendeley_ssl" / "results.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_committed_tables_follow_from_the_committed_fits(committed):
    fits = pd.DataFrame(committed["fits"])
    keys = ["fraction", "arm"]
    stored = pd.DataFrame(committed["auc"]).set_index(keys).drop(columns="index", errors="ignore")
    pd.testing.assert_frame_equal(stored, cells(fits), check_exact=False, check_dtype=False)
    stored = pd.DataFrame(committed["components"]).set_index(keys)
    pd.testing.assert_frame_equal(stored, components(fits), check_exact=False)
    against = pd.DataFrame(committed["comparison"]).set_index("fraction")
    again = comparison(fits, 0.25)
    same = ("difference", "sd_ratio", "brown_forsythe_p", "swap_p", "seed_ratio", "seed_p_holm")
    for column in same:
        pd.testing.assert_series_equal(against[column], again[column], check_exact=False)


def test_the_docs_say_what_was_found(committed):
    page = " ".join(
        (ROOT / "docs" / "studies" / "mori2025.rst").read_text(encoding="utf-8").split()
    )
    assert committed["answer"]
    assert ".. include:: ../generated/answer_ecg_images_mendeley_ssl.inc" in page
    assert "928 files, 491 of them distinct" in page
