"""What ECG-FM is pretrained on: masked tokens, adjacent segments, missing leads; as functions.

The parts are those of wav2vec 2.0 (a contrast over quantised tokens, with penalties), of CMSC (a
contrast between segments of one patient) and of random lead masking, as ECG-FM combines them.
Random numbers come from torch's current generator.
"""

import math

import torch
from torch.nn import functional as F


def mask_leads(x, probability):
    """Set each lead of each record to zero with a probability; all of them may vanish.

    Parameters
    ----------
    x : Tensor of shape (n_records, n_leads, n_samples)
        Zeros must be what a missing lead looks like, so after normalisation.
    probability : float
        0.5 in ECG-FM.

    Returns
    -------
    Tensor of shape (n_records, n_leads, n_samples)

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import mask_leads
    >>> mask_leads(torch.ones(1, 2, 3), 1.0).sum().item()
    0.0
    """
    kept = torch.rand(*x.shape[:2], 1, device=x.device) >= probability
    return x * kept.to(x.dtype)


def span_mask(n_records, n_tokens, *, probability=0.65, span=10, min_spans=2, device=None):
    """Which tokens are masked: spans at random places, as many tokens in every record.

    Parameters
    ----------
    n_records, n_tokens : int
    probability : float
        Of a token to be masked, were spans not to overlap; they do, so that fewer are.
    span : int
        Tokens a span.
    min_spans : int

    Returns
    -------
    bool Tensor of shape (n_records, n_tokens)
        Each row has the same number of True: that of the row with fewest, as in wav2vec 2.0. At
        least one token of a record is left.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import span_mask
    >>> mask = span_mask(4, 156)
    >>> tuple(mask.shape), mask.sum(1).unique().numel()
    ((4, 156), 1)
    """
    # At least one token stays visible: with all masked there is nothing to predict from.
    span = min(span, n_tokens - 1)
    # Rounded at random, as fairseq does, so that the mean share is the one asked for.
    n_spans = int(probability * n_tokens / span + torch.rand(()).item())
    n_spans = min(max(n_spans, min_spans), n_tokens - span + 1)
    starts = torch.rand(n_records, n_tokens - span + 1, device=device).argsort(1)[:, :n_spans]
    covered = (starts[:, :, None] + torch.arange(span, device=device)).flatten(1)
    mask = torch.zeros(n_records, n_tokens, dtype=torch.bool, device=device)
    mask.scatter_(1, covered, True)
    # Spans overlap differently in every row; equal counts make one dense tensor of targets.
    fewest = min(int(mask.sum(1).min()), n_tokens - 1)
    # Masked tokens in random order come first; the surplus of a row is unmasked.
    order = (torch.rand(mask.shape, device=device) + mask).argsort(1, descending=True)
    return torch.zeros_like(mask).scatter_(1, order[:, :fewest], True)


def draw_negatives(n_records, n_masked, n_negatives, device=None):
    """Positions of other masked tokens of the same record, with replacement.

    Parameters
    ----------
    n_records, n_masked, n_negatives : int
        Two masked tokens or more.

    Returns
    -------
    int64 Tensor of shape (n_records, n_masked, n_negatives)
        Never a token's own position.

    Examples
    --------
    >>> from crtkit.neural.ecgfm.losses import draw_negatives
    >>> draw_negatives(1, 2, 3)
    tensor([[[1, 1, 1],
             [0, 0, 0]]])
    """
    shape = (n_records, n_masked, n_negatives)
    drawn = torch.randint(n_masked - 1, shape, device=device)
    own = torch.arange(n_masked, device=device)[None, :, None]
    # Skips the token itself without drawing again.
    return drawn + (drawn >= own)


def contrastive_loss(predicted, targets, negatives=None, temperature=0.1):
    """Find each masked token's target among those of other masked tokens, by cosine similarity.

    Parameters
    ----------
    predicted, targets : Tensor of shape (n_records, n_masked, n_features)
    negatives : int64 Tensor of shape (n_records, n_masked, n_negatives), optional
        As of :func:`draw_negatives`; None compares with every other masked token of the record. A
        negative that equals the target, as quantised ones may, is left out.
    temperature : float
        0.1 in ECG-FM.

    Returns
    -------
    Tensor of shape (n_records,)
        Cross-entropy, mean over the masked tokens.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import contrastive_loss
    >>> tokens = torch.eye(3)[None]
    >>> contrastive_loss(tokens, tokens).item() < 1e-3
    True
    """
    predicted = F.normalize(predicted, dim=-1)
    unit = F.normalize(targets, dim=-1)
    similarity = predicted @ unit.transpose(1, 2) / temperature
    # Equal targets are told by value, before rounding of the norm can make them differ.
    same = (targets[:, :, None] == targets[:, None]).all(-1)
    n_masked = similarity.shape[1]
    if negatives is None:
        own = torch.eye(n_masked, dtype=torch.bool, device=same.device)
        logits = similarity.masked_fill(same & ~own, -torch.inf)
        positive = torch.diagonal(logits, dim1=1, dim2=2)
        return (logits.logsumexp(-1) - positive).mean(1)
    positive = torch.diagonal(similarity, dim1=1, dim2=2)[..., None]
    chosen = similarity.gather(2, negatives).masked_fill(same.gather(2, negatives), -torch.inf)
    logits = torch.cat([positive, chosen], dim=-1)
    return (logits.logsumexp(-1) - logits[..., 0]).mean(1)


