"""ECG-FM trained without labels, as an estimator."""

import os
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit._labels import check_groups
from crtkit._validation import iter_blocks
from crtkit.neural.base import (
    TRAINING_PARAMETERS,
    TorchEstimator,
    draw_seed,
    embed,
    store_parameters,
)
from crtkit.neural.batches import RecordDataset
from crtkit.neural.devices import forked_rng
from crtkit.neural.ecgfm.checkpoint import save_safetensors
from crtkit.neural.ecgfm.embedding import n_embedded
from crtkit.neural.ecgfm.network import SIZES, ECGFMConfig
from crtkit.neural.ecgfm.pool import signal_fingerprints
from crtkit.neural.ecgfm.pretraining_network import (
    PretrainingLoss,
    PretrainingNetwork,
    shortest_record,
)
from crtkit.neural.engine import TrainingOptions
from crtkit.neural.pretraining import pretrain, pretraining_key
from crtkit.neural.signal_augment import SignalAugment

# Parameters that change how the work is done and not what comes out.
_NOT_IN_KEY = ("checkpoint_dir", "recompute", "verbose", "random_state", "device", "embedding")
#: Groups, entries per group, features per entry of the published quantizer.
QUANTIZER = (2, 320, 128)
BLOCK = 256


class ECGFMPretraining(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator):
    """Pretrain ECG-FM on unlabelled signals.

    The method is that of [1]_.

    Masked tokens are told from other masked tokens of their record (wav2vec 2.0 [2]_), adjacent
    segments of a patient are pulled together and away from those of others (CMSC [3]_), and leads
    vanish at random [4]_. Each part can be left out, to compare cheaper forms.
    ``ECGFMClassifier(backbone=ECGFMPretraining(...))`` pretrains on each training fold;
    ``ECGFMClassifier(backbone=FrozenEstimator(fitted))``, or ``checkpoint=`` with the file that
    :meth:`save` writes, starts from a pool that was pretrained on once.

    Parameters
    ----------
    size : {"tiny", "small", "medium", "base"} or ECGFMConfig, default="small"
        Of the network; "base" is the published one.
    quantizer : bool or tuple of (n_groups, n_entries, entry_dim), default=True
        Targets are entries of a codebook, chosen with Gumbel noise; True is the published 2 groups
        of 320. False takes a projection of the convolution features: cheaper, and no penalties.
    contrastive : bool, default=True
        Contrast of masked tokens.
    cmsc : bool, default=True
        Contrast of adjacent segments.
    projector : int or None, default=None
        Width of what segments are contrasted by: the output of a small network (one hidden layer)
        on the embedding, which is left out afterwards, as SimCLR's is. None contrasts the
        embeddings themselves, the published recipe.
    lead_masking : float, default=0.5
        Probability of each lead of a segment to be zero.
    mask_probability : float, default=0.65
        Of a token to be masked, were spans not to overlap.
    mask_span : int, default=10
        Tokens a span, of 32 ms each in the published network.
    n_negatives : int or None, default=100
        Drawn from the masked tokens of the same record; None takes all of them.
    temperature : float, default=0.1
        Of both contrasts.
    quantizer_temperature : tuple of (start, end, decay), default=(2.0, 0.5, 0.999995)
        Of the Gumbel noise; it is multiplied by ``decay`` at every step.
    diversity_weight, feature_weight : float, default=0.1, 10.0
        Of the penalties on uneven use of the codebook and on large convolution features; without a
        quantizer neither is used.
    segment : float, default=5.0
        Seconds. CMSC needs records of two segments; in shorter ones a segment is half of what
        there is.
    augment : {"light"}, callable or None, default=None
        On each segment, in mV, before normalisation; as in `ECGFMClassifier`. None is the published
        recipe.
    normalize : bool, default=True
        z-scores, of each lead or as the size's ``normalize`` says.
    embedding : {"layers", "last"}, default="layers"
        What `transform` gives: the tokens' mean in every transformer layer, side by side, which did
        better from few labels, or in the last one only, which is nearest to the task of the
        pretraining.
    fs : float, default=500
        Sampling rate of the records in Hz. Where the size has a rate of its own, records are
        brought to it.
    lr : float, default=5e-4
        Peak learning rate of AdamW. Ours, for the sizes below "base"; the published is 5e-5,
        constant (``schedule=None``), with 1,024 segments per step.
    weight_decay : float, default=0.01
    schedule : {"cosine", "onecycle", "warmup"} or None, default="warmup"
        "warmup" rises over the first tenth of the steps and falls to zero.
    clip_norm : float or None, default=1.0
        Largest norm of a gradient; None is the published recipe.
    max_epochs : int, default=100
        Passes over the pool.
    batch_size : int, default=64
        Records per step.
    recompute : bool, default=False
        Run the transformer's layers again in the backward pass instead of keeping what they gave:
        the same gradient in less memory, for a third more time.
    checkpoint_dir : path-like, default=None
        Folder that gets a checkpoint after every epoch. A fit of the same records with the same
        parameters, seed, device, threads and torch goes on from there, to the bits of a fit that
        was never interrupted. Needs a ``random_state``.
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``.
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows progress and the time left on stderr.

    Attributes
    ----------
    module_ : PretrainingNetwork
        ``module_.backbone`` is the network that a classifier starts from.
    loss_curve_ : list of float
        Mean loss of each epoch.
    history_ : list of dict
        One per epoch: ``epoch, train_loss, dur`` (seconds).
    pool_hashes_ : Fingerprints
        What every record of the pool is recognised by; `evaluation.check_pool` reads it.
    pool_groups_ : ndarray of shape (n_records,) or None
        Their patients, where ``fit`` was told.
    device_ : str
    n_features_in_ : int
    shape_in_ : tuple of int
        (n_leads, n_samples).

    See Also
    --------
    ECGFMClassifier : Fine-tunes the network.
    crtkit.evaluation.check_pool : No record of a test patient was in the pool.

    Notes
    -----
    Differences from the published training: segments start at a random place of the record, the
    learning rate is not constant, and gradients of the convolutions are not scaled by 0.1
    (``size=replace(SIZES["base"], feature_grad_mult=0.1)`` does so).

    References
    ----------
    .. [1] McKeen K, et al. ECG-FM: an open electrocardiogram foundation model. arXiv:2408.05178.
    .. [2] Baevski A, et al. wav2vec 2.0. NeurIPS 2020.
    .. [3] Kiyasseh D, et al. CLOCS: contrastive learning of cardiac signals. ICML 2021.
    .. [4] Oh J, et al. Lead-agnostic self-supervised learning for ECG. CHIL 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import ECGFMPretraining
    >>> pool = np.random.default_rng(0).normal(size=(8, 12, 500))
    >>> model = ECGFMPretraining(
    ...     size="tiny", fs=100, max_epochs=2, batch_size=4, random_state=0).fit(pool)
    >>> model.transform(pool).shape, len(model.loss_curve_)
    ((8, 96), 2)
    """

    __metadata_request__fit = {"groups": True}
    _kind, _ndim = "signals", (2, 3)

    _parameter_constraints = {
        **TRAINING_PARAMETERS,
        "size": [StrOptions(set(SIZES)), ECGFMConfig],
        "quantizer": ["boolean", tuple],
        "contrastive": ["boolean"],
        "cmsc": ["boolean"],
        "projector": [Interval(Integral, 1, None, closed="left"), None],
        "lead_masking": [Interval(Real, 0, 1, closed="left")],
        "mask_probability": [Interval(Real, 0, 1, closed="neither")],
        "mask_span": [Interval(Integral, 1, None, closed="left")],
        "n_negatives": [Interval(Integral, 1, None, closed="left"), None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "quantizer_temperature": [tuple, list],
        "diversity_weight": [Interval(Real, 0, None, closed="left")],
        "feature_weight": [Interval(Real, 0, None, closed="left")],
        "segment": [Interval(Real, 0, None, closed="neither")],
        "augment": [StrOptions({"light"}), callable, None],
        "normalize": ["boolean"],
        "embedding": [StrOptions({"last", "layers"})],
        "fs": [Interval(Real, 0, None, closed="neither")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "recompute": ["boolean"],
        "checkpoint_dir": [str, os.PathLike, None],
    }
    del _parameter_constraints["accumulate"]

    def __init__(
        self,
        *,
        size="small",
        quantizer=True,
        contrastive=True,
        cmsc=True,
        projector=None,
        lead_masking=0.5,
        mask_probability=0.65,
        mask_span=10,
        n_negatives=100,
        temperature=0.1,
        quantizer_temperature=(2.0, 0.5, 0.999995),
        diversity_weight=0.1,
        feature_weight=10.0,
        segment=5.0,
        augment=None,
        normalize=True,
        embedding="layers",
        fs=500,
        lr=5e-4,
        weight_decay=0.01,
        schedule="warmup",
        clip_norm=1.0,
        max_epochs=100,
        batch_size=64,
        recompute=False,
        checkpoint_dir=None,
        device="cpu",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, groups=None):
        """Pretrain on a pool.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Zeros in all leads up to the end of a record are taken for padding.
        y : None
            Ignored.
        groups : array-like of shape (n_records,), optional
            Patients: segments of one patient attract each other, whichever record they are from.
            Without them every record counts as a patient.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Fewer than two records, NaN, wrong shape or number of leads, records too short, a
            missing patient, neither contrast asked for.
        FloatingPointError
            The loss became infinite or NaN; the message says at which step and learning rate.
        """
        X = self._start_fit(X)
        if not (self.contrastive or self.cmsc):
            raise ValueError("ECGFMPretraining needs contrastive=True or cmsc=True, or both.")
        if len(X) < 2:
            raise ValueError(
                "ECGFMPretraining needs a pool of at least 2 records, since every record is "
                f"compared with others; got {len(X)} sample (n_samples=1)."
            )
        if groups is not None:
            groups = check_groups(type(self).__name__, groups, len(X))
        self.pool_hashes_ = self.fingerprints(X)
        self.pool_groups_ = groups
        seed = draw_seed(check_random_state(self.random_state))
        # Numbers, because the loss compares them on the device.
        patients = np.arange(len(X))
        if groups is not None:
            patients = np.unique(groups, return_inverse=True)[1]
        folder = None if self.random_state is None else self.checkpoint_dir
        with forked_rng(seed, torch.device(self.device_)):
            module = self._make_module(self.shape_in_)
            for where, block in iter_blocks(X, BLOCK):
                n, record = shortest_record(self._to_input(block))
                what = f"record {where.start + record}, {n} samples up to the zeros at its end"
                module.check_length(n, what)
            self.net_ = pretrain(
                self._place(module),
                self._make_criterion(),
                RecordDataset(X, patients),
                TrainingOptions.of(self),
                folder=folder,
                # All that decides about the bits, so that nothing else is gone on from.
                key="" if folder is None else pretraining_key(self, seed, _NOT_IN_KEY, patients),
                prepare=self._prepare,
                groups=self._param_groups(module),
                device=self.device_,
                name=type(self).__name__,
            )
        self.history_ = self.net_.history_rows_
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        return self

    def transform(self, X):
        """Embeddings of records: the tokens' mean, and the mean of that over segments.

        Put a `StandardScaler` and a strong penalty (``LogisticRegression(C=0.003)``) behind them
        where labels are few.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

        Returns
        -------
        ndarray of shape (n_records, n_layers * dim), or (n_records, dim) of the last layer
        """
        check_is_fitted(self)
        function = partial(embed, embedding=self.embedding)
        return self._apply(self._check_X(X, reset=False), function)

    def fingerprints(self, X):
        """What records are recognised by, for `evaluation.check_pool`."""
        return signal_fingerprints(X)

    def save(self, path, *, card=None, half=False):
        """Write a checkpoint that ``ECGFMClassifier(checkpoint=path)`` starts from.

        Parameters
        ----------
        path : path-like
        card : dict, optional
            Data, licence, seed, scores; size of the pool, epochs and parameters are added.
        half : bool, default=False
            Store the weights in half precision, with a relative error of up to 5e-4.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            The path does not end in ``.safetensors``.
        """
        check_is_fitted(self)
        if os.path.splitext(path)[1] != ".safetensors":
            raise ValueError(f"ECGFMPretraining.save writes .safetensors files, got {path!r}.")
        backbone = self.module_.backbone
        # A factor of the pretraining alone: fine-tuning would inherit it without a word.
        backbone.config = replace(backbone.config, feature_grad_mult=1.0)
        made = {
            "kind": "self-supervised",
            "n_records": len(self.pool_hashes_),
            "loss": [self.loss_curve_[0], self.loss_curve_[-1]],
            # A folder of the machine that trained has no place in a file that is given away.
            "parameters": {
                k: _plain(v)
                for k, v in self.get_params(deep=False).items()
                if k != "checkpoint_dir"
            },
        }
        dtype = torch.float16 if half else torch.float32
        save_safetensors(backbone, path, {**made, **(card or {})}, dtype=dtype)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self):
        return n_embedded(self.module_.backbone.config, self.embedding)

    def _config(self, n_leads):
        config = SIZES[self.size] if isinstance(self.size, str) else self.size
        quantizer = QUANTIZER if self.quantizer is True else self.quantizer or None
        # Nothing would train a codebook that no token is compared with.
        if not self.contrastive:
            quantizer = None
        if quantizer and len(quantizer) != 3:
            raise ValueError(
                "ECGFMPretraining expects quantizer=(n_groups, n_entries, entry_dim), got "
                f"{self.quantizer}."
            )
        return replace(config, n_leads=n_leads, n_labels=0, quantizer=quantizer)

    def _make_module(self, shape_in):
        config = self._config(1 if len(shape_in) == 1 else shape_in[0])
        module = PretrainingNetwork(
            config,
            fs=self.fs,
            segment=self.segment,
            contrastive=self.contrastive,
            cmsc=self.cmsc,
            lead_masking=self.lead_masking,
            mask_probability=self.mask_probability,
            mask_span=self.mask_span,
            n_negatives=self.n_negatives,
            temperature=self.temperature,
            quantizer_temperature=self.quantizer_temperature,
            normalize=self.normalize,
            augment=SignalAugment() if isinstance(self.augment, str) else self.augment,
            projector=self.projector,
        )
        module.backbone.encoder.recompute = self.recompute
        n = shape_in[-1]
        module.check_length(n, f"records of {n} samples (n_features = {n})")
        return module

    def _to_input(self, batch):
        return batch[:, None] if batch.ndim == 2 else batch

    def _make_criterion(self):
        penalized = self.quantizer and self.contrastive
        penalties = (self.diversity_weight, self.feature_weight) if penalized else (0.0, 0.0)
        return PretrainingLoss((1.0, *penalties), self.cmsc, self.temperature)


def _plain(value):
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
