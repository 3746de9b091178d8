"""ECGFMClassifier: the checks, what is frozen and what is trained, windows, checkpoints."""

import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.neural import ECGFMClassifier
from crtkit.neural.dead_runs import is_dead, prior_entropy
from crtkit.neural.ecgfm import (
    ECGFM,
    SIZES,
    ECGFMConfig,
    checkpoint,
    checkpoint_hash,
    load_checkpoint,
    load_safetensors,
    save_safetensors,
)
from crtkit.neural.ecgfm.embedding import probe_head
from crtkit.testing import parametrize_with_nd_checks

DATA = Path(__file__).parents[2] / "data" / "ecg_fm"
# One sample a token, because the checks send records of two to ten samples.
TOY = ECGFMConfig(
    conv_layers=((8, 1, 1),),
    dim=8,
    ffn_dim=16,
    n_heads=2,
    n_layers=2,
    pos_kernel=3,
    pos_groups=1,
    activation_dropout=0.0,
)
TINY = {"size": "tiny", "lr": 1e-3, "batch_size": 8, "random_state": 0}
ACCURACY = "the first layer normalises each channel over time, and two samples leave only a sign"
EXPECTED = {"check_classifiers_train": ACCURACY}


@parametrize_with_checks(
    [
        ECGFMClassifier(
            size=TOY,
            normalize=False,
            precision="float64",
            lr=1e-2,
            max_epochs=5,
            random_state=0,
        )
    ],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_common_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [(ECGFMClassifier(**{**TINY, "fs": 10}, max_epochs=2, precision="float64"), "signals")]
)
def test_nd_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data(make_signals):
    X = make_signals(12, 4, 320)
    return X, np.arange(12) % 2


def _state(model, X, y):
    """Parameters before and after training, by name."""
    model = model.set_params(max_epochs=1, lr=1e-12)
    before = model.fit(X, y).module_.state_dict()
    after = model.set_params(lr=1e-2, max_epochs=2).fit(X, y).module_.state_dict()
    return before, after


@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_frozen_parts_stay_and_the_others_move(data, n_layers):
    X, y = data
    model = ECGFMClassifier(**TINY, trainable_layers=n_layers)
    before, after = _state(model, X, y)
    backbone = "backbone.encoder.layers"
    for name in before:
        changed = not torch.allclose(before[name], after[name], atol=1e-6, rtol=0)
        trained = name.startswith(("projection", "backbone.proj."))
        trained |= name.startswith(tuple(f"{backbone}.{i}." for i in range(2 - n_layers, 2)))
        trained |= n_layers == 2
        if not trained:
            # Frozen is bitwise: the two fits share a seed and differ in the learning rate only.
            assert torch.equal(before[name], after[name]), name
        elif "k_proj.bias" not in name:  # softmax takes no notice of what all keys share
            assert changed, name


def test_the_projection_learns_through_a_frozen_network(data):
    X, y = data
    model = ECGFMClassifier(**TINY, trainable_layers=0)
    before, after = _state(model, X, y)
    assert (before["projection.weight"] - after["projection.weight"]).abs().max() > 1e-3


def test_rates_by_part(data):
    model = ECGFMClassifier(**TINY, lr_head=0.5, lr_projection=0.25, lr_extractor=0.125)
    module = model._make_module(2, (4, 320))
    assert [group["lr"] for group in model._param_groups(module)] == [1e-3, 0.125, 0.25, 0.5]


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_windows_are_pooled_logits(data, pooling):
    X, y = data
    model = ECGFMClassifier(**TINY, fs=100, window=1.6, max_epochs=1, pooling=pooling)
    module = model.fit(X, y).module_
    x = torch.from_numpy(X)
    x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
    with torch.no_grad():
        halves = [module.backbone(module.projection(part))["logits"] for part in x.split(160, -1)]
        want = torch.stack(halves)
        want = want.mean(0) if pooling == "mean" else want.amax(0)
        torch.testing.assert_close(module(torch.from_numpy(X)), want, atol=1e-5, rtol=1e-5)