def cmsc_loss(first, second, patients=None, temperature=0.1):
    """Contrast adjacent segments: those of one patient attract, those of others repel.

    Parameters
    ----------
    first, second : Tensor of shape (n_records, n_features)
        Embeddings of two adjacent segments of each record.
    patients : Tensor of shape (n_records,), optional
        Whose record it is; by default each record is of a patient of its own.
    temperature : float

    Returns
    -------
    Tensor of shape (n_records,)
        Mean of both directions, over the segments of the record's patient.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import cmsc_loss
    >>> segments = torch.eye(4)
    >>> cmsc_loss(segments, segments).max().item() < 1e-3
    True
    """
    first, second = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    # Firsts are compared with seconds alone, so that no record is its own negative.
    logits = first @ second.T / temperature
    if patients is None:
        patients = torch.arange(len(first), device=first.device)
    same = (patients[:, None] == patients).to(logits.dtype)
    # Several segments of a patient in the batch share the target; none of them is a negative.
    same = same / same.sum(1, keepdim=True)
    there = -(same * logits.log_softmax(1)).sum(1)
    back = -(same * logits.T.log_softmax(1)).sum(1)
    return (there + back) / 2


def quantize(logits, codebook, temperature=None):
    """Choose one entry of every group of a codebook.

    Parameters
    ----------
    logits : Tensor of shape (..., n_groups, n_entries)
    codebook : Tensor of shape (1, n_groups * n_entries, entry_dim)
    temperature : float or None
        Of Gumbel noise, with the gradient of the soft choice; None takes the best entry.

    Returns
    -------
    codes : Tensor of shape (..., n_groups * entry_dim)
        The chosen entries, side by side.
    probabilities : Tensor of shape (n_groups, n_entries)
        Mean softmax over all tokens, without noise.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import quantize
    >>> codes, _ = quantize(torch.eye(3)[None], torch.arange(9.0).view(1, 9, 1))
    >>> codes
    tensor([[0., 4., 8.]])
    """
    n_groups, n_entries = logits.shape[-2:]
    # In half precision the softmax over 320 entries loses the small ones that keep them in use.
    wide = logits.float()
    probabilities = wide.softmax(-1).flatten(0, -3).mean(0)
    if temperature is None:
        chosen = F.one_hot(wide.argmax(-1), n_entries).to(wide.dtype)
    else:
        chosen = F.gumbel_softmax(wide, tau=temperature, hard=True)
    entries = codebook.reshape(n_groups, n_entries, -1)
    codes = torch.einsum("...gv,gvd->...gd", chosen.to(entries.dtype), entries)
    return codes.flatten(-2), probabilities


def diversity_loss(probabilities):
    """How far the use of codebook entries is from even: 0 for even, towards 1 for one entry.

    Parameters
    ----------
    probabilities : Tensor of shape (n_groups, n_entries)

    Returns
    -------
    Tensor, a scalar
        (n - sum of the groups' perplexities) / n, with n entries in all.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.losses import diversity_loss
    >>> round(diversity_loss(torch.full((2, 320), 1 / 320)).item(), 4)
    0.0
    """
    # 1e-7 is wav2vec 2.0's: an unused entry has no logarithm.
    entropy = -(probabilities * (probabilities + 1e-7).log()).sum(-1)
    n = probabilities.numel()
    return (n - entropy.exp().sum()) / n


def feature_penalty(conv):
    """Mean square of the convolution features, (n_records, width, n_tokens) -> (n_records,)."""
    return conv.float().square().mean(dim=(1, 2))


def gumbel_temperature(n_updates, start=2.0, end=0.5, decay=0.999995):
    """Temperature of the quantiser after some updates: ``max(start * decay**n, end)``.

    Examples
    --------
    >>> from crtkit.neural.ecgfm.losses import gumbel_temperature
    >>> gumbel_temperature(0), gumbel_temperature(10**6)
    (2.0, 0.5)
    """
    return max(start * math.pow(decay, n_updates), end)
