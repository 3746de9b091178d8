"""ECG-FM in plain PyTorch.

Written from a description of the published network and held to the outputs of the program that
trained it: per-channel normalisation in the first convolution, post-norm transformer layers, the
encoder's LayerNorm before the first of them, and no position table.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from crtkit.neural.ecgfm.position import grouped_conv
from crtkit.neural.ecgfm.sizes import SIZES as SIZES, ECGFMConfig as ECGFMConfig


class ECGFM(nn.Module):
    """ECG-FM: convolutions, a convolutional position encoding, a post-norm transformer, a head.

    Parameters
    ----------
    config : ECGFMConfig
        Sizes; with ``quantizer`` the network also holds the parts that only pretraining uses, so
        that its state dict is that of a pretraining checkpoint, key by key.

    Notes
    -----
    Input is (n_records, n_leads, n_samples) at 500 Hz. The published weights were trained on
    per-lead z-scores of 5 s; a missing lead is zeros. Logits do not change under a common gain of
    all leads (above the normalisation's epsilon) or a constant added to a lead.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.ecgfm.network import ECGFM, SIZES
    >>> out = ECGFM(SIZES["tiny"]).eval()(torch.randn(2, 12, 2500))
    >>> tuple(out["tokens"].shape), tuple(out["pooled"].shape)
    ((2, 156, 48), (2, 48))
    """

    def __init__(self, config: ECGFMConfig):
        super().__init__()
        if config.dim % config.n_heads:
            raise ValueError(f"dim {config.dim} is not a multiple of n_heads {config.n_heads}.")
        if config.dim % config.pos_groups:
            raise ValueError(f"dim {config.dim} is not a multiple of pos_groups.")
        self.config = config
        width = config.conv_layers[-1][0]
        self.feature_extractor = _FeatureExtractor(config)
        self.layer_norm = nn.LayerNorm(width)
        self.post_extract_proj = nn.Linear(width, config.dim)
        self.dropout_input = nn.Dropout(config.input_dropout)
        self.conv_pos = _PositionEncoding(config)
        self.encoder = _Encoder(config)
        if config.quantizer is not None:
            n_groups, n_entries, entry_dim = config.quantizer
            self.mask_emb = nn.Parameter(torch.rand(config.dim))
            self.quantizer = _Codebook(width, n_groups, n_entries, entry_dim)
            self.project_q = nn.Linear(n_groups * entry_dim, config.final_dim)
            self.final_proj = nn.Linear(config.dim, config.final_dim)
        if config.n_labels:
            self.head_dropout = nn.Dropout(config.head_dropout)
            self.proj = nn.Linear(config.dim, config.n_labels)
            nn.init.xavier_uniform_(self.proj.weight)
            nn.init.zeros_(self.proj.bias)

    def replace_head(self, n_labels: int) -> None:
        """Give the network a new linear head of ``n_labels`` outputs, and keep the rest."""
        self.config = replace(self.config, n_labels=n_labels)
        self.head_dropout = nn.Dropout(self.config.head_dropout)
        like = self.post_extract_proj.weight
        self.proj = nn.Linear(self.config.dim, n_labels, device=like.device, dtype=like.dtype)
        nn.init.xavier_uniform_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def drop_pretraining(self) -> None:
        """Remove what only pretraining uses: mask embedding, quantizer and its projections."""
        if self.config.quantizer is not None:
            self.config = replace(self.config, quantizer=None)
            del self.mask_emb, self.quantizer, self.project_q, self.final_proj

    def forward(
        self, x: Tensor, padding_mask: Tensor | None = None, stages: bool = False
    ) -> dict[str, Tensor]:
        """Run the network.

        Parameters
        ----------
        x : Tensor of shape (n_records, n_leads, n_samples)
        padding_mask : bool Tensor of shape (n_records, n_samples) or as ``x``, optional
            True where a record is padded; padding is at its end, and equal in all leads.
        stages : bool
            Also return every intermediate output (``conv0``, ``feat_ln``, ``post_proj``,
            ``conv_pos``, ``enc_in_ln``, ``layer0``, …).

        Returns
        -------
        dict of str to Tensor
            ``conv`` (n_records, width, n_tokens), ``tokens`` (n_records, n_tokens, dim),
            ``pooled`` (n_records, dim), ``logits`` (n_records, n_labels) where there is a head,
            ``token_padding_mask`` where a mask came.

        Raises
        ------
        ValueError
            Wrong number of leads, or records too short for one token.
        """
        self._check(x)
        kept: dict[str, Tensor] = {}
        padded = self._token_mask(x, padding_mask)
        conv = self._features(x, kept)
        kept["feat_ln"] = features = self.layer_norm(conv.transpose(1, 2))
        kept["post_proj"] = projected = self.post_extract_proj(features)
        tokens = self.dropout_input(projected)
        kept["conv_pos"] = position = self.conv_pos(tokens)
        tokens = tokens + position
        if padded is not None:
            tokens = tokens.masked_fill(padded[..., None], 0.0)
        tokens = self.encoder(tokens, padded, kept)
        out = {"conv": conv, "tokens": tokens, "pooled": _pool(tokens, padded)}
        if self.config.n_labels:
            out["logits"] = self.proj(self.head_dropout(out["pooled"]))
        if padded is not None:
            out["token_padding_mask"] = padded
        return {**kept, **out} if stages else out

    def embed(self, x: Tensor, embedding: str = "last") -> Tensor:
        """Mean over tokens, of the last layer or of all of them side by side.

        Parameters
        ----------
        x : Tensor of shape (n_records, n_leads, n_samples)
        embedding : {"last", "layers"}

        Returns
        -------
        Tensor of shape (n_records, dim) or (n_records, n_layers * dim)
        """
        if embedding == "last":
            return self(x)["pooled"]
        kept: dict[str, Tensor] = self(x, stages=True)
        layers = [_pool(kept[f"layer{i}"], None) for i in range(self.config.n_layers)]
        return torch.cat(layers, dim=1)

    def attention(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Attention of every layer, averaged over heads.

        Returns
        -------
        Tensor of shape (n_records, n_layers, n_tokens, n_tokens)
            The third axis is the query.
        """
        kept: dict[str, Tensor] = self(x, padding_mask, stages=True)
        padded = kept.get("token_padding_mask")
        inputs = [kept["enc_in_ln"], *(kept[f"layer{i}"] for i in range(self.config.n_layers - 1))]
        maps = [
            layer.self_attn.weights(tokens, padded)
            for layer, tokens in zip(self.encoder.layers, inputs, strict=True)
        ]
        return torch.stack(maps, dim=1)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != self.config.n_leads:
            raise ValueError(
                f"ECGFM expects (n_records, {self.config.n_leads} leads, n_samples), "
                f"got shape {tuple(x.shape)}."
            )
        if x.shape[2] < self.config.min_samples:
            raise ValueError(
                f"ECGFM needs at least {self.config.min_samples} samples per record, "
                f"got {x.shape[2]}."
            )

    def _features(self, x: Tensor, kept: dict[str, Tensor]) -> Tensor:
        factor = self.config.feature_grad_mult
        # As fairseq does: not a gradient of zeros, none at all.
        if factor == 0:
            with torch.no_grad():
                return self.feature_extractor(x, kept)
        conv = self.feature_extractor(x, kept)
        if factor == 1 or not torch.is_grad_enabled():
            return conv
        # The same values, with the gradient scaled on its way back.
        return conv * factor + conv.detach() * (1 - factor)

    def _token_mask(self, x: Tensor, padding_mask: Tensor | None) -> Tensor | None:
        if padding_mask is None:
            return None
        mask = padding_mask[:, 0] if padding_mask.ndim == 3 else padding_mask
        if mask.shape != (x.shape[0], x.shape[2]):
            raise ValueError(f"padding_mask of shape {tuple(mask.shape)} does not fit {x.shape}.")
        if not bool(mask.any()):
            return None
        lengths = (~mask).sum(-1)
        if bool((mask != (torch.arange(x.shape[2], device=x.device) >= lengths[:, None])).any()):
            raise ValueError("padding_mask must be True only at the end of a record.")
        n_tokens = lengths.new_tensor([self.config.n_tokens(int(n)) for n in lengths])
        if bool((n_tokens == 0).any()):
            raise ValueError("A padded record is too short for one token.")
        total = self.config.n_tokens(x.shape[2])
        return torch.arange(total, device=x.device) >= n_tokens[:, None]


class _FeatureExtractor(nn.Module):
    def __init__(self, config: ECGFMConfig):
        super().__init__()
        layers, n_in = [], config.n_leads
        for i, (width, kernel, stride) in enumerate(config.conv_layers):
            # Without a bias: the first is normalised, and the published files have none anywhere.
            conv = nn.Conv1d(n_in, width, kernel, stride, bias=False)
            nn.init.kaiming_normal_(conv.weight)
            # One group a channel: each channel is normalised over time, whatever its gain.
            norm = [nn.GroupNorm(width, width)] if i == 0 else []
            layers.append(nn.Sequential(conv, nn.Dropout(0.0), *norm, nn.GELU()))
            n_in = width
        self.conv_layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, kept: dict[str, Tensor]) -> Tensor:
        for i, layer in enumerate(self.conv_layers):
            x = layer(x)
            kept[f"conv{i}"] = x
        return x


