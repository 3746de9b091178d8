"""Report pages: what is unpacked is what the table says, and nothing else."""

import csv
import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from crtkit import ECGRenderer, JPEGLoader
from crtkit.cohort import Cohort
from crtkit.datasets import load_ecg_images, make_cohort, render_cohort
from crtkit.images import EDAN_SE3, render_page

LABELS = {
    "normal/a.jpg": ("normal", "17"),
    "normal/b.jpg": ("normal", "18"),
    "mi/c.jpg": ("myocardial_infarction", "18"),
    "abnormal/d.jpg": ("abnormal_heartbeat", "017"),
}


def jpeg(shade):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def make_folder(tmp_path):
    """Write a small folder in the layout of the data set."""

    def make(damage=(), leave_out=(), extra=()):
        folder = tmp_path / "data"
        folder.mkdir()
        with tarfile.open(folder / "images.tar.xz", "w:xz") as tar:
            for i, name in enumerate(LABELS):
                data = jpeg(10 * i)
                if name in leave_out:
                    continue
                if name in damage:
                    data = data[:-1] + b"x"
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            for member in extra:
                tar.addfile(member, io.BytesIO(b"x" * member.size))
        with open(folder / "labels.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["file", "label", "sha256", "bytes", "printed_id_ocr"]
                + ["printed_heart_rate_ocr", "lead_off_ocr"]
            )
            for i, (name, (label, printed)) in enumerate(LABELS.items()):
                data = jpeg(10 * i)
                digest = hashlib.sha256(data).hexdigest()
                writer.writerow([name, label, digest, len(data), printed, "71" if i else "", i % 2])
        return folder

    return make


def test_pages_are_unpacked_checked_and_found_again(make_folder, tmp_path):
    folder, cache = make_folder(), tmp_path / "pages"
    cohort = load_ecg_images(folder, cache_dir=cache)
    assert cohort.y.tolist() == [label for label, _ in LABELS.values()]
    assert cohort.groups.tolist() == ["17", "18", "18", "017"]
    assert cohort.info["source"] == "real"
    assert cohort.info["flow"]["printed IDs with several classes"] == 1
    np.testing.assert_array_equal(cohort.X["printed_heart_rate"], [np.nan, 71, 71, 71])
    pages = JPEGLoader(size=(48, 64)).fit_transform(cohort.X["image"])
    np.testing.assert_allclose(pages[:, 0, 0, 0], [0, 10, 20, 30], atol=3)
    (folder / "images.tar.xz").unlink()
    again = load_ecg_images(folder, cache_dir=cache, label="binary")
    assert again.X.equals(cohort.X)
    assert again.y.tolist() == [0, 0, 1, 1]
    assert load_ecg_images(cache_copy(folder, cache)).y.tolist() == cohort.y.tolist()
    assert not list(cache.rglob("*.part"))


def cache_copy(folder, cache):
    """The unpacked pages with the table beside them, as another user may have them."""
    (cache / "labels.csv").write_bytes((folder / "labels.csv").read_bytes())
    return cache


def test_a_temporary_folder_serves_one_process(make_folder):
    folder = make_folder()
    first, second = load_ecg_images(folder), load_ecg_images(folder)
    assert first.X.equals(second.X)
    assert not first.X["image"].iloc[0].startswith(str(folder))


def test_a_page_that_was_cut_short_is_unpacked_anew(make_folder, tmp_path):
    folder, cache = make_folder(), tmp_path / "pages"
    load_ecg_images(folder, cache_dir=cache)
    (cache / "mi/c.jpg").write_bytes(b"")
    load_ecg_images(folder, cache_dir=cache)
    assert (cache / "mi/c.jpg").read_bytes() == jpeg(20)


