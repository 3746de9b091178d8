"""Pages that crtkit draws of real records: clean, spoiled on stated dials, or at random."""

import time
from functools import lru_cache
from itertools import islice

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt

from benchmarks._real_ecgs import read_shard
from benchmarks.digitizer.compare import FS, lead_rows, page_db, printed_part
from crtkit.images import digitize_page, render_page
from crtkit.images.render.artefacts import spoil
from crtkit.readers import read_ecg
from crtkit.signals import LEADS_12
from crtkit.signals.qrs.measure import measure_qrs

PX = {"127 dpi": 5.0, "200 dpi": 200 / 25.4, "300 dpi": 300 / 25.4}
HEADER = "Name: A B   ID 1"

#: Style of the page and dials of what happens to it, by the set's name.
RENDERED = {
    "200 dpi": ({}, {}),
    "200 dpi, wide band": ({"wide": True}, {}),
    "127 dpi": ({"px_per_mm": PX["127 dpi"]}, {}),
    "300 dpi": ({"px_per_mm": PX["300 dpi"]}, {}),
    "3 degrees, JPEG 60": ({}, {"tilt": 3, "jpeg": 60}),
    "5 degrees, JPEG 60, 8 % noise": ({}, {"tilt": -5, "speckle": 0.08, "jpeg": 60}),
    "perspective 6 %, JPEG 60": ({}, {"perspective": 0.06, "jpeg": 60}),
    "perspective 6 %, curl 2 %, JPEG 60": ({}, {"perspective": 0.06, "curl": 0.02, "jpeg": 60}),
    "6x2": ({"layout": "6x2"}, {}),
    "12x1": ({"layout": "12x1"}, {}),
    "3x4": ({"layout": "3x4"}, {}),
    "3x4 and three strips": ({"layout": "3x4+V1+II+V5"}, {}),
    "50 mm/s": ({"speed": 50.0}, {}),
    "5 mm/mV": ({"gain": 5.0}, {}),
    "20 mm/mV": ({"gain": 20.0}, {}),
    "blue grid": ({"colour": "blue"}, {}),
    "green grid": ({"colour": "green"}, {}),
    "orange grid": ({"colour": "orange"}, {}),
    "grey grid": ({"colour": "grey"}, {}),
    "crease": ({}, {"crease": 0.6}),
    "shadow": ({}, {"shadow": 0.5}),
    "stain": ({}, {"stain": 0.5}),
    "blur": ({}, {"blur": 1.5}),
    "low resolution": ({}, {"low_resolution": 0.4}),
    "handwriting": ({}, {"handwriting": 0.5}),
    "fax": ({}, {"fax": 0.5}),
}


SOURCES = ("ptbxl_500hz", "ecg12_physionet2021")


@lru_cache(maxsize=4)
def records(folder, n, seed, wide=False, source=SOURCES[0]):
    """Records of ten seconds and twelve leads: name and mV, from 0.5 to 40 Hz unless ``wide``.

    One a patient. Those of PTB-XL are what pages are tested on; the other collection, without its
    own records of PTB-XL, is what confidence is fitted on.
    """
    read = _ptbxl if source == SOURCES[0] else _challenge
    return [(name, band(signal, wide)) for name, signal in islice(read(folder, seed), n)]


def _ptbxl(folder, seed):
    table = pd.read_csv(folder / "ptbxl_500hz" / "labels.csv")
    table = table[table["pace"] == 0].sample(frac=1, random_state=seed)
    for record in table.drop_duplicates("patient_id").itertuples():
        signal = _shard(folder / "ptbxl_500hz" / record.shard)[record.row] / 1000
        if np.isfinite(signal).all() and (np.ptp(signal, axis=1) > 0.1).all():
            yield f"ecg {record.ecg_id}", signal


# Draws run through all shards: unpacked again for each record they would take minutes.
_shard = lru_cache(maxsize=None)(read_shard)


def _challenge(folder, seed):
    files = sorted((folder / "ecg12_physionet2021" / "records").glob("*.hea"))
    files = [file for file in files if not file.stem.startswith("HR")]
    for i in np.random.default_rng(seed).permutation(len(files)):
        try:
            ecg = read_ecg(files[i])
        except ValueError:
            continue
        usable = ecg.fs == FS and ecg.signal.shape[1] >= 10 * FS
        if usable and tuple(ecg.lead_names) == LEADS_12 and np.isfinite(ecg.signal).all():
            yield files[i].stem, ecg.signal[:, : 10 * FS]


def band(signal, wide=False):
    """Signal from 0.5 Hz on, to 40 Hz unless ``wide``: what devices print."""
    sos = butter(2, 0.5, "highpass", fs=FS, output="sos")
    if not wide:
        sos = np.concatenate([sos, butter(2, 40, "lowpass", fs=FS, output="sos")])
    return sosfiltfilt(sos, np.asarray(signal, dtype=float), axis=1)


