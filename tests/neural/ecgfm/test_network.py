"""ECG-FM against outputs of the program that trains it, and against hostile files."""

import copy
import json
import os
import pickle
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import save_file

from crtkit.neural.ecgfm import (
    ECGFM,
    SIZES,
    ECGFMConfig,
    load_checkpoint,
    load_safetensors,
    save_safetensors,
)
from crtkit.neural.ecgfm.published import parse_conv_layers

DATA = Path(__file__).parents[2] / "data" / "ecg_fm"
FILES = {
    "finetuned": "outputs_finetuned",
    "finetuned_legacy_weightnorm": "outputs_finetuned",
    "pretrained": "outputs_pretrained",
    "pretrained_legacy_weightnorm": "outputs_pretrained",
}
STAGES = {"encoder_out": "tokens", "x": "tokens", "unmasked_features": "feat_ln"}


@pytest.fixture(scope="module")
def inputs():
    with np.load(DATA / "inputs.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def finetuned():
    return load_checkpoint(DATA / "finetuned.pt")[0]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("record", ["x2500", "x5000", "x1251", "x_pad"])
def test_every_stage_agrees_with_the_original(name, record, inputs):
    module, _, kind = load_checkpoint(DATA / f"{name}.pt")
    assert kind == name.partition("_")[0]
    mask = inputs["x_pad_mask"] if record == "x_pad" else None
    with torch.no_grad():
        out = module(inputs[record], mask, stages=True)
    compared = 0
    with np.load(DATA / f"{FILES[name]}.npz") as reference:
        for key in reference:
            if not key.startswith(f"{record}/"):
                continue
            stage = key.partition("/")[2]
            want = reference[key]
            got = out[STAGES.get(stage, stage)].numpy()[: len(want)]
            if mask is not None and stage.startswith(("layer", "encoder_out", "x")):
                # Past the end of a record the original's outputs mean nothing.
                valid = ~out["token_padding_mask"].numpy()[: len(want)]
                got, want = got[valid], want[valid]
            np.testing.assert_allclose(got, want, atol=1e-5, err_msg=key)
            compared += 1
    assert compared >= (1 if kind == "pretrained" and record == "x2500" else 0)


def test_attention_and_input_gradient_agree(finetuned, inputs):
    with np.load(DATA / "outputs_finetuned.npz") as reference:
        with torch.no_grad():
            maps = finetuned.attention(inputs["x2500"][:1])
        np.testing.assert_allclose(maps, reference["x2500_first/saliency"], atol=1e-5)
        x = inputs["x2500"][:2].clone().requires_grad_()
        finetuned(x)["logits"][:, 0].sum().backward()
        want = reference["x2500_first2/input_grad_logit0"]
        np.testing.assert_allclose(x.grad, want, atol=1e-5)


def test_the_real_size_has_the_real_keys():
    with open(DATA / "ecg_fm_real_keys.json") as file:
        keys = json.load(file)
    with torch.device("meta"):
        module = ECGFM(replace(SIZES["base"], quantizer=(2, 320, 128)))
        headed = ECGFM(replace(SIZES["base"], n_labels=17))
    assert sum(p.numel() for p in module.parameters()) == 90_883_072
    got = {key: list(value.shape) for key, value in module.state_dict().items()}
    want = _published(keys, "pretrained")
    assert got == want
    # The published fine-tuned keys carry one more prefix on everything but the head.
    got = {
        key if key.startswith("proj.") else f"encoder.{key}": list(value.shape)
        for key, value in headed.state_dict().items()
    }
    assert got == _published(keys, "finetuned")


def _published(keys, kind):
    part = next(value for name, value in keys.items() if kind in name and isinstance(value, dict))
    part = part.get("keys", part)
    names = {
        ".weight_g": ".parametrizations.weight.original0",
        ".weight_v": ".parametrizations.weight.original1",
    }
    out = {}
    for key, shape in part.items():
        for old, new in names.items():
            key = key[: -len(old)] + new if key.endswith(old) else key
        out[key] = list(shape)
    return out


@settings(max_examples=25, deadline=None)
@given(
    convs=st.lists(
        st.tuples(st.sampled_from([4, 8]), st.integers(1, 5), st.integers(1, 3)),
        min_size=1,
        max_size=4,
    ),
    pos_kernel=st.integers(1, 9),
    n_layers=st.integers(1, 3),
    extra=st.integers(0, 40),
)
def test_any_sizes_run_and_count_their_tokens(convs, pos_kernel, n_layers, extra):
    config = ECGFMConfig(
        conv_layers=tuple(convs),
        n_leads=3,
        dim=8,
        ffn_dim=16,
        n_heads=2,
        n_layers=n_layers,
        pos_kernel=pos_kernel,
        pos_groups=2,
        n_labels=2,
    )
    n_samples = config.min_samples + extra
    out = ECGFM(config).eval()(torch.randn(2, 3, n_samples))
    assert out["tokens"].shape == (2, config.n_tokens(n_samples), 8)
    assert out["logits"].shape == (2, 2)
    with pytest.raises(ValueError, match="at least"):
        ECGFM(config)(torch.randn(2, 3, config.min_samples - 1))


def test_gain_and_offset_leave_the_logits(finetuned, inputs):
    # Of a record with one lead left, some channels are so weak that the norm's epsilon shows.
    x = inputs["x2500"][:1]
    offset = torch.randn(1, 12, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = finetuned(x)["logits"]
        torch.testing.assert_close(finetuned(1000 * x)["logits"], logits, atol=1e-4, rtol=0)
        torch.testing.assert_close(finetuned(x + offset)["logits"], logits, atol=1e-4, rtol=0)
        assert (finetuned(x * (1 + offset.abs()))["logits"] - logits).abs().max() > 1e-2


def test_an_extractor_without_gradient_stops_it(inputs):
    module, config, _ = load_checkpoint(DATA / "finetuned.pt")
    assert config["feature_grad_mult"] == 0.0
    assert module.config.feature_grad_mult == 1.0
    gradients = {}
    for factor in (1.0, 0.1, 0.0):
        module.zero_grad()
        module.config = replace(module.config, feature_grad_mult=factor)
        module(inputs["x1251"])["logits"].sum().backward()
        gradients[factor] = module.feature_extractor.conv_layers[0][0].weight.grad
    assert gradients[0.0] is None
    torch.testing.assert_close(gradients[0.1], 0.1 * gradients[1.0], atol=1e-6, rtol=1e-4)


def test_masks_are_checked(finetuned, inputs):
    x, mask = inputs["x_pad"], inputs["x_pad_mask"]
    with pytest.raises(ValueError, match="only at the end"):
        finetuned(x, mask.flip(-1))
    with pytest.raises(ValueError, match="does not fit"):
        finetuned(x, mask[..., :100])
    with pytest.raises(ValueError, match="12 leads"):
        finetuned(x[:, :4])
    none = torch.zeros_like(mask)
    with torch.no_grad():
        torch.testing.assert_close(finetuned(x, none)["logits"], finetuned(x)["logits"])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("[(256, 2, 2)] * 4", ((256, 2, 2),) * 4),
        ("[(8, 10, 5)] + [(8, 3, 2)] * 2 + [(4,2,2)]", ((8, 10, 5), *((8, 3, 2),) * 2, (4, 2, 2))),
        ("2 * [(8, 2, 2)]", ((8, 2, 2),) * 2),
    ],
)
def test_convolution_lists(text, want):
    assert parse_conv_layers(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "[(256, 2, 2)] * 10**9",
        "[(256, 2, 2)] * 100000000",
        "[(256, 2, 2)]" + " * 64" * 40,  # would fill any memory before its length is asked
        " + ".join(["[(256, 2, 2)] * 64"] * 2),
        "[(256, 2)]",
        "[(256, 2, -2)]",
        "[(True, 2, 2)]",
        "[]",
        "(256, 2, 2)",
        "[x for x in ()]",
        "[" * 5000,
        "",
    ],
)
def test_other_convolution_lists_are_refused(text):
    with pytest.raises(ValueError, match="conv_feature_layers"):
        parse_conv_layers(text)


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def _changed(tmp_path, change):
    content = torch.load(DATA / "finetuned.pt", weights_only=True)
    change(content)
    torch.save(content, tmp_path / "changed.pt")
    return tmp_path / "changed.pt"


