"""What torch keeps once a process: its generators, its threads; and devices, precision, formats."""

import contextlib
import os
import threading

import torch

DTYPES = {"float32": torch.float32, "bf16": torch.float32, "float64": torch.float64}

# Fits take turns: initial weights, order and dropout are drawn from torch's one generator, and
# two threads that seed and draw in turns would both get other bits than alone.
_TURN = threading.RLock()
_forked_after_threads = False
_used_threads = False


def resolve_device(device):
    """``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"`` -> torch.device, refusing absent ones."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        known = resolved.type in ("cpu", "cuda")
    except RuntimeError:
        known = False
    if not known:
        raise ValueError(
            f"device must be 'cpu', 'cuda', 'cuda:<number>' or 'auto', got {device!r}."
        )
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "device(s). Use device='cpu', or 'auto' to take a GPU where there is one."
        )
    return resolved


@contextlib.contextmanager
def forked_rng(seed, device):
    """Run a block under torch generators of its own; the caller's come back as they were.

    Blocks of several threads run one after another, so that each gets the bits it would get alone;
    a block inside another of the same thread is let through.
    """
    refuse_fork()
    cuda = []
    if device.type == "cuda":  # cuda only
        cuda = [torch.cuda.current_device() if device.index is None else device.index]
    with _TURN, torch.random.fork_rng(devices=cuda):
        deterministic = torch.backends.cudnn.deterministic
        # torch.manual_seed would also seed the devices that are not in use here.
        torch.default_generator.manual_seed(seed)
        if cuda:  # cuda only
            with torch.cuda.device(cuda[0]):
                torch.cuda.manual_seed(seed)
            torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic


def refuse_fork():
    """Raise where torch would wait forever, and remember that it has been used.

    Raises
    ------
    RuntimeError
        This process was forked from one that had used torch on several threads. They do not exist
        here, and the first parallel operation would wait for them.
    """
    global _used_threads
    if torch.get_num_threads() == 1:
        return
    if _forked_after_threads:
        raise RuntimeError(
            "This process was forked from one in which a network had run on several threads, and "
            "torch would wait for those threads forever. Start workers by 'spawn' or joblib's "
            "default 'loky' instead of 'fork', or call torch.set_num_threads(1) in the worker."
        )
    _used_threads = True


def _after_fork():
    global _TURN, _forked_after_threads
    _TURN = threading.RLock()  # a thread of the parent may hold the old one
    _forked_after_threads = _forked_after_threads or _used_threads


os.register_at_fork(after_in_child=_after_fork)


def autocast(device, precision):
    """Mixed precision for ``"bf16"``, nothing otherwise."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def memory_format(module, device, precision):
    """Format that 2-D convolutions of a module run fastest in, without a fault of oneDNN's.

    torch 2.15.0 (also in its own tests of one convolution): the backward pass of a pointwise
    convolution with a stride and fewer than 16 channels in writes past its buffer on a CPU when
    channels are last ("free(): invalid next size"). Channels 16, 20, 24 and 32, and contiguous
    tensors, are sound.

    Parameters
    ----------
    module : torch.nn.Module
    device : str or torch.device
    precision : str

    Returns
    -------
    torch.memory_format
    """
    if torch.device(device).type == "cpu" and precision != "float64":
        for part in module.modules():
            if (
                isinstance(part, torch.nn.Conv2d)
                and max(part.kernel_size) == 1 < max(part.stride)
                and part.in_channels // part.groups < 16
            ):
                return torch.contiguous_format
    return torch.channels_last
