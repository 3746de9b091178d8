"""Where real data lie: the folder that a caller names, or the one that the environment names."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(
    who: str, path: str | os.PathLike[str] | None, name: str, what: str, advice: str = ""
) -> Path:
    """Folder of a data set, absolute.

    Parameters
    ----------
    who : str
        Function that is called, for messages.
    path : path-like or None
        As its caller gave it; None for ``name`` in the folder that ``CRTKIT_DATA`` names.
    name : str
        Usual name of the folder.
    what : str
        What it holds, in words.
    advice : str, default=""
        How else to get it, as the end of a sentence.

    Raises
    ------
    FileNotFoundError
        No folder was named, or it does not exist.
    """
    if path is None:
        root = os.environ.get("CRTKIT_DATA")
        if not root:
            raise FileNotFoundError(
                f"{who} needs a folder of {what}: pass path=, or set the environment variable "
                f"CRTKIT_DATA to a folder that holds {name}{advice}."
            )
        path = Path(root) / name
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder of {what}{advice}.")
    return folder
