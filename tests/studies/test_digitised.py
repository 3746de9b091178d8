"""One folder of pages feeds every ECG study: pages are digitised once, filled, and measured."""

import numpy as np
import pandas as pd
import pytest

import crtkit as ck
from crtkit.datasets import make_cohort, render_cohort
from crtkit.studies.digitised import digitised_cohort, whole_leads
from crtkit.studies.run import run_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty simulated patients' pages, and their table."""
    folder = tmp_path_factory.mktemp("pages")
    cohort = make_cohort("mori2025", n_patients=20, random_state=0)
    pages = render_cohort(cohort, folder, px_per_mm=4.5)
    table = pages.X[["age", "male", "ischaemic", "image"]]
    table.assign(responder=pages.y, patient=pages.groups).to_csv(
        folder / "manifest.csv", index=False
    )
    return folder, cohort


def test_pages_become_signals_once(folder, tmp_path):
    place, cohort = folder
    pages = ck.read_manifest(
        place / "manifest.csv", label="responder", group="patient", image="image"
    )
    done = digitised_cohort(pages, cache=tmp_path)
    assert len(done) >= 18
    assert done.info["sampling_rate"] == 500
    assert "qrs_duration_ms" in done.X
    where = [pages.X["image"].tolist().index(path) for path in done.X["image"]]
    true = ck.Select("signal").fit_transform(cohort.X)[where][:, :, :5000]
    read = np.stack(done.X["signal"].to_list())
    assert np.isfinite(read).all()
    # What is printed is read; the rest is the lead's own beat, at the page's own rate.
    quarter = slice(300, 1200)
    left = np.sqrt(((read[:, :3, quarter] - true[:, :3, quarter]) ** 2).mean(axis=2))
    assert np.median(left / true[:, :3, quarter].std(axis=2)) < 0.35
    again = digitised_cohort(pages, cache=tmp_path)
    np.testing.assert_array_equal(read, np.stack(again.X["signal"].to_list()))
    assert len(list(tmp_path.glob("digitised_*.npz"))) == 1
    pd.testing.assert_frame_equal(again.info["digitised"], done.info["digitised"])
    np.testing.assert_array_equal(done.y, pages.y[where])


def test_refused_pages_are_counted(folder, tmp_path):
    place, _ = folder
    table = pd.read_csv(place / "manifest.csv").head(4)
    blank = tmp_path / "blank.png"
    from PIL import Image

    Image.new("RGB", (600, 400), "white").save(blank)
    table.loc[1, "image"] = str(blank)
    table.to_csv(tmp_path / "manifest.csv", index=False)
    pages = ck.read_manifest(
        tmp_path / "manifest.csv", label="responder", group="patient", image="image"
    )
    done = digitised_cohort(pages)
    assert done.info["flow"]["pages that the digitizer refused"] <= -1
    assert str(blank) not in done.X["image"].tolist()
    assert done.info["digitised"]["reason"].notna().sum() == 4 - len(done)
    with pytest.raises(ValueError, match="None of 1 pages can be digitised"):
        digitised_cohort(pages.take([1]))


def test_leads_are_filled_with_their_own_beats():
    rng = np.random.default_rng(0)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.02) ** 2)
    leads = rng.uniform(0.3, 1, (12, 1)) * beat
    page = np.full((12, 5000), np.nan)
    for i in range(12):
        page[i, 1250 * (i // 3) : 1250 * (i // 3 + 1)] = leads[
            i, 1250 * (i // 3) : 1250 * (i // 3 + 1)
        ]
    full = whole_leads(page)
    printed = np.isfinite(page)
    np.testing.assert_array_equal(full[printed], page[printed].astype(np.float32))
    assert np.abs(full - leads).max() < 0.1
    page[4] = np.nan
    assert np.isnan(whole_leads(page)[4]).all()
    with pytest.raises(ValueError, match="beats were seen"):
        whole_leads(np.full((12, 5000), np.nan))
    with pytest.raises(ValueError, match="beats were seen"):
        whole_leads(np.zeros((12, 600)))


@pytest.mark.slow
@pytest.mark.parametrize("study", ["mori2025", "he2023", "lvsd2026"])
def test_every_study_takes_a_folder_of_pages(study, folder, tmp_path):
    small = {"pixels": 32, "width": 8, "epochs": 1, "pretrain_epochs": 1}
    options = small if study == "mori2025" else {}
    text = run_study(study, ["--quick"], data=folder[0], out=tmp_path, seeds=1, **options)
    assert "Real data" in text
    assert "Logistic on measurements" in text
    if study == "mori2025":
        assert "LightGBM" in text
        assert "ResNet-18 from scratch" in text
