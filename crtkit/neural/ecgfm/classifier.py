"""ECG-FM as a classifier: a projection in front, a head behind, and fourteen ways to train it."""

import copy
import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from crtkit.neural.base import TorchClassifier, embed, store_parameters
from crtkit.neural.ecgfm.checkpoint import start_from
from crtkit.neural.ecgfm.classifier_network import (
    EXTRACTOR,
    ECGFMNetwork,
)
from crtkit.neural.ecgfm.embedding import n_embedded, probe_head
from crtkit.neural.ecgfm.network import ECGFM, SIZES, ECGFMConfig
from crtkit.neural.ecgfm.pretraining import ECGFMPretraining
from crtkit.neural.pretraining import fit_backbone
from crtkit.neural.signal_networks import SIGNAL_PARAMETERS, SignalMixin
from crtkit.neural.weights import state_hash

# Kinds of the public files, which say nothing of a sampling rate.
PUBLISHED = ("pretrained", "finetuned")


class ECGFMClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SignalMixin, TorchClassifier
):
    """Fine-tune the ECG foundation model ECG-FM on signals, or train it from scratch.

    The method is that of [1]_.

    Parameters
    ----------
    checkpoint : {"crtkit-small", "crtkit-small-labels"}, path-like or None, default=None
        Weights that come with the package, trained on 2,245 open ECGs: without labels, and then
        fine-tuned on three diagnostic classes of 286 of them. They bring records to their own rate
        (give ``fs``) and normalise them. Or a file:
        A public checkpoint (``.pt``, pretraining or fine-tuned), or a ``.safetensors`` file of
        `ECGFMPretraining.save` or :func:`crtkit.neural.ecgfm.save_safetensors`. None trains from
        scratch. The head always starts at random. In lvsd2026 [2]_ "single-step" starts from the
        pretraining file, "sequential" from one already fine-tuned on PhysioNet 2021 labels.
    backbone : ECGFMPretraining, FrozenEstimator of one, or None, default=None
        Another start: an unfitted one pretrains on the training records inside ``fit``, without
        their labels but with their ``groups`` (and so with the same ``fs``), once a fold of a
        cross-validation;
        ``FrozenEstimator(fitted)`` was pretrained on a pool of its own.
    size : {"tiny", "small", "medium", "base"} or ECGFMConfig, default="base"
        Of the network from scratch; a checkpoint or backbone brings its own.
    trainable_layers : int, default=12
        Of the transformer, counted from its end. 12 (or as many as there are) is full fine-tuning,
        0 additive: only projection and head train. The paper's partial models train 2, 4, 6, 8, 10.
    train_extractor : bool or {"auto"}, default="auto"
        Whether what lies in front of the first layer trains (convolutions, position encoding,
        norms); "auto" trains it in full fine-tuning and from scratch only. The paper does not say
        what its partial models did.
    projection : bool or {"auto"}, default="auto"
        A pointwise convolution from the record's leads to the network's twelve; "auto" leaves it
        out where the record has twelve.
    normalize : bool, default=True
        z-score of each lead over the record, which the public weights were trained on; False
        feeds millivolt, as lvsd2026 did.
    window : float or None, default=5.0
        Seconds per window; the record's remainder is dropped, and a record that is shorter is one
        window. None takes the whole record, as lvsd2026 did with its 10 s.
    pooling : {"mean", "max"}, default="mean"
        How the windows' logits become one answer.
    embedding : {"layers", "last"}, default="layers"
        What `transform` gives: the tokens' mean in every transformer layer, side by side, which did
        better from few labels, or in the last one only, which the head reads.
    head_start : {"auto", "probe", "random"}, default="auto"
        "probe" starts the head as the logistic regression on the embeddings (of the last layer)
        that the training records have before training, so that what is below it need not follow a
        random head first [3]_, and ``trainable_layers=0`` is a linear probe that is only polished.
        "auto" does so from a checkpoint or backbone, not from scratch.
    fs : float, default=500
        Sampling rate of the records in Hz. The public weights expect 500: put a
        :class:`crtkit.Resampler` in front of records of another rate. With them, another ``fs``, or
        records too short for their five seconds (100 Hz given as 500), is warned of.
    lr : float, default=1e-4
        Learning rate of Adam for the transformer. lvsd2026 names 1e-3 to 5e-7, and 5e-7 for
        full fine-tuning of the base size.
    lr_extractor, lr_projection, lr_head : float or None, default=None
        Of the other parts; None is ``lr``.
    weight_decay : float, default=0.0
    schedule : {"cosine", "onecycle", "warmup"} or None, default="warmup"
        Course of the learning rates over all steps. From scratch the network stays at chance
        without a warm-up: post-norm transformers do. "warmup" rises over the first tenth of the
        steps and falls to zero; None keeps the rates constant, as the released script did.
    clip_norm : float or None, default=1.0
        Largest norm of a gradient; None for none.
    augment : {"light"}, callable or None, default=None
        Augmentation of training batches. ``"light"`` is `neural.SignalAugment()`; a callable takes
        a floating batch (n_records, n_leads, n_samples) and returns one like it.
    max_epochs : int, default=60
        The paper's.
    batch_size : int, default=32
        At least 2.
    accumulate : int, default=1
        Batches per step; the released script of lvsd2026 has 256 records per step.
    class_weight : dict, {"balanced"} or None, default=None
    early_stopping : bool, default=False
        Hold out part of the patients, and keep the epoch of their lowest loss; pass ``groups``.
    patience : int, default=10
    validation_fraction : float, default=0.2
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``.
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows progress and the time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    module_ : ECGFMNetwork
    history_ : list of dict
        One per epoch.
    weights_loaded_ : dict or None
        ``kind`` ("pretrained", "finetuned", "safetensors"), ``file``, ``sha256``; None from
        scratch.
    n_trainable_ : int
        Parameters that were trained.
    shape_in_ : tuple of int
        (n_leads, n_samples), or (n_samples,) of one lead.

    Notes
    -----
    The released script of lvsd2026 loads a checkpoint whose configuration runs the convolutional
    extractor without a gradient: its two projection convolutions (4 to 4 to 12 channels, nothing
    between them) then receive none either, and stay at their random start for all epochs although
    they count as trained. By its size that checkpoint is the one fine-tuned on 26 PhysioNet labels,
    the paper's sequential starting point. Here the gradient always passes, and one convolution
    projects.

    References
    ----------
    .. [1] McKeen K, et al. ECG-FM: an open electrocardiogram foundation model. arXiv:2408.05178.
    .. [2] Kim et al. Scientific Reports 2025, s41598-025-34911-6 (fine-tuning for LVSD in LBBB).
    .. [3] Kumar A, et al. Fine-tuning can distort pretrained features and underperform
       out-of-distribution. ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import ECGFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 8)
    >>> t = np.arange(500) / 100
    >>> X = rng.normal(size=(16, 4, 500)) + 3 * np.sin(2 * np.pi * (1 + 4 * y)[:, None, None] * t)
    >>> model = ECGFMClassifier(
    ...     size="tiny", fs=100, lr=1e-3, max_epochs=10, batch_size=8, random_state=0)
    >>> float(model.fit(X, y).score(X, y))
    1.0
    >>> model.transform(X).shape
    (16, 96)
    """

    _parameter_constraints = {
        **SIGNAL_PARAMETERS,
        "checkpoint": [str, Path, None],
        "backbone": [HasMethods(["fit", "transform"]), None],
        "size": [StrOptions(set(SIZES)), ECGFMConfig],
        "trainable_layers": [Interval(Integral, 0, None, closed="left")],
        "train_extractor": ["boolean", StrOptions({"auto"})],
        "projection": ["boolean", StrOptions({"auto"})],
        "normalize": ["boolean"],
        "window": [Interval(Real, 0, None, closed="neither"), None],
        "pooling": [StrOptions({"mean", "max"})],
        "embedding": [StrOptions({"last", "layers"})],
        "head_start": [StrOptions({"auto", "probe", "random"})],
        "fs": [Interval(Real, 0, None, closed="neither")],
        **{
            name: [Interval(Real, 0, None, closed="neither"), None]
            for name in ("lr_extractor", "lr_projection", "lr_head")
        },
    }

    def __init__(
        self,
        *,
        checkpoint=None,
        backbone=None,
        size="base",
        trainable_layers=12,
        train_extractor="auto",
        projection="auto",
        normalize=True,
        window=5.0,
        pooling="mean",
        embedding="layers",
        head_start="auto",
        fs=500,
        lr=1e-4,
        lr_extractor=None,
        lr_projection=None,
        lr_head=None,
        weight_decay=0.0,
        schedule="warmup",
        clip_norm=1.0,
        augment=None,
        max_epochs=60,
        batch_size=32,
        accumulate=1,
        class_weight=None,
        early_stopping=False,
        patience=10,
        validation_fraction=0.2,
        device="cpu",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        store_parameters(self, locals())

    def transform(self, X):
        """Embeddings: the tokens' mean, and the mean of that over windows.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape (n_records, n_layers * dim), or (n_records, dim) of the last layer
        """
        check_is_fitted(self)
        return self._apply(self._check_X(X, reset=False), partial(embed, embedding=self.embedding))

    @property
    def _n_features_out(self):
        return n_embedded(self.module_.backbone.config, self.embedding)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _make_module(self, n_outputs, shape_in, start=None):
        backbone = self._load_backbone(start)
        n_leads = self._n_leads(shape_in)
        n_in, n_layers = backbone.config.n_leads, backbone.config.n_layers
        project = n_leads != n_in if self.projection == "auto" else bool(self.projection)
        if not project and n_leads != n_in:
            raise ValueError(
                f"ECGFMClassifier(projection=False) expects {n_in} leads, got {n_leads}. Use "
                "projection='auto'."
            )
        # Ours bring records to their own rate; the public files cannot say theirs.
        if self.weights_loaded_ is not None and self.weights_loaded_["kind"] in PUBLISHED:
            self._warn_of_rate(shape_in[-1])
        # Also that of a fine-tuned file: its outputs are labels of another question.
        backbone.replace_head(n_outputs)
        network = ECGFMNetwork(
            backbone,
            n_leads,
            project=project,
            normalize=self.normalize,
            window=self.window,
            pooling=self.pooling,
            fs=self.fs,
        )
        # In samples of the network's own rate, which is what its convolutions see.
        resample = network.resample
        n_samples = -(-shape_in[-1] * resample.up // resample.down)
        if network.window is not None:  # which may be zero samples
            n_samples = min(n_samples, network.window)
        if n_samples < backbone.config.min_samples:
            raise ValueError(
                f"ECGFMClassifier needs at least {backbone.config.min_samples} samples per window, "
                f"got {n_samples} (records of {shape_in[-1]} samples, window={self.window} s at "
                f"{self.fs} Hz)."
            )
        # 12 is the default and the base size's all: of a smaller network, it is all of that too.
        if self.trainable_layers > max(n_layers, 12):
            raise ValueError(
                f"ECGFMClassifier got trainable_layers={self.trainable_layers}, but the network "
                f"has {n_layers} transformer layers. Give 0 to {n_layers}."
            )
        if n_layers < self.trainable_layers < 12:
            warnings.warn(
                f"ECGFMClassifier(trainable_layers={self.trainable_layers}) trains all "
                f"{n_layers} layers that the network has.",
                UserWarning,
                stacklevel=6,
            )
        n_trained = min(int(self.trainable_layers), n_layers)
        extractor = self.train_extractor
        if isinstance(extractor, str):
            # What lies in front of a frozen layer stays frozen with it.
            extractor = n_trained == n_layers
        network.freeze(n_trained, extractor)
        self.n_trainable_ = sum(p.numel() for p in network.parameters() if p.requires_grad)
        return network

    def _warn_of_rate(self, n_samples):
        """Say where records cannot be what the public weights were trained on."""
        if self.fs != 500:
            wrong = f"fs={self.fs:g}. Put crtkit.Resampler(fs_in={self.fs:g}, fs_out=500) in front."
        elif n_samples < 5 * self.fs:
            wrong = f"records of {n_samples / self.fs:g} s. Is fs=500 their sampling rate?"
        else:
            return
        warnings.warn(
            "The public ECG-FM weights were trained on 5 s at 500 Hz, but ECGFMClassifier got "
            f"{wrong}",
            UserWarning,
            stacklevel=6,
        )

    def _start_fit(self, X):
        if self.backbone is not None and self.checkpoint is not None:
            raise ValueError("ECGFMClassifier takes backbone or checkpoint, not both.")
        inner = getattr(self.backbone, "estimator", self.backbone)
        if inner is not None and not isinstance(inner, ECGFMPretraining):
            raise ValueError(
                "ECGFMClassifier expects backbone=ECGFMPretraining(...) or FrozenEstimator of a "
                f"fitted one, got {type(inner).__name__}."
            )
        if isinstance(self.backbone, FrozenEstimator):
            check_is_fitted(inner)
        elif inner is not None and inner.fs != self.fs:
            # The same records: one of the two would see hearts at another rate.
            raise ValueError(
                f"ECGFMClassifier(fs={self.fs:g}) got a backbone that is to be pretrained on the "
                f"same records with fs={inner.fs:g}. Give both the sampling rate of the records."
            )
        return super()._start_fit(X)

    def _before_training(self, X, train, rng, groups):
        if self.backbone is None:
            return None
        return fit_backbone(self.backbone, X, train, rng, groups)

    def _load_backbone(self, start):
        self.weights_loaded_ = None
        if start is not None:
            # A copy, or training would change the encoder that other folds start from.
            module = copy.deepcopy(start.module_.backbone).cpu()
            digest = state_hash(module.state_dict())
            self.weights_loaded_ = {"kind": "backbone", "file": None, "sha256": digest}
            module.config = replace(module.config, feature_grad_mult=1.0)
        elif self.checkpoint is not None:
            module, self.weights_loaded_ = start_from(self.checkpoint)
        else:
            return ECGFM(SIZES[self.size] if isinstance(self.size, str) else self.size)
        module.drop_pretraining()  # nothing here would train it
        return module

    def _train(self, module, train, valid):
        start = self.head_start
        if start == "auto":
            # From scratch all parts move together, and the head loses nothing by it.
            start = "random" if self.weights_loaded_ is None else "probe"
        if start == "probe":
            embeddings = self._apply(train, embed, self._place(module))
            target, weight = train.target[train.index], train.weight[train.index]
            probe_head(module.backbone.proj, embeddings, target, weight)
        return super()._train(module, train, valid)

    def _param_groups(self, module):
        backbone = module.backbone
        # The encoder's norm lies in front of the first layer, so it goes with the extractor.
        before = [getattr(backbone, name) for name in EXTRACTOR] + [backbone.encoder.layer_norm]
        parts = [
            (backbone.encoder.layers, self.lr),
            (nn.ModuleList(before), self.lr_extractor),
            (module.projection, self.lr_projection),
            (backbone.proj, self.lr_head),
        ]
        groups = []
        for part, lr in parts:
            parameters = [p for p in part.parameters() if p.requires_grad]
            if parameters:
                groups.append({"params": parameters, "lr": self.lr if lr is None else lr})
        return groups

    def _check_X(self, X, *, reset):
        X = super()._check_X(X, reset=reset)
        if self.dtype_in_ == "uint8":
            raise ValueError("ECGFMClassifier expects signals in floating millivolt, got uint8.")
        return X
