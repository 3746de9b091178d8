"""ResNets on images: from scratch, from published weights, or above a pretrained encoder."""

import os
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from crtkit.neural.augment import ImageAugment
from crtkit.neural.base import TorchClassifier, embed, store_parameters
from crtkit.neural.batches import RecordDataset
from crtkit.neural.dead_runs import stop_if_stuck
from crtkit.neural.devices import DTYPES
from crtkit.neural.engine import TrainingOptions, train_network, trained_net
from crtkit.neural.pretraining import fit_backbone
from crtkit.neural.resnet_start import check_input_shape, check_start, load_start

N_STAGES = 5


class ResNetClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchClassifier):
    """Classify images with a residual network, as torchvision builds it.

    The method is that of [1]_.

    Images enter as uint8 (n_records, height, width, 3), channel last, and stay uint8 until they
    are on the device. uint8 pixels are divided by 255 and normalised with the ImageNet mean and
    standard deviation, whatever the network starts from, so that an encoder and the classifier
    above it see the same scale. Floating images are taken as they are. 2-D input is one row of
    grey pixels, or what ``input_shape`` unflattens.

    Parameters
    ----------
    depth : {18, 34, 50, 101}, default=18
        Number of layers.
    width : int, default=64
        Channels of the first stage, at least 8; 64 is the published network, 8 or 16 fit small
        cohorts.
    backbone : estimator, optional
        An encoder to start from. It has ``fit(X, y=None)``, ``transform(X)`` and, once fitted,
        ``module_``: a torch module whose state dict has torchvision's ResNet names
        (``conv1.weight`` and so on; a head ``fc`` is ignored), of this depth and width, trained
        on images scaled as above. `SimCLR` is one: a clone of it is fitted on the training
        records inside ``fit``, so in a cross-validation once a fold. ``FrozenEstimator(fitted)``
        is used as it is; ``fitted`` may be a `ResNetClassifier` too.
    weights : {"imagenet"}, path-like or None, default=None
        ``"imagenet"`` is torchvision's IMAGENET1K_V1, read from torchvision's cache folder and
        never downloaded; a path is a file of weights with the names above (``torch.save`` of a
        state dict, or safetensors). The head always starts at random.
    finetune : bool or int, default=True
        True trains everything. False trains the linear head only: the embeddings are computed
        once. An integer from 0 to 5 trains the head and that many of the last stages (``layer4``
        is the last; 5 includes the stem); the others stay bitwise as they were, with their
        BatchNorm in eval mode.
    dropout : float, default=0.0
        Dropout in front of the head.
    input_shape : tuple of int, optional
        (height, width) or (height, width, 3) of a flattened image; 2-D input only.
    augment : {"light"}, callable or None, default=None
        Augmentation of training batches. ``"light"`` is `neural.augment.ImageAugment()`; a callable
        takes and returns a floating batch (n_records, 3, height, width) on the device.
    lr : float, default=1e-3
        Learning rate of AdamW; the peak of it under a schedule.
    weight_decay : float, default=1e-2
        Decoupled weight decay.
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
        Course of the learning rate over all steps.
    clip_norm : float or None, default=None
        Largest norm of a gradient; None for none.
    max_epochs : int, default=20
        Passes over the training records.
    batch_size : int, default=32
        At least 2. Records per batch, in training and in prediction.
    accumulate : int, default=1
        Batches per step: the gradient is that of one batch ``accumulate`` times as large (BatchNorm
        still sees the small ones).
    class_weight : dict, {"balanced"} or None, default=None
        Weights of classes, multiplied with ``sample_weight``.
    early_stopping : bool, default=False
        Hold out part of the records, stop when its loss has not fallen for ``patience`` epochs, and
        keep the best epoch. Pass ``groups`` to ``fit``, or it splits by record and warns.
    patience : int, default=10
        Epochs to wait for a lower validation loss.
    validation_fraction : float, default=0.2
        Part to hold out, in (0, 0.5].
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for a GPU where there is one;
        ``device_`` tells which.
    precision : {"float32", "bf16", "float64"}, default="float32"
        ``"bf16"`` computes in mixed precision: two to four times as fast where the device has bf16
        arithmetic (AVX512_BF16 or AMX, recent GPUs), slower than float32 elsewhere.
    random_state : int, RandomState or None, default=None
        Seeds the initial weights, the order of records, dropout and augmentation, and a backbone
        that has no seed of its own. torch's, numpy's and Python's global generators are left as
        they were; None draws the seed from numpy's, as everywhere in scikit-learn.
    verbose : int, default=0
        1 shows progress and the time left on stderr.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : private skorch net
    module_ : torch.nn.Module
        The trained network: ``module_(x)`` gives logits, ``module_.embed(x)`` embeddings.
    device_ : str
    history_ : list of dict
        One per epoch: ``epoch, train_loss, dur`` (seconds), with early stopping ``valid_loss``.
    best_epoch_ : int
        The epoch kept by early stopping, from 1.
    weights_loaded_ : dict or None
        What the network started from: ``kind`` ("imagenet", "file" or "backbone"), ``file``,
        ``sha256``, ``n_loaded``, ``missing``, ``unexpected``. None: from scratch.
    backbone_ : estimator
        The fitted encoder; only with ``finetune=False``, since fine-tuning leaves a better one in
        ``module_``.
    n_features_in_ : int
        Pixels of a row, or height.
    shape_in_ : tuple of int
        Shape of one record.

    Notes
    -----
    The same seed, threads and device give the same bits, whatever ``n_jobs`` of a search is.
    Another number of threads may not: sums are then split otherwise.

    Prediction uses running means of BatchNorm, which start at 0 and 1 and take some dozens of
    steps (batches times epochs) to arrive: with fewer, it is far worse than the training loss.

    References
    ----------
    .. [1] He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016,
       770-778.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import ResNetClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["no", "yes"], 8)
    >>> X = rng.integers(0, 60, (16, 24, 24, 3), dtype=np.uint8)
    >>> X[y == "yes", 8:16] += 180
    >>> model = ResNetClassifier(width=8, max_epochs=20, lr=1e-2, batch_size=8, random_state=0)
    >>> model.fit(X, y).predict(X[[0, 15]])
    array(['no', 'yes'], dtype='<U3')
    >>> model.transform(X).shape
    (16, 64)
    """

    _kind = "images"
    _ndim = (2, 4)
    _parameter_constraints = {
        **TorchClassifier._parameter_constraints,
        "depth": [Options(Integral, {18, 34, 50, 101})],
        # Narrower ones made torch's float32 convolutions write past their memory on a CPU.
        "width": [Interval(Integral, 8, None, closed="left")],
        "backbone": [HasMethods(["fit", "transform"]), None],
        "weights": [StrOptions({"imagenet"}), str, os.PathLike, None],
        "finetune": ["boolean", Interval(Integral, 0, N_STAGES, closed="both")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_shape": [tuple, list, None],
        "augment": [StrOptions({"light"}), callable, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        depth=18,
        width=64,
        backbone=None,
        weights=None,
        finetune=True,
        dropout=0.0,
        input_shape=None,
        augment=None,
        lr=1e-3,
        weight_decay=1e-2,
        schedule=None,
        clip_norm=None,
        max_epochs=20,
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
        """Embeddings: the input of the linear head, without dropout.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, height, width, 3) or (n_records, n_pixels)

        Returns
        -------
        ndarray of shape (n_records, n_features)
            512 features at depth 18 and 34, 2048 at 50 and 101, times ``width / 64``; float32, or
            float64 with ``precision="float64"``.
        """
        check_is_fitted(self)
        return self._apply(self._check_X(X, reset=False), embed)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self):
        return self.module_.n_features

    def _start_fit(self, X):
        self._check_start()
        X = super()._start_fit(X)
        shape = self.shape_in_
        # Channel first would pass for an image 3 pixels high.
        if len(shape) == 3 and shape[2] != 3:
            raise ValueError(
                f"ResNetClassifier expects images of 3 channels, channel last: (n_records, height, "
                f"width, 3), got (n_records, {', '.join(map(str, shape))}). Repeat a grey channel "
                "three times."
            )
        if len(shape) == 1 and self.input_shape is not None:
            n_pixels = np.prod(self.input_shape)
            if n_pixels != shape[0]:
                raise ValueError(
                    f"input_shape={tuple(self.input_shape)} needs {n_pixels} pixels per record, X "
                    f"has {shape[0]} features."
                )
        return X

    def _check_start(self):
        """Refuse starting points that contradict each other, before anything is computed."""
        check_start(self.backbone, self.weights, self.width)
        check_input_shape(self.input_shape)
        # Not an error: frozen random layers are a baseline that people compare with.
        if self._n_trainable() < N_STAGES and self.backbone is None and self.weights is None:
            warnings.warn(
                f"ResNetClassifier(finetune={self.finetune}) without weights or backbone keeps "
                "random layers as they are.",
                UserWarning,
                stacklevel=5,
            )
        if self._n_trainable() == 0 and self.augment is not None:
            warnings.warn(
                "ResNetClassifier(finetune=False) computes its embeddings once: augment has no "
                "effect.",
                UserWarning,
                stacklevel=5,
            )

    def _n_trainable(self):
        if isinstance(self.finetune, (bool, np.bool_)):
            return N_STAGES if self.finetune else 0
        return int(self.finetune)

    def _before_training(self, X, train, rng, groups):
        if self.backbone is None:
            return None
        encoder = fit_backbone(self.backbone, X, train, rng, groups)
        if self._n_trainable() == 0:  # else fine-tuning leaves a better one in module_
            self.backbone_ = encoder
        return encoder

    def _make_module(self, n_outputs, shape_in, encoder=None):
        from crtkit.neural.resnet_network import ResNet

        module = ResNet(self.depth, self.width, n_outputs, self.dropout)
        module.to(DTYPES[self.precision])  # before loading, which would round a float64 start
        self.weights_loaded_ = load_start(
            module, encoder=encoder, weights=self.weights, depth=self.depth
        )
        return module.freeze(self._n_trainable())

    def _to_input(self, batch):
        from crtkit.neural.resnet_network import images_to_input

        return images_to_input(batch, DTYPES[self.precision], self.input_shape)

    def _train_batch_augment(self, batch):
        if self.augment is None:
            return batch
        augment = ImageAugment() if isinstance(self.augment, str) else self.augment
        out = augment(batch)
        if not isinstance(out, torch.Tensor) or out.ndim != 4 or out.shape[:2] != batch.shape[:2]:
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(
                f"augment must give a tensor (n_records, 3, height, width) as it got one, "
                f"{tuple(batch.shape)}; it gave {got}."
            )
        return out

    def _train(self, module, train, valid):
        if self._n_trainable() > 0:
            return super()._train(module, train, valid)
        return self._train_head(module, train, valid)

    def _train_head(self, module, train, valid):
        """Train the linear head on embeddings that are computed once."""
        # Frozen stages give the same embedding in every epoch, so the convolutions run once.
        self._place(module)
        train, valid = (
            part
            and RecordDataset(
                self._apply(part, embed, module), part.target[part.index], part.weight[part.index]
            )
            for part in (train, valid)
        )
        # The same modules as in the network, so that what is trained here is trained there.
        options = TrainingOptions.of(self)
        head = torch.nn.Sequential(module.dropout, module.fc)
        trained = train_network(
            head,
            self._make_criterion(),
            train,
            valid,
            options,
            prepare=self._to_device,
            groups=[{"params": list(head.parameters())}],
            device=self.device_,
            name=type(self).__name__,
            callbacks=stop_if_stuck(self, train),
        )
        # The whole network again, so that predict and pickling know one kind of net.
        net = trained_net(module, options, self.device_)
        net.history_rows_ = trained.history_rows_
        return net

    def _to_device(self, batch, training=False):
        return batch.to(self.device_)
