"""Finished parts of a benchmark, kept while the weights that they start from are the same."""

import json
import sys
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks._results import write_text

SELF_SUPERVISED, LABELLED = "crtkit-small", "crtkit-small-labels"
MADE_WITH = "made with"


class Journal:
    """Finished parts, one JSON object a line; those of weights that have changed are forgotten.

    Parameters
    ----------
    path : path-like
    key : dict of str to str
        sha256 of the weights by name. Parts that name no ``network`` start from crtkit-small, but
        for those from scratch.
    minutes : float, optional
        After which no further part begins.
    made_with : dict, optional
        Options that every part depends on and no task names.

    Raises
    ------
    ValueError
        The parts that are there were made with other options.
    """

    def __init__(self, path, key, minutes=None, made_with=None):
        self.path, self.rows = Path(path), []
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines:
            old = json.loads(lines[0])
            # A journal from before this was kept says nothing of it.
            before = old.get(MADE_WITH, made_with)
            if before != made_with:
                raise ValueError(
                    f"{self.path} holds parts made with {before}, asked for are {made_with}: give "
                    "the same options, or another --out."
                )
            stale = {name for name, value in key.items() if old.get(name) != value}
            rows = map(json.loads, lines[1:])
            self.rows = [row for row in rows if _start(row) not in stale]
        head = key if made_with is None else {**key, MADE_WITH: made_with}
        kept = [json.dumps(row) for row in [head, *self.rows]]
        write_text(self.path, "\n".join(kept) + "\n")

    def run(self, tasks, function):
        """``function(**task)`` -> dict for every task that is not there yet, with the time left."""
        done = [{k: row[k] for k in row["task"]} for row in self.rows]
        left = [task for task in tasks if task not in done]
        for task in tqdm(left, desc=function.__name__, unit="fit", file=sys.stderr):
            if self.end is not None and time.monotonic() > self.end:
                break
            row = {"task": list(task), **task, **function(**task)}
            self.rows.append(row)
            with open(self.path, "a") as file:
                file.write(json.dumps(row) + "\n")


def _start(row):
    """Weights that a part started from."""
    scratch = row.get("way", "").startswith("scratch")
    return None if scratch else row.get("network", SELF_SUPERVISED)
