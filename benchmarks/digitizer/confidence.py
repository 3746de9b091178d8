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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
    X, good = table[names].to_numpy(float), (table["strict"] >= GOOD_DB).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=3.0, max_iter=5000))
    # The limit is put where pages of patients who were not fitted lose few.
    held = cross_val_predict(
        model, X, good, groups=table["record"], cv=GroupKFold(8), method="decision_function"
    )
    limit = float(np.quantile(held[good], _MOST_LOST))
    scaler, logistic = model.fit(X, good)
    slopes = logistic.coef_[0] / np.where(scaler.scale_ > 0, scaler.scale_, 1.0)
    base = logistic.intercept_[0] - slopes @ scaler.mean_ - limit
    weights = {"base": GOOD_DB + DB_PER_STEP * base, **dict(zip(names, DB_PER_STEP * slopes))}
    return {name: round(float(value), 2) for name, value in weights.items()}


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
