"""Pages to signals: ``python -m benchmarks.digitizer [--sets NAMES] [--n N] [--out FOLDER]``.

Rule
----
Real records (PhysioNet/CinC 2021, 0.5-40 Hz unless "wide") are rendered, spoiled on one dial or
several, and read; LUDB pages (drawn by another program) are read beside their own signals and
beside what ECG-Miner read from them; PTB-XL vector PDFs beside their records; EDAN report pages
have no signals, and are checked by what they must obey. Each lead counts once. Three figures:

- strict: signal-to-noise ratio in dB as it comes, no alignment, no offset removed;
- aligned: after the best shift of at most 20 ms, means removed (what the 2024 PhysioNet Challenge
  scores, with other limits);
- coverage: share of the printed samples that came out.

Samples that the renderer cut at the edge of the grid are left out. The PDFs print a mean of five
samples at 125 Hz, 8 ms late: "printed" compares with that, the other figures with the record.

Goals
-----
Issue 16: strict >= 24 dB at 200 dpi (5th percentile 18), >= 20 at 127 dpi, >= 29 at 300; every
layout, speed and gain within 3 dB of that; real pages >= 99 % read, repeat >= 26 dB.

Non-goals
---------
Pages in other lead orders (Cabrera), pages with two gains, and photographs without a grid.
"""

import argparse
import lzma
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt

from benchmarks._open_ecgs import read_shard
from benchmarks._results import environment, markdown_table, write_json, write_text
from crtkit.images import digitize_page, load_image, render_page
from crtkit.images.digitize.vector import read_pdf
from crtkit.images.render import artefacts
from crtkit.readers import read_ecg
from crtkit.signals import LEADS_12

FS = 500

PX = {"127 dpi": 5.0, "200 dpi": 200 / 25.4, "300 dpi": 300 / 25.4}
TINTS = {"red": (0, 1, 2), "blue": (2, 1, 0), "green": (1, 0, 2), "violet": (0, 2, 1)}


def _spoil(page, seed, *, degrees=0, quality=None, noise=0, slant=0, bend=0):
    page = artefacts.perspective(page, slant, random_state=seed) if slant else page
    page = artefacts.curl(page, bend, random_state=seed) if bend else page
    page = artefacts.tilt(page, degrees) if degrees else page
    page = artefacts.speckle(page, noise, random_state=seed) if noise else page
    return artefacts.jpeg(page, quality) if quality else page


RENDERED = {
    "200 dpi": ({}, {}),
    "200 dpi, wide band": ({"wide": True}, {}),
    "127 dpi": ({"px_per_mm": PX["127 dpi"]}, {}),
    "300 dpi": ({"px_per_mm": PX["300 dpi"]}, {}),
    "3 degrees, JPEG 60": ({}, {"degrees": 3, "quality": 60}),
    "5 degrees, JPEG 60, 8 % noise": ({}, {"degrees": -5, "quality": 60, "noise": 0.08}),
    "perspective 6 %, JPEG 60": ({}, {"slant": 0.06, "quality": 60}),
    "perspective 6 %, curl 2 %, JPEG 60": ({}, {"slant": 0.06, "bend": 0.02, "quality": 60}),
    "6x2": ({"layout": "6x2"}, {}),
    "12x1": ({"layout": "12x1"}, {}),
    "3x4": ({"layout": "3x4"}, {}),
    "3x4 and three strips": ({"layout": "3x4+V1+II+V5"}, {}),
    "50 mm/s": ({"speed": 50.0}, {}),
    "5 mm/mV": ({"gain": 5.0}, {}),
    "20 mm/mV": ({"gain": 20.0}, {}),
    **{f"{name} grid": ({"tint": tint}, {}) for name, tint in TINTS.items() if name != "red"},
}
SETS = (*RENDERED, "LUDB", "LUDB, ECG-Miner", "PTB-XL PDF", "EDAN")


