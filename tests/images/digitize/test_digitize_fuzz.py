"""Spoiled pages and PDFs: a reading or a named refusal, never a crash."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crtkit import ECGDigitizer
from crtkit.images import PageReading, digitize_page, render_page
from crtkit.images.digitize.vector import read_pdf


def make_page(seed):
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.02) ** 2)
    layout = ["3x4+II", "6x2", "12x1", "3x4"][seed % 4]
    signal = rng.uniform(-1.5, 1.5, (12, 1)) * beat
    return render_page(signal, 500, px_per_mm=rng.uniform(2.2, 3.2), layout=layout)[0]


def spoil(page, rng):
    """One to three of what crops, scanners, editors and mistakes do to a page."""
    height, width = page.shape[:2]
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(11)
        if kind == 0:
            top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
            page = page[top : top + rng.integers(20, height), left : left + rng.integers(20, width)]
        elif kind == 1:
            page = 255 - page
        elif kind == 2:
            page = np.rot90(page, rng.integers(1, 4))
        elif kind == 3:
            page = page[:, ::-1]
        elif kind == 4:
            page = np.where(rng.random(page.shape) < rng.uniform(0, 0.4), 0, page)
        elif kind == 5:
            page = np.repeat(page.min(axis=2, keepdims=True), 3, axis=2)
        elif kind == 6:
            page = np.tile(page, (1, 2, 1))[:, : int(1.5 * page.shape[1])]
        elif kind == 7:
            page = page[:: rng.integers(1, 4), :: rng.integers(1, 4)]
        elif kind == 8:
            page = page.copy()
            a, b = rng.integers(0, page.shape[0], 2)
            page[min(a, b) : max(a, b)] = rng.integers(0, 256)
        elif kind == 9:
            page = np.clip(page.astype(int) * rng.uniform(0, 3) - rng.uniform(0, 200), 0, 255)
        else:
            page = (page > rng.uniform(50, 250)) * 255
        page = np.ascontiguousarray(page, dtype=np.uint8)
        height, width = page.shape[:2]
        if min(height, width) < 4:
            break
    return page


def check_reading(reading):
    assert isinstance(reading, PageReading)
    assert reading.signal.shape == (12, 5000)
    assert not np.isinf(reading.signal).any()
    assert reading.accepted != np.isnan(reading.signal).all()
    if not reading.accepted:
        assert len(reading.reason) > 10


@pytest.mark.parametrize("n", [40, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "many"])
def test_spoiled_pages(n):
    for seed in range(n):
        rng = np.random.default_rng(1000 + seed)
        page = spoil(make_page(seed), rng)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reading = digitize_page(page, least_confidence=float(rng.choice([0.0, 0.5])))
        check_reading(reading)


def test_spoiled_files(tmp_path):
    path = tmp_path / "page.jpg"
    Image.fromarray(make_page(0)).save(path, quality=70)
    data = path.read_bytes()
    paths = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        spoiled = bytearray(data)
        for _ in range(rng.integers(1, 20)):
            spoiled[rng.integers(len(spoiled))] = rng.integers(256)
        paths.append(tmp_path / f"{seed}.jpg")
        paths[-1].write_bytes(spoiled[: rng.integers(len(data) // 2, len(data))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        readings = ECGDigitizer().fit(paths).read(paths)
    for reading in readings:
        check_reading(reading)


@pytest.mark.parametrize("n", [40, pytest.param(300, marks=pytest.mark.slow)], ids=["some", "many"])
def test_spoiled_pdfs(tmp_path, n):
    pytest.importorskip("pypdfium2")
    place = Path(__file__).parents[1] / "test_pdf.py"
    spec = importlib.util.spec_from_file_location("pdf_pages", place)
    pdf_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pdf_pages)
    content = pdf_pages.vector_page(pdf_pages.make_signal())
    path = pdf_pages.write_pdf(tmp_path / "page.pdf", [content], size=(60.0, 50.0))
    data = path.read_bytes()
    for seed in range(n):
        rng = np.random.default_rng(seed)
        spoiled = bytearray(data)
        for _ in range(rng.integers(1, 60)):
            spoiled[rng.integers(len(spoiled))] = rng.integers(256)
        if rng.random() < 0.3:
            spoiled = spoiled[: rng.integers(len(spoiled))]
        path.write_bytes(spoiled)
        try:
            reading = read_pdf(path)
        except ValueError:  # names why the file cannot be opened
            continue
        check_reading(reading)