def timed(page, **how):
    """Reading of a page, and CPU seconds."""
    start = time.process_time()
    reading = digitize_page(page, FS, **how)
    return reading, time.process_time() - start


def rendered_pages(folder, name, n, seed):
    """Pages of one set: name, and what gives its rows, one a lead."""
    style, dials = RENDERED[name]
    style = {"px_per_mm": PX["200 dpi"], **style}
    wide = style.pop("wide", False)
    for k, (record, signal) in enumerate(records(folder, n, seed, wide)):

        def rows(signal=signal, k=k):
            page, truth = render_page(signal, FS, header=HEADER, **style)
            reading, spent = timed(spoil(page, dials, random_state=seed + k))
            facts = {"reason": reading.reason, "layout": reading.layout, "seconds": spent}
            return lead_rows(printed_part(signal, truth), reading.signal, **facts)

        yield record, rows


def random_page(signal, seed):
    """A page of a record with a layout, resolution and artefacts drawn at random, and its truth."""
    rng = np.random.default_rng(seed)
    layout = rng.choice(["3x4+II", "3x4+V1+II+V5", "3x4", "6x2", "6x2+II", "12x1"])
    page, truth = render_page(
        signal,
        FS,
        layout=str(layout),
        px_per_mm=float(np.exp(rng.uniform(np.log(55 / 25.4), np.log(215 / 25.4)))),
        header=HEADER,
    )
    ranges = {
        **{"tilt": (-6, 6), "perspective": (0.0, 0.06), "curl": (0.0, 0.015)},
        **{"shadow": (0.1, 0.7), "blur": (0.3, 2.0), "speckle": (0.02, 0.25), "jpeg": (15, 80)},
        **{"crease": (0.2, 0.8), "stain": (0.2, 0.8), "handwriting": (0.2, 0.8)},
    }
    names = rng.choice(list(ranges), size=rng.integers(1, 4), replace=False)
    dials = {str(name): float(rng.uniform(*ranges[str(name)])) for name in names}
    return spoil(page, dials, random_state=int(rng.integers(2**31))), truth, dials


def degraded_pages(folder, name, n, seed):
    """Pages spoiled at random: rows, one a page, with the ratio and whether it was accepted."""
    drawn = records(folder, min(n, 60), seed)
    for k in range(n):
        record, signal = drawn[k % len(drawn)]

        def rows(signal=signal, k=k):
            page, truth, dials = random_page(signal, 10_000 + seed + k)
            reading, spent = timed(page, least_confidence=0.0)
            # Read twice: what comes out without a limit, and what the limit makes of it.
            judged = digitize_page(page, FS)
            true = printed_part(signal, truth)
            table = pd.DataFrame(lead_rows(true, reading.signal))
            out = {"lead": "all", "seconds": spent, "layout": reading.layout}
            out.update(coverage=table["coverage"].mean(), strict=page_db(true, reading.signal))
            out.update(unreadable=reading.reason, reason=judged.reason, dials=str(dials))
            out.update(confidence=float(np.median(list(reading.confidence.values()) or [0.0])))
            return [out]

        yield f"{record} {k}", rows


def qrs_pages(folder, name, n, seed):
    """Pages of PTB-XL records: QRS measured on the page and on the record, one row a page.

    All records with complete left bundle branch block, and as many others. Between the two stands
    the record cut to what is printed, and beside them all twelve leads of one quarter: what no
    reader can better, for a page shows each lead for 2.5 s.
    """
    table = pd.read_csv(folder / "ptbxl_500hz" / "labels.csv")
    block = table[table["clbbb"] == 1].sample(frac=1, random_state=seed)
    rest = table[(table["clbbb"] == 0) & (table["pace"] == 0)].sample(frac=1, random_state=seed)
    # Half with block: at their natural share kappa would rest on two pages.
    half = min(n // 2, len(block))
    chosen = pd.concat([block.iloc[:half], rest.iloc[: n - half]]).sort_values(["shard", "row"])
    for record in chosen.itertuples():
        signal = band(_shard(folder / "ptbxl_500hz" / record.shard)[record.row] / 1000)

        def rows(signal=signal, record=record):
            page, truth = render_page(signal, FS, header=HEADER, px_per_mm=PX["200 dpi"])
            reading, spent = timed(page)
            out = {"lead": "all", "seconds": spent, "reason": reading.reason}
            out.update(layout=reading.layout, clbbb=int(record.clbbb))
            if reading.accepted:
                quarter = signal.shape[1] // 4
                parts = {"record": signal, "page": reading.signal.astype(float)}
                parts["printed"] = printed_part(signal, truth)
                parts["quarter"] = signal[:, quarter : 2 * quarter]
                for where, leads in parts.items():
                    measured = measure_qrs(leads, FS)
                    for key in ("qrs_duration_ms", "lbbb_conventional", "lbbb_strict"):
                        out[f"{where}_{key}"] = measured[key]
            return [out]

        yield f"ecg {record.ecg_id}", rows
