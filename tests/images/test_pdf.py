"""PDF pages: rendered for models, read from their curves for signals."""

import zlib

import numpy as np
import pytest
from PIL import Image

from crtkit import ECGDigitizer, IdentityEraser, JPEGLoader
from crtkit._leads import LEADS_12
from crtkit.images import check_images, load_image, page_geometry, render_page
from crtkit.images.digitize.vector import read_pdf
from crtkit.images.pdf import pdf_curves, render_pdf, split_page

pytest.importorskip("pypdfium2")
MM = 72 / 25.4


def write_pdf(path, contents, size=(297.0, 210.0), images=()):
    """A PDF of one page per stream; written by hand, so that no library is trusted twice."""
    objects = [None, None]  # catalogue and pages come when the others are known
    kids = []
    for content, image in zip(contents, images or [None] * len(contents)):
        resources = "<< >>"
        if image is not None:
            data = zlib.compress(np.ascontiguousarray(image).tobytes())
            objects.append(
                f"<< /Type /XObject /Subtype /Image /Width {image.shape[1]} /Height "
                f"{image.shape[0]} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter "
                f"/FlateDecode /Length {len(data)} >>\nstream\n".encode()
                + data
                + b"\nendstream"
            )
            resources = f"<< /XObject << /Im {len(objects)} 0 R >> >>"
        stream = content.encode()
        objects.append(b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream")
        box = f"[0 0 {size[0] * MM:.4f} {size[1] * MM:.4f}]"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents {len(objects)} 0 R "
            f"/Resources {resources} >>".encode()
        )
        kids.append(f"{len(objects)} 0 R")
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    out, places = b"%PDF-1.4\n", []
    for i, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n" % i + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
    end += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    path.write_bytes(out + end + b"startxref\n%d\n%%%%EOF\n" % len(out))
    return path


def polyline(x, y, height=210.0):
    points = [f"{a * MM:.5f} {(height - b) * MM:.5f}" for a, b in zip(x, y)]
    return f"{points[0]} m " + " ".join(f"{p} l" for p in points[1:]) + " S\n"


def make_signal(seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.025) ** 2)
    wave = np.exp(-0.5 * ((t % 0.8 - 0.65) / 0.05) ** 2)
    one, two, *chest = rng.uniform(-1, 1.2, (8, 1)) * beat + rng.uniform(0, 0.3, (8, 1)) * wave
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


def vector_page(signal, layout="3x4+II", pulses=True, speed=25.0):
    """Content of a vector page at 250 Hz, its grid and pulses."""
    geometry = page_geometry(layout, speed)
    left, top, right, bottom = geometry.grid
    parts = ["1 0.8 0.8 RG 0.2 w\n"]
    parts += [polyline([x, x], [top, bottom]) for x in np.arange(left, right + 0.1)]
    parts += [polyline([left, right], [y, y]) for y in np.arange(top, bottom + 0.1)]
    parts.append("0 0 0 RG 0.8 w\n")
    for strip in geometry.layout.strips:
        a, b = round(strip.start * 500), round(strip.stop * 500)
        x = geometry.x_start + np.arange(a, b, 2) / 500 * speed
        y = geometry.baselines[strip.row] - 10 * signal[LEADS_12.index(strip.lead), a:b:2]
        parts.append(polyline(x, y))
    for base in geometry.baselines if pulses else ():
        x = left + 2 + np.linspace(0, 0.28 * speed, 36)
        y = np.where((np.arange(36) > 5) & (np.arange(36) < 30), base - 10, base)
        parts.append(polyline(x, y))
    return "".join(parts)


@pytest.mark.parametrize("layout", ["3x4+II", "3x4", "6x2", "12x1", "3x4+V1+II+V5"])
@pytest.mark.parametrize("pulses", [True, False])
def test_curves_are_the_samples(tmp_path, layout, pulses):
    signal = make_signal()
    path = write_pdf(tmp_path / "page.pdf", [vector_page(signal, layout, pulses)])
    reading = read_pdf(path)
    assert reading.reason is None
    assert reading.layout == layout
    assert (reading.speed, reading.gain) == (25.0, 10.0)
    seen = np.isfinite(reading.signal)
    assert seen.sum() > 0.98 * 12 * 5000 / page_geometry(layout).layout.n_columns
    if pulses:  # else the middle of a trace is taken for 0 mV
        error = np.where(seen, reading.signal - signal, 0)
        power = np.where(seen, signal, 0)
        assert (10 * np.log10((power**2).sum(axis=1) / (error**2).sum(axis=1))).min() > 40


