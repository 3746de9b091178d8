"""Checkpoints of ECG-FM: the public files, safetensors files of our own, and the weights we ship.

A checkpoint is read, checked and hashed once a process, however many fits start from it.
"""

from __future__ import annotations

import copy
import functools
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crtkit.neural.cards import CARD_KEY
from crtkit.neural.ecgfm.network import ECGFM, ECGFMConfig
from crtkit.neural.ecgfm.published import read_published
from crtkit.neural.files import (
    check_finite,
    file_hash,
    file_stamp,
    read_safetensors,
    write_safetensors,
)

#: Weights that come with the package, by the name that ``checkpoint=`` takes.
SHIPPED = {
    "crtkit-small": "crtkit-small.safetensors",
    "crtkit-small-labels": "crtkit-small-labels.safetensors",
}
_FOLDER = Path(__file__).parent / "weights"


def load_checkpoint(path: str | os.PathLike[str]):
    """Read an ECG-FM checkpoint: a public ``.pt``, or a ``.safetensors`` of ours.

    Parameters
    ----------
    path : path-like
        A pretraining or a fine-tuned file of the fairseq-signals trainer, what
        :func:`save_safetensors` or `ECGFMPretraining.save` wrote, or the name of weights that come
        with the package: "crtkit-small", "crtkit-small-labels".

    Returns
    -------
    module : ECGFM
        In eval mode, float32, on the CPU. A pretraining file gives no head; a fine-tuned one keeps
        its own. ``feature_grad_mult`` is 1, so that what lies before the network can be trained
        and attributed; ``config["feature_grad_mult"]`` says what a public file had.
    config : dict
        ``cfg["model"]`` of a public file, the card of one of ours.
    kind : {"pretrained", "finetuned", "safetensors"}

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is truncated, holds anything but tensors and plain values, is of another model, or
        its tensors are not exactly those of the network; missing and unexpected keys are listed.

    Examples
    --------
    >>> from crtkit.neural.ecgfm import load_checkpoint
    >>> module, card, kind = load_checkpoint("crtkit-small")
    >>> card["name"], module.config.fs
    ('crtkit-small', 100)
    """
    path = checkpoint_path(path)
    if path.suffix == ".safetensors":
        return (*load_safetensors(path), "safetensors")
    sizes, state, config, kind = read_published(path)
    return _filled(path, sizes, state), config, kind


def checkpoint_hash(checkpoint: str | os.PathLike[str]) -> str:
    """Identify a checkpoint by its content, whatever its file is called and wherever it lies.

    Parameters
    ----------
    checkpoint : path-like
        As ``ECGFMClassifier`` takes it.

    Returns
    -------
    str
        sha256 of the file. A file that has not changed is not read twice in a process.

    Raises
    ------
    FileNotFoundError
        There is no such file; the message says how the public ones are had.

    Examples
    --------
    >>> from crtkit.neural.ecgfm import checkpoint_hash
    >>> len(checkpoint_hash("crtkit-small"))
    64
    """
    return file_hash(checkpoint_path(checkpoint))


def checkpoint_path(checkpoint: str | os.PathLike[str]) -> Path:
    """Path of a file, or of the shipped weights of that name.

    Raises
    ------
    FileNotFoundError
        There is neither.
    """
    if checkpoint in SHIPPED:
        return _FOLDER / SHIPPED[str(checkpoint)]
    path = Path(checkpoint)
    if not path.is_file():
        names = f", or the name of shipped weights: {sorted(SHIPPED)}"
        raise FileNotFoundError(
            f"{path} does not exist. The public ECG-FM checkpoints are downloaded by hand, from "
            f"where their authors offer them; give the file's path{names}."
        )
    return path


def start_from(checkpoint: str | os.PathLike[str]) -> tuple[ECGFM, dict[str, str]]:
    """Copy a checkpoint's network and say what it is: ``kind, file, sha256``.

    The file is read once a process as long as it does not change.
    """
    path = checkpoint_path(checkpoint)
    module, kind = _loaded(os.path.abspath(path), *file_stamp(path))
    return copy.deepcopy(module), {"kind": kind, "file": path.name, "sha256": file_hash(path)}


