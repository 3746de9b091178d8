"""Sizes of a study's models by name: as published, or for two cores."""

from collections.abc import Mapping
from typing import Any


def chosen_size(sizes: Mapping[str, Any], size: Any, pixels: str = "") -> Any:
    """Settings of a size.

    Parameters
    ----------
    sizes : dict of str to dict
        Of the study, with ``"paper"`` among them.
    size : str or tuple of int
        A key of ``sizes``; of a study with pictures also their height and width, the rest then
        being that of ``"paper"``.
    pixels : str, default=""
        Name of the setting that height and width replace; empty for a study without pictures.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        No such size.

    Examples
    --------
    >>> from crtkit.studies.sizes import chosen_size
    >>> chosen_size({"paper": {"tile": (64, 64), "width": 64}}, (32, 32), pixels="tile")
    {'tile': (32, 32), 'width': 64}
    """
    if pixels and not isinstance(size, str):
        return {**sizes["paper"], pixels: tuple(size)}
    if size not in sizes:
        also = " or (height, width)" if pixels else ""
        raise ValueError(f"size must be one of {list(sizes)}{also}, got {size!r}.")
    return sizes[size]
