"""ResNetClassifier: torchvision's network, its parts frozen and not, and where it starts from."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit import Select
from crtkit.neural import ImageAugment, ResNetClassifier
from crtkit.neural.resnet_network import ResNet, images_to_input
from crtkit.testing import parametrize_with_nd_checks

STAGES = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")


def small(**params):
    """A network that fits a test: width 8, one epoch, seeded."""
    defaults = {"width": 8, "max_epochs": 1, "lr": 1e-2, "batch_size": 8, "random_state": 0}
    return ResNetClassifier(**{**defaults, **params})


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pages():
    """24 images whose class is the place of a bright bar, two of each patient."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 0, 1, 1], 6)
    X = rng.integers(0, 80, (24, 16, 20, 3), dtype=np.uint8)
    X[y == 0, 2:6] += 160
    X[y == 1, 10:14] += 160
    return X, np.array(["no", "yes"])[y], np.arange(24) // 2


EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "BatchNorm's statistics count records and cannot see their weights"
    )
}


@parametrize_with_checks(
    [small(max_epochs=10, batch_size=32, precision="float64")],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_sklearn(estimator, check):
    check(estimator)


@parametrize_with_nd_checks(
    [
        (small(max_epochs=2), "images"),
        (small(max_epochs=2, precision="float64"), "images"),
    ]
)
def test_nd(estimator, check):
    check(estimator)


# -- the network


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_at_width_64_names_and_shapes_are_torchvisions(depth):
    with torch.device("meta"):
        ours = ResNet(depth, 64, 1000).state_dict()
        theirs = getattr(torchvision.models, f"resnet{depth}")().state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("depth", [18, 50])
def test_the_forward_pass_is_torchvisions(depth):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=3).eval()
        x = torch.randn(2, 3, 40, 40)
    ours = ResNet(depth, 64, 3).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(ours.fc(ours.embed(x)), ours(x))


@pytest.mark.parametrize(("depth", "width", "n"), [(18, 8, 64), (34, 12, 96), (50, 4, 128)])
def test_width_scales_every_stage(depth, width, n):
    module = ResNet(depth, width, 2)
    assert module.n_features == n
    with torch.device("meta"):
        full = ResNet(depth, 64, 2).state_dict()
    for name, value in module.state_dict().items():
        if value.ndim and not name.startswith("fc"):
            assert value.shape[0] * 64 == full[name].shape[0] * width
    assert module.eval()(torch.zeros(1, 3, 9, 9)).shape == (1, 2)


# -- images


def test_uint8_is_scaled_as_torchvision_does():
    X = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    got = images_to_input(torch.from_numpy(X), torch.float32)
    scale = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    expected = torch.stack([scale(torchvision.transforms.functional.to_tensor(x)) for x in X])
    torch.testing.assert_close(got, expected)
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_flattened_images_are_unflattened(pages):
    X, y, _ = pages
    expected = small().fit(X, y).predict_proba(X)
    flat = X.reshape(len(X), -1)
    np.testing.assert_array_equal(
        small(input_shape=(16, 20, 3)).fit(flat, y).predict_proba(flat), expected
    )
    grey = X[..., 0]
    in_grey = small().fit(np.repeat(grey[..., None], 3, -1), y)
    np.testing.assert_array_equal(
        small(input_shape=(16, 20))
        .fit(grey.reshape(len(X), -1), y)
        .transform(grey.reshape(24, -1)),
        in_grey.transform(np.repeat(grey[..., None], 3, -1)),
    )


def test_a_row_of_pixels_is_an_image_of_height_one():
    row = torch.arange(6.0).reshape(2, 3)
    image = images_to_input(row, torch.float32)
    assert image.shape == (2, 3, 1, 3)
    torch.testing.assert_close(image[1, 2, 0], row[1])


