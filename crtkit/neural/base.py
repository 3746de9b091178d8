"""The bases beneath every network of crtkit; :class:`TorchClassifier` is public, its hooks with it.

Estimators that are not classifiers (an encoder, an autoencoder) inherit :class:`TorchEstimator` and
write their own ``fit``::

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        X = self._start_fit(X)
        seed = draw_seed(check_random_state(self.random_state))
        self._fit_net(RecordDataset(X), None, n_outputs=None, seed=seed)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self._apply(self._check_X(X, reset=False), function)    # function(module, x)
"""

import functools
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_is_fitted

from crtkit._labels import check_groups
from crtkit._splits import group_holdout
from crtkit._validation import FLOAT_DTYPES, check_records
from crtkit.neural.batches import Batches, RecordDataset
from crtkit.neural.dead_runs import check_numbers, stop_if_stuck, warn_if_dead
from crtkit.neural.devices import (
    DTYPES,
    autocast,
    forked_rng,
    memory_format,
    refuse_fork,
    resolve_device,
)
from crtkit.neural.engine import TrainingOptions, train_network, trained_net
from crtkit.neural.parameters import (
    TRAINING_PARAMETERS as TRAINING_PARAMETERS,
    check_class_weight,
    draw_seed as draw_seed,
    miss_groups,
    store_parameters as store_parameters,
)


def embed(module, x, **how):
    """The embedding of a batch, as a function that pickles."""
    return module.embed(x, **how)


class TorchEstimator(BaseEstimator):
    """Data in batches, devices, precision, seeds and pickling for estimators with a network."""

    _kind = "images"
    _ndim = (2, 4)
    _parameter_constraints: dict = TRAINING_PARAMETERS

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __setstate__(self, state):
        super().__setstate__(state)
        if "net_" in state:  # a GPU model that was loaded where there is none is on the CPU now
            self.device_ = str(self.net_.device)
            module = getattr(self.net_, "module_", None)  # a bundle puts it in later
            if module is not None:
                module.to(memory_format=memory_format(module, self.device_, self.precision))

    def adopt_network(self, module, history, device="cpu"):
        """Take a trained module as ``net_``: what :func:`crtkit.load` does in place of training.

        Parameters
        ----------
        module : torch.nn.Module
            Of the structure that ``fit`` built, with its weights.
        history : list of dict
            One row for each epoch.
        device : str

        Returns
        -------
        net
            The private net, also kept as ``net_``.

        Raises
        ------
        ValueError
            ``device`` names no device that is here.
        """
        self.device_ = str(resolve_device(device))
        self.net_ = trained_net(self._place(module), TrainingOptions.of(self), self.device_)
        self.net_.history_rows_ = history
        return self.net_

    @property
    def module_(self):
        """The trained torch module."""
        check_is_fitted(self)
        return self.net_.module_

    def _make_criterion(self):
        return torch.nn.CrossEntropyLoss(reduction="none")

    def _to_input(self, batch):
        return batch

    def _train_batch_augment(self, batch):
        return batch

    def _param_groups(self, module):
        return [{"params": [p for p in module.parameters() if p.requires_grad]}]

    def _start_fit(self, X):
        """Forget an earlier fit, validate X and settle the device."""
        for name in [a for a in vars(self) if a.endswith("_") and not a.startswith("_")]:
            delattr(self, name)
        X = self._check_X(X, reset=True)
        self.device_ = str(resolve_device(self.device))
        return X

    def _check_X(self, X, *, reset):
        """Records as an array or Rows; uint8 stays uint8, everything else becomes floating."""
        uint8 = getattr(X, "dtype", None) == np.uint8
        dtype = None if uint8 else FLOAT_DTYPES
        X = check_records(self, X, kind=self._kind, reset=reset, ndim=self._ndim, dtype=dtype)
        stored = "uint8" if uint8 else "float"
        if reset:
            self.dtype_in_ = stored
        elif stored != self.dtype_in_:
            raise ValueError(
                f"{type(self).__name__} was fitted on {self.dtype_in_} {self._kind} but now got "
                f"{stored} ones, which are scaled differently. Convert them to the same dtype."
            )
        return X

    def _fit_net(self, train, valid, n_outputs, seed, start=None):
        """Build the module and train it as ``net_``, under a torch generator of its own.

        ``start`` is what the module is built from, for networks that take something: its
        ``_make_module`` gets it as a third argument.
        """
        given = () if start is None else (start,)
        with forked_rng(seed, torch.device(self.device_)):
            module = self._make_module(n_outputs, self.shape_in_, *given)
            self.net_ = self._train(module, train, valid)
        self.history_ = self.net_.history_rows_

    def _training_options(self, train):
        """Parameters of the loop; ``train`` is what it will run over."""
        return TrainingOptions.of(self)

    def _train(self, module, train, valid):
        return train_network(
            self._place(module),
            self._make_criterion(),
            train,
            valid,
            self._training_options(train),
            prepare=functools.partial(self._prepare, module=module),
            groups=self._param_groups(module),
            device=self.device_,
            name=type(self).__name__,
            callbacks=stop_if_stuck(self, train),
        )

    def _place(self, module):
        module.to(self.device_, DTYPES[self.precision])
        return module.to(memory_format=memory_format(module, self.device_, self.precision))

    def _prepare(self, batch, training=False, module=None):
        """Batch as read -> input of ``module``: on the device, scaled, in its memory format."""
        x = self._to_input(batch.to(self.device_, non_blocking=True))
        x = x.to(DTYPES[self.precision])
        if training:
            x = self._train_batch_augment(x)
        if x.ndim != 4:
            return x
        module = self.net_.module_ if module is None else module
        return x.contiguous(memory_format=memory_format(module, self.device_, self.precision))

    def _apply(self, X, function=None, module=None):
        """``function(module, x)`` over X (or a RecordDataset) in batches, in eval mode -> ndarray.

        The default function is the forward pass, the default module that of ``net_``. The dtype is
        float32, or float64 with ``precision="float64"``.
        """
        refuse_fork()
        module = self.net_.module_ if module is None else module
        module.eval()
        dataset = X if isinstance(X, RecordDataset) else RecordDataset(X)
        out = []
        with torch.inference_mode(), autocast(self.device_, self.precision):
            gpu = torch.device(self.device_).type == "cuda"
            batches = Batches(dataset, self.batch_size or len(dataset), prefetch=gpu, pin=gpu)
            for batch, _ in batches:
                x = self._prepare(batch, module=module)
                out.append(module(x) if function is None else function(module, x))
        out = torch.cat(out).to(DTYPES[self.precision]).cpu().numpy()
        return check_numbers(type(self).__name__, out)


