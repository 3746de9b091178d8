"""What benchmarks that are no study of a paper share with the studies' runs."""

from crtkit.studies.run.cohorts import load_cohort, stated
from crtkit.studies.run.output import Output, journal_path, write_text

__all__ = ["Output", "journal_path", "load_cohort", "stated", "write_text"]
