"""A pytest plugin that writes what became of each check of each estimator; see `contract`."""

import csv
from pathlib import Path

import pytest

KEPT = []


def pytest_addoption(parser):
    """``--outcomes FILE``."""
    parser.addoption("--outcomes", help="CSV of estimator, kind, check, outcome, reason")


def pytest_collection_modifyitems(config, items):
    """Run checks of estimators alone."""
    if config.getoption("--outcomes") is not None:
        items[:] = [item for item in items if _subject(item) is not None]


def _subject(item):
    """Estimator, kind and name of a check; None of another test."""
    given = getattr(item, "callspec", None)
    params = {} if given is None else given.params
    if "check" in params and "estimator" in params:
        check = params["check"]
        name = getattr(check, "func", check).__name__
        kind = "n-d" if name.startswith("check_nd") else "scikit-learn"
        return type(params["estimator"]).__name__, kind, name
    if item.name.startswith("test_the_same_bits_in_a_fresh_process"):
        return params["name"], "round trip", "round trip"
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep the outcome of a check when it was run, or of what was left out before."""
    made = yield
    report = made.get_result()
    setup = report.when == "setup" and report.outcome == "skipped"
    if item.config.getoption("--outcomes") is None or not (report.when == "call" or setup):
        return
    estimator, kind, name = _subject(item)
    expected = hasattr(report, "wasxfail")
    outcome = "xfailed" if expected else report.outcome
    reason = report.wasxfail.removeprefix("reason: ") if expected else ""
    KEPT.append([estimator, kind, name, outcome, reason])


def pytest_sessionfinish(session):
    """Write the table."""
    path = session.config.getoption("--outcomes")
    if path is None:
        return
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["estimator", "kind", "check", "outcome", "reason"])
        writer.writerows(KEPT)
