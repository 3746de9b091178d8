"""Odds ratios against R, statsmodels and closed forms; what has no estimate says so."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from crtkit.statistics import incremental_value, multivariable_logistic, univariate_logistic

DATA = Path(__file__).parents[1] / "data"
EXPECTED = json.loads((DATA / "statistics" / "expected.json").read_text())
FIRTH = json.loads((DATA / "firth" / "expected.json").read_text())["cases"]


@pytest.fixture(scope="module")
def cohort():
    return pd.read_csv(DATA / "statistics" / "cohort.csv")


def check_rows(out, expected):
    for variable, want in expected.items():
        row = out.loc[variable]
        # R's standard errors are those of the last iteration but one (deviance to 1e-8).
        assert row["odds_ratio"] == pytest.approx(want["odds_ratio"], rel=1e-7)
        assert row["ci_low"] == pytest.approx(want["ci_low"], rel=1e-4)
        assert row["ci_high"] == pytest.approx(want["ci_high"], rel=1e-4)
        assert row["p_value"] == pytest.approx(want["p"], rel=1e-3)
        assert row["statistic"] == pytest.approx(want["z"], rel=1e-4, abs=1e-8)


def test_univariate_agrees_with_r(cohort):
    want = EXPECTED["univariate"]
    out = univariate_logistic(cohort[list(want)], cohort["response"])
    assert list(out.index) == list(want)
    check_rows(out, want)
    assert (out["n"] == 102).all()
    assert not out["separated"].any()
    assert (out["note"] == "").all()


def test_multivariable_agrees_with_r(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = multivariable_logistic(cohort[["ae30", "lvef", "male"]], cohort["response"])
    check_rows(out, EXPECTED["multivariate_ae30_lvef_male"])
    assert out.attrs["events_per_parameter"] == pytest.approx(34 / 3)


def test_agrees_with_statsmodels(cohort):
    X = cohort[["ae30", "lvef", "male", "qrsd"]]
    with pytest.warns(UserWarning, match="8.5 events per parameter"):
        ours = multivariable_logistic(X, cohort["response"], confidence=0.9)
    model = sm.GLM(cohort["response"], sm.add_constant(X), family=sm.families.Binomial())
    theirs = model.fit(tol=1e-12, maxiter=100)
    assert np.allclose(ours["coef"], theirs.params[1:], rtol=1e-8)
    assert np.allclose(ours["se"], theirs.bse[1:], rtol=1e-8)
    interval = np.exp(theirs.conf_int(0.1).to_numpy()[1:])
    assert np.allclose(ours[["ci_low", "ci_high"]], interval, rtol=1e-8)
    assert ours.attrs["intercept"] == pytest.approx(theirs.params["const"], rel=1e-7)
    assert ours.attrs["loglik"] == pytest.approx(theirs.llf)
    assert ours.attrs["auc"] == pytest.approx(
        roc_auc_score(cohort["response"], theirs.fittedvalues)
    )
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    design = sm.add_constant(X).to_numpy()
    vif = [variance_inflation_factor(design, i) for i in range(1, 5)]
    assert np.allclose(ours["vif"], vif)


def test_incremental_agrees_with_r(cohort):
    for added, base, key in (
        (["ae30"], ["lvef", "male", "psd"], "psd_plus_ae30"),
        (["ae28", "ae35"], ["lvef", "male", "pbw"], "pbw_plus_ae28_ae35"),
    ):
        want = EXPECTED["incremental"][key]
        out = incremental_value(cohort, cohort["response"], base, added)
        row = out.iloc[1]
        assert row["added_chi2"] == pytest.approx(want["chi2"], rel=1e-8)
        assert row["added_p"] == pytest.approx(want["p"], rel=1e-7)
        assert row["added_df"] == want["df"]
        assert out["auc"].to_numpy() == pytest.approx([want["auc0"], want["auc1"]])
        assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_steps_add_up(cohort):
    out = incremental_value(cohort, cohort["response"], "lvef", [["psd"], ["ae30", "qrsd"]])
    assert list(out["df"]) == [1, 2, 4]
    assert out["chi2"].to_numpy() == pytest.approx(out["added_chi2"].cumsum().to_numpy())
    assert out["auc_gain"].sum() + 0.5 == pytest.approx(out["auc"].iloc[-1])
    single = univariate_logistic(cohort[["lvef"]], cohort["response"])
    assert out["auc"].iloc[0] == pytest.approx(single["auc"].iloc[0])


@pytest.mark.parametrize(("chi2", "df", "printed"), [(8.06, 1, "0.005"), (9.60, 2, "0.008")])
def test_published_likelihood_ratios_print_their_p(chi2, df, printed):
    assert f"{stats.chi2.sf(chi2, df):.3f}" == printed


@pytest.mark.parametrize("name", list(FIRTH))
def test_firth_agrees_with_reference(name):
    case = FIRTH[name]
    table = pd.read_csv(DATA / "firth" / f"{name}.csv")
    X, want = table[case["names"][1:]], case["direct"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = multivariable_logistic(X, table["y"], method="firth")
        auto = multivariable_logistic(X, table["y"], method="auto")
    assert out["coef"].to_numpy() == pytest.approx(want["coef"][1:], abs=1e-5)
    assert out["p_value"].to_numpy() == pytest.approx(want["p_penalized_lr"][1:], abs=1e-4)
    assert out.attrs["intercept"] == pytest.approx(want["coef"][0], abs=1e-5)
    agree = np.array(case["ci_two_programs_agree"])[1:]
    limits = np.array(want["ci_profile"], dtype=float)[1:]
    assert np.log(out[["ci_low", "ci_high"]].to_numpy()[agree]) == pytest.approx(
        limits[agree], abs=1e-3
    )
    separated = "separation" in name and name != "no_separation" or name == "small_quasi"
    assert out["separated"].all() == separated
    assert auto.attrs["method"] == ("firth" if separated else "ml")


def test_separation_is_named_and_firth_offered():
    table = pd.read_csv(DATA / "firth" / "complete_separation_two_predictors.csv")
    X, y = table[["qrsd10", "z"]], table["y"]
    with pytest.warns(UserWarning, match="separated by .*qrsd10.*use method='firth'"):
        out = multivariable_logistic(X, y)
    assert out.loc["qrsd10", "odds_ratio"] == np.inf
    assert out["p_value"].isna().all()
    assert out["note"].str.contains("method='firth'").all()
    single = univariate_logistic(X, y)
    assert single["separated"].tolist() == [True, False]
    assert single.loc["qrsd10", "auc"] == 1
    assert np.isfinite(single.loc["z", "p_value"])
    firth = univariate_logistic(X, y, method="auto")
    assert firth["method"].tolist() == ["firth", "ml"]
    assert np.isfinite(firth["ci_high"]).all()
    with pytest.warns(UserWarning, match="method='firth'"):
        steps = incremental_value(X, y, "z", "qrsd10")
    assert np.isnan(steps["added_p"].iloc[1])
    assert "separated" in steps["note"].iloc[1]
    steps = incremental_value(X, y, "z", "qrsd10", method="firth")
    want = FIRTH["complete_separation_two_predictors"]["direct"]
    assert steps["added_chi2"].iloc[1] == pytest.approx(want["chi2_penalized_lr"][1], abs=1e-4)


@settings(max_examples=80, deadline=None)
@given(st.tuples(*[st.integers(0, 8)] * 4))
def test_two_by_two_tables(counts):
    """The sample odds ratio where no cell is empty, the right reason where one is."""
    a, b, c, d = counts
    x = np.repeat([1, 1, 0, 0], counts)
    y = np.repeat([1, 0, 1, 0], counts)
    if a + c == 0 or b + d == 0:
        return  # one class: an error, tested elsewhere
    out = univariate_logistic(pd.DataFrame({"x": x}), y).iloc[0]
    if a + b == 0 or c + d == 0:
        assert out["note"] == "constant"
    elif 0 in counts:
        assert out["separated"]
        assert out["odds_ratio"] == (np.inf if b * c == 0 else 0)
        assert np.isnan(out["p_value"])
    else:
        assert out["odds_ratio"] == pytest.approx(a * d / (b * c))
        assert out["se"] == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 14), st.integers(1, 3))
def test_separation_is_found_exactly_where_the_estimate_runs_off(seed, n, k):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, size=(n, k)).astype(float)
    y = rng.random(n) < 0.5
    y[:2] = [True, False]
    if (np.ptp(X, axis=0) == 0).any():
        return
    for j in range(k):
        out = univariate_logistic(X[:, [j]], y).iloc[0]
        x1, x0 = X[y, j], X[~y, j]
        assert out["separated"] == (x1.min() >= x0.max() or x0.min() >= x1.max())
        assert np.isnan(out["p_value"]) == out["separated"]
        if not out["separated"]:
            assert out["ci_low"] < out["odds_ratio"] < out["ci_high"]


def test_missing_values_are_counted(cohort):
    X = cohort[["ae30", "lvef"]].copy()
    X.loc[:9, "ae30"] = np.nan
    out = univariate_logistic(X, cohort["response"])
    assert out["n"].tolist() == [92, 102]
    assert out.loc["ae30", "note"] == "10 missing values left out"
    with pytest.warns(UserWarning, match="10 of 102 records have missing values"):
        out = multivariable_logistic(X, cohort["response"])
    assert out.attrs["n"] == 92
    with pytest.warns(UserWarning, match="10 of 102"):
        steps = incremental_value(X, cohort["response"], "lvef", "ae30")
    assert (steps["n"] == 92).all()


def test_flagged_rows(cohort):
    X = cohort[["age"]].assign(same=1.0, half=np.where(cohort["response"] == 1, np.nan, 2.0))
    out = univariate_logistic(X, cohort["response"])
    assert out.loc["same", "note"] == "constant"
    assert "one class among" in out.loc["half", "note"]
    assert out.loc["same", "or_ci"] == out.loc["same", "p"] == ""
    assert out.loc["age", "p"] == "0.272"


def test_collinearity_is_named(cohort):
    y = cohort["response"]
    X = cohort[["psd", "pbw"]].assign(psd2=cohort["psd"] + 0.05 * cohort["age"])
    with pytest.warns(UserWarning, match=r"collinear variables.*psd \(\d+\).*psd2"):
        multivariable_logistic(X, y)
    with pytest.raises(ValueError, match=r"columns \['psd', 'double'\] are linearly dependent"):
        multivariable_logistic(cohort[["psd", "age"]].assign(double=2 * cohort["psd"] - 3), y)
    with pytest.raises(ValueError, match=r"constant columns \['same'\]"):
        multivariable_logistic(cohort[["psd"]].assign(same=4.2), y)


def test_nearly_redundant_columns_are_refused_where_digits_are_lost(cohort):
    """Firth's p-values drift, and maximum likelihood stops converging, beyond this."""
    y, noise = cohort["response"], np.random.default_rng(0).normal(size=len(cohort))
    for method in ("ml", "firth"):
        p = []
        for size in (1e-1, 1e-2):
            X = cohort[["psd", "age"]].assign(sum=cohort["psd"] + cohort["age"] + size * noise)
            with pytest.warns(UserWarning, match="collinear"):
                p.append(multivariable_logistic(X, y, method=method).loc["sum", "p_value"])
        assert p[0] == pytest.approx(p[1], rel=0.1)
        for size in (1e-4, 1e-6):
            X = cohort[["psd", "age"]].assign(sum=cohort["psd"] + cohort["age"] + size * noise)
            with pytest.raises(ValueError, match=r"\['psd', 'age', 'sum'\] are linearly dependent"):
                multivariable_logistic(X, y, method=method)


