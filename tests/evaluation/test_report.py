import json
import re

import numpy as np
import pytest

from crtkit import Cohort, evaluate


@pytest.fixture(scope="module")
def matplotlib_off_screen():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=80, name="toy <b>cohort</b>")
    other = make_table_cohort(n_patients=30, seed=4)
    other = Cohort(other.X, other.y, np.array([f"x{g}" for g in other.groups]))
    return evaluate(
        {"logistic": models["logistic"], "<trees & co>": models["LightGBM"]},
        cohort,
        seeds=3,
        threads_per_fit=1,
        external={"B": other},
        subgroups={"male": "male"},
    )


def test_the_dict_holds_every_table_as_json(result):
    content = result.to_dict(n_bootstrap=50)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    titles = [table["title"] for table in content["tables"]]
    for part in ("Models", "Against what is known", "At sensitivity 80%", "Calibration"):
        assert part in titles
        assert f"{part}, external cohort B" in titles
    assert "Subgroup male=1, test" in titles
    for table in content["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    tables = {table["title"]: table for table in content["tables"]}
    seeds = tables["Every seed"]
    auc = seeds["columns"].index("roc_auc")
    expected = result.per_seed()["roc_auc"]
    assert [row[auc] for row in seeds["rows"]] == pytest.approx(expected.tolist())
    figures = tables["Every figure"]
    summary = result.summary(n_bootstrap=50)
    for row in figures["rows"]:
        found = dict(zip(figures["columns"], row))
        mean = summary.loc[found["model"], (found["metric"], "mean")]
        assert found["mean"] == (None if np.isnan(mean) else pytest.approx(mean))
    assert content["simulated"]
    assert content["info"]["versions"]["numpy"] == np.__version__


def test_no_patient_is_named(result):
    text = json.dumps(result.to_dict(n_bootstrap=5))
    assert not re.search(r"\bx?p\d{3}\b", text)


def test_the_page_stands_alone_and_shows_the_dict(result, tmp_path, matplotlib_off_screen):
    pytest.importorskip("jinja2")
    path = tmp_path / "report.html"
    result.to_html(path, n_bootstrap=50)
    page = path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert "&lt;trees &amp; co&gt;" in page
    assert "<trees & co>" not in page
    assert "toy <b>" not in page
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    # Every table and picture says that its patients are simulated.
    n_tables = len(result.to_dict(n_bootstrap=5)["tables"])
    assert page.count("simulated patients, not a hospital") >= n_tables + 3
    summary = result.summary(n_bootstrap=50).loc["logistic", "roc_auc"]
    assert f"{summary['mean']:.3f} ± {summary['sd']:.3f}" in page


def test_a_report_that_fails_leaves_the_old_one(result, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(type(result), "calibration_curve", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.to_html(path, n_bootstrap=5)
    assert path.read_text() == "old"
