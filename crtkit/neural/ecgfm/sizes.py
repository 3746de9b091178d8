"""Sizes and rates of an ECG-FM network, and those that have a name."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ECGFMConfig:
    """Sizes and rates of an ECG-FM network.

    Parameters
    ----------
    conv_layers : tuple of (width, kernel, stride)
        Convolutions of the feature extractor; the base model has (256, 2, 2) four times.
    n_leads : int
        Input channels.
    dim, ffn_dim, n_heads, n_layers : int
        Of the transformer.
    pos_kernel, pos_groups : int
        Convolutional position encoding; kernels may be odd or even.
    dropout, attention_dropout, activation_dropout, input_dropout, head_dropout : float
    feature_grad_mult : float
        Factor on the gradient of the feature extractor. 0 runs it without a graph: nothing before
        it can be trained or attributed, which is how the public fine-tuned files are configured.
    n_labels : int
        Outputs of the linear head; 0 for none.
    quantizer : tuple of (n_groups, n_entries, entry_dim) or None
        Only in the pretraining form, with ``final_dim``.
    final_dim : int
    fs : float or None
        Sampling rate in Hz that records are brought to, or None: they enter at their own.
    normalize : {"lead", "record"}
        Whether z-scores take the standard deviation of each lead, as ECG-FM, or of all of them.

    Raises
    ------
    ValueError
        Another ``normalize``, or a rate that is not positive.
    """

    conv_layers: tuple[tuple[int, int, int], ...] = ((256, 2, 2),) * 4
    n_leads: int = 12
    dim: int = 768
    ffn_dim: int = 3072
    n_heads: int = 12
    n_layers: int = 12
    pos_kernel: int = 128
    pos_groups: int = 16
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.1
    input_dropout: float = 0.0
    head_dropout: float = 0.0
    feature_grad_mult: float = 1.0
    n_labels: int = 0
    quantizer: tuple[int, int, int] | None = None
    final_dim: int = 256
    fs: float | None = None
    normalize: str = "lead"

    def __post_init__(self) -> None:
        # Sizes come from files too, and what is no name of a kind would pass for the other one.
        if self.normalize not in ("lead", "record"):
            raise ValueError(f"normalize must be 'lead' or 'record', got {self.normalize!r}.")
        if self.fs is not None and not 0 < self.fs < math.inf:
            raise ValueError(f"fs must be a positive rate in Hz or None, got {self.fs!r}.")

    def n_tokens(self, n_samples: int) -> int:
        """Tokens of a record: floor((n - kernel) / stride + 1) for each convolution."""
        for _, kernel, stride in self.conv_layers:
            n_samples = (n_samples - kernel) // stride + 1 if n_samples >= kernel else 0
        return n_samples

    @property
    def min_samples(self) -> int:
        """Shortest record that gives a token."""
        n = 1
        for _, kernel, stride in reversed(self.conv_layers):
            n = (n - 1) * stride + kernel
        return n


#: "base" is the published size (90.9 million parameters in pretraining form); "medium" has 5.1
#: million and suits one GPU for minutes; "small" 0.9 million at 100 Hz and trains on 190 records a
#: second on one CPU core; "tiny" is for tests. "small" takes z-scores over the record: how large
#: one lead is beside another is part of many diagnoses, and it did better with them.
SIZES = {
    "base": ECGFMConfig(),
    "medium": ECGFMConfig(
        conv_layers=((128, 2, 2),) * 3,
        dim=256,
        ffn_dim=1024,
        n_heads=8,
        n_layers=6,
        pos_kernel=64,
        fs=250,
    ),
    "small": ECGFMConfig(
        conv_layers=((48, 7, 4), (96, 4, 2), (160, 4, 2)),
        dim=160,
        ffn_dim=480,
        n_heads=4,
        n_layers=3,
        pos_kernel=8,
        pos_groups=8,
        activation_dropout=0.0,
        dropout=0.1,
        fs=100,
        normalize="record",
    ),
    "tiny": ECGFMConfig(
        conv_layers=((32, 2, 2),) * 4,
        dim=48,
        ffn_dim=96,
        n_heads=4,
        n_layers=2,
        pos_kernel=32,
        pos_groups=4,
    ),
}
