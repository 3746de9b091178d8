"""What the signal of each ECG study can give: ``python -m benchmarks.ceilings``.

Goals
-----
For each simulated ECG study, how well its latents can be read from the ECG, and the best AUC that
those readings allow: the second ceiling that stands beside the first in every simulated table.

Non-goals
---------
A bound that no network can pass: the readings are those of measurements and lead statistics.
"""

import argparse
import sys
import time
from pathlib import Path

from benchmarks._results import environment, write_json
from crtkit.studies import ceiling

STUDIES = ("mori2025", "he2023", "lvsd2026")
#: Where the package reads them.
PATH = Path(ceiling.__file__).parent / "ceilings.json"


def main(arguments=None):
    """Measure, and write them where the package reads them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ceilings", description="What the signal of a study can give."
    )
    parser.add_argument("--n-ecg", type=int, default=2000, help="simulated patients that are read")
    parser.add_argument("--draws", type=int, default=200_000, help="of the population")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PATH)
    options = parser.parse_args(arguments)
    studies = {}
    for study in STUDIES:
        start = time.perf_counter()
        studies[study] = ceiling.measure_ceiling(
            study,
            n_ecg=options.n_ecg,
            n_draws=options.draws,
            random_state=options.random_state,
        )
        print(f"{study}: {studies[study]} ({time.perf_counter() - start:.0f} s)", file=sys.stderr)
    write_json(
        options.out,
        {"studies": studies, "random_state": options.random_state, "environment": environment()},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