def test_a_constant_lead_is_a_missing_lead(data):
    X, y = data
    model = ECGFMClassifier(**TINY, max_epochs=1).fit(X, y)
    constant, zero = X.copy(), X.copy()
    for value in (3.0, 0.1, -0.37):
        constant[:, 1], zero[:, 1] = value, 0.0
        np.testing.assert_array_equal(model.predict_proba(constant), model.predict_proba(zero))
    assert np.isfinite(model.predict_proba(np.zeros_like(X))).all()


@pytest.mark.parametrize("name", ["pretrained", "finetuned"])
def test_fine_tunes_a_public_file(name, make_signals):
    X, y = make_signals(8, 12, 320), np.tile(["no", "yes"], 4)
    path = DATA / f"{name}.pt"
    model = ECGFMClassifier(checkpoint=path, trainable_layers=0, max_epochs=2, random_state=0)
    model.fit(X, y)
    assert model.weights_loaded_["kind"] == name
    assert model.weights_loaded_["file"] == path.name
    assert isinstance(model.module_.projection, torch.nn.Identity)
    assert model.module_.backbone.config.n_labels == 2
    published = load_checkpoint(path)[0].state_dict()
    trained = model.module_.backbone.state_dict()
    only_pretraining = ("mask_emb", "quantizer.", "project_q.", "final_proj.")
    for key, value in published.items():
        if key.startswith(only_pretraining):
            assert key not in trained
        elif not key.startswith("proj."):
            assert torch.equal(trained[key], value), key


@pytest.mark.parametrize("name", ["pretrained", "finetuned"])
@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_the_count_of_trained_parameters_is_what_the_optimiser_gets(name, n_layers, make_signals):
    X, y = make_signals(8, 4, 320), np.tile([0, 1], 4)
    model = ECGFMClassifier(
        checkpoint=DATA / f"{name}.pt", trainable_layers=n_layers, max_epochs=1, random_state=0
    ).fit(X, y)
    groups = model._param_groups(model.module_)
    assert model.n_trainable_ == sum(p.numel() for group in groups for p in group["params"])
    if n_layers == 0:  # a projection from 4 leads to 12, and a head of 48 to 2, with biases
        assert model.n_trainable_ == 4 * 12 + 12 + 48 * 2 + 2


@pytest.mark.parametrize(
    ("fs", "n_samples", "message"),
    [(100, 1000, r"Resampler\(fs_in=100, fs_out=500\)"), (500, 1000, "records of 2 s.*fs=500 the")],
)
def test_a_wrong_rate_is_warned_of_with_public_weights(fs, n_samples, message, make_signals):
    X, y = make_signals(4, 12, n_samples), [0, 1, 0, 1]
    model = ECGFMClassifier(checkpoint=DATA / "pretrained.pt", fs=fs, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match=message):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(fs=500).fit(make_signals(4, 12, 2500), y)
        ECGFMClassifier(**TINY, fs=100, max_epochs=1).fit(X, y)


def test_a_safetensors_file_starts_a_model(tmp_path, data):
    X, y = data
    module = load_checkpoint(DATA / "finetuned.pt")[0]
    save_safetensors(module, tmp_path / "mine.safetensors", {})
    model = ECGFMClassifier(checkpoint=tmp_path / "mine.safetensors", max_epochs=1, random_state=0)
    assert model.fit(X, y).weights_loaded_["kind"] == "safetensors"
    assert model.module_.projection.weight.shape == (12, 4, 1)


def test_a_checkpoint_is_read_once_for_many_fits(tmp_path, data, monkeypatch):
    X, y = data
    path = tmp_path / "mine.safetensors"
    save_safetensors(load_checkpoint(DATA / "finetuned.pt")[0], path, {})
    read = []
    monkeypatch.setattr(
        checkpoint, "load_safetensors", lambda p: read.append(p) or load_safetensors(p)
    )
    model = ECGFMClassifier(checkpoint=path, max_epochs=1, lr=1e-2, random_state=0)
    first = model.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), first)  # not trained on
    assert len(read) == 1
    save_safetensors(load_checkpoint(DATA / "pretrained.pt")[0], path, {"another": "network"})
    assert not np.array_equal(model.fit(X, y).predict_proba(X), first)
    assert model.weights_loaded_["sha256"] == checkpoint_hash(path)


