"""Weights from files: read without executing anything, fitted by name and shape, reported."""

import hashlib
import json
import re
from pathlib import Path

import torch

from crtkit._io import atomic_path
from crtkit.neural.cards import CARD_KEY
from crtkit.neural.files import (
    file_hash as file_hash,
    read_safetensors,
    read_torch,
    write_safetensors,
)

# Where a file holds several networks (a momentum encoder, say), these name the one that is meant.
PREFIXES = ("", "module.", "model.", "backbone.", "encoder.", "encoder_q.", "module.encoder_q.")
# Keys under which trainers put a state dict beside epochs and optimizers.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "backbone", "encoder")
# Children of torchvision's ResNet by number, as lightly's `Sequential(*children[:-1])` calls them.
CHILDREN = {"0": "conv1", "1": "bn1", **{str(i + 3): f"layer{i}" for i in range(1, 5)}}


def read_weights(path):
    """Tensors of a weights file, by name.

    Parameters
    ----------
    path : path-like
        ``.safetensors``, or what ``torch.save`` wrote: a dict of tensors, also inside a dict under
        ``state_dict``, ``model_state_dict``, ``model`` and the like.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU.

    Raises
    ------
    FileNotFoundError
        No such file.
    ImportError
        A ``.safetensors`` file, and safetensors is not installed.
    ValueError
        Not a file of weights. A pickle of anything but tensors is refused unread: loading it could
        run code.

    See Also
    --------
    save_weights : The other way round.

    Examples
    --------
    >>> import os, tempfile, torch
    >>> from crtkit.neural import read_weights
    >>> path = os.path.join(tempfile.mkdtemp(), "linear.pth")
    >>> torch.save(torch.nn.Linear(2, 1).state_dict(), path)
    >>> {name: tuple(value.shape) for name, value in read_weights(path).items()}
    {'weight': (1, 2), 'bias': (1,)}
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    state = read_torch(path)
    state = _unwrapped(state)
    tensors = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )
    if not tensors or not state:
        raise ValueError(
            f"{path.name} holds no dict of tensors but a {type(state).__name__}"
            f"{_keys(state)}. Write it with torch.save(module.state_dict(), path)."
        )
    return dict(state)


def _unwrapped(state):
    """The state dict within what a trainer saved, three dicts deep at most."""
    # Trainers wrap once or twice; what lies deeper is no file of weights.
    for _ in range(3):
        if not isinstance(state, dict):
            break
        inner = next((state[k] for k in WRAPPERS if isinstance(state.get(k), dict)), None)
        if inner is None:
            break
        state = inner
    return state


def _keys(state):
    return f" of {sorted(map(str, state))[:5]}" if isinstance(state, dict) and state else ""


def save_weights(model, path, *, card=None):
    """Write the weights of a fitted estimator or of a module.

    Parameters
    ----------
    model : fitted estimator with ``module_``, or torch.nn.Module
    path : path-like
        ``.safetensors`` writes that format, anything else ``torch.save`` of the state dict.
    card : dict, optional
        What the weights are (data, split, seed, scores), kept as JSON in a ``.safetensors`` file;
        :func:`read_card` reads it.

    Returns
    -------
    path : Path

    Raises
    ------
    TypeError
        A card that JSON cannot hold.
    ValueError
        A card for a file that is not ``.safetensors``.

    Examples
    --------
    >>> import os, tempfile, torch
    >>> from crtkit.neural import read_weights, save_weights
    >>> path = os.path.join(tempfile.mkdtemp(), "linear.safetensors")
    >>> sorted(read_weights(save_weights(torch.nn.Linear(2, 1), path)))
    ['bias', 'weight']
    """
    if card is not None and Path(path).suffix != ".safetensors":
        raise ValueError(f"Only .safetensors files hold a card, got {Path(path).name!r}.")
    metadata = None if card is None else {CARD_KEY: json.dumps(card, allow_nan=False)}
    module = model if isinstance(model, torch.nn.Module) else model.module_
    path = Path(path)
    if path.suffix == ".safetensors":
        write_safetensors(module.state_dict(), path, metadata)
    else:
        state = {name: value.detach().cpu() for name, value in module.state_dict().items()}
        with atomic_path(path) as part:
            torch.save(state, part)
    return path


def imagenet_file(depth):
    """Where torchvision keeps its IMAGENET1K_V1 weights of a ResNet.

    Parameters
    ----------
    depth : {18, 34, 50, 101}

    Returns
    -------
    path : Path
        In ``torch.hub.get_dir()/checkpoints``; the end of its name is the start of its sha256.

    Raises
    ------
    FileNotFoundError
        It is not there. Nothing is downloaded.
    """
    from torchvision import models

    url = getattr(models, f"ResNet{depth}_Weights").IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        raise FileNotFoundError(
            f"weights='imagenet' with depth={depth} needs torchvision's IMAGENET1K_V1 file "
            f"{path.name!r} in the folder {str(path.parent)!r}, where it is not, and crtkit "
            f"downloads nothing by itself. Put {url} there, or give the path of the file: "
            f"weights='.../{path.name}'."
        )
    return path


def state_hash(state):
    """sha256 over names, shapes and bytes of tensors; the same after a pickle round trip."""
    digest = hashlib.sha256()
    for name in sorted(state):
        # The layout in memory is no part of the weights: channels_last would hash otherwise.
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def hash_in_name(path):
    """Start of the sha256 that torchvision writes into file names, or None."""
    match = re.search(r"-([0-9a-f]{8})\.", Path(path).name)
    return match.group(1) if match else None


def fit_weights(module, state, *, head, what):
    """Copy tensors into a module by name; the head is left as it was.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    state : dict of str to torch.Tensor
        Any prefix that all of them share (``module.``, ``model.backbone.``, ...) is removed.
    head : str
        Prefix of the tensors of the head, such as ``"fc."``: never loaded.
    what : str
        Where the tensors come from, for the message.

    Returns
    -------
    report : dict
        ``n_loaded``, and the names ``missing`` (counters of batches that older files lack) and
        ``unexpected`` (in the file, of no use here; its head among them).

    Raises
    ------
    ValueError
        A tensor is missing, of another shape, or left over inside a part that the module has: the
        networks differ. Or tensors that are not weights: whole numbers, sparse, NaN.
    """
    own = {k: v for k, v in module.state_dict().items() if not k.startswith(head)}
    prefix = _prefix(own, state, what)
    taken = {name: state[prefix + name] for name in own if prefix + name in state}
    missing = [name for name in own if name not in taken]
    shapes = [
        f"{name} {tuple(value.shape)}, needed {tuple(own[name].shape)}"
        for name, value in taken.items()
        if value.shape != own[name].shape
    ]
    # torch before 0.4.1 did not count batches, and nothing here reads the count.
    lacking = [name for name in missing if not name.endswith("num_batches_tracked")]
    unexpected = sorted(set(state) - {prefix + name for name in taken})
    # The layers of a shallower network are all in a deeper one: left over, they give it away.
    parts = tuple({f"{prefix}{name.partition('.')[0]}." for name in own})
    surplus = [name for name in unexpected if name.startswith(parts)]
    if lacking or shapes or surplus:
        raise ValueError(
            f"{what} does not fit this network: {len(lacking)} tensors are missing "
            f"{lacking[:3]}, {len(shapes)} have another shape {shapes[:3]}, {len(surplus)} are of "
            f"layers it does not have {surplus[:3]}; it holds {sorted(state)[:3]} and so on"
            f"{f', read with the prefix {prefix!r}' if prefix else ''}. Set depth and width to "
            "those it was trained with."
        )
    odd = [name for name, value in taken.items() if not _is_weight(value, own[name])]
    if odd:
        raise ValueError(
            f"{what} cannot be used: {len(odd)} tensors are not dense, floating and finite, such "
            f"as {odd[0]} ({taken[odd[0]].dtype}). Write the weights of a network that trained "
            "without NaN, before any quantization."
        )
    module.load_state_dict(taken, strict=False)
    return {"n_loaded": len(taken), "missing": missing, "unexpected": unexpected}


def torchvision_names(state):
    """Tensors of a ResNet cut into a ``Sequential``, as lightly has it, under torchvision's names.

    Parameters
    ----------
    state : dict of str to torch.Tensor

    Returns
    -------
    dict
        As it is where it holds no such network.
    """
    heads = [n.removesuffix("4.0.conv1.weight") for n in state if n.endswith("4.0.conv1.weight")]
    cut = [p for p in heads if p + "0.weight" in state and p + "1.running_mean" in state]
    for prefix in cut:
        state = {_renamed(name, prefix): value for name, value in state.items()}
    return state


def _renamed(name, prefix):
    number, _, rest = name.removeprefix(prefix).partition(".")
    if not name.startswith(prefix) or number not in CHILDREN:
        return name
    return f"{prefix}{CHILDREN[number]}.{rest}"


def _prefix(own, state, what):
    """What stands in front of a network's own names in a file."""
    anchor = next(iter(own), "")
    ends = [name.removesuffix(anchor) for name in state if name.endswith(anchor)]
    hits = {p: sum(p + n in state for n in own) for p in ends if p == "" or p.endswith(".")}
    best = [prefix for prefix, n in hits.items() if n == max(hits.values())]
    # MoCo and BYOL files hold a student and a teacher: the names we know say which is wanted.
    named = [prefix for prefix in PREFIXES if prefix in best]
    if len(best) > 1 and not named:
        raise ValueError(
            f"{what} holds several networks of this kind, under the prefixes {sorted(best)}. Keep "
            "one: torch.save({k: v for k, v in state.items() if k.startswith(prefix)}, path)."
        )
    return (named or best or [""])[0]


def _is_weight(value, own):
    if value.layout != torch.strided or value.is_floating_point() != own.is_floating_point():
        return False
    return bool(torch.isfinite(value).all())
