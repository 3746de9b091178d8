"""Ten pages a user might really have, and what becomes of each."""

import io
import os
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import IdentityEraser, JPEGLoader, Select
from crtkit.cohort.rows import Rows
from crtkit.images import (
    UnreadableImageError,
    UnreadableImageWarning,
    check_images,
    load_image,
    load_images,
    render_page,
)
from crtkit.testing import parametrize_with_nd_checks


def ecg_page(seed=0, px_per_mm=5.0, header=None):
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    signal = rng.uniform(-1.5, 1.5, (12, 1)) * beats + 0.1 * np.sin(2 * np.pi * 1.25 * t)
    return render_page(signal, 500, px_per_mm=px_per_mm, header=header)[0]


def reference(page, size=(224, 224)):
    """The page, resized by Pillow in full."""
    return np.asarray(Image.fromarray(page).resize(size[::-1], Image.Resampling.BILINEAR))


def difference(a, b):
    return np.abs(a.astype(float) - b.astype(float)).mean()


@pytest.fixture(scope="module")
def page():
    return ecg_page()


def huge_png(path):
    """A PNG of 40 000 x 40 000 pixels in a few bytes: only its header and an end."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_scanned_grey(tmp_path, page):
    Image.fromarray(page).convert("L").save(tmp_path / "grey.jpg", quality=95)
    out = load_image(tmp_path / "grey.jpg")
    assert out.shape == (224, 224, 3)
    np.testing.assert_array_equal(out[:, :, 0], out[:, :, 2])
    grey = np.asarray(Image.fromarray(page).convert("L").convert("RGB"))
    assert difference(out, reference(grey)) < 1.5


def test_huge(tmp_path):
    huge_png(tmp_path / "huge.png")
    with pytest.raises(UnreadableImageError, match=r"huge\.png: more pixels than Pillow"):
        load_image(tmp_path / "huge.png")
    Image.new("RGB", (300, 200)).save(tmp_path / "large.png")
    with pytest.raises(ValueError, match="300 x 200 pixels, more than max_pixels=1000"):
        load_image(tmp_path / "large.png", max_pixels=1000)


def test_tiny(tmp_path):
    Image.new("RGB", (20, 15), (200, 10, 10)).save(tmp_path / "tiny.png")
    with pytest.warns(UserWarning, match=r"1 of 1 files are smaller than 224 x 224.*tiny\.png"):
        out = load_image(tmp_path / "tiny.png")
    np.testing.assert_array_equal(out, np.full((224, 224, 3), (200, 10, 10), np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_rotated(tmp_path, page, orientation, suffix):
    """A camera stores the turned page, and the tag that turns it back."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = Image.fromarray(page)
    stored = stored if undo is None else stored.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    stored.save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    for reduced in (True, False):
        out = load_image(path, (120, 200), reduced=reduced)
        assert difference(out, reference(page, (120, 200))) < 2.0
    full = load_image(path, None)
    assert full.shape == page.shape
    assert difference(full, page) < 5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_png(tmp_path, page, mode):
    image = Image.fromarray(page).convert("RGBA")
    alpha = np.full(page.shape[:2], 255, np.uint8)
    alpha[:300] = 0
    image.putalpha(Image.fromarray(alpha))
    if mode == "P":
        image = image.quantize(64)
    image.convert(mode).save(tmp_path / "clear.png")
    out = load_image(tmp_path / "clear.png", None)
    assert out[:290].min() == 255
    expected = np.asarray(
        Image.fromarray(page).convert("L" if mode == "LA" else "RGB").convert("RGB")
    )
    assert difference(out[310:], expected[310:]) < 3


def test_cmyk_jpeg(tmp_path, page):
    Image.fromarray(page).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert difference(load_image(tmp_path / "print.jpg"), reference(page)) < 2.5


def test_sixteen_bit(tmp_path, page):
    grey = np.asarray(Image.fromarray(page).convert("L"))
    for suffix in ("png", "tif"):
        path = tmp_path / f"deep.{suffix}"
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
        np.testing.assert_array_equal(load_image(path, None)[:, :, 1], grey)


