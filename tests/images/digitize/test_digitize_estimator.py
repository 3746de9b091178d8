"""Pages and paths through the estimator, and through pipelines."""

import warnings

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import (
    ECGDigitizer,
    GuidelineClassifier,
    IdentityEraser,
    LeadStatistics,
    QRSMeasurements,
    ResNetClassifier,
)
from crtkit._leads import LEADS_12
from crtkit.images import render_page
from crtkit.images.digitize.estimator import summarise


def make_signal(seed, width=0.02):
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.4) / width) ** 2)
    one, two, *chest = rng.uniform(0.5, 1.2, (8, 1)) * beat
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


@pytest.fixture(scope="module")
def pages():
    return [render_page(make_signal(i), 500, px_per_mm=5.0)[0] for i in range(3)]


def test_paths_pages_and_lists_give_the_same(pages, tmp_path):
    paths = []
    for i, page in enumerate(pages):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(page).save(paths[-1])
    digitizer = ECGDigitizer(fs=250)
    out = digitizer.fit_transform(np.stack(pages))
    assert out.shape == (3, 12, 2500)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(digitizer.fit_transform(paths), out)
    np.testing.assert_array_equal(digitizer.fit_transform(pages), out)
    report = digitizer.report_
    assert report["layout"].tolist() == ["3x4+II"] * 3
    assert set(report["boxes"][0]) == set(LEADS_12)
    assert report["reason"].isna().all()
    assert (report["confidence"] > 0.5).all()


@pytest.mark.slow
def test_pages_do_not_depend_on_jobs(pages):
    digitizer = ECGDigitizer()
    out = clone(digitizer).set_params(n_jobs=2).fit_transform(pages)
    np.testing.assert_array_equal(out, digitizer.fit_transform(pages))


def test_refused_pages_are_listed(pages, tmp_path):
    blank = np.full_like(pages[0], 255)
    with pytest.warns(UserWarning, match="cannot read 1 of 2 pages") as caught:
        out = ECGDigitizer().fit_transform([blank, pages[0]])
    assert "row 0" in str(caught[0].message)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).any()
    with pytest.raises(ValueError, match="row 0: .*grid"):
        ECGDigitizer(on_unknown="raise").fit_transform([blank, pages[0]])
    absent = str(tmp_path / "absent.png")
    digitizer = ECGDigitizer().fit([absent])
    with pytest.warns(UserWarning, match="no such file"):
        digitizer.transform([absent])
    assert "no such file" in digitizer.report_["reason"][0]
    many = [blank[:200, :200]] * 12
    with pytest.warns(UserWarning, match="and 2 more"):
        ECGDigitizer().fit_transform(many)
    assert len(summarise(ECGDigitizer().fit(many).read(many))) == 12


@pytest.mark.parametrize(
    "how",
    [
        {"fs": 0},
        {"layout": "4x4"},
        {"layout": "rows"},
        {"speed": -25},
        {"gain": "10"},
        {"px_per_mm": 0},
        {"least_confidence": 2},
        {"on_unknown": "guess"},
    ],
)
def test_parameters_are_checked(how):
    with pytest.raises(ValueError, match=next(iter(how))):
        ECGDigitizer(**how).fit(np.zeros((1, 20, 20, 3), np.uint8))


def test_a_search_takes_pages():
    """Wide and narrow beats, told apart by the area of what was read."""
    width = np.array([0.012, 0.04] * 3)
    signals = [make_signal(i, w) for i, w in enumerate(width)]
    pages = np.stack([render_page(x, 500, px_per_mm=4.0)[0] for x in signals])
    model = make_pipeline(
        ECGDigitizer(least_confidence=0.0),
        FunctionTransformer(lambda X: np.nanmean(X, axis=2)),
        LogisticRegression(C=1e4),
    )
    grid = {"ecgdigitizer__fs": [250, 500]}
    search = GridSearchCV(model, grid, cv=2).fit(pages, width > 0.02)
    assert search.best_score_ == 1.0


def test_rows_of_numbers_pass_through():
    rows = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(ECGDigitizer().fit_transform(rows), rows)


@parametrize_with_checks([ECGDigitizer()])
def test_sklearn_checks(estimator, check):
    check(estimator)


def make_pages(n):
    """Pages of wide and narrow complexes in turn, and which are wide."""
    wide = np.arange(n) % 2 == 1
    signals = [make_signal(i, 0.045 if is_wide else 0.012) for i, is_wide in enumerate(wide)]
    return np.stack([render_page(x, 500, px_per_mm=4.0)[0] for x in signals]), wide


def test_pages_to_statistics_to_boosting_in_a_search():
    pages, wide = make_pages(12)
    model = make_pipeline(
        ECGDigitizer(least_confidence=0.0),
        LeadStatistics(missing="omit"),
        LGBMClassifier(n_estimators=10, min_child_samples=1, verbosity=-1),
    )
    grid = {"leadstatistics__statistics": [("mean", "std"), ("mean", "std", "max")]}
    search = GridSearchCV(model, grid, cv=2, scoring="roc_auc").fit(pages, wide)
    assert search.best_score_ > 0.9
    assert search.predict(pages).shape == (12,)


def test_pages_to_measurements_to_rules_in_a_search():
    pages, wide = make_pages(8)
    model = make_pipeline(
        ECGDigitizer(least_confidence=0.0),
        QRSMeasurements().set_output(transform="pandas"),
        GuidelineClassifier(rule="QRS150"),
    )
    grid = {"ecgdigitizer__least_confidence": [0.0, 0.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complexes without P or T waves
        search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(pages, wide)
    assert search.predict(pages).shape == (8,)


@pytest.mark.slow
def test_pages_erased_and_looked_at_in_a_search():
    pages, wide = make_pages(8)
    model = make_pipeline(
        IdentityEraser(),
        FunctionTransformer(lambda X: X[:, ::16, ::16]),
        ResNetClassifier(depth=18, width=8, max_epochs=1, device="cpu", random_state=0),
    )
    grid = {"identityeraser__fill": ["white", "black"]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(pages, wide)
    assert search.predict_proba(pages).shape == (8, 2)
