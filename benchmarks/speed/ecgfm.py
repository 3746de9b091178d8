"""ECG-FM's forward pass against a literal reading of its description.

Goals
-----
The forward pass of the base size on two records of ten seconds, with the attention of torch
(``scaled_dot_product_attention``), at least as fast as the same weights run line by line as the
description reads: attention as two matrix products and a softmax, every matrix in memory.

On a GPU, in bf16: tokens per second, and the share of the rate of one large matrix product on
the same device.

Non-goals
---------
Training; other sizes.
"""

import math
import time

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.neural.ecgfm.network import ECGFM, SIZES


def run(quick=False):
    """Measure on the CPU, and on a GPU where there is one.

    Parameters
    ----------
    quick : bool, default=False
        A tiny ECG-FM, two rounds.

    Returns
    -------
    dict
        ``goals``; ``shape``, ``largest_difference`` of the two outputs, seconds, ratios and rounds;
        ``gpu`` or None.
    """
    size = "tiny" if quick else "base"
    torch.manual_seed(0)
    network = ECGFM(SIZES[size]).eval()
    x = torch.randn(2, 12, 5000)
    with torch.inference_mode():
        gap = (network(x)["pooled"] - literal(network, x)).abs().max()
        functions = {"literal": lambda: literal(network, x), "ours": lambda: network(x)}
        seconds, ratios, rounds = interleaved(functions, 2 if quick else 7)
    gpu = throughput(network.cuda(), 256, "cuda") if torch.cuda.is_available() else None
    return {
        "goals": {"ECG-FM forward": against_goal(ratios["ours"], 1.0)},
        "size": size,
        "threads": torch.get_num_threads(),
        "shape": list(x.shape),
        "largest_difference": float(gap),
        "seconds": seconds,
        "ratios": ratios,
        "rounds": rounds,
        "gpu": gpu,
        "seed": 0,
    }


def literal(network, x):
    """Run the peer: pooled output from the weights of ``network``, a line a sentence of the sheet.

    Parameters
    ----------
    network : ECGFM
        Whose weights are read.
    x : Tensor of shape (n_records, n_leads, n_samples)

    Returns
    -------
    Tensor of shape (n_records, dim)
    """
    w, config = network.state_dict(), network.config
    n_heads, scale = config.n_heads, math.sqrt(config.dim // config.n_heads)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    for i, (_, _, stride) in enumerate(config.conv_layers):
        name = f"feature_extractor.conv_layers.{i}"
        x = F.conv1d(x, w[f"{name}.0.weight"], stride=stride)
        if i == 0:
            x = F.group_norm(x, x.shape[1], w[f"{name}.2.weight"], w[f"{name}.2.bias"])
        x = F.gelu(x)
    x = linear(norm(x.transpose(1, 2), "layer_norm"), "post_extract_proj")
    name = "conv_pos.pos_conv.0"
    gain, direction = (w[f"{name}.parametrizations.weight.original{i}"] for i in (0, 1))
    weight = gain * direction / direction.square().sum((0, 1), keepdim=True).sqrt()
    padding, groups = config.pos_kernel // 2, config.pos_groups
    position = F.conv1d(x.transpose(1, 2), weight, w[f"{name}.bias"], 1, padding, 1, groups)
    if config.pos_kernel % 2 == 0:
        position = position[..., :-1]
    x = norm(x + F.gelu(position).transpose(1, 2), "encoder.layer_norm")
    for i in range(config.n_layers):
        name = f"encoder.layers.{i}"
        q, k, v = (
            linear(x, f"{name}.self_attn.{part}_proj").unflatten(-1, (n_heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        attention = (q @ k.transpose(-1, -2) / scale).softmax(-1)
        heads = (attention @ v).transpose(1, 2).flatten(2)
        x = norm(x + linear(heads, f"{name}.self_attn.out_proj"), f"{name}.self_attn_layer_norm")
        inner = F.gelu(linear(x, f"{name}.fc1"))
        x = norm(x + linear(inner, f"{name}.fc2"), f"{name}.final_layer_norm")
    return x.sum(1) / (x != 0).sum(1)


def throughput(network, n, device, repeats=10, side=8192):
    """Tokens a second in bf16, and the share of what a large matrix product reaches.

    Parameters
    ----------
    network : ECGFM
        On the device.
    n : int
        Records of ten seconds per batch.
    device : str
    repeats : int, default=10
    side : int, default=8192
        Rows and columns of the matrices.

    Returns
    -------
    dict
    """
    x = torch.randn(n, 12, 5000, device=device)
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        with FlopCounterMode(display=False) as counter:
            tokens = n * network(x)["tokens"].shape[1]
        seconds = _seconds(lambda: network(x), device, repeats)
        peak = 2 * side**3 / _seconds(lambda: matrix @ matrix, device, repeats)
    rate = counter.get_total_flops() / seconds
    return {
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "batch": n,
        "tokens_per_second": tokens / seconds,
        "flops_per_second": rate,
        "flops_per_second_of_matrix_product": peak,
        "share": rate / peak,
    }


def _seconds(function, device, repeats):
    """Mean time of a call, all queued work finished."""
    function()
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    wait()
    return (time.perf_counter() - start) / repeats
