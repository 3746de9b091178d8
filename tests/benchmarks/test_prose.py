"""Figures in the pages' sentences come from the results, and none is typed."""

import csv
import re
from pathlib import Path

import pytest

from benchmarks import prose

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*DOCS.glob("*.rst"), *DOCS.glob("studies/*.rst")])
ROLE = prose.ROLE


def roles():
    for page in PAGES:
        for name, text in ROLE.findall(page.read_text(encoding="utf-8")):
            yield page.stem, name, " ".join(text.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_figure_of_a_page_is_found(page):
    for name, text in ROLE.findall(page.read_text(encoding="utf-8")):
        assert re.search(r"\d", prose.ROLES[name](" ".join(text.split()))), text


def test_pages_read_many_figures():
    assert len(list(roles())) > 100


#: Figures with three decimals that no run of ours made: what they are.
TYPED = {
    ("qrs", "0.789"): "counts that he2023 prints",
    ("qrs", "0.721"): "printed by he2023",
    ("evaluation", "0.005"): "standard error of a share",
    ("evaluation", "0.007"): "standard error of a share",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_result_is_typed_into_a_sentence(page):
    text = ROLE.sub("", page.read_text(encoding="utf-8"))
    text = re.sub(r"^(?:>>>|\.\.\. ).*$|^ .*[=(\[].*$", "", text, flags=re.M)  # code
    text = re.sub(r"``[^`]*``", "", text)
    found = set(re.findall(r"(?<![\w.])[+-]?\d\.\d{3}(?!\d)", text))
    assert not {x for x in found if (page.stem, x) not in TYPED}


def test_a_figure_is_the_cell_of_the_table(tmp_path):
    path = tmp_path / "table.csv"
    rows = [
        {"model": "A, pretrained", "metric": "area", "mean": "0.786 ± 0.091", "low": "0.12345"},
        {"model": "A", "metric": "area", "mean": "0.592 (0.407 to 0.754)", "low": "-0.5"},
        {"model": "B", "metric": "area", "mean": "+0.6", "low": "1,234"},
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    result = prose.result
    assert result("table.csv | A, pretrained | mean", tmp_path) == "0.786"
    assert result("table.csv | A | mean @ whole", tmp_path) == "0.592 (0.407 to 0.754)"
    assert result("table.csv | A, pretrained | low", tmp_path) == "0.123"
    assert result("table.csv | A, pretrained | low @ .0%", tmp_path) == "12\u00a0%"
    assert result("table.csv | B | mean", tmp_path) == "+0.6"
    assert prose.count("table.csv | low > 0", tmp_path) == "2 of 3"
    assert prose.count("table.csv | A* | model = A", tmp_path) == "1 of 2"
    assert prose.span("table.csv | A* | mean", tmp_path) == "0.592 to 0.786"
    for wrong in ("table.csv | C | mean", "table.csv | A* | mean", "table.csv | A | median"):
        with pytest.raises(ValueError, match="table.csv|no column"):
            result(wrong, tmp_path)
    with pytest.raises(ValueError, match="no figure"):
        result("table.csv | A | metric", tmp_path)
    with pytest.raises(ValueError, match="condition"):
        prose.count("table.csv | A", tmp_path)


def test_what_the_words_around_the_figures_claim():
    """Verdicts that stand in a sentence, held against the figures that they are about."""
    aami = "mitbih_aami/scores.csv | Difference + rhythm + shape, between subjects"
    assert float(prose.result(f"{aami} | accuracy")) > 0.90
    assert float(prose.result(f"{aami} | macro sensitivity")) < 0.70
    for kind in "SV":  # no interval below zero
        assert prose.count(f"mitbih_transfer/transfer_{kind}.csv | transfer = harms") == "0 of 12"
    inside = prose._found(["mitbih_transfer/results.json", "transfer"], prose.RESULTS)
    assert all(row["nb_low"] < 0 < row["nb_high"] for rows in inside.values() for row in rows)
    assert prose.count("he2023_simulated/transfer.csv | transfer = not shown") == "12 of 12"
    conduction = "physionet2021_he2023_conduction"
    assert prose.count(f"{conduction}/transfer.csv | Accuracy | transfer = helps") == "0 of 4"
    rule = float(prose.result(f"{conduction}/table2.csv | QRS >= 150 ms | AUC"))
    for network in ("ResNet-18", "ResNet-18, pretrained"):
        assert float(prose.result(f"{conduction}/table2.csv | {network} | AUC")) < rule
    changes = prose._found(["lvsd2026_simulated/ablations.csv"], prose.RESULTS)
    clear = {"12 leads": [], "other": []}
    for row in changes:
        for name in ("internal", "external 1", "external 2"):
            ends = re.findall(r"[+-]\d\.\d+", row[f"AUROC, change on {name}"])
            if ends:
                low, high = float(ends[1]), float(ends[2])
                kind = "12 leads" if "12 leads" in row["model"] else "other"
                clear[kind].append((low > 0, high < 0))
    assert len(clear["other"]) == 12
    assert not any(map(any, clear["other"]))
    assert [sum(x) for x in zip(*clear["12 leads"])] == [3, 0]
    table = "lvsd2026_simulated/table2.csv"
    scratch, *tuned, statistics, area = (
        float(re.findall(prose.FIGURE, row["AUROC, average"])[0])
        for name in ("ECG-FM (scratch)", "ECG-FM, own*", "Logistic on 60 statistics", "QRS area*")
        for row in prose._found([table, name], prose.RESULTS)
    )
    assert len(tuned) == 8
    assert min(tuned) < scratch < max(tuned)
    assert statistics > area


def test_verdicts_of_the_learning_curves():
    def at(study, model, n):
        return float(prose.result(f"learning/learning.csv | {study} | {model} | n = {n}"))

    measured, statistics, network = (
        at("mori2025", name, "1,000")
        for name in ("Logistic on measurements", "Logistic on 60 statistics", "ResNet-18 from*")
    )
    assert statistics < network < measured
    assert at("mori2025", "SSL + ResNet-18", "100") > at("mori2025", "ResNet-18 from*", "100")
    assert at("mori2025", "SSL + ResNet-18", "1,000") <= network
    guideline = at("he2023", "Guideline", "3,000")
    assert abs(at("he2023", "ResNet-18", "1,000") - guideline) < 0.01
    assert abs(at("he2023", "ResNet-18", "3,000") - guideline) < 0.01
    assert guideline < at("he2023", "ResNet-18", "10,000") < at("he2023", "SVM", "3,000")
    networks = ("FCN", "LSTM-FCN", "ResNet", "InceptionTime", "ECG-FM (scratch)")
    for n in ("100", "300", "1,000"):
        rule = at("lvsd2026", "QRS duration", n)
        assert all(at("lvsd2026", name, n) > rule for name in (*networks, "Logistic on 60*"))
    for n in ("300", "1,000"):
        without = at("he2021", "LVEF + gender + QRS duration", n)
        assert at("he2021", "AE + LVEF + gender + QRS duration", n) < without
    assert at("he2021", "PSD*", "1,000") < at("he2021", "AE + LVEF + gender", "1,000") < without
