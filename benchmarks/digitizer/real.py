"""Pages that others drew: LUDB (ECG-Miner), PTB-XL (ECGtizer), EDAN devices, photographs."""

import lzma
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._real_ecgs import read_shard
from benchmarks.digitizer.compare import FS, lead_rows, nominal_part, ratio
from benchmarks.digitizer.rendered import timed
from crtkit.datasets import load_ecg_images
from crtkit.images import load_image
from crtkit.images.digitize.vector import read_pdf
from crtkit.signals import LEADS_12, locate_qrs

_LEAD_SAMPLES = 1125  # nine tenths of a lead's 2.5 s: less is not the whole lead
_REGULAR = 0.03


def ludb_pages(folder, name, n, seed):
    """LUDB pages: our reading, or ECG-Miner's output that lies beside them; rows, one a lead."""
    import wfdb

    folder = folder / "ludb"
    ids = pd.read_csv(folder / "labels_qrs.csv").iloc[:, 0].astype(int).to_numpy()
    with lzma.open(folder / "ecgminer_digitised.npy.xz") as file:
        miner = np.load(file)
    for i in np.random.default_rng(seed).permutation(len(ids))[:n]:

        def rows(i=i):
            signal = wfdb.rdrecord(str(folder / "data" / str(ids[i]))).p_signal.T
            true = nominal_part(signal, ("II",))
            if name.endswith("ECG-Miner"):
                return lead_rows(true, np.where(miner[i] == -32768, np.nan, miner[i] / 1000))
            page = load_image(folder / "images" / f"{ids[i]:03d}.png", size=None)
            reading, spent = timed(page)
            facts = {"reason": reading.reason, "layout": reading.layout, "seconds": spent}
            return lead_rows(true, reading.signal, **facts)

        yield str(ids[i]), rows


def pdf_pages(folder, name, n, seed):
    """Vector PDFs: rows, one a lead, with the ratio to what the page prints of the record."""
    pairs = pd.read_csv(folder / "ptbxl_pdf_pairs" / "pairs.csv")
    pairs = pairs[[(folder / "ptbxl_pdf_pairs" / f).exists() for f in pairs["pdf"]]]
    pairs = pairs.sample(min(n, len(pairs)), random_state=seed).sort_values("shard")
    shard, data = None, None
    for pair in pairs.itertuples():
        if pair.shard != shard:
            shard, data = pair.shard, read_shard(folder / "ptbxl_500hz" / pair.shard)

        def rows(pair=pair, signal=data[pair.row] / 1000):
            start = time.process_time()
            reading = read_pdf(folder / "ptbxl_pdf_pairs" / pair.pdf, FS)
            spent = time.process_time() - start
            facts = {"reason": reading.reason, "layout": reading.layout, "seconds": spent}
            true = nominal_part(signal, reading.rhythm_leads)
            out = lead_rows(true, reading.signal, **facts)
            # What the program draws is a mean of five samples, every fourth of them.
            mean = np.stack([np.convolve(lead, np.ones(5) / 5, "same") for lead in signal])
            for i, row in enumerate(out):
                whole = LEADS_12[i] in reading.rhythm_leads
                first, length = (0, 4980) if whole else (1250 * (i // 3), 1240)
                at = np.arange(first, first + length, 4)
                row["printed"] = ratio(mean[i, at + 4], reading.signal[i, at])
            return out

        yield pair.pdf, rows


def edan_pages(folder, name, n, seed):
    """Report pages: rows, one a page, of agreement between the leads and of the heart rate."""
    # Unpacked once: to go on in the archive would unpack it from its start again.
    unpacked = Path(tempfile.gettempdir()) / "crtkit_report_pages"
    pages = load_ecg_images(folder / "ecg_images_mendeley", cache_dir=unpacked).X
    for file, row in pages.iloc[np.random.default_rng(seed).permutation(len(pages))[:n]].iterrows():

        def rows(row=row):
            reading, spent = timed(load_image(row["image"], size=None))
            out = _page_row(reading, spent)
            out["printed_bpm"] = row["printed_heart_rate"]
            out.update(heart_rate(reading))
            return [out]

        yield str(file), rows


def photograph_pages(folder, name, n, seed):
    """Photographs and scans of paper: rows, one a page; what is right is judged by eye."""
    files = sorted(
        path for path in (folder / "ecg_photos_eik").iterdir() if path.suffix in _PICTURES
    )
    for path in files[:n]:

        def rows(path=path):
            reading, spent = timed(load_image(path, size=None))
            row = _page_row(reading, spent)
            row.update(speed=reading.speed, gain=reading.gain, rotation=reading.rotation)
            row["confidence"] = float(np.median(list(reading.confidence.values()) or [0.0]))
            return [row]

        yield path.name, rows


_PICTURES = {".jpg", ".png", ".bmp"}


def _page_row(reading, spent):
    seen = np.isfinite(reading.signal).sum(axis=1)
    return {
        "lead": "all",
        "seconds": spent,
        "reason": reading.reason,
        "layout": reading.layout,
        "coverage": reading.coverage if reading.accepted else 0.0,
        "leads": int((seen > _LEAD_SAMPLES).sum()),
        **{f"{key}_db": value for key, value in reading.checks.items()},
    }


def heart_rate(reading):
    """Mean and median rate over all rows of a 3x4 page, and whether the rhythm is regular."""
    if not reading.accepted or reading.layout.partition("+")[0] != "3x4":
        return {}
    signal = reading.signal.astype(float)
    quarter = signal.shape[1] // 4
    own = signal.reshape(12, 4, quarter)[np.arange(12), np.arange(12) // 3].reshape(4, 3, quarter)
    rows = [own[:, row].ravel() for row in range(3)]
    # T waves of one lead are counted as beats; over four rows they are not.
    rows += [signal[LEADS_12.index(lead)] for lead in reading.rhythm_leads if lead]
    t = np.arange(len(rows[0]))
    rows = [np.interp(t, t[np.isfinite(row)], row[np.isfinite(row)]) for row in rows]
    beats = locate_qrs(np.array(rows), FS)
    if len(beats) < 3:
        return {}
    rr = np.diff(beats) / FS
    regular = bool(abs(rr.mean() / np.median(rr) - 1) < _REGULAR)
    return {"bpm": 60 / rr.mean(), "bpm_median": 60 / np.median(rr), "regular": regular}