class _Norm(nn.Module):
    def __init__(self, weight: Tensor):
        super().__init__()
        self.original0 = nn.Parameter(torch.linalg.vector_norm(weight, dim=(0, 1), keepdim=True))
        self.original1 = nn.Parameter(weight)

    def forward(self) -> Tensor:
        size = torch.linalg.vector_norm(self.original1, dim=(0, 1), keepdim=True)
        return self.original1 * (self.original0 / size)


class _WeightNormConv1d(nn.Module):
    """Convolution with one gain a tap, under the names of torch's weight_norm.

    torch's own parametrized modules refuse to be pickled, and a fitted estimator must be.
    """

    def __init__(self, dim: int, kernel: int, groups: int):
        super().__init__()
        weight = torch.empty(dim, dim // groups, kernel)
        # wav2vec 2.0's: the sum over taps and channels then has about the size of a token.
        nn.init.normal_(weight, std=math.sqrt(4 / (kernel * dim)))
        # Half a kernel on both sides: one frame too many for an even one, cut off below.
        self.groups, self.padding = groups, kernel // 2
        self.bias = nn.Parameter(torch.zeros(dim))
        self.parametrizations = nn.ModuleDict({"weight": _Norm(weight)})

    def forward(self, x: Tensor) -> Tensor:
        weight = self.parametrizations["weight"]()
        return grouped_conv(x, weight, self.bias, self.groups, self.padding)


class _PositionEncoding(nn.Module):
    def __init__(self, config: ECGFMConfig):
        super().__init__()
        conv = _WeightNormConv1d(config.dim, config.pos_kernel, config.pos_groups)
        self.pos_conv = nn.Sequential(conv, nn.GELU())
        self.surplus = 1 - config.pos_kernel % 2  # an even kernel gives one frame too many

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.pos_conv[0](tokens.transpose(1, 2))
        x = x[..., : x.shape[-1] - self.surplus]
        return self.pos_conv[1](x).transpose(1, 2)


class _Encoder(nn.Module):
    # Keep no activations of the layers; their backward pass runs each of them again.
    recompute = False

    def __init__(self, config: ECGFMConfig):
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.n_layers))
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                # BERT's, as fairseq's transformers start.
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, padded: Tensor | None, kept: dict[str, Tensor]) -> Tensor:
        kept["enc_in_ln"] = x = self.layer_norm(x)
        x = self.dropout(x)
        for i, layer in enumerate(self.layers):
            if self.recompute and self.training and torch.is_grad_enabled():
                x = checkpoint(layer, x, padded, use_reentrant=False)
            else:
                x = layer(x, padded)
            kept[f"layer{i}"] = x
        return x