def test_an_odds_ratio_beyond_print_says_why(cohort):
    for method in ("ml", "firth"):
        tiny = univariate_logistic(cohort[["qrsd"]] * 1e-9, cohort["response"], method=method)
        assert np.isinf(tiny.loc["qrsd", "odds_ratio"])
        assert "give the variable in larger units" in tiny.loc["qrsd", "note"]
        assert np.isfinite(tiny.loc["qrsd", "coef"])


def test_numbers_beside_none_are_numbers(cohort):
    X = cohort[["age"]].astype(object)
    X.iloc[0, 0] = None
    out = univariate_logistic(X, cohort["response"])
    assert out.loc["age", "note"] == "1 missing values left out"


def test_units_and_offsets_do_not_matter(cohort):
    y = cohort["response"]
    one = univariate_logistic(cohort[["esv"]], y).iloc[0]
    other = univariate_logistic(cohort[["esv"]] * 1e-6 + 5, y).iloc[0]
    assert other["p_value"] == pytest.approx(one["p_value"], rel=1e-6)
    assert other["coef"] * 1e-6 == pytest.approx(one["coef"], rel=1e-6)
    turned = univariate_logistic(cohort[["esv"]], y, pos_label=0).iloc[0]
    assert turned["odds_ratio"] == pytest.approx(1 / one["odds_ratio"])
    text = univariate_logistic(cohort["esv"], y.map({0: "no", 1: "yes"}))
    assert text.iloc[0]["coef"] == pytest.approx(one["coef"])


