"""A torch module, or a skorch net, of your own as an estimator."""

import copy
import inspect
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from crtkit.neural.base import TorchClassifier, store_parameters

#: Axes of X for each kind, one record on axis 0; 2-D signals are one lead, 2-D images grey rows.
_AXES = {"signals": (2, 3), "images": (2, 4)}
# skorch's other criteria mean other tasks than one class per record.
_CRITERIA = {torch.nn.NLLLoss: "probabilities", torch.nn.CrossEntropyLoss: "logits"}
_OPTIMIZERS = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam", torch.optim.AdamW: "adamw"}


class ModuleClassifier(TorchClassifier):
    """A torch module of your own behind the contract of crtkit's networks.

    Training, labels, weights, groups, devices, seeds and pickling are those of
    :class:`TorchClassifier`; for more than this, such as a loss or learning rates of your own,
    inherit from it.

    Parameters
    ----------
    module : torch.nn.Module, or callable that makes one
        A callable (the class itself, usually) is called in ``fit``, under the seeded generator,
        with those of the sizes that its signature names: ``n_outputs``, and ``n_leads``,
        ``n_samples`` of signals or ``height``, ``width`` of images. A module is copied in ``fit``
        and goes on from the weights it has. It takes (n_records, n_leads, n_samples), or
        (n_records, 3, height, width) of images with ImageNet's scale, and returns
        (n_records, n_classes).
    module_params : dict, optional
        Further arguments of the callable.
    kind : {"signals", "images"}, default="signals"
        What X holds: signals (n_records, n_leads, n_samples) in millivolt, 2-D being one lead, or
        images (n_records, height, width, 3).
    outputs : {"logits", "probabilities"}, default="logits"
        What the module returns.
    optimizer : {"adamw", "adam", "sgd"}, default="adamw"
    lr : float, default=1e-3
    weight_decay : float, default=0.0
    schedule : {"cosine", "onecycle", "warmup"} or None, default=None
    clip_norm : float or None, default=None
    max_epochs : int, default=20
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
        These are as in :class:`ResNetClassifier`.

    Attributes
    ----------
    classes_, module_, history_, shape_in_, device_
        As in :class:`ResNetClassifier`.

    See Also
    --------
    wrap_module : Makes one from a module, a class or a skorch net.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from crtkit.neural import ModuleClassifier
    >>> def mean_of_squares(n_leads, n_outputs):
    ...     return nn.Sequential(
    ...         nn.Conv1d(n_leads, 8, 7, padding=3), nn.ReLU(), nn.AdaptiveAvgPool1d(1),
    ...         nn.Flatten(), nn.Linear(8, n_outputs))
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["no", "yes"], 12)
    >>> X = rng.normal(size=(24, 2, 60)) * np.where(y == "yes", 4.0, 1.0)[:, None, None]
    >>> model = ModuleClassifier(module=mean_of_squares, lr=0.05, max_epochs=40, random_state=0)
    >>> float(model.fit(X, y).score(X, y)) > 0.9
    True
    """

    _parameter_constraints = {
        **TorchClassifier._parameter_constraints,
        "module": [callable],
        "module_params": [dict, None],
        "kind": [StrOptions(set(_AXES))],
        "outputs": [StrOptions({"logits", "probabilities"})],
        "optimizer": [StrOptions({"adamw", "adam", "sgd"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        module,
        module_params=None,
        kind="signals",
        outputs="logits",
        optimizer="adamw",
        lr=1e-3,
        weight_decay=0.0,
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

    @property
    def _kind(self):
        return self.kind

    @property
    def _ndim(self):
        return _AXES[self.kind]

    def _make_module(self, n_outputs, shape_in):
        if isinstance(self.module, torch.nn.Module):
            if self.module_params:
                raise ValueError(
                    "ModuleClassifier got module_params beside a module that is built already: "
                    "pass its class."
                )
            # A parameter is never changed by fit, and folds must start alike.
            module = copy.deepcopy(self.module)
        else:
            module = self._call_factory(n_outputs, shape_in)
        # One loss for both: cross-entropy of log p is that of p.
        module = module if self.outputs == "logits" else Log(module)
        self._check_outputs(module, n_outputs, shape_in)
        return module

    def _call_factory(self, n_outputs, shape_in):
        shape = (1, *shape_in) if len(shape_in) == 1 else shape_in
        names = ("n_leads", "n_samples") if self.kind == "signals" else ("height", "width")
        given = dict(self.module_params or {})
        wanted = inspect.signature(self.module).parameters
        for name, size in zip(("n_outputs", *names), (n_outputs, *shape)):
            if name in wanted:
                given.setdefault(name, size)
        module = self.module(**given)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"ModuleClassifier expects module to make a torch.nn.Module, got a "
                f"{type(module).__name__} from {self.module!r}."
            )
        return module

    def _check_outputs(self, module, n_outputs, shape_in):
        """Refuse a module of another number of classes before an epoch is spent on it."""
        place = self._place(module).eval()
        # Two records of zeros: BatchNorm in eval mode takes them, and no data are needed.
        batch = torch.zeros(2, *shape_in, dtype=torch.float32)
        with torch.no_grad():
            out = place(self._prepare(batch, module=place))
        module.train()
        if not isinstance(out, torch.Tensor) or out.shape != (2, n_outputs):
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(
                f"ModuleClassifier expects the module to return (n_records, {n_outputs}), one "
                f"column for each class; for 2 records of shape {shape_in} it returned {got}."
            )

    def _to_input(self, batch):
        if self.kind == "signals":
            return batch[:, None] if batch.ndim == 2 else batch
        from crtkit.neural.resnet_network import images_to_input

        return images_to_input(
            batch, torch.float64 if batch.dtype == torch.float64 else torch.float32
        )


class Log(torch.nn.Module):
    """Probabilities as logits: their softmax is the probabilities again."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        """Logarithms, from the smallest probability that has a finite one."""
        p = self.module(x)
        return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def wrap_module(module, **params):
    """An estimator of crtkit from a torch module, its class, or a skorch net.

    Parameters
    ----------
    module : torch.nn.Module, callable that makes one, or skorch NeuralNetClassifier
        Of a skorch net its module and ``module__`` arguments, ``lr``, ``max_epochs``,
        ``batch_size``, ``device``, optimizer (SGD without momentum, Adam, AdamW), weight decay and
        criterion (NLLLoss means that the module returns probabilities, as skorch has it) are
        taken; it trains from new weights. Callbacks are not, and are refused; its ``train_split``
        becomes ``early_stopping`` with ``groups`` where you ask for that.
    **params
        Parameters of :class:`ModuleClassifier`, which count before those of a net.

    Returns
    -------
    ModuleClassifier

    Raises
    ------
    ValueError
        A skorch net with callbacks, another criterion or another optimizer.

    Examples
    --------
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from crtkit.neural import wrap_module
    >>> net = NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=2, lr=0.1)
    >>> model = wrap_module(net, kind="signals", random_state=0)
    >>> model.lr, model.outputs, model.module_params
    (0.1, 'probabilities', {'in_features': 4, 'out_features': 2})
    """
    from skorch import NeuralNet

    if isinstance(module, NeuralNet):
        params = {**_of_skorch(module), **params}
        module = params.pop("module")
    return ModuleClassifier(module=module, **params)


def _of_skorch(net):
    """Parameters that a skorch net has in common with ModuleClassifier."""
    criterion = _CRITERIA.get(net.criterion)
    optimizer = _OPTIMIZERS.get(net.optimizer)
    prefixed = net.get_params(deep=False)
    options = {k: v for k, v in prefixed.items() if k.startswith(("optimizer__", "criterion__"))}
    # What torch's optimizer does when it is not told: AdamW decays, the others do not.
    usual = inspect.signature(net.optimizer).parameters["weight_decay"].default if optimizer else 0
    decay = options.pop("optimizer__weight_decay", usual)
    problems = [f"{k}={v!r}" for k, v in options.items()]
    if criterion is None:
        problems.append(f"criterion={net.criterion!r} (NLLLoss and CrossEntropyLoss are)")
    if optimizer is None:
        problems.append(f"optimizer={net.optimizer!r} (SGD, Adam and AdamW are)")
    if net.callbacks:
        problems.append("callbacks")
    if problems:
        raise ValueError(
            f"wrap_module cannot carry over from {type(net).__name__}: {', '.join(problems)}. "
            "Inherit from crtkit.neural.TorchClassifier for what is your own."
        )
    arguments = {
        k.removeprefix("module__"): v for k, v in prefixed.items() if k.startswith("module__")
    }
    # The arguments of a module that is built already have had their effect.
    built = isinstance(net.module, torch.nn.Module)
    return {
        "module": net.module,
        "module_params": None if built else arguments,
        "outputs": criterion,
        "optimizer": optimizer,
        "weight_decay": decay,
        **{name: getattr(net, name) for name in ("lr", "max_epochs", "batch_size", "device")},
    }
