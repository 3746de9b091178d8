"""ECGFMPretraining: its parts, interruptions, the pool, and the classifier above it."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort import Cohort
from crtkit.evaluation import PoolLeakError, check_pool
from crtkit.neural import ECGFMClassifier, ECGFMPretraining
from crtkit.neural.ecgfm import SIZES, ECGFMConfig, load_checkpoint
from crtkit.neural.ecgfm.pool import signal_fingerprints
from crtkit.neural.ecgfm.pretraining_network import (
    PretrainingLoss,
    PretrainingNetwork,
    random_span,
    used_length,
)
from crtkit.neural.pretraining import Checkpoint
from crtkit.signals import resample_leads
from crtkit.testing import parametrize_with_nd_checks

# One sample a token, because the checks send records of two to ten samples.
TOY = ECGFMConfig(
    conv_layers=((8, 1, 1),), dim=8, ffn_dim=16, n_heads=2, n_layers=1, pos_kernel=3, pos_groups=1
)
QUANTIZER = (2, 6, 4)
FORMS = {
    "published": {},
    "no quantizer": {"quantizer": False},
    "tokens alone": {"cmsc": False},
    "segments alone": {"contrastive": False},
    "all negatives": {"n_negatives": None, "lead_masking": 0.0},
    "augmented": {"augment": "light"},
    "projected": {"quantizer": False, "projector": 20},
}


def small(**params):
    defaults = {"size": "tiny", "quantizer": QUANTIZER, "fs": 100, "max_epochs": 2}
    return ECGFMPretraining(**{**defaults, "batch_size": 8, "random_state": 0, **params})


@parametrize_with_checks(
    [
        ECGFMPretraining(
            size=TOY,
            contrastive=False,
            normalize=False,
            precision="float64",
            max_epochs=2,
            random_state=0,
        )
    ]
)
def test_common_checks(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [
        (
            ECGFMPretraining(
                size=TOY, quantizer=QUANTIZER, max_epochs=1, precision="float64", random_state=0
            ),
            "signals",
        )
    ]
)
def test_nd_checks(estimator, check):
    check(estimator)


@pytest.fixture
def pool(make_signals):
    return make_signals(16, 12, 400)


def bits(model):
    state = model.module_.state_dict()
    return {name: value.numpy().tobytes() for name, value in state.items()}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_trains_all_that_it_keeps(pool, name):
    model = small(**FORMS[name], lr=1e-2)
    before = clone(model).set_params(lr=1e-12).fit(pool).module_.state_dict()
    after = model.fit(pool).module_.state_dict()
    assert len(model.loss_curve_) == 2
    assert np.isfinite(model.loss_curve_).all()
    # Softmax takes no notice of what all keys share.
    still = {k for k in before if torch.allclose(before[k], after[k], atol=1e-8, rtol=0)}
    assert {k for k in still if "k_proj.bias" not in k} <= {"n_updates"}
    without = ("no quantizer", "segments alone", "projected")
    assert ("backbone.quantizer.vars" in after) == (name not in without)


def test_the_loss_is_the_sum_of_its_parts(pool):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small()._make_module((12, 400)).train()
        output = network(torch.from_numpy(pool)).double()
    patients = torch.arange(16) // 2
    whole = PretrainingLoss((1.0, 0.1, 10.0), True, 0.1)(output, patients)
    contrast, diversity, penalty = output[:, :3].T
    alone = PretrainingLoss((0.0, 0.0, 0.0), True, 0.1)(output, patients)
    torch.testing.assert_close(whole, contrast + 0.1 * diversity + 10 * penalty + alone)
    assert diversity.unique().numel() == 1
    first, second = output[:, 3:].chunk(2, dim=1)
    assert first.shape == (16, 48)
    assert not torch.allclose(first, second)


def test_segments_are_contrasted_behind_the_projector(pool, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small(projector=20)._make_module((12, 400)).train()
        assert network(torch.from_numpy(pool)).shape == (16, 3 + 2 * 20)
        network.projector = torch.nn.Identity()
        assert network(torch.from_numpy(pool)).shape == (16, 3 + 2 * 48)
    # It serves the training alone: the embedding and the file are those of the backbone.
    model = small(projector=20).fit(pool)
    assert model.transform(pool).shape == (16, 96)
    model.save(tmp_path / "own.safetensors")
    read = load_checkpoint(tmp_path / "own.safetensors")[0]
    assert not [name for name in read.state_dict() if name.startswith("projector")]


def test_a_longer_training_tells_records_apart(make_signals):
    # Records of their own frequency: the halves of one are alike.
    t = np.arange(400) / 100
    f = 1 + np.arange(16)[:, None, None]
    X = np.sin(2 * np.pi * f * t + np.arange(12)[:, None]) + make_signals(16, 12, 400)
    curve = small(contrastive=False, lr=3e-3, max_epochs=30, lead_masking=0.0).fit(X).loss_curve_
    # 8 records a batch: ln 8 is chance, and every seed of ten ended below 0.75 of it.
    assert min(curve[-3:]) < 0.9 * np.log(8)


def test_segments_are_adjacent_and_leave_padding_out():
    x = torch.arange(1.0, 21).repeat(3, 2, 1)
    x[1, :, 12:] = 0
    length = used_length(x)
    assert length.tolist() == [20, 12, 20]
    span = random_span(x, length, 5, 2)
    assert span.shape == (3, 2, 10)
    assert (span > 0).all()
    assert (span.diff(dim=-1) == 1).all()  # one after another, nothing between
    assert random_span(x, length, 50, 2).shape[-1] == 12  # as long as the shortest has
    assert used_length(torch.zeros(1, 2, 7)).tolist() == [7]


# -- interruptions


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("schedule", [None, "warmup", "onecycle"])
def test_an_interrupted_fit_goes_on_to_the_same_bits(pool, tmp_path, monkeypatch, schedule):
    params = {"max_epochs": 4, "schedule": schedule, "lr": 1e-3}
    groups = np.arange(16) // 2
    expected = small(**params).fit(pool, groups=groups)
    write = Checkpoint.on_epoch_end

    def stop(self, net, **kwargs):
        write(self, net, **kwargs)
        if len(net.history) == 2:
            raise Interrupted

    monkeypatch.setattr(Checkpoint, "on_epoch_end", stop)
    with pytest.raises(Interrupted):
        small(**params, checkpoint_dir=tmp_path).fit(pool, groups=groups)
    monkeypatch.setattr(Checkpoint, "on_epoch_end", write)
    model = small(**params, checkpoint_dir=tmp_path).fit(pool, groups=groups)
    assert bits(model) == bits(expected)
    assert model.loss_curve_ == expected.loss_curve_
    # Other patients, other targets: another pretraining.
    small(**params, checkpoint_dir=tmp_path).fit(pool)
    assert len(list(tmp_path.iterdir())) == 2


def test_global_generators_are_left_alone(pool):
    before = torch.get_rng_state()
    small().fit(pool)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_fitted_one_pickles_without_the_pool(pool):
    model = small().fit(pool)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(pool), model.transform(pool))
    assert len(pickle.dumps(model)) < len(pickle.dumps(model.module_)) + 200_000


# -- the pool


def test_a_test_record_in_the_pool_is_refused(make_signals):
    X = make_signals(12, 12, 1000)
    model = small(max_epochs=1, size=TOY, quantizer=False).fit(X[:8], groups=np.arange(8))
    check_pool(model, X[8:], groups=np.arange(8, 12))
    leak = X[[9, 3, 10]]
    for test in (leak, leak * 2.5, leak.astype(np.float64), resample_leads(leak, 100, 250)):
        with pytest.raises(PoolLeakError, match="record 1: record 3 of the pool is"):
            check_pool(FrozenEstimator(model), test, groups=[20, 21, 22])
    with pytest.raises(PoolLeakError, match="of the same patient") as error:
        check_pool(model, X[8:], groups=[8, 9, 5, 11])
    assert error.value.leaks == [(2, "record 5", "same patient")]


def test_a_cohorts_signals_and_patients_are_compared(make_signals):
    import pandas as pd

    X = make_signals(6, 12, 500)
    model = small(max_epochs=1, size=TOY, quantizer=False).fit(X[:4], groups=list("abcd"))
    frame = pd.DataFrame({"signal": list(X[3:])})
    cohort = Cohort(X=frame, y=np.array([0, 1, 0]), groups=np.array(list("xyz")), info={})
    with pytest.raises(PoolLeakError, match="record 0: record 3"):
        check_pool(model, cohort)


def test_what_a_record_looks_like():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 12, 1000))
    looks = signal_fingerprints(X).perceptual.astype(float)
    correlation = np.corrcoef(looks)
    assert correlation[~np.eye(4, dtype=bool)].max() < 0.5
    flat = signal_fingerprints(np.zeros((2, 12, 1000))).perceptual
    assert (flat == flat[0, 0]).mean() > 0.99
    assert signal_fingerprints(X[:, 0, :3]).perceptual.shape == (4, 4096)
    # A lead that was off, at another gain: the rest of the record is what it is known by.
    X[:, 4] = 0.3
    np.testing.assert_array_equal(
        signal_fingerprints(1.7 * X).perceptual, signal_fingerprints(X).perceptual
    )


# -- checkpoints and classifiers


@pytest.mark.parametrize("quantizer", [QUANTIZER, False])
def test_the_classifier_starts_from_what_was_saved(pool, tmp_path, quantizer):
    y = np.arange(16) % 2
    config = replace(SIZES["tiny"], fs=50, normalize="record")
    model = small(size=config, quantizer=quantizer).fit(pool)
    model.save(tmp_path / "own.safetensors", card={"data": "noise"})
    module, card, kind = load_checkpoint(tmp_path / "own.safetensors")
    assert kind == "safetensors"
    assert card["data"] == "noise"
    assert card["n_records"] == 16
    assert card["parameters"]["fs"] == 100
    assert module.config == model.module_.backbone.config
    params = {"fs": 100, "max_epochs": 1, "trainable_layers": 0, "random_state": 0}
    read = ECGFMClassifier(checkpoint=tmp_path / "own.safetensors", **params).fit(pool, y)
    held = ECGFMClassifier(backbone=FrozenEstimator(model), **params).fit(pool, y)
    assert held.weights_loaded_["kind"] == "backbone"
    np.testing.assert_array_equal(read.predict_proba(pool), held.predict_proba(pool))
    # The same front: rate, normalisation and windows of the checkpoint.
    np.testing.assert_allclose(read.transform(pool), model.transform(pool), atol=1e-6)
    with pytest.raises(ValueError, match="writes .safetensors"):
        model.save(tmp_path / "own.pt")


def test_half_precision_halves_the_file(pool, tmp_path):
    model = small(max_epochs=1).fit(pool)
    model.save(tmp_path / "whole.safetensors").save(tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    whole, half = (load_checkpoint(tmp_path / f"{n}.safetensors")[0] for n in ("whole", "half"))
    for a, b in zip(whole.parameters(), half.parameters(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


def test_an_unfitted_backbone_is_pretrained_on_the_training_records(pool, monkeypatch):
    y, seen = np.arange(16) % 2, []
    fit = ECGFMPretraining.fit
    monkeypatch.setattr(
        ECGFMPretraining,
        "fit",
        lambda self, X, *a, **k: seen.append(len(X)) or fit(self, X, *a, **k),
    )
    backbone = small(random_state=None)
    model = ECGFMClassifier(backbone=backbone, fs=100, max_epochs=1, random_state=0)
    first = model.fit(pool[:10], y[:10]).predict_proba(pool)
    assert seen == [10]
    assert not hasattr(backbone, "net_")
    np.testing.assert_array_equal(model.fit(pool[:10], y[:10]).predict_proba(pool), first)
    # The start is left behind: what was fine-tuned is in module_ alone.
    assert not [
        name
        for name, value in vars(model).items()
        if isinstance(value, ECGFMPretraining) and value is not backbone
    ]


def test_pretraining_in_the_fold_knows_the_patients(pool, monkeypatch):
    seen, fit = [], ECGFMPretraining.fit

    def spy(self, X, y=None, groups=None):
        seen.append(groups)
        return fit(self, X, y, groups)

    monkeypatch.setattr(ECGFMPretraining, "fit", spy)
    y, groups = np.arange(16) % 2, np.arange(16) // 2
    weight = np.ones(16)
    weight[:2] = 0
    model = ECGFMClassifier(
        backbone=small(size=TOY, quantizer=False), fs=100, max_epochs=1, random_state=0
    )
    model.fit(pool, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(seen[0], groups[2:])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"contrastive": False, "cmsc": False}, "contrastive=True or cmsc=True"),
        ({"quantizer": (2, 320)}, "n_groups, n_entries, entry_dim"),
        ({"fs": 2500}, "too short"),
        ({"max_epochs": 0}, "max_epochs"),
    ],
)
def test_bad_parameters(pool, params, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(pool[..., :60])


def test_a_record_that_is_nearly_all_padding_is_named(pool):
    pool[11, :, 30:] = 0
    with pytest.raises(ValueError, match="record 11, 30 samples up to the zeros at its end"):
        small().fit(pool)
    # Three tokens of 16 samples and two segments: one token is seen, and two are told apart.
    pool[11, :, :96] = 1
    small(max_epochs=1).fit(pool)
    with pytest.raises(ValueError, match="3 tokens"):
        small(cmsc=False).fit(pool[..., :47])
    small(cmsc=False, max_epochs=1).fit(pool[..., :48])


def test_a_view_of_another_shape_is_refused(pool):
    with pytest.raises(ValueError, match="one view of every record"):
        small(augment=lambda x: x[..., :-1]).fit(pool)


def test_a_view_that_cannot_be_recognised_is_refused_where_it_would_be_kept(pool, tmp_path):
    with pytest.raises(ValueError, match="cannot be pickled. Define it at the top level"):
        small(augment=lambda x: x, checkpoint_dir=tmp_path).fit(pool)


@pytest.mark.parametrize("missing", [float("nan"), None])
def test_a_record_without_its_patient_is_refused(pool, missing):
    groups = np.array(["a"] * 8 + ["b"] * 7 + [missing], dtype=object)
    with pytest.raises(ValueError, match="ECGFMPretraining: 1 record.* first at row 15"):
        small().fit(pool, groups=groups)


def test_bad_backbones(pool):
    y = np.arange(16) % 2
    with pytest.raises(ValueError, match="backbone or checkpoint"):
        ECGFMClassifier(backbone=small(), checkpoint="a.pt").fit(pool, y)
    with pytest.raises(ValueError, match="got ECGFMClassifier"):
        ECGFMClassifier(backbone=ECGFMClassifier()).fit(pool, y)
    with pytest.raises(ValueError, match="fs=500.* same records with fs=100"):
        ECGFMClassifier(backbone=small()).fit(pool, y)


def test_published_size_has_the_published_keys():
    with torch.device("meta"):
        network = PretrainingNetwork(
            small(size="base", quantizer=True)._config(12),
            fs=500,
            segment=5.0,
            contrastive=True,
            cmsc=True,
            lead_masking=0.5,
            mask_probability=0.65,
            mask_span=10,
            n_negatives=100,
            temperature=0.1,
            quantizer_temperature=(2.0, 0.5, 0.999995),
            normalize=True,
        )
    assert sum(p.numel() for p in network.parameters()) == 90_883_072
