"""More tampered bundles: every hash right, and what compiled code would have believed."""

import importlib.util
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

import crtkit as ck
from crtkit.persistence import BundleError
from crtkit.persistence.archive import FORMAT, MANIFEST

_SPEC = importlib.util.spec_from_file_location("tamper", Path(__file__).parent / "tamper.py")
tamper = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tamper)

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) // 10
RNG = np.random.default_rng(0)
BOOSTED = np.c_[RNG.normal(size=(80, 2)), RNG.integers(0, 6, 80)]


def saved(model, path, **options):
    ck.save(model, path, **options)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.crtkit"


@pytest.fixture
def bundle(path):
    table = pd.DataFrame({"age": np.linspace(40, 80, 20), "lvef": np.linspace(20, 35, 20)})
    model = make_pipeline(ck.Select(["age", "lvef"]), LogisticRegression()).fit(table, Y)
    return saved(model, path, cohort=ck.Cohort(table, Y, np.arange(20)))


def boosted(path, change, n_classes=2, **options):
    """A bundle of LightGBM whose text was changed, with sizes of trees that fit again."""
    # The outcome hangs on the category, so that the first split is one of categories.
    y = BOOSTED[:, 2].astype(int) % n_classes
    model = LGBMClassifier(
        n_estimators=2, min_child_samples=2, min_data_per_group=1, cat_smooth=1, num_leaves=4
    )
    saved(model.set_params(verbosity=-1, **options).fit(BOOSTED, y, categorical_feature=[2]), path)
    parts = tamper.members(path)
    text = parts["booster-0.txt"].decode()
    assert ck.load(path).n_classes_ == n_classes
    changed = change(text)
    assert changed != text
    head, *trees = changed.split("\nend of trees")[0].split("\nTree=")
    if "tree_sizes" not in change.__name__:
        sizes = " ".join(str(len(f"Tree={tree}") + 1) for tree in trees)
        lines = [
            f"tree_sizes={sizes}" if line[:10] == "tree_sizes" else line
            for line in head.split("\n")
        ]
        changed = changed.replace(head, "\n".join(lines), 1)
    parts["booster-0.txt"] = changed.encode()
    return tamper.rewrite(path, parts)


def line(key, new):
    """Replace the value of the first line of a key."""

    def change(text):
        before, _, after = text.partition(f"\n{key}=")
        return f"{before}\n{key}={new}\n{after.partition(chr(10))[2]}"

    change.__name__ = f"change_{key}"
    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (line("tree_sizes", "100000000 5"), "tree_sizes"),
        (line("tree_sizes", "-100 5"), "tree_sizes"),
        (line("num_tree_per_iteration", "100000"), "num_tree_per_iteration"),
        (line("num_class", "100000"), "num_class"),
        (line("max_feature_idx", "99"), "feature_names"),
        (line("objective", "multiclass num_class:50"), "objective"),
        (line("threshold", "1 1 1 1 1 1 1"), "threshold has 7 entries"),
        (line("decision_type", "1 1 1 1 1 1 1"), "decision_type has 7 entries"),
        (line("leaf_value", "0 1 2 3 4 5 6"), "leaf_value has 7 entries"),
        (line("num_leaves", "1_0"), "num_leaves is absent or no integer"),
        (line("num_leaves", "5\nnum_leaves=4"), "num_leaves occurs twice"),
        (line("is_linear", "1\nleaf_const=0 0 0 0\nnum_features=1 0 0 0"), "linear model"),
        (line("shrinkage", "1\r\nnum_leaves=999"), "control characters"),
        (line("cat_boundaries", "0 99999"), "cat_boundaries"),
        (line("num_cat", "0"), "num_cat|cat_boundaries"),
    ],
)
def test_boosters_that_announce_what_is_not_there(change, words, path):
    """Each of these makes LightGBM's parser crash, or read or write memory that is not its own."""
    with pytest.raises(BundleError, match=rf"booster-0\.txt.*({words})"):
        ck.load(boosted(path, change))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"linear_tree": True},
        {"boosting_type": "dart"},
        {"objective": "multiclassova", "n_classes": 3},
        {"n_classes": 3},
        {"min_child_samples": 500},
        {"max_cat_to_onehot": 1, "extra_trees": True},
    ],
)
def test_boosters_of_every_kind_are_still_read(options, path):
    options = dict(options)
    y = BOOSTED[:, 2].astype(int) % options.pop("n_classes", 2)
    model = LGBMClassifier(n_estimators=4, verbosity=-1, min_data_per_group=1, n_jobs=1)
    model.set_params(**options).fit(BOOSTED, y, categorical_feature=[2])
    loaded = ck.load(saved(model, path))
    np.testing.assert_array_equal(loaded.predict_proba(BOOSTED), model.predict_proba(BOOSTED))


