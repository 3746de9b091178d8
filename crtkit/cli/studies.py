"""``crtkit run, report``: a whole study, or one report, from a table of patients."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crtkit.cli.common import (
    CommandError,
    add_manifest_options,
    check_out,
    cpu_jobs,
    positive_label,
    read_cohort,
    say,
)

STUDIES = ("mori2025", "he2023", "he2021", "lvsd2026")


def add_commands(commands: Any) -> None:
    """Add both commands."""
    run = commands.add_parser(
        "run",
        help="a whole study: its tables and figures in the paper's form",
        description="Run one study on your table, or on simulated patients without --data. "
        "'crtkit run STUDY --help' lists the options of a study.",
        epilog="An interrupted run goes on with --resume, to the same results.",
    )
    run.add_argument("study", choices=STUDIES)
    run.add_argument("options", nargs=argparse.REMAINDER, help="options of the study")
    run.set_defaults(run=run_study_command)
    report = commands.add_parser(
        "report",
        help="judge a study's models on your patients, in one page",
        description="Fit and judge the models of a study by patient over repeated splits, beside "
        "the clinical rules, and write one self-contained HTML page.",
    )
    report.add_argument("data", type=Path, help="table of records (CSV)")
    add_manifest_options(report)
    report.add_argument("--study", choices=STUDIES, default="mori2025", help="[mori2025]")
    add_size(report)
    report.add_argument(
        "--by",
        choices=("patient", "record"),
        default="patient",
        help="judge by patient, or by record where a patient may have both outcomes [patient]",
    )
    report.add_argument("--models", help="names from the study, with commas [all that can be read]")
    report.add_argument("--seeds", type=int, default=10, help="repeats [10]")
    report.add_argument("-j", "--jobs", type=cpu_jobs, help="processes [1]")
    report.add_argument("--journal", type=Path, help="keep what is done here, and go on from it")
    report.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("report.html"),
        help="a page, or Word (.docx) or Markdown (.md) by its suffix [%(default)s]",
    )
    report.set_defaults(run=run_report)


def add_size(parser: argparse.ArgumentParser) -> None:
    """``--size`` of the models, as ``crtkit run`` has it."""
    parser.add_argument(
        "--size",
        choices=("small", "paper"),
        help="of the networks: small is for two cores, paper as published [small; he2021: paper]",
    )


def run_study_command(options: argparse.Namespace) -> int:
    """Run the study with its own options; its text goes to standard output."""
    from crtkit.studies.run import add_arguments, execute, study_module

    parser = argparse.ArgumentParser(prog=f"crtkit run {options.study}")
    add_arguments(parser, options.study)
    # A parser of its own: each study has other options, and its --help lists only those.
    chosen = parser.parse_args(options.options)
    text = execute(study_module(options.study).run, chosen)
    print(text)  # noqa: T201 - this is the command line
    return 0


def run_report(options: argparse.Namespace) -> int:
    """Evaluate and write the page."""
    from crtkit.evaluation import evaluate
    from crtkit.studies.run import sized_pipelines

    models = sized_pipelines(options.study, options.size)
    if options.models:
        wanted = [name.strip() for name in options.models.split(",")]
        absent = [name for name in wanted if name not in models]
        if absent:
            raise CommandError(f"--models: {absent} are not among {list(models)}")
        models = {name: models[name] for name in wanted}
    forms = {".html": "to_html", ".docx": "to_docx", ".md": "to_markdown"}
    # Asked before models are fitted: minutes later nobody wants to hear of a suffix.
    if options.out.suffix.lower() not in forms:
        raise CommandError(f"--out: a report ends in {', '.join(forms)}, not {options.out.name!r}")
    check_out(options.out, options.journal)
    cohort = read_cohort(options.data, options)
    positive = positive_label(cohort, options.pos_label)
    # Without --pos-label the order of the manifest decides, and every table says which one it was.
    given = {} if positive is None else {"pos_label": positive}
    say(f"judging {len(models)} model(s) on {cohort.n_patients} patients, {options.seeds} seeds")
    result = evaluate(
        models,
        cohort,
        by=options.by,
        seeds=options.seeds,
        n_jobs=options.jobs,
        journal=options.journal,
        **given,
    )
    getattr(result, forms[options.out.suffix.lower()])(options.out)
    say(f"wrote {options.out}, and its numbers in {options.out.with_suffix('.json').name}")
    return 0
