"""What benchmarks share with the studies' runs: tables, result files, journals, commands."""

import sys
from pathlib import Path

from crtkit.studies.run.cohorts import load_cohort, stated
from crtkit.studies.run.output import Output, journal_path, markdown_table, save_figure, write_text
from crtkit.studies.run.provenance import environment, write_json

__all__ = [
    "MITBIH_WEIGHTS",
    "Output",
    "command",
    "environment",
    "journal_path",
    "load_cohort",
    "markdown_table",
    "save_figure",
    "stated",
    "write_json",
    "write_tables",
    "write_text",
]

#: A ResNet-18 of width 8 that two cores pretrained; its card says on which records and how well.
MITBIH_WEIGHTS = Path(__file__).parent / "results" / "mitbih_paper" / "resnet18.safetensors"


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


def write_tables(folder, tables):
    """Write tables by their names, each as CSV and as Markdown, and print them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", table.to_csv())
        write_text(folder / f"{name}.md", markdown_table(table) + "\n")
        print(table.to_string())