def test_real_digits_are_learned():
    digits = load_digits()
    few = digits.target < 4
    X, y = digits.data[few], digits.target[few]
    model = small(input_shape=(8, 8), max_epochs=8, batch_size=32, schedule="onecycle")
    model.fit(X[:400], y[:400])
    # 0.90 to 0.95 over six seeds; chance is 0.25.
    assert model.score(X[400:], y[400:]) > 0.6


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        ((8, 16, 16, 1), {}, "3 channels, channel last"),
        ((8, 3, 16, 16), {}, "3 channels, channel last"),
        ((8, 16, 16), {}, r"2-D or 4-D array \(n_records, height, width, n_channels\)"),
        ((8, 30), {"input_shape": (4, 8)}, r"input_shape=\(4, 8\) needs 32 pixels .* 30 features"),
        ((8, 30), {"input_shape": (30,)}, "input_shape must be"),
        ((8, 30), {"input_shape": (-5, -6)}, "input_shape must be"),
        ((8, 30), {"input_shape": (5.0, 6)}, "input_shape must be"),
        ((8, 16, 16, 3), {"input_shape": (16,)}, "input_shape must be"),
        ((8, 30), {"depth": 20}, "depth"),
        ((8, 30), {"finetune": 6}, "finetune"),
        ((8, 30), {"weights": "a.pth", "backbone": small()}, "not both"),
    ],
)
def test_bad_input(shape, params, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(np.ones(shape), np.arange(8) % 2)


def test_paths_are_answered_with_the_loader():
    paths = np.array(["a.jpg", "b.jpg"], dtype=object)
    with pytest.raises(ValueError, match="JPEGLoader"):
        small().fit(paths, [0, 1])


# -- frozen parts


def _state(model):
    return {name: value.clone() for name, value in model.module_.state_dict().items()}


@pytest.mark.parametrize("finetune", [0, 1, 3, 5])
def test_frozen_stages_stay_bitwise_and_the_others_move(pages, finetune):
    X, y, _ = pages
    start = small(finetune=True).fit(X, y)
    before = _state(start)
    model = small(backbone=FrozenEstimator(start), finetune=finetune, weight_decay=0.1).fit(X, y)
    n_frozen = {0: 6, 1: 5, 3: 3, 5: 0}[finetune]
    for name, value in _state(model).items():
        frozen = name.split(".")[0] in STAGES[:n_frozen]
        assert torch.equal(value, before[name]) == frozen, name
    # ... and the encoder that was given is as it was, whatever was trained.
    assert all(torch.equal(value, before[name]) for name, value in _state(start).items())


def test_finetune_false_is_a_linear_model_on_the_embeddings(pages):
    X, y, _ = pages
    start = small(precision="float64", max_epochs=3).fit(X, y)
    settings = {"lr": 0.05, "weight_decay": 0.1, "batch_size": 24, "max_epochs": 30}
    model = small(
        backbone=FrozenEstimator(start), finetune=False, precision="float64", **settings
    ).fit(X, y)
    features, target = (
        torch.from_numpy(model.transform(X)),
        torch.from_numpy(np.arange(24) // 2 % 2),
    )
    np.testing.assert_array_equal(features.numpy(), start.transform(X))
    # The same head, trained on transform's output by a loop of its own.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
        head = ResNet(18, 8, 2).fc.double()
    adam = torch.optim.AdamW(head.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(30):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(head(features), target).backward()
        adam.step()
    expected = torch.softmax(head(features), 1).detach().numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


def test_finetune_false_computes_the_embeddings_once(pages, monkeypatch):
    X, y, groups = pages
    seen = []
    embed = ResNet.embed
    monkeypatch.setattr(ResNet, "embed", lambda self, x: seen.append(len(x)) or embed(self, x))
    start = small().fit(X, y)
    for early_stopping in (False, True):
        seen.clear()
        model = small(
            backbone=FrozenEstimator(start),
            finetune=False,
            max_epochs=7,
            early_stopping=early_stopping,
        )
        model.fit(X, y, groups=groups)
        assert sum(seen) == len(X)
        assert len(model.history_) == 7


@pytest.mark.parametrize("augment", [lambda x: x[:2], lambda x: x[:, :1], lambda x: None])
def test_an_augmentation_keeps_the_batch(pages, augment):
    X, y, _ = pages
    with pytest.raises(ValueError, match=r"augment must give .* \(8, 3, 16, 20\); it gave"):
        small(augment=augment).fit(X, y)


def test_what_has_no_effect_is_said(pages):
    X, y, _ = pages
    with pytest.warns(UserWarning, match="random layers") as record:
        small(finetune=2).fit(X, y)
    assert record[0].filename == __file__
    start = FrozenEstimator(small().fit(X, y))
    with pytest.warns(UserWarning, match="augment has no effect"):
        small(backbone=start, finetune=False, augment="light").fit(X, y)


# -- a backbone


class TinyEncoder(TransformerMixin, BaseEstimator):
    """What a pretrained encoder must offer, and no more: fit, transform, module_."""

    n_fits = 0

    def __init__(self, *, scale=1.0, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        assert y is None, "pretraining must not see labels"
        type(self).n_fits += 1
        self.n_seen_ = len(X)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0 if self.random_state is None else self.random_state)
            self.module_ = ResNet(18, 8)
        with torch.no_grad():
            self.module_.conv1.weight *= self.scale
        return self

    def transform(self, X):
        with torch.inference_mode():
            return self.module_.eval()(images_to_input(torch.from_numpy(X), torch.float32)).numpy()


def test_an_unfitted_backbone_is_fitted_inside_each_fold(pages):
    X, y, groups = pages
    TinyEncoder.n_fits = 0
    model = small(backbone=TinyEncoder(), finetune=False)
    search = GridSearchCV(model, {"backbone__scale": [0.5, 2.0]}, cv=GroupKFold(3))
    search.fit(X, y, groups=groups)
    assert TinyEncoder.n_fits == 2 * 3 + 1
    best = search.best_estimator_
    assert not hasattr(best.backbone, "module_")
    assert best.backbone_.n_seen_ == len(X)
    np.testing.assert_allclose(best.transform(X), best.backbone_.transform(X), rtol=1e-4, atol=1e-5)
    assert best.weights_loaded_["kind"] == "backbone"
    assert best.weights_loaded_["missing"] == []


def test_a_backbone_pretrains_on_training_records_only(pages):
    X, y, groups = pages
    model = small(backbone=TinyEncoder(), finetune=False, early_stopping=True)
    model.fit(X, y, sample_weight=groups != 5, groups=groups)
    assert model.backbone_.n_seen_ < len(X) - 2
    assert isinstance(model.backbone_.random_state, int)
    assert model.backbone.random_state is None
    again = clone(model).fit(X, y, sample_weight=groups != 5, groups=groups)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_frozen_backbone_is_never_refitted(pages):
    X, y, groups = pages
    encoder = TinyEncoder().fit(X)
    before = {k: v.clone() for k, v in encoder.module_.state_dict().items()}
    TinyEncoder.n_fits = 0
    model = small(backbone=FrozenEstimator(encoder))
    assert clone(model).backbone is model.backbone
    search = GridSearchCV(model, {"lr": [1e-3, 1e-2], "finetune": [True, False, 1]}, cv=2)
    search.fit(X, y)
    assert TinyEncoder.n_fits == 0
    assert all(torch.equal(v, before[k]) for k, v in encoder.module_.state_dict().items())
    fine = clone(model).set_params(finetune=True).fit(X, y)
    assert not hasattr(fine, "backbone_")
    kept = clone(model).set_params(finetune=False).fit(X, y)
    assert kept.backbone_ is model.backbone


def test_a_fitted_classifier_can_be_the_backbone_of_another(pages):
    X, y, _ = pages
    first = small().fit(X, y)
    three = np.arange(24) % 3
    second = small(backbone=FrozenEstimator(first), finetune=False).fit(X, three)
    assert second.predict_proba(X).shape == (24, 3)
    np.testing.assert_array_equal(second.transform(X), first.transform(X))
    with pytest.raises(
        ValueError, match="backbone FrozenEstimator does not fit .* depth and width"
    ):
        small(backbone=FrozenEstimator(first), width=16).fit(X, y)
    for unfrozen in (first, small()):
        with pytest.raises(ValueError, match=r"pretrained as a backbone.*FrozenEstimator"):
            small(backbone=unfrozen).fit(X, y)


# -- scikit-learn around it


def test_a_search_over_depth_and_rate(pages):
    X, y, groups = pages
    grid = {"depth": [18, 34], "lr": [1e-4, 1e-2]}
    search = GridSearchCV(small(max_epochs=2), grid, cv=GroupKFold(3), error_score="raise")
    search.fit(X, y, groups=groups)
    assert len(search.cv_results_["params"]) == 4
    # Whether two epochs are enough is for the processor to say; what a search must do is not.
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = small(max_epochs=2, **search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), again.predict_proba(X))


def test_the_bits_do_not_depend_on_n_jobs(pages):
    X, y, groups = pages
    model = small(max_epochs=2, dropout=0.3, augment="light")
    one, two = (
        cross_val_predict(
            model, X, y, groups=groups, cv=GroupKFold(3), method="predict_proba", n_jobs=n_jobs
        )
        for n_jobs in (1, 2)
    )
    assert one.tobytes() == two.tobytes()


def test_a_pickle_predicts_the_same_in_a_fresh_process(pages, tmp_path):
    X, y, _ = pages
    model = small(finetune=2, backbone=FrozenEstimator(small().fit(X, y)), dropout=0.1).fit(X, y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "model = pickle.load(open('model.pkl', 'rb')); X = np.load('X.npy')\n"
        "np.save('proba.npy', model.predict_proba(X)); model.fit(X, np.arange(24) % 2)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert np.load(tmp_path / "proba.npy").tobytes() == model.predict_proba(X).tobytes()


def test_it_is_a_step_that_names_its_features(pages):
    X, y, _ = pages
    steps = make_pipeline(small(), LogisticRegression()).set_output(transform="pandas").fit(X, y)
    names = list(steps[:-1].get_feature_names_out())
    assert names == [f"resnetclassifier{i}" for i in range(64)]
    assert list(steps[-1].feature_names_in_) == names


def test_cells_of_a_cohort_reach_it_as_rows(pages, tmp_path):
    X, y, groups = pages
    np.save(tmp_path / "pages.npy", X)
    frame = pd.DataFrame({"image": [f"{tmp_path / 'pages.npy'}#{i}" for i in range(24)]})
    model = make_pipeline(Select("image"), small(early_stopping=True, max_epochs=2))
    model.fit(frame, y, resnetclassifier__groups=groups)
    plain = small(early_stopping=True, max_epochs=2).fit(X, y, groups=groups)
    np.testing.assert_array_equal(model.predict_proba(frame), plain.predict_proba(X))


# -- augmentation


def test_augmentation_moves_and_lights_each_image_by_itself():
    x = torch.zeros(64, 3, 41, 41)
    x[:, :, 20, 20] = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        same = ImageAugment(shift=0, zoom=0, brightness=0, contrast=0)(x)
        moved = ImageAugment(shift=0.2, zoom=0, brightness=0, contrast=0)(x)
        lit = ImageAugment(shift=0, zoom=0, brightness=0.5, contrast=0)(x)
    torch.testing.assert_close(same, x)
    mass = moved.sum(1)
    centre = (mass.sum(1) * torch.arange(41)).sum(1) / mass.sum((1, 2)) - 20
    assert centre.abs().max() <= 0.2 * 41 + 0.5
    assert centre.std() > 2
    added = (lit - x)[:, 0, 0, 0]
    torch.testing.assert_close((lit - x), added[:, None, None, None].expand_as(x))
    assert added.abs().max() <= 0.5
    assert added.std() > 0.2


def test_augmentation_is_for_training_only_and_any_callable(pages):
    X, y, _ = pages
    light = small(augment=ImageAugment(brightness=0.3)).fit(X, y)
    np.testing.assert_array_equal(light.predict_proba(X), light.predict_proba(X))
    plain, named = small().fit(X, y), small(augment="light").fit(X, y)
    assert not np.array_equal(plain.predict_proba(X), named.predict_proba(X))
    by_name = small(augment=ImageAugment()).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), named.predict_proba(X))
    identity = small(augment=torch.clone).fit(X, y)
    np.testing.assert_array_equal(identity.predict_proba(X), plain.predict_proba(X))
