"""Which samples of a signal a network's answer rests on, and whether the map adds up.

What is explained is the log odds of a class (its logit less the mean of the others'): a map of one
logit alone would miss what the network put into the other.
"""

import contextlib
import copy
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from crtkit.explain.layers import distinct_activations, layers_without_rule
from crtkit.neural.base import TorchClassifier, draw_seed
from crtkit.neural.devices import forked_rng
from crtkit.neural.ecgfm.network import ECGFM

METHODS = ("deeplift", "integrated_gradients", "gradient_shap", "occlusion")
BASELINES = ("zero", "mean", "records")

TOLERANCE = 0.05  # of the explained difference: a map that misses more is warned of


@dataclass(frozen=True)
class Attribution:
    """Maps of what each sample adds to the log odds of a class.

    Attributes
    ----------
    maps : ndarray of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
        Signed, in log odds; ``numpy.asarray(attribution)`` is this.
    inputs : ndarray, shape of ``maps``
        The records as the network saw them, behind the steps of a pipeline.
    difference : ndarray of shape (n_records,)
        Log odds of the record less that of the baseline: what a map should sum to.
    completeness_error : ndarray of shape (n_records,)
        Sum of the map less ``difference``.
    method, baseline : str
    target : object
        The class.
    note : str
        What the method cannot do on this network; empty where nothing is known against it.
    """

    maps: np.ndarray
    inputs: np.ndarray
    difference: np.ndarray
    completeness_error: np.ndarray
    method: str
    baseline: str
    target: object
    note: str = ""

    def __array__(self, dtype=None, copy=None):
        return self.maps if dtype is None else self.maps.astype(dtype)

    def __len__(self):
        return len(self.maps)

    def plot(self, record=0, *, fs, layout=None, ax=None, name=None, limit=None):
        """Draw one record as :func:`plot_attribution` does, and say what was explained and how.

        Parameters
        ----------
        record : int, default=0
            Row of ``maps``.
        fs : float
            Sampling rate in Hz.
        layout, ax, limit
            As in :func:`plot_attribution`.
        name : str, optional
            What the title calls the record.

        Returns
        -------
        matplotlib Axes
        """
        from crtkit.explain.plots import method_name, plot_attribution

        title = (
            f"{method_name(self.method)} of class {self.target} against the baseline "
            f"{self.baseline!r}, record {record if name is None else name}: log odds "
            f"{self.difference[record]:+.2f}, {self.relative_error[record]:.0%} missed"
        )
        values, signal = np.atleast_2d(self.maps[record]), np.atleast_2d(self.inputs[record])
        return plot_attribution(
            signal, values, fs, layout=layout, ax=ax, title=title, target=self.target, limit=limit
        )

    @property
    def relative_error(self):
        """Size of the completeness error as a share of the difference."""
        # A record that equals its baseline has nothing to explain, and would divide by 0.
        scale = np.maximum(np.abs(self.difference), np.finfo(np.float32).eps)
        return np.abs(self.completeness_error) / scale


