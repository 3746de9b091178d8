"""Result files and tables of the benchmarks: those of the studies' runs."""

from crtkit.studies.run.output import Output, journal_path, markdown_table
from crtkit.studies.run.provenance import environment, write_json

__all__ = ["Output", "environment", "journal_path", "markdown_table", "write_json"]
