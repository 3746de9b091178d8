"""Weights of the digitizer's confidence: ``python -m benchmarks.digitizer.confidence``.

Real records are rendered, spoiled at random and read whatever they look like; whether they were
read to 10 dB is fitted by what can be known of a page without its signals. Half of the records are
fitted, the other half are judged: bad pages that the limit catches, good ones that it loses; those
of the benchmark's "degraded" set are of other patients altogether. The weights go into
``crtkit.images.digitize.confidence`` by hand, once looked at.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from benchmarks._results import environment, write_json
from benchmarks.digitizer.compare import page_db, printed_part
from benchmarks.digitizer.journal import PageJournal
from benchmarks.digitizer.rendered import SOURCES, random_page, records, timed
from crtkit.images.digitize.confidence import (
    DB_PER_STEP,
    GOOD_DB,
    WEIGHTS,
    page_checks,
    page_features,
)

_MOST_LOST = 0.04  # of the good pages; five in a hundred are allowed
_SHRINK = 1.0  # ridge on standardised columns; 0.1 to 10 catch the same within two pages


def collect(folder, n, seed, journal, stop):
    """Features and ratio of pages that are not in the journal yet; whether all are."""
    drawn = records(folder, 80, seed, source=SOURCES[1])
    for k in range(n):
        record, signal = drawn[k % len(drawn)]
        name = f"{record} {k}"
        if name in journal.rows:
            continue
        if time.monotonic() > stop:
            return False
        page, truth, dials = random_page(signal, 1_000_000 + k)
        reading, _ = timed(page, least_confidence=0.0)
        row = {"record": record, "dials": str(dials), "reason": reading.reason}
        if reading.accepted:
            row.update(page_features(reading, page_checks(reading)))
            row.update(strict=page_db(printed_part(signal, truth), reading.signal))
        journal.add(name, [row])
    return True


def fit(table):
    """Weights by a logistic function, the base moved so that few good pages are lost."""
    names = [name for name in WEIGHTS if name != "base"]
    X, strict = table[names].to_numpy(float), table["strict"].to_numpy(float)
    good = strict >= GOOD_DB
    # The limit is put where pages of patients who were not fitted lose few.
    held = np.empty(len(X))
    for train, test in GroupKFold(8).split(X, good, table["record"]):
        base, slopes = _logistic(X[train], strict[train])
        held[test] = base + X[test] @ slopes
    limit = float(np.quantile(held[good], _MOST_LOST))
    base, slopes = _logistic(X, strict)
    weights = {"base": GOOD_DB + base - limit, **dict(zip(names, slopes))}
    return {name: round(float(value), 2) for name, value in weights.items()}


def _logistic(X, strict):
    """Base and slopes in dB; a page of 9.9 dB is hardly worse than one of 10.1.

    Agreement may only speak for a page and everything else only against it: three hundred pages
    cannot tell better, and a weight of the wrong sign would trust a page for its faults.
    """
    sign = np.where(np.arange(X.shape[1]) == 0, 1.0, -1.0)
    mean, spread = X.mean(axis=0), np.maximum(X.std(axis=0), 1e-9)
    Z = np.column_stack([np.ones(len(X)), (X - mean) / spread * sign])
    target = expit((strict - GOOD_DB) / DB_PER_STEP)
    penalty = np.r_[0.0, np.full(X.shape[1], _SHRINK / len(X))]

    def loss(weights):
        z = Z @ weights
        value = np.mean(np.logaddexp(0, z) - target * z) + penalty @ weights**2 / 2
        return value, Z.T @ (expit(z) - target) / len(Z) + penalty * weights

    bounds = [(None, None)] + [(0, None)] * X.shape[1]
    found = minimize(loss, np.zeros(Z.shape[1]), jac=True, bounds=bounds).x
    slopes = DB_PER_STEP * found[1:] * sign / spread
    return DB_PER_STEP * found[0] - slopes @ mean, slopes


def judged(table, weights):
    """Share of the bad pages that the weights catch, and of the good ones that they lose."""
    db = sum(weights[name] * table[name] for name in weights)
    bad = table["strict"] < GOOD_DB
    return {
        "bad": int(bad.sum()),
        "caught": float((db[bad] < GOOD_DB).mean()),
        "good": int((~bad).sum()),
        "lost": float((db[~bad] < GOOD_DB).mean()),
    }


def main(arguments=None):
    """Go on collecting, then fit and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digitizer.confidence")
    parser.add_argument("--data", default=os.environ.get("CRTKIT_DATA"), type=Path)
    parser.add_argument("--out", default="results/digitizer", type=Path)
    parser.add_argument("--n", type=int, default=320)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=1e9)
    how = parser.parse_args(arguments)
    journal = PageJournal(how.out / "journal" / "confidence.jsonl", n=how.n, seed=how.seed)
    if not collect(how.data, how.n, how.seed, journal, time.monotonic() + 60 * how.minutes):
        print(f"{len(journal.rows)} of {how.n} pages: call again to go on")
    table = pd.DataFrame([rows[0] for rows in journal.rows.values()])
    table = table[table["reason"].isna()].fillna(dict.fromkeys(WEIGHTS, 0.0))
    half = table["record"].rank(method="dense") % 2 == 0
    result = {
        "pages": len(table),
        "fitted": fit(table),
        "in_use": WEIGHTS,
        "fitted_on_half_judged_on_the_other": judged(table[~half], fit(table[half])),
        "in_use_judged_on_all": judged(table, WEIGHTS),
    }
    write_json(how.out / "confidence.json", {**environment(), **journal.stamp, **result})
    for name, value in result.items():
        print(name, value)


if __name__ == "__main__":
    main()
