"""Bundles that somebody tampered with: refused by name, and nothing of them runs."""

import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

import crtkit as ck
from crtkit.persistence import BundleError
from crtkit.persistence.archive import MANIFEST, read_archive

_SPEC = importlib.util.spec_from_file_location("tamper", Path(__file__).parent / "tamper.py")
tamper = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tamper)
members, rewrite, edit_schema = tamper.members, tamper.rewrite, tamper.edit_schema
X, Y = np.arange(20.0)[:, None], np.arange(20) // 10
SHARE = {"above": 0.0, "patients": 10, "positive": 5}
ONE = {"classes": [1], "positive": 1, "threshold": 0.5}


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "model.crtkit"
    ck.save(LogisticRegression().fit(X, Y), path)
    return path


def test_a_changed_part_is_named(bundle):
    parts = members(bundle)
    parts["card.md"] += b"Approved for clinical use."
    rewrite(bundle, parts, rehash=False)
    with pytest.raises(BundleError, match=r"part 'card.md' is not the one that was saved"):
        ck.load(bundle)
    with pytest.raises(BundleError, match="card.md"):
        ck.card(bundle)


def test_a_changed_manifest_is_refused(bundle):
    parts = members(bundle)
    parts[MANIFEST] = parts[MANIFEST].replace(b'"positive": 1', b'"positive": 0')
    with pytest.raises(BundleError, match=r"manifest.json was changed"):
        ck.load(rewrite(bundle, parts, rehash=False))


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", "..\\evil", ".."])
def test_a_member_with_a_path_is_refused(bundle, name):
    parts = {**members(bundle), name: b"x"}
    with pytest.raises(BundleError, match="a path, no name"):
        ck.load(rewrite(bundle, parts))


def test_compressed_members_are_refused(bundle):
    parts = {**members(bundle), "tensors.safetensors": bytes(2**20)}
    with pytest.raises(BundleError, match="compressed"):
        ck.load(rewrite(bundle, parts, compression=zipfile.ZIP_DEFLATED))


def test_surplus_and_absent_parts_are_named(bundle):
    parts = members(bundle)
    with pytest.raises(BundleError, match=r"not in its manifest \['more'\]"):
        ck.load(rewrite(bundle, {**parts, "more": b"x"}, rehash=False))
    del parts["card.md"]
    with pytest.raises(BundleError, match=r"absent \['card.md'\]"):
        ck.load(rewrite(bundle, parts, rehash=False))


@pytest.mark.parametrize(
    ("loader", "module", "name"),
    [
        ("FunctionNode", "posix", "system"),
        ("FunctionNode", "builtins", "eval"),
        ("FunctionNode", "crtkit._io", "write_text"),
        ("FunctionNode", "numpy", "fromfile"),
        ("TypeNode", "subprocess", "Popen"),
        ("ObjectNode", "subprocess", "Popen"),
        ("ObjectNode", "crtkit.persistence.saving", "os"),
        ("ConstructorFromReduceNode", "sklearn.linear_model._logistic", "LogisticRegression"),
        ("PartialNode", "functools", "partial"),
        ("MethodNode", "sklearn.linear_model._logistic", "LogisticRegression"),
        ("OperatorFuncNode", "operator", "methodcaller"),
        ("NoSuchNode", "builtins", "int"),
    ],
)
def test_types_and_functions_that_are_not_trusted_are_named(bundle, loader, module, name):
    parts = members(bundle)

    def plant(schema):
        schema["content"]["content"]["C"] = {
            "__class__": name,
            "__module__": module,
            "__loader__": loader,
            "content": {},
        }
        return schema

    parts["model.skops"] = edit_schema(parts["model.skops"], plant)
    with pytest.raises(BundleError, match=rf"{module}\.{name} \({loader}\)"):
        ck.load(rewrite(bundle, parts))


def test_a_module_called_as_old_losses_are_is_not_imported(bundle, monkeypatch):
    # scikit-learn before 1.8 calls the module of its losses `_loss`; so may anybody.
    strange = types.ModuleType("_loss")
    strange.CyHalfBinomialLoss = subprocess.Popen
    monkeypatch.setitem(sys.modules, "_loss", strange)
    parts = members(bundle)

    def plant(schema):
        node = {"__class__": "CyHalfBinomialLoss", "__module__": "_loss", "content": {}}
        schema["content"]["content"]["C"] = {**node, "__loader__": "LossNode"}
        return schema

    parts["model.skops"] = edit_schema(parts["model.skops"], plant)
    with pytest.raises(BundleError, match="_loss.CyHalfBinomialLoss"):
        ck.load(rewrite(bundle, parts))


