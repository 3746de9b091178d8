"""Cards of weights files: what was trained on which data, and how it scored."""

import json
from pathlib import Path

CARD_KEY = "card"


def read_card(path):
    """What a weights file says about itself.

    Parameters
    ----------
    path : path-like
        ``.safetensors``, written by :func:`save_weights` with ``card=``.

    Returns
    -------
    dict
        Empty where the file has no card.

    Raises
    ------
    FileNotFoundError
        No such file.
    ImportError
        safetensors is not installed.
    ValueError
        Not a safetensors file, or its card is no JSON object.

    See Also
    --------
    save_weights : Writes the weights, and the card with them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> from crtkit.neural import read_card, save_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "net.safetensors"
    ...     _ = save_weights(torch.nn.Linear(2, 1), path, card={"data": "MIT-BIH DS1", "seed": 0})
    ...     read_card(path)
    {'data': 'MIT-BIH DS1', 'seed': 0}
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r}.")
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(
            "Reading .safetensors files needs safetensors: pip install 'crtkit[persistence]'."
        ) from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        card = json.loads(metadata.get(CARD_KEY, "{}"))
    except Exception as error:  # its error class derives from Exception alone
        raise ValueError(f"{path.name} has no card that can be read: {error}") from error
    if not isinstance(card, dict):
        raise ValueError(f"The card of {path.name} is no JSON object but a {type(card).__name__}.")
    return card
