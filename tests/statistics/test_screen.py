"""The screen inside and outside of the fold."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_set_output_transform,
    check_set_output_transform_pandas,
    parametrize_with_checks,
)

from crtkit import UnivariateScreen
from crtkit.statistics import delong_interval, univariate_logistic
from crtkit.statistics.p_values import holm


@parametrize_with_checks(
    [
        UnivariateScreen(),
        UnivariateScreen(test="anova", alpha=1.0),
        UnivariateScreen(test="likelihood", adjust="bh", min_features=2),
    ]
)
@pytest.mark.filterwarnings("ignore:UnivariateScreen:UserWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:UnivariateScreen:UserWarning")
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize(
    "check",
    [
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_global_output_transform_pandas,
        check_global_set_output_transform_polars,
    ],
    ids=lambda c: c.__name__,
)
def test_output_checks(check):
    check("UnivariateScreen", UnivariateScreen())


@pytest.mark.filterwarnings("ignore:UnivariateScreen:UserWarning")
def test_on_noise_the_screen_pays_for_its_choice_only_inside_the_fold():
    """he2021 in small: 102 patients, 64 features that know nothing, 0.05."""
    covered, in_sample, hits = 0, [], []
    model = make_pipeline(UnivariateScreen(alpha=0.05), LogisticRegression())
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(102, 64)), np.repeat([0, 1], [57, 45])
        fitted = clone(model).fit(X, y)
        hits.append(fitted[0].n_passed_)
        in_sample.append(delong_interval(y, fitted.predict_proba(X)[:, 1])["ci_low"].iloc[0])
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        score = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
        honest = delong_interval(y, score).iloc[0]
        covered += honest["ci_low"] <= 0.5 <= honest["ci_high"]
    assert np.mean(hits) == pytest.approx(3.2, abs=1.2)  # 64 x 0.05
    assert np.mean(in_sample) > 0.5  # the whole interval is above chance, on noise
    assert covered >= 17  # of 20


def test_p_values_are_those_of_the_table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 8)) * [1, 5, 1e-3, 1, 1e4, 1, 1, 1] + 3).rename(
        columns=lambda i: f"ae{i}"
    )
    y = np.where(X["ae1"] / 5 + rng.logistic(size=60) > 0.6, "yes", "no")
    screen = UnivariateScreen(alpha=0.3).fit(X, y)
    table = univariate_logistic(X, y)
    assert screen.p_values_ == pytest.approx(table["p_value"].to_numpy(), rel=1e-8)
    assert screen.support_.tolist() == (table["p_value"] < 0.3).tolist()
    assert screen.get_feature_names_out().tolist() == list(X.columns[screen.support_])
    out = screen.set_output(transform="pandas").transform(X)
    assert list(out.columns) == list(X.columns[screen.support_])
    anova = UnivariateScreen(test="anova", alpha=1.0).fit(X, y)
    assert anova.p_values_ == pytest.approx(f_classif(X, y)[1])
    adjusted = UnivariateScreen(adjust="holm", alpha=1.0).fit(X, y)
    assert adjusted.p_values_ == pytest.approx(holm(table["p_value"]), rel=1e-8)


def test_likelihood_ratio_agrees_with_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)), rng.random(50) < 0.4
    ours = UnivariateScreen(test="likelihood", alpha=1.0).fit(X, y).p_values_
    theirs = [sm.Logit(y, sm.add_constant(x)).fit(disp=0).llr_pvalue for x in X.T]
    assert ours == pytest.approx(theirs, rel=1e-8)


def test_a_feature_that_separates_the_classes_is_kept():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], 15)
    X = np.column_stack([rng.normal(size=30), y * 10 + rng.random(30), np.ones(30)])
    screen = UnivariateScreen(alpha=1e-4).fit(X, y)
    assert screen.support_.tolist() == [False, True, False]
    assert screen.p_values_[1] == pytest.approx(stats.chi2.sf(30 * np.log(4), 1), rel=1e-6)
    assert screen.p_values_[2] == 1


def test_where_nothing_passes_the_best_is_kept_and_said():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 5)), np.repeat([0, 1], 20)
    with pytest.warns(UserWarning, match="0 of 5 features have p < 1e-06; the 1 with the smallest"):
        screen = UnivariateScreen(alpha=1e-6).fit(X, y)
    assert screen.n_passed_ == 0
    assert screen.support_.sum() == 1
    assert screen.support_[screen.p_values_.argmin()]
    with pytest.warns(UserWarning, match="the 3 with"):
        assert UnivariateScreen(alpha=1e-6, min_features=3).fit(X, y).support_.sum() == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = UnivariateScreen(alpha=1e-6, min_features=0).fit(X, y)
        UnivariateScreen(alpha=1.0).fit(X, y)
    with pytest.warns(UserWarning, match="No features were selected"):
        assert nothing.transform(X).shape == (40, 0)


def test_constant_features_are_never_preferred():
    X = np.column_stack([np.ones(20), np.tile([0.0, 1.0], 10)])
    y = np.repeat([0, 1], 10)
    with pytest.warns(UserWarning, match="smallest p-values"):
        assert UnivariateScreen(alpha=0.01).fit(X, y).support_.tolist() == [False, True]


def test_autoencoder_screen_and_model_are_one_pipeline():
    """Any step that makes features may stand first; the screen is searched with the rest."""
    rng = np.random.default_rng(4)
    y = np.repeat(["no", "yes"], 40)
    X = rng.normal(size=(80, 30))
    X[:, 0] += 6 * (y == "yes")
    model = make_pipeline(PCA(random_state=0), UnivariateScreen(), LogisticRegression())
    grid = {"univariatescreen__alpha": [0.01, 0.1], "pca__n_components": [4, 10]}
    search = GridSearchCV(model, grid, scoring="roc_auc", cv=4).fit(X, y)
    assert search.best_score_ > 0.9
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict(X) == search.predict(X)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 30), st.integers(1, 6))
def test_p_values_lie_in_the_interval_and_do_not_change_with_units(seed, n, k):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, size=(n, k)).astype(float)
    y = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    for test in ("wald", "likelihood", "anova"):
        screen = UnivariateScreen(alpha=1.0, min_features=0, test=test)
        p = screen.fit(X, y).p_values_
        assert ((p > 0) & (p <= 1)).all()
        moved = clone(screen).fit(X * 1e3 + 7, 1 - y).p_values_
        assert moved == pytest.approx(p, rel=1e-6)


def test_bad_input_is_named():
    X, y = np.random.default_rng(0).normal(size=(10, 3)), np.tile([0, 1], 5)
    with pytest.raises(ValueError, match="one class"):
        UnivariateScreen().fit(X, np.zeros(10))
    with pytest.raises(ValueError, match="Unknown label type"):
        UnivariateScreen().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        UnivariateScreen().fit(np.where(X > 1, np.nan, X), y)
    with pytest.raises(ValueError, match="alpha"):
        UnivariateScreen(alpha=5).fit(X, y)
    with pytest.raises(ValueError, match="min_features"):
        UnivariateScreen(min_features=-1).fit(X, y)
    with pytest.raises(NotFittedError):
        UnivariateScreen().transform(X)


def test_one_record_a_class_is_no_evidence():
    """The F-test has no degree of freedom left; p once came out as the smallest float."""
    X = np.array([[1.0, 5.0, 3.0], [2.0, 1.0, 3.0], [4.0, 9.0, 3.0]])
    with pytest.warns(UserWarning, match="0 of 3 features"):
        screen = UnivariateScreen(test="anova").fit(X, ["a", "b", "c"])
    assert screen.p_values_.tolist() == [1, 1, 1]
