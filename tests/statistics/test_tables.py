"""Table 1 against R, tableone and scipy, and on what cannot be tested."""

import json
from itertools import product
from math import comb, prod
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from crtkit.statistics import (
    baseline_table,
    pearson_table,
    standardised_difference,
    write_table,
)
from crtkit.statistics.group_tests import compare_counts, compare_means
from crtkit.statistics.p_values import benjamini_hochberg, format_p, holm

DATA = Path(__file__).parents[1] / "data" / "statistics"
EXPECTED = json.loads((DATA / "expected.json").read_text())
CONTINUOUS = list(EXPECTED["group_comparison"])


@pytest.fixture(scope="module")
def cohort():
    return pd.read_csv(DATA / "cohort.csv")


@pytest.mark.parametrize("test", ["student", "welch", "mannwhitney"])
def test_continuous_agrees_with_r(cohort, test):
    out = baseline_table(cohort, "response", variables=CONTINUOUS, continuous="mean_sd", test=test)
    for name, want in EXPECTED["group_comparison"].items():
        row = out.loc[name]
        assert row["p_value"] == pytest.approx(want[f"{test}_p"], rel=1e-9)
        if test != "mannwhitney":
            assert row["statistic"] == pytest.approx(want[f"{test}_t"], rel=1e-9)
        for group in (0, 1):
            assert row[f"mean ({group})"] == pytest.approx(want[f"mean{group}"])
            assert row[f"sd ({group})"] == pytest.approx(want[f"sd{group}"])
        for ours, theirs in (("median", "median0"), ("q1", "q25_0"), ("q3", "q75_0")):
            assert row[f"{ours} (0)"] == pytest.approx(want[theirs])
        assert row["kind"] == "mean_sd"


@pytest.mark.parametrize(
    ("categorical", "key"), [("chi2", "p"), ("chi2_yates", "p_yates"), ("fisher", "fisher_p")]
)
def test_counts_agree_with_r(cohort, categorical, key):
    out = baseline_table(
        cohort, "response", variables=["lbbb", "male", "nyha"], categorical=categorical
    )
    for name, want in EXPECTED["categorical"].items():
        assert out.loc[name, "p_value"] == pytest.approx(want[key], rel=1e-9)
        if categorical == "chi2":
            assert out.loc[name, "statistic"] == pytest.approx(want["chi2"], abs=1e-9)
    assert list(out["kind"]) == ["binary", "binary", "categorical"]


def test_t_on_flags_is_a_t_test_on_flags(cohort):
    out = baseline_table(cohort, "response", variables=["lbbb"], categorical="t")
    want = stats.ttest_ind(*(g["lbbb"] for _, g in cohort.groupby("response")))
    assert out.loc["lbbb", "p_value"] == pytest.approx(want.pvalue)
    assert out.loc["lbbb", "test"] == "Student t on 0/1"


def test_whole_table_agrees_with_tableone(cohort):
    tableone = pytest.importorskip("tableone")
    theirs = tableone.TableOne(
        cohort, columns=["age", "esv", "nyha", "lbbb"], categorical=["nyha", "lbbb"],
        nonnormal=["esv"], groupby="response", pval=True, pval_digits=12,
    ).tableone["Grouped by response"]  # fmt: skip
    kinds = {"age": "mean_sd", "esv": "median_iqr"}
    ours = baseline_table(
        cohort,
        "response",
        kinds=kinds,
        test="welch",
        categorical="chi2_yates",
        levels="rows",
    )
    # tableone corrects by Yates, and takes Kruskal-Wallis for medians even of two groups.
    p = pd.to_numeric(theirs["P-Value"], errors="coerce").dropna()
    by_name = {key[0].split(",")[0]: value for key, value in p.items()}
    assert by_name["age"] == pytest.approx(ours.loc["age", "p_value"], abs=1e-9)
    assert by_name["nyha"] == pytest.approx(ours.loc["nyha", "p_value"], abs=1e-9)
    assert by_name["lbbb"] == pytest.approx(ours.loc["lbbb", "p_value"], abs=1e-9)
    cells = theirs["1"].to_dict()
    assert ours.loc["nyha: II", "1"] == cells["nyha, n (%)", "II"]
    assert ours.loc["esv", "1"].replace("–", ",") == cells["esv, median [Q1,Q3]", ""]


