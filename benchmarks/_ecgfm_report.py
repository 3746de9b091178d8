"""Tables of the ECG-FM questions from the finished parts, with intervals by patient."""

import numpy as np
import pandas as pd

from benchmarks._results import markdown_table

CONFIDENCE = 0.95


def report(rows):
    """Tables by name.

    Parameters
    ----------
    rows : list of dict
        Of the journal: ``part, auc`` (of each draw), ``resampled`` (mean over draws in resamples
        of the tested patients, the same resamples in every row), and what was asked.

    Returns
    -------
    dict of str to DataFrame
        ``probe``, ``gain`` (against the network untrained), ``ways``, ``ways_gain`` (against
        scratch) and ``channels`` (four against twelve leads).
    """
    probe = _untrained([row for row in rows if row["part"] == "probe"])
    # The journal has them in the order of the runs; a reader compares ways at the same number.
    way = [row for row in rows if row["part"] == "way"]
    way.sort(key=lambda row: (row["leads"], row["n"]))
    return {
        "probe": table_of(probe, ["label", "n", "embedding", "network"]),
        "gain": gains(probe, ["label", "n", "embedding"], "network", "untrained"),
        "ways": table_of(way, ["leads", "n", "way"]),
        "ways_gain": gains(way, ["leads", "n"], "way", "scratch, full"),
        "channels": gains(way, ["way", "n"], "leads", "12 leads"),
    }


TITLES = {
    "probe": "Frozen embeddings (of the last layer, or of all three) and logistic regression",
    "gain": "Against the same network untrained (mean of its seeds), paired over patients",
    "ways": "Ways to train on NORM, from crtkit-small",
    "ways_gain": "Against the network from scratch, paired over patients",
    "channels": "A page's four channels against twelve leads, paired over patients",
}


def markdown(tables, payload):
    """The tables with what stands under each of them, as Markdown."""
    settings, card = payload["settings"], payload["cards"]["crtkit-small"]
    n = sum(source["records"] for source in card["data"])
    lines = [
        "# Pretraining of a small ECG-FM on open ECGs",
        "",
        f"Own pretraining, {n:,} records, {card['parameters']['max_epochs']} epochs, on "
        f"{card['environment']['device']}: not the published ECG-FM. Real patients: PTB-XL, fold "
        f"10; {settings['patients']['labelled']} give the labels and were in the pool without "
        f"them, {settings['patients']['tested']} others are tested and were not in it. AUC, mean "
        f"over {settings['draws']} draws of the labelled records ({settings['tuning_draws']} where "
        "the network is trained), at least 5 of them positive; 95 % intervals from "
        f"{settings['bootstrap']} resamples of the tested patients.",
    ]
    for name, title in TITLES.items():
        table = tables[name]
        if len(table):
            lines += ["", f"## {title}", "", markdown_table(table.set_index(table.columns[0]))]
    return "\n".join(lines) + "\n"


def few_labels(tables):
    """One row per label and number: AUC of each network (all layers) and what pretraining gains.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From :func:`report`.

    Returns
    -------
    DataFrame
    """
    at = ["label", "n"]
    probe, gain = (tables[name].query("embedding == 'layers'") for name in ("probe", "gain"))
    positives = probe.groupby(at, sort=False)["n_positive"].first()
    wide = probe.pivot(index=at, columns="network", values="auc").map("{:.3f}".format)
    shown = gain.assign(
        text=[f"{g.difference:+.3f} ({g.ci_low:.3f} to {g.ci_high:.3f})" for g in gain.itertuples()]
    ).pivot(index=at, columns="network", values="text")
    wide = wide.join(shown.add_prefix("gain of "))
    order = ["untrained", *shown.columns, *(f"gain of {name}" for name in shown)]
    # Labels in the order that they are asked in, fewest records first.
    rows = sorted(wide.index, key=lambda row: (list(probe["label"]).index(row[0]), row[1]))
    return wide.assign(positive=positives).loc[rows, ["positive", *order]]


def _untrained(rows):
    """The untrained networks as one."""
    out = [row for row in rows if not row["network"].startswith("untrained")]
    asked = [tuple(row[name] for name in ("label", "n", "embedding")) for row in rows]
    for key in dict.fromkeys(asked):
        seeds = [
            row
            for own, row in zip(asked, rows, strict=True)
            if own == key and row["network"].startswith("untrained")
        ]
        # Three random starts are one row: their spread is luck, not a property of "untrained".
        if seeds:
            out.append({**over_seeds(seeds), "network": "untrained"})
    return out


def over_seeds(rows):
    """Rows of one question and several seeds as one: their mean, in every resample."""
    merged = {
        "auc": [value for row in rows for value in row["auc"]],
        "resampled": _values(rows).mean(axis=0).tolist(),
    }
    return {**rows[0], **merged}


def _values(rows):
    return np.array([row["resampled"] for row in rows], dtype=float)


def table_of(rows, names):
    """AUC of each row, mean over its draws, with its interval; named by its ``names``."""
    shown = [
        {
            **{name: row[name] for name in names},
            "auc": float(np.mean(row["auc"])),
            "sd_of_draws": float(np.std(row["auc"], ddof=1)) if len(row["auc"]) > 1 else np.nan,
            **_interval(_values([row])[0]),
            "n_positive": row["n_positive"],
            "n_tested": row["n_tested"],
        }
        for row in rows
    ]
    return pd.DataFrame(shown)


def gains(rows, names, compared, reference):
    """Each row less the one whose ``compared`` is the reference and whose ``names`` are its own."""
    base = {tuple(row[n] for n in names): row for row in rows if row[compared] == reference}
    shown = []
    for row in rows:
        other = base.get(tuple(row[n] for n in names))
        if row[compared] == reference or other is None:
            continue
        # Paired: both rows were resampled with the same draws of patients.
        difference = _values([row])[0] - _values([other])[0]
        shown.append(
            {
                **{name: row[name] for name in (*names, compared)},
                "against": reference,
                "difference": float(np.mean(row["auc"]) - np.mean(other["auc"])),
                **_interval(difference),
            }
        )
    return pd.DataFrame(shown)


def _interval(resampled):
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return {"ci_low": float(low), "ci_high": float(high)}
