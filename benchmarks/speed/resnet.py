"""ResNetClassifier against a plain PyTorch loop, ResNet-18 on 224 x 224 pages.

Goals
-----
On a processor with bf16 arithmetic (AVX512_BF16 or AMX): training with ``precision="bf16"``, data
and all, at least twice as fast as the plain float32 loop, prediction at least three times. The
plain loop is what a tutorial shows: float32, contiguous NCHW, AdamW as it comes.

float32 against float32 says what channels_last and the fused optimizer give, and that skorch and
the estimator around it cost nothing that can be seen; it has no goal. Why bf16 gives what it gives
on a processor stands beside: the rate of one large matrix product in both precisions, and where the
seconds of a training step go, by kind of operation. On a GPU: images per second,
and the share of the bf16 matrix product rate measured in the same run.

Non-goals
---------
Accuracy; ``torch.compile`` and other runtimes; several GPUs.
"""

import time

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torchvision.models import resnet18

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.neural.devices import autocast
from crtkit.neural.engine import TrainingOptions, make_optimizer
from crtkit.neural.resnet_network import ResNet

GOALS = {"training": 2.0, "inference": 3.0}
PRECISIONS = ("float32", "bf16")
#: Kinds of operations, by parts of the names that torch's profiler gives them.
KINDS = {
    "convolutions": ("convolution",),
    "batch norm": ("batch_norm",),
    "casts and copies": ("copy_", "_to_copy"),
}
# Multiply-adds counted as two; the backward pass costs two forward ones.
FORWARD_FLOP = 3.64e9
TRAINING_FLOP = 3 * FORWARD_FLOP


def run(quick=False):
    """Measure on the CPU, and on a GPU where there is one.

    Parameters
    ----------
    quick : bool, default=False
        Few small images and two rounds.

    Returns
    -------
    dict
        ``goals``; ``cpu`` and ``gpu``: what was timed, seconds, images per second, ratios; of the
        CPU also where a step's time goes, and the ``reason``. Goals of bf16 are null on a processor
        without it, and ``gpu`` is null without one.
    """
    size, n, repeats = (64, 16, 2) if quick else (224, 48, 5)
    bf16 = cpu_has_bf16()
    cpu = _measure("cpu", size, n, batch=16, repeats=repeats, bf16=bf16)
    goals = {
        what: against_goal(cpu[what]["ratios"]["bf16"], goal)
        if bf16
        else {"goal": goal, "ratio": None, "met": None}
        for what, goal in GOALS.items()
    }
    cpu["steps"] = steps = {p: seconds_by_kind(p, size, 16) for p in PRECISIONS[: 1 + bf16]}
    cpu["matrix_product_tflops"] = {p: _cpu_tflops(p) for p in steps}
    cpu["reason"] = reason(steps, cpu["matrix_product_tflops"]) if bf16 else None
    gpu = None
    if torch.cuda.is_available():
        n = 256 if quick else 4096
        gpu = _measure("cuda", size, n, batch=256, repeats=repeats, bf16=True)
        gpu["name"] = torch.cuda.get_device_name()
        gpu["matrix_product_tflops"] = peak = _gemm_tflops()
        share = (size / 224) ** 2 / 1e12 / peak
        gpu["share_of_peak"] = {
            "training": gpu["training"]["images_per_second"]["bf16"] * TRAINING_FLOP * share,
            "inference": gpu["inference"]["images_per_second"]["bf16"] * FORWARD_FLOP * share,
        }
    return {"goals": goals, "cpu_has_bf16": bf16, "cpu": cpu, "gpu": gpu, "seed": 0}