def attribute(
    model,
    X,
    *,
    method="deeplift",
    target=None,
    baseline="zero",
    n_steps=64,
    n_draws=20,
    window=None,
    batch_size=16,
    random_state=None,
):
    """Attribute a network's answer to the samples of each lead.

    Parameters
    ----------
    model : TorchClassifier, or Pipeline ending in one
        Fitted, of signals. Thresholds, resampling and searches around it are taken off.
    X : array-like or DataFrame of n_records rows
        What ``model.predict`` takes.
    method : {"deeplift", "integrated_gradients", "gradient_shap", "occlusion"}
        Captum's DeepLIFT [1]_ (lvsd2026's), integrated gradients [2]_, gradient SHAP, or occlusion
        of each lead by windows. Captum's DeepLIFT has no rule for GELU, normalisation, attention
        or recurrent layers and takes their gradient instead: on such a network it warns. It sees
        modules only: an activation that the forward pass calls as a function (``torch.relu(x)``)
        counts as its gradient too, which shows in the completeness error alone.
    target : class label, optional
        Whose log odds are explained; by default the last of ``classes_``.
    baseline : {"zero", "mean", "records"} or ndarray, default="zero"
        What a record is compared with: zeros; the mean of each lead; ``n_draws`` of the records
        ``X`` in turn; or one record (n_leads, n_samples) or several (k, n_leads, n_samples) of
        your own, in the units of the network's input. Maps are averaged over several.
    n_steps : int, default=64
        Points on the path of integrated gradients.
    n_draws : int, default=20
        Random points of gradient SHAP a record, and records that ``baseline="records"`` draws.
    window : int, optional
        Samples that occlusion covers at a time; None covers a whole lead. A window's effect is
        spread evenly over its samples.
    batch_size : int, default=16
        Records at a time; it changes memory and time only.
    random_state : int, RandomState or None, default=None
        Of gradient SHAP and drawn baselines; global generators are left alone.

    Returns
    -------
    Attribution
        Maps with their completeness error.

    Warns
    -----
    UserWarning
        DeepLIFT meets layers that it has no rule for, or half of the maps miss the difference that
        they should sum to by more than 5 %. A network that normalises each lead does not see the
        gain of a record, so every gradient on the way from a zero or constant baseline cancels:
        use ``baseline="records"``, or occlusion.

    Raises
    ------
    TypeError
        No network of crtkit at the end.
    ValueError
        Unknown method, class or baseline, a count below 1; an image network (see ``grad_cam``).

    References
    ----------
    .. [1] Shrikumar A, Greenside P, Kundaje A. Learning important features through propagating
       activation differences. ICML 2017.
    .. [2] Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.explain import attribute
    >>> from crtkit.neural import FCNClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 10)
    >>> X = rng.normal(size=(20, 2, 64))
    >>> X[y == 1, 1] += 2 * np.sin(np.arange(64))
    >>> model = FCNClassifier(n_filters=(8, 8, 8), lr=1e-2, max_epochs=20, random_state=0)
    >>> result = attribute(model.fit(X, y), X, method="deeplift")
    >>> result.maps.shape, bool(result.relative_error.max() < 1e-3)
    ((20, 2, 64), True)
    """
    if method not in METHODS:
        raise ValueError(f"attribute: method must be one of {METHODS}, got {method!r}.")
    counts = {"n_steps": n_steps, "n_draws": n_draws, "window": window, "batch_size": batch_size}
    for name, count in counts.items():
        # Nothing drawn would be a map of zeros.
        if not (count is None and name == "window") and not count >= 1:
            raise ValueError(f"attribute: {name} must be 1 or more, got {count!r}.")
    model, X = unwrap(model, X)
    X = model._check_X(X, reset=False)
    target = model.classes_[-1] if target is None else target
    where = np.flatnonzero(model.classes_ == target)
    if not len(where):
        raise ValueError(f"attribute: no class {target!r} among {model.classes_.tolist()}.")
    rng = check_random_state(random_state)
    seed = draw_seed(rng)
    X = np.asarray(X[:])
    references = _references(baseline, X, n_draws, rng)
    explained = _LogOdds(_copy(model), model._prepare, int(where[0]))
    missing = layers_without_rule(explained.network) if method == "deeplift" else []
    if method == "deeplift":
        distinct_activations(explained, _tensor(X[:1], model))
    options = {"n_steps": n_steps, "n_draws": n_draws, "window": window, "batch": batch_size}
    maps = np.zeros(X.shape, dtype=np.float64)
    difference = np.zeros(len(X))
    # Gradients through a recurrent layer in eval mode are an error in cuDNN.
    with _own_generators(seed, model.device_), torch.backends.cudnn.flags(enabled=False):
        for i in range(0, len(X), batch_size):
            rows = slice(i, i + batch_size)
            x = _tensor(X[rows], model)
            for reference in references:
                b = _tensor(reference[rows] if len(reference) == len(X) else reference, model)
                b = b.expand_as(x).contiguous()
                maps[rows] += _run(method, explained, x, b, options) / len(references)
                with torch.no_grad():
                    gap = (explained(x) - explained(b)).double().cpu().numpy()
                difference[rows] += gap / len(references)
    error = maps.sum(axis=tuple(range(1, maps.ndim))) - difference
    result = Attribution(
        maps,
        X,
        difference,
        error,
        method,
        baseline if isinstance(baseline, str) else "given",
        target,
    )
    return replace(result, note=_judge(result, missing))


def unwrap(model, X):
    """Network at the end of a model, and X as it comes there.

    Parameters
    ----------
    model : classifier
        Fitted: a network, a Pipeline, or a meta-estimator around either.
    X : array-like or DataFrame

    Returns
    -------
    network : TorchClassifier
    X : array-like or Rows
    """
    while not isinstance(model, TorchClassifier):
        if isinstance(model, Pipeline):
            check_is_fitted(model)
            X = model[:-1].transform(X) if len(model) > 1 else X
            model = model[-1]
        elif hasattr(model, "best_estimator_") or hasattr(model, "estimator_"):
            model = getattr(model, "best_estimator_", None) or model.estimator_
        else:
            raise TypeError(
                f"attribute expects a fitted network of crtkit or a Pipeline that ends in one, "
                f"got {type(model).__name__}."
            )
    check_is_fitted(model)
    if model._kind != "signals":
        raise ValueError(
            f"attribute explains networks of signals; {type(model).__name__} takes {model._kind}: "
            "use crtkit.explain.grad_cam."
        )
    return model, X


class _LogOdds(nn.Module):
    """Logit of one class less the mean of the others', from records as X holds them."""

    def __init__(self, network, prepare, target):
        super().__init__()
        self.network, self.prepare, self.target = network, prepare, target

    def forward(self, x):
        logits = self.network(self.prepare(x))
        target = logits[:, self.target]
        return target - (logits.sum(1) - target) / (logits.shape[1] - 1)


