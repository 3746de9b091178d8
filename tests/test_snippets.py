"""What the README and the pages tell people to type is typed, in the order of the page.

Commands of `crtkit` run as a shell would run them, in a folder with simulated ECGs under the names
of the pages; blocks of Python run as they stand. What cannot run here is named, with its reason.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import crtkit as ck

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FS = 500
#: Blocks that need more than this machine, by what they hold: what is missing.
NOT_RUN = {
    "SLURMCluster": "Slurm, and a package for it",
    "KubeCluster": "Kubernetes, and a package for it",
    "several_devices": "several GPUs; tests/neural/test_distributed.py has two processes",
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder as the pages suppose it: ECGS/, PAGES/, cohort.csv, theirs.csv, new.xml."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "ECGS").mkdir()
    (folder / "PAGES").mkdir()
    cohort = ck.datasets.make_cohort("mori2025", n_patients=40, random_state=0)
    signals = [np.asarray(x)[:, : 10 * FS] for x in cohort.X["signal"]]
    names = [f"A{2 * k + 1:04d}" for k in range(len(signals))]
    for name, signal in zip(names, signals):
        write_wfdb(folder / "ECGS" / name, signal)
    table = pd.DataFrame(
        {
            "patient": [f"P{k:03d}" for k in range(len(names))],
            "ecg": [f"ECGS/{name}.hea" for name in names],
            "age": cohort.X["age"],
            "Sex": np.where(cohort.X["male"] == 1, "M", "F"),
            "QRS": cohort.X["qrs_duration_ms"],
            "responder": np.where(cohort.y == 1, "yes", "no"),
        }
    )
    table.to_csv(folder / "cohort.csv", index=False)
    table.assign(patient="N" + table["patient"]).to_csv(folder / "theirs.csv", index=False)
    for k in range(2):
        page, _ = ck.images.render_page(signals[k], fs=FS, px_per_mm=200 / 25.4)
        Image.fromarray(page).save(folder / "PAGES" / f"page{k}.png")
    (folder / "new.xml").write_bytes(muse(signals[0]))
    return folder


@pytest.fixture(scope="module")
def in_numbers(workplace, tmp_path_factory):
    """The same cohort, its label 0 and 1 in place of words."""
    folder = tmp_path_factory.mktemp("in_numbers")
    (folder / "ECGS").symlink_to(workplace / "ECGS")
    table = pd.read_csv(workplace / "cohort.csv")
    table["responder"] = (table["responder"] == "yes").astype(int)
    table.to_csv(folder / "cohort.csv", index=False)
    return folder


def write_wfdb(path, signal):
    """Twelve leads in format 16, 1,000 units a mV."""
    units = np.round(1000 * signal).astype("<i2")
    path.with_suffix(".dat").write_bytes(units.T.tobytes())
    lines = [f"{path.name} 12 {FS} {units.shape[1]}"]
    lines += [f"{path.name}.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in ck.signals.LEADS_12]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="ascii")


def muse(signal):
    """The same as a GE MUSE file, by the writer of the readers' tests."""
    path = ROOT / "tests" / "readers" / "conftest.py"
    spec = importlib.util.spec_from_file_location("readers_conftest", path)
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    rows = [ck.signals.LEADS_12.index(name) for name in writer.EIGHT]
    counts = np.round(signal[rows] / 0.005).astype(np.int16)
    made = writer.muse(counts)
    return made if isinstance(made, bytes) else made.encode()


def commands(page):
    """Every ``$ crtkit ...`` of a page, continuation lines joined."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^ +\$ crtkit (.+)$", text, re.M)


def run(arguments, folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        timeout=600,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
def test_the_pages_commands_run_in_their_order(workplace):
    for line in commands("folder.rst"):
        run(["-m", "crtkit", *shlex.split(line)], workplace)
    for made in ("qrs.csv", "page.png", "pages.csv", "report.html", "model.crtkit"):
        assert (workplace / made).stat().st_size > 200, made
    assert len(pd.read_csv(workplace / "qrs.csv")) == 40
    assert any((workplace / "pictures").iterdir())
    # The same model under the name that its page gives it, and a table of another centre.
    (workplace / "lightgbm.crtkit").write_bytes((workplace / "model.crtkit").read_bytes())
    for line in commands("bundles.rst"):
        run(["-m", "crtkit", *shlex.split(line)], workplace)
    assert (workplace / "answer.json").is_file()


@pytest.mark.slow
def test_the_commands_of_the_overview_run(workplace):
    for line in commands("commands.rst"):
        run(["-m", "crtkit", *shlex.split(line)], workplace)


def test_no_page_has_commands_that_nothing_runs():
    pages = {page.name for page in DOCS.glob("*.rst") if commands(page.name)}
    assert pages == {"folder.rst", "bundles.rst", "commands.rst"}


def blocks(path):
    """Python of the code blocks of a page, in its order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    found = re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", text, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for _, block in found]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/index.rst", "docs/start.rst"])
def test_blocks_of_python_run_as_they_stand(page, in_numbers):
    code = "\n".join(blocks(ROOT / page))
    if page.endswith("start.rst"):
        code = code.replace('make_cohort("mori2025", ', 'make_cohort("mori2025", n_patients=40, ')
        assert "n_patients=40" in code
    run(["-c", code], in_numbers)


