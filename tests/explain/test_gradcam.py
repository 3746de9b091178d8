"""Grad-CAM against its formula and on a network whose answer is known; leads on pages."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from crtkit._leads import LEADS_12
from crtkit.explain import grad_cam, lead_masks, lead_share, overlay
from crtkit.images import EDAN_SE3, ECGRenderer
from crtkit.neural import ResNetClassifier


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bars():
    """Images whose class is the side of a bright square, and a network in float64."""
    rng = np.random.default_rng(0)
    y = np.arange(32) % 2
    X = rng.integers(0, 60, (32, 64, 64, 3), dtype=np.uint8)
    X[y == 0, 24:40, 4:20] += 180
    X[y == 1, 24:40, 44:60] += 180
    model = ResNetClassifier(
        width=8, max_epochs=2, batch_size=16, precision="float64", random_state=0
    )
    return X, np.array(["left", "right"])[y], model.fit(X, np.array(["left", "right"])[y])


def test_it_is_the_formula(bars):
    """Selvaraju et al., equations 1 and 2, from hooks of our own."""
    X, _, model = bars
    module, kept = model.module_.eval(), {}
    hook = module.layer3.register_forward_hook(lambda m, i, out: kept.update(out=out))
    logits = module(model._prepare(torch.from_numpy(X[:4])))
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), kept["out"])
    weights = gradient.mean((2, 3), keepdim=True)
    expected = (weights * kept["out"]).sum(1, keepdim=True).relu()
    expected = torch.nn.functional.interpolate(expected, (64, 64), mode="bilinear")[:, 0]
    got = grad_cam(model, X[:4], stage="layer3", target="right")
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-9, atol=1e-14)


def test_the_model_and_its_gradients_are_left_as_they_were(bars):
    X, _, model = bars
    before = {k: v.clone() for k, v in model.module_.state_dict().items()}
    model.module_.zero_grad()
    model.module_.conv1.requires_grad_(False)
    grad_cam(model, X[:2])
    assert all(torch.equal(v, before[k]) for k, v in model.module_.state_dict().items())
    assert not model.module_.conv1.weight.requires_grad
    assert all(p.grad is None for p in model.module_.parameters())
    model.module_.conv1.requires_grad_(True)


def test_batches_pipelines_and_rows_of_pixels_give_the_same(bars):
    X, y, model = bars
    expected = grad_cam(model, X[:20], stage="layer3")
    one = np.concatenate([grad_cam(model, X[i : i + 1], stage="layer3") for i in range(3)])
    np.testing.assert_allclose(one, expected[:3], rtol=1e-9, atol=1e-14)
    piped = make_pipeline(FunctionTransformer(), model)
    np.testing.assert_array_equal(grad_cam(piped, X[:20], stage="layer3"), expected)
    flat = ResNetClassifier(width=8, max_epochs=1, input_shape=(64, 64, 3), random_state=0)
    rows = X.reshape(len(X), -1)
    assert grad_cam(flat.fit(rows, y), rows[:2]).shape == (2, 64, 64)


@pytest.mark.parametrize(
    ("params", "message"), [({"stage": "fc"}, "stage among"), ({"target": "up"}, "classes")]
)
def test_bad_parameters(bars, params, message):
    X, _, model = bars
    with pytest.raises(ValueError, match=message):
        grad_cam(model, X[:2], **params)


def test_other_models_are_refused(bars):
    X, y, _ = bars
    rows = X.reshape(len(X), -1)[:, :50]
    with pytest.raises(TypeError, match="LogisticRegression"):
        grad_cam(LogisticRegression().fit(rows, y), rows)
    row_model = ResNetClassifier(width=8, max_epochs=1, random_state=0).fit(rows, y)
    with pytest.raises(ValueError, match="input_shape"):
        grad_cam(row_model, rows)


# -- a planted task: pages of which V2 alone is tinted, and a network that sees nothing but the tint


def _see_green_only(model):
    """Set a fitted network by hand: each stage passes on how green a place is, and no more.

    What a tiny network learns depends on the processor; what this one answers does not.
    """
    module = model.module_
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.fill_(1.0 if name.endswith("running_var") else 0.0)
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.fill_(1.0)
        module.conv1.weight[0, :, 3, 3] = torch.tensor([-1.0, 1.0, 0.0])
        module.bn1.bias[0] = -1.0  # white paper and a red grid fall below it
        for stage in (module.layer2, module.layer3, module.layer4):
            stage[0].downsample[0].weight[0, 0] = 1.0
        module.fc.weight[:, 0] = torch.tensor([-1.0, 1.0])
        module.fc.bias.copy_(torch.tensor([0.1, -0.1]))
    return model


@pytest.fixture(scope="module")
def planted():
    """A network that answers 1 where a page is green, and twelve pages that are so in V2 only."""
    rng = np.random.default_rng(0)
    n, fs = 14, 100
    time = np.arange(10 * fs) / fs
    beats = np.exp(-0.5 * (time % 0.8 - 0.4) ** 2 / 0.03**2)
    signals = rng.uniform(0.3, 1.0, (n, 12, 1)) * beats
    pages = ECGRenderer(fs=fs, size=(224, 224), labels=False).fit_transform(signals)
    in_v2 = lead_masks("3x4+II", (224, 224))["V2"] > 0.5
    pages[2:, in_v2] = (0, 255, 0)
    model = ResNetClassifier(width=8, max_epochs=1, batch_size=4, random_state=0)
    return _see_green_only(model.fit(pages[:4], [0, 0, 1, 1])), pages


def test_v2_ranks_first_where_only_v2_differs(planted):
    model, pages = planted
    np.testing.assert_array_equal(model.predict(pages), np.arange(14) >= 2)
    for stage in ("layer3", "layer4"):
        relative = lead_share(grad_cam(model, pages[2:], stage=stage)).relative
        assert (relative.idxmax(axis=1) == "V2").all()
    relative = lead_share(grad_cam(model, pages[2:], stage="layer2")).relative
    assert (relative["V2"] > 6).all()
    assert (grad_cam(model, pages[:2], target=1) == 0).all()


def test_a_network_of_other_weights_has_another_map(planted):
    model, pages = planted
    seen = grad_cam(model, pages[2:], stage="layer3", target=1)
    state = {k: v.clone() for k, v in model.module_.state_dict().items()}
    with torch.no_grad():  # it now sees the red grid, which V2 has lost
        model.module_.conv1.weight[0, :, 3, 3] = torch.tensor([1.0, -1.0, 0.0])
        model.module_.bn1.bias[0] = 0.0
    other = grad_cam(model, pages[2:], stage="layer3", target=1)
    model.module_.load_state_dict(state)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(seen, other)]
    assert max(alike) < 0.2  # V2's edge has some red left
    assert (lead_share(other).relative["V2"] < 1).all()
    np.testing.assert_array_equal(grad_cam(model, pages[2:], stage="layer3", target=1), seen)


# -- leads


@pytest.mark.parametrize("layout", ["3x4+II", "3x4", "6x2+II", "12x1", EDAN_SE3])
def test_boxes_of_leads_do_not_overlap(layout):
    masks = np.stack(list(lead_masks(layout, (90, 120)).values()))
    assert tuple(lead_masks(layout, (90, 120))) == tuple(LEADS_12)
    assert masks.sum(0).max() <= 1 + 1e-9
    assert (masks.sum((1, 2)) > 0).all()


def test_areas_do_not_depend_on_the_number_of_pixels():
    fine = np.array([m.mean() for m in lead_masks("3x4+II", (210, 297)).values()])
    coarse = np.array([m.mean() for m in lead_masks("3x4+II", (14, 14)).values()])
    np.testing.assert_allclose(coarse, fine, rtol=1e-9)


def test_a_map_that_is_the_same_everywhere_has_the_shares_of_the_area():
    share = lead_share(np.ones((2, 50, 60)))
    np.testing.assert_allclose(share.relative, 1)
    np.testing.assert_allclose(share.shares.sum(axis=1), 1)
    assert share.region.tolist() == ["both", "both"]


def test_regions_follow_the_rule():
    masks = lead_masks("3x4", (60, 80), rhythm=False)
    limb, precordial = (sum(masks[lead] for lead in part) for part in (LEADS_12[:6], LEADS_12[6:]))
    maps = np.stack([limb, precordial, limb + precordial, 2.1 * limb + precordial, 0 * limb])
    share = lead_share(maps, "3x4", threshold=2 / 3)
    assert share.region.tolist() == ["limb", "precordial", "both", "limb", "none"]
    assert lead_share(maps, "3x4", threshold=0.7).region[3] == "both"
    assert share.table["n"].tolist() == [4] * 3
    assert "0.667" in share.rule
    wilson = binomtest(2, 4).proportion_ci(method="wilson")
    row = share.table.loc["limb"]
    assert (row["ci_low"], row["ci_high"]) == (wilson.low, wilson.high)
    assert share.table["published_count"].tolist() == [13, 16, 7]
    assert np.isnan(share.shares.iloc[4]).all()


def test_what_lies_on_no_lead_is_told():
    masks = lead_masks("3x4", (60, 80))
    on = sum(masks.values())
    maps = np.stack([on, on + (1 - on) * on.sum() / (1 - on).sum(), 1 - on > 0.999, 0 * on])
    outside = lead_share(maps, "3x4").outside
    expected = (1 - on)[on > 0].sum()  # cells that the boxes cover in part
    assert outside[0] == pytest.approx((on * (1 - on)).sum() / on.sum())
    assert outside[0] < 0.2 < expected
    assert outside[2] == pytest.approx(1, abs=2e-3)
    assert outside[0] < outside[1] < outside[2]
    assert np.isnan(outside[3])


def test_a_rhythm_strip_counts_when_asked():
    with_strip, without = (lead_masks("3x4+II", (80, 90), rhythm=r)["II"] for r in (True, False))
    assert with_strip.sum() > 3 * without.sum()


@pytest.mark.parametrize(
    ("maps", "params", "message"),
    [
        (np.ones((4, 5)), {}, "n_records, height, width"),
        (-np.ones((1, 4, 5)), {}, "negative"),
        (np.full((1, 4, 5), np.nan), {}, "finite"),
        (np.ones((1, 4, 5)), {"threshold": 0.5}, "threshold"),
        (np.ones((1, 4, 5)), {"layout": "strip"}, "twelve leads"),
    ],
)
def test_bad_maps(maps, params, message):
    with pytest.raises(ValueError, match=message):
        lead_share(maps, **params)


# -- overlays


def test_an_overlay_colours_what_is_high_and_keeps_the_rest():
    pages = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    maps = np.zeros((2, 6, 8))
    maps[0, 0, 0], maps[1, 1, 1] = 1, 10
    out = overlay(pages, maps, alpha=1)
    assert out[0, 0, 0].tolist() == out[1, 1, 1].tolist() == [255, 0, 0]
    np.testing.assert_array_equal(out[maps == 0], pages[maps == 0])
    together = overlay(pages, maps, alpha=1, scale="all")
    assert together[0, 0, 0].tolist() != [255, 0, 0]
    with pytest.raises(ValueError, match="same size"):
        overlay(pages, maps[:, :3])
