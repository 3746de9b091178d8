"""The public ECG-FM files: what of them is believed, and the sizes that their tensors tell.

Sizes come from the tensors; the configuration gives only what tensors cannot tell (strides, heads,
dropout). It is parsed, never evaluated, and no pickled object is ever built.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crtkit.neural.ecgfm.network import ECGFMConfig
from crtkit.neural.files import check_finite, read_torch

_KINDS = {"wav2vec2_cmsc": "pretrained", "ecg_transformer_classifier": "finetuned"}
_OLD_WEIGHT_NORM = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
# Parts that a pretraining file may hold and that this network never has.
_DROPPED = ("target_glu.", "input_quantizer.", "project_inp.")
_MAX_CONVOLUTIONS = 64


def read_published(path: Path) -> tuple[ECGFMConfig, dict[str, Tensor], dict[str, Any], str]:
    """Sizes, tensors under the names of the network, configuration and kind of a ``.pt`` file."""
    content = _read(path)
    config = content["cfg"]["model"]
    state, kind = _plain_keys(path, content["model"], config)
    return _sizes(path, state, config), state, config, kind


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. The public ECG-FM checkpoints are downloaded by hand, from "
            "where their authors offer them; give the file's path."
        )
    content = read_torch(path, mmap=True)
    model = content.get("model") if isinstance(content, dict) else None
    cfg = content.get("cfg") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(cfg, dict) or "model" not in cfg:
        holds = sorted(map(str, content))[:8] if isinstance(content, dict) else type(content)
        raise ValueError(
            f"{path} is not an ECG-FM checkpoint: 'model' and 'cfg' expected, got {holds}."
        )
    if not isinstance(cfg["model"], dict):
        raise ValueError(f"{path}: the configuration of the model is {type(cfg['model'])}.")
    n_left = path.stat().st_size
    for key, value in model.items():
        dense = isinstance(value, Tensor) and value.layout == torch.strided
        dense = dense and value.device.type == "cpu"
        if not isinstance(key, str) or not dense or not value.is_floating_point():
            raise ValueError(f"{path}: 'model' holds {key!r}, no dense tensor of real numbers.")
        # Strides of zero, or one storage named often, make a small file fill the memory.
        n_left -= value.numel() * value.element_size()
        if n_left < 0:
            raise ValueError(f"{path}: the tensors up to {key!r} are larger than the file.")
        check_finite(path, key, value)
    return content


def _plain_keys(path: Path, model: dict[str, Tensor], config) -> tuple[dict[str, Tensor], str]:
    """State dict in the pretraining layout without what only pretraining uses, and its kind."""
    named = _KINDS.get(str(config.get("_name")))
    kind = "finetuned" if "proj.weight" in model else "pretrained"
    if named is None:
        raise ValueError(
            f"{path} is of the model {config.get('_name')!r}; ECG-FM is one of {list(_KINDS)}."
        )
    if named != kind:
        raise ValueError(f"{path} is called {named} in its configuration, but its keys are {kind}.")
    state: dict[str, Tensor] = {}
    for key, value in model.items():
        # The same prefix means the transformer in one kind and the whole backbone in the other.
        plain = key.removeprefix("encoder.") if kind == "finetuned" else key
        head, _, tail = plain.rpartition(".")
        plain = f"{head}.{_OLD_WEIGHT_NORM[tail]}" if tail in _OLD_WEIGHT_NORM else plain
        if plain.startswith(_DROPPED):
            continue
        if plain in state:
            raise ValueError(f"{path} holds {plain!r} twice, under two names.")
        state[plain] = value
    return state, kind


def _sizes(path: Path, state: dict[str, Tensor], config):
    try:
        dim, width = state["post_extract_proj.weight"].shape
        ffn_dim = state["encoder.layers.0.fc1.weight"].shape[0]
        position = state["conv_pos.pos_conv.0.parametrizations.weight.original1"].shape
        convs = [tuple(state[key].shape) for key in _conv_keys(state)]
        if len(position) != 3 or 0 in position or any(len(shape) != 3 for shape in convs):
            raise ValueError("a convolution does not have three axes")
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"{path} lacks the tensors of an ECG-FM network: {error}.") from error
    for key in ("proj.weight", "final_proj.weight"):
        if key in state and state[key].ndim != 2:
            raise ValueError(f"{path}: {key!r} has shape {tuple(state[key].shape)}, not two axes.")
    layers = {key.split(".")[2] for key in state if key.startswith("encoder.layers.")}
    if config.get("layer_norm_first") or config.get("extractor_mode", "default") != "default":
        raise ValueError(
            f"{path} is configured as pre-norm or with another feature extractor "
            f"(layer_norm_first={config.get('layer_norm_first')}, "
            f"extractor_mode={config.get('extractor_mode')!r}); ECG-FM is neither."
        )
    spec = parse_conv_layers(str(config.get("conv_feature_layers", "[(256, 2, 2)] * 4")))
    shapes = [(width_, kernel) for width_, kernel, _ in spec]
    if shapes != [(shape[0], shape[2]) for shape in convs]:
        raise ValueError(
            f"{path}: conv_feature_layers says (width, kernel) {shapes}, the tensors "
            f"{[(shape[0], shape[2]) for shape in convs]}."
        )
    sizes = ECGFMConfig(
        conv_layers=spec,
        n_leads=convs[0][1],
        dim=dim,
        ffn_dim=ffn_dim,
        n_heads=_count(path, config, "encoder_attention_heads", 12, of=dim),
        n_layers=len(layers),
        pos_kernel=position[2],
        pos_groups=dim // position[1],
        dropout=_rate(path, config, "dropout"),
        attention_dropout=_rate(path, config, "attention_dropout"),
        activation_dropout=_rate(path, config, "activation_dropout"),
        input_dropout=_rate(path, config, "dropout_input"),
        head_dropout=_rate(path, config, "final_dropout"),
        n_labels=state["proj.weight"].shape[0] if "proj.weight" in state else 0,
    )
    if "quantizer.vars" in state:
        codes = state["quantizer.vars"].shape
        if len(codes) != 3:
            raise ValueError(f"{path}: 'quantizer.vars' has shape {tuple(codes)}, not three axes.")
        _, n_codes, entry_dim = codes
        n_groups = _count(path, config, "latent_groups", 2, of=n_codes)
        final_dim = state["final_proj.weight"].shape[0] if "final_proj.weight" in state else 256
        sizes = replace(
            sizes, quantizer=(n_groups, n_codes // n_groups, entry_dim), final_dim=final_dim
        )
    return sizes


def _count(path: Path, config, name: str, default: int, of: int) -> int:
    """Read a whole number of the configuration that divides a size of the network."""
    value = config.get(name, default)
    if type(value) is not int or value < 1 or of % value:
        raise ValueError(f"{path}: {name} is {value!r}, no whole number that divides {of}.")
    return value


def _rate(path: Path, config, name: str) -> float:
    value = config.get(name, 0.0)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{path}: {name} is {value!r}, no number from 0 to 1.")
    return float(value)


def _conv_keys(state: dict[str, Tensor]) -> list[str]:
    pattern = re.compile(r"feature_extractor\.conv_layers\.(\d+)\.0\.weight")
    layers = {int(match[1]): key for key in state if (match := pattern.fullmatch(key))}
    return [layers[i] for i in sorted(layers)]


def parse_conv_layers(text: str) -> tuple[tuple[int, int, int], ...]:
    """Parse a convolution list such as ``"[(256, 2, 2)] * 4 + [(128, 3, 1)]"`` without running it.

    Raises
    ------
    ValueError
        Anything but lists of (width, kernel, stride), ``*`` with a number, and ``+``.
    """
    try:
        layers = _walk(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"conv_feature_layers {text[:80]!r} is not a list of (width, kernel, stride): {error}"
        ) from error
    if not 0 < len(layers) <= _MAX_CONVOLUTIONS:
        raise ValueError(f"conv_feature_layers gives {len(layers)} convolutions.")
    for layer in layers:
        if len(layer) != 3 or any(type(n) is not int or n < 1 for n in layer):
            raise ValueError(f"conv_feature_layers holds {layer!r}, not (width, kernel, stride).")
    return tuple(layers)


def _walk(node: ast.expr) -> list[Any]:
    if isinstance(node, ast.List):
        return [ast.literal_eval(item) for item in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _bounded(_walk(node.left) + _walk(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = node.left, node.right
        if isinstance(left, ast.Constant):
            left, right = right, left
        if isinstance(right, ast.Constant) and type(right.value) is int:
            if not 0 < right.value <= _MAX_CONVOLUTIONS:
                raise ValueError(f"{right.value} repetitions")
            return _bounded(_walk(left) * right.value)
    raise ValueError("only lists, + and * with a number are read")


def _bounded(layers: list[Any]) -> list[Any]:
    # At every step: repetitions of repetitions fill the memory before the end is reached.
    if len(layers) > _MAX_CONVOLUTIONS:
        raise ValueError(f"more than {_MAX_CONVOLUTIONS} convolutions")
    return layers
