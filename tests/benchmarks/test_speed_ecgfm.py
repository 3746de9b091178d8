"""The peer that ECG-FM is timed against computes the same thing."""

import torch

from benchmarks.speed.ecgfm import literal, throughput, training
from crtkit.neural.ecgfm.network import ECGFM, SIZES


def test_the_literal_reading_gives_the_same_output():
    torch.manual_seed(0)
    network = ECGFM(SIZES["tiny"]).eval()
    for parameter in network.parameters():  # norms and biases that do something
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 12, 800)
    with torch.inference_mode():
        torch.testing.assert_close(literal(network, x), network(x)["pooled"], atol=1e-4, rtol=1e-4)


def test_throughput_counts_tokens_and_operations():
    network = ECGFM(SIZES["tiny"]).eval()
    out = throughput(network, 2, "cpu", repeats=1, side=64)
    seconds = 2 * SIZES["tiny"].n_tokens(5000) / out["tokens_per_second"]
    # Of each token: four square matrices, two of the feed-forward part, in two layers.
    least = 2 * 2 * 312 * 2 * (4 * 48 * 48 + 2 * 48 * 96)
    assert out["flops_per_second"] * seconds > least


def test_training_is_timed_in_both_forms():
    timed = training("tiny", "cpu", n=2, repeats=1, precision="float32")
    assert timed["ratio"] > 0
    assert set(timed["records_per_second"]) == {"direct", "fft"}
