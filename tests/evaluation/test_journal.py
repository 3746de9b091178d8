import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from crtkit import Cohort, ECGFMClassifier, ResNetClassifier, Select, SimCLR, evaluate
from crtkit.evaluation.resume.fingerprint import fingerprint, source_files
from crtkit.evaluation.resume.journal import Journal, JournalError
from crtkit.neural import save_weights

STUDY = """
import time
import numpy as np, pandas as pd
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from crtkit import Cohort, Select, evaluate


class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(self.tol)
        return super().fit(X, y)


def main(journal, n_jobs):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    X = pd.DataFrame(rng.normal(size=(80, 4)) + 0.5 * y[:, None], columns=list("abcd"))
    trees = LGBMClassifier(n_estimators=20, subsample=0.6, subsample_freq=1, verbose=-1)
    models = {
        "slow": make_pipeline(Select(list("abcd")), Slow(tol=0.25)),
        "trees": make_pipeline(Select(list("abcd")), trees),
    }
    return evaluate(
        models, Cohort(X, y, np.arange(80)), seeds=6, n_jobs=n_jobs, threads_per_fit=1,
        journal=journal, reference_rows=False,
    ).predictions
"""


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    (tmp_path / "killed_study.py").write_text(STUDY)
    monkeypatch.syspath_prepend(tmp_path)
    journal = tmp_path / "journal.jsonl"
    killed = subprocess.Popen(
        [sys.executable, "-c", f"import killed_study; killed_study.main({str(journal)!r}, 2)"],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.time() + 600
        while time.time() < deadline and killed.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= 5:
                break
            time.sleep(0.02)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)  # the group: idle workers outlive their parent
        killed.wait()
    assert 4 <= journal.read_bytes().count(b"\n") - 1 < 12
    with open(journal, "ab") as file:
        file.write(b'{"model": "slow", "seed": 5, "fo')  # what a killed write leaves
    import killed_study

    resumed, whole = killed_study.main(journal, 1), killed_study.main(None, 1)
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    lines = journal.read_text().splitlines()
    records = [json.loads(line)["cell"] for line in lines[1:]]
    cells = [(r["model"], r["seed"], r["fold"]) for r in records]
    assert len(cells) == len(set(cells)) == 12


@pytest.fixture
def toy(make_table_cohort, models, tmp_path):
    cohort = make_table_cohort(records=1)
    journal = tmp_path / "deep" / "journal.jsonl"

    def go(models=models, cohort=cohort, **kwargs):
        kwargs = {"seeds": 2, "threads_per_fit": 1, "journal": journal, **kwargs}
        return evaluate(models, cohort, reference_rows=False, **kwargs)

    go.journal, go.cohort, go.models = journal, cohort, models
    return go


def test_finished_cells_are_not_fitted_again(toy, monkeypatch):
    first = toy()
    lines = toy.journal.read_bytes()

    def never(self, X, y, sample_weight=None):
        raise AssertionError("fitted again")

    with monkeypatch.context() as patch:
        patch.setattr(LogisticRegression, "fit", never)
        again = toy()
    pd.testing.assert_frame_equal(first.predictions, again.predictions, check_exact=True)
    assert toy.journal.read_bytes() == lines
    more = toy(seeds=4)
    assert toy.journal.read_bytes().startswith(lines)
    assert toy.journal.read_bytes().count(b"\n") == 9
    whole = toy(seeds=4, journal=None)
    pd.testing.assert_frame_equal(more.predictions, whole.predictions, check_exact=True)


