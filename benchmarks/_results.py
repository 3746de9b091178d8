"""Result files: where the numbers came from, written whole or not at all."""

import datetime
import json
import math
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

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
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: _version(name) for name in PACKAGES},
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
    text = json.dumps(_plain(payload), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def markdown_table(table, digits=3):
    """A DataFrame as a Markdown table, its index first; missing values are an en dash.

    Parameters
    ----------
    table : DataFrame
    digits : int, default=3
        Decimals of floats.

    Returns
    -------
    str
    """
    table = table.reset_index() if table.index.name or table.index.dtype == object else table

    def cell(value):
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return "–"
        text = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    rows = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _plain(value):
    """Value in the types of JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.reset_index().to_dict(orient="records")]
    if isinstance(value, (pd.Series, np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or value is pd.NA or isinstance(value, (str, int)):
        return None if value is pd.NA else value
    raise TypeError(f"A result file holds plain values, got {type(value).__name__}: {value!r}.")


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


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
    import torch

    return torch.cuda.get_device_name(device)


def _commit():
    """Commit of the working tree, "-dirty" when tracked files differ from it."""
    root = Path(__file__).parent
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