class _Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_planted_pickle_does_not_run(bundle, tmp_path):
    """As a part of its own, in place of the model, and as an array of objects."""
    marker = tmp_path / "marker"
    evil = pickle.dumps(_Marker(marker))
    parts = members(bundle)
    array = io.BytesIO()
    np.save(array, np.array([_Marker(marker)], dtype=object), allow_pickle=True)
    inner = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as old, zipfile.ZipFile(inner, "w") as z:
        for info in old.infolist():
            is_array = info.filename.endswith(".npy")
            z.writestr(info.filename, array.getvalue() if is_array else old.read(info))
    attempts = [
        {**parts, "tensors.safetensors": evil},
        {**parts, "model.skops": evil},
        {**parts, "model.skops": inner.getvalue()},
        {**parts, "booster-0.txt": evil},
    ]
    for attempt in attempts:
        path = rewrite(tmp_path / "evil.crtkit", attempt)
        with pytest.raises(BundleError, match=r"evil\.crtkit|booster-0\.txt"):
            ck.load(path)
    (tmp_path / "whole.crtkit").write_bytes(evil)
    with pytest.raises(BundleError, match="not a crtkit bundle"):
        ck.load(tmp_path / "whole.crtkit")
    assert not marker.exists()
    pickle.loads(evil)  # the trap itself works
    assert marker.exists()


def test_functions_that_estimators_would_call_do_not_run(tmp_path):
    """A trusted estimator whose parameter is somebody's function: what a marker would tell.

    Written by skops itself, with every hash right, as an attacker would.
    """
    skops = pytest.importorskip("skops.io")
    marker = tmp_path / "marker"
    trap = FunctionTransformer(os.mkdir, check_inverse=False)
    ck.save(LogisticRegression().fit(X, Y), tmp_path / "m.crtkit")
    parts = members(tmp_path / "m.crtkit")
    for name, model in (
        ("alone", trap),
        ("in a pipeline", make_pipeline(trap, LogisticRegression())),
        ("in a search", GridSearchCV(LogisticRegression(), {"C": [1.0]}, scoring=os.mkdir)),
        ("in a union", FeatureUnion([("a", trap)])),
    ):
        attempt = {**parts, "model.skops": skops.dumps(model)}
        path = rewrite(tmp_path / "evil.crtkit", attempt)
        with pytest.raises(BundleError, match=r"posix\.mkdir"):
            ck.load(path)
        with pytest.raises(BundleError, match=r"posix\.mkdir"):
            ck.predict(path, [str(marker)])
        assert not marker.exists(), name
    trap.transform(str(marker))  # the trap itself works
    assert marker.exists()


def test_an_array_that_announces_more_than_it_has_is_refused(bundle, tmp_path):
    parts = members(bundle)
    big = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        big, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    inner = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as old, zipfile.ZipFile(inner, "w") as z:
        for info in old.infolist():
            is_array = info.filename.endswith(".npy")
            z.writestr(info.filename, big.getvalue() if is_array else old.read(info))
    parts["model.skops"] = inner.getvalue()
    with pytest.raises(BundleError, match="announces"):
        ck.load(rewrite(bundle, parts))


def test_tensors_that_outgrow_the_file_are_refused(tmp_path):
    S = np.random.default_rng(0).normal(size=(8, 2, 40)).astype(np.float32)
    model = ck.FCNClassifier(n_filters=(8, 8, 8), max_epochs=1).fit(S, np.arange(8) % 2)
    path = tmp_path / "m.crtkit"
    ck.save(model, path)
    parts = members(path)
    header = json.dumps({"t0": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    parts["tensors.safetensors"] = len(header).to_bytes(8, "little") + header.encode()
    with pytest.raises(BundleError, match="cannot be put together"):
        ck.load(rewrite(path, parts))


def test_trees_that_point_outside_themselves_are_refused(tmp_path):
    """A crafted tree would make compiled code read memory that is not its own."""
    tree = DecisionTreeClassifier().fit(X, Y)
    state = tree.tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 10**6
    tree.tree_.__setstate__(state)
    ck.save(tree, tmp_path / "t.crtkit")
    with pytest.raises(BundleError, match="decision tree"):
        ck.load(tmp_path / "t.crtkit")


@pytest.mark.parametrize(
    ("old", "new"),
    [("left_child=", "left_child=999999 "), ("split_feature=", "split_feature=77 "), ("tree", "")],
)
def test_boosters_that_point_outside_themselves_are_refused(tmp_path, old, new):
    model = LGBMClassifier(n_estimators=2, min_child_samples=2, verbosity=-1).fit(X, Y)
    path = tmp_path / "b.crtkit"
    ck.save(model, path)
    parts = members(path)
    parts["booster-0.txt"] = parts["booster-0.txt"].replace(old.encode(), new.encode(), 1)
    with pytest.raises(BundleError, match="booster-0.txt"):
        ck.load(rewrite(path, parts))


def test_what_is_no_bundle_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no bundle at"):
        ck.load(tmp_path / "absent.crtkit")
    (tmp_path / "text.crtkit").write_text("not a zip")
    with pytest.raises(BundleError, match="not a crtkit bundle"):
        ck.load(tmp_path / "text.crtkit")
    with pytest.raises(BundleError, match="not a regular file"):
        ck.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="not a regular file"):
        ck.load(tmp_path / "pipe")


def test_a_newer_format_says_what_to_install(bundle):
    parts = members(bundle)
    manifest = json.loads(parts[MANIFEST])
    manifest["format_version"] = 99
    parts[MANIFEST] = json.dumps(manifest).encode()
    with pytest.raises(BundleError, match="Install a newer crtkit"):
        ck.load(rewrite(bundle, parts))


def test_other_versions_warn_by_name(bundle):
    parts = members(bundle)
    manifest = json.loads(parts[MANIFEST])
    manifest["versions"]["scikit-learn"] = "1.0.2"
    parts[MANIFEST] = json.dumps(manifest).encode()
    with pytest.warns(ck.persistence.BundleVersionWarning, match=r"scikit-learn 1\.0\.2"):
        ck.load(rewrite(bundle, parts))


def test_your_own_class_is_saved_and_loaded_when_both_sides_trust_it(tmp_path):
    from tests_own_estimator import Shift  # made by the fixture of conftest

    model = Shift().fit(X, Y)
    with pytest.raises(BundleError, match=r"tests_own_estimator\.Shift"):
        ck.save(model, tmp_path / "m.crtkit")
    ck.save(model, tmp_path / "m.crtkit", trusted=["tests_own_estimator.Shift"])
    with pytest.raises(BundleError, match=r"tests_own_estimator\.Shift"):
        ck.load(tmp_path / "m.crtkit")
    loaded = ck.load(tmp_path / "m.crtkit", trusted=["tests_own_estimator.Shift"])
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


def test_nothing_is_written_where_saving_fails(tmp_path):
    model = LogisticRegression().fit(X, Y)
    model.hook = lambda: None
    with pytest.raises(BundleError, match="cannot be saved|does not trust"):
        ck.save(model, tmp_path / "m.crtkit")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_flipped_bytes_are_found(data, tmp_path_factory):
    """Wherever one byte of the file differs, loading refuses, or the model is the same."""
    path = tmp_path_factory.mktemp("flip") / "m.crtkit"
    ck.save(LogisticRegression().fit(X, Y), path)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw))
    try:
        loaded = ck.load(path)
    except (BundleError, FileNotFoundError):
        return
    np.testing.assert_array_equal(loaded.coef_, LogisticRegression().fit(X, Y).coef_)


