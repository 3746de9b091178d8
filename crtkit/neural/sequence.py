"""Fully convolutional networks on signals, FCN and LSTM-FCN: baselines of lvsd2026.

The modules are sktime's torch networks, the estimators ours: sktime's own classifiers do not pass
through ``GridSearchCV``, know no device and reseed the global generator.
"""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval

from crtkit.neural.base import TorchClassifier, store_parameters
from crtkit.neural.signal_networks import SIGNAL_PARAMETERS, SequenceMixin, positive_sizes


class FCNClassifier(SequenceMixin, TorchClassifier):
    """Fully convolutional network on signals, a baseline of lvsd2026.

    Three convolutions, each with batch normalisation and ReLU, a mean over time and a linear layer
    [1]_.

    Parameters
    ----------
    n_filters : tuple of int, default=(128, 256, 128)
        Channels of each convolution.
    kernel_sizes : tuple of int, default=(8, 5, 3)
        Samples of each convolution, as many as ``n_filters``.
    lr : float, default=5e-6
        Learning rate of Adam; the paper's, for its 100 epochs. Fewer epochs want more: on simulated
        pairs of lvsd2026, twelve epochs, ``python -m benchmarks.default_rates`` compares rates, and
        size "small" of that study has 1e-3, a rate of ours.
    weight_decay : float, default=0.0
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
        Course of the learning rate over all steps.
    clip_norm : float or None, default=None
        Largest norm of a gradient; None for none.
    augment : {"light"}, callable or None, default=None
        Augmentation of training batches. ``"light"`` is `neural.SignalAugment()`; a callable
        takes a floating batch (n_records, n_leads, n_samples) in millivolt and returns one like it.
    max_epochs : int, default=100
        The paper's.
    batch_size : int, default=32
        At least 2; the paper states none for its baselines.
    accumulate : int, default=1
        Batches per step.
    class_weight : dict, {"balanced"} or None, default=None
    early_stopping : bool, default=False
        Hold out part of the patients, and keep the epoch of their lowest loss; pass ``groups``.
    patience : int, default=10
    validation_fraction : float, default=0.2
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``.
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
        Seeds initial weights, order and dropout; global generators are left alone.
    verbose : int, default=0
        1 shows progress and the time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    module_ : torch.nn.Module
        The trained network; input (n_records, n_samples, n_leads), output logits.
    history_ : list of dict
        One per epoch.
    shape_in_ : tuple of int
        (n_leads, n_samples), or (n_samples,) of one lead.

    Notes
    -----
    Millivolt go in as they are. At 500 Hz a training epoch is some thirteen times as long as at
    100 Hz: put a :class:`crtkit.Resampler` in front where time matters.

    References
    ----------
    .. [1] Wang Z, Yan W, Oates T. Time series classification from scratch with deep neural
       networks: a strong baseline. IJCNN 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import FCNClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64)) + 2 * y[:, None, None] * np.sin(np.arange(64))
    >>> model = FCNClassifier(n_filters=(8, 8, 8), lr=1e-2, max_epochs=20, random_state=0)
    >>> float(model.fit(X, y).score(X, y))
    1.0
    """

    _parameter_constraints = {
        **SIGNAL_PARAMETERS,
        "n_filters": [tuple, list],
        "kernel_sizes": [tuple, list],
    }

    def __init__(
        self,
        *,
        n_filters=(128, 256, 128),
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
        from sktime.networks.fcn import FCNNetworkTorch

        # sktime would take the shorter of the two and leave the rest out.
        self._check_pairs("n_filters", "kernel_sizes")
        return FCNNetworkTorch(
            self._n_leads(shape_in),
            n_outputs,
            filter_sizes=positive_sizes("n_filters", self.n_filters),
            kernel_sizes=positive_sizes("kernel_sizes", self.kernel_sizes),
        )


class LSTMFCNClassifier(SequenceMixin, TorchClassifier):
    """LSTM beside a fully convolutional network, a baseline of lvsd2026.

    The convolutions are those of :class:`FCNClassifier`; the LSTM runs over time steps, without
    the dimension shuffle of the paper that introduced the network [1]_.

    Parameters
    ----------
    n_filters : tuple of int, default=(128, 256, 128)
        Channels of each convolution.
    kernel_sizes : tuple of int, default=(8, 5, 3)
        Samples of each convolution, as many as ``n_filters``.
    lstm_size : int, default=8
        Width of the LSTM's state.
    dropout : float, default=0.8
        Behind the LSTM.
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
        These are as in :class:`FCNClassifier`.

    Attributes
    ----------
    classes_, module_, history_, shape_in_
        As in :class:`FCNClassifier`.

    References
    ----------
    .. [1] Karim F, Majumdar S, Darabi H, Harford S. Multivariate LSTM-FCNs for time series
       classification. Neural Networks 116, 2019, 237-245.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural import LSTMFCNClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64)) + 2 * y[:, None, None] * np.sin(np.arange(64))
    >>> model = LSTMFCNClassifier(n_filters=(8, 8, 8), lr=1e-2, max_epochs=20, random_state=0)
    >>> model.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints = {
        **FCNClassifier._parameter_constraints,
        "lstm_size": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        n_filters=(128, 256, 128),
        kernel_sizes=(8, 5, 3),
        lstm_size=8,
        dropout=0.8,
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
        from sktime.networks.lstmfcn import LSTMFCNNetworkTorch

        self._check_pairs("n_filters", "kernel_sizes")
        return LSTMFCNNetworkTorch(
            self._n_leads(shape_in),
            n_outputs,
            filter_sizes=positive_sizes("n_filters", self.n_filters),
            kernel_sizes=positive_sizes("kernel_sizes", self.kernel_sizes),
            lstm_size=self.lstm_size,
            dropout=self.dropout,
            # Without it there is no ReLU in the network at all.
            activation_hidden=torch.nn.ReLU(),
        )