# Two, because lvsd2026 alternates between a pretrained and a fine-tuned file.
@functools.lru_cache(maxsize=2)
def _loaded(path: str, size: int, changed: int):
    module, _, kind = load_checkpoint(path)
    return module, kind


def save_safetensors(
    module,
    path: str | os.PathLike[str],
    card: dict[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network's weights, sizes and card as one safetensors file.

    Parameters
    ----------
    module : ECGFM
    path : path-like
    card : dict
        What a reader must know: data, split, seed, scores. Anything JSON can hold.
    dtype : torch.dtype
        What the weights are stored in; float16 halves the file. They are read as float32.

    Examples
    --------
    >>> import tempfile, os
    >>> from crtkit.neural.ecgfm import ECGFM, SIZES, load_safetensors, save_safetensors
    >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
    >>> save_safetensors(ECGFM(SIZES["tiny"]), path, {"data": "none: random weights"})
    >>> load_safetensors(path)[1]
    {'data': 'none: random weights'}
    """
    metadata = {
        "crtkit": "ecgfm",
        "sizes": json.dumps(asdict(module.config)),
        CARD_KEY: json.dumps(card, allow_nan=False),
    }
    # A safetensors file is sizes, names and numbers: reading one runs nothing.
    state = {key: value.to(dtype) for key, value in module.state_dict().items()}
    write_safetensors(state, path, metadata)


def load_safetensors(path: str | os.PathLike[str]):
    """Read what :func:`save_safetensors` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    module : ECGFM
        In eval mode, float32, on the CPU.
    card : dict

    Raises
    ------
    ValueError
        The file is damaged, holds NaN or infinity, or is not a network of this kind.

    Examples
    --------
    >>> from crtkit.neural.ecgfm import load_safetensors
    >>> module, card = load_safetensors("mine.safetensors")            # doctest: +SKIP
    """
    path = Path(path)
    state, metadata = read_safetensors(path)
    if metadata.get("crtkit") != "ecgfm":
        raise ValueError(f"{path} does not say that it holds an ECG-FM network of crtkit.")
    for key, value in state.items():
        check_finite(path, key, value)
    try:
        sizes, card = json.loads(metadata["sizes"]), json.loads(metadata[CARD_KEY])
        sizes["conv_layers"] = tuple(tuple(layer) for layer in sizes["conv_layers"])
        sizes["quantizer"] = tuple(sizes["quantizer"]) if sizes["quantizer"] else None
        # A header may ask for a million layers; each would cost time before shapes are compared.
        n_layers = sizes["n_layers"] + len(sizes["conv_layers"])
        if n_layers > len(state):
            raise ValueError(f"it asks for {n_layers} layers and has {len(state)} tensors")
        return _filled(path, ECGFMConfig(**sizes), state), card
    except (KeyError, TypeError, ArithmeticError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} does not give the sizes and card of a network: {error}"
        ) from error


def _filled(path: Path, sizes: ECGFMConfig, state: dict[str, torch.Tensor]) -> ECGFM:
    """Build a network of these sizes that holds copies of these tensors."""
    # Without memory: sizes are only believed once the tensors have them.
    with torch.device("meta"):
        module = ECGFM(sizes)
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    _compare(path, wanted, {key: tuple(value.shape) for key, value in state.items()})
    # Copies, because the tensors of a mapped file live as long as the file does.
    copies = {key: value.detach().to(torch.float32, copy=True) for key, value in state.items()}
    module.load_state_dict(copies, strict=True, assign=True)
    return module.eval()


def _compare(path: Path, wanted: dict[str, Any], given: dict[str, Any]) -> None:
    problems = []
    missing, unexpected = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    shapes = [key for key in wanted if key in given and wanted[key] != given[key]]
    if missing:
        problems.append(f"missing: {missing[:10]}" + _more(missing))
    if unexpected:
        problems.append(f"unexpected: {unexpected[:10]}" + _more(unexpected))
    if shapes:
        listed = [f"{key} {given[key]} for {wanted[key]}" for key in shapes[:10]]
        problems.append(f"of another shape: {listed}" + _more(shapes))
    if problems:
        raise ValueError(f"{path} does not fit the network. " + "; ".join(problems))


def _more(items: list[str]) -> str:
    return f" and {len(items) - 10} more" if len(items) > 10 else ""