def test_more_groups_agree_with_statsmodels_and_scipy():
    from statsmodels.stats.oneway import anova_oneway

    rng = np.random.default_rng(3)
    set_name = np.repeat(["train", "internal", "JNUH", "CNUSH"], [150, 20, 12, 22])
    age = rng.normal(73, 8, len(set_name)) + (set_name == "JNUH") * rng.normal(2, 12, len(set_name))
    table = pd.DataFrame({"age": age, "low_ef": rng.random(len(set_name)) < 0.4})
    parts = [age[set_name == s] for s in ("CNUSH", "JNUH", "internal", "train")]
    for test, want in {
        "student": stats.f_oneway(*parts).pvalue,
        "welch": anova_oneway(parts, use_var="unequal").pvalue,
        "mannwhitney": stats.kruskal(*parts).pvalue,
    }.items():
        out = baseline_table(table, set_name, continuous="mean_sd", test=test)
        assert out.loc["age", "p_value"] == pytest.approx(want, rel=1e-9)
    levene = stats.levene(*parts).pvalue
    out = baseline_table(table, set_name, continuous="mean_sd", test="levene")
    assert out.loc["age", "levene_p"] == pytest.approx(levene)
    assert out.loc["age", "test"] == ("Welch ANOVA" if levene < 0.05 else "one-way ANOVA")
    assert out.loc["age", "shapiro_p"] == pytest.approx(min(stats.shapiro(p)[1] for p in parts))
    counts = pd.crosstab(table["low_ef"], set_name)
    chi2 = stats.chi2_contingency(counts, correction=False).pvalue
    assert out.loc["low_ef", "p_value"] == pytest.approx(chi2)


def test_printed_form(cohort):
    out = baseline_table(
        cohort,
        "response",
        variables=["lbbb", "nyha", "age", "esv"],
        kinds={"age": "median_iqr", "esv": "mean_sd"},
        order=[1, 0],
        labels={1: "Responder", 0: "Non-responder"},
        levels="rows",
        numbers=False,
    )
    assert list(out.columns) == ["overall", "Responder", "Non-responder", "p", "missing"]
    assert list(out.index) == ["lbbb", "nyha", "nyha: II", "nyha: III", "nyha: IV", "age", "esv"]
    responders = cohort[cohort["response"] == 1]
    share = 100 * responders["lbbb"].mean()
    assert out.loc["lbbb", "Responder"] == f"{responders['lbbb'].sum()} ({share:.1f})"
    q1, q2, q3 = np.percentile(responders["age"], [25, 50, 75])
    assert out.loc["age", "Responder"] == f"{q2:.1f} [{q1:.1f}–{q3:.1f}]"
    esv = responders["esv"]
    assert out.loc["esv", "Responder"] == f"{esv.mean():.1f} ± {esv.std():.1f}"
    assert "Non-responder" in out.to_markdown()
    assert r"\begin{tabular}" in out.to_latex()


def test_missing_values_are_counted_not_guessed():
    table = pd.DataFrame(
        {
            "x": [1.0, 2, np.nan, 4, 5, 6, 7, np.nan],
            "flag": pd.array([1, 0, None, 1, 0, 0, 1, 1], dtype="Int64"),
            "nyha": ["II", "III", None, "IV", "II", "II", "III", None],
        }
    )
    by = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    out = baseline_table(table, by)
    assert list(out["missing"]) == [2, 1, 2]
    assert out.loc["x", "n (0)"] == 3
    assert out.loc["x", "missing (1)"] == 1
    assert out.loc["flag", "0"] == "2 (66.7)"  # of the three whose flag is known
    assert out.loc["nyha", "1"] == "II 2 (66.7), III 1 (33.3), IV 0 (0.0)"