def test_models_may_be_added_and_cells_survive_a_failure(toy):
    toy()
    bad = make_pipeline(Select(["lvef"]), LogisticRegression(C=-1))
    with pytest.raises(RuntimeError, match="Model 'bad' failed at seed 0"):
        toy(models={"new": toy.models["logistic"], "bad": bad})
    assert toy.journal.read_bytes().count(b"\n") == 6
    assert toy(models={"new": toy.models["logistic"]}).models == ["new"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads_per_fit": 2}, "threads_per_fit: 1 there, 2 now"),
        ({"random_state": 1}, "protocol.random_state: 0 there, 1 now"),
        ({"test_size": 0.3}, "protocol.splits"),
        ({"cv": StratifiedGroupKFold(3)}, "protocol.splits"),
    ],
)
def test_another_run_is_refused(toy, change, message):
    toy()
    before = toy.journal.read_bytes()
    with pytest.raises(ValueError, match=f"journal of another run .*{message}"):
        toy(**change)
    assert toy.journal.read_bytes() == before


def test_another_cohort_model_or_version_is_refused(toy, monkeypatch):
    toy()
    X = toy.cohort.X.copy()
    X.iloc[3, 0] += 1e-9
    with pytest.raises(ValueError, match="cohort: "):
        toy(cohort=Cohort(X, toy.cohort.y, toy.cohort.groups))
    other = make_pipeline(Select(["lvef"]), LogisticRegression())
    with pytest.raises(ValueError, match="holds 'logistic' with other parameters"):
        toy(models={"logistic": other})
    with pytest.raises(ValueError, match="external.B"):
        toy(external={"B": Cohort(X, toy.cohort.y, np.arange(len(X)))})
    import crtkit.evaluation.run as module

    monkeypatch.setattr(module, "versions", lambda: {"numpy": "0.1"})
    with pytest.raises(ValueError, match=r"versions.numpy: '.*' there, '0.1' now"):
        toy()
    monkeypatch.setattr(module, "versions", lambda: {})
    monkeypatch.setattr(module, "device", lambda models: {"cpu": "abacus"})
    with pytest.raises(ValueError, match="device.cpu: .* there, 'abacus' now"):
        toy()


def test_the_source_of_the_whole_package_counts():
    """It once was the evaluation's own: a journal went on under another network's code."""
    names = set(source_files())
    assert {"_labels.py", "neural/resnet.py", "signals/qrs/measure.py"} <= names
    assert "neural/ecgfm/weights/crtkit-small.safetensors" in names


def test_files_that_are_no_journal_are_left_alone(toy):
    toy.journal.parent.mkdir()
    toy.journal.write_text("label,path\n1,a.jpg\n")
    with pytest.raises(ValueError, match="not a journal of crtkit"):
        toy()
    assert toy.journal.read_text() == "label,path\n1,a.jpg\n"


def test_a_damaged_line_is_named(toy):
    toy()
    lines = toy.journal.read_text().splitlines(keepends=True)
    toy.journal.write_text("".join([lines[0], "oops\n", *lines[2:]]))
    with pytest.raises(ValueError, match="Line 2 of .* is damaged"):
        toy()


@pytest.mark.parametrize("half", [b"", b'{"crtkit_jou', b'{"crtkit_journal": 1, "identity": {"co'])
def test_a_run_killed_at_its_first_line(toy, half):
    toy.journal.parent.mkdir()
    toy.journal.write_bytes(half)
    toy()
    assert toy.journal.read_bytes().count(b"\n") == 5


def test_two_runs_do_not_share_a_journal(tmp_path):
    book = Journal(tmp_path / "j", {}, {})
    with pytest.raises(ValueError, match="Another run is writing"):
        Journal(tmp_path / "j", {}, {})
    book.close()
    Journal(tmp_path / "j", {}, {}).close()


def test_numbers_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    score = [*rng.random(1000).tolist(), np.inf, 5e-324, 0.1 + 0.2]
    record = {"model": "m", "seed": 0, "fold": 0, "score": score}
    book = Journal(tmp_path / "j", {}, {"m": "id"})
    book.append(record)
    book.close()
    book = Journal(tmp_path / "j", {}, {"m": "id"})
    assert book.cells["m", 0, 0]["score"] == score
    book.close()


