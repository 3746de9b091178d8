"""``python -m benchmarks COMMAND``: tables and figures of a study, or of a question."""

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks import (
    crt_trial,
    everything,
    learning,
    one_patient,
    printed_tables,
    ptbxl_transfer,
    real_pages,
    ssl_pages,
)
from benchmarks._results import MITBIH_WEIGHTS, command
from crtkit.studies.run import STUDIES, add_arguments, add_shared_arguments, execute, study_module

#: Benchmarks that are not the study of a paper, by their command.
QUESTIONS = {
    "one_patient": one_patient,
    "learning": learning,
    "crt_trial": crt_trial,
    "ptbxl_transfer": ptbxl_transfer,
    "real_pages": real_pages,
    "printed_tables": printed_tables,
    "all": everything,
}


def parser():
    """Command line of all studies."""
    main = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Write a study's tables and figures in the paper's form, or answer a question.",
    )
    studies = main.add_subparsers(dest="study", required=True, metavar="STUDY")
    for name in STUDIES:
        sub = studies.add_parser(name, help=_title(study_module(name)))
        add_arguments(sub, name)
        sub.set_defaults(run=study_module(name).run)
    sub = studies.add_parser("ssl_pages", help=_title(ssl_pages))
    add_shared_arguments(sub, Path("results") / "ssl_pages")
    ssl_pages.add_arguments(sub)
    sub.set_defaults(run=ssl_pages.run)
    for name, module in QUESTIONS.items():
        sub = studies.add_parser(name, help=_title(module))
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return main


def _title(module):
    """First line of a module's docstring, as argparse wants it: per cent signs are its own."""
    return module.__doc__.splitlines()[0].replace("%", "%%")


def main(arguments=None):
    """Run one study; bad input ends with its message, not with a traceback."""
    options = parser().parse_args(arguments)
    # The card of weights decides how wide every network is: these would make the paper's narrow.
    own = options.study == "he2023" and options.weights is None and options.size == "small"
    if own and MITBIH_WEIGHTS.is_file():
        options.weights = [MITBIH_WEIGHTS]
    return command(partial(execute, options.run), options)


if __name__ == "__main__":
    sys.exit(main())
