"""Pages of a cohort's signals, as JPEG files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crtkit._io import atomic_path
from crtkit.cohort import Cohort, Select
from crtkit.cohort.rows import Rows

#: Grey of the mark on simulated pages: darker than paper and grid allow unseen, paler than a trace.
PALE = 214


def render_cohort(
    cohort: Cohort,
    folder: str | os.PathLike[str],
    *,
    column: str = "signal",
    quality: int = 90,
    header: str | Sequence[str] | None = None,
    **style,
) -> Cohort:
    """Print the signals of a cohort on pages, and add the column ``image`` with their paths.

    Parameters
    ----------
    cohort : Cohort
        With signals of 12 leads or 1, in mV, and ``info["sampling_rate"]``.
    folder : path-like
        Where ``page_00000.jpg``, ... are written; made where it does not exist, and files of these
        names are replaced.
    column : str
        Which column holds the signals.
    quality : int
        Of the JPEG files, 1 to 95.
    header : str, sequence of str or None
        Text above the grid: one for all pages, or one per record.
    **style
        ``layout``, ``px_per_mm``, ``speed``, ``gain``, ``grid``, ``calibration``, ``labels``: as
        in :func:`crtkit.images.render_page`.

    Returns
    -------
    Cohort
        The same records and columns, and ``image``; ``info["pages"]`` says how they were made.

    Raises
    ------
    ValueError
        No such column, no sampling rate, headers of another number, or signals that the layout
        cannot print.

    Notes
    -----
    The same cohort gives the same bytes, with the same version of Pillow. Names of files say
    nothing about the patient. Pages of a simulated cohort bear the word SIMULATED across the grid,
    paler than the trace and the same on every page, so that no crop of one passes for a patient's.

    Examples
    --------
    >>> import tempfile
    >>> from crtkit.datasets import make_cohort, render_cohort
    >>> cohort = make_cohort("mori2025", n_patients=4, random_state=0)
    >>> pages = render_cohort(cohort, tempfile.mkdtemp(), px_per_mm=3)
    >>> [path[-14:] for path in pages.X["image"]][:2]
    ['page_00000.jpg', 'page_00001.jpg']
    """
    from crtkit.images import render_page

    fs = cohort.info.get("sampling_rate")
    if not fs:
        raise ValueError("render_cohort needs the sampling rate: cohort.info['sampling_rate'].")
    if not isinstance(quality, (int, np.integer)) or not 1 <= quality <= 95:
        raise ValueError(f"render_cohort expects quality from 1 to 95, got {quality!r}.")
    signals = Select(column).fit_transform(cohort.X)
    if not isinstance(signals, Rows) and signals.dtype.kind not in "fiu":
        raise ValueError(
            f"render_cohort expects signals in column {column!r}, got such as {signals[0]!r}. Read "
            "them with read_manifest(signal=...)."
        )
    headers = [header] * len(cohort) if header is None or isinstance(header, str) else list(header)
    if len(headers) != len(cohort):
        raise ValueError(
            f"render_cohort expects one header or {len(cohort)}, one per record, "
            f"got {len(headers)}."
        )
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    simulated = cohort.info.get("source") == "simulated"
    paths = []
    for i, text in enumerate(headers):
        page, truth = render_page(signals[i], fs, header=text, **style)
        if simulated:
            page = np.minimum(page, _mark(page.shape[:2]))
        path = folder / f"page_{i:05d}.jpg"
        dpi = round(truth.px_per_mm * 25.4)
        with atomic_path(path) as part:
            Image.fromarray(page).save(part, "JPEG", quality=int(quality), dpi=(dpi, dpi))
        paths.append(str(path))
    made = {
        "quality": int(quality),
        "layout": truth.geometry.layout.name,
        "px_per_mm": float(truth.px_per_mm),
    }
    info = {**cohort.info, "pages": made}
    return Cohort(cohort.X.assign(image=paths), cohort.y, cohort.groups, info)


@lru_cache(maxsize=4)
def _mark(shape: tuple[int, int]) -> np.ndarray:
    """The word SIMULATED in pale grey, again and again over a white page of a shape."""
    height, width = shape
    step = max(width // 3, 24)
    # Drawn larger than the page and turned, so that the words reach every corner.
    side = 2 * max(height, width)
    layer = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(layer)
    font = ImageFont.load_default(max(step // 8, 6))
    for row, top in enumerate(range(0, side, max(step // 2, 12))):
        for left in range(-(row % 2) * step // 2, side, step):
            draw.text((left, top), "SIMULATED", fill=PALE, font=font)
    turned = layer.rotate(20, fillcolor=255)
    left, top = (side - width) // 2, (side - height) // 2
    cut = turned.crop((left, top, left + width, top + height))
    return np.repeat(np.asarray(cut)[:, :, None], 3, axis=2)
