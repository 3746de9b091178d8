"""Networks on signals with shortcuts, ResNet and InceptionTime: baselines of lvsd2026.

The modules are sktime's torch networks, as in :mod:`crtkit.neural.sequence`.
"""

from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval

from crtkit.neural.base import TorchClassifier, store_parameters
from crtkit.neural.signal_networks import SIGNAL_PARAMETERS, SequenceMixin, positive_sizes


class ResNet1dClassifier(SequenceMixin, TorchClassifier):
    """Residual network on signals, a baseline of lvsd2026.

    The method is that of [1]_.

    Parameters
    ----------
    n_filters : tuple of int, default=(64, 128, 128)
        Channels of each residual block; as many blocks as numbers.
    kernel_sizes : tuple of int, default=(8, 5, 3)
        Samples of the convolutions in every block. The network of lvsd2026 is described with four,
        four and three layers in its blocks, shortcuts counted; this is that network.
    lr : float, default=5e-6
        Learning rate of Adam; the paper's.
    weight_decay : float, default=0.0
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
    clip_norm : float or None, default=None
    augment : {"light"}, callable or None, default=None
    max_epochs : int, default=100
        The paper's.
    batch_size : int, default=32
    accumulate : int, default=1
    class_weight : dict, {"balanced"} or None, default=None
    early_stopping : bool, default=False
    patience : int, default=10
    validation_fraction : float, default=0.2
    device : str, default="cpu"
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        These are as in :class:`crtkit.neural.FCNClassifier`.

    Attributes
    ----------
    classes_, module_, history_, shape_in_
        As in :class:`crtkit.neural.FCNClassifier`.

    References
    ----------
    .. [1] Wang Z, Yan W, Oates T. Time series classification from scratch with deep neural
       networks: a strong baseline. IJCNN 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import ResNet1dClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64)) + 2 * y[:, None, None] * np.sin(np.arange(64))
    >>> model = ResNet1dClassifier(n_filters=(8, 8, 8), lr=1e-2, max_epochs=20, random_state=0)
    >>> model.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints = {
        **SIGNAL_PARAMETERS,
        "n_filters": [tuple, list],
        "kernel_sizes": [tuple, list],
    }

    def __init__(
        self,
        *,
        n_filters=(64, 128, 128),
        kernel_sizes=(8, 5, 3),
        lr=5e-6,
        weight_decay=0.0,
        schedule=None,
        clip_norm=None,
        augment=None,
        max_epochs=100,
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

    def _make_module(self, n_outputs, shape_in):
        from sktime.networks.resnet import ResNetNetworkTorch

        return ResNetNetworkTorch(
            self._n_leads(shape_in),
            n_outputs,
            n_filters=positive_sizes("n_filters", self.n_filters),
            kernel_size=positive_sizes("kernel_sizes", self.kernel_sizes),
            # Without it the network is a linear function of its input.
            activation_hidden=torch.nn.ReLU(),
        )


class InceptionTimeClassifier(SequenceMixin, TorchClassifier):
    """One InceptionTime network on signals, a baseline of lvsd2026.

    The method is that of [1]_.

    Modules of three convolutions (``kernel_size``, a half and a quarter of it) beside a pooled
    path, with a residual connection every third module. The published InceptionTime averages five
    such networks; lvsd2026 trained one, and so does this.

    Parameters
    ----------
    n_filters : int, default=32
        Channels of each convolution of a module.
    kernel_size : int, default=40
        Longest kernel in samples, at least 4; 40 gives 40, 20 and 10.
    bottleneck_size : int, default=32
        Channels in front of each module's convolutions.
    depth : int, default=6
        Modules.
    lr : float, default=5e-6
        Learning rate of Adam; the paper's.
    weight_decay : float, default=0.0
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
    clip_norm : float or None, default=None
    augment : {"light"}, callable or None, default=None
    max_epochs : int, default=100
        The paper's.
    batch_size : int, default=32
    accumulate : int, default=1
    class_weight : dict, {"balanced"} or None, default=None
    early_stopping : bool, default=False
    patience : int, default=10
    validation_fraction : float, default=0.2
    device : str, default="cpu"
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        These are as in :class:`crtkit.neural.FCNClassifier`.

    Attributes
    ----------
    classes_, module_, history_, shape_in_
        As in :class:`crtkit.neural.FCNClassifier`.

    References
    ----------
    .. [1] Ismail Fawaz H, et al. InceptionTime: finding AlexNet for time series classification.
       Data Mining and Knowledge Discovery 34, 2020, 1936-1962.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import InceptionTimeClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64)) + 2 * y[:, None, None] * np.sin(np.arange(64))
    >>> model = InceptionTimeClassifier(
    ...     n_filters=4, bottleneck_size=4, depth=3, lr=1e-2, max_epochs=20, random_state=0)
    >>> model.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints = {
        **SIGNAL_PARAMETERS,
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 4, None, closed="left")],
        "bottleneck_size": [Interval(Integral, 1, None, closed="left")],
        "depth": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_filters=32,
        kernel_size=40,
        bottleneck_size=32,
        depth=6,
        lr=5e-6,
        weight_decay=0.0,
        schedule=None,
        clip_norm=None,
        augment=None,
        max_epochs=100,
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

    def _make_module(self, n_outputs, shape_in):
        from sktime.networks.inceptiontime import InceptionTimeNetworkTorch

        network = InceptionTimeNetworkTorch(
            self._n_leads(shape_in),
            n_outputs,
            n_filters=self.n_filters,
            kernel_size=self.kernel_size,
            bottleneck_size=self.bottleneck_size,
            depth=self.depth,
            activation_hidden=torch.nn.ReLU(),
        )
        # The network's own argument for the shortcuts would also clip its logits.
        for shortcut in network.shortcut_layers:
            shortcut.activation = torch.nn.ReLU()
        return network