def test_fingerprints_are_equal_in_every_process(tmp_path):
    code = """
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.tree import DecisionTreeClassifier
from crtkit import metrics
from crtkit.evaluation.resume.fingerprint import fingerprint
X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
models = [
    GridSearchCV(LGBMClassifier(), {"num_leaves": {3, 7}.__class__([3, 7])}, cv=GroupKFold(3),
                 scoring=metrics.SCORERS, refit="roc_auc"),
    FrozenEstimator(LogisticRegression().fit(X, y)),
    FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X, y)),
    FrozenEstimator(LGBMClassifier(min_child_samples=1, verbose=-1, n_jobs=1).fit(X, y)),
]
import pickle
print([fingerprint(m) for m in models])
print([fingerprint(pickle.loads(pickle.dumps(m))) for m in models])
"""
    seen = set()
    for seed in ("0", "1"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        seen.update(out.stdout.splitlines())
    assert len(seen) == 1


def test_fingerprints_tell_models_apart():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    frozen = [FrozenEstimator(LogisticRegression().fit(X * k, y)) for k in (1, 2)]
    frozen += [
        FrozenEstimator(make_pipeline(Select("a"), LogisticRegression()).fit(X * k, y))
        for k in (1, 2)
    ]
    values = [
        LogisticRegression(),
        LogisticRegression(C=2),
        make_pipeline(Select("a"), LogisticRegression()),
        make_pipeline(Select("b"), LogisticRegression()),
        *frozen,
        GroupKFold(3),
        GroupKFold(4),
        np.arange(3),
        np.arange(3.0),
        lambda x: x + x,
        lambda x: x * x,
        {"a": 1},
        pd.DataFrame({"a": [1, 2]}),
    ]
    assert len({fingerprint(v) for v in values}) == len(values)
    assert fingerprint(LogisticRegression(random_state=3)) == fingerprint(LogisticRegression())


def test_fingerprints_read_torch_weights():
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one, two = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert fingerprint(one) != fingerprint(two)
    two.load_state_dict(one.state_dict())
    assert fingerprint(one) == fingerprint(two)


@pytest.fixture
def written(toy):
    toy()
    return toy


@pytest.mark.parametrize("n_flips", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_no_flipped_bit_gives_other_results(written, n_flips):
    """A damaged journal is refused by name, or resumed to the same bits."""
    whole = written(journal=None).predictions
    content = written.journal.read_bytes()
    rng = np.random.default_rng(n_flips)
    refused = 0
    for place, bit in zip(rng.integers(len(content), size=n_flips), rng.integers(8, size=n_flips)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        written.journal.write_bytes(damaged)
        error = None
        try:
            again = written().predictions
        except JournalError as caught:
            error = caught
        if error is None:
            pd.testing.assert_frame_equal(again, whole, check_exact=True)
        else:
            assert str(written.journal) in str(error)
            refused += 1
    assert refused > n_flips / 2


def rewrite(path, change):
    """Change the first cell and sign it again, as an editor who knows the format could."""
    lines = path.read_bytes().split(b"\n")
    cell = json.loads(lines[1])["cell"]
    change(cell)
    body = json.dumps(cell).encode()
    digest = hashlib.sha256(hashlib.sha256(lines[0]).digest() + body).hexdigest()
    lines[1] = b'{"sha256": "' + digest.encode() + b'", "cell": ' + body + b"}"
    path.write_bytes(b"\n".join(lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["sets"]["test"]["rows"].__setitem__(0, 0), "other rows of 'test'"),
        (lambda c: c["sets"]["test"]["rows"].__setitem__(0, -1), "other rows of 'test'"),
        (lambda c: c["sets"]["test"]["score"].__setitem__(0, 1.5), r"outside \[0, 1\]"),
        (lambda c: c["sets"]["test"]["score"].pop(), "one score per row"),
        (lambda c: c["sets"]["test"]["y_pred"].__setitem__(0, 2), "other than 0 and 1"),
        (lambda c: c["sets"]["test"].__setitem__("kind", "guess"), "unknown kind of score"),
        (lambda c: c["sets"].__setitem__("B", {}), "does not hold predictions of"),
        (lambda c: c.pop("seconds"), "has no time"),
    ],
)
def test_a_signed_cell_must_still_be_of_its_split(written, change, message):
    first = json.loads(written.journal.read_bytes().split(b"\n")[1])["cell"]
    assert first["sets"]["test"]["rows"][0] != 0
    rewrite(written.journal, change)
    with pytest.raises(JournalError, match=message):
        written()


def test_an_edited_score_does_not_match_its_digest(written):
    text = written.journal.read_text()
    score = json.loads(text.splitlines()[1])["cell"]["sets"]["test"]["score"][0]
    written.journal.write_text(text.replace(repr(score), repr(score / 2), 1))
    with pytest.raises(JournalError, match=r"Line \d of .* does not match its digest"):
        written()


def test_a_line_of_another_journal_is_refused(written, tmp_path):
    other = tmp_path / "other.jsonl"
    written(journal=other, random_state=1)
    lines = other.read_bytes().splitlines(keepends=True)
    with open(written.journal, "ab") as file:
        file.write(lines[-1])
    with pytest.raises(JournalError, match="does not match its digest"):
        written()


@pytest.mark.parametrize("version", [1, 3, True, "2"])
def test_another_format_is_named(written, version):
    lines = written.journal.read_text().splitlines(keepends=True)
    header = {**json.loads(lines[0]), "crtkit_journal": version}
    written.journal.write_text(json.dumps(header) + "\n" + "".join(lines[1:]))
    with pytest.raises(JournalError, match="has the journal format"):
        written()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the devices of Linux")
def test_devices_pipes_and_folders_are_refused_at_once(toy, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/full", "/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(JournalError, match="not a regular file"):
            toy(journal=path)


def changed(source, name="f", **globals_):
    space = {"__name__": "analysis", **globals_}
    exec(source, space)
    return space[name]


@pytest.mark.parametrize(
    "source",
    [
        "f = lambda x: x * {}",
        "def f(x, a={}): return x + a",
        "def f(x, *, a={}): return x + a",
        "def g(a):\n return lambda x: x + a\nf = g({})",
        "def h(x): return {} * x\ndef f(x): return h(x)",
        "A = {}\ndef f(x): return x + A",
        "class f:\n def go(self): return {}",
        "class f:\n a = {}",
        "class B:\n a = {}\nclass f(B): pass",
        "class f:\n @property\n def a(self): return {}",
        "class f:\n @staticmethod\n def a(): return {}",
        "def f(x):\n def g(): return {}\n return g",
        "import numpy as np\nf = lambda x: np.pad(x, {}) if {} == 1 else np.log(x)",
        "import functools\ndef d(f):\n @functools.wraps(f)\n def g(x): return {} * f(x)\n"
        " return g\n@d\ndef f(x): return x",
        "import functools\n@functools.lru_cache\ndef f(x): return {} * x",
        "A = frozenset([{}])\ndef f(x): return x in A",
        "import pandas as pd\nA = pd.Series([{}])\ndef f(x): return x + A[0]",
        "class C: pass\nA = C()\nA.scale = {}\ndef f(x): return x * A.scale",
    ],
)
def test_a_fingerprint_sees_changed_code(source):
    one, again, other = (changed(source.replace("{}", str(n))) for n in (1, 1, 2))
    assert fingerprint(one) == fingerprint(again)
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_sees_which_function_is_called():
    log, exp = (changed(f"import numpy as np\nf = lambda x: np.{n}(x)") for n in ("log", "exp"))
    assert fingerprint(log) != fingerprint(exp)


def test_a_fingerprint_sees_the_class_of_a_model_and_bound_methods():
    source = (
        "from sklearn.base import BaseEstimator\nclass M(BaseEstimator):\n def p(self): return {}"
    )
    one, other = (changed(source.format(i), "M") for i in (1, 2))
    assert fingerprint(one()) != fingerprint(other())
    assert fingerprint(one().p) != fingerprint(other().p)
    rng = np.random.default_rng(0)
    assert fingerprint(np.log) != fingerprint(np.exp)
    assert fingerprint("abc".upper) != fingerprint("xyz".upper)
    assert fingerprint(one()) == fingerprint(changed(source.format(1), "M")())
    assert fingerprint(rng.normal) == fingerprint(np.random.default_rng(0).normal)


def test_files_count_by_content_not_by_path(tmp_path):
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c.pt")]
    for path, content in zip(paths, (b"one", b"one", b"two")):
        path.write_bytes(content)

    def identity(path):
        return fingerprint(make_pipeline(Select("image"), ResNetClassifier(weights=str(path))))

    ids = [identity(path) for path in paths]
    assert ids[0] == ids[1] != ids[2]
    paths[0].write_bytes(b"three")
    assert identity(paths[0]) != ids[0]


def test_a_fingerprint_sees_the_code_of_a_module_of_ones_own(tmp_path, monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    ids = []
    for n in (1, 1, 2):
        (tmp_path / "own_helpers.py").write_text(f"def scale(x): return {n} * x\nUNUSED = {n}\n")
        monkeypatch.delitem(sys.modules, "own_helpers", raising=False)
        importlib.invalidate_caches()
        ids.append(fingerprint(changed("import own_helpers\nf = lambda x: own_helpers.scale(x)")))
    assert ids[0] == ids[1] != ids[2]


def _models_of_files(path):
    """Every estimator that takes a file, however it is nested."""
    return {
        "resnet": ResNetClassifier(weights=path),
        "simclr": SimCLR(weights=path),
        "backbone": ResNetClassifier(backbone=SimCLR(weights=path)),
        "ecgfm": ECGFMClassifier(checkpoint=path),
        "calibrated": CalibratedClassifierCV(ECGFMClassifier(checkpoint=path)),
        "search": GridSearchCV(ECGFMClassifier(), {"checkpoint": [path, None]}),
        "list of steps": make_pipeline(Select("image"), ResNetClassifier(weights=path)),
        "dict": FunctionTransformer(np.abs, kw_args={"where": path}),
    }


@pytest.mark.parametrize("kind", [str, Path, os.path.basename])
@pytest.mark.parametrize("name", sorted(_models_of_files("")))
def test_files_count_by_content_wherever_they_are_named(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    for suffix in ("", ".pt"):  # a file without a suffix is one, too
        one, other = (tmp_path / f"{stem}{suffix}" for stem in ("one", "other"))
        ids = []
        for path, content in ((one, b"first"), (other, b"first"), (one, b"again")):
            path.write_bytes(content)
            ids.append(fingerprint(_models_of_files(kind(path))[name]))
        assert ids[0] == ids[1] != ids[2]


def test_a_frozen_encoder_counts_by_its_weights():
    X = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)
    encoders = [SimCLR(width=8, max_epochs=1, random_state=k).fit(X) for k in (0, 0, 1)]
    ids = [fingerprint(ResNetClassifier(backbone=FrozenEstimator(e))) for e in encoders]
    assert ids[0] == ids[1] != ids[2]


def test_weights_trained_again_under_the_same_name_are_another_model(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"image": list(rng.integers(0, 255, (12, 16, 16, 3), dtype=np.uint8))})
    cohort = Cohort(X, np.arange(12) % 2, np.arange(12))
    path, kwargs = tmp_path / "encoder.safetensors", {"seeds": 1, "reference_rows": False}
    kwargs |= {"progress": False, "journal": tmp_path / "run.jsonl"}
    model = ResNetClassifier(width=8, weights=str(path), max_epochs=1)
    model = make_pipeline(Select("image"), model)
    for seed in (0, 1):
        encoder = SimCLR(width=8, max_epochs=1, random_state=seed).fit(np.stack(list(X["image"])))
        save_weights(encoder, path)
        if seed == 0:
            first = evaluate({"m": model}, cohort, **kwargs).predictions
            again = evaluate({"m": model}, cohort, **kwargs).predictions
            pd.testing.assert_frame_equal(first, again, check_exact=True)
        else:
            with pytest.raises(JournalError, match="holds 'm' with other parameters or other code"):
                evaluate({"m": model}, cohort, **kwargs)
