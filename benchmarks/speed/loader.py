"""JPEGLoader against Pillow: decode in full, resize with antialiasing, to 224 x 224, one thread.

Goals
-----
``JPEGLoader().fit_transform``, validation included, at least 1.6 times as fast, at a mean
difference of at most 1.5 of 255 from the peer's pages. ``reduced=False``, which decodes in full
too, stands beside it.

What the difference means is measured on pages that are known before compression: there the loader
and the peer are each compared with the resized original. Full decoding cuts what JPEG overshoots at
white, so its pages are the darker ones, and the farther from the original; decoding at half scale
averages before it cuts. On real pages nearly all of the difference has this sign (``mean_error``):
no filter of the resize removes it, and at quarter scale it grows.

Non-goals
---------
Pages per second on any machine; disks (files are read once before); several threads. Decoders
other than Pillow's, which is what crtkit depends on.
"""

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.images import render_page

GOAL_RATIO, GOAL_DIFFERENCE = 1.6, 1.5
SIZE = (224, 224)
QUALITIES = (60, 75, 90)
PX_PER_MM = 200 / 25.4  # as the real pages


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Eight pages and three rounds.

    Returns
    -------
    dict
        ``goals``; ``data``: per set of pages what was timed, seconds, ratios, differences; and
        ``truth``: distance of either way from the pages before compression.
    """
    n_pages, repeats = (8, 3) if quick else (40, 7)
    goals, data = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (paths, source) in _page_sets(n_pages, Path(folder)).items():
            data[name] = _measure(paths, repeats) | {"source": source, "n_pages": len(paths)}
            goals[f"{name}: times as fast"] = against_goal(
                data[name]["ratios"]["JPEGLoader()"], GOAL_RATIO
            )
            difference = data[name]["mean_difference"]["JPEGLoader()"]
            goals[f"{name}: difference of 255"] = {
                "goal": GOAL_DIFFERENCE,
                "ratio": round(difference, 2),
                "met": difference <= GOAL_DIFFERENCE,
            }
    truth = _truth(2 if quick else 8)
    return {"goals": goals, "data": data, "truth": truth, "seed": 0, "pillow": PIL.__version__}


def pillow_in_full(paths):
    """The peer."""
    pages = np.empty((len(paths), *SIZE, 3), dtype=np.uint8)
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            whole = image.convert("RGB")
        pages[i] = np.asarray(whole.resize(SIZE[::-1], Image.Resampling.BILINEAR))
    return pages


def _measure(paths, repeats):
    ways = {
        "Pillow": lambda: pillow_in_full(paths),
        "JPEGLoader()": lambda: ck.JPEGLoader(size=SIZE).fit_transform(paths),
        "JPEGLoader(reduced=False)": lambda: ck.JPEGLoader(size=SIZE, reduced=False).fit_transform(
            paths
        ),
    }
    seconds, ratios, rounds = interleaved(ways, repeats)
    peer, *others = (pages().astype(np.int16) for pages in ways.values())
    found = {name: pages - peer for name, pages in zip(list(ways)[1:], others)}
    return {
        "seconds": seconds,
        "ratios": ratios,
        "rounds": rounds,
        "mean_difference": {name: float(np.abs(d).mean()) for name, d in found.items()},
        "mean_error": {name: float(d.mean()) for name, d in found.items()},
        "largest_difference": {name: int(np.abs(d).max()) for name, d in found.items()},
    }


def _page_sets(n_pages, folder):
    signals = _signals(n_pages)
    paths = []
    for i, signal in enumerate(signals):
        page, _ = render_page(signal, 500, px_per_mm=PX_PER_MM)
        path = folder / f"{i}.jpg"
        Image.fromarray(page).save(path, quality=90)
        paths.append(str(path))
    sets = {"rendered pages": (paths, "simulated ECGs, rendered at 200 dpi, JPEG quality 90")}
    if os.environ.get("CRTKIT_DATA"):
        cohort = ck.datasets.load_ecg_images()
        rng = np.random.default_rng(0)
        chosen = rng.choice(len(cohort), n_pages, replace=False)
        real = cohort.X["image"].iloc[chosen].to_list()
        sets["real pages"] = (real, "Mendeley report pages, 2213 x 1572")
    return sets


def _truth(n_pages):
    """Mean distance from the resized original, and its sign, by JPEG quality."""
    originals = [render_page(s, 500, px_per_mm=PX_PER_MM)[0] for s in _signals(n_pages)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for quality in QUALITIES:
            errors = {"Pillow": [], "JPEGLoader()": []}
            for page in originals:
                image = Image.fromarray(page)
                small = np.asarray(image.resize(SIZE[::-1], Image.Resampling.BILINEAR))
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=quality)
                path = Path(folder) / "page.jpg"
                path.write_bytes(buffer.getvalue())
                errors["Pillow"].append(pillow_in_full([path])[0] - small.astype(float))
                loaded = ck.JPEGLoader(size=SIZE).fit_transform([path])[0]
                errors["JPEGLoader()"].append(loaded - small.astype(float))
            for name, error in errors.items():
                mean = {"mean_distance": np.mean(np.abs(error)), "mean_error": np.mean(error)}
                rows.append({"quality": quality, "way": name, **mean})
    return rows


def _signals(n):
    cohort = ck.datasets.make_cohort("mori2025", n_patients=max(n, 4), random_state=0)
    return np.asarray(ck.Select("signal").fit_transform(cohort.X), dtype=np.float64)[:n]