def test_every_block_of_python_is_run_or_named():
    pages = {path.name for path in DOCS.glob("*.rst") if blocks(path)}
    assert pages == {"index.rst", "start.rst", "cohorts.rst", "network.rst", "scale.rst"}
    for block in blocks(DOCS / "scale.rst"):
        compile(block, "scale.rst", "exec")
    named = [word for word in NOT_RUN for block in blocks(DOCS / "scale.rst") if word in block]
    assert named == list(NOT_RUN)


MANIFEST = 'read_manifest("cohort.csv", signal="ecg", label="responder", group="patient"'


@pytest.mark.slow
def test_blocks_of_the_page_of_cohorts_run(workplace, tmp_path):
    plain, missing, arrays = blocks(DOCS / "cohorts.rst")
    (tmp_path / "ECGS").symlink_to(workplace / "ECGS")
    table = pd.read_csv(workplace / "cohort.csv").assign(responder=[0, 1] * 20)
    table.to_csv(tmp_path / "cohort.csv", index=False)
    assert MANIFEST in plain
    run(["-c", f"import crtkit as ck\n{plain}"], tmp_path)
    table = table.assign(lvef=25, nyha="3")
    table.loc[:2, "lvef"], table.loc[3, "nyha"] = [-1, 999, 30], "NA"
    table.to_csv(tmp_path / "cohort.csv", index=False)
    counted = "\nassert list(cohort.X[['lvef', 'nyha']].isna().sum()) == [2, 1]"
    called = missing.replace("read_manifest(...", MANIFEST)
    run(["-c", f"import crtkit as ck\n{called}{counted}"], tmp_path)
    # Arrays say neither rate, unit nor leads; the page leaves the names of the leads to the reader.
    signals = ck.datasets.make_cohort("mori2025", n_patients=40, random_state=0).X["signal"]
    np.save(tmp_path / "ecgs.npy", 1000 * np.stack(signals))
    table = table.drop(columns="nyha").assign(ecg=[f"ecgs.npy#{k}" for k in range(40)])
    table.to_csv(tmp_path / "cohort.csv", index=False)
    called = arrays.replace("read_manifest(...", MANIFEST)
    called = called.replace('"aVR", ...]', '"aVR", "aVL", "aVF", *(f"V{k}" for k in range(1, 7))]')
    assert "..." not in called
    told = "\nassert cohort.info['sampling_rate'] == 400"
    run(["-c", f"import crtkit as ck\n{called}{told}"], tmp_path)


@pytest.mark.slow
def test_the_tests_of_the_page_of_networks_run(tmp_path):
    (block,) = blocks(DOCS / "network.rst")
    before = """
from torch import nn
from crtkit.neural import wrap_module

EXPECTED = {}

def MyModule(n_leads, n_outputs):
    return nn.Sequential(
        nn.AdaptiveAvgPool1d(8), nn.Flatten(), nn.Linear(8 * n_leads, n_outputs)
    )

"""
    (tmp_path / "test_mine.py").write_text(before + block, encoding="utf-8")
    pytest_ = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    assert "passed" in run(pytest_, tmp_path).stdout


@pytest.mark.slow
def test_blocks_of_the_page_of_many_machines_run(tmp_path):
    """On a cluster of this process alone; tests/evaluation has one of two."""
    pytest.importorskip("distributed")
    found = [b for b in blocks(DOCS / "scale.rst") if not any(word in b for word in NOT_RUN)]
    code = "\n".join(found)
    here = code.replace('Client("scheduler:8786")', "Client(processes=False, n_workers=1)")
    assert here != code
    before = """
import crtkit
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
cohort = crtkit.datasets.make_cohort("mori2025", n_patients=40, random_state=0)
np.save("rows.npy", np.random.default_rng(0).normal(size=(40, 4)))
cohort.X["map"] = [f"rows.npy#{k}" for k in range(40)]
models = {"lvef": make_pipeline(crtkit.Select(["lvef"]), LogisticRegression())}
"""
    after = "\nassert result.summary(n_bootstrap=50).shape[0] > 1\nassert {'rows.npy'} <= files"
    run(["-c", before + here + after], tmp_path)
    assert (tmp_path / "journal.jsonl").stat().st_size > 100


def benchmark_lines():
    found = []
    for path in [ROOT / "README.md", *DOCS.glob("*.rst"), *DOCS.glob("studies/*.rst")]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(r"python -m benchmarks(?:\.\w+)* [^`\n|]*", text)
        found += [(path.name, line.split("  #")[0].strip()) for line in lines]
    return sorted(set(found))


@pytest.mark.parametrize(("page", "line"), benchmark_lines())
def test_commands_of_benchmarks_are_understood(page, line):
    from benchmarks.__main__ import parser

    module, *arguments = shlex.split(line)[2:]
    if module != "benchmarks":
        assert importlib.util.find_spec(module) is not None
        return
    if not arguments or not arguments[0].isidentifier():
        return  # a sentence that names the program
    options = parser().parse_args(arguments)
    assert options.study