def compare(true, read, shift_ms=20):
    """Strict and aligned ratio in dB, coverage, delay in ms and error of the amplitude in %.

    Parameters
    ----------
    true, read : ndarray of shape (n_samples,)
        mV; NaN where nothing was printed, or read.
    shift_ms : float
        Largest shift that is tried.

    Returns
    -------
    dict
    """
    printed = np.isfinite(true)
    both = printed & np.isfinite(read)
    out = {"coverage": both.sum() / max(printed.sum(), 1)}
    if both.sum() < 100:
        return {**out, "strict": np.nan, "aligned": np.nan, "delay_ms": np.nan, "peak_pct": np.nan}
    t = np.arange(len(true), dtype=float)
    known = np.interp(t, t[printed], true[printed])
    edge = shift_ms * FS / 1000 + 2
    inner = both & (t > t[printed][0] + edge) & (t < t[printed][-1] - edge)

    def at(shift):
        moved = np.interp(t[inner] - shift, t, known)
        return _ratio(moved - moved.mean(), read[inner] - read[inner].mean())

    coarse = np.arange(-shift_ms * FS / 1000, shift_ms * FS / 1000 + 0.1, 0.5)
    best = coarse[int(np.argmax([at(shift) for shift in coarse]))]
    fine = best + np.arange(-0.45, 0.46, 0.05)
    ratios = [at(shift) for shift in fine]
    peak = 100 * (np.ptp(read[both]) / np.ptp(true[both]) - 1)
    return {
        **out,
        "strict": _ratio(true[both], read[both]),
        "aligned": max(ratios),
        "delay_ms": 1000 / FS * fine[int(np.argmax(ratios))],
        "peak_pct": peak,
    }


def _ratio(true, read):
    return 10 * np.log10((true**2).sum() / max(((true - read) ** 2).sum(), 1e-12))


def records(folder, n, seed, wide):
    """Records of ten seconds and twelve leads: name and mV, from 0.5 to 40 Hz unless ``wide``."""
    band = butter(2, 0.5, "highpass", fs=FS, output="sos")
    if not wide:
        band = np.concatenate([band, butter(2, 40, "lowpass", fs=FS, output="sos")])
    files = sorted((folder / "ecg12_physionet2021" / "records").glob("*.hea"))
    for i in np.random.default_rng(seed).permutation(len(files)):
        if n == 0:
            return
        try:
            ecg = read_ecg(files[i])
        except ValueError:
            continue
        usable = ecg.fs == FS and ecg.signal.shape[1] >= 10 * FS
        if usable and tuple(ecg.lead_names) == LEADS_12 and np.isfinite(ecg.signal).all():
            n -= 1
            yield files[i].stem, sosfiltfilt(band, ecg.signal[:, : 10 * FS].astype(float), axis=1)


def printed_part(signal, truth):
    """What a rendered page shows of a record; NaN elsewhere, and beyond the grid."""
    out = np.full(signal.shape, np.nan)
    # Rhythm strips last: they fill the whole row of their lead.
    for trace in sorted(truth.traces, key=lambda trace: trace.rhythm):
        lead, first = LEADS_12.index(trace.lead), int(np.ceil(trace.start * FS - 1e-9))
        part = slice(first, first + len(trace.y))
        # What the renderer let run off the grid cannot be read, and is not asked for.
        inside = (trace.y >= truth.grid_box[1]) & (trace.y <= truth.grid_box[3])
        out[lead, part] = np.where(inside, signal[lead, part], np.nan)
    return out


