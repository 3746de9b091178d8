"""Finished parts of the questions on pretrained weights, kept while the weights are the same."""

import json
import sys
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks._results import write_text

SELF_SUPERVISED, LABELLED = "crtkit-small", "crtkit-small-labels"


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
    """

    def __init__(self, path, key, minutes=None):
        self.path, self.rows = Path(path), []
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines:
            old = json.loads(lines[0])
            stale = {name for name, value in key.items() if old.get(name) != value}
            rows = map(json.loads, lines[1:])
            self.rows = [row for row in rows if _start(row) not in stale]
        kept = [json.dumps(row) for row in [key, *self.rows]]
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
