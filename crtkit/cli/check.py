"""``crtkit check``: what a table holds, and what is wrong with it, before anything is fitted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.cli.common import (
    add_manifest_options,
    check_out,
    emit_json,
    emit_lines,
    positive_label,
    printable,
    read_cohort,
)


def add_commands(commands: Any) -> None:
    """Add ``check``."""
    parser = commands.add_parser(
        "check",
        help="say what is in a table of patients, and what is wrong",
        description="Read a table and its files as the studies would: counts by class, Table 1, "
        "quality of the signals, leaks, and how large a model so many patients can carry. Nothing "
        "is fitted.",
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
    # A wrong name and a "no" that counts as positive are told here.
    positive = positive_label(cohort, options.pos_label)
    facts = describe(cohort, positive=positive)
    if options.json or options.out:
        emit_json(facts, options)
        return 0
    _print(facts)
    return 0


def describe(cohort: Any, *, positive: Any = None) -> dict[str, Any]:
    """Counts, Table 1, signal quality, leaks and sample size of a cohort.

    Parameters
    ----------
    cohort : Cohort
    positive : label, optional
        Outcome that is predicted; default: the later class.

    Returns
    -------
    dict
    """
    import pandas as pd

    from crtkit.evaluation.baseline import clinical_table, tabulated
    from crtkit.evaluation.leaks.audit import quick_audit

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
    found = quick_audit(_in_order(cohort, positive), {})
    facts["leaks"] = [f"{row.kind}: {row.reason}" for row in found.itertuples()]
    if len(classes) == 2:
        facts["sample_size"] = _planned(cohort, positive)
    return facts


def _in_order(cohort: Any, positive: Any) -> Any:
    """The cohort with its outcomes in the order that was asked for: the audit need not guess."""
    if positive is None:
        return cohort
    from crtkit.cohort import Cohort

    others = [value for value in dict.fromkeys(cohort.y) if value != positive]
    info = {**cohort.info, "classes": [*others, positive]}
    return Cohort(cohort.X, cohort.y, cohort.groups, info)


#: AUC that a plan supposes: what the four studies report lies around it.
EXPECTED_AUC = 0.75


def _planned(cohort: Any, positive: Any) -> dict[str, Any]:
    """What so many patients allow, by the criteria of Riley et al."""
    import pandas as pd

    from crtkit.evaluation import max_parameters, sample_size, validation_sample_size

    order = cohort.info.get("classes") or sorted(set(cohort.y))
    outcome = pd.Series(cohort.y == (order[-1] if positive is None else positive))
    share = float(outcome.groupby(cohort.groups).max().mean())
    plan: dict[str, Any] = {"prevalence": round(share, 3), "supposed_auc": EXPECTED_AUC}
    if not 0 < share < 1:
        return plan
    n = int(cohort.n_patients)
    plan["parameters_that_they_carry"] = max_parameters(n, share, auc=EXPECTED_AUC)
    needed = sample_size(10, share, auc=EXPECTED_AUC)["n"].iloc[0]
    plan["patients_for_ten_parameters"] = int(needed)
    plan["patients_to_validate"] = int(validation_sample_size(share, EXPECTED_AUC)["n"].iloc[0])
    return plan


def _quality(cohort: Any) -> dict[str, int]:
    from crtkit.cohort import Select
    from crtkit.signals import quality_counts, signal_quality

    signals = Select("signal").fit_transform(cohort.X)
    quality = signal_quality(signals, cohort.info["sampling_rate"])
    return {str(key): int(value) for key, value in quality_counts(quality).items()}


def _print(facts: dict[str, Any]) -> None:
    table, leaks = facts.pop("table_1", None), facts.pop("leaks")
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name}: {entry}" for name, entry in value.items()) or "–"
        elif isinstance(value, list):
            value = ", ".join(value)
        emit_lines([printable(f"{key.replace('_', ' '):24} {value}")])
    emit_lines([f"{'leaks':24} {'none found' if not leaks else ''}".rstrip()])
    emit_lines(printable(f"  {leak}") for leak in leaks)
    if table is not None:
        # What a paper prints; --json has the tests, their statistics and all moments.
        shown = table.iloc[:, : 2 + table.columns.get_loc("p")] if "p" in table else table
        emit_lines(["", "Table 1, one row for each variable", printable(shown.to_string())])