def _copy(model):
    """The network in eval mode, its parameters fixed and its gradient whole."""
    # Captum hooks into modules: a copy keeps the user's model as it was, even after an error.
    network = copy.deepcopy(model.module_).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, ECGFM):
            # fairseq scales the extractor's gradient in training; attributions need the true one.
            module.config = replace(module.config, feature_grad_mult=1.0)
    return network


def _tensor(x, model):
    dtype = torch.float64 if model.precision == "float64" else torch.float32
    return torch.as_tensor(x, dtype=dtype, device=model.device_)


def _references(baseline, X, n_draws, rng):
    """Baselines as arrays that broadcast to X, or hold one record each."""
    if isinstance(baseline, str):
        if baseline == "zero":
            return [np.zeros((1, *X.shape[1:]))]
        if baseline == "mean":
            mean = X.mean(axis=-1, keepdims=True) * np.ones(X.shape[1:])
            return [mean]
        if baseline == "records":
            drawn = rng.permutation(len(X))[:n_draws]
            return [X[i : i + 1] for i in drawn]
        raise ValueError(f"attribute: baseline must be one of {BASELINES} or an array.")
    given = np.asarray(baseline, dtype=float)
    given = given[None] if given.shape == X.shape[1:] else given
    if given.shape[1:] != X.shape[1:] or not np.isfinite(given).all():
        raise ValueError(
            f"attribute: a baseline must be finite and of shape {X.shape[1:]} or "
            f"(k, {', '.join(map(str, X.shape[1:]))}), got {given.shape}."
        )
    return [record[None] for record in given]


def _run(method, explained, x, baseline, options):
    """Maps of one batch by Captum."""
    from captum import attr

    if method == "deeplift":
        with warnings.catch_warnings():
            # Captum says that it sets hooks, which come off again.
            warnings.simplefilter("ignore", UserWarning)
            maps = attr.DeepLift(explained).attribute(x, baseline)
    elif method == "integrated_gradients":
        maps = attr.IntegratedGradients(explained).attribute(
            x, baseline, n_steps=options["n_steps"], internal_batch_size=max(options["batch"], 8)
        )
    elif method == "gradient_shap":
        parts = [
            # Record by record: Captum draws which baseline meets which input, over the whole batch.
            attr.GradientShap(explained).attribute(
                x[i : i + 1], baseline[i : i + 1], n_samples=options["n_draws"], stdevs=0.0
            )
            for i in range(len(x))
        ]
        maps = torch.cat(parts)
    else:
        n_samples = x.shape[-1]
        window = min(options["window"] or n_samples, n_samples)
        column = torch.arange(n_samples, device=x.device) // window
        n_windows = int(column[-1]) + 1
        n_leads = x.shape[1] if x.ndim == 3 else 1
        lead = torch.arange(n_leads, device=x.device)[:, None]
        mask = (lead * n_windows + column).reshape(1, *x.shape[1:])
        # Spread over the window's samples, so that a map sums to the difference like the others.
        size = torch.bincount(column)[column]
        with torch.no_grad():
            maps = attr.FeatureAblation(explained).attribute(x, baseline, feature_mask=mask) / size
    return maps.detach().double().cpu().numpy()


@contextlib.contextmanager
def _own_generators(seed, device):
    """Seed numpy's and torch's global generators, which Captum draws from, and restore them."""
    state = np.random.get_state()  # noqa: NPY002 - Captum draws from the global generator
    try:
        with forked_rng(seed, torch.device(device)):
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _judge(result, missing):
    """What speaks against the maps, warned of as well."""
    notes = []
    error = float(np.median(result.relative_error)) if len(result) else 0.0
    if missing:
        notes.append(
            f"Captum's DeepLIFT has no rule for {', '.join(missing)} and takes their gradient "
            "instead: use integrated_gradients, gradient_shap or occlusion."
        )
    if error > TOLERANCE and result.method != "occlusion":
        notes.append(
            f"Half of the maps miss the difference that they should sum to by {error:.0%} or more."
        )
        if result.method == "gradient_shap":
            notes.append("It is drawn at random: raise n_draws.")
        if result.method == "deeplift" and not missing:
            notes.append(
                "Activations that the forward pass calls as functions (torch.relu(x), x.tanh()) "
                "cannot be seen by DeepLIFT, which takes their gradient: give each call an "
                "nn.ReLU() of its own in __init__, or use integrated_gradients."
            )
        if result.baseline in ("zero", "mean"):
            notes.append(
                "A network that normalises leads does not see a record's gain, so that its "
                "gradients cancel: try baseline='records', or occlusion."
            )
    note = " ".join(notes)
    if note:
        warnings.warn(f"attribute(method={result.method!r}): {note}", UserWarning, stacklevel=3)
    return note