def test_a_page_at_50_mm_per_second_is_told_by_its_pulses(tmp_path):
    signal = make_signal()
    path = write_pdf(tmp_path / "page.pdf", [vector_page(signal, "6x2", speed=50.0)])
    reading = read_pdf(path)
    assert reading.speed == 50.0
    seen = np.isfinite(reading.signal)
    assert not seen[:, 2510:].any()
    np.testing.assert_allclose(reading.signal[seen], signal[seen], atol=0.02)
    assert read_pdf(path, speed=25.0).speed == 25.0  # what is stated is believed


def test_a_scan_in_a_pdf_is_read_as_a_picture(tmp_path):
    signal = make_signal(1)
    page, _ = render_page(signal, 500, px_per_mm=200 / 25.4)
    content = f"{297 * MM:.3f} 0 0 {210 * MM:.3f} 0 0 cm /Im Do"
    path = write_pdf(tmp_path / "scan.PDF", [content], images=[page])
    assert pdf_curves(path).curves == []
    reading = read_pdf(path)
    assert reading.layout == "3x4+II"
    assert np.nanstd(reading.signal - signal) < 0.05


def test_pages_by_number_through_loader_digitizer_and_eraser(tmp_path):
    one, two = make_signal(2), make_signal(3)
    path = str(write_pdf(tmp_path / "two.pdf", [vector_page(one), vector_page(two, "6x2")]))
    cells = [f"{path}#page={k}" for k in (1, 2)]
    assert split_page(cells[1]) == (path, 2)
    pages = JPEGLoader(size=(210, 297)).fit_transform(np.array(cells, dtype=object))
    assert pages.shape == (2, 210, 297, 3)
    assert (pages[0] != pages[1]).any()
    whole = load_image(cells[1], size=None)
    np.testing.assert_array_equal(whole, np.asarray(render_pdf(cells[1])))
    erased = load_image(cells[0], size=None, erase=IdentityEraser())
    assert erased.shape == whole.shape
    digitizer = ECGDigitizer()
    out = digitizer.fit_transform(cells)
    assert digitizer.report_["layout"].tolist() == ["3x4+II", "6x2"]
    assert np.nanstd(out[1] - two) < 0.01
    cached = JPEGLoader(size=(52, 74), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(cached.fit_transform(cells), cached.fit_transform(cells))


def test_bad_files_are_named(tmp_path):
    path = write_pdf(tmp_path / "one.pdf", [vector_page(make_signal())])
    (tmp_path / "text.pdf").write_text("no PDF")
    (tmp_path / "cut.pdf").write_bytes(path.read_bytes()[:300])
    wide = write_pdf(tmp_path / "wide.pdf", [""], size=(9000.0, 9000.0))
    cells = [f"{path}#page=2", tmp_path / "text.pdf", tmp_path / "cut.pdf", wide]
    cells += [tmp_path / "absent.pdf", path]
    reasons = check_images(cells)
    assert len(reasons) == 5
    assert reasons[f"{path}#page=2"] == "page 2 of a file of 1 page(s)"
    assert "max_pixels" in reasons[str(wide)]
    assert reasons[str(tmp_path / "absent.pdf")] == "no such file"
    with pytest.warns(UserWarning, match="cannot read 5 of 6"):
        ECGDigitizer().fit(cells).transform(cells)


def test_twelve_random_curves_are_no_page(tmp_path):
    rng = np.random.default_rng(0)
    x = np.linspace(20, 280, 200)
    content = "".join(polyline(x, 100 + rng.normal(size=200)) for _ in range(7))
    assert read_pdf(write_pdf(tmp_path / "odd.pdf", [content])).reason is not None


def test_real_vector_pages(data_dir):
    """PTB-XL pages: what is printed, a mean of five samples at 125 Hz, is read exactly."""
    folder = data_dir / "ptbxl_pdf_pairs"
    for path in sorted(folder.glob("*.pdf"))[:3]:
        reading = read_pdf(path)
        assert reading.reason is None
        assert reading.layout == "3x4+II"
        assert reading.checks["repeat"] > 40
        picture = np.asarray(render_pdf(path))
        assert isinstance(Image.fromarray(picture), Image.Image)
