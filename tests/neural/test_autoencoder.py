"""AutoencoderFeatures: as an estimator, against PCA, and on phases that wrap."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import AutoencoderFeatures, UnivariateScreen
from crtkit.datasets import make_cohort
from crtkit.spect import wrap_degrees
from crtkit.testing import parametrize_with_nd_checks


def small(**changes):
    options = {"n_components": 3, "layer_sizes": (16,), "max_iter": 5, "random_state": 0}
    return AutoencoderFeatures(**{**options, **changes})


def make_maps(n_records=60, shape=(6, 8), center=200.0, seed=0):
    """Phases of a few smooth patterns and a little noise."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(4, *shape))
    maps = center + 25 * np.tensordot(rng.normal(size=(n_records, 4)), patterns, 1) / 2
    return np.mod(maps + 2 * rng.normal(size=maps.shape), 360).astype(np.float32)


@parametrize_with_checks(
    [
        small(precision="float64"),
        small(precision="float64", activation="tanh", encoding="circular"),
        small(precision="float64", layer_sizes=(), batch_size=8),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [
        (small(), "maps"),
        (small(encoding="circular", activation="relu", precision="float64"), "maps"),
    ]
)
def test_nd_checks(estimator, check):
    check(estimator)


def test_four_linear_layers_and_the_code_after_the_second():
    model = AutoencoderFeatures(max_iter=1, random_state=0).fit(make_maps(shape=(12, 24)))
    shapes = [tuple(p.shape) for n, p in model.module_.named_parameters() if n.endswith("weight")]
    assert shapes == [(512, 288), (64, 512), (512, 64), (288, 512)]
    assert list(model.get_feature_names_out()[[0, 63]]) == ["AE1", "AE64"]


def test_linear_error_approaches_that_of_pca_and_never_beats_it():
    maps = make_maps().reshape(60, -1)
    pca = PCA(4).fit(maps.astype(np.float64))
    best = np.square(maps - pca.inverse_transform(pca.transform(maps))).mean()
    errors = [
        small(n_components=4, layer_sizes=(32,), max_iter=n, lr=5e-3, precision="float64")
        .fit(maps)
        .reconstruction_error_
        for n in (20, 200, 2000)
    ]
    assert all(error >= best * (1 - 1e-9) for error in errors)
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.05 * best
    assert errors[0] > 1.5 * best


@pytest.mark.slow
def test_the_study_s_own_settings_come_close_to_pca_of_64_components():
    maps = np.stack(make_cohort("he2021", random_state=0).X["map"])
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    pca = PCA(64, svd_solver="full").fit(flat)
    best = np.square(flat - pca.inverse_transform(pca.transform(flat))).mean()
    error = AutoencoderFeatures(random_state=0).fit(maps).reconstruction_error_
    assert best <= error < 1.01 * best


def test_parameters_set_after_fit_leave_the_fitted_model_alone():
    maps = make_maps(10)
    model = small(encoding="circular").fit(maps)
    code, back = model.transform(maps), model.inverse_transform(model.transform(maps))
    model.set_params(n_components=7, encoding="plain")
    assert list(model.get_feature_names_out()) == ["AE1", "AE2", "AE3"]
    np.testing.assert_array_equal(model.transform(maps), code)
    np.testing.assert_array_equal(model.inverse_transform(code), back)


def test_reconstruction_error_is_that_of_the_inverse_transform():
    maps = make_maps(shape=(5, 7))
    model = small(max_iter=100, precision="float64").fit(maps)
    back = model.inverse_transform(model.transform(maps))
    assert back.shape == maps.shape
    assert np.square(back - maps).mean() == pytest.approx(model.reconstruction_error_, rel=1e-6)


def test_circular_encoding_does_not_care_where_zero_is():
    turned = make_maps(center=0.0)
    plain = make_maps(center=180.0)
    errors = {}
    for name, maps in (("across", turned), ("inside", plain)):
        model = small(
            n_components=4, encoding="circular", max_iter=500, lr=5e-3, precision="float64"
        ).fit(maps)
        back = model.inverse_transform(model.transform(maps))
        assert (back >= 0).all()
        assert (back < 360).all()
        errors[name] = np.square(wrap_degrees(back - maps)).mean()
    linear = small(n_components=4, max_iter=500, lr=5e-3, precision="float64").fit(turned)
    back = linear.inverse_transform(linear.transform(turned))
    assert errors["across"] == pytest.approx(errors["inside"], rel=0.3)
    assert np.square(wrap_degrees(back - turned)).mean() > 3 * errors["across"]


def test_more_maps_than_a_batch_give_the_codes_of_each():
    maps = make_maps()
    model = small(batch_size=16, precision="float64").fit(maps)
    alone = np.concatenate([model.transform(maps[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(model.transform(maps)[:5], alone, atol=1e-12)


def test_search_over_components_activation_and_classifier():
    maps = make_maps(40)
    y = (maps.reshape(40, -1)[:, 5] > 200).astype(int)
    pipeline = make_pipeline(small(max_iter=30), UnivariateScreen(alpha=0.9), LogisticRegression())
    grid = {
        "autoencoderfeatures__n_components": [2, 4],
        "autoencoderfeatures__activation": [None, "tanh"],
        "logisticregression": [LogisticRegression(), SVC()],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(maps, y)
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_labels_are_not_used():
    maps = make_maps(20)
    a = small().fit(maps, np.arange(20) % 2).transform(maps)
    b = small().fit(maps).transform(maps)
    np.testing.assert_array_equal(a, b)


def test_constant_maps_are_reconstructed():
    maps = np.full((10, 4, 4), 90.0)
    assert small().fit(maps).reconstruction_error_ < 1.0


def test_bad_input():
    maps = make_maps(10)
    bad = maps.copy()
    bad[3, 0, 0] = 360
    with pytest.raises(ValueError, match=r"degrees in \[0, 360\), record 3 has"):
        small(encoding="circular").fit(bad)
    with pytest.raises(ValueError, match="positive integers"):
        small(layer_sizes=(8, 0)).fit(maps)
    with pytest.raises(ValueError, match="codes of 3 components, got 2"):
        small().fit(maps).inverse_transform(np.zeros((2, 2)))
    ragged = np.empty(2, dtype=object)
    ragged[:] = [maps[0], maps[0][:4]]
    for two_sizes in (ragged, list(ragged)):
        with pytest.raises(ValueError, match="maps of one shape, got 2 shapes"):
            small().fit(two_sizes)
    hole = maps.copy()
    hole[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN.*PhaseAnalysis\(low_counts='mean'\)"):
        small().fit(hole)
    with pytest.raises(FloatingPointError, match="AutoencoderFeatures"):
        small(lr=1e30, max_iter=50).fit(maps)
