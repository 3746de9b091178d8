"""Every answer's figures stand in the tables that were committed with its run."""

import json
import re
import shutil

import pandas as pd
import pytest

from benchmarks import answers

R = answers.RESULTS


def sentences(asked):
    question = next(q for q in answers.questions() if asked in q.asked)
    return question, [sentence for _, sentence, _ in question.evidence]


def test_pretraining_says_what_its_tables_say():
    question, said = sentences("pretraining")
    table = pd.read_csv(R / "ecg_images_mendeley_ssl" / "comparison.csv", dtype=str)
    for sentence, (_, row) in zip(said, table.iterrows()):
        wanted = (
            f"{row['labels']} of the labels: AUC {row['difference of AUC']} "
            f"({row['its 95 % interval']}) against scratch; SD {row['SD ratio']} times as "
            f"large ({row['its bootstrap interval']})"
        )
        assert wanted in sentence
    # The Markdown table gives the AUCs of both networks; their difference is the sentence's.
    text = (R / "ecgfm_pretraining" / "results.md").read_text(encoding="utf-8")
    auc = {}
    for name in ("untrained", "crtkit-small", "crtkit-small-labels"):
        line = re.search(rf"^\| NORM \| 100 \| layers \| {name} \| ([\d.]+)", text, re.M)
        auc[name] = float(line[1])
    for sentence, name in zip(said[3:], ("crtkit-small", "crtkit-small-labels")):
        gain = float(re.search(r"AUC ([+-][\d.]+)", sentence)[1])
        assert gain == pytest.approx(auc[name] - auc["untrained"], abs=0.0011)
    assert question.short.startswith("On signals, yes")
    assert "not shown to help, nor to be steadier" in question.short


def test_channels_say_what_their_table_says():
    question, said = sentences("four channels")
    text = (R / "ecgfm_pretraining" / "results.md").read_text(encoding="utf-8")
    table = text.split("four channels against twelve leads")[1]
    rows = re.findall(
        r"^\| (\S.*?) \| (\d+) \| 4 channels \| .*? \| (\S+) \| (\S+) \| (\S+) \|", table, re.M
    )
    assert len(rows) == len(said) > 2
    for (way, n, difference, low, high), sentence in zip(rows, said):
        assert f"from {n} labels, ECG-FM ({way})" in sentence
        found = [float(x) for x in re.findall(r"[+-]\d\.\d+", sentence)]
        assert found == pytest.approx([float(difference), float(low), float(high)], abs=0.0011)
    worse = sum(float(row[4]) < 0 for row in rows)
    assert f"worse in {worse} " in question.short


def test_transfer_says_what_its_tables_say():
    question, said = sentences("MIT-BIH")
    helps = harms = 0
    for n in (50, 100):
        table = pd.read_csv(R / "ptbxl_transfer" / f"transfer_{n}.csv")
        table = table[table["metric"] == "AUC"].set_index("model")
        helps += (table["transfer"] == "helps").sum()
        harms += (table["transfer"] == "harms").sum()
        net = table.loc["ResNet-18"]
        wanted = (
            f"{n} labelled patients: ResNet-18 {net['difference']:+.3f} ({net['95 % interval']})"
        )
        assert any(wanted in sentence for sentence in said)
    assert f"helps {helps} and harms {harms} of" in question.short


def test_autoencoder_says_what_table_3_says():
    _, said = sentences("autoencoder")
    table = pd.read_csv(R / "he2021_simulated" / "table3.csv", index_col="model")
    for model in ("AE + LVEF + gender", "PSD + LVEF + gender", "LVEF + gender + QRS duration"):
        row = table.loc[model]
        figure = row["AUC out of fold"].split()[0]
        assert any(f"{figure} ({row['95 % interval']})" in sentence for sentence in said)


