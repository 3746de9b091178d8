"""The one reader and writer of weight files: safetensors, and tensors that ``torch.save`` wrote.

Nothing in a file is ever executed: safetensors has no code, and torch files are read with
``weights_only=True``.
"""

import functools
import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import torch

from crtkit._io import atomic_path, import_optional


def read_safetensors(path, *, tensors=True):
    """Tensors and metadata of a ``.safetensors`` file.

    Parameters
    ----------
    path : path-like
    tensors : bool
        False reads the metadata alone, whatever the size of the file.

    Returns
    -------
    state : dict of str to torch.Tensor
        On the CPU; empty without ``tensors``.
    metadata : dict of str to str

    Raises
    ------
    FileNotFoundError
        No such file.
    ImportError
        safetensors is not installed.
    ValueError
        The file is damaged.
    """
    path = _existing(path)
    safetensors = _safetensors("Reading")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
            return state, file.metadata() or {}
    except Exception as error:  # its error class derives from Exception alone
        raise ValueError(f"{path.name} cannot be read as safetensors: {error}") from error


def check_finite(path, key, tensor):
    """Refuse a tensor of a file that holds NaN or infinity."""
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{path}: {key!r} holds NaN or infinity; the file is damaged.")


def write_safetensors(state, path, metadata=None):
    """Write tensors and metadata as one ``.safetensors`` file, whole or not at all."""
    safetensors = _safetensors("Writing")
    state = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_path(path) as part:
        safetensors.torch.save_file(state, part, metadata)


def read_torch(path, *, mmap=False):
    """What ``torch.save`` wrote, as long as it is tensors and plain values.

    Parameters
    ----------
    path : path-like
    mmap : bool
        Leave the tensors on the disk until they are used; they live as long as the file does.

    Returns
    -------
    object

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Damaged, a pickle of anything else (loading that could run code), or larger unpacked than
        the file is.
    """
    path = _existing(path)
    refuse_packed(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        refuse_inflated(content)
        return content
    except Exception as error:  # damaged opcodes raise whatever the unpickler trips over
        # torch's own words advise to load it without care.
        reason = "it is damaged, or holds objects that could run code"
        if not isinstance(error, pickle.UnpicklingError) and str(error):
            reason = str(error).splitlines()[0].split(". ")[0]
        raise ValueError(
            f"{path.name} is not a plain file of weights and was not loaded ({reason}). Expected "
            "tensors and plain values written by torch.save, or safetensors."
        ) from error


def refuse_packed(path):
    """Refuse an archive whose records are larger than itself, before anything is unpacked.

    Raises
    ------
    ValueError
        They are. torch.save never compresses.
    """
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"{Path(path).name} is not a readable PyTorch checkpoint: {error}"
        ) from error
    if unpacked > os.path.getsize(path):
        raise ValueError(
            f"{Path(path).name} is not a readable PyTorch checkpoint: its records unpack to "
            f"{unpacked} bytes, more than the file has."
        )


def refuse_inflated(content, depth=8):
    """Refuse tensors that are larger than what is stored of them (strides of zero, no storage).

    Raises
    ------
    ValueError
        Such a tensor, or dicts and lists that are nested without end.
    """
    if isinstance(content, torch.Tensor):
        if content.layout != torch.strided:
            return  # no weight; said where tensors are matched by name
        stored = content.untyped_storage()
        size = content.numel() * content.element_size()
        if content.device.type != "cpu" or size > stored.nbytes():
            raise ValueError(f"a tensor of shape {tuple(content.shape)} has no such data")
        return
    if not isinstance(content, (dict, list, tuple, set)):
        return
    if depth == 0:
        raise ValueError("its dicts and lists are nested too deeply")
    for value in content.values() if isinstance(content, dict) else content:
        refuse_inflated(value, depth - 1)


def file_hash(path):
    """sha256 of a file, as hexadecimal digits; read again only once the file has changed."""
    path = _existing(path)
    return _hash(os.path.abspath(path), *file_stamp(path))


def file_stamp(path):
    """What changes when a file does: its size and the nanosecond of its last change."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=64)
def _hash(path, size, changed):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r}.")
    return path


def _safetensors(doing):
    import_optional("safetensors", extra="persistence", purpose=f"{doing} .safetensors files")
    import safetensors
    import safetensors.torch

    return safetensors
