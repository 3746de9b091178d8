"""What networks on signals share: shapes, Adam as in lvsd2026, augmentation of their batches."""

import warnings
from contextlib import contextmanager
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from crtkit.neural.augment import augmented
from crtkit.neural.base import TorchClassifier
from crtkit.neural.signal_augment import SignalAugment

SIGNAL_PARAMETERS = {
    **TorchClassifier._parameter_constraints,
    "augment": [StrOptions({"light"}), callable, None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
}


class SignalMixin:
    """Two-dimensional input is one lead; the optimiser is Adam, as in the paper."""

    _kind, _ndim = "signals", (2, 3)
    optimizer = "adam"

    def _to_input(self, batch):
        return batch[:, None] if batch.ndim == 2 else batch

    def _train_batch_augment(self, batch):
        if self.augment is None:
            return batch
        augment = SignalAugment() if isinstance(self.augment, str) else self.augment
        return augmented(augment, batch)

    def _n_leads(self, shape_in):
        return 1 if len(shape_in) == 1 else shape_in[0]


class SequenceMixin(SignalMixin):
    """sktime's networks, which take (n_records, n_samples, n_leads)."""

    # Ours and torch's order is (leads, samples); sktime's networks transpose at their entrance.
    def _to_input(self, batch):
        return super()._to_input(batch).transpose(1, 2)

    def _train_batch_augment(self, batch):
        return super()._train_batch_augment(batch.transpose(1, 2)).transpose(1, 2)

    def _fit_net(self, *args, **kwargs):
        with _even_kernels():
            super()._fit_net(*args, **kwargs)

    def _apply(self, *args, **kwargs):
        with _even_kernels():
            return super()._apply(*args, **kwargs)

    def _check_pairs(self, first, second):
        a, b = getattr(self, first), getattr(self, second)
        if len(a) != len(b):
            raise ValueError(
                f"{type(self).__name__} expects {first} and {second} of one length, "
                f"got {tuple(a)} and {tuple(b)}."
            )


@contextmanager
def _even_kernels():
    """Keep torch from saying, once a process, that kernels of even length cost a copy."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        yield


def positive_sizes(name, value):
    """Return a tuple of positive integers, or raise an error that says so."""
    value = tuple(value)
    if not value or any(not isinstance(v, Integral) or v < 1 for v in value):
        raise ValueError(f"{name} must be a tuple of positive integers, got {value}.")
    return tuple(int(v) for v in value)