def test_names_of_columns_may_have_umlauts(path):
    table = pd.DataFrame(BOOSTED, columns=["Größe", "a=b", "c d"])
    model = LGBMClassifier(n_estimators=2, verbosity=-1).fit(table, BOOSTED[:, 2] > 2)
    loaded = ck.load(saved(model, path))
    np.testing.assert_array_equal(loaded.predict_proba(table), model.predict_proba(table))


def _wide_tree():
    model = DecisionTreeClassifier().fit(np.random.default_rng(0).normal(size=(20, 5000)), Y)
    model.n_features_in_ = 2
    return model


def _wide_forest():
    model = RandomForestClassifier(n_estimators=2).fit(
        np.random.default_rng(0).normal(size=(20, 5000)), Y
    )
    model.n_features_in_ = 2
    return model


def _wide_isolation():
    model = IsolationForest(n_estimators=2, max_features=2).fit(X)
    model.estimators_features_ = [features[:1] for features in model.estimators_features_]
    return model


def _stages():
    model = GradientBoostingClassifier(n_estimators=2).fit(X, Y)
    model.estimators_ = np.hstack([model.estimators_] * 50)
    return model


def _categories():
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(X, Y)
    nodes = model._predictors[0][0].nodes
    nodes["is_categorical"][0], nodes["bitset_idx"] = 1, 10**8
    return model


def _vectors():
    model = SVC().fit(X, Y)
    model._dual_coef_ = model._dual_coef_[:, :1]
    return model