def test_p_is_never_printed_as_zero():
    table = pd.DataFrame({"x": np.r_[np.arange(3000), np.arange(3000) + 1e6]})
    by = np.repeat([0, 1], 3000)
    out = baseline_table(table, by, continuous="mean_sd")
    assert out.loc["x", "p"] == "<0.001"
    assert 0 < out.loc["x", "p_value"] < 1e-300
    flags = pd.DataFrame({"flag": by})
    for categorical in ("chi2", "chi2_yates", "fisher"):
        assert baseline_table(flags, by, categorical=categorical).loc["flag", "p_value"] > 0


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([3.0] * 6, "constant"),
        ([np.nan] * 6, "fewer than"),
        ([1.5, np.nan, np.nan, 1, 2, 3.0], "fewer than 2 values"),
        ([1, 1, 1, 2, 2, 2.5], None),
        (["a"] * 6, "constant"),
        ([0] * 6, "constant"),
        ([True] * 6, "constant"),
        ([1, None, None, 1, 0, 1], None),
        (["a", "b", "c", None, None, None], "no values"),
    ],
)
def test_no_nan_without_a_reason(column, reason):
    by = ["no", "no", "no", "yes", "yes", "yes"]
    for categorical in ("chi2", "chi2_yates", "fisher", "t"):
        for levels in ("joined", "rows"):
            out = baseline_table(
                pd.DataFrame({"v": column}),
                by,
                variables=["v"],
                continuous="mean_sd",
                categorical=categorical,
                levels=levels,
            )
            row = out.loc["v"]
            assert not (np.isnan(row["p_value"]) and not row["note"])
            if reason:
                assert reason in row["note"]
                assert row["p"] == ""


def test_fisher_and_t_say_where_they_do_not_apply():
    counts = np.arange(1, 10).reshape(3, 3)
    assert "two groups or two levels" in compare_counts(counts, "fisher").note
    assert "two levels" in compare_counts(counts, "t").note
    assert "below 5 in 4 of 9" in compare_counts(counts, "chi2").note
    huge = np.full((9, 2), 400)
    assert "too many tables" in compare_counts(huge, "fisher").note


def _fisher_by_listing(counts):
    """Every table with these margins, with integer weights: no rounding at all."""
    rows, first = counts.sum(1), counts[:, 0].sum()
    weights = {
        given: prod(comb(int(n), k) for n, k in zip(rows, given))
        for given in product(*(range(n + 1) for n in rows))
        if sum(given) == first
    }
    limit = weights[tuple(counts[:, 0])]
    return sum(w for w in weights.values() if w <= limit) / sum(weights.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=4))
def test_fisher_agrees_with_listing_and_its_transpose(rows):
    counts = np.array(rows)
    ours = compare_counts(counts, "fisher")
    if np.isnan(ours.p_value):
        assert ours.note
        return
    counts = counts[counts.sum(1) > 0]
    assert ours.p_value == pytest.approx(_fisher_by_listing(counts), rel=1e-6)
    assert compare_counts(counts.T, "fisher").p_value == pytest.approx(ours.p_value)
    if counts.shape == (2, 2):
        assert ours.p_value == pytest.approx(stats.fisher_exact(counts).pvalue, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=3, max_size=12),
    st.lists(st.integers(-50, 50), min_size=3, max_size=12),
    st.sampled_from(["student", "welch", "mannwhitney"]),
)
def test_exchanging_the_groups_keeps_p(a, b, method):
    a, b = np.array(a) / 8, np.array(b) / 8
    one, other = compare_means([a, b], method), compare_means([b, a], method)
    assert one.p_value == pytest.approx(other.p_value, nan_ok=True)
    assert one.note == other.note
    assert np.isnan(one.p_value) == bool(one.note)