def test_damage_and_gaps_are_named(make_folder, tmp_path):
    folder = make_folder(damage=["mi/c.jpg"])
    with pytest.raises(ValueError, match=r"c\.jpg: its SHA-256"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages")
    assert not (tmp_path / "pages/mi/c.jpg").exists()


def test_missing_pages_are_named(make_folder, tmp_path):
    folder = make_folder(leave_out=["normal/b.jpg"])
    with pytest.raises(FileNotFoundError, match=r"lacks 1 page\(s\) of the table: normal/b\.jpg"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages")
    (folder / "images.tar.xz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages2")
    (folder / "images.tar.xz").unlink()
    with pytest.raises(FileNotFoundError, match=r"4 page\(s\)"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages3")


def test_an_archive_cannot_write_elsewhere(make_folder, tmp_path):
    link = tarfile.TarInfo("normal/a.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "../../../stolen"
    climb = tarfile.TarInfo("../climbed.jpg")
    climb.size = 4
    folder = make_folder(leave_out=["normal/a.jpg"], extra=[link, climb])
    with pytest.raises(FileNotFoundError, match=r"normal/a\.jpg"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages")
    assert not (tmp_path / "climbed.jpg").exists()
    assert not (tmp_path / "pages/normal/a.jpg").is_symlink()
    table = (folder / "labels.csv").read_text().replace("normal/b.jpg", "../b.jpg")
    (folder / "labels.csv").write_text(table)
    with pytest.raises(ValueError, match="outside its folder"):
        load_ecg_images(folder, cache_dir=tmp_path / "pages")


def test_arguments_are_checked(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="'class' or 'binary'"):
        load_ecg_images(tmp_path, label="lbbb")
    with pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        load_ecg_images(tmp_path)
    monkeypatch.delenv("CRTKIT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="CRTKIT_DATA"):
        load_ecg_images()
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,normal\n")
    with pytest.raises(ValueError, match="sha256"):
        load_ecg_images(tmp_path)


def test_the_real_pages(data_dir, tmp_path):
    cohort = load_ecg_images(data_dir / "ecg_images_mendeley", cache_dir=tmp_path)
    assert len(cohort) == 431
    assert cohort.n_patients == 269
    assert cohort.info["flow"]["printed IDs with several classes"] == 52
    assert dict(zip(*np.unique(cohort.y.astype(str), return_counts=True))) == {
        "normal": 122,
        "abnormal_heartbeat": 208,
        "myocardial_infarction": 26,
        "history_of_mi": 75,
    }
    page = np.asarray(Image.open(cohort.X["image"].iloc[0]))
    assert page.shape == (1572, 2213, 3)
    # The cardiograph draws a bar where a row goes from lead to lead: our geometry must know where.
    bars = np.flatnonzero((page[450:1100].max(axis=2) < 100).mean(axis=0) > 0.8)
    edges = [edge for _, (edge, *_) in EDAN_SE3.lead_boxes(rhythm=False)[1:4]]
    for edge in edges:
        assert np.abs(bars - edge * 2213).min() < 3


@pytest.fixture(scope="module")
def simulated():
    return make_cohort("mori2025", n_patients=6, random_state=0)


def test_rendered_cohort_keeps_records_and_gives_the_same_bytes(simulated, tmp_path):
    cohort = render_cohort(simulated, tmp_path / "one", px_per_mm=3)
    again = render_cohort(simulated, tmp_path / "two", px_per_mm=3)
    assert isinstance(cohort, Cohort)
    assert cohort.X.drop(columns="image").equals(simulated.X)
    np.testing.assert_array_equal(cohort.groups, simulated.groups)
    assert cohort.info["pages"] == {"quality": 90, "layout": "3x4+II", "px_per_mm": 3.0}
    assert "pages" not in simulated.info
    for a, b in zip(cohort.X["image"], again.X["image"]):
        with open(a, "rb") as one, open(b, "rb") as two:
            assert one.read() == two.read()
    size = (158, 222)
    drawn = ECGRenderer(px_per_mm=3, size=size).fit_transform(np.stack(simulated.X["signal"]))
    loaded = JPEGLoader(size=size).fit_transform(cohort.X["image"])
    assert np.abs(drawn.astype(int) - loaded).mean() < 4
    assert not list(tmp_path.rglob("*.part"))


def test_simulated_pages_say_so_wherever_they_are_cropped(tmp_path):
    simulated = make_cohort("mori2025", n_patients=4, random_state=0)
    real = type(simulated)(
        simulated.X, simulated.y, simulated.groups, {**simulated.info, "source": "real"}
    )
    pair = (render_cohort(c, tmp_path / c.info["source"], px_per_mm=4) for c in (simulated, real))
    marked, plain = (np.asarray(Image.open(c.X["image"].iloc[0])).astype(int) for c in pair)
    apart = np.abs(marked - plain).max(axis=2) > 15
    height, width = apart.shape
    for part in (apart[: height // 2], apart[height // 2 :], apart[:, : width // 3]):
        assert part.mean() > 0.005
    dark = plain.max(axis=2) < 90  # the trace stays as it was
    assert np.abs(marked - plain)[dark].mean() < 12


def test_every_record_may_have_its_header(simulated, tmp_path):
    headers = [f"ID {g}" for g in simulated.groups]
    cohort = render_cohort(simulated, tmp_path, header=headers, px_per_mm=2, quality=95)
    page, _ = render_page(simulated.X["signal"].iloc[3], 500, header=headers[3], px_per_mm=2)
    shown = np.asarray(Image.open(cohort.X["image"].iloc[3]))
    assert np.abs(shown.astype(int) - page).mean() < 6
    with pytest.raises(ValueError, match="6, one per record, got 2"):
        render_cohort(simulated, tmp_path, header=headers[:2])


def test_what_cannot_be_rendered_is_named(simulated, tmp_path):
    with pytest.raises(ValueError, match="quality"):
        render_cohort(simulated, tmp_path, quality=101)
    with pytest.raises(ValueError, match="column"):
        render_cohort(simulated, tmp_path, column="ecg")
    bare = Cohort(simulated.X, simulated.y, simulated.groups, {})
    with pytest.raises(ValueError, match="sampling rate"):
        render_cohort(bare, tmp_path)
    paths = Cohort(
        simulated.X.assign(signal="a.hea"), simulated.y, simulated.groups, simulated.info
    )
    with pytest.raises(ValueError, match="read_manifest"):
        render_cohort(paths, tmp_path)
    assert not list(tmp_path.iterdir())