def _kernels():
    pytest.importorskip("numba")
    S = np.random.default_rng(0).normal(size=(8, 2, 40)).astype(np.float32)
    model = ck.signals.MiniRocketFeatures(n_kernels=84, random_state=0).fit(S)
    channels, indices, *rest = model.rocket_.parameters
    model.rocket_.parameters = (channels + np.int32(10**6), indices, *rest)
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_wide_tree, "DecisionTreeClassifier reads more features"),
        (_wide_forest, "RandomForestClassifier reads more features"),
        (_wide_isolation, "IsolationForest reads more features"),
        (_stages, "stages"),
        (_categories, "categories that it does not have"),
        (_vectors, "other vectors than it says"),
        (_kernels, "Random kernels"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_arrays_that_compiled_code_would_follow(make, words, path):
    with pytest.raises(BundleError, match=words):
        ck.load(saved(make(), path))


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(n_estimators=3, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, random_state=0),
        SVC(probability=True, random_state=0),
        SVC(kernel="linear"),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_whole_models_are_still_read(model, n_classes, path):
    y = np.arange(60) % n_classes
    X = np.random.default_rng(0).normal(size=(60, 4)) + y[:, None]
    model = model.fit(X, y)
    np.testing.assert_array_equal(ck.load(saved(model, path)).predict(X), model.predict(X))


def test_one_class_machines_and_isolation_forests_are_still_read(path):
    for model in (OneClassSVM(), IsolationForest(n_estimators=3, max_features=1, random_state=0)):
        fitted = model.fit(X)
        np.testing.assert_array_equal(ck.load(saved(fitted, path)).predict(X), fitted.predict(X))


def test_a_tree_that_is_told_of_more_outputs(path):
    """Its constructor would read as many class counts beyond the array."""
    saved(DecisionTreeClassifier().fit(X, Y), path)
    parts = tamper.members(path)

    def plant(schema):
        tree = schema["content"]["content"]["tree_"]
        tree["__reduce__"]["args"]["content"][2] = {
            **tree["__reduce__"]["args"]["content"][2],
            "content": "50000000",
            "__id__": 1,
        }
        return schema

    parts["model.skops"] = tamper.edit_schema(parts["model.skops"], plant)
    with pytest.raises(BundleError, match="other outputs than it says"):
        ck.load(tamper.rewrite(path, parts))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        (("label", "threshold"), "0.9"),
        (("label", "threshold"), True),
        (("label", "positive"), 7),
        (("label", "classes"), {"0": "no"}),
        (("contract", "columns"), "age"),
        (("contract", "fs"), [0]),
        (("contract", "shape"), [-1, 5000]),
        (("contract", None), []),
        (("training", "columns"), {"age": {"kind": "number", "low": "x", "high": 3}}),
        (("training", "words"), {"0": ["no"]}),
        (("conformal", None), {"alpha": 0.1, "thresholds": [0.1], "shares": []}),
        (("conformal", None), {"alpha": 0.1, "thresholds": [0.1, 0.2], "shares": [{"above": 2}]}),
        (("versions", None), ["1.0"]),
        (("steps", None), None),
        (("notes", None), {"a": 1}),
    ],
)
def test_a_manifest_of_another_form_is_refused_by_the_entry(bundle, entry, value):
    def change(manifest):
        outer, key = entry
        if key is None:
            manifest[outer] = value
        else:
            manifest[outer][key] = value

    tamper.edit_manifest(bundle, change)
    with pytest.raises(BundleError, match=rf"model\.crtkit: {entry[0]}"):
        ck.load(bundle)
    with pytest.raises(BundleError, match=rf"model\.crtkit: {entry[0]}"):
        ck.predict(bundle, pd.DataFrame({"age": [60.0], "lvef": [25.0]}))


@pytest.mark.parametrize("threshold", ["NaN", "Infinity", "1e999"])
def test_numbers_that_json_does_not_have(bundle, threshold):
    tamper.replace_text(bundle, '"threshold": 0.5', f'"threshold": {threshold}')
    with pytest.raises(BundleError, match=r"model\.crtkit is not a crtkit bundle: its manifest"):
        ck.load(bundle)


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"a":' * 50_000, "[" * 900 + "]" * 900])
def test_a_manifest_without_a_bottom(bundle, nested):
    tamper.replace_text(bundle, '"notes": null', f'"notes": {nested}')
    with pytest.raises(BundleError, match=r"model\.crtkit"):
        ck.load(bundle)


def test_a_huge_manifest(bundle):
    parts = tamper.members(bundle)
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in {**parts, MANIFEST: b" " * (65 * 2**20) + parts[MANIFEST]}.items():
            archive.writestr(name, data)
    with pytest.raises(BundleError, match="bytes"):
        ck.load(bundle)


def test_a_schema_without_a_bottom(bundle):
    parts = tamper.members(bundle)
    node = {"__class__": "int", "__module__": "builtins", "__loader__": "JsonNode"}

    def plant(schema):
        deep = dict(node, content="1")
        for _ in range(400):
            deep = {
                "__class__": "list",
                "__module__": "builtins",
                "__loader__": "ListNode",
                "content": [deep],
            }
        schema["content"]["content"]["C"] = deep
        return schema

    parts["model.skops"] = tamper.edit_schema(parts["model.skops"], plant)
    with pytest.raises(BundleError, match=r"model\.crtkit"):
        ck.load(tamper.rewrite(bundle, parts))