class TorchClassifier(ClassifierMixin, TorchEstimator):
    """Base of classifiers with a network: yours states its module and how a batch enters it.

    Training in batches, labels of any type, weights, groups, an inner split by patient, devices,
    precision, seeds, ``fit``, ``predict`` and ``predict_proba`` come from here.
    :func:`crtkit.neural.wrap_module` does without a class of your own; a class can have parameters
    of its own and the hooks below.

    A subclass spells out in ``__init__`` every training parameter (``lr, weight_decay, schedule,
    max_epochs, batch_size, accumulate, class_weight, early_stopping, patience,
    validation_fraction, device, precision, random_state, verbose``), since scikit-learn reads
    parameters from the signature, and only stores them. It defines:

    ``_kind``, ``_ndim``
        What X holds ("signals", "images" or "maps") and the numbers of axes that are taken.
    ``_make_module(n_outputs, shape_in)``
        A new torch module that ends in logits; called under the seeded generator.

    and may define:

    ``_to_input(batch)``
        A batch as it is stored, on the device -> what the module takes.
    ``_train_batch_augment(batch)``
        Training batches only; random numbers from torch's current generator.
    ``_param_groups(module)``
        Groups of parameters for the optimizer, each with a learning rate of its own.
    ``_make_criterion()``
        A module that gives one loss for each record.
    ``_before_training(X, train, rng, groups)``
        Pretraining on the records X[train], inside the fold (``groups`` are all records'
        patients, or None); what it returns is a third argument
        of ``_make_module``.
    ``optimizer``
        A class attribute: "adamw", "adam" or "sgd".

    The module and everything it holds are classes at module level: no lambda and no local class,
    or the fitted estimator cannot be pickled.

    Notes
    -----
    scikit-learn's common checks pass in ``precision="float64"``; in float32 a record's prediction
    depends on the batch it is in by some 1e-7, and ``check_methods_subset_invariance`` asks for
    less. One check fails for every network with BatchNorm, whose statistics count records and
    cannot see their weights: ``check_sample_weight_equivalence_on_dense_data``. A network that
    does not learn scikit-learn's two blobs in its epochs fails ``check_classifiers_train``: give
    the checks a higher ``lr`` or more epochs.

    See Also
    --------
    crtkit.neural.wrap_module : A module as an estimator in one call.
    crtkit.testing.parametrize_with_nd_checks : What crtkit promises beside scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from crtkit.neural import TorchClassifier
    >>> class PowerClassifier(TorchClassifier):
    ...     _kind, _ndim = "signals", (2, 3)
    ...
    ...     def __init__(self, *, lr=0.05, weight_decay=0.0, schedule=None, max_epochs=40,
    ...                  batch_size=32, accumulate=1, class_weight=None, early_stopping=False,
    ...                  patience=10, validation_fraction=0.2, device="cpu",
    ...                  precision="float32", random_state=None, verbose=0):
    ...         values = dict(locals())
    ...         vars(self).update({k: v for k, v in values.items() if k != "self"})
    ...
    ...     def _make_module(self, n_outputs, shape_in):
    ...         return nn.Linear(1 if len(shape_in) == 1 else shape_in[0], n_outputs)
    ...
    ...     def _to_input(self, batch):
    ...         return batch.reshape(len(batch), -1, batch.shape[-1]).square().mean(-1)
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["no", "yes"], 12)
    >>> X = rng.normal(size=(24, 2, 60)) * np.where(y == "yes", 4.0, 1.0)[:, None, None]
    >>> float(PowerClassifier(random_state=0).fit(X, y).score(X, y))
    1.0
    """

    __metadata_request__fit = {"groups": True}

    _parameter_constraints: dict = {
        **TorchEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 0.5, closed="right")],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train on records.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, ...)
            As the class says.
        y : array-like of shape (n_records,)
            Classes, of any type of label.
        sample_weight : array-like of shape (n_records,), optional
            Weight of each record in the loss; a record of weight zero is left out.
        groups : array-like of shape (n_records,), optional
            Patients: no patient is on both sides of the split of ``early_stopping``, and a
            backbone that is pretrained inside ``fit`` gets those of its records.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            One class only, wrong lengths, NaN, sparse, class weights that are not positive, an
            absent device.
        FloatingPointError
            The loss became infinite or NaN; the message says at which step.
        """
        X = self._start_fit(X)
        y, weight, groups = self._check_targets(X, y, sample_weight, groups)
        kept = np.flatnonzero(weight)
        rng = check_random_state(self.random_state)
        seed = draw_seed(rng)
        train, valid = kept, None
        if self.early_stopping:
            train, valid = self._hold_out(y, groups, kept, seed)
            valid = RecordDataset(X, y, weight, valid)
        start = self._before_training(X, train, rng, groups)
        train = RecordDataset(X, y, weight, train)
        given = {} if start is None else {"start": start}
        self._fit_net(train, valid, n_outputs=len(self.classes_), seed=seed, **given)
        warn_if_dead(type(self).__name__, train, self.history_, self.max_epochs)
        if valid is not None:
            self.best_epoch_ = 1 + int(np.argmin([row["valid_loss"] for row in self.history_]))
        return self

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, ...)
            Of the shape that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n_records, n_classes)
            float64; columns in the order of ``classes_``. Values of X that leave the network
            without numbers (1e39 in float32) are refused by a ValueError.
        """
        check_is_fitted(self)
        logits = self._apply(self._check_X(X, reset=False))
        return softmax(logits.astype(np.float64), axis=1)

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, ...)
            Of the shape that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n_records,)
        """
        proba = self.predict_proba(X)
        return self.classes_[np.argmax(proba, axis=1)]

    def _before_training(self, X, train, rng, groups):
        """Do what must come first, on the records X[train]; return what the module starts from.

        Nothing here. What is returned, unless it is None, is the third argument of
        ``_make_module``.
        """

    def _hold_out(self, y, groups, kept, seed):
        """Split the records ``kept`` by patient into a training and a validation part."""
        try:
            parts = group_holdout(
                self.classes_[y[kept]],
                None if groups is None else groups[kept],
                size=self.validation_fraction,
                random_state=seed,
            )
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__} with early_stopping=True cannot hold out "
                f"{self.validation_fraction:.0%} of the patients: {error}"
            ) from error
        return [kept[part] for part in parts]

    def _check_targets(self, X, y, sample_weight, groups):
        """Classes as integers, weights with class_weight in them, groups; one of each a record."""
        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(X, y)
        groups = None if groups is None else check_groups(name, groups, len(y))
        weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        kept = weight > 0
        self.classes_, codes = np.unique(y[kept], return_inverse=True)
        if len(self.classes_) < 2:
            what = "one class" if kept.any() else "no record"
            raise ValueError(
                f"{name} needs at least 2 classes among the records of positive sample_weight, "
                f"but found {what}: {self.classes_.tolist()}."
            )
        target = np.zeros(len(y), dtype=np.int64)
        target[kept] = codes
        if self.class_weight is not None:
            check_class_weight(self.class_weight, name)
            weight = weight.copy()
            weight[kept] *= compute_sample_weight(self.class_weight, y[kept])
        # Only their ratios count, and float32 ends at 1e-38.
        weight = weight / weight.max()
        if self.early_stopping and groups is None:
            miss_groups(name, stacklevel=5)
        return target, weight, groups
