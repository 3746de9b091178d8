"""Result files as JSON, with what their numbers depend on."""

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import crtkit
from crtkit._io import as_json, package_versions, write_text

PACKAGES = (
    *("crtkit", "numpy", "scipy", "pandas", "scikit-learn", "joblib", "torch", "torchvision"),
    *("skorch", "lightgbm", "sktime", "numba", "statsmodels"),
)


def environment(device="cpu"):
    """What a figure depends on, without anything that names the machine or its user.

    Parameters
    ----------
    device : str, default="cpu"
        Where the work was done; for "cuda" the name of the GPU is given.

    Returns
    -------
    dict
        ``date`` (UTC), ``python``, ``platform``, ``versions``, ``cpu``, ``n_cores``, ``threads``,
        ``device``, ``git_commit`` (None outside a repository).
    """
    installed = package_versions(PACKAGES)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": installed["python"],
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: installed.get(name) for name in PACKAGES},
        "cpu": _cpu(),
        "n_cores": os.cpu_count(),
        "threads": _threads(),
        "device": _device(device),
        "git_commit": _commit(),
    }


def write_json(path, payload):
    """Write a result as JSON; a reader never sees half of it.

    Parameters
    ----------
    path : path-like
        Its folder is made.
    payload : dict
        Plain values, numpy values, DataFrames (as a list of rows, index first). NaN and infinity
        become null, which is what JSON has for them.

    Raises
    ------
    TypeError
        A value of another type, a path for one: result files name no machine.
    """
    text = (
        json.dumps(as_json(payload, _refuse), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _refuse(value):
    raise TypeError(f"A result file holds plain values, got {type(value).__name__}: {value!r}.")


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or None


def _threads():
    """Threads of each pool that is loaded."""
    from threadpoolctl import threadpool_info

    threads = {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}
    if "torch" in sys.modules:
        threads["torch"] = sys.modules["torch"].get_num_threads()
    return threads


def _device(device):
    if not str(device).startswith("cuda"):
        return str(device)
    import torch  # cuda only

    return torch.cuda.get_device_name(device)  # cuda only


def _commit():
    """Commit of the working tree, "-dirty" when tracked files differ from it.

    What ``CRTKIT_COMMIT`` says where that is set. None for an installed package, even in an
    environment that lies within another repository.
    """
    # A tree that was copied to another machine lacks its repository, or lies in another one.
    if told := os.environ.get("CRTKIT_COMMIT"):
        return told
    root = Path(crtkit.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        run = [
            subprocess.run(
                ["git", *command], cwd=root, capture_output=True, text=True, timeout=10, check=True
            )
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return run[0].stdout.strip() + ("-dirty" if run[1].stdout.strip() else "")
