import json
import pickle
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, LeadStatistics, Select, evaluate
from crtkit.evaluation.report.checklists import PROBAST, TRIPOD

QUICK = {"n_bootstrap": 20}


@pytest.fixture(scope="module")
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort(
        n_patients=80, name="toy <b>cohort</b>", flow={"screened": 300, "no ECG": -150}
    )
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


class Page(HTMLParser):
    """Tags of a page with their attributes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_dict_holds_every_table_as_json(result):
    content = result.to_dict(n_bootstrap=50)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    tables = {table["title"]: table for table in content["tables"]}
    for part in ("Models", "Against what is known", "At sensitivity 80%", "Calibration"):
        assert part in tables
        assert f"{part}, external cohort B" in tables
    assert {"Table 1. Baseline characteristics", "Frozen models in B", "Interactions, test"} <= {
        *tables
    }
    assert "Subgroup male=1, test" in tables
    pair = tables["Model against model"]
    compared = result.compare(*result.models[:2], n_bootstrap=50).loc["roc_auc"]
    row = dict(zip(pair["columns"], pair["rows"][0]))
    assert abs(row["difference"]) == pytest.approx(abs(compared["difference"]))
    assert row["high"] - row["low"] == pytest.approx(compared["high"] - compared["low"])
    for table in content["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        assert {len(row) for row in table["shown"]} == {len(table["head"])}
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
    assert content["flow"][:2] == [["screened", 300], ["no ECG", -150]]


def test_the_main_table_has_few_columns_and_rules_last(result):
    tables = {t["title"]: t for t in result.to_dict(**QUICK)["tables"]}
    main = tables["Models"]
    assert main["head"] == ["Model", "Accuracy, %", "PPV, %", "NPV, %", "AUC"]
    assert [row[0][0] for row in main["shown"]][:2] == ["logistic", "<trees & co>"]
    assert main["kinds"][:2] == ["model", "model"]
    assert set(main["kinds"][2:]) == {"rule"}
    summary = result.summary(**QUICK).loc["logistic", "roc_auc"]
    cell = main["shown"][0][-1]
    assert cell[0] == f"{summary['mean']:.3f} ± {summary['sd']:.3f}"
    assert cell[1] == f"{summary['low']:.3f} to {summary['high']:.3f}"
    assert not main["folded"]
    assert tables["Every figure"]["section"] == "detail"


def test_no_patient_is_named(result):
    text = json.dumps(result.to_dict(n_bootstrap=5))
    assert not re.search(r"\bx?p\d{3}\b", text)


def test_the_page_stands_alone_is_accessible_and_shows_the_dict(result, tmp_path, plt):
    pytest.importorskip("jinja2")
    path = tmp_path / "report.html"
    picture = plt.figure()
    result.to_html(path, attributions={"Grad-CAM of one page": picture}, **QUICK)
    text = path.read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]
    stored = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert stored == result.to_dict(**QUICK)
    assert "<b>cohort" not in text
    assert "&lt;trees &amp; co&gt;" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    page = Page(text)
    assert not page.open or page.open == []
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    # Flow, forest, ROC, calibration, decision, subgroups, centres, and the given one.
    assert len(images) == 8
    assert all(len(image["alt"]) > 15 and "SIMULATED" in image["alt"] for image in images)
    heads = [a for tag, a in page.tags if tag == "th"]
    assert all(a.get("scope") in ("col", "row") for a in heads)
    n_tables = sum(tag == "table" for tag, _ in page.tags)
    assert sum(tag == "caption" for tag, _ in page.tags) == n_tables
    assert ("html", {"lang": "en"}) in page.tags
    assert text.count("(SIMULATED)") == len(stored["tables"])
    anchors = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert anchors <= {a.get("id") for _, a in page.tags}


def test_every_number_of_the_page_is_in_the_json(result, tmp_path):
    pytest.importorskip("jinja2")
    path = tmp_path / "report.html"
    result.to_html(path, **QUICK)
    stored = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    body = text[text.index("<main>") : text.index("</main>")]
    page = " ".join(Page(re.sub(r'src="[^"]*"', "", body)).words)
    kept = json.dumps(stored, ensure_ascii=False)
    numbers = set(re.findall(r"\d+\.\d+", page))
    assert len(numbers) > 100
    assert not [n for n in numbers if n not in kept]


def test_what_is_folded_on_the_page_is_printed(result, tmp_path):
    pytest.importorskip("jinja2")
    pdfium = pytest.importorskip("pypdfium2")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), "")
    if not browser:
        pytest.skip("no Chromium that prints")
    path, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    result.to_html(path, **QUICK)
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/own",
        f"--print-to-pdf={pdf}", path.as_uri(),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError as error:
        pytest.skip(f"Chromium does not start here: {error}")
    document = pdfium.PdfDocument(pdf)
    pages = [page.get_textpage().get_text_range() for page in document]
    assert {tuple(round(side) for side in page.get_size()) for page in document} == {(595, 842)}
    document.close()
    text = " ".join(" ".join(pages).split())
    content = result.to_dict(**QUICK)
    folded = [table for table in content["tables"] if table["folded"]]
    assert len(folded) > 5
    for table in folded:
        assert table["title"] in text
        # Its last row as well: nothing is cut at the end of a sheet.
        assert table["shown"][-1][-1][0] in text
    assert "Evaluation 4.7" in text
    assert content["info"]["versions"]["numpy"] in text
    assert "answered from the run" in text


def test_table_1_bears_printed_names(result):
    tables = result.to_dict(names={"male": "Men"}, **QUICK)["tables"]
    table = next(t for t in tables if t["title"].startswith("Table 1"))
    assert table["head"][0] == "Characteristic"
    rows = [row[0][0] for row in table["shown"]]
    assert "QRS duration, ms" in rows
    assert "Men" in rows


def test_a_report_that_fails_leaves_the_old_one(result, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(type(result), "calibration", lambda self, *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.to_html(path, n_bootstrap=5)
    assert path.read_text() == "old"


def test_methods_say_what_was_run_and_nothing_else(result):
    text = " ".join(result.to_dict(**QUICK)["methods"])
    assert "All patients were SIMULATED" in text
    assert "no ECG (150)" in text
    assert "3 times (seeds 0 to 2)" in text
    assert "80% for development and 20% for testing" in text
    assert f"{result.info['n_records']} records of 80 simulated patients" in text
    assert "frozen threshold, to B" in text
    assert "20 bootstrap replicates" in text
    assert np.__version__ in text


def test_checklists_are_whole_and_take_the_authors_answers(result):
    numbers = [number for number, _, _ in TRIPOD]
    assert len({re.match(r"\d+", n)[0] for n in numbers}) == 27
    assert len(numbers) == len(set(numbers)) == 52
    parts = [re.match(r"(\w+) (\d)\.(\d), ", number).groups() for number, _, _ in PROBAST]
    for part, sizes in (("Development", (3, 4, 4, 5)), ("Evaluation", (3, 4, 4, 7))):
        expected = [(str(k), str(n + 1)) for k, size in enumerate(sizes, 1) for n in range(size)]
        assert [(domain, question) for name, domain, question in parts if name == part] == expected
    lists = result.to_dict(answers={"17": "Approved by the committee."}, **QUICK)["checklists"]
    by_number = {row[0]: row for row in lists["TRIPOD+AI"]}
    assert by_number["17"][2:] == ["Approved by the committee.", "author"]
    assert by_number["18a"][2:] == ["For the author.", "author"]
    assert by_number["12a"][3] == "run"
    assert "3 splits by patient" in by_number["12a"][2]
    with pytest.raises(ValueError, match="TRIPOD"):
        result.to_dict(answers={"99": "?"}, **QUICK)


def test_what_was_left_out_is_said(make_table_cohort, models):
    result = evaluate(models, make_table_cohort(n_patients=60), seeds=2, threads_per_fit=1)
    lines = " ".join(result.to_dict(**QUICK)["left_out"])
    assert "Brier score is undefined in 2 of 2 splits" in lines
    assert "LBBB" in lines


def test_leaks_and_a_small_cohort_are_said_first(make_table_cohort, models, tmp_path):
    pytest.importorskip("jinja2")
    cohort = make_table_cohort(n_patients=60)
    X = cohort.X.assign(after_implantation=(cohort.y == "yes") + 0.0)
    columns = ["qrs_duration_ms", "after_implantation"]
    leaky = make_pipeline(Select(columns), LogisticRegression(max_iter=500))
    with pytest.warns(UserWarning, match="leak"):
        result = evaluate(
            {"leaky": leaky},
            Cohort(X, cohort.y, cohort.groups, cohort.info),
            seeds=2,
            threads_per_fit=1,
        )
    warned = result.to_dict(**QUICK)["warnings"]
    assert any("leak" in line and "after_implantation" in line for line in warned)
    assert any("Riley" in line for line in warned)
    result.to_html(tmp_path / "r.html", **QUICK)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.index('class="warnings"') < text.index("<main>")


def test_word_and_markdown_hold_the_same_tables(result, tmp_path, plt):
    docx = pytest.importorskip("docx")
    result.to_docx(tmp_path / "report.docx", **QUICK)
    result.to_markdown(tmp_path / "paper.md", **QUICK)
    content = result.to_dict(**QUICK)
    wanted = [t for t in content["tables"] if not t["folded"] and t["section"] != "detail"]
    document = docx.Document(tmp_path / "report.docx")
    assert len(document.tables) == len(wanted) + 2
    order = {cell.cells[0].text for table in document.tables for cell in table.rows}
    assert {"logistic", "<trees & co>", "12a"} <= order
    assert "SIMULATED" in document.sections[0].header.paragraphs[0].text
    assert len(document.inline_shapes) == 7
    assert all(s._inline.docPr.get("descr") for s in document.inline_shapes)
    text = (tmp_path / "paper.md").read_text(encoding="utf-8")
    assert all(f"**{table['title']} (SIMULATED)**" in text for table in wanted)
    links = re.findall(r"\]\((paper_figures/[^)]+)\)", text)
    assert len(links) == 7
    assert all((tmp_path / link).stat().st_size > 1000 for link in links)
    assert json.loads((tmp_path / "paper.json").read_text(encoding="utf-8")) == content


def test_figures_are_saved_at_column_width_with_text_that_is_read(result, tmp_path, plt):
    written = result.save_figures(tmp_path / "figures", n_bootstrap=10)
    assert [p.suffix for p in written].count(".pdf") == 7
    for path in written:
        if path.suffix == ".svg":
            text = path.read_text(encoding="utf-8")
            width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', text)[1])
            assert width / 72 * 2.54 <= 8.01
            sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", text)]
            assert min(sizes) >= 5.5
            assert ">SIMULATED<" in text
    again = result.save_figures(tmp_path / "again", formats="svg", n_bootstrap=10)
    svg = [p for p in written if p.suffix == ".svg"]
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in svg]
    with pytest.raises(ValueError, match="save_figures writes"):
        result.save_figures(tmp_path, formats="bmp")
    with pytest.raises(ValueError, match="centimetres"):
        result.save_figures(tmp_path, width=100)


def test_a_stored_result_reports_without_its_patients(result):
    stored = pickle.loads(pickle.dumps(result))  # noqa: S301
    titles = [t["title"] for t in stored.to_dict(**QUICK)["tables"]]
    assert "Table 1. Baseline characteristics" not in titles
    assert "Models" in titles


def test_a_robustness_card_is_a_section(tmp_path, plt):
    pytest.importorskip("jinja2")
    from crtkit.datasets import make_cohort
    from crtkit.evaluation import robustness_card
    from crtkit.evaluation.robustness import disturbances as d

    cohort = make_cohort("mori2025", n_patients=40, random_state=0)
    model = make_pipeline(Select("signal"), LeadStatistics(), LogisticRegression(max_iter=500))
    result = evaluate({"a & b": model}, cohort, seeds=2, reference_rows=False, progress=False)

    def refused(signals, fs, rng):
        raise ValueError("no such leads")

    changes = {"noise": d.noise(0.3), "other leads": refused}
    fitted = result.refit("a & b", seed=0)
    card = robustness_card(fitted, cohort, changes=changes, **QUICK)
    path = tmp_path / "report.html"
    result.to_html(path, robustness={"a & b": card}, **QUICK)
    page = Page(path.read_text(encoding="utf-8"))
    words = " ".join(page.words)
    assert "Robustness: other input" in words
    assert "refused: no such leads" in words
    assert any("Change of AUC of a & b" in a.get("alt", "") or "changes of AUC" in a.get("alt", "")
               for tag, a in page.tags if tag == "img")  # fmt: skip
    content = json.loads(path.with_suffix(".json").read_text())
    (table,) = [t for t in content["tables"] if t["section"] == "robustness"]
    row = dict(zip(table["columns"], table["rows"][1]))
    assert row["auc_change"] == pytest.approx(card.loc["noise", "auc_change"])
    assert row["auc_change_low"] == pytest.approx(card.loc["noise", "auc_low"])
    result.to_markdown(tmp_path / "report.md", robustness={"a & b": card}, **QUICK)
    assert "Robustness of a & b" in (tmp_path / "report.md").read_text()
    names = [p.name for p in result.save_figures(
        tmp_path / "f", formats="svg", robustness={"a & b": card}, **QUICK)]  # fmt: skip
    assert names[-1].endswith("robustness_a___b.svg")
    with pytest.raises(ValueError, match="must be a table of crtkit.evaluation.robustness_card"):
        result.to_dict(robustness={"a & b": card[["auc"]]}, **QUICK)
