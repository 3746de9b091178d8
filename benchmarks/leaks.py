"""Leaks planted in real records: how many the audits find, and how many strangers they name.

``python -m benchmarks.leaks --data DATA`` writes two tables. Signals: every record of PTB-XL cut in
two, the second half with noise at 20 dB under another patient's name, beside all pairs of patients
and the repeated records of one patient, by :func:`crtkit.evaluation.leaks.beats.same_beats`. Pages:
copies of report pages in each of several forms, and pages of other patients on the same form, by
:func:`crtkit.evaluation.check_pool`. A run that was stopped goes on with the same command.
"""

import argparse
import io
import sys
import tarfile
import tempfile
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import _slices
from benchmarks._real_ecgs import read_shards
from benchmarks._results import environment, write_json, write_tables
from crtkit.evaluation import check_pool
from crtkit.evaluation.leaks.beats import same_beats
from crtkit.evaluation.leaks.pool import PoolLeakError

FS = 500.0
NOISE = 0.1  # of each lead's standard deviation: 20 dB
WHITE = (255, 255, 255)


def brighter(page, rng):
    return np.uint8(np.clip(page * rng.uniform(1.1, 1.2), 0, 255))


def turned(page, rng):
    by = rng.choice([-1.0, 1.0])
    return np.asarray(Image.fromarray(page).rotate(by, Image.Resampling.BILINEAR, fillcolor=WHITE))


def _affine(page, matrix):
    return np.asarray(
        Image.fromarray(page).transform(
            page.shape[1::-1],
            Image.Transform.AFFINE,
            matrix,
            Image.Resampling.BILINEAR,
            fillcolor=WHITE,
        )
    )


def moved(page, rng):
    by = 0.004 * page.shape[1] * rng.choice([-1, 1], 2)
    return _affine(page, (1, 0, by[0], 0, 1, by[1]))


def cropped(page, rng):
    """One to three per cent of each side, and back to the old size."""
    height, width = page.shape[:2]
    top, bottom, left, right = (rng.uniform(0.01, 0.03, 4) * [height, height, width, width]).astype(
        int
    )
    cut = page[top : height - bottom, left : width - right]
    return np.asarray(Image.fromarray(cut).resize((width, height)))


def jpeg(page, rng):
    file = io.BytesIO()
    Image.fromarray(page).save(file, "JPEG", quality=50)
    return np.asarray(Image.open(file))


def smaller(page, rng):
    """The whole file at 90 to 98 % of its size."""
    factor = rng.uniform(0.9, 0.98)
    size = [round(side * factor) for side in page.shape[1::-1]]
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BILINEAR))


def shrunk(page, rng, factor=None):
    """The page at 95 to 98 % inside a sheet of the old size, as a copier does."""
    factor = rng.uniform(0.95, 0.98) if factor is None else factor
    by = [(1 - 1 / factor) * side / 2 for side in page.shape[1::-1]]
    return _affine(page, (1 / factor, 0, by[0], 0, 1 / factor, by[1]))


def shrunk_more(page, rng):
    """The same at 90 %."""
    return shrunk(page, rng, 0.9)


#: What happens to a page, in the words of the table.
CHANGES = {
    "brighter by 1.1 to 1.2": brighter,
    "turned by 1 degree": turned,
    "moved by 0.4 %": moved,
    "cropped by 1 to 3 % a side": cropped,
    "JPEG quality 50": jpeg,
    "file at 90 to 98 % of its size": smaller,
    "page at 95 to 98 % on its sheet": shrunk,
    "page at 90 % on its sheet": shrunk_more,
}


