"""ECG-FM with what pretraining adds: masking, targets, two segments of a record, and their loss."""

import numpy as np
import torch
from torch import nn

from crtkit.neural.augment import augmented
from crtkit.neural.distributed import mean_over_devices
from crtkit.neural.ecgfm.front import LeadResampler, normalize_leads
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
from crtkit.neural.ecgfm.network import ECGFM

#: Columns of the network's output before the embeddings of the two segments.
TERMS = ("contrastive", "diversity", "features")


class PretrainingNetwork(nn.Module):
    """Records -> the terms of their loss, and an embedding of each of two adjacent segments.

    Parameters
    ----------
    config : ECGFMConfig
        With ``quantizer`` the backbone holds all that is trained, in the published layout.
    fs : float
        Sampling rate of the records.
    segment : float
        Seconds.
    contrastive, cmsc : bool
    lead_masking : float
    mask_probability : float
    mask_span : int
    n_negatives : int or None
    temperature : float
    quantizer_temperature : tuple of (start, end, decay)
    normalize : bool
    augment : callable or None
        On segments in mV, after which each is normalised by itself.
    projector : int or None
        Outputs of a small network between a segment's embedding and its contrast.
    """

    def __init__(
        self,
        config,
        *,
        fs,
        segment,
        contrastive,
        cmsc,
        lead_masking,
        mask_probability,
        mask_span,
        n_negatives,
        temperature,
        quantizer_temperature,
        normalize,
        augment=None,
        projector=None,
    ):
        super().__init__()
        self.backbone = ECGFM(config)
        rate = fs if config.fs is None else config.fs
        self.resample = LeadResampler(fs, rate)
        self.n_segment = round(segment * rate)
        self.contrastive, self.cmsc, self.lead_masking = contrastive, cmsc, lead_masking
        self.mask_probability, self.mask_span = mask_probability, mask_span
        self.n_negatives, self.temperature = n_negatives, temperature
        self.quantizer_temperature = tuple(quantizer_temperature)
        self.normalize, self.augment = normalize, augment
        if contrastive and config.quantizer is None:
            # Without a quantizer the targets are a projection of the features themselves.
            self.mask_emb = nn.Parameter(torch.rand(config.dim))
            self.project_q = nn.Linear(config.conv_layers[-1][0], config.final_dim)
            self.final_proj = nn.Linear(config.dim, config.final_dim)
        # The contrast wants what tells patients apart and drops the rest. With a network of its own
        # in between, as in SimCLR, it does so there and not in the embedding.
        self.projector = nn.Identity()
        if cmsc and projector:
            hidden = nn.Linear(config.dim, config.dim)
            self.projector = nn.Sequential(hidden, nn.GELU(), nn.Linear(config.dim, projector))
        # In the state, so that a resumed run goes on at the temperature it had.
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))

    def _normalized(self, x):
        return normalize_leads(x, self.backbone.config.normalize) if self.normalize else x

    def check_length(self, n_samples, what):
        """Refuse records of ``n_samples``, called ``what``, whose segments have too few tokens.

        Raises
        ------
        ValueError
            They have.
        """
        usable = n_samples * self.resample.up // self.resample.down
        n_segment = min(self.n_segment, usable // (2 if self.cmsc else 1))
        # One token stays visible, one is masked, and another masked one is what it is told from.
        needed = 3 if self.contrastive else 1
        if self.backbone.config.n_tokens(n_segment) < needed:
            raise ValueError(
                f"ECGFMPretraining needs segments of {needed} tokens or more, of this size "
                f"{self.backbone.config.min_samples} samples for the first; {what}: segments of "
                f"{n_segment} samples, too short."
            )

    def embed(self, x, embedding="last"):
        """(n_records, n_leads, n_samples) -> (n_records, n_features), mean over whole segments."""
        x = self._normalized(self.resample(x))
        n = max(1, x.shape[-1] // self.n_segment)
        length = min(self.n_segment, x.shape[-1])
        x = x[..., : n * length].unflatten(-1, (n, length)).transpose(1, 2).flatten(0, 1)
        return self.backbone.embed(x, embedding).unflatten(0, (-1, n)).mean(1)

    def forward(self, x):
        """(n_records, n_leads, n_samples) -> (n_records, 3 + 2 width).

        The terms of the loss without their weights, mean of both segments; and the embeddings,
        behind the projector where there is one.
        """
        n = 2 if self.cmsc else 1
        length = used_length(x) * self.resample.up // self.resample.down
        x = random_span(self.resample(x), length, self.n_segment, n)
        if self.augment is not None:
            x = self._normalized(augmented(self.augment, torch.cat(x.chunk(n, dim=-1))))
        else:
            x = torch.cat(self._normalized(x).chunk(n, dim=-1))
        if self.lead_masking:
            x = mask_leads(x, self.lead_masking)
        terms, pooled = self._run(x)
        terms = terms.unflatten(0, (n, -1)).mean(0)
        pooled = self.projector(pooled).unflatten(0, (n, -1)).transpose(0, 1).flatten(1)
        if self.training:
            self.n_updates += 1
        return torch.cat([terms, pooled.to(terms.dtype)], dim=1)

    def _run(self, x):
        """Segments -> terms (n_segments, 3) and embeddings (n_segments, dim)."""
        backbone = self.backbone
        conv = backbone._features(x, {})
        features = backbone.layer_norm(conv.transpose(1, 2))
        tokens = backbone.dropout_input(backbone.post_extract_proj(features))
        mask = None
        if self.contrastive:
            mask = span_mask(
                *tokens.shape[:2],
                probability=self.mask_probability,
                span=self.mask_span,
                device=x.device,
            )
            mask_emb = self._part("mask_emb").to(tokens.dtype)
            tokens = torch.where(mask[..., None], mask_emb, tokens)
        tokens = backbone.encoder(tokens + backbone.conv_pos(tokens), None, {})
        terms = [self._contrast(tokens, features, mask), feature_penalty(conv)]
        (contrast, diversity), penalty = terms
        terms = torch.stack([contrast, diversity.expand_as(contrast), penalty], dim=1)
        return terms, tokens.float().mean(1)

    def _contrast(self, tokens, features, mask):
        """Contrastive loss of each segment, and the codebook's diversity loss."""
        zero = tokens.new_zeros(len(tokens), dtype=torch.float32)
        if mask is None:
            return zero, zero[0]
        n_masked = int(mask[0].sum())
        masked = features[mask].unflatten(0, (-1, n_masked))
        diversity = zero[0]
        config = self.backbone.config
        if config.quantizer is not None:
            quantizer = self.backbone.quantizer
            # Over all tokens, not the masked ones alone: the codebook's use is that of the record.
            logits = quantizer.weight_proj(features).unflatten(-1, config.quantizer[:2])
            temperature = None
            if self.training:
                temperature = gumbel_temperature(int(self.n_updates), *self.quantizer_temperature)
            codes, probabilities = quantize(logits, quantizer.vars, temperature)
            # Use of the codebook by the whole batch, wherever its records are.
            diversity = diversity_loss(mean_over_devices(probabilities))
            masked = codes[mask].unflatten(0, (-1, n_masked))
        targets = self._part("project_q")(masked).float()
        predicted = self._part("final_proj")(tokens[mask]).unflatten(0, (-1, n_masked)).float()
        negatives = None
        if self.n_negatives is not None:
            negatives = draw_negatives(len(tokens), n_masked, self.n_negatives, tokens.device)
        return contrastive_loss(predicted, targets, negatives, self.temperature), diversity

    def _part(self, name):
        holder = self if self.backbone.config.quantizer is None else self.backbone
        return getattr(holder, name)


def used_length(x):
    """Samples of each record (n_records, n_leads, n_samples) before all leads are zero to its end.

    Short recordings are filled with zeros to a common length; those zeros are not pretrained on.
    """
    used = (x != 0).any(1)
    length = (used * torch.arange(1, x.shape[-1] + 1, device=x.device)).amax(1)
    return torch.where(length > 0, length, torch.full_like(length, x.shape[-1]))


def shortest_record(X):
    """Samples of the shortest record of an array (n_records, n_leads, n_samples), and which it is.

    Zeros in all leads up to the end of a record do not count.
    """
    lengths = used_length(torch.from_numpy(np.array(X)))
    return int(lengths.min()), int(lengths.argmin())


def random_span(x, length, n_segment, n_segments):
    """Whole segments, one after another, at a random place of each record.

    Parameters
    ----------
    x : Tensor of shape (n_records, n_leads, n_samples)
    length : int64 Tensor of shape (n_records,)
        Samples of each record that may be used.
    n_segment : int
        Samples a segment; fewer where a record of the batch is too short for all segments.
    n_segments : int

    Returns
    -------
    Tensor of shape (n_records, n_leads, n_segments * n_segment)

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.pretraining_network import random_span
    >>> random_span(torch.arange(8.0)[None, None], torch.tensor([6]), 4, 2).shape
    torch.Size([1, 1, 6])
    """
    width = n_segments * max(1, min(n_segment, int(length.min()) // n_segments))
    room = (length - width + 1).clamp(min=1)
    start = (torch.rand(len(x), device=x.device) * room).long()
    at = (start[:, None] + torch.arange(width, device=x.device)).clamp(max=x.shape[-1] - 1)
    return x.gather(2, at[:, None].expand(-1, x.shape[1], -1))


class PretrainingLoss(nn.Module):
    """One loss per record from what :class:`PretrainingNetwork` returns.

    Parameters
    ----------
    weights : tuple of float
        Of :data:`TERMS`.
    cmsc : bool
    temperature : float
    """

    def __init__(self, weights, cmsc, temperature):
        super().__init__()
        self.weights, self.cmsc, self.temperature = tuple(weights), cmsc, temperature

    def forward(self, output, patients):
        """Output (n_records, 3 + 2 width) and patients (n_records,) -> losses (n_records,)."""
        terms, pooled = output[:, : len(TERMS)], output[:, len(TERMS) :]
        loss = terms @ terms.new_tensor(self.weights)
        if self.cmsc:
            first, second = pooled.chunk(2, dim=1)
            loss = loss + cmsc_loss(first, second, patients, self.temperature)
        return loss