def test_members_that_share_their_bytes(path):
    """A thousand members of one megabyte in a file of one: each would be read by itself."""
    data = bytes(2**20)
    crc, entries = zlib.crc32(data), []
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, crc, len(data), len(data), 1, 0)
    body = local + b"m" + data
    for i in range(1000):
        name = b"m" if i == 0 else f"m{i}".encode()
        entries.append(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\x01\x02",
                20,
                20,
                0,
                0,
                0,
                0,
                crc,
                len(data),
                len(data),
                len(name),
                0,
                0,
                0,
                0,
                0,
                0,
            )
            + name
        )
    central = b"".join(entries)
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(central), len(body), 0
    )
    path.write_bytes(body + central + end)
    with pytest.raises(BundleError, match="more bytes than the file has"):
        ck.load(path)


def test_two_members_of_one_name_and_parts_that_no_bundle_has(bundle):
    parts = tamper.members(bundle)
    with pytest.raises(BundleError, match=r"parts that no bundle has: \['run\.sh'\]"):
        ck.load(tamper.rewrite(bundle, {**parts, "run.sh": b"touch marker"}))
    tamper.rewrite(bundle, parts)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("card.md", b"Approved for clinical use.")
    with pytest.raises(BundleError, match="two of one name"):
        ck.card(bundle)


def test_a_link_is_a_part_like_others_and_leads_nowhere(bundle, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("of this machine")
    parts = tamper.members(bundle)
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name)
            if name == "card.md":
                info.external_attr, data = 0o120777 << 16, str(secret).encode()
            archive.writestr(info, data)
    with pytest.raises(BundleError, match=r"card\.md"):
        ck.card(bundle)


@pytest.mark.parametrize("attribute", ["memory", "cache_dir"])
def test_a_folder_that_the_model_would_write_to(attribute, bundle, tmp_path):
    """A cache in a folder of the sender's choice: written at the first answer, read as pickle."""
    import skops.io

    folder = tmp_path / "owned"
    model = make_pipeline(StandardScaler(), LogisticRegression(), memory=str(folder)).fit(X, Y)
    if attribute == "cache_dir":
        model = ck.JPEGLoader(size=(8, 8), cache_dir=str(folder))
    parts = {**tamper.members(bundle), "model.skops": skops.io.dumps(model)}
    folder.rename(tmp_path / "elsewhere") if folder.exists() else None
    with pytest.raises(BundleError, match=rf"{attribute} names a folder to write to"):
        ck.load(tamper.rewrite(bundle, parts))
    assert not folder.exists()


def test_an_array_under_another_name_is_looked_at(bundle):
    """A reference to a member that does not end in .npy, with a header of eight terabytes."""
    parts = tamper.members(bundle)
    big = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(big, header)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "schema.json":
                data = data.replace(b".npy", b".bin")
            name = info.filename.replace(".npy", ".bin")
            new.writestr(name, big.getvalue() if name.endswith(".bin") else data)
    with pytest.raises(BundleError, match="announces"):
        ck.load(tamper.rewrite(bundle, {**parts, "model.skops": out.getvalue()}))


def test_words_that_a_terminal_would_obey_are_printed_harmless(bundle):
    """The sender's card clears no screen and sets no title."""
    parts = tamper.members(bundle)
    parts["card.md"] += b"\x1b]0;owned\x07\x1b[2J"
    tamper.rewrite(bundle, parts)
    command = [sys.executable, "-m", "crtkit", "card", str(bundle)]
    root = str(Path(ck.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, check=True, cwd=root)
    assert b"owned" in done.stdout
    assert b"\x1b" not in done.stdout
    assert b"\x07" not in done.stdout


def test_the_manifest_is_checked_against_what_save_writes(bundle):
    """Every bundle of the round trip passes; one of another format is not ours."""
    assert json.loads(tamper.members(bundle)[MANIFEST])["format"] == FORMAT
    assert ck.load(bundle).n_features_in_ == 2
