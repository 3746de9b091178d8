"""A pytest plugin that lists the checks of each estimator; see `contract`."""

import csv
from pathlib import Path


def pytest_addoption(parser):
    """``--checks-to FILE``."""
    parser.addoption("--checks-to", help="CSV of estimator, kind, check, expected, reason")


def pytest_collection_finish(session):
    """Write the table of what was collected."""
    path = session.config.getoption("--checks-to")
    if path is None:
        return
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["estimator", "kind", "check", "expected", "reason"])
        for item in session.items:
            subject = _subject(item)
            if subject is None:
                continue
            mark = next(item.iter_markers("xfail"), None)
            reason = "" if mark is None else mark.kwargs.get("reason", "")
            writer.writerow([*subject, "pass" if mark is None else "fail", reason])


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