@pytest.mark.parametrize("function", [univariate_logistic, multivariable_logistic])
def test_bad_input_is_named(cohort, function):
    X, y = cohort[["age", "psd"]], cohort["response"]
    for bad_X, bad_y, message in (
        (cohort[["age", "nyha"]], y, r"\['nyha'\] hold text.*get_dummies"),
        (X.assign(age=np.inf), y, "have infinity"),
        (X, np.ones(len(X)), "two classes in y"),
        (X, cohort["nyha"], "two classes in y"),
        (X, y.where(y == 1), "missing label"),
        (X, y[:50].to_numpy(), "102 rows, y 50"),
        (X, y.iloc[::-1], "indices differ"),
        (X["age"].to_numpy(), y, "2-D array"),
        (X[[]], y, "at least one column"),
    ):
        with pytest.raises(ValueError, match=message):
            function(bad_X, bad_y)
    with pytest.raises(ValueError, match="method must be one of"):
        function(X, y, method="gaussian")
    with pytest.raises(ValueError, match="confidence"):
        function(X, y, confidence=95)


def test_bad_steps_are_named(cohort):
    y = cohort["response"]
    with pytest.raises(ValueError, match=r"no such columns: \['ae99'\]"):
        incremental_value(cohort, y, "lvef", "ae99")
    with pytest.raises(ValueError, match=r"named twice: \['lvef'\]"):
        incremental_value(cohort, y, "lvef", ["lvef", "psd"])
    with pytest.raises(ValueError, match="in base and in added"):
        incremental_value(cohort, y, [], "psd")
    with pytest.raises(TypeError, match="DataFrame"):
        incremental_value(cohort[["psd"]].to_numpy(), y, "psd", "age")
    with pytest.raises(ValueError, match="method"):
        incremental_value(cohort, y, "lvef", "psd", method="auto")


def test_outcome_in_a_table_is_paired_by_its_index(cohort):
    X, y = cohort[["age"]], cohort[["response"]]
    want = univariate_logistic(X, cohort["response"]).iloc[0]
    assert univariate_logistic(X, y).iloc[0]["coef"] == want["coef"]
    with pytest.raises(ValueError, match="indices differ"):
        univariate_logistic(X, y.iloc[::-1])
    # An array has no index: rows correspond by position, whatever y's labels are.
    array = univariate_logistic(X.to_numpy(), cohort["response"].set_axis(range(7, 7 + len(y))))
    assert array.iloc[0]["coef"] == want["coef"]
