"""``python -m benchmarks.cost [--out FOLDER]``: minutes of one core by records and stage.

Each stage is timed at three sizes and a line ``seconds = start + records * rate`` is fitted to
them, so that every size misses by the same share. Sizes up to the largest that was timed are
interpolated; what lies beyond is the line alone, and the table says so. The lines hold where the
work of a record does not depend on how many there are: reading, measuring, an epoch of a network.
Memory, disks and a fit that scans all records at once can break them, so a figure for ten million
records plans a purchase, no more.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks._results import environment, markdown_table, write_json, write_text
from crtkit.signals import LEADS_12

ASKED = (10**3, 10**5, 10**7)


def stages(folder):
    """Stages of a study, from a file on disk to a fitted network.

    Parameters
    ----------
    folder : Path
        Where the files that are read lie.

    Returns
    -------
    dict
        Name -> (sizes, ``work(n)``); work does one stage for n records.
    """
    from lightgbm import LGBMClassifier

    from crtkit import LeadStatistics
    from crtkit.datasets import simulate_ecg
    from crtkit.images import ECGRenderer, digitize_page
    from crtkit.neural import ECGFMPretraining, SimCLR
    from crtkit.readers import read_ecg
    from crtkit.signals import measure_qrs

    rng = np.random.default_rng(0)
    hearts = np.stack([simulate_ecg("lbbb", 160, random_state=i)[0] for i in range(20)])
    hearts = hearts.astype(np.float32)
    drawn = ECGRenderer(px_per_mm=8.0).fit_transform(hearts[:2])
    for i, heart in enumerate(hearts):
        _write_wfdb(folder / f"r{i}", heart)
    features = rng.normal(size=(100_000, 60))
    labels = rng.integers(0, 2, 100_000)
    pages = rng.integers(0, 256, (64, 112, 112, 3), dtype=np.uint8)

    def boost(n):
        model = LGBMClassifier(n_estimators=100, n_jobs=1, verbosity=-1)
        model.fit(features[:n], labels[:n]).predict_proba(features[:n])

    def simclr(n):
        SimCLR(width=16, max_epochs=1, batch_size=16, random_state=0).fit(pages[np.arange(n) % 64])

    def ecgfm(n):
        model = ECGFMPretraining(size="small", max_epochs=1, batch_size=32, random_state=0)
        model.fit(hearts[np.arange(n) % 20])

    return {
        "read a WFDB record": (
            (100, 300, 1_000),
            lambda n: [read_ecg(folder / f"r{i % 20}.hea") for i in range(n)],
        ),
        "60 statistics of a signal": (
            (100, 1_000, 5_000),
            lambda n: LeadStatistics().fit_transform(hearts[np.arange(n) % 20]),
        ),
        "QRS measurements": (
            (100, 300, 1_000),
            lambda n: [measure_qrs(hearts[i % 20], 500) for i in range(n)],
        ),
        "digitize a page (8 px/mm)": (
            (4, 12, 24),
            lambda n: [digitize_page(drawn[i % 2]) for i in range(n)],
        ),
        "LightGBM, 60 features, 100 trees": ((1_000, 10_000, 100_000), boost),
        "ECG-FM small, one epoch": ((100, 300, 1_000), ecgfm),
        "SimCLR 112 px width 16, one epoch": ((100, 300, 1_000), simclr),
    }


def _write_wfdb(path, signal):
    """A record of format 16 in microvolt, as PhysioNet has them."""
    n_leads, n_samples = signal.shape
    microvolt = np.round(1000 * signal).astype("<i2")
    path.with_suffix(".dat").write_bytes(np.ascontiguousarray(microvolt.T).tobytes())
    head = [f"{path.name} {n_leads} 500 {n_samples}"]
    head += [f"{path.name}.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS_12]
    path.with_suffix(".hea").write_text("\n".join(head) + "\n", encoding="ascii")


def run():
    """Time all stages.

    Returns
    -------
    dict
        Per stage: ``timed`` (records and seconds), the line's ``start`` (s) and ``rate`` (s per
        record), ``residual`` (largest deviation of the line as a share), and ``minutes`` for each
        of ``ASKED``, with whether that is timed, interpolated or from the line.
    """
    found = {}
    before = os.getloadavg()[0]
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        for name, (sizes, work) in stages(Path(folder)).items():
            work(sizes[0])  # imports and caches are not the stage's
            seconds = [_seconds(work, n) for n in sizes]
            # By share: by seconds the largest size alone would set the line.
            rate, start = np.polyfit(sizes, seconds, 1, w=1 / np.asarray(seconds))
            line = start + rate * np.asarray(sizes)
            found[name] = {
                "timed": dict(zip(map(str, sizes), np.round(seconds, 3).tolist())),
                "start": round(float(start), 3),
                "rate": float(f"{rate:.3g}"),
                "residual": round(float(np.max(np.abs(line / seconds - 1))), 2),
                "minutes": {str(n): _minutes(n, sizes, seconds, start, rate) for n in ASKED},
            }
    return {"stages": found, "load_average": [before, os.getloadavg()[0]]}


def _seconds(work, n):
    """Processor time: another job on the machine does not count."""
    start = time.process_time()
    work(n)
    return time.process_time() - start


def _minutes(n, sizes, seconds, start, rate):
    if n in sizes:
        return {"minutes": float(f"{seconds[sizes.index(n)] / 60:.3g}"), "how": "timed"}
    how = "interpolated" if n <= max(sizes) else "from the line"
    return {"minutes": float(f"{max(start + rate * n, 0) / 60:.3g}"), "how": how}


def table(result):
    """Table of minutes.

    Parameters
    ----------
    result : dict
        From :func:`run`.

    Returns
    -------
    DataFrame
        One row per stage, one column per number of records; ``*`` marks what was not timed. The
        last column is by how much a timed size misses the line.
    """
    rows = {}
    for name, stage in result["stages"].items():
        cells = {
            f"{int(n):,} records": f"{cell['minutes']:,g}{'' if cell['how'] == 'timed' else '*'}"
            for n, cell in stage["minutes"].items()
        }
        largest = max(map(int, stage["timed"]))
        rows[name] = {
            "largest timed": f"{largest:,}",
            **cells,
            "line misses by": f"{100 * stage['residual']:.0f} %",
        }
    return pd.DataFrame(rows).T.rename_axis("minutes of one core")


def main(arguments=None):
    """Time, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for results; without it only printed")
    options = parser.parse_args(arguments)
    result = run()
    shown = table(result)
    print(markdown_table(shown))
    print("* not timed: from a line fitted to three sizes up to the largest timed.")
    if options.out:
        write_json(options.out / "results.json", {"environment": environment(), **result})
        write_text(options.out / "cost.csv", shown.to_csv())


if __name__ == "__main__":
    main()