def cpu_has_bf16():
    """Whether the processor multiplies bf16; where it cannot be asked, no."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _measure(device, size, n, *, batch, repeats, bf16):
    """Times of an epoch and of a prediction: the plain loop, and the estimator per precision."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    y = np.arange(n) % 2
    precisions = PRECISIONS[: 1 + bf16]
    models = {
        p: ck.ResNetClassifier(
            max_epochs=1, batch_size=batch, device=device, precision=p, random_state=0
        )
        for p in precisions
    }
    training = {"plain": lambda: plain_training(X, y, batch, device)}
    training |= {p: lambda m=m: m.fit(X, y) for p, m in models.items()}
    result = {"size": size, "n_images": n, "batch_size": batch}
    result["training"] = _table(interleaved(training, repeats), n)
    network = plain_training(X[:2], y[:2], 2, device).eval()
    inference = {"plain": lambda: plain_inference(network, X, batch, device)}
    inference |= {p: lambda m=m: m.predict_proba(X) for p, m in models.items()}
    result["inference"] = _table(interleaved(inference, repeats), n)
    return result


def _table(timed, n):
    seconds, ratios, rounds = timed
    rates = {name: n / s for name, s in seconds.items()}
    return {"seconds": seconds, "images_per_second": rates, "ratios": ratios, "rounds": rounds}


def _to_input(X, device):
    mean = torch.tensor([0.485, 0.456, 0.406], device=device)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], device=device)[:, None, None]
    x = torch.from_numpy(X).to(device).permute(0, 3, 1, 2).contiguous().float()
    return (x / 255 - mean) / std


def plain_training(X, y, batch, device):
    """The peer: one epoch."""
    network = resnet18(num_classes=2).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    order = torch.randperm(len(X)).numpy()
    for start in range(0, len(X), batch):
        rows = order[start : start + batch]
        logits = network(_to_input(X[rows], device))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y[rows]).to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()  # waits for a GPU
    return network


def plain_inference(network, X, batch, device):
    """The peer: probabilities."""
    with torch.no_grad():
        parts = [
            network(_to_input(X[i : i + batch], device)).softmax(1).cpu()
            for i in range(0, len(X), batch)
        ]
    return torch.cat(parts).numpy()


def seconds_by_kind(precision, size, batch, repeats=3):
    """Seconds of one training step of the estimator's network on the CPU, by kind of operation.

    Returns
    -------
    dict of str to float
        A key of ``KINDS``, or "others".
    """
    network = ResNet(18, 64, 2).to(memory_format=torch.channels_last)
    optimizer = make_optimizer([{"params": list(network.parameters())}], TrainingOptions(), "cpu")
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)

    def step():
        with autocast("cpu", precision):
            loss = network(x).float().logsumexp(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()  # oneDNN compiles its kernels
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in range(repeats):
            step()
    seconds = dict.fromkeys([*KINDS, "others"], 0.0)
    for event in watched.key_averages():
        found = (k for k, names in KINDS.items() if any(n in event.key for n in names))
        seconds[next(found, "others")] += event.self_cpu_time_total / 1e6 / repeats
    return seconds


def reason(steps, rates):
    """Why bf16 is as much faster as it is, in a sentence."""
    single, half = (steps[p] for p in PRECISIONS)
    whole = sum(single.values()) / sum(half.values())
    parts = ", ".join(
        f"{kind} {1e3 * single[kind]:.0f} ms and {1e3 * half[kind]:.0f} ms" for kind in single
    )
    left = sum(half.values()) - half["convolutions"]
    return (
        f"A training step in float32 and in bf16 ({whole:.2f} times as fast): {parts}. One large "
        f"matrix product is {rates['bf16'] / rates['float32']:.2f} times as fast in bf16, the "
        f"convolutions {single['convolutions'] / half['convolutions']:.2f} times; the rest is "
        f"{left / sum(half.values()):.0%} of the step in bf16."
    )


def _cpu_tflops(precision, n=2048, repeats=5):
    """Rate of a large matrix product on the CPU."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(n, n).to(kind) for _ in range(2))
    a @ b
    start = time.perf_counter()
    for _ in range(repeats):
        a @ b
    return 2 * n**3 * repeats / (time.perf_counter() - start) / 1e12


def _gemm_tflops(n=8192, repeats=20):
    """Rate of a large bf16 matrix product on the GPU."""
    a = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    a @ b
    start.record()
    for _ in range(repeats):
        a @ b
    stop.record()
    torch.cuda.synchronize()
    return 2 * n**3 * repeats / (start.elapsed_time(stop) / 1e3) / 1e12
