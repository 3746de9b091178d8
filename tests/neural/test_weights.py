"""Weights files: what is read, what is refused, what is reported."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
import torchvision

from crtkit.neural import ResNetClassifier, read_weights, save_weights
from crtkit.neural.resnet_network import ResNet
from crtkit.neural.weights import file_hash, fit_weights, imagenet_file, state_hash


def _small(seed=0, **params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet(18, **{"width": 8, "n_outputs": 2, **params})


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_what_is_saved_is_read(tmp_path, name):
    module = _small()
    path = save_weights(module, tmp_path / name)
    state = read_weights(path)
    assert state_hash(state) == state_hash(module.state_dict())
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s},
        lambda s: {"model_state_dict": s, "optimizer": {"lr": 0.1}},
        lambda s: {"checkpoint": 1, "state_dict": {"model": s}},
    ],
)
@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "backbone.", "encoder.", "module.model.resnet.", "net."]
)
def test_wrapped_and_prefixed_files(tmp_path, wrap, prefix):
    source, target = _small(0), _small(1)
    torch.save(
        wrap({prefix + k: v for k, v in source.state_dict().items()}), tmp_path / "checkpoint.pt"
    )
    head = target.fc.weight.detach().clone()
    report = fit_weights(target, read_weights(tmp_path / "checkpoint.pt"), head="fc.", what="it")
    assert report["missing"] == []
    assert report["unexpected"] == [f"{prefix}fc.bias", f"{prefix}fc.weight"]
    assert report["n_loaded"] == len(source.state_dict()) - 2
    assert torch.equal(target.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert torch.equal(target.fc.weight, head)


def test_lightly_s_names_load(tmp_path):
    """lightly's backbone is a Sequential of a ResNet's children, with the head beside it."""
    source, target = _small(0), _small(1)
    cut = torch.nn.Sequential(*list(source.children())[:8])
    state = {f"backbone.{k}": v for k, v in cut.state_dict().items()}
    state["projection_head.layers.0.weight"] = torch.zeros(3)
    torch.save({"state_dict": state}, tmp_path / "lightly.ckpt")
    X = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)
    model = ResNetClassifier(
        width=8, weights=tmp_path / "lightly.ckpt", finetune=False, max_epochs=1, random_state=0
    ).fit(X, [0, 0, 1, 1])
    assert model.weights_loaded_["missing"] == []
    assert model.weights_loaded_["unexpected"] == ["projection_head.layers.0.weight"]
    for name in ("conv1.weight", "bn1.running_var", "layer4.1.conv2.weight"):
        assert torch.equal(model.module_.state_dict()[name], source.state_dict()[name])
    assert not torch.equal(source.conv1.weight, target.conv1.weight)


def test_two_networks_in_one_file_are_named():
    state = _small().state_dict()
    both = {f"{p}{k}": v for p in ("student.", "teacher.") for k, v in state.items()}
    with pytest.raises(ValueError, match=r"several networks .* \['student.', 'teacher.'\]"):
        fit_weights(_small(1), both, head="fc.", what="both.pth")
    momentum = {f"{p}{k}": v for p in ("backbone.", "backbone_momentum.") for k, v in state.items()}
    report = fit_weights(_small(1), momentum, head="fc.", what="moco.pth")
    assert report["missing"] == []
    assert all(
        name.startswith(("backbone_momentum.", "backbone.fc.")) for name in report["unexpected"]
    )
    one = {k: v for k, v in both.items() if k.startswith("student.")}
    with pytest.raises(ValueError, match=r"read with the prefix 'student.'"):
        fit_weights(ResNet(34, 8, 2), one, head="fc.", what="one.pth")


def test_another_network_is_refused_with_shapes():
    with pytest.raises(ValueError, match=r"another shape \['conv1.weight \(4, 3, 7, 7\), needed"):
        fit_weights(_small(), _small(width=4).state_dict(), head="fc.", what="w.pth")
    deeper = ResNet(34, 8, 2)
    with pytest.raises(ValueError, match=r"w.pth does not fit .* missing \['layer1.2"):
        fit_weights(deeper, _small().state_dict(), head="fc.", what="w.pth")


@pytest.mark.parametrize(("depth", "deeper"), [(18, 34), (50, 101)])
def test_half_of_a_deeper_network_is_not_loaded(tmp_path, depth, deeper):
    """All tensors of ResNet-18 are in ResNet-34, of the same shapes."""
    target = ResNet(depth, 8, 2)
    before = state_hash(target.state_dict())
    state = {f"module.{k}": v for k, v in ResNet(deeper, 8, 2).state_dict().items()}
    with pytest.raises(ValueError, match=r"of layers it does not have \['module.layer"):
        fit_weights(target, state, head="fc.", what="w.pth")
    assert state_hash(target.state_dict()) == before
    head = {"projection.0.weight": torch.zeros(2)}  # of a part that the network lacks
    report = fit_weights(target, {**target.state_dict(), **head}, head="fc.", what="w.pth")
    assert "projection.0.weight" in report["unexpected"]


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.to(torch.int8),
        lambda value: value.to(torch.complex64),
        lambda value: value * torch.nan,
        lambda value: value.to_sparse(),
    ],
)
def test_what_is_no_weight_is_refused(change):
    target = _small()
    state = {**_small(1).state_dict()}
    state["layer2.0.conv1.weight"] = change(state["layer2.0.conv1.weight"])
    with pytest.raises(ValueError, match=r"1 tensors are not dense.*layer2.0.conv1.weight"):
        fit_weights(target, state, head="fc.", what="w.pth")
    assert state_hash(target.state_dict()) == state_hash(_small().state_dict())
    half = {k: v.half() if v.is_floating_point() else v for k, v in _small(1).state_dict().items()}
    assert fit_weights(target, half, head="fc.", what="w.pth")["missing"] == []


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch-nested"])
def test_a_hostile_pickle_is_not_executed(tmp_path, writer):
    sprung, path = tmp_path / "sprung", tmp_path / "weights.pth"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Trap(sprung)))
    elif writer == "torch":
        torch.save(Trap(sprung), path)
    else:
        torch.save({"state_dict": {"conv1.weight": torch.zeros(1), "x": Trap(sprung)}}, path)
    X, y = np.zeros((4, 8, 8, 3), np.uint8), [0, 0, 1, 1]
    with pytest.raises(ValueError, match="weights.pth is not a plain file of weights") as caught:
        ResNetClassifier(width=8, weights=path).fit(X, y)
    assert not sprung.exists()
    assert "weights_only" not in str(caught.value)  # torch's advice: to load it without care
    # The trap is real: the same bytes, loaded without care, run.
    torch.load(path, weights_only=False) if writer != "pickle" else pickle.loads(path.read_bytes())
    assert sprung.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.pth", b""),
        ("w.pth", b"\x89PNG\r\n"),
        ("w.pth", b"PK\x03\x04 cut off"),
        ("w.safetensors", b"\x08\x00\x00"),
        ("w.safetensors", b"{}" * 40),
    ],
)
def test_what_is_no_weights_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    "content", [torch.zeros(3), [1, 2], {}, {"lr": 0.1}, {1: torch.zeros(2)}, 7]
)
def test_a_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="no dict of tensors but a"):
        read_weights(tmp_path / "w.pth")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights file at .*gone.pth"):
        read_weights(tmp_path / "gone.pth")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        read_weights(tmp_path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_weights(_small(), tmp_path / "w.pth")
    before = file_hash(path)

    def fail(state, part):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(_small(1), path)
    assert file_hash(path) == before
    assert os.listdir(tmp_path) == ["w.pth"]


def test_inflated_files_are_refused_before_they_fill_the_memory(tmp_path):
    path = tmp_path / "packed.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed/data.pkl", bytes(1 << 22))
        archive.writestr("packed/version", "3")
    with pytest.raises(ValueError, match="packed.pt .* unpack to 4194305 bytes"):
        read_weights(path)
    # 400 GB of one number, in a file of a kilobyte.
    torch.save({"conv1.weight": torch.zeros(1).expand(10**11)}, tmp_path / "wide.pt")
    with pytest.raises(ValueError, match=r"wide.pt .*100000000000"):
        read_weights(tmp_path / "wide.pt")
    deep = {"a": torch.zeros(1)}
    for _ in range(20):
        deep = {"state": deep}
    torch.save(deep, tmp_path / "deep.pt")
    with pytest.raises(ValueError, match="deep.pt .*nested"):
        read_weights(tmp_path / "deep.pt")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_load_or_are_named(tmp_path, suffix):
    """75 files of each kind with bytes changed, cut off or doubled: a ValueError or weights."""
    rng = np.random.default_rng(0)
    small = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    whole = save_weights(small, tmp_path / f"whole.{suffix}").read_bytes()
    path, refused = tmp_path / f"damaged.{suffix}", []
    for i in range(75):
        content = bytearray(whole)
        # The header and the archive's directory are where one byte decides.
        ends = [
            rng.integers(0, min(400, len(whole))),
            rng.integers(len(whole) * 3 // 4, len(whole)),
        ]
        for at in (ends[i % 2], rng.integers(0, len(whole))):
            content[int(at)] = rng.integers(0, 256)
        if i % 5 == 0:
            content = content[: rng.integers(1, len(whole))]
        if i % 7 == 0:
            content += content[: rng.integers(1, len(whole))]
        path.write_bytes(bytes(content))
        try:
            fit_weights(small, read_weights(path), head="none.", what=path.name)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(path.name in message for message in refused)


# -- torchvision's ImageNet weights


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_imagenet_offline_names_file_and_folder(tmp_path, monkeypatch, depth):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        imagenet_file(depth)
    message = str(error.value)
    url = getattr(torchvision.models, f"ResNet{depth}_Weights").IMAGENET1K_V1.url
    assert f"resnet{depth}-" in message
    assert url.rpartition("/")[2] in message
    assert str(tmp_path / "hub" / "checkpoints") in message
    assert url in message
    assert "weights='" in message
    assert list(tmp_path.rglob("*")) == []


def test_imagenet_weights_of_torchvisions_layout(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        published = torchvision.models.resnet18()
    # The published file is older than the counters of batches.
    state = {k: v for k, v in published.state_dict().items() if "num_batches" not in k}
    path = folder / "resnet18-f37072fd.pth"
    torch.save(state, path)
    X = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    model = ResNetClassifier(weights="imagenet", finetune=False, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="not the file that torchvision publishes"):
        model.fit(X, [0, 0, 1, 1])
    loaded = model.weights_loaded_
    assert loaded["kind"] == "imagenet"
    assert loaded["file"] == path.name
    assert loaded["sha256"] == file_hash(path)
    assert loaded["n_loaded"] == len(state) - 2
    assert loaded["unexpected"] == ["fc.bias", "fc.weight"]
    assert all(name.endswith("num_batches_tracked") for name in loaded["missing"])
    assert len(loaded["missing"]) == 20
    # Embeddings are those of torchvision's network on torchvision's preprocessing.
    scale = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x = scale(torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255)
    published.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = published.eval()(x).numpy()
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="for width=64, got width=8"):
        model.set_params(width=8).fit(X, [0, 0, 1, 1])


def test_a_path_is_reported(tmp_path):
    path = save_weights(_small(), tmp_path / "mine.safetensors")
    X = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)
    model = ResNetClassifier(width=8, weights=str(path), finetune=0, max_epochs=1).fit(
        X, [0, 0, 1, 1]
    )
    assert model.weights_loaded_["kind"] == "file"
    assert model.weights_loaded_["file"] == "mine.safetensors"
    assert model.weights_loaded_["sha256"] == file_hash(path)
    assert (
        model.set_params(weights=None, finetune=True).fit(X, [0, 0, 1, 1]).weights_loaded_ is None
    )
