"""What is kept in benchmarks/results can be traced to a commit."""

import json

import pytest

from benchmarks.answers import RESULTS

#: Results of a tree with local changes, and why they stand all the same.
LOCAL_CHANGES = {
    "speed/ecgfm.json": "its figures are a GPU's; none was at hand to measure them again",
    "mitbih_paper/results.json": "its script draws fewer beats now; later results start from "
    "these weights",
    "cost/results.json": "times of a quieter machine than any that was at hand since",
}
FILES = sorted(RESULTS.rglob("*.json"))


def commits(value):
    """Every ``git_commit`` of a result, wherever it stands."""
    if isinstance(value, dict):
        here = [value["git_commit"]] if "git_commit" in value else []
        return here + [found for part in value.values() for found in commits(part)]
    if isinstance(value, list):
        return [found for part in value for found in commits(part)]
    return []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(RESULTS).as_posix())
def test_results_name_the_commit_that_made_them(path):
    found = commits(json.loads(path.read_text(encoding="utf-8")))
    dirty = [commit for commit in found if commit is None or commit.endswith("-dirty")]
    assert not dirty or path.relative_to(RESULTS).as_posix() in LOCAL_CHANGES, dirty
