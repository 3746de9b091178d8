"""The commands through real processes: output, exit codes, no tracebacks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crtkit as ck

ENV = {**os.environ, "PYTHONPATH": str(Path(ck.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def crtkit(*arguments, code=0, cwd=None):
    """Run a command; its exit code is checked, and that no traceback is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "crtkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=ENV,
        cwd=cwd,
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def clinical(tmp_path_factory):
    """A table of 120 made patients under another hospital's names, two records for some."""
    folder = tmp_path_factory.mktemp("clinical")
    cohort = ck.datasets.make_cohort("mori2025", n_patients=120, random_state=3)
    table = cohort.X[["qrs_duration_ms", "lbbb", "male", "age", "lvef", "nyha"]].rename(
        columns={"qrs_duration_ms": "QRS"}
    )
    # Values that nobody else has, so that a search of the answer's text can find them.
    table["age"] = table["age"] + np.random.default_rng(0).uniform(0, 0.001, len(table))
    table.insert(0, "responder", np.where(cohort.y == 1, "yes", "no"))
    table.insert(0, "patient", [f"PT-{i:05d}-X" for i in range(len(table))])
    table.to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A folder of WFDB records with a table that names them."""
    wfdb = pytest.importorskip("wfdb")
    folder = tmp_path_factory.mktemp("records")
    rows = []
    for i in range(24):
        kind = "lbbb" if i % 2 else "narrow"
        x, _ = ck.datasets.simulate_ecg(kind, 160 if i % 2 else 95, random_state=i)
        wfdb.wrsamp(
            f"r{i:02d}",
            fs=500,
            units=["mV"] * 12,
            sig_name=list(ck.signals.LEADS_12),
            p_signal=np.asarray(x, dtype=float).T,
            fmt=["16"] * 12,
            adc_gain=[1000] * 12,
            baseline=[0] * 12,
            write_dir=str(folder),
        )
        rows.append({"patient": f"p{i}", "ecg": f"r{i:02d}.hea", "block": kind})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def bundle(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.crtkit"
    done = crtkit(
        *("fit", records / "cohort.csv", "--model", "mori2025/LightGBM", "--signal", "ecg"),
        *("--label", "block", "--pos-label", "lbbb", "-o", path),
    )
    assert "24 records of 24 patients" in done.stderr
    return path


def test_help_names_every_command():
    text = crtkit("--help").stdout
    for command in (
        "check",
        "measure",
        "read",
        "run",
        "report",
        "fit",
        "predict",
        "evaluate",
        "card",
    ):
        assert f"    {command} " in text
        assert crtkit(command, "--help").stdout
    assert crtkit("--version").stdout.strip() == f"crtkit {ck.__version__}"
    crtkit("no-such-command", code=2)


def test_check_counts_and_prints_table_1(clinical):
    done = crtkit("check", clinical / "cohort.csv", "--label", "responder", "--pos-label", "yes")
    assert "120" in done.stdout
    assert "Table 1" in done.stdout
    facts = json.loads(
        crtkit("check", clinical / "cohort.csv", "--label", "responder", "--json").stdout
    )
    table = pd.read_csv(clinical / "cohort.csv")
    assert facts["classes"] == table["responder"].value_counts().to_dict()
    assert facts["records"] == facts["patients"] == 120


def test_codes_of_missing_values_and_bad_files_can_be_named(clinical, records, tmp_path):
    table = pd.read_csv(clinical / "cohort.csv")
    table["lvef"] = table["lvef"].astype(object)
    table.loc[:3, "lvef"] = 999
    table.to_csv(tmp_path / "coded.csv", index=False)
    arguments = ["check", tmp_path / "coded.csv", "--label", "responder", "--json"]
    facts = json.loads(crtkit(*arguments, "--na-values", "NA,999").stdout)
    assert facts["records"] == 120
    listed = pd.read_csv(records / "cohort.csv")
    listed["ecg"] = [str(records / name) for name in listed["ecg"]]
    (tmp_path / "bad.hea").write_text("bad 12 500 x")
    listed.loc[0, "ecg"] = str(tmp_path / "bad.hea")
    listed.to_csv(tmp_path / "listed.csv", index=False)
    arguments = ["check", tmp_path / "listed.csv", "--label", "block", "--signal", "ecg"]
    assert "bad" in crtkit(*arguments, code=1).stderr
    facts = json.loads(crtkit(*arguments, "--on-error", "drop", "--json").stdout)
    assert facts["records"] == 23


def test_check_measures_the_quality_of_signals(records):
    facts = json.loads(
        crtkit(
            *("check", records / "cohort.csv", "--label", "block", "--signal", "ecg", "--json")
        ).stdout
    )
    assert facts["signal_quality"]
    assert facts["sampling_rate"] == 500


def test_measure_a_folder_as_the_library_does(records, tmp_path):
    (records / "broken.xml").write_text("<nothing")
    done = crtkit("measure", records, "-o", tmp_path / "qrs.csv")
    assert "broken.xml" in done.stderr
    assert "measured 24 of 25" in done.stderr
    table = pd.read_csv(tmp_path / "qrs.csv", index_col="file")
    (records / "broken.xml").unlink()
    ours = ck.signals.measure_files(records)
    shared = table.loc[ours.index, "qrs_duration_ms"]
    np.testing.assert_allclose(shared, ours["qrs_duration_ms"])


def test_measure_to_standard_output_is_only_the_table(records):
    rows = json.loads(crtkit("measure", records / "r00.hea", "--json").stdout)
    assert rows[0]["error"] == ""
    assert 80 < rows[0]["qrs_duration_ms"] < 115


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Two printed pages and one without an ECG."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pages")
    for name, kind, qrs in (("narrow", "narrow", 95), ("wide", "lbbb", 165)):
        x, _ = ck.datasets.simulate_ecg(kind, qrs, random_state=5)
        page = ck.ECGRenderer(fs=500, px_per_mm=7.874).fit_transform(np.asarray(x)[None])[0]
        Image.fromarray(page).save(folder / f"{name}.png")
    Image.fromarray(np.full((300, 400, 3), 255, np.uint8)).save(folder / "blank.png")
    return folder


@pytest.mark.slow
def test_a_folder_of_pages_is_measured(pages, tmp_path):
    done = crtkit("measure", pages, "-o", tmp_path / "pages.csv")
    assert "measured 2 of 3" in done.stderr
    table = pd.read_csv(tmp_path / "pages.csv", index_col="file")
    wide, narrow = (table.loc[str(pages / f"{name}.png")] for name in ("wide", "narrow"))
    assert wide["qrs_duration_ms"] > 145 > 115 > narrow["qrs_duration_ms"]
    assert wide["lbbb"] == 1
    assert narrow["lbbb"] == 0
    assert table["confidence"].loc[str(pages / "wide.png")] > 0.5
    assert isinstance(table["error"].loc[str(pages / "blank.png")], str)


@pytest.mark.slow
def test_a_page_is_read_and_its_traces_drawn(pages, tmp_path):
    done = crtkit("read", pages / "wide.png", "--json", "--png", tmp_path / "traced.png")
    facts = json.loads(done.stdout)
    assert facts["layout"] == "3x4+II"
    assert facts["measured"]["lbbb"] == 1
    assert (tmp_path / "traced.png").stat().st_size > 20_000
    assert "reason" in json.loads(crtkit("read", pages / "blank.png", "--json", code=1).stdout)
    from PIL import Image

    # One page in every wrapping: 16 bits, a PDF.
    grey = np.asarray(Image.open(pages / "wide.png").convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(tmp_path / "deep.png")
    Image.open(pages / "wide.png").save(tmp_path / "page.pdf", resolution=200)
    for name in ("deep.png", "page.pdf"):
        facts = json.loads(crtkit("read", tmp_path / name, "--json").stdout)
        assert facts["layout"] == "3x4+II"
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    error = crtkit("read", tmp_path / "no.jpg", code=1).stderr
    assert "no picture that can be read: not a JPEG, PNG" in error


def test_nothing_measurable_is_an_error(tmp_path):
    (tmp_path / "a.xml").write_text("x")
    done = crtkit("measure", tmp_path, code=1)
    assert "none of 1 file(s) could be measured" in done.stderr
    done = crtkit("measure", tmp_path / "absent", code=1)
    assert "absent" in done.stderr


def test_read_says_what_a_file_holds_and_draws_it(records, tmp_path):
    done = crtkit("read", records / "r01.hea", "--png", tmp_path / "page.png")
    assert "aVF" in done.stdout
    assert "500" in done.stdout
    from PIL import Image

    with Image.open(tmp_path / "page.png") as image:
        assert image.size[0] > 1000
    facts = json.loads(crtkit("read", records / "r01.hea", "--json").stdout)
    assert facts["measured"]["lbbb"] == 1


def test_predict_answers_for_one_file_and_for_a_table(bundle, records, tmp_path):
    rows = json.loads(crtkit("predict", bundle, records / "r01.hea", "--json").stdout)
    table = ck.predict(bundle, records / "r01.hea")
    assert rows[0]["risk"] == table["risk"].iloc[0]
    theirs = tmp_path / "theirs.csv"
    listed = pd.read_csv(records / "cohort.csv")[["ecg"]].rename(columns={"ecg": "signal"})
    listed["signal"] = [str(records / name) for name in listed["signal"]]
    listed.to_csv(theirs, index=False)
    crtkit("predict", bundle, theirs, "-o", tmp_path / "out.csv")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 24
    done = crtkit("predict", bundle, records / "absent.xml", code=1)
    assert "no record could be answered; the first: cannot be read" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_run_writes_what_the_library_writes_and_resumes(tmp_path):
    """The tables of a study by the library, and by a command that is interrupted and goes on."""
    from crtkit.studies.run import run_study

    run_study("mori2025", ["--quick", "--out", str(tmp_path / "a")])
    out = tmp_path / "b"
    arguments = ("run", "mori2025", "--quick", "--out", str(out))
    process = subprocess.Popen(
        [sys.executable, "-m", "crtkit", *arguments], env=ENV, stderr=subprocess.PIPE, text=True
    )
    journal = out / "journal.jsonl"
    while process.poll() is None and not (
        journal.exists() and journal.read_bytes().count(b"\n") >= 3
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr
    assert process.returncode == 130, stderr
    finished = journal.read_bytes().count(b"\n")
    assert finished >= 3
    assert not (out / "table2.md").exists()
    done = crtkit(*arguments, "--resume")
    assert journal.read_bytes().count(b"\n") > finished
    a, b = ((tmp_path / name / "table2.md").read_text() for name in "ab")
    assert a == b
    assert "Table 2" in done.stdout
    crtkit("run", "mori2025", "--no-such-option", code=2)
    crtkit("run", "no-such-study", code=2)


def test_report_is_one_page_and_resumes(clinical, tmp_path):
    arguments = ["report", clinical / "cohort.csv", "--label", "responder", "--pos-label", "yes"]
    arguments += ["--columns", "QRS=qrs_duration_ms", "--seeds", "2", "--study", "he2023"]
    journal = tmp_path / "journal.jsonl"
    done = crtkit(*arguments, "--models", "no", "-o", tmp_path / "r.html", code=1)
    assert "are not among" in done.stderr
    done = crtkit(*arguments, "-o", tmp_path / "absent" / "r.html", code=1)
    assert "there is no folder" in done.stderr
    done = crtkit(*arguments, "-o", tmp_path / "r.pdf", code=1)
    assert "a report ends in .html, .docx, .md" in done.stderr
    crtkit(*arguments, "--journal", journal, "-o", tmp_path / "r.html")
    assert (tmp_path / "r.json").exists()
    assert "<html" in (tmp_path / "r.html").read_text()[:500]
    assert journal.exists()


def test_card_prints_and_names_the_training_cohort(bundle):
    card = crtkit("card", bundle).stdout
    assert "not a medical device" in card
    assert "24, 24" in card
    manifest = json.loads(crtkit("card", bundle, "--json").stdout)
    assert manifest["training"]["n_patients"] == 24


def test_an_answer_for_another_hospital_tells_of_no_patient(clinical, tmp_path):
    """Every identifier and every value of a column that is different in each patient is sought."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    here = ck.datasets.make_cohort("mori2025", n_patients=150, random_state=0)
    model = make_pipeline(
        ck.Select(["qrs_duration_ms", "age"]), LogisticRegression(max_iter=1000)
    ).fit(here.X, here.y)
    ck.save(model, tmp_path / "m.crtkit", cohort=here)
    crtkit(
        *("evaluate", tmp_path / "m.crtkit", clinical / "cohort.csv", "--label", "responder"),
        *("--pos-label", "yes", "--columns", "QRS=qrs_duration_ms", "-o", tmp_path / "a.json"),
        *("--bootstrap", "300"),
    )
    text = (tmp_path / "a.json").read_text()
    answer = json.loads(text)
    table = pd.read_csv(clinical / "cohort.csv")
    for patient in table["patient"]:
        assert patient not in text
    risks = ck.predict(tmp_path / "m.crtkit", table.rename(columns={"QRS": "qrs_duration_ms"}))[
        "risk"
    ].dropna()
    # Ages have a fraction that nobody else's has; risks could only be told as a long list.
    for value in table["age"]:
        assert f"{value:.4f}" not in text
    lists = re.findall(r"\[([^\[\]]*)\]", text)
    assert max(part.count(",") + 1 for part in lists) < len(risks) / 4
    assert answer["counts"]["records"] == 120
    auc = answer["metrics"]["roc_auc"]
    kept = risks.index.astype(int)
    expected = ck.metrics.roc_auc((table["responder"] == "yes").to_numpy()[kept], risks)
    assert auc["value"] == pytest.approx(expected, abs=1e-4)
    assert auc["ci_low"] < auc["value"] < auc["ci_high"]
    steps = len(answer["roc"]["sensitivity"])
    assert steps <= answer["counts"]["answered"] / 5 + 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "absent.csv", "--label", "y"], "absent.csv"),
        (["check", "{clinical}", "--label", "nothing"], "nothing"),
        (["check", "{clinical}"], "--label"),
        (["fit", "{clinical}", "--label", "responder", "--model", "x"], "mori2025/LightGBM"),
        (["fit", "--label", "responder", "--model", "mori2025/LightGBM"], "name the table"),
        (["card", "{clinical}"], "not a crtkit bundle"),
        (["card", "."], "not a regular file"),
        (["predict", "absent.crtkit", "{clinical}"], "no bundle at"),
        (["evaluate", "{clinical}", "{clinical}", "--label", "responder"], "not a crtkit bundle"),
        (["read", "."], "folder"),
        (["measure", "absent/"], "absent"),
        (["run", "mori2025", "--data", "absent.csv", "--out", "{out}"], "absent.csv"),
        (["report", "{clinical}", "--label", "responder", "--models", "x"], "are not among"),
        (["report", "{clinical}", "--label", "responder", "--seeds", "0"], "seeds"),
        (["read", "{clinical}"], "crtkit: error:"),
        (
            ["check", "{clinical}", "--label", "responder", "--pos-label", "maybe"],
            "not among the labels",
        ),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_1(arguments, words, clinical, tmp_path):
    arguments = [a.format(clinical=clinical / "cohort.csv", out=tmp_path) for a in arguments]
    done = crtkit(*arguments, code=1)
    assert words in done.stderr