def test_a_checkpoint_is_known_by_its_content(tmp_path):
    copy = tmp_path / "copy.pt"
    copy.write_bytes((DATA / "finetuned.pt").read_bytes())
    assert checkpoint_hash(copy) == checkpoint_hash(DATA / "finetuned.pt")
    assert checkpoint_hash(copy) != checkpoint_hash(DATA / "pretrained.pt")
    with pytest.raises(FileNotFoundError, match="downloaded by hand"):
        checkpoint_hash(tmp_path / "gone.pt")


def test_search_over_what_is_trained(data):
    X, y = data
    model = ECGFMClassifier(**TINY, max_epochs=2)
    search = GridSearchCV(model, {"trainable_layers": [0, 1, 2]}, cv=GroupKFold(2))
    search.fit(X, y, groups=np.arange(12) // 2)
    counts = [
        model.set_params(trainable_layers=n, max_epochs=1).fit(X, y).n_trainable_ for n in (0, 1, 2)
    ]
    assert counts == sorted(set(counts))
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))


def test_learns_a_rhythm():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 16)
    t = np.arange(500) / 100
    X = rng.normal(size=(32, 4, 500)) + 2 * np.sin(2 * np.pi * (1 + 4 * y)[:, None, None] * t)
    model = ECGFMClassifier(**TINY, fs=100, max_epochs=15).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) >= 0.9
    assert model.transform(X).shape == (32, 2 * SIZES["tiny"].dim)


@pytest.mark.parametrize(
    ("parameters", "shape", "message"),
    [
        ({}, (4, 12, 15), "at least 16 samples per window, got 15"),
        ({"window": 0.02}, (4, 12, 320), "at least 16 samples per window, got 10"),
        ({"window": 1e-4}, (4, 12, 320), "at least 16 samples per window, got 0"),
        ({"augment": lambda x: x[:2]}, (4, 12, 320), "one view of every record"),
        ({"projection": False}, (4, 4, 320), "expects 12 leads, got 4"),
        ({"checkpoint": "absent.pt"}, (4, 12, 320), "absent.pt does not exist"),
        ({"size": "huge"}, (4, 12, 320), "'size' parameter"),
        ({"trainable_layers": 13}, (4, 12, 320), "trainable_layers=13, but the network has 2"),
    ],
)
def test_bad_input(parameters, shape, message):
    X = np.random.default_rng(0).normal(size=shape)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ECGFMClassifier(**{**TINY, "max_epochs": 1, **parameters}).fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalize": "leads"}, "normalize must be 'lead' or 'record', got 'leads'"),
        ({"fs": 0}, "fs must be a positive rate"),
        ({"fs": float("nan")}, "fs must be a positive rate"),
    ],
)
def test_a_size_says_what_it_does_with_records(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SIZES["small"], **change)


def test_sizes_must_divide():
    with pytest.raises(ValueError, match="multiple of n_heads"):
        ECGFMClassifier(size=replace(TOY, n_heads=3), max_epochs=1).fit(np.eye(4), [0, 1, 0, 1])


# -- what a head starts from, and what embeddings there are


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_probed_head_answers_as_the_regression(n_classes):
    rng = np.random.default_rng(0)
    E, y = rng.normal(3.0, 5.0, size=(60, 4)), np.arange(60) % n_classes
    E[:, 0] += 4 * y
    weight = rng.uniform(0.5, 2.0, size=60)
    head = torch.nn.Linear(4, n_classes, dtype=torch.float64)
    assert probe_head(head, E, y, weight, C=0.1)
    scaler = StandardScaler().fit(E, sample_weight=weight)
    model = LogisticRegression(C=0.1, max_iter=1000)
    model.fit(scaler.transform(E), y, sample_weight=weight)
    with torch.no_grad():
        found = head(torch.from_numpy(E)).softmax(1).numpy()
    np.testing.assert_allclose(found, model.predict_proba(scaler.transform(E)), atol=1e-9)


def test_a_head_is_left_alone_where_a_class_is_missing():
    head = torch.nn.Linear(2, 3)
    before = head.weight.clone()
    assert not probe_head(head, np.eye(4, 2), np.array([0, 1, 0, 1]))
    assert torch.equal(head.weight, before)


