"""``crtkit check``: what a table holds, and what is wrong with it, before anything is fitted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crtkit.cli.common import (
    add_manifest_options,
    check_out,
    emit_json,
    positive_label,
    read_cohort,
)


def add_commands(commands: Any) -> None:
    """Add ``check``."""
    parser = commands.add_parser(
        "check",
        help="say what is in a table of patients, and what is wrong",
        description="Read a table and its files as the studies would: counts by class, Table 1, "
        "quality of the signals, reference rules that can be applied. Nothing is fitted.",
    )
    parser.add_argument("data", type=Path, help="table of records (CSV)")
    add_manifest_options(parser)
    parser.add_argument("-o", "--out", type=Path, help="write JSON here")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the cohort and describe it."""
    check_out(options.out)
    cohort = read_cohort(options.data, options)
    # Its answer is not needed; a wrong name and a "no" that counts as positive are told here.
    positive_label(cohort, options.pos_label)
    facts = describe(cohort)
    if options.json or options.out:
        emit_json(facts, options)
        return 0
    _print(facts)
    return 0


def describe(cohort: Any) -> dict[str, Any]:
    """Counts, Table 1, signal quality and usable rules of a cohort.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    dict
    """
    from crtkit.evaluation.baseline import clinical_table, tabulated

    classes = pd.Series(np.asarray(cohort.y).astype(str)).value_counts().to_dict()
    facts: dict[str, Any] = {
        "records": len(cohort),
        "patients": int(cohort.n_patients),
        "classes": classes,
        "columns": [str(name) for name in cohort.X.columns],
        "flow": cohort.info.get("flow", {}),
        "sampling_rate": cohort.info.get("sampling_rate"),
    }
    per_patient = pd.Series(cohort.groups).value_counts()
    facts["records_of_one_patient"] = {"median": float(per_patient.median())}
    facts["records_of_one_patient"]["most"] = int(per_patient.max())
    covariates, y = clinical_table(cohort)
    table = tabulated(covariates, np.asarray(y).astype(str)) if len(classes) == 2 else None
    if table is not None:
        facts["table_1"] = table
    if "signal" in cohort.X and cohort.info.get("sampling_rate"):
        facts["signal_quality"] = _quality(cohort)
    return facts


def _quality(cohort: Any) -> dict[str, int]:
    from crtkit.cohort import Select
    from crtkit.signals import quality_counts, signal_quality

    signals = Select("signal").fit_transform(cohort.X)
    quality = signal_quality(signals, cohort.info["sampling_rate"])
    return {str(key): int(value) for key, value in quality_counts(quality).items()}


def _print(facts: dict[str, Any]) -> None:
    table = facts.pop("table_1", None)
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name}: {entry}" for name, entry in value.items()) or "–"
        elif isinstance(value, list):
            value = ", ".join(value)
        print(f"{key.replace('_', ' '):24} {value}")  # noqa: T201 - this is the command line
    if table is not None:
        # What a paper prints; --json has the tests, their statistics and all moments.
        shown = table.iloc[:, : 2 + table.columns.get_loc("p")] if "p" in table else table
        print(f"\nTable 1, one row for each variable\n{shown.to_string()}")  # noqa: T201