def test_bad_input_is_named(cohort):
    with pytest.raises(TypeError, match="expects a DataFrame"):
        baseline_table(cohort.to_numpy(), "response")
    with pytest.raises(ValueError, match="one class"):
        baseline_table(cohort[cohort["response"] == 1], "response")
    with pytest.raises(ValueError, match="not a column of the table"):
        baseline_table(cohort, "responder")
    with pytest.raises(ValueError, match=r"no such columns: \['qrs'\]"):
        baseline_table(cohort, "response", variables=["qrs"])
    with pytest.raises(ValueError, match="3 labels"):
        baseline_table(cohort, [0, 1, 1])
    with pytest.raises(ValueError, match="2 rows have no label"):
        baseline_table(cohort, [np.nan, np.nan] + [1] * (len(cohort) - 2))
    with pytest.raises(ValueError, match="index differs"):
        baseline_table(cohort, cohort["response"].sort_values())
    with pytest.raises(ValueError, match="infinite"):
        baseline_table(cohort.assign(age=np.inf), "response")
    with pytest.raises(ValueError, match="holds no numbers"):
        baseline_table(cohort, "response", kinds={"nyha": "mean_sd"})
    with pytest.raises(ValueError, match="binary has two"):
        baseline_table(cohort, "response", kinds={"nyha": "binary"})
    with pytest.raises(ValueError, match="categorical must be one of"):
        baseline_table(cohort, "response", categorical="g-test")
    with pytest.raises(ValueError, match="distinct column names"):
        baseline_table(cohort, "response", labels={0: "p"})
    with pytest.raises(ValueError, match="order"):
        baseline_table(cohort, "response", order=[1])
    with pytest.raises(ValueError, match=r"kinds names \['nhya'\], which are not rows"):
        baseline_table(cohort, "response", kinds={"nhya": "categorical"})
    with pytest.raises(ValueError, match=r"labels of shape \(n_patients,\), got shape \(102, 2\)"):
        baseline_table(cohort, np.zeros((len(cohort), 2)))


def test_one_variable_may_be_named_alone(cohort):
    assert list(baseline_table(cohort, "response", variables="age").index) == ["age"]


def test_numbers_beside_none_are_numbers(cohort):
    """A table from a database or a spreadsheet has object columns."""
    table = cohort[["age", "lvef"]].astype(object)
    table.iloc[3, 0] = None
    out = baseline_table(table, cohort["response"].to_numpy())
    assert list(out.index) == ["age", "lvef"]
    assert list(out["missing"]) == [1, 0]
    floats = baseline_table(table.astype(float), cohort["response"].to_numpy())
    pd.testing.assert_frame_equal(out, floats)
    r = pearson_table(table)
    assert r["n"].item() == 101
    assert r["r"].item() == pytest.approx(pearson_table(table.astype(float))["r"].item())


def test_cells_and_paths_are_left_out_and_named(cohort):
    table = cohort[["age", "lbbb", "response"]].copy()
    table["image"] = [f"page{i}.jpg" for i in range(len(table))]
    table["signal"] = [np.zeros((12, 5)) for _ in range(len(table))]
    out = baseline_table(table, "response")
    assert list(out.index) == ["age", "lbbb"]
    assert out.attrs["left_out"] == ["image", "signal"]


def test_text_flags_name_the_level_that_is_counted():
    table = pd.DataFrame({"sex": ["male", "female", "male", "male", "female", "male"]})
    out = baseline_table(table, [0, 0, 0, 1, 1, 1])
    assert out.loc["sex", "overall"] == "male 4 (66.7)"