def test_reading_does_not_change_the_file(bundle):
    before = bundle.read_bytes()
    ck.load(bundle)
    read_archive(bundle)
    assert bundle.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"conformal": {"alpha": 10**400, "thresholds": [0.5, 0.5], "shares": [SHARE]}},
        {"conformal": {"alpha": 0.1, "thresholds": 5, "shares": [SHARE]}},
        {"conformal": {"alpha": 0.1, "thresholds": [0.5, 0.5], "shares": [SHARE]}, "label": ONE},
    ],
)
def test_entries_of_another_kind_are_refused(bundle, change):
    tamper.edit_manifest(bundle, lambda manifest: manifest.update(change))
    with pytest.raises(BundleError, match="its manifest|of its manifest"):
        ck.load(bundle)


def test_damage_of_the_directory_is_refused_by_name(bundle):
    data = bundle.read_bytes()
    encrypted = bytearray(data)
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(mark)
        while place >= 0:
            encrypted[place + at] |= 1
            place = data.find(mark, place + 1)
    rng = np.random.default_rng(0)
    damaged = [bytes(encrypted)]
    for _ in range(300):
        other = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            other[rng.integers(data.find(b"PK\1\2"), len(data))] = rng.integers(256)
        damaged.append(bytes(other))
    for content in damaged:
        bundle.write_bytes(content)
        try:
            read_archive(bundle)
        except BundleError as error:
            assert str(bundle) in str(error)  # noqa: PT017 - most of them are damaged, not all
    bundle.write_bytes(damaged[0])
    with pytest.raises(BundleError, match="encrypted"):
        ck.load(bundle)


@pytest.mark.parametrize("loader", [["ObjectNode"], {"a": 1}, None, 7])
def test_a_loader_that_is_no_name_is_refused(bundle, loader):
    parts = members(bundle)
    parts["model.skops"] = edit_schema(
        parts["model.skops"], lambda schema: {**schema, "__loader__": loader}
    )
    rewrite(bundle, parts)
    with pytest.raises(BundleError, match="does not trust"):
        ck.load(bundle)


@pytest.mark.parametrize(
    "module", ["sklearn.tests.test_common", "sklearn.conftest", "crtkit.__main__"]
)
def test_no_test_or_script_is_imported_for_a_name(bundle, module):
    parts = members(bundle)
    parts["model.skops"] = edit_schema(
        parts["model.skops"], lambda schema: {**schema, "__module__": module}
    )
    rewrite(bundle, parts)
    before = set(sys.modules)
    with pytest.raises(BundleError, match="does not trust"):
        ck.load(bundle)
    assert module not in set(sys.modules) - before


def test_a_card_that_is_no_text_is_refused(bundle):
    parts = members(bundle)
    parts["card.md"] = b"\xff\xfe"
    rewrite(bundle, parts)
    for read in (ck.card, ck.load):
        with pytest.raises(BundleError, match="its card is not text"):
            read(bundle)
