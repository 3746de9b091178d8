"""The papers' own tables, recomputed: no patients needed."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from crtkit.statistics import audit_table, baseline_table, rebuild_p_values
from crtkit.statistics.printed.p_values import read_figure, read_printed

PUBLISHED = files("crtkit.studies") / "published"


def published(name):
    return pd.read_csv(PUBLISHED / f"{name}.csv", dtype=str)


@pytest.mark.parametrize(
    ("study", "test", "n", "others"),
    [
        ("mori2025", "chi2", 6, {"chi2_yates": 1, "fisher": 1, "t": 5}),
        ("he2021", "chi2_yates", 7, {"chi2": 1, "fisher": 0, "t": 0}),
        ("he2023", "t", 11, {"chi2": 2, "chi2_yates": 1, "fisher": 1}),
    ],
)
def test_printed_p_values_come_out_of_printed_counts(study, test, n, others):
    out = rebuild_p_values(published(f"{study}_table1"))
    assert out.attrs["n"] == n
    assert out.attrs["matches"] == {test: n, **others}
    assert out["fits"].str.contains(test).all()


def test_he2023_without_the_p_printed_as_zero_is_ten_of_ten():
    out = rebuild_p_values(published("he2023_table1"))
    exact = out[~out["bound"]]
    assert len(exact) == 10
    assert (exact["fits"].str.split(", ").map(lambda fits: "t" in fits)).all()
    assert out.index[out["bound"]].tolist() == ["LBBB"]


def test_nyha_of_he2021_needs_its_levels():
    out = rebuild_p_values(published("he2021_table1"))
    assert out.loc["NYHA", "chi2"] == pytest.approx(0.330, abs=5e-4)
    assert np.isnan(out.loc["NYHA", "t"])
    assert "two levels" in out.loc["NYHA", "note"]


def flags(name, **options):
    out = audit_table(published(name), **options)
    assert (out["note"] != "").all()
    bad = out[~out["ok"]]
    return set(zip(bad.index, bad["check"], bad["where"], bad["printed"])), out


def test_mori2025_two_percentages_cannot_be():
    found, out = flags("mori2025_table1")
    assert found == {
        ("Upgrade", "percentage", "responder", "16.4"),
        ("CRT-D", "percentage", "responder", "80.1"),
    }
    assert "147 of 182 is 80.8" in out.loc["CRT-D", "note"].tolist()
    assert (out["check"] == "p").sum() == 6


def test_he2023_scar_sd_cannot_be():
    found, out = flags("he2023_table1")
    assert found == {
        ("Scar", "sd", "overall", "2.1"),
        ("LBBB", "percentage", "overall", "80.2"),
        ("Diuretic", "percentage", "overall", "86.0"),
    }
    scar = out[(out.index == "Scar") & (out["check"] == "sd")].iloc[0]
    assert scar["low"] < 12.1 < scar["high"]


def test_he2021_table_1_is_whole_with_sds_over_n():
    found, out = flags("he2021_table1")
    assert not found
    sds = out[out["check"] == "sd"]["note"]
    assert sds[["QRS duration", "EDV", "ESV", "PBW"]].str.endswith("(SDs over n)").all()
    assert out[(out.index == "EDV") & (out["check"] == "p")]["note"].item() == (
        "fits student (SDs over n)"
    )


def test_he2021_univariate_column_contradicts_its_table_1():
    _, out = flags("he2021_table1", odds_ratios=published("he2021_table2"), event="responder")
    ratios = out[out["check"] == "odds ratio"]
    assert not ratios.loc[["QRS duration", "LVEF", "ACEI/ARB", "PSD"], "ok"].any()
    assert ratios.loc["QRS duration", "recomputed"] == pytest.approx(1.034, abs=6e-4)
    assert ratios.loc["LVEF", "low"] > 1 > float(ratios.loc["LVEF", "printed"])
    assert ratios.loc["ACEI/ARB", "recomputed"] < 1 < float(ratios.loc["ACEI/ARB", "printed"])
    assert ratios.loc["Age", "ok"]
    assert not any(v.startswith("AE") for v in ratios.index)  # Table 1 has none: nothing to say


def test_lvsd2026_counts_are_in_order():
    found, out = flags("lvsd2026_table1")
    assert not found
    assert set(out["check"]) == {"percentage", "p"}


def test_our_own_tables_pass_the_audit():
    """Print a table of real rows with baseline_table and read it back."""
    rng = np.random.default_rng(0)
    for seed in range(5):
        n = 60 + 7 * seed
        table = pd.DataFrame(
            {
                "age": rng.normal(65, 10, n),
                "lbbb": rng.random(n) < 0.6,
                "nyha": rng.choice(["II", "III", "IV"], n),
            }
        )
        group = np.where(rng.random(n) < 0.6, "yes", "no")
        out = baseline_table(
            table, group, categorical="chi2_yates", continuous="mean_sd", levels="rows"
        )
        printed = out[["overall", "no", "yes", "p"]].copy()
        sizes = {g: int((group == g).sum()) for g in ("yes", "no")}
        audit = audit_table(printed, sizes=sizes)
        assert audit["ok"].all()
        assert set(audit["check"]) == {"percentage", "sum", "mean", "sd", "p"}
        assert rebuild_p_values(printed, sizes=sizes).attrs["matches"]["chi2_yates"] == 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["percent", "sd", "count", "p"]))
def test_a_planted_error_is_found(seed, where):
    rng = np.random.default_rng(seed)
    n = {"a": int(rng.integers(20, 90)), "b": int(rng.integers(20, 90))}
    groups = {g: rng.normal(rng.uniform(40, 60), rng.uniform(5, 15), k) for g, k in n.items()}
    flag = {g: int(rng.integers(3, k - 3)) for g, k in n.items()}
    every = np.concatenate(list(groups.values()))
    cells = {g: f"{v.mean():.1f} ± {v.std(ddof=1):.1f}" for g, v in groups.items()}
    counts = {g: f"{c} ({100 * c / n[g]:.1f})" for g, c in flag.items()}
    total, size = sum(flag.values()), sum(n.values())
    p_mean = f"{stats.ttest_ind(*groups.values()).pvalue:.3f}"
    p_flag = stats.chi2_contingency([[flag[g], n[g] - flag[g]] for g in n])
    rows = pd.DataFrame(
        {
            "overall": [
                f"{every.mean():.1f} ± {every.std(ddof=1):.1f}",
                f"{total} ({100 * total / size:.1f})",
            ],
            "a": [cells["a"], counts["a"]],
            "b": [cells["b"], counts["b"]],
            "p": [p_mean, f"{p_flag.pvalue:.3f}"],
        },
        index=["age", "flag"],
    )
    assert audit_table(rows, sizes=n)["ok"].all()
    if where == "percent":
        rows.loc["flag", "a"] = f"{flag['a']} ({100 * flag['a'] / n['a'] + 0.4:.1f})"
    elif where == "sd":
        rows.loc["age", "overall"] = f"{every.mean():.1f} ± {every.std(ddof=1) * 0.8:.1f}"
    elif where == "count":
        rows.loc["flag", "overall"] = f"{total + 1} ({100 * (total + 1) / size:.1f})"
    else:
        rows.loc["flag", "p"] = f"{(p_flag.pvalue + 0.5) % 1:.5f}"
    out = audit_table(rows, sizes=n)
    wanted = {"percent": "percentage", "count": "sum"}.get(where, where)
    assert not out[(out["check"] == wanted)]["ok"].all()


def test_printed_numbers_stand_for_intervals():
    assert (read_figure("0.18").low, read_figure("0.18").high) == pytest.approx((0.175, 0.185))
    assert read_figure("< 0.001").fits(1e-9)
    assert not read_figure("<0.001").fits(0.002)
    assert read_figure("0.000").fits(1e-30)
    assert read_figure("> 0.99").fits(0.995)
    assert read_figure(".05").value == 0.05
    assert not read_figure("0.050").fits(0.0506)
    with pytest.raises(ValueError, match="cannot read 'ns'"):
        read_figure("ns")


@pytest.mark.parametrize(
    ("cell", "figures"),
    [
        ("74 (71.8%)", (74, 71.8)),
        ("61.8 +/- 12.6", (61.8, 12.6)),
        ("−10.5 [−27.1 to 4.1]", (-10.5, -27.1, 4.1)),
        ("27.0 [21.3, 34.0]", (27, 21.3, 34)),
        ("41.4", (41.4,)),
        (np.nan, ()),
        ("–", ()),
        ("74 (71.8 %)", (74, 71.8)),
        ("1,234 (50.1)", (1234, 50.1)),
        ("74 (71.8)*", (74, 71.8)),
        ("62 (55–70)", (62, 55, 70)),
        ("male 20 (50.0)", (20, 50.0)),
    ],
)
def test_cells_as_papers_write_them(cell, figures):
    table = pd.DataFrame({"a": [cell], "b": [cell], "p": ["0.5"]}, index=["x"])
    row = read_printed("test", table, {"a": 10, "b": 10}).rows[0]
    assert tuple(f.value for f in row.cells["a"]) == figures


def test_p_values_as_papers_write_them():
    table = pd.DataFrame({"a": ["74 (71.8)"], "b": ["100 (54.9)"]}, index=["x"])
    sizes = {"a": 103, "b": 182}

    def read(p):
        return read_printed("test", table.assign(p=p), sizes).rows[0].p

    assert read("P=0.005").value == read("p = .005").value == read("0.005*").value == 0.005
    assert read("p < 0.01").fits(0.002)
    assert read("–") is None
    assert read("NS").fits(0.3)
    assert not read("n.s.").fits(0.03)
    with pytest.raises(ValueError, match="test: x, p: cannot read 'small'"):
        read("small")


def test_a_mean_with_its_sd_in_parentheses_is_no_count():
    table = pd.DataFrame({"a": ["61.8 (12.6)"], "b": ["60 (10.1)"], "p": ["0.2"]}, index=["age"])
    out = audit_table(table, sizes={"a": 103, "b": 182})
    assert list(out["check"]) == ["p"]
    assert out["ok"].all()


def test_group_sizes_as_papers_write_them():
    table = pd.DataFrame(
        {"a": ["n = 103", "74 (71.8)"], "b": ["1,182", "649 (54.9)"]}, index=["n", "x"]
    )
    assert read_printed("test", table).sizes == {"a": 103, "b": 1182}
    table.loc["n", "a"] = "many"
    with pytest.raises(ValueError, match=r"cannot read 'many' \(n, a\)"):
        read_printed("test", table)


def test_bad_tables_are_named():
    good = pd.DataFrame({"a": ["5 (50)"], "b": ["4 (40)"], "p": ["0.6"]}, index=["x"])
    with pytest.raises(TypeError, match="DataFrame"):
        audit_table([["5 (50)"]])
    with pytest.raises(ValueError, match="group sizes"):
        audit_table(good)
    with pytest.raises(ValueError, match="without a size"):
        audit_table(good, sizes={"a": 10})
    with pytest.raises(ValueError, match=r"cannot read 'five' \(x, a\)"):
        audit_table(good.assign(a="five"), sizes={"a": 10, "b": 10})
    with pytest.raises(ValueError, match="event="):
        audit_table(good, sizes={"a": 10, "b": 10}, odds_ratios=good)
    ratios = pd.DataFrame({"odds_ratio": ["1.5"]}, index=["x"])
    with pytest.raises(ValueError, match=r"no columns \['p'\]"):
        audit_table(good, sizes={"a": 10, "b": 10}, odds_ratios=ratios, event="a")
    twice = pd.DataFrame({"odds_ratio": ["1.5"] * 2, "p": ["0.5"] * 2}, index=["x", "x"])
    with pytest.raises(ValueError, match=r"\['x'\] more than once"):
        audit_table(good, sizes={"a": 10, "b": 10}, odds_ratios=twice, event="a")


@pytest.mark.parametrize(
    ("p", "flagged"), [("<0.001", False), ("0.000", False), ("0.001", True), ("0.04", True)]
)
def test_a_bound_on_p_does_not_flag_a_strong_predictor(p, flagged):
    """ "<0.001" says that z is beyond 3.29, not that it is 3.29: here it is about 9."""
    table = pd.DataFrame(
        {"no": ["150", "130.0 ± 20.0"], "yes": ["150", "152.0 ± 21.0"], "p": ["", "<0.001"]},
        index=["n", "QRSd"],
    )
    slope = 22 / ((20.0**2 + 21.0**2) / 2)
    ratios = pd.DataFrame({"odds_ratio": [f"{np.exp(slope):.3f}"], "p": [p]}, index=["QRSd"])
    out = audit_table(table, odds_ratios=ratios, event="yes")
    line = out[out["check"] == "odds ratio"].iloc[0]
    assert line["ok"] != flagged, line["note"]
    weak = table.assign(yes=["150", "131.0 ± 21.0"], p=["", "0.67"])
    out = audit_table(weak, odds_ratios=ratios, event="yes")
    assert not out[out["check"] == "odds ratio"].iloc[0]["ok"]
    wrong_way = ratios.assign(odds_ratio=["0.949"])
    out = audit_table(table, odds_ratios=wrong_way, event="yes")
    assert not out[out["check"] == "odds ratio"].iloc[0]["ok"]