def test_adjusted_p_agree_with_statsmodels(cohort):
    from statsmodels.stats.multitest import multipletests

    out = baseline_table(cohort, "response", adjust="holm")
    assert np.allclose(out["p_adjusted"], multipletests(out["p_value"], method="holm")[1])
    p = np.array([0.2, 0.01, np.nan, 0.04, 0.01])
    there = ~np.isnan(p)
    for ours, theirs in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert np.allclose(ours(p)[there], multipletests(p[there], method=theirs)[1])
        assert np.isnan(ours(p)[2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_only_raises(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_printed_p():
    assert format_p(0.0499) == "0.050"
    assert format_p(0.001) == "0.001"
    assert format_p(0.00099) == "<0.001"
    assert format_p(1.0) == "1.000"
    assert format_p(0.04321, decimals=2) == "0.04"


def test_pearson_agrees_with_r(cohort):
    out = pearson_table(cohort[["ae30", "psd", "pbw"]])
    assert len(out) == 3
    for want in EXPECTED["pearson"]:
        row = out.loc[(want["x"], want["y"])]
        assert row["r"] == pytest.approx(want["r"], rel=1e-9)
        assert row["ci_low"] == pytest.approx(want["ci_low"], rel=1e-9)
        assert row["ci_high"] == pytest.approx(want["ci_high"], rel=1e-9)
        assert row["p_value"] == pytest.approx(want["p"], rel=1e-6)


def test_pearson_of_two_tables_and_bad_columns(cohort):
    features, phase = cohort[["ae28", "ae30", "ae35"]], cohort[["psd", "pbw"]].copy()
    phase.loc[:4, "psd"] = np.nan
    phase["same"] = 1.0
    out = pearson_table(features, phase)
    assert out["r"].unstack().shape == (3, 3)
    assert out.loc[("ae30", "psd"), "n"] == len(cohort) - 5
    assert out.loc[("ae30", "same"), "note"] == "a column is constant"
    assert np.isnan(out.loc[("ae30", "same"), "p_value"])
    with pytest.raises(ValueError, match="needs numbers"):
        pearson_table(cohort[["nyha", "psd"]])
    with pytest.raises(ValueError, match="same patients"):
        pearson_table(features, phase.iloc[::-1])
    with pytest.raises(ValueError, match="at least two columns"):
        pearson_table(cohort[["psd"]])
    with pytest.raises(ValueError, match=r"b has infinity in \['psd'\]"):
        pearson_table(features, phase.assign(psd=np.inf))
    with pytest.raises(ValueError, match=r"each column once, a has \['psd', 'psd'\]"):
        pearson_table(cohort[["psd", "psd"]])


def test_standardised_differences_agree_with_tableone(cohort):
    tableone = pytest.importorskip("tableone")
    names = ["age", "esv", "nyha", "lbbb"]
    theirs = tableone.TableOne(
        cohort, columns=names, categorical=["nyha", "lbbb"], groupby="response", smd=True
    ).tableone["Grouped by response"]  # fmt: skip
    smd = {key[0].split(",")[0]: float(v) for key, v in theirs["SMD (0,1)"].items() if v}
    ours = baseline_table(cohort, "response", variables=names, smd=True)
    for name in names:
        # tableone divides variances by n, Austin by n - 1.
        assert ours.loc[name, "smd"] == pytest.approx(abs(smd[name]), rel=0.02, abs=6e-4)
        assert float(ours.loc[name, "SMD"]) == pytest.approx(ours.loc[name, "smd"], abs=0.005)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
)
def test_standardised_differences_are_distances(a, b):
    for categorical in (False, True):
        forth = standardised_difference(a, b, categorical=categorical)
        back = standardised_difference(b, a, categorical=categorical)
        assert forth == pytest.approx(back, nan_ok=True)
        assert np.isnan(forth) or forth >= 0
        same = standardised_difference(a, a, categorical=categorical)
        assert np.isnan(same) or same == pytest.approx(0, abs=1e-6)
    flags = np.array([x > 1 for x in a]), np.array([x > 1 for x in b])
    p, q = (x.mean() for x in flags)
    spread = np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    if spread > 0:
        got = standardised_difference(*flags, categorical=True)
        assert got == pytest.approx(abs(p - q) / spread)


def test_kinds_are_guessed_as_a_clinician_would():
    rng = np.random.default_rng(0)
    n = 60
    table = pd.DataFrame(
        {
            "sex": rng.choice(["M", "F"], n),
            "nyha": rng.choice([2, 3, 4], n),
            "sex_code": rng.choice([1, 2], n),
            "diabetes": rng.integers(0, 2, n),
            "age": rng.integers(40, 90, n),
            "lvef": rng.normal(28, 5, n),
            "device": rng.choice(["CRT-D", "CRT-P", "none"], n),
            "ward": [f"room {k}" for k in range(n)],
        }
    )
    out = baseline_table(table, rng.integers(0, 2, n), continuous="mean_sd")
    assert out["kind"].to_dict() == {
        "sex": "binary", "nyha": "categorical", "sex_code": "binary", "diabetes": "binary",
        "age": "mean_sd", "lvef": "mean_sd", "device": "categorical",
    }  # fmt: skip
    assert out.loc["sex", "overall"].startswith("M ")
    assert out.loc["sex_code", "overall"].startswith("2: ")
    assert out.attrs["left_out"] == ["ward"]


@pytest.mark.parametrize("suffix", [".md", ".tex", ".html", ".csv", ".docx"])
@pytest.mark.parametrize("numbers", [True, False])
def test_the_table_is_written_in_every_form(cohort, tmp_path, suffix, numbers):
    table = cohort.assign(note_=[f"free & text_{k}" for k in range(len(cohort))])
    out = baseline_table(table, "response", labels={0: "no", 1: "yes"}, smd=True, numbers=numbers)
    path = tmp_path / f"table1{suffix}"
    write_table(out, path, title="Table 1. Baseline")
    if suffix == ".docx":
        docx = pytest.importorskip("docx")
        document = docx.Document(path)
        cells = [[c.text for c in row.cells] for row in document.tables[0].rows]
        text = "\n".join(p.text for p in document.paragraphs)
        assert cells[0][:3] == [
            "Characteristic",
            f"overall (n = {len(cohort)})",
            f"no (n = {(cohort['response'] == 0).sum()})",
        ]
        assert [row[0] for row in cells[1:]] == [out.attrs["names"][row] for row in out.index]
        assert cells[1][1] == out["overall"].iloc[0]
    else:
        text = path.read_text(encoding="utf-8")
        assert f"(n = {len(cohort)})" in text
        assert "p_value" not in text
        assert "mean (yes)" not in text
    if suffix != ".csv":
        assert "Table 1. Baseline" in text
        assert "left out" in text
        assert "standardised" in text
    if suffix == ".tex":
        assert r"free" not in text
        assert r"note\_" in text
        assert text.count(r"\\") == len(out) + 1
    with pytest.raises(ValueError, match="write_table writes"):
        write_table(out, tmp_path / "table1.xls")


FIRST_CELL = {
    ".md": "| {} |", ".tex": "\n{} & ", ".html": '<th scope="row">{}</th>', ".csv": '\n"{}",'
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".docx", *FIRST_CELL])
def test_rows_bear_their_printed_names_and_the_authors(tmp_path, suffix):
    table = pd.DataFrame({
        "qrs_duration_ms": np.linspace(120, 180, 30), "nyha": [2, 3, 4] * 10,
        "own_score": np.arange(30.0), "lvef": np.linspace(20, 35, 30),
    })  # fmt: skip
    own = {"own_score": "Own score, points", "nyha": "NYHA, class"}
    out = baseline_table(table, [0, 1] * 15, levels="rows", names=own)
    assert list(out.index)[:2] == ["qrs_duration_ms", "nyha"]
    path = tmp_path / f"table1{suffix}"
    write_table(out, path)
    names = ["QRS duration, ms", "NYHA, class", "NYHA, class: 2", "Own score, points", "LVEF, %"]
    if suffix == ".docx":
        document = pytest.importorskip("docx").Document(path)
        rows = [row.cells[0].text for row in document.tables[0].rows]
        assert {"Characteristic", *names} <= set(rows)
    else:
        text = path.read_text(encoding="utf-8").replace(r"\%", "%")
        assert "Characteristic" in text
        assert all(FIRST_CELL[suffix].format(name) in text for name in names)
    with pytest.raises(ValueError, match="names"):
        baseline_table(table, [0, 1] * 15, names={"lvfe": "LVEF"})


def test_levels_are_one_whatever_their_type():
    """An empty cell makes floats of one hospital's codes; the other's stay whole numbers."""
    whole, floats = [1, 2, 2, 3, 3, 3], pd.Series([1, 2, 2, 3, 3, 3, None])
    assert standardised_difference(whole, floats, categorical=True) == pytest.approx(0, abs=1e-9)
    flags = standardised_difference([True, True, False], [1, 1.0, 0], categorical=True)
    assert flags == pytest.approx(0, abs=1e-9)
    nullable = pd.array([1, 2, None, 3], dtype="Int64")
    assert standardised_difference(nullable, [1, 2, 3]) == 0
    assert standardised_difference(nullable, [1, 2, 3], categorical=True) == pytest.approx(0)
    with pytest.raises(ValueError, match="must hold numbers"):
        standardised_difference(["low", "high"], [1, 2])


def test_a_level_that_a_filter_emptied_is_not_counted():
    arm = pd.Categorical(list("aabbab") * 2, categories=["a", "b", "c"])
    table = pd.DataFrame({"arm": arm})
    row = baseline_table(table, [0, 1] * 6).loc["arm"]
    assert row["overall"] == "b 6 (50.0)"
    assert row["kind"] == "binary"


@pytest.mark.parametrize(
    ("levels", "counted"),
    [("ja nein", "ja"), ("yes no", "yes"), ("f m", "m"), ("CRT+ CRT-", "CRT+")],
)
def test_the_affirmative_level_is_counted(levels, counted):
    table = pd.DataFrame({"diabetes": levels.split() * 5 + [levels.split()[0]]})
    cell = baseline_table(table, [0, 1] * 5 + [0]).loc["diabetes", "overall"]
    assert cell == f"{counted} {'6 (54.5)' if levels.startswith(counted) else '5 (45.5)'}"


def test_a_code_beside_an_empty_cell_is_printed_whole():
    table = pd.DataFrame({"nyha": [2, 3, 4, None] * 6})
    joined = baseline_table(table, [0, 1] * 12).loc["nyha", "overall"]
    assert joined == "2: 6 (33.3), 3: 6 (33.3), 4: 6 (33.3)"
    rows = baseline_table(table, [0, 1] * 12, levels="rows")
    assert list(rows.index) == ["nyha", "nyha: 2", "nyha: 3", "nyha: 4"]


def test_dates_are_no_categories():
    days = pd.date_range("2024-01-01", periods=3)
    table = pd.DataFrame(
        {
            "lvef": np.arange(12.0),
            "read as dates": np.tile(days, 4),
            "as text": np.tile(days.strftime("%d.%m.%Y"), 4),
            "with a time": np.tile(days.strftime("%Y-%m-%d 10:30"), 4),
            "nyha": ["II", "III", "IV"] * 4,
        }
    )
    out = baseline_table(table, [0, 1] * 6)
    assert list(out.index) == ["lvef", "nyha"]
    assert out.attrs["left_out"] == ["read as dates", "as text", "with a time"]
    asked = baseline_table(table, [0, 1] * 6, variables=["as text"])
    assert asked.loc["as text", "kind"] == "categorical"
