"""``python -m benchmarks.cost [--out FOLDER]``: minutes of one core by records and stage.

Each stage is timed at three sizes and a line ``seconds = start + records * rate`` is fitted to
them. Sizes up to the largest that was timed are interpolated; what lies beyond is the line alone,
and the table says so. The lines hold where the work of a record does not depend on how many there
are: reading, measuring, an epoch of a network. Memory, disks and a fit that scans all records at
once can break them, so a figure for ten million records plans a purchase, no more.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks._results import environment, markdown_table, write_json

ASKED = (10**3, 10**5, 10**7)


def stages():
    """Name -> (sizes, ``work(n)``); work does one stage for n records."""
    from lightgbm import LGBMClassifier

    from crtkit import LeadStatistics
    from crtkit.datasets import simulate_ecg
    from crtkit.neural import ECGFMPretraining, SimCLR
    from crtkit.signals import measure_qrs

    rng = np.random.default_rng(0)
    hearts = np.stack([simulate_ecg("lbbb", 160, random_state=i)[0] for i in range(20)])
    hearts = hearts.astype(np.float32)
    features = rng.normal(size=(100_000, 60))
    labels = rng.integers(0, 2, 100_000)
    pages = rng.integers(0, 256, (64, 112, 112, 3), dtype=np.uint8)

    def signals(n):
        return hearts[np.arange(n) % 20]

    def measure(n):
        for i in range(n):
            measure_qrs(hearts[i % 20], 500)

    def boost(n):
        model = LGBMClassifier(n_estimators=100, n_jobs=1, verbosity=-1)
        model.fit(features[:n], labels[:n]).predict_proba(features[:n])

    def ecgfm(n):
        ECGFMPretraining(size="small", max_epochs=1, batch_size=32, random_state=0).fit(signals(n))

    def simclr(n):
        SimCLR(width=16, max_epochs=1, batch_size=16, random_state=0).fit(pages[:n])

    return {
        "60 statistics of a signal": (
            (100, 200, 400),
            lambda n: LeadStatistics().fit_transform(signals(n)),
        ),
        "QRS measurements": ((50, 100, 200), measure),
        "LightGBM, 60 features, 100 trees": ((1_000, 10_000, 100_000), boost),
        "ECG-FM small, one epoch": ((64, 128, 256), ecgfm),
        "SimCLR 112 px width 16, one epoch": ((16, 32, 64), simclr),
    }


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
    with threadpool_limits(1):
        for name, (sizes, work) in stages().items():
            work(sizes[0])  # imports and caches are not the stage's
            seconds = [_seconds(work, n) for n in sizes]
            rate, start = np.polyfit(sizes, seconds, 1)
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
    """One row per stage, one column per size; ``*`` marks what was not timed."""
    rows = {
        name: {
            f"{int(n):,} records": f"{cell['minutes']:,g}{'' if cell['how'] == 'timed' else '*'}"
            for n, cell in stage["minutes"].items()
        }
        for name, stage in result["stages"].items()
    }
    return pd.DataFrame(rows).T.rename_axis("minutes of one core")


def main(arguments=None):
    """Time, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for cost.json; without it only printed")
    options = parser.parse_args(arguments)
    result = run()
    print(markdown_table(table(result)))
    print("* from a line fitted to three smaller sizes, by the square of what it misses.")
    if options.out:
        write_json(options.out / "cost.json", {"environment": environment(), **result})


if __name__ == "__main__":
    main()
