"""Mutated pages: decoded or refused by name, soon and in little memory."""

import io
import resource
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from crtkit.images import UnreadableImageError, load_image

KINDS = ("JPEG", "progressive", "PNG", "grey PNG", "palette", "TIFF", "BMP", "WEBP")
SECONDS, MEGABYTES = 10, 1000


def page(kind):
    """A small page of ink on paper, as bytes of one kind of file."""
    rng = np.random.default_rng(0)
    pixels = np.full((120, 160, 3), 255, np.uint8)
    pixels[rng.integers(0, 120, 400), rng.integers(0, 160, 400)] = 0
    image, out = Image.fromarray(pixels), io.BytesIO()
    if kind == "grey PNG":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(out, "PNG")
    elif kind == "palette":
        image.quantize(8).save(out, "PNG", transparency=0)
    elif kind == "progressive":
        image.save(out, "JPEG", progressive=True)
    else:
        image.save(out, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    return out.getvalue()


def fuzz(kind, folder, mutate, seeds):
    content, path = page(kind), folder / "page.img"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        path.write_bytes(mutate(content, np.random.default_rng(seed)))
        start, said = time.process_time(), str(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                out = load_image(path, (56, 56))
            assert out.shape == (56, 56, 3)
            assert out.dtype == np.uint8
        except UnreadableImageError as error:
            said = str(error)
        assert str(path) in said, seed
        assert time.process_time() - start < SECONDS, seed
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEGABYTES * 1000, f"{kind}: {grown / 1000:.0f} MB"


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_pages(kind, tmp_path, mutate):
    fuzz(kind, tmp_path, mutate, range(12))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_pages(kind, tmp_path, mutate):
    fuzz(kind, tmp_path, mutate, range(1000, 1190))
