"""What benchmarks share with the studies' runs: tables, result files, journals, commands."""

import sys

from crtkit.studies.run.cohorts import load_cohort, stated
from crtkit.studies.run.output import Output, journal_path, markdown_table, save_figure, write_text
from crtkit.studies.run.provenance import environment, write_json

__all__ = [
    "Output",
    "command",
    "environment",
    "journal_path",
    "load_cohort",
    "markdown_table",
    "save_figure",
    "stated",
    "write_json",
    "write_text",
]


def command(run, options):
    """Run as a command does: bad input ends with its message, not with a traceback.

    Returns
    -------
    int
        Status of the process.
    """
    try:
        answer = run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; go on with --resume", file=sys.stderr)
        return 130
    if isinstance(answer, str):
        print(answer)
    return 0