def test_columns_of_another_form_are_a_usage_error(clinical):
    done = crtkit("check", clinical / "cohort.csv", "--label", "x", "--columns", "QRS", code=2)
    assert "THEIRS=OURS" in done.stderr


def test_a_no_that_would_become_the_positive_class_is_warned_of(tmp_path):
    rows = pd.DataFrame({"patient": list("abcd"), "block": ["No", "LBBB"] * 2, "age": [1, 2, 3, 4]})
    rows.to_csv(tmp_path / "c.csv", index=False)
    done = crtkit("check", tmp_path / "c.csv", "--label", "block")
    assert "'No' counts as the positive class" in done.stderr
    done = crtkit("check", tmp_path / "c.csv", "--label", "block", "--pos-label", "LBBB")
    assert "warning" not in done.stderr


def started(*arguments, wait_for):
    """A command as the only member of its process group, once it has said that it is at work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crtkit", *map(str, arguments)],
        env=ENV,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert wait_for in process.stderr.readline()
    return process


def said(process, patience=600):
    """What a command that should end says last; its group is killed if it does not end."""
    try:
        return process.communicate(timeout=patience)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize(
    ("number", "code", "jobs"),
    [(signal.SIGINT, 130, 1), (signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 2)],
)
def test_an_interrupted_command_leaves_nothing_half_written(records, tmp_path, number, code, jobs):
    """Ctrl-C reaches the whole group, as in a terminal; a batch system ends all of it too."""
    out = tmp_path / "qrs.csv"
    many = [records / f"r{i % 24:02d}.hea" for i in range(3000)]
    process = started("measure", *many, "-j", jobs, "-o", out, wait_for="measuring 3000")
    os.killpg(process.pid, number)
    stderr = said(process)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert "no half-written file" in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for child processes in /proc")
def test_a_worker_that_is_killed_ends_the_command(records, tmp_path):
    """It must not wait for ever, and must not write a table that lacks rows."""
    import psutil

    many = [records / f"r{i % 24:02d}.hea" for i in range(3000)]
    out = tmp_path / "qrs.csv"
    process = started("measure", *many, "-j", 2, "-o", out, wait_for="measuring 3000")
    children = []
    while not children and process.poll() is None:
        children = psutil.Process(process.pid).children()
    children[0].kill()
    stderr = said(process)
    assert process.returncode == 1, stderr
    assert "terminated abruptly" in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_workers_give_the_table_of_one_process(records, tmp_path):
    many = [records / f"r{i % 24:02d}.hea" for i in range(72)]
    for jobs in (1, 2):
        crtkit("measure", *many, "-j", jobs, "-o", tmp_path / f"{jobs}.csv")
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_reader_that_goes_away_is_no_error(records):
    """As in ``crtkit measure FOLDER | head -1``."""
    many = [str(records / f"r{i % 24:02d}.hea") for i in range(40)]
    command = [sys.executable, "-m", "crtkit", "measure", *many, "--json"]
    process = subprocess.Popen(
        command, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(timeout=120) == 0, stderr
    assert "Traceback" not in stderr
    assert "Broken pipe" not in stderr


def test_a_fault_of_our_own_is_one_line(monkeypatch, capsys):
    """What nobody thought of: no traceback, unless it is asked for."""
    from crtkit.cli import bundles, main

    def fail(options):
        raise KeyError("unforeseen")

    monkeypatch.setattr(bundles, "run_card", fail)
    assert main.main(["card", "x"]) == 1
    assert "CRTKIT_TRACEBACK=1" in capsys.readouterr().err
    monkeypatch.setenv("CRTKIT_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main.main(["card", "x"])


@pytest.mark.parametrize("command", ["check", "measure", "fit", "predict", "evaluate", "report"])
def test_an_output_that_cannot_be_written_is_told_before_the_work(command, tmp_path, capsys):
    """The inputs are not even there: the place to write to is looked at first."""
    from crtkit.cli.main import main

    arguments = {
        "predict": ["m.crtkit", "x.csv"],
        "evaluate": ["m.crtkit", "x.csv", "--label", "y"],
        "fit": ["x.csv", "--model", "mori2025/LightGBM", "--label", "y"],
        "measure": ["x.hea"],
    }.get(command, ["x.csv", "--label", "y"])
    assert main([command, *arguments, "-o", str(tmp_path / "absent" / "out.html")]) == 1
    assert f"there is no folder {tmp_path / 'absent'}" in capsys.readouterr().err
    folder = tmp_path / "folder.html"
    folder.mkdir()
    assert main([command, *arguments, "-o", str(folder)]) == 1
    assert "is a folder" in capsys.readouterr().err


def test_leads_that_are_absent_and_words_for_flags_have_options(records, tmp_path, capsys):
    """A record of eight leads among those of twelve, and a sex in letters."""
    wfdb = pytest.importorskip("wfdb")
    from crtkit.cli.main import main

    table = pd.read_csv(records / "cohort.csv")
    table["ecg"] = [str(records / name) for name in table["ecg"]]
    table["Sex"] = ["M", "F"] * 12
    full = wfdb.rdrecord(str(records / "r00"))
    kept = [0, 1, 6, 7, 8, 9, 10]
    wfdb.wrsamp(
        "few",
        fs=500,
        units=["mV"] * len(kept),
        sig_name=[full.sig_name[i] for i in kept],
        p_signal=full.p_signal[:, kept],
        fmt=["16"] * len(kept),
        adc_gain=[1000] * len(kept),
        baseline=[0] * len(kept),
        write_dir=str(tmp_path),
    )
    table.loc[0, "ecg"] = str(tmp_path / "few.hea")
    table.to_csv(tmp_path / "c.csv", index=False)
    check = ["check", str(tmp_path / "c.csv"), "--label", "block", "--signal", "ecg"]
    check += ["--columns", "Sex=male", "--json"]
    assert main(check) == 1
    assert "'V6'] are missing" in capsys.readouterr().err
    assert main([*check, "--missing-leads", "drop"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["records"] == 23
    assert "male" in facts["columns"]


def test_messages_name_options_and_not_parameters(records, tmp_path, capsys):
    """What read_manifest calls fs= is --fs here."""
    from crtkit.cli.main import main

    table = pd.read_csv(records / "cohort.csv")
    table["ecg"] = [str(records / name) for name in table["ecg"]]
    (tmp_path / "bad.hea").write_text("bad 12 500 x")
    table.loc[0, "ecg"] = str(tmp_path / "bad.hea")
    table.to_csv(tmp_path / "c.csv", index=False)
    assert main(["check", str(tmp_path / "c.csv"), "--label", "block", "--signal", "ecg"]) == 1
    told = capsys.readouterr().err
    assert "--on-error 'drop'" in told
    assert "on_error=" not in told


def test_sets_and_pictures_from_the_command_line(records, tmp_path):
    """Fitted on half of the table, sets from the other half; a shared patient is refused."""
    table = pd.read_csv(records / "cohort.csv")
    table["ecg"] = [str(records / name) for name in table["ecg"]]
    table.iloc[:12].to_csv(tmp_path / "here.csv", index=False)
    table.iloc[12:].to_csv(tmp_path / "apart.csv", index=False)
    fit = ["fit", tmp_path / "here.csv", "--model", "mori2025/LightGBM", "--signal", "ecg"]
    fit += ["--label", "block", "--pos-label", "lbbb", "-o", tmp_path / "m.crtkit"]
    done = crtkit(*fit, "--held-out", tmp_path / "here.csv", code=1)
    assert "shares 12 patient(s)" in done.stderr
    crtkit(*fit, "--held-out", tmp_path / "apart.csv", "--alpha", "0.5")
    done = crtkit(
        *("predict", tmp_path / "m.crtkit", records / "r01.hea", "--json", "--allow-outside"),
        *("--pictures", tmp_path / "pictures"),
    )
    (row,) = json.loads(done.stdout)
    assert set(row["possible"]) <= {"narrow", "lbbb"}
    assert Path(row["picture"]).stat().st_size > 5000
    lines = crtkit("fit", "--model", "list").stdout.splitlines()
    assert "mori2025/LightGBM" in lines


def test_check_tells_leaks_and_what_so_many_patients_carry(clinical, tmp_path):
    """A column that is the outcome is told; the sizes are those of the library."""
    table = pd.read_csv(clinical / "cohort.csv")
    table["lvesv_after"] = 90.0 - 30 * (table["responder"] == "yes")
    table.to_csv(tmp_path / "leak.csv", index=False)
    asked = ("--label", "responder", "--pos-label", "yes")
    facts = json.loads(crtkit("check", tmp_path / "leak.csv", *asked, "--json").stdout)
    assert [text.partition(":")[0] for text in facts["leaks"]] == ["label column"]
    assert "lvesv_after" in crtkit("check", tmp_path / "leak.csv", *asked).stdout
    plan = facts["sample_size"]
    share = (table["responder"] == "yes").mean()
    assert plan["prevalence"] == round(share, 3)
    needed = ck.evaluation.sample_size(10, share, auc=plan["supposed_auc"])["n"].iloc[0]
    assert plan["patients_for_ten_parameters"] == needed
    assert "none found" in crtkit("check", clinical / "cohort.csv", *asked).stdout


def test_patients_with_both_outcomes_are_judged_by_record(clinical, tmp_path):
    table = pd.read_csv(clinical / "cohort.csv")
    first, other = table.index[0], table.index[table["responder"] != table["responder"][0]][0]
    table.loc[other, "patient"] = table.loc[first, "patient"]
    table.to_csv(tmp_path / "both.csv", index=False)
    asked = ("--label", "responder", "--pos-label", "yes")
    assert "--mixed-labels 'keep'" in crtkit("check", tmp_path / "both.csv", *asked, code=1).stderr
    kept = (*asked, "--mixed-labels", "keep")
    facts = json.loads(crtkit("check", tmp_path / "both.csv", *kept, "--json").stdout)
    assert facts["records"] == facts["patients"] + 1
    assert facts["leaks"] == []
    arguments = ("--study", "he2023", "--models", "Guideline", "--seeds", "2", "--by", "record")
    columns = ("--columns", "QRS=qrs_duration_ms")
    out = tmp_path / "report.md"
    crtkit("report", tmp_path / "both.csv", *kept, *columns, *arguments, "-o", out)
    assert "Guideline" in out.read_text()


def test_the_table_of_another_hospital_runs_a_study(clinical, tmp_path):
    """``run`` takes its names and its words for the outcome, as the other commands do."""
    maps = np.random.default_rng(0).uniform(90, 150, size=(120, 6, 8)).astype(np.float32)
    np.save(tmp_path / "maps.npy", maps)
    table = pd.read_csv(clinical / "cohort.csv").rename(columns={"male": "Sex"})
    table["Sex"] = table["Sex"].map({0: "F", 1: "M"})
    table["phase"] = [f"maps.npy#{i}" for i in range(len(table))]
    table.to_csv(tmp_path / "cohort.csv", index=False)
    asked = ("--label", "responder", "--pos-label", "yes", "--map", "phase", "--quick")
    columns = ("--columns", "QRS=qrs_duration_ms,Sex=male")
    done = crtkit(
        *("run", "he2021", "--data", tmp_path / "cohort.csv", *asked, *columns),
        *("--size", "small", "--out", tmp_path / "out"),
    )
    assert "LVEF + gender + QRS duration" in done.stdout
    wrong = ("--label", "responder", "--pos-label", "maybe", "--map", "phase")
    error = crtkit(
        *("run", "he2021", "--data", tmp_path / "cohort.csv", *wrong, "--out", tmp_path / "no"),
        code=1,
    ).stderr
    assert "--pos-label 'maybe' is not among the labels ['no', 'yes']" in error


def test_card_and_answers_use_the_words_of_the_table(bundle, records):
    card = crtkit("card", bundle).stdout
    assert "| classes | 0 (narrow), 1 (lbbb) |" in card
    assert "size 'small'" in card
    rows = json.loads(crtkit("predict", bundle, records / "r01.hea", "--json").stdout)
    assert rows[0]["answer"] in ("narrow", "lbbb")
    error = crtkit("read", records, code=1).stderr
    assert "crtkit measure reads all of its files" in error


def test_names_that_are_not_utf_8_cost_no_results(records, tmp_path):
    (tmp_path / "r01.dat").write_bytes((records / "r01.dat").read_bytes())
    with open(os.fsencode(tmp_path) + b"/M\xfcller.hea", "wb") as file:
        file.write((records / "r01.hea").read_bytes())
    assert "measured 1 of 1" in crtkit("measure", tmp_path, "-o", tmp_path / "qrs.csv").stderr
    table = pd.read_csv(tmp_path / "qrs.csv")
    assert table["file"][0].endswith(r"M\udcfcller.hea")
    assert json.loads(crtkit("measure", tmp_path, "--json").stdout)[0]["n_beats"] > 5


def test_words_of_a_file_do_not_reach_the_terminal(tmp_path):
    text = "patient,responder,age\x1b[2J\n" + "".join(f"p{i},{i % 2},{60 + i}\n" for i in range(30))
    (tmp_path / "cohort.csv").write_text(text)
    done = crtkit("check", tmp_path / "cohort.csv", "--label", "responder")
    assert "age?[2J" in done.stdout
    assert "\x1b" not in done.stdout


def test_codes_and_units_that_are_numbers(tmp_path):
    rows = "".join(f"p{i},{i % 2},{999 if i == 7 else 25 + i},x.npy#{i}\n" for i in range(20))
    (tmp_path / "cohort.csv").write_text("patient,responder,lvef,ecg\n" + rows)
    signals = [ck.datasets.simulate_ecg("lbbb", 150, random_state=i)[0] for i in range(20)]
    np.save(tmp_path / "x.npy", np.round(np.stack(signals) / 0.005).astype(np.int16))
    asked = ("--label", "responder", "--signal", "ecg", "--fs", 500, "--unit", 0.005)
    done = crtkit("check", tmp_path / "cohort.csv", *asked, "--na-values", "NA,999", "--json")
    facts = json.loads(done.stdout)
    assert facts["sampling_rate"] == 500
    assert "999" not in done.stderr


@pytest.mark.parametrize(
    ("file", "shown"),
    [(ck.signals.__file__, True), ("/home/x/crtkit/.venv/lib/sklearn/base.py", False)],
)
def test_only_warnings_of_the_package_are_shown(file, shown, capsys):
    from crtkit.cli.main import _show_warning

    _show_warning("pass fs= to resample", UserWarning, file, 1)
    assert capsys.readouterr().err == ("crtkit: warning: pass --fs to resample\n" if shown else "")
