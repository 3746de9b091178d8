"""SimCLR: its loss, pools of arrays and of files, interruptions, and the classifier above it."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.evaluation import PoolLeakError, check_pool
from crtkit.neural import ResNetClassifier, SimCLR, nt_xent_loss
from crtkit.neural.pretraining import Checkpoint
from crtkit.testing import parametrize_with_nd_checks

DATA = Path(__file__).parents[1] / "data" / "ntxent"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
ARRAYS = np.load(DATA / "arrays.npz")


def small(**params):
    defaults = {"width": 8, "max_epochs": 2, "batch_size": 8, "random_state": 0}
    return SimCLR(**{**defaults, "projection_dim": 16, **params})


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pool():
    """20 pages with a dark line at a height of their own."""
    rng = np.random.default_rng(0)
    X = rng.integers(200, 256, (20, 24, 32, 3), dtype=np.uint8)
    for i in range(20):
        X[i, 2 + i] = 0
    return X


@pytest.fixture
def files(pool, tmp_path):
    paths = [str(tmp_path / f"page{i}.png") for i in range(len(pool))]
    for path, page in zip(paths, pool):
        Image.fromarray(page).save(path)
    return np.array(paths, dtype=object)


def bits(model):
    return {k: v.clone() for k, v in model.module_.state_dict().items()}


def same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


@parametrize_with_checks([small(max_epochs=1, batch_size=64, precision="float64")])
def test_sklearn(estimator, check):
    check(estimator)


@parametrize_with_nd_checks([(small(), "images")])
def test_nd(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [(ResNetClassifier(width=8, max_epochs=2, random_state=0, backbone=small()), "images")]
)
def test_nd_above_simclr(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        ResNetClassifier(
            width=8,
            max_epochs=10,
            lr=1e-2,
            precision="float64",
            random_state=0,
            backbone=small(max_epochs=1, batch_size=64, precision="float64"),
        )
    ],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": (
            "BatchNorm's statistics count records and cannot see their weights"
        )
    },
)
def test_sklearn_above_simclr(estimator, check):
    check(estimator)


# -- the loss


@pytest.mark.parametrize(
    "case", EXPECTED["cases"], ids=lambda c: f"{c['batch']}-{c['temperature']}"
)
def test_the_loss_is_the_references(case):
    n, temperature = case["batch"], case["temperature"]
    z = [torch.from_numpy(ARRAYS[f"z{i}_b{n}"]).requires_grad_() for i in (0, 1)]
    loss = nt_xent_loss(*z, temperature)
    loss.backward()
    assert abs(loss.item() - case["loss"]) < 1e-10
    for i in (0, 1):
        expected = ARRAYS[f"grad{i}_b{n}_t{temperature}"]
        np.testing.assert_allclose(z[i].grad.numpy(), expected, atol=1e-9, rtol=0)
    low = nt_xent_loss(*(x.detach().float() for x in z), temperature)
    assert low.item() == pytest.approx(case["loss_float32"], rel=1e-5)
    each = nt_xent_loss(*z, temperature, reduction="none")
    assert each.shape == (n,)
    assert each.mean().item() == pytest.approx(case["loss"], rel=1e-12)


def test_the_loss_stays_float32_in_autocast():
    z = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nt_xent_loss(z, z.flip(0)), nt_xent_loss(z.clone(), z.flip(0)))
        assert nt_xent_loss(z.bfloat16(), z.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(("a", "b"), [((1, 4), (1, 4)), ((3, 4), (2, 4)), ((4,), (4,))])
def test_the_loss_names_wrong_shapes(a, b):
    with pytest.raises(ValueError, match="at least 2 records"):
        nt_xent_loss(torch.ones(a), torch.ones(b))


# -- pretraining


class Still(BaseEstimator):
    """An augmentation of a little noise."""

    def __call__(self, batch):
        return batch + 0.01 * torch.randn_like(batch)


def test_the_loss_falls_and_pages_are_told_apart(pool):
    model = small(augment=Still(), max_epochs=8, batch_size=20, lr=3e-3, schedule=None).fit(pool)
    assert len(model.loss_curve_) == 8
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]  # 0.03 to 0.12 over six seeds
    assert model.loss_curve_ == [row["train_loss"] for row in model.history_]


def test_global_generators_are_left_alone(pool):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    small(max_epochs=1).fit(pool)
    assert torch.equal(torch.rand(1), expected)


def test_files_give_the_bits_of_arrays(pool, files):
    from_arrays = small().fit(pool)
    from_files = small(size=(24, 32)).fit(files)
    assert same(bits(from_arrays), bits(from_files))
    np.testing.assert_array_equal(from_files.transform(files), from_arrays.transform(pool))
    np.testing.assert_array_equal(from_files.transform(pool), from_arrays.transform(pool))
    assert from_files.pool_hashes_.exact.tolist() == from_arrays.pool_hashes_.exact.tolist()
    assert from_files.pool_hashes_.name(0) == files[0]


@pytest.fixture
def damaged(files):
    Path(files[3]).write_bytes(Path(files[3]).read_bytes()[:60])
    Path(files[7]).unlink()
    return files


def test_files_that_cannot_be_read_are_all_named(damaged):
    with pytest.raises(ValueError, match=r"2 of 20 files(.|\n)*page3\.png(.|\n)*page7\.png"):
        small(size=(24, 32)).fit(damaged)


def test_they_are_left_out_when_asked(damaged, pool):
    groups = np.arange(20)
    model = small(size=(24, 32), on_error="skip")
    with pytest.warns(UserWarning, match="leaves out 2 files"):
        model.fit(damaged, groups=groups)
    kept = np.delete(groups, [3, 7])
    assert sorted(model.skipped_) == [damaged[3], damaged[7]]
    assert model.pool_groups_.tolist() == kept.tolist()
    assert same(bits(model), bits(small().fit(pool[kept])))
    with pytest.raises(ValueError, match=r"page3\.png"):
        model.transform(damaged[:5])


# -- interruptions


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("schedule", [None, "cosine", "onecycle"])
def test_an_interrupted_fit_goes_on_to_the_same_bits(pool, tmp_path, monkeypatch, schedule):
    params = {"max_epochs": 4, "schedule": schedule, "lr": 1e-2}
    expected = small(**params).fit(pool)
    write = Checkpoint.on_epoch_end

    def stop(self, net, **kwargs):
        write(self, net, **kwargs)
        if len(net.history) == 2:
            raise Interrupted

    monkeypatch.setattr(Checkpoint, "on_epoch_end", stop)
    with pytest.raises(Interrupted):
        small(**params, checkpoint_dir=tmp_path).fit(pool)
    monkeypatch.setattr(Checkpoint, "on_epoch_end", write)
    model = small(**params, checkpoint_dir=tmp_path, verbose=1).fit(pool)
    assert same(bits(model), bits(expected))
    assert model.loss_curve_ == expected.loss_curve_
    assert [path.suffix for path in tmp_path.iterdir()] == [".pt"]
    again = small(**params, checkpoint_dir=tmp_path).fit(pool)
    assert same(bits(again), bits(expected))


def test_other_pages_or_parameters_have_checkpoints_of_their_own(pool, tmp_path):
    for changed in ({}, {"temperature": 0.5}, {"random_state": 1}):
        small(checkpoint_dir=tmp_path, max_epochs=1, **changed).fit(pool)
    small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool[:10])
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_checkpoint_is_named(pool, tmp_path):
    small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool)
    file = next(tmp_path.iterdir())
    file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=file.name):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool)


def test_a_checkpoint_of_another_layout_is_named(pool, tmp_path):
    import torch

    small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool)
    (path,) = tmp_path.glob("*.pt")
    state = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in state.items() if k != "generators"}, path)
    with pytest.raises(ValueError, match=r"lacks generators.*delete the file"):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool)
    torch.save({**state, "generators": 2 * state["generators"]}, path)
    with pytest.raises(ValueError, match="of 2 processes and there are 1 now"):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(pool)


# -- bad input


@pytest.mark.parametrize(
    ("n", "params", "message"),
    [
        (1, {}, "at least 2 images"),
        (20, {"batch_size": 1}, "batch_size"),
        (20, {"temperature": 0}, "temperature"),
        (20, {"weights": "imagenet"}, "width=64"),
    ],
)
def test_bad_input(pool, n, params, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(pool[:n])


def test_a_grey_channel_is_refused(pool):
    with pytest.raises(ValueError, match="3 channels"):
        small().fit(pool[..., :1])


class Broken(BaseEstimator):
    def __call__(self, batch):
        return batch * torch.nan


def test_a_loss_that_is_not_finite_stops_with_step_and_learning_rate(pool):
    with pytest.raises(FloatingPointError, match=r"SimCLR .*nan.* step 1 of 3.* rate 0\.02"):
        small(augment=Broken(), lr=0.02, schedule=None).fit(pool)


class OneView(BaseEstimator):
    def __call__(self, batch):
        return batch[:1]


def test_an_augmentation_that_loses_images_is_named(pool):
    with pytest.raises(
        ValueError, match=r"\(8, 3, 24, 32\), but OneView\(\) gave \(1, 3, 24, 32\)"
    ):
        small(augment=OneView()).fit(pool)


def test_a_local_augmentation_runs_but_cannot_be_recognised(pool, tmp_path):
    model = small(augment=lambda batch: batch, max_epochs=1)
    assert np.isfinite(model.fit(pool).loss_curve_).all()
    for place in ({"memory": str(tmp_path)}, {"checkpoint_dir": tmp_path}):
        with pytest.raises(ValueError, match="top level of a module"):
            clone(model).set_params(**place).fit(pool)


def test_a_cached_encoder_is_as_one_that_was_just_fitted(pool, tmp_path):
    first, cached = (small(memory=str(tmp_path), max_epochs=1).fit(pool) for _ in range(2))
    assert vars(first).keys() == vars(cached).keys()
    np.testing.assert_array_equal(first.transform(pool), cached.transform(pool))
    with pytest.raises(PoolLeakError):
        check_pool(cached, pool[:2])


def test_a_last_batch_of_one_joins_the_one_before(pool):
    assert np.isfinite(small(batch_size=8).fit(pool[:17]).loss_curve_).all()


def test_a_fitted_encoder_pickles_without_the_pool(pool):
    model = small(max_epochs=1).fit(pool)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(pool), model.transform(pool))
    assert same(bits(again), bits(model))


# -- as a backbone


def test_unfitted_it_is_fitted_on_the_training_records(pool):
    y = np.arange(20) % 2
    model = ResNetClassifier(width=8, backbone=small(), finetune=False, max_epochs=1)
    model.fit(pool[:12], y[:12])
    assert len(model.backbone_.pool_hashes_) == 12
    assert model.weights_loaded_["kind"] == "backbone"
    embedded = clone(model.backbone).fit(pool[:12]).transform(pool)
    np.testing.assert_array_equal(model.transform(pool), embedded)


def test_frozen_it_is_reused(pool):
    encoder = small().fit(pool)
    before = bits(encoder)
    model = ResNetClassifier(width=8, backbone=FrozenEstimator(encoder), max_epochs=1, lr=1e-2)
    model.fit(pool, np.arange(20) % 2)
    assert same(before, bits(encoder))


def test_a_search_pretrains_each_setting_once_when_asked(pool, tmp_path, monkeypatch):
    import crtkit.neural.simclr as module

    trained = []
    real = module.pretrain

    def count(*args, **kwargs):
        trained.append(kwargs["key"])
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "pretrain", count)
    y, groups = np.arange(20) % 2, np.arange(20) // 2
    model = ResNetClassifier(width=8, max_epochs=1, random_state=0)
    model.set_params(backbone=small(max_epochs=1, memory=str(tmp_path)))
    grid = {"backbone__temperature": [0.1, 0.5], "lr": [1e-3, 1e-2]}
    search = GridSearchCV(model, grid, cv=GroupKFold(2))
    search.fit(pool, y, groups=groups)
    assert len(trained) == len(set(trained)) == 5  # 2 folds x 2 temperatures, and the refit
    fresh = small(max_epochs=1, temperature=0.5).fit(pool)
    cached = small(max_epochs=1, temperature=0.5, memory=str(tmp_path)).fit(pool)
    again = small(max_epochs=1, temperature=0.5, memory=str(tmp_path)).fit(pool)
    assert same(bits(cached), bits(fresh))
    assert same(bits(again), bits(fresh))
    assert again.loss_curve_ == fresh.loss_curve_
