"""A pool must not hold pages or patients of the test records."""

import io
import re
import tarfile
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.frozen import FrozenEstimator

from crtkit.cohort import Cohort
from crtkit.datasets import make_cohort
from crtkit.evaluation import check_pool
from crtkit.evaluation.leaks.pool import PoolLeakError
from crtkit.evaluation.leaks.registration import SAME, page_agreement
from crtkit.images import ECGRenderer
from crtkit.neural import SimCLR


@pytest.fixture(scope="module")
def pages():
    """Pages of 24 simulated patients, all on the same form."""
    cohort = make_cohort("mori2025", n_patients=24, random_state=0)
    signals = np.stack([np.asarray(cohort.X["signal"].iloc[i]) for i in range(24)])
    fs = cohort.info["sampling_rate"]
    return ECGRenderer(fs=fs, px_per_mm=3, size=(224, 224)).fit_transform(signals)


def saved_again(page):
    file = io.BytesIO()
    Image.fromarray(page).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def resized(page):
    small = Image.fromarray(page).resize((160, 150), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((224, 224), Image.Resampling.BILINEAR))


def darker(page):
    return np.uint8(page * 0.7)


def grey(page):
    return np.repeat(page.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)


def leaks(pool, test, **params):
    with pytest.raises(PoolLeakError) as error:
        check_pool(pool, test, **params)
    return [(j, name, reason) for j, name, reason in error.value.leaks]


def test_other_patients_on_the_same_form_are_no_leak(pages):
    check_pool(pages[:16], pages[16:])
    check_pool(pages[16:], pages[:16])


def test_equal_pages_are_named(pages):
    test = pages[[20, 3, 21, 7]]
    assert leaks(pages[:16], test) == [(1, "image 3", "equal"), (3, "image 7", "equal")]


def brighter(page):
    return np.uint8(np.clip(page * 1.15, 0, 255))