def test_rules_and_patients_say_what_their_tables_say():
    _, said = sentences("LBBB")
    table = pd.read_csv(R / "physionet2021_conduction_disturbance" / "against_rules.csv")
    assert (table["beats it"] == "no").all()
    for interval in table["95 % interval"]:
        assert any(interval in sentence for sentence in said)
    _, said = sentences("How many patients")
    table = pd.read_csv(R / "learning" / "learning.csv").set_index(["study", "model"])
    for sentence in said:
        study, name = sentence.split(":")[0], re.search(r"best model \((.+?)\)", sentence)[1]
        rule = float(table.loc[(study, "QRS duration")].iloc[-1])
        assert f"QRS duration has {rule:.3f}" in sentence
        last = str(table.loc[(study, name)].dropna().iloc[-1]).split()[0]
        assert f"patients {last}," in sentence


def test_the_committed_table_is_todays():
    assert (R / "answers.md").read_text(encoding="utf-8") == answers.as_markdown()


def test_simulated_figures_say_so():
    for question in answers.questions():
        for kind, _, folder in question.evidence:
            text = (R / folder / "results.json").read_text(encoding="utf-8")
            assert (kind == "SIMULATED") == ("SIMULATED" in text[:2000] or "simulated" in folder)
        real = [kind == "real" for kind, _, _ in question.evidence]
        assert real == sorted(real, reverse=True)  # real data first


def test_a_change_of_the_figures_changes_the_answer(tmp_path):
    folder = tmp_path / "ecg_images_mendeley_ssl"
    shutil.copytree(R / "ecg_images_mendeley_ssl", folder)
    shutil.copytree(R / "ecgfm_pretraining", tmp_path / "ecgfm_pretraining")
    run = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    run["comparison"][2].update(ci_low=0.01, ci_high=0.05, sd_low=0.3, sd_high=0.9)
    (folder / "results.json").write_text(json.dumps(run), encoding="utf-8")
    short = answers.pretraining(tmp_path).short
    assert "On pages it does help, and it is steadier there" in short


def test_intervals_that_part_are_no_longer_said_to_overlap(tmp_path):
    assert "with intervals that overlap" in answers.autoencoder(R).short
    folder = tmp_path / "he2021_simulated"
    shutil.copytree(R / "he2021_simulated", folder)
    run = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for row in run["tables"]["table3"]:
        if row["model"] == "AE + LVEF + gender":
            row["95 % interval"] = "0.900 to 0.990"
    (folder / "results.json").write_text(json.dumps(run), encoding="utf-8")
    assert "1 of 2 with intervals apart" in answers.autoencoder(tmp_path).short


def test_what_was_not_run_is_said(tmp_path):
    assert answers.page(tmp_path).short.startswith("Not run yet")


def test_the_page_says_what_its_tables_say():
    question, said = sentences("page lose")
    table = pd.read_csv(R / "real_pages" / "losses.csv", index_col="model", dtype=str)
    own = pd.read_csv(R / "real_pages" / "ludb_qrs_duration.csv", index_col=0).loc["all"]
    off = re.search(r"drew, ([+-][\d.]+) ± ([\d.]+) ms", question.short)
    assert [float(off[1]), float(off[2])] == pytest.approx([own["bias"], own["sd"]], abs=0.06)
    assert len(said) == len(table) + 2  # and two on LUDB's own pages
    for sentence, (name, row) in zip(said, table.iterrows()):
        wanted = f"digitised page ({row['difference']}, {row['95 % interval']})"
        assert sentence.startswith(f"{name}: AUC {float(row['signal']):.3f} from the signal")
        assert wanted in sentence
    change = pd.read_csv(R / "real_pages" / "qrs_duration.csv", index_col="diagnosis").loc["all"]
    off = re.search(r"paper is ([+-][\d.]+) ± ([\d.]+) ms", question.short)
    assert float(off[1]) == pytest.approx(change["bias"], abs=0.06)
    assert float(off[2]) == pytest.approx(change["sd"], abs=0.06)
    worse = [n for n, row in table.iterrows() if float(row["95 % interval"].split(" to ")[1]) < 0]
    assert f"models {len(worse) or 'none'} " in question.short
