"""Damaged files: a page or a named error, five hundred times, with bounded memory."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from crtkit.images import UnreadableImageError, load_image

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")


def damaged(data, rng):
    """Bytes changed, cut, doubled or exchanged."""
    data = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] = rng.integers(256)
    elif kind == 1:
        data = data[: rng.integers(1, len(data))]
    elif kind == 2:
        a, b = np.sort(rng.integers(0, len(data), 2))
        data = data[:b] + data[a:]
    else:  # the header alone: sizes and offsets that promise what is not there
        for at in rng.integers(0, min(64, len(data)), rng.integers(1, 8)):
            data[at] = rng.integers(256)
    return bytes(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files(kind, tmp_path):
    page = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, kind)
    path = tmp_path / f"page.{kind.lower()}"
    read, refusals = 0, []
    for seed in range(100):
        path.write_bytes(damaged(buffer.getvalue(), np.random.default_rng(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                out = load_image(path, size=(24, 32))
            except UnreadableImageError as error:
                refusals.append(str(error))
                continue
        assert out.shape == (24, 32, 3)
        assert out.dtype == np.uint8
        read += 1
    assert read + len(refusals) == 100
    # Which file it is, for whoever has thousands.
    assert refusals
    assert all(path.name in text for text in refusals)
