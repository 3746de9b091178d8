"""A study on a cohort: its tables and figures in the paper's form, from one call.

``python -m benchmarks STUDY`` and ``crtkit run STUDY`` are thin command lines over this package.
"""

from argparse import ArgumentParser, ArgumentTypeError
from importlib import import_module
from pathlib import Path

#: Studies that can be run.
STUDIES = ("mori2025", "he2023", "he2021", "lvsd2026")


def study_module(study):
    """Module of this package that runs a study.

    Parameters
    ----------
    study : str
        One of ``STUDIES``.

    Returns
    -------
    module
        With ``add_arguments(parser)``, ``run(options)`` and ``SIZE``, the default of ``--size``.

    Raises
    ------
    ValueError
        No such study.

    Examples
    --------
    >>> from crtkit.studies.run import study_module
    >>> study_module("he2021").__name__
    'crtkit.studies.run.he2021'
    """
    if study not in STUDIES:
        raise ValueError(f"study must be one of {STUDIES}, got {study!r}.")
    return import_module(f"crtkit.studies.run.{study}")


def add_arguments(parser, study):
    """Give a parser the options of a study: those that all studies share, and its own.

    Parameters
    ----------
    parser : ArgumentParser
    study : str
        One of ``STUDIES``.

    Examples
    --------
    >>> from argparse import ArgumentParser
    >>> from crtkit.studies.run import add_arguments
    >>> parser = ArgumentParser()
    >>> add_arguments(parser, "he2021")
    >>> parser.parse_args(["--quick", "--map", "phase"]).map
    'phase'
    """
    add_shared_arguments(parser, Path("results") / study)
    module = study_module(study)
    parser.add_argument(
        "--size",
        choices=("small", "paper"),
        default=module.SIZE,
        help=f"of the models: small is for two cores, paper as published (default: {module.SIZE})",
    )
    module.add_arguments(parser)


def add_shared_arguments(parser, out):
    """Give a parser the options that every study has; `out` is the default output folder."""
    parser.add_argument(
        "--data",
        type=Path,
        help="manifest (.csv, .xlsx, .parquet) of a cohort, a folder of PhysioNet Challenge "
        "records, or one of ECG pages (manifest.csv, or labels.csv of the Mendeley set), which are "
        "digitised for models of signals; without it the simulated cohort",
    )
    parser.add_argument(
        "--label",
        help="label column of the manifest, or diagnosis (or SNOMED CT code) of a folder",
    )
    parser.add_argument("--group", default="patient", help="patient column of the manifest")
    parser.add_argument("--signal", help="ECG file column of the manifest (default: signal)")
    parser.add_argument("--fs", type=float, help="sampling rate to bring signals to, in Hz")
    parser.add_argument("--duration", type=float, help="seconds to keep of each signal")
    parser.add_argument(
        "--signal-unit",
        type=signal_unit,
        help="unit of signals in arrays, such as uV, or what one count is worth in mV; files say "
        "their own",
    )
    parser.add_argument("--pos-label", help="the outcome that is predicted, such as yes")
    parser.add_argument(
        "--columns",
        type=renamed,
        metavar="THEIRS=OURS,...",
        help="names in the table for names that crtkit knows, as QRS=qrs_duration_ms,Sex=male",
    )
    for name, choices, text in (
        ("on-error", ("raise", "drop"), "cannot be read"),
        ("missing-leads", ("raise", "nan", "drop"), "lacks one of the twelve leads"),
        ("short", ("raise", "drop", "pad"), "is shorter than --duration"),
        ("mixed-labels", ("raise", "keep"), "has another outcome than one of the same patient"),
    ):
        parser.add_argument(
            f"--{name}", choices=choices, help=f"what a record does that {text} [raise]"
        )
    parser.add_argument("--seeds", type=int, help="number of seeds (default: the paper's)")
    parser.add_argument("--quick", action="store_true", help="two seeds, fewer simulated patients")
    parser.add_argument("--out", type=Path, default=out, help="output folder")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--n-jobs", type=int, default=None, help="worker processes")
    parser.add_argument(
        "--random-state", type=int, default=0, help="of the simulated cohort, splits and models"
    )


def renamed(text):
    """Columns of another table by crtkit's names, as a command line has them.

    Parameters
    ----------
    text : str
        ``THEIRS=OURS,THEIRS=OURS``.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ArgumentTypeError
        Another form.

    Examples
    --------
    >>> from crtkit.studies.run import renamed
    >>> renamed("QRS=qrs_duration_ms, Sex=male")
    {'QRS': 'qrs_duration_ms', 'Sex': 'male'}
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not pairs or any(not sep or not a.strip() or not b.strip() for a, sep, b in pairs):
        raise ArgumentTypeError(
            f"{text!r} is not of the form THEIRS=OURS,THEIRS=OURS, such as QRS=qrs_duration_ms"
        )
    return {a.strip(): b.strip() for a, _, b in pairs}


def signal_unit(text):
    """Unit of signals as a command line has it: a name, or what one count is worth in millivolt.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or float

    Examples
    --------
    >>> from crtkit.studies.run import signal_unit
    >>> signal_unit("uV"), signal_unit("0.005")
    ('uV', 0.005)
    """
    try:
        return float(text)
    except ValueError:
        return text


def sized_pipelines(study, size=None):
    """Unfitted pipelines of a study, for two cores or as published.

    Parameters
    ----------
    study : str
        One of ``STUDIES``.
    size : {"small", "paper"}, optional
        Default: the study's own, as ``crtkit run`` has it.

    Returns
    -------
    dict of str to Pipeline

    Examples
    --------
    >>> from crtkit.studies.run import sized_pipelines
    >>> sized_pipelines("mori2025", "small")["ResNet-18 from scratch"][-1].width
    16
    """
    size = size or study_module(study).SIZE
    models = import_module(f"crtkit.studies.{study}")
    if study != "mori2025":
        return models.pipelines(size=size)
    chosen = models.SIZES[size]
    return models.pipelines(size=chosen["pixels"], resnet=chosen["resnet"], simclr=chosen["simclr"])


def run_study(study, arguments=(), **options):
    """Run a study and write its tables, figures, report and ``results.json``.

    Parameters
    ----------
    study : str
        One of ``STUDIES``.
    arguments : sequence of str
        As on the command line.
    **options
        Options by name, which replace those of `arguments`: ``data``, ``out``, ``seeds``, ….

    Returns
    -------
    str
        The main table and where the files are.

    Raises
    ------
    ValueError
        Unknown study or option, or a cohort that the study cannot use.

    Examples
    --------
    >>> from crtkit.studies.run import run_study
    >>> run_study("mori2025", sedes=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: mori2025 has no option 'sedes'; it has cache, columns, data, device, ...
    """
    parser = ArgumentParser(prog=study)
    add_arguments(parser, study)
    chosen = parser.parse_args(list(arguments))
    unknown = sorted(set(options) - set(vars(chosen)))
    if unknown:
        has = ", ".join(sorted(vars(chosen)))
        raise ValueError(f"{study} has no option {', '.join(map(repr, unknown))}; it has {has}.")
    for name, value in options.items():
        setattr(chosen, name, Path(value) if name in ("data", "out") and value else value)
    return execute(study_module(study).run, chosen)


def execute(run, options):
    """Make the output folder, then run: a folder that cannot be made stops before any fit."""
    options.out.mkdir(parents=True, exist_ok=True)
    return run(options)
