"""What Captum's DeepLIFT can and cannot follow in a network."""

import copy

import numpy as np
import torch
from torch import nn

from crtkit.neural.ecgfm.front import LeadResampler

# Layers that a map passes through exactly, as they are linear once a network is trained.
_LINEAR = (
    *(nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.Identity, nn.Flatten),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.ConstantPad1d),
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict, LeadResampler),
)


def layers_without_rule(network):
    """Kinds of layers in a network that Captum's DeepLIFT only takes the gradient of.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    list of str
        Class names, sorted; a max pool counts where its windows overlap (InceptionTime's). What a
        module computes by functions cannot be seen from outside: the completeness error is the
        judge of that.

    Examples
    --------
    >>> from torch import nn
    >>> from crtkit.explain import layers_without_rule
    >>> layers_without_rule(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.GELU(), nn.LayerNorm(2)))
    ['GELU', 'LayerNorm']
    """
    known = (*_LINEAR, *_ruled())
    return sorted(
        {
            type(module).__name__
            for name, module in network.named_modules()
            # A parametrization computes a weight, not an activation.
            if not any(True for _ in module.children()) and "parametrizations" not in name
            if not isinstance(module, known) or _overlaps(module)
        }
    )


def distinct_activations(explained, x):
    """Give every call of an activation a module of its own, in place.

    DeepLIFT keeps what went in and out of a module, once: of a ReLU that a network calls ten times
    (sktime's do) it would know the last call.

    Parameters
    ----------
    explained : torch.nn.Module
        Holds ``network``; it gets the copies.
    x : Tensor
        An input.
    """
    calls, network = {}, explained.network
    ruled = [module for module in network.modules() if isinstance(module, tuple(_ruled()))]

    def count(module, inputs, output):
        calls[id(module)] = calls.get(id(module), 0) + 1

    hooks = [module.register_forward_hook(count) for module in ruled]
    with torch.no_grad():
        explained(x)
    for hook in hooks:
        hook.remove()
    shared, every = {}, []
    for module in ruled:
        if calls.get(id(module), 0) > 1:
            copies = [copy.deepcopy(module) for _ in range(calls[id(module)])]
            shared[id(module)] = _PerCall(copies)
            every += copies
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if id(child) in shared:
                parent._modules[name] = shared[id(child)]
    # In one place only: hooks that walk the tree would meet a shared child once a parent.
    explained.add_module("distinct_activations", nn.ModuleList(every))


class _PerCall(nn.Module):
    """Copies of one module, called in turn; they are registered elsewhere."""

    def __init__(self, copies):
        super().__init__()
        self.copies, self.at = tuple(copies), 0

    def forward(self, x):
        module = self.copies[self.at]
        self.at = (self.at + 1) % len(self.copies)
        return module(x)


def _overlaps(module):
    """Whether a pool's windows share samples: Captum's rule then loses all but one of them."""
    if not isinstance(module, (nn.MaxPool1d, nn.MaxPool2d)):
        return False
    return np.max(module.stride) < np.max(module.kernel_size)


def _ruled():
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

    return tuple(SUPPORTED_NON_LINEAR)
