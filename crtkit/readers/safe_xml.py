"""Parsing XML that may be hostile or damaged: entities refused, namespaces taken off."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from crtkit._io import import_optional

# Ten seconds of twelve leads, as decimal numbers, are half a megabyte; but a tree of empty elements
# takes some hundred times its file.
_LARGEST = 30_000_000
_MOST_TAGS = 500_000
# Of the samples of one lead; each number takes some fifty bytes while it is parsed.
_MOST_CHARACTERS = 10_000_000


def parse(path: Path) -> Element:
    """Root element of a file, tags without namespaces.

    Raises
    ------
    ImportError
        defusedxml is not installed.
    ValueError
        The file is not XML, declares entities or attributes (bombs, or a way to other files), or is
        huge.
    """
    defused = import_optional("defusedxml.ElementTree", extra="readers", purpose="Reading XML")
    from defusedxml import DefusedXmlException

    size = path.stat().st_size
    if size > _LARGEST:
        raise ValueError(f"{path.name} has {size / 1e6:.0f} MB; an ECG in XML has under 30.")

    def parsed(data: bytes) -> Element:
        options = {"forbid_entities": True, "forbid_external": True}
        root: Element = defused.fromstring(data, **options)
        return root

    data = path.read_bytes()
    # One attribute with a long default value would be repeated in every element, in memory alone.
    if b"<!ATTLIST" in data.replace(b"\0", b""):
        raise ValueError(f"{path.name} declares attributes (<!ATTLIST>), which no ECG needs.")
    if data.count(b"<") > _MOST_TAGS:
        raise ValueError(
            f"{path.name} has over {_MOST_TAGS} tags; an ECG in XML has some thousand."
        )
    try:
        try:
            root = parsed(data)
        except defused.ParseError:
            # A control character in some text is no reason to lose the signal.
            clean = _without_control_characters(data)
            if clean == data:
                raise
            root = parsed(clean)
    except DefusedXmlException as error:
        raise ValueError(
            f"{path.name} declares XML entities, which no ECG needs: {error!r}."
        ) from error
    except (defused.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"{path.name} is not well-formed XML: {error}.") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


# XML 1.0 allows tab, line feed and carriage return only, as bytes and as references.
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]|&#(?:[1-8]|1[124-9]|2\d|3[01]);"
                      rb"|&#x0*(?:[1-8bBcCeEfF]|1[\da-fA-F]);")  # fmt: skip


def _without_control_characters(data: bytes) -> bytes:
    """XML with blanks for characters that XML 1.0 does not allow; UTF-16 is left as it is."""
    if b"\0" in data[:64]:
        return data
    return _CONTROL.sub(b" ", data).replace(b"\0", b" ")


def text(element: Element | None, path: str) -> str:
    """Stripped text below an element; empty where there is none."""
    return (element.findtext(path) or "").strip() if element is not None else ""


def number(element: Element | None, path: str) -> float:
    """Number below an element; NaN where there is none."""
    try:
        return float(text(element, path))
    except ValueError:
        return float("nan")


def decode(data: str | None, what: str) -> bytes:
    """Bytes of Base64.

    Raises
    ------
    ValueError
        There are none, or the text is not Base64; ``what`` says where.
    """
    try:
        raw = base64.b64decode("".join((data or "").split()), validate=True)
    except ValueError as error:  # binascii.Error, or characters beyond ASCII
        raise ValueError(f"{what} is not Base64: {error}.") from error
    if not raw:
        raise ValueError(f"{what} is empty; samples are expected there. Export the file again.")
    return raw


def numbers_of(element: Element | None, names: dict[str, str]) -> dict[str, float]:
    """Numbers below an element, under our names; those that are not there are left out."""
    numbers = {ours: number(element, theirs) for ours, theirs in names.items()}
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def listed_numbers(data: str | None, what: str) -> np.ndarray:
    """Numbers of a text that separates them by commas or blanks.

    Raises
    ------
    ValueError
        Something else is among them, or they are infinite; ``what`` says where.
    """
    if len(data or "") > _MOST_CHARACTERS:
        raise ValueError(f"{what} has over {_MOST_CHARACTERS} characters; it is not read.")
    try:
        values = np.array((data or "").replace(",", " ").split(), dtype=float)
    except ValueError as error:
        raise ValueError(f"{what} is not a list of numbers: {error}.") from error
    if not len(values):
        raise ValueError(f"{what} is empty; samples are expected there. Export the file again.")
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds samples that are infinite, or not numbers.")
    return values
