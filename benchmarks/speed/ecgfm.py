"""ECG-FM's forward pass against a literal reading of its description.

Goals
-----
The forward pass of the base size on two records of ten seconds, with the attention of torch
(``scaled_dot_product_attention``), at least as fast as the same weights run line by line as the
description reads: attention as two matrix products and a softmax, every matrix in memory.

On a GPU, in bf16: tokens per second, and the share of the rate of one large matrix product on
the same device; and training steps on four channels of ten seconds at least three times as fast
with the position convolution by Fourier transform as with the direct one.

Non-goals
---------
Training on the CPU; other sizes.
"""

import dataclasses
import functools
import math
import time
from unittest.mock import patch

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.neural.devices import autocast, forked_rng
from crtkit.neural.ecgfm import network as position_user
from crtkit.neural.ecgfm.network import ECGFM, SIZES
from crtkit.neural.ecgfm.position import grouped_conv
from crtkit.neural.engine import TrainingOptions, make_optimizer


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
    goals = {"ECG-FM forward": against_goal(ratios["ours"], 1.0)}
    gpu = None
    if torch.cuda.is_available():
        gpu = throughput(network.cuda(), 256, "cuda")
        gpu["training"] = trained = training(size, "cuda")
        goals["ECG-FM training, gpu"] = against_goal(trained["ratio"], 3.0)
    return {
        "goals": goals,
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


def training(size, device, n=32, repeats=5, precision="bf16"):
    """Records a second of training with the position convolution in either form.

    Parameters
    ----------
    size : str
    device : str
    n : int, default=32
        Records of four channels of ten seconds per step.
    repeats : int, default=5
    precision : {"bf16", "float32"}

    Returns
    -------
    dict
    """
    rates = {}
    for method in ("direct", "fft"):
        conv = functools.partial(grouped_conv, method=method)
        # Deterministic kernels, as every fit of the package has them.
        with forked_rng(0, torch.device(device)), patch.object(position_user, "grouped_conv", conv):
            network = ECGFM(dataclasses.replace(SIZES[size], n_leads=4)).to(device).train()
            parameters = list(network.parameters())
            optimizer = make_optimizer([{"params": parameters}], TrainingOptions(), device)
            x = torch.randn(n, 4, 5000, device=device)

            def step(network=network, optimizer=optimizer, x=x):
                optimizer.zero_grad(set_to_none=True)
                with autocast(device, precision):
                    loss = network(x)["pooled"].square().mean()
                loss.backward()
                optimizer.step()

            rates[method] = n / _seconds(step, device, repeats)
    return {
        "batch": n,
        "precision": precision,
        "records_per_second": rates,
        "ratio": rates["fft"] / rates["direct"],
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
