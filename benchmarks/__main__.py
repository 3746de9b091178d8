"""``python -m benchmarks STUDY``: the tables and figures of a study, from one command."""

import argparse
import sys
from pathlib import Path

from benchmarks import he2021, he2023, lvsd2026, mori2025, ssl_pages

STUDIES = {
    "mori2025": mori2025,
    "he2023": he2023,
    "he2021": he2021,
    "lvsd2026": lvsd2026,
    "ssl_pages": ssl_pages,
}


def parser():
    """Command line of all studies."""
    main = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Write a study's tables and figures in the paper's form.",
    )
    studies = main.add_subparsers(dest="study", required=True, metavar="STUDY")
    for name, module in STUDIES.items():
        sub = studies.add_parser(name, help=module.__doc__.splitlines()[0])
        sub.add_argument(
            "--data",
            type=Path,
            help="manifest (.csv, .parquet) of a cohort, a folder of PhysioNet Challenge records, "
            "or one of ECG report pages (labels.csv); without it the simulated cohort",
        )
        sub.add_argument(
            "--label",
            help="label column of the manifest, or diagnosis (or SNOMED CT code) of a folder",
        )
        sub.add_argument("--group", default="patient", help="patient column of the manifest")
        sub.add_argument("--signal", help="ECG file column of the manifest (default: signal)")
        sub.add_argument("--fs", type=float, help="sampling rate to bring signals to, in Hz")
        sub.add_argument("--duration", type=float, help="seconds to keep of each signal")
        sub.add_argument("--seeds", type=int, help="number of seeds (default: the paper's)")
        sub.add_argument("--quick", action="store_true", help="two seeds, fewer simulated patients")
        sub.add_argument("--out", type=Path, default=Path("results") / name, help="output folder")
        sub.add_argument("--resume", action="store_true", help="go on with an interrupted run")
        sub.add_argument("--n-jobs", type=int, default=None, help="worker processes")
        sub.add_argument(
            "--random-state", type=int, default=0, help="of the simulated cohort, splits and models"
        )
        getattr(module, "add_arguments", lambda sub: None)(sub)  # what only this study has
        if hasattr(module, "add_options"):
            module.add_options(sub)
        sub.set_defaults(run=module.run)
    return main


def main(arguments=None):
    """Run one study; bad input ends with its message, not with a traceback."""
    options = parser().parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; go on with --resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
