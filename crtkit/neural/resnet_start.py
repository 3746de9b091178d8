"""What a residual network starts from: nothing, a file of weights, or a pretrained encoder."""

import warnings
from numbers import Integral
from pathlib import Path

from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from crtkit.neural.weights import (
    file_hash,
    fit_weights,
    hash_in_name,
    imagenet_file,
    read_weights,
    state_hash,
    torchvision_names,
)


def check_start(backbone, weights, width):
    """Refuse starting points of a ResNetClassifier that contradict each other.

    Raises
    ------
    ValueError
        Both of them, a backbone that needs labels, ImageNet weights at another width.
    NotFittedError
        A frozen backbone that was never fitted.
    """
    if backbone is not None and weights is not None:
        raise ValueError(
            "ResNetClassifier takes backbone or weights, not both: give the weights to the "
            "backbone."
        )
    if isinstance(backbone, FrozenEstimator):
        check_is_fitted(backbone.estimator)
    # A backbone is fitted without labels, which a classifier cannot do.
    elif backbone is not None and is_classifier(backbone):
        raise ValueError(
            f"A {type(backbone).__name__} cannot be pretrained as a backbone, without labels. Fit "
            "it on data of its own and pass FrozenEstimator(fitted)."
        )
    check_imagenet_width(weights, width)


def check_imagenet_width(weights, width):
    """Refuse ImageNet weights for a network that is not torchvision's."""
    if weights == "imagenet" and width != 64:
        raise ValueError(
            f"weights='imagenet' are for width=64, got width={width}. Use width=64, or "
            "weights=None."
        )


def check_input_shape(input_shape):
    """Refuse what is no (height, width) or (height, width, 3)."""
    if input_shape is None:
        return
    sizes, colours = tuple(input_shape[:2]), tuple(input_shape[2:])
    whole = all(isinstance(n, Integral) and n > 0 for n in sizes)
    if len(sizes) != 2 or not whole or colours not in ((), (3,)):
        raise ValueError(
            f"input_shape must be (height, width) or (height, width, 3) in pixels, got "
            f"{input_shape}."
        )


def weights_path(weights, depth):
    """Path of the file that ``weights`` names."""
    return imagenet_file(depth) if weights == "imagenet" else Path(weights)


def load_start(module, *, encoder=None, weights=None, depth=None):
    """Copy an encoder's or a file's tensors into a network, but for its head ``fc``.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    encoder : fitted estimator with ``module_``, optional
    weights : {"imagenet"}, path-like or None
    depth : int
        Of the network; says which ImageNet file.

    Returns
    -------
    dict or None
        ``kind`` ("imagenet", "file" or "backbone"), ``file``, ``sha256``, ``n_loaded``,
        ``missing``, ``unexpected``; None where there is neither.
    """
    if encoder is not None:
        state = encoder.module_.state_dict()
        report = {"kind": "backbone", "file": None, "sha256": state_hash(state)}
        what = f"The backbone {type(encoder).__name__}"
        return {**report, **fit_weights(module, state, head="fc.", what=what)}
    if weights is None:
        return None
    imagenet = weights == "imagenet"
    path = weights_path(weights, depth)
    # lightly saves a ResNet as a Sequential, whose numbers stand for torchvision's names.
    state, digest = torchvision_names(read_weights(path)), file_hash(path)
    # A warning, no error: a file that was saved again has other bytes and the same weights.
    if imagenet and not digest.startswith(hash_in_name(path)):
        warnings.warn(
            f"{path.name} is not the file that torchvision publishes: its sha256 starts with "
            f"{digest[:8]}.",
            UserWarning,
            stacklevel=7,
        )
    report = {"kind": "imagenet" if imagenet else "file", "file": path.name, "sha256": digest}
    return {**report, **fit_weights(module, state, head="fc.", what=path.name)}
