"""Header text goes, traces stay, and what is not understood is not passed on."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import IdentityEraser, JPEGLoader
from crtkit.cohort.rows import Rows
from crtkit.images import (
    check_images,
    erase_identity,
    find_grid,
    load_image,
    load_images,
    render_page,
)
from crtkit.testing import parametrize_with_nd_checks

HEADER = "ID 0012345   Doe, Jane   born 1950-01-01   Female\n2019-02-01 10:33  Hospital\nDr A. B."
STYLES = [
    {"px_per_mm": 3.0},
    {"px_per_mm": 5.0, "layout": "12x1"},
    {"px_per_mm": 7.874, "layout": "6x2+II"},
]


def signal(amplitude=1.0, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    return amplitude * rng.uniform(-1, 1, (12, 1)) * beats + 0.05 * np.sin(8 * t)


def jpeg(page, tmp_path, quality=80):
    Image.fromarray(page).save(tmp_path / "page.jpg", quality=quality)
    return np.asarray(Image.open(tmp_path / "page.jpg"))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("amplitude", [1.0, 8.0])  # 8: traces that reach the edge of the grid
def test_text_goes_and_traces_stay(style, compressed, amplitude, tmp_path):
    page, truth = render_page(signal(amplitude), 500, header=HEADER, **style)
    bare, _ = render_page(np.full((12, 5000), np.nan), 500, **style)
    blank, _ = render_page(np.full((12, 5000), np.nan), 500, header=HEADER, **style)
    shown = jpeg(page, tmp_path) if compressed else page
    erased = erase_identity(shown)
    # Text: pixels that the header or the footer made dark.
    text = (blank < 128).all(axis=2) & (bare != blank).any(axis=2)
    for _, (left, top, right, bottom) in truth.text_boxes[-1:]:
        text[top:bottom, left:right] |= (bare[top:bottom, left:right] < 128).all(axis=2)
    assert text.sum() > 300
    assert (erased[text] == 255).all(axis=1).mean() >= 0.99
    for _, (left, top, right, bottom) in truth.text_boxes:
        assert erased[top:bottom, left:right].min() == 255
    # Traces: pixels that the signal made dark.
    trace = (page < 128).all(axis=2) & (page != blank).any(axis=2)
    assert trace.sum() > 1000
    assert (erased[trace] == shown[trace]).all(axis=1).mean() >= 0.995


def test_coloured_marks_beside_the_grid_go(tmp_path):
    page, truth = render_page(signal(), 500, header=HEADER)
    _, top, right, _ = truth.grid_box
    page[20 : top - 12, right - 200 : right] = (20, 60, 200)  # a logo
    page[top - 8 : top - 3, 60:500] = (200, 0, 0)  # red text, almost on the grid
    erased = erase_identity(jpeg(page, tmp_path, 90))
    assert erased[: top - 3].min() == 255


def test_boxes_are_fractions_of_the_page():
    page = np.full((200, 400, 3), 9, np.uint8)
    out = erase_identity(page, [(0.25, 0.5, 0.5, 1.0), (0, 0, 1, 0.1)], "black")
    black = (out == 0).all(axis=2)
    expected = np.zeros((200, 400), bool)
    expected[100:, 100:200] = True
    expected[:20] = True
    np.testing.assert_array_equal(black, expected)
    assert (page == 9).all()


def test_unknown_pages_are_never_passed_on():
    page, _ = render_page(signal(), 500, header=HEADER, px_per_mm=3)
    grey = np.repeat(np.asarray(Image.fromarray(page).convert("L"))[:, :, None], 3, axis=2)
    tinted = np.minimum(page, np.array([255, 235, 215], np.uint8))  # coloured paper all over
    pages = np.stack([page, grey, tinted])
    assert find_grid(grey) is None
    with pytest.raises(ValueError, match=r"2 of 3 pages \(rows 1, 2\): no coloured grid"):
        IdentityEraser().fit_transform(pages)
    with pytest.warns(UserWarning, match="2 of 3 pages .* erased altogether"):
        out = IdentityEraser(on_unknown="blank").fit_transform(pages)
    assert out[0].min() < 100
    assert out[1:].min() == 255
    cut, _ = render_page(signal(), 500, px_per_mm=3)
    left, top, right, bottom = find_grid(cut)
    with pytest.raises(ValueError, match="fills the page"):
        erase_identity(cut[top:bottom, left:right])
    with pytest.raises(ValueError, match="no coloured grid"):
        erase_identity(np.full((300, 400, 3), 255, np.uint8))


def test_real_pages_lose_their_header_only(data_dir):
    paths = sorted((data_dir / "ecg_images_mendeley" / "loose").glob("*.jpg"))
    assert len(paths) == 5
    for path in paths:
        page = np.asarray(Image.open(path))
        left, top, right, bottom = find_grid(page)
        # Measured by eye on these report pages: the frame.
        np.testing.assert_allclose([left, top, right, bottom], [68, 283, 2177, 1518], atol=2)
        erased = erase_identity(page)
        assert erased[: top - 1].min() == 255
        assert erased[bottom + 1 :].min() == 255
        np.testing.assert_array_equal(erased[top:bottom, left:right], page[top:bottom, left:right])


def test_what_is_left_does_not_depend_on_the_header():
    one, other = (render_page(signal(), 500, header=h, px_per_mm=4)[0] for h in (HEADER, "x"))
    assert (one != other).any()
    np.testing.assert_array_equal(erase_identity(one), erase_identity(other))


def test_a_model_that_reads_the_header_falls_to_chance(tmp_path):
    y = np.arange(30) % 2
    paths = []
    for i, label in enumerate(y):
        header = "Responder to cardiac resynchronization therapy" if label else "ID"
        page, _ = render_page(signal(seed=i), 500, header=header, px_per_mm=2)
        Image.fromarray(page).save(tmp_path / f"{i}.png")
        paths.append(str(tmp_path / f"{i}.png"))
    flat = FunctionTransformer(lambda pages: pages[..., 0].reshape(len(pages), -1) / 255.0)
    accuracy = {}
    for erase in (None, IdentityEraser()):
        model = make_pipeline(
            JPEGLoader(size=(52, 74), erase=erase), flat, LogisticRegression(C=0.1, max_iter=1000)
        )
        accuracy[erase is None] = cross_val_score(model, np.array(paths, object), y, cv=3).mean()
    assert accuracy[True] > 0.9
    assert accuracy[False] < 0.75


def test_estimator_equals_the_function(tmp_path):
    pages = np.stack(
        [render_page(signal(seed=i), 500, px_per_mm=2, header="Doe")[0] for i in range(3)]
    )
    out = IdentityEraser().fit_transform(pages)
    for page, erased in zip(pages, out):
        np.testing.assert_array_equal(erased, erase_identity(page))
    np.save(tmp_path / "pages.npy", pages)
    rows = Rows.from_cells([f"{tmp_path / 'pages.npy'}#{i}" for i in range(3)])
    np.testing.assert_array_equal(clone(IdentityEraser()).fit(rows).transform(rows), out)
    smaller = pages[:, :, :590]
    assert IdentityEraser().fit(pages).transform(smaller).shape == smaller.shape
    row = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(IdentityEraser().fit_transform(row), row)


@pytest.mark.parametrize(
    "how",
    [
        {"regions": "footer"},
        {"regions": [(0, 0, 1)]},
        {"regions": [(0.5, 0, 0.4, 1)]},
        {"regions": [(0, 0, 200, 50)]},
        {"regions": [(0, 0, np.nan, 1)]},
        {"fill": "pink"},
        {"on_unknown": "nan"},
    ],
)
def test_parameters_are_checked(how):
    with pytest.raises(ValueError, match=next(iter(how))):
        IdentityEraser(**how).fit(np.zeros((1, 20, 20, 3), np.uint8))


def test_what_is_not_a_page_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        IdentityEraser().fit(np.zeros((1, 20, 20, 3)))
    with pytest.raises(ValueError, match="one page"):
        erase_identity(np.zeros((20, 20), np.uint8))


@parametrize_with_nd_checks(
    [(IdentityEraser(regions=[(0, 0, 1, 0.2)]), "images", {"free_axes": (1, 2)})]
)
def test_nd(estimator, check):
    check(estimator)


@parametrize_with_checks([IdentityEraser()])
def test_sklearn_checks(estimator, check):
    check(estimator)


def test_erasing_a_decoded_image_equals_erasing_the_page():
    page, _ = render_page(signal(), 500, header=HEADER)
    for eraser in (IdentityEraser(), IdentityEraser(regions=[(0, 0, 0.4, 0.2)], fill="black")):
        image = Image.fromarray(page)
        eraser.erase_image(image)
        np.testing.assert_array_equal(np.asarray(image), eraser.fit_transform(page[None])[0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fill": "green"}, "'fill' parameter of IdentityEraser"),
        ({"regions": "top"}, "'regions' parameter of IdentityEraser"),
        ({"regions": [(0, 0, 2, 1)]}, "regions must be 'margins' or a list of boxes"),
        ({"on_unknown": "skip"}, "'on_unknown' parameter of IdentityEraser"),
    ],
)
def test_a_wrong_eraser_is_refused_wherever_pages_are_read(tmp_path, wrong, words):
    path = tmp_path / "page.png"
    Image.new("RGB", (40, 30), "white").save(path)
    eraser = IdentityEraser(**wrong)
    with pytest.raises(ValueError, match=words):
        JPEGLoader(erase=eraser).fit([path])
    loader = JPEGLoader(size=(8, 8)).fit([path]).set_params(erase=eraser)
    with pytest.raises(ValueError, match=words):
        loader.transform([path])
    page = np.full((1, 30, 40, 3), 255, np.uint8)
    loader = JPEGLoader(size=(8, 8)).fit(page).set_params(erase=eraser)
    with pytest.raises(ValueError, match=words):
        loader.transform(page)
    for read in (load_images, check_images):
        with pytest.raises(ValueError, match=words):
            read([path], erase=eraser)
    with pytest.raises(ValueError, match=words):
        load_image(path, erase=eraser)


def test_blanked_files_are_listed_in_one_warning(tmp_path, recwarn):
    page, _ = render_page(signal(), 500, header=HEADER, px_per_mm=3)
    paths = [str(tmp_path / name) for name in ("page.png", "grey.png", "blank.png")]
    Image.fromarray(page).save(paths[0])
    Image.fromarray(page).convert("L").save(paths[1])
    Image.new("RGB", page.shape[1::-1], "white").save(paths[2])
    eraser = IdentityEraser(on_unknown="blank", fill="black")
    cached = JPEGLoader(size=(60, 80), erase=eraser, cache_dir=tmp_path / "cache")
    reads = (
        lambda: cached.fit_transform(paths),
        lambda: cached.fit_transform(paths),  # from the cache: the warning comes again
        lambda: load_images(paths, (60, 80), erase=eraser),
        lambda: check_images(paths, erase=eraser),
    )
    for read in reads:
        recwarn.clear()
        out = read()
        (warning,) = recwarn
        text = str(warning.message)
        assert "2 of 3 pages" in text
        assert f"{paths[1]}: no coloured grid" in text
        assert f"{paths[2]}: no coloured grid" in text
        assert paths[0] not in text
        assert "rows" not in text
        assert out == {} if isinstance(out, dict) else out[0].max() > 200 and not out[1:].any()
    recwarn.clear()
    arrays = np.stack([np.array(Image.open(path).convert("RGB")) for path in paths])
    JPEGLoader(size=(60, 80), erase=eraser).fit_transform(arrays)
    (warning,) = recwarn
    assert "2 of 3 pages" in str(warning.message)
    assert "row 1: no coloured grid" in str(warning.message)


@pytest.mark.parametrize("style", STYLES)
def test_names_of_leads_go_when_asked(style):
    page, truth = render_page(signal(0.3), 500, header=HEADER, **style)
    nothing = np.full((12, 5000), np.nan)
    blank, _ = render_page(nothing, 500, header=HEADER, **style)
    erased = erase_identity(page, labels="erase")
    trace = (page < 128).all(axis=2) & (blank >= 128).any(axis=2)
    assert (erased[trace] > 128).all(axis=1).mean() <= 0.005
    for _, (left, top, right, bottom) in truth.label_boxes:
        box = (slice(top, bottom), slice(left, right))
        if not trace[box].any():
            assert (erased[box] > 128).any(axis=2).mean() > 0.99
    image = Image.fromarray(page)
    IdentityEraser(labels="erase").erase_image(image)
    np.testing.assert_array_equal(np.asarray(image), erased)
    np.testing.assert_array_equal(
        IdentityEraser(labels="erase").fit_transform(page[None])[0], erased
    )


def test_a_grid_that_fills_the_page_needs_its_text_erased():
    page, truth = render_page(signal(0.3), 500)
    left, top, right, bottom = truth.grid_box
    full = page[top:bottom, left:right]
    with pytest.raises(ValueError, match="labels='erase'"):
        erase_identity(full)
    assert erase_identity(full, labels="erase").shape == full.shape
    grey = np.full((300, 400, 3), 255, np.uint8)
    with pytest.raises(ValueError, match="no coloured grid"):
        erase_identity(grey, labels="erase")
