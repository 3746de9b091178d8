"""What surrounds ECG-FM in a classifier."""

from torch import nn

from crtkit.neural.ecgfm.front import LeadResampler, normalize_leads

# What "frozen extractor" freezes: everything in front of the first transformer layer.
EXTRACTOR = ("feature_extractor", "layer_norm", "post_extract_proj", "conv_pos")


class ECGFMNetwork(nn.Module):
    """A lead projection, ECG-FM on windows of the record, and the windows' logits pooled.

    Parameters
    ----------
    backbone : ECGFM
        With a head.
    n_leads : int
        Channels of the records.
    project : bool
        Whether a pointwise convolution brings them to the backbone's leads.
    normalize : bool
        Whether leads become z-scores over the record first, as the backbone's configuration says.
    window : float or None
        Seconds a window; None takes the whole record.
    pooling : {"mean", "max"}
        How the logits of windows become one answer.
    fs : float
        Sampling rate of the records in Hz; a backbone with a rate of its own gets that.
    """

    def __init__(self, backbone, n_leads, *, project, normalize, window, pooling, fs):
        super().__init__()
        n_in = backbone.config.n_leads
        rate = fs if backbone.config.fs is None else backbone.config.fs
        self.resample = LeadResampler(fs, rate)
        self.projection = nn.Conv1d(n_leads, n_in, kernel_size=1) if project else nn.Identity()
        self.backbone = backbone
        self.normalize, self.pooling = normalize, pooling
        self.window = None if window is None else round(window * rate)
        self.frozen = ()

    def freeze(self, n_layers, extractor):
        """Leave the last ``n_layers`` transformer layers trainable, and the extractor if asked."""
        # From the end: what is nearest to the input is the most general, and stays.
        layers = self.backbone.encoder.layers
        frozen = list(layers[: len(layers) - n_layers])
        if not extractor:
            frozen += [getattr(self.backbone, name) for name in EXTRACTOR]
            frozen.append(self.backbone.encoder.layer_norm)
        for module in frozen:
            module.requires_grad_(False)
        self.frozen = tuple(frozen)
        return self.train(self.training)

    def train(self, mode=True):
        """Frozen parts stay in eval mode: their dropout would be noise that nothing can answer."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def _windows(self, x):
        """Records as windows one after another, and how many a record has."""
        x = self.resample(x)
        n_samples = x.shape[-1]
        if self.normalize:
            # In front of the projection: over the record, as its leads were measured.
            x = normalize_leads(x, self.backbone.config.normalize)
        x = self.projection(x)
        if self.window is None or n_samples < 2 * self.window:
            return x if self.window is None else x[..., : self.window], 1
        n = n_samples // self.window
        x = x[..., : n * self.window].unflatten(-1, (n, self.window))
        return x.transpose(1, 2).flatten(0, 1), n

    def embed(self, x, embedding="last"):
        """(n_records, n_leads, n_samples) -> (n_records, n_features), mean over windows."""
        x, n = self._windows(x)
        return self.backbone.embed(x, embedding).unflatten(0, (-1, n)).mean(1)

    def forward(self, x):
        """(n_records, n_leads, n_samples) -> logits (n_records, n_outputs)."""
        x, n = self._windows(x)
        logits = self.backbone(x)["logits"].unflatten(0, (-1, n))
        return logits.mean(1) if self.pooling == "mean" else logits.amax(1)
