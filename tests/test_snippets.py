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
#: Where a block needs more than this machine: what is missing.
NOT_RUN = {
    "scale.rst": "a cluster, several GPUs; tests/evaluation and tests/neural have local ones",
    "network.rst": "collected by pytest: tests/neural/test_modules.py has both decorators",
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
    # The three blocks of cohorts.rst leave out what is the reader's (``...``); its doctests and
    # tests/cohort read such tables.
    assert pages == {"index.rst", "start.rst", "cohorts.rst", *NOT_RUN}
    for name in (*NOT_RUN, "cohorts.rst"):
        for block in blocks(DOCS / name):
            compile(block, name, "exec")


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