def _rename(content):
    content["model"]["encoder.layer_norm.extra"] = content["model"].pop("encoder.layer_norm.bias")


def _reshape(content):
    content["model"]["encoder.layer_norm.bias"] = torch.zeros(7)


def _configure(**values):
    return lambda content: content["cfg"]["model"].update(values)


def _put(key, value):
    return lambda content: content["model"].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename, r"missing: \['layer_norm.bias'\]; unexpected: \['layer_norm.extra'\]"),
        (_reshape, r"of another shape: \['layer_norm.bias \(7,\) for \(32,\)'\]"),
        (_configure(_name="resnet"), "is of the model 'resnet'"),
        (_configure(_name="wav2vec2_cmsc"), "called pretrained in its configuration"),
        (_configure(layer_norm_first=True), "pre-norm"),
        (_configure(conv_feature_layers="[(32, 2, 2)] * 3"), "the tensors"),
        (lambda c: c.pop("cfg"), "not an ECG-FM checkpoint"),
        (lambda c: c["model"].clear(), "lacks the tensors|its keys are pretrained"),
        (lambda c: c["cfg"].update(model=None), "configuration of the model"),
        (_configure(_name=["a"]), "is of the model"),
        (_configure(encoder_attention_heads=0), "encoder_attention_heads is 0"),
        (_configure(encoder_attention_heads=-4), "encoder_attention_heads is -4"),
        (_configure(encoder_attention_heads=None), "encoder_attention_heads is None"),
        (_configure(encoder_attention_heads=7), "7, no whole number that divides 48"),
        (_configure(dropout=None), "dropout is None"),
        (_configure(dropout_input=float("nan")), "dropout_input is nan"),
        (_put(3, torch.zeros(1)), "'model' holds 3"),
        (_put("encoder.layer_norm.bias", torch.zeros(32, dtype=torch.complex64)), "real numbers"),
        (_put("encoder.layer_norm.bias", torch.zeros(32).to_sparse()), "dense"),
        (_put("encoder.layer_norm.bias", torch.full((32,), float("nan"))), "NaN or infinity"),
        (
            _put(
                "encoder.conv_pos.pos_conv.0.parametrizations.weight.original1",
                torch.zeros(48, 0, 8),
            ),
            "three axes",
        ),
        (_put("encoder.feature_extractor.conv_layers.0.0.weight", torch.zeros(32)), "three axes"),
        (_put("encoder.encoder.layers.x.fc1.weight", torch.zeros(48)), "layers.x.fc1"),
        (
            _put("a", torch.zeros(1).expand(1 << 20, 1 << 20)),
            r"shape \(1048576, 1048576\) has no such data",
        ),
        (lambda c: c["model"].update(dict.fromkeys("abcdefgh", torch.zeros(1 << 18))), "larger"),
        (_put("a", torch.zeros(3, device="meta")), r"shape \(3,\) has no such data"),
        (_put("encoder.encoder.layers.0.fc1.weight", torch.zeros(())), "lacks the tensors"),
        (_put("proj.weight", torch.zeros(())), "not two axes"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_checkpoint(_changed(tmp_path, change))


def test_parts_that_other_pretraining_adds_are_dropped(tmp_path):
    content = torch.load(DATA / "pretrained.pt", weights_only=True)
    content["model"]["target_glu.0.weight"] = torch.zeros(3, 3)
    torch.save(content, tmp_path / "more.pt")
    module, _, _ = load_checkpoint(tmp_path / "more.pt")
    want = load_checkpoint(DATA / "pretrained.pt")[0].state_dict()
    assert all(torch.equal(value, want[key]) for key, value in module.state_dict().items())


def test_pickled_code_does_not_run(tmp_path):
    flag = tmp_path / "ran"
    content = torch.load(DATA / "finetuned.pt", weights_only=True)
    torch.save({**content, "args": _Bomb(flag)}, tmp_path / "bomb.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Bomb(flag)))
    for name in ("bomb.pt", "plain.pt"):
        with pytest.raises(ValueError, match=name):
            load_checkpoint(tmp_path / name)
    assert not flag.exists()


def test_damaged_and_missing_files_are_named(tmp_path):
    whole = (DATA / "finetuned.pt").read_bytes()
    for name, content in (("cut.pt", whole[:100_000]), ("empty.pt", b""), ("text.pt", b"weights")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            load_checkpoint(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="downloaded by hand"):
        load_checkpoint(tmp_path / "nothing.pt")


def test_compressed_records_are_not_unpacked(tmp_path):
    path = tmp_path / "packed.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed/data.pkl", bytes(1 << 22))
        archive.writestr("packed/version", "3")
    with pytest.raises(ValueError, match="packed.pt .* unpack to 4194305 bytes"):
        load_checkpoint(path)


# A stack that is empty, an object that was never stored, an identifier that is not a storage.
@pytest.mark.parametrize("opcodes", [b"\x80\x020.", b"\x80\x02h\x07.", b"\x80\x02}}Q."])
def test_damaged_opcodes_are_named(tmp_path, opcodes):
    path = tmp_path / "opcodes.pt"
    with zipfile.ZipFile(DATA / "finetuned.pt") as whole, zipfile.ZipFile(path, "w") as damaged:
        for name in whole.namelist():
            content = opcodes if name.endswith("data.pkl") else whole.read(name)
            damaged.writestr(name, content)
    with pytest.raises(ValueError, match="opcodes.pt"):
        load_checkpoint(path)


def test_safetensors_round_trip(tmp_path, finetuned, inputs):
    card = {"data": "reference", "seed": 3, "scores": {"roc_auc": 0.5}}
    save_safetensors(finetuned, tmp_path / "model.safetensors", card)
    module, again = load_safetensors(tmp_path / "model.safetensors")
    assert again == card
    assert module.config == finetuned.config
    with torch.no_grad():
        torch.testing.assert_close(
            module(inputs["x1251"])["logits"], finetuned(inputs["x1251"])["logits"], atol=0, rtol=0
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:500])
    with pytest.raises(ValueError, match="cut.safetensors"):
        load_safetensors(tmp_path / "cut.safetensors")


def test_a_safetensors_file_with_nan_is_refused(tmp_path, finetuned):
    module = copy.deepcopy(finetuned)
    with torch.no_grad():
        module.layer_norm.bias[0] = float("nan")
    save_safetensors(module, tmp_path / "model.safetensors", {})
    with pytest.raises(ValueError, match="model.safetensors: 'layer_norm.bias' holds NaN"):
        load_safetensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"crtkit": "ecgfm"},
        {"crtkit": "ecgfm", "sizes": "{}", "card": "{}"},
        {"crtkit": "ecgfm", "sizes": "{", "card": "{}"},
        {
            "crtkit": "ecgfm",
            "sizes": '{"conv_layers": [], "quantizer": null, "a": 1}',
            "card": "{}",
        },
    ],
)
def test_other_safetensors_files_are_refused(tmp_path, metadata):
    save_file({"a": torch.zeros(2)}, str(tmp_path / "other.safetensors"), metadata=metadata)
    with pytest.raises(ValueError, match="other.safetensors"):
        load_safetensors(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "change",
    [{"ffn_dim": 1 << 40}, {"n_layers": 1 << 40}, {"conv_layers": [[1, 1, 1]] * 20_000}],
)
def test_sizes_of_a_safetensors_file_take_no_memory_unseen(tmp_path, change):
    sizes = json.dumps({**asdict(SIZES["tiny"]), **change})
    path = tmp_path / "large.safetensors"
    metadata = {"crtkit": "ecgfm", "sizes": sizes, "card": "{}"}
    save_file({"a": torch.zeros(2)}, str(path), metadata=metadata)
    with pytest.raises(ValueError, match="large.safetensors"):
        load_safetensors(path)


def test_a_new_head_keeps_the_backbone(inputs):
    module, _, _ = load_checkpoint(DATA / "pretrained.pt")
    with torch.no_grad():
        before = module(inputs["x1251"])["pooled"]
        assert "logits" not in module(inputs["x1251"])
        module.replace_head(2)
        after = module(inputs["x1251"])
    torch.testing.assert_close(after["pooled"], before, atol=0, rtol=0)
    assert after["logits"].shape == (2, 2)
