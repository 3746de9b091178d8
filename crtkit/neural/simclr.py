"""SimCLR: an encoder of pages that is trained without labels."""

import functools
import os
import warnings
from numbers import Integral, Real
from pathlib import Path

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory

from crtkit._labels import check_groups
from crtkit.images.pool import PagePaths, as_paths, fingerprints
from crtkit.neural.augment import PageAugment, two_views
from crtkit.neural.base import (
    TRAINING_PARAMETERS,
    TorchEstimator,
    draw_seed,
    embed,
    store_parameters,
)
from crtkit.neural.batches import RecordDataset
from crtkit.neural.devices import DTYPES, forked_rng
from crtkit.neural.engine import TrainingOptions
from crtkit.neural.files import file_hash
from crtkit.neural.ntxent import NTXent, ProjectionHead
from crtkit.neural.pretraining import pretrain, pretraining_key
from crtkit.neural.resnet_start import check_imagenet_width, load_start, weights_path

# Parameters that change how the work is done and not what comes out.
_NOT_IN_KEY = ("checkpoint_dir", "memory", "cache_dir", "verbose", "random_state", "device")


class SimCLR(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator):
    """Pretrain a residual network on unlabelled pages.

    The method is that of [1]_.

    Two views of every page, made by ``augment``, are pulled together and away from all other pages
    of the batch (:func:`nt_xent_loss`). ``ResNetClassifier(backbone=SimCLR(...))`` pretrains on
    each training fold; ``ResNetClassifier(backbone=FrozenEstimator(fitted))`` starts from a pool
    that was pretrained on once.

    Parameters
    ----------
    depth : {18, 34, 50, 101}, default=18
        Number of layers.
    width : int, default=64
        Channels of the first stage; must be the classifier's.
    projection_dim : int, default=128
        Features of the projection that the loss compares.
    temperature : float, default=0.1
        Of the loss.
    weights : {"imagenet"}, path-like or None, default=None
        What pretraining starts from, as in `ResNetClassifier`.
    augment : callable or None, default=None
        Takes a floating batch (n_records, 3, height, width) and returns one view of each image;
        None is `neural.PageAugment()`, which does not mirror pages and says why.
    input_shape : tuple of int, optional
        (height, width) or (height, width, 3) of a flattened image; 2-D input only.
    size : tuple of (height, width), default=(224, 224)
        What pages are resized to when X is paths.
    cache_dir : path-like, default=None
        When X is paths: folder that keeps decoded pages, as in `JPEGLoader`. Without it every file
        is decoded once an epoch.
    on_error : {"raise", "skip"}, default="raise"
        When X is paths: what becomes of files that cannot be read. They are found before training
        begins; "skip" leaves them out with one warning, ``skipped_`` has them.
    lr : float, default=1e-3
        Learning rate of AdamW; the peak of it under a schedule.
    weight_decay : float, default=1e-4
        Decoupled weight decay.
    schedule : {"cosine", "onecycle", "warmup"} or None, default="cosine"
        Course of the learning rate over all steps.
    clip_norm : float or None, default=None
        Largest norm of a gradient; None for none.
    max_epochs : int, default=100
        Passes over the pool.
    batch_size : int, default=64
        At least 2. Pages a batch: each is compared with 2 (batch_size - 1) views of others.
    checkpoint_dir : path-like, default=None
        Folder that gets a checkpoint after every epoch. A fit of the same pages with the same
        parameters, seed, device, threads and torch goes on from there, to the bits of a fit that
        was never interrupted. Needs a ``random_state``.
    memory : str, joblib.Memory or None, default=None
        Cache of finished pretrainings, under the same condition: folds and candidates of a search
        that pretrain identically do so once. Needs a ``random_state``, which a classifier above
        hands down. An ``augment`` of your own is known by its name and parameters: clear the cache
        when you change its code.
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``.
    precision : {"float32", "bf16", "float64"}, default="float32"
        As in `ResNetClassifier`.
    random_state : int, RandomState or None, default=None
        Seeds weights, order and views. Global generators are left as they were.
    verbose : int, default=0
        1 shows progress and the time left on stderr.

    Attributes
    ----------
    module_ : torch.nn.Module
        Encoder and projection head (``fc``): ``module_.embed(x)`` gives embeddings.
    loss_curve_ : list of float
        Mean loss of each epoch.
    history_ : list of dict
        One per epoch: ``epoch, train_loss, dur`` (seconds).
    pool_hashes_ : Fingerprints
        What every page of the pool is recognised by; `evaluation.check_pool` reads it.
    pool_groups_ : ndarray of shape (n_records,) or None
        Their patients, where ``fit`` was told.
    skipped_ : dict
        Path -> reason, of files left out.
    weights_loaded_ : dict or None
        What pretraining started from.
    device_ : str
    net_ : private skorch net
    n_features_in_ : int
        Pixels of a row, or height.
    shape_in_ : tuple of int
        Shape of one record.

    See Also
    --------
    ResNetClassifier : fine-tunes the encoder.
    crtkit.evaluation.check_pool : no page of a test record was in the pool.

    References
    ----------
    .. [1] Chen T, Kornblith S, Norouzi M, Hinton G. A simple framework for contrastive learning of
       visual representations. ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import SimCLR
    >>> pool = np.random.default_rng(0).integers(0, 256, (8, 24, 32, 3), dtype=np.uint8)
    >>> encoder = SimCLR(width=8, max_epochs=2, batch_size=4, random_state=0).fit(pool)
    >>> encoder.transform(pool).shape, len(encoder.loss_curve_)
    ((8, 64), 2)
    """

    __metadata_request__fit = {"groups": True}

    _parameter_constraints = {
        **TRAINING_PARAMETERS,
        "depth": [Options(Integral, {18, 34, 50, 101})],
        "width": [Interval(Integral, 8, None, closed="left")],
        "projection_dim": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "weights": [StrOptions({"imagenet"}), str, Path, None],
        "augment": [callable, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "input_shape": [tuple, list, None],
        "size": [tuple, list],
        "cache_dir": [str, os.PathLike, None],
        "on_error": [StrOptions({"raise", "skip"})],
        "checkpoint_dir": [str, os.PathLike, None],
        "memory": [str, HasMethods(["cache"]), None],
    }
    del _parameter_constraints["accumulate"]

    def __init__(
        self,
        *,
        depth=18,
        width=64,
        projection_dim=128,
        temperature=0.1,
        weights=None,
        augment=None,
        input_shape=None,
        size=(224, 224),
        cache_dir=None,
        on_error="raise",
        lr=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        clip_norm=None,
        max_epochs=100,
        batch_size=64,
        checkpoint_dir=None,
        memory=None,
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
        X : array-like or Rows of shape (n_records, height, width, 3) or (n_records, n_pixels), \
                or paths (n_records,)
            uint8 or floating images; paths are decoded batch by batch, so that the pool may be
            larger than memory.
        y : None
            Ignored.
        groups : array-like of shape (n_records,), optional
            Patients, remembered for `evaluation.check_pool`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Fewer than two images, NaN, wrong shape; files that cannot be read, all of them named.
        FloatingPointError
            The loss became infinite or NaN; the message says at which step and learning rate.
        """
        X = self._start_fit(X)
        # Before the hashes, which take the longest: a wrong argument is refused at once.
        if groups is not None:
            groups = check_groups(type(self).__name__, groups, len(X))
        self.pool_hashes_, self.skipped_, kept = fingerprints(X, self.on_error)
        self.pool_groups_ = None if groups is None else groups[kept]
        if self.skipped_:
            X = X.take(kept)
            first = next(iter(self.skipped_.items()))
            warnings.warn(
                f"SimCLR leaves out {len(self.skipped_)} files that cannot be read, such as "
                f"{first[0]} ({first[1]}); skipped_ has them all.",
                UserWarning,
                stacklevel=2,
            )
        if len(X) < 2:
            raise ValueError(
                "SimCLR needs a pool of at least 2 images, since every image is compared with "
                f"others; got {len(X)} sample (n_samples=1)."
            )
        # A fit without a seed can be neither resumed nor found again: nothing is kept of it.
        seed = draw_seed(check_random_state(self.random_state))
        kept = self.random_state is not None and (self.memory or self.checkpoint_dir)
        key = self._key(seed) if kept else ""
        # The key stands for estimator, pool and seed, which joblib would else hash once more.
        train = _pretrained
        if kept and self.memory is not None:
            train = check_memory(self.memory).cache(_pretrained, ignore=["estimator", "X", "seed"])
        self.net_, self.weights_loaded_ = train(key, self, X, seed)
        self.history_ = self.net_.history_rows_
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        return self

    def transform(self, X):
        """Embeddings of pages.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, height, width, 3) or (n_records, n_pixels), \
                or paths (n_records,)
            Paths are decoded at the size that ``fit`` saw.

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

    def _check_X(self, X, *, reset):
        paths = as_paths(X)
        if paths is None:
            X = super()._check_X(X, reset=reset)
            if X.ndim == 4 and X.shape[3] != 3:
                raise ValueError(
                    "SimCLR expects images of 3 channels, channel last: (n_records, height, width, "
                    f"3), got {X.shape}. Repeat a grey channel three times."
                )
            return X
        # Paths have no shape of their own; later calls decode at the size that was fitted.
        size = tuple(self.size) if reset else self.shape_in_[:2]
        if not reset and (len(self.shape_in_) != 3 or self.dtype_in_ != "uint8"):
            raise ValueError(
                f"SimCLR was fitted on {self.dtype_in_} records of shape {self.shape_in_}, but now "
                "got paths, which become uint8 images. Refit it on paths or images."
            )
        if len(size) != 2 or not all(isinstance(s, Integral) and s > 0 for s in size):
            raise ValueError(f"SimCLR expects size=(height, width) in pixels, got {self.size}.")
        if reset:
            self.shape_in_, self.n_features_in_, self.dtype_in_ = (*size, 3), size[0], "uint8"
        return PagePaths(paths, size, self.cache_dir)

    def _key(self, seed):
        """What two pretrainings must share to give the same bits."""
        file = None
        if self.weights is not None:
            check_imagenet_width(self.weights, self.width)
            file = file_hash(weights_path(self.weights, self.depth))
        return pretraining_key(self, seed, _NOT_IN_KEY, file)

    def _make_module(self, n_outputs, shape_in):
        from crtkit.neural.resnet_network import ResNet

        module = ResNet(self.depth, self.width)
        # In the place of the head, which a classifier that starts from this network leaves out.
        module.fc = ProjectionHead(module.n_features, n_outputs)
        module.to(DTYPES[self.precision])
        check_imagenet_width(self.weights, self.width)
        return module, load_start(module, weights=self.weights, depth=self.depth)

    def _to_input(self, batch):
        from crtkit.neural.resnet_network import images_to_input

        return images_to_input(batch, DTYPES[self.precision], self.input_shape)

    def _train_batch_augment(self, batch):
        return two_views(PageAugment() if self.augment is None else self.augment, batch)


def _pretrained(key, estimator, X, seed):
    """What joblib.Memory keeps of a pretraining; ``key`` stands for all the others."""
    with forked_rng(seed, torch.device(estimator.device_)):
        module, loaded = estimator._make_module(estimator.projection_dim, estimator.shape_in_)
        net = pretrain(
            estimator._place(module),
            NTXent(estimator.temperature),
            RecordDataset(X),
            TrainingOptions.of(estimator),
            folder=None if estimator.random_state is None else estimator.checkpoint_dir,
            key=key,
            prepare=functools.partial(estimator._prepare, module=module),
            groups=estimator._param_groups(module),
            device=estimator.device_,
            name=type(estimator).__name__,
        )
    return net, loaded
