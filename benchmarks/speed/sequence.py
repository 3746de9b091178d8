"""Signal networks against sktime's own classifiers, and ECG-FM's attention against plain matrices.

Goals
-----
An epoch of FCN and of InceptionTime at least as fast as sktime's classifier of the same network,
sizes, batch and threads, with the estimator's checks and its validation of data. The forward pass
of ECG-FM (base) at least as fast as the same weights with attention written out as two matrix
products and a softmax, which is a literal reading of its description.

On a GPU: tokens a second of the ECG-FM forward pass in bf16.

Non-goals
---------
Accuracy; other networks, which differ from FCN by their modules only.
"""

import math
import time

import numpy as np
import torch

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.neural import FCNClassifier, InceptionTimeClassifier
from crtkit.neural.ecgfm import ECGFM, SIZES


def run(quick=False):
    """Measure on the CPU, and ECG-FM on a GPU where there is one.

    Parameters
    ----------
    quick : bool, default=False
        Fewer and shorter records, a tiny ECG-FM, two rounds.

    Returns
    -------
    dict
        ``goals``; ``training`` and ``attention`` with seconds, ratios and rounds; ``gpu`` or None.
    """
    repeats = 2 if quick else 3
    training = _training(*((16, 250) if quick else (32, 1000)), repeats)
    attention = _attention("tiny" if quick else "base", 2, repeats)
    goals = {name: against_goal(row["ratios"]["ours"], 1.0) for name, row in training.items()}
    goals["ECG-FM forward"] = against_goal(attention["ratios"]["ours"], 1.0)
    gpu = _gpu() if torch.cuda.is_available() else None
    return {
        "goals": goals,
        "threads": torch.get_num_threads(),
        "training": training,
        "attention": attention,
        "gpu": gpu,
        "seed": 0,
    }


def _training(n, n_samples, repeats):
    """Seconds of one epoch of sktime's classifiers and of ours."""
    from sktime.classification.deep_learning.fcn import FCNClassifierTorch
    from sktime.classification.deep_learning.inceptiontime import InceptionTimeClassifierTorch

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 4, n_samples)).astype("f4"), np.arange(n) % 2
    common = {"num_epochs": 1, "batch_size": 16, "random_state": 0}
    ours = {"max_epochs": 1, "batch_size": 16, "random_state": 0}
    pairs = {
        "FCN epoch": (FCNClassifierTorch, FCNClassifier),
        "InceptionTime epoch": (InceptionTimeClassifierTorch, InceptionTimeClassifier),
    }
    out = {}
    for name, (theirs, mine) in pairs.items():
        functions = {
            "sktime": lambda cls=theirs: cls(**common).fit(X, y),
            "ours": lambda cls=mine: cls(**ours).fit(X, y),
        }
        seconds, ratios, rounds = interleaved(functions, repeats)
        out[name] = {
            "shape": list(X.shape),
            "seconds": seconds,
            "ratios": ratios,
            "rounds": rounds,
        }
    return out


def _attention(size, n, repeats):
    """Seconds of ECG-FM's forward pass, attention fused and written out."""
    torch.manual_seed(0)
    network = ECGFM(SIZES[size]).eval()
    literal = ECGFM(SIZES[size]).eval()
    literal.load_state_dict(network.state_dict())
    for layer in literal.encoder.layers:
        layer.self_attn.forward = _Literal(layer.self_attn)
    x = torch.randn(n, 12, 5000)
    with torch.inference_mode():
        gap = (network(x)["pooled"] - literal(x)["pooled"]).abs().max()
        functions = {"literal": lambda: literal(x), "ours": lambda: network(x)}
        seconds, ratios, rounds = interleaved(functions, repeats)
    return {
        "size": size,
        "shape": list(x.shape),
        "largest_difference": float(gap),
        "seconds": seconds,
        "ratios": ratios,
        "rounds": rounds,
    }


class _Literal:
    """The peer: softmax(q k' / sqrt(d)) v, every matrix in memory."""

    def __init__(self, module):
        self.module = module

    def __call__(self, x, padded):
        m = self.module
        q, k, v = (m._heads(p(x)) for p in (m.q_proj, m.k_proj, m.v_proj))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        return m.out_proj((weights @ v).transpose(1, 2).flatten(2))


def _gpu(n=256, repeats=10):
    """Tokens a second of the base model in bf16."""
    torch.manual_seed(0)
    network = ECGFM(SIZES["base"]).eval().cuda()
    x = torch.randn(n, 12, 5000, device="cuda")
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
        tokens = network(x)["tokens"].shape[1]
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            network(x)
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / repeats
    return {"name": torch.cuda.get_device_name(), "tokens_per_second": n * tokens / seconds}
