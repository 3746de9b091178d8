import sys

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.images import SpectrogramImager
from crtkit.images.spectrogram import colour_table, tile_edges
from crtkit.signals import STFTTransformer


@parametrize_with_checks([SpectrogramImager(size=(8, 8))])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_range_and_colours_are_what_is_stated():
    values = np.array([-100.0, -80, -40, 0, 20])
    x = np.repeat(values[:, None, None], 4, axis=2)[:, None]
    out = SpectrogramImager(size=(1, 4), colour_map="gray").fit_transform(x)
    assert out.dtype == np.uint8
    assert out[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]
    narrow = SpectrogramImager(size=(1, 4), colour_map="gray", db_range=(-50, -30))
    assert narrow.fit_transform(x)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]


def test_colours_are_matplotlibs():
    matplotlib = pytest.importorskip("matplotlib")
    expected = np.array(matplotlib.colormaps["viridis"].colors) * 255
    np.testing.assert_allclose(colour_table("viridis"), expected, atol=1)


def test_low_frequencies_lie_at_the_bottom():
    time = np.arange(3600) / 360
    slow = np.sin(2 * np.pi * 5 * time)
    fast = np.sin(2 * np.pi * 150 * time)
    pipe = make_pipeline(STFTTransformer(), SpectrogramImager(size=(60, 60), colour_map="gray"))
    images = pipe.fit_transform(np.stack([slow, fast])[:, None])
    brightest = images[..., 0].mean(axis=2).argmax(axis=1)
    assert brightest[0] > 50
    assert abs(brightest[1] - 60 * (1 - 150 / 180)) < 3


def test_time_runs_to_the_right():
    x = np.zeros(3600)
    x[3000:3050] = 1
    pipe = make_pipeline(STFTTransformer(), SpectrogramImager(size=(60, 60), colour_map="gray"))
    image = pipe.fit_transform(x[None, None])[0, ..., 0]
    assert abs(image.mean(axis=0).argmax() - 60 * 3025 / 3600) < 2


def test_twelve_leads_are_laid_out_as_a_page():
    x = np.full((1, 12, 10, 10), -80.0)
    x[0, 4] = 0  # aVL: second row, second column
    image = SpectrogramImager(size=(60, 80), colour_map="gray").fit_transform(x)[0, ..., 0]
    assert (image[20:40, 20:40] == 255).all()
    assert image.astype(int).sum() == 255 * 400


def test_leads_are_chosen():
    x = np.random.default_rng(0).uniform(-80, 0, (2, 3, 16, 16))
    one = SpectrogramImager(size=(32, 32), leads=[1]).fit_transform(x)
    np.testing.assert_array_equal(one, SpectrogramImager(size=(32, 32)).fit_transform(x[:, 1]))
    two = SpectrogramImager(size=(32, 32), leads=[2, 0]).fit_transform(x)
    half = SpectrogramImager(size=(16, 32)).fit_transform(x[:, 2])
    np.testing.assert_array_equal(two[:, :16], half)


def test_tiles_cover_the_picture_once():
    for n_leads in (1, 4, 12):
        covered = np.zeros((37, 53), dtype=int)
        for top, bottom, left, right in tile_edges(n_leads, 37, 53):
            covered[top:bottom, left:right] += 1
        assert (covered == 1).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"size": (8,)}, "size must be"),
        ({"size": (2, 2)}, "at least 3 x 1"),
        ({"db_range": (0, -80)}, "db_range must be"),
        ({"colour_map": "no such map"}, "no colour map 'no such map'"),
        ({"leads": [3]}, "have 3 lead"),
        ({"leads": []}, "have 3 lead"),
    ],
)
def test_bad_parameters_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        SpectrogramImager(**params).fit(np.zeros((1, 3, 4, 4)))


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install 'crtkit"):
        colour_table("viridis")
    assert colour_table("gray").shape == (256, 3)


def test_rows_and_pandas_output(tmp_path):
    x = np.random.default_rng(0).uniform(-90, 10, (70, 1, 9, 7)).astype(np.float32)
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    model = SpectrogramImager(size=(16, 16)).set_output(transform="pandas").fit(rows)
    np.testing.assert_array_equal(model.transform(rows), model.transform(x))