def test_weights_give_a_linear_probe_before_any_training(tmp_path):
    X, y = _two_rhythms(40)
    path = tmp_path / "start.safetensors"
    save_safetensors(ECGFM(SIZES["tiny"]), path, {"data": "none"})
    still = {
        **TINY,
        "embedding": "last",
        "lr": 1e-12,
        "max_epochs": 1,
        "trainable_layers": 0,
        "fs": 100,
    }
    model = ECGFMClassifier(**still, checkpoint=path).fit(X[:20], y[:20])
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    E = model.transform(X)
    expected.fit(E[:20], y[:20])
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(E), atol=2e-3)
    random = ECGFMClassifier(**still, checkpoint=path, head_start="random").fit(X[:20], y[:20])
    assert not np.allclose(random.predict_proba(X), model.predict_proba(X), atol=0.02)


def test_embeddings_of_all_layers_end_with_the_last(data):
    X, y = data
    model = ECGFMClassifier(**TINY, max_epochs=1).fit(X, y)
    every = model.transform(X)
    last = model.set_params(embedding="last").transform(X)
    assert every.shape == (12, 2 * last.shape[1])
    assert model.get_feature_names_out().shape == (last.shape[1],)
    np.testing.assert_allclose(every[:, last.shape[1] :], last, atol=1e-6)
    # The stages of the network itself, pooled by hand.
    with torch.inference_mode():
        first = model.module_.backbone(model.module_.projection(_z(X)), stages=True)["layer0"]
    np.testing.assert_allclose(every[:, : last.shape[1]], first.mean(1), atol=1e-5)


def _z(X):
    x = torch.from_numpy(X).float()
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)


# -- training that works by default


def _two_rhythms(n, n_samples=500, noise=1.0):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    t = np.arange(n_samples) / 100
    wave = np.sin(2 * np.pi * (1 + 3 * y)[:, None, None] * t + rng.uniform(0, 6, (n, 12, 1)))
    return (wave + noise * rng.normal(size=(n, 12, n_samples))).astype(np.float32), y


def test_a_run_that_learns_nothing_is_said(data):
    X, y = data
    dead = ECGFMClassifier(**{**TINY, "lr": 1e-12}, max_epochs=8)
    with pytest.warns(UserWarning, match="learned nothing: after 8 epochs"):
        dead.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ECGFMClassifier(**{**TINY, "lr": 1e-12}, max_epochs=3).fit(X, y)  # too short to tell
        X, y = _two_rhythms(32, noise=0.3)
        model = ECGFMClassifier(**{**TINY, "lr": 3e-3}, fs=100, max_epochs=15).fit(X, y)
    assert model.history_[-1]["train_loss"] < 0.5


@pytest.mark.parametrize(
    ("losses", "max_epochs", "dead"),
    [
        ([0.7, 0.69] + [0.693] * 18, 20, True),  # the warm-up's own epochs do not count
        ([0.7, 0.3] + [0.693] * 18, 20, True),
        ([0.7] * 10 + [0.68] + [0.7] * 9, 20, False),
        ([0.7] * 6, 60, False),  # stopped before the warm-up was over
    ],
)
def test_what_counts_as_dead(losses, max_epochs, dead):
    assert is_dead(losses, np.log(2), max_epochs) is dead


def test_chance_is_that_of_the_weighted_classes():
    target, weight = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 3.0])
    assert prior_entropy(target, weight) == pytest.approx(np.log(2))
    assert prior_entropy(target, np.ones(4)) == pytest.approx(
        -np.log(0.75) * 0.75 - np.log(0.25) / 4
    )


def test_public_files_are_not_resampled_and_ours_are(data):
    X, y = data
    own = replace(SIZES["tiny"], fs=50)
    model = ECGFMClassifier(**{**TINY, "size": own}, fs=100, max_epochs=1).fit(X, y)
    assert model.module_.resample(torch.from_numpy(X)).shape[-1] == 160
    model = ECGFMClassifier(**TINY, fs=100, max_epochs=1).fit(X, y)
    assert model.module_.resample(torch.from_numpy(X)).shape[-1] == 320