def signals(folder, n_records=None):
    """Cuts found, and pairs of patients named, of PTB-XL."""
    records, labels = read_shards(folder, 1000)
    records, patients = records[:n_records], labels["patient_id"].to_numpy()[:n_records]
    rng = np.random.default_rng(0)
    half = records.shape[-1] // 2
    cells = [*records[:, :, :half]]
    for record in records[:, :, half:]:
        cells.append(
            record + NOISE * record.std(axis=1, keepdims=True) * rng.normal(size=record.shape)
        )
    n = len(records)
    # Under another name: a cut is a stranger's to the audit, which cannot know.
    found = same_beats(cells, np.arange(2 * n), FS)
    same = sum(j == i + n for i, j in found)
    wrong = int(sum(patients[i % n] != patients[j % n] for i, j in found))
    whole = same_beats(records, np.arange(n), FS)
    strangers = int(sum(patients[i] != patients[j] for i, j in whole))
    again = sum(a == b for a, b in combinations(patients.tolist(), 2))
    return {
        "second cut of a record": [same, n],
        "pairs of cuts of two patients": [wrong, 2 * n * (2 * n - 1) // 2 - n - 4 * again],
        "pairs of records of two patients": [strangers, n * (n - 1) // 2 - again],
        "another recording of the patient": [len(whole) - strangers, again],
    }


def pages(archive, what, n_pool, n_copies):
    """Copies of one form that are found, or strangers that are named, and pages that are told."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        paths = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
        order = np.random.default_rng(0).permutation(len(paths))
        pool, others = [paths[k] for k in order[:n_pool]], [paths[k] for k in order[n_pool:]]
        if what == "strangers":
            tested, right = others, {}
        else:
            number = list(CHANGES).index(what)
            rng = np.random.default_rng([1, number])
            chosen = [pool[k] for k in rng.permutation(n_pool)[:n_copies]]
            tested = [f"{folder}/copy{k}.png" for k in range(len(chosen))]
            for path, original in zip(tested, chosen):
                page = np.asarray(Image.open(original).convert("RGB"))
                Image.fromarray(CHANGES[what](page, rng)).save(path)
            right = dict(enumerate(chosen))
        named = {}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                check_pool(np.array(pool, dtype=object), np.array(tested, dtype=object))
            except PoolLeakError as error:
                named = {j: name for j, name, _ in error.leaks}
    hits = sum(named.get(j) == name for j, name in right.items())
    return {
        "pool": len(pool),
        "tested": len(tested),
        "found": hits,
        "wrong": len(named) - hits,
        "told": len([w for w in told if "check_pool" in str(w.message)]),
    }


def piece(kind, *arguments):
    """One part of the work."""
    return signals(*arguments) if kind == "signals" else pages(*arguments)


def main(arguments=None):
    """Write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.leaks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--records", type=int, help="of PTB-XL; default all")
    parser.add_argument("--pool", type=int, default=215, help="pages that an encoder would know")
    parser.add_argument("--copies", type=int, default=40, help="of each form")
    _slices.add_arguments(parser, "pieces")
    parser.add_argument("--out", type=Path, default=Path("results") / "leaks")
    options = parser.parse_args(arguments)
    archive = options.data / "ecg_images_mendeley" / "images.tar.xz"
    jobs = {"signals": ("signals", options.data / "ptbxl_500hz", options.records)}
    for number, what in enumerate((*CHANGES, "strangers")):
        jobs[f"pages_{number}"] = ("pages", archive, what, options.pool, options.copies)
    work = options.work or options.out / "pieces"
    whole = _slices.fill(work, piece, jobs, n_jobs=options.n_jobs, minutes=options.minutes)
    if not whole:
        print("tables of what is there; the same command goes on")
    tables = {
        "signals": pd.DataFrame(
            [(what, of, n, round(n / of, 4)) for what, (n, of) in
             (_slices.read(work, "signals") or {}).items()],
            columns=["pair", "pairs", "named", "share"],
        ).set_index("pair"),
        "pages": pd.DataFrame(
            [{"page": job[2], **answer} for name, job in jobs.items()
             if name != "signals" and (answer := _slices.read(work, name))],
            columns=["page", "pool", "tested", "found", "wrong", "told"],
        ).set_index("page"),
    }  # fmt: skip
    write_tables(options.out, tables)
    settings = {"whole": whole, "pool": options.pool, "copies": options.copies}
    content = {name: table.reset_index().to_dict("records") for name, table in tables.items()}
    write_json(
        options.out / "results.json",
        {"settings": settings, "environment": environment(), **content},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
