"""``crtkit fit, predict, evaluate, card``: a model as a file, on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from crtkit._io import import_optional
from crtkit.cli.common import (
    CommandError,
    add_manifest_options,
    as_options,
    check_out,
    emit,
    emit_json,
    emit_lines,
    positive_label,
    printable,
    read_cohort,
    say,
)
from crtkit.cli.studies import STUDIES, add_size
from crtkit.studies.run import renamed, sized_pipelines, study_module


def add_commands(commands: Any) -> None:
    """Add the four commands."""
    _add_fit(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    card = commands.add_parser("card", help="print the model card of a bundle")
    card.add_argument("bundle", type=Path)
    card.add_argument("--json", action="store_true", help="the manifest, as JSON")
    card.set_defaults(run=run_card)


def _add_fit(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit a published model on a table of patients, and save it",
        description="Fit one model of a study on all patients of a table and write it to one file. "
        "To judge it, use crtkit run or crtkit.evaluate first: this command does not.",
    )
    parser.add_argument("data", type=Path, nargs="?", help="table of records (CSV)")
    parser.add_argument(
        "--model", required=True, help="STUDY/MODEL, such as mori2025/LightGBM; 'list' lists them"
    )
    add_size(parser)
    add_manifest_options(parser)
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="TABLE",
        help="other patients, read like the first table: answers are then withheld where either "
        "outcome is possible",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=0.1,
        help="with --held-out: share of the patients of each outcome whose own may be missed [0.1]",
    )
    parser.add_argument("--random-state", type=int, default=0, help="seed of the fit [0]")
    parser.add_argument("--name", help="name in the card [the model's]")
    parser.add_argument("--licence", help="licence of the model, for the card")
    parser.add_argument("--intended-use", help="text for the card")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("model.crtkit"), help="[%(default)s]"
    )
    parser.set_defaults(run=run_fit)


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="apply a saved model to new patients",
        description="Risk, answer, and why not where there is none. An ECG file, a page, or a "
        "table without labels.",
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", nargs="+", type=Path, help="ECG files or pages, or one table")
    parser.add_argument("--columns", type=renamed, metavar="THEIRS=OURS,...")
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="answer also for patients unlike those that the model was fitted on",
    )
    parser.add_argument(
        "--digitize", action="store_true", help="read pages for a model of signals (slow)"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="draw what spoke for each answer"
    )
    parser.add_argument("-o", "--out", type=Path, help="table to write (CSV)")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.set_defaults(run=run_predict)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="judge a saved model on your patients, in figures that may leave the hospital",
        description="The model and its threshold stay as they are. What is written holds counts, "
        "figures with intervals, calibration, ROC in steps of several patients and the case mix; "
        "no row, no identifier.",
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="table of records with the outcome (CSV)")
    add_manifest_options(parser)
    parser.add_argument("--smallest", type=int, default=5, help="smallest count told [5]")
    parser.add_argument("--bootstrap", type=int, default=2000, help="draws of patients [2000]")
    parser.add_argument("-o", "--out", type=Path, help="JSON to write [standard output]")
    parser.set_defaults(run=run_evaluate)


def run_fit(options: argparse.Namespace) -> int:
    """Fit on everybody and save."""
    from crtkit._labels import shared_patients
    from crtkit.persistence import save

    if options.model == "list":
        emit_lines(_models("list", options.size))
        return 0
    models = _models(options.model, options.size)
    if options.data is None:
        raise CommandError("name the table of records to fit on")
    check_out(options.out)
    # Asked before a fit of minutes, not after it.
    import_optional("skops.io", extra="persistence", purpose="Saving a model")
    cohort = _zero_one(read_cohort(options.data, options), options)
    apart = None
    if options.held_out is not None:
        apart = _zero_one(read_cohort(options.held_out, options), options)
        both = shared_patients(cohort.groups, apart.groups)
        if both:
            raise CommandError(
                f"--held-out shares {len(both)} patient(s) with the table of the fit: sets that "
                "were calibrated on them would promise too much"
            )
    model = models[options.model]
    _seed(model, options.random_state)
    say(f"fitting {options.model} on {len(cohort)} records of {cohort.n_patients} patients")
    model.fit(cohort.X, cohort.y, **_groups(model, cohort))
    save(
        model,
        options.out,
        cohort=cohort,
        held_out=apart,
        alpha=options.alpha,
        name=options.name or options.model,
        licence=options.licence,
        intended_use=options.intended_use,
        notes=_notes(options),
    )
    say(f"wrote {options.out}")
    return 0


def _notes(options: argparse.Namespace) -> str:
    size = options.size or study_module(options.model.partition("/")[0]).SIZE
    return (
        f"Fitted on all patients with random_state={options.random_state}, size {size!r} of the "
        "study; not judged here."
    )


def _zero_one(cohort: Any, options: argparse.Namespace) -> Any:
    """Labels as 0 and 1 where --pos-label says which is meant, whatever order the text has."""
    from crtkit.studies.run.cohorts import with_positive

    # Asked first: it says in the options' words what is wrong with the label.
    if positive_label(cohort, options.pos_label) is None:
        return cohort
    return with_positive(cohort, options.pos_label)


def run_predict(options: argparse.Namespace) -> int:
    """Predict; 1 where no record at all could be answered."""
    from crtkit.persistence import predict, read_bundle

    check_out(options.out)
    bundle = read_bundle(options.bundle)
    # One path may be a table; several are always files.
    data: Any = options.data[0] if len(options.data) == 1 else options.data
    digitizer = None
    if options.digitize:
        from crtkit.images import ECGDigitizer

        digitizer = ECGDigitizer()
    table = predict(
        bundle,
        data,
        columns=options.columns,
        allow_outside=options.allow_outside,
        digitizer=digitizer,
        pictures=options.pictures,
    )
    emit(_in_words(table, bundle.manifest), options)
    # A risk without an answer, where the sets withhold it, is still what was asked for.
    if (table["abstained"] & table["risk"].isna()).all():
        first = next((text for text in table["reasons"] if text), "the model withheld them")
        say(f"error: no record could be answered; the first: {as_options(first)}")
        return 1
    return 0


def _in_words(table: Any, manifest: dict[str, Any]) -> Any:
    """Answers as the table of the fit called its outcome, where it had words for 0 and 1."""
    words = (manifest.get("training") or {}).get("words")
    if not words:
        return table

    def say_class(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(say_class, value))
        return words.get(str(value), value)

    return table.assign(**{name: table[name].map(say_class) for name in ("answer", "possible")})


def run_evaluate(options: argparse.Namespace) -> int:
    """Judge the bundle and write the answer."""
    from crtkit.persistence import evaluate_bundle

    check_out(options.out)
    cohort = read_cohort(options.data, options)
    answer = evaluate_bundle(
        options.bundle,
        cohort,
        pos_label=positive_label(cohort, options.pos_label),
        smallest=options.smallest,
        n_bootstrap=options.bootstrap,
    )
    emit_json(answer, options)
    return 0


def run_card(options: argparse.Namespace) -> int:
    """Print the card."""
    from crtkit.persistence import card, read_bundle

    # The manifest is read with the model, so that a changed file is not shown as if it were whole.
    if options.json:
        options.out = None
        emit_json(read_bundle(options.bundle).manifest, options)
    else:
        sys.stdout.write(printable(card(options.bundle)))
    return 0


def _models(wanted: str, size: str | None) -> dict[str, Any]:
    """Unfitted pipelines of the study that is named, by STUDY/MODEL."""
    study = wanted.partition("/")[0]
    # All studies are imported only where the name is wrong, to list what there is.
    names = (study,) if study in STUDIES else STUDIES
    models = {
        f"{name}/{key}": model
        for name in names
        for key, model in sized_pipelines(name, size).items()
    }
    if wanted == "list":
        return models
    if wanted not in models:
        listed = "\n  ".join(models)
        raise CommandError(f"--model takes one of\n  {listed}\ngot {wanted!r}")
    return models


def _seed(model: Any, random_state: int) -> None:
    """Every ``random_state`` of the pipeline that is not set."""
    parameters = model.get_params()
    # Whatever the study leaves open is set, or the same command would give another model.
    unset = {
        key: random_state
        for key, value in parameters.items()
        if key.split("__")[-1] == "random_state" and value is None
    }
    model.set_params(**unset)


def _groups(model: Any, cohort: Any) -> dict[str, Any]:
    """Groups for models that ask for them with plain scikit-learn, without metadata routing."""
    from inspect import signature

    return {"groups": cohort.groups} if "groups" in signature(model.fit).parameters else {}