def test_truncated_empty_text_directory_missing(tmp_path, page):
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "JPEG")
    (tmp_path / "truncated.jpg").write_bytes(buffer.getvalue()[:20_000])
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    (tmp_path / "truncated.png").write_bytes(buffer.getvalue()[:20_000])
    flipped = bytearray(buffer.getvalue())
    flipped[len(flipped) // 2] ^= 0xFF
    (tmp_path / "flipped.png").write_bytes(flipped)
    (tmp_path / "zero.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("patient,label\n1,responder\n")
    (tmp_path / "folder.jpg").mkdir()
    reasons = {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "flipped.png": "damaged",
        "zero.jpg": "empty file",
        "text.jpg": "not a JPEG",
        "folder.jpg": "a directory",
        "absent.jpg": "no such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(UnreadableImageError, match=reason):
            load_image(tmp_path / name)


def test_pages_of_other_kinds(tmp_path):
    frames = [Image.new("L", (300, 300), v) for v in (0, 255)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.ones((300, 300), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="holds 2 pictures"):
        load_image(tmp_path / "two.tif")
    with pytest.raises(ValueError, match="float pixels"):
        load_image(tmp_path / "float.tif")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(ValueError, match="not a regular file"):
            load_image(tmp_path / "pipe.jpg")


@pytest.fixture
def ten_paths(tmp_path, page):
    """Five good pages, five bad ones, one of them twice."""
    for i in range(5):
        Image.fromarray(ecg_page(i, 3.0)).save(tmp_path / f"good{i}.jpg")
    (tmp_path / "zero.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good0.jpg").read_bytes()[:5000])
    names = ["good0", "zero", "good1", "text", "good2", "folder", "good3", "cut", "good4", "absent"]
    paths = [str(tmp_path / f"{name}.jpg") for name in names]
    return np.array([*paths, paths[1]], dtype=object)


def test_every_bad_path_is_listed_once(ten_paths):
    loader = JPEGLoader()
    with pytest.raises(ValueError, match="JPEGLoader cannot read 5 of 10 files") as caught:
        loader.fit_transform(ten_paths)
    for i, path in enumerate(ten_paths[:10]):
        assert str(caught.value).count(path) == i % 2
    assert set(caught.value.errors) == set(ten_paths[1:10:2])
    assert pickle.loads(pickle.dumps(caught.value)).errors == caught.value.errors
    assert check_images(ten_paths) == caught.value.errors


def test_many_bad_paths_are_counted():
    with pytest.raises(UnreadableImageError, match="cannot read 13 of 13") as caught:
        load_images([f"none{i}.jpg" for i in range(13)])
    assert "... and 3 more" in str(caught.value)
    assert "none9.jpg" in str(caught.value)
    assert "none10.jpg" not in str(caught.value)
    assert len(caught.value.errors) == 13


def test_bad_pages_become_white_when_asked(ten_paths):
    with pytest.warns(UnreadableImageWarning, match="5 of 10") as caught:
        pages = JPEGLoader(on_error="white").fit_transform(ten_paths)
    assert set(caught[0].message.errors) == set(ten_paths[1:10:2])
    white = pages.reshape(len(pages), -1).min(axis=1) == 255
    np.testing.assert_array_equal(white, [False, True] * 5 + [True])
    with pytest.raises(UnreadableImageError, match="1 of 1"):
        JPEGLoader(on_error="white").fit_transform(ten_paths[1:2])


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_pages_do_not_depend_on_jobs(ten_paths, n_jobs):
    good = ten_paths[:10:2]
    expected = JPEGLoader().fit_transform(good)
    np.testing.assert_array_equal(JPEGLoader(n_jobs=n_jobs).fit_transform(good), expected)
    np.testing.assert_array_equal(expected[1], load_image(good[1]))


def test_reduced_decoding_stays_near_and_keeps_the_trace(tmp_path):
    page = ecg_page(3, 7.874)
    Image.fromarray(page).save(tmp_path / "page.jpg", quality=85)
    full = reference(np.asarray(Image.open(tmp_path / "page.jpg").convert("RGB")))
    out = load_image(tmp_path / "page.jpg")
    assert difference(out, full) < 1.5
    assert difference(out, reference(page)) < difference(full, reference(page))
    exact = load_image(tmp_path / "page.jpg", reduced=False)
    assert difference(exact, full) < 0.7
    # A resize without antialiasing is what must not happen: the trace falls between the samples.
    naive = np.asarray(Image.fromarray(page).resize((224, 224), Image.Resampling.NEAREST))
    assert difference(naive, full) > 10 * difference(out, full)


def test_pad_keeps_proportions(tmp_path):
    Image.new("RGB", (400, 200), (10, 20, 30)).save(tmp_path / "wide.png")
    out = load_image(tmp_path / "wide.png", (100, 100), aspect="pad")
    inside = (out == (10, 20, 30)).all(axis=2)
    np.testing.assert_array_equal(
        inside.any(axis=1), (np.arange(100) >= 25) & (np.arange(100) < 75)
    )
    assert (out[~inside] == 255).all()


def test_own_size(tmp_path):
    for i in range(2):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{i}.png")
    Image.new("RGB", (30, 40)).save(tmp_path / "other.png")
    paths = [tmp_path / "0.png", tmp_path / "1.png"]
    assert load_images(paths, None).shape == (2, 30, 40, 3)
    with pytest.raises(ValueError, match="40 x 30 pixels, the first page 30 x 40"):
        load_images([*paths, tmp_path / "other.png"], None)


def test_cache_serves_the_same_pages_and_notices_changes(tmp_path, monkeypatch):
    path, cache = tmp_path / "page.png", tmp_path / "cache"
    Image.fromarray(ecg_page(0, 2.0)).save(path)
    loader = JPEGLoader(size=(64, 64), cache_dir=cache, erase=IdentityEraser())
    first = loader.fit_transform([path])
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patch:

        def refuse(*args, **kwargs):
            raise AssertionError("decoded again")

        patch.setattr(Image, "open", refuse)
        np.testing.assert_array_equal(loader.fit_transform([path]), first)
        with pytest.raises(UnreadableImageError, match="decoded again"):
            JPEGLoader(size=(65, 64), cache_dir=cache).fit_transform([path])
    np.testing.assert_array_equal(
        JPEGLoader(size=(64, 64), erase=IdentityEraser()).fit_transform([path]), first
    )
    (kept,) = cache.iterdir()
    kept.write_bytes(b"damaged")
    np.testing.assert_array_equal(loader.fit_transform([path]), first)
    Image.fromarray(ecg_page(1, 2.0)).save(path)
    os.utime(path, ns=(1, 1))
    assert (loader.fit_transform([path]) != first).any()
    assert not list(cache.glob("*.part"))


def test_erases_in_full_resolution(tmp_path):
    page = ecg_page(0, 5.0, header="Jane Doe  born 1950-01-01")
    Image.fromarray(page).save(tmp_path / "page.png")
    seen = []

    def keep(whole):
        seen.append(whole.shape)
        return np.full_like(whole, 7)

    out = load_image(tmp_path / "page.png", erase=keep)
    assert seen == [page.shape]
    assert (out == 7).all()
    header = load_image(tmp_path / "page.png", (210, 297), erase=IdentityEraser())[:32]
    assert header.min() == 255
    Image.new("RGB", (300, 300), "white").save(tmp_path / "blank.png")
    with pytest.raises(UnreadableImageError, match=r"blank\.png: .*no coloured grid"):
        load_images([tmp_path / "page.png", tmp_path / "blank.png"], erase=IdentityEraser())
    with pytest.raises(ValueError, match="uint8 page"):
        load_image(tmp_path / "page.png", erase=lambda page: page / 255)


def test_what_is_no_path_is_named(tmp_path):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a path but NoneType"):
        JPEGLoader().fit_transform(np.array([str(tmp_path / "a.png"), None], dtype=object))
    with pytest.raises(ValueError, match="one column of paths"):
        JPEGLoader().fit([["a.png", "b.png"]])
    with pytest.raises(ValueError, match="0 sample"):
        load_images([])


def test_pages_that_are_arrays(tmp_path):
    pages = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    assert JPEGLoader(size=None).fit_transform(pages) is pages
    out = JPEGLoader(size=(20, 30)).fit_transform(pages)
    assert out.shape == (3, 20, 30, 3)
    np.save(tmp_path / "pages.npy", pages)
    rows = Rows.from_cells([f"{tmp_path / 'pages.npy'}#{i}" for i in range(3)])
    np.testing.assert_array_equal(JPEGLoader(size=(20, 30)).fit_transform(rows), out)
    assert isinstance(JPEGLoader(size=(40, 60)).fit_transform(rows), Rows)
    grey = JPEGLoader(size=(20, 30)).fit_transform(pages[..., 0])
    np.testing.assert_array_equal(grey[..., 0], grey[..., 1])
    fitted = JPEGLoader(size=(20, 30)).fit(pages)
    assert fitted.transform(pages[:, :30, :50]).shape == (3, 20, 30, 3)
    with pytest.raises(ValueError, match="uint8"):
        JPEGLoader().fit(pages.astype(float))
    with pytest.raises(ValueError, match="fitted on pages, but now got paths"):
        fitted.transform(["a.png"])
    with pytest.raises(ValueError, match="fitted on paths"):
        JPEGLoader().fit(["a.png"]).transform(pages)


def test_parameters_are_checked():
    for how in ({"size": 224}, {"size": (0, 3)}, {"size": (2.5, 3)}, {"aspect": "crop"},
                {"on_error": "nan"}, {"erase": "header"}, {"max_pixels": 0}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(how))):
            JPEGLoader(**how).fit(["a.png"])


def flat(pages):
    return pages.reshape(len(pages), -1)[:, ::50] / 255.0


def test_pipeline_and_search_take_paths(tmp_path):
    paths, y = [], []
    for i in range(12):
        shade = 200 if i % 2 else 60
        noise = np.random.default_rng(i).integers(0, 40, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(shade)).save(tmp_path / f"{i}.png")
        paths.append(str(tmp_path / f"{i}.png"))
        y.append(i % 2)
    groups = np.repeat(np.arange(6), 2)
    frame = pd.DataFrame({"image": paths, "age": 60})
    model = make_pipeline(
        Select("image"), JPEGLoader(size=(16, 16)), FunctionTransformer(flat), LogisticRegression()
    )
    sizes = {
        "jpegloader__size": [(8, 8), (16, 16)],
        "jpegloader__erase": [None, IdentityEraser(regions=[(0, 0, 0.5, 0.1)])],
    }
    search = GridSearchCV(model, sizes, cv=GroupKFold(3), error_score="raise", n_jobs=1)
    search.fit(frame, y, groups=groups)
    assert search.best_score_ == 1.0
    bare = make_pipeline(JPEGLoader(size=(16, 16)), FunctionTransformer(flat), LogisticRegression())
    assert bare.fit(np.array(paths, dtype=object), y).score(paths, y) == 1.0
    pages = make_pipeline(JPEGLoader(size=(16, 16))).set_output(transform="pandas")
    assert pages.fit_transform(paths).shape == (12, 16, 16, 3)
    assert bare.fit(frame[["image"]], y).score(frame["image"], y) == 1.0


@parametrize_with_checks([JPEGLoader()])
def test_sklearn_checks(estimator, check):
    check(estimator)


def test_functions_check_their_parameters(tmp_path):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    path = tmp_path / "a.png"
    for how in ({"aspect": "crop"}, {"reduced": "no"}, {"max_pixels": 0}, {"erase": "header"}):
        with pytest.raises(ValueError, match=next(iter(how))):
            load_image(path, **how)
    for how in ({"on_error": "ignore"}, {"n_jobs": 1.5}, {"cache_dir": 3}):
        with pytest.raises(ValueError, match=next(iter(how))):
            load_images([path], **how)
    with pytest.raises(ValueError, match="max_pixels"):
        check_images([path], max_pixels=-1)


def test_paths_come_as_any_iterable_but_not_as_one_string(tmp_path):
    Image.new("RGB", (300, 300), "white").save(tmp_path / "a.png")
    path = tmp_path / "a.png"
    pages = load_images((p for p in [path, str(path)]), (8, 8))
    assert pages.shape == (2, 8, 8, 3)
    assert check_images(p for p in [path]) == {}
    for read in (load_images, check_images):
        for one in (path, str(path)):
            with pytest.raises(ValueError, match=r"a list of paths, got one path: \["):
                read(one)


@pytest.mark.parametrize("X", [[], np.array([], dtype=object)])
def test_no_page_at_all(X):
    with pytest.raises(ValueError, match="0 sample"):
        JPEGLoader().fit(X)


@pytest.mark.parametrize("X", [[None, None], np.array([np.nan, None], dtype=object)])
def test_only_missing_paths(X):
    with pytest.raises(ValueError, match="expects paths or pages, got none among 2 cells"):
        JPEGLoader().fit(X)


def test_a_list_of_pages_is_not_taken_apart(page):
    """Two million Python integers a page took seconds."""
    pages = JPEGLoader(size=(8, 8)).fit_transform([page, page])
    np.testing.assert_array_equal(
        pages, JPEGLoader(size=(8, 8)).fit_transform(np.stack([page] * 2))
    )
    tracemalloc.start()
    try:
        JPEGLoader(size=(8, 8)).fit([page, page])
        assert tracemalloc.get_traced_memory()[1] < 4 * page.nbytes
    finally:
        tracemalloc.stop()


def test_a_failing_eraser_names_the_file(tmp_path):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")

    def fail(page):
        raise IndexError("no header")

    with pytest.raises(IndexError, match="no header") as caught:
        JPEGLoader(erase=fail).fit_transform([tmp_path / "a.png"])
    assert caught.value.__notes__ == [f"while erasing {tmp_path / 'a.png'}"]


def test_the_cache_refuses_what_a_function_erased(tmp_path):
    """After its code is changed, pages that it erased otherwise would come back."""
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    how = {"erase": np.zeros_like, "cache_dir": tmp_path / "cache"}
    with pytest.raises(ValueError, match="cache_dir that a function erased"):
        JPEGLoader(**how).fit([tmp_path / "a.png"])
    with pytest.raises(ValueError, match="cache_dir that a function erased"):
        load_images([tmp_path / "a.png"], **how)
    assert not (tmp_path / "cache").exists()


def test_the_cache_belongs_to_one_version(tmp_path, monkeypatch):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    loader = JPEGLoader(size=(8, 8), cache_dir=tmp_path / "cache")
    loader.fit_transform([tmp_path / "a.png"])
    made_by = "crtkit.images.files.package_versions"
    monkeypatch.setattr(made_by, lambda names: {"crtkit": "next"})
    loader.fit_transform([tmp_path / "a.png"])
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_memory_that_runs_out_is_no_damaged_file(tmp_path, monkeypatch):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")

    def refuse(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(MemoryError):
        load_image(tmp_path / "a.png")


def test_warnings_point_at_the_caller(tmp_path):
    Image.new("RGB", (20, 15)).save(tmp_path / "a.png")
    paths = [tmp_path / "a.png", tmp_path / "absent.png"]
    calls = [
        lambda: load_image(paths[0]),
        lambda: load_images(paths, on_error="white"),
        lambda: JPEGLoader(on_error="white").fit(paths).transform(paths),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="enlarged|are white") as caught:
            call()
        assert {w.filename for w in caught} == {__file__}


@parametrize_with_nd_checks(
    [
        (JPEGLoader(size=(8, 10)), "images", {"free_axes": (1, 2)}),
        (JPEGLoader(size=None), "images", {"free_axes": (1, 2)}),
    ]
)
def test_nd(estimator, check):
    check(estimator)


@pytest.fixture
def lenient(monkeypatch):
    """The setting that other libraries leave behind in a process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.mark.parametrize("kind", ["baseline", "progressive", "PNG", "TIFF"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_half_a_page_is_refused_whatever_another_library_has_set(
    tmp_path, page, lenient, kind, n_jobs
):
    path = tmp_path / "half.img"
    out = io.BytesIO()
    how = {"progressive": kind == "progressive"} if kind in ("baseline", "progressive") else {}
    Image.fromarray(page).save(out, "JPEG" if how else kind, **how)
    whole = out.getvalue()
    paths = []
    for i, share in enumerate((0.4, 0.7, 0.95)):
        paths.append(path.with_name(f"half{i}.img"))
        paths[-1].write_bytes(whole[: int(share * len(whole))])
    bad = check_images(paths, n_jobs=n_jobs)
    assert sorted(bad) == sorted(map(str, paths))
    with pytest.raises(UnreadableImageError, match="cannot read 3 of 3 files"):
        load_images(paths, n_jobs=n_jobs, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # it is the other library's


@pytest.mark.parametrize("top", [255, 4095])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_few_bits_in_a_wide_file_do_not_make_a_black_page(tmp_path, page, top, suffix):
    grey = (page.mean(axis=2) / 255 * top).astype(np.uint16)
    path = tmp_path / f"page.{suffix}"
    Image.fromarray(grey).save(path)
    with pytest.raises(UnreadableImageError, match=f"brightest pixel is {top} of 65535"):
        load_image(path)
    Image.fromarray((page.mean(axis=2) / 255 * 60_000).astype(np.uint16)).save(path)
    assert load_image(path).max() > 200


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_either_byte_order_are_one_page(tmp_path, page, order):
    grey = page[..., 0].astype(np.uint16) * 257
    data = grey.astype(f"{order}u2").tobytes()
    tags = [(256, grey.shape[1]), (257, grey.shape[0]), (258, 16), (259, 1), (262, 1), (273, 8)]
    tags += [(277, 1), (278, grey.shape[0]), (279, len(data))]
    directory = struct.pack(f"{order}H", len(tags))
    directory += b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    (tmp_path / "page.tif").write_bytes(start + data + directory + struct.pack(f"{order}I", 0))
    np.testing.assert_array_equal(load_image(tmp_path / "page.tif", None)[..., 0], page[..., 0])


def test_transparent_pages_are_whole_across_strips(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1300, 40, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "page.png")
    wanted = np.where(pixels[..., 3:] == 255, pixels[..., :3], 255)
    np.testing.assert_array_equal(load_image(tmp_path / "page.png", None), wanted)


def test_a_webp_that_its_decoder_would_hold_three_times_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("crtkit.images.decode._MAX_WEBP_PIXELS", 1000)
    Image.new("RGB", (40, 30), "white").save(tmp_path / "page.webp")
    with pytest.raises(
        UnreadableImageError, match="40 x 30 pixels, more than 1000, the most for WebP"
    ):
        load_image(tmp_path / "page.webp", (10, 10))
