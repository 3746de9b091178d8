"""Cards of weights files: what was trained on which data, and how it scored."""

import json
from pathlib import Path

from crtkit.neural.files import read_safetensors

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
        Not a safetensors file, or its card is not a JSON object.

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
    try:
        card = json.loads(read_safetensors(path, tensors=False)[1].get(CARD_KEY, "{}"))
    except ValueError as error:
        raise ValueError(f"{path.name} has no card that can be read: {error}") from error
    if not isinstance(card, dict):
        raise ValueError(f"The card of {path.name} is a {type(card).__name__}, not a JSON object.")
    return card