def turned(page):
    turn = Image.fromarray(page).rotate(1, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
    return np.asarray(turn)


def moved(page):
    by = 0.004 * 224
    return np.asarray(
        Image.fromarray(page).transform(
            (224, 224),
            Image.Transform.AFFINE,
            (1, 0, by, 0, 1, by),
            Image.Resampling.BILINEAR,
            fillcolor=(255, 255, 255),
        )
    )


def cropped(page):
    return np.asarray(Image.fromarray(page[2:-2, 2:-2]).resize((224, 224)))


def cropped_unevenly(page):
    return np.asarray(Image.fromarray(page[6:-3, 2:-7]).resize((224, 224)))


def smaller_on_its_sheet(page):
    by = 224 * (1 - 1 / 0.95) / 2
    return np.asarray(
        Image.fromarray(page).transform(
            (224, 224),
            Image.Transform.AFFINE,
            (1 / 0.95, 0, by, 0, 1 / 0.95, by),
            Image.Resampling.BILINEAR,
            fillcolor=(255, 255, 255),
        )
    )


def test_encoders_tell_of_copies_that_moved(pages):
    """An encoder remembers thumbnails alone: some copies are refused, most are told."""
    encoder = SimCLR(width=8, max_epochs=1, batch_size=8, random_state=0).fit(pages[:16])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_pool(encoder, np.stack([*pages[16:], turned(pages[5])]))
            named = set()
        except PoolLeakError as error:
            named = {(j, name) for j, name, _ in error.leaks}
    for warning in caught:
        text = str(warning.message)
        named |= {(int(j), i) for j, i in re.findall(r"record (\d+) and (image \d+)", text)}
    assert named == {(8, "image 5")}


@pytest.mark.parametrize(
    "change",
    [saved_again, resized, darker, grey, brighter, turned, moved, cropped, cropped_unevenly,
     smaller_on_its_sheet],
)  # fmt: skip
def test_changed_copies_are_found_and_nothing_else(pages, change):
    test = np.stack([*pages[16:], change(pages[5]), change(pages[11])])
    found = leaks(pages[:16], test)
    assert found == [(8, "image 5", "nearly equal"), (9, "image 11", "nearly equal")]


def test_patients_are_found_by_their_groups(pages):
    ids = np.array([f"p{i}" for i in range(16)])
    found = leaks(pages[:16], pages[16:19], pool_groups=ids, groups=["x", "p4", "y"])
    assert found == [(1, "image 4", "same patient")]
    check_pool(pages[:16], pages[16:19], pool_groups=ids, groups=["x", "y", "z"])
    with pytest.raises(ValueError, match="groups="):
        check_pool(pages[:16], pages[16:], pool_groups=ids)
    with pytest.raises(ValueError, match="one patient per record"):
        check_pool(pages[:16], pages[16:], pool_groups=ids[:3], groups=np.arange(8))


def test_an_encoder_remembers_its_pool(pages):
    small = pages[:, ::7, ::7]
    encoder = SimCLR(width=8, max_epochs=1, batch_size=8, random_state=0)
    encoder.fit(small[:16], groups=np.arange(16))
    fresh = np.arange(100, 108)
    check_pool(encoder, small[16:], groups=fresh)
    check_pool(FrozenEstimator(encoder), small[16:], groups=fresh)
    found = leaks(FrozenEstimator(encoder), small[[20, 2]], groups=[100, 101])
    assert found == [(1, "image 2", "equal")]
    assert leaks(encoder, small[16:18], groups=[100, 9])[0][1:] == ("image 9", "same patient")
    with pytest.raises(ValueError, match="Fit it first"):
        check_pool(SimCLR(), small)


def test_files_and_cohorts_are_read(pages, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(20)]
    for path, page in zip(paths, pages):
        Image.fromarray(page).save(path)
    paths = np.array(paths, dtype=object)
    found = leaks(paths[:16], paths[[17, 2]])
    assert found == [(1, paths[2], "equal")]
    with pytest.raises(PoolLeakError, match=rf"record 1 \({paths[2]}\): {paths[2]} of the pool"):
        check_pool(paths[:16], paths[[17, 2]])
    import pandas as pd

    cohort = Cohort(pd.DataFrame({"image": paths[16:]}), np.array([0, 1, 0, 1]), np.arange(4), {})
    check_pool(paths[:16], cohort)
    assert leaks(paths[:16], cohort, pool_groups=np.arange(16) - 13)[0][2] == "same patient"


def test_the_ink_of_two_strangers_does_not_agree(pages):
    strangers = [page_agreement(pages[i], pages[j]) for i, j in ((0, 1), (2, 3), (4, 5), (6, 7))]
    assert max(strangers) < SAME - 0.05
    for change in (saved_again, resized, darker, grey, brighter, turned, moved, cropped):
        assert page_agreement(pages[3], change(pages[3])) > SAME + 0.05
    blank = np.full((224, 224, 3), 255, dtype=np.uint8)
    assert page_agreement(blank, pages[0]) == pytest.approx(0, abs=0.01)
    # Another size of the same page, and its mirror image.
    assert page_agreement(pages[3], pages[3].repeat(2, 0).repeat(2, 1)) > 0.95
    assert page_agreement(pages[3], pages[3][:, ::-1].copy()) < SAME


@pytest.mark.slow
def test_real_pages_and_their_copies(data_dir, tmp_path):
    """Of 431 report pages on one form: copies are found, the most alike of strangers are not."""
    paths = real_pages(data_dir, tmp_path)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(paths))
    pool, test = [paths[k] for k in order[:200]], [paths[k] for k in order[200:240]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_pool(np.array(pool, dtype=object), np.array(test, dtype=object))
    changes = [brighter, turned, moved_full, cropped_full]
    copies = []
    for number, change in enumerate(changes * 3):
        path = tmp_path / f"copy{number}.png"
        Image.fromarray(change(np.asarray(Image.open(pool[number]).convert("RGB")))).save(path)
        copies.append(str(path))
    found = leaks(np.array(pool, dtype=object), np.array([*test[:5], *copies], dtype=object))
    assert [(j, name) for j, name, _ in found] == [(5 + k, pool[k]) for k in range(len(copies))]


def real_pages(data_dir, folder):
    archive = data_dir / "ecg_images_mendeley" / "images.tar.xz"
    if not archive.exists():
        pytest.skip("the report pages are not here")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "pages", filter="data")
    return sorted(str(path) for path in (folder / "pages").rglob("*.jpg"))


def moved_full(page):
    by = 0.004 * page.shape[1]
    return np.asarray(Image.fromarray(page).transform(
        page.shape[1::-1], Image.Transform.AFFINE, (1, 0, by, 0, 1, by),
        Image.Resampling.BILINEAR, fillcolor=(255, 255, 255),
    ))  # fmt: skip


def cropped_full(page):
    height, width = page.shape[:2]
    cut = page[height // 100 : -(height // 100), width // 100 : -(width // 100)]
    return np.asarray(Image.fromarray(cut).resize((width, height)))


def test_pages_that_only_resemble_are_looked_at_too():
    """Two simulated pages of one rhythm were named: the search had not taken them as candidates."""
    from crtkit.evaluation.leaks.pool import _look_at

    rng = np.random.default_rng(0)
    pages = np.full((3, 300, 400, 3), 255, dtype=np.uint8)
    for k, page in enumerate(pages[:2]):
        page[rng.integers(20, 280, 400), np.arange(400)] = 40 * k
    pages[2] = np.roll(pages[0], 2, axis=1)
    both = (lambda i: pages[i], lambda j: pages[j])
    matches, resembling = {}, {1: 0, 2: 0}
    _look_at(both, [], matches, resembling)
    assert matches == {2: (0, "nearly equal")}
    assert 1 not in resembling
