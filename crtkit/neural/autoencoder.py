"""AutoencoderFeatures: a linear autoencoder's code as features of phase polar maps (he2021)."""

from dataclasses import replace
from numbers import Integral

import numpy as np
import torch
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from crtkit._validation import iter_blocks
from crtkit.neural.autoencoder_network import (
    ACTIVATIONS,
    Autoencoder,
    Maps,
    MeanSquare,
    encode,
)
from crtkit.neural.base import TRAINING_PARAMETERS, TorchEstimator, draw_seed, store_parameters
from crtkit.neural.devices import DTYPES

BLOCK = 256
TRAINED = ("lr", "weight_decay", "schedule", "device", "precision", "random_state", "verbose")


class AutoencoderFeatures(TransformerMixin, TorchEstimator):
    """Compress maps with an autoencoder of linear layers; its code is the features.

    he2021 [1]_ names four linear layers, 1,000 iterations, and the 64 outputs of layer 2 as the
    features. Sizes, optimiser, rate, batch and scaling are not published: here the layers are
    n_pixels-512-64-512-n_pixels, trained by Adam on all maps at once, after taking off the mean map
    and dividing by one number. All layers being linear, the best such code spans what centred PCA
    spans: its training error approaches PCA's and cannot fall below it.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    layer_sizes : tuple of int, default=None
        Widths of the layers between pixels and code, mirrored behind it; None is (512,), the
        paper's four layers. () leaves two layers.
    activation : {"relu", "tanh", "elu"} or None, default=None
        After every hidden layer; None is the paper's linear network. Code and output are linear.
    encoding : {"plain", "circular"}, default="plain"
        ``"plain"`` takes pixel values as numbers, as the paper does: 359 and 1 degrees are then far
        apart. ``"circular"`` takes phases in degrees as cosine and sine.
    max_iter : int, default=1000
        Passes over the maps; with ``batch_size=None`` steps of the optimiser.
    lr : float, default=1e-3
        Learning rate of Adam.
    weight_decay : float, default=0.0
        L2 penalty, as Adam applies it.
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
        Course of the learning rate.
    batch_size : int or None, default=None
        Maps per step, at least 2; None is all.
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``.
    precision : {"float32", "bf16", "float64"}, default="float32"
    random_state : int, RandomState or None, default=None
        Seeds initial weights and the order of maps; global generators are left alone.
    verbose : int, default=0
        1 shows progress on stderr.

    Attributes
    ----------
    reconstruction_error_ : float
        Mean squared error of the training maps per pixel: degrees squared, or with
        ``encoding="circular"`` of cosines and sines.
    n_iter_ : int
        Iterations, ``max_iter``.
    history_ : list of dict
        One per iteration: ``epoch, train_loss`` (standardised), ``dur``.
    module_ : torch.nn.Module
    net_ : private skorch net
    device_ : str
    shape_in_ : tuple of int
        Shape of one map.
    n_features_in_ : int
        Pixels of a flattened map, or height.

    See Also
    --------
    crtkit.statistics.UnivariateScreen : which of the features go with the outcome, inside the fold.
    sklearn.decomposition.PCA : the linear optimum, at once.

    Notes
    -----
    A code has no order and no sign: feature 30 of one seed is not a feature of another. Fitted on
    every patient, as in the paper, it has seen those it is judged on; in a Pipeline it is refitted
    inside each training fold.

    References
    ----------
    .. [1] He Z et al. A method using deep learning to discover new predictors of CRT response from
       mechanical dyssynchrony on gated SPECT MPI. J Nucl Cardiol 2021 (``crtkit.studies.he2021``),
       "Deep learning model".

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit import AutoencoderFeatures
    >>> maps = np.random.default_rng(0).normal(150, 30, (20, 12, 24)).astype("float32")
    >>> model = AutoencoderFeatures(n_components=8, layer_sizes=(32,), max_iter=50, random_state=0)
    >>> code = model.fit_transform(maps)
    >>> code.shape, model.inverse_transform(code).shape
    ((20, 8), (20, 12, 24))
    """

    _kind = "maps"
    _ndim = (2, 3)
    _parameter_constraints = {
        **{name: TRAINING_PARAMETERS[name] for name in TRAINED},
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "layer_sizes": [tuple, list, None],
        "activation": [StrOptions(set(ACTIVATIONS)), None],
        "encoding": [StrOptions({"plain", "circular"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        n_components=64,
        layer_sizes=None,
        activation=None,
        encoding="plain",
        max_iter=1000,
        lr=1e-3,
        weight_decay=0.0,
        schedule=None,
        batch_size=None,
        device="cpu",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train on maps; labels are not used.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, height, width) or (n_records, n_pixels)
            Maps, degrees for ``encoding="circular"``; no NaN.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            NaN, maps of several sizes, phases outside [0, 360) for ``encoding="circular"``, an
            absent device, layer sizes that are not positive integers.
        FloatingPointError
            The loss became infinite or NaN.
        """
        hidden = (512,) if self.layer_sizes is None else tuple(self.layer_sizes)
        if not all(isinstance(n, Integral) and n > 0 for n in hidden):
            raise ValueError(
                f"AutoencoderFeatures expects layer_sizes as positive integers, got {hidden}."
            )
        X = self._start_fit(X)
        # Training takes all maps at once, so they are read into memory where they are not yet.
        if not isinstance(X, np.ndarray):
            X = np.concatenate([block for _, block in iter_blocks(X, BLOCK)])
        # In float64, and a copy, which is standardised in place.
        pixels = torch.from_numpy(X.reshape(len(X), -1).astype(np.float64))
        encoded = encode(pixels, self.encoding == "circular").numpy()
        # One scale for all pixels keeps the best linear code that of centred PCA.
        mean = encoded.mean(axis=0)
        encoded -= mean
        scale = float(np.sqrt(np.square(encoded).mean())) or 1.0
        wide = np.float64 if self.precision == "float64" else np.float32
        maps = Maps((encoded / scale).astype(wide))
        seed = draw_seed(check_random_state(self.random_state))
        self._fit_net(maps, None, n_outputs=None, seed=seed, start=(mean, scale, hidden))
        residual = self._apply(maps).astype(np.float64)
        self.n_iter_ = len(self.history_)
        self.reconstruction_error_ = float(np.square(residual * scale).mean())
        return self

    def transform(self, X):
        """Code of each map.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, height, width) or (n_records, n_pixels)
            Of the shape that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n_records, n_components), or DataFrame
            As ``set_output`` asks; float32, or float64 with ``precision="float64"``.
        """
        check_is_fitted(self)
        return self._apply(self._check_X(X, reset=False), Autoencoder.embed)

    def inverse_transform(self, X):
        """Maps that the decoder makes of codes.

        Parameters
        ----------
        X : array-like of shape (n_records, n_components)
            Codes.

        Returns
        -------
        ndarray of shape ``(n_records, *shape_in_)``
            Degrees in [0, 360) for ``encoding="circular"``; otherwise numbers, which a linear
            network may put outside it.

        Raises
        ------
        ValueError
            Another number of components, NaN.
        """
        check_is_fitted(self)
        # Codes need not come from here, so they are checked by themselves.
        code = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        module, dtype = self.net_.module_, DTYPES[self.precision]
        if code.shape[1] != module.n_components:
            raise ValueError(
                f"AutoencoderFeatures.inverse_transform expects codes of {module.n_components} "
                f"components, got {code.shape[1]}."
            )
        with torch.inference_mode():
            codes = torch.as_tensor(np.ascontiguousarray(code)).to(self.device_, dtype)
            out = module.decode(codes).cpu().numpy()
        if module.circular:
            # The decoder's pairs lie off the unit circle; only their direction is a phase.
            cosine, sine = np.split(out, 2, axis=1)
            out = np.mod(np.rad2deg(np.arctan2(sine, cosine)), 360.0)
            # np.mod of -1e-17 is 360 in floating point.
            out[out >= 360] = 0
        return out.reshape(len(out), *self.shape_in_)

    def get_feature_names_out(self, input_features=None):
        """``AE1`` to ``AE64``, as the paper numbers them.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        if input_features is not None and (len(self.shape_in_) == 1):
            _check_feature_names_in(self, input_features)
        n_components = self.net_.module_.n_components
        return np.asarray([f"AE{i + 1}" for i in range(n_components)], dtype=object)

    def _check_X(self, X, *, reset):
        try:
            X = super()._check_X(X, reset=reset)
        except ValueError as error:
            # scikit-learn's checks look for its own words; the cure is put behind them.
            if "contains NaN" not in str(error):
                raise
            raise ValueError(
                "Input X contains NaN, and AutoencoderFeatures takes no cell without a phase: "
                "PhaseAnalysis(low_counts='mean') fills them."
            ) from error
        if self.encoding == "circular":
            for where, block in iter_blocks(X, BLOCK):
                flat = block.reshape(len(block), -1)
                wrong = np.flatnonzero(((flat < 0) | (flat >= 360)).any(axis=1))
                if len(wrong):
                    row = flat[wrong[0]]
                    raise ValueError(
                        "Negative values in data passed to AutoencoderFeatures, or values of 360 "
                        "and more: encoding='circular' takes degrees in [0, 360), record "
                        f"{where.start + wrong[0]} has {row.min():g} to {row.max():g}. Use "
                        "numpy.mod(maps, 360)."
                    )
        return X

    def _make_module(self, n_outputs, shape_in, start):
        mean, scale, hidden = start
        return Autoencoder(
            mean, scale, hidden, self.n_components, self.activation, self.encoding == "circular"
        )

    def _make_criterion(self):
        return MeanSquare()

    def _training_options(self, train):
        return replace(
            super()._training_options(train),
            optimizer="adam",
            max_epochs=self.max_iter,
            # The whole cohort at a time, as published: a hundred maps fit into memory many times.
            batch_size=self.batch_size or max(2, len(train)),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        # Degrees are never negative, and scikit-learn's checks send what is unless told.
        tags.input_tags.positive_only = self.encoding == "circular"
        return tags