def nominal_part(signal, rhythm_leads):
    """Quarters of a 3x4 page and whole rhythm leads; NaN elsewhere."""
    out = np.full(signal.shape, np.nan)
    quarter = signal.shape[1] // 4
    for i, name in enumerate(LEADS_12):
        part = slice(i // 3 * quarter, (i // 3 + 1) * quarter)
        if name in rhythm_leads:
            part = slice(None)
        out[i, part] = signal[i, part]
    return out


def _rows(name, true, signal, reading=None, seconds=np.nan):
    rows = []
    for i, lead in enumerate(LEADS_12):
        row = {"page": name, "lead": lead, "seconds": seconds, **compare(true[i], signal[i])}
        if reading is not None:
            row.update(reason=reading.reason, layout=reading.layout)
        rows.append(row)
    return rows


def run_rendered(folder, name, n, seed):
    """Rows of one rendered set, one per lead."""
    how, spoil = RENDERED[name]
    how = {"px_per_mm": PX["200 dpi"], **how}
    tint, wide = how.pop("tint", None), how.pop("wide", False)
    rows = []
    for k, (record, signal) in enumerate(records(folder, n, seed, wide)):
        page, truth = render_page(signal, FS, header="Name: A B   ID 1", **how)
        page = np.ascontiguousarray(page[:, :, list(tint)]) if tint else page
        page = _spoil(page, seed + k, **spoil)
        start = time.process_time()
        reading = digitize_page(page, FS)
        spent = time.process_time() - start
        rows += _rows(record, printed_part(signal, truth), reading.signal, reading, spent)
    return rows


def run_ludb(folder, name, n, seed):
    """Rows of LUDB pages: ours, or those of ECG-Miner's output that lies beside them."""
    import wfdb

    folder = folder / "ludb"
    ids = pd.read_csv(folder / "labels_qrs.csv").iloc[:, 0].astype(int).to_numpy()
    with lzma.open(folder / "ecgminer_digitised.npy.xz") as file:
        miner = np.load(file)
    rows = []
    for i in np.random.default_rng(seed).permutation(len(ids))[:n]:
        signal = wfdb.rdrecord(str(folder / "data" / str(ids[i]))).p_signal.T
        true = nominal_part(signal, ("II",))
        if name.endswith("ECG-Miner"):
            read = np.where(miner[i] == -32768, np.nan, miner[i] / 1000)
            rows += _rows(str(ids[i]), true, read)
            continue
        page = load_image(folder / "images" / f"{ids[i]:03d}.png", size=None)
        start = time.process_time()
        reading = digitize_page(page, FS)
        spent = time.process_time() - start
        rows += _rows(str(ids[i]), true, reading.signal, reading, spent)
    return rows


def run_pdf(folder, name, n, seed):
    """Rows of vector PDFs, with the ratio in dB to what the page prints of the record."""
    pairs = pd.read_csv(folder / "ptbxl_pdf_pairs" / "pairs.csv")
    pairs = pairs[[(folder / "ptbxl_pdf_pairs" / f).exists() for f in pairs["pdf"]]]
    pairs = pairs.sample(min(n, len(pairs)), random_state=seed).sort_values("shard")
    rows, shard, data = [], None, None
    for pair in pairs.itertuples():
        if pair.shard != shard:
            shard, data = pair.shard, read_shard(folder / "ptbxl_500hz" / pair.shard)
        signal = data[pair.row] / 1000
        start = time.process_time()
        reading = read_pdf(folder / "ptbxl_pdf_pairs" / pair.pdf, FS)
        spent = time.process_time() - start
        true = nominal_part(signal, reading.rhythm_leads)
        part = _rows(pair.pdf, true, reading.signal, reading, spent)
        mean = np.stack([np.convolve(lead, np.ones(5) / 5, "same") for lead in signal])
        for i, row in enumerate(part):
            whole = LEADS_12[i] in reading.rhythm_leads
            first, length = (0, 4980) if whole else (1250 * (i // 3), 1240)
            at = np.arange(first, first + length, 4)
            row["printed"] = _ratio(mean[i, at + 4], reading.signal[i, at])
        rows += part
    return rows


def run_edan(folder, name, n, seed):
    """Rows of real report pages, one per page: agreement of the leads, and the heart rate."""
    import tarfile

    from crtkit.signals import locate_qrs

    table = pd.read_csv(folder / "ecg_images_mendeley" / "labels.csv").set_index("file")
    rows = []
    with tarfile.open(folder / "ecg_images_mendeley" / "images.tar.xz") as archive:
        members = {m.name: m for m in archive if m.isfile() and m.name in table.index}
        names = sorted(members)
        chosen = np.random.default_rng(seed).permutation(len(names))[:n]
        # In the archive's own order: going back would unpack it from the start again.
        wanted = sorted((names[i] for i in chosen), key=lambda name: members[name].offset)
        for file in wanted:
            page = _decode_jpeg(archive.extractfile(members[file]).read())
            start = time.process_time()
            reading = digitize_page(page, FS)
            spent = time.process_time() - start
            row = {"page": file, "lead": "all", "seconds": spent, "reason": reading.reason}
            row.update(layout=reading.layout, coverage=reading.coverage)
            row.update({f"{key}_db": value for key, value in reading.checks.items()})
            row["leads"] = int((np.isfinite(reading.signal).sum(axis=1) > 1125).sum())
            row["printed_bpm"] = table.loc[file, "printed_heart_rate_ocr"]
            row.update(_heart_rate(reading, locate_qrs))
            rows.append(row)
    return rows


def _decode_jpeg(data):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _heart_rate(reading, locate_qrs):
    """Mean and median rate over all rows of a 3x4 page, and whether the rhythm is regular."""
    if not reading.accepted or reading.layout.partition("+")[0] != "3x4":
        return {}
    signal = reading.signal.astype(float)
    quarter = signal.shape[1] // 4
    own = signal.reshape(12, 4, quarter)[np.arange(12), np.arange(12) // 3].reshape(4, 3, quarter)
    rows = [own[:, row].ravel() for row in range(3)]
    rows += [signal[LEADS_12.index(lead)] for lead in reading.rhythm_leads if lead]
    t = np.arange(len(rows[0]))
    rows = [np.interp(t, t[np.isfinite(row)], row[np.isfinite(row)]) for row in rows]
    beats = locate_qrs(np.array(rows), FS)
    if len(beats) < 3:
        return {}
    rr = np.diff(beats) / FS
    # Devices print the mean or the median rate; only in regular rhythm are they one number.
    regular = abs(rr.mean() / np.median(rr) - 1) < 0.03
    return {"bpm": 60 / rr.mean(), "bpm_median": 60 / np.median(rr), "regular": bool(regular)}


def summarise(table):
    """One row per set: medians, and 5th percentiles in brackets."""
    out = []
    for name, part in table.groupby("set", sort=False):
        row = {"set": name, "pages": part["page"].nunique()}
        row["refused"] = int(part.groupby("page")["reason"].first().notna().sum())
        row["coverage"] = f"{part['coverage'].mean():.3f}"
        for key in ("strict", "aligned", "printed", "repeat_db", "einthoven_db", "goldberger_db"):
            values = part[key].dropna() if key in part else ()
            if len(values):
                row[key] = f"{np.median(values):.1f} ({np.percentile(values, 5):.1f})"
        for key in ("delay_ms", "peak_pct"):
            values = part[key].dropna() if key in part else ()
            if len(values):
                low, middle, high = np.percentile(values, [5, 50, 95])
                row[key] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        if "bpm" in part and part["bpm"].notna().any():
            good = part[(part["regular"] == True) & part["printed_bpm"].notna()]  # noqa: E712
            near = (good["bpm"] - good["printed_bpm"]).abs() <= 2
            row["rate within 2"] = f"{near.mean():.3f} of {len(good)} regular"
        row["CPU s a page"] = f"{part['seconds'].median():.2f}"
        out.append(row)
    return pd.DataFrame(out)


def main(arguments=None):
    """Run the sets that are not in the folder yet, and write tables of all that are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digitizer")
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), type=Path)
    parser.add_argument("--out", default="results/digitizer", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, metavar="NAME")
    parser.add_argument("--n", type=int, default=24, help="pages per set")
    parser.add_argument("--seed", type=int, default=7)
    how = parser.parse_args(arguments)
    if how.data is None:
        parser.error("pass --data, or set CRTKIT_DATA")
    how.out.mkdir(parents=True, exist_ok=True)
    runs = {"LUDB": run_ludb, "LUDB, ECG-Miner": run_ludb, "PTB-XL PDF": run_pdf, "EDAN": run_edan}
    parts = []
    for name in how.sets:
        file = how.out / f"{name.replace(',', '').replace(' ', '_').replace('%', 'pct')}.csv"
        if not file.exists():
            rows = runs.get(name, run_rendered)(how.data, name, how.n, how.seed)
            table = pd.DataFrame(rows).assign(set=name)
            write_text(file, table.round(4).to_csv(index=False))
            write_json(file.with_suffix(".json"), {**environment(), "n": how.n, "seed": how.seed})
        parts.append(pd.read_csv(file))
    table = summarise(pd.concat(parts, ignore_index=True))
    write_text(how.out / "README.md", markdown_table(table) + "\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
