"""Each pretraining loss beside a loop that says what it is."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from crtkit.neural.ecgfm import load_checkpoint
from crtkit.neural.ecgfm.losses import (
    cmsc_loss,
    contrastive_loss,
    diversity_loss,
    draw_negatives,
    feature_penalty,
    gumbel_temperature,
    mask_leads,
    quantize,
    span_mask,
)

DATA = Path(__file__).parents[2] / "data" / "ecg_fm"


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def loop_contrastive(predicted, targets, negatives, temperature):
    losses = []
    for p, q, chosen in zip(predicted.numpy(), targets.numpy(), negatives, strict=True):
        tokens = []
        for t in range(len(p)):
            others = [int(j) for j in chosen[t] if not np.array_equal(q[int(j)], q[t])]
            logits = [cosine(p[t], q[j]) / temperature for j in [t, *others]]
            tokens.append(math.log(sum(map(math.exp, logits))) - logits[0])
        losses.append(np.mean(tokens))
    return np.array(losses)


def test_contrast_with_drawn_negatives():
    predicted, targets = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    targets[:, 4] = targets[:, 1]  # as two tokens that chose the same code
    negatives = draw_negatives(3, 6, 7)
    want = loop_contrastive(predicted, targets, negatives, 0.1)
    np.testing.assert_allclose(contrastive_loss(predicted, targets, negatives), want, rtol=1e-10)


def test_contrast_with_all_other_tokens():
    predicted, targets = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    targets[:, 4] = targets[:, 1]
    others = np.array([[j for j in range(6) if j != t] for t in range(6)])
    want = loop_contrastive(predicted, targets, [others] * 3, 0.2)
    np.testing.assert_allclose(
        contrastive_loss(predicted, targets, temperature=0.2), want, rtol=1e-10
    )


def test_no_gradient_is_lost_where_all_negatives_equal_the_target():
    predicted = torch.randn(1, 3, 4, requires_grad=True)
    loss = contrastive_loss(predicted, torch.ones(1, 3, 4))
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert predicted.grad.isfinite().all()


def test_segments_of_a_patient():
    first, second = torch.randn(2, 5, 4, dtype=torch.float64)
    patients = [0, 1, 0, 2, 2]
    want = []
    for i in range(5):
        positive = [j for j in range(5) if patients[j] == patients[i]]
        both = 0.0
        for a, b in ((first, second), (second, first)):
            logits = [cosine(a[i].numpy(), b[j].numpy()) / 0.1 for j in range(5)]
            total = math.log(sum(map(math.exp, logits)))
            both += np.mean([total - logits[j] for j in positive])
        want.append(both / 2)
    got = cmsc_loss(first, second, torch.tensor(patients))
    np.testing.assert_allclose(got, want, rtol=1e-10)
    alone = cmsc_loss(first, second)
    np.testing.assert_allclose(alone[1], got[1], rtol=1e-10)  # a patient with one record
    assert not torch.allclose(alone[0], got[0])


@pytest.fixture
def published():
    """Quantiser of a pretraining file of the original program, and features it made."""
    outputs = np.load(DATA / "outputs_pretrained.npz")
    module = load_checkpoint(DATA / "pretrained.pt")[0]
    return module, torch.from_numpy(outputs["x2500/unmasked_features"])


def test_the_published_codebook_chooses_as_a_loop_does(published):
    module, features = published
    n_groups, n_entries, entry_dim = module.config.quantizer
    logits = module.quantizer.weight_proj(features).unflatten(-1, (n_groups, n_entries))
    codes, probabilities = quantize(logits, module.quantizer.vars)
    want = np.zeros(codes.shape, dtype=np.float32)
    mean = np.zeros((n_groups, n_entries))
    entries = module.quantizer.vars[0].detach().numpy()
    for t in range(logits.shape[1]):
        for g in range(n_groups):
            row = logits[0, t, g].detach().numpy().astype(np.float64)
            best = entries[g * n_entries + int(row.argmax())]
            want[0, t, g * entry_dim : (g + 1) * entry_dim] = best
            odds = np.exp(row - row.max())
            mean[g] += odds / odds.sum() / logits.shape[1]
    np.testing.assert_array_equal(codes.detach().numpy(), want)
    np.testing.assert_allclose(probabilities.detach(), mean, atol=1e-6)
    perplexity = sum(math.exp(-sum(p * math.log(p + 1e-7) for p in row)) for row in mean)
    n = n_groups * n_entries
    assert diversity_loss(probabilities).item() == pytest.approx((n - perplexity) / n, abs=1e-5)
    # The projection of a code is what a masked token must find.
    assert module.project_q(codes).shape[-1] == module.config.final_dim


def test_noise_chooses_by_the_logits_and_passes_their_gradient():
    odds = torch.tensor([0.5, 0.3, 0.2])
    logits = odds.log().expand(20000, 1, 3).clone().requires_grad_()
    codes, _ = quantize(logits, torch.eye(3)[None], temperature=2.0)
    assert codes.sum(1).unique().tolist() == [1.0]  # one entry, whole, at any temperature
    share = codes.detach().mean(0)
    assert (share - odds).abs().max() < 5 * math.sqrt(0.25 / 20000)
    codes[:, 0].sum().backward()
    assert logits.grad.abs().sum() > 0


def test_the_ends_of_diversity():
    assert diversity_loss(torch.full((2, 8), 1 / 8)).item() == pytest.approx(0, abs=1e-5)
    one = torch.zeros(2, 8)
    one[:, 3] = 1
    assert diversity_loss(one).item() == pytest.approx((16 - 2) / 16, abs=1e-5)


def test_penalty_and_temperature():
    conv = torch.randn(3, 4, 5)
    want = [float(np.mean(np.square(c.numpy()))) for c in conv]
    np.testing.assert_allclose(feature_penalty(conv), want, rtol=1e-6)
    temperature = 2.0
    for _ in range(1000):
        temperature *= 0.999995
    assert gumbel_temperature(1000) == pytest.approx(temperature, rel=1e-12)
    assert gumbel_temperature(277_258) > 0.5
    assert gumbel_temperature(277_260) == 0.5


def test_leads_vanish_whole_with_their_probability():
    x = torch.rand(4000, 12, 3) + 1
    masked = mask_leads(x, 0.5)
    gone = (masked == 0).all(-1)
    assert torch.equal(gone, (masked == 0).any(-1))
    assert torch.equal(masked[~gone], x[~gone])
    assert abs(gone.double().mean().item() - 0.5) < 5 * math.sqrt(0.25 / gone.numel())
    assert (mask_leads(x, 0.95) == 0).all((1, 2)).any()  # all twelve may go
    assert torch.equal(mask_leads(x, 0.0), x)


@settings(max_examples=50, deadline=None)
@given(
    n_records=st.integers(1, 6),
    n_tokens=st.integers(2, 80),
    span=st.integers(1, 12),
    probability=st.floats(0.05, 0.95),
)
def test_any_mask_has_rows_of_one_size_and_leaves_a_token(n_records, n_tokens, span, probability):
    mask = span_mask(n_records, n_tokens, probability=probability, span=span)
    counts = mask.sum(1)
    assert counts.unique().numel() == 1
    assert 1 <= counts[0] < n_tokens


def test_masked_tokens_come_in_spans():
    mask = span_mask(64, 156).numpy()
    starts = (mask[:, 1:] & ~mask[:, :-1]).sum() + mask[:, 0].sum()
    # Tokens a run: 1.7 if as many were drawn one by one. Spans of ten are longer, but the surplus
    # of a row is given back token by token, as the original does.
    assert mask.sum() / starts > 2.3
    # Overlap leaves 0.49 of the tokens; the row with fewest, which all follow, has fewer.
    assert 0.25 < mask.mean() < 0.49


@settings(max_examples=30, deadline=None)
@given(n_masked=st.integers(2, 20), n_negatives=st.integers(1, 50))
def test_no_token_is_its_own_negative(n_masked, n_negatives):
    drawn = draw_negatives(3, n_masked, n_negatives)
    own = torch.arange(n_masked)[None, :, None]
    assert not (drawn == own).any()
    assert drawn.min() >= 0
    assert drawn.max() < n_masked