class _Layer(nn.Module):
    def __init__(self, config: ECGFMConfig):
        super().__init__()
        self.self_attn = _Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.activation = nn.GELU()
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, padded: Tensor | None) -> Tensor:
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, padded)))
        inner = self.activation_dropout(self.activation(self.fc1(x)))
        return self.final_layer_norm(x + self.dropout(self.fc2(inner)))


class _Attention(nn.Module):
    def __init__(self, config: ECGFMConfig):
        super().__init__()
        self.n_heads, self.dropout = config.n_heads, config.attention_dropout
        self.k_proj = nn.Linear(config.dim, config.dim)
        self.v_proj = nn.Linear(config.dim, config.dim)
        self.q_proj = nn.Linear(config.dim, config.dim)
        self.out_proj = nn.Linear(config.dim, config.dim)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, padded: Tensor | None) -> Tensor:
        q, k, v = (self._heads(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        keep = None if padded is None else ~padded[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, padded: Tensor | None) -> Tensor:
        """Attention weights averaged over heads, (n_records, n_queries, n_keys)."""
        q, k = self._heads(self.q_proj(x)), self._heads(self.k_proj(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if padded is not None:
            scores = scores.masked_fill(padded[:, None, None, :], float("-inf"))
        return scores.softmax(-1).mean(1)


class _Codebook(nn.Module):
    """Weights of the pretraining quantizer; held so that a pretraining file is read whole."""

    def __init__(self, width: int, n_groups: int, n_entries: int, entry_dim: int):
        super().__init__()
        self.vars = nn.Parameter(torch.rand(1, n_groups * n_entries, entry_dim))
        self.weight_proj = nn.Linear(width, n_groups * n_entries)


def _pool(tokens: Tensor, padded: Tensor | None) -> Tensor:
    """Mean over valid tokens, counting, as the original does, the entries that are not zero."""
    if padded is not None:
        tokens = tokens.masked_fill(padded[..., None], 0.0)
    return tokens.sum(1) / (tokens != 0).sum(1).clamp(min=1)
